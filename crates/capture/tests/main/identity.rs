//! Epochs are consecutive and none is used twice, wherever a crash falls in allocating or deleting one.

use std::fs;

use minutebook_capture::{Advice, CaptureError, EpochReader, ReadError, Stop, list_epochs};
use minutebook_capture::{Producer, ProducerOptions};

use crate::support::{NAME, Seen, Spool, TRAIL, class, decide, intake, read_ended, shape};

fn open_and_close(spool: &Spool) -> (u64, [u8; 16]) {
    let producer = Producer::open(spool.small()).unwrap();
    let status = producer.status().unwrap();
    (status.epoch.get(), status.producer.0)
}

fn remove(spool: &Spool, n: usize) {
    let mut reader = spool.reader(n);
    let end = Seen::default().read(&mut reader);
    reader.free_to(end.position).unwrap();
    reader.remove().unwrap();
}

#[test]
fn epochs_are_consecutive_across_restarts_and_removals() {
    let spool = Spool::new();
    let (first, id) = open_and_close(&spool);
    assert_eq!(first, 1);
    assert_eq!(open_and_close(&spool), (2, id));
    remove(&spool, 1);
    remove(&spool, 0);
    assert_eq!(open_and_close(&spool), (3, id));
    assert_eq!(spool.epochs().len(), 1);
}

#[test]
fn a_crash_while_an_epoch_is_allocated_uses_no_epoch_twice() {
    let spool = Spool::new();
    let (_, id) = open_and_close(&spool);
    let producer_file = spool.folder().join("producer");
    let before = fs::read(&producer_file).unwrap();

    // After the epoch file was made, before the producer file was replaced.
    assert_eq!(open_and_close(&spool), (2, id));
    fs::write(&producer_file, &before).unwrap();
    assert_eq!(open_and_close(&spool), (3, id));

    // While the epoch file or the producer file was being made.
    fs::write(spool.folder().join("0000000004.epoch.tmp"), b"half").unwrap();
    fs::write(spool.folder().join("producer.tmp"), b"half").unwrap();
    assert_eq!(open_and_close(&spool), (4, id));
    assert!(!spool.folder().join("0000000004.epoch.tmp").exists());
    assert!(!spool.folder().join("producer.tmp").exists());

    // An epoch is removed whose number never came into the producer file.
    fs::write(&producer_file, &before).unwrap();
    for n in (0..4).rev() {
        remove(&spool, n);
    }
    assert_eq!(open_and_close(&spool), (5, id));
    assert_eq!(list_epochs(&spool.path).unwrap().foreign, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_crash_before_the_first_epoch_keeps_the_id() {
    let spool = Spool::new();
    fs::create_dir_all(spool.folder()).unwrap();
    let id = "00112233445566778899aabbccddeeff";
    fs::write(spool.folder().join("producer"), format!("minutebook/producer/1\nid {id}\nepoch 0\n")).unwrap();
    let (epoch, producer) = open_and_close(&spool);
    assert_eq!((epoch, u128::from_be_bytes(producer)), (1, 0x00112233445566778899aabbccddeeff));
}

#[test]
fn a_producer_file_that_is_none_is_told_and_not_replaced() {
    let spool = Spool::new();
    open_and_close(&spool);
    let path = spool.folder().join("producer");
    let good = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    for bad in [
        String::new(),
        good.replace("producer/1", "producer/2"),
        good.replace("id ", "id  "),
        good.replace("epoch 1", "epoch -1"),
        good.clone() + "\n",
        good.trim_end().to_owned(),
        good.to_uppercase(),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = Producer::open(spool.small()).err().unwrap();
        assert!(matches!(error, CaptureError::Identity(_)), "{bad:?}: {error}");
        assert_eq!(error.advice(), Advice::Inspect);
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(open_and_close(&spool).0, 2);
}

#[test]
fn several_processes_of_one_name_have_an_epoch_each() {
    let spool = Spool::new();
    let producers: Vec<_> = (0..5).map(|_| Producer::open(spool.small()).unwrap()).collect();
    let epochs: Vec<_> = producers.iter().map(|p| p.status().unwrap().epoch.get()).collect();
    assert_eq!(epochs, [1, 2, 3, 4, 5]);
    let shape = shape(&producers[3]);
    decide(&producers[3], &shape, &class("standard"), 1, "");
    drop(producers);
    (0..5).for_each(|n| drop(read_ended(&spool, n)));
}

#[test]
fn an_epoch_is_removed_only_when_it_has_ended_and_is_freed() {
    let spool = Spool::new();
    let producer = Producer::open(spool.small()).unwrap();
    let open = |n: usize| EpochReader::open(&spool.epochs()[n], TRAIL, &intake()).unwrap();
    assert!(matches!(open(0).remove(), Err(ReadError::NotEnded)));
    drop(producer);
    assert!(matches!(open(0).remove(), Err(ReadError::NotEnded)));
    let mut reader = open(0);
    assert!(matches!(
        reader.free_to(minutebook_capture::Position { part: 1, offset: 4112 }),
        Err(ReadError::NotRead)
    ));
    assert_eq!(Seen::default().read(&mut reader).stop, Stop::Ended);
    remove(&spool, 0);
}

#[test]
fn options_are_checked() {
    let spool = Spool::new();
    let check = |change: &dyn Fn(&mut ProducerOptions), option: &str| {
        let mut options = spool.options();
        change(&mut options);
        match Producer::open(options).err() {
            Some(CaptureError::Option { option: told, .. }) => assert_eq!(told, option),
            other => panic!("{option}: {other:?}"),
        }
    };
    for name in ["", ".x", "-x", "A", "a/b", &"x".repeat(65)] {
        check(&|options| name.clone_into(&mut options.name), "name");
    }
    check(&|options| options.part_bytes = 4096, "part_bytes");
    check(&|options| options.part_bytes = (64 << 10) + 16, "part_bytes");
    check(&|options| options.spill_bytes = 1, "spill_bytes");
    check(&|options| options.intake = minutebook_capture::IntakePublicKey::from_bytes([0; 32]), "intake");
}

#[test]
fn what_is_not_of_a_spool_is_told_and_left_alone() {
    let spool = Spool::new();
    assert_eq!(list_epochs(&spool.path).unwrap(), minutebook_capture::Listing::default());
    open_and_close(&spool);
    fs::write(spool.path.join("README"), b"").unwrap();
    fs::create_dir(spool.path.join("Not a name")).unwrap();
    fs::write(spool.folder().join("core"), b"").unwrap();
    fs::write(spool.folder().join("0000000009-000001.spool"), b"").unwrap();
    let listing = list_epochs(&spool.path).unwrap();
    let names = |paths: &[std::path::PathBuf]| {
        let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        paths.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&listing.foreign), ["Not a name", "README", "core"]);
    assert_eq!(names(&listing.orphans), ["0000000009-000001.spool"]);
    assert_eq!(listing.epochs.len(), 1);
    assert_eq!((listing.epochs[0].name.as_str(), listing.epochs[0].epoch.get()), (NAME, 1));
}

#[test]
fn folders_and_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let spool = Spool::new();
    let _producer = Producer::open(spool.small()).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&spool.path), mode(&spool.folder())), (0o700, 0o700));
    for entry in fs::read_dir(spool.folder()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
