//! Names, verifier keys and signing keys.

use minutebook_tlog::{Cosigner, KeyError, KeyId, KeyKind, KeyName, Signer, VerifierKey};
use zeroize::Zeroizing;

/// The example of signed-note, "Verifier keys".
pub(crate) const FOO: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

pub(crate) fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

pub(crate) fn signer(of: &str, seed: u8) -> Signer {
    Signer::from_seed(name(of), Zeroizing::new([seed; 32])).unwrap()
}

pub(crate) fn cosigner(of: &str, seed: u8) -> Cosigner {
    Cosigner::from_seed(name(of), Zeroizing::new([seed; 32])).unwrap()
}

#[test]
fn the_specifications_key() {
    let key: VerifierKey = FOO.parse().unwrap();
    assert_eq!(key.to_string(), FOO);
    assert_eq!(
        (key.name().as_str(), key.id(), key.kind()),
        ("example.com/foo", KeyId::new(0x530d903a), KeyKind::Ed25519)
    );
    assert_eq!(VerifierKey::new(name("example.com/foo"), KeyKind::Ed25519, *key.public_key()), key);
    // The id depends on name and type.
    assert_ne!(VerifierKey::new(name("example.com/bar"), KeyKind::Ed25519, *key.public_key()).id(), key.id());
    assert_ne!(
        VerifierKey::new(name("example.com/foo"), KeyKind::Cosignature, *key.public_key()).id(),
        key.id()
    );
}

#[test]
fn malformed_keys_are_refused() {
    let (stated, computed) = (KeyId::new(0x530d903b), KeyId::new(0x530d903a));
    let table = [
        ("", KeyError::Parts),
        ("example.com/foo", KeyError::Parts),
        ("example.com/foo+530d903a", KeyError::Parts),
        ("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::NameEmpty),
        (
            "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            KeyError::NameCharacter { character: ' ' },
        ),
        ("a\u{a0}b+530d903a+AA==", KeyError::NameCharacter { character: '\u{a0}' }),
        ("a\nb+530d903a+AA==", KeyError::NameCharacter { character: '\n' }),
        ("a\0b+530d903a+AA==", KeyError::NameCharacter { character: '\0' }),
        ("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::IdText),
        ("example.com/foo+30d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::IdText),
        ("example.com/foo++AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::IdText),
        (
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            KeyError::IdMismatch { stated, computed },
        ),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2", KeyError::NotBase64),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=", KeyError::NotBase64),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n", KeyError::NotBase64),
        ("example.com/foo+530d903a+", KeyError::Length { bytes: 0 }),
        ("example.com/foo+530d903a+AQ==", KeyError::Length { bytes: 0 }),
        (
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==",
            KeyError::Length { bytes: 30 },
        ),
        ("example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Kind { kind: 6 }),
    ];
    for (text, error) in table {
        assert_eq!(text.parse::<VerifierKey>(), Err(error), "{text}");
    }
    let long = "a".repeat(4_097);
    assert_eq!(long.parse::<VerifierKey>(), Err(KeyError::TooLong { bytes: 4_097 }));
    assert_eq!(KeyName::new("a+b"), Err(KeyError::NameCharacter { character: '+' }));
}

#[test]
fn secrets_are_not_shown() {
    let (signer, cosigner) = (signer("a", 0x5a), cosigner("b", 0x5a));
    assert_eq!(format!("{signer:?}"), format!("Signer({})", signer.verifier_key()));
    assert_eq!(format!("{cosigner:?}"), format!("Cosigner({})", cosigner.verifier_key()));
    assert_eq!(signer.verifier_key().public_key(), cosigner.verifier_key().public_key());
    assert_eq!(
        [signer.verifier_key().kind(), cosigner.verifier_key().kind()],
        [KeyKind::Ed25519, KeyKind::Cosignature]
    );
}

/// Signing moves between threads with the log.
#[test]
fn keys_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Signer>();
    shared::<Cosigner>();
}
