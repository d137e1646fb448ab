//! Who may do what (`docs/formats/access.md`): putting a text in force, and its record. Edge: what the text means is for whoever asks; it is stored
//! in the key folder, and the log tells of every change.

use crate::catalog::ActRow;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::limits::ACCESS_BYTES_MAX;
use crate::own::{self, OwnRecord};
use crate::sampling::act;

const ACT: &str = "access";
/// What a record of it says it is about.
const ACCESS: &str = "access";

impl Engine {
    /// Puts a text in force that says who may do what; whether it is one, the caller has looked. A record says so, and is noted before the text
    /// holds: no change is without one. Durable on return. Says whether it was another one before.
    ///
    /// # Errors
    /// When it is too long, or the key folder cannot be written. Otherwise as [`Engine::seal_round`].
    pub async fn set_access(&mut self, text: &str) -> Result<bool> {
        self.check_running()?;
        if text.len() as u64 > ACCESS_BYTES_MAX {
            return Err(Error::Request(format!("the text has more than {ACCESS_BYTES_MAX} bytes")));
        }
        let file = self.keys.access_file();
        let before = file.load()?;
        if before.as_deref() == Some(text) {
            return Ok(false);
        }
        let act = act(ACT, before.unwrap_or_default().as_bytes(), text);
        let result = self.catalog.note(&act).await;
        self.stop_on_error(result)?;
        file.save(text)?;
        self.seal().await?;
        Ok(true)
    }
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let (old, new) = act.body.split_at_checked(32).filter(|_| act.kind == ACT)?;
    Some(own::policy(act.id, ACCESS, old, &String::from_utf8_lossy(new), now_ns))
}
