//! Which unflushed changes a power loss happens to keep: a pure function of the seed, the object and the page.

/// The draws of one power loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survival {
    seed: u64,
}

/// What is drawn for; keeps the draws for one object independent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Draw {
    /// Do a directory's unflushed changes survive?
    Listing,
    /// What share of a file's unflushed pages survives?
    Share,
    /// Which length does a file have?
    Length,
    /// Does this page survive?
    Page(u64),
    /// What stands in the eight bytes at this index of a file that was never flushed?
    Noise(u64),
}

impl Survival {
    pub(crate) fn new(seed: u64) -> Self {
        Survival { seed }
    }

    /// A number that is uniform over `u64`, the same each time.
    pub(crate) fn draw(self, object: u64, what: Draw) -> u64 {
        let (purpose, index) = match what {
            Draw::Listing => (1, 0),
            Draw::Share => (2, 0),
            Draw::Length => (3, 0),
            Draw::Page(page) => (4, page),
            Draw::Noise(word) => (5, word),
        };
        [object, purpose, index].into_iter().fold(mix(self.seed), |state, part| mix(state ^ mix(part)))
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014), after one step of its counter.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
