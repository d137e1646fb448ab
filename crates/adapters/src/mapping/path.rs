//! Patterns of paths: `/score/{model}`, where a part in braces stands for any one segment. Edge: segments as they are written, also
//! percent-encoded ones.

/// Whether a pattern is one.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let whole =
        |segment: &str| segment.strip_prefix('{').is_some_and(|rest| rest.len() > 1 && rest.ends_with('}'));
    let is_wrong = |segment: &str| segment.contains(['{', '}']) && !whole(segment);
    if !pattern.starts_with('/') {
        return Err("`path` begins with `/`".to_owned());
    }
    match pattern.split('/').find(|segment| is_wrong(segment)) {
        Some(segment) => Err(format!("`{segment}` in `path`: braces are around a whole segment")),
        None => Ok(()),
    }
}

fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = pattern.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|found| if name(wanted).is_some() { !found.is_empty() } else { found == wanted })
    });
    fits && segments.next().is_none()
}

/// The segment that stands where the pattern has `{wanted}`.
pub(super) fn part<'p>(pattern: &str, path: &'p str, wanted: &str) -> Option<&'p str> {
    pattern
        .split('/')
        .zip(path.split('/'))
        .find(|(segment, _)| name(segment) == Some(wanted))
        .map(|(_, found)| found)
}
