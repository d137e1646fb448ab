//! What a trail has stored: records, log, segments, windows. Edge: the functions of their own crates, and inputs from the vectors of the formats.

use minutebook_sketch::{SealedWindow, Window};

use crate::seeds::{hex_of, unhex, vector};

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    hex_of("record.json")
}

pub(crate) fn log_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = ["log-checkpoint.txt", "log-policy.txt", "log-proof.txt"].map(vector).into();
    seeds.extend(hex_of("log-tree.json"));
    seeds.extend(hex_of("log-keys.json"));
    seeds
}

pub(crate) fn segment_seeds() -> Vec<Vec<u8>> {
    hex_of("segment.json")
}

/// A window that was counted so far. What is read is written again to something that reads as the same.
pub(crate) fn window(data: &[u8]) {
    let field = |name: &str| Some(if name == "decisions" { &[1] } else { data });
    drop(SealedWindow::from_fields(field).and_then(|part| part.open()));
    let Some(mut window) = Window::decode(data) else { return };
    let written = window.encode();
    let mut again = Window::decode(&written).expect("a window that was written");
    assert_eq!(again.encode(), written, "a window");
    for part in window.seal() {
        drop(part.open());
    }
    window.reduce();
}

pub(crate) fn window_seeds() -> Vec<Vec<u8>> {
    let json: serde_json::Value = serde_json::from_slice(&vector("window.json")).expect("vectors are JSON");
    let part = |name: &str| json[name].as_str().and_then(unhex).expect("a part of a window");
    // An array of five, and how many decisions.
    let mut whole = vec![0x85, 0x18, 120];
    ["status", "rules", "covers", "features"].into_iter().for_each(|name| whole.extend(part(name)));
    let mut seeds = hex_of("window.json");
    seeds.push(whole);
    seeds
}
