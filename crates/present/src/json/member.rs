//! Taking objects apart: members by their names, each with the type that it has to have. Edge: general JSON,
//! nothing of records but ids and digests.

use minutebook_record::Integer;

use super::problem::{Problem, Within};
use super::tree::{Members, Tree};

/// The members of `tree` by these names, in the order of the names. One that is null is as absent.
///
/// # Errors
///
/// When it is no object, has another member, or one twice.
pub(crate) fn members<'t, 'a, const N: usize>(
    tree: &'t Tree<'a>,
    names: &[&str; N],
) -> Result<[Option<&'t Tree<'a>>; N], Problem> {
    let mut found = [None; N];
    let mut seen = [false; N];
    for (name, value) in object(tree)? {
        let Some(place) = names.iter().position(|known| known == name) else {
            return Err(Problem::new("no such member")
                .remedy(format!("known here: {}", names.join(", ")))
                .within(name));
        };
        if std::mem::replace(&mut seen[place], true) {
            return Err(twice().within(name));
        }
        found[place] = Some(value).filter(|value| !matches!(value, Tree::Null));
    }
    Ok(found)
}

pub(crate) fn twice() -> Problem {
    Problem::new("the member is there twice").remedy("write each member once")
}

fn expected(what: &str, tree: &Tree<'_>) -> Problem {
    Problem::new(format!("expected {what}, found {}", tree.name()))
}

pub(crate) fn object<'t, 'a>(tree: &'t Tree<'a>) -> Result<&'t Members<'a>, Problem> {
    match tree {
        Tree::Object(members) => Ok(members),
        other => Err(expected("an object", other)),
    }
}

pub(crate) fn array<'t, 'a>(tree: &'t Tree<'a>) -> Result<&'t [Tree<'a>], Problem> {
    match tree {
        Tree::Array(items) => Ok(items),
        other => Err(expected("an array", other)),
    }
}

pub(crate) fn text<'t>(tree: &'t Tree<'_>) -> Result<&'t str, Problem> {
    match tree {
        Tree::Text(text) => Ok(text),
        other => Err(expected("text", other)),
    }
}

/// An integer, also one that is written as `{"$integer": "…"}`.
pub(crate) fn integer(tree: &Tree<'_>) -> Result<Integer, Problem> {
    match tree {
        Tree::Integer(value) => Ok(*value),
        Tree::Object(_) => {
            let [digits] = members(tree, &["$integer"])?;
            parse_integer(text(required(digits, "$integer")?)?).within("$integer")
        }
        other => Err(expected("an integer", other)),
    }
}

pub(crate) fn parse_integer(digits: &str) -> Result<Integer, Problem> {
    let plain = digits.strip_prefix('-').unwrap_or(digits);
    if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::new("not an integer in decimal digits"));
    }
    let value = digits.parse().ok().and_then(|value| Integer::new(value).ok());
    value.ok_or_else(|| Problem::new("integer outside of -2^63 to 2^64-1"))
}

pub(crate) fn unsigned(tree: &Tree<'_>) -> Result<u64, Problem> {
    u64::try_from(integer(tree)?.get()).map_err(|_| Problem::new("expected an integer from 0 on"))
}

pub(crate) fn signed(tree: &Tree<'_>) -> Result<i64, Problem> {
    i64::try_from(integer(tree)?.get()).map_err(|_| Problem::new("expected an integer below 2^63"))
}

/// A number as a float, also one that is written as `{"$float": …}`; an integer only if a float holds it
/// exactly.
pub(crate) fn float(tree: &Tree<'_>) -> Result<f64, Problem> {
    match tree {
        Tree::Float(value) => Ok(*value),
        Tree::Integer(value) => exact_float(*value),
        Tree::Object(_) => {
            let [name] = members(tree, &["$float"])?;
            parse_float(text(required(name, "$float")?)?).within("$float")
        }
        other => Err(expected("a number", other)),
    }
}

pub(crate) fn exact_float(value: Integer) -> Result<f64, Problem> {
    let float = value.get() as f64;
    if float as i128 == value.get() {
        Ok(float)
    } else {
        Err(Problem::new("no float holds this integer exactly")
            .remedy("write it with a fraction, `.0`, if it may be rounded"))
    }
}

pub(crate) fn parse_float(name: &str) -> Result<f64, Problem> {
    match name {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => Err(Problem::new("expected \"NaN\", \"Infinity\" or \"-Infinity\"")),
    }
}

pub(crate) fn required<'t, 'a>(member: Option<&'t Tree<'a>>, name: &str) -> Result<&'t Tree<'a>, Problem> {
    member.ok_or_else(|| Problem::new(format!("member `{name}` is missing")))
}

/// A member taken with one of the functions above; its name goes into the error.
pub(crate) fn optional<'t, 'a, T>(
    member: Option<&'t Tree<'a>>,
    name: &str,
    take: impl FnOnce(&'t Tree<'a>) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    member.map(take).transpose().within(name)
}

/// Bytes of `2 * N` hex digits in either case.
pub(crate) fn hex<const N: usize>(tree: &Tree<'_>) -> Result<[u8; N], Problem> {
    unhex(text(tree)?).ok_or_else(|| Problem::new(format!("expected {} hex digits", 2 * N)))
}

/// `sha256:` and 64 hex digits.
pub(crate) fn sha256(tree: &Tree<'_>) -> Result<[u8; 32], Problem> {
    let digits = text(tree)?.strip_prefix("sha256:");
    digits.and_then(unhex).ok_or_else(|| Problem::new("expected `sha256:` and 64 hex digits"))
}

pub(crate) fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(bytes)
}
