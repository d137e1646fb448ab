//! From a row to a record: each column goes where the mapping says, in the order of the columns. Edge: builds
//! the JSON that `record` would read; whether that is a record is decided there.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minutebook_record::Integer;

use super::ColumnType;
use super::mapping::{Mapping, TimeFormat};
use crate::failure::{Failure, Result};
use minutebook_present::json::{Members, Problem, Tree};

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Input,
    Output,
    Param,
    Tag,
    Own,
    Subject,
    Actor,
    Status,
    Time,
    ModelName,
    ModelVersion,
    ModelArtifact,
    Base,
    /// Of this feature.
    Attribution(String),
    Ignored,
}

impl Role {
    /// Whether the column is a value, whose type matters; the others are read as text.
    pub(crate) fn is_value(&self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::Output
                | Self::Param
                | Self::Tag
                | Self::Own
                | Self::Base
                | Self::Attribution(_)
        )
    }

    /// For people.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Param => "parameter",
            Self::Tag => "tag",
            Self::Own => "own field",
            Self::Subject => "subject",
            Self::Actor => "actor",
            Self::Status => "status",
            Self::Time => "time",
            Self::ModelName => "model",
            Self::ModelVersion => "model version",
            Self::ModelArtifact => "artifact",
            Self::Base => "base value",
            Self::Attribution(_) => "attribution",
            Self::Ignored => "left out",
        }
    }
}

/// A mapping, ready to be applied to rows.
pub(crate) struct Plan {
    mapping: Mapping,
    roles: HashMap<String, Role>,
    zone: Option<TimeZone>,
    /// Columns without a role are inputs.
    rest_is_input: bool,
}

impl Plan {
    /// Prepares a mapping.
    ///
    /// # Errors
    ///
    /// A column that is two things, or a zone that there is not.
    pub(crate) fn new(mapping: Mapping) -> Result<Self> {
        let mut roles = HashMap::new();
        let mut add = |column: &String, role: Role| match roles.insert(column.clone(), role) {
            None => Ok(()),
            Some(_) => Err(Failure::input(format!("column `{column}` is given two meanings"), "give it one")),
        };
        for (columns, role) in [
            (&mapping.inputs, Role::Input),
            (&mapping.outputs, Role::Output),
            (&mapping.params, Role::Param),
            (&mapping.tags, Role::Tag),
            (&mapping.own, Role::Own),
            (&mapping.ignore, Role::Ignored),
        ] {
            columns.iter().try_for_each(|column| add(column, role.clone()))?;
        }
        for (column, role) in [
            (&mapping.subject, Role::Subject),
            (&mapping.actor, Role::Actor),
            (&mapping.status, Role::Status),
            (&mapping.time, Role::Time),
            (&mapping.model_column, Role::ModelName),
            (&mapping.model_version_column, Role::ModelVersion),
            (&mapping.model_artifact_column, Role::ModelArtifact),
            (&mapping.explanation_base, Role::Base),
        ] {
            column.iter().try_for_each(|column| add(column, role.clone()))?;
        }
        let is_decision = mapping.kind.as_deref().is_none_or(|kind| kind == "decision");
        let rest_is_input = mapping.inputs.is_empty() && is_decision;
        let zone = mapping.zone()?;
        Ok(Self { mapping, roles, zone, rest_is_input })
    }

    /// What a column is.
    pub(crate) fn role(&self, column: &str) -> Role {
        if let Some(role) = self.roles.get(column) {
            return role.clone();
        }
        let prefix = self.mapping.explanation_prefix.as_deref().filter(|prefix| !prefix.is_empty());
        match prefix.and_then(|prefix| column.strip_prefix(prefix)) {
            Some(feature) => Role::Attribution(feature.to_owned()),
            None if self.rest_is_input => Role::Input,
            None => Role::Ignored,
        }
    }

    /// Types that were declared for columns.
    pub(crate) fn declared(&self) -> HashMap<String, String> {
        self.mapping.types.iter().cloned().collect()
    }

    /// Refuses a mapping that names columns which a file does not have.
    ///
    /// # Errors
    ///
    /// The first such column.
    pub(crate) fn check_columns(&self, columns: &[ColumnType]) -> Result {
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        let declared = self.mapping.types.iter().map(|(column, _)| column);
        match self.roles.keys().chain(declared).filter(|name| !has(name)).min() {
            None => Ok(()),
            Some(missing) => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                Err(Failure::input(
                    format!("the file has no column `{missing}`"),
                    format!("its columns are: {}", names.join(", ")),
                ))
            }
        }
    }

    /// The record of a row.
    ///
    /// # Errors
    ///
    /// A time that cannot be read, or a text that is none.
    pub(crate) fn record(&self, row: Members<'static>) -> std::result::Result<Tree<'static>, Problem> {
        let mut groups: [Members<'static>; 6] = Default::default();
        let [inputs, outputs, params, tags, own, attributions] = &mut groups;
        let mut model = self.constant_model();
        let mut record: Members<'static> = Vec::new();
        let mut base = Tree::Null;
        for (name, value) in row {
            match self.role(&name) {
                Role::Ignored => {}
                Role::Input => inputs.push((name, value)),
                Role::Output => outputs.push((name, value)),
                Role::Param => params.push((name, untyped(value))),
                Role::Tag => tags.push((name, untyped(value))),
                Role::Own => own.push((name, value)),
                Role::Attribution(feature) => {
                    attributions.push((Cow::Owned(feature), number(untyped(value))))
                }
                Role::Base => base = number(untyped(value)),
                Role::Subject => record.push(("subject".into(), text(value).map_err(|e| e.within(&name))?)),
                Role::Actor => record.push(("actor".into(), text(value).map_err(|e| e.within(&name))?)),
                Role::Status => record.push(("status".into(), text(value).map_err(|e| e.within(&name))?)),
                Role::Time => record.push(("time".into(), self.time(value).map_err(|e| e.within(&name))?)),
                Role::ModelName => model.push(("name".into(), text(value).map_err(|e| e.within(&name))?)),
                Role::ModelVersion => {
                    model.push(("version".into(), text(value).map_err(|e| e.within(&name))?))
                }
                Role::ModelArtifact => {
                    model.push(("artifact".into(), text(value).map_err(|e| e.within(&name))?))
                }
            }
        }
        let constant = |name: &'static str, value: &Option<String>| {
            value.clone().map(|value| (Cow::Borrowed(name), Tree::Text(Cow::Owned(value))))
        };
        record.extend(constant("kind", &self.mapping.kind));
        record.extend(constant("class", &self.mapping.class));
        if !model.is_empty() {
            record.push(("model".into(), Tree::Object(model)));
        }
        if let Some(method) = &self.mapping.explanation_method {
            let mut explanation: Members<'static> =
                vec![("method".into(), Tree::Text(Cow::Owned(method.clone())))];
            explanation.extend(constant("space", &self.mapping.explanation_space));
            explanation.push(("base".into(), base));
            explanation.push(("attributions".into(), Tree::Object(std::mem::take(attributions))));
            record.push(("explanation".into(), Tree::Object(explanation)));
        }
        let is_decision = self.mapping.kind.as_deref().is_none_or(|kind| kind == "decision");
        let own_name = self.mapping.kind.clone().unwrap_or_else(|| "decision".into());
        let [inputs, outputs, params, tags, own, _] = groups;
        for (name, group, always) in [
            (Cow::Borrowed("inputs"), inputs, is_decision),
            ("outputs".into(), outputs, false),
            ("params".into(), params, false),
            ("tags".into(), tags, false),
            (Cow::Owned(own_name), own, false),
        ] {
            if always || !group.is_empty() {
                record.push((name, Tree::Object(group)));
            }
        }
        Ok(Tree::Object(record))
    }

    fn constant_model(&self) -> Members<'static> {
        let mapping = &self.mapping;
        let parts = [
            ("name", &mapping.model),
            ("version", &mapping.model_version),
            ("artifact", &mapping.model_artifact),
        ];
        let given = parts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given.map(|(name, value)| (Cow::Borrowed(name), Tree::Text(Cow::Owned(value)))).collect()
    }

    /// A time as ns since 1970, or as RFC 3339.
    fn time(&self, value: Tree<'static>) -> std::result::Result<Tree<'static>, Problem> {
        let format = self.mapping.time_format.unwrap_or_default();
        let value = match untyped(value) {
            // As Parquet has it: an instant by itself.
            Tree::Object(object) => match object.into_iter().next() {
                Some((name, at)) if name == "$timestamp" => return Ok(at),
                Some((name, Tree::Text(at))) if name == "$datetime" => Tree::Text(at),
                _ => return Err(Problem::new("not a time")),
            },
            other => other,
        };
        match (format, value) {
            (_, Tree::Null) => Err(Problem::new("the time is missing")),
            (TimeFormat::Text, Tree::Text(text)) => self.text_time(&text),
            (TimeFormat::Text, _) => Err(Problem::new("the time is a number")
                .remedy("say with --time-format s, ms, us or ns what it counts")),
            (format, Tree::Text(text)) => unix_time(&text, format),
            (format, Tree::Integer(number)) => unix_time(&number.to_string(), format),
            (format, Tree::Float(number)) => unix_time(&number.to_string(), format),
            _ => Err(Problem::new("not a time")),
        }
    }

    fn text_time(&self, text: &str) -> std::result::Result<Tree<'static>, Problem> {
        if text.parse::<jiff::Timestamp>().is_ok() {
            return Ok(Tree::Text(Cow::Owned(text.to_owned())));
        }
        let refused = || {
            Problem::new("not a time with an offset")
                .remedy("for times without one, say their zone with --time-zone")
        };
        let zone = self.zone.as_ref().ok_or_else(refused)?;
        let naive: DateTime = text.parse().map_err(|_| Problem::new("not a time"))?;
        let at = naive.to_zoned(zone.clone()).map_err(|_| Problem::new("the time is out of range"))?;
        Ok(Tree::Text(Cow::Owned(at.timestamp().to_string())))
    }
}

/// A number of units since 1970, exactly: digits with perhaps a fraction.
fn unix_time(text: &str, format: TimeFormat) -> std::result::Result<Tree<'static>, Problem> {
    let refused = || Problem::new("not a number of seconds or parts of them since 1970");
    let places = match format {
        TimeFormat::S => 9,
        TimeFormat::Ms => 6,
        TimeFormat::Us => 3,
        TimeFormat::Ns | TimeFormat::Text => 0,
    };
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = whole.strip_prefix('-').unwrap_or(whole);
    if plain.is_empty() || !digits(plain) || !digits(fraction) {
        return Err(refused());
    }
    // What is finer than a nanosecond is cut off.
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
    let nanoseconds: i64 = format!("{whole}{fraction}").parse().map_err(|_| refused())?;
    Ok(Tree::Integer(Integer::from(nanoseconds)))
}

/// A value without the type around it: for maps, whose values have none.
fn untyped(value: Tree<'static>) -> Tree<'static> {
    let Tree::Object(mut object) = value else { return value };
    match object.as_mut_slice() {
        [(name, Tree::Object(content))] if name == "$typed" => {
            let found = content.iter_mut().find(|(name, _)| name == "value");
            found.map_or(Tree::Null, |(_, value)| std::mem::replace(value, Tree::Null))
        }
        _ => Tree::Object(object),
    }
}

/// A number that may have been written as text.
fn number(value: Tree<'static>) -> Tree<'static> {
    match &value {
        Tree::Text(text) => text.trim().parse().map_or(value, Tree::Float),
        _ => value,
    }
}

/// A text; a number becomes its digits.
fn text(value: Tree<'static>) -> std::result::Result<Tree<'static>, Problem> {
    Ok(match untyped(value) {
        Tree::Integer(number) => Tree::Text(Cow::Owned(number.to_string())),
        Tree::Float(number) => Tree::Text(Cow::Owned(number.to_string())),
        Tree::Bool(value) => Tree::Text(Cow::Owned(value.to_string())),
        value @ (Tree::Null | Tree::Text(_)) => value,
        Tree::Array(_) | Tree::Object(_) => return Err(Problem::new("not a text")),
    })
}
