//! Reading what was altered, cut or left half-written: every change is found, what else there is gets read, and nothing panics.
//! Offsets are those of `docs/formats/spool.md`, written out here once more.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use minutebook_capture::{Damage, EpochReader, IntakePrivateKey, Owner, Position, Producer, ReadError, Stop};

use crate::support::{NAME, Seen, Spool, TRAIL, class, decide, intake, shape};

const FRAMES: usize = 4096;

/// A spool whose owner is dead: a copy of the files of one that lives.
fn dead(records: i64, producer: impl Fn(&Spool) -> Producer) -> Spool {
    let living = Spool::new();
    let producer = producer(&living);
    let shape = shape(&producer);
    for n in 0..records {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    let copy = Spool::new();
    fs::create_dir_all(copy.folder()).unwrap();
    for entry in fs::read_dir(living.folder()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.folder().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn small(spool: &Spool) -> Producer {
    Producer::open(spool.small()).unwrap()
}

fn read_all(spool: &Spool) -> (Seen, EpochReader) {
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    (seen, reader)
}

/// Offset and whole length of the frames of a part, up to the first word of 0.
fn frames(part: &Path) -> Vec<(usize, usize)> {
    let bytes = fs::read(part).unwrap();
    let (mut at, mut frames) = (FRAMES, Vec::new());
    while at + 8 <= bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if len == 0 {
            break;
        }
        let len = len.next_multiple_of(16);
        frames.push((at, len));
        at += len;
    }
    frames
}

fn change(path: &Path, at: usize, change: impl FnOnce(&mut [u8; 1])) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    change(&mut byte);
    file.write_all_at(&byte, at as u64).unwrap();
}

fn put(path: &Path, at: usize, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at as u64).unwrap();
}

#[test]
fn a_flipped_bit_in_any_byte_of_any_frame_is_found_and_costs_no_other_record() {
    let spool = dead(4, small);
    let part = &spool.parts()[0];
    let (whole, _) = read_all(&spool);
    assert_eq!(whole.damage, []);
    assert_eq!(whole.records.len(), 5);
    let frames = frames(part);
    // Class, shape, opening mark; class, shape, four records.
    assert_eq!(frames.len(), 9);
    for (n, &(from, len)) in frames.iter().enumerate() {
        for at in from..from + len {
            let bit = 1 << (at % 8);
            change(part, at, |byte| byte[0] ^= bit);
            let (seen, reader) = read_all(&spool);
            assert!(!seen.damage.is_empty(), "frame {n}, byte {}", at - from);
            for (key, record) in &seen.records {
                assert_eq!(Some(record), whole.records.get(key));
            }
            let definition = [0, 1, 3, 4].contains(&n);
            let missing = seen.missing(&reader.drawn().unwrap()).len();
            assert!(definition || missing <= 1, "frame {n}, byte {}: {missing} missing", at - from);
            change(part, at, |byte| byte[0] ^= bit);
        }
    }
}

#[test]
fn a_flipped_bit_in_the_epochs_header_is_found() {
    let spool = dead(1, small);
    let epoch = &spool.epochs()[0];
    for at in 0..240 {
        change(epoch, at, |byte| byte[0] ^= 0x10);
        let error = EpochReader::open(epoch, TRAIL, &intake()).err().unwrap();
        assert!(matches!(error, ReadError::Damage(_)), "byte {at}: {error}");
        change(epoch, at, |byte| byte[0] ^= 0x10);
    }
    read_all(&spool);
}

#[test]
fn an_epoch_of_another_trail_key_or_name_is_refused() {
    let spool = dead(1, small);
    let epoch = &spool.epochs()[0];
    let damage = |path: &Path, trail, key: &IntakePrivateKey| match EpochReader::open(path, trail, key) {
        Err(ReadError::Damage(damage)) => damage,
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(damage(epoch, [0x12; 16], &intake()), Damage::OtherTrail);
    assert_eq!(damage(epoch, TRAIL, &IntakePrivateKey::from_bytes([0x78; 32])), Damage::EpochKey);
    let renamed = epoch.with_file_name("0000000002.epoch");
    fs::copy(epoch, &renamed).unwrap();
    assert_eq!(damage(&renamed, TRAIL, &intake()), Damage::EpochName);
    fs::write(&renamed, b"mbepoch1").unwrap();
    assert_eq!(damage(&renamed, TRAIL, &intake()), Damage::EpochHeader);
}

#[test]
fn what_the_epochs_tables_hold_never_panics() {
    let spool = dead(2, small);
    let epoch = &spool.epochs()[0];
    let touched = (4096..4096 + 3 * 64).chain(5120..5128).chain(8192..8192 + 64);
    for at in touched {
        for value in [0, 1, 0x80, 0xff] {
            let mut before = 0;
            change(epoch, at, |byte| before = std::mem::replace(&mut byte[0], value));
            let mut reader = spool.reader(0);
            // An error is fine: it says what is wrong.
            let _ = (reader.drawn(), reader.in_flight());
            let mut seen = Seen::default();
            seen.read(&mut reader);
            assert_eq!(seen.records.len(), 3, "byte {at}: frames do not depend on the tables");
            change(epoch, at, |byte| byte[0] = before);
        }
    }
}

#[test]
fn a_class_that_was_renamed_in_the_table_is_told_and_the_frames_count() {
    let spool = dead(2, small);
    let (whole, _) = read_all(&spool);
    put(&spool.epochs()[0], 4096 + 64, b"shortened");
    let (seen, _) = read_all(&spool);
    assert_eq!(seen.damage.iter().map(|(damage, ..)| *damage).collect::<Vec<_>>(), [Damage::ClassMismatch]);
    assert_eq!(seen.records, whole.records);
}

#[test]
fn a_damaged_part_header_is_told_and_costs_no_record() {
    let spool = dead(4, small);
    let part = &spool.parts()[0];
    let (whole, _) = read_all(&spool);
    let words = [256..264, 264..272, 320..328];
    for at in 0..FRAMES {
        change(part, at, |byte| byte[0] ^= 0x80);
        let (seen, _) = read_all(&spool);
        if words.iter().any(|word| word.contains(&at)) {
            // A position that is moved to another possible place cannot be told from the right one.
            assert!(seen.records.len() <= whole.records.len());
        } else {
            let told: Vec<_> = seen.damage.iter().map(|(damage, ..)| *damage).collect();
            assert_eq!(told, [Damage::PartHeader], "byte {at}");
            assert_eq!(seen.records, whole.records);
        }
        change(part, at, |byte| byte[0] ^= 0x80);
    }
    for (word, value) in [(256, 4097_u64), (256, 0), (264, 1 << 40), (264, 4100), (320, 8), (320, 1 << 20)] {
        let before = fs::read(part).unwrap()[word..word + 8].to_vec();
        put(part, word, &value.to_le_bytes());
        let (seen, _) = read_all(&spool);
        assert!(seen.damage.iter().any(|(damage, ..)| *damage == Damage::PartProgress), "{word}: {value}");
        assert_eq!(seen.records, whole.records, "{word}: {value}");
        put(part, word, &before);
    }
}

#[test]
fn a_part_that_was_cut_is_read_as_far_as_it_goes() {
    let spool = dead(20, small);
    let part = &spool.parts()[0];
    let bytes = fs::read(part).unwrap();
    let (whole, _) = read_all(&spool);
    for len in (0..FRAMES + 3000).step_by(97).chain([0, 1, FRAMES - 1, FRAMES, FRAMES + 1]) {
        fs::write(part, &bytes[..len]).unwrap();
        let (seen, _) = read_all(&spool);
        assert!(!seen.damage.is_empty(), "cut at {len}");
        assert!(seen.records.iter().all(|(key, record)| whole.records.get(key) == Some(record)));
    }
}

#[test]
fn holes_of_a_dead_owner_are_passed_over() {
    let spool = dead(6, small);
    let part = &spool.parts()[0];
    let frames = frames(part);
    let (first, len) = frames[6];
    // Nothing but the reservation: the length is unknown.
    put(part, first, &vec![0; len]);
    // Reserved, half of the bytes.
    let (second, len) = frames[8];
    let word = u64::try_from(len).unwrap() | 1 << 32;
    put(part, second, &word.to_le_bytes());
    put(part, second + 40, &vec![0; len - 40]);
    // The last frame: a hole up to the tail.
    let (last, len) = frames[10];
    put(part, last, &vec![0; len]);

    let (seen, reader) = read_all(&spool);
    let from: Vec<_> = seen.damage.iter().map(|(damage, from, _)| (*damage, from.offset as usize)).collect();
    assert_eq!(from, [first, second, last].map(|at| (Damage::Unfinished, at)));
    assert_eq!(seen.missing(&reader.drawn().unwrap()), [2, 4, 6].map(|seq| (class("standard"), seq)));
}

#[test]
fn a_frame_that_is_not_published_is_waited_for_while_the_owner_lives() {
    let spool = Spool::new();
    let producer = small(&spool);
    let shape = shape(&producer);
    for n in 0..6 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    let part = &spool.parts()[0];
    let (at, _) = frames(part)[7];
    let word = fs::read(part).unwrap()[at..at + 8].to_vec();
    for unfinished in [[0; 8], [word[0], word[1], word[2], word[3], 1, 0, 0, 0]] {
        put(part, at, &unfinished);
        let mut reader = spool.reader(0);
        let mut seen = Seen::default();
        for _ in 0..3 {
            let end = seen.read(&mut reader);
            assert_eq!((end.stop, end.position.offset as usize), (Stop::CaughtUp, at));
        }
        assert_eq!(seen.of_class("standard").count(), 2);
        put(part, at, &word);
        assert_eq!(seen.read(&mut reader).stop, Stop::CaughtUp);
        assert_eq!(seen.of_class("standard").count(), 6);
        assert_eq!(seen.damage, []);
    }
}

#[test]
fn damage_under_a_living_owner_is_passed_over_once_there_is_a_frame_behind() {
    let spool = Spool::new();
    let producer = small(&spool);
    let shape = shape(&producer);
    for n in 0..4 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    let part = &spool.parts()[0];
    let frames = frames(part);
    // The word of the last frame: nobody can tell where the next one begins.
    let (last, _) = frames[frames.len() - 1];
    change(part, last, |byte| byte[0] ^= 0x40);
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).position.offset as usize, last);
    assert_eq!(seen.damage, []);
    decide(&producer, &shape, &class("standard"), 4, "some text");
    seen.read(&mut reader);
    assert_eq!(seen.damage.iter().map(|(damage, ..)| *damage).collect::<Vec<_>>(), [Damage::Frame]);
    assert_eq!(seen.missing(&reader.drawn().unwrap()), [(class("standard"), 4)]);
}

#[test]
fn a_missing_part_is_told_and_the_next_is_read() {
    let spool = dead(3000, small);
    let parts = spool.parts();
    assert!(parts.len() >= 4);
    fs::remove_file(&parts[1]).unwrap();
    let (seen, _) = read_all(&spool);
    let told = (Damage::PartMissing, Position { part: 2, offset: 0 }, Position { part: 3, offset: 0 });
    assert_eq!(seen.damage, [told]);
    // Without its first parts an epoch looks as if they had been freed: the numbers tell.
    fs::remove_file(&parts[0]).unwrap();
    let (seen, reader) = read_all(&spool);
    assert_eq!(seen.damage, []);
    assert!(seen.missing(&reader.drawn().unwrap()).len() > 500);
}

#[test]
fn definitions_survive_freeing_so_that_a_new_reader_goes_on() {
    let spool = Spool::new();
    let producer = small(&spool);
    let shape = shape(&producer);
    for n in 0..200 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    let mut reader = spool.reader(0);
    let mut seen = Seen::default();
    let end = seen.read(&mut reader);
    reader.free_to(end.position).unwrap();
    drop(reader);
    for n in 200..300 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }

    let part = &spool.parts()[0];
    let bytes = fs::read(part).unwrap();
    let drained = u64::from_le_bytes(bytes[320..328].try_into().unwrap());
    assert_eq!(drained, end.position.offset);
    let left = bytes[FRAMES..drained as usize].iter().filter(|&&byte| byte != 0).count();
    assert!(left > 0 && left < 1500, "{left} bytes: two classes and two shapes");

    let mut reader = spool.reader(0);
    let mut again = Seen::default();
    again.read(&mut reader);
    let numbers: Vec<_> = again.of_class("standard").map(|(seq, _)| seq).collect();
    assert_eq!(numbers, (201..=300).collect::<Vec<_>>());
    let end = again.read(&mut reader);
    reader.free_to(end.position).unwrap();
    drop((reader, producer));
    let mut reader = spool.reader(0);
    let mut last = Seen::default();
    let end = last.read(&mut reader);
    assert_eq!((end.stop, last.records.len()), (Stop::Ended, 1), "the closing mark");
    reader.free_to(end.position).unwrap();
    reader.remove().unwrap();
    assert_eq!(fs::read_to_string(spool.folder().join("producer")).unwrap().lines().last(), Some("epoch 1"));
}

#[test]
fn an_epoch_with_nothing_but_its_file_has_ended() {
    let spool = dead(1, small);
    let parts: Vec<PathBuf> = spool.parts();
    parts.iter().for_each(|part| fs::remove_file(part).unwrap());
    let mut reader = spool.reader(0);
    assert_eq!(reader.owner().unwrap(), Owner::Dead);
    assert_eq!(Seen::default().read(&mut reader).stop, Stop::Ended);
    reader.remove().unwrap();
    assert!(spool.path.join(NAME).join("producer").exists());
}
