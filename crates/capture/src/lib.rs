//! Capture: hands records over from the thread that decides to the engine that seals. The queue is the spool, a mapped file of
//! encrypted frames that survives the death of the process (`docs/formats/spool.md`).
//!
//! [`Producer`] writes, [`EpochReader`] reads. Edge: knows no storage engine and no server; time and randomness come in through
//! [`Clock`] and [`Random`]; what is asked of the operating system stands in one module.

mod clock;
mod damage;
mod decision;
mod epoch_file;
mod error;
mod event;
mod flush;
mod fork;
mod frame;
mod identity;
mod intake;
pub mod limits;
mod live_epoch;
mod live_part;
mod lost;
mod made;
mod maintenance;
mod mark;
mod mirror;
mod part_file;
mod pending;
mod producer;
mod random;
mod reader;
mod region;
mod reserve;
mod room;
mod run;
mod scratch;
mod shape;
mod shipment;
mod storage;
mod sys;
#[cfg(test)]
mod vectors;
mod writer_shape;

pub use clock::{Clock, SystemClock};
pub use damage::Damage;
pub use decision::Decision;
pub use error::{Advice, CaptureError};
pub use event::EventRef;
pub use flush::Level;
pub use frame::LostReason;
pub use identity::{IdentityError, is_producer_name};
pub use intake::{IntakePrivateKey, IntakePublicKey};
#[doc(hidden)]
pub use made::MadeEpoch;
pub use mark::{Mark, is_signed, signed_bytes};
pub use mirror::{
    GivenUp, Mirror, MirrorError, MirrorId, Mirrors, Standing, StandingState, give_up, list_mirrors,
    mirror_name,
};
pub use pending::{Encoder, Pending};
pub use producer::{DrawnRange, Producer, ProducerOptions, Status};
pub use random::{Random, RandomError, SystemRandom};
pub use reader::{
    BatchEnd, BatchLimits, EpochFile, EpochReader, Frame, InFlight, Listing, Owner, Position, ReadError,
    Stop, list_epochs,
};
pub use region::Backing;
pub use shape::{ShapeDef, ShapeError};
pub use shipment::{Piece, Shipment, Step};
pub use storage::{Storage, SystemStorage};
pub use writer_shape::Shape;
