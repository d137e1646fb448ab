use super::*;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::Version;
use hyper::client::conn::http2;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::door::{Door, Transport};
use crate::tls::TlsFiles;

/// Bytes of an answer that no buffer between takes.
const LONG: usize = 1 << 20;

/// Says who asks; at `/long`, at length.
#[derive(Clone)]
struct Who;

impl Handler for Who {
    type Body = Full<Bytes>;

    async fn answer(
        self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Self::Body>, Infallible> {
        let is_long = request.uri().path() == "/long";
        let text = if is_long { vec![0; LONG].into() } else { Bytes::from(peer.to_string()) };
        Ok(Response::new(Full::new(text)))
    }
}

const BOTH: Speaks = Speaks::Http1And2 { requests_at_once: 8, alive_period: Duration::from_secs(30) };
const HEAD_BYTES_MAX: usize = 64 << 10;

async fn start(head_wait: Duration) -> (SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
    speak(BOTH, Transport::Plain, head_wait)
}

fn speak(
    speaks: Speaks,
    transport: Transport,
    head_wait: Duration,
) -> (SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
    let door = Door::open("127.0.0.1:0".parse().unwrap(), transport).unwrap();
    let address = door.address();
    let (end, ending) = watch::channel(false);
    let connections = Connections {
        count_max: 64,
        head_bytes_max: HEAD_BYTES_MAX,
        head_wait,
        taking_wait: Duration::from_millis(500),
        last_wait: Duration::from_secs(1),
        speaks,
    };
    (address, end, tokio::spawn(connections.answer(door.listen().unwrap(), Who, ending)))
}

/// What comes after these bytes until the end; nothing when that does not come within some seconds.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses does not wait for all of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // A connection that is reset has ended too.
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    ended.ok().map(|_| String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_request_knows_whom_it_comes_from() {
    let (address, _end, _) = start(Duration::from_secs(60)).await;
    let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn who_does_not_end_a_head_is_let_go() {
    let (address, _end, _) = start(Duration::from_millis(200)).await;
    for begun in
        [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"]
    {
        assert!(exchange(address, begun).await.is_some(), "{}", String::from_utf8_lossy(begun));
    }
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
    assert!(exchange(address, long.as_bytes()).await.is_some_and(|answer| !answer.contains(" 200 ")));
}

#[tokio::test]
async fn at_the_end_nobody_is_taken_and_who_waits_is_let_go() {
    let (address, end, answering) = start(Duration::from_secs(60)).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
    end.send_replace(true);
    timeout(Duration::from_secs(10), answering).await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

async fn client(address: SocketAddr) -> http2::SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn who_begins_with_http_2_is_answered_in_it_until_it_rests() {
    let (address, _end, _) = start(Duration::from_millis(300)).await;
    let mut sender = client(address).await;
    for _ in 0..2 {
        let request = Request::get(format!("http://{address}/")).body(Empty::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    }
    let gone = async {
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    for begun in [&b"P"[..], b"PR", b"PRI * HT"] {
        assert!(exchange(address, begun).await.is_some(), "{}", String::from_utf8_lossy(begun));
    }
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_let_go() {
    let (address, _end, _) = start(Duration::from_secs(60)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Answers to more requests than fit into the buffers between, and nobody reads them.
    let requests = b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64);
    stream.write_all(&requests).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut taken = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut taken)).await.unwrap();
    assert!(!taken.is_empty() && taken.len() < 64 * LONG, "{}", taken.len());
}

/// What is spoken with a client that offers these protocols within TLS; nothing with one that is refused.
async fn spoken(address: SocketAddr, config: &ClientConfig, offered: &[&str]) -> Option<Vec<u8>> {
    let mut config = config.clone();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
}

#[tokio::test]
async fn a_client_is_offered_what_is_spoken() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&files.key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (speaks, first, alone) in [(BOTH, "h2", Some("h2")), (Speaks::Http1AsItIs, "http/1.1", None)] {
        let (address, _end, _) = speak(speaks, Transport::Tls(files.clone()), Duration::from_secs(60));
        let both = spoken(address, &config, &["http/1.1", "h2"]).await;
        assert_eq!(both.as_deref(), Some(first.as_bytes()));
        assert_eq!(spoken(address, &config, &["h2"]).await.as_deref(), alone.map(str::as_bytes));
    }
}
