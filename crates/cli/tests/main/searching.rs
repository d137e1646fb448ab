use std::fs;

use serde_json::json;

use crate::program::{User, decision, decisions, signal, wait_until};

#[test]
fn a_search_finds_decisions_without_an_engine_and_beside_one() {
    let user = User::with_trail();
    let ids = user.record(&decisions(6));
    for beside in [false, true] {
        if beside {
            user.engine(&[]);
        }
        let found =
            user.run(["search", "inputs.amount > 3", "--json", "--order", "inputs.amount"]).ends(0).json();
        let amounts: Vec<_> = found.iter().map(|row| row["inputs.amount"].clone()).collect();
        assert_eq!(amounts, [json!(3.5), json!(4.5), json!(5.5)]);
        assert_eq!(found[0]["id"], json!(ids[3]));
        let table = user
            .run(["search", "inputs.amount > 5", "--proven"])
            .ends(0)
            .prints(&ids[5])
            .prints("inputs.amount");
        assert_eq!(table.lines().len(), 2, "{}", table.out);
        let csv = user.run(["search", "inputs.amount < 1", "--csv", "--columns", "id,inputs.amount"]).ends(0);
        assert_eq!(csv.out, format!("id,inputs.amount\r\n{},0.5\r\n", ids[0]));
        user.run(["search", "inputs.amuont > 5"]).ends(2).complains("`inputs.amount`");
        user.run(["search", "--model", "credti"]).ends(2).complains("`credit`");
        user.run(["search", "1 = 1); DROP TABLE records"]).ends(2).complains("too much");
        user.run(["search", "inputs.amount > 100"]).ends(0).complains("nothing was found");
        user.run(["search", "inputs.amount > 3", "--facets", "--columns", "version"])
            .ends(0)
            .prints("3 records")
            .prints("version");
    }
}

#[test]
fn pages_go_on_where_they_ended() {
    let user = User::with_trail();
    user.record(&decisions(5));
    let first = user.run(["search", "--json", "-n", "3"]).ends(0);
    let cursor = first.err.split("--cursor ").nth(1).expect("a cursor").trim().to_owned();
    let second = user.run(["search", "--json", "-n", "3", "--cursor", &cursor]).ends(0);
    assert_eq!((first.json().len(), second.json().len()), (3, 2));
    assert!(!second.err.contains("--cursor"), "{}", second.err);
    user.run(["search", "--cursor", "x"]).ends(2).complains("not one that an answer gave");
}

#[test]
fn sql_is_read_only_and_tells_its_tables() {
    let user = User::with_trail();
    user.record(&decisions(4));
    for beside in [false, true] {
        if beside {
            user.engine(&[]);
        }
        let rows = user
            .run(["sql", "SELECT count(*) AS n, max(inputs.amount) AS most FROM credit", "--json"])
            .ends(0);
        assert_eq!(rows.json(), [json!({ "n": 4, "most": 3.5 })]);
        user.feed(["sql", "-"], "SELECT kind FROM records WHERE kind = 'decision' LIMIT 1")
            .ends(0)
            .prints("decision");
        user.run(["sql", "DELETE FROM records"]).ends(2).complains("only read");
        user.run(["sql", "SELECT * FROM creditt"]).ends(2).complains("`credit`");
        user.run(["sql", "--tables"])
            .ends(0)
            .prints("credit (decisions of a model, 4 rows)")
            .prints("inputs.amount");
    }
}

#[test]
fn an_engine_that_has_just_begun_does_not_say_that_there_is_nothing() {
    let user = User::with_trail();
    user.record(&decisions(500));
    for _ in 0..3 {
        let _ = std::fs::remove_dir_all(user.path("trail/index"));
        let engine = user.engine(&[]);
        let found = user.run(["sql", "SELECT count(*) AS n FROM credit", "--json"]).ends(0).json();
        assert_eq!(found, [json!({ "n": 500 })]);
        signal(&engine["pid"], "-TERM");
        wait_until("the engine to end", || !user.path("trail/engine.sock").exists());
    }
}

#[test]
fn the_index_is_made_anew_and_says_the_same() {
    let user = User::with_trail();
    user.record(&decisions(4));
    let before = user.run(["search", "--json"]).ends(0).out;
    user.run(["reindex"]).ends(0).prints("the index is made anew");
    assert!(user.path("trail/index/manifest").exists());
    assert_eq!(user.run(["search", "--json"]).ends(0).out, before);
    fs::remove_dir_all(user.path("trail/index")).unwrap();
    assert_eq!(user.run(["search", "--json"]).ends(0).out, before, "deleting it loses nothing");
    user.run(["verify"]).ends(0);
    user.run(["doctor"]).ends(0);
    user.engine(&[]);
    user.run(["reindex", "--json"]).ends(0).prints("\"lag\":0");
    assert_eq!(user.run(["search", "--json"]).ends(0).out, before);
}

#[test]
fn an_erased_person_is_not_found_any_more() {
    let user = User::with_trail();
    let about = |subject: &str| {
        let mut line: serde_json::Value = serde_json::from_str(&decision(1)).unwrap();
        line["subject"] = json!(subject);
        line.to_string()
    };
    user.record(&format!("{}\n{}\n", about("Jane Roe"), about("John Doe")));
    assert_eq!(user.run(["search", "subject = 'Jane Roe'", "--json"]).ends(0).json().len(), 1);
    user.run(["erase", "Jane Roe", "--ground", "asked to", "--yes"]).ends(0);
    assert_eq!(user.run(["search", "subject = 'Jane Roe'", "--json"]).ends(0).json().len(), 0);
    assert_eq!(user.run(["search", "subject = 'John Doe'", "--json"]).ends(0).json().len(), 1);
}

#[test]
fn an_export_is_whole_or_not_there() {
    let user = User::with_trail();
    user.record(&decisions(4));
    user.run(["export", "rows.jsonl", "--model", "credit", "--mask", "inputs.amount"])
        .ends(0)
        .prints("4 rows");
    let text = fs::read_to_string(user.path("rows.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert!(!text.contains("inputs.amount"), "{text}");
    user.run(["export", "rows.csv", "--where", "inputs.nothing = 1"]).ends(2).complains("no column");
    assert!(!user.path("rows.csv").exists());
    user.run(["export", "rows"]).ends(2).complains("--format");
    user.run(["export", "table", "--format", "delta", "--model", "credit"]).ends(0).prints("version 0");
    user.record(&decisions(2));
    user.run(["export", "table", "--format", "delta", "--model", "credit"])
        .ends(0)
        .prints("2 rows were added");
}
