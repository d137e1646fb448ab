//! What the owner of a trail reads over its socket is on the record, where that is wanted.

use std::fs;

use serde_json::{Value, json};

use crate::program::{User, ask_with, decisions, wait_until};
use crate::tcp::Server;

/// Who read what how, with how many records, in the records of a trail, the oldest first.
fn reads(user: &User) -> Vec<Value> {
    user.run(["seal"]).ends(0);
    let all = user.run(["list", "--kind", "access", "--json", "-n", "0", "--oldest"]).ends(0).json();
    let member = |record: &Value, name: &str| record["access"][name].clone();
    let told =
        |record| json!(["who", "action", "asked", "records", "purpose"].map(|name| member(record, name)));
    all.iter().map(told).collect()
}

fn put_in_force(user: &User, reads: &str) {
    let settings = format!("format = \"minutebook/access/1\"\n[owner]\nreads = \"{reads}\"\n");
    user.write("access.toml", settings);
    user.run(["access", "set", "access.toml"]).ends(0);
}

/// Searches until that is recorded, or is not any more: settings are taken up within a second. Gives how many reads there are then.
#[track_caller]
fn searched_until(user: &User, is_recorded: bool) -> usize {
    let mut count = reads(user).len();
    wait_until("settings to hold", || {
        user.run(["search"]).ends(0);
        let before = std::mem::replace(&mut count, reads(user).len());
        (count > before) == is_recorded
    });
    count
}

#[test]
fn what_the_owner_reads_of_a_server_is_on_the_record() {
    let server = Server::new();
    let user = &server.user;
    let id = user.record(&decisions(3)).remove(0);
    user.run(["search", "inputs.amount >= 0", "--purpose", "complaint 2026-131", "--json"]).ends(0);
    user.run(["search", "inputs.amount >= 0", "--facets", "--json"]).ends(0);
    user.run(["sql", "SELECT id, 'Jane' FROM credit", "--json"]).ends(0);
    assert_eq!(user.ask("GET", &format!("/v1/records/{id}"), "").0, 200);
    assert_eq!(user.ask("GET", "/v1/records?kind=decision", "").0, 200);
    assert_eq!(user.ask("POST", "/v1/person", r#"{"subject": "person-1"}"#).0, 200);
    // No reads of content, and one that fails.
    for (path, status) in [("/v1/engine", 200), ("/v1/status", 200), ("/v1/records/x", 400)] {
        assert_eq!(user.ask("GET", path, "").0, status, "{path}");
    }
    let missing = "/v1/records/0193a1b2-0000-7000-8000-000000000000";
    assert_eq!(user.ask("GET", missing, "").1["code"], "no-such-record");
    let told = reads(user);
    let search = "POST /v1/search: where inputs.amount >= ?";
    assert_eq!(told[0], json!(["owner", "read", search, 3, "complaint 2026-131"]));
    assert_eq!(told[1][2], json!("POST /v1/facets: where inputs.amount >= ?; columns "));
    assert_eq!(told[1][3], 3);
    // How many rows a stream has is not known before its first byte.
    assert_eq!(told[2], json!(["owner", "read", "POST /v1/sql: SELECT id, ? FROM credit", null, ""]));
    assert_eq!(told[3], json!(["owner", "read", "GET /v1/records/{id}", 1, ""]));
    assert_eq!(told[4], json!(["owner", "read", "GET /v1/records: kind=decision", 3, ""]));
    assert_eq!((&told[5][0], &told[5][1]), (&json!("owner"), &json!("read-person")));
    assert_eq!(told.len(), 6, "{told:?}");
    let records = user.run(["list", "--kind", "access", "--json", "-n", "0", "--oldest"]).ends(0).json();
    for record in &records {
        let access = &record["access"];
        assert_eq!((&access["roles"], &access["fields"]), (&json!([]), &json!("clear")), "{record}");
        assert_eq!((&access["outcome"], &access["policies"]), (&json!("permitted"), &json!([])), "{record}");
    }
    assert_eq!(records[2]["access"]["models"], json!(["credit"]));
    assert_eq!(records[3]["links"], json!([id]));

    let long = format!("Minutebook-Purpose: {}\r\n", "x".repeat(600));
    let asked = ask_with(&user.path("trail/engine.sock"), "POST", "/v1/search", &long, "{}");
    assert_eq!((asked.0, &asked.1["code"]), (400, &json!("bad-request")));
    user.run(["search", "--purpose", "two\nlines"]).ends(2).complains("a purpose is a line of text");
    let user = server.end();
    user.run(["verify"]).ends(0);
}

#[test]
fn settings_say_whether_it_is() {
    let server = Server::new();
    let user = &server.user;
    user.record(&decisions(1));
    user.run(["search"]).ends(0);
    assert_eq!(reads(user).len(), 1);
    put_in_force(user, "unrecorded");
    searched_until(user, false);
    put_in_force(user, "recorded");
    searched_until(user, true);
    put_in_force(user, "unrecorded");
    searched_until(user, false);
    // Settings that cannot be told are no way around it.
    user.write("keys/access.toml", "not settings");
    searched_until(user, true);
    user.write("access.toml", "format = \"minutebook/access/1\"\n[owner]\nreads = \"sometimes\"\n");
    user.run(["access", "check", "access.toml"]).ends(2).complains("line 3");
    server.end();
}

#[test]
fn an_engine_that_a_program_starts_records_it_when_settings_say_so() {
    let user = User::new();
    user.engine(&["--idle", "3"]);
    user.record(&decisions(2));
    user.run(["search"]).ends(0);
    assert!(reads(&user).is_empty());
    put_in_force(&user, "recorded");
    searched_until(&user, true);
    let told = reads(&user);
    assert_eq!(told[0], json!(["owner", "read", "POST /v1/search", 2, ""]));
    user.run(["engine", "--stop"]).ends(0);
    user.run(["verify"]).ends(0);
}

#[test]
fn what_cannot_be_recorded_is_not_given_out() {
    let server = Server::new();
    let user = &server.user;
    user.record(&decisions(1));
    // Where the spool of these records would be.
    fs::write(user.path("trail/spool/access"), "in the way").unwrap();
    let json = "Content-Type: application/json\r\n";
    let (status, problem) = ask_with(&user.path("trail/engine.sock"), "POST", "/v1/search", json, "{}");
    assert_eq!((status, &problem["code"]), (503, &json!("not-recorded")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("ask again"), "{problem}");
    user.run(["search"]).ends(4).complains("so it is not given out");
    assert_eq!(user.ask("GET", "/v1/status", "").0, 200, "what reads no content needs no record");
    fs::remove_file(user.path("trail/spool/access")).unwrap();
    user.run(["search"]).ends(0);
    assert_eq!(reads(user).len(), 1);
    server.end();
}

#[test]
fn no_key_is_named_as_the_owner_is() {
    let server = Server::new();
    server.user.run(["api-key", "create", "owner", "--role", "analyst"]).ends(2).complains("over the socket");
    let admin = server.key("admin", "administrator");
    let body = r#"{"name": "owner", "roles": ["analyst"]}"#;
    server.ask(&admin, "POST", "/v1/api-keys", body).problem(400, "bad-request");
    server.end();
}
