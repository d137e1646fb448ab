//! The distribution of numbers against the numbers themselves.

use minutebook_sketch::{Feature, Numbers, SealedWindow, Window};
use proptest::num::f64::{NORMAL, SUBNORMAL, ZERO};
use proptest::prelude::*;

/// Numbers of some shape, from a seed.
fn draw(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / 9_007_199_254_740_992.0
    };
    (0..count).map(|_| -next().ln() * 100.0 - 20.0).collect()
}

fn of(values: &[f64]) -> Numbers {
    let mut numbers = Numbers::default();
    numbers.extend(values.iter().copied());
    numbers
}

/// The part of `values` at or below a number.
fn rank(values: &[f64], number: f64) -> f64 {
    values.iter().filter(|value| **value <= number).count() as f64 / values.len() as f64
}

fn assert_quantiles(values: &[f64], numbers: &mut Numbers) {
    let parts = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99];
    for (part, quantile) in parts.into_iter().zip(numbers.quantiles(&parts).unwrap()) {
        // 1.33 % with 99 % confidence, for seven at once, and a step between two values.
        let error = (rank(values, quantile) - part).abs();
        assert!(error < 0.02 + 1.0 / values.len() as f64, "{part} of {}: off by {error}", values.len());
    }
}

#[test]
fn quantiles_of_many_and_of_few_are_near() {
    for count in [10, 511, 512, 1_000, 4_096, 5_000, 100_000, 1_000_003] {
        let values = draw(count, count as u64);
        assert_quantiles(&values, &mut of(&values));
    }
}

#[test]
fn values_in_order_do_not_mislead() {
    let mut values = draw(200_000, 7);
    values.sort_by(f64::total_cmp);
    assert_quantiles(&values, &mut of(&values));
    values.reverse();
    assert_quantiles(&values, &mut of(&values));
}

#[test]
fn what_is_merged_is_as_near_as_the_whole() {
    let values = draw(300_000, 3);
    let mut merged = Numbers::default();
    for part in values.chunks(777) {
        merged.merge(of(part));
    }
    assert_eq!(merged.count(), 300_000);
    assert_quantiles(&values, &mut merged);
}

#[test]
fn moments_are_those_of_the_numbers() {
    let values = draw(50_000, 5);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let m2: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let mut merged = Numbers::default();
    values.chunks(1_234).for_each(|part| merged.merge(of(part)));
    for mut numbers in [of(&values), merged] {
        let moments = numbers.moments().unwrap();
        assert!((moments.mean - mean).abs() < 1e-9, "{} {mean}", moments.mean);
        assert!((moments.m2 / m2 - 1.0).abs() < 1e-9, "{} {m2}", moments.m2);
        assert_eq!(moments.min, values.iter().copied().fold(f64::MAX, f64::min));
        assert_eq!(moments.max, values.iter().copied().fold(f64::MIN, f64::max));
        assert!((moments.variance().unwrap() / (m2 / 49_999.0) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn what_is_no_number_is_counted_apart() {
    let mut numbers = of(&[1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0]);
    assert_eq!((numbers.count(), numbers.not_finite()), (2, 3));
    assert_eq!(numbers.moments().unwrap().mean, 2.0);
    let mut none = of(&[f64::NAN]);
    assert_eq!((none.moments(), none.quantiles(&[0.5])), (None, None));
}

#[test]
fn parts_below_a_number_are_near() {
    let values = draw(80_000, 11);
    let points = [-10.0, 0.0, 50.0, 200.0];
    let parts = of(&values).parts_below(&points).unwrap();
    assert_eq!(parts.len(), points.len());
    for (point, part) in points.into_iter().zip(parts) {
        assert!((rank(&values, point) - part).abs() < 0.02, "{point}: {part}");
    }
}

fn window(values: &[f64]) -> Window {
    let mut feature = Feature { present: values.len() as u64, ..Feature::default() };
    feature.numbers = Some(of(values));
    let path = minutebook_record::Path::new(["inputs", "x"]).unwrap();
    Window { decisions: values.len() as u64, features: [(path, feature)].into(), ..Window::default() }
}

fn numbers_of(window: &mut Window) -> &mut Numbers {
    window.features.values_mut().next().unwrap().numbers.as_mut().unwrap()
}

#[test]
fn fewer_than_ten_numbers_leave_only_their_count() {
    for (count, told) in [(1, false), (9, false), (10, true)] {
        let mut few = window(&draw(count, 1));
        let sealed: Vec<SealedWindow> = few.seal();
        let mut opened = sealed[0].open().unwrap();
        assert_eq!(numbers_of(&mut opened).count(), count as u64);
        assert_eq!(numbers_of(&mut opened).moments().is_some(), told, "{count}");
        // Going on with the whole knows everything still.
        let mut whole = Window::decode(&few.encode()).unwrap();
        assert!(numbers_of(&mut whole).moments().is_some());
    }
}

#[test]
fn a_count_that_says_no_more_does_not_spoil_a_distribution() {
    let few = window(&draw(5, 1)).seal()[0].open().unwrap();
    let many = window(&draw(100, 2)).seal()[0].open().unwrap();
    for (first, second) in [(few.clone(), many.clone()), (many, few)] {
        let mut merged = first;
        merged.merge(second);
        assert_eq!(merged.decisions, 105);
        let feature = merged.features.values().next().unwrap();
        assert_eq!(feature.present, 105);
        assert_eq!(numbers_of(&mut merged).moments().unwrap().count, 100);
        assert_eq!(numbers_of(&mut merged).count(), 100);
    }
}

proptest! {
    #[test]
    fn any_finite_numbers_have_sound_moments(values in proptest::collection::vec(NORMAL | ZERO | SUBNORMAL, 1..600)) {
        let mut numbers = of(&values);
        let moments = numbers.moments().unwrap();
        prop_assert!(moments.min <= moments.mean && moments.mean <= moments.max);
        prop_assert!(moments.m2 >= 0.0 && moments.m2.is_finite());
        let mut again = Window::decode(&window(&values).encode()).unwrap();
        prop_assert_eq!(numbers_of(&mut again).moments().unwrap(), moments);
    }

    #[test]
    fn bytes_that_are_no_window_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..2_000, to: u8) {
        let _ = Window::decode(&bytes);
        let mut window = window(&draw(1_000, 9));
        let mut whole = window.encode();
        let at = at % whole.len();
        whole[at] = to;
        if let Some(mut read) = Window::decode(&whole) {
            let _ = (numbers_of(&mut read).moments(), numbers_of(&mut read).quantiles(&[0.5]));
            let _ = read.encode();
            window.merge(read);
        }
    }
}
