//! Records one a line, as they come over a connection: cut into blocks, of which each is taken whole. Edge: bytes in, blocks of whole lines out;
//! what is in a line others read.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::StatusCode;
use futures::StreamExt as _;
use tokio::time::timeout;

use crate::limits::{BLOCK_BYTES, BLOCK_LINES, BLOCK_WAIT, LINE_BYTES_MAX, STREAM_WAIT};
use crate::problem::Problem;

/// Where blocks end. Lines and bytes alone, for whoever may send the same again: then its blocks are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    BySize,
    /// Or where nothing more has come for a while: what came is not kept waiting.
    ByPause,
}

/// Whole lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its first line, from 1.
    pub(crate) first: u64,
    /// Its last line.
    pub(crate) last: u64,
    pub(crate) bytes: Bytes,
}

/// The blocks of a body.
pub(crate) struct Blocks {
    body: BodyDataStream,
    cut: Cut,
    waits: Waits,
    /// What has come and is in no block yet: up to `looked` without the end of a block, and whole lines up to `whole`.
    kept: Vec<u8>,
    looked: usize,
    whole: usize,
    /// Whole lines in it.
    lines: u64,
    given: (u64, u64),
    is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waits {
    block: Duration,
    silence: Duration,
}

impl Blocks {
    pub(crate) fn new(body: Body, cut: Cut) -> Self {
        let waits = Waits { block: BLOCK_WAIT, silence: STREAM_WAIT };
        Self {
            body: body.into_data_stream(),
            cut,
            waits,
            kept: Vec::new(),
            looked: 0,
            whole: 0,
            lines: 0,
            given: (0, 0),
            is_over: false,
        }
    }

    /// The next one; none at the end of the body.
    ///
    /// # Errors
    /// The body broke off, nothing came for too long, or a line is longer than a record can be. What came of a block is dropped then.
    pub(crate) async fn next(&mut self) -> Result<Option<Block>, Problem> {
        loop {
            if let Some(block) = self.full()? {
                return Ok(Some(block));
            }
            if self.is_over {
                let has_rest = !self.kept.is_empty();
                self.lines += u64::from(self.whole < self.kept.len());
                return Ok(has_rest.then(|| self.give(self.kept.len())));
            }
            let has_lines = self.cut == Cut::ByPause && self.whole > 0;
            let wait = if has_lines { self.waits.block } else { self.waits.silence };
            match timeout(wait, self.body.next()).await {
                Ok(Some(Ok(bytes))) => self.kept.extend_from_slice(&bytes),
                Ok(Some(Err(_))) => return Err(Problem::request("the body broke off")),
                Ok(None) => self.is_over = true,
                Err(_) if has_lines => return Ok(Some(self.give(self.whole))),
                Err(_) => return Err(silent(self.waits.silence)),
            }
        }
    }

    /// A block that is as large as one may be.
    fn full(&mut self) -> Result<Option<Block>, Problem> {
        while let Some(end) = self.kept[self.looked..].iter().position(|byte| *byte == b'\n') {
            self.looked += end + 1;
            self.whole = self.looked;
            self.lines += 1;
            if self.lines == BLOCK_LINES || self.whole >= BLOCK_BYTES {
                return Ok(Some(self.give(self.whole)));
            }
        }
        self.looked = self.kept.len();
        if self.looked - self.whole > LINE_BYTES_MAX {
            let line = self.given.1 + self.lines + 1;
            let detail = format!("line {line} is longer than {} MiB", LINE_BYTES_MAX >> 20);
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Problem::new(status, "too-large", "A line is too large", detail));
        }
        Ok(None)
    }

    fn give(&mut self, end: usize) -> Block {
        let rest = self.kept.split_off(end);
        let bytes = std::mem::replace(&mut self.kept, rest).into();
        let (number, first) = (self.given.0 + 1, self.given.1 + 1);
        self.given = (number, self.given.1 + self.lines);
        (self.looked, self.whole, self.lines) = (0, 0, 0);
        Block { number, first, last: self.given.1, bytes }
    }
}

fn silent(wait: Duration) -> Problem {
    let detail =
        format!("nothing came for {} s: an empty line now and then keeps the connection", wait.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The request came too slowly", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: Vec<Vec<u8>>) -> Body {
        Body::from_stream(futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    }

    /// First and last line of each block, and all of their bytes.
    async fn cut(pieces: Vec<Vec<u8>>) -> (Vec<(u64, u64, u64)>, Vec<u8>) {
        let mut blocks = Blocks::new(body(pieces), Cut::BySize);
        let (mut found, mut bytes) = (Vec::new(), Vec::new());
        while let Some(block) = blocks.next().await.unwrap() {
            found.push((block.number, block.first, block.last));
            bytes.extend_from_slice(&block.bytes);
        }
        assert_eq!(blocks.next().await.unwrap(), None, "and it stays at the end");
        (found, bytes)
    }

    #[tokio::test]
    async fn blocks_are_the_same_however_the_bytes_come() {
        let lines: Vec<u8> =
            (0..2_500).flat_map(|number| format!("{{\"n\": {number}}}\n").into_bytes()).collect();
        let wanted = vec![(1, 1, 1_000), (2, 1_001, 2_000), (3, 2_001, 2_500)];
        for size in [1, 7, 1_000, lines.len()] {
            let pieces = lines.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(cut(pieces).await, (wanted.clone(), lines.clone()), "{size}");
        }
        let large: Vec<u8> = [b"x".repeat(600 << 10), b"\n".to_vec()].concat().repeat(5);
        let wanted = vec![(1, 1, 2), (2, 3, 4), (3, 5, 5)];
        for size in [1 << 10, 1 << 20, large.len()] {
            let pieces = large.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(cut(pieces).await, (wanted.clone(), large.clone()), "{size}");
        }
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end() {
        assert_eq!(cut(vec![b"a\nb".to_vec()]).await, (vec![(1, 1, 2)], b"a\nb".to_vec()));
        assert_eq!(cut(vec![b"\n\n".to_vec()]).await.0, [(1, 1, 2)]);
        assert_eq!(cut(vec![b"a".to_vec()]).await.0, [(1, 1, 1)]);
        assert_eq!(cut(vec![]).await.0, []);
    }

    #[tokio::test]
    async fn a_line_has_a_bound_and_so_has_silence() {
        let mut blocks =
            Blocks::new(body(vec![b"a\n".to_vec(), vec![b'x'; LINE_BYTES_MAX + 1]]), Cut::BySize);
        let problem = blocks.next().await.unwrap_err();
        assert!(problem.detail().starts_with("line 2 is longer"), "{}", problem.detail());

        let drip = futures::stream::iter([Ok::<_, std::io::Error>("a\nb")]).chain(futures::stream::pending());
        let mut blocks = Blocks::new(Body::from_stream(drip), Cut::ByPause);
        blocks.waits = Waits { block: Duration::from_millis(10), silence: Duration::from_millis(50) };
        let block = blocks.next().await.unwrap().unwrap();
        assert_eq!((block.first, block.last, &block.bytes[..]), (1, 1, &b"a\n"[..]));
        assert!(blocks.next().await.unwrap_err().detail().starts_with("nothing came"));

        let broken = futures::stream::iter([Ok("a\n"), Err(std::io::Error::other("gone"))]);
        let mut blocks = Blocks::new(Body::from_stream(broken), Cut::BySize);
        assert_eq!(blocks.next().await.unwrap_err().detail(), "the body broke off");
    }
}
