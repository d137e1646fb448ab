//! The rule about what a crate may depend on: the order of the layers in ARCHITECTURE.md, checked against what Cargo
//! says.

use serde_json::Value;

use super::Finding;

pub(super) const NAME: &str = "layers";
pub(super) const REASON: &str =
    "dependencies point one way, from the program down to the record (ARCHITECTURE.md, the parts)";

/// The crates from the bottom up. A crate may depend on crates of lower layers, never on its own or a higher one.
const LAYERS: [&[&str]; 10] = [
    &["minutebook-net", "minutebook-sha256"],
    &["minutebook-record", "minutebook-tlog"],
    &["minutebook-verify", "minutebook-capture"],
    &["minutebook-policy", "minutebook-ship", "minutebook-sketch"],
    &["minutebook-trail", "minutebook-python"],
    &["minutebook-monitor", "minutebook-present"],
    &["minutebook-access", "minutebook-adapters", "minutebook-index"],
    &["minutebook-server"],
    &["minutebook-proxy"],
    &["minutebook"],
];

/// Crates that stand outside: tools of the project, used by tests or by people, and free to use what they like.
const TOOLS: [&str; 4] = ["minutebook-decoders", "minutebook-faultfs", "minutebook-faultfs-preload", "xtask"];

/// Crates that do no I/O, and what would bring it in.
const PURE: [&str; 6] = [
    "minutebook-access",
    "minutebook-policy",
    "minutebook-record",
    "minutebook-sketch",
    "minutebook-tlog",
    "minutebook-verify",
];
const BRINGS_IO: [&str; 6] = ["async-trait", "libc", "object_store", "sqlx", "tokio", "tracing-subscriber"];

pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let members = metadata["workspace_members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| members.contains(&package["id"])) {
        let name = package["name"].as_str().unwrap_or_default();
        let mut finding = |message: String| findings.push(Finding::new(&format!("crate {name}"), 0, message));
        if TOOLS.contains(&name) {
            continue;
        }
        let Some(own) = layer(name) else {
            finding("has no place in the layers of xtask/src/tidy/crates.rs".into());
            continue;
        };
        for dependency in dependencies(package) {
            match layer(dependency) {
                Some(below) if below >= own => finding(format!("must not depend on `{dependency}`")),
                None if TOOLS.contains(&dependency) => {
                    finding(format!("may use `{dependency}` in tests only (dev-dependencies)"));
                }
                None if PURE.contains(&name) && BRINGS_IO.contains(&dependency) => {
                    finding(format!("does no I/O, so it must not depend on `{dependency}`"));
                }
                _ => {}
            }
        }
    }
    findings
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// What a package is built with. Development dependencies are free: a test may drive a crate through any other.
fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_one(name: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<String> {
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        let package = json!({ "id": "this", "name": name, "dependencies": dependencies });
        let metadata = json!({ "workspace_members": ["this"], "packages": [package] });
        check(&metadata).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_crate_depends_downwards_only() {
        assert_eq!(check_one("minutebook-trail", &[("minutebook-verify", None), ("sqlx", None)]), [""; 0]);
        for above in ["minutebook-capture", "minutebook-trail", "minutebook"] {
            assert_eq!(
                check_one("minutebook-verify", &[(above, None)]),
                [format!("must not depend on `{above}`")]
            );
        }
    }

    #[test]
    fn what_computes_brings_in_no_io() {
        let found = check_one("minutebook-record", &[("tokio", None), ("sha2", None)]);
        assert_eq!(found, ["does no I/O, so it must not depend on `tokio`"]);
    }

    #[test]
    fn tests_may_use_anything() {
        let dev = Some("dev");
        assert_eq!(check_one("minutebook-verify", &[("minutebook-trail", dev), ("tokio", dev)]), [""; 0]);
        assert_eq!(check_one("minutebook-trail", &[("minutebook-faultfs", dev)]), [""; 0]);
        assert_eq!(check_one("minutebook-trail", &[("minutebook-faultfs", None)]).len(), 1);
    }

    #[test]
    fn a_new_crate_is_given_a_place() {
        assert_eq!(check_one("minutebook-new", &[]).len(), 1);
    }
}
