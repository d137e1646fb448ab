//! Verifying as a job: told how far it is, found again, cancelled, and no hindrance to an end.

use serde_json::{Value, json};

use crate::program::{decisions, wait_until};
use crate::tcp::{Answer, Server};

#[test]
fn a_verification_goes_on_behind_the_answer_and_its_report_is_found_again() {
    let server = Server::new();
    for _ in 0..3 {
        server.user.record(&decisions(2));
    }
    let (auditor, analyst) = (server.key("auditor", "auditor"), server.key("dashboard", "analyst"));
    let waited = server.ask(&auditor, "POST", "/v1/verify", "").is(200).json();
    let begun = server.ask(&auditor, "POST", "/v1/verify?wait=false", "").is(202);
    let location = begun.headers["location"].clone();
    assert_eq!(location, format!("/v1/jobs/{}", begun.json()["id"].as_str().unwrap()));
    let job = || server.ask(&auditor, "GET", &location, "").is(200).json();
    wait_until("the report", || job()["state"] == "done");
    let job = job();
    assert_eq!((&job["what"], &job["error"]), (&json!("verify"), &Value::Null));
    assert_eq!(job["progress"]["done"], job["progress"]["all"]);
    assert!(job["progress"]["all"].as_u64().unwrap() >= 3 && job["ended"].is_string(), "{job}");
    let members = |report: &Value| report.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((members(&job["report"]), &job["report"]["clean"]), (members(&waited), &waited["clean"]));
    server.ask(&analyst, "GET", &location, "").problem(403, "not-permitted");
    server.ask(&analyst, "DELETE", &location, "").problem(403, "not-permitted");
    let ended = server.ask(&auditor, "DELETE", &location, "").is(200).json();
    assert_eq!(ended["state"], "done", "what has ended stays");
    server.ask(&auditor, "GET", "/v1/jobs/none", "").problem(404, "no-such-job");
    server.ask(&auditor, "POST", "/v1/verify?wait=maybe", "").problem(400, "bad-request");

    let user = server.end();
    let again = Server::of(user);
    again.ask(&auditor, "GET", &location, "").problem(404, "no-such-job");
    again.end();
}

#[test]
fn a_client_may_prefer_not_to_wait() {
    let server = Server::among(&["other"]);
    let auditor = server.key("auditor", "auditor");
    let bearer = format!("Bearer {auditor}");
    let send = |prefer: &str| -> Answer {
        server.send("POST", "/v1/verify", &[("Authorization", &bearer), ("Prefer", prefer)], b"")
    };
    let begun = send("respond-async, wait=5").is(202);
    assert_eq!(begun.headers["preference-applied"], "respond-async");
    let location = &begun.headers["location"];
    assert!(location.starts_with("/t/trail/v1/jobs/"), "as the asker writes it: {location}");
    let job = || server.ask(&auditor, "GET", location, "").is(200).json();
    wait_until("the report", || job()["state"] == "done");
    let other = server.key_of("other", "auditor", "auditor");
    let foreign = location.replace("/t/trail", "/t/other");
    server.ask(&other, "GET", &foreign, "").problem(404, "no-such-job");
    send("return=minimal").is(200);
    server.end();
}
