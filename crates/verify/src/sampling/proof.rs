//! Whether the right decisions were kept: the policies that the log names in their order, and each number against the draw that its policy makes
//! of it. Edge: conditions are not evaluated; where one decides, only what does not depend on it is proved.

use super::{KEY, Keep, ModelRules, POLICY, PolicyText, SamplingKey, keeps};
use crate::descriptor::{Descriptor, Id, State};
use crate::limits;
use crate::report::{Report, Severity};
use crate::segment::Audit;
use crate::{hex, unhex};
use minutebook_record::cbor::Reader;
use minutebook_record::fields::{Event, Kept, ModelRef};
use minutebook_record::{FieldType, Kind, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// What a verification found out about sampling.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplingReport {
    /// The policies, in the order in which they were in force.
    pub policies: Vec<PolicyReport>,
}

/// One policy and the numbers that were judged by it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyReport {
    /// The entry of the log that put it in force.
    pub entry: u64,
    /// The entry that replaced the key of its draws, when that was later.
    pub key_entry: Option<u64>,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// Whether the key of its draws was given.
    pub has_key: bool,
    /// Numbers left out.
    pub left_out: u64,
    /// Decisions kept that were looked at.
    pub kept: u64,
    /// Its rules.
    pub rules: Vec<RuleReport>,
}

/// One rule, and whether it can be proved.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleReport {
    /// Patterns of the models' names.
    pub models: Vec<String>,
    /// Classes; none: all.
    pub classes: Vec<String>,
    /// Its name.
    pub name: String,
    /// How much it keeps.
    pub keep: Keep,
    /// That exactly the right ones are kept. Otherwise only: that those that it kept are right.
    pub provable: bool,
}

/// A change that a `policy` record tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChange {
    what: String,
    old: [u8; 32],
    new: String,
}

impl PolicyChange {
    /// From a record's encoded fields; `None` when it is about something else than sampling.
    pub(crate) fn read(schema: &Schema, fields: &[&[u8]]) -> Option<Self> {
        let field = |name: &str| schema.find_parts(&["policy", name]).map(|place| Reader::new(fields[place]));
        let what = field("what")?.text().ok()?;
        (what == POLICY || what == KEY).then_some(())?;
        let (old, new) = (field("old")?.bytes_of().ok()?, field("new")?.text().ok()?.to_owned());
        Some(Self { what: what.to_owned(), old, new })
    }
}

/// A decision that has a record.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptDecision {
    place: u32,
    producer: Id,
    epoch: u64,
    seq: u64,
    /// What its content says, if that could be read: the model and why it was kept.
    said: Option<(String, Option<Kept>)>,
}

/// The decisions of a segment, as its audit section has them.
pub(crate) fn decisions(audit: &Audit) -> Vec<KeptDecision> {
    let decisions = (0..).zip(&audit.rows).filter(|(_, row)| row.kind == Kind::Decision);
    let decision = |(place, row): (u32, &crate::segment::Row)| {
        let (producer, epoch) = audit.producers[usize::from(row.producer)];
        KeptDecision { place, producer, epoch, seq: row.seq, said: None }
    };
    decisions.map(decision).collect()
}

/// Adds what the content of one of them says.
pub(crate) fn read_decision(all: &mut [KeptDecision], place: u32, schema: &Schema, fields: &[&[u8]]) {
    let Ok(at) = all.binary_search_by_key(&place, |decision| decision.place) else { return };
    let of_type = |wanted: FieldType| {
        schema.fields().iter().position(|field| field.field_type == wanted).map(|place| fields[place])
    };
    let event = of_type(FieldType::Event).and_then(|bytes| Event::decode(bytes).ok().flatten());
    let model = of_type(FieldType::Model).and_then(|bytes| ModelRef::decode(bytes).ok().flatten());
    all[at].said =
        Some((model.map(|model| model.name).unwrap_or_default(), event.and_then(|event| event.kept)));
}

/// A policy and a key that were in force from an entry of the log on.
#[derive(Clone)]
struct InForce<'k> {
    from: u64,
    /// That of the policy: earlier, when only the key is new.
    entry: u64,
    digest: [u8; 32],
    /// None when this program does not understand the text.
    text: Option<PolicyText>,
    key: Option<&'k SamplingKey>,
}

/// What a number's state says against its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    LeftOutWithoutPolicy,
    LeftOut,
    Kept,
    ByNoRule,
    TooMany,
}

impl Wrong {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LeftOutWithoutPolicy => (
                "left out, and no policy in force leaves any out",
                "whoever ran the engine dropped decisions, and put it down to sampling",
            ),
            Self::LeftOut => (
                "left out, though the draw keeps them",
                "whoever ran the engine dropped decisions that the policy keeps, and put it down to sampling",
            ),
            Self::Kept => (
                "kept, though the draw leaves them out",
                "whoever ran the engine chose what to keep: the sample is not the one that the policy draws",
            ),
            Self::ByNoRule => (
                "kept by a rule or rate that the policy in force has not for their model",
                "whoever ran the engine judged by another policy than the log says: estimates from these records are wrong",
            ),
            Self::TooMany => (
                "and more left out by one entry of the log",
                "no engine leaves out so many at once: whoever wrote the log made a false statement",
            ),
        }
    }
}

/// Whose numbers are wrong, in which way: producer, epoch, class.
type Group = (Id, u64, String, Wrong);

/// What some segments' numbers say.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By policy: left out, kept.
    counts: BTreeMap<usize, (u64, u64)>,
    wrong: BTreeMap<Group, (u64, BTreeSet<u64>)>,
    /// Left out under policies that could not be judged by.
    unjudged: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.unjudged += other.unjudged;
        for (policy, (left_out, kept)) in other.counts {
            let counts = self.counts.entry(policy).or_default();
            *counts = (counts.0 + left_out, counts.1 + kept);
        }
        for (key, (count, numbers)) in other.wrong {
            let wrong = self.wrong.entry(key).or_default();
            wrong.0 += count;
            wrong.1.extend(numbers);
            while wrong.1.len() > limits::NUMBERS_NAMED_MAX {
                wrong.1.pop_last();
            }
        }
    }

    fn wrong(&mut self, producer: Id, epoch: u64, class: &str, wrong: Wrong, number: u64) {
        let (count, numbers) = self.wrong.entry((producer, epoch, class.to_owned(), wrong)).or_default();
        *count += 1;
        if numbers.len() < limits::NUMBERS_NAMED_MAX {
            numbers.insert(number);
        }
    }
}

/// The policies of a log, in order.
pub(crate) struct Proof<'k> {
    keys: &'k [SamplingKey],
    policies: Vec<InForce<'k>>,
    /// Digests of the text and of the name of the key before the next change.
    before: ([u8; 32], [u8; 32]),
    key: Option<&'k SamplingKey>,
    /// Entries whose change does not follow the one before.
    broken: Vec<u64>,
    /// A segment that may tell of a policy could not be read.
    is_partial: bool,
}

impl<'k> Proof<'k> {
    pub(crate) fn new(keys: &'k [SamplingKey]) -> Self {
        let nothing = minutebook_sha256::digest(b"");
        Self {
            keys,
            policies: Vec::new(),
            before: (nothing, nothing),
            key: None,
            broken: Vec::new(),
            is_partial: false,
        }
    }

    /// Whether draws can be made, so that the kept decisions are of interest.
    pub(crate) fn wants_decisions(&self) -> bool {
        !self.is_partial && self.policies.iter().any(|policy| policy.key.is_some())
    }

    /// The segment of the next entry that may tell of a policy could not be read.
    pub(crate) fn miss(&mut self) {
        self.is_partial = true;
    }

    /// The changes that the segment of one entry tells of, which are more than one only after a crash. Entries come in order.
    pub(crate) fn take(&mut self, entry: u64, changes: &[PolicyChange]) {
        let mut new_key = false;
        for change in in_order(changes, KEY, self.before.1) {
            if change.old != self.before.1 {
                self.broken.push(entry);
            }
            self.before.1 = minutebook_sha256::digest(change.new.as_bytes());
            let digest = unhex::<32>(&change.new);
            self.key = self.keys.iter().find(|key| Some(key.digest()) == digest);
            new_key = true;
        }
        let mut only_key = new_key.then(|| self.policies.last().cloned()).flatten();
        for change in in_order(changes, POLICY, self.before.0) {
            if change.old != self.before.0 {
                self.broken.push(entry);
            }
            let digest = minutebook_sha256::digest(change.new.as_bytes());
            self.before.0 = digest;
            let text = PolicyText::parse(&change.new).ok();
            self.policies.push(InForce { from: entry, entry, digest, text, key: self.key });
            only_key = None;
        }
        if let Some(policy) = only_key {
            self.policies.push(InForce { from: entry, key: self.key, ..policy });
        }
    }

    /// Looks at the numbers of one segment.
    pub(crate) fn judge(&self, entry: u64, descriptor: &Descriptor, decisions: &[KeptDecision]) -> Tally {
        let mut tally = Tally::default();
        let left_out = || {
            descriptor.ranges.iter().flat_map(|ranges| {
                let sampled = ranges.ranges.iter().filter(|range| range.state == State::SampledOut);
                sampled.map(move |range| (ranges, *range))
            })
        };
        let all = left_out().fold(0u64, |all, (_, range)| all.saturating_add(range.to - range.from + 1));
        let in_force = self.policies.partition_point(|policy| policy.from < entry).checked_sub(1);
        if self.is_partial {
            tally.unjudged = all;
            return tally;
        }
        if all > limits::SAMPLED_OUT_MAX {
            for (ranges, range) in left_out().take(1) {
                tally.wrong(ranges.producer, ranges.epoch, &ranges.class, Wrong::TooMany, range.from);
            }
            return tally;
        }
        let Some(at) = in_force else {
            for (ranges, range) in left_out() {
                for number in range.from..=range.to {
                    tally.wrong(
                        ranges.producer,
                        ranges.epoch,
                        &ranges.class,
                        Wrong::LeftOutWithoutPolicy,
                        number,
                    );
                }
            }
            return tally;
        };
        let policy = &self.policies[at];
        let Some(text) = &policy.text else {
            tally.unjudged = all;
            return tally;
        };
        tally.counts.insert(at, (all, decisions.len() as u64));
        for (ranges, range) in left_out() {
            let least = text.rates(&ranges.class).into_iter().fold(1.0, f64::min);
            for number in range.from..=range.to {
                let wrong = match policy.key {
                    _ if least >= 1.0 => Some(Wrong::LeftOutWithoutPolicy),
                    Some(key)
                        if keeps(least, key.draw(&ranges.producer, ranges.epoch, &ranges.class, number)) =>
                    {
                        Some(Wrong::LeftOut)
                    }
                    _ => None,
                };
                if let Some(wrong) = wrong {
                    tally.wrong(ranges.producer, ranges.epoch, &ranges.class, wrong, number);
                }
            }
        }
        let Some(key) = policy.key else { return tally };
        let most = text.rates(&descriptor.class).into_iter().fold(0.0, f64::max);
        for decision in decisions {
            let draw = key.draw(&decision.producer, decision.epoch, &descriptor.class, decision.seq);
            if let Some(wrong) = wrong_of_kept(text, &descriptor.class, decision, draw, most) {
                tally.wrong(decision.producer, decision.epoch, &descriptor.class, wrong, decision.seq);
            }
        }
        tally
    }

    /// Puts everything into the report.
    pub(crate) fn report(&self, tally: Tally, whole: bool, report: &mut Report) {
        for entry in &self.broken {
            report.problem(
                format!("log entry {entry}"),
                "the sampling policy or key that it says was replaced is not the one before",
                "a record of a policy is missing, or whoever wrote the log judged by one that it does not show",
            );
        }
        for ((producer, epoch, class, wrong), (count, numbers)) in &tally.wrong {
            let (what, means) = wrong.words();
            let shown: Vec<String> =
                numbers.iter().take(limits::NUMBERS_NAMED_MAX).map(u64::to_string).collect();
            let more = if (shown.len() as u64) < *count { ", …" } else { "" };
            let object = format!("producer {} epoch {epoch}", hex(producer));
            let what = format!("{count} of class {class} {what}: number {}{more}", shown.join(", "));
            // An entry that cannot be read may be the policy's.
            report.add(if whole { Severity::Problem } else { Severity::Warning }, object, what, means);
        }
        if tally.unjudged > 0 {
            let what = format!("{} numbers are left out by policies that cannot be read", tally.unjudged);
            let means = "that they are accounted for is checked, not that the right ones were left out: it takes the keys \
                         of contents, and a program that knows the policies' format";
            report.add(Severity::Note, "sampling", what, means);
        }
        if self.policies.is_empty() || self.is_partial {
            return;
        }
        let policies = self.policies.iter().enumerate().map(|(at, policy)| {
            let (left_out, kept) = tally.counts.get(&at).copied().unwrap_or_default();
            PolicyReport {
                entry: policy.entry,
                key_entry: (policy.from != policy.entry).then_some(policy.from),
                digest: policy.digest,
                has_key: policy.key.is_some(),
                left_out,
                kept,
                rules: policy.text.iter().flat_map(rules).collect(),
            }
        });
        report.sampling = Some(SamplingReport { policies: policies.collect() });
    }
}

/// The changes of one kind, each behind the one that it follows.
fn in_order<'c>(changes: &'c [PolicyChange], what: &str, mut before: [u8; 32]) -> Vec<&'c PolicyChange> {
    let mut left: Vec<&PolicyChange> = changes.iter().filter(|change| change.what == what).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let next = left.iter().position(|change| change.old == before).unwrap_or(0);
        let change = left.remove(next);
        before = minutebook_sha256::digest(change.new.as_bytes());
        ordered.push(change);
    }
    ordered
}

/// What is wrong with a decision that was kept. Without its content only: that no rule of its class could have kept it.
fn wrong_of_kept(
    text: &PolicyText,
    class: &str,
    decision: &KeptDecision,
    draw: u64,
    most: f64,
) -> Option<Wrong> {
    if !keeps(most, draw) {
        return Some(Wrong::Kept);
    }
    let Some((model, Some(Kept { rule, rate }))) = &decision.said else { return None };
    let is_known = text.rules_for(model, class).is_some_and(|table| table.keeps_at(rule, *rate));
    match (is_known, rate.is_none_or(|rate| keeps(rate, draw))) {
        (true, true) => None,
        (true, false) => Some(Wrong::Kept),
        (false, _) => Some(Wrong::ByNoRule),
    }
}

/// The rules of a policy. One is provable when all decisions of its classes have the same rate, whatever their model and content.
fn rules(text: &PolicyText) -> Vec<RuleReport> {
    let mut named: BTreeSet<&str> =
        text.models.iter().flat_map(|table| &table.classes).map(String::as_str).collect();
    // For every class that no table names: no class has this name.
    named.insert("");
    let one_rate = |table: &ModelRules| {
        let classes = named.iter().filter(|class| match table.classes.is_empty() {
            true => true,
            false => table.classes.iter().any(|known| known == **class),
        });
        classes.into_iter().all(|class| {
            let rates = text.rates(class);
            rates.iter().all(|rate| *rate == rates[0])
        })
    };
    let rule = |table: &ModelRules, rule: &super::Rule, provable| RuleReport {
        models: table.names.clone(),
        classes: table.classes.clone(),
        name: rule.name.clone(),
        keep: rule.keep.clone(),
        provable,
    };
    let of_table = |table| {
        let provable = one_rate(table);
        table.reachable().map(move |known| rule(table, known, provable)).collect::<Vec<_>>()
    };
    text.models.iter().flat_map(of_table).collect()
}
