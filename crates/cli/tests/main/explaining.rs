use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::program::User;

fn decision(number: usize, explanation: &str) -> String {
    let explanation =
        if explanation.is_empty() { String::new() } else { format!(r#", "explanation": {explanation}"#) };
    format!(
        r#"{{"model": {{"name": "credit", "version": "1"}}, "inputs": {{"amount": {}.5, "purpose": "car <b>"}},
            "outputs": {{"p": 0.25}}, "subject": "person-{number}", "time": "2026-11-21T09:{number:02}:00Z"{explanation}}}"#,
        1000 * number
    )
    .replace('\n', " ")
        + "\n"
}

const SHAP: &str = r#"{"method": "shap", "base": 0.5, "residual": 0.0, "attributions": {"amount": -0.3, "purpose": 0.05},
    "reasons": [{"features": ["amount"], "attribution": -0.3, "text": "the amount is too high"}]}"#;

/// A later explanation of a decision.
fn later(id: &str, amount: f64) -> String {
    format!(
        r#"{{"kind": "explanation", "links": ["{id}"], "explanation": {{"method": "lime", "when": "later",
            "attributions": [["amount > 3", {amount}]]}}}}"#
    )
    .replace('\n', " ")
        + "\n"
}

#[test]
fn a_decision_is_explained_by_its_record_and_by_those_that_link_to_it() {
    let user = User::with_trail();
    let ids = user.record(&(decision(1, SHAP) + &decision(2, "") + &decision(3, "")));
    let linked = user.record(&(later(&ids[0], 0.7) + &later(&ids[1], 0.9)));
    let shown = user
        .run(["explain", &ids[0]])
        .ends(0)
        .prints("amount = 1000.5")
        .prints("-0.3  ████")
        .prints("base value + sum   +0.25")
        .prints("1. the amount is too high (amount -0.3)")
        .prints("computed later")
        .prints(&linked[0])
        .prints("amount > 3");
    assert!(!shown.out.contains("0.9"), "that is of another decision: {}", shown.out);
    assert!(shown.out.find("-0.3").unwrap() < shown.out.find("+0.7").unwrap(), "its own first");
    let printed = user.run(["explain", &ids[0], "--json"]).ends(0).json();
    let of = |place: usize| (printed[place]["record"].clone(), printed[place]["linked"].clone());
    assert_eq!(of(0), (ids[0].as_str().into(), false.into()));
    assert_eq!(of(1), (linked[0].as_str().into(), true.into()));
    assert_eq!(printed[1]["explanation"]["attributions"]["amount > 3"], 0.7);
    // Named by its own id, it is alone, with the decision's inputs at hand.
    let alone = user.run(["explain", &linked[1]]).ends(0).prints(&ids[1]).prints("+0.9");
    assert_eq!(alone.out.matches("explanation  ").count(), 1, "{}", alone.out);
    user.run(["explain", &ids[2]]).ends(2).complains("has no explanation");
}

#[test]
fn plots_are_written() {
    let user = User::with_trail();
    let ids = user.record(&(decision(1, SHAP) + &decision(2, "")));
    user.record(&later(&ids[1], 0.9));
    for (plot, what) in
        [("waterfall", "f(x) = 0.25"), ("force", "amount = 1000.5"), ("bar", "purpose <tspan")]
    {
        let ran = user
            .run(["explain", &ids[0], "--plot", plot, "--svg", "plot.svg"])
            .ends(0)
            .complains("wrote `plot.svg`");
        assert_eq!(ran.out, "");
        let drawn = fs::read_to_string(user.path("plot.svg")).unwrap();
        assert!(drawn.starts_with("<svg xmlns") && drawn.ends_with("</svg>\n"), "{plot}: {drawn}");
        assert!(drawn.contains(what) && drawn.contains("car &lt;b&gt;"), "{plot}: {drawn}");
        assert!(!drawn.contains("<b>"), "{plot}: {drawn}");
    }
    user.run(["explain", &ids[1], "--svg", "-"])
        .ends(0)
        .prints("Waterfall plot: credit 1")
        .prints("amount &gt; 3");
    user.run(["explain", "--model", "credit", "--svg", "-"])
        .ends(0)
        .prints("Beeswarm plot: credit")
        .prints("2 decisions");
    user.run(["explain", "--model", "credit", "--svg", "-", "--plot", "bar"])
        .ends(0)
        .prints("Bar plot: credit");
    user.run(["explain", &ids[0], "--svg", "none/plot.svg"])
        .ends(2)
        .complains("name a file in a folder that is there");
}

#[test]
fn features_of_many_decisions() {
    let user = User::with_trail();
    let other = decision(4, SHAP).replace("credit", "other");
    let ids = user.record(&(decision(1, SHAP) + &decision(2, "") + &decision(3, "") + &other));
    user.record(&(later(&ids[1], 0.9) + &later(&ids[1], 0.8)));
    let means = |arguments: &[&str]| {
        let ran = user.run(["explain", "--json", "--model", "credit"].iter().chain(arguments)).ends(0);
        let mean = |line: &serde_json::Value| {
            (line["feature"].as_str().unwrap().to_owned(), line["mean"].as_f64().unwrap())
        };
        ran.json().iter().map(mean).collect::<Vec<_>>()
    };
    // Of two decisions; of the second the latest of two explanations.
    assert_eq!(means(&[]), [("amount > 3".into(), 0.4), ("amount".into(), 0.15), ("purpose".into(), 0.025)]);
    assert_eq!(means(&["--oldest", "-n", "1"]), [("amount".into(), 0.3), ("purpose".into(), 0.05)]);
    assert_eq!(
        means(&["--since", "2026-11-21T09:02:00Z", "--until", "2026-11-21T09:02:00Z"]),
        [("amount > 3".into(), 0.8)]
    );
    user.run(["explain", "--model", "credit@1"])
        .ends(0)
        .prints("2 decisions\n1 more without an explanation that can be read")
        .prints("amount > 3    0.4  │███");
}

#[test]
fn what_cannot_be_explained_is_told() {
    let user = User::with_trail();
    let several = r#"{"method": "shap", "parameters": {"outputs": ["no", "yes"]}, "attributions": {"amount": [1, 2], "purpose": [3, 4]}}"#;
    let empty = r#"{"method": "shap", "attributions": {}}"#;
    let ids = user.record(&(decision(1, several) + &decision(2, empty) + &decision(3, SHAP)));
    user.run(["explain", &ids[0], "--of", "yes"]).ends(0).prints("output 1 of 0 to 1").prints("+4");
    user.run(["explain", &ids[0], "--of", "maybe"])
        .ends(2)
        .complains("no output `maybe` is explained")
        .complains("one of `no`, `yes`");
    user.run(["explain", &ids[2], "--of", "1"]).ends(2).complains("leave --of out");
    user.run(["explain", "--model", "credit", "--of", "7"]).ends(2).complains("no output `7`");
    user.run(["explain", &ids[1], "--svg", "-"]).ends(2).complains("no attribution is a number");
    user.run(["explain", &ids[0], "--plot", "beeswarm", "--svg", "-"]).ends(2).complains("of many decisions");
    user.run(["explain", "--model", "credit", "--plot", "force", "--svg", "-"])
        .ends(2)
        .complains("of one decision");
    user.run(["explain", "--model", "none"]).ends(2).complains("no decision of `none`");
    for wrong in [
        &["explain"][..],
        &["explain", &ids[0], "--model", "m"],
        &["explain", &ids[0], "--plot", "bar"],
        &["explain", &ids[0], "--since", "7d"],
        &["explain", "--model", "m", "-n", "0"],
        &["explain", "x"],
    ] {
        user.run(wrong).ends(2);
    }
    user.run(["--keys", "none", "explain", &ids[0]]).ends(3).complains("no keys in `");
    user.run(["erase", "person-3", "--ground", "test", "--yes"]).ends(0);
    user.run(["explain", &ids[2]]).ends(2).complains("was erased").complains("minutebook show");
    user.run([
        "explain",
        "--model",
        "credit",
        "--until",
        "2026-11-21T09:02:30Z",
        "--since",
        "2026-11-21T09:02:00Z",
    ])
    .ends(2)
    .complains("none of 1 decision has an explanation that can be read");
}

/// A stand-in for Python with the package: it notes what it is asked, and does `what`.
fn python(user: &User, what: &str) {
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > asked.txt\n{what}\n");
    let path = user.write("python", script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn one_that_was_not_made_is_computed() {
    let user = User::with_trail();
    let id = &user.record(&decision(1, ""))[0];
    let compute = ["explain", id, "--compute", "explainers:credit", "--python", "./python"];
    user.write("later.json", later(id, 0.75));
    python(&user, "\"$MINUTEBOOK_PROGRAM\" record -q later.json");
    let shown = user.run(compute).ends(0).prints("computed later").prints("+0.75");
    assert!(shown.out.contains(id), "{}", shown.out);
    let asked = fs::read_to_string(user.path("asked.txt")).unwrap();
    let folder = |name: &str| user.path(name).canonicalize().unwrap().display().to_string();
    let expected = [
        "-m",
        "minutebook._explain",
        "--trail",
        &folder("trail"),
        "--keys",
        &folder("keys"),
        "--",
        id,
        "explainers:credit",
    ];
    assert_eq!(asked.lines().collect::<Vec<_>>(), expected);
    user.run(compute.iter().chain(&["--svg", "-"])).ends(0).prints("Waterfall plot").prints("+0.75");

    for (does, exit, told) in [
        ("echo 'error: another model' >&2; exit 2", 2, "another model"),
        ("exit 3", 3, ""),
        ("exit 4", 4, ""),
        ("echo 'No module named minutebook' >&2; exit 1", 2, "did not run the package minutebook"),
        ("kill -9 $$", 2, "did not run the package minutebook"),
        ("echo nothing", 2, "named no record"),
    ] {
        python(&user, does);
        user.run(compute).ends(exit).complains(told);
    }
    user.run(["explain", id, "--compute", "m:f", "--python", "./none"])
        .ends(2)
        .complains("cannot run `./none`");
    fs::remove_file(user.path("asked.txt")).unwrap();
    let of_kind = user.run(["list", "--kind", "explanation", "-n", "1", "--json"]).json()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    user.run(["explain", &of_kind, "--compute", "m:f", "--python", "./python"])
        .ends(2)
        .complains("of kind `explanation`");
    user.run(["--trail", "none", "explain", id, "--compute", "m:f", "--python", "./python"])
        .ends(2)
        .complains("no trail in");
    user.run(["explain", id, "--python", "./python"]).ends(2);
    assert!(!user.path("asked.txt").exists(), "nothing is run for what cannot be explained");
}
