//! SQLite in WAL mode as the program under test: through its own calls, as the engine will use it.

use std::path::{Path, PathBuf};
use std::process::Command;

use minutebook_faultfs::{MaterialiseMode, Plan};

use crate::stage::Stage;

/// Prints the number of each transaction once it is committed. Checkpoints often, so that the log starts over.
const WRITER: &str = "
import sqlite3, sys
database = sqlite3.connect('trail.db', isolation_level=None)
database.execute('pragma journal_mode=wal')
database.execute('pragma synchronous=' + sys.argv[1])
database.execute('pragma wal_autocheckpoint=6')
database.execute('create table entry (number integer primary key, content text)')
for number in range(1, 9):
    database.execute('insert into entry values (?, ?)', (number, str(number) * 3000))
    print(number, flush=True)
";

/// Prints, for each database, how many transactions it holds if they are the first ones, whole; else what is wrong.
const READER: &str = "
import sqlite3, sys
for path in sys.stdin.read().split():
    try:
        database = sqlite3.connect(path + '/trail.db')
        [(verdict,)] = database.execute('pragma integrity_check').fetchall()
        assert verdict == 'ok', verdict
        tables = database.execute('select count(*) from sqlite_master').fetchone()[0]
        entries = database.execute('select number, content from entry order by number').fetchall() if tables else []
        assert entries == [(number, str(number) * 3000) for number in range(1, len(entries) + 1)], entries
        print(len(entries))
    except Exception as error:
        print(repr(error))
";

/// A database after a power loss.
struct Loss {
    describe: String,
    folder: PathBuf,
    committed: usize,
}

fn python(script: &str) -> Command {
    let mut python = Command::new("python3");
    // Without the user's site packages, which take longer to find than the script takes to run.
    python.args(["-I", "-S", "-c", script]);
    python
}

/// Runs the writer; returns how many transactions it said it had committed.
fn write(stage: &Stage, synchronous: &str, plan: Plan) -> usize {
    let mut writer = python(WRITER);
    let output = stage.start(writer.arg(synchronous).current_dir(&stage.session.root), plan);
    String::from_utf8(output.stdout).unwrap().lines().count()
}

/// Kills the writer before each of its operations, loses power then in each of the modes, and compares.
fn lose_at_each_operation(
    synchronous: &str,
    modes: impl Fn(u64) -> Vec<MaterialiseMode>,
) -> Vec<(Loss, Result<usize, String>)> {
    let counted = Stage::with(&[]);
    assert_eq!(write(&counted, synchronous, Plan::Count), 8);
    let operations = counted.session.operations().unwrap();
    assert!(operations.len() > 40, "{operations:#?}");
    let (mut stages, mut losses) = (Vec::new(), Vec::new());
    for operation in operations {
        let stage = Stage::with(&[]);
        let committed = write(&stage, synchronous, Plan::KillBefore(operation.number));
        for mode in modes(operation.number) {
            let describe = format!("{mode:?}, killed before {operation}");
            losses.push(Loss { describe, folder: stage.lose_power(mode), committed });
        }
        stages.push(stage);
    }
    let found = read_all(losses.iter().map(|loss| loss.folder.as_path()));
    assert_eq!(found.len(), losses.len());
    losses.into_iter().zip(found).collect()
}

/// What each database holds; `Err` with SQLite's complaint if it is damaged.
fn read_all<'a>(folders: impl Iterator<Item = &'a Path>) -> Vec<Result<usize, String>> {
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), folders.map(|folder| format!("{}\n", folder.display())).collect::<String>())
        .unwrap();
    let output = python(READER).stdin(list.reopen().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().map_err(|_| line.to_owned())).collect()
}

#[test]
fn committed_transactions_survive_each_loss_of_what_was_not_flushed() {
    use MaterialiseMode::{Seeded, Strict, TornTail};
    let modes = |number| vec![Strict, TornTail(number), Seeded(2 * number), Seeded(2 * number + 1)];
    for (Loss { describe, committed, .. }, held) in lose_at_each_operation("full", modes) {
        let held = held.unwrap_or_else(|complaint| panic!("{describe}: {complaint}"));
        assert!([committed, committed + 1].contains(&held), "{describe}: {committed} committed, {held} held");
    }
}

/// Shows that the model bites: a database that doesn't flush loses what it had committed.
#[test]
fn a_database_that_does_not_flush_loses_transactions() {
    let losses = lose_at_each_operation("off", |_| vec![MaterialiseMode::Strict]);
    assert!(losses.iter().any(|(loss, held)| held.as_ref().is_ok_and(|held| *held < loss.committed)));
}
