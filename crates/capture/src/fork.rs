//! Telling a child made by `fork` that it is one, and keeping from it what is the parent's alone. The page behind it is zeroed by the
//! kernel in a child, and so is the lock in it: no lock of the parent is ever taken in a child.

use std::sync::atomic::{AtomicU32, Ordering};

use zeroize::Zeroizing;

use crate::sys::PrivatePage;

/// In the page's first word: nobody (a child finds this), or set up by this process.
const NOBODY: u32 = 0;
const SET_UP: u32 = 1;
/// On top of what stands for this process: it is setting up. Process ids stay below.
const SETTING_UP: u32 = 1 << 31;

/// Where the seed of the signing key lies in the page.
const SEED_AT: usize = 64;

pub(crate) struct ForkGuard {
    page: PrivatePage,
}

/// What a caller finds that asks to set up.
pub(crate) enum Claim {
    /// It is to set up, and to say when it is done.
    SetUp,
    /// Another thread has done so.
    Done,
}

impl ForkGuard {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { page: PrivatePage::new()? })
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page lives as long as `self`, is aligned, and its first word is reached through this only.
        unsafe { AtomicU32::from_ptr(self.page.as_ptr().cast()) }
    }

    /// What the word is when this process has set up. Where the kernel does not wipe the page, the process id tells.
    #[inline]
    fn mine(&self) -> u32 {
        if self.page.is_wiped_on_fork() { SET_UP } else { std::process::id() }
    }

    /// Whether this process has set up.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.word().load(Ordering::Acquire) == self.mine()
    }

    /// Lets one thread of this process set up; the others wait for it.
    pub(crate) fn claim(&self) -> Claim {
        loop {
            let found = self.word().load(Ordering::Acquire);
            if found == self.mine() {
                return Claim::Done;
            }
            let setting_up = self.mine() | SETTING_UP;
            let claim = |found| {
                self.word().compare_exchange(found, setting_up, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            };
            // What another process left, set up or not, is nobody's here.
            if found != setting_up && claim(found) {
                return Claim::SetUp;
            }
            std::thread::yield_now();
        }
    }

    /// Ends what [`Claim::SetUp`] began. When it failed, the next thread tries.
    pub(crate) fn settle(&self, done: bool) {
        self.word().store(if done { self.mine() } else { NOBODY }, Ordering::Release);
    }

    /// Keeps the seed of the signing key. Called while setting up.
    pub(crate) fn keep_seed(&self, seed: &[u8; 32]) {
        // SAFETY: within the page; whoever sets up is alone, and readers come after `settle`.
        unsafe { std::ptr::copy_nonoverlapping(seed.as_ptr(), self.page.as_ptr().add(SEED_AT), seed.len()) };
    }

    /// The seed of the signing key.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        // SAFETY: within the page; written before `settle` only, which `is_ours` has synchronised with.
        unsafe {
            std::ptr::copy_nonoverlapping(self.page.as_ptr().add(SEED_AT), seed.as_mut_ptr(), seed.len());
        }
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a child made now finds itself a child, and can set up.
    fn child_sets_up(guard: &ForkGuard) -> bool {
        // SAFETY: the child uses nothing but the guard, and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let told = !guard.is_ours() && matches!(guard.claim(), Claim::SetUp);
                guard.settle(true);
                libc::_exit(i32::from(!(told && guard.is_ours() && matches!(guard.claim(), Claim::Done))));
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, 0) == child && status == 0
        }
    }

    #[test]
    fn a_child_finds_itself_one_whether_or_not_the_page_is_wiped() {
        for guard in [ForkGuard::new().unwrap(), ForkGuard { page: PrivatePage::kept_on_fork().unwrap() }] {
            assert!(!guard.is_ours());
            assert!(matches!(guard.claim(), Claim::SetUp));
            // A fork while another thread sets up.
            assert!(child_sets_up(&guard));
            guard.settle(true);
            assert!(guard.is_ours() && matches!(guard.claim(), Claim::Done));
            assert!(child_sets_up(&guard));
            assert!(guard.is_ours());
        }
    }

    #[test]
    fn the_seed_does_not_reach_a_child() {
        let guard = ForkGuard::new().unwrap();
        guard.keep_seed(&[7; 32]);
        assert_eq!(*guard.seed(), [7; 32]);
        if !guard.page.is_wiped_on_fork() {
            return;
        }
        // SAFETY: the child reads the page and ends.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(*guard.seed() != [0; 32]));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(status, 0);
    }
}
