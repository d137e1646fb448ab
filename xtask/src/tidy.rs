//! `cargo xtask tidy`: rules that a machine can check. Each says why it is there, and has a test that shows it failing.
//!
//! An exception is written into the rule, with its reason: there is no marker that switches a rule off from outside.

mod crates;
mod licenses;
mod manuals;
mod places;
mod sources;
mod tree;

use std::fmt;

use crate::failure::{During, Failure};
use crate::workspace::Workspace;
use tree::Tree;

/// A rule over the files of the repository.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    reason: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 when the finding is about the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("`tidy` takes no argument, but got `{argument}`")));
    }
    let tree = Tree::read(&workspace.root)?;
    let host = host_triple()?;
    let metadata = workspace.metadata(&["--filter-platform", &host])?;

    let mut broken = 0;
    let rules = [sources::RULES, manuals::RULES, places::RULES].concat();
    for rule in &rules {
        broken += report(rule.name, rule.reason, &(rule.check)(&tree));
    }
    broken += report(crates::NAME, crates::REASON, &crates::check(&metadata));
    broken += report(licenses::NAME, licenses::REASON, &licenses::check(&tree, &metadata)?);

    if broken == 0 {
        eprintln!("{} files keep {} rules", tree.files.len(), rules.len() + 2);
        Ok(())
    } else {
        Err(Failure::Failed(format!("tidy: {broken} findings")))
    }
}

/// Says what a rule found, and how much that is.
fn report(name: &str, reason: &str, findings: &[Finding]) -> usize {
    for finding in findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        eprintln!("  rule {name}: {reason}\n");
    }
    findings.len()
}

/// The platform that we build for: the dependencies of others need not be there.
fn host_triple() -> Result<String, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        std::process::Command::new(rustc).arg("-vV").output().during(|| "cannot start `rustc`".into())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => Err(Failure::Failed("`rustc -vV` names no host".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text` in which `rule` finds something, as if the text stood at `path`.
    pub(super) fn lines(rules: &[Rule], rule: &str, path: &str, text: &str) -> Vec<usize> {
        let rule =
            rules.iter().find(|known| known.name == rule).unwrap_or_else(|| panic!("no rule `{rule}`"));
        let findings = (rule.check)(&Tree::of(&[(path, text)]));
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_finding_is_printed_as_editors_read_it() {
        assert_eq!(Finding::new("a/b.rs", 3, "wrong").to_string(), "a/b.rs:3: wrong");
        assert_eq!(Finding::new("a/b.rs", 0, "wrong").to_string(), "a/b.rs: wrong");
    }

    #[test]
    fn rules_have_different_names_and_a_reason() {
        let rules = [sources::RULES, manuals::RULES, places::RULES].concat();
        let mut names: Vec<_> = rules.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rules.len());
        assert!(rules.iter().all(|rule| !rule.reason.is_empty()));
    }
}
