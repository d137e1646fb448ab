//! Reading what is stored: every well-formed thing comes back, everything else is refused and never a panic.

use crate::assembled::{assemble, signed_mark};
use minutebook_verify::check::{Level, Outcome, Scratch, check_segment};
use minutebook_verify::coverage::{Coverage, EpochState, Fault, RangeSet};
use minutebook_verify::descriptor::{Descriptor, Entry, Mark, MarkKind, Range, Ranges, State};
use minutebook_verify::keys::{Keys, NoKeys};
use minutebook_verify::receipt::Receipt;
use minutebook_verify::segment::{Audit, Head, Layout, body};
use minutebook_verify::trailfile::{TrailFile, TrailFileError};
use minutebook_verify::{EntryError, Id};
use proptest::prelude::*;

fn check(object: &[u8], descriptor: &Descriptor, keys: &dyn Keys) -> Outcome {
    check_segment(object, descriptor, keys, &mut Scratch::default())
}

#[test]
fn a_segment_is_read_as_deep_as_the_keys_reach() {
    let assembled = assemble();
    let all = check(&assembled.object, &assembled.descriptor, &assembled.keys);
    assert_eq!((all.faults.len(), all.level, all.readable), (0, Some(Level::Content), 6), "{all:?}");
    let none = check(&assembled.object, &assembled.descriptor, &NoKeys);
    assert_eq!((none.faults.len(), none.level, none.readable), (0, Some(Level::Log), 0));
    let mut erased = assembled.keys.clone();
    erased.subjects.remove(&1);
    let some = check(&assembled.object, &assembled.descriptor, &erased);
    assert_eq!((some.faults.len(), some.readable, some.erased), (0, 3, 3));
    assert_eq!(some.erased_subjects.into_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn every_changed_byte_of_a_segment_is_found() {
    let assembled = assemble();
    for at in 0..assembled.object.len() {
        let mut object = assembled.object.clone();
        object[at] ^= 1;
        let outcome = check(&object, &assembled.descriptor, &assembled.keys);
        assert!(!outcome.faults.is_empty(), "byte {at}");
    }
    for length in 0..assembled.object.len() {
        assert!(
            !check(&assembled.object[..length], &assembled.descriptor, &assembled.keys).faults.is_empty()
        );
    }
}

#[test]
fn a_descriptor_that_lies_about_its_segment_is_found() {
    let assembled = assemble();
    type Lie = fn(&mut Descriptor);
    let lies: [(&str, Lie); 8] = [
        ("root", |d| d.root[0] ^= 1),
        ("records", |d| d.records = 5),
        ("class", |d| d.class = "other".into()),
        ("segment", |d| d.segment[0] ^= 1),
        ("ranges", |d| d.ranges[0].ranges[0].to = 7),
        ("marks", |d| d.marks.push(signed_mark([1; 32], true).0)),
        ("earliest", |d| d.earliest -= 1),
        ("blobs", |d| {
            d.blobs.push(minutebook_verify::descriptor::BlobRef { id: [1; 16], digest: [2; 32], length: 3 });
        }),
    ];
    for (what, lie) in lies {
        let mut descriptor = assembled.descriptor.clone();
        lie(&mut descriptor);
        let outcome = check(&assembled.object, &descriptor, &assembled.keys);
        assert!(!outcome.faults.is_empty(), "{what}");
    }
}

#[test]
fn an_entry_of_a_later_version_is_told_apart() {
    let mut later = Vec::new();
    minutebook_record::cbor::write_array(&mut later, 2);
    minutebook_record::cbor::write_text(&mut later, "minutebook/segment/2");
    minutebook_record::cbor::write_null(&mut later);
    assert_eq!(Entry::decode(&later), Err(EntryError::Unknown("minutebook/segment/2".into())));
    assert!(matches!(Entry::decode(b"\x80"), Err(EntryError::Malformed(..))));
}

fn described(
    descriptor: &Descriptor,
    ranges: &[(u64, &str, State, u64, u64)],
    marks: Vec<Mark>,
) -> Descriptor {
    let ranges = ranges.iter().map(|(epoch, class, state, from, to)| Ranges {
        producer: [0x44; 16],
        epoch: *epoch,
        class: (*class).to_owned(),
        ranges: vec![Range { state: *state, from: *from, to: *to }],
    });
    Descriptor { ranges: ranges.collect(), marks, ..descriptor.clone() }
}

#[test]
fn completeness_is_told_from_the_log_alone() {
    let base = assemble().descriptor;
    let trail: Id = crate::assembled::TRAIL;
    let (closed, key) = signed_mark([9; 32], true);
    let opened = Mark { what: MarkKind::Opened(key), counts: Vec::new(), ..closed.clone() };
    let mut coverage = Coverage::new(trail);
    let first = described(
        &base,
        &[(1, "standard", State::Kept, 1, 4), (1, "system", State::Kept, 1, 2)],
        vec![opened.clone()],
    );
    assert!(coverage.add(&first).is_empty());
    let (accounts, faults) = coverage.settle();
    assert!(faults.is_empty());
    assert_eq!((accounts[0].kept, accounts[0].state), (4, EpochState::Open));

    // Closed at 6: 5 and 6 are missing, until they are stated.
    let second = described(&base, &[(1, "standard", State::Died, 5, 5)], vec![closed.clone()]);
    assert!(coverage.add(&second).is_empty());
    let (accounts, faults) = coverage.settle();
    assert_eq!(accounts[0].gaps, [(6, 6)]);
    assert!(matches!(&faults[..], [Fault::Missing { gaps, .. }] if *gaps == [(6, 6)]), "{faults:?}");
    assert!(
        coverage.add(&described(&base, &[(1, "standard", State::SampledOut, 6, 6)], Vec::new())).is_empty()
    );
    let (accounts, faults) = coverage.settle();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((accounts[0].kept, accounts[0].sampled_out, accounts[0].state), (4, 1, EpochState::Closed));

    // A number twice, an epoch that left nothing, and a mark by somebody else.
    let twice = coverage.add(&described(&base, &[(1, "standard", State::Kept, 6, 6)], Vec::new()));
    assert!(matches!(twice[..], [Fault::Overlap { number: 6, .. }]));
    coverage.add(&described(&base, &[(3, "standard", State::Kept, 1, 1)], Vec::new()));
    let (_, faults) = coverage.settle();
    assert!(
        faults.iter().any(|fault| matches!(fault, Fault::MissingEpochs { from: 2, to: 2, .. })),
        "{faults:?}"
    );
    let mut forged = Coverage::new(trail);
    forged.add(&described(
        &base,
        &[],
        vec![opened.clone(), Mark { time: closed.time + 1, ..closed.clone() }],
    ));
    assert!(forged.settle().1.iter().any(|fault| matches!(fault, Fault::BadMark { mark: "closed", .. })));

    // The key may stand behind the marks that it signed, and more than once; there are no two keys.
    let mut late = Coverage::new(trail);
    let numbers = [(1, "standard", State::Kept, 1, 6), (1, "system", State::Kept, 1, 2)];
    assert!(late.add(&described(&base, &numbers, vec![closed.clone(), opened.clone()])).is_empty());
    assert!(late.add(&described(&base, &[], vec![opened.clone()])).is_empty());
    assert_eq!(late.settle().1, []);
    let other = Mark { what: MarkKind::Opened([3; 32]), ..opened };
    let faults = late.add(&described(&base, &[], vec![other]));
    assert!(matches!(&faults[..], [Fault::BadMark { mark: "opened", .. }]), "{faults:?}");
}

#[test]
fn a_trail_file_is_read_in_one_form_only() {
    let file = TrailFile {
        id: [1; 16],
        name: "trail.example/credit".into(),
        created: "2026-11-21T09:00:00Z".into(),
        log_key: "trail.example/credit+00000000+AAAA".into(),
        acknowledgement_key: "trail.example/credit/acknowledgement+00000000+AAAA".into(),
        intake_key: [2; 32],
        succession: Vec::new(),
    };
    let text = file.render();
    assert_eq!(TrailFile::parse(text.as_bytes()), Ok(file));
    assert_eq!(TrailFile::parse(format!("{text}\n").as_bytes()), Err(TrailFileError::Edited));
    let newer = text.replace("minutebook/trail/1", "minutebook/trail/2");
    assert_eq!(TrailFile::parse(newer.as_bytes()), Err(TrailFileError::Newer("minutebook/trail/2".into())));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let parsed = TrailFile::parse(&bytes);
        assert!(parsed.is_err() || parsed.unwrap().render() != text, "byte {at}");
    }
}

proptest! {
    #[test]
    fn a_range_set_is_what_a_set_of_numbers_is(inserts in proptest::collection::vec((1u64..60, 0u64..8), 0..30)) {
        let mut set = RangeSet::default();
        let mut model = std::collections::BTreeSet::new();
        for (from, more) in inserts {
            let range = Range { state: State::Kept, from, to: from + more };
            let overlap = (from..=from + more).find(|number| model.contains(number));
            match set.insert(range) {
                Ok(()) => {
                    prop_assert_eq!(overlap, None);
                    model.extend(from..=from + more);
                }
                Err(number) => prop_assert_eq!(Some(number), overlap),
            }
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), model.contains(&number));
            }
            let gaps: Vec<u64> = set.gaps(70).into_iter().flat_map(|(from, to)| from..=to).collect();
            let missing: Vec<u64> = (1..=70).filter(|number| !model.contains(number)).collect();
            prop_assert_eq!(gaps, missing);
        }
    }

    #[test]
    fn nothing_read_from_outside_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), at: usize, bit in 0u8..8) {
        minutebook_verify::fuzz_readers(&bytes);
        let assembled = assemble();
        for mut valid in [
            assembled.object.clone(),
            assembled.audit.encode(),
            Entry::Segment(Box::new(assembled.descriptor.clone())).encode(),
        ] {
            let at = at % valid.len();
            valid[at] ^= 1 << bit;
            minutebook_verify::fuzz_readers(&valid);
        }
    }
}

#[test]
fn the_readers_of_stored_bytes_accept_what_is_written() {
    let assembled = assemble();
    let layout = Layout::parse(&assembled.object).unwrap();
    assert_eq!((layout.records, layout.blocks.len()), (6, 2));
    assert_eq!(
        (layout.block_of(0), layout.block_of(3), layout.block_of(4), layout.places(1)),
        (0, 0, 1, 4..6)
    );
    assert_eq!(Audit::decode(&assembled.audit.encode()).unwrap(), assembled.audit);
    assert_eq!(assembled.audit.leaves(), assembled.leaves);
    assert!(Head::decode(&Head::default().encode()).is_ok());
    let mut rest: &[u8] = &[3, 0, 1, 2];
    assert_eq!(body::read_entry(&mut rest), Ok(body::Entry::Clear(&[1, 2])));
    let receipt = Receipt {
        descriptor: vec![1],
        place: 3,
        path: vec![[4; 32]],
        preimage: vec![5],
        disclosure: Some(vec![6]),
    };
    assert_eq!(Receipt::decode(&receipt.encode()), Ok(receipt));
}
