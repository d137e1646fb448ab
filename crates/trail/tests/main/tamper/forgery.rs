//! What the holder of the keys could do: take the log's entries, change them, seal segments anew, and publish all of it under good signatures.

use super::source::MapSource;
use super::world::{World, world};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_tlog::{
    Checkpoint, Edge, KeyName, LeafIndex, Signer, Tile, decode_bundle, encode_bundle, leaf_hash, merkle_root,
};
use minutebook_verify::check::{Scratch, open_audit, open_block, open_head};
use minutebook_verify::descriptor::{Descriptor, Entry};
use minutebook_verify::keys::{Cipher, segment_key};
use minutebook_verify::section;
use minutebook_verify::segment::{Audit, Head, Layout, audit_associated, block_associated, head_associated};
use minutebook_verify::trailfile::{Succession, TrailFile};
use minutebook_verify::verify::{CHECKPOINT, segment_name};
use zeroize::Zeroizing;

/// The log's entries, to be changed and published anew.
pub struct Forgery {
    pub entries: Vec<Vec<u8>>,
    /// Descriptors that are open for changes, by entry.
    open: Vec<Option<Box<Descriptor>>>,
    objects: MapSource,
}

/// A segment, decrypted.
pub struct Parts {
    pub audit: Audit,
    pub head: Head,
    pub blocks: Vec<Vec<u8>>,
}

impl Forgery {
    /// The trail as it is.
    pub fn new() -> Self {
        let objects = world().lean.clone();
        let mut entries = Vec::new();
        for name in [
            "log/tile/entries/000".to_owned(),
            world().lean.below("log/tile/entries/001").next().unwrap().to_owned(),
        ] {
            let width = name.split_once(".p/").map_or(256, |(_, width)| width.parse().unwrap());
            entries.extend(
                decode_bundle(objects.bytes(&name), width).unwrap().iter().map(|entry| entry.to_vec()),
            );
        }
        let open = entries.iter().map(|_| None).collect();
        Self { entries, open, objects }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first descriptor that is `wanted`.
    pub fn find(&self, wanted: impl Fn(&Descriptor) -> bool) -> usize {
        self.find_after(0, wanted)
    }

    /// The first one behind entry `after`.
    pub fn find_after(&self, after: usize, wanted: impl Fn(&Descriptor) -> bool) -> usize {
        let is = |at: &usize| matches!(Entry::decode(&self.entries[*at]), Ok(Entry::Segment(found)) if wanted(&found));
        (after + 1..self.len()).find(is).expect("such a descriptor")
    }

    /// A descriptor, for changes.
    pub fn descriptor(&mut self, at: usize) -> &mut Descriptor {
        self.try_descriptor(at).expect("a descriptor")
    }

    pub fn try_descriptor(&mut self, at: usize) -> Option<&mut Descriptor> {
        if self.open[at].is_none() {
            let Ok(Entry::Segment(descriptor)) = Entry::decode(&self.entries[at]) else { return None };
            self.open[at] = Some(descriptor);
        }
        self.open[at].as_deref_mut()
    }

    /// Strikes an entry and its segment.
    pub fn leave_out(&mut self, at: usize) {
        let name = segment_name(&self.descriptor(at).segment);
        self.objects.0.remove(&name);
        self.entries.remove(at);
        self.open.remove(at);
    }

    /// Decrypts a segment, changes it, and seals it so that bytes, root and descriptor fit again.
    pub fn reseal(&mut self, at: usize, change: impl FnOnce(&mut Parts)) {
        let descriptor = self.descriptor(at).clone();
        let name = segment_name(&descriptor.segment);
        let object = self.objects.bytes(&name).to_vec();
        let layout = Layout::parse(&object).unwrap();
        let mut scratch = Scratch::default();
        let keys = &world().keys;
        let (audit_key, content_key) = (&keys.audit[&layout.class_epoch], &keys.content[&layout.class_epoch]);
        let cipher = Cipher::new(&segment_key(content_key, &layout.segment));
        let audit = open_audit(&object, &layout, audit_key, &mut scratch).unwrap();
        let leaves = audit.leaves();
        let open =
            |block| open_block(&object, &layout, block, &leaves, &cipher, &mut Scratch::default()).unwrap();
        let blocks = (0..layout.blocks.len()).map(open).collect();
        let head = open_head(&object, &layout, &cipher, &mut scratch).unwrap();
        let mut parts = Parts { audit, head, blocks };
        change(&mut parts);
        let leaves = parts.audit.leaves();
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        let segment = &layout.segment;
        let mut sealed = Layout::begin(segment, &layout.class_epoch);
        let head = parts.head.encode();
        let head = section::seal(&cipher, 0, &head_associated(segment), &head, &mut compressor, &mut sealed);
        let mut lengths = Vec::new();
        for (block, content) in parts.blocks.iter().enumerate() {
            let places = layout.places(block);
            let leaves = &leaves[places.start as usize..places.end as usize];
            let associated = block_associated(segment, block as u32, leaves);
            let length =
                section::seal(&cipher, block as u64 + 1, &associated, content, &mut compressor, &mut sealed);
            lengths.push((places.start, length));
        }
        let cipher = Cipher::new(&segment_key(audit_key, segment));
        let audit = parts.audit.encode();
        let audit =
            section::seal(&cipher, 0, &audit_associated(segment), &audit, &mut compressor, &mut sealed);
        Layout::end(&mut sealed, layout.records, head, &lengths, audit);
        let descriptor = self.descriptor(at);
        descriptor.root = *merkle_root(&leaves).as_bytes();
        descriptor.object_digest = minutebook_sha256::digest(&sealed);
        descriptor.object_len = sealed.len() as u64;
        self.objects.0.insert(name, sealed.into());
    }

    /// Writes tiles, bundles and a signed checkpoint over the entries.
    pub fn publish(self) -> MapSource {
        let signer = world().signer();
        self.publish_by(&signer)
    }

    /// The same after a rotation to the signing key of `seed`; `change` is made to the trail.toml that tells of it.
    pub fn publish_with_key(mut self, seed: [u8; 32], change: impl FnOnce(&mut TrailFile)) -> MapSource {
        let World { origin, .. } = world();
        let signer = Signer::from_seed(KeyName::new(&**origin).unwrap(), Zeroizing::new(seed)).unwrap();
        let mut file = TrailFile::parse(world().now.bytes("trail.toml")).unwrap();
        let mut step = Succession {
            old: file.log_key.clone(),
            new: signer.verifier_key().to_string(),
            at: "2026-11-21T10:00:00Z".into(),
            old_signature: String::new(),
            new_signature: String::new(),
        };
        let sign = |seed: [u8; 32]| {
            let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            BASE64.encode(key.sign(&step.signed_bytes()))
        };
        (step.old_signature, step.new_signature) = (sign(world().seed), sign(seed));
        file.log_key.clone_from(&step.new);
        file.succession.push(step);
        change(&mut file);
        let text = file.render();
        self.entries
            .push(Entry::Trail { id: file.id, digest: minutebook_sha256::digest(text.as_bytes()) }.encode());
        self.objects.0.insert("trail.toml".into(), text.into_bytes().into());
        self.publish_by(&signer)
    }

    fn publish_by(mut self, signer: &Signer) -> MapSource {
        for (at, open) in self.open.iter().enumerate() {
            if let Some(descriptor) = open {
                self.entries[at] = Entry::Segment(descriptor.clone()).encode();
            }
        }
        self.objects.0.retain(|name, _| !name.starts_with("log/"));
        let mut edge = Edge::new();
        let mut tiles = Vec::new();
        for entry in &self.entries {
            tiles.extend(edge.push(leaf_hash(entry)).unwrap());
        }
        tiles.extend(edge.partial_tiles());
        let size = edge.size();
        for (number, chunk) in self.entries.chunks(256).enumerate() {
            let bundle = Tile::of_entry(LeafIndex::new(number as u64 * 256), size).unwrap();
            tiles.push((bundle, encode_bundle(chunk).unwrap()));
        }
        for (tile, bytes) in tiles {
            self.objects.0.insert(format!("log/{tile}"), bytes.into());
        }
        let checkpoint = Checkpoint::new(signer.verifier_key().name(), edge.head()).unwrap();
        let note = checkpoint.sign(signer).unwrap().to_string();
        self.objects.0.insert(CHECKPOINT.into(), note.into_bytes().into());
        self.objects
    }
}
