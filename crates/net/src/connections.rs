//! Connections over TCP: taken, answered, bounded in number and in time, and ended in order. Edge: HTTP/1.1 and HTTP/2, with TLS or without; what a
//! request may do, and what is answered, is for the handler to say.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::door::Listening;
use crate::limits::{CERTIFICATE_LOOK_PERIOD, TAKING_PAUSE};
use crate::tls::Tls;

/// What answers requests. Each connection has a clone, and each request one of that: it should cost no more than a count.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Of an answer.
    type Body: Body<Data: Send, Error: Into<Broken>> + Send + 'static;

    /// Answers a request of this client. Dropped, when the client hung up.
    fn answer(
        self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
}

/// How connections are taken and ended.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// At once. Further ones wait in the system's queue.
    pub count_max: usize,
    /// Bytes of the head of a request.
    pub head_bytes_max: usize,
    /// What a client has for the handshake, for the head of a request, and between two requests.
    pub head_wait: Duration,
    /// What it has for taking some of an answer.
    pub taking_wait: Duration,
    /// What answers have that are on their way when no more connections are taken.
    pub last_wait: Duration,
    /// What is spoken.
    pub speaks: Speaks,
}

/// Versions of HTTP.
#[derive(Debug, Clone, Copy)]
pub enum Speaks {
    /// HTTP/1.1 alone, for who passes on what others say: the spelling of names is kept, no date is added, and a connection may change its protocol.
    Http1AsItIs,
    /// HTTP/1.1 and HTTP/2, whichever the client begins with.
    Http1And2 {
        /// Requests of one connection at once, over HTTP/2.
        requests_at_once: u32,
        /// Between two questions whether whoever holds a connection of HTTP/2 is still there.
        alive_period: Duration,
    },
}

impl Speaks {
    /// By the names of RFC 7301, the ones that are preferred first.
    fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Http1AsItIs => &["http/1.1"],
            Self::Http1And2 { .. } => &["h2", "http/1.1"],
        }
    }
}

impl Connections {
    /// Answers until `ending` says so; then takes no more, waits a while for the answers that are on their way, and breaks the others off. Reads
    /// certificates again when they were replaced. Dropped, it breaks everything off.
    pub async fn answer(
        self,
        listening: Listening,
        handler: impl Handler,
        mut ending: watch::Receiver<bool>,
    ) {
        let Listening { listener, tls } = listening;
        tls.iter().for_each(|tls| tls.speak(self.speaks.protocols()));
        let mut looks = interval(CERTIFICATE_LOOK_PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let room = Arc::new(Semaphore::new(self.count_max));
        let mut open = JoinSet::new();
        loop {
            let next = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (listener.accept().await, place)
            };
            tokio::select! {
                () = ends(&mut ending) => break,
                Some(_) = open.join_next() => {}
                _ = looks.tick(), if tls.is_some() => tls.iter().for_each(|tls| tls.renew()),
                (accepted, place) = next => match accepted {
                    Ok((stream, peer)) => {
                        let (handler, ending) = (handler.clone(), ending.clone());
                        let connection = Connection { peer: peer.ip(), handler, ending, manner: self };
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
                        tokio::time::sleep(TAKING_PAUSE).await;
                    }
                }
            }
        }
        drop((listener, handler));
        let _ = timeout(self.last_wait, async { while open.join_next().await.is_some() {} }).await;
        open.shutdown().await;
    }
}

/// Waits for the end. That whoever could tell it is gone, is the end too.
async fn ends(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ends| *ends).await);
}

/// Why a connection ended otherwise than in order.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

struct Connection<H> {
    peer: IpAddr,
    handler: H,
    ending: watch::Receiver<bool>,
    manner: Connections,
}

impl<H: Handler> Connection<H> {
    async fn begin(mut self, stream: TcpStream, tls: Option<Arc<Tls>>) -> Result<(), Broken> {
        // What is small should not wait for more to come; without it, it is only later.
        let _ = stream.set_nodelay(true);
        let wait = self.manner.head_wait;
        let is_http2 = async {
            match (&tls, self.manner.speaks) {
                (Some(_), _) | (None, Speaks::Http1AsItIs) => Ok(false),
                (None, Speaks::Http1And2 { .. }) => begins_as_http2(&stream).await,
            }
        };
        let mut ending = self.ending.clone();
        let is_http2 = tokio::select! {
            told = timeout(wait, is_http2) => told??,
            () = ends(&mut ending) => return Ok(()),
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.manner.taking_wait));
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
        let stream = TokioIo::new(stream);
        match self.manner.speaks {
            Speaks::Http1And2 { requests_at_once, alive_period } if is_http2 => {
                let mut protocol = http2::Builder::new(TokioExecutor::new());
                protocol.max_concurrent_streams(requests_at_once);
                protocol.keep_alive_interval(alive_period).keep_alive_timeout(self.manner.head_wait);
                self.converse_in_http2(protocol, stream).await
            }
            speaks => {
                let mut protocol = http1::Builder::new();
                if let Speaks::Http1AsItIs = speaks {
                    protocol.preserve_header_case(true).auto_date_header(false);
                }
                self.converse_in_http1(protocol, stream).await
            }
        }
    }

    async fn converse_in_http1<S>(
        self,
        mut protocol: http1::Builder,
        stream: TokioIo<Pin<Box<S>>>,
    ) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Self { peer, handler, mut ending, manner } = self;
        let answer = service_fn(move |request| handler.clone().answer(request, peer));
        // The time for the next head is the time that it may rest.
        protocol.timer(TokioTimer::new()).header_read_timeout(manner.head_wait);
        protocol.max_buf_size(manner.head_bytes_max);
        let connection = pin!(protocol.serve_connection(stream, answer).with_upgrades());
        let is_over = async {
            ends(&mut ending).await;
            true
        };
        Ok(to_the_end(connection, http1::UpgradeableConnection::graceful_shutdown, is_over).await?)
    }

    async fn converse_in_http2<S>(
        self,
        mut protocol: http2::Builder<TokioExecutor>,
        stream: TokioIo<Pin<Box<S>>>,
    ) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Self { peer, handler, mut ending, manner } = self;
        let (working, worked_on) = watch::channel(Work::default());
        let answer = service_fn(move |request| {
            let (answer, working) = (handler.clone().answer(request, peer), working.clone());
            working.send_modify(Work::begin);
            async move {
                let answer = answer.await;
                working.send_modify(|work| work.now -= 1);
                answer
            }
        });
        protocol.timer(TokioTimer::new()).max_header_list_size(manner.head_bytes_max as u32);
        let connection = pin!(protocol.serve_connection(stream, answer));
        let is_over = async {
            tokio::select! {
                () = ends(&mut ending) => {}
                () = rests(worked_on.clone(), manner.head_wait) => {}
            }
            // Before the first request there may be no connection yet that could be shut down.
            worked_on.borrow().ever
        };
        Ok(to_the_end(connection, http2::Connection::graceful_shutdown, is_over).await?)
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
mod tests;
