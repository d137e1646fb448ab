use std::sync::Arc;

use minutebook_record::fields::{Attributions, Event, ExplanationMeta, Feature, Floats, ModelRef, Subjects};
use minutebook_record::{FieldType, Kind, RecordId, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::opened::{Content, Opened, Seal, of_draft as opened};

const AT: ReadAt = ReadAt { time_ns: 1_795_253_400_000_000_000, clock_error_ns: Some(250) };

fn read(line: &str) -> Draft {
    DraftReader::new(false).read(line.as_bytes(), AT).unwrap_or_else(|error| panic!("{error}\n{line}"))
}

fn print(record: &Opened) -> Json {
    Printer::default().record(record)
}

/// The record that is read again from what was printed has the same fields: same paths, types and bytes.
fn check_again(draft: &Draft) {
    let printed = print(&opened(draft)).to_string();
    let again = DraftReader::new(true).read(printed.as_bytes(), AT);
    let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!((again.kind, again.class), (draft.kind, draft.class), "{printed}");
    assert_eq!(again.shape.schema(), draft.shape.schema(), "{printed}");
    assert_eq!(again.all_values(), draft.all_values(), "{printed}");
}

fn decision(inputs: &str) -> String {
    format!(r#"{{"model": {{"name": "m", "version": "1"}}, "inputs": {inputs}}}"#)
}

fn field<'d>(draft: &'d Draft, values: &'d [Vec<u8>], path: &[&str]) -> (&'d FieldType, &'d [u8]) {
    let place = draft.shape.schema().find_parts(path).unwrap_or_else(|| panic!("no field {path:?}"));
    (&draft.shape.schema().fields()[place].field_type, &values[place])
}

/// The example of docs/formats/json.md.
const EXAMPLE: &str = r#"{"kind": "decision",
 "class": "standard",
 "model": {"name": "credit-risk", "version": "1.4.0",
           "artifact": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
 "params": {"threshold": 0.5},
 "inputs": {"duration_months": 24, "purpose": "car", "amount": 4870.0},
 "outputs": {"approve": false, "probability": 0.31},
 "explanation": {"method": "coefficients", "library": "scikit-learn 1.7.2", "space": "log-odds", "base": 0.12,
                 "attributions": {"purpose": 0.1, "duration_months": -0.4, "amount": -0.2},
                 "reasons": [{"features": ["duration_months"], "attribution": -0.4, "text": "the term is too long"}],
                 "counterfactuals": [{"duration_months": 12}]},
 "subject": "applicant-7",
 "actor": "branch-12",
 "time": "2026-11-21T09:30:00.123456789Z",
 "duration_ns": 81000,
 "status": "ok",
 "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "span": "00f067aa0ba902b7",
 "tags": {"channel": "web"}, "environment": {"host": "worker-3"},
 "links": []}"#;

#[test]
fn the_example_of_the_page() {
    let draft = read(EXAMPLE);
    let values = draft.all_values();
    let types: Vec<_> =
        draft.shape.schema().fields().iter().map(|f| format!("{} {}", f.path, f.field_type)).collect();
    assert_eq!(
        types,
        [
            "event event",
            "model model",
            "params map",
            "inputs/duration_months i64",
            "inputs/purpose text",
            "inputs/amount f64",
            "outputs/approve bool",
            "outputs/probability f64",
            "explanation/attributions attributions",
            "explanation/meta explanation",
            "explanation/reasons list",
            "explanation/counterfactuals list",
            "subject subject",
            "actor text",
            "tags map",
            "environment map",
        ]
    );
    let event = Event::decode(field(&draft, &values, &["event"]).1).unwrap().unwrap();
    assert_eq!((event.time_ns, event.clock_error_ns), (1_795_253_400_123_456_789, None));
    assert_eq!((event.duration_ns, event.status.as_str()), (Some(81_000), "ok"));
    let model = ModelRef::decode(field(&draft, &values, &["model"]).1).unwrap().unwrap();
    assert_eq!((model.name.as_str(), model.artifact.unwrap()[0]), ("credit-risk", 0x9f));
    assert_eq!(draft.shape.constants().len(), 1, "the model is a constant of the shape");
    // Given in another order than the inputs, stored in theirs.
    let found =
        Attributions::decode(field(&draft, &values, &["explanation", "attributions"]).1).unwrap().unwrap();
    assert_eq!(found.features, None);
    let numbers: Vec<f64> = found
        .tensor
        .data
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(numbers, [-0.4, 0.1, -0.2]);
    check_again(&draft);
}

#[test]
fn printing_the_example_gives_its_members_in_their_order() {
    let mut record = opened(&read(EXAMPLE));
    record.seal = Some(Seal { segment: [1; 16], place: 3, log_index: 4, log_size: 9 });
    let printed = print(&record);
    let names: Vec<_> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names.join(" "),
        "kind class model params inputs outputs explanation subject actor time duration_ns status trace span tags \
         environment id seq producer epoch sealed readable"
    );
    assert_eq!(printed["time"], "2026-11-21T09:30:00.123456789Z");
    assert_eq!(printed["sealed"]["log_index"], 4);
    assert_eq!(
        printed["explanation"]["attributions"],
        json!({"duration_months": -0.4, "purpose": 0.1, "amount": -0.2})
    );
    assert_eq!(printed["outputs"]["approve"], Json::Bool(false));
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut record = opened(&read(EXAMPLE));
    for (content, reason) in [(Content::Erased, "erased"), (Content::NoKey, "no key")] {
        record.content = content;
        let printed = print(&record);
        assert_eq!((&printed["readable"], &printed["reason"]), (&Json::Bool(false), &json!(reason)));
        assert_eq!(printed.get("inputs"), None);
    }
}

#[test]
fn values_have_the_types_of_the_table() {
    for (written, expected) in [
        ("null", "null"),
        ("true", "bool"),
        ("1", "i64"),
        ("1.0", "f64"),
        ("18446744073709551615", "u64"),
        ("\"x\"", "text"),
        ("[1, [null, \"x\"]]", "list"),
        (r#"{"b": 1, "aa": {"x": [true]}}"#, "map"),
        (r#"{"$float": "-Infinity"}"#, "f64"),
        (r#"{"$bytes": "AQID"}"#, "bytes"),
        (r#"{"$timestamp": "2026-11-21T09:30:00+01:00"}"#, "timestamp"),
        (r#"{"$timestamp": {"seconds": 9007199254740993, "nanoseconds": 5}}"#, "timestamp"),
        (r#"{"$datetime": "2026-11-21T09:30:00.5"}"#, "datetime"),
        (r#"{"$datetime": {"seconds": {"$integer": "-9223372036854775808"}, "nanoseconds": 0}}"#, "datetime"),
        (r#"{"$date": "1969-12-31"}"#, "date"),
        (r#"{"$date": {"days": -2147483648}}"#, "date"),
        (r#"{"$duration": "-PT0.5S"}"#, "duration"),
        (r#"{"$duration": "PT2562047788015215H30M7.999999999S"}"#, "duration"),
        (r#"{"$decimal": "-0.0012500"}"#, "decimal"),
        (r#"{"$decimal": "12E2147483647"}"#, "decimal"),
        (r#"{"$integer": "9007199254740993"}"#, "i64"),
        (r#"{"$map": {"$a": {"$map": {"$b": 1}}}}"#, "map"),
        (r#"{"$tensor": {"dtype": "f32", "shape": [2, 2], "data": [1, 2.5, 0.1, 4]}}"#, "tensor/f32"),
        (
            r#"{"$tensor": {"dtype": "f16", "shape": [4], "data": [1, -0.0, 65504, 5.960464477539063e-8]}}"#,
            "tensor/f16",
        ),
        (r#"{"$tensor": {"dtype": "f64", "shape": [], "data": [{"$float": "NaN"}]}}"#, "tensor/f64"),
        (r#"{"$tensor": {"dtype": "bool", "shape": [2], "data": [true, 0]}}"#, "tensor/bool"),
        (r#"{"$tensor": {"dtype": "i16", "shape": [0, 7], "base64": ""}}"#, "tensor/i16"),
        (r#"{"$tensor": {"dtype": "u64", "shape": [1], "data": [18446744073709551615]}}"#, "tensor/u64"),
        (r#"{"$typed": {"type": "u8", "value": 7}}"#, "u8"),
        (r#"{"$typed": {"type": "u64", "value": 7}}"#, "u64"),
        (r#"{"$typed": {"type": "f32", "value": 0.1}}"#, "f32"),
        (r#"{"$typed": {"type": "f32", "value": {"$float": "NaN"}}}"#, "f32"),
        (r#"{"$typed": {"type": "f16", "value": 0.5}}"#, "f16"),
        (r#"{"$typed": {"type": "f64", "value": null}}"#, "f64"),
        (r#"{"$typed": {"type": "category", "value": "red"}}"#, "category"),
        (
            r#"{"$typed": {"type": "timestamp/Europe/Berlin", "value": "2026-11-21T09:30:00Z"}}"#,
            "timestamp/Europe/Berlin",
        ),
        (
            r#"{"$typed": {"type": "tensor/u8", "value": {"$tensor": {"dtype": "u8", "shape": [1], "data": [1]}}}}"#,
            "tensor/u8",
        ),
    ] {
        let draft = read(&decision(&format!("{{\"x\": {written}}}")));
        let found = field(&draft, &draft.all_values(), &["inputs", "x"]).0.to_string();
        assert_eq!(found, expected, "{written}");
        check_again(&draft);
    }
}

#[test]
fn decimals_and_negative_times_keep_their_digits() {
    for (written, exponent, mantissa) in
        [("12.50", -2, 1250), ("-0.00", -2, 0), ("7", 0, 7), ("1E3", 3, 1), ("1.5e-3", -4, 15)]
    {
        let draft = read(&decision(&format!(r#"{{"x": {{"$decimal": "{written}"}}}}"#)));
        let values = draft.all_values();
        let (field_type, value) = field(&draft, &values, &["inputs", "x"]);
        let expected = Value::Decimal { exponent, mantissa: i64::from(mantissa).into() };
        assert_eq!(Value::decode(field_type, value), Ok(expected), "{written}");
    }
    let draft = read(&decision(r#"{"x": {"$timestamp": "1969-12-31T23:59:59.25Z"}}"#));
    let printed = print(&opened(&draft));
    assert_eq!(printed["inputs"]["x"], json!({"$timestamp": "1969-12-31T23:59:59.25Z"}));
}

#[test]
fn kinds_have_their_own_fields() {
    let id = RecordId::from_parts(5, [9; 10]);
    let draft =
        read(&format!(r#"{{"kind": "outcome", "links": ["{id}"], "outcome": {{"defaulted": true}}}}"#));
    assert_eq!(draft.kind, Kind::Outcome);
    let values = draft.all_values();
    assert_eq!(field(&draft, &values, &["outcome", "defaulted"]).0, &FieldType::Bool);
    let event = Event::decode(field(&draft, &values, &["event"]).1).unwrap().unwrap();
    assert_eq!((event.links, event.time_ns, event.clock_error_ns), (vec![id], AT.time_ns, Some(250)));
    check_again(&draft);

    let other = r#"{"kind": "model", "model": {"name": "m", "version": "2", "artifact": null},
        "fields": [[["model", "git"], "abc"], [["x"], 1],
                   [["a", "b", "c"], {"$typed": {"type": "i8", "value": -1}}]]}"#;
    check_again(&read(other));
}

#[test]
fn explanations() {
    let with = |attributions: &str| {
        let inputs = r#"{"a": 1, "b": 2}, "explanation": {"method": "shap", "seed": 18446744073709551615,
            "class": "yes", "base": [0.5, {"$float": "NaN"}], "residual": 1, "when": "later", "duration_ns": 5,
            "background": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "parameters": {"n": 10, "$map": 1}"#;
        let inputs = inputs.replace(r#", "$map": 1"#, "");
        read(&decision(&format!("{inputs}, \"attributions\": {attributions}}}")))
    };
    let features = |draft: &Draft| {
        let values = draft.all_values();
        Attributions::decode(field(draft, &values, &["explanation", "attributions"]).1).unwrap().unwrap()
    };
    let name = |name: &str| Feature::Name(name.to_owned());
    let draft = with(r#"{"b": 1, "a": 2.5}"#);
    assert_eq!((features(&draft).features, features(&draft).tensor.shape), (None, vec![2]));
    let meta = draft.all_values();
    let meta = ExplanationMeta::decode(field(&draft, &meta, &["explanation", "meta"]).1).unwrap().unwrap();
    assert!(matches!(meta.base, Some(Floats::Each(each)) if each.len() == 2));
    check_again(&draft);

    let draft = with(r#"{"b": [1, 2, 3], "a": [4, 5, 6]}"#);
    assert_eq!((features(&draft).features, features(&draft).tensor.shape), (None, vec![2, 3]));
    check_again(&draft);

    let draft = with(r#"{"b": 1, "other": 2}"#);
    assert_eq!(features(&draft).features, Some(vec![name("b"), name("other")]));
    check_again(&draft);

    let draft = with(r#"[["a", 1], ["a", 2]]"#);
    assert_eq!(features(&draft).features, Some(vec![name("a"), name("a")]));
    check_again(&draft);
    check_again(&with("{}"));
}

/// Reasons, counterfactuals and a field beside them, as a decision has them.
fn beside(members: &str) -> Draft {
    read(&decision(&format!(r#"{{"a": 1, "b": 2}}, "explanation": {{"method": "shap", {members}}}"#)))
}

#[test]
fn reasons_and_counterfactuals_are_members() {
    let draft = beside(
        r#""reasons": [{"features": ["a", "b"], "attribution": -1, "text": "too much", "code": "A2"},
                        {"attribution": {"$float": "NaN"}, "features": ["b"], "text": null}, {"attribution": 0.5, "features": []}],
           "counterfactuals": [{"a": 3, "b": {"$date": "2026-11-21"}}, {"$map": {"$b": [1, null]}}, {}],
           "attributions": {"a": 1, "b": 2}"#,
    );
    let values = draft.all_values();
    let (field_type, encoded) = field(&draft, &values, &["explanation", "reasons"]);
    let Value::List(reasons) = Value::decode(field_type, encoded).unwrap() else { panic!("a list") };
    let Value::Map(first) = &reasons[0] else { panic!("a map") };
    assert_eq!(first.get("attribution"), Some(&Value::Float(-1.0)), "a float, however it is written");
    let printed = print(&opened(&draft));
    assert_eq!(
        printed["explanation"]["reasons"],
        json!([{"features": ["a", "b"], "attribution": -1.0, "text": "too much", "code": "A2"},
               {"features": ["b"], "attribution": {"$float": "NaN"}, "text": null},
               {"features": [], "attribution": 0.5, "text": null}])
    );
    assert_eq!(
        printed["explanation"]["counterfactuals"],
        json!([{"a": 3, "b": {"$date": "2026-11-21"}}, {"$map": {"$b": [1, null]}}, {}])
    );
    assert_eq!(printed.get("fields"), None);
    check_again(&draft);
    check_again(&beside(r#""reasons": [], "counterfactuals": []"#));
}

#[test]
fn why_a_decision_was_kept_may_be_without_a_rate() {
    for kept in [r#"{"rule": "busy", "rate": null}"#, r#"{"rule": "busy"}"#] {
        let draft = read(&decision(&format!(r#"{{"a": 1}}, "kept": {kept}"#)));
        assert_eq!(print(&opened(&draft))["kept"], json!({ "rule": "busy", "rate": null }));
        check_again(&draft);
    }
}

#[test]
fn reasons_of_another_form_are_fields() {
    let text = r#"[{"features": ["a"], "attribution": 1, "text": null}]"#;
    for (name, value) in [
        ("reasons", text),
        ("reasons", r#"[{"features": ["a"], "attribution": 1.5}]"#),
        ("reasons", r#"[{"features": ["a"], "attribution": 1.5, "text": null, "more": 1}]"#),
        ("reasons", r#""none""#),
        ("counterfactuals", "[[1]]"),
        ("counterfactuals", r#"{"$typed": {"type": "list", "value": null}}"#),
    ] {
        let inputs = format!(
            r#"{{"a": 1}}, "explanation": {{"method": "m"}}, "fields": [[["explanation", "{name}"], {value}]]"#
        );
        let draft = read(&decision(&inputs));
        let printed = print(&opened(&draft));
        assert_eq!(printed["explanation"].get(name), None, "{value}");
        assert_eq!(printed["fields"][0][0], json!(["explanation", name]), "{value}");
        check_again(&draft);
    }
}

fn refused(line: &str) -> String {
    match DraftReader::new(false).read(line.as_bytes(), AT) {
        Ok(_) => panic!("accepted: {line}"),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn what_is_refused_is_told_with_its_place() {
    let long = "9".repeat(513);
    for (line, expected) in [
        ("[]".to_owned(), "expected an object, found an array"),
        ("{}".into(), "member `model` is missing"),
        (r#"{"model": {"name": "m", "version": "1"}}"#.into(), "member `inputs` is missing"),
        (r#"{"kind": "secret"}"#.into(), "`kind`: unknown kind"),
        (r#"{"kind": "erasure"}"#.into(), "`kind`: records of this kind are the engine's own"),
        (r#"{"kind": 5}"#.into(), "`kind`: expected text, found an integer"),
        (r#"{"kind": "note", "class": "Bad"}"#.into(), "`class`: a class is `[a-z][a-z0-9-]{0,31}`"),
        (r#"{"kind": "note", "class": "system"}"#.into(), "`class`: the class `system` is the engine's own"),
        (r#"{"kind": "note", "input": {}}"#.into(), "`input`: no such member"),
        (r#"{"kind": "note", "outcome": {}}"#.into(), "`outcome`: no such member"),
        (r#"{"kind": "note", "id": "x"}"#.into(), "`id`: the trail gives this itself"),
        (r#"{"kind": "note", "note": {}, "note": {}}"#.into(), "`note`: the member is there twice"),
        (r#"{"kind": "note", "tags": {}, "tags": {}}"#.into(), "`tags`: the member is there twice"),
        (
            r#"{"kind": "note", "tags": {"a": {"b": 1, "b": 2}}}"#.into(),
            "`tags.a.b`: the member is there twice",
        ),
        (r#"{"kind": "note", "tags": 5}"#.into(), "`tags`: expected an object, found an integer"),
        (r#"{"kind": "note", "time": "yesterday"}"#.into(), "`time`: not a time with an offset"),
        (r#"{"kind": "note", "time": "2026-11-21T09:30:00"}"#.into(), "`time`: not a time with an offset"),
        (
            r#"{"kind": "note", "time": "2300-01-01T00:00:00Z"}"#.into(),
            "`time`: the time lies outside of the years 1678 to 2262",
        ),
        (r#"{"kind": "note", "duration_ns": -1}"#.into(), "`duration_ns`: expected an integer from 0 on"),
        (r#"{"kind": "note", "trace": "4bf9"}"#.into(), "`trace`: expected 32 hex digits"),
        (r#"{"kind": "note", "links": [5]}"#.into(), "`links[0]`: expected text, found an integer"),
        (r#"{"kind": "note", "links": ["x"]}"#.into(), "`links[0]`: not the id of a record"),
        (
            r#"{"kind": "note", "batch": {"call": "00", "row": 0, "rows": 1}}"#.into(),
            "`batch.call`: expected 32 hex digits",
        ),
        (
            r#"{"kind": "note", "kept": {"rule": "r", "rate": 0}}"#.into(),
            "`kept.rate`: a rate is above 0 and at most 1",
        ),
        (r#"{"kind": "note", "subject": []}"#.into(), "`subject`: a record has 1 to 64 subjects"),
        (
            format!(r#"{{"kind": "note", "subject": ["a", "{long}"]}}"#),
            "`subject[1]`: a subject has at most 512 bytes",
        ),
        (r#"{"model": {"name": "m"}, "inputs": {}}"#.into(), "`model`: member `version` is missing"),
        (
            r#"{"model": {"name": "m", "version": "1", "artifact": "md5:0"}, "inputs": {}}"#.into(),
            "`model.artifact`: expected `sha256:` and 64 hex digits",
        ),
        (decision(r#"{"a": 1, "a": 2}"#), "field `inputs/a` is there twice"),
        (
            decision(r#"{"a.b": {"$x": 1}}"#),
            "`inputs[\"a.b\"].$x`: a name that begins with `$` stands alone and is one of \
            those of docs/formats/json.md",
        ),
        (
            decision(r#"{"a": {"$float": "NaN", "b": 1}}"#),
            "`inputs.a.$float`: a name that begins with `$` stands alone and \
            is one of those of docs/formats/json.md",
        ),
        (
            decision(r#"{"a": {"$float": "nan"}}"#),
            "`inputs.a.$float`: expected \"NaN\", \"Infinity\" or \"-Infinity\"",
        ),
        (decision(r#"{"a": {"$integer": "1.5"}}"#), "`inputs.a.$integer`: not an integer in decimal digits"),
        (
            decision(r#"{"a": [{"$typed": {"type": "u8", "value": 1}}]}"#),
            "`inputs.a[0]`: only a whole field has a type",
        ),
        (
            decision(r#"{"a": {"$typed": {"type": "u8", "value": 256}}}"#),
            "`inputs.a.$typed.value`: the value is not of its \
            type: an integer of this type out of range",
        ),
        (
            decision(r#"{"a": {"$typed": {"type": "i128", "value": 1}}}"#),
            "`inputs.a.$typed.type`: unknown type of a field",
        ),
        (decision(r#"{"a": {"$typed": {"type": "u8"}}}"#), "`inputs.a.$typed`: member `value` is missing"),
        (
            decision(r#"{"a": {"$tensor": {"dtype": "u8", "shape": [2], "data": [1]}}}"#),
            "`inputs.a`: the dimensions do not \
            give the length of the tensor",
        ),
        (
            decision(r#"{"a": {"$tensor": {"dtype": "u8", "shape": [1], "data": [300]}}}"#),
            "`inputs.a.$tensor.data[0]`: the \
            number does not fit the type of the elements",
        ),
        (
            decision(&format!("{{\"a\": {}1{}}}", "[".repeat(17), "]".repeat(17))),
            "`inputs.a`: nested deeper than 16 levels",
        ),
        (decision(r#"{"a": {"$duration": "5 minutes"}}"#), "`inputs.a.$duration`: not a duration"),
        (decision(r#"{"a": {"$decimal": "1."}}"#), "`inputs.a.$decimal`: not a decimal number"),
        (
            decision(r#"{"a": 1}, "explanation": {"method": "m", "attributions": {"a": [1], "b": 2}}"#),
            "`explanation.attributions.b`: every feature has a number, or each as many as the first",
        ),
        (
            decision(r#"{"a": 1}, "explanation": {"method": "m", "attributions": {"a": 9007199254740993}}"#),
            "`explanation.attributions.a`: no float holds this integer exactly",
        ),
        (decision(r#"{}, "explanation": {}"#), "`explanation`: member `method` is missing"),
        (
            decision(r#"{}, "explanation": {"method": "m", "reasons": [{"features": ["a"], "text": "t"}]}"#),
            "`explanation.reasons[0]`: member `attribution` is missing",
        ),
        (
            decision(
                r#"{}, "explanation": {"method": "m", "reasons": [{"features": [1], "attribution": 1}]}"#,
            ),
            "`explanation.reasons[0].features[0]`: expected text, found an integer",
        ),
        (
            decision(r#"{}, "explanation": {"method": "m", "reasons": {"a": 1}}"#),
            "`explanation.reasons`: expected an array, found an object",
        ),
        (
            decision(r#"{}, "explanation": {"method": "m", "counterfactuals": [{"a": 1}, 2]}"#),
            "`explanation.counterfactuals[1]`: expected an object, found an integer",
        ),
        (
            decision(
                r#"{}, "explanation": {"method": "m", "reasons": []}, "fields": [[["explanation", "reasons"], []]]"#,
            ),
            "field `explanation/reasons` is there twice",
        ),
        (r#"{"kind": "note", "fields": [[["event"], 1]]}"#.into(), "field event cannot have the type `i64`"),
        (
            r#"{"kind": "note", "fields": [[[], 1]]}"#.into(),
            "the name of a field is not allowed: the number of texts of a path out of range",
        ),
    ] {
        let expected: String = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(refused(&line), expected, "{line}");
    }
}

#[test]
fn no_message_shows_a_value() {
    let canary = "Canary7";
    for line in [
        format!(r#"{{"kind": "{canary}"}}"#),
        format!(r#"{{"kind": "note", "time": "{canary}"}}"#),
        format!(r#"{{"kind": "note", "class": "{canary}"}}"#),
        format!(r#"{{"kind": "note", "links": ["{canary}"]}}"#),
        format!(r#"{{"kind": "note", "note": {{"a": {{"$date": "{canary}"}}}}}}"#),
        format!(r#"{{"kind": "note", "note": {{"a": {{"$bytes": "{canary}"}}}}}}"#),
        format!(r#"{{"kind": "note", "note": {{"a": {{"$typed": {{"type": "{canary}", "value": 1}}}}}}}}"#),
        format!(r#"{{"kind": "note" "{canary}""#),
        format!(r#"{{"kind": "note", "subject": "{}"}}"#, canary.repeat(100)),
    ] {
        let problem = DraftReader::new(false).read(line.as_bytes(), AT).unwrap_err();
        let message = format!("{problem} {:?}", problem.to_do());
        assert!(!message.contains(canary), "{message}");
    }
}

#[test]
fn what_a_trail_adds_is_passed_over_on_request_only() {
    let line = format!(r#"{{"kind": "note", "id": "{}", "seq": 1, "sealed": null, "readable": true}}"#, "x");
    assert!(DraftReader::new(false).read(line.as_bytes(), AT).is_err());
    assert!(DraftReader::new(true).read(line.as_bytes(), AT).is_ok());
    let erased = r#"{"kind": "note", "readable": false, "reason": "erased"}"#;
    let problem = DraftReader::new(true).read(erased.as_bytes(), AT).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the content of this record was not readable, so there is nothing to record"
    );
}

#[test]
fn shapes_are_shared_and_forgotten_in_time() {
    let mut reader = DraftReader::new(false);
    let mut shape = |line: &str| reader.read(line.as_bytes(), AT).unwrap().shape;
    let line = decision(r#"{"a": 1}"#);
    assert!(Arc::ptr_eq(&shape(&line), &shape(&decision(r#"{"a": 2}"#))));
    assert!(!Arc::ptr_eq(&shape(&line), &shape(&decision(r#"{"a": 2.0}"#))));
    let other_model = r#"{"model": {"name": "m", "version": "2"}, "inputs": {"a": 1}}"#;
    assert!(!Arc::ptr_eq(&shape(&line), &shape(other_model)));
    let first = shape(&line);
    for place in 0..limits::SHAPES_CACHED {
        shape(&decision(&format!("{{\"a{place}\": 1}}")));
    }
    assert_eq!(first, shape(&line), "equal, though made anew");
    assert!(!Arc::ptr_eq(&first, &shape(&line)));
}

#[test]
fn no_damaged_line_makes_it_panic() {
    let line = EXAMPLE.as_bytes();
    let mut reader = DraftReader::new(false);
    for end in 0..line.len() {
        assert!(reader.read(&line[..end], AT).is_err(), "cut at {end}");
    }
    for at in 0..line.len() {
        for bit in 0..8 {
            let mut changed = line.to_vec();
            changed[at] ^= 1 << bit;
            if let Ok(draft) = reader.read(&changed, AT) {
                check_again(&draft);
            }
        }
    }
}

#[test]
fn masked_fields_are_named() {
    let mut record = opened(&read(EXAMPLE));
    let place = record.schema.find_parts(&["inputs", "amount"]).unwrap();
    if let Content::Readable(values) = &mut record.content {
        values[place] = None;
    }
    let printed = Printer { types: true }.record(&record);
    assert_eq!(printed["masked"], json!([["inputs", "amount"]]));
    assert_eq!(printed["inputs"], json!({"duration_months": 24, "purpose": "car"}));
    assert_eq!(printed["schema"][3], json!([["inputs", "duration_months"], "i64"]));
}

#[test]
fn what_was_redacted_is_told_and_reads_again() {
    let line = r#"{"model": {"name": "m", "version": "1"}, "inputs": {
        "name": {"$typed": {"type": "dropped", "value": null}},
        "iban": {"$typed": {"type": "hashed/1f2e3d4c", "value": {"$bytes": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}},
        "postcode": {"$typed": {"type": "truncated/3/text", "value": "101"}},
        "born": {"$typed": {"type": "truncated/year/date", "value": {"$date": "1990-01-01"}}},
        "seen": {"$typed": {"type": "truncated/day/datetime", "value": "2026-11-20T00:00:00"}},
        "age": {"$typed": {"type": "bucketed/edges/18,30", "value": {"$float": "-Infinity"}}},
        "income": {"$typed": {"type": "bucketed/width/1000", "value": null}}, "amount": 4870.0},
        "explanation": {"method": "shap"}, "tags": {"channel": "web"},
        "fields": [[["tags", "customer"], {"$typed": {"type": "dropped", "value": null}}],
                   [["explanation", "attributions"], {"$typed": {"type": "dropped", "value": null}}]]}"#;
    let draft = read(line);
    check_again(&draft);
    let printed = print(&crate::opened::of_draft(&draft));
    assert_eq!(
        printed["redacted"],
        json!([
            [["inputs", "name"], "left out at the source"],
            [["inputs", "iban"], "hashed with key 1f2e3d4c"],
            [["inputs", "postcode"], "first 3 characters"],
            [["inputs", "born"], "to the year"],
            [["inputs", "seen"], "to the day"],
            [["inputs", "age"], "in buckets from 18, 30"],
            [["inputs", "income"], "in buckets of 1000"],
            [["tags", "customer"], "left out at the source"],
            [["explanation", "attributions"], "left out at the source"],
        ])
    );
    let too_much = line.replace("\"101\"", "\"1011\"");
    assert!(
        refused(&too_much).contains("more characters than the truncation keeps"),
        "{}",
        refused(&too_much)
    );
}

#[test]
fn subjects_are_one_or_several() {
    for (written, count) in [(r#""a""#, 1), (r#"["a"]"#, 1), (r#"["a", "b"]"#, 2)] {
        let draft = read(&format!(r#"{{"kind": "note", "subject": {written}}}"#));
        let values = draft.all_values();
        let found = Subjects::decode(field(&draft, &values, &["subject"]).1).unwrap().unwrap();
        assert_eq!(found.0.len(), count);
        check_again(&draft);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(print::float),
        any::<String>().prop_map(Json::from),
        any::<i64>().prop_map(|n| json!({"$integer": n.to_string()})),
        (any::<i32>(), any::<i64>()).prop_map(|(e, m)| json!({"$decimal": print::decimal(e, m.into())})),
        any::<i32>().prop_map(|days| json!({"$date": instant::write_date(days)})),
        (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, ns)| {
            let at = minutebook_record::Seconds::new(seconds, ns).unwrap();
            json!([
                {"$timestamp": instant::write_timestamp(at)},
                {"$duration": instant::write_duration(at)},
            ])
        }),
        proptest::collection::vec(any::<f32>(), 0..5).prop_map(|values| {
            let data: Vec<Json> = values.iter().map(|value| print::float(f64::from(*value))).collect();
            json!({"$tensor": {"dtype": "f32", "shape": [data.len()], "data": data}})
        }),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            proptest::collection::hash_map("[$a-z]{0,3}", inner, 0..5).prop_map(|map| {
                let map: serde_json::Map<_, _> = map.into_iter().collect();
                json!({ "$map": map })
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_record_that_is_read_and_printed_reads_the_same(
        inputs in proptest::collection::hash_map(any::<String>(), any_json(), 0..6),
        outputs in proptest::collection::hash_map("[a-z]{1,4}", any_json(), 0..3),
        tags in proptest::collection::hash_map("[a-z]{1,4}", any_json(), 0..3),
        subjects in proptest::collection::vec("[a-z0-9]{0,8}", 1..3),
        attributions in proptest::collection::hash_map("[a-z]{1,4}", any::<f64>(), 0..4),
        time in any::<i64>(),
        duration in proptest::option::of(any::<u64>()),
    ) {
        let attributions: serde_json::Map<_, _> =
            attributions.into_iter().map(|(name, value)| (name, print::float(value))).collect();
        let line = json!({
            "model": {"name": "m", "version": "1"},
            "inputs": inputs, "outputs": outputs, "tags": {"$map": tags}, "subject": subjects,
            "time": time, "duration_ns": duration,
            "explanation": {"method": "m", "attributions": attributions},
        });
        check_again(&read(&line.to_string()));
    }
}

#[test]
#[ignore = "a measurement: run with --release --nocapture"]
fn lines_a_second() {
    let names: Vec<String> = (0..20).map(|n| format!("feature_{n}")).collect();
    let value = |n: usize| match n {
        0..12 => json!(n as f64 * 1.37 + 0.1),
        12..16 => json!(n * 1000),
        _ => json!(format!("category {n}")),
    };
    let inputs: serde_json::Map<_, _> = names.iter().cloned().zip((0..20).map(value)).collect();
    let attributions: serde_json::Map<_, _> =
        names.iter().cloned().zip((0..20).map(|n| json!(0.017 * n as f64 - 0.3))).collect();
    let line = json!({
        "model": {"name": "m", "version": "1"}, "params": {"a": 1, "b": 0.5, "c": "x"},
        "inputs": inputs, "outputs": {"approve": true, "probability": 0.71},
        "explanation": {"method": "shap", "base": 0.2, "attributions": attributions},
        "subject": "applicant-7", "time": "2026-11-21T09:30:00.123456789Z",
    })
    .to_string();
    let mut reader = DraftReader::new(false);
    let record = opened(&reader.read(line.as_bytes(), AT).unwrap());
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let now = std::time::Instant::now;
    let count = 100_000;
    let start = now();
    for _ in 0..count {
        std::hint::black_box(reader.read(line.as_bytes(), AT).unwrap());
    }
    let took = start.elapsed();
    println!("{} bytes a line; read {:.0} lines/s", line.len(), f64::from(count) / took.as_secs_f64());
    let start = now();
    for _ in 0..count {
        std::hint::black_box(print(&record).to_string());
    }
    println!("printed {:.0} lines/s", f64::from(count) / start.elapsed().as_secs_f64());
}

/// Brackets of two bytes take a hundred in memory.
#[test]
fn a_text_of_too_many_values_is_refused_before_it_is_read() {
    use super::limits::TREE_MEMORY_MAX;

    let refused =
        |text: &str| Tree::parse(text.as_bytes()).is_err_and(|problem| problem.what().contains("256 MiB"));
    let many = |piece: &str, count: usize| format!("[{}]", vec![piece; count].join(","));
    let most = TREE_MEMORY_MAX / 64;
    assert!(refused(&many("0", most + 1)));
    assert!(refused(&many("[]", most / 2)) && refused(&many("{\"\":0}", most / 3)));
    assert!(!refused(&many("0.12345", most / 2)));
    // What stands in texts is no value.
    assert!(!refused(&format!("[\"{}\"]", ",[{\\\"".repeat(most))));
}
