//! What is asked and what is answered.

use std::time::{Duration, SystemTime};

use minutebook_index::{Error, FacetsOf, Order, Search, rows};
use minutebook_record::RecordId;
use serde_json::{Value, json};

use crate::fixture::{World, column, decision, find, sql};

#[tokio::test]
async fn a_condition_finds_decisions_in_files_and_in_memory() {
    let mut world = World::new().await;
    for age in 0..50 {
        world.record(&decision(
            "credit",
            json!({ "age": age, "region": "north" }),
            json!({ "approve": age > 20 }),
        ));
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    let asked = "inputs.age >= 18 AND inputs.age < 24 AND outputs.approve = false";
    assert_eq!(column(&index, "credit", asked, "inputs.age").await, [20, 19, 18].map(Value::from));
    indexer.flush().unwrap();
    assert_eq!(index.position().await.unwrap().rows_in_memory, 0);
    assert_eq!(column(&index, "credit", asked, "inputs.age").await, [20, 19, 18].map(Value::from));
    // What is sealed later is found beside what is in files.
    world.record(&decision("credit", json!({ "age": 19, "region": "south" }), json!({ "approve": false })));
    world.seal().await;
    indexer.catch_up().await.unwrap();
    assert!(index.position().await.unwrap().rows_in_memory > 0);
    assert_eq!(column(&index, "credit", asked, "inputs.region").await.len(), 4);
    assert_eq!(column(&index, "", "inputs.region = 'south'", "inputs.region").await, [json!("south")]);
}

#[tokio::test]
async fn pages_do_not_move_while_records_arrive() {
    let mut world = World::new().await;
    for at in 0..30 {
        world.record(&decision("m", json!({ "at": at }), json!({ "y": 1 })));
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    for order in [
        None,
        Some(Order { by: "time".into(), descending: false }),
        Some(Order { by: "inputs.at".into(), descending: true }),
    ] {
        let late = find(&index, "m", "inputs.at = 1000").await.len();
        let mut seen = Vec::new();
        let mut search = Search {
            model: Some("m".into()),
            limit: 7,
            order,
            columns: vec!["inputs.at".into()],
            ..Search::default()
        };
        loop {
            let found = index.search(&search).await.unwrap();
            seen.extend(
                rows::json(&found.rows).unwrap().into_iter().map(|row| row["inputs.at"].as_i64().unwrap()),
            );
            world.record(&decision("m", json!({ "at": 1_000 }), json!({ "y": 1 })));
            world.seal().await;
            indexer.catch_up().await.unwrap();
            search.cursor = found.cursor;
            if search.cursor.is_none() {
                break;
            }
        }
        let before = seen.len();
        seen.retain(|at| *at < 1_000);
        assert_eq!(before - seen.len(), late, "what came while the pages were read is not among them");
        seen.sort_unstable();
        assert_eq!(seen, (0..30).collect::<Vec<_>>());
    }
}

/// A cursor that somebody made up: its sum of rows overflowed.
#[tokio::test]
async fn a_cursor_that_is_made_up_is_refused_or_answered() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

    let mut world = World::new().await;
    for at in 0..9 {
        world.record(&decision("m", json!({ "at": at }), json!({ "y": 1 })));
    }
    world.seal().await;
    let (index, _indexer) = world.index().await;
    let latest = i64::MAX;
    let made_up = [
        json!({ "log": u64::MAX, "last": [latest, "' OR 1=1 --"], "offset": u64::MAX, "times": [null, null, null] }),
        json!({ "log": u64::MAX, "last": [i64::MIN, ""], "times": [latest, i64::MIN, -1] }),
        json!({ "log": 0 }),
        json!({ "log": u64::MAX, "offset": u64::MAX }),
        json!({ "log": -1 }),
        json!([7]),
        json!(null),
    ];
    for json in made_up {
        for by in [None, Some("inputs.at")] {
            let order = by.map(|by| Order { by: by.into(), descending: true });
            let cursor = Some(BASE64.encode(json.to_string()));
            let search = Search { model: Some("m".into()), limit: 3, order, cursor, ..Search::default() };
            match index.search(&search).await {
                Ok(found) => assert!(found.rows.num_rows() <= 3, "{json}"),
                Err(Error::Question(_) | Error::Query(_)) => {}
                Err(error) => panic!("{json}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn linked_records_are_joined_onto_their_decision() {
    let mut world = World::new().await;
    let ids: Vec<_> =
        (0..4).map(|at| world.record(&decision("m", json!({ "at": at }), json!({ "y": true })))).collect();
    let link = |kind: &str, id: &str, own: Value| json!({ "kind": kind, "links": [id], kind: own });
    let first = ids[0].to_string();
    world.record(&link("outcome", &first, json!({ "label": false })));
    world.record(&link("review", &first, json!({ "action": "overridden", "reason": "papers" })));
    world.record(&link("review", &ids[1].to_string(), json!({ "action": "confirmed" })));
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    for _ in 0..2 {
        assert_eq!(column(&index, "m", "reviewed", "inputs.at").await, [json!(1), json!(0)]);
        assert_eq!(
            column(&index, "m", "overridden AND outcome.label = false", "inputs.at").await,
            [json!(0)]
        );
        assert_eq!(column(&index, "m", "NOT reviewed", "inputs.at").await, [json!(3), json!(2)]);
        let found = find(&index, "m", "review.reason = 'papers'").await;
        assert_eq!(found[0]["review.reason"], json!("papers"));
        indexer.flush().unwrap();
    }
    // Without a model it is the table of all records that is joined, which has such columns itself.
    assert_eq!(column(&index, "", "outcome.label = false", "id").await, [json!(first)]);
    let two = "SELECT a.kind, b.kind FROM records a JOIN links b ON a.id = b.target WHERE b.kind = 'outcome'";
    assert_eq!(sql(&index, two).await, [["decision", "outcome"]], "two columns of one name");
    let wrong =
        index.search(&Search { condition: Some("outcome.lable = true".into()), ..Search::default() }).await;
    assert!(wrong.unwrap_err().to_string().contains("`outcome.label`"));
}

#[tokio::test]
async fn as_of_knows_what_was_known_then() {
    let mut world = World::new().await;
    let first = world.record(&decision("m", json!({ "at": 1 }), json!({ "y": true })));
    let second = world.record(&decision("m", json!({ "at": 2 }), json!({ "y": true })));
    let then_ns = now_ns();
    // Ids have milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.record(&json!({ "kind": "outcome", "links": [first.to_string()], "outcome": { "label": false } }));
    world.record(&decision("m", json!({ "at": 3 }), json!({ "y": true })));
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    for _ in 0..2 {
        for (as_of_ns, asked, expected) in [
            (None, "TRUE", vec![3, 2, 1]),
            (Some(then_ns), "TRUE", vec![2, 1]),
            (None, "outcome.label = false", vec![1]),
            (Some(then_ns), "outcome.label = false", vec![]),
            (Some(then_ns), "outcome.label IS NULL", vec![2, 1]),
            (Some(milliseconds_of(&second) * 1_000_000 - 1_000_000_000), "TRUE", vec![]),
        ] {
            let search = Search {
                model: Some("m".into()),
                condition: Some(asked.into()),
                columns: vec!["inputs.at".into()],
                limit: 10,
                as_of_ns,
                ..Search::default()
            };
            let found = rows::json(&index.search(&search).await.unwrap().rows).unwrap();
            let found: Vec<i64> = found.iter().map(|row| row["inputs.at"].as_i64().unwrap()).collect();
            assert_eq!(found, expected, "{asked} as of {as_of_ns:?}");
        }
        indexer.flush().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "ids of records have the real time")]
fn now_ns() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64
}

fn milliseconds_of(id: &RecordId) -> i64 {
    i64::from_str_radix(&id.to_string().replace('-', "")[..12], 16).unwrap()
}

#[tokio::test]
async fn sql_sees_every_table_and_changes_none() {
    let mut world = World::new().await;
    for at in 0..10 {
        world.record(&decision("credit-risk", json!({ "x": at }), json!({ "p": f64::from(at) / 10.0 })));
    }
    world.seal().await;
    let (index, _indexer) = world.index().await;
    let query =
        "SELECT version, count(*), avg(outputs.p) FROM \"credit-risk\" WHERE inputs.x >= 5 GROUP BY version";
    assert_eq!(sql(&index, query).await, [["1", "5", "0.7"]]);
    assert_eq!(sql(&index, "SELECT sum(weight) FROM \"credit-risk\" d WHERE d.inputs.x < 3").await, [["3"]]);
    assert_eq!(sql(&index, "SELECT count(*) FROM records WHERE kind = 'decision'").await, [["10"]]);
    assert_eq!(
        sql(&index, "WITH t AS (SELECT inputs.x AS x FROM models.\"credit-risk\") SELECT max(x) FROM t")
            .await,
        [["9"]]
    );
    for (query, says) in [
        ("DROP TABLE records", "only read"),
        ("SELECT * FROM credit_risk", "`credit-risk`"),
        ("SELECT inputs.xx FROM \"credit-risk\"", "`inputs.x`"),
        ("SELECT * FROM '/etc/passwd'", "no model or table"),
        ("COPY records TO '/tmp/x.parquet'", "only read"),
    ] {
        let error = index.sql(query).await.err().unwrap_or_else(|| panic!("{query}"));
        assert!(error.to_string().contains(says), "{query}: {error}");
    }
}

#[tokio::test]
async fn a_misspelt_column_is_answered_with_the_nearest() {
    let mut world = World::new().await;
    world.record(&decision("m", json!({ "amount": 3 }), json!({ "approve": true })));
    world.seal().await;
    let (index, _indexer) = world.index().await;
    for (condition, model) in [("inputs.amuont > 1", Some("m")), ("inputs.amuont > 1", None)] {
        let search = Search {
            condition: Some(condition.into()),
            model: model.map(str::to_owned),
            ..Search::default()
        };
        let error = index.search(&search).await.unwrap_err();
        assert!(matches!(&error, Error::Question(what) if what.contains("`inputs.amount`")), "{error}");
    }
    let search = Search { model: Some("mm".into()), ..Search::default() };
    assert!(
        matches!(index.search(&search).await.unwrap_err(), Error::NoTable { hint, .. } if hint.contains("`m`"))
    );
}

#[tokio::test]
async fn words_and_parts_of_words_are_found() {
    let mut world = World::new().await;
    for prompt in ["Please REFUND my order", "refunding is slow", "Where is my order?", "Größe passt nicht"]
    {
        world.record(&decision("chat", json!({ "prompt": prompt }), json!({ "y": 1 })));
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    for _ in 0..2 {
        for (condition, count) in [
            ("has_words(inputs.prompt, 'refund order')", 1),
            ("has_words(inputs.prompt, 'ORDER my')", 2),
            ("has_words(inputs.prompt, 'grösse')", 0),
            ("has_words(inputs.prompt, 'GRÖßE')", 1),
            ("inputs.prompt ILIKE '%refund%'", 2),
        ] {
            assert_eq!(find(&index, "chat", condition).await.len(), count, "{condition}");
        }
        indexer.flush().unwrap();
    }
}

#[tokio::test]
async fn facets_count_what_a_search_finds() {
    let mut world = World::new().await;
    for at in 0..100 {
        let region = if at % 4 == 0 { "north" } else { "south" };
        let mut given = decision("m", json!({ "age": at, "region": region }), json!({ "y": at % 2 == 0 }));
        given["time"] = json!(format!("2026-11-21T10:{:02}:00Z", at % 60));
        world.record(&given);
    }
    world.seal().await;
    let (index, _indexer) = world.index().await;
    let of = FacetsOf {
        search: Search {
            condition: Some("inputs.age < 80".into()),
            model: Some("m".into()),
            ..Search::default()
        },
        bars: 6,
        columns: vec!["inputs.region".into(), "inputs.age".into()],
        values: 5,
    };
    let facets = index.facets(&of).await.unwrap();
    assert_eq!((facets.count, facets.weighted), (80, 80.0));
    assert_eq!(facets.bars.iter().map(|bar| bar.count).sum::<u64>(), 80);
    assert_eq!(facets.bars.len(), 6);
    let [region, age] = facets.facets.as_slice() else { panic!("two facets") };
    assert_eq!(
        region.values.iter().map(|value| (value.value.as_str(), value.count)).collect::<Vec<_>>(),
        [("south", 60), ("north", 20)]
    );
    assert_eq!(age.ranges.iter().map(|range| range.count).collect::<Vec<_>>(), [8; 10]);
    assert_eq!((age.ranges[0].from, age.ranges[9].to), (0.0, 79.0));
}

#[tokio::test]
async fn subjects_traces_times_and_versions_are_found() {
    let mut world = World::new().await;
    for at in 0..20 {
        let mut given = decision("m", json!({ "at": at }), json!({ "y": 1 }));
        given["time"] = json!(format!("2026-11-{:02}T00:00:00Z", at + 1));
        given["trace"] = json!(format!("{at:032x}"));
        given["subject"] = if at == 7 { json!(["anna", "ben"]) } else { json!(format!("person-{at}")) };
        world.record(&given);
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    for _ in 0..2 {
        assert_eq!(column(&index, "m", "subject = 'person-3'", "inputs.at").await, [json!(3)]);
        assert_eq!(column(&index, "m", "subject = 'ben'", "inputs.at").await, [json!(7)]);
        assert_eq!(column(&index, "", "subject = 'person-3'", "model").await, [json!("m")]);
        let trace = format!("trace = '{:032x}'", 11);
        assert_eq!(column(&index, "m", &trace, "inputs.at").await, [json!(11)]);
        assert_eq!(
            column(&index, "m@1", "time >= '2026-11-19T00:00:00Z'", "inputs.at").await,
            [json!(19), json!(18)]
        );
        assert!(find(&index, "m@2", "").await.is_empty());
        let day = |day: i64| (1_793_491_200 + (day - 1) * 86_400) * 1_000_000_000;
        let search = Search {
            since_ns: Some(day(3)),
            until_ns: Some(day(5)),
            model: Some("m".into()),
            ..Search::default()
        };
        assert_eq!(index.search(&search).await.unwrap().rows.num_rows(), 3);
        indexer.flush().unwrap();
    }
}

#[tokio::test]
async fn rows_that_were_tampered_with_are_found_out() {
    let mut world = World::new().await;
    for at in 0..3 {
        world.record(&decision("m", json!({ "at": at, "x": 1.5 }), json!({ "approve": false })));
    }
    world.seal().await;
    let (index, mut indexer) = world.index().await;
    indexer.flush().unwrap();
    let search = Search { model: Some("m".into()), columns: vec!["*".into()], ..Search::default() };
    let found = index.search(&search).await.unwrap();
    index.prove(&found.rows).await.unwrap();
    // As if a file had been replaced by one that says otherwise, under the right key.
    let place = found.schema.index_of("outputs.approve").unwrap();
    let mut columns = found.rows.columns().to_vec();
    columns[place] = std::sync::Arc::new(arrow_array::BooleanArray::from(vec![false, true, false]));
    let tampered = arrow_array::RecordBatch::try_new(found.schema.clone(), columns).unwrap();
    let error = index.prove(&tampered).await.unwrap_err();
    assert!(matches!(&error, Error::Tampered { what, .. } if what.contains("`outputs.approve`")), "{error}");
}
