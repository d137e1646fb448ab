//! Every decoder of the record: `cargo +nightly fuzz run record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minutebook_record::fuzz_decoders(data));
