//! Requests that come at once are taken together: each is told what became of its own records, and of what was acknowledged nothing is lost when the
//! server is killed.

#![allow(clippy::disallowed_methods, reason = "clients are threads")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::halves::{decisions_of, is_clean, killed, try_send};
use crate::program::decision;
use crate::records_in::ids;
use crate::tcp::Server;

const CLIENTS: usize = 8;

/// Rounds of eight requests at once: good ones, alone and several; wrong ones; and the same one twice under one key.
#[test]
fn each_of_many_requests_at_once_has_its_own_answer() {
    const ROUNDS: usize = 25;
    let server = Server::new();
    let key = server.key("shop", "recorder");
    let (bearer, all) = (format!("Bearer {key}"), Mutex::new(Vec::new()));
    let client = |client: usize, round: usize| {
        // The seventh and the eighth send the same.
        let number = 10 * round + client.min(6);
        let repeat = format!("round-{round}-{}", client.min(6));
        let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        if client >= 3 {
            headers.push(("Idempotency-Key", &repeat));
        }
        let (query, body) = match client {
            0 => ("", format!("[{}, {{\"inputs\": {{}}}}]", decision(number))),
            1 => ("?level=process", decision(number)),
            2 | 3 => ("", format!("[{}, {}]", decision(number), decision(number))),
            4 => ("", "{\"inputs\":".to_owned()),
            _ => ("", decision(number)),
        };
        let answer = server.send("POST", &format!("/v1/records{query}"), &headers, body.as_bytes());
        if client == 0 || client == 4 {
            answer.problem(400, if client == 0 { "wrong-records" } else { "bad-request" });
            return;
        }
        let answer = answer.is(200).json();
        assert_eq!(ids(&answer).len(), if [2, 3].contains(&client) { 2 } else { 1 }, "{answer}");
        assert!(answer["repeated"] == false || client >= 6, "{answer}");
        all.lock().unwrap().push((client, number, answer));
    };
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            (0..CLIENTS).for_each(|number| drop(scope.spawn(move || client(number, round))));
        });
    }
    let user = server.end();
    let mut recorded: Vec<(String, f64)> = Vec::new();
    let all = all.into_inner().unwrap();
    let twice = |of: usize| all.iter().filter(move |(client, number, _)| *client >= 6 && *number == of);
    for round in 0..ROUNDS {
        let pair: Vec<&Value> = twice(10 * round + 6).map(|(.., answer)| answer).collect();
        assert_eq!((pair.len(), &pair[0]["ids"]), (2, &pair[1]["ids"]), "one of them was recorded");
        assert_eq!(pair.iter().filter(|answer| answer["repeated"] == true).count(), 1, "{pair:?}");
    }
    for (_, number, answer) in all.iter().filter(|(.., answer)| answer["repeated"] == false) {
        recorded.extend(ids(answer).into_iter().map(|id| (id, *number as f64 + 0.5)));
    }
    let found = user.run(["search", "--json", "--limit", "0", "inputs.amount >= 0"]).ends(0).json();
    let mut found: Vec<(String, f64)> = found
        .iter()
        .map(|one| (one["id"].as_str().unwrap().to_owned(), one["inputs.amount"].as_f64().unwrap()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    recorded.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, recorded);
    assert_eq!(recorded.len(), 7 * ROUNDS);
    user.run(["verify"]).ends(0);
}

/// Four pairs of clients, of which one sends the requests of calls and one the answers to them, at the same time.
#[test]
fn of_halves_that_come_at_once_each_acknowledged_call_is_there_once() {
    const CALLS: usize = 40;
    let server = Server::new();
    let key = server.key("kserve", "recorder");
    let (address, counted) = (Mutex::new(server.address), Mutex::new(0));
    let client = |client: usize| {
        let half = ["request", "response"][client % 2];
        for call in 0..CALLS {
            let id = format!("{}-{call}", client / 2);
            let mut sent = 0;
            let answer = loop {
                let at: SocketAddr = *address.lock().unwrap();
                sent += 1;
                if let Some(answer) = try_send(at, &key, half, &id) {
                    break answer;
                }
                thread::park_timeout(Duration::from_millis(5));
            };
            let answer = answer.is(200).json();
            let counts = ["recorded", "waiting", "repeated"].map(|name| answer[name].as_u64().unwrap());
            // What was recorded in the moment of a kill is not recorded again when it is sent again.
            let told = counts.iter().sum::<u64>();
            assert!(told == 1 || (told == 0 && sent > 1), "{answer}, sent {sent} times");
            *counted.lock().unwrap() += counts[0];
        }
    };
    let (server, kills) = thread::scope(|scope| {
        let (mut server, mut kills) = (server, 0);
        let client = &client;
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::park_timeout(Duration::from_millis(30 + kills * 37 % 100));
            if kills < 10 {
                server = Server::of(killed(server));
                *address.lock().unwrap() = server.address;
                kills += 1;
            }
        }
        (server, kills)
    });
    assert!(kills >= 3, "{kills} kills");
    let user = server.end();
    let there = decisions_of(&user);
    let ids: BTreeSet<&str> =
        there.iter().map(|one| one["environment"]["event_id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), there.len()), (CLIENTS / 2 * CALLS, CLIENTS / 2 * CALLS), "each once");
    assert!(there.iter().all(|one| one["environment"]["paired"] == json!("request and answer")));
    let counted = counted.into_inner().unwrap();
    // What was recorded in the moment of a kill was told to nobody.
    assert!(counted <= there.len() as u64 && counted > 0, "{counted}");
    is_clean(&user);
}
