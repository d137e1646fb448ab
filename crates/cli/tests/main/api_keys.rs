//! Making and revoking API keys, and what the log says of it.

use serde_json::{Value, json};

use crate::program::{User, wait_until};
use crate::tcp::Server;

/// What the `policy` records about keys say, the oldest first.
fn told(user: &User) -> Vec<String> {
    let records = user.run(["list", "--json", "-n", "0", "--kind", "policy", "--oldest"]).ends(0).json();
    let about = records.iter().filter(|record| record["policy"]["what"] == "api-key");
    about.map(|record| record["policy"]["new"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn making_and_revoking_a_key_leaves_a_record_with_an_engine_and_without() {
    let user = User::with_trail();
    let secret = user.run(["api-key", "create", "alone", "--role", "analyst"]).ends(0).out;
    assert_eq!(told(&user).len(), 1);
    let server = Server::of(user);
    let other = server.key_for("beside", "recorder", &["credit-*"]);
    server.user.run(["api-key", "revoke", "alone"]).ends(0);
    server.user.run(["api-key", "revoke", "alone"]).ends(2);
    wait_until("the key to be refused", || server.ask(secret.trim(), "GET", "/v1/engine", "").status == 401);
    let user = server.end();
    let said = told(&user);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("name = \"alone\"") && said[0].contains("analyst"), "{said:?}");
    assert!(said[1].contains("credit-*"), "{said:?}");
    assert_eq!(said[2], "revoked = \"alone\"\n");
    let all = said.concat();
    assert!(!all.contains("mbk_") && !all.contains("sha256") && !all.contains(&other[4..]), "{all}");
    user.run(["verify"]).ends(0);
}

#[test]
fn a_key_is_revoked_also_where_nothing_can_be_recorded() {
    let user = User::with_trail();
    user.run(["api-key", "create", "stolen", "--role", "analyst"]).ends(0);
    std::fs::remove_file(user.path("trail").join("catalog.db")).unwrap();
    let refused = user.run(["api-key", "revoke", "another"]);
    assert!(refused.exit != 0 && user.run(["api-key", "list"]).ends(0).out.contains("stolen"));
    let revoked = user.run(["api-key", "revoke", "stolen"]).ends(0);
    assert!(revoked.err.contains("the log does not tell of it"), "{}", revoked.err);
    assert!(!user.run(["api-key", "list"]).ends(0).out.contains("stolen"));
}

#[test]
fn an_administrator_makes_keys_over_tcp_and_others_give_what_they_have() {
    let server = Server::new();
    let admin = server.key("ops", "administrator");
    let new = json!({"name": "dashboard", "roles": ["analyst"], "models": ["credit-*"]}).to_string();
    let made = server.ask(&admin, "POST", "/v1/api-keys", &new).is(200).json();
    let key = made["key"].as_str().unwrap();
    server.ask(key, "GET", "/v1/engine", "").is(200);
    server.ask(&admin, "POST", "/v1/api-keys", &new).problem(400, "bad-request");
    let never = json!({"name": "x", "roles": ["analyst"], "expires": "soon"}).to_string();
    server.ask(&admin, "POST", "/v1/api-keys", &never).problem(400, "bad-request");
    server.ask(key, "POST", "/v1/api-keys", &new).problem(403, "not-permitted");
    let all = server.ask(&admin, "GET", "/v1/api-keys", "").is(200).json();
    let names: Vec<&Value> = all["api_keys"].as_array().unwrap().iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["ops", "dashboard"]);
    assert!(!all.to_string().contains("sha256"));
    server.ask(&admin, "DELETE", "/v1/api-keys/dashboard", "").is(200);
    wait_until("the key to be refused", || server.ask(key, "GET", "/v1/engine", "").status == 401);

    let policy = r#"format = "minutebook/access/1"
policies = '''
@id("leads-make-keys")
permit (principal == Key::"lead", action == Action::"manage-api-keys", resource);
'''
"#;
    server.user.write("access.toml", policy);
    server.user.run(["access", "set", "access.toml"]).ends(0);
    let lead = server.key_for("lead", "recorder", &["credit-*"]);
    let of = |name: &str, role: &str, model: &str| {
        let new = json!({"name": name, "roles": [role], "models": [model]}).to_string();
        server.ask(&lead, "POST", "/v1/api-keys", &new)
    };
    wait_until("the policy to hold", || of("a", "recorder", "credit-eu-*").status == 200);
    of("b", "recorder", "*").problem(403, "not-permitted");
    of("c", "administrator", "credit-*").problem(403, "not-permitted");
    server.end();
}
