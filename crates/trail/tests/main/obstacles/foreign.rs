//! What does not belong: another trail's spool, files that nobody knows, pipes and links in the place of objects.

use super::{goes_on, problems, trail};
use crate::files::{copy, files};
use crate::fixture::{Given, record};
use minutebook_trail::doctor;
use std::collections::BTreeMap;
use std::path::Path;

fn below(folder: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().filter(|(name, _)| name.starts_with(prefix)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_of_another_trail_is_left_alone() {
    let fixture = trail().await;
    let other = trail().await;
    let theirs = other.producer("theirs");
    record(&theirs, &Given::default());
    theirs.close().unwrap();
    drop(theirs);
    copy(&other.path("spool/theirs"), &fixture.path("spool/theirs"));
    let left = below(&fixture.place.folder, "spool/theirs/");
    let ours = fixture.producer("web");
    record(&ours, &Given::default());
    ours.close().unwrap();
    drop(ours);
    let before = fixture.check().await.records;
    fixture.seal().await;
    assert_eq!(fixture.check().await.records, before + 3, "ours is sealed, and nothing of theirs");
    assert!(below(&fixture.place.folder, "spool/theirs/") == left, "theirs is left as it was");
    let findings = doctor(&fixture.place, false).await.unwrap();
    let [found] = &problems(&findings)[..] else { panic!("{findings:#?}") };
    assert_eq!(found.object, "spool/theirs/0000000001.epoch");
    assert!(found.what.contains("another trail"), "{found:?}");
    std::fs::remove_dir_all(fixture.path("spool/theirs")).unwrap();
    goes_on(&fixture).await;
    // It is sealed where it belongs.
    let before = other.check().await.records;
    other.seal().await;
    assert_eq!(other.check().await.records, before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_knows_are_left_alone_and_told() {
    let fixture = trail().await;
    let producer = fixture.producer("web");
    record(&producer, &Given::default());
    let names = [
        "spool/notes.txt",
        "spool/UPPER/0000000001.epoch",
        "spool/web/notes.txt",
        "spool/web/1.epoch",
        "spool/web/0000000001-1.spool",
        "spool/other/notes.txt",
    ];
    for name in names {
        std::fs::create_dir_all(fixture.path(name).parent().unwrap()).unwrap();
        std::fs::write(fixture.path(name), b"whatever").unwrap();
    }
    producer.close().unwrap();
    drop(producer);
    fixture.seal().await;
    fixture.check().await;
    let findings = doctor(&fixture.place, false).await.unwrap();
    for name in names {
        assert_eq!(std::fs::read(fixture.path(name)).unwrap(), b"whatever", "{name}");
        let told = findings
            .iter()
            .any(|finding| name == finding.object || name.starts_with(&format!("{}/", finding.object)));
        assert!(told, "{name}: {findings:#?}");
    }
    // A file in the place of a producer's folder.
    std::fs::write(fixture.path("spool/late"), b"whatever").unwrap();
    fixture.seal().await;
    for name in names.iter().chain(&["spool/late"]) {
        std::fs::remove_file(fixture.path(name)).unwrap();
    }
    goes_on(&fixture).await;
}

/// A pipe would keep a reader waiting for ever, and a link show it a file from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn pipes_and_links_are_no_objects() {
    let fixture = trail().await;
    let name = files(&fixture.place.folder).into_keys().find(|name| name.starts_with("segments/")).unwrap();
    let (path, aside) = (fixture.path(&name), fixture.folder.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    for kind in ["link", "pipe", "folder"] {
        let report = fixture.verify().await;
        let [found] = &problems(&report.findings)[..] else { panic!("{kind}: {:#?}", report.findings) };
        assert_eq!(found.object, name, "{kind}: {found:?}");
        if kind == "folder" {
            std::fs::remove_dir(&path).unwrap();
            continue;
        }
        std::fs::remove_file(&path).unwrap();
        if kind == "link" {
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
        } else {
            std::fs::create_dir(&path).unwrap();
        }
    }
    std::fs::rename(&aside, &path).unwrap();
    goes_on(&fixture).await;
}
