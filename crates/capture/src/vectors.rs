//! The vectors of the format, `docs/formats/vectors/spool.json`: made from fixed values, compared with what is stored. To make them anew
//! after a change of the format: `MINUTEBOOK_WRITE_VECTORS=1 cargo test -p minutebook-capture vectors`.

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use minutebook_record::cbor;
use minutebook_record::{
    ClassName, Epoch, Field, FieldType, IntegerType, Kind, ProducerId, RecordId, Schema, Value,
};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::epoch_file::EpochHeader;
use crate::frame::{self, Clear, EpochCipher, LostReason, Place, RecordHead};
use crate::intake::{self, IntakePrivateKey, SealedKey};
use crate::mark::{self, Mark};
use crate::part_file::{FRAMES_AT, PartHeader, epoch_name, part_name};
use crate::random::{Random, RandomError};
use crate::shape::ShapeDef;
use crate::sys::ProcessIdentity;

/// Counts up: nothing else is wanted of it here.
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        bytes.iter_mut().for_each(|byte| *byte = self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shape() -> ShapeDef {
    let field =
        |path: [&str; 2], field_type| Field { path: minutebook_record::Path::new(path).unwrap(), field_type };
    let schema = Schema::new(vec![
        field(["inputs", "amount"], FieldType::F64),
        field(["inputs", "months"], FieldType::Integer(IntegerType::I64)),
        field(["inputs", "source"], FieldType::Text),
        field(["outputs", "approve"], FieldType::Bool),
    ])
    .unwrap();
    ShapeDef::new(schema, &[(2, Value::Text("branch".into()))]).unwrap()
}

fn made() -> Json {
    let private = IntakePrivateKey::from_bytes(std::array::from_fn(|n| 0x40 + n as u8));
    let key: [u8; 32] = std::array::from_fn(|n| 0x80 + n as u8);
    let seed = Zeroizing::new(std::array::from_fn(|n| 0xc0 + n as u8));
    let trail = *b"trail-0123456789";
    let producer = ProducerId(*b"producer-0123456");
    let epoch = Epoch::new(3).unwrap();
    let mut header = EpochHeader {
        trail,
        producer,
        epoch,
        made_ns: 1_795_000_000_123_456_789,
        process: ProcessIdentity {
            pid: 4711,
            start_ticks: 987_654,
            boot_id: *b"boot-id-01234567",
            pid_namespace: 4_026_531_836,
        },
        mark_key: mark::public_key(&seed),
        key: SealedKey { encapsulated: [0; 32], ciphertext: [0; 48] },
    };
    let random = Counting(AtomicU8::new(1));
    header.key = intake::seal(&private.public(), &key, &header.sealed_with(), &random).unwrap();
    let part = PartHeader { trail, producer, epoch, part: 2, capacity: 65_536 };

    let shape = shape();
    let mut values = Vec::new();
    cbor::write_float(&mut values, 4870.5);
    cbor::write_signed(&mut values, 24);
    cbor::write_bool(&mut values, false);
    let id = RecordId::from_parts(1_795_000_000_123, *b"0123456789");
    let head = RecordHead { kind: Kind::Decision, class: 1, shape: 7, seq: 41, id };
    let mut record = head.encode().to_vec();
    record.extend_from_slice(&values);
    let clear = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut clear = Vec::new();
        write(&mut clear);
        clear
    };
    let class = ClassName::new("standard").unwrap();
    let clears = [
        ("class", clear(&|out| frame::encode_class(1, &class, out))),
        ("shape", clear(&|out| frame::encode_shape(7, shape.encoded(), out))),
        ("blob", clear(&|out| frame::encode_blob(b"blob-id-01234567", 11, 6, b"world", out))),
        ("record", record),
        ("lost", clear(&|out| frame::encode_lost(1, LostReason::SpoolFull, 42, 45, out))),
    ];
    let cipher = EpochCipher::new(&key);
    let mut offset = FRAMES_AT;
    let mut frames = Vec::new();
    for (what, clear) in clears {
        let place = Place { producer, epoch, part: part.part, offset };
        let mut cipher_text = clear.clone();
        let tag = cipher.seal(&place, &mut cipher_text).unwrap();
        let len = frame::frame_len(clear.len());
        let mut bytes = (len as u64 | frame::PUBLISHED).to_le_bytes().to_vec();
        bytes.extend_from_slice(&cipher_text);
        bytes.extend_from_slice(&tag);
        bytes.resize(frame::padded(len) as usize, 0);
        frames.push(json!({"what": what, "offset": offset, "clear": hex(&clear), "frame": hex(&bytes)}));
        offset += frame::padded(len);
    }
    let counts = [(class, 45), (mark::system_class(), 2)];
    let signed = mark::signed_bytes(&trail, producer, epoch, Mark::Alive, 1_795_000_030, &counts);
    json!({
        "format": "minutebook/spool/1",
        "intake": {"private": hex(&*private.secret_bytes()), "public": hex(&private.public().to_bytes())},
        "epoch": {
            "file": epoch_name(epoch),
            "trail": hex(&trail),
            "producer": hex(&producer.0),
            "epoch": epoch.get(),
            "made_ns": header.made_ns,
            "pid": header.process.pid,
            "start_ticks": header.process.start_ticks,
            "boot_id": hex(&header.process.boot_id),
            "pid_namespace": header.process.pid_namespace,
            "mark_seed": hex(&*seed),
            "mark_key": hex(&header.mark_key),
            "key": hex(&key),
            "header": hex(&header.encode()),
        },
        "part": {
            "file": part_name(epoch, part.part),
            "part": part.part,
            "capacity": part.capacity,
            "header": hex(&part.encode()),
        },
        "shape": {
            "number": 7,
            "encoded": hex(shape.encoded()),
            "open_places": shape.open_places(),
        },
        "frames": frames,
        "mark": {
            "mark": "alive",
            "time": 1_795_000_030,
            "counts": [["standard", 45], ["system", 2]],
            "signed": hex(&signed),
            "signature": hex(&mark::sign(&seed, &signed)),
        },
    })
}

#[test]
fn vectors_are_what_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors/spool.json");
    let made = made();
    if std::env::var_os("MINUTEBOOK_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let stored: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(stored, made);
}

#[test]
fn vectors_are_read_back() {
    let vectors = made();
    let bytes = |json: &Json| -> Vec<u8> {
        let text = json.as_str().unwrap();
        (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
    };
    let header: [u8; 240] = bytes(&vectors["epoch"]["header"]).try_into().unwrap();
    let header = EpochHeader::decode(&header).unwrap();
    let private = IntakePrivateKey::from_bytes(bytes(&vectors["intake"]["private"]).try_into().unwrap());
    let key = intake::open(&private, &header.key, &header.sealed_with()).unwrap();
    let cipher = EpochCipher::new(&key);
    for entry in vectors["frames"].as_array().unwrap() {
        let mut frame = bytes(&entry["frame"]);
        let offset = entry["offset"].as_u64().unwrap();
        let place = Place { producer: header.producer, epoch: header.epoch, part: 2, offset };
        let len = u32::from_le_bytes(*frame.first_chunk().unwrap()) as usize;
        let clear = cipher.open(&place, &mut frame[8..len]).unwrap();
        assert_eq!(clear, bytes(&entry["clear"]));
        let kind = match frame::parse(clear).unwrap() {
            Clear::Shape { shape: encoded, .. } => {
                assert_eq!(ShapeDef::decode(encoded).unwrap(), shape());
                "shape"
            }
            Clear::Record { .. } => "record",
            Clear::Blob { .. } => "blob",
            Clear::Lost { .. } => "lost",
            Clear::Class { .. } => "class",
        };
        assert_eq!(entry["what"], kind);
    }
    let mark = &vectors["mark"];
    assert!(mark::is_signed(&header.mark_key, &bytes(&mark["signed"]), &bytes(&mark["signature"])));
}

/// Bytes that no producer wrote are told as such and never panic, whatever their length.
#[test]
fn clear_texts_that_are_none_are_refused() {
    for entry in made()["frames"].as_array().unwrap() {
        let text = entry["clear"].as_str().unwrap();
        let clear: Vec<u8> =
            (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect();
        for len in 0..clear.len() {
            let _ = frame::parse(&clear[..len]);
        }
        for at in 0..clear.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut clear = clear.clone();
                clear[at] = value;
                if let Some(Clear::Shape { shape, .. }) = frame::parse(&clear) {
                    let _ = ShapeDef::decode(shape);
                }
            }
        }
    }
    let lost = |from: u64, to: u64, reason: u8| {
        let mut clear = vec![frame::LOST, 0, reason, 0];
        clear.extend_from_slice(&from.to_le_bytes());
        clear.extend_from_slice(&to.to_le_bytes());
        frame::parse(&clear).is_some()
    };
    assert!(lost(1, 1, 3));
    for (from, to, reason) in [(0, 1, 3), (2, 1, 3), (1, 1, 2), (1, 1, 9), (1, u64::MAX, 3)] {
        assert!(!lost(from, to, reason), "{from} {to} {reason}");
    }
}
