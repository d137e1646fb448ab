//! The record of Minutebook: kinds, schemas, values, deterministic bytes, salted commitments, disclosure, as
//! `docs/formats/record.md` fixes them. Edge: no I/O, no clock, no randomness; times, ids and seeds come in as values, and no input makes
//! it panic.

pub mod cbor;
mod check;
pub mod commit;
pub mod disclosure;
pub mod error;
pub mod field_type;
pub mod fields;
mod fuzz;
pub mod header;
pub mod limits;
pub mod path;
pub mod redaction;
pub mod schema;
pub mod value;

pub use check::{check, check_any};
pub use commit::{Commitment, Committer, LeafHash, Preimage, Salt, Sealed, Seed};
pub use disclosure::{Disclosure, masked_places};
pub use error::{DecodeError, Fault, FieldError, SchemaError, ValuesError};
pub use field_type::{Element, FieldType, IntegerType, Zone};
pub use header::{ClassName, Epoch, Header, Kind, ProducerId, RecordId, Seq};
pub use path::Path;
pub use schema::{Field, Schema, SchemaDigest};
pub use value::{Blob, Integer, Map, Seconds, Tensor, Value};

#[doc(hidden)]
pub use fuzz::fuzz_decoders;
