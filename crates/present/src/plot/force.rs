//! The force plot: one line, on which what pushed the output up comes from the left and what pushed it down from the right, and they meet at
//! the output.

use super::*;

/// Where the line of forces is, and its thickness.
const MIDDLE: f64 = 142.0;
const HALF: f64 = 15.0;
/// Lines of names below it, and their height.
const LEVELS: usize = 7;
const LEVEL: f64 = 19.0;
/// Between two names on one line.
const GAP: f64 = 14.0;

/// A segment of the line, and what stands below it.
struct Force<'a> {
    bar: &'a Bar,
    from: f64,
    to: f64,
}

/// Draws it with at most `most` forces.
///
/// # Errors
///
/// When there is nothing to draw.
pub fn force(explained: &Explained, decided: &Opened, most: usize) -> Result<String, Undrawable> {
    let drawn = Drawn::new(explained, decided, most)?;
    let end = drawn.end();
    let forces: Vec<Force<'_>> = [1.0, -1.0]
        .into_iter()
        .flat_map(|sign| {
            // From the output outwards, the weightiest first.
            let mut at = end;
            drawn.bars.iter().filter(move |bar| bar.value * sign > 0.0).map(move |bar| {
                let to = at;
                at -= bar.value;
                Force { bar, from: at, to }
            })
        })
        .collect();
    let ends = forces.iter().flat_map(|force| [force.from, force.to]).chain([end]);
    let known = drawn.base.into_iter().chain(drawn.output());
    let scale = Scale::new(ends.chain(known), (MARGIN + 24.0, WIDTH - MARGIN - 24.0))?;
    let mut svg = Svg::new();
    head(&mut svg, &drawn.title(), &drawn.second_line());
    levels(&mut svg, &drawn, &scale);
    for force in &forces {
        let (from, to) = (scale.at(force.from), scale.at(force.to));
        svg.polygon(&chevron(from, to), force.bar.colour(), &force.bar.tip());
    }
    let (bottom, unnamed) = names(&mut svg, &forces, &scale);
    let mut told = drawn.foot();
    if unnamed > 0 {
        told.insert(1, format!("{unnamed} too small to be named here"));
    }
    let height = foot(&mut svg, bottom, &told);
    let tips: Vec<_> = drawn.bars.iter().map(Bar::tip).collect();
    Ok(svg.finish(WIDTH, height, &format!("Force plot: {}", drawn.title()), &tips.join("; ")))
}

/// The axis above, with base value and output on it.
fn levels(svg: &mut Svg, drawn: &Drawn<'_>, scale: &Scale) {
    let y = MIDDLE - HALF - 12.0;
    svg.line((MARGIN, y), (WIDTH - MARGIN, y), QUIET, "");
    for (value, label) in scale.ticks(24.0) {
        let x = scale.at(value);
        svg.line((x, y), (x, y - 5.0), QUIET, "");
        svg.text((x, y - 9.0), Type::new(SMALL, QUIET).at(Anchor::Middle), &label);
    }
    let (x, told) = match drawn.output() {
        Some(output) => (scale.at(output), format!("f(x) = {}", number(output, 4))),
        None => (scale.at(drawn.end()), format!("sum = {}", number(drawn.end(), 4))),
    };
    let look = Type::new(15.0, INK).bold();
    let half = width(&told, 15.0 * 1.06) / 2.0 + 2.0;
    let at = x.min(WIDTH - MARGIN - half).max(MARGIN + half);
    svg.text((at, y - 28.0), look.at(Anchor::Middle), &told);
    svg.line((x, y - 6.0), (x, MIDDLE + HALF + 6.0), INK, "");
    let Some(base) = drawn.base else { return };
    let base_at = scale.at(base);
    svg.line((base_at, y - 6.0), (base_at, MIDDLE + HALF + 6.0), QUIET, "1 3");
    let told = format!("{} = {}", drawn.base_name(), number(base, 4));
    let base_half = width(&told, SIZE) / 2.0 + 2.0;
    let mut text_at = base_at.min(WIDTH - MARGIN - base_half).max(MARGIN + base_half);
    // Beside the output where there is no room below it.
    let clear = half + base_half + 12.0;
    if (text_at - at).abs() < clear {
        let right = at + clear;
        text_at = if right + base_half <= WIDTH - MARGIN && base_at >= x || at - clear - base_half < MARGIN {
            right
        } else {
            at - clear
        };
    }
    svg.text((text_at, y - 28.0), Type::new(SIZE, QUIET).at(Anchor::Middle), &told);
}

/// A segment that points where it pushes, with a notch for the one behind it.
fn chevron(from: f64, to: f64) -> Vec<(f64, f64)> {
    let tip = ((to - from).abs() * 0.5).min(6.0).copysign(to - from);
    // A white edge between two of one colour.
    let to_edge = to - 0.75f64.min((to - from).abs() / 4.0).copysign(to - from);
    let (top, bottom) = (MIDDLE - HALF, MIDDLE + HALF);
    vec![
        (from - tip, top),
        (to_edge - tip, top),
        (to_edge, MIDDLE),
        (to_edge - tip, bottom),
        (from - tip, bottom),
        (from, MIDDLE),
    ]
}

/// Writes the names below their segments, each on the first line with room; gives where that ends, and how many had none.
fn names(svg: &mut Svg, forces: &[Force<'_>], scale: &Scale) -> (f64, usize) {
    let top = MIDDLE + HALF + 24.0;
    // What is taken on each line, names and the lines that lead to those further down.
    let mut taken: [Vec<(f64, f64)>; LEVELS] = Default::default();
    let (mut deepest, mut unnamed) = (0, 0);
    let mut by_weight: Vec<&Force<'_>> = forces.iter().collect();
    by_weight.sort_by(|a, b| b.bar.value.abs().total_cmp(&a.bar.value.abs()));
    for force in by_weight {
        let told = format!("{}{}", force.bar.name, force.bar.suffix());
        let told = cut(&told, SMALL, 190.0);
        let half = width(&told, SMALL) / 2.0;
        let (outer, inner) = (scale.at(force.from), scale.at(force.to));
        let x = f64::midpoint(outer, inner);
        // It keeps to its side of its outer end, so that the lines to names of forces further out stay free.
        let at = if outer < inner { x.max(outer + half) } else { x.min(outer - half) };
        let at = at.min(WIDTH - MARGIN - half).max(MARGIN + half);
        let is_free = |level: usize, from: f64, to: f64| {
            taken[level].iter().all(|(left, right)| to < left - GAP || from > right + GAP)
        };
        let is_reached = |level: usize| (0..level).all(|above| is_free(above, x + GAP - 3.0, x - GAP + 3.0));
        let found = (0..LEVELS).find(|level| is_free(*level, at - half, at + half) && is_reached(*level));
        let Some(level) = found else {
            unnamed += 1;
            continue;
        };
        taken[level].push((at - half, at + half));
        (0..level).for_each(|above| taken[above].push((x, x)));
        deepest = deepest.max(level);
        let y = top + LEVEL * level as f64;
        svg.line((x, MIDDLE + HALF + 2.0), (x, y - 11.0), FAINT, "");
        svg.text((at, y), Type::new(SMALL, force.bar.colour()).at(Anchor::Middle), &told);
    }
    (top + LEVEL * deepest as f64, unnamed)
}
