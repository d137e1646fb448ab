//! Starting other programs and judging how they ended.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use crate::failure::{During, Failure};

/// Runs a program whose output goes where ours goes.
///
/// # Errors
///
/// When it cannot be started or does not end with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = shell_line(command);
    without_cargo(command);
    let status = command.status().during(|| format!("cannot start `{line}`"))?;
    if status.success() { Ok(()) } else { Err(Failure::Failed(format!("`{line}` ended with {status}"))) }
}

/// Runs a program, passing each line of its standard output on to ours and to `line`. Standard error goes where ours
/// goes.
///
/// Returns the exit code, or none when a signal ended it.
pub(crate) fn run_reading(command: &mut Command, mut line: impl FnMut(&str)) -> Result<Option<i32>, Failure> {
    let shown = shell_line(command);
    without_cargo(command);
    let mut child = command.stdout(Stdio::piped()).spawn().during(|| format!("cannot start `{shown}`"))?;
    if let Some(stdout) = child.stdout.take() {
        // Tests print what they like: bytes, not text.
        for bytes in BufReader::new(stdout).split(b'\n') {
            let bytes = bytes.during(|| format!("cannot read what `{shown}` prints"))?;
            let text = String::from_utf8_lossy(&bytes);
            println!("{text}");
            line(&text);
        }
    }
    let status = child.wait().during(|| format!("cannot wait for `{shown}`"))?;
    Ok(status.code())
}

/// Runs a program and keeps both of its outputs.
pub(crate) fn output(command: &mut Command) -> Result<Output, Failure> {
    without_cargo(command).output().during(|| format!("cannot start `{}`", shell_line(command)))
}

/// Takes away what `cargo run` tells a program about its own package: build scripts that read it would run again, and all above them be
/// compiled anew, each time that Cargo is called from here after it was called by hand.
fn without_cargo(command: &mut Command) -> &mut Command {
    let of_package = |name: &str| {
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
    };
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

/// The command as a person would type it in a shell.
pub(crate) fn shell_line(command: &Command) -> String {
    let mut words = vec![quoted(&command.get_program().to_string_lossy())];
    words.extend(command.get_args().map(|argument| quoted(&argument.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it() {
        let mut command = Command::new("minutebook");
        command.args(["--trail", "my trail", "it's", "", "a/b-1.csv"]);
        assert_eq!(shell_line(&command), r"minutebook --trail 'my trail' 'it'\''s' '' a/b-1.csv");
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_exit_status() {
        let failure = run(Command::new("false").arg("now")).expect_err("`false` does not succeed");
        assert!(failure.to_string().contains("`false now` ended with exit status: 1"), "{failure}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("minutebook-no-such-program")).expect_err("there is none");
        assert!(failure.to_string().starts_with("cannot start `minutebook-no-such-program`"), "{failure}");
    }

    #[test]
    fn lines_are_read_while_passed_on() {
        let mut lines = Vec::new();
        let mut command = Command::new("printf");
        let code =
            run_reading(command.arg(r"one\ntwo"), |line| lines.push(line.to_owned())).expect("printf runs");
        assert_eq!((code, lines), (Some(0), vec!["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn what_cargo_says_of_this_package_is_not_handed_on() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "tests are run by Cargo");
        let Output { stdout, .. } = output(&mut Command::new("env")).expect("`env` runs");
        let stdout = String::from_utf8_lossy(&stdout);
        assert!(!stdout.contains("CARGO_PKG_NAME="), "{stdout}");
        assert!(stdout.contains("PATH="), "{stdout}");
    }
}
