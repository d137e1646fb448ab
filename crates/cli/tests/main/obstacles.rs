use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::program::{User, decisions};

#[test]
fn help_tells_the_exit_codes() {
    let user = User::new();
    user.run(["--help"]).ends(0).prints("Exit codes:").prints("1  `verify` or `doctor` found problems");
    user.run(["--version"]).ends(0).prints("minutebook ");
    for command in [
        "init", "record", "import", "list", "tail", "show", "explain", "receipt", "verify", "seal", "erase",
        "key", "doctor",
    ] {
        user.run([command, "--help"]).ends(0).prints("Usage: minutebook");
    }
    user.run(["nonsense"]).ends(2);
    user.run::<&str>([]).ends(2);
}

#[test]
fn where_there_is_no_trail_the_way_to_one_is_told() {
    let user = User::new();
    for command in
        [&["list"][..], &["verify"], &["seal"], &["record"], &["key", "show"], &["doctor"], &["tail"]]
    {
        let ran = user
            .run(command)
            .ends(2)
            .complains("error: no trail in `")
            .complains("  make one with `minutebook init`");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_trail_is_not_made_over_something_else() {
    let user = User::with_trail();
    user.run(["init"]).ends(2).complains("holds a trail already");
    fs::create_dir(user.path("full")).unwrap();
    fs::write(user.path("full/file"), "x").unwrap();
    user.run(["init", "full"]).ends(2).complains("is not empty and holds no trail");
    user.run(["init", "second"]).ends(2).complains("holds keys already");
    assert!(!user.path("second/trail.toml").exists());
    user.run(["init", "third", "--keys", "third-keys", "--name", "https://x"])
        .ends(2)
        .complains("without its scheme");
    let ran = user
        .run(["init", "third", "--keys", "third-keys", "--name", "trail.example/credit", "--json"])
        .ends(0);
    assert_eq!(ran.json()[0]["name"], "trail.example/credit");
}

#[test]
fn keys_that_are_wrong_or_missing_or_open_to_others() {
    let user = User::with_trail();
    user.record(&decisions(1));
    user.run(["init", "other", "--keys", "other-keys"]).ends(0);
    user.run(["--keys", "none", "list"]).ends(3).complains("no keys in `").complains("MINUTEBOOK_KEYS");
    user.run(["--keys", "other-keys", "list"]).ends(3).complains("are those of another trail");
    user.run(["--keys", "other-keys", "seal"]).ends(3);
    let file = user.path("keys/keys.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    user.run(["list"]).ends(3).complains("can be read by others").complains("chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    user.run(["list"]).ends(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("minutebook/keys/1", "minutebook/keys/9")).unwrap();
    user.run(["list"]).ends(3).complains("newer than this program").complains("use a newer minutebook");
}

#[test]
fn the_catalog_is_missing() {
    let user = User::with_trail();
    user.record(&decisions(1));
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = fs::remove_file(user.path("trail").join(file));
    }
    user.run(["seal"]).ends(3).complains("the catalog `");
    user.run(["verify"]).ends(0).complains("only the log is verified");
}

#[test]
fn without_keys_named_they_lie_in_the_users_folder() {
    let user = User::new();
    let run = |arguments: &[&str]| {
        let mut command = user.command(arguments);
        command.env_remove("MINUTEBOOK_KEYS").env_remove("MINUTEBOOK_TRAIL");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&["init"]).0, Some(0));
    assert!(user.path("trail/trail.toml").exists());
    assert!(user.path("home/.local/share/minutebook/keys").is_dir());
    assert_eq!(run(&["doctor"]).0, Some(0));
}
