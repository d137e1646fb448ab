//! `cargo xtask bench`: the benchmarks by name, so that nobody has to know which package holds which.

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;

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

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        for benchmark in &BENCHMARKS {
            println!("{:9} {}", benchmark.name, benchmark.measures);
        }
        return Ok(());
    };
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
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
