//! The target `captures` of `minutebook-decoders`: `cargo xtask fuzz captures`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("captures"),
    |data: &[u8]| minutebook_decoders::run("captures", data)
);
