use crate::program::{User, decision, decisions};

#[test]
fn ids_come_in_the_order_of_the_input_and_every_one_can_be_shown() {
    let user = User::with_trail();
    let ids = user.record(&decisions(100));
    assert_eq!(ids.len(), 100);
    for number in [0, 42, 99] {
        let shown = user.run(["show", &ids[number], "--json"]).ends(0);
        assert_eq!(shown.json()[0]["inputs"]["amount"], number as f64 + 0.5);
    }
    user.run(["verify"])
        .ends(0)
        .prints("Everything that is here is as it was sealed.")
        .prints("100 numbers drawn: 100 kept");
}

#[test]
fn a_file_is_read_as_well_as_standard_input_and_json_tells_the_lines() {
    let user = User::with_trail();
    user.write("in.jsonl", format!("\u{feff}{}\r\n\n{}", decision(1), decision(2)));
    let acknowledged = user.run(["record", "in.jsonl", "--json"]).ends(0).json();
    let lines: Vec<_> = acknowledged.iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn lines_that_are_wrong_are_told_and_the_rest_goes_on() {
    let user = User::with_trail();
    let lines =
        [&decision(1), r#"{"inputs": {}}"#, "{\"subject\": \"Jane Roe\" oops", "", &decision(2)].join("\n");
    let ran = user.feed(["record"], &lines).ends(2);
    assert_eq!(ran.lines().len(), 2);
    let ran = ran
        .complains("error: line 2: member `model` is missing")
        .complains("error: line 3: not JSON: expected `,` or `}` at column 24")
        .complains("2 lines were wrong and not recorded");
    assert!(!ran.err.contains("Jane"), "{}", ran.err);
    assert_eq!(user.run(["list", "--json"]).json().len(), 2, "the good ones are sealed");
}

#[test]
fn strict_stops_at_the_first_line_that_is_wrong() {
    let user = User::with_trail();
    let lines = [&decision(1), "oops", &decision(2)].join("\n");
    let ran = user.feed(["record", "--strict"], &lines).ends(2).complains("error: line 2");
    assert_eq!(ran.lines().len(), 1, "what came before is acknowledged");
    assert_eq!(user.run(["list", "--json"]).json().len(), 1);
}

#[test]
fn each_line_is_acknowledged_while_the_next_one_is_awaited() {
    let user = User::with_trail();
    for level in ["process", "disk", "sealed"] {
        let mut running = user.start(["record", "--ack", level]);
        for number in 1..=3 {
            running.write(&(decision(number) + "\n"));
            let ids = running.wait_for_lines(number);
            if level == "sealed" {
                user.run(["show", &ids[number - 1]]).ends(0).prints("seal");
            }
        }
        running.finish().ends(0);
    }
    user.run(["verify"]).ends(0);
}

#[test]
fn an_interrupt_seals_what_there_is() {
    let user = User::with_trail();
    let mut running = user.start(["record"]);
    running.write(&decisions(5));
    let ids = running.wait_for_lines(5);
    running.interrupt();
    running.ended().ends(0).complains("5 recorded and sealed");
    for id in &ids {
        user.run(["show", id]).ends(0);
    }
    user.run(["verify"]).ends(0).prints("closed");
}

#[test]
fn while_another_engine_works_sealing_is_left_to_it() {
    let user = User::with_trail();
    let mut first = user.start(["record", "--ack", "sealed"]);
    first.write(&decisions(1));
    first.wait_for_lines(1);

    let mut second = user.start(["record", "--producer", "second", "--ack", "sealed"]);
    second.wait_for_word("another engine works on this trail");
    second.write(&decisions(2));
    // What the first one is asked to seal brings the second one's records along.
    first.write(&(decision(3) + "\n"));
    first.wait_for_lines(2);
    second.wait_for_lines(2);
    second.finish().ends(0).complains("2 recorded");
    user.run(["seal"]).ends(5).complains("is in use by another engine");
    first.finish().ends(0);

    user.run(["verify"]).ends(0);
    assert_eq!(user.run(["list", "--json"]).json().len(), 4);
}

#[test]
fn without_sealing_records_wait_in_the_spool_and_need_no_keys() {
    let user = User::with_trail();
    let ran = user.feed(["--keys", "nowhere", "record"], &decisions(1)).ends(3);
    ran.complains("no keys in `").complains("--no-seal");
    let ran = user.feed(["--keys", "nowhere", "record", "--no-seal"], &decisions(3)).ends(0);
    let id = ran.lines()[0].to_owned();
    user.run(["show", &id]).ends(2).complains("may still wait in the spool: `minutebook seal`");
    user.run(["seal"]).ends(0).prints("sealed ");
    user.run(["seal"]).ends(0).prints("nothing to seal");
    user.run(["show", &id]).ends(0);
    user.run(["record", "--no-seal", "--ack", "sealed"]).ends(2).complains("would wait for ever");
}

#[test]
fn what_one_trail_prints_another_one_records_with_the_same_fields() {
    let user = User::with_trail();
    user.record(&decisions(20));
    user.record(r#"{"kind": "outcome", "outcome": {"defaulted": true, "at": {"$date": "2026-11-21"}}}"#);
    let printed = user.run(["list", "--json", "--oldest", "--limit", "0"]).ends(0);
    user.run(["--trail", "other", "--keys", "other-keys", "init"]).ends(0);
    let other = ["--trail", "other", "--keys", "other-keys"];
    user.feed(other.into_iter().chain(["record"]), &printed.out)
        .ends(2)
        .complains("`id`: the trail gives this itself");
    user.feed(other.into_iter().chain(["record", "--reimport"]), &printed.out).ends(0);
    let again = user.run(other.into_iter().chain(["list", "--json", "--oldest", "--limit", "0"])).ends(0);
    let fields = |ran: &crate::program::Ran| {
        let mut records = ran.json();
        for record in &mut records {
            for added in ["id", "seq", "producer", "epoch", "sealed"] {
                record.as_object_mut().unwrap().remove(added);
            }
        }
        // Within one time the order is that of the ids.
        records.sort_by_key(|record| record.to_string());
        records
    };
    assert_eq!(fields(&printed), fields(&again));
}

#[test]
fn quiet_says_nothing() {
    let user = User::with_trail();
    let ran = user.feed(["record", "-q"], &decisions(2)).ends(0);
    assert_eq!(ran.err, "");
}
