//! `minutebook tail`: the newest records, and those to come.

use std::ops::ControlFlow;

use clap::Args;
use minutebook_present::selection::Selection;
use minutebook_trail::Reader;
use tokio::runtime::Runtime;

use super::list::{Lines, Show, Which, pass};
use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::limits::LOOK_PERIOD;
use crate::options::Options;
use minutebook_present::opened::Opened;

/// Show the newest records, the newest last.
#[derive(Debug, Args)]
#[command(display_order = 5)]
pub(super) struct Tail {
    /// So many.
    #[arg(long = "lines", short = 'n', value_name = "N", default_value_t = 10)]
    count: usize,
    /// Go on with records as they are sealed, until interrupted.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    show: Show,
}

impl Tail {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let mut lines = Lines::new(options, &self.show);
        let selection = self.which.selection();
        let filter = selection.filter();
        runtime.block_on(async {
            let mut interrupt = Interrupt::listen()?;
            let reader = Reader::open(&options.place()).await?;
            // Before the list: what is sealed meanwhile is followed, not listed.
            let mut next = reader.checkpoint().await?.0.size().get();
            for record in self.newest(&reader, &selection, next).await? {
                lines.push(record)?;
            }
            lines.flush(self.follow)?;
            if !self.follow {
                return Ok(());
            }
            loop {
                tokio::select! {
                    () = interrupt.wait() => return Ok(()),
                    () = tokio::time::sleep(LOOK_PERIOD) => {}
                }
                let mut failure = None;
                let mut left = u64::MAX;
                let mut each = |record| pass(&mut lines, &selection, &mut left, &mut failure, record);
                next = reader.since(next, &filter, &mut each).await?;
                if let Some(failure) = failure {
                    return Err(failure);
                }
                lines.flush(true)?;
            }
        })
    }

    /// The newest records of the first `log_size` entries, oldest first.
    async fn newest(&self, reader: &Reader, selection: &Selection, log_size: u64) -> Result<Vec<Opened>> {
        let mut newest = Vec::new();
        if self.count == 0 {
            return Ok(newest);
        }
        let mut each = |record: minutebook_trail::StoredRecord| {
            if record.sealed.log_index < log_size {
                let record = Opened::from(record);
                if selection.wants(&record) {
                    newest.push(record);
                }
            }
            if newest.len() < self.count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        reader.list(&selection.filter(), &mut each).await?;
        newest.reverse();
        Ok(newest)
    }
}
