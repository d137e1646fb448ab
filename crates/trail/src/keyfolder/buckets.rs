//! The bucket keys (`docs/formats/keys.md`, "The key folder", `buckets`): in memory, and in a file of two halves for each. Edge: destroys keys
//! when it is told to; that the catalog has let go of them before is for `erase` to see to.

use super::{BUCKETS_FILE, KeyFolder, staged, wipe};
use crate::durable;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::wrap::{self, Purpose};
use minutebook_capture::Random;
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How many buckets subjects' keys are spread over: an erasure wraps anew what is in one of them.
pub const BUCKETS: u16 = 4_096;

const SLOT: u64 = 128;
const HALF: usize = 64;

#[derive(Clone)]
struct Key {
    generation: u32,
    key: Secret,
}

/// What a half of a slot holds.
#[derive(Clone)]
enum Half {
    Empty,
    Key(Key),
    /// It does not open: cut short by a crash while it was written, or damaged.
    Unreadable,
}

impl Half {
    fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }
}

type Slots = Vec<[Half; 2]>;

/// The 4,096 bucket keys, in memory and in their file.
pub struct Buckets {
    file: File,
    path: PathBuf,
    trail: Id,
    wrapping: Cipher,
    slots: Slots,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("path", &self.path).finish_non_exhaustive()
    }
}

/// All keys that there are in `folder`, for reading only.
pub(super) fn keys(folder: &KeyFolder) -> Result<HashMap<u16, Vec<Secret>>> {
    let all = generations(folder)?.into_iter();
    Ok(all.map(|(bucket, keys)| (bucket, keys.into_iter().map(|(_, key)| key).collect())).collect())
}

/// The same with their generations.
pub(super) fn generations(folder: &KeyFolder) -> Result<HashMap<u16, Vec<(u32, Secret)>>> {
    let path = folder.path.join(BUCKETS_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(Error::io("open the bucket keys", &path, error)),
    };
    let slots = read(folder, &file, &path)?;
    let keys = |slot: [Half; 2]| -> Vec<(u32, Secret)> {
        slot.iter().filter_map(Half::key).map(|key| (key.generation, key.key.clone())).collect()
    };
    Ok((0..)
        .zip(slots)
        .map(|(bucket, slot)| (bucket, keys(slot)))
        .filter(|(_, keys)| !keys.is_empty())
        .collect())
}

/// The file as it is; zeros when there is none yet.
pub(super) fn bytes(folder: &KeyFolder) -> Result<Zeroizing<Vec<u8>>> {
    let path = folder.path.join(BUCKETS_FILE);
    let mut bytes = Zeroizing::new(vec![0; usize::from(BUCKETS) * SLOT as usize]);
    match File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, 0)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("read the bucket keys", &path, error))
        }
        _ => Ok(bytes),
    }
}

fn read(folder: &KeyFolder, file: &File, path: &Path) -> Result<Slots> {
    let mut bytes = vec![0; usize::from(BUCKETS) * SLOT as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|e| Error::io("read the bucket keys", path, e))?;
    let mut slots = vec![[const { Half::Empty }; 2]; usize::from(BUCKETS)];
    for (at, half) in bytes.as_chunks::<HALF>().0.iter().enumerate() {
        let generation = u32::from_le_bytes([half[0], half[1], half[2], half[3]]);
        if *half == [0; HALF] {
            continue;
        }
        let bucket = (at / 2) as u16;
        let key = folder.unwrap(Purpose::Bucket { bucket, generation }, &half[4..]);
        slots[at / 2][at % 2] = key.map_or(Half::Unreadable, |key| Half::Key(Key { generation, key }));
    }
    Ok(slots)
}

impl Buckets {
    pub(super) fn open(folder: &KeyFolder) -> Result<Self> {
        let path = folder.path.join(BUCKETS_FILE);
        let io = |e| Error::io("open the bucket keys", &path, e);
        let len = u64::from(BUCKETS) * SLOT;
        if !path.exists() {
            durable::replace(&folder.path, &staged(BUCKETS_FILE), &path, &[&vec![0; len as usize]])
                .map_err(io)?;
        }
        let file = OpenOptions::new().read(true).write(true).mode(0o600).open(&path).map_err(io)?;
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        // A key that was written and never flushed, or whose flush failed, would be taken for durable. In place, so that no copy of a key is
        // left that an erasure does not reach.
        file.write_all_at(&bytes, 0).and_then(|()| file.sync_data()).map_err(io)?;
        let slots = read(folder, &file, &path)?;
        Ok(Self { file, path, trail: folder.trail, wrapping: Cipher::new(&folder.current().key), slots })
    }

    fn keys_of(&self, bucket: u16) -> impl Iterator<Item = &Key> {
        self.slots[usize::from(bucket)].iter().filter_map(Half::key)
    }

    /// The key of a bucket and its generation, when there is one.
    pub fn key(&self, bucket: u16) -> Option<(u32, &Secret)> {
        self.keys_of(bucket).map(|key| (key.generation, &key.key)).next()
    }

    /// The key of a bucket in one generation.
    pub fn key_of(&self, bucket: u16, generation: u32) -> Option<&Secret> {
        self.keys_of(bucket).find(|key| key.generation == generation).map(|key| &key.key)
    }

    /// Makes keys of generation 1 for those of `buckets` that have none. Durable on return.
    pub fn ensure(&mut self, buckets: &[u16], random: &dyn Random) -> Result<()> {
        let mut wrote = false;
        for &bucket in buckets {
            if self.key(bucket).is_none() {
                self.write_half(bucket, 0, 1, random)?;
                wrote = true;
            }
        }
        if wrote { self.flush() } else { Ok(()) }
    }

    /// Writes a fresh key of the next generation beside the present one. Durable on return. Gives the generation.
    pub fn prepare_next(&mut self, bucket: u16, random: &dyn Random) -> Result<u32> {
        let last = self.keys_of(bucket).map(|key| key.generation).max().unwrap_or(0);
        let slot = &self.slots[usize::from(bucket)];
        let free = slot.iter().position(|half| matches!(half, Half::Empty));
        let free = free.ok_or(Error::BucketInTransition { bucket })?;
        self.write_half(bucket, free, last + 1, random)?;
        self.flush()?;
        Ok(last + 1)
    }

    /// Destroys every key of the bucket but the one of `generation`, and what is unreadable. Durable on return.
    ///
    /// # Errors
    /// When there is no key of that generation: the catalog and the key folder are of different times. Nothing is destroyed then.
    pub fn keep_only(&mut self, bucket: u16, generation: u32) -> Result<()> {
        if self.key_of(bucket, generation).is_none() {
            return Err(Error::BucketGeneration { bucket, generation });
        }
        self.destroy(bucket, |key| key.is_none_or(|key| key.generation != generation))
    }

    /// Destroys what the bucket has: nothing was ever wrapped under it.
    pub fn clear(&mut self, bucket: u16) -> Result<()> {
        self.destroy(bucket, |_| true)
    }

    fn destroy(&mut self, bucket: u16, unwanted: impl Fn(Option<&Key>) -> bool) -> Result<()> {
        let mut wrote = false;
        for half in 0..2 {
            let slot = &mut self.slots[usize::from(bucket)][half];
            if !matches!(slot, Half::Empty) && unwanted(slot.key()) {
                *slot = Half::Empty;
                self.write_at(bucket, half, &[0; HALF])?;
                wrote = true;
            }
        }
        if wrote { self.flush() } else { Ok(()) }
    }

    /// Buckets with two keys, or one that does not open: something was interrupted.
    pub fn in_transition(&self) -> Vec<u16> {
        let unsettled = |bucket: &u16| {
            let slot = &self.slots[usize::from(*bucket)];
            let full = slot.iter().all(|half| !matches!(half, Half::Empty));
            full || slot.iter().any(|half| matches!(half, Half::Unreadable))
        };
        (0..BUCKETS).filter(unsettled).collect()
    }

    /// Wraps all keys anew under `folder`'s current key-encryption key, replaces the file and wipes the old one. Durable on return.
    pub fn rewrap(&mut self, folder: &KeyFolder, random: &dyn Random) -> Result<()> {
        self.wrapping = Cipher::new(&folder.current().key);
        let mut bytes = vec![0; usize::from(BUCKETS) * SLOT as usize];
        for (bucket, slot) in self.slots.iter().enumerate() {
            for (at, half) in slot.iter().enumerate() {
                if let Some(key) = half.key() {
                    let from = bucket * SLOT as usize + at * HALF;
                    bytes[from..from + HALF].copy_from_slice(&self.encode(bucket as u16, key, random)?);
                }
            }
        }
        durable::replace(&folder.path, &staged(BUCKETS_FILE), &self.path, &[&bytes])
            .map_err(|e| Error::io("write the bucket keys", &self.path, e))?;
        let open = OpenOptions::new().read(true).write(true).open(&self.path);
        let new = open.map_err(|e| Error::io("open the bucket keys", &self.path, e))?;
        wipe(Some(std::mem::replace(&mut self.file, new)), &self.path)
    }

    fn write_half(&mut self, bucket: u16, half: usize, generation: u32, random: &dyn Random) -> Result<()> {
        let fresh = Key { generation, key: Secret::new(draw(random)?) };
        let bytes = self.encode(bucket, &fresh, random)?;
        self.write_at(bucket, half, &bytes)?;
        self.slots[usize::from(bucket)][half] = Half::Key(fresh);
        Ok(())
    }

    fn encode(&self, bucket: u16, key: &Key, random: &dyn Random) -> Result<[u8; HALF]> {
        let purpose = Purpose::Bucket { bucket, generation: key.generation };
        let wrapped = wrap::wrap(&self.wrapping, &self.trail, purpose, &key.key, random)?;
        let mut bytes = [0; HALF];
        bytes[..4].copy_from_slice(&key.generation.to_le_bytes());
        bytes[4..].copy_from_slice(&wrapped);
        Ok(bytes)
    }

    fn write_at(&self, bucket: u16, half: usize, bytes: &[u8; HALF]) -> Result<()> {
        let at = u64::from(bucket) * SLOT + (half * HALF) as u64;
        self.file.write_all_at(bytes, at).map_err(|e| Error::io("write the bucket keys", &self.path, e))
    }

    fn flush(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("flush the bucket keys", &self.path, e))
    }
}
