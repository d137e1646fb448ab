//! `cargo xtask fuzz`: gives every decoder what a fuzzer makes up, guided by what of the code it reaches, and fails when one panics, takes too much
//! memory or too long. The targets are in `crates/decoders`, their programs in `fuzz/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{During, Failure};
use crate::program;
use crate::workspace::Workspace;

pub(crate) const ARGUMENTS: &str = "[--seconds N] [TARGET]...";

/// Of cargo-fuzz: a fixed one, so that everybody runs the same.
const VERSION: &str = "0.13.2";

/// How long each target runs.
const SECONDS: u32 = 60;

/// Memory of one input with the sanitizer's own, in MiB. Inputs are some kilobytes: what takes more multiplies them.
const MEMORY_MIB: u32 = 2_048;

/// One input may take so long, in seconds: with the sanitizer a hundred times what is usual.
const INPUT_SECONDS: u32 = 10;

/// Bytes of an input: a few times the longest seed, so that parts can be repeated.
const INPUT_BYTES: u32 = 16 << 10;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let (seconds, chosen) = parse(arguments)?;
    let known = targets(workspace)?;
    if let Some(unknown) = chosen.iter().find(|name| !known.contains(name)) {
        return Err(Failure::Usage(format!(
            "there is no target `{unknown}`; there are {}",
            known.join(", ")
        )));
    }
    let chosen = if chosen.is_empty() { known } else { chosen };
    let cargo_fuzz = installed(workspace)?;
    let target_dir = workspace.target.join("fuzz");
    let command = |what: &str| {
        let mut command = Command::new(&cargo_fuzz);
        command.current_dir(&workspace.root).args(["fuzz", what, "--target-dir"]).arg(&target_dir);
        // The sanitizer and the counters of coverage are switched on by flags that only a nightly compiler takes otherwise.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    };
    program::run(&mut command("build"))?;

    let mut failed = Vec::new();
    for name in &chosen {
        eprintln!("\n== {name}: {seconds} s");
        let corpus = target_dir.join("corpus").join(name);
        let seeds = target_dir.join("seeds").join(name);
        let found = workspace.root.join("fuzz/artifacts").join(name);
        for folder in [&corpus, &seeds, &found] {
            fs::create_dir_all(folder).during(|| format!("cannot make `{}`", folder.display()))?;
        }
        let mut one = command("run");
        one.arg(name).args([&corpus, &seeds]).env("MINUTEBOOK_FUZZ_SEEDS", &seeds).arg("--").args([
            format!("-max_total_time={seconds}"),
            format!("-rss_limit_mb={MEMORY_MIB}"),
            format!("-timeout={INPUT_SECONDS}"),
            format!("-max_len={INPUT_BYTES}"),
            "-print_final_stats=1".to_owned(),
        ]);
        if let Err(failure) = program::run(&mut one) {
            eprintln!("error: {failure}");
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        let where_found = "the inputs are in fuzz/artifacts/TARGET";
        Err(Failure::Failed(format!("found something: {}; {where_found}", failed.join(", "))))
    }
}

fn parse(mut arguments: &[String]) -> Result<(u32, Vec<String>), Failure> {
    let mut seconds = SECONDS;
    if let [option, rest @ ..] = arguments
        && option == "--seconds"
    {
        let number = rest.first().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
        seconds = number.ok_or_else(|| Failure::Usage("`--seconds` needs a number from 1".into()))?;
        arguments = &rest[1..];
    }
    match arguments.iter().find(|argument| argument.starts_with('-')) {
        Some(option) => Err(Failure::Usage(format!("`{option}` is not known here: {ARGUMENTS}"))),
        None => Ok((seconds, arguments.to_vec())),
    }
}

/// The programs of `fuzz/`, by name.
fn targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).during(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry.during(|| format!("cannot read `{}`", folder.display()))?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// cargo-fuzz in Cargo's target folder, which is fetched and built when it is not there.
fn installed(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let tools = workspace.target.join("tools");
    let path = tools.join("bin/cargo-fuzz");
    if !is_version(&path) {
        eprintln!("installing cargo-fuzz {VERSION} in {} (once)", workspace.typed(&tools));
        let mut install = workspace.cargo();
        install
            .args(["install", "cargo-fuzz", "--locked", "--force", "--version", VERSION, "--root"])
            .arg(&tools);
        program::run(&mut install)?;
    }
    Ok(path)
}

fn is_version(cargo_fuzz: &Path) -> bool {
    let output = Command::new(cargo_fuzz).args(["fuzz", "--version"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_time_comes_first_and_targets_after() {
        let seen = |line: &str| parse(&words(line)).expect("a right command line");
        assert_eq!(seen(""), (SECONDS, Vec::new()));
        assert_eq!(seen("--seconds 5 otlp spool"), (5, words("otlp spool")));
        for line in ["--seconds", "--seconds 0", "--second 5", "otlp --seconds 5"] {
            assert_eq!(parse(&words(line)).map(|_| ()).expect_err("a wrong one").exit_code(), 2, "{line}");
        }
    }
}
