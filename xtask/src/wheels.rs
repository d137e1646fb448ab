//! The Python package as its users get it: two wheels, the extension's and the program's, built by maturin. `cargo xtask wheels`
//! builds them for release; tests, demo and benchmarks install them into the project's environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{During, Failure};
use crate::workspace::Workspace;
use crate::{program, python};

pub(crate) const ARGUMENTS: &str = "[PYTHON]...";

/// What the extension's wheel may take: people install it in every image of a service.
const EXTENSION_BYTES_MAX: u64 = 8 << 20;

/// Where the sources of a wheel are.
const EXTENSION: &str = "python";
const PROGRAM: &str = "python/engine";

/// How a wheel is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the tests are: the program's parts are built already then.
    Dev,
    /// As users get it.
    Release,
    /// The same for the extension, as one piece of code.
    Wheel,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Wheel => "wheel",
        }
    }
}

/// `cargo xtask wheels`: the wheels for release, for these interpreters or for the project's.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let python = python::interpreter(workspace)?;
    let own = [python.display().to_string()];
    let interpreters = if arguments.is_empty() { own.as_slice() } else { arguments };
    let into = workspace.target.join("wheels");
    clear(&into)?;
    for interpreter in interpreters {
        build(workspace, &python, EXTENSION, Profile::Wheel, &into, &["--interpreter", interpreter])?;
    }
    build(workspace, &python, PROGRAM, Profile::Release, &into, &[])?;
    for wheel in wheels(&into)? {
        let bytes = fs::metadata(&wheel).during(|| format!("cannot read `{}`", wheel.display()))?.len();
        println!("{:9} bytes  {}", bytes, workspace.typed(&wheel));
    }
    check_size(&into)
}

/// Builds the extension's wheel for release, and fails when it has grown too large.
pub(crate) fn check_extension(workspace: &Workspace) -> Result<(), Failure> {
    let python = python::interpreter(workspace)?;
    let into = workspace.target.join("wheels");
    clear(&into)?;
    let interpreter = python.display().to_string();
    build(workspace, &python, EXTENSION, Profile::Wheel, &into, &["--interpreter", &interpreter])?;
    check_size(&into)
}

/// The project's environment with the package in it.
pub(crate) fn installed(workspace: &Workspace, profile: Profile) -> Result<PathBuf, Failure> {
    let python = python::interpreter(workspace)?;
    install(workspace, &python, profile)?;
    Ok(python)
}

/// Builds the package and puts it into an environment, which has maturin.
pub(crate) fn install(workspace: &Workspace, python: &Path, profile: Profile) -> Result<(), Failure> {
    let into = workspace.target.join("wheels").join(format!("installed-{}", profile.name()));
    clear(&into)?;
    eprintln!("building the Python package");
    let interpreter = python.display().to_string();
    let of_extension = if profile == Profile::Release { Profile::Wheel } else { profile };
    build(workspace, python, EXTENSION, of_extension, &into, &["--interpreter", &interpreter])?;
    build(workspace, python, PROGRAM, profile, &into, &[])?;
    let mut pip = Command::new(python);
    pip.current_dir(&workspace.root).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
    ]);
    program::run(pip.args(["--no-deps", "--force-reinstall"]).args(wheels(&into)?))
}

fn build(
    workspace: &Workspace,
    python: &Path,
    sources: &str,
    profile: Profile,
    into: &Path,
    more: &[&str],
) -> Result<(), Failure> {
    let mut maturin = Command::new(python);
    maturin.current_dir(workspace.root.join(sources)).env("CARGO_TARGET_DIR", &workspace.target);
    maturin.args(["-m", "maturin", "build", "--quiet", "--locked", "--strip", "--auditwheel", "skip"]);
    program::run(maturin.args(["--profile", profile.name(), "--out"]).arg(into).args(more))
}

fn clear(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).during(|| format!("cannot remove `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).during(|| format!("cannot make `{}`", folder.display()))
}

fn wheels(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).during(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry.during(|| format!("cannot read `{}`", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn check_size(folder: &Path) -> Result<(), Failure> {
    let is_extension = |wheel: &PathBuf| {
        wheel.file_name().is_some_and(|name| name.to_string_lossy().starts_with("minutebook-"))
    };
    let extensions: Vec<PathBuf> = wheels(folder)?.into_iter().filter(is_extension).collect();
    if extensions.is_empty() {
        return Err(Failure::Failed(format!("no wheel of the extension in `{}`", folder.display())));
    }
    for wheel in extensions {
        let bytes = fs::metadata(&wheel).during(|| format!("cannot read `{}`", wheel.display()))?.len();
        if bytes > EXTENSION_BYTES_MAX {
            let name = wheel.display();
            return Err(Failure::Failed(format!(
                "`{name}` has {bytes} bytes, at most {EXTENSION_BYTES_MAX}"
            )));
        }
    }
    Ok(())
}
