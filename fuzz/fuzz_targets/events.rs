//! The target `events` of `minutebook-decoders`: `cargo xtask fuzz events`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("events"),
    |data: &[u8]| minutebook_decoders::run("events", data)
);
