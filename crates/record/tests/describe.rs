//! Values as the vectors describe them: JSON where JSON can say it, else an object with one member.

use minutebook_record::fields::{
    Attributions, Batch, Event, ExplanationMeta, Feature, Floats, Kept, ModelRef, Space, Subjects, When,
};
use minutebook_record::{Blob, Integer, Map, Path, RecordId, Seconds, Tensor, Value};
use serde_json::Value as Json;

pub(crate) fn hex(json: &Json) -> Vec<u8> {
    let digits = json.as_str().expect("hex").as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("valid"), 16).expect("hex"))
        .collect()
}

pub(crate) fn fixed<const N: usize>(json: &Json) -> [u8; N] {
    hex(json).try_into().expect("length")
}

pub(crate) fn text(json: &Json) -> &str {
    json.as_str().expect("text")
}

pub(crate) fn list(json: &Json) -> &[Json] {
    json.as_array().expect("array")
}

pub(crate) fn path(json: &Json) -> Path {
    Path::new(list(json).iter().map(text)).expect("path")
}

/// Text, number, or a number as text.
fn number<T: TryFrom<i128>>(json: &Json) -> T {
    let digits = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    T::try_from(digits.parse::<i128>().expect("number")).ok().expect("range")
}

fn integer(json: &Json) -> Integer {
    number(json)
}

fn float(json: &Json) -> f64 {
    f64::from_be_bytes(fixed(json))
}

fn seconds(json: &Json) -> Seconds {
    Seconds::new(number(&json[0]), number(&json[1])).expect("nanoseconds")
}

fn map(json: &Json) -> Map {
    Map::new(list(json).iter().map(|pair| (text(&pair[0]).to_owned(), value(&pair[1])))).expect("keys")
}

fn tensor(json: &Json) -> Tensor {
    Tensor {
        element: text(&json["element"]).parse().expect("element"),
        shape: list(&json["shape"]).iter().map(number).collect(),
        data: hex(&json["data"]),
    }
}

fn optional<'j, T>(json: &'j Json, read: impl FnOnce(&'j Json) -> T) -> Option<T> {
    (!json.is_null()).then(|| read(json))
}

fn value(json: &Json) -> Value {
    let object = match json {
        Json::Null => return Value::Null,
        Json::Bool(value) => return Value::Bool(*value),
        Json::String(value) => return Value::Text(value.clone()),
        Json::Object(object) => object,
        other => panic!("no value: {other}"),
    };
    let (kind, content) = object.iter().next().expect("one member");
    match kind.as_str() {
        "int" => Value::Integer(integer(content)),
        "float" => Value::Float(float(content)),
        "repeat" => Value::Text(text(&content[0]).repeat(number(&content[1]))),
        "bytes" => Value::Bytes(hex(content)),
        "decimal" => Value::Decimal { exponent: number(&content[0]), mantissa: integer(&content[1]) },
        "timestamp" => Value::Timestamp(seconds(content)),
        "duration" => Value::Duration(seconds(content)),
        "date" => Value::Date(number(content)),
        "list" => Value::List(list(content).iter().map(value).collect()),
        "map" => Value::Map(map(content)),
        "tensor" => Value::Tensor(tensor(content)),
        "blob" => Value::Blob(Blob {
            media_type: text(&content["media_type"]).to_owned(),
            length: number(&content["length"]),
            id: fixed(&content["id"]),
            digest: fixed(&content["digest"]),
        }),
        other => panic!("no value: {other}"),
    }
}

fn floats(json: &Json) -> Floats {
    match json {
        Json::Array(values) => Floats::Each(values.iter().map(float).collect()),
        one => Floats::One(float(one)),
    }
}

fn event(json: &Json) -> Event {
    Event {
        time_ns: number(&json["time_ns"]),
        clock_error_ns: optional(&json["clock_error_ns"], number),
        duration_ns: optional(&json["duration_ns"], number),
        status: text(&json["status"]).to_owned(),
        trace: optional(&json["trace"], fixed),
        span: optional(&json["span"], fixed),
        batch: optional(&json["batch"], |batch| Batch {
            call: fixed(&batch["call"]),
            row: number(&batch["row"]),
            rows: number(&batch["rows"]),
        }),
        kept: optional(&json["kept"], |kept| Kept {
            rule: text(&kept["rule"]).to_owned(),
            rate: optional(&kept["rate"], float),
        }),
        links: list(&json["links"]).iter().map(|id| RecordId::from_bytes(fixed(id)).expect("id")).collect(),
    }
}

fn explanation(json: &Json) -> ExplanationMeta {
    ExplanationMeta {
        method: text(&json["method"]).to_owned(),
        library: text(&json["library"]).to_owned(),
        parameters: map(&json["parameters"]),
        seed: optional(&json["seed"], integer),
        background: optional(&json["background"], fixed),
        space: optional(&json["space"], |space| Space::from_name(text(space)).expect("space")),
        class: value(&json["class"]),
        base: optional(&json["base"], floats),
        residual: optional(&json["residual"], floats),
        when: if text(&json["when"]) == "later" { When::Later } else { When::Inline },
        duration_ns: optional(&json["duration_ns"], number),
    }
}

/// The encoding of what is described, unchecked. System fields are written by their own types.
pub(crate) fn encode(json: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    match json
        .as_object()
        .and_then(|object| object.iter().next())
        .map(|(kind, content)| (kind.as_str(), content))
    {
        Some(("event", content)) => event(content).write(&mut out),
        Some(("explanation", content)) => explanation(content).write(&mut out),
        Some(("subject", content)) => {
            Subjects(list(content).iter().map(|subject| text(subject).to_owned()).collect()).write(&mut out);
        }
        Some(("model", content)) => ModelRef {
            name: text(&content["name"]).to_owned(),
            version: text(&content["version"]).to_owned(),
            artifact: optional(&content["artifact"], fixed),
        }
        .write(&mut out),
        Some(("attributions", content)) => Attributions {
            features: optional(&content["features"], |features| {
                let feature = |json: &Json| match json {
                    Json::Array(_) => Feature::Path(path(json)),
                    name => Feature::Name(text(name).to_owned()),
                };
                list(features).iter().map(feature).collect()
            }),
            tensor: tensor(&content["tensor"]),
        }
        .write(&mut out),
        _ => value(json).write(&mut out),
    }
    out
}
