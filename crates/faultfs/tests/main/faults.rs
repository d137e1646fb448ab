//! What a plan does to the operation that it names, and to no other.

use minutebook_faultfs::{Errno, Plan};

use crate::stage::{Stage, tree};

const EIO: Errno = Errno(libc::EIO);
const ENOSPC: Errno = Errno(libc::ENOSPC);

/// Four operations: 1 and 2 write, 3 flushes, 4 renames.
const SCRIPT: &str = "append a +1\n append a +2\n sync a\n rename a b";

#[test]
fn operations_are_numbered_in_order_and_logged() {
    let stage = Stage::with(&[("a", "old"), ("gone/x", "")]);
    stage.succeed(
        "create b\n append b 12345\n datasync b\n recreate a\n truncate b 3\n allocate b 9\n map b 0 x sync
         map b 0 x leave
         mkdirs d/e\n rename b d/e/b\n link a c\n symlink a s\n syncdir .\n unlink c\n rmtree gone\n copy a k",
    );
    let expected = [
        "create b",
        "write b",
        "fdatasync b",
        "truncate a",
        "truncate b",
        "allocate b",
        "msync b",
        "mkdir d",
        "mkdir d/e",
        "rename b d/e/b",
        "link a c",
        "symlink s",
        "fsync-directory ",
        "unlink c",
        "unlink gone/x",
        "rmdir gone",
        "create k",
    ];
    let found = stage.operations();
    // How `std` copies, and in how many calls, is its own affair.
    assert_eq!(&found[..expected.len()], expected);
    let log = stage.session.operations().unwrap();
    assert!(log.iter().map(|operation| operation.number).eq(1..=log.len() as u64));
    assert_eq!(log[1].size_bytes, 5);
}

#[test]
fn calls_that_change_nothing_are_not_counted() {
    let stage = Stage::with(&[("a", "old"), ("d/x", "")]);
    let failing = "unlink none\n rmdir none\n rename none b\n mkdir d\n create a
        link none b\n link a d/x\n symlink a d/x";
    assert!(stage.run(Plan::Count, failing).iter().all(|step| step.starts_with("step failed")));
    assert_eq!(stage.operations(), [""; 0]);
    stage.succeed("mkdirs d\n map a 0 x leave");
    assert_eq!(stage.operations(), [""; 0]);
}

#[test]
fn a_kill_strikes_before_its_operation() {
    for killed in 1..=4 {
        let stage = Stage::with(&[("a", "old")]);
        assert_eq!(stage.run(Plan::KillBefore(killed), SCRIPT).len() as u64, killed - 1);
        assert_eq!(stage.operations().len() as u64, killed, "the one that was not done is logged, too");
        let live = [["a: old"], ["a: old+1"], ["a: old+1+2"], ["a: old+1+2"]][killed as usize - 1];
        assert_eq!(tree(&stage.session.root), live, "before operation {killed}");
        let left = if killed == 4 { ["a: old+1+2"] } else { ["a: old"] };
        assert_eq!(stage.left(), left, "before operation {killed}");
    }
}

#[test]
fn a_kill_after_an_operation_lets_it_happen() {
    let stage = Stage::with(&[("a", "old")]);
    assert_eq!(stage.run(Plan::KillAfter(3), SCRIPT).len(), 2);
    assert_eq!(stage.left(), ["a: old+1+2"]);
    let stage = Stage::with(&[("a", "old")]);
    assert_eq!(stage.run(Plan::KillAfter(4), SCRIPT).len(), 3);
    assert_eq!(
        (tree(&stage.session.root), stage.left()),
        (vec!["b: old+1+2".to_owned()], vec!["a: old+1+2".to_owned()])
    );
}

#[test]
fn a_failed_operation_is_not_done() {
    let stage = Stage::with(&[("a", "old")]);
    let steps = stage.run(Plan::Fail(1, ENOSPC), SCRIPT);
    assert_eq!(steps[0], format!("step failed with {}: append a +1", libc::ENOSPC));
    assert!(steps[1..].iter().all(|step| step.starts_with("step ok")), "{steps:?}");
    assert_eq!(stage.left(), ["a: old+2"]);
    assert_eq!(tree(&stage.session.root), ["b: old+2"]);
}

#[test]
fn each_kind_of_operation_can_fail() {
    let script = "create b\n append b 1\n truncate b 3\n allocate b 9\n map b 0 x sync\n sync b\n datasync b\n syncdir .
        mkdir d\n rename b c\n link a l\n symlink a s\n unlink a\n rmdir e\n recreate f";
    for number in 1..=15 {
        let stage = Stage::with(&[("a", "old"), ("f", "full")]);
        std::fs::create_dir(stage.session.root.join("e")).unwrap();
        let steps = stage.run(Plan::Fail(number, EIO), script);
        let failed = format!("step failed with {}: ", libc::EIO);
        assert!(steps[number as usize - 1].starts_with(&failed), "operation {number}: {steps:#?}");
    }
}

#[test]
fn an_operation_can_be_done_and_reported_failed() {
    for (number, left) in [(1, "a: old+1+2"), (3, "a: old+1+2"), (4, "a: old+1+2")] {
        let stage = Stage::with(&[("a", "old")]);
        let steps = stage.run(Plan::FailDone(number, EIO), SCRIPT);
        assert_eq!(steps.iter().position(|step| step.starts_with("step failed")), Some(number as usize - 1));
        assert_eq!(stage.left(), [left]);
        assert_eq!(tree(&stage.session.root), ["b: old+1+2"]);
    }
}

#[test]
fn a_dead_disk_fails_all_from_then_on() {
    let stage = Stage::with(&[("a", "old")]);
    let steps = stage.run(Plan::FailFrom(2, EIO), SCRIPT);
    assert_eq!(steps.iter().filter(|step| step.starts_with("step failed")).count(), 3);
    assert_eq!(
        (tree(&stage.session.root), stage.left()),
        (vec!["a: old+1".to_owned()], vec!["a: old".to_owned()])
    );
}

#[test]
fn a_full_disk_still_renames_flushes_and_deletes() {
    let stage = Stage::with(&[("a", "old"), ("c", "")]);
    let steps = stage.run(Plan::FailFrom(2, ENOSPC), &format!("{SCRIPT}\n create d\n unlink c\n syncdir ."));
    let failed = steps.iter().filter(|step| step.starts_with("step failed")).collect::<Vec<_>>();
    assert_eq!(
        failed,
        [&format!("step failed with {}: append a +2", libc::ENOSPC), "step failed with 28: create d"]
    );
    assert_eq!(stage.left(), ["b: old+1"]);
}

/// Linux gives up the pages of a failed flush: a flush that is tried again succeeds, and has not written them.
#[test]
fn a_flush_that_is_tried_again_does_not_bring_the_content_back() {
    let stage = Stage::with(&[("a", "old")]);
    assert!(stage.run(Plan::Fail(2, EIO), "retry-sync a new")[0].starts_with("step ok"));
    assert_eq!(stage.left(), ["a: old"]);

    let stage = Stage::with(&[("a", "old")]);
    assert!(stage.run(Plan::Fail(2, EIO), "rewrite-sync a new")[0].starts_with("step ok"));
    assert_eq!(stage.left(), ["a: new"]);

    let stage = Stage::with(&[("a", "old")]);
    stage.run(Plan::Fail(2, EIO), "retry-sync a new\n append a +more\n sync a");
    assert_eq!(stage.left(), ["a: new+more"], "the page was written to again");
}

#[test]
fn processes_of_one_run_share_the_numbering_and_the_disk() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("append a +1\n child append a +2\n append a +3\n child sync a\n append a +4");
    assert_eq!(stage.operations(), ["write a", "write a", "write a", "fsync a", "write a"]);
    assert!(stage.session.operations().unwrap().iter().map(|operation| operation.number).eq(1..=5));
    assert_eq!(stage.left(), ["a: old+1+2+3"]);
}

#[test]
fn threads_share_the_numbering() {
    let stage = Stage::with(&[]);
    stage.succeed("threads 4 25\n syncdir .");
    let log = stage.session.operations().unwrap();
    assert!(log.iter().map(|operation| operation.number).eq(1..=4 + 4 * 50 + 1));
    let expected = (0..4).map(|thread| format!("thread-{thread}: {}", "x".repeat(25))).collect::<Vec<_>>();
    assert_eq!(stage.left(), expected);

    let stage = Stage::with(&[]);
    assert_eq!(stage.run(Plan::KillBefore(100), "threads 4 25").len(), 0);
    assert_eq!(stage.operations().len(), 100, "no thread goes on");
}
