//! Every parser of bytes from outside, called on the same input: what it accepts is written again and has to come out the same.
//! Edge: for fuzzing and tests; nothing else calls it.

use crate::hash::Hash;
use crate::tree::{TreeHead, TreeSize};
use crate::{
    Checkpoint, Cosignature, Frontier, NoteSignature, Policy, Proof, SignedNote, Tile, VerifierKey,
    decode_bundle, encode_bundle, verify_consistency, verify_inclusion,
};

/// Calls every parser on `data`.
///
/// # Panics
/// Where a parser panics, or accepts what it would not write itself.
pub fn fuzz_parsers(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(hash) = Hash::from_base64(text) {
            assert_eq!(hash.to_base64(), text, "hash");
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text, "verifier key");
        }
        if let Ok(tile) = text.parse::<Tile>() {
            assert_eq!(tile.to_string(), text, "tile");
        }
        if let Ok(line) = text.parse::<NoteSignature>() {
            assert_eq!(line.to_string(), text, "signature line");
        }
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert_eq!(checkpoint.to_string(), text, "checkpoint");
        }
    }
    if let Ok(note) = SignedNote::parse(data) {
        assert_eq!(note.to_string().as_bytes(), data, "note");
        for signature in note.signatures() {
            let _ = Cosignature::from_bytes(signature.signature());
        }
    }
    if let Ok(cosignature) = Cosignature::from_bytes(data) {
        assert_eq!(cosignature.to_bytes(), data, "cosignature");
    }
    if let Ok(proof) = Proof::parse(data) {
        assert_eq!(proof.to_string().as_bytes(), data, "proof");
        let _ = proof.verify(Hash::new([0; 32]), &Policy::default());
    }
    // Comments, order and spacing are not kept: what was written is read again instead.
    if let Ok(policy) = Policy::parse(data) {
        assert_eq!(Policy::parse(&policy.to_bytes()).as_ref(), Ok(&policy), "policy");
    }
    fuzz_binary(data);
}

/// The first bytes choose a width, a place and a size.
fn fuzz_binary(data: &[u8]) {
    let Some((numbers, rest)) = data.split_first_chunk::<17>() else { return };
    let (index, size) = (&numbers[1..9], &numbers[9..]);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (index, size) = (number(index), number(size));
    if let Ok(entries) = decode_bundle(rest, numbers[0].into()) {
        assert_eq!(encode_bundle(&entries).as_deref(), Ok(rest), "bundle");
    }
    let Ok(size) = TreeSize::new(size) else { return };
    let root = Hash::new([0; 32]);
    let head = TreeHead { size, root };
    let path: Vec<Hash> = rest.as_chunks().0.iter().copied().map(Hash::new).collect();
    let _ = verify_inclusion(root, crate::LeafIndex::new(index), &head, &path);
    if let Ok(old) = TreeSize::new(index) {
        let _ = verify_consistency(&TreeHead { size: old, root }, &head, &path);
    }
    if let Ok(frontier) = Frontier::from_bytes(head, rest) {
        assert_eq!(frontier.to_bytes(), rest, "frontier");
    }
}
