//! The draw: `docs/formats/vectors/sampling.json`.

use crate::vectors::compare;
use minutebook_verify::hex;
use minutebook_verify::keys::Secret;
use minutebook_verify::sampling::{SamplingKey, keeps};
use serde_json::json;

const RATES: [f64; 6] = [0.0, 0.000_001, 0.05, 0.1, 0.5, 1.0];

#[test]
fn sampling_vectors() {
    let secret: [u8; 32] = std::array::from_fn(|at| at as u8);
    let key = SamplingKey::new(&Secret::new(secret));
    let mut draws = Vec::new();
    for (producer, epoch, class, seq) in [
        ([0; 16], 1, "standard", 1),
        ([0; 16], 1, "standard", 2),
        ([0; 16], 2, "standard", 1),
        ([0xab; 16], 1, "standard", 1),
        // What differs only in where one part ends and the next begins.
        ([0xab; 16], 1, "a", 0x6200_0000_0000_0001),
        ([0xab; 16], 1, "ab", 1),
        ([0xff; 16], i64::MAX as u64, "a-class-of-the-greatest-length--", i64::MAX as u64),
    ] {
        let draw = key.draw(&producer, epoch, class, seq);
        draws.push(json!({
            "producer": hex(&producer),
            "epoch": epoch.to_string(),
            "class": class,
            "seq": seq.to_string(),
            "draw": format!("{draw:016x}"),
            "kept": RATES.map(|rate| keeps(rate, draw)),
        }));
    }
    // Draws at the edges of rates, which no key gives.
    let edges = [
        (0.05, 922_337_203_685_477_631),
        (0.05, 922_337_203_685_477_632),
        (0.5, (1 << 63) - 1),
        (0.5, 1 << 63),
        (1.0, u64::MAX),
    ];
    let edges = edges.map(
        |(rate, draw)| json!({ "rate": rate, "draw": format!("{draw:016x}"), "kept": keeps(rate, draw) }),
    );
    compare(
        "sampling.json",
        &json!({ "key": hex(&secret), "digest": hex(&key.digest()), "rates": RATES, "draws": draws, "edges": edges }),
    );
}
