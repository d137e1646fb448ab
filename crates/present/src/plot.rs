//! Plots of explanations as SVG files, as people know them from shap: waterfall, force and bar of one decision, bar and beeswarm of many.
//! Drawn from what is recorded and nothing else. Edge: text of a file; where it goes is the caller's.

mod bar;
mod beeswarm;
mod force;
mod scale;
mod svg;
mod type_face;
mod waterfall;

#[cfg(test)]
mod tests;

pub use bar::{bar, mean_bar};
pub use beeswarm::beeswarm;
pub use force::force;
pub use waterfall::waterfall;

use jiff::tz::TimeZone;

use crate::explained::{Explained, Share, weightiest};
use crate::opened::Opened;
use crate::page::{Look, brief_value, printable};
use scale::{Scale, number, signed};
use svg::{Anchor, Svg, Type};
use type_face::{cut, width};

/// Why there is nothing to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undrawable {
    /// No attribution that is a number.
    NoAttributions,
    /// Numbers too large or too close to each other for a scale.
    OutOfScale,
}

impl std::fmt::Display for Undrawable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoAttributions => "no attribution is a number",
            Self::OutOfScale => "the numbers are too large, or too close to each other, for a scale",
        })
    }
}

impl std::error::Error for Undrawable {}

const UP: &str = "#d81b60";
const DOWN: &str = "#1e88e5";
const QUIET: &str = "#6b7280";
const FAINT: &str = "#d8dbe0";
const INK: &str = "#22252a";
const WHITE: &str = "#ffffff";

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 20.0;
/// Of names and numbers.
const SIZE: f64 = 13.0;
const SMALL: f64 = 11.5;
/// A feature and its bar.
const ROW: f64 = 30.0;
const THICK: f64 = 20.0;
/// The names take this much at most.
const NAMES_MAX: f64 = 300.0;
/// Below the title and its second line.
const HEAD: f64 = 62.0;
/// Where the foot begins below the plot.
const FOOT: f64 = 26.0;

/// What is drawn of one explanation.
struct Drawn<'a> {
    explained: &'a Explained,
    base: Option<f64>,
    /// The weightiest first; what is no number is left out.
    bars: Vec<Bar>,
    left_out: usize,
}

/// A feature with what it added.
struct Bar {
    name: String,
    /// Its value, where it is an input that can be seen.
    input: Option<String>,
    value: f64,
}

impl<'a> Drawn<'a> {
    fn new(explained: &'a Explained, decided: &Opened, most: usize) -> Result<Self, Undrawable> {
        let shares: &[Share] = explained.shares.as_deref().unwrap_or_default();
        let finite: Vec<Share> = shares.iter().filter(|share| share.value.is_finite()).cloned().collect();
        if finite.is_empty() {
            return Err(Undrawable::NoAttributions);
        }
        if !finite.iter().map(|share| share.value.abs()).sum::<f64>().is_finite() {
            return Err(Undrawable::OutOfScale);
        }
        // One other feature takes as much room by its name as by a count.
        let most = if finite.len() <= most.max(1) { finite.len() } else { most.max(2) - 1 };
        let (shown, others) = weightiest(&finite, most);
        let mut bars: Vec<Bar> = shown
            .into_iter()
            .map(|share| Bar {
                name: line(&share.name),
                input: share.input.and_then(|place| input(decided, place)),
                value: share.value,
            })
            .collect();
        if let Some((count, value)) = others {
            bars.push(Bar { name: others_name(count), input: None, value });
        }
        let base = explained.base.filter(|base| base.is_finite());
        Ok(Self { explained, base, bars, left_out: shares.len() - finite.len() })
    }

    fn sum(&self) -> f64 {
        self.bars.iter().map(|bar| bar.value).sum()
    }

    /// From the base value, or else 0, over all bars.
    fn end(&self) -> f64 {
        self.base.unwrap_or(0.0) + self.sum()
    }

    /// The model's output: base value + sum − residual, where these are known.
    fn output(&self) -> Option<f64> {
        let residual = self.explained.residual.filter(|residual| residual.is_finite()).unwrap_or(0.0);
        Some(self.base? + self.sum() - residual)
    }

    /// The residual, when it can be seen beside the attributions.
    fn visible_residual(&self) -> Option<f64> {
        let span: f64 = self.bars.iter().map(|bar| bar.value.abs()).sum();
        self.explained.residual.filter(|residual| residual.is_nan() || residual.abs() > 1e-3 * span)
    }

    /// What the base value is called: with Shapley values it is the expectation of the output.
    fn base_name(&self) -> &'static str {
        let method = self.explained.meta.as_ref().map_or("", |meta| &meta.method).to_ascii_lowercase();
        if method.contains("shap") { "E[f(x)]" } else { "base value" }
    }

    fn title(&self) -> String {
        match &self.explained.model {
            Some((name, version)) => format!("{} {}", line(name), line(version)),
            None => "explanation".into(),
        }
    }

    /// How it was computed, and of which output.
    fn second_line(&self) -> String {
        let mut parts = Vec::new();
        if let Some(meta) = &self.explained.meta {
            // `shap` by `shap 0.51.0` is said once.
            if !meta.library.starts_with(&meta.method) {
                parts.push(line(&meta.method));
            }
            if !meta.library.is_empty() {
                parts.push(line(&meta.library));
            }
        }
        parts.extend(self.explained.class().map(|class| format!("for {}", line(&class))));
        if self.explained.outputs > 1 && self.explained.class().is_none() {
            parts.push(format!("output {} of 0 to {}", self.explained.output, self.explained.outputs - 1));
        }
        parts.extend(self.explained.space().map(|space| format!("in {}", space.name())));
        if self
            .explained
            .meta
            .as_ref()
            .is_some_and(|meta| meta.when == minutebook_record::fields::When::Later)
        {
            parts.push("computed later".into());
        }
        parts.join(", ")
    }

    /// What the bars add up to, and which record says so.
    fn foot(&self) -> Vec<String> {
        let sum = self.sum();
        let mut told = match self.base {
            Some(base) => {
                format!("base value {} + sum {} = {}", number(base, 4), number(sum, 4), number(base + sum, 4))
            }
            None => format!("sum {}, no base value", number(sum, 4)),
        };
        if let Some(residual) = self.explained.residual {
            told.push_str(&match self.visible_residual() {
                Some(_) => format!(", residual {}", signed(residual)),
                None => ", which adds up to the output".into(),
            });
        }
        if self.left_out > 0 {
            told.push_str(&format!(", {} left out that are no numbers", self.left_out));
        }
        vec![told, format!("record {}", self.explained.record)]
    }

    /// The columns that names take.
    fn names_width(&self) -> f64 {
        let widest = self.bars.iter().map(|bar| width(&bar.name, SIZE) + width(&bar.suffix(), SIZE));
        widest.fold(0.0, f64::max).min(NAMES_MAX)
    }
}

impl Bar {
    fn suffix(&self) -> String {
        self.input.as_ref().map_or(String::new(), |input| format!(" = {input}"))
    }

    fn tip(&self) -> String {
        format!("{}{}: {}", self.name, self.suffix(), signed(self.value))
    }

    fn colour(&self) -> &'static str {
        if self.value < 0.0 { DOWN } else { UP }
    }

    /// Writes name and value to the left of `x`.
    fn label(&self, svg: &mut Svg, at: (f64, f64), room: f64) {
        // The name gives way first, to half of the room.
        let suffix = self.suffix();
        let suffix = cut(&suffix, SIZE, (room - width(&self.name, SIZE)).max(room / 2.0));
        let name = cut(&self.name, SIZE, room - width(&suffix, SIZE));
        // The blank ends the name: some viewers drop one at the beginning of a part.
        let name = if suffix.is_empty() { name } else { name + " " };
        let look = Type::new(SIZE, INK).at(Anchor::End);
        svg.texts(at, look, &[(&name, INK), (suffix.trim_start(), QUIET)]);
    }
}

fn others_name(count: usize) -> String {
    format!("{count} other {}", if count == 1 { "feature" } else { "features" })
}

/// The value of an input in few letters.
fn input(decided: &Opened, place: usize) -> Option<String> {
    let look = Look { width: None, unicode: true, zone: TimeZone::UTC };
    let field_type = &decided.schema.fields().get(place)?.field_type;
    let told = brief_value(&look, field_type, decided.value_at(place)?);
    Some(if told.parse::<f64>().is_ok() { told.replace('-', "−") } else { told })
}

/// A text from outside in one line.
fn line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Title and the line below it.
fn head(svg: &mut Svg, title: &str, second: &str) {
    let room = WIDTH - 2.0 * MARGIN;
    svg.text((MARGIN, 28.0), Type::new(16.0, INK).bold(), &cut(title, 16.0 * 1.06, room));
    svg.text((MARGIN, 47.0), Type::new(SMALL, QUIET), &cut(second, SMALL, room));
}

/// The last lines; gives the height of the whole.
fn foot(svg: &mut Svg, top: f64, lines: &[String]) -> f64 {
    let mut y = top + FOOT;
    for line in lines {
        svg.text((MARGIN, y), Type::new(SMALL, QUIET), &cut(line, SMALL, WIDTH - 2.0 * MARGIN));
        y += 16.0;
    }
    y + 2.0
}

/// A line with ticks below a plot, in the stretch between two places.
fn axis(svg: &mut Svg, scale: &Scale, y: f64, (left, right): (f64, f64), room: f64) {
    svg.line((left, y), (right, y), QUIET, "");
    for (value, label) in scale.ticks(room) {
        let x = scale.at(value);
        if x < left - 0.5 || x > right + 0.5 {
            continue;
        }
        svg.line((x, y), (x, y + 5.0), QUIET, "");
        svg.text((x, y + 18.0), Type::new(SMALL, INK).at(Anchor::Middle), &label);
    }
}

/// A bar whose end points where it goes.
fn arrow(from: f64, to: f64, middle: f64) -> Vec<(f64, f64)> {
    let (top, bottom) = (middle - THICK / 2.0, middle + THICK / 2.0);
    // What is too small to be seen is a line of one pixel.
    let to = if (to - from).abs() < 1.0 { from + 1f64.copysign(to - from) } else { to };
    let head = (to - from).abs().min(7.0).copysign(to - from);
    vec![(from, top), (to - head, top), (to, middle), (to - head, bottom), (from, bottom)]
}
