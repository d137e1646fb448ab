//! Rules about source files: their size, their opening, their names, and what stays out of them.

use super::tree::{File, Tree};
use super::{Finding, Rule};

const FILE_LINES_MAX: usize = 800;
/// rustfmt wraps code at 110; this is for what it leaves alone: comments, messages, SQL.
const LINE_COLUMNS_MAX: usize = 150;

/// Names that say that the idea of a file has not been found.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

/// Macros of unfinished work or of output, which belongs to the program and not to a library.
const UNWANTED_MACROS: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "println!", "print!"];

/// What a person writes, as opposed to test vectors and recorded outputs, which keep their bytes.
const WRITTEN: [&str; 8] = ["css", "md", "py", "rs", "sh", "sql", "toml", "yml"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "macros",
        reason: "a library neither prints nor gives up half way; printing belongs to crates/cli",
        check: unwanted_macros,
    },
    Rule {
        name: "opening",
        reason: "who opens a file first wants to know what it is for and where it ends: `//!`, one or two sentences",
        check: opening,
    },
    Rule {
        name: "file-length",
        reason: "a file of more than 800 lines holds two ideas: split it, tests into a sibling `tests.rs`",
        check: file_length,
    },
    Rule {
        name: "line-length",
        reason: "rustfmt wraps code; a comment or message beyond 150 columns is for nobody to read in one look",
        check: line_length,
    },
    Rule {
        name: "blanks",
        reason: "blanks at the end of a line, and a missing end of the last line, make differences that nobody meant",
        check: trailing_blanks,
    },
    Rule {
        name: "ignore-reason",
        reason: "a test that does not run says why: `#[ignore = \"…\"]`",
        check: ignore_without_reason,
    },
    Rule {
        name: "names",
        reason: "a file is called after a thing of the domain; these names fit anything",
        check: empty_names,
    },
    Rule {
        name: "limits",
        reason: "nobody dares to change a bound without a reason: give each a doc comment with unit and why",
        check: limits_without_reason,
    },
    Rule {
        name: "lints",
        reason: "the lints of the workspace hold only for a package that asks for them",
        check: lints_not_inherited,
    },
];

fn unwanted_macros(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs").filter(|file| is_library(file)) {
        for (number, line) in file.lines() {
            let code = without_comment(line);
            for name in UNWANTED_MACROS {
                if calls(code, name) {
                    findings.push(Finding::new(&file.path, number, format!("`{name}` in a library")));
                }
            }
        }
    }
    findings
}

fn is_library(file: &File) -> bool {
    file.path.starts_with("crates/")
        && !file.path.starts_with("crates/cli/")
        && !file.path.contains("/src/bin/")
        && !file.path.contains("/examples/")
        && !file.is_test_bench_or_build()
}

/// Whether `name` stands in `code` as a word of its own: `eprintln!` is not `println!`.
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The line up to `//`. A `//` within a string cuts too much, which can only hide a finding behind a URL.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn opening(tree: &Tree) -> Vec<Finding> {
    let open = |file: &&File| !file.is_test_bench_or_build() && !file.text.starts_with("//! ");
    let finding = |file: &File| Finding::new(&file.path, 1, "does not begin with a `//!` sentence");
    tree.with_extension("rs").filter(open).map(finding).collect()
}

fn file_length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        let lines = file.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(Finding::new(&file.path, 0, format!("{lines} lines, more than {FILE_LINES_MAX}")));
        }
    }
    findings
}

fn line_length(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs").chain(tree.with_extension("py")) {
        for (number, line) in file.lines() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                let message = format!("{columns} columns, more than {LINE_COLUMNS_MAX}");
                findings.push(Finding::new(&file.path, number, message));
            }
        }
    }
    findings
}

fn trailing_blanks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| WRITTEN.contains(&file.extension()) || file.path == ".ci/run")
    {
        for (index, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(&file.path, index + 1, "blanks at the end of the line"));
            }
        }
        if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
            let message = "does not end with one end of line";
            findings.push(Finding::new(&file.path, file.lines().count(), message));
        }
    }
    findings
}

fn ignore_without_reason(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        for (number, line) in file.lines() {
            if without_comment(line).trim() == "#[ignore]" {
                findings.push(Finding::new(&file.path, number, "`#[ignore]` without a reason"));
            }
        }
    }
    findings
}

fn empty_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in &tree.paths {
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split('.').next().unwrap_or(name);
        if EMPTY_NAMES.contains(&stem) {
            findings.push(Finding::new(path, 0, "the name says nothing about what is inside"));
        }
    }
    findings
}

fn limits_without_reason(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs").filter(|file| file.name() == "limits.rs") {
        let mut documented = false;
        for (number, line) in file.lines() {
            let line = line.trim_start();
            if line.starts_with("///") {
                documented = true;
            } else if is_constant(line) {
                if !documented {
                    findings.push(Finding::new(&file.path, number, "a limit without a doc comment"));
                }
                documented = false;
            } else if !line.starts_with("#[") {
                documented = false;
            }
        }
    }
    findings
}

fn is_constant(line: &str) -> bool {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or(rest, |(_, rest)| rest),
        Some(rest) => rest,
        None => line,
    };
    let line = line.trim_start();
    line.starts_with("const ") && !line.starts_with("const fn ") && !line.starts_with("const _")
}

fn lints_not_inherited(tree: &Tree) -> Vec<Finding> {
    let manifest = |file: &&File| {
        // The fuzz targets are a workspace of their own and cannot inherit.
        let own_workspace = file.text.contains("[workspace]");
        file.name() == "Cargo.toml" && file.text.contains("[package]") && !own_workspace
    };
    let silent = |file: &&File| !file.text.contains("[lints]\nworkspace = true\n");
    let finding = |file: &File| Finding::new(&file.path, 0, "lacks `[lints]` with `workspace = true`");
    tree.with_extension("toml").filter(manifest).filter(silent).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, path: &str, text: &str, lines: &[usize]) {
        assert_eq!(crate::tidy::tests::lines(RULES, rule, path, text), lines, "{rule} in {path}:\n{text}");
    }

    #[test]
    fn macros() {
        let library = "crates/record/src/value.rs";
        check("macros", library, "fn f() {\n    todo!()\n}\n", &[2]);
        check(
            "macros",
            library,
            "println!(\"{x}\");\nprint!(\".\");\ndbg!(x);\nunimplemented!()\n",
            &[1, 2, 3, 4],
        );
        check("macros", library, "/// Unlike `println!`.\neprintln!(\"x\"); // todo!\n", &[]);
        check("macros", "crates/cli/src/main.rs", "println!(\"{x}\");\n", &[]);
        check("macros", "crates/record/benches/commit.rs", "println!(\"{x}\");\n", &[]);
    }

    #[test]
    fn opening() {
        check("opening", "crates/tlog/src/tree.rs", "use std::fmt;\n", &[1]);
        check("opening", "crates/tlog/src/tree.rs", "\n//! Late.\n", &[1]);
        check("opening", "crates/tlog/src/tree.rs", "//! Trees.\n", &[]);
        check("opening", "crates/tlog/tests/tree.rs", "use std::fmt;\n", &[]);
        check("opening", "crates/tlog/src/tree/tests.rs", "use super::*;\n", &[]);
    }

    #[test]
    fn file_length() {
        check("file-length", "crates/tlog/src/tree.rs", &"// line\n".repeat(801), &[0]);
        check("file-length", "crates/tlog/tests/tree.rs", &"// line\n".repeat(801), &[0]);
        check("file-length", "crates/tlog/src/tree.rs", &"// line\n".repeat(800), &[]);
        check("file-length", "docs/formats/record.md", &"line\n".repeat(801), &[]);
    }

    #[test]
    fn line_length() {
        check("line-length", "xtask/src/main.rs", &format!("\n{}\n", "x".repeat(151)), &[2]);
        check("line-length", "examples/a.py", &"x".repeat(151), &[1]);
        check("line-length", "xtask/src/main.rs", &"é".repeat(150), &[]);
        check("line-length", "docs/formats/record.md", &"x".repeat(151), &[]);
    }

    #[test]
    fn blanks() {
        check("blanks", "CONTRIBUTING.md", "one \ntwo\n\tthree\t\n", &[1, 3]);
        check("blanks", "CONTRIBUTING.md", "one\r\n", &[1]);
        check("blanks", "xtask/src/main.rs", "fn main() {}", &[1]);
        check("blanks", "xtask/src/main.rs", "fn main() {}\n\n", &[2]);
        check("blanks", ".ci/run", "cargo \n", &[1]);
        check("blanks", "docs/formats/vectors/record.json", "{} ", &[]);
    }

    #[test]
    fn ignore_reason() {
        check("ignore-reason", "crates/tlog/tests/tree.rs", "#[test]\n#[ignore]\nfn f() {}\n", &[2]);
        check("ignore-reason", "crates/tlog/tests/tree.rs", "#[ignore = \"takes an hour\"]\n", &[]);
    }

    #[test]
    fn names() {
        for path in ["crates/tlog/src/utils.rs", "crates/tlog/tests/common/log.rs", "tests/python/helpers.py"]
        {
            check("names", path, "", &[0]);
        }
        check("names", "crates/tlog/src/commonality.rs", "", &[]);
    }

    #[test]
    fn limits() {
        let text = "//! Bounds.\n\n/// Why.\npub const A: u64 = 1;\npub const B: u64 = 2;\n";
        check("limits", "crates/tlog/src/limits.rs", text, &[5]);
        check("limits", "crates/tlog/src/limits.rs", "// Why.\npub(crate) const A: u64 = 1;\n", &[2]);
        check("limits", "crates/tlog/src/limits.rs", "/// Why.\n\nconst A: u64 = 1;\n", &[3]);
        check("limits", "crates/tlog/src/limits.rs", "/// Why.\n#[doc(hidden)]\nconst A: u64 = 1;\n", &[]);
        check("limits", "crates/tlog/src/tree.rs", "pub const A: u64 = 1;\n", &[]);
    }

    #[test]
    fn lints() {
        check("lints", "crates/tlog/Cargo.toml", "[package]\nname = \"minutebook-tlog\"\n", &[0]);
        check("lints", "crates/tlog/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n", &[]);
        check("lints", "Cargo.toml", "[workspace]\n", &[]);
    }
}
