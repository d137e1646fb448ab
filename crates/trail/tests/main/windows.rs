//! Windows: what is counted of all decisions, kept or not, adds up to the numbers that were drawn, whatever happens in between.

use crate::fixture::{Fixture, Given, class, record};
use minutebook_capture::{Clock, Producer, ShapeDef, SystemClock};
use minutebook_record::cbor::Reader as Cbor;
use minutebook_record::fields::ModelRef;
use minutebook_record::{Kind, Path, Schema};
use minutebook_sketch::{Key, Length, SealedWindow, Window};
use minutebook_trail::{Content, Engine, Environment, Filter, StoredRecord};
use minutebook_verify::windows::WindowsReport;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A `window` record.
#[derive(Debug)]
struct Told {
    length: u64,
    through: u64,
    window: Window,
}

fn told(record: &StoredRecord) -> Told {
    let Content::Readable { values, .. } = &record.content else { panic!("unreadable") };
    let field = |name: &str| &values[record.schema.find_parts(&["window", name]).unwrap()];
    let number = |name: &str| Cbor::new(field(name)).unsigned().unwrap();
    let sealed = SealedWindow::from_fields(|name| Some(field(name).as_slice())).unwrap();
    Told { length: number("length"), through: number("through"), window: sealed.open().unwrap() }
}

async fn windows(fixture: &Fixture) -> Vec<Told> {
    let filter = Filter { kinds: vec![Kind::Window], oldest_first: true, ..Filter::default() };
    let mut found = Vec::new();
    let mut each = |record: StoredRecord| {
        found.push(told(&record));
        ControlFlow::Continue(())
    };
    fixture.reader().await.list(&filter, &mut each).await.unwrap();
    found
}

/// A clock that is ahead.
struct Ahead(i64);

impl Clock for Ahead {
    fn wall_ns(&self) -> i64 {
        SystemClock.wall_ns() + self.0 * 1_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        SystemClock.monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        SystemClock.error_ns()
    }
}

async fn engine_ahead(fixture: &Fixture, seconds: i64) -> Engine {
    let environment = Environment { clock: Arc::new(Ahead(seconds)), ..Environment::default() };
    Engine::open(&fixture.place, environment).await.unwrap()
}

async fn counted(fixture: &Fixture) -> (u64, u64) {
    let WindowsReport { decisions, counted } = fixture.check().await.windows.unwrap();
    (counted, decisions)
}

const TENTH: &str = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"credit\"\n[[model.rule]]\nname = \"tenth\"\nrate = 0.1\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_in_one_window_whether_it_is_kept_or_not() {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    engine.set_policy(TENTH).await.unwrap();
    let producer = fixture.producer("web");
    for n in 0..400 {
        let model = if n % 4 == 0 { "fraud" } else { "credit" };
        let text = if n % 2 == 0 { "car" } else { "boat" };
        record(&producer, &Given { model, text: text.into(), number: f64::from(n), ..Given::default() });
        record(&producer, &Given { kind: Kind::Outcome, ..Given::default() });
    }
    engine.seal().await.unwrap();
    assert_eq!(counted(&fixture).await, (0, 400), "no minute is over");
    let report = engine.seal_windows().await.unwrap();
    assert!(report.windows >= 2);
    assert_eq!(counted(&fixture).await, (400, 400));
    // There is nothing left to tell.
    assert_eq!(engine.seal_windows().await.unwrap().windows, 0);
    engine.close().await;

    let mut all = Window::default();
    for told in windows(&fixture).await {
        assert!(told.length == 60 || told.window.decisions < 10, "{told:?}");
        all.merge(told.window);
    }
    assert_eq!((all.decisions, all.status["ok"]), (400, 400));
    let judged = all.rules["tenth"];
    assert_eq!(judged.judged, 300);
    let kept = fixture.check().await.accounts.iter().map(|account| account.kept).sum::<u64>();
    assert!(judged.kept > 0 && judged.kept < 100 && kept > 400 + judged.kept);
    let feature = |parts: [&str; 2]| all.features[&Path::new(parts).unwrap()].clone();
    let amount = feature(["inputs", "amount"]).numbers.unwrap().moments().unwrap();
    assert_eq!((amount.count, amount.min, amount.max, amount.mean), (400, 0.0, 399.0, 199.5));
    assert_eq!(
        feature(["inputs", "purpose"]).texts.unwrap().items(1),
        [("boat".into(), 200), ("car".into(), 200)]
    );
    assert_eq!(feature(["outputs", "approve"]).texts.unwrap().items(1), [("true".into(), 400)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_over_becomes_a_record_and_goes_into_the_hours_and_the_days() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut engine = fixture.engine().await;
    for _ in 0..100 {
        record(&producer, &Given::default());
    }
    engine.seal().await.unwrap();
    assert!(!engine.has_windows_due());
    engine.close().await;
    // A minute, an hour and a day later; what was counted waited in the catalog.
    for (ahead, lengths) in [(100, vec![60]), (4_000, vec![60, 3_600]), (100_000, vec![60, 3_600, 86_400])] {
        let mut engine = engine_ahead(&fixture, ahead).await;
        assert!(engine.has_windows_due());
        engine.seal().await.unwrap();
        assert!(!engine.has_windows_due());
        engine.close().await;
        let mut found = windows(&fixture).await;
        found.sort_by_key(|told| (told.length, told.through));
        let mut kinds: Vec<u64> = found.iter().map(|told| told.length).collect();
        kinds.dedup();
        assert_eq!(kinds, lengths);
        for length in lengths {
            let of_length = found.iter().filter(|told| told.length == length);
            assert_eq!(of_length.map(|told| told.window.decisions).sum::<u64>(), 100);
        }
        assert_eq!(counted(&fixture).await, (100, 100), "longer windows count no number again");
        assert!(
            found
                .windows(2)
                .all(|pair| pair[0].length == pair[1].length || pair[0].through < pair[1].through)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_few_decisions_are_told_by_the_day() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    for n in 0..9 {
        let model = if n % 3 == 0 { "fraud" } else { "credit" };
        record(&producer, &Given { model, text: "secret".into(), ..Given::default() });
    }
    drop(producer);
    let mut engine = fixture.engine().await;
    engine.seal().await.unwrap();
    engine.close().await;
    let mut engine = engine_ahead(&fixture, 4_000).await;
    engine.seal().await.unwrap();
    assert_eq!(windows(&fixture).await.len(), 0);
    engine.seal_windows().await.unwrap();
    engine.close().await;
    let found = windows(&fixture).await;
    assert_eq!(found.iter().map(|told| (told.length, told.window.decisions)).collect::<Vec<_>>().len(), 2);
    assert!(found.iter().all(|told| told.length == 86_400));
    assert!(!format!("{found:?}").contains("secret"));
    assert_eq!(counted(&fixture).await, (9, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_survives_a_crash_and_is_not_counted_twice() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut all = 0;
    for round in 0..4 {
        for _ in 0..(10 + round) {
            record(&producer, &Given::default());
            all += 1;
        }
        // The engine goes without a word, with windows open.
        let mut engine = fixture.engine().await;
        engine.seal().await.unwrap();
        drop(engine);
    }
    let mut engine = fixture.engine().await;
    engine.seal_windows().await.unwrap();
    engine.close().await;
    assert_eq!(counted(&fixture).await, (all, all));
    let total: u64 = windows(&fixture).await.iter().map(|told| told.window.decisions).sum();
    assert_eq!(total, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_what_few_had_out_of_the_windows() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    for n in 0..60 {
        let (text, subjects) = if n < 9 { ("very rare", vec!["ann"]) } else { ("car", vec![]) };
        record(&producer, &Given { text: text.into(), subjects, ..Given::default() });
    }
    let mut engine = fixture.engine().await;
    engine.erase(minutebook_trail::Whom::Subject("ann"), "request", "clerk").await.unwrap();
    // With more of the same the text would be frequent, had it not been forgotten.
    for _ in 0..9 {
        record(&producer, &Given { text: "very rare".into(), ..Given::default() });
    }
    engine.seal().await.unwrap();
    engine.seal_windows().await.unwrap();
    engine.close().await;
    assert!(!format!("{:?}", windows(&fixture).await).contains("very rare"));
    assert_eq!(counted(&fixture).await, (69, 69));
}

/// Hands over a window of decisions that have no records, which counts the numbers from one to another.
fn hand_over_counted(producer: &Producer, decisions: u64, from: u64, to: u64, foreign: bool) {
    let drawn = producer.draw_many(&class("standard"), 1).unwrap();
    let mut window = Window { decisions, ..Window::default() };
    let mut id = drawn.producer.0;
    id[0] ^= u8::from(foreign);
    window.covers.entry((id, drawn.epoch.get(), "standard".to_owned())).or_default().add(from, to);
    let mut model = Vec::new();
    ModelRef { name: "ranker".into(), version: "1".into(), artifact: None }.write(&mut model);
    let start = Length::Minute.start_of(SystemClock.wall_ns() / 1_000_000_000);
    let key = Key { length: Length::Minute, start, model: model.into() };
    let part = window.seal().remove(0);
    let (fields, values): (Vec<_>, Vec<_>) = minutebook_sketch::fields(&key, &part, 0).into_iter().unzip();
    let shape = ShapeDef::from_encoded(Schema::new(fields).unwrap(), Vec::new()).unwrap();
    let shape = producer.shape_of(shape).unwrap();
    let mut encoder = producer.begin(&class("standard")).unwrap().record(&shape, Kind::Window);
    values.iter().for_each(|value| {
        encoder.raw(value);
    });
    encoder.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_producer_counted_has_its_numbers_and_goes_into_the_hour() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    for _ in 0..5 {
        record(&producer, &Given::default());
    }
    // The numbers 6 to 1,005; 1,006 is one of which no window says anything.
    let drawn = producer.draw_many(&class("standard"), 1_000).unwrap();
    assert_eq!((drawn.from, drawn.to), (6, 1_005));
    hand_over_counted(&producer, 1_000, 6, 1_005, false);
    producer.close().unwrap();
    let mut engine = engine_ahead(&fixture, 10_000).await;
    engine.seal().await.unwrap();
    engine.seal().await.unwrap();
    engine.seal_windows().await.unwrap();
    engine.close().await;
    assert_eq!(counted(&fixture).await, (1_005, 1_005));
    let report = fixture.check().await;
    let account = report.accounts.iter().find(|account| account.class == "standard").unwrap();
    assert_eq!((account.drawn, account.counted, account.kept), (1_007, 1_000, 6));
    assert_eq!(account.lost.values().sum::<u64>(), 1);
    let found = windows(&fixture).await;
    let of = |length| {
        found.iter().filter(move |told| told.length == length).map(|told| told.window.decisions).sum::<u64>()
    };
    assert_eq!((of(60), of(3_600)), (1_000, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_counts_its_own_free_numbers_only() {
    // Numbers that have records, more decisions than numbers, another producer's.
    for (decisions, from, to, foreign) in [(5, 1, 5, false), (21, 6, 25, false), (20, 6, 25, true)] {
        let fixture = Fixture::new().await;
        let producer = fixture.producer("web");
        for _ in 0..5 {
            record(&producer, &Given::default());
        }
        producer.draw_many(&class("standard"), 20).unwrap();
        hand_over_counted(&producer, decisions, from, to, foreign);
        producer.close().unwrap();
        fixture.seal().await;
        let report = fixture.check().await;
        let account = report.accounts.iter().find(|account| account.class == "standard").unwrap();
        assert_eq!((account.kept, account.counted), (5, 0));
        assert_eq!(account.lost.values().sum::<u64>(), 22, "{account:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_cannot_tell_of_windows() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    record(&producer, &Given { kind: Kind::Window, ..Given::default() });
    fixture.seal().await;
    let report = fixture.check().await;
    let refused = report.accounts.iter().flat_map(|account| &account.lost).map(|(_, count)| count);
    assert_eq!(refused.sum::<u64>(), 1);
}
