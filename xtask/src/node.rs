//! What the tests take from the npm registry: installed once, and again when the locked versions change.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{During, Failure};
use crate::program;
use crate::workspace::Workspace;

const FILES: [&str; 5] = ["package.json", "package-lock.json", ".npmrc", "provider.mjs", "browser.mjs"];

/// The program of a provider of OpenID Connect (`tests/provider`), with what it needs and a browser's driver beside it.
pub(crate) fn provider(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let (source, folder) = (workspace.root.join("tests/provider"), workspace.target.join("provider"));
    let program = folder.join("provider.mjs");
    let read = |file: &str| {
        let path = source.join(file);
        fs::read_to_string(&path).during(|| format!("cannot read `{}`", path.display()))
    };
    let wanted: String = FILES.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    let stamp = folder.join("made-from.txt");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(program);
    }
    eprintln!("installing the provider of OpenID Connect in {} (once)", workspace.typed(&folder));
    fs::create_dir_all(&folder).during(|| format!("cannot make `{}`", folder.display()))?;
    for file in FILES {
        fs::write(folder.join(file), read(file)?).during(|| format!("cannot write `{file}`"))?;
    }
    program::run(Command::new("npm").current_dir(&folder).args(["ci", "--silent"]))?;
    // Last: what was left half made has no stamp, and is made again.
    fs::write(&stamp, wanted).during(|| format!("cannot write `{}`", stamp.display()))?;
    Ok(program)
}
