//! The target `verify` of `minutebook-decoders`: `cargo xtask fuzz verify`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("verify"),
    |data: &[u8]| minutebook_decoders::run("verify", data)
);
