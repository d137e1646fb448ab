//! Where things are: the repository, Cargo's target folder, and what `cargo metadata` says about the packages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::{During, Failure};

/// The checkout that this program was built in.
pub(crate) struct Workspace {
    /// The repository's root; tasks run their programs here.
    pub(crate) root: PathBuf,
    /// Cargo's target folder: everything that a task makes and nobody keeps.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here).to_path_buf();
        if !root.join("Cargo.toml").is_file() {
            let root = root.display();
            return Err(Failure::Failed(format!(
                "the repository is no longer at `{root}`: build the tasks again"
            )));
        }
        let mut workspace = Self { target: root.join("target"), root };
        let metadata = workspace.metadata(&["--no-deps"])?;
        if let Some(target) = metadata["target_directory"].as_str() {
            workspace.target = PathBuf::from(target);
        }
        Ok(workspace)
    }

    /// `cargo`, in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// What `cargo metadata` prints.
    pub(crate) fn metadata(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let mut command = self.cargo();
        command.args(["metadata", "--format-version", "1"]).args(arguments);
        let output = command.output().during(|| "cannot start `cargo metadata`".into())?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::Failed(format!("`cargo metadata` failed\n{message}")));
        }
        serde_json::from_slice(&output.stdout).during(|| "`cargo metadata` printed no JSON".into())
    }

    /// A path as somebody in the root would type it.
    pub(crate) fn typed(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
