//! The reserve: what a producer says last has room, also where nothing else has.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use minutebook_capture::{
    Backing, CaptureError, Clock, Level, LostReason, Owner, Producer, ProducerOptions, Stop, Storage,
    SystemClock, SystemStorage,
};
use minutebook_record::{Kind, Value};

use crate::support::{Failing, Seen, Spool, class, fill, read_ended, shape, try_decide, wait_for};

const RESERVE: &str = "0000000001-reserve.spool.tmp";
const RESERVE_BYTES: u64 = minutebook_capture::limits::RESERVE_BYTES;

/// Options with which there is room for two parts of 64 KiB.
fn two_parts(spool: &Spool) -> ProducerOptions {
    ProducerOptions { spill_bytes: 2 * (64 << 10) + 4096, ..spool.small() }
}

fn is_closed(seen: &Seen) -> bool {
    let last = seen.of_class("system").last();
    last.is_some_and(|(_, mark)| mark.value(1) == Value::Text("closed".into()))
}

/// Frees all that was read and removes the epoch: nothing of it is left.
fn remove(spool: &Spool) {
    let mut reader = spool.reader(0);
    let end = Seen::default().read(&mut reader);
    reader.free_to(end.position).unwrap();
    reader.remove().unwrap();
    assert_eq!(spool.names(), ["lock", "producer"]);
}

/// A producer that nothing has room for any more closes in order, and says which numbers it refused.
fn closes_in_order(backing: Backing, limited: bool) {
    let spool = Spool::new();
    let storage = Arc::new(Failing::default());
    let options = if limited { two_parts(&spool) } else { spool.small() };
    let options = ProducerOptions { backing, storage: Arc::clone(&storage) as Arc<dyn Storage>, ..options };
    let producer = Producer::open(options).unwrap();
    let shape = shape(&producer);
    storage.full.store(!limited, Ordering::Relaxed);
    let kept = fill(&producer, &shape);
    assert!(kept > 100);
    for _ in 0..2_000 {
        assert!(matches!(try_decide(&producer, &shape), Err(CaptureError::Full { .. })));
    }
    let parts = producer.status().unwrap().parts;
    producer.close().unwrap();
    producer.close().unwrap();
    assert_eq!(producer.status().unwrap().parts, parts + 1);
    drop(producer);

    assert!(!spool.names().iter().any(|name| name == RESERVE));
    let parts = spool.parts();
    let last = parts.last().unwrap();
    assert_eq!(last.metadata().unwrap().len(), RESERVE_BYTES);
    assert_eq!(spool.reader(0).owner().unwrap(), Owner::Closed);
    let seen = read_ended(&spool, 0);
    assert!(is_closed(&seen));
    assert_eq!(seen.of_class("standard").count(), kept);
    assert!(seen.lost.len() > 2_000);
    assert!(seen.lost.values().all(|reason| *reason == LostReason::SpoolFull), "{:?}", seen.lost);
    remove(&spool);
}

#[test]
fn a_producer_at_its_spill_limit_closes_in_order() {
    closes_in_order(Backing::Mapped, true);
    closes_in_order(Backing::Written, true);
}

#[test]
fn a_producer_on_a_full_disk_closes_in_order() {
    closes_in_order(Backing::Mapped, false);
    closes_in_order(Backing::Written, false);
}

#[test]
fn an_unused_reserve_is_gone_after_closing() {
    let spool = Spool::new();
    let producer = Producer::open(two_parts(&spool)).unwrap();
    let reserve = spool.folder().join(RESERVE);
    assert_eq!(reserve.metadata().unwrap().len(), RESERVE_BYTES);
    assert_eq!(minutebook_capture::list_epochs(&spool.path).unwrap().foreign, Vec::<PathBuf>::new());
    let shape = shape(&producer);
    // It does not count towards the limit: there is room for both parts.
    while producer.status().unwrap().parts < 2 {
        try_decide(&producer, &shape).unwrap();
    }
    producer.close().unwrap();
    assert!(!reserve.exists());
    assert_eq!(spool.parts().len(), 2);
    assert!(is_closed(&read_ended(&spool, 0)));
}

/// With reasons that take turns no two ranges join.
#[test]
fn all_ranges_that_are_remembered_have_room() {
    let spool = Spool::new();
    let producer = Producer::open(two_parts(&spool)).unwrap();
    let shape = shape(&producer);
    fill(&producer, &shape);
    let classes: Vec<_> = (0..14).map(|n| class(&format!("{}-{n:02}", "c".repeat(29)))).collect();
    for n in 0..5_000 {
        let pending = producer.begin(&classes[n % classes.len()]).unwrap();
        let odd = n / classes.len() % 2 == 1;
        pending.lose(if odd { LostReason::Dropped } else { LostReason::SpoolFull });
    }
    producer.close().unwrap();
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert!(is_closed(&seen));
    assert_eq!((seen.damage, seen.lost.len()), (Vec::new(), 4_096));
}

#[test]
fn a_record_that_comes_while_closing_leaves_the_reserve_alone() {
    let spool = Spool::new();
    let producer = Producer::open(two_parts(&spool)).unwrap();
    let shape = shape(&producer);
    fill(&producer, &shape);
    let pending = producer.begin(&class("standard")).unwrap();
    #[allow(clippy::disallowed_methods, reason = "`close` waits for the decision, which another thread has")]
    std::thread::scope(|scope| {
        scope.spawn(|| producer.close().unwrap());
        wait_for("closing", || matches!(producer.begin(&class("standard")), Err(CaptureError::Closed)));
        let mut record = pending.record(&shape, Kind::Decision);
        record.i64(0).text("some text to fill the part with");
        assert!(matches!(record.finish(), Err(CaptureError::Full { .. })));
    });
    let seen = read_ended(&spool, 0);
    assert!(is_closed(&seen));
    let last = seen.of_class("standard").map(|(_, record)| record.position.part).max();
    assert_eq!((last, spool.parts().len()), (Some(2), 3));
}

/// Has no room from the n-th file on.
struct FullFrom(AtomicUsize);

impl Storage for FullFrom {
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => SystemStorage.reserve(file, bytes),
            Err(_) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        }
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        SystemStorage.flush(file)
    }
}

#[test]
fn without_room_for_the_reserve_or_the_part_nothing_of_both_is_left() {
    // The files are that of the epoch, the reserve, the part.
    for there in 1..3 {
        let spool = Spool::new();
        let storage = Arc::new(FullFrom(there.into())) as Arc<dyn Storage>;
        let opened = Producer::open(ProducerOptions { storage, ..spool.small() });
        assert!(matches!(opened, Err(CaptureError::Full { .. })), "room for {there}");
        assert_eq!(spool.names(), ["0000000001.epoch", "lock", "producer"], "room for {there}");
        remove(&spool);
    }
}

#[test]
fn a_full_producer_without_its_reserve_is_left_open() {
    let spool = Spool::new();
    let producer = Producer::open(two_parts(&spool)).unwrap();
    let shape = shape(&producer);
    let kept = fill(&producer, &shape);
    std::fs::remove_file(spool.folder().join(RESERVE)).unwrap();
    assert!(matches!(producer.close(), Err(CaptureError::Io { .. })));
    assert!(matches!(producer.close(), Err(CaptureError::Closed)));
    drop(producer);
    let mut reader = spool.reader(0);
    assert_eq!(reader.owner().unwrap(), Owner::Dead);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert_eq!(seen.of_class("standard").count(), kept);
    assert_eq!(seen.damage, []);
}

/// A disk that never flushes, so that flushing is little more than telling what was lost.
struct Hasty;

impl Storage for Hasty {
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        SystemStorage.reserve(file, bytes)
    }

    fn flush(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

/// A flush takes what is remembered as lost, finds no room, and puts it back: closing in between found nothing to tell.
#[test]
fn a_flush_on_the_side_takes_nothing_away_from_closing() {
    for _ in 0..30 {
        let spool = Spool::new();
        let storage = Arc::new(Hasty) as Arc<dyn Storage>;
        let producer = Producer::open(ProducerOptions { storage, ..two_parts(&spool) }).unwrap();
        let shape = shape(&producer);
        fill(&producer, &shape);
        let (flushed, done) = (AtomicBool::new(false), AtomicBool::new(false));
        #[allow(clippy::disallowed_methods, reason = "another thread flushes")]
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    producer.flush(Level::Disk).unwrap();
                    flushed.store(true, Ordering::Relaxed);
                }
            });
            wait_for("a flush", || flushed.load(Ordering::Relaxed));
            let closed = producer.close();
            done.store(true, Ordering::Relaxed);
            closed.unwrap();
        });
        assert!(is_closed(&read_ended(&spool, 0)));
    }
}

/// A clock that does something when it is asked for the time after the reserve has become a part: the closing mark does so before it is made.
struct AtReserve<F> {
    reserve: PathBuf,
    armed: AtomicBool,
    then: F,
}

impl<F: Fn()> AtReserve<F> {
    fn new(spool: &Spool, then: F) -> Arc<Self> {
        Arc::new(Self { reserve: spool.folder().join(RESERVE), armed: AtomicBool::new(false), then })
    }

    /// To be called once the reserve is there.
    fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
    }

    fn look(&self) {
        if self.armed.load(Ordering::Relaxed) && !self.reserve.exists() {
            (self.then)();
        }
    }
}

impl<F: Fn() + Send + Sync> Clock for AtReserve<F> {
    fn wall_ns(&self) -> i64 {
        self.look();
        SystemClock.wall_ns()
    }

    fn monotonic_ns(&self) -> u64 {
        self.look();
        SystemClock.monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        SystemClock.error_ns()
    }
}

/// A record that a part could hold and the reserve could not: there is no room for it, and it is not too large.
#[test]
fn a_record_that_comes_once_the_reserve_is_a_part_finds_no_room() {
    let spool = Spool::new();
    let release = Arc::new(AtomicBool::new(false));
    let released = Arc::clone(&release);
    let clock = AtReserve::new(&spool, move || wait_for("the record", || released.load(Ordering::Relaxed)));
    let options = ProducerOptions {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        part_bytes: 1 << 20,
        spill_bytes: (1 << 20) + 4096,
        ..spool.options()
    };
    let producer = Producer::open(options).unwrap();
    clock.arm();
    let shape = shape(&producer);
    fill(&producer, &shape);
    let pending = producer.begin(&class("standard")).unwrap();
    let seq = pending.seq().get();
    #[allow(clippy::disallowed_methods, reason = "another thread closes")]
    std::thread::scope(|scope| {
        scope.spawn(|| producer.close().unwrap());
        wait_for("the reserve to be a part", || spool.parts().len() == 2);
        let mut record = pending.record(&shape, Kind::Decision);
        record.i64(0).text(&"x".repeat(RESERVE_BYTES as usize));
        assert!(matches!(record.finish(), Err(CaptureError::Full { .. })));
        release.store(true, Ordering::Relaxed);
    });
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert!(is_closed(&seen));
    // It came too late to be told.
    assert_eq!(seen.missing(&reader.drawn().unwrap()), [(class("standard"), seq)]);
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn dies_between_the_reserve_and_the_mark() {
    let spool = Spool::of_parent();
    let clock = AtReserve::new(&spool, || {
        // SAFETY: a plain call, which does not return.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    });
    let options = ProducerOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..two_parts(&spool) };
    let producer = Producer::open(options).unwrap();
    clock.arm();
    let shape = shape(&producer);
    println!("kept {}", fill(&producer, &shape));
    drop(producer);
    panic!("it lives");
}

#[test]
fn what_a_process_said_before_it_died_in_closing_is_read() {
    let spool = Spool::new();
    let output = spool.process("reserve::dies_between_the_reserve_and_the_mark").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(libc::SIGKILL), "{said}");
    let kept = said.lines().find_map(|line| line.rsplit_once("kept ")).unwrap().1;
    assert_eq!((spool.parts().len(), spool.reader(0).owner().unwrap()), (3, Owner::Dead));
    let seen = read_ended(&spool, 0);
    assert!(!is_closed(&seen));
    assert_eq!(seen.of_class("standard").count().to_string(), kept);
    assert_eq!(seen.lost.values().collect::<Vec<_>>(), [&LostReason::SpoolFull]);
    remove(&spool);
}
