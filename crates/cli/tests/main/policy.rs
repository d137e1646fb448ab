use serde_json::json;

use crate::program::{User, decisions};

const POLICY: &str = r#"format = "minutebook/policy/1"

[[model]]
name = "*"

[[model.rule]]
name = "large"
when = "inputs.amount > 10000"
keep = "all"

[[model.rule]]
name = "half"
rate = 0.5
"#;

/// The name of the model and an input of `decisions`, so that this file does not say what that one records.
fn model_and_input(user: &User) -> (String, String) {
    let record = user.run(["list", "--json", "-n", "1"]).ends(0).json().remove(0);
    let name = record["model"]["name"].as_str().unwrap().to_owned();
    (name, record["inputs"].as_object().unwrap().keys().next().unwrap().clone())
}

#[test]
fn a_policy_is_checked_set_shown_and_proved() {
    let user = User::with_trail();
    let file = user.write("policy.toml", POLICY);
    let file = file.to_str().unwrap();
    user.run(["policy", "show"]).ends(0).complains("all decisions are kept");
    user.run(["policy", "check", file]).ends(0).prints("nothing is wrong");
    user.run(["policy", "set", file]).ends(0).prints("the policy is in force");
    user.run(["policy", "set", file]).ends(0).prints("in force already");
    assert_eq!(user.run(["policy", "show"]).ends(0).out, POLICY);
    assert_eq!(user.run(["policy", "show", "--json"]).ends(0).json(), [json!({ "policy": POLICY })]);
    user.record(&decisions(200));

    user.run(["verify"]).ends(0).prints("Were the right ones kept?").prints("each was drawn for again");
    let report = user.run(["verify", "--json"]).ends(0).json().remove(0);
    let sampling = &report["sampling"][0];
    let (left_out, kept) = (sampling["left_out"].as_u64().unwrap(), sampling["kept"].as_u64().unwrap());
    assert_eq!((left_out + kept, left_out > 0, kept > 0), (200, true, true), "{sampling}");
    let listed = user.run(["list", "--json", "-n", "0"]).ends(0).json();
    assert_eq!(listed.iter().filter(|record| record["kind"] == "decision").count() as u64, kept);

    // An auditor without the key folder, with and without the sampling keys.
    user.run(["key", "export", "--audit", "--content", "-o", "audit.toml"]).ends(0);
    user.run(["key", "export", "--sampling", "-o", "sampling.toml"]).ends(0);
    let audit = ["verify", "--audit-keys", "audit.toml", "--no-remember"];
    user.run(audit).ends(0).prints("without its sampling key");
    user.run(audit.into_iter().chain(["--sampling-key", "sampling.toml"])).ends(0).prints("drawn for again");
    user.run(["verify", "--sampling-key", "audit.toml"]).ends(3).complains("no file of sampling keys");
    // Those who cannot read the policy are told so.
    user.run(["verify", "--level", "1", "--no-remember"]).ends(0).prints("policies that cannot be read");
}

#[test]
fn a_running_engine_is_told_of_a_policy_and_of_a_new_key() {
    let user = User::new();
    user.engine(&[]);
    let file = user.write("policy.toml", POLICY);
    let file = file.to_str().unwrap();
    let none = user.run(["key", "rotate", "--sampling"]).ends(2);
    none.complains("no policy was ever set");
    assert_eq!(user.ask("GET", "/v1/policy", ""), (200, json!({ "policy": null })));
    user.run(["policy", "set", file]).ends(0).prints("the policy is in force");
    user.run(["policy", "set", file]).ends(0).prints("in force already");
    assert_eq!(user.run(["policy", "show"]).ends(0).out, POLICY);
    assert_eq!(user.ask("GET", "/v1/policy", ""), (200, json!({ "policy": POLICY })));
    user.record(&decisions(100));
    user.run(["seal"]).ends(0);
    let rotated = user.run(["key", "rotate", "--sampling", "--json"]).ends(0).json().remove(0);
    assert_eq!((&rotated["rotated"], rotated["new"].as_str().unwrap().len()), (&json!("sampling"), 64));
    user.record(&decisions(100));
    user.run(["seal"]).ends(0);

    // Over the socket itself: another policy, and what is wrong with one, with its place.
    let other = POLICY.replace("0.5", "0.25");
    let (status, set) = user.ask("PUT", "/v1/policy", &other);
    assert_eq!((status, &set["changed"]), (200, &json!(true)), "{set}");
    assert_eq!(user.ask("PUT", "/v1/policy", &other).1["changed"], json!(false));
    let (status, wrong) = user.ask("PUT", "/v1/policy", &POLICY.replace("> 10000", "= 10000"));
    assert_eq!((status, &wrong["code"]), (400, &json!("wrong-policy")));
    let detail = wrong["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("line 8: rule `large` of `*`: one `=`") && detail.contains("\n     "),
        "{detail}"
    );
    assert_eq!(user.ask("GET", "/v1/policy", ""), (200, json!({ "policy": other })));
    user.record(&decisions(100));
    let (status, rotated) = user.ask("POST", "/v1/keys/sampling/rotate", "");
    assert_eq!((status, rotated["sha256"].as_str().unwrap().len()), (200, 64));
    user.record(&decisions(10));
    user.run(["engine", "--stop"]).ends(0);

    user.run(["verify"]).ends(0).prints("with the key of entry");
    let report = user.run(["verify", "--json"]).ends(0).json().remove(0);
    let judged = report["sampling"].as_array().unwrap().iter().map(|policy| {
        assert_eq!(policy["checked"], true);
        policy["left_out"].as_u64().unwrap() + policy["kept"].as_u64().unwrap()
    });
    assert_eq!(judged.collect::<Vec<_>>(), [100, 100, 100, 10]);
}

#[test]
fn what_is_wrong_with_a_policy_is_shown_where_it_is() {
    let user = User::with_trail();
    user.record(&decisions(3));
    let (model, input) = model_and_input(&user);
    let wrong = user.write("wrong.toml", POLICY.replace("> 10000", "= 10000"));
    let ran = user.run(["policy", "set", wrong.to_str().unwrap()]).ends(2);
    ran.complains("wrong.toml`: line 8: rule `large` of `*`")
        .complains("write `==`")
        .complains("\n                  ^");
    let near = user.write("near.toml", POLICY.replace("inputs.amount", &format!("inputs.{input}x")));
    let near = near.to_str().unwrap();
    user.run(["policy", "check", near]).ends(0);
    user.run(["policy", "check", near, "--model", &model])
        .ends(2)
        .complains("did you mean")
        .complains(&input);
    user.run(["policy", "check", near, "--model", "nobody"])
        .ends(2)
        .complains("no decision of model `nobody`");
    user.run(["policy", "show"]).ends(0).complains("all decisions are kept");
}

#[test]
fn what_a_policy_would_have_kept_is_told() {
    let user = User::with_trail();
    user.record(&decisions(40));
    let all = user.write("all.toml", "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\nrule = [{ name = \"half\", rate = 0.5 }]\n");
    user.run(["policy", "simulate", all.to_str().unwrap()])
        .ends(0)
        .prints("40 decisions, about 20 kept (rule half");

    // Each rate of a rule has its line.
    let line = |region: &str| {
        format!(
            "{}\n",
            json!({ "model": { "name": "regions", "version": "1" }, "inputs": { "region": region } })
        )
    };
    user.record(&["DE", "FR", "DE", "LU"].map(line).concat());
    let rate = "rate = { by = \"inputs.region\", values = { DE = 1 }, others = 0.25 }";
    let by = user.write("by.toml", POLICY.replace("rate = 0.5", rate).replace("> 10000", "> 1e99"));
    user.run(["policy", "simulate", by.to_str().unwrap()])
        .ends(0)
        .prints("regions: 2 decisions, about 1 kept (rule half, rate 0.25)")
        .prints("regions: 2 decisions, about 2 kept (rule half, rate 1)");

    // Four decisions of one second, and one of the next.
    let line = |time: &str| {
        let model = json!({ "name": "seconds", "version": "1" });
        format!(
            "{}\n",
            json!({ "model": model, "inputs": { "amount": 1.5 }, "time": format!("2026-11-20T10:30:0{time}Z") })
        )
    };
    user.record(&["0", "0.1", "0.9", "0.999", "1"].map(line).concat());
    let busy = user.write("busy.toml", POLICY.replace("rate = 0.5", "per_second = 3"));
    user.run(["policy", "simulate", busy.to_str().unwrap()])
        .ends(0)
        .prints("seconds: 5 decisions, about 4 kept (rule half, 3 per second)");
    user.run(["policy", "set", busy.to_str().unwrap()]).ends(0);
    user.record(&["0", "0.1", "0.9", "0.999", "1"].map(line).concat());
    let listed = user.run(["list", "--json", "-n", "0"]).ends(0).json();
    let kept: Vec<_> = listed.iter().map(|record| &record["kept"]).filter(|kept| !kept.is_null()).collect();
    assert_eq!(kept, [&json!({ "rule": "half", "rate": null }); 4]);
    user.run(["verify"]).ends(0).prints("rule half of *, 3 per second: cannot be proved");
}
