use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::program::{User, decision};

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[test]
fn a_person_gets_all_that_is_recorded_about_them_with_proofs() {
    let user = User::with_trail();
    let decided = |subject: Value, amount: i64| {
        let model = json!({"name": "credit", "version": "1"});
        let (inputs, outputs) = (json!({"amount": amount}), json!({"approve": false}));
        json!({"model": model, "inputs": inputs, "outputs": outputs, "subject": subject})
    };
    let anns = [decided(json!("ann"), 1), decided(json!("ben"), 2), decided(json!(["ann", "cat"]), 3)];
    let ids = user.record(&lines(&anns));
    let linked = json!({"kind": "outcome", "outcome": {"defaulted": true}, "links": [ids[0]]});
    let outcome = user.record(&lines(&[linked])).remove(0);
    user.engine(&[]);

    let found = user.feed(["access-request", "-", "--json"], "ann\n").ends(0).json();
    let mut found: Vec<&str> = found.iter().map(|record| record["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected = [&*ids[0], &*ids[2], &*outcome];
    expected.sort_unstable();
    assert_eq!(found, expected);
    user.run(["access-request", "ann"]).ends(0).prints(&outcome).prints("defaulted");

    let told = user.run(["access-request", "ann", "--output", "for-ann", "--json"]).ends(0);
    let told = told.complains("about other persons too").json().remove(0);
    assert_eq!(
        (&told["records"], &told["receipts"], &told["about_others_too"]),
        (&json!(3), &json!(3), &json!(1))
    );
    let folder = user.path("for-ann");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(folder.join("records.txt")).unwrap().permissions().mode() & 0o777, 0o600);
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(text("records.jsonl").lines().count(), 3);
    assert!(!text("records.txt").contains('\u{1b}') && !text("records.txt").contains(&ids[1]));
    let readme = text("README.txt");
    assert!(readme.contains("about 2 persons") && expected.iter().all(|id| readme.contains(id)), "{readme}");
    for id in expected {
        let receipt = format!("for-ann/receipts/{id}.tlog-proof");
        let proved = user
            .run(["verify", &receipt, "--policy", "for-ann/policy.txt", "--json"])
            .ends(0)
            .json()
            .remove(0);
        assert_eq!((&proved["id"], &proved["record"]["readable"]), (&json!(id), &json!(true)));
    }

    user.run(["access-request", "ann", "-o", "for-ann"])
        .ends(2)
        .complains("name a folder that is not there yet");
    user.run(["access-request", "nobody", "-o", "for-nobody"]).ends(2).complains("no such subject");
    assert!(!user.path("for-nobody").exists() && !user.path("for-nobody.unfinished").exists());
    user.feed(["access-request", "-"], "").ends(2).complains("names no subject");
    // Each of these reads is on the record, without whom it was about; that of somebody who is not there too.
    user.run(["access-request", "ann", "--purpose", "request 17"]).ends(0);
    user.engine(&[]);
    let reads = user.run(["list", "--kind", "access", "--json", "-n", "0"]).ends(0).json();
    let actions: Vec<_> = reads.iter().map(|read| &read["access"]["action"]).collect();
    assert!(actions.len() >= 5 && actions.iter().all(|action| **action == "read-person"), "{actions:?}");
    let who = reads[0]["access"]["who"].as_str().unwrap();
    assert!(who.contains("uid "), "{who}");
    assert!(reads.iter().any(|read| read["access"]["purpose"] == "request 17"), "{reads:?}");
    assert!(!json!(reads).to_string().contains("ann"), "{reads:?}");
    // What was just handed over is sealed for it.
    let last = user.record(&(decision(7) + "\n")).remove(0);
    user.run(["access-request", "person-7"]).ends(0).prints(&last);
}
