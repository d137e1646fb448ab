use serde_json::{Value, json};

use crate::program::{User, decision, decisions};

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
