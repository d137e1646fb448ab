//! Every parser of the log's formats: `cargo +nightly fuzz run tlog`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minutebook_tlog::fuzz_parsers(data));
