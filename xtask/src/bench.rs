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

/// A benchmark in Python: `python/bench/NAME.py`, in an environment with others' packages.
struct Script {
    name: &'static str,
    measures: &'static str,
    requirements: &'static str,
}

const SCRIPTS: [Script; 4] = [
    Script {
        name: "capture",
        measures: "what recording a decision from Python costs the caller, beside how others do it",
        requirements: REQUIREMENTS,
    },
    Script {
        name: "wrap",
        measures: "what wrapping a model adds to a call with one row",
        requirements: REQUIREMENTS,
    },
    Script {
        name: "redact",
        measures: "what redaction adds to recording a decision from Python",
        requirements: REQUIREMENTS,
    },
    Script {
        name: "count",
        measures: "decisions counted a second without a record of each, beside whylogs",
        requirements: "python/bench/count-requirements.txt",
    },
];

const REQUIREMENTS: &str = "python/bench/requirements.txt";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        for script in &SCRIPTS {
            println!("{:9} {}", script.name, script.measures);
        }
        for benchmark in &BENCHMARKS {
            println!("{:9} {}", benchmark.name, benchmark.measures);
        }
        return Ok(());
    };
    if let Some(script) = SCRIPTS.iter().find(|script| script.name == name) {
        let folder = if script.requirements == REQUIREMENTS {
            "bench-venv".to_owned()
        } else {
            format!("bench-{}-venv", script.name)
        };
        let python = python::environment(workspace, &folder, script.requirements)?;
        wheels::install(workspace, &python, Profile::Release)?;
        let path = format!("python/bench/{}.py", script.name);
        return program::run(Command::new(python).current_dir(&workspace.root).arg(path).args(rest));
    }
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let scripts = SCRIPTS.iter().map(|script| script.name);
        let names: Vec<_> = scripts.chain(BENCHMARKS.iter().map(|benchmark| benchmark.name)).collect();
        return Err(Failure::Usage(format!(
            "there is no benchmark `{name}`; there are {}",
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
