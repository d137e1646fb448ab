//! The project's tasks, one file each: `cargo xtask <task>`. They only start programs and read files of this
//! repository; nothing of the product depends on them.

mod bench;
mod beside;
mod browser;
mod check;
mod clock;
mod demo;
mod failure;
mod fuzz;
mod node;
mod program;
mod python;
mod soak;
mod tally;
mod test;
mod tidy;
mod wheels;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use workspace::Workspace;

struct Task {
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    run: fn(&Workspace, &[String]) -> Result<(), Failure>,
}

const TASKS: [Task; 8] = [
    Task {
        name: "demo",
        arguments: demo::ARGUMENTS,
        summary: "record 1,000 real credit decisions, read one back, prove them, and see a forgery found",
        run: demo::run,
    },
    Task {
        name: "test",
        arguments: test::ARGUMENTS,
        summary: "everything that CI runs, with the time of each step and the number of tests",
        run: test::run,
    },
    Task {
        name: "check",
        arguments: "",
        summary: "format, rules and lints only: what to run before each commit",
        run: check::run,
    },
    Task {
        name: "bench",
        arguments: bench::ARGUMENTS,
        summary: "run a benchmark in release; without a name, list them",
        run: bench::run,
    },
    Task {
        name: "fuzz",
        arguments: fuzz::ARGUMENTS,
        summary: "give every decoder what a fuzzer makes up, for a minute each",
        run: fuzz::run,
    },
    Task {
        name: "soak",
        arguments: soak::ARGUMENTS,
        summary: "kill workers and engine for minutes, and account for every number",
        run: soak::run,
    },
    Task {
        name: "wheels",
        arguments: wheels::ARGUMENTS,
        summary: "build the Python wheels for release, and say how large they are",
        run: wheels::run,
    },
    Task {
        name: "tidy",
        arguments: "",
        summary: "the rules about sources, documents and dependencies that a machine can check",
        run: tidy::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let outcome = match TASKS.iter().find(|task| task.name == name) {
        Some(task) => Workspace::find().and_then(|workspace| (task.run)(&workspace, rest)),
        None => Err(Failure::Usage(format!("there is no task `{name}`\n\n{}", usage()))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask <task>\n\n");
    for task in &TASKS {
        text += &format!("  {:6} {}\n", task.name, task.summary);
    }
    text.push('\n');
    for task in TASKS.iter().filter(|task| !task.arguments.is_empty()) {
        text += &format!("  cargo xtask {} {}\n", task.name, task.arguments);
    }
    text
}
