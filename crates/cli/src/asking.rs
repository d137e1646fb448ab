//! Who answers a question to the index: the engine that runs, or this process. Edge: finds out and asks; how an answer is shown is the command's.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::SchemaRef;
use minutebook_index::{Facets, FacetsOf, INDEX_FOLDER, Index, Indexer, Mode, Search, TableInfo};
use minutebook_present::page;
use minutebook_server::{EngineClient, Refused, known};
use minutebook_trail::{Place, Reader};
use serde_json::{Value, json};

use crate::failure::{Failure, Result};

/// Who answers.
pub(crate) enum Asking {
    /// The engine that runs: its index has what was sealed last in memory.
    Process(EngineClient),
    /// This process. The index is brought up to date first, and stays so where it can be written.
    Ours(Index, Box<Indexer>),
}

/// Rows.
pub(crate) struct Rows {
    /// Their columns.
    pub schema: SchemaRef,
    /// In batches.
    pub batches: Vec<RecordBatch>,
    /// Where the next page begins.
    pub cursor: Option<String>,
}

impl Asking {
    /// Finds who answers, and tells an engine what it is asked for: it says so in its records of reads.
    pub(crate) async fn open(place: &Place, purpose: Option<&str>) -> Result<Self> {
        if let Some(engine) = EngineClient::find(&place.folder).await {
            return Ok(Self::Process(engine.with_purpose(purpose)?));
        }
        let reader = Arc::new(Reader::open(place).await?);
        let (index, mut indexer) = Index::open(place, reader, Mode::Write)?;
        indexer.catch_up().await?;
        Ok(Self::Ours(index, Box::new(indexer)))
    }

    /// Searches.
    pub(crate) async fn search(&self, search: &Search, proven: bool) -> Result<Rows> {
        match self {
            Self::Ours(index, _) => {
                let found = index.search(search).await?;
                if proven {
                    index.prove(&found.rows).await?;
                }
                Ok(Rows { schema: found.schema, batches: vec![found.rows], cursor: found.cursor })
            }
            Self::Process(engine) => {
                let mut body = asked(search);
                body["proven"] = proven.into();
                rows(engine.rows("/v1/search", &body).await?)
            }
        }
    }

    /// Runs a SELECT.
    pub(crate) async fn sql(&self, query: &str) -> Result<Rows> {
        match self {
            Self::Ours(index, _) => {
                let answer = index.sql(query).await?;
                let schema = Arc::clone(&answer.schema);
                Ok(Rows { schema, batches: answer.all().await?, cursor: None })
            }
            Self::Process(engine) => rows(engine.rows("/v1/sql", &json!({ "query": query })).await?),
        }
    }

    /// Counts what a search finds.
    pub(crate) async fn facets(&self, of: &FacetsOf) -> Result<Facets> {
        match self {
            Self::Ours(index, _) => Ok(index.facets(of).await?),
            Self::Process(engine) => {
                let body = json!({
                    "search": asked(&of.search), "bars": of.bars, "columns": of.columns, "values": of.values,
                });
                Ok(engine.json("/v1/facets", &body).await?)
            }
        }
    }

    /// The models, as `GET /v1/models` has each.
    pub(crate) async fn models(&self) -> Result<Vec<Value>> {
        match self {
            Self::Ours(index, _) => Ok(known::all(index, |_| true).await?),
            Self::Process(engine) => Ok(engine.models().await?),
        }
    }

    /// One of them, as `GET /v1/models/{name}` has it.
    pub(crate) async fn model(&self, name: &str) -> Result<Value> {
        match self {
            Self::Ours(index, _) => known::one(index, name).await?.ok_or_else(|| {
                let what = format!("no record is of a model `{}`", page::printable(name));
                Failure::input(what, "`minutebook models` shows which there are")
            }),
            Self::Process(engine) => Ok(engine.model(name).await?),
        }
    }

    /// The tables.
    pub(crate) async fn tables(&self) -> Result<Vec<TableInfo>> {
        match self {
            Self::Ours(index, _) => Ok(index.tables()),
            Self::Process(engine) => Ok(engine.tables().await?),
        }
    }

    /// Leaves the index in order.
    pub(crate) fn close(self) -> Result {
        match self {
            Self::Ours(_, indexer) => Ok(indexer.close()?),
            Self::Process(_) => Ok(()),
        }
    }
}

/// Takes what is gone from evidence out of the index, when there is one.
pub(crate) async fn follow(place: &Place) -> Result {
    if !place.folder.join(INDEX_FOLDER).exists() {
        return Ok(());
    }
    let reader = Arc::new(Reader::open(place).await?);
    let (_, mut indexer) = Index::open(place, reader, Mode::Write)?;
    indexer.catch_up().await?;
    Ok(indexer.close()?)
}

/// A search as the engine's API takes it.
fn asked(search: &Search) -> serde_json::Value {
    let time = |ns: Option<i64>| {
        ns.and_then(|ns| jiff::Timestamp::from_nanosecond(ns.into()).ok()).map(|at| at.to_string())
    };
    json!({
        "where": search.condition,
        "model": search.model,
        "since": time(search.since_ns),
        "until": time(search.until_ns),
        "as_of": time(search.as_of_ns),
        "order": search.order,
        "limit": search.limit,
        "columns": search.columns,
        "cursor": search.cursor,
        "fresh": true,
    })
}

fn rows((bytes, cursor): (bytes::Bytes, Option<String>)) -> Result<Rows> {
    let broken = |error: arrow_schema::ArrowError| {
        Failure::from(Refused::Lost(format!("its answer broke off: {error}").into()))
    };
    let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None).map_err(broken)?;
    let schema = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
    Ok(Rows { schema, batches, cursor })
}
