use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    FloatType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use minutebook_present::json::{DraftReader, Printer, ReadAt};
use minutebook_present::opened::of_draft;

type Found = std::result::Result<Json, String>;

const AT: ReadAt = ReadAt { time_ns: 0, clock_error_ns: None };

fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn mapping(toml: &str) -> Mapping {
    toml::from_str(&format!("model = \"m\"\nmodel-version = \"1\"\n{toml}")).unwrap()
}

/// The members of each row's record, or what is wrong with it.
fn records(plan: &Plan, rows: &mut dyn Rows) -> Vec<Found> {
    if let Some(columns) = rows.columns() {
        plan.check_columns(columns).unwrap_or_else(|failure| panic!("{failure}"));
    }
    let mut reader = DraftReader::new(false);
    let mut all = Vec::new();
    while let Some((number, row)) = rows.next().unwrap_or_else(|failure| panic!("{failure}")) {
        let draft = row.and_then(|row| plan.record(row)).and_then(|record| reader.draft(&record, AT));
        all.push(match draft {
            Ok(draft) => Ok(Printer::default().record(&of_draft(&draft))),
            Err(problem) => Err(format!("row {number}: {problem}")),
        });
    }
    all
}

fn csv(content: &str, map: &str) -> Vec<Found> {
    let (_folder, path) = file("x.csv", content);
    let plan = Plan::new(mapping(map)).unwrap_or_else(|failure| panic!("{failure}"));
    let mut rows = CsvFile::open(&path, b',', &plan).unwrap_or_else(|failure| panic!("{failure}"));
    records(&plan, &mut rows)
}

fn inputs(records: &[Found]) -> Vec<Json> {
    records.iter().map(|record| record.as_ref().unwrap()["inputs"].clone()).collect()
}

fn typed(name: &str, value: Json) -> Json {
    json!({"$typed": {"type": name, "value": value}})
}

fn null_of(name: &str) -> Json {
    typed(name, Json::Null)
}

#[test]
fn a_column_of_csv_has_one_type_in_all_rows() {
    let found = csv(
        "int,float,bool,text,zero,mixed,none\n1,1,true,a,007,1,\n-2,2.5,False,,12,x,\n,,,\"b, c\",0,true,\n",
        "",
    );
    assert_eq!(
        inputs(&found),
        [
            json!({"int": 1, "float": 1.0, "bool": true, "text": "a", "zero": "007", "mixed": "1", "none": null}),
            json!({"int": -2, "float": 2.5, "bool": false, "text": null_of("text"), "zero": "12", "mixed": "x",
                   "none": null}),
            json!({"int": null_of("i64"), "float": null_of("f64"), "bool": null_of("bool"),
                   "text": "b, c", "zero": "0", "mixed": "true", "none": null}),
        ]
    );
}

#[test]
fn numbers_beyond_64_bits_and_odd_floats_of_csv_stay_what_is_written() {
    let found = csv("a,b,c,d\n9223372036854775808,1e5,NaN,+1\n1,.5,inf,1_000\n", "");
    assert_eq!(
        inputs(&found),
        [
            json!({"a": "9223372036854775808", "b": 1e5, "c": {"$float": "NaN"}, "d": "+1"}),
            json!({"a": "1", "b": 0.5, "c": {"$float": "Infinity"}, "d": "1_000"}),
        ]
    );
}

#[test]
fn types_of_csv_can_be_declared() {
    let found = csv(
        "a,b,c,d,e\n7,0.1,red,12.50,2026-11-21\n,,,,\n300,x,blue,1,1\n",
        "[types]\na = \"u8\"\nb = \"f32\"\nc = \"category\"\nd = \"decimal\"\ne = \"date\"\n",
    );
    assert_eq!(
        found[0].as_ref().unwrap()["inputs"],
        json!({"a": typed("u8", json!(7)), "b": typed("f32", json!(0.1)), "c": typed("category", json!("red")),
               "d": {"$decimal": "12.50"}, "e": {"$date": "2026-11-21"}})
    );
    let empty = &found[1].as_ref().unwrap()["inputs"];
    assert_eq!((&empty["a"], &empty["c"]), (&null_of("u8"), &typed("category", json!(""))));
    assert_eq!(found[2], Err("row 3: `b`: not a number".into()));
    let found = csv("a\n300\n", "[types]\na = \"u8\"\n");
    let expected =
        "row 1: `inputs.a.$typed.value`: the value is not of its type: an integer of this type out of range";
    assert_eq!(found, [Err(expected.into())]);
}

#[test]
fn columns_go_where_the_mapping_says() {
    let found = csv(
        "id,when,age,shap_age,base,approve,threshold,channel,version,extra,state\n\
         0017,2026-11-21 10:30:00,31,-0.25,0.5,true,0.5,web,1.10,x,ok\n",
        "subject = \"id\"\ntime = \"when\"\ntime-zone = \"Europe/Berlin\"\noutputs = [\"approve\"]\n\
         params = [\"threshold\"]\n\
         tags = [\"channel\"]\nactor = \"version\"\nignore = [\"extra\"]\nstatus = \"state\"\n\
         explanation-prefix = \"shap_\"\nexplanation-method = \"shap\"\nexplanation-base = \"base\"\n\
         class = \"long\"\n",
    );
    let mut record = found[0].clone().unwrap();
    for added in ["id", "seq", "producer", "epoch", "sealed", "readable"] {
        record.as_object_mut().unwrap().remove(added);
    }
    assert_eq!(
        record,
        json!({
            "kind": "decision", "class": "long",
            "model": {"name": "m", "version": "1", "artifact": null},
            "params": {"threshold": 0.5}, "inputs": {"age": 31}, "outputs": {"approve": true},
            "explanation": {"method": "shap", "library": "", "base": 0.5, "attributions": {"age": -0.25}},
            "subject": "0017", "actor": "1.10", "time": "2026-11-21T09:30:00Z", "status": "ok",
            "tags": {"channel": "web"},
        })
    );
}

#[test]
fn times_are_exact_and_have_a_zone() {
    for (written, map, expected) in [
        ("2026-11-21T09:30:00+01:00", "", Ok("2026-11-21T08:30:00Z")),
        ("1795253400", "time-format = \"s\"", Ok("2026-11-21T09:30:00Z")),
        ("1795253400.123456789", "time-format = \"s\"", Ok("2026-11-21T09:30:00.123456789Z")),
        ("1795253400123", "time-format = \"ms\"", Ok("2026-11-21T09:30:00.123Z")),
        ("1795253400123456", "time-format = \"us\"", Ok("2026-11-21T09:30:00.123456Z")),
        ("1795253400123456789", "time-format = \"ns\"", Ok("2026-11-21T09:30:00.123456789Z")),
        ("-0.5", "time-format = \"s\"", Ok("1969-12-31T23:59:59.5Z")),
        ("2026-11-21 09:30:00", "", Err("row 1: `t`: not a time with an offset")),
        ("2026-11-21 09:30:00", "time-zone = \"UTC\"", Ok("2026-11-21T09:30:00Z")),
        ("1795253400", "", Err("row 1: `t`: not a time with an offset")),
        (
            "soon",
            "time-format = \"s\"",
            Err("row 1: `t`: not a number of seconds or parts of them since 1970"),
        ),
        ("", "", Err("row 1: `t`: the time is missing")),
        (
            "99999999999999",
            "time-format = \"s\"",
            Err("row 1: `t`: not a number of seconds or parts of them since 1970"),
        ),
    ] {
        let found = csv(&format!("t,x\n{written},1\n"), &format!("time = \"t\"\n{map}\n"));
        let time = found[0].as_ref().map(|record| record["time"].as_str().unwrap()).map_err(String::as_str);
        assert_eq!(time, expected, "{written} {map}");
    }
}

#[test]
fn a_row_that_is_wrong_is_told_with_its_number_and_without_its_cells() {
    let found = csv("a,b\n1,2\n3\nsecret,4,5\n6,7\n", "");
    let expected = "row 2: it has 1 cells, and the first row has 2";
    assert_eq!(found[1], Err(expected.into()));
    assert_eq!(found[2], Err("row 3: it has 3 cells, and the first row has 2".into()));
    assert_eq!(inputs(&found[3..]), [json!({"a": 6, "b": 7})]);
}

#[test]
fn a_mapping_that_does_not_fit_is_refused() {
    let plan = |map: &str| Plan::new(mapping(map));
    let failure = plan("inputs = [\"a\"]\noutputs = [\"a\"]").err().unwrap();
    assert!(failure.to_string().contains("column `a` is given two meanings"), "{failure}");
    let failure = plan("time-zone = \"Nowhere\"").err().unwrap();
    assert!(failure.to_string().contains("no time zone `Nowhere`"), "{failure}");
    let columns = [ColumnType { name: "a".into(), field_type: "i64".into() }];
    let failure = plan("subject = \"b\"").unwrap().check_columns(&columns).unwrap_err();
    assert!(failure.to_string().contains("the file has no column `b`"), "{failure}");
    assert!(toml::from_str::<Mapping>("input = [\"a\"]").is_err(), "an unknown name");
    assert!(toml::from_str::<Mapping>("[types]\na = \"i128\"").is_err(), "an unknown type");

    let (_folder, path) = file("x.csv", "a,a\n1,2\n");
    let failure = CsvFile::open(&path, b',', &plan("").unwrap()).err().unwrap();
    assert!(failure.to_string().contains("two columns are called `a`"), "{failure}");
    let (_folder, path) = file("x.parquet", "PAR1 but not really");
    assert!(ParquetFile::open(&path).is_err());
}

#[test]
fn lines_of_json_are_rows() {
    let (_folder, path) = file(
        "x.jsonl",
        "{\"a\": 1, \"d\": {\"$date\": \"2026-11-21\"}}\n\n{\"b\": [1, \"x\"]}\n[]\n{\"a\" 1}\n",
    );
    let plan = Plan::new(mapping("")).unwrap();
    let found = records(&plan, &mut JsonLines::open(&path).unwrap());
    assert_eq!(inputs(&found[..2]), [json!({"a": 1, "d": {"$date": "2026-11-21"}}), json!({"b": [1, "x"]})]);
    assert_eq!(found[2], Err("row 4: not an object".into()));
    assert_eq!(found[3], Err("row 5: not JSON: expected `:` at column 6".into()));
}

/// A Parquet file of two rows, the second one empty where it may be.
fn parquet_file(path: &std::path::Path) {
    let schema = "message rows {
        REQUIRED INT64 plain;
        OPTIONAL INT32 small (INTEGER(8, false));
        OPTIONAL FLOAT single;
        OPTIONAL DOUBLE double;
        OPTIONAL BOOLEAN flag;
        OPTIONAL BYTE_ARRAY text (UTF8);
        OPTIONAL BYTE_ARRAY raw;
        OPTIONAL INT32 day (DATE);
        OPTIONAL INT64 instant (TIMESTAMP(NANOS, true));
        OPTIONAL INT64 local (TIMESTAMP(MICROS, false));
        OPTIONAL FIXED_LEN_BYTE_ARRAY (3) price (DECIMAL(6, 2));
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(path).unwrap();
    let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut required = group.next_column().unwrap().unwrap();
    required.typed::<Int64Type>().write_batch(&[7, 8], None, None).unwrap();
    required.close().unwrap();
    let mut optional = OptionalColumns(&mut group);
    optional.write::<Int32Type>(200);
    optional.write::<FloatType>(0.1);
    optional.write::<DoubleType>(0.1);
    optional.write::<BoolType>(true);
    optional.write::<ByteArrayType>(ByteArray::from("t"));
    optional.write::<ByteArrayType>(ByteArray::from(vec![1, 2]));
    optional.write::<Int32Type>(-1);
    optional.write::<Int64Type>(1_795_253_400_123_456_789);
    optional.write::<Int64Type>(1_795_253_400_123_456);
    optional.write::<FixedLenByteArrayType>(FixedLenByteArray::from(vec![0xff, 0xff, 0x85]));
    group.close().unwrap();
    writer.close().unwrap();
}

struct OptionalColumns<'g, 'f>(&'g mut parquet::file::writer::SerializedRowGroupWriter<'f, File>);

impl OptionalColumns<'_, '_> {
    fn write<T: DataType>(&mut self, value: T::T) {
        let mut column = self.0.next_column().unwrap().unwrap();
        column.typed::<T>().write_batch(&[value], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
    }
}

#[test]
fn parquet_keeps_its_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    parquet_file(&path);
    let plan = Plan::new(mapping("")).unwrap();
    let mut rows = ParquetFile::open(&path).unwrap_or_else(|failure| panic!("{failure}"));
    let types: Vec<_> = rows.columns().unwrap().iter().map(|column| column.field_type.clone()).collect();
    assert_eq!(types.join(" "), "i64 u8 f32 f64 bool text bytes date timestamp datetime decimal");
    let found = records(&plan, &mut rows);
    assert_eq!(
        inputs(&found),
        [
            json!({
                "plain": 7, "small": typed("u8", json!(200)), "single": typed("f32", json!(0.1)), "double": 0.1,
                "flag": true,
                "text": "t", "raw": {"$bytes": "AQI="}, "day": {"$date": "1969-12-31"},
                "instant": {"$timestamp": "2026-11-21T09:30:00.123456789Z"},
                "local": {"$datetime": "2026-11-21T09:30:00.123456"}, "price": {"$decimal": "-1.23"},
            }),
            json!({
                "plain": 8, "small": null_of("u8"), "single": null_of("f32"),
                "double": null_of("f64"), "flag": null_of("bool"), "text": null_of("text"),
                "raw": null_of("bytes"), "day": null_of("date"),
                "instant": null_of("timestamp"), "local": null_of("datetime"),
                "price": null_of("decimal"),
            }),
        ]
    );
    let plan = Plan::new(mapping("time = \"instant\"\ninputs = [\"plain\"]")).unwrap();
    let found = records(&plan, &mut ParquetFile::open(&path).unwrap());
    assert_eq!(found[0].as_ref().unwrap()["time"], "2026-11-21T09:30:00.123456789Z");
    assert_eq!(found[1], Err("row 2: `instant`: the time is missing".into()));
}
