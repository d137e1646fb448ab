//! The published log, re-derived: every entry bundle and every tile against the root of the checkpoint. Edge: what an entry says is for
//! `verify` to read.

use crate::Source;
use crate::limits::LOG_PARTS_MISSING_MAX;
use crate::report::Report;
use minutebook_tlog::{
    Edge, Hash, LeafIndex, Tile, TileKind, TreeHead, decode_bundle, leaf_hash, tile_hashes,
};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The folder of the log in a trail.
pub const LOG: &str = "log/";

const WIDTH: u64 = 256;
const CHANGED: &str =
    "the log was changed after it was published; its signed checkpoint still tells what it was";
const MISSING: &str = "a part of the log is gone: the entries in it cannot be proved until it is restored";

/// What the check of a log leaves behind: which parts are right, for what else is stored beside them.
pub struct CheckedLog {
    head: TreeHead,
    /// Objects that are missing or changed.
    wrong: BTreeSet<String>,
    /// The tiles above level 0 as they follow from the leaves, by level and number.
    upper: BTreeMap<(u8, u64), Vec<u8>>,
    /// How many entries were not given, since they are not there or not what the tree has.
    pub unread: u64,
}

/// Where a stored tile stands to the tree of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The tree has it.
    Current,
    /// It is of an earlier, smaller tree.
    Earlier(Tile),
    /// It is of a larger tree, of at least so many entries.
    Beyond(u64),
    /// Its name is no tile's.
    NoTile,
}

/// One bundle that entries are given from once it is known which of the hashes are the tree's.
struct Deferred {
    bundle: Tile,
    of_entries: Vec<Hash>,
    in_tile: Vec<Hash>,
}

/// Checks all bundles and tiles of the tree; gives each entry that is proved to `entry`, in order.
pub fn check_log(
    source: &dyn Source,
    head: TreeHead,
    report: &mut Report,
    entry: &mut dyn FnMut(u64, &[u8], &mut Report),
) -> CheckedLog {
    let size = head.size.get();
    // Leaf hashes as the bundles and as the level-0 tiles have them: where the two differ, the root tells which is right.
    let mut by_bundle = Derived::default();
    let mut by_tile = Derived::default();
    let mut differing = Vec::new();
    let mut deferred: Vec<Deferred> = Vec::new();
    let mut log = CheckedLog { head, wrong: BTreeSet::new(), upper: BTreeMap::new(), unread: 0 };
    let mut gone_in_a_row = 0;
    for index in 0..size.div_ceil(WIDTH) {
        let first = index * WIDTH;
        let Some(bundle) = Tile::of_entry(LeafIndex::new(first), head.size) else { break };
        let Ok(tile) = Tile::hashes(0, index, bundle.width()) else { break };
        let stored = log.read(source, bundle, report);
        let entries = stored.as_deref().and_then(|bytes| match decode_bundle(bytes, bundle.width()) {
            Ok(entries) => Some(entries),
            Err(error) => log.accuse(bundle, error.to_string(), CHANGED, report),
        });
        let bytes = log.read(source, tile, report);
        gone_in_a_row = if stored.is_none() && bytes.is_none() { gone_in_a_row + 1 } else { 0 };
        let hashes = bytes.and_then(|bytes| match tile_hashes::<std::convert::Infallible>(tile, &bytes) {
            Ok(hashes) => Some(hashes),
            Err(error) => log.accuse(tile, error.to_string(), CHANGED, report),
        });
        let of_entries: Option<Vec<Hash>> =
            entries.as_ref().map(|entries| entries.iter().map(|entry| leaf_hash(entry)).collect());
        let unknown = || vec![Hash::new([0; 32]); usize::from(bundle.width())];
        let left = of_entries.clone().or_else(|| hashes.clone()).unwrap_or_else(unknown);
        let right = hashes.or(of_entries).unwrap_or_else(unknown);
        by_bundle.push(&left);
        by_tile.push(&right);
        match entries {
            None => log.unread += u64::from(bundle.width()),
            Some(entries) if left == right && deferred.is_empty() => {
                for (at, bytes) in entries.iter().enumerate() {
                    entry(first + at as u64, bytes, report);
                }
            }
            Some(_) => {
                if left != right {
                    differing.push((bundle, tile));
                }
                deferred.push(Deferred { bundle, of_entries: left, in_tile: right });
            }
        }
        if gone_in_a_row == LOG_PARTS_MISSING_MAX {
            let what = format!("{bundle} and everything behind it is missing");
            report.problem(format!("{LOG}{bundle}"), what, MISSING);
            log.unread += size - first - u64::from(bundle.width());
            break;
        }
    }
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
        log.accuse::<()>(object, what.into(), CHANGED, report);
    }
    if !bundles_right && !tiles_right {
        report.problem(
            format!("{LOG}checkpoint"),
            "the entries of the log do not give the root that is signed here",
            "entries were changed, or removed and put anew, after the checkpoint was signed",
        );
    }
    for Deferred { bundle, of_entries, in_tile } in deferred {
        let proved = |at: usize, hash: Hash| match (bundles_right, tiles_right) {
            (true, _) => hash == of_entries[at],
            (false, true) => hash == in_tile[at],
            (false, false) => hash == of_entries[at] && hash == in_tile[at],
        };
        let stored = source.read(&format!("{LOG}{bundle}")).ok().flatten().unwrap_or_default();
        let entries = decode_bundle(&stored, bundle.width()).unwrap_or_default();
        let mut given = 0;
        for (at, bytes) in entries.iter().enumerate() {
            if proved(at, leaf_hash(bytes)) {
                entry(bundle.index() * WIDTH + at as u64, bytes, report);
                given += 1;
            }
        }
        log.unread += u64::from(bundle.width()) - given;
    }
    let derived = if bundles_right { by_bundle } else { by_tile };
    log.check_upper(derived, source, report);
    log
}

/// The tiles above level 0, as they follow from leaf hashes.
#[derive(Default)]
struct Derived {
    edge: Edge,
    tiles: Vec<(Tile, Vec<u8>)>,
}

impl Derived {
    fn push(&mut self, leaves: &[Hash]) {
        for leaf in leaves {
            // Sizes come from a checkpoint that was parsed, so the tree has room.
            let Ok(full) = self.edge.push(*leaf) else { return };
            self.tiles.extend(full.into_iter().filter(|(tile, _)| is_upper(*tile)));
        }
    }
}

fn is_upper(tile: Tile) -> bool {
    matches!(tile.kind(), TileKind::Hashes { level: 1.. })
}

fn level_of(tile: Tile) -> u8 {
    match tile.kind() {
        TileKind::Entries => 0,
        TileKind::Hashes { level } => level,
    }
}

impl CheckedLog {
    /// Reports an object and remembers it; gives `None`, for whoever has to do without it.
    fn accuse<T>(&mut self, tile: Tile, what: String, means: &str, report: &mut Report) -> Option<T> {
        let name = format!("{LOG}{tile}");
        self.wrong.insert(name.clone());
        report.problem(name, what, means);
        None
    }

    fn read(&mut self, source: &dyn Source, tile: Tile, report: &mut Report) -> Option<Vec<u8>> {
        match source.read(&format!("{LOG}{tile}")) {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) if tile.is_partial() => {
                // The log has grown since the checkpoint was read, and the partial tile was superseded.
                if let Ok(Some(bytes)) = source.read(&format!("{LOG}{}", tile.full())) {
                    return prefix(tile, bytes);
                }
                self.accuse(tile, "it is missing".into(), MISSING, report)
            }
            Ok(None) => self.accuse(tile, "it is missing".into(), MISSING, report),
            Err(error) => self.accuse(tile, format!("it cannot be read: {error}"), MISSING, report),
        }
    }

    fn check_upper(&mut self, derived: Derived, source: &dyn Source, report: &mut Report) {
        let partial = derived.edge.partial_tiles().into_iter().filter(|(tile, _)| is_upper(*tile));
        let Derived { mut tiles, .. } = derived;
        tiles.extend(partial);
        for (tile, bytes) in tiles {
            match self.read(source, tile, report) {
                Some(stored) if stored != bytes => {
                    let what = "a hash in it is not that of the tiles below";
                    self.accuse::<()>(tile, what.into(), CHANGED, report);
                }
                _ => {}
            }
            self.upper.insert((level_of(tile), tile.index()), bytes);
        }
    }

    /// Where an object of this name stands.
    pub fn standing(&self, name: &str) -> Standing {
        let Some(tile) = name.strip_prefix(LOG).and_then(|path| Tile::from_str(path).ok()) else {
            return Standing::NoTile;
        };
        let bits = 8 * u32::from(level_of(tile));
        let there = self.head.size.get().checked_shr(bits).unwrap_or(0);
        let end = tile.index().saturating_mul(WIDTH).saturating_add(tile.width().into());
        match there.saturating_sub(tile.index().saturating_mul(WIDTH)).min(WIDTH) {
            width if width == u64::from(tile.width()) => Standing::Current,
            width if width > u64::from(tile.width()) => Standing::Earlier(tile),
            _ => {
                Standing::Beyond(end.checked_shl(bits).filter(|size| size >> bits == end).unwrap_or(u64::MAX))
            }
        }
    }

    /// Whether a partial tile of an earlier tree is the beginning of what the present tree has there. `None` when it cannot be told, since
    /// that is damaged itself.
    pub fn continues(&self, source: &dyn Source, earlier: Tile) -> Option<bool> {
        let width = usize::from(earlier.width());
        let expected = self.hashes(source, level_of(earlier), earlier.index())?;
        let expected = expected.get(..width)?;
        let Ok(Some(stored)) = source.read(&format!("{LOG}{earlier}")) else { return Some(false) };
        Some(match earlier.kind() {
            TileKind::Hashes { .. } => stored.len() == width * Hash::BYTES && split(&stored) == expected,
            TileKind::Entries => decode_bundle(&stored, earlier.width()).is_ok_and(|entries| {
                entries.iter().map(|entry| leaf_hash(entry)).eq(expected.iter().copied())
            }),
        })
    }

    /// The tree that was checked.
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// The hashes that the tree has in a tile: of leaves from the tile or the bundle, whichever is right. `None` when neither is.
    pub fn hashes(&self, source: &dyn Source, level: u8, index: u64) -> Option<Vec<Hash>> {
        if level > 0 {
            return self.upper.get(&(level, index)).map(|bytes| split(bytes));
        }
        let bundle = Tile::of_entry(LeafIndex::new(index.checked_mul(WIDTH)?), self.head.size)?;
        let tile = Tile::hashes(0, index, bundle.width()).ok()?;
        let right = |tile: Tile| {
            let name = format!("{LOG}{tile}");
            if self.wrong.contains(&name) { None } else { source.read(&name).ok()? }
        };
        if let Some(bytes) = right(tile) {
            return Some(split(&bytes));
        }
        let entries = right(bundle)?;
        let entries = decode_bundle(&entries, bundle.width()).ok()?;
        Some(entries.iter().map(|entry| leaf_hash(entry)).collect())
    }
}

fn split(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<{ Hash::BYTES }>().0.iter().copied().map(Hash::new).collect()
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
