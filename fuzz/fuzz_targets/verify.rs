//! Every reader of stored bytes: `cargo +nightly fuzz run verify`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minutebook_verify::fuzz_readers(data));
