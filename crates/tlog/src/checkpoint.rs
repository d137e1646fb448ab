//! Checkpoints (tlog-checkpoint, "Note text"): which log, how large, which root. Edge: signatures are those of the note.

use std::fmt;

use crate::decimal;
use crate::hash::{Hash, HashError, empty_root};
use crate::key::{KeyKind, KeyName, VerifierKey};
use crate::note::{NoteError, SignedNote, Signer};
use crate::tree::{TreeHead, TreeSize};

/// The text of a checkpoint, taken apart. Shown as that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

/// Why a note is no checkpoint, or not this log's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Origin, size and root are three lines.
    #[error("checkpoint has {lines} lines instead of at least 3")]
    TooFewLines {
        /// How many there are.
        lines: usize,
    },
    /// The text does not end in a newline.
    #[error("checkpoint does not end in a newline")]
    End,
    /// No line is empty, extension lines neither.
    #[error("line {line} of the checkpoint is empty")]
    EmptyLine {
        /// Which, from 1.
        line: usize,
    },
    /// The second line is no decimal number up to 2^63 − 1 without leading zeros.
    #[error("size of the checkpoint, `{text}`, is not a number from 0 to 2^63 - 1 without leading zeros")]
    Size {
        /// The line.
        text: String,
    },
    /// The third line is no hash.
    #[error("root of the checkpoint: {0}")]
    Root(HashError),
    /// A tree without leaves has one root only.
    #[error("checkpoint of size 0 has another root than the empty tree's")]
    EmptyTreeRoot,
    /// The checkpoint is that of another log than the key's.
    #[error("checkpoint is of the log `{origin}`, not of `{expected}`")]
    Origin {
        /// The checkpoint's origin.
        origin: String,
        /// The name of the log's key.
        expected: KeyName,
    },
    /// A log's key is of type 0x01.
    #[error("key of `{name}` is a witness's, not a log's")]
    KeyKind {
        /// The key's name.
        name: KeyName,
    },
    /// The note is malformed or not signed.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// The checkpoint of a log at this head, without extension lines. The origin is the name of the log's key.
    ///
    /// # Errors
    /// [`CheckpointError::EmptyTreeRoot`].
    pub fn new(origin: &KeyName, head: TreeHead) -> Result<Self, CheckpointError> {
        check_empty(&head)?;
        Ok(Self { origin: origin.to_string(), head, extensions: Vec::new() })
    }

    /// Reads the text of a note. Extension lines are kept and mean nothing.
    ///
    /// # Errors
    /// Every [`CheckpointError`] above `Origin`.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::End)?;
        let lines: Vec<&str> = body.split('\n').collect();
        if let Some(place) = lines.iter().position(|line| line.is_empty()) {
            return Err(CheckpointError::EmptyLine { line: place + 1 });
        }
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(CheckpointError::TooFewLines { lines: lines.len() });
        };
        let number = decimal::parse(size).and_then(|size| TreeSize::new(size).ok());
        let size = number.ok_or_else(|| CheckpointError::Size { text: (*size).to_owned() })?;
        let head = TreeHead { size, root: Hash::from_base64(root).map_err(CheckpointError::Root)? };
        check_empty(&head)?;
        let extensions = extensions.iter().map(|&line| line.to_owned()).collect();
        Ok(Self { origin: (*origin).to_owned(), head, extensions })
    }

    /// Signs the checkpoint. Its origin should be the name of the signer's key: who opens it insists.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] where it is not, and where signing fails.
    pub fn sign(&self, signer: &Signer) -> Result<SignedNote, CheckpointError> {
        self.check_origin(signer.verifier_key().name())?;
        Ok(SignedNote::sign(self.to_string(), signer)?)
    }

    /// Reads a note and verifies that this log signed it as its checkpoint. The note is returned for its cosignatures.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] where it is malformed or not signed by the key; [`CheckpointError::Origin`] where the
    /// origin is not the key's name; else as [`Checkpoint::parse`].
    pub fn open(note: &[u8], log: &VerifierKey) -> Result<(Self, SignedNote), CheckpointError> {
        if log.kind() != KeyKind::Ed25519 {
            return Err(CheckpointError::KeyKind { name: log.name().clone() });
        }
        let note = SignedNote::parse(note)?;
        note.verify([log])?;
        let checkpoint = Self::parse(note.text())?;
        checkpoint.check_origin(log.name())?;
        Ok((checkpoint, note))
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Size and root of the log's tree.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// How many entries the log has.
    pub fn size(&self) -> TreeSize {
        self.head.size
    }

    /// The root of the log's tree.
    pub fn root(&self) -> Hash {
        self.head.root
    }

    /// Lines behind the third: signed, but opaque and audited by nobody.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    pub(crate) fn check_origin(&self, log: &KeyName) -> Result<(), CheckpointError> {
        if self.origin == log.as_str() {
            Ok(())
        } else {
            Err(CheckpointError::Origin { origin: self.origin.clone(), expected: log.clone() })
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_empty(head: &TreeHead) -> Result<(), CheckpointError> {
    if head.size == TreeSize::ZERO && head.root != empty_root() {
        return Err(CheckpointError::EmptyTreeRoot);
    }
    Ok(())
}
