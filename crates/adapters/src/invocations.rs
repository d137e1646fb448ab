//! `/invocations`, as MLflow's scoring server and those that speak like it take it: data frames, rows and columns in JSON, or CSV; a decision for
//! each row. Edge: bodies; the model's name is not in them.

mod csv;

use std::borrow::Cow;

use minutebook_present::json::{Members, Problem, Tree};

use crate::columns::error_row;
use crate::exchange::{Exchange, Row, Side};
use crate::foreign::{self, get, text};
use crate::limits::{COLUMNS_MAX, ROWS_MAX};

/// The name of an output that has none.
const PREDICTION: &str = "prediction";

/// Reads a request and, when there is one, its answer.
///
/// The forms are `dataframe_split`, `dataframe_records`, `instances`, `inputs` and CSV with a header. An object of another form is one row. A row
/// that is a list of 2 to 256 scalars is fields `x0`, `x1` …, any other that is no object is the field `x0`. An answer has `predictions`, or is a
/// list: as many as there are rows, or columns of as many.
///
/// # Errors
/// What cannot be read as one of the forms, and where; or more rows than are read.
pub fn exchange(request: &[u8], content_type: &str, answer: Option<&[u8]>) -> Result<Exchange, Problem> {
    let within = |problem: Problem| problem.within("request");
    let (rows, params) = if is_csv(content_type) {
        (csv::rows(request).map_err(within)?, Members::new())
    } else {
        let request = Tree::parse(request).map_err(within)?;
        (rows(&request).map_err(within)?, get(&request, "params").map(foreign::members).unwrap_or_default())
    };
    let answer = answer.map(Tree::parse).transpose().map_err(|problem| problem.within("answer"))?;
    let failed = answer.as_ref().is_some_and(|answer| get(answer, "error_code").is_some());
    let outputs = answer.map(|answer| match failed {
        true => Side::same(error_row(text(&answer, "message").unwrap_or_default())),
        false => Side::of_rows(predictions(&answer, rows.len())),
    });
    Ok(Exchange {
        model: None,
        version: None,
        request_id: None,
        params,
        inputs: Side::of_rows(rows),
        outputs,
        failed,
    })
}

fn is_csv(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("text/csv") || media_type.eq_ignore_ascii_case("application/csv")
}

/// A request has more rows than become decisions.
pub(crate) fn too_many(rows: usize) -> Problem {
    let what = format!("{rows} rows in one call, and at most {ROWS_MAX} are read");
    Problem::new(what).remedy("record such batches with `minutebook import`")
}

fn bounded(rows: usize) -> Result<usize, Problem> {
    if rows > ROWS_MAX { Err(too_many(rows)) } else { Ok(rows) }
}

fn rows(request: &Tree<'_>) -> Result<Vec<Row>, Problem> {
    if let Some(split) = get(request, "dataframe_split") {
        return of_split(split).map_err(|problem| problem.within("dataframe_split"));
    }
    if let Some(records) = get(request, "dataframe_records") {
        return of_list(records).map_err(|problem| problem.within("dataframe_records"));
    }
    if let Some(instances) = get(request, "instances") {
        return of_list(instances).map_err(|problem| problem.within("instances"));
    }
    if let Some(inputs) = get(request, "inputs") {
        return of_inputs(inputs).map_err(|problem| problem.within("inputs"));
    }
    match request {
        Tree::Array(_) => of_list(request),
        Tree::Object(_) => {
            let mut row = foreign::members(request);
            row.retain(|(name, _)| name != "params");
            Ok(vec![row])
        }
        _ => Err(Problem::new("expected an object or an array")),
    }
}

fn of_split(split: &Tree<'_>) -> Result<Vec<Row>, Problem> {
    let Some(Tree::Array(data)) = get(split, "data") else {
        return Err(Problem::new("expected an array").within("data"));
    };
    bounded(data.len())?;
    let names: Option<Vec<String>> = match get(split, "columns") {
        Some(Tree::Array(columns)) => Some(columns.iter().map(column_name).collect()),
        _ => None,
    };
    let Some(names) = names else { return of_list(&Tree::Array(data.clone())) };
    data.iter()
        .enumerate()
        .map(|(at, cells)| match cells {
            Tree::Array(cells) if cells.len() == names.len() => Ok(names
                .iter()
                .zip(cells)
                .map(|(name, cell)| (Cow::Owned(name.clone()), foreign::value(cell)))
                .collect()),
            _ => Err(Problem::new("expected as many cells as there are columns")
                .within_item(at)
                .within("data")),
        })
        .collect()
}

/// The name of a column: one of several levels is an array, one of an array without names a number.
fn column_name(name: &Tree<'_>) -> String {
    match name {
        Tree::Text(name) => name.to_string(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

fn of_list(list: &Tree<'_>) -> Result<Vec<Row>, Problem> {
    let Tree::Array(items) = list else { return Err(Problem::new("expected an array")) };
    bounded(items.len())?;
    Ok(items.iter().map(|item| row(item, "x")).collect())
}

/// A row by its form; fields without names begin with this letter.
fn row(item: &Tree<'_>, letter: &str) -> Row {
    let scalar = |cell: &Tree<'_>| !matches!(cell, Tree::Array(_) | Tree::Object(_));
    match item {
        Tree::Object(_) => foreign::members(item),
        Tree::Array(cells) if (2..=COLUMNS_MAX).contains(&cells.len()) && cells.iter().all(scalar) => {
            let named = |(at, cell)| (Cow::Owned(format!("{letter}{at}")), foreign::value(cell));
            cells.iter().enumerate().map(named).collect()
        }
        other => vec![(Cow::Owned(format!("{letter}0")), foreign::value(other))],
    }
}

/// `inputs`: columns of equal length, a list of rows, or one value.
fn of_inputs(inputs: &Tree<'_>) -> Result<Vec<Row>, Problem> {
    match inputs {
        Tree::Array(_) => of_list(inputs),
        Tree::Object(_) => match columns(inputs, None) {
            Some(rows) => {
                bounded(rows.len())?;
                Ok(rows)
            }
            None => Ok(vec![foreign::members(inputs)]),
        },
        other => Ok(vec![row(other, "x")]),
    }
}

/// The rows of columns that are lists of one length, which is `wanted` if that is given. No more than [`ROWS_MAX`] and one are made.
fn columns(tree: &Tree<'_>, wanted: Option<usize>) -> Option<Vec<Row>> {
    let Tree::Object(members) = tree else { return None };
    let lists: Vec<(&str, &[Tree<'_>])> = members
        .iter()
        .map(|(name, value)| match value {
            Tree::Array(items) => Some((&**name, items.as_slice())),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let length = lists.first()?.1.len();
    if lists.iter().any(|(_, items)| items.len() != length) || wanted.is_some_and(|wanted| wanted != length) {
        return None;
    }
    let of = |at: usize| {
        lists
            .iter()
            .map(|(name, items)| (Cow::Owned((*name).to_owned()), foreign::value(&items[at])))
            .collect()
    };
    Some((0..length.min(ROWS_MAX + 1)).map(of).collect())
}

/// What was predicted for each row. Predictions that are not one for each row stand in the first one.
fn predictions(answer: &Tree<'_>, rows: usize) -> Vec<Row> {
    let found = match answer {
        Tree::Array(_) => answer,
        other => match get(other, "predictions") {
            Some(found) => found,
            // A whole object, such as that of a model that talks.
            None => return alone(foreign::members(other), rows),
        },
    };
    match found {
        Tree::Array(items) if items.len() == rows => items.iter().map(predicted).collect(),
        Tree::Object(_) if rows != 1 || columns(found, Some(1)).is_some() => columns(found, Some(rows))
            .unwrap_or_else(|| alone(vec![("predictions".into(), foreign::value(found))], rows)),
        Tree::Object(_) => vec![foreign::members(found)],
        other if rows == 1 => vec![predicted(other)],
        other => alone(vec![("predictions".into(), foreign::value(other))], rows),
    }
}

fn predicted(item: &Tree<'_>) -> Row {
    match item {
        Tree::Object(_) => foreign::members(item),
        other => vec![(Cow::Borrowed(PREDICTION), foreign::value(other))],
    }
}

fn alone(row: Row, rows: usize) -> Vec<Row> {
    let mut all = vec![Row::new(); rows.max(1)];
    all[0] = row;
    all
}

/// What says that a request failed, in the words of whoever refused it: `message`, `error`, `detail` or `title` of an answer, whatever its form.
pub fn error_text(answer: &[u8]) -> Option<Row> {
    let answer = Tree::parse(answer).ok()?;
    let said = ["message", "error", "detail", "title"].into_iter().find_map(|name| get(&answer, name))?;
    Some(match (said, text(said, "message")) {
        (Tree::Text(words), _) => error_row(words),
        (_, Some(words)) => error_row(words),
        (other, None) => vec![(Cow::Borrowed("error"), foreign::value(other))],
    })
}

#[cfg(test)]
mod tests;
