//! What a trail knows of its models, as `GET /v1/models` tells it and as a command does that asks no server. Edge: reads the index, which repeats the
//! records; who may see which model, the caller says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minutebook_index::{Index, VersionInfo, VersionRecord};
use serde_json::{Value, json};

use crate::limits::{VERSION_RECORDS_MAX, VERSIONS_MAX};

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// An answer would have too many.
    #[error("more than {VERSIONS_MAX} versions: ask for one model, or with SQL")]
    TooMany,
    /// The index cannot be asked.
    #[error(transparent)]
    Index(#[from] minutebook_index::Error),
}

/// The models that `sees` lets pass, by name, each with its versions, counts and times.
///
/// # Errors
/// When there are too many versions, or the index cannot be read.
pub async fn all(index: &Index, sees: impl Fn(&str) -> bool) -> Result<Vec<Value>, Unknown> {
    let mut found = index.versions(None).await?;
    found.retain(|info| sees(&info.model));
    let mut models: BTreeMap<String, Vec<VersionInfo>> = BTreeMap::new();
    for info in bounded(found)? {
        models.entry(info.model.clone()).or_default().push(info);
    }
    Ok(models.into_iter().map(|(name, infos)| summed(&name, infos)).collect())
}

/// One model: its versions with digests, and the records that register and deploy them; none when there is no such model.
///
/// # Errors
/// As [`all`].
pub async fn one(index: &Index, name: &str) -> Result<Option<Value>, Unknown> {
    let infos = bounded(index.versions(Some(name)).await?)?;
    if infos.is_empty() {
        return Ok(None);
    }
    let records = index.version_records(name, VERSION_RECORDS_MAX + 1).await?;
    let of = |kind: &str| -> Vec<Value> {
        let told = records.iter().take(VERSION_RECORDS_MAX).filter(|record| record.kind == kind);
        told.map(record_json).collect()
    };
    let versions: Vec<Value> = by_version(&infos).into_iter().map(|(_, json)| json).collect();
    let mut all = summed(name, infos);
    all["versions"] = versions.into();
    all["registrations"] = of("model").into();
    all["deployments"] = of("deployment").into();
    all["more"] = (records.len() > VERSION_RECORDS_MAX).into();
    Ok(Some(all))
}

fn bounded(found: Vec<VersionInfo>) -> Result<Vec<VersionInfo>, Unknown> {
    if found.len() > VERSIONS_MAX { Err(Unknown::TooMany) } else { Ok(found) }
}

/// What versions come to together; those with the latest decisions first.
fn summed(name: &str, infos: Vec<VersionInfo>) -> Value {
    let versions: Vec<String> = by_version(&infos).into_iter().map(|(version, _)| version).collect();
    let mut all = counts(infos.iter());
    all["name"] = name.into();
    all["versions"] = versions.into();
    all
}

/// Each version with its counts, those with the latest decisions first, then those that have none.
fn by_version(infos: &[VersionInfo]) -> Vec<(String, Value)> {
    let mut versions: BTreeMap<&str, Vec<&VersionInfo>> = BTreeMap::new();
    for info in infos {
        versions.entry(&info.version).or_default().push(info);
    }
    let mut versions: Vec<_> = versions.into_iter().collect();
    versions.sort_by_key(|(_, infos)| std::cmp::Reverse(infos.iter().filter_map(|info| info.last_ns).max()));
    let json = |(version, infos): (&str, Vec<&VersionInfo>)| {
        let mut artifacts: Vec<String> =
            infos.iter().filter_map(|info| digest(info.artifact.as_deref())).collect();
        artifacts.sort_unstable();
        let mut json = counts(infos.into_iter());
        json["version"] = version.into();
        json["artifacts"] = artifacts.into();
        (version.to_owned(), json)
    };
    versions.into_iter().map(json).collect()
}

fn counts<'i>(infos: impl Iterator<Item = &'i VersionInfo> + Clone) -> Value {
    let (first, last) =
        (infos.clone().filter_map(|info| info.first_ns), infos.clone().filter_map(|info| info.last_ns));
    json!({
        "decisions": infos.clone().map(|info| info.decisions).sum::<u64>(),
        "weighted": infos.clone().map(|info| info.weighted).sum::<f64>(),
        "first": first.min().map(time),
        "last": last.max().map(time),
        "registrations": infos.clone().map(|info| info.registrations).sum::<u64>(),
        "deployments": infos.map(|info| info.deployments).sum::<u64>(),
    })
}

fn record_json(record: &VersionRecord) -> Value {
    let artifact = digest(record.artifact.as_deref());
    json!({ "id": record.id, "time": time(record.time_ns), "version": record.version, "artifact": artifact })
}

fn digest(hex: Option<&str>) -> Option<String> {
    hex.map(|hex| format!("sha256:{hex}"))
}

fn time(ns: i64) -> Option<String> {
    Timestamp::from_nanosecond(ns.into()).ok().map(|time| time.to_string())
}
