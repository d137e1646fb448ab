//! SageMaker's data capture: a line has a call, its input and output as text in some encoding. Edge: one line.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_present::json::{Problem, Tree};

use super::{call_id, environment, time_ns};
use crate::exchange::{Call, Exchange, Row, Side, Version};
use crate::foreign::{self, owned};
use crate::payload;

pub(super) fn call(line: &Tree<'_>) -> Result<(Call, Exchange), Problem> {
    let missing =
        |name: &'static str| Problem::new(format!("`{name}` is missing: this is no line of a data capture"));
    let capture = foreign::get(line, "captureData").ok_or_else(|| missing("captureData"))?;
    let about = foreign::get(line, "eventMetadata").ok_or_else(|| missing("eventMetadata"))?;
    let event = foreign::text(about, "eventId").ok_or_else(|| missing("eventId"))?;
    let side = |name: &str| {
        foreign::get(capture, name).map(content).transpose().map_err(|problem| problem.within(name))
    };
    let (input, output) = (side("endpointInput")?, side("endpointOutput")?);
    if input.is_none() && output.is_none() {
        return Err(missing("endpointInput"));
    }
    let mut call = Call::new("unknown", Version::unknown(), call_id(event));
    let time = foreign::text(about, "inferenceTime").ok_or_else(|| missing("inferenceTime"))?;
    call.time_ns =
        Some(time_ns(time).ok_or_else(|| Problem::new("not a time as in RFC 3339").within("inferenceTime"))?);
    if input.is_none() {
        call.status = Some("no request".to_owned());
    }
    let text = |name: &str| foreign::text(about, name).map(str::to_owned);
    call.environment = environment(
        "SageMaker",
        [("event_id", Some(event.to_owned())), ("inference_id", text("inferenceId"))],
    );
    if let Some(attributes) = foreign::get(about, "customAttributes") {
        call.environment.push(("custom_attributes".into(), foreign::value(attributes)));
    }
    Ok((call, exchange(input.as_ref(), output.as_ref())))
}

/// What one side holds.
enum Content {
    /// Rows of cells.
    Csv(Vec<Vec<Tree<'static>>>),
    Bytes(Vec<u8>),
}

impl Content {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Csv(_) => None,
        }
    }
}

fn content(side: &Tree<'_>) -> Result<Content, Problem> {
    let data = foreign::text(side, "data").ok_or_else(|| Problem::new("`data` is missing, or no text"))?;
    let bytes = match foreign::text(side, "encoding").unwrap_or_default() {
        "BASE64" => BASE64.decode(data).map_err(|_| Problem::new("not base64").within("data"))?,
        _ => data.as_bytes().to_vec(),
    };
    let is_csv = foreign::text(side, "encoding") == Some("CSV")
        || foreign::text(side, "observedContentType")
            .is_some_and(|media_type| media_type.starts_with("text/csv"));
    let rows = std::str::from_utf8(&bytes).ok().filter(|_| is_csv).map(csv);
    Ok(rows.filter(|rows| !rows.is_empty()).map_or(Content::Bytes(bytes), Content::Csv))
}

/// Lines of cells with commas; a cell in quotes may have commas, and quotes when they are doubled (RFC 4180).
fn csv(text: &str) -> Vec<Vec<Tree<'static>>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(cells).collect()
}

fn cells(line: &str) -> Vec<Tree<'static>> {
    let (mut found, mut cell, mut quoted, mut was_quoted) = (Vec::new(), String::new(), false, false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted || cell.trim().is_empty() => (quoted, was_quoted) = (!quoted, true),
            ',' if !quoted => found.push(value(&std::mem::take(&mut cell), std::mem::take(&mut was_quoted))),
            other => cell.push(other),
        }
    }
    found.push(value(&cell, was_quoted));
    found
}

/// A cell that is not in quotes: nothing, a number, or text. All numbers are floats: a column has one type, however its cells are written.
fn value(cell: &str, was_quoted: bool) -> Tree<'static> {
    let bare = cell.trim();
    if was_quoted {
        return owned(cell);
    }
    if bare.is_empty() {
        return Tree::Null;
    }
    match bare.parse::<f64>() {
        Ok(number) if bare.bytes().any(|byte| byte.is_ascii_digit()) => foreign::float(number),
        _ => owned(bare),
    }
}

fn exchange(input: Option<&Content>, output: Option<&Content>) -> Exchange {
    let Some(Content::Csv(inputs)) = input else {
        let of_bytes = payload::exchange(input.and_then(Content::bytes), output.and_then(Content::bytes));
        return match (output, of_bytes.inputs.rows()) {
            (Some(Content::Csv(outputs)), Some(rows)) => {
                Exchange { outputs: Some(outputs_of(outputs, rows)), failed: false, ..of_bytes }
            }
            _ => of_bytes,
        };
    };
    let rows = inputs.len();
    let outputs = output.map(|output| match output {
        Content::Csv(outputs) => outputs_of(outputs, rows),
        Content::Bytes(bytes) => of_json(bytes, rows),
    });
    let inputs = inputs.iter().map(|cells| row(cells, "x")).collect();
    let nothing = payload::too_large(None, None);
    Exchange { inputs: Side::of_rows(inputs), outputs, ..nothing }
}

/// A line for each row, or a cell for each, or else what there is for every row.
fn outputs_of(outputs: &[Vec<Tree<'static>>], rows: usize) -> Side {
    match outputs {
        lines if lines.len() == rows => Side::of_rows(lines.iter().map(|cells| row(cells, "y")).collect()),
        [cells] if cells.len() == rows => {
            Side::of_rows(cells.iter().map(|cell| vec![(Cow::Borrowed("y"), cell.clone())]).collect())
        }
        lines => {
            let all = lines.iter().map(|cells| Tree::Array(cells.clone())).collect();
            Side::same(vec![(Cow::Borrowed("of_all_rows"), Tree::Array(all))])
        }
    }
}

/// `{"predictions": […]}` or an array, with an item for each row; or else what there is for every row.
fn of_json(bytes: &[u8], rows: usize) -> Side {
    if let Ok(tree) = Tree::parse(bytes) {
        let items = foreign::get(&tree, "predictions").unwrap_or(&tree);
        if let Tree::Array(items) = items
            && items.len() == rows
        {
            return Side::of_rows(items.iter().map(|item| payload::row(item, "y")).collect());
        }
    }
    let whole = payload::exchange(Some(bytes), None);
    Side::same(vec![(Cow::Borrowed("of_all_rows"), Tree::Object(whole.inputs.row(0)))])
}

/// One cell under the name alone, several with their numbers.
fn row(cells: &[Tree<'static>], name: &'static str) -> Row {
    match cells {
        [cell] if name == "y" => vec![(Cow::Borrowed(name), cell.clone())],
        cells => {
            let named =
                |(place, cell): (usize, &Tree<'static>)| (Cow::Owned(format!("{name}{place}")), cell.clone());
            cells.iter().enumerate().map(named).collect()
        }
    }
}
