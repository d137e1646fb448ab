//! Keys of the API (`docs/formats/api-keys.md`): making and revoking them, and the record of it. Edge: they are stored in the key folder; the log
//! tells of every change, and has neither a secret nor its digest.

use crate::catalog::ActRow;
use crate::engine::Engine;
use crate::error::Result;
use crate::keyfolder::ApiKey;
use crate::own::{self, OwnRecord};
use crate::sampling::act;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const ACT: &str = "api-key";
/// What a record of it says it is about.
const API_KEY: &str = "api-key";

/// A key that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// As [`ApiKey::name`].
    pub name: String,
    /// As [`ApiKey::roles`].
    pub roles: Vec<String>,
    /// As [`ApiKey::models`]; all when it is left out.
    #[serde(default = "all_models")]
    pub models: Vec<String>,
    /// As [`ApiKey::expires`].
    #[serde(default)]
    pub expires: Option<String>,
}

fn all_models() -> Vec<String> {
    vec!["*".into()]
}

impl Engine {
    /// Makes a key of the API, and gives it with its secret, which cannot be had again. A record says so, and is noted before the key holds. Durable
    /// on return.
    ///
    /// # Errors
    /// When there is one of this name, or it is none, or the key folder cannot be written. Otherwise as [`Engine::seal_round`].
    pub async fn create_api_key(&mut self, new: &NewApiKey) -> Result<(ApiKey, Zeroizing<String>)> {
        self.check_running()?;
        let created = self.environment.rfc3339();
        let random = std::sync::Arc::clone(&self.environment.random);
        let of = (new.roles.as_slice(), new.models.as_slice());
        let (change, secret) =
            self.keys.api_keys().begin_create(&new.name, of, created, new.expires.clone(), &*random)?;
        let act = act(ACT, b"", &said(&change.key));
        let result = self.catalog.note(&act).await;
        self.stop_on_error(result)?;
        let key = change.save()?;
        self.seal().await?;
        Ok((key, secret))
    }

    /// Revokes a key of the API. A record says so, and is noted before. Durable on return.
    ///
    /// # Errors
    /// When there is none of this name, or the key folder cannot be written. Otherwise as [`Engine::seal_round`].
    pub async fn revoke_api_key(&mut self, name: &str) -> Result<ApiKey> {
        self.check_running()?;
        let change = self.keys.api_keys().begin_revoke(name)?;
        let act = act(ACT, said(&change.key).as_bytes(), &format!("revoked = \"{name}\"\n"));
        let result = self.catalog.note(&act).await;
        self.stop_on_error(result)?;
        let key = change.save()?;
        self.seal().await?;
        Ok(key)
    }
}

/// What the log has of a key: all but its secret and the digest of that.
fn said(key: &ApiKey) -> String {
    #[derive(Serialize)]
    struct Said<'a> {
        name: &'a str,
        roles: &'a [String],
        models: &'a [String],
        created: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<&'a str>,
    }
    let ApiKey { name, roles, models, created, expires, .. } = key;
    // INVARIANT: strings and lists of strings always serialise.
    toml::to_string(&Said { name, roles, models, created, expires: expires.as_deref() }).expect("strings")
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let (old, new) = act.body.split_at_checked(32).filter(|_| act.kind == ACT)?;
    Some(own::policy(act.id, API_KEY, old, &String::from_utf8_lossy(new), now_ns))
}
