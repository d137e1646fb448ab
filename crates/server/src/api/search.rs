//! `/v1/search`, `/v1/facets`, `/v1/sql`: questions to the index. Answers are JSON, or an Arrow stream for who accepts that.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream;
use jiff::tz::TimeZone;
use minutebook_index::rows::{self, ARROW_STREAM, ArrowStream};
use minutebook_index::{Answer, FacetsOf, Index, Order, Search};
use minutebook_present::typed;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::given::question;
use crate::access::{Asker, Told};
use crate::limits::{JSON_ROWS_MAX, SEARCH_ROWS};
use crate::problem::Problem;

/// Which rows, in which order, with which columns.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Search)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    r#where: Option<String>,
    model: Option<String>,
    since: Option<String>,
    until: Option<String>,
    as_of: Option<String>,
    #[schema(value_type = Option<Object>)]
    order: Option<Order>,
    limit: Option<usize>,
    columns: Vec<String>,
    cursor: Option<String>,
    /// Seals and indexes what was handed over before it answers.
    fresh: bool,
    /// Holds each row against sealed evidence.
    proven: bool,
}

/// What is counted of the rows of a search.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Facets)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    #[serde(default)]
    search: Asked,
    #[serde(default)]
    bars: usize,
    #[serde(default)]
    columns: Vec<String>,
    values: Option<usize>,
}

/// A query in SQL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    query: String,
    #[serde(default)]
    fresh: bool,
}

impl Asked {
    /// What is asked for, for the record of it: names, and no value that somebody wrote.
    fn words(&self, app: &App) -> String {
        let mut words = Vec::new();
        if let Some(condition) = &self.r#where {
            words.push(format!("where {}", app.indexing.index.without_literals(condition)));
        }
        let said =
            [("model", &self.model), ("since", &self.since), ("until", &self.until), ("as_of", &self.as_of)];
        words
            .extend(said.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))));
        if let Some(order) = &self.order {
            words.push(format!("order by {}", app.indexing.index.without_literals(&order.by)));
        }
        if !self.columns.is_empty() {
            words.push(columns(app, &self.columns));
        }
        words.join("; ")
    }

    fn search(&self, app: &App) -> Result<Search, Problem> {
        let time = |member: &str, text: &Option<String>| {
            let time = |text: &String| typed::time(text, app.clock.wall_ns(), &TimeZone::UTC);
            text.as_ref()
                .map(time)
                .transpose()
                .map_err(|what| Problem::request(format!("`{member}`: {what}")))
        };
        Ok(Search {
            condition: self.r#where.clone(),
            model: self.model.clone(),
            since_ns: time("since", &self.since)?,
            until_ns: time("until", &self.until)?,
            as_of_ns: time("as_of", &self.as_of)?,
            order: self.order.clone(),
            limit: self.limit.unwrap_or(SEARCH_ROWS),
            columns: self.columns.clone(),
            cursor: self.cursor.clone(),
        })
    }
}

fn columns(app: &App, columns: &[String]) -> String {
    let names = columns.iter().map(|name| app.indexing.index.without_literals(name));
    format!("columns {}", names.collect::<Vec<_>>().join(", "))
}

/// What an answer of the index has, before its rows are looked at.
fn told(app: &App, asker: &Asker, asked: String, model: Option<&str>) -> Told {
    let masked = asker.view().is_some_and(|view| app.indexing.index.masks(view));
    let mut told = Told { asked, masked, ..Told::default() };
    told.add_model(model.map(|model| model.split('@').next().unwrap_or(model)));
    told
}

/// Everything that was handed over before the request can be found.
pub(super) async fn freshen(app: &App, fresh: bool) -> Result<(), Problem> {
    if fresh {
        app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
        app.indexing.catch_up().await.map_err(|error| Problem::from(&*error))?;
    } else {
        app.indexing.begun().await;
    }
    Ok(())
}

fn wants_arrow(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains(ARROW_STREAM))
}

/// Rows by a condition on inputs, outputs, times and models.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    request_body = Asked,
    responses((status = 200, description = "`columns`, `rows`, `cursor`, `position`; or an Arrow stream for who accepts that",
        content((Object = "application/json"), (Vec<u8> = "application/vnd.apache.arrow.stream")))),
)]
pub(super) async fn search(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: Asked = question(&headers, &body)?;
    freshen(&app, asked.fresh).await?;
    let words = asked.words(&app);
    let found = app.indexing.index.search_for(asker.view(), &asked.search(&app)?).await;
    let found = found.map_err(|error| Problem::from(error).asked(&words))?;
    let mut told = told(&app, &asker, words, asked.model.as_deref());
    told.records = Some(found.rows.num_rows() as u64);
    rows::texts_of(&found.rows, "model").for_each(|model| told.add_model(Some(model)));
    if asked.proven {
        app.indexing.index.prove(&found.rows).await?;
    }
    if wants_arrow(&headers) {
        let mut arrow = ArrowStream::new(&found.schema)?;
        let mut bytes = arrow.write(&found.rows)?;
        bytes.extend(arrow.finish()?);
        let mut answer = (Extension(told), [(header::CONTENT_TYPE, ARROW_STREAM)], bytes).into_response();
        let told = answer.headers_mut();
        told.insert("minutebook-position", found.position.into());
        if let Some(cursor) = found.cursor.and_then(|cursor| cursor.parse().ok()) {
            told.insert("minutebook-cursor", cursor);
        }
        return Ok(answer);
    }
    let columns: Vec<&str> = found.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let rows = rows::json(&found.rows)?;
    let answer =
        json!({ "columns": columns, "rows": rows, "cursor": found.cursor, "position": found.position });
    Ok((Extension(told), Json(answer)).into_response())
}

/// What the rows of a search have how often, and a histogram over time.
#[utoipa::path(
    post,
    path = "/v1/facets",
    tag = "search",
    request_body = Counted,
    responses((status = 200, description = "The counts", body = Object)),
)]
pub(super) async fn facets(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(Extension<Told>, Json<Value>), Problem> {
    let asked: Counted = question(&headers, &body)?;
    freshen(&app, asked.search.fresh).await?;
    let of = FacetsOf {
        search: asked.search.search(&app)?,
        bars: asked.bars,
        columns: asked.columns.clone(),
        values: asked.values.unwrap_or(10),
    };
    let words = format!("{}; {}", asked.search.words(&app), columns(&app, &of.columns));
    let facets = app.indexing.index.facets_for(asker.view(), &of).await;
    let facets = facets.map_err(|error| Problem::from(error).asked(&words))?;
    let mut told = told(&app, &asker, words, asked.search.model.as_deref());
    told.records = Some(facets.count);
    Ok((Extension(told), Json(json!(facets))))
}

/// A query in SQL over the tables of the models.
#[utoipa::path(
    post,
    path = "/v1/sql",
    tag = "search",
    request_body = Statement,
    responses((status = 200, description = "`columns`, `rows`; or an Arrow stream for who accepts that",
        content((Object = "application/json"), (Vec<u8> = "application/vnd.apache.arrow.stream")))),
)]
pub(super) async fn sql(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: Statement = question(&headers, &body)?;
    freshen(&app, asked.fresh).await?;
    let words = app.indexing.index.without_literals(&asked.query);
    let answer = app.indexing.index.sql_for(asker.view(), &asked.query).await;
    let mut answer = answer.map_err(|error| Problem::from(error).asked(&words))?;
    let mut told = told(&app, &asker, words, None);
    let models = app.indexing.index.models();
    for table in Index::tables_named(&asked.query) {
        told.add_model(models.contains(&table).then_some(&table));
    }
    if wants_arrow(&headers) {
        return Ok((Extension(told), arrow(answer).await?).into_response());
    }
    let columns: Vec<String> = answer.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut all = Vec::new();
    while let Some(batch) = answer.next().await {
        all.extend(rows::json(&batch?)?);
        if all.len() > JSON_ROWS_MAX {
            return Err(Problem::request(format!(
                "the answer has more than {JSON_ROWS_MAX} rows: ask for fewer, or for an Arrow stream (`accept: {ARROW_STREAM}`)"
            )));
        }
    }
    told.records = Some(all.len() as u64);
    Ok((Extension(told), Json(json!({ "columns": columns, "rows": all }))).into_response())
}

/// Rows as they are found. What fails before the first rows is told as a problem; afterwards the stream breaks off.
async fn arrow(mut answer: Answer) -> Result<Response, Problem> {
    let mut writer = ArrowStream::new(&answer.schema)?;
    let first = match answer.next().await {
        Some(batch) => writer.write(&batch?)?,
        None => writer.begin()?,
    };
    let rest = stream::unfold(Some((answer, writer)), |state| async {
        let (mut answer, mut writer) = state?;
        Some(match answer.next().await {
            Some(Ok(batch)) => match writer.write(&batch) {
                Ok(bytes) => (Ok(Bytes::from(bytes)), Some((answer, writer))),
                Err(error) => (Err(error), None),
            },
            Some(Err(error)) => (Err(error), None),
            None => (writer.finish().map(Bytes::from), None),
        })
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let body = Body::from_stream(futures::StreamExt::chain(first, rest));
    Ok(([(header::CONTENT_TYPE, ARROW_STREAM)], body).into_response())
}
