//! The library changes nothing else: not for a program outside of a session, not for other files, not for this test.

use std::env;
use std::ffi::CStr;
use std::fs;
use std::mem::MaybeUninit;
use std::process::Command;

use minutebook_faultfs::{Error, MaterialiseMode, Plan, Session, environment, library_path, prepare};

use crate::program::{ARGUMENTS, SCRIPT};
use crate::stage::{Stage, tree};

#[test]
fn without_roots_every_call_goes_straight_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(ARGUMENTS).env(SCRIPT, "create a\n append a x\n sync a\n rename a b").current_dir(&folder);
    let output = command.env("LD_PRELOAD", library_path().unwrap()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(tree(folder.path()), ["b: x"]);
}

#[test]
fn a_test_that_uses_this_crate_is_not_interposed() {
    for name in [c"write", c"open64", c"fsync"] {
        let mut found = MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: `name` is a C string, and `found` has room for what `dladdr` fills if it returns other than zero.
        let library = unsafe {
            assert_ne!(libc::dladdr(libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()), found.as_mut_ptr()), 0);
            CStr::from_ptr(found.assume_init().dli_fname)
        };
        assert!(library.to_str().unwrap().contains("libc.so"), "{name:?} is in {library:?}");
    }
}

/// A second descriptor for the file, when closed, would release the locks of the first: SQLite's, for one.
#[test]
fn a_flush_keeps_the_programs_locks() {
    Stage::with(&[("a", "old")]).succeed("lock-and-sync a");
}

#[test]
fn a_missing_setting_ends_the_program_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let start = |shadow: Option<&str>, plan: &str| {
        let mut command = Command::new("/bin/true");
        command.env("LD_PRELOAD", library_path().unwrap()).env(environment::ROOTS, folder.path());
        command.env(environment::PLAN, plan).envs(shadow.map(|shadow| (environment::SHADOW, shadow)));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (success, message) = start(None, "count");
    assert!(!success && message.contains("faultfs: FAULTFS_SHADOW is not set"), "{message}");
    let outside = tempfile::tempdir().unwrap();
    let shadow = outside.path().join("shadow");
    let (success, message) = start(shadow.to_str(), "explode:1");
    assert!(!success && message.contains("`explode:1` is not a plan"), "{message}");
    assert_eq!(start(shadow.to_str(), "count"), (true, String::new()));
}

#[test]
fn the_shadow_may_be_left_to_the_program_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let (root, shadow) = (folder.path().join("root"), folder.path().join("shadow"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), "old").unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(ARGUMENTS).env(SCRIPT, "append a +new\n create b").current_dir(&root);
    command
        .env("LD_PRELOAD", library_path().unwrap())
        .env(environment::ROOTS, &root)
        .env(environment::SHADOW, &shadow);
    assert!(command.output().unwrap().status.success());
    minutebook_faultfs::materialise(&shadow, &root, &folder.path().join("left"), MaterialiseMode::Strict)
        .unwrap();
    assert_eq!(tree(&folder.path().join("left")), ["a: old"]);
}

#[test]
fn a_folder_in_the_way_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("root"), folder.path().join("other"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "").unwrap();
    assert!(matches!(prepare(&other, &[&root]), Err(Error::Occupied { .. })));
    assert!(matches!(prepare(&root.join("shadow"), &[&root]), Err(Error::ShadowUnderRoot { .. })));
    let session = Session::begin(&root, &folder.path().join("scratch")).unwrap();
    assert!(matches!(session.materialise(&other, MaterialiseMode::Strict), Err(Error::Occupied { .. })));
    assert_eq!(tree(&other), ["precious: "]);
}

#[test]
fn other_files_are_not_counted() {
    let stage = Stage::with(&[("a", "old")]);
    fs::write(stage.folder.path().join("outside"), "").unwrap();
    let script =
        "append ../outside x\n sync ../outside\n rename ../outside ../elsewhere\n rename ../elsewhere b";
    assert_eq!(stage.run(Plan::Count, script).len(), 4);
    assert_eq!(stage.operations(), ["rename b"]);
}
