use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use minutebook_capture::SystemRandom;
use serde_json::Value;
use tokio::sync::Notify;
use tower_service::Service;

use super::*;
use crate::limits::FAILURES_MAX;

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

struct Guarded {
    folder: tempfile::TempDir,
    keys: ApiKeys,
    clock: Arc<Set>,
    /// Lets `/v1/waits` go.
    go: Arc<Notify>,
    router: Router,
}

impl Guarded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = ApiKeys::new(folder.path(), [1; 16]);
        let (clock, go) = (Arc::new(Set::default()), Arc::new(Notify::new()));
        let mut guard = Guard::new(Hosts::Loopback, keys.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        guard.body_wait = Duration::from_secs(2);
        let waits = Arc::clone(&go);
        let router = Router::new()
            .route("/healthz", get(async || "ok"))
            .route("/v1/status", get(async || "fine"))
            .route("/v1/waits", get(async move || waits.notified().await))
            .route("/v1/records", post(async |body: Bytes| body.len().to_string()))
            .route("/v1/search", post(async |body: Bytes| body.len().to_string()))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .layer(axum::middleware::from_fn_with_state(Arc::new(guard), stand));
        Self { folder, keys, clock, go, router }
    }

    fn key(&self, name: &str, scope: ApiScope, expires: Option<&str>) -> String {
        let expires = expires.map(str::to_owned);
        self.keys.create(name, scope, String::new(), expires, &SystemRandom).unwrap().to_string()
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
    let key = guarded.key("a", ApiScope::Read, None);
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
async fn a_key_is_for_its_scope_and_for_its_time() {
    let guarded = Guarded::new();
    let (read, write, all) = (
        guarded.key("r", ApiScope::Read, None),
        guarded.key("w", ApiScope::Write, None),
        guarded.key("a", ApiScope::All, Some("1970-01-01T00:01:00Z")),
    );
    for (key, expected) in
        [(&read, [200, 200, 403, 403]), (&write, [403, 403, 200, 403]), (&all, [200, 200, 200, 404])]
    {
        for ((method, path), status) in
            [("GET", "/v1/status"), ("POST", "/v1/search"), ("POST", "/v1/records"), ("POST", "/v1/erase")]
                .iter()
                .zip(expected)
        {
            assert_eq!(guarded.ask(method, path, Some(key), "x").await.0, status, "{method} {path}");
        }
    }
    guarded.clock.0.store(60, Ordering::Relaxed);
    assert_eq!(guarded.status(&all).await, 401, "past its end");
    assert_eq!(guarded.status(&read).await, 200);
    guarded.keys.revoke("r").unwrap();
    guarded.becomes(&read, 401).await;
    assert_eq!(guarded.status(&write).await, 403, "the others are as they were");
}

#[tokio::test]
async fn who_guesses_is_slowed() {
    let guarded = Guarded::new();
    let key = guarded.key("a", ApiScope::All, None);
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
    let key = guarded.key("a", ApiScope::All, None);
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
    let key = guarded.key("a", ApiScope::All, None);
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
    let key = guarded.key("a", ApiScope::All, None);
    let waiting: Vec<_> = (0..REQUESTS_AT_ONCE)
        .map(|_| {
            let (guarded, key) = (Arc::clone(&guarded), key.clone());
            tokio::spawn(async move { guarded.ask("GET", "/v1/waits", Some(&key), "").await.0 })
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
