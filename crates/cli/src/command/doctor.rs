//! `minutebook doctor`: whether the trail can be used, and what waits.

use clap::Args;
use minutebook_verify::{Finding, Severity};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Exit, Failure, Result};
use crate::options::Options;
use minutebook_present::page;

/// Look whether the trail can be used: folder, keys, lock, spool, catalog, log.
///
/// It changes nothing and works beside an engine. Whether the evidence itself is what it was is said by `verify`.
#[derive(Debug, Args)]
#[command(display_order = 15)]
pub(super) struct Doctor {
    /// Compare every row of the catalog with the evidence, which reads the whole trail.
    #[arg(long)]
    deep: bool,
}

impl Doctor {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let findings = runtime.block_on(minutebook_trail::doctor(&options.place(), self.deep))?;
        let is_problem = |finding: &&Finding| finding.severity == Severity::Problem;
        let problems = findings.iter().filter(is_problem).count();
        let terminal = options.terminal();
        let mut out = terminal.out();
        if options.json {
            out.json(&json!({
                "clean": problems == 0,
                "problems": problems,
                "deep": self.deep,
                "findings": findings.iter().map(page::finding_json).collect::<Vec<_>>(),
            }))?;
        } else {
            out.text(&page::checkup(&terminal.look(), &findings, self.deep))?;
        }
        out.flush()?;
        if problems == 0 { Ok(()) } else { Err(Failure::Said(Exit::Problems)) }
    }
}
