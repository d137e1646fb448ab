//! What is kept beside a local spool: which trail it is for, the secret, the key (`docs/formats/shipping.md`). Edge: files; the spool itself is
//! `minutebook-capture`'s.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use minutebook_capture::{Random, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::FILE_BYTES_MAX;

/// Of `remote.json`.
pub(crate) const FORMAT: &str = "minutebook/remote/1";

/// What a server said of its trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The format of this file.
    pub format: String,
    /// Where the server is.
    #[serde(default)]
    pub url: String,
    /// The trail's id, 32 hex digits.
    pub trail: String,
    /// The log's name.
    pub name: String,
    /// The public key that epochs are sealed to, 64 hex digits.
    pub intake_key: String,
}

impl Remote {
    /// Whether all of it is in form.
    pub(crate) fn is_sound(&self) -> bool {
        let hex = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
        self.format == FORMAT && hex(&self.trail, 32) && hex(&self.intake_key, 64)
    }
}

/// The folder of one server.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Held by the shipper of a folder.
#[derive(Debug)]
pub(crate) struct ShipLock(#[expect(dead_code, reason = "held, never asked")] File);

impl Folder {
    /// Makes it unless it is there, for its owner alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Error::file(path, &error))?;
        let path = fs::canonicalize(path).map_err(|error| Error::file(path, &error))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The spool.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Where a shipper in the background writes what it has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("ship.log")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("ship.sock")
    }

    /// The right to ship; `None` when another process has it.
    pub(crate) fn lock(&self) -> Result<Option<ShipLock>, Error> {
        let path = self.0.join("ship.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Error::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(ShipLock(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(Error::file(&path, &error)),
        }
    }

    /// What the server at `endpoint` said once; `None` when it was not asked yet.
    ///
    /// # Errors
    /// The file is not one, or is about another server.
    pub fn remote(&self, endpoint: &Endpoint) -> Result<Option<Remote>, Error> {
        let path = self.0.join("remote.json");
        let Some(text) = read(&path)? else { return Ok(None) };
        let wrong = |what: String| Error::File { path: path.clone(), what };
        let remote: Remote = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if !remote.is_sound() {
            return Err(wrong("it is not what a server says of a trail".into()));
        }
        if remote.url != endpoint.as_str() {
            return Err(wrong(format!("this folder is for `{}`: name another one", remote.url)));
        }
        Ok(Some(remote))
    }

    /// Keeps what the server said. Durable on return.
    pub(crate) fn keep(&self, remote: &Remote) -> Result<(), Error> {
        let text = serde_json::to_string(remote).map_err(|error| Error::Spool(error.to_string()))?;
        self.replace("remote.json", &format!("{text}\n"))
    }

    /// The API key that is there now.
    pub(crate) fn api_key(&self) -> Result<String, Error> {
        let path = self.0.join("api-key");
        let text = read(&path)?.ok_or_else(|| Error::File {
            path: path.clone(),
            what: "there is no API key: write one to this file, for yourself alone (`umask 077`)".into(),
        })?;
        Ok(text.trim().to_owned())
    }

    /// The secret of the spool, 64 hex digits; drawn when there is none yet. Durable on return.
    pub(crate) fn secret(&self) -> Result<String, Error> {
        let path = self.0.join("secret");
        if let Some(text) = read(&path)? {
            let text = text.trim().to_owned();
            let is_one = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            return if is_one {
                Ok(text)
            } else {
                Err(Error::File {
                    path,
                    what: "it is no secret of a spool: restore it from its backup".into(),
                })
            };
        }
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes).map_err(|error| Error::Spool(error.to_string()))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.once("secret", &format!("{text}\n"))?;
        // Of several that made one at once, the first one's is that of the spool.
        self.secret()
    }

    /// Writes a file that is not there yet; one that somebody else wrote meanwhile stays.
    fn once(&self, name: &str, text: &str) -> Result<(), Error> {
        let own = format!("{name}.{}", std::process::id());
        self.replace(&own, text)?;
        let (own, path) = (self.0.join(own), self.0.join(name));
        let linked = match fs::hard_link(&own, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked.and_then(|()| File::open(&self.0)?.sync_all()),
        };
        let removed = fs::remove_file(&own);
        linked.and(removed).map_err(|error| Error::file(&path, &error))
    }

    fn replace(&self, name: &str, text: &str) -> Result<(), Error> {
        let (path, temporary) = (self.0.join(name), self.0.join(format!("{name}.tmp")));
        let write = || {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| Error::file(&path, &error))
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path, &error)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| Error::file(path, &error))?;
    Ok(Some(text))
}
