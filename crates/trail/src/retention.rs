//! The retention settings in force (`docs/formats/retention.md`): setting them, without shortening a floor. Edge: disposing is `dispose`'s
//! business, erasing `erase`'s.

use crate::catalog::{ActRow, RETENTION_SETTINGS};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::own::{self, OwnRecord};
use crate::reader::Reader;
use crate::sampling::act;
use minutebook_verify::retention::{Floored, RETENTION, Settings, Undercut};

const ACT: &str = "retention";

impl Engine {
    /// Puts retention settings in force. A record says so. Durable on return. Says whether they were others before.
    ///
    /// # Errors
    /// [`Error::Retention`] when the text is none, [`Error::FloorShortened`] when it would shorten a floor that is in force: nothing is changed
    /// then. Otherwise as [`Engine::seal_round`].
    pub async fn set_retention(&mut self, text: &str) -> Result<bool> {
        self.check_running()?;
        let settings = Settings::parse(text)?;
        // A class may have its first records in the spool.
        self.seal().await?;
        let before = self.retention().await?;
        if before.as_deref() == Some(text) {
            return Ok(false);
        }
        for undercut in settings.undercuts(&parse(before.as_deref())?) {
            let is_empty = match &undercut.of {
                Floored::Class(class) => !self.catalog.has_records(class).await?,
                Floored::Model(_) => false,
            };
            if !is_empty {
                return Err(Error::FloorShortened { what: words(&undercut) });
            }
        }
        let act = act(ACT, before.unwrap_or_default().as_bytes(), text);
        let result = self.catalog.set_retention(text, &act).await;
        self.stop_on_error(result)?;
        self.seal().await?;
        Ok(true)
    }

    /// The text of the retention settings in force; none when there never were any.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn retention(&self) -> Result<Option<String>> {
        let text = self.catalog.meta(RETENTION_SETTINGS).await?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }
}

impl Reader {
    /// The text of the retention settings in force; none when there never were any.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn retention(&self) -> Result<Option<String>> {
        let text = self.catalog().meta(RETENTION_SETTINGS).await?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    /// The settings in force; empty when there never were any.
    pub(crate) async fn settings(&self) -> Result<Settings> {
        parse(self.retention().await?.as_deref())
    }
}

fn parse(text: Option<&str>) -> Result<Settings> {
    Ok(text.map(Settings::parse).transpose()?.unwrap_or_default())
}

fn words(Undercut { of, old, new }: &Undercut) -> String {
    match of {
        Floored::Class(class) => format!(
            "the floor of class `{class}` is {old}, and would become {new}: records that were made under it are in the trail"
        ),
        Floored::Model(name) => format!(
            "models named `{name}` have a floor of {old}, and it would become {new}: a model that has a floor keeps it"
        ),
    }
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let (old, new) = act.body.split_at_checked(32).filter(|_| act.kind == ACT)?;
    Some(own::policy(act.id, RETENTION, old, &String::from_utf8_lossy(new), now_ns))
}
