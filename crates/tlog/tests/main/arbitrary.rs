//! No input makes a parser panic, and what is accepted comes out as it came in.

use std::fs;
use std::path::PathBuf;

use minutebook_tlog::fuzz_parsers;
use proptest::prelude::*;

use crate::keys::FOO;
use crate::notes::NOTES;
use crate::policies;

/// Valid inputs of every parser.
fn seeds() -> Vec<Vec<u8>> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors");
    let files = ["log-checkpoint.txt", "log-policy.txt", "log-proof.txt"];
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(vectors.join(file)).unwrap()).collect();
    seeds.extend(NOTES.map(Vec::from));
    seeds.push(policies::example().into());
    seeds.push(FOO.into());
    seeds.extend(["tile/0/x001/234.p/5", "tile/entries/000"].map(Vec::from));
    seeds.push(NOTES[2].split_inclusive('\n').take(3).collect::<String>().into());
    seeds.push(NOTES[0].lines().last().unwrap().into());
    seeds.push("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".into());
    // A width, a place and a size, and behind them a bundle of three, or hashes: a path, a frontier.
    let mut binary = vec![3];
    binary.extend(1_u64.to_be_bytes());
    binary.extend(3_u64.to_be_bytes());
    seeds.push([&binary[..], b"\0\x01a\0\0\0\x02bc"].concat());
    seeds.push([&binary[..], &[7; 64]].concat());
    seeds.push(vec![0; 72]);
    seeds
}

#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let special = prop::sample::select(&b"\n\n\n \t+-=/x09.#\xe2\x80\x94\0\x7f\xff"[..]);
    prop_oneof![
        (place(), special.clone()).prop_map(|(place, byte)| Change::Replace(place, byte)),
        (place(), 0_u8..8).prop_map(|(place, bit)| Change::Flip(place, bit)),
        place().prop_map(Change::Remove),
        (place(), prop::collection::vec(special, 1..4))
            .prop_map(|(place, bytes)| Change::Insert(place, bytes)),
        place().prop_map(Change::Cut),
        (place(), place()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Replace(place, byte) => *place.get_mut(bytes) = *byte,
            Self::Flip(place, bit) => *place.get_mut(bytes) ^= 1 << bit,
            Self::Remove(place) => drop(bytes.remove(place.index(bytes.len()))),
            Self::Insert(place, new) => {
                let place = place.index(bytes.len());
                bytes.splice(place..place, new.iter().copied());
            }
            Self::Cut(place) => bytes.truncate(place.index(bytes.len())),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

#[test]
fn valid_inputs() {
    seeds().iter().for_each(|seed| fuzz_parsers(seed));
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_valid_input() {
    for seed in seeds() {
        for place in 0..seed.len() {
            fuzz_parsers(&seed[..place]);
            let mut flipped = seed.clone();
            flipped[place] ^= 1 << (place % 8);
            fuzz_parsers(&flipped);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_parsers(&data);
    }

    #[test]
    fn any_text(data in "(— |log |group |quorum |[ -~\n]|\\PC){0,80}") {
        fuzz_parsers(data.as_bytes());
    }

    #[test]
    fn any_change_of_valid_inputs(seed in prop::sample::select(seeds()), changes in prop::collection::vec(change(), 1..5)) {
        let mut data = seed;
        changes.iter().for_each(|change| change.apply(&mut data));
        fuzz_parsers(&data);
    }
}
