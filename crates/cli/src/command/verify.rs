//! `minutebook verify`: a whole trail, or a proof file.

use std::path::{Path, PathBuf};

use clap::Args;
use minutebook_tlog::Policy;
use minutebook_trail::{Error as TrailError, FolderSource, Place, Reader, TrailLock, lasting};
use minutebook_verify::keys::{Keys, NoKeys};
use minutebook_verify::receipt::verify_receipt;
use minutebook_verify::trailfile::TRAIL_FILE;
use minutebook_verify::{Options as VerifyOptions, Report, hex, verify};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::auditkeys::AuditKeys;
use crate::failure::{Exit, Failure, Result};
use crate::limits::PROOF_BYTES_MAX;
use crate::options::Options;
use crate::progress::Progress;
use crate::seen::SeenFolder;
use crate::{moment, samplingkeys, terminal};
use minutebook_present::json::Printer;
use minutebook_present::page::{self, Verification};

/// Verify a trail, or a proof file with nothing but a policy.
///
/// Everything is computed again from the stored bytes. Level 0 needs no keys and checks that they are the
/// bytes that the log describes; level 1, with audit keys, the numbers and places of the records; level 2,
/// with the trail's keys, every field. The checkpoint of a trail in which nothing is wrong is remembered, so
/// that one that was rolled back or rewritten is found the next time.
#[derive(Debug, Args)]
#[command(display_order = 8)]
pub(super) struct Verify {
    /// A proof file, as `receipt` writes it, or a trail's folder [default: what --trail says].
    #[arg(value_name = "FILE|DIR")]
    what: Option<PathBuf>,
    /// Whom to believe: a tlog-policy, as `key show --policy` prints it.
    #[arg(long, value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// How deep [default: as deep as there are keys for].
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    level: Option<u8>,
    /// Keys of an auditor, as `key export --audit` writes them, instead of the key folder.
    #[arg(long, value_name = "FILE")]
    audit_keys: Option<PathBuf>,
    /// Sampling keys, as `key export --sampling` writes them, to check that the right decisions were kept [default: those of the
    /// key folder].
    #[arg(long, value_name = "FILE")]
    sampling_key: Option<PathBuf>,
    /// Segments that are checked side by side [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Neither use nor change what is remembered of this trail.
    #[arg(long)]
    no_remember: bool,
}

/// What to read a trail with.
enum Reading {
    None,
    Audit(AuditKeys),
    // Boxed: it is far larger than the others.
    Trail(Box<Reader>),
}

impl Verify {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        let folder = match &self.what {
            Some(file) if !file.is_dir() => return self.proof(options, file, policy.as_ref()),
            folder => folder.as_ref().unwrap_or(&options.trail),
        };
        self.trail(options, runtime, options.place_in(folder.clone()), policy.as_ref())
    }

    fn proof(&self, options: &Options, file: &Path, policy: Option<&Policy>) -> Result {
        let of_trails = [
            ("--level", self.level.is_some()),
            ("--audit-keys", self.audit_keys.is_some()),
            ("--sampling-key", self.sampling_key.is_some()),
            ("--threads", self.threads.is_some()),
            ("--no-remember", self.no_remember),
        ];
        if let Some((option, _)) = of_trails.iter().find(|(_, given)| *given) {
            let what = format!("`{option}` is for a trail, and `{}` is no folder", file.display());
            return Err(Failure::input(what, "name the trail's folder, or leave the option out"));
        }
        let Some(policy) = policy else {
            let what = format!("`{}` is no folder, and a proof file needs a policy", file.display());
            return Err(Failure::input(what, "give one with --policy, or name a trail's folder"));
        };
        proof(options, file, policy)
    }

    fn trail(&self, options: &Options, runtime: &Runtime, place: Place, policy: Option<&Policy>) -> Result {
        if !place.folder.join(TRAIL_FILE).exists() && !place.folder.join("log").exists() {
            return Err(TrailError::NoTrail { folder: place.folder }.into());
        }
        let (reading, deepest) = self.keys(options, runtime, &place)?;
        let level = self.level.unwrap_or(deepest);
        if level > deepest {
            let what =
                format!("level {level} needs other keys: an auditor's reach level 1, or 2 with content keys");
            return Err(Failure::input(what, "leave --level out to go as deep as the keys do"));
        }
        let seen = if self.no_remember { None } else { SeenFolder::of_user() };
        // A trail file that cannot be read is a finding, and then nothing is known of the trail.
        let id = place.trail_file().ok().map(|file| hex(&file.id));
        let pinned = match (&seen, &id) {
            (Some(seen), Some(id)) => seen.read(id)?,
            _ => None,
        };
        let earlier = pinned.as_ref().map(|pinned| pinned.size);
        let keys: Box<dyn Keys> = match &reading {
            Reading::None => Box::new(NoKeys),
            Reading::Audit(keys) => Box::new(keys.up_to(level)),
            Reading::Trail(reader) => Box::new(reader.keys().up_to(level)),
        };
        let sampling = match (&self.sampling_key, &reading) {
            (Some(path), _) => samplingkeys::read(path)?,
            (None, Reading::Trail(reader)) => reader.keys().sampling(),
            (None, _) => Vec::new(),
        };
        let terminal = options.terminal();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let look = || {
            let progress = Progress::new(&terminal, "verified", "segments");
            // Not on the runtime: the keys wait for the catalog, which answers there.
            let report = verify(
                &FolderSource::new(place.folder.clone()),
                &VerifyOptions {
                    keys: keys.as_ref(),
                    pinned: pinned.clone(),
                    policy,
                    sampling: &sampling,
                    in_progress: Vec::new(),
                    threads: self.threads.map_or(processors, usize::from),
                    progress: &|done, all| progress.show(done, all),
                },
            );
            progress.clear();
            report
        };
        let mut report = look();
        if !report.is_clean() && TrailLock::is_held(&place).unwrap_or(false) {
            terminal.say("an engine is at work on this trail: looking a second time");
            report = lasting(&report, look());
        }
        let witnesses = policy.is_some_and(Policy::needs_witnesses);
        let all_accounts = options.verbose > 0;
        tell(options, &Verification { report: &report, level, earlier, witnesses, all_accounts })?;
        if !report.is_clean() {
            return Err(Failure::Said(Exit::Problems));
        }
        match seen {
            Some(seen) => remember(&terminal, &seen, &report),
            None => Ok(()),
        }
    }

    /// The keys at hand, and how deep they reach.
    fn keys(&self, options: &Options, runtime: &Runtime, place: &Place) -> Result<(Reading, u8)> {
        if self.level == Some(0) {
            return Ok((Reading::None, 0));
        }
        if let Some(path) = &self.audit_keys {
            let keys = AuditKeys::read(path)?;
            let deepest = keys.deepest();
            return Ok((Reading::Audit(keys), deepest));
        }
        match runtime.block_on(Reader::open(place)) {
            Ok(reader) => Ok((Reading::Trail(Box::new(reader)), 2)),
            // What is wrong with these is told by the verification itself.
            Err(TrailError::NoTrail { .. } | TrailError::TrailFile { .. }) => Ok((Reading::None, 0)),
            Err(error @ (TrailError::KeysMissing { .. } | TrailError::CatalogMissing { .. }))
                if self.level.is_none() =>
            {
                options.terminal().complain(&format!("only the log is verified: {error}"));
                Ok((Reading::None, 0))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What was verified stands whether or not it can be remembered.
fn remember(terminal: &terminal::Terminal, seen: &SeenFolder, report: &Report) -> Result {
    if let Err(failure) = seen.write(report, &moment::now_text()) {
        let text = failure.to_string();
        terminal.complain(&format!(
            "warning: this checkpoint is not remembered: {}",
            text.trim_start_matches("error: ")
        ));
    }
    Ok(())
}

fn tell(options: &Options, verification: &Verification<'_>) -> Result {
    let terminal = options.terminal();
    let mut out = terminal.out();
    if options.json {
        out.json(&page::report_json(verification))?;
    } else {
        out.text(&page::report(&terminal.look(), verification))?;
    }
    out.flush()
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        if std::fs::metadata(path)?.len() > PROOF_BYTES_MAX {
            return Err(std::io::Error::other("it is too large for a proof or a policy"));
        }
        std::fs::read(path)
    };
    read().map_err(|error| Failure::file("read", path, &error))
}

fn read_policy(path: &Path) -> Result<Policy> {
    Policy::parse(&read_file(path)?).map_err(|error| {
        let what = format!("`{}` is no policy: {error}", path.display());
        Failure::input(what, "for a trail of your own, `minutebook key show --policy` prints one")
    })
}

fn proof(options: &Options, path: &Path, policy: &Policy) -> Result {
    let file = read_file(path)?;
    let terminal = options.terminal();
    let mut out = terminal.out();
    let proved = match verify_receipt(&file, policy) {
        Ok(proved) => proved,
        Err(error) => {
            if options.json {
                out.json(&json!({ "clean": false, "problem": error.to_string() }))?;
            } else {
                out.line(&format!("The proof does not hold: {error}."))?;
            }
            out.flush()?;
            return Err(Failure::Said(Exit::Problems));
        }
    };
    if options.json {
        let checkpoint = &proved.accepted.checkpoint;
        let header = &proved.header;
        let witnesses = proved.accepted.witnesses.iter();
        let witnesses: Vec<String> = witnesses.map(|witnessed| witnessed.witness.name.to_string()).collect();
        out.json(&json!({
            "clean": true,
            "id": header.id.to_string(),
            "kind": header.kind.name(),
            "class": header.class.as_str(),
            "producer": header.producer.to_string(),
            "epoch": header.epoch.get(),
            "seq": header.seq.get(),
            "segment": hex(&proved.descriptor.segment),
            "origin": checkpoint.origin(),
            "log_size": checkpoint.size().get(),
            "log_key": proved.accepted.log.key.to_string(),
            "witnesses": witnesses,
            "record": page::receipt_record(&proved).map(|record| Printer::default().record(&record)),
        }))?;
    } else {
        out.text(&page::receipt(&terminal.look(), &proved))?;
    }
    out.flush()
}
