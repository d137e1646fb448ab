//! Rotating keys: the key-encryption key (nothing stored changes) and the signing key (the old one names the new one). Edge: the key folder and
//! the catalog are changed in steps that a crash may interrupt anywhere.

use crate::catalog::ActRow;
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::own::{self, OwnRecord};
use crate::wrap::{self, Purpose};
use minutebook_verify::keys::Cipher;

impl Engine {
    /// Replaces the key-encryption key: class-epoch keys, the lookup key and the bucket keys are wrapped anew, and the old key is removed from
    /// the key folder. No stored object changes. Durable on return; gives the new key's id. Back the key folder up afterwards.
    ///
    /// # Errors
    /// When a file or the catalog cannot be written. Both keys open until the last step, so calling again is safe.
    pub async fn rotate_key_encryption(&mut self) -> Result<String> {
        self.check_running()?;
        let result = self.rotate().await;
        let id = self.stop_on_error(result)?;
        self.seal().await?;
        Ok(id)
    }

    async fn rotate(&mut self) -> Result<String> {
        let random = std::sync::Arc::clone(&self.environment.random);
        let old = self.keys.current().id.clone();
        let fresh = KeyFolder::fresh_key(random.as_ref())?;
        self.keys.key_encryption.push(fresh.clone());
        self.keys.save()?;
        self.finish_rotation().await?;
        let body = format!("{old} {}", fresh.id).into_bytes();
        self.catalog.note_act(&ActRow { id: draw(random.as_ref())?, kind: "rotation".into(), body }).await?;
        Ok(fresh.id)
    }

    /// Wraps everything under the last key-encryption key and forgets the others; nothing to do when there is one only.
    pub(crate) async fn finish_rotation(&mut self) -> Result<()> {
        if self.keys.key_encryption.len() == 1 {
            return Ok(());
        }
        let random = std::sync::Arc::clone(&self.environment.random);
        let cipher = Cipher::new(&self.keys.current().key);
        let unknown = || Error::KeysDoNotMatch { what: "key-encryption key", folder: self.keys.path().to_owned() };
        let mut rows = self.catalog.class_epochs().await?;
        for row in &mut rows {
            let purpose = Purpose::ClassEpoch(&row.id);
            let key = self.keys.unwrap(purpose, &row.wrapped).ok_or_else(unknown)?;
            row.wrapped = wrap::wrap(&cipher, &self.file.id, purpose, &key, random.as_ref())?.to_vec();
        }
        let lookup = self.catalog.meta("lookup_key").await?.ok_or_else(unknown)?;
        let lookup = self.keys.unwrap(Purpose::Lookup, &lookup).ok_or_else(unknown)?;
        let lookup = wrap::wrap(&cipher, &self.file.id, Purpose::Lookup, &lookup, random.as_ref())?;
        self.catalog.rewrap(&rows, &lookup).await?;
        self.subjects.buckets.rewrap(&self.keys, random.as_ref())?;
        let last = self.keys.key_encryption.len() - 1;
        self.keys.key_encryption.drain(..last);
        self.keys.save()
    }

    pub(crate) fn rotation_record(&self, act: &ActRow, now_ns: i64) -> Result<OwnRecord> {
        let body = String::from_utf8_lossy(&act.body).into_owned();
        let (old, new) = body.split_once(' ').unwrap_or(("", &body));
        own::policy(act.id, "key-encryption key rotated", old.as_bytes(), new, now_ns)
    }
}
