//! Listing page by page: every record once, whatever is sealed meanwhile.

use serde_json::{Value, json};

use crate::program::decision;
use crate::tcp::{EVERYTHING, Server};

fn ids(page: &Value) -> Vec<String> {
    page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn pages_have_every_record_once_though_others_are_sealed_meanwhile() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    // Of three moments only, so that most have the time of another, and over several segments.
    let mut recorded = Vec::new();
    for round in 0..4 {
        let lines: Vec<String> = (0..5).map(|number| decision((round + number) % 3)).collect();
        recorded.extend(server.user.record(&(lines.join("\n") + "\n")));
    }
    let page = |query: &str| server.ask(&key, "GET", &format!("/v1/records?{query}"), "").is(200).json();
    let whole = |order: &str| ids(&page(&format!("kind=decision&limit=100&since=2026-11-21&{order}")));
    assert_eq!(whole("").len(), recorded.len());
    assert_eq!(whole(""), whole("oldest=true").into_iter().rev().collect::<Vec<_>>());
    for order in ["", "oldest=true"] {
        let expected = whole(order);
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = page(&format!("kind=decision&limit=3&since=2026-11-21&{order}{cursor}"));
            found.extend(ids(&page));
            // Before, among and behind what was listed.
            server.user.record(&[decision(0), decision(1), decision(2)].join("\n"));
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
            assert_eq!(ids(&page).len(), 3);
        }
        assert_eq!(found, expected, "{order}");
    }
    assert_eq!(page("kind=decision&limit=1000")["cursor"], Value::Null);
    for wrong in ["cursor=x", "cursor=e30", "cursor="] {
        server.ask(&key, "GET", &format!("/v1/records?{wrong}"), "").problem(400, "bad-request");
    }
    server.end();
}

#[test]
fn a_cursor_shows_nobody_more_than_they_see() {
    let server = Server::new();
    let fraud = |number: usize| {
        json!({"model": {"name": "fraud", "version": "1"}, "inputs": {"x": number}, "outputs": {}})
            .to_string()
    };
    for number in 0..3 {
        server.user.record(&[decision(number), fraud(number)].join("\n"));
    }
    let (all, own) = (server.key("auditor", "auditor"), server.key_for("dashboard", "analyst", &["credit"]));
    let page = |key: &str, query: &str| {
        server
            .ask(key, "GET", &format!("/v1/records?kind=decision&limit=2&oldest=true{query}"), "")
            .is(200)
            .json()
    };
    let first = page(&all, "");
    // With the cursor of somebody who sees more.
    let cursor = format!("&cursor={}", first["cursor"].as_str().unwrap());
    for page in [page(&own, ""), page(&own, &cursor)] {
        assert!(
            page["records"].as_array().unwrap().iter().all(|record| record["model"]["name"] == "credit"),
            "{page}"
        );
    }
    let mut found = ids(&page(&own, ""));
    let next = page(&own, "")["cursor"].as_str().unwrap().to_owned();
    let last = page(&own, &format!("&cursor={next}"));
    found.extend(ids(&last));
    assert_eq!((found.len(), &last["cursor"]), (3, &Value::Null));
    server.end();
}
