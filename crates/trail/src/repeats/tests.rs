use minutebook_capture::SystemRandom;
use std::path::PathBuf;

use super::*;
use crate::store::STAGING;

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

    fn open(&self) -> (RepeatLog, Vec<Noted>) {
        RepeatLog::open(&self.place, TRAIL, Arc::clone(&self.keys), Arc::new(SystemRandom)).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.place.folder.join(REPEATS.name)
    }
}

fn drawn(number: u8, ids: u32) -> Noted {
    let id = |place: u32| (place, RecordId::from_parts(u64::from(place), [number; 10]));
    Noted::Drawn(Drawn {
        at_ns: -5,
        of: number.is_multiple_of(2).then(|| "Jane's job".into()),
        key: format!("request of Jane Roe {number}"),
        print: [number; 32],
        count: ids,
        ids: (0..ids).map(id).collect(),
    })
}

#[test]
fn what_was_noted_is_there_for_the_next_one() {
    let kept = Kept::new();
    let (mut log, noted) = kept.open();
    assert!(noted.is_empty() && log.wants_rewrite() && !kept.file().exists());
    assert!(log.append(&[drawn(1, 1)], false).is_err(), "nothing was written anew");
    log.rewrite(&[drawn(1, 3)]).unwrap();
    assert_eq!(log.append(&[drawn(2, 1_024), drawn(3, 0)], false).unwrap(), 1);
    assert_eq!(log.append(&[Noted::Done { first: 1, on_disk: true }], true).unwrap(), 3);
    let all = vec![drawn(1, 3), drawn(2, 1_024), drawn(3, 0), Noted::Done { first: 1, on_disk: true }];
    // As it is when the process was killed: nothing was closed.
    assert_eq!(kept.open().1, all);
    let bytes = std::fs::read(kept.file()).unwrap();
    assert!(!bytes.windows(4).any(|four| four == b"Jane"), "it is encrypted");
    log.rewrite(&all[..1]).unwrap();
    assert_eq!(kept.open().1, all[..1]);
    log.remove().unwrap();
    assert!(kept.open().1.is_empty() && kept.folder.path().exists());
}

#[test]
fn a_file_that_was_cut_or_changed_is_read_up_to_there() {
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    let all = [drawn(1, 2), drawn(2, 3), Noted::Done { first: 0, on_disk: false }];
    log.rewrite(&all).unwrap();
    let whole = std::fs::read(kept.file()).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(kept.file(), &whole[..cut]).unwrap();
        let noted = kept.open().1;
        assert!(noted.len() < all.len() && all.starts_with(&noted), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        std::fs::write(kept.file(), &changed).unwrap();
        let noted = kept.open().1;
        assert!(noted.len() < all.len() && all.starts_with(&noted), "changed at {at}");
    }
    std::fs::write(kept.file(), &whole).unwrap();
    let others = KeyFolder::create(&kept.folder.path().join("others"), TRAIL, &SystemRandom).unwrap();
    let theirs = RepeatLog::open(&kept.place, TRAIL, Arc::new(others), Arc::new(SystemRandom)).unwrap();
    assert!(theirs.1.is_empty());
    // Entries cannot change places: their number is part of what is sealed.
    assert_eq!(kept.open().1, all);
}

#[test]
fn a_file_grows_until_it_is_worth_writing_anew() {
    let kept = Kept::new();
    let (mut log, _) = kept.open();
    log.rewrite(&[]).unwrap();
    let entries: Vec<Noted> = (0..50).map(|number| drawn(number, 1_024)).collect();
    let mut written = 0;
    while !log.wants_rewrite() {
        log.append(&entries, false).unwrap();
        written += entries.len() as u64 * 20 * 1_024;
        assert!(written < 4 * REPEATS_BYTES_KEPT, "it is never worth it");
    }
    assert!(written >= REPEATS_BYTES_KEPT / 2);
}
