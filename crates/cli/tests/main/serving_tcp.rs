use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use minutebook_tlog::{
    Checkpoint, LeafIndex, Tile, TileReader, TiledTree, VerifierKey, decode_bundle, leaf_hash,
};

use crate::program::{User, decisions, signal, wait_until};
use crate::tcp::{Answer, EVERYTHING, Server};

#[test]
fn whoever_comes_over_tcp_needs_a_key_and_the_socket_does_not() {
    let server = Server::new();
    server.running.wait_for_word("minutebook api-key create");
    assert_eq!(server.user.ask("GET", "/v1/engine", "").0, 200);
    for path in ["/v1/engine", "/v1/records", "/log/checkpoint", "/nothing"] {
        let answer = server.send("GET", path, &[], b"").problem(401, "no-such-key");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        server.ask("mbk_guess", "GET", path, "").problem(401, "no-such-key");
    }
    let key = server.key("ops", EVERYTHING);
    assert_eq!((&key[..4], key.len()), ("mbk_", 68));
    let engine = server.ask(&key, "GET", "/v1/engine", "").is(200).json();
    assert_eq!(
        (&engine["pid"], engine["listen"].as_str()),
        (&server.pid, Some(server.address.to_string().as_str()))
    );
    server.ask(&key, "POST", "/v1/seal", "").is(200);
    server.ask(&key, "GET", "/nothing", "").problem(403, "not-permitted");
    let user = server.end();
    for file in ["trail/tmp/engine.log", "keys/api-keys.toml"] {
        let text = std::fs::read_to_string(user.path(file)).unwrap_or_default();
        assert!(!text.contains(&key[4..]), "{file}");
    }
    user.run(["verify"]).ends(0);
}

#[test]
fn a_key_does_what_it_is_for_until_it_is_revoked() {
    let server = Server::new();
    let (read, write) = (server.key("dashboard", "analyst,auditor"), server.key("shop", "recorder"));
    let line = decisions(1);
    server.ask(&read, "POST", "/v1/records", &line).problem(403, "not-permitted");
    let id = server.ask(&write, "POST", "/v1/records", &line).is(200).json()["ids"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/records/{id}");
    server.ask(&write, "GET", &path, "").problem(403, "not-permitted");
    server.ask(&read, "GET", &path, "").is(200);
    server.ask(&read, "POST", &format!("{path}/verify"), "").is(200);
    server.ask(&read, "POST", "/v1/verify", "").is(200);
    for path in ["/v1/stop", "/v1/erase", "/v1/keys/sampling/rotate"] {
        server.ask(&read, "POST", path, "{}").problem(403, "not-permitted");
        server.ask(&write, "POST", path, "{}").problem(403, "not-permitted");
    }
    let listed = server.user.run(["api-key", "list"]).ends(0);
    assert!(
        listed.out.contains("dashboard") && listed.out.contains("shop") && !listed.out.contains(&read[4..])
    );
    server
        .user
        .run(["api-key", "create", "shop", "--role", "recorder"])
        .ends(2)
        .complains("there is an API key `shop` already");
    server.user.run(["api-key", "revoke", "shop"]).ends(0).prints("`shop` is revoked");
    wait_until("the end of the key", || server.ask(&write, "POST", "/v1/records", &line).status == 401);
    server.ask(&read, "GET", &path, "").is(200);
    server.user.run(["api-key", "revoke", "shop"]).ends(2).complains("there is no API key `shop`");
    server.end();
}

#[test]
fn what_web_pages_send_is_refused() {
    let server = Server::new();
    let key = format!("Bearer {}", server.key("ops", EVERYTHING));
    let with = |name: &str, value: &str| {
        server.send("GET", "/v1/engine", &[("Authorization", &key), (name, value)], b"").status
    };
    assert_eq!(with("Host", &format!("localhost:{}", server.address.port())), 200);
    assert_eq!(with("Origin", &format!("http://{}", server.address)), 200);
    assert_eq!(with("Host", "evil.example"), 403);
    assert_eq!(with("Origin", "https://evil.example"), 403);
    let health = server.send("GET", "/healthz", &[("Host", "evil.example")], b"");
    health.problem(403, "foreign-request");
    server.end();
}

#[test]
fn whoever_watches_is_told_whether_it_works() {
    let server = Server::new();
    let body = |path: &str| server.send("GET", path, &[], b"").is(200).body;
    assert_eq!((body("/healthz"), body("/readyz")), (b"ok\n".to_vec(), b"ready\n".to_vec()));
    // In the way of sealing, as a disk that is full.
    std::fs::rename(server.user.path("trail/segments"), server.user.path("trail/tmp/segments")).unwrap();
    server.user.write("trail/segments", "in the way");
    server.user.feed(["record", "--no-seal"], &decisions(1)).ends(0);
    let ready = || server.send("GET", "/readyz", &[], b"");
    wait_until("a failure", || ready().status == 503);
    assert_eq!(ready().body, b"not ready\n");
    assert_eq!(body("/healthz"), b"ok\n");
    std::fs::remove_file(server.user.path("trail/segments")).unwrap();
    std::fs::rename(server.user.path("trail/tmp/segments"), server.user.path("trail/segments")).unwrap();
    wait_until("that it works again", || ready().status == 200);
    server.end();
}

/// Tiles as anybody reads them who has an address and a key.
struct Outsider<'s> {
    server: &'s Server,
    key: String,
}

impl TileReader for Outsider<'_> {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, String> {
        let answer = self.server.ask(&self.key, "GET", &format!("/log/{tile}"), "");
        if answer.status == 200 { Ok(answer.body.into()) } else { Err(answer.status.to_string()) }
    }
}

#[test]
fn an_outsider_computes_the_root_of_the_log_from_what_is_served() {
    let server = Server::new();
    for _ in 0..3 {
        server.user.record(&decisions(2));
    }
    let outsider = Outsider { key: server.key("auditor", "auditor"), server: &server };
    let get = |path: &str| server.ask(&outsider.key, "GET", path, "");
    let note = get("/log/checkpoint");
    assert_eq!(note.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(note.headers["cache-control"], "no-cache");
    let file = std::fs::read_to_string(server.user.path("trail/trail.toml")).unwrap();
    let file: toml::Table = file.parse().unwrap();
    let log: VerifierKey = file["log-key"].as_str().unwrap().parse().unwrap();
    let (checkpoint, _) = Checkpoint::open(&note.body, &log).unwrap();
    let size = checkpoint.size();
    assert!(size.get() >= 3, "{size:?}");
    let mut tree = TiledTree::new(&outsider, size);
    assert_eq!(tree.root().unwrap(), checkpoint.root());
    let bundle = Tile::of_entry(LeafIndex::new(0), size).unwrap();
    let served = get(&format!("/log/{bundle}")).is(200);
    assert_eq!(
        (&*served.headers["content-type"], &*served.headers["cache-control"]),
        ("application/octet-stream", "max-age=60")
    );
    for (index, entry) in (0..).zip(decode_bundle(&served.body, bundle.width()).unwrap()) {
        assert_eq!(tree.leaf(LeafIndex::new(index)).unwrap(), leaf_hash(entry));
    }

    // A full tile, as a log of this age has none.
    std::fs::write(server.user.path("trail/log/tile/0/007"), [7; 8192]).unwrap();
    let full = get("/log/tile/0/007").is(200);
    assert_eq!(full.headers["cache-control"], "max-age=31536000, immutable");
    for path in [
        "tile/0/001",
        "tile/0/000.p/255",
        "tile/0/000.p/256",
        "tile/0/x000/000",
        "tile/64/000",
        "tile/00/000",
        "tile/0",
        "tile/entries",
        "tile/0/../../checkpoint",
        "tile/0/..%2f..%2fcheckpoint",
        "tile/%2e%2e/%2e%2e/trail.toml",
        "tile//etc/passwd",
        "tile/0/007/",
    ] {
        get(&format!("/log/{path}")).problem(404, "no-such-tile");
    }
    for path in ["trail.toml", "", "tile/", "../trail.toml", "%2e%2e/catalog.db"] {
        get(&format!("/log/{path}")).problem(403, "not-permitted");
    }
    server.end();
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_what_to_do() {
    let server = Server::new();
    let other = User::with_trail();
    let at = server.address.to_string();
    other
        .run(["serve", "--listen", &at])
        .ends(4)
        .complains("another process listens")
        .complains("--listen none");
    other
        .run(["serve", "--listen", "0.0.0.0:0"])
        .ends(2)
        .complains("--insecure-http")
        .complains("--tls-cert");
    other.run(["serve", "--listen", "here"]).ends(2).complains("127.0.0.1:6262");
    let open = other.start(["serve", "--listen", "0.0.0.0:0", "--insecure-http", "--json"]);
    let line = open.wait_for_lines(1).remove(0);
    assert!(line.contains("http://0.0.0.0:"), "{line}");
    open.interrupt();
    open.ended().ends(0);
    // The one that listens already will do, another address will not.
    server.user.run(["serve", "--listen", &at]).ends(0).prints(&format!(
        "already answers at `{}` and at http://{at}",
        server.user.path("trail/engine.sock").display()
    ));
    server.user.run(["serve", "--listen", "127.0.0.1:1"]).ends(5).complains("it listens at");
    server.end();
}

#[test]
fn it_ends_in_order_and_clients_that_hang_do_not_hold_it() {
    let server = Server::new();
    let key = server.key("ops", EVERYTHING);
    let connect = || TcpStream::connect(server.address).unwrap();
    // One that says nothing, one within its head, one that has an answer and stays.
    let (mut silent, mut slow, mut idle) = (connect(), connect(), connect());
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).unwrap();
    let mut first = [0; 16];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK\r");
    // One whose body is on its way when the end is asked for: it is answered.
    let mut under_way = connect();
    let body = decisions(3);
    write!(
        under_way,
        "POST /v1/records HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{}",
        server.address,
        body.len(),
        &body[..100]
    )
    .unwrap();
    // It is worked on when others see the end.
    server.send("GET", "/healthz", &[], b"").is(200);
    signal(&server.pid, "-TERM");
    wait_until("that nobody is let in any more", || {
        TcpStream::connect(server.address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    under_way.write_all(&body.as_bytes()[100..]).unwrap();
    let answer = Answer::read(&mut under_way).is(200);
    let id = answer.json()["ids"][2].as_str().unwrap().to_owned();
    for stream in [&mut silent, &mut slow] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Closed, or reset: either is an end.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    server.running.ended().ends(0).complains("records sealed");
    server.user.run(["show", &id]).ends(0);
    server.user.run(["verify"]).ends(0);
}
