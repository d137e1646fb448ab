//! What a program under test does, step by step, as text that crosses the environment. Edge: says what, not how.

use std::fmt;
use std::str::FromStr;

/// One step. Producers go by short names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens a producer.
    Open(String),
    /// Closes it in order.
    Close(String),
    /// Leaves it as it is: for everybody else it dies with the process.
    Leave(String),
    /// Hands so many records over.
    Record(String, u32),
    /// Begins so many decisions that never get a record.
    Begin(String, u32),
    /// Flushes to the disk.
    Flush(String),
    /// Makes a trail.
    Init,
    /// Seals what there is.
    Seal,
    /// Erases a subject.
    Erase(String),
    /// Replaces the key-encryption key.
    Rotate,
    /// Puts a sampling policy in force, by its short name.
    Policy(String),
    /// Replaces the sampling key.
    Resample,
    /// Disposes of what is past its retention.
    Dispose,
    /// Backs the trail up.
    Backup,
    /// Restores the backup beside it.
    Restore,
    /// Makes the restored copy a trail.
    Promote,
    /// Closes the engine; the next step that needs one opens it again.
    Stop,
    /// Waits until the test lets it go on.
    Wait,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(name) => write!(f, "open {name}"),
            Self::Close(name) => write!(f, "close {name}"),
            Self::Leave(name) => write!(f, "leave {name}"),
            Self::Record(name, count) => write!(f, "record {name} {count}"),
            Self::Begin(name, count) => write!(f, "begin {name} {count}"),
            Self::Flush(name) => write!(f, "flush {name}"),
            Self::Init => f.write_str("init"),
            Self::Seal => f.write_str("seal"),
            Self::Erase(subject) => write!(f, "erase {subject}"),
            Self::Rotate => f.write_str("rotate"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Resample => f.write_str("resample"),
            Self::Dispose => f.write_str("dispose"),
            Self::Backup => f.write_str("backup"),
            Self::Restore => f.write_str("restore"),
            Self::Promote => f.write_str("promote"),
            Self::Stop => f.write_str("stop"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let count = |word: &str| word.parse().map_err(|_| format!("`{text}` has no count"));
        Ok(match words[..] {
            ["open", name] => Self::Open(name.into()),
            ["close", name] => Self::Close(name.into()),
            ["leave", name] => Self::Leave(name.into()),
            ["record", name, n] => Self::Record(name.into(), count(n)?),
            ["begin", name, n] => Self::Begin(name.into(), count(n)?),
            ["flush", name] => Self::Flush(name.into()),
            ["init"] => Self::Init,
            ["seal"] => Self::Seal,
            ["erase", subject] => Self::Erase(subject.into()),
            ["rotate"] => Self::Rotate,
            ["policy", name] => Self::Policy(name.into()),
            ["resample"] => Self::Resample,
            ["dispose"] => Self::Dispose,
            ["backup"] => Self::Backup,
            ["restore"] => Self::Restore,
            ["promote"] => Self::Promote,
            ["stop"] => Self::Stop,
            ["wait"] => Self::Wait,
            _ => return Err(format!("`{text}` is no step")),
        })
    }
}

/// Steps in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(pub Vec<Step>);

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.0.iter().map(Step::to_string).collect();
        f.write_str(&steps.join("; "))
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let steps = text.split(';').map(str::trim).filter(|step| !step.is_empty());
        steps.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[test]
fn a_script_survives_the_environment() {
    let text = "init; policy half; resample; open web; record web 5; begin web 2; flush web; seal; erase ann; rotate; backup; \
                restore; promote; stop; \
                leave web; close log; wait";
    assert_eq!(text.parse::<Script>().unwrap().to_string(), text);
    assert!("record web".parse::<Script>().is_err());
}
