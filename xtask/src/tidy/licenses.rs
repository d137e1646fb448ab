//! The rule about dependencies from outside: their licence and where they come from, by what `deny.toml` allows. The
//! same file serves `cargo deny check`, which also looks for advisories; this check needs nothing but Cargo.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::Table;

use super::Finding;
use super::tree::Tree;
use crate::failure::{During, Failure};

pub(super) const NAME: &str = "dependencies";
pub(super) const REASON: &str =
    "what we ship includes what we depend on: licences that deny.toml allows, from crates.io";

const POLICY: &str = "deny.toml";

/// How Cargo names crates.io, whatever mirror it is configured to use.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(tree: &Tree, metadata: &Value) -> Result<Vec<Finding>, Failure> {
    let policy = tree.files.iter().find(|file| file.path == POLICY);
    let policy = policy.ok_or_else(|| Failure::Failed(format!("there is no `{POLICY}`")))?;
    let policy: Table = policy.text.parse().during(|| format!("cannot read `{POLICY}`"))?;
    match policy.get("licenses") {
        Some(licenses) => Ok(check_packages(licenses, metadata)),
        None => Err(Failure::Failed(format!("`{POLICY}` has no section `licenses`"))),
    }
}

fn check_packages(licenses: &toml::Value, metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let allowed = names(licenses.get("allow"));
    for package in used_packages(metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let place = format!("crate {name} {}", package["version"].as_str().unwrap_or_default());
        match package["source"].as_str() {
            None => continue, // ours
            Some(CRATES_IO) => {}
            Some(source) => findings.push(Finding::new(&place, 0, format!("comes from `{source}`"))),
        }
        let mut allowed = allowed.clone();
        allowed.extend(exceptions(licenses, name));
        match package["license"].as_str() {
            None => findings.push(Finding::new(&place, 0, "states no licence")),
            Some(expression) => {
                if !is_allowed(expression, &allowed) {
                    findings.push(Finding::new(&place, 0, format!("licence `{expression}` is not allowed")));
                }
            }
        }
    }
    findings
}

/// The packages that the platform's build can use: those that Cargo resolved.
fn used_packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    let nodes = metadata["resolve"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let used: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().filter(move |package| package["id"].as_str().is_some_and(|id| used.contains(id)))
}

fn names(list: Option<&toml::Value>) -> BTreeSet<String> {
    let list = list.and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// The licences that `deny.toml` allows for one crate alone.
fn exceptions(licenses: &toml::Value, name: &str) -> BTreeSet<String> {
    let list =
        licenses.get("exceptions").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of_crate = |entry: &&toml::Value| entry.get("crate").and_then(toml::Value::as_str) == Some(name);
    list.iter().filter(of_crate).flat_map(|entry| names(entry.get("allow"))).collect()
}

/// Whether an SPDX expression can be satisfied with the allowed licences. An expression that cannot be read cannot.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // Old manifests write `MIT/Apache-2.0` for `MIT OR Apache-2.0`.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let satisfied = reader.alternatives();
    reader.words.is_empty() && satisfied == Some(true)
}

/// Reads an SPDX expression from the left, and judges it on the way. None: not an expression.
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// `a OR b`: one of them is enough.
    fn alternatives(&mut self) -> Option<bool> {
        let mut satisfied = self.together()?;
        while self.take("OR") {
            satisfied |= self.together()?;
        }
        Some(satisfied)
    }

    /// `a AND b`: both are needed. It binds tighter than `OR`.
    fn together(&mut self) -> Option<bool> {
        let mut satisfied = self.single()?;
        while self.take("AND") {
            satisfied &= self.single()?;
        }
        Some(satisfied)
    }

    fn single(&mut self) -> Option<bool> {
        if self.take("(") {
            let satisfied = self.alternatives()?;
            return self.take(")").then_some(satisfied);
        }
        let mut name = self.next()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        (!matches!(*word, "AND" | "OR" | "WITH" | "(" | ")")).then_some(*word)
    }

    fn take(&mut self, wanted: &str) -> bool {
        match self.words.split_first() {
            Some((word, rest)) if *word == wanted => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        let allowed = BTreeSet::from(allowed);
        let check = |expression: &str, expected| {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        };
        check("MIT", true);
        check("MIT OR GPL-3.0", true);
        check("GPL-3.0 OR MIT AND ISC", true);
        check("MIT/Apache-2.0", true);
        check("(MIT OR GPL-3.0) AND ISC", true);
        check("Apache-2.0 WITH LLVM-exception", true);

        check("GPL-3.0", false);
        check("MIT AND GPL-3.0", false);
        check("(GPL-3.0 OR AGPL-3.0) AND MIT", false);
        check("MIT WITH some-exception", false);
        for malformed in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "OR MIT", "WITH"] {
            check(malformed, false);
        }
    }

    fn found(license: Option<&str>, source: Option<&str>) -> Vec<String> {
        let policy =
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ allow = [\"Zlib\"], crate = \"other\" }]\n";
        let package =
            json!({ "id": "x", "name": "x", "version": "1.0.0", "license": license, "source": source });
        let metadata = json!({ "packages": [package], "resolve": { "nodes": [{ "id": "x" }] } });
        let policy: Table = policy.parse().expect("TOML");
        let findings = check_packages(&policy["licenses"], &metadata);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn packages() {
        assert_eq!(found(Some("MIT"), Some(CRATES_IO)), [""; 0]);
        assert_eq!(found(None, None), [""; 0], "our own packages");
        assert_eq!(found(Some("Zlib"), Some(CRATES_IO)), ["crate x 1.0.0: licence `Zlib` is not allowed"]);
        assert_eq!(found(None, Some(CRATES_IO)), ["crate x 1.0.0: states no licence"]);
        let git = "git+https://example.org/x";
        assert_eq!(found(Some("MIT"), Some(git)), [format!("crate x 1.0.0: comes from `{git}`")]);
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        let policy: Table =
            "[licenses]\nexceptions = [{ allow = [\"Zlib\"], crate = \"x\" }]".parse().expect("TOML");
        assert_eq!(exceptions(&policy["licenses"], "x"), BTreeSet::from(["Zlib".to_owned()]));
        assert_eq!(exceptions(&policy["licenses"], "y"), BTreeSet::new());
    }
}
