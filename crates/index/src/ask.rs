//! Asking: search, SQL, facets. Edge: questions in, rows out; how they are shown is for others.

mod facets;
mod linked;
mod proven;
mod question;
mod search;
mod session;
mod words;

pub use facets::{Bar, Facet, FacetValue, Facets, FacetsOf, Range};
pub use search::{Found, Order, Search};
pub use session::Answer;
pub(crate) use session::runtime;

use datafusion::sql::parser::Statement;
use minutebook_policy::nearest::proposal;
use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnType};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::state::State;

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
        let query = question::Query::parse(text)?;
        let session = session::Session::new(&self.shared);
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
        let state = self.shared.state();
        let tables = state.tables.values().map(|table| TableInfo {
            name: table.id.name().to_owned(),
            model: matches!(table.id, crate::table::TableId::Model(_)),
            rows: table.rows(),
            columns: shown(&table.columns),
        });
        tables.collect()
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
