//! The proxy as a whole: opened, serving connections, ended in order. Edge: what becomes of one request is in `forward`.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use minutebook_capture::{CaptureError, ProducerOptions};
use minutebook_server::Door;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::forward::Forward;
use crate::limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_WAIT, LAST_CALLS};
use crate::options::Options;
use crate::recorder::{Counts, Recorder, Running};
use crate::upstream::Upstream;

/// Why a proxy does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The spool.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The system's certificates, for an upstream that is spoken to over TLS.
    #[error(
        "the system's certificates, by which the upstream is known, cannot be read: {0}; SSL_CERT_FILE names a file of others"
    )]
    Certificates(#[source] io::Error),
    /// The address.
    #[error("cannot take connections: {0}")]
    Listen(#[source] io::Error),
}

/// A proxy that is open and serves nobody yet.
pub struct Proxy {
    listener: TcpListener,
    address: SocketAddr,
    forward: Arc<Forward>,
    running: Running,
}

impl Proxy {
    /// Opens the way into the trail. Blocks for some milliseconds; on a runtime.
    ///
    /// # Errors
    /// The spool, the certificates or the address.
    pub fn open(options: Options, producer: ProducerOptions, door: Door) -> Result<Self, ProxyError> {
        let upstream =
            Upstream::new(options.upstream.clone(), options.answer_wait).map_err(ProxyError::Certificates)?;
        let address = door.address();
        let listener = door.into_listener().map_err(ProxyError::Listen)?;
        let (recorder, running) = Recorder::start(producer, options.model.clone())?;
        Ok(Self { listener, address, forward: Arc::new(Forward::new(options, upstream, recorder)), running })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `ending` says so; then takes no more connections, waits a while for the calls under way, and records them. Decisions have the
    /// level `process`: they survive the death of this process, and a power loss once they were flushed.
    pub async fn serve(self, mut ending: watch::Receiver<bool>) -> Counts {
        let Self { listener, forward, running, .. } = self;
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
                    Ok((stream, _)) => {
                        let (forward, ending) = (Arc::clone(&forward), ending.clone());
                        open.spawn(async move {
                            converse(stream, forward, ending).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: some are closed meanwhile.
                        tracing::error!("no connection can be taken: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
        drop((listener, forward));
        let _ = tokio::time::timeout(LAST_CALLS, async { while open.join_next().await.is_some() {} }).await;
        // Those that are still under way are hung up on, and recorded so.
        open.shutdown().await;
        tokio::task::spawn_blocking(|| running.join()).await.unwrap_or_default()
    }
}

/// Waits for the end. That whoever could tell it is gone, is the end too.
async fn ends(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ends| *ends).await);
}

async fn converse(stream: TcpStream, forward: Arc<Forward>, mut ending: watch::Receiver<bool>) {
    // Pieces are passed on as they come; without it they are only later.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let forward = Arc::clone(&forward);
        async move { forward.answer(request).await }
    });
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .preserve_header_case(true)
        // The upstream's word, or none.
        .auto_date_header(false);
    let connection = protocol.serve_connection(TokioIo::new(stream), answer).with_upgrades();
    let mut connection = pin!(connection);
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
