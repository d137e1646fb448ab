//! What a fuzzer does, in small and the same in each run: every target with its seeds and what is near them.

use minutebook_decoders::{TARGETS, mutations};

/// Changes of each seed: all targets together take some seconds.
const CHANGES: usize = 150;

/// Seeds of a target that are changed: some formats have hundreds of vectors, which are much alike.
const CHANGED: usize = 40;

#[test]
fn no_decoder_breaks_on_what_is_near_a_seed() {
    for target in &TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has seeds", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            (target.run)(seed);
            let other = &seeds[(number + 1) % seeds.len()];
            // INVARIANT: at least one seed, so at least one step.
            if number % seeds.len().div_ceil(CHANGED) == 0 {
                mutations(seed, other, CHANGES).for_each(|changed| run(target.name, target.run, &changed));
            }
        }
        [&b""[..], &[0; 64], &[0xff; 64]].into_iter().for_each(|bytes| (target.run)(bytes));
    }
}

/// Says which bytes it was.
fn run(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    let broke = std::panic::catch_unwind(|| target(bytes)).is_err();
    assert!(!broke, "{name} broke on {:?}", bytes.escape_ascii().to_string());
}

#[test]
fn every_target_has_a_program() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
    let mut programs: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, TARGETS.map(|target| target.name.to_owned()));
    let manifest = std::fs::read_to_string(format!("{folder}/../Cargo.toml")).unwrap();
    for name in programs {
        let text = std::fs::read_to_string(format!("{folder}/{name}.rs")).unwrap();
        assert_eq!(text.matches(&format!("\"{name}\"")).count(), 2, "the program `{name}` runs its target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "`{name}` is in fuzz/Cargo.toml");
    }
}
