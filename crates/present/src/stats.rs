//! Windows as figures: quantiles, histograms and frequent values of each feature, by time. Edge: figures only; how they look is for `page`.

use std::collections::BTreeMap;

use minutebook_record::fields::ModelRef;
use minutebook_record::{Kind, Path};
use minutebook_sketch::{Feature, Key, Length, SealedWindow, Window, duration_path};
use minutebook_verify::hex;
use serde_json::{Map, Value as Json, json};

use crate::opened::Opened;

/// What is asked of windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Which parts of all (0 to 1) lie at or below the quantiles that are given.
    pub quantiles: Vec<f64>,
    /// Bars of a histogram.
    pub bins: usize,
    /// Frequent values at most.
    pub values: usize,
    /// Only these features; all when empty.
    pub features: Vec<Path>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { quantiles: vec![0.01, 0.25, 0.5, 0.75, 0.99], bins: 20, values: 10, features: Vec::new() }
    }
}

/// The windows of one model version, in the order of time.
#[derive(Debug, Clone)]
pub struct Series {
    /// The model version.
    pub model: ModelRef,
    /// How long each window is.
    pub length: Length,
    /// Where each begins (s since 1970), and what it has.
    pub windows: Vec<(i64, Window)>,
    /// All of them together.
    pub whole: Window,
}

/// Windows by model version, in the order of names and versions.
pub fn series(found: BTreeMap<Key, Window>) -> Vec<Series> {
    let mut all: BTreeMap<Box<[u8]>, Series> = BTreeMap::new();
    for (Key { length, start, model: bytes }, window) in found {
        let of_model = all.entry(bytes).or_insert_with_key(|bytes| {
            let model = ModelRef::decode(bytes).ok().flatten();
            let none = || ModelRef { name: String::new(), version: String::new(), artifact: None };
            Series {
                model: model.unwrap_or_else(none),
                length,
                windows: Vec::new(),
                whole: Window::default(),
            }
        });
        of_model.whole.merge(window.clone());
        of_model.windows.push((start, window));
    }
    let mut all: Vec<Series> = all.into_values().collect();
    all.sort_by(|a, b| (&a.model.name, &a.model.version).cmp(&(&b.model.name, &b.model.version)));
    all
}

/// What a `window` record tells; `None` when it is none, or is no window.
pub fn window_of(record: &Opened) -> Option<Window> {
    let field = |name: &str| record.value(&["window", name]);
    (record.header.kind == Kind::Window).then(|| SealedWindow::from_fields(field)?.open()).flatten()
}

/// A histogram of bars of one width between two numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Where the first bar begins.
    pub from: f64,
    /// Where the last one ends.
    pub to: f64,
    /// About how many numbers each has.
    pub counts: Vec<f64>,
}

/// The bars of a feature's numbers between two bounds; none when there is no distribution.
pub fn histogram(feature: &Feature, bounds: (f64, f64), bins: usize) -> Option<Histogram> {
    let (from, to) = bounds;
    let mut numbers = feature.numbers.clone()?;
    let count = numbers.moments()?.count as f64;
    if from >= to || bins < 2 {
        return Some(Histogram { from, to, counts: vec![count] });
    }
    let edge = |bar: usize| from + (to - from) * (bar as f64 / bins as f64);
    let mut edges: Vec<f64> = (1..bins).map(edge).collect();
    edges.dedup();
    let below = numbers.parts_below(&edges)?;
    let below = below.into_iter().chain([1.0]);
    let counts = below.scan(0.0, |before, part| {
        let counted = (part - *before) * count;
        *before = part;
        Some(counted.max(0.0))
    });
    Some(Histogram { from, to, counts: counts.collect() })
}

/// The features that are asked for, with their paths.
pub fn features<'w>(window: &'w Window, asked: &'w Asked) -> impl Iterator<Item = (&'w Path, &'w Feature)> {
    window.features.iter().filter(|(path, _)| asked.features.is_empty() || asked.features.contains(path))
}

/// The figures as JSON (`docs/api.md`, "Statistics").
pub fn json(series: &[Series], asked: &Asked) -> Json {
    let models = series.iter().map(|of_model| {
        let windows = of_model.windows.iter().map(|(start, window)| {
            let mut figures = window_json(window, &of_model.whole, asked);
            figures.insert("start".into(), json!(time(*start)));
            Json::Object(figures)
        });
        json!({
            "model": {
                "name": of_model.model.name,
                "version": of_model.model.version,
                "artifact": of_model.model.artifact.map(|digest| hex(&digest)),
            },
            "length_s": of_model.length.seconds(),
            "windows": windows.collect::<Vec<_>>(),
            "whole": window_json(&of_model.whole, &of_model.whole, asked),
        })
    });
    json!({ "models": models.collect::<Vec<_>>() })
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn window_json(window: &Window, whole: &Window, asked: &Asked) -> Map<String, Json> {
    let status: Map<String, Json> =
        window.status.iter().map(|(name, count)| (name.to_string(), json!(count))).collect();
    let rules: Map<String, Json> = window
        .rules
        .iter()
        .map(|(name, of_rule)| (name.to_string(), json!({ "judged": of_rule.judged, "kept": of_rule.kept })))
        .collect();
    let found = features(window, asked).map(|(path, feature)| {
        // Over one scale, so that the windows of a series can be compared bar by bar.
        let bounds = whole.features.get(path).and_then(bounds);
        feature_json(path, feature, window, bounds, asked)
    });
    let mut figures = Map::new();
    figures.insert("decisions".into(), json!(window.decisions));
    figures.insert("status".into(), Json::Object(status));
    figures.insert("rules".into(), Json::Object(rules));
    figures.insert("features".into(), json!(found.collect::<Vec<_>>()));
    figures
}

/// The least and the greatest number of a feature.
pub fn bounds(feature: &Feature) -> Option<(f64, f64)> {
    let moments = feature.numbers.clone()?.moments()?;
    Some((moments.min, moments.max))
}

fn feature_json(
    path: &Path,
    feature: &Feature,
    window: &Window,
    bounds: Option<(f64, f64)>,
    asked: &Asked,
) -> Json {
    let numbers = feature.numbers.clone().map(|mut numbers| {
        let moments = numbers.moments();
        let quantiles = numbers.quantiles(&asked.quantiles).map(|found| {
            asked
                .quantiles
                .iter()
                .zip(found)
                .map(|(part, quantile)| json!([part, quantile]))
                .collect::<Vec<_>>()
        });
        json!({
            "count": numbers.count(),
            "not_finite": numbers.not_finite(),
            "mean": moments.map(|moments| moments.mean),
            "variance": moments.and_then(|moments| moments.variance()),
            "min": moments.map(|moments| moments.min),
            "max": moments.map(|moments| moments.max),
            "quantiles": quantiles,
            "histogram": bounds.and_then(|bounds| histogram(feature, bounds, asked.bins)).map(|bars| {
                json!({ "from": bars.from, "to": bars.to, "counts": bars.counts })
            }),
        })
    });
    let texts = feature.texts.as_ref().map(|texts| {
        let items = texts.items(1).into_iter().take(asked.values);
        json!({
            "count": texts.count(),
            "distinct": texts.distinct(),
            "id_like": texts.is_id_like(),
            "top": items.map(|(text, count)| json!([text, count])).collect::<Vec<_>>(),
        })
    });
    json!({
        "path": path.parts().collect::<Vec<_>>(),
        "present": feature.present,
        "missing": window.missing(feature),
        "numbers": numbers,
        "texts": texts,
    })
}

/// The decision's duration in s at these parts of all; none when nobody measured it.
pub fn durations(window: &Window, parts: &[f64]) -> Option<Vec<f64>> {
    let mut numbers = window.features.get(&duration_path())?.numbers.clone()?;
    Some(numbers.quantiles(parts)?.into_iter().map(|ns| ns / 1e9).collect())
}
