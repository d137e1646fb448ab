//! `GET /v1/records`: records by time and kind, page by page. Edge: which of them the asker sees, and what of them, is `access`'s.

use std::ops::ControlFlow;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::tz::TimeZone;
use minutebook_present::json::Printer;
use minutebook_present::page;
use minutebook_present::selection::Selection;
use minutebook_present::typed;
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{Filter, StoredRecord};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::IntoParams;

use super::App;
use super::records::given;
use crate::access::{Asker, Told};
use crate::limits::{LIST_BYTES_MAX, LIST_RECORDS, LIST_RECORDS_MAX};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    /// Records at most, to 10,000.
    limit: Option<usize>,
    /// From this time on: RFC 3339, or so long ago (`7d`).
    since: Option<String>,
    /// Before this time.
    until: Option<String>,
    /// Of these kinds, with commas.
    kind: Option<String>,
    /// Of this model, or of these with a `*`.
    model: Option<String>,
    #[serde(default)]
    oldest: bool,
    #[serde(default)]
    types: bool,
    /// From where an answer before ended: its `cursor`.
    cursor: Option<String>,
}

/// Where a page ended. `log` is what all pages look through, so that records that arrive meanwhile move nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    log: u64,
    time: i64,
    id: String,
    /// Bounds of time of the first page: `7d` means the same on all.
    times: [Option<i64>; 2],
    oldest: bool,
}

/// The last record of a page, and the log that all pages look through.
struct Last {
    log: u64,
    at: Option<(i64, RecordId)>,
}

impl Cursor {
    fn read(text: &str) -> Result<(Self, RecordId), Problem> {
        let cursor: Self = read_cursor(text)?;
        let id = cursor.id.parse().map_err(|_| no_cursor())?;
        Ok((cursor, id))
    }
}

impl Last {
    /// Whether a record is of the pages before, or was sealed since the first.
    fn is_past(&self, record: &StoredRecord, oldest_first: bool) -> bool {
        if record.sealed.log_index >= self.log {
            return true;
        }
        let Some(last) = self.at else { return false };
        let here = (record.time_ns(), record.header.id);
        if oldest_first { here <= last } else { here >= last }
    }

    /// What a reader has to look through for the next page.
    fn narrow(&self, mut filter: Filter) -> Filter {
        match self.at {
            Some((time, _)) if filter.oldest_first => filter.from_ns = filter.from_ns.max(time),
            Some((time, _)) => filter.to_ns = filter.to_ns.min(time),
            None => {}
        }
        filter
    }
}

/// Records by time and kind, the newest first.
#[utoipa::path(
    get,
    path = "/v1/records",
    operation_id = "list_records",
    tag = "records",
    params(Listing),
    responses((status = 200, description = "`records`, each as docs/formats/json.md has it, and `cursor`", body = Object)),
)]
pub(super) async fn records(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Listing>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let listing = given(query)?;
    let limit = listing.limit.unwrap_or(LIST_RECORDS);
    if limit == 0 || limit > LIST_RECORDS_MAX {
        return Err(Problem::request(format!("`limit` is from 1 to {LIST_RECORDS_MAX}")));
    }
    let mut selection = selection(&app, &listing)?;
    let mut last = match listing.cursor.as_deref().map(Cursor::read).transpose()? {
        Some((cursor, id)) => {
            [selection.since_ns, selection.until_ns] = cursor.times;
            selection.oldest_first = cursor.oldest;
            Last { log: cursor.log, at: Some((cursor.time, id)) }
        }
        None => Last { log: app.reader.log_size().await?, at: None },
    };
    let oldest = selection.oldest_first;
    let filter = last.narrow(selection.filter());
    let printer = Printer { types: listing.types };
    let (mut list, mut count, mut more, mut too_large) = (String::from(r#"{"records":["#), 0, false, false);
    let mut told = Told { asked: asked(&listing), records: Some(0), ..Told::default() };
    let mut each = |record: StoredRecord| {
        if last.is_past(&record, oldest) {
            return ControlFlow::Continue(());
        }
        let here = (record.time_ns(), record.header.id);
        let Some(shown) = asker.open(record).filter(|shown| selection.wants(&shown.record)) else {
            return ControlFlow::Continue(());
        };
        more = count == limit;
        if more {
            return ControlFlow::Break(());
        }
        let text = printer.record(&shown.record).to_string();
        if list.len() + text.len() > LIST_BYTES_MAX {
            (more, too_large) = (count > 0, count == 0);
            return ControlFlow::Break(());
        }
        told.add(&shown);
        if count > 0 {
            list.push(',');
        }
        list.push_str(&text);
        count += 1;
        last.at = Some(here);
        ControlFlow::Continue(())
    };
    app.reader.list(&filter, &mut each).await?;
    if too_large {
        return Err(too_long());
    }
    let cursor = last.at.filter(|_| more).map(|(time, id)| {
        let (id, times) = (id.to_string(), [selection.since_ns, selection.until_ns]);
        write_cursor(&Cursor { log: last.log, time, id, times, oldest })
    });
    list.push_str(&format!(r#"],"cursor":{}}}"#, json!(cursor)));
    Ok((Extension(told), [(header::CONTENT_TYPE, "application/json")], list))
}

/// What a listing asks for, for the record of it.
fn asked(listing: &Listing) -> String {
    let Listing { since, until, kind, model, .. } = listing;
    said(&[("kind", kind), ("model", model), ("since", since), ("until", until)])
}

/// Parameters as they were given.
pub(super) fn said(parameters: &[(&str, &Option<String>)]) -> String {
    let said = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    said.collect::<Vec<_>>().join(" ")
}

/// The kinds that a parameter lists, with commas.
pub(super) fn kinds(given: &Option<String>) -> Result<Vec<Kind>, Problem> {
    let kinds = given.iter().flat_map(|kinds| kinds.split(',')).map(typed::kind);
    kinds.collect::<Result<_, _>>().map_err(|what| Problem::request(format!("`kind`: {what}")))
}

/// A cursor as a client has it.
pub(super) fn write_cursor(cursor: &impl Serialize) -> String {
    // INVARIANT: numbers and texts always serialise.
    BASE64.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

pub(super) fn read_cursor<C: DeserializeOwned>(text: &str) -> Result<C, Problem> {
    let read = || serde_json::from_slice(&BASE64.decode(text).ok()?).ok();
    read().ok_or_else(no_cursor)
}

pub(super) fn no_cursor() -> Problem {
    Problem::request("`cursor` is not one that an answer gave")
}

/// No page has room for the next record.
pub(super) fn too_long() -> Problem {
    let longest = page::bytes(LIST_BYTES_MAX as u64);
    Problem::request(format!("a record is longer than {longest}: ask for it by its id"))
}

fn selection(app: &App, listing: &Listing) -> Result<Selection, Problem> {
    let wrong = |member: &str, what: String| Problem::request(format!("`{member}`: {what}"));
    let time = |member: &str, text: &Option<String>| {
        let time = |text: &String| typed::time(text, app.clock.wall_ns(), &TimeZone::UTC);
        text.as_ref().map(time).transpose().map_err(|what| wrong(member, what))
    };
    Ok(Selection {
        kinds: kinds(&listing.kind)?,
        model: listing.model.clone(),
        since_ns: time("since", &listing.since)?,
        until_ns: time("until", &listing.until)?,
        oldest_first: listing.oldest,
    })
}
