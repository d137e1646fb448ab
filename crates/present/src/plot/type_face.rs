//! How wide a text will be, without the font that the viewer will choose: widths of Helvetica's letters, which the fonts asked for share or
//! fall below. Edge: good to some per cent; nothing may depend on more.

use unicode_width::UnicodeWidthChar;

/// Fonts, the most likely first.
pub(super) const FAMILY: &str = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif";

/// Pixels that a text of this size takes.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(share).sum::<f64>() * size
}

/// As much of a text as has room; what is cut is marked.
pub(super) fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - share('…') * size;
    let fits = text.chars().take_while(|c| {
        left -= share(*c) * size;
        left >= 0.0
    });
    let mut kept: String = fits.collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// A letter's width as a share of the size.
fn share(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' => 0.24,
        ' ' | '.' | ',' | ':' | ';' | '!' | '/' | '\\' | '[' | ']' | 'I' | 'f' | 't' => 0.28,
        '(' | ')' | '-' | 'r' | '`' | '"' => 0.35,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 0.5,
        'W' | '@' | '…' => 1.0,
        'm' | 'M' | '%' => 0.86,
        'w' | 'A'..='H' | 'K' | 'N'..='Z' | '&' => 0.72,
        '=' | '+' | '<' | '>' | '~' | '−' => 0.584,
        _ => match c.width() {
            Some(2) => 1.0,
            Some(0) | None => 0.0,
            Some(_) => 0.556,
        },
    }
}
