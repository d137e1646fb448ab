//! Whole objects cut, emptied, extended, removed, swapped and added.

use super::side_by_side;
use super::source::Tampered;
use super::world::{expect, world};
use minutebook_verify::Severity;
use minutebook_verify::verify::CHECKPOINT;

/// What becomes of an object's bytes; `None`: it is removed.
type Change = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

const CHANGES: [Change; 6] = [
    ("a byte cut off", |bytes| Some(bytes[..bytes.len() - 1].to_vec())),
    ("cut in half", |bytes| Some(bytes[..bytes.len() / 2].to_vec())),
    ("emptied", |_| Some(Vec::new())),
    ("extended by a zero", |bytes| Some([bytes, &[0]].concat())),
    ("doubled", |bytes| Some([bytes, bytes].concat())),
    ("removed", |_| None),
];

fn change(tampered: &mut Tampered<'_>, name: &str, bytes: Option<Vec<u8>>) {
    match bytes {
        Some(bytes) => tampered.put(name, bytes),
        None => tampered.remove(name),
    }
}

/// Segments, blobs and stale tiles do not depend on each other: all are changed in the same run.
#[test]
fn every_segment_blob_and_stale_tile_that_is_changed_is_named() {
    let world = world();
    let stale = world.stale();
    for (what, changed) in CHANGES {
        let mut tampered = Tampered::new(&world.now);
        let mut objects: Vec<&str> = world.now.below("segments/").chain(world.now.below("blobs/")).collect();
        if what != "removed" {
            objects.extend(&stale);
        }
        for name in &objects {
            change(&mut tampered, name, changed(world.now.bytes(name)));
        }
        expect(&world.verify(&tampered, 2, None), what, &objects, &[]);
    }
}

/// The log's own files, and a few of each other kind, one at a time and with each set of keys.
#[test]
fn an_object_that_is_changed_alone_is_named_alone() {
    let world = world();
    let stale = world.stale();
    let some = |prefix| world.now.below(prefix).step_by(40);
    let mut objects: Vec<&str> = some("segments/").chain(world.now.below("blobs/")).collect();
    objects.extend(world.now.below("log/").filter(|name| !stale.contains(name)));
    objects.push("trail.toml");
    side_by_side(objects.len() * CHANGES.len() * 3, |turn| {
        let (name, rest) = (objects[turn % objects.len()], turn / objects.len());
        let ((what, changed), level) = (CHANGES[rest % CHANGES.len()], (rest / CHANGES.len()) as u8);
        let mut tampered = Tampered::new(&world.now);
        change(&mut tampered, name, changed(world.now.bytes(name)));
        expect(&world.verify(&tampered, level, None), &format!("{what} at level {level}"), &[name], &[]);
    });
}

/// C2SP tlog-tiles lets a partial tile go once a wider one is there: its absence proves nothing.
#[test]
fn a_stale_tile_may_be_gone() {
    let world = world();
    let mut tampered = Tampered::new(&world.now);
    for name in world.stale() {
        tampered.remove(name);
    }
    let report = world.verify(&tampered, 2, None);
    assert!(report.is_clean(), "{:#?}", report.findings);
}

#[test]
fn objects_that_are_swapped_with_their_siblings_are_named() {
    let world = world();
    let stale = world.stale();
    let current = |prefix: &'static str| -> Vec<&str> {
        world.now.below(prefix).filter(|name| !stale.contains(name)).collect()
    };
    let of_stale =
        |part: &str| -> Vec<&str> { stale.iter().copied().filter(|name| name.contains(part)).collect() };
    let families = [
        current("segments/"),
        current("blobs/"),
        current("log/tile/entries/"),
        current("log/tile/0/"),
        of_stale("/tile/entries/"),
        of_stale("/tile/0/"),
    ];
    for family in families {
        assert!(family.len() > 1, "{family:?}");
        // All of them one further.
        let mut tampered = Tampered::new(&world.now);
        for (name, next) in family.iter().zip(family.iter().cycle().skip(1)) {
            tampered.put(name, world.now.bytes(next));
        }
        expect(&world.verify(&tampered, 2, None), "passed on", &family, &[]);
        // Two of them, with each set of keys.
        for level in 0..3 {
            let pair = [family[0], family[family.len() / 2]];
            let tampered = Tampered::new(&world.now)
                .with(pair[0], world.now.bytes(pair[1]))
                .with(pair[1], world.now.bytes(pair[0]));
            expect(&world.verify(&tampered, level, None), "swapped", &pair, &[]);
        }
    }
}

#[test]
fn an_object_of_another_kind_does_not_pass() {
    let world = world();
    let first = |prefix: &'static str| world.now.below(prefix).next().unwrap();
    let kinds = [
        "trail.toml",
        CHECKPOINT,
        "log/tile/0/000",
        "log/tile/entries/000",
        first("segments/"),
        first("blobs/"),
    ];
    for name in kinds {
        for other in kinds.iter().filter(|other| **other != name) {
            let tampered = Tampered::new(&world.now).with(name, world.now.bytes(other));
            expect(&world.verify(&tampered, 2, None), &format!("replaced by {other}"), &[name], &[]);
        }
    }
}

#[test]
fn what_does_not_belong_is_named() {
    let world = world();
    let segment = world.now.below("segments/").next().unwrap();
    let blob = world.now.below("blobs/").next().unwrap();
    let copies = [
        (format!("segments/{}", "0".repeat(32)), segment),
        (format!("blobs/{}", "0".repeat(32)), blob),
        (format!("{segment}.bak"), segment),
        (segment.to_uppercase().replace("SEGMENTS", "segments"), segment),
        ("segments/.hidden".into(), segment),
        ("segments/below/it".into(), segment),
        ("blobs/notes.txt".into(), "trail.toml"),
        ("notes.txt".into(), "trail.toml"),
        ("trail.toml~".into(), "trail.toml"),
        ("other/part-0".into(), segment),
        ("elsewhere/part-0".into(), segment),
        ("log/checkpoint.old".into(), CHECKPOINT),
        ("log/tile/checkpoint".into(), CHECKPOINT),
        ("log/tile/0/000.p/0".into(), "log/tile/0/000"),
        ("log/tile/0/000.p/256".into(), "log/tile/0/000"),
        ("log/tile/0/000.p/03".into(), "log/tile/0/000"),
        ("log/tile/00/000".into(), "log/tile/0/000"),
        ("log/tile/0/x000/000".into(), "log/tile/0/000"),
        ("log/tile/0/0000".into(), "log/tile/0/000"),
        ("log/tile/entries/0".into(), "log/tile/entries/000"),
    ];
    for (name, like) in &copies {
        for level in 0..3 {
            let tampered = Tampered::new(&world.now).with(name, world.now.bytes(like));
            expect(&world.verify(&tampered, level, None), "added", &[name], &[]);
        }
    }
    let mut tampered = Tampered::new(&world.now);
    copies.iter().for_each(|(name, like)| tampered.put(name, world.now.bytes(like)));
    let names: Vec<&str> = copies.iter().map(|(name, _)| name.as_str()).collect();
    expect(&world.verify(&tampered, 2, None), "added together", &names, &[]);
    // Tiles beyond the checkpoint may also mean that the checkpoint is not the newest: then both are named.
    for name in [
        "log/tile/0/002",
        "log/tile/0/001.p/255",
        "log/tile/1/000.p/2",
        "log/tile/entries/x001/000",
        "log/tile/7/000",
    ] {
        let tampered = Tampered::new(&world.now).with(name, world.now.bytes("log/tile/0/000"));
        expect(&world.verify(&tampered, 2, None), "added", &[name, CHECKPOINT], &[]);
    }
}

/// The spool, temporary files, lock and catalog hold no evidence: they change while the engine runs, and `doctor` looks at them.
#[test]
fn what_is_no_evidence_is_not_accused() {
    let world = world();
    let mut tampered = Tampered::new(&world.now);
    for name in [
        "spool/web/lock",
        "spool/web/0000000002.epoch",
        "tmp/17-3",
        "catalog.db",
        "catalog.db-wal",
        "catalog.db-shm",
        "lock",
    ] {
        tampered.put(name, b"anything".as_slice());
    }
    let report = world.verify(&tampered, 2, None);
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.severity <= Severity::Warning));
}
