//! A forked child opens an epoch of its own, and never uses its parent's key, numbers or ids.

use std::collections::BTreeSet;

use minutebook_capture::{CaptureError, LostReason, Owner, Producer, Stop};
use minutebook_record::Kind;

use crate::support::{Seen, Spool, class, decide, read_ended, shape, wait_for};

/// Set for a child that uses the producer.
const USES: &str = "MINUTEBOOK_TEST_USES";

/// Forks with a decision in flight while other threads write; child and grandchild write on.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn forks() {
    let spool = Spool::of_parent();
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    let standard = class("standard");
    let write = |from: i64| {
        for n in from..from + 2_000 {
            decide(&producer, &shape, &standard, n, "text");
        }
    };
    write(0);
    let pending = producer.begin(&standard).unwrap();
    let kept = producer.begin(&standard).unwrap();
    #[allow(clippy::disallowed_methods, reason = "threads of the parent, which hold its locks at the fork")]
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(|| write(10_000))).collect();
        // SAFETY: the child calls what any forked program may: memory is allocated by an allocator that is ready for it.
        match unsafe { libc::fork() } {
            0 => {
                // The decision is the parent's: neither handed over nor told as lost here.
                let mut record = pending.record(&shape, Kind::Decision);
                record.i64(1).text("");
                assert!(matches!(record.finish(), Err(CaptureError::Forked)));
                drop(kept);
                write(20_000);
                assert_eq!(producer.status().unwrap().epoch.get(), 2);
                // SAFETY: as above.
                if unsafe { libc::fork() } == 0 {
                    write(30_000);
                    assert_eq!(producer.status().unwrap().epoch.get(), 3);
                    producer.close().unwrap();
                    // SAFETY: ends the process without running what its parents have to run.
                    unsafe { libc::_exit(0) };
                }
                let mut status = 0;
                // SAFETY: waits for the child above.
                unsafe { libc::wait(&mut status) };
                assert_eq!(status, 0);
                producer.close().unwrap();
                // SAFETY: as above.
                unsafe { libc::_exit(0) };
            }
            child => {
                assert!(child > 0);
                let mut record = pending.record(&shape, Kind::Decision);
                record.i64(1).text("");
                record.finish().unwrap();
                drop(kept);
                // The same thread goes on, as the child's does: none of its randomness may be in both.
                write(40_000);
                others.into_iter().for_each(|other| other.join().unwrap());
                let mut status = 0;
                // SAFETY: waits for the child above.
                unsafe { libc::waitpid(child, &mut status, 0) };
                assert_eq!(status, 0);
            }
        }
    });
    assert_eq!(producer.status().unwrap().epoch.get(), 1);
    drop(producer);
}

#[test]
fn children_write_epochs_of_their_own() {
    let spool = Spool::new();
    let output = spool.process("fork::forks").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(spool.epochs().len(), 3);
    let seen: Vec<_> = (0..3).map(|n| read_ended(&spool, n)).collect();
    let count = |n: usize| seen[n].of_class("standard").count();
    assert_eq!((count(0), count(1), count(2)), (2_000 + 6_000 + 1 + 2_000, 2_000, 2_000));
    assert_eq!(seen[0].lost.values().collect::<Vec<_>>(), [&LostReason::Dropped]);
    let records = || seen.iter().flat_map(|seen| seen.records.values());
    let random: BTreeSet<[u8; 10]> =
        records().map(|record| record.id.as_bytes()[6..].try_into().unwrap()).collect();
    assert_eq!(random.len(), records().count(), "an id's randomness was used twice");
    let keys: BTreeSet<_> = (0..3).map(|n| spool.reader(n).mark_key()).collect();
    assert_eq!(keys.len(), 3);
    // The key of an epoch seals no frame of another: or one of these had authenticated with the wrong key.
    let sealed: BTreeSet<_> =
        spool.epochs().iter().map(|path| std::fs::read(path).unwrap()[128..208].to_vec()).collect();
    assert_eq!(sealed.len(), 3);
}

/// The child lives on; when it never uses the producer it holds the lock of the parent's epoch.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn leaves_a_child_behind() {
    let spool = Spool::of_parent();
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    decide(&producer, &shape, &class("standard"), 1, "");
    // SAFETY: the child waits and ends, nothing else.
    if unsafe { libc::fork() } == 0 {
        if std::env::var_os(USES).is_some() {
            decide(&producer, &shape, &class("standard"), 1, "");
            // What a descriptor is of goes only when all have let go of it.
            let parents = spool.folder().join("0000000001");
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let open = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
            let open = open.map(|path| path.into_os_string().into_string().unwrap());
            let kept: Vec<_> = open.filter(|path| path.starts_with(parents.to_str().unwrap())).collect();
            assert_eq!(kept, [""; 0]);
        }
        let mut byte = 0_u8;
        // SAFETY: reads from the pipe that is this process' standard input, which the test closes; then ends.
        unsafe {
            libc::read(0, (&raw mut byte).cast(), 1);
            libc::_exit(0);
        }
    }
    if std::env::var_os(USES).is_some() {
        wait_for("the child's epoch", || spool.epochs().len() == 2);
        wait_for("the child's record", || {
            let mut seen = Seen::default();
            seen.read(&mut spool.reader(1));
            seen.of_class("standard").count() == 1
        });
    }
    std::process::exit(0);
}

#[test]
fn a_child_that_has_its_own_epoch_lets_go_of_its_parents_lock() {
    let spool = Spool::new();
    let mut process = spool.process("fork::leaves_a_child_behind").env(USES, "1").spawn().unwrap();
    let stdin = process.stdin.take();
    process.wait().unwrap();
    assert!(std::fs::File::open(&spool.epochs()[0]).unwrap().try_lock().is_ok());
    assert_eq!(spool.reader(1).owner().unwrap(), Owner::Alive);
    drop(stdin);
    wait_for("the child to end", || spool.reader(1).owner().unwrap() == Owner::Dead);
}

#[test]
fn a_child_that_holds_the_lock_does_not_keep_the_epoch_alive() {
    let spool = Spool::new();
    let mut process = spool.process("fork::leaves_a_child_behind").spawn().unwrap();
    let stdin = process.stdin.take();
    process.wait().unwrap();
    let mut reader = spool.reader(0);
    assert!(std::fs::File::open(&spool.epochs()[0]).unwrap().try_lock().is_err(), "the child holds the lock");
    assert_eq!(reader.owner().unwrap(), Owner::Dead);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert_eq!(seen.of_class("standard").count(), 1);
    drop(stdin);
    wait_for("the child to end", || std::fs::File::open(&spool.epochs()[0]).unwrap().try_lock().is_ok());
}
