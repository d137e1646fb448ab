//! How much of a server one asker may use (`docs/formats/access.md`, "Limits of use"). Edge: numbers; who counts is elsewhere.

use serde::Deserialize;
use toml::Spanned;

use crate::asker::fits;
use crate::error::AccessError;
use crate::limits::{ALLOWANCE_MAX, ALLOWANCES_MAX};

/// What one asker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// Requests in a second, in the long run.
    pub requests_per_second: u32,
    /// Requests at once after a pause.
    pub request_burst: u32,
    /// Records in a second, in the long run.
    pub records_per_second: u32,
    /// Seconds in which queries work, in a minute.
    pub query_seconds_per_minute: u32,
    /// Queries that run at once.
    pub queries_at_once: u32,
}

impl Default for Allowance {
    /// What no client meets that does not go round in circles: loggers of model servers send two requests for each call.
    fn default() -> Self {
        Self {
            requests_per_second: 5_000,
            request_burst: 10_000,
            records_per_second: 100_000,
            query_seconds_per_minute: 240,
            queries_at_once: 16,
        }
    }
}

/// What the settings say of it: for all, and for some by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowances {
    all: Allowance,
    some: Vec<(Vec<String>, Allowance)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    requests_per_second: Option<Spanned<i64>>,
    request_burst: Option<Spanned<i64>>,
    records_per_second: Option<Spanned<i64>>,
    query_seconds_per_minute: Option<Spanned<i64>>,
    queries_at_once: Option<Spanned<i64>>,
    #[serde(default, rename = "for")]
    some: Vec<SomeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SomeTable {
    name: Spanned<Vec<String>>,
    requests_per_second: Option<Spanned<i64>>,
    request_burst: Option<Spanned<i64>>,
    records_per_second: Option<Spanned<i64>>,
    query_seconds_per_minute: Option<Spanned<i64>>,
    queries_at_once: Option<Spanned<i64>>,
}

type Said = [Option<Spanned<i64>>; 5];

impl Allowances {
    /// # Errors
    /// A number that is none, with its line.
    pub(crate) fn read(table: LimitsTable, line: impl Fn(usize) -> usize) -> Result<Self, AccessError> {
        let LimitsTable { requests_per_second, request_burst, records_per_second, some, .. } = table;
        let said = [
            requests_per_second,
            request_burst,
            records_per_second,
            table.query_seconds_per_minute,
            table.queries_at_once,
        ];
        let all = read(Allowance::default(), said, &line)?;
        if some.len() > ALLOWANCES_MAX {
            return Err(AccessError::new(format!("at most {ALLOWANCES_MAX} tables `[[limits.for]]`")));
        }
        let some = some.into_iter().map(|table| {
            let at = line(table.name.span().start);
            let names = table.name.into_inner();
            if names.is_empty() || names.iter().any(String::is_empty) {
                return Err(AccessError::at(at, "`name` is a list of patterns of names"));
            }
            let said = [
                table.requests_per_second,
                table.request_burst,
                table.records_per_second,
                table.query_seconds_per_minute,
                table.queries_at_once,
            ];
            Ok((names, read(all, said, &line)?))
        });
        Ok(Self { all, some: some.collect::<Result<_, _>>()? })
    }

    /// Of an asker of this name: by the first table that fits, else what holds for all.
    pub(crate) fn of(&self, who: &str) -> Allowance {
        let own = self.some.iter().find(|(names, _)| names.iter().any(|name| fits(name, who)));
        own.map_or(self.all, |(_, allowance)| *allowance)
    }
}

fn read(base: Allowance, said: Said, line: &impl Fn(usize) -> usize) -> Result<Allowance, AccessError> {
    let number = |said: Option<Spanned<i64>>, base: u32| {
        let Some(said) = said else { return Ok(base) };
        let number = u32::try_from(*said.as_ref()).ok().filter(|number| (1..=ALLOWANCE_MAX).contains(number));
        let wrong =
            || AccessError::at(line(said.span().start), format!("a limit is from 1 to {ALLOWANCE_MAX}"));
        number.ok_or_else(wrong)
    };
    let [requests, burst, records, queries, at_once] = said;
    let has_burst = burst.is_some();
    let requests_per_second = number(requests, base.requests_per_second)?;
    let request_burst = number(burst, base.request_burst)?;
    Ok(Allowance {
        requests_per_second,
        // Whoever says the one means the other too.
        request_burst: match has_burst {
            true => request_burst,
            false if requests_per_second == base.requests_per_second => base.request_burst,
            false => requests_per_second.saturating_mul(2).min(ALLOWANCE_MAX),
        },
        records_per_second: number(records, base.records_per_second)?,
        query_seconds_per_minute: number(queries, base.query_seconds_per_minute)?,
        queries_at_once: number(at_once, base.queries_at_once)?,
    })
}
