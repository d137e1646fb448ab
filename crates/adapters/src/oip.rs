//! Open Inference Protocol v2 (KServe, MLServer, Triton): a request to infer and its answer, with the binary tensor extension. Edge: their bodies
//! and paths; who sent them, and when, is the caller's.

use minutebook_present::json::{Members, Problem, Tree};

use crate::columns::{self, Columns, Which, error_row};
use crate::exchange::{Content, Exchange, Side};
use crate::foreign;

/// A body of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// How much of that is JSON: the header `Inference-Header-Content-Length`. Without it all is.
    pub json_bytes: Option<usize>,
}

impl<'a> Body<'a> {
    /// A body that is JSON.
    pub fn json(bytes: &'a [u8]) -> Self {
        Self { bytes, json_bytes: None }
    }

    /// The JSON, and what is behind it.
    fn parts(self) -> Result<(Tree<'a>, &'a [u8]), Problem> {
        let json_bytes = self.json_bytes.unwrap_or(self.bytes.len());
        let parts = self.bytes.split_at_checked(json_bytes);
        let (json, binary) = parts.ok_or_else(|| {
            Problem::new("the body is shorter than `Inference-Header-Content-Length` says it is")
        })?;
        Ok((Tree::parse(json)?, binary))
    }
}

/// Reads a request and, when there is one, its answer.
///
/// One record is to be made of each row: where all tensors, those of the answer too, have the same first dimension, each of its places is a row; else
/// the call is one row with whole tensors. A row's part of a tensor is a field of the tensor's name, with its type. A matrix of 2 to 256 columns is a
/// field for each column: `x0`, `x1` … when it is all that went in, else `NAME_0`, `NAME_1` …
///
/// # Errors
/// What is not of the protocol, and where; or more rows than are read.
pub fn exchange(request: Body<'_>, answer: Option<Body<'_>>) -> Result<Exchange, Problem> {
    let (request, mut binary) = request.parts().map_err(|problem| problem.within("request"))?;
    let inputs = columns::tensors(Which::Inputs, &request, &mut binary)
        .map_err(|problem| problem.within("request"))?;
    let answer = match answer {
        Some(body) => Some(read_answer(body).map_err(|problem| problem.within("answer"))?),
        None => None,
    };
    let of_answer = answer.iter().flat_map(|answer| &answer.outputs);
    let rows = columns::batch(inputs.iter().chain(of_answer));
    let inputs = Columns::cut(Which::Inputs, inputs, rows)?;
    let mut exchange = Exchange {
        model: None,
        version: None,
        request_id: foreign::text(&request, "id").map(str::to_owned),
        params: parameters(&request),
        inputs: Side(Content::Columns(inputs)),
        outputs: None,
        failed: false,
    };
    if let Some(answer) = answer {
        exchange.model = answer.model;
        exchange.version = answer.version;
        exchange.request_id = exchange.request_id.or(answer.id);
        exchange.failed = answer.error.is_some();
        exchange.outputs = Some(match answer.error {
            Some(error) => Side::same(error_row(&error)),
            None => Side(Content::Columns(Columns::cut(Which::Outputs, answer.outputs, rows)?)),
        });
    }
    Ok(exchange)
}

/// Whether a body is a request of this protocol, rather than one of the first version.
pub fn is_request(body: &Tree<'_>) -> bool {
    let Some(Tree::Array(inputs)) = foreign::get(body, "inputs") else { return false };
    inputs.first().is_some_and(|first| foreign::get(first, "datatype").is_some())
}

struct Answer {
    model: Option<String>,
    version: Option<String>,
    id: Option<String>,
    outputs: Vec<crate::tensor::Tensor>,
    error: Option<String>,
}

fn read_answer(body: Body<'_>) -> Result<Answer, Problem> {
    let (answer, mut binary) = body.parts()?;
    let named = |name| foreign::text(&answer, name).filter(|text| !text.is_empty()).map(str::to_owned);
    let error = foreign::get(&answer, "error").map(|error| match error {
        Tree::Text(text) => text.to_string(),
        other => serde_json::to_string(other).unwrap_or_default(),
    });
    let outputs = match error {
        Some(_) => Vec::new(),
        None => columns::tensors(Which::Outputs, &answer, &mut binary)?,
    };
    Ok(Answer {
        model: named("model_name"),
        version: named("model_version"),
        id: named("id"),
        outputs,
        error,
    })
}

/// Those that say what to compute. What says how to send it is left out, and so are the headers of the request, which some servers put here: keys and
/// cookies are among them.
const NOT_PARAMETERS: [&str; 4] = ["headers", "binary_data_output", "binary_data_size", "content_type"];

fn parameters(request: &Tree<'_>) -> Members<'static> {
    let mut found = foreign::get(request, "parameters").map(foreign::members).unwrap_or_default();
    found.retain(|(name, _)| !NOT_PARAMETERS.contains(&&**name));
    found
}

/// The model that a path asks, and its version where the path has one: `…/v2/models/NAME[/versions/VERSION]/infer` of this protocol,
/// `…/v1/models/NAME:predict` and `:explain` of the first one. As written: what is percent-encoded stays so.
pub fn model_of_path(path: &str) -> Option<(&str, Option<&str>)> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match *parts.as_slice() {
        [.., "v2", "models", model, "infer"] => Some((model, None)),
        [.., "v2", "models", model, "versions", version, "infer"] => Some((model, Some(version))),
        [.., "v1", "models", last] => {
            last.strip_suffix(":predict").or_else(|| last.strip_suffix(":explain")).map(|model| (model, None))
        }
        _ => None,
    }
    .filter(|(model, version)| !model.is_empty() && version.is_none_or(|version| !version.is_empty()))
}

#[cfg(test)]
mod tests;
