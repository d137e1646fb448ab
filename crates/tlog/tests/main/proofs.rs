//! Proof files.

use minutebook_tlog::{
    Checkpoint, CheckpointError, Hash, HashError, LeafIndex, NoteError, Policy, PolicyRefusal, Proof,
    ProofError, SignedNote, TreeError, TreeHead, inclusion_path,
};

use crate::keys::{name, signer};
use crate::naive;

const ORIGIN: &str = "trail.example/credit";

fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.add_log(signer(ORIGIN, 1).verifier_key().clone(), None).unwrap();
    policy
}

fn signed(leaves: &[Hash]) -> SignedNote {
    let head = TreeHead { size: (leaves.len() as u32).into(), root: naive::root(leaves) };
    Checkpoint::new(&name(ORIGIN), head).unwrap().sign(&signer(ORIGIN, 1)).unwrap()
}

fn proof(leaf: u32, leaves: &[Hash], extra: &[u8]) -> Proof {
    let path = inclusion_path(leaves, leaf.into()).unwrap();
    Proof::new(leaf.into(), path, extra.to_vec(), signed(leaves)).unwrap()
}

#[test]
fn proofs_of_every_leaf() {
    let leaves = naive::leaves(13);
    let policy = policy();
    for count in 1..=leaves.len() {
        for leaf in 0..count {
            let proof = proof(leaf as u32, &leaves[..count], if leaf < 3 { b"" } else { b"extra" });
            let file = proof.to_string();
            let parsed = Proof::parse(file.as_bytes()).unwrap();
            assert_eq!(parsed, proof);
            let accepted = parsed.verify(leaves[leaf], &policy).unwrap();
            assert_eq!(accepted.checkpoint.size().get(), count as u64);
            assert_eq!(accepted.log, &policy.logs()[0]);
        }
    }
}

#[test]
fn a_proof_of_another_entry_is_refused() {
    let leaves = naive::leaves(9);
    let proof = proof(4, &leaves, b"");
    let error = proof.verify(leaves[5], &policy()).unwrap_err();
    assert!(matches!(error, ProofError::Tree(TreeError::RootMismatch { .. })));
    let unknown = PolicyRefusal::LogUnknown { origin: ORIGIN.to_owned() };
    assert_eq!(proof.verify(leaves[4], &Policy::default()), Err(unknown.into()));

    // Signature, root and size are bound together.
    let other = proof.to_string().replace("\n9\n", "\n10\n");
    let error = Proof::parse(other.as_bytes()).unwrap().verify(leaves[4], &policy()).unwrap_err();
    assert!(matches!(error, ProofError::Policy(PolicyRefusal::Note(NoteError::BadSignature { .. }))));
    let elsewhere = proof.to_string().replace("index 4\n", "index 5\n");
    let error = Proof::parse(elsewhere.as_bytes()).unwrap().verify(leaves[4], &policy()).unwrap_err();
    assert!(matches!(error, ProofError::Tree(TreeError::RootMismatch { .. })));
    let outside = proof.to_string().replace("index 4\n", "index 9\n");
    let error = Proof::parse(outside.as_bytes()).unwrap().verify(leaves[4], &policy()).unwrap_err();
    assert_eq!(error, TreeError::LeafOutside { index: 9.into(), size: 9.into() }.into());
}

/// Extra data can be changed by anybody and the proof still verifies: hence the accessor's name.
#[test]
fn extra_data_is_not_authenticated() {
    let leaves = naive::leaves(9);
    let proof = proof(4, &leaves, b"one");
    let altered = proof.to_string().replace("extra b25l\n", "extra dHdv\n");
    let altered = Proof::parse(altered.as_bytes()).unwrap();
    assert_eq!(altered.extra_unauthenticated(), b"two");
    assert!(altered.verify(leaves[4], &policy()).is_ok());
}

#[test]
fn proofs_that_cannot_verify_are_not_made() {
    let leaves = naive::leaves(9);
    let path = inclusion_path(&leaves, 4.into()).unwrap();
    let make =
        |index: u32, path: &[Hash]| Proof::new(index.into(), path.to_vec(), Vec::new(), signed(&leaves));
    assert_eq!(make(4, &path[1..]), Err(TreeError::ProofLength { hashes: 3, expected: 4 }.into()));
    assert_eq!(make(9, &path), Err(TreeError::LeafOutside { index: 9.into(), size: 9.into() }.into()));
    let note = SignedNote::sign("text\n", &signer(ORIGIN, 1)).unwrap();
    let error = CheckpointError::TooFewLines { lines: 1 };
    assert_eq!(Proof::new(4.into(), path.clone(), Vec::new(), note), Err(error.into()));
    let long = Proof::new(4.into(), path, vec![0; 12 << 20], signed(&leaves));
    assert!(matches!(long, Err(ProofError::TooLong { .. })));
}

#[test]
fn malformed_proofs_are_refused() {
    let leaves = naive::leaves(2);
    let file = proof(1, &leaves, b"x").to_string();
    let hash = leaves[0].to_base64();
    let (header, note) = file.split_once("\n\n").unwrap();
    assert_eq!(header, format!("c2sp.org/tlog-proof@v1\nextra eA==\nindex 1\n{hash}"));
    let version = "c2sp.org/tlog-proof@v1\n";
    let hash_error = |line, problem| ProofError::Hash { line, problem };
    let table = [
        (String::new(), ProofError::Version),
        (file.replace("@v1", "@v2"), ProofError::Version),
        (file.replace("@v1\n", "@v1 \n"), ProofError::Version),
        (file.replace("@v1\n", "@v1\r\n"), ProofError::Version),
        (version.to_owned(), ProofError::NoBlankLine),
        (format!("{header}\n"), ProofError::NoBlankLine),
        (format!("{version}\n{note}"), ProofError::Index { line: 2 }),
        (format!("{version}extra eA==\n\n{note}"), ProofError::Index { line: 3 }),
        (file.replace("extra eA==", "extra "), ProofError::Extra),
        (file.replace("extra eA==", "extra eA"), ProofError::Extra),
        (file.replace("extra eA==", "extra eB=="), ProofError::Extra),
        (file.replace("extra eA==", "extra"), ProofError::Index { line: 2 }),
        (file.replace("extra eA==", "Extra eA=="), ProofError::Index { line: 2 }),
        (file.replace("extra eA==\n", "extra eA==\nextra eA==\n"), ProofError::Index { line: 3 }),
        (file.replace("index 1", "index 01"), ProofError::Index { line: 3 }),
        (file.replace("index 1", "index +1"), ProofError::Index { line: 3 }),
        (file.replace("index 1", "index  1"), ProofError::Index { line: 3 }),
        (file.replace("index 1", "index 18446744073709551616"), ProofError::Index { line: 3 }),
        (file.replace("index 1", "index"), ProofError::Index { line: 3 }),
        (file.replace(&hash, &format!("{hash} ")), hash_error(4, HashError::NotBase64)),
        (file.replace(&hash, "AAAA"), hash_error(4, HashError::Length { bytes: 3 })),
        (file.replace(&hash, &format!("{hash}\nx")), hash_error(5, HashError::NotBase64)),
        (
            file.replace(&format!("{hash}\n"), &format!("{hash}\n").repeat(64)),
            ProofError::TooManyHashes { hashes: 64 },
        ),
        (format!("{header}\n\ntext\n"), ProofError::Note(NoteError::NoBlankLine)),
        (format!("{header}\n\n\n{note}"), ProofError::Checkpoint(CheckpointError::EmptyLine { line: 1 })),
        (format!("{file}\n"), ProofError::Note(NoteError::NoSignature)),
        (
            file.replace("\n2\n", "\n02\n"),
            ProofError::Checkpoint(CheckpointError::Size { text: "02".to_owned() }),
        ),
    ];
    for (file, error) in table {
        assert_eq!(Proof::parse(file.as_bytes()), Err(error), "{file}");
    }
    assert_eq!(Proof::parse(b"c2sp.org/tlog-proof@v1\nindex \xff\n\n"), Err(ProofError::NotUtf8));
    let bytes = (16 << 20) + 1;
    assert_eq!(Proof::parse(&vec![b'\n'; bytes]), Err(ProofError::TooLong { bytes }));
    assert_eq!(Proof::parse(file.as_bytes()).unwrap().index(), LeafIndex::new(1));
}
