//! Inputs near a valid one, the same in each run: cut, changed, repeated, and put together with another. Edge: bytes; knows no format.

/// About `count` changes of `seed`, with pieces of `other` among them.
pub fn mutations(seed: &[u8], other: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15 ^ (seed.len() as u64) << 20 ^ other.len() as u64);
    let (seed, other) = (seed.to_vec(), other.to_vec());
    (0..count).map(move |_| {
        let mut bytes = seed.clone();
        for _ in 0..1 + draw.below(3) {
            change(&mut bytes, &other, &mut draw);
        }
        bytes
    })
}

/// What breaks readers: the ends of ranges, and what means something to several formats.
const PIECES: [&[u8]; 18] = [
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0xff; 8],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    b"\n",
    b"\"",
    b"[",
    b"{",
    b"]}",
    b",",
    b"-0",
    b"1e999",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"null",
];

fn change(bytes: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    let at = draw.below(bytes.len() + 1);
    match draw.below(7) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << draw.below(8),
        2 if at < bytes.len() => bytes[at] = draw.next() as u8,
        3 => drop(bytes.splice(at..at, PIECES[draw.below(PIECES.len())].iter().copied())),
        4 => {
            let end = (at + draw.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + draw.below(200)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = draw.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        _ => {
            let from = draw.below(other.len() + 1);
            let end = (from + draw.below(200)).min(other.len());
            bytes.splice(at..at, other[from..end].iter().copied());
        }
    }
}

/// Numbers that look drawn: xorshift64*.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
