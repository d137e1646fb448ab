//! What a thread keeps between decisions: a buffer, random bytes for ids, and the slot it used last.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU16, Ordering};

use minutebook_record::RecordId;

use crate::limits::{RANDOM_POOL_BYTES, SCRATCH_BYTES_KEPT, SLOTS};
use crate::random::{Random, RandomError};

struct Scratch {
    buffer: Vec<u8>,
    pool: [u8; RANDOM_POOL_BYTES],
    used: usize,
    /// The run that drew the pool: a child must not use its parent's.
    generation: u64,
    slot: Option<u16>,
}

/// Threads begin their search for a slot apart from each other, so that they do not share a cache line.
static NEXT_HINT: AtomicU16 = AtomicU16::new(0);
const HINTS_APART: u16 = 37;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch {
            buffer: Vec::new(),
            pool: [0; RANDOM_POOL_BYTES],
            used: RANDOM_POOL_BYTES,
            generation: 0,
            slot: None,
        })
    };
}

/// Runs `with` on the thread's scratch, or gives `None` when the thread is ending.
#[inline]
fn scratch<T>(with: impl FnOnce(&mut Scratch) -> T) -> Option<T> {
    SCRATCH
        .try_with(|scratch| scratch.try_borrow_mut().ok().map(|mut scratch| with(&mut scratch)))
        .ok()
        .flatten()
}

/// An empty buffer, to be given back.
#[inline]
pub(crate) fn take_buffer() -> Vec<u8> {
    scratch(|scratch| std::mem::take(&mut scratch.buffer)).unwrap_or_default()
}

#[inline]
pub(crate) fn give_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() > SCRATCH_BYTES_KEPT {
        return;
    }
    buffer.clear();
    scratch(|scratch| scratch.buffer = buffer);
}

/// The slot to try first.
#[inline]
pub(crate) fn slot_hint() -> u16 {
    let first = || NEXT_HINT.fetch_add(HINTS_APART, Ordering::Relaxed) % SLOTS as u16;
    scratch(|scratch| *scratch.slot.get_or_insert_with(first)).unwrap_or(0)
}

#[inline]
pub(crate) fn note_slot(slot: u16) {
    scratch(|scratch| scratch.slot = Some(slot));
}

/// An id for a moment, in ns since 1970.
#[inline]
pub(crate) fn mint_id(wall_ns: i64, generation: u64, random: &dyn Random) -> Result<RecordId, RandomError> {
    let ms = u64::try_from(wall_ns / 1_000_000).unwrap_or(0);
    let drawn = scratch(|scratch| {
        if scratch.generation != generation || scratch.used + 10 > RANDOM_POOL_BYTES {
            random.fill(&mut scratch.pool)?;
            (scratch.generation, scratch.used) = (generation, 0);
        }
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&scratch.pool[scratch.used..][..10]);
        scratch.used += 10;
        Ok(bytes)
    });
    let bytes = match drawn {
        Some(bytes) => bytes?,
        None => {
            let mut bytes = [0; 10];
            random.fill(&mut bytes)?;
            bytes
        }
    };
    Ok(RecordId::from_parts(ms, bytes))
}
