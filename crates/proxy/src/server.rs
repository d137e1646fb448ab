//! The proxy as a whole: opened, serving connections, ended in order. Edge: what becomes of one request is in `forward`.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use minutebook_capture::{CaptureError, ProducerOptions};
use minutebook_net::{Connections, Door, Handler, Listening, Speaks, TrustError};
use tokio::sync::watch;

use crate::body::AnswerBody;
use crate::forward::Forward;
use crate::limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_WAIT, LAST_CALLS, TAKING_WAIT};
use crate::options::Options;
use crate::recorder::{Counts, Recorder, Running};
use crate::upstream::Upstream;

/// Why a proxy does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The spool.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The authorities by which an upstream is known that is spoken to over TLS.
    #[error("the upstream cannot be known by its certificate: {0}")]
    Trust(#[from] TrustError),
    /// The address.
    #[error("cannot take connections: {0}")]
    Listen(#[source] io::Error),
}

/// A proxy that is open and serves nobody yet.
pub struct Proxy {
    listening: Listening,
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
            Upstream::new(options.upstream.clone(), options.upstream_ca.as_deref(), options.answer_wait)?;
        let address = door.address();
        let listening = door.listen().map_err(ProxyError::Listen)?;
        let (recorder, running) = Recorder::start(producer, options.model.clone())?;
        Ok(Self { listening, address, forward: Arc::new(Forward::new(options, upstream, recorder)), running })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `ending` says so; then takes no more connections, waits a while for the calls under way, hangs up on those that are left, and
    /// records them all. Decisions have the level `process`: they survive the death of this process, and a power loss once they were flushed.
    pub async fn serve(self, ending: watch::Receiver<bool>) -> Counts {
        let Self { listening, forward, running, .. } = self;
        CONNECTIONS.answer(listening, Passing(forward), ending).await;
        tokio::task::spawn_blocking(|| running.join()).await.unwrap_or_default()
    }
}

const CONNECTIONS: Connections = Connections {
    count_max: CONNECTIONS_MAX,
    head_bytes_max: HEAD_BYTES_MAX,
    head_wait: HEAD_WAIT,
    taking_wait: TAKING_WAIT,
    last_wait: LAST_CALLS,
    speaks: Speaks::Http1AsItIs,
};

#[derive(Clone)]
struct Passing(Arc<Forward>);

impl Handler for Passing {
    type Body = AnswerBody;

    async fn answer(self, request: Request<Incoming>, _: IpAddr) -> Result<Response<AnswerBody>, Infallible> {
        self.0.answer(request).await
    }
}
