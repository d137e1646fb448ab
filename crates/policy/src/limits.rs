//! The bounds of conditions, each with its reason.

/// Parentheses, lists and operators of a condition open at once: the stack of whoever reads, checks and evaluates it.
pub const NESTING_MAX: usize = 64;

/// Seconds of rules that are counted at once: 2 MiB or so, and decisions that come as late as this by the clock still find their second.
pub const SECONDS_MAX: usize = 1 << 16;

/// Names that are proposed for one that is not known.
pub const PROPOSALS_MAX: usize = 3;
