//! The sampling policy in force (`docs/formats/policy.md`): setting it, and judging decisions by it. Edge: which numbers are claimed, and in
//! which segment, is the drain's business.

use crate::catalog::{ActRow, SAMPLING_KEY, SAMPLING_POLICY};
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::own::{self, OwnRecord};
use minutebook_policy::{Policy, Quotas, ShapePlan, Share};
use minutebook_record::fields::Event;
use minutebook_record::{ClassName, RecordId};
use minutebook_verify::descriptor::{Range, State};
use minutebook_verify::keys::Secret;
use minutebook_verify::sampling::{KEY, POLICY, SamplingKey, keeps};
use minutebook_verify::{Id, hex};
use std::collections::HashMap;
use std::sync::Arc;

const POLICY_ACT: &str = "sampling";
const KEY_ACT: &str = "sampling-key";

/// A policy and the key of its draws.
#[derive(Debug)]
pub struct Sampling {
    policy: Policy,
    key: SamplingKey,
}

/// What becomes of a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<'p> {
    /// Kept, and no rule says so.
    Kept,
    /// Kept by a rule, at a rate if it has one.
    KeptBy(&'p str, Option<f64>),
    /// Left out, by this rule.
    LeftOut(&'p str),
}

impl<'p> Verdict<'p> {
    /// Whether there will be a record.
    pub fn keeps(&self) -> bool {
        !matches!(self, Self::LeftOut(_))
    }

    /// The rule that decided, if one did.
    pub fn rule(&self) -> Option<&'p str> {
        match self {
            Self::Kept => None,
            Self::KeptBy(rule, _) | Self::LeftOut(rule) => Some(rule),
        }
    }
}

/// Whose number it is.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// Who drew it.
    pub producer: Id,
    /// In which run.
    pub epoch: u64,
    /// In which class.
    pub class: ClassName,
    /// The number.
    pub seq: u64,
    /// The record's id, which tells the time when its event does not.
    pub id: RecordId,
}

/// The policy in force and where its fields stand in each shape.
#[derive(Debug, Default)]
pub struct Judge {
    sampling: Option<Arc<Sampling>>,
    quotas: Quotas,
    plans: HashMap<[u8; 32], ShapePlan>,
}

impl Judge {
    /// Judges by this from now on.
    pub fn set(&mut self, sampling: Option<Arc<Sampling>>) {
        self.sampling = sampling;
        self.quotas = Quotas::default();
        self.plans.clear();
    }

    /// Whether what becomes of a decision depends on those before, so that it has to see all that the spool has, those too that are placed.
    pub fn counts(&self) -> bool {
        self.sampling.as_ref().is_some_and(|sampling| sampling.policy.counts())
    }

    /// What becomes of a decision; `field` gives the encoded value at a place of the shape's schema. The same for the same number, record and
    /// policy, whenever it is asked, unless the rule keeps so many per second: then it depends on those that were asked for before.
    pub fn judge<'a>(
        &'a mut self,
        number: Number,
        shape: &minutebook_capture::ShapeDef,
        field: impl Fn(usize) -> &'a [u8] + Copy,
    ) -> Verdict<'a> {
        let Some(Sampling { policy, key }) = self.sampling.as_deref() else { return Verdict::Kept };
        let plan = self.plans.entry(shape.digest()).or_insert_with(|| policy.plan(shape.schema()));
        let Some(decision) = policy.decide(plan, number.class.as_str(), field) else { return Verdict::Kept };
        let (kept, rate) = match decision.share {
            Share::Rate(rate) => {
                let draw = || key.draw(&number.producer, number.epoch, number.class.as_str(), number.seq);
                (rate >= 1.0 || keeps(rate, draw()), Some(rate))
            }
            Share::PerSecond(per_second) => {
                let time = plan.event().and_then(|place| Event::time_of(field(place)).ok().flatten());
                // INVARIANT: an id has 48 bits of milliseconds.
                let time_ns = time.unwrap_or(number.id.unix_ms() as i64 * 1_000_000);
                (self.quotas.admit(&decision, per_second, time_ns), None)
            }
        };
        if kept { Verdict::KeptBy(decision.rule, rate) } else { Verdict::LeftOut(decision.rule) }
    }
}

/// A range as the engine remembers it: that a number was left out or kept is for the log to say, and without the difference neighbours join, so
/// that what is remembered stays small.
pub fn as_claimed(range: Range) -> Range {
    let has_none = matches!(range.state, State::SampledOut | State::Counted);
    let state = if has_none { State::Kept } else { range.state };
    Range { state, ..range }
}

impl Engine {
    /// Puts a sampling policy in force. What is in the spools by now is sealed first, by the policy before; what comes later is judged by this
    /// one, after the log says so. Durable on return. Says whether it was another one before.
    ///
    /// # Errors
    /// [`Error::Policy`] when the text is none: nothing is changed then. Otherwise as [`Engine::seal_round`].
    pub async fn set_policy(&mut self, text: &str) -> Result<bool> {
        self.check_running()?;
        Policy::parse(text)?;
        self.seal().await?;
        let before = self.policy().await?;
        if before.as_deref() == Some(text) {
            return Ok(false);
        }
        let result = self.begin_policy(before.as_deref().unwrap_or_default(), text).await;
        self.stop_on_error(result)?;
        self.seal().await?;
        Ok(true)
    }

    /// Replaces the sampling key. What is in the spools by now is sealed first, by the key before; what comes later is drawn for with the new
    /// one, after the log is committed to it. The old one stays in the key folder, for verifying. Durable on return. Gives the new key's
    /// SHA-256. Back the key folder up afterwards.
    ///
    /// # Errors
    /// [`Error::Request`] when no policy was ever set: there is no key then, and nothing is changed. Otherwise as [`Engine::seal_round`].
    pub async fn rotate_sampling(&mut self) -> Result<[u8; 32]> {
        self.check_running()?;
        let text = self.policy().await?.ok_or_else(|| {
            Error::Request("no policy was ever set: the sampling key is made with the first one".into())
        })?;
        self.seal().await?;
        let result = self.begin_sampling_key(&text).await;
        let digest = self.stop_on_error(result)?;
        self.seal().await?;
        Ok(digest)
    }

    /// The text of the policy in force; none when there never was one.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn policy(&self) -> Result<Option<String>> {
        let text = self.catalog.meta(SAMPLING_POLICY).await?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    async fn begin_policy(&mut self, before: &str, text: &str) -> Result<()> {
        // A key that no record is committed to yet may be left of an attempt that failed.
        if self.keys.sampling.is_empty() {
            self.keys.sampling.push(Secret::new(draw(self.environment.random.as_ref())?));
            self.keys.save()?;
        }
        let mut acts = vec![act(POLICY_ACT, before.as_bytes(), text)];
        let digest = self.sampling_key(None)?.digest();
        let used = self.catalog.meta(SAMPLING_KEY).await?.unwrap_or_default();
        if used != digest {
            let used = if used.is_empty() { String::new() } else { hex(&used) };
            acts.push(act(KEY_ACT, used.as_bytes(), &hex(&digest)));
        }
        self.catalog.set_sampling(text, &digest, &acts).await?;
        self.load_policy().await
    }

    async fn begin_sampling_key(&mut self, text: &str) -> Result<[u8; 32]> {
        let used = self.catalog.meta(SAMPLING_KEY).await?.unwrap_or_default();
        // A key that no record is committed to yet may be left of an attempt that failed.
        if self.sampling_key(None)?.digest()[..] == used[..] {
            self.keys.sampling.push(Secret::new(draw(self.environment.random.as_ref())?));
            self.keys.save()?;
        }
        let digest = self.sampling_key(None)?.digest();
        let acts = [act(KEY_ACT, hex(&used).as_bytes(), &hex(&digest))];
        self.catalog.set_sampling(text, &digest, &acts).await?;
        self.load_policy().await?;
        Ok(digest)
    }

    /// Gives the drain the policy in force.
    ///
    /// # Errors
    /// When the key folder has not the key of its draws: what is left out could not be proved.
    pub(crate) async fn load_policy(&mut self) -> Result<()> {
        let Some(text) = self.policy().await? else { return Ok(()) };
        let digest = self.catalog.meta(SAMPLING_KEY).await?.unwrap_or_default();
        let sampling = Sampling { policy: Policy::parse(&text)?, key: self.sampling_key(Some(&digest))? };
        if let Some(drainer) = &mut self.drainer {
            drainer.judge_by(Some(Arc::new(sampling)));
        }
        Ok(())
    }

    /// The sampling key with this digest, or the current one.
    fn sampling_key(&self, digest: Option<&[u8]>) -> Result<SamplingKey> {
        let mut keys = self.keys.sampling.iter().rev().map(SamplingKey::new);
        let key = keys.find(|key| digest.is_none_or(|digest| digest == key.digest()));
        key.ok_or_else(|| Error::KeysDoNotMatch { what: "sampling key", folder: self.keys.path().to_owned() })
    }
}

/// The act of a change: what held before by its digest, and what holds now.
pub(crate) fn act(kind: &str, old: &[u8], new: &str) -> ActRow {
    let mut body = minutebook_sha256::digest(old).to_vec();
    body.extend_from_slice(new.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&minutebook_sha256::digest(&body)[..16]);
    ActRow { id, kind: kind.into(), body }
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    let what = match act.kind.as_str() {
        POLICY_ACT => POLICY,
        KEY_ACT => KEY,
        _ => return None,
    };
    let (old, new) = act.body.split_at_checked(32)?;
    Some(own::policy(act.id, what, old, &String::from_utf8_lossy(new), now_ns))
}
