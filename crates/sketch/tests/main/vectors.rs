//! `docs/formats/vectors/window.json`: what a window of known decisions is in bytes. Written by this test when `MINUTEBOOK_WRITE_VECTORS` is set,
//! and read by an independent program in `tests/python`.

use minutebook_record::Path;
use minutebook_sketch::covers::Ranges;
use minutebook_sketch::{Feature, Judged, Numbers, Texts, Window};
use serde_json::{Value as Json, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn window_vectors() {
    let amounts: Vec<f64> = (0..120).map(|n| f64::from(n * 37 % 101) / 4.0 - 3.0).collect();
    let purposes: Vec<(&str, u64)> = vec![("car", 60), ("boat", 45), ("plane", 9)];
    let mut window = Window { decisions: 120, ..Window::default() };
    window.status = [("ok".into(), 118), ("ValueError".into(), 2)].into();
    window.rules = [("others".into(), Judged { judged: 100, kept: 7 })].into();
    let mut ranges = Ranges::default();
    (1..=100).chain(121..=140).for_each(|number| ranges.add(number, number));
    window.covers.insert(([7; 16], 3, "standard".into()), ranges);
    let mut add = |name: &str, present: u64, numbers: Option<Numbers>, texts: Option<Texts>| {
        window.features.insert(Path::new(["inputs", name]).unwrap(), Feature { present, numbers, texts });
    };
    let mut numbers = Numbers::default();
    numbers.extend(amounts.iter().copied().chain([f64::INFINITY]));
    add("amount", 120, Some(numbers), None);
    let mut texts = Texts::default();
    purposes.iter().for_each(|(text, times)| texts.add_many(text, *times));
    add("purpose", 114, None, Some(texts));
    let mut names = Texts::default();
    (0..40).for_each(|n| names.add(&format!("Person {n}")));
    add("name", 40, None, Some(names));
    let mut few = Numbers::default();
    few.extend([1.0, 2.0]);
    add("seldom", 2, Some(few), None);
    let parts = window.seal();
    assert_eq!(parts.len(), 1);
    let vectors = json!({
        "decisions": parts[0].decisions,
        "status": hex(&parts[0].status),
        "rules": hex(&parts[0].rules),
        "covers": hex(&parts[0].covers),
        "features": hex(&parts[0].features),
        "amounts": amounts,
        "purposes": purposes,
    });
    let path =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors/window.json");
    if std::env::var_os("MINUTEBOOK_WRITE_VECTORS").is_some() {
        std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&vectors).unwrap())).unwrap();
    }
    let stored: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(stored, vectors, "window.json says something else than the code writes");
    assert_eq!(parts[0].open().unwrap().decisions, 120);
}
