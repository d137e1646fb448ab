//! Schemas, paths, types and the parts of a header, as they are made in memory.

use minutebook_record::error::{DisclosureError, PartError, PathError};
use minutebook_record::fields::{Attributions, Event, Feature, Subjects};
use minutebook_record::{
    ClassName, Committer, Disclosure, Element, Epoch, Field, FieldType, Header, Integer, Kind, Map, Path,
    ProducerId, RecordId, Schema, SchemaError, Seconds, Seed, Seq, Tensor, Value, ValuesError, Zone,
};

fn field(parts: &[&str], field_type: &str) -> Field {
    let path = Path::new(parts.iter().copied()).expect("path");
    Field { path, field_type: field_type.parse().expect("type") }
}

fn header() -> Header {
    Header {
        id: RecordId::from_parts(0, [0; 10]),
        kind: Kind::Note,
        producer: ProducerId([0; 16]),
        epoch: Epoch::FIRST,
        seq: Seq::FIRST,
        class: ClassName::new("standard").expect("class"),
    }
}

#[test]
fn fields_are_found_by_path() {
    let fields =
        vec![field(&["b"], "u8"), field(&["a", "b"], "text"), field(&["a"], "f64"), field(&["a.b"], "bool")];
    let schema = Schema::new(fields.clone()).expect("schema");
    for (place, field) in fields.iter().enumerate() {
        assert_eq!(schema.find(&field.path), Some(place));
        let parts: Vec<_> = field.path.parts().collect();
        assert_eq!(schema.find_parts(&parts), Some(place));
    }
    assert_eq!(schema.find_parts(&["a", "c"]), None);
    assert_eq!(schema.find_parts(&[]), None);
    assert_eq!(schema.fields(), fields);
}

#[test]
fn limits_of_a_schema() {
    let many = |count: usize| (0..count).map(|i| field(&[&i.to_string()], "u8")).collect::<Vec<_>>();
    assert_eq!(Schema::new(many(16_384)).expect("schema").len(), 16_384);
    assert_eq!(Schema::new(many(16_385)), Err(SchemaError::Fields(16_385)));
    let long = "x".repeat(256);
    let wide = |count: usize| {
        (0..count).map(|i| field(&[&i.to_string(), &long, &long, &long, &long], "u8")).collect::<Vec<_>>()
    };
    assert!(Schema::new(wide(1_000)).is_ok());
    assert!(matches!(Schema::new(wide(1_020)), Err(SchemaError::Bytes(_))));
}

#[test]
fn a_path_once() {
    let twice = Schema::new(vec![field(&["a"], "u8"), field(&["b"], "u8"), field(&["a"], "text")]);
    assert_eq!(twice.expect_err("twice").to_string(), "path a occurs twice");
}

#[test]
fn limits_of_a_path() {
    assert_eq!(Path::new(Vec::<&str>::new()), Err(PathError::Parts(0)));
    assert_eq!(Path::new(["a"; 9]), Err(PathError::Parts(9)));
    assert_eq!(Path::new(["", "a"]), Err(PathError::Empty));
    assert_eq!(Path::new(["x".repeat(257)]), Err(PathError::PartBytes(257)));
    assert_eq!(Path::new(["a/b", "c~", "\n"]).expect("path").to_string(), "a~1b/c~0/\\n");
}

#[test]
fn values_are_counted() {
    let schema = Schema::new(vec![field(&["a"], "u8"), field(&["b"], "text")]).expect("schema");
    let mut ends = vec![9];
    assert_eq!(schema.split(&[0x07, 0x61, 0x61], &mut ends), Ok(()));
    assert_eq!(ends, [1, 3]);
    assert_eq!(schema.split(&[0x07, 0x60, 0x00], &mut ends), Err(ValuesError::Trailing(1)));
    let error = schema.split(&[0x07, 0x07], &mut ends).expect_err("no text");
    assert_eq!(error.to_string(), "field b of type `text`: at byte 0: expected a text");
    assert_eq!(schema.check_value(2, &[0]), Err(ValuesError::Count { fields: 2, values: 3 }));
    let mut committer = Committer::new();
    let seed = Seed([0; 32]);
    for count in [0, 1, 3, 100] {
        let values = vec![&[0x07][..]; count];
        let counted = ValuesError::Count { fields: 2, values: count.min(3) };
        assert_eq!(committer.commit(&schema, values, &seed), Err(counted));
    }
}

#[test]
fn errors_do_not_show_values() {
    let secret = Value::Text("hunter2".into());
    let mut out = vec![1, 2];
    let error = secret.encode(&FieldType::Bool, &mut out).expect_err("no truth value");
    assert_eq!(error.to_string(), "at byte 0: expected false or true");
    assert_eq!(out, [1, 2]);
    let subjects = Subjects(vec!["applicant-7".into()]);
    assert_eq!(format!("{subjects:?} {:?}", Seed([7; 32])), "Subjects(1) Seed(…)");
}

#[test]
fn every_type_is_printed_as_it_is_parsed() {
    for element in Element::ALL {
        let text = format!("tensor/{}", element.name());
        assert_eq!(text.parse(), Ok(FieldType::Tensor(element)));
        assert_eq!(FieldType::Tensor(element).to_string(), text);
    }
    let zone = FieldType::Timestamp(Some(Zone::new("Europe/Berlin").expect("zone")));
    assert_eq!("timestamp/Europe/Berlin".parse(), Ok(zone));
}

#[test]
fn record_ids() {
    // RFC 9562, Appendix A.6.
    let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let id: RecordId = text.parse().expect("id");
    assert_eq!(id.unix_ms(), 1_645_557_742_000);
    assert_eq!(id.to_string(), text);
    assert_eq!(text.to_uppercase().parse(), Ok(id));
    let rest: [u8; 10] = id.as_bytes()[6..].try_into().expect("valid");
    assert_eq!(RecordId::from_parts(id.unix_ms(), rest), id);
    let all = RecordId::from_parts(u64::MAX, [0xff; 10]);
    assert_eq!(all.to_string(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    for bad in [
        "",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-d8c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e2-79b0-7cc3-98c4+dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c0739é",
    ] {
        assert_eq!(bad.parse::<RecordId>(), Err(PartError::RecordId), "{bad}");
    }
}

#[test]
fn parts_of_a_header() {
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(kind.number()), place + 1);
        assert_eq!(Kind::from_number(u64::from(kind.number())), Some(kind));
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert_eq!((Kind::from_number(0), Kind::from_number(19)), (None, None));
    for bad in ["", "A", "1a", "-a", "a_b", "é", &"a".repeat(33)] {
        assert_eq!(ClassName::new(bad), Err(PartError::Class), "{bad}");
    }
    assert!(ClassName::new("a").expect("valid") < ClassName::new("a-b").expect("valid"));
    assert_eq!((Seq::new(0), Epoch::new(1 << 63)), (Err(PartError::Number), Err(PartError::Number)));
    assert_eq!(Seq::new(i64::MAX as u64).expect("valid").get(), i64::MAX as u64);
    let producer = ProducerId([0xab; 16]);
    assert_eq!(producer.to_string().parse(), Ok(producer));
    assert_eq!("ab".parse::<ProducerId>(), Err(PartError::Producer));
}

#[test]
fn values_in_memory() {
    assert_eq!(Value::Float(f64::NAN), Value::Float(-f64::NAN));
    assert_ne!(Value::Float(0.0), Value::Float(-0.0));
    assert_eq!(Map::new([("b".into(), Value::Null), ("b".into(), Value::Null)]), Err("b".to_owned()));
    let map = Map::new([("bb".into(), Value::Null), ("c".into(), Value::Bool(true))]).expect("map");
    assert_eq!(map.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["c", "bb"]);
    assert_eq!((map.get("c"), map.get("d")), (Some(&Value::Bool(true)), None));
    let before = Seconds::from_nanoseconds(-1);
    assert_eq!((before.seconds(), before.nanoseconds()), (-1, 999_999_999));
    assert_eq!(Seconds::new(0, 1_000_000_000), Err(PartError::Nanoseconds));
    assert_eq!(Integer::new(1 << 64), Err(PartError::Integer));
    assert_eq!(Value::Integer(u64::MAX.into()).natural_type().to_string(), "u64");
    let tensor = Value::Tensor(Tensor { element: Element::U8, shape: vec![1], data: vec![1] });
    assert!(tensor.encode(&FieldType::Tensor(Element::Bool), &mut Vec::new()).is_err(), "u8 is not bool");
    assert!(tensor.encode(&FieldType::Tensor(Element::U8), &mut Vec::new()).is_ok());
}

#[test]
fn all_values_together_have_a_limit() {
    let schema = Schema::new(vec![field(&["a"], "text"), field(&["b"], "text")]).expect("schema");
    let mut text = Vec::new();
    minutebook_record::cbor::write_text(&mut text, &"x".repeat(600_000));
    assert_eq!(schema.split(&text.repeat(2), &mut Vec::new()), Err(ValuesError::TooLarge));
    let header = header();
    let made = Disclosure::make(&header, &schema, [&text[..]; 2], &Seed([0; 32]), &[]);
    assert_eq!(made, Err(DisclosureError::Values(ValuesError::TooLarge)));
    assert!(Disclosure::make(&header, &schema, [&text[..], &[0x60]], &Seed([0; 32]), &[]).is_ok());
}

#[test]
fn a_commitment_amid_a_batch() {
    let schema = Schema::new(vec![field(&["a"], "u8")]).expect("schema");
    let header = header();
    let mut committer = Committer::new();
    committer.push(&header, &schema, [&[1][..]], &Seed([1; 32])).expect("one value");
    let alone = committer.commit(&schema, [&[2][..]], &Seed([2; 32])).expect("one value");
    committer.push(&header, &schema, [&[2][..]], &Seed([2; 32])).expect("one value");
    let sealed = committer.finish();
    assert_eq!(sealed.len(), 2);
    assert_eq!(sealed[1].commitment, alone);
    assert_ne!(sealed[0].commitment, alone);
}

#[test]
fn attributions_belong_to_the_inputs() {
    let tensor =
        |count: u64| Tensor { element: Element::U8, shape: vec![count], data: vec![1; count as usize] };
    let schema =
        Schema::new(vec![field(&["inputs", "b"], "u8"), field(&["x"], "u8"), field(&["inputs", "a"], "u8")]);
    let schema = schema.expect("schema");
    let of_inputs = Attributions { features: None, tensor: tensor(2) };
    let inputs = [0, 2].map(|place: usize| Feature::Path(schema.fields()[place].path.clone()));
    assert_eq!(of_inputs.features_of(&schema).as_deref(), Some(&inputs[..]));
    assert_eq!(Attributions { features: None, tensor: tensor(3) }.features_of(&schema), None);
    let named = Attributions { features: Some(vec![Feature::Name("bias".into())]), tensor: tensor(1) };
    assert_eq!(named.features_of(&schema), named.features);
}

#[test]
fn the_time_of_an_event_is_read_alone() {
    let event = Event {
        time_ns: -5,
        clock_error_ns: None,
        duration_ns: None,
        status: "ok".into(),
        trace: None,
        span: None,
        batch: None,
        kept: None,
        links: Vec::new(),
    };
    let mut encoded = Vec::new();
    event.write(&mut encoded);
    assert_eq!(Event::time_of(&encoded), Ok(Some(-5)));
    assert_eq!(Event::decode(&encoded), Ok(Some(event)));
    assert_eq!(Event::time_of(&[0xf6]), Ok(None));
    assert!(Event::time_of(&[0x05]).is_err());
}
