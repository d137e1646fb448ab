//! What a program under test said before it died: one line for each thing that it may be held to. Edge: says what was promised; whether it
//! was kept, `check` finds out.

use minutebook_record::RecordId;
use minutebook_verify::Id;
use std::collections::BTreeMap;

/// What the lines begin with, so that nothing else on standard output is taken for one.
pub const MARK: &str = "@ ";

/// How far a record had come when its program said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Process,
    Disk,
    Sealed,
}

/// A record that was handed over.
#[derive(Clone, Debug)]
pub struct Handed {
    pub id: RecordId,
    pub epoch: (Id, u64),
    pub class: String,
    /// The record's number in its program: its amount.
    pub n: u64,
    pub subject: Option<String>,
    /// A policy may leave it out.
    pub is_decision: bool,
    pub level: Level,
}

/// A decision that was begun and never got a record.
#[derive(Clone, Debug)]
pub struct Begun {
    pub id: RecordId,
    pub epoch: (Id, u64),
    pub class: String,
    pub seq: u64,
}

/// An erasure that was asked for.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub subject: String,
    /// How many records had been handed over before.
    pub handed: usize,
    pub done: bool,
}

/// All that one program said.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub handed: Vec<Handed>,
    pub begun: Vec<Begun>,
    pub epochs: Vec<(Id, u64)>,
    pub erasures: Vec<Erasure>,
    /// Sizes and roots of checkpoints that the engine gave out.
    pub checkpoints: Vec<(u64, [u8; 32])>,
    /// Something was disposed of, as the program was told.
    pub disposed: bool,
    /// A trail was made.
    pub made: bool,
    /// Steps of a backup that are done.
    pub said: Vec<String>,
    pub failures: Vec<String>,
    pub ended: bool,
}

impl Told {
    /// Reads what a program printed.
    pub fn read(output: &[u8]) -> Self {
        let mut told = Self::default();
        let mut sealing = 0;
        let mut names: BTreeMap<String, (Id, u64)> = BTreeMap::new();
        for line in String::from_utf8_lossy(output).split_inclusive('\n') {
            // A line that was cut off by the program's death says nothing.
            let Some(line) = line.strip_prefix(MARK).and_then(|line| line.strip_suffix('\n')) else {
                continue;
            };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["opened", name, producer, epoch] => {
                    let epoch = (bytes(producer), epoch.parse().unwrap());
                    names.insert(name.to_owned(), epoch);
                    told.epochs.push(epoch);
                }
                ["handed", name, class, n, id, subject, kind] => told.handed.push(Handed {
                    id: id.parse().unwrap(),
                    epoch: names[name],
                    class: class.to_owned(),
                    n: n.parse().unwrap(),
                    subject: (subject != "-").then(|| subject.to_owned()),
                    is_decision: kind == "decision",
                    level: Level::Process,
                }),
                ["begun", name, class, seq, id] => told.begun.push(Begun {
                    id: id.parse().unwrap(),
                    epoch: names[name],
                    class: class.to_owned(),
                    seq: seq.parse().unwrap(),
                }),
                ["flushed", name] => {
                    let epoch = names[name];
                    let handed = told.handed.iter_mut().filter(|handed| handed.epoch == epoch);
                    handed.for_each(|handed| handed.level = handed.level.max(Level::Disk));
                }
                ["sealing"] => sealing = told.handed.len(),
                ["sealed"] => {
                    told.handed[..sealing].iter_mut().for_each(|handed| handed.level = Level::Sealed)
                }
                ["checkpoint", size, root] => told.checkpoints.push((size.parse().unwrap(), bytes(root))),
                ["erasing", subject] => {
                    let (subject, handed) = (subject.to_owned(), told.handed.len());
                    told.erasures.push(Erasure { subject, handed, done: false });
                }
                ["erased"] => told.erasures.last_mut().unwrap().done = true,
                ["disposed"] => told.disposed = true,
                ["made"] => told.made = true,
                [said @ ("backed-up" | "restored" | "promoted")] => told.said.push(said.to_owned()),
                ["failed", ..] => told.failures.push(line.to_owned()),
                ["end"] => told.ended = true,
                _ => panic!("a program under test said `{line}`"),
            }
        }
        told
    }
}

/// Bytes from their hex digits.
fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N, "{hex}");
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}
