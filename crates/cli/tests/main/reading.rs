use std::io::Read;
use std::process::Stdio;

use crate::program::{User, decision, decisions};

fn amounts(user: &User, arguments: &[&str]) -> Vec<f64> {
    let ran = user.run(["list", "--json"].iter().chain(arguments)).ends(0);
    ran.json().iter().map(|record| record["inputs"]["amount"].as_f64().unwrap_or(-1.0)).collect()
}

#[test]
fn a_list_is_filtered_ordered_and_limited() {
    let user = User::with_trail();
    user.record(&decisions(6));
    user.record(
        r#"{"kind": "note", "class": "short", "note": {"text": "hello"}, "time": "2026-11-21T10:00:00Z"}"#,
    );
    assert_eq!(amounts(&user, &[]), [-1.0, 5.5, 4.5, 3.5, 2.5, 1.5, 0.5], "the newest first");
    assert_eq!(amounts(&user, &["--limit", "2"]), [-1.0, 5.5]);
    assert_eq!(amounts(&user, &["--limit", "2", "--oldest"]), [0.5, 1.5]);
    assert_eq!(amounts(&user, &["--kind", "note"]), [-1.0]);
    assert_eq!(amounts(&user, &["--model", "credit@1.0.0"]), [4.5, 2.5, 0.5]);
    assert_eq!(amounts(&user, &["--model", "credit", "--limit", "1"]), [5.5]);
    assert_eq!(amounts(&user, &["--model", "other"]), [] as [f64; 0]);
    assert_eq!(
        amounts(&user, &["--since", "2026-11-21T09:02:00Z", "--until", "2026-11-21 09:04"]),
        [4.5, 3.5, 2.5]
    );
    let all = user.run(["list", "--kind", "producer,decision,note", "--limit", "0", "--json"]).json();
    assert!(all.iter().any(|record| record["kind"] == "producer"), "producers' own records on request");
    user.run(["list", "--since", "soon"]).ends(2).complains("not a time");
    user.run(["list", "--kind", "secret"]).ends(2).complains("not a kind; kinds are decision");
}

#[test]
fn a_table_shows_subjects_on_request_only() {
    let user = User::with_trail();
    let ids = user.record(&decisions(2));
    let table = user.run(["list"]).ends(0).prints(&ids[0]).prints("credit 1.0.0").prints("approve true");
    assert!(!table.out.contains("person-"), "{}", table.out);
    user.run(["list", "--subjects"]).ends(0).prints("SUBJECT").prints("person-1");
    assert_eq!(User::with_trail().run(["list"]).ends(0).out, "", "no records, no titles");
}

#[test]
fn a_record_is_shown_in_full() {
    let user = User::with_trail();
    let line = r#"{"model": {"name": "credit", "version": "1"}, "inputs": {"a": 1}, "outputs": {"p": 0.25},
        "explanation": {"method": "shap", "base": 0.5, "attributions": {"a": -0.25}}, "subject": "Jane Roe"}"#;
    let id = &user.record(&line.replace('\n', " "))[0];
    let shown = user
        .run(["show", id])
        .ends(0)
        .prints("subject   Jane Roe")
        .prints("-0.25")
        .prints("█│")
        .prints("entry 1 of the");
    assert!(!shown.out.contains('\u{1b}'), "no styles where no terminal is");
    let ascii = user.run(["show", id, "--ascii"]).ends(0).prints("##|");
    assert!(ascii.out.is_ascii());
    user.run(["show", id, "--json", "--types"]).ends(0).prints(r#"[["inputs","a"],"i64"]"#);
    user.run(["show", "0193a1b2-0000-7000-8000-000000000000"]).ends(2).complains("no record 0193a1b2-0000");
    user.run(["show", "x"]).ends(2).complains("not the id of a record");
}

#[test]
fn the_end_is_shown_and_followed() {
    let user = User::with_trail();
    user.record(&decisions(5));
    let ran = user.run(["tail", "-n", "2", "--json"]).ends(0).json();
    let amounts: Vec<_> = ran.iter().map(|record| record["inputs"]["amount"].as_f64().unwrap()).collect();
    assert_eq!(amounts, [3.5, 4.5], "the newest last");

    let following = user.start(["tail", "-f", "-n", "1", "--json"]);
    following.wait_for_lines(1);
    user.record(&(decision(50) + "\n"));
    let lines = following.wait_for_lines(2);
    assert!(lines[1].contains("50.5"), "{}", lines[1]);
    following.interrupt();
    let ran = following.ended().ends(0);
    assert_eq!(ran.lines().len(), 2, "nothing twice");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let user = User::with_trail();
    user.record(&decisions(3_000));
    let mut child = user
        .command(["list", "--json", "-n", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
