use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A user with a folder, a trail and keys in it, and nothing outside of it.
pub struct User {
    folder: TempDir,
    /// Where its keys are.
    keys: &'static str,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Requires an exit code.
    #[track_caller]
    pub fn ends(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Requires a text on standard error.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "`{text}` is not in\n{}", self.err);
        self
    }

    /// Requires a text on standard output.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.out.contains(text), "`{text}` is not in\n{}", self.out);
        self
    }

    /// Its lines of JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }

    /// Its lines.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

impl User {
    /// One who has nothing yet.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keys: "keys" }
    }

    /// One whose keys are in another folder.
    pub fn with_keys_in(keys: &'static str) -> Self {
        Self { keys, ..Self::new() }
    }

    /// One with a trail.
    pub fn with_trail() -> Self {
        let user = Self::new();
        user.run(["init"]).ends(0);
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minutebook"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("MINUTEBOOK_TRAIL", "trail")
            .env("MINUTEBOOK_KEYS", self.keys)
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs with standard input.
    pub fn feed<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, input: &str) -> Ran {
        let mut child = self.start(arguments);
        child.write(input);
        child.finish()
    }

    /// Starts with standard input open.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    /// Asks the trail's engine process: the status and the answer, which is JSON where it can be read so.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(&self.path("trail/engine.sock"), method, path, body)
    }

    /// Starts an engine process in the background, and gives what it says of itself.
    #[track_caller]
    pub fn engine(&self, options: &[&str]) -> Value {
        let arguments = ["engine", "--create", "--detach", "--json"].iter().chain(options);
        self.run(arguments).ends(0).json().remove(0)
    }

    /// Records lines and gives their ids.
    #[track_caller]
    pub fn record(&self, lines: &str) -> Vec<String> {
        let ran = self.feed(["record"], lines).ends(0);
        ran.out.lines().map(str::to_owned).collect()
    }
}

/// A command at work.
pub struct Running {
    child: Child,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

impl Running {
    pub fn write(&mut self, input: &str) {
        self.child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
    }

    /// What it printed so far.
    pub fn out(&self) -> String {
        fs::read_to_string(self.out.path()).unwrap()
    }

    /// Waits until it has printed so many lines.
    #[track_caller]
    pub fn wait_for_lines(&self, count: usize) -> Vec<String> {
        let lines = || self.out().lines().map(str::to_owned).collect::<Vec<_>>();
        wait_until(&format!("{count} lines"), || lines().len() >= count);
        lines()
    }

    /// Waits for a text on standard error.
    #[track_caller]
    pub fn wait_for_word(&self, text: &str) {
        wait_until(text, || fs::read_to_string(self.err.path()).unwrap().contains(text));
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        let killed = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Kills it, without a word.
    pub fn kill(&self) {
        signal(&self.child.id().into(), "-KILL");
    }

    /// Ends its input and waits for its end.
    pub fn finish(mut self) -> Ran {
        drop(self.child.stdin.take());
        self.ended()
    }

    /// Waits for its end with its input open.
    pub fn ended(mut self) -> Ran {
        let input = self.child.stdin.take();
        let mut status = None;
        wait_until("the end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        drop(input);
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        Ran {
            exit: status.and_then(|s| s.code()).unwrap_or(-1),
            out: text(self.out.path()),
            err: text(self.err.path()),
        }
    }
}

/// A request over a Unix socket, with an answer to its end.
#[track_caller]
pub fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    ask_with(socket, method, path, "", body)
}

/// The same with more lines in its head, each with its end.
#[track_caller]
pub fn ask_with(socket: &Path, method: &str, path: &str, lines: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())))
}

/// Whether a process is there: one that ended and was not waited for is.
pub fn is_process(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Sends a process a signal.
#[track_caller]
pub fn signal(pid: &Value, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// For how long something takes, or may take.
#[expect(clippy::disallowed_methods, reason = "a test, which measures and waits")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for a condition, and gives up after a minute.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = now() + Duration::from_secs(60);
    while !is_so() {
        assert!(now() < until, "waited a minute for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A decision about somebody.
pub fn decision(number: usize) -> String {
    json!({
        "model": {"name": "credit", "version": format!("1.{}.0", number % 2)},
        "inputs": {"amount": number as f64 + 0.5, "purpose": "car"},
        "outputs": {"approve": number.is_multiple_of(3)},
        "subject": format!("person-{}", number % 10),
        "time": format!("2026-11-21T09:{:02}:00Z", number % 60),
    })
    .to_string()
}

/// So many decisions, one a line.
pub fn decisions(count: usize) -> String {
    (0..count).map(|number| decision(number) + "\n").collect()
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
