//! How much of a server a key may use, and that a query without a reader is stopped.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::program::{User, decisions, wait_until};
use crate::shipping::{Service, host, shipper};
use crate::tcp::{Answer, EVERYTHING, Server};

fn allow(server: &Server, limits: &str) {
    server.user.write("access.toml", format!("format = \"minutebook/access/1\"\n{limits}"));
    server.user.run(["access", "set", "access.toml"]).ends(0);
}

fn post(server: &Server, key: &str, count: usize) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-ndjson")];
    server.send("POST", "/v1/records", &headers, decisions(count).as_bytes())
}

#[track_caller]
fn waits(answer: Answer, code: &str) -> u64 {
    answer.problem(429, code).headers["retry-after"].parse().unwrap()
}

#[test]
fn a_key_that_uses_too_much_waits_and_others_do_not() {
    let server = Server::new();
    let (busy, calm) = (server.key("busy", EVERYTHING), server.key("calm", EVERYTHING));
    post(&server, &busy, 500).is(200);
    allow(&server, "[[limits.for]]\nname = [\"busy\"]\nrecords_per_second = 5\n");
    wait_until("the settings to hold", || {
        let answer = post(&server, &busy, 60);
        assert!(answer.status == 200 || answer.status == 429);
        answer.status == 429
    });
    assert!(waits(post(&server, &busy, 1), "too-many-records") >= 1);
    server.ask(&busy, "GET", "/v1/engine", "").is(200);
    post(&server, &calm, 60).is(200);
    post(&server, &calm, 60).is(200);
    let (status, _) = server.user.ask("POST", "/v1/seal", "{}");
    assert_eq!(status, 200, "the socket's owner has no limits");

    allow(&server, "[[limits.for]]\nname = [\"busy\"]\nrequests_per_second = 1\n");
    wait_until("requests to be too many", || server.ask(&busy, "GET", "/v1/engine", "").status == 429);
    assert_eq!(waits(server.ask(&busy, "GET", "/v1/engine", ""), "too-many-requests"), 1);
    server.ask(&calm, "GET", "/v1/engine", "").is(200);
    server.end();
}

/// Frames were not counted: a key of a recorder that ships could bring as much as it liked.
#[test]
fn what_is_shipped_counts_and_a_shipper_waits_until_it_may_go_on() {
    let user = User::with_trail();
    let limits = "[[limits.for]]\nname = [\"shop\"]\nrecords_per_second = 10\n";
    user.write("access.toml", format!("format = \"minutebook/access/1\"\n{limits}"));
    user.run(["access", "set", "access.toml"]).ends(0);
    let server = Server::of(user);
    let key = server.key("shop", "recorder");
    let folder = host(&server.user, "remote", &key);
    let shipping = shipper(&server.user, &folder, server.address);
    shipping.wait_for_lines(1);
    let mut service = Service::new(&folder);
    let begun = crate::program::now();
    (0..150).for_each(|_| drop(service.decide()));
    wait_until("the frames to be counted", || post(&server, &key, 0).status == 429);
    assert!(waits(post(&server, &key, 1), "too-many-records") >= 1);
    // They are in the spool, and wait for the limit.
    (0..5).for_each(|_| drop(service.decide()));
    service.handover.close().unwrap();
    shipping.ended().ends(0);
    // 150 records at 10 in a second, of which 100 at once.
    let took = begun.elapsed();
    assert!(took >= std::time::Duration::from_secs(4), "{took:?}");
    let user = server.end();
    let count = user.run(["list", "--json", "-n", "0", "--kind", "decision"]).ends(0).json().len();
    assert_eq!(count, 155);
    user.run(["verify"]).ends(0);
}

/// A query that works for a long time: so many rows beside each other are counted.
fn heavy() -> String {
    let query = "SELECT count(*) FROM records a, records b, records c WHERE a.seq + b.seq + c.seq = 7";
    json!({ "query": query, "fresh": true }).to_string()
}

fn ask_and_leave(server: &Server, key: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Minutebook-Purpose: a test\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn a_query_without_a_reader_is_stopped_and_its_work_is_counted() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    post(&server, &key, 3_000).is(200);
    allow(&server, "[limits]\nqueries_at_once = 1\nquery_seconds_per_minute = 2\n");
    let light = r#"{"query": "SELECT 1 AS one"}"#;
    // The settings hold once two queries at once are too many.
    wait_until("the settings to hold", || {
        let stream = ask_and_leave(&server, &key, &heavy());
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        let answer = server.ask(&key, "POST", "/v1/sql", light);
        drop(stream);
        answer.status == 429 && answer.json()["code"] == "too-many-queries"
    });
    // Whoever asked has gone: the place is given back long before the minute that a query has.
    wait_until("the query to be stopped, and its work to be counted", || {
        let answer = server.ask(&key, "POST", "/v1/sql", light);
        if answer.status == 200 {
            let stream = ask_and_leave(&server, &key, &heavy());
            std::thread::park_timeout(std::time::Duration::from_millis(700));
            drop(stream);
        }
        answer.status == 429 && answer.json()["code"] == "too-much-query-work"
    });
    server.ask(&key, "GET", "/v1/engine", "").is(200);
    server.end();
}
