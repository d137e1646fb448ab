//! `minutebook key`: what the trail's keys are, an auditor's copy, new ones.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use minutebook_trail::{Engine, Environment, Reader, copy_keys};
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::auditkeys;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::{moment, samplingkeys};

/// Show, export and rotate keys.
#[derive(Debug, Subcommand)]
#[command(display_order = 14)]
pub(super) enum Key {
    Show(Show),
    Export(Export),
    Copy(Copy),
    Rotate(Rotate),
}

/// Copy the key folder, apart from the trail and its backups; `restore` needs such a copy.
///
/// It is recorded when it is made and when it expires: whoever has a copy from before an erasure, and a backup
/// from before it, can still read what was erased. So destroy it by then. Works beside an engine.
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// Where to: a new or empty folder, or an earlier copy, which is replaced.
    to: PathBuf,
    /// When it is to be destroyed: in so long (30d), or a time such as 2027-02-01 [default: never].
    #[arg(long, value_name = "TIME", value_parser = moment::parse_ahead)]
    expires: Option<i64>,
}

/// Show the trail's public keys, and which others there are.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Print a tlog-policy that believes this trail's log: what `verify FILE --policy` needs.
    #[arg(long)]
    policy: bool,
}

/// Write keys for an auditor, who can then verify the numbers and places of all records but read none of
/// them, or which ones sampling kept.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The audit keys, one for each retention class and month.
    #[arg(long, required_unless_present = "sampling", conflicts_with = "sampling")]
    audit: bool,
    /// The content keys too, with which records can be read that are about no subject.
    #[arg(long, conflicts_with = "sampling")]
    content: bool,
    /// The sampling keys instead. Whoever has them can tell which number will be left out.
    #[arg(long)]
    sampling: bool,
    /// Where to write them; the file must not be there [default: standard output, unless it is a terminal].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Replace a key. Back the key folder up afterwards.
#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct Rotate {
    /// The key that wraps all others. No stored object changes.
    #[arg(long)]
    key_encryption: bool,
    /// The key that signs checkpoints. The old one names the new one, so who knows the old one can follow.
    #[arg(long)]
    signing: bool,
    /// The key that decides what sampling leaves out. Also while an engine runs. The old one is kept, for verifying.
    #[arg(long, conflicts_with_all = ["key_encryption", "signing"])]
    sampling: bool,
}

impl Key {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Show(show) => show.run(options, runtime),
            Self::Export(export) => export.run(options, runtime),
            Self::Copy(copy) => copy.run(options, runtime),
            Self::Rotate(rotate) => rotate.run(options, runtime),
        }
    }
}

impl Copy {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place();
        let file = place.trail_file()?;
        let keys = place.key_folder(&file.id)?;
        let expires = self.expires.map(moment::text_of);
        let noted = runtime.block_on(async {
            Ok::<_, Failure>(match Access::open(&place).await? {
                Access::Ours(mut engine) => {
                    let noted = engine.note_key_copy(expires.as_deref()).await;
                    engine.close().await;
                    noted?
                }
                Access::Process(engine) => engine.note_key_copy(expires.as_deref()).await?,
            })
        })?;
        let to = std::path::absolute(&self.to).unwrap_or(self.to);
        copy_keys(&keys, file.id, &to)?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "made": noted.made, "expires": noted.expires, "log_size": noted.log_size }))?;
        } else {
            let until = match &noted.expires {
                Some(expires) => format!("destroy it by {expires}"),
                None => "it was given no end: whoever has it can read what is erased from now on, with a backup from before".into(),
            };
            out.line(&format!("the keys are in `{}`; {until}", to.display()))?;
        }
        out.flush()
    }
}

impl Show {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let mut out = options.terminal().out();
        let place = options.place();
        let (reader, epochs) = runtime.block_on(async {
            let reader = Reader::open(&place).await?;
            let epochs = reader.class_epoch_keys().await?;
            Ok::<_, Failure>((reader, epochs))
        })?;
        if self.policy {
            out.text(&reader.policy())?;
            return out.flush();
        }
        let file = reader.trail();
        let folder = reader.keys().folder();
        let wrapping: Vec<&str> = folder.key_encryption.iter().map(|key| key.id.as_str()).collect();
        if options.json {
            let epochs = epochs
                .iter()
                .map(|key| json!({ "id": hex(&key.id), "class": key.class, "month": key.month }));
            out.json(&json!({
                "trail": hex(&file.id),
                "name": file.name,
                "created": file.created,
                "log_key": file.log_key,
                "acknowledgement_key": file.acknowledgement_key,
                "earlier_log_keys": file.succession.iter().map(|step| &step.old).collect::<Vec<_>>(),
                "folder": folder.path(),
                "key_encryption": wrapping,
                "class_epochs": epochs.collect::<Vec<_>>(),
            }))?;
            return out.flush();
        }
        let mut lines = vec![
            ("trail", hex(&file.id)),
            ("log", file.name.clone()),
            ("created", file.created.clone()),
            ("signs checkpoints", file.log_key.clone()),
            ("signs acknowledgements", file.acknowledgement_key.clone()),
        ];
        lines.extend(
            file.succession.iter().map(|step| ("signed earlier", format!("{} until {}", step.old, step.at))),
        );
        lines.push(("key folder", folder.path().display().to_string()));
        lines.extend(wrapping.iter().map(|id| ("wraps the others", (*id).to_owned())));
        lines.extend(
            epochs
                .iter()
                .map(|key| ("class and month", format!("{} {} {}", key.class, key.month, hex(&key.id)))),
        );
        for (name, value) in lines {
            out.line(&format!("{name:<23} {value}"))?;
        }
        out.flush()
    }
}

impl Export {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        if self.output.is_none() && std::io::stdout().is_terminal() {
            return Err(Failure::input("keys are not shown on a terminal", "name a file with --output"));
        }
        let (text, count) = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            let id = reader.trail().id;
            if self.sampling {
                let folder = reader.keys().folder();
                return Ok((samplingkeys::render(&id, &folder.sampling)?, folder.sampling.len()));
            }
            let keys = reader.class_epoch_keys().await?;
            Ok::<_, Failure>((auditkeys::render(&id, &keys, self.content)?, keys.len()))
        })?;
        match &self.output {
            Some(path) => {
                auditkeys::write(path, &text)?;
                options.terminal().say(&format!("wrote {count} keys to `{}`", path.display()));
                Ok(())
            }
            None => {
                let mut out = options.terminal().out();
                out.text(&text)?;
                out.flush()
            }
        }
    }
}

impl Rotate {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let rotated = runtime.block_on(async {
            if self.sampling {
                let digest = match Access::open(&options.place()).await? {
                    Access::Ours(mut engine) => {
                        let digest = hex(&engine.rotate_sampling().await?);
                        engine.close().await;
                        digest
                    }
                    Access::Process(engine) => engine.rotate_sampling_key().await?.sha256,
                };
                return Ok(vec![("sampling", digest)]);
            }
            let mut engine = Engine::open(&options.place(), Environment::default()).await?;
            let mut rotated = Vec::new();
            if self.key_encryption {
                rotated.push(("key_encryption", engine.rotate_key_encryption().await?));
            }
            if self.signing {
                rotated.push(("signing", engine.rotate_signing().await?));
            }
            engine.close().await;
            Ok::<_, Failure>(rotated)
        })?;
        let mut out = options.terminal().out();
        for (which, key) in rotated {
            if options.json {
                out.json(&json!({ "rotated": which, "new": key }))?;
            } else {
                let by = if self.sampling { "of SHA-256 " } else { "" };
                out.line(&format!("{} key rotated, the new one is {by}{key}", which.replace('_', "-")))?;
            }
        }
        out.flush()?;
        options.terminal().say(if self.sampling {
            "Back the key folder up now: what comes next cannot be proved with the copy that you have."
        } else {
            "Back the key folder up now: the copy that you have does not open what comes next."
        });
        Ok(())
    }
}
