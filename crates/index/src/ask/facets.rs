//! What a search would find, in numbers: over time, and by the values of columns. Edge: counts; the rows themselves are `search`'s.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use super::question::quoted;
use super::search::{Scope, Search, scope};
use super::session::Session;
use crate::column::ColumnType;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::limits;
use crate::view::View;

/// Ranges of a column of numbers.
const RANGES: usize = 10;

/// What to count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FacetsOf {
    /// Of what this search finds; its order, limit and columns do not matter.
    pub search: Search,
    /// Bars of the histogram over time; none without.
    pub bars: usize,
    /// Columns.
    pub columns: Vec<String>,
    /// Values of each column.
    pub values: usize,
}

/// The numbers of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facets {
    /// Records in the trail.
    pub count: u64,
    /// Decisions that these stand for, where sampling left some out; less where a rate is not known.
    pub weighted: f64,
    /// Over time.
    pub bars: Vec<Bar>,
    /// By column.
    pub facets: Vec<Facet>,
}

/// A bar of a histogram over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Where it begins, ns since 1970.
    pub from_ns: i64,
    /// Where the next begins.
    pub to_ns: i64,
    /// Records in it.
    pub count: u64,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facet {
    /// The column.
    pub column: String,
    /// Records that have none.
    pub missing: u64,
    /// The most frequent values.
    pub values: Vec<FacetValue>,
    /// Ranges of numbers of equal width.
    pub ranges: Vec<Range>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetValue {
    /// Its text.
    pub value: String,
    /// Records that have it.
    pub count: u64,
}

/// A range of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// From here.
    pub from: f64,
    /// To here, which belongs to the next one; to the last it belongs.
    pub to: f64,
    /// Records within.
    pub count: u64,
}

impl Index {
    /// Counts what a search finds. Blocks until all is counted; every number is of one state of the index.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub async fn facets(&self, asked: &FacetsOf) -> Result<Facets> {
        self.facets_for(None, asked).await
    }

    /// The same for who sees a part.
    ///
    /// # Errors
    /// As [`Index::search_for`].
    pub async fn facets_for(&self, view: Option<&View>, asked: &FacetsOf) -> Result<Facets> {
        if asked.values > limits::FACET_VALUES_MAX || asked.bars > limits::BARS_MAX {
            return Err(Error::Question(format!(
                "`values` is at most {}, `bars` at most {}",
                limits::FACET_VALUES_MAX,
                limits::BARS_MAX
            )));
        }
        let session = Session::new(&self.shared, view);
        let mut search = asked.search.clone();
        search.columns.clone_from(&asked.columns);
        search.order = None;
        let scope = scope(&session, &search, None)?;
        let total = rows(
            &session,
            format!(
                "SELECT count(*) AS n, sum(weight) AS w, min(time) AS a, max(time) AS z FROM {} WHERE {}",
                scope.from,
                scope.filter()
            ),
        )
        .await?;
        let mut facets = Facets {
            count: integers(&total, "n").first().copied().flatten().unwrap_or(0) as u64,
            weighted: floats(&total, "w").first().copied().flatten().unwrap_or(0.0),
            bars: Vec::new(),
            facets: Vec::new(),
        };
        let times = (instants(&total, "a"), instants(&total, "z"));
        if let (Some(Some(first)), Some(Some(last))) = (times.0.first(), times.1.first())
            && asked.bars > 0
        {
            let span = (search.since_ns.unwrap_or(*first), search.until_ns.unwrap_or(*last));
            facets.bars = bars(&session, &scope, span, asked.bars).await?;
        }
        for name in &asked.columns {
            facets.facets.push(facet(&session, &scope, name, asked.values.max(1), facets.count).await?);
        }
        Ok(facets)
    }
}

async fn rows(session: &Session, sql: String) -> Result<Vec<RecordBatch>> {
    session.run(&sql).await?.all().await
}

async fn bars(session: &Session, scope: &Scope, span: (i64, i64), count: usize) -> Result<Vec<Bar>> {
    let width = ((span.1 - span.0).max(1) as u64).div_ceil(count as u64).max(1) as i64;
    let width = if span.0 + width * count as i64 > span.1 { width } else { width + 1 };
    let found = rows(
        session,
        format!(
            "SELECT (CAST(time AS BIGINT) - {}) / {width} AS b, count(*) AS n FROM {} WHERE {} GROUP BY b",
            span.0,
            scope.from,
            scope.filter()
        ),
    )
    .await?;
    let mut bars: Vec<Bar> = (0..count as i64)
        .map(|at| Bar { from_ns: span.0 + at * width, to_ns: span.0 + (at + 1) * width, count: 0 })
        .collect();
    for (at, n) in integers(&found, "b").into_iter().zip(integers(&found, "n")) {
        if let (Some(at), Some(n)) = (at, n)
            && let Some(bar) = usize::try_from(at).ok().and_then(|at| bars.get_mut(at))
        {
            bar.count += n as u64;
        }
    }
    Ok(bars)
}

async fn facet(session: &Session, scope: &Scope, name: &str, values: usize, total: u64) -> Result<Facet> {
    let column = scope.column(name)?;
    let quoted = quoted(name);
    let (from, filter) = (&scope.from, scope.filter());
    let mut facet = Facet { column: name.to_owned(), missing: 0, values: Vec::new(), ranges: Vec::new() };
    if column.kind == ColumnType::Texts {
        return Err(Error::Question(format!("`{name}` has lists, whose values are not counted")));
    }
    let top = rows(session, format!(
        "SELECT {quoted} AS v, count(*) AS n FROM {from} WHERE {filter} AND {quoted} IS NOT NULL GROUP BY v ORDER BY n DESC, v LIMIT {values}"
    )).await?;
    for batch in &top {
        let (Some(found), Some(counts)) = (batch.column_by_name("v"), batch.column_by_name("n")) else {
            continue;
        };
        let counts = counts.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let value = array_value_to_string(found, row).map_err(|error| Error::Query(error.to_string()))?;
            facet.values.push(FacetValue { value, count: counts.value(row) as u64 });
        }
    }
    let is_number = matches!(column.kind.shown(), DataType::Int64 | DataType::Float64);
    let extent = if is_number {
        format!("CAST(min({quoted}) AS DOUBLE) AS a, CAST(max({quoted}) AS DOUBLE) AS z")
    } else {
        "CAST(NULL AS DOUBLE) AS a, CAST(NULL AS DOUBLE) AS z".to_owned()
    };
    let finite =
        if is_number { format!(" AND {quoted} > -1e308 AND {quoted} < 1e308") } else { String::new() };
    let about = rows(session, format!("SELECT count({quoted}) AS n FROM {from} WHERE {filter}")).await?;
    facet.missing =
        total.saturating_sub(integers(&about, "n").first().copied().flatten().unwrap_or(0) as u64);
    let about = rows(session, format!("SELECT {extent} FROM {from} WHERE {filter}{finite}")).await?;
    if let (Some(Some(low)), Some(Some(high))) = (floats(&about, "a").first(), floats(&about, "z").first()) {
        facet.ranges = ranges(session, scope, &quoted, (*low, *high), &finite).await?;
    }
    Ok(facet)
}

async fn ranges(
    session: &Session,
    scope: &Scope,
    column: &str,
    span: (f64, f64),
    finite: &str,
) -> Result<Vec<Range>> {
    let (low, high) = span;
    let width = (high - low) / RANGES as f64;
    if width <= 0.0 || !width.is_finite() {
        return Ok(Vec::new());
    }
    let place = format!("floor((CAST({column} AS DOUBLE) - {low:e}) / {width:e})");
    let sql = format!(
        "SELECT CAST(least({place}, {}) AS BIGINT) AS b, count(*) AS n FROM {} \
         WHERE {}{finite} AND {column} IS NOT NULL GROUP BY b",
        RANGES - 1,
        scope.from,
        scope.filter()
    );
    let found = rows(session, sql).await?;
    let edge = |at: usize| if at == RANGES { high } else { low + width * at as f64 };
    let mut ranges: Vec<Range> =
        (0..RANGES).map(|at| Range { from: edge(at), to: edge(at + 1), count: 0 }).collect();
    for (at, n) in integers(&found, "b").into_iter().zip(integers(&found, "n")) {
        if let (Some(at), Some(n)) = (at, n)
            && let Some(range) = usize::try_from(at).ok().and_then(|at| ranges.get_mut(at))
        {
            range.count += n as u64;
        }
    }
    Ok(ranges)
}

fn integers(batches: &[RecordBatch], column: &str) -> Vec<Option<i64>> {
    let arrays =
        batches.iter().filter_map(|batch| batch.column_by_name(column)?.as_primitive_opt::<Int64Type>());
    arrays.flat_map(|array| array.iter()).collect()
}

fn floats(batches: &[RecordBatch], column: &str) -> Vec<Option<f64>> {
    let arrays =
        batches.iter().filter_map(|batch| batch.column_by_name(column)?.as_primitive_opt::<Float64Type>());
    arrays.flat_map(|array| array.iter()).collect()
}

fn instants(batches: &[RecordBatch], column: &str) -> Vec<Option<i64>> {
    let arrays = batches
        .iter()
        .filter_map(|batch| batch.column_by_name(column)?.as_primitive_opt::<TimestampNanosecondType>());
    arrays.flat_map(|array| array.iter()).collect()
}
