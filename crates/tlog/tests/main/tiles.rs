//! Tile paths, layouts, bundles, and trees read out of tiles.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use minutebook_tlog::{
    BundleError, Edge, Frontier, Hash, LeafIndex, Node, NodeSource, Tile, TileError, TileKind, TileReader,
    TiledTree, TiledTreeError, TreeError, TreeHead, TreeSize, decode_bundle, encode_bundle, leaf_hashes,
    push_entry, tile_hashes, tiles_between,
};
use proptest::prelude::*;

use crate::naive;

fn size(leaves: usize) -> TreeSize {
    TreeSize::new(leaves as u64).unwrap()
}

/// The tiles that a tree consists of, by the definition in tlog-tiles.
fn layout(size: u64) -> BTreeSet<Tile> {
    let mut tiles = BTreeSet::new();
    let mut hashes = size;
    for level in 0.. {
        if hashes == 0 {
            break;
        }
        let full = (0..hashes / 256).map(|index| (index, 256));
        let partial = [(hashes / 256, (hashes % 256) as u16)].into_iter().filter(|(_, width)| *width > 0);
        for (index, width) in full.chain(partial) {
            tiles.insert(Tile::hashes(level, index, width).unwrap());
            if level == 0 {
                tiles.insert(Tile::entries(index, width).unwrap());
            }
        }
        hashes /= 256;
    }
    tiles
}

/// Tiles in memory, kept forever, under their paths; a tile is written once.
#[derive(Default)]
struct Store(BTreeMap<String, Vec<u8>>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing")]
struct Missing;

impl TileReader for Store {
    type Error = Missing;

    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, Missing> {
        self.0.get(&tile.to_string()).map(Cow::from).ok_or(Missing)
    }
}

impl Store {
    fn put(&mut self, (tile, bytes): (Tile, Vec<u8>)) {
        assert_eq!(self.0.insert(tile.to_string(), bytes), None, "{tile} is written once");
    }

    /// Grows an edge by leaves and writes what it gives.
    fn grow(&mut self, edge: &mut Edge, leaves: &[Hash]) -> BTreeSet<Tile> {
        let mut written = BTreeSet::new();
        for leaf in leaves {
            for full in edge.push(*leaf).unwrap() {
                written.insert(full.0);
                self.put(full);
            }
        }
        for partial in edge.partial_tiles() {
            if !self.0.contains_key(&partial.0.to_string()) {
                written.insert(partial.0);
                self.put(partial);
            }
        }
        written
    }
}

fn check_path(tile: Tile, path: &str) {
    assert_eq!(tile.to_string(), path);
    assert_eq!(path.parse(), Ok(tile), "{path}");
}

#[test]
fn paths() {
    check_path(Tile::hashes(0, 0, 256).unwrap(), "tile/0/000");
    check_path(Tile::hashes(63, 1_234_067, 256).unwrap(), "tile/63/x001/x234/067");
    check_path(Tile::entries(1_234_067, 112).unwrap(), "tile/entries/x001/x234/067.p/112");
    check_path(Tile::hashes(2, 999, 1).unwrap(), "tile/2/999.p/1");
    check_path(Tile::hashes(1, 1_000, 255).unwrap(), "tile/1/x001/000.p/255");
    let last = "tile/0/x018/x446/x744/x073/x709/x551/615";
    check_path(Tile::hashes(0, u64::MAX, 256).unwrap(), last);
}

#[test]
fn malformed_paths_are_refused() {
    use TileError::{PathIndex, PathStart, PathWidth};
    let table = [
        ("", PathStart),
        ("tile/0", PathStart),
        ("/tile/0/000", PathStart),
        ("tiles/0/000", PathStart),
        ("tile/00/000", PathStart),
        ("tile/64/000", PathStart),
        ("tile/-1/000", PathStart),
        ("tile/+1/000", PathStart),
        ("tile//000", PathStart),
        ("tile/entry/000", PathStart),
        ("tile/8/0/x001/000", PathIndex),
        ("tile/0/", PathIndex),
        ("tile/0/0", PathIndex),
        ("tile/0/0000", PathIndex),
        ("tile/0/x000", PathIndex),
        ("tile/0/x000/001", PathIndex),
        ("tile/0/001/001", PathIndex),
        ("tile/0/x001/x001", PathIndex),
        ("tile/0/x1/001", PathIndex),
        ("tile/0/X001/001", PathIndex),
        ("tile/0/+01", PathIndex),
        ("tile/0/00٣", PathIndex),
        ("tile/0/000/", PathIndex),
        ("tile/0/x018/x446/x744/x073/x709/x551/616", PathIndex),
        ("tile/0/x001/x018/x446/x744/x073/x709/x551/615", PathIndex),
        ("tile/0/000.p", PathIndex),
        ("tile/0/000.p/", PathWidth),
        ("tile/0/000.p/0", PathWidth),
        ("tile/0/000.p/256", PathWidth),
        ("tile/0/000.p/01", PathWidth),
        ("tile/0/000.p/+1", PathWidth),
        ("tile/0/000.p/1/", PathWidth),
        ("tile/0/000.p/1.p/1", PathWidth),
    ];
    for (path, error) in table {
        assert_eq!(path.parse::<Tile>(), Err(error), "{path}");
    }
    assert_eq!(Tile::hashes(64, 0, 256), Err(TileError::Level { level: 64 }));
    assert_eq!(Tile::hashes(0, 0, 0), Err(TileError::Width { width: 0 }));
    assert_eq!(Tile::entries(0, 257), Err(TileError::Width { width: 257 }));
}

/// The example of tlog-tiles, "Partial Tiles".
#[test]
fn seventy_thousand_entries() {
    let tiles: Vec<Tile> = tiles_between(TreeSize::ZERO, 70_000.into()).unwrap().collect();
    let count = |level, partial| {
        let kind = TileKind::Hashes { level };
        tiles.iter().filter(|tile| tile.kind() == kind && tile.is_partial() == partial).count()
    };
    assert_eq!([count(0, false), count(0, true)], [273, 1]);
    assert_eq!([count(1, false), count(1, true)], [1, 1]);
    assert_eq!([count(2, false), count(2, true)], [0, 1]);
    for partial in ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"] {
        assert!(tiles.contains(&partial.parse().unwrap()), "{partial}");
    }
    assert_eq!(tiles.len(), 2 * 274 + 2 + 1);
}

fn check_growth(old: u64, new: u64) {
    let sizes = [old, new].map(|size| TreeSize::new(size).unwrap());
    let listed: Vec<Tile> = tiles_between(sizes[0], sizes[1]).unwrap().collect();
    assert!(listed.is_sorted(), "{old} to {new}");
    let expected: Vec<Tile> = layout(new).difference(&layout(old)).copied().collect();
    assert_eq!(listed, expected, "{old} to {new}");
}

#[test]
fn growth_writes_what_is_new() {
    for old in [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000] {
        for grown in [0, 1, 2, 254, 255, 256, 257, 1_000, 65_536] {
            check_growth(old, old + grown);
        }
    }
    let shrunk = TreeError::Shrunk { old: 2.into(), new: 1.into() };
    assert_eq!(tiles_between(2.into(), 1.into()).err(), Some(shrunk));
    // The largest tree: listed lazily, and complete to its highest level.
    let largest = (1 << 63) - 1;
    let last = tiles_between(TreeSize::new(largest - 1).unwrap(), TreeSize::new(largest).unwrap()).unwrap();
    assert_eq!(last.count(), 2);
    let mut all = tiles_between(TreeSize::ZERO, TreeSize::new(largest).unwrap()).unwrap();
    assert_eq!(all.next(), Tile::entries(0, 256).ok());
}

#[test]
fn the_edge_gives_the_tiles_of_every_growth() {
    let leaves = naive::leaves(1_300);
    for step in [1, 7, 255, 256, 257, 1_300] {
        let mut store = Store::default();
        let mut edge = Edge::new();
        while edge.size().get() < 1_300 {
            let old = edge.size().get() as usize;
            let new = (old + step).min(1_300);
            let written = store.grow(&mut edge, &leaves[old..new]);
            let hashes = |tile: &Tile| tile.kind() != TileKind::Entries;
            let expected: BTreeSet<Tile> =
                tiles_between(size(old), size(new)).unwrap().filter(hashes).collect();
            assert_eq!(written, expected, "{old} to {new}");
            assert_eq!(edge.root(), naive::root(&leaves[..new]), "{new} leaves");
            assert_eq!(Edge::from_tiles(&store, edge.head()).as_ref(), Ok(&edge), "{new} leaves");
        }
        let first: Vec<u8> = leaves[..256].iter().flat_map(Hash::as_bytes).copied().collect();
        if step == 256 {
            assert_eq!(store.0["tile/0/000"], first);
            assert_eq!(store.0["tile/1/000.p/1"], naive::root(&leaves[..256]).as_bytes());
        }
    }
}

#[test]
fn proofs_from_tiles_are_those_of_the_naive_tree() {
    let leaves = naive::leaves(66_000);
    for count in [1, 2, 255, 256, 257, 300, 512, 1_000, 65_535, 65_536, 65_537, 66_000] {
        let tree = &leaves[..count];
        let (mut store, mut edge) = (Store::default(), Edge::new());
        store.grow(&mut edge, tree);
        let head = TreeHead { size: size(count), root: naive::root(tree) };
        let mut tiled = TiledTree::new(&store, head.size);
        assert_eq!(tiled.root(), Ok(head.root), "{count} leaves");
        let mut frontier = Frontier::new();
        tree.iter().for_each(|leaf| frontier.push(*leaf).unwrap());
        assert_eq!(tiled.frontier(head.root), Ok(frontier), "{count} leaves");
        for leaf in
            [0, 1, 254, 255, 256, 511, 65_535, count / 2, count - 1].into_iter().filter(|leaf| *leaf < count)
        {
            let index = LeafIndex::new(leaf as u64);
            assert_eq!(tiled.leaf(index), Ok(tree[leaf]));
            assert_eq!(tiled.inclusion_path(index), Ok(naive::path(leaf, tree)), "{leaf} of {count}");
            let old = leaf + 1;
            let expected = naive::consistency(old, tree);
            assert_eq!(tiled.consistency_path(size(old)), Ok(expected), "{old} to {count}");
        }
    }
}

#[test]
fn damaged_tiles_are_told() {
    let leaves = naive::leaves(600);
    let (mut store, mut edge) = (Store::default(), Edge::new());
    store.grow(&mut edge, &leaves);
    let head = edge.head();
    let partial: Tile = "tile/0/002.p/88".parse().unwrap();

    let outside = TreeError::LeafOutside { index: 600.into(), size: 600.into() };
    assert_eq!(TiledTree::new(&store, head.size).leaf(600.into()), Err(outside.clone().into()));
    assert_eq!(TiledTree::new(&store, head.size).inclusion_path(600.into()), Err(outside.into()));
    let node = Node::new(5, 18).unwrap();
    let outside = TreeError::NodeOutside { height: 5, index: 18 };
    assert_eq!(TiledTree::new(&store, head.size).node(node), Err(outside.into()));

    let bytes = store.0.get_mut(&partial.to_string()).unwrap();
    bytes[0] ^= 1;
    assert!(matches!(
        TiledTree::new(&store, head.size).frontier(head.root),
        Err(TiledTreeError::Tree(TreeError::RootMismatch { .. }))
    ));
    assert!(matches!(
        Edge::from_tiles(&store, head),
        Err(TiledTreeError::Tree(TreeError::RootMismatch { .. }))
    ));
    let whole = store.0[&partial.to_string()].clone();
    for bytes in [0, 87 * 32, 88 * 32 - 1, 88 * 32 + 1, 89 * 32] {
        let mut wrong = whole.clone();
        wrong.resize(bytes, 7);
        store.0.insert(partial.to_string(), wrong);
        let length = TiledTreeError::Length { tile: partial, bytes, expected: 88 * 32 };
        assert_eq!(TiledTree::new(&store, head.size).root(), Err(length.clone()));
        assert_eq!(Edge::from_tiles(&store, head), Err(length));
    }
    store.0.remove(&partial.to_string());
    let missing = TiledTreeError::Read { tile: partial, cause: Missing };
    assert_eq!(missing.to_string(), "cannot read tile/0/002.p/88: missing");
    assert_eq!(TiledTree::new(&store, head.size).root(), Err(missing.clone()));
    assert_eq!(Edge::from_tiles(&store, head), Err(missing));
}

#[test]
fn bundles() {
    let entries: [&[u8]; 3] = [b"", b"\0", b"entry"];
    let bundle = encode_bundle(&entries).unwrap();
    assert_eq!(bundle, b"\0\0\0\x01\0\0\x05entry");
    assert_eq!(decode_bundle(&bundle, 3).unwrap(), entries);
    let mut grown = bundle.clone();
    push_entry(&mut grown, &[7; 65_535]).unwrap();
    assert_eq!(decode_bundle(&grown, 4).unwrap()[3], [7; 65_535]);

    let too_long = BundleError::EntryTooLong { bytes: 65_536 };
    assert_eq!(push_entry(&mut grown, &[7; 65_536]), Err(too_long.clone()));
    assert_eq!(grown.len(), bundle.len() + 2 + 65_535);
    assert_eq!(encode_bundle(&[[7; 65_536]]), Err(too_long));
    assert_eq!(encode_bundle::<&[u8]>(&[]), Err(BundleError::Width { entries: 0 }));
    assert_eq!(encode_bundle(&[[]; 257]), Err(BundleError::Width { entries: 257 }));
    assert_eq!(encode_bundle(&[[]; 256]).map(|bundle| bundle.len()), Ok(512));
    let table = [
        (&bundle[..], 0, BundleError::Width { entries: 0 }),
        (&bundle[..], 257, BundleError::Width { entries: 257 }),
        (&bundle[..], 2, BundleError::Trailing { bytes: 7 }),
        (&bundle[..], 4, BundleError::Truncated { entry: 3 }),
        (&bundle[..9], 3, BundleError::Truncated { entry: 2 }),
        (&bundle[..6], 3, BundleError::Truncated { entry: 2 }),
        (&bundle[..1], 3, BundleError::Truncated { entry: 0 }),
    ];
    for (bytes, width, error) in table {
        assert_eq!(decode_bundle(bytes, width), Err(error), "{bytes:?} as {width}");
    }
}

#[test]
fn a_bundle_hashes_to_its_tile() {
    let entries: Vec<Vec<u8>> = (0..300).map(|entry: u32| entry.to_string().into_bytes()).collect();
    let tile = Tile::of_entry(299.into(), 300.into()).unwrap();
    assert_eq!(tile.to_string(), "tile/entries/001.p/44");
    assert_eq!(tile.full().to_string(), "tile/entries/001");
    assert_eq!((tile.index(), tile.width()), (1, 44));
    assert_eq!(Tile::of_entry(300.into(), 300.into()), None);
    let bundle = encode_bundle(&entries[256..]).unwrap();
    let hashes = leaf_hashes(decode_bundle(&bundle, tile.width()).unwrap());
    let (mut store, mut edge) = (Store::default(), Edge::new());
    store.grow(&mut edge, &naive::leaves(300));
    let level_0 = Tile::hashes(0, tile.index(), tile.width()).unwrap();
    assert_eq!(tile_hashes::<Missing>(level_0, &store.read_tile(level_0).unwrap()), Ok(hashes));
}

proptest! {
    #[test]
    fn any_growth_writes_what_is_new(old in 0_u64..200_000, grown in 0_u64..70_000) {
        check_growth(old, old + grown);
    }

    #[test]
    fn any_tile_has_one_path(level in 0_u8..64, index: u64, width in 1_u16..=256, entries: bool) {
        let tile = if entries { Tile::entries(index, width) } else { Tile::hashes(level, index, width) }.unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }

    #[test]
    fn any_entries_make_a_bundle(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256)) {
        let bundle = encode_bundle(&entries).unwrap();
        prop_assert_eq!(decode_bundle(&bundle, entries.len() as u16).unwrap(), entries);
    }
}
