use std::fs;

use serde_json::json;

use crate::program::{User, decision, decisions};

/// A second folder of keys, as somebody who restores elsewhere has them.
const KEYS: [&str; 2] = ["--keys", "kept"];

fn with<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, more].concat()
}

#[test]
fn a_trail_is_backed_up_beside_its_engine_restored_elsewhere_and_promoted() {
    let user = User::with_trail();
    user.engine(&[]);
    user.record(&decisions(20));
    let first = user.run(["backup", "backup", "--json"]).ends(0).json().remove(0);
    assert_eq!(first["copied"], first["objects"]);
    assert_eq!(first["key_copy_due"], json!(true));
    user.run(["key", "copy", "kept", "--expires", "30d"]).ends(0).prints("destroy it by");
    user.record(&decisions(5));
    let second = user.run(["backup", "backup", "--json"]).ends(0).json().remove(0);
    assert!(second["copied"].as_u64() < second["objects"].as_u64(), "{second}");
    assert_eq!(second["key_copy_due"], json!(false));
    assert_eq!(fs::read_dir(user.path("trail/tmp")).unwrap().count(), 1, "only what the engine has to say");

    let restored = user.run(with(&["restore", "backup", "there", "--json"], &KEYS)).ends(0).json().remove(0);
    assert_eq!((&restored["log_size"], &restored["damaged"]), (&second["log_size"], &json!([])));
    user.run(with(&["verify", "there"], &KEYS)).ends(0).prints("this is a copy");
    let listed = user.run(with(&["list", "--trail", "there", "--json", "-n", "0"], &KEYS)).ends(0).json();
    assert_eq!(listed.iter().filter(|record| record["kind"] == "decision").count(), 25);
    user.run(with(&["seal", "--trail", "there"], &KEYS)).ends(3).complains("minutebook promote");
    user.run(with(&["engine", "--detach", "--trail", "there"], &KEYS))
        .ends(3)
        .complains("minutebook promote");

    // What this user has verified since says that the trail went on.
    user.record(&decisions(1));
    user.run(["seal"]).ends(0);
    user.run(["verify"]).ends(0);
    user.run(with(&["promote", "there"], &KEYS))
        .ends(3)
        .complains("a checkpoint that `verify` kept")
        .complains("--fork");
    user.run(with(&["promote", "there", "--fork"], &KEYS)).ends(0).prints("is the trail now");
    user.write("one.ndjson", decision(1) + "\n");
    user.run(with(&["record", "one.ndjson", "--trail", "there", "--ack", "sealed"], &KEYS)).ends(0);
    user.run(with(&["verify", "there", "--no-remember"], &KEYS)).ends(0);
    // The one who kept a checkpoint of the original sees two trails of one name.
    user.run(with(&["verify", "there"], &KEYS)).ends(1);
}

#[test]
fn a_certificate_says_until_when_a_copy_of_the_keys_opens_what_was_erased() {
    let user = User::with_trail();
    let input = r#"{"model": {"name": "m", "version": "1"}, "inputs": {"a": 1}, "outputs": {"b": 2}, "subject": "ann"}"#;
    user.record(&format!("{input}\n"));
    user.run(["backup", "backup"]).ends(0).complains("minutebook key copy");
    user.run(["key", "copy", "kept", "--expires", "2099-01-01T00:00:00Z"]).ends(0);
    user.run(["key", "copy", "kept", "--expires", "2019-01-01"]).ends(2).complains("it is over already");
    user.run(["erase", "ann", "--ground", "a request", "--yes"])
        .ends(0)
        .prints("expires 2099-01-01T00:00:00Z");
    user.run(with(&["restore", "backup", "there", "--promote"], &KEYS))
        .ends(3)
        .prints("1 subjects were erased since, and are again")
        .complains("erased subjects after the backup");
    user.run(with(&["promote", "there", "--fork"], &KEYS)).ends(0).prints("is the trail now");
    let records =
        user.run(with(&["list", "--trail", "there", "--kind", "decision", "--json"], &KEYS)).ends(0).json();
    assert_eq!(records[0]["readable"], json!(false), "{records:?}");
    user.run(with(&["verify", "there", "--no-remember"], &KEYS)).ends(0);
}

#[test]
fn what_is_wrong_with_a_backup_is_told_by_name() {
    let user = User::with_trail();
    user.record(&decisions(3));
    user.run(["restore", "nowhere", "there"]).ends(2).complains("`").complains("is not there");
    user.run(["backup", "gs://bucket/trail"]).ends(2).complains("cannot be reached");
    user.run(["backup", "backup"]).ends(0);
    let segments: Vec<_> =
        fs::read_dir(user.path("backup/segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    fs::write(&segments[0], "rust").unwrap();
    let name = format!("segments/{}", segments[0].file_name().unwrap().to_str().unwrap());
    user.run(["restore", "backup", "there"]).ends(3).complains(&name).complains("--accept-damage");
    user.run(["list", "--trail", "there"]).ends(2).complains("no trail in");
    user.run(["backup", "backup"]).ends(0).complains(&name).complains("is right now");
    user.run(["restore", "backup", "there"]).ends(0);
    user.run(["promote", "trail"]).ends(2).complains("no restored copy");
    user.run(["restore", "backup", "trail"]).ends(2).complains("name a new or an empty folder");
}
