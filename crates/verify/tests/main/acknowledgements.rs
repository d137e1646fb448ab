//! Acknowledgements: `docs/formats/vectors/acknowledgement.json`, and what is refused.

use crate::vectors::compare;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use minutebook_record::RecordId;
use minutebook_tlog::{KeyKind, KeyName, VerifierKey};
use minutebook_verify::acknowledgement::{AcknowledgedLevel, Acknowledgement, AcknowledgementError};
use minutebook_verify::hex;
use serde_json::json;

fn key(seed: u8) -> (Ed25519KeyPair, VerifierKey) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    let name = KeyName::new("trail.example/credit/acknowledgement").unwrap();
    (pair, VerifierKey::new(name, KeyKind::Ed25519, public))
}

fn said(level: AcknowledgedLevel) -> Acknowledgement {
    let id = |n: u8| RecordId::from_parts(1_763_640_000_000 + u64::from(n), [n; 10]);
    let digest = |n: u8| Some(minutebook_sha256::digest(&[n]));
    let first = if level >= AcknowledgedLevel::Sealed { digest(0) } else { None };
    let records = vec![(id(1), first), (id(2), digest(2))];
    Acknowledgement { trail: [0xab; 16], level, time: 1_763_640_001, records }
}

#[test]
fn acknowledgement_vectors() {
    let (pair, verifier) = key(5);
    let mut cases = Vec::new();
    for level in AcknowledgedLevel::ALL {
        let said = said(level);
        let bytes = said.encode();
        let signature = pair.sign(&bytes);
        let read = Acknowledgement::verify(&bytes, signature.as_ref(), &verifier).unwrap();
        assert_eq!(read, said);
        let records = said.records.iter().map(|(id, digest)| {
            json!({ "id": hex(id.as_bytes()), "digest": digest.as_ref().map(|digest| hex(digest)) })
        });
        cases.push(json!({
            "level": level.name(),
            "time": said.time,
            "records": records.collect::<Vec<_>>(),
            "bytes": hex(&bytes),
            "signature": hex(signature.as_ref()),
        }));
    }
    let trail = hex(&[0xab; 16]);
    compare(
        "acknowledgement.json",
        &json!({ "trail": trail, "key": verifier.to_string(), "acknowledgements": cases }),
    );
}

#[test]
fn what_was_not_signed_so_is_refused() {
    let (pair, verifier) = key(5);
    let good = said(AcknowledgedLevel::Sealed).encode();
    let signature = pair.sign(&good);
    let refused = |bytes: &[u8], signature: &[u8], key: &VerifierKey| {
        Acknowledgement::verify(bytes, signature, key).expect_err("a bad one")
    };
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(
            refused(&changed, signature.as_ref(), &verifier),
            AcknowledgementError::Signature,
            "byte {at}"
        );
    }
    assert_eq!(refused(&good, signature.as_ref(), &key(6).1), AcknowledgementError::Signature);
    assert_eq!(refused(&good, &signature.as_ref()[..63], &verifier), AcknowledgementError::Signature);

    // Signed, and not what the format says.
    let mut unsaid = said(AcknowledgedLevel::Sealed);
    unsaid.records[1].1 = None;
    let bytes = unsaid.encode();
    let error = refused(&bytes, pair.sign(&bytes).as_ref(), &verifier);
    assert_eq!(error, AcknowledgementError::NoLeaf(unsaid.records[1].0));
    for cut in 0..good.len() {
        let error = refused(&good[..cut], pair.sign(&good[..cut]).as_ref(), &verifier);
        assert!(matches!(error, AcknowledgementError::Malformed(_)), "{cut} bytes: {error}");
    }
    for (from, to) in [(&b"sealed"[..], &b"signed"[..]), (b"ment/1", b"ment/2")] {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        let mut other = good.clone();
        other[at..at + to.len()].copy_from_slice(to);
        let error = refused(&other, pair.sign(&other).as_ref(), &verifier);
        assert!(matches!(error, AcknowledgementError::Malformed(_)), "{error}");
    }
}
