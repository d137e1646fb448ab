//! The page of a model's statistics: what it was asked over time, and how each feature is distributed. Edge: text only.

use std::fmt::Write;

use jiff::Timestamp;
use minutebook_record::Path;
use minutebook_sketch::{Feature, Length, Window, duration_path};

use super::table::{Column, whole};
use super::{Look, bold, hanging, words};
use crate::stats::{Asked, Series, durations, histogram};

/// Bars of a small histogram.
const BARS: usize = 16;

/// Values of a text that are named.
const VALUES: usize = 4;

/// The statistics of some model versions.
pub fn stats(look: &Look, all: &[Series], asked: &Asked) -> String {
    let mut out = String::new();
    for (place, series) in all.iter().enumerate() {
        if place > 0 {
            out.push('\n');
        }
        heading(&mut out, look, series);
        over_time(&mut out, look, series);
        if !asked.features.is_empty() {
            for path in &asked.features {
                feature_over_time(&mut out, look, series, path);
            }
        } else {
            distributions(&mut out, look, &series.whole);
        }
        rules(&mut out, look, &series.whole);
    }
    out
}

fn heading(out: &mut String, look: &Look, series: &Series) {
    let model = match (&*series.model.name, &*series.model.version) {
        ("", _) => "decisions without a model".to_owned(),
        (name, "") => name.to_owned(),
        (name, version) => format!("{name} {version}"),
    };
    let by = match series.length {
        Length::Minute => "by the minute",
        Length::Hour => "by the hour (UTC)",
        Length::Day => "by the day (UTC)",
    };
    let _ = writeln!(
        out,
        "{}  {}, {by}",
        bold(&words::shown(look, &model)),
        words::counted(series.whole.decisions, "decision", "decisions"),
    );
}

fn start_of(look: &Look, start: i64, length: Length) -> String {
    let Ok(time) = Timestamp::from_second(start) else { return start.to_string() };
    let form = if length == Length::Day { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" };
    // Days are days of UTC, whatever the reader's zone is.
    let zone = if length == Length::Day { jiff::tz::TimeZone::UTC } else { look.zone.clone() };
    time.to_zoned(zone).strftime(form).to_string()
}

fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".into(),
        (part, whole) if part == whole => "100 %".into(),
        (part, whole) => {
            let share = 100.0 * part as f64 / whole as f64;
            if share < 0.1 {
                "<0.1 %".into()
            } else if share > 99.9 {
                ">99.9 %".into()
            } else {
                format!("{share:.1} %")
            }
        }
    }
}

fn seconds(look: &Look, value: f64) -> String {
    look.plain(&super::duration((value * 1e9) as u64))
}

fn over_time(out: &mut String, look: &Look, series: &Series) {
    const COLUMNS: [Column<'static>; 6] = [
        Column::left("from"),
        Column::right("decisions"),
        Column::left(""),
        Column::right("not ok"),
        Column::right("median"),
        Column::right("99 %"),
    ];
    let most = series.windows.iter().map(|(_, window)| window.decisions).max().unwrap_or(1);
    let row = |(start, window): &(i64, Window)| {
        let ok = window.status.get("ok").copied().unwrap_or(0);
        let times = durations(window, &[0.5, 0.99]);
        let at =
            |place: usize| times.as_ref().map_or_else(|| "–".into(), |times| seconds(look, times[place]));
        vec![
            start_of(look, *start, series.length),
            words::count(window.decisions),
            bar(look, window.decisions as f64 / most as f64, 12),
            percent(window.decisions.saturating_sub(ok), window.decisions),
            look.plain(&at(0)),
            look.plain(&at(1)),
        ]
    };
    whole(out, look, "  ", &COLUMNS, &series.windows.iter().map(row).collect::<Vec<_>>());
}

/// From where to where bars are drawn: a few far numbers would leave nothing to see of the others.
fn scale_of(feature: &Feature) -> Option<(f64, f64)> {
    let found = feature.numbers.clone()?.quantiles(&[0.01, 0.99])?;
    Some((found[0], found[1]))
}

/// A bar of so many columns at most.
fn bar(look: &Look, share: f64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    if look.unicode {
        format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
    } else {
        "#".repeat(eighths.div_ceil(8))
    }
}

/// A small histogram: a character a bar, as high as its share of the highest.
fn sparkline(look: &Look, counts: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: [char; 5] = ['.', ':', '+', '*', '#'];
    let most = counts.iter().copied().fold(0.0, f64::max);
    let heights: &[char] = if look.unicode { &HEIGHTS } else { &ASCII };
    let of = |count: &f64| {
        if *count <= 0.0 || most <= 0.0 {
            return ' ';
        }
        heights[((count / most * heights.len() as f64).ceil() as usize).clamp(1, heights.len()) - 1]
    };
    counts.iter().map(of).collect()
}

fn name_of(look: &Look, path: &Path) -> String {
    let escape = |part: &str| part.replace('~', "~0").replace('/', "~1");
    words::shown(look, &path.parts().map(escape).collect::<Vec<_>>().join("/"))
}

/// What a window of few values says.
const FEW: &str = "fewer than ten: only counted";

/// Bars, least, median, greatest and mean of numbers.
fn figures(look: &Look, feature: &Feature, scale: Option<(f64, f64)>) -> Vec<String> {
    let mut numbers = feature.numbers.clone().unwrap_or_default();
    let Some(moments) = numbers.moments() else {
        let few = if numbers.count() > 0 { FEW } else { "" };
        return vec![few.into(), String::new(), String::new(), String::new(), String::new()];
    };
    let middle = numbers.quantiles(&[0.5]).map_or(f64::NAN, |found| found[0]);
    let bars = scale.and_then(|scale| histogram(feature, scale, BARS)).map(|bars| bars.counts);
    vec![
        bars.map(|counts| sparkline(look, &counts)).unwrap_or_default(),
        words::rounded(moments.min),
        words::rounded(middle),
        words::rounded(moments.max),
        words::rounded(moments.mean),
    ]
}

/// Frequent values with their shares.
fn values(look: &Look, feature: &Feature) -> String {
    let Some(texts) = &feature.texts else { return String::new() };
    let items = texts.items(1);
    if texts.is_id_like() {
        return format!("{} different values or more, as ids have", words::count(texts.distinct()));
    }
    if items.is_empty() {
        return if texts.count() > 0 { FEW.into() } else { String::new() };
    }
    let shown = items.iter().take(VALUES);
    let shown =
        shown.map(|(text, count)| format!("{} {}", words::shown(look, text), percent(*count, texts.count())));
    let mut said = shown.collect::<Vec<_>>().join(", ");
    let more = texts.distinct().saturating_sub(items.len().min(VALUES) as u64);
    if more > 0 {
        let _ = write!(said, ", {} more", words::count(more));
    }
    said
}

/// Whether values say more of it than figures: it has texts, or is an integer of few values, a class rather than a number.
fn has_values(feature: &Feature) -> bool {
    const LABELS: u64 = 20;
    let is_few = |texts: &minutebook_sketch::Texts| texts.count() > 0 && texts.distinct() <= LABELS;
    feature.numbers.is_none() || feature.texts.as_ref().is_some_and(is_few)
}

/// The columns of figures, behind a first one.
const fn figure_columns(first: Column<'static>) -> [Column<'static>; 7] {
    [
        first,
        Column::right("missing"),
        Column::left("distribution").cut_to(16),
        Column::right("least"),
        Column::right("median"),
        Column::right("greatest"),
        Column::right("mean"),
    ]
}

/// The columns of values, behind a first one.
const fn value_columns(first: Column<'static>) -> [Column<'static>; 3] {
    [first, Column::right("missing"), Column::left("values").cut_to(16)]
}

/// How each input and output of a window is distributed.
pub(super) fn distributions(out: &mut String, look: &Look, window: &Window) {
    const NAME: Column<'static> = Column::left("feature").cut_to(12);
    let duration = duration_path();
    let all: Vec<(&Path, &Feature)> = window.features.iter().filter(|(path, _)| **path != duration).collect();
    let row = |(path, feature): &(&Path, &Feature)| {
        let missing = percent(window.missing(feature), window.decisions);
        let rest = match has_values(feature) {
            true => vec![values(look, feature)],
            false => figures(look, feature, scale_of(feature)),
        };
        [vec![name_of(look, path), missing], rest].concat()
    };
    let (texts, numbers): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, feature)| has_values(feature));
    for (columns, rows) in [(&figure_columns(NAME)[..], numbers), (&value_columns(NAME), texts)] {
        if !rows.is_empty() {
            out.push('\n');
            whole(out, look, "  ", columns, &rows.iter().map(row).collect::<Vec<_>>());
        }
    }
}

fn feature_over_time(out: &mut String, look: &Look, series: &Series, path: &Path) {
    const FROM: Column<'static> = Column::left("from");
    let _ = writeln!(out, "\n{}", bold(&name_of(look, path)));
    let Some(all) = series.whole.features.get(path) else {
        let _ = writeln!(out, "  this model has no such input or output");
        return;
    };
    let (scale, has_values) = (scale_of(all), has_values(all));
    let row = |(start, window): &(i64, Window)| {
        let none = Feature::default();
        let feature = window.features.get(path).unwrap_or(&none);
        let missing = percent(window.missing(feature), window.decisions);
        let rest = if has_values { vec![values(look, feature)] } else { figures(look, feature, scale) };
        [vec![start_of(look, *start, series.length), missing], rest].concat()
    };
    let rows: Vec<Vec<String>> = series.windows.iter().map(row).collect();
    if has_values {
        whole(out, look, "  ", &value_columns(FROM), &rows);
        return;
    }
    whole(out, look, "  ", &figure_columns(FROM), &rows);
    if let Some((from, to)) = scale {
        let text = format!(
            "The bars go from {} to {}, the numbers at 1 % and 99 %; the first and the last have what lies beyond.",
            words::rounded(from),
            words::rounded(to),
        );
        hanging(out, "  ", "  ", look.prose_columns(), &text);
    }
}

fn rules(out: &mut String, look: &Look, window: &Window) {
    if window.rules.is_empty() {
        return;
    }
    const COLUMNS: [Column<'static>; 3] =
        [Column::left("rule").cut_to(12), Column::right("decided"), Column::right("kept")];
    out.push('\n');
    let rules = window.rules.iter();
    let rows = rules.map(|(name, of_rule)| {
        vec![words::shown(look, name), words::count(of_rule.judged), words::count(of_rule.kept)]
    });
    whole(out, look, "  ", &COLUMNS, &rows.collect::<Vec<_>>());
}
