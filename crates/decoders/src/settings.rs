//! What operators write: settings of access with policies in Cedar, sampling policies. Edge: texts, and what is decided with them.

use minutebook_access::{Action, Asker, Circumstances, Rights, Settings};
use minutebook_policy::Policy;
use minutebook_record::{Field, FieldType, IntegerType, Path, Schema};

use crate::seeds::vector;

/// Settings of access; what they permit is asked of those that are valid.
pub(crate) fn access(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(settings) = Settings::parse(text) {
        for path in ["inputs.age", "outputs", "", "tags.a.b"] {
            settings.is_personal(Some("credit-a"), path);
            settings.is_personal(None, path);
        }
    }
    let Ok(rights) = Rights::parse(Some(text)) else { return };
    let asker = Asker {
        name: "k".into(),
        roles: vec!["analyst".into()],
        models: vec!["credit-*".into()],
        ..Asker::default()
    };
    let circumstances = Circumstances { purpose: "audit", minute: 29_922_180 };
    for action in [Action::Read, Action::ReadPerson, Action::SeeStatus] {
        drop(rights.decide(&asker, action, Some("credit-a"), circumstances));
        drop(rights.decide(&asker, action, None, circumstances));
    }
}

pub(crate) fn access_seeds() -> Vec<Vec<u8>> {
    let text = r#"format = "minutebook/access/1"
defaults = true
policies = '''
@id("no-income-at-night")
forbid (principal in Role::"analyst", action == Action::"see-field", resource)
when { resource.path == "outputs.income" && context.purpose like "a*" || context.now > datetime("2026-01-01") };
@id("b")
permit (principal, action in [Action::"read", Action::"see-status"], resource) unless { !context.own };
'''
[[model]]
name = "credit-*"
personal = ["inputs.age", "outputs.note"]
open = ["actor", "tags.channel"]
[[model]]
name = ["a", "b*c*"]
"#;
    vec![text.into(), b"format = \"minutebook/access/1\"\n".to_vec()]
}

/// A sampling policy, and whether its conditions fit a schema.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(policy) = Policy::parse(text) else { return };
    assert_eq!(policy.source(), text, "its text");
    policy.counts();
    let field = |path: [&str; 2], field_type| Field { path: Path::new(path).expect("a path"), field_type };
    let schema = Schema::new(vec![
        field(["inputs", "a"], FieldType::F64),
        field(["inputs", "b"], FieldType::Text),
        field(["inputs", "n"], FieldType::Integer(IntegerType::I64)),
        field(["inputs", "x"], FieldType::Bool),
    ]);
    let schema = schema.expect("a schema");
    drop(policy.check("credit", &schema));
    let plan = policy.plan(&schema);
    let values: [&[u8]; 4] = [&[0xf9, 0x3c, 0], &[0x61, b'x'], &[0x18, 40], &[0xf5]];
    let _ = policy.decide(&plan, "standard", |place| values[place]);
}

pub(crate) fn policy_seeds() -> Vec<Vec<u8>> {
    let text = r#"format = "minutebook/policy/1"
[[model]]
name = ["credit*", "b"]
[[model.rule]]
name = "errors"
when = 'status != "ok" || inputs.a > 1.5e3 && !(inputs.b in ["x", "y"]) || has(inputs.z) || abs(-inputs.n) <= 3'
keep = "all"
[[model.rule]]
name = "some"
rate = 0.05
[[model.rule]]
name = "few"
per_second = 3
[[model.redact]]
fields = ["inputs.b"]
"#;
    let mut seeds = vec![text.into()];
    let json: serde_json::Value = serde_json::from_slice(&vector("policy.json")).expect("vectors are JSON");
    let cases = json["cases"].as_array().into_iter().flatten();
    seeds.extend(cases.filter_map(|case| Some(case["policy"].as_str()?.as_bytes().to_vec())));
    seeds
}
