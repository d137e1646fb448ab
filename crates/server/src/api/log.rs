//! `/log/`: the log as C2SP tlog-tiles serves it to outsiders. Edge: paths become tiles, and tiles become names of files: nothing else is opened.

use std::io::ErrorKind;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use minutebook_tlog::Tile;
use minutebook_verify::log::LOG;
use minutebook_verify::verify::CHECKPOINT;

use super::App;
use crate::problem::Problem;

/// Asked for anew each time: it is how somebody sees that the log has grown.
const CHANGES: &str = "no-cache";
/// A full tile is the same for ever (tlog-tiles, "Merkle Tree").
const NEVER_CHANGES: &str = "max-age=31536000, immutable";
/// A partial tile goes when the full one is there.
const GOES: &str = "max-age=60";

/// The checkpoint, as C2SP tlog-tiles has it.
#[utoipa::path(
    get,
    path = "/log/checkpoint",
    operation_id = "log_checkpoint",
    tag = "log",
    responses((status = 200, description = "A signed note", body = String)),
)]
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    answer(&app, CHECKPOINT.to_owned(), "text/plain; charset=utf-8", CHANGES).await
}

/// A tile of hashes, or a bundle of entries, as C2SP tlog-tiles has them.
#[utoipa::path(
    get,
    path = "/log/tile/{*path}",
    operation_id = "log_tile",
    tag = "log",
    params(("path" = String, Path, description = "Such as `0/000`, `0/000.p/7`, `entries/000`")),
    responses((status = 200, description = "Its bytes", body = [u8], content_type = "application/octet-stream")),
)]
pub(super) async fn tile(State(app): State<App>, Path(path): Path<String>) -> Result<Response, Problem> {
    let path = format!("tile/{path}");
    // Reads one spelling of each tile only, so that what is opened is what a tile is called.
    let Ok(tile) = path.parse::<Tile>() else { return Err(absent()) };
    let caching = if tile.is_partial() { GOES } else { NEVER_CHANGES };
    answer(&app, format!("{LOG}{tile}"), "application/octet-stream", caching).await
}

async fn answer(app: &App, name: String, media_type: &str, caching: &str) -> Result<Response, Problem> {
    let file = app.identity.folder.join(name);
    let read = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
    let failed = |what: String| {
        tracing::error!("a file of the log cannot be read: {what}");
        let detail = "a file of the log cannot be read; the server's log says why";
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage-failed",
            "Disk, store or catalog failed",
            detail,
        )
    };
    match read {
        Ok(Ok(bytes)) => {
            let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, caching)];
            Ok((headers, bytes).into_response())
        }
        // A full tile's index is a file, and a folder where a larger index is asked for.
        Ok(Err(error))
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            Err(absent())
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn absent() -> Problem {
    let detail = "the log has no such tile: it is not so long yet, the tile is full now (ask for it without `.p/`), or its path is \
                  spelled otherwise";
    Problem::new(StatusCode::NOT_FOUND, "no-such-tile", "No such tile", detail)
}
