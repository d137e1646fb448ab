//! The life of the data: floors that cannot be undercut, disposal of what is past its retention, holds over both, and what is left afterwards.

mod dispose;
mod holds;

use crate::fixture::{Fixture, Given, record};
use minutebook_capture::{Clock, IntakePublicKey, Producer, ProducerOptions, SystemClock};
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{Engine, Environment, Error, Filter, Place, StoredRecord};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A clock that is some days ahead.
pub struct Days(pub i64);

impl Clock for Days {
    fn wall_ns(&self) -> i64 {
        SystemClock.wall_ns() + self.0 * 86_400_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        SystemClock.monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        SystemClock.error_ns()
    }
}

pub fn now_ns() -> i64 {
    SystemClock.wall_ns()
}

pub async fn engine_in(fixture: &Fixture, days: i64) -> Engine {
    let environment = Environment { clock: Arc::new(Days(days)), ..Environment::default() };
    Engine::open(&fixture.place, environment).await.unwrap()
}

pub fn producer_in(fixture: &Fixture, days: i64, name: &str) -> Producer {
    producer_at(&fixture.place, days, name)
}

pub fn producer_at(place: &Place, days: i64, name: &str) -> Producer {
    let file = place.trail_file().unwrap();
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let options = ProducerOptions {
        part_bytes: 1 << 20,
        clock: Arc::new(Days(days)),
        ..ProducerOptions::new(place.spool(), file.id, intake, name)
    };
    Producer::open(options).unwrap()
}

/// Records and seals, so many days ahead.
pub async fn sealed_in(fixture: &Fixture, days: i64, given: &[Given<'_>]) -> Vec<RecordId> {
    let producer = producer_in(fixture, days, "web");
    let ids = given.iter().map(|given| record(&producer, given)).collect();
    producer.close().unwrap();
    let mut engine = engine_in(fixture, days).await;
    engine.seal().await.unwrap();
    engine.close().await;
    ids
}

pub fn settings(rest: &str) -> String {
    format!("format = \"minutebook/retention/1\"\n{rest}")
}

pub async fn set(fixture: &Fixture, days: i64, rest: &str) {
    let mut engine = engine_in(fixture, days).await;
    engine.set_retention(&settings(rest)).await.unwrap();
    engine.close().await;
}

pub async fn records_of(fixture: &Fixture, kind: Kind) -> Vec<StoredRecord> {
    let mut found = Vec::new();
    let mut each = |record: StoredRecord| {
        found.push(record);
        ControlFlow::Continue(())
    };
    let filter = Filter { kinds: vec![kind], oldest_first: true, ..Filter::default() };
    fixture.reader().await.list(&filter, &mut each).await.unwrap();
    found
}

/// `doctor --deep` has nothing to complain about.
pub async fn healthy(fixture: &Fixture) {
    let findings = minutebook_trail::doctor(&fixture.place, true).await.unwrap();
    let wrong: Vec<_> =
        findings.iter().filter(|finding| finding.severity == minutebook_verify::Severity::Problem).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const CREDIT: &str = "[[class]]\nname = \"standard\"\nfloor = \"6 months\"\nkeep = \"3 years\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_put_in_force_and_recorded() {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    assert_eq!(engine.retention().await.unwrap(), None);
    let text = settings(CREDIT);
    assert!(engine.set_retention(&text).await.unwrap());
    assert!(!engine.set_retention(&text).await.unwrap(), "in force already");
    assert_eq!(engine.retention().await.unwrap(), Some(text.clone()));
    let wrong = engine.set_retention(&settings("[[class]]\nname = \"Wrong\"\n")).await.unwrap_err();
    assert!(matches!(wrong, Error::Retention(_)), "{wrong}");
    engine.close().await;
    assert_eq!(fixture.reader().await.retention().await.unwrap(), Some(text));
    assert_eq!(records_of(&fixture, Kind::Policy).await.len(), 1);
    fixture.check().await;
    healthy(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_is_not_shortened_while_records_are_under_it() {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    let with = |floor: &str| settings(&CREDIT.replace("6 months", floor));
    engine.set_retention(&with("6 months")).await.unwrap();
    // Nothing was recorded under it.
    assert!(engine.set_retention(&with("5 months")).await.unwrap());
    let producer = fixture.producer("web");
    // In the spool only, when the settings come.
    record(&producer, &Given::default());
    for shorter in [with("4 months"), with("140 days"), settings("")] {
        let refused = engine.set_retention(&shorter).await.unwrap_err();
        assert!(matches!(refused, Error::FloorShortened { .. }), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("the floor of class `standard` is 5 months"), "{told}");
    }
    assert_eq!(engine.retention().await.unwrap(), Some(with("5 months")));
    assert!(engine.set_retention(&with("25 months")).await.unwrap(), "raising is fine");
    // A model's floor stays, whether anything of it is recorded or not.
    let model =
        |name: &str| format!("{}[[model]]\nname = \"{name}\"\nclass = \"standard\"\n", with("25 months"));
    assert!(engine.set_retention(&model("credit-*")).await.unwrap());
    let refused = engine.set_retention(&model("credit-risk")).await.unwrap_err().to_string();
    assert!(refused.contains("models named `credit-*` have a floor of 25 months"), "{refused}");
    producer.close().unwrap();
    engine.seal().await.unwrap();
    engine.close().await;
    fixture.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_inside_a_floor_is_not_erased_until_its_end() {
    let fixture = Fixture::new().await;
    let ann = |class| Given { class, subjects: vec!["ann"], ..Given::default() };
    let ben = Given { class: "other", subjects: vec!["ben"], ..Given::default() };
    // Of ann's two records only the later one is inside the floor by now.
    sealed_in(&fixture, -70, &[ann("standard"), ben.clone()]).await;
    sealed_in(&fixture, -10, &[ann("standard"), ben]).await;
    set(&fixture, 0, "[[class]]\nname = \"standard\"\nfloor = \"30 days\"\n").await;
    let mut engine = fixture.engine().await;
    let refused = engine.erase(minutebook_trail::Whom::Subject("ann"), "request", "clerk").await.unwrap_err();
    let Error::InsideFloor { class, until, .. } = &refused else { panic!("{refused}") };
    assert_eq!(class, "standard");
    let until: jiff::Timestamp = until.parse().unwrap();
    let hours = (until.as_second() - now_ns() / 1_000_000_000) / 3_600;
    assert!((479..=480).contains(&hours), "twenty days from now: {hours} hours");
    assert!(refused.to_string().contains("has to be kept until 20"), "{refused}");
    // Ben's class has no floor.
    engine.erase(minutebook_trail::Whom::Subject("ben"), "request", "clerk").await.unwrap();
    engine.close().await;
    let mut later = engine_in(&fixture, 21).await;
    later.erase(minutebook_trail::Whom::Subject("ann"), "request", "clerk").await.unwrap();
    later.close().await;
    fixture.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_floor_holds_in_whichever_class_its_records_are() {
    let fixture = Fixture::new().await;
    let given = |model| Given { class: "short", subjects: vec![model], model, ..Given::default() };
    sealed_in(&fixture, -70, &[given("credit-risk"), given("churn")]).await;
    let rules = "[[class]]\nname = \"short\"\nfloor = \"1 week\"\nkeep = \"2 weeks\"\n[[class]]\nname = \"long\"\n\
                 floor = \"6 months\"\nkeep = \"1 year\"\n[[model]]\nname = \"credit-*\"\nclass = \"long\"\n";
    set(&fixture, 0, rules).await;
    let mut engine = fixture.engine().await;
    let refused =
        engine.erase(minutebook_trail::Whom::Subject("credit-risk"), "request", "clerk").await.unwrap_err();
    assert!(matches!(&refused, Error::InsideFloor { class, .. } if class == "long"), "{refused}");
    engine.erase(minutebook_trail::Whom::Subject("churn"), "request", "clerk").await.unwrap();
    // And its class is not disposed of.
    let certificate = engine.dispose("clerk").await.unwrap();
    assert_eq!(certificate.disposed, []);
    let kept = certificate.kept.iter().find(|kept| kept.is_past).unwrap();
    assert!(
        kept.why[0].starts_with("model `credit-risk` belongs to class `long`, which is kept until "),
        "{kept:?}"
    );
    assert!(kept.until.is_some());
    engine.close().await;
    fixture.check().await;
}
