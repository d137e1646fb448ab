//! Consistency proofs (RFC 6962 §2.1.2): that a tree has grown out of an earlier one by appending only. Building from any
//! source of nodes, checking from nothing but the proof.

use crate::hash::{Hash, empty_root, node_hash};
use crate::inclusion::left_leaves;
use crate::tree::{NodeSource, TreeError, TreeHead, TreeSize, range_hash};

/// The consistency proof between the source's first `old` and first `new` leaves. Empty where the sizes are equal or the
/// older tree is empty.
///
/// The proof is as good as the source: check it with [`verify_consistency`] before it leaves the house.
///
/// # Errors
/// [`TreeError::Shrunk`] where `old` is above `new`, and those of the source.
pub fn consistency_path_from<S: NodeSource>(
    source: &mut S,
    old: TreeSize,
    new: TreeSize,
) -> Result<Vec<Hash>, S::Error> {
    if old > new {
        return Err(TreeError::Shrunk { old, new }.into());
    }
    if old == TreeSize::ZERO {
        return Ok(Vec::new());
    }
    // As SUBPROOF(m, D[n], b) recurses: down the right edge of the older tree until a subtree ends where it ends.
    let (mut start, mut end) = (0, new.get());
    let mut path = Vec::new();
    while old.get() < end {
        let middle = start + left_leaves(end - start);
        let sibling = if old.get() <= middle { middle..end } else { start..middle };
        path.push(range_hash(source, sibling)?);
        if old.get() <= middle { end = middle } else { start = middle }
    }
    // From the very left on, that subtree is the older tree itself: who checks has its root.
    if start > 0 {
        path.push(range_hash(source, start..end)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the tree `new` begins with the leaves of the tree `old`, in the same order.
///
/// # Errors
/// [`TreeError::Shrunk`] where the sizes run backwards, [`TreeError::ProofLength`], [`TreeError::OldRootMismatch`] and
/// [`TreeError::RootMismatch`]. Two heads of one size with two roots are a `RootMismatch`: the log shows two histories.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, path: &[Hash]) -> Result<(), TreeError> {
    if old.size > new.size {
        return Err(TreeError::Shrunk { old: old.size, new: new.size });
    }
    let (old_root, new_root) = match old.size {
        TreeSize::ZERO => {
            check_length(path, 0)?;
            (empty_root(), new.root)
        }
        size if size == new.size => {
            check_length(path, 0)?;
            (old.root, old.root)
        }
        _ => roots(old, new.size, path)?,
    };
    if old_root != old.root {
        return Err(TreeError::OldRootMismatch { computed: old_root, expected: old.root });
    }
    if new_root != new.root {
        return Err(TreeError::RootMismatch { computed: new_root, expected: new.root });
    }
    Ok(())
}

/// Both roots that a proof between trees of different, non-zero sizes leads to.
fn roots(old: &TreeHead, new_size: TreeSize, path: &[Hash]) -> Result<(Hash, Hash), TreeError> {
    // The proof starts at the last perfect subtree of the older tree, at this height; from there up it is the inclusion
    // path of that subtree in the newer tree.
    let height = old.size.get().trailing_zeros();
    let place = (old.size.get() - 1) >> height;
    let last = (new_size.get() - 1) >> height;
    let inner = (u64::BITS - (place ^ last).leading_zeros()) as usize;
    let siblings = inner + (place >> inner).count_ones() as usize;

    // Where the older tree is one perfect subtree, its root is the start and is left out.
    let starts_at_root = place == 0;
    check_length(path, siblings + usize::from(!starts_at_root))?;
    let (start, path) = match path {
        [start, rest @ ..] if !starts_at_root => (*start, rest),
        _ => (old.root, path),
    };
    let (mut old_hash, mut new_hash) = (start, start);
    for (step, sibling) in path.iter().enumerate() {
        let sibling_is_right = step < inner && place >> step & 1 == 0;
        if sibling_is_right {
            // Not in the older tree: it ended here.
            new_hash = node_hash(&new_hash, sibling);
        } else {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
        }
    }
    Ok((old_hash, new_hash))
}

fn check_length(path: &[Hash], expected: usize) -> Result<(), TreeError> {
    if path.len() == expected { Ok(()) } else { Err(TreeError::ProofLength { hashes: path.len(), expected }) }
}
