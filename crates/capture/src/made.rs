//! An epoch whose frames say anything, as a client could make it that holds the key of its epoch. Edge: for fuzzing and tests of readers; nothing
//! else calls it.

use std::sync::atomic::{AtomicU8, Ordering};

use minutebook_record::{Epoch, ProducerId};

use crate::epoch_file::{self, EpochHeader};
use crate::frame::{self, EpochCipher, Place};
use crate::intake::{self, IntakePublicKey, SealedKey};
use crate::random::{Random, RandomError};
use crate::sys::ProcessIdentity;

/// Counts up, so that the same bytes come out each time.
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        bytes.iter_mut().for_each(|byte| *byte = self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// An epoch that no producer wrote.
#[doc(hidden)]
pub struct MadeEpoch {
    header: EpochHeader,
    cipher: EpochCipher,
}

impl MadeEpoch {
    /// The first epoch of a producer, for the trail whose intake key this is.
    ///
    /// # Panics
    /// When the key is none.
    pub fn new(trail: [u8; 16], intake: &IntakePublicKey, producer: ProducerId) -> Self {
        let key = [7; 32];
        let mut header = EpochHeader {
            trail,
            producer,
            epoch: Epoch::new(1).expect("epochs are counted from 1"),
            made_ns: 1_795_000_000_000_000_000,
            process: ProcessIdentity { pid: 1, start_ticks: 1, boot_id: [1; 16], pid_namespace: 1 },
            mark_key: [3; 32],
            key: SealedKey { encapsulated: [0; 32], ciphertext: [0; 48] },
        };
        let random = Counting(AtomicU8::new(1));
        header.key = intake::seal(intake, &key, &header.sealed_with(), &random).expect("an intake key");
        Self { header, cipher: EpochCipher::new(&key) }
    }

    /// The epoch's file, with no class and no slot in use.
    pub fn file(&self) -> Vec<u8> {
        let mut bytes = self.header.encode().to_vec();
        bytes.resize(epoch_file::LEN as usize, 0);
        bytes
    }

    /// A published frame with this text, at its place.
    ///
    /// # Panics
    /// When the text is longer than a frame may be.
    pub fn frame(&self, part: u32, offset: u64, clear: &[u8]) -> Vec<u8> {
        let EpochHeader { producer, epoch, .. } = self.header;
        let mut text = clear.to_vec();
        let tag =
            self.cipher.seal(&Place { producer, epoch, part, offset }, &mut text).expect("a short text");
        let len = frame::frame_len(clear.len());
        let mut bytes = (len as u64 | frame::PUBLISHED).to_le_bytes().to_vec();
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(&tag);
        bytes.resize(frame::padded(len) as usize, 0);
        bytes
    }
}
