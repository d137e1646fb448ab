//! `cargo xtask bench`: the benchmarks by name, so that nobody has to know which package holds which.

use std::process::Command;

use crate::failure::Failure;
use crate::wheels::{self, Profile};
use crate::workspace::Workspace;
use crate::{program, python};

pub(crate) const ARGUMENTS: &str = "[NAME [ARGUMENTS OF THE BENCHMARK]]";

struct Benchmark {
    name: &'static str,
    package: &'static str,
    bench: &'static str,
    measures: &'static str,
}

const BENCHMARKS: [Benchmark; 4] = [
    Benchmark {
        name: "seal",
        package: "minutebook-trail",
        bench: "seal",
        measures: "decisions sealed and verified a second, CPU time by stage, bytes per decision",
    },
    Benchmark {
        name: "handover",
        package: "minutebook-capture",
        bench: "handover",
        measures: "what the caller's thread pays for one decision",
    },
    Benchmark {
        name: "commit",
        package: "minutebook-record",
        bench: "commit",
        measures: "encoding and commitment of one record",
    },
    Benchmark {
        name: "hash",
        package: "minutebook-sha256",
        bench: "many",
        measures: "SHA-256 of many short messages at once",
    },
];

/// The benchmark in Python: others' packages beside ours, in an environment of its own.
const CAPTURE: &str = "capture";
const CAPTURE_REQUIREMENTS: &str = "python/bench/requirements.txt";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        println!(
            "{CAPTURE:9} what recording a decision from Python costs the caller, beside how others do it"
        );
        for benchmark in &BENCHMARKS {
            println!("{:9} {}", benchmark.name, benchmark.measures);
        }
        return Ok(());
    };
    if name == CAPTURE {
        let python = python::environment(workspace, "bench-venv", CAPTURE_REQUIREMENTS)?;
        wheels::install(workspace, &python, Profile::Release)?;
        let mut command = Command::new(python);
        return program::run(command.current_dir(&workspace.root).arg("python/bench/capture.py").args(rest));
    }
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        return Err(Failure::Usage(format!(
            "there is no benchmark `{name}`; there are {CAPTURE}, {}",
            names.join(", ")
        )));
    };
    let mut command = workspace.cargo();
    command.args(["bench", "--package", benchmark.package, "--bench", benchmark.bench]);
    if !rest.is_empty() {
        command.arg("--").args(rest);
    }
    program::run(&mut command)
}
