//! What survives a power loss, and what does not.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use minutebook_faultfs::{MaterialiseMode, Plan};

use crate::stage::{Stage, tree};

/// Runs the script on a folder that holds `a: old`, and compares what a power loss leaves.
#[track_caller]
fn check(script: &str, left: &[&str]) {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed(script);
    assert_eq!(stage.left(), left);
}

#[test]
fn what_lies_there_at_the_start_is_durable() {
    let stage = Stage::with(&[("a", "old"), ("d/e/f", "deep")]);
    stage.succeed("");
    assert_eq!(stage.left(), ["a: old", "d/", "d/e/", "d/e/f: deep"]);
}

#[test]
fn content_is_lost_unless_flushed() {
    check("append a +new", &["a: old"]);
    check("append a +new\n sync a", &["a: old+new"]);
    check("append a +new\n datasync a", &["a: old+new"]);
    check("append a +new\n sync-unreadable a", &["a: old+new"]);
    check("append a +new\n sync a\n append a +more", &["a: old+new"]);
    check("put a 0 OLD\n sync a\n put a 1 x", &["a: OLD"]);
    check("append-durably a +new", &["a: old+new"]);
    check("append-durably a +new\n append a +more", &["a: old+new"]);
}

#[test]
fn a_flush_of_the_directory_does_not_flush_content() {
    check("append a +new\n syncdir .", &["a: old"]);
}

#[test]
fn length_is_lost_unless_flushed() {
    check("truncate a 1", &["a: old"]);
    check("truncate a 1\n sync a", &["a: o"]);
    check("truncate a 5\n datasync a", &["a: old\0\0"]);
    check("allocate a 5\n sync a", &["a: old\0\0"]);
    check("recreate a", &["a: old"]);
    check("recreate a\n sync a", &["a: "]);
}

#[test]
fn a_new_name_is_lost_unless_its_directory_is_flushed() {
    check("create b\n append b new\n sync b", &["a: old"]);
    check("create b\n append b new\n sync b\n syncdir .", &["a: old", "b: new"]);
    check("create b\n append b new\n syncdir .", &["a: old", "b: "]);
    check("copy a b\n sync b\n syncdir .", &["a: old", "b: old"]);
}

#[test]
fn a_rename_is_lost_unless_its_directory_is_flushed() {
    check("rename a b", &["a: old"]);
    check("rename a b\n sync b", &["a: old"]);
    check("rename a b\n syncdir .", &["b: old"]);
    let replace = "create b\n append b new\n sync b\n syncdir .\n rename b a";
    check(replace, &["a: old", "b: new"]);
    check(&format!("{replace}\n syncdir ."), &["a: new"]);
}

#[test]
fn a_rename_between_directories_is_two_changes() {
    let setup = "mkdir d\n syncdir .\n rename a d/b";
    check(setup, &["a: old", "d/"]);
    check(&format!("{setup}\n syncdir d"), &["a: old", "d/", "d/b: old"]);
    check(&format!("{setup}\n syncdir ."), &["d/"]);
    check(&format!("{setup}\n syncdir d\n syncdir ."), &["d/", "d/b: old"]);
}

#[test]
fn directories_flushed_at_odd_times_do_not_contain_each_other() {
    let script =
        "mkdir d\n mkdir d/e\n syncdir .\n syncdir d\n rename d/e e\n syncdir .\n rename d e/d\n syncdir e";
    check(script, &["a: old", "d/", "d/e/", "e/", "e/d/"]);
}

#[test]
fn an_unlink_is_lost_unless_its_directory_is_flushed() {
    check("unlink a", &["a: old"]);
    check("unlink a\n syncdir .", &[]);
}

#[test]
fn a_new_file_in_the_place_of_a_deleted_one_does_not_inherit_its_content() {
    // The kernel gives `b` the inode number of the deleted `a` where it can (ext4 with a journal does, at once); the
    // durable name `a` must keep what was flushed as `a`.
    check("unlink a\n create b\n append b new\n sync b", &["a: old"]);
    check("unlink a\n create b\n append b new\n syncdir .", &["b: "]);
    check("unlink a\n create a\n append a new\n sync a", &["a: old"]);
}

#[test]
fn links_share_what_was_flushed() {
    check("link a b\n append b +new\n sync b", &["a: old+new"]);
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("link a b\n append b +new\n sync a\n symlink a c\n syncdir .");
    let left = stage.lose_power(MaterialiseMode::Strict);
    assert_eq!(tree(&left), ["a: old+new", "b: old+new", "c -> a"]);
    assert_eq!(fs::metadata(left.join("a")).unwrap().nlink(), 2);
}

#[test]
fn a_directory_is_durable_by_its_parents_flush() {
    let file = "mkdirs d/e\n create d/e/f\n append d/e/f new\n sync d/e/f";
    check(&format!("{file}\n syncdir d/e\n syncdir d"), &["a: old"]);
    check(&format!("{file}\n syncdir d\n syncdir ."), &["a: old", "d/", "d/e/"]);
    check(&format!("{file}\n syncdir d/e\n syncdir d\n syncdir ."), &["a: old", "d/", "d/e/", "d/e/f: new"]);
    let stage = Stage::with(&[("d/f", "old")]);
    stage.succeed("rmtree d");
    assert_eq!(stage.left(), ["d/", "d/f: old"]);
}

#[test]
fn a_mapping_is_lost_unless_flushed() {
    check("map a 0 OLD leave", &["a: old"]);
    check("map a 0 OLD sync", &["a: OLD"]);
    check("append a +new\n map a 0 OLD sync", &["a: OLD+new"]);
}

#[test]
fn only_the_flushed_range_of_a_file_is_durable_by_a_mapping() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("put a 8192 tail\n map a 1 LD sync");
    let left = fs::read(stage.lose_power(MaterialiseMode::Strict).join("a")).unwrap();
    assert_eq!((left.len(), &left[..4], &left[8192..]), (8196, &b"oLD\0"[..], &[0; 4][..]));
    stage.succeed("map a 8192 T sync");
    let left = stage.folder.path().join("left");
    stage.session.materialise(&left, MaterialiseMode::Strict).unwrap();
    assert_eq!(fs::read(left.join("a")).unwrap()[8192..], *b"Tail");
}

#[test]
fn large_and_sparse_files_keep_their_content() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed(
        "put a 5000000 middle\n truncate a 9000000\n sync a\n put a 7000000 lost\n fill a 1 70 page",
    );
    let left = stage.lose_power(MaterialiseMode::Strict).join("a");
    let content = fs::read(&left).unwrap();
    assert_eq!(
        (content.len(), &content[5_000_000..5_000_006], content[7_000_000]),
        (9_000_000, &b"middle"[..], 0)
    );
    assert!(fs::metadata(&left).unwrap().blocks() < 100, "holes stay holes");
    stage.succeed("sync a");
    stage.session.materialise(&stage.folder.path().join("again"), MaterialiseMode::Strict).unwrap();
    assert!(
        fs::read(stage.folder.path().join("again/a")).unwrap()
            == fs::read(stage.session.root.join("a")).unwrap()
    );
}

#[test]
fn permissions_are_those_of_the_last_flush_of_the_directory() {
    let stage = Stage::with(&[("a", "old")]);
    fs::set_permissions(stage.session.root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    stage.succeed("syncdir .");
    let left = stage.lose_power(MaterialiseMode::Strict).join("a");
    assert_eq!(fs::metadata(left).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_was_never_flushed_may_hold_garbage() {
    let stage = Stage::with(&[]);
    stage.succeed("create b\n append b 0123456789\n syncdir .");
    let garbage = fs::read(stage.lose_power(MaterialiseMode::Garbage(1)).join("b")).unwrap();
    assert_eq!(garbage.len(), 10);
    assert_ne!(garbage, b"0123456789");
}

#[test]
fn a_torn_tail_keeps_any_pages_but_no_names() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("create b\n rename a c");
    assert!((0..20).all(|seed| tree(&stage.lose_power(MaterialiseMode::TornTail(seed))) == ["a: old"]));

    let stage = Stage::with(&[("a", "")]);
    stage.succeed("fill a 0 4 old_\n sync a\n fill a 2 6 new_");
    let mut pictures = BTreeSet::new();
    for seed in 0..60 {
        let content = fs::read(stage.lose_power(MaterialiseMode::TornTail(seed)).join("a")).unwrap();
        let picture = content.chunks(4096).map(|page| page[0] as char).collect::<String>();
        assert!(picture.starts_with("oo") && picture.len() >= 4, "seed {seed}: {picture}");
        assert!(
            content.chunks(4096).all(|page| page.chunks(4).all(|word| word == &page[..4])),
            "seed {seed}"
        );
        pictures.insert(picture.replace('\0', "0"));
    }
    assert!(pictures.contains("oooo") && pictures.contains("oonnnnnn"), "both extremes: {pictures:?}");
    assert!(pictures.len() > 10, "{pictures:?}");
}

#[test]
fn a_seeded_loss_keeps_all_or_none_of_a_directorys_changes() {
    let stage = Stage::with(&[("d/a", "1"), ("e/a", "2")]);
    stage.succeed("rename d/a d/b\n create d/c\n unlink e/a\n create e/b");
    let names = |seed| {
        let lines = tree(&stage.lose_power(MaterialiseMode::Seeded(seed))).into_iter();
        lines.map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let found = (0..40).map(names).collect::<BTreeSet<_>>();
    let possible = ["d/ d/a e/ e/a", "d/ d/a e/ e/b", "d/ d/b d/c e/ e/a", "d/ d/b d/c e/ e/b"];
    assert_eq!(found, possible.map(str::to_owned).into());
}

#[test]
fn a_loss_is_a_function_of_its_seed() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("fill a 0 9 new\n create b\n append b x");
    for seed in 0..10 {
        let first = tree(&stage.lose_power(MaterialiseMode::Seeded(seed)));
        let again = stage.folder.path().join(format!("again-{seed}"));
        stage.session.materialise(&again, MaterialiseMode::Seeded(seed)).unwrap();
        assert!(first == tree(&again), "seed {seed}");
    }
}

#[test]
fn what_several_programs_flushed_adds_up() {
    let stage = Stage::with(&[("a", "old")]);
    stage.succeed("append a +1\n sync a\n create b");
    stage.succeed("append a +2\n sync a\n append b new");
    assert_eq!(stage.run(Plan::KillBefore(3), "sync b\n syncdir .\n append a +3\n sync a").len(), 2);
    assert_eq!(stage.left(), ["a: old+1+2", "b: new"]);
}
