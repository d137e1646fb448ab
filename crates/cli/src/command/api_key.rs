//! `minutebook api-key`: the keys by which clients are let in over TCP.

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use minutebook_access::Role;
use minutebook_present::page;
use minutebook_trail::{ApiKeys, NewApiKey};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::access::Access as Engine;
use crate::failure::{Failure, Result};
use crate::moment;
use crate::options::Options;

/// Make, list and revoke the keys of the HTTP API; a record says so. Also while an engine runs, which takes a change up within a second.
#[derive(Debug, Subcommand)]
#[command(display_order = 14)]
pub(super) enum ApiKey {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key, and print it. It is shown this once: only its digest is kept.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// What it is called: a service, never a person; [a-z0-9][a-z0-9._-]{0,63}.
    name: String,
    /// What its holder is: may be given several times.
    #[arg(long = "role", value_name = "ROLE", value_enum, required = true)]
    roles: Vec<OfRole>,
    /// For models of these names; `*` stands for any text, and it may be given several times [default: *, all of them].
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// When it ends: in so long (30d), or a time such as 2027-02-01 [default: never].
    #[arg(long, value_name = "TIME", value_parser = moment::parse_ahead)]
    expires: Option<i64>,
}

/// List the keys: names, roles, models, times.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Revoke a key: whoever has it is refused from now on.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its name.
    name: String,
}

/// A role as the command line has it.
#[derive(Debug, Clone, Copy)]
struct OfRole(Role);

impl ValueEnum for OfRole {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [OfRole; 7] = [
            OfRole(Role::Recorder),
            OfRole(Role::Analyst),
            OfRole(Role::Investigator),
            OfRole(Role::Auditor),
            OfRole(Role::PrivacyOfficer),
            OfRole(Role::ModelOwner),
            OfRole(Role::Administrator),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.words()))
    }
}

impl ApiKey {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Create(create) => create.run(options, runtime),
            Self::List(List {}) => list(options),
            Self::Revoke(revoke) => revoke.run(options, runtime),
        }
    }
}

impl Create {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let mut roles: Vec<String> = self.roles.iter().map(|role| role.0.name().to_owned()).collect();
        roles.sort_unstable();
        roles.dedup();
        let models = if self.models.is_empty() { vec!["*".to_owned()] } else { self.models };
        let expires = self.expires.map(moment::text_of);
        let new = NewApiKey { name: self.name, roles, models, expires };
        let (created, secret) = runtime.block_on(async {
            match Engine::open(&options.place()).await? {
                Engine::Ours(mut engine) => {
                    let (key, secret) = engine.create_api_key(&new).await?;
                    engine.close().await;
                    Ok::<_, Failure>((key.created, secret.to_string()))
                }
                Engine::Process(engine) => {
                    let made = engine.create_api_key(&new).await?;
                    Ok((made.created, made.key))
                }
            }
        })?;
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json!({
                "name": new.name, "roles": new.roles, "models": new.models, "created": created,
                "expires": new.expires, "key": secret,
            }))?;
        } else {
            out.line(&secret)?;
        }
        out.flush()?;
        terminal.say(
            "It is not shown again: keep it where the client reads it. `minutebook api-key revoke` ends it.",
        );
        Ok(())
    }
}

fn list(options: &Options) -> Result {
    let place = options.place();
    let file = place.trail_file()?;
    let keys = ApiKeys::new(place.key_folder(&file.id)?, file.id);
    let now_s = moment::now_ns().div_euclid(1_000_000_000);
    let terminal = options.terminal();
    let mut out = terminal.out();
    let all = keys.load()?;
    for key in &all {
        let is_expired = key.is_expired(now_s);
        if options.json {
            out.json(&json!({
                "name": key.name, "roles": key.roles, "models": key.models, "created": key.created,
                "expires": key.expires, "expired": is_expired,
            }))?;
            continue;
        }
        let end = match &key.expires {
            Some(at) if is_expired => format!("expired {at}"),
            Some(at) => format!("until {at}"),
            None => "without an end".into(),
        };
        let models = key.models.iter().map(|model| page::printable(model)).collect::<Vec<_>>().join(", ");
        out.line(&format!(
            "{}: {}; models {models}; since {}, {end}",
            key.name,
            key.roles.join(", "),
            key.created
        ))?;
    }
    out.flush()?;
    if all.is_empty() {
        terminal.say("there is no API key: `minutebook api-key create NAME --role ROLE` makes one");
    }
    Ok(())
}

impl Revoke {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let revoked = runtime.block_on(async {
            match Engine::open(&options.place()).await? {
                Engine::Ours(mut engine) => {
                    engine.revoke_api_key(&self.name).await?;
                    engine.close().await;
                    Ok::<_, Failure>(())
                }
                Engine::Process(engine) => Ok(engine.revoke_api_key(&self.name).await?),
            }
        });
        if let Err(failure) = revoked {
            self.revoke_unrecorded(options, failure)?;
        }
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "revoked": self.name }))?;
        } else {
            out.line(&format!("`{}` is revoked: a server that runs refuses it within a second", self.name))?;
        }
        out.flush()
    }

    /// Where the trail takes no record, a key that is in wrong hands has to end nevertheless.
    fn revoke_unrecorded(&self, options: &Options, failure: Failure) -> Result {
        let place = options.place();
        let file = place.trail_file()?;
        let keys = ApiKeys::new(place.key_folder(&file.id)?, file.id);
        if !keys.load()?.iter().any(|key| key.name == self.name) {
            return Err(failure);
        }
        keys.revoke(&self.name)?;
        options
            .terminal()
            .say(&format!("the log does not tell of it, as the trail takes no record: {failure}"));
        Ok(())
    }
}
