//! `cargo xtask test`: what CI runs, in order. A step that fails does not stop the next: one run shows all that is
//! wrong. Steps that only build and install run beside the Rust tests, which leave the processors idle for a good part.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::beside::Beside;
use crate::failure::{During, Failure};
use crate::tally::Tally;
use crate::wheels::Profile;
use crate::workspace::Workspace;
use crate::{browser, check, clock, demo, node, program, python, tidy, wheels};

pub(crate) const ARGUMENTS: &str =
    "[--only fmt|tidy|clippy|tests|docs|wheels|ready|checks|pytest|types|demo]... [ARGUMENTS OF cargo test]";

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&mut Run<'_>) -> Result<(), Failure>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Check,
    /// It runs tests, so that a failure which no summary counted counts as one.
    Tests,
    /// It is done beside the Rust tests when these are run too.
    Beside,
}

/// What a step works with.
struct Run<'r> {
    workspace: &'r Workspace,
    /// For `cargo test`.
    arguments: &'r [String],
    tally: Tally,
    beside: Beside,
}

const fn step(
    name: &'static str,
    what: &'static str,
    kind: Kind,
    run: fn(&mut Run<'_>) -> Result<(), Failure>,
) -> Step {
    Step { name, what, run, kind }
}

const STEPS: [Step; 11] = [
    step("fmt", "formatting", Kind::Check, |run| check::format(run.workspace)),
    step("tidy", "our own rules", Kind::Check, |run| tidy::run(run.workspace, &[])),
    step("clippy", "lints", Kind::Check, |run| check::lints(run.workspace)),
    step("tests", "the Rust tests", Kind::Tests, cargo_test),
    step("docs", "the documentation builds", Kind::Beside, |run| docs(run.workspace)),
    step("wheels", "the extension's wheel is small", Kind::Beside, |run| {
        wheels::check_extension(run.workspace)
    }),
    step("ready", "what the Python tests need is there", Kind::Beside, |run| {
        Needs::of(run.workspace).map(drop)
    }),
    step("checks", "formats checked from Python", Kind::Tests, python_checks),
    step("pytest", "the Python tests", Kind::Tests, pytest),
    step("types", "stubs and types of the Python package", Kind::Check, |run| types(run.workspace)),
    step("demo", "the demo", Kind::Tests, demo_step),
];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let (only, arguments) = parse(arguments)?;
    let chosen: Vec<&Step> =
        STEPS.iter().filter(|step| only.is_empty() || only.contains(&step.name)).collect();
    let (mut total, mut lines) = (Tally::default(), Vec::<(String, bool, Duration)>::new());
    let has_tests = chosen.iter().any(|step| step.name == "tests");
    let beside = chosen.iter().filter(|step| has_tests && step.kind == Kind::Beside);
    let mut beside = Beside::of(workspace, beside.map(|step| step.name).collect());
    for step in chosen {
        if beside.has_done(step.name) {
            continue;
        }
        eprintln!("\n== {}: {}", step.name, step.what);
        let mut run = Run { workspace, arguments, tally: Tally::default(), beside };
        let (outcome, time) = clock::timed(|| (step.run)(&mut run));
        if let Err(failure) = &outcome {
            eprintln!("error: {failure}");
            if step.kind == Kind::Tests && run.tally.failed == 0 {
                run.tally.failed = 1;
            }
        }
        total += run.tally;
        lines.push((step.name.to_owned(), outcome.is_ok(), time));
        beside = run.beside;
        lines.extend(beside.end()?);
    }

    println!();
    for (name, succeeded, time) in &lines {
        println!("{}", summary_line(name, *succeeded, *time));
    }
    if total.ignored > 0 {
        println!("{} ignored", total.ignored);
    }
    println!("{} passed, {} failed", total.passed, total.failed);

    let failed: Vec<&str> =
        lines.iter().filter(|(_, succeeded, _)| !succeeded).map(|(name, ..)| name.as_str()).collect();
    if failed.is_empty() && total.failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("failed: {}", failed.join(", "))))
    }
}

/// How a step ended.
fn summary_line(name: &str, succeeded: bool, time: Duration) -> String {
    format!("{name:8} {:6} {:7.1} s", if succeeded { "ok" } else { "FAILED" }, time.as_secs_f64())
}

/// The same from such a line.
pub(crate) fn of_summary_line(line: &str) -> Option<(String, bool, Duration)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, ended @ ("ok" | "FAILED"), seconds, "s"] = words[..] else { return None };
    let known = STEPS.iter().any(|step| step.name == name);
    let time = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    known.then(|| (name.to_owned(), ended == "ok", time))
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

fn cargo_test(run: &mut Run<'_>) -> Result<(), Failure> {
    let mut command = run.workspace.cargo();
    // All test programs run, so that the numbers at the end are of all of them.
    command.args(["test", "--no-fail-fast"]);
    let chosen = run.arguments.iter().take_while(|argument| *argument != "--");
    if !chosen.into_iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package")) {
        command.arg("--workspace");
    }
    command.args(run.arguments);
    let code = program::run_reading(&mut command, |line| {
        if line.starts_with("running ") {
            // All is built: from here on processors are idle at times.
            run.beside.begin();
        }
        if let Some(found) = Tally::of_cargo_line(line) {
            run.tally += found;
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
fn python_checks(run: &mut Run<'_>) -> Result<(), Failure> {
    let (workspace, tally) = (run.workspace, &mut run.tally);
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

/// Others' programs with which the Python tests work.
struct Needs {
    /// Their packages do not go together with the others.
    s3: PathBuf,
    servers: PathBuf,
    provider: PathBuf,
    chromium: PathBuf,
}

impl Needs {
    /// Installs what is not there.
    fn of(workspace: &Workspace) -> Result<Self, Failure> {
        python::interpreter(workspace)?;
        Ok(Self {
            s3: python::environment(workspace, "s3-venv", "tests/python/s3-requirements.txt")?,
            servers: python::environment(workspace, "servers-venv", "tests/python/servers-requirements.txt")?,
            provider: node::provider(workspace)?,
            chromium: browser::chromium()?,
        })
    }
}

fn pytest(run: &mut Run<'_>) -> Result<(), Failure> {
    let workspace = run.workspace;
    let python = wheels::installed(workspace, Profile::Dev)?;
    program::run(workspace.cargo().args([
        "build",
        "--package",
        "minutebook-faultfs",
        "--package",
        "minutebook-faultfs-preload",
    ]))?;
    let needs = Needs::of(workspace)?;
    let mut command = Command::new(python);
    command.env("MINUTEBOOK_FAULTFS", workspace.target.join("debug/minutebook-faultfs"));
    command.env("MINUTEBOOK_S3_SERVER", needs.s3.with_file_name("moto_server"));
    command.env("MINUTEBOOK_SERVERS_PYTHON", needs.servers);
    command.env("MINUTEBOOK_OIDC_PROVIDER", needs.provider);
    command.env("MINUTEBOOK_CHROMIUM", needs.chromium);
    command.current_dir(&workspace.root).args([
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--durations=20",
        // Two files at a time: each waits for the processes that it starts for half of its time.
        "--numprocesses=2",
        "--dist=loadfile",
        "tests/python",
    ]);
    let mut last = None;
    let code = program::run_reading(&mut command, |line| {
        if let Some(found) = Tally::of_pytest_line(line) {
            last = Some(found);
        }
    })?;
    run.tally += last.unwrap_or_default();
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

fn demo_step(run: &mut Run<'_>) -> Result<(), Failure> {
    let into = run.workspace.target.join("demo-test");
    demo::run(run.workspace, &["--quiet".into(), "--into".into(), into.display().to_string()])?;
    run.tally.passed += 1;
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
    fn how_a_step_ended_is_read_as_it_is_printed() {
        for (name, succeeded) in [("docs", true), ("wheels", false)] {
            let line = summary_line(name, succeeded, Duration::from_millis(12_300));
            assert_eq!(
                of_summary_line(&line),
                Some((name.to_owned(), succeeded, Duration::from_millis(12_300)))
            );
        }
        for line in ["docs ok", "what ok 1.0 s", "docs maybe 1.0 s", "docs ok -1 s"] {
            assert_eq!(of_summary_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_usage_line_names_every_step() {
        for step in &STEPS {
            assert!(ARGUMENTS.contains(step.name), "{}", step.name);
        }
    }
}
