use minutebook_capture::SystemRandom;
use minutebook_verify::keys::{Cipher, Secret};

use super::*;
use crate::sealed_log;
use crate::store::STAGING;
use crate::wrap;

struct Kept {
    folder: tempfile::TempDir,
    place: Place,
    keys: Arc<KeyFolder>,
}

const TRAIL: Id = [7; 16];

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("trail").join(STAGING)).unwrap();
        let keys = folder.path().join("keys");
        let place = Place::new(folder.path().join("trail")).with_keys(&keys);
        let keys = Arc::new(KeyFolder::create(&keys, TRAIL, &SystemRandom).unwrap());
        Self { folder, place, keys }
    }

    fn open(&self) -> (HalfLog, Vec<(u64, HalfNoted<'static>)>) {
        let keys = Arc::new(self.keys.reopen().unwrap());
        let (log, noted) = HalfLog::open(&self.place, TRAIL, keys, Arc::new(SystemRandom)).unwrap();
        (log, noted.into_iter().collect())
    }

    fn noted(&self) -> Vec<(u64, HalfNoted<'static>)> {
        self.open().1
    }

    fn file(&self) -> std::path::PathBuf {
        self.place.folder.join("halves")
    }
}

fn waits(number: u8, bytes: usize) -> HalfNoted<'static> {
    HalfNoted::Waits(HalfWaits {
        taken_ns: -5,
        of: if number.is_multiple_of(2) { "".into() } else { "Jane's key".into() },
        attributes: vec![("id".into(), format!("{number}").into()), ("source".into(), "Jane Roe".into())],
        data: vec![number; bytes].into(),
    })
}

fn whole() -> HalfNoted<'static> {
    HalfNoted::Whole { at_ns: 9, key: vec!["Jane".into(), String::new()].into(), prints: (1, u64::MAX) }
}

#[test]
fn what_waits_is_there_for_the_next_one_and_what_is_gone_is_not() {
    let kept = Kept::new();
    let (mut log, noted) = kept.open();
    assert!(noted.is_empty() && log.wants_rewrite() && !log.is_open() && !kept.file().exists());
    assert!(log.append([waits(1, 1)].into_iter(), false).is_err(), "nothing was written anew");
    log.rewrite([waits(1, 3)].into_iter()).unwrap();
    assert_eq!(log.append([waits(2, 1 << 20), waits(3, 0)].into_iter(), true).unwrap(), 1);
    assert_eq!(log.append([HalfNoted::Gone(vec![0, 2]), whole()].into_iter(), false).unwrap(), 3);
    // As it is when the process was killed: nothing was closed.
    assert_eq!(kept.noted(), [(1, waits(2, 1 << 20)), (4, whole())]);
    let bytes = std::fs::read(kept.file()).unwrap();
    assert!(!bytes.windows(4).any(|four| four == b"Jane"), "it is encrypted");
    log.rewrite([whole()].into_iter()).unwrap();
    assert_eq!(kept.noted(), [(0, whole())]);
    log.remove().unwrap();
    assert!(kept.noted().is_empty() && kept.folder.path().exists());
}

#[test]
fn a_file_that_was_cut_or_changed_is_read_up_to_there() {
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    let all = [waits(1, 20), waits(2, 30), whole()];
    log.rewrite(all.clone().into_iter()).unwrap();
    let whole = std::fs::read(kept.file()).unwrap();
    let is_begin = |what: String| {
        let noted: Vec<_> = kept.noted().into_iter().map(|(_, entry)| entry).collect();
        assert!(noted.len() < all.len() && all.starts_with(&noted), "{what}");
    };
    for cut in 0..whole.len() {
        std::fs::write(kept.file(), &whole[..cut]).unwrap();
        is_begin(format!("cut at {cut}"));
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        std::fs::write(kept.file(), &changed).unwrap();
        is_begin(format!("changed at {at}"));
    }
}

/// What a file of before says goes with its key, also to who kept its blocks.
#[test]
fn what_was_replaced_or_removed_has_no_key_any_more() {
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    let held = kept.folder.path().join("held");
    let mut check = |change: &dyn Fn(&mut HalfLog)| {
        log.rewrite([waits(1, 100)].into_iter()).unwrap();
        std::fs::hard_link(kept.file(), &held).unwrap();
        change(&mut log);
        let bytes = std::fs::read(&held).unwrap();
        assert!(bytes.len() > 168 && bytes[..68].iter().all(|byte| *byte == 0));
        std::fs::remove_file(&held).unwrap();
    };
    check(&|log| log.rewrite([whole()].into_iter()).unwrap());
    check(&|log| log.remove().unwrap());
}

#[test]
fn a_file_is_read_after_the_key_encryption_key_was_rotated() {
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    log.rewrite([waits(1, 3)].into_iter()).unwrap();
    let mut keys = kept.keys.reopen().unwrap();
    keys.key_encryption.push(KeyFolder::fresh_key(&SystemRandom).unwrap());
    keys.save().unwrap();
    for _ in 0..2 {
        sealed_log::rewrap(&HALVES, &kept.place, &TRAIL, &keys, &SystemRandom).unwrap();
        assert_eq!(kept.noted(), [(0, waits(1, 3))], "both open");
    }
    keys.key_encryption.remove(0);
    keys.save().unwrap();
    assert_eq!(kept.noted(), [(0, waits(1, 3))]);
    log.remove().unwrap();
    sealed_log::rewrap(&HALVES, &kept.place, &TRAIL, &keys, &SystemRandom).unwrap();
    assert!(!kept.file().exists());
    std::fs::write(kept.file(), b"mbhalf1\nshort").unwrap();
    sealed_log::rewrap(&HALVES, &kept.place, &TRAIL, &keys, &SystemRandom).unwrap();
    assert_eq!(std::fs::read(kept.file()).unwrap(), b"mbhalf1\nshort");
}

/// The bytes of `docs/formats/halves.md`, "A file".
#[test]
fn a_file_is_as_its_page_says() {
    let entries = [
        HalfNoted::Waits(HalfWaits {
            taken_ns: 1_795_330_800_000_000_000,
            of: "kserve".into(),
            attributes: vec![("id".into(), "a".into())],
            data: b"{}".as_slice().into(),
        }),
        HalfNoted::Gone(vec![0]),
        HalfNoted::Whole {
            at_ns: 1_795_330_801_000_000_000,
            key: vec!["kserve".into()].into(),
            prints: (1, 2),
        },
    ];
    let clear = [
        "85001b18ea4bd9bc516000666b7365727665826269646161427b7d",
        "820100",
        "85021b18ea4bd9f7ec2a0081666b73657276650102",
    ];
    for (entry, clear) in entries.iter().zip(clear) {
        let hex: String = encode(entry).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, clear);
        assert_eq!(decode(&encode(entry)).unwrap(), *entry);
    }
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    log.rewrite(entries[..1].iter().cloned()).unwrap();
    let bytes = std::fs::read(kept.file()).unwrap();
    let under = Cipher::new(&kept.keys.current().key);
    let key: Secret = wrap::unwrap(&under, &TRAIL, Purpose::Halves, &bytes[8..68]).unwrap();
    let (length, sealed) = bytes[68..].split_at(4);
    assert_eq!((&bytes[..8], length), (&b"mbhalf1\n"[..], &(sealed.len() as u32).to_le_bytes()[..]));
    let mut sealed = sealed.to_vec();
    let associated = [&b"minutebook/halves/1"[..], &TRAIL].concat();
    assert_eq!(Cipher::new(&key).open(0, &associated, &mut sealed).unwrap(), encode(&entries[0]));
}
