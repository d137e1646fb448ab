//! The compression function of SHA-256 (FIPS 180-4 §6.2.2) on several independent blocks, with the SHA extensions of x86-64.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_ror_epi32, _mm_set_epi32,
    _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_srli_epi32, _mm_storeu_si128, _mm_ternarylogic_epi32,
};

use crate::Digest;

/// A block of a message.
pub(super) type Block = [u8; 64];

/// The state between blocks, in the order that the instructions want: words A, B, E, F and C, D, G, H.
#[derive(Clone, Copy)]
pub(super) struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// FIPS 180-4 §4.2.2.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

impl State {
    /// The initial hash value (FIPS 180-4 §5.3.3).
    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn new() -> Self {
        Self {
            abef: _mm_set_epi32(0x6a09e667, 0xbb67ae85_u32 as i32, 0x510e527f, 0x9b05688c_u32 as i32),
            cdgh: _mm_set_epi32(0x3c6ef372, 0xa54ff53a_u32 as i32, 0x1f83d9ab, 0x5be0cd19),
        }
    }

    /// The hash value as bytes.
    #[inline]
    #[target_feature(enable = "sse2,ssse3,sse4.1")]
    pub(super) fn digest(self) -> Digest {
        let feba = _mm_shuffle_epi32::<0x1b>(self.abef);
        let dchg = _mm_shuffle_epi32::<0xb1>(self.cdgh);
        let abcd = _mm_blend_epi16::<0xf0>(feba, dchg);
        let efgh = _mm_alignr_epi8::<8>(dchg, feba);
        let mut digest = [0; 32];
        let (low, high) = digest.split_at_mut(16);
        let swap = byte_swap();
        // SAFETY: each half has the 16 bytes that are stored; unaligned stores are allowed.
        unsafe {
            _mm_storeu_si128(low.as_mut_ptr().cast(), _mm_shuffle_epi8(abcd, swap));
            _mm_storeu_si128(high.as_mut_ptr().cast(), _mm_shuffle_epi8(efgh, swap));
        }
        digest
    }
}

/// Turns the bytes of each word round.
#[inline]
#[target_feature(enable = "sse2")]
fn byte_swap() -> __m128i {
    _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203)
}

/// The first half of the message schedule (FIPS 180-4 §6.2.2, step 1) of four words: each plus σ0 of the word behind it.
#[inline]
#[target_feature(enable = "sha")]
fn schedule(words: __m128i, next: __m128i) -> __m128i {
    _mm_sha256msg1_epu32(words, next)
}

/// As [`schedule`], with instructions that do not wait for the unit of the SHA extensions: on Intel's cores all of these share one port,
/// which is what bounds interleaved hashing.
#[inline]
#[target_feature(enable = "sse2,ssse3,avx512f,avx512vl")]
fn schedule_beside(words: __m128i, next: __m128i) -> __m128i {
    const XOR3: i32 = 0x96;
    let behind = _mm_alignr_epi8::<4>(next, words);
    let (a, b) = (_mm_ror_epi32::<7>(behind), _mm_ror_epi32::<18>(behind));
    _mm_add_epi32(words, _mm_ternarylogic_epi32::<XOR3>(a, b, _mm_srli_epi32::<3>(behind)))
}

/// Four rounds on every lane for each group; from the fifth group on the message schedule first. Written out so that every index is a constant.
macro_rules! four_rounds {
    ($states:ident, $words:ident, $schedule:ident, $($group:literal)*) => {$({
        // SAFETY: the 16 bytes from word 4 × group lie within the 64 words.
        let k = unsafe { _mm_loadu_si128(K.as_ptr().add(4 * $group).cast()) };
        for (state, w) in $states.iter_mut().zip(&mut $words) {
            if $group >= 4 {
                let sum = _mm_add_epi32(
                    $schedule(w[$group % 4], w[($group + 1) % 4]),
                    _mm_alignr_epi8::<4>(w[($group + 3) % 4], w[($group + 2) % 4]),
                );
                w[$group % 4] = _mm_sha256msg2_epu32(sum, w[($group + 3) % 4]);
            }
            let sum = _mm_add_epi32(w[$group % 4], k);
            state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, sum);
            state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32::<0x0e>(sum));
        }
    })*};
}

macro_rules! compress {
    ($(#[$doc:meta])* $name:ident, $features:literal, $schedule:ident) => {
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(super) fn $name<const N: usize>(states: &mut [State; N], blocks: [&Block; N]) {
            let before = *states;
            let swap = byte_swap();
            let mut words = [[_mm_setzero_si128(); 4]; N];
            for (words, block) in words.iter_mut().zip(blocks) {
                for (words, bytes) in words.iter_mut().zip(block.as_chunks::<16>().0) {
                    // SAFETY: `bytes` has the 16 bytes that are loaded; unaligned loads are allowed.
                    *words = _mm_shuffle_epi8(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }, swap);
                }
            }
            four_rounds!(states, words, $schedule, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            for (state, before) in states.iter_mut().zip(before) {
                state.abef = _mm_add_epi32(state.abef, before.abef);
                state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
            }
        }
    };
}

compress! {
    /// Compresses one block into each state. The lanes do not depend on each other: the processor overlaps them.
    compress, "sha,sse2,ssse3,sse4.1", schedule
}

compress! {
    /// As [`compress`], with part of the message schedule in AVX-512.
    compress_beside, "sha,sse2,ssse3,sse4.1,avx512f,avx512vl", schedule_beside
}
