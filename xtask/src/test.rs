//! `cargo xtask test`: what CI runs, in order. A step that fails does not stop the next: one run shows all that is
//! wrong.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{During, Failure};
use crate::tally::Tally;
use crate::wheels::Profile;
use crate::workspace::Workspace;
use crate::{browser, check, clock, demo, node, program, python, tidy, wheels};

pub(crate) const ARGUMENTS: &str =
    "[--only fmt|tidy|clippy|tests|docs|checks|pytest|types|wheels|demo]... [ARGUMENTS OF cargo test]";

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Workspace, &[String], &mut Tally) -> Result<(), Failure>,
    /// Whether it runs tests, so that a failure which no summary counted counts as one.
    tests: bool,
}

const STEPS: [Step; 10] = [
    Step { name: "fmt", what: "formatting", run: |w, _, _| check::format(w), tests: false },
    Step { name: "tidy", what: "our own rules", run: |w, _, _| tidy::run(w, &[]), tests: false },
    Step { name: "clippy", what: "lints", run: |w, _, _| check::lints(w), tests: false },
    Step { name: "tests", what: "the Rust tests", run: cargo_test, tests: true },
    Step { name: "docs", what: "the documentation builds", run: |w, _, _| docs(w), tests: false },
    Step { name: "checks", what: "formats checked from Python", run: python_checks, tests: true },
    Step { name: "pytest", what: "the Python tests", run: |w, _, tally| pytest(w, tally), tests: true },
    Step {
        name: "types",
        what: "stubs and types of the Python package",
        run: |w, _, _| types(w),
        tests: false,
    },
    Step {
        name: "wheels",
        what: "the extension's wheel is small",
        run: |w, _, _| wheels::check_extension(w),
        tests: false,
    },
    Step { name: "demo", what: "the demo", run: |w, _, tally| demo_step(w, tally), tests: true },
];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let (only, rest) = parse(arguments)?;
    let mut total = Tally::default();
    let mut lines: Vec<(&str, bool, Duration)> = Vec::new();
    for step in STEPS.iter().filter(|step| only.is_empty() || only.contains(&step.name)) {
        eprintln!("\n== {}: {}", step.name, step.what);
        let mut tally = Tally::default();
        let (outcome, time) = clock::timed(|| (step.run)(workspace, rest, &mut tally));
        if let Err(failure) = &outcome {
            eprintln!("error: {failure}");
            if step.tests && tally.failed == 0 {
                tally.failed = 1;
            }
        }
        total += tally;
        lines.push((step.name, outcome.is_ok(), time));
    }

    println!();
    for (name, succeeded, time) in &lines {
        println!("{name:8} {:6} {:7.1} s", if *succeeded { "ok" } else { "FAILED" }, time.as_secs_f64());
    }
    if total.ignored > 0 {
        println!("{} ignored", total.ignored);
    }
    println!("{} passed, {} failed", total.passed, total.failed);

    let failed: Vec<&str> =
        lines.iter().filter(|(_, succeeded, _)| !succeeded).map(|(name, ..)| *name).collect();
    if failed.is_empty() && total.failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("failed: {}", failed.join(", "))))
    }
}

/// The steps asked for (none: all), and what goes to `cargo test`.
fn parse(mut arguments: &[String]) -> Result<(Vec<&'static str>, &[String]), Failure> {
    let mut only = Vec::new();
    while let Some((option, rest)) = arguments.split_first()
        && option == "--only"
    {
        let names = STEPS.map(|step| step.name).join(", ");
        let Some((name, rest)) = rest.split_first() else {
            return Err(Failure::Usage(format!("`--only` needs a step: {names}")));
        };
        let Some(step) = STEPS.iter().find(|step| step.name == name) else {
            return Err(Failure::Usage(format!("there is no step `{name}`; there are {names}")));
        };
        only.push(step.name);
        arguments = rest;
    }
    Ok((only, arguments))
}

fn cargo_test(workspace: &Workspace, arguments: &[String], tally: &mut Tally) -> Result<(), Failure> {
    let mut command = workspace.cargo();
    // All test programs run, so that the numbers at the end are of all of them.
    command.args(["test", "--no-fail-fast"]);
    let chosen = arguments.iter().take_while(|argument| *argument != "--");
    if !chosen.into_iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package")) {
        command.arg("--workspace");
    }
    command.args(arguments);
    let code = program::run_reading(&mut command, |line| {
        if let Some(found) = Tally::of_cargo_line(line) {
            *tally += found;
        }
    })?;
    ended_with(&command, code, &[0])
}

fn docs(workspace: &Workspace) -> Result<(), Failure> {
    program::run(
        workspace.cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Each `tests/python/check_*.py` is one test: it ends with 0 or says what is wrong.
fn python_checks(workspace: &Workspace, _: &[String], tally: &mut Tally) -> Result<(), Failure> {
    let scripts = check_scripts(workspace)?;
    if scripts.is_empty() {
        eprintln!("there are none");
        return Ok(());
    }
    let python = python::interpreter(workspace)?;
    for script in scripts {
        let mut command = Command::new(&python);
        match program::run(command.current_dir(&workspace.root).arg(&script)) {
            Ok(()) => {
                println!("{}: ok", workspace.typed(&script));
                tally.passed += 1;
            }
            Err(failure) => {
                eprintln!("{failure}");
                tally.failed += 1;
            }
        }
    }
    match tally.failed {
        0 => Ok(()),
        failed => Err(Failure::Failed(format!("{failed} of the Python checks failed"))),
    }
}

fn check_scripts(workspace: &Workspace) -> Result<Vec<PathBuf>, Failure> {
    let folder = workspace.root.join("tests/python");
    let mut scripts = Vec::new();
    for entry in fs::read_dir(&folder).during(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry.during(|| format!("cannot read `{}`", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("check_") && name.ends_with(".py") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

fn pytest(workspace: &Workspace, tally: &mut Tally) -> Result<(), Failure> {
    let python = wheels::installed(workspace, Profile::Dev)?;
    program::run(workspace.cargo().args([
        "build",
        "--package",
        "minutebook-faultfs",
        "--package",
        "minutebook-faultfs-preload",
    ]))?;
    // Their packages do not go together with the others.
    let s3 = python::environment(workspace, "s3-venv", "tests/python/s3-requirements.txt")?;
    let servers = python::environment(workspace, "servers-venv", "tests/python/servers-requirements.txt")?;
    let mut command = Command::new(python);
    command.env("MINUTEBOOK_FAULTFS", workspace.target.join("debug/minutebook-faultfs"));
    command.env("MINUTEBOOK_S3_SERVER", s3.with_file_name("moto_server"));
    command.env("MINUTEBOOK_SERVERS_PYTHON", servers);
    command.env("MINUTEBOOK_OIDC_PROVIDER", node::provider(workspace)?);
    command.env("MINUTEBOOK_CHROMIUM", browser::chromium()?);
    command.current_dir(&workspace.root).args([
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/python",
    ]);
    let mut last = None;
    let code = program::run_reading(&mut command, |line| {
        if let Some(found) = Tally::of_pytest_line(line) {
            last = Some(found);
        }
    })?;
    *tally += last.unwrap_or_default();
    ended_with(&command, code, &[0])
}

/// The stubs say what the extension does (stubtest), and the package keeps to its types (pyright). After the Python tests, which
/// install the package.
fn types(workspace: &Workspace) -> Result<(), Failure> {
    let python = python::interpreter(workspace)?;
    let module = |name: &str, folder: &str| {
        let mut command = Command::new(&python);
        command.current_dir(workspace.root.join(folder)).args(["-m", name]);
        command
    };
    // Not beside the sources, where Python would find these instead of what is installed.
    program::run(module("mypy.stubtest", "tests").arg("minutebook._core"))?;
    program::run(module("pyright", "python").arg("--pythonpath").arg(&python))
}

fn demo_step(workspace: &Workspace, tally: &mut Tally) -> Result<(), Failure> {
    let into = workspace.target.join("demo-test");
    demo::run(workspace, &["--quiet".into(), "--into".into(), into.display().to_string()])?;
    tally.passed += 1;
    Ok(())
}

fn ended_with(command: &Command, code: Option<i32>, good: &[i32]) -> Result<(), Failure> {
    let line = program::shell_line(command);
    match code {
        Some(code) if good.contains(&code) => Ok(()),
        Some(code) => Err(Failure::Failed(format!("`{line}` ended with exit status {code}"))),
        None => Err(Failure::Failed(format!("`{line}` was ended by a signal"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_picks_steps_and_the_rest_goes_to_cargo_test() {
        let arguments = words("--only tests --only fmt -p minutebook-tlog -- --only");
        let (only, rest) = parse(&arguments).expect("a right command line");
        assert_eq!(only, ["tests", "fmt"]);
        assert_eq!(rest, words("-p minutebook-tlog -- --only"));
    }

    #[test]
    fn an_unknown_step_is_a_usage_error_that_lists_the_steps() {
        for line in ["--only", "--only lint"] {
            let failure = parse(&words(line)).map(|_| ()).expect_err("a wrong command line");
            assert_eq!(failure.exit_code(), 2);
            assert!(failure.to_string().contains("clippy, tests, docs"), "{failure}");
        }
    }

    #[test]
    fn the_usage_line_names_every_step() {
        for step in &STEPS {
            assert!(ARGUMENTS.contains(step.name), "{}", step.name);
        }
    }
}
