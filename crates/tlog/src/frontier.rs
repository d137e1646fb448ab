//! The right edge of a growing tree: the perfect subtrees that all later roots are built on. Edge: it knows no leaf of the
//! past and gives no proofs; it is what has to be kept to go on appending.

use crate::hash::{Hash, node_hash};
use crate::limits::TREE_SIZE_MAX;
use crate::tree::{NodeSource, TreeError, TreeHead, TreeSize, fold_peaks, range_peaks};

/// A compact tree that grows leaf by leaf: its size, and one hash for each bit set in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one for each bit set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Takes up a tree from what [`Frontier::to_bytes`] gave, and checks it against its head.
    ///
    /// # Errors
    /// [`TreeError::FrontierLength`] where the peaks are not as many as the size asks for, [`TreeError::RootMismatch`] where
    /// they are not those of this tree.
    pub fn from_bytes(head: TreeHead, bytes: &[u8]) -> Result<Self, TreeError> {
        let expected = head.size.get().count_ones() as usize * Hash::BYTES;
        if bytes.len() != expected {
            return Err(TreeError::FrontierLength { size: head.size, bytes: bytes.len(), expected });
        }
        Self::checked(head, bytes.as_chunks::<32>().0.iter().copied().map(Hash::new).collect())
    }

    /// Takes up a tree from a source of its nodes, such as tiles, and checks it against its head.
    ///
    /// # Errors
    /// Those of the source, and [`TreeError::RootMismatch`] where the nodes are not those of this tree.
    pub fn from_source<S: NodeSource>(source: &mut S, head: TreeHead) -> Result<Self, S::Error> {
        Ok(Self::checked(head, range_peaks(source, 0..head.size.get())?)?)
    }

    fn checked(head: TreeHead, peaks: Vec<Hash>) -> Result<Self, TreeError> {
        let frontier = Self { size: head.size.get(), peaks };
        match frontier.root() {
            computed if computed == head.root => Ok(frontier),
            computed => Err(TreeError::RootMismatch { computed, expected: head.root }),
        }
    }

    /// Appends a leaf.
    ///
    /// # Errors
    /// [`TreeError::SizeTooLarge`] when the tree is full; it is unchanged then.
    pub fn push(&mut self, leaf: Hash) -> Result<(), TreeError> {
        if self.size == TREE_SIZE_MAX {
            return Err(TreeError::SizeTooLarge { size: self.size + 1 });
        }
        let mut merged = leaf;
        for _ in 0..self.size.trailing_ones() {
            // One peak for each bit set, by the invariant.
            let Some(left) = self.peaks.pop() else { break };
            merged = node_hash(&left, &merged);
        }
        self.peaks.push(merged);
        self.size += 1;
        Ok(())
    }

    /// How many leaves.
    pub fn size(&self) -> TreeSize {
        TreeSize::from_checked(self.size)
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        fold_peaks(&self.peaks)
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size(), root: self.root() }
    }

    /// The roots of the perfect subtrees, the largest first: at most [`crate::limits::PATH_HASHES_MAX`].
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The peaks, joined.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.iter().flat_map(Hash::as_bytes).copied().collect()
    }
}
