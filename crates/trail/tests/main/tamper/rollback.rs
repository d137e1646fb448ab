//! Older versions put back: of one object, of the log, of the whole folder.

use super::source::Tampered;
use super::world::{expect, names, world};
use minutebook_verify::verify::CHECKPOINT;
use minutebook_verify::{Pinned, Severity};

/// Of the objects that are in both copies only the checkpoint differs: everything else is written once.
#[test]
fn an_older_checkpoint_is_named() {
    let world = world();
    let differs = |name: &&str| world.now.0.get(*name).is_some_and(|now| now != &world.before.0[*name]);
    let differing: Vec<&str> = world.before.names().filter(differs).collect();
    assert_eq!(differing, [CHECKPOINT]);
    let tampered = Tampered::new(&world.now).with(CHECKPOINT, world.before.bytes(CHECKPOINT));
    for level in 0..3 {
        let report = world.verify(&tampered, level, None);
        let found = |object: &str| {
            let problem = |finding: &&minutebook_verify::Finding| {
                finding.severity == Severity::Problem && names(finding, object)
            };
            report.findings.iter().any(|finding| problem(&finding))
        };
        assert!(found(CHECKPOINT), "{:#?}", report.findings);
        assert!(found("log/tile/0/000"), "what lies beyond it is named too");
    }
}

#[test]
fn what_was_erased_and_is_put_back_is_named() {
    let world = world();
    let gone: Vec<&str> =
        world.before.below("blobs/").filter(|name| !world.now.0.contains_key(*name)).collect();
    let mut tampered = Tampered::new(&world.now);
    gone.iter().for_each(|name| tampered.put(name, world.before.bytes(name)));
    for level in 0..3 {
        expect(&world.verify(&tampered, level, None), "put back", &gone, &[]);
    }
}

#[test]
fn an_older_log_under_newer_segments_is_noticed() {
    let world = world();
    let mut tampered = Tampered::new(&world.now);
    world.now.below("log/").for_each(|name| tampered.remove(name));
    world.before.below("log/").for_each(|name| tampered.put(name, world.before.bytes(name)));
    let newer: Vec<&str> =
        world.now.below("segments/").filter(|name| !world.before.0.contains_key(*name)).collect();
    let report = world.verify(&tampered, 1, None);
    let erased: Vec<&str> =
        world.before.below("blobs/").filter(|name| !world.now.0.contains_key(*name)).collect();
    expect(&report, "an older log", &newer, &erased);
}

/// A folder as a whole says nothing of its age: who kept a checkpoint sees it.
#[test]
fn a_folder_that_was_rolled_back_is_noticed_by_who_looked_before() {
    let world = world();
    let report = world.verify(&world.now, 0, None);
    let (size, root) = report.checkpoint.unwrap();
    let seen = Pinned { log_key: report.log_key, size, root };
    for level in 0..2 {
        let report = world.verify(&world.before, level, Some(seen.clone()));
        expect(&report, "rolled back", &[CHECKPOINT], &[]);
        assert!(report.findings.iter().any(|finding| finding.means.contains("rolled back")));
        let blind = world.verify(&world.before, level, None);
        assert!(blind.is_clean(), "{:#?}", blind.findings);
        assert!(blind.findings.iter().any(|finding| finding.severity == Severity::Warning));
    }
    // The keys of today have forgotten whom the older copy does not know as erased.
    expect(&world.verify(&world.before, 2, Some(seen)), "rolled back", &[CHECKPOINT, "catalog"], &[]);
}
