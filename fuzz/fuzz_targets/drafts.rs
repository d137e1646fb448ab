//! The target `drafts` of `minutebook-decoders`: `cargo xtask fuzz drafts`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: minutebook_decoders::write_seeds("drafts"),
    |data: &[u8]| minutebook_decoders::run("drafts", data)
);
