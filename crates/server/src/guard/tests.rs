use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use axum::routing::{get, post};
use minutebook_capture::SystemRandom;
use minutebook_trail::{AccessFile, ApiKey};
use serde_json::Value;
use tokio::sync::Notify;
use tower_service::Service;

use super::*;
use crate::access::{Book, Entry, Told};
use crate::limits::{DENIALS_MAX, FAILURES_MAX, REQUESTS_AT_ONCE};

/// A clock that a test sets.
#[derive(Default)]
struct Set(AtomicI64);

impl Clock for Set {
    fn wall_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed) * 1_000_000_000
    }
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn error_ns(&self) -> Option<u64> {
        None
    }
}

/// What was written, and whether it is.
#[derive(Default)]
struct Written {
    entries: Mutex<Vec<Entry>>,
    fails: AtomicBool,
}

impl Book for Written {
    fn write(&self, entry: &Entry) -> Result<(), String> {
        if self.fails.load(Ordering::Relaxed) {
            return Err("no room".into());
        }
        self.entries.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

struct Guarded {
    folder: tempfile::TempDir,
    book: Arc<Written>,
    gate: Arc<Gate>,
    keys: ApiKeys,
    clock: Arc<Set>,
    /// Lets `/v1/engine` go.
    go: Arc<Notify>,
    router: Router,
}

async fn searched(body: Bytes) -> (axum::Extension<Told>, String) {
    let told = Told { asked: "where x = ?".into(), records: Some(7), ..Told::default() };
    (axum::Extension(told), body.len().to_string())
}

impl Guarded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = ApiKeys::new(folder.path(), [1; 16]);
        let (clock, go) = (Arc::new(Set::default()), Arc::new(Notify::new()));
        let book = Arc::new(Written::default());
        let gate = Arc::new(Gate::new(
            AccessFile::new(folder.path()),
            Arc::new(|| vec!["credit".into()]),
            Arc::clone(&book) as Arc<dyn Book>,
            Arc::clone(&clock) as Arc<dyn Clock>,
        ));
        let as_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let mut guard = Guard::new(
            Hosts::Loopback,
            Some(keys.clone()),
            Some(Arc::clone(&gate)),
            as_clock,
            Bounds::default(),
        );
        guard.body_wait = Duration::from_secs(2);
        let waits = Arc::clone(&go);
        let router = Router::new()
            .route("/healthz", get(async || "ok"))
            .route("/v1/status", get(async || "fine"))
            .route("/v1/engine", get(async move || waits.notified().await))
            .route("/v1/records", post(async |body: Bytes| body.len().to_string()))
            .route("/v1/search", post(searched))
            .route("/v1/facets", post(async || "nothing is said of what this has"))
            .route("/v1/sql", post(async || Problem::request("it is masked").denied().asked("what")))
            .route("/v1/erase", post(async || "erased"))
            .route("/v1/unheard-of", post(async || "done"))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .layer(axum::middleware::from_fn_with_state(Arc::new(guard), stand));
        Self { folder, book, gate, keys, clock, go, router }
    }

    /// A key of these roles, with commas between.
    fn key(&self, name: &str, roles: &str, expires: Option<&str>) -> String {
        let expires = expires.map(str::to_owned);
        let roles: Vec<String> = roles.split(',').map(str::to_owned).collect();
        let of = (&*roles, &["*".to_owned()][..]);
        self.keys.create(name, of, String::new(), expires, &SystemRandom).unwrap().to_string()
    }

    fn written(&self) -> Vec<Entry> {
        std::mem::take(&mut self.book.entries.lock().unwrap())
    }

    async fn send(&self, mut request: Request) -> (u16, HeaderMap, Value) {
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        request.extensions_mut().insert(Peer("127.0.0.1".parse().unwrap()));
        let answer = self.router.clone().call(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| String::from_utf8(body.to_vec()).unwrap().into());
        (head.status.as_u16(), head.headers, body)
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: impl Into<Body>,
    ) -> (u16, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn status(&self, key: &str) -> u16 {
        self.ask("GET", "/v1/status", Some(key), "").await.0
    }

    /// Asks until the answer is this, for some seconds.
    async fn becomes(&self, key: &str, status: u16) {
        let mut last = 0;
        for _ in 0..500 {
            last = self.status(key).await;
            if last == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{last} instead of {status}");
    }
}

#[tokio::test]
async fn without_a_key_nobody_comes_in_but_to_ask_for_health() {
    let guarded = Guarded::new();
    assert_eq!(guarded.ask("GET", "/healthz", None, "").await.0, 200);
    for path in ["/v1/status", "/nothing", "/healthz/", "//healthz"] {
        let (status, headers, problem) = guarded.ask("GET", path, None, "").await;
        assert_eq!((status, &problem["code"]), (401, &Value::from("no-such-key")), "{path}");
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    }
    let key = guarded.key("a", "auditor", None);
    assert_eq!(guarded.status(&key).await, 200, "it holds at once");
    for wrong in [format!("{key}0"), key[..67].to_owned(), key.replace("mbk_", "mbk-"), String::new()] {
        assert_eq!(guarded.status(&wrong).await, 401, "{wrong}");
    }
    for value in [format!("Basic {key}"), key.clone(), format!("Bearer{key}")] {
        let request = Request::builder().uri("/v1/status").header(header::AUTHORIZATION, value);
        assert_eq!(guarded.send(request.body(Body::empty()).unwrap()).await.0, 401);
    }
}

#[tokio::test]
async fn a_key_is_for_its_roles_and_for_its_time() {
    let guarded = Guarded::new();
    let (read, write, all) = (
        guarded.key("r", "analyst", None),
        guarded.key("w", "recorder", None),
        guarded.key("a", "auditor,recorder,analyst,privacy-officer", Some("1970-01-01T00:01:00Z")),
    );
    for (key, expected) in [
        (&read, [403, 200, 403, 403, 403]),
        (&write, [403, 403, 200, 403, 403]),
        (&all, [200, 200, 200, 200, 403]),
    ] {
        for ((method, path), status) in [
            ("GET", "/v1/status"),
            ("POST", "/v1/search"),
            ("POST", "/v1/records"),
            ("POST", "/v1/erase"),
            ("POST", "/v1/unheard-of"),
        ]
        .iter()
        .zip(expected)
        {
            assert_eq!(guarded.ask(method, path, Some(key), "x").await.0, status, "{method} {path}");
        }
    }
    guarded.clock.0.store(60, Ordering::Relaxed);
    assert_eq!(guarded.status(&all).await, 401, "past its end");
    assert_eq!(guarded.status(&read).await, 403);
    guarded.keys.revoke("r").unwrap();
    guarded.becomes(&read, 401).await;
    assert_eq!(guarded.status(&write).await, 403, "the others are as they were");
}

#[tokio::test]
async fn reads_and_denials_are_written_before_the_answer() {
    let guarded = Guarded::new();
    let key = guarded.key("dashboard", "analyst", None);
    let ask = |path: &'static str| guarded.ask("POST", path, Some(&key), "x");
    assert_eq!(ask("/v1/search").await.0, 200);
    let [read] = guarded.written().try_into().unwrap();
    assert_eq!((&*read.who, &*read.asked), ("dashboard", "POST /v1/search: where x = ?"));
    assert_eq!((read.is_permitted, read.records, read.fields), (true, Some(7), "clear"));
    assert_eq!(read.policies, ["analyst-reads"]);

    assert_eq!(ask("/v1/erase").await.2["code"], "not-permitted");
    assert_eq!(ask("/v1/sql").await.0, 400);
    let [denied, masked] = guarded.written().try_into().unwrap();
    assert_eq!((denied.is_permitted, &*denied.action, denied.fields), (false, "erase", "none"));
    assert_eq!((masked.is_permitted, &*masked.asked), (false, "POST /v1/sql: what"));

    let (status, _, problem) = ask("/v1/facets").await;
    assert_eq!((status, &problem["code"]), (500, &Value::from("failed")), "nobody said what it has");
    guarded.book.fails.store(true, Ordering::Relaxed);
    let (status, _, problem) = ask("/v1/search").await;
    assert_eq!((status, &problem["code"]), (503, &Value::from("not-recorded")));
    assert_eq!(ask("/v1/erase").await.0, 403, "what is denied needs no room");
}

#[tokio::test]
async fn denials_are_written_as_far_as_they_are_not_too_many() {
    let guarded = Guarded::new();
    let key = guarded.key("curious", "recorder", None);
    for _ in 0..DENIALS_MAX + 5 {
        assert_eq!(guarded.ask("POST", "/v1/search", Some(&key), "x").await.0, 403);
    }
    assert_eq!(guarded.status("mbk_guess").await, 401);
    assert_eq!(guarded.written().len(), DENIALS_MAX as usize);
    let gate = Arc::clone(&guarded.gate);
    tokio::task::spawn_blocking(move || gate.end()).await.unwrap();
    let mut counted: Vec<_> = guarded.written().into_iter().map(|entry| (entry.who, entry.more)).collect();
    counted.sort();
    assert_eq!(counted, [(String::new(), 1), ("curious".to_owned(), 5)]);
}

#[tokio::test]
async fn an_investigator_says_what_for() {
    let guarded = Guarded::new();
    let key = guarded.key("case", "investigator", None);
    let ask = async |purposes: &[&'static str]| {
        let bearer = format!("Bearer {key}");
        let mut request =
            Request::builder().method("POST").uri("/v1/search").header(header::AUTHORIZATION, bearer);
        for purpose in purposes {
            request = request.header("minutebook-purpose", *purpose);
        }
        let (status, _, problem) = guarded.send(request.body(Body::empty()).unwrap()).await;
        (status, problem["code"].as_str().map(str::to_owned))
    };
    assert_eq!(ask(&[]).await, (403, Some("purpose-needed".into())));
    assert_eq!(ask(&["complaint 7"]).await.0, 200);
    assert_eq!(ask(&["a", "b"]).await, (400, Some("bad-request".into())));
    assert_eq!(ask(&[" "]).await, (400, Some("bad-request".into())));
    let purposes: Vec<_> = guarded.written().into_iter().map(|entry| entry.purpose).collect();
    assert_eq!(purposes, ["", "complaint 7"]);
}

#[tokio::test]
async fn settings_hold_soon_after_they_change_and_wrong_ones_let_nobody_in() {
    let guarded = Guarded::new();
    let key = guarded.key("a", "auditor", None);
    assert_eq!(guarded.status(&key).await, 200);
    let file = guarded.folder.path().join("access.toml");
    let put = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let new = guarded.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    put(concat!(
        "format = \"minutebook/access/1\"\n",
        "policies = \"@id(\\\"closed\\\") forbid (principal, action, resource);\"\n"
    ));
    guarded.becomes(&key, 403).await;
    assert_eq!(guarded.written().last().unwrap().policies, ["closed"]);
    put("nonsense");
    guarded.becomes(&key, 503).await;
    std::fs::remove_file(&file).unwrap();
    guarded.becomes(&key, 200).await;
}

/// How long it takes to decide about a request like one before: printed, and bounded generously.
#[tokio::test]
async fn what_was_decided_is_decided_again_soon() {
    let guarded = Guarded::new();
    guarded.key("a", "analyst", None);
    let ApiKey { name, roles, models, .. } = guarded.keys.load().unwrap().remove(0);
    let who = Who { proof: Proof::Key, name, roles, models };
    let headers = HeaderMap::new();
    let enter = async || {
        let path = "/v1/search";
        let pass = guarded.gate.enter(who.clone(), &Method::POST, path, &headers).await.unwrap();
        assert!(pass.asker().may(minutebook_access::Action::Read, Some("credit")));
    };
    enter().await;
    let (begin, rounds) = (tokio::time::Instant::now(), 1_000);
    for _ in 0..rounds {
        enter().await;
    }
    let each = begin.elapsed() / rounds;
    println!("decided in {each:?}");
    assert!(each < Duration::from_millis(5), "{each:?}");
}

#[tokio::test]
async fn who_guesses_is_slowed() {
    let guarded = Guarded::new();
    let key = guarded.key("a", "auditor,analyst,recorder", None);
    for _ in 0..FAILURES_MAX {
        assert_eq!(guarded.status("mbk_guess").await, 401);
    }
    let (status, headers, problem) = guarded.ask("GET", "/v1/status", Some("mbk_guess"), "").await;
    assert_eq!((status, &problem["code"]), (429, &Value::from("too-many-wrong-keys")));
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert_eq!(guarded.status(&key).await, 429, "the next guess could be right");
    guarded.becomes(&key, 200).await;
}

#[tokio::test]
async fn keys_that_cannot_be_read_let_nobody_in() {
    let guarded = Guarded::new();
    let key = guarded.key("a", "auditor,analyst,recorder", None);
    assert_eq!(guarded.status(&key).await, 200);
    let path = guarded.folder.path().join("api-keys.toml");
    std::fs::write(
        &path,
        "format = \"nonsense, and longer than before: it is seen by its length too\"".repeat(9),
    )
    .unwrap();
    guarded.becomes(&key, 503).await;
    std::fs::remove_file(&path).unwrap();
    guarded.becomes(&key, 401).await;
}

#[tokio::test]
async fn bodies_are_bounded_in_length_and_in_time() {
    let guarded = Guarded::new();
    let key = guarded.key("a", "auditor,analyst,recorder", None);
    let of = |length: usize| Body::from(vec![b'x'; length]);
    let chunked = |length: usize| {
        let pieces = (0..length / 1024).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
        Body::from_stream(futures::stream::iter(pieces))
    };
    for (path, most) in [("/v1/search", BODY_BYTES_MAX), ("/v1/records", RECORDS_BYTES_MAX)] {
        for body in [of(most), chunked(most)] {
            let (status, _, length) = guarded.ask("POST", path, Some(&key), body).await;
            assert_eq!((status, &length), (200, &Value::from(most)), "{path}");
        }
        for body in [of(most + 1), chunked(most + 1024)] {
            let (status, _, problem) = guarded.ask("POST", path, Some(&key), body).await;
            assert_eq!((status, &problem["code"]), (413, &Value::from("too-large")), "{path}");
        }
    }
    let drip = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
    });
    let (status, _, problem) = guarded.ask("POST", "/v1/search", Some(&key), Body::from_stream(drip)).await;
    assert_eq!((status, &problem["code"]), (408, &Value::from("too-slow")));
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again() {
    let guarded = Arc::new(Guarded::new());
    let key = guarded.key("a", "auditor,analyst,recorder", None);
    let waiting: Vec<_> = (0..REQUESTS_AT_ONCE)
        .map(|_| {
            let (guarded, key) = (Arc::clone(&guarded), key.clone());
            tokio::spawn(async move { guarded.ask("GET", "/v1/engine", Some(&key), "").await.0 })
        })
        .collect();
    while guarded.status(&key).await == 200 {
        tokio::task::yield_now().await;
    }
    let (status, headers, problem) = guarded.ask("GET", "/v1/status", Some(&key), "").await;
    assert_eq!(
        (status, &problem["code"], &headers[header::RETRY_AFTER]),
        (503, &Value::from("busy"), &HeaderValue::from_static("1"))
    );
    assert_eq!(guarded.ask("GET", "/healthz", None, "").await.0, 200);
    guarded.go.notify_waiters();
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), 200);
    }
    assert_eq!(guarded.status(&key).await, 200);
}
