//! A part's header (`docs/formats/spool.md`, a part), and the names of the files of a spool. No I/O.

use minutebook_record::{Epoch, ProducerId};

use crate::epoch_file::field;

pub(crate) const FRAMES_AT: u64 = 4096;
pub(crate) const HEADER: usize = FRAMES_AT as usize;
const MAGIC: &[u8; 8] = b"mbspool1";
const FIXED: usize = 64;

pub(crate) const TAIL_AT: u64 = 256;
pub(crate) const END_AT: u64 = 264;
pub(crate) const DRAINED_AT: u64 = 320;

/// What stands at the beginning of a part and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartHeader {
    pub(crate) trail: [u8; 16],
    pub(crate) producer: ProducerId,
    pub(crate) epoch: Epoch,
    pub(crate) part: u32,
    pub(crate) capacity: u64,
}

impl PartHeader {
    pub(crate) fn encode(&self) -> [u8; FIXED] {
        let mut bytes = [0; FIXED];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.trail);
        bytes[24..40].copy_from_slice(&self.producer.0);
        bytes[40..48].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[48..52].copy_from_slice(&self.part.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.capacity.to_le_bytes());
        bytes
    }

    /// Whether a part's first page is what it should be. What it should be is known without it but for the capacity, which is the
    /// file's length: so a damaged header costs no frame.
    pub(crate) fn is_sound(&self, page: &[u8; HEADER]) -> bool {
        let zeros = |from: usize, to: usize| page[from..to].iter().all(|&b| b == 0);
        page[..FIXED] == self.encode()
            && zeros(FIXED, TAIL_AT as usize)
            && zeros(END_AT as usize + 8, DRAINED_AT as usize)
            && zeros(DRAINED_AT as usize + 8, HEADER)
    }
}

/// The words of a part's header that change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartProgress {
    pub(crate) tail: u64,
    pub(crate) end: u64,
    pub(crate) drained: u64,
}

impl PartProgress {
    /// Bytes of the header that hold them, from [`TAIL_AT`] on.
    pub(crate) const LEN: usize = (DRAINED_AT + 8 - TAIL_AT) as usize;

    /// Progress as it stands, and whether it is sound. A word that cannot be is replaced by the one that hides no frame.
    pub(crate) fn decode(bytes: &[u8; Self::LEN], capacity: u64) -> (Self, bool) {
        let word = |at: u64| u64::from_le_bytes(field(bytes, (at - TAIL_AT) as usize));
        let read = Self { tail: word(TAIL_AT), end: word(END_AT), drained: word(DRAINED_AT) };
        let place = |at: u64| at.is_multiple_of(16) && (FRAMES_AT..=capacity).contains(&at);
        let tail_fits = read.tail.is_multiple_of(16) && read.tail >= FRAMES_AT;
        let tail = if tail_fits { read.tail } else { capacity };
        let end = if read.end == 0 || place(read.end) { read.end } else { 0 };
        let limit = if end == 0 { tail } else { end };
        let drained = if place(read.drained) && read.drained <= limit { read.drained } else { FRAMES_AT };
        let progress = Self { tail, end, drained };
        (progress, progress == read)
    }
}

/// What a file in a producer's folder is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    Producer,
    Lock,
    Epoch(Epoch),
    Part(Epoch, u32),
    /// The engine's request to end a part.
    Request,
    /// What makes a folder that of a mirror.
    Mirror,
    /// That an epoch of a mirror was given up.
    GivenUp(Epoch),
    /// Made under another name first, and left by a crash; or the reserve of an epoch.
    Temporary(Option<Epoch>),
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            PRODUCER => return Some(Self::Producer),
            LOCK => return Some(Self::Lock),
            REQUEST => return Some(Self::Request),
            MIRROR => return Some(Self::Mirror),
            PRODUCER_TEMPORARY | MIRROR_TEMPORARY => return Some(Self::Temporary(None)),
            _ => {}
        }
        if let Some(epoch) = name.strip_suffix(RESERVE) {
            return Some(Self::Temporary(Some(parse_epoch(epoch)?)));
        }
        if let Some(stem) = name.strip_suffix(TEMPORARY) {
            return match Self::parse(stem)? {
                Self::Epoch(epoch) | Self::Part(epoch, _) | Self::GivenUp(epoch) => {
                    Some(Self::Temporary(Some(epoch)))
                }
                _ => None,
            };
        }
        if let Some(epoch) = name.strip_suffix(".epoch") {
            return Some(Self::Epoch(parse_epoch(epoch)?));
        }
        if let Some(epoch) = name.strip_suffix(GIVEN_UP) {
            return Some(Self::GivenUp(parse_epoch(epoch)?));
        }
        let (epoch, part) = name.strip_suffix(".spool")?.split_once('-')?;
        let part = digits(part, 6)?;
        (part > 0).then_some(())?;
        Some(Self::Part(parse_epoch(epoch)?, u32::try_from(part).ok()?))
    }
}

pub(crate) const PRODUCER: &str = "producer";
pub(crate) const LOCK: &str = "lock";
pub(crate) const REQUEST: &str = "end-part";
pub(crate) const PRODUCER_TEMPORARY: &str = "producer.tmp";
pub(crate) const MIRROR: &str = "remote";
pub(crate) const MIRROR_TEMPORARY: &str = "remote.tmp";
pub(crate) const TEMPORARY: &str = ".tmp";
/// Behind the epoch, where a part has its number.
const RESERVE: &str = "-reserve.spool.tmp";

const GIVEN_UP: &str = ".given-up";

pub(crate) fn given_up_name(epoch: Epoch) -> String {
    format!("{:010}{GIVEN_UP}", epoch.get())
}

pub(crate) fn epoch_name(epoch: Epoch) -> String {
    format!("{:010}.epoch", epoch.get())
}

pub(crate) fn part_name(epoch: Epoch, part: u32) -> String {
    format!("{:010}-{part:06}.spool", epoch.get())
}

pub(crate) fn reserve_name(epoch: Epoch) -> String {
    format!("{:010}{RESERVE}", epoch.get())
}

fn parse_epoch(text: &str) -> Option<Epoch> {
    Epoch::new(digits(text, 10)?).ok()
}

/// A number of at least `width` digits, without zeros in front beyond those.
fn digits(text: &str, width: usize) -> Option<u64> {
    let valid = text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == width || text.len() > width && !text.starts_with('0'));
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let epoch = Epoch::new(12).unwrap();
        assert_eq!(FileName::parse(&epoch_name(epoch)), Some(FileName::Epoch(epoch)));
        assert_eq!(FileName::parse(&part_name(epoch, 3)), Some(FileName::Part(epoch, 3)));
        let long = Epoch::new(98_765_432_109).unwrap();
        assert_eq!(FileName::parse(&part_name(long, 1_234_567)), Some(FileName::Part(long, 1_234_567)));
        let temporary = format!("{}.tmp", part_name(epoch, 3));
        assert_eq!(FileName::parse(&temporary), Some(FileName::Temporary(Some(epoch))));
        assert_eq!(FileName::parse(&reserve_name(epoch)), Some(FileName::Temporary(Some(epoch))));
        for foreign in [
            "x",
            "12.epoch",
            "00000000012.epoch",
            "0000000000.epoch",
            "0000000012-000000.spool",
            "lock.tmp",
            "0000000012-reserve.spool",
            "12-reserve.spool.tmp",
        ] {
            assert_eq!(FileName::parse(foreign), None, "{foreign}");
        }
    }
}
