//! Roots, frontiers and proofs against the naive tree.

use minutebook_tlog::{
    Frontier, Hash, LeafIndex, Leaves, Node, TreeError, TreeHead, TreeSize, consistency_path_from,
    empty_root, inclusion_path, inclusion_path_from, leaf_hash, merkle_root, root_from, root_from_path,
    verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

use crate::naive;

/// Up to here every pair of sizes and every leaf is tried.
const EXHAUSTIVE: usize = 70;

fn size(leaves: usize) -> TreeSize {
    TreeSize::new(leaves as u64).unwrap()
}

fn index(leaf: usize) -> LeafIndex {
    LeafIndex::new(leaf as u64)
}

fn head(leaves: &[Hash]) -> TreeHead {
    TreeHead { size: size(leaves.len()), root: naive::root(leaves) }
}

/// Numbers below `size`: all of a small one; else the edges, the neighbours of the largest power of two, and two that differ
/// from size to size.
fn spread(size: usize) -> Vec<usize> {
    if size <= EXHAUSTIVE {
        return (0..size).collect();
    }
    let power = 1 << (size - 1).ilog2();
    let mut spread: Vec<_> =
        [0, 1, power - 1, power, power + 1, size - 2, size - 1, size * size / 3 % size, size * 7 / 11]
            .into_iter()
            .filter(|number| *number < size)
            .collect();
    spread.sort_unstable();
    spread.dedup();
    spread
}

fn check_inclusion(leaves: &[Hash], leaf: usize, head: &TreeHead) {
    let path = naive::path(leaf, leaves);
    let at = || format!("leaf {leaf} of {}", leaves.len());
    assert_eq!(inclusion_path(leaves, index(leaf)).as_ref(), Ok(&path), "{}", at());
    assert_eq!(
        inclusion_path_from(&mut Leaves(leaves), index(leaf), head.size).as_ref(),
        Ok(&path),
        "{}",
        at()
    );
    assert_eq!(root_from_path(leaves[leaf], index(leaf), head.size, &path), Ok(head.root), "{}", at());
    verify_inclusion(leaves[leaf], index(leaf), head, &path).unwrap();
}

fn check_consistency(leaves: &[Hash], old: usize, new_head: &TreeHead) {
    let path = naive::consistency(old, leaves);
    let built = consistency_path_from(&mut Leaves(leaves), size(old), new_head.size);
    assert_eq!(built.as_ref(), Ok(&path), "{old} to {}", leaves.len());
    let old_head = head(&leaves[..old]);
    verify_consistency(&old_head, new_head, &path).unwrap_or_else(|error| panic!("{old}: {error}"));
}

#[test]
fn every_size_to_1100_agrees_with_the_naive_tree() {
    let leaves = naive::leaves(1_100);
    let mut frontier = Frontier::new();
    for count in 0..=leaves.len() {
        let tree = &leaves[..count];
        let head = head(tree);
        assert_eq!(merkle_root(tree), head.root, "{count} leaves");
        assert_eq!(root_from(&mut Leaves(tree), head.size), Ok(head.root), "{count} leaves");
        assert_eq!(frontier.head(), head, "{count} leaves");
        assert_eq!(Frontier::from_bytes(head, &frontier.to_bytes()).as_ref(), Ok(&frontier));
        assert_eq!(Frontier::from_source(&mut Leaves(tree), head).as_ref(), Ok(&frontier));
        for leaf in spread(count) {
            check_inclusion(tree, leaf, &head);
        }
        for old in spread(count + 1) {
            check_consistency(tree, old, &head);
        }
        if let Some(leaf) = leaves.get(count) {
            frontier.push(*leaf).unwrap();
        }
    }
}

/// A path with any one hash changed, left out or added, or for another place, does not verify.
#[test]
fn altered_inclusion_proofs_are_refused() {
    let leaves = naive::leaves(40);
    for count in 1..=leaves.len() {
        let tree = &leaves[..count];
        let head = head(tree);
        for (leaf, hash) in tree.iter().enumerate() {
            let path = naive::path(leaf, tree);
            let refused = |index, path: &[Hash]| verify_inclusion(*hash, index, &head, path).unwrap_err();
            for (place, hash) in path.iter().enumerate() {
                let mut altered = path.clone();
                altered[place] = leaf_hash(hash.as_bytes());
                assert!(matches!(refused(index(leaf), &altered), TreeError::RootMismatch { .. }));
            }
            let length = |hashes| TreeError::ProofLength { hashes, expected: path.len() };
            if !path.is_empty() {
                assert_eq!(refused(index(leaf), &path[1..]), length(path.len() - 1));
                assert_eq!(refused(index(leaf), &path[..path.len() - 1]), length(path.len() - 1));
            }
            let longer: Vec<Hash> = path.iter().copied().chain([head.root]).collect();
            assert_eq!(refused(index(leaf), &longer), length(path.len() + 1));
            for other in (0..count).filter(|other| *other != leaf) {
                refused(index(other), &path);
            }
            let outside = TreeError::LeafOutside { index: index(count), size: head.size };
            assert_eq!(refused(index(count), &path), outside);
        }
    }
}

#[test]
fn altered_consistency_proofs_are_refused() {
    let leaves = naive::leaves(40);
    let other_root = leaf_hash(b"another history");
    for new in 1..=leaves.len() {
        let new_head = head(&leaves[..new]);
        for old in 1..=new {
            let old_head = head(&leaves[..old]);
            let path = naive::consistency(old, &leaves[..new]);
            let verify = |old: &TreeHead, new: &TreeHead, path: &[Hash]| verify_consistency(old, new, path);
            for (place, hash) in path.iter().enumerate() {
                let mut altered = path.clone();
                altered[place] = leaf_hash(hash.as_bytes());
                verify(&old_head, &new_head, &altered).unwrap_err();
                let mut shorter = path.clone();
                shorter.remove(place);
                let length = TreeError::ProofLength { hashes: path.len() - 1, expected: path.len() };
                assert_eq!(verify(&old_head, &new_head, &shorter), Err(length));
            }
            let longer: Vec<Hash> = path.iter().copied().chain([new_head.root]).collect();
            let length = TreeError::ProofLength { hashes: path.len() + 1, expected: path.len() };
            assert_eq!(verify(&old_head, &new_head, &longer), Err(length));
            verify(&TreeHead { root: other_root, ..old_head }, &new_head, &path).unwrap_err();
            verify(&old_head, &TreeHead { root: other_root, ..new_head }, &path).unwrap_err();
        }
    }
}

/// Forking at one size, shrinking, and a wrong root for the empty tree.
#[test]
fn histories_that_cannot_be_are_refused() {
    let leaves = naive::leaves(8);
    let (four, eight) = (head(&leaves[..4]), head(&leaves));
    let fork = TreeHead { root: four.root, ..eight };
    let mismatch = TreeError::RootMismatch { computed: eight.root, expected: four.root };
    assert_eq!(verify_consistency(&eight, &fork, &[]), Err(mismatch));
    let shrunk = TreeError::Shrunk { old: eight.size, new: four.size };
    assert_eq!(verify_consistency(&eight, &four, &[]), Err(shrunk.clone()));
    assert_eq!(consistency_path_from(&mut Leaves(&leaves), eight.size, four.size), Err(shrunk));
    let empty = TreeHead { size: TreeSize::ZERO, root: four.root };
    let mismatch = TreeError::OldRootMismatch { computed: empty_root(), expected: four.root };
    assert_eq!(verify_consistency(&empty, &eight, &[]), Err(mismatch));
    let length = TreeError::ProofLength { hashes: 1, expected: 0 };
    assert_eq!(verify_consistency(&head(&[]), &eight, &[eight.root]), Err(length));
}

#[test]
fn frontiers_that_do_not_belong_to_the_head_are_refused() {
    let leaves = naive::leaves(11);
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push(*leaf).unwrap());
    let (head, bytes) = (frontier.head(), frontier.to_bytes());
    assert_eq!(bytes.len(), 3 * 32);
    for length in [0, 64, 95] {
        let error = TreeError::FrontierLength { size: head.size, bytes: length, expected: 96 };
        assert_eq!(Frontier::from_bytes(head, &bytes[..length]), Err(error));
    }
    let mut altered = bytes;
    altered[40] ^= 1;
    assert!(matches!(Frontier::from_bytes(head, &altered), Err(TreeError::RootMismatch { .. })));
}

#[test]
fn nothing_lies_beyond_the_largest_tree() {
    let largest = (1 << 63) - 1;
    assert_eq!(TreeSize::new(largest).map(TreeSize::get), Ok(largest));
    assert_eq!(TreeSize::new(1 << 63), Err(TreeError::SizeTooLarge { size: 1 << 63 }));
    assert!(Node::new(62, 0).is_ok());
    for (height, index) in [(62, 1), (63, 0), (0, largest), (255, 0), (1, u64::MAX)] {
        assert_eq!(Node::new(height, index), Err(TreeError::NodeOutside { height, index }));
    }
    // The last leaf of the largest tree is on the right edge: a peak for each bit.
    let (leaf, size) = (leaf_hash(b""), TreeSize::new(largest).unwrap());
    assert!(root_from_path(leaf, LeafIndex::new(largest - 1), size, &[leaf; 62]).is_ok());
    assert!(root_from_path(leaf, LeafIndex::new(0), size, &[leaf; 63]).is_ok());
    let full = TreeHead { size, root: leaf };
    let frontier = Frontier::from_bytes(full, &[7; 63 * 32]).unwrap_err();
    let TreeError::RootMismatch { computed, .. } = frontier else { panic!("{frontier}") };
    let mut frontier = Frontier::from_bytes(TreeHead { size, root: computed }, &[7; 63 * 32]).unwrap();
    let before = frontier.clone();
    assert_eq!(frontier.push(leaf), Err(TreeError::SizeTooLarge { size: 1 << 63 }));
    assert_eq!(frontier, before);
}

#[test]
fn leaves_in_memory_have_no_node_outside() {
    let leaves = naive::leaves(5);
    let outside = TreeError::LeafOutside { index: index(5), size: size(5) };
    assert_eq!(inclusion_path(&leaves, index(5)), Err(outside.clone()));
    assert_eq!(inclusion_path_from(&mut Leaves(&leaves), index(5), size(5)), Err(outside));
    let error = inclusion_path(&[], LeafIndex::new(u64::MAX)).unwrap_err();
    assert_eq!(error.to_string(), "tree of 0 leaves has no leaf 18446744073709551615");
    let missing = TreeError::NodeOutside { height: 1, index: 2 };
    assert_eq!(root_from(&mut Leaves(&leaves), size(6)), Err(missing));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn larger_sizes_agree_with_the_naive_tree(count in 1_101_usize..6_000, leaf: prop::sample::Index, old: prop::sample::Index) {
        let leaves = naive::leaves(count);
        let head = head(&leaves);
        prop_assert_eq!(merkle_root(&leaves), head.root);
        check_inclusion(&leaves, leaf.index(count), &head);
        check_consistency(&leaves, old.index(count + 1), &head);
    }
}
