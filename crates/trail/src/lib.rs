//! The engine of a Minutebook trail: lock, catalog, keys and erasure, sealing, sequencing, recovery; and reading beside it. Edge: no HTTP, no
//! people's roles; the only holder of the signing key.

mod access;
mod acknowledgement;
mod api_key;
mod backup;
mod batch;
mod build;
mod catalog;
mod dispose;
mod doctor;
mod drain;
mod durable;
mod engine;
mod environment;
mod erase;
mod erasure_note;
mod error;
mod folder_source;
mod give_up;
mod halves;
mod hold;
mod keyfolder;
pub mod limits;
mod linked;
mod lock;
mod own;
mod place;
mod publish;
mod reader;
mod refusal;
mod repeats;
mod retention;
mod rotate;
mod sampling;
mod seal;
mod sealed_log;
mod second_look;
mod shape_users;
mod stage;
mod store;
mod subjects;
mod trail_keys;
mod windows;
mod wrap;

pub use acknowledgement::SignedAcknowledgement;
pub use api_key::NewApiKey;
pub use backup::{
    Ahead, BackupOptions, BackupPlace, BackupReport, KeyCopy, Promoted, RestoreOptions, RestoreReport,
    Snapshot, backup, copy_keys, promote, restore,
};
pub use catalog::CATALOG_FILE;
pub use dispose::{DisposalCertificate, DisposalPlan, KeptBack, Portion};
pub use doctor::doctor;
pub use drain::{DrainReport, SYSTEM};
pub use engine::Engine;
pub use environment::Environment;
pub use erase::{Certificate, Whom};
pub use error::{Error, Remedy, Result};
pub use folder_source::FolderSource;
pub use halves::{HalfLog, HalfNoted, HalfWaits};
pub use hold::{Hold, HoldFilter, HoldRequest};
pub use keyfolder::{AccessFile, ApiKey, ApiKeys, FileStamp, IndexKeys, KeyFolder, OWNER, find_api_key};
pub use lock::TrailLock;
pub use place::{ENGINE_SOCKET, InitOptions, Place, init};
pub use reader::{
    CheckedRecord, ClassEpochKey, Content, Filter, Reader, SealedAt, SpoolState, StoredRecord, WaitingEpoch,
};
pub use repeats::{Drawn, Noted, RepeatLog};
pub use seal::SealReport;
pub use second_look::lasting;
pub use stage::StageTimes;
pub use store::{ENGINE_LOG, FlushingFolder, Objects, STAGING};
pub use trail_keys::TrailKeys;
