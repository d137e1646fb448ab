//! This program started anew, to stay when the first one has gone: an engine in the background. Edge: how it is started and how its
//! beginning is told; what it does is in `serving`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use minutebook_trail::{ENGINE_LOG, STAGING};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::failure::{Exit, Failure, Result};
use crate::sys;
use crate::terminal::Terminal;

/// Starts this program with `arguments`, and waits until it has said on standard output that it runs, or has failed. What it prints until then
/// is printed here, and its failure is ours.
pub(crate) async fn start(terminal: &Terminal, arguments: &[std::ffi::OsString]) -> Result {
    let said = start_quietly(terminal, arguments).await?;
    let mut to = terminal.out();
    to.text(&said)?;
    to.flush()
}

/// The same, but what it has said on standard output is given back.
pub(crate) async fn start_quietly(terminal: &Terminal, arguments: &[std::ffi::OsString]) -> Result<String> {
    let failed = |error: std::io::Error| Failure::Told {
        exit: Exit::Io,
        what: format!("cannot start in the background: {error}"),
        to_do: None,
    };
    sys::keep_descriptors_to_ourselves().map_err(failed)?;
    let mut command = std::process::Command::new(program());
    command.arg0("minutebook").args(arguments).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Command::from(command).spawn().map_err(failed)?;
    // Both at once: one that is full would keep the other from ending.
    let (out, err) = tokio::join!(all(child.stdout.take()), all(child.stderr.take()));
    if !err.trim().is_empty() {
        terminal.complain(err.trim_end());
    }
    if !out.is_empty() {
        return Ok(out);
    }
    let status = child.wait().await.map_err(failed)?;
    match status.code() {
        Some(code) => Err(Failure::Said(Exit::of_code(code))),
        None => Err(failed(std::io::Error::other(format!("it ended before it answered ({status})")))),
    }
}

/// This program, also when its file was replaced since it was started.
fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

async fn all(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What came before an error is still worth telling.
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Turns away from who started this process: what is printed from now on goes to the engine's log file in the trail's folder, begun anew.
pub(crate) fn turn_away(folder: &Path) -> Result {
    turn_away_to(&folder.join(STAGING).join(ENGINE_LOG))
}

/// The same with another log file.
pub(crate) fn turn_away_to(path: &Path) -> Result {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let open = || {
        let log = log?;
        log.set_len(0)?;
        sys::redirect(&File::options().write(true).open("/dev/null")?, &log)
    };
    open().map_err(|error| Failure::file("write", path, &error))
}
