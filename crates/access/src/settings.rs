//! What an operator says of access (`docs/formats/access.md`): which fields are personal, and policies of its own. Edge: reads text; what
//! follows from it is decided in `rights`.

use serde::Deserialize;
use toml::Spanned;

use crate::allowance::{Allowance, Allowances, LimitsTable};
use crate::asker::fits;
use crate::error::AccessError;
use crate::limits::{TABLES_MAX, TEXT_BYTES_MAX};
use crate::owner::{OwnerTable, Reads};
use crate::people::{ApprovalTable, Approvals, Grant, PeopleTable, SignIn, SignInTable};

/// The format's name.
pub const FORMAT: &str = "minutebook/access/1";

/// Fields that are about persons, or in which people write what they like, whatever a model's table says; unless it opens them.
const PERSONAL: [&str; 9] =
    ["subject", "subjects", "actor", "tags", "review.reason", "review.by", "review.note", "note", "more"];
/// What is personal of a model for which no table says otherwise.
const INPUTS: &str = "inputs";

/// Settings that were read.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    tables: Vec<Table>,
    /// Whether the default policies hold besides.
    pub(crate) has_defaults: bool,
    /// Policies of the operator: the text, and in which line of the settings it begins.
    pub(crate) policies: Option<(String, usize)>,
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) people: Vec<Grant>,
    pub(crate) approvals: Approvals,
    owner: Option<Reads>,
    allowances: Allowances,
}

#[derive(Debug, Clone)]
struct Table {
    names: Vec<String>,
    personal: Option<Vec<String>>,
    open: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[serde(default)]
    defaults: Option<bool>,
    #[serde(default)]
    policies: Option<Spanned<String>>,
    #[serde(default, rename = "model")]
    models: Vec<ModelTable>,
    #[serde(default, rename = "sign-in")]
    sign_in: Option<Spanned<SignInTable>>,
    #[serde(default)]
    people: Vec<Spanned<PeopleTable>>,
    #[serde(default)]
    approval: Option<Spanned<ApprovalTable>>,
    owner: Option<OwnerTable>,
    limits: Option<LimitsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    name: Spanned<Names>,
    personal: Option<Spanned<Vec<String>>>,
    open: Option<Spanned<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(crate) fn list(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        }
    }
}

impl Settings {
    /// Reads settings.
    ///
    /// # Errors
    /// What is wrong, with its line. Policies are not looked at here: [`crate::Rights::parse`] does.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(AccessError::new(format!("settings have at most {TEXT_BYTES_MAX} bytes")));
        }
        let line = |at: usize| {
            1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(1, |span| line(span.start));
            AccessError::at(at, error.message())
        })?;
        if file.format != FORMAT {
            return Err(AccessError::new(format!(
                "`format` is `{FORMAT}`, so that what is meant is certain"
            )));
        }
        for (what, tables) in [("model", file.models.len()), ("people", file.people.len())] {
            if tables > TABLES_MAX {
                return Err(AccessError::new(format!("at most {TABLES_MAX} tables `[[{what}]]`")));
            }
        }
        fn read<T, R>(
            table: Spanned<T>,
            line: impl Fn(usize) -> usize,
            read: fn(T) -> Result<R, String>,
        ) -> Result<R, AccessError> {
            let at = line(table.span().start);
            read(table.into_inner()).map_err(|what| AccessError::at(at, what))
        }
        let sign_in = file.sign_in.map(|table| read(table, line, SignIn::read)).transpose()?;
        let people: Result<Vec<_>, _> =
            file.people.into_iter().map(|table| read(table, line, Grant::read)).collect();
        let approvals = file.approval.map(|table| read(table, line, Approvals::read)).transpose()?;
        let mut tables = Vec::with_capacity(file.models.len());
        for table in file.models {
            let at = line(table.name.span().start);
            let names = table.name.into_inner().list();
            if names.is_empty() || names.iter().any(String::is_empty) {
                return Err(AccessError::at(at, "`name` is a pattern of models' names, or a list of them"));
            }
            let paths = |paths: Option<Spanned<Vec<String>>>| {
                let Some(paths) = paths else { return Ok(None) };
                let at = line(paths.span().start);
                match paths.as_ref().iter().find(|path| !is_path(path)) {
                    Some(wrong) => Err(AccessError::at(
                        at,
                        format!(
                            "`{wrong}` is no field: write it as it is searched for, such as `inputs.age`"
                        ),
                    )),
                    None => Ok(Some(paths.into_inner())),
                }
            };
            tables.push(Table {
                names,
                personal: paths(table.personal)?,
                open: paths(table.open)?.unwrap_or_default(),
            });
        }
        let policies = file.policies.map(|policies| {
            let span = policies.span();
            // A text of several lines begins behind its first line break.
            let opening = &text[span.start..span.end.min(span.start + 5)];
            let breaks = opening.starts_with("'''\n") || opening.starts_with("\"\"\"\n");
            let breaks = breaks || opening.starts_with("'''\r\n") || opening.starts_with("\"\"\"\r\n");
            (policies.into_inner(), line(span.start) + usize::from(breaks))
        });
        let allowances = file.limits.map(|limits| Allowances::read(limits, line)).transpose()?;
        Ok(Self {
            tables,
            has_defaults: file.defaults.unwrap_or(true),
            policies,
            sign_in,
            people: people?,
            approvals: approvals.unwrap_or_default(),
            owner: file.owner.map(|table| table.reads),
            allowances: allowances.unwrap_or_default(),
        })
    }

    /// How much of a server whoever is called so may use.
    pub fn allowance(&self, who: &str) -> Allowance {
        self.allowances.of(who)
    }

    /// Whether reads of the trail's owner are recorded; none when that is not said.
    pub fn reads_of_owner(&self) -> Option<Reads> {
        self.owner
    }

    /// Those of a trail for which nothing was ever said.
    pub fn none() -> Self {
        Self { has_defaults: true, ..Self::default() }
    }

    /// Tables of models.
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// Whether a field is personal, named as it is searched for (`inputs.age`). Of records of no model what is personal of any model is.
    /// A field that holds a personal one, such as a map, is.
    pub fn is_personal(&self, model: Option<&str>, path: &str) -> bool {
        let Some(model) = model else {
            let none = Table { names: Vec::new(), personal: None, open: Vec::new() };
            return none.is_personal(path) || self.tables.iter().any(|table| table.is_personal(path));
        };
        let table = self.tables.iter().find(|table| table.names.iter().any(|name| fits(name, model)));
        match table {
            Some(table) => table.is_personal(path),
            None => Table { names: Vec::new(), personal: None, open: Vec::new() }.is_personal(path),
        }
    }
}

impl Table {
    fn is_personal(&self, path: &str) -> bool {
        let meets = |named: &str| is_within(path, named) || is_within(named, path);
        let own = match &self.personal {
            Some(personal) => personal.iter().any(|named| meets(named)),
            None => meets(INPUTS),
        };
        own || (PERSONAL.iter().any(|named| meets(named))
            && !self.open.iter().any(|open| is_within(path, open)))
    }
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('.') && !path.ends_with('.') && !path.contains('*')
}

/// Whether a path is this field, or below it.
fn is_within(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
