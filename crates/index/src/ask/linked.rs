//! What later records say of a decision: `reviewed`, `overridden`, `explained`, and the fields of its latest outcome, review and replay.
//! Edge: SQL text.

use std::collections::BTreeSet;

use super::question::quoted;
use super::session::WHOLE;
use crate::state::State;
use crate::table::TableId;

/// Kinds whose fields are joined onto the decision that they link to.
const KINDS: [&str; 3] = ["outcome", "review", "replay"];

/// Columns that say whether there is such a record.
const WHETHER: [(&str, &str); 4] = [
    ("reviewed", "kind = 'review'"),
    ("overridden", "kind = 'review' AND \"review.action\" = 'overridden'"),
    ("explained", "kind = 'explanation'"),
    ("replayed", "kind = 'replay'"),
];

/// Names that can be asked for of linked records.
pub fn names(state: &State) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = WHETHER.iter().map(|(name, _)| (*name).to_owned()).collect();
    if let Some(links) = state.tables.get(&TableId::Links) {
        let of_kind = |name: &&str| KINDS.iter().any(|kind| is_of(kind, name));
        names.extend(
            links.columns.iter().map(|column| column.name.as_str()).filter(of_kind).map(str::to_owned),
        );
    }
    names
}

/// Whether a name is one of a linked record, there or not.
pub fn is_linked(name: &str) -> bool {
    WHETHER.iter().any(|(whether, _)| *whether == name) || KINDS.iter().any(|kind| is_of(kind, name))
}

fn is_of(kind: &str, name: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'))
}

/// A table of these columns, one row for each record that is linked to, named by `_target`; of links up to an id when one is given.
pub fn table(state: &State, wanted: &BTreeSet<String>, up_to: Option<&str>) -> String {
    let has_action =
        state.tables.get(&TableId::Links).is_some_and(|table| table.column("review.action").is_some());
    let mut columns = vec!["target AS \"_target\"".to_owned()];
    for name in wanted {
        if let Some((_, condition)) = WHETHER.iter().find(|(whether, _)| whether == name) {
            let condition = if *name == "overridden" && !has_action { "false" } else { *condition };
            columns.push(format!("bool_or({condition}) AS {}", quoted(name)));
        } else if let Some(kind) = KINDS.iter().find(|kind| is_of(kind, name)) {
            let column = quoted(name);
            columns.push(format!(
                "last_value({column} ORDER BY time, id) FILTER (WHERE kind = '{kind}' AND {column} IS NOT NULL) AS {column}"
            ));
        }
    }
    let within = up_to.map(|id| format!(" AND id < '{id}'")).unwrap_or_default();
    format!(
        "SELECT {} FROM {WHOLE}.links WHERE target IS NOT NULL{within} GROUP BY target",
        columns.join(", ")
    )
}

/// How a column is taken over: what says whether is false where there is no link.
pub fn taken(name: &str) -> String {
    let column = quoted(name);
    if WHETHER.iter().any(|(whether, _)| *whether == name) {
        format!("COALESCE(l.{column}, false) AS {column}")
    } else {
        format!("l.{column} AS {column}")
    }
}
