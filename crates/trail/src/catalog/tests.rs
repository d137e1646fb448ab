//! No query that a reader runs depends on how many segments there are: SQLite's plans say so, and a wrong plan fails the test.

use super::segments::READING;
use super::*;
use minutebook_record::Kind;
use sqlx::AssertSqlSafe;

async fn catalog() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join(CATALOG_FILE)).await.unwrap();
    (folder, catalog)
}

async fn plan(catalog: &Catalog, query: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")))
        .fetch_all(&catalog.pool)
        .await
        .unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn reading_walks_indices_only() {
    let (_folder, catalog) = catalog().await;
    for query in READING {
        for step in plan(&catalog, query).await {
            assert!(step.starts_with("SEARCH "), "`{step}` in the plan of {query}");
        }
    }
    // The bound of a walk is in the index on both columns, so that equal times cost nothing either.
    for query in READING.iter().filter(|query| query.contains("timeline")) {
        let plan = plan(&catalog, query).await.join("\n");
        assert!(plan.contains("log_index)"), "{plan}");
    }
    let scan = plan(&catalog, "SELECT DISTINCT id_span FROM segment").await;
    assert!(scan.iter().any(|step| step.starts_with("SCAN ")), "this check finds a scan: {scan:?}");
}

fn row(index: u64, times: (i64, i64), kinds: u32, records: u64) -> SegmentRow {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&index.to_be_bytes());
    SegmentRow {
        id,
        log_index: index,
        class: "standard".into(),
        class_epoch: [1; 16],
        records,
        kinds,
        ids: (id, id),
        times,
    }
}

/// Every segment of a trail, by a walk along all lanes with pages of `page`.
async fn walk(catalog: &Catalog, kinds: &[Kind], stretch: &Stretch, page: u64) -> Vec<u64> {
    let mut found = Vec::new();
    for lane in catalog.lanes(kinds).await.unwrap() {
        let mut after = None;
        let mut before = None;
        loop {
            let rows = catalog.along(lane, stretch, after, page).await.unwrap();
            let Some(last) = rows.last() else { break };
            let key = |row: &SegmentRow| if stretch.oldest_first { row.times.0 } else { row.times.1 };
            after = Some((key(last), last.log_index));
            for row in &rows {
                let (key, index) = (key(row), row.log_index);
                let place = if stretch.oldest_first { (key, index as i64) } else { (-key, -(index as i64)) };
                assert!(before < Some(place), "each lane is in order");
                before = Some(place);
                found.push(index);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[tokio::test]
async fn a_walk_finds_exactly_what_overlaps() {
    let (_folder, catalog) = catalog().await;
    let mut state = 7u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut rows = Vec::new();
    for index in 1..400 {
        let first = draw(5_000) as i64 - 1_000;
        let length = 1i64 << draw(12);
        let kinds = 1 << (1 + draw(3)) | 1 << (1 + draw(3));
        // Some are equal in time, some have no records.
        rows.push(row(index, (first / 50 * 50, first / 50 * 50 + length - 1), kinds, draw(10)));
    }
    rows.push(row(400, (i64::MIN, i64::MAX), 1 << 1, 1));
    let placement = Placement { segments: rows.clone(), log_size: 401, ..Placement::default() };
    catalog.place(&placement).await.unwrap();
    assert!(catalog.lost_from_timeline().await.unwrap().is_empty());

    for (from, to) in
        [(i64::MIN, i64::MAX), (0, 0), (500, 900), (-2_000, -900), (3_999, 9_000), (20_000, 30_000)]
    {
        for oldest_first in [true, false] {
            for kinds in [&[][..], &[Kind::Decision], &[Kind::Explanation, Kind::Outcome]] {
                let bits: u32 = kinds.iter().map(|kind| 1u32 << kind.number()).sum();
                let expected: Vec<u64> = rows
                    .iter()
                    .filter(|row| row.records > 0 && row.times.1 >= from && row.times.0 <= to)
                    .filter(|row| kinds.is_empty() || row.kinds & bits != 0)
                    .map(|row| row.log_index)
                    .collect();
                let stretch = Stretch { from, to, oldest_first };
                assert_eq!(walk(&catalog, kinds, &stretch, 3).await, expected, "{stretch:?} {kinds:?}");
            }
        }
    }
    sqlx::query("DELETE FROM timeline WHERE log_index = 400 AND kind = 1")
        .execute(&catalog.pool)
        .await
        .unwrap();
    assert_eq!(catalog.lost_from_timeline().await.unwrap(), [400]);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error() {
    let (_folder, catalog) = catalog().await;
    let placement = Placement { segments: vec![row(1, (0, 1), 2, 1)], log_size: 2, ..Placement::default() };
    catalog.place(&placement).await.unwrap();
    sqlx::query("UPDATE segment SET class_epoch = 'text', records = 'many'")
        .execute(&catalog.pool)
        .await
        .unwrap();
    let error = catalog.segments_from(0, 10).await.unwrap_err();
    assert!(matches!(error, Error::CatalogUnusable { .. }), "{error}");
}

/// A task that looks after connections has spun for ever, and kept a process from ending (sqlx issue 3645).
#[tokio::test]
async fn nothing_looks_after_the_connection() {
    let (_folder, catalog) = catalog().await;
    let options = catalog.pool.options();
    assert_eq!((options.get_idle_timeout(), options.get_max_lifetime()), (None, None));
}
