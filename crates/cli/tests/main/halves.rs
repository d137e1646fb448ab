//! Halves of calls that were taken and wait for the other: whenever the server is killed, what was acknowledged is accounted for once.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use minutebook_capture::SystemRandom;
use minutebook_trail::{HalfLog, HalfNoted, KeyFolder, Place};
use serde_json::{Value, json};

use crate::program::{User, signal, wait_until};
use crate::tcp::{Answer, Server};

const REQUEST: &str = r#"{"instances": [{"age": 41}]}"#;
const ANSWER: &str = r#"{"predictions": [{"p": 0.25}]}"#;

/// Sends a half of a call; none when the server is not there, or dies.
pub fn try_send(address: std::net::SocketAddr, key: &str, half: &str, id: &str) -> Option<Answer> {
    let body = if half == "request" { REQUEST } else { ANSWER };
    let head = format!(
        "POST /v1/intake/cloudevents HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Ce-Specversion: 1.0\r\nCe-Id: {id}\r\nCe-Source: s\r\nCe-Time: 2026-11-22T07:00:00Z\r\n\
         Ce-Type: org.kubeflow.serving.inference.{half}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut bytes).ok()?;
    bytes.windows(4).any(|four| four == b"\r\n\r\n").then(|| Answer::read(&mut bytes.as_slice()))
}

#[track_caller]
fn send(server: &Server, key: &str, half: &str, id: &str) -> Value {
    try_send(server.address, key, half, id).unwrap().is(200).json()
}

pub fn killed(server: Server) -> User {
    signal(&server.pid, "-KILL");
    let Server { user, running, .. } = server;
    running.ended();
    user
}

fn started() -> (Server, String) {
    let server = Server::new();
    let key = server.key("kserve", "recorder");
    (server, key)
}

pub fn decisions_of(user: &User) -> Vec<Value> {
    user.run(["list", "--json", "-n", "0", "--kind", "decision"]).ends(0).json()
}

#[track_caller]
pub fn is_clean(user: &User) {
    user.run(["verify"]).ends(0);
    user.run(["doctor"]).ends(0);
    assert!(!user.path("trail/halves").exists());
}

const WAITS: fn() -> Value = || json!({"recorded": 0, "waiting": 1, "repeated": 0});
const WHOLE: fn() -> Value = || json!({"recorded": 1, "waiting": 0, "repeated": 0});
const REPEATED: fn() -> Value = || json!({"recorded": 0, "waiting": 0, "repeated": 1});

/// Before, a half was in memory alone: its answer said 200, and a server that was killed knew nothing of it.
#[test]
fn a_half_meets_its_other_after_the_server_was_killed() {
    let (server, key) = started();
    assert_eq!(send(&server, &key, "request", "a"), WAITS());
    assert_eq!(send(&server, &key, "response", "b"), WAITS());
    let bytes = std::fs::read(server.user.path("trail/halves")).unwrap();
    assert!(!bytes.windows(3).any(|three| three == b"age"), "it is encrypted");
    let user = killed(server);
    user.run(["key", "rotate", "--key-encryption"]).ends(0);
    let server = Server::of(user);
    assert_eq!(send(&server, &key, "request", "a"), REPEATED(), "it waits still");
    assert_eq!(send(&server, &key, "response", "a"), WHOLE());
    let server = Server::of(killed(server));
    for half in ["request", "response"] {
        assert_eq!(send(&server, &key, half, "a"), REPEATED(), "the call is known too");
    }
    assert_eq!(send(&server, &key, "request", "b"), WHOLE());
    let user = server.end();
    let found = decisions_of(&user);
    assert_eq!(found.len(), 2);
    for one in &found {
        assert_eq!(one["environment"]["paired"], "request and answer");
        assert_eq!((&one["inputs"]["age"], &one["outputs"]["p"]), (&json!(41), &json!(0.25)));
    }
    is_clean(&user);
}

fn log(user: &User) -> (HalfLog, Vec<HalfNoted<'static>>) {
    let place = Place::new(user.path("trail")).with_keys(user.path("keys"));
    let trail = place.trail_file().unwrap().id;
    let keys = Arc::new(KeyFolder::open(&user.path("keys"), trail).unwrap());
    let (log, noted) = HalfLog::open(&place, trail, keys, Arc::new(SystemRandom)).unwrap();
    (log, noted.into_values().collect())
}

/// As if the server had been down for so long.
fn later(user: &User, by: Duration) {
    let (mut log, mut noted) = log(user);
    for noted in &mut noted {
        match noted {
            HalfNoted::Waits(half) => half.taken_ns -= by.as_nanos() as i64,
            HalfNoted::Whole { at_ns, .. } => *at_ns -= by.as_nanos() as i64,
            HalfNoted::Gone(_) => {}
        }
    }
    log.rewrite(noted.into_iter()).unwrap();
}

#[test]
fn a_half_whose_other_never_comes_is_recorded_alone_when_its_time_is_over() {
    let (server, key) = started();
    send(&server, &key, "request", "a");
    let user = killed(server);
    later(&user, Duration::from_secs(117));
    let server = Server::of(user);
    assert!(server.user.path("trail/halves").exists(), "it waits for what is left of its time");
    wait_until("the file to go", || !server.user.path("trail/halves").exists());
    let user = Server::of(killed(server)).end();
    let found = decisions_of(&user);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["status"], &found[0]["inputs"]["age"]), (&json!("no answer"), &json!(41)));
    assert_eq!(found[0]["environment"]["paired"], "no answer came in time");
    is_clean(&user);
}

/// The server dies when the record is in the trail, and that the half is recorded is not noted yet.
#[test]
fn what_was_recorded_and_not_yet_noted_is_recorded_once() {
    let (server, key) = started();
    send(&server, &key, "request", "a");
    send(&server, &key, "request", "b");
    let kept = std::fs::read(server.user.path("trail/halves")).unwrap();
    assert_eq!(send(&server, &key, "response", "a"), WHOLE());
    assert_eq!(send(&server, &key, "response", "b"), WHOLE());
    let user = killed(server);
    std::fs::write(user.path("trail/halves"), &kept).unwrap();
    let server = Server::of(user);
    // The other half of one is delivered again, that of the other is not.
    let known = json!({"recorded": 0, "waiting": 0, "repeated": 0});
    assert_eq!(send(&server, &key, "response", "a"), known);
    // The end records what waits.
    let user = server.end();
    assert_eq!(decisions_of(&user).len(), 2);
    is_clean(&user);
}

/// A server is killed at any moment, and whoever sends halves sends each until it is answered.
#[test]
fn whenever_a_server_is_killed_each_acknowledged_pair_is_there_once() {
    const PAIRS: usize = 120;
    let (mut server, key) = started();
    let mut kills = 0_u64;
    let kill_later = |server: &Server, kills: u64| {
        let pid = server.pid.clone();
        std::thread::Builder::new()
            .spawn(move || {
                std::thread::park_timeout(Duration::from_millis(20 + kills * 37 % 150));
                signal(&pid, "-KILL");
            })
            .unwrap()
    };
    let mut killer = Some(kill_later(&server, 0));
    let halves =
        |pair: usize| if pair.is_multiple_of(2) { ["request", "response"] } else { ["response", "request"] };
    for pair in 0..PAIRS {
        for half in halves(pair) {
            while try_send(server.address, &key, half, &format!("{pair}")).is_none() {
                killer.take().unwrap().join().unwrap();
                kills += 1;
                server = Server::of(killed(server));
                killer = (kills < 12).then(|| kill_later(&server, kills));
            }
        }
    }
    if let Some(killer) = killer {
        killer.join().unwrap();
        server = Server::of(killed(server));
    }
    assert!(kills >= 3, "{kills} kills");
    let user = server.end();
    let mut ids: Vec<String> = Vec::new();
    for one in decisions_of(&user) {
        assert_eq!(one["environment"]["paired"], "request and answer", "{one}");
        ids.push(one["environment"]["event_id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    let mut expected: Vec<String> = (0..PAIRS).map(|pair| pair.to_string()).collect();
    expected.sort();
    assert_eq!(ids, expected);
    is_clean(&user);
}

/// Each trail has its own.
#[test]
fn halves_of_one_trail_wait_in_it() {
    let server = Server::among(&["other"]);
    let key = server.key("kserve", "recorder");
    let path = format!("{}/v1/intake/cloudevents", server.base);
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Ce-Specversion", "1.0"),
        ("Ce-Id", "a"),
        ("Ce-Source", "s"),
        ("Ce-Type", "org.kubeflow.serving.inference.request"),
    ];
    server.send("POST", &path, &headers, REQUEST.as_bytes()).is(200);
    assert!(server.user.path("trail/halves").exists() && !server.user.path("other/halves").exists());
    server.end();
}

/// A folder that nothing can be written into: nothing is taken.
#[test]
fn halves_that_cannot_be_kept_are_not_taken() {
    let (server, key) = started();
    // Somebody made a folder of that name: no file takes its place.
    std::fs::create_dir(server.user.path("trail/halves")).unwrap();
    let refused = try_send(server.address, &key, "request", "a").unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    std::fs::remove_dir(server.user.path("trail/halves")).unwrap();
    assert_eq!(send(&server, &key, "request", "a"), WAITS(), "it was not half taken");
    let user = server.end();
    assert_eq!(decisions_of(&user).len(), 1);
    is_clean(&user);
}

/// One that met its other, in a request with another that waits, while nothing could be recorded: the file that is written anew then has it still.
#[test]
fn a_half_that_is_to_be_recorded_is_kept_beside_those_that_wait() {
    let (server, key) = started();
    assert_eq!(send(&server, &key, "request", "a"), WAITS());
    // The next server writes the file anew.
    let server = Server::of(killed(server));
    let repeats = server.user.path("trail/repeats");
    // Somebody made a folder of that name: no id of a record can be noted.
    std::fs::create_dir(&repeats).unwrap();
    let event = |half: &str, id: &str, data: &str| {
        let data: Value = serde_json::from_str(data).unwrap();
        json!({
            "specversion": "1.0", "id": id, "source": "s", "time": "2026-11-22T07:00:00Z",
            "type": format!("org.kubeflow.serving.inference.{half}"), "datacontenttype": "application/json", "data": data,
        })
    };
    let events = json!([event("response", "a", ANSWER), event("request", "b", REQUEST)]).to_string();
    let bearer = format!("Bearer {key}");
    let headers =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/cloudevents-batch+json")];
    server.send("POST", "/v1/intake/cloudevents", &headers, events.as_bytes()).is(503);
    let user = killed(server);
    std::fs::remove_dir(&repeats).unwrap();
    let server = Server::of(user);
    let again = server.send("POST", "/v1/intake/cloudevents", &headers, events.as_bytes()).is(200).json();
    assert_eq!(again, json!({"recorded": 1, "waiting": 0, "repeated": 1}));
    assert_eq!(send(&server, &key, "response", "b"), WHOLE());
    let user = server.end();
    assert_eq!(decisions_of(&user).len(), 2);
    is_clean(&user);
}
