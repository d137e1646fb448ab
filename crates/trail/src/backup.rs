//! Backups of a trail and what is made of them (`docs/formats/backup.md`): copying, restoring, promoting; and copies of the key folder, apart
//! from the data. Edge: a backup has everything but keys and spools; what an erasure means for it is in `erasure_note`.

mod copy;
mod keys;
mod manifest;
mod place;
mod promote;
mod restore;
mod snapshot;

pub use copy::{BackupOptions, BackupReport, backup};
pub use keys::{KeyCopy, copy_keys};
pub use place::BackupPlace;
pub use promote::{Ahead, Promoted, promote};
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use snapshot::Snapshot;

pub(crate) use keys::{KEY_COPIES, last_expiry};
pub(crate) use promote::PROMOTED;
pub(crate) use restore::check_replayed;
pub(crate) use snapshot::PLACES;

use crate::catalog::ActRow;
use crate::error::Result;
use crate::own::{self, OwnRecord};

/// The kind of act: a restored copy became the trail.
const PROMOTION: &str = "promotion";

/// The kind of act: the key folder was copied.
const KEY_COPY: &str = "key-copy";

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let what = match act.kind.as_str() {
        PROMOTION => "restored from a backup and promoted",
        KEY_COPY => "key folder copied",
        _ => return None,
    };
    let (old, new) = act.body.split_at_checked(32)?;
    Some(own::policy(act.id, what, old, &String::from_utf8_lossy(new), now_ns))
}
