//! Bounds of settings, each with its reason.

/// Bytes of a text of settings: a record holds it whole.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Tables of models in one text: each field is held against all of them in turn.
pub const TABLES_MAX: usize = 1_000;

/// Policies of an operator: each decision evaluates all of them.
pub const POLICIES_MAX: usize = 500;

/// Bytes of a purpose: it is stored with every read that states it.
pub const PURPOSE_BYTES_MAX: usize = 512;

/// A limit of use: no server reaches it, and sums of it stay far from where numbers end.
pub const ALLOWANCE_MAX: u32 = 1_000_000_000;

/// Tables of limits for some askers: each request is held against them in turn.
pub const ALLOWANCES_MAX: usize = 100;
