//! The one task that brings the index up to date: after each round of sealing, when asked, and at the end. Edge: when, not how; that is the index's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use minutebook_index::{Error, Index, Indexer, Mode};
use minutebook_trail::{Place, Reader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::limits::{ASKED_AT_ONCE, INDEX_BEGIN_WAIT, INDEX_PERIOD, RETRY_FIRST, RETRY_MAX};
use crate::sealer::State;

#[derive(Debug)]
enum Asked {
    /// Take in everything that is sealed.
    CatchUp(oneshot::Sender<Result<(), Arc<Error>>>),
    /// Make it anew from evidence.
    Rebuild(oneshot::Sender<Result<(), Arc<Error>>>),
    /// End.
    Close(oneshot::Sender<()>),
}

/// The index of an engine at work.
#[derive(Clone)]
pub(crate) struct Indexing {
    pub(crate) index: Index,
    ask: mpsc::Sender<Asked>,
    folder: PathBuf,
    /// Why it does not go on at present.
    error: watch::Receiver<Option<String>>,
    /// Whether it has looked once since the engine began.
    begun: watch::Receiver<bool>,
}

impl Indexing {
    /// Opens the index of a trail and follows the log from now on.
    ///
    /// # Errors
    /// When its folder cannot be read or made.
    pub(crate) fn start(
        place: &Place,
        reader: Arc<Reader>,
        sealed: watch::Receiver<State>,
    ) -> Result<Self, Error> {
        let (index, indexer) = Index::open(place, reader, Mode::Write)?;
        let (ask, asked) = mpsc::channel(ASKED_AT_ONCE);
        let (tell, error) = watch::channel(None);
        let (begin, begun) = watch::channel(false);
        // It ends when it is told to, or when nobody is left to tell it.
        drop(index.spawn(follow(indexer, asked, sealed, (tell, begin))));
        Ok(Self { index, ask, folder: place.folder.clone(), error, begun })
    }

    /// Waits until what was sealed before the engine began is in it, for a while: an engine that has just begun would say that there is nothing.
    pub(crate) async fn begun(&self) {
        let mut begun = self.begun.clone();
        let _ = timeout(INDEX_BEGIN_WAIT, begun.wait_for(|begun| *begun)).await;
    }

    /// Waits until everything that is sealed is in it.
    pub(crate) async fn catch_up(&self) -> Result<(), Arc<Error>> {
        self.asked(Asked::CatchUp).await
    }

    /// Makes it anew from evidence, and waits until it is whole.
    pub(crate) async fn rebuild(&self) -> Result<(), Arc<Error>> {
        self.asked(Asked::Rebuild).await
    }

    /// Why it does not go on at present; `None` when it does.
    pub(crate) fn error(&self) -> Option<String> {
        self.error.borrow().clone()
    }

    /// Ends it in order.
    pub(crate) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.ask.send(Asked::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn asked(
        &self,
        what: impl FnOnce(oneshot::Sender<Result<(), Arc<Error>>>) -> Asked,
    ) -> Result<(), Arc<Error>> {
        let (reply, answer) = oneshot::channel();
        let ended = || Arc::new(Error::Locked { path: self.folder.clone() });
        self.ask.send(what(reply)).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Follows the log until it is told to end. A failure is told and tried again: the index is behind meanwhile, and nothing is lost.
async fn follow(
    mut indexer: Indexer,
    mut asked: mpsc::Receiver<Asked>,
    mut sealed: watch::Receiver<State>,
    (tell, begin): (watch::Sender<Option<String>>, watch::Sender<bool>),
) {
    let (mut pause, mut sealing_ended) = (RETRY_FIRST, false);
    loop {
        let advanced = indexer.catch_up().await;
        begin.send_replace(true);
        let failed = advanced.as_ref().err().map(ToString::to_string);
        if let Some(what) = &failed
            && *tell.borrow() != failed
        {
            tracing::warn!("the index does not go on: {what}");
        }
        let wait = if failed.is_some() { pause } else { INDEX_PERIOD };
        pause = if failed.is_some() { (pause * 2).min(RETRY_MAX) } else { RETRY_FIRST };
        tell.send_replace(failed);
        let until = Instant::now() + wait;
        let look = || Some(Asked::CatchUp(oneshot::channel().0));
        let next = tokio::select! {
            next = asked.recv() => next,
            // Rounds of sealing that follow each other are taken in together.
            changed = sealed.changed(), if !sealing_ended => {
                sealing_ended = changed.is_err();
                let left = until.saturating_duration_since(Instant::now()).min(GATHER);
                timeout(left, asked.recv()).await.unwrap_or_else(|_| look())
            }
            () = sleep_until(until) => look(),
        };
        match next {
            None => return,
            Some(Asked::CatchUp(reply)) => {
                let _ = reply.send(indexer.catch_up().await.map(drop).map_err(Arc::new));
            }
            Some(Asked::Rebuild(reply)) => {
                let rebuilt = match indexer.begin_anew() {
                    Ok(()) => indexer.catch_up().await.map(drop).and_then(|()| indexer.flush()),
                    Err(error) => Err(error),
                };
                let _ = reply.send(rebuilt.map_err(Arc::new));
            }
            Some(Asked::Close(reply)) => {
                if let Err(error) = indexer.close() {
                    tracing::warn!(
                        "the index cannot be closed in order: {error}; it is read again at the next start"
                    );
                }
                let _ = reply.send(());
                return;
            }
        }
    }
}

/// How long rounds of sealing that follow each other are gathered.
const GATHER: Duration = Duration::from_millis(200);
