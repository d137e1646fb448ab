//! `minutebook proxy`: a reverse proxy in front of a model server, in the foreground, that records each decision.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use minutebook_adapters::mapping::Mapping;
use minutebook_capture::{IntakePublicKey, ProducerOptions};
use minutebook_net::Door;
use minutebook_proxy::{
    Counts, GivenModel, OnFailure, Options as ProxyOptions, Proxy as Server, UpstreamUrl, header_to_read,
};
use minutebook_record::ClassName;
use minutebook_trail::Place;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::engine;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::limits::ENGINE_LOOK_PERIOD;
use crate::listening::{TransportOptions, address};
use crate::options::Options;
use minutebook_present::page;

/// Stand in front of a model server: pass everything on as it is, and record each decision.
///
/// Recorded are the Open Inference Protocol, MLflow's `/invocations`, chat completions, responses and embeddings as OpenAI has them, and what
/// --mapping names. docs/guides/proxy.md says what of them.
#[derive(Debug, Args)]
#[command(display_order = 12)]
pub(super) struct Proxy {
    /// The trail's folder [default: what --trail says].
    dir: Option<PathBuf>,
    /// The model server, such as http://127.0.0.1:8080; a path is put before that of each request.
    #[arg(long, value_name = "URL", value_parser = UpstreamUrl::parse)]
    upstream: UpstreamUrl,
    /// A PEM file with the authorities that an upstream over https:// may have its certificate from [default: those of the system].
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// The address to listen at, IP:PORT, port 0 for any that is free.
    #[arg(long, value_name = "ADDRESS", value_parser = listen, default_value = "127.0.0.1:6263")]
    listen: SocketAddr,
    #[command(flatten)]
    transport: TransportOptions,
    /// Make the trail when there is none.
    #[arg(long)]
    create: bool,
    /// What becomes of decisions when they cannot be recorded: they pass and are told as lost, or they are refused before the model is asked.
    #[arg(long, value_enum, value_name = "HOW", default_value = "open")]
    on_failure: Failing,
    /// The model that the server serves, rather than what its requests and answers say.
    #[arg(long, value_name = "NAME[@VERSION]", value_parser = model)]
    model: Option<GivenModel>,
    /// Where in the calls of another API the decisions are: a TOML file.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The header that names whom a decision is about. Only such that nobody outside can set.
    #[arg(long, value_name = "NAME")]
    subject_header: Option<String>,
    /// The header that names on whose behalf it is.
    #[arg(long, value_name = "NAME")]
    actor_header: Option<String>,
    /// Retention class of the decisions.
    #[arg(long, value_name = "CLASS", default_value = "standard", value_parser = class)]
    class: ClassName,
    /// Name of the producer: a service, never a person.
    #[arg(long, value_name = "NAME", default_value = "proxy")]
    producer: String,
    /// Seconds that the upstream has to begin its answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Send the client's `Host` on, rather than the upstream's.
    #[arg(long)]
    keep_host: bool,
    /// Leave sealing to an engine that somebody else runs. Needs no keys.
    #[arg(long, conflicts_with = "create")]
    no_seal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Failing {
    /// They pass.
    Open,
    /// They are refused with 503.
    Closed,
}

fn listen(text: &str) -> std::result::Result<SocketAddr, String> {
    address(text).ok_or_else(|| "not an address and a port, such as 127.0.0.1:6263 or [::1]:6263".to_owned())
}

fn model(text: &str) -> std::result::Result<GivenModel, String> {
    let (name, version) = match text.rsplit_once('@') {
        Some((name, version)) => (name, Some(version.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || version.as_deref() == Some("") {
        return Err("not a name, nor a name and a version, such as credit-risk@1.4.0".to_owned());
    }
    Ok(GivenModel { name: name.to_owned(), version })
}

fn class(text: &str) -> std::result::Result<ClassName, String> {
    match ClassName::new(text) {
        Ok(class) if class.as_str() != "system" => Ok(class),
        Ok(_) => Err("the class `system` is the engine's own".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Proxy {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let place = options.place_in(self.dir.clone().unwrap_or_else(|| options.trail.clone()));
        let proxy_options = self.options()?;
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let door = Door::open(self.listen, self.transport.transport())?;
            let scheme = if door.is_tls() { "https" } else { "http" };
            if !self.no_seal {
                engine::ensure(options, &place, self.create).await?;
            }
            let file = place.trail_file()?;
            let intake = IntakePublicKey::from_bytes(file.intake_key);
            let producer = ProducerOptions::new(place.spool(), file.id, intake, &self.producer);
            let proxy = Server::open(proxy_options, producer, door)?;
            self.tell(options, &place, &format!("{scheme}://{}", proxy.address()))?;
            let (end, ending) = watch::channel(false);
            let mut serving = tokio::spawn(proxy.serve(ending));
            let mut looks = tokio::time::interval(ENGINE_LOOK_PERIOD);
            let counts = loop {
                tokio::select! {
                    served = &mut serving => break served.map_err(|error| Failure::Told {
                        exit: Exit::Io,
                        what: format!("the proxy failed: {error}"),
                        to_do: None,
                    })?,
                    () = interrupt.wait() => {
                        // The second one gives the calls up that are still under way.
                        if end.send_replace(true) {
                            return Err(Failure::Said(Exit::Io));
                        }
                    }
                    _ = looks.tick(), if !self.no_seal => look(options, &place).await,
                }
            };
            say(options, counts);
            Ok(())
        })
    }

    fn options(&self) -> Result<ProxyOptions> {
        let header = |name: &Option<String>| {
            let read = name.as_deref().map(header_to_read).transpose();
            read.map_err(|what| {
                Failure::input(what, "name a header that says who somebody is, such as x-user")
            })
        };
        if self.upstream_ca.is_some() && !self.upstream.is_tls() {
            let what = format!(
                "--upstream-ca says whose certificates `{}` may have, and over http:// it shows none",
                self.upstream
            );
            return Err(Failure::input(what, "name the upstream with https://, or leave --upstream-ca out"));
        }
        Ok(ProxyOptions {
            upstream_ca: self.upstream_ca.clone(),
            keeps_host: self.keep_host,
            answer_wait: Duration::from_secs(self.timeout),
            on_failure: match self.on_failure {
                Failing::Open => OnFailure::Open,
                Failing::Closed => OnFailure::Closed,
            },
            class: self.class,
            model: self.model.clone(),
            subject_header: header(&self.subject_header)?,
            actor_header: header(&self.actor_header)?,
            mapping: self.mapping.as_deref().map(mapping).transpose()?.unwrap_or_default(),
            ..ProxyOptions::new(self.upstream.clone())
        })
    }

    fn tell(&self, options: &Options, place: &Place, listen: &str) -> Result {
        let mut out = options.terminal().out();
        let upstream = self.upstream.to_string();
        if options.json {
            out.json(&json!({ "listen": listen, "upstream": upstream, "trail": place.folder, "pid": std::process::id() }))?;
        } else {
            let folder = place.folder.display();
            out.line(&format!("{listen} passes on to {upstream}, and records in `{folder}`"))?;
        }
        out.flush()
    }
}

fn mapping(path: &Path) -> Result<Mapping> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    Mapping::parse(&text).map_err(|what| {
        Failure::input(
            format!("`{}`: {what}", path.display()),
            "docs/guides/proxy.md says what such a file holds",
        )
    })
}

/// Starts the engine again when it is gone. What cannot be sealed now waits in the spool.
async fn look(options: &Options, place: &Place) {
    if place.trail_file().is_ok()
        && let Err(failure) = engine::ensure(options, place, false).await
    {
        tracing::warn!("no engine seals what is recorded, and none can be started: {failure}");
    }
}

fn say(options: &Options, counts: Counts) {
    let Counts { recorded, without_content, lost } = counts;
    let decisions = if recorded == 1 { "decision" } else { "decisions" };
    let mut text = format!("{} {decisions} recorded", page::count(recorded));
    if without_content > 0 {
        text += &format!(", {} of them without all that was said", page::count(without_content));
    }
    if lost > 0 {
        text += &format!("; {} lost", page::count(lost));
    }
    options.terminal().say(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_name_and_perhaps_a_version() {
        let given = |name: &str, version: Option<&str>| {
            Ok(GivenModel { name: name.to_owned(), version: version.map(str::to_owned) })
        };
        assert_eq!(model("credit-risk"), given("credit-risk", None));
        assert_eq!(model("a@b@1.4.0"), given("a@b", Some("1.4.0")));
        for text in ["", "@1", "a@"] {
            assert!(model(text).is_err(), "{text}");
        }
    }
}
