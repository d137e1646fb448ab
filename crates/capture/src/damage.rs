//! What a reader may find wrong with a spool. Told with the place and never with content.

/// What is wrong. Damage is never a reason to stop reading what else there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Not an epoch file of this version.
    #[error("not an epoch file of version 1")]
    EpochMagic,
    /// The epoch file's header was altered or cut.
    #[error("the epoch file's header was altered or cut")]
    EpochHeader,
    /// The epoch file belongs to another trail.
    #[error("the epoch belongs to another trail")]
    OtherTrail,
    /// The file's name says another epoch than its header.
    #[error("the epoch file bears the name of another epoch")]
    EpochName,
    /// The epoch key was sealed to another intake key, or altered.
    #[error("the epoch key does not open: sealed to another intake key, or altered")]
    EpochKey,
    /// The table of classes holds what is no class.
    #[error("the epoch file's table of classes was altered")]
    ClassTable,
    /// A part's header was altered or cut, or belongs to another part.
    #[error("the part's header was altered or cut")]
    PartHeader,
    /// Tail, end or drained of a part cannot be.
    #[error("the part's tail, end or drained position was altered")]
    PartProgress,
    /// A part is missing though a later one is there.
    #[error("a part is missing before a later one")]
    PartMissing,
    /// Bytes that are no frame that authenticates; what comes next was found by searching.
    #[error("no frame that authenticates")]
    Frame,
    /// Space that was reserved and never published: the owner died while it wrote.
    #[error("reserved and never published")]
    Unfinished,
    /// Bytes that should be zero behind a frame that authenticates.
    #[error("bytes behind a frame were altered")]
    Padding,
    /// A frame authenticates but says nothing that the format knows.
    #[error("a frame says nothing that the format knows")]
    Content,
    /// A record names a shape that was not defined in its part, or whose definition was damaged.
    #[error("a record names a shape that is not defined in its part")]
    ShapeUnknown,
    /// A shape is not one.
    #[error("a shape is malformed")]
    ShapeMalformed,
    /// A frame names a class that was not defined in its part, or whose definition was damaged.
    #[error("a frame names a class that is not defined in its part")]
    ClassUnknown,
    /// A frame and the epoch file name one class differently.
    #[error("a frame and the epoch file name one class differently")]
    ClassMismatch,
}
