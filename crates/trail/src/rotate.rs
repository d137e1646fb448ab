//! Rotating keys: the key-encryption key (nothing stored changes) and the signing key (the old one names the new one). Edge: the key folder,
//! `trail.toml` and the catalog are changed in steps that a crash may interrupt anywhere; the same steps finish it at the next opening.

use crate::catalog::{ActRow, Placement, TRAIL_DIGEST};
use crate::durable;
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::halves::HALVES;
use crate::keyfolder::KeyFolder;
use crate::own::{self, OwnRecord};
use crate::place::signer;
use crate::repeats::REPEATS;
use crate::sealed_log;
use crate::wrap::{self, Purpose};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_verify::descriptor::Entry;
use minutebook_verify::keys::{Cipher, Secret};
use minutebook_verify::trailfile::Succession;

const KEY_ENCRYPTION: &str = "rotation";
const SIGNING: &str = "signing-rotation";

impl Engine {
    /// Replaces the key-encryption key: class-epoch keys, the lookup key and the bucket keys are wrapped anew, and the old key is removed from
    /// the key folder. No stored object changes. Durable on return; gives the new key's id. Back the key folder up afterwards.
    ///
    /// # Errors
    /// When a file or the catalog cannot be written. Both keys open until the last step, so calling again is safe.
    pub async fn rotate_key_encryption(&mut self) -> Result<String> {
        self.check_running()?;
        let result = self.begin_rotation().await;
        let id = self.stop_on_error(result)?;
        self.seal().await?;
        Ok(id)
    }

    async fn begin_rotation(&mut self) -> Result<String> {
        let random = std::sync::Arc::clone(&self.environment.random);
        let fresh = KeyFolder::fresh_key(random.as_ref())?;
        self.keys.key_encryption.push(fresh.clone());
        self.keys.save()?;
        self.finish_rotation().await?;
        Ok(fresh.id)
    }

    /// The act of one rotation: always the same, so that finishing it twice notes it once.
    fn rotation_act(kind: &str, old: &str, new: &str) -> ActRow {
        let body = format!("{old} {new}").into_bytes();
        let digest = minutebook_sha256::digest(&body);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        ActRow { id, kind: kind.into(), body }
    }

    /// Wraps everything under the last key-encryption key and forgets the others; nothing to do when there is one only.
    pub(crate) async fn finish_rotation(&mut self) -> Result<()> {
        if self.keys.key_encryption.len() == 1 {
            return Ok(());
        }
        let random = std::sync::Arc::clone(&self.environment.random);
        let cipher = Cipher::new(&self.keys.current().key);
        let unknown =
            || Error::KeysDoNotMatch { what: "key-encryption key", folder: self.keys.path().to_owned() };
        let mut rows = self.catalog.class_epochs().await?;
        for row in &mut rows {
            let purpose = Purpose::ClassEpoch(&row.id);
            let key = self.keys.unwrap(purpose, &row.wrapped).ok_or_else(unknown)?;
            row.wrapped = wrap::wrap(&cipher, &self.file.id, purpose, &key, random.as_ref())?.to_vec();
        }
        let lookup = self.catalog.meta("lookup_key").await?.ok_or_else(unknown)?;
        let lookup = self.keys.unwrap(Purpose::Lookup, &lookup).ok_or_else(unknown)?;
        let lookup = wrap::wrap(&cipher, &self.file.id, Purpose::Lookup, &lookup, random.as_ref())?;
        let last = self.keys.key_encryption.len() - 1;
        let act =
            Self::rotation_act(KEY_ENCRYPTION, &self.keys.key_encryption[0].id, &self.keys.current().id);
        self.catalog.rewrap(&rows, &lookup, &act).await?;
        self.subjects.buckets.rewrap(&self.keys, random.as_ref())?;
        for kind in [&REPEATS, &HALVES] {
            sealed_log::rewrap(kind, &self.place, &self.file.id, &self.keys, random.as_ref())?;
        }
        self.keys.key_encryption.drain(..last);
        self.keys.save()
    }

    /// Replaces the signing key: `trail.toml` names the new one, with both keys' signatures that it follows the old one, the log says so, and
    /// checkpoints are signed by it from now on. Durable on return; gives the new verifier key, which those who pinned the old one, and
    /// policies, need. Back the key folder up afterwards.
    ///
    /// # Errors
    /// When a file or the catalog cannot be written: open the trail again, which finishes the rotation.
    pub async fn rotate_signing(&mut self) -> Result<String> {
        self.check_running()?;
        let result = self.begin_signing_rotation().await;
        self.stop_on_error(result)?;
        self.seal().await?;
        Ok(self.file.log_key.clone())
    }

    async fn begin_signing_rotation(&mut self) -> Result<()> {
        // Step 1.
        self.keys.next_signing = Some(Secret::new(draw(self.environment.random.as_ref())?));
        self.keys.save()?;
        self.finish_signing_rotation().await
    }

    /// Steps 2 to 5 of `docs/formats/keys.md`, "Rotating the signing key", as far as they are not done; nothing when no rotation is under way.
    pub(crate) async fn finish_signing_rotation(&mut self) -> Result<()> {
        let Some(next) = self.keys.next_signing.clone() else { return Ok(()) };
        let new_signer = signer(&self.file.name, &next)?;
        let new = new_signer.verifier_key().to_string();
        if self.file.log_key != new {
            let mut file = self.file.clone();
            file.succession.push(self.succession(&next, &new)?);
            file.log_key = new;
            self.place.write_trail_file(&file)?;
            self.file = file;
        } else {
            // Written by an engine that is gone, which may not have flushed the name.
            durable::sync_folder(&self.place.folder)
                .map_err(|e| Error::io("flush the folder", &self.place.folder, e))?;
        }
        self.publisher.sign_with(new_signer);
        self.place_trail_file().await?;
        self.publish_pending().await?;
        self.keys.signing = next;
        self.keys.next_signing = None;
        self.keys.save()
    }

    fn succession(&self, next: &Secret, new: &str) -> Result<Succession> {
        let sign = |seed: &Secret, bytes: &[u8]| {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| Error::NoRandomness)?;
            Ok::<_, Error>(BASE64.encode(pair.sign(bytes)))
        };
        let mut step = Succession {
            old: self.file.log_key.clone(),
            new: new.to_owned(),
            at: self.environment.rfc3339(),
            old_signature: String::new(),
            new_signature: String::new(),
        };
        let bytes = step.signed_bytes();
        step.old_signature = sign(&self.keys.signing, &bytes)?;
        step.new_signature = sign(next, &bytes)?;
        // Both sides of a boundary: a key file that does not fit is found before anything is written.
        assert!(step.is_signed(), "a succession that was just signed");
        Ok(step)
    }

    /// Puts the digest of the present `trail.toml` into the log, unless it is there.
    async fn place_trail_file(&mut self) -> Result<()> {
        let digest = minutebook_sha256::digest(self.file.render().as_bytes());
        if self.catalog.meta(TRAIL_DIGEST).await?.as_deref() == Some(&digest) {
            return Ok(());
        }
        let mut new_acts = Vec::new();
        if let Some(step) = self.file.succession.last() {
            new_acts.push(Self::rotation_act(SIGNING, &step.old, &step.new));
        }
        let placement = Placement {
            entries: vec![(self.log_size, Entry::Trail { id: self.file.id, digest }.encode())],
            new_acts,
            trail_digest: Some(digest),
            log_size: self.log_size + 1,
            published: self.publisher.size(),
            ..Placement::default()
        };
        self.catalog.place(&placement).await?;
        self.log_size += 1;
        Ok(())
    }

    pub(crate) fn rotation_record(&self, act: &ActRow, now_ns: i64) -> Result<OwnRecord> {
        let what = if act.kind == SIGNING { "signing key rotated" } else { "key-encryption key rotated" };
        let body = String::from_utf8_lossy(&act.body).into_owned();
        let (old, new) = body.split_once(' ').unwrap_or(("", &body));
        own::policy(act.id, what, &minutebook_sha256::digest(old.as_bytes()), new, now_ns)
    }
}
