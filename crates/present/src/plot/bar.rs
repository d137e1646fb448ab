//! Bars from 0: what each feature added to one decision, or how much it adds to many as a rule.

use super::*;
use crate::summary::Importance;

/// Beside the bars, for their numbers.
const BESIDE: f64 = 58.0;

/// Draws at most `most` bars, the longest on top.
///
/// # Errors
///
/// When there is nothing to draw.
pub fn bar(explained: &Explained, decided: &Opened, most: usize) -> Result<String, Undrawable> {
    let drawn = Drawn::new(explained, decided, most)?;
    let mut svg = Svg::new();
    head(&mut svg, &drawn.title(), &drawn.second_line());
    let bottom = bars(&mut svg, &drawn.bars, Bar::colour, signed, "attribution")?;
    let height = foot(&mut svg, bottom, &drawn.foot());
    let tips: Vec<_> = drawn.bars.iter().map(Bar::tip).collect();
    Ok(svg.finish(WIDTH, height, &format!("Bar plot: {}", drawn.title()), &tips.join("; ")))
}

/// Draws the mean magnitude of the weightiest features over many decisions; `title` says which, `told` how many.
///
/// # Errors
///
/// When there is nothing to draw.
pub fn mean_bar(
    ranked: &[Importance],
    title: &str,
    told: &[String],
    most: usize,
) -> Result<String, Undrawable> {
    if ranked.is_empty() {
        return Err(Undrawable::NoAttributions);
    }
    let most = if ranked.len() <= most.max(1) { ranked.len() } else { most.max(2) - 1 };
    let (shown, others) = ranked.split_at(most);
    let mut all: Vec<Bar> = shown
        .iter()
        .map(|feature| Bar { name: line(&feature.name), input: None, value: feature.mean })
        .collect();
    if !others.is_empty() {
        let value = others.iter().map(|feature| feature.mean).sum();
        all.push(Bar { name: others_name(others.len()), input: None, value });
    }
    let mut svg = Svg::new();
    head(&mut svg, title, "mean magnitude of what each feature added");
    let bottom = bars(&mut svg, &all, |_| DOWN, |value| number(value, 3), "mean |attribution|")?;
    let height = foot(&mut svg, bottom, told);
    let tips: Vec<_> = all.iter().map(|bar| format!("{}: {}", bar.name, number(bar.value, 3))).collect();
    Ok(svg.finish(WIDTH, height, &format!("Bar plot: {title}"), &tips.join("; ")))
}

/// Gives the place below the plot.
fn bars(
    svg: &mut Svg,
    bars: &[Bar],
    colour: fn(&Bar) -> &'static str,
    told: fn(f64) -> String,
    what: &str,
) -> Result<f64, Undrawable> {
    let names = bars.iter().map(|bar| width(&bar.name, SIZE) + width(&bar.suffix(), SIZE));
    let names = names.fold(0.0, f64::max).min(NAMES_MAX);
    let (left, right) = (MARGIN + names + 12.0, WIDTH - MARGIN);
    let has = |sign: f64| bars.iter().any(|bar| bar.value * sign > 0.0);
    let beside = |is_there| if is_there { BESIDE } else { 0.0 };
    let stretch = (left + beside(has(-1.0)), right - beside(has(1.0)));
    let scale = Scale::new(bars.iter().map(|bar| bar.value).chain([0.0]), stretch)?;
    let zero = scale.at(0.0);
    let bottom = HEAD + ROW * bars.len() as f64;
    for (row, bar) in bars.iter().enumerate() {
        let middle = HEAD + ROW * (row as f64 + 0.5);
        if row > 0 {
            svg.line((left, middle - ROW / 2.0), (right, middle - ROW / 2.0), "#eef0f2", "");
        }
        bar.label(svg, (left - 12.0, middle + 4.5), names);
        let to = scale.at(bar.value);
        let (top, below) = (middle - THICK / 2.0, middle + THICK / 2.0);
        svg.polygon(&[(zero, top), (to, top), (to, below), (zero, below)], colour(bar), &bar.tip());
        let (x, anchor) = if bar.value < 0.0 { (to - 5.0, Anchor::End) } else { (to + 5.0, Anchor::Start) };
        svg.text((x, middle + 4.5), Type::new(SIZE, colour(bar)).at(anchor), &told(bar.value));
    }
    svg.line((zero, HEAD - 2.0), (zero, bottom + 4.0), INK, "");
    axis(svg, &scale, bottom + 4.0, (left, right), BESIDE);
    svg.text((f64::midpoint(left, right), bottom + 40.0), Type::new(SMALL, QUIET).at(Anchor::Middle), what);
    Ok(bottom + 44.0)
}
