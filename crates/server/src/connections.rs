//! Connections over TCP: taken, answered, bounded in number and in time, and ended in order. Edge: HTTP/1.1 and HTTP/2, with TLS or without; what a
//! request may do is for `guard` to say.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::limits::{ALIVE_PERIOD, CONNECTIONS_MAX, HEAD_BYTES_MAX, REQUESTS_AT_ONCE};
use crate::tls::Tls;

/// Who sent a request; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What a client has time for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// For the handshake, for the head of a request, and between two requests.
    pub(crate) head: Duration,
    /// For taking some of an answer.
    pub(crate) taking: Duration,
}

/// Answers until `ending` says so; then takes no more, and waits for the answers that are on their way. Dropped, it breaks these off.
pub(crate) async fn answer(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    mut ending: watch::Receiver<bool>,
    waits: Waits,
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
                    let connection = Connection { peer: peer.ip(), router: router.clone(), ending: ending.clone(), waits };
                    let tls = tls.clone();
                    open.spawn(async move {
                        if let Err(error) = connection.begin(stream, tls).await {
                            tracing::debug!("a connection broke: {error}");
                        }
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

type Broken = Box<dyn std::error::Error + Send + Sync>;

struct Connection {
    peer: IpAddr,
    router: Router,
    ending: watch::Receiver<bool>,
    waits: Waits,
}

impl Connection {
    async fn begin(mut self, stream: TcpStream, tls: Option<Arc<Tls>>) -> Result<(), Broken> {
        // Small answers should not wait for more to come; without it they are only later.
        let _ = stream.set_nodelay(true);
        let wait = self.waits.head;
        let is_http2 = async {
            match &tls {
                Some(_) => Ok(false),
                None => begins_as_http2(&stream).await,
            }
        };
        let mut ending = self.ending.clone();
        let is_http2 = tokio::select! {
            told = timeout(wait, is_http2) => told??,
            () = ends(&mut ending) => return Ok(()),
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.waits.taking));
        let stream = Box::pin(stream);
        let Some(tls) = tls else { return self.converse(stream, is_http2).await };
        let accepted = tokio::select! {
            accepted = timeout(wait, tls.acceptor().accept(stream)) => accepted??,
            () = ends(&mut self.ending) => return Ok(()),
        };
        let is_http2 = accepted.get_ref().1.alpn_protocol() == Some(b"h2");
        self.converse(Box::pin(accepted), is_http2).await
    }

    async fn converse<S>(self, stream: Pin<Box<S>>, is_http2: bool) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Self { peer, router, mut ending, waits } = self;
        let (working, worked_on) = watch::channel(Work::default());
        let answer = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let (answer, working) = (router.clone().call(request), working.clone());
            working.send_modify(Work::begin);
            async move {
                let answer = answer.await;
                working.send_modify(|work| work.now -= 1);
                answer
            }
        });
        let stream = TokioIo::new(stream);
        if is_http2 {
            let mut protocol = http2::Builder::new(TokioExecutor::new());
            protocol.timer(TokioTimer::new()).max_header_list_size(HEAD_BYTES_MAX as u32);
            protocol.max_concurrent_streams(REQUESTS_AT_ONCE as u32);
            protocol.keep_alive_interval(ALIVE_PERIOD).keep_alive_timeout(waits.head);
            let connection = pin!(protocol.serve_connection(stream, answer));
            let is_over = async {
                tokio::select! {
                    () = ends(&mut ending) => {}
                    () = rests(worked_on.clone(), waits.head) => {}
                }
                // Before the first request there may be no connection yet that could be shut down.
                worked_on.borrow().ever
            };
            to_the_end(connection, http2::Connection::graceful_shutdown, is_over).await?;
        } else {
            let mut protocol = http1::Builder::new();
            protocol.timer(TokioTimer::new()).header_read_timeout(waits.head).max_buf_size(HEAD_BYTES_MAX);
            // The time for the next head is the time that it may rest.
            let connection = pin!(protocol.serve_connection(stream, answer));
            to_the_end(connection, http1::Connection::graceful_shutdown, async {
                ends(&mut ending).await;
                true
            })
            .await?;
        }
        Ok(())
    }
}

/// What a connection works on.
#[derive(Debug, Default)]
struct Work {
    now: usize,
    ever: bool,
}

impl Work {
    fn begin(&mut self) {
        self.now += 1;
        self.ever = true;
    }
}

/// Serves a connection until its client ends it; from when it `is_over`, only what is on its way, if anything can be.
async fn to_the_end<C>(
    mut connection: Pin<&mut C>,
    shut_down: impl FnOnce(Pin<&mut C>),
    is_over: impl Future<Output = bool>,
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::select! {
        ended = connection.as_mut() => return ended,
        is_under_way = is_over => if !is_under_way {
            return Ok(());
        }
    }
    shut_down(connection.as_mut());
    connection.await
}

/// Whether the client begins with HTTP/2 without asking for it (RFC 9113, section 3.3). Three bytes tell it from any method of HTTP/1.
async fn begins_as_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await? {
            0 => return Ok(false),
            read if !b"PRI".starts_with(&first[..read]) => return Ok(false),
            3 => return Ok(true),
            // There is no waiting for more than is there already, and clients send them in one packet.
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits until nothing was worked on for so long.
async fn rests(mut worked_on: watch::Receiver<Work>, wait: Duration) {
    while worked_on.wait_for(|work| work.now == 0).await.is_ok() {
        match timeout(wait, worked_on.changed()).await {
            Err(_) => return,
            Ok(Err(_)) => break,
            Ok(Ok(())) => {}
        }
    }
    // Whoever counted is gone, and the connection with it.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::http::Version;
    use axum::routing::get;
    use hyper::client::conn::http2;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    /// Bytes of an answer that no buffer between takes.
    const LONG: usize = 1 << 20;

    async fn start(head_wait: Duration) -> (std::net::SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let who = async |Extension(Peer(address)): Extension<Peer>| address.to_string();
        let (end, ending) = watch::channel(false);
        let router = Router::new().route("/", get(who)).route("/long", get(async || vec![0; LONG]));
        let waits = Waits { head: head_wait, taking: Duration::from_millis(500) };
        let answering = answer(listener, None, router, ending, waits);
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

    async fn client(address: std::net::SocketAddr) -> http2::SendRequest<Body> {
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
            let request = Request::get(format!("http://{address}/")).body(Body::empty()).unwrap();
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
}
