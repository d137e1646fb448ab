//! What an operator says of the trail's owner, who asks over the socket. Edge: what is said; what is recorded, and what when nothing is said, is
//! the server's.

use serde::Deserialize;

/// Whether what the owner reads over the socket is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// As what is read over TCP is: before it is given out, or it is not.
    Recorded,
    /// Not.
    Unrecorded,
}

/// `[owner]` of the settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnerTable {
    pub(crate) reads: Reads,
}
