//! The API over TLS, as a client sees it that knows the certificate.

use std::fs::Permissions;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;

use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::program::{User, decisions, wait_until};
use crate::tls::{Client, certify};

#[test]
fn with_a_certificate_others_reach_it_over_tls_1_3_and_a_new_one_holds_without_a_restart() {
    let user = User::with_trail();
    let first = certify(&user);
    let (cert, key_file) = (user.path("cert.pem"), user.path("key.pem"));
    let (cert, key_file) = (cert.to_str().unwrap(), key_file.to_str().unwrap());
    user.run(["serve", "--listen", "0.0.0.0:0", "--tls-cert", cert]).ends(2).complains("--tls-key");
    std::fs::set_permissions(key_file, Permissions::from_mode(0o644)).unwrap();
    let tls = ["serve", "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key_file, "--json"];
    user.run(tls).ends(2).complains("chmod o-rwx");
    std::fs::set_permissions(key_file, Permissions::from_mode(0o600)).unwrap();

    let running = user.start(tls);
    let line: Value = serde_json::from_str(&running.wait_for_lines(1)[0]).unwrap();
    let address: SocketAddr =
        line["listen"].as_str().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let made =
        user.run(["api-key", "create", "ops", "--role", "recorder", "--role", "administrator"]).ends(0);
    let key = made.out.trim();

    let client = Client::new(&first, address, &[&TLS13]);
    client.ask(key, "POST", "/v1/records", &decisions(1)).unwrap().is(200);
    let engine = client.ask(key, "GET", "/v1/engine", "").unwrap().is(200).json();
    assert_eq!((&engine["tls"], engine["listen"].is_string()), (&Value::Bool(true), true));
    assert!(Client::new(&first, address, &[&TLS12]).ask(key, "GET", "/v1/engine", "").is_err());
    // Plain HTTP gets no answer.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut heard);
    assert!(!heard.starts_with(b"HTTP"));

    let second = certify(&user);
    let renewed = Client::new(&second, address, &[&TLS13]);
    wait_until("the new certificate", || renewed.ask(key, "GET", "/v1/engine", "").is_ok());
    assert!(client.ask(key, "GET", "/v1/engine", "").is_err(), "the former one is shown no more");
    renewed.ask(key, "POST", "/v1/stop", "").unwrap();
    running.ended().ends(0);
    user.run(["verify"]).ends(0);
}

#[test]
fn a_trail_that_cannot_be_served_is_not_made() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let user = User::new();
    user.run(["serve", "--create", "--listen", &address]).ends(4).complains("another process listens");
    assert!(!user.path("trail").exists());
}
