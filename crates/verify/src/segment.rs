//! The stored segment: its parts, and reading them (`docs/formats/segment.md`, "The object"). Edge: whether a segment is the one that the log
//! describes is for `check` to say.

pub mod audit;
pub mod body;
pub mod head;
pub mod layout;

pub use audit::{Audit, Row};
pub use body::{Body, Entry};
pub use head::{Head, Shape};
pub use layout::Layout;

use crate::descriptor::Id;
use crate::keys::associated;
use crate::section::SectionError;
use minutebook_record::cbor;
use minutebook_tlog::Hash;

/// Why a segment's object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The clear frame of the object is damaged.
    #[error("is damaged: {0}")]
    Layout(&'static str),
    /// A section does not open.
    #[error("{0} {1}")]
    Section(SectionName, SectionError),
    /// A section opens and its content is not what the format says.
    #[error("{0} is authentic but malformed ({1})")]
    Content(SectionName, &'static str),
    /// The body of one record.
    #[error("the body of the record at place {0} {1}")]
    Body(u32, &'static str),
}

/// Which section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionName {
    /// Schemas and shapes.
    Head,
    /// A block of bodies.
    Block(u32),
    /// Leaves.
    Audit,
}

impl std::fmt::Display for SectionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head => f.write_str("its head"),
            Self::Block(block) => write!(f, "its block {block}"),
            Self::Audit => f.write_str("its audit section"),
        }
    }
}

/// Associated data of the head.
pub fn head_associated(segment: &Id) -> Vec<u8> {
    associated("minutebook/head/1", segment, |_| {}, 2)
}

/// Associated data of a block, which has the leaves from `leaves`.
pub fn block_associated(segment: &Id, block: u32, leaves: &[Hash]) -> Vec<u8> {
    let joined: Vec<u8> = leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
    let digest = minutebook_sha256::digest(&joined);
    let rest = |out: &mut Vec<u8>| {
        cbor::write_unsigned(out, u64::from(block));
        cbor::write_bytes(out, &digest);
    };
    associated("minutebook/block/1", segment, rest, 4)
}

/// Associated data of the audit section.
pub fn audit_associated(segment: &Id) -> Vec<u8> {
    associated("minutebook/audit/1", segment, |_| {}, 2)
}

/// Associated data of one record's sealed body.
pub fn body_associated(segment: &Id, place: u32) -> Vec<u8> {
    associated("minutebook/body/1", segment, |out| cbor::write_unsigned(out, u64::from(place)), 3)
}
