//! `/v1/verify`: the whole trail computed again from its stored bytes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use minutebook_present::page::{self, Verification};
use minutebook_trail::{FolderSource, TrailKeys, lasting};
use minutebook_verify::{Options, Report};
use serde_json::Value;

use super::App;
use crate::problem::Problem;

/// All of it: the engine has the keys.
const LEVEL: u8 = 2;

/// The whole trail computed again from its stored bytes.
#[utoipa::path(
    post,
    path = "/v1/verify",
    operation_id = "verify_trail",
    tag = "records",
    responses((status = 200, description = "The report, as `minutebook verify --json` prints it", body = Object)),
)]
pub(super) async fn verify(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let (folder, keys) = (app.identity.folder.clone(), app.reader.keys().clone());
    // Reads and computes for long, and the keys wait for the catalog.
    let look = move || {
        let source = FolderSource::new(folder);
        let report = look(&source, &keys);
        // This engine may have been writing meanwhile.
        if report.is_clean() { report } else { lasting(&report, look(&source, &keys)) }
    };
    let report = tokio::task::spawn_blocking(look).await.map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            "The verification failed",
            error.to_string(),
        )
    })?;
    Ok(Json(page::report_json(&Verification {
        report: &report,
        level: LEVEL,
        earlier: None,
        witnesses: false,
        all_accounts: true,
    })))
}

fn look(source: &FolderSource, keys: &TrailKeys) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = Options {
        keys,
        pinned: None,
        policy: None,
        sampling: &keys.sampling(),
        in_progress: Vec::new(),
        threads,
        progress: &|_, _| {},
    };
    minutebook_verify::verify(source, &options)
}
