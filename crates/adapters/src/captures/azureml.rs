//! Azure ML's data collector: CloudEvents, one a line, whose data are the rows that went in or came out. Edge: one line, and the calls that two make.

use std::hash::{DefaultHasher, Hash, Hasher};

use minutebook_present::json::{Problem, Tree};

use super::{call_id, environment, time_ns};
use crate::exchange::{Call, Exchange, Row, Side, Version, VersionFrom};
use crate::foreign;
use crate::pairing::{Came, Half, Key, Matched};
use crate::payload;

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Collected {
    correlation: String,
    source: String,
    version: Option<String>,
    time_ns: i64,
    rows: Vec<Row>,
}

pub(super) fn half(line: &Tree<'_>) -> Result<Came<Collected>, Problem> {
    let needed = |name: &'static str| {
        foreign::text(line, name).filter(|text| !text.is_empty()).ok_or_else(|| {
            Problem::new(format!("`{name}` is missing: this is no line of the data collector"))
        })
    };
    let kind = needed("type")?;
    let half = match kind.strip_prefix("azureml.inference.").unwrap_or_default() {
        name if name.contains("output") || name.contains("response") => Half::Answer,
        name if name.contains("input") || name.contains("request") => Half::Request,
        _ => {
            let problem = Problem::new("neither inputs nor outputs of a model").within("type");
            return Err(problem.remedy("take the files of the collections of inputs and of outputs"));
        }
    };
    let data = foreign::get(line, "data").ok_or_else(|| {
        let remedy = "payloads over 4 MB are stored apart, and are not read";
        Problem::new("`data` is missing").remedy(remedy)
    })?;
    let (correlation, source) = (needed("correlationid")?.to_owned(), needed("source")?.to_owned());
    let time =
        time_ns(needed("time")?).ok_or_else(|| Problem::new("not a time as in RFC 3339").within("time"))?;
    let name = if half == Half::Request { "x" } else { "y" };
    let rows = match data {
        Tree::Array(rows) => rows.iter().map(|row| payload::row(row, name)).collect(),
        one => vec![payload::row(one, name)],
    };
    let mut hasher = DefaultHasher::new();
    needed("id")?.hash(&mut hasher);
    Ok(Came {
        key: Key(vec![source.clone(), correlation.clone()]),
        half,
        print: hasher.finish(),
        bytes: serde_json::to_string(data).map_or(0, |text| 8 * text.len()) + 512,
        content: Collected {
            correlation,
            source,
            version: foreign::text(line, "modelversion").map(str::to_owned),
            time_ns: time,
            rows,
        },
    })
}

pub(super) fn call(matched: &Matched<Collected>) -> (Call, Exchange) {
    let content = |half: &Option<Came<Collected>>| half.as_ref().map(|came| came.content.clone());
    let (asked, answered) = (content(&matched.request), content(&matched.answer));
    let any = asked.as_ref().or(answered.as_ref());
    let source = any.map(|one| one.source.clone()).unwrap_or_default();
    // …/onlineEndpoints/NAME/deployments/NAME, in whatever case.
    let after = |word: &str| {
        let mut parts = source.split('/').skip_while(|part| !part.eq_ignore_ascii_case(word)).skip(1);
        parts.next().filter(|part| !part.is_empty()).map(str::to_owned)
    };
    let endpoint = after("onlineEndpoints").or_else(|| after("endpoints"));
    let version = match any.and_then(|one| one.version.clone()) {
        Some(version) => Version::known(version, VersionFrom::Sender),
        None => Version::unknown(),
    };
    let correlation = any.map(|one| one.correlation.clone()).unwrap_or_default();
    let name = endpoint.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut call = Call::new(name, version, call_id(&format!("{source} {correlation}")));
    call.time_ns = any.map(|one| one.time_ns);
    if asked.is_none() {
        call.status = Some("no request".to_owned());
    }
    let alone = match (&asked, &answered) {
        (Some(_), None) => Some(Half::Request),
        (None, Some(_)) => Some(Half::Answer),
        _ => None,
    };
    call.environment = environment(
        "Azure ML",
        [
            ("event_id", Some(correlation)),
            ("endpoint", endpoint),
            ("deployment", after("deployments")),
            ("paired", Some(matched.how.words(alone).to_owned())),
        ],
    );
    (call, exchange(asked, answered))
}

fn exchange(asked: Option<Collected>, answered: Option<Collected>) -> Exchange {
    let nothing = payload::too_large(None, None);
    match (asked, answered) {
        (Some(asked), answered) => {
            let rows = asked.rows.len();
            let outputs = answered.map(|answered| match answered.rows.len() {
                count if count == rows => Side::of_rows(answered.rows),
                _ => {
                    let all =
                        answered.rows.into_iter().map(|row| foreign::value(&Tree::Object(row))).collect();
                    Side::same(vec![("of_all_rows".into(), Tree::Array(all))])
                }
            });
            Exchange { inputs: Side::of_rows(asked.rows), outputs, ..nothing }
        }
        (None, Some(answered)) => {
            let inputs = vec![Row::new(); answered.rows.len()];
            Exchange { inputs: Side::of_rows(inputs), outputs: Some(Side::of_rows(answered.rows)), ..nothing }
        }
        (None, None) => nothing,
    }
}
