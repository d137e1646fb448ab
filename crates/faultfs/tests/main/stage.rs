//! A folder, a program that works in it under a plan, and the folder as a power loss leaves it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use minutebook_faultfs::{MaterialiseMode, Plan, Session};
use tempfile::TempDir;

use crate::program::{ARGUMENTS, SCRIPT};

pub(crate) struct Stage {
    pub(crate) session: Session,
    pub(crate) folder: TempDir,
}

impl Stage {
    /// A root that holds these files, durable.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let session = Session::begin(&root, &folder.path().join("scratch")).unwrap();
        Stage { session, folder }
    }

    /// Runs the script; returns its steps with their outcomes, as far as it came.
    pub(crate) fn run(&self, plan: Plan, script: &str) -> Vec<String> {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(ARGUMENTS).env(SCRIPT, script).current_dir(&self.session.root);
        let output = self.start(&mut command, plan);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.starts_with("step ")).map(str::to_owned).collect()
    }

    /// Runs the script without a fault; each step must succeed.
    pub(crate) fn succeed(&self, script: &str) {
        let steps = self.run(Plan::Count, script);
        let expected = script.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(steps.iter().filter(|step| step.starts_with("step ok")).count(), expected, "{steps:#?}");
    }

    pub(crate) fn start(&self, command: &mut Command, plan: Plan) -> Output {
        self.session.arm(command, plan).unwrap();
        let output = command.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!complaints.contains("faultfs:") && !complaints.contains("panicked"), "{complaints}");
        output
    }

    /// Builds the folder after a power loss; returns where.
    pub(crate) fn lose_power(&self, mode: MaterialiseMode) -> PathBuf {
        let into = self.folder.path().join(format!("{mode:?}"));
        self.session.materialise(&into, mode).unwrap();
        into
    }

    /// What a power loss leaves, with none of what was not flushed.
    pub(crate) fn left(&self) -> Vec<String> {
        tree(&self.lose_power(MaterialiseMode::Strict))
    }

    /// The operations of the latest run, in short: name, path, new path.
    pub(crate) fn operations(&self) -> Vec<String> {
        let brief = |operation: minutebook_faultfs::Operation| {
            let to = operation.to.map(|to| format!(" {to}")).unwrap_or_default();
            format!("{} {}{to}", operation.kind, operation.path)
        };
        self.session.operations().unwrap().into_iter().map(brief).collect()
    }
}

/// All below a folder, in order: `name: text` for a file, `name/` for a directory, `name -> target` for a link.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(folder, "", &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push(format!("{name}/"));
            collect(&entry.path(), &format!("{name}/"), found);
        } else if kind.is_symlink() {
            found.push(format!("{name} -> {}", fs::read_link(entry.path()).unwrap().display()));
        } else {
            found.push(format!("{name}: {}", String::from_utf8_lossy(&fs::read(entry.path()).unwrap())));
        }
    }
}
