//! The virtual environment of the example and of the Python checks: made once, made anew when the pinned requirements
//! or the interpreter change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{During, Failure};
use crate::program;
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "tests/python/requirements.txt";

/// The interpreter of the environment, which is made if need be.
pub(crate) fn interpreter(workspace: &Workspace) -> Result<PathBuf, Failure> {
    environment(workspace, "venv", REQUIREMENTS)
}

/// The interpreter of an environment of its own, which is made if need be from these requirements.
pub(crate) fn environment(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf, Failure> {
    let folder = workspace.target.join(name);
    let python = folder.join("bin").join("python");
    let stamp = folder.join("made-from.txt");
    let wanted = made_from(workspace, requirements)?;
    if python.exists() && is_made_from(&stamp, &wanted) {
        return Ok(python);
    }

    eprintln!("making the Python environment in {} (once)", workspace.typed(&folder));
    if folder.exists() {
        fs::remove_dir_all(&folder).during(|| format!("cannot remove `{}`", folder.display()))?;
    }
    program::run(workspace_python(workspace).args(["-m", "venv"]).arg(&folder))?;
    program::run(
        Command::new(&python)
            .current_dir(&workspace.root)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                // Most of it is never imported.
                "--no-compile",
                "--only-binary",
                ":all:",
            ])
            .args(["--requirement", requirements]),
    )?;
    // Last: an environment that was left half made has no stamp, and is made again.
    fs::write(&stamp, wanted).during(|| format!("cannot write `{}`", stamp.display()))?;
    Ok(python)
}

fn workspace_python(workspace: &Workspace) -> Command {
    let mut command = Command::new("python3");
    command.current_dir(&workspace.root);
    command
}

/// The interpreter's version, then the requirements as they are: what the environment depends on.
fn made_from(workspace: &Workspace, requirements: &str) -> Result<String, Failure> {
    let version = program::output(workspace_python(workspace).arg("--version"))?;
    let requirements = fs::read_to_string(workspace.root.join(requirements))
        .during(|| format!("cannot read `{requirements}`"))?;
    Ok(format!("{}{requirements}", String::from_utf8_lossy(&version.stdout)))
}

fn is_made_from(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_reused_only_when_made_from_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stamp = folder.path().join("made-from.txt");
        assert!(!is_made_from(&stamp, "Python 3.11.7\na==1\n"), "no stamp");
        fs::write(&stamp, "Python 3.11.7\na==1\n").expect("written");
        assert!(is_made_from(&stamp, "Python 3.11.7\na==1\n"));
        assert!(!is_made_from(&stamp, "Python 3.12.0\na==1\n"), "another interpreter");
        assert!(!is_made_from(&stamp, "Python 3.11.7\na==2\n"), "another requirement");
    }
}
