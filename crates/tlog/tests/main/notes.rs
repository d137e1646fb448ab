//! Signed notes, checkpoints and cosignatures.

use minutebook_tlog::limits::{NOTE_BYTES_MAX, SIGNATURES_MAX};
use minutebook_tlog::{
    Checkpoint, CheckpointError, Cosignature, CosignatureError, HashError, KeyError, KeyId, KeyKind,
    NoteError, NoteSignature, SignatureError, SignedNote, TreeHead, TreeSize, VerifierKey, empty_root,
    leaf_hash,
};

use crate::keys::{FOO, cosigner, name, signer};

/// The example of signed-note, "Verifier keys".
const FOO_NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// The example of signed-note's first section, whose text has an empty line.
const QUASIMODO_NOTE: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
    — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

/// The example of tlog-cosignature's first section.
const SOFA_CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

pub(crate) const NOTES: [&str; 3] = [FOO_NOTE, QUASIMODO_NOTE, SOFA_CHECKPOINT];

fn foo() -> VerifierKey {
    FOO.parse().unwrap()
}

#[test]
fn the_specifications_notes() {
    for text in NOTES {
        assert_eq!(SignedNote::parse(text.as_bytes()).unwrap().to_string(), text);
    }
    let note = SignedNote::parse(FOO_NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    let (key, other) = (foo(), signer("example.com/foo", 1));
    let verified = note.verify([other.verifier_key(), &key]).unwrap();
    assert_eq!((verified.len(), verified[0].key, verified[0].unix_seconds), (1, &key, None));

    let poem = SignedNote::parse(QUASIMODO_NOTE.as_bytes()).unwrap();
    assert!(poem.text().ends_with("sole:\n\ned è subito sera.\n"));

    let sofa = SignedNote::parse(SOFA_CHECKPOINT.as_bytes()).unwrap();
    let checkpoint = Checkpoint::parse(sofa.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size().get()), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), sofa.text());
    let cosignature = Cosignature::from_bytes(sofa.signatures()[1].signature()).unwrap();
    assert_eq!(cosignature.unix_seconds(), 1_679_315_147);
    assert_eq!(sofa.signatures()[1].id(), KeyId::new(0x8d66cf3f));
}

#[test]
fn malformed_notes_are_refused() {
    let signature = |number, problem| NoteError::Signature { number, problem };
    let named = |character| SignatureError::Name(KeyError::NameCharacter { character });
    let table: &[(&[u8], NoteError)] = &[
        (b"", NoteError::NoBlankLine),
        (b"text\n", NoteError::NoBlankLine),
        ("text\n— a AAAAAAA=\n".as_bytes(), NoteError::NoBlankLine),
        (b"text\n\n", NoteError::NoSignature),
        ("text\n\n— a AAAAAAA=".as_bytes(), NoteError::End),
        ("text\n\n— a AAAAAAA=\n\n".as_bytes(), NoteError::NoSignature),
        ("text\r\n\n— a AAAAAAA=\n".as_bytes(), NoteError::ControlCharacter { offset: 4 }),
        ("text\n\n— a\tAAAAAAA=\n".as_bytes(), NoteError::ControlCharacter { offset: 11 }),
        ("te\0t\n\n— a AAAAAAA=\n".as_bytes(), NoteError::ControlCharacter { offset: 2 }),
        (b"te\xfft\n\n", NoteError::NotUtf8 { offset: 2 }),
        (b"text\n\n- a AAAAAAA=\n", signature(1, SignatureError::Prefix)),
        ("text\n\n—a AAAAAAA=\n".as_bytes(), signature(1, SignatureError::Prefix)),
        ("text\n\n— a AAAAAAA=\nrest\n".as_bytes(), signature(2, SignatureError::Prefix)),
        ("text\n\n— a\n".as_bytes(), signature(1, SignatureError::Parts)),
        ("text\n\n—  AAAAAAA=\n".as_bytes(), signature(1, SignatureError::Name(KeyError::NameEmpty))),
        ("text\n\n— a+b AAAAAAA=\n".as_bytes(), signature(1, named('+'))),
        ("text\n\n— a\u{3000}b AAAAAAA=\n".as_bytes(), signature(1, named('\u{3000}'))),
        ("text\n\n— a b AAAAAAA=\n".as_bytes(), signature(1, SignatureError::NotBase64)),
        ("text\n\n— a AAAAAAA= \n".as_bytes(), signature(1, SignatureError::NotBase64)),
        ("text\n\n— a AAAAAAA\n".as_bytes(), signature(1, SignatureError::NotBase64)),
        // The unused bits of the last character are not zero.
        ("text\n\n— a AAAAAAB=\n".as_bytes(), signature(1, SignatureError::NotBase64)),
        ("text\n\n— a AAAA_AA=\n".as_bytes(), signature(1, SignatureError::NotBase64)),
        ("text\n\n— a AAAAAA==\n".as_bytes(), signature(1, SignatureError::TooShort { bytes: 4 })),
        ("text\n\n— a \n".as_bytes(), signature(1, SignatureError::TooShort { bytes: 0 })),
    ];
    for (note, error) in table {
        assert_eq!(SignedNote::parse(note), Err(error.clone()), "{}", String::from_utf8_lossy(note));
    }
    let bytes = NOTE_BYTES_MAX + 1;
    assert_eq!(SignedNote::parse(&vec![b'a'; bytes]), Err(NoteError::TooLong { bytes }));
}

#[test]
fn at_least_16_signatures_and_not_above_the_bound() {
    let note = |count: usize| format!("text\n\n{}", "— a AAAAAAA=\n".repeat(count));
    for count in [1, 16, SIGNATURES_MAX] {
        assert_eq!(SignedNote::parse(note(count).as_bytes()).unwrap().signatures().len(), count);
    }
    let too_many = Err(NoteError::TooManySignatures { signatures: SIGNATURES_MAX + 1 });
    assert_eq!(SignedNote::parse(note(SIGNATURES_MAX + 1).as_bytes()), too_many);

    let mut full = SignedNote::parse(note(SIGNATURES_MAX).as_bytes()).unwrap();
    let signature = signer("b", 1).sign(full.text()).unwrap();
    assert_eq!(full.add_signature(signature), too_many.map(|_| ()));
    assert_eq!(full.signatures().len(), SIGNATURES_MAX);
    let again = full.signatures()[0].clone();
    assert_eq!(full.add_signature(again), Ok(()));
    assert_eq!(full.signatures().len(), SIGNATURES_MAX);
}

#[test]
fn signing_and_verifying() {
    let (a, b) = (signer("a.example", 1), signer("b.example", 2));
    let mut note = SignedNote::sign("text\n", &a).unwrap();
    note.add_signature(b.sign("text\n").unwrap()).unwrap();
    let parsed = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(parsed, note);
    let keys = [b.verifier_key(), a.verifier_key()];
    let verified = parsed.verify(keys).unwrap();
    assert_eq!(verified.iter().map(|signature| signature.key).collect::<Vec<_>>(), [keys[1], keys[0]]);

    assert_eq!(SignedNote::sign("text", &a), Err(NoteError::TextEnd));
    assert_eq!(SignedNote::sign("", &a), Err(NoteError::TextEnd));
    assert_eq!(SignedNote::sign("te\rxt\n", &a), Err(NoteError::ControlCharacter { offset: 2 }));
    let long = "a".repeat(NOTE_BYTES_MAX - 1) + "\n";
    assert!(matches!(SignedNote::sign(long, &a), Err(NoteError::TooLong { .. })));
}

/// Unknown signatures are ignored; a known key's wrong one rejects, whoever else has signed (signed-note, "Signatures").
#[test]
fn trust_in_signatures() {
    let (a, b) = (signer("a.example", 1), signer("b.example", 2));
    let (a_key, b_key) = (a.verifier_key(), b.verifier_key());
    let mut note = SignedNote::sign("text\n", &a).unwrap();
    let wrong = b.sign("another text\n").unwrap();
    note.add_signature(wrong.clone()).unwrap();
    assert_eq!(note.verify([a_key]).unwrap().len(), 1);
    let bad = NoteError::BadSignature { name: b_key.name().clone(), id: b_key.id() };
    assert_eq!(note.verify([a_key, b_key]), Err(bad.clone()));
    // Also behind a good one of the same key.
    let mut twice = SignedNote::sign("text\n", &b).unwrap();
    twice.add_signature(wrong).unwrap();
    assert_eq!(twice.verify([b_key]), Err(bad));

    assert_eq!(note.verify([]), Err(NoteError::NoKnownSignature));
    assert_eq!(note.verify([&foo()]), Err(NoteError::NoKnownSignature));
    // Only the name or only the id of a known key: not that key's.
    let same_name = signer("a.example", 3);
    assert_eq!(note.verify([same_name.verifier_key()]), Err(NoteError::NoKnownSignature));
    let line = note.signatures()[0].to_string().replace("a.example", "c.example");
    let same_id: NoteSignature = line.parse().unwrap();
    assert_eq!(same_id.id(), a_key.id());
    assert!(!same_id.is_by(a_key));
    note.add_signature(same_id).unwrap();
    assert_eq!(note.verify([a_key]).unwrap().len(), 1);
}

fn head(size: u32) -> TreeHead {
    TreeHead { size: size.into(), root: leaf_hash(b"root") }
}

#[test]
fn checkpoints() {
    let log = signer("trail.example/credit", 1);
    let checkpoint = Checkpoint::new(log.verifier_key().name(), head(42)).unwrap();
    let note = checkpoint.sign(&log).unwrap();
    let text = format!("trail.example/credit\n42\n{}\n", leaf_hash(b"root").to_base64());
    assert_eq!(note.text(), text);
    let stored = note.to_string();
    assert_eq!(Checkpoint::open(stored.as_bytes(), log.verifier_key()), Ok((checkpoint.clone(), note)));

    // Signed by the right key, under another origin.
    let other = Checkpoint::new(&name("trail.example/other"), head(42)).unwrap();
    let origin = CheckpointError::Origin {
        origin: "trail.example/other".to_owned(),
        expected: log.verifier_key().name().clone(),
    };
    assert_eq!(other.sign(&log), Err(origin.clone()));
    let forged = SignedNote::sign(other.to_string(), &log).unwrap().to_string();
    assert_eq!(Checkpoint::open(forged.as_bytes(), log.verifier_key()), Err(origin));

    let unsigned = Err(CheckpointError::Note(NoteError::NoKnownSignature));
    assert_eq!(Checkpoint::open(stored.as_bytes(), &foo()), unsigned);
    let altered = stored.replace("\n42\n", "\n43\n");
    let bad = Checkpoint::open(altered.as_bytes(), log.verifier_key()).unwrap_err();
    assert!(matches!(bad, CheckpointError::Note(NoteError::BadSignature { .. })));
    let witness = cosigner("trail.example/credit", 1);
    let kind = CheckpointError::KeyKind { name: name("trail.example/credit") };
    assert_eq!(Checkpoint::open(stored.as_bytes(), witness.verifier_key()), Err(kind));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = leaf_hash(b"root").to_base64();
    let size = |text: &str| CheckpointError::Size { text: text.to_owned() };
    let table = [
        (String::new(), CheckpointError::End),
        ("\n".to_owned(), CheckpointError::EmptyLine { line: 1 }),
        (format!("o\n1\n{root}"), CheckpointError::End),
        ("o\n1\n".to_owned(), CheckpointError::TooFewLines { lines: 2 }),
        (format!("\n1\n{root}\n"), CheckpointError::EmptyLine { line: 1 }),
        (format!("o\n1\n{root}\n\nextension\n"), CheckpointError::EmptyLine { line: 4 }),
        (format!("o\n01\n{root}\n"), size("01")),
        (format!("o\n+1\n{root}\n"), size("+1")),
        (format!("o\n-1\n{root}\n"), size("-1")),
        (format!("o\n1 \n{root}\n"), size("1 ")),
        (format!("o\n1e3\n{root}\n"), size("1e3")),
        (format!("o\n9223372036854775808\n{root}\n"), size("9223372036854775808")),
        (format!("o\n18446744073709551617\n{root}\n"), size("18446744073709551617")),
        (format!("o\n1\n{root}=\n"), CheckpointError::Root(HashError::NotBase64)),
        (format!("o\n1\n{root} \n"), CheckpointError::Root(HashError::NotBase64)),
        ("o\n1\nAAAA\n".to_owned(), CheckpointError::Root(HashError::Length { bytes: 3 })),
        (format!("o\n0\n{root}\n"), CheckpointError::EmptyTreeRoot),
    ];
    for (text, error) in table {
        assert_eq!(Checkpoint::parse(&text), Err(error), "{text}");
    }
    let largest = format!("o\n9223372036854775807\n{root}\n");
    assert_eq!(Checkpoint::parse(&largest).unwrap().size(), TreeSize::new(i64::MAX as u64).unwrap());
    let empty = TreeHead { size: TreeSize::ZERO, root: empty_root() };
    assert_eq!(Checkpoint::parse(&format!("o\n0\n{}\n", empty_root().to_base64())).unwrap().head(), &empty);
    let wrong = TreeHead { root: leaf_hash(b""), ..empty };
    assert_eq!(Checkpoint::new(&name("o"), wrong), Err(CheckpointError::EmptyTreeRoot));
}

#[test]
fn extension_lines_are_kept_and_signed() {
    let (log, witness) = (signer("o", 1), cosigner("w", 2));
    let text = format!("o\n1\n{}\nan extension\n— not a signature\n", leaf_hash(b"").to_base64());
    let mut note = SignedNote::sign(text.clone(), &log).unwrap();
    note.add_signature(witness.cosign(&note, 7).unwrap()).unwrap();
    let (checkpoint, note) = Checkpoint::open(note.to_string().as_bytes(), log.verifier_key()).unwrap();
    assert_eq!(checkpoint.extensions(), ["an extension", "— not a signature"]);
    assert_eq!(checkpoint.to_string(), text);
    assert_eq!(note.verify([witness.verifier_key()]).unwrap()[0].unix_seconds, Some(7));
    let altered = note.to_string().replace("an extension", "no extension");
    let altered = SignedNote::parse(altered.as_bytes()).unwrap();
    assert!(matches!(altered.verify([witness.verifier_key()]), Err(NoteError::BadSignature { .. })));
}

#[test]
fn cosignatures() {
    let (log, witness) = (signer("o", 1), cosigner("w", 2));
    let mut note = Checkpoint::new(&name("o"), head(9)).unwrap().sign(&log).unwrap();
    let line = witness.cosign(&note, 1_790_000_000).unwrap();
    assert_eq!(line.signature().len(), 72);
    note.add_signature(line.clone()).unwrap();
    let verified = note.verify([log.verifier_key(), witness.verifier_key()]).unwrap();
    assert_eq!(verified.iter().map(|one| one.unix_seconds).collect::<Vec<_>>(), [None, Some(1_790_000_000)]);

    // The time is signed.
    let mut bytes = *line.signature().first_chunk::<72>().unwrap();
    bytes[7] ^= 1;
    let cosignature = Cosignature::from_bytes(&bytes).unwrap();
    assert_eq!(cosignature.unix_seconds(), 1_790_000_001);
    assert!(!cosignature.verifies(note.text(), witness.verifier_key()));
    assert_eq!(cosignature.to_bytes(), bytes);
    bytes[7] ^= 1;
    let cosignature = Cosignature::from_bytes(&bytes).unwrap();
    assert!(cosignature.verifies(note.text(), witness.verifier_key()));
    // The same key as a log's is another key.
    let as_log = VerifierKey::new(name("w"), KeyKind::Ed25519, *witness.verifier_key().public_key());
    assert!(!cosignature.verifies(note.text(), &as_log));

    let largest = witness.cosign(&note, i64::MAX as u64).unwrap();
    note.add_signature(largest).unwrap();
    assert_eq!(note.verify([witness.verifier_key()]).unwrap()[1].unix_seconds, Some(i64::MAX as u64));
    let time = CosignatureError::Time { unix_seconds: 1 << 63 };
    assert_eq!(witness.cosign(&note, 1 << 63), Err(time.clone()));
    bytes[0] = 0x80;
    bytes[1..8].fill(0);
    assert_eq!(Cosignature::from_bytes(&bytes), Err(time));
    for length in [0, 7, 71] {
        let error = CosignatureError::Length { bytes: length };
        assert_eq!(Cosignature::from_bytes(&bytes[..length]), Err(error));
    }
    assert_eq!(Cosignature::from_bytes(&[0; 73]), Err(CosignatureError::Length { bytes: 73 }));
    let no_checkpoint = SignedNote::sign("text\n", &log).unwrap();
    let error = CosignatureError::Checkpoint(CheckpointError::TooFewLines { lines: 1 });
    assert_eq!(witness.cosign(&no_checkpoint, 1), Err(error));
}

/// A log's line with a witness's key id, or a cosignature cut short, is that key's bad signature.
#[test]
fn a_cosignature_of_the_wrong_form_is_a_bad_one() {
    let (log, witness) = (signer("o", 1), cosigner("w", 2));
    let note = Checkpoint::new(&name("o"), head(9)).unwrap().sign(&log).unwrap();
    let line = witness.cosign(&note, 5).unwrap().to_string();
    let (start, base64) = line.rsplit_once(' ').unwrap();
    let cut: NoteSignature = format!("{start} {}", &base64[..base64.len() - 8]).parse().unwrap();
    let mut note = note;
    note.add_signature(cut).unwrap();
    assert_eq!(note.verify([log.verifier_key()]).unwrap().len(), 1);
    let both = note.verify([log.verifier_key(), witness.verifier_key()]);
    assert!(matches!(both, Err(NoteError::BadSignature { .. })));
}
