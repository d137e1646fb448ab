//! `/v1/stats`: how a model's inputs and outputs are distributed over time.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use jiff::tz::TimeZone;
use minutebook_access::Action;
use minutebook_present::selection::is_model;
use minutebook_present::stats::{Asked, Series, json, series};
use minutebook_present::typed;
use minutebook_record::Path;
use minutebook_record::fields::ModelRef;
use minutebook_sketch::Length;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::App;
use super::records::given;
use crate::access::{Asker, Told};
use crate::limits::{STATS_BINS_MAX, STATS_QUANTILES_MAX, STATS_VALUES_MAX, STATS_WINDOWS_MAX};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    model: String,
    since: Option<String>,
    until: Option<String>,
    by: Option<String>,
    quantiles: Option<String>,
    bins: Option<usize>,
    values: Option<usize>,
    feature: Option<String>,
}

/// How a model's inputs and outputs are distributed over time.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "search",
    params(Wanted),
    responses((status = 200, description = "Windows by model and version", body = Object)),
)]
pub(super) async fn stats(
    State(app): State<App>,
    asker: Asker,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<(Extension<Told>, Json<Value>), Problem> {
    let wanted = given(query)?;
    let wrong = |member: &str, what: String| Problem::request(format!("`{member}`: {what}"));
    let seconds = |member: &str, text: &Option<String>, or: i64| match text {
        None => Ok(or),
        Some(text) => typed::time(text, app.clock.wall_ns(), &TimeZone::UTC)
            .map(|ns| ns.div_euclid(1_000_000_000))
            .map_err(|what| wrong(member, what)),
    };
    let length = match wanted.by.as_deref().unwrap_or("hour") {
        "minute" => Length::Minute,
        "hour" => Length::Hour,
        "day" => Length::Day,
        _ => return Err(wrong("by", "`minute`, `hour` or `day`".into())),
    };
    let asked = asked(&wanted)?;
    let now = app.clock.wall_ns().div_euclid(1_000_000_000);
    let since = length.start_of(seconds("since", &wanted.since, now - 86_400)?);
    let until = seconds("until", &wanted.until, i64::MAX)?;
    if since > until {
        return Err(wrong("since", "it is later than `until`".into()));
    }
    let is_seen = |model: &ModelRef| {
        is_model(&wanted.model, model) && asker.may(Action::ReadStatistics, Some(&model.name))
    };
    let mut found = series(app.reader.windows(length, since..until, &is_seen).await?);
    let mut told = Told { asked: format!("by {length:?}").to_lowercase(), ..Told::default() };
    for series in &mut found {
        told.add_model(Some(&series.model.name));
        told.masked |= mask(&asker, series, &asked.features)?;
    }
    let windows: usize = found.iter().map(|series| series.windows.len()).sum();
    if windows > STATS_WINDOWS_MAX {
        return Err(Problem::request(format!(
            "the answer would have {windows} windows, and at most {STATS_WINDOWS_MAX} are given: ask for a shorter time, or `by` a longer one"
        )));
    }
    told.records = Some(windows as u64);
    Ok((Extension(told), Json(json(&found, &asked))))
}

/// Takes away the features that are masked, and says whether there are some.
///
/// # Errors
/// When one of them is asked for by its name.
fn mask(asker: &Asker, series: &mut Series, wanted: &[Path]) -> Result<bool, Problem> {
    let model = series.model.name.clone();
    let all: Vec<Path> = series.whole.features.keys().cloned().collect();
    let is_shown = |path: &Path| path.first() == "event" || asker.sees(Some(&model), path);
    if all.iter().all(is_shown) {
        return Ok(false);
    }
    if let Some(path) = wanted.iter().find(|path| all.contains(path) && !is_shown(path)) {
        return Err(minutebook_index::Error::Masked { name: path.to_string() }.into());
    }
    let windows = series.windows.iter_mut().map(|(_, window)| window);
    for window in windows.chain([&mut series.whole]) {
        window.features.retain(|path, _| is_shown(path));
    }
    Ok(true)
}

fn asked(wanted: &Wanted) -> Result<Asked, Problem> {
    let mut asked = Asked::default();
    if let Some(quantiles) = &wanted.quantiles {
        let part = |text: &str| text.parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part));
        let parts: Option<Vec<f64>> = quantiles.split(',').map(part).collect();
        let parts = parts.filter(|parts| parts.len() <= STATS_QUANTILES_MAX);
        asked.quantiles = parts.ok_or_else(|| {
            Problem::request(format!(
                "`quantiles`: numbers from 0 to 1 with commas, {STATS_QUANTILES_MAX} at most"
            ))
        })?;
    }
    let up_to = |member: &str, given: Option<usize>, or: usize, most: usize| match given {
        None => Ok(or),
        Some(count) if (1..=most).contains(&count) => Ok(count),
        Some(_) => Err(Problem::request(format!("`{member}` is from 1 to {most}"))),
    };
    asked.bins = up_to("bins", wanted.bins, asked.bins, STATS_BINS_MAX)?;
    asked.values = up_to("values", wanted.values, asked.values, STATS_VALUES_MAX)?;
    let paths = wanted.feature.iter().flat_map(|paths| paths.split(',')).map(typed::path);
    asked.features =
        paths.collect::<Result<_, _>>().map_err(|what| Problem::request(format!("`feature`: {what}")))?;
    Ok(asked)
}
