//! Signed notes (signed-note, "Format"): a text and who signed it. Edge: the text is opaque here; checkpoints read it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::cosignature::Cosignature;
use crate::key::{KeyError, KeyId, KeyKind, KeyName, SigningKey, VerifierKey};
use crate::limits::{NOTE_BYTES_MAX, SIGNATURES_MAX};

/// What a signature line begins with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A note: a text and at least one signature, none of them verified by parsing. Shown as it is stored and served, byte for
/// byte what was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// INVARIANT: ends in a newline, has no other control characters.
    text: String,
    /// INVARIANT: 1 to [`SIGNATURES_MAX`].
    signatures: Vec<NoteSignature>,
}

/// One signature line. Shown without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    id: KeyId,
    /// INVARIANT: at least one byte.
    signature: Vec<u8>,
}

/// A signature that a known key verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedSignature<'k> {
    /// Whose it is.
    pub key: &'k VerifierKey,
    /// When a witness says that it signed, in seconds since 1970; a log's signature has no time.
    pub unix_seconds: Option<u64>,
}

/// Why a note is malformed, or not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("note has {bytes} bytes, above {NOTE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("note is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where it stops being UTF-8.
        offset: usize,
    },
    /// A control character other than the newline.
    #[error("note has a control character at byte {offset}")]
    ControlCharacter {
        /// Where.
        offset: usize,
    },
    /// A text ends in a newline.
    #[error("text of the note does not end in a newline")]
    TextEnd,
    /// No blank line between text and signatures.
    #[error("note has no blank line before its signatures")]
    NoBlankLine,
    /// Nothing behind the blank line.
    #[error("note has no signature")]
    NoSignature,
    /// The last line is cut off.
    #[error("note does not end in a newline")]
    End,
    /// More than [`SIGNATURES_MAX`].
    #[error("note has {signatures} signatures, above {SIGNATURES_MAX}")]
    TooManySignatures {
        /// How many.
        signatures: usize,
    },
    /// A line behind the blank line is no signature.
    #[error("signature {number} of the note: {problem}")]
    Signature {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        problem: SignatureError,
    },
    /// A known key's signature does not verify: the text or the signature was altered.
    #[error("signature by `{name}` (key {id}) is wrong")]
    BadSignature {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
    /// Nobody known has signed.
    #[error("note is not signed by a known key")]
    NoKnownSignature,
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a line is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It does not begin with an em dash and a space.
    #[error("line does not begin with an em dash and a space")]
    Prefix,
    /// No space between name and signature.
    #[error("line is not a name, a space and a signature")]
    Parts,
    /// The name is none.
    #[error(transparent)]
    Name(#[from] KeyError),
    /// The signature is not standard base64.
    #[error("signature is not base64")]
    NotBase64,
    /// No byte behind the key id.
    #[error("signature has {bytes} bytes, not even 5")]
    TooShort {
        /// How many.
        bytes: usize,
    },
}

impl SignedNote {
    /// Reads a note. Every line has to be as the specification says; signatures of any type and key are kept.
    ///
    /// # Errors
    /// Every [`NoteError`] above `BadSignature`.
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: note.len() });
        }
        let not_utf8 = |error: std::str::Utf8Error| NoteError::NotUtf8 { offset: error.valid_up_to() };
        let note = std::str::from_utf8(note).map_err(not_utf8)?;
        check_characters(note)?;
        let blank = note.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
        let (text, lines) = (&note[..blank + 1], &note[blank + 2..]);
        if lines.is_empty() {
            return Err(NoteError::NoSignature);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::End)?;
        let count = lines.split('\n').count();
        if count > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { signatures: count });
        }
        let parse = |(place, line): (usize, &str)| {
            line.parse().map_err(|problem| NoteError::Signature { number: place + 1, problem })
        };
        let signatures = lines.split('\n').enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// A note with one signature.
    ///
    /// # Errors
    /// [`NoteError::TextEnd`], [`NoteError::ControlCharacter`] where the text is none of a note; [`NoteError::TooLong`];
    /// [`NoteError::Key`].
    pub fn sign(text: impl Into<String>, signer: &Signer) -> Result<Self, NoteError> {
        let text = text.into();
        let signature = signer.sign(&text)?;
        let note = Self { text, signatures: vec![signature] };
        note.check_length()?;
        Ok(note)
    }

    /// Puts another signature, such as a witness's, behind the others. One that stands there already is left out.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`], [`NoteError::TooLong`]: the note is unchanged then.
    pub fn add_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { signatures: SIGNATURES_MAX + 1 });
        }
        self.signatures.push(signature);
        self.check_length().inspect_err(|_| {
            self.signatures.pop();
        })
    }

    fn check_length(&self) -> Result<(), NoteError> {
        match self.to_string().len() {
            bytes if bytes > NOTE_BYTES_MAX => Err(NoteError::TooLong { bytes }),
            _ => Ok(()),
        }
    }

    /// The text that is signed, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order of the lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The signatures of these keys, in the order of the lines. Signatures of other keys are ignored, also where only the
    /// name or only the id is a known one.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where a known key's signature is wrong, whatever others say;
    /// [`NoteError::NoKnownSignature`].
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<VerifiedSignature<'k>>, NoteError> {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut known = keys.iter().filter(|key| signature.is_by(key)).peekable();
            if known.peek().is_none() {
                continue;
            }
            // Of two keys with the same name and id, only one can have made it.
            match known.find_map(|key| signature.verify(&self.text, key)) {
                Some(signature) => verified.push(signature),
                None => {
                    return Err(NoteError::BadSignature { name: signature.name.clone(), id: signature.id });
                }
            }
        }
        if verified.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(verified) }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    pub(crate) fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self { name: key.name().clone(), id: key.id(), signature }
    }

    /// The name of the key that claims to have signed.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key that claims to have signed.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The signature's bytes behind the key id, by the rules of the key's type.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether name and id are those of this key: says nothing about the signature.
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == *key.name() && self.id == key.id()
    }

    fn verify<'k>(&self, text: &str, key: &'k VerifierKey) -> Option<VerifiedSignature<'k>> {
        match key.kind() {
            KeyKind::Ed25519 => key
                .verifies(text.as_bytes(), &self.signature)
                .then_some(VerifiedSignature { key, unix_seconds: None }),
            KeyKind::Cosignature => {
                let cosignature = Cosignature::from_bytes(&self.signature).ok()?;
                let unix_seconds = Some(cosignature.unix_seconds());
                cosignature.verifies(text, key).then_some(VerifiedSignature { key, unix_seconds })
            }
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.get().to_be_bytes().to_vec();
        bytes.extend(&self.signature);
        write!(f, "{SIGNATURE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = SignatureError;

    /// Reads a signature line without its newline.
    fn from_str(line: &str) -> Result<Self, SignatureError> {
        let rest = line.strip_prefix(SIGNATURE_PREFIX).ok_or(SignatureError::Prefix)?;
        let (name, bytes) = rest.split_once(' ').ok_or(SignatureError::Parts)?;
        let name = KeyName::new(name)?;
        let bytes = STANDARD.decode(bytes).map_err(|_| SignatureError::NotBase64)?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { name, id: KeyId::new(u32::from_be_bytes(*id)), signature: signature.to_vec() })
            }
            _ => Err(SignatureError::TooShort { bytes: bytes.len() }),
        }
    }
}

/// An Ed25519 key that signs notes (type 0x01): a log's own. The secret is cleared when it is dropped, and never shown.
pub struct Signer(SigningKey);

impl Signer {
    /// The key of this seed (RFC 8032 §5.1.5). The seed is cleared.
    ///
    /// # Errors
    /// [`KeyError::Seed`] where the cryptographic library refuses.
    pub fn from_seed(name: KeyName, seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        SigningKey::from_seed(name, KeyKind::Ed25519, seed).map(Self)
    }

    /// The public half.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.0.verifier()
    }

    /// The signature over the text of a note.
    ///
    /// # Errors
    /// [`NoteError::TextEnd`], [`NoteError::ControlCharacter`] where it is none; [`NoteError::Key`].
    pub fn sign(&self, text: &str) -> Result<NoteSignature, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextEnd);
        }
        Ok(NoteSignature::new(self.verifier_key(), self.0.sign(text.as_bytes())?.to_vec()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier_key())
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.bytes().position(|byte| byte < b' ' && byte != b'\n') {
        Some(offset) => Err(NoteError::ControlCharacter { offset }),
        None => Ok(()),
    }
}
