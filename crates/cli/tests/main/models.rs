//! Models over HTTP: registered, deployed, counted, and those of others not there.

use serde_json::{Value, json};

use crate::program::{User, decisions};
use crate::tcp::Server;

const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn a_model_is_registered_deployed_and_found_with_its_history() {
    let server = Server::new();
    let owner = server.key_for("scoring", "model-owner", &["credit*"]);
    let nothing = server.ask(&owner, "GET", "/v1/models", "").is(200).json();
    assert_eq!(nothing, json!({"models": []}), "of a trail without any");
    let post = |path: &str, body: Value| server.ask(&owner, "POST", path, &body.to_string());
    let registered = post(
        "/v1/models/credit/versions",
        json!({"version": "2", "artifact": DIGEST, "params": {"threshold": 0.5}, "time": "2026-11-20T08:00:00Z"}),
    );
    let registered = registered.is(201);
    assert_eq!(registered.headers["location"], "/v1/models/credit");
    let deployment = |version: &str, time: &str| {
        let to = json!({"to": "production"});
        let body = json!({"version": version, "artifact": DIGEST, "deployment": to, "time": time});
        post("/v1/models/credit/deployments", body).is(201).json()["id"].clone()
    };
    let (first, second) =
        (deployment("1.0.0", "2026-11-20T09:00:00Z"), deployment("2", "2026-11-22T09:00:00Z"));
    server.user.record(&decisions(4));

    let of = |path: &str| server.ask(&owner, "GET", path, "").is(200).json();
    let models = of("/v1/models?fresh=true");
    let expected = json!([{
        "name": "credit", "versions": ["1.1.0", "1.0.0", "2"], "decisions": 4, "weighted": 4.0, "registrations": 1, "deployments": 2,
        "first": "2026-11-21T09:00:00Z", "last": "2026-11-21T09:03:00Z",
    }]);
    assert_eq!(models["models"], expected);
    let model = of("/v1/models/credit");
    let ids = |list: &str| -> Vec<Value> {
        model[list].as_array().unwrap().iter().map(|one| one["id"].clone()).collect()
    };
    assert_eq!(ids("deployments"), [second, first], "the latest first");
    assert_eq!(ids("registrations"), [registered.json()["id"].clone()]);
    let deployed = json!({"id": ids("deployments")[0], "time": "2026-11-22T09:00:00Z", "version": "2", "artifact": DIGEST});
    assert_eq!((&model["deployments"][0], &model["more"]), (&deployed, &json!(false)));
    let version = json!({
        "version": "2", "artifacts": [DIGEST], "decisions": 0, "weighted": 0.0, "first": null, "last": null,
        "registrations": 1, "deployments": 1,
    });
    assert_eq!(model["versions"][2], version);
    let user = server.end();
    let record =
        user.run(["show", ids("deployments")[0].as_str().unwrap(), "--json"]).ends(0).json().remove(0);
    assert_eq!((&record["kind"], &record["deployment"]["to"]), (&json!("deployment"), &json!("production")));
    user.run(["verify"]).ends(0);
}

#[test]
fn commands_tell_what_the_api_tells_with_an_engine_and_without() {
    let server = Server::new();
    let owner = server.key("scoring", "model-owner");
    let post = |path: &str, body: Value| server.ask(&owner, "POST", path, &body.to_string()).is(201);
    post("/v1/models/credit/versions", json!({"version": "2", "artifact": DIGEST}));
    post("/v1/models/credit/deployments", json!({"version": "2", "time": "2026-11-20T09:00:00Z"}));
    post("/v1/models/night%2Fshift/versions", json!({"version": "1"}));
    server.user.feed(["record", "--no-seal"], &decisions(4)).ends(0);
    let told = |user: &User| {
        let models = user.run(["models", "--json"]).ends(0).json();
        let history = user.run(["model", "history", "credit", "--json"]).ends(0).json().remove(0);
        user.run(["model", "history", "night/shift", "--json"]).ends(0).prints("night/shift");
        user.run(["model", "history", "none"]).ends(2).complains("of a model");
        (models, history)
    };
    let (models, history) = told(&server.user);
    let of = |path: &str| server.ask(&owner, "GET", path, "").is(200).json();
    assert_eq!(json!(models), of("/v1/models")["models"]);
    assert_eq!((models.len(), &models[0]["decisions"]), (2, &json!(4)), "what waited in the spool is in it");
    assert_eq!(history, of("/v1/models/credit"));
    server.user.run(["models"]).ends(0).prints("night/shift").prints("2026-11-21T09:03:00Z");
    let page =
        server.user.run(["model", "history", "credit"]).ends(0).prints("deployed").prints("registered");
    assert!(page.out.contains("1.1.0") && page.out.contains(DIGEST), "{}", page.out);
    let user = server.end();
    let (models_after, history_after) = told(&user);
    assert_eq!((models_after, history_after), (models, history), "without an engine");
    let user = User::with_trail();
    user.run(["models"]).ends(0);
    assert_eq!(user.run(["models", "--json"]).ends(0).out, "");
}

#[test]
fn models_of_others_are_not_there_and_nothing_is_registered_for_them() {
    let server = Server::new();
    server.user.record(&decisions(2));
    let fraud =
        r#"{"model": {"name": "fraud/night", "version": "9"}, "inputs": {"x": 1}, "outputs": {"y": 2}}"#;
    server.user.record(fraud);
    let owner = server.key_for("scoring", "model-owner", &["credit"]);
    let all = server.key("auditor", "auditor");
    let names = |key: &str| -> Vec<String> {
        let found = server.ask(key, "GET", "/v1/models?fresh=true", "").is(200).json();
        found["models"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names(&owner), names(&all)),
        (vec!["credit".into()], vec!["credit".into(), "fraud/night".into()])
    );
    server.ask(&all, "GET", "/v1/models/fraud%2Fnight", "").is(200);
    let foreign =
        server.ask(&owner, "GET", "/v1/models/fraud%2Fnight", "").problem(404, "no-such-model").json();
    assert_eq!(
        foreign,
        server.ask(&owner, "GET", "/v1/models/none", "").problem(404, "no-such-model").json()
    );
    for path in ["/v1/models/fraud%2Fnight/versions", "/v1/models/fraud%2Fnight/deployments"] {
        server.ask(&owner, "POST", path, r#"{"version": "1"}"#).problem(403, "not-permitted");
    }
    for (body, words) in [
        ("{}", "`version`"),
        (r#"{"version": 1}"#, "`version`"),
        (r#"{"version": "1", "kind": "decision"}"#, "`kind`"),
        (r#"{"version": "1", "model": {"name": "fraud"}}"#, "`model`"),
        ("[]", "object"),
    ] {
        let wrong =
            server.ask(&owner, "POST", "/v1/models/credit/versions", body).problem(400, "bad-request");
        assert!(wrong.json()["detail"].as_str().unwrap().contains(words), "{wrong:?}");
    }
    let wrong = r#"{"version": "1", "artifact": "md5:0"}"#;
    server.ask(&owner, "POST", "/v1/models/credit/versions", wrong).problem(400, "wrong-records");
    server.ask(&owner, "POST", "/v1/models/credit/versions", r#"{"version": "7"}"#).is(201);

    let user = server.end();
    let access = user.run(["list", "--kind", "access", "--json", "-n", "0"]).ends(0).json();
    let reads: Vec<&str> = access
        .iter()
        .filter(|one| one["access"]["outcome"] == "permitted")
        .map(|one| one["access"]["asked"].as_str().unwrap())
        .collect();
    assert_eq!(reads.iter().filter(|asked| asked.starts_with("GET /v1/models: ")).count(), 2, "{reads:?}");
    assert!(
        access
            .iter()
            .any(|one| one["access"]["outcome"] == "denied"
                && one["access"]["asked"] == "GET /v1/models/{name}")
    );
}

#[test]
fn a_repetition_registers_once() {
    let server = Server::new();
    let owner = server.key("scoring", "model-owner");
    let bearer = format!("Bearer {owner}");
    let send = |version: &str| {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "build-7"),
        ];
        let body = json!({ "version": version }).to_string();
        server.send("POST", "/v1/models/credit/versions", &headers, body.as_bytes())
    };
    let (first, again) = (send("1").is(201).json(), send("1").is(201).json());
    assert_eq!((&first["id"], &again["repeated"]), (&again["id"], &json!(true)));
    send("2").problem(422, "key-reused");
    let user: User = server.end();
    assert_eq!(user.run(["list", "--kind", "model", "--json"]).ends(0).json().len(), 1);
}
