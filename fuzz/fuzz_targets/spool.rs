//! The target `spool` of `minutebook-decoders`: `cargo xtask fuzz spool`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("spool"),
    |data: &[u8]| minutebook_decoders::run("spool", data)
);
