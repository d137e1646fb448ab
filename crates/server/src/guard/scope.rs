//! Which scope a request needs. Edge: goes by method and path; a path that is not named here needs `all`.

use axum::http::Method;
use minutebook_trail::ApiScope;

/// What is asked with a body, and changes nothing.
const QUESTIONS: [&str; 5] = ["/v1/search", "/v1/facets", "/v1/sql", "/v1/verify", "/v1/policy/check"];

/// Where records come in, in whatever form.
const RECORDS: [&str; 6] = [
    "/v1/records",
    "/v1/intake/cloudevents",
    "/v1/otlp/v1/traces",
    "/v1/otlp/v1/logs",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

/// Whether what is sent there is recorded.
pub(super) fn records(path: &str) -> bool {
    RECORDS.contains(&path)
}

/// The least scope that is for this; `All` is for everything.
pub(super) fn needed(method: &Method, path: &str) -> ApiScope {
    // Spools of other machines: whoever may record.
    if path == "/v1/spool" || path.starts_with("/v1/spool/") {
        return ApiScope::Write;
    }
    if method == Method::GET || method == Method::HEAD {
        return ApiScope::Read;
    }
    if method == Method::POST && records(path) {
        return ApiScope::Write;
    }
    let verifies_one = || {
        let id = path.strip_prefix("/v1/records/").and_then(|rest| rest.strip_suffix("/verify"));
        id.is_some_and(|id| !id.contains('/'))
    };
    if method == Method::POST && (QUESTIONS.contains(&path) || verifies_one()) {
        return ApiScope::Read;
    }
    ApiScope::All
}

/// As people write it.
pub(super) fn word(scope: ApiScope) -> &'static str {
    match scope {
        ApiScope::Read => "read",
        ApiScope::Write => "write",
        ApiScope::All => "all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_anything_but_by_recording_needs_all() {
        let of = |text: &str| {
            let (method, path) = text.split_once(' ').unwrap();
            needed(&method.parse().unwrap(), path)
        };
        for text in [
            "GET /v1/records",
            "HEAD /log/checkpoint",
            "POST /v1/search",
            "POST /v1/sql",
            "POST /v1/records/x/verify",
            "POST /v1/verify",
        ] {
            assert_eq!(of(text), ApiScope::Read, "{text}");
        }
        for text in ["GET /v1/spool", "PUT /v1/spool/x/1", "POST /v1/spool/seal"] {
            assert_eq!(of(text), ApiScope::Write, "{text}");
        }
        for path in RECORDS {
            assert_eq!(of(&format!("POST {path}")), ApiScope::Write);
        }
        for text in [
            "POST /v1/seal",
            "POST /v1/stop",
            "POST /v1/erase",
            "PUT /v1/policy",
            "PUT /v1/records",
            "DELETE /v1/holds/x",
            "POST /v1/retention/dispose",
            "POST /v1/backup/snapshot",
            "POST /v1/records/",
            "POST //v1/records",
            "POST /v1/records/a/b/verify",
            "POST /v1/something-new",
            "PATCH /v1/search",
        ] {
            assert_eq!(of(text), ApiScope::All, "{text}");
        }
    }
}
