//! Hashing on several lanes at once with the SHA extensions of x86-64: a lane takes the next message as soon as it has ended one, so
//! that all stay busy whatever the lengths.

mod kernel;

use kernel::{Block, State};

use crate::Digest;

/// Streams at once: with two the unit for the rounds still waits now and then, with four the words no longer fit the registers.
const LANES: usize = 3;

/// What no whole block of a message covers: its last bytes, the end mark and the length.
struct Tail {
    blocks: [Block; 2],
    count: usize,
}

/// One stream. Its blocks are those of the body, then those of the tail.
struct Lane<'m> {
    body: &'m [Block],
    tail: Tail,
    /// The next block of the tail.
    at: usize,
    /// Where the digest goes; `None` when there is no message left for this lane.
    place: Option<usize>,
}

/// Proof that the processor has what the lanes need.
#[derive(Clone, Copy)]
pub(crate) struct Support {
    /// It has AVX-512 for words in 128 bits as well.
    beside: bool,
}

impl Support {
    /// The proof, if there is one. The standard library caches what it found.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse2")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        let beside = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
        has.then_some(Self { beside })
    }

    /// Without AVX-512, to test what other processors do.
    #[cfg(test)]
    pub(crate) fn less(self) -> Self {
        Self { beside: false }
    }

    pub(crate) fn digest_many(self, data: &[u8], ends: &[usize], out: &mut Vec<Digest>) {
        let first = out.len();
        out.resize(first + ends.len(), [0; 32]);
        let mut start = 0;
        let messages = ends.iter().map(|&end| {
            let message = &data[start..end];
            start = end;
            message
        });
        self.run(messages, split, &mut out[first..]);
    }

    pub(crate) fn node_hashes(self, level: &[Digest], out: &mut Vec<Digest>) {
        let first = out.len();
        out.resize(first + level.len() / 2, [0; 32]);
        let (pairs, _) = level.as_chunks::<2>();
        self.run(pairs.iter(), split_node, &mut out[first..]);
    }

    fn run<'m, M>(
        self,
        messages: impl Iterator<Item = M>,
        split: impl Fn(M, &mut Tail) -> &'m [Block],
        out: &mut [Digest],
    ) {
        // SAFETY: `self` exists, so the processor has the features of `run` and of `compress`, and when it says so those of
        // `compress_beside`.
        unsafe {
            if self.beside {
                run::<LANES, _>(
                    messages,
                    split,
                    |states, blocks| kernel::compress_beside(states, blocks),
                    out,
                );
            } else {
                run::<LANES, _>(messages, split, |states, blocks| kernel::compress(states, blocks), out);
            }
        }
    }
}

/// Hashes every message into its place in `out`. `split` writes the tail of one and gives its whole blocks.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn run<'m, const N: usize, M>(
    mut messages: impl Iterator<Item = M>,
    split: impl Fn(M, &mut Tail) -> &'m [Block],
    compress: impl Fn(&mut [State; N], [&Block; N]),
    out: &mut [Digest],
) {
    let mut lanes: [Lane<'m>; N] = std::array::from_fn(|_| Lane::idle());
    let mut states = [State::new(); N];
    let mut next = 0;
    let mut busy = 0;
    for lane in &mut lanes {
        let Some(message) = messages.next() else { break };
        lane.body = split(message, &mut lane.tail);
        lane.place = Some(next);
        next += 1;
        busy += 1;
    }
    while busy > 1 {
        compress(&mut states, std::array::from_fn(|lane| lanes[lane].block()));
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            lane.advance();
            if !lane.is_done() {
                continue;
            }
            let Some(place) = lane.place else { continue };
            out[place] = state.digest();
            *state = State::new();
            match messages.next() {
                Some(message) => {
                    lane.body = split(message, &mut lane.tail);
                    lane.at = 0;
                    lane.place = Some(next);
                    next += 1;
                }
                None => {
                    *lane = Lane::idle();
                    busy -= 1;
                }
            }
        }
    }
    for (lane, state) in lanes.iter_mut().zip(&mut states) {
        let Some(place) = lane.place else { continue };
        while !lane.is_done() {
            kernel::compress(std::array::from_mut(state), [lane.block()]);
            lane.advance();
        }
        out[place] = state.digest();
    }
}

impl Lane<'_> {
    /// A lane that hashes nothing that anybody looks at.
    fn idle() -> Self {
        Self { body: &[], tail: Tail { blocks: [[0; 64]; 2], count: 0 }, at: 0, place: None }
    }

    #[inline]
    fn block(&self) -> &Block {
        match self.body.first() {
            Some(block) => block,
            None => &self.tail.blocks[self.at & 1],
        }
    }

    #[inline]
    fn advance(&mut self) {
        match self.body.split_first() {
            Some((_, rest)) => self.body = rest,
            None => self.at += 1,
        }
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.body.is_empty() && self.at >= self.tail.count
    }
}

/// Splits a message as FIPS 180-4 §5.1.1 pads it.
#[inline]
fn split<'m>(message: &'m [u8], tail: &mut Tail) -> &'m [Block] {
    let (body, rest) = message.as_chunks();
    let [first, second] = &mut tail.blocks;
    *first = [0; 64];
    copy_short(rest, first);
    first[rest.len()] = 0x80;
    let bits = message.len() as u64 * 8;
    // The mark and eight bytes of length must fit behind the rest.
    if rest.len() < 56 {
        tail.count = 1;
        first[56..].copy_from_slice(&bits.to_be_bytes());
    } else {
        tail.count = 2;
        *second = [0; 64];
        second[56..].copy_from_slice(&bits.to_be_bytes());
    }
    body
}

/// Copies less than a block, in pieces of a fixed size that need no call.
#[inline]
fn copy_short(from: &[u8], to: &mut Block) {
    let (pieces, _) = from.as_chunks::<16>();
    for (from, to) in pieces.iter().zip(to.as_chunks_mut::<16>().0) {
        *to = *from;
    }
    match from.last_chunk::<16>() {
        // Overlaps the piece before.
        Some(last) => to[from.len() - 16..from.len()].copy_from_slice(last),
        None => to[..from.len()].copy_from_slice(from),
    }
}

/// 0x01 ‖ left ‖ right: 65 bytes, so all of it is tail.
#[inline]
fn split_node(pair: &[Digest; 2], tail: &mut Tail) -> &'static [Block] {
    let [first, second] = &mut tail.blocks;
    let [left, right] = pair;
    first[0] = 1;
    first[1..33].copy_from_slice(left);
    first[33..].copy_from_slice(&right[..31]);
    *second = [0; 64];
    second[0] = right[31];
    second[1] = 0x80;
    second[56..].copy_from_slice(&(65u64 * 8).to_be_bytes());
    tail.count = 2;
    &[]
}
