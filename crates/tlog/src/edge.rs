//! The tiles at a growing tree's right edge: what a writer keeps in order to write the next ones. Edge: it hands out tiles
//! with their bytes and stores nothing; entry bundles are in `bundle.rs`.

use crate::hash::Hash;
use crate::limits::{TILE_WIDTH_MAX, TREE_SIZE_MAX};
use crate::tile::{LEVEL_BITS, Tile, TileKind};
use crate::tiled_tree::{TileReader, TiledTreeError, tile_hashes};
use crate::tree::{TreeError, TreeHead, TreeSize, merkle_root};

/// The hashes of the last, partial tile of each level: at most 255 each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// INVARIANT: level *l* has as many hashes as (size / 256^*l*) mod 256 says; no empty levels on top.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { size: 0, levels: Vec::new() }
    }

    /// Takes up a tree from its partial tiles, and checks them against its head.
    ///
    /// # Errors
    /// When a tile cannot be read or has the wrong length; [`TreeError::RootMismatch`] where they are not those of this tree.
    pub fn from_tiles<R: TileReader>(reader: &R, head: TreeHead) -> Result<Self, TiledTreeError<R::Error>> {
        let mut levels = Vec::new();
        let mut hashes = head.size.get();
        while hashes > 0 {
            let kind = TileKind::Hashes { level: levels.len() as u8 };
            let tile = Tile::holding(kind, hashes - 1, head.size).filter(|tile| tile.is_partial());
            levels.push(match tile {
                None => Vec::new(),
                Some(tile) => {
                    let bytes =
                        reader.read_tile(tile).map_err(|cause| TiledTreeError::Read { tile, cause })?;
                    tile_hashes(tile, &bytes)?
                }
            });
            hashes >>= LEVEL_BITS;
        }
        let edge = Self { size: head.size.get(), levels };
        match edge.root() {
            computed if computed == head.root => Ok(edge),
            computed => Err(TreeError::RootMismatch { computed, expected: head.root }.into()),
        }
    }

    /// Appends a leaf. Returns the tiles that it fills, with their bytes, from level 0 up: none for 255 leaves of 256. They
    /// are the full tiles of [`crate::tile::tiles_between`]; the partial ones are those of [`Edge::partial_tiles`].
    ///
    /// # Errors
    /// [`TreeError::SizeTooLarge`] when the tree is full; it is unchanged then.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<(Tile, Vec<u8>)>, TreeError> {
        if self.size == TREE_SIZE_MAX {
            return Err(TreeError::SizeTooLarge { size: self.size + 1 });
        }
        self.size += 1;
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH_MAX.into() {
                break;
            }
            let position = (self.size >> (LEVEL_BITS * level as u32)) - 1;
            full.extend(self.tile(level, position));
            hash = merkle_root(&self.levels[level]);
            self.levels[level].clear();
        }
        Ok(full)
    }

    /// The partial tiles of the present size, with their bytes, from level 0 up.
    pub fn partial_tiles(&self) -> Vec<(Tile, Vec<u8>)> {
        let filled = self.levels.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        filled
            .filter_map(|(level, _)| self.tile(level, (self.size >> (LEVEL_BITS * level as u32)) - 1))
            .collect()
    }

    fn tile(&self, level: usize, last_position: u64) -> Option<(Tile, Vec<u8>)> {
        let tile = Tile::holding(TileKind::Hashes { level: level as u8 }, last_position, self.size())?;
        let hashes = &self.levels[level];
        assert_eq!(usize::from(tile.width()), hashes.len(), "the edge has the hashes that its size asks for");
        Some((tile, hashes.iter().flat_map(Hash::as_bytes).copied().collect()))
    }

    /// How many leaves.
    pub fn size(&self) -> TreeSize {
        TreeSize::from_checked(self.size)
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        // What a level's partial tile does not yet cover is one, incomplete, subtree more at its end.
        let mut below: Option<Hash> = None;
        for hashes in &self.levels {
            let hashes: Vec<Hash> = hashes.iter().copied().chain(below).collect();
            below = if hashes.is_empty() { None } else { Some(merkle_root(&hashes)) };
        }
        below.unwrap_or_else(crate::hash::empty_root)
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size(), root: self.root() }
    }
}
