//! Reading does not slow down with the number of segments, and is in order whatever overlaps.

use crate::fixture::{Fixture, Given, encode, record};
use crate::slots::{Slots, event};
use minutebook_capture::{Clock, SystemClock};
use minutebook_record::{FieldType, Kind, RecordId, Value};
use minutebook_trail::{Content, Filter, StoredRecord};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::ops::ControlFlow;

const SEGMENTS: u64 = 1_000_000;

/// Rows as sealing writes them, a second of events each, long ago, with all kinds but decisions; every hundredth spans a day.
async fn add_segments(fixture: &Fixture) {
    let options = SqliteConnectOptions::new().filename(fixture.path("catalog.db"));
    let mut connection = options.connect().await.unwrap();
    let rows = format!(
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SEGMENTS}) \
         SELECT i, 10000000 + i AS place, 1000000000000000000 + i * 1000000000 AS first, \
         iif(i % 100 = 0, 86400000000000, 999999999) AS length FROM n"
    );
    let id = |ms: &str, rest: &str| format!("unhex(printf('%012x', {ms}) || '7000{rest}00000000000000')");
    let ms = "1000000000000 + i * 1000";
    let segments = format!(
        "INSERT INTO segment (id, log_index, class, class_epoch, records, kinds, id_first, id_last, id_span, time_first, \
         time_last) SELECT randomblob(16), place, 'standard', zeroblob(16), 4096, 12, {}, {}, 10, first, first + length FROM n",
        id(ms, "80"),
        id(&format!("{ms} + 999"), "bf"),
    );
    let timeline = |kind: u8| {
        format!(
            "INSERT INTO timeline (kind, span, time_first, time_last, log_index) \
             SELECT {kind}, iif(i % 100 = 0, 47, 30), first, first + length, place FROM n"
        )
    };
    let spans =
        "INSERT OR IGNORE INTO span VALUES (-1, 10), (0, 30), (2, 30), (3, 30), (0, 47), (2, 47), (3, 47)";
    let mut transaction = connection.begin().await.unwrap();
    for statement in [rows, segments, timeline(0), timeline(2), timeline(3), spans.to_owned()] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    connection.close().await.unwrap();
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let clock = SystemClock;
    let began = clock.monotonic_ns();
    let result = work.await;
    let took = (clock.monotonic_ns() - began) / 1_000;
    println!("{what}: {took} µs");
    // A scan of the rows takes longer by far; the plans are tested beside the queries.
    assert!(took < 500_000, "{what} took {took} µs");
    result
}

async fn take(fixture: &Fixture, filter: &Filter, count: usize) -> Vec<StoredRecord> {
    let mut found = Vec::new();
    let mut each = |record| {
        found.push(record);
        if found.len() == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    fixture.reader().await.list(filter, &mut each).await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_segments_are_no_scan() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let ids: Vec<RecordId> = (0..50).map(|_| record(&producer, &Given::default())).collect();
    // Before all the others, so that it is found at the other end.
    let oldest = Slots::new(Kind::Review).event(&event(5, Vec::new())).text(&["review", "action"], "none");
    let oldest = Slots { class: "long", ..oldest }.hand_over(&producer);
    fixture.seal().await;
    add_segments(&fixture).await;

    let engine = timed("opening an engine", fixture.engine()).await;
    engine.close().await;
    let reader = timed("opening a reader", fixture.reader()).await;
    for id in [&ids[0], &ids[49], &oldest] {
        assert_eq!(timed("a record by id", reader.get(id)).await.unwrap().header.id, *id);
    }
    // Before all that have an id of their own time, after the others.
    let absent: RecordId = "00e8d4a5-0fff-7000-8000-000000000000".parse().unwrap();
    assert!(timed("an id that is not there", reader.get(&absent)).await.is_err());
    let decisions = Filter { kinds: vec![Kind::Decision], ..Filter::default() };
    let latest = timed("the latest ten decisions", take(&fixture, &decisions, 10)).await;
    let found: Vec<RecordId> = latest.iter().map(|record| record.header.id).collect();
    assert_eq!(found, ids.iter().rev().take(10).copied().collect::<Vec<_>>());
    let reviews = Filter { kinds: vec![Kind::Review], to_ns: 1_000, ..Filter::default() };
    assert_eq!(timed("a review of long ago", take(&fixture, &reviews, 10)).await[0].header.id, oldest);
    let first = Filter { oldest_first: true, ..Filter::default() };
    assert_eq!(timed("the first record", take(&fixture, &first, 1)).await[0].header.id, oldest);
    // A window in the middle: the rows have no objects, so the error names the one that was opened.
    let middle = 1_000_000_000_000_000_000 + 500_000 * 1_000_000_000;
    let window = Filter { from_ns: middle + 1, to_ns: middle + 2, oldest_first: true, ..Filter::default() };
    let opened =
        timed("a window in the middle", reader.list(&window, &mut |_| ControlFlow::Continue(()))).await;
    assert!(opened.unwrap_err().to_string().contains("is missing"));
    let (all, mut none) = (Filter::default(), |_| panic!("nothing is there"));
    let next = timed("following from the end", reader.since(20_000_000, &all, &mut none)).await;
    assert_eq!(next.unwrap(), 20_000_000);
}

fn amount(record: &StoredRecord) -> String {
    let Content::Readable { values, .. } = &record.content else { panic!("unreadable") };
    let place = record.schema.find_parts(&["inputs", "name"]).unwrap();
    String::from_utf8_lossy(&values[place][1..]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_overlap_are_listed_in_order() {
    let fixture = Fixture::new().await;
    let mut state = 11u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    // Twelve rounds of two classes: two dozen segments, some far apart, some over everything, with equal times too.
    let mut given: Vec<(i64, RecordId, Kind, String)> = Vec::new();
    let producer = fixture.producer("web");
    for round in 0..12 {
        for n in 0..40 {
            let time = match round % 3 {
                0 => draw(1_000) as i64 - 500,
                1 => round * 50 + draw(60) as i64,
                _ => 400 + draw(3) as i64,
            };
            let (kind, class) =
                if n % 4 == 0 { (Kind::Outcome, "long") } else { (Kind::Decision, "standard") };
            let name = format!("{round}-{n}");
            let slots = Slots::new(kind).event(&event(time, Vec::new())).text(&["inputs", "name"], &name);
            let slots =
                slots.with(&["inputs", "filler"], FieldType::Text, encode(&Value::Text("x".repeat(500))));
            let id = Slots { class, ..slots }.hand_over(&producer);
            given.push((time, id, kind, name));
        }
        fixture.seal().await;
    }
    given.sort();
    let reader = fixture.reader().await;
    for (from_ns, to_ns) in [(i64::MIN, 1_000_000), (400, 402), (-100, 450), (999, 1_000), (600, 500)] {
        for kinds in [vec![], vec![Kind::Outcome], vec![Kind::Outcome, Kind::Decision]] {
            for oldest_first in [true, false] {
                let mut expected: Vec<&String> = given
                    .iter()
                    .filter(|(time, _, kind, _)| {
                        (from_ns..=to_ns).contains(time) && (kinds.is_empty() || kinds.contains(kind))
                    })
                    .map(|(.., name)| name)
                    .collect();
                if !oldest_first {
                    expected.reverse();
                }
                let filter = Filter { from_ns, to_ns, kinds: kinds.clone(), oldest_first };
                // With room for everything, for a few records, and for one at a time.
                for bytes in [1 << 20, 20_000, 1] {
                    let mut listed = Vec::new();
                    let mut each = |record: StoredRecord| {
                        // Events of long ago are in windows that are over.
                        if record.header.kind != Kind::Window {
                            listed.push(amount(&record));
                        }
                        ControlFlow::Continue(())
                    };
                    reader.list_within(bytes, &filter, &mut each).await.unwrap();
                    assert!(listed.iter().eq(expected.iter().copied()), "{filter:?} within {bytes} bytes");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_followed_by_whoever_stays() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    record(&producer, &Given::default());
    fixture.seal().await;
    let reader = fixture.reader().await;
    let filter = Filter { kinds: vec![Kind::Decision], ..Filter::default() };
    let mut next = 0;
    let mut seen = Vec::new();
    for round in 0..4 {
        if round > 0 {
            // Another class, and persons in buckets that nobody was in when the reader was opened.
            for n in 0..3 {
                let subject = format!("person {round} {n}");
                let subjects = vec![subject.as_str()];
                let class = if round == 2 { "long" } else { "standard" };
                record(&producer, &Given { subjects, class, ..Given::default() });
            }
            fixture.seal().await;
        }
        let mut each = |record: StoredRecord| {
            assert!(
                matches!(record.content, Content::Readable { .. }),
                "round {round}: {:?}",
                record.content
            );
            seen.push(record);
            ControlFlow::Continue(())
        };
        next = reader.since(next, &filter, &mut each).await.unwrap();
    }
    assert_eq!(seen.len(), 10);
    assert!(seen.is_sorted_by_key(|record| (record.sealed.log_index, record.time_ns())));
    assert_eq!(reader.since(next, &filter, &mut |_| panic!("nothing new")).await.unwrap(), next);
}
