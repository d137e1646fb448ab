//! The threads of this crate: queries have their own, so that a heavy one holds up neither sealing nor answers to others.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::sys;

/// Threads that queries run on.
#[derive(Debug, Clone)]
pub struct Threads {
    runtime: Arc<Ending>,
    count: usize,
}

#[derive(Debug)]
struct Ending(Option<Runtime>);

impl Drop for Ending {
    fn drop(&mut self) {
        // The last handle may be dropped on a thread of another runtime, where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// As many as there are processors. They let others go first: sealing is what must not wait.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("minutebook-query")
            .on_thread_start(sys::yield_to_others)
            .enable_time()
            .build()?;
        Ok(Self { runtime: Arc::new(Ending(Some(runtime))), count })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs something on them. It ends when what is given is dropped or aborted.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        // INVARIANT: the runtime is there until the last handle is dropped.
        self.runtime.0.as_ref().expect("a runtime").spawn(work)
    }
}
