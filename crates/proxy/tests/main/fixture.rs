//! A trail, a proxy that records in it, and an upstream that plays what a test says.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minutebook_capture::{IntakePublicKey, ProducerOptions};
use minutebook_net::{Door, Transport};
use minutebook_present::json::Printer;
use minutebook_present::opened::Opened;
use minutebook_proxy::{Counts, Options, Proxy, UpstreamUrl};
use minutebook_record::Kind;
use minutebook_trail::{Engine, Environment, Filter, InitOptions, Place, Reader, init};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::message::{self, Message};

pub struct Fixture {
    _folder: TempDir,
    pub place: Place,
    pub address: SocketAddr,
    end: watch::Sender<bool>,
    serving: JoinHandle<Counts>,
}

impl Fixture {
    pub async fn new(upstream: SocketAddr) -> Self {
        Self::with(upstream, |_, _| {}).await
    }

    /// With options of the test's own.
    pub async fn with(upstream: SocketAddr, change: impl FnOnce(&mut Options, &mut ProducerOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().join("trail"), keys: Some(folder.path().join("keys")) };
        let file = init(&place, &InitOptions::default(), &Environment::default()).await.unwrap();
        let intake = IntakePublicKey::from_bytes(file.intake_key);
        let mut producer = ProducerOptions::new(place.spool(), file.id, intake, "proxy");
        let mut options = Options::new(UpstreamUrl::parse(&format!("http://{upstream}")).unwrap());
        change(&mut options, &mut producer);
        let door = Door::open("127.0.0.1:0".parse().unwrap(), Transport::Plain).unwrap();
        let proxy = Proxy::open(options, producer, door).unwrap();
        let address = proxy.address();
        let (end, ending) = watch::channel(false);
        let serving = tokio::spawn(proxy.serve(ending));
        Self { _folder: folder, place, address, end, serving }
    }

    /// Ends the proxy, seals, and gives all records but those of the engine, the oldest first, as JSON.
    pub async fn records(self) -> (Vec<Value>, Counts) {
        self.end.send_replace(true);
        let counts = self.serving.await.unwrap();
        let engine = Engine::open(&self.place, Environment::default()).await.unwrap();
        let sealer = minutebook_server::Sealer::start(
            self.place.clone(),
            Environment::default(),
            engine,
            Duration::from_secs(60),
        );
        sealer.stop().await.unwrap();
        let reader = Reader::open(&self.place).await.unwrap();
        let mut records = Vec::new();
        let filter = Filter { kinds: vec![Kind::Decision, Kind::Loss], ..Filter::default() };
        let mut each = |record| {
            records.push(Printer::default().record(&Opened::from(record)));
            ControlFlow::Continue(())
        };
        reader.list(&filter, &mut each).await.unwrap();
        records.sort_by_key(|record| record["seq"].as_u64());
        (records, counts)
    }

    /// The one decision.
    pub async fn record(self) -> Value {
        let (mut records, counts) = self.records().await;
        assert_eq!((records.len(), counts.lost), (1, 0), "{records:?}");
        records.remove(0)
    }
}

/// What an upstream does once it has a request: write the answer. The connection is closed when it returns.
pub type Play =
    Arc<dyn Fn(Message, TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// An upstream, and the requests that it got.
pub struct Upstream {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<Message>>>,
}

impl Upstream {
    /// Answers every request with these bytes.
    pub async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::playing(Arc::new(move |_, mut stream| {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                stream.write_all(&answer).await.unwrap();
                let _ = stream.shutdown().await;
            })
        }))
        .await
    }

    pub async fn playing(play: Play) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (play, seen) = (Arc::clone(&play), Arc::clone(&seen));
                tokio::spawn(async move {
                    let Some(request) = message::read(&mut stream, false).await else { return };
                    seen.lock().unwrap().push(request.clone());
                    play(request, stream).await;
                });
            }
        });
        Self { address, requests }
    }
}

/// What comes back for these bytes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Message {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let is_head = bytes.starts_with(b"HEAD ");
    message::read(&mut stream, is_head).await.unwrap()
}

/// A request with a body.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    post_with(path, "", body)
}

/// The same with headers of its own, each ended.
pub fn post_with(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// An answer with a body.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Waits until something holds.
pub async fn wait(mut condition: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within 10 s");
}
