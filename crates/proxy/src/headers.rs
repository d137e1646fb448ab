//! Headers on their way through: what belongs to one connection stays there (RFC 9110, section 7.6.1), all else passes in its order. And what is read
//! of them for records.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::limits::NAME_BYTES_MAX;

/// The ids of a call's decisions, in its answer.
pub(crate) const DECISION_ID: HeaderName = HeaderName::from_static("minutebook-decision-id");

/// How many decisions a call was, when it was more than one.
pub(crate) const DECISION_COUNT: HeaderName = HeaderName::from_static("minutebook-decision-count");

/// How much of a body is JSON, of the binary extension of the Open Inference Protocol.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The headers that go on. `host` replaces that of the client.
pub(crate) fn to_pass(headers: &HeaderMap, host: Option<&HeaderValue>) -> HeaderMap {
    let named: Vec<String> = tokens(headers, &CONNECTION).map(str::to_ascii_lowercase).collect();
    let mut passed = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        if matches!(*name, CONNECTION | TRANSFER_ENCODING | UPGRADE)
            || *name == KEEP_ALIVE
            || *name == PROXY_CONNECTION
        {
            continue;
        }
        if *name == TE {
            // Said anew for each connection, and trailers are passed on.
            if tokens(headers, &TE).any(|word| word.eq_ignore_ascii_case("trailers"))
                && !passed.contains_key(TE)
            {
                passed.insert(TE, HeaderValue::from_static("trailers"));
            }
            continue;
        }
        if named.iter().any(|word| word == name.as_str()) {
            continue;
        }
        match host {
            Some(host) if *name == HOST => passed.insert(HOST, host.clone()).map_or((), drop),
            _ => drop(passed.append(name.clone(), value.clone())),
        }
    }
    passed
}

/// The words of a header that is a list.
pub(crate) fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

/// What the headers of a request or an answer say about its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    pub(crate) content_type: String,
    pub(crate) encodings: Vec<String>,
    pub(crate) json_bytes: Option<usize>,
}

impl Described {
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        let json_bytes =
            headers.get(JSON_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            content_type: content_type.to_owned(),
            encodings: tokens(headers, &CONTENT_ENCODING).map(str::to_ascii_lowercase).collect(),
            json_bytes,
        }
    }

    pub(crate) fn is_events(&self) -> bool {
        self.content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("text/event-stream")
    }
}

/// The text of a header that names somebody; an empty or overlong one, or one that is there twice, names nobody.
pub(crate) fn named(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    (!text.is_empty() && text.len() <= NAME_BYTES_MAX).then(|| text.to_owned())
}

/// Trace and span of W3C Trace Context (section 3.2); nothing when they are not as it says.
pub(crate) fn trace(headers: &HeaderMap) -> Option<([u8; 16], [u8; 8])> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?.trim();
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = version == "00";
    if hex::<1>(version)? == [0xff] || hex::<1>(flags).is_none() || (is_known && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (hex::<16>(trace)?, hex::<8>(span)?);
    (trace != [0; 16] && span != [0; 8]).then_some((trace, span))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if bytes.len() != 2 * N {
        return None;
    }
    let mut found = [0; N];
    for (byte, two) in found.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(two[0])? << 4 | digit(two[1])?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let sent = headers(&[
            ("host", "proxy"),
            ("x-a", "1"),
            ("connection", "close, X-Hop"),
            ("x-hop", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-connection", "x"),
            ("authorization", "Bearer k"),
            ("x-b", "3"),
        ]);
        let host = HeaderValue::from_static("upstream");
        let passed = to_pass(&sent, Some(&host));
        let names: Vec<(&str, &str)> =
            passed.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            names,
            [
                ("host", "upstream"),
                ("x-a", "1"),
                ("te", "trailers"),
                ("authorization", "Bearer k"),
                ("x-b", "3")
            ]
        );
        assert_eq!(to_pass(&headers(&[("host", "h"), ("te", "gzip")]), None), headers(&[("host", "h")]));
    }

    #[test]
    fn a_trace_is_read_as_the_standard_says() {
        let of = |text: &'static str| trace(&headers(&[("traceparent", text)]));
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(good).map(|(_, span)| span), Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert!(of("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        for wrong in [
            "nonsense",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn who_is_named_twice_or_at_length_is_nobody() {
        let name = HeaderName::from_static("x-who");
        assert_eq!(named(&headers(&[("x-who", " p-7 ")]), &name).as_deref(), Some("p-7"));
        for nobody in [&[("x-who", "a"), ("x-who", "b")][..], &[("x-who", "")], &[]] {
            assert_eq!(named(&headers(nobody), &name), None);
        }
    }
}
