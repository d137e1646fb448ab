//! Producers on other machines: their records reach the trail once each, whoever is killed and whenever.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minutebook_capture::{Clock, IntakePublicKey, Producer, ProducerOptions, Shipment, SystemClock};
use minutebook_present::json::{DraftReader, ReadAt};
use minutebook_record::{ClassName, Field, FieldType, Kind, Schema};
use minutebook_server::HandOver;
use serde_json::Value;

use crate::program::{Running, User, signal, wait_until};
use crate::tcp::Server;

const FOLDER: &str = "MINUTEBOOK_TEST_REMOTE";
const COUNT: &str = "MINUTEBOOK_TEST_COUNT";

/// A folder on another machine, by its name.
pub fn host(user: &User, name: &str, key: &str) -> PathBuf {
    let folder = user.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("api-key"), key).unwrap();
    folder
}

pub fn shipper(user: &User, folder: &Path, address: impl std::fmt::Display) -> Running {
    user.start([
        "ship",
        folder.to_str().unwrap(),
        "--to",
        &format!("http://{address}"),
        "--idle",
        "1",
        "--json",
    ])
}

fn options(folder: &Path) -> ProducerOptions {
    let remote: Value = serde_json::from_slice(&std::fs::read(folder.join("remote.json")).unwrap()).unwrap();
    let hex = |name: &str| remote[name].as_str().unwrap().to_owned();
    let trail = minutebook_verify::unhex(&hex("trail")).unwrap();
    let intake = IntakePublicKey::from_bytes(minutebook_verify::unhex(&hex("intake_key")).unwrap());
    ProducerOptions {
        part_bytes: 64 << 10,
        ..ProducerOptions::new(folder.join("spool"), trail, intake, "scoring")
    }
}

/// A service that decides.
pub struct Service {
    pub handover: HandOver,
    drafts: DraftReader,
    folder: PathBuf,
    count: u64,
}

impl Service {
    pub fn new(folder: &Path) -> Self {
        let handover = HandOver::open(options(folder)).unwrap();
        Self { handover, drafts: DraftReader::new(false), folder: folder.to_owned(), count: 0 }
    }

    pub fn decide(&mut self) -> String {
        self.count += 1;
        let line = format!(
            r#"{{"model": {{"name": "credit", "version": "1"}}, "inputs": {{"n": {}, "text": "{}"}}, "outputs": {{"approve": true}}}}"#,
            self.count,
            "x".repeat(40)
        );
        let at = ReadAt { time_ns: SystemClock.wall_ns(), clock_error_ns: None };
        let draft = self.drafts.read(line.as_bytes(), at).unwrap();
        self.handover.hand_over(&draft).unwrap().to_string()
    }

    /// Whether all is on the server's disk, or why not.
    fn flush(&self) -> Result<(), String> {
        let epochs = Shipment::list(&self.folder.join("spool")).unwrap().epochs;
        let last = epochs.last().ok_or("no epoch")?;
        let epoch = Shipment::open(&last.path, &last.name).unwrap();
        let said = ask(&self.folder, &format!("flush {} {}", epoch.producer(), epoch.epoch().get()))?;
        if said == "done" { Ok(()) } else { Err(said) }
    }
}

/// One line to a shipper, and its answer.
fn ask(folder: &Path, line: &str) -> Result<String, String> {
    let mut stream = UnixStream::connect(folder.join("ship.sock")).map_err(|error| error.to_string())?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(|error| error.to_string())?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(|error| error.to_string())?;
    match said.strip_suffix('\n') {
        Some(said) => Ok(said.to_owned()),
        None => Err("it broke off".into()),
    }
}

#[track_caller]
fn ids(user: &User) -> Vec<String> {
    let ran = user.run(["sql", "SELECT id FROM \"credit\"", "--json"]).ends(0);
    ran.json().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn ship_to_the_end(user: &User, folder: &Path, address: SocketAddr) {
    shipper(user, folder, address).ended().ends(0);
    assert!(!folder.join("ship.sock").exists());
    let left = Shipment::list(&folder.join("spool")).unwrap();
    assert!(left.epochs.is_empty() && left.orphans.is_empty(), "{left:?}");
}

#[test]
fn what_is_handed_over_elsewhere_is_in_the_trail() {
    let server = Server::new();
    let key = server.key("shop", "recorder");
    let folder = host(&server.user, "remote", &key);
    let running = shipper(&server.user, &folder, server.address);
    let first: Value = serde_json::from_str(&running.wait_for_lines(1)[0]).unwrap();
    assert_eq!(first["trail"].as_str().unwrap().len(), 32);
    let mut service = Service::new(&folder);
    let handed: Vec<_> = (0..500).map(|_| service.decide()).collect();
    wait_until("a flush", || service.flush() == Ok(()));
    let status = server.ask(&server.key("all", "administrator"), "GET", "/v1/status", "").is(200).json();
    let producer = &status["spool"]["producers"].as_array().unwrap()[0];
    assert!(producer["name"].as_str().unwrap().starts_with("scoring."), "{producer}");
    assert_eq!((&producer["alive"], producer["heard"].is_string()), (&true.into(), true));
    // A second one beside it has nothing to do.
    let second = shipper(&server.user, &folder, server.address).ended().ends(0);
    assert_eq!(second.json()[0]["already"], true);
    service.handover.close().unwrap();
    running.ended().ends(0);
    assert!(Shipment::list(&folder.join("spool")).unwrap().epochs.is_empty());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("secret")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let user = server.end();
    user.run(["verify"]).ends(0);
    assert_eq!(ids(&user).into_iter().collect::<BTreeSet<_>>(), handed.into_iter().collect());
    user.run(["doctor"]).ends(0);
}

#[test]
fn a_server_may_be_away() {
    let server = Server::new();
    let (address, key) = (server.address, server.key("shop", "recorder"));
    let folder = host(&server.user, "remote", &key);
    let running = shipper(&server.user, &folder, address);
    running.wait_for_lines(1);
    let mut service = Service::new(&folder);
    let mut handed: Vec<_> = (0..20).map(|_| service.decide()).collect();
    wait_until("a flush", || service.flush() == Ok(()));
    signal(&server.pid, "-KILL");
    let Server { user, running: served, .. } = server;
    served.ended();
    handed.extend((0..2_000).map(|_| service.decide()));
    let why = service.flush().unwrap_err();
    assert!(why.contains("does not take it"), "{why}");
    let from = SystemClock.monotonic_ns();
    service.flush().unwrap_err();
    assert!(SystemClock.monotonic_ns() - from < 500_000_000, "who asks next is told at once");
    service.handover.close().unwrap();
    let again = user.start(["serve", "--listen", &address.to_string(), "--json"]);
    again.wait_for_lines(1);
    running.ended().ends(0);
    again.interrupt();
    again.ended().ends(0);
    user.run(["verify"]).ends(0);
    assert_eq!(ids(&user).into_iter().collect::<BTreeSet<_>>(), handed.into_iter().collect());
}

#[test]
fn a_second_shipper_is_told_by_an_exit_code_of_its_own_while_the_first_knows_no_trail_yet() {
    let user = User::new();
    let folder = host(&user, "remote", "mbk_any");
    // A server that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let first = shipper(&user, &folder, address);
    let _asked = silent.accept().unwrap();
    shipper(&user, &folder, address).ended().ends(5).complains("another shipper has").complains("wait until");
    first.kill();
    first.ended().ends(-1);
}

#[test]
fn who_may_not_record_ships_nothing() {
    let server = Server::new();
    let folder = host(&server.user, "remote", &server.key("looks", "analyst"));
    let ran = shipper(&server.user, &folder, server.address).ended();
    ran.ends(4).complains("the API key `looks` (role `analyst`) does not permit `record`");
    std::fs::write(folder.join("api-key"), "mbk_wrong").unwrap();
    let ran = shipper(&server.user, &folder, server.address)
        .ended()
        .ends(4)
        .complains("this API key is not known here");
    assert!(!ran.err.contains("mbk_wrong"), "{}", ran.err);
    std::fs::remove_file(folder.join("api-key")).unwrap();
    shipper(&server.user, &folder, server.address).ended().ends(4).complains("there is no API key");
    let plain = server.user.run(["ship", "remote", "--to", "http://trail.example"]).ends(2);
    plain.complains("without TLS");
    server.end();
}

#[test]
fn a_broken_client_is_told_and_reaches_nobody_elses_producer() {
    let server = Server::new();
    let key = server.key("shop", "recorder");
    let folder = host(&server.user, "remote", &key);
    let running = shipper(&server.user, &folder, server.address);
    running.wait_for_lines(1);
    let mut service = Service::new(&folder);
    service.decide();
    wait_until("a flush", || service.flush() == Ok(()));
    let epochs = Shipment::list(&folder.join("spool")).unwrap().epochs;
    let epoch = Shipment::open(&epochs[0].path, "scoring").unwrap();
    let (path, file) = (format!("/v1/spool/{}/1", epoch.producer()), epoch.file_bytes().unwrap());
    let bearer = format!("Bearer {key}");
    let other = "00".repeat(32);
    let own = std::fs::read_to_string(folder.join("secret")).unwrap();
    let send = |secret: &str, method: &str, path: &str, body: &[u8]| {
        let headers = [("Authorization", bearer.as_str()), ("minutebook-spool-secret", secret)];
        server.send(method, path, &headers, body)
    };
    let own = own.trim();
    send(&other, "GET", &format!("{path}?name=scoring"), b"").problem(403, "not-your-producer");
    send(&other, "PUT", &format!("{path}?name=scoring&state=dead"), &file).problem(403, "not-your-producer");
    send(&other, "GET", &format!("{path}?name=other"), b"").problem(404, "no-such-epoch");
    send("short", "GET", &format!("{path}?name=scoring"), b"").problem(400, "bad-request");
    send(own, "GET", &format!("{path}?name=../../x"), b"").problem(400, "wrong-spool");
    send(own, "GET", "/v1/spool/zz/1?name=scoring", b"").problem(400, "bad-request");
    send(own, "GET", "/v1/spool/zz/-1?name=scoring", b"").problem(400, "bad-request");
    send(own, "PUT", &format!("{path}?name=scoring"), &file[..100]).problem(400, "wrong-spool");
    send(own, "PUT", &format!("{path}/1?name=scoring&offset=4096&capacity=65536"), &[1; 64])
        .problem(400, "wrong-spool");
    let far = format!("{path}/1?name=scoring&offset=40960&capacity=65536&torn=true");
    send(own, "PUT", &far, &[1; 64]).problem(409, "spool-position");
    let long = format!("{path}/1?name=scoring&offset=4096&capacity=65536&torn=true");
    send(own, "PUT", &long, &vec![0; 3 << 20]).problem(413, "too-large");
    send(own, "GET", &format!("{path}?name=scoring"), b"").is(200);
    service.handover.close().unwrap();
    running.ended().ends(0);
    let user = server.end();
    user.run(["verify"]).ends(0);
    assert_eq!(ids(&user).len(), 1);
}

/// Whoever may record could otherwise write what only the engine says of a trail.
#[test]
fn what_the_engine_says_of_a_trail_is_taken_from_no_client() {
    let server = Server::new();
    let folder = host(&server.user, "remote", &server.key("shop", "recorder"));
    let running = shipper(&server.user, &folder, server.address);
    running.wait_for_lines(1);
    let liar = Producer::open(options(&folder)).unwrap();
    let path = minutebook_record::Path::new(["policy", "text"]).unwrap();
    let schema = Schema::new(vec![Field { path, field_type: FieldType::Text }]).unwrap();
    let shape = liar.shape(schema, &[]).unwrap();
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_from_outside()) {
        let mut record = liar.begin(&ClassName::new("standard").unwrap()).unwrap().record(&shape, kind);
        record.text("keep nothing");
        record.finish().unwrap();
    }
    liar.close().unwrap();
    running.ended().ends(0);
    let user = server.end();
    user.run(["verify"]).ends(0);
    let listed = user.run(["list", "--json", "--kind", "policy,erasure,hold,disposal,access,anchor"]).ends(0);
    // That there is a key is the engine's own word.
    let others: Vec<_> =
        listed.lines().into_iter().filter(|line| !line.contains("\"what\":\"api-key\"")).collect();
    assert_eq!(others, [""; 0]);
}

/// A machine that burned: somebody says so, what came of it is sealed, and what is missing has a record. Should it come back, it is told.
#[test]
fn an_epoch_whose_machine_is_gone_is_given_up() {
    let server = Server::new();
    let (key, all) = (server.key("shop", "recorder"), server.key("all", "administrator"));
    let folder = host(&server.user, "remote", &key);
    let running = shipper(&server.user, &folder, server.address);
    running.wait_for_lines(1);
    let mut service = Service::new(&folder);
    let handed: Vec<_> = (0..20).map(|_| service.decide()).collect();
    wait_until("a flush", || service.flush() == Ok(()));
    running.kill();
    running.ended();
    // Handed over there, and never shipped; that they were drawn is never heard of either.
    let late: Vec<_> = (0..5).map(|_| service.decide()).collect();
    let epochs = Shipment::list(&folder.join("spool")).unwrap().epochs;
    let producer = Shipment::open(&epochs[0].path, "scoring").unwrap().producer().to_string();
    let user = &server.user;
    let listed = user.run(["spool", "list", "--json"]).ends(0).json();
    assert_eq!((&listed[0]["producer"], &listed[0]["alive"]), (&Value::from(producer.clone()), &true.into()));
    user.run(["spool", "list"]).ends(0).prints("open, last heard of");
    let give_up = |who: &str, epoch: &str, reason: &str| {
        user.run(["spool", "give-up", who, epoch, "--reason", reason, "--by", "ops"])
    };
    give_up("scoring", "2", "it burned").ends(2).complains("no epoch 2 of `scoring` waits here");
    give_up("scoring", "1", "two\nlines").ends(2).complains("one line each");
    give_up("scoring", "1", "the host burned").ends(0).prints("is given up");
    give_up("scoring", "1", "again").ends(2).complains("no epoch 1 of `scoring` waits here");
    let path = format!("/v1/spool/{producer}/1/give-up");
    let body = r#"{"reason": "again", "by": "ops"}"#;
    server.ask(&key, "POST", &path, body).problem(403, "not-permitted");
    server.ask(&all, "POST", &path, body).problem(404, "no-such-epoch");
    server.ask(&all, "POST", &path, "[\"again\", \"ops\"]").problem(400, "bad-request");
    let record = user.run(["list", "--kind", "loss", "--json"]).ends(0).json().remove(0);
    let loss = &record["loss"];
    assert_eq!((&loss["reason"], &loss["by"]), (&"given up".into(), &"ops".into()), "{record}");
    assert_eq!(
        (&loss["ground"], &loss["epoch"]["$typed"]["value"]),
        (&"the host burned".into(), &1.into()),
        "{record}"
    );
    // The machine is found in the ashes.
    let again = shipper(user, &folder, server.address);
    again.wait_for_lines(1);
    wait_until("it is told", || service.flush().is_err_and(|why| why.contains("the host burned")));
    service.handover.close().unwrap();
    let left = Shipment::list(&folder.join("spool")).unwrap();
    assert_eq!(left.epochs.len(), 1, "what was not taken stays there");
    again.ended().ends(0).complains("the host burned");
    // Its next run is another epoch, and goes on as ever.
    let mut next = Service::new(&folder);
    let running = shipper(user, &folder, server.address);
    running.wait_for_lines(1);
    let after = next.decide();
    wait_until("a flush", || next.flush() == Ok(()));
    next.handover.close().unwrap();
    running.ended().ends(0);
    server.ask(&all, "POST", "/v1/seal", "").is(200);
    let user = server.end();
    user.run(["verify"]).ends(0);
    let found: BTreeSet<_> = ids(&user).into_iter().collect();
    assert!(handed.iter().all(|id| found.contains(id)) && found.contains(&after));
    assert!(!late.iter().any(|id| found.contains(id)));
    user.run(["doctor"]).ends(0);
}

/// The counters of an epoch that ended without a mark tell what is missing of it, and nothing vouches for them.
#[test]
fn made_up_counters_hold_nobody_up() {
    let server = Server::new();
    let (key, all) = (server.key("shop", "recorder"), server.key("all", "administrator"));
    let folder = host(&server.user, "remote", &key);
    let running = shipper(&server.user, &folder, server.address);
    running.wait_for_lines(1);
    let elsewhere = host(&server.user, "made-up", &key);
    std::fs::copy(folder.join("remote.json"), elsewhere.join("remote.json")).unwrap();
    let producer = Producer::open(options(&elsewhere)).unwrap();
    let epochs = Shipment::list(&elsewhere.join("spool")).unwrap().epochs;
    let epoch = Shipment::open(&epochs[0].path, "scoring").unwrap();
    let mut file = epoch.file_bytes().unwrap();
    for class in 1..16 {
        let entry = 4096 + 64 * class;
        file[entry..entry + 2].copy_from_slice(&[b'c', b'a' + class as u8]);
        file[entry + 32..entry + 40].copy_from_slice(&(1u64 << 44).to_le_bytes());
    }
    for slot in 0..1024 {
        let at = 8192 + 32 * slot;
        let seq = if slot % 2 == 0 { u64::MAX } else { (slot as u64) << 30 };
        file[at..at + 8].copy_from_slice(&seq.to_le_bytes());
        file[at + 8] = 1 + (slot % 15) as u8;
    }
    let bearer = format!("Bearer {key}");
    let secret = "ab".repeat(32);
    let headers = [("Authorization", bearer.as_str()), ("minutebook-spool-secret", secret.as_str())];
    let path = format!("/v1/spool/{}/1?name=scoring&state=dead", epoch.producer());
    server.send("PUT", &path, &headers, &file).is(200);
    // Everybody else's are sealed as before.
    let mut service = Service::new(&folder);
    service.decide();
    wait_until("a flush", || service.flush() == Ok(()));
    server.ask(&all, "POST", "/v1/seal", "").is(200);
    service.handover.close().unwrap();
    running.ended().ends(0);
    drop(producer);
    let user = server.end();
    user.run(["verify"]).ends(0);
    assert_eq!(ids(&user).len(), 1);
}

/// Decides until it is killed or has decided often enough, and says which records are on the server's disk.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn decides_until_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let most: u64 = std::env::var(COUNT).unwrap().parse().unwrap();
    let mut service = Service::new(&folder);
    let mut waiting = Vec::new();
    let mut out = std::io::stdout().lock();
    while service.count < most {
        waiting.push(service.decide());
        if waiting.len() >= 25 && service.flush().is_ok() {
            for id in waiting.drain(..) {
                writeln!(out, "on-disk {id}").unwrap();
            }
            // Killing is what the test is about, not how much there is.
            std::thread::park_timeout(Duration::from_millis(10));
        } else if waiting.len() > 2_000 {
            // The server is away: what is handed over meanwhile waits, and does not fill the disk of the test.
            std::thread::park_timeout(Duration::from_millis(20));
            waiting.pop();
        }
    }
    service.handover.close().unwrap();
}

/// A number that depends on those before it only.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

struct Client {
    folder: PathBuf,
    service: Child,
    shipper: Running,
    reading: Vec<std::thread::JoinHandle<()>>,
}

impl Client {
    fn service(folder: &Path, said: &Arc<Mutex<Vec<String>>>) -> (Child, std::thread::JoinHandle<()>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "shipping::decides_until_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, folder)
            .env(COUNT, "1000000000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (out, said) = (child.stdout.take().unwrap(), Arc::clone(said));
        #[allow(
            clippy::disallowed_methods,
            reason = "what the process says is read while others are started"
        )]
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // A line that was cut when the process was killed is no acknowledgement.
                if let Some(id) = line.strip_prefix("on-disk ").filter(|id| id.len() == 36) {
                    said.lock().unwrap().push(id.to_owned());
                }
            }
        });
        (child, reading)
    }
}

/// The server, a shipper or a service is killed every few hundred milliseconds, eight clients at work.
#[test]
fn nothing_acknowledged_is_lost_or_doubled_whoever_is_killed() {
    let (clients, kills) = (8, 60);
    let mut seed = 0x6d62_0006;
    println!("seed {seed:#x}");
    let server = Server::new();
    let (address, key) = (server.address, server.key("shop", "recorder"));
    let Server { user, running: mut served, pid, .. } = server;
    let mut pid = pid;
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut all: Vec<Client> = (0..clients)
        .map(|n| {
            let folder = host(&user, &format!("host-{n}"), &key);
            let shipper = shipper(&user, &folder, address);
            shipper.wait_for_lines(1);
            let (service, reading) = Client::service(&folder, &said);
            Client { folder, service, shipper, reading: vec![reading] }
        })
        .collect();
    let mut killed = BTreeMap::<&str, u32>::new();
    for _ in 0..kills {
        std::thread::park_timeout(Duration::from_millis(100 + draw(&mut seed, 300)));
        let which = draw(&mut seed, clients) as usize;
        let what = match draw(&mut seed, 4) {
            0 | 1 => {
                signal(&pid, "-KILL");
                served.ended();
                served = user.start(["serve", "--listen", &address.to_string(), "--json"]);
                let line: Value = serde_json::from_str(&served.wait_for_lines(1)[0]).unwrap();
                pid = line["pid"].clone();
                "server"
            }
            2 => {
                let client = &mut all[which];
                client.shipper.kill();
                let before = std::mem::replace(&mut client.shipper, shipper(&user, &client.folder, address));
                before.ended();
                "shipper"
            }
            _ => {
                let client = &mut all[which];
                client.service.kill().unwrap();
                client.service.wait().unwrap();
                let (service, reading) = Client::service(&client.folder, &said);
                client.service = service;
                client.reading.push(reading);
                "service"
            }
        };
        *killed.entry(what).or_default() += 1;
    }
    assert!(killed.len() == 3, "{killed:?}");
    for client in all {
        let Client { folder, mut service, shipper, reading } = client;
        service.kill().unwrap();
        service.wait().unwrap();
        reading.into_iter().for_each(|reading| reading.join().unwrap());
        shipper.kill();
        shipper.ended();
        ship_to_the_end(&user, &folder, address);
    }
    signal(&pid, "-TERM");
    served.ended().ends(0);
    // What a killed service was deciding is lost with a word; of nothing else is a number without its record.
    let report = user.run(["verify", "--json"]).ends(0).json().remove(0);
    let accounts = report["accounts"].as_array().unwrap();
    let without_a_word: Vec<_> = accounts
        .iter()
        .filter(|account| account["gaps"].as_array().is_none_or(|gaps| !gaps.is_empty()))
        .collect();
    assert!(accounts.len() > 8 && without_a_word.is_empty(), "{report:#}");
    let there = ids(&user);
    let once: BTreeSet<_> = there.iter().cloned().collect();
    assert_eq!(once.len(), there.len(), "each once");
    let said = said.lock().unwrap();
    let lost: Vec<_> = said.iter().filter(|id| !once.contains(*id)).collect();
    assert_eq!(lost, [""; 0], "of {}", said.len());
    println!("{} acknowledged, {} there, killed {killed:?}", said.len(), there.len());
    assert!(said.len() > 1_000, "{}", said.len());
}
