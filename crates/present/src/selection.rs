//! Which records a listing shows. Edge: says which; finding them is the reader's.

use minutebook_record::Kind;
use minutebook_record::fields::ModelRef;
use minutebook_trail::Filter;

use crate::opened::Opened;

/// What the engine and producers say about themselves, and what is for `stats` to show: listed on request only.
const HIDDEN: [Kind; 3] = [Kind::Producer, Kind::Access, Kind::Window];

/// Records by kind, model and time.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of these kinds; when empty, of all but `producer`, `access` and `window`.
    pub kinds: Vec<Kind>,
    /// Of this model, `NAME` or `NAME@VERSION`.
    pub model: Option<String>,
    /// Not before, ns since 1970.
    pub since_ns: Option<i64>,
    /// Not after.
    pub until_ns: Option<i64>,
    /// The oldest first. Otherwise the latest first.
    pub oldest_first: bool,
}

impl Selection {
    /// What a reader can tell without looking into a record. [`Selection::wants`] says the rest.
    pub fn filter(&self) -> Filter {
        let kinds = if self.kinds.is_empty() {
            Kind::ALL.into_iter().filter(|kind| !HIDDEN.contains(kind)).collect()
        } else {
            self.kinds.clone()
        };
        Filter {
            from_ns: self.since_ns.unwrap_or(i64::MIN),
            to_ns: self.until_ns.unwrap_or(i64::MAX),
            kinds,
            oldest_first: self.oldest_first,
        }
    }

    /// Whether a record is of the model.
    pub fn wants(&self, record: &Opened) -> bool {
        let Some(wanted) = &self.model else { return true };
        let model = record.value(&["model"]).and_then(|value| ModelRef::decode(value).ok().flatten());
        model.is_some_and(|model| is_model(wanted, &model))
    }
}

/// Whether a model is the wanted one, `NAME` or `NAME@VERSION`.
pub fn is_model(wanted: &str, model: &ModelRef) -> bool {
    *wanted == model.name
        || wanted
            .rsplit_once('@')
            .is_some_and(|(name, version)| name == model.name && version == model.version)
}
