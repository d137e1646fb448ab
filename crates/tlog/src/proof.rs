//! Proof files (tlog-proof, "Format"): that an entry is in a log, checkable offline with nothing but a policy. Edge: what the
//! entry means, and what the extra data says about it, is for the application.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::decimal;
use crate::hash::{Hash, HashError};
use crate::inclusion::verify_inclusion;
use crate::limits::{PATH_HASHES_MAX, PROOF_BYTES_MAX};
use crate::note::{NoteError, SignedNote};
use crate::policy::{Accepted, Policy, PolicyRefusal};
use crate::tree::{LeafIndex, TreeError};

/// The first line.
const VERSION: &str = "c2sp.org/tlog-proof@v1";

/// A proof, as it is stored: nothing in it is verified before [`Proof::verify`]. Shown as the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    index: LeafIndex,
    path: Vec<Hash>,
    extra: Vec<u8>,
    checkpoint: SignedNote,
}

/// Why a file is no proof, or proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("proof has {bytes} bytes, above {PROOF_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Another first line: no proof, or one of a later version.
    #[error("proof does not begin with the line `c2sp.org/tlog-proof@v1`")]
    Version,
    /// No blank line between the path and the checkpoint.
    #[error("proof has no blank line before its checkpoint")]
    NoBlankLine,
    /// The lines before the checkpoint are not UTF-8.
    #[error("proof is not UTF-8 before its checkpoint")]
    NotUtf8,
    /// Extra data is not standard base64, or is there and empty.
    #[error("extra data of the proof is not base64 of at least one byte")]
    Extra,
    /// The line of the index is missing or has no number without leading zeros.
    #[error("line {line} of the proof is not `index` and a number without leading zeros")]
    Index {
        /// Which, from 1.
        line: usize,
    },
    /// A line of the path is no hash.
    #[error("line {line} of the proof: {problem}")]
    Hash {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        problem: HashError,
    },
    /// More hashes than [`PATH_HASHES_MAX`].
    #[error("proof has {hashes} hashes, above {PATH_HASHES_MAX}")]
    TooManyHashes {
        /// How many.
        hashes: usize,
    },
    /// The checkpoint is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is not to be trusted.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The entry is not in the log at this place, or the path is wrong.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Proof {
    /// A proof for the leaf at `index`. Empty extra data is none.
    ///
    /// # Errors
    /// [`ProofError::Checkpoint`] where the note is none; [`ProofError::Tree`] where its tree has no such leaf or the path
    /// has the wrong length; [`ProofError::TooLong`].
    pub fn new(
        index: LeafIndex,
        path: Vec<Hash>,
        extra: Vec<u8>,
        checkpoint: SignedNote,
    ) -> Result<Self, ProofError> {
        let head = *Checkpoint::parse(checkpoint.text())?.head();
        // The leaf is not known here, but the length is checked with any.
        crate::inclusion::root_from_path(head.root, index, head.size, &path)?;
        let proof = Self { index, path, extra, checkpoint };
        match proof.to_string().len() {
            bytes if bytes > PROOF_BYTES_MAX => Err(ProofError::TooLong { bytes }),
            _ => Ok(proof),
        }
    }

    /// Reads a proof file.
    ///
    /// # Errors
    /// Every [`ProofError`] above `Policy`.
    pub fn parse(file: &[u8]) -> Result<Self, ProofError> {
        if file.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong { bytes: file.len() });
        }
        let version = file.strip_prefix(VERSION.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
        let rest = version.ok_or(ProofError::Version)?;
        let blank = rest.windows(2).position(|two| two == b"\n\n").ok_or(ProofError::NoBlankLine)?;
        let header = std::str::from_utf8(&rest[..blank]).map_err(|_| ProofError::NotUtf8)?;
        let mut lines = header.split('\n').zip(2..).peekable();

        let extra = match lines.next_if(|(line, _)| line.starts_with("extra ")) {
            None => Vec::new(),
            Some((line, _)) => match STANDARD.decode(&line["extra ".len()..]) {
                Ok(extra) if !extra.is_empty() => extra,
                _ => return Err(ProofError::Extra),
            },
        };
        let (line, number) = lines.next().unwrap_or(("", 3));
        let index = line.strip_prefix("index ").and_then(decimal::parse);
        let index = LeafIndex::new(index.ok_or(ProofError::Index { line: number })?);
        let hashes = lines.clone().count();
        if hashes > PATH_HASHES_MAX {
            return Err(ProofError::TooManyHashes { hashes });
        }
        let hash = |(text, line): (&str, usize)| {
            Hash::from_base64(text).map_err(|problem| ProofError::Hash { line, problem })
        };
        let path = lines.map(hash).collect::<Result<_, _>>()?;
        let checkpoint = SignedNote::parse(&rest[blank + 2..])?;
        Checkpoint::parse(checkpoint.text())?;
        Ok(Self { index, path, extra, checkpoint })
    }

    /// Verifies that a log of the policy has the entry with this leaf hash, in a checkpoint that the policy accepts. The
    /// caller computes the hash from the entry itself ([`crate::hash::leaf_hash`]), never from the proof.
    ///
    /// # Errors
    /// [`ProofError::Policy`] where the checkpoint is not to be trusted, [`ProofError::Tree`] where it does not have the
    /// entry.
    pub fn verify<'p>(&self, leaf: Hash, policy: &'p Policy) -> Result<Accepted<'p>, ProofError> {
        let accepted = policy.check(&self.checkpoint)?;
        verify_inclusion(leaf, self.index, accepted.checkpoint.head(), &self.path)?;
        Ok(accepted)
    }

    /// The entry's number in the log, from 0.
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The inclusion path, the leaf's sibling first.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The extra data, empty if there is none. Not authenticated: anybody can have changed it, also in a proof that verifies.
    pub fn extra_unauthenticated(&self) -> &[u8] {
        &self.extra
    }

    /// The checkpoint with its signatures; [`Proof::verify`] says whether they are to be believed.
    pub fn checkpoint(&self) -> &SignedNote {
        &self.checkpoint
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", STANDARD.encode(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
