//! One case: a trail of its own in memory, the programs that work on it under a plan, and the folder as it is found afterwards.

use crate::crash::program::place;
use crate::crash::script::Script;
use crate::crash::told::Told;
use crate::crash::{ACTOR, FRAGILE, KEEP, ROOT, SCRIPT};
use minutebook_faultfs::{MaterialiseMode, Operation, Plan, Session};
use minutebook_tlog::{Checkpoint, VerifierKey};
use minutebook_trail::Place;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What happens to the files once the programs are dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing: only processes died.
    Whole,
    /// The power went as well: see [`MaterialiseMode`].
    Power(MaterialiseMode),
    /// The engine is started again, which recovers; then the power goes, and what was not flushed is gone.
    PowerAfterRestart,
}

impl Survival {
    pub fn power_went(self) -> bool {
        self != Self::Whole
    }
}

/// A temporary folder in memory, where the system has such.
pub fn folder_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("minutebook-crash-").tempdir_in(base).unwrap()
}

/// Makes a folder that only its owner reads.
pub fn make_folder(path: &Path) {
    DirBuilder::new().mode(0o700).create(path).unwrap();
}

/// Copies a folder with all below it.
pub fn copy(from: &Path, to: &Path) {
    make_folder(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A trail under test.
pub struct Case {
    folder: TempDir,
    session: Session,
    /// What the programs said, one after the other.
    pub told: Vec<Told>,
    /// Checkpoints that anybody could have seen.
    pub seen: Vec<(u64, [u8; 32])>,
    /// Programs end at their first failure.
    pub fragile: bool,
}

/// A program that runs.
pub struct Running(Child);

impl Case {
    /// With a copy of what lies in `template`, all of it durable.
    pub fn new(template: &Path) -> Self {
        let folder = folder_in_memory();
        let root = folder.path().join("root");
        copy(template, &root);
        let session = Session::begin(&root, &folder.path().join("scratch")).unwrap();
        Self { folder, session, told: Vec::new(), seen: Vec::new(), fragile: false }
    }

    /// The trail where the programs work.
    pub fn place(&self) -> Place {
        place(&self.session.root)
    }

    /// The operations of the last run.
    pub fn operations(&self) -> Vec<Operation> {
        self.session.operations().unwrap()
    }

    /// A program for each script, all under one plan. The first one's name is empty.
    pub fn start(&self, scripts: &[(&str, &Script)], plan: Plan) -> Vec<Running> {
        let commands = scripts.iter().map(|(actor, script)| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
                .env(SCRIPT, script.to_string())
                .env(ROOT, &self.session.root)
                .env(ACTOR, actor)
                .envs(self.fragile.then_some((FRAGILE, "1")))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            self.session.arm(&mut command, plan).unwrap();
            command
        });
        // All are made ready before the first one starts: making one ready begins the numbering anew.
        let mut commands: Vec<Command> = commands.collect();
        commands.iter_mut().map(|command| Running(command.spawn().unwrap())).collect()
    }

    /// Waits for a program's end and notes what it said.
    pub fn end(&mut self, running: Running) -> &Told {
        let output = running.0.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!complaints.contains("faultfs:") && !complaints.contains("panicked"), "{complaints}");
        let told = Told::read(&output.stdout);
        self.seen.extend(&told.checkpoints);
        self.told.push(told);
        self.see_published();
        &self.told[self.told.len() - 1]
    }

    /// Keeps the files, for a person to look at.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Kills a program and notes what it said.
    pub fn kill(&mut self, mut running: Running) {
        running.0.kill().unwrap();
        self.end(running);
    }

    /// One program from start to end.
    pub fn run(&mut self, script: &Script, plan: Plan) -> &Told {
        let running = self.start(&[("", script)], plan).remove(0);
        self.end(running)
    }

    /// Notes the checkpoint that lies there.
    pub fn see_published(&mut self) {
        let place = self.place();
        let Ok(bytes) = fs::read(place.folder.join("log/checkpoint")) else { return };
        let Ok(file) = place.trail_file() else { return };
        let key: VerifierKey = file.log_key.parse().unwrap();
        let (checkpoint, _) = Checkpoint::open(&bytes, &key).unwrap();
        self.seen.push((checkpoint.size().get(), *checkpoint.root().as_bytes()));
    }

    /// The trail as it is found. [`Survival::PowerAfterRestart`] works on the files themselves: it comes last.
    pub fn found(&mut self, survival: Survival, restart: &Script) -> PathBuf {
        let into = self.folder.path().join(format!("{survival:?}"));
        match survival {
            Survival::Whole => copy(&self.session.root, &into),
            Survival::Power(mode) => self.session.materialise(&into, mode).unwrap(),
            Survival::PowerAfterRestart => {
                self.run(restart, Plan::Count);
                self.session.materialise(&into, MaterialiseMode::Strict).unwrap();
            }
        }
        if std::env::var_os(KEEP).is_some() {
            copy(&into, &into.with_extension("found"));
        }
        into
    }
}
