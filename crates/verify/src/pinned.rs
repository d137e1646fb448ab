//! What was seen of a trail earlier, and whether the trail of today continues it. Edge: remembers nothing itself.

use crate::Source;
use crate::log::CheckedLog;
use crate::report::Report;
use crate::trailfile::{TRAIL_FILE, TrailFile};
use crate::verify::CHECKPOINT;
use minutebook_tlog::{Hash, Tile, TileKind, TileReader, TiledTree, TreeSize};
use std::borrow::Cow;

/// A checkpoint of this trail that was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The verifier key that signed it.
    pub log_key: String,
    /// The log's size then.
    pub size: u64,
    /// The log's root then.
    pub root: [u8; 32],
}

/// Whether the log of today is a continuation of the one seen earlier.
pub(crate) fn check_pinned(
    source: &dyn Source,
    file: &TrailFile,
    pinned: &Pinned,
    log: &CheckedLog,
    report: &mut Report,
) {
    let size = log.head().size;
    if !file.follows(&pinned.log_key) {
        report.problem(
            TRAIL_FILE,
            "its signing key is neither the one seen earlier nor named as its successor by it",
            "this is another trail under the same id, or its identity was replaced",
        );
        return;
    }
    if size.get() < pinned.size {
        report.problem(
            CHECKPOINT,
            format!("the log has {size} entries; an earlier look found {}", pinned.size),
            "the trail was rolled back to an older state: what was added since then is gone",
        );
        return;
    }
    if pinned.size == 0 {
        return;
    }
    let earlier = TreeSize::new(pinned.size).map_err(|error| error.to_string()).and_then(|size| {
        let reader = Reader { source, log };
        // The earlier root from the tiles of today: equal when today's log continues the earlier one.
        TiledTree::new(&reader, size).root().map_err(|error| error.to_string())
    });
    match earlier {
        Ok(root) if *root.as_bytes() == pinned.root => report.continues_earlier = true,
        Ok(_) => report.problem(
            CHECKPOINT,
            format!("the first {} entries are not those that an earlier look found", pinned.size),
            "the log was rewritten by somebody who holds its signing key, or replaced by a fork of it",
        ),
        Err(error) => report.problem(
            CHECKPOINT,
            format!("it cannot be told whether it continues the earlier one: {error}"),
            "tiles are missing or changed; see the other findings",
        ),
    }
}

/// Whether the rotations that trail.toml names follow from each other, up to the present key.
pub(crate) fn check_succession(file: &TrailFile, report: &mut Report) {
    let mut before: Option<&str> = None;
    for step in &file.succession {
        if before.is_some_and(|key| key != step.old) || !step.is_signed() {
            report.problem(
                TRAIL_FILE,
                format!("the rotation of the signing key of {} is not signed by both keys", step.at),
                "the new key was not named by the one before: who trusted the old one has no reason to trust it",
            );
        }
        before = Some(&step.new);
    }
    if before.is_some_and(|key| key != file.log_key) {
        report.problem(
            TRAIL_FILE,
            "its last rotation does not lead to its signing key",
            "the present key was not named by the one before: who trusted the old one has no reason to trust it",
        );
    }
}

/// Those tiles of today's log that are right, as a tree of any earlier size needs them.
struct Reader<'a> {
    source: &'a dyn Source,
    log: &'a CheckedLog,
}

impl TileReader for Reader<'_> {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, String> {
        let TileKind::Hashes { level } = tile.kind() else { return Err("not a tile of hashes".into()) };
        let hashes = self.log.hashes(self.source, level, tile.index());
        let hashes = hashes.ok_or_else(|| format!("`{tile}` is missing or was changed"))?;
        let hashes = hashes.get(..usize::from(tile.width())).ok_or("the tree is smaller")?;
        Ok(Cow::Owned(hashes.iter().flat_map(Hash::as_bytes).copied().collect()))
    }
}
