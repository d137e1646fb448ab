//! Retention settings (`docs/formats/retention.md`): what each class keeps at least, what is disposed of when, and which class a model belongs
//! to. Edge: reads the text and computes dates; which records there are, and what becomes of them, is the engine's business.

mod span;

pub use span::{PRESETS, Preset, Span, Spans};

use crate::limits;
use crate::sampling::{OneOrMany, fits};
use minutebook_record::ClassName;
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

const FORMAT: &str = "minutebook/retention/1";

/// `policy / what` of the record that puts settings in force.
pub const RETENTION: &str = "retention";

/// The class of the trail's own account, which is kept for ever.
const SYSTEM: &str = "system";

/// Settings as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The classes, in order.
    pub classes: Vec<ClassRule>,
    /// Models that belong to a class, whichever their records are in.
    pub models: Vec<ModelClass>,
}

/// One `[[class]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRule {
    /// The class.
    pub name: String,
    /// Kept at least; empty: no floor.
    pub floor: Spans,
    /// Disposed of after; empty: never.
    pub keep: Spans,
}

/// One `[[model]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelClass {
    /// Patterns of models' names; `*` stands for any text.
    pub names: Vec<String>,
    /// The class whose rules hold for them too.
    pub class: String,
}

/// Why a text is no retention settings, with the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

/// A floor that settings would shorten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undercut {
    /// The class, or the pattern of models.
    pub of: Floored,
    /// What is in force.
    pub old: Spans,
    /// What it would become.
    pub new: Spans,
}

/// Whose floor it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Floored {
    /// A class's.
    Class(String),
    /// That of the models of this pattern.
    Model(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: Spanned<String>,
    #[serde(default)]
    class: Vec<RawClass>,
    #[serde(default)]
    model: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    name: Spanned<String>,
    floor: Option<Spanned<OneOrMany>>,
    keep: Option<Spanned<OneOrMany>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Spanned<OneOrMany>,
    class: Spanned<String>,
}

impl Settings {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not what `docs/formats/retention.md` describes: with the line, and what to do.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        if text.len() > limits::RETENTION_BYTES_MAX {
            return Err(SettingsError(
                "retention settings have at most 64 KiB: use patterns for models of one kind".into(),
            ));
        }
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let newer = toml::from_str::<toml::Table>(text).ok().and_then(|table| newer(&table));
            let words = error.to_string().trim_end().to_owned();
            SettingsError(newer.map_or(words, |format| newer_words(&format)))
        })?;
        let at = |at: Range<usize>, what: String| {
            let line = text[..at.start.min(text.len())].matches('\n').count() + 1;
            SettingsError(format!("line {line}: {what}"))
        };
        if raw.format.get_ref() != FORMAT {
            if raw.format.get_ref().starts_with("minutebook/retention/") {
                return Err(SettingsError(newer_words(raw.format.get_ref())));
            }
            return Err(at(raw.format.span(), format!("`format` is not `{FORMAT}`")));
        }
        let mut settings = Self::default();
        for class in raw.class {
            let (place, name) = (class.name.span(), class.name.get_ref().clone());
            if settings.class(&name).is_some() {
                return Err(at(place, format!("there are two classes `{name}`: write one table for it")));
            }
            settings.classes.push(class.read().map_err(|(place, what)| at(place, what))?);
        }
        for model in raw.model {
            let (place, names) = (model.name.span(), model.name.into_inner().list());
            if names.is_empty() || names.iter().any(String::is_empty) {
                return Err(at(place, "`name` names no model: `\"*\"` stands for all".into()));
            }
            let (place, class) = (model.class.span(), model.class.into_inner());
            if settings.class(&class).is_none() {
                return Err(at(
                    place,
                    format!("there is no class `{class}`: write a [[class]] table for it"),
                ));
            }
            settings.models.push(ModelClass { names, class });
        }
        Ok(settings)
    }

    /// The rule of a class, when it has one.
    pub fn class(&self, name: &str) -> Option<&ClassRule> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// The rules that hold for a model's records beside that of the class that they are in.
    pub fn of_model(&self, model: &str) -> impl Iterator<Item = &ClassRule> {
        let fitting =
            self.models.iter().filter(move |known| known.names.iter().any(|name| fits(name, model)));
        fitting.filter_map(|known| self.class(&known.class))
    }

    /// Whether any floor is in force.
    pub fn has_floors(&self) -> bool {
        self.classes.iter().any(|class| !class.floor.is_empty())
    }

    /// The floors of `before` that these settings shorten: a class's, or that of a pattern of models, which is compared as a text.
    pub fn undercuts(&self, before: &Self) -> Vec<Undercut> {
        let none = Spans::default();
        let mut found = Vec::new();
        for old in before.classes.iter().filter(|class| !class.floor.is_empty()) {
            let new = self.class(&old.name).map_or(&none, |class| &class.floor);
            if !new.covers(&old.floor) {
                let of = Floored::Class(old.name.clone());
                found.push(Undercut { of, old: old.floor.clone(), new: new.clone() });
            }
        }
        for (pattern, old) in before.floors_of_patterns() {
            let known =
                || self.floors_of_patterns().filter(|(known, _)| *known == pattern).map(|(_, floor)| floor);
            // A pattern may stand in several tables; one that covers the floor is enough.
            if !known().any(|new| new.covers(old)) {
                let new = known().next().cloned().unwrap_or_default();
                found.push(Undercut { of: Floored::Model(pattern.to_owned()), old: old.clone(), new });
            }
        }
        found
    }

    fn floors_of_patterns(&self) -> impl Iterator<Item = (&str, &Spans)> {
        self.models.iter().flat_map(|model| {
            let floor = self.class(&model.class).map(|class| &class.floor).filter(|floor| !floor.is_empty());
            model.names.iter().filter_map(move |name| floor.map(|floor| (name.as_str(), floor)))
        })
    }
}

impl RawClass {
    fn read(self) -> Result<ClassRule, (Range<usize>, String)> {
        let (place, name) = (self.name.span(), self.name.into_inner());
        if ClassName::new(&name).is_err() {
            return Err((place, format!("`{name}` is no retention class")));
        }
        if name == SYSTEM {
            let what = "class `system` is the trail's own account, with its policies, erasures and disposals: it is kept for ever";
            return Err((place, what.into()));
        }
        let read = |given: Option<Spanned<OneOrMany>>, key: &str| match given {
            None => Ok(Spans::default()),
            Some(given) => {
                let at = given.span();
                Spans::read(&given.into_inner().list()).map_err(|what| (at, format!("`{key}` {what}")))
            }
        };
        let floor = read(self.floor, "floor")?;
        let keep = read(self.keep, "keep")?;
        if !keep.is_empty() && !keep.covers(&floor) {
            let what = format!(
                "class `{name}` would be disposed of after {keep}, inside its floor of {floor}: raise `keep`"
            );
            return Err((place, what));
        }
        Ok(ClassRule { name, floor, keep })
    }
}

fn newer(table: &toml::Table) -> Option<String> {
    let format = table.get("format")?.as_str()?;
    (format != FORMAT && format.starts_with("minutebook/retention/")).then(|| format.to_owned())
}

fn newer_words(format: &str) -> String {
    format!("it is of format `{format}`, and this program reads `{FORMAT}`: use a newer program")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<Settings, String> {
        Settings::parse(&format!("format = \"minutebook/retention/1\"\n{rest}"))
            .map_err(|error| error.to_string())
    }

    const CREDIT: &str =
        "[[class]]\nname=\"credit\"\nfloor=[\"eu-ai-act\", \"25 months\"]\nkeep=\"3 years\"\n";

    #[test]
    fn settings_are_read() {
        let settings = parse(&format!("{CREDIT}[[model]]\nname=\"credit-*\"\nclass=\"credit\"")).unwrap();
        assert_eq!(
            settings.class("credit").unwrap().floor.to_string(),
            "6 months (eu-ai-act), 25 months (ecoa)"
        );
        assert_eq!(settings.of_model("credit-risk").count(), 1);
        assert_eq!(settings.of_model("churn").count(), 0);
        assert!(parse("").unwrap().classes.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |rest: &str, words: &str| {
            let told = parse(rest).unwrap_err();
            assert!(told.contains(words), "{told}");
        };
        wrong("[[class]]\nname=\"system\"", "line 3: class `system` is the trail's own");
        wrong("[[class]]\nname=\"UPPER\"", "line 3: `UPPER` is no retention class");
        wrong("[[class]]\nname=\"a\"\nkeep=\"soon\"", "line 4: `keep` `soon` is no span");
        wrong("[[class]]\nname=\"a\"\nkeep=\"0 days\"", "is no span");
        wrong("[[class]]\nname=\"a\"\nkeep=[]", "names no span");
        wrong("[[class]]\nname=\"a\"\nkep=\"1 day\"", "unknown field `kep`");
        wrong(
            "[[class]]\nname=\"a\"\nfloor=\"1 year\"\nkeep=\"6 months\"",
            "inside its floor of 1 year: raise `keep`",
        );
        wrong("[[class]]\nname=\"a\"\n[[class]]\nname=\"a\"", "two classes `a`");
        wrong("[[model]]\nname=\"m\"\nclass=\"a\"", "line 4: there is no class `a`");
        wrong("[[model]]\nname=[]\nclass=\"a\"", "names no model");
        let told = |text: &str| Settings::parse(text).unwrap_err().to_string();
        assert!(told("format = \"minutebook/retention/2\"\nnew=1").contains("use a newer program"));
        assert!(told("format = \"minutebook/policy/1\"").contains("is not `minutebook/retention/1`"));
        assert!(told(&" ".repeat(limits::RETENTION_BYTES_MAX + 1)).contains("64 KiB"));
    }

    #[test]
    fn floors_that_are_shortened_are_found() {
        let before = parse(&format!("{CREDIT}[[model]]\nname=\"a\"\nclass=\"credit\"")).unwrap();
        let undercuts = |rest: &str| {
            let names = parse(rest).unwrap().undercuts(&before).into_iter().map(|found| match found.of {
                Floored::Class(name) => format!("class {name}"),
                Floored::Model(name) => format!("model {name}"),
            });
            names.collect::<Vec<_>>()
        };
        let model = "[[model]]\nname=\"a\"\nclass=\"credit\"";
        assert_eq!(undercuts(&format!("{CREDIT}{model}")), [""; 0]);
        assert_eq!(
            undercuts(&format!(
                "{}{model}",
                CREDIT.replace("25 months", "6 years").replace("3 years", "7 years")
            )),
            [""; 0]
        );
        assert_eq!(undercuts(&format!("{}{model}", CREDIT.replace("\"eu-ai-act\", ", ""))), [""; 0]);
        assert_eq!(
            undercuts(&format!("{}{model}", CREDIT.replace("25 months", "24 months"))),
            ["class credit", "model a"]
        );
        assert_eq!(undercuts(CREDIT), ["model a"]);
        assert_eq!(undercuts(""), ["class credit", "model a"]);
    }
}
