//! Exports in clear. That others read them is tested from Python.

use minutebook_index::{Export, Form, Search};
use serde_json::{Value, json};

use crate::fixture::{World, decision};

fn export(form: Form, mask: &[&str]) -> Export {
    let search = Search { model: Some("m".into()), ..Search::default() };
    Export { search, mask: mask.iter().map(|name| (*name).to_owned()).collect(), form }
}

fn versions(folder: &std::path::Path) -> Vec<Vec<Value>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let lines = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    paths.iter().map(lines).collect()
}

fn parts(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some())
        .count()
}

async fn give(world: &mut World, from: i64, to: i64) {
    for at in from..to {
        let mut given = decision("m", json!({ "at": at, "income": at * 1000 }), json!({ "y": 1 }));
        given["subject"] = json!(format!("person-{}", at % 3));
        world.record(&given);
    }
    world.seal().await;
}

#[tokio::test]
async fn files_have_every_row_and_no_masked_column() {
    let mut world = World::new().await;
    give(&mut world, 0, 10).await;
    let (index, _indexer) = world.index().await;
    let folder = tempfile::tempdir().unwrap();
    for (form, name) in [(Form::JsonLines, "rows.jsonl"), (Form::Csv, "rows.csv")] {
        let path = folder.path().join(name);
        assert_eq!(index.export(&export(form, &["inputs.income"]), &path).await.unwrap().rows, 10);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), if form == Form::Csv { 11 } else { 10 });
        assert!(text.contains("inputs.at") && !text.contains("income"), "{text}");
    }
    let wrong =
        index.export(&export(Form::Csv, &["inputs.incme"]), &folder.path().join("x.csv")).await.unwrap_err();
    assert!(wrong.to_string().contains("`inputs.income`"), "{wrong}");
    assert!(!folder.path().join("x.csv").exists());
}

#[tokio::test]
async fn a_delta_table_gets_what_is_new_and_loses_what_was_erased() {
    let mut world = World::new().await;
    give(&mut world, 0, 6).await;
    let (index, mut indexer) = world.index().await;
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    let delta = export(Form::Delta, &[]);
    let first = index.export(&delta, &table).await.unwrap();
    assert_eq!((first.rows, first.version), (6, Some(0)));
    assert_eq!(index.export(&delta, &table).await.unwrap().rows, 0, "nothing is new");
    give(&mut world, 6, 10).await;
    indexer.catch_up().await.unwrap();
    let second = index.export(&delta, &table).await.unwrap();
    assert_eq!((second.rows, second.removed, second.version), (4, 0, Some(1)));
    assert_eq!(parts(&table), 2);
    world.erase("person-1").await;
    indexer.catch_up().await.unwrap();
    let third = index.export(&delta, &table).await.unwrap();
    assert_eq!((third.rows, third.removed, third.version), (7, 2, Some(2)));
    assert_eq!(parts(&table), 1, "files that had rows of the person are gone");
    let log = versions(&table);
    assert_eq!(log[0][1]["protocol"], json!({ "minReaderVersion": 1, "minWriterVersion": 2 }));
    assert_eq!(log[2].iter().filter(|action| action.get("remove").is_some()).count(), 2);
    // A feature that changes its type makes all files anew.
    let mut given = decision("m", json!({ "at": "ten", "income": 1 }), json!({ "y": 1 }));
    given["subject"] = json!("person-0");
    world.record(&given);
    world.seal().await;
    indexer.catch_up().await.unwrap();
    let fourth = index.export(&delta, &table).await.unwrap();
    assert_eq!((fourth.rows, fourth.removed), (8, 1));
    let other = index.export(&export(Form::Delta, &["inputs.income"]), &table).await.unwrap_err();
    assert!(other.to_string().contains("something else"), "{other}");
}
