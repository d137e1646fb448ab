use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
    DictionaryArray, DurationMillisecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, NullArray,
    RecordBatch, RecordBatchOptions, StringArray, StringViewArray, StructArray, Time32SecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt8Array, UInt64Array,
};
use arrow_buffer::i256;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use serde_json::{Value as Json, json};

use super::*;
use crate::intake::body::{self, Form};

const AT: ReadAt = ReadAt { time_ns: 1_700_000_000_000_000_000, clock_error_ns: None };

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn stream_with(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn stream(batch: &RecordBatch) -> Vec<u8> {
    stream_with(std::slice::from_ref(batch), IpcWriteOptions::default())
}

fn credit() -> Defaults {
    Defaults { model: Some("credit".into()), version: Some("1".into()), ..Defaults::default() }
}

fn read_as(defaults: Defaults, body: &[u8]) -> Result<Vec<Draft>, Json> {
    let drafts = body::drafts(&Form::Arrow(defaults), body, &mut DraftReader::new(false), AT);
    drafts.map_err(|problem| json!(problem))
}

fn read(body: &[u8]) -> Result<Vec<Draft>, Json> {
    read_as(credit(), body)
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn structure(children: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let child = |(name, array): (&str, ArrayRef)| {
        (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
    };
    Arc::new(StructArray::from(children.into_iter().map(child).collect::<Vec<_>>()))
}

/// Two rows with about everything.
fn full() -> RecordBatch {
    let mut words = ListBuilder::new(StringBuilder::new());
    words.values().append_value("a");
    words.values().append_null();
    words.append(true);
    words.append(false);
    let category: DictionaryArray<Int32Type> = [Some("car"), Some("house")].into_iter().collect();
    let mut limits = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    limits.keys().append_value("upper");
    limits.values().append_value("7");
    limits.keys().append_value("low");
    limits.values().append_value("1");
    limits.append(true).unwrap();
    limits.append(false).unwrap();
    table(vec![
        ("time", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_000_000_000_001), None]))),
        ("inputs.amount", Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        ("inputs.age", Arc::new(Int64Array::from(vec![41, -2]))),
        ("inputs.purpose", Arc::new(category)),
        ("inputs.words", Arc::new(words.finish())),
        (
            "inputs.address",
            structure(vec![
                ("street", texts(&[Some("Elm"), None])),
                ("no", Arc::new(Int64Array::from(vec![7, 8]))),
            ]),
        ),
        ("outputs.ok", Arc::new(BooleanArray::from(vec![true, false]))),
        ("subject", texts(&[Some("applicant-7"), None])),
        ("tags.channel", texts(&[Some("web"), None])),
        ("tags.b", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("params", Arc::new(limits.finish())),
        ("status", texts(&[None, Some("TimeoutError")])),
        ("trace", Arc::new(FixedSizeBinaryArray::try_from_iter([[7_u8; 16], [9; 16]].into_iter()).unwrap())),
        ("duration_ns", Arc::new(DurationMillisecondArray::from(vec![Some(81), None]))),
        ("version", texts(&[None, Some("2")])),
    ])
}

const FULL_AS_JSON: &str = r#"[
{"model": {"name": "credit", "version": "1"}, "time": 1500000000000000001, "params": {"low": "1", "upper": "7"},
 "inputs": {"amount": 1.5, "age": 41, "purpose": {"$typed": {"type": "category", "value": "car"}}, "words": ["a", null],
            "address": {"street": "Elm", "no": 7}},
 "outputs": {"ok": true}, "subject": "applicant-7", "tags": {"channel": "web", "b": 1}, "duration_ns": 81000000,
 "trace": "07070707070707070707070707070707"},
{"model": {"name": "credit", "version": "2"},
 "inputs": {"amount": {"$typed": {"type": "f64", "value": null}}, "age": -2, "purpose": {"$typed": {"type": "category", "value": "house"}},
            "words": {"$typed": {"type": "list", "value": null}}, "address": {"street": null, "no": 8}},
 "outputs": {"ok": false}, "status": "TimeoutError", "trace": "09090909090909090909090909090909"}]"#;

#[track_caller]
fn same(drafts: &[Draft], json: &str) {
    let other =
        body::drafts(&Form::Json, json.as_bytes(), &mut DraftReader::new(false), AT).expect("records");
    assert_eq!(drafts.len(), other.len());
    for (draft, other) in drafts.iter().zip(&other) {
        assert_eq!(draft.shape.schema(), other.shape.schema());
        assert_eq!(draft.all_values(), other.all_values());
        assert_eq!((draft.kind, &draft.class), (other.kind, &other.class));
    }
}

#[test]
fn a_row_is_the_record_that_json_gives() {
    let packed = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let legacy =
        IpcWriteOptions::try_new(8, true, arrow_ipc::MetadataVersion::V4).expect("the format before 0.15");
    for options in [IpcWriteOptions::default(), packed, legacy] {
        same(&read(&stream_with(&[full()], options)).unwrap(), FULL_AS_JSON);
    }
    // In several batches, each with its own dictionary.
    let batches = [full().slice(0, 1), full().slice(1, 1)];
    same(&read(&stream_with(&batches, IpcWriteOptions::default())).unwrap(), FULL_AS_JSON);
    assert!(read(&stream(&full().slice(0, 0))).unwrap().is_empty());
}

#[test]
fn members_may_be_structures() {
    let inputs = structure(vec![
        ("amount", Arc::new(Float64Array::from(vec![1.5]))),
        ("a.b", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let tags = structure(vec![("channel", texts(&[None]))]);
    let batch = table(vec![("inputs", inputs), ("inputs.more", texts(&[Some("x")])), ("tags", tags)]);
    let json = r#"{"model": {"name": "credit", "version": "1"}, "inputs": {"amount": 1.5, "a.b": 1, "more": "x"},
                   "tags": {"channel": null}}"#;
    same(&read(&stream(&batch)).unwrap(), json);
}

#[test]
fn every_type_has_its_place() {
    let items = || Arc::new(Field::new("item", DataType::Int32, true));
    let fixed = FixedSizeListArray::new(items(), 2, Arc::new(Int32Array::from(vec![1, 2])), None);
    let nothing: DictionaryArray<Int32Type> =
        DictionaryArray::new(Int32Array::from(vec![None]), Arc::new(NullArray::new(0)));
    let cases: Vec<(ArrayRef, &str, Json)> = vec![
        (Arc::new(NullArray::new(1)), "null", json!(null)),
        (Arc::new(nothing), "null", json!(null)),
        (Arc::new(Int8Array::from(vec![-7])), "i8", json!(-7)),
        (Arc::new(Int16Array::from(vec![-700])), "i16", json!(-700)),
        (Arc::new(Int32Array::from(vec![-70_000])), "i32", json!(-70_000)),
        (Arc::new(UInt8Array::from(vec![200])), "u8", json!(200)),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "u64", json!({"$integer": "18446744073709551615"})),
        (Arc::new(Float16Array::from(vec![half(1.5)])), "f16", json!(1.5)),
        (Arc::new(Float16Array::from(vec![half(f32::NAN)])), "f16", json!({"$float": "NaN"})),
        (Arc::new(Float32Array::from(vec![0.1])), "f32", json!(0.1)),
        (Arc::new(LargeStringArray::from(vec!["large"])), "text", json!("large")),
        (Arc::new(StringViewArray::from(vec!["short"])), "text", json!("short")),
        (
            Arc::new(StringViewArray::from(vec!["more than twelve bytes"])),
            "text",
            json!("more than twelve bytes"),
        ),
        (Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]])), "bytes", json!({"$bytes": "AP8="})),
        (Arc::new(Date32Array::from(vec![1])), "date", json!({"$date": "1970-01-02"})),
        (Arc::new(Date64Array::from(vec![-86_400_000])), "date", json!({"$date": "1969-12-31"})),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![-1])),
            "datetime",
            json!({"$datetime": "1969-12-31T23:59:59.999999"}),
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("Europe/Vienna")),
            "timestamp/Europe/Vienna",
            json!({"$timestamp": "1970-01-01T00:00:00.000001Z"}),
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("+01:00")),
            "timestamp",
            json!({"$timestamp": "1970-01-01T00:00:00.000001Z"}),
        ),
        (Arc::new(DurationMillisecondArray::from(vec![-500])), "duration", json!({"$duration": "-PT0.5S"})),
        (Arc::new(decimal(1_250, 2)), "decimal", json!({"$decimal": "12.50"})),
        (
            Arc::new(Decimal256Array::from(vec![i256::from(-5)]).with_precision_and_scale(40, 1).unwrap()),
            "decimal",
            json!({"$decimal": "-0.5"}),
        ),
        (Arc::new(fixed), "list", json!([1, 2])),
    ];
    for (array, name, value) in cases {
        let what = array.data_type().to_string();
        let drafts = read(&stream(&table(vec![("inputs.x", array)]))).expect(&what);
        let value = json!({"$typed": {"type": name, "value": value}});
        let json = json!({"model": {"name": "credit", "version": "1"}, "inputs": {"x": value}});
        same(&drafts, &json.to_string());
    }
}

fn half(value: f32) -> <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native {
    <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native::from_f32(value)
}

fn decimal(mantissa: i128, scale: i8) -> Decimal128Array {
    Decimal128Array::from(vec![mantissa]).with_precision_and_scale(38, scale).unwrap()
}

#[test]
fn what_has_no_place_is_told_by_its_column() {
    let ok = || -> ArrayRef { Arc::new(Int64Array::from(vec![1])) };
    let cases: [(&str, ArrayRef, &str); 8] = [
        ("inputs.t", Arc::new(Time32SecondArray::from(vec![1])), "`Time` has no place in a record"),
        ("inputs.deep", structure(vec![("t", Arc::new(Time32SecondArray::from(vec![1])))]), "deep.t"),
        ("id", texts(&[Some("x")]), "reimport=true"),
        ("weight", ok(), "the trail gives this itself"),
        ("outcome.label", ok(), "the trail gives this itself"),
        ("amount", ok(), "no such column of a record"),
        ("inputs", ok(), "a column of structures is asked for"),
        ("tags", ok(), "structures or maps"),
    ];
    for (name, array, expected) in cases {
        let problem = read(&stream(&table(vec![("inputs.x", ok()), (name, array)]))).unwrap_err();
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(400), &json!("wrong-records")),
            "{problem}"
        );
        let wrong = &problem["errors"][0];
        assert!(wrong["column"].as_str().unwrap().starts_with(name), "{problem}");
        assert!(problem.to_string().contains(expected), "{name}: {problem}");
    }
    let twice = table(vec![("inputs.x", ok()), ("model", texts(&[None])), ("model", texts(&[None]))]);
    assert!(read(&stream(&twice)).unwrap_err().to_string().contains("is there twice"));
}

#[test]
fn what_is_wrong_in_a_row_is_told_by_its_place_and_never_by_its_value() {
    let x = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let cases: Vec<(&str, ArrayRef, u64, &str)> = vec![
        ("kind", texts(&[None, Some("review")]), 1, "a row is a decision"),
        ("artifact", texts(&[Some("Jane"), None]), 0, "artifact"),
        ("time", texts(&[None, Some("Jane")]), 1, "time"),
        ("subject", Arc::new(Int64Array::from(vec![None, Some(7)])), 1, "subject"),
        ("inputs.d", Arc::new(Date64Array::from(vec![0, 1])), 1, "no whole day"),
        ("explanation.method", texts(&[None, Some("Jane")]), 1, "does not hold this part"),
        ("batch.row", Arc::new(Int64Array::from(vec![None, Some(1)])), 1, "call"),
        ("class", texts(&[None, Some("system")]), 1, "system"),
    ];
    for (name, array, row, expected) in cases {
        let problem = read(&stream(&table(vec![("inputs.x", x()), (name, array)]))).unwrap_err();
        assert_eq!(problem["errors"][0]["row"], row, "{problem}");
        assert!(problem["errors"][0].to_string().contains(expected), "{problem}");
        assert!(!problem.to_string().contains("Jane"), "{problem}");
    }
    let batch = table(vec![("inputs.d", Arc::new(decimal(i128::MAX / 4, 2)))]);
    assert!(read(&stream(&batch)).unwrap_err().to_string().contains("at most 64 bits"));
    let none = read_as(Defaults::default(), &stream(&table(vec![("inputs.x", x())]))).unwrap_err();
    assert_eq!(none["errors"][0]["what"], "member `model` is missing", "{none}");
}

#[test]
fn what_a_search_gives_out_can_come_in_again() {
    let answer = table(vec![
        ("id", texts(&[Some("01a1fe46-1c29-78d1-a752-817a0b5f44f5")])),
        ("time", Arc::new(TimestampNanosecondArray::from(vec![5]).with_timezone("UTC"))),
        ("kind", texts(&[Some("decision")])),
        ("model", texts(&[Some("other")])),
        ("version", texts(&[Some("3")])),
        ("artifact", texts(&[Some("9f".repeat(32).as_str())])),
        ("subjects", {
            let mut several = ListBuilder::new(StringBuilder::new());
            several.values().append_value("ann");
            several.values().append_value("bob");
            several.append(true);
            Arc::new(several.finish())
        }),
        ("subject", texts(&[None])),
        ("kept.rule", texts(&[Some("half")])),
        ("kept.rate", Arc::new(Float64Array::from(vec![0.5]))),
        ("weight", Arc::new(Float64Array::from(vec![2.0]))),
        ("batch.call", texts(&[Some("07".repeat(16).as_str())])),
        ("batch.row", Arc::new(Int64Array::from(vec![1]))),
        ("readable", Arc::new(BooleanArray::from(vec![true]))),
        ("attributions.x", Arc::new(Float64Array::from(vec![None]))),
        ("review.by", texts(&[Some("j.doe")])),
        ("inputs.x", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let again = Defaults { reimport: true, ..credit() };
    let json = json!({
        "time": 5, "model": {"name": "other", "version": "3", "artifact": format!("sha256:{}", "9f".repeat(32))},
        "inputs": {"x": 1}, "subject": ["ann", "bob"], "kept": {"rule": "half", "rate": 0.5},
    });
    same(&read_as(again, &stream(&answer)).unwrap(), &json.to_string());
}

/// Whatever comes, it is refused or read; nothing is asked for that the bytes do not have.
fn survives(body: &[u8], what: &str) -> bool {
    match read(body) {
        Ok(drafts) => {
            assert!(drafts.len() <= RECORDS_MAX, "{what}");
            true
        }
        Err(problem) => {
            assert!(problem["status"] == 400 || problem["status"] == 413, "{what}: {problem}");
            false
        }
    }
}

#[test]
fn cut_and_broken_streams_are_refused_and_never_panic() {
    let packed = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    for options in [IpcWriteOptions::default(), packed] {
        let whole = stream_with(&[full(), full()], options);
        assert!(survives(&whole, "whole"));
        for cut in 0..whole.len() {
            assert!(!survives(&whole[..cut], &format!("cut at {cut}")), "cut at {cut}");
        }
        let mut broken = whole.clone();
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff, whole[at], 0x7f ^ whole[at]] {
                broken[at] ^= change;
                survives(&broken, &format!("byte {at} ^ {change}"));
                broken[at] = whole[at];
            }
        }
        let more = [whole.as_slice(), b"more"].concat();
        assert!(!survives(&more, "bytes behind its end"));
    }
}

#[test]
fn lengths_that_are_not_true_take_no_memory() {
    // Rows without a column.
    let options = RecordBatchOptions::new().with_row_count(Some(usize::MAX >> 1));
    let empty = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    assert_eq!(read(&stream(&empty)).unwrap_err()["status"], 413);
    let nothing = table(vec![("inputs.x", Arc::new(NullArray::new(1 << 40)))]);
    assert_eq!(read(&stream(&nothing)).unwrap_err()["status"], 413);
    // A list of two thousand million missing values takes eight bytes.
    let item = Arc::new(Field::new("item", DataType::Null, true));
    let many = FixedSizeListArray::new(item, i32::MAX, Arc::new(NullArray::new(i32::MAX as usize)), None);
    let problem = read(&stream(&table(vec![("inputs.x", Arc::new(many))]))).unwrap_err();
    assert!(problem.to_string().contains("the values of a record take at most"), "{problem}");
    // A long label in each of many rows.
    let label = "x".repeat(1 << 16);
    let labels: DictionaryArray<Int32Type> = (0..40_000).map(|_| Some(label.as_str())).collect();
    let problem = read(&stream(&table(vec![("inputs.x", Arc::new(labels))]))).unwrap_err();
    assert_eq!(problem["status"], 413, "{problem}");
    // A message that says it is longer than all there is.
    for claims in [[0xff, 0xff, 0xff, 0x7f], [0xfe, 0xff, 0xff, 0xff]] {
        let body = [&[0xff; 4][..], &claims, &[0; 64]].concat();
        assert_eq!(read(&body).unwrap_err()["status"], 400);
    }
}

#[test]
fn packed_buffers_are_unpacked_up_to_their_bound() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 40_000]));
    let columns = (0..120).map(|at| (format!("inputs.{at}"), Arc::clone(&zeros))).collect::<Vec<_>>();
    let batch = table(columns.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect());
    let packed = |codec| IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let body = stream_with(&[batch], packed(CompressionType::ZSTD));
    assert!(body.len() < 1 << 20, "{} bytes", body.len());
    assert_eq!(read(&body).unwrap_err()["status"], 413);
    let problem = read(&stream_with(&[full()], packed(CompressionType::LZ4_FRAME))).unwrap_err();
    assert!(problem.to_string().contains("LZ4") && problem["status"] == 400, "{problem}");
}
