use std::fs;

use serde_json::json;

use crate::program::{User, copy, decisions};

fn segments(user: &User) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(user.path("trail/segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    all
}

#[test]
fn one_changed_byte_is_found_and_named() {
    let user = User::with_trail();
    user.record(&decisions(50));
    let biggest = &segments(&user)[0];
    let mut bytes = fs::read(biggest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(biggest, bytes).unwrap();
    let name = format!("segments/{}", biggest.file_name().unwrap().to_str().unwrap());
    for level in ["0", "1", "2"] {
        let ran = user.run(["verify", "--level", level]).ends(1);
        ran.prints("This trail is not as it was sealed: problems in 1 place")
            .prints(&name)
            .prints("its bytes were changed");
    }
    let report = user.run(["verify", "--json"]).ends(1).json().remove(0);
    assert_eq!(report["clean"], json!(false));
    let named =
        |finding: &serde_json::Value| finding["severity"] == "problem" && finding["object"] == json!(name);
    assert!(report["findings"].as_array().unwrap().iter().any(named), "{report}");
    assert!(!user.path("home/.local/state").exists(), "a trail with problems is not remembered");
}

/// A trail's folder in the place of a proof file was answered with clap's demand for `--policy`.
#[test]
fn a_trail_may_be_named_as_what_is_verified() {
    let user = User::with_trail();
    user.record(&decisions(3));
    fs::rename(user.path("trail"), user.path("moved")).unwrap();
    user.run(["verify", "moved"]).ends(0).prints("nothing outside vouches");
    user.run(["verify", "moved/", "--level", "0"]).ends(0);
    user.run(["verify", "."]).ends(2).complains("no trail");
    user.run(["verify", "nothing"]).ends(2).complains("is no folder, and a proof file needs a policy");
}

#[test]
fn a_trail_that_was_rolled_back_is_found_because_it_was_seen() {
    let user = User::with_trail();
    user.record(&decisions(3));
    copy(&user.path("trail"), &user.path("older"));
    user.record(&decisions(3));
    user.run(["verify", "--no-remember"]).ends(0).prints("nothing outside vouches");
    user.run(["verify"]).ends(0);
    user.run(["verify"]).ends(0).prints("that was seen here before");

    fs::remove_dir_all(user.path("trail")).unwrap();
    copy(&user.path("older"), &user.path("trail"));
    user.run(["verify", "--no-remember"]).ends(0);
    user.run(["verify"]).ends(1).prints("rolled back");
    user.run(["verify"]).ends(1).prints("rolled back");
}

#[test]
fn beside_an_engine_at_work_problems_that_last_are_found() {
    let user = User::with_trail();
    user.record(&decisions(3));
    let mut recording = user.start(["record", "--ack", "sealed"]);
    recording.write(&decisions(1));
    recording.wait_for_lines(1);
    user.run(["verify"]).ends(0);
    user.write("trail/segments/foreign", "x");
    user.run(["verify"]).ends(1).complains("looking a second time").prints("segments/foreign");
    recording.finish().ends(0);
}

#[test]
fn what_was_seen_cannot_be_lost_silently() {
    let user = User::with_trail();
    user.record(&decisions(1));
    user.run(["verify"]).ends(0);
    let seen =
        fs::read_dir(user.path("home/.local/state/minutebook/seen")).unwrap().next().unwrap().unwrap().path();
    fs::write(&seen, "format = 5").unwrap();
    user.run(["verify"]).ends(2).complains("which says what was seen of this trail before, is damaged");
    user.run(["verify", "--no-remember"]).ends(0);
}

#[test]
fn a_proof_is_checked_with_nothing_but_a_policy() {
    let user = User::with_trail();
    let ids = user.record(&decisions(30));
    fs::write(user.path("policy"), user.run(["key", "show", "--policy"]).ends(0).out).unwrap();
    user.run(["receipt", &ids[7], "-o", "bare.proof"]).ends(0).complains("wrote `bare.proof`");
    user.run(["receipt", &ids[7], "-o", "shown.proof", "--disclose", "outputs,inputs/amount"]).ends(0);
    user.run(["receipt", &ids[7], "--disclose", "inputs/nothing"])
        .ends(2)
        .complains("no field inputs/nothing");

    // Somebody else, with the two files only.
    let auditor = User::new();
    for name in ["policy", "bare.proof", "shown.proof"] {
        fs::copy(user.path(name), auditor.path(name)).unwrap();
    }
    let bare = auditor.run(["verify", "bare.proof", "--policy", "policy"]).ends(0);
    bare.prints("The proof holds.").prints(&ids[7]).prints("What the record says is not part of this proof");
    let shown = auditor.run(["verify", "shown.proof", "--policy", "policy"]).ends(0);
    let shown = shown.prints("inputs/amount    7.5").prints("outputs/approve  false");
    assert!(!shown.out.contains("person-7") && !shown.out.contains("car"), "{}", shown.out);
    let report =
        auditor.run(["verify", "shown.proof", "--policy", "policy", "--json"]).ends(0).json().remove(0);
    assert_eq!(report["record"]["inputs"], json!({"amount": 7.5}));

    let proof = fs::read_to_string(auditor.path("shown.proof")).unwrap();
    let at = proof.find("extra ").unwrap() + 200;
    let changed =
        format!("{}{}{}", &proof[..at], if &proof[at..=at] == "A" { "B" } else { "A" }, &proof[at + 1..]);
    auditor.write("changed.proof", changed);
    auditor.run(["verify", "changed.proof", "--policy", "policy"]).ends(1).prints("The proof does not hold");
    auditor.run(["verify", "policy", "--policy", "policy"]).ends(1).prints("it is not a proof file");
    auditor.run(["verify", "shown.proof"]).ends(2).complains("--policy");
    auditor
        .run(["verify", "shown.proof", "--policy", "policy", "--level", "1"])
        .ends(2)
        .complains("`--level` is for a trail");
    auditor.run(["verify", "shown.proof", "--policy", "shown.proof"]).ends(2).complains("is no policy");
    auditor.run(["verify", "nothing", "--policy", "policy"]).ends(2).complains("cannot read `nothing`");

    // A policy that believes another log.
    let other = User::with_trail();
    fs::write(auditor.path("other"), other.run(["key", "show", "--policy"]).out).unwrap();
    auditor.run(["verify", "shown.proof", "--policy", "other"]).ends(1).prints("The proof does not hold");
}

#[test]
fn an_auditor_verifies_with_keys_that_read_nothing() {
    let user = User::with_trail();
    user.record(&decisions(30));
    user.run(["key", "export", "--audit", "-o", "audit.toml"]).ends(0);
    user.run(["key", "export", "--audit", "-o", "audit.toml"]).ends(2).complains("cannot write `audit.toml`");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(user.path("audit.toml")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "for its owner only");
    fs::rename(user.path("keys"), user.path("elsewhere")).unwrap();
    let verify = ["verify", "--audit-keys", "audit.toml"];
    user.run(verify).ends(0).prints("Level 1, the numbers: number, leaf and place of each record, in all");
    user.run(verify.into_iter().chain(["--level", "2"])).ends(2).complains("level 2 needs other keys");
    user.run(["verify"]).ends(0).complains("only the log is verified").prints("Level 0");
    user.run(["verify", "--level", "2"]).ends(3).complains("no keys in `");
}

#[test]
fn an_erased_subject_can_be_read_by_nobody_and_the_trail_stays_provable() {
    let user = User::with_trail();
    let ids = user.record(&decisions(30));
    user.run(["receipt", &ids[3], "-o", "before.proof"]).ends(0);
    let erase = ["erase", "person-3", "--ground", "GDPR Art. 17", "--by", "the privacy officer"];
    user.run(erase).ends(2).complains("add --yes if it is meant");
    user.run(["show", &ids[3]]).ends(0).prints("person-3");
    let certificate = user.run(erase.into_iter().chain(["--yes"])).ends(0);
    let certificate =
        certificate.prints("Certificate of erasure").prints("GDPR Art. 17").prints("the privacy officer");
    assert!(
        !certificate.out.contains("person-3") && !certificate.err.contains("person-3"),
        "it names nobody"
    );
    user.run(["show", &ids[3]]).ends(0).prints("erased:").prints("What can still be proved");
    user.run(["show", &ids[4]]).ends(0).prints("person-4");
    user.run(["list", "--kind", "erasure", "--json"]).ends(0).prints("GDPR Art. 17");
    user.run(["verify"]).ends(0).prints("(3 erased)");
    fs::write(user.path("policy"), user.run(["key", "show", "--policy"]).out).unwrap();
    user.run(["verify", "before.proof", "--policy", "policy"]).ends(0);
    user.run(["receipt", &ids[3]]).ends(0);
    user.run(erase.into_iter().chain(["--yes"])).ends(2).complains("no such subject");
    user.feed(["erase", "-", "--ground", "asked", "--yes", "--json"], "person-4\n").ends(0);
    user.run(["show", &ids[4]]).ends(0).prints("erased:");
}

#[test]
fn keys_are_rotated_and_everything_goes_on() {
    let user = User::with_trail();
    let ids = user.record(&decisions(5));
    user.run(["verify"]).ends(0);
    let before = user.run(["key", "show", "--json"]).ends(0).json().remove(0);
    user.run(["key", "rotate"]).ends(2);
    user.run(["key", "rotate", "--key-encryption"]).ends(0).complains("Back the key folder up now");
    user.run(["key", "rotate", "--signing"]).ends(0).prints("signing key rotated");
    let after = user.run(["key", "show", "--json"]).ends(0).json().remove(0);
    assert_ne!(before["key_encryption"], after["key_encryption"]);
    assert_ne!(before["log_key"], after["log_key"]);
    assert_eq!(after["earlier_log_keys"], json!([before["log_key"]]));
    user.record(&decisions(5));
    user.run(["show", &ids[0]]).ends(0);
    user.run(["verify"]).ends(0).prints("that was seen here before");
}
