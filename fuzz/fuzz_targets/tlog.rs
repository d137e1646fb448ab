//! The target `tlog` of `minutebook-decoders`: `cargo xtask fuzz tlog`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("tlog"),
    |data: &[u8]| minutebook_decoders::run("tlog", data)
);
