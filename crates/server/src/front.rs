//! Which trail a request over TCP is for: by the begin of its path, `/t/NAME`, or by a header, for senders that can set no path; where a server has
//! one trail, without either. Edge: whose key it is, each trail's own guard says; a name that is none is answered as a wrong key is.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use minutebook_net::Handler;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service;

use crate::guard::{Hosts, finished};
use crate::limits::LAST_ANSWERS;
use crate::name::TrailName;
use crate::problem::Problem;
use crate::sealer::Asker;

/// The header that names the trail of a request whose path does not.
pub(crate) const TRAIL: &str = "minutebook-trail";

/// What stood before the path that the handlers see: `/t/NAME`; an extension of a request that came so.
#[derive(Debug, Clone)]
pub(crate) struct Base(Arc<str>);

impl Base {
    /// A path as the asker writes it.
    pub(crate) fn of(base: Option<&Self>, path: &str) -> String {
        format!("{}{path}", base.map_or("", |Self(base)| base))
    }
}

/// Who sent a request; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What answers at an address.
#[derive(Clone)]
pub(crate) struct Answering(Arc<Front>);

impl Handler for Answering {
    type Body = Body;

    async fn answer(self, request: hyper::Request<Incoming>, peer: IpAddr) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        Ok(self.0.answer(request).await)
    }
}

/// The trails of a server, as they are reached over TCP.
pub(crate) struct Front {
    ways: Vec<Arc<Way>>,
    /// Answers as a trail does to whoever has no key for it.
    strangers: Router,
    hosts: Hosts,
}

/// The way to one trail.
pub(crate) struct Way {
    name: Option<TrailName>,
    base: Base,
    now: Mutex<Now>,
}

struct Now {
    router: Router,
    /// None when the trail has ended.
    sealer: Option<Asker>,
    /// Requests on their way.
    inside: Arc<watch::Sender<usize>>,
}

/// A request on its way, until it is answered or its asker has gone.
struct Inside(Arc<watch::Sender<usize>>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Way {
    /// To a trail that `router` answers for, behind its guard.
    pub(crate) fn new(name: Option<TrailName>, router: Router, sealer: Asker) -> Self {
        let base = Base(name.as_ref().map(TrailName::base).unwrap_or_default().into());
        let now = Now { router, sealer: Some(sealer), inside: Arc::default() };
        Self { name, base, now: Mutex::new(now) }
    }

    pub(crate) fn name(&self) -> Option<&TrailName> {
        self.name.as_ref()
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> Response {
        let (mut router, inside) = {
            let now = self.now();
            now.inside.send_modify(|count| *count += 1);
            (now.router.clone(), Inside(Arc::clone(&now.inside)))
        };
        let Ok(answer) = router.call(request).await;
        drop(inside);
        answer
    }

    /// From now on `router` answers, as the trail has ended. Waits a while for the answers that are on their way.
    pub(crate) async fn close(&self, router: Router) {
        let ended = Now { router, sealer: None, inside: Arc::default() };
        let inside = Arc::clone(&std::mem::replace(&mut *self.now(), ended).inside);
        let mut inside = inside.subscribe();
        let _ = timeout(LAST_ANSWERS, inside.wait_for(|count| *count == 0)).await;
    }

    fn works(&self) -> bool {
        self.now().sealer.as_ref().is_some_and(Asker::works)
    }
}

impl Front {
    pub(crate) fn new(ways: Vec<Arc<Way>>, strangers: Router, hosts: Hosts) -> Self {
        Self { ways, strangers, hosts }
    }

    /// What takes all requests of a listener.
    pub(crate) fn answering(self) -> Answering {
        Answering(Arc::new(self))
    }

    async fn answer(&self, mut request: Request) -> Response {
        let path = request.uri().path();
        if let Some((name, rest)) = below(path) {
            let way = self.named(name);
            // What is said of health without a key is said of the whole server: it would tell which trails there are.
            if !is_health(rest)
                && let Some(uri) = with_path(request.uri(), rest)
            {
                *request.uri_mut() = uri;
                way.iter().for_each(|way| drop(request.extensions_mut().insert(way.base.clone())));
            }
            return self.through(way, request).await;
        }
        let mut named = request.headers().get_all(TRAIL).iter();
        match (&*self.ways, named.next()) {
            ([only], None) => only.answer(request).await,
            ([only], Some(_)) if is_health(path) => only.answer(request).await,
            (_, Some(name)) if !is_health(path) => {
                let name = name.to_str().ok().filter(|_| named.next().is_none());
                self.through(name.and_then(|name| self.named(name)), request).await
            }
            _ => finished(self.of_itself(&request)),
        }
    }

    async fn through(&self, way: Option<&Way>, request: Request) -> Response {
        match way {
            Some(way) => way.answer(request).await,
            None => {
                let Ok(answer) = self.strangers.clone().call(request).await;
                answer
            }
        }
    }

    fn named(&self, name: &str) -> Option<&Way> {
        let is_named = |way: &&Arc<Way>| way.name.as_ref().is_some_and(|own| own.as_str() == name);
        self.ways.iter().find(is_named).map(|way| &**way)
    }

    /// Where several trails are, and none is named.
    fn of_itself(&self, request: &Request) -> Response {
        if let Some(problem) = self.hosts.refuse(request) {
            return problem.into_response();
        }
        match request.uri().path() {
            "/healthz" => "ok\n".into_response(),
            "/readyz" if self.ways.iter().all(|way| way.works()) => "ready\n".into_response(),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
            _ => {
                let detail = format!(
                    "this server has several trails, each at `/t/NAME`: name one in the path, or in the header `{TRAIL}`"
                );
                Problem::new(StatusCode::NOT_FOUND, "no-trail", "No trail is named", detail).into_response()
            }
        }
    }
}

/// The name and the rest of a path that begins with a trail's.
fn below(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix("/t/")?;
    Some(below.split_at(below.find('/').unwrap_or(below.len())))
}

fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// The same with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path = if path.is_empty() { "/" } else { path };
    let whole = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_as_it_is_written() {
        assert_eq!(below("/t/a/v1/records"), Some(("a", "/v1/records")));
        assert_eq!(below("/t/a"), Some(("a", "")));
        assert_eq!(below("/t/a//v1"), Some(("a", "//v1")));
        assert_eq!(below("/t//v1"), Some(("", "/v1")));
        assert_eq!(below("/t"), None);
        assert_eq!(below("/T/a/v1"), None);
        assert_eq!(below("/v1/t/a"), None);
    }

    #[test]
    fn the_rest_of_an_address_stays() {
        let with = |uri: &str, path: &str| with_path(&uri.parse().unwrap(), path).unwrap().to_string();
        assert_eq!(with("/t/a/v1?x=1&y=%2F", "/v1"), "/v1?x=1&y=%2F");
        assert_eq!(with("https://h:1/t/a/v1", "/v1"), "https://h:1/v1");
        assert_eq!(with("/t/a", ""), "/");
    }
}
