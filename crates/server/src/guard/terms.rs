//! What a request that goes on was let through with: it is looked at again as it goes, so that a key that is revoked, or a role that is lost,
//! ends it. Edge: what has to be passed is the guard's and the gate's.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;

use super::rates::Payer;
use super::{Guard, ended};
use crate::access::{Asker, Denying};
use crate::front::Peer;
use crate::problem::Problem;

/// An extension of such a request; none over the socket.
#[derive(Clone)]
pub(crate) struct Terms {
    guard: Arc<Guard>,
    head: Arc<Head>,
    payer: Payer,
}

/// A request without its body.
type Head = (axum::http::Method, axum::http::Uri, axum::http::HeaderMap, Option<Peer>);

impl Terms {
    pub(super) fn of(guard: &Arc<Guard>, request: &Request, payer: Payer) -> Self {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let peer = request.extensions().get::<Peer>().copied();
        let head = Arc::new((method.clone(), uri.clone(), headers.clone(), peer));
        Self { guard: Arc::clone(guard), head, payer }
    }

    /// Whether it would be let through now: as whom, and where it is recorded what is denied of it.
    ///
    /// # Errors
    /// What became of its key, session or rights.
    pub(crate) async fn again(&self) -> Result<(Asker, Denying), Problem> {
        let (method, uri, headers, peer) = &*self.head;
        let mut request = Request::new(Body::empty());
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (method.clone(), uri.clone(), headers.clone());
        if let Some(peer) = *peer {
            request.extensions_mut().insert(peer);
        }
        let who = self.guard.admit(&mut request).map_err(|refusal| *refusal.0)?;
        let inside = self.guard.inside.as_ref().ok_or_else(ended)?;
        let pass = inside.gate.enter(who, method, uri.path(), headers).await?;
        Ok((pass.asker(), inside.gate.denying(&pass)))
    }

    /// Counts records that it recorded, and returns when more may come.
    pub(crate) async fn recorded(&self, count: u64) {
        self.payer.pay(count).await;
    }
}
