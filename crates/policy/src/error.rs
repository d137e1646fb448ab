//! What is wrong with a policy, and where: the line, the rule, and the place in its condition.

use std::fmt;
use std::ops::Range;

/// What is wrong with a condition, at bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Range<usize>,
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// Why a text is no policy that can be used. Printed with the line and a mark below the place, when it is about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The line of the text, from 1, when it is known.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
    /// The line that it is about, of a condition or of the text, and where in it: the first character, from 0, and how many.
    pub place: Option<(String, usize, usize)>,
}

impl PolicyError {
    /// About a place in a condition that begins at `line` of the text.
    pub(crate) fn in_condition(line: usize, rule: &str, model: &str, condition: &str, fault: &Fault) -> Self {
        let (lines, place) = place(condition, &fault.at);
        Self {
            line: Some(line + lines),
            what: format!("rule `{rule}` of `{model}`: {}", fault.what),
            place: Some(place),
        }
    }

    /// About a place in the whole text.
    pub(crate) fn in_text(source: &str, at: Range<usize>, what: String) -> Self {
        let (lines, place) = place(source, &at);
        Self { line: Some(lines + 1), what, place: Some(place) }
    }
}

/// How many lines are before a place, the line where it begins, and where in that line: the first character and how many.
fn place(text: &str, at: &Range<usize>) -> (usize, (String, usize, usize)) {
    let start = at.start.min(text.len());
    let begins = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let shown = text[begins..].lines().next().unwrap_or_default();
    let before = text[begins..start].chars().count();
    let end = at.end.clamp(start, begins + shown.len());
    let marked = text.get(start..end).map_or(1, |text| text.chars().count().max(1));
    (text[..start].matches('\n').count(), (shown.to_owned(), before, marked))
}

/// The line of a place, from 1.
pub(crate) fn line_of(source: &str, at: usize) -> usize {
    source[..at.min(source.len())].matches('\n').count() + 1
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.what)?;
        if let Some((shown, before, marked)) = &self.place {
            write!(f, "\n    {shown}\n    {}{}", " ".repeat(*before), "^".repeat(*marked))?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}
