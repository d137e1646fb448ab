//! `minutebook search`: decisions by what went in, what came out, and what became of them.

use clap::Args;
use minutebook_index::{Facets, FacetsOf, Order, Search as Query};
use minutebook_present::page;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::asking::{Asking, Rows};
use crate::failure::{Failure, Result};
use crate::moment;
use crate::options::Options;
use crate::rows::{Format, print};

/// Find decisions by their inputs, outputs, parameters, tags, attributions, reviews and outcomes.
///
/// CONDITION is a boolean expression of SQL: "inputs.age > 60 AND outputs.approve = false".
#[derive(Debug, Args)]
#[command(display_order = 4)]
pub(super) struct Search {
    /// What has to hold [default: all].
    #[arg(value_name = "CONDITION")]
    condition: Option<String>,
    /// Of this model, or of this version of it [default: of all models that have the columns].
    #[arg(long, value_name = "NAME[@VERSION]")]
    model: Option<String>,
    /// Not before: 2026-11-21T09:30:00Z, 2026-11-21, or 7d for 7 days ago.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Not after.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    until: Option<i64>,
    /// What was known at this time: without what was recorded later.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    as_of: Option<i64>,
    /// Order by this column; with `-` before it, the largest first [default: -time].
    #[arg(long, value_name = "[-]COLUMN", allow_hyphen_values = true)]
    order: Option<String>,
    /// So many at most; 0 for as many as one answer may have.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show these columns; `*` for all.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Go on where an answer before ended.
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    cursor: Option<String>,
    /// Count instead: over time, and the values of the columns that --columns names.
    #[arg(long, conflicts_with_all = ["order", "cursor", "csv", "arrow"])]
    facets: bool,
    /// Hold each row against sealed evidence; 1,000 at most.
    #[arg(long, conflicts_with = "facets")]
    proven: bool,
    /// What it is for, such as the number of a case: in the record of the read, where the engine that answers makes one. Name no person.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// Bars of the histogram over time.
const BARS: usize = 24;
/// Values of each column.
const VALUES: usize = 10;
/// Outputs that are shown to people who name no columns.
const OUTPUTS_SHOWN: usize = 4;

impl Search {
    fn query(&self) -> Query {
        let order = self.order.as_ref().map(|order| match order.strip_prefix('-') {
            Some(by) => Order { by: by.to_owned(), descending: true },
            None => Order { by: order.clone(), descending: false },
        });
        Query {
            condition: self.condition.clone(),
            model: self.model.clone(),
            since_ns: self.since,
            until_ns: self.until,
            as_of_ns: self.as_of,
            order,
            limit: self.limit,
            columns: self.columns.clone(),
            cursor: self.cursor.clone(),
        }
    }

    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let query = self.query();
        if self.facets {
            let of = FacetsOf { search: query, bars: BARS, columns: self.columns.clone(), values: VALUES };
            let facets = runtime.block_on(async {
                let asking = Asking::open(&options.place(), self.purpose.as_deref()).await?;
                let facets = asking.facets(&of).await?;
                asking.close()?;
                Ok::<_, Failure>(facets)
            })?;
            return show_facets(options, &facets);
        }
        let found = runtime.block_on(async {
            let asking = Asking::open(&options.place(), self.purpose.as_deref()).await?;
            let found = asking.search(&query, self.proven).await?;
            asking.close()?;
            Ok::<_, Failure>(found)
        })?;
        let terminal = options.terminal();
        let cursor = found.cursor.clone();
        let for_people = !options.json && self.format.is_table();
        let found = if for_people && self.columns.is_empty() { self.brief(found)? } else { found };
        print(options, &self.format, &found)?;
        if let Some(cursor) = cursor {
            terminal.say(&format!("there are more: --cursor {cursor}"));
        }
        Ok(())
    }

    /// The columns that fit a terminal: who, when, what came out, and what was asked for.
    fn brief(&self, found: Rows) -> Result<Rows> {
        let asked = self.condition.clone().unwrap_or_default();
        let order = self.order.clone().unwrap_or_default();
        let mut outputs = 0;
        let mut shown = |name: &str| {
            if name.starts_with("outputs.") {
                outputs += 1;
                if outputs <= OUTPUTS_SHOWN {
                    return true;
                }
            }
            let named = asked.replace('"', "").contains(name) || order.trim_start_matches('-') == name;
            ["id", "time", "version", "status"].contains(&name)
                || (name == "model" && self.model.is_none())
                || (named && name.contains('.'))
                || (named && ["subject", "reviewed", "overridden", "explained", "replayed"].contains(&name))
        };
        let fields = found.schema.fields().iter().enumerate();
        let places: Vec<usize> = fields.filter(|(_, field)| shown(field.name())).map(|(at, _)| at).collect();
        let cut = |error: arrow_schema::ArrowError| {
            Failure::input(error.to_string(), "name the columns with --columns")
        };
        let schema = std::sync::Arc::new(found.schema.project(&places).map_err(cut)?);
        let batches = found.batches.iter().map(|batch| batch.project(&places));
        let batches = batches.collect::<std::result::Result<Vec<_>, _>>().map_err(cut)?;
        Ok(Rows { schema, batches, cursor: found.cursor })
    }
}

fn show_facets(options: &Options, facets: &Facets) -> Result {
    let terminal = options.terminal();
    let (mut out, look) = (terminal.out(), terminal.look());
    if options.json {
        out.json(&json!(facets))?;
        return out.flush();
    }
    out.line(&format!("{} records", page::count(facets.count)))?;
    let stands_for = facets.weighted.round();
    if stands_for > facets.count as f64 {
        out.line(&format!("for {} decisions, of which sampling kept these", page::count(stands_for as u64)))?;
    }
    let bar = |count: u64, most: u64| "#".repeat((count * 40).div_ceil(most.max(1)) as usize);
    if !facets.bars.is_empty() {
        let most = facets.bars.iter().map(|bar| bar.count).max().unwrap_or(0);
        let rows: Vec<Vec<String>> = facets
            .bars
            .iter()
            .map(|one| {
                let from = jiff::Timestamp::from_nanosecond(one.from_ns.into()).map(|at| {
                    at.to_zoned(look.zone.clone())
                        .strftime(if one.to_ns - one.from_ns < 1_000_000_000 {
                            "%Y-%m-%d %H:%M:%S%.3f"
                        } else {
                            "%Y-%m-%d %H:%M:%S"
                        })
                        .to_string()
                });
                vec![from.unwrap_or_default(), one.count.to_string(), bar(one.count, most)]
            })
            .collect();
        out.line("")?;
        out.text(&page::rows(&look, &["from".into(), "records".into(), String::new()], &rows))?;
    }
    for facet in &facets.facets {
        let most = facet
            .values
            .iter()
            .map(|value| value.count)
            .chain(facet.ranges.iter().map(|range| range.count))
            .max()
            .unwrap_or(0);
        let mut rows: Vec<Vec<String>> = if facet.ranges.is_empty() {
            facet
                .values
                .iter()
                .map(|value| vec![value.value.clone(), value.count.to_string(), bar(value.count, most)])
                .collect()
        } else {
            facet
                .ranges
                .iter()
                .map(|range| {
                    vec![
                        format!("{} to {}", short(range.from), short(range.to)),
                        range.count.to_string(),
                        bar(range.count, most),
                    ]
                })
                .collect()
        };
        if facet.missing > 0 {
            rows.push(vec!["(none)".into(), facet.missing.to_string(), String::new()]);
        }
        out.line("")?;
        out.text(&page::rows(&look, &[facet.column.clone(), "records".into(), String::new()], &rows))?;
    }
    out.flush()
}

/// A number with few digits.
fn short(value: f64) -> String {
    let rounded = format!("{value:.4}");
    let rounded = rounded.trim_end_matches('0').trim_end_matches('.');
    if value.abs() >= 1e7 || (value != 0.0 && value.abs() < 1e-3) {
        format!("{value:.3e}")
    } else {
        rounded.to_owned()
    }
}
