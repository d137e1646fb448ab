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

/// Those that an answer tells.
pub fn ids(answer: &Value) -> Vec<String> {
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

const TABLE: (&str, &str) = ("Content-Type", "application/vnd.apache.arrow.stream");

#[test]
fn what_a_search_gives_out_comes_in_again_as_a_table() {
    let (server, key) = with_key();
    post(&server, &key, "?level=sealed", &[LINES], decisions(20).as_bytes()).is(200);
    let search = |server: &Server, key: &str| {
        let bearer = format!("Bearer {key}");
        let headers =
            [("Authorization", bearer.as_str()), JSON, ("Accept", TABLE.1), ("Minutebook-Purpose", "a test")];
        // Without a model it has the columns that every decision has.
        let question =
            json!({"model": "credit", "fresh": true, "order": {"by": "time", "descending": false}})
                .to_string();
        server.send("POST", "/v1/search", &headers, question.as_bytes()).is(200).body
    };
    let table = search(&server, &key);
    let (other, theirs) = with_key();
    let problem = post(&other, &theirs, "", &[TABLE], &table).problem(400, "wrong-records").json();
    assert_eq!(problem["errors"][0]["column"], "id", "{problem}");
    let again = [TABLE, ("Idempotency-Key", "table-1")];
    let first = ids(&post(&other, &theirs, "?reimport=true", &again, &table).is(200).json());
    let repeated = post(&other, &theirs, "?reimport=true", &again, &table).is(200).json();
    assert_eq!((first.len(), repeated["repeated"].as_bool()), (20, Some(true)));
    assert_eq!(ids(&repeated), first);
    post(&other, &theirs, "", &again, &table).problem(422, "key-reused");
    let whole = |server: &Server, key: &str| -> Vec<Value> {
        let answer = server.ask(key, "GET", "/v1/records?kind=decision&oldest=true", "").is(200).json();
        let members = ["model", "inputs", "outputs", "subject", "time", "tags", "status"];
        let records = answer["records"].as_array().unwrap().iter();
        records.map(|record| members.map(|member| record[member].clone()).into_iter().collect()).collect()
    };
    assert!(!search(&other, &theirs).is_empty());
    assert_eq!(whole(&other, &theirs), whole(&server, &key));

    // Cut anywhere it is refused, and nothing of it is recorded.
    for cut in [0, 7, 100, table.len() / 2, table.len() - 1] {
        post(&other, &theirs, "?reimport=true", &[TABLE], &table[..cut]).problem(400, "bad-request");
    }
    post(&other, &theirs, "?model=m", &[LINES], b"").problem(400, "bad-request");
    let credit = other.key_for("shop", "recorder", &["no-such-*"]);
    post(&other, &credit, "?reimport=true", &[TABLE], &table).problem(403, "not-permitted");
    let user = other.end();
    assert_eq!(count(&user), 20);
    user.run(["verify"]).ends(0);
}

#[test]
fn a_request_that_comes_again_after_the_server_was_killed_is_recorded_once() {
    let (mut server, key) = with_key();
    let again = |server: &Server, repeat: &str, query: &str, body: &str| {
        post(server, &key, query, &[LINES, ("Idempotency-Key", repeat)], body.as_bytes())
    };
    let restarted = |server: Server| {
        signal(&server.pid, "-KILL");
        let Server { user, running, .. } = server;
        running.ended();
        Server::of(user)
    };
    let first = again(&server, "job-1", "", &decisions(1_500)).is(200).json();
    let process = again(&server, "job-2", "?level=process", &decisions(3)).is(200).json();
    for round in 0..3 {
        server = restarted(server);
        for (repeat, query, body, before) in
            [("job-1", "", 1_500, &first), ("job-2", "?level=process", 3, &process)]
        {
            let answer = again(&server, repeat, query, &decisions(body)).is(200).json();
            assert_eq!(answer["ids"], before["ids"], "{repeat} in round {round}");
            assert_eq!(answer["repeated"], true, "{repeat} in round {round}");
        }
        again(&server, "job-1", "", &decisions(2)).problem(422, "key-reused");
    }
    let other = again(&server, "job-3", "", &decisions(2)).is(200).json();
    server = restarted(server);
    assert_eq!(again(&server, "job-3", "", &decisions(2)).is(200).json()["ids"], other["ids"]);
    let bytes = std::fs::read(server.user.path("trail/repeats")).unwrap();
    assert!(!bytes.windows(4).any(|four| four == b"job-"), "it is encrypted");
    let user = server.end();
    assert_eq!(count(&user), 1_505);
    user.run(["verify"]).ends(0);
    user.run(["doctor"]).ends(0);
}

/// The rotation left the key of the file under the key-encryption key that it removed: the next server did not know the request, and recorded it
/// once more.
#[test]
fn a_request_is_known_after_the_key_encryption_key_was_rotated() {
    let (server, key) = with_key();
    let again = |server: &Server| {
        post(server, &key, "", &[LINES, ("Idempotency-Key", "job-1")], decisions(3).as_bytes()).is(200).json()
    };
    let first = again(&server);
    let mut user = server.end();
    for _ in 0..2 {
        user.run(["key", "rotate", "--key-encryption"]).ends(0);
        let server = Server::of(user);
        let answer = again(&server);
        assert_eq!((&answer["ids"], &answer["repeated"]), (&first["ids"], &json!(true)));
        user = server.end();
    }
    assert_eq!(count(&user), 3);
    user.run(["verify"]).ends(0);
    user.run(["doctor"]).ends(0);
}

/// A server is killed while it records, again and again at another moment, and its client sends the same request until it is answered.
#[test]
fn whenever_a_server_is_killed_its_clients_request_is_recorded_once() {
    let (mut server, key) = with_key();
    let body = decisions(4_000);
    for round in 0..6_u64 {
        let repeat = format!("job-{round}");
        let send = |server: &Server| {
            let bearer = format!("Bearer {key}");
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            let head = format!(
                "POST /v1/records HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
                 Content-Type: application/x-ndjson\r\nIdempotency-Key: {repeat}\r\nContent-Length: {}\r\n\r\n",
                server.address,
                body.len()
            );
            std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
            std::io::Write::write_all(&mut stream, body.as_bytes()).unwrap();
            stream
        };
        // Somewhere between its first number and its answer.
        let noted = server.user.path("trail/repeats");
        let state = || std::fs::metadata(&noted).ok().map(|about| (about.len(), about.modified().unwrap()));
        let before = state();
        let stream = send(&server);
        wait_until("the request to begin", || state() != before);
        std::thread::park_timeout(std::time::Duration::from_millis(round * 3));
        signal(&server.pid, "-KILL");
        drop(stream);
        let Server { user, running, .. } = server;
        running.ended();
        server = Server::of(user);
        let first = Answer::read(&mut send(&server)).is(200).json();
        let second = Answer::read(&mut send(&server)).is(200).json();
        assert_eq!(ids(&first).len(), 4_000);
        assert_eq!(first["ids"], second["ids"]);
    }
    let user = server.end();
    assert_eq!(count(&user), 6 * 4_000);
    user.run(["verify"]).ends(0);
}
