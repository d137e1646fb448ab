//! For tests and fuzzing: everything that reads bytes from outside and can be called without an engine, as a list of targets, each with inputs to
//! begin from. `fuzz/` gives them what a fuzzer makes up, `tests/` what [`mutations`] does. Edge: what has to hold of any bytes; what a decoder makes
//! of good ones is tested beside it.

mod bodies;
mod mutations;
mod packed;
mod seeds;
mod settings;
mod spool;
mod stored;

use std::path::Path;

pub use mutations::mutations;

/// A target.
pub struct Target {
    /// As the fuzzer calls it.
    pub name: &'static str,
    /// Gives bytes to the decoders. Panics when one breaks what has to hold of it.
    pub run: fn(&[u8]),
    /// Inputs to begin from: valid ones, and some that are nearly so.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    target("access", settings::access, settings::access_seeds),
    target("calls", bodies::calls, bodies::call_seeds),
    target("captures", bodies::captures, bodies::capture_seeds),
    target("drafts", bodies::drafts, bodies::draft_seeds),
    target("events", bodies::events, bodies::event_seeds),
    target("mapping", bodies::mapping, bodies::mapping_seeds),
    target("otlp", bodies::otlp, bodies::otlp_seeds),
    target("packed", packed::packed, packed::packed_seeds),
    target("policy", settings::policy, settings::policy_seeds),
    target("record", minutebook_record::fuzz_decoders, stored::record_seeds),
    target("spool", spool::spool, spool::spool_seeds),
    target("tlog", minutebook_tlog::fuzz_parsers, stored::log_seeds),
    target("verify", minutebook_verify::fuzz_readers, stored::segment_seeds),
    target("window", stored::window, stored::window_seeds),
];

/// Gives bytes to the target of this name.
///
/// # Panics
/// When there is none, or a decoder breaks what has to hold of it.
pub fn run(name: &str, data: &[u8]) {
    (find(name).run)(data);
}

/// Writes the seeds of a target into the folder that `MINUTEBOOK_FUZZ_SEEDS` names; does nothing without it.
///
/// # Panics
/// When there is no such target, or they cannot be written.
pub fn write_seeds(name: &str) {
    let Some(folder) = std::env::var_os("MINUTEBOOK_FUZZ_SEEDS") else { return };
    for (number, seed) in (find(name).seeds)().iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("seed-{number:03}")), seed)
            .expect("a folder for seeds");
    }
}

fn find(name: &str) -> &'static Target {
    const { &TARGETS }.iter().find(|target| target.name == name).expect("a target of this name")
}
