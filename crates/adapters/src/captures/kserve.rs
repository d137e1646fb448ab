//! The blobs of KServe's logger: what it sends as events, as JSON objects. Edge: one line, and the calls that two halves make.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_present::json::{Problem, Tree};

use crate::cloudevents::Event;
use crate::exchange::{Call, Exchange};
use crate::foreign;
use crate::logger::{self, Logged, LoggedCall};
use crate::pairing::{Came, Matched};

/// Members of an object, and the attributes of an event that they are.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("id", "id"),
    ("sourceUri", "source"),
    ("reqType", "type"),
    ("inferenceService", "inferenceservicename"),
    ("namespace", "namespace"),
    ("component", "component"),
    ("endpoint", "endpoint"),
    ("occurrenceTime", "time"),
    ("contentType", "datacontenttype"),
];

/// Members that hold JSON: lists of headers and the like.
const OF_JSON: [&str; 2] = ["metadata", "annotations"];

pub(super) fn halves(line: &Tree<'_>) -> Result<Vec<Came<Logged>>, Problem> {
    match line {
        Tree::Array(items) => {
            let read = |(place, item)| half(item).map_err(|problem| problem.within_item(place));
            items.iter().enumerate().map(read).collect()
        }
        one => Ok(vec![half(one)?]),
    }
}

fn half(item: &Tree<'_>) -> Result<Came<Logged>, Problem> {
    let text = |name: &str| foreign::text(item, name).map(str::to_owned);
    let mut attributes = vec![("specversion", "1.0".to_owned())];
    attributes.extend(ATTRIBUTES.iter().filter_map(|(name, attribute)| Some((*attribute, text(name)?))));
    for name in OF_JSON {
        let json = foreign::get(item, name).map(|value| match value {
            Tree::Text(text) => text.to_string(),
            other => serde_json::to_string(other).unwrap_or_default(),
        });
        attributes.extend(json.map(|json| (name, json)));
    }
    let bytes = foreign::text(item, "bytes").unwrap_or_default();
    let data = BASE64.decode(bytes).map_err(|_| Problem::new("not base64").within("bytes"))?;
    logger::half(Event::of(attributes, data)?, "", 0)
}

pub(super) fn call(matched: &Matched<Logged>) -> (Call, Exchange) {
    let LoggedCall { mut call, exchange } = LoggedCall::of(matched);
    call.environment
        .iter_mut()
        .filter(|(name, _)| name == "intake")
        .for_each(|(_, value)| *value = Tree::Text("file".into()));
    // A file that has no times says nothing of when: the time of recording counts.
    call.time_ns = call.time_ns.filter(|ns| *ns != 0);
    (call, exchange)
}
