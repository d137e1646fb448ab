use serde_json::{Value, json};

use crate::program::{User, decision, decisions, signal, wait_until};
use crate::tcp::{Answer, EVERYTHING, Server};

/// A server, and a key that may do everything.
fn with_key() -> (Server, String) {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    (server, key)
}

#[track_caller]
fn post(server: &Server, key: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    server.send("POST", &format!("/v1/records{query}"), &headers, body)
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const LINES: (&str, &str) = ("Content-Type", "application/x-ndjson; charset=utf-8");

fn ids(answer: &Value) -> Vec<String> {
    answer["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn count(user: &User) -> usize {
    user.run(["list", "--json", "-n", "0", "--kind", "decision"]).ends(0).json().len()
}

#[test]
fn records_come_in_as_minutebook_record_takes_them() {
    let (server, key) = with_key();
    let array = format!("[{},\n{}]", decision(2), decision(3));
    let mut all = Vec::new();
    for (query, headers, body, level) in [
        ("", &[JSON][..], decision(1).into_bytes(), "disk"),
        ("?level=process", &[JSON], array.into_bytes(), "process"),
        ("?level=sealed", &[LINES], decisions(3).into_bytes(), "sealed"),
        ("", &[LINES, ("Content-Encoding", "gzip")], gzip(&decisions(2)), "disk"),
    ] {
        let answer = post(&server, &key, query, headers, &body).is(200).json();
        assert_eq!((&answer["level"], &answer["repeated"]), (&json!(level), &json!(false)));
        if level == "sealed" {
            let log = server.user.run(["list", "--json", "-n", "0"]).ends(0).json();
            assert!(ids(&answer).iter().all(|id| log.iter().any(|record| record["id"] == id.as_str())));
        }
        all.extend(ids(&answer));
    }
    assert_eq!(all.len(), 8);
    let amounts =
        all.iter().map(|id| server.ask(&key, "GET", &format!("/v1/records/{id}"), "").is(200).json());
    let amounts: Vec<f64> = amounts.map(|record| record["inputs"]["amount"].as_f64().unwrap()).collect();
    assert_eq!(amounts, [1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 0.5, 1.5]);
    let (status, answer) = server.user.ask("POST", "/v1/records", "");
    assert_eq!((status, &answer["code"]), (415, &json!("unsupported")), "the socket takes them too");
    let user = server.end();
    assert_eq!(count(&user), 8);
    user.run(["verify"]).ends(0).prints("16 numbers drawn: 16 kept");
}

/// Packed by the system's own program.
fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut gzip =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[test]
fn of_a_wrong_request_nothing_is_recorded() {
    let (server, key) = with_key();
    let lines =
        [&decision(1), r#"{"inputs": {}}"#, "{\"subject\": \"Jane Roe\" oops", "", &decision(2)].join("\n");
    let answer = post(&server, &key, "", &[LINES], lines.as_bytes()).problem(400, "wrong-records");
    let problem = answer.json();
    let places: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|wrong| wrong["line"].as_u64()).collect();
    assert_eq!(places, [Some(2), Some(3)]);
    assert!(!problem.to_string().contains("Jane"), "{problem}");
    post(&server, &key, "", &[JSON], b"{\"a\":\n \xff}").problem(400, "bad-request");
    post(&server, &key, "", &[JSON], b"{\"a\":").problem(400, "bad-request");
    post(&server, &key, "", &[("Content-Type", "text/csv")], b"a,b").problem(415, "unsupported");
    post(&server, &key, "", &[JSON, ("Content-Encoding", "br")], b"").problem(415, "unsupported");
    post(&server, &key, "", &[JSON, ("Content-Encoding", "gzip")], b"not").problem(400, "bad-request");
    post(&server, &key, "?level=stone", &[JSON], b"[]").problem(400, "bad-request");
    let bomb = gzip(&" ".repeat((32 << 20) + 1));
    post(&server, &key, "", &[JSON, ("Content-Encoding", "gzip")], &bomb).problem(413, "too-large");
    assert!(ids(&post(&server, &key, "", &[JSON], b"[]").is(200).json()).is_empty());
    let user = server.end();
    assert_eq!(count(&user), 0);
}

#[test]
fn a_request_that_comes_again_under_its_key_is_recorded_once() {
    let (server, key) = with_key();
    let again = |repeat: &str, query: &str, body: &str| {
        post(&server, &key, query, &[LINES, ("Idempotency-Key", repeat)], body.as_bytes())
    };
    let first = again("job-1", "?level=process", &decisions(3)).is(200).json();
    for query in ["?level=process", "", "?level=sealed"] {
        let answer = again("job-1", query, &decisions(3)).is(200).json();
        assert_eq!(answer["ids"], first["ids"], "{query}");
    }
    again("job-1", "", &decisions(2)).problem(422, "key-reused");
    let other = again("job-2", "", &decisions(3)).is(200).json();
    assert_ne!(other["ids"], first["ids"]);
    again("", "", &decisions(1)).problem(400, "bad-request");
    again(&"x".repeat(256), "", &decisions(1)).problem(400, "bad-request");
    // What was wrong may come again put right.
    again("job-3", "", "x").problem(400, "wrong-records");
    again("job-3", "", &decisions(1)).is(200);
    // Another client's keys are its own.
    let shop = server.key("shop", "recorder");
    let theirs = post(&server, &shop, "", &[LINES, ("Idempotency-Key", "job-1")], decisions(3).as_bytes())
        .is(200)
        .json();
    assert_ne!(theirs["ids"], first["ids"]);
    let user = server.end();
    assert_eq!(count(&user), 3 + 3 + 1 + 3);
    user.run(["verify"]).ends(0);
}

#[test]
fn what_was_acknowledged_is_there_after_the_server_was_killed() {
    let (server, key) = with_key();
    let acknowledged = ids(&post(&server, &key, "", &[LINES], decisions(50).as_bytes()).is(200).json());
    signal(&server.pid, "-KILL");
    let Server { user, running, .. } = server;
    running.ended();
    let server = Server::of(user);
    for id in [&acknowledged[0], &acknowledged[49]] {
        server.ask(&key, "GET", &format!("/v1/records/{id}"), "").is(200);
    }
    let user = server.end();
    assert_eq!(count(&user), 50);
    user.run(["verify"]).ends(0);
}

#[test]
fn an_engine_that_took_records_still_ends_when_nobody_needs_it() {
    let user = User::with_trail();
    let pid = &user.engine(&["--idle", "1"])["pid"];
    let socket = user.path("trail/engine.sock");
    let answer = crate::program::ask_with(
        &socket,
        "POST",
        "/v1/records",
        "Content-Type: application/json\r\n",
        &decision(1),
    );
    assert_eq!(answer.0, 200, "{}", answer.1);
    wait_until("its end", || !crate::program::is_process(pid));
    assert_eq!(count(&user), 1);
    user.run(["verify"]).ends(0).prints("closed");
}
