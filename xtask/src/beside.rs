//! Steps of `cargo xtask test` that run in a process of their own beside another step, and only when nothing else wants the processors.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::failure::{During, Failure};
use crate::test::of_summary_line;
use crate::workspace::Workspace;

/// Such steps: to be begun, running, or done.
pub(crate) struct Beside {
    steps: Vec<&'static str>,
    /// What they print.
    log: PathBuf,
    running: Option<Child>,
    done: Vec<&'static str>,
}

impl Beside {
    pub(crate) fn of(workspace: &Workspace, steps: Vec<&'static str>) -> Self {
        Self { steps, log: workspace.target.join("beside.log"), running: None, done: Vec::new() }
    }

    /// Begins them, once. When that fails they are run in their turn.
    pub(crate) fn begin(&mut self) {
        if self.running.is_none() && !self.steps.is_empty() {
            self.running = self.started().ok();
        }
    }

    fn started(&self) -> std::io::Result<Child> {
        let out = File::create(&self.log)?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(env::current_exe()?).arg("test");
        for step in &self.steps {
            command.args(["--only", step]);
        }
        command.stdout(out.try_clone()?).stderr(out).spawn()
    }

    /// Whether a step was run already.
    pub(crate) fn has_done(&self, step: &str) -> bool {
        self.done.contains(&step)
    }

    /// Waits for those that were begun, shows what they printed, and tells how each ended.
    ///
    /// # Errors
    ///
    /// When their process or its output is lost.
    pub(crate) fn end(&mut self) -> Result<Vec<(String, bool, Duration)>, Failure> {
        let Some(mut running) = self.running.take() else { return Ok(Vec::new()) };
        self.done = std::mem::take(&mut self.steps);
        let names = self.done.join(", ");
        eprintln!("\n== beside: {names}");
        running.wait().during(|| format!("cannot wait for {names}"))?;
        let printed = fs::read(&self.log).during(|| format!("cannot read `{}`", self.log.display()))?;
        let printed = String::from_utf8_lossy(&printed);
        eprint!("{printed}");
        let mut ended: Vec<_> = printed.lines().filter_map(of_summary_line).collect();
        let lost = self.done.iter().filter(|step| !ended.iter().any(|(name, ..)| name == **step));
        let lost: Vec<_> = lost.map(|step| ((*step).to_owned(), false, Duration::ZERO)).collect();
        ended.extend(lost);
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(script: &str) -> Beside {
        let log = env::temp_dir().join(format!("beside-{}-{}", std::process::id(), script.len()));
        let mut sh = Command::new("sh");
        let running =
            sh.args(["-c", script]).stdout(File::create(&log).expect("a file")).spawn().expect("a shell");
        Beside { steps: vec!["docs", "wheels"], log, running: Some(running), done: Vec::new() }
    }

    #[test]
    fn each_step_is_told_as_it_ended_and_one_without_an_end_as_failed() {
        let mut beside = beside("echo building; echo 'docs     ok         2.5 s'; exit 1");
        let ended = beside.end().expect("its output is there");
        let expected = [
            ("docs".to_owned(), true, Duration::from_millis(2_500)),
            ("wheels".to_owned(), false, Duration::ZERO),
        ];
        assert_eq!(ended, expected);
        assert!(beside.has_done("docs") && beside.has_done("wheels") && !beside.has_done("fmt"));
        assert_eq!(beside.end().expect("nothing is left"), []);
        fs::remove_file(&beside.log).expect("it was there");
    }

    #[test]
    fn what_was_not_begun_is_not_done() {
        let mut beside = Beside { steps: vec!["docs"], log: PathBuf::new(), running: None, done: Vec::new() };
        assert_eq!(beside.end().expect("nothing runs"), []);
        assert!(!beside.has_done("docs"));
    }
}
