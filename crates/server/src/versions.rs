//! The versions of models that a trail knows of: for calls that do not name theirs. Edge: asks the index; what a version is used for is elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use minutebook_adapters::{Call, Version, VersionFrom};
use minutebook_index::{Index, VersionRecord};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::limits::{VERSIONS_KEPT, VERSIONS_LOOK_PERIOD, VERSIONS_MODELS};

/// What was found for some models, a short while ago.
#[derive(Default)]
pub(crate) struct Versions(Mutex<HashMap<String, (Instant, Vec<Known>)>>);

/// A record that names a version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    time_ns: i64,
    version: String,
    from: VersionFrom,
}

impl Versions {
    /// Gives a call whose version is not known the one of the last `deployment` record of its model before it began, else the one of the last
    /// `model` record. Blocks while the index is asked, once in a few seconds for each model.
    pub(crate) fn resolve(&self, index: &Index, call: &mut Call, now_ns: i64) {
        if call.version.from != VersionFrom::Nowhere {
            return;
        }
        let at = call.time_ns.unwrap_or(now_ns);
        let known = self.known(index, &call.model);
        if let Some(found) = choose(&known, at) {
            call.version = Version::known(&found.version, found.from);
        }
    }

    fn known(&self, index: &Index, model: &str) -> Vec<Known> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = kept.get(model)
            && at.elapsed() < VERSIONS_LOOK_PERIOD
        {
            return known.clone();
        }
        let known = ask(index, model);
        if kept.len() >= VERSIONS_MODELS {
            kept.clear();
        }
        kept.insert(model.to_owned(), (Instant::now(), known.clone()));
        known
    }
}

/// The last one before `at`; a deployment says more than that a version exists.
fn choose(known: &[Known], at: i64) -> Option<&Known> {
    let before = |from: VersionFrom| known.iter().find(move |one| one.from == from && one.time_ns <= at);
    before(VersionFrom::Deployment).or_else(|| before(VersionFrom::Model))
}

/// The latest first.
fn ask(index: &Index, model: &str) -> Vec<Known> {
    match Handle::current().block_on(index.version_records(model, VERSIONS_KEPT)) {
        Ok(records) => records.into_iter().map(known).collect(),
        Err(error) => {
            tracing::debug!("versions of a model cannot be looked up: {error}");
            Vec::new()
        }
    }
}

fn known(record: VersionRecord) -> Known {
    let from = match record.kind.as_str() {
        "deployment" => VersionFrom::Deployment,
        _ => VersionFrom::Model,
    };
    Known { time_ns: record.time_ns, version: record.version, from }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deployment_before_a_call_counts() {
        let one = |time_ns, version: &str, from| Known { time_ns, version: version.to_owned(), from };
        let known = [
            one(50, "4", VersionFrom::Model),
            one(40, "3", VersionFrom::Deployment),
            one(30, "3", VersionFrom::Model),
            one(20, "2", VersionFrom::Deployment),
            one(10, "1", VersionFrom::Model),
        ];
        let at = |at| choose(&known, at).map(|found| (found.version.as_str(), found.from));
        assert_eq!(at(60), Some(("3", VersionFrom::Deployment)));
        assert_eq!(at(39), Some(("2", VersionFrom::Deployment)));
        assert_eq!(at(19), Some(("1", VersionFrom::Model)));
        assert_eq!(at(9), None);
    }
}
