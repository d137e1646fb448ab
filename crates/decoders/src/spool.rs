//! Spools of other machines: what somebody may send that has an API key and knows the intake key, whose frames say anything, and what the engine
//! reads then. Edge: files in a temporary folder, in memory where there is such; the engine's own judgement of records is not here.

use std::path::Path;
use std::sync::OnceLock;

use minutebook_capture::{
    BatchLimits, EpochReader, Frame, IntakePrivateKey, MadeEpoch, Mirror, MirrorId, Mirrors, Owner, Piece,
    ShapeDef, Stop, list_epochs, list_mirrors,
};
use minutebook_record::{Epoch, ProducerId};
use tempfile::TempDir;

use crate::seeds::vector;

const TRAIL: [u8; 16] = [0x11; 16];
const PRODUCER: ProducerId = ProducerId([0x22; 16]);
const FRAMES_AT: u64 = 4_096;
const CAPACITY: u64 = 64 << 10;

/// What one step of an input does: its first byte, and in the next two how many bytes follow that belong to it.
mod step {
    pub(super) const FRAME: u8 = 0;
    pub(super) const RAW: u8 = 1;
    pub(super) const PUT: u8 = 2;
    pub(super) const CHANGE_FILE: u8 = 3;
    pub(super) const REFRESH: u8 = 4;
    pub(super) const END: u8 = 5;
    pub(super) const READ: u8 = 6;
    pub(super) const COUNT: u8 = 7;
}

fn intake() -> IntakePrivateKey {
    IntakePrivateKey::from_bytes([0x77; 32])
}

fn made() -> &'static MadeEpoch {
    static MADE: OnceLock<MadeEpoch> = OnceLock::new();
    MADE.get_or_init(|| MadeEpoch::new(TRAIL, &intake().public(), PRODUCER))
}

fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary folder")
}

/// What a client does, step by step; then all that it left is read.
pub(crate) fn spool(data: &[u8]) {
    drop(ShapeDef::decode(data));
    let folder = folder();
    let mirrors = Mirrors::new(folder.path().to_owned(), TRAIL, intake());
    let id = MirrorId::new("scoring", PRODUCER, &[9; 32]);
    let epoch = Epoch::new(1).expect("epochs are counted from 1");
    let mut file = made().file();
    let mirror = mirrors.announce(&id, epoch, &file, "key").expect("a good file").expect("a new epoch");
    let mut pending = Vec::new();
    let mut rest = data;
    while let [what, low, high, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(after.len()));
        rest = after;
        match what % step::COUNT {
            step::FRAME => {
                let standing = mirror.standing().expect("a mirror");
                let offset = standing.position.offset.max(FRAMES_AT) + pending.len() as u64;
                pending.extend_from_slice(&made().frame(standing.position.part, offset, bytes));
            }
            step::RAW => pending.extend_from_slice(bytes),
            step::PUT => put(&mirror, std::mem::take(&mut pending), bytes),
            step::CHANGE_FILE => {
                if let [low, high, bytes @ ..] = bytes {
                    let at = usize::from(u16::from_le_bytes([*low, *high]));
                    let length = bytes.len().min(file.len() - at);
                    file[at..at + length].copy_from_slice(&bytes[..length]);
                }
                drop(mirrors.announce(&id, epoch, &file, "key"));
            }
            step::REFRESH => drop(mirror.refresh(&file)),
            step::END => {
                let owner = if bytes.is_empty() { Owner::Closed } else { Owner::Dead };
                drop(mirror.end(&file, owner));
            }
            _ => read(folder.path(), false),
        }
    }
    read(folder.path(), true);
    list_mirrors(folder.path()).expect("a spool");
}

fn put(mirror: &Mirror, bytes: Vec<u8>, how: &[u8]) {
    let at = mirror.standing().expect("a mirror").position;
    let flags = how.first().copied().unwrap_or_default();
    let offset = at.offset.max(FRAMES_AT) + 16 * u64::from(how.get(1).copied().unwrap_or_default());
    let capacity = how.get(2).map_or(CAPACITY, |more| CAPACITY + 16 * u64::from(*more));
    let part = at.part + u32::from(how.get(3).copied().unwrap_or_default());
    let piece = Piece { part, offset, capacity, bytes, end: flags & 1 != 0, torn: flags & 2 != 0 };
    if let Ok(standing) = mirror.put(&piece) {
        assert!(standing.position >= at, "a mirror goes forward");
    }
}

/// Reads an epoch as the engine does, with what it gives back.
fn read(folder: &Path, frees: bool) {
    for found in list_epochs(folder).expect("a spool").epochs {
        let Ok(mut reader) = EpochReader::open(&found.path, TRAIL, &intake()) else { continue };
        let limits = BatchLimits { frames: 64, ..BatchLimits::default() };
        let mut before = reader.position();
        loop {
            let mut blob = 0;
            let end = reader.read_batch(&limits, |frame| match frame {
                Frame::Record { shape, values, .. } => {
                    let mut ends = Vec::new();
                    drop(shape.split(values, &mut ends));
                }
                Frame::Blob { content, whole, offset, .. } => {
                    assert!(offset + content.len() as u64 <= whole, "a piece of a blob");
                    blob += content.len();
                }
                Frame::Lost { from, to, .. } => assert!(from <= to, "a range"),
                Frame::Damage { from, to, .. } => assert!(from <= to, "a place"),
            });
            let Ok(end) = end else { break };
            assert!(reader.position() >= before, "a reader goes forward");
            if end.stop != Stop::Limit || reader.position() == before {
                break;
            }
            before = reader.position();
        }
        drop((reader.owner(), reader.drawn(), reader.in_flight(), reader.written_to()));
        if frees && reader.free_to(reader.position()).is_ok() {
            drop(reader.remove());
        }
    }
}

fn steps(steps: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (what, about) in steps {
        bytes.push(*what);
        bytes.extend_from_slice(&(about.len() as u16).to_le_bytes());
        bytes.extend_from_slice(about);
    }
    bytes
}

pub(crate) fn spool_seeds() -> Vec<Vec<u8>> {
    use step::{CHANGE_FILE, END, FRAME, PUT, RAW, READ, REFRESH};
    let json: serde_json::Value = serde_json::from_slice(&vector("spool.json")).expect("vectors are JSON");
    let clear = |frame: &serde_json::Value| crate::seeds::unhex(frame["clear"].as_str()?);
    let frames: Vec<Vec<u8>> = json["frames"].as_array().into_iter().flatten().filter_map(clear).collect();
    let mut whole: Vec<(u8, &[u8])> = frames.iter().map(|clear| (FRAME, clear.as_slice())).collect();
    whole.push((PUT, &[0]));
    let mut torn = whole.clone();
    torn.extend([
        (READ, &[][..]),
        (FRAME, &frames[0]),
        (RAW, &[0x28, 0, 0, 0, 1, 0, 0, 0]),
        (PUT, &[2]),
        (END, &[1]),
    ]);
    let mut counted = whole.clone();
    counted.extend([
        (CHANGE_FILE, &[0, 2, 1, 2, 3][..]),
        (REFRESH, &[]),
        (PUT, &[1]),
        (FRAME, &frames[2]),
        (PUT, &[1]),
    ]);
    counted.push((END, &[]));
    let mut seeds = vec![steps(&whole), steps(&torn), steps(&counted)];
    seeds.extend(crate::seeds::unhex(json["shape"]["encoded"].as_str().unwrap_or_default()));
    seeds
}
