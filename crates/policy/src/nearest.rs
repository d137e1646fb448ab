//! Names that somebody may have meant.

use crate::limits::PROPOSALS_MAX;

/// The known names nearest to `wanted`, as a half sentence with `root` before each; empty when none is near.
pub fn proposal<'a>(root: &str, wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = wanted.chars().count().div_ceil(3).max(1);
    let mut found: Vec<(usize, &str)> = known
        .map(|name| {
            let (name_lower, wanted) = (name.to_lowercase(), wanted.to_lowercase());
            // Who remembers how it begins is near.
            let near = if name_lower.starts_with(&wanted) { near } else { usize::MAX };
            (distance(&wanted, &name_lower).min(near), name)
        })
        .filter(|(distance, _)| *distance <= near)
        .collect();
    found.sort_unstable();
    found.dedup();
    let names: Vec<String> =
        found.iter().take(PROPOSALS_MAX).map(|(_, name)| format!("`{root}{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(": did you mean {}?", names.join(" or ")) }
}

/// How many characters have to be put in, taken out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_proposed() {
        let known = ["amount", "age", "account", "purpose"];
        assert_eq!(proposal("", "amuont", known.into_iter()), ": did you mean `amount`?");
        assert_eq!(proposal("", "colour", known.into_iter()), "");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
