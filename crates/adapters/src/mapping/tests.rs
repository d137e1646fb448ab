use super::*;

const FILE: &str = r#"
[[call]]
path = "/score/{model}"
model = { path = "model" }
version = { answer = "/meta/version" }
inputs = "/features"
outputs = { score = "/score", reason = "/why/0" }
params = { threshold = "/threshold" }
subject = { header = "X-Applicant" }
class = "long"

[[call]]
path = "/batch"
method = "put"
model = "credit"
version = "7"
rows = "/people"
answer_rows = "/results"
inputs = { age = "/age", "a/b" = "/a~1b" }
outputs = ""
subject = { request = "/id" }
"#;

fn json(row: &Row) -> String {
    serde_json::to_string(&Tree::Object(row.clone())).unwrap()
}

fn read(method: &str, path: &str, request: &str, answer: Option<&str>) -> Read {
    let mapping = Mapping::parse(FILE).unwrap();
    let header = |name: &str| (name == "x-applicant").then(|| "applicant-7".to_owned());
    let around = Around { path, header: &header };
    mapping.find(method, path).unwrap().read(around, request.as_bytes(), answer.map(str::as_bytes)).unwrap()
}

#[test]
fn parts_are_found_where_the_file_says() {
    let answer = r#"{"score": 0.5, "why": ["old"], "meta": {"version": 3}}"#;
    let found = read(
        "POST",
        "/score/credit",
        r#"{"features": {"a": 1}, "threshold": 0.2, "key": "k"}"#,
        Some(answer),
    );
    assert_eq!(found.exchange.model.as_deref(), Some("credit"));
    assert_eq!(found.version, Some(Version::known("3", VersionFrom::Answer)));
    assert_eq!(json(&found.exchange.inputs.row(0)), r#"{"a":1}"#);
    assert_eq!(json(&found.exchange.params), r#"{"threshold":0.2}"#);
    assert_eq!(json(&found.exchange.outputs.unwrap().row(0)), r#"{"reason":"old","score":0.5}"#);
    assert_eq!(found.subjects, [Some("applicant-7".to_owned())]);
}

#[test]
fn rows_have_inputs_outputs_and_a_subject_each() {
    let request = r#"{"people": [{"age": 40, "id": "p-1", "a/b": 1}, {"age": 50, "id": "p-2"}]}"#;
    let found = read("PUT", "/batch", request, Some(r#"{"results": [{"yes": true}, 7]}"#));
    let row =
        |at| (json(&found.exchange.inputs.row(at)), json(&found.exchange.outputs.as_ref().unwrap().row(at)));
    assert_eq!(row(0), (r#"{"a/b":1,"age":40}"#.into(), r#"{"yes":true}"#.into()));
    assert_eq!(row(1), (r#"{"age":50}"#.into(), r#"{"value":7}"#.into()));
    assert_eq!(found.subjects, [Some("p-1".to_owned()), Some("p-2".to_owned())]);
    assert_eq!(found.version, Some(Version::known("7", VersionFrom::Settings)));
    let other = read("PUT", "/batch", request, Some(r#"{"results": []}"#));
    assert_eq!(json(&other.exchange.outputs.unwrap().row(0)), r#"{"results":[]}"#);
}

#[test]
fn only_the_calls_of_the_file_are_found() {
    let mapping = Mapping::parse(FILE).unwrap();
    assert!(
        mapping
            .find("POST", "/score/credit")
            .is_some_and(|call| call.class() == Some("long") && !call.has_rows())
    );
    for (method, path) in [
        ("GET", "/score/credit"),
        ("POST", "/score/"),
        ("POST", "/score/a/b"),
        ("POST", "/score"),
        ("POST", "/batch"),
    ] {
        assert!(mapping.find(method, path).is_none(), "{method} {path}");
    }
}

#[test]
fn a_file_that_is_wrong_is_refused_where_it_is() {
    let refused = |text: &str| Mapping::parse(text).unwrap_err();
    let call = |more: &str| {
        format!("[[call]]\npath = \"/p\"\nmodel = \"m\"\ninputs = \"/i\"\noutputs = \"/o\"\n{more}")
    };
    assert!(Mapping::parse(&call("")).is_ok());
    assert!(refused(&call("input = \"/x\"")).contains("unknown field `input`"));
    assert_eq!(
        refused(&call("rows = \"x\"")),
        "call 0, from 0: `x` is no JSON pointer: it begins with `/`, or is empty for the whole"
    );
    assert!(refused(&call("answer_rows = \"/x\"")).contains("without `rows`"));
    assert!(refused(&call("subject = {request = \"/a\", path = \"b\"}")).contains("has one of `request`"));
    assert!(refused(&call("subject = {path = \"b\"}")).contains("has no part `{b}`"));
    assert_eq!(
        refused(&call("class = \"system\"")),
        "call 0, from 0: the class `system` is the engine's own"
    );
    assert!(refused(&call("class = \"A b\"")).contains("`class`: "));
    assert!(refused(&call("").replace("/p", "/p{x}")).contains("braces are around a whole segment"));
}

#[test]
fn pointers_as_the_standard_says() {
    let tree = Tree::parse(br#"{"": 1, "a": [10, {"m~n": 2, "x/y": 3}], "01": 4}"#).unwrap();
    for (pointer, expected) in
        [("/", "1"), ("/a/0", "10"), ("/a/1/m~0n", "2"), ("/a/1/x~1y", "3"), ("/01", "4")]
    {
        assert_eq!(at(&tree, pointer).and_then(plain).as_deref(), Some(expected), "{pointer}");
    }
    for pointer in ["/a/00", "/a/-", "/a/2", "/a/+1", "/b", "/a/0/x"] {
        assert!(at(&tree, pointer).is_none(), "{pointer}");
    }
}
