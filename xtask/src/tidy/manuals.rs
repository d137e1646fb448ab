//! Rules about the documents: links lead somewhere, and the list of formats is complete.

use super::tree::{File, Tree};
use super::{Finding, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "links",
        reason: "a link to a file that is not there sends a reader nowhere",
        check: broken_links,
    },
    Rule {
        name: "format-pages",
        reason: "docs/formats/README.md is where an implementer begins: a page that it does not list does not exist",
        check: unlisted_format_pages,
    },
];

const FORMATS: &str = "docs/formats/";

fn broken_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("md") {
        for (line, target) in links(file) {
            let path = target.split('#').next().unwrap_or(target);
            if path.is_empty() || path.contains(':') {
                continue; // a heading of the same page, or a URL
            }
            if !resolve(&file.path, path).is_some_and(|path| path.is_empty() || tree.paths.contains(&path)) {
                findings.push(Finding::new(&file.path, line, format!("there is no `{path}`")));
            }
        }
    }
    findings
}

fn unlisted_format_pages(tree: &Tree) -> Vec<Finding> {
    let readme = tree.files.iter().find(|file| file.path.strip_prefix(FORMATS) == Some("README.md"));
    let listed: Vec<&str> =
        readme.map(|file| links(file).map(|(_, target)| target).collect()).unwrap_or_default();
    let mut findings = Vec::new();
    for file in tree.with_extension("md") {
        let Some(page) = file.path.strip_prefix(FORMATS) else { continue };
        if page != "README.md" && !listed.contains(&page) {
            findings.push(Finding::new(&file.path, 0, "not listed in docs/formats/README.md"));
        }
    }
    findings
}

/// The targets of the links in a Markdown file, with their lines. Code, in blocks or within a line, holds none.
fn links(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    file.lines().flat_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        let line = if in_block || fence { "" } else { line };
        targets(line).into_iter().map(move |target| (number, target))
    })
}

fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = line;
    // `](` begins a target, a backtick begins code that lasts to the next one.
    while let Some(at) = rest.find("](").into_iter().chain(rest.find('`')).min() {
        if rest[at..].starts_with('`') {
            // The text of a link may hold code, so only a complete pair is skipped.
            let Some(length) = rest[at + 1..].find('`') else { break };
            rest = &rest[at + length + 2..];
        } else {
            let target = &rest[at + 2..];
            let Some(end) = target.find([')', ' ']) else { break };
            targets.push(&target[..end]);
            rest = &target[end..];
        }
    }
    targets
}

/// The path that a link means, relative to the root. None when it leaves the repository.
fn resolve(page: &str, link: &str) -> Option<String> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = if link.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    parts.retain(|part| !part.is_empty());
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(files: &[(&str, &str)]) -> Vec<String> {
        broken_links(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_lead_to_files() {
        let page =
            "[a](b.md) and [c](../README.md#top)\n[gone](gone.md), [`code`](b.md)\n[out](../../x.md)\n";
        let found =
            broken(&[("docs/a.md", page), ("docs/b.md", ""), ("README.md", "[docs](docs/) [here](./)\n")]);
        assert_eq!(found, ["docs/a.md:2: there is no `gone.md`", "docs/a.md:3: there is no `../../x.md`"]);
    }

    #[test]
    fn urls_headings_and_code_are_no_links_to_files() {
        let page =
            "[a](https://example.org/x) [b](#there) `[c](gone.md)`\n```\n[d](gone.md)\n```\n[e](gone.md)\n";
        assert_eq!(broken(&[("a.md", page)]), ["a.md:5: there is no `gone.md`"]);
    }

    #[test]
    fn each_format_page_is_listed() {
        let readme = ("docs/formats/README.md", "| [record.md](record.md) | a record |\n");
        let tree = Tree::of(&[readme, ("docs/formats/record.md", ""), ("docs/formats/spool.md", "")]);
        let found: Vec<_> = unlisted_format_pages(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["docs/formats/spool.md"]);
    }
}
