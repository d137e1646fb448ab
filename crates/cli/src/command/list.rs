//! `minutebook list`: records by time and kind, as a table or as lines of JSON.

use std::ops::ControlFlow;

use clap::Args;
use minutebook_record::Kind;
use minutebook_trail::{Reader, StoredRecord};
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::moment;
use crate::options::Options;
use crate::terminal::Out;
use minutebook_present::json::Printer;
use minutebook_present::opened::Opened;
use minutebook_present::page::{Listing, Look};
use minutebook_present::selection::Selection;
use minutebook_present::typed;

/// List records, the newest first.
#[derive(Debug, Args)]
#[command(display_order = 4)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    /// Not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<i64>,
    /// So many at most; 0 for all.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u64,
    /// The oldest first.
    #[arg(long)]
    oldest: bool,
    #[command(flatten)]
    show: Show,
}

/// Which records.
#[derive(Debug, Clone, Args)]
pub(super) struct Which {
    /// Only of these kinds [default: all but `producer`, `access` and `window`].
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = typed::kind)]
    kind: Vec<Kind>,
    /// Only of this model, or of this version of it.
    #[arg(long, value_name = "NAME[@VERSION]")]
    model: Option<String>,
}

/// How they are shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Show {
    /// Show whom a record is about.
    #[arg(long)]
    pub(super) subjects: bool,
    /// With --json, add path and type of each field.
    #[arg(long, requires = "json")]
    pub(super) types: bool,
}

impl Which {
    pub(super) fn selection(&self) -> Selection {
        Selection { kinds: self.kind.clone(), model: self.model.clone(), ..Selection::default() }
    }
}

/// Lines of a table that are gathered to find the widths of the columns.
const FIRST_LINES: usize = 200;

/// Prints records one by one: as JSON, or as a table whose columns are as wide as the first records need.
pub(super) struct Lines {
    out: Out,
    json: Option<Printer>,
    look: Look,
    subjects: bool,
    first: Vec<Opened>,
    table: Option<Listing>,
}

impl Lines {
    pub(super) fn new(options: &Options, show: &Show) -> Self {
        let terminal = options.terminal();
        Self {
            out: terminal.out(),
            json: options.json.then_some(Printer { types: show.types }),
            look: terminal.look(),
            subjects: show.subjects,
            first: Vec::new(),
            table: None,
        }
    }

    pub(super) fn push(&mut self, record: Opened) -> Result {
        if let Some(printer) = self.json {
            return self.out.json(&printer.record(&record));
        }
        if let Some(table) = &self.table {
            return self.out.text(&table.line(&record));
        }
        self.first.push(record);
        if self.first.len() >= FIRST_LINES { self.begin(false) } else { Ok(()) }
    }

    /// Prints the first lines; `roomy` when more will come one by one.
    fn begin(&mut self, roomy: bool) -> Result {
        let table = Listing::new(self.look.clone(), self.subjects, &self.first);
        let table = if roomy { table.roomy() } else { table };
        self.out.text(&table.titles())?;
        for record in self.first.drain(..) {
            self.out.text(&table.line(&record))?;
        }
        self.table = Some(table);
        Ok(())
    }

    /// Hands over all that was pushed. Without any record there are no titles either, unless more are to
    /// come.
    pub(super) fn flush(&mut self, more_to_come: bool) -> Result {
        if self.json.is_none() && self.table.is_none() && (more_to_come || !self.first.is_empty()) {
            self.begin(more_to_come)?;
        }
        self.out.flush()
    }
}

/// Passes records on until one fails, and keeps that failure.
pub(super) fn pass(
    lines: &mut Lines,
    selection: &Selection,
    left: &mut u64,
    failure: &mut Option<Failure>,
    record: StoredRecord,
) -> ControlFlow<()> {
    let record = Opened::from(record);
    if !selection.wants(&record) {
        return ControlFlow::Continue(());
    }
    if let Err(error) = lines.push(record) {
        *failure = Some(error);
        return ControlFlow::Break(());
    }
    *left -= 1;
    if *left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

impl List {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let selection = Selection {
            since_ns: self.since,
            until_ns: self.until,
            oldest_first: self.oldest,
            ..self.which.selection()
        };
        let mut lines = Lines::new(options, &self.show);
        let mut left = if self.limit == 0 { u64::MAX } else { self.limit };
        let mut failure = None;
        runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            let mut each = |record| pass(&mut lines, &selection, &mut left, &mut failure, record);
            reader.list(&selection.filter(), &mut each).await
        })?;
        match failure {
            Some(failure) => Err(failure),
            None => lines.flush(false),
        }
    }
}
