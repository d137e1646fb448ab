//! Records without an end over HTTP: told block after block how far they are taken, each there once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::program::{decision, now};
use crate::tcp::{EVERYTHING, Server};

/// A request whose body is still being sent, and its answer.
struct Stream {
    out: TcpStream,
    answer: BufReader<TcpStream>,
    status: Option<u16>,
    rest: Vec<u8>,
}

impl Stream {
    fn open(server: &Server, key: &str, query: &str, headers: &str) -> Self {
        let mut out = TcpStream::connect(server.address).unwrap();
        out.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "POST /v1/records/stream{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{headers}\r\n",
            server.address
        );
        out.write_all(head.as_bytes()).unwrap();
        let answer = BufReader::new(out.try_clone().unwrap());
        Self { out, answer, status: None, rest: Vec::new() }
    }

    fn send(&mut self, text: &str) {
        // Whether a server that has ended takes it does not matter.
        let _ = write!(self.out, "{:x}\r\n{text}\r\n", text.len());
    }

    fn end(&mut self) {
        let _ = self.out.write_all(b"0\r\n\r\n");
    }

    fn head_line(&mut self) -> String {
        let mut line = String::new();
        self.answer.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next line of the answer.
    #[track_caller]
    fn line(&mut self) -> Value {
        if self.status.is_none() {
            let status = self.head_line();
            self.status = Some(status.split(' ').nth(1).unwrap().parse().unwrap());
            while !self.head_line().is_empty() {}
        }
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let size = self.head_line();
            let mut chunk = vec![0; usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("{size:?}"))];
            assert!(!chunk.is_empty(), "the answer ended");
            self.answer.read_exact(&mut chunk).unwrap();
            self.rest.extend(chunk);
            self.head_line();
        }
    }

    /// The last line.
    #[track_caller]
    fn last(&mut self) -> Value {
        loop {
            let line = self.line();
            if line["end"] == true || !line["error"].is_null() {
                return line;
            }
        }
    }
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| decision(number) + "\n").collect()
}

#[track_caller]
fn told(line: &Value) -> [u64; 3] {
    ["lines", "recorded", "repeated"].map(|name| line[name].as_u64().unwrap_or_else(|| panic!("{line}")))
}

#[track_caller]
fn decisions(server: &Server) -> usize {
    server.user.run(["seal"]).ends(0);
    let listed = server.user.run(["list", "--kind", "decision", "--limit", "10000", "--json"]).ends(0);
    listed.lines().len()
}

#[test]
fn a_stream_is_told_how_far_it_is_taken_while_it_goes_on() {
    let server = Server::new();
    let key = server.key("shop", EVERYTHING);
    let mut stream = Stream::open(&server, &key, "?ids=true", "");
    stream.send(&lines(0..1_003));
    let first = stream.line();
    assert_eq!(told(&first), [1_000, 1_000, 0]);
    assert_eq!(first["ids"].as_array().unwrap().len(), 1_000);
    assert_eq!(told(&stream.line()), [1_003, 1_003, 0], "what came does not wait for what does not");
    let shown = format!("/v1/records/{}", first["ids"][999].as_str().unwrap());
    assert_eq!(server.ask(&key, "GET", &shown, "").is(200).json()["inputs"]["amount"], 999.5);
    stream.send("\n");
    stream.send(&lines(0..2));
    stream.end();
    let last = stream.last();
    assert_eq!((told(&last), &last["end"]), ([1_006, 1_005, 0], &true.into()));
    assert_eq!(decisions(&server), 1_005);
    server.end().run(["verify"]).ends(0);
}

#[test]
fn what_is_wrong_ends_a_stream_and_what_was_told_before_is_there() {
    let server = Server::new();
    let key = server.key("shop", EVERYTHING);
    let mut stream = Stream::open(&server, &key, "", "");
    stream.send(&format!("{}{{\"kind\": \"nonsense\"}}\n{}", lines(0..1_202), lines(0..5)));
    stream.end();
    assert_eq!(told(&stream.line()), [1_000, 1_000, 0]);
    let last = stream.line();
    assert_eq!(told(&last), [1_000, 1_000, 0]);
    let error = &last["error"];
    assert_eq!(
        (&error["code"], &error["errors"][0]["line"]),
        (&"wrong-records".into(), &1_203.into()),
        "{error}"
    );
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.starts_with("nothing from line 1001 on was recorded: line 1203"), "{detail}");
    assert_eq!(decisions(&server), 1_000);

    let begins = |headers: &str, query: &str| {
        let mut stream = Stream::open(&server, &key, query, headers);
        stream.end();
        stream.head_line().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(begins("", ""), "200");
    assert_eq!(begins("Content-Encoding: gzip\r\n", ""), "415");
    assert_eq!(begins("", "?level=sealed"), "400");
    assert_eq!(begins(&format!("Idempotency-Key: {}\r\n", "x".repeat(241)), ""), "400");
    server.ask(&key, "POST", "/v1/records/stream", "{}").problem(415, "unsupported");
    let own = server.key_for("own", "recorder", &["fraud"]);
    let mut foreign = Stream::open(&server, &own, "", "");
    foreign.send(&lines(0..1));
    foreign.end();
    assert_eq!(foreign.last()["error"]["code"], "not-permitted");
    server.user.run(["seal"]).ends(0);
    let denied = server.user.run(["list", "--kind", "access", "--json"]).ends(0).json();
    let denied = denied.iter().map(|record| &record["access"]).find(|access| access["who"] == "own");
    let denied = denied.expect("a denial is on the record");
    assert_eq!((&denied["outcome"], &denied["asked"]), (&"denied".into(), &"POST /v1/records/stream".into()));
    assert_eq!(decisions(&server), 1_000);
    server.end();
}

#[test]
fn a_stream_that_broke_off_comes_again_and_each_record_is_there_once() {
    let server = Server::new();
    let key = server.key("shop", EVERYTHING);
    let named = "Idempotency-Key: day-7\r\n";
    let all = lines(0..3_500);
    let mut broken = Stream::open(&server, &key, "", named);
    broken.send(&all[..all.len() * 2 / 3]);
    assert_eq!(told(&broken.line()), [1_000, 1_000, 0]);
    drop(broken);

    let mut again = Stream::open(&server, &key, "", named);
    again.send(&all);
    again.end();
    let [through, recorded, repeated] = told(&again.last());
    assert_eq!((through, recorded + repeated), (3_500, 3_500));
    assert!(repeated >= 1_000, "{repeated}");
    let mut third = Stream::open(&server, &key, "", named);
    third.send(&all);
    third.end();
    assert_eq!(told(&third.last()), [3_500, 0, 3_500]);
    assert_eq!(decisions(&server), 3_500);
    let mut other = Stream::open(&server, &key, "", named);
    other.send(&lines(1..1_001));
    assert_eq!(other.last()["error"]["code"], "key-reused");
    server.end().run(["verify"]).ends(0);
}

#[test]
fn a_key_that_is_revoked_ends_its_stream() {
    let server = Server::new();
    let key = server.key("shop", "recorder");
    let mut stream = Stream::open(&server, &key, "", "");
    stream.send(&lines(0..3));
    assert_eq!(told(&stream.line()), [3, 3, 0]);
    server.user.run(["api-key", "revoke", "shop"]).ends(0);
    std::thread::sleep(Duration::from_secs(1));
    stream.send(&lines(3..5));
    let last = stream.line();
    assert_eq!((told(&last), &last["error"]["code"]), ([3, 3, 0], &"no-such-key".into()));
    assert_eq!(decisions(&server), 3);
    server.end();
}

#[test]
fn a_server_that_ends_says_so_and_keeps_what_it_told() {
    let server = Server::new();
    let key = server.key("shop", EVERYTHING);
    let mut stream = Stream::open(&server, &key, "", "");
    stream.send(&lines(0..7));
    assert_eq!(told(&stream.line()), [7, 7, 0]);
    let asked = now();
    crate::program::signal(&server.pid, "-TERM");
    let last = stream.last();
    assert_eq!((told(&last), &last["error"]["code"]), ([7, 7, 0], &"engine-stopped".into()));
    drop(stream);
    server.running.ended().ends(0);
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert_eq!(server.user.run(["list", "--kind", "decision", "--json"]).ends(0).lines().len(), 7);
}
