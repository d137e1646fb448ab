//! The environment variables through which a session reaches the program under test. Processes that the program starts
//! inherit them and count as part of it.

/// Directories whose files count, separated by colons. They must exist. Unset: the library does nothing.
pub const ROOTS: &str = "FAULTFS_ROOTS";

/// The folder that keeps what is durable, outside of the roots. Required with [`ROOTS`]. If it holds no shadow yet,
/// what lies under the roots when the program starts is taken as durable.
pub const SHADOW: &str = "FAULTFS_SHADOW";

/// What happens to which operation: a [`Plan`](crate::Plan) in its text form. Unset: `count`.
pub const PLAN: &str = "FAULTFS_PLAN";

/// A file that gets one line per operation, see [`Operation`](crate::Operation). Unset: no log.
pub const LOG: &str = "FAULTFS_LOG";
