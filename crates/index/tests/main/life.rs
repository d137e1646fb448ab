//! The index over time: erasure, crashes, being made anew, two who want to write.

use std::path::Path;

use minutebook_index::{Index, Mode};
use serde_json::json;

use crate::fixture::{World, decision, find, sql};

/// Everything that the tables say, in one order.
async fn everything(index: &Index) -> Vec<Vec<Vec<String>>> {
    let mut all = Vec::new();
    for table in index.tables() {
        let columns: Vec<String> = table.columns.keys().map(|name| format!("\"{name}\"")).collect();
        let mut columns = columns;
        columns.sort();
        let table = if table.model { format!("models.\"{}\"", table.name) } else { table.name };
        all.push(sql(index, &format!("SELECT {} FROM {table} ORDER BY id, time", columns.join(", "))).await);
    }
    all
}

async fn mixed_world() -> World {
    let mut world = World::new().await;
    for at in 0..40 {
        let mut given = decision(
            if at % 3 == 0 { "a" } else { "b" },
            json!({ "at": at, "name": format!("canary-{}", at % 5) }),
            json!({ "y": 1 }),
        );
        given["subject"] = json!(format!("person-{}", at % 5));
        let id = world.record(&given);
        if at % 8 == 0 {
            world
                .record(&json!({ "kind": "outcome", "links": [id.to_string()], "outcome": { "label": at } }));
        }
    }
    world.seal().await;
    world
}

fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn what_is_stored_says_nothing_in_clear() {
    let world = mixed_world().await;
    let (_index, mut indexer) = world.index().await;
    indexer.flush().unwrap();
    let bytes = bytes_below(&world.place.folder.join("index"));
    assert!(bytes.len() > 10_000);
    for text in ["canary", "person-", "inputs.at", "decision", "outcome.label"] {
        assert!(!has(&bytes, text), "`{text}` stands in the index in clear");
    }
}

#[tokio::test]
async fn an_erased_subject_is_gone_from_files_and_memory() {
    for flushed in [false, true] {
        let world = mixed_world().await;
        let (index, mut indexer) = world.index().await;
        if flushed {
            indexer.flush().unwrap();
        }
        assert_eq!(find(&index, "b", "inputs.name = 'canary-2'").await.len(), 6);
        let before: Vec<_> = std::fs::read_dir(world.place.folder.join("index"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let old_keys = std::fs::read(
            world.place.key_folder(&world.place.trail_file().unwrap().id).unwrap().join("index"),
        )
        .ok();
        world.erase("person-2").await;
        indexer.catch_up().await.unwrap();
        for (table, condition) in [
            ("a", "inputs.name = 'canary-2'"),
            ("b", "inputs.name = 'canary-2'"),
            ("", "subject = 'person-2'"),
        ] {
            assert!(find(&index, table, condition).await.is_empty(), "{table}");
        }
        assert_eq!(find(&index, "b", "inputs.name = 'canary-3'").await.len(), 5);
        assert_eq!(sql(&index, "SELECT count(*) FROM records WHERE NOT readable").await, [["9"]]);
        if flushed {
            // Files that had rows of the person are gone, and the key that opened the manifest with their keys is destroyed.
            let gone = before.iter().filter(|path| !path.exists()).count();
            assert!(gone >= 3, "{gone} of {}", before.len());
            let keys = std::fs::read(
                world.place.key_folder(&world.place.trail_file().unwrap().id).unwrap().join("index"),
            )
            .unwrap();
            assert_ne!(Some(keys), old_keys);
        }
        let erased = everything(&index).await;
        drop(indexer);
        let (index, mut indexer) = world.open(Mode::Write).await;
        indexer.begin_anew().unwrap();
        indexer.catch_up().await.unwrap();
        assert_eq!(everything(&index).await, erased, "made anew, it says the same");
    }
}

#[tokio::test]
async fn it_goes_on_where_it_was_after_a_crash_at_any_file() {
    let world = mixed_world().await;
    let (index, mut indexer) = world.index().await;
    let expected = everything(&index).await;
    indexer.flush().unwrap();
    drop((index, indexer));
    let folder = world.place.folder.join("index");
    let whole: Vec<(std::path::PathBuf, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    // A crash before the manifest was replaced: files that nobody names, and temporary ones.
    let manifest = folder.join("manifest");
    for state in 0..4 {
        for (path, bytes) in &whole {
            std::fs::write(path, bytes).unwrap();
        }
        match state {
            0 => std::fs::remove_file(&manifest).unwrap(),
            1 => std::fs::write(folder.join("0123456789abcdef0123456789abcdef.new"), b"half").unwrap(),
            2 => std::fs::write(&manifest, &std::fs::read(&manifest).unwrap()[..40]).unwrap(),
            _ => std::fs::write(folder.join("manifest.new"), b"half").unwrap(),
        }
        let (index, mut indexer) = world.index().await;
        assert_eq!(everything(&index).await, expected, "state {state}");
        indexer.flush().unwrap();
        let left = std::fs::read_dir(&folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some())
            .count();
        assert_eq!(left, 0, "temporary files are swept");
        assert_eq!(everything(&index).await, expected, "state {state}, stored");
    }
}

#[tokio::test]
async fn small_files_are_joined_and_say_the_same() {
    let mut world = World::new().await;
    let (index, mut indexer) = world.index().await;
    for at in 0..20 {
        world.record(&decision(
            "m",
            json!({ "at": at, "x": if at < 10 { json!(at) } else { json!(f64::from(at) + 0.5) } }),
            json!({ "y": 1 }),
        ));
        world.seal().await;
        indexer.catch_up().await.unwrap();
        indexer.flush().unwrap();
    }
    let position = index.position().await.unwrap();
    assert!(position.files < 20, "{position:?}");
    assert_eq!(
        sql(&index, "SELECT count(*), sum(inputs.at), sum(inputs.x) FROM m").await,
        [["20", "190", "195"]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_end_with_the_files_that_they_began_with() {
    let world = mixed_world().await;
    let (index, mut indexer) = world.index().await;
    indexer.flush().unwrap();
    let asking = {
        let index = index.clone();
        tokio::spawn(async move {
            let mut answers = 0;
            for _ in 0..300 {
                let query = "SELECT inputs.at FROM b UNION ALL SELECT inputs.at FROM a";
                // A table that is not there for the moment is no failure of the one who asks.
                let Ok(mut rows) = index.sql(query).await else { continue };
                while let Some(batch) = rows.next().await {
                    batch.unwrap();
                }
                answers += 1;
            }
            answers
        })
    };
    while !asking.is_finished() {
        indexer.begin_anew().unwrap();
        indexer.catch_up().await.unwrap();
        indexer.flush().unwrap();
    }
    assert!(asking.await.unwrap() > 0);
    let files = index.position().await.unwrap().files;
    let there = std::fs::read_dir(world.place.folder.join("index")).unwrap().count();
    assert_eq!(there, files as usize + 2, "with the lock and the manifest");
}

#[tokio::test]
async fn one_writes_and_others_read_beside_it() {
    let mut world = mixed_world().await;
    let (first, mut writer) = world.index().await;
    writer.flush().unwrap();
    world.record(&decision("b", json!({ "at": 100, "name": "late" }), json!({ "y": 1 })));
    world.seal().await;
    let (second, mut reader) = world.open(Mode::Write).await;
    assert!(writer.writes() && !reader.writes());
    reader.catch_up().await.unwrap();
    assert_eq!(find(&second, "b", "inputs.name = 'late'").await.len(), 1);
    assert!(find(&first, "b", "inputs.name = 'late'").await.is_empty(), "it was not asked to look");
    reader.flush().unwrap();
    assert!(reader.begin_anew().is_err());
}

#[tokio::test]
async fn what_was_disposed_of_is_gone_from_the_index() {
    for flushed in [false, true] {
        let world = mixed_world().await;
        let (index, mut indexer) = world.index().await;
        if flushed {
            indexer.flush().unwrap();
        }
        assert_eq!(sql(&index, "SELECT count(*) FROM a").await, [["14"]]);
        world.dispose().await;
        indexer.catch_up().await.unwrap();
        assert_eq!(sql(&index, "SELECT count(*) FROM a").await, [["0"]]);
        assert_eq!(sql(&index, "SELECT count(*) FROM records WHERE class = 'standard'").await, [["0"]]);
        assert_eq!(sql(&index, "SELECT count(*) FROM records WHERE kind = 'disposal'").await, [["1"]]);
        let after = everything(&index).await;
        indexer.begin_anew().unwrap();
        indexer.catch_up().await.unwrap();
        let anew = everything(&index).await;
        assert_eq!(
            anew.iter().flatten().count(),
            after.iter().flatten().count(),
            "made anew, it has as many rows"
        );
    }
}
