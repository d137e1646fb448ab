//! Content encodings undone for the record: gzip, deflate, Brotli, Zstandard, one after the other as the header says (RFC 9110, section 8.4).
//! Edge: what passes to the client stays as it is.

use std::borrow::Cow;

use minutebook_adapters::packed::{Packing, Wrong};

use crate::limits::{BODY_BYTES_UNPACKED, CODINGS_MAX};

/// Undoes the encodings of a body. One that broke off gives what can be had of it.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn decode<'b>(body: &'b [u8], encodings: &[String]) -> Result<Cow<'b, [u8]>, String> {
    if encodings.len() > CODINGS_MAX {
        return Err(format!("it has more than {CODINGS_MAX} content encodings"));
    }
    let mut decoded = Cow::Borrowed(body);
    for encoding in encodings.iter().rev().filter(|encoding| *encoding != "identity") {
        let packing = Packing::named(encoding).ok_or("its content encoding is not read")?;
        let unpacked = packing.unpack(&decoded, BODY_BYTES_UNPACKED).map_err(|wrong| match wrong {
            Wrong::TooLarge => format!("it unpacks to more than {BODY_BYTES_UNPACKED} bytes"),
            Wrong::Damaged => "its content encoding is damaged".to_owned(),
        })?;
        // Of a stream that broke off the events so far are wanted.
        decoded = Cow::Owned(unpacked.bytes);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn encodings_are_undone_from_the_last() {
        let text = b"what was said ".repeat(50);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        bare.write_all(&text).unwrap();
        let both = zstd::encode_all(&gzip(&text)[..], 1).unwrap();
        // `hello` as the reference encoder packs it.
        let brotli = [0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];
        for (packed, names) in [
            (gzip(&text), &["gzip"][..]),
            (zlib.finish().unwrap(), &["deflate"]),
            (bare.finish().unwrap(), &["deflate"]),
            (both, &["gzip", "zstd"]),
            (text.clone(), &["identity"]),
            (text.clone(), &[]),
        ] {
            assert_eq!(decode(&packed, &of(names)).unwrap(), text, "{names:?}");
        }
        assert_eq!(decode(&brotli, &of(&["br"])).unwrap(), &b"hello"[..]);
    }

    #[test]
    fn a_stream_that_broke_off_gives_what_came() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = gzip(&text);
        let got = decode(&packed[..packed.len() / 2], &of(&["gzip"])).unwrap();
        assert!(!got.is_empty() && text.starts_with(&got));
    }

    #[test]
    fn bombs_and_unknown_encodings_are_left() {
        let bomb = gzip(&vec![0; BODY_BYTES_UNPACKED + 1]);
        assert!(decode(&bomb, &of(&["gzip"])).unwrap_err().contains("unpacks to more"));
        assert!(decode(b"x", &of(&["compress"])).unwrap_err().contains("not read"));
        assert!(decode(b"x", &of(&["identity"; CODINGS_MAX + 1])).unwrap_err().contains("more than"));
        assert!(decode(b"nonsense that is no gzip", &of(&["gzip"])).is_err());
        assert!(decode(b"\x28\xb5\x2f\xfdnonsense", &of(&["zstd"])).is_err());
    }
}
