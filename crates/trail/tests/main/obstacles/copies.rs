//! Parts of a trail that were restored from an older copy, and formats of later versions.

use super::{evidence, goes_on, problems, refused, says, shown, trail};
use crate::files::{copy, restore};
use crate::fixture::{Given, record};
use minutebook_trail::{Error, Reader, Remedy, Whom, doctor};

const CATALOG: [&str; 3] = ["catalog.db", "catalog.db-wal", "catalog.db-shm"];

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_is_an_older_copy() {
    let fixture = trail().await;
    let aside = fixture.place.folder.with_extension("older");
    copy(&fixture.place.folder, &aside);
    let producer = fixture.producer("web");
    record(&producer, &Given { subjects: vec!["eve"], ..Given::default() });
    drop(producer);
    fixture.seal().await;
    let newest = fixture.place.folder.with_extension("newest");
    copy(&fixture.place.folder, &newest);
    let before = evidence(&fixture.place);
    let put = |from: &std::path::Path| {
        for name in CATALOG {
            let _ = std::fs::remove_file(fixture.path(name));
            if from.join(name).exists() {
                std::fs::copy(from.join(name), fixture.path(name)).unwrap();
            }
        }
    };
    put(&aside);
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::CatalogBehindLog { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::FixSetup);
    says(
        &error,
        &[
            "the log has",
            "the catalog knows",
            "older copy",
            "Nothing was written",
            "Restore the newest catalog",
            "doctor",
        ],
    );
    assert!(evidence(&fixture.place) == before, "nothing was written");
    for deep in [false, true] {
        let findings = doctor(&fixture.place, deep).await.unwrap();
        let found = problems(&findings);
        assert!(
            found.iter().any(|finding| finding.object == "catalog.db, table meta, row log_size"),
            "{found:#?}"
        );
        let missing =
            found.iter().filter(|finding| finding.object.starts_with("catalog.db, table segment")).count();
        assert_eq!(missing > 0, deep, "the segments that it does not know are named");
    }
    put(&newest);
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_is_another_trails_or_missing_or_damaged() {
    let fixture = trail().await;
    let other = trail().await;
    let before = evidence(&fixture.place);
    let aside = fixture.place.folder.with_extension("aside");
    copy(&fixture.place.folder, &aside);
    let clear = || CATALOG.map(|name| drop(std::fs::remove_file(fixture.path(name))));
    clear();
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::CatalogMissing { .. }), "{error:?}");
    says(&error, &["is missing", &shown(&fixture.path("catalog.db")), "restore it from a backup"]);
    assert!(!fixture.path("catalog.db").exists(), "none is made in its place");
    for name in CATALOG {
        if other.path(name).exists() {
            std::fs::copy(other.path(name), fixture.path(name)).unwrap();
        }
    }
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::CatalogUnusable { .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::FixSetup);
    says(&error, &["another trail's", &shown(&fixture.path("catalog.db")), "Restore the newest copy"]);
    clear();
    std::fs::write(fixture.path("catalog.db"), vec![0x5a; 8_192]).unwrap();
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::Catalog { .. }), "{error:?}");
    says(&error, &["not a database", &shown(&fixture.path("catalog.db"))]);
    assert!(evidence(&fixture.place) == before);
    restore(&aside, &fixture.place.folder);
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_is_of_a_later_version() {
    let fixture = trail().await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99990101, 'later', 1, x'00', 1)";
    sql(&fixture.path("catalog.db"), later).await;
    let before = evidence(&fixture.place);
    let reading = Reader::open(&fixture.place).await.unwrap_err();
    for error in [refused(&fixture.place).await, reading] {
        assert!(matches!(error, Error::Newer { .. }), "{error:?}");
        assert_eq!(error.remedy(), Remedy::FixSetup);
        says(
            &error,
            &["the catalog", &shown(&fixture.path("catalog.db")), "99990101", "use a newer program"],
        );
    }
    assert!(evidence(&fixture.place) == before);
    sql(&fixture.path("catalog.db"), "DELETE FROM _sqlx_migrations WHERE version = 99990101").await;
    goes_on(&fixture).await;
}

async fn sql(catalog: &std::path::Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(catalog);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_folder_is_from_before_an_erasure() {
    let fixture = trail().await;
    let keys = fixture.place.keys.clone().unwrap();
    let (older, newest) = (keys.with_extension("older"), keys.with_extension("newest"));
    copy(&keys, &older);
    let mut engine = fixture.engine().await;
    engine.erase(Whom::Subject("cyd"), "asked for it", "officer-7").await.unwrap();
    engine.close().await;
    copy(&keys, &newest);
    let before = evidence(&fixture.place);
    restore(&older, &keys);
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::BucketGeneration { generation: 2, .. }), "{error:?}");
    assert_eq!(error.remedy(), Remedy::FixSetup);
    says(
        &error,
        &["generation 2 of bucket", "older copy", "Nothing was changed", "Restore the newest of both"],
    );
    let findings = doctor(&fixture.place, true).await.unwrap();
    let found = problems(&findings);
    assert!(
        found.iter().any(|finding| finding.object.starts_with("catalog.db, table bucket, row ")),
        "{found:#?}"
    );
    assert!(evidence(&fixture.place) == before);
    restore(&newest, &keys);
    goes_on(&fixture).await;
}

/// Catalog and keys from before an erasure, beside the log that has it: what was to be forgotten can be read, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn catalog_and_keys_are_from_before_an_erasure() {
    let fixture = trail().await;
    let keys = fixture.place.keys.clone().unwrap();
    let (older, newest) =
        (fixture.place.folder.with_extension("older"), fixture.place.folder.with_extension("newest"));
    copy(&fixture.place.folder, &older.join("trail"));
    copy(&keys, &older.join("keys"));
    let mut engine = fixture.engine().await;
    engine.erase(Whom::Subject("cyd"), "asked for it", "officer-7").await.unwrap();
    engine.close().await;
    copy(&fixture.place.folder, &newest.join("trail"));
    copy(&keys, &newest.join("keys"));
    for name in CATALOG {
        let _ = std::fs::remove_file(fixture.path(name));
        if older.join("trail").join(name).exists() {
            std::fs::copy(older.join("trail").join(name), fixture.path(name)).unwrap();
        }
    }
    restore(&older.join("keys"), &keys);
    let error = refused(&fixture.place).await;
    assert!(matches!(error, Error::CatalogBehindLog { .. }), "{error:?}");
    let report = fixture.verify().await;
    let found = problems(&report.findings);
    assert!(
        found
            .iter()
            .any(|finding| finding.object == "catalog" && finding.what.contains("recorded as erased")),
        "{found:#?}"
    );
    let findings = doctor(&fixture.place, true).await.unwrap();
    let found = problems(&findings);
    let named = |finding: &&minutebook_verify::Finding| {
        finding.object.starts_with("catalog.db, table subject") && finding.what.contains("recorded as erased")
    };
    assert!(found.iter().any(named), "{found:#?}");
    restore(&newest.join("trail"), &fixture.place.folder);
    restore(&newest.join("keys"), &keys);
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_folder_is_from_before_a_rotation() {
    let fixture = trail().await;
    let keys = fixture.place.keys.clone().unwrap();
    for signing in [false, true] {
        let (older, newest) = (keys.with_extension("older"), keys.with_extension("newest"));
        copy(&keys, &older);
        let mut engine = fixture.engine().await;
        if signing {
            engine.rotate_signing().await.unwrap();
        } else {
            engine.rotate_key_encryption().await.unwrap();
        }
        engine.close().await;
        copy(&keys, &newest);
        restore(&older, &keys);
        let error = refused(&fixture.place).await;
        assert!(matches!(error, Error::KeysDoNotMatch { .. }), "{error:?}");
        says(
            &error,
            &[
                if signing { "signing key" } else { "key-encryption key" },
                &shown(&keys),
                "restore the newest copy",
            ],
        );
        restore(&newest, &keys);
    }
    goes_on(&fixture).await;
}
