//! What can go wrong with a trail, and what to do about it. Edge: says nothing of contents, keys or persons.

use minutebook_verify::hex;
use std::path::{Path, PathBuf};

/// The result of the engine's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The request is wrong: another one may work.
    FixRequest,
    /// The trail cannot be used as it is: wrong keys, another engine, a newer format.
    FixSetup,
    /// The disk or the store failed: mend that, open the trail again.
    Retry,
    /// Stored data contradicts itself: stop and inspect.
    Inspect,
}

/// An error of the trail's engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no trail there.
    #[error("no trail in `{}`: there is no `trail.toml`. Make one with `minutebook init`, or name the right folder with --trail", folder.display())]
    NoTrail {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A copy that is for reading.
    #[error(
        "`{}` is a copy that was restored from a backup, and is for reading only. If the trail that it was copied from is gone, \
         `minutebook promote` makes this copy the trail",
        folder.display()
    )]
    NotPromoted {
        /// The folder.
        folder: PathBuf,
    },
    /// Promoting would give one trail two continuations.
    #[error(
        "this copy ends at {ours} log entries, and {by} has {known} or more of the same trail: two trails of one name that go on differently would \
         be shown by every checkpoint that somebody kept. Restore a newer backup, or bring the original back; if what came after is lost for \
         good, promote with --fork"
    )]
    LogAhead {
        /// Entries here.
        ours: u64,
        /// Entries that are known elsewhere.
        known: u64,
        /// Where.
        by: String,
    },
    /// A place for backups cannot be used.
    #[error("the backup `{place}` {what}")]
    Backup {
        /// Which place.
        place: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Objects are missing or damaged.
    #[error("{} of {what} missing or damaged: {}. {to_do}", objects.len(), named(objects))]
    Objects {
        /// Of what.
        what: &'static str,
        /// Their names.
        objects: Vec<String>,
        /// What to do.
        to_do: &'static str,
    },
    /// A text is no sampling policy.
    #[error("{0}")]
    Policy(#[from] minutebook_policy::PolicyError),
    /// A text is no retention settings.
    #[error("{0}")]
    Retention(#[from] minutebook_verify::retention::SettingsError),
    /// Settings would shorten a floor.
    #[error("a floor is not shortened: {what}. Nothing was changed")]
    FloorShortened {
        /// Which, and why.
        what: String,
    },
    /// There is one already.
    #[error("`{}` holds a trail already: name another folder for a new one", folder.display())]
    TrailExists {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder has other things in it.
    #[error("`{}` is not empty and holds no trail: name a new or empty folder", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// `trail.toml` cannot be used.
    #[error("`{}`: {source}", path.display())]
    TrailFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: minutebook_verify::trailfile::TrailFileError,
    },
    /// Something was written by a later version.
    #[error("{what} `{}` is of format `{found}`, which is newer than this program: use a newer program", path.display())]
    Newer {
        /// Which thing.
        what: &'static str,
        /// Its format.
        found: String,
        /// Its file.
        path: PathBuf,
    },
    /// Another engine works on the trail.
    #[error("the trail `{}` is in use by another engine ({holder}): wait for it, or stop it", folder.display())]
    Locked {
        /// The trail.
        folder: PathBuf,
        /// Who has the lock, as it noted itself.
        holder: String,
    },
    /// No key folder.
    #[error("no keys in `{}`: name the key folder with --keys or MINUTEBOOK_KEYS, or restore it from its backup", folder.display())]
    KeysMissing {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// The key folder cannot be made where it is to be.
    #[error(
        "the key folder `{}` cannot be made: {source}. Name one that can be written with --keys or MINUTEBOOK_KEYS",
        folder.display()
    )]
    KeysNowhere {
        /// Where it was to be.
        folder: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A key folder is there already.
    #[error("`{}` holds keys already, which are not overwritten: name another folder with --keys", folder.display())]
    KeysExist {
        /// The folder.
        folder: PathBuf,
    },
    /// The keys of another trail.
    #[error("the keys in `{}` are those of another trail ({theirs}): name this trail's with --keys or MINUTEBOOK_KEYS", folder.display())]
    KeysOfAnotherTrail {
        /// The folder.
        folder: PathBuf,
        /// That trail's id.
        theirs: String,
    },
    /// Others can read the keys.
    #[error("`{0}` can be read by others: `chmod go= {0}`, and think about rotating the keys", file.display())]
    KeysOpenToOthers {
        /// The file.
        file: PathBuf,
    },
    /// The key file cannot be read.
    #[error("`{}` is damaged: {what}. Restore it from its backup", file.display())]
    KeysMalformed {
        /// The file.
        file: PathBuf,
        /// What is wrong. Never a key.
        what: &'static str,
    },
    /// The keys do not fit what `trail.toml` says.
    #[error(
        "the {what} in `{}` is not this trail's: name its own key folder with --keys or MINUTEBOOK_KEYS, or restore the newest copy of it",
        folder.display()
    )]
    KeysDoNotMatch {
        /// Which key.
        what: &'static str,
        /// The key folder.
        folder: PathBuf,
    },
    /// A bucket has two keys already.
    #[error(
        "bucket {bucket} is in transition already: open the trail anew to finish the erasure that was interrupted"
    )]
    BucketInTransition {
        /// Which bucket.
        bucket: u16,
    },
    /// A bucket key of the catalog's generation is not in the key folder.
    #[error(
        "the catalog says generation {generation} of bucket {bucket}, and the key folder has no such key: one of the two is an older copy. \
         Nothing was changed. Restore the newest of both"
    )]
    BucketGeneration {
        /// Which bucket.
        bucket: u16,
        /// What the catalog says.
        generation: u32,
    },
    /// No catalog.
    #[error("the catalog `{}` is missing: restore it from a backup", path.display())]
    CatalogMissing {
        /// Its file.
        path: PathBuf,
    },
    /// The catalog cannot be used.
    #[error("the catalog `{}` cannot be used: {what}. Restore the newest copy of it; `minutebook doctor` tells more", path.display())]
    CatalogUnusable {
        /// Its file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The catalog failed.
    #[error("the catalog `{}` failed: {source}", path.display())]
    Catalog {
        /// Its file.
        path: PathBuf,
        /// The database's word.
        source: sqlx::Error,
    },
    /// The published log is ahead of the catalog.
    #[error(
        "the log has {published} entries and the catalog knows {known}: the catalog is an older copy. Nothing was written. \
         Restore the newest catalog; `minutebook doctor` says what differs"
    )]
    CatalogBehindLog {
        /// The checkpoint's size.
        published: u64,
        /// The catalog's.
        known: u64,
    },
    /// The log and the catalog disagree on the same entries.
    #[error(
        "the log and the catalog disagree ({what}): nothing was written. Run `minutebook verify` and `minutebook doctor --deep`"
    )]
    LogDisagrees {
        /// In what.
        what: String,
    },
    /// What was read back is not what was written.
    #[error(
        "segment {} was written and read back differently ({what}): the storage is not to be trusted. It was not placed",
        hex(segment)
    )]
    ReadBack {
        /// The segment.
        segment: minutebook_verify::Id,
        /// In what.
        what: String,
    },
    /// A number would be placed twice.
    #[error("number {number} of producer {} epoch {epoch} class {class} is placed already", hex(producer))]
    Overlap {
        /// Whose number.
        producer: minutebook_verify::Id,
        /// Of which run.
        epoch: u64,
        /// In which class.
        class: String,
        /// The number.
        number: u64,
    },
    /// A stored segment cannot be read.
    #[error("segment {} {what}", hex(segment))]
    Segment {
        /// The segment.
        segment: minutebook_verify::Id,
        /// What is wrong.
        what: String,
    },
    /// No such record.
    #[error(
        "no record {id} is sealed in this trail (a record that was just handed over can still be in the spool: `minutebook seal`)"
    )]
    NoRecord {
        /// Its id.
        id: String,
    },
    /// No such subject.
    #[error("no such subject: nobody of that name is in this trail, or it was erased already")]
    NoSubject,
    /// No such hold.
    #[error("no hold of that name or id is in force: `minutebook hold list`")]
    NoHold,
    /// A hold forbids it.
    #[error("refused: under {}. Nothing was erased; lift it first, if it does not apply any more", holds.join(", "))]
    Held {
        /// The holds by name, each with its reason.
        holds: Vec<String>,
    },
    /// A retention floor forbids it.
    #[error(
        "refused: a record about the subject in class `{class}` has to be kept until {until} ({floor}). Nothing was erased"
    )]
    InsideFloor {
        /// The class whose floor it is.
        class: String,
        /// The floor, in words.
        floor: String,
        /// The end of the latest such floor, RFC 3339.
        until: String,
    },
    /// What was asked for may have been disposed of.
    #[error(
        "no record {id} is in this trail, and it may be one of those that were disposed of: class `{class}`, recorded in {month}, \
         on {at} by {by}"
    )]
    Disposed {
        /// Its id.
        id: String,
        /// Of which class those were.
        class: String,
        /// Of which month.
        month: String,
        /// When they were disposed of, RFC 3339.
        at: String,
        /// By whose order.
        by: String,
    },
    /// A spool could not be read or freed.
    #[error("spool: {0}")]
    Spool(String),
    /// Something given by the caller is wrong.
    #[error("{0}")]
    Request(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes, and no key is made without")]
    NoRandomness,
    /// The engine stopped after an earlier failure.
    #[error("the engine stopped after a failure ({0}): open the trail again to recover")]
    Stopped(String),
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Store(#[from] object_store::Error),
    /// A file failed.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl Error {
    /// A failure of `what` at `path`.
    pub fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }

    /// A failure of the catalog.
    pub fn catalog(path: &Path, source: sqlx::Error) -> Self {
        Self::Catalog { path: path.to_owned(), source }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Backup { .. }
            | Self::NoTrail { .. }
            | Self::TrailExists { .. }
            | Self::FolderInUse { .. }
            | Self::KeysExist { .. }
            | Self::NoRecord { .. }
            | Self::NoSubject
            | Self::NoHold
            | Self::Held { .. }
            | Self::InsideFloor { .. }
            | Self::Disposed { .. }
            | Self::Policy(_)
            | Self::Retention(_)
            | Self::FloorShortened { .. }
            | Self::Request(_) => Remedy::FixRequest,
            Self::NotPromoted { .. }
            | Self::LogAhead { .. }
            | Self::TrailFile { .. }
            | Self::Newer { .. }
            | Self::Locked { .. }
            | Self::KeysMissing { .. }
            | Self::KeysNowhere { .. }
            | Self::KeysOfAnotherTrail { .. }
            | Self::KeysOpenToOthers { .. }
            | Self::KeysMalformed { .. }
            | Self::KeysDoNotMatch { .. }
            | Self::CatalogMissing { .. }
            | Self::CatalogUnusable { .. }
            | Self::BucketGeneration { .. }
            | Self::CatalogBehindLog { .. } => Remedy::FixSetup,
            Self::NoRandomness
            | Self::Store(_)
            | Self::Io { .. }
            | Self::Catalog { .. }
            | Self::Spool(_)
            | Self::Stopped(_) => Remedy::Retry,
            Self::Objects { .. }
            | Self::BucketInTransition { .. }
            | Self::LogDisagrees { .. }
            | Self::ReadBack { .. }
            | Self::Overlap { .. }
            | Self::Segment { .. } => Remedy::Inspect,
        }
    }
}

/// The first names of a list.
fn named(objects: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = objects.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if objects.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
