//! A tree read out of its tiles: nodes, roots and proofs. Edge: it takes bytes from a [`TileReader`] and does not know where
//! they lie; what it computes is as good as those bytes until it is checked against a signed root.

use std::borrow::Cow;

use crate::consistency::consistency_path_from;
use crate::frontier::Frontier;
use crate::hash::{Hash, leaf_hash};
use crate::inclusion::inclusion_path_from;
use crate::tile::{LEVEL_BITS, Tile, TileKind};
use crate::tree::{LeafIndex, Node, NodeSource, TreeError, TreeHead, TreeSize, merkle_root, root_from};

/// Tiles kept while proofs are computed: a path takes one for each level and one for each level of the right edge.
const TILES_KEPT: usize = 16;

/// Where tiles are read from.
pub trait TileReader {
    /// What can go wrong.
    type Error;

    /// The bytes of exactly this tile. Where a partial tile was superseded, that is the beginning of the full one.
    ///
    /// # Errors
    /// When it cannot be had. Absence is an error too: only tiles are asked for that a tree of the named size has.
    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, Self::Error>;
}

/// Why a tree could not be read from its tiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TiledTreeError<E> {
    /// The reader failed.
    #[error("cannot read {tile}: {cause}")]
    Read {
        /// Which tile.
        tile: Tile,
        /// What the reader says.
        cause: E,
    },
    /// A tile is cut short or too long.
    #[error("{tile} has {bytes} bytes instead of {expected}")]
    Length {
        /// Which tile.
        tile: Tile,
        /// Bytes there are.
        bytes: usize,
        /// 32 for each hash.
        expected: usize,
    },
    /// The tree has no such leaf, node or earlier state, or another root.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// The tree of a log's first `size` entries, in tiles.
#[derive(Debug)]
pub struct TiledTree<'r, R> {
    reader: &'r R,
    size: TreeSize,
    kept: Vec<(Tile, Vec<Hash>)>,
}

impl<'r, R: TileReader> TiledTree<'r, R> {
    /// The tree of this size. Nothing is read yet.
    pub fn new(reader: &'r R, size: TreeSize) -> Self {
        Self { reader, size, kept: Vec::new() }
    }

    /// How many leaves.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root, from the tiles of the right edge.
    ///
    /// # Errors
    /// When a tile cannot be read or has the wrong length.
    pub fn root(&mut self) -> Result<Hash, TiledTreeError<R::Error>> {
        root_from(self, self.size)
    }

    /// The hash of a leaf.
    ///
    /// # Errors
    /// [`TreeError::LeafOutside`], and when the tile cannot be read or has the wrong length.
    pub fn leaf(&mut self, index: LeafIndex) -> Result<Hash, TiledTreeError<R::Error>> {
        if index.get() >= self.size.get() {
            return Err(TreeError::LeafOutside { index, size: self.size }.into());
        }
        self.node(Node::new(0, index.get())?)
    }

    /// The inclusion path of a leaf; see [`inclusion_path_from`].
    ///
    /// # Errors
    /// [`TreeError::LeafOutside`], and when a tile cannot be read or has the wrong length.
    pub fn inclusion_path(&mut self, index: LeafIndex) -> Result<Vec<Hash>, TiledTreeError<R::Error>> {
        inclusion_path_from(self, index, self.size)
    }

    /// The proof that this tree has grown out of its first `old` leaves; see [`consistency_path_from`].
    ///
    /// # Errors
    /// [`TreeError::Shrunk`], and when a tile cannot be read or has the wrong length.
    pub fn consistency_path(&mut self, old: TreeSize) -> Result<Vec<Hash>, TiledTreeError<R::Error>> {
        consistency_path_from(self, old, self.size)
    }

    /// What is needed to go on appending, checked against the root.
    ///
    /// # Errors
    /// [`TreeError::RootMismatch`], and when a tile cannot be read or has the wrong length.
    pub fn frontier(&mut self, root: Hash) -> Result<Frontier, TiledTreeError<R::Error>> {
        let head = TreeHead { size: self.size, root };
        Frontier::from_source(self, head)
    }

    fn tile(&mut self, tile: Tile) -> Result<&[Hash], TiledTreeError<R::Error>> {
        if let Some(place) = self.kept.iter().position(|(kept, _)| *kept == tile) {
            return Ok(&self.kept[place].1);
        }
        let bytes = self.reader.read_tile(tile).map_err(|cause| TiledTreeError::Read { tile, cause })?;
        let hashes = tile_hashes(tile, &bytes)?;
        if self.kept.len() == TILES_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((tile, hashes));
        Ok(self.kept.last().map_or(&[], |(_, hashes)| hashes))
    }
}

impl<R: TileReader> NodeSource for TiledTree<'_, R> {
    type Error = TiledTreeError<R::Error>;

    fn node(&mut self, node: Node) -> Result<Hash, Self::Error> {
        // A tile has every eighth height; those between are hashed from it.
        let level = node.height() / LEVEL_BITS as u8;
        let leaves = 1 << (node.height() % LEVEL_BITS as u8);
        let position = node.index() * leaves;
        let outside = TreeError::NodeOutside { height: node.height(), index: node.index() };
        let Some(tile) = Tile::holding(TileKind::Hashes { level }, position, self.size) else {
            return Err(outside.into());
        };
        let start = (position - (tile.index() << LEVEL_BITS)) as usize;
        match self.tile(tile)?.get(start..start + leaves as usize) {
            Some(hashes) => Ok(merkle_root(hashes)),
            None => Err(outside.into()),
        }
    }
}

/// The hashes in a tile's bytes.
///
/// # Errors
/// [`TiledTreeError::Length`] where they are not 32 bytes for each hash.
pub fn tile_hashes<E>(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, TiledTreeError<E>> {
    let expected = usize::from(tile.width()) * Hash::BYTES;
    if bytes.len() != expected {
        return Err(TiledTreeError::Length { tile, bytes: bytes.len(), expected });
    }
    Ok(bytes.as_chunks::<32>().0.iter().copied().map(Hash::new).collect())
}

/// The level-0 tile that belongs to a bundle of these entries.
pub fn leaf_hashes<'e>(entries: impl IntoIterator<Item = &'e [u8]>) -> Vec<Hash> {
    entries.into_iter().map(leaf_hash).collect()
}
