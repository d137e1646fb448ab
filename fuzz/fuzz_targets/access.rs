//! The target `access` of `minutebook-decoders`: `cargo xtask fuzz access`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("access"),
    |data: &[u8]| minutebook_decoders::run("access", data)
);
