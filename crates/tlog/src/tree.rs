//! Positions in an RFC 6962 tree, and trees that lie in memory whole: roots and paths over a slice of leaf hashes.
//! Edge: trees too large for memory are read through [`NodeSource`], of which tiles are one.

use std::fmt;
use std::ops::Range;

use crate::hash::{Hash, empty_root, node_hash};
use crate::limits::TREE_SIZE_MAX;

/// The number of a leaf in its tree, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u64);

impl LeafIndex {
    /// The leaf with this number. Whether a tree has it is checked against the tree's size.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// How many leaves a tree has: 0 to [`TREE_SIZE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl TreeSize {
    /// The size of the empty tree.
    pub const ZERO: Self = Self(0);

    /// A tree of so many leaves.
    ///
    /// # Errors
    /// [`TreeError::SizeTooLarge`] above [`TREE_SIZE_MAX`].
    pub const fn new(leaves: u64) -> Result<Self, TreeError> {
        if leaves > TREE_SIZE_MAX { Err(TreeError::SizeTooLarge { size: leaves }) } else { Ok(Self(leaves)) }
    }

    /// How many leaves.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// For sizes that came from a tree, and so are in range.
    pub(crate) const fn from_checked(leaves: u64) -> Self {
        assert!(leaves <= TREE_SIZE_MAX, "a tree is never larger than its limit");
        Self(leaves)
    }
}

impl From<u32> for LeafIndex {
    fn from(index: u32) -> Self {
        Self(index.into())
    }
}

impl From<u32> for TreeSize {
    fn from(leaves: u32) -> Self {
        Self(leaves.into())
    }
}

impl TryFrom<u64> for TreeSize {
    type Error = TreeError;

    fn try_from(leaves: u64) -> Result<Self, TreeError> {
        Self::new(leaves)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tree's size and root: what a checkpoint states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves.
    pub size: TreeSize,
    /// The Merkle tree hash over them.
    pub root: Hash,
}

/// Why a tree has no such thing, or why a path does not lead where it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// More leaves than [`TREE_SIZE_MAX`].
    #[error("tree size {size} is above {TREE_SIZE_MAX}")]
    SizeTooLarge {
        /// The size asked for.
        size: u64,
    },
    /// The tree ends before the leaf.
    #[error("tree of {size} leaves has no leaf {index}")]
    LeafOutside {
        /// The leaf asked for.
        index: LeafIndex,
        /// The tree's size.
        size: TreeSize,
    },
    /// The older tree of a consistency proof is larger than the newer.
    #[error("tree of {old} leaves is no earlier state of a tree of {new}")]
    Shrunk {
        /// Size of the older tree.
        old: TreeSize,
        /// Size of the newer tree.
        new: TreeSize,
    },
    /// A subtree was asked for that is not wholly in the tree.
    #[error("tree has no node {index} at height {height}")]
    NodeOutside {
        /// Height of the node above the leaves.
        height: u8,
        /// Number of the node at its height.
        index: u64,
    },
    /// A proof has too few or too many hashes for its place and size.
    #[error("proof has {hashes} hashes instead of {expected}")]
    ProofLength {
        /// Hashes there are.
        hashes: usize,
        /// Hashes there have to be.
        expected: usize,
    },
    /// The hashes lead to another root than the tree's: the leaf, its place, a hash of the proof or the root is wrong.
    #[error("proof leads to the root {computed} instead of {expected}")]
    RootMismatch {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root that was to be reached.
        expected: Hash,
    },
    /// The hashes do not lead to the older tree's root: history was rewritten, or the proof is wrong.
    #[error("proof leads to the earlier root {computed} instead of {expected}")]
    OldRootMismatch {
        /// The older root that the proof leads to.
        computed: Hash,
        /// The older root that was to be reached.
        expected: Hash,
    },
    /// Stored peaks are not as many as the size has bits set, or not a multiple of 32 bytes.
    #[error("frontier of {size} leaves has {bytes} bytes instead of {expected}")]
    FrontierLength {
        /// The tree's size.
        size: TreeSize,
        /// Bytes there are.
        bytes: usize,
        /// Bytes there have to be.
        expected: usize,
    },
}

/// A perfect subtree: leaves `index << height` up to `(index + 1) << height`. Height 0 is a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    height: u8,
    index: u64,
}

impl Node {
    /// The node with this number, from 0, at this height above the leaves.
    ///
    /// # Errors
    /// [`TreeError::NodeOutside`] where no tree reaches: its last leaf is beyond [`TREE_SIZE_MAX`].
    pub fn new(height: u8, index: u64) -> Result<Self, TreeError> {
        let outside = TreeError::NodeOutside { height, index };
        if height > 62 || index >= TREE_SIZE_MAX >> height {
            return Err(outside);
        }
        Ok(Self { height, index })
    }

    /// Height above the leaves, 0 to 62.
    pub const fn height(self) -> u8 {
        self.height
    }

    /// Number at its height, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// The leaves below it.
    pub const fn leaves(self) -> Range<u64> {
        self.index << self.height..(self.index + 1) << self.height
    }
}

/// Where the hashes of perfect subtrees come from: memory or tiles.
pub trait NodeSource {
    /// What can go wrong; it has a place for a node or leaf that the tree does not have.
    type Error: From<TreeError>;

    /// The Merkle tree hash of the leaves below `node`. Called for nodes that lie wholly in a tree of the size that the
    /// caller named; for any other an error.
    ///
    /// # Errors
    /// What the source says, or [`TreeError::NodeOutside`].
    fn node(&mut self, node: Node) -> Result<Hash, Self::Error>;
}

/// Leaf hashes in memory as a source of nodes. Every node is computed anew: meant for small trees and for tests.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a>(pub &'a [Hash]);

impl NodeSource for Leaves<'_> {
    type Error = TreeError;

    fn node(&mut self, node: Node) -> Result<Hash, TreeError> {
        let Range { start, end } = node.leaves();
        let leaves = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        match leaves.and_then(|(start, end)| self.0.get(start..end)) {
            Some(leaves) => Ok(merkle_root(leaves)),
            None => Err(TreeError::NodeOutside { height: node.height, index: node.index }),
        }
    }
}

/// The Merkle tree hash of a list of leaf hashes (RFC 6962 §2.1), level by level.
pub fn merkle_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut level = hash_pairs(leaves);
            while level.len() > 1 {
                level = hash_pairs(&level);
            }
            level[0]
        }
    }
}

/// The inclusion path of leaf `index`, the leaf's sibling first (RFC 6962 §2.1.1), for a tree in memory.
///
/// # Errors
/// [`TreeError::LeafOutside`] where there is no such leaf.
pub fn inclusion_path(leaves: &[Hash], index: LeafIndex) -> Result<Vec<Hash>, TreeError> {
    let size = TreeSize::new(leaves.len() as u64)?;
    let mut place = match usize::try_from(index.get()) {
        Ok(place) if place < leaves.len() => place,
        _ => return Err(TreeError::LeafOutside { index, size }),
    };
    let mut path = Vec::new();
    let mut above;
    let mut level = leaves;
    while level.len() > 1 {
        path.extend(level.get(place ^ 1));
        above = hash_pairs(level);
        level = &above;
        place >>= 1;
    }
    Ok(path)
}

/// The level above: a hash for each pair, and the last one as it is where it has no partner. Promoting it so gives the
/// tree of RFC 6962, whose left subtrees are perfect.
fn hash_pairs(level: &[Hash]) -> Vec<Hash> {
    let (pairs, last) = level.as_chunks::<2>();
    pairs.iter().map(|[left, right]| node_hash(left, right)).chain(last.iter().copied()).collect()
}

/// The Merkle tree hash of the leaves in `range`, of a tree whose leaves before `range` make up whole subtrees: `start` is a
/// multiple of a power of two not below the range's length. An empty range has the empty root.
pub(crate) fn range_hash<S: NodeSource>(source: &mut S, range: Range<u64>) -> Result<Hash, S::Error> {
    Ok(fold_peaks(&range_peaks(source, range)?))
}

/// The perfect subtrees that make up `range`, the largest first; see [`range_hash`].
pub(crate) fn range_peaks<S: NodeSource>(source: &mut S, range: Range<u64>) -> Result<Vec<Hash>, S::Error> {
    let mut peaks = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let height = (range.end - start).ilog2() as u8;
        peaks.push(source.node(Node { height, index: start >> height })?);
        start += 1 << height;
    }
    Ok(peaks)
}

/// The root over perfect subtrees of falling size.
pub(crate) fn fold_peaks(peaks: &[Hash]) -> Hash {
    peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

/// The root of the first `size` leaves of a source.
///
/// # Errors
/// Those of the source.
pub fn root_from<S: NodeSource>(source: &mut S, size: TreeSize) -> Result<Hash, S::Error> {
    range_hash(source, 0..size.get())
}
