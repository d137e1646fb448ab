//! Several trails in one server: each for itself, behind one address.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::program::{User, ask, decision, decisions, is_process, signal, wait_until};
use crate::shipping::{Service, host, shipper};
use crate::tcp::{Answer, EVERYTHING, Server};

/// A server of the trails `trail`, `other` and `third`, and a key of everything for each of the first two.
fn several() -> (Server, String, String) {
    let server = Server::among(&["other", "third=folder three"]);
    let (own, other) = (server.key("ops", EVERYTHING), server.key_of("other", "ops", EVERYTHING));
    (server, own, other)
}

fn listed(server: &Server, key: &str, trail: &str) -> usize {
    let path = format!("/t/{trail}/v1/records?kind=decision&limit=100");
    server.ask(key, "GET", &path, "").is(200).json()["records"].as_array().unwrap().len()
}

#[test]
fn each_trail_is_at_its_name_and_sees_nothing_of_the_others() {
    let (server, own, other) = several();
    let lines: Vec<Value> =
        server.running.wait_for_lines(3).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bases: Vec<_> =
        lines.iter().map(|line| line["listen"].as_str().unwrap().split_once("/t/").unwrap().1).collect();
    assert_eq!(bases, ["trail", "other", "third"]);
    assert!(
        lines.iter().all(|line| line["pid"] == lines[0]["pid"]) && lines[0]["trail"] != lines[1]["trail"]
    );

    let id =
        server.ask(&own, "POST", "/v1/records?level=sealed", &decision(1)).is(200).json()["ids"][0].clone();
    let body = format!("[{},{}]", decision(2), decision(3));
    server.ask(&other, "POST", "/t/other/v1/records?level=sealed", &body).is(200);
    assert_eq!((listed(&server, &own, "trail"), listed(&server, &other, "other")), (1, 2));
    let path = format!("/records/{}", id.as_str().unwrap());
    server.ask(&own, "GET", &format!("/t/trail/v1{path}"), "").is(200);
    server.ask(&other, "GET", &format!("/t/other/v1{path}"), "").problem(404, "no-such-record");
    for (key, trail) in [(&own, "trail"), (&other, "other")] {
        let engine = server.ask(key, "GET", &format!("/t/{trail}/v1/engine"), "").is(200).json();
        assert_eq!(engine["base"], format!("/t/{trail}"));
    }

    // A wrong key, a key of another trail, and a trail that there is not: all the same.
    let refused = [
        server.ask("mbk_guess", "GET", "/t/trail/v1/engine", ""),
        server.ask(&other, "GET", "/t/trail/v1/engine", ""),
        server.ask(&own, "GET", "/t/none/v1/engine", ""),
        server.ask(&own, "GET", "/t/", ""),
    ];
    let refused: Vec<_> = refused
        .iter()
        .map(|answer| (answer.status, answer.json(), answer.headers["www-authenticate"].clone()))
        .collect();
    assert_eq!(refused[0].0, 401);
    assert!(refused.iter().all(|answer| *answer == refused[0]), "{refused:?}");
    let no_key = |path: &str| {
        (server.send("GET", path, &[], b"").problem(401, "no-such-key").json(), path.to_owned()).0
    };
    assert_eq!(no_key("/t/trail/v1/engine"), no_key("/t/none/v1/engine"));
    assert_eq!(no_key("/t/trail/healthz"), no_key("/t/none/readyz"), "nor does health tell a name");

    for file in ["trail", "other", "folder three"] {
        let (status, engine) = ask(&server.user.path(file).join("engine.sock"), "GET", "/v1/engine", "");
        assert_eq!((status, &engine["pid"]), (200, &server.pid), "{file}");
    }
    let user = server.end();
    for (trail, keys) in [("trail", "trail"), ("other", "other"), ("folder three", "third")] {
        user.run(["verify", "--trail", trail, "--keys", &format!("keys/{keys}")]).ends(0);
    }
}

/// A message of protobuf: its fields, each with its number.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let field = |(number, bytes): &(u8, &[u8])| {
        let mut length = bytes.len();
        let mut whole = vec![number << 3 | 2];
        while length >= 0x80 {
            whole.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        whole.push(length as u8);
        [whole, bytes.to_vec()].concat()
    };
    fields.iter().flat_map(field).collect()
}

/// A span that tells of a decision, as an exporter sends it over gRPC.
fn span() -> Vec<u8> {
    let attribute =
        |name: &str, value: &str| message(&[(1, name.as_bytes()), (2, &message(&[(1, value.as_bytes())]))]);
    let time = |tag: u8, ns: u64| [&[tag << 3 | 1][..], &ns.to_le_bytes()].concat();
    let span = [
        message(&[(1, &[7; 16]), (2, &[7; 8]), (5, b"chat")]),
        time(7, 1_795_330_800_000_000_000),
        time(8, 1_795_330_800_250_000_000),
        message(&[
            (9, &attribute("gen_ai.operation.name", "chat")),
            (9, &attribute("gen_ai.request.model", "small")),
            (9, &attribute("gen_ai.response.model", "small-2026")),
        ]),
    ]
    .concat();
    let request = message(&[(1, &message(&[(2, &message(&[(2, &span)]))]))]);
    [&[0][..], &(request.len() as u32).to_be_bytes(), &request].concat()
}

#[test]
fn senders_that_can_set_no_path_name_the_trail_in_a_header() {
    let (server, own, other) = several();
    // Without the begin of a path, which every other test here has.
    let server = Server { base: String::new(), ..server };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let send = |key: &str, trail: &[&str]| {
        let bearer = format!("Bearer {key}");
        let mut headers =
            vec![("Authorization", &*bearer), ("Content-Type", "application/grpc"), ("TE", "trailers")];
        headers.extend(trail.iter().map(|trail| ("Minutebook-Trail", *trail)));
        server.send("POST", path, &headers, &span())
    };
    let unnamed = send(&other, &[]).problem(404, "no-trail").json();
    assert!(unnamed["detail"].as_str().unwrap().contains("`minutebook-trail`"), "{unnamed}");
    assert!(!unnamed.to_string().contains("other"), "which there are is told to nobody");
    server.ask(&other, "GET", "/v1/engine", "").problem(404, "no-trail");
    send(&own, &["other"]).problem(401, "no-such-key");
    send(&other, &["none"]).problem(401, "no-such-key");
    send(&other, &["other", "other"]).problem(401, "no-such-key");
    let sent = send(&other, &["other"]).is(200);
    assert_eq!(sent.headers["content-type"], "application/grpc");
    server.ask(&other, "POST", "/t/other/v1/seal", "{}").is(200);
    assert_eq!((listed(&server, &own, "trail"), listed(&server, &other, "other")), (0, 1));
    // The path says more than the header.
    let bearer = format!("Bearer {other}");
    let headers = [("Authorization", &*bearer), ("Minutebook-Trail", "trail")];
    server.send("GET", "/t/other/v1/engine", &headers, b"").is(200);
    server.end();
}

#[test]
fn guesses_are_slowed_for_all_trails_together() {
    let (server, own, _) = several();
    let engine = |key: &str, trail: &str| server.ask(key, "GET", &format!("/t/{trail}/v1/engine"), "").status;
    for guessed in ["other", "none"] {
        wait_until("that guesses at one trail slow who asks another", || {
            while engine("mbk_guess", guessed) == 401 {}
            engine(&own, "trail") == 429
        });
    }
    wait_until("that the right key is looked at again", || engine(&own, "trail") == 200);
    server.end();
}

#[test]
fn a_trail_that_ends_or_goes_away_takes_no_other_with_it() {
    let (server, own, other) = several();
    server.ask(&own, "POST", "/v1/records", &decisions(1)).is(200);
    let health = |path: &str| server.send("GET", path, &[], b"").status;
    assert_eq!((health("/healthz"), health("/readyz")), (200, 200));
    // By its owner, as an engine that is to be replaced.
    server.user.run(["engine", "--stop"]).ends(0).complains("has ended");
    server.ask(&own, "GET", "/v1/engine", "").problem(503, "trail-ended");
    server.ask(&own, "POST", "/v1/records", &decisions(1)).problem(503, "trail-ended");
    server.ask(&other, "GET", "/v1/engine", "").problem(401, "no-such-key");
    assert_eq!((health("/healthz"), health("/readyz")), (200, 503), "the server lives, not all of it works");
    server.ask(&other, "POST", "/t/other/v1/records?level=sealed", &decisions(1)).is(200);
    // Its lock is free, and so is its index: commands work on it as on any.
    server.user.run(["verify"]).ends(0);
    server.user.feed(["record", "--ack", "sealed"], &decisions(2)).ends(0);
    assert_eq!(server.user.run(["search", "--json"]).ends(0).json().len(), 3);

    std::fs::rename(server.user.path("folder three"), server.user.path("elsewhere")).unwrap();
    server.running.wait_for_word("is gone");
    assert!(!server.user.path("folder three").exists(), "nothing is written under its name");
    server.ask(&other, "POST", "/t/other/v1/records?level=sealed", &decisions(1)).is(200);
    assert_eq!(listed(&server, &other, "other"), 2);
    let user = server.end();
    user.run(["verify", "--trail", "other", "--keys", "keys/other"]).ends(0);
    user.run(["verify", "--trail", "elsewhere", "--keys", "keys/third"]).ends(0);
}

#[test]
fn an_end_seals_what_every_trail_has_and_the_last_one_ends_the_server() {
    let (server, own, other) = several();
    // With its body on its way when the end is asked for: it is answered, and sealed.
    let mut under_way = TcpStream::connect(server.address).unwrap();
    let body = decisions(3);
    write!(
        under_way,
        "POST /t/other/v1/records HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {other}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{}",
        server.address,
        body.len(),
        &body[..100]
    )
    .unwrap();
    server.ask(&own, "POST", "/v1/records?level=process", &decision(1)).is(200);
    signal(&server.pid, "-TERM");
    wait_until("that nobody is let in any more", || TcpStream::connect(server.address).is_err());
    under_way.write_all(&body.as_bytes()[100..]).unwrap();
    Answer::read(&mut under_way).is(200);
    server.running.ended().ends(0).complains("records sealed");
    let user = server.user;
    for (trail, count) in [("trail", 1), ("other", 3)] {
        let keys = format!("keys/{trail}");
        let list = ["list", "--json", "-n", "0", "--kind", "decision", "--trail", trail, "--keys", &keys];
        assert_eq!(user.run(list).ends(0).json().len(), count, "{trail}");
    }
    let running = user.start(["serve", "trail", "other", "--keys", "keys", "--listen", "none", "--json"]);
    let pid = serde_json::from_str::<Value>(&running.wait_for_lines(2)[0]).unwrap()["pid"].clone();
    user.run(["serve", "other", "trail", "--keys", "keys", "--listen", "none"])
        .ends(0)
        .prints("already answers");
    user.run(["serve", "other", "trail", "new", "--keys", "keys", "--listen", "none", "--create"])
        .ends(5)
        .complains("serves the trail in");
    for trail in ["trail", "other"] {
        assert!(is_process(&pid));
        user.run(["engine", "--stop", "--trail", trail, "--keys", &format!("keys/{trail}")]).ends(0);
    }
    running.ended().ends(0);
}

#[test]
fn one_trail_is_where_it_always_was_and_at_its_name_too() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    assert_eq!(server.base, "");
    for path in ["/v1/engine", "/t/trail/v1/engine", "/healthz"] {
        server.ask(&key, "GET", path, "").is(200);
    }
    server.ask(&key, "GET", "/t/trail/nothing", "").problem(403, "not-permitted");
    server.ask(&key, "GET", "/t/other/v1/engine", "").problem(401, "no-such-key");
    let bearer = format!("Bearer {key}");
    let with = |trail: &str| {
        server
            .send("GET", "/v1/engine", &[("Authorization", &bearer), ("Minutebook-Trail", trail)], b"")
            .status
    };
    assert_eq!((with("trail"), with("other")), (200, 401), "what was meant for another goes nowhere");
    server.end();
}

/// Where the paths of a document begin, as one relative to where it was asked for.
#[test]
fn a_description_says_where_its_paths_begin() {
    let (server, own, other) = several();
    let begins = |key: &str, path: &str, more: &[(&str, &str)]| {
        let bearer = format!("Bearer {key}");
        let headers = [&[("Authorization", bearer.as_str())], more].concat();
        let document = server.send("GET", path, &headers, b"").is(200).json();
        assert!(document["paths"]["/v1/search"].is_object());
        document["servers"].clone()
    };
    let at = |url: &str| json!([{ "url": url }]);
    assert_eq!(begins(&own, "/t/trail/v1/openapi.json", &[]), at("/t/trail"));
    assert_eq!(begins(&other, "/t/other/v1/openapi.json", &[]), at("/t/other"));
    let socket = server.user.ask("GET", "/v1/openapi.json", "").1;
    assert_eq!(socket["servers"], at("/"));
    server.end();
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    for (path, base) in [("/v1/openapi.json", "/"), ("/t/trail/v1/openapi.json", "/t/trail")] {
        let document = server.ask(&key, "GET", path, "").is(200).json();
        assert_eq!(document["servers"], at(base), "{path}");
    }
    server.end();
}

#[test]
fn one_named_in_a_header_says_where_it_is_without() {
    let (server, _, other) = several();
    let bearer = format!("Bearer {other}");
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /v1/openapi.json HTTP/1.1\r\nHost: {}\r\nAuthorization: {bearer}\r\nMinutebook-Trail: other\r\nConnection: close\r\n\r\n",
        server.address
    )
    .unwrap();
    let document = Answer::read(&mut stream).is(200).json();
    assert_eq!(document["servers"], json!([{ "url": "/t/other" }]));
    server.end();
}

#[test]
fn what_is_shipped_to_one_of_them_is_in_that_one() {
    let server = Server::among(&["other"]);
    let own = server.key("shop", "recorder");
    let folder = host(&server.user, "remote", &server.key_of("other", "shop", "recorder"));
    let foreign = host(&server.user, "foreign", &own);
    let at = format!("{}/t/other", server.address);
    shipper(&server.user, &foreign, &at).ended().ends(4).complains("this API key is not known here");
    let running = shipper(&server.user, &folder, &at);
    running.wait_for_lines(1);
    let mut service = Service::new(&folder);
    let handed: Vec<_> = (0..50).map(|_| service.decide()).collect();
    service.handover.close().unwrap();
    running.ended().ends(0);
    let user = server.end();
    user.run(["show", &handed[7], "--trail", "other", "--keys", "keys/other"]).ends(0);
    user.run(["show", &handed[7]]).ends(2);
    user.run(["verify", "--trail", "other", "--keys", "keys/other"]).ends(0);
}

#[test]
fn trails_that_cannot_be_told_apart_are_refused_with_what_to_do() {
    let user = User::new();
    for (arguments, words) in [
        (&["a", "b/a"][..], "two trails are named `a`"),
        (&["a", "b=./a"], "are the same folder"),
        (&["a", "my trail"], "NAME=DIR"),
    ] {
        let ran = user.run([&["serve", "--create", "--listen", "none"], arguments].concat()).ends(2);
        ran.complains(words);
    }
    user.run(["serve", "a", "b", "--listen", "none"]).ends(2).complains("no trail in");
    assert!(std::fs::read_dir(user.path("")).unwrap().next().is_none(), "nothing was made");
}
