//! Bodies that were packed. Edge: unpacking within a bound; what is in them is in `bodies`.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use minutebook_adapters::packed::{Packing, Wrong};

/// Bytes that may come out.
const BYTES_MAX: usize = 1 << 20;

pub(crate) fn packed(data: &[u8]) {
    for packing in [Packing::Gzip, Packing::Deflate, Packing::Brotli, Packing::Zstd] {
        match packing.unpack(data, BYTES_MAX) {
            Ok(unpacked) => assert!(unpacked.bytes.len() <= BYTES_MAX, "{packing:?}: no more than may be"),
            Err(Wrong::Damaged | Wrong::TooLarge) => {}
        }
    }
}

pub(crate) fn packed_seeds() -> Vec<Vec<u8>> {
    let text = br#"{"inputs":[1,2,3],"outputs":{"approve":false}}"#.repeat(20);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
    let long = "written into memory";
    gzip.write_all(&text).expect(long);
    zlib.write_all(&text).expect(long);
    bare.write_all(&text).expect(long);
    let gzip = gzip.finish().expect(long);
    let zstd = zstd::stream::encode_all(&text[..], 3).expect(long);
    let brotli = vec![0x0b, 0x02, 0x80, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03];
    let bomb = zstd::stream::encode_all(&vec![0; 4 << 20][..], 3).expect(long);
    vec![
        [&gzip[..], &gzip].concat(),
        gzip,
        zlib.finish().expect(long),
        bare.finish().expect(long),
        zstd,
        brotli,
        bomb,
    ]
}
