//! Which versions of which models a trail has records of: their decisions counted, and the records that register or deploy them. Edge: asks the
//! table of all records, whoever asks; what of it somebody may see is for others to say.

use serde::Deserialize;

use super::question::literal;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::rows;

/// What a trail has of one version of a model with one artifact.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VersionInfo {
    /// The model's name.
    pub model: String,
    /// The version.
    pub version: String,
    /// SHA-256 of what was loaded, in hex digits, where it is known.
    pub artifact: Option<String>,
    /// Decisions.
    pub decisions: u64,
    /// Decisions that these stand for, where sampling left some out.
    pub weighted: f64,
    /// When the first of them was made, ns since 1970; none where there is no decision.
    pub first_ns: Option<i64>,
    /// When the last was.
    pub last_ns: Option<i64>,
    /// `model` records.
    pub registrations: u64,
    /// `deployment` records.
    pub deployments: u64,
}

/// A `model` or `deployment` record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VersionRecord {
    /// Its id.
    pub id: String,
    /// When it says that it was, ns since 1970.
    pub time_ns: i64,
    /// `model` or `deployment`.
    pub kind: String,
    /// The version.
    pub version: String,
    /// SHA-256 of what was loaded, in hex digits.
    pub artifact: Option<String>,
}

impl Index {
    /// What there is of each version of a model, or of all; in no order. Reads a few columns of all records of models.
    ///
    /// # Errors
    /// Time and memory are bounded.
    pub async fn versions(&self, model: Option<&str>) -> Result<Vec<VersionInfo>> {
        let of = model.map_or("model IS NOT NULL".to_owned(), |model| format!("model = {}", literal(model)));
        let count = |kind: &str| format!("sum(CASE WHEN kind = '{kind}' THEN 1 ELSE 0 END)");
        let of_decision = |what: &str| format!("CASE WHEN kind = 'decision' THEN {what} END");
        let time = of_decision("CAST(time AS BIGINT)");
        let query = format!(
            "SELECT model, version, artifact, {} AS decisions, coalesce(sum({}), 0.0) AS weighted, min({time}) AS first_ns, max({time}) AS last_ns, \
             {} AS registrations, {} AS deployments FROM records WHERE {of} AND kind IN ('decision', 'model', 'deployment') \
             GROUP BY model, version, artifact",
            count("decision"),
            of_decision("weight"),
            count("model"),
            count("deployment"),
        );
        self.read(&query).await
    }

    /// The latest `model` and `deployment` records of a model, so many at most, the latest first.
    ///
    /// # Errors
    /// As [`Index::versions`].
    pub async fn version_records(&self, model: &str, most: usize) -> Result<Vec<VersionRecord>> {
        let query = format!(
            "SELECT id, CAST(time AS BIGINT) AS time_ns, kind, version, artifact FROM records WHERE model = {} \
             AND kind IN ('model', 'deployment') ORDER BY time DESC, id DESC LIMIT {most}",
            literal(model)
        );
        self.read(&query).await
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, query: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for batch in self.sql(query).await?.all().await? {
            for row in rows::json(&batch)? {
                let row = serde_json::from_value(row.into());
                all.push(row.map_err(|error| Error::Query(error.to_string()))?);
            }
        }
        Ok(all)
    }
}
