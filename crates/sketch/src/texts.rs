//! Which texts occurred, how often, and how many different ones. Edge: in memory; how it is stored is in `encoding`.

use crate::limits::{COUNT_MIN, EXACT_TEXTS, FREQUENT_ITEMS, HLL_LG_K, ITEM_BYTES_MAX};
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hash::value::raw_bytes::from_slice;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use std::collections::HashMap;

/// Texts: frequent ones, and the number of different ones.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    count: u64,
    /// Counted exactly, and not in the sketches yet.
    exact: HashMap<Box<str>, u64>,
    sketches: Option<Box<Sketches>>,
    /// The number of different ones when no more than that was kept.
    distinct: u64,
    is_id_like: bool,
}

#[derive(Debug, Clone)]
struct Sketches {
    frequent: FrequentItemsSketch<String>,
    hll: HllSketch,
}

impl Sketches {
    fn new() -> Self {
        // INVARIANT: the constants are within the library's bounds.
        Self {
            frequent: FrequentItemsSketch::new(FREQUENT_ITEMS).expect("a power of two"),
            hll: HllSketch::new(HLL_LG_K, HllType::Hll4).expect("registers"),
        }
    }
}

/// A text and how often it occurred at least.
pub type Item = (Box<str>, u64);

impl Texts {
    /// Of stored parts; `None` when they contradict each other.
    pub(crate) fn from_parts(
        count: u64,
        items: Vec<Item>,
        distinct: u64,
        hll: Option<&[u8]>,
        is_id_like: bool,
    ) -> Option<Self> {
        let named = items.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count))?;
        if named > count {
            return None;
        }
        let mut texts = Self { count, distinct, is_id_like, ..Self::default() };
        let mut sketches = Sketches::new();
        match hll {
            Some(hll) => sketches.hll = HllSketch::deserialize(hll).ok()?,
            None if items.is_empty() => return Some(texts),
            None => return None,
        }
        for (item, count) in items {
            sketches.frequent.update_with_count(item.into(), count);
        }
        texts.sketches = Some(Box::new(sketches));
        Some(texts)
    }

    /// Counts a text.
    #[inline]
    pub fn add(&mut self, text: &str) {
        self.add_many(text, 1);
    }

    /// Counts a text so many times.
    pub fn add_many(&mut self, text: &str, times: u64) {
        self.count += times;
        if let Some(count) = self.exact.get_mut(text) {
            *count += times;
        } else if text.len() > ITEM_BYTES_MAX {
            // Free text: it is no item, so it is never kept.
            self.sketches().hll.update(from_slice(text.as_bytes()));
        } else {
            if self.exact.len() >= EXACT_TEXTS {
                self.settle();
            }
            self.exact.insert(text.into(), times);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many different ones, about; exactly as long as there are few.
    pub fn distinct(&self) -> u64 {
        let Some(sketches) = &self.sketches else { return self.distinct.max(self.exact.len() as u64) };
        let mut hll = sketches.hll.clone();
        self.exact.keys().for_each(|text| hll.update(from_slice(text.as_bytes())));
        (hll.estimate().round() as u64).max(self.distinct).min(self.count)
    }

    /// Whether nearly each is another one, as with names of people or of orders: then none is named.
    pub fn is_id_like(&self) -> bool {
        self.is_id_like || (self.count >= COUNT_MIN && self.distinct() > self.count / 2)
    }

    /// Whether a window that is a part of this one said so, and kept no more.
    pub(crate) fn was_id_like(&self) -> bool {
        self.is_id_like
    }

    /// The frequent ones that occurred so often, the most frequent first. A count is too low by what the sketch forgot, never too high.
    pub fn items(&self, least: u64) -> Vec<Item> {
        let mut items: Vec<Item> = match &self.sketches {
            None => self.exact.iter().map(|(text, count)| (text.clone(), *count)).collect(),
            Some(_) => {
                let mut all = self.clone();
                all.settle();
                let sketches = all.sketches();
                let rows = sketches.frequent.frequent_items_with_threshold(ErrorType::NoFalseNegatives, 0);
                rows.into_iter().map(|row| (row.item().as_str().into(), row.lower_bound())).collect()
            }
        };
        items.retain(|(_, count)| *count >= least);
        items.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        items
    }

    /// The sketch of different texts in Apache `DataSketches`' form; none when nothing but a count was kept.
    pub(crate) fn hll_bytes(&mut self) -> Option<Vec<u8>> {
        if self.exact.is_empty() && self.sketches.is_none() {
            return None;
        }
        self.settle();
        Some(self.sketches().hll.serialize())
    }

    /// Adds other texts.
    pub fn merge(&mut self, other: Self) {
        self.is_id_like |= other.is_id_like;
        self.distinct = self.distinct.max(other.distinct);
        let before = self.count;
        for (text, count) in other.exact {
            self.add_many(&text, count);
        }
        if let Some(others) = other.sketches {
            let mine = self.sketches();
            mine.frequent.merge(&others.frequent);
            // INVARIANT: the constant is within the library's bounds.
            let mut union = HllUnion::new(HLL_LG_K).expect("registers");
            union.update(&mine.hll);
            union.update(&others.hll);
            mine.hll = union.to_sketch(HllType::Hll4);
        }
        self.count = before + other.count;
    }

    fn sketches(&mut self) -> &mut Sketches {
        self.sketches.get_or_insert_with(|| Box::new(Sketches::new()))
    }

    /// Takes what was counted exactly into the sketches.
    fn settle(&mut self) {
        // In one order, so that the same texts give the same bytes.
        let mut exact: Vec<(Box<str>, u64)> = std::mem::take(&mut self.exact).into_iter().collect();
        exact.sort_unstable();
        let sketches = self.sketches();
        for (text, count) in exact {
            sketches.hll.update(from_slice(text.as_bytes()));
            sketches.frequent.update_with_count(text.into(), count);
        }
    }
}
