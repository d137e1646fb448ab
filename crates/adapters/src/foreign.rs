//! JSON of others as values of records: what JSON allows and records do not is settled here, so that nothing of it is refused. Edge: values; which
//! field they belong to is for whoever reads the form.

use std::borrow::Cow;

use minutebook_present::json::{Members, Tree};

use crate::limits::NESTING_MAX;

/// A value as it stands, borrowing nothing. Objects with names that begin with `$` stay maps, of a name that is there twice the last one counts, as
/// with most readers of JSON, and what is deeper than [`NESTING_MAX`] becomes its JSON as text.
pub fn value(tree: &Tree<'_>) -> Tree<'static> {
    deep(tree, NESTING_MAX)
}

/// The members of an object as [`value`]s; nothing of anything else. Their own names may begin with `$`.
pub fn members(tree: &Tree<'_>) -> Members<'static> {
    match tree {
        Tree::Object(members) => last_of_each(members)
            .map(|(name, value)| (Cow::Owned(name.to_string()), deep(value, NESTING_MAX)))
            .collect(),
        _ => Vec::new(),
    }
}

fn deep(tree: &Tree<'_>, left: usize) -> Tree<'static> {
    match tree {
        Tree::Array(_) | Tree::Object(_) if left == 0 => {
            // A tree is JSON, whatever it holds.
            Tree::Text(serde_json::to_string(tree).unwrap_or_default().into())
        }
        Tree::Array(items) => Tree::Array(items.iter().map(|item| deep(item, left - 1)).collect()),
        Tree::Object(members) => {
            let found: Members<'static> = last_of_each(members)
                .map(|(name, value)| (Cow::Owned(name.to_string()), deep(value, left - 1)))
                .collect();
            if found.iter().any(|(name, _)| name.starts_with('$')) {
                object("$map", Tree::Object(found))
            } else {
                Tree::Object(found)
            }
        }
        scalar => scalar.clone().into_owned(),
    }
}

/// Each name once, in the order in which they came first.
fn last_of_each<'t, 'a>(members: &'t Members<'a>) -> impl Iterator<Item = (&'t str, &'t Tree<'a>)> {
    let mut places = std::collections::HashMap::with_capacity(members.len());
    let mut found: Vec<(&str, &Tree<'a>)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        let place = *places.entry(&**name).or_insert(found.len());
        match found.get_mut(place) {
            Some(before) => before.1 = value,
            None => found.push((name, value)),
        }
    }
    found.into_iter()
}

/// The member of this name, the last one of several; null is as absent.
pub fn get<'t, 'a>(tree: &'t Tree<'a>, name: &str) -> Option<&'t Tree<'a>> {
    let Tree::Object(members) = tree else { return None };
    let (_, value) = members.iter().rev().find(|(found, _)| found == name)?;
    Some(value).filter(|value| !matches!(value, Tree::Null))
}

/// The text of the member of this name.
pub fn text<'t>(tree: &'t Tree<'_>, name: &str) -> Option<&'t str> {
    match get(tree, name)? {
        Tree::Text(text) => Some(text),
        _ => None,
    }
}

/// A float, also one that JSON lacks.
pub fn float(value: f64) -> Tree<'static> {
    let name = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        value => return Tree::Float(value),
    };
    object("$float", Tree::Text(name.into()))
}

/// An object with one member.
pub(crate) fn object(name: &'static str, value: Tree<'static>) -> Tree<'static> {
    Tree::Object(vec![(Cow::Borrowed(name), value)])
}

/// A text.
pub(crate) fn owned(text: impl Into<String>) -> Tree<'static> {
    Tree::Text(Cow::Owned(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let tree = Tree::parse(json.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&value(&tree)).unwrap(), expected);
    }

    #[test]
    fn what_json_allows_and_records_do_not_is_settled() {
        check(r#"{"a": 1, "b": [null, 2.5], "a": 3}"#, r#"{"a":3,"b":[null,2.5]}"#);
        check(r#"{"$ref": "x", "y": 1}"#, r#"{"$map":{"$ref":"x","y":1}}"#);
        check(r#"[{"$ref": {"$defs": 1}}]"#, r#"[{"$map":{"$ref":{"$map":{"$defs":1}}}}]"#);
        let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        let kept = format!("{}\"{}1{}\"{}", "[".repeat(12), "[".repeat(8), "]".repeat(8), "]".repeat(12));
        check(&deep, &kept);
    }
}
