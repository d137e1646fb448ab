//! `docs/formats/vectors/record.json`, which an independent implementation has written (`tests/python/check_record_vectors.py`).

use minutebook_record::error::DisclosureError;
use minutebook_record::{
    ClassName, Committer, DecodeError, Disclosure, Epoch, Fault, Field, FieldType, Header, IntegerType, Path,
    Preimage, ProducerId, RecordId, Schema, SchemaError, Seed, Seq, Value, ValuesError, check, commit,
    fuzz_decoders,
};
use serde_json::Value as Json;

use crate::describe::{encode, fixed, hex, list, path, text};

fn vectors() -> Json {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/vectors/record.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect(file)).expect("JSON")
}

fn header(json: &Json) -> Header {
    Header {
        id: RecordId::from_bytes(fixed(&json["id"])).expect("id"),
        kind: text(&json["kind"]).parse().expect("kind"),
        producer: ProducerId(fixed(&json["producer"])),
        epoch: Epoch::new(text(&json["epoch"]).parse().expect("valid")).expect("epoch"),
        seq: Seq::new(text(&json["seq"]).parse().expect("valid")).expect("seq"),
        class: ClassName::new(text(&json["class"])).expect("class"),
    }
}

#[test]
fn values_have_the_encoding_of_the_vectors() {
    let vectors = vectors();
    for vector in list(&vectors["values"]) {
        let name = text(&vector["name"]);
        let field_type: FieldType = text(&vector["type"]).parse().expect(name);
        assert_eq!(field_type.to_string(), text(&vector["type"]));
        let encoded = encode(&vector["value"]);
        match vector["cbor"].as_str() {
            Some(_) => assert_eq!(encoded, hex(&vector["cbor"]), "{name}"),
            None => {
                assert_eq!(encoded.len() as u64, vector["cbor_length"].as_u64().expect("valid"), "{name}");
                let digest: [u8; 32] = fixed(&vector["cbor_sha256"]);
                assert_eq!(minutebook_sha256::digest(&encoded), digest, "{name}");
            }
        }
        assert_eq!(check(&field_type, &encoded), Ok(encoded.len()), "{name}");
        fuzz_decoders(&encoded);
        for end in 0..encoded.len().min(600) {
            let error = check(&field_type, &encoded[..end]).expect_err(name);
            assert_eq!(error.fault, Fault::Truncated, "{name} cut at {end}");
        }
    }
}

#[test]
fn redactions_leave_what_the_vectors_say() {
    let vectors = vectors();
    let mut hashed = 0;
    for vector in list(&vectors["redactions"]) {
        let name = text(&vector["type"]);
        let value = encode(&vector["value"]);
        let natural = type_of(name, &value);
        let value = Value::decode(&natural, &value).expect(name);
        let left = match name.parse().expect(name) {
            FieldType::Truncated(truncation) => truncation.apply(&value),
            FieldType::Bucketed(buckets) => buckets.apply(&value),
            other => {
                // Who has the key hashes, which this crate does not.
                assert!(matches!(other, FieldType::Hashed(_)), "{name}");
                hashed += 1;
                continue;
            }
        };
        let mut encoded = Vec::new();
        left.expect(name).write(&mut encoded);
        assert_eq!(encoded, hex(&vector["redacted"]), "{name} of {value:?}");
    }
    assert_eq!(hashed, 6);
}

/// The type of the value that a redaction is of.
fn type_of(redaction: &str, value: &[u8]) -> FieldType {
    match redaction.rsplit('/').next().expect("a type").parse() {
        Ok(kept) if redaction.starts_with("truncated") => kept,
        _ => [
            FieldType::F64,
            FieldType::Integer(IntegerType::I64),
            FieldType::Decimal,
            FieldType::Text,
            FieldType::Bool,
            FieldType::Date,
        ]
        .into_iter()
        .find(|tried| check(tried, value) == Ok(value.len()))
        .expect("a type that fits"),
    }
}

struct Record {
    header: Header,
    schema: Schema,
    values: Vec<Vec<u8>>,
    seed: Seed,
}

impl Record {
    fn read(vector: &Json) -> Self {
        let fields = list(&vector["fields"]);
        let field = |field: &Json| Field {
            path: path(&field[0]),
            field_type: text(&field[1]).parse().expect("type"),
        };
        Self {
            header: header(&vector["header"]),
            schema: Schema::new(fields.iter().map(field).collect()).expect("schema"),
            values: fields.iter().map(|field| hex(&field[2])).collect(),
            seed: Seed(fixed(&vector["seed"])),
        }
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(Vec::as_slice)
    }
}

#[test]
fn records_have_the_hashes_of_the_vectors() {
    let vectors = vectors();
    let records = list(&vectors["records"]);
    let mut together = Committer::new();
    for vector in records {
        let name = text(&vector["name"]);
        let record = Record::read(vector);
        let mut encoded = Vec::new();
        record.header.write(&mut encoded);
        assert_eq!(encoded, hex(&vector["header_cbor"]), "{name}");
        assert_eq!(Header::decode(&encoded), Ok(record.header), "{name}");
        assert_eq!(record.schema.digest().0, fixed(&vector["schema_digest"]), "{name}");
        assert_eq!(Schema::decode(record.schema.encoded()).as_ref(), Ok(&record.schema), "{name}");
        if vector["schema_cbor"].is_string() {
            assert_eq!(record.schema.encoded(), hex(&vector["schema_cbor"]), "{name}");
        }
        let mut ends = Vec::new();
        record.schema.split(&record.values.concat(), &mut ends).expect(name);
        let lengths = record.values().scan(0, |end, value| {
            *end += value.len();
            Some(*end)
        });
        assert_eq!(ends, lengths.collect::<Vec<_>>(), "{name}");

        // The vectors have all salts and digests, or only the last ones.
        let salts = commit::salts(&record.seed, record.schema.len());
        let known: Vec<[u8; 16]> = list(&vector["salts"]).iter().map(fixed).collect();
        assert!(salts.ends_with(&known) && known.is_empty() == salts.is_empty(), "{name}");
        let digests: Vec<_> = salts
            .iter()
            .zip(record.values())
            .map(|(salt, value)| commit::field_digest(salt, value))
            .collect();
        let known: Vec<[u8; 32]> = list(&vector["digests"]).iter().map(fixed).collect();
        assert!(digests.ends_with(&known), "{name}");

        let commitment = commit::commitment(&digests);
        assert_eq!(commitment.0, fixed(&vector["commitment"]), "{name}");
        let alone = Committer::new().commit(&record.schema, record.values(), &record.seed);
        assert_eq!(alone, Ok(commitment), "{name}");
        let preimage = Preimage { header: record.header, schema: record.schema.digest(), commitment };
        encoded.clear();
        preimage.write(&mut encoded);
        assert_eq!(encoded, hex(&vector["preimage"]), "{name}");
        assert_eq!(Preimage::decode(&encoded), Ok(preimage), "{name}");
        assert_eq!(preimage.leaf().0, fixed(&vector["leaf"]), "{name}");
        together.push(&record.header, &record.schema, record.values(), &record.seed).expect(name);
    }
    let sealed = together.finish();
    assert_eq!(sealed.len(), records.len());
    for (vector, sealed) in records.iter().zip(sealed) {
        assert_eq!(sealed.commitment.0, fixed(&vector["commitment"]), "{}", vector["name"]);
        assert_eq!(sealed.leaf.0, fixed(&vector["leaf"]), "{}", vector["name"]);
    }
    assert!(together.finish().is_empty(), "begins anew");
}

#[test]
fn disclosures_are_those_of_the_vectors() {
    let vectors = vectors();
    for vector in list(&vectors["disclosures"]) {
        let name = text(&vector["name"]);
        let find = |record: &&Json| record["name"] == vector["record"];
        let record = Record::read(list(&vectors["records"]).iter().find(find).expect(name));
        let encoded = hex(&vector["cbor"]);
        let decoded = Disclosure::decode(&encoded).expect(name);
        assert_eq!(decoded.leaf().0, fixed(&vector["leaf"]), "{name}");
        let shown: Vec<_> =
            list(&vector["shown"]).iter().map(|place| place.as_u64().expect("valid") as usize).collect();
        assert_eq!(decoded.shown().map(|(place, _)| place).collect::<Vec<_>>(), shown, "{name}");
        assert!(decoded.shown().all(|(place, value)| value == record.values[place]), "{name}");
        assert_eq!(decoded.header(), &record.header, "{name}");
        assert_eq!(decoded.schema(), &record.schema, "{name}");
        let betrays = vector.get("betrays").map(path);
        assert_eq!(decoded.betraying(), betrays.as_ref(), "{name}");
        if vector["mask"].is_array() {
            let mask: Vec<Path> = list(&vector["mask"]).iter().map(path).collect();
            let made = Disclosure::make(&record.header, &record.schema, record.values(), &record.seed, &mask);
            assert_eq!(made.expect(name).encode(), encoded, "{name}");
        }
    }
}

/// The bytes, of which long repetitions are written as byte and count.
fn pieces(json: &Json) -> Vec<u8> {
    let Json::Array(pieces) = json else { return hex(json) };
    let piece = |piece: &Json| match piece {
        Json::Array(_) => hex(&piece[0]).repeat(piece[1].as_u64().expect("valid") as usize),
        once => hex(once),
    };
    pieces.iter().flat_map(piece).collect()
}

fn word(error: DecodeError) -> &'static str {
    match error.fault {
        Fault::Truncated => "truncated",
        Fault::Trailing => "trailing",
        Fault::NotShortest => "not-shortest",
        Fault::FloatNotShortest => "float-not-shortest",
        Fault::Indefinite => "indefinite",
        Fault::Reserved(_) => "reserved",
        Fault::Simple(_) => "simple",
        Fault::Tag(_) => "tag",
        Fault::Utf8 => "utf8",
        Fault::IntegerRange => "integer-range",
        Fault::KeyOrder => "key-order",
        Fault::KeyTwice => "key-twice",
        Fault::TooDeep => "too-deep",
        Fault::Expected(_) => "expected",
        Fault::Range(_) => "range",
        Fault::Content(_) => "content",
        Fault::TooLarge { .. } => "too-large",
    }
}

fn schema_word(error: SchemaError) -> &'static str {
    match error {
        SchemaError::Duplicate(_) => "duplicate-path",
        SchemaError::Fields(_) => "fields",
        SchemaError::Bytes(_) => "bytes",
        SchemaError::Type { .. } => "type",
        SchemaError::UnknownType { .. } => "unknown-type",
        SchemaError::Decode(error) => word(error),
    }
}

fn disclosure_word(error: DisclosureError) -> &'static str {
    match error {
        DisclosureError::Decode(error) => word(error),
        DisclosureError::Schema(error) => schema_word(error),
        DisclosureError::Count { .. } => "count",
        DisclosureError::Values(ValuesError::Field(error)) => word(error.source),
        DisclosureError::Values(ValuesError::TooLarge) => "values",
        other => panic!("unexpected: {other}"),
    }
}

#[test]
fn malformed_bytes_are_refused_for_the_reason_of_the_vectors() {
    let vectors = vectors();
    for vector in list(&vectors["refused"]) {
        let name = text(&vector["name"]);
        let bytes = pieces(&vector["cbor"]);
        let reason = match text(&vector["what"]) {
            "value" => {
                let field_type: FieldType = text(&vector["type"]).parse().expect(name);
                let field = Field { path: system_path(&field_type), field_type };
                match Schema::new(vec![field]).expect(name).check_value(0, &bytes) {
                    Err(ValuesError::Field(error)) => Some(word(error.source)),
                    _ => None,
                }
            }
            "schema" => Schema::decode(&bytes).err().map(schema_word),
            "header" => Header::decode(&bytes).err().map(word),
            "preimage" => Preimage::decode(&bytes).err().map(word),
            "disclosure" => Disclosure::decode(&bytes).err().map(disclosure_word),
            other => panic!("{other}"),
        };
        assert_eq!(reason, Some(text(&vector["reason"])), "{name}");
        fuzz_decoders(&bytes);
    }
}

/// A path at which a field of this type may stand.
fn system_path(field_type: &FieldType) -> Path {
    let parts: &[&str] = match field_type {
        FieldType::Event => &["event"],
        FieldType::Model => &["model"],
        FieldType::Attributions => &["explanation", "attributions"],
        FieldType::Explanation => &["explanation", "meta"],
        FieldType::Subject => &["subject"],
        _ => &["inputs", "x"],
    };
    Path::new(parts.iter().copied()).expect("path")
}
