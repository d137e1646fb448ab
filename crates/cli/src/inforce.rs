//! Texts that are put in force, such as a policy or retention settings: read from a file, put there, shown. Edge: what they mean is for whoever asks.

use std::io;
use std::path::Path;

use minutebook_present::page;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::failure::{Failure, Result};
use crate::limits::POLICY_BYTES_MAX;
use crate::options::Options;

/// A file with a text that is `what`, unless it is too large for one.
pub(crate) fn read(path: &Path, what: &str) -> Result<String> {
    let read = || {
        if std::fs::metadata(path)?.len() > POLICY_BYTES_MAX {
            return Err(io::Error::other(format!("it is too large for {what}")));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|error| Failure::file("read", path, &error))
}

/// What a text is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text {
    Policy,
    Retention,
    Access,
}

/// Puts a text in force, by the engine that runs or without one, and says so.
pub(crate) fn set(options: &Options, runtime: &Runtime, what: Text, text: &str) -> Result {
    let (changed, log_size) = runtime.block_on(async {
        match Access::open(&options.place()).await? {
            Access::Ours(mut engine) => {
                let changed = match what {
                    Text::Policy => engine.set_policy(text).await?,
                    Text::Retention => engine.set_retention(text).await?,
                    Text::Access => engine.set_access(text).await?,
                };
                let (log_size, _) = engine.published();
                engine.close().await;
                Ok::<_, Failure>((changed, log_size))
            }
            Access::Process(engine) => {
                let set = match what {
                    Text::Policy => engine.set_policy(text).await?,
                    Text::Retention => engine.set_retention(text).await?,
                    Text::Access => engine.set_access(text).await?,
                };
                Ok((set.changed, set.log_size))
            }
        }
    })?;
    let words = match what {
        Text::Policy => ["the policy is", "this policy is"],
        Text::Retention | Text::Access => ["the settings are", "these settings are"],
    };
    tell(options, words, changed, log_size)
}

/// Says that a text is in force since now, with the words for it, or was before.
fn tell(options: &Options, [now, before]: [&str; 2], changed: bool, log_size: u64) -> Result {
    let mut out = options.terminal().out();
    if options.json {
        out.json(&json!({ "changed": changed, "log_size": log_size }))?;
    } else if changed {
        out.line(&format!("{now} in force; the log has {log_size} entries"))?;
    } else {
        out.line(&format!("{before} in force already"))?;
    }
    out.flush()
}

/// Prints the text in force, or says on standard error that there is none.
pub(crate) fn show(options: &Options, name: &str, text: Option<String>, none: &str) -> Result {
    let mut out = options.terminal().out();
    match text {
        _ if options.json => out.json(&json!({ name: text }))?,
        Some(text) => {
            for line in text.lines() {
                let parts: Vec<_> = line.split('\t').map(page::printable).collect();
                out.line(&parts.join("\t"))?;
            }
        }
        None => options.terminal().say(none),
    }
    out.flush()
}
