//! What a call says, read from the copies of its bodies; and what of it cannot be read, with why. Edge: which decisions it was; records are made in
//! `record`.

use minutebook_adapters::mapping::Around;
use minutebook_adapters::openai::Answer;
use minutebook_adapters::{Exchange, Problem, Row, Side, Version, VersionFrom, invocations, oip, openai};

use crate::call::{Asked, Ended, How};
use crate::decode::decode;
use crate::headers::Described;
use crate::kept::Kept;
use crate::options::{GivenModel, is_secret};
use crate::route::Route;

/// The name of a model that neither calls nor options name.
const UNKNOWN: &str = "unknown";

/// What a call says.
pub(crate) struct Understood {
    pub(crate) model: String,
    pub(crate) version: Version,
    pub(crate) exchange: Exchange,
    /// Whom each row is about, where a mapping says so.
    pub(crate) subjects: Vec<Option<String>>,
    /// Why the request is not in the records.
    pub(crate) without_request: Option<String>,
    /// Why the answer is not.
    pub(crate) without_answer: Option<String>,
}

/// What an adapter has read.
struct Parsed {
    exchange: Exchange,
    version: Option<Version>,
    subjects: Vec<Option<String>>,
}

/// How many decisions a request asks for; one when it cannot be read.
pub(crate) fn rows(asked: &Asked) -> usize {
    let kept = asked.kept();
    let Ok(request) = body(&kept, &asked.described) else { return 1 };
    let nobody = |_: &str| None;
    let around = Around { path: "", header: &nobody };
    let parsed = parse(&asked.route, around, (&request, &asked.described), None);
    parsed.ok().and_then(|parsed| parsed.exchange.inputs.rows()).unwrap_or(1)
}

/// Reads a call.
pub(crate) fn read(call: &Ended, given: Option<&GivenModel>) -> Understood {
    let header = |name: &str| {
        let name = name.parse().ok().filter(|name| !is_secret(name))?;
        crate::headers::named(&call.headers, &name)
    };
    let around = Around { path: &call.path, header: &header };
    let asked = call.asked.kept();
    let described = &call.asked.described;
    let is_good = call.answered.as_ref().is_some_and(|answered| (200..300).contains(&answered.status));
    let answer = call.answered.as_ref().map(|answered| {
        let partial = answered.described.is_events() || answered.kept.is_whole();
        if partial { decoded(&answered.kept, &answered.described) } else { Err("it broke off".to_owned()) }
    });
    let mut without_answer = None;
    let parsed = body(&asked, described).and_then(|request| {
        let parse = |answer| parse(&call.asked.route, around, (&request, described), answer);
        let mut parsed = None;
        if let (Some(Ok(answer)), Some(answered), true) = (&answer, &call.answered, is_good) {
            match parse(Some((&**answer, &answered.described))) {
                Ok(found) => parsed = Some(found),
                Err(problem) => without_answer = Some(problem.to_string()),
            }
        }
        match parsed {
            Some(parsed) => Ok(parsed),
            None => parse(None).map_err(|problem| problem.to_string()),
        }
    });
    let (mut parsed, without_request) = match parsed {
        Ok(parsed) => (parsed, None),
        Err(why) => (nothing(), Some(why)),
    };
    if without_request.is_some() {
        without_answer = Some("the request is not read".to_owned());
    }
    match &answer {
        Some(Err(why)) => without_answer = Some(why.clone()),
        Some(Ok(answer)) if !is_good => {
            without_answer = None;
            parsed.exchange.outputs = invocations::error_text(answer).map(Side::same);
        }
        Some(Ok(_)) => {}
        None => without_answer = None,
    }
    if parsed.exchange.inputs.rows() == Some(0) {
        // A number was drawn: that nothing was asked is recorded.
        parsed.exchange.inputs = Side::of_rows(vec![Row::new()]);
    }
    let (model, version) = names(call, &parsed, given);
    let Parsed { exchange, subjects, .. } = parsed;
    Understood { model, version, exchange, subjects, without_request, without_answer }
}

/// A request, decoded.
fn body<'k>(kept: &'k Kept, described: &Described) -> Result<std::borrow::Cow<'k, [u8]>, String> {
    if !kept.is_whole() {
        return Err("it broke off".to_owned());
    }
    decoded(kept, described)
}

fn decoded<'k>(kept: &'k Kept, described: &Described) -> Result<std::borrow::Cow<'k, [u8]>, String> {
    decode(kept.bytes().ok_or_else(|| "it is too large".to_owned())?, &described.encodings)
}

fn parse(
    route: &Route,
    around: Around<'_>,
    (request, asked): (&[u8], &Described),
    answer: Option<(&[u8], &Described)>,
) -> Result<Parsed, Problem> {
    let bytes = answer.map(|(bytes, _)| bytes);
    let exchange = match route {
        Route::Infer => {
            let request = oip::Body { bytes: request, json_bytes: asked.json_bytes };
            let answer = answer.map(|(bytes, told)| oip::Body { bytes, json_bytes: told.json_bytes });
            oip::exchange(request, answer)?
        }
        Route::Invocations => invocations::exchange(request, &asked.content_type, bytes)?,
        Route::OpenAi(interface) => {
            let answer = answer.map(|(body, told)| Answer { body, is_stream: told.is_events() });
            openai::exchange(*interface, request, answer)?
        }
        Route::Mapped(call) => {
            let read = call.read(around, request, bytes)?;
            return Ok(Parsed { exchange: read.exchange, version: read.version, subjects: read.subjects });
        }
    };
    Ok(Parsed { exchange, version: None, subjects: Vec::new() })
}

/// One decision of which nothing is known.
fn nothing() -> Parsed {
    let exchange = Exchange {
        model: None,
        version: None,
        request_id: None,
        params: Row::new(),
        inputs: Side::of_rows(vec![Row::new()]),
        outputs: None,
        failed: false,
    };
    Parsed { exchange, version: None, subjects: Vec::new() }
}

/// The model's name and version: as the options say, else the path, else the bodies.
fn names(call: &Ended, parsed: &Parsed, given: Option<&GivenModel>) -> (String, Version) {
    let in_path = match call.asked.route {
        Route::Mapped(_) => None,
        _ => oip::model_of_path(&call.path),
    };
    let in_mapping = match &call.asked.route {
        Route::Mapped(mapped) => mapped.model().map(str::to_owned),
        _ => None,
    };
    let name = given
        .map(|given| given.name.clone())
        .or_else(|| in_path.map(|(model, _)| model.to_owned()))
        .or_else(|| parsed.exchange.model.clone())
        .or(in_mapping)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| UNKNOWN.to_owned());
    let version = given
        .and_then(|given| given.version.clone())
        .map(|version| Version::known(version, VersionFrom::Settings))
        .or_else(|| parsed.version.clone())
        .or_else(|| {
            let told = parsed.exchange.version.clone().filter(|version| !version.is_empty());
            told.map(|version| Version::known(version, VersionFrom::Answer))
        })
        .or_else(|| {
            let asked = in_path.and_then(|(_, version)| version);
            asked.map(|version| Version::known(version, VersionFrom::Request))
        })
        .unwrap_or_else(Version::unknown);
    (name, version)
}

/// How a call ended, as records say it.
pub(crate) fn status(call: &Ended, exchange: &Exchange) -> String {
    let answered = call.answered.as_ref().map(|answered| answered.status);
    match (call.how, answered) {
        (How::ClientGone, _) => "client gone".to_owned(),
        (How::Unreachable, _) => "upstream unreachable".to_owned(),
        (How::TimedOut, _) => "upstream timeout".to_owned(),
        (How::BrokeOff, _) | (How::Answered, None) => "upstream broke off".to_owned(),
        (How::Answered, Some(status)) if !(200..300).contains(&status) => format!("http {status}"),
        (How::Answered, Some(_)) if exchange.failed => "error".to_owned(),
        (How::Answered, Some(_)) => "ok".to_owned(),
    }
}
