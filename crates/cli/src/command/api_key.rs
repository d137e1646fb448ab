//! `minutebook api-key`: the keys by which clients are let in over TCP.

use clap::{Args, Subcommand, ValueEnum};
use minutebook_capture::SystemRandom;
use minutebook_trail::{ApiKeys, ApiScope};
use serde_json::{Value, json};

use crate::failure::Result;
use crate::moment;
use crate::options::Options;

/// Make, list and revoke the keys of the HTTP API. Works beside a server, which takes a change up within a second.
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
    /// What it is for.
    #[arg(long, value_enum, default_value = "read")]
    scope: Scope,
    /// When it ends: in so long (30d), or a time such as 2027-02-01 [default: never].
    #[arg(long, value_name = "TIME", value_parser = moment::parse_ahead)]
    expires: Option<i64>,
}

/// List the keys: names, scopes, times.
#[derive(Debug, Args)]
pub(super) struct List {}

/// Revoke a key: whoever has it is refused from now on.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its name.
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// To look at what there is: records, searches, statistics, the log, verification.
    Read,
    /// To hand records over, and nothing else.
    Write,
    /// For everything, erasing and stopping too.
    All,
}

impl ApiKey {
    pub(super) fn run(self, options: &Options) -> Result {
        let place = options.place();
        let file = place.trail_file()?;
        let keys = ApiKeys::new(place.key_folder(&file.id)?, file.id);
        match self {
            Self::Create(create) => create.run(options, &keys),
            Self::List(List {}) => list(options, &keys),
            Self::Revoke(revoke) => revoke.run(options, &keys),
        }
    }
}

impl Create {
    fn run(self, options: &Options, keys: &ApiKeys) -> Result {
        let scope = match self.scope {
            Scope::Read => ApiScope::Read,
            Scope::Write => ApiScope::Write,
            Scope::All => ApiScope::All,
        };
        let (created, expires) = (moment::now_text(), self.expires.map(moment::text_of));
        let secret = keys.create(&self.name, scope, created.clone(), expires.clone(), &SystemRandom)?;
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json!({
                "name": self.name, "scope": scope, "created": created, "expires": expires, "key": secret.as_str(),
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

fn list(options: &Options, keys: &ApiKeys) -> Result {
    let now_s = moment::now_ns().div_euclid(1_000_000_000);
    let terminal = options.terminal();
    let mut out = terminal.out();
    let all = keys.load()?;
    for key in &all {
        let is_expired = key.is_expired(now_s);
        if options.json {
            out.json(&json!({
                "name": key.name, "scope": key.scope, "created": key.created, "expires": key.expires, "expired": is_expired,
            }))?;
            continue;
        }
        let scope = match json!(key.scope) {
            Value::String(scope) => scope,
            other => other.to_string(),
        };
        let end = match &key.expires {
            Some(at) if is_expired => format!("expired {at}"),
            Some(at) => format!("until {at}"),
            None => "without an end".into(),
        };
        out.line(&format!("{:<24} {scope:<6} since {}  {end}", key.name, key.created))?;
    }
    out.flush()?;
    if all.is_empty() {
        terminal.say("there is no API key: `minutebook api-key create NAME` makes one");
    }
    Ok(())
}

impl Revoke {
    fn run(self, options: &Options, keys: &ApiKeys) -> Result {
        let revoked = keys.revoke(&self.name)?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "revoked": revoked.name }))?;
        } else {
            out.line(&format!(
                "`{}` is revoked: a server that runs refuses it within a second",
                revoked.name
            ))?;
        }
        out.flush()
    }
}
