//! The stored formats, as the verifier reads them.

mod assembled;
mod formats;
mod vectors;
