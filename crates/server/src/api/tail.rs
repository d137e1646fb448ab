//! `GET /v1/tail`: records as they are sealed, an answer after the other: each waits until there is something new. Edge: which of them the asker
//! sees, and what of them, is `access`'s.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use minutebook_index::worked;
use minutebook_present::json::Printer;
use minutebook_present::selection::Selection;
use minutebook_record::RecordId;
use minutebook_trail::StoredRecord;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use super::App;
use super::listing::{kinds, no_cursor, read_cursor, said, too_long, write_cursor};
use super::records::given;
use crate::access::{Asker, Shown, Told};
use crate::guard::Terms;
use crate::limits::{LIST_BYTES_MAX, LIST_RECORDS_MAX, TAIL_LINES, TAIL_RECORDS, TAIL_WAIT_MAX};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Following {
    /// Where an answer before ended: its `cursor`. Without, the newest records, and a cursor behind them.
    cursor: Option<String>,
    /// Without a cursor: so many of the newest, to 10,000.
    lines: Option<usize>,
    /// With a cursor: records at most, to 10,000.
    limit: Option<usize>,
    /// With a cursor: seconds to wait for something new, to 60.
    wait: Option<u64>,
    /// Of these kinds, with commas.
    kind: Option<String>,
    /// Of this model, `NAME` or `NAME@VERSION`.
    model: Option<String>,
    #[serde(default)]
    types: bool,
}

/// From where on a trail is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The entry of the log.
    log: u64,
    /// Time and id of the last record that was given of the segment there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<(i64, String)>,
}

impl Cursor {
    fn read(text: &str) -> Result<(u64, Option<Place>), Problem> {
        let Self { log, last } = read_cursor(text)?;
        let last = match last {
            Some((time, id)) => Some(Place { log, time, id: id.parse().map_err(|_| no_cursor())? }),
            None => None,
        };
        Ok((log, last))
    }
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
struct Place {
    log: u64,
    time: i64,
    id: RecordId,
}

impl Place {
    fn of(record: &StoredRecord) -> Self {
        Self { log: record.sealed.log_index, time: record.time_ns(), id: record.header.id }
    }

    /// Whether a record was given with this one or before it.
    fn has_passed(&self, other: &Self) -> bool {
        other.log == self.log && (other.time, other.id) <= (self.time, self.id)
    }
}

/// What an answer has so far.
struct Found {
    printer: Printer,
    records: Vec<String>,
    bytes: usize,
    limit: usize,
    told: Told,
    last: Option<Place>,
    /// There is no room for the next record.
    is_full: bool,
}

impl Found {
    fn new(following: &Following, limit: usize) -> Self {
        let told = Told { asked: asked(following), records: Some(0), ..Told::default() };
        let printer = Printer { types: following.types };
        Self { printer, records: Vec::new(), bytes: 0, limit, told, last: None, is_full: false }
    }

    fn push(&mut self, place: Place, shown: &Shown) -> ControlFlow<()> {
        let text = self.printer.record(&shown.record).to_string();
        self.is_full = self.records.len() == self.limit || self.bytes + text.len() > LIST_BYTES_MAX;
        if self.is_full {
            return ControlFlow::Break(());
        }
        self.bytes += text.len();
        self.told.add(shown);
        self.records.push(text);
        self.last = Some(place);
        ControlFlow::Continue(())
    }
}

/// Records as they are sealed: what there is beyond a cursor, or what comes there while it waits.
#[utoipa::path(
    get,
    path = "/v1/tail",
    operation_id = "tail",
    tag = "records",
    params(Following),
    responses((status = 200, description = "`records`, each as docs/formats/json.md has it, and `cursor`, always", body = Object)),
)]
pub(super) async fn tail(
    State(app): State<App>,
    asker: Asker,
    terms: Option<Extension<Terms>>,
    query: Result<Query<Following>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let following = given(query)?;
    let selection = selection(&following)?;
    let (found, cursor) = match &following.cursor {
        Some(cursor) => {
            let asks = (asker, terms.map(|Extension(terms)| terms));
            next(&app, asks, &following, &selection, Cursor::read(cursor)?).await?
        }
        None => newest(&app, &asker, &following, &selection).await?,
    };
    let records = found.records.join(",");
    let answer = format!(r#"{{"records":[{records}],"cursor":{}}}"#, json!(write_cursor(&cursor)));
    Ok((Extension(found.told), [(header::CONTENT_TYPE, "application/json")], answer))
}

/// The newest records, the newest last, and the end of the log that they are of.
async fn newest(
    app: &App,
    asker: &Asker,
    following: &Following,
    selection: &Selection,
) -> Result<(Found, Cursor), Problem> {
    if following.limit.is_some() || following.wait.is_some() {
        return Err(Problem::request("`limit` and `wait` go with a `cursor`: the first answer has `lines`"));
    }
    let lines = bounded("lines", following.lines, TAIL_LINES, 0)?;
    let log = app.reader.log_size().await?;
    let mut found = Found::new(following, lines);
    if lines > 0 {
        let mut each = |record: StoredRecord| {
            if record.sealed.log_index >= log {
                return ControlFlow::Continue(());
            }
            let place = Place::of(&record);
            match asker.open(record).filter(|shown| selection.wants(&shown.record)) {
                Some(shown) => found.push(place, &shown),
                None => ControlFlow::Continue(()),
            }
        };
        worked(app.reader.list(&selection.filter(), &mut each)).await?;
    }
    found.records.reverse();
    Ok((found, Cursor { log, last: None }))
}

/// What is sealed beyond a place, when there is something, or the time to wait is over.
async fn next(
    app: &App,
    (mut asker, terms): (Asker, Option<Terms>),
    following: &Following,
    selection: &Selection,
    (mut log, passed): (u64, Option<Place>),
) -> Result<(Found, Cursor), Problem> {
    if following.lines.is_some() {
        return Err(Problem::request("`lines` is for the first answer: with a `cursor` there is `limit`"));
    }
    let limit = bounded("limit", following.limit, TAIL_RECORDS, 1)?;
    let wait = Duration::from_secs(following.wait.unwrap_or(0));
    if wait > TAIL_WAIT_MAX {
        return Err(Problem::request(format!("`wait` is {} s at most", TAIL_WAIT_MAX.as_secs())));
    }
    let until = Instant::now() + wait;
    let (mut state, mut closing) = (app.sealer.state.clone(), app.closing.subscribe());
    let filter = selection.filter();
    loop {
        state.mark_unchanged();
        let mut found = Found::new(following, limit);
        let mut each = |record: StoredRecord| {
            let place = Place::of(&record);
            if passed.is_some_and(|passed| passed.has_passed(&place)) {
                return ControlFlow::Continue(());
            }
            match asker.open(record).filter(|shown| selection.wants(&shown.record)) {
                Some(shown) => found.push(place, &shown),
                None => ControlFlow::Continue(()),
            }
        };
        let beyond = worked(app.reader.since(log, &filter, &mut each)).await?;
        if found.is_full {
            let Some(last) = found.last else {
                return Err(too_long());
            };
            let cursor = Cursor { log: last.log, last: Some((last.time, last.id.to_string())) };
            return Ok((found, cursor));
        }
        log = beyond;
        let is_over = if found.records.is_empty() {
            tokio::select! {
                // An error is that nobody seals any more.
                changed = timeout_at(until, state.changed()) => !matches!(changed, Ok(Ok(()))),
                _ = closing.wait_for(|closes| *closes) => true,
            }
        } else {
            true
        };
        if is_over {
            return Ok((found, Cursor { log, last: None }));
        }
        // What comes now is for who may see it now.
        if let Some(terms) = &terms {
            asker = terms.again().await?.0;
        }
    }
}

fn bounded(name: &str, given: Option<usize>, default: usize, least: usize) -> Result<usize, Problem> {
    let number = given.unwrap_or(default);
    if number < least || number > LIST_RECORDS_MAX {
        return Err(Problem::request(format!("`{name}` is from {least} to {LIST_RECORDS_MAX}")));
    }
    Ok(number)
}

/// What is asked for, for the record of it.
fn asked(following: &Following) -> String {
    said(&[("kind", &following.kind), ("model", &following.model)])
}

fn selection(following: &Following) -> Result<Selection, Problem> {
    let (kinds, model) = (kinds(&following.kind)?, following.model.clone());
    Ok(Selection { kinds, model, ..Selection::default() })
}
