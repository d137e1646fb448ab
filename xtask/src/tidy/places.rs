//! Rules about places outside the repository: a clone works anywhere, so nothing in it knows a machine or a host.

use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "machine-paths",
        reason: "a folder of one machine is on no other; in documents, /tmp is somebody's machine too",
        check: machine_paths,
    },
    Rule {
        name: "registry-hosts",
        reason: "packages come from wherever Cargo and pip are configured to look, which may be a mirror",
        check: registry_hosts,
    },
];

/// This file names what it refuses.
const OWN: &str = "xtask/src/tidy/places.rs";

const MACHINE_FOLDERS: [&str; 4] = ["/home/", "/root/", "/Users/", "/work/"];

const REGISTRY_HOSTS: [&str; 7] = [
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "ghcr.io",
];

fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != OWN) {
        let document: &[&str] = if file.extension() == "md" { &["/tmp/"] } else { &[] };
        for (number, line) in file.lines() {
            for folder in MACHINE_FOLDERS.iter().chain(document) {
                if begins_path(line, folder) {
                    findings.push(Finding::new(
                        &file.path,
                        number,
                        format!("a path of one machine, `{folder}`"),
                    ));
                }
            }
        }
    }
    findings
}

/// Whether `folder` stands in the line as the beginning of a path, not in the middle of one.
fn begins_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~/}".contains(c)))
}

fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let generated = |file: &File| file.name() == "Cargo.lock";
    for file in tree.files.iter().filter(|file| file.path != OWN && !generated(file)) {
        for (number, line) in file.lines() {
            for host in REGISTRY_HOSTS {
                if line.contains(host) {
                    findings.push(Finding::new(
                        &file.path,
                        number,
                        format!("the host of a registry, `{host}`"),
                    ));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, path: &str, text: &str, lines: &[usize]) {
        assert_eq!(crate::tidy::tests::lines(RULES, rule, path, text), lines, "{rule} in {path}:\n{text}");
    }

    #[test]
    fn machine_paths() {
        check("machine-paths", "docs/a.md", "see\n/work/main and `/tmp/x`\n", &[2, 2]);
        check("machine-paths", "xtask/src/main.rs", "let path = \"/root/.cargo\";\n", &[1]);
        check("machine-paths", "xtask/src/main.rs", "let path = \"/tmp/x\";\n", &[]);
        check("machine-paths", "docs/a.md", "docs/work/a.md, ~/work/, target/tmp/x\n", &[]);
    }

    #[test]
    fn registry_hosts() {
        check("registry-hosts", ".ci/run", "pip install -i https://pypi.org/simple\n", &[1]);
        check("registry-hosts", "Cargo.lock", "https://static.crates.io\n", &[]);
        check("registry-hosts", "docs/a.md", "a package from crates.io\n", &[]);
    }
}
