//! `cargo xtask demo`: real decisions of a real model recorded, read, proved, and a forgery found. Every step shows the
//! command that does it, and the outcome is checked, so that the demo is also a test of the program as people use it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::failure::{During, Failure};
use crate::program;
use crate::wheels::{self, Profile};
use crate::workspace::Workspace;

pub(crate) const ARGUMENTS: &str = "[--quiet] [--into DIR]";

/// Applications in the data, and so decisions in the trail.
const DECISIONS: usize = 1_000;

/// What `minutebook verify` ends with when it found something wrong.
const EXIT_PROBLEMS: i32 = 1;

const STEPS: usize = 10;

/// The command line of the demo.
#[derive(Default)]
struct Options {
    /// Show nothing unless something fails.
    quiet: bool,
    /// Where `demo-trail` and `demo-keys` go, instead of the repository's root; the edited copy goes there too.
    into: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let python = wheels::installed(workspace, Profile::Dev)?;
    // The one that the package brought along.
    let program = python.with_file_name("minutebook");
    let (into, scratch) = match &options.into {
        Some(into) => {
            let into = std::path::absolute(into).during(|| "cannot find the current folder".into())?;
            (into.clone(), into)
        }
        None => (workspace.root.clone(), workspace.target.clone()),
    };
    let mut demo = Demo {
        workspace,
        quiet: options.quiet,
        step: 0,
        python,
        program,
        data: workspace.target.join("data").join("germancredit.csv"),
        trail: into.join("demo-trail"),
        keys: into.join("demo-keys"),
        forged: scratch.join("demo-tampered"),
    };
    if std::env::current_dir().ok().as_deref() != Some(&workspace.root) {
        demo.say(&format!("The commands below are for the folder {}.", workspace.root.display()));
    }
    demo.clear()?;
    fs::create_dir_all(&into).during(|| format!("cannot make `{}`", into.display()))?;
    demo.get_data()?;
    demo.decide()?;
    demo.list()?;
    demo.show_a_rejected_applicant()?;
    demo.search()?;
    demo.query()?;
    demo.statistics()?;
    demo.verify()?;
    let segment = demo.forge()?;
    demo.verify_forged(&segment)?;
    demo.say_what_to_try();
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let missing =
                || Failure::Usage(format!("`{argument}` needs a value: cargo xtask demo {ARGUMENTS}"));
            arguments.next().map(PathBuf::from).ok_or_else(missing)
        };
        match argument.as_str() {
            "--quiet" => options.quiet = true,
            "--into" => options.into = Some(value()?),
            other => return Err(Failure::Usage(format!("unknown `{other}`: cargo xtask demo {ARGUMENTS}"))),
        }
    }
    Ok(options)
}

struct Demo<'a> {
    workspace: &'a Workspace,
    quiet: bool,
    step: usize,
    python: PathBuf,
    program: PathBuf,
    data: PathBuf,
    trail: PathBuf,
    keys: PathBuf,
    forged: PathBuf,
}

impl Demo<'_> {
    /// Removes what an earlier run left.
    fn clear(&self) -> Result<(), Failure> {
        let left: Vec<&PathBuf> =
            [&self.trail, &self.keys, &self.forged].into_iter().filter(|folder| folder.exists()).collect();
        if !left.is_empty() {
            let names: Vec<String> = left.iter().map(|folder| self.typed(folder)).collect();
            self.say(&format!("Replacing what an earlier demo left: {}.", names.join(", ")));
        }
        for folder in left {
            fs::remove_dir_all(folder).during(|| format!("cannot remove `{}`", folder.display()))?;
        }
        Ok(())
    }

    fn get_data(&mut self) -> Result<(), Failure> {
        let mut command = self.script("examples/credit/data.py");
        command.arg(self.typed(&self.data));
        self.begin("Get the data: 1,000 real credit applications", &program::shell_line(&command));
        self.finish(command).map(|_| ())
    }

    fn decide(&mut self) -> Result<(), Failure> {
        let mut command = self.script("examples/credit/decide.py");
        command
            .arg(self.typed(&self.data))
            .arg(self.typed(&self.trail))
            .arg("--keys")
            .arg(self.typed(&self.keys));
        self.begin(
            "Train a model, decide the applications: two lines around it record each decision, with its SHAP values",
            &program::shell_line(&command),
        );
        self.finish(command).map(|_| ())
    }

    fn list(&mut self) -> Result<(), Failure> {
        let command = self.minutebook(&self.trail, &["list", "--limit", "5"]);
        self.begin("List the newest", &program::shell_line(&command));
        self.finish(command).map(|_| ())
    }

    fn show_a_rejected_applicant(&mut self) -> Result<(), Failure> {
        let every = DECISIONS.to_string();
        let listed = program::output(
            &mut self.minutebook(&self.trail, &["list", "--json", "--kind", "decision", "--limit", &every]),
        )?;
        let recorded = listed.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        if recorded != DECISIONS {
            return Err(Failure::Failed(format!(
                "{recorded} decisions are in the trail instead of {DECISIONS}"
            )));
        }
        let Some(id) = first_rejected(&String::from_utf8_lossy(&listed.stdout)) else {
            let message = String::from_utf8_lossy(&listed.stderr);
            return Err(Failure::Failed(format!(
                "`list --json` shows no application that was turned down\n{message}"
            )));
        };
        let command = self.minutebook(&self.trail, &["show", &id]);
        self.begin("Open one that was turned down, and see why", &program::shell_line(&command));
        let output = self.finish(command)?;
        if String::from_utf8_lossy(&output.stdout).contains(&id) {
            Ok(())
        } else {
            Err(Failure::Failed(format!("`show` does not name the record `{id}`")))
        }
    }

    fn search(&mut self) -> Result<(), Failure> {
        let columns = "subject,inputs.age_in_years,inputs.credit_amount,outputs.probability";
        let asked = "inputs.age_in_years > 60 AND outputs.approve = false";
        let command = self.minutebook(
            &self.trail,
            &["search", asked, "--model", "german-credit", "--columns", columns, "--limit", "5"],
        );
        self.begin(
            "Find those of over 60 that were turned down, by what they said and what was decided",
            &program::shell_line(&command),
        );
        let output = self.finish(command)?;
        if String::from_utf8_lossy(&output.stdout).contains("applicant-") {
            Ok(())
        } else {
            Err(Failure::Failed(format!("`search` finds nobody\n{}", both(&output))))
        }
    }

    fn query(&mut self) -> Result<(), Failure> {
        let query = "SELECT inputs.purpose, count(*) AS decided, round(avg(outputs.probability), 2) AS probability \
             FROM \"german-credit\" GROUP BY 1 ORDER BY 2 DESC";
        let command = self.minutebook(&self.trail, &["sql", query]);
        self.begin("Ask in SQL: what was decided about which purpose?", &program::shell_line(&command));
        self.finish(command).map(|_| ())
    }

    fn statistics(&mut self) -> Result<(), Failure> {
        let command = self.minutebook(&self.trail, &["stats", "german-credit", "--by", "day"]);
        self.begin("What were they like, all together?", &program::shell_line(&command));
        self.finish(command).map(|_| ())
    }

    fn verify(&mut self) -> Result<(), Failure> {
        let command = self.minutebook(&self.trail, &["verify"]);
        self.begin("Verify the trail", &program::shell_line(&command));
        self.finish(command).map(|_| ())
    }

    /// Changes one byte in a copy, and says in which segment.
    fn forge(&mut self) -> Result<String, Failure> {
        let (segment, bytes) = biggest_file(&self.trail.join("segments"))?;
        let offset = bytes / 2;
        let file = self.forged.join("segments").join(&segment);
        copy_folder(&self.trail, &self.forged)?;
        let byte = flip_bit(&file, offset)?;
        self.begin(
            "Now be the forger: change one byte of a copy, in the middle of its biggest segment",
            &format!(
                "cp -r {} {}\n     $ printf '\\{byte:03o}' | dd of={} bs=1 seek={offset} conv=notrunc",
                self.typed(&self.trail),
                self.typed(&self.forged),
                self.typed(&file),
            ),
        );
        Ok(segment)
    }

    fn verify_forged(&mut self, segment: &str) -> Result<(), Failure> {
        let mut command = self.minutebook(&self.forged, &["verify"]);
        self.begin("Verify the copy", &program::shell_line(&command));
        let output = program::output(&mut command)?;
        self.pass_on(&output);
        if output.status.code() != Some(EXIT_PROBLEMS) {
            let status = output.status;
            return Err(Failure::Failed(format!(
                "`verify` of the edited copy ended with {status} instead of exit status {EXIT_PROBLEMS}\n{}",
                both(&output)
            )));
        }
        if !both(&output).contains(segment) {
            return Err(Failure::Failed(format!("`verify` does not name the edited segment `{segment}`")));
        }
        self.say(&format!("Found, as it has to be: exit status {EXIT_PROBLEMS}, and the segment is named."));
        Ok(())
    }

    fn say_what_to_try(&self) {
        let trail = self.typed(&self.trail);
        let keys = self.typed(&self.keys);
        self.say(&format!(
            "
The trail stays in {trail}, its keys in {keys}. Go on with it:

     $ export MINUTEBOOK_TRAIL={trail} MINUTEBOOK_KEYS={keys}
     $ alias minutebook={program}
     $ minutebook list --json --limit 1
     $ minutebook verify --json
     $ echo '{{\"model\": {{\"name\": \"mine\", \"version\": \"1\"}}, \"inputs\": {{\"x\": 1}}}}' | minutebook record
     $ minutebook --help

How the decisions were made and recorded: examples/credit/decide.py, and docs/python/index.md.
To clean up: rm -r {trail} {keys} {forged}",
            program = self.typed(&self.program),
            forged = self.typed(&self.forged),
        ));
    }

    fn script(&self, script: &str) -> Command {
        let mut command = Command::new(self.typed(&self.python));
        command.current_dir(&self.workspace.root).arg(script);
        if self.quiet {
            command.stderr(Stdio::null());
        }
        command
    }

    fn bare_minutebook(&self) -> Command {
        // With a slash, so that it is this file and not something on the search path.
        let program = self.typed(&self.program);
        let program = if program.contains('/') { program } else { format!("./{program}") };
        let mut command = Command::new(program);
        // The demo must do the same whatever the person has set up.
        command
            .current_dir(&self.workspace.root)
            .env_remove("MINUTEBOOK_TRAIL")
            .env_remove("MINUTEBOOK_KEYS");
        command
    }

    fn minutebook<S: AsRef<OsStr>>(&self, trail: &Path, arguments: &[S]) -> Command {
        let mut command = self.bare_minutebook();
        command
            .arg("--trail")
            .arg(self.typed(trail))
            .arg("--keys")
            .arg(self.typed(&self.keys))
            .args(arguments);
        command
    }

    fn begin(&mut self, title: &str, shown: &str) {
        self.step += 1;
        self.say(&format!("\n{}/{STEPS}  {title}\n     $ {shown}\n", self.step));
    }

    /// Runs a command that has to succeed.
    fn finish(&self, mut command: Command) -> Result<Output, Failure> {
        let output = program::output(&mut command)?;
        self.pass_on(&output);
        if output.status.success() {
            return Ok(output);
        }
        let said = if self.quiet { format!("\n{}", both(&output)) } else { String::new() };
        Err(Failure::Failed(format!(
            "`{}` ended with {}{said}",
            program::shell_line(&command),
            output.status
        )))
    }

    fn pass_on(&self, output: &Output) {
        if !self.quiet {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    fn typed(&self, path: &Path) -> String {
        self.workspace.typed(path)
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The id of the first record whose output `approve` is false, from records as lines of JSON.
fn first_rejected(lines: &str) -> Option<String> {
    let records = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut rejected = records.filter(|record| record["outputs"]["approve"] == Value::Bool(false));
    Some(rejected.next()?["id"].as_str()?.to_owned())
}

/// The name and the size in bytes of the biggest file in a folder; of equals, the first by name.
fn biggest_file(folder: &Path) -> Result<(String, u64), Failure> {
    let cannot_read = || format!("cannot read `{}`", folder.display());
    let mut biggest: Option<(u64, std::cmp::Reverse<String>)> = None;
    for entry in fs::read_dir(folder).during(cannot_read)? {
        let entry = entry.during(cannot_read)?;
        let metadata = entry.metadata().during(cannot_read)?;
        if metadata.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            biggest = biggest.max(Some((metadata.len(), std::cmp::Reverse(name))));
        }
    }
    match biggest {
        Some((bytes, std::cmp::Reverse(name))) if bytes > 0 => Ok((name, bytes)),
        _ => Err(Failure::Failed(format!("`{}` has no segment", folder.display()))),
    }
}

/// Copies the files of a folder and of the folders in it. Sockets and links are left out.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    let cannot_copy = || format!("cannot copy `{}` to `{}`", from.display(), to.display());
    fs::create_dir_all(to).during(cannot_copy)?;
    for entry in fs::read_dir(from).during(cannot_copy)? {
        let entry = entry.during(cannot_copy)?;
        let kind = entry.file_type().during(cannot_copy)?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).during(cannot_copy)?;
        }
    }
    Ok(())
}

/// Flips the lowest bit of the byte at `offset`, and returns the byte that is there now.
fn flip_bit(file: &Path, offset: u64) -> Result<u8, Failure> {
    let flip = || {
        let mut permissions = fs::metadata(file)?.permissions();
        if permissions.readonly() {
            // A sealed segment may be read-only; a forger would not be stopped by that.
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
            fs::set_permissions(file, permissions)?;
        }
        let mut file = fs::File::options().read(true).write(true).open(file)?;
        let mut byte = [0];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut byte)?;
        byte[0] ^= 1;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&byte)?;
        Ok::<u8, std::io::Error>(byte[0])
    };
    flip().during(|| format!("cannot change a byte of `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_turned_down_is_found() {
        let lines = r#"{"id": "a", "outputs": {"approve": true}}
{"id": "b", "kind": "outcome"}
{"id": "c", "outputs": {"approve": false}}
{"id": "d", "outputs": {"approve": false}}"#;
        assert_eq!(first_rejected(lines).as_deref(), Some("c"));
        assert_eq!(first_rejected(r#"{"id": "a", "outputs": {"approve": true}}"#), None);
    }

    #[test]
    fn the_biggest_segment_is_chosen() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(biggest_file(folder.path()).is_err(), "an empty folder has none");
        for (name, bytes) in [("c", 3), ("b", 9), ("a", 9), ("d", 0)] {
            fs::write(folder.path().join(name), vec![0; bytes]).expect("written");
        }
        assert_eq!(biggest_file(folder.path()).expect("there are files"), ("a".into(), 9));
    }

    #[test]
    fn one_bit_of_the_copy_differs_and_none_of_the_original() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("segments")).expect("made");
        fs::write(from.join("segments/s"), [7, 8, 9]).expect("written");
        copy_folder(&from, &to).expect("copied");
        assert_eq!(flip_bit(&to.join("segments/s"), 1).expect("changed"), 9);
        assert_eq!(fs::read(to.join("segments/s")).expect("read"), [7, 9, 9]);
        assert_eq!(fs::read(from.join("segments/s")).expect("read"), [7, 8, 9]);
        assert!(flip_bit(&to.join("segments/s"), 3).is_err(), "beyond the end");
    }

    #[test]
    fn an_unknown_option_and_a_missing_value_are_usage_errors() {
        for line in [vec!["--fast".to_owned()], vec!["--into".to_owned()]] {
            assert_eq!(parse(&line).map(|_| ()).expect_err("a wrong command line").exit_code(), 2);
        }
    }
}
