//! The target `policy` of `minutebook-decoders`: `cargo xtask fuzz policy`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("policy"),
    |data: &[u8]| minutebook_decoders::run("policy", data)
);
