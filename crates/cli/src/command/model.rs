//! `minutebook model`: one model, its versions, and what was registered and deployed when.

use clap::{Args, Subcommand};
use minutebook_present::page;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::models::{counts, text};
use crate::asking::Asking;
use crate::failure::{Failure, Result};
use crate::options::Options;

/// Show what the trail knows of a model.
#[derive(Debug, Subcommand)]
#[command(display_order = 6)]
pub(super) enum Model {
    History(History),
}

/// Show the versions of a model, and the records that registered and deployed them, the latest first.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The model's name.
    name: String,
}

impl Model {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::History(history) => history.run(options, runtime),
        }
    }
}

impl History {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let model = runtime.block_on(async {
            let asking = Asking::open(&options.place(), None).await?;
            let model = asking.model(&self.name).await?;
            asking.close()?;
            Ok::<_, Failure>(model)
        })?;
        let terminal = options.terminal();
        let (look, mut out) = (terminal.look(), terminal.out());
        if options.json {
            out.json(&model)?;
            return out.flush();
        }
        let titles = ["version", "decisions", "registrations", "deployments", "last decision", "artifacts"];
        let rows: Vec<Vec<String>> = list(&model["versions"]).map(version).collect();
        out.text(&page::rows(&look, &titles.map(str::to_owned), &rows))?;
        let mut records: Vec<Vec<String>> = Vec::new();
        for (what, name) in [("registered", "registrations"), ("deployed", "deployments")] {
            records.extend(list(&model[name]).map(|record| told(what, record)));
        }
        if records.is_empty() {
            return out.flush();
        }
        records.sort_by(|one, other| other[0].cmp(&one[0]));
        let titles = ["time", "", "version", "artifact", "record"];
        out.line("")?;
        out.text(&page::rows(&look, &titles.map(str::to_owned), &records))?;
        if model["more"] == true {
            terminal.say("there are older records: `minutebook list --kind model,deployment`");
        }
        out.flush()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn version(of: &Value) -> Vec<String> {
    let artifacts: Vec<String> = list(&of["artifacts"]).map(text).collect();
    let mut row = vec![text(&of["version"])];
    row.extend(counts(of));
    row.push(artifacts.join(", "));
    row
}

fn told(what: &str, record: &Value) -> Vec<String> {
    vec![
        text(&record["time"]),
        what.to_owned(),
        text(&record["version"]),
        text(&record["artifact"]),
        text(&record["id"]),
    ]
}
