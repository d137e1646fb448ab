//! False statements by whoever holds the keys: a log that is signed properly over entries that do not say what is there.

use super::forgery::Forgery;
use super::source::MapSource;
use super::world::{World, expect, world};
use minutebook_verify::Pinned;
use minutebook_verify::descriptor::{Descriptor, Entry, Gone, Mark, MarkKind, Range, State};
use minutebook_verify::hex;
use minutebook_verify::verify::{CHECKPOINT, blob_name, segment_name};

fn epoch(mark: &Mark) -> String {
    format!("producer {} epoch {}", hex(&mark.producer), mark.epoch)
}

/// Verifies a forgery with each set of keys: the `objects` are accused from `level` on, and nobody below.
fn check(what: &str, forged: &MapSource, objects: &[&str], level: u8) {
    for keys in 0..3 {
        let report = world().verify(forged, keys, None);
        let expected = if keys >= level { objects } else { &[] };
        expect(&report, &format!("{what} at level {keys}"), expected, &[]);
    }
}

/// A forgery in which one descriptor is changed; gives the segment's name too.
fn with_descriptor(
    choose: impl Fn(&Descriptor) -> bool,
    change: impl FnOnce(&mut Descriptor),
) -> (MapSource, String) {
    let mut forgery = Forgery::new();
    let at = forgery.find(choose);
    change(forgery.descriptor(at));
    let name = segment_name(&forgery.descriptor(at).segment);
    (forgery.publish(), name)
}

fn has_standard_records(descriptor: &Descriptor) -> bool {
    descriptor.class == "standard" && descriptor.records > 1 && descriptor.blobs.is_empty()
}

fn closes(descriptor: &Descriptor) -> bool {
    descriptor.marks.iter().any(|mark| matches!(mark.what, MarkKind::Closed(_)) && !mark.counts.is_empty())
}

#[test]
fn a_log_that_is_published_anew_without_a_change_is_clean() {
    check("nothing", &Forgery::new().publish(), &[], 0);
}

#[test]
fn a_number_in_two_segments_is_found() {
    let mut forgery = Forgery::new();
    let choose = |descriptor: &Descriptor| descriptor.class == "a" && descriptor.records > 0;
    let first = forgery.find(choose);
    let twice = forgery.descriptor(first).ranges[0].clone();
    let second = forgery
        .find(|descriptor| choose(descriptor) && descriptor.ranges[0].ranges[0].from > twice.ranges[0].to);
    let descriptor = forgery.descriptor(second);
    descriptor.ranges[0].ranges[0].from = twice.ranges[0].from;
    let segment = segment_name(&descriptor.segment);
    let producer = format!("producer {} epoch {}", hex(&twice.producer), twice.epoch);
    let forged = forgery.publish();
    expect(&world().verify(&forged, 0, None), "overlap", &[&producer], &[]);
    for level in 1..3 {
        expect(&world().verify(&forged, level, None), "overlap", &[&producer, &segment], &[]);
    }
}

#[test]
fn a_segment_that_was_left_out_is_found() {
    let mut forgery = Forgery::new();
    let at = forgery.find(|descriptor| descriptor.class == "a" && descriptor.records > 0);
    let ranges = forgery.descriptor(at).ranges[0].clone();
    forgery.leave_out(at);
    let producer = format!("producer {} epoch {}", hex(&ranges.producer), ranges.epoch);
    check("left out", &forgery.publish(), &[&producer], 0);
}

#[test]
fn a_loss_that_is_not_told_is_found() {
    let mut forgery = Forgery::new();
    let lost = |descriptor: &Descriptor| {
        descriptor.ranges.iter().flat_map(|ranges| &ranges.ranges).any(|range| range.state == State::Died)
    };
    let at = forgery.find(lost);
    let descriptor = forgery.descriptor(at);
    let ranges = descriptor
        .ranges
        .iter_mut()
        .find(|ranges| ranges.ranges.iter().any(|range| range.state == State::Died));
    let ranges = ranges.unwrap();
    let producer = format!("producer {} epoch {}", hex(&ranges.producer), ranges.epoch);
    ranges.ranges.retain(|range| range.state != State::Died);
    descriptor.ranges.retain(|ranges| !ranges.ranges.is_empty());
    check("loss left out", &forgery.publish(), &[&producer], 0);
}

#[test]
fn an_epoch_that_was_left_out_is_found() {
    let mut forgery = Forgery::new();
    // The producer with two epochs: the first is struck from every descriptor.
    let at = forgery.find(|descriptor| descriptor.ranges.iter().any(|ranges| ranges.epoch == 2));
    let twice = forgery.descriptor(at).ranges.iter().find(|ranges| ranges.epoch == 2).unwrap().producer;
    for at in 0..forgery.len() {
        let Some(descriptor) = forgery.try_descriptor(at) else { continue };
        descriptor.ranges.retain(|ranges| (ranges.producer, ranges.epoch) != (twice, 1));
        descriptor.marks.retain(|mark| (mark.producer, mark.epoch) != (twice, 1));
    }
    let producer = format!("producer {}", hex(&twice));
    expect(&world().verify(&forgery.publish(), 0, None), "an epoch left out", &[&producer], &[]);
}

#[test]
fn a_descriptor_that_does_not_fit_its_segment_is_found() {
    type Change = fn(&mut Descriptor);
    let changes: [(&str, u8, Change); 9] = [
        ("another root", 1, |descriptor| descriptor.root[0] ^= 1),
        ("another class", 1, |descriptor| descriptor.class = "long".into()),
        ("a later time", 2, |descriptor| descriptor.latest += 1),
        ("an earlier time", 2, |descriptor| descriptor.earliest -= 1),
        ("a wrong count", 0, |descriptor| descriptor.records += 1),
        ("another class-epoch", 0, |descriptor| descriptor.class_epoch[0] ^= 1),
        ("another digest", 0, |descriptor| descriptor.object_digest[0] ^= 1),
        ("another length", 0, |descriptor| descriptor.object_len += 1),
        ("kept numbers told as lost", 1, |descriptor| descriptor.ranges[0].ranges[0].state = State::Damaged),
    ];
    for (what, level, change) in changes {
        let (forged, segment) = with_descriptor(has_standard_records, change);
        check(what, &forged, &[&segment], level);
    }
}

#[test]
fn numbers_that_are_another_segments_are_found() {
    let mut forgery = Forgery::new();
    let first = forgery.find(|descriptor| descriptor.class == "a" && descriptor.records > 0);
    let second = forgery.find_after(first, |descriptor| descriptor.class == "a" && descriptor.records > 0);
    let ranges = std::mem::take(&mut forgery.descriptor(first).ranges);
    let theirs = std::mem::replace(&mut forgery.descriptor(second).ranges, ranges);
    forgery.descriptor(first).ranges = theirs;
    let names = [first, second].map(|at| segment_name(&forgery.descriptor(at).segment));
    check("exchanged numbers", &forgery.publish(), &[&names[0], &names[1]], 1);
}

#[test]
fn a_mark_that_the_producer_did_not_sign_is_found() {
    type Change = fn(&mut Mark);
    let changes: [(&str, Change); 4] = [
        ("fewer decisions", |mark| mark.counts[0].1 -= 1),
        ("more decisions", |mark| mark.counts[0].1 += 1),
        ("another time", |mark| mark.time += 1),
        ("another signature", |mark| mark.what = MarkKind::Closed([7; 64])),
    ];
    for (what, change) in changes {
        let mut forgery = Forgery::new();
        let at = forgery.find(closes);
        let descriptor = forgery.descriptor(at);
        let segment = segment_name(&descriptor.segment);
        let mark = descriptor.marks.iter_mut().find(|mark| matches!(mark.what, MarkKind::Closed(_))).unwrap();
        change(mark);
        let producer = epoch(mark);
        let forged = forgery.publish();
        expect(&world().verify(&forged, 1, None), what, &[&producer], &[]);
        expect(&world().verify(&forged, 2, None), what, &[&producer, &segment], &[]);
    }
}

#[test]
fn a_mark_with_the_signature_of_another_epoch_is_found() {
    let mut forgery = Forgery::new();
    let closed = |mark: &&mut Mark| matches!(mark.what, MarkKind::Closed(_));
    let first = forgery.find(closes);
    let second = forgery.find_after(first, closes);
    let signature = forgery.descriptor(second).marks.iter_mut().find(closed).unwrap().what.clone();
    let descriptor = forgery.descriptor(first);
    let segment = segment_name(&descriptor.segment);
    let mark = descriptor.marks.iter_mut().find(closed).unwrap();
    mark.what = signature;
    let producer = epoch(mark);
    let forged = forgery.publish();
    expect(&world().verify(&forged, 0, None), "another's signature", &[&producer], &[]);
    expect(&world().verify(&forged, 2, None), "another's signature", &[&producer, &segment], &[]);
}

/// Who puts a key of its own into the opening mark can sign what it likes: the records still say which key was the producer's.
#[test]
fn an_epoch_that_was_given_another_key_is_found() {
    let mut forgery = Forgery::new();
    let at = forgery.find(closes);
    let closed = forgery
        .descriptor(at)
        .marks
        .iter()
        .find(|mark| matches!(mark.what, MarkKind::Closed(_)))
        .unwrap()
        .clone();
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let mut public = [0; 32];
    public.copy_from_slice(aws_lc_rs::signature::KeyPair::public_key(&key).as_ref());
    let mut segments = Vec::new();
    for at in 0..forgery.len() {
        let Some(descriptor) = forgery.try_descriptor(at) else { continue };
        let segment = segment_name(&descriptor.segment);
        for mark in &mut descriptor.marks {
            if (mark.producer, mark.epoch) != (closed.producer, closed.epoch) {
                continue;
            }
            if let MarkKind::Closed(_) = mark.what {
                mark.counts.iter_mut().for_each(|(_, last)| *last -= 1);
            }
            let mut signature = [0; 64];
            signature.copy_from_slice(key.sign(&mark.signed_bytes(&world().trail)).as_ref());
            mark.what = match mark.what {
                MarkKind::Opened(_) => MarkKind::Opened(public),
                MarkKind::Alive(_) => MarkKind::Alive(signature),
                MarkKind::Closed(_) => MarkKind::Closed(signature),
                MarkKind::Abandoned => MarkKind::Abandoned,
            };
            segments.push(segment.clone());
        }
    }
    let forged = forgery.publish();
    // That it closed earlier than its last numbers stands in the log; whose key it is, in the records.
    let producer = epoch(&closed);
    expect(&world().verify(&forged, 0, None), "closed early", &[&producer], &[]);
    let mut accused: Vec<&str> = segments.iter().map(String::as_str).collect();
    accused.push(&producer);
    expect(&world().verify(&forged, 2, None), "closed early", &accused, &[]);
}

#[test]
fn blobs_that_are_denied_or_invented_are_found() {
    let with_blobs = |descriptor: &Descriptor| descriptor.blobs.len() > 1;
    let mut blob = String::new();
    let (forged, segment) = with_descriptor(with_blobs, |descriptor| {
        let gone: Vec<_> =
            world().before.below("blobs/").filter(|name| !world().now.0.contains_key(*name)).collect();
        let there = descriptor.blobs.iter().position(|blob| !gone.contains(&&*blob_name(&blob.id))).unwrap();
        blob = blob_name(&descriptor.blobs.remove(there).id);
    });
    expect(&world().verify(&forged, 1, None), "denied", &[&blob], &[]);
    expect(&world().verify(&forged, 2, None), "denied", &[&segment, &blob], &[]);

    // An erased subject's record may name blobs that nobody can read of any more: so only in a segment that is readable as a whole.
    let whole = |descriptor: &Descriptor| has_standard_records(descriptor) && descriptor.marks.is_empty();
    let (mut forged, segment) = with_descriptor(whole, |descriptor| {
        descriptor.blobs.push(minutebook_verify::descriptor::BlobRef {
            id: [5; 16],
            digest: minutebook_sha256::digest(b"invented"),
            length: 8,
        });
    });
    forged.0.insert(blob_name(&[5; 16]), b"invented".to_vec().into());
    check("invented", &forged, &[&segment], 2);
}

#[test]
fn a_destruction_that_nobody_recorded_is_found() {
    let id: [u8; 16] = minutebook_verify::unhex(&world().now.below("blobs/").next().unwrap()[6..]).unwrap();
    let has_marks = |descriptor: &Descriptor| descriptor.class == "system" && descriptor.gone.is_empty();
    let (forged, segment) = with_descriptor(has_marks, |descriptor| descriptor.gone.push(Gone::Blob(id)));
    let blob = blob_name(&id);
    expect(&world().verify(&forged, 0, None), "still there", &[&blob], &[]);
    expect(&world().verify(&forged, 2, None), "still there", &[&blob, &segment], &[]);
    let mut removed = forged;
    removed.0.remove(&blob);
    check("removed", &removed, &[&segment], 2);
}

/// The last entry about the trail's own account, and the class-epoch of a class.
fn last_and_class_epoch(forgery: &mut Forgery, class: &str) -> (usize, [u8; 16]) {
    let at = forgery.find(|descriptor| descriptor.class == class);
    let class_epoch = forgery.descriptor(at).class_epoch;
    let own = |at: &usize| {
        let entry = Entry::decode(&forgery.entries[*at]);
        matches!(entry, Ok(Entry::Segment(found)) if found.class == "system")
    };
    ((0..forgery.len()).rev().find(own).unwrap(), class_epoch)
}

#[test]
fn a_disposal_that_nobody_recorded_is_found() {
    let mut forgery = Forgery::new();
    let (last, class_epoch) = last_and_class_epoch(&mut forgery, "a");
    forgery.descriptor(last).gone.push(Gone::ClassEpoch(class_epoch));
    let own = segment_name(&forgery.descriptor(last).segment);
    let theirs: Vec<String> = (0..last)
        .filter_map(|at| forgery.try_descriptor(at).cloned())
        .filter(|descriptor| descriptor.class_epoch == class_epoch)
        .map(|descriptor| segment_name(&descriptor.segment))
        .collect();
    let mut forged = forgery.publish();
    let still_there: Vec<&str> = theirs.iter().map(String::as_str).collect();
    expect(&world().verify(&forged, 0, None), "still there", &still_there, &[]);
    theirs.iter().for_each(|name| drop(forged.0.remove(name)));
    check("a whole class removed", &forged, &[&own], 2);
}

#[test]
fn a_disposal_of_what_cannot_be_disposed_of_is_found() {
    // The trail's own account.
    let mut forgery = Forgery::new();
    let (last, class_epoch) = last_and_class_epoch(&mut forgery, "system");
    forgery.descriptor(last).gone.push(Gone::ClassEpoch(class_epoch));
    let (entry, own) = (format!("log entry {last}"), segment_name(&forgery.descriptor(last).segment));
    let forged = forgery.publish();
    for level in 0..3 {
        expect(&world().verify(&forged, level, None), "the own account", &[&entry], &[&own]);
    }
    // What nothing is sealed under.
    let mut forgery = Forgery::new();
    forgery.descriptor(last).gone.push(Gone::ClassEpoch([0; 16]));
    expect(&world().verify(&forgery.publish(), 0, None), "nothing", &[&entry], &[]);
    // What is sealed later under a key that is gone.
    let mut forgery = Forgery::new();
    let class_epoch = last_and_class_epoch(&mut forgery, "a").1;
    let first = forgery.find(|descriptor| descriptor.class == "system");
    forgery.descriptor(first).gone.push(Gone::ClassEpoch(class_epoch));
    let later = forgery.find_after(first, |descriptor| descriptor.class_epoch == class_epoch);
    let later = segment_name(&forgery.descriptor(later).segment);
    let report = world().verify(&forgery.publish(), 0, None);
    let found = report.findings.iter().find(|finding| finding.object == later).unwrap();
    assert!(found.what.contains("sealed under a key that entry"), "{found:?}");
}

#[test]
fn a_segment_that_stands_in_the_log_twice_is_found() {
    let mut forgery = Forgery::new();
    let at = forgery.find(|descriptor| descriptor.class == "system" && descriptor.gone.is_empty());
    let mut again = forgery.descriptor(at).clone();
    (again.ranges, again.marks) = (Vec::new(), Vec::new());
    let segment = segment_name(&again.segment);
    forgery.entries.push(
        Entry::Segment(Box::new(Descriptor { gone: vec![Gone::ClassEpoch([0; 16])], ..again })).encode(),
    );
    let entry = format!("log entry {}", forgery.len() - 1);
    let forged = forgery.publish();
    expect(&world().verify(&forged, 0, None), "twice", &[&entry], &[]);
    expect(&world().verify(&forged, 1, None), "twice", &[&entry, &segment], &[]);
}

#[test]
fn entries_that_nobody_knows_are_named() {
    let entries: [(&str, Vec<u8>); 4] = [
        ("of a later version", {
            let mut entry = Forgery::new().entries[1].clone();
            let at = entry.windows(20).position(|part| part == b"minutebook/segment/1").unwrap();
            entry[at + 19] = b'2';
            entry
        }),
        ("cut", Forgery::new().entries[1][..50].to_vec()),
        ("empty", Vec::new()),
        (
            "of another trail",
            Entry::Trail { id: [3; 16], digest: minutebook_sha256::digest(world().now.bytes("trail.toml")) }
                .encode(),
        ),
    ];
    for (what, entry) in entries {
        let mut forgery = Forgery::new();
        forgery.entries.push(entry);
        let name = format!("log entry {}", forgery.len() - 1);
        check(what, &forgery.publish(), &[&name], 0);
    }
    let mut forgery = Forgery::new();
    forgery.entries.push(Entry::Trail { id: world().trail, digest: [0; 32] }.encode());
    check("another trail.toml", &forgery.publish(), &["trail.toml"], 0);
}

#[test]
fn a_segment_that_was_sealed_anew_is_found() {
    let some = |descriptor: &Descriptor| has_standard_records(descriptor) && descriptor.marks.is_empty();
    // The leaf says another commitment than the record's fields give.
    let mut forgery = Forgery::new();
    let at = forgery.find(some);
    forgery.reseal(at, |parts| parts.audit.rows[0].commitment[0] ^= 1);
    let segment = segment_name(&forgery.descriptor(at).segment);
    check("another commitment", &forgery.publish(), &[&segment], 2);
    // The fields say something else than the leaf commits to.
    let mut forgery = Forgery::new();
    forgery.reseal(at, |parts| {
        let block = &mut parts.blocks[0];
        let last = block.len() - 2;
        block[last] ^= 1;
    });
    check("another value", &forgery.publish(), &[&segment], 2);
    // A record less than the leaves.
    let mut forgery = Forgery::new();
    forgery.reseal(at, |parts| {
        let first = usize::from(parts.blocks[0][0]) & 0x7f | usize::from(parts.blocks[0][1]) << 7;
        parts.blocks[0].drain(..first + 2);
    });
    check("a record less", &forgery.publish(), &[&segment], 2);
    // Numbers that were never drawn.
    let mut forgery = Forgery::new();
    forgery.reseal(at, |parts| parts.audit.rows[0].seq += 1_000_000);
    check("another number", &forgery.publish(), &[&segment], 1);
}

#[test]
fn a_blob_with_another_content_is_found() {
    use minutebook_verify::{blob, keys};
    let world = world();
    let content = world.keys.content.values();
    // The large blob that is about nobody is under the class-epoch's key.
    let (name, id, key) = content
        .flat_map(|key| world.now.below("blobs/").map(move |name| (name, key)))
        .find_map(|(name, key)| {
            let id = minutebook_verify::unhex(&name[6..])?;
            let key = keys::blob_key(key, &id);
            blob::open(&id, &key, world.now.bytes(name)).map(|_| (name, id, key))
        })
        .unwrap();
    let object = blob::seal(&id, &key, b"another content");
    let mut forgery = Forgery::new();
    let at = forgery.find(|descriptor| descriptor.blobs.iter().any(|blob| blob.id == id));
    let named = forgery.descriptor(at).blobs.iter_mut().find(|blob| blob.id == id).unwrap();
    (named.digest, named.length) = (minutebook_sha256::digest(&object), object.len() as u64);
    let mut forged = forgery.publish();
    forged.0.insert(name.to_owned(), object.into());
    check("another content", &forged, &[name], 2);
}

/// A log that was written anew from some entry on is a good log: only who looked before sees it.
#[test]
fn a_rewritten_log_is_noticed_by_who_looked_before() {
    let World { before_pinned, .. } = world();
    let mut forgery = Forgery::new();
    let at = forgery.find(has_standard_records);
    let name = segment_name(&forgery.descriptor(at).segment);
    forgery.descriptor(at).latest += 1;
    let report = world().verify(&forgery.publish(), 2, Some(before_pinned.clone()));
    expect(&report, "rewritten", &[CHECKPOINT, &name], &[]);
    assert!(report.findings.iter().any(|finding| finding.means.contains("rewritten")));
    assert!(!report.continues_earlier);
}

#[test]
fn another_signing_key_has_to_be_named_by_the_one_before() {
    let World { before_pinned, .. } = world();
    let pinned: Option<Pinned> = Some(before_pinned.clone());
    let good = Forgery::new().publish_with_key([1; 32], |_| {});
    let report = world().verify(&good, 2, pinned.clone());
    assert!(report.is_clean() && report.continues_earlier, "{:#?}", report.findings);
    // The file from before the rotation: its key did not sign the checkpoint.
    let mut older = good.clone();
    older.0.insert("trail.toml".into(), world().now.0["trail.toml"].clone());
    for level in 0..3 {
        expect(&world().verify(&older, level, None), "older trail.toml", &["trail.toml"], &[CHECKPOINT]);
    }
    type Change = fn(&mut minutebook_verify::trailfile::TrailFile);
    let wrong: [(&str, Change); 4] = [
        ("no succession", |file| file.succession.clear()),
        ("another's signature", |file| {
            file.succession[0].old_signature = file.succession[0].new_signature.clone()
        }),
        ("not signed by the new key", |file| {
            file.succession[0].new_signature = file.succession[0].old_signature.clone()
        }),
        ("another time", |file| file.succession[0].at = "2020-01-01T00:00:00Z".into()),
    ];
    for (what, change) in wrong {
        let forged = Forgery::new().publish_with_key([1; 32], change);
        expect(&world().verify(&forged, 0, pinned.clone()), what, &["trail.toml"], &[]);
        let expected: &[&str] = if what == "no succession" { &[] } else { &["trail.toml"] };
        expect(&world().verify(&forged, 0, None), what, expected, &[]);
    }
}

/// Ranges are merged as they come; the order of the segments in the log says nothing.
#[test]
fn a_gap_within_a_range_is_found() {
    let mut forgery = Forgery::new();
    let at = forgery.find(|descriptor| {
        descriptor.class == "long"
            && descriptor.ranges.iter().any(|ranges| ranges.ranges[0].to > ranges.ranges[0].from + 100)
    });
    let descriptor = forgery.descriptor(at);
    let segment = segment_name(&descriptor.segment);
    let ranges = descriptor
        .ranges
        .iter_mut()
        .find(|ranges| ranges.ranges[0].to > ranges.ranges[0].from + 100)
        .unwrap();
    let producer = format!("producer {} epoch {}", hex(&ranges.producer), ranges.epoch);
    let Range { state, from, to } = ranges.ranges[0];
    ranges.ranges = vec![Range { state, from, to: from + 10 }, Range { state, from: from + 12, to }];
    let forged = forgery.publish();
    expect(&world().verify(&forged, 0, None), "gap", &[&producer], &[]);
    expect(&world().verify(&forged, 1, None), "gap", &[&producer, &segment], &[]);
}
