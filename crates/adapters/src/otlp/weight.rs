//! What a message of OTLP will take in memory, told from its bytes before it is read: an attribute of two bytes becomes a hundred. Edge: knows which
//! fields hold messages, as protobuf numbers them and as JSON names them; whether the rest is right is for who reads it.

use std::fmt;
use std::mem::size_of;

use minutebook_present::json::Problem;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::MESSAGE_MEMORY_MAX;

/// What is weighed of a message: its own size, and the fields that hold others.
pub(super) struct Shape {
    size: usize,
    fields: &'static [Field],
}

struct Field {
    number: u64,
    name: &'static str,
    of: Of,
}

#[derive(Clone, Copy)]
enum Of {
    One(&'static Shape),
    Many(&'static Shape),
    Texts,
}

const fn one(number: u64, name: &'static str, of: &'static Shape) -> Field {
    Field { number, name, of: Of::One(of) }
}

const fn many(number: u64, name: &'static str, of: &'static Shape) -> Field {
    Field { number, name, of: Of::Many(of) }
}

const fn texts(number: u64, name: &'static str) -> Field {
    Field { number, name, of: Of::Texts }
}

const fn shape<T>(fields: &'static [Field]) -> Shape {
    Shape { size: size_of::<T>(), fields }
}

pub(super) static TRACES: Shape =
    shape::<ExportTraceServiceRequest>(&[many(1, "resourceSpans", &RESOURCE_SPANS)]);
pub(super) static LOGS: Shape = shape::<ExportLogsServiceRequest>(&[many(1, "resourceLogs", &RESOURCE_LOGS)]);

static RESOURCE_SPANS: Shape =
    shape::<ResourceSpans>(&[one(1, "resource", &RESOURCE), many(2, "scopeSpans", &SCOPE_SPANS)]);
static SCOPE_SPANS: Shape = shape::<ScopeSpans>(&[one(1, "scope", &SCOPE), many(2, "spans", &SPAN)]);
static SPAN: Shape = shape::<Span>(&[
    many(9, "attributes", &PAIR),
    many(11, "events", &EVENT),
    many(13, "links", &LINK),
    one(15, "status", &STATUS),
]);
static EVENT: Shape = shape::<Event>(&[many(3, "attributes", &PAIR)]);
static LINK: Shape = shape::<Link>(&[many(4, "attributes", &PAIR)]);
static STATUS: Shape = shape::<Status>(&[]);

static RESOURCE_LOGS: Shape =
    shape::<ResourceLogs>(&[one(1, "resource", &RESOURCE), many(2, "scopeLogs", &SCOPE_LOGS)]);
static SCOPE_LOGS: Shape = shape::<ScopeLogs>(&[one(1, "scope", &SCOPE), many(2, "logRecords", &LOG)]);
static LOG: Shape = shape::<LogRecord>(&[one(5, "body", &ANY), many(6, "attributes", &PAIR)]);

static RESOURCE: Shape = shape::<Resource>(&[many(1, "attributes", &PAIR), many(3, "entityRefs", &ENTITY)]);
static ENTITY: Shape = shape::<EntityRef>(&[texts(3, "idKeys"), texts(4, "descriptionKeys")]);
static SCOPE: Shape = shape::<InstrumentationScope>(&[many(3, "attributes", &PAIR)]);
static PAIR: Shape = shape::<KeyValue>(&[one(2, "value", &ANY)]);
static ANY: Shape = shape::<AnyValue>(&[one(5, "arrayValue", &ARRAY), one(6, "kvlistValue", &LIST)]);
static ARRAY: Shape = shape::<ArrayValue>(&[many(1, "values", &ANY)]);
static LIST: Shape = shape::<KeyValueList>(&[many(1, "values", &PAIR)]);

/// What an allocation takes at least, and what a reader of JSON keeps of a value while it does not know what it is.
const PIECE: usize = 32;

/// Places that a list has room for once it holds anything.
const FIRST_PLACES: usize = 4;

/// Messages within each other that prost reads; what is deeper it refuses.
const DEPTH_MAX: usize = 100;

/// What is left of what a message may take.
struct Left(usize);

struct TooMuch;

impl Left {
    fn take(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(bytes).ok_or(TooMuch)?;
        Ok(())
    }

    /// An item of a list, which may have room for twice as many as it holds.
    fn item(&mut self, size: usize, is_first: bool) -> Result<(), TooMuch> {
        self.take(size * if is_first { FIRST_PLACES } else { 2 })
    }
}

/// Refuses what would take more than [`MESSAGE_MEMORY_MAX`]. Bytes that are no message pass: who reads them says so.
pub(super) fn check_protobuf(shape: &'static Shape, bytes: &[u8]) -> Result<(), Problem> {
    weigh(shape, bytes, DEPTH_MAX, &mut Left(MESSAGE_MEMORY_MAX)).map_err(|TooMuch| too_much())
}

fn too_much() -> Problem {
    let what = format!("what it says takes more than {} MiB when it is read", MESSAGE_MEMORY_MAX >> 20);
    Problem::new(what).remedy("send fewer spans or log records at once")
}

fn weigh(shape: &'static Shape, mut rest: &[u8], depth: usize, left: &mut Left) -> Result<(), TooMuch> {
    let mut begun = 0_u32;
    while let Some(tag) = varint(&mut rest) {
        let length = match tag & 7 {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut rest).and_then(|length| usize::try_from(length).ok()),
            5 => Some(4),
            // Groups: what is in one is looked at as if it were not.
            3 | 4 => Some(0),
            _ => None,
        };
        let Some((content, after)) = length.and_then(|length| rest.split_at_checked(length)) else { break };
        rest = after;
        if tag & 7 != 2 {
            continue;
        }
        let number = tag >> 3;
        let of = shape.fields.iter().find(|field| field.number == number).map(|field| field.of);
        let is_first = begun & 1 << (number & 31) == 0;
        begun |= 1 << (number & 31);
        match of {
            Some(Of::One(inner)) if depth > 0 => weigh(inner, content, depth - 1, left)?,
            Some(Of::Many(inner)) if depth > 0 => {
                left.item(inner.size, is_first)?;
                weigh(inner, content, depth - 1, left)?;
            }
            Some(Of::Texts) => left.item(PIECE + size_of::<String>(), is_first)?,
            _ if content.is_empty() => {}
            _ => left.take(PIECE)?,
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The same for JSON. A list where an object belongs is refused: such a list would be read as the members in order.
pub(super) fn check_json(shape: &'static Shape, bytes: &[u8]) -> Result<(), Problem> {
    let mut left = Left(MESSAGE_MEMORY_MAX);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let weighed = Weigh { place: Place::One(shape), left: &mut left }.deserialize(&mut reader);
    match weighed {
        Err(error) if error.is_data() && error.to_string().starts_with(TOO_MUCH) => Err(too_much()),
        Err(error) if error.is_data() => {
            let place = format!("at line {}, column {}", error.line(), error.column());
            Err(Problem::new(format!("an object belongs where there is something else, {place}")))
        }
        // No JSON: who reads it says so.
        _ => Ok(()),
    }
}

const TOO_MUCH: &str = "too much";

#[derive(Clone, Copy)]
enum Place {
    One(&'static Shape),
    Many(&'static Shape),
    Any,
}

struct Weigh<'l> {
    place: Place,
    left: &'l mut Left,
}

impl<'de> DeserializeSeed<'de> for Weigh<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        self.left.take(PIECE).map_err(|TooMuch| D::Error::custom(TOO_MUCH))?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigh<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { place, left } = self;
        let too_much = |TooMuch| A::Error::custom(TOO_MUCH);
        if let Place::One(shape) = place {
            // Twice: values are held as what they might be before they are what they are.
            left.take(2 * shape.size).map_err(too_much)?;
        }
        while let Some(of) = members.next_key_seed(Named(place))? {
            left.take(PIECE).map_err(too_much)?;
            let place = match of {
                Some(Of::One(shape)) => Place::One(shape),
                Some(Of::Many(shape)) => Place::Many(shape),
                Some(Of::Texts) | None => Place::Any,
            };
            members.next_value_seed(Weigh { place, left: &mut *left })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { place, left } = self;
        let inner = match place {
            Place::One(_) => return Err(A::Error::custom("a list")),
            Place::Many(shape) => Place::One(shape),
            Place::Any => Place::Any,
        };
        let mut is_first = true;
        while items.next_element_seed(Weigh { place: inner, left: &mut *left })?.is_some() {
            if let Place::One(shape) = inner {
                left.item(shape.size, is_first).map_err(|TooMuch| A::Error::custom(TOO_MUCH))?;
            }
            is_first = false;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The name of a member: what the field of that name holds.
struct Named(Place);

impl<'de> DeserializeSeed<'de> for Named {
    type Value = Option<Of>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Named {
    type Value = Option<Of>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let Place::One(shape) = self.0 else { return Ok(None) };
        Ok(shape.fields.iter().find(|field| field.name == name).map(|field| field.of))
    }
}
