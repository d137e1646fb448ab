//! Tiles: their coordinates, their paths (tlog-tiles, "Merkle Tree" and "Log entries"), and which of them a growing log has
//! to write. Edge: what is in a tile is read by `tiled_tree.rs` and `bundle.rs`.

use std::fmt;
use std::str::FromStr;

use crate::decimal;
use crate::limits::{TILE_LEVEL_MAX, TILE_WIDTH_MAX};
use crate::tree::{LeafIndex, TreeError, TreeSize};

/// Bits of a leaf's number that a tile level takes up: a tile is 2^8 wide.
pub(crate) const LEVEL_BITS: u32 = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Entries of the log: a bundle.
    Entries,
    /// Hashes: of leaves at level 0, of one full tile below each above it.
    Hashes {
        /// 0 to [`TILE_LEVEL_MAX`].
        level: u8,
    },
}

/// A tile's coordinates. Shown as its path below the log's prefix: `tile/0/x001/234.p/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why a path or coordinates name no tile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A tile holds 1 to 256 hashes or entries.
    #[error("tile width {width} is not in 1 to 256")]
    Width {
        /// The width asked for.
        width: u16,
    },
    /// Levels run from 0 to 63.
    #[error("tile level {level} is above 63")]
    Level {
        /// The level asked for.
        level: u8,
    },
    /// The path does not begin with `tile/<level>/` or `tile/entries/`.
    #[error("tile path does not begin with `tile/`, a level of 0 to 63 or `entries`, and `/`")]
    PathStart,
    /// The index is not in groups of three digits, all but the last after an `x`, as few as it takes.
    #[error("tile path has a malformed index")]
    PathIndex,
    /// What follows `.p/` is not a number from 1 to 255 without leading zeros.
    #[error("tile path has a malformed width")]
    PathWidth,
}

impl Tile {
    /// The tile of hashes with this number, from 0, at this level; a `width` of 256 is the full tile.
    ///
    /// # Errors
    /// [`TileError::Level`] above 63, [`TileError::Width`] outside 1 to 256.
    pub const fn hashes(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > TILE_LEVEL_MAX {
            return Err(TileError::Level { level });
        }
        Self::new(TileKind::Hashes { level }, index, width)
    }

    /// The entry bundle with this number, from 0; a `width` of 256 is the full bundle.
    ///
    /// # Errors
    /// [`TileError::Width`] outside 1 to 256.
    pub const fn entries(index: u64, width: u16) -> Result<Self, TileError> {
        Self::new(TileKind::Entries, index, width)
    }

    const fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        if width == 0 || width > TILE_WIDTH_MAX {
            return Err(TileError::Width { width });
        }
        Ok(Self { kind, index, width })
    }

    /// The tile of a tree of this size that has the hash at `position`, or the entry; nothing where the tree ends before it.
    pub(crate) fn holding(kind: TileKind, position: u64, size: TreeSize) -> Option<Self> {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hashes { level } => level,
        };
        let hashes = size.get().checked_shr(LEVEL_BITS * u32::from(level)).unwrap_or(0);
        if position >= hashes {
            return None;
        }
        let index = position >> LEVEL_BITS;
        let width = (hashes - (index << LEVEL_BITS)).min(TILE_WIDTH_MAX.into()) as u16;
        Some(Self { kind, index, width })
    }

    /// The bundle of a log of this size that has this entry; nothing where the log ends before it.
    pub fn of_entry(index: LeafIndex, size: TreeSize) -> Option<Self> {
        Self::holding(TileKind::Entries, index.get(), size)
    }

    /// Entries, or hashes of some level.
    pub const fn kind(self) -> TileKind {
        self.kind
    }

    /// The tile's number at its level, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Hashes or entries in it: 1 to 256.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it is narrower than 256: superseded when the log has grown.
    pub const fn is_partial(self) -> bool {
        self.width < TILE_WIDTH_MAX
    }

    /// The full tile at the same place.
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH_MAX, ..self }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => write!(f, "tile/entries/")?,
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
        }
        let mut groups = [0; 7];
        let (mut rest, mut first) = (self.index, groups.len());
        loop {
            first -= 1;
            groups[first] = rest % 1_000;
            rest /= 1_000;
            if rest == 0 {
                break;
            }
        }
        for group in &groups[first..groups.len() - 1] {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[groups.len() - 1])?;
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = TileError;

    /// Reads a path as [`Tile`] shows it, and no other spelling of it.
    fn from_str(path: &str) -> Result<Self, TileError> {
        let (kind, rest) =
            path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TileError::PathStart)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => match decimal::parse(level) {
                Some(level) if level <= TILE_LEVEL_MAX.into() => TileKind::Hashes { level: level as u8 },
                _ => return Err(TileError::PathStart),
            },
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH_MAX),
            Some((index, width)) => match decimal::parse(width) {
                Some(width @ 1..=255) => (index, width as u16),
                _ => return Err(TileError::PathWidth),
            },
        };
        Ok(Self { kind, index: parse_index(index).ok_or(TileError::PathIndex)?, width })
    }
}

/// The index in groups of three digits; nothing where a group is malformed, superfluous or too many.
fn parse_index(text: &str) -> Option<u64> {
    let mut index: u64 = 0;
    let mut groups = text.split('/').enumerate().peekable();
    while let Some((number, group)) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let group: u64 = digits.parse().ok()?;
        if number == 0 && group == 0 && groups.peek().is_some() {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(group)?;
    }
    Some(index)
}

/// The tiles that a log has to write when it grows from `old` to `new` entries: entry bundles, then hashes level by level,
/// each in ascending order. A tile that was partial and is wider now is among them; what did not change is not. All have
/// to be durable before a checkpoint of the new size is published.
///
/// # Errors
/// [`TreeError::Shrunk`] where `old` is above `new`.
pub fn tiles_between(old: TreeSize, new: TreeSize) -> Result<impl Iterator<Item = Tile>, TreeError> {
    if old > new {
        return Err(TreeError::Shrunk { old, new });
    }
    // The largest tree reaches level 7: 256^8 is above its size.
    let levels = (0..8).map(|level| TileKind::Hashes { level });
    Ok(std::iter::once(TileKind::Entries).chain(levels).flat_map(move |kind| {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hashes { level } => u32::from(level),
        };
        let (old_hashes, new_hashes) = (old.get() >> (LEVEL_BITS * level), new.get() >> (LEVEL_BITS * level));
        let first = old_hashes >> LEVEL_BITS;
        let end = if old_hashes == new_hashes { first } else { ((new_hashes - 1) >> LEVEL_BITS) + 1 };
        (first..end).filter_map(move |index| Tile::holding(kind, index << LEVEL_BITS, new))
    }))
}
