//! Following a trail over HTTP: what is sealed comes once, to who may see it, as soon as it is there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{decision, now};
use crate::tcp::{EVERYTHING, Server};

fn ids(answer: &Value) -> Vec<String> {
    let records = answer["records"].as_array().unwrap().iter();
    records.map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

fn tail(server: &Server, key: &str, query: &str) -> Value {
    server.ask(key, "GET", &format!("/v1/tail?{query}"), "").is(200).json()
}

fn cursor(answer: &Value) -> &str {
    answer["cursor"].as_str().unwrap()
}

fn decisions(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| decision(number) + "\n").collect()
}

#[test]
fn whoever_follows_gets_each_record_once() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    let first = server.user.record(&decisions(0..5));
    let begun = tail(&server, &key, "kind=decision&lines=3");
    assert_eq!(ids(&begun), first[2..], "the newest, the newest last");
    assert_eq!(ids(&tail(&server, &key, "kind=decision")), first, "ten of them, or what there is");
    assert_eq!(ids(&tail(&server, &key, "lines=0")), [""; 0]);

    // Two segments, whose records are given in parts.
    let mut later = server.user.record(&decisions(5..10));
    later.extend(server.user.record(&decisions(10..12)));
    let (mut found, mut at) = (Vec::new(), cursor(&begun).to_owned());
    for _ in 0..5 {
        let answer = tail(&server, &key, &format!("kind=decision&limit=2&cursor={at}"));
        assert!(ids(&answer).len() <= 2);
        found.extend(ids(&answer));
        at = cursor(&answer).to_owned();
    }
    assert_eq!(found, later);
    let end = tail(&server, &key, &format!("kind=decision&cursor={at}"));
    assert_eq!(ids(&end), [""; 0], "and none again");
    assert_eq!(ids(&tail(&server, &key, &format!("kind=decision&cursor={}", cursor(&begun)))), later);

    for wrong in
        ["cursor=x", "cursor=e30", "cursor=", "limit=3", "wait=3", "lines=10001", "kind=nonsense", "since=1d"]
    {
        server.ask(&key, "GET", &format!("/v1/tail?{wrong}"), "").problem(400, "bad-request");
    }
    for wrong in ["lines=3", "wait=61", "limit=0", "limit=10001"] {
        server.ask(&key, "GET", &format!("/v1/tail?cursor={at}&{wrong}"), "").problem(400, "bad-request");
    }
    server.end();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test, which asks and does something else meanwhile")]
fn an_answer_waits_until_there_is_something_or_the_server_ends() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    let begun = tail(&server, &key, "lines=0");
    let wait =
        |seconds: u64, at: &str| tail(&server, &key, &format!("kind=decision&wait={seconds}&cursor={at}"));

    let asked = now();
    let nothing = wait(1, cursor(&begun));
    assert!(ids(&nothing).is_empty() && asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());

    let at = cursor(&nothing);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| (wait(60, at), now()));
        std::thread::sleep(Duration::from_millis(700));
        assert!(!waits.is_finished());
        let recorded = server.user.record(&decisions(0..1));
        let sealed = now();
        let (answer, answered) = waits.join().unwrap();
        assert_eq!(ids(&answer), recorded);
        assert!(answered.saturating_duration_since(sealed) < Duration::from_secs(5));
    });

    std::thread::scope(|scope| {
        let waits = scope.spawn(|| wait(60, at));
        let before = tail(&server, &key, "lines=0");
        let waits_too = scope.spawn(move || wait(60, cursor(&before)));
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(ids(&waits.join().unwrap()).len(), 1, "it was there already");
        let asked = now();
        crate::program::signal(&server.pid, "-TERM");
        assert!(ids(&waits_too.join().unwrap()).is_empty());
        assert!(asked.elapsed() < Duration::from_secs(4), "it does not wait: {:?}", asked.elapsed());
    });
    server.running.ended().ends(0);
}

#[test]
fn who_follows_sees_no_more_than_otherwise_and_it_is_on_the_record() {
    let server = Server::new();
    let fraud =
        json!({"model": {"name": "fraud", "version": "1"}, "inputs": {"x": 1}, "outputs": {}}).to_string();
    let personal = json!({"model": {"name": "credit", "version": "1"}, "inputs": {"age": 41}, "outputs": {"y": 1.0}, "subject": "p1"});
    let own = server.key_for("dashboard", "analyst", &["credit"]);
    let begun = tail(&server, &own, "lines=0");
    server.user.record(&format!("{fraud}\n{personal}\n"));
    let answer = tail(&server, &own, &format!("cursor={}", cursor(&begun)));
    let records = answer["records"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{answer}");
    assert_eq!(records[0]["model"]["name"], "credit");
    assert_eq!(records[0]["inputs"], json!({}), "masked as everywhere");

    server.user.run(["seal"]).ends(0);
    let seen = server.user.run(["list", "--kind", "access", "--json", "--limit", "10"]).ends(0).json();
    let reads: Vec<_> = seen
        .iter()
        .map(|record| &record["access"])
        .filter(|access| access["asked"].as_str().is_some_and(|asked| asked.starts_with("GET /v1/tail")))
        .map(|access| {
            (
                access["who"].as_str().unwrap(),
                access["records"].as_u64().unwrap(),
                access["fields"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(reads.len(), 2, "{seen:?}");
    assert!(
        reads.contains(&("dashboard", 1, "masked")) && reads.contains(&("dashboard", 0, "clear")),
        "{reads:?}"
    );
    server.end();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test, which asks and does something else meanwhile")]
fn a_key_that_is_revoked_while_it_waits_is_told_nothing_more() {
    let server = Server::new();
    let key = server.key("dashboard", "analyst");
    let begun = tail(&server, &key, "lines=0");
    let path = format!("/v1/tail?wait=60&kind=decision&cursor={}", cursor(&begun));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| server.ask(&key, "GET", &path, ""));
        std::thread::sleep(Duration::from_millis(500));
        server.user.run(["api-key", "revoke", "dashboard"]).ends(0);
        std::thread::sleep(Duration::from_secs(1));
        server.user.record(&decisions(0..1));
        waits.join().unwrap().problem(401, "no-such-key");
    });
    server.end();
}
