//! Standard output and standard error as this process has them: width, characters, zone, and what is quiet.
//! Edge: the only module that looks at the terminal and at the locale.

use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};

use jiff::tz::TimeZone;

use crate::failure::Result;
use minutebook_present::page::Look;

/// Where a command writes.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// No word but errors on standard error.
    pub quiet: bool,
    /// ASCII only, whatever the locale says.
    pub ascii: bool,
}

impl Terminal {
    /// How to lay out what goes to standard output.
    pub fn look(&self) -> Look {
        let width = if io::stdout().is_terminal() {
            terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
        } else {
            env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok())
        };
        Look { width, unicode: !self.ascii && locale_is_utf8(), zone: TimeZone::system() }
    }

    /// Standard output for data, buffered. Styles are left out when it is no terminal, or NO_COLOR is set.
    pub fn out(&self) -> Out {
        Out(BufWriter::with_capacity(64 << 10, anstream::AutoStream::auto(io::stdout())))
    }

    /// A word on what is done, on standard error.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            // If nobody reads it, that is no reason to stop.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Something that is wrong and does not end the command.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

/// The locale as the C library finds it: the first of these variables that is set.
fn locale_is_utf8() -> bool {
    let set = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Standard output.
pub struct Out(BufWriter<anstream::AutoStream<io::Stdout>>);

impl Out {
    /// Writes text.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or nobody reads it.
    pub fn text(&mut self, text: &str) -> Result {
        Ok(self.0.write_all(text.as_bytes())?)
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// As [`Out::text`].
    pub fn line(&mut self, line: &str) -> Result {
        self.text(line)?;
        self.text("\n")
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    ///
    /// As [`Out::text`].
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result {
        serde_json::to_writer(&mut self.0, value).map_err(io::Error::from)?;
        self.text("\n")
    }

    /// Hands over what was written.
    ///
    /// # Errors
    ///
    /// As [`Out::text`].
    pub fn flush(&mut self) -> Result {
        Ok(self.0.flush()?)
    }
}
