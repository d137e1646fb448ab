use std::sync::Arc;

use minutebook_index::{Error, FacetsOf, Mode, Order, Search, Sight, View, rows};
use serde_json::{Value, json};

use crate::fixture::{World, decision};

/// Sees the model `credit` alone, and neither its input `age` nor subjects.
#[derive(Debug)]
struct Analyst;

impl Sight for Analyst {
    fn model(&self, model: Option<&str>) -> bool {
        model == Some("credit")
    }

    fn every_model(&self) -> bool {
        false
    }

    fn accounts(&self) -> bool {
        false
    }

    fn column(&self, model: Option<&str>, column: &str) -> bool {
        !matches!(column, "inputs.age" | "subject" | "subjects")
            && (model.is_some() || !column.starts_with("note."))
    }

    fn hides_inputs(&self, _: Option<&str>) -> bool {
        true
    }
}

async fn world() -> (World, minutebook_index::Index, View) {
    let mut world = World::new().await;
    for age in [30, 40] {
        let mut record =
            decision("credit", json!({ "age": age, "amount": age * 100 }), json!({ "ok": age > 35 }));
        record["explanation"] = json!({ "method": "m", "attributions": { "age": 0.5, "amount": 0.25 } });
        let id = world.record(&record);
        world.record(
            &json!({ "kind": "review", "links": [id.to_string()], "review": { "action": "confirmed" } }),
        );
    }
    let other = world.record(&decision("fraud", json!({ "x": 1 }), json!({ "y": 2 })));
    world.record(&json!({ "kind": "outcome", "links": [other.to_string()], "outcome": { "loss": 0 } }));
    world.seal().await;
    let (index, mut indexer) = world.open(Mode::Read).await;
    indexer.catch_up().await.unwrap();
    (world, index, View::new(Arc::new(Analyst)))
}

async fn ask(index: &minutebook_index::Index, view: &View, query: &str) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for batch in index.sql_for(Some(view), query).await?.all().await? {
        all.extend(rows::json(&batch)?.into_iter().map(Value::Object));
    }
    Ok(all)
}

#[tokio::test]
async fn what_is_hidden_is_not_there() {
    let (_world, index, view) = world().await;
    let found =
        index.search_for(Some(&view), &Search { columns: vec!["*".into()], ..Search::default() }).await;
    let found = rows::json(&found.unwrap().rows).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let search = Search { model: Some("credit".into()), columns: vec!["*".into()], ..Search::default() };
    let found = rows::json(&index.search_for(Some(&view), &search).await.unwrap().rows).unwrap();
    for row in &found {
        assert!(
            row.contains_key("inputs.amount")
                && row.contains_key("outputs.ok")
                && row.contains_key("explanation.method")
        );
        for hidden in ["inputs.age", "subject", "attributions.age", "attributions.amount", "more"] {
            assert!(!row.contains_key(hidden), "{hidden} in {row:?}");
        }
    }
    for (query, n) in [
        ("SELECT count(*) AS n FROM records WHERE kind <> 'window'", 2),
        ("SELECT count(*) AS n FROM links", 0),
        ("SELECT count(*) AS n FROM records WHERE kind = 'outcome'", 0),
        (
            "SELECT count(*) AS n FROM records WHERE 1 / (CASE WHEN model = 'fraud' THEN 0 ELSE 1 END) = 1 AND kind <> 'window'",
            2,
        ),
        ("SELECT count(*) AS n FROM records WHERE CAST(version AS BIGINT) = 0 OR kind = 'decision'", 2),
    ] {
        let found = ask(&index, &view, query).await;
        // Of a value that cannot be computed nothing is told.
        match found {
            Ok(found) => assert_eq!(found[0]["n"], n, "{query}"),
            Err(error) => assert!(!error.to_string().contains('\''), "{query}: {error}"),
        }
    }
    // What others say of a decision that is seen is, though of no model itself.
    let reviewed = Search { condition: Some("reviewed".into()), ..Search::default() };
    let found = index.search_for(Some(&view), &reviewed).await.unwrap();
    assert_eq!(found.rows.num_rows(), 2);
    let of = FacetsOf { columns: vec!["model".into()], values: 5, ..FacetsOf::default() };
    let facets = index.facets_for(Some(&view), &of).await.unwrap();
    assert_eq!((facets.count, facets.facets[0].values.len()), (2, 1));
    let names: Vec<_> = index.tables_for(Some(&view)).into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["records", "links", "credit"]);
    assert_eq!(index.tables().len(), 4);
}

#[tokio::test]
async fn a_masked_column_is_told_as_such_and_nothing_else_is() {
    let (_world, index, view) = world().await;
    let credit = || Search { model: Some("credit".into()), ..Search::default() };
    let order = Order { by: "inputs.age".into(), descending: false };
    for search in [
        Search { condition: Some("inputs.age > 1".into()), ..credit() },
        Search { condition: Some("attributions.amount > 0".into()), ..credit() },
        Search { condition: Some("inputs.age > 1".into()), ..Search::default() },
        Search { order: Some(order), ..credit() },
        Search { columns: vec!["inputs.age".into()], ..credit() },
    ] {
        let refused = index.search_for(Some(&view), &search).await.unwrap_err();
        assert!(matches!(&refused, Error::Masked { .. }), "{search:?}: {refused}");
    }
    for query in [
        "SELECT inputs.age FROM credit",
        "SELECT 1 FROM credit GROUP BY \"attributions.age\"",
        "SELECT subject FROM records",
    ] {
        let refused = ask(&index, &view, query).await.unwrap_err();
        assert!(matches!(&refused, Error::Masked { .. }), "{query}: {refused}");
    }
    for query in [
        "SELECT * FROM fraud",
        "SELECT * FROM whole.records",
        "EXPLAIN SELECT 1 FROM records",
        "SELECT inputs.x FROM credit",
    ] {
        let refused = ask(&index, &view, query).await.unwrap_err();
        assert!(
            !matches!(&refused, Error::Masked { .. }) && !refused.to_string().contains("`fraud`?"),
            "{query}: {refused}"
        );
    }
}

#[tokio::test]
async fn what_somebody_wrote_into_a_question_is_not_kept() {
    let (_world, index, _view) = world().await;
    for (asked, kept) in [
        ("inputs.age > 60 AND subject = 'Jane'", "inputs.age > ? AND subject = ?"),
        ("SELECT id AS jane, 'x' FROM credit -- Jane", "SELECT id AS ?, ? FROM credit"),
        ("SELECT \"Jane Roe\", lower(model) FROM \"credit\"", "SELECT ?, lower(model) FROM \"credit\""),
        ("has_words(inputs.age, $$Jane$$) /* Jane */", "has_words(inputs.age, ?)"),
        ("subject = 'Jane", ""),
    ] {
        assert_eq!(index.without_literals(asked), kept, "{asked}");
    }
}
