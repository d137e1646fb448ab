//! Who sent a request, for the handlers: what they ask before they give something out, and what they say of it. Edge: an extension of requests and
//! answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use minutebook_access::{Action, Asker as Who, Role, fits};
use minutebook_index::{View, is_account};
use minutebook_present::opened::{Content, Opened};
use minutebook_record::fields::ModelRef;
use minutebook_record::{Kind, Path, RecordId};
use minutebook_trail::StoredRecord;

use super::sight::KeySight;
use crate::limits::MODELS_TOLD;
use crate::problem::Problem;

/// Who sent a request. Every router that answers says so: a request without one fails.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// The owner of the trail's process, over its socket: nothing is hidden.
    Owner,
    /// The holder of a key, or somebody who signed in.
    Key(Arc<Holder>),
}

/// The holder of a key or somebody who signed in, and what they see.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(super) sight: Arc<KeySight>,
    pub(super) view: View,
}

/// What an answer has, for the record of it; an extension of the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The question, without what its asker wrote into it.
    pub(crate) asked: String,
    /// Models of which something is in it.
    pub(crate) models: BTreeSet<String>,
    /// How many records or rows; none where it is not known before the first byte.
    pub(crate) records: Option<u64>,
    /// Records that were asked for by their ids.
    pub(crate) ids: Vec<RecordId>,
    /// Whether anything in it is masked.
    pub(crate) masked: bool,
}

/// A record as an asker sees it.
pub(crate) struct Shown {
    pub(crate) record: Opened,
    pub(crate) model: Option<String>,
    pub(crate) masked: bool,
}

impl Told {
    /// Adds what a record is of.
    pub(crate) fn add(&mut self, shown: &Shown) {
        self.records = Some(self.records.unwrap_or(0) + 1);
        self.masked |= shown.masked;
        self.add_model(shown.model.as_deref());
    }

    pub(crate) fn add_model(&mut self, model: Option<&str>) {
        if let Some(model) = model
            && self.models.len() < MODELS_TOLD
            && !self.models.contains(model)
        {
            self.models.insert(model.to_owned());
        }
    }
}

impl Shown {
    /// The fields that are masked.
    pub(crate) fn hidden(&self) -> Vec<Path> {
        let Content::Readable(values) = &self.record.content else { return Vec::new() };
        let fields = self.record.schema.fields().iter().zip(values);
        fields.filter(|(_, value)| value.is_none()).map(|(field, _)| field.path.clone()).collect()
    }
}

/// Whoever may not do something with a model.
pub(crate) fn not_permitted(action: Action, what: &str) -> Problem {
    let detail = format!("who asks may not `{}` {what}", action.name());
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "It is not permitted", detail).denied()
}

impl Asker {
    /// Who it is; none for the owner.
    pub(crate) fn who(&self) -> Option<&Who> {
        match self {
            Self::Owner => None,
            Self::Key(holder) => Some(&holder.sight.who),
        }
    }

    /// What it sees of the index; none for everything.
    pub(crate) fn view(&self) -> Option<&View> {
        match self {
            Self::Owner => None,
            Self::Key(holder) => Some(&holder.view),
        }
    }

    /// Whether it may do this with a model, or with `None` with the trail.
    pub(crate) fn may(&self, action: Action, model: Option<&str>) -> bool {
        match self {
            Self::Owner => true,
            Self::Key(holder) => holder.sight.may(action, model),
        }
    }

    /// Whether it sees a field of a model's records.
    pub(crate) fn sees(&self, model: Option<&str>, path: &Path) -> bool {
        match self {
            Self::Owner => true,
            Self::Key(holder) => holder.sight.sees_path(model, path),
        }
    }

    /// Whether it may hand over a record of this kind and model.
    ///
    /// # Errors
    /// What is not permitted, without naming the model.
    pub(crate) fn may_record(&self, kind: Kind, model: Option<&str>) -> Result<(), Problem> {
        let action = match kind {
            Kind::Model | Kind::Deployment => Action::Register,
            _ => Action::Record,
        };
        if self.may(action, model) {
            return Ok(());
        }
        let what = match model {
            Some(_) => "with this model",
            None => "without a model: a key that is for some models says of which each record is (`model`)",
        };
        Err(not_permitted(action, what))
    }

    /// Whether it may make a key of these roles for these models: one that gives no more than it has, unless it administers.
    ///
    /// # Errors
    /// What is not permitted.
    pub(crate) fn may_give(&self, roles: &[String], models: &[String]) -> Result<(), Problem> {
        let Self::Key(holder) = self else { return Ok(()) };
        let who = &holder.sight.who;
        let is_own = |role: &String| who.roles.contains(role);
        // A pattern that another one fits stands for no more than that.
        let is_within = |model: &String| who.models.iter().any(|own| fits(own, model));
        if is_own(&Role::Administrator.name().to_owned())
            || (roles.iter().all(is_own) && models.iter().all(is_within))
        {
            return Ok(());
        }
        Err(not_permitted(Action::ManageKeys, "for roles or models that it has not itself"))
    }

    /// A record as it is seen; none when it is not there for this asker.
    pub(crate) fn open(&self, record: StoredRecord) -> Option<Shown> {
        let mut record = Opened::from(record);
        let model = record.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten());
        let model = model.map(|model| model.name);
        let Self::Key(holder) = self else { return Some(Shown { record, model, masked: false }) };
        let sight = &holder.sight;
        let is_there = match record.header.kind {
            // Its sketches are of inputs too: `/v1/stats` tells what may be told of them.
            Kind::Window => false,
            kind if is_account(kind) => sight.may(Action::ReadAccounts, None),
            _ => sight.may(Action::Read, model.as_deref()),
        };
        if !is_there {
            return None;
        }
        let of = model.as_deref();
        let masked = !is_account(record.header.kind)
            && record.mask(|path| !sight.sees_path(of, path), !sight.sees(of, "inputs"));
        Some(Shown { record, model, masked })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            let detail = "nothing says who asks: this is a mistake in the server";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The request failed", detail)
        })
    }
}
