//! Records of other kinds than decisions: outcomes, reviews, models. Rare, so that each is laid out anew.

use minutebook_capture::{Producer, ShapeDef};
use minutebook_record::fields::ModelRef;
use minutebook_record::limits::LINKS_MAX;
use minutebook_record::{ClassName, FieldType, Kind, RecordId, Schema};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::attributions::{COUNTERFACTUALS, REASONS, Told, has_lists, put_attributions, put_list, put_meta};
use crate::errors::{of_capture, unfit};
use crate::layout::Keys;
use crate::layouts::field;
use crate::parts::{put_subject, put_text};
use crate::producer::Room;
use crate::{convert, encode, ids};

/// Whether records of a kind are made here: decisions are a model's.
fn is_taken(kind: Kind) -> bool {
    kind.is_from_outside() && kind != Kind::Decision
}

/// A record's content.
pub struct Given<'a, 'py> {
    pub kind: &'a str,
    pub fields: &'a Bound<'py, PyAny>,
    pub links: Vec<String>,
    pub model: Option<ModelRef>,
    pub subject: Option<&'a Bound<'py, PyAny>>,
    pub actor: Option<&'a Bound<'py, PyAny>>,
    pub tags: Option<&'a Bound<'py, PyAny>>,
    pub explanation: Option<&'a Bound<'py, PyAny>>,
    pub time_ns: Option<i64>,
}

/// Fields and their encodings, one behind the other.
#[derive(Default)]
struct Draft {
    fields: Vec<minutebook_record::Field>,
    values: Vec<u8>,
}

impl Draft {
    fn add(&mut self, path: &[&str], field_type: FieldType) -> PyResult<&mut Vec<u8>> {
        self.fields.push(field(path, field_type)?);
        Ok(&mut self.values)
    }
}

/// Hands the record over.
pub fn record(
    py: Python<'_>,
    producer: &Producer,
    class: &ClassName,
    room: Room,
    given: &Given<'_, '_>,
) -> PyResult<RecordId> {
    let kind: Kind = given.kind.parse().ok().filter(|kind| is_taken(*kind)).ok_or_else(|| {
        let kinds = Kind::ALL.into_iter().filter(|kind| is_taken(*kind));
        let names = kinds.map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(", ");
        PyValueError::new_err(format!("`kind` is one of {names}"))
    })?;
    if given.links.len() > LINKS_MAX {
        return Err(PyValueError::new_err(format!("at most {LINKS_MAX} links")));
    }
    let links = given.links.iter().map(|link| ids::from_text(link)).collect::<PyResult<Vec<_>>>()?;
    let mut draft = Draft::default();
    draft.add(&["event"], FieldType::Event)?;
    if let Some(model) = &given.model {
        model.write(draft.add(&["model"], FieldType::Model)?);
    }
    if let Some(subject) = given.subject {
        put_subject(subject, draft.add(&["subject"], FieldType::Subject)?)?;
    }
    if let Some(actor) = given.actor {
        put_text(actor, draft.add(&["actor"], FieldType::Text)?, "actor")?;
    }
    for (name, value) in convert::to_dict(given.fields, &[given.kind])?.iter() {
        let name =
            name.cast_into::<PyString>().map_err(|_| unfit(&[given.kind], "a name that is not text"))?;
        let path =
            [given.kind, name.to_str().map_err(|_| unfit(&[given.kind], "a name with a lone surrogate"))?];
        let (field_type, value) = convert::value(&value, &path)?;
        let out = draft.add(&path, field_type.clone())?;
        value.encode(&field_type, out).map_err(|error| unfit(&path, &error.to_string()))?;
    }
    if let Some(tags) = given.tags {
        let tags = convert::to_dict(tags, &["tags"])?;
        encode::put_map(&tags, draft.add(&["tags"], FieldType::Map)?, "tags")?;
    }
    if let Some(explanation) = given.explanation {
        let explanation = convert::to_dict(explanation, &["explanation"])?;
        let told = Told::of_attributions(&explanation)?;
        let out = draft.add(&["explanation", "attributions"], told.field_type(FieldType::Attributions))?;
        put_attributions(&explanation, &Keys::default(), out)?;
        put_meta(&explanation, draft.add(&["explanation", "meta"], FieldType::Explanation)?)?;
        let [reasons, counterfactuals] = has_lists(&explanation)?;
        for (name, told) in [(REASONS, reasons), (COUNTERFACTUALS, counterfactuals)] {
            if told.is_there() {
                let out = draft.add(&["explanation", name], told.field_type(FieldType::List))?;
                put_list(&explanation, name, out)?;
            }
        }
    }
    let Draft { fields, values } = draft;
    let count = fields.len() - 1;
    let schema = Schema::new(fields).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let def =
        ShapeDef::from_encoded(schema, vec![]).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let shape = producer.shape_of(def).map_err(of_capture)?;
    let drawn = producer.begin(class).map_err(of_capture)?;
    let mut event = drawn.event();
    (event.duration_ns, event.links) = (None, &links);
    if let Some(time_ns) = given.time_ns {
        (event.time_ns, event.clock_error_ns) = (time_ns, None);
    }
    let mut encoder = drawn.record(&shape, kind);
    encoder.event(&event).raw_all(count, &values);
    encoder.finish_or_wait(room.waiter(py)).map_err(of_capture)
}
