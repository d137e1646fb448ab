//! What one asker sees of an index: without models that are not its own, and without columns that are masked. Edge: applies what somebody else
//! decided; knows no roles.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use minutebook_record::Kind;

use crate::ask::{literal, quoted};
use crate::state::{State, TableState};
use crate::table::TableId;

/// What an asker may see. Each answer is asked for again with every new state of the index: keep what was decided.
pub trait Sight: Debug + Send + Sync {
    /// Whether records of this model are there for it; `None`: those of no model.
    fn model(&self, model: Option<&str>) -> bool;

    /// Whether records of every model are, of those too that are not known yet.
    fn every_model(&self) -> bool;

    /// Whether what the trail says of itself is there: [`is_account`].
    fn accounts(&self) -> bool;

    /// Whether a column is shown, of records of this model or of none.
    fn column(&self, model: Option<&str>, column: &str) -> bool;

    /// Whether an input of this model may be masked though the table has no column of it.
    fn hides_inputs(&self, model: Option<&str>) -> bool;
}

/// Whether records of this kind are what the trail says of itself.
pub fn is_account(kind: Kind) -> bool {
    use Kind as K;
    matches!(
        kind,
        K::Producer | K::Loss | K::Access | K::Policy | K::Erasure | K::Hold | K::Disposal | K::Anchor
    )
}

/// What an asker sees.
#[derive(Debug)]
pub struct View {
    sight: Arc<dyn Sight>,
    /// What was last made of which state.
    last: Mutex<Option<(Arc<State>, Seen)>>,
}

/// A state as an asker sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its tables, without what is hidden.
    pub state: Arc<State>,
    /// What has to hold of a row of the tables that have records of all models; none when every row is seen.
    pub rows: Option<Arc<str>>,
    /// Columns that are masked in a table that is seen.
    pub masked: Arc<BTreeSet<String>>,
    /// Whether anything at all is hidden.
    pub is_all: bool,
}

impl Seen {
    /// A state without anything hidden.
    pub fn all(state: Arc<State>) -> Self {
        Self { state, rows: None, masked: Arc::default(), is_all: true }
    }
}

impl View {
    /// What `sight` shows.
    pub fn new(sight: Arc<dyn Sight>) -> Self {
        Self { sight, last: Mutex::default() }
    }

    /// What it shows of a state.
    pub(crate) fn of(&self, state: Arc<State>) -> Seen {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, seen)) = &*last
            && Arc::ptr_eq(of, &state)
        {
            return seen.clone();
        }
        let seen = self.apply(&state);
        *last = Some((state, seen.clone()));
        seen
    }

    fn apply(&self, state: &State) -> Seen {
        let mut masked = BTreeSet::new();
        let models: Vec<&str> = state
            .tables
            .keys()
            .filter_map(|id| if let TableId::Model(name) = id { Some(name.as_str()) } else { None })
            .filter(|name| self.sight.model(Some(name)))
            .collect();
        let mut seen = State { position: state.position, stored: state.stored, ..State::default() };
        for (id, table) in &state.tables {
            let of: Vec<Option<&str>> = match id {
                TableId::Model(name) if !models.contains(&name.as_str()) => continue,
                TableId::Model(name) => vec![Some(name)],
                _ => std::iter::once(None).chain(models.iter().copied().map(Some)).collect(),
            };
            seen.tables.insert(id.clone(), self.table(table, &of, &mut masked));
        }
        let rows = self.rows(&models);
        let is_model = |id: &&TableId| matches!(id, TableId::Model(_));
        let hides_models = state.tables.keys().filter(is_model).count() > models.len();
        let is_all = rows.is_none() && masked.is_empty() && !hides_models;
        Seen { state: Arc::new(seen), rows: rows.map(Into::into), masked: Arc::new(masked), is_all }
    }

    /// A table without the columns that are hidden of any model of which it has rows.
    fn table(
        &self,
        table: &TableState,
        of: &[Option<&str>],
        masked: &mut BTreeSet<String>,
    ) -> Arc<TableState> {
        let is_shown = |column: &str| of.iter().all(|model| self.sight.column(*model, column));
        let mut shown: Vec<bool> = table.columns.iter().map(|column| is_shown(&column.name)).collect();
        let hides_inputs = of.iter().any(|model| self.sight.hides_inputs(*model))
            || table
                .columns
                .iter()
                .zip(&shown)
                .any(|(column, shown)| column.name.starts_with("inputs.") && !shown);
        if hides_inputs {
            for (column, shown) in table.columns.iter().zip(&mut shown) {
                *shown &= !betrays_inputs(&column.name);
            }
        }
        // It may have anything.
        if shown.contains(&false) {
            for (column, shown) in table.columns.iter().zip(&mut shown) {
                *shown &= column.name != "more";
            }
        }
        if !shown.contains(&false) {
            return Arc::new(table.clone());
        }
        let columns = table.columns.iter().zip(&shown);
        masked.extend(columns.clone().filter(|(_, shown)| !**shown).map(|(column, _)| column.name.clone()));
        let columns = columns.filter(|(_, shown)| **shown).map(|(column, _)| column.clone()).collect();
        Arc::new(TableState::of(table.id.clone(), columns, table.files.clone(), table.tail.clone()))
    }

    /// What has to hold of a row with records of all models.
    fn rows(&self, models: &[&str]) -> Option<String> {
        let accounts: Vec<String> =
            Kind::ALL.into_iter().filter(|kind| is_account(*kind)).map(|kind| literal(kind.name())).collect();
        let accounts = format!("kind IN ({})", accounts.join(", "));
        let of_none = self.sight.model(None);
        let of_models = match (self.sight.every_model(), of_none) {
            (true, true) => "true".to_owned(),
            (true, false) => "model IS NOT NULL".to_owned(),
            (false, of_none) => {
                let list = models.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
                let named = if list.is_empty() { "false".to_owned() } else { format!("model IN ({list})") };
                if of_none {
                    format!("(model IS NULL OR {named})")
                } else {
                    format!("(model IS NOT NULL AND {named})")
                }
            }
        };
        match (self.sight.accounts(), of_models.as_str()) {
            (true, "true") => None,
            (true, of_models) => Some(format!("({accounts} OR {of_models})")),
            (false, of_models) => Some(format!("(NOT ({accounts}) AND {of_models})")),
        }
    }
}

/// Columns that let one compute back an input (`docs/formats/record.md`, "Disclosure").
fn betrays_inputs(column: &str) -> bool {
    let of = |group: &str| column.starts_with(group);
    of("attributions.")
        || of("counterfactual.")
        || of("fields.counterfactual")
        || (of("explanation.") && !matches!(column, "explanation.method" | "explanation.space"))
}

/// A selection of a table's rows out of which no condition of an asker gets: a limit that no table reaches keeps it from being evaluated on rows
/// that the asker does not see, where a value that cannot be computed would tell of them.
pub fn fenced(table: &str, columns: &[String], rows: &str) -> String {
    let columns = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    format!("SELECT {columns} FROM {table} WHERE {rows} LIMIT {FENCE}")
}

/// More rows than any table has.
pub const FENCE: u64 = 1 << 62;
