//! Upstreams that are not there or do not answer, and a trail that takes no records.

use std::sync::Arc;
use std::time::Duration;

use minutebook_capture::limits::PART_BYTES_MIN;
use minutebook_proxy::OnFailure;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Upstream, answer, exchange, post};
use crate::message::Message;

const ASKED: &str = r#"{"model":"m","input":"Hi"}"#;

fn code(answer: &Message) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    serde_json::from_slice::<Value>(&answer.body).unwrap()["code"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_is_a_502() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let proxy = Fixture::new(address).await;
    let got = exchange(proxy.address, &post("/v1/responses", ASKED)).await;
    assert_eq!((got.first.as_str(), code(&got)), ("HTTP/1.1 502 Bad Gateway", json!("upstream-unreachable")));
    let id = got.header("minutebook-decision-id").unwrap().to_owned();
    let record = proxy.record().await;
    assert_eq!((&record["id"], &record["status"]), (&json!(id), &json!("upstream unreachable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_a_504() {
    let upstream = Upstream::playing(Arc::new(|_, stream| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
    }))
    .await;
    let proxy =
        Fixture::with(upstream.address, |options, _| options.answer_wait = Duration::from_millis(300)).await;
    let got = exchange(proxy.address, &post("/v1/responses", ASKED)).await;
    assert_eq!((got.first.as_str(), code(&got)), ("HTTP/1.1 504 Gateway Timeout", json!("upstream-timeout")));
    let record = proxy.record().await;
    assert_eq!((&record["status"], &record["inputs"]), (&json!("upstream timeout"), &json!({"input": "Hi"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_hangs_up_is_a_502() {
    let upstream = Upstream::playing(Arc::new(|_, stream| Box::pin(async move { drop(stream) }))).await;
    let proxy = Fixture::new(upstream.address).await;
    let got = exchange(proxy.address, &post("/v1/responses", ASKED)).await;
    assert_eq!((got.first.as_str(), code(&got)), ("HTTP/1.1 502 Bad Gateway", json!("upstream-broke-off")));
    assert_eq!(proxy.record().await["status"], "upstream broke off");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_a_path_is_refused() {
    let upstream = Upstream::saying(answer("200 OK", "{}")).await;
    let proxy = Fixture::new(upstream.address).await;
    for request in ["OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"] {
        let got = exchange(proxy.address, request.as_bytes()).await;
        assert_eq!(code(&got), "not-passed", "{request}");
    }
}

/// Fills the spool of a proxy, which nobody seals meanwhile; the number of calls that passed, and the last answer.
async fn fill(proxy: &Fixture) -> (usize, Message) {
    let large = format!(r#"{{"model":"m","input":"{}"}}"#, "x".repeat(20_000));
    let mut passed = 0;
    loop {
        let got = exchange(proxy.address, &post("/v1/responses", &large)).await;
        if got.first != "HTTP/1.1 200 OK" || passed == 40 {
            return (passed, got);
        }
        passed += 1;
        // What is over is recorded behind the answer.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn with_little_room(on_failure: OnFailure) -> (Upstream, Fixture) {
    let upstream = Upstream::saying(answer("200 OK", "{}")).await;
    let proxy = Fixture::with(upstream.address, |options, producer| {
        options.on_failure = on_failure;
        (producer.part_bytes, producer.spill_bytes) = (PART_BYTES_MIN, 2 * PART_BYTES_MIN);
    })
    .await;
    (upstream, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_lets_calls_pass_and_tells_them_as_lost() {
    let (_upstream, proxy) = with_little_room(OnFailure::Open).await;
    let (passed, last) = fill(&proxy).await;
    assert_eq!((passed, last.first.as_str()), (40, "HTTP/1.1 200 OK"));
    let (records, counts) = proxy.records().await;
    assert!(counts.lost > 0 && counts.recorded > 0 && counts.recorded + counts.lost == 41, "{counts:?}");
    let decisions = records.iter().filter(|record| record["kind"] == "decision").count() as u64;
    assert_eq!(decisions, counts.recorded);
    // Each of the others is in a range of numbers that a record tells as lost.
    let told: u64 = records.iter().filter(|record| record["kind"] == "loss").map(lost).sum();
    assert_eq!(told, counts.lost);
}

/// How many numbers of decisions a `loss` record tells. The proxy's own records lose theirs, too.
fn lost(record: &Value) -> u64 {
    let ranges = record["loss"]["ranges"].as_array().unwrap().iter().filter(|range| range[2] == "standard");
    ranges.map(|range| range[4].as_u64().unwrap() - range[3].as_u64().unwrap() + 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_calls_when_none_may_pass_unrecorded() {
    let (upstream, proxy) = with_little_room(OnFailure::Closed).await;
    let (passed, last) = fill(&proxy).await;
    assert_eq!(
        (last.first.as_str(), code(&last)),
        ("HTTP/1.1 503 Service Unavailable", json!("not-recorded"))
    );
    assert_eq!(last.header("retry-after"), Some("1"));
    assert_eq!(upstream.requests.lock().unwrap().len(), passed, "the upstream was not asked");
    // Not a decision, so it passes.
    let other = exchange(proxy.address, &post("/other", "{}")).await;
    assert_eq!(other.first, "HTTP/1.1 200 OK");
    let (_, counts) = proxy.records().await;
    assert_eq!(counts.recorded + counts.lost, passed as u64);
}
