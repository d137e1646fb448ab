//! The keys of the API (`docs/formats/api-keys.md`): names, roles and digests of the secrets that clients have. Edge: finds the key that was
//! presented; what a role allows is not known here.

use super::{FileStamp, KeyFolder, staged};
use crate::durable::{self, Lock};
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::limits::{
    API_KEY_MODELS_MAX, API_KEY_PATTERN_BYTES_MAX, API_KEY_ROLES_MAX, API_KEYS_BYTES_MAX, API_KEYS_MAX,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use minutebook_capture::{Random, is_producer_name};
use minutebook_verify::{Id, hex, unhex};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use zeroize::Zeroizing;

const FORMAT: &str = "minutebook/api-keys/1";
const FILE: &str = "api-keys.toml";
const LOCK: &str = "api-keys.lock";
/// What a secret begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "mbk_";
/// What records of reads call the trail's owner, who needs no key. No key is made with this name; one that was before works on.
pub const OWNER: &str = "owner";
/// Bytes of a secret in front of its hex digits.
const SECRET_BYTES: usize = 32;

/// A key of the API, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// `[a-z0-9][a-z0-9._-]{0,63}`: a service, never a person.
    pub name: String,
    /// Names of its roles: `[a-z][a-z-]{0,31}`, one at least.
    pub roles: Vec<String>,
    /// Patterns of the names of models that it is for; `*` stands for any text. One at least.
    pub models: Vec<String>,
    /// SHA-256 of the secret as it is presented, in hex digits.
    pub sha256: String,
    /// RFC 3339, UTC, whole seconds.
    pub created: String,
    /// The same; from then on it is refused. Never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl ApiKey {
    /// Whether it is past its end at `now_s`, in seconds since 1970. A time that cannot be read is past.
    pub fn is_expired(&self, now_s: i64) -> bool {
        let is_over = |at: &String| at.parse::<Timestamp>().map_or(true, |at| at.as_second() <= now_s);
        self.expires.as_ref().is_some_and(is_over)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    format: String,
    trail: String,
    #[serde(default, rename = "key", skip_serializing_if = "Vec::is_empty")]
    keys: Vec<ApiKey>,
}

/// The keys of a trail's API, in its key folder. What is read here blocks on a small file.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    folder: PathBuf,
    trail: Id,
}

/// A change of the keys that is not stored yet. Nobody else changes them meanwhile.
pub(crate) struct Change {
    stored: ApiKeys,
    all: Vec<ApiKey>,
    /// The key that is made or revoked.
    pub(crate) key: ApiKey,
    _lock: Lock,
}

impl Change {
    /// Stores it. Durable on return.
    pub(crate) fn save(self) -> Result<ApiKey> {
        self.stored.save(self.all)?;
        Ok(self.key)
    }
}

impl ApiKeys {
    /// Those of `trail`, in the key folder `folder`.
    pub fn new(folder: impl Into<PathBuf>, trail: Id) -> Self {
        Self { folder: folder.into(), trail }
    }

    pub(super) fn of(folder: &KeyFolder) -> Self {
        Self::new(folder.path.clone(), folder.trail)
    }

    fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Which state the file is in. Cheap: looks at no content.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn stamp(&self) -> Result<FileStamp> {
        let file = self.file();
        FileStamp::of(&file).map_err(|error| Error::io("look at the API keys", &file, error))
    }

    /// All of them, in the order in which they were made; none when there never was one.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, another trail's, malformed, or of a later version.
    pub fn load(&self) -> Result<Vec<ApiKey>> {
        let path = self.file();
        let mut text = String::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(API_KEYS_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read the API keys", &path, error)),
        }
        let malformed = |what| Error::KeysMalformed { file: path.clone(), what };
        if text.len() as u64 > API_KEYS_BYTES_MAX {
            return Err(malformed("it is longer than a file of API keys can be"));
        }
        if durable::is_open_to_others(&path).map_err(|e| Error::io("look at the API keys", &path, e))? {
            return Err(Error::KeysOpenToOthers { file: path });
        }
        #[derive(Deserialize)]
        struct Version {
            format: String,
        }
        if let Ok(Version { format }) = toml::from_str(&text)
            && format != FORMAT
            && format.starts_with("minutebook/api-keys/")
        {
            return Err(Error::Newer { what: "the file of API keys", found: format, path });
        }
        let file: KeysFile = toml::from_str(&text).map_err(|_| malformed("not the expected TOML"))?;
        if file.format != FORMAT {
            return Err(malformed("its `format` is not that of API keys"));
        }
        if file.trail != hex(&self.trail) {
            return Err(Error::KeysOfAnotherTrail { folder: self.folder.clone(), theirs: file.trail });
        }
        if file.keys.iter().any(|key| unhex::<32>(&key.sha256).is_none()) {
            return Err(malformed("the digest of an API key"));
        }
        if file.keys.iter().any(|key| !is_for_something(&key.roles, &key.models)) {
            return Err(malformed("the roles or models of an API key"));
        }
        Ok(file.keys)
    }

    /// Makes a key, and gives its secret: it cannot be had again. Roles, models, `created` and `expires` are as in [`ApiKey`]. Durable on return.
    ///
    /// # Errors
    /// When there is one of this name, the name is none, there are too many, or the file cannot be written.
    pub fn create(
        &self,
        name: &str,
        (roles, models): (&[String], &[String]),
        created: String,
        expires: Option<String>,
        random: &dyn Random,
    ) -> Result<Zeroizing<String>> {
        let (change, secret) = self.begin_create(name, (roles, models), created, expires, random)?;
        change.save()?;
        Ok(secret)
    }

    /// The same, not stored yet: what has to be noted before it holds is, meanwhile.
    pub(crate) fn begin_create(
        &self,
        name: &str,
        (roles, models): (&[String], &[String]),
        created: String,
        expires: Option<String>,
        random: &dyn Random,
    ) -> Result<(Change, Zeroizing<String>)> {
        if !is_producer_name(name) {
            return Err(Error::Request(
                "the name of an API key is of `[a-z0-9][a-z0-9._-]{0,63}`: a service, never a person".into(),
            ));
        }
        if name == OWNER {
            return Err(Error::Request(format!(
                "no API key is named `{OWNER}`: in records of reads that is who asks over the socket"
            )));
        }
        if !is_for_something(roles, models) {
            return Err(Error::Request(format!(
                "an API key has from 1 to {API_KEY_ROLES_MAX} roles, and from 1 to {API_KEY_MODELS_MAX} patterns of models"
            )));
        }
        let lock = self.lock()?;
        let mut keys = self.load()?;
        if keys.iter().any(|key| key.name == name) {
            return Err(Error::Request(format!(
                "there is an API key `{name}` already: give another name, or revoke it first"
            )));
        }
        if keys.len() >= API_KEYS_MAX {
            return Err(Error::Request(format!(
                "there are {API_KEYS_MAX} API keys already: revoke those that nobody uses"
            )));
        }
        let bytes = Zeroizing::new(draw::<SECRET_BYTES>(random)?);
        let secret = Zeroizing::new(format!("{PREFIX}{}", hex(bytes.as_slice())));
        let sha256 = hex(digest(&SHA256, secret.as_bytes()).as_ref());
        let (roles, models) = (roles.to_vec(), models.to_vec());
        let key = ApiKey { name: name.to_owned(), roles, models, sha256, created, expires };
        keys.push(key.clone());
        Ok((Change { stored: self.clone(), all: keys, key, _lock: lock }, secret))
    }

    /// Removes a key: from now on it is unknown. Durable on return.
    ///
    /// # Errors
    /// When there is none of this name, or the file cannot be written.
    pub fn revoke(&self, name: &str) -> Result<ApiKey> {
        self.begin_revoke(name)?.save()
    }

    /// The same, not stored yet.
    pub(crate) fn begin_revoke(&self, name: &str) -> Result<Change> {
        let lock = self.lock()?;
        let mut keys = self.load()?;
        let Some(place) = keys.iter().position(|key| key.name == name) else {
            return Err(Error::Request(format!(
                "there is no API key `{name}`: `minutebook api-key list` shows which there are"
            )));
        };
        let key = keys.remove(place);
        Ok(Change { stored: self.clone(), all: keys, key, _lock: lock })
    }

    /// Two commands at once change one file after the other.
    fn lock(&self) -> Result<Lock> {
        let path = self.folder.join(LOCK);
        if !self.folder.is_dir() {
            return Err(Error::KeysMissing { folder: self.folder.clone() });
        }
        Lock::take(&path).map_err(|e| Error::io("lock", &path, e))
    }

    fn save(&self, keys: Vec<ApiKey>) -> Result<()> {
        let file = KeysFile { format: FORMAT.into(), trail: hex(&self.trail), keys };
        // INVARIANT: strings and tables of strings always serialise.
        let text = toml::to_string(&file).expect("a table of strings");
        let target = self.file();
        durable::replace(&self.folder, &staged(FILE), &target, &[text.as_bytes()])
            .map_err(|e| Error::io("write the API keys", &target, e))
    }
}

fn is_for_something(roles: &[String], models: &[String]) -> bool {
    let is_role = |role: &String| {
        let mut bytes = role.bytes();
        role.len() <= 32
            && bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let is_pattern = |pattern: &String| !pattern.is_empty() && pattern.len() <= API_KEY_PATTERN_BYTES_MAX;
    (1..=API_KEY_ROLES_MAX).contains(&roles.len())
        && (1..=API_KEY_MODELS_MAX).contains(&models.len())
        && roles.iter().all(is_role)
        && models.iter().all(is_pattern)
}

/// The one of `keys` whose secret was presented. All are compared, each in a time that does not depend on how much of it fits.
pub fn find_api_key<'k>(keys: &'k [ApiKey], presented: &str) -> Option<&'k ApiKey> {
    let presented = digest(&SHA256, presented.as_bytes());
    let fits = |key: &ApiKey| {
        unhex::<32>(&key.sha256)
            .is_some_and(|known| verify_slices_are_equal(&known, presented.as_ref()).is_ok())
    };
    keys.iter().fold(None, |found, key| if fits(key) { Some(key) } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutebook_capture::SystemRandom;
    use std::os::unix::fs::PermissionsExt;

    fn empty() -> (tempfile::TempDir, ApiKeys) {
        let folder = tempfile::tempdir().unwrap();
        let keys = ApiKeys::new(folder.path(), [7; 16]);
        (folder, keys)
    }

    fn some() -> (Vec<String>, Vec<String>) {
        (vec!["analyst".into()], vec!["credit-*".into()])
    }

    fn made(keys: &ApiKeys, name: &str) -> Zeroizing<String> {
        let (roles, models) = some();
        keys.create(name, (&roles, &models), "2026-11-21T09:30:00Z".into(), None, &SystemRandom).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_secret_and_the_file_does_not_have_it() {
        let (folder, keys) = empty();
        assert_eq!(keys.load().unwrap(), []);
        let (first, second) = (made(&keys, "first"), made(&keys, "second"));
        assert_eq!((first.len(), &first[..4]), (4 + 64, "mbk_"));
        let all = keys.load().unwrap();
        assert_eq!(find_api_key(&all, &first).unwrap().name, "first");
        assert_eq!(find_api_key(&all, &second).unwrap().name, "second");
        for wrong in ["", "mbk_", &first[..67], &first.to_uppercase(), &first[4..], &all[0].sha256] {
            assert_eq!(find_api_key(&all, wrong), None, "{wrong}");
        }
        let stored = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!stored.contains(&first[4..]) && !stored.contains(&second[4..]), "{stored}");
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_change_shows_in_the_stamp() {
        let (_folder, keys) = empty();
        let mut stamps = vec![keys.stamp().unwrap()];
        made(&keys, "a");
        stamps.push(keys.stamp().unwrap());
        made(&keys, "b");
        stamps.push(keys.stamp().unwrap());
        keys.revoke("a").unwrap();
        stamps.push(keys.stamp().unwrap());
        for (at, stamp) in stamps.iter().enumerate() {
            assert!(!stamps[at + 1..].contains(stamp), "{at}");
        }
        assert_eq!(keys.stamp().unwrap(), stamps[3]);
    }

    #[test]
    fn names_are_unique_and_a_revoked_key_is_gone() {
        let (_folder, keys) = empty();
        let secret = made(&keys, "ci");
        let (roles, models) = some();
        let again = keys.create("ci", (&roles, &models), String::new(), None, &SystemRandom);
        assert!(again.unwrap_err().to_string().contains("already"));
        for wrong in ["", "Jane Roe", "-x", "owner"] {
            assert!(keys.create(wrong, (&roles, &models), String::new(), None, &SystemRandom).is_err());
        }
        for (roles, models) in [
            (vec![], vec!["*"]),
            (vec!["analyst"], vec![]),
            (vec!["Analyst"], vec!["*"]),
            (vec!["analyst"], vec![""]),
            (vec!["analyst"; 33], vec!["*"]),
        ] {
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
            let (roles, models) = (texts(roles), texts(models));
            assert!(keys.create("x", (&roles, &models), String::new(), None, &SystemRandom).is_err());
        }
        assert_eq!(keys.revoke("ci").unwrap().name, "ci");
        assert_eq!(find_api_key(&keys.load().unwrap(), &secret), None);
        assert!(keys.revoke("ci").is_err());
    }

    #[test]
    fn an_end_is_reached_to_the_second_and_an_unreadable_one_is_past() {
        let key = |expires: Option<&str>| ApiKey {
            name: "x".into(),
            roles: Vec::new(),
            models: Vec::new(),
            sha256: String::new(),
            created: String::new(),
            expires: expires.map(str::to_owned),
        };
        assert!(!key(None).is_expired(i64::MAX));
        assert!(!key(Some("1970-01-01T00:00:10Z")).is_expired(9));
        assert!(key(Some("1970-01-01T00:00:10Z")).is_expired(10));
        assert!(key(Some("soon")).is_expired(0));
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused() {
        let (folder, keys) = empty();
        made(&keys, "a");
        let path = folder.path().join(FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("api-keys/1", "api-keys/2"),
            ("api-keys/1", "keys/1"),
            ("0707", "0808"),
            ("sha256 = \"", "sha256 = \"0"),
            ("[\"analyst\"]", "[\"\"]"),
            ("[\"analyst\"]", "\"analyst\""),
            ("roles =", "scope ="),
            ("[\"credit-*\"]", "[]"),
            ("name =", "nome ="),
        ] {
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            assert!(keys.load().is_err(), "{to}");
        }
        std::fs::write(&path, good.repeat(API_KEYS_BYTES_MAX as usize / good.len() + 1)).unwrap();
        assert!(keys.load().is_err());
        std::fs::write(&path, &good).unwrap();
        assert_eq!(keys.load().unwrap().len(), 1);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(keys.load(), Err(Error::KeysOpenToOthers { .. })));
        let other = ApiKeys::new(folder.path().join("nowhere"), [7; 16]);
        assert!(matches!(other.revoke("a"), Err(Error::KeysMissing { .. })));
    }

    /// The worked example of the format's page.
    #[test]
    fn the_digest_is_that_of_the_text_as_it_is_presented() {
        let secret = "mbk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/api-keys.md");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(secret) && page.contains(&hex(digest(&SHA256, secret.as_bytes()).as_ref())));
    }
}
