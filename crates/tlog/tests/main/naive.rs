//! RFC 6962 §2.1 word by word, over slices: slow, and what the crate is measured against.

use minutebook_tlog::{Hash, empty_root, leaf_hash, node_hash};

/// Leaf hashes of the entries `0`, `1`, `2`, … in decimal.
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|entry| leaf_hash(entry.to_string().as_bytes())).collect()
}

/// MTH(D).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D).
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut found, sibling) =
        if index < k { (path(index, left), root(right)) } else { (path(index - k, right), root(left)) };
    found.push(sibling);
    found
}

/// PROOF(m, D).
pub(crate) fn consistency(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    if old == 0 { Vec::new() } else { subproof(old, leaves, true) }
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut found, sibling) = if old <= k {
        (subproof(old, left, whole), root(right))
    } else {
        (subproof(old - k, right, false), root(left))
    };
    found.push(sibling);
    found
}

fn split(leaves: usize) -> usize {
    let mut k = 1;
    while k * 2 < leaves {
        k *= 2;
    }
    k
}
