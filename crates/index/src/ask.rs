//! Asking: search, SQL, facets. Edge: questions in, rows out; how they are shown is for others.

mod facets;
mod growth;
mod linked;
mod models;
mod proven;
mod question;
mod replaced;
mod search;
mod session;
mod words;

pub(crate) use question::{literal, quoted};

pub use facets::{Bar, Facet, FacetValue, Facets, FacetsOf, Range};
pub use models::{VersionInfo, VersionRecord};
pub use search::{Found, Order, Search};
pub use session::Answer;
pub(crate) use session::runtime;

use datafusion::sql::parser::Statement;
use minutebook_policy::nearest::proposal;
use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnType};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::state::{State, TableState};
use crate::view::View;

/// A table that can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableInfo {
    /// As SQL names it.
    pub name: String,
    /// Whether it is that of a model's decisions.
    pub model: bool,
    /// Rows.
    pub rows: u64,
    /// Names and types of its columns, in order.
    pub columns: serde_json::Map<String, serde_json::Value>,
}

impl Index {
    /// Runs one SELECT over the tables `records`, `links` and one for each model. Answers as rows are found.
    ///
    /// # Errors
    /// [`Error::Question`] when it is none or names what is not there; time and memory are bounded.
    pub async fn sql(&self, text: &str) -> Result<Answer> {
        self.sql_for(None, text).await
    }

    /// The same for who sees a part of it: what is hidden is not there.
    ///
    /// # Errors
    /// As [`Index::sql`], and [`Error::Masked`] for a column that is there and masked.
    pub async fn sql_for(&self, view: Option<&View>, text: &str) -> Result<Answer> {
        let query = question::Query::parse(text)?;
        let session = session::Session::for_sql(&self.shared, view).await?;
        session.in_parts(query.growth);
        if query.explains && !session.seen.is_all {
            // Plans tell how many rows there are of what is not seen.
            return Err(Error::Question("EXPLAIN is for who sees everything".into()));
        }
        for name in
            query.tables.iter().filter(|name| ![crate::RECORDS, crate::LINKS].contains(&name.as_str()))
        {
            if session::table(session.state(), name).is_none() {
                return Err(no_table(session.state(), name));
            }
        }
        let types = session.types(query.tables.iter().map(String::as_str));
        session.run_statement(Statement::Statement(Box::new(query.statement(&types)))).await
    }

    /// The tables and their columns, those of models by their names.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.tables_for(None)
    }

    /// The same for who sees a part. Of tables with rows that are not seen, as many rows are told as there are decisions of models that are.
    pub fn tables_for(&self, view: Option<&View>) -> Vec<TableInfo> {
        let state = self.shared.state();
        let seen = match view {
            Some(view) => view.of(state),
            None => crate::view::Seen::all(state),
        };
        let is_model = |table: &TableState| matches!(table.id, crate::table::TableId::Model(_));
        let of_models =
            seen.state.tables.values().filter(|table| is_model(table)).map(|table| table.rows()).sum::<u64>();
        let tables = seen.state.tables.values().map(|table| TableInfo {
            name: table.id.name().to_owned(),
            model: is_model(table),
            rows: match (is_model(table), &seen.rows) {
                (false, Some(_)) => {
                    if table.id == crate::table::TableId::Links {
                        0
                    } else {
                        of_models
                    }
                }
                _ => table.rows(),
            },
            columns: shown(&table.columns),
        });
        tables.collect()
    }

    /// A question, a condition or a whole query, without what somebody wrote into it: texts, numbers and names that are none of this index become
    /// `?`. What is no SQL is left out whole.
    pub fn without_literals(&self, text: &str) -> String {
        replaced::without_literals(&self.shared.state(), text)
    }

    /// Whether any column is masked for who sees a part.
    pub fn masks(&self, view: &View) -> bool {
        !view.of(self.shared.state()).masked.is_empty()
    }

    /// The tables that a query names; none when it is no query.
    pub fn tables_named(text: &str) -> Vec<String> {
        question::Query::parse(text).map(|query| query.tables.into_iter().collect()).unwrap_or_default()
    }

    /// The names of all models that have decisions.
    pub fn models(&self) -> Vec<String> {
        let state = self.shared.state();
        let names = state.tables.keys().filter_map(|id| match id {
            crate::table::TableId::Model(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }
}

fn shown(columns: &[Column]) -> serde_json::Map<String, serde_json::Value> {
    let columns = columns.iter().filter(|column| column.kind != ColumnType::Hidden);
    columns.map(|column| (column.name.clone(), column.kind.name().into())).collect()
}

/// A table that is not there, with those that are near.
fn no_table(state: &State, name: &str) -> Error {
    let known = state.tables.keys().map(crate::table::TableId::name);
    Error::NoTable { name: name.to_owned(), hint: proposal("", name, known) }
}
