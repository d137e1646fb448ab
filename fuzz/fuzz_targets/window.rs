//! The target `window` of `minutebook-decoders`: `cargo xtask fuzz window`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("window"),
    |data: &[u8]| minutebook_decoders::run("window", data)
);
