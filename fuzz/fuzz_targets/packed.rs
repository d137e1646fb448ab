//! The target `packed` of `minutebook-decoders`: `cargo xtask fuzz packed`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("packed"),
    |data: &[u8]| minutebook_decoders::run("packed", data)
);
