//! The mapping: which column is what, given by options or by a TOML file, in which the same things have the
//! same names. Edge: says what is meant; `row` carries it out.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use minutebook_adapters::captures::Settings;
use minutebook_record::FieldType;
use serde::Deserialize;

use crate::failure::{Failure, Result};

/// How a column of times is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TimeFormat {
    /// Text: RFC 3339, or a date and time of --time-zone.
    #[default]
    Text,
    /// Seconds since 1970, perhaps with a fraction.
    S,
    /// Milliseconds since 1970.
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
}

/// What each column is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Args)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "Mapping")]
pub(crate) struct Mapping {
    /// Kind of the records.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Retention class of the records.
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
    /// Columns that went into the model [default: all that are nothing else].
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,
    /// Columns that came out of the model.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) outputs: Vec<String>,
    /// Columns that are parameters of the model.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) params: Vec<String>,
    /// Columns that are tags.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) tags: Vec<String>,
    /// Columns that say what a record of another kind than `decision` says.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) own: Vec<String>,
    /// Columns that are left out.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Column of the person or thing decided about.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) subject: Option<String>,
    /// Column of who acted.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) actor: Option<String>,
    /// Column of `ok` or the type of the error.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) status: Option<String>,
    /// Column of the time at which it happened.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// How that column is written [default: text].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) time_format: Option<TimeFormat>,
    /// Zone of times that are written without one, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// Name of the model.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Version of the model.
    #[arg(long, value_name = "VERSION")]
    pub(crate) model_version: Option<String>,
    /// Digest of the model's artifact: `sha256:` and 64 hex digits.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) model_artifact: Option<String>,
    /// Column of the model's name.
    #[arg(long, value_name = "COLUMN", conflicts_with = "model")]
    pub(crate) model_column: Option<String>,
    /// Column of the model's version.
    #[arg(long, value_name = "COLUMN", conflicts_with = "model_version")]
    pub(crate) model_version_column: Option<String>,
    /// Column of the digest of the model's artifact.
    #[arg(long, value_name = "COLUMN", conflicts_with = "model_artifact")]
    pub(crate) model_artifact_column: Option<String>,
    /// Columns that begin so are attributions: `shap_` makes `shap_age` the attribution of `age`.
    #[arg(long, value_name = "PREFIX", requires = "explanation_method")]
    pub(crate) explanation_prefix: Option<String>,
    /// How the attributions were computed, such as `shap.TreeExplainer`.
    #[arg(long, value_name = "METHOD")]
    pub(crate) explanation_method: Option<String>,
    /// Space in which they add up: raw, log-odds or probability.
    #[arg(long, value_name = "SPACE")]
    pub(crate) explanation_space: Option<String>,
    /// Column of their base value.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) explanation_base: Option<String>,
    /// Types of columns of CSV, instead of looking: COLUMN=TYPE.
    #[arg(long = "type", value_name = "COLUMN=TYPE,…", value_delimiter = ',', value_parser = parse_type)]
    #[serde(deserialize_with = "types")]
    pub(crate) types: Vec<(String, String)>,
}

fn parse_type(text: &str) -> std::result::Result<(String, String), String> {
    let (column, name) = text.rsplit_once('=').ok_or("write COLUMN=TYPE")?;
    check_type(name)?;
    Ok((column.to_owned(), name.to_owned()))
}

fn check_type(name: &str) -> std::result::Result<(), String> {
    match name.parse::<FieldType>() {
        Ok(_) => Ok(()),
        Err(_) => Err("no such type; the types stand in docs/formats/record.md".to_owned()),
    }
}

/// A table from column to type.
fn types<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<(String, String)>, D::Error> {
    let table = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
    for name in table.values() {
        check_type(name).map_err(serde::de::Error::custom)?;
    }
    Ok(table.into_iter().collect())
}

impl Mapping {
    /// What the file says, and over that what was given by options.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or says something that there is not.
    pub(crate) fn over_file(self, file: Option<&PathBuf>) -> Result<Self> {
        let Some(path) = file else { return Ok(self) };
        let below = read(path)?;
        let list = |given: Vec<String>, below: Vec<String>| if given.is_empty() { below } else { given };
        let mut types = self.types;
        types.extend(
            below
                .types
                .into_iter()
                .filter(|(column, _)| !types.iter().any(|(given, _)| given == column))
                .collect::<Vec<_>>(),
        );
        // A constant given by an option overrides a column of the file, and the other way round.
        let one = |given: &Option<String>, instead: &Option<String>, below: Option<String>| {
            given.clone().or(if instead.is_some() { None } else { below })
        };
        Ok(Self {
            kind: self.kind.or(below.kind),
            class: self.class.or(below.class),
            inputs: list(self.inputs, below.inputs),
            outputs: list(self.outputs, below.outputs),
            params: list(self.params, below.params),
            tags: list(self.tags, below.tags),
            own: list(self.own, below.own),
            ignore: list(self.ignore, below.ignore),
            subject: self.subject.or(below.subject),
            actor: self.actor.or(below.actor),
            status: self.status.or(below.status),
            time: self.time.or(below.time),
            time_format: self.time_format.or(below.time_format),
            time_zone: self.time_zone.or(below.time_zone),
            model: one(&self.model, &self.model_column, below.model),
            model_version: one(&self.model_version, &self.model_version_column, below.model_version),
            model_artifact: one(&self.model_artifact, &self.model_artifact_column, below.model_artifact),
            model_column: one(&self.model_column, &self.model, below.model_column),
            model_version_column: one(
                &self.model_version_column,
                &self.model_version,
                below.model_version_column,
            ),
            model_artifact_column: one(
                &self.model_artifact_column,
                &self.model_artifact,
                below.model_artifact_column,
            ),
            explanation_prefix: self.explanation_prefix.or(below.explanation_prefix),
            explanation_method: self.explanation_method.or(below.explanation_method),
            explanation_space: self.explanation_space.or(below.explanation_space),
            explanation_base: self.explanation_base.or(below.explanation_base),
            types,
        })
    }

    /// What is said of all calls that something else captured.
    ///
    /// # Errors
    ///
    /// When more is said: captures have no columns.
    pub(crate) fn of_captures(self) -> Result<Settings> {
        let Self { model, model_version, model_artifact, class, .. } = self.clone();
        let rest = Self { model: None, model_version: None, model_artifact: None, class: None, ..self };
        if rest != Self::default() {
            return Err(Failure::input(
                "captures say themselves what is an input and what an output",
                "only --model, --model-version, --model-artifact and --class go with them",
            ));
        }
        let artifact = model_artifact.as_deref().map(|text| {
            digest(text).ok_or_else(|| {
                Failure::input("--model-artifact is no digest", "write `sha256:` and 64 hex digits")
            })
        });
        Ok(Settings { model, version: model_version, artifact: artifact.transpose()?, class })
    }

    /// The zone of times without one.
    ///
    /// # Errors
    ///
    /// When there is no such zone.
    pub(crate) fn zone(&self) -> Result<Option<TimeZone>> {
        let Some(name) = &self.time_zone else { return Ok(None) };
        TimeZone::get(name).map(Some).map_err(|_| {
            Failure::input(
                format!("no time zone `{name}`"),
                "name one of the IANA database, such as Europe/Berlin or UTC",
            )
        })
    }
}

/// `sha256:` and 64 hex digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

fn read(path: &Path) -> Result<Mapping> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let what = format!("`{}`, line {line}: {}", path.display(), error.message());
        Failure::input(what, "the names are those of the options of `minutebook import`")
    })
}
