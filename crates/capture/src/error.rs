//! What can go wrong on the writing side. Messages carry places, sizes and causes, never a value or a key.

use std::io;

use minutebook_record::SchemaError;

use crate::identity::IdentityError;
use crate::random::RandomError;
use crate::shape::ShapeError;

/// Why something was not handed over. [`CaptureError::advice`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// No room: the disk is full, or the producer's parts have reached the spill limit because nothing drains them. The number is
    /// told as lost as soon as there is room.
    #[error("no room in the spool: the disk is full, or {spill_bytes} bytes wait for the engine")]
    Full {
        /// The spill limit in bytes.
        spill_bytes: u64,
    },
    /// The record, blob or shape is larger than one may be. The number is told as lost.
    #[error("{what} of {bytes} bytes, at most {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// A value does not fit the field it was given for. The number is told as dropped.
    #[error("the value for place {place} of the schema does not fit the field")]
    Value {
        /// Place in the schema, from 0.
        place: usize,
    },
    /// Too few or too many values. The number is told as dropped.
    #[error("{given} values for a shape that takes {takes}")]
    Count {
        /// Values given.
        given: usize,
        /// Values that a record of the shape brings.
        takes: usize,
    },
    /// The shape was declared to another producer.
    #[error("the shape was declared to another producer")]
    ForeignShape,
    /// A retention class more than an epoch has room for.
    #[error("more than {max} retention classes in one epoch")]
    Classes {
        /// The bound.
        max: usize,
    },
    /// A flush or a write failed before: what reached the disk is unknown. Nothing more is accepted; open a new producer once the disk
    /// is looked after.
    #[error("the spool failed and accepts nothing more")]
    Poisoned,
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
    /// The decision began before a fork, in the parent, which hands it over.
    #[error("the decision belongs to the parent process")]
    Forked,
    /// An option is not one.
    #[error("option `{option}`: {why}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// The producer's folder.
    #[error("the producer's folder: {0}")]
    Identity(#[from] IdentityError),
    /// A shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// The same call may succeed later.
    Retry,
    /// The call is wrong: what it was given has to change.
    Fix,
    /// Open a new producer.
    Reopen,
    /// Stop and look at the disk or the system.
    Inspect,
}

impl CaptureError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Full { .. } | Self::Random(_) => Advice::Retry,
            Self::TooLarge { .. }
            | Self::Value { .. }
            | Self::Count { .. }
            | Self::ForeignShape
            | Self::Classes { .. }
            | Self::Option { .. }
            | Self::Shape(_)
            | Self::Schema(_)
            | Self::Forked => Advice::Fix,
            Self::Closed => Advice::Reopen,
            Self::Poisoned | Self::Identity(_) | Self::Io { .. } => Advice::Inspect,
        }
    }
}
