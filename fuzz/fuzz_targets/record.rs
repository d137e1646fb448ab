//! The target `record` of `minutebook-decoders`: `cargo xtask fuzz record`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("record"),
    |data: &[u8]| minutebook_decoders::run("record", data)
);
