//! Which numbers a window counted.

use minutebook_sketch::covers::{Covered, Ranges};
use minutebook_sketch::limits::RANGES_MAX;
use proptest::prelude::*;

fn of(numbers: impl IntoIterator<Item = u64>) -> Ranges {
    let mut ranges = Ranges::default();
    numbers.into_iter().for_each(|number| ranges.add(number, number));
    ranges
}

#[test]
fn neighbours_are_one_range_in_whatever_order_they_come() {
    let whole = [Covered { from: 1, to: 6, count: 6 }];
    assert_eq!(of([1, 2, 3, 4, 5, 6]).as_slice(), whole);
    assert_eq!(of([2, 1, 4, 3, 6, 5]).as_slice(), whole);
    let mut merged = of([1, 3, 5]);
    merged.merge(&of([2, 4, 6]));
    assert_eq!(merged.as_slice(), whole);
}

#[test]
fn what_is_not_whole_does_not_grow_to_look_whole() {
    let every_second = of((0..500).map(|n| 1 + 2 * n));
    assert!(every_second.as_slice().len() <= RANGES_MAX);
    let mut more = every_second.clone();
    more.add(1_000, 1_000);
    let count: u64 = more.as_slice().iter().map(|range| range.count).sum();
    assert_eq!(count, 501);
    for range in more.as_slice() {
        assert!(range.count <= range.to - range.from + 1, "{range:?}");
    }
}

proptest! {
    #[test]
    fn no_number_is_lost_or_counted_twice(numbers in proptest::collection::btree_set(1u64..100_000, 1..700), seed: u64) {
        let mut shuffled: Vec<u64> = numbers.iter().copied().collect();
        shuffled.sort_by_key(|number| number.wrapping_mul(seed | 1).rotate_left(17));
        let (some, others) = shuffled.split_at(shuffled.len() / 2);
        let mut ranges = of(some.iter().copied());
        ranges.merge(&of(others.iter().copied()));
        let slice = ranges.as_slice();
        prop_assert!(slice.len() <= RANGES_MAX);
        prop_assert!(slice.windows(2).all(|pair| pair[0].to < pair[1].from));
        for range in slice {
            let inside = numbers.range(range.from..=range.to).count() as u64;
            prop_assert_eq!(inside, range.count);
        }
        prop_assert_eq!(slice.iter().map(|range| range.count).sum::<u64>(), numbers.len() as u64);
    }
}
