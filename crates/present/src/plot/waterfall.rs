//! The waterfall: from the base value, at the bottom, feature by feature to the output, the weightiest on top.

use super::*;

/// Beside the bars, for numbers that have no room in them.
const BESIDE: f64 = 58.0;

/// Draws it with at most `most` bars.
///
/// # Errors
///
/// When there is nothing to draw.
pub fn waterfall(explained: &Explained, decided: &Opened, most: usize) -> Result<String, Undrawable> {
    let drawn = Drawn::new(explained, decided, most)?;
    let names = drawn.names_width();
    let (left, right) = (MARGIN + names + 12.0, WIDTH - MARGIN);
    let base = drawn.base.unwrap_or(0.0);
    let mut at = base;
    // From the bottom up, then turned round.
    let step_of = |bar: &Bar| {
        let from = at;
        at += bar.value;
        (from, at)
    };
    let mut steps: Vec<(f64, f64)> = drawn.bars.iter().rev().map(step_of).collect();
    steps.reverse();
    let end = drawn.end();
    let output = drawn.output();
    let numbers = steps.iter().flat_map(|(from, to)| [*from, *to]).chain([base, end]).chain(output);
    let scale = Scale::new(numbers, (left + BESIDE, right - BESIDE))?;
    let mut svg = Svg::new();
    head(&mut svg, &drawn.title(), &drawn.second_line());
    let top = HEAD + 26.0;
    let bottom = top + ROW * drawn.bars.len() as f64;
    levels(&mut svg, &drawn, &scale, (top, bottom), (left, right));
    for (row, (bar, (from, to))) in drawn.bars.iter().zip(&steps).enumerate() {
        let middle = top + ROW * (row as f64 + 0.5);
        if row > 0 {
            svg.line((left, middle - ROW / 2.0), (right, middle - ROW / 2.0), "#eef0f2", "");
        }
        bar.label(&mut svg, (left - 12.0, middle + 4.5), names);
        if row > 0 {
            // To where the row above begins.
            let x = scale.at(*to);
            svg.line((x, middle - ROW + THICK / 2.0), (x, middle - THICK / 2.0), "#9aa1ab", "2 2");
        }
        step(&mut svg, bar, (scale.at(*from), scale.at(*to)), middle);
    }
    axis(&mut svg, &scale, bottom + 4.0, (left, right), BESIDE);
    let height = foot(&mut svg, bottom + 44.0, &drawn.foot());
    let title = format!("Waterfall plot: {}", drawn.title());
    Ok(svg.finish(WIDTH, height, &title, &describe(&drawn)))
}

/// Base value and output, as lines over all rows.
fn levels(
    svg: &mut Svg,
    drawn: &Drawn<'_>,
    scale: &Scale,
    (top, bottom): (f64, f64),
    (left, right): (f64, f64),
) {
    let dotted = "1 3";
    if let Some(base) = drawn.base {
        let x = scale.at(base);
        svg.line((x, top - 4.0), (x, bottom + 4.0), QUIET, dotted);
        let told = format!("{} = {}", drawn.base_name(), number(base, 4));
        within(svg, x, bottom + 40.0, (left, right), QUIET, &told);
    }
    let end = drawn.end();
    let Some(output) = drawn.output() else {
        let x = scale.at(end);
        svg.line((x, top - 4.0), (x, bottom + 4.0), INK, dotted);
        return within(svg, x, top - 10.0, (left, right), INK, &format!("sum = {}", number(end, 4)));
    };
    let x = scale.at(output);
    svg.line((x, top - 4.0), (x, bottom + 4.0), INK, dotted);
    within(svg, x, top - 10.0, (left, right), INK, &format!("f(x) = {}", number(output, 4)));
    if drawn.visible_residual().is_some() {
        let (middle, to) = (top + ROW / 2.0, scale.at(end));
        svg.line((to, middle), (x, middle), QUIET, "3 2");
    }
}

/// A text around `x` that stays within two places.
fn within(svg: &mut Svg, x: f64, y: f64, (left, right): (f64, f64), fill: &'static str, text: &str) {
    let half = width(text, SIZE) / 2.0 + 2.0;
    let x = x.min(right - half).max(left + half);
    svg.text((x, y), Type::new(SIZE, fill).at(Anchor::Middle), text);
}

fn step(svg: &mut Svg, bar: &Bar, (from, to): (f64, f64), middle: f64) {
    svg.polygon(&arrow(from, to, middle), bar.colour(), &bar.tip());
    let told = signed(bar.value);
    let room = width(&told, SIZE) + 16.0;
    let y = middle + 4.5;
    if (to - from).abs() >= room {
        let x = (from + to) / 2.0 - 2f64.copysign(to - from);
        svg.text((x, y), Type::new(SIZE, WHITE).at(Anchor::Middle), &told);
        return;
    }
    // White behind it, where the lines of base value and output pass.
    let (x, anchor, behind) = if bar.value < 0.0 {
        let x = to.min(from) - 5.0;
        (x, Anchor::End, (x - room + 14.0, x + 1.0))
    } else {
        let x = to.max(from) + 5.0;
        (x, Anchor::Start, (x - 1.0, x + room - 14.0))
    };
    svg.rectangle((behind.0, middle - 8.0), (behind.1, middle + 8.0), WHITE);
    svg.text((x, y), Type::new(SIZE, bar.colour()).at(anchor), &told);
}

fn describe(drawn: &Drawn<'_>) -> String {
    let tips: Vec<_> = drawn.bars.iter().map(Bar::tip).collect();
    format!("{}. {}", tips.join("; "), drawn.foot().join(", "))
}
