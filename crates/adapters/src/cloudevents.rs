//! CloudEvents over HTTP (versions 0.3 and 1.0; binary, structured and batched), as far as model servers send them. Edge: events and what they say;
//! which two belong together is in `pairing`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use minutebook_present::json::{Problem, Tree};

use crate::foreign;
use crate::limits::{ATTRIBUTE_BYTES_MAX, EVENTS_MAX};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Attributes, extensions among them, by their names in lower case, but for the data.
    attributes: BTreeMap<String, String>,
    /// What it carries.
    pub data: Vec<u8>,
}

/// How the events of a request are written, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes are headers, the body is the data.
    Binary,
    /// The body is one event as JSON.
    Structured,
    /// The body is an array of events as JSON.
    Batched,
}

impl Mode {
    /// That of a request with this `content-type`.
    ///
    /// # Errors
    /// When it is a form of events that is not read here.
    pub fn of(content_type: &str) -> Result<Self, Problem> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/cloudevents+json" => Ok(Self::Structured),
            "application/cloudevents-batch+json" => Ok(Self::Batched),
            other if other.starts_with("application/cloudevents") => {
                Err(Problem::new("events are read as JSON or in binary mode, and in no other form"))
            }
            _ => Ok(Self::Binary),
        }
    }
}

impl Event {
    /// The event of a request in binary mode: headers that begin with `ce-`, and the body.
    ///
    /// # Errors
    /// When an attribute that has to be there is not, or one is not what it may be.
    pub fn binary<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Result<Self, Problem> {
        let mut attributes = BTreeMap::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            if let Some(attribute) = name.strip_prefix("ce-") {
                let text = decoded(value).ok_or_else(|| Problem::new("not text in UTF-8").within(&name))?;
                attributes.insert(attribute.to_owned(), text);
            } else if name == "content-type"
                && let Ok(text) = std::str::from_utf8(value)
            {
                attributes.insert("datacontenttype".to_owned(), text.to_owned());
            }
        }
        Self { attributes, data: body.to_vec() }.checked()
    }

    /// The events of a body in a mode other than binary.
    ///
    /// # Errors
    /// What is wrong, and with which.
    pub fn structured(mode: Mode, body: &[u8]) -> Result<Vec<Self>, Problem> {
        let tree = Tree::parse(body)?;
        match (mode, &tree) {
            (Mode::Batched, Tree::Array(items)) if items.len() > EVENTS_MAX => {
                Err(Problem::new(format!("more than {EVENTS_MAX} events: send them in several requests")))
            }
            (Mode::Batched, Tree::Array(items)) => {
                let read = |(place, item)| Self::of_json(item).map_err(|problem| problem.within_item(place));
                items.iter().enumerate().map(read).collect()
            }
            (Mode::Batched, _) => Err(Problem::new("a batch is an array of events")),
            _ => Ok(vec![Self::of_json(&tree)?]),
        }
    }

    /// An event of these attributes.
    ///
    /// # Errors
    /// As with [`Event::binary`].
    pub fn of<'n>(
        attributes: impl IntoIterator<Item = (&'n str, String)>,
        data: Vec<u8>,
    ) -> Result<Self, Problem> {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { attributes, data }.checked()
    }

    fn of_json(tree: &Tree<'_>) -> Result<Self, Problem> {
        let Tree::Object(members) = tree else { return Err(Problem::new("an event is an object")) };
        let mut attributes = BTreeMap::new();
        for (name, value) in members {
            let text = match value {
                _ if matches!(&**name, "data" | "data_base64") => continue,
                Tree::Null => continue,
                Tree::Text(text) => text.to_string(),
                other => serde_json::to_string(other).unwrap_or_default(),
            };
            attributes.insert(name.to_ascii_lowercase(), text);
        }
        let encoded = foreign::text(tree, "data_base64").or_else(|| {
            // As version 0.3 has it.
            let is_encoded = foreign::text(tree, "datacontentencoding") == Some("base64");
            foreign::text(tree, "data").filter(|_| is_encoded)
        });
        let data = match (encoded, foreign::get(tree, "data")) {
            (Some(encoded), _) => {
                BASE64.decode(encoded).map_err(|_| Problem::new("not base64").within("data"))?
            }
            (None, Some(Tree::Text(text))) => text.as_bytes().to_vec(),
            (None, Some(data)) => serde_json::to_vec(data).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        Self { attributes, data }.checked()
    }

    fn checked(self) -> Result<Self, Problem> {
        match self.get("specversion") {
            Some("1.0" | "0.3") => {}
            Some(_) => return Err(Problem::new("versions 1.0 and 0.3 are read").within("specversion")),
            None => {
                let remedy =
                    "send events in binary mode with `ce-` headers, or as `application/cloudevents+json`";
                return Err(Problem::new("this is no CloudEvent: `specversion` is missing").remedy(remedy));
            }
        }
        for name in ["id", "source", "type"] {
            if self.get(name).is_none_or(str::is_empty) {
                return Err(Problem::new("the attribute is missing").within(name));
            }
        }
        if let Some((name, _)) = self.attributes.iter().find(|(_, value)| value.len() > ATTRIBUTE_BYTES_MAX) {
            let what = format!("an attribute has at most {ATTRIBUTE_BYTES_MAX} bytes");
            return Err(Problem::new(what).within(name));
        }
        if let Some(time) = self.get("time")
            && nanoseconds(time).is_none()
        {
            return Err(Problem::new("not a time as in RFC 3339, in the years 1678 to 2262").within("time"));
        }
        Ok(self)
    }

    /// Attributes and extensions, by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// An attribute or an extension.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// When it happened, in ns since 1970, where it says so.
    pub fn time_ns(&self) -> Option<i64> {
        self.get("time").and_then(nanoseconds)
    }
}

fn nanoseconds(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// The value of a header (HTTP binding of CloudEvents 1.0, section 3.1.3.2): percent-encoded UTF-8, perhaps in quotes.
fn decoded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let text = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => Cow::Owned(unescaped(quoted)),
        None => Cow::Borrowed(text),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn unescaped(quoted: &str) -> String {
    let mut characters = quoted.chars();
    std::iter::from_fn(|| match characters.next()? {
        '\\' => characters.next(),
        other => Some(other),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kserve() -> Vec<(&'static str, &'static [u8])> {
        vec![
            ("Ce-Specversion", b"1.0"),
            ("Ce-Id", b"a%20b"),
            ("Ce-Source", b"http://localhost:9081/"),
            ("Ce-Type", b"org.kubeflow.serving.inference.request"),
            ("Ce-Time", b"2026-11-22T07:00:00.5Z"),
            ("Ce-Namespace", "Zürich".as_bytes()),
            ("Content-Type", b"application/json"),
            ("Host", b"x"),
        ]
    }

    #[test]
    fn headers_are_attributes() {
        let event = Event::binary(kserve(), b"{}").unwrap();
        assert_eq!(event.get("id"), Some("a b"));
        assert_eq!(event.get("namespace"), Some("Zürich"));
        assert_eq!(event.get("datacontenttype"), Some("application/json"));
        assert_eq!((event.get("host"), event.data.as_slice()), (None, &b"{}"[..]));
        assert_eq!(event.time_ns(), Some(1_795_330_800_500_000_000));
    }

    #[test]
    fn a_body_may_be_the_event() {
        let json = br#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"a": [1, 2.0]}, "number": 5}"#;
        let [event] = &Event::structured(Mode::Structured, json).unwrap()[..] else { panic!() };
        assert_eq!((event.get("number"), event.data.as_slice()), (Some("5"), &br#"{"a":[1,2.0]}"#[..]));
        let encoded =
            r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "AP8="}"#;
        let old = r#"{"specversion": "0.3", "id": "2", "source": "/s", "type": "t", "datacontentencoding": "base64", "data": "AP8="}"#;
        let both = Event::structured(Mode::Batched, format!("[{encoded}, {old}]").as_bytes()).unwrap();
        assert!(both.iter().all(|event| event.data == [0, 255]));
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_place() {
        let without = |name: &str| {
            let left: Vec<_> = kserve().into_iter().filter(|(found, _)| *found != name).collect();
            Event::binary(left, b"").unwrap_err().to_string()
        };
        assert_eq!(without("Ce-Id"), "`id`: the attribute is missing");
        assert_eq!(without("Ce-Specversion"), "this is no CloudEvent: `specversion` is missing");
        let batch =
            br#"[{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}, {"specversion": "2.0"}]"#;
        let found = Event::structured(Mode::Batched, batch).unwrap_err().to_string();
        assert_eq!(found, "`[1].specversion`: versions 1.0 and 0.3 are read");
        let mut late = kserve();
        late[4].1 = b"yesterday";
        assert!(Event::binary(late, b"").unwrap_err().to_string().starts_with("`time`: not a time"));
        assert!(Mode::of("application/cloudevents+avro").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            name in ".{0,8}",
            value in prop::collection::vec(any::<u8>(), 0..40),
            body in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut headers = kserve();
            let name = format!("ce-{name}");
            headers.push((&name, &value));
            let _ = Event::binary(headers, &body);
            let _ = Event::structured(Mode::Structured, &body);
            let _ = Event::structured(Mode::Batched, &body);
        }
    }
}
