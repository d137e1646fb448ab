//! Who may speak to the engine: processes of the user whose engine it is, as the system says; and how many do. Edge: what they say is HTTP's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

/// Takes connections of one user.
pub(crate) struct Peers {
    listener: UnixListener,
    owner: u32,
    count: Arc<Count>,
}

/// Connections, as others look at them.
#[derive(Debug, Default)]
pub(crate) struct Count {
    open: AtomicUsize,
    ever: AtomicU64,
}

impl Count {
    /// How many there are, and how many there ever were.
    pub(crate) fn look(&self) -> (usize, u64) {
        (self.open.load(Ordering::Relaxed), self.ever.load(Ordering::Relaxed))
    }
}

impl Peers {
    pub(crate) fn new(listener: UnixListener, owner: u32) -> Self {
        Self { listener, owner, count: Arc::default() }
    }

    pub(crate) fn count(&self) -> Arc<Count> {
        Arc::clone(&self.count)
    }
}

/// Whether a process of the user `peer` is let in to the engine of `owner`.
fn admits(owner: u32, peer: io::Result<u32>) -> bool {
    peer.is_ok_and(|peer| peer == owner)
}

impl axum::serve::Listener for Peers {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if admits(self.owner, stream.peer_cred().map(|peer| peer.uid())) => {
                    return (Connection::new(stream, Arc::clone(&self.count)), ());
                }
                Ok(_) => tracing::warn!("a process of another user was refused"),
                Err(error) => {
                    // Out of descriptors, most likely: some are closed meanwhile.
                    tracing::error!("no connection can be taken: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, counted for as long as it lives.
pub(crate) struct Connection {
    stream: UnixStream,
    count: Arc<Count>,
}

impl Connection {
    fn new(stream: UnixStream, count: Arc<Count>) -> Self {
        count.open.fetch_add(1, Ordering::Relaxed);
        count.ever.fetch_add(1, Ordering::Relaxed);
        Self { stream, count }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.count.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_is_let_in() {
        assert!(admits(1000, Ok(1000)));
        assert!(!admits(1000, Ok(1001)));
        assert!(!admits(1000, Ok(0)), "root reads the files themselves");
        assert!(!admits(1000, Err(io::ErrorKind::Other.into())), "who cannot be told stays out");
    }
}
