//! The browser that tests drive: the one that is there, or Debian's.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::program;

/// Names under which distributions have it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Chromium's program. Where it is missing, and Debian's packages can be installed, it is installed.
pub(crate) fn chromium() -> Result<PathBuf, Failure> {
    if let Some(found) = found() {
        return Ok(found);
    }
    eprintln!("installing Chromium (once)");
    let mut update = Command::new("apt-get");
    let mut install = Command::new("apt-get");
    update.args(["update", "--quiet"]);
    install.args(["install", "--yes", "--quiet", "--no-install-recommends", "chromium"]);
    for command in [&mut update, &mut install] {
        program::run(command.env("DEBIAN_FRONTEND", "noninteractive")).map_err(|failure| {
            Failure::Failed(format!(
                "{failure}\nThe tests of signing in need Chromium: install it (`apt-get install chromium`, as root), and begin again"
            ))
        })?;
    }
    found().ok_or_else(|| Failure::Failed("Chromium was installed, and is not on the path".into()))
}

fn found() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let places = env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}
