//! Keys are replaced, and nothing that is stored or proved suffers; a rotation that was interrupted anywhere is finished at the next opening.

use crate::files::{copy, files, restore};
use crate::fixture::{Fixture, Given, record, verify_place};
use crate::keyring::{Keyring, unwrap, wrapped};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_record::{Kind, RecordId};
use minutebook_tlog::{KeyName, Policy, Signer};
use minutebook_trail::{Content, Error, Filter, Place, StoredRecord};
use minutebook_verify::Pinned;
use minutebook_verify::receipt::verify_receipt;
use minutebook_verify::trailfile::{Succession, TrailFile};
use std::ops::ControlFlow;
use std::path::Path;
use zeroize::Zeroizing;

/// A trail with records about persons and about nobody.
async fn with_records() -> (Fixture, Vec<RecordId>) {
    let fixture = Fixture::new().await;
    let producer = fixture.producer("web");
    let mut ids = Vec::new();
    for n in 0..30 {
        let subject = format!("person {}", n % 5);
        let subjects = if n % 3 == 0 { vec![] } else { vec![subject.as_str()] };
        ids.push(record(
            &producer,
            &Given { subjects, class: if n % 2 == 0 { "long" } else { "standard" }, ..Given::default() },
        ));
    }
    producer.close().unwrap();
    fixture.seal().await;
    (fixture, ids)
}

fn keys_of(fixture: &Fixture) -> std::path::PathBuf {
    fixture.place.keys.clone().unwrap()
}

/// Everything is readable, verified, and one more record is taken.
async fn check_all(fixture: &Fixture, ids: &[RecordId]) {
    let producer = fixture.producer("after");
    let more = record(&producer, &Given { subjects: vec!["person 1"], ..Given::default() });
    producer.close().unwrap();
    fixture.seal().await;
    let report = fixture.check().await;
    assert_eq!((report.erased, report.withheld), (0, 0));
    let reader = fixture.reader().await;
    for id in ids.iter().chain([&more]) {
        assert!(matches!(reader.get(id).await.unwrap().content, Content::Readable { .. }), "{id}");
    }
}

async fn policies(fixture: &Fixture) -> Vec<(String, String)> {
    let text = |record: &StoredRecord, name: &str| {
        let Content::Readable { values, .. } = &record.content else { panic!("unreadable") };
        let value = &values[record.schema.find_parts(&["policy", name]).unwrap()];
        minutebook_record::cbor::Reader::new(value).text().unwrap().to_owned()
    };
    let mut found = Vec::new();
    let filter = Filter { kinds: vec![Kind::Policy], oldest_first: true, ..Filter::default() };
    let mut each = |record: StoredRecord| {
        found.push((text(&record, "what"), text(&record, "new")));
        ControlFlow::Continue(())
    };
    fixture.reader().await.list(&filter, &mut each).await.unwrap();
    found
}

/// How many wrapped keys of the catalog and the key folder a key-encryption key opens.
async fn opened_by(fixture: &Fixture, old: &Keyring) -> usize {
    let mut opened = 0;
    let (_, kek) = &old.key_encryption[0];
    for key in wrapped(&fixture.place.folder).await.0 {
        opened += usize::from(unwrap(kek, &old.trail, key.purpose, &key.id, &key.bytes).is_some());
    }
    let buckets = std::fs::read(keys_of(fixture).join("buckets")).unwrap();
    for (at, half) in buckets.as_chunks::<64>().0.iter().enumerate() {
        let mut id = [0; 8];
        id[2..4].copy_from_slice(&(at as u16 / 2).to_be_bytes());
        id[4..].copy_from_slice(&u32::from_le_bytes(half[..4].try_into().unwrap()).to_be_bytes());
        opened += usize::from(unwrap(kek, &old.trail, "bucket", &id, &half[4..]).is_some());
    }
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_encryption_key_opens_nothing_any_more() {
    let (fixture, ids) = with_records().await;
    let old = Keyring::read(&keys_of(&fixture), &fixture.place.folder).await;
    assert_eq!((old.closed, old.subjects.len(), old.class_epochs.len()), (0, 5, 3));
    let opened = opened_by(&fixture, &old).await;
    assert_eq!(opened, old.buckets.len() + old.class_epochs.len() + 1, "this check finds what opens");
    let before = files(&fixture.place.folder);

    let mut engine = fixture.engine().await;
    let id = engine.rotate_key_encryption().await.unwrap();
    engine.close().await;

    let new = Keyring::read(&keys_of(&fixture), &fixture.place.folder).await;
    assert_eq!(new.key_encryption.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&id]);
    assert_eq!(new.closed, 0);
    assert_eq!(opened_by(&fixture, &old).await, 0);
    let after = files(&fixture.place.folder);
    for (name, bytes) in
        before.iter().filter(|(name, _)| name.starts_with("segments/") || *name == "trail.toml")
    {
        assert!(after[name] == *bytes, "{name} was changed");
    }
    assert_eq!(policies(&fixture).await, [("key-encryption key rotated".to_owned(), id)]);
    check_all(&fixture, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_rotation_of_the_key_encryption_key_is_finished() {
    let (fixture, ids) = with_records().await;
    let (trail, keys) = (fixture.place.folder.clone(), keys_of(&fixture));
    let copies = tempfile::tempdir().unwrap();
    let (old_trail, old_keys) = (copies.path().join("trail"), copies.path().join("keys"));
    copy(&trail, &old_trail);
    copy(&keys, &old_keys);
    let mut engine = fixture.engine().await;
    let id = engine.rotate_key_encryption().await.unwrap();
    engine.close().await;
    let (new_trail, new_keys) = (copies.path().join("new trail"), copies.path().join("new keys"));
    copy(&trail, &new_trail);
    copy(&keys, &new_keys);
    // Between the first step and the last the key file has both keys.
    let read = |folder: &Path| std::fs::read_to_string(folder.join("keys.toml")).unwrap();
    let new_key = read(&new_keys).split_off(read(&new_keys).find("[[key-encryption]]").unwrap());
    let both = format!("{}\n{new_key}", read(&old_keys));

    for (step, trail_then, buckets_then) in [
        ("key file", &old_trail, &old_keys),
        ("catalog", &new_trail, &old_keys),
        ("buckets", &new_trail, &new_keys),
    ] {
        restore(trail_then, &trail);
        restore(buckets_then, &keys);
        std::fs::write(keys.join("keys.toml"), &both).unwrap();
        // What a crash leaves of a file that was being replaced.
        std::fs::write(keys.join("buckets.new"), b"half of it").unwrap();
        std::fs::write(keys.join("keys.toml.new"), b"half of it").unwrap();
        check_all(&fixture, &ids).await;
        assert!(!keys.join("buckets.new").exists() && !keys.join("keys.toml.new").exists());
        let ring = Keyring::read(&keys, &trail).await;
        assert_eq!(
            ring.key_encryption.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            [&id],
            "after the {step}"
        );
        assert_eq!(ring.closed, 0, "after the {step}");
        // Once is told once; what the copy of the finished trail has told already is told again by the later steps.
        assert!(!policies(&fixture).await.is_empty(), "after the {step}");
    }
}

async fn pin(fixture: &Fixture) -> Pinned {
    let report = fixture.check().await;
    let (size, root) = report.checkpoint.unwrap();
    Pinned { log_key: report.log_key, size, root }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_signing_key_follows_the_old_one() {
    let (fixture, ids) = with_records().await;
    let first = pin(&fixture).await;
    let reader = fixture.reader().await;
    let old_policy = Policy::parse(reader.policy().as_bytes()).unwrap();
    let old_receipt = reader.receipt(&ids[0], &[]).await.unwrap();
    let before = files(&fixture.place.folder);

    let mut engine = fixture.engine().await;
    let new = engine.rotate_signing().await.unwrap();
    assert_ne!(new, first.log_key);
    assert_eq!(engine.trail().log_key, new);
    engine.close().await;

    let report = fixture.verify_with(Some(first.clone())).await;
    assert!(report.is_clean() && report.continues_earlier, "{:#?}", report.findings);
    assert_eq!(report.log_key, new);
    let file = fixture.place.trail_file().unwrap();
    assert_eq!((file.succession.len(), file.succession[0].old.as_str()), (1, first.log_key.as_str()));
    let after = files(&fixture.place.folder);
    for (name, bytes) in before.iter().filter(|(name, _)| name.starts_with("segments/")) {
        assert!(after[name] == *bytes, "{name} was changed");
    }
    let keys = std::fs::read_to_string(keys_of(&fixture).join("keys.toml")).unwrap();
    assert!(!keys.contains("next-signing"), "the rotation is at its end");
    assert_eq!(policies(&fixture).await, [("signing key rotated".to_owned(), new.clone())]);

    // A reader that was open before goes on; receipts of then are for policies of then.
    let new_policy = Policy::parse(reader.policy().as_bytes()).unwrap();
    let new_receipt = reader.receipt(&ids[0], &[]).await.unwrap();
    verify_receipt(new_receipt.as_bytes(), &new_policy).unwrap();
    verify_receipt(old_receipt.as_bytes(), &old_policy).unwrap();
    assert!(verify_receipt(new_receipt.as_bytes(), &old_policy).is_err());
    check_all(&fixture, &ids).await;

    let mut engine = fixture.engine().await;
    let second = pin(&fixture).await;
    let newest = engine.rotate_signing().await.unwrap();
    engine.close().await;
    for pinned in [first, second] {
        let report = fixture.verify_with(Some(pinned)).await;
        assert!(report.is_clean() && report.continues_earlier, "{:#?}", report.findings);
        assert_eq!(report.log_key, newest);
    }
    check_all(&fixture, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_of_signing_keys_is_refused() {
    let (fixture, _) = with_records().await;
    let first = pin(&fixture).await;
    let mut engine = fixture.engine().await;
    engine.rotate_signing().await.unwrap();
    engine.rotate_signing().await.unwrap();
    engine.close().await;
    let file = fixture.place.trail_file().unwrap();
    let good = fixture.verify_with(Some(first.clone())).await;
    assert!(good.is_clean(), "{:#?}", good.findings);
    type Edit = fn(&mut TrailFile);
    let edits: [(&str, Edit); 5] = [
        ("no chain", |file| file.succession.clear()),
        ("the first step is missing", |file| drop(file.succession.remove(0))),
        ("the last step is missing", |file| drop(file.succession.pop())),
        ("another time", |file| file.succession[0].at = "2020-01-01T00:00:00Z".into()),
        ("a signature of the other step", |file| {
            file.succession[1].old_signature = file.succession[0].old_signature.clone();
        }),
    ];
    for (what, edit) in edits {
        let mut edited = file.clone();
        edit(&mut edited);
        std::fs::write(fixture.path("trail.toml"), edited.render()).unwrap();
        let report = fixture.verify_with(Some(first.clone())).await;
        let refused =
            report.findings.iter().any(|finding| finding.what.contains("neither the one seen earlier"));
        assert!(refused && !report.continues_earlier, "{what}: {:#?}", report.findings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_signs_no_checkpoint() {
    let (fixture, _) = with_records().await;
    let old: [u8; 32] = BASE64.decode(seeds(&keys_of(&fixture)).0).unwrap().try_into().unwrap();
    let mut engine = fixture.engine().await;
    engine.rotate_signing().await.unwrap();
    engine.close().await;
    let (checkpoint, _) = fixture.reader().await.checkpoint().await.unwrap();
    let signer = Signer::from_seed(KeyName::new(checkpoint.origin()).unwrap(), Zeroizing::new(old)).unwrap();
    let forged = checkpoint.sign(&signer).unwrap();
    std::fs::write(fixture.path("log/checkpoint"), forged.to_string()).unwrap();
    let report = fixture.verify().await;
    let found =
        report.findings.iter().find(|finding| finding.what.contains("the key before the last rotation"));
    assert_eq!(found.unwrap().object, "log/checkpoint", "{:#?}", report.findings);
    assert!(!report.is_clean());
}

fn seeds(keys: &Path) -> (String, Option<String>) {
    let file: toml::Value =
        toml::from_str(&std::fs::read_to_string(keys.join("keys.toml")).unwrap()).unwrap();
    let seed = |name: &str| file.get(name).map(|table| table["seed"].as_str().unwrap().to_owned());
    (seed("signing").unwrap(), seed("next-signing"))
}

fn verifier_key(name: &str, seed: &str) -> String {
    let seed: [u8; 32] = BASE64.decode(seed).unwrap().try_into().unwrap();
    Signer::from_seed(KeyName::new(name).unwrap(), Zeroizing::new(seed)).unwrap().verifier_key().to_string()
}

/// The key file while a rotation is under way.
fn with_next(keys: &Path, signing: &str, next: &str) -> String {
    let text = std::fs::read_to_string(keys.join("keys.toml")).unwrap();
    let present = seeds(keys).0;
    let text = text.replacen(&present, signing, 1);
    text.replacen("[acknowledgement]", &format!("[next-signing]\nseed = \"{next}\"\n\n[acknowledgement]"), 1)
}

/// The trail file with one more rotation, signed by both keys.
fn succeeded(file: &TrailFile, old: &str, next: &str) -> TrailFile {
    let mut step = Succession {
        old: file.log_key.clone(),
        new: verifier_key(&file.name, next),
        at: "2026-11-20T12:00:00Z".into(),
        old_signature: String::new(),
        new_signature: String::new(),
    };
    let bytes = format!("minutebook/succession/1\n{}\n{}\n{}\n", step.old, step.new, step.at);
    let sign = |seed: &str| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&BASE64.decode(seed).unwrap()).unwrap();
        BASE64.encode(pair.sign(bytes.as_bytes()))
    };
    (step.old_signature, step.new_signature) = (sign(old), sign(next));
    let mut file = file.clone();
    file.log_key.clone_from(&step.new);
    file.succession.push(step);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_rotation_of_the_signing_key_is_finished() {
    let next = BASE64.encode([7; 32]);
    for step in 1..=4 {
        let (fixture, ids) = with_records().await;
        let (trail, keys) = (fixture.place.folder.clone(), keys_of(&fixture));
        let first = pin(&fixture).await;
        let (old, _) = seeds(&keys);
        let file = fixture.place.trail_file().unwrap();
        let key_file = with_next(&keys, &old, &next);
        std::fs::write(keys.join("keys.toml"), &key_file).unwrap();
        if step >= 2 {
            std::fs::write(trail.join("trail.toml"), succeeded(&file, &old, &next).render()).unwrap();
        }
        if step == 3 {
            // The entry has its place, and its tile cannot be written.
            let tile = trail.join(format!("log/tile/entries/000.p/{}", first.size + 1));
            std::fs::create_dir_all(tile.join("in the way")).unwrap();
            assert!(minutebook_trail::Engine::open(&fixture.place, Default::default()).await.is_err());
            std::fs::remove_dir_all(&tile).unwrap();
        }
        if step == 4 {
            // All is done but for dropping the old seed.
            fixture.seal().await;
            std::fs::write(keys.join("keys.toml"), &key_file).unwrap();
        }
        // Whoever looks meanwhile finds nothing wrong but tiles that wait for their checkpoint, and can read.
        let mut report = fixture.verify_with(Some(first.clone())).await;
        report.findings.retain(|finding| step != 3 || !finding.object.starts_with("log/"));
        assert!(report.is_clean(), "after step {step}: {:#?}", report.findings);
        fixture.reader().await.receipt(&ids[3], &[]).await.unwrap();

        check_all(&fixture, &ids).await;
        assert_eq!(seeds(&keys), (next.clone(), None), "after step {step}");
        let new = verifier_key(&file.name, &next);
        assert_eq!(fixture.place.trail_file().unwrap().log_key, new);
        let report = fixture.verify_with(Some(first)).await;
        assert!(report.is_clean() && report.continues_earlier, "after step {step}: {:#?}", report.findings);
        assert!(report.findings.is_empty(), "after step {step}: {:#?}", report.findings);
        assert_eq!(policies(&fixture).await, [("signing key rotated".to_owned(), new)], "after step {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_before_a_rotation_are_not_taken() {
    let (fixture, _) = with_records().await;
    let copies = tempfile::tempdir().unwrap();
    copy(&keys_of(&fixture), copies.path());
    let mut engine = fixture.engine().await;
    engine.rotate_signing().await.unwrap();
    engine.close().await;
    let old = Place::new(&fixture.place.folder).with_keys(copies.path());
    let error = minutebook_trail::Engine::open(&old, Default::default()).await.unwrap_err();
    assert!(matches!(error, Error::KeysDoNotMatch { what: "signing key", .. }), "{error}");
    assert!(verify_place(&fixture.place, None).await.is_clean());
}
