//! The published log, re-derived: every entry bundle and every tile against the root of the checkpoint. Edge: what an entry says is for
//! `verify` to read.

use crate::Source;
use crate::report::Report;
use minutebook_tlog::{
    Edge, Hash, LeafIndex, Tile, TileKind, TreeHead, decode_bundle, leaf_hash, tile_hashes,
};
use std::collections::BTreeSet;
use std::str::FromStr;

/// The folder of the log in a trail.
pub const LOG: &str = "log/";

const WIDTH: u64 = 256;
const CHANGED: &str =
    "the log was changed after it was published; its signed checkpoint still tells what it was";
const MISSING: &str = "a part of the log is gone: the entries in it cannot be proved until it is restored";

/// Checks all bundles and tiles of the tree; gives each entry that is proved to `entry`, in order, and notes the names that belong there.
pub fn check_log(
    source: &dyn Source,
    head: TreeHead,
    report: &mut Report,
    names: &mut BTreeSet<String>,
    entry: &mut dyn FnMut(u64, &[u8], &mut Report),
) {
    let size = head.size.get();
    // Leaf hashes as the bundles and as the level-0 tiles have them: where the two differ, the root tells which is right.
    let mut by_bundle = Derived::default();
    let mut by_tile = Derived::default();
    let mut differing = Vec::new();
    for index in 0..size.div_ceil(WIDTH) {
        let first = index * WIDTH;
        let Some(bundle) = Tile::of_entry(LeafIndex::new(first), head.size) else { break };
        let Ok(tile) = Tile::hashes(0, index, bundle.width()) else { break };
        let stored = read(source, bundle, report, names);
        let entries = stored.as_deref().and_then(|bytes| match decode_bundle(bytes, bundle.width()) {
            Ok(entries) => Some(entries),
            Err(error) => {
                report.problem(format!("{LOG}{bundle}"), error.to_string(), CHANGED);
                None
            }
        });
        let hashes = read(source, tile, report, names).and_then(|bytes| {
            match tile_hashes::<std::convert::Infallible>(tile, &bytes) {
                Ok(hashes) => Some(hashes),
                Err(error) => {
                    report.problem(format!("{LOG}{tile}"), error.to_string(), CHANGED);
                    None
                }
            }
        });
        let of_entries: Option<Vec<Hash>> =
            entries.as_ref().map(|entries| entries.iter().map(|entry| leaf_hash(entry)).collect());
        let unknown = || vec![Hash::new([0; 32]); usize::from(bundle.width())];
        let left = of_entries.clone().or_else(|| hashes.clone()).unwrap_or_else(unknown);
        let right = hashes.or(of_entries).unwrap_or_else(unknown);
        if left != right {
            differing.push((bundle, tile));
        } else if let Some(entries) = entries {
            for (at, bytes) in entries.iter().enumerate() {
                entry(first + at as u64, bytes, report);
            }
        }
        by_bundle.push(&left, source);
        by_tile.push(&right, source);
    }
    by_bundle.finish(source);
    by_tile.finish(source);
    let bundles_right = by_bundle.edge.root() == head.root;
    let tiles_right = by_tile.edge.root() == head.root;
    for (bundle, tile) in differing {
        let (object, what) = match (bundles_right, tiles_right) {
            (_, true) => (bundle, "an entry in it is not the one that the checkpoint's tree has"),
            (true, false) => (tile, "a hash in it is not that of the entry in the log"),
            (false, false) => (
                bundle,
                "its entries and the hashes beside them differ, and neither gives the checkpoint's root",
            ),
        };
        report.problem(format!("{LOG}{object}"), what, CHANGED);
    }
    if !bundles_right && !tiles_right {
        report.problem(
            format!("{LOG}checkpoint"),
            "the entries of the log do not give the root that is signed here",
            "entries were changed, or removed and put anew, after the checkpoint was signed",
        );
    }
    let derived = if bundles_right { by_bundle } else { by_tile };
    names.extend(derived.tiles.iter().map(|tile| format!("{LOG}{tile}")));
    for (tile, missing) in derived.wrong {
        let what = if missing { "it is missing" } else { "a hash in it is not that of the tiles below" };
        report.problem(format!("{LOG}{tile}"), what, if missing { MISSING } else { CHANGED });
    }
}

/// The tiles above level 0, as they follow from leaf hashes, and what is stored otherwise.
#[derive(Default)]
struct Derived {
    edge: Edge,
    tiles: Vec<Tile>,
    wrong: Vec<(Tile, bool)>,
}

impl Derived {
    fn push(&mut self, leaves: &[Hash], source: &dyn Source) {
        for leaf in leaves {
            // Sizes come from a checkpoint that was parsed, so the tree has room.
            let Ok(full) = self.edge.push(*leaf) else { return };
            for (tile, bytes) in full {
                self.compare(tile, &bytes, source);
            }
        }
    }

    fn finish(&mut self, source: &dyn Source) {
        for (tile, bytes) in self.edge.partial_tiles() {
            self.compare(tile, &bytes, source);
        }
    }

    fn compare(&mut self, tile: Tile, bytes: &[u8], source: &dyn Source) {
        if tile.kind() == (TileKind::Hashes { level: 0 }) {
            return;
        }
        self.tiles.push(tile);
        match source.read(&format!("{LOG}{tile}")) {
            Ok(Some(stored)) if stored == bytes => {}
            Ok(Some(_)) => self.wrong.push((tile, false)),
            _ => match tile.is_partial().then(|| source.read(&format!("{LOG}{}", tile.full()))) {
                Some(Ok(Some(stored))) if stored.starts_with(bytes) => {}
                _ => self.wrong.push((tile, true)),
            },
        }
    }
}

fn read(
    source: &dyn Source,
    tile: Tile,
    report: &mut Report,
    names: &mut BTreeSet<String>,
) -> Option<Vec<u8>> {
    let name = format!("{LOG}{tile}");
    names.insert(name.clone());
    match source.read(&name) {
        Ok(Some(bytes)) => return Some(bytes),
        Ok(None) if tile.is_partial() => {
            // The log has grown since the checkpoint was read, and the partial tile was superseded.
            let full = format!("{LOG}{}", tile.full());
            if let Ok(Some(bytes)) = source.read(&full) {
                return prefix(tile, bytes);
            }
            report.problem(name, "it is missing", MISSING);
        }
        Ok(None) => report.problem(name, "it is missing", MISSING),
        Err(error) => report.problem(name, format!("it cannot be read: {error}"), MISSING),
    }
    None
}

fn prefix(tile: Tile, mut full: Vec<u8>) -> Option<Vec<u8>> {
    let width = usize::from(tile.width());
    let length = match tile.kind() {
        TileKind::Hashes { .. } => width * Hash::BYTES,
        TileKind::Entries => {
            let entries = decode_bundle(&full, 256).ok()?;
            entries[..width].iter().map(|entry| entry.len() + 2).sum()
        }
    };
    full.truncate(length);
    Some(full)
}

/// A partial tile of an earlier checkpoint that was left lying: fine when it is the beginning of what is there now.
pub fn is_earlier_partial(source: &dyn Source, name: &str, head: TreeHead) -> bool {
    let Some(tile) = name.strip_prefix(LOG).and_then(|path| Tile::from_str(path).ok()) else {
        return false;
    };
    if !tile.is_partial() {
        return false;
    }
    let level = match tile.kind() {
        TileKind::Entries => 0,
        TileKind::Hashes { level } => u32::from(level),
    };
    let first = tile.index() * WIDTH;
    let there = head.size.get().checked_shr(8 * level).unwrap_or(0);
    let width = there.saturating_sub(first).min(WIDTH) as u16;
    if width <= tile.width() {
        return false;
    }
    let wider = match tile.kind() {
        TileKind::Entries => Tile::entries(tile.index(), width),
        TileKind::Hashes { level } => Tile::hashes(level, tile.index(), width),
    };
    let Ok(wider) = wider else { return false };
    match (source.read(name), source.read(&format!("{LOG}{wider}"))) {
        (Ok(Some(part)), Ok(Some(whole))) => {
            whole.starts_with(&part)
                && match tile.kind() {
                    TileKind::Entries => decode_bundle(&part, tile.width()).is_ok(),
                    TileKind::Hashes { .. } => part.len() == usize::from(tile.width()) * Hash::BYTES,
                }
        }
        _ => false,
    }
}
