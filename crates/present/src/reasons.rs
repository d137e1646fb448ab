//! What a record says beside its attributions (`docs/formats/record.md`, "Fields"): principal reasons and counterfactuals. Edge: takes them
//! apart; words and layout are the printer's and the pages'.

use minutebook_record::{FieldType, Map, Value};

use crate::opened::Opened;

/// Their names below `explanation`.
pub(crate) const REASONS: &str = "reasons";
pub(crate) const COUNTERFACTUALS: &str = "counterfactuals";

/// A principal reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reason {
    /// The features that it is made of, as in the attributions.
    pub(crate) features: Vec<String>,
    /// What they add, together.
    pub(crate) attribution: f64,
    /// Its words; `None` when none are known.
    pub(crate) text: Option<String>,
    /// Its code, where there is one.
    pub(crate) code: Option<String>,
}

impl Reason {
    /// The value of a record.
    pub(crate) fn to_value(&self) -> Value {
        let text = |text: &String| Value::Text(text.clone());
        let mut pairs = vec![
            ("text".to_owned(), self.text.as_ref().map_or(Value::Null, text)),
            ("features".to_owned(), Value::List(self.features.iter().map(text).collect())),
            ("attribution".to_owned(), Value::Float(self.attribution)),
        ];
        pairs.extend(self.code.as_ref().map(|code| ("code".to_owned(), text(code))));
        // INVARIANT: no name is there twice.
        Value::Map(Map::new(pairs).expect("four names"))
    }

    fn of_value(value: &Value) -> Option<Self> {
        let Value::Map(map) = value else { return None };
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let Value::List(features) = map.get("features")? else { return None };
        let Value::Float(attribution) = map.get("attribution")? else { return None };
        let reason = Self {
            features: features.iter().map(text).collect::<Option<_>>()?,
            attribution: *attribution,
            text: map.get("text").and_then(text),
            code: map.get("code").and_then(text),
        };
        // Nothing is left out: the value is these members and no other.
        (reason.to_value() == *value).then_some(reason)
    }
}

/// The reasons of a record, the weightiest first. `None` when it has none, or they are of another form: then they are a field like any other.
pub(crate) fn reasons(record: &Opened) -> Option<Vec<Reason>> {
    list(record, REASONS)?.iter().map(Reason::of_value).collect()
}

/// The counterfactuals of a record, each by feature. `None` as for [`reasons`].
pub(crate) fn counterfactuals(record: &Opened) -> Option<Vec<Map>> {
    let map = |value| match value {
        Value::Map(map) => Some(map),
        _ => None,
    };
    list(record, COUNTERFACTUALS)?.into_iter().map(map).collect()
}

fn list(record: &Opened, name: &str) -> Option<Vec<Value>> {
    let place = record.schema.find_parts(&["explanation", name])?;
    if record.schema.fields()[place].field_type != FieldType::List {
        return None;
    }
    match Value::decode(&FieldType::List, record.value_at(place)?).ok()? {
        Value::List(items) => Some(items),
        _ => None,
    }
}
