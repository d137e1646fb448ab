//! All records about one person: those that name them and those that link to one, of all classes, and nobody else's.

use crate::fixture::{Fixture, Given, record};
use crate::slots::{Slots, event};
use minutebook_capture::Producer;
use minutebook_record::fields::Subjects;
use minutebook_record::{FieldType, Kind, RecordId};
use minutebook_tlog::Policy;
use minutebook_trail::{Content, Error, Whom};
use minutebook_verify::receipt::verify_receipt;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

async fn found(fixture: &Fixture, subject: &str) -> Vec<RecordId> {
    let mut ids = Vec::new();
    let mut each = |record: minutebook_trail::StoredRecord| {
        assert!(matches!(record.content, Content::Readable { .. }), "{}", record.header.id);
        ids.push(record.header.id);
        ControlFlow::Continue(())
    };
    fixture.reader().await.of_subject(subject, &mut each).await.unwrap();
    ids
}

fn linked(producer: &Producer, kind: Kind, class: &str, link: RecordId) -> RecordId {
    record(producer, &Given { kind, class, links: vec![link], ..Given::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_about_a_person_is_found_and_nothing_else() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let about = |subjects: &[&'static str], class| {
        record(&producer, &Given { subjects: subjects.to_vec(), class, ..Given::default() })
    };
    let mut anns = BTreeSet::new();
    let first = about(&["ann"], "standard");
    let bens = about(&["ben"], "standard");
    anns.extend([first, about(&["ben", "ann"], "standard"), about(&["ann"], "long")]);
    anns.insert(linked(&producer, Kind::Outcome, "standard", first));
    let others = linked(&producer, Kind::Outcome, "standard", bens);
    for _ in 0..500 {
        about(&["cat"], "standard");
    }
    fixture.seal().await;
    // In a later segment: about a decision that is sealed, and about what is about one.
    let review = linked(&producer, Kind::Review, "long", first);
    anns.extend([
        review,
        linked(&producer, Kind::Explanation, "standard", review),
        about(&["ann"], "standard"),
    ]);
    record(&producer, &Given::default());
    fixture.seal().await;

    let ids = found(&fixture, "ann").await;
    assert_eq!(ids.len(), anns.len(), "each once");
    assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), anns);
    let bens: BTreeSet<_> = found(&fixture, "ben").await.into_iter().collect();
    assert!(bens.contains(&others) && bens.len() == 3, "{bens:?}");

    let reader = fixture.reader().await;
    let policy = Policy::parse(reader.policy().as_bytes()).unwrap();
    for id in &anns {
        let receipt = reader.receipt(id, &[]).await.unwrap();
        assert_eq!(verify_receipt(receipt.as_bytes(), &policy).unwrap().header.id, *id);
    }
    // Who has enough is not given more.
    let mut count = 0;
    let mut each = |_| {
        count += 1;
        ControlFlow::Break(())
    };
    reader.of_subject("ann", &mut each).await.unwrap();
    assert_eq!(count, 1);
    let nobody = reader.of_subject("nobody", &mut |_| ControlFlow::Continue(())).await.unwrap_err();
    assert!(matches!(nobody, Error::NoSubject));
    drop(reader);
    let mut engine = fixture.engine().await;
    engine.erase(Whom::Subject("ann"), "request", "the test").await.unwrap();
    engine.close().await;
    let erased = fixture.reader().await.of_subject("ann", &mut |_| ControlFlow::Continue(())).await;
    assert!(matches!(erased, Err(Error::NoSubject)));
    let left = fixture.reader().await.get(&others).await.unwrap();
    assert!(matches!(left.content, Content::Readable { .. }), "somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_decision_that_it_links_to_is_found_too() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let pending = producer.begin(&crate::fixture::class("standard")).unwrap();
    let early = linked(&producer, Kind::Outcome, "standard", pending.id());
    fixture.seal().await;
    let mut subject = Vec::new();
    Subjects(vec!["ann".into()]).write(&mut subject);
    let decision = Slots::new(Kind::Decision).with(&["subject"], FieldType::Subject, subject);
    let decision = decision.event(&event(1_760_000_000_000_000_000, Vec::new())).finish(&producer, pending);
    fixture.seal().await;
    assert_eq!(found(&fixture, "ann").await, [decision, early]);
}
