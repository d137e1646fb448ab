//! The engine signs what it says of records that were handed over.

use crate::fixture::{Fixture, Given, record};
use minutebook_tlog::VerifierKey;
use minutebook_trail::Error;
use minutebook_verify::acknowledgement::{AcknowledgedLevel, Acknowledgement};

#[tokio::test(flavor = "multi_thread")]
async fn records_are_acknowledged_by_the_key_that_the_trail_names() {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let ids = [record(&producer, &Given::default()), record(&producer, &Given::default())];
    let mut engine = fixture.engine().await;
    engine.seal().await.unwrap();
    let file = engine.trail().clone();
    let key: VerifierKey = file.acknowledgement_key.parse().unwrap();
    let log_key: VerifierKey = file.log_key.parse().unwrap();

    let handed =
        engine.acknowledge(AcknowledgedLevel::Process, ids.iter().map(|id| (*id, None)).collect()).unwrap();
    let said = Acknowledgement::verify(&handed.bytes, &handed.signature, &key).unwrap();
    assert_eq!((said.trail, said.level, said.records[1].0), (file.id, AcknowledgedLevel::Process, ids[1]));
    assert!(Acknowledgement::verify(&handed.bytes, &handed.signature, &log_key).is_err());

    let sealed = engine.acknowledge(AcknowledgedLevel::Sealed, vec![(ids[0], Some([1; 32])), (ids[1], None)]);
    assert!(matches!(sealed, Err(Error::Request(_))));
    let many = vec![(ids[0], None); 65_537];
    assert!(matches!(engine.acknowledge(AcknowledgedLevel::Disk, many), Err(Error::Request(_))));
}
