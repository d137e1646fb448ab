//! One query over one state of the index, under limits of time and memory. Edge: runs SQL that `question` let through; nothing here writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use minutebook_policy::nearest::proposal;
use tokio::sync::mpsc;

use crate::ask::words;
use crate::column::ColumnType;
use crate::error::{Error, Result};
use crate::index::Shared;
use crate::limits;
use crate::meter::Watch;
use crate::provider::IndexTable;
use crate::state::{State, TableState};
use crate::table::{LINKS, RECORDS, TableId};
use crate::view::{Seen, View, fenced};

/// Batches that wait for a reader who is slower than the query.
const AHEAD: usize = 4;

/// Rows that come as they are found.
#[derive(Debug)]
pub struct Answer {
    /// Their columns.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    _work: Ends<()>,
}

/// Work that ends with whoever waits for it: a query whose reader has gone away goes no further.
#[derive(Debug)]
struct Ends<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// The next rows; `None` at the end. After an error nothing follows.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.batches.recv().await
    }

    /// All rows, within the bound of what is held in memory.
    ///
    /// # Errors
    /// What the query failed with, or [`Error::Answer`].
    pub async fn all(mut self) -> Result<Vec<RecordBatch>> {
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = self.next().await {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            if bytes > limits::ANSWER_BYTES_MAX {
                return Err(Error::Answer { bytes: limits::ANSWER_BYTES_MAX });
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// The memory that all queries of an index share. Without a disk: what does not fit fails, and nothing is written in clear.
pub fn runtime() -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits::QUERY_BYTES)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|error| Error::Query(error.to_string()))
}

/// A session that sees the tables of one state.
pub struct Session {
    context: SessionContext,
    /// What is seen.
    pub seen: Seen,
    shared: Arc<Shared>,
}

impl Session {
    /// Over the present state, for questions that this crate writes: whoever sees a part of the rows has [`WHOLE`] fenced.
    pub fn new(shared: &Arc<Shared>, view: Option<&View>) -> Self {
        let seen = match view {
            Some(view) => view.of(shared.state()),
            None => Seen::all(shared.state()),
        };
        Self::over(shared, seen, None)
    }

    /// The same for SQL of somebody else, who can name every table there is: only rows that are seen are in them.
    pub async fn for_sql(shared: &Arc<Shared>, view: Option<&View>) -> Result<Self> {
        let inner = Self::new(shared, view);
        let Some(rows) = inner.seen.rows.clone() else { return Ok(inner) };
        let mut fenced_tables: HashMap<String, Arc<dyn TableProvider>> = HashMap::new();
        for (name, id) in [(RECORDS, TableId::Records), (LINKS, TableId::Links)] {
            let empty = TableState::empty(id.clone());
            let table = inner.seen.state.tables.get(&id).map_or(&empty, |table| table);
            let columns: Vec<String> =
                table.schema.fields().iter().map(|field| field.name().clone()).collect();
            let sql = fenced(&format!("{WHOLE}.{name}"), &columns, &rows);
            let frame = inner.context.sql(&sql).await.map_err(|error| told(&error))?;
            fenced_tables.insert(name.to_owned(), frame.into_view());
        }
        Ok(Self::over(shared, inner.seen, Some(fenced_tables)))
    }

    fn over(
        shared: &Arc<Shared>,
        seen: Seen,
        fenced: Option<HashMap<String, Arc<dyn TableProvider>>>,
    ) -> Self {
        let mut config = SessionConfig::new()
            .with_target_partitions(shared.threads.count())
            .with_batch_size(limits::BATCH_ROWS)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, ALL)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.bloom_filter_on_read = false;
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&shared.runtime));
        context.register_catalog(CATALOG, Arc::new(Tables { state: Arc::clone(&seen.state), fenced }));
        context.register_udf(words::has_words());
        Self { context, seen, shared: Arc::clone(shared) }
    }

    /// Works on so many times fewer rows at once.
    pub fn in_parts(&self, growth: u64) {
        // INVARIANT: at most `GROWTH_MAX`, so some rows are left.
        let rows = limits::BATCH_ROWS / usize::try_from(growth.clamp(1, limits::GROWTH_MAX)).unwrap_or(1);
        let state = self.context.state_ref();
        let mut state = state.write();
        let config = std::mem::take(state.config_mut());
        *state.config_mut() = config.with_batch_size(rows);
    }

    /// The state that it sees.
    pub fn state(&self) -> &Arc<State> {
        &self.seen.state
    }

    /// The columns of the tables of these names, for telling mixed ones.
    pub fn types<'a>(&self, tables: impl IntoIterator<Item = &'a str>) -> HashMap<String, ColumnType> {
        let mut types: HashMap<String, ColumnType> = HashMap::new();
        for table in tables.into_iter().filter_map(|name| table(&self.seen.state, name)) {
            for column in &table.columns {
                let known = types.entry(column.name.clone()).or_insert(column.kind);
                // Mixed in one of the tables: read as a number there, and a number reads as itself.
                *known = known.with(column.kind);
            }
        }
        types
    }

    /// Runs SQL that this crate wrote.
    pub async fn run(&self, sql: &str) -> Result<Answer> {
        self.run_for(sql, limits::QUERY_TIME).await
    }

    /// The same with another bound of time.
    pub async fn run_for(&self, sql: &str, time: Duration) -> Result<Answer> {
        let dialect = datafusion::config::Dialect::Generic;
        let statement = self.context.state().sql_to_statement(sql, &dialect).map_err(|error| told(&error))?;
        self.execute(statement, time).await
    }

    /// Runs a statement that `question` let through.
    pub async fn run_statement(&self, statement: Statement) -> Result<Answer> {
        self.execute(statement, limits::QUERY_TIME).await
    }

    async fn execute(&self, statement: Statement, time: Duration) -> Result<Answer> {
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let context = self.context.clone();
        let deadline = tokio::time::Instant::now() + time;
        let out_of_time = move || Error::Time { seconds: time.as_secs() };
        let mut watch = Watch::here();
        watch.go();
        let mut planning = Ends(self.shared.threads.spawn(async move {
            let plan = context.state().statement_to_plan(statement).await?;
            options.verify_plan(&plan)?;
            context.execute_logical_plan(plan).await?.execute_stream().await
        }));
        let planned = tokio::time::timeout_at(deadline, &mut planning.0).await.map_err(|_| out_of_time())?;
        let planned = planned.map_err(|error| Error::Query(error.to_string()))?;
        let seen = self.seen.clone();
        let told = move |error: &DataFusionError| told_of(error, &seen);
        let mut stream = planned.map_err(|error| told(&error))?;
        let schema = plain(&stream.schema());
        let (sender, batches) = mpsc::channel(AHEAD);
        let shown = Arc::clone(&schema);
        let work = Ends(self.shared.threads.spawn(async move {
            loop {
                watch.go();
                let next = match tokio::time::timeout_at(deadline, stream.next()).await {
                    Err(_) => Some(Err(out_of_time())),
                    Ok(next) => next.map(|next| {
                        let batch = next.map_err(|error| told(&error))?;
                        in_plain(&batch, &shown).map_err(|error| Error::Query(error.to_string()))
                    }),
                };
                let Some(next) = next else { break };
                let failed = next.is_err();
                watch.pause();
                if sender.send(next).await.is_err() || failed {
                    break;
                }
            }
        }));
        Ok(Answer { schema, batches, _work: work })
    }
}

/// The same columns with the text type that every reader of Arrow knows.
fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8View => Arc::new(Field::clone(field).with_data_type(DataType::Utf8)),
        DataType::BinaryView => Arc::new(Field::clone(field).with_data_type(DataType::Binary)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Rows with these columns, by their places: a query may give several one name.
fn in_plain(batch: &RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

const CATALOG: &str = "trail";
/// All tables.
const ALL: &str = "trail";
/// Those of models only: one that is named as a table of ours is found there.
const MODELS: &str = "models";
/// Those of ours with all rows, where [`ALL`] has a part of them.
pub const WHOLE: &str = "whole";

/// A table by its name: ours first.
pub fn table<'a>(state: &'a State, name: &str) -> Option<&'a Arc<TableState>> {
    let own = match name {
        RECORDS => Some(TableId::Records),
        LINKS => Some(TableId::Links),
        _ => None,
    };
    own.and_then(|id| state.tables.get(&id)).or_else(|| state.tables.get(&TableId::Model(name.to_owned())))
}

#[derive(Debug)]
struct Tables {
    state: Arc<State>,
    /// Tables of ours as somebody sees a part of them; then the whole ones are not there.
    fenced: Option<HashMap<String, Arc<dyn TableProvider>>>,
}

impl CatalogProvider for Tables {
    fn schema_names(&self) -> Vec<String> {
        vec![ALL.into(), MODELS.into()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let own = match name {
            ALL => true,
            WHOLE if self.fenced.is_none() => true,
            MODELS => false,
            _ => return None,
        };
        let fenced = self.fenced.clone().unwrap_or_default();
        Some(Arc::new(Named { state: Arc::clone(&self.state), own, fenced }))
    }
}

#[derive(Debug)]
struct Named {
    state: Arc<State>,
    own: bool,
    fenced: HashMap<String, Arc<dyn TableProvider>>,
}

impl Named {
    fn find(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        if self.own
            && let Some(fenced) = self.fenced.get(name)
        {
            return Some(Arc::clone(fenced));
        }
        let empty = |id| Arc::new(TableState::empty(id));
        let found = if self.own {
            table(&self.state, name).cloned()
        } else {
            self.state.tables.get(&TableId::Model(name.to_owned())).cloned()
        };
        let found = match name {
            // They are there before their first row is.
            RECORDS if self.own && found.is_none() => Some(empty(TableId::Records)),
            LINKS if self.own && found.is_none() => Some(empty(TableId::Links)),
            _ => found,
        };
        found.map(|table| Arc::new(IndexTable(table)) as Arc<dyn TableProvider>)
    }
}

#[async_trait]
impl SchemaProvider for Named {
    fn table_names(&self) -> Vec<String> {
        self.state.tables.keys().map(|id| id.name().to_owned()).collect()
    }

    async fn table(&self, name: &str) -> datafusion::error::Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// What an error of the query engine means to who asked and sees this: a column that is masked is told as such, and of a value that cannot be
/// computed nothing, since it may be one that is not seen.
fn told_of(error: &DataFusionError, seen: &Seen) -> Error {
    if seen.is_all {
        return told(error);
    }
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, .. } if seen.masked.contains(&field.name) => {
                Error::Masked { name: field.name.clone() }
            }
            error => schema_error(error),
        },
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) | DataFusionError::Internal(_) => {
            Error::Question("a value cannot be computed".into())
        }
        DataFusionError::External(error) if !error.is::<Error>() => {
            Error::Question("a value cannot be computed".into())
        }
        _ => told(error),
    }
}

/// What an error of the query engine means to who asked.
pub fn told(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => schema_error(error),
        DataFusionError::ResourcesExhausted(_) => Error::Memory,
        DataFusionError::SQL(error, _) => Error::Question(format!("not SQL: {error}")),
        DataFusionError::Plan(what) => Error::Question(first_line(what)),
        DataFusionError::NotImplemented(what) => {
            Error::Question(format!("not supported: {}", first_line(what)))
        }
        DataFusionError::External(error) if error.is::<Error>() => Error::Query(error.to_string()),
        // Of a library that a function uses, as that of regular expressions, which draws where it is wrong and says what in the last line.
        DataFusionError::External(error) => {
            let what = error.to_string();
            let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::Question(format!("a value cannot be computed: {what}"))
        }
        DataFusionError::ArrowError(error, _) => {
            Error::Question(format!("a value cannot be computed: {}", first_line(&error.to_string())))
        }
        DataFusionError::Execution(what) => Error::Question(first_line(what)),
        // Expressions that pass the planner and are found to make no sense later.
        DataFusionError::Internal(what) => {
            Error::Question(format!("the query engine cannot do this: {}", first_line(what)))
        }
        other => Error::Query(first_line(&other.to_string())),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("Error during planning: ").to_owned()
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known = valid_fields.iter().map(|field| field.name.as_str());
            let hint = proposal("", &field.name, known);
            Error::Question(format!("no column `{}`{hint}", field.name))
        }
        other => Error::Question(first_line(&other.to_string())),
    }
}
