//! How long queries worked, told to whoever asked for them. Edge: measures; what is made of it is for others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Is told of the work of queries: again and again while one runs, and at its end, however it ends.
pub trait Meter: Send + Sync {
    /// A query worked for so long. What it waited for its reader is not in it.
    fn worked(&self, time: Duration);
}

tokio::task_local! {
    static METER: Arc<dyn Meter>;
}

/// Runs something of which the queries are told to a meter, also those whose answers are read afterwards.
pub async fn metered<T>(meter: Arc<dyn Meter>, work: impl Future<Output = T>) -> T {
    METER.scope(meter, work).await
}

/// Counts some work as that of a query.
pub async fn worked<T>(work: impl Future<Output = T>) -> T {
    let mut watch = Watch::here();
    watch.go();
    work.await
}

/// Measures one query. What was not told yet is when it is dropped, as when its reader has gone away.
#[derive(Default)]
pub(crate) struct Watch {
    meter: Option<Arc<dyn Meter>>,
    since: Option<Instant>,
}

impl Watch {
    /// For the meter at hand, if there is one. It does not run yet.
    pub(crate) fn here() -> Self {
        Self { meter: METER.try_with(Arc::clone).ok(), since: None }
    }

    /// The query works.
    pub(crate) fn go(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// It waits for its reader.
    pub(crate) fn pause(&mut self) {
        if let (Some(since), Some(meter)) = (self.since.take(), &self.meter) {
            meter.worked(since.elapsed());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Sum(AtomicU64);

    impl Meter for Sum {
        fn worked(&self, time: Duration) {
            self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn work_is_told_when_it_ends_and_waiting_is_not() {
        let sum = Arc::new(Sum::default());
        let mut watch = metered(Arc::clone(&sum) as Arc<dyn Meter>, async { Watch::here() }).await;
        let told = || sum.0.load(Ordering::Relaxed);
        watch.go();
        tokio::time::sleep(Duration::from_millis(2)).await;
        watch.pause();
        let worked = told();
        assert!(worked >= 2_000_000, "{worked} ns");
        tokio::time::sleep(Duration::from_millis(2)).await;
        watch.pause();
        assert_eq!(told(), worked, "it waited");
        watch.go();
        drop(watch);
        assert!(told() > worked, "dropped while it worked");
        let mut unmetered = Watch::here();
        unmetered.go();
        drop(unmetered);
    }
}
