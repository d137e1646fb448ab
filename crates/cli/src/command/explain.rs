//! `minutebook explain`: why a model decided so: one decision's explanations, or what features add over many.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use minutebook_present::explained::{Explained, NoSuchOutput};
use minutebook_present::json::Printer;
use minutebook_present::opened::{Content, Opened};
use minutebook_present::page;
use minutebook_present::plot::{self, Undrawable};
use minutebook_present::selection::Selection;
use minutebook_present::summary::Summary;
use minutebook_record::fields::Event;
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{Filter, Reader, StoredRecord};
use serde_json::json;
use tokio::runtime::Runtime;

use super::show::parse_id;
use crate::failure::{Exit, Failure, Result};
use crate::limits::{CLOCKS_APART_NS, EXPLAINED_MAX};
use crate::moment;
use crate::options::Options;

/// Show why a model decided so: what each feature added, and the reasons.
///
/// Of one decision: the explanations in its record, and those recorded for it later. Of a model: what its
/// features add, over many decisions.
#[derive(Debug, Args)]
#[command(display_order = 6)]
pub(super) struct Explain {
    /// The id of a decision, or of an explanation.
    #[arg(value_parser = parse_id, required_unless_present = "model",
        conflicts_with_all = ["model", "since", "until", "limit", "oldest"])]
    id: Option<RecordId>,
    #[command(flatten)]
    many: Many,
    /// Which output, where several are explained: its name, or its place from 0.
    #[arg(long, value_name = "OUTPUT")]
    of: Option<String>,
    /// So many features, the weightiest; the others as one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    features: Option<u16>,
    /// Compute one now: FUNCTION of a Python MODULE returns the explainer, and the model that decided.
    ///
    /// It is recorded as an explanation of its own, linked to the decision and marked as later. Nothing is
    /// computed with a model whose digest is not the recorded one.
    #[arg(long, value_name = "MODULE:FUNCTION", conflicts_with = "model")]
    compute: Option<String>,
    /// The Python that has the package minutebook, and what the explainer needs.
    #[arg(long, value_name = "PROGRAM", default_value = "python3", requires = "compute")]
    python: PathBuf,
    /// What to draw [default: waterfall, of a model beeswarm].
    #[arg(long, value_enum, requires = "svg")]
    plot: Option<Plot>,
    /// Draw it into this file; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Which decisions.
#[derive(Debug, Args)]
struct Many {
    /// Instead of one decision, those of this model, or of this version of it.
    #[arg(long, value_name = "NAME[@VERSION]")]
    model: Option<String>,
    /// Not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true, requires = "model")]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true, requires = "model")]
    until: Option<i64>,
    /// So many at most.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000, requires = "model",
        value_parser = clap::value_parser!(u64).range(1..=EXPLAINED_MAX))]
    limit: u64,
    /// The oldest first.
    #[arg(long, requires = "model")]
    oldest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plot {
    /// From the base value to the output, feature by feature.
    Waterfall,
    /// All on one line, for and against.
    Force,
    /// Each from 0; of a model the mean magnitude.
    Bar,
    /// A point for each decision.
    Beeswarm,
}

/// Features that are shown where nobody says how many: on a page, and in a plot.
const SHOWN: u16 = 20;
const DRAWN: u16 = 10;

impl Explain {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self.id {
            Some(id) => {
                let id = match &self.compute {
                    Some(function) => computed(&id, function, &self.python, options, runtime)?,
                    None => id,
                };
                self.one(&id, options, runtime)
            }
            None => self.many(options, runtime),
        }
    }

    fn features(&self) -> usize {
        self.features.unwrap_or(if self.svg.is_some() { DRAWN } else { SHOWN }).into()
    }

    fn one(&self, id: &RecordId, options: &Options, runtime: &Runtime) -> Result {
        if self.plot == Some(Plot::Beeswarm) {
            return Err(Failure::input("a beeswarm is of many decisions", "name them by --model"));
        }
        let (decided, records) = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            found(&reader, id).await
        })?;
        let mut explained = Vec::new();
        let mut without = None;
        for record in &records {
            match Explained::of(record, &decided, self.of.as_deref()) {
                Ok(Some(one)) => explained.push((one, record)),
                Ok(None) => {}
                Err(none) => without = Some(none),
            }
        }
        match (explained.first(), without) {
            (Some((first, _)), _) if self.svg.is_some() => {
                // The first is that of the record itself, or of the one that was named.
                let draw = match self.plot {
                    Some(Plot::Force) => plot::force,
                    Some(Plot::Bar) => plot::bar,
                    _ => plot::waterfall,
                };
                self.drawn(draw(first, &decided, self.features()), options)
            }
            (Some(_), _) => self.shown(&decided, &explained, options),
            (None, Some(none)) => Err(no_such_output(self.of.as_deref().unwrap_or_default(), &none)),
            (None, None) => Err(Failure::input(
                format!("{id} has no explanation"),
                "--compute computes one now; docs/python/explanations.md says how",
            )),
        }
    }

    fn shown(&self, decided: &Opened, explained: &[(Explained, &Opened)], options: &Options) -> Result {
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            for (one, record) in explained {
                let mut printed = Printer::default().record(record);
                out.json(&json!({
                    "decision": decided.header.id.to_string(),
                    "record": one.record.to_string(),
                    "linked": one.record != decided.header.id,
                    "time": printed["time"].take(),
                    "explanation": printed["explanation"].take(),
                }))?;
            }
        } else {
            out.text(&page::explanations(&terminal.look(), decided, explained, self.features()))?;
        }
        out.flush()
    }

    fn many(&self, options: &Options, runtime: &Runtime) -> Result {
        if matches!(self.plot, Some(Plot::Waterfall | Plot::Force)) {
            return Err(Failure::input(
                "this plot is of one decision",
                "name it by its id, or draw a bar or beeswarm",
            ));
        }
        let model = self.many.model.clone().unwrap_or_default();
        let of = self.of.as_deref();
        let Gathered { summary, decisions, other_outputs } = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            self.many.gather(&reader, of).await
        })?;
        if summary.decisions == 0 {
            return Err(match other_outputs {
                Some(none) => no_such_output(of.unwrap_or_default(), &none),
                None if decisions == 0 => Failure::input(
                    format!("no decision of `{model}` is found"),
                    "`minutebook list` shows which there are",
                ),
                None => Failure::input(
                    format!("none of {} has an explanation that can be read", told_decisions(decisions)),
                    "docs/python/explanations.md says how decisions are explained",
                ),
            });
        }
        let mut told = vec![told_decisions(summary.decisions)];
        if decisions > summary.decisions {
            let without = page::count(decisions - summary.decisions);
            told.push(format!("{without} more without an explanation that can be read"));
        }
        if summary.left_out > 0 {
            told.push(format!("{} attributions are no numbers, and left out", page::count(summary.left_out)));
        }
        let explained = summary.decisions;
        let ranked = summary.ranked();
        if self.svg.is_some() {
            let draw = if self.plot == Some(Plot::Bar) { plot::mean_bar } else { plot::beeswarm };
            return self.drawn(draw(&ranked, &model, &told, self.features()), options);
        }
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            for feature in &ranked {
                out.json(&json!({"feature": feature.name, "mean": feature.mean, "named": feature.points.len(), "decisions": explained}))?;
            }
        } else {
            out.text(&page::importance(&terminal.look(), &ranked, &model, &told, self.features()))?;
        }
        out.flush()
    }

    fn drawn(&self, drawn: std::result::Result<String, Undrawable>, options: &Options) -> Result {
        let drawn = drawn.map_err(|why| {
            Failure::input(format!("it cannot be drawn: {why}"), "without --svg it is shown as text")
        })?;
        match &self.svg {
            Some(path) if path != Path::new("-") => {
                std::fs::write(path, &drawn).map_err(|error| Failure::file("write", path, &error))?;
                options.terminal().say(&format!("wrote `{}`", path.display()));
                Ok(())
            }
            _ => {
                let mut out = options.terminal().out();
                out.text(&drawn)?;
                out.flush()
            }
        }
    }
}

fn told_decisions(count: u64) -> String {
    format!("{} {}", page::count(count), if count == 1 { "decision" } else { "decisions" })
}

fn no_such_output(wanted: &str, none: &NoSuchOutput) -> Failure {
    let to_do = if !none.names.is_empty() {
        format!("name one of `{}`, or its place from 0", none.names.join("`, `"))
    } else if none.outputs == 1 {
        "one is explained: leave --of out".into()
    } else {
        format!("{} are explained: give a place from 0 to {}", none.outputs, none.outputs.saturating_sub(1))
    };
    Failure::input(format!("no output `{wanted}` is explained"), to_do)
}

/// Has an explanation computed by the Python package; gives its record, which is sealed.
fn computed(
    id: &RecordId,
    function: &str,
    python: &Path,
    options: &Options,
    runtime: &Runtime,
) -> Result<RecordId> {
    let place = options.place();
    // What is wrong with trail, keys or record is told before anything is started: the package would make a trail where none is.
    runtime.block_on(async {
        let reader = Reader::open(&place).await?;
        let record = Opened::from(reader.get(id).await?);
        reader.close().await;
        readable(&record)?;
        let kind = record.header.kind;
        if kind == Kind::Decision {
            Ok(())
        } else {
            Err(Failure::input(format!("{id} is a record of kind `{kind}`"), "name a decision"))
        }
    })?;
    let mut command = Command::new(python);
    command.args(["-m", "minutebook._explain", "--trail"]).arg(&place.folder);
    if let Some(keys) = &place.keys {
        command.arg("--keys").arg(keys);
    }
    command.args(["--", &id.to_string(), function]).stdin(Stdio::null()).stderr(Stdio::inherit());
    // The engine that the package may start is of this version.
    if let Ok(program) = std::env::current_exe() {
        command.env("MINUTEBOOK_PROGRAM", program);
    }
    let to_do = "`pip install minutebook` for it, or name the Python that has it with --python";
    let output = command.output().map_err(|error| {
        Failure::input(format!("cannot run `{}`: {error}", python.display()), "name a Python with --python")
    })?;
    match output.status.code() {
        Some(0) => {}
        Some(code @ 2..=4) => return Err(Failure::Said(Exit::of_code(code))),
        _ => {
            let what =
                format!("`{}` did not run the package minutebook: {}", python.display(), output.status);
            return Err(Failure::input(what, to_do));
        }
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let id = said.trim().parse();
    id.map_err(|_| Failure::input(format!("`{}` named no record of an explanation", python.display()), to_do))
}

/// A decision, and the records that may explain it: itself first, or the explanation that was named.
async fn found(reader: &Reader, id: &RecordId) -> Result<(Opened, Vec<Opened>)> {
    let record = Opened::from(reader.get(id).await?);
    readable(&record)?;
    if record.header.kind == Kind::Explanation {
        let decided = match links(&record).first() {
            Some(link) => match reader.get(link).await.map(Opened::from) {
                Ok(decided) => decided,
                // What it is about may be in another trail.
                Err(minutebook_trail::Error::NoRecord { .. }) => record.clone(),
                Err(error) => return Err(error.into()),
            },
            None => record.clone(),
        };
        return Ok((decided, vec![record]));
    }
    let mut records = Vec::new();
    let mut each = |found: StoredRecord| {
        let found = Opened::from(found);
        if links(&found).contains(id) {
            records.push(found);
        }
        ControlFlow::Continue(())
    };
    reader.list(&later(time_ns(&record)), &mut each).await?;
    records.insert(0, record.clone());
    Ok((record, records))
}

/// What explains many decisions.
#[derive(Default)]
struct Gathered {
    summary: Summary,
    /// Decisions that were looked at.
    decisions: u64,
    /// An explanation has no output of the name that was asked for.
    other_outputs: Option<NoSuchOutput>,
}

impl Gathered {
    fn add(&mut self, record: &Opened, decided: &Opened, of: Option<&str>) {
        match Explained::of(record, decided, of) {
            Ok(explained) => explained.iter().for_each(|one| self.summary.add(one, decided)),
            Err(none) => self.other_outputs = Some(none),
        }
    }
}

impl Many {
    /// The explanation of each decision: its own, or else the latest that was recorded for it.
    async fn gather(&self, reader: &Reader, of: Option<&str>) -> Result<Gathered> {
        let selection = Selection {
            kinds: vec![Kind::Decision],
            model: self.model.clone(),
            since_ns: self.since,
            until_ns: self.until,
            oldest_first: self.oldest,
        };
        let mut gathered = Gathered::default();
        let mut unexplained: HashMap<RecordId, Opened> = HashMap::new();
        let mut each = |record: StoredRecord| {
            let record = Opened::from(record);
            if selection.wants(&record) {
                gathered.decisions += 1;
                if record.schema.find_parts(&["explanation", "attributions"]).is_some() {
                    gathered.add(&record, &record, of);
                } else {
                    unexplained.insert(record.header.id, record);
                }
            }
            if gathered.decisions >= self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        reader.list(&selection.filter(), &mut each).await?;
        let Some(from) = unexplained.values().map(time_ns).min() else { return Ok(gathered) };
        let mut each = |record: StoredRecord| {
            let record = Opened::from(record);
            for link in links(&record) {
                // The latest comes first.
                if let Some(decided) = unexplained.remove(&link) {
                    gathered.add(&record, &decided, of);
                }
            }
            if unexplained.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        reader.list(&later(from), &mut each).await?;
        Ok(gathered)
    }
}

/// Explanations that were recorded from a time on, the latest first.
fn later(from_ns: i64) -> Filter {
    let from_ns = from_ns.saturating_sub(CLOCKS_APART_NS);
    Filter { from_ns, kinds: vec![Kind::Explanation], ..Filter::default() }
}

fn event(record: &Opened) -> Option<Event> {
    record.value(&["event"]).and_then(|value| Event::decode(value).ok().flatten())
}

fn links(record: &Opened) -> Vec<RecordId> {
    event(record).map_or(Vec::new(), |event| event.links)
}

fn time_ns(record: &Opened) -> i64 {
    event(record).map_or(i64::MIN, |event| event.time_ns)
}

/// What cannot be read explains nothing.
fn readable(record: &Opened) -> Result {
    let id = record.header.id;
    match record.content {
        Content::Readable(_) => Ok(()),
        Content::Erased => Err(Failure::input(
            format!("the content of {id} was erased with the key of whom it was about"),
            "`minutebook show` says what can still be proved of it",
        )),
        Content::NoKey => Err(Failure::Told {
            exit: Exit::Trail,
            what: format!("the keys given do not open the content of {id}"),
            to_do: Some("name the key folder that has its keys with --keys or MINUTEBOOK_KEYS".into()),
        }),
    }
}
