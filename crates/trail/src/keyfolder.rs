//! The key folder (`docs/formats/keys.md`): the private keys, the key-encryption keys and the bucket keys of one trail, outside of it.
//! Edge: what they wrap lies in the catalog.

use crate::durable;
use crate::error::{Error, Result};
use crate::environment::draw;
use crate::wrap::{self, Purpose};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Random;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::{Id, hex};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How many buckets subjects' keys are spread over: an erasure wraps anew what is in one of them.
pub const BUCKETS: u16 = 4_096;

const FORMAT: &str = "minutebook/keys/1";
const KEYS_FILE: &str = "keys.toml";
const BUCKETS_FILE: &str = "buckets";
/// What is added to a file's name while it is written.
const TEMPORARY: &str = ".new";
const SLOT: u64 = 128;
const HALF: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeysFile {
    format: String,
    trail: String,
    signing: Seed,
    acknowledgement: Seed,
    intake: Private,
    key_encryption: Vec<KeyEncryption>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Private {
    private: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEncryption {
    id: String,
    key: Zeroizing<String>,
}

/// A key-encryption key and its name.
#[derive(Clone, Debug)]
pub struct NamedKey {
    /// 16 hex digits.
    pub id: String,
    /// The key.
    pub key: Secret,
}

/// The private keys of a trail, read from its key folder.
#[derive(Debug)]
pub struct KeyFolder {
    path: PathBuf,
    trail: Id,
    /// Ed25519 seed of the checkpoints.
    pub signing: Secret,
    /// Ed25519 seed of acknowledgements.
    pub acknowledgement: Secret,
    /// X25519 private key of the spools.
    pub intake: Secret,
    /// Key-encryption keys, the current one last.
    pub key_encryption: Vec<NamedKey>,
}

impl KeyFolder {
    /// Makes a key folder with fresh keys. Durable on return.
    ///
    /// # Errors
    /// When there is one already, or it cannot be written.
    pub fn create(path: &Path, trail: Id, random: &dyn Random) -> Result<Self> {
        if path.join(KEYS_FILE).exists() {
            return Err(Error::KeysExist { folder: path.to_owned() });
        }
        let fresh = || draw(random).map(Secret::new);
        let folder = Self {
            path: path.to_owned(),
            trail,
            signing: fresh()?,
            acknowledgement: fresh()?,
            intake: fresh()?,
            key_encryption: vec![Self::fresh_key(random)?],
        };
        durable::make_folder(path).map_err(|e| Error::io("make the key folder", path, e))?;
        folder.save()?;
        Ok(folder)
    }

    /// Reads the key folder of `trail`.
    ///
    /// # Errors
    /// When it is not there, is another trail's, is open to others, or is malformed: each its own error.
    pub fn open(path: &Path, trail: Id) -> Result<Self> {
        let file = path.join(KEYS_FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::KeysMissing { folder: path.to_owned() });
            }
            Err(error) => return Err(Error::io("read the keys", &file, error)),
        };
        if durable::is_open_to_others(&file).map_err(|e| Error::io("look at the keys", &file, e))? {
            return Err(Error::KeysOpenToOthers { file });
        }
        // The parser's own message would quote the line, and the line may be a secret.
        let parsed: KeysFile =
            toml::from_str(&text).map_err(|_| Error::KeysMalformed { file: file.clone(), what: "not the expected TOML" })?;
        let malformed = |what| Error::KeysMalformed { file: file.clone(), what };
        if parsed.format != FORMAT {
            return Err(Error::Newer { what: "the key file", found: parsed.format, path: file });
        }
        if parsed.trail != hex(&trail) {
            return Err(Error::KeysOfAnotherTrail { folder: path.to_owned(), theirs: parsed.trail });
        }
        let mut key_encryption = Vec::new();
        for entry in &parsed.key_encryption {
            let key = secret(&entry.key).ok_or(malformed("a key-encryption key"))?;
            key_encryption.push(NamedKey { id: entry.id.clone(), key });
        }
        if key_encryption.is_empty() {
            return Err(malformed("no key-encryption key"));
        }
        Ok(Self {
            path: path.to_owned(),
            trail,
            signing: secret(&parsed.signing.seed).ok_or(malformed("the signing seed"))?,
            acknowledgement: secret(&parsed.acknowledgement.seed).ok_or(malformed("the acknowledgement seed"))?,
            intake: secret(&parsed.intake.private).ok_or(malformed("the intake key"))?,
            key_encryption,
        })
    }

    /// Writes `keys.toml` anew. Durable on return.
    pub fn save(&self) -> Result<()> {
        let encode = |secret: &Secret| Zeroizing::new(BASE64.encode(secret.expose()));
        let file = KeysFile {
            format: FORMAT.into(),
            trail: hex(&self.trail),
            signing: Seed { seed: encode(&self.signing) },
            acknowledgement: Seed { seed: encode(&self.acknowledgement) },
            intake: Private { private: encode(&self.intake) },
            key_encryption: self
                .key_encryption
                .iter()
                .map(|named| KeyEncryption { id: named.id.clone(), key: encode(&named.key) })
                .collect(),
        };
        // INVARIANT: strings and tables of strings always serialise.
        let text = Zeroizing::new(toml::to_string(&file).expect("a table of strings"));
        let target = self.path.join(KEYS_FILE);
        durable::replace(&self.path, &format!("{KEYS_FILE}{TEMPORARY}"), &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write the keys", &target, e))
    }

    /// The key-encryption key that new wraps use.
    pub fn current(&self) -> &NamedKey {
        // INVARIANT: `create` and `open` leave at least one.
        self.key_encryption.last().expect("at least one key-encryption key")
    }

    /// A fresh name for a key.
    pub fn fresh_key(random: &dyn Random) -> Result<NamedKey> {
        Ok(NamedKey { id: hex(&draw::<8>(random)?), key: Secret::new(draw(random)?) })
    }

    /// Unwraps with whichever key-encryption key fits: during a rotation two do.
    pub fn unwrap(&self, purpose: Purpose<'_>, wrapped: &[u8]) -> Option<Secret> {
        self.key_encryption
            .iter()
            .rev()
            .find_map(|named| wrap::unwrap(&Cipher::new(&named.key), &self.trail, purpose, wrapped))
    }

    /// Opens the bucket keys.
    pub fn buckets(&self) -> Result<Buckets> {
        Buckets::open(self)
    }

    /// All bucket keys that there are, for reading only.
    pub fn bucket_keys(&self) -> Result<HashMap<u16, Vec<Secret>>> {
        let path = self.path.join(BUCKETS_FILE);
        if !path.exists() {
            return Ok(HashMap::new());
        }
        let file = File::open(&path).map_err(|e| Error::io("open the bucket keys", &path, e))?;
        let slots = Buckets::read(self, &file, &path)?;
        let keys = |slot: [Option<Half>; 2]| slot.into_iter().flatten().map(|half| half.key).collect::<Vec<_>>();
        Ok((0..).zip(slots).map(|(bucket, slot)| (bucket, keys(slot))).filter(|(_, keys)| !keys.is_empty()).collect())
    }

    /// Takes the folder over from a process that may have died in the middle of a change: what is named there is durable afterwards, and half
    /// written files are gone. Only for who holds the trail's lock.
    pub fn settle(&self) -> Result<()> {
        let settle = || {
            for file in [KEYS_FILE, BUCKETS_FILE] {
                durable::remove(&self.path.join(format!("{file}{TEMPORARY}")))?;
            }
            durable::make_folder(&self.path)?;
            durable::sync_folder(&self.path)
        };
        settle().map_err(|e| Error::io("flush the key folder", &self.path, e))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn secret(text: &str) -> Option<Secret> {
    let bytes = Zeroizing::new(BASE64.decode(text).ok()?);
    Some(Secret::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?))
}

#[derive(Clone)]
struct Half {
    generation: u32,
    key: Secret,
}

fn temporary() -> String {
    format!("{BUCKETS_FILE}{TEMPORARY}")
}

/// The 4,096 bucket keys, in memory and in their file.
pub struct Buckets {
    file: File,
    path: PathBuf,
    trail: Id,
    wrapping: Cipher,
    slots: Vec<[Option<Half>; 2]>,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Buckets {
    fn open(folder: &KeyFolder) -> Result<Self> {
        let path = folder.path.join(BUCKETS_FILE);
        let io = |e| Error::io("open the bucket keys", &path, e);
        let len = u64::from(BUCKETS) * SLOT;
        if !path.exists() {
            durable::replace(&folder.path, &temporary(), &path, &[&vec![0; len as usize]]).map_err(io)?;
        }
        let file = OpenOptions::new().read(true).write(true).mode(0o600).open(&path).map_err(io)?;
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        // A key that was written and never flushed, or whose flush failed, would be taken for durable. In place, so that no copy of a key is
        // left that an erasure does not reach.
        file.write_all_at(&bytes, 0).and_then(|()| file.sync_data()).map_err(io)?;
        let slots = Self::read(folder, &file, &path)?;
        Ok(Self { file, path, trail: folder.trail, wrapping: Cipher::new(&folder.current().key), slots })
    }

    fn read(folder: &KeyFolder, file: &File, path: &Path) -> Result<Vec<[Option<Half>; 2]>> {
        let mut bytes = vec![0; usize::from(BUCKETS) * SLOT as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|e| Error::io("read the bucket keys", path, e))?;
        let mut slots = vec![[const { None }; 2]; usize::from(BUCKETS)];
        for (at, half) in bytes.as_chunks::<HALF>().0.iter().enumerate() {
            let generation = u32::from_le_bytes([half[0], half[1], half[2], half[3]]);
            if generation == 0 {
                continue;
            }
            let bucket = (at / 2) as u16;
            let key = folder.unwrap(Purpose::Bucket { bucket, generation }, &half[4..]).ok_or_else(|| {
                Error::KeysMalformed { file: path.to_owned(), what: "a bucket key that the key-encryption key does not open" }
            })?;
            slots[at / 2][at % 2] = Some(Half { generation, key });
        }
        Ok(slots)
    }

    /// The key of a bucket and its generation, when there is one.
    pub fn key(&self, bucket: u16) -> Option<(u32, &Secret)> {
        self.slots[usize::from(bucket)].iter().flatten().map(|half| (half.generation, &half.key)).next()
    }

    /// The key of a bucket in one generation.
    pub fn key_of(&self, bucket: u16, generation: u32) -> Option<&Secret> {
        let halves = self.slots[usize::from(bucket)].iter().flatten();
        halves.filter(|half| half.generation == generation).map(|half| &half.key).next()
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
        let slot = &self.slots[usize::from(bucket)];
        let last = slot.iter().flatten().map(|half| half.generation).max().unwrap_or(0);
        let free = slot.iter().position(Option::is_none).ok_or(Error::BucketInTransition { bucket })?;
        self.write_half(bucket, free, last + 1, random)?;
        self.flush()?;
        Ok(last + 1)
    }

    /// Destroys every key of the bucket but the one of `generation`. Durable on return.
    ///
    /// # Errors
    /// When there is no key of that generation: the catalog and the key folder are of different times. Nothing is destroyed then.
    pub fn keep_only(&mut self, bucket: u16, generation: u32) -> Result<()> {
        if self.key_of(bucket, generation).is_none() {
            return Err(Error::BucketGeneration { bucket, generation });
        }
        let mut wrote = false;
        for half in 0..2 {
            let slot = &mut self.slots[usize::from(bucket)][half];
            if slot.as_ref().is_some_and(|half| half.generation != generation) {
                *slot = None;
                self.write_at(bucket, half, &[0; HALF])?;
                wrote = true;
            }
        }
        if wrote { self.flush() } else { Ok(()) }
    }

    /// Buckets with two keys: an erasure was interrupted.
    pub fn in_transition(&self) -> Vec<u16> {
        (0..BUCKETS).filter(|&bucket| self.slots[usize::from(bucket)].iter().all(Option::is_some)).collect()
    }

    /// Wraps all keys anew under `folder`'s current key-encryption key and replaces the file. Durable on return.
    pub fn rewrap(&mut self, folder: &KeyFolder, random: &dyn Random) -> Result<()> {
        self.wrapping = Cipher::new(&folder.current().key);
        let mut bytes = vec![0; usize::from(BUCKETS) * SLOT as usize];
        for (bucket, slot) in self.slots.iter().enumerate() {
            for (at, half) in slot.iter().enumerate() {
                if let Some(half) = half {
                    let from = bucket * SLOT as usize + at * HALF;
                    bytes[from..from + HALF].copy_from_slice(&self.encode(bucket as u16, half, random)?);
                }
            }
        }
        durable::replace(&folder.path, &temporary(), &self.path, &[&bytes])
            .map_err(|e| Error::io("write the bucket keys", &self.path, e))?;
        // The old file goes on existing for who has it open: continue on the new one.
        self.file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|e| Error::io("open the bucket keys", &self.path, e))?;
        Ok(())
    }

    fn write_half(&mut self, bucket: u16, half: usize, generation: u32, random: &dyn Random) -> Result<()> {
        let fresh = Half { generation, key: Secret::new(draw(random)?) };
        let bytes = self.encode(bucket, &fresh, random)?;
        self.write_at(bucket, half, &bytes)?;
        self.slots[usize::from(bucket)][half] = Some(fresh);
        Ok(())
    }

    fn encode(&self, bucket: u16, half: &Half, random: &dyn Random) -> Result<[u8; HALF]> {
        let purpose = Purpose::Bucket { bucket, generation: half.generation };
        let wrapped = wrap::wrap(&self.wrapping, &self.trail, purpose, &half.key, random)?;
        let mut bytes = [0; HALF];
        bytes[..4].copy_from_slice(&half.generation.to_le_bytes());
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
