//! SHA-256 (FIPS 180-4) of many short messages at once. A single stream of SHA-NI rounds waits for its own result most of the time;
//! several independent streams fill the wait. Edge: bytes in, digests out; no state is kept between calls.

#[cfg(target_arch = "x86_64")]
mod lanes;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The digest of one message.
pub fn digest(message: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(message).into()
}

/// Hashes the messages that stand one behind the other in `data`: message `i` is `data[ends[i - 1]..ends[i]]`, the first from 0. Appends
/// one digest each to `out`, in order.
///
/// # Panics
///
/// When `ends` descends or passes the end of `data`.
pub fn digest_many(data: &[u8], ends: &[usize], out: &mut Vec<Digest>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(support) = lanes::Support::detect() {
        return support.digest_many(data, ends, out);
    }
    one_by_one(data, ends, out);
}

fn one_by_one(data: &[u8], ends: &[usize], out: &mut Vec<Digest>) {
    let mut start = 0;
    out.extend(ends.iter().map(|&end| {
        let message = &data[start..end];
        start = end;
        digest(message)
    }));
}

/// The Merkle parents of a level (RFC 6962 §2.1): appends SHA-256(0x01 ‖ left ‖ right) of each pair to `out`. An odd last hash has no
/// partner and is left out; in an RFC 6962 tree it goes up to the next level as it is.
pub fn node_hashes(level: &[Digest], out: &mut Vec<Digest>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(support) = lanes::Support::detect() {
        return support.node_hashes(level, out);
    }
    out.extend(level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])));
}

/// The Merkle parent of two hashes (RFC 6962 §2.1): SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut message = [1; 65];
    message[1..33].copy_from_slice(left);
    message[33..].copy_from_slice(right);
    digest(&message)
}

#[cfg(test)]
mod tests;
