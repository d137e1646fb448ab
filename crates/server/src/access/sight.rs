//! What one key sees, decided once for each model and field and kept. Edge: asks `minutebook-access`; the index and the handlers ask it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use minutebook_access::{Action, Asker, Circumstances, Rights, Verdict};
use minutebook_record::Path;

use crate::limits::DECIDED_MAX;

/// The rights of one key for one purpose.
pub(super) struct KeySight {
    pub(super) rights: Arc<Rights>,
    pub(super) who: Asker,
    pub(super) purpose: String,
    pub(super) minute: i64,
    decided: RwLock<Decided>,
}

#[derive(Default)]
struct Decided {
    routes: HashMap<(&'static str, Action), Verdict>,
    models: HashMap<String, OfModel>,
    of_none: OfModel,
    count: usize,
}

#[derive(Default)]
struct OfModel {
    may: HashMap<Action, bool>,
    fields: HashMap<String, bool>,
}

impl Decided {
    fn of(&self, model: Option<&str>) -> Option<&OfModel> {
        model.map_or(Some(&self.of_none), |model| self.models.get(model))
    }

    fn make(&mut self, model: Option<&str>) -> &mut OfModel {
        self.count += 1;
        if self.count > DECIDED_MAX {
            *self = Self::default();
        }
        match model {
            None => &mut self.of_none,
            Some(model) => self.models.entry(model.to_owned()).or_default(),
        }
    }
}

impl fmt::Debug for KeySight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySight").field("key", &self.who.name).finish_non_exhaustive()
    }
}

impl KeySight {
    pub(super) fn new(rights: Arc<Rights>, who: Asker, purpose: String, minute: i64) -> Self {
        Self { rights, who, purpose, minute, decided: RwLock::default() }
    }

    pub(super) fn circumstances(&self) -> Circumstances<'_> {
        Circumstances { purpose: &self.purpose, minute: self.minute }
    }

    /// What was decided about a route, or is now. A denial is kept only when `is_final` says so: of others it may depend on models to come.
    pub(super) fn of_route(
        &self,
        route: (&'static str, Action),
        is_final: bool,
        decide: impl FnOnce() -> Verdict,
    ) -> Verdict {
        let known = self.decided.read().unwrap_or_else(PoisonError::into_inner).routes.get(&route).cloned();
        known.unwrap_or_else(|| {
            let verdict = decide();
            if verdict.is_permitted || is_final {
                let mut decided = self.decided.write().unwrap_or_else(PoisonError::into_inner);
                decided.routes.insert(route, verdict.clone());
            }
            verdict
        })
    }

    /// Whether it may do this with a model, or with the trail.
    pub(super) fn may(&self, action: Action, model: Option<&str>) -> bool {
        self.decided(
            model,
            |of| of.may.get(&action).copied(),
            |sight, of| {
                let is_permitted =
                    sight.rights.decide(&sight.who, action, model, sight.circumstances()).is_permitted;
                of.may.insert(action, is_permitted);
                is_permitted
            },
        )
    }

    /// Whether it sees the content of a field, named as it is searched for.
    pub(super) fn sees(&self, model: Option<&str>, path: &str) -> bool {
        self.decided(
            model,
            |of| of.fields.get(path).copied(),
            |sight, of| {
                let sees = sight.rights.sees(&sight.who, model, path, sight.circumstances());
                of.fields.insert(path.to_owned(), sees);
                sees
            },
        )
    }

    pub(super) fn sees_path(&self, model: Option<&str>, path: &Path) -> bool {
        let mut name = String::new();
        for part in path.parts() {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(part);
        }
        self.sees(model, &name)
    }

    fn decided(
        &self,
        model: Option<&str>,
        known: impl Fn(&OfModel) -> Option<bool>,
        decide: impl FnOnce(&Self, &mut OfModel) -> bool,
    ) -> bool {
        let found = self.decided.read().unwrap_or_else(PoisonError::into_inner).of(model).and_then(known);
        found.unwrap_or_else(|| {
            let mut decided = self.decided.write().unwrap_or_else(PoisonError::into_inner);
            decide(self, decided.make(model))
        })
    }
}

impl minutebook_index::Sight for KeySight {
    fn model(&self, model: Option<&str>) -> bool {
        self.may(Action::Read, model)
    }

    fn every_model(&self) -> bool {
        !self.rights.has_own_policies() && self.may(Action::Read, None)
    }

    fn accounts(&self) -> bool {
        self.may(Action::ReadAccounts, None)
    }

    fn column(&self, model: Option<&str>, column: &str) -> bool {
        match field_of(column) {
            Some(path) => self.sees(model, path),
            None => true,
        }
    }

    fn hides_inputs(&self, model: Option<&str>) -> bool {
        !self.sees(model, "inputs")
    }
}

/// The field that a column is of, as it is searched for; none for columns that are no content: ids, times, what a record is of and where it is.
fn field_of(column: &str) -> Option<&str> {
    const NO_CONTENT: [&str; 24] = [
        "id",
        "time",
        "kind",
        "model",
        "version",
        "artifact",
        "status",
        "duration_ns",
        "trace",
        "span",
        "kept.rule",
        "kept.rate",
        "weight",
        "batch.call",
        "batch.row",
        "links",
        "target",
        "class",
        "producer",
        "epoch",
        "seq",
        "log_index",
        "place",
        "readable",
    ];
    if NO_CONTENT.contains(&column) {
        return None;
    }
    Some(match column {
        "subjects" => "subject",
        "explanation.method" | "explanation.space" => "explanation.meta",
        column if column.starts_with("attributions.") => "explanation.attributions",
        column => column.strip_prefix("fields.").unwrap_or(column),
    })
}
