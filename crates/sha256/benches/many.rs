//! Prints ns per block of 64 bytes, one message at a time and many at once: `cargo bench -p minutebook-sha256`.

use std::hint::black_box;
// A benchmark reads the clock.
#[allow(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// The least of several runs, in ns per block.
fn measure(blocks: usize, mut run: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..30 {
        let start = now();
        for _ in 0..20 {
            run();
        }
        least = least.min(start.elapsed().as_secs_f64() * 1e9 / 20.0 / blocks as f64);
    }
    least
}

fn main() {
    println!("{:<28} {:>8} {:>8}", "ns per block", "one", "many");
    let mixed: Vec<usize> = (0..1_000).map(|i| [25, 25, 25, 19, 30, 25, 110, 25, 25, 200][i % 10]).collect();
    for (name, lengths) in [
        ("25 bytes (a float's field)", vec![25; 1_000]),
        ("55 bytes", vec![55; 1_000]),
        ("56 bytes", vec![56; 1_000]),
        ("a record's fields", mixed),
        ("955 bytes (28 digests)", vec![955; 100]),
        ("10,000 bytes", vec![10_000; 10]),
    ] {
        let data = vec![0x5a; lengths.iter().sum()];
        let ends: Vec<usize> = lengths
            .iter()
            .scan(0, |end, length| {
                *end += length;
                Some(*end)
            })
            .collect();
        let blocks = lengths.iter().map(|length| (length + 9).div_ceil(64)).sum();
        let one = measure(blocks, || {
            let mut start = 0;
            for &end in &ends {
                black_box(minutebook_sha256::digest(black_box(&data[start..end])));
                start = end;
            }
        });
        let mut out = Vec::new();
        let many = measure(blocks, || {
            out.clear();
            minutebook_sha256::digest_many(black_box(&data), &ends, &mut out);
            black_box(&out);
        });
        println!("{name:<28} {one:>8.1} {many:>8.1}");
    }
    let level = vec![[0x5a; 32]; 4_096];
    let one = measure(4_096, || {
        for pair in level.chunks_exact(2) {
            black_box(minutebook_sha256::node_hash(black_box(&pair[0]), &pair[1]));
        }
    });
    let mut out = Vec::new();
    let many = measure(4_096, || {
        out.clear();
        minutebook_sha256::node_hashes(black_box(&level), &mut out);
        black_box(&out);
    });
    println!("{:<28} {one:>8.1} {many:>8.1}", "nodes of a tree");
}
