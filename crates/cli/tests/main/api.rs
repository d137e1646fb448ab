use serde_json::{Value, json};

use crate::program::{User, ask_with, decision, decisions};

/// An engine process, and the records that were sealed by it.
fn with_records(count: usize) -> (User, Vec<String>) {
    let user = User::new();
    user.engine(&[]);
    let ids = user.record(&decisions(count));
    (user, ids)
}

#[test]
fn it_says_which_engine_it_is() {
    let user = User::new();
    let line = user.engine(&["--idle", "77"]);
    let (status, said) = user.ask("GET", "/v1/engine", "");
    assert_eq!(status, 200);
    for member in ["trail", "pid", "version"] {
        assert_eq!(said[member], line[member], "{member}");
    }
    assert_eq!(said["idle_after_s"], 77);
    assert_eq!(said["folder"], json!(user.path("trail").canonicalize().unwrap()));
    assert!(said["name"].as_str().unwrap().starts_with("minutebook.invalid/"));
    assert!(said["started"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn it_says_how_it_goes() {
    let (user, _) = with_records(3);
    let mut producer = user.start(["record", "--no-seal", "--producer", "shop", "--ack", "process"]);
    producer.write(&(decision(1) + "\n"));
    producer.wait_for_lines(1);
    let (status, said) = user.ask("GET", "/v1/status", "");
    assert_eq!(status, 200);
    assert!(said["records_sealed"].as_u64().unwrap() >= 3, "{said}");
    assert!(said["segments"].as_u64().unwrap() >= 1 && said["log_size"].as_u64().unwrap() >= 2, "{said}");
    assert!(said["last_sealed"].as_str().unwrap().starts_with("20"), "{said}");
    assert_eq!(said["spool"]["epochs_open"], 1);
    let shop = &said["spool"]["producers"][0];
    assert_eq!((&shop["name"], &shop["epoch"], &shop["alive"]), (&json!("shop"), &json!(1), &json!(true)));
    assert_eq!(shop["drawn"]["standard"], 1);
    assert_eq!(shop["lost"], json!({}));
    assert!(shop["pid"].as_u64().unwrap() > 0 && said["spool"]["bytes"].as_u64().unwrap() > 0, "{said}");
    assert_eq!((&said["error"], &said["witnessed"]), (&Value::Null, &Value::Null));
    producer.finish().ends(0);
}

#[test]
fn it_seals_what_was_handed_over_before_the_request() {
    let (user, _) = with_records(1);
    let mut producer = user.start(["record", "--no-seal", "--ack", "process"]);
    for number in 1..=5 {
        producer.write(&(decision(number) + "\n"));
        let id = producer.wait_for_lines(number).remove(number - 1);
        let (status, sealed) = user.ask("POST", "/v1/seal", r#"{"level": "sealed"}"#);
        assert_eq!(status, 200);
        assert_eq!(user.run(["show", &id, "--json"]).ends(0).json()[0]["id"], json!(id));
        let (_, now) = user.ask("GET", "/v1/status", "");
        assert!(now["log_size"].as_u64() >= sealed["log_size"].as_u64(), "{sealed} {now}");
    }
    producer.finish().ends(0);
    let (status, problem) = user.ask("POST", "/v1/seal", r#"{"level": "witnessed"}"#);
    assert_eq!((status, &problem["code"], &problem["status"]), (409, &json!("no-witness"), &json!(409)));
    for wrong in [r#"{"level": "carved in stone"}"#, "{", r#"{"depth": 1}"#] {
        let (status, problem) = user.ask("POST", "/v1/seal", wrong);
        assert_eq!((status, &problem["code"]), (400, &json!("bad-request")), "{wrong}");
    }
}

#[test]
fn a_record_is_what_show_prints_and_is_sealed_when_it_was_not() {
    let (user, ids) = with_records(2);
    let path = format!("/v1/records/{}", ids[1]);
    let (status, record) = user.ask("GET", &path, "");
    assert_eq!((status, &record["inputs"]["amount"]), (200, &json!(1.5)));
    let (shown, record) = (user.run(["show", &ids[1], "--json"]).ends(0).json().remove(0), record);
    assert_eq!(without_log_size(shown), without_log_size(record));

    let mut producer = user.start(["record", "--no-seal", "--ack", "process"]);
    producer.write(&(decision(7) + "\n"));
    let id = producer.wait_for_lines(1).remove(0);
    let (status, record) = user.ask("GET", &format!("/v1/records/{id}"), "");
    assert_eq!((status, &record["inputs"]["amount"]), (200, &json!(7.5)));
    producer.finish().ends(0);

    let (status, problem) = user.ask("GET", "/v1/records/0193a1b2-0000-7000-8000-000000000000", "");
    assert_eq!(
        (status, &problem["code"], &problem["title"]),
        (404, &json!("no-such-record"), &json!("No such record"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("0193a1b2-0000-7000-8000-000000000000"));
    let (status, problem) = user.ask("GET", "/v1/records/x", "");
    assert_eq!((status, &problem["code"]), (400, &json!("bad-request")));
}

/// The log may have grown between two looks.
fn without_log_size(mut record: Value) -> Value {
    record["sealed"].as_object_mut().unwrap().remove("log_size").unwrap();
    record
}

#[test]
fn what_is_not_there_is_told_as_a_problem() {
    let user = User::new();
    user.engine(&[]);
    let (status, problem) = user.ask("GET", "/v2/engine", "");
    assert_eq!((status, &problem["code"]), (404, &json!("no-such-path")));
    let (status, problem) = user.ask("DELETE", "/v1/engine", "");
    assert_eq!((status, &problem["code"]), (405, &json!("no-such-method")));
}

/// It was taken for the members in order: a search without a condition, of a model.
#[test]
fn a_list_is_no_structure_within_a_body() {
    let (user, _) = with_records(1);
    let facets = |body: &str| {
        let lines = "Content-Type: application/json\r\n";
        ask_with(&user.path("trail/engine.sock"), "POST", "/v1/facets", lines, body)
    };
    assert_eq!(facets(r#"{"search": {"model": "credit", "fresh": true}}"#).0, 200);
    let (status, problem) = facets(r#"{"search": [null, "credit"]}"#);
    assert_eq!((status, &problem["code"]), (400, &json!("bad-request")));
    let told = problem["detail"].as_str().unwrap();
    assert!(told.starts_with("search: a JSON object, and not a list, is expected"), "{told}");
}

#[test]
fn a_listing_is_what_list_prints() {
    let (user, ids) = with_records(30);
    let listed = |query: &str| {
        let (status, answer) = user.ask("GET", &format!("/v1/records{query}"), "");
        assert_eq!(status, 200, "{query}: {answer}");
        answer["records"].as_array().unwrap().clone()
    };
    let printed = |options: &[&str]| {
        let arguments = ["list", "--json"].iter().chain(options);
        user.run(arguments).ends(0).json()
    };
    for (query, options) in [
        ("", &[][..]),
        ("?limit=7&oldest=true", &["-n", "7", "--oldest"]),
        ("?model=credit@1.1.0&limit=100", &["--model", "credit@1.1.0", "-n", "0"]),
        (
            "?kind=producer,decision&limit=1000&types=true",
            &["--kind", "producer,decision", "-n", "0", "--types"],
        ),
        (
            "?since=2026-11-21T09:10:00Z&until=2026-11-21T09:12:00Z",
            &["--since", "2026-11-21T09:10:00Z", "--until", "2026-11-21T09:12:00Z"],
        ),
        ("?since=2026-11-21&limit=3", &["--since", "2026-11-21", "-n", "3"]),
        ("?model=nothing", &["--model", "nothing"]),
    ] {
        let (listed, printed) = (listed(query), printed(options));
        assert_eq!(listed.len(), printed.len(), "{query}");
        let strip = |records: Vec<Value>| records.into_iter().map(without_log_size).collect::<Vec<_>>();
        assert_eq!(strip(listed), strip(printed), "{query}");
    }
    assert_eq!(listed("?limit=10000").len(), ids.len());
    for wrong in [
        "limit=0",
        "limit=10001",
        "limit=x",
        "since=yesterday",
        "kind=opinion",
        "nonsense=1",
        "oldest=perhaps",
    ] {
        let (status, problem) = user.ask("GET", &format!("/v1/records?{wrong}"), "");
        assert_eq!((status, &problem["code"]), (400, &json!("bad-request")), "{wrong}");
    }
}

#[test]
fn a_page_is_what_show_prints_for_people() {
    let (user, ids) = with_records(1);
    let path = format!("/v1/records/{}/page", ids[0]);
    let (status, page) = user.ask("GET", &path, "");
    let shown = user.run(["show", &ids[0]]).ends(0).out;
    // All but the seal at the end, which says how long the log is.
    let body = |page: &str| page.split("\nseal").next().unwrap().to_owned();
    assert_eq!((status, body(page.as_str().unwrap())), (200, body(&shown)));
    let (_, narrow) = user.ask("GET", &format!("{path}?width=40"), "");
    assert!(narrow.as_str().unwrap().lines().count() > shown.lines().count(), "{narrow}");
    for wrong in ["?width=39", "?width=wide", "?height=1"] {
        assert_eq!(user.ask("GET", &format!("{path}{wrong}"), "").0, 400, "{wrong}");
    }
    assert_eq!(user.ask("GET", "/v1/records/0193a1b2-0000-7000-8000-000000000000/page", "").0, 404);
}

#[test]
fn a_receipt_holds_and_shows_what_was_asked_for() {
    let (user, ids) = with_records(3);
    let policy = user.run(["key", "show", "--policy"]).ends(0).out;
    user.write("policy", policy);
    let path = format!("/v1/records/{}/receipt", ids[2]);
    let (status, receipt) = user.ask("GET", &path, "");
    assert_eq!(status, 200);
    user.write("proof", receipt.as_str().unwrap());
    user.run(["verify", "proof", "--policy", "policy"]).ends(0);
    let (_, receipt) = user.ask("GET", &format!("{path}?disclose=outputs,model"), "");
    user.write("proof", receipt.as_str().unwrap());
    let proved = user.run(["verify", "proof", "--policy", "policy", "--json"]).ends(0).json().remove(0);
    assert_eq!(proved["record"]["outputs"]["approve"], false);
    assert!(!proved["record"]["inputs"].to_string().contains("2.5"), "{proved}");
    let (status, problem) = user.ask("GET", &format!("{path}?disclose=nothing/like/it"), "");
    assert_eq!((status, &problem["code"]), (400, &json!("bad-request")));
    assert_eq!(user.ask("GET", "/v1/records/0193a1b2-0000-7000-8000-000000000000/receipt", "").0, 404);
}

#[test]
fn a_record_is_verified_from_what_is_stored() {
    let (user, ids) = with_records(3);
    let path = format!("/v1/records/{}/verify", ids[1]);
    let (status, checked) = user.ask("POST", &path, "");
    assert_eq!((status, &checked["verified"], &checked["findings"]), (200, &json!(true), &json!([])));
    let record = user.run(["show", &ids[1], "--json"]).ends(0).json().remove(0);
    assert_eq!(checked["log_index"], record["sealed"]["log_index"]);
    assert!(checked["log_size"].as_u64().unwrap() > checked["log_index"].as_u64().unwrap());
    assert_eq!(checked["leaf"].as_str().unwrap().len(), 44, "{checked}");
    assert_eq!(user.ask("POST", "/v1/records/0193a1b2-0000-7000-8000-000000000000/verify", "").0, 404);

    let segment = user.path("trail/segments").join(record["sealed"]["segment"].as_str().unwrap());
    let checkpoint = user.path("trail/log/checkpoint");
    let tiles = user.path("trail/log/tile/entries");
    for (file, named) in [(&segment, "segments/"), (&checkpoint, "log/checkpoint"), (&tiles, "log/")] {
        let files = if file.is_dir() { files_below(file) } else { vec![file.clone()] };
        let whole: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        for (file, whole) in files.iter().zip(&whole) {
            // In the middle, and in every entry of a bundle.
            let changed: Vec<u8> =
                whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at % 64 == 63)).collect();
            std::fs::write(file, changed).unwrap();
        }
        let (status, checked) = user.ask("POST", &path, "");
        assert_eq!((status, &checked["verified"]), (200, &json!(false)), "{named}");
        let found = checked["findings"][0]["object"].as_str().unwrap();
        assert!(found.starts_with(named), "{named}: {checked}");
        for (file, whole) in files.iter().zip(whole) {
            std::fs::write(file, whole).unwrap();
        }
    }
    std::fs::rename(&segment, user.path("elsewhere")).unwrap();
    let (_, checked) = user.ask("POST", &path, "");
    assert_eq!(checked["findings"][0]["what"], "it is missing");
    std::fs::rename(user.path("elsewhere"), &segment).unwrap();
    assert_eq!(user.ask("POST", &path, "").1["verified"], true);
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn the_trail_is_verified_as_verify_does() {
    let (user, _) = with_records(5);
    let (status, report) = user.ask("POST", "/v1/verify", "");
    assert_eq!((status, &report["clean"], &report["level"]), (200, &json!(true), &json!(2)));
    let printed = user.run(["verify", "--json", "--no-remember"]).ends(0).json().remove(0);
    for member in ["trail", "checkpoint", "segments", "records", "accounts", "findings"] {
        assert_eq!(report[member], printed[member], "{member}");
    }
    user.write("trail/segments/00112233445566778899aabbccddeeff", "x");
    let (_, report) = user.ask("POST", "/v1/verify", "");
    assert_eq!((&report["clean"], &report["problems"]), (&json!(false), &json!(1)));
}
