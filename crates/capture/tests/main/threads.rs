//! Many threads, small parts: every number is accounted for once, and one flush serves all who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minutebook_capture::{
    Backing, Level, LostReason, Producer, ProducerOptions, Stop, Storage, SystemStorage,
};
use minutebook_record::Kind;

use crate::support::{Seen, Spool, class, decide, read_ended, shape, wait_for};

const THREADS: usize = 8;

#[allow(clippy::disallowed_methods, reason = "the test is about threads")]
fn in_threads(work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

fn check_parts_under_threads(backing: Backing, each: usize) {
    let spool = Spool::new();
    let producer = Producer::open(ProducerOptions { backing, ..spool.small() }).unwrap();
    let shape = shape(&producer);
    let classes = ["a", "b"].map(class);
    in_threads(|thread| {
        for n in 0..each {
            let class = &classes[(thread + n) % 2];
            match n % 50 {
                7 => drop(producer.begin(class).unwrap()),
                8 => {
                    let mut record = producer.begin(class).unwrap().record(&shape, Kind::Decision);
                    record.i64(0).text(&"x".repeat(100_000));
                    record.finish().unwrap_err();
                }
                _ => drop(decide(&producer, &shape, class, n as i64, "some text that fills parts")),
            }
        }
    });
    let status = producer.status().unwrap();
    assert!(status.parts > 5, "{status:?}");
    assert_eq!(status.in_flight, 0);
    drop(producer);
    let seen = read_ended(&spool, 0);
    let drawn: usize = ["a", "b"].iter().map(|class| seen.of_class(class).count()).sum();
    assert_eq!(drawn + seen.lost.len(), THREADS * each);
    let of = |reason| seen.lost.values().filter(|&&other| other == reason).count();
    assert_eq!(of(LostReason::Dropped), THREADS * each / 50);
    assert_eq!(of(LostReason::TooLarge), THREADS * each / 50);
}

#[test]
fn every_number_is_accounted_for_once_across_parts() {
    check_parts_under_threads(Backing::Mapped, 5_000);
}

#[test]
fn the_same_without_a_mapping() {
    check_parts_under_threads(Backing::Written, 500);
}

#[test]
fn a_reader_that_follows_sees_each_record_once_and_frees_what_it_saw() {
    let spool = Spool::new();
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    let done = AtomicUsize::new(0);
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    #[allow(clippy::disallowed_methods, reason = "the test is about threads")]
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..10_000 {
                    decide(&producer, &shape, &class("standard"), n, "text");
                }
                done.fetch_add(1, Ordering::Release);
            });
        }
        while done.load(Ordering::Acquire) < 2 {
            let end = seen.read(&mut reader);
            assert_eq!(end.stop, Stop::CaughtUp);
            reader.free_to(end.position).unwrap();
        }
    });
    drop(producer);
    let end = seen.read(&mut reader);
    assert_eq!(end.stop, Stop::Ended);
    seen.check_complete(&reader.drawn().unwrap());
    assert_eq!(seen.of_class("standard").count(), 20_000);
    reader.free_to(end.position).unwrap();
    assert_eq!(spool.parts(), Vec::<std::path::PathBuf>::new());
    reader.remove().unwrap();
    assert_eq!(spool.epochs(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_producer_is_for_all_threads() {
    fn check<T: Send + Sync>() {}
    check::<Producer>();
    check::<minutebook_capture::Shape>();
    check::<minutebook_capture::Pending<Arc<Producer>>>();
    check::<minutebook_capture::EpochReader>();
    let spool = Spool::new();
    let producer = Arc::new(Producer::open(spool.small()).unwrap());
    let shape = shape(&producer);
    let pending = Producer::begin_with(Arc::clone(&producer), &class("standard")).unwrap();
    drop(producer);
    #[allow(clippy::disallowed_methods, reason = "the test is about threads")]
    let other = std::thread::spawn(move || {
        let mut record = pending.record(&shape, Kind::Decision);
        record.i64(1).text("");
        record.finish().unwrap();
    });
    other.join().unwrap();
    assert_eq!(read_ended(&spool, 0).of_class("standard").count(), 1);
}

#[test]
fn the_next_part_is_made_ahead_and_deleted_when_it_was_not_needed() {
    let spool = Spool::new();
    let heartbeat = std::time::Duration::from_millis(20);
    let producer = Producer::open(ProducerOptions { heartbeat, ..spool.small() }).unwrap();
    let shape = shape(&producer);
    for n in 0..500 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    wait_for("the next part", || spool.parts().len() == 2);
    assert_eq!(producer.status().unwrap().parts, 1);
    drop(producer);
    assert_eq!(spool.parts().len(), 1);
    read_ended(&spool, 0);
}

#[test]
fn the_producer_says_by_itself_that_it_lives() {
    let spool = Spool::new();
    let heartbeat = std::time::Duration::from_millis(20);
    let producer = Producer::open(ProducerOptions { heartbeat, ..spool.small() }).unwrap();
    let shape = shape(&producer);
    let system = |producer: &Producer| producer.status().unwrap().drawn[0].1;
    decide(&producer, &shape, &class("standard"), 1, "");
    wait_for("a heartbeat", || system(&producer) >= 2);
    decide(&producer, &shape, &class("standard"), 1, "");
    wait_for("another", || system(&producer) >= 3);
    drop(producer);
    read_ended(&spool, 0);
}

/// Counts flushes of parts and epoch files.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Storage for Counting {
    fn reserve(&self, file: &std::fs::File, bytes: u64) -> std::io::Result<()> {
        SystemStorage.reserve(file, bytes)
    }

    fn flush(&self, file: &std::fs::File) -> std::io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemStorage.flush(file)
    }
}

#[test]
fn full_parts_are_flushed_once_and_then_left_alone() {
    let spool = Spool::new();
    let storage = Arc::new(Counting::default());
    let options = ProducerOptions { storage: Arc::clone(&storage) as Arc<dyn Storage>, ..spool.small() };
    let producer = Producer::open(options).unwrap();
    let shape = shape(&producer);
    for n in 0..3_000 {
        decide(&producer, &shape, &class("standard"), n, "text");
    }
    let parts = producer.status().unwrap().parts as usize;
    assert!(parts > 3);
    let flushes = || {
        let before = storage.0.load(Ordering::Relaxed);
        producer.flush(Level::Disk).unwrap();
        storage.0.load(Ordering::Relaxed) - before
    };
    assert_eq!(flushes(), parts + 1, "every part and the epoch file");
    assert_eq!(flushes(), 2, "the last part and the epoch file");
    in_threads(|_| producer.flush(Level::Disk).unwrap());
}
