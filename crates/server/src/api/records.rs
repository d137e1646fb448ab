//! `/v1/records`: records one by one. One that was handed over and is not sealed yet is sealed first.

use axum::Json;
use axum::extract::{Path, State};
use minutebook_present::json::Printer;
use minutebook_present::opened::Opened;
use minutebook_record::RecordId;
use minutebook_trail::{Error, StoredRecord};
use serde_json::Value;

use super::App;
use crate::problem::Problem;

pub(super) async fn record(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let record = Opened::from(find(&app, parse_id(&id)?).await?);
    Ok(Json(Printer::default().record(&record)))
}

fn parse_id(text: &str) -> Result<RecordId, Problem> {
    text.parse()
        .map_err(|_| Problem::request("not the id of a record, such as 0193a1b2-0000-7000-8000-000000000000"))
}

/// A record, sealed when it was not.
async fn find(app: &App, id: RecordId) -> Result<StoredRecord, Problem> {
    match app.reader.get(&id).await {
        Err(Error::NoRecord { .. }) => {
            app.sealer.seal().await.map_err(|error| Problem::from(&*error))?;
            Ok(app.reader.get(&id).await?)
        }
        found => Ok(found?),
    }
}
