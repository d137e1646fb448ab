//! The proxy over TLS, on both of its sides: between a client that knows its certificate and a model server.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::program::{Running, User, wait_until};
use crate::tls::{Client, certify};

const PATH: &str = "/v2/models/credit/infer";

fn asked() -> String {
    json!({"inputs": [{"name": "amount", "shape": [1], "datatype": "FP64", "data": [4870.0]}]}).to_string()
}

/// A model server that plays what a test says for each connection, of which it has read a whole request.
#[expect(clippy::disallowed_methods, reason = "the other side of a test")]
fn upstream(play: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut read, mut some) = (Vec::new(), [0; 4096]);
            while !read.ends_with(b"}") {
                let count = stream.read(&mut some).unwrap();
                assert!(count > 0, "a request without its body");
                read.extend_from_slice(&some[..count]);
            }
            play(stream);
        }
    });
    format!("http://{address}")
}

/// One that answers at once.
fn model() -> String {
    let answer = json!({"model_name": "credit", "model_version": "7", "outputs": [{"name": "p", "shape": [1], "datatype": "FP64", "data": [0.31]}]});
    upstream(move |mut stream| {
        let body = answer.to_string();
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    })
}

/// A proxy that is ready, and the port of 127.0.0.1 at which it is reached.
fn started(user: &User, scheme: &str, arguments: &[&str]) -> (Running, SocketAddr) {
    let running = user.start([&["proxy", "--create", "--json"], arguments].concat());
    let line: Value = serde_json::from_str(&running.wait_for_lines(1)[0]).unwrap();
    let listen = line["listen"].as_str().unwrap().strip_prefix(scheme).unwrap();
    let port = listen.strip_prefix("://").unwrap().parse::<SocketAddr>().unwrap().port();
    (running, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn a_call_over_tls_1_3_passes_and_is_recorded_and_a_new_certificate_holds_without_a_restart() {
    let user = User::new();
    let first = certify(&user);
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let upstream = model();
    let at = ["--upstream", &upstream, "--listen", "0.0.0.0:0"];
    user.run([&["proxy"], &at[..], &tls[..2]].concat()).ends(2).complains("--tls-key");
    std::fs::set_permissions(user.path("key.pem"), Permissions::from_mode(0o644)).unwrap();
    user.run([&["proxy", "--create"], &at[..], &tls].concat()).ends(2).complains("chmod o-rwx");
    assert!(!user.path("trail").exists(), "nothing is made for a proxy that cannot be reached");
    std::fs::set_permissions(user.path("key.pem"), Permissions::from_mode(0o600)).unwrap();

    let (running, address) = started(&user, "https", &[&at[..], &tls].concat());
    let client = Client::new(&first, address, &[&TLS13]);
    let answer = client.ask("k", "POST", PATH, &asked()).unwrap().is(200);
    assert_eq!(answer.json()["outputs"][0]["data"], json!([0.31]));
    let id = answer.headers["minutebook-decision-id"].clone();
    assert!(Client::new(&first, address, &[&TLS12]).ask("k", "POST", PATH, &asked()).is_err());
    // Plain HTTP gets no answer.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(!heard.starts_with(b"HTTP"));

    let second = certify(&user);
    let renewed = Client::new(&second, address, &[&TLS13]);
    wait_until("the new certificate", || renewed.ask("k", "POST", PATH, &asked()).is_ok());
    assert!(client.ask("k", "POST", PATH, &asked()).is_err(), "the former one is shown no more");

    running.interrupt();
    running.ended().ends(0).complains("2 decisions recorded");
    user.run(["engine", "--stop"]).ends(0);
    let shown = user.run(["show", &id, "--json"]).ends(0).json().remove(0);
    assert_eq!(
        (&shown["inputs"]["amount"], &shown["outputs"]["p"]),
        (&json!(4870.0), &json!(0.31)),
        "{shown}"
    );
}

#[test]
fn plain_http_leaves_the_machine_only_when_somebody_says_so() {
    let user = User::new();
    let upstream = model();
    let at = ["--upstream", &upstream, "--listen", "0.0.0.0:0"];
    user.run([&["proxy", "--create"], &at[..]].concat())
        .ends(2)
        .complains("over plain HTTP what is said could be read on the way")
        .complains("--tls-cert and --tls-key, or say --insecure-http");
    assert!(!user.path("trail").exists());
    let (running, address) = started(&user, "http", &[&at[..], &["--insecure-http"]].concat());
    // Who has the address is told without what only `serve` knows.
    let taken = ["proxy", "--upstream", &upstream, "--listen", &address.to_string()].map(str::to_owned);
    let ran = user.run(&taken).ends(4).complains("another process listens");
    assert!(!ran.err.contains("--listen none"), "{}", ran.err);
    running.interrupt();
    running.ended().ends(0);
    user.run(["engine", "--stop"]).ends(0);
}

/// Answers with one piece, and with a second one when the test says that the first has come.
fn pieces() -> (String, Sender<()>) {
    let (came, comes): (Sender<()>, Receiver<()>) = channel();
    let url = upstream(move |mut stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"d\r\ndata: first\n\n\r\n").unwrap();
        comes.recv().unwrap();
        stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n").unwrap();
    });
    (url, came)
}

#[test]
fn each_event_of_a_stream_passes_at_once_over_tls() {
    let user = User::new();
    let known = certify(&user);
    let (upstream, came) = pieces();
    let arguments = [
        "--upstream",
        &upstream,
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ];
    let (running, address) = started(&user, "https", &arguments);
    let mut stream = Client::new(&known, address, &[&TLS13]).connect().unwrap();
    let body = json!({"model": "m", "messages": [], "stream": true}).to_string();
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut heard = String::new();
    let mut until = |text: &str| {
        let mut some = [0; 4096];
        while !heard.contains(text) {
            let count = stream.read(&mut some).unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(std::str::from_utf8(&some[..count]).unwrap());
        }
    };
    // The second event is sent when the first one is here: where anything held it back, both would wait for each other.
    until("data: first\n\n");
    came.send(()).unwrap();
    until("data: second\n\n");
    running.interrupt();
    running.ended().ends(0).complains("1 decision recorded");
    user.run(["engine", "--stop"]).ends(0);
}

#[test]
fn an_upstream_over_tls_is_known_by_the_authorities_that_are_named() {
    let user = User::new();
    certify(&user);
    let plain = model();
    // What speaks TLS before the model is a proxy too.
    let arguments =
        ["--upstream", &plain, "--listen", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let (behind, address) = started(&user, "https", &arguments);
    let upstream = format!("https://localhost:{}", address.port());
    let front = ["--upstream", &upstream, "--listen", "127.0.0.1:0", "--producer", "front"];
    let call = |address: SocketAddr| {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = asked();
        let length = body.len();
        write!(stream, "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}").unwrap();
        crate::tcp::Answer::read(&mut stream)
    };
    let (running, at) = started(&user, "http", &[&front[..], &["--upstream-ca", "cert.pem"]].concat());
    assert_eq!(call(at).is(200).json()["model_version"], "7");
    running.interrupt();
    running.ended().ends(0);

    certify(&user);
    let (running, at) = started(&user, "http", &[&front[..], &["--upstream-ca", "cert.pem"]].concat());
    // The one behind shows the new certificate soon; one of another authority is not spoken to.
    wait_until("the new certificate", || call(at).status == 200);
    running.interrupt();
    running.ended().ends(0);
    let other = User::new();
    certify(&other);
    let ca = other.path("cert.pem");
    let (running, at) =
        started(&user, "http", &[&front[..], &["--upstream-ca", ca.to_str().unwrap()]].concat());
    let refused = call(at).problem(502, "upstream-unreachable");
    assert!(refused.json()["detail"].as_str().unwrap().contains("--upstream-ca"));
    running.interrupt();
    running.ended().ends(0);

    user.write("none.pem", "");
    let wrong = |more: &[&str]| user.run([&["proxy", "--no-seal"], &front[..], more].concat()).ends(2);
    wrong(&["--upstream-ca", "none.pem"]).complains("no certificate is in it").complains("--upstream-ca");
    wrong(&["--upstream-ca", "away.pem"]).complains("`away.pem`: there is no such file");
    user.run(["proxy", "--upstream", &plain, "--upstream-ca", "cert.pem"]).ends(2).complains("over http://");
    behind.interrupt();
    behind.ended().ends(0);
    user.run(["engine", "--stop"]).ends(0);
}
