//! The vectors of `docs/formats/log.md`, computed by an implementation that shares no code with this one, and those of the
//! specifications.

use std::fs;
use std::path::PathBuf;

use minutebook_tlog::{
    Checkpoint, Edge, Hash, KeyKind, Leaves, Policy, PolicyRefusal, Proof, SignedNote, TreeHead, TreeSize,
    VerifierKey, consistency_path_from, decode_bundle, empty_root, encode_bundle, inclusion_path, leaf_hash,
    merkle_root, tiles_between, verify_consistency, verify_inclusion,
};
use serde_json::Value;

use crate::keys::{cosigner, signer};
use crate::naive;

fn read(name: &str) -> String {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors");
    fs::read_to_string(vectors.join(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap()).collect()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(|hash| Hash::from_slice(&unhex(hash)).unwrap()).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn head(leaves: &[Hash]) -> TreeHead {
    TreeHead { size: TreeSize::new(leaves.len() as u64).unwrap(), root: merkle_root(leaves) }
}

#[test]
fn hashes_of_rfc_6962() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(empty_root().to_string(), empty);
    let empty_leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    assert_eq!(leaf_hash(b"").to_string(), empty_leaf);
}

/// The eight entries with which Certificate Transparency's implementations test their trees.
#[test]
fn roots_of_certificate_transparency() {
    let entries: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves = entries.map(leaf_hash);
    for (place, root) in roots.iter().enumerate() {
        assert_eq!(merkle_root(&leaves[..=place]).to_string(), *root, "{} entries", place + 1);
    }
}

#[test]
fn trees() {
    let vectors = json("log-tree.json");
    let leaves = naive::leaves(70_000);
    let roots = vectors["roots"].as_object().unwrap();
    assert_eq!(roots.len(), 24);
    for (size, root) in roots {
        assert_eq!(merkle_root(&leaves[..size.parse().unwrap()]).to_string(), *root, "{size}");
    }
    for vector in vectors["inclusion"].as_array().unwrap() {
        let (index, tree) = (number(&vector["index"]), &leaves[..number(&vector["size"])]);
        let path = hashes(&vector["path"]);
        assert_eq!(inclusion_path(tree, (index as u32).into()).as_ref(), Ok(&path), "{vector}");
        verify_inclusion(leaves[index], (index as u32).into(), &head(tree), &path).unwrap();
    }
    for vector in vectors["consistency"].as_array().unwrap() {
        let (old, new) = (head(&leaves[..number(&vector["old"])]), head(&leaves[..number(&vector["new"])]));
        let path = hashes(&vector["path"]);
        let built = consistency_path_from(&mut Leaves(&leaves), old.size, new.size);
        assert_eq!(built.as_ref(), Ok(&path), "{vector}");
        verify_consistency(&old, &new, &path).unwrap();
    }
}

#[test]
fn tiles() {
    let vectors = json("log-tree.json");
    for vector in vectors["growth"].as_array().unwrap() {
        let [old, new] = ["old", "new"].map(|key| TreeSize::new(number(&vector[key]) as u64).unwrap());
        let tiles: Vec<String> = tiles_between(old, new).unwrap().map(|tile| tile.to_string()).collect();
        assert_eq!(vector["tiles"], Value::from(tiles));
    }
    let mut edge = Edge::new();
    let mut written = Vec::new();
    for leaf in naive::leaves(70_000) {
        written.extend(edge.push(leaf).unwrap());
    }
    written.extend(edge.partial_tiles());
    let digests = vectors["tile-sha256-of-70000"].as_object().unwrap();
    assert_eq!(digests.len(), 5);
    for (path, digest) in digests {
        let (_, bytes) = written.iter().find(|(tile, _)| tile.to_string() == *path).unwrap();
        let computed: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(bytes).into();
        assert_eq!(Hash::new(computed).to_string(), *digest, "{path}");
    }
    let bundle = &vectors["bundle"];
    let entries: Vec<Vec<u8>> = bundle["entries"].as_array().unwrap().iter().map(unhex).collect();
    assert_eq!(encode_bundle(&entries).unwrap(), unhex(&bundle["bytes"]));
    assert_eq!(decode_bundle(&unhex(&bundle["bytes"]), entries.len() as u16).unwrap(), entries);
}

#[test]
fn keys() {
    for vector in json("log-keys.json")["keys"].as_array().unwrap() {
        let (name, seed) = (vector["name"].as_str().unwrap(), unhex(&vector["seed"])[0]);
        let key: VerifierKey = vector["verifier-key"].as_str().unwrap().parse().unwrap();
        assert_eq!(vector["type"], key.kind() as u8);
        assert_eq!(vector["id"], key.id().to_string());
        assert_eq!(unhex(&vector["public"]), key.public_key());
        match key.kind() {
            KeyKind::Ed25519 => assert_eq!(signer(name, seed).verifier_key(), &key),
            KeyKind::Cosignature => assert_eq!(cosigner(name, seed).verifier_key(), &key),
        }
    }
}

#[test]
fn checkpoint_policy_and_proof() {
    let (file, policy, proof) = (read("log-checkpoint.txt"), read("log-policy.txt"), read("log-proof.txt"));
    let leaves = naive::leaves(70_000);

    // Ed25519 is deterministic: the file can be made anew to the byte.
    let log = signer("trail.example/credit", 1);
    let checkpoint = Checkpoint::new(log.verifier_key().name(), head(&leaves)).unwrap();
    let mut note = checkpoint.sign(&log).unwrap();
    let signers = [("witness.example/w1", 2), ("elsewhere.example/w", 9), ("witness.example/w3", 4)];
    for ((name, seed), unix_seconds) in signers.into_iter().zip(1_790_000_000..) {
        note.add_signature(cosigner(name, seed).cosign(&note, unix_seconds).unwrap()).unwrap();
    }
    assert_eq!(note.to_string(), file);
    assert_eq!(Checkpoint::open(file.as_bytes(), log.verifier_key()), Ok((checkpoint, note.clone())));

    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let accepted = policy.check(&note).unwrap();
    let witnesses: Vec<_> =
        accepted.witnesses.iter().map(|one| (one.witness.name.to_string(), one.unix_seconds)).collect();
    assert_eq!(witnesses, [("w1".to_owned(), 1_790_000_000), ("w3".to_owned(), 1_790_000_002)]);
    let without_w3 = file
        .lines()
        .filter(|line| !line.contains("w3"))
        .fold(String::new(), |lines, line| lines + line + "\n");
    let refusal = policy.check(&SignedNote::parse(without_w3.as_bytes()).unwrap()).unwrap_err();
    assert!(matches!(refusal, PolicyRefusal::Quorum { cosigned: 1, .. }));

    let path = inclusion_path(&leaves, 12_345.into()).unwrap();
    let made = Proof::new(12_345.into(), path, b"not authenticated".to_vec(), note).unwrap();
    assert_eq!(made.to_string(), proof);
    let parsed = Proof::parse(proof.as_bytes()).unwrap();
    assert_eq!(parsed.verify(leaf_hash(b"12345"), &policy), Ok(accepted));
    parsed.verify(leaf_hash(b"12346"), &policy).unwrap_err();
}

/// What `docs/formats/log.md` shows stands in the files.
#[test]
fn the_page_shows_the_vectors() {
    let page =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/log.md"))
            .unwrap();
    let unindented: String = page.lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    for file in ["log-checkpoint.txt", "log-policy.txt"] {
        assert!(unindented.contains(&read(file)), "{file}");
    }
    let tree = json("log-tree.json");
    for size in ["0", "1", "2", "3", "256", "70000"] {
        assert!(page.contains(tree["roots"][size].as_str().unwrap()), "root of {size}");
    }
    assert!(page.contains(tree["bundle"]["bytes"].as_str().unwrap()));
}
