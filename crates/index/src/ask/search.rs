//! Search: the records of a model, or of all, that a condition holds for, page by page. Edge: makes SQL of a search and runs it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use minutebook_policy::nearest::proposal;
use serde::{Deserialize, Serialize};

use super::question::{Condition, literal, quoted};
use super::session::{Session, WHOLE};
use super::{linked, no_table};
use crate::column::{Column, ColumnType};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::limits;
use crate::state::{State, TableState};
use crate::table::{RECORDS, TableId};
use crate::view::{FENCE, View, fenced};

/// Columns that an answer has after the fixed ones, unless others are asked for: what led to the decision and what it was.
const SHOWN_GROUPS: [&str; 7] =
    ["outputs", "inputs", "params", "tags", "environment", "attributions", "explanation"];

/// The fixed columns that an answer begins with.
const SHOWN: [&str; 13] = [
    "id",
    "time",
    "kind",
    "model",
    "version",
    "status",
    "subject",
    "subjects",
    "actor",
    "duration_ns",
    "trace",
    "kept.rule",
    "weight",
];

/// Rows up to which ids are found first and their other columns after.
const FETCH_LATER_MAX: usize = 2_000;

/// What to search for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// A boolean expression, such as `inputs.age > 60 AND outputs.approve = false`.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// Of this model, `NAME` or `NAME@VERSION`. Without one, of all models that have the columns.
    pub model: Option<String>,
    /// Not before, ns since 1970.
    pub since_ns: Option<i64>,
    /// Not after.
    pub until_ns: Option<i64>,
    /// As the index would have answered at this time, ns since 1970: without what was recorded later.
    pub as_of_ns: Option<i64>,
    /// The order; the latest first when there is none.
    pub order: Option<Order>,
    /// Rows at most; 0 for as many as one answer may have.
    pub limit: usize,
    /// Only these columns; `*` for all.
    pub columns: Vec<String>,
    /// From where an answer before ended.
    pub cursor: Option<String>,
}

/// An order of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The column.
    pub by: String,
    /// The largest first.
    #[serde(default)]
    pub descending: bool,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: RecordBatch,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
    /// Entries of the log that were looked through.
    pub position: u64,
}

/// Where a page ended. `log` is what all pages look through, so that records that arrive meanwhile move nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    log: u64,
    #[serde(default)]
    last: Option<(i64, String)>,
    #[serde(default)]
    offset: usize,
    /// Bounds of time of the first page: `7d` means the same on all.
    #[serde(default)]
    times: [Option<i64>; 3],
}

impl Cursor {
    fn write(&self) -> String {
        // INVARIANT: numbers and texts always serialise.
        BASE64.encode(serde_json::to_vec(self).expect("a cursor"))
    }

    fn read(text: &str) -> Result<Self> {
        let read = BASE64.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.ok_or_else(|| Error::Question("`cursor` is not one that an answer gave".into()))
    }
}

/// A search as SQL: everything but columns, order and limit.
pub(super) struct Scope {
    /// What stands behind FROM.
    pub from: String,
    /// What stands behind WHERE.
    pub filters: Vec<String>,
    /// Columns that there are.
    pub columns: Vec<Column>,
    /// Entries of the log that are looked through.
    pub log: u64,
    /// Whether it is of rows that were selected before any condition of the asker.
    is_fenced: bool,
    masked: Arc<BTreeSet<String>>,
}

impl Scope {
    /// What stands behind WHERE.
    pub fn filter(&self) -> String {
        if self.filters.is_empty() { "true".into() } else { self.filters.join(" AND ") }
    }

    /// A column that can be asked for.
    ///
    /// # Errors
    /// [`Error::Question`] with the names that are near.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            if self.masked.contains(name) {
                return Error::Masked { name: name.to_owned() };
            }
            let hint = proposal("", name, self.columns.iter().map(|column| column.name.as_str()));
            Error::Question(format!("no column `{name}`{hint}"))
        })
    }
}

impl Index {
    /// Searches. Blocks until the page is there.
    ///
    /// # Errors
    /// [`Error::Question`] when the condition is wrong or names what is not there; time and memory are bounded.
    pub async fn search(&self, search: &Search) -> Result<Found> {
        self.search_for(None, search).await
    }

    /// The same for who sees a part of it: what is hidden is not there.
    ///
    /// # Errors
    /// As [`Index::search`], and [`Error::Masked`] for a column that is there and masked.
    pub async fn search_for(&self, view: Option<&View>, search: &Search) -> Result<Found> {
        let session = Session::new(&self.shared, view);
        let cursor = search.cursor.as_deref().map(Cursor::read).transpose()?;
        let mut search = search.clone();
        if let Some(cursor) = &cursor {
            [search.since_ns, search.until_ns, search.as_of_ns] = cursor.times;
        }
        let search = &search;
        let scope = scope(&session, search, cursor.as_ref())?;
        let limit = match search.limit {
            0 => limits::SEARCH_ROWS_MAX,
            some if some <= limits::SEARCH_ROWS_MAX => some,
            _ => {
                return Err(Error::Question(format!(
                    "`limit` is at most {}: use the cursor, or `sql`",
                    limits::SEARCH_ROWS_MAX
                )));
            }
        };
        let columns = wanted(search, &scope)?;
        let (order, key) = order(search, &scope)?;
        let mut filter = scope.filter();
        let mut offset = String::new();
        if let Some(cursor) = &cursor {
            match (&cursor.last, key) {
                (Some((time, id)), Some(descending)) => {
                    let (time, sign) = (instant(*time), if descending { '<' } else { '>' });
                    filter = format!(
                        "{filter} AND (time {sign} {time} OR (time = {time} AND id {sign} {}))",
                        literal(id)
                    );
                    filter = format!("{filter} AND time {sign}= {time}");
                }
                _ => offset = format!(" OFFSET {}", cursor.offset),
            }
        }
        let more = limit + 1;
        let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let mut keyed = columns.clone();
        for needed in ["id", "time"] {
            if !keyed.iter().any(|name| name == needed) {
                keyed.push(needed.into());
            }
        }
        let later = more <= FETCH_LATER_MAX && keyed.len() > 8 && !scope.is_fenced;
        let first = if later { vec!["id".to_owned(), "time".to_owned()] } else { keyed.clone() };
        let sql = format!(
            "SELECT {} FROM {} WHERE {filter} ORDER BY {order} LIMIT {more}{offset}",
            list(&first),
            scope.from
        );
        let mut rows = one(session.run(&sql).await?).await?;
        let has_more = rows.num_rows() > limit;
        rows = rows.slice(0, rows.num_rows().min(limit));
        let last = last_of(&rows);
        if later {
            rows = self.fetch(&session, &scope, &rows, &list(&keyed)).await?;
        }
        let places: Vec<usize> =
            columns.iter().filter_map(|name| rows.schema().index_of(name).ok()).collect();
        let count = rows.num_rows();
        let rows = rows.project(&places).map_err(|error| Error::Query(error.to_string()))?;
        let cursor = has_more.then(|| {
            // Saturating: a cursor comes from outside.
            let offset = cursor.as_ref().map_or(0, |cursor| cursor.offset).saturating_add(count);
            let times = [search.since_ns, search.until_ns, search.as_of_ns];
            Cursor { log: scope.log, last: key.and(last), offset, times }.write()
        });
        Ok(Found { schema: rows.schema(), rows, cursor, position: scope.log })
    }

    /// The SQL of all rows that a search looks for, without those masked; of records at these places in the log when some are given. And how far
    /// the index is.
    pub(crate) fn plan_rows(
        &self,
        search: &Search,
        mask: &[String],
        log: Option<(u64, u64)>,
    ) -> Result<(String, u64)> {
        let session = Session::new(&self.shared, None);
        let scope = scope(&session, search, None)?;
        let columns = crate::export::unmasked(wanted(search, &scope)?, mask)?;
        if columns.is_empty() {
            return Err(Error::Question("no column is left".into()));
        }
        let list = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let within = log
            .map(|(from, to)| format!(" AND log_index >= {from} AND log_index < {to}"))
            .unwrap_or_default();
        Ok((format!("SELECT {list} FROM {} WHERE {}{within}", scope.from, scope.filter()), scope.log))
    }

    /// Runs SQL that [`Index::plan_rows`] made, without the bound of time: an export takes as long as it takes.
    pub(crate) async fn run_own(&self, sql: &str) -> Result<super::Answer> {
        Session::new(&self.shared, None).run_for(sql, std::time::Duration::from_secs(24 * 3_600)).await
    }

    /// The columns of such SQL.
    pub(crate) async fn schema_of(&self, sql: &str) -> Result<SchemaRef> {
        let answer = Session::new(&self.shared, None).run(&format!("{sql} LIMIT 0")).await?;
        Ok(Arc::clone(&answer.schema))
    }

    /// Whether something was erased or disposed of since a place in the log.
    pub(crate) async fn gone_since(&self, log_index: u64) -> Result<bool> {
        let sql = format!(
            "SELECT id FROM records WHERE kind IN ('erasure', 'disposal') AND log_index >= {log_index} LIMIT 1"
        );
        Ok(one(Session::new(&self.shared, None).run(&sql).await?).await?.num_rows() > 0)
    }

    /// The columns of rows whose ids were found, in their order.
    async fn fetch(
        &self,
        session: &Session,
        scope: &Scope,
        found: &RecordBatch,
        list: &str,
    ) -> Result<RecordBatch> {
        let ids = texts(found, "id");
        let times = found
            .column_by_name("time")
            .and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
        let (Some(first), Some(last)) = (
            times.and_then(|times| times.iter().flatten().min()),
            times.and_then(|times| times.iter().flatten().max()),
        ) else {
            let sql = format!("SELECT {list} FROM {} WHERE false", scope.from);
            return one(session.run(&sql).await?).await;
        };
        let (low, high) =
            (ids.iter().min().cloned().unwrap_or_default(), ids.iter().max().cloned().unwrap_or_default());
        let named = ids.iter().map(|id| literal(id)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {list} FROM {} WHERE time >= {} AND time <= {} AND id >= {} AND id <= {} AND id IN ({named})",
            scope.from,
            instant(first),
            instant(last),
            literal(&low),
            literal(&high)
        );
        let rows = one(session.run(&sql).await?).await?;
        let place: HashMap<String, u32> =
            texts(&rows, "id").into_iter().enumerate().map(|(at, id)| (id, at as u32)).collect();
        let order: UInt32Array =
            ids.iter().filter_map(|id| place.get(id).copied()).collect::<Vec<_>>().into();
        take_record_batch(&rows, &order).map_err(|error| Error::Query(error.to_string()))
    }
}

/// What a search looks through, and what for.
pub(super) fn scope(session: &Session, search: &Search, cursor: Option<&Cursor>) -> Result<Scope> {
    let state = session.state();
    let condition = search.condition.as_deref().map(Condition::parse).transpose()?;
    condition.iter().for_each(|condition| session.in_parts(condition.growth));
    let mut named = condition.as_ref().map(Condition::columns).unwrap_or_default();
    named.extend(search.columns.iter().filter(|name| *name != "*").cloned());
    named.extend(search.order.iter().map(|order| order.by.clone()));
    let linked: BTreeSet<String> = named.iter().filter(|name| linked::is_linked(name)).cloned().collect();
    let of_table: BTreeSet<String> = named.difference(&linked).cloned().collect();
    let known = linked::names(state);
    let (model, version) =
        match search.model.as_deref().map(|model| model.split_once('@').unwrap_or((model, ""))) {
            Some((model, version)) => (Some(model), version),
            None => (None, ""),
        };
    let masked = &session.seen.masked;
    // What is not found may be there and masked, and is told as that.
    let or_masked = |error: Error| {
        let name = named.iter().find(|name| masked.contains(*name));
        match (error, name) {
            (Error::Question(_), Some(name)) => Error::Masked { name: name.clone() },
            (error, _) => error,
        }
    };
    let up_to = search.as_of_ns.map(id_from);
    let log = cursor.map_or(state.position, |cursor| cursor.log.min(state.position));
    let mut filters = Vec::new();
    if !version.is_empty() {
        filters.push(format!("version = {}", literal(version)));
    }
    filters.extend(search.since_ns.map(|ns| format!("time >= {}", instant(ns))));
    filters.extend(search.until_ns.map(|ns| format!("time <= {}", instant(ns))));
    filters.extend(up_to.as_ref().map(|id| format!("id < '{id}'")));
    if cursor.is_some() {
        filters.push(format!("log_index < {log}"));
    }
    let (mut from, mut columns) =
        source(state, model, &of_table, &mut filters, named.contains("kind")).map_err(or_masked)?;
    let mut is_fenced = false;
    if let Some(rows) = session.seen.rows.as_ref().filter(|_| from == RECORDS) {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let rows = std::iter::once(&**rows).chain(filters.iter().map(String::as_str)).collect::<Vec<_>>();
        from = format!("({})", fenced(&format!("{WHOLE}.{RECORDS}"), &names, &rows.join(" AND ")));
        is_fenced = true;
    }
    let real: BTreeSet<String> = linked.intersection(&known).cloned().collect();
    if let Some(missing) =
        linked.difference(&known).find(|name| columns.iter().all(|column| column.name != **name))
    {
        let hint = proposal("", missing, known.iter().map(String::as_str));
        return Err(or_masked(Error::Question(format!("no linked record has `{missing}`{hint}"))));
    }
    if !real.is_empty() {
        let links = linked::table(state, &real, up_to.as_deref());
        let taken = real.iter().map(|name| linked::taken(name)).collect::<Vec<_>>().join(", ");
        // The table of all records has columns of these names too, for the records that say so themselves.
        columns.retain(|column| !real.contains(&column.name));
        let own =
            columns.iter().map(|column| format!("d.{}", quoted(&column.name))).collect::<Vec<_>>().join(", ");
        // Links of records that are not seen are among them: a condition is held against those only that are.
        let fence = match session.seen.rows {
            Some(_) => {
                is_fenced = true;
                let filter = if filters.is_empty() { "true".to_owned() } else { filters.join(" AND ") };
                format!(" WHERE {filter} LIMIT {FENCE}")
            }
            None => String::new(),
        };
        from = format!(
            "(SELECT {own}, {taken} FROM {from} d LEFT JOIN ({links}) l ON l.\"_target\" = d.id{fence})"
        );
        let of_links = state.tables.get(&TableId::Links);
        for name in &real {
            let kind =
                of_links.and_then(|links| links.column(name)).map_or(ColumnType::Bool, |column| column.kind);
            columns.push(Column { name: name.clone(), kind });
        }
    }
    if let Some(condition) = &condition {
        let types = columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
        filters.push(format!("({})", condition.sql(&types)));
    }
    let scope = Scope { from, filters, columns, log, is_fenced, masked: Arc::clone(masked) };
    for name in &named {
        scope.column(name)?;
    }
    Ok(scope)
}

/// The table of a model, or of all models that have what is asked for, or that of all records when nothing of a model is.
fn source(
    state: &State,
    model: Option<&str>,
    named: &BTreeSet<String>,
    filters: &mut Vec<String>,
    any_kind: bool,
) -> Result<(String, Vec<Column>)> {
    if let Some(model) = model {
        let table =
            state.tables.get(&TableId::Model(model.to_owned())).ok_or_else(|| no_table(state, model))?;
        return Ok((format!("models.{}", quoted(model)), columns_of(table)));
    }
    let records = state
        .tables
        .get(&TableId::Records)
        .cloned()
        .unwrap_or_else(|| Arc::new(TableState::empty(TableId::Records)));
    if named.iter().all(|name| records.column(name).is_some()) {
        if !any_kind {
            filters.push("kind = 'decision'".into());
        }
        return Ok((RECORDS.to_owned(), columns_of(&records)));
    }
    let models = state.tables.values().filter(|table| matches!(table.id, TableId::Model(_)));
    let having: Vec<_> =
        models.clone().filter(|table| named.iter().all(|name| table.column(name).is_some())).collect();
    if having.is_empty() {
        let all: BTreeSet<&str> =
            models.flat_map(|table| &table.columns).map(|column| column.name.as_str()).collect();
        let missing = named.iter().find(|name| !all.contains(name.as_str()));
        return Err(Error::Question(match missing {
            Some(missing) => format!("no column `{missing}`{}", proposal("", missing, all.into_iter())),
            None => "no model has all of these columns".into(),
        }));
    }
    if having.len() > limits::SEARCH_MODELS_MAX {
        return Err(Error::Question(format!(
            "{} models have these columns, and at most {} are looked through: say which with `model`",
            having.len(),
            limits::SEARCH_MODELS_MAX
        )));
    }
    // Of each the fixed columns and those that are asked for, as one type.
    let mut columns: Vec<Column> = Vec::new();
    for table in &having {
        let some = table
            .columns
            .iter()
            .filter(|column| crate::file::is_fixed(&column.name) || named.contains(&column.name));
        crate::column::merge(
            &mut columns,
            &some.filter(|column| column.kind != ColumnType::Hidden).cloned().collect::<Vec<_>>(),
        );
    }
    let part = |table: &&Arc<TableState>| {
        let list = columns.iter().map(|column| {
            let name = quoted(&column.name);
            match table.column(&column.name) {
                Some(own) if own.kind.shown() == column.kind.shown() => name,
                Some(_) => format!("CAST({name} AS {}) AS {name}", sql_type(column.kind)),
                None => format!("CAST(NULL AS {}) AS {name}", sql_type(column.kind)),
            }
        });
        format!("SELECT {} FROM models.{}", list.collect::<Vec<_>>().join(", "), quoted(table.id.name()))
    };
    let parts: Vec<String> = having.iter().map(part).collect();
    Ok((format!("({})", parts.join(" UNION ALL ")), columns))
}

fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bool => "BOOLEAN",
        ColumnType::Int | ColumnType::WideInt => "BIGINT",
        ColumnType::Float => "DOUBLE",
        ColumnType::Timestamp => "TIMESTAMP WITH TIME ZONE",
        ColumnType::DateTime => "TIMESTAMP",
        ColumnType::Date => "DATE",
        _ => "VARCHAR",
    }
}

fn columns_of(table: &TableState) -> Vec<Column> {
    table.columns.iter().filter(|column| column.kind != ColumnType::Hidden).cloned().collect()
}

/// The columns of the answer.
fn wanted(search: &Search, scope: &Scope) -> Result<Vec<String>> {
    if !search.columns.is_empty() {
        let mut names: Vec<String> = Vec::new();
        for name in &search.columns {
            if name == "*" {
                names.extend(scope.columns.iter().map(|column| column.name.clone()));
            } else {
                names.push(scope.column(name)?.name.clone());
            }
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        return Ok(names);
    }
    let has = |name: &&str| {
        scope.columns.iter().any(|column| column.name == **name && column.kind != ColumnType::Empty)
    };
    let mut names: Vec<String> =
        SHOWN.iter().filter(|name| has(name)).map(|name| (*name).to_owned()).collect();
    for group in SHOWN_GROUPS {
        let of_group = scope
            .columns
            .iter()
            .filter(|column| column.name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')));
        names.extend(of_group.map(|column| column.name.clone()));
    }
    names.extend(
        scope.columns.iter().map(|column| &column.name).filter(|name| linked::is_linked(name)).cloned(),
    );
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// What stands behind ORDER BY; and when it is by time, whether the latest come first.
fn order(search: &Search, scope: &Scope) -> Result<(String, Option<bool>)> {
    let Some(order) = &search.order else { return Ok(("time DESC, id DESC".into(), Some(true))) };
    let column = scope.column(&order.by)?;
    let way = if order.descending { "DESC" } else { "ASC" };
    if column.name == "time" {
        return Ok((format!("time {way}, id {way}"), Some(order.descending)));
    }
    let name = quoted(&column.name);
    Ok((format!("{name} {way} NULLS LAST, time DESC, id DESC"), None))
}

async fn one(answer: super::Answer) -> Result<RecordBatch> {
    let schema = Arc::clone(&answer.schema);
    let batches = answer.all().await?;
    concat_batches(&schema, &batches).map_err(|error| Error::Query(error.to_string()))
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = batch.column_by_name(column).and_then(|array| array.as_string_opt::<i32>());
    array.iter().flat_map(|array| array.iter()).flatten().map(str::to_owned).collect()
}

fn last_of(rows: &RecordBatch) -> Option<(i64, String)> {
    let at = rows.num_rows().checked_sub(1)?;
    let time = rows.column_by_name("time")?.as_primitive_opt::<TimestampNanosecondType>()?;
    let id = rows.column_by_name("id")?.as_string_opt::<i32>()?;
    Some((time.value(at), id.value(at).to_owned()))
}

/// A moment as SQL.
pub(super) fn instant(ns: i64) -> String {
    let text = Timestamp::from_nanosecond(ns.into()).map(|at| at.to_string()).unwrap_or_default();
    format!("TIMESTAMP '{text}'")
}

/// The first id of the millisecond after a moment: records that were made later have later ids.
fn id_from(ns: i64) -> String {
    let ms = u64::try_from(ns.div_euclid(1_000_000)).unwrap_or(0) + 1;
    let hex = format!("{ms:012x}");
    format!("{}-{}-0000-0000-000000000000", &hex[..8], &hex[8..])
}
