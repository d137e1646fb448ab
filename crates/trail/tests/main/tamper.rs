//! The tamper matrix: every stored object changed in every way, and `verify` finds and names each. What it means is said with it, and
//! nothing else is accused.

mod source;
mod world;

mod falsehood;
mod flips;
mod forgery;
mod objects;
mod rollback;

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` for each of 0 to `count` on as many threads as the machine has processors.
fn side_by_side(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::disallowed_methods, reason = "thousands of verifications in a minute")]
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    work(at);
                }
            });
        }
    });
}
