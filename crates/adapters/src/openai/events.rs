//! Server-sent events (HTML Standard, section 9.2.6) of a stream that ended or broke off. Edge: events and their data; what they mean is not known
//! here.

/// The data of each event, in order. An event that is not ended by an empty line is left out, as a client does.
pub(super) fn data(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    for line in lines(stream) {
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(value) = value(line, b"data") {
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                none => *none = Some(value.to_vec()),
            }
        }
    }
    events
}

/// The value of the field of this name.
fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

/// Lines that are ended: by a line feed, a carriage return, or both.
fn lines(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        let line = &rest[..end];
        let both = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(both)..];
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::data;

    #[test]
    fn events_as_the_standard_says() {
        let stream = b"\xef\xbb\xbf: a word\nevent: x\ndata: one\ndata:two\n\ndata\n\nid: 7\n\r\ndata: three\r\n\r\ndata: cut";
        let found = data(stream);
        assert_eq!(found, [&b"one\ntwo"[..], b"", b"three"]);
        assert_eq!(data(b"data: a\r\rdata:  b\n\n"), [&b"a"[..], b" b"]);
        assert!(data(b"").is_empty());
    }
}
