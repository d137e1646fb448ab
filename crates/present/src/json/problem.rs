//! What is wrong with a record in JSON, where in it, and what to do. Edge: names of members and positions,
//! never a value.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// A reason to refuse a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From the inside out: filled while the error travels up.
    path: Vec<Step>,
    what: Cow<'static, str>,
    remedy: Option<Cow<'static, str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

/// Characters of a name that are shown: enough to find it.
const NAME_CHARACTERS_SHOWN: usize = 80;

impl Problem {
    /// Something is wrong with the value at hand.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { path: Vec::new(), what: what.into(), remedy: None }
    }

    /// And this can be done about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// It is in the member of this name.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        self.path.push(Step::Member(name.to_owned()));
        self
    }

    /// It is in the item of this number, from 0.
    #[must_use]
    pub fn within_item(mut self, place: usize) -> Self {
        self.path.push(Step::Item(place));
        self
    }

    /// Where it is, such as `inputs.amount` or `links[2]`; empty for the record as a whole.
    pub fn path(&self) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Member(name) if is_plain(name) => {
                    let dot = if text.is_empty() { "" } else { "." };
                    let _ = write!(text, "{dot}{}", shorten(name));
                }
                Step::Member(name) => {
                    let _ = write!(text, "[\"{}\"]", shorten(name).escape_debug());
                }
                Step::Item(place) => {
                    let _ = write!(text, "[{place}]");
                }
            }
        }
        text
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What can be done, where that is known.
    pub fn to_do(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

fn shorten(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_CHARACTERS_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// Place and reason, without the remedy, which stands on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "`{}`: {}", self.path(), self.what)
        }
    }
}

impl std::error::Error for Problem {}

/// Adds the place to an error on its way up.
pub(crate) trait Within<T> {
    fn within(self, name: &str) -> Result<T, Problem>;
    fn within_item(self, place: usize) -> Result<T, Problem>;
}

impl<T> Within<T> for Result<T, Problem> {
    #[inline]
    fn within(self, name: &str) -> Self {
        self.map_err(|problem| problem.within(name))
    }

    #[inline]
    fn within_item(self, place: usize) -> Self {
        self.map_err(|problem| problem.within_item(place))
    }
}
