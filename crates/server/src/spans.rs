//! What OpenTelemetry's exporters send, recorded: each span and event once, however often it comes. Edge: which spans tell of decisions is in
//! `minutebook-adapters`; how requests travel is in `api/otlp.rs`.

use minutebook_adapters::otlp::{self, Told, Wire};
use minutebook_adapters::{Call, Problem as Wrong, Tree};
use minutebook_present::json::{Draft, DraftReader, ReadAt};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::api::App;
use crate::guard::KeyName;
use crate::intake::adapted::Item;
use crate::limits::{MADE_BYTES_MAX, RECORDS_MAX};
use crate::problem::Problem;

/// What was sent: a request with spans or with log records.
pub(crate) enum Sent {
    Traces(Wire, Vec<u8>),
    Logs(Wire, Vec<u8>),
}

/// What became of the spans or log records of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Records that were made of the others.
    pub(crate) recorded: usize,
    /// Those of which no record could be made.
    pub(crate) refused: usize,
    /// What was wrong with the first of them.
    pub(crate) why: String,
}

/// Records what a request tells. Returns when that is on disk; what tells of no decision is passed over. Blocks; on a thread of a runtime that may.
///
/// # Errors
/// When the request is none, or nothing can be recorded: it may be sent again, and is recorded once.
pub(crate) fn record(app: &App, of: &KeyName, sent: Sent) -> Result<Exported, Problem> {
    let at = ReadAt { time_ns: app.clock.wall_ns(), clock_error_ns: app.clock.error_ns() };
    let mut exported = Exported::default();
    let make = |reader: &mut DraftReader| {
        // Here, so that one request after the other is in memory as messages, which are larger than their bytes.
        let request = read(sent).map_err(refused)?;
        let mut items = Gathered::default();
        let (mut seen, mut passed) = (0, 0);
        for told in request.told() {
            seen += 1;
            match made(app, told, reader, at) {
                Ok(Some(item)) => items.add(item)?,
                Ok(None) => passed += 1,
                Err(wrong) => {
                    exported.refused += 1;
                    if exported.why.is_empty() {
                        let to_do = wrong.to_do().map_or(String::new(), |to_do| format!(" ({to_do})"));
                        exported.why = format!("number {seen} of the request: {wrong}{to_do}");
                    }
                }
            }
        }
        tracing::debug!(seen, passed, refused = exported.refused, "spans or events came");
        Ok(items.items)
    };
    exported.recorded = app.intake.take_made(of, make)?.into_iter().sum();
    Ok(exported)
}

/// A request that was read.
enum Request {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
}

fn read(sent: Sent) -> Result<Request, Wrong> {
    Ok(match sent {
        Sent::Traces(wire, bytes) => Request::Traces(otlp::traces(wire, &bytes)?),
        Sent::Logs(wire, bytes) => Request::Logs(otlp::logs(wire, &bytes)?),
    })
}

impl Request {
    /// What each span or event tells, made as it is asked for: together they may be far larger than the request.
    fn told(&self) -> Box<dyn Iterator<Item = Told> + '_> {
        match self {
            Self::Traces(request) => Box::new(otlp::of_traces(request)),
            Self::Logs(request) => Box::new(otlp::of_logs(request)),
        }
    }
}

fn refused(wrong: Wrong) -> Problem {
    match wrong.to_do() {
        Some(to_do) => Problem::request(format!("{wrong}: {to_do}")),
        None => Problem::request(wrong.to_string()),
    }
}

/// Items of one request, no more than may be in memory at once.
#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, item: Item) -> Result<(), Problem> {
        self.bytes += item.drafts.iter().map(Draft::bytes).sum::<usize>();
        if self.items.len() == RECORDS_MAX {
            return Err(Problem::too_many(RECORDS_MAX));
        }
        if self.bytes > MADE_BYTES_MAX {
            return Err(Problem::too_large_records(MADE_BYTES_MAX));
        }
        self.items.push(item);
        Ok(())
    }
}

/// What is to be recorded of a span or an event, when anything is.
fn made(app: &App, told: Told, reader: &mut DraftReader, at: ReadAt) -> Result<Option<Item>, Wrong> {
    let draft = |reader: &mut DraftReader, record: &Tree<'_>| reader.draft(record, at);
    let (key, drafts) = match told {
        Told::Other => return Ok(None),
        Told::Record { key, record } => (key, vec![draft(reader, &record)?]),
        Told::Decision(mut decision) => {
            let call: &mut Call = &mut decision.call;
            app.versions.resolve(&app.indexing.index, call, at.time_ns);
            let records = decision.call.records(&decision.exchange);
            let drafts = records.map(|record| draft(reader, &record)).collect::<Result<Vec<Draft>, _>>()?;
            (decision.key, drafts)
        }
    };
    Ok(Some(Item { key, comes_again: true, drafts }))
}
