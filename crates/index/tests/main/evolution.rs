//! Features that come, go and change their type: nothing is lost, and a search over all versions finds all.

use serde_json::{Value, json};

use crate::fixture::{World, column, decision, find, sql};

/// Records values of one feature one after the other, each in a file of its own when `files` says so.
async fn with_values(
    values: &[Value],
    files: bool,
) -> (World, minutebook_index::Index, minutebook_index::Indexer) {
    let mut world = World::new().await;
    let (index, mut indexer) = world.index().await;
    for value in values {
        world.record(&decision("m", json!({ "x": value }), json!({ "y": 1 })));
        world.seal().await;
        indexer.catch_up().await.unwrap();
        if files {
            indexer.flush().unwrap();
        }
    }
    (world, index, indexer)
}

#[tokio::test]
async fn integers_and_floats_are_one_column_of_numbers() {
    for files in [false, true] {
        let (_world, index, _indexer) =
            with_values(&[json!(1), json!(2.5), json!(3), Value::Null], files).await;
        assert_eq!(column(&index, "m", "inputs.x >= 2", "inputs.x").await, [json!(3.0), json!(2.5)]);
        assert_eq!(sql(&index, "SELECT sum(inputs.x) FROM m").await, [["6.5"]]);
    }
}

#[tokio::test]
async fn an_integer_that_is_no_float_is_never_narrowed() {
    const WIDE: i64 = 9_007_199_254_740_993;
    for files in [false, true] {
        let (_world, index, _indexer) = with_values(&[json!(WIDE), json!(0.5)], files).await;
        let found = column(&index, "m", "", "inputs.x").await;
        assert_eq!(found, [json!("0.5"), json!(WIDE.to_string())]);
        assert_eq!(find(&index, "m", "inputs.x > 1000").await.len(), 1);
        assert_eq!(find(&index, "m", "inputs.x < 1").await.len(), 1);
    }
    let (_world, index, _indexer) = with_values(&[json!(WIDE), json!(WIDE - 1)], true).await;
    assert_eq!(column(&index, "m", &format!("inputs.x = {WIDE}"), "inputs.x").await, [json!(WIDE)]);
}

#[tokio::test]
async fn a_feature_that_becomes_text_is_found_as_number_and_as_text() {
    for files in [false, true] {
        let values = [json!(61), json!("62"), json!("unknown"), json!(true), json!([1, 2])];
        let (_world, index, mut indexer) = with_values(&values, files).await;
        assert_eq!(column(&index, "m", "inputs.x > 60", "inputs.x").await, [json!("62"), json!("61")]);
        assert_eq!(column(&index, "m", "inputs.x = 'unknown'", "inputs.x").await, [json!("unknown")]);
        assert_eq!(column(&index, "m", "inputs.x = '61'", "inputs.x").await.len(), 1);
        assert_eq!(column(&index, "m", "", "inputs.x").await.len(), 5);
        indexer.flush().unwrap();
        assert_eq!(column(&index, "m", "inputs.x > 60", "inputs.x").await, [json!("62"), json!("61")]);
    }
}

#[tokio::test]
async fn features_come_and_go() {
    let mut world = World::new().await;
    let (index, mut indexer) = world.index().await;
    for version in 0..3 {
        let mut inputs = json!({ "always": version });
        inputs[format!("only_{version}")] = json!(version * 10);
        world.record(&decision("m", inputs, json!({ "y": 1 })));
        world.seal().await;
        indexer.catch_up().await.unwrap();
        indexer.flush().unwrap();
    }
    assert_eq!(
        column(&index, "m", "inputs.always >= 0", "inputs.only_1").await,
        [Value::Null, json!(10), Value::Null]
    );
    assert_eq!(column(&index, "m", "inputs.only_2 = 20", "inputs.always").await, [json!(2)]);
}

#[tokio::test]
async fn members_of_maps_parameters_and_tags_are_columns() {
    let mut world = World::new().await;
    let mut given = decision(
        "m",
        json!({ "address": { "city": "Ulm", "at": { "floor": 3 } }, "tags": [1, 2] }),
        json!({ "y": 1 }),
    );
    given["params"] = json!({ "threshold": 0.5 });
    given["tags"] = json!({ "team": "risk" });
    world.record(&given);
    world.seal().await;
    let (index, _indexer) = world.index().await;
    let asked = "inputs.address.city = 'Ulm' AND inputs.address.at.floor = 3 AND params.threshold = 0.5 AND tags.team = 'risk'";
    assert_eq!(column(&index, "m", asked, "inputs.tags").await, [json!("[1,2]")]);
}

#[tokio::test]
async fn more_columns_than_there_may_be_are_kept_as_json() {
    let mut world = World::new().await;
    for part in 0..3 {
        let inputs: serde_json::Map<String, Value> =
            (0..900).map(|at| (format!("f{part}_{at}"), json!(at))).collect();
        world.record(&decision("m", Value::Object(inputs), json!({ "y": part })));
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    indexer.flush().unwrap();
    let more = sql(&index, "SELECT more FROM m WHERE more IS NOT NULL").await;
    assert!(more[0][0].contains("\"inputs.f2_899\":899"), "{more:?}");
    assert_eq!(find(&index, "m", "inputs.f0_5 = 5").await.len(), 1);
}
