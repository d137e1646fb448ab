//! Which action a request is. One table: what it does not name is denied to whoever comes over TCP. Edge: methods and paths as the router has them.

use axum::http::Method;
use minutebook_access::Action;

/// What an action is about, as far as the path tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The trail as a whole: decided before the request is looked into.
    Trail,
    /// Models that the request names, or that its answer has: whoever may do it with none is denied at once, the rest is decided when they are known.
    Models,
}

/// A method and a path of the router.
pub(super) struct Route {
    method: Method,
    pub(super) path: &'static str,
    pub(super) action: Action,
    pub(super) about: About,
}

const fn of(method: Method, path: &'static str, action: Action) -> Route {
    Route { method, path, action, about: About::Trail }
}

const fn on(method: Method, path: &'static str, action: Action) -> Route {
    Route { method, path, action, about: About::Models }
}

use Action as A;

/// The methods of gRPC, which are described where OpenTelemetry describes them.
const GRPC: [&str; 2] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

/// Where a body has no end.
pub(super) const STREAM: &str = "/v1/records/stream";

/// Where an answer waits.
pub(super) const TAIL: &str = "/v1/tail";

const ROUTES: &[Route] = &[
    of(Method::GET, "/v1/engine", A::SeeEngine),
    of(Method::GET, "/v1/openapi.json", A::SeeEngine),
    of(Method::GET, "/v1/status", A::SeeStatus),
    of(Method::POST, "/v1/stop", A::Stop),
    of(Method::POST, "/v1/seal", A::Seal),
    of(Method::GET, "/v1/policy", A::SeeSettings),
    on(Method::PUT, "/v1/policy", A::SetSampling),
    on(Method::POST, "/v1/policy/check", A::CheckSampling),
    of(Method::POST, "/v1/keys/sampling/rotate", A::RotateSamplingKey),
    of(Method::GET, "/v1/retention", A::SeeSettings),
    of(Method::PUT, "/v1/retention", A::SetRetention),
    of(Method::POST, "/v1/retention/dispose", A::Dispose),
    of(Method::GET, "/v1/holds", A::SeeHolds),
    of(Method::POST, "/v1/holds", A::Hold),
    of(Method::DELETE, "/v1/holds/{id}", A::Hold),
    of(Method::POST, "/v1/erase", A::Erase),
    of(Method::GET, "/v1/access", A::SeeAccess),
    of(Method::PUT, "/v1/access", A::SetAccess),
    of(Method::GET, "/v1/session", A::SeeEngine),
    of(Method::DELETE, "/v1/session", A::SeeEngine),
    of(Method::DELETE, "/v1/sessions", A::EndSessions),
    // Whoever asks sees what is theirs to approve.
    of(Method::GET, "/v1/approvals", A::SeeEngine),
    of(Method::POST, "/v1/approvals/{id}", A::SeeEngine),
    of(Method::DELETE, "/v1/approvals/{id}", A::SeeEngine),
    of(Method::GET, "/v1/api-keys", A::SeeAccess),
    of(Method::POST, "/v1/api-keys", A::ManageKeys),
    of(Method::DELETE, "/v1/api-keys/{name}", A::ManageKeys),
    of(Method::POST, "/v1/backup/snapshot", A::Backup),
    of(Method::POST, "/v1/keys/copy", A::CopyKeys),
    on(Method::GET, "/v1/records", A::Read),
    on(Method::POST, "/v1/records", A::Record),
    on(Method::POST, STREAM, A::Record),
    // Of what comes so it is not known before whose it is: for keys that may record for every model.
    of(Method::POST, "/v1/intake/cloudevents", A::Record),
    of(Method::POST, "/v1/otlp/v1/traces", A::Record),
    of(Method::POST, "/v1/otlp/v1/logs", A::Record),
    of(Method::POST, GRPC[0], A::Record),
    of(Method::POST, GRPC[1], A::Record),
    of(Method::GET, "/v1/spool", A::Record),
    of(Method::POST, "/v1/spool/seal", A::Seal),
    of(Method::GET, "/v1/spool/{producer}/{epoch}", A::Record),
    of(Method::PUT, "/v1/spool/{producer}/{epoch}", A::Record),
    of(Method::PUT, "/v1/spool/{producer}/{epoch}/{part}", A::Record),
    of(Method::POST, "/v1/spool/{producer}/{epoch}/give-up", A::GiveUp),
    on(Method::GET, "/v1/records/{id}", A::Read),
    on(Method::GET, "/v1/records/{id}/page", A::Read),
    on(Method::GET, "/v1/records/{id}/receipt", A::Read),
    on(Method::POST, "/v1/records/{id}/verify", A::VerifyRecord),
    on(Method::GET, TAIL, A::Read),
    on(Method::POST, "/v1/search", A::Read),
    on(Method::POST, "/v1/facets", A::Read),
    on(Method::POST, "/v1/sql", A::Read),
    on(Method::GET, "/v1/tables", A::Read),
    of(Method::GET, "/v1/index", A::SeeStatus),
    of(Method::POST, "/v1/index/rebuild", A::RebuildIndex),
    on(Method::GET, "/v1/stats", A::ReadStatistics),
    on(Method::GET, "/v1/models", A::ReadStatistics),
    on(Method::GET, "/v1/models/{name}", A::ReadStatistics),
    on(Method::POST, "/v1/models/{name}/versions", A::Register),
    on(Method::POST, "/v1/models/{name}/deployments", A::Register),
    of(Method::POST, "/v1/person", A::ReadPerson),
    of(Method::POST, "/v1/verify", A::Verify),
    of(Method::GET, "/v1/jobs/{id}", A::Verify),
    of(Method::DELETE, "/v1/jobs/{id}", A::Verify),
    of(Method::GET, "/log/checkpoint", A::ReadLog),
    of(Method::GET, "/log/tile/{*path}", A::ReadLog),
];

/// What a request is, by its method and path.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|route| route.method == *method && fits(route.path, path))
}

/// Whether a path is one of a route, as the router tells it: `{id}` stands for one part, `{*path}` for the rest, neither for nothing.
fn fits(route: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in route.split('/') {
        let Some(part) = parts.next() else { return false };
        if wanted.starts_with("{*") {
            return !part.is_empty() || parts.next().is_some();
        }
        let is_any = wanted.starts_with('{') && !part.is_empty();
        if !is_any && wanted != part {
            return false;
        }
    }
    parts.next().is_none()
}

/// Whether a read of content is told with each answer.
pub(super) fn is_read(action: Action) -> bool {
    matches!(action, A::Read | A::ReadStatistics | A::ReadPerson)
}

/// Actions that let somebody in as well at the path of another one: handing over `model` and `deployment` records is one of its own.
pub(super) fn alternatives(action: Action) -> &'static [Action] {
    match action {
        A::Record => &[A::Register],
        // Whoever may see what the trail says of itself lists it as records.
        A::Read => &[A::ReadAccounts],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes that are described: what has no description is not routed, but for the description itself.
    fn of_the_router() -> BTreeSet<(String, String)> {
        let document = include_str!("../../../../docs/openapi.json");
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let routes = paths.flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        });
        let others = GRPC.map(|path| ("POST".to_owned(), path.to_owned()));
        routes.chain([("GET".to_owned(), "/v1/openapi.json".to_owned())]).chain(others).collect()
    }

    #[test]
    fn every_route_has_its_action_and_there_are_no_others() {
        let open = ["/healthz", "/readyz", "/v1/sign-in", "/v1/sign-in/back"];
        let router: BTreeSet<_> =
            of_the_router().into_iter().filter(|(_, path)| !open.contains(&path.as_str())).collect();
        let table: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.method.to_string(), route.path.replace("{*", "{"))).collect();
        assert!(router.len() > 30, "{router:?}");
        assert_eq!(router, table);
        assert_eq!(table.len(), ROUTES.len(), "one entry each");
    }

    #[test]
    fn what_is_not_in_the_table_is_no_route() {
        let get = |path: &str| find(&Method::GET, path).map(|route| route.path);
        assert_eq!(get("/v1/records/x"), Some("/v1/records/{id}"));
        assert_eq!(get("/v1/records/x/page"), Some("/v1/records/{id}/page"));
        assert_eq!(get("/log/tile/0/x001/234.p/7"), Some("/log/tile/{*path}"));
        assert!(find(&Method::HEAD, "/log/checkpoint").is_some());
        for (method, path) in [
            (Method::PATCH, "/v1/search"),
            (Method::POST, "/v1/something-new"),
            (Method::PUT, "/v1/records"),
            (Method::GET, "/v1/records/"),
            (Method::GET, "//v1/records"),
            (Method::GET, "/v1/records/a/b/page"),
            (Method::GET, "/v1/records/x/page/"),
            (Method::GET, "/log/tile/"),
            (Method::GET, "/log/trail.toml"),
            (Method::GET, ""),
        ] {
            assert!(find(&method, path).is_none(), "{method} {path}");
        }
    }
}
