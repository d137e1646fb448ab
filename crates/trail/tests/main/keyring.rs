//! A key folder and its catalog read by the letter of `docs/formats/keys.md`, without the engine's code: which keys somebody holds who has these
//! files, and what they open.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_record::cbor;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::unhex;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::path::{Path, PathBuf};

pub struct Keyring {
    pub trail: [u8; 16],
    pub key_encryption: Vec<(String, Secret)>,
    pub intake: Secret,
    /// Bucket, generation, key.
    pub buckets: Vec<(u16, u32, Secret)>,
    /// Of the catalog's class-epochs.
    pub class_epochs: Vec<([u8; 16], Secret)>,
    /// Of the catalog's subjects: number, lookup hash, key.
    pub subjects: Vec<(u64, [u8; 32], Secret)>,
    pub lookup: Option<Secret>,
    /// Wrapped keys that nothing held opens.
    pub closed: usize,
}

/// A row with a wrapped key: its purpose and id as they are authenticated, and the 60 bytes.
pub struct Wrapped {
    pub purpose: &'static str,
    pub id: Vec<u8>,
    pub bytes: Vec<u8>,
}

pub fn unwrap(under: &Secret, trail: &[u8; 16], purpose: &str, id: &[u8], wrapped: &[u8]) -> Option<Secret> {
    let mut associated = Vec::new();
    cbor::write_array(&mut associated, 4);
    cbor::write_text(&mut associated, "minutebook/wrap/1");
    cbor::write_bytes(&mut associated, trail);
    cbor::write_text(&mut associated, purpose);
    cbor::write_bytes(&mut associated, id);
    let (nonce, sealed) = wrapped.split_first_chunk::<12>()?;
    let mut sealed = sealed.to_vec();
    let key = Cipher::new(under).open_with(*nonce, &associated, &mut sealed)?;
    Some(Secret::new((&*key).try_into().ok()?))
}

fn secret(value: &toml::Value, name: &str) -> Secret {
    let bytes = BASE64.decode(value[name].as_str().unwrap()).unwrap();
    Secret::new(bytes.try_into().unwrap())
}

/// Opens a database without changing the files: on a copy, with its write-ahead log.
pub async fn database(folder: &Path) -> (tempfile::TempDir, SqliteConnection) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["catalog.db", "catalog.db-wal"] {
        if folder.join(name).exists() {
            std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
        }
    }
    let options = SqliteConnectOptions::new().filename(copy.path().join("catalog.db"));
    let connection = options.connect().await.unwrap();
    (copy, connection)
}

async fn rows(connection: &mut SqliteConnection, query: &str) -> Vec<sqlx::sqlite::SqliteRow> {
    sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(connection).await.unwrap()
}

/// All wrapped keys of a catalog, its subjects' with their buckets.
pub async fn wrapped(trail: &Path) -> (Vec<Wrapped>, Vec<(u64, u16, Wrapped)>) {
    let (_copy, mut connection) = database(trail).await;
    let mut keys = Vec::new();
    for row in rows(&mut connection, "SELECT id, wrapped FROM class_epoch").await {
        keys.push(Wrapped { purpose: "class-epoch", id: row.get("id"), bytes: row.get("wrapped") });
    }
    for row in rows(&mut connection, "SELECT value FROM meta WHERE name = 'lookup_key'").await {
        keys.push(Wrapped { purpose: "lookup", id: Vec::new(), bytes: row.get("value") });
    }
    let mut subjects = Vec::new();
    for row in rows(&mut connection, "SELECT lookup, number, wrapped FROM subject").await {
        let key = Wrapped { purpose: "subject", id: row.get("lookup"), bytes: row.get("wrapped") };
        let bucket = u16::from_be_bytes([key.id[0], key.id[1]]) >> 4;
        subjects.push((row.get::<i64, _>("number") as u64, bucket, key));
    }
    connection.close().await.unwrap();
    (keys, subjects)
}

impl Keyring {
    /// The keys that a key folder and a catalog give together.
    pub async fn read(keys: &Path, trail: &Path) -> Self {
        let text = std::fs::read_to_string(keys.join("keys.toml")).unwrap();
        let file: toml::Value = toml::from_str(&text).unwrap();
        let id: [u8; 16] = unhex(file["trail"].as_str().unwrap()).unwrap();
        let kek = |entry: &toml::Value| (entry["id"].as_str().unwrap().to_owned(), secret(entry, "key"));
        let mut ring = Self {
            trail: id,
            key_encryption: file["key-encryption"].as_array().unwrap().iter().map(kek).collect(),
            intake: secret(&file["intake"], "private"),
            buckets: Vec::new(),
            class_epochs: Vec::new(),
            subjects: Vec::new(),
            lookup: None,
            closed: 0,
        };
        ring.read_buckets(&keys.join("buckets"));
        ring.read_catalog(trail).await;
        ring
    }

    fn read_buckets(&mut self, path: &PathBuf) {
        let Ok(bytes) = std::fs::read(path) else { return };
        assert_eq!(bytes.len(), 4096 * 128);
        for (at, half) in bytes.as_chunks::<64>().0.iter().enumerate() {
            let (bucket, generation) = (at as u16 / 2, u32::from_le_bytes(half[..4].try_into().unwrap()));
            if generation > 0 {
                let mut id = [0; 8];
                id[2..4].copy_from_slice(&bucket.to_be_bytes());
                id[4..].copy_from_slice(&generation.to_be_bytes());
                match self.open("bucket", &id, &half[4..]) {
                    Some(key) => self.buckets.push((bucket, generation, key)),
                    None => self.closed += 1,
                }
            }
        }
    }

    /// Adds what a catalog gives to whoever has this key folder.
    pub async fn read_catalog(&mut self, trail: &Path) {
        let (keys, subjects) = wrapped(trail).await;
        for Wrapped { purpose, id, bytes } in keys {
            match (purpose, self.open(purpose, &id, &bytes)) {
                (_, None) => self.closed += 1,
                ("class-epoch", Some(key)) => self.class_epochs.push((id.try_into().unwrap(), key)),
                (_, Some(key)) => self.lookup = Some(key),
            }
        }
        for (number, _, Wrapped { purpose, id, bytes }) in subjects {
            // Under any bucket's key: what the row says of its bucket need not be so.
            let opened =
                self.buckets.iter().find_map(|(.., key)| unwrap(key, &self.trail, purpose, &id, &bytes));
            match opened {
                Some(key) => self.subjects.push((number, id.try_into().unwrap(), key)),
                None => self.closed += 1,
            }
        }
    }

    fn open(&self, purpose: &str, id: &[u8], wrapped: &[u8]) -> Option<Secret> {
        self.key_encryption.iter().find_map(|(_, kek)| unwrap(kek, &self.trail, purpose, id, wrapped))
    }

    /// The lookup hash of a subject, and its bucket.
    pub fn lookup(&self, subject: &str) -> ([u8; 32], u16) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.lookup.as_ref().unwrap().expose());
        let hash: [u8; 32] = hmac::sign(&key, subject.as_bytes()).as_ref().try_into().unwrap();
        (hash, u16::from_be_bytes([hash[0], hash[1]]) >> 4)
    }
}
