//! `minutebook policy`: which decisions are kept, by which rules.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use minutebook_policy::Policy as Rules;
use minutebook_record::fields::ModelRef;
use minutebook_record::{FieldType, Kind, Schema};
use minutebook_trail::{Content, Engine, Environment, Filter, Reader, StoredRecord};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::limits::POLICY_BYTES_MAX;
use crate::moment;
use crate::options::Options;
use minutebook_present::page;

/// Check, set and show the sampling policy.
#[derive(Debug, Subcommand)]
#[command(display_order = 13)]
pub(super) enum Policy {
    Check(Check),
    Set(Set),
    Show(Show),
    Simulate(Simulate),
}

/// Check a policy without using it.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The policy.
    file: PathBuf,
    /// Check the conditions against the fields of this model's latest decision in the trail too.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Put a policy in force: what comes in from now on is judged by it, and a record says so.
///
/// What waits in the spool is sealed first, by the policy before. The first one makes a sampling key: back the
/// key folder up afterwards.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// The policy.
    file: PathBuf,
}

/// Show the policy in force.
#[derive(Debug, Args)]
pub(super) struct Show {}

/// Tell what a policy would have kept of the decisions that are in the trail.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The policy.
    file: PathBuf,
    /// Of decisions not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago [default: all].
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
}

impl Policy {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Check(check) => check.run(options, runtime),
            Self::Set(set) => set.run(options, runtime),
            Self::Show(show) => show.run(options, runtime),
            Self::Simulate(simulate) => simulate.run(options, runtime),
        }
    }
}

fn read(path: &Path) -> Result<Rules> {
    let read = || {
        if std::fs::metadata(path)?.len() > POLICY_BYTES_MAX {
            return Err(std::io::Error::other("it is too large for a policy"));
        }
        std::fs::read_to_string(path)
    };
    let text = read().map_err(|error| Failure::file("read", path, &error))?;
    Rules::parse(&text).map_err(|error| Failure::input(format!("`{}`: {error}", path.display()), DOCUMENTED))
}

const DOCUMENTED: &str = "docs/sampling.md says how a policy is written";

impl Check {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        if let Some(model) = &self.model {
            let schema = runtime.block_on(latest_schema(options, model))?;
            let schema = schema.ok_or_else(|| {
                let what = format!("the trail has no decision of model `{model}` that can be read");
                Failure::input(what, "without --model only the policy itself is checked")
            })?;
            policy
                .check(model, &schema)
                .map_err(|error| Failure::input(format!("`{}`: {error}", self.file.display()), DOCUMENTED))?;
        }
        let tables = policy.text().models.len() as u64;
        let rules: usize = policy.text().models.iter().map(|table| table.rules.len()).sum();
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "models": tables, "rules": rules }))?;
        } else {
            let (tables, rules) = (page::count(tables), page::count(rules as u64));
            out.line(&format!("nothing is wrong: rules {rules}, tables of models {tables}"))?;
        }
        out.flush()
    }
}

/// The model of a decision, and its values.
fn model_of(record: &StoredRecord) -> Option<(String, &[Vec<u8>])> {
    let Content::Readable { values, .. } = &record.content else { return None };
    let model = record.schema.fields().iter().position(|field| field.field_type == FieldType::Model);
    let model = model.and_then(|place| ModelRef::decode(&values[place]).ok().flatten());
    Some((model.map(|model| model.name).unwrap_or_default(), values))
}

async fn latest_schema(options: &Options, model: &str) -> Result<Option<Arc<Schema>>> {
    let reader = Reader::open(&options.place()).await?;
    let mut found = None;
    let mut each = |record: StoredRecord| {
        if model_of(&record).is_some_and(|(name, _)| name == model) {
            found = Some(record.schema);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let filter = Filter { kinds: vec![Kind::Decision], ..Filter::default() };
    reader.list(&filter, &mut each).await?;
    Ok(found)
}

impl Set {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        let (changed, log_size) = runtime.block_on(async {
            let mut engine = Engine::open(&options.place(), Environment::default()).await?;
            let changed = engine.set_policy(policy.source()).await?;
            let (log_size, _) = engine.published();
            engine.close().await;
            Ok::<_, Failure>((changed, log_size))
        })?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "changed": changed, "log_size": log_size }))?;
        } else if changed {
            out.line(&format!("the policy is in force; the log has {log_size} entries"))?;
        } else {
            out.line("this policy is in force already")?;
        }
        out.flush()
    }
}

impl Show {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let text = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            Ok::<_, Failure>(reader.sampling_policy().await?)
        })?;
        let mut out = options.terminal().out();
        match text {
            _ if options.json => out.json(&json!({ "policy": text }))?,
            Some(text) => {
                for line in text.lines() {
                    let parts: Vec<_> = line.split('\t').map(page::printable).collect();
                    out.line(&parts.join("\t"))?;
                }
            }
            None => {
                options.terminal().say("no policy was ever set: all decisions are kept");
            }
        }
        out.flush()
    }
}

impl Simulate {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        // Decisions by model, rule and the bits of the rate.
        let mut counts: BTreeMap<(String, String, u64), u64> = BTreeMap::new();
        let mut unreadable = 0u64;
        let mut plans = BTreeMap::new();
        runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            let filter = Filter {
                kinds: vec![Kind::Decision],
                from_ns: self.since.unwrap_or(i64::MIN),
                oldest_first: true,
                ..Filter::default()
            };
            let mut each = |record: StoredRecord| {
                let Some((model, values)) = model_of(&record) else {
                    unreadable += 1;
                    return ControlFlow::Continue(());
                };
                let plan =
                    plans.entry(record.schema.digest().0).or_insert_with(|| policy.plan(&record.schema));
                let decision = policy.decide(plan, record.header.class.as_str(), |place| &values[place]);
                let (rule, rate) = decision.map_or(("", 1.0), |decision| (decision.rule, decision.rate));
                *counts.entry((model, rule.to_owned(), rate.to_bits())).or_default() += 1;
                ControlFlow::Continue(())
            };
            reader.list(&filter, &mut each).await?;
            Ok::<_, Failure>(())
        })?;
        if unreadable > 0 {
            options.terminal().complain(&format!(
                "warning: {} decisions cannot be read, and are not counted",
                page::count(unreadable)
            ));
        }
        let mut out = options.terminal().out();
        for ((model, rule, rate), decisions) in counts {
            let rate = f64::from_bits(rate);
            let kept = decisions as f64 * rate;
            if options.json {
                let rule = (!rule.is_empty()).then_some(rule);
                out.json(&json!({ "model": model, "rule": rule, "rate": rate, "decisions": decisions, "kept": kept }))?;
                continue;
            }
            let by = if rule.is_empty() {
                "no rule for it, all kept".to_owned()
            } else {
                format!("rule {rule}, rate {rate}")
            };
            out.line(&format!(
                "{}: {} decisions, about {} kept ({by})",
                page::printable(&model),
                page::count(decisions),
                page::count(kept.round() as u64),
            ))?;
        }
        out.flush()
    }
}
