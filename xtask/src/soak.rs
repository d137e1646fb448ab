//! `cargo xtask soak`: worker processes at full rate while they and the engine are killed; then every number is accounted for.

use std::fs;
use std::process::Command;

use crate::failure::{During, Failure};
use crate::program;
use crate::wheels::{self, Profile};
use crate::workspace::Workspace;

pub(crate) const ARGUMENTS: &str = "[ARGUMENTS OF python/bench/soak.py]";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let python = wheels::installed(workspace, Profile::Release)?;
    let folder = workspace.target.join("soak");
    if folder.exists() {
        fs::remove_dir_all(&folder).during(|| format!("cannot remove `{}`", folder.display()))?;
    }
    let mut command = Command::new(python);
    program::run(
        command.current_dir(&workspace.root).arg("python/bench/soak.py").arg(&folder).args(arguments),
    )
}
