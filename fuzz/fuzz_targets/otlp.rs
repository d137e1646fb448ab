//! The target `otlp` of `minutebook-decoders`: `cargo xtask fuzz otlp`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("otlp"),
    |data: &[u8]| minutebook_decoders::run("otlp", data)
);
