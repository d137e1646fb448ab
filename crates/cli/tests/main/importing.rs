use serde_json::json;

use crate::program::User;

const CSV: &str = "id;when;amount;purpose;approve;shap_amount;shap_purpose\n\
                   0017;2026-11-21 10:30:00;4870.0;car;false;-0.25;0.5\n\
                   0018;2026-11-21 10:31:00;12;;true;0.125;0\n";

const MAPPING: &str = "model = \"credit\"\nmodel-version = \"1\"\nsubject = \"id\"\ntime = \"when\"\n\
                       time-zone = \"Europe/Berlin\"\noutputs = [\"approve\"]\n\
                       explanation-prefix = \"shap_\"\nexplanation-method = \"shap\"\n";

#[test]
fn csv_is_imported_by_a_mapping() {
    let user = User::with_trail();
    user.write("old.csv", CSV);
    user.write("map.toml", MAPPING);
    let import = ["import", "old.csv", "--delimiter", ";", "--mapping", "map.toml", "--model-version", "2"];

    let shown =
        user.run(import.into_iter().chain(["--dry-run", "1"])).ends(0).complains("amount        input");
    assert_eq!(shown.json().len(), 1);
    assert_eq!(user.run(["list", "--json"]).json().len(), 0, "nothing is recorded");

    let ids = user.run(import).ends(0);
    let shown = user.run(["show", ids.lines()[0], "--json"]).ends(0).json().remove(0);
    assert_eq!(shown["inputs"], json!({"amount": 4870.0, "purpose": "car"}));
    assert_eq!(shown["model"]["version"], "2", "an option goes over the file");
    assert_eq!((&shown["subject"], &shown["time"]), (&json!("0017"), &json!("2026-11-21T09:30:00Z")));
    assert_eq!(shown["explanation"]["attributions"], json!({"amount": -0.25, "purpose": 0.5}));
    let second = user.run(["show", ids.lines()[1], "--json"]).json().remove(0);
    assert_eq!(
        second["inputs"],
        json!({"amount": 12.0, "purpose": {"$typed": {"type": "text", "value": null}}})
    );
    user.run(["verify"]).ends(0);
}

#[test]
fn rows_that_are_wrong_are_told_with_their_numbers() {
    let user = User::with_trail();
    user.write("old.csv", "x,y\n1,2\nsecret\n3,4\n");
    let import = ["import", "old.csv", "--model", "m", "--model-version", "1"];
    let ran = user.run(import).ends(2).complains("error: row 2: it has 1 cells").complains("1 row was wrong");
    assert!(!ran.err.contains("secret"));
    assert_eq!(ran.lines().len(), 2);
    let ran = user.run(import.into_iter().chain(["--strict"])).ends(2);
    assert_eq!(ran.lines().len(), 1);
}

#[test]
fn json_lines_come_from_standard_input() {
    let user = User::with_trail();
    let lines =
        "{\"a\": 1, \"out\": true, \"ts\": 1795253400.5}\n{\"a\": 2, \"out\": false, \"ts\": 1795253401}\n";
    let import = ["import", "-", "--model", "m", "--model-version", "1", "--outputs", "out", "--time", "ts"];
    let ran = user.feed(import, lines).ends(2).complains("error: row 1, `ts`: the time is a number");
    assert_eq!(ran.lines().len(), 0);
    let ran = user.feed(import.into_iter().chain(["--time-format", "s", "--json"]), lines).ends(0);
    assert_eq!(ran.json()[1]["row"], 2);
    let shown = user.run(["show", ran.json()[0]["id"].as_str().unwrap(), "--json"]).json().remove(0);
    assert_eq!(shown["time"], "2026-11-21T09:30:00.5Z");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let user = User::with_trail();
    user.write("x.csv", "a,b\n1,2\n");
    user.write("x.dat", "a,b\n1,2\n");
    user.write("wrong.toml", "model = \"m\"\ninput = [\"a\"]\n");
    user.run(["import", "x.dat"]).ends(2).complains("say --format csv, jsonl or parquet");
    user.run(["import", "none.csv"]).ends(2).complains("cannot read `none.csv`");
    user.run(["import", "x.csv", "--outputs", "c"])
        .ends(2)
        .complains("no column `c`")
        .complains("its columns are: a, b");
    user.run(["import", "x.csv", "--mapping", "wrong.toml"])
        .ends(2)
        .complains("`wrong.toml`, line 2: unknown field `input`");
    user.run(["import", "x.csv"]).ends(2).complains("member `model` is missing");
}
