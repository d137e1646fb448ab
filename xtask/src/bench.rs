//! `cargo xtask bench`: the benchmarks by name, so that nobody has to know which package holds which.

use std::fs;
use std::process::Command;

use crate::failure::{During, Failure};
use crate::wheels::{self, Profile};
use crate::workspace::Workspace;
use crate::{program, python};

pub(crate) const ARGUMENTS: &str = "[NAME [ARGUMENTS OF THE BENCHMARK]]";

struct Benchmark {
    name: &'static str,
    package: &'static str,
    bench: &'static str,
    measures: &'static str,
    /// What is compared with in Python, on what the benchmark made: `python/bench/NAME.py` gets the lines that it printed.
    beside: Option<&'static str>,
}

const BENCHMARKS: [Benchmark; 5] = [
    Benchmark {
        name: "search",
        package: "minutebook-index",
        bench: "search",
        measures: "questions to ten million decisions, beside DuckDB over the same rows in clear",
        beside: Some("python/bench/search-requirements.txt"),
    },
    Benchmark {
        name: "seal",
        package: "minutebook-trail",
        bench: "seal",
        measures: "decisions sealed and verified a second, CPU time by stage, bytes per decision",
        beside: None,
    },
    Benchmark {
        name: "handover",
        package: "minutebook-capture",
        bench: "handover",
        measures: "what the caller's thread pays for one decision",
        beside: None,
    },
    Benchmark {
        name: "commit",
        package: "minutebook-record",
        bench: "commit",
        measures: "encoding and commitment of one record",
        beside: None,
    },
    Benchmark {
        name: "hash",
        package: "minutebook-sha256",
        bench: "many",
        measures: "SHA-256 of many short messages at once",
        beside: None,
    },
];

/// A benchmark in Python: `python/bench/NAME.py`, in an environment with others' packages.
struct Script {
    name: &'static str,
    measures: &'static str,
    requirements: &'static str,
}

const SCRIPTS: [Script; 6] = [
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
        name: "serve",
        measures: "decisions recorded for a server a second, and how long until they are on its disk, beside a local trail",
        requirements: REQUIREMENTS,
    },
    Script {
        name: "count",
        measures: "decisions counted a second without a record of each, beside whylogs",
        requirements: "python/bench/count-requirements.txt",
    },
    Script {
        name: "proxy",
        measures: "what a proxy adds to a call of a model server, beside nginx",
        requirements: "python/bench/proxy-requirements.txt",
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
    let Some(requirements) = benchmark.beside else { return program::run(&mut command) };
    let folder = workspace.target.join(format!("bench-{}", benchmark.name));
    fs::create_dir_all(&folder).during(|| format!("cannot make `{}`", folder.display()))?;
    command.env("MINUTEBOOK_BENCH_FOLDER", &folder);
    let mut printed = String::new();
    let code = program::run_reading(&mut command, |line| {
        printed.push_str(line);
        printed.push('\n');
    })?;
    if code != Some(0) {
        return Err(Failure::Failed(format!("the benchmark `{}` failed", benchmark.name)));
    }
    let lines = folder.join("printed.jsonl");
    fs::write(&lines, printed).during(|| format!("cannot write `{}`", lines.display()))?;
    let python = python::environment(workspace, &format!("bench-{}-venv", benchmark.name), requirements)?;
    let script = format!("python/bench/{}.py", benchmark.name);
    program::run(Command::new(python).current_dir(&workspace.root).arg(script).arg(lines))
}
