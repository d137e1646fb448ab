use super::*;

fn asker(roles: &[Role], models: &[&str]) -> Asker {
    Asker {
        proof: Proof::Key,
        name: "key".into(),
        roles: roles.iter().map(|role| role.name().to_owned()).collect(),
        models: models.iter().map(|model| (*model).to_owned()).collect(),
    }
}

const NOW: Circumstances<'_> = Circumstances { purpose: "", minute: 29_921_130 };
const CASE: Circumstances<'_> = Circumstances { purpose: "complaint 7", minute: 29_921_130 };

fn rights(text: &str) -> Rights {
    Rights::parse(Some(text)).unwrap()
}

#[track_caller]
fn refused(text: &str, line: usize, word: &str) {
    let error = Rights::parse(Some(text)).unwrap_err();
    assert_eq!(error.line, Some(line), "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

/// Every role and every action: what it may do of its own models, of others', and without a purpose.
#[test]
fn the_roles_may_what_the_table_says() {
    let rights = Rights::parse(None).unwrap();
    let own = |role: Role, action: Action| -> &'static str {
        use Action as A;
        use Role as R;
        match (role, action) {
            (_, A::SeeEngine) => "always",
            (R::Recorder, A::Record) => "own",
            (R::Recorder, A::Seal) => "always",
            (R::Analyst | R::Auditor, A::Read | A::ReadStatistics | A::VerifyRecord) => "own",
            (R::Investigator, A::Read | A::ReadStatistics | A::VerifyRecord) => "own, with a purpose",
            (R::Auditor, A::Verify | A::SeeStatus) => "always",
            (R::Auditor, A::ReadAccounts | A::SeeSettings | A::SeeHolds | A::SeeAccess) => "own",
            (
                R::PrivacyOfficer,
                A::ReadPerson
                | A::Erase
                | A::Hold
                | A::SeeHolds
                | A::SetRetention
                | A::Dispose
                | A::SeeSettings,
            ) => "own",
            (R::ModelOwner, A::Register | A::ReadStatistics | A::CheckSampling | A::SetSampling) => "own",
            (R::ModelOwner, A::SeeSettings) => "always",
            (R::Recorder, A::ReadLog) => "never",
            (_, A::ReadLog) => "always",
            (
                R::Administrator,
                A::SeeStatus
                | A::SeeSettings
                | A::SeeAccess
                | A::SetAccess
                | A::ManageKeys
                | A::EndSessions
                | A::CheckSampling
                | A::SetSampling
                | A::RotateSamplingKey
                | A::SetRetention
                | A::Backup
                | A::CopyKeys
                | A::Seal
                | A::GiveUp
                | A::RebuildIndex
                | A::Stop,
            ) => "own",
            _ => "never",
        }
    };
    for role in Role::ALL {
        let limited = asker(&[role], &["credit-*"]);
        let whole = asker(&[role], &["*"]);
        for action in Action::ALL.iter().copied().filter(|action| *action != Action::SeeField) {
            let may = |asker: &Asker, model: Option<&str>, now| {
                rights.decide(asker, action, model, now).is_permitted
            };
            let expected = match own(role, action) {
                "always" => [true; 5],
                "own" => [true, false, false, true, true],
                "own, with a purpose" => [false, false, false, false, true],
                _ => [false; 5],
            };
            let found = [
                may(&limited, Some("credit-risk"), NOW),
                may(&limited, Some("fraud"), CASE),
                may(&limited, None, CASE),
                may(&whole, None, NOW),
                may(&whole, Some("fraud"), CASE),
            ];
            assert_eq!(found, expected, "{role} {action:?}");
        }
    }
}

#[test]
fn of_a_model_of_which_nothing_is_said_inputs_and_persons_are_masked() {
    let rights = Rights::parse(None).unwrap();
    let analyst = asker(&[Role::Analyst], &["credit-*"]);
    let both = asker(&[Role::Analyst, Role::Investigator], &["credit-*"]);
    for (path, is_personal) in [
        ("inputs.age", true),
        ("inputs", true),
        ("subject", true),
        ("actor", true),
        ("tags.customer", true),
        ("review.reason", true),
        ("review.action", false),
        ("note.text", true),
        ("outputs.approve", false),
        ("inputsx", false),
        ("event", false),
    ] {
        assert_eq!(rights.settings().is_personal(Some("credit-risk"), path), is_personal, "{path}");
        assert_eq!(rights.sees(&analyst, Some("credit-risk"), path, NOW), !is_personal, "{path}");
        assert!(rights.sees(&both, Some("credit-risk"), path, CASE), "{path}");
        assert_eq!(rights.sees(&both, Some("credit-risk"), path, NOW), !is_personal, "{path}");
        assert!(!rights.sees(&both, Some("fraud"), path, CASE), "{path}");
    }
}

#[test]
fn a_table_names_what_is_personal_of_its_models() {
    let rights = rights(
        r#"
format = "minutebook/access/1"
[[model]]
name = ["credit-*", "loans"]
personal = ["inputs.age", "inputs.address.street", "outputs.reason"]
open = ["actor", "tags.channel"]
[[model]]
name = "*"
personal = []
"#,
    );
    let is = |model: Option<&str>, path: &str| rights.settings().is_personal(model, path);
    for (path, personal) in [
        ("inputs.age", true),
        ("inputs.amount", false),
        ("inputs.address", true),
        ("inputs.address.street.number", true),
        ("inputs.address.city", false),
        ("outputs.reason", true),
        ("actor", false),
        ("tags.channel", false),
        ("tags.customer", true),
        ("tags", true),
        ("subject", true),
    ] {
        assert_eq!(is(Some("credit-risk"), path), personal, "{path}");
        assert_eq!(is(Some("loans"), path), personal, "{path}");
    }
    assert!(!is(Some("fraud"), "inputs.age") && is(Some("fraud"), "subject"));
    assert!(is(None, "outputs.reason") && is(None, "inputs.amount"), "of no model, what is personal of any");
}

#[test]
fn an_operator_adds_policies_and_replaces_the_defaults() {
    let forbids = r#"
format = "minutebook/access/1"
policies = '''
@id("no-income")
forbid (principal, action == Action::"see-field", resource)
when { resource.path == "outputs.income" };
@id("night-shift")
permit (principal in Role::"analyst", action == Action::"stop", resource)
when { context.now < datetime("2020-01-01") };
'''
"#;
    let added = rights(forbids);
    let analyst = asker(&[Role::Analyst], &["*"]);
    assert!(added.sees(&analyst, Some("m"), "outputs.x", NOW));
    assert!(!added.sees(&analyst, Some("m"), "outputs.income", NOW));
    assert!(!added.decide(&analyst, Action::Stop, None, NOW).is_permitted);
    let before = Circumstances { minute: 0, ..NOW };
    let verdict = added.decide(&analyst, Action::Stop, None, before);
    assert_eq!((verdict.is_permitted, verdict.policies), (true, vec!["night-shift".to_owned()]));
    let alone = rights(&forbids.replace("policies", "defaults = false\npolicies"));
    let verdict = alone.decide(&analyst, Action::Read, Some("m"), NOW);
    assert_eq!((verdict.is_permitted, verdict.policies), (false, Vec::new()));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let head = "format = \"minutebook/access/1\"\n";
    refused(&format!("{head}colour = 1\n"), 2, "colour");
    refused(&format!("{head}[[model]]\nname = \"m\"\npersonal = [\"inputs.*\"]\n"), 4, "inputs.*");
    refused(&format!("{head}[[model]]\nname = []\n"), 3, "name");
    refused(
        &format!("{head}policies = '''\n\n@id(\"a\")\npermit (principal, action, resource)\n'''\n"),
        5,
        "unexpected",
    );
    let with = |policy: &str| format!("{head}policies = '''\n{policy}'''\n");
    refused(&with("@id(\"a\")\npermit (principal in Rôle::\"x\", action, resource);\n"), 4, "");
    refused(&with("\n@id(\"a\") permit (principal, action == Action::\"fly\", resource);\n"), 4, "fly");
    refused(
        &with(
            "@id(\"a\")\npermit (principal, action == Action::\"read\", resource)\nwhen { resource.age > 3 };\n",
        ),
        5,
        "age",
    );
    refused(&with("permit (principal, action, resource);\n"), 3, "@id");
    refused(&with("@id(\"a\") permit (principal == ?principal, action, resource);\n"), 3, "slot");
    let twice = "@id(\"analyst-reads\") permit (principal, action == Action::\"read\", resource);\n";
    assert!(Rights::parse(Some(&with(twice))).unwrap_err().to_string().contains("analyst-reads"));
    assert!(
        Rights::parse(Some("format = \"minutebook/access/2\"")).unwrap_err().to_string().contains("format")
    );
    assert!(Rights::parse(Some(&" ".repeat(limits::TEXT_BYTES_MAX + 1))).is_err());
}

#[test]
fn patterns_stand_for_any_text() {
    for (pattern, text, fit) in [
        ("*", "", true),
        ("credit-*", "credit-risk", true),
        ("credit-*", "fraud", false),
        ("*-*-x", "a-b-c-x", true),
        ("a*b*c", "abc", true),
        ("a*a", "a", false),
        ("m", "m", true),
        ("m", "mm", false),
    ] {
        assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
    }
}

/// An unknown role, and one that somebody spells otherwise, grants nothing.
#[test]
fn a_role_that_is_none_grants_nothing() {
    let rights = Rights::parse(None).unwrap();
    let nobody = Asker {
        proof: Proof::Key,
        name: "key".into(),
        roles: vec!["Analyst".into(), "root".into()],
        models: vec!["*".into()],
    };
    for action in Action::ALL.iter().filter(|action| !matches!(action, Action::SeeEngine)) {
        assert!(!rights.decide(&nobody, *action, None, CASE).is_permitted, "{action:?}");
    }
}

const SIGN_IN: &str = r#"
format = "minutebook/access/1"

[sign-in]
issuer = "https://login.example.org/realm"
client-id = "minutebook"
public-url = "https://trail.example.org:6262/t/credit/"

[[people]]
name = ["ann@example.org"]
roles = ["auditor"]
models = ["credit"]

[[people]]
group = "staff"
roles = ["analyst", "recorder"]

[approval]
actions = ["erase"]
"#;

#[test]
fn of_people_the_first_table_that_fits_counts() {
    let settings = Settings::parse(SIGN_IN).unwrap();
    let sign_in = settings.sign_in().unwrap();
    assert_eq!(sign_in.public_url.as_str(), "https://trail.example.org:6262/t/credit");
    assert_eq!((sign_in.name.as_str(), sign_in.groups.as_str()), ("sub", "groups"));
    let staff = ["staff".to_owned()];
    let ann = settings.person("ann@example.org", &staff);
    assert_eq!(
        (ann.roles.as_slice(), ann.models.as_slice()),
        (&["auditor".to_owned()][..], &["credit".to_owned()][..])
    );
    assert_eq!(ann.label(), "person:ann@example.org");
    assert_eq!(settings.person("bob", &staff).roles, ["analyst", "recorder"]);
    assert_eq!(settings.person("bob", &["other".to_owned()]).roles, [""; 0]);
    assert_eq!(settings.person("staff", &[]).roles, [""; 0], "a name is no group");
    assert!(settings.takes_two(Action::Erase) && !settings.takes_two(Action::Hold));
}

#[test]
fn a_person_is_no_key_of_the_same_name() {
    let policies =
        "policies = '''\n@id(\"no-ann\")\nforbid (principal == Person::\"ann\", action, resource);\n'''\n";
    let text = format!(
        "format = \"minutebook/access/1\"\n{policies}\n[[people]]\nname = \"ann\"\nroles = [\"auditor\"]\n"
    );
    let rights = Rights::parse(Some(&text)).unwrap();
    let ann = rights.settings().person("ann", &[]);
    assert!(!rights.decide(&ann, Action::Verify, None, NOW).is_permitted);
    let key = Asker { proof: Proof::Key, ..ann };
    assert!(rights.decide(&key, Action::Verify, None, NOW).is_permitted);
}

#[test]
fn what_is_wrong_about_people_is_told_with_its_line() {
    for (from, to, line, what) in [
        ("https://login.example.org/realm", "http://login.example.org", 4, "`http://` is for loopback"),
        ("https://login.example.org/realm", "https://u:p@login.example.org", 4, "nothing but host"),
        (
            "https://trail.example.org:6262/t/credit/",
            "trail.example.org",
            4,
            "`public-url` is an `https://` URL",
        ),
        ("https://trail.example.org:6262/t/credit/", "https://trail.example.org/?x=1", 4, "nothing but host"),
        ("client-id = \"minutebook\"", "client-id = \"\"", 4, "`client-id`"),
        ("client-id = \"minutebook\"", "client-id = \"m\"\nsecret-file = \"secret\"", 4, "`secret-file`"),
        ("client-id = \"minutebook\"", "client-id = \"m\"\nscopes = [\"a b\"]", 4, "`a b` is no scope"),
        ("client-id = \"minutebook\"", "client-id = \"m\"\nsecret = \"x\"", 7, "secret"),
        ("roles = [\"auditor\"]", "roles = [\"auditors\"]", 9, "`auditors` is no role: they are recorder"),
        ("roles = [\"auditor\"]", "roles = []", 9, "`roles` has one role at least"),
        ("group = \"staff\"", "name = \"x\"\ngroup = \"staff\"", 14, "is of a `name` or of a `group`"),
        ("actions = [\"erase\"]", "actions = [\"delete\"]", 18, "`delete` is no action"),
        ("actions = [\"erase\"]", "actions = [\"read\"]", 18, "is not approved by a second person"),
        ("actions = [\"erase\"]", "actions = []", 18, "`actions` has one action"),
    ] {
        assert!(SIGN_IN.contains(from), "{from}");
        let error = Settings::parse(&SIGN_IN.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(&format!("line {line}")), "{to}: {error}");
    }
    for local in ["http://localhost:1/x", "http://127.0.0.1:1", "http://[::1]:1"] {
        Settings::parse(&SIGN_IN.replace("https://login.example.org/realm", local)).unwrap();
    }
}

#[test]
fn limits_of_use_are_those_of_the_first_table_that_fits() {
    let settings = |limits: &str| Settings::parse(&format!("format = \"{FORMAT}\"\n{limits}"));
    let none = settings("").unwrap();
    assert_eq!(none.allowance("anybody"), Allowance::default());
    let text = r#"
[limits]
records_per_second = 7
request_burst = 3

[[limits.for]]
name = ["etl-*", "nightly"]
records_per_second = 1000

[[limits.for]]
name = ["etl-big"]
requests_per_second = 40
"#;
    let own = settings(text).unwrap();
    let others = Allowance { records_per_second: 7, request_burst: 3, ..Allowance::default() };
    assert_eq!(own.allowance("dashboard"), others);
    let etl = Allowance { records_per_second: 1_000, ..others };
    assert_eq!((own.allowance("etl-big"), own.allowance("nightly")), (etl, etl));
    let few = settings("[limits]\nrequests_per_second = 2\n").unwrap();
    assert_eq!(few.allowance("x").request_burst, 4, "a burst goes with its rate");
    for (limits, line, word) in [
        ("[limits]\nqueries_at_once = 0", 3, "from 1 to"),
        ("[limits]\n\nqueries_at_once = 1000000001", 4, "from 1 to"),
        ("[limits]\nqueries_at_onec = 1", 3, "unknown"),
        ("[limits]\n[[limits.for]]\nname = []", 4, "a list of patterns"),
    ] {
        let error = settings(limits).unwrap_err();
        assert_eq!(error.line, Some(line), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn whether_the_owners_reads_are_recorded_is_said_or_not() {
    let of = |table: &str| {
        let settings = Settings::parse(&format!("format = \"minutebook/access/1\"\n{table}"));
        settings.map(|settings| settings.reads_of_owner()).map_err(|error| error.to_string())
    };
    assert_eq!(of(""), Ok(None));
    assert_eq!(of("[owner]\nreads = \"recorded\""), Ok(Some(Reads::Recorded)));
    assert_eq!(of("[owner]\nreads = \"unrecorded\""), Ok(Some(Reads::Unrecorded)));
    for wrong in
        ["[owner]", "[owner]\nreads = true", "[owner]\nreads = \"off\"", "[owner]\nwrites = \"recorded\""]
    {
        assert!(of(wrong).is_err_and(|what| what.starts_with("line ")), "{wrong}");
    }
}
