//! The text of a sampling policy: TOML, strictly read. Edge: conditions are not understood here; where they stand is kept, so that whoever
//! reads them can point there.

use super::DEFAULT_RULE;
use super::keep::{Keep, RawRate};
use crate::limits;
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;

const FORMAT: &str = "minutebook/policy/1";

/// A policy as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyText {
    /// The tables, in order: the first that fits a decision's model and class has the rules for it.
    pub models: Vec<ModelRules>,
}

/// One `[[model]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRules {
    /// Patterns of models' names; `*` stands for any text.
    pub names: Vec<String>,
    /// Retention classes; none: all.
    pub classes: Vec<String>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// One `[[model.rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique in its table.
    pub name: String,
    /// The condition; none: always.
    pub when: Option<String>,
    /// Where the condition stands in the text, quotes included.
    pub when_at: Range<usize>,
    /// How much of those it keeps.
    pub keep: Keep,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not the TOML that the format describes; the message has line and column.
    #[error("{0}")]
    Toml(String),
    /// Of a later version.
    #[error("it is of format `{0}`, and this program reads `{FORMAT}`: use a newer program")]
    Newer(String),
    /// Something in it does not hold together.
    #[error("{what}")]
    Content {
        /// What, and what to do.
        what: String,
        /// The place in the text.
        at: Range<usize>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    format: Spanned<String>,
    #[serde(default)]
    model: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Spanned<OneOrMany>,
    class: Option<Spanned<OneOrMany>>,
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: Spanned<String>,
    when: Option<Spanned<String>>,
    keep: Option<Spanned<String>>,
    rate: Option<Spanned<RawRate>>,
    per_second: Option<Spanned<i64>>,
}

/// A name or several, as people write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl PolicyText {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not what `docs/formats/policy.md` describes.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let content = |what: &str, at: Range<usize>| TextError::Content { what: what.into(), at };
        if text.len() > limits::POLICY_BYTES_MAX {
            return Err(content("a policy has at most 64 KiB: use patterns for models of one kind", 0..0));
        }
        let raw: RawPolicy = toml::from_str(text).map_err(|error| {
            // A newer format may have anything else in it.
            match toml::from_str::<toml::Table>(text).ok().and_then(|table| newer(&table)) {
                Some(format) => TextError::Newer(format),
                None => TextError::Toml(error.to_string().trim_end().to_owned()),
            }
        })?;
        if raw.format.get_ref() != FORMAT {
            if raw.format.get_ref().starts_with("minutebook/policy/") {
                return Err(TextError::Newer(raw.format.into_inner()));
            }
            return Err(content("`format` is not `minutebook/policy/1`", raw.format.span()));
        }
        let models = raw.model.into_iter().map(RawModel::read).collect::<Result<_, _>>()?;
        Ok(Self { models })
    }

    /// The table for a decision; none when the policy says nothing about its model.
    pub fn rules_for(&self, model: &str, class: &str) -> Option<&ModelRules> {
        self.models.iter().find(|rules| rules.fits_class(class) && rules.fits_model(model))
    }

    /// All rates that a decision of this class may have been kept by, whatever its model and content.
    pub fn rates(&self, class: &str) -> Vec<f64> {
        let mut rates = Vec::new();
        for table in self.models.iter().filter(|rules| rules.fits_class(class)) {
            rates.extend(table.reachable().flat_map(|rule| rule.keep.rates()));
            if table.rules.iter().all(|rule| rule.when.is_some()) {
                rates.push(1.0);
            }
            if table.names.iter().any(|name| name == "*") {
                return rates;
            }
        }
        rates.push(1.0);
        rates
    }
}

impl ModelRules {
    /// Whether it is for models of this name.
    pub fn fits_model(&self, model: &str) -> bool {
        self.names.iter().any(|pattern| fits(pattern, model))
    }

    /// Whether it is for decisions of this class.
    pub fn fits_class(&self, class: &str) -> bool {
        self.classes.is_empty() || self.classes.iter().any(|known| known == class)
    }

    /// The rules up to the first that always decides.
    pub fn reachable(&self) -> impl Iterator<Item = &Rule> {
        let last =
            self.rules.iter().position(|rule| rule.when.is_none()).map_or(self.rules.len(), |at| at + 1);
        self.rules[..last].iter()
    }

    /// Whether a rule of this table keeps at this rate, some decision or other; the default keeps all.
    pub fn keeps_at(&self, rule: &str, rate: Option<f64>) -> bool {
        if rule == DEFAULT_RULE && self.rules.iter().all(|rule| rule.when.is_some()) {
            return rate == Some(1.0);
        }
        self.reachable().find(|known| known.name == rule).is_some_and(|rule| rule.keep.may_say(rate))
    }
}

impl RawModel {
    fn read(self) -> Result<ModelRules, TextError> {
        let content = |what: String, at: Range<usize>| TextError::Content { what, at };
        let at = self.name.span();
        let names = self.name.into_inner().list();
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(content("`name` names no model: `\"*\"` stands for all".into(), at));
        }
        let class_at = self.class.as_ref().map_or(0..0, Spanned::span);
        let classes = self.class.map(|class| class.into_inner().list()).unwrap_or_default();
        if let Some(class) = classes.iter().find(|class| minutebook_record::ClassName::new(class).is_err()) {
            return Err(content(format!("`{class}` is no retention class"), class_at));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for raw in self.rule {
            let (at, rule) = (raw.name.span(), raw.read()?);
            if rules.iter().any(|known| known.name == rule.name) {
                return Err(content(
                    format!("there are two rules `{}` for one model: rename one", rule.name),
                    at,
                ));
            }
            if let Some(always) = rules.iter().find(|known| known.when.is_none()) {
                let what = format!(
                    "rule `{}` is never asked: `{}` before it has no `when` and decides always. Put it first, or remove it",
                    rule.name, always.name
                );
                return Err(content(what, at));
            }
            rules.push(rule);
        }
        Ok(ModelRules { names, classes, rules })
    }
}

impl RawRule {
    fn read(self) -> Result<Rule, TextError> {
        let content = |what: String, at: Range<usize>| TextError::Content { what, at };
        let (name_at, name) = (self.name.span(), self.name.into_inner());
        if name.is_empty() || name.len() > limits::RULE_NAME_BYTES_MAX {
            return Err(content("the name of a rule has 1 to 64 bytes".into(), name_at));
        }
        if name == DEFAULT_RULE {
            return Err(content(
                "`default` is what keeps a decision that no rule decides about: use another name".into(),
                name_at,
            ));
        }
        let keep = match (self.keep, self.rate, self.per_second) {
            (Some(keep), None, None) if keep.get_ref() == "all" => Keep::Rate(1.0),
            (Some(keep), None, None) if keep.get_ref() == "none" => Keep::Rate(0.0),
            (Some(keep), None, None) => {
                return Err(content(
                    "`keep` is `\"all\"` or `\"none\"`; for a part of them write `rate = 0.05`".into(),
                    keep.span(),
                ));
            }
            (None, Some(rate), None) => {
                let at = rate.span();
                rate.into_inner().read(at)?
            }
            (None, None, Some(count)) => match u32::try_from(*count.get_ref()) {
                Ok(count) if count > 0 => Keep::PerSecond(count),
                _ => {
                    let what = "`per_second` is a number from 1 to 4294967295; to keep none, write `keep = \"none\"`";
                    return Err(content(what.into(), count.span()));
                }
            },
            _ => {
                let what = format!(
                    "rule `{name}` says not what to do: write either `keep = \"all\"`, `rate = 0.05` or `per_second = 100`"
                );
                return Err(content(what, name_at));
            }
        };
        let when_at = self.when.as_ref().map_or(0..0, Spanned::span);
        Ok(Rule { name, when: self.when.map(Spanned::into_inner), when_at, keep })
    }
}

fn newer(table: &toml::Table) -> Option<String> {
    let format = table.get("format")?.as_str()?;
    (format != FORMAT && format.starts_with("minutebook/policy/")).then(|| format.to_owned())
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "credit", true),
            ("credit", "credit", true),
            ("credit", "credit-1", false),
            ("credit-*", "credit-1", true),
            ("credit-*", "debit-1", false),
            ("*-eu", "credit-eu", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_may_have_kept_a_decision() {
        let text =
            |models: &str| PolicyText::parse(&format!("format = \"minutebook/policy/1\"\n{models}")).unwrap();
        let rates = |models: &str| text(models).rates("standard");
        assert_eq!(rates(""), [1.0]);
        assert_eq!(rates("[[model]]\nname=\"*\"\nrule=[{name=\"r\",rate=0.5}]"), [0.5]);
        assert_eq!(rates("[[model]]\nname=\"a\"\nrule=[{name=\"r\",rate=0.5}]"), [0.5, 1.0]);
        assert_eq!(rates("[[model]]\nname=\"*\"\nrule=[{name=\"r\",when=\"true\",rate=0.5}]"), [0.5, 1.0]);
        let by_value = "rate={by=\"inputs.x\",values={a=0.5,b=0},others=0.25}";
        assert_eq!(
            rates(&format!("[[model]]\nname=\"*\"\nrule=[{{name=\"r\",{by_value}}}]")),
            [0.5, 0.0, 0.25]
        );
        assert_eq!(rates("[[model]]\nname=\"*\"\nclass=\"bulk\"\nrule=[{name=\"r\",rate=0.5}]"), [1.0]);
    }

    #[test]
    fn what_does_not_hold_together_is_told() {
        let told = |text: &str| PolicyText::parse(text).unwrap_err().to_string();
        let rule = |rule: &str| {
            told(&format!("format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\nrule = [{rule}]"))
        };
        assert!(told("").contains("missing field `format`"));
        assert!(told("format = \"minutebook/policy/2\"\nnew = 1").contains("use a newer program"));
        assert!(rule("{name=\"a\", rate=2.0}").contains("from 0 to 1"));
        assert!(rule("{name=\"a\", rate=nan}").contains("from 0 to 1"));
        assert!(rule("{name=\"a\"}").contains("says not what to do"));
        assert!(rule("{name=\"a\", rate=0.5, per_second=5}").contains("says not what to do"));
        assert!(rule("{name=\"a\", per_second=0}").contains("from 1 to 4294967295"));
        assert!(rule("{name=\"a\", per_second=4294967296}").contains("from 1 to 4294967295"));
        assert!(rule("{name=\"a\", keep=\"some\"}").contains("`rate = 0.05`"));
        assert!(rule("{name=\"default\", keep=\"all\"}").contains("another name"));
        assert!(
            rule("{name=\"a\", keep=\"all\", when=\"x\"},{name=\"a\", keep=\"all\"}").contains("two rules")
        );
        assert!(rule("{name=\"a\", keep=\"all\"},{name=\"b\", keep=\"all\"}").contains("never asked"));
        assert!(rule("{name=\"a\", wen=\"x\", keep=\"all\"}").contains("unknown field `wen`"));
    }
}
