//! The events of KServe's inference logger and of MLServer: halves of calls, and the calls that two of them make. Edge: what the attributes mean; how
//! events travel is in `cloudevents`, who belongs to whom in `pairing`.

use std::borrow::Cow;

use minutebook_present::json::{Members, Problem, Tree};
use minutebook_sha256::digest;

use crate::cloudevents::Event;
use crate::exchange::{Call, Exchange, Version, VersionFrom};
use crate::foreign::{self, owned};
use crate::pairing::{Came, Half, Key, Matched};
use crate::payload;
use crate::print::Print;

/// Types of events, with what they are and who sends them.
const TYPES: [(&str, Half, &str); 4] = [
    ("org.kubeflow.serving.inference.request", Half::Request, "KServe"),
    ("org.kubeflow.serving.inference.response", Half::Answer, "KServe"),
    ("io.seldon.serving.inference.request", Half::Request, "MLServer"),
    ("io.seldon.serving.inference.response", Half::Answer, "MLServer"),
];

/// One half of a call as an event told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    event: Event,
    sender: &'static str,
    /// When it was taken, in ns since 1970: the time of an event that has none.
    taken_ns: i64,
    /// Number of the entry that keeps it, where one does.
    entry: Option<u64>,
}

impl Logged {
    /// What was sent.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// When it was taken, in ns since 1970.
    pub fn taken_ns(&self) -> i64 {
        self.taken_ns
    }

    /// Number of the entry that keeps it, where one does.
    pub fn entry(&self) -> Option<u64> {
        self.entry
    }

    /// Says which entry keeps it from now on.
    pub fn kept_in(&mut self, entry: u64) {
        self.entry = Some(entry);
    }
}

/// Who sent a half, as [`half()`] was told.
pub fn sent_by(came: &Came<Logged>) -> &str {
    came.key.0.first().map_or("", String::as_str)
}

/// Under which the call of a half is known again, whatever else belongs to it: of who sent it, what it says, and when it was taken.
pub fn mark(came: &Came<Logged>) -> String {
    let print = identity("half", came).signed(came.content.taken_ns);
    format!("half {}", print.digits())
}

/// What a half is of, and what it says.
fn identity(kind: &str, came: &Came<Logged>) -> Print {
    let print = came.key.0.iter().fold(Print::of(kind), |print, part| print.text(part));
    print.unsigned((came.half == Half::Answer).into()).unsigned(came.print)
}

/// Reads an event; `of` is who sent it, in whatever way that is known: what two senders say never meets.
///
/// # Errors
/// When it is of a type that is not read here.
pub fn half(event: Event, of: &str, taken_ns: i64) -> Result<Came<Logged>, Problem> {
    let kind = event.get("type").unwrap_or_default();
    let Some((_, half, sender)) = TYPES.iter().find(|(name, ..)| *name == kind).copied() else {
        let known = TYPES.map(|(name, ..)| name).join(", ");
        return Err(Problem::new("events of this type are not read")
            .remedy(format!("known types: {known}"))
            .within("type"));
    };
    let attribute = |name: &str| event.get(name).unwrap_or_default().to_owned();
    let mut key = vec![of.to_owned(), sender.to_owned()];
    key.extend(["source", "inferenceservicename", "namespace", "component", "endpoint", "id"].map(attribute));
    let print = Print::of("data").maybe(event.get("time"), Print::text).bytes(&digest(&event.data));
    let bytes = event.data.len() + key.iter().map(String::len).sum::<usize>() + 1_024;
    Ok(Came {
        key: Key(key),
        half,
        print: print.number(),
        bytes,
        content: Logged { event, sender, taken_ns, entry: None },
    })
}

/// What a call was, and whom to ask for the version of its model.
#[derive(Debug, Clone)]
pub struct LoggedCall {
    /// Its records, but for a version that is known elsewhere.
    pub call: Call,
    /// What request and answer say.
    pub exchange: Exchange,
}

impl LoggedCall {
    /// Reads both halves, or the one that there is.
    pub fn of(matched: &Matched<Logged>) -> Self {
        let data = |half: &Option<Came<Logged>>| half.as_ref().map(|came| came.content.event.data.clone());
        let (request, answer) = (data(&matched.request), data(&matched.answer));
        let exchange = payload::exchange(request.as_deref(), answer.as_deref());
        Self { call: call(matched, &exchange), exchange }
    }

    /// The same without what the model was asked and answered: for what is larger than a record may be.
    pub fn without_content(matched: &Matched<Logged>) -> Self {
        let length = |half: &Option<Came<Logged>>| half.as_ref().map(|came| came.content.event.data.len());
        let mut found = Self::of(matched);
        found.exchange = payload::too_large(length(&matched.request), length(&matched.answer));
        let left_out = (Cow::Borrowed("left_out"), Tree::Text("larger than a record may be".into()));
        found.call.environment.push(left_out);
        found
    }
}

fn call(matched: &Matched<Logged>, exchange: &Exchange) -> Call {
    let halves = || matched.request.iter().chain(&matched.answer).map(|came| &came.content);
    let attribute =
        |name: &str| halves().find_map(|half| half.event.get(name)).filter(|text| !text.is_empty());
    let model = exchange.model.as_deref().or(attribute("modelid")).or(attribute("inferenceservicename"));
    let version = match &exchange.version {
        Some(version) => Version::known(version, VersionFrom::Answer),
        None => Version::unknown(),
    };
    let mut call = Call::new(model.unwrap_or("unknown"), version, id(matched));
    let time = |half: &Option<Came<Logged>>| half.as_ref().and_then(|came| came.content.event.time_ns());
    let (asked, answered) = (time(&matched.request), time(&matched.answer));
    call.time_ns = asked.or(answered).or_else(|| halves().map(|half| half.taken_ns).min());
    call.duration_ns = match (asked, answered) {
        (Some(asked), Some(answered)) => {
            answered.checked_sub(asked).and_then(|span| u64::try_from(span).ok())
        }
        _ => None,
    };
    if matched.request.is_none() {
        call.status = Some("no request".to_owned());
    }
    (call.trace, call.span) = attribute("traceparent").and_then(trace_parent).unzip();
    call.environment = environment(matched, attribute);
    call
}

/// Whose rows are of one call; the same for the same two halves.
fn id(matched: &Matched<Logged>) -> [u8; 16] {
    let halves = matched.request.iter().chain(&matched.answer);
    halves.fold(Print::of("call"), |print, came| print.bytes(&identity("half", came).id())).id()
}

/// The ids in a `traceparent` (W3C Trace Context, section 3.2).
fn trace_parent(text: &str) -> Option<([u8; 16], [u8; 8])> {
    let mut parts = text.split('-');
    let (_, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0 && trace.len() == 32)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0 && span.len() == 16)?;
    Some((trace.to_be_bytes(), span.to_be_bytes()))
}

/// Attributes that are kept, each under its name in the record.
const KEPT: [(&str, &str); 6] = [
    ("id", "event_id"),
    ("source", "source"),
    ("inferenceservicename", "service"),
    ("namespace", "namespace"),
    ("component", "component"),
    ("endpoint", "endpoint"),
];

/// Headers that are never kept, whatever a logger was told to send.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

fn environment<'e>(
    matched: &Matched<Logged>,
    attribute: impl Fn(&str) -> Option<&'e str>,
) -> Members<'static> {
    let alone = match (&matched.request, &matched.answer) {
        (Some(_), None) => Some(Half::Request),
        (None, Some(_)) => Some(Half::Answer),
        _ => None,
    };
    let sender = matched.request.iter().chain(&matched.answer).map(|came| came.content.sender).next();
    let mut found: Members<'static> = vec![
        (Cow::Borrowed("intake"), Tree::Text("CloudEvents".into())),
        (Cow::Borrowed("sender"), owned(sender.unwrap_or_default())),
        (Cow::Borrowed("paired"), Tree::Text(matched.how.words(alone).into())),
    ];
    found
        .extend(KEPT.iter().filter_map(|(name, kept)| Some((Cow::Borrowed(*kept), owned(attribute(name)?)))));
    for name in ["metadata", "annotations"] {
        let Some(text) = attribute(name) else { continue };
        let Ok(tree) = Tree::parse(text.as_bytes()) else { continue };
        let mut members = foreign::members(&tree);
        members.retain(|(name, _)| !SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        if !members.is_empty() {
            found.push((Cow::Borrowed(name), foreign::value(&Tree::Object(members))));
        }
    }
    found
}

#[cfg(test)]
mod tests;
