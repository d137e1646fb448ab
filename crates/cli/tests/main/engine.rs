use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::program::{User, decision, decisions, is_process, signal, wait_until};

const START: [&str; 4] = ["engine", "--create", "--detach", "--json"];

#[test]
fn two_that_create_a_trail_at_once_have_the_same_one_and_one_engine() {
    for _ in 0..5 {
        let user = User::new();
        let started: Vec<_> = (0..4).map(|_| user.start(START)).collect();
        let lines: Vec<_> = started.into_iter().map(|one| one.finish().ends(0).json().remove(0)).collect();
        for line in &lines {
            assert_eq!((&line["pid"], &line["trail"]), (&lines[0]["pid"], &lines[0]["trail"]));
        }
        let first = lines.iter().filter(|line| line["already"].is_null()).count();
        assert_eq!(first, 1, "{lines:?}");
    }
}

#[test]
fn the_one_that_runs_is_found_again() {
    let user = User::new();
    let first = user.engine(&[]);
    assert_eq!(first["socket"], json!(user.path("trail/engine.sock")));
    let again = user.engine(&[]);
    assert_eq!((&again["pid"], &again["already"]), (&first["pid"], &json!(true)));
    user.run(["engine"]).ends(0).prints("already answers at");
    user.run(["serve"]).ends(0).prints("already answers at").complains("does not listen at `127.0.0.1:6262`");
    user.run(["serve", "--listen", "none"]).ends(0).prints("already answers at");
    user.run(["serve", "--listen", "127.0.0.1:0"]).ends(5).complains("minutebook engine --stop");
}

#[test]
fn in_the_background_it_is_nobodys_child_and_holds_nothing_of_whom_started_it() {
    let user = User::new();
    let pid = &user.engine(&[])["pid"];
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_ne!(fields[1], std::process::id().to_string(), "its parent");
    assert_eq!(fields[3], pid.to_string(), "a session of its own: {stat}");
    assert_eq!(fields[4], "0", "no terminal");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    let trail = user.path("").canonicalize().unwrap();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
        let kind = target.to_string_lossy().split(':').next().unwrap().to_owned();
        let known = target.starts_with(&trail) || target.starts_with("/dev/null");
        assert!(known || ["socket", "anon_inode"].contains(&&*kind), "{}", target.display());
    }
    user.run(["engine", "--stop"]).ends(0).complains("has ended");
    wait_until("its end, with nothing left to wait for", || !is_process(pid));
}

#[test]
fn a_descriptor_of_whom_starts_it_is_not_passed_on() {
    let user = User::new();
    let lock = user.write("lock", "");
    let shell = format!("exec 7<{} && exec \"$@\"", lock.display());
    let program = env!("CARGO_BIN_EXE_minutebook");
    let mut command = user.command(START);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
    command = std::process::Command::new("/bin/sh");
    command.current_dir(user.path("")).env_clear().envs(environment);
    let output = command.args(["-c", &shell, "sh", program]).args(START).output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = fs::read_dir(format!("/proc/{}/fd", line["pid"])).unwrap();
    let inherited =
        targets.filter(|entry| fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to == lock));
    assert_eq!(inherited.count(), 0);
}

#[test]
fn the_socket_is_for_its_owner_and_goes_with_the_engine() {
    let user = User::new();
    let pid = &user.engine(&[])["pid"];
    let socket = user.path("trail/engine.sock");
    let about = fs::symlink_metadata(&socket).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    user.run(["verify"]).ends(0);
    user.run(["doctor"]).ends(0).prints("engine process");
    let (status, _) = user.ask("POST", "/v1/stop", "");
    assert_eq!(status, 202);
    wait_until("its end", || !is_process(pid));
    assert!(!socket.exists());
    assert!(!user.path("trail/catalog.db-wal").exists(), "the catalog is closed in order");
    user.run(["engine", "--stop"]).ends(0).complains("no engine runs");
}

#[test]
fn commands_work_beside_it_or_say_how_to_stop_it() {
    let user = User::new();
    user.engine(&[]);
    let ran =
        user.feed(["record", "--ack", "sealed"], &decisions(3)).ends(0).complains("3 recorded and sealed");
    let id = ran.lines()[0].to_owned();
    user.feed(["record", "--no-seal"], &decisions(2)).ends(0);
    user.run(["seal", "--json"]).ends(0);
    user.run(["show", &id]).ends(0);
    user.run(["receipt", &id]).ends(0).prints("c2sp.org/tlog-proof");
    assert_eq!(user.run(["list", "--json"]).ends(0).json().len(), 5);
    user.run(["verify"]).ends(0);
    user.write("rows.csv", "a,b\n1,2\n");
    user.run(["import", "rows.csv", "--outputs", "b", "--model", "m", "--model-version", "1"])
        .ends(0)
        .complains("1 recorded and sealed");
    user.run(["erase", "x", "--ground", "y", "--yes"]).ends(2).complains("no such subject");
    user.run(["search", "--json"]).ends(0);
    user.run(["key", "rotate", "--signing"])
        .ends(5)
        .complains("is in use by its engine process")
        .complains("minutebook engine --stop");
    user.run(["engine", "--stop"]).ends(0);
    user.run(["key", "rotate", "--signing"]).ends(0);
}

#[test]
fn a_command_that_seals_is_waited_for_and_then_told() {
    let user = User::with_trail();
    let mut recording = user.start(["record", "--ack", "sealed"]);
    recording.write(&(decision(1) + "\n"));
    recording.wait_for_lines(1);
    let starting = user.start(START);
    recording.finish().ends(0);
    starting.finish().ends(0);

    user.run(["engine", "--stop"]).ends(0);
    let mut recording = user.start(["record", "--ack", "sealed"]);
    recording.write(&(decision(1) + "\n"));
    recording.wait_for_lines(1);
    user.run(START).ends(5).complains("is in use by another engine (process ");
    user.run(["engine", "--stop"]).ends(5).complains("who is no engine process");
    recording.finish().ends(0);
}

/// For how long a process has run: proc_pid_stat(5), field 22, in ticks of which every Linux has 100 a second.
fn age_s(pid: &serde_json::Value) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let began =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse::<f64>().ok());
    let up = fs::read_to_string("/proc/uptime").unwrap();
    let up: f64 = up.split(' ').next().unwrap().parse().unwrap();
    began.map_or(0.0, |ticks| up - ticks / 100.0)
}

#[test]
fn it_ends_by_itself_when_nobody_needs_it() {
    let user = User::new();
    let pid = &user.engine(&["--idle", "1"])["pid"];
    let mut producer = user.start(["record", "--no-seal", "--ack", "process"]);
    producer.write(&(decision(1) + "\n"));
    let id = producer.wait_for_lines(1).remove(0);
    wait_until("it to be older than it may be idle", || !is_process(pid) || age_s(pid) >= 3.5);
    assert!(is_process(pid), "a producer lives");
    user.run(["show", &id]).ends(0);
    producer.finish().ends(0);
    wait_until("its end", || !is_process(pid));
    assert!(!user.path("trail/engine.sock").exists());
    user.run(["verify"]).ends(0).prints("closed");
}

#[test]
fn a_signal_to_end_seals_what_there_is_and_the_end_of_a_session_does_not() {
    for (name, detached) in [("-TERM", true), ("-INT", true), ("-TERM", false)] {
        let user = User::with_trail();
        user.feed(["record", "--no-seal"], &decisions(40)).ends(0);
        let running = (!detached).then(|| user.start(["serve", "--listen", "none", "--json"]));
        let pid = match &running {
            Some(running) => {
                serde_json::from_str::<serde_json::Value>(&running.wait_for_lines(1)[0]).unwrap()
            }
            None => user.engine(&[]),
        };
        let pid = &pid["pid"];
        signal(pid, "-HUP");
        assert_eq!(user.ask("GET", "/v1/engine", "").0, 200);
        signal(pid, name);
        if let Some(running) = running {
            running.ended().ends(0).complains("records sealed");
        }
        wait_until("its end", || !is_process(pid));
        user.run(["engine", "--stop"]).ends(0).complains("no engine runs");
        assert_eq!(user.run(["list", "--json", "-n", "0"]).json().len(), 40);
        user.run(["verify"]).ends(0);
    }
}

#[test]
fn killed_it_is_replaced_and_nothing_is_lost() {
    let user = User::new();
    let first = user.engine(&[]);
    let mut producer = user.start(["record", "--no-seal", "--ack", "process"]);
    for number in 1..=200 {
        producer.write(&(decision(number) + "\n"));
    }
    producer.wait_for_lines(200);
    signal(&first["pid"], "-KILL");
    wait_until("its end", || !is_process(&first["pid"]));
    assert!(user.path("trail/engine.sock").exists(), "a stale socket");
    // As one leaves that is killed a moment earlier.
    drop(UnixListener::bind(user.path("trail/tmp/engine.sock")).unwrap());
    let second = user.engine(&[]);
    assert_ne!(first["pid"], second["pid"]);
    producer.write(&(decision(201) + "\n"));
    producer.wait_for_lines(201);
    producer.finish().ends(0);
    user.run(["engine", "--stop"]).ends(0);
    assert_eq!(user.run(["list", "--json", "-n", "0"]).json().len(), 201);
    user.run(["verify"]).ends(0);
}

#[test]
fn it_ends_with_the_folder_of_its_trail() {
    let user = User::new();
    let pid = &user.engine(&[])["pid"];
    fs::rename(user.path("trail"), user.path("elsewhere")).unwrap();
    wait_until("its end", || !is_process(pid));
}

#[test]
fn a_folder_with_a_long_path_has_an_engine_too() {
    let user = User::new();
    let folder = user.path(&"long/".repeat(40)).join("trail");
    let folder = folder.to_str().unwrap();
    assert!(folder.len() > 200);
    let line = user.engine(&["--trail", folder]);
    let again = user.engine(&["--trail", folder]);
    assert_eq!((&again["pid"], &again["already"]), (&line["pid"], &json!(true)));
    user.feed(["record", "--trail", folder], &decisions(1)).ends(0).complains("1 recorded and sealed");
    user.run(["engine", folder, "--stop"]).ends(0).complains("has ended");
}

#[test]
fn without_a_place_for_keys_it_says_what_to_set() {
    let user = User::new();
    user.write("home", "a file in the place of a folder is as good as a folder that cannot be written");
    let mut command = user.command(START);
    command.env_remove("MINUTEBOOK_KEYS");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the key folder `") && said.contains("with --keys or MINUTEBOOK_KEYS"), "{said}");
    let mut command = user.command(START);
    let output = command.env_remove("MINUTEBOOK_KEYS").env_remove("HOME").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("--keys or MINUTEBOOK_KEYS"));
    user.engine(&[]);
}

#[test]
fn what_keeps_it_from_starting_is_told_as_without_detaching() {
    let user = User::new();
    user.run(["engine", "--detach"]).ends(2).complains("no trail in `").complains("minutebook init");
    user.run(["init"]).ends(0);
    user.run(["--keys", "nowhere", "engine", "--detach"]).ends(3).complains("no keys in `");
    fs::create_dir(user.path("full")).unwrap();
    user.write("full/file", "x");
    user.run(["engine", "full", "--create", "--detach"]).ends(2).complains("is not empty and holds no trail");
}

/// A segment that cannot be written stands for a disk that is full.
#[test]
fn when_sealing_fails_it_says_so_and_goes_on_when_it_can() {
    let user = User::new();
    let pid = &user.engine(&["--idle", "1"])["pid"];
    let id = user.record(&decisions(1)).remove(0);
    user.run(["show", &id]).ends(0);
    fs::rename(user.path("trail/segments"), user.path("trail/tmp/segments")).unwrap();
    user.write("trail/segments", "in the way");
    let id = user.feed(["record", "--no-seal"], &decisions(1)).ends(0).lines()[0].to_owned();
    wait_until("a failure", || !user.ask("GET", "/v1/status", "").1["error"].is_null());
    let (status, problem) = user.ask("POST", "/v1/seal", "");
    assert_eq!((status, &problem["code"]), (503, &json!("storage-failed")), "{problem}");
    user.run(["seal"]).ends(4).complains("what was handed over is in the spool");
    assert!(is_process(pid), "it stays while something is unsealed");
    fs::remove_file(user.path("trail/segments")).unwrap();
    fs::rename(user.path("trail/tmp/segments"), user.path("trail/segments")).unwrap();
    wait_until("the record to be sealed", || user.run(["show", &id]).exit == 0);
    wait_until("its end", || !is_process(pid));
    let log = fs::read_to_string(user.path("trail/tmp/engine.log")).unwrap();
    assert!(log.contains("sealing failed"), "{log}");
    user.run(["verify"]).ends(0);
}

/// An engine of another version, as far as others see: it has the lock, and answers.
#[test]
fn one_of_another_version_is_asked_to_end_and_replaced() {
    let user = User::with_trail();
    let lock = fs::File::options().write(true).open(user.path("trail/lock")).unwrap();
    lock.lock().unwrap();
    let listener = UnixListener::bind(user.path("trail/engine.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let old = json!({
        "version": "0.0.9", "pid": 1, "trail": "", "name": "", "started": "", "idle_after_s": null,
        "folder": user.path("trail"),
    });
    let starting = user.start(START);
    let mut asked = Vec::new();
    while asked.last().is_none_or(|request: &String| !request.starts_with("POST /v1/stop ")) {
        let mut accepted = None;
        wait_until("a request", || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (mut stream, _) = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        asked.push(String::from_utf8(request[..length].to_vec()).unwrap());
        let body = old.to_string();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
    drop(listener);
    lock.unlock().unwrap();
    let line = starting.finish().ends(0).json().remove(0);
    assert_eq!((&line["version"], &line["already"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(null)));
    assert_eq!(user.ask("GET", "/v1/engine", "").1["pid"], line["pid"]);
}
