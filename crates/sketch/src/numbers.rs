//! The distribution of numbers: how many, their moments, and a KLL sketch of their ranks. Edge: in memory; how it is stored is in `encoding`.

use crate::limits::{KLL_K, NUMBERS_WAITING};
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};

type Kll = KllSketch<KllFloat<f64>>;

/// Numbers: count, mean, variance, extremes and quantiles.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    count: u64,
    not_finite: u64,
    mean: f64,
    /// Sum of the squares of the distances from the mean.
    m2: f64,
    min: f64,
    max: f64,
    kll: Option<Box<Kll>>,
    /// Not in the figures above yet.
    waiting: Vec<f64>,
}

/// What is known of finite numbers besides their sketch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Sum of the squares of the distances from the mean.
    pub m2: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Moments {
    /// The variance of the sample (n − 1); none of fewer than two numbers.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2 / (self.count - 1) as f64)
    }
}

impl Numbers {
    /// Of stored parts; `None` when they contradict each other.
    pub(crate) fn from_parts(
        count: u64,
        not_finite: u64,
        moments: Option<Moments>,
        kll: Option<&[u8]>,
    ) -> Option<Self> {
        let mut numbers = Self { count, not_finite, ..Self::default() };
        if let Some(moments) = moments {
            let sound = [moments.mean, moments.m2, moments.min, moments.max].iter().all(|v| v.is_finite());
            if !sound || moments.count != count || moments.min > moments.max || moments.m2 < 0.0 {
                return None;
            }
            Moments { mean: numbers.mean, m2: numbers.m2, min: numbers.min, max: numbers.max, .. } = moments;
        }
        if let Some(kll) = kll {
            let kll = Kll::deserialize(kll).ok()?;
            numbers.kll = (kll.n() == count).then(|| Box::new(kll));
            numbers.kll.as_ref()?;
        }
        Some(numbers)
    }

    /// Counts a number. One that is not finite is counted and has no part in the distribution.
    #[inline]
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        if self.waiting.len() >= NUMBERS_WAITING {
            self.settle();
        }
        self.waiting.push(value);
    }

    /// Counts many.
    pub fn extend(&mut self, values: impl IntoIterator<Item = f64>) {
        values.into_iter().for_each(|value| self.add(value));
    }

    /// Counts many that lie one behind the other.
    pub fn extend_from_slice(&mut self, mut values: &[f64]) {
        while !values.is_empty() {
            if self.waiting.len() >= NUMBERS_WAITING {
                self.settle();
            }
            let (some, rest) = values.split_at(values.len().min(NUMBERS_WAITING - self.waiting.len()));
            // One that is not finite makes the sum of zeros something else than zero.
            if some.iter().map(|value| value * 0.0).sum::<f64>() == 0.0 {
                self.waiting.extend_from_slice(some);
            } else {
                self.extend(some.iter().copied());
            }
            values = rest;
        }
    }

    /// Finite numbers.
    pub fn count(&self) -> u64 {
        self.count + self.waiting.len() as u64
    }

    /// Infinite ones, and those that are none.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// Count, moments and extremes; none without numbers, or when a window kept only their count.
    pub fn moments(&mut self) -> Option<Moments> {
        self.settle();
        self.kll.is_some().then_some(Moments {
            count: self.count,
            mean: self.mean,
            m2: self.m2,
            min: self.min,
            max: self.max,
        })
    }

    /// The numbers below or at which these parts (0 to 1) of all lie; none as [`Numbers::moments`], or when a part is none.
    pub fn quantiles(&mut self, parts: &[f64]) -> Option<Vec<f64>> {
        self.settle();
        let found = self.kll.as_ref()?.quantiles(parts, SearchCriteria::Inclusive).ok()??;
        Some(found.into_iter().map(KllFloat::into_inner).collect())
    }

    /// Which part of all is at or below each of these numbers, which ascend; none as [`Numbers::moments`], or when they do not.
    pub fn parts_below(&mut self, numbers: &[f64]) -> Option<Vec<f64>> {
        self.settle();
        let points: Option<Vec<_>> = numbers.iter().map(|n| KllFloat::<f64>::new(*n).ok()).collect();
        let mut parts = self.kll.as_ref()?.cdf(&points?, SearchCriteria::Inclusive).ok()??;
        parts.pop();
        Some(parts)
    }

    /// The sketch in Apache `DataSketches`' form of a `kll_doubles_sketch`.
    pub(crate) fn kll_bytes(&mut self) -> Option<Vec<u8>> {
        self.settle();
        Some(self.kll.as_ref()?.serialize())
    }

    /// Adds another distribution.
    pub fn merge(&mut self, mut other: Self) {
        other.settle();
        self.settle();
        self.not_finite += other.not_finite;
        match (&mut self.kll, other.kll) {
            (Some(kll), Some(others)) => {
                // INVARIANT: fails only beyond 2^64 numbers, or for sketches of another `m`, which is refused when they are read.
                kll.merge(&others).expect("sketches of one kind");
                let moments = (other.count, other.mean, other.m2, other.min, other.max);
                self.add_moments(moments);
            }
            (None, Some(others)) => {
                // What has only a count has nothing to say of the distribution.
                self.kll = Some(others);
                (self.mean, self.m2, self.min, self.max) = (other.mean, other.m2, other.min, other.max);
                self.count = other.count;
            }
            (None, None) => self.count += other.count,
            (Some(_), None) => {}
        }
    }

    /// Chan, Golub, `LeVeque`: "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    fn add_moments(&mut self, (count, mean, m2, min, max): (u64, f64, f64, f64, f64)) {
        let (before, all) = (self.count as f64, (self.count + count) as f64);
        let distance = mean - self.mean;
        self.mean += distance * (count as f64 / all);
        self.m2 += m2 + distance * distance * (before * count as f64 / all);
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.count += count;
    }

    /// Takes what waits into the figures.
    fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let count = waiting.len() as f64;
        let sum: f64 = waiting.iter().sum();
        // Scaled before the sum where it would overflow.
        let mean =
            if sum.is_finite() { sum / count } else { waiting.iter().map(|value| value / count).sum() };
        let m2 = waiting.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>().min(f64::MAX);
        let (min, max) =
            waiting.iter().fold((f64::MAX, f64::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
        if self.kll.is_none() {
            // What had only a count was read from a window that kept no more.
            (self.count, self.mean, self.m2, self.min, self.max) = (0, mean, 0.0, min, max);
        }
        self.add_moments((waiting.len() as u64, mean, m2, min, max));
        self.mean = self.mean.clamp(self.min, self.max);
        self.m2 = self.m2.min(f64::MAX);
        // INVARIANT: the constant is within the library's bounds.
        let kll = self.kll.get_or_insert_with(|| Box::new(Kll::new(KLL_K).expect("a k")));
        bulk::add(kll, &waiting);
        waiting.clear();
        self.waiting = waiting;
    }
}

/// Adding many numbers at once: sorting runs of them and taking every 2^h-th costs a fraction of adding each, and errs less.
mod bulk {
    use super::{Kll, KllFloat};
    use crate::limits::KLL_K;

    /// Items that stand for a run.
    const ITEMS: usize = 256;
    /// The library's smallest capacity of a level.
    const M: u8 = 8;

    pub(super) fn add(kll: &mut Kll, mut values: &[f64]) {
        let mut run: Vec<i64> = Vec::new();
        while values.len() >= 2 * ITEMS {
            let height = (values.len() / ITEMS).ilog2();
            let (some, rest) = values.split_at(ITEMS << height);
            run.clear();
            run.extend(some.iter().map(|value| ordered(value.to_bits() as i64)));
            run.sort_unstable();
            // The place within each step is drawn from what was seen, so that it is no one's choice.
            let seen = kll.n().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ some[0].to_bits();
            let offset = (seen.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as usize;
            let image = image(&run, height, offset & ((1 << height) - 1));
            // INVARIANT: the image is one that the library reads: sorted, of one level, within its capacity. A test has all heights.
            let sketch = Kll::deserialize(&image).expect("a sound image");
            kll.merge(&sketch).expect("sketches of one kind");
            values = rest;
        }
        for value in values {
            // INVARIANT: only finite numbers wait.
            kll.update(KllFloat::<f64>::new(*value).expect("a finite number"));
        }
    }

    /// The bits of a float as an integer of the same order, and back: its own inverse.
    fn ordered(bits: i64) -> i64 {
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    }

    /// A `kll_doubles_sketch` of a sorted run, all of whose items are on the level `height`
    /// (<https://datasketches.apache.org/docs/KLL/KLLSketch.html>, compact form).
    fn image(run: &[i64], height: u32, offset: usize) -> Vec<u8> {
        let levels = height + 1;
        let mut out = Vec::with_capacity(20 + 4 * levels as usize + 8 * (ITEMS + 2));
        out.extend_from_slice(&[5, 1, 15, 0]);
        out.extend_from_slice(&KLL_K.to_le_bytes());
        out.extend_from_slice(&[M, 0]);
        out.extend_from_slice(&(run.len() as u64).to_le_bytes());
        out.extend_from_slice(&KLL_K.to_le_bytes());
        out.extend_from_slice(&[levels as u8, 0]);
        let first = capacity(levels) - ITEMS as u32;
        (0..levels).for_each(|_| out.extend_from_slice(&first.to_le_bytes()));
        let ends = [run[0], run[run.len() - 1]];
        for item in ends.iter().chain(run[offset..].iter().step_by(1 << height)) {
            // Bits of a float, as they were.
            out.extend_from_slice(&ordered(*item).to_le_bytes());
        }
        out
    }

    /// Items that a sketch of so many levels holds: k · (2/3)^depth each, rounded, and at least `M`.
    fn capacity(levels: u32) -> u32 {
        (0..levels)
            .map(|depth| {
                let scaled = ((u64::from(KLL_K) * 2) << depth) / 3u64.pow(depth);
                (scaled.div_ceil(2) as u32).max(u32::from(M))
            })
            .sum()
    }
}
