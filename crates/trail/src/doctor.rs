//! Looking a trail over: can it be used, what waits, and does what the engine keeps for itself fit the evidence. Edge: reads only, and works
//! beside an engine; whether the evidence itself is what it was is the verifier's business.

mod catalog;
mod evidence;
mod keys;
mod life;
mod place;
mod spool;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::keyfolder::KeyFolder;
use crate::place::Place;
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::{Finding, Severity};
use std::collections::BTreeMap;

/// Looks a trail over. Without `deep`: folder, keys, lock, spool, and whether catalog and log are of one time. With it: every row of the
/// catalog against the evidence, and back, which reads the whole trail.
///
/// # Errors
/// [`Error::NoTrail`] when there is none, and when the folder cannot be read at all. What is wrong with the trail is told, not returned as
/// an error.
pub async fn doctor(place: &Place, deep: bool) -> Result<Vec<Finding>> {
    let mut findings = Findings::default();
    let file = match place.trail_file() {
        Ok(file) => file,
        Err(error @ Error::TrailFile { .. }) => {
            let means = "without it nobody can tell which trail this is: restore it, it never changes but for rotations";
            findings.problem("trail.toml", error.to_string(), means);
            return Ok(findings.list);
        }
        Err(error) => return Err(error),
    };
    place::check(place, &mut findings);
    let running = place::check_lock(place, &mut findings);
    let keys = keys::check_folder(place, &file, &mut findings);
    spool::check(place, &file, keys.as_ref(), &mut findings);
    let catalog = match Catalog::open_read_only(&place.catalog()).await {
        Ok(catalog) => catalog,
        Err(error) => {
            findings.problem(crate::CATALOG_FILE, error.to_string(), CATALOG_GONE);
            return Ok(findings.list);
        }
    };
    catalog::check_log_size(place, &file, &catalog, running, &mut findings).await;
    catalog.close().await;
    if deep {
        findings.list.extend(look_deep(place, &file, keys.as_ref(), running).await?);
    }
    Ok(findings.list)
}

const CATALOG_GONE: &str = "the engine cannot work without it: restore its newest backup. The evidence does not depend on it, and `verify` \
                            works without";

const CATALOG_DIFFERS: &str = "the catalog was edited or damaged, or is of another time than log and keys: restore its newest backup. The \
                               evidence itself is not affected";

/// The deep part. Beside a running engine a second look tells what is wrong from what was on its way.
async fn look_deep(
    place: &Place,
    file: &TrailFile,
    keys: Option<&KeyFolder>,
    running: bool,
) -> Result<Vec<Finding>> {
    let first = look_once(place, file, keys, running).await?;
    let is_problem = |finding: &Finding| finding.severity == Severity::Problem;
    if !running || !first.iter().any(is_problem) {
        return Ok(first);
    }
    let again = look_once(place, file, keys, running).await?;
    Ok(first.into_iter().filter(|finding| !is_problem(finding) || again.contains(finding)).collect())
}

async fn look_once(
    place: &Place,
    file: &TrailFile,
    keys: Option<&KeyFolder>,
    running: bool,
) -> Result<Vec<Finding>> {
    let mut findings = Findings::default();
    let catalog = match Catalog::open_read_only(&place.catalog()).await {
        Ok(catalog) => catalog,
        Err(error) => {
            findings.problem(crate::CATALOG_FILE, error.to_string(), CATALOG_GONE);
            return Ok(findings.finish());
        }
    };
    catalog::check_file(&catalog, &mut findings).await;
    if let Err(error) = catalog.freeze().await {
        findings.problem(crate::CATALOG_FILE, error.to_string(), CATALOG_GONE);
        return Ok(findings.finish());
    }
    let tables = catalog::Tables::read(&catalog, &mut findings).await;
    catalog.close().await;
    // The keys as they are now: an engine may have changed them since.
    let keys = keys.and_then(|keys| keys.reopen().ok());
    let (place, file) = (place.clone(), file.clone());
    crate::seal::blocking(move || {
        life::check_holds(&tables, keys.as_ref(), &file, &mut findings);
        let held = keys::check_rows(&tables, keys.as_ref(), file.id, &mut findings);
        let evidence = evidence::read(&place, &file, &tables, &held, running, &mut findings);
        if let Some(evidence) = evidence {
            keys::check_use(&tables, &evidence, &held, &mut findings);
            let waiting = spool::waiting(&place, &file, keys.as_ref());
            life::check_disposals(&tables, &evidence, &mut findings);
            catalog::check_rows(waiting.as_ref(), &file, &tables, &evidence, &mut findings);
        }
        Ok(findings.finish())
    })
    .await
}

/// Rows of one table that are named one by one; the rest is counted.
const ROWS_NAMED_MAX: usize = 50;

/// What was found so far.
#[derive(Debug, Default)]
struct Findings {
    list: Vec<Finding>,
    rows: BTreeMap<&'static str, usize>,
}

impl Findings {
    fn add(&mut self, severity: Severity, object: impl Into<String>, what: impl Into<String>, means: &str) {
        let (object, what, means) = (object.into(), what.into(), means.to_owned());
        self.list.push(Finding { severity, object, what, means });
    }

    fn problem(&mut self, object: impl Into<String>, what: impl Into<String>, means: &str) {
        self.add(Severity::Problem, object, what, means);
    }

    fn warning(&mut self, object: impl Into<String>, what: impl Into<String>, means: &str) {
        self.add(Severity::Warning, object, what, means);
    }

    fn note(&mut self, object: impl Into<String>, what: impl Into<String>, means: &str) {
        self.add(Severity::Note, object, what, means);
    }

    /// Something wrong with a row of the catalog.
    fn row(&mut self, table: &'static str, row: &str, what: impl Into<String>, means: &str) {
        let count = self.rows.entry(table).or_default();
        *count += 1;
        if *count <= ROWS_NAMED_MAX {
            self.problem(row_name(table, row), what, means);
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        for (table, count) in std::mem::take(&mut self.rows) {
            if count > ROWS_NAMED_MAX {
                let more = count - ROWS_NAMED_MAX;
                self.problem(table_name(table), format!("{more} more rows of it are wrong"), CATALOG_DIFFERS);
            }
        }
        self.list
    }
}

fn table_name(table: &str) -> String {
    format!("catalog.db, table {table}")
}

/// How a row is named in findings.
fn row_name(table: &str, row: &str) -> String {
    format!("{}, row {row}", table_name(table))
}
