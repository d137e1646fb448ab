//! The key folder (`docs/formats/keys.md`): the private keys, the key-encryption keys and the bucket keys of one trail, outside of it.
//! Edge: what they wrap lies in the catalog.

mod access;
mod api;
mod buckets;
mod index;

pub use access::AccessFile;
pub use api::{ApiKey, ApiKeys, OWNER, find_api_key};
pub use buckets::{BUCKETS, Buckets};
pub use index::IndexKeys;

use crate::durable;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::place::signer;
use crate::wrap::{self, Purpose};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_capture::Random;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::{Id, hex};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMAT: &str = "minutebook/keys/1";
const KEYS_FILE: &str = "keys.toml";
const BUCKETS_FILE: &str = "buckets";
const INDEX_FILE: &str = "index";
/// What is added to a file's name while it is written.
const TEMPORARY: &str = ".new";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeysFile {
    format: String,
    trail: String,
    signing: Seed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_signing: Option<Seed>,
    acknowledgement: Seed,
    intake: Private,
    key_encryption: Vec<KeyEncryption>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sampling: Vec<Sampling>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampling {
    key: Zeroizing<String>,
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
    /// The seed that takes its place: there while a rotation is under way.
    pub next_signing: Option<Secret>,
    /// Ed25519 seed of acknowledgements.
    pub acknowledgement: Secret,
    /// X25519 private key of the spools.
    pub intake: Secret,
    /// Key-encryption keys, the current one last.
    pub key_encryption: Vec<NamedKey>,
    /// Sampling keys, the current one last; none before the first policy.
    pub sampling: Vec<Secret>,
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
            next_signing: None,
            acknowledgement: fresh()?,
            intake: fresh()?,
            key_encryption: vec![Self::fresh_key(random)?],
            sampling: Vec::new(),
        };
        durable::make_folder(path)
            .map_err(|source| Error::KeysNowhere { folder: path.to_owned(), source })?;
        if durable::is_open_to_others(path).map_err(|e| Error::io("look at the key folder", path, e))? {
            return Err(Error::KeysOpenToOthers { file: path.to_owned() });
        }
        folder.save()?;
        Ok(folder)
    }

    /// Reads the key folder of `trail`.
    ///
    /// # Errors
    /// When it is not there, is another trail's, is open to others, or is malformed: each its own error.
    pub fn open(path: &Path, trail: Id) -> Result<Self> {
        let file = path.join(KEYS_FILE);
        // The second look is for a file that was replaced, and wiped, while it was being read.
        let parsed = Self::parse(path, &file).or_else(|_| Self::parse(path, &file))?;
        let malformed = |what| Error::KeysMalformed { file: file.clone(), what };
        if parsed.format != FORMAT {
            return Err(malformed("its `format` is not that of keys"));
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
        let sampling = parsed.sampling.iter().map(|entry| secret(&entry.key));
        let sampling = sampling.collect::<Option<_>>().ok_or(malformed("a sampling key"))?;
        Ok(Self {
            path: path.to_owned(),
            trail,
            signing: secret(&parsed.signing.seed).ok_or(malformed("the signing seed"))?,
            next_signing: match &parsed.next_signing {
                Some(next) => Some(secret(&next.seed).ok_or(malformed("the next signing seed"))?),
                None => None,
            },
            acknowledgement: secret(&parsed.acknowledgement.seed)
                .ok_or(malformed("the acknowledgement seed"))?,
            intake: secret(&parsed.intake.private).ok_or(malformed("the intake key"))?,
            key_encryption,
            sampling,
        })
    }

    fn parse(path: &Path, file: &Path) -> Result<KeysFile> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::KeysMissing { folder: path.to_owned() });
            }
            Err(error) => return Err(Error::io("read the keys", file, error)),
        };
        for secret in [path, file, &path.join(BUCKETS_FILE)] {
            match durable::is_open_to_others(secret) {
                Ok(false) => {}
                Ok(true) => return Err(Error::KeysOpenToOthers { file: secret.to_owned() }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("look at the keys", secret, error)),
            }
        }
        #[derive(Deserialize)]
        struct Version {
            format: String,
        }
        if let Ok(Version { format }) = toml::from_str(&text)
            && format != FORMAT
            && format.starts_with("minutebook/keys/")
        {
            return Err(Error::Newer { what: "the key file", found: format, path: file.to_owned() });
        }
        // The parser's own message would quote the line, and the line may be a secret.
        toml::from_str(&text)
            .map_err(|_| Error::KeysMalformed { file: file.to_owned(), what: "not the expected TOML" })
    }

    /// Reads the same folder again.
    ///
    /// # Errors
    /// As [`KeyFolder::open`].
    pub fn reopen(&self) -> Result<Self> {
        Self::open(&self.path, self.trail)
    }

    /// Writes `keys.toml` anew and wipes what was there. Durable on return.
    pub fn save(&self) -> Result<()> {
        let encode = |secret: &Secret| Zeroizing::new(BASE64.encode(secret.expose()));
        let file = KeysFile {
            format: FORMAT.into(),
            trail: hex(&self.trail),
            signing: Seed { seed: encode(&self.signing) },
            next_signing: self.next_signing.as_ref().map(|next| Seed { seed: encode(next) }),
            acknowledgement: Seed { seed: encode(&self.acknowledgement) },
            intake: Private { private: encode(&self.intake) },
            key_encryption: self
                .key_encryption
                .iter()
                .map(|named| KeyEncryption { id: named.id.clone(), key: encode(&named.key) })
                .collect(),
            sampling: self.sampling.iter().map(|key| Sampling { key: encode(key) }).collect(),
        };
        // INVARIANT: strings and tables of strings always serialise.
        let text = Zeroizing::new(toml::to_string(&file).expect("a table of strings"));
        let target = self.path.join(KEYS_FILE);
        let old = open_to_wipe(&target)?;
        durable::replace(&self.path, &staged(KEYS_FILE), &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write the keys", &target, e))?;
        wipe(old, &target)
    }

    /// The seed of the signing key that a `trail.toml` names: the present one, or while a rotation is under way the next.
    ///
    /// # Errors
    /// When it is neither: these are not that trail's keys.
    pub fn signs_for(&self, file: &TrailFile) -> Result<&Secret> {
        for seed in [Some(&self.signing), self.next_signing.as_ref()].into_iter().flatten() {
            if signer(&file.name, seed)?.verifier_key().to_string() == file.log_key {
                return Ok(seed);
            }
        }
        Err(Error::KeysDoNotMatch { what: "signing key", folder: self.path.clone() })
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

    /// The keys of the index.
    pub fn index_keys(&self) -> IndexKeys {
        IndexKeys::of(self)
    }

    /// The keys of the API.
    pub fn api_keys(&self) -> ApiKeys {
        ApiKeys::of(self)
    }

    /// What was said of who may do what.
    pub fn access_file(&self) -> AccessFile {
        AccessFile::new(self.path.clone())
    }

    /// Opens the bucket keys.
    pub fn buckets(&self) -> Result<Buckets> {
        Buckets::open(self)
    }

    /// All bucket keys that there are, for reading only. Beside an engine that is writing one of them, that one may be missing.
    pub fn bucket_keys(&self) -> Result<HashMap<u16, Vec<Secret>>> {
        buckets::keys(self)
    }

    /// The same with their generations, for `doctor`.
    pub fn bucket_generations(&self) -> Result<HashMap<u16, Vec<(u32, Secret)>>> {
        buckets::generations(self)
    }

    /// Takes the folder over from a process that may have died in the middle of a change: what is named there is durable afterwards, and half
    /// written files are gone. Only for who holds the trail's lock.
    pub fn settle(&self) -> Result<()> {
        for file in [KEYS_FILE, BUCKETS_FILE] {
            // It may hold keys that are to be destroyed.
            let path = self.path.join(staged(file));
            let old = open_to_wipe(&path)?;
            durable::remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            wipe(old, &path)?;
        }
        crate::erasure_note::sweep(&self.path)?;
        let flushed = durable::make_folder(&self.path).and_then(|_| durable::sync_folder(&self.path));
        flushed.map_err(|e| Error::io("flush the key folder", &self.path, e))
    }

    /// Copies the keys into another folder, replacing and wiping what is there. Beside an engine, which may be writing: a bucket key that is
    /// half written is read again. Durable on return.
    ///
    /// # Errors
    /// When they change again and again meanwhile, or cannot be written.
    pub fn copy_to(&self, target: &Path) -> Result<()> {
        const LOOKS: usize = 5;
        for _ in 0..LOOKS {
            let (keys, slots) = (self.reopen()?, buckets::bytes(self)?);
            let (again, same) = (self.reopen()?, buckets::bytes(self)?);
            if keys.key_encryption.last().map(|key| &key.id) != again.key_encryption.last().map(|key| &key.id)
                || slots != same
            {
                continue;
            }
            // Before the keys: with keys and without it, whoever restores would have less forbidden than was.
            if let Some(text) = self.access_file().load()? {
                AccessFile::new(target).save(&text)?;
            }
            let path = target.join(BUCKETS_FILE);
            let old = open_to_wipe(&path)?;
            durable::replace(target, &staged(BUCKETS_FILE), &path, &[&slots])
                .map_err(|e| Error::io("write the bucket keys", &path, e))?;
            wipe(old, &path)?;
            return Self { path: target.to_owned(), ..again }.save();
        }
        Err(Error::Request("the keys are being changed: copy them again in a moment".into()))
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

/// Tells one state of a file of this folder from the next: such a file is replaced, never written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp(Option<(u64, u64, i64, i64)>);

impl FileStamp {
    /// Of the file as it is now. Looks at no content.
    fn of(file: &Path) -> std::io::Result<Self> {
        match std::fs::metadata(file) {
            Ok(about) => Ok(Self(Some((about.ino(), about.len(), about.ctime(), about.ctime_nsec())))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// The name of a file while it is written.
fn staged(file: &str) -> String {
    format!("{file}{TEMPORARY}")
}

/// A handle on a file that is about to be replaced or removed, when it is there.
fn open_to_wipe(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", path, error)),
    }
}

/// Overwrites a file that has no name any more, so that its blocks are given back without the keys. One that has another name is somebody's
/// copy, and left alone.
fn wipe(file: Option<File>, path: &Path) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let wiped = file.metadata().and_then(|metadata| {
        if metadata.nlink() > 0 {
            return Ok(());
        }
        file.write_all_at(&vec![0; metadata.len() as usize], 0)?;
        file.sync_data()
    });
    wiped.map_err(|e| Error::io("wipe what was replaced of", path, e))
}
