//! `minutebook stats`: what a model was asked and answered, over time, from its windows.

use clap::{Args, ValueEnum};
use minutebook_present::selection::is_model;
use minutebook_present::stats::{Asked, Series, json, series};
use minutebook_present::{page, typed};
use minutebook_record::Path;
use minutebook_sketch::Length;
use minutebook_trail::{Place, Reader};
use tokio::runtime::Runtime;

use crate::failure::{Exit, Failure, Result};
use crate::moment;
use crate::options::Options;

/// Show how a model's inputs and outputs are distributed over time: over all its decisions, kept or not.
#[derive(Debug, Args)]
#[command(display_order = 6)]
pub(super) struct Stats {
    /// The model, or a version of it.
    #[arg(value_name = "NAME[@VERSION]")]
    model: String,
    /// Not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago [default: 1d].
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<i64>,
    /// A row for each [default: what makes some dozen rows].
    #[arg(long)]
    by: Option<By>,
    /// Show these inputs and outputs over time, such as inputs/amount.
    #[arg(long, value_name = "PATH,…", value_delimiter = ',', value_parser = typed::path)]
    feature: Vec<Path>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Minute,
    Hour,
    Day,
}

impl By {
    fn length(self) -> Length {
        match self {
            Self::Minute => Length::Minute,
            Self::Hour => Length::Hour,
            Self::Day => Length::Day,
        }
    }
}

const DAY_S: i64 = 86_400;

/// Rows that are shown at most when nobody says by what.
const ROWS: usize = 48;

impl Stats {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let seconds = |ns: i64| ns.div_euclid(1_000_000_000);
        let since = self.since.map_or_else(|| seconds(moment::now_ns()) - DAY_S, seconds);
        let until = self.until.map_or(i64::MAX, seconds);
        let found = runtime.block_on(self.find(&options.place(), since, until))?;
        if found.is_empty() {
            return Err(Failure::Told {
                exit: Exit::Input,
                what: format!("no decision of `{}` was counted in this time", self.model),
                to_do: Some(
                    "`minutebook list` shows which models there are; --since 30d looks further back".into(),
                ),
            });
        }
        let asked = Asked { features: self.feature.clone(), ..Asked::default() };
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json(&found, &asked))?;
        } else {
            out.text(&page::stats(&terminal.look(), &found, &asked))?;
        }
        out.flush()
    }

    /// By what is asked for, or by the shortest length that does not make too many rows. What had few decisions is told by a longer one
    /// only, so one that has far more is the better one.
    async fn find(&self, place: &Place, since: i64, until: i64) -> Result<Vec<Series>> {
        let reader = Reader::open(place).await?;
        let by = async |length: Length| -> Result<Vec<Series>> {
            let span = length.start_of(since)..until;
            Ok(series(reader.windows(length, span, &|model| is_model(&self.model, model)).await?))
        };
        if let Some(length) = self.by {
            return by(length.length()).await;
        }
        let decisions = |all: &[Series]| all.iter().map(|series| series.whole.decisions).sum::<u64>();
        let rows = |all: &[Series]| all.iter().map(|series| series.windows.len()).max().unwrap_or(0);
        let mut found = by(Length::Minute).await?;
        for length in [Length::Hour, Length::Day] {
            let longer = by(length).await?;
            if rows(&found) > ROWS || decisions(&longer) >= 2 * decisions(&found).max(1) {
                found = longer;
            } else {
                break;
            }
        }
        Ok(found)
    }
}
