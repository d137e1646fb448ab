use serde_json::{Value, json};

use crate::program::{decision, decisions};
use crate::tcp::Server;

const EXPLAINED: &str = r#"{"model": {"name": "credit", "version": "1"}, "inputs": {"amount": 4000.5, "purpose": "car"},
 "outputs": {"approve": false}, "subject": "Jane Roe", "actor": "branch-12", "tags": {"channel": "web"},
 "explanation": {"method": "coefficients", "attributions": {"amount": -0.4, "purpose": 0.1},
                 "reasons": [{"features": ["amount"], "attribution": -0.4, "text": "the amount is too high"}],
                 "counterfactuals": [{"amount": 1000}]}}"#;

/// Nothing of what is masked, neither value nor attribution.
#[track_caller]
fn betrays_nothing(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    for secret in ["4000", "car", "Jane", "branch-12", "-0.4", "too high", "1000"] {
        assert!(!text.contains(secret), "`{secret}` in {text}");
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[test]
fn an_analyst_sees_no_personal_field_anywhere_and_an_investigator_does() {
    let server = Server::new();
    let id = server.user.record(&one_line(EXPLAINED)).remove(0);
    let (analyst, investigator) = (server.key("dashboard", "analyst"), server.key("case", "investigator"));
    let get = |path: &str| server.ask(&analyst, "GET", path, "").is(200);
    let post = |path: &str, body: Value| server.ask(&analyst, "POST", path, &body.to_string());
    post("/v1/sql", json!({ "query": "SELECT 1", "fresh": true })).is(200);
    let path = format!("/v1/records/{id}");
    for below in ["", "?types=true", "/page", "/receipt", "/receipt?disclose=outputs,explanation/meta"] {
        betrays_nothing(&get(&format!("{path}{below}")).body);
    }
    let record = get(&path).json();
    assert_eq!(record["outputs"], json!({ "approve": false }));
    let masked = record["masked"].to_string();
    for field in
        ["amount", "purpose", "subject", "actor", "tags", "attributions", "reasons", "counterfactuals"]
    {
        assert!(masked.contains(field), "{field} in {masked}");
    }
    for path in ["/v1/records", "/v1/tables", "/v1/stats?model=credit"] {
        betrays_nothing(&get(path).body);
    }
    for body in [json!({}), json!({ "columns": ["*"] }), json!({ "model": "credit", "columns": ["*"] })] {
        betrays_nothing(&post("/v1/search", body).is(200).body);
    }
    for query in ["SELECT * FROM credit", "SELECT * FROM records", "SELECT * FROM models.credit"] {
        betrays_nothing(&post("/v1/sql", json!({ "query": query })).is(200).body);
    }

    // A masked column cannot be named, wherever.
    for column in
        ["inputs.amount", "subject", "subjects", "actor", "attributions.amount", "explanation.reasons"]
    {
        let quoted = format!("\"{column}\"");
        for (path, body) in [
            ("/v1/search", json!({ "where": format!("{quoted} IS NULL"), "model": "credit" })),
            ("/v1/search", json!({ "order": { "by": column }, "model": "credit" })),
            ("/v1/search", json!({ "columns": [column], "model": "credit" })),
            ("/v1/search", json!({ "where": format!("{quoted} IS NOT NULL") })),
            ("/v1/facets", json!({ "search": { "model": "credit" }, "columns": [column] })),
            ("/v1/facets", json!({ "search": { "where": format!("{quoted} IS NULL"), "model": "credit" } })),
            ("/v1/sql", json!({ "query": format!("SELECT {quoted} FROM credit") })),
            ("/v1/sql", json!({ "query": format!("SELECT count(*) FROM credit GROUP BY {quoted}") })),
            ("/v1/sql", json!({ "query": format!("SELECT id FROM credit ORDER BY {quoted}") })),
            ("/v1/sql", json!({ "query": format!("SELECT id FROM credit WHERE {quoted} IS NULL") })),
        ] {
            // Without a value in any record it is no column yet.
            if column == "subjects"
                && server.ask(&investigator, "POST", path, &body.to_string()).status != 200
            {
                continue;
            }
            let refused = post(path, body.clone());
            assert_eq!(refused.status, 403, "{column} {path} {body}: {refused:?}");
            let refused = refused.problem(403, "masked");
            assert!(refused.json()["detail"].as_str().unwrap().contains(column), "{refused:?}");
            betrays_nothing(&refused.body);
        }
    }
    post("/v1/search", json!({ "where": "has_words(inputs.purpose, 'car')" })).problem(403, "masked");
    post("/v1/search", json!({ "where": "inputs.amont > 1", "model": "credit" }))
        .problem(400, "wrong-question");
    server.ask(&analyst, "GET", "/v1/stats?model=credit&since=3650d&feature=inputs/amount", "");
    server.ask(&analyst, "GET", &format!("{path}/receipt?disclose=inputs/amount"), "").problem(403, "masked");

    // In clear, for who says why.
    let clear = server.ask(&investigator, "GET", &path, "").is(200).json();
    assert_eq!((&clear["inputs"]["amount"], &clear["subject"]), (&json!(4000.5), &json!("Jane Roe")));
    assert_eq!(clear["masked"], Value::Null);
    let found = server.ask(
        &investigator,
        "POST",
        "/v1/search",
        r#"{"where": "inputs.amount > 1 AND subject = 'Jane Roe'"}"#,
    );
    assert_eq!(found.is(200).json()["rows"][0]["id"], json!(id));
    let bearer = format!("Bearer {investigator}");
    let refused =
        server.send("GET", &path, &[("Authorization", &bearer)], b"").problem(403, "purpose-needed");
    assert!(refused.json()["detail"].as_str().unwrap().contains("minutebook-purpose"), "{refused:?}");

    // What is masked of a receipt is proved nonetheless.
    let receipt = get(&format!("{path}/receipt?disclose=outputs,explanation,model")).body;
    betrays_nothing(&receipt);
    server.user.write("masked.proof", &receipt);
    let user = server.end();
    user.run(["verify"]).ends(0);
    user.write("policy", user.run(["key", "show", "--policy"]).ends(0).out);
    let proved =
        user.run(["verify", "masked.proof", "--policy", "policy"]).ends(0).prints("The proof holds.");
    betrays_nothing(proved.prints("outputs/approve").out.as_bytes());
}

#[test]
fn an_operator_says_what_is_personal_and_the_trail_says_so() {
    let server = Server::new();
    let id = server.user.record(&one_line(EXPLAINED)).remove(0);
    let analyst = server.key("dashboard", "analyst");
    let settings = "format = \"minutebook/access/1\"\n[[model]]\nname = \"credit\"\npersonal = [\"inputs.purpose\"]\nopen = [\"actor\"]\n";
    server.user.write("access.toml", settings);
    server.user.run(["access", "check", "access.toml"]).ends(0).prints("tables of models 1");
    server
        .user
        .run(["access", "test", "dashboard", "read", "--model", "credit"])
        .ends(0)
        .prints("permitted: by analyst-reads")
        .prints("masked: inputs.amount, inputs.purpose");
    server
        .user
        .run(["access", "test", "dashboard", "read", "--model", "credit", "--settings", "access.toml"])
        .ends(0)
        .prints("masked: inputs.purpose, explanation.attributions");
    server.user.run(["access", "test", "dashboard", "erase", "--json"]).ends(0).prints("\"permitted\":false");
    server.user.run(["access", "test", "nobody", "read"]).ends(2).complains("api-key list");
    server.user.run(["access", "test", "dashboard", "fly"]).ends(2).complains("read-statistics");
    server.user.run(["access", "set", "access.toml"]).ends(0).prints("in force");
    server.user.run(["access", "set", "access.toml"]).ends(0).prints("already");
    server.user.run(["access", "show"]).ends(0).prints("inputs.purpose");
    crate::program::wait_until("that the settings hold", || {
        server.ask(&analyst, "GET", &format!("/v1/records/{id}"), "").json()["inputs"]["amount"]
            == json!(4000.5)
    });
    let record = server.ask(&analyst, "GET", &format!("/v1/records/{id}"), "").is(200).json();
    assert_eq!((&record["inputs"]["purpose"], &record["actor"]), (&Value::Null, &json!("branch-12")));
    assert_eq!((&record["explanation"]["attributions"], &record["subject"]), (&Value::Null, &Value::Null));
    let found = server.ask(
        &analyst,
        "POST",
        "/v1/search",
        r#"{"where": "inputs.amount > 1", "columns": ["*"], "fresh": true}"#,
    );
    let found = found.is(200).json()["rows"][0].to_string();
    assert!(found.contains("4000.5") && !found.contains("car") && !found.contains("-0.4"), "{found}");
    server.user.write("wrong.toml", "format = \"minutebook/access/1\"\n\ncolour = 1\n");
    server.user.run(["access", "set", "wrong.toml"]).ends(2).complains("line 3");
    let user = server.end();
    let policies = user.run(["list", "--kind", "policy", "--json"]).ends(0).json();
    let said: Vec<_> = policies.iter().filter(|record| record["policy"]["what"] == "access").collect();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["policy"]["new"], settings);
    user.run(["verify"]).ends(0);
}

#[test]
fn every_read_and_every_denial_is_on_the_record() {
    let server = Server::new();
    let ids = server.user.record(&(decisions(3) + &decision(4)));
    let (analyst, case) = (server.key("dashboard", "analyst"), server.key("case", "investigator"));
    let recorder = server.key("shop", "recorder");
    let show = format!("/v1/records/{}", ids[1]);
    server.ask(&case, "GET", &show, "").is(200);
    let body =
        r#"{"where": "outputs.approve = true AND version = 'Jane Roe'", "model": "credit", "fresh": true}"#;
    server.ask(&analyst, "POST", "/v1/search", body).is(200);
    let body = r#"{"query": "SELECT id AS jane, 'Jane' FROM credit -- Jane"}"#;
    server.ask(&analyst, "POST", "/v1/sql", body).is(200);
    server
        .ask(&analyst, "POST", "/v1/search", r#"{"where": "subject = 'Jane'", "model": "credit"}"#)
        .problem(403, "masked");
    server.ask(&recorder, "GET", &show, "").problem(403, "not-permitted");
    server.ask("mbk_guess", "GET", &show, "").problem(401, "no-such-key");
    let officer = server.key("dpo", "privacy-officer");
    let found = server.ask(&officer, "POST", "/v1/person", r#"{"subject": "person-1"}"#).is(200).json();
    assert_eq!(found["records"][0]["subject"], "person-1");
    let auditor = server.key("auditor", "auditor");
    server.ask(&server.key("admin", "administrator"), "POST", "/v1/seal", "").is(200);
    let listed =
        server.ask(&auditor, "GET", "/v1/records?kind=access&limit=100&oldest=true", "").is(200).json();
    assert!(listed["records"].as_array().unwrap().len() >= 6, "{listed}");
    let user = server.end();
    let all = user.run(["list", "--kind", "access", "--json", "-n", "0", "--oldest"]).ends(0);
    assert!(
        !all.out.contains("Jane") && !all.out.contains("jane") && !all.out.contains("person-1"),
        "{}",
        all.out
    );
    let records = all.json();
    let told: Vec<Value> = records
        .iter()
        .map(|record| {
            let access = &record["access"];
            json!([
                access["who"],
                access["action"],
                access["asked"],
                access["records"],
                access["fields"],
                access["outcome"]
            ])
        })
        .collect();
    assert_eq!(
        told[..7],
        [
            json!(["case", "read", "GET /v1/records/{id}", 1, "clear", "permitted"]),
            json!([
                "dashboard",
                "read",
                "POST /v1/search: where outputs.approve = true AND version = ?; model credit",
                0,
                "masked",
                "permitted"
            ]),
            json!([
                "dashboard",
                "read",
                "POST /v1/sql: SELECT id AS ?, ? FROM credit",
                4,
                "masked",
                "permitted"
            ]),
            json!([
                "dashboard",
                "read",
                "POST /v1/search: where subject = ?; model credit",
                null,
                "none",
                "denied"
            ]),
            json!(["shop", "read", "GET /v1/records/{id}", null, "none", "denied"]),
            json!(["dpo", "read-person", "POST /v1/person: all about one person", 1, "clear", "permitted"]),
            json!(["auditor", "read", "GET /v1/records: kind=access", 6, "clear", "permitted"]),
        ]
    );
    assert_eq!(records[0]["links"], json!([ids[1]]));
    assert_eq!(records[0]["access"]["purpose"], "a test");
    assert_eq!(records[0]["access"]["models"], json!(["credit"]));
    assert_eq!(records[0]["access"]["policies"], json!(["investigator-reads-with-a-purpose"]));
    assert_eq!(records[0]["class"], "access");
    let last = &records.last().unwrap()["access"];
    assert_eq!((&last["who"], &last["outcome"], &last["more"]), (&json!(""), &json!("denied"), &json!(1)));
    user.run(["verify"]).ends(0);
}
