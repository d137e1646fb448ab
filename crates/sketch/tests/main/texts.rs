//! Texts: frequent ones are named, and what would name people is not.

use minutebook_record::Path;
use minutebook_sketch::{Feature, Texts, Window};

fn window(texts: Texts) -> Window {
    let feature = Feature { present: texts.count(), texts: Some(texts), ..Feature::default() };
    let path = Path::new(["inputs", "t"]).unwrap();
    Window { decisions: feature.present, features: [(path, feature)].into(), ..Window::default() }
}

fn sealed(texts: Texts) -> Texts {
    let mut opened = window(texts).seal()[0].open().unwrap();
    opened.features.values_mut().next().unwrap().texts.take().unwrap()
}

fn of<'a>(texts: impl IntoIterator<Item = (&'a str, u64)>) -> Texts {
    let mut all = Texts::default();
    texts.into_iter().for_each(|(text, times)| all.add_many(text, times));
    all
}

#[test]
fn few_texts_are_counted_exactly() {
    let texts = of([("car", 700), ("boat", 12), ("plane", 3)]);
    assert_eq!((texts.count(), texts.distinct()), (715, 3));
    assert_eq!(texts.items(1), [("car".into(), 700), ("boat".into(), 12), ("plane".into(), 3)]);
    // A text that occurred a few times only is not named for good.
    let sealed = sealed(texts);
    assert_eq!((sealed.count(), sealed.distinct()), (715, 3));
    assert_eq!(sealed.items(1), [("car".into(), 700), ("boat".into(), 12)]);
}

#[test]
fn what_is_frequent_among_many_is_found() {
    let mut texts = Texts::default();
    for n in 0..200_000u32 {
        texts.add(&format!("rare {}", n % 5_000));
        if n % 4 == 0 {
            texts.add("often");
        }
    }
    assert_eq!(texts.count(), 250_000);
    let distinct = texts.distinct() as f64;
    assert!((distinct / 5_001.0 - 1.0).abs() < 0.1, "{distinct}");
    let items = texts.items(1_000);
    assert_eq!(items[0].0, "often".into());
    assert!((48_000..=50_000).contains(&items[0].1), "{}", items[0].1);
    let stored = sealed(texts);
    assert_eq!(stored.items(1_000)[0].0, "often".into());
}

#[test]
fn texts_that_nearly_all_differ_are_not_named() {
    let mut texts = of([("Alice Example", 20)]);
    (0..50).for_each(|n| texts.add(&format!("name {n}")));
    assert!(texts.is_id_like());
    let encoded = window(texts.clone()).seal()[0].features.clone();
    assert!(!encoded.windows(5).any(|part| part == b"Alice"));
    let stored = sealed(texts);
    assert!(stored.is_id_like() && stored.items(1).is_empty());
    assert_eq!((stored.count(), stored.distinct()), (70, 51));
}

#[test]
fn few_decisions_and_free_text_name_nothing() {
    let few = window(of([("secret", 9)])).seal()[0].features.clone();
    assert!(!few.windows(6).any(|part| part == b"secret"));
    let long = "x".repeat(65);
    let free = window(of([(&*long, 1_000)])).seal()[0].features.clone();
    assert!(!free.windows(65).any(|part| part == long.as_bytes()));
    assert_eq!(sealed(of([(&*long, 1_000)])).distinct(), 1);
}

#[test]
fn merging_adds_up() {
    let mut merged = Texts::default();
    for part in 0..40u64 {
        let mut texts = of([("often", 100)]);
        (0..50).for_each(|n| texts.add(&format!("{}", part * 50 + n)));
        merged.merge(if part % 2 == 0 { sealed(texts) } else { texts });
    }
    assert_eq!(merged.count(), 40 * 150);
    let often = merged.items(1)[0].clone();
    assert!(often.0 == "often".into() && (3_990..=4_000).contains(&often.1), "{often:?}");
    let distinct = merged.distinct() as f64;
    assert!((distinct / 2_001.0 - 1.0).abs() < 0.1, "{distinct}");
}
