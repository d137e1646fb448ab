//! The target `mapping` of `minutebook-decoders`: `cargo xtask fuzz mapping`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("mapping"),
    |data: &[u8]| minutebook_decoders::run("mapping", data)
);
