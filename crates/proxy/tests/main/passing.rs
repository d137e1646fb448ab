//! What goes through comes out as it was: heads, bodies, trailers, the order of things, the pace, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Fixture, Upstream, answer, exchange, post, post_with, wait};
use crate::message;

const SOON: Duration = Duration::from_secs(10);

/// Answer and request are the same with and without the proxy.
async fn check(request: &str, answer: &[u8]) {
    let upstream = Upstream::saying(answer).await;
    let proxy = Fixture::new(upstream.address).await;
    // The proxy says the upstream's name.
    let direct = request.replace("Host: h\r\n", &format!("Host: {}\r\n", upstream.address));
    let wanted = exchange(upstream.address, direct.as_bytes()).await.passed_on();
    let got = exchange(proxy.address, request.as_bytes()).await;
    assert_eq!(got.is_chunked, wanted.is_chunked, "{request}");
    assert_eq!(got.passed_on(), wanted, "{request}");
    let requests = upstream.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].clone().passed_on(), requests[0].clone().passed_on());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_bodies_and_trailers_are_as_they_were() {
    let get = "GET /a%20b//c?d=%26&e HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nX-One: 3\r\nx-TWO: 2\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 Fine Indeed\r\nServer: S\r\nX-b: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 5\r\n\r\nhello",
        chunked,
        "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    ] {
        check(get, answer.as_bytes()).await;
    }
    check("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n").await;
    let ok = answer("200 OK", "{}");
    for path in ["/v1/chat/completions", "/other", "/v2/models/m/infer"] {
        check(&String::from_utf8(post(path, r#"{"a":1}"#)).unwrap(), &ok).await;
    }
    check("DELETE /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nAuthorization: Bearer t\r\nCookie: c=d\r\n\r\n", &ok).await;
    check("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &ok)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_in_both_directions() {
    let request = "POST /x HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nX-End: 9\r\n\r\n";
    let upstream = Upstream::saying(answer).await;
    let proxy = Fixture::new(upstream.address).await;
    let got = exchange(proxy.address, request.as_bytes()).await;
    assert_eq!((got.body.as_slice(), got.trailers.len()), (&b"z"[..], 1));
    assert!(got.trailers[0].0.eq_ignore_ascii_case("x-end") && got.trailers[0].1 == "9");
    let asked = upstream.requests.lock().unwrap()[0].clone();
    assert!(asked.trailers[0].0.eq_ignore_ascii_case("x-sum") && asked.trailers[0].1 == "6");
    assert_eq!(asked.header("te"), Some("trailers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_waited_for_when_the_client_asks_first() {
    let upstream = Upstream::saying(answer("200 OK", "{}")).await;
    let proxy = Fixture::new(upstream.address).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    let go_on = timeout(SOON, message::read(&mut client, false)).await.unwrap().unwrap();
    assert_eq!(go_on.first, "HTTP/1.1 100 Continue");
    client.write_all(b"hi").await.unwrap();
    assert_eq!(
        timeout(SOON, message::read(&mut client, false)).await.unwrap().unwrap().first,
        "HTTP/1.1 200 OK"
    );
    assert_eq!(upstream.requests.lock().unwrap()[0].body, b"hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_piece_of_an_answer_passes_at_once() {
    let next = Arc::new(tokio::sync::Semaphore::new(0));
    let told = Arc::clone(&next);
    let upstream = Upstream::playing(Arc::new(move |_, mut stream| {
        let told = Arc::clone(&told);
        Box::pin(async move {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for piece in ["7\r\ndata: 0\r\n", "2\r\n\n\n\r\n", "0\r\n\r\n"] {
                told.acquire().await.unwrap().forget();
                stream.write_all(piece.as_bytes()).await.unwrap();
            }
        })
    }))
    .await;
    let proxy = Fixture::new(upstream.address).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&post("/v1/chat/completions", r#"{"model":"m","stream":true}"#)).await.unwrap();
    let mut got = String::new();
    let mut buffer = [0; 4096];
    // The next piece is written only when the one before it has come through.
    for wanted in ["\r\n\r\n", "data: 0", "\n\n\r\n", "0\r\n\r\n"] {
        while !(got.ends_with(wanted) || wanted == "data: 0" && got.contains(wanted)) {
            let read = timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap();
            assert!(read > 0, "it ended after {got:?}");
            got += std::str::from_utf8(&buffer[..read]).unwrap();
        }
        next.add_permits(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_slows_down_who_writes() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::playing(Arc::new(move |_, mut stream| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
            let piece = vec![7; 1 << 20];
            while stream.write_all(&piece).await.is_ok() {
                count.fetch_add(piece.len(), Ordering::Relaxed);
            }
        })
    }))
    .await;
    let proxy = Fixture::new(upstream.address).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&post("/v2/models/m/infer", "{}")).await.unwrap();
    // Nobody reads; what is on its way settles at what sockets hold.
    let mut before = usize::MAX;
    while before != written.load(Ordering::Relaxed) {
        before = written.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(before < 64 << 20, "{before} bytes are held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_ends_the_call_at_the_upstream() {
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let upstream = Upstream::playing(Arc::new(move |_, mut stream| {
        let end = Arc::clone(&end);
        Box::pin(async move {
            // Works for ever, unless somebody hangs up.
            let _ = stream.read(&mut [0]).await;
            end.store(true, Ordering::Relaxed);
        })
    }))
    .await;
    let proxy = Fixture::new(upstream.address).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&post("/v1/responses", r#"{"model":"m","input":"Hi"}"#)).await.unwrap();
    wait(|| upstream.requests.lock().unwrap().len() == 1).await;
    drop(client);
    wait(|| ended.load(Ordering::Relaxed)).await;
    let record = proxy.record().await;
    assert_eq!(
        (&record["status"], &record["inputs"]),
        (&"client gone".into(), &serde_json::json!({"input": "Hi"}))
    );
    assert!(record.get("outputs").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_breaks_off_breaks_off_for_the_client() {
    let upstream = Upstream::saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    let proxy = Fixture::new(upstream.address).await;
    let got = exchange(proxy.address, &post("/v1/responses", r#"{"model":"m","input":"Hi"}"#)).await;
    assert_eq!((got.body.as_slice(), got.is_whole), (&b"half"[..], false));
    let record = proxy.record().await;
    assert_eq!(record["status"], "upstream broke off");
    assert_eq!(record["environment"]["answer_left_out"], "it broke off");
    assert_eq!(record["environment"]["answer_bytes"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_passes_as_bytes() {
    let upstream = Upstream::playing(Arc::new(|request, mut stream| {
        Box::pin(async move {
            assert_eq!(request.header("upgrade"), Some("echo"));
            stream
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
                )
                .await
                .unwrap();
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.unwrap();
            stream.write_all(&buffer).await.unwrap();
        })
    }))
    .await;
    let proxy = Fixture::new(upstream.address).await;
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .await
        .unwrap();
    let head = timeout(SOON, message::read(&mut client, false)).await.unwrap().unwrap();
    assert_eq!(
        (head.first.as_str(), head.header("upgrade")),
        ("HTTP/1.1 101 Switching Protocols", Some("echo"))
    );
    client.write_all(b"hello").await.unwrap();
    let mut back = Vec::new();
    timeout(SOON, client.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_path_and_the_clients_host_when_asked_for() {
    let upstream = Upstream::saying(answer("200 OK", "{}")).await;
    let address = upstream.address;
    let proxy = Fixture::with(address, |options, _| {
        options.upstream = minutebook_proxy::UpstreamUrl::parse(&format!("http://{address}/base/")).unwrap();
        options.keeps_host = true;
    })
    .await;
    exchange(proxy.address, &post_with("/x?y=1", "", "{}")).await;
    let asked = upstream.requests.lock().unwrap()[0].clone();
    assert_eq!((asked.first.as_str(), asked.header("host")), ("POST /base/x?y=1 HTTP/1.1", Some("h")));
}
