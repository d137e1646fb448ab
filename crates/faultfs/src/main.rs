//! `minutebook-faultfs ROOT SCRATCH AFTER PROGRAM [ARGUMENT]...`: runs a program until it ends, cuts the power then, and leaves in `AFTER` what a
//! disk holds of `ROOT`: what was flushed, and nothing else. For tests that are not in Rust.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use minutebook_faultfs::{MaterialiseMode, Plan, Session};

fn main() -> ExitCode {
    match run(&env::args_os().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    let [root, scratch, after, program, arguments @ ..] = arguments else {
        return Err("usage: minutebook-faultfs ROOT SCRATCH AFTER PROGRAM [ARGUMENT]...".into());
    };
    let session = Session::begin(Path::new(root), Path::new(scratch))?;
    let mut command = Command::new(program);
    session.arm(command.args(arguments), Plan::Count)?;
    // How it ended is for the test to say: it may well have killed itself.
    command.status().map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    if session.operations()?.is_empty() {
        return Err("the program changed no file under the root, or not by way of libc".into());
    }
    session.materialise(Path::new(after), MaterialiseMode::Strict)?;
    Ok(())
}
