//! `docs/formats/vectors/segment.json` and `keys.json`: what this crate writes is what the files say, byte for byte. The files are written by
//! this test when `MINUTEBOOK_WRITE_VECTORS` is set, and checked by an independent program in `tests/python`.

use crate::assembled::{CLASS_EPOCH, SEGMENT, TRAIL, assemble, seed, signed_mark};
use minutebook_verify::descriptor::{BlobRef, Entry, Gone, MarkKind, Range, Ranges, State};
use minutebook_verify::keys::{
    Cipher, Secret, audit_key, blob_key, content_key, record_key, segment_key, subjects_key,
};
use minutebook_verify::receipt::Receipt;
use minutebook_verify::{blob, hex};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors").join(name)
}

pub fn compare(name: &str, vectors: &Json) {
    let text = format!("{}\n", serde_json::to_string_pretty(vectors).unwrap());
    if std::env::var_os("MINUTEBOOK_WRITE_VECTORS").is_some() {
        std::fs::write(path(name), &text).unwrap();
    }
    let stored: Json = serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap();
    assert_eq!(&stored, vectors, "{name} says something else than the code writes");
}

#[test]
fn segment_vectors() {
    let assembled = assemble();
    let mut descriptor = assembled.descriptor.clone();
    let records: Vec<Json> = (0..6)
        .map(|place| {
            json!({
                "preimage": hex(&assembled.audit.preimage(place)),
                "leaf": hex(assembled.leaves[place].as_bytes()),
                "seed": hex(&seed(place as u8).0),
                "values": assembled.values[place].iter().map(|value| hex(value)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let subjects: serde_json::Map<String, Json> = assembled
        .keys
        .subjects
        .iter()
        .map(|(number, key)| (number.to_string(), hex(key.expose()).into()))
        .collect();
    // A descriptor with every kind of item, beside the one of the segment.
    let plain = Entry::Segment(Box::new(descriptor.clone())).encode();
    let (closed, key) = signed_mark([9; 32], true);
    let opened = minutebook_verify::descriptor::Mark {
        what: MarkKind::Opened(key),
        counts: Vec::new(),
        ..closed.clone()
    };
    descriptor.marks = vec![opened, closed.clone()];
    descriptor.blobs = vec![BlobRef { id: [0x81; 16], digest: [0x82; 32], length: 1_234 }];
    descriptor.gone = vec![Gone::Blob([0x83; 16]), Gone::Segment([0x84; 16]), Gone::ClassEpoch([0x85; 16])];
    descriptor.ranges.push(Ranges {
        producer: [0x99; 16],
        epoch: 3,
        class: "standard".into(),
        ranges: vec![
            Range { state: State::SampledOut, from: 1, to: 9 },
            Range { state: State::Died, from: 10, to: 10 },
        ],
    });
    let receipt = Receipt {
        descriptor: plain.clone(),
        place: 2,
        path: vec![[1; 32], [2; 32]],
        preimage: assembled.audit.preimage(2),
        disclosure: None,
    };
    let blob_id = [0x81; 16];
    compare(
        "segment.json",
        &json!({
            "trail": hex(&TRAIL),
            "segment": hex(&SEGMENT),
            "class_epoch": {"id": hex(&CLASS_EPOCH), "key": hex(assembled.keys.class_epoch.expose())},
            "subjects": subjects,
            "object": hex(&assembled.object),
            "descriptor": hex(&plain),
            "root": hex(&assembled.descriptor.root),
            "records": records,
            "full_descriptor": hex(&Entry::Segment(Box::new(descriptor)).encode()),
            "mark": {"key": hex(&key), "signed": hex(&closed.signed_bytes(&TRAIL))},
            "trail_entry": hex(&Entry::Trail { id: TRAIL, digest: [0x86; 32] }.encode()),
            "receipt": hex(&receipt.encode()),
            "blob": {
                "id": hex(&blob_id),
                "key": hex(&[0x87; 32]),
                "content": hex(b"a letter"),
                "object": hex(&blob::seal(&blob_id, &Secret::new([0x87; 32]), b"a letter")),
            },
        }),
    );
}

#[test]
fn key_vectors() {
    let class_epoch = Secret::new([0x55; 32]);
    let (one, two) = (Secret::new([0x61; 32]), Secret::new([0x62; 32]));
    let both = subjects_key(&[one.clone(), two.clone()]).unwrap();
    let show = |key: &Secret| hex(key.expose());
    let mut sealed = b"clear".to_vec();
    Cipher::new(&one).seal(7, b"associated", &mut sealed);
    compare(
        "keys.json",
        &json!({
            "class_epoch": show(&class_epoch),
            "audit": show(&audit_key(&class_epoch)),
            "content": show(&content_key(&class_epoch)),
            "segment": hex(&SEGMENT),
            "segment_audit": show(&segment_key(&audit_key(&class_epoch), &SEGMENT)),
            "segment_content": show(&segment_key(&content_key(&class_epoch), &SEGMENT)),
            "subject": show(&one),
            "record_place_5": show(&record_key(&one, &SEGMENT, 5)),
            "subjects": [show(&one), show(&two)],
            "record_of_both_place_5": show(&record_key(&both, &SEGMENT, 5)),
            "blob": hex(&[0x81; 16]),
            "blob_key": show(&blob_key(&one, &[0x81; 16])),
            "sealed": {"nonce": 7, "clear": hex(b"clear"), "associated": hex(b"associated"), "bytes": hex(&sealed)},
        }),
    );
}
