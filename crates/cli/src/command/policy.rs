//! `minutebook policy`: which decisions are kept, by which rules.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use minutebook_policy::{Decision, Policy as Rules, PolicyError, Quotas, Share};
use minutebook_record::Kind;
use minutebook_trail::{Error as TrailError, Filter, Reader, StoredRecord};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::inforce;
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
/// Also while an engine runs. What waits in the spool is sealed first, by the policy before. The first one makes
/// a sampling key: back the key folder up afterwards.
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
    let text = inforce::read(path, "a policy")?;
    Rules::parse(&text).map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, error: &PolicyError) -> Failure {
    Failure::input(format!("`{}`: {error}", path.display()), DOCUMENTED)
}

const DOCUMENTED: &str = "docs/sampling.md says how a policy is written";

impl Check {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        if let Some(model) = &self.model {
            let checked = runtime.block_on(async {
                let reader = Reader::open(&options.place()).await?;
                reader.check_policy(policy.source(), Some(model)).await
            });
            checked.map_err(|error| match error {
                TrailError::Policy(error) => wrong(&self.file, &error),
                TrailError::Request(what) => {
                    Failure::input(what, "without --model only the policy itself is checked")
                }
                error => error.into(),
            })?;
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

impl Set {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        inforce::set(options, runtime, inforce::Text::Policy, policy.source())
    }
}

impl Show {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let text = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            Ok::<_, Failure>(reader.sampling_policy().await?)
        })?;
        inforce::show(options, "policy", text, "no policy was ever set: all decisions are kept")
    }
}

impl Simulate {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let policy = read(&self.file)?;
        let mut counts = Counts::default();
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
                let Some((model, values)) = record.model_and_values() else {
                    unreadable += 1;
                    return ControlFlow::Continue(());
                };
                let plan =
                    plans.entry(record.schema.digest().0).or_insert_with(|| policy.plan(&record.schema));
                let decision = policy.decide(plan, record.header.class.as_str(), |place| &values[place]);
                counts.add(model, decision, record.time_ns());
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
        for (Group { model, rule, rate, per_second }, (decisions, admitted)) in counts.groups {
            let rule = rule.as_deref();
            let rate = rate.map(f64::from_bits);
            let kept = rate.map_or(admitted as f64, |rate| decisions as f64 * rate);
            if options.json {
                out.json(&json!({
                    "model": model, "rule": rule, "rate": rate, "per_second": per_second, "decisions": decisions, "kept": kept,
                }))?;
                continue;
            }
            let by = match (rule, per_second) {
                (None, _) => "no rule for it, all kept".to_owned(),
                (Some(rule), Some(count)) => format!("rule {}, {count} per second", page::printable(rule)),
                (Some(rule), None) => {
                    format!("rule {}, rate {}", page::printable(rule), rate.unwrap_or_default())
                }
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

/// Decisions that are judged in the same way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    model: String,
    rule: Option<String>,
    /// Its bits.
    rate: Option<u64>,
    per_second: Option<u32>,
}

/// Of each group: decisions, and those within so many per second.
#[derive(Default)]
struct Counts {
    groups: BTreeMap<Group, (u64, u64)>,
    quotas: Quotas,
}

impl Counts {
    fn add(&mut self, model: String, decision: Option<Decision<'_>>, time_ns: i64) {
        let (rate, per_second, admitted) = match decision {
            None => (Some(1.0), None, true),
            Some(decision) => match decision.share {
                Share::Rate(rate) => (Some(rate), None, true),
                Share::PerSecond(count) => (None, Some(count), self.quotas.admit(&decision, count, time_ns)),
            },
        };
        let rule = decision.map(|decision| decision.rule.to_owned());
        let counts =
            self.groups.entry(Group { model, rule, rate: rate.map(f64::to_bits), per_second }).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(admitted));
    }
}
