//! The way into the trail: draws the numbers of calls that begin, and records those that are over on a thread of its own. Edge: nobody who serves a
//! call waits here, and what cannot be recorded is counted and told as lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use minutebook_adapters::Tree;
use minutebook_capture::{Advice, CaptureError, LostReason, Producer, ProducerOptions};
use minutebook_present::json::{DraftReader, ReadAt};
use minutebook_record::ClassName;
use minutebook_server::HandOver;
use tokio::time::Instant;

use crate::call::{Ended, Number};
use crate::kept::Budget;
use crate::limits::{CALLS_WAITING, RETRY};
use crate::options::GivenModel;
use crate::record;

/// What became of decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions that were recorded.
    pub recorded: u64,
    /// Of these, such without their inputs or outputs, because they could not be read or were too large.
    pub without_content: u64,
    /// Decisions that were told as lost, or will be.
    pub lost: u64,
}

/// A way into the trail, for all threads.
#[derive(Clone)]
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    calls: SyncSender<Box<Ended>>,
}

#[derive(Default)]
struct Shared {
    producer: RwLock<Option<Arc<Producer>>>,
    /// The last record was taken.
    works: AtomicBool,
    budget: Arc<Budget>,
    recorded: AtomicU64,
    without_content: AtomicU64,
    lost: AtomicU64,
    /// Calls that passed without a number, by class.
    missed: Mutex<BTreeMap<ClassName, u64>>,
}

impl Shared {
    fn missed(&self) -> MutexGuard<'_, BTreeMap<ClassName, u64>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn producer(&self) -> Option<Arc<Producer>> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_producer(&self, producer: Option<Arc<Producer>>) {
        *self.producer.write().unwrap_or_else(PoisonError::into_inner) = producer;
    }

    fn counts(&self) -> Counts {
        Counts {
            recorded: self.recorded.load(Ordering::Relaxed),
            without_content: self.without_content.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

impl Recorder {
    /// Opens a producer and starts the thread, which ends when the last recorder and the last call are gone, and then closes the producer. Blocks for
    /// some milliseconds.
    ///
    /// # Errors
    /// As [`HandOver::open`].
    pub(crate) fn start(
        options: ProducerOptions,
        model: Option<GivenModel>,
    ) -> Result<(Self, Running), CaptureError> {
        let handover = HandOver::open(options.clone())?;
        let shared = Arc::new(Shared::default());
        shared.set_producer(Some(handover.producer()));
        shared.works.store(true, Ordering::Relaxed);
        let (calls, waiting) = sync_channel(CALLS_WAITING);
        let work = Work {
            options,
            model,
            shared: Arc::clone(&shared),
            handover: Some(handover),
            drafts: DraftReader::new(false),
            tried: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("minutebook-record".to_owned())
            .spawn(move || work.run(&waiting));
        let thread = thread
            .map_err(|source| CaptureError::Io { doing: "starting the thread that records", source })?;
        let running = Running { shared: Arc::clone(&shared), thread };
        Ok((Self { shared, calls }, running))
    }

    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.shared.budget)
    }

    /// Whether records are taken, as far as is known.
    pub(crate) fn works(&self) -> bool {
        self.shared.works.load(Ordering::Relaxed)
    }

    /// Draws the number of a decision. Nothing when that is not possible; it is counted as lost if the call goes on.
    pub(crate) fn begin(&self, class: &ClassName) -> Option<Number> {
        Producer::begin_with(self.shared.producer()?, class).ok()
    }

    /// A call passed without a number: one is drawn and told as lost when that is possible again.
    pub(crate) fn miss(&self, class: &ClassName) {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
        *self.shared.missed().entry(*class).or_default() += 1;
        self.shared.works.store(false, Ordering::Relaxed);
    }

    /// Takes a call that is over. Does not block: when too many wait, it is told as lost.
    pub(crate) fn take(&self, call: Box<Ended>) {
        let decisions = call.numbers.len() as u64;
        if self.calls.try_send(call).is_err() {
            self.shared.lost.fetch_add(decisions, Ordering::Relaxed);
        }
    }
}

/// The thread that records.
pub(crate) struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Waits until all calls are recorded and the producer is closed; no recorder may be left. Blocks.
    pub(crate) fn join(self) -> Counts {
        // A panic there was told on standard error.
        let _ = self.thread.join();
        self.shared.counts()
    }
}

struct Work {
    options: ProducerOptions,
    model: Option<GivenModel>,
    shared: Arc<Shared>,
    handover: Option<HandOver>,
    drafts: DraftReader,
    /// When it was last tried whether the spool works again.
    tried: Instant,
}

impl Work {
    fn run(mut self, calls: &Receiver<Box<Ended>>) {
        loop {
            match calls.recv_timeout(RETRY) {
                Ok(call) => self.record(*call),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.shared.works.load(Ordering::Relaxed) && self.tried.elapsed() >= RETRY {
                self.mend();
            }
        }
        self.tell_missed();
        self.shared.set_producer(None);
        if let Some(handover) = self.handover.take()
            && let Err(error) = handover.close()
        {
            tracing::warn!("the run of the producer did not end in order: {error}");
        }
    }

    fn record(&mut self, mut call: Ended) {
        let records = record::records(&call, self.model.as_ref());
        let class = call.class;
        let mut numbers = std::mem::take(&mut call.numbers);
        // A number that stands for no decision, since the answer had other rows than the request.
        let surplus = numbers.split_off(numbers.len().min(records.len()));
        self.shared.lost.fetch_add(surplus.len() as u64, Ordering::Relaxed);
        surplus.into_iter().for_each(|number| number.lose(LostReason::Dropped));
        let mut numbers = numbers.into_iter();
        for record in records {
            let drawn = numbers.next().or_else(|| Producer::begin_with(self.shared.producer()?, &class).ok());
            match drawn {
                Some(number) => self.hand_over(number, record, &call),
                None => self.fail("no number can be drawn", 1),
            }
        }
    }

    fn hand_over(&mut self, number: Number, record: Tree<'static>, call: &Ended) {
        // The time is in the record.
        let at = ReadAt { time_ns: number.started().0, clock_error_ns: None };
        let drafted = self.drafts.draft(&record, at).map_err(|problem| problem.to_string());
        let (draft, is_whole) = match drafted {
            Ok(draft) => (draft, !has_left_out(&record)),
            Err(why) => {
                let bare = record::without_content(record, call, &why);
                match self.drafts.draft(&bare, at) {
                    Ok(draft) => (draft, false),
                    Err(problem) => {
                        number.lose(LostReason::Refused);
                        return self.fail(&format!("a record is wrong: {}", problem.what()), 1);
                    }
                }
            }
        };
        let Some(handover) = &mut self.handover else {
            // Its producer is gone; so its number is found missing.
            return self.fail("the spool failed before", 1);
        };
        match handover.hand_over_as(number, &draft) {
            Ok(_) => {
                self.shared.recorded.fetch_add(1, Ordering::Relaxed);
                self.shared.without_content.fetch_add(u64::from(!is_whole), Ordering::Relaxed);
            }
            Err(error) => {
                if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
                    self.shared.set_producer(None);
                    self.handover = None;
                }
                let is_ours = error.advice() == Advice::Fix;
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                if is_ours {
                    tracing::warn!("a decision is lost: {error}");
                } else {
                    self.stop_working(&error.to_string());
                }
            }
        }
    }

    fn fail(&self, why: &str, decisions: u64) {
        self.shared.lost.fetch_add(decisions, Ordering::Relaxed);
        self.stop_working(why);
    }

    fn stop_working(&self, why: &str) {
        if self.shared.works.swap(false, Ordering::Relaxed) {
            tracing::warn!("decisions cannot be recorded, and are told as lost: {why}");
        }
    }

    /// Tries whether records are taken again.
    fn mend(&mut self) {
        self.tried = Instant::now();
        if self.handover.is_none() {
            match HandOver::open(self.options.clone()) {
                Ok(handover) => {
                    self.shared.set_producer(Some(handover.producer()));
                    self.handover = Some(handover);
                }
                Err(error) => return tracing::debug!("the spool cannot be opened: {error}"),
            }
        }
        let Some(producer) = self.shared.producer() else { return };
        match producer.heartbeat() {
            Ok(()) => {
                self.tell_missed();
                if !self.shared.works.swap(true, Ordering::Relaxed) {
                    let lost = self.shared.counts().lost;
                    tracing::warn!("decisions are recorded again; {lost} are lost since the proxy began");
                }
            }
            Err(error) if matches!(error.advice(), Advice::Reopen | Advice::Inspect) => {
                self.shared.set_producer(None);
                self.handover = None;
            }
            Err(_) => {}
        }
    }

    /// Draws a number for each call that passed without one, and tells it as lost.
    fn tell_missed(&self) {
        let Some(producer) = self.shared.producer() else { return };
        for (class, calls) in std::mem::take(&mut *self.shared.missed()) {
            for told in 0..calls {
                match producer.begin(&class) {
                    Ok(number) => number.lose(LostReason::Dropped),
                    Err(_) => {
                        *self.shared.missed().entry(class).or_default() += calls - told;
                        return;
                    }
                }
            }
        }
    }
}

fn has_left_out(record: &Tree<'_>) -> bool {
    let Tree::Object(members) = record else { return false };
    let environment = members.iter().find(|(name, _)| name == "environment");
    matches!(environment, Some((_, Tree::Object(members))) if members.iter().any(|(name, _)| name.ends_with("_left_out")))
}

#[cfg(test)]
mod tests {
    use minutebook_capture::IntakePublicKey;

    use super::*;

    /// When calls pass without a number, they are still accounted for: each draws one later, and gives it back as lost.
    #[test]
    fn calls_without_a_number_draw_one_later() {
        let folder = tempfile::tempdir().unwrap();
        let intake = IntakePublicKey::from_bytes([9; 32]);
        let options = ProducerOptions::new(folder.path().join("spool"), [7; 16], intake, "proxy");
        let (recorder, running) = Recorder::start(options, None).unwrap();
        let class = ClassName::new("standard").unwrap();
        for _ in 0..3 {
            recorder.miss(&class);
        }
        assert!(!recorder.works());
        let until = Instant::now() + RETRY * 20;
        while !recorder.works() && Instant::now() < until {
            std::thread::park_timeout(RETRY / 100);
        }
        assert!(recorder.works(), "it never works again");
        let next = recorder.begin(&class).unwrap();
        assert_eq!(next.seq().get(), 4);
        let producer = recorder.shared.producer().unwrap();
        assert_eq!(producer.status().unwrap().lost, 3);
        drop((next, producer, recorder));
        assert_eq!(running.join(), Counts { recorded: 0, without_content: 0, lost: 3 });
    }
}
