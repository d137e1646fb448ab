//! CPU time by stage, so that a benchmark or an operator sees where sealing spends it. Edge: reads the threads' CPU clocks only.

use std::ops::AddAssign;

/// CPU time in ns, summed over threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Reading frames, decrypting, checking values, finding subjects.
    pub drain_ns: u64,
    /// Salts, hashes, compression, encryption, the object.
    pub build_ns: u64,
    /// Decrypting and hashing what was read back.
    pub read_back_ns: u64,
}

impl AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.drain_ns += other.drain_ns;
        self.build_ns += other.build_ns;
        self.read_back_ns += other.read_back_ns;
    }
}

/// The CPU time of the calling thread in ns.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock id is a constant that Linux knows, and the pointer is to a live timespec.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    if failed { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}
