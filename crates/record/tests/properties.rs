//! What must hold of every record: it comes back as the same bytes, any part of it may be hidden, and no bit of it may change.

use minutebook_record::cbor;
use minutebook_record::{
    Blob, ClassName, Committer, Disclosure, Element, Epoch, Field, FieldType, Header, Integer, IntegerType,
    Kind, Map, Path, ProducerId, RecordId, Schema, Seconds, Seed, Seq, Tensor, Value, fuzz_decoders,
};
use proptest::prelude::*;

fn integers() -> impl Strategy<Value = Integer> {
    prop_oneof![
        any::<i64>().prop_map(Integer::from),
        any::<u64>().prop_map(Integer::from),
        (-300i64..300).prop_map(Integer::from)
    ]
}

fn seconds() -> impl Strategy<Value = Seconds> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(s, ns)| Seconds::new(s, ns).expect("valid"))
}

/// Floats of every width and class: any bits, and what comes from a single and a small integer.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<u32>().prop_map(|bits| f64::from(f32::from_bits(bits))),
        (-70_000i32..70_000).prop_map(|n| f64::from(n) / 16.0),
    ]
}

fn tensors() -> impl Strategy<Value = Tensor> {
    (0..Element::ALL.len(), prop::collection::vec(0u64..4, 0..4), any::<u64>()).prop_map(
        |(element, shape, seed)| {
            let element = Element::ALL[element];
            let length = shape.iter().product::<u64>() as usize * element.size();
            let byte = |i: usize| (seed >> (i % 57)) as u8;
            let data =
                (0..length).map(|i| if element == Element::Bool { byte(i) & 1 } else { byte(i) }).collect();
            Tensor { element, shape, data }
        },
    )
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        integers().prop_map(Value::Integer),
        floats().prop_map(Value::Float),
        (any::<i32>(), integers()).prop_map(|(exponent, mantissa)| Value::Decimal { exponent, mantissa }),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        seconds().prop_map(Value::Timestamp),
        any::<i32>().prop_map(Value::Date),
        seconds().prop_map(Value::Duration),
        tensors().prop_map(Value::Tensor),
        (any::<String>(), any::<u64>(), any::<[u8; 16]>(), any::<[u8; 32]>()).prop_map(
            |(media_type, length, id, digest)| Value::Blob(Blob { media_type, length, id, digest })
        ),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(4, 40, 6, |inner| {
        let keyed = (prop::collection::btree_map(any::<String>(), inner.clone(), 0..6))
            .prop_map(|pairs| Value::Map(Map::new(pairs).expect("valid")));
        prop_oneof![prop::collection::vec(inner, 0..6).prop_map(Value::List), keyed]
    })
}

#[derive(Debug, Clone)]
struct Record {
    header: Header,
    schema: Schema,
    values: Vec<Vec<u8>>,
    seed: Seed,
}

impl Record {
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(Vec::as_slice)
    }

    fn leaf(&self) -> [u8; 32] {
        let mut committer = Committer::new();
        committer.push(&self.header, &self.schema, self.values(), &self.seed).expect("one value a field");
        committer.finish()[0].leaf.0
    }
}

fn headers() -> impl Strategy<Value = Header> {
    let number = prop_oneof![1..300u64, 1..=i64::MAX as u64];
    (
        any::<u64>(),
        any::<[u8; 10]>(),
        1..=18u64,
        any::<[u8; 16]>(),
        number.clone(),
        number,
        "[a-z][a-z0-9-]{0,31}",
    )
        .prop_map(|(ms, random, kind, producer, epoch, seq, class)| Header {
            id: RecordId::from_parts(ms, random),
            kind: Kind::from_number(kind).expect("valid"),
            producer: ProducerId(producer),
            epoch: Epoch::new(epoch).expect("valid"),
            seq: Seq::new(seq).expect("valid"),
            class: ClassName::new(&class).expect("valid"),
        })
}

fn records() -> impl Strategy<Value = Record> {
    let first = prop_oneof![Just("inputs"), Just("outputs"), Just("counterfactual"), Just("x")];
    let field = ((first, prop::collection::vec(any::<String>(), 1..3)), values());
    (headers(), prop::collection::vec(field, 0..12), any::<[u8; 32]>()).prop_map(|(header, fields, seed)| {
        let mut schema = Vec::new();
        let mut values = Vec::new();
        for ((first, rest), value) in fields {
            let path = Path::new(std::iter::once(first.to_owned()).chain(rest)).expect("valid");
            if schema.iter().any(|field: &Field| field.path == path) {
                continue;
            }
            let field_type = value.natural_type();
            let mut encoded = Vec::new();
            value.encode(&field_type, &mut encoded).expect("natural type");
            schema.push(Field { path, field_type });
            values.push(encoded);
        }
        Record { header, schema: Schema::new(schema).expect("valid"), values, seed: Seed(seed) }
    })
}

/// One of the record's own bits; there is always one in the header.
fn flip(bytes: &mut [u8], bit: usize) {
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

proptest! {
    #[test]
    fn a_value_comes_back(value in values()) {
        let field_type = value.natural_type();
        let mut encoded = Vec::new();
        value.encode(&field_type, &mut encoded).expect("natural type");
        let back = Value::decode(&field_type, &encoded).expect("well-formed");
        prop_assert_eq!(&back, &value);
        let mut again = Vec::new();
        back.encode(&field_type, &mut again).expect("natural type");
        prop_assert_eq!(&again, &encoded);
        fuzz_decoders(&encoded);
        encoded.push(0);
        prop_assert!(Value::decode(&field_type, &encoded).is_err(), "a trailing byte");
    }

    #[test]
    fn a_float_is_as_short_as_it_can_be(value in floats()) {
        let mut encoded = Vec::new();
        cbor::write_float(&mut encoded, value);
        prop_assert_eq!(cbor::float_len(value), encoded.len());
        let back = cbor::Reader::new(&encoded).float64().expect("well-formed");
        prop_assert!(back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan());
        for (field_type, bytes) in [(FieldType::F16, 3), (FieldType::F32, 5), (FieldType::F64, 9)] {
            prop_assert_eq!(minutebook_record::check(&field_type, &encoded).is_ok(), encoded.len() <= bytes);
        }
        let single = value as f32;
        let mut short = Vec::new();
        cbor::write_float32(&mut short, single);
        encoded.clear();
        cbor::write_float(&mut encoded, f64::from(single));
        prop_assert_eq!(short, encoded);
    }

    #[test]
    fn an_integer_fits_the_types_that_hold_it(value in integers()) {
        let mut encoded = Vec::new();
        cbor::write_integer(&mut encoded, value);
        prop_assert_eq!(cbor::integer_len(value), encoded.len());
        for width in [IntegerType::I8, IntegerType::I16, IntegerType::I32, IntegerType::I64, IntegerType::U8, IntegerType::U16,
            IntegerType::U32, IntegerType::U64] {
            let (least, most) = width.range();
            let fits = (least..=most).contains(&value.get());
            prop_assert_eq!(minutebook_record::check(&FieldType::Integer(width), &encoded).is_ok(), fits);
        }
        if let Ok(signed) = i64::try_from(value.get()) {
            let mut again = Vec::new();
            cbor::write_signed(&mut again, signed);
            prop_assert_eq!(again, encoded);
        }
    }

    #[test]
    fn a_record_comes_back(record in records()) {
        let mut header = Vec::new();
        record.header.write(&mut header);
        prop_assert_eq!(Header::decode(&header), Ok(record.header));
        prop_assert!(header.len() <= minutebook_record::limits::HEADER_BYTES_MAX);
        prop_assert_eq!(Schema::decode(record.schema.encoded()), Ok(record.schema.clone()));
        let mut ends = Vec::new();
        record.schema.split(&record.values.concat(), &mut ends).expect("values fit");
        prop_assert_eq!(ends.len(), record.values.len());
        for (field, value) in record.schema.fields().iter().zip(&record.values) {
            let mut again = Vec::new();
            Value::decode(&field.field_type, value).expect("valid").encode(&field.field_type, &mut again).expect("valid");
            prop_assert_eq!(&again, value);
        }
    }

    #[test]
    fn any_part_may_be_hidden(record in records(), hidden in any::<u64>()) {
        let mask: Vec<Path> = record.schema.fields().iter().enumerate()
            .filter(|(place, _)| hidden >> place & 1 == 1).map(|(_, field)| field.path.clone()).collect();
        let made = Disclosure::make(&record.header, &record.schema, record.values(), &record.seed, &mask).expect("values fit");
        let encoded = made.encode();
        let read = Disclosure::decode(&encoded).expect("well-formed");
        prop_assert_eq!(&read, &made);
        prop_assert_eq!(read.leaf().0, record.leaf());
        prop_assert_eq!(read.betraying(), None);
        for (place, value) in read.shown() {
            prop_assert_eq!(value, &record.values[place][..]);
            prop_assert!(hidden >> place & 1 == 0);
        }
        fuzz_decoders(&encoded);
    }

    #[test]
    fn no_bit_may_change(record in records(), mask in any::<bool>(), bit in any::<usize>()) {
        let mask = if mask { vec![Path::new(["inputs"]).expect("valid")] } else { vec![] };
        let mut encoded = Disclosure::make(&record.header, &record.schema, record.values(), &record.seed, &mask)
            .expect("values fit").encode();
        flip(&mut encoded, bit);
        // The bits are those of header, schema, salts, values and digests alike.
        if let Ok(read) = Disclosure::decode(&encoded) {
            prop_assert_ne!(read.leaf().0, record.leaf());
        }
    }

    #[test]
    fn every_part_is_in_the_leaf(record in records(), other in records(), bit in 0..256usize) {
        let leaf = record.leaf();
        let mut changed = record.clone();
        flip(&mut changed.seed.0, bit);
        // Without a field there is nothing that the salts could change.
        prop_assert_eq!(changed.leaf() == leaf, record.values.is_empty());
        let mut changed = record.clone();
        changed.header = other.header;
        prop_assert_eq!(changed.leaf() == leaf, record.header == other.header);
    }

    #[test]
    fn many_records_together_are_as_each_alone(records in prop::collection::vec(records(), 0..20)) {
        let mut committer = Committer::new();
        for record in &records {
            committer.push(&record.header, &record.schema, record.values(), &record.seed).expect("one value a field");
            prop_assert!(committer.push(&record.header, &record.schema, std::iter::repeat_n(&[0xf6][..], record.values.len() + 1),
                &record.seed).is_err());
        }
        let leaves: Vec<_> = committer.finish().iter().map(|sealed| sealed.leaf.0).collect();
        prop_assert_eq!(leaves, records.iter().map(Record::leaf).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_decoders(&data);
    }

    #[test]
    fn nor_do_changed_ones(record in records(), changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let encoded = Disclosure::make(&record.header, &record.schema, record.values(), &record.seed, &[])
            .expect("values fit").encode();
        for bytes in [&encoded[..], record.schema.encoded(), &record.values.concat()] {
            let mut bytes = bytes.to_vec();
            for (place, byte) in &changes {
                if !bytes.is_empty() {
                    let place = place % bytes.len();
                    bytes[place] = *byte;
                }
            }
            fuzz_decoders(&bytes);
        }
    }
}

/// The committer gathers 128 KiB at most before it hashes; results come in order beyond that.
#[test]
fn batches_are_in_order() {
    let path = Path::new(["inputs", "x"]).expect("valid");
    let schema = Schema::new(vec![Field { path, field_type: FieldType::Bytes }]).expect("valid");
    let mut committer = Committer::new();
    let mut alone = Vec::new();
    for place in 0..50u64 {
        let header = Header {
            id: RecordId::from_parts(place, [7; 10]),
            kind: Kind::Decision,
            producer: ProducerId([1; 16]),
            epoch: Epoch::FIRST,
            seq: Seq::new(place + 1).expect("valid"),
            class: ClassName::new("standard").expect("valid"),
        };
        let mut value = Vec::new();
        cbor::write_bytes(&mut value, &vec![place as u8; 10_000]);
        let record =
            Record { header, schema: schema.clone(), values: vec![value], seed: Seed([place as u8; 32]) };
        committer.push(&record.header, &record.schema, record.values(), &record.seed).expect("valid");
        alone.push(record.leaf());
    }
    assert_eq!(committer.finish().iter().map(|sealed| sealed.leaf.0).collect::<Vec<_>>(), alone);
}
