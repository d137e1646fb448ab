//! Whatever stands in the engine's way is told by an error of its own that says what, where and what to do. Nothing is damaged by it: with the
//! obstacle gone the trail goes on.

mod copies;
mod disk;
mod foreign;
mod spool;

use crate::files::{copy, files, restore};
use crate::fixture::{Fixture, Given, record};
use minutebook_trail::{Engine, Environment, Error, InitOptions, Place, Reader, Remedy, doctor, init};
use minutebook_verify::{Finding, Severity};
use std::collections::BTreeMap;

/// A trail with records, a subject that was erased, and an epoch that is open.
async fn trail() -> Fixture {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    for subject in ["ann", "bob", "cyd"] {
        record(&producer, &Given { subjects: vec![subject], ..Given::default() });
    }
    producer.close().unwrap();
    fixture.seal().await;
    fixture
}

/// Opens the trail's engine, and insists that it refuses.
async fn refused(place: &Place) -> Error {
    match Engine::open(place, Environment::default()).await {
        Ok(_) => panic!("the engine opened"),
        Err(error) => error,
    }
}

/// The evidence in a trail's folder.
fn evidence(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(&place.folder);
    files.retain(|name, _| {
        ["trail.toml", "log/", "segments/", "blobs/"].iter().any(|part| name.starts_with(part))
    });
    files
}

/// Insists that an error says all of `words`: what, where, what to do.
fn says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    assert!(missing.is_empty(), "`{text}` does not say {missing:?}");
    assert!(
        !text.contains("Error") && !text.contains("::") && !text.contains('{'),
        "`{text}` speaks of the program"
    );
}

/// With the obstacle gone, the trail works as ever.
async fn goes_on(fixture: &Fixture) {
    let before = fixture.check().await.records;
    let producer = fixture.producer("after");
    record(&producer, &Given { subjects: vec!["eve"], ..Given::default() });
    producer.close().unwrap();
    drop(producer);
    fixture.seal().await;
    let report = fixture.check().await;
    assert!(report.records > before, "{} and {before}", report.records);
    let findings = doctor(&fixture.place, true).await.unwrap();
    assert_eq!(problems(&findings), Vec::<&Finding>::new());
}

fn problems(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Problem).collect()
}

fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_trail_or_one_already() {
    let fixture = trail().await;
    let none = Place::new(fixture.path("spool")).with_keys(fixture.place.keys.clone().unwrap());
    let error = refused(&none).await;
    assert!(matches!(error, Error::NoTrail { .. }));
    says(&error, &["no trail in", &shown(&none.folder), "minutebook init"]);
    let before = files(&fixture.place.folder);
    let again = async |place: &Place| {
        init(place, &InitOptions::default(), &Environment::default()).await.unwrap_err()
    };
    let error = again(&fixture.place).await;
    assert!(matches!(error, Error::TrailExists { .. }));
    says(&error, &["holds a trail already", &shown(&fixture.place.folder), "name another folder"]);
    let error = again(&none).await;
    assert!(matches!(error, Error::FolderInUse { .. }));
    says(&error, &["is not empty", &shown(&none.folder), "name a new or empty folder"]);
    let other =
        Place::new(fixture.place.folder.with_extension("new")).with_keys(fixture.place.keys.clone().unwrap());
    let error = again(&other).await;
    assert!(matches!(error, Error::KeysExist { .. }));
    says(
        &error,
        &["holds keys already", &shown(fixture.place.keys.as_ref().unwrap()), "name another folder"],
    );
    assert_eq!(files(&fixture.place.folder), before);
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_at_once() {
    let fixture = trail().await;
    let first = fixture.engine().await;
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::Locked { .. }));
    assert_eq!(error.remedy(), Remedy::FixSetup);
    let holder = format!("process {} since 2", std::process::id());
    says(
        &error,
        &["in use by another engine", &shown(&fixture.place.folder), &holder, "wait for it, or stop it"],
    );
    // Reading goes on beside it.
    fixture.reader().await;
    first.close().await;
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_missing_or_wrong_or_open_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = trail().await;
    let other = trail().await;
    let keys = fixture.place.keys.clone().unwrap();
    let aside = keys.with_extension("aside");
    copy(&keys, &aside);
    let before = evidence(&fixture.place);
    let file = keys.join("keys.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let expect = async |words: &[&str], is: fn(&Error) -> bool| {
        let error = refused(&fixture.place).await;
        assert!(is(&error), "{error:?}");
        assert_eq!(error.remedy(), Remedy::FixSetup);
        says(&error, words);
        let reading = Reader::open(&fixture.place).await.unwrap_err();
        assert!(is(&reading) || matches!(reading, Error::KeysDoNotMatch { .. }), "{reading:?}");
        assert!(evidence(&fixture.place) == before, "{error}");
    };
    std::fs::remove_dir_all(&keys).unwrap();
    expect(&["no keys in", &shown(&keys), "--keys", "MINUTEBOOK_KEYS", "backup"], |e| {
        matches!(e, Error::KeysMissing { .. })
    })
    .await;
    copy(other.place.keys.as_ref().unwrap(), &keys);
    let theirs = minutebook_verify::hex(&other.place.trail_file().unwrap().id);
    expect(&["those of another trail", &theirs, &shown(&keys), "--keys"], |e| {
        matches!(e, Error::KeysOfAnotherTrail { .. })
    })
    .await;
    restore(&aside, &keys);
    for (path, open, closed) in
        [(keys.clone(), 0o750, 0o700), (file.clone(), 0o604, 0o600), (keys.join("buckets"), 0o640, 0o600)]
    {
        mode(&keys, 0o700);
        mode(&path, open);
        expect(&["can be read by others", &shown(&path), "chmod go="], |e| {
            matches!(e, Error::KeysOpenToOthers { .. })
        })
        .await;
        mode(&path, closed);
    }
    std::fs::write(&file, text.replace("minutebook/keys/1", "minutebook/keys/2") + "\n[more]\nof = \"it\"\n")
        .unwrap();
    expect(&["minutebook/keys/2", &shown(&file), "use a newer program"], |e| {
        matches!(e, Error::Newer { .. })
    })
    .await;
    for damaged in [
        text[..text.len() / 2].to_owned(),
        text.replace("seed", "sead"),
        String::new(),
        text.replace("[signing]", "[sining]"),
    ] {
        std::fs::write(&file, damaged).unwrap();
        expect(&["is damaged", &shown(&file), "Restore it from its backup"], |e| {
            matches!(e, Error::KeysMalformed { .. })
        })
        .await;
    }
    std::fs::write(&file, &text).unwrap();
    goes_on(&fixture).await;
}

/// The folder's own name right, one key in it another's.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_not_the_trails() {
    let fixture = trail().await;
    let other = trail().await;
    let before = evidence(&fixture.place);
    let file = fixture.place.keys.clone().unwrap().join("keys.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let theirs = std::fs::read_to_string(other.place.keys.as_ref().unwrap().join("keys.toml")).unwrap();
    let value = |text: &str, section: &str, name: &str| {
        let (_, after) = text.split_once(&format!("[{section}]")).unwrap();
        let (_, after) = after.split_once(&format!("{name} = \"")).unwrap();
        after.split_once('"').unwrap().0.to_owned()
    };
    let keys = [
        ("signing", "seed", "signing key"),
        ("intake", "private", "intake key"),
        ("[key-encryption]", "key", "key-encryption key"),
    ];
    for (section, name, what) in keys {
        let changed = text.replace(&value(&text, section, name), &value(&theirs, section, name));
        assert_ne!(changed, text);
        std::fs::write(&file, changed).unwrap();
        let error = refused(&fixture.place).await;
        assert!(matches!(error, Error::KeysDoNotMatch { .. }), "{error:?}");
        says(&error, &[what, "is not this trail's", &shown(file.parent().unwrap()), "--keys", "restore"]);
        assert!(evidence(&fixture.place) == before);
    }
    std::fs::write(&file, text).unwrap();
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_file_is_edited_cut_or_of_a_later_version() {
    let fixture = trail().await;
    let before = evidence(&fixture.place);
    let file = fixture.path("trail.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = [
        (
            text.replace("minutebook/trail/1", "minutebook/trail/2") + "shape = \"round\"\n",
            "use a newer program",
        ),
        (text[..text.len() / 2].to_owned(), "Restore it from a copy"),
        (text.replace(" = ", "="), "Restore it from a copy"),
        (String::new(), "Restore it from a copy"),
    ];
    for (changed, to_do) in changed {
        std::fs::write(&file, changed).unwrap();
        let error = refused(&fixture.place).await;
        assert!(matches!(error, Error::TrailFile { .. }), "{error:?}");
        assert_eq!(error.remedy(), Remedy::FixSetup);
        says(&error, &[&shown(&file), to_do]);
    }
    std::fs::write(&file, text).unwrap();
    assert!(evidence(&fixture.place) == before);
    goes_on(&fixture).await;
}
