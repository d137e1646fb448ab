use std::io::Write;

use super::*;

const GOOD: &str =
    r#"{"model": {"name": "m", "version": "1"}, "inputs": {"amount": 1.5}, "outputs": {"ok": true}}"#;
const AT: ReadAt = ReadAt { time_ns: 1_700_000_000_000_000_000, clock_error_ns: None };

const LINES: Form = Form::Lines { first: 1 };

fn read(form: Form, body: impl AsRef<[u8]>) -> Result<Vec<Draft>, Value> {
    let drafts = drafts(&form, body.as_ref(), &mut DraftReader::new(false), AT);
    drafts.map_err(|problem| json!(problem))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn both_forms_give_the_same_records() {
    let one = read(Form::Json, GOOD).unwrap();
    let array = read(Form::Json, format!("[\n{GOOD},\n{GOOD}]\n")).unwrap();
    let lines = read(LINES, format!("\u{feff}{GOOD}\r\n\n{GOOD}")).unwrap();
    assert_eq!((one.len(), array.len(), lines.len()), (1, 2, 2));
    for draft in array.iter().chain(&lines) {
        assert_eq!(draft.all_values(), one[0].all_values());
    }
    assert_eq!(read(LINES, "").unwrap().len(), 0);
    assert_eq!(read(Form::Json, "[]").unwrap().len(), 0);
}

#[test]
fn what_is_wrong_is_told_by_its_place_and_never_by_its_value() {
    let body =
        format!("{GOOD}\n{{\"inputs\": {{}}}}\n{{\"subject\": \"Jane Roe\" oops\n{GOOD}\n\"\u{fffd}\"");
    let problem = read(LINES, body.replace('\u{fffd}', "Jane")).unwrap_err();
    let lines: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|wrong| wrong["line"].clone()).collect();
    assert_eq!(lines, [2, 3, 5]);
    assert!(problem["detail"].as_str().unwrap().contains("nothing was recorded: line 2"), "{problem}");
    assert!(!problem.to_string().contains("Jane"), "{problem}");

    let item = read(Form::Json, format!(r#"[{GOOD}, {{"model": "Jane", "inputs": {{}}}}]"#)).unwrap_err();
    assert_eq!((&item["errors"][0]["item"], &item["errors"][0]["path"]), (&json!(1), &json!("model")));
    for (body, place) in [
        (&b"[1,\n2,\n\xff]"[..], "not UTF-8, at line 3"),
        (b"{\n\"Jane\" 1}", "not JSON, at line 2"),
        (b"", "not JSON, at line 1"),
    ] {
        let problem = read(Form::Json, body).unwrap_err();
        assert_eq!(problem["status"], 400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(place) && !detail.contains("Jane"), "{detail}");
    }
    assert_eq!(read(Form::Json, "\"Jane\"").unwrap_err()["status"], 400);
    assert!(read(LINES, b"\n\xff\n").unwrap_err()["errors"][0]["line"] == 2);
}

#[test]
fn what_is_wrong_is_told_up_to_a_bound() {
    let problem = read(LINES, "x\n".repeat(WRONG_TOLD * 3)).unwrap_err();
    assert_eq!(problem["errors"].as_array().unwrap().len(), WRONG_TOLD);
}

#[test]
fn records_are_bounded_in_number() {
    let line = "{\"kind\": \"outcome\", \"outcome\": {\"x\": 1}}\n";
    assert_eq!(read(LINES, line.repeat(RECORDS_MAX)).unwrap().len(), RECORDS_MAX);
    assert_eq!(read(LINES, line.repeat(RECORDS_MAX + 1)).unwrap_err()["status"], 413);
}

#[test]
fn packed_bodies_are_unpacked_up_to_their_bound() {
    let fits = |encoding: Encoding, body: &[u8]| {
        encoding.unpack(body).map(Cow::into_owned).map_err(|problem| json!(problem)["status"].clone())
    };
    let text = GOOD.repeat(100);
    let two = [gzip(text.as_bytes()), gzip(b"more")].concat();
    assert_eq!(fits(Encoding::Gzip, &gzip(text.as_bytes())).unwrap(), text.as_bytes());
    assert_eq!(fits(Encoding::Gzip, &two).unwrap(), [text.as_bytes(), b"more"].concat());
    assert_eq!(
        fits(Encoding::Zstd, &zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap(),
        text.as_bytes()
    );
    assert_eq!(fits(Encoding::Plain, text.as_bytes()).unwrap(), text.as_bytes());

    let bomb = vec![b' '; RECORDS_BYTES_MAX + 1];
    let most = &bomb[..RECORDS_BYTES_MAX];
    for (encoding, bomb, most) in [
        (Encoding::Gzip, gzip(&bomb), gzip(most)),
        (Encoding::Zstd, zstd::encode_all(&bomb[..], 1).unwrap(), zstd::encode_all(most, 1).unwrap()),
    ] {
        assert!(bomb.len() < 1 << 20);
        assert_eq!(fits(encoding, &bomb), Err(json!(413)));
        assert_eq!(fits(encoding, &most).unwrap().len(), RECORDS_BYTES_MAX);
        assert_eq!(fits(encoding, &bomb[..bomb.len() / 2]), Err(json!(400)), "cut short");
        assert_eq!(fits(encoding, b"plain text"), Err(json!(400)));
    }
    // A window of 2^27 bytes, as `zstd --long` uses.
    let mut long = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    long.window_log(27).unwrap();
    long.write_all(most).unwrap();
    assert_eq!(fits(Encoding::Zstd, &long.finish().unwrap()), Err(json!(400)));
}
