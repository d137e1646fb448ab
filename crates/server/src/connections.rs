//! Connections over TCP: taken, answered, bounded in number and in time, and ended in order. Edge: HTTP/1.1 and no more; what a request may do is
//! for `guard` to say.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX};

/// Who sent a request; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Answers until `ending` says so; then takes no more, and waits for the answers that are on their way. Dropped, it breaks these off. A client has
/// `head_wait` for the head of a request.
pub(crate) async fn answer(
    listener: TcpListener,
    router: Router,
    mut ending: watch::Receiver<bool>,
    head_wait: Duration,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = ends(&mut ending) => break,
            Some(_) = open.join_next() => {}
            (accepted, place) = next => match accepted {
                Ok((stream, peer)) => {
                    let (router, ending) = (router.clone(), ending.clone());
                    open.spawn(async move {
                        converse(stream, peer.ip(), router, ending, head_wait).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: some are closed meanwhile.
                    tracing::error!("no connection can be taken: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Waits for the end. That whoever could tell it is gone, is the end too.
async fn ends(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ends| *ends).await);
}

async fn converse(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    mut ending: watch::Receiver<bool>,
    head_wait: Duration,
) {
    // Small answers should not wait for more to come; without it they are only later.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().call(request)
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(head_wait).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), answer));
    let broken = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ends(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = broken {
        tracing::debug!("a connection broke: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    async fn start(head_wait: Duration) -> (std::net::SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let who = async |Extension(Peer(address)): Extension<Peer>| address.to_string();
        let (end, ending) = watch::channel(false);
        let answering = answer(listener, Router::new().route("/", get(who)), ending, head_wait);
        (address, end, tokio::spawn(answering))
    }

    /// What comes after these bytes until the end; nothing when that does not come within some seconds.
    async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Option<String> {
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
        let answer =
            exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
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
}
