//! The target `calls` of `minutebook-decoders`: `cargo xtask fuzz calls`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("calls"),
    |data: &[u8]| minutebook_decoders::run("calls", data)
);
