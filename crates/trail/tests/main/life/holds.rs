//! Holds: what they are over is neither erased nor disposed of, and said so; their texts betray nobody.

use super::{healthy, now_ns, records_of, sealed_in, set};
use crate::files::files;
use crate::fixture::{Fixture, Given};
use minutebook_record::Kind;
use minutebook_trail::{Engine, Error, HoldFilter, HoldRequest, Whom};

const MONTH: &str = "[[class]]\nname = \"standard\"\nkeep = \"1 month\"\n";

fn request(name: &str, filter: HoldFilter) -> HoldRequest {
    HoldRequest { name: name.into(), reason: "case 7".into(), by: "counsel".into(), filter }
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

/// What erasing a subject is refused with; nothing when it is done.
async fn erase(engine: &mut Engine, subject: &str) -> Option<Vec<String>> {
    match engine.erase(Whom::Subject(subject), "request", "clerk").await {
        Ok(_) => None,
        Err(Error::Held { holds }) => Some(holds),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_placed_listed_and_lifted_and_names_nobody() {
    let fixture = Fixture::new().await;
    sealed_in(&fixture, -70, &[Given { subjects: vec!["ann-2209"], ..Given::default() }]).await;
    let mut engine = fixture.engine().await;
    let filter = HoldFilter { subject: some("ann-2209"), ..HoldFilter::default() };
    let hold = engine.place_hold(&request("case-7", filter.clone())).await.unwrap();
    assert_eq!((hold.one_subject, hold.subject), (true, Some(1)));
    let twice = engine.place_hold(&request("case-7", filter)).await.unwrap_err();
    assert!(twice.to_string().contains("in force already"), "{twice}");
    for wrong in [
        HoldFilter::default(),
        HoldFilter { class: some("No Class"), ..HoldFilter::default() },
        HoldFilter { from_ns: Some(2), to_ns: Some(1), ..HoldFilter::default() },
        HoldFilter { model: some(""), ..HoldFilter::default() },
    ] {
        let refused = engine.place_hold(&request("wrong", wrong)).await.unwrap_err();
        assert!(matches!(refused, Error::Request(_)), "{refused}");
    }
    let reader = fixture.reader().await;
    assert_eq!(reader.holds().await.unwrap(), std::slice::from_ref(&hold));
    healthy(&fixture).await;
    let missing = engine.lift_hold("case-8", "over", "counsel").await.unwrap_err();
    assert!(matches!(missing, Error::NoHold), "{missing}");
    // By its id too, and across a rotation of the key that wraps the lookup key.
    engine.rotate_key_encryption().await.unwrap();
    assert_eq!(engine.lift_hold(&hold.id, "settled", "counsel").await.unwrap(), hold);
    assert_eq!(reader.holds().await.unwrap(), []);
    engine.close().await;
    assert_eq!(records_of(&fixture, Kind::Hold).await.len(), 2);
    for (name, bytes) in files(&fixture.place.folder) {
        assert!(!bytes.windows(8).any(|window| window == b"ann-2209"), "the subject's name is in {name}");
    }
    fixture.check().await;
    healthy(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hold_is_over_is_not_erased_and_the_rest_is() {
    let fixture = Fixture::new().await;
    let given = |subjects: &[&'static str], class, model| Given {
        subjects: subjects.to_vec(),
        class,
        model,
        ..Given::default()
    };
    sealed_in(
        &fixture,
        -70,
        &[
            given(&["ann"], "standard", "credit"),
            given(&["ben"], "long", "credit"),
            given(&["cat"], "standard", "churn"),
            given(&["ann", "dan"], "long", "churn"),
            given(&["eve"], "long", "churn"),
        ],
    )
    .await;
    let mut engine = fixture.engine().await;
    let day = 86_400_000_000_000;
    let now_ns = now_ns();
    let holds = [
        ("by-subject", HoldFilter { subject: some("ann"), class: some("long"), ..HoldFilter::default() }),
        ("by-model", HoldFilter { model: some("credit@1"), ..HoldFilter::default() }),
        ("other-version", HoldFilter { model: some("churn@2"), ..HoldFilter::default() }),
        (
            "by-class",
            HoldFilter { class: some("standard"), to_ns: Some(now_ns - 60 * day), ..HoldFilter::default() },
        ),
        ("later", HoldFilter { from_ns: Some(now_ns - 60 * day), ..HoldFilter::default() }),
    ];
    for (name, filter) in holds {
        engine.place_hold(&request(name, filter)).await.unwrap();
    }
    let by =
        |names: &[&str]| Some(names.iter().map(|name| format!("hold `{name}` (case 7)")).collect::<Vec<_>>());
    assert_eq!(erase(&mut engine, "ann").await, by(&["by-class", "by-model", "by-subject"]));
    assert_eq!(erase(&mut engine, "ben").await, by(&["by-model"]));
    assert_eq!(erase(&mut engine, "cat").await, by(&["by-class"]));
    // What is about two needs the keys of both.
    assert_eq!(erase(&mut engine, "dan").await, by(&["by-subject"]));
    assert_eq!(erase(&mut engine, "eve").await, None);
    for name in ["by-class", "by-model"] {
        engine.lift_hold(name, "settled", "counsel").await.unwrap();
    }
    assert_eq!(erase(&mut engine, "ben").await, None);
    assert_eq!(erase(&mut engine, "ann").await, by(&["by-subject"]));
    engine.close().await;
    fixture.check().await;
    healthy(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hold_is_over_is_not_disposed_of() {
    let fixture = Fixture::new().await;
    let ann = Given { subjects: vec!["ann"], model: "credit", ..Given::default() };
    sealed_in(&fixture, -110, &[Given { model: "churn", ..Given::default() }]).await;
    sealed_in(&fixture, -70, &[ann, Given::default()]).await;
    set(&fixture, 0, MONTH).await;
    let mut engine = fixture.engine().await;
    let filter = HoldFilter { subject: some("ann"), ..HoldFilter::default() };
    engine.place_hold(&request("case-7", filter)).await.unwrap();
    let certificate = engine.dispose("clerk").await.unwrap();
    assert_eq!(certificate.disposed.len(), 1, "the month without her");
    let held: Vec<_> = certificate.kept.iter().filter(|kept| kept.is_past).collect();
    assert_eq!(held.len(), 1);
    assert_eq!(
        (held[0].why.as_slice(), &held[0].until),
        (["hold `case-7` (case 7)".to_owned()].as_slice(), &None)
    );
    engine.lift_hold("case-7", "settled", "counsel").await.unwrap();
    // A model's, and one of a time.
    let model = HoldFilter { model: some("credit"), ..HoldFilter::default() };
    engine.place_hold(&request("case-8", model)).await.unwrap();
    assert_eq!(engine.dispose("clerk").await.unwrap().disposed, []);
    engine.lift_hold("case-8", "settled", "counsel").await.unwrap();
    let everything = HoldFilter { from_ns: Some(0), ..HoldFilter::default() };
    engine.place_hold(&request("case-9", everything)).await.unwrap();
    assert_eq!(engine.dispose("clerk").await.unwrap().disposed, []);
    engine.lift_hold("case-9", "settled", "counsel").await.unwrap();
    assert_eq!(engine.dispose("clerk").await.unwrap().disposed.len(), 1);
    engine.close().await;
    fixture.check().await;
    healthy(&fixture).await;
}
