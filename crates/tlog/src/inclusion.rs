//! Inclusion proofs (RFC 6962 §2.1.1): that a leaf is in a tree, at its place. Building from any source of nodes, checking
//! from nothing but the proof.

use crate::hash::{Hash, node_hash};
use crate::tree::{LeafIndex, NodeSource, TreeError, TreeHead, TreeSize, range_hash};

/// The inclusion path of leaf `index` in the tree of the source's first `size` leaves, the leaf's sibling first.
///
/// The path is as good as the source: check it with [`verify_inclusion`] before it leaves the house.
///
/// # Errors
/// [`TreeError::LeafOutside`] where the tree has no such leaf, and those of the source.
pub fn inclusion_path_from<S: NodeSource>(
    source: &mut S,
    index: LeafIndex,
    size: TreeSize,
) -> Result<Vec<Hash>, S::Error> {
    if index.get() >= size.get() {
        return Err(TreeError::LeafOutside { index, size }.into());
    }
    // From the root down to the leaf, as PATH(m, D[n]) recurses; the siblings come out root side first.
    let (mut start, mut end) = (0, size.get());
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + left_leaves(end - start);
        let sibling = if index.get() < middle { middle..end } else { start..middle };
        path.push(range_hash(source, sibling)?);
        if index.get() < middle { end = middle } else { start = middle }
    }
    path.reverse();
    Ok(path)
}

/// The root that an inclusion path leads to from a leaf hash. It says nothing until it is compared with a root that is
/// trusted; [`verify_inclusion`] does both.
///
/// # Errors
/// [`TreeError::LeafOutside`] where no tree of this size has the leaf; [`TreeError::ProofLength`] where the path is not
/// exactly as long as size and place ask for.
pub fn root_from_path(
    leaf: Hash,
    index: LeafIndex,
    size: TreeSize,
    path: &[Hash],
) -> Result<Hash, TreeError> {
    if index.get() >= size.get() {
        return Err(TreeError::LeafOutside { index, size });
    }
    // Up to the height where the leaf's way and the last leaf's way meet, there is a sibling on one side or the other;
    // above it the leaf is on the right edge, which has siblings only on the left.
    let inner = u64::BITS - (index.get() ^ (size.get() - 1)).leading_zeros();
    let expected = (inner + (index.get() >> inner).count_ones()) as usize;
    if path.len() != expected {
        return Err(TreeError::ProofLength { hashes: path.len(), expected });
    }
    let mut hash = leaf;
    for (height, sibling) in path.iter().enumerate() {
        let sibling_is_right = height < inner as usize && index.get() >> height & 1 == 0;
        hash = if sibling_is_right { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) };
    }
    Ok(hash)
}

/// Checks that the tree with this head has the leaf at this place.
///
/// # Errors
/// Those of [`root_from_path`], and [`TreeError::RootMismatch`].
pub fn verify_inclusion(
    leaf: Hash,
    index: LeafIndex,
    head: &TreeHead,
    path: &[Hash],
) -> Result<(), TreeError> {
    match root_from_path(leaf, index, head.size, path)? {
        computed if computed == head.root => Ok(()),
        computed => Err(TreeError::RootMismatch { computed, expected: head.root }),
    }
}

/// The leaves of the left subtree of a tree of `leaves` > 1: the largest power of two below it.
pub(crate) fn left_leaves(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}
