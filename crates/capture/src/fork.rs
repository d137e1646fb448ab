//! Telling a child made by `fork` that it is one, and keeping from it what is the parent's alone. The page behind it is zeroed by the
//! kernel in a child, and so is the lock in it: no lock of the parent is ever taken in a child.

use std::sync::atomic::{AtomicU32, Ordering};

use zeroize::Zeroizing;

use crate::sys::PrivatePage;

/// In the page's first word: nobody (a child finds this), somebody is setting up, or set up.
const NOBODY: u32 = 0;
const SETTING_UP: u32 = u32::MAX;
const SET_UP: u32 = u32::MAX - 1;

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
            if found != SETTING_UP
                && self
                    .word()
                    .compare_exchange(found, SETTING_UP, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            {
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
