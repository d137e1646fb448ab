//! Lines of a file or of standard input, read ahead by a thread of their own, so that a slow writer, an
//! interrupt and sealing do not wait for each other. Edge: bytes; what a line says is not looked at.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tokio::sync::mpsc;

use crate::failure::{Failure, Result};
use crate::limits::{BATCHES_AHEAD, LINE_BYTES_MAX, LINES_AHEAD_BYTES};

/// A line with its number, from 1; `None` when it is longer than [`LINE_BYTES_MAX`].
pub(crate) type Line = (u64, Option<Vec<u8>>);

/// What the reading thread sends.
pub(crate) type Batch = io::Result<Vec<Line>>;

/// Reads lines ahead. The channel ends with the input.
///
/// # Errors
///
/// When the file cannot be opened.
pub(crate) fn read_ahead(file: Option<&Path>) -> Result<mpsc::Receiver<Batch>> {
    let input: Box<dyn Read + Send> = match file {
        Some(path) if path != Path::new("-") => {
            let open = |path| {
                let file = File::open(path)?;
                if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
            };
            Box::new(open(path).map_err(|error| Failure::file("read", path, &error))?)
        }
        _ => Box::new(io::stdin()),
    };
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    start(move || {
        let mut input = BufReader::with_capacity(256 << 10, input);
        let mut number = 0;
        loop {
            let batch = next_batch(&mut input, &mut number);
            let ends = !matches!(&batch, Ok(lines) if !lines.is_empty());
            if matches!(&batch, Ok(lines) if lines.is_empty()) || sender.blocking_send(batch).is_err() || ends
            {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Starts the reading thread. It is not waited for: it may hang in a read for ever.
#[expect(clippy::disallowed_methods, reason = "the one place of the program where a thread starts")]
fn start(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

/// The lines that are there, at least one unless the input has ended; no more once it would have to wait.
fn next_batch(input: &mut BufReader<impl Read>, number: &mut u64) -> Batch {
    let mut lines = Vec::new();
    let mut bytes = 0;
    loop {
        let Some(line) = next_line(input)? else { return Ok(lines) };
        *number += 1;
        bytes += line.as_ref().map_or(0, Vec::len);
        lines.push((*number, line));
        // A whole line in the buffer can be had without waiting.
        if bytes >= LINES_AHEAD_BYTES || !input.buffer().contains(&b'\n') {
            return Ok(lines);
        }
    }
}

/// The next line without its end; the inner `None` is a line that is too long, of which nothing is kept.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    if input.take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(Some(line)));
    }
    if line.len() as u64 == limit {
        drop(line);
        input.skip_until(b'\n')?;
        return Ok(Some(None));
    }
    Ok(Some(Some(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(input: &[u8]) -> Vec<Line> {
        let mut reader = BufReader::with_capacity(8, input);
        let mut number = 0;
        let mut all = Vec::new();
        loop {
            let batch = next_batch(&mut reader, &mut number).unwrap();
            if batch.is_empty() {
                return all;
            }
            all.extend(batch);
        }
    }

    #[test]
    fn lines_have_their_numbers_and_the_last_one_needs_no_end() {
        let line = |number, text: &str| (number, Some(text.as_bytes().to_vec()));
        assert_eq!(
            lines_of(b"a\n\nccccccccccccc\nd"),
            [line(1, "a"), line(2, ""), line(3, "ccccccccccccc"), line(4, "d")]
        );
        assert_eq!(lines_of(b""), []);
        assert_eq!(lines_of(b"\n"), [line(1, "")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut input = vec![b'x'; LINE_BYTES_MAX];
        input.extend_from_slice(b"\n");
        input.extend(vec![b'y'; LINE_BYTES_MAX + 1]);
        input.extend_from_slice(b"\nz\n");
        let lines = lines_of(&input);
        assert_eq!(lines[0].1.as_ref().map(Vec::len), Some(LINE_BYTES_MAX));
        assert_eq!(lines[1..], [(2, None), (3, Some(b"z".to_vec()))]);
    }
}
