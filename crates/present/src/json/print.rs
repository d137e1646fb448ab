//! A stored record as a JSON object (`docs/formats/json.md`, "Out"). What is printed can be read again and
//! gives the same fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_record::fields::{
    Attributions, Event, ExplanationMeta, Feature, Floats, ModelRef, Subjects, When,
};
use minutebook_record::{FieldType, Integer, Kind, Map, Path, Tensor, Value};
use minutebook_verify::hex;
use serde_json::{Map as Object, Value as Json, json};

use super::elements::{Number, elements};
use super::instant;
use super::tree::float_name;
use crate::opened::{Content, Opened};
use crate::reasons::{self, COUNTERFACTUALS, REASONS, Reason};
use crate::redaction;

/// Prints records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Printer {
    /// Adds the schema: path and type of each field.
    pub types: bool,
}

/// The largest integer up to which every one is a float exactly: what JavaScript reads right.
const EXACT_MAX: i128 = (1 << 53) - 1;

/// Elements up to which a tensor is printed as numbers.
const ELEMENTS_PRINTED: usize = 4_096;

impl Printer {
    /// The record as an object.
    pub fn record(self, record: &Opened) -> Json {
        let header = &record.header;
        let mut out = Object::new();
        out.insert("kind".into(), header.kind.name().into());
        out.insert("class".into(), header.class.as_str().into());
        if let Content::Readable(_) = &record.content {
            content(record, &mut out);
        }
        out.insert("id".into(), header.id.to_string().into());
        out.insert("seq".into(), integer(header.seq.get().into()));
        out.insert("producer".into(), header.producer.to_string().into());
        out.insert("epoch".into(), integer(header.epoch.get().into()));
        let sealed = record.seal.map(|seal| {
            json!({
                "segment": hex(&seal.segment),
                "place": seal.place,
                "log_index": integer(seal.log_index.into()),
                "log_size": integer(seal.log_size.into()),
            })
        });
        out.insert("sealed".into(), sealed.unwrap_or(Json::Null));
        let (readable, reason) = match &record.content {
            Content::Readable(_) => (true, None),
            Content::Erased => (false, Some("erased")),
            Content::NoKey => (false, Some("no key")),
        };
        out.insert("readable".into(), readable.into());
        if let Some(reason) = reason {
            out.insert("reason".into(), reason.into());
        }
        if let Content::Readable(values) = &record.content
            && values.iter().any(Option::is_none)
        {
            let fields = record.schema.fields().iter().zip(values);
            let masked = fields.filter(|(_, value)| value.is_none()).map(|(field, _)| path(&field.path));
            out.insert("masked".into(), masked.collect());
        }
        let done = record.schema.fields().iter();
        let done: Json = done
            .filter_map(|field| Some(json!([path(&field.path), redaction::of_type(&field.field_type)?])))
            .collect();
        if done.as_array().is_some_and(|done| !done.is_empty()) {
            out.insert("redacted".into(), done);
        }
        if self.types {
            let fields = record.schema.fields().iter();
            let types = fields.map(|field| json!([path(&field.path), field.field_type.to_string()]));
            out.insert("schema".into(), types.collect());
        }
        Json::Object(out)
    }
}

fn path(path: &Path) -> Json {
    path.parts().map(Json::from).collect()
}

/// The members of a record whose values can be read.
fn content(record: &Opened, out: &mut Object<String, Json>) {
    let kind = record.header.kind;
    let explained = explanation(record);
    let mut groups = Groups::default();
    for (place, field) in record.schema.fields().iter().enumerate() {
        let Some(value) = record.value_at(place) else { continue };
        let parts: Vec<&str> = field.path.parts().collect();
        let group = match *parts.as_slice() {
            ["inputs", _] => &mut groups.inputs,
            ["outputs", _] => &mut groups.outputs,
            [own, _] if own == kind.name() && has_own_member(kind) => &mut groups.own,
            ["event" | "model" | "params" | "subject" | "actor" | "tags" | "environment"]
            | ["explanation", "attributions" | "meta"]
                if !field.field_type.is_redacted() =>
            {
                continue;
            }
            ["explanation", name] if has_member(explained.as_ref(), name) => continue,
            _ => {
                groups.others.push(json!([path(&field.path), field_value(&field.field_type, value)]));
                continue;
            }
        };
        group.insert(parts[1].to_owned(), field_value(&field.field_type, value));
    }
    let mut insert = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    let has_inputs = kind == Kind::Decision;
    insert("model", record.value(&["model"]).and_then(model));
    insert("params", map_member(record, "params"));
    insert("inputs", (has_inputs || !groups.inputs.is_empty()).then_some(Json::Object(groups.inputs)));
    insert("outputs", (!groups.outputs.is_empty()).then_some(Json::Object(groups.outputs)));
    insert("explanation", explained);
    insert(kind.name(), (!groups.own.is_empty()).then_some(Json::Object(groups.own)));
    insert("subject", record.value(&["subject"]).and_then(subject));
    insert("actor", record.value(&["actor"]).map(|value| field_value(&FieldType::Text, value)));
    if let Some(event) = record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten()) {
        self::event(&event, &mut insert);
    }
    insert("tags", map_member(record, "tags"));
    insert("environment", map_member(record, "environment"));
    insert("fields", (!groups.others.is_empty()).then_some(Json::Array(groups.others)));
}

#[derive(Default)]
struct Groups {
    inputs: Object<String, Json>,
    outputs: Object<String, Json>,
    own: Object<String, Json>,
    others: Vec<Json>,
}

/// Whether a record of this kind has a member of the kind's name: for two kinds the name stands for something
/// else.
pub(crate) fn has_own_member(kind: Kind) -> bool {
    !matches!(kind, Kind::Model | Kind::Explanation)
}

fn model(value: &[u8]) -> Option<Json> {
    let model = ModelRef::decode(value).ok().flatten()?;
    Some(json!({ "name": model.name, "version": model.version, "artifact": model.artifact.map(sha256) }))
}

fn sha256(digest: [u8; 32]) -> String {
    format!("sha256:{}", hex(&digest))
}

fn map_member(record: &Opened, name: &str) -> Option<Json> {
    let value = record.value(&[name])?;
    Some(field_value(&FieldType::Map, value))
}

fn subject(value: &[u8]) -> Option<Json> {
    let Subjects(subjects) = Subjects::decode(value).ok().flatten()?;
    Some(match <[String; 1]>::try_from(subjects) {
        Ok([one]) => one.into(),
        Err(several) => several.into(),
    })
}

fn event(event: &Event, insert: &mut impl FnMut(&str, Option<Json>)) {
    let time = minutebook_record::Seconds::from_nanoseconds(event.time_ns);
    insert("time", Some(instant::write_timestamp(time)));
    insert("duration_ns", event.duration_ns.map(|ns| integer(ns.into())));
    insert("clock_error_ns", event.clock_error_ns.map(|ns| integer(ns.into())));
    insert("status", Some(event.status.as_str().into()));
    insert("trace", event.trace.map(|id| hex(&id).into()));
    insert("span", event.span.map(|id| hex(&id).into()));
    let batch = event.batch.map(|batch| {
        json!({ "call": hex(&batch.call), "row": integer(batch.row.into()), "rows": integer(batch.rows.into()) })
    });
    insert("batch", batch);
    let kept = event.kept.as_ref().map(|kept| json!({ "rule": kept.rule, "rate": kept.rate.map(float) }));
    insert("kept", kept);
    let links: Vec<String> = event.links.iter().map(ToString::to_string).collect();
    insert("links", (!links.is_empty()).then(|| links.into()));
}

fn explanation(record: &Opened) -> Option<Json> {
    let meta = record
        .value(&["explanation", "meta"])
        .and_then(|value| ExplanationMeta::decode(value).ok().flatten());
    let attributions = record
        .value(&["explanation", "attributions"])
        .and_then(|value| Attributions::decode(value).ok().flatten());
    if meta.is_none() && attributions.is_none() {
        return None;
    }
    let mut out = Object::new();
    if let Some(meta) = meta {
        out.insert("method".into(), meta.method.into());
        out.insert("library".into(), meta.library.into());
        if !meta.parameters.is_empty() {
            out.insert("parameters".into(), map(&meta.parameters));
        }
        let optional = [
            ("seed", meta.seed.map(integer)),
            ("background", meta.background.map(|digest| sha256(digest).into())),
            ("space", meta.space.map(|space| space.name().into())),
            ("class", (!matches!(meta.class, Value::Null)).then(|| value(&meta.class))),
            ("base", meta.base.as_ref().map(floats)),
            ("residual", meta.residual.as_ref().map(floats)),
            ("when", (meta.when == When::Later).then(|| meta.when.name().into())),
            ("duration_ns", meta.duration_ns.map(|ns| integer(ns.into()))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                out.insert(name.into(), value);
            }
        }
        // Without `meta` they would not be read again: a member `explanation` needs a method.
        if let Some(reasons) = reasons::reasons(record) {
            out.insert(REASONS.into(), reasons.iter().map(reason).collect());
        }
        if let Some(counterfactuals) = reasons::counterfactuals(record) {
            out.insert(COUNTERFACTUALS.into(), counterfactuals.iter().map(map).collect());
        }
    }
    if let Some(attributions) = attributions {
        out.insert("attributions".into(), self::attributions(record, &attributions));
    }
    Some(Json::Object(out))
}

/// Whether this list is a member of the explanation, and so no field of its own.
fn has_member(explanation: Option<&Json>, name: &str) -> bool {
    matches!(name, REASONS | COUNTERFACTUALS)
        && explanation.is_some_and(|members| members.get(name).is_some())
}

fn reason(reason: &Reason) -> Json {
    let mut out = Object::new();
    out.insert("features".into(), reason.features.iter().map(String::as_str).collect());
    out.insert("attribution".into(), float(reason.attribution));
    out.insert("text".into(), reason.text.as_deref().into());
    if let Some(code) = &reason.code {
        out.insert("code".into(), code.as_str().into());
    }
    Json::Object(out)
}

fn floats(floats: &Floats) -> Json {
    match floats {
        Floats::One(value) => float(*value),
        Floats::Each(values) => values.iter().map(|value| float(*value)).collect(),
    }
}

fn attributions(record: &Opened, attributions: &Attributions) -> Json {
    let rows = attribution_rows(attributions);
    let names = attributions.features_of(&record.schema).unwrap_or_default();
    let row = |values: &Vec<f64>| match attributions.tensor.shape.len() {
        1 => values.first().map_or(Json::Null, |value| float(*value)),
        _ => values.iter().map(|value| float(*value)).collect(),
    };
    let mut object = Object::new();
    for (name, values) in names.iter().zip(&rows) {
        object.insert(feature_name(name), row(values));
    }
    if object.len() == rows.len() {
        return Json::Object(object);
    }
    // Two features of one name, or names that are not known: an object cannot hold them.
    let name = |place: usize| {
        names.get(place).map_or_else(|| Json::from(place.to_string()), |name| feature_name(name).into())
    };
    rows.iter().enumerate().map(|(place, values)| json!([name(place), row(values)])).collect()
}

/// A feature as it is called in JSON and on pages: an input by its name alone.
pub(crate) fn feature_name(feature: &Feature) -> String {
    match feature {
        Feature::Name(name) => name.clone(),
        Feature::Path(path) => match path.parts().collect::<Vec<_>>().as_slice() {
            ["inputs", name] => (*name).to_owned(),
            _ => path.to_string(),
        },
    }
}

/// The attributions of each feature, one number for each output.
pub(crate) fn attribution_rows(attributions: &Attributions) -> Vec<Vec<f64>> {
    let tensor = &attributions.tensor;
    let count = tensor.shape.first().map_or(0, |count| usize::try_from(*count).unwrap_or(0));
    let width = match tensor.shape.get(1) {
        Some(width) => usize::try_from(*width).unwrap_or(0),
        None => 1,
    };
    let values: Vec<f64> = elements(tensor).filter_map(|element| element.as_float()).collect();
    (0..count).map(|row| values.iter().skip(row * width).take(width).copied().collect()).collect()
}

/// The value of a field, so that reading it again gives a field of the same type.
pub fn field_value(field_type: &FieldType, encoded: &[u8]) -> Json {
    let Ok(decoded) = Value::decode(field_type, encoded) else {
        // Values are checked when they are stored and when they are read; shown all the same.
        return json!({ "$bytes": BASE64.encode(encoded) });
    };
    match field_type {
        FieldType::DateTime if let Value::Timestamp(at) = decoded => {
            json!({ "$datetime": instant::write_datetime(at) })
        }
        FieldType::Truncated(truncation) if !matches!(decoded, Value::Null) => {
            let kept = match truncation.of() {
                FieldType::DateTime => field_value(&FieldType::DateTime, encoded),
                _ => value(&decoded),
            };
            typed(field_type, kept)
        }
        FieldType::F32 if let Value::Float(single) = decoded => typed(field_type, float32(single as f32)),
        _ if decoded.natural_type() == *field_type => value(&decoded),
        _ => typed(field_type, value(&decoded)),
    }
}

fn typed(field_type: &FieldType, value: Json) -> Json {
    json!({ "$typed": { "type": field_type.to_string(), "value": value } })
}

/// A value by itself: within a list or map, where no type is known.
pub(crate) fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => integer(*value),
        Value::Float(value) => float(*value),
        Value::Decimal { exponent, mantissa } => json!({ "$decimal": decimal(*exponent, *mantissa) }),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => json!({ "$bytes": BASE64.encode(bytes) }),
        Value::Timestamp(at) => json!({ "$timestamp": instant::write_timestamp(*at) }),
        Value::Date(days) => json!({ "$date": instant::write_date(*days) }),
        Value::Duration(span) => json!({ "$duration": instant::write_duration(*span) }),
        Value::List(items) => items.iter().map(self::value).collect(),
        Value::Map(map) => self::map(map),
        Value::Tensor(tensor) => json!({ "$tensor": self::tensor(tensor) }),
        Value::Blob(blob) => json!({ "$blob": {
            "media_type": blob.media_type,
            "length": integer(blob.length.into()),
            "id": hex(&blob.id),
            "sha256": hex(&blob.digest),
        } }),
    }
}

fn map(map: &Map) -> Json {
    let object: Object<String, Json> = map.iter().map(|(key, item)| (key.to_owned(), value(item))).collect();
    if map.iter().any(|(key, _)| key.starts_with('$')) {
        json!({ "$map": object })
    } else {
        Json::Object(object)
    }
}

pub(crate) fn integer(value: Integer) -> Json {
    let value = value.get();
    if (-EXACT_MAX..=EXACT_MAX).contains(&value) {
        Json::from(value as i64)
    } else {
        json!({ "$integer": value.to_string() })
    }
}

pub(crate) fn float(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or_else(|| json!({ "$float": float_name(value) }), Json::Number)
}

/// The shortest digits that give this single float again.
pub(super) fn float32(value: f32) -> Json {
    if value.is_finite() {
        float(value.to_string().parse().unwrap_or(f64::from(value)))
    } else {
        float(f64::from(value))
    }
}

/// Digits with a point while that stays short, else with an exponent.
pub fn decimal(exponent: i32, mantissa: Integer) -> String {
    const ZEROS_MAX: usize = 40;
    let places = usize::try_from(-i64::from(exponent)).unwrap_or(0);
    if exponent > 0 || places > ZEROS_MAX {
        return format!("{mantissa}E{exponent}");
    }
    if places == 0 {
        return mantissa.to_string();
    }
    let digits = format!("{:0width$}", mantissa.get().unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if mantissa.get() < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

fn tensor(tensor: &Tensor) -> Json {
    let mut out = Object::new();
    out.insert("dtype".into(), tensor.element.name().into());
    out.insert("shape".into(), tensor.shape.iter().map(|dimension| integer((*dimension).into())).collect());
    let count = tensor.data.len() / tensor.element.size();
    // The bits of a NaN are kept in a tensor; as a number they would be lost.
    if count <= ELEMENTS_PRINTED && elements(tensor).all(|element| element.is_finite()) {
        out.insert("data".into(), elements(tensor).map(Number::json).collect());
    } else {
        out.insert("base64".into(), BASE64.encode(&tensor.data).into());
    }
    Json::Object(out)
}
