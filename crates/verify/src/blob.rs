//! Large values, stored beside (`docs/formats/trail.md`, "Blobs"). Edge: which key a blob has is for the caller to know.

use crate::descriptor::Id;
use crate::keys::{Cipher, Secret, associated};
use crate::limits::BLOB_CHUNK_BYTES;
use minutebook_record::cbor;

const MAGIC: &[u8; 8] = b"mbblob1\n";
const TAG: usize = 16;

fn chunk_associated(blob: &Id, chunk: u64, last: bool) -> Vec<u8> {
    let rest = |out: &mut Vec<u8>| {
        cbor::write_unsigned(out, chunk);
        cbor::write_bool(out, last);
    };
    associated("minutebook/blob/1", blob, rest, 4)
}

/// The stored object of a blob. `key` is the blob's own.
pub fn seal(blob: &Id, key: &Secret, content: &[u8]) -> Vec<u8> {
    let cipher = Cipher::new(key);
    let mut object = MAGIC.to_vec();
    let chunks = content.len() / BLOB_CHUNK_BYTES;
    for chunk in 0..=chunks {
        let from = chunk * BLOB_CHUNK_BYTES;
        let mut clear = content[from..content.len().min(from + BLOB_CHUNK_BYTES)].to_vec();
        cipher.seal(chunk as u64, &chunk_associated(blob, chunk as u64, chunk == chunks), &mut clear);
        object.extend_from_slice(&clear);
    }
    object
}

/// The content of a stored blob; `None` when it does not authenticate as a whole.
pub fn open(blob: &Id, key: &Secret, object: &[u8]) -> Option<Vec<u8>> {
    let cipher = Cipher::new(key);
    let mut rest = object.strip_prefix(MAGIC)?;
    let mut content = Vec::with_capacity(rest.len());
    for chunk in 0.. {
        let last = rest.len() < BLOB_CHUNK_BYTES + TAG;
        let (sealed, others) = if last { (rest, &[][..]) } else { rest.split_at(BLOB_CHUNK_BYTES + TAG) };
        let mut sealed = sealed.to_vec();
        content.extend_from_slice(cipher.open(chunk, &chunk_associated(blob, chunk, last), &mut sealed)?);
        rest = others;
        if last {
            return Some(content);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_opens_whole_or_not_at_all() {
        let key = Secret::new([7; 32]);
        for length in
            [0, 1, BLOB_CHUNK_BYTES - 1, BLOB_CHUNK_BYTES, BLOB_CHUNK_BYTES + 1, 2 * BLOB_CHUNK_BYTES]
        {
            let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let object = seal(&[1; 16], &key, &content);
            assert_eq!(open(&[1; 16], &key, &object).as_deref(), Some(content.as_slice()), "{length} bytes");
            assert_eq!(open(&[2; 16], &key, &object), None, "another blob's name");
            assert_eq!(open(&[1; 16], &key, &object[..object.len() - 1]), None, "cut");
            let chunk = BLOB_CHUNK_BYTES + TAG + MAGIC.len();
            if object.len() > chunk {
                assert_eq!(open(&[1; 16], &key, &object[..chunk]), None, "cut between chunks");
            }
        }
    }
}
