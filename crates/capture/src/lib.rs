//! Capture: hands records over from the thread that decides to the engine that seals. The queue is the spool, a mapped file of
//! encrypted frames that survives the death of the process (`docs/formats/spool.md`).
//!
//! A producer writes, [`EpochReader`] reads. Edge: knows no storage engine and no server; time and randomness come in through
//! [`Clock`] and [`Random`]; what is asked of the operating system stands in one module.

mod clock;
mod damage;
mod epoch_file;
mod frame;
mod identity;
mod intake;
pub mod limits;
mod part_file;
mod random;
mod reader;
mod shape;
mod sys;

pub use clock::{Clock, SystemClock};
pub use damage::Damage;
pub use frame::LostReason;
pub use identity::{IdentityError, is_producer_name};
pub use intake::{IntakePrivateKey, IntakePublicKey};
pub use random::{Random, RandomError, SystemRandom};
pub use reader::{
    BatchEnd, BatchLimits, EpochFile, EpochReader, Frame, InFlight, Listing, Owner, Position, ReadError,
    Stop, list_epochs,
};
pub use shape::{ShapeDef, ShapeError};
