//! The transparency log's formats: RFC 6962 trees, C2SP tiles, signed notes, checkpoints, cosignatures, proofs and policies, as
//! `docs/formats/log.md` fixes them.
//!
//! Edge: no I/O, no clock, no randomness, and no idea what an entry means. Every function takes its input as bytes or values and
//! gives the same answer to everybody. No input makes it panic; every bound is in [`limits`].

mod bundle;
mod checkpoint;
mod consistency;
mod cosignature;
mod decimal;
mod edge;
mod frontier;
mod hash;
mod inclusion;
mod key;
pub mod limits;
mod note;
mod policy;
mod policy_text;
mod proof;
mod reparse;
mod tile;
mod tiled_tree;
mod tree;

pub use bundle::{BundleError, decode_bundle, encode_bundle, push_entry};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use consistency::{consistency_path_from, verify_consistency};
pub use cosignature::{Cosignature, CosignatureError, Cosigner};
pub use edge::Edge;
pub use frontier::Frontier;
pub use hash::{Hash, HashError, empty_root, leaf_hash, node_hash};
pub use inclusion::{inclusion_path_from, root_from_path, verify_inclusion};
pub use key::{KeyError, KeyId, KeyKind, KeyName, VerifierKey};
pub use note::{NoteError, NoteSignature, SignatureError, SignedNote, Signer, VerifiedSignature};
pub use policy::{Accepted, Policy, PolicyLog, PolicyRefusal, PolicyWitness, Threshold, Witnessed};
pub use policy_text::{PolicyError, PolicyProblem, Word};
pub use proof::{Proof, ProofError};
#[doc(hidden)]
pub use reparse::fuzz_parsers;
pub use tile::{Tile, TileError, TileKind, tiles_between};
pub use tiled_tree::{TileReader, TiledTree, TiledTreeError, leaf_hashes, tile_hashes};
pub use tree::{
    LeafIndex, Leaves, Node, NodeSource, TreeError, TreeHead, TreeSize, inclusion_path, merkle_root,
    root_from,
};
