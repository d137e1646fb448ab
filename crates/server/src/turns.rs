//! Requests that wait for each other, several served at a time: who comes while others are served is served next together with all that have come
//! by then, so that one flush is for all of them (group commit: DeWitt et al., Implementation Techniques for Main Memory Database Systems, SIGMOD
//! 1984). Edge: who is served when; what it means, and what excludes others meanwhile, is for who serves.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is asked for, by requests on threads of their own, and answered.
pub(crate) struct Turns<Q, A> {
    queue: Mutex<Queue<Q, A>>,
}

struct Queue<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    /// Whether one of those who asked is serving.
    is_served: bool,
}

/// A request that waits, to be answered.
pub(crate) struct Asked<Q, A> {
    pub(crate) what: Q,
    answer: SyncSender<Told<A>>,
}

enum Told<A> {
    Answer(A),
    /// The request is the first of those that wait, and serves.
    Serve,
}

impl<Q, A> Asked<Q, A> {
    /// The request, and what takes the answer to it.
    pub(crate) fn split(self) -> (Q, Answer<A>) {
        (self.what, Answer(self.answer))
    }
}

/// Takes the answer to a request. One that is dropped without tells the request so.
pub(crate) struct Answer<A>(SyncSender<Told<A>>);

impl<A> Answer<A> {
    pub(crate) fn give(self, answer: A) {
        // Who asked waits for it, and there is room: a request that is served is told nothing else.
        let _ = self.0.try_send(Told::Answer(answer));
    }
}

impl<Q, A> Default for Turns<Q, A> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue { waiting: VecDeque::new(), is_served: false }) }
    }
}

impl<Q, A> Turns<Q, A> {
    /// Waits for the answer to a request; none when who served it gave up. One of those who wait serves: the first, together with those behind it,
    /// in their order, as far as each `fits` those before it. Blocks.
    pub(crate) fn ask(
        &self,
        what: Q,
        fits: impl Fn(&[Asked<Q, A>], &Q) -> bool,
        serve: impl FnOnce(Vec<Asked<Q, A>>),
    ) -> Option<A> {
        let (answer, told) = sync_channel(1);
        let is_first = {
            let mut queue = self.queue();
            queue.waiting.push_back(Asked { what, answer });
            !std::mem::replace(&mut queue.is_served, true)
        };
        if !is_first && let Some(answer) = wait(&told)? {
            return Some(answer);
        }
        let serving = Serving(self);
        serve(serving.batch(fits));
        drop(serving);
        wait(&told)?
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer, or that it is the request's turn to serve; nothing when neither comes.
fn wait<A>(told: &Receiver<Told<A>>) -> Option<Option<A>> {
    match told.recv() {
        Ok(Told::Answer(answer)) => Some(Some(answer)),
        Ok(Told::Serve) => Some(None),
        Err(_) => None,
    }
}

/// Has the next one serve, however this one ends.
struct Serving<'t, Q, A>(&'t Turns<Q, A>);

impl<Q, A> Serving<'_, Q, A> {
    fn batch(&self, fits: impl Fn(&[Asked<Q, A>], &Q) -> bool) -> Vec<Asked<Q, A>> {
        let mut queue = self.0.queue();
        let mut batch = Vec::from_iter(queue.waiting.pop_front());
        while let Some(next) = queue.waiting.pop_front_if(|next| fits(&batch, &next.what)) {
            batch.push(next);
        }
        batch
    }
}

impl<Q, A> Drop for Serving<'_, Q, A> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        match queue.waiting.front() {
            Some(next) => {
                // It waits, and was told nothing yet.
                let _ = next.answer.try_send(Told::Serve);
            }
            None => queue.is_served = false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "requests are threads")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    type Numbers = Turns<u32, u32>;

    fn double(batch: Vec<Asked<u32, u32>>) {
        for asked in batch {
            let (what, answer) = asked.split();
            answer.give(2 * what);
        }
    }

    /// Serves once so many others wait.
    fn once_wait(turns: &Numbers, others: usize) {
        while turns.queue().waiting.len() < others {
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn one_alone_is_served_at_once() {
        let turns = Numbers::default();
        assert_eq!(turns.ask(4, |_, _| true, double), Some(8));
        assert_eq!(turns.ask(5, |_, _| true, double), Some(10));
        assert!(!turns.queue().is_served);
    }

    #[test]
    fn those_who_come_meanwhile_are_served_together_as_far_as_they_fit() {
        let (turns, served) = (Numbers::default(), Mutex::new(Vec::new()));
        let fits = |batch: &[Asked<u32, u32>], _: &u32| batch.len() < 4;
        let serve = |batch: Vec<Asked<u32, u32>>| {
            served.lock().unwrap().push(batch.len());
            double(batch);
        };
        let (turns, serve) = (&turns, &serve);
        thread::scope(|scope| {
            scope.spawn(move || {
                let slowly = |batch| {
                    once_wait(turns, 9);
                    serve(batch);
                };
                assert_eq!(turns.ask(100, fits, slowly), Some(200));
            });
            while !turns.queue().is_served || !turns.queue().waiting.is_empty() {
                thread::yield_now();
            }
            for number in 0..9 {
                scope.spawn(move || assert_eq!(turns.ask(number, fits, serve), Some(2 * number)));
            }
        });
        assert_eq!(*served.lock().unwrap(), [1, 4, 4, 1]);
        assert!(!turns.queue().is_served);
    }

    #[test]
    fn who_is_not_answered_is_told_so_and_the_others_go_on() {
        let (turns, panicked) = (Numbers::default(), AtomicUsize::new(0));
        let (turns, panicked) = (&turns, &panicked);
        thread::scope(|scope| {
            let first = scope.spawn(move || {
                turns.ask(
                    1,
                    |_, _| true,
                    |_batch| {
                        once_wait(turns, 3);
                        panicked.fetch_add(1, Ordering::Relaxed);
                        panic!("as it may");
                    },
                )
            });
            while !turns.queue().is_served || !turns.queue().waiting.is_empty() {
                thread::yield_now();
            }
            let forgetful = |batch: Vec<Asked<u32, u32>>| drop(batch);
            let others: Vec<_> =
                (0..3).map(|n| scope.spawn(move || turns.ask(n, |_, _| false, forgetful))).collect();
            assert!(first.join().is_err());
            for other in others {
                assert_eq!(other.join().unwrap(), None);
            }
        });
        assert_eq!(panicked.load(Ordering::Relaxed), 1);
        assert_eq!(turns.ask(4, |_, _| true, double), Some(8));
    }
}
