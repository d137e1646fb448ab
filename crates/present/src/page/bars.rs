//! Bars to the left and right of a middle line, in eighths of a column. Edge: lengths only.

use anstyle::AnsiColor;

use super::{Look, coloured};

/// Draws bars of one scale.
pub(super) struct Scale {
    /// The largest magnitude.
    largest: f64,
    /// Columns on the negative and the positive side.
    left: usize,
    right: usize,
}

const LEFT: AnsiColor = AnsiColor::Red;
const RIGHT: AnsiColor = AnsiColor::Green;

impl Scale {
    /// A scale for these values within so many columns. A side on which there is nothing takes no room.
    pub(super) fn new(values: impl Iterator<Item = f64> + Clone, columns: usize) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let least = finite.clone().fold(0.0, f64::min);
        let most = finite.fold(0.0, f64::max);
        let largest = f64::max(-least, most);
        let columns = columns.saturating_sub(1).max(2);
        let share = |side: f64| {
            if side > 0.0 { ((columns as f64 * side / (most - least)).round() as usize).max(1) } else { 0 }
        };
        let left = share(-least).min(columns - usize::from(most > 0.0));
        Self { largest, left, right: columns - left }
    }

    /// The bar of a value with the middle line, painted, without blanks behind.
    pub(super) fn bar(&self, look: &Look, value: f64) -> String {
        let line = if look.unicode { '│' } else { '|' };
        let reach = if value < 0.0 { self.left } else { self.right };
        let full = if self.left == 0 || self.right == 0 { reach } else { self.left.max(self.right) };
        let share =
            if self.largest > 0.0 && value.is_finite() { (value.abs() / self.largest).min(1.0) } else { 0.0 };
        // Both sides have one scale: that of the longer one.
        let eighths = ((share * full as f64 * 8.0).round() as usize).min(reach * 8);
        let mut out = String::new();
        if value < 0.0 {
            let bar = if look.unicode { left_blocks(eighths) } else { hashes(eighths) };
            out.push_str(&" ".repeat(self.left.saturating_sub(bar.chars().count())));
            out.push_str(&coloured(LEFT, &bar));
            out.push(line);
        } else {
            out.push_str(&" ".repeat(self.left));
            out.push(line);
            let bar = if look.unicode { right_blocks(eighths) } else { hashes(eighths) };
            out.push_str(&coloured(RIGHT, &bar));
        }
        out
    }
}

fn right_blocks(eighths: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

/// Unicode has only a half and an eighth that are filled from the right.
fn left_blocks(eighths: usize) -> String {
    let part = match eighths % 8 {
        0 => "",
        1..=2 => "▕",
        _ => "▐",
    };
    format!("{part}{}", "█".repeat(eighths / 8))
}

fn hashes(eighths: usize) -> String {
    "#".repeat(if eighths == 0 { 0 } else { eighths.div_ceil(8) })
}
