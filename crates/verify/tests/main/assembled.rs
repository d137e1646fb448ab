//! A small segment put together by hand from fixed keys: what the vectors hold, and what the other tests take apart.

use minutebook_record::fields::{Event, ModelRef, Subjects};
use minutebook_record::{
    ClassName, Committer, Epoch, Field, FieldType, Header, Kind, Path, ProducerId, RecordId, Schema, Seed,
    Seq, Value,
};
use minutebook_tlog::{Hash, merkle_root};
use minutebook_verify::Id;
use minutebook_verify::check::kept_ranges;
use minutebook_verify::descriptor::{Descriptor, Mark, MarkKind};
use minutebook_verify::keys::{Cipher, Keys, Secret, SubjectKey, audit_key, content_key, segment_key};
use minutebook_verify::segment::{
    Audit, Head, Layout, Row, Shape, audit_associated, block_associated, body, head_associated,
};
use minutebook_verify::{leb, section};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const TRAIL: Id = [0x11; 16];
pub const SEGMENT: Id = [0x22; 16];
pub const CLASS_EPOCH: Id = [0x33; 16];
pub const PRODUCER: Id = [0x44; 16];

pub struct Assembled {
    pub object: Vec<u8>,
    pub descriptor: Descriptor,
    pub leaves: Vec<Hash>,
    pub keys: TestKeys,
    /// For each record its encoded values, in the order of its schema.
    pub values: Vec<Vec<Vec<u8>>>,
    pub audit: Audit,
}

#[derive(Clone)]
pub struct TestKeys {
    pub class_epoch: Secret,
    pub subjects: BTreeMap<u64, Secret>,
}

impl Keys for TestKeys {
    fn audit(&self, id: &Id) -> Option<Secret> {
        (*id == CLASS_EPOCH).then(|| audit_key(&self.class_epoch))
    }
    fn content(&self, id: &Id) -> Option<Secret> {
        (*id == CLASS_EPOCH).then(|| content_key(&self.class_epoch))
    }
    fn subjects(&self, numbers: &[u64]) -> Vec<SubjectKey> {
        let key = |number| self.subjects.get(number).cloned().map_or(SubjectKey::Gone, SubjectKey::Known);
        numbers.iter().map(key).collect()
    }
}

pub fn field(path: &[&str], field_type: FieldType) -> Field {
    Field { path: Path::new(path.iter().copied()).unwrap(), field_type }
}

pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

fn schema() -> Schema {
    Schema::new(vec![
        field(&["event"], FieldType::Event),
        field(&["model"], FieldType::Model),
        field(&["inputs", "purpose"], FieldType::Text),
        field(&["inputs", "amount"], FieldType::F64),
        field(&["subject"], FieldType::Subject),
    ])
    .unwrap()
}

/// Six records in two blocks: no subject, one, two, by turns; the model is a constant.
pub fn assemble() -> Assembled {
    let keys = TestKeys {
        class_epoch: Secret::new([0x55; 32]),
        subjects: BTreeMap::from([(1, Secret::new([0x61; 32])), (2, Secret::new([0x62; 32]))]),
    };
    let schema = Arc::new(schema());
    let mut model = Vec::new();
    ModelRef { name: "credit".into(), version: "1".into(), artifact: None }.write(&mut model);
    let head = Head {
        schemas: vec![Arc::clone(&schema)],
        shapes: vec![
            Shape { schema: 0, constants: vec![(1, model.clone())] },
            Shape { schema: 0, constants: Vec::new() },
        ],
    };
    let mut audit = Audit {
        class: ClassName::new("standard").unwrap(),
        producers: vec![(PRODUCER, 1)],
        schemas: vec![schema.digest().0],
        rows: Vec::new(),
    };
    let subjects: [&[u64]; 6] = [&[], &[1], &[2], &[1, 2], &[], &[1]];
    let mut committer = Committer::new();
    let mut values = Vec::new();
    let mut headers = Vec::new();
    for (n, subjects) in (0..).zip(subjects) {
        let mut event = Vec::new();
        let time_ns = 1_795_000_000_000_000_000 + i64::from(n) * 1_000_000_000;
        Event {
            time_ns,
            clock_error_ns: Some(500),
            duration_ns: Some(81_000),
            status: "ok".into(),
            trace: None,
            span: None,
            batch: None,
            kept: None,
            links: Vec::new(),
        }
        .write(&mut event);
        let mut subject = Vec::new();
        if subjects.is_empty() {
            minutebook_record::cbor::write_null(&mut subject);
        } else {
            Subjects(subjects.iter().map(|number| format!("person-{number}")).collect()).write(&mut subject);
        }
        let purpose = encode(&Value::Text("car ".repeat(n as usize + 1)));
        values.push(vec![event, model.clone(), purpose, encode(&Value::Float(f64::from(n) / 3.0)), subject]);
        let header = Header {
            id: RecordId::from_parts(1_795_000_000_000 + u64::from(n as u32), [n as u8; 10]),
            kind: Kind::Decision,
            producer: ProducerId(PRODUCER),
            epoch: Epoch::FIRST,
            seq: Seq::new(n as u64 + 1).unwrap(),
            class: audit.class,
        };
        let fields: Vec<&[u8]> = values[n as usize].iter().map(Vec::as_slice).collect();
        committer.push(&header, &schema, fields, &seed(n as u8)).unwrap();
        headers.push(header);
    }
    let sealed = committer.finish();
    let leaves: Vec<Hash> = sealed.iter().map(|sealed| Hash::new(sealed.leaf.0)).collect();
    for (header, sealed) in headers.iter().zip(&sealed) {
        let (id, kind, seq) = (header.id, header.kind, header.seq.get());
        audit.rows.push(Row { id, kind, producer: 0, schema: 0, seq, commitment: sealed.commitment.0 });
    }
    let object = write(&keys, &head, &audit, &leaves, &values, &subjects);
    let descriptor = Descriptor {
        segment: SEGMENT,
        records: 6,
        root: *merkle_root(&leaves).as_bytes(),
        earliest: 1_795_000_000,
        latest: 1_795_000_005,
        object_digest: minutebook_sha256::digest(&object),
        object_len: object.len() as u64,
        class: "standard".into(),
        class_epoch: CLASS_EPOCH,
        ranges: kept_ranges(&audit),
        marks: Vec::new(),
        blobs: Vec::new(),
        gone: Vec::new(),
    };
    Assembled { object, descriptor, leaves, keys, values, audit }
}

pub fn seed(n: u8) -> Seed {
    Seed([0x70 + n; 32])
}

fn write(
    keys: &TestKeys,
    head: &Head,
    audit: &Audit,
    leaves: &[Hash],
    values: &[Vec<Vec<u8>>],
    subjects: &[&[u64]; 6],
) -> Vec<u8> {
    let content = Cipher::new(&segment_key(&content_key(&keys.class_epoch), &SEGMENT));
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let mut object = Layout::begin(&SEGMENT, &CLASS_EPOCH);
    let head_len =
        section::seal(&content, 0, &head_associated(&SEGMENT), &head.encode(), &mut compressor, &mut object);
    let mut blocks = Vec::new();
    for (block, places) in [0..4usize, 4..6].into_iter().enumerate() {
        let mut entries = Vec::new();
        for place in places.clone() {
            // The last record has its constants in the body, as one that shares them with nobody.
            let inline = place == 5;
            let mut bytes = seed(place as u8).0.to_vec();
            leb::write_unsigned(&mut bytes, u64::from(inline));
            for (at, value) in values[place].iter().enumerate() {
                if inline || at != 1 {
                    bytes.extend_from_slice(value);
                }
            }
            let of: Vec<Secret> =
                subjects[place].iter().map(|number| keys.subjects[number].clone()).collect();
            match minutebook_verify::keys::subjects_key(&of) {
                None => body::write_clear(&mut entries, &bytes),
                Some(key) => body::write_sealed(
                    &mut entries,
                    &SEGMENT,
                    place as u32,
                    subjects[place],
                    &key,
                    &bytes,
                    &mut compressor,
                ),
            }
        }
        let associated = block_associated(&SEGMENT, block as u32, &leaves[places.clone()]);
        let number = block as u64 + 1;
        let length = section::seal(&content, number, &associated, &entries, &mut compressor, &mut object);
        blocks.push((places.start as u32, length));
    }
    let audit_cipher = Cipher::new(&segment_key(&audit_key(&keys.class_epoch), &SEGMENT));
    let associated = audit_associated(&SEGMENT);
    let audit_len =
        section::seal(&audit_cipher, 0, &associated, &audit.encode(), &mut compressor, &mut object);
    Layout::end(&mut object, 6, head_len, &blocks, audit_len);
    object
}

/// A mark signed by the epoch key of `seed`.
pub fn signed_mark(seed: [u8; 32], closed: bool) -> (Mark, [u8; 32]) {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let mut key = [0; 32];
    key.copy_from_slice(aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref());
    let what = |signature| if closed { MarkKind::Closed(signature) } else { MarkKind::Alive(signature) };
    let counts = vec![("standard".to_owned(), 6), ("system".to_owned(), 1)];
    let mut mark = Mark { producer: PRODUCER, epoch: 1, what: what([0; 64]), time: 1_795_000_010, counts };
    let mut signature = [0; 64];
    signature.copy_from_slice(pair.sign(&mark.signed_bytes(&TRAIL)).as_ref());
    mark.what = what(signature);
    (mark, key)
}
