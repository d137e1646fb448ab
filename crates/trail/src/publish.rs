//! Steps 5 and 6 of `docs/formats/trail.md`: tiles, entry bundles and the checkpoint. Edge: which entries there are the catalog says; this
//! writes them out, and is the same code for new entries and after a crash.

use crate::error::{Error, Result};
use crate::store::Objects;
use bytes::Bytes;
use minutebook_tlog::{
    Checkpoint, Edge, Hash, KeyName, LeafIndex, Signer, Tile, TileReader, TreeHead, decode_bundle,
    encode_bundle,
};
use minutebook_verify::log::LOG;
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::verify::CHECKPOINT;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An entry, where it goes, and its leaf hash.
pub type PendingEntry = (u64, Vec<u8>, Hash);

/// The log as published, and the key that signs what comes next.
#[derive(Debug)]
pub struct Publisher {
    origin: KeyName,
    signer: Signer,
    edge: Edge,
    /// The entries of the last bundle, while it is not full.
    bundle: Vec<Vec<u8>>,
    /// Partial tiles of the published checkpoint, which go when a full one replaces them.
    partial: Vec<Tile>,
    root: Hash,
}

impl Publisher {
    /// A log that has nothing yet.
    pub fn empty(signer: Signer) -> Self {
        let edge = Edge::new();
        let root = edge.root();
        Self {
            origin: signer.verifier_key().name().clone(),
            signer,
            edge,
            bundle: Vec::new(),
            partial: Vec::new(),
            root,
        }
    }

    /// Takes the log up as it was published.
    ///
    /// # Errors
    /// When the checkpoint is missing or not ours, or the tiles of its right edge do not give its root.
    pub async fn open(objects: &Objects, file: &TrailFile, signer: Signer) -> Result<Self> {
        let disagrees = |what: String| Error::LogDisagrees { what };
        let bytes =
            objects.get(CHECKPOINT).await?.ok_or_else(|| disagrees("the checkpoint is missing".into()))?;
        let opened = file.open_checkpoint(&bytes);
        let (checkpoint, _) = opened.map_err(|e| disagrees(format!("the published checkpoint: {e}")))?;
        let mut publisher = Self::empty(signer);
        publisher.read_edge(objects, *checkpoint.head()).await?;
        Ok(publisher)
    }

    /// Signs with another key from now on.
    pub fn sign_with(&mut self, signer: Signer) {
        self.signer = signer;
    }

    async fn read_edge(&mut self, objects: &Objects, head: TreeHead) -> Result<()> {
        let disagrees = |what: String| Error::LogDisagrees { what };
        let mut tiles = BTreeMap::new();
        for level in 0..8u8 {
            let hashes = head.size.get() >> (8 * u32::from(level));
            let width = (hashes % 256) as u16;
            if width > 0 {
                let tile = Tile::hashes(level, hashes / 256, width).map_err(|e| disagrees(e.to_string()))?;
                let bytes = objects.get(&format!("{LOG}{tile}")).await?;
                tiles.insert(
                    tile.to_string(),
                    bytes.ok_or_else(|| disagrees(format!("`{LOG}{tile}` is missing")))?,
                );
                self.partial.push(tile);
            }
        }
        self.edge = Edge::from_tiles(&Stored(tiles), head).map_err(|e| disagrees(e.to_string()))?;
        self.root = head.root;
        let size = head.size.get();
        if !size.is_multiple_of(256)
            && let Some(bundle) = Tile::of_entry(LeafIndex::new(size - 1), head.size)
        {
            let bytes = objects.get(&format!("{LOG}{bundle}")).await?;
            let bytes = bytes.ok_or_else(|| disagrees(format!("`{LOG}{bundle}` is missing")))?;
            let entries = decode_bundle(&bytes, bundle.width())
                .map_err(|e| disagrees(format!("`{LOG}{bundle}`: {e}")))?;
            self.bundle = entries.into_iter().map(<[u8]>::to_vec).collect();
            self.partial.push(bundle);
        }
        Ok(())
    }

    /// How many entries are published.
    pub fn size(&self) -> u64 {
        self.edge.size().get()
    }

    /// The root that is published.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Writes the tiles for `entries`, which follow those that are published, then the checkpoint over them. Durable on return.
    ///
    /// # Errors
    /// When something cannot be written, or another content is there already. The publisher is not to be used again then.
    pub async fn publish(&mut self, objects: &Objects, entries: &[PendingEntry]) -> Result<()> {
        let mut writes: Vec<(Tile, Bytes)> = Vec::new();
        for (index, entry, leaf) in entries {
            assert_eq!(*index, self.edge.size().get(), "entries are published in the order of the log");
            let full =
                self.edge.push(*leaf).map_err(|error| Error::LogDisagrees { what: error.to_string() })?;
            self.bundle.push(entry.clone());
            if self.bundle.len() == 256 {
                writes.push(self.bundle_tile()?);
                self.bundle.clear();
            }
            writes.extend(full.into_iter().map(|(tile, bytes)| (tile, Bytes::from(bytes))));
        }
        let mut partial = Vec::new();
        if !self.bundle.is_empty() {
            let bundle = self.bundle_tile()?;
            partial.push(bundle.0);
            writes.push(bundle);
        }
        for (tile, bytes) in self.edge.partial_tiles() {
            partial.push(tile);
            writes.push((tile, bytes.into()));
        }
        let puts = writes.iter().map(|(tile, bytes)| put_tile(objects, *tile, bytes.clone()));
        // To the end of each, also when one fails: nothing goes on behind the back of the engine that is opened next.
        futures::future::join_all(puts).await.into_iter().collect::<Result<()>>()?;
        self.sign(objects).await?;
        // A partial tile may go once the full one is there (C2SP tlog-tiles, "Partial Tiles").
        for tile in std::mem::replace(&mut self.partial, partial) {
            if writes.iter().any(|(written, _)| *written == tile.full()) {
                objects.remove(&format!("{LOG}{tile}")).await?;
            }
        }
        Ok(())
    }

    /// Signs and publishes a checkpoint of the present size.
    async fn sign(&mut self, objects: &Objects) -> Result<()> {
        let head = self.edge.head();
        let signed = Checkpoint::new(&self.origin, head).and_then(|checkpoint| checkpoint.sign(&self.signer));
        let note = signed.map_err(|error| Error::LogDisagrees { what: error.to_string() })?;
        objects.put(CHECKPOINT, Bytes::from(note.to_string())).await?;
        self.root = head.root;
        Ok(())
    }

    fn bundle_tile(&self) -> Result<(Tile, Bytes)> {
        let disagrees = |what: String| Error::LogDisagrees { what };
        let size = self.edge.size();
        let tile = Tile::of_entry(LeafIndex::new(size.get() - 1), size);
        let tile = tile.ok_or_else(|| disagrees("the log has no last entry".into()))?;
        let bytes = encode_bundle(&self.bundle).map_err(|error| disagrees(error.to_string()))?;
        Ok((tile, bytes.into()))
    }
}

/// A full tile never changes; a partial one is always the same for its width. So what is there must be equal.
async fn put_tile(objects: &Objects, tile: Tile, bytes: Bytes) -> Result<()> {
    Ok(objects.put_same(&format!("{LOG}{tile}"), bytes).await?)
}

struct Stored(BTreeMap<String, Bytes>);

impl TileReader for Stored {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> Result<Cow<'_, [u8]>, String> {
        self.0
            .get(&tile.to_string())
            .map(|bytes| Cow::Borrowed(bytes.as_ref()))
            .ok_or_else(|| "not read".to_owned())
    }
}
