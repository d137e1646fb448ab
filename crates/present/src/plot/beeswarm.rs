//! The beeswarm: what each feature added in each of many decisions, a point each, coloured by the feature's own value among them.

use super::*;
use crate::summary::{Importance, Point};

/// From the least value of a feature to the largest.
const SHADES: [&str; 11] = [
    "#1e88e5", "#3f82dc", "#5b7ad2", "#7272c8", "#8769bd", "#9a60b2", "#ab56a6", "#b94b99", "#c63f8a",
    "#d0317a", "#d81b60",
];
/// Of what is no number.
const NEUTRAL: &str = "#9aa1ab";
const LANE: f64 = 38.0;
const RADIUS: f64 = 2.6;
/// Of a feature; of more every n-th is drawn, or the plot is one blot.
const POINTS_MAX: usize = 2_000;
/// The key of colours at the right.
const KEY: f64 = 74.0;

/// Draws the `most` weightiest features; `title` says of which decisions, `told` how many.
///
/// # Errors
///
/// When there is nothing to draw.
pub fn beeswarm(
    ranked: &[Importance],
    title: &str,
    told: &[String],
    most: usize,
) -> Result<String, Undrawable> {
    let shown = &ranked[..ranked.len().min(most.max(1))];
    let values = || shown.iter().flat_map(|feature| &feature.points).map(|point| point.value);
    if values().next().is_none() {
        return Err(Undrawable::NoAttributions);
    }
    let names =
        shown.iter().map(|feature| width(&line(&feature.name), SIZE)).fold(0.0, f64::max).min(NAMES_MAX);
    let has_key = shown.iter().flat_map(|feature| &feature.points).any(|point| point.input.is_some());
    let (left, right) = (MARGIN + names + 12.0, WIDTH - MARGIN - if has_key { KEY } else { 0.0 });
    let scale = Scale::new(values().chain([0.0]), (left + 10.0, right - 10.0))?;
    let mut svg = Svg::new();
    head(&mut svg, title, "what each feature added, a point for each decision");
    let bottom = HEAD + LANE * shown.len() as f64;
    let zero = scale.at(0.0);
    svg.line((zero, HEAD - 2.0), (zero, bottom + 4.0), QUIET, "");
    for (row, feature) in shown.iter().enumerate() {
        let middle = HEAD + LANE * (row as f64 + 0.5);
        svg.line((left, middle), (right, middle), "#eef0f2", "");
        let name = cut(&line(&feature.name), SIZE, names);
        svg.text((left - 12.0, middle + 4.5), Type::new(SIZE, INK).at(Anchor::End), &name);
        swarm(&mut svg, &feature.points, &scale, middle);
    }
    axis(&mut svg, &scale, bottom + 4.0, (left, right), 10.0);
    let middle = f64::midpoint(left, right);
    svg.text((middle, bottom + 40.0), Type::new(SMALL, QUIET).at(Anchor::Middle), "attribution");
    if has_key {
        key(&mut svg, right + 24.0, (HEAD + 8.0, bottom - 8.0));
    }
    let mut told = told.to_vec();
    if ranked.len() > shown.len() {
        told.insert(0, format!("{} not shown", others_name(ranked.len() - shown.len())));
    }
    let height = foot(&mut svg, bottom + 44.0, &told);
    let means: Vec<_> =
        shown.iter().map(|feature| format!("{}: {}", line(&feature.name), number(feature.mean, 3))).collect();
    let description = format!("Mean magnitude of the attributions: {}", means.join("; "));
    Ok(svg.finish(WIDTH, height, &format!("Beeswarm plot: {title}"), &description))
}

fn swarm(svg: &mut Svg, points: &[Point], scale: &Scale, middle: f64) {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let points: Vec<Point> = points.iter().step_by(every).copied().collect();
    let heights = spread(&points, scale);
    let shades = shades(&points);
    for ((point, height), shade) in points.iter().zip(heights).zip(shades) {
        svg.circle((scale.at(point.value), middle + height), RADIUS, shade);
    }
}

/// How far above or below its lane each point stands, so that those of about the same value do not cover each other.
fn spread(points: &[Point], scale: &Scale) -> Vec<f64> {
    let mut taken = std::collections::HashMap::new();
    let mut numbers = Vec::with_capacity(points.len());
    for point in points {
        let column = (scale.at(point.value) / (1.6 * RADIUS)).round() as i64;
        let count = taken.entry(column).or_insert(0u32);
        numbers.push(*count);
        *count += 1;
    }
    let crowd = taken.values().copied().max().unwrap_or(1);
    let step = f64::min(1.7 * RADIUS, (LANE - 2.0 * RADIUS - 2.0) / f64::from(crowd));
    let height = |number: u32| {
        let side = if number.is_multiple_of(2) { 1.0 } else { -1.0 };
        side * f64::from(number.div_ceil(2)) * step
    };
    numbers.into_iter().map(height).collect()
}

/// A colour for each point, by where its feature's value stands among the others; what is no number has none.
fn shades(points: &[Point]) -> Vec<&'static str> {
    let mut known: Vec<f64> = points.iter().filter_map(|point| point.input).collect();
    known.sort_by(f64::total_cmp);
    known.dedup();
    let shade = |input: f64| {
        let rank = known.partition_point(|other| *other < input);
        match known.len() {
            0 | 1 => SHADES[SHADES.len() / 2],
            count => SHADES[(rank * (SHADES.len() - 1) + (count - 1) / 2) / (count - 1)],
        }
    };
    points.iter().map(|point| point.input.map_or(NEUTRAL, shade)).collect()
}

fn key(svg: &mut Svg, x: f64, (top, bottom): (f64, f64)) {
    svg.gradient("value", &SHADES);
    svg.rectangle((x, top), (x + 8.0, bottom), "url(#value)");
    svg.text((x + 14.0, top + 9.0), Type::new(SMALL, INK), "high");
    svg.text((x + 14.0, bottom), Type::new(SMALL, INK), "low");
    let middle = f64::midpoint(top, bottom);
    // Where there is room between the two.
    if bottom - top > 70.0 {
        svg.text((x + 14.0, middle), Type::new(SMALL, QUIET), "feature");
        svg.text((x + 14.0, middle + 13.0), Type::new(SMALL, QUIET), "value");
    }
}
