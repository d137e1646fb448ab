//! Receipts: a record's proof as a `tlog-proof` file, from the tiles and bundles of the published log. Edge: makes them; anybody checks them,
//! with `minutebook_verify::receipt`.

use crate::error::{Error, Result};
use crate::reader::{Content, Reader, StoredRecord};
use crate::seal::blocking;
use bytes::Bytes;
use minutebook_record::{Disclosure, Path, RecordId};
use minutebook_tlog::{
    Hash, LeafIndex, Proof, Tile, TileKind, TileReader, TiledTree, decode_bundle, inclusion_path,
};
use minutebook_verify::log::LOG;
use minutebook_verify::receipt::Receipt;
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Reader {
    /// A receipt for a record: a `tlog-proof` file. `disclose` shows those fields with it; everything else stays hidden.
    ///
    /// # Errors
    /// When the record is not sealed in the published log, or a field to disclose is not there.
    pub async fn receipt(&self, id: &RecordId, disclose: &[Path]) -> Result<String> {
        self.masked_receipt(id, disclose, &[]).await
    }

    /// The same, with the fields at and below `mask` hidden whatever is to be disclosed, and what betrays inputs where one of them is.
    ///
    /// # Errors
    /// As [`Reader::receipt`].
    pub async fn masked_receipt(&self, id: &RecordId, disclose: &[Path], mask: &[Path]) -> Result<String> {
        let (row, segment, place) = self.find(id).await?;
        let (checkpoint, note) = self.checkpoint().await?;
        let size = checkpoint.size();
        let wrong = |what: String| Error::Segment { segment: row.id, what };
        if row.log_index >= size.get() {
            return Err(wrong("is placed and not published yet: try again in a moment".into()));
        }
        let descriptor = self.entry(row.log_index, size).await?;
        let disclosure = if disclose.is_empty() {
            None
        } else {
            let (keys, copy) = (self.keys.clone(), segment.clone());
            let record = blocking(move || copy.record(0, place, &keys)).await?;
            Some(disclose_only(&record, disclose, mask)?)
        };
        let path = inclusion_path(&segment.leaves, LeafIndex::new(place as u64))
            .map_err(|e| wrong(e.to_string()))?;
        let receipt = Receipt {
            descriptor,
            place: place as u32,
            path: path.iter().map(|hash| *hash.as_bytes()).collect(),
            preimage: segment.audit.preimage(place),
            disclosure,
        };
        let tiles = self.tiles_for(row.log_index, size.get()).await?;
        let outer = TiledTree::new(&tiles, size)
            .inclusion_path(LeafIndex::new(row.log_index))
            .map_err(|e| wrong(e.to_string()))?;
        let proof = Proof::new(LeafIndex::new(row.log_index), outer, receipt.encode(), note)
            .map_err(|e| wrong(e.to_string()))?;
        Ok(proof.to_string())
    }

    pub(super) async fn entry(&self, index: u64, size: minutebook_tlog::TreeSize) -> Result<Vec<u8>> {
        let wrong = |what: String| Error::LogDisagrees { what };
        let tile =
            Tile::of_entry(LeafIndex::new(index), size).ok_or_else(|| wrong(format!("no entry {index}")))?;
        let (bytes, width) = match self.objects.get(&format!("{LOG}{tile}")).await? {
            Some(bytes) => (Some(bytes), tile.width()),
            None => (self.objects.get(&format!("{LOG}{}", tile.full())).await?, 256),
        };
        let bytes = bytes.ok_or_else(|| wrong(format!("`{LOG}{tile}` is missing")))?;
        let entries = decode_bundle(&bytes, width).map_err(|e| wrong(e.to_string()))?;
        let entry = entries.get((index % 256) as usize).map(|entry| entry.to_vec());
        entry.ok_or_else(|| wrong(format!("no entry {index}")))
    }

    /// The tiles that a path from one leaf needs: on each level its own and the one at the right edge.
    pub(super) async fn tiles_for(&self, index: u64, size: u64) -> Result<Tiles> {
        let mut tiles = BTreeMap::new();
        for level in 0..8u32 {
            let hashes = size >> (8 * level);
            if hashes == 0 {
                break;
            }
            for number in [index >> (8 * (level + 1)), (hashes - 1) >> 8] {
                if number > (hashes - 1) >> 8 {
                    continue;
                }
                let width = (hashes - number * 256).min(256) as u16;
                let tile = Tile::hashes(level as u8, number, width)
                    .map_err(|e| Error::LogDisagrees { what: e.to_string() })?;
                let bytes = match self.objects.get(&format!("{LOG}{tile}")).await? {
                    Some(bytes) => Some(bytes),
                    None => self.objects.get(&format!("{LOG}{}", tile.full())).await?,
                };
                if let Some(bytes) = bytes {
                    tiles.insert((level as u8, number), bytes);
                }
            }
        }
        Ok(Tiles(tiles))
    }
}

/// A disclosure that shows only the fields at or below `paths`, and of these none at or below `mask`.
fn disclose_only(record: &StoredRecord, paths: &[Path], mask: &[Path]) -> Result<Vec<u8>> {
    let Content::Readable { values, seed, .. } = &record.content else {
        return Err(Error::Request("the record cannot be read, so nothing of it can be disclosed".into()));
    };
    for path in paths {
        if !record.schema.fields().iter().any(|field| field.path.is_within(path)) {
            return Err(Error::Request(format!("the record has no field {path}")));
        }
    }
    let fields = record.schema.fields().iter();
    let mut hidden: Vec<Path> = fields
        .filter(|field| !paths.iter().any(|path| field.path.is_within(path)))
        .map(|field| field.path.clone())
        .collect();
    hidden.extend_from_slice(mask);
    let shown = values.iter().map(Vec::as_slice);
    let disclosure = Disclosure::make(&record.header, &record.schema, shown, seed, &hidden);
    Ok(disclosure.map_err(|error| Error::Request(error.to_string()))?.encode())
}

pub(super) struct Tiles(BTreeMap<(u8, u64), Bytes>);

impl TileReader for Tiles {
    type Error = String;

    fn read_tile(&self, tile: Tile) -> std::result::Result<Cow<'_, [u8]>, String> {
        let TileKind::Hashes { level } = tile.kind() else { return Err("not a tile of hashes".into()) };
        let bytes = self.0.get(&(level, tile.index())).ok_or_else(|| "missing".to_owned())?;
        bytes
            .get(..usize::from(tile.width()) * Hash::BYTES)
            .map(Cow::Borrowed)
            .ok_or_else(|| "cut short".into())
    }
}
