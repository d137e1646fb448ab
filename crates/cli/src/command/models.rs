//! `minutebook models`: which models a trail knows, with their versions and how much there is of them.

use clap::Args;
use minutebook_present::page;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::asking::Asking;
use crate::failure::{Failure, Result};
use crate::options::Options;

/// List the models that the trail has decisions, registrations or deployments of.
#[derive(Debug, Args)]
#[command(display_order = 6)]
pub(super) struct Models {}

/// Versions of a model that its line names.
const VERSIONS_SHOWN: usize = 3;

impl Models {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let models = runtime.block_on(async {
            let asking = Asking::open(&options.place(), None).await?;
            let models = asking.models().await?;
            asking.close()?;
            Ok::<_, Failure>(models)
        })?;
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            for model in &models {
                out.json(model)?;
            }
            return out.flush();
        }
        let titles = ["model", "versions", "decisions", "registrations", "deployments", "last decision"];
        let rows: Vec<Vec<String>> = models.iter().map(row).collect();
        out.text(&page::rows(&terminal.look(), &titles.map(str::to_owned), &rows))?;
        out.flush()
    }
}

fn row(model: &Value) -> Vec<String> {
    let all: Vec<&str> =
        model["versions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut versions = all[..all.len().min(VERSIONS_SHOWN)].join(", ");
    if all.len() > VERSIONS_SHOWN {
        versions += &format!(" and {} more", all.len() - VERSIONS_SHOWN);
    }
    let mut row = vec![text(&model["name"]), versions];
    row.extend(counts(model));
    row
}

/// How many decisions, registrations and deployments, and when the last decision was.
pub(super) fn counts(of: &Value) -> [String; 4] {
    ["decisions", "registrations", "deployments", "last"].map(|name| text(&of[name]))
}

/// As it is shown; nothing for null.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
