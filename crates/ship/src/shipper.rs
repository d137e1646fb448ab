//! All epochs of a spool on their way: found and announced in order, each shipped by a task of its own. Edge: when the process ends is told here,
//! how it is started is the program's.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use minutebook_capture::Shipment;
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::epoch::{Failure, Patience, Shared, ship};
use crate::error::Error;
use crate::folder::{Folder, Remote, ShipLock};
use crate::limits::DISCOVER_PERIOD;
use crate::server::Server;
use crate::socket;

/// Ships a spool.
pub struct Shipper {
    folder: Folder,
    remote: Remote,
    server: Arc<Server>,
    known: Arc<Known>,
    listener: Option<UnixListener>,
    _lock: ShipLock,
}

/// What those who ask on the socket see.
pub(crate) struct Known {
    pub(crate) epochs: Mutex<HashMap<PathBuf, Arc<Shared>>>,
    /// Somebody asks for an epoch that is not known.
    pub(crate) look: Notify,
    /// Why nothing can be announced at present.
    pub(crate) failure: Mutex<Option<Failure>>,
    pub(crate) spool: PathBuf,
}

impl Known {
    pub(crate) fn find(&self, path: &PathBuf) -> Option<Arc<Shared>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn fail(&self, error: Option<&Error>) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = error.map(|error| Failure::after(failure.as_ref(), error, false));
    }
}

impl Shipper {
    /// Takes a folder, listens on its socket, and learns which trail it is for when that is not known yet.
    ///
    /// # Errors
    /// [`Error::Running`] when another shipper has it; the server has to be asked and does not answer; files or a socket that cannot be used.
    pub async fn begin(folder: Folder, server: Server, known: Option<Remote>) -> Result<Self, Error> {
        let Some(lock) = folder.lock()? else { return Err(Error::Running(folder.path().to_owned())) };
        let remote = match known {
            Some(remote) => remote,
            None => {
                let remote = server.remote().await?;
                folder.keep(&remote)?;
                remote
            }
        };
        let known = Known {
            epochs: Mutex::default(),
            look: Notify::new(),
            failure: Mutex::default(),
            spool: folder.spool(),
        };
        // Before anybody is told that this process ships: who connects then is answered as soon as it runs.
        let listener = socket::listen(&folder)?;
        Ok(Self {
            folder,
            remote,
            server: Arc::new(server),
            known: Arc::new(known),
            listener: Some(listener),
            _lock: lock,
        })
    }

    /// What the server said of its trail.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Answers on the folder's socket, and ships until nothing was left to ship for `idle`. Ending it earlier loses nothing.
    ///
    /// # Errors
    /// The spool cannot be listed, or the socket not be removed.
    pub async fn run(mut self, idle: Duration) -> Result<(), Error> {
        if let Some(listener) = self.listener.take() {
            let _answering = tokio::spawn(socket::answer(listener, Arc::clone(&self.known)));
        }
        let mut patience = Patience::new();
        while let Err(error) = self.check_trail().await {
            self.known.fail(Some(&error));
            tracing::warn!("{error}");
            tokio::time::sleep(patience.next().max(error.wait())).await;
            if self.is_gone() {
                return Ok(());
            }
        }
        self.known.fail(None);
        loop {
            let anew = self.ship_all(idle).await?;
            // Nobody is told a position any more that the server has not.
            self.known.epochs.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if !anew {
                break;
            }
            tracing::warn!(
                "the server does not know what it was sent: everything that is here is announced again"
            );
        }
        socket::leave(&self.folder)
    }

    /// Whether somebody removed the folder: nothing is left that could be shipped.
    fn is_gone(&self) -> bool {
        !self.folder.path().exists()
    }

    /// A server that has another trail by now is never sent anything.
    async fn check_trail(&self) -> Result<(), Error> {
        let now = self.server.remote().await?;
        if (&now.trail, &now.intake_key) == (&self.remote.trail, &self.remote.intake_key) {
            return Ok(());
        }
        let what = format!(
            "it has the trail {}, and what is here is for {}; nothing is sent to it",
            now.trail, self.remote.trail
        );
        Err(Error::Refused(what))
    }

    /// Ships what there is and what comes. Says whether all has to be announced anew; otherwise nothing is left.
    async fn ship_all(&self, idle: Duration) -> Result<bool, Error> {
        let (tell, mut told) = mpsc::channel::<(PathBuf, Result<(), Error>)>(64);
        // Ended with this round: none goes on beside one that is announced anew.
        let mut tasks = JoinSet::new();
        let mut stuck: HashSet<PathBuf> = HashSet::new();
        let mut patience = Patience::new();
        let mut used = Instant::now();
        let mut not_before = Instant::now();
        loop {
            if self.is_gone() {
                return Ok(false);
            }
            while let Ok((path, ended)) = told.try_recv() {
                match ended {
                    Ok(()) => {}
                    Err(Error::Unknown) => return Ok(true),
                    Err(error) => {
                        tracing::error!("`{}` is not shipped: {error}", path.display());
                        if let Some(shared) = self.known.find(&path) {
                            shared.failed(&error, true);
                        }
                        stuck.insert(path);
                        continue;
                    }
                }
                self.known.epochs.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
            }
            while tasks.try_join_next().is_some() {}
            if Instant::now() >= not_before {
                match self.discover(&mut tasks, &tell, &mut stuck).await {
                    Ok(()) => {
                        self.known.fail(None);
                        patience = Patience::new();
                    }
                    Err(error) => {
                        self.known.fail(Some(&error));
                        not_before = Instant::now() + patience.next().max(error.wait());
                    }
                }
            }
            if !tasks.is_empty() || Instant::now() < not_before {
                used = Instant::now();
            } else if used.elapsed() >= idle {
                return Ok(false);
            }
            let _ = timeout(DISCOVER_PERIOD, self.known.look.notified()).await;
        }
    }

    /// Announces epochs that are new, each producer's in ascending order.
    async fn discover(
        &self,
        tasks: &mut JoinSet<()>,
        tell: &mpsc::Sender<(PathBuf, Result<(), Error>)>,
        stuck: &mut HashSet<PathBuf>,
    ) -> Result<(), Error> {
        let listing = Shipment::list(&self.known.spool)?;
        let mut waits: Option<(String, Error)> = None;
        for found in listing.epochs {
            if stuck.contains(&found.path) || self.known.find(&found.path).is_some() {
                continue;
            }
            // One that could not be announced holds up those of its producer that are later, and nobody else's.
            if waits.as_ref().is_some_and(|(name, _)| *name == found.name) {
                continue;
            }
            let epoch = match Shipment::open(&found.path, &found.name) {
                Ok(epoch) => epoch,
                Err(error) => {
                    tracing::error!("`{}` is not shipped: {error}", found.path.display());
                    stuck.insert(found.path);
                    continue;
                }
            };
            match self.server.announce(&epoch, "open").await {
                Ok(standing) => {
                    let shared = Arc::new(Shared::new());
                    let mut epochs = self.known.epochs.lock().unwrap_or_else(PoisonError::into_inner);
                    epochs.insert(found.path.clone(), Arc::clone(&shared));
                    let (server, tell) = (Arc::clone(&self.server), tell.clone());
                    tasks.spawn(async move {
                        let ended = ship(server, epoch, shared, standing).await;
                        // Nobody listens when all is announced anew.
                        let _ = tell.send((found.path, ended)).await;
                    });
                }
                Err(error @ (Error::Refused(_) | Error::GivenUp(_))) => {
                    tracing::error!("`{}` is not shipped: {error}", found.path.display());
                    // Whoever waits for it is told.
                    let shared = Arc::new(Shared::new());
                    shared.failed(&error, true);
                    let mut epochs = self.known.epochs.lock().unwrap_or_else(PoisonError::into_inner);
                    epochs.insert(found.path.clone(), shared);
                    stuck.insert(found.path);
                }
                Err(error) => waits = Some((found.name, error)),
            }
        }
        waits.map_or(Ok(()), |(_, error)| Err(error))
    }
}
