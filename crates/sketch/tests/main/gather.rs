//! Counting decisions into windows.

use minutebook_record::fields::{Event, ModelRef};
use minutebook_record::{Field, FieldType, IntegerType, Path, Schema, Value};
use minutebook_sketch::limits::{WINDOWS_MAX, WINDOWS_OF_BATCH};
use minutebook_sketch::{Counted, Gathered, Key, Length, Plan, Window, duration_path};
use std::collections::BTreeMap;
use std::sync::Arc;

const FIELDS: [(&[&str], FieldType); 8] = [
    (&["event"], FieldType::Event),
    (&["model"], FieldType::Model),
    (&["inputs", "amount"], FieldType::F64),
    (&["inputs", "purpose"], FieldType::Category),
    (&["outputs", "class"], FieldType::Integer(IntegerType::I64)),
    (&["outputs", "approve"], FieldType::Bool),
    (&["inputs", "history"], FieldType::List),
    (&["tags"], FieldType::Map),
];

fn schema() -> Schema {
    let field = |(path, field_type): &(&[&str], FieldType)| Field {
        path: Path::new(path.iter().copied()).unwrap(),
        field_type: field_type.clone(),
    };
    Schema::new(FIELDS.iter().map(field).collect()).unwrap()
}

struct Decision {
    seconds: i64,
    model: &'static str,
    amount: Option<f64>,
    purpose: &'static str,
}

fn encode(decision: &Decision) -> Vec<Vec<u8>> {
    let (mut event, mut model) = (Vec::new(), Vec::new());
    Event {
        time_ns: decision.seconds * 1_000_000_000 + 999_999_999,
        clock_error_ns: Some(5),
        duration_ns: Some(2_000),
        status: "ok".into(),
        trace: None,
        span: None,
        batch: None,
        kept: None,
        links: Vec::new(),
    }
    .write(&mut event);
    ModelRef { name: decision.model.into(), version: "1".into(), artifact: None }.write(&mut model);
    let mut values = vec![event, model];
    let rest = [
        decision.amount.map_or(Value::Null, Value::Float),
        Value::Text(decision.purpose.into()),
        Value::Integer(1.into()),
        Value::Bool(true),
        Value::List(vec![]),
        Value::Null,
    ];
    for ((_, field_type), value) in FIELDS[2..].iter().zip(rest) {
        let mut bytes = Vec::new();
        value.encode(field_type, &mut bytes).unwrap();
        values.push(bytes);
    }
    values
}

fn gather(decisions: impl IntoIterator<Item = Decision>, rule: Option<&str>) -> BTreeMap<Key, Window> {
    let plan = Arc::new(Plan::new(&schema()));
    let mut gathered = Gathered::default();
    for (seq, decision) in (1..).zip(decisions) {
        let values = encode(&decision);
        let counted = Counted { producer: [1; 16], epoch: 1, seq, rule, kept: seq % 2 == 0 };
        gathered.add(&plan, counted, |place| &values[place]);
    }
    gathered.finish("standard")
}

fn decision(seconds: i64) -> Decision {
    Decision { seconds, model: "credit", amount: Some(5.0), purpose: "car" }
}

#[test]
fn every_input_and_output_is_counted() {
    let decisions = (0..100).map(|n| Decision {
        amount: (n % 4 != 0).then_some(f64::from(n)),
        purpose: if n % 2 == 0 { "car" } else { "boat" },
        ..decision(120)
    });
    let windows = gather(decisions, Some("others"));
    assert_eq!(windows.len(), 1);
    let (key, window) = windows.into_iter().next().unwrap();
    assert_eq!((key.length, key.start), (Length::Minute, 120));
    assert_eq!((window.decisions, window.status["ok"]), (100, 100));
    assert_eq!((window.rules["others"].judged, window.rules["others"].kept), (100, 50));
    let ranges = &window.covers[&([1; 16], 1, "standard".to_owned())];
    assert_eq!(
        ranges.as_slice().iter().map(|r| (r.from, r.to, r.count)).collect::<Vec<_>>(),
        [(1, 100, 100)]
    );
    let feature = |parts: &[&str]| window.features[&Path::new(parts.iter().copied()).unwrap()].clone();
    let amount = feature(&["inputs", "amount"]);
    assert_eq!((amount.present, window.missing(&amount)), (75, 25));
    assert_eq!(amount.numbers.unwrap().moments().unwrap().max, 99.0);
    let purpose = feature(&["inputs", "purpose"]).texts.unwrap();
    assert_eq!(purpose.items(1), [("boat".into(), 50), ("car".into(), 50)]);
    let class = feature(&["outputs", "class"]);
    assert_eq!(
        (class.texts.unwrap().items(1), class.numbers.unwrap().count()),
        (vec![("1".into(), 100)], 100)
    );
    assert_eq!(feature(&["outputs", "approve"]).texts.unwrap().items(1), [("true".into(), 100)]);
    let history = feature(&["inputs", "history"]);
    assert_eq!((history.present, history.numbers.is_none(), history.texts.is_none()), (100, true, true));
    assert_eq!(window.features[&duration_path()].clone().numbers.unwrap().moments().unwrap().mean, 2_000.0);
    assert!(!window.features.keys().any(|path| path.first() == "tags"));
}

#[test]
fn minutes_and_models_are_kept_apart() {
    let decisions = [0, 59, 60, 61, -1].into_iter().map(decision);
    let others = [0, 1].into_iter().map(|s| Decision { model: "fraud", ..decision(s) });
    let windows = gather(decisions.chain(others), None);
    let found: Vec<(i64, u64)> = windows.iter().map(|(key, window)| (key.start, window.decisions)).collect();
    assert_eq!(found, [(-60, 1), (0, 2), (0, 2), (60, 2)]);
    assert!(windows.values().all(|window| window.rules.is_empty()));
}

#[test]
fn very_many_minutes_are_counted_by_the_hour_and_by_the_day() {
    let count = 100_000;
    let windows = gather((0..count).map(|n| decision(n * 60)), None);
    assert!(windows.len() <= WINDOWS_MAX + count as usize / 1_440 + 1, "{}", windows.len());
    let lengths: Vec<usize> = [Length::Minute, Length::Hour, Length::Day]
        .map(|length| windows.keys().filter(|key| key.length == length).count())
        .into();
    assert_eq!(lengths[0], WINDOWS_OF_BATCH);
    assert!(lengths[1] > 500 && lengths[2] > 10, "{lengths:?}");
    assert_eq!(windows.values().map(|window| window.decisions).sum::<u64>(), count as u64);
}

#[test]
fn windows_roll_up() {
    let minutes = gather((0..7_200).map(decision), None);
    assert_eq!(minutes.len(), 120);
    let mut hours: BTreeMap<Key, Window> = BTreeMap::new();
    for (key, mut window) in minutes {
        window.covers.clear();
        hours.entry(key.longer().unwrap()).or_default().merge(window);
    }
    let found: Vec<(i64, u64)> = hours.iter().map(|(key, window)| (key.start, window.decisions)).collect();
    assert_eq!(found, [(0, 3_600), (3_600, 3_600)]);
    let first = hours.into_iter().next().unwrap();
    assert_eq!((first.0.longer().unwrap().length, first.0.longer().unwrap().longer()), (Length::Day, None));
}

#[test]
fn very_many_features_make_several_records() {
    let mut window = Window { decisions: 20, ..Window::default() };
    for n in 0..600 {
        let mut feature = minutebook_sketch::Feature { present: 3_000, ..Default::default() };
        feature.numbers.get_or_insert_default().extend((0..3_000).map(|v| f64::from(v) * 1.1));
        window.features.insert(Path::new(["inputs".into(), format!("f{n}")]).unwrap(), feature);
    }
    let parts = window.seal();
    assert!(parts.len() > 1);
    let mut joined = Window::default();
    for part in &parts {
        assert!(part.features.len() < minutebook_record::limits::VALUES_BYTES_MAX * 3 / 4);
        joined.merge(part.open().unwrap());
    }
    assert_eq!((joined.decisions, joined.features.len()), (20, 600));
}
