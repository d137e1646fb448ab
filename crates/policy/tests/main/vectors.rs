//! Rates by value and so many per second: `docs/formats/vectors/policy.json`, which the independent check writes.

use crate::meaning::record;
use minutebook_policy::{Policy, Quotas, Share};
use minutebook_record::{FieldType, IntegerType, Value};
use serde_json::{Value as Json, json};

fn typed(decision: &Json) -> (FieldType, Value) {
    let value = &decision["value"];
    let (field_type, read): (_, fn(&Json) -> Value) = match decision["type"].as_str().unwrap() {
        "text" => (FieldType::Text, |value| Value::Text(value.as_str().unwrap().into())),
        "category" => (FieldType::Category, |value| Value::Text(value.as_str().unwrap().into())),
        "i16" => {
            (FieldType::Integer(IntegerType::I16), |value| Value::Integer(value.as_i64().unwrap().into()))
        }
        "u64" => {
            (FieldType::Integer(IntegerType::U64), |value| Value::Integer(value.as_i64().unwrap().into()))
        }
        "bool" => (FieldType::Bool, |value| Value::Bool(value.as_bool().unwrap())),
        "f64" => (FieldType::F64, |value| Value::Float(value.as_f64().unwrap())),
        other => panic!("{other}"),
    };
    (field_type, if value.is_null() { Value::Null } else { read(value) })
}

#[test]
fn policy_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/vectors/policy.json");
    let vectors: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut looked_at = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let policy = Policy::parse(case["policy"].as_str().unwrap()).unwrap();
        let mut quotas = Quotas::default();
        for decision in case["decisions"].as_array().unwrap() {
            let (field_type, value) = typed(decision);
            let record = record(&[(&["inputs", "x"], field_type, value)]);
            let plan = policy.plan(&record.schema);
            let class = decision["class"].as_str().unwrap();
            let found = policy.decide(&plan, class, |place| &record.values[place]).unwrap();
            let mut said = decision.clone();
            said["rule"] = json!(found.rule);
            match found.share {
                Share::Rate(rate) => said["rate"] = json!(rate),
                Share::PerSecond(count) => {
                    let time_ns = decision["time_ns"].as_str().unwrap().parse().unwrap();
                    said["kept"] = json!(quotas.admit(&found, count, time_ns));
                    said["rate"] = Json::Null;
                }
            }
            assert_eq!(said, *decision, "{}", case["name"]);
            looked_at += 1;
        }
    }
    assert!(looked_at > 30, "{looked_at}");
}
