//! Random schedules: what programs do, which operation goes wrong how, and what happens to the files. Edge: a pure function of the seed.

use crate::crash::case::Survival;
use crate::crash::script::{Script, Step};
use minutebook_faultfs::{Errno, MaterialiseMode, Plan};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

/// One random case.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The trail has a history, and its log is about to fill a tile.
    pub long: bool,
    pub script: Script,
    /// A second program, which only hands over.
    pub second: Option<Script>,
    /// While the second program lives and the first one is dead, the trail is opened again and sealed.
    pub engine_returns: bool,
    /// The program ends at its first failure.
    pub fragile: bool,
    pub plan: Plan,
    pub survival: Survival,
}

/// The operations of a script, roughly: where in it a fault is to hit.
fn estimate(script: &Script) -> u64 {
    let of = |step: &Step| match step {
        Step::Open(_) => 20,
        Step::Close(_) => 4,
        Step::Record(name, count) if name.starts_with("written") => 8 * u64::from(*count),
        Step::Record(_, count) => 2 + u64::from(count / 8),
        Step::Flush(_) => 3,
        Step::Seal => 60,
        Step::Erase(_) => 120,
        Step::Rotate => 90,
        Step::Policy(_) | Step::Resample => 150,
        Step::Stop => 12,
        _ => 0,
    };
    script.0.iter().map(of).sum::<u64>() + 30
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let script = first(&mut dice);
        let second = dice.one_in(3).then(|| second(&mut dice));
        let operations = estimate(&script) + second.as_ref().map_or(0, estimate);
        let k = 1 + dice.below(operations);
        let (eio, enospc) = (Errno(libc::EIO), Errno(libc::ENOSPC));
        let plan = match dice.below(10) {
            0..3 => Plan::KillBefore(k),
            3 | 4 => Plan::KillAfter(k),
            5 => Plan::Fail(k, eio),
            6 => Plan::FailDone(k, eio),
            7 => Plan::FailFrom(k, enospc),
            8 => Plan::Fail(k, enospc),
            _ => Plan::FailFrom(k, eio),
        };
        let torn = dice.below(1 << 32);
        let survival = match dice.below(8) {
            0 | 1 => Survival::Whole,
            2 | 3 => Survival::Power(MaterialiseMode::Strict),
            4 | 5 => Survival::Power(MaterialiseMode::Seeded(torn)),
            6 => Survival::Power(MaterialiseMode::TornTail(torn)),
            _ => Survival::PowerAfterRestart,
        };
        Self {
            long: dice.one_in(4),
            script,
            second,
            engine_returns: dice.one_in(2),
            fragile: dice.one_in(4),
            plan,
            survival,
        }
    }
}

fn first(dice: &mut Dice) -> Script {
    let names = if dice.one_in(5) { ["written", "log"] } else { ["web", "log"] }.map(str::to_owned);
    let subjects = ["ann", "ben", "cat", "dan"].map(str::to_owned);
    let mut steps = vec![Step::Open(names[0].clone())];
    // A producer with decisions in flight is never closed: it would wait for them.
    let mut in_flight = false;
    for _ in 0..4 + dice.below(9) {
        let name = dice.pick(&names);
        steps.push(match dice.below(22) {
            0..7 => Step::Record(name, 1 + dice.below(20) as u32),
            7..10 => Step::Flush(name),
            10..14 => Step::Seal,
            14 => Step::Erase(dice.pick(&subjects)),
            15 => Step::Rotate,
            16 => Step::Stop,
            17 if name == names[0] => {
                in_flight = true;
                Step::Begin(name, 1 + dice.below(3) as u32)
            }
            20 => Step::Policy(dice.pick(&["half", "busy", "mixed"]).to_owned()),
            21 => Step::Resample,
            18 if in_flight && name == names[0] => {
                in_flight = false;
                Step::Leave(name)
            }
            _ if in_flight && name == names[0] => Step::Flush(name),
            _ => Step::Close(name),
        });
    }
    if dice.one_in(2) {
        steps.push(Step::Seal);
    }
    Script(steps)
}

fn second(dice: &mut Dice) -> Script {
    let name = dice.pick(&["batch", "written-too"]).to_owned();
    let mut steps = vec![Step::Open(name.clone())];
    for part in 0..2 {
        for _ in 0..1 + dice.below(4) {
            steps.push(match dice.below(4) {
                0 => Step::Flush(name.clone()),
                1 if part == 1 => Step::Close(name.clone()),
                _ => Step::Record(name.clone(), 1 + dice.below(15) as u32),
            });
        }
        if part == 0 {
            steps.push(Step::Wait);
        }
    }
    Script(steps)
}
