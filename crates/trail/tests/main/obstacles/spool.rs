//! A byte changed in each part of a spool's files: what cannot be read is told as lost, number by number, and the trail verifies clean.

use super::{goes_on, problems, trail};
use crate::files::{copy, restore};
use crate::fixture::{Fixture, Given, record};
use minutebook_trail::doctor;
use minutebook_verify::coverage::EpochState;
use std::path::Path;

/// Decisions in the epoch whose files are changed.
const DECISIONS: u64 = 12;

/// A trail with a closed epoch that waits to be sealed, and a copy of it.
async fn waiting() -> Fixture {
    let fixture = trail().await;
    let producer = fixture.producer("web");
    for number in 0..DECISIONS {
        let blob = (number == 5).then(|| vec![7; 2_000]);
        let subjects = if number % 2 == 0 { vec!["ann"] } else { vec![] };
        record(&producer, &Given { number: number as f64, subjects, blob, ..Given::default() });
    }
    producer.close().unwrap();
    drop(producer);
    copy(&fixture.place.folder, &fixture.place.folder.with_extension("waiting"));
    copy(fixture.place.keys.as_ref().unwrap(), &fixture.place.folder.with_extension("waiting-keys"));
    fixture
}

fn restore_waiting(fixture: &Fixture) {
    restore(&fixture.place.folder.with_extension("waiting"), &fixture.place.folder);
    restore(&fixture.place.folder.with_extension("waiting-keys"), fixture.place.keys.as_ref().unwrap());
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Where the frames of a part begin: the offsets of their words.
fn frames(part: &[u8]) -> Vec<usize> {
    let mut at = 4_096;
    let mut found = Vec::new();
    while at + 8 <= part.len() {
        let length = u32::from_le_bytes(part[at..at + 4].try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        found.push(at);
        at += length.next_multiple_of(16);
    }
    found
}

/// Seals what can be sealed; every number of the epoch is accounted for. Gives how many decisions are kept.
async fn seal_and_count(fixture: &Fixture, what: &str) -> u64 {
    fixture.seal().await;
    let report = fixture.verify().await;
    assert!(report.is_clean(), "{what}: {:#?}", report.findings);
    // The second epoch of the producer: the first was sealed before.
    let account =
        report.accounts.iter().find(|account| account.class == "standard" && account.drawn == DECISIONS);
    let account = account.unwrap_or_else(|| panic!("{what}: {:#?}", report.accounts));
    let lost: u64 = account.lost.values().sum();
    assert_eq!(account.kept + lost, DECISIONS, "{what}: {account:?}");
    assert_eq!(account.gaps, [], "{what}");
    let findings = doctor(&fixture.place, true).await.unwrap();
    assert_eq!(problems(&findings), Vec::<&minutebook_verify::Finding>::new(), "{what}");
    account.kept
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_in_a_part_costs_what_it_hits_and_no_more() {
    let fixture = waiting().await;
    let name = "spool/web/0000000002-000001.spool";
    let path = fixture.path(name);
    let part = std::fs::read(&path).unwrap();
    let frames = frames(&part);
    assert!(frames.len() as u64 > DECISIONS + 3, "{} frames", frames.len());
    assert_eq!(seal_and_count(&fixture, "nothing").await, DECISIONS);
    // The header says nothing that is not known from elsewhere, or that cannot be found out.
    let header = [
        ("magic", 0),
        ("trail", 8),
        ("producer", 24),
        ("epoch", 40),
        ("part", 48),
        ("capacity", 57),
        ("zeros", 100),
        ("tail", 256),
        ("tail, high", 260),
        ("end", 264),
        ("end, high", 268),
        ("drained", 320),
        ("drained, high", 324),
        ("zeros behind", 4_000),
    ];
    for (what, at) in header {
        restore_waiting(&fixture);
        flip(&path, at);
        assert_eq!(seal_and_count(&fixture, what).await, DECISIONS, "{what}");
    }
    // A frame costs the numbers that it has; one that defines a shape may cost those that follow.
    let mut whole = 0;
    for (number, frame) in frames.iter().enumerate() {
        for (what, at) in
            [("length", *frame), ("state", frame + 4), ("ciphertext", frame + 8), ("tag", frame + 30)]
        {
            restore_waiting(&fixture);
            flip(&path, at);
            let kept = seal_and_count(&fixture, &format!("{what} of frame {number}")).await;
            whole += u64::from(kept >= DECISIONS - 1);
        }
    }
    assert!(whole >= 4 * (DECISIONS - 2), "most frames cost one decision at most: {whole}");
    // Behind the frames nothing was ever written.
    restore_waiting(&fixture);
    flip(&path, part.len() - 5_000);
    assert_eq!(seal_and_count(&fixture, "behind the frames").await, DECISIONS);
    goes_on(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_in_an_epoch_file_is_told() {
    let fixture = waiting().await;
    let path = fixture.path("spool/web/0000000002.epoch");
    // What cannot be authenticated keeps the epoch from being read, and nothing of it is thrown away.
    for (what, at) in [
        ("magic", 0),
        ("trail", 9),
        ("epoch", 41),
        ("key", 100),
        ("encapsulated", 130),
        ("ciphertext", 170),
        ("digest", 210),
    ] {
        restore_waiting(&fixture);
        let before = fixture.check().await.records;
        flip(&path, at);
        fixture.seal().await;
        assert_eq!(fixture.check().await.records, before, "{what}");
        let findings = doctor(&fixture.place, false).await.unwrap();
        let found = problems(&findings);
        assert!(
            found.iter().any(|finding| finding.object == "spool/web/0000000002.epoch"),
            "{what}: {findings:#?}"
        );
        flip(&path, at);
        assert_eq!(seal_and_count(&fixture, what).await, DECISIONS, "{what} put right");
    }
    // Counters, slots and the names of classes are nobody's word: the frames are, and the signed marks.
    let changes = [
        ("class name", 4_096),
        ("other class' name", 4_161),
        ("counter", 4_160 + 32),
        ("state", 5_120),
        ("slot", 8_192 + 24),
    ];
    for (what, at) in changes {
        restore_waiting(&fixture);
        flip(&path, at);
        fixture.seal().await;
        let report = fixture.verify().await;
        assert!(report.is_clean(), "{what}: {:#?}", report.findings);
        let account =
            report.accounts.iter().find(|account| account.class == "standard" && account.kept == DECISIONS);
        let account = account.unwrap_or_else(|| panic!("{what}: {:#?}", report.accounts));
        assert_eq!((account.state, account.drawn), (EpochState::Closed, DECISIONS), "{what}");
        let classes = report.accounts.iter().map(|account| account.class.as_str());
        assert!(classes.clone().all(|class| ["standard", "system"].contains(&class)), "{what}: {classes:?}");
    }
    restore_waiting(&fixture);
    goes_on(&fixture).await;
}
