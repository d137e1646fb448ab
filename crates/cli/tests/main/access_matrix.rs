use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::{decision, decisions, wait_until};
use crate::tcp::{Answer, EVERYTHING, Server};

/// Who may ask a route, and what of models that are others' becomes of it.
struct Row {
    route: &'static str,
    /// With a key for whatever models.
    any: &'static str,
    /// With a key for all models.
    whole: &'static str,
    /// With a key for the model that it is about; with one for others, the answer is `foreign`.
    models: &'static str,
    foreign: u16,
    /// What is sent: `{id}` is a record's id, `{n}` another number each time.
    path: &'static str,
    body: &'static str,
}

const ALL: &str = EVERYTHING;
const READERS: &str = "analyst,investigator,auditor,privacy-officer,model-owner,administrator";
const SEE: &str = "analyst,investigator,auditor";

/// About the trail as a whole.
const fn trail(
    route: &'static str,
    any: &'static str,
    whole: &'static str,
    path: &'static str,
    body: &'static str,
) -> Row {
    Row { route, any, whole, models: "", foreign: 0, path, body }
}

/// About models.
const fn models(
    route: &'static str,
    models: &'static str,
    foreign: u16,
    path: &'static str,
    body: &'static str,
) -> Row {
    Row { route, any: "", whole: "", models, foreign, path, body }
}

const POLICY: &str = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"credit\"\n[[model.rule]]\nname = \"r{n}\"\nkeep = \"all\"\n";
const DECISION: &str =
    r#"{"model": {"name": "credit", "version": "1"}, "inputs": {"amount": 1}, "outputs": {}}"#;
const VERSION: &str = r#"{"version": "1"}"#;

/// The services of gRPC, which the description of the API does not have.
const GRPC: [&str; 2] = [
    "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "POST /opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

/// Every route, each with who may.
const MATRIX: &[Row] = &[
    trail("GET /v1/engine", ALL, "", "/v1/engine", ""),
    trail("GET /v1/openapi.json", ALL, "", "/v1/openapi.json", ""),
    trail("GET /v1/status", "auditor", "administrator", "/v1/status", ""),
    trail("POST /v1/seal", "recorder", "administrator", "/v1/seal", ""),
    trail("GET /v1/policy", "model-owner", "auditor,privacy-officer,administrator", "/v1/policy", ""),
    models("PUT /v1/policy", "model-owner,administrator", 403, "/v1/policy", POLICY),
    models(
        "POST /v1/policy/check",
        "model-owner,administrator",
        403,
        "/v1/policy/check?model=credit",
        POLICY,
    ),
    trail("POST /v1/keys/sampling/rotate", "", "administrator", "/v1/keys/sampling/rotate", ""),
    trail("GET /v1/retention", "model-owner", "auditor,privacy-officer,administrator", "/v1/retention", ""),
    trail("PUT /v1/retention", "", "privacy-officer,administrator", "/v1/retention", "nonsense"),
    trail("POST /v1/retention/dispose", "", "privacy-officer", "/v1/retention/dispose", "{}"),
    trail("GET /v1/holds", "", "auditor,privacy-officer", "/v1/holds", ""),
    trail("POST /v1/holds", "", "privacy-officer", "/v1/holds", "{}"),
    trail("DELETE /v1/holds/{id}", "", "privacy-officer", "/v1/holds/none", "{}"),
    trail("POST /v1/erase", "", "privacy-officer", "/v1/erase", "{}"),
    trail("GET /v1/access", "", "auditor,administrator", "/v1/access", ""),
    trail("PUT /v1/access", "", "administrator", "/v1/access", "nonsense"),
    trail("GET /v1/api-keys", "", "auditor,administrator", "/v1/api-keys", ""),
    trail("POST /v1/api-keys", "", "administrator", "/v1/api-keys", "nonsense"),
    trail("DELETE /v1/api-keys/{name}", "", "administrator", "/v1/api-keys/none", ""),
    trail("POST /v1/person", "", "privacy-officer", "/v1/person", r#"{"subject": "nobody"}"#),
    trail("GET /v1/session", ALL, "", "/v1/session", ""),
    // There is no sign-in in this trail: 404.
    trail("DELETE /v1/session", ALL, "", "/v1/session", ""),
    trail("DELETE /v1/sessions", "", "administrator", "/v1/sessions?name=nobody", ""),
    trail("GET /v1/approvals", ALL, "", "/v1/approvals", ""),
    trail("POST /v1/approvals/{id}", ALL, "", "/v1/approvals/none", ""),
    trail("DELETE /v1/approvals/{id}", ALL, "", "/v1/approvals/none", ""),
    trail("POST /v1/backup/snapshot", "", "administrator", "/v1/backup/snapshot", "{}"),
    trail("POST /v1/keys/copy", "", "administrator", "/v1/keys/copy", "nonsense"),
    models("GET /v1/records", SEE, 200, "/v1/records", ""),
    models("POST /v1/records", "recorder", 403, "/v1/records", DECISION),
    trail("GET /v1/spool", "", "recorder", "/v1/spool", ""),
    trail("POST /v1/spool/seal", "recorder", "administrator", "/v1/spool/seal", ""),
    trail("POST /v1/intake/cloudevents", "", "recorder", "/v1/intake/cloudevents", "nonsense"),
    trail("POST /v1/otlp/v1/traces", "", "recorder", "/v1/otlp/v1/traces", "nonsense"),
    trail("POST /v1/otlp/v1/logs", "", "recorder", "/v1/otlp/v1/logs", "nonsense"),
    trail("PUT /v1/spool/{producer}/{epoch}", "", "recorder", "/v1/spool/0/1", ""),
    trail("GET /v1/spool/{producer}/{epoch}", "", "recorder", "/v1/spool/0/1", ""),
    trail("PUT /v1/spool/{producer}/{epoch}/{part}", "", "recorder", "/v1/spool/0/1/1", ""),
    trail("POST /v1/spool/{producer}/{epoch}/give-up", "", "administrator", "/v1/spool/0/1/give-up", "{}"),
    // Who registers models begins a stream too; whose records are not taken is told in its answer.
    models("POST /v1/records/stream", "recorder,model-owner", 415, "/v1/records/stream", DECISION),
    models("GET /v1/tail", SEE, 200, "/v1/tail", ""),
    models("GET /v1/records/{id}", SEE, 404, "/v1/records/{id}", ""),
    models("GET /v1/records/{id}/page", SEE, 404, "/v1/records/{id}/page", ""),
    models("GET /v1/records/{id}/receipt", SEE, 404, "/v1/records/{id}/receipt", ""),
    models("POST /v1/records/{id}/verify", SEE, 404, "/v1/records/{id}/verify", ""),
    models("POST /v1/search", SEE, 200, "/v1/search", "{}"),
    models("POST /v1/facets", SEE, 200, "/v1/facets", r#"{"search": {}}"#),
    models("POST /v1/sql", SEE, 404, "/v1/sql", r#"{"query": "SELECT count(*) FROM credit", "fresh": true}"#),
    models("GET /v1/tables", SEE, 200, "/v1/tables", ""),
    trail("GET /v1/index", "auditor", "administrator", "/v1/index", ""),
    trail("POST /v1/index/rebuild", "", "administrator", "/v1/index/rebuild", ""),
    models("GET /v1/stats", "analyst,investigator,auditor,model-owner", 200, "/v1/stats?model=credit", ""),
    models("GET /v1/models", "analyst,investigator,auditor,model-owner", 200, "/v1/models", ""),
    models(
        "GET /v1/models/{name}",
        "analyst,investigator,auditor,model-owner",
        404,
        "/v1/models/credit?fresh=true",
        "",
    ),
    models("POST /v1/models/{name}/versions", "model-owner", 403, "/v1/models/credit/versions", VERSION),
    models(
        "POST /v1/models/{name}/deployments",
        "model-owner",
        403,
        "/v1/models/credit/deployments",
        VERSION,
    ),
    trail("POST /v1/verify", "auditor", "", "/v1/verify", ""),
    trail("GET /v1/jobs/{id}", "auditor", "", "/v1/jobs/none", ""),
    trail("DELETE /v1/jobs/{id}", "auditor", "", "/v1/jobs/none", ""),
    trail("GET /log/checkpoint", READERS, "", "/log/checkpoint", ""),
    trail("GET /log/tile/{path}", READERS, "", "/log/tile/0/000", ""),
    trail(GRPC[0], "", "recorder", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", ""),
    trail(GRPC[1], "", "recorder", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", ""),
    // The last one: it ends the server.
    trail("POST /v1/stop", "", "administrator", "/v1/stop", ""),
];

/// The routes that are described: what has no description is not routed, but for the description itself.
fn of_the_router() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path))
    });
    let named = routes.filter(|(_, path)| !OPEN.contains(&path.as_str()));
    named
        .map(|(method, path)| format!("{method} {path}"))
        .chain(["GET /v1/openapi.json".to_owned()])
        .chain(GRPC.map(str::to_owned))
        .collect()
}

/// For anybody.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/v1/sign-in", "/v1/sign-in/back"];

fn has(list: &str, role: &str) -> bool {
    list.split(',').any(|one| one == role)
}

fn is_denied(answer: &Answer) -> bool {
    answer.status == 403
        && ["not-permitted", "purpose-needed"].contains(&answer.json()["code"].as_str().unwrap())
}

#[test]
fn each_role_may_what_the_matrix_says_of_own_models_and_of_others() {
    let named: BTreeSet<String> = MATRIX.iter().map(|row| row.route.to_owned()).collect();
    assert_eq!(named, of_the_router(), "a route without a row, or a row without a route");
    let server = Server::among(&["other"]);
    let id = server.user.record(&decision(1)).remove(0);
    let keys: Vec<(&str, [String; 3])> = EVERYTHING
        .split(',')
        .map(|role| {
            let own = server.key_for(&format!("{role}-own"), role, &["cre*"]);
            let foreign = server.key_for(&format!("{role}-foreign"), role, &["fraud", "credit-*"]);
            (role, [server.key(role, role), own, foreign])
        })
        .collect();
    let mut wrong = Vec::new();
    // A key of another trail of the same server is as wrong as one that was made up.
    let stranger = server.key_of("other", "stranger", EVERYTHING);
    for row in MATRIX {
        let method = row.route.split(' ').next().unwrap();
        let ask = |key: &str| {
            let mut answer = server.ask(key, method, &row.path.replace("{id}", &id), row.body);
            // Wrong keys are slowed, whichever trail they are tried at.
            wait_until("another try", || {
                let is_slowed = answer.status == 429;
                if is_slowed {
                    answer = server.ask(key, method, &row.path.replace("{id}", &id), row.body);
                }
                !is_slowed
            });
            (answer.status, answer.json())
        };
        let (of_stranger, made_up) = (ask(&stranger), ask("mbk_guess"));
        assert_eq!(of_stranger, made_up, "{}", row.route);
        if of_stranger.0 != 401 {
            wrong.push(format!("stranger {}: {}", row.route, of_stranger.0));
        }
    }
    wait_until("that the stranger is let in at home", || {
        server.ask(&stranger, "GET", "/t/other/v1/engine", "").status == 200
    });
    let mut number = 0;
    for row in MATRIX {
        let method = row.route.split(' ').next().unwrap();
        for (role, [whole, own, foreign]) in &keys {
            for (whose, key) in [("foreign", foreign), ("own", own), ("whole", whole)] {
                number += 1;
                let path = row.path.replace("{id}", &id);
                let body = row.body.replace("{n}", &number.to_string());
                let answer = server.ask(key, method, &path, &body);
                let may_any = has(row.any, role);
                let may_models = has(row.models, role);
                let (permitted, status) = match whose {
                    "whole" => (may_any || may_models || has(row.whole, role), None),
                    "own" => (may_any || may_models, None),
                    _ => (
                        may_any || (may_models && row.foreign != 403),
                        Some(row.foreign).filter(|_| may_models),
                    ),
                };
                if is_denied(&answer) == permitted || status.is_some_and(|status| status != answer.status) {
                    wrong.push(format!("{role} ({whose}) {}: {}", row.route, answer.status));
                }
                assert!(answer.status < 500, "{role} ({whose}) {}: {answer:?}", row.route);
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    let Server { user, running, pid, .. } = server;
    // Its trail has ended by the last row; the other one is there still.
    wait_until("the end of its trail", || !user.path("trail/engine.sock").exists());
    crate::program::signal(&pid, "-TERM");
    running.ended().ends(0);
    user.run(["verify"]).ends(0);
}

#[test]
fn of_models_of_others_there_is_nothing() {
    let server = Server::new();
    server.user.record(&decisions(4));
    let fraud = r#"{"model": {"name": "fraud", "version": "9"}, "inputs": {"x": 1}, "outputs": {"y": 2}}"#;
    let foreign = server.user.record(fraud).remove(0);
    let analyst = server.key_for("dashboard", "analyst", &["credit"]);
    let ask = |path: &str, body: &str| server.ask(&analyst, "POST", path, body).is(200).json();
    let listed = server.ask(&analyst, "GET", "/v1/records?limit=100", "").is(200).json();
    assert_eq!(listed["records"].as_array().unwrap().len(), 4);
    let listed =
        server.ask(&analyst, "GET", "/v1/records?limit=100&kind=producer,access,policy", "").is(200).json();
    assert_eq!(listed["records"], serde_json::json!([]), "what the trail says of itself is the auditor's");
    for (query, expected) in [
        ("SELECT count(*) AS n FROM records WHERE kind = 'decision'", 4),
        ("SELECT count(*) AS n FROM records WHERE kind <> 'window'", 4),
        ("SELECT count(*) AS n FROM records WHERE model = 'fraud'", 0),
        ("SELECT count(*) AS n FROM trail.records r JOIN links l ON l.target = r.id", 0),
        ("WITH r AS (SELECT * FROM records) SELECT count(*) AS n FROM r WHERE kind <> 'window'", 4),
        // It would fail on a row of another's model.
        (
            "SELECT count(*) AS n FROM records WHERE 1 / (CASE WHEN model = 'fraud' THEN 0 ELSE 1 END) = 1 AND kind = 'decision'",
            4,
        ),
    ] {
        let body = serde_json::json!({ "query": query, "fresh": true }).to_string();
        assert_eq!(ask("/v1/sql", &body)["rows"][0]["n"], expected, "{query}");
    }
    let found = ask("/v1/search", r#"{"where": "1 / (CASE WHEN model = 'fraud' THEN 0 ELSE 1 END) = 1"}"#);
    assert_eq!(found["rows"].as_array().unwrap().len(), 4);
    assert_eq!(ask("/v1/facets", r#"{"search": {}, "columns": ["model"]}"#)["count"], 4);
    let tables = server.ask(&analyst, "GET", "/v1/tables", "").is(200).json();
    assert!(!tables.to_string().contains("fraud"), "{tables}");
    for (query, status) in [
        ("SELECT * FROM fraud", 404),
        ("SELECT * FROM models.fraud", 404),
        ("SELECT * FROM whole.records", 400),
        ("SELECT * FROM trail.whole.records", 400),
        ("EXPLAIN ANALYZE SELECT * FROM records", 400),
    ] {
        let body = serde_json::json!({ "query": query }).to_string();
        let answer = server.ask(&analyst, "POST", "/v1/sql", &body);
        assert_eq!(answer.status, status, "{query}: {}", String::from_utf8_lossy(&answer.body));
        assert!(!answer.json()["detail"].as_str().unwrap().contains("`fraud`?"), "no proposal tells of it");
    }
    server.ask(&analyst, "POST", "/v1/search", r#"{"model": "fraud"}"#).problem(404, "no-such-table");
    for below in ["", "/page", "/receipt"] {
        let path = format!("/v1/records/{foreign}{below}");
        let absent = format!("/v1/records/0193a1b2-0000-7000-8000-000000000000{below}");
        let (there, not) = (server.ask(&analyst, "GET", &path, ""), server.ask(&analyst, "GET", &absent, ""));
        let (there, not) =
            (there.problem(404, "no-such-record").json(), not.problem(404, "no-such-record").json());
        assert_eq!(there["title"], not["title"], "as one that is not there at all");
    }
    let stats = server.ask(&analyst, "GET", "/v1/stats?model=fraud&since=3650d", "").is(200).json();
    assert_eq!(stats["models"], serde_json::json!([]));
    let shop = server.key_for("shop", "recorder", &["credit"]);
    server.ask(&shop, "POST", "/v1/records", fraud).problem(403, "not-permitted");
    let review = r#"{"kind": "note", "note": {"text": "?"}}"#;
    let refused = server.ask(&shop, "POST", "/v1/records", review).problem(403, "not-permitted");
    assert!(refused.json()["detail"].as_str().unwrap().contains("`model`"), "{refused:?}");
    server.end().run(["verify"]).ends(0);
}
