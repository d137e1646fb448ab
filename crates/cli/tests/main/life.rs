use std::sync::Arc;

use minutebook_capture::{Clock, IntakePublicKey, Producer, ProducerOptions, ShapeDef, SystemClock};
use minutebook_record::fields::{Event, Subjects};
use minutebook_record::{ClassName, Field, FieldType, Kind, Path, Schema};
use minutebook_trail::{Engine, Environment, Place};
use serde_json::{Value, json};

use crate::program::{Ran, User};

/// 70 days ago.
struct Past;

impl Clock for Past {
    fn wall_ns(&self) -> i64 {
        SystemClock.wall_ns() - 70 * 86_400_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        SystemClock.monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        SystemClock.error_ns()
    }
}

/// Records in a trail that were recorded and sealed 70 days ago: one about each subject, of class `standard`.
fn old_records(user: &User, subjects: &[&str]) {
    let place = Place::new(user.path("trail")).with_keys(user.path("keys"));
    let file = place.trail_file().unwrap();
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let options = ProducerOptions {
        part_bytes: 1 << 20,
        clock: Arc::new(Past),
        ..ProducerOptions::new(place.spool(), file.id, intake, "past")
    };
    let producer = Producer::open(options).unwrap();
    for name in subjects {
        let pending = producer.begin(&ClassName::new("standard").unwrap()).unwrap();
        let (mut event, mut subject) = (Vec::new(), Vec::new());
        Event::at(pending.started().0).write(&mut event);
        Subjects(vec![(*name).to_owned()]).write(&mut subject);
        let field = |path: &str, field_type| Field { path: Path::new([path]).unwrap(), field_type };
        let fields = vec![field("event", FieldType::Event), field("subject", FieldType::Subject)];
        let shape = ShapeDef::from_encoded(Schema::new(fields).unwrap(), Vec::new()).unwrap();
        let shape = producer.shape_of(shape).unwrap();
        let mut encoder = pending.record(&shape, Kind::Decision);
        encoder.raw(&event);
        encoder.raw(&subject);
        encoder.finish().unwrap();
    }
    producer.close().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let environment = Environment { clock: Arc::new(Past), ..Environment::default() };
        let mut engine = Engine::open(&place, environment).await.unwrap();
        engine.seal().await.unwrap();
        engine.close().await;
    });
}

/// A decision about somebody, of now and class `standard`, one line.
fn churn(subject: &str) -> String {
    let model = json!({ "name": "churn", "version": "1" });
    let record = json!({ "model": model, "inputs": { "x": 1 }, "outputs": { "y": 2 }, "subject": subject });
    format!("{record}\n")
}

const SETTINGS: &str =
    "format = \"minutebook/retention/1\"\n[[class]]\nname = \"standard\"\nkeep = \"1 month\"\n";

#[test]
fn what_is_past_its_retention_is_shown_then_disposed_of() {
    let user = User::with_trail();
    old_records(&user, &["ann", "ben"]);
    let recorded = user.record(&churn("cat"));
    user.run(["retention", "show"]).ends(0).complains("kept for ever");
    user.run(["retention", "dispose"]).ends(0).prints("Nothing is due").prints("for ever");
    let file = user.write("retention.toml", SETTINGS);
    let file = file.to_str().unwrap();
    user.run(["retention", "set", file]).ends(0).prints("the settings are in force");
    user.run(["retention", "set", file]).ends(0).prints("in force already");
    assert_eq!(user.run(["retention", "show"]).ends(0).out, SETTINGS);

    user.run(["hold", "list"]).ends(0).complains("no hold is in force");
    let add = ["hold", "add", "case-7", "--reason", "dispute", "--by", "counsel", "--subject", "-"];
    user.feed(add, "ann\n").ends(0).prints("hold case-7").prints("in force").prints("subject number ");
    user.feed(add, "ben\n").ends(2).complains("in force already");
    let held = user.run(["retention", "dispose", "--dry-run"]).ends(0);
    held.prints("Nothing is due").prints("kept back:").prints("hold `case-7` (dispute)");
    let erase = |who: &str| user.run(["erase", who, "--ground", "request", "--yes"]);
    erase("ann").ends(2).complains("refused: under hold `case-7` (dispute). Nothing was erased");
    user.run(["hold", "lift", "case-8", "--reason", "over"]).ends(2).complains("no hold of that name");
    user.run(["hold", "lift", "case-7", "--reason", "settled"]).ends(0).prints("lifted");

    // A dry run, also without saying so where nobody is there to ask.
    user.run(["retention", "dispose", "--dry-run"]).ends(0).prints("Due for disposal").prints("records 2");
    let unasked = user.run(["retention", "dispose"]).ends(0);
    assert!(unasked.err.contains("nothing was disposed of: add --yes"), "{}", unasked.err);
    let plan = user.run(["retention", "dispose", "--json"]).ends(0).json().remove(0);
    assert_eq!((&plan["due"][0]["records"], &plan["due"][0]["class"]), (&json!(2), &json!("standard")));
    let done = user
        .run(["retention", "dispose", "--yes", "--by", "privacy officer", "--json"])
        .ends(0)
        .json()
        .remove(0);
    assert_eq!((&done["disposed"], &done["by"]), (&plan["due"], &json!("privacy officer")));
    user.run(["retention", "dispose", "--yes"]).ends(0).prints("Nothing was due");
    user.run(["verify"]).ends(0).prints("disposed of");
    let report = user.run(["verify", "--json"]).ends(0).json().remove(0);
    assert_eq!(report["records"]["disposed"], 2);
    user.run(["doctor", "--deep"]).ends(0);
    user.run(["show", &recorded[0]]).ends(0);
    // Whom it was about can still be erased: blobs and spools aside, there is a key.
    erase("ann").ends(0).prints("Certificate of erasure");
}

#[test]
fn a_running_engine_does_it_all() {
    let user = User::with_trail();
    old_records(&user, &["ann", "ben"]);
    user.engine(&[]);
    assert_eq!(user.ask("GET", "/v1/retention", ""), (200, json!({ "retention": null })));
    let file = user.write("retention.toml", SETTINGS);
    user.run(["retention", "set", file.to_str().unwrap()]).ends(0).prints("the settings are in force");
    assert_eq!(user.ask("GET", "/v1/retention", ""), (200, json!({ "retention": SETTINGS })));
    let (status, wrong) = user.ask("PUT", "/v1/retention", "format = 1");
    assert_eq!((status, &wrong["code"]), (400, &json!("wrong-retention")));

    user.run(["hold", "add", "case-7", "--reason", "dispute", "--subject", "ann"]).ends(0).prints("in force");
    let body = json!({ "name": "case-8", "reason": "dispute", "by": "counsel",
        "filter": { "class": "standard", "until": "2100-01-01T00:00:00Z" } });
    let (status, hold) = user.ask("POST", "/v1/holds", &body.to_string());
    assert_eq!(
        (status, &hold["name"], &hold["until"]),
        (200, &json!("case-8"), &json!("2100-01-01T00:00:00Z"))
    );
    let (_, holds) = user.ask("GET", "/v1/holds", "");
    assert_eq!(holds["holds"].as_array().unwrap().len(), 2);
    let erase = |who: &str| user.run(["erase", who, "--ground", "request", "--yes"]);
    erase("ann").ends(2).complains("hold `case-7` (dispute), hold `case-8` (dispute)");
    let (status, refused) =
        user.ask("POST", "/v1/erase", r#"{"subject": "ben", "ground": "request", "by": "clerk"}"#);
    assert_eq!((status, &refused["code"]), (409, &json!("held")), "{refused}");
    let (status, wrong) = user.ask("POST", "/v1/erase", r#"{"subject": ["ann"]}"#);
    assert!(status == 400 && !wrong.to_string().contains("ann"), "{wrong}");
    let path = format!("/v1/holds/{}", hold["id"].as_str().unwrap());
    let lift = r#"{"reason": "settled", "by": "counsel"}"#;
    assert_eq!(user.ask("DELETE", &path, lift).0, 200);
    let (status, gone) = user.ask("DELETE", &path, lift);
    assert_eq!((status, &gone["code"]), (404, &json!("no-such-hold")));
    erase("ben").ends(0).prints("Certificate of erasure");
    erase("ben").ends(2).complains("no such subject");
    user.run(["hold", "lift", "case-7", "--reason", "settled"]).ends(0).prints("lifted");

    let record = user.run(["list", "--json", "-n", "0"]).ends(0).json();
    let decision =
        record.iter().find(|record| record["kind"] == "decision").unwrap()["id"].as_str().unwrap().to_owned();
    let (status, plan) = user.ask("POST", "/v1/retention/dispose", "{}");
    assert_eq!((status, &plan["due"][0]["records"]), (200, &json!(2)), "{plan}");
    user.run(["retention", "dispose", "--dry-run"]).ends(0).prints("records 2");
    user.run(["retention", "dispose", "--yes"]).ends(0).prints("Certificate of disposal");
    let (status, gone) = user.ask("GET", &format!("/v1/records/{decision}"), "");
    assert_eq!((status, &gone["code"]), (410, &json!("disposed")), "{gone}");
    user.run(["show", &decision]).ends(2).complains("disposed of: class `standard`");
    let (_, verified) = user.ask("POST", "/v1/verify", "");
    assert_eq!((&verified["clean"], &verified["records"]["disposed"]), (&json!(true), &json!(2)));
    user.run(["engine", "--stop"]).ends(0);
    user.run(["verify"]).ends(0);
}

/// The words of a line as a shell splits it: quotes hold together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let mut words: Vec<String> = Vec::new();
    for (at, part) in parts {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Every command of the guide works as it stands there.
#[test]
fn the_guide_is_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/retention.md");
    let page = std::fs::read_to_string(page).unwrap();
    let indented: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let is_command = |line: &&str| line.starts_with("minutebook ");
    let settings: Vec<&str> = indented.iter().copied().take_while(|line| !is_command(line)).collect();
    let user = User::with_trail();
    user.write("retention.toml", settings.join("\n"));
    user.record(&churn("applicant-7"));
    let mut shown = None;
    let mut count = 0;
    for command in indented.iter().copied().filter(is_command) {
        let ran: Ran = user.run(&words(command)[1..]);
        count += 1;
        if command.contains(" erase ") {
            shown = Some(ran.ends(2).err);
        } else {
            assert_eq!(ran.exit, 0, "{command}\n{}\n{}", ran.out, ran.err);
        }
    }
    assert_eq!(count, 11);
    // What the refusal looks like, but for its date.
    let without_date = |text: &str| -> String {
        text.split_whitespace().filter(|word| !word.ends_with('Z')).collect::<Vec<_>>().join(" ")
    };
    let page_has = indented.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert_eq!(without_date(shown.unwrap().trim()), without_date(page_has));
    let report: Value = user.run(["verify", "--json"]).ends(0).json().remove(0);
    assert_eq!(report["clean"], true);
}
