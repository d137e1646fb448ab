//! Single bits flipped: every byte of small objects, a thousand places of large ones.

use super::side_by_side;
use super::source::{MapSource, Tampered};
use super::world::{expect, world};
use minutebook_verify::verify::CHECKPOINT;

/// Objects up to this many bytes are flipped at every byte.
const SMALL: usize = 4_096;
/// Places that are flipped in larger ones.
const PLACES: usize = 1_000;

/// A small generator with a printed seed: places are the same in every run.
pub struct Places(u64);

impl Places {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The `turn`th flip of an object, so that all places of small ones have their turn; `None` when it had them all.
fn flipped(name: &str, bytes: &[u8], turn: usize) -> Option<Vec<u8>> {
    let seed =
        name.bytes().fold(turn as u64, |seed, byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
    let mut places = Places::new(seed);
    let at = if bytes.len() <= SMALL { turn } else { places.next() as usize % bytes.len() };
    if at >= bytes.len() || (bytes.len() > SMALL && turn >= PLACES) {
        return None;
    }
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (places.next() % 8);
    Some(bytes)
}

fn turns(objects: &[&str]) -> usize {
    let turns = |name: &&str| {
        let bytes = world().now.bytes(name).len();
        if bytes <= SMALL { bytes } else { PLACES }
    };
    objects.iter().map(turns).max().unwrap()
}

/// Flips all of `objects` in the same run, each at a place of its own: for objects whose checks do not depend on each other. Gives `base`
/// the level of each turn.
fn flip_together(base: &MapSource, objects: &[&str], level: impl Fn(usize) -> u8 + Sync) {
    side_by_side(turns(objects), |turn| {
        let mut tampered = Tampered::new(base);
        let mut flips = Vec::new();
        for name in objects {
            if let Some(bytes) = flipped(name, base.bytes(name), turn) {
                tampered.put(name, bytes);
                flips.push(*name);
            }
        }
        let level = level(turn);
        let report = world().verify(&tampered, level, None);
        expect(&report, &format!("turn {turn} of flips at level {level}"), &flips, &[]);
    });
}

/// Keys play no part in the checks of the log, so that most of these runs do without.
fn flip_in_log(objects: &[&str]) {
    const LEVELS: [u8; 16] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
    flip_together(&world().lean, objects, |turn| LEVELS[turn % LEVELS.len()]);
}

#[test]
fn a_flipped_bit_is_found_in_segments_and_blobs() {
    let lean = &world().lean;
    let objects: Vec<&str> = lean.below("segments/").chain(lean.below("blobs/")).collect();
    flip_together(lean, &objects, |_| 2);
}

#[test]
fn a_flipped_bit_is_found_in_what_earlier_checkpoints_left() {
    let world = world();
    let mut objects = world.stale();
    objects.push("log/tile/1/000.p/1");
    flip_together(&world.now, &objects, |turn| if turn % 32 == 0 { 2 } else { 0 });
}

#[test]
fn a_flipped_bit_is_found_in_entry_bundles() {
    let bundles: Vec<&str> = world().lean.below("log/tile/entries/").collect();
    flip_in_log(&bundles);
}

#[test]
fn a_flipped_bit_is_found_in_tiles() {
    let tiles: Vec<&str> = world().lean.below("log/tile/0/").collect();
    flip_in_log(&tiles);
}

#[test]
fn a_flipped_bit_is_found_in_the_checkpoint() {
    flip_in_log(&[CHECKPOINT]);
}

#[test]
fn a_flipped_bit_is_found_in_trail_toml() {
    flip_in_log(&["trail.toml"]);
}

/// One flip in the whole trail, with each set of keys.
#[test]
fn one_flip_alone_is_found_at_every_level() {
    let world = world();
    let objects: Vec<&str> = world.now.names().collect();
    let mut places = Places::new(7);
    let turns: Vec<usize> = objects.iter().map(|_| places.next() as usize).collect();
    side_by_side(objects.len(), |at| {
        let name = objects[at];
        let bytes = world.now.bytes(name);
        let turn = turns[at] % bytes.len().min(PLACES);
        let tampered = Tampered::new(&world.now).with(name, flipped(name, bytes, turn).unwrap());
        let level = (at % 3) as u8;
        expect(&world.verify(&tampered, level, None), &format!("turn {turn} at level {level}"), &[name], &[]);
    });
}
