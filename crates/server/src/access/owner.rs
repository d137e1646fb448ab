//! The trail's owner, who asks over the socket: everything may be done, and what is read is on the record where that is wanted. Edge: that it is the
//! owner who asks, the socket shows; how a read is recorded is the ledger's.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use minutebook_access::Reads;
use minutebook_trail::OWNER;

use super::asker::Asker;
use super::book::Entry;
use super::gate::{Gate, purpose};
use super::ledger::unrecorded;
use super::routes;
use crate::problem::Problem;

/// Stands between the socket and the handlers.
pub(crate) struct Owner {
    gate: Arc<Gate>,
    /// Whether reads are recorded when the settings do not say.
    unsaid: Reads,
}

impl Owner {
    pub(crate) fn new(gate: Arc<Gate>, unsaid: Reads) -> Self {
        Self { gate, unsaid }
    }

    /// Whether what is read now is recorded. It is where the settings cannot be told: who broke them would read unseen.
    fn records(&self) -> bool {
        let said = self.gate.rights_now().map(|rights| rights.settings().reads_of_owner());
        said.map_or(Reads::Recorded, |said| said.unwrap_or(self.unsaid)) == Reads::Recorded
    }

    /// What the record of a request says, as far as that is known before it is answered; none of one that reads no content, or is not recorded.
    fn entry(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Option<Entry>, Problem> {
        let purpose = purpose(headers)?;
        let Some(route) = routes::find(method, path).filter(|route| routes::is_read(route.action)) else {
            return Ok(None);
        };
        Ok(self.records().then(|| Entry {
            who: OWNER.to_owned(),
            action: route.action.name().to_owned(),
            asked: format!("{method} {}", route.path),
            purpose,
            ..Entry::default()
        }))
    }
}

/// Lets a request through, and has what it reads recorded before the answer is given out.
pub(crate) async fn stand(State(owner): State<Arc<Owner>>, mut request: Request, next: Next) -> Response {
    let entry = match owner.entry(request.method(), request.uri().path(), request.headers()) {
        Ok(entry) => entry,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(Asker::Owner);
    let answer = next.run(request).await;
    let Some(entry) = entry else { return answer };
    owner.gate.ledger.read(entry, answer).await.unwrap_or_else(|what| {
        let detail = format!(
            "it cannot be recorded that this was read, so it is not given out: {what}. Make room, or mend what is said, and ask again"
        );
        unrecorded(detail).into_response()
    })
}
