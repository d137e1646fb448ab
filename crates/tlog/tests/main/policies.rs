//! Policy files, and checkpoints judged by them.

use minutebook_tlog::limits::{POLICY_BYTES_MAX, POLICY_GROUPS_MAX, POLICY_LOGS_MAX, POLICY_WITNESSES_MAX};
use minutebook_tlog::{
    Checkpoint, CheckpointError, KeyError, NoteError, Policy, PolicyError, PolicyProblem, PolicyRefusal,
    SignedNote, Threshold, TreeHead, Word, leaf_hash,
};

use crate::keys::{cosigner, name, signer};

const ORIGIN: &str = "trail.example/credit";

fn log_key() -> String {
    signer(ORIGIN, 1).verifier_key().to_string()
}

fn witness_key(number: u8) -> String {
    cosigner(&format!("witness.example/{number}"), 100 + number).verifier_key().to_string()
}

fn word(word: &str) -> Word {
    Word::new(word).unwrap()
}

/// The form of the example in tlog-policy, "Example policy".
pub(crate) fn example() -> String {
    let keys: Vec<String> = (1..=6).map(witness_key).collect();
    let [x1, x2, x3, y1, y2, y3] = keys.as_slice() else { unreachable!() };
    format!(
        "log {}\n\nwitness X1 {x1}\nwitness X2 {x2}\nwitness X3 {x3}\ngroup X-witnesses 2 X1 X2 X3\n\n\
         \t # their people\nwitness Y1 {y1}\nwitness Y2 {y2}  https://y2.example/\nwitness\tY3\t{y3} \n\
         group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        log_key()
    )
}

/// A checkpoint cosigned by these witnesses, at times that are their numbers.
fn checkpoint(witnesses: &[u8]) -> SignedNote {
    let head = TreeHead { size: 7.into(), root: leaf_hash(b"root") };
    let mut note = Checkpoint::new(&name(ORIGIN), head).unwrap().sign(&signer(ORIGIN, 1)).unwrap();
    for number in witnesses {
        let witness = cosigner(&format!("witness.example/{number}"), 100 + number);
        note.add_signature(witness.cosign(&note, (*number).into()).unwrap()).unwrap();
    }
    note
}

#[test]
fn the_specifications_example() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    assert_eq!(policy.witnesses()[4].url, Some(word("https://y2.example/")));
    assert_eq!(policy.quorum(), Some(&word("X-and-Y")));
    assert!(policy.needs_witnesses());
    let met: [&[u8]; 4] = [&[1, 2, 4], &[2, 3, 6], &[1, 2, 3, 4, 5, 6], &[5, 3, 1, 77]];
    for witnesses in met {
        let accepted = policy.check(&checkpoint(witnesses)).map(|accepted| {
            assert_eq!(accepted.log, &policy.logs()[0]);
            assert_eq!(accepted.checkpoint.size().get(), 7);
            accepted.witnesses.iter().map(|witnessed| witnessed.unix_seconds).collect::<Vec<_>>()
        });
        let mut known: Vec<u64> =
            witnesses.iter().map(|number| (*number).into()).filter(|time| *time < 7).collect();
        known.sort_unstable();
        assert_eq!(accepted, Ok(known), "{witnesses:?}");
    }
    let unmet: [(&[u8], usize); 5] =
        [(&[], 0), (&[1, 4], 2), (&[1, 2, 3], 3), (&[4, 5, 6], 3), (&[77, 78, 4], 1)];
    for (witnesses, cosigned) in unmet {
        let refusal = PolicyRefusal::Quorum { quorum: word("X-and-Y"), cosigned };
        assert_eq!(policy.check(&checkpoint(witnesses)), Err(refusal), "{witnesses:?}");
    }
}

#[test]
fn writing_a_policy_gives_the_same_again() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let file = policy.to_bytes();
    assert_eq!(Policy::parse(&file).as_ref(), Ok(&policy));
    let text = String::from_utf8(file).unwrap();
    let expected: String = example()
        .lines()
        .filter(|line| !line.is_empty() && !line.contains('#'))
        .fold(String::new(), |lines, line| {
            lines + line.split_whitespace().collect::<Vec<_>>().join(" ").as_str() + "\n"
        });
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&text), sorted(&expected));

    let mut built = Policy::default();
    built.add_log(log_key().parse().unwrap(), Some(word("https://trail.example/credit/"))).unwrap();
    built.add_witness(word("w"), witness_key(1).parse().unwrap(), None).unwrap();
    built.add_witness(word("v"), witness_key(2).parse().unwrap(), None).unwrap();
    built.add_group(word("g"), Threshold::AtLeast(2), &[word("w"), word("v")]).unwrap();
    built.set_quorum(&word("g")).unwrap();
    let expected = format!(
        "log {} https://trail.example/credit/\nwitness w {}\nwitness v {}\ngroup g all w v\nquorum g\n",
        log_key(),
        witness_key(1),
        witness_key(2)
    );
    assert_eq!(String::from_utf8(built.to_bytes()).unwrap(), expected);
    assert_eq!(Policy::parse(expected.as_bytes()), Ok(built));
}

#[test]
fn quorum_none_and_quorum_of_one() {
    let none = Policy::parse(format!("log {}\nquorum none\n", log_key()).as_bytes()).unwrap();
    assert_eq!((none.needs_witnesses(), none.quorum()), (false, None));
    assert!(none.check(&checkpoint(&[])).is_ok());

    let one = format!("witness w {}\nquorum w\nlog {}\n", witness_key(1), log_key());
    let one = Policy::parse(one.as_bytes()).unwrap();
    assert!(one.check(&checkpoint(&[1])).is_ok());
    let refusal = PolicyRefusal::Quorum { quorum: word("w"), cosigned: 0 };
    assert_eq!(one.check(&checkpoint(&[2])), Err(refusal));
}

#[test]
fn a_checkpoint_needs_the_logs_own_signature() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let signed = checkpoint(&[1, 2, 4]);
    let lines: Vec<String> = signed.to_string().lines().map(|line| format!("{line}\n")).collect();

    // Cosigned by the whole quorum, but not signed by the log.
    let unsigned = lines[..4].concat() + &lines[5..].concat();
    let refusal = PolicyRefusal::LogSignatureMissing { origin: ORIGIN.to_owned() };
    assert_eq!(policy.check(&SignedNote::parse(unsigned.as_bytes()).unwrap()), Err(refusal.clone()));
    // Nobody known has signed at all.
    let nobody =
        lines[..4].concat() + &signer("elsewhere", 9).sign(signed.text()).unwrap().to_string() + "\n";
    assert_eq!(policy.check(&SignedNote::parse(nobody.as_bytes()).unwrap()), Err(refusal));

    // Another log of the policy cannot sign for this one.
    let two = format!("log {}\nlog {}\nquorum none\n", log_key(), signer("b.example", 2).verifier_key());
    let two = Policy::parse(two.as_bytes()).unwrap();
    let text = signed.text().to_owned();
    let foreign = SignedNote::sign(text.clone(), &signer("b.example", 2)).unwrap();
    assert_eq!(two.check(&foreign), Err(PolicyRefusal::LogSignatureMissing { origin: ORIGIN.to_owned() }));
    let unknown = text.replace(ORIGIN, "c.example");
    let unknown = SignedNote::sign(unknown, &signer("b.example", 2)).unwrap();
    assert_eq!(two.check(&unknown), Err(PolicyRefusal::LogUnknown { origin: "c.example".to_owned() }));
    let no_logs = Policy::parse(b"quorum none\n").unwrap();
    assert_eq!(no_logs.check(&signed), Err(PolicyRefusal::LogUnknown { origin: ORIGIN.to_owned() }));

    // A known witness's wrong signature rejects, although the quorum is met without it.
    let mut tainted = signed;
    let other = checkpoint(&[]).text().replace("\n7\n", "\n8\n");
    let other = SignedNote::sign(other, &signer(ORIGIN, 1)).unwrap();
    tainted.add_signature(cosigner("witness.example/5", 105).cosign(&other, 5).unwrap()).unwrap();
    assert!(matches!(policy.check(&tainted), Err(PolicyRefusal::Note(NoteError::BadSignature { .. }))));
    let text = SignedNote::sign("text\n", &signer(ORIGIN, 1)).unwrap();
    let refusal = PolicyRefusal::Checkpoint(CheckpointError::TooFewLines { lines: 1 });
    assert_eq!(policy.check(&text), Err(refusal));
}

/// A log may have several keys: after a rotation either counts. A witness that signed twice counts with its later time.
#[test]
fn several_keys_and_several_times() {
    let new_key = signer(ORIGIN, 2).verifier_key().to_string();
    let file = format!("log {new_key}\nlog {}\nwitness w {}\nquorum w\n", log_key(), witness_key(1));
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let mut note = checkpoint(&[1]);
    assert_eq!(policy.check(&note).unwrap().log, &policy.logs()[1]);
    let witness = cosigner("witness.example/1", 101);
    note.add_signature(witness.cosign(&note, 500).unwrap()).unwrap();
    note.add_signature(witness.cosign(&note, 400).unwrap()).unwrap();
    let accepted = policy.check(&note).unwrap();
    assert_eq!((accepted.witnesses.len(), accepted.witnesses[0].unix_seconds), (1, 500));
    assert_eq!(accepted.witnesses[0].witness.name, word("w"));
}

#[test]
fn malformed_policies_are_refused() {
    use PolicyProblem as P;
    let (log, w1, w2) = (log_key(), witness_key(1), witness_key(2));
    let renamed = cosigner("another.name", 101).verifier_key().to_string();
    let log_renamed = signer("another.name", 1).verifier_key().to_string();
    let two = format!("witness a {w1}\nwitness b {w2}\n");
    let word = |text: &str| Word::new(text).unwrap();
    let (log_form, witness_form) = ("log <vkey> [<url>]", "witness <name> <vkey> [<url>]");
    let (group_form, quorum_form) = ("group <name> all|any|<k> <name>...", "quorum <name>|none");
    let table = [
        ("quorum none".to_owned(), 1, P::LineEnd),
        ("\n# comment\n quorum none".to_owned(), 3, P::LineEnd),
        ("quorum none\r\n".to_owned(), 1, P::ControlCharacter { octet: b'\r' }),
        ("# \x7f\n".to_owned(), 1, P::ControlCharacter { octet: 0x7F }),
        ("\nmonitor a\n".to_owned(), 2, P::Keyword { word: word("monitor") }),
        ("Quorum none\n".to_owned(), 1, P::Keyword { word: word("Quorum") }),
        ("quorum\u{a0}none\n".to_owned(), 1, P::Keyword { word: word("quorum\u{a0}none") }),
        ("log\n".to_owned(), 1, P::Items { form: log_form }),
        (format!("log {log} url more\n"), 1, P::Items { form: log_form }),
        ("log key\n".to_owned(), 1, P::Key(KeyError::Parts)),
        (format!("log {w1}\n"), 1, P::LogKeyKind),
        (format!("log {log}\nlog {log} url\n"), 2, P::DuplicateKey),
        (format!("log {log}\nlog {log_renamed}\n"), 2, P::DuplicateKey),
        (format!("witness {w1}\n"), 1, P::Items { form: witness_form }),
        (format!("witness a {w1} url more\n"), 1, P::Items { form: witness_form }),
        (format!("witness a {log}\n"), 1, P::WitnessKeyKind),
        (format!("witness none {w1}\n"), 1, P::NameNone),
        (format!("witness a {w1}\nwitness b {renamed}\n"), 2, P::DuplicateKey),
        (format!("witness a {w1}\nwitness a {w2}\n"), 2, P::DuplicateName { name: word("a") }),
        (format!("{two}group g all\n"), 3, P::Items { form: group_form }),
        (format!("{two}group g all c\n"), 3, P::UnknownName { name: word("c") }),
        (format!("{two}group g any g\n"), 3, P::UnknownName { name: word("g") }),
        (format!("{two}group g any none\n"), 3, P::UnknownName { name: word("none") }),
        (format!("{two}group a any b\n"), 3, P::DuplicateName { name: word("a") }),
        (format!("{two}group none any b\n"), 3, P::NameNone),
        (format!("{two}group g 0 a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g 3 a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g 01 a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g +1 a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g most a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g 99999999999999999999 a b\n"), 3, P::Threshold { members: 2 }),
        (format!("{two}group g any a a\n"), 3, P::MemberTwice { name: word("a") }),
        (format!("{two}group g any a\ngroup h any a b\n"), 4, P::MemberTwice { name: word("a") }),
        ("quorum\n".to_owned(), 1, P::Items { form: quorum_form }),
        ("quorum a b\n".to_owned(), 1, P::Items { form: quorum_form }),
        ("quorum a\n".to_owned(), 1, P::UnknownName { name: word("a") }),
        (format!("quorum a\nwitness a {w1}\n"), 1, P::UnknownName { name: word("a") }),
        (format!("{two}quorum none\nquorum a\n"), 4, P::SecondQuorum),
    ];
    for (file, line, problem) in table {
        assert_eq!(Policy::parse(file.as_bytes()), Err(PolicyError::Line { line, problem }), "{file}");
    }
    assert_eq!(Policy::parse(b""), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(two.as_bytes()), Err(PolicyError::NoQuorum));
    let bytes = POLICY_BYTES_MAX + 1;
    assert_eq!(Policy::parse(&vec![b'\n'; bytes]), Err(PolicyError::TooLong { bytes }));
    let error = Policy::parse(b"\nquorum a\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2 of the policy: no witness or group `a` on the lines above");
    assert_eq!(Word::new(""), Err(P::NotAWord));
    assert_eq!(Word::new("a b"), Err(P::NotAWord));
}

/// Names and comments are octets: no UTF-8 is asked for (tlog-policy, "Character set").
#[test]
fn names_are_opaque_octets() {
    let mut file = b"# caf\xe9\nwitness K\xff ".to_vec();
    file.extend(witness_key(1).bytes());
    file.extend(b"\nquorum K\xff\n");
    let policy = Policy::parse(&file).unwrap();
    assert_eq!(policy.quorum().map(Word::as_bytes), Some(&b"K\xff"[..]));
    assert_eq!(policy.to_bytes(), file[7..]);
    let key = Policy::parse(b"log \xff\n");
    assert_eq!(key, Err(PolicyError::Line { line: 1, problem: PolicyProblem::KeyNotUtf8 }));
}

#[test]
fn as_many_as_the_limits_and_no_more() {
    let mut policy = Policy::default();
    for number in 0..POLICY_LOGS_MAX {
        policy.add_log(signer("log", number as u8).verifier_key().clone(), None).unwrap();
    }
    let more = policy.add_log(signer("log", 200).verifier_key().clone(), None);
    assert_eq!(more, Err(PolicyProblem::TooManyLogs));
    let names: Vec<Word> = (0..POLICY_WITNESSES_MAX).map(|number| word(&number.to_string())).collect();
    for (number, name) in names.iter().enumerate() {
        policy.add_witness(name.clone(), cosigner("w", number as u8).verifier_key().clone(), None).unwrap();
    }
    let more = policy.add_witness(word("more"), cosigner("w", 200).verifier_key().clone(), None);
    assert_eq!(more, Err(PolicyProblem::TooManyWitnesses));
    // Each group in the next: nested as deep as can be.
    let mut inner = names[0].clone();
    for number in 0..POLICY_GROUPS_MAX {
        let name = word(&format!("group-{number}"));
        policy.add_group(name.clone(), Threshold::Any, &[inner]).unwrap();
        inner = name;
    }
    let more = policy.add_group(word("more"), Threshold::Any, &[inner.clone()]);
    assert_eq!(more, Err(PolicyProblem::TooManyGroups));
    policy.set_quorum(&inner).unwrap();
    assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
}
