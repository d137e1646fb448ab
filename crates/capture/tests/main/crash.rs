//! The process dies at any moment: what it handed over is read, and what was in flight is told.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Child;

use minutebook_capture::{Backing, Owner, Producer, ProducerOptions, Stop};
use minutebook_record::Value;

use crate::support::{Seen, Spool, class, decide, shape};

/// Writes until killed, and says each number that was handed over after it was.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn writes_until_killed() {
    let spool = Spool::of_parent();
    let backing =
        if std::env::var_os("MINUTEBOOK_TEST_WRITTEN").is_some() { Backing::Written } else { Backing::Auto };
    let producer = Producer::open(ProducerOptions { backing, ..spool.small() }).unwrap();
    let shape = shape(&producer);
    let _in_flight: Vec<_> = (0..3).map(|_| producer.begin(&class("standard")).unwrap()).collect();
    let mut out = std::io::stdout().lock();
    for n in 0.. {
        let (_, seq) = decide(&producer, &shape, &class("standard"), n, "some text");
        if writeln!(out, "seq {seq} {n}").is_err() {
            break;
        }
    }
}

/// The numbers that a process says, until it is killed after so many.
fn kill_after(child: &mut Child, lines: usize) -> Vec<(u64, i64)> {
    let mut told = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        let words: Vec<_> = line.split(' ').collect();
        if let ["seq", seq, n] = words[..]
            && let (Ok(seq), Ok(n)) = (seq.parse(), n.parse())
        {
            told.push((seq, n));
        }
        if told.len() >= lines && !std::mem::replace(&mut killed, true) {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

fn check_killed(written: bool, lines: usize) {
    let spool = Spool::new();
    let mut process = spool.process("crash::writes_until_killed");
    if written {
        process.env("MINUTEBOOK_TEST_WRITTEN", "1");
    }
    let mut child = process.spawn().unwrap();
    let mut told = kill_after(&mut child, lines);
    // The last line may have been cut.
    told.pop();
    assert!(told.len() + 1 >= lines);

    let mut reader = spool.reader(0);
    assert_eq!(reader.owner().unwrap(), Owner::Dead);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    for (seq, n) in &told {
        assert_eq!(seen.records[&(class("standard"), *seq)].value(0), Value::Integer((*n).into()));
    }
    // What is missing was in flight, and the slots say so: by number, or that one was being drawn when the process died.
    let drawn = reader.drawn().unwrap();
    let missing = seen.missing(&drawn);
    let in_flight = reader.in_flight().unwrap();
    let mut numbers: Vec<_> =
        in_flight.iter().filter_map(|slot| Some((slot.class, slot.seq?.get()))).collect();
    numbers.sort();
    assert!((3..=4).contains(&missing.len()), "{missing:?}");
    let unnamed = missing.iter().filter(|key| !numbers.contains(key)).count();
    let drawing = in_flight.iter().filter(|slot| slot.seq.is_none()).count();
    assert!(unnamed <= drawing, "{missing:?} {numbers:?}, {drawing} being drawn");
    assert!(in_flight.iter().all(|slot| slot.started_ns > 1_600_000_000_000_000_000));
    assert_eq!(seen.twice, []);
}

#[test]
fn what_a_killed_process_handed_over_is_read() {
    for lines in [1, 100, 5_000] {
        check_killed(false, lines);
    }
}

#[test]
fn the_same_without_a_mapping() {
    check_killed(true, 1_000);
}

#[test]
fn what_a_killed_process_made_goes_with_its_epoch() {
    let spool = Spool::new();
    let mut child = spool.process("crash::writes_until_killed").spawn().unwrap();
    kill_after(&mut child, 10);
    let reserve = "0000000001-reserve.spool.tmp".to_owned();
    assert!(spool.names().contains(&reserve));
    assert_eq!(minutebook_capture::list_epochs(&spool.path).unwrap().foreign, Vec::<PathBuf>::new());
    let mut reader = spool.reader(0);
    let end = Seen::default().read(&mut reader);
    assert_eq!(end.stop, Stop::Ended);
    reader.free_to(end.position).unwrap();
    reader.remove().unwrap();
    assert_eq!(spool.names(), ["lock", "producer"]);
}

#[test]
fn the_next_run_goes_on_with_the_next_epoch() {
    let spool = Spool::new();
    let mut child = spool.process("crash::writes_until_killed").spawn().unwrap();
    kill_after(&mut child, 10);
    let producer = Producer::open(spool.small()).unwrap();
    assert_eq!(producer.status().unwrap().epoch.get(), 2);
    assert_eq!(spool.reader(0).owner().unwrap(), Owner::Dead);
    assert_eq!(spool.reader(1).owner().unwrap(), Owner::Alive);
}
