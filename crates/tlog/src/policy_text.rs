//! The policy file (tlog-policy, "Policy file syntax and structure"): reading it with the line of every error, and writing
//! it. Edge: what a policy may say is decided in `policy.rs`.

use std::fmt;

use crate::decimal;
use crate::key::{KeyError, VerifierKey};
use crate::limits::{POLICY_BYTES_MAX, POLICY_GROUPS_MAX, POLICY_LOGS_MAX, POLICY_WITNESSES_MAX};
use crate::policy::{Policy, Threshold};

/// A name or URL in a policy: at least one octet, none of them a space or a control character. Octets above 0x7E are opaque,
/// UTF-8 by custom; shown as such.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Word(Vec<u8>);

impl Word {
    /// Takes over octets.
    ///
    /// # Errors
    /// [`PolicyProblem::NotAWord`].
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, PolicyProblem> {
        let octets = octets.into();
        if octets.is_empty() || octets.iter().any(|octet| *octet <= b' ' || *octet == 0x7F) {
            return Err(PolicyProblem::NotAWord);
        }
        Ok(Self(octets))
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the name `none`, which stands for no quorum.
    pub(crate) fn is_none(&self) -> bool {
        self.0 == b"none"
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Why a file is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than [`POLICY_BYTES_MAX`].
    #[error("policy has {bytes} bytes, above {POLICY_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Something is wrong with a line.
    #[error("line {line} of the policy: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        problem: PolicyProblem,
    },
    /// One line says what the quorum is, `quorum none` if there is to be none.
    #[error("policy has no quorum line")]
    NoQuorum,
}

/// What is wrong with a line of a policy, or with what is to be added to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// Only the last line can be cut off, and a cut line may mean something else.
    #[error("line does not end in a newline")]
    LineEnd,
    /// Control characters other than tab and newline are not allowed.
    #[error("control character {octet:#04x}")]
    ControlCharacter {
        /// The octet.
        octet: u8,
    },
    /// The first item of a line is `log`, `witness`, `group` or `quorum`.
    #[error("`{word}` is not `log`, `witness`, `group` or `quorum`")]
    Keyword {
        /// The item.
        word: Word,
    },
    /// Too few or too many items.
    #[error("line is not `{form}`")]
    Items {
        /// What the line should look like.
        form: &'static str,
    },
    /// Empty, or with a space or control character.
    #[error("name or url is empty, or has a space or a control character")]
    NotAWord,
    /// A key is malformed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key's name is not UTF-8.
    #[error("verifier key is not UTF-8")]
    KeyNotUtf8,
    /// A log signs notes.
    #[error("key of a log is not of type 0x01")]
    LogKeyKind,
    /// A witness cosigns checkpoints.
    #[error("key of a witness is not of type 0x04")]
    WitnessKeyKind,
    /// Two logs or two witnesses with the same public key, under whatever name.
    #[error("public key is listed already")]
    DuplicateKey,
    /// Witnesses and groups share their names.
    #[error("name `{name}` is taken already")]
    DuplicateName {
        /// The name.
        name: Word,
    },
    /// `none` stands for no quorum.
    #[error("`none` cannot name a witness or group")]
    NameNone,
    /// Groups and quorum refer to lines above.
    #[error("no witness or group `{name}` on the lines above")]
    UnknownName {
        /// The name.
        name: Word,
    },
    /// A witness or group counts in one group only.
    #[error("`{name}` is a member already")]
    MemberTwice {
        /// The name.
        name: Word,
    },
    /// Not `any`, `all` or a number of members.
    #[error("threshold is not `any`, `all` or a number from 1 to {members}")]
    Threshold {
        /// How many members there are.
        members: usize,
    },
    /// A policy has one quorum.
    #[error("second quorum line")]
    SecondQuorum,
    /// More than [`POLICY_LOGS_MAX`].
    #[error("more than {POLICY_LOGS_MAX} logs")]
    TooManyLogs,
    /// More than [`POLICY_WITNESSES_MAX`].
    #[error("more than {POLICY_WITNESSES_MAX} witnesses")]
    TooManyWitnesses,
    /// More than [`POLICY_GROUPS_MAX`].
    #[error("more than {POLICY_GROUPS_MAX} groups")]
    TooManyGroups,
}

const LOG_FORM: &str = "log <vkey> [<url>]";
const WITNESS_FORM: &str = "witness <name> <vkey> [<url>]";
const GROUP_FORM: &str = "group <name> all|any|<k> <name>...";
const QUORUM_FORM: &str = "quorum <name>|none";

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`] with the number of the line.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        if file.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { bytes: file.len() });
        }
        let mut policy = Self::default();
        let mut has_quorum = false;
        for (place, line) in file.split_inclusive(|octet| *octet == b'\n').enumerate() {
            let at_line = |problem| PolicyError::Line { line: place + 1, problem };
            policy.parse_line(line, &mut has_quorum).map_err(at_line)?;
        }
        if has_quorum { Ok(policy) } else { Err(PolicyError::NoQuorum) }
    }

    fn parse_line(&mut self, line: &[u8], has_quorum: &mut bool) -> Result<(), PolicyProblem> {
        let line = line.strip_suffix(b"\n").ok_or(PolicyProblem::LineEnd)?;
        let control = |octet: &&u8| (**octet < b' ' && **octet != b'\t') || **octet == 0x7F;
        if let Some(&octet) = line.iter().find(control) {
            return Err(PolicyProblem::ControlCharacter { octet });
        }
        let items = line.split(|octet| matches!(octet, b' ' | b'\t')).filter(|item| !item.is_empty());
        let items: Vec<Word> = items.map(|item| Word(item.to_vec())).collect();
        let Some((keyword, items)) = items.split_first() else { return Ok(()) };
        match keyword.as_bytes() {
            [b'#', ..] => Ok(()),
            b"log" => match items {
                [key] => self.add_log(parse_key(key)?, None),
                [key, url] => self.add_log(parse_key(key)?, Some(url.clone())),
                _ => Err(PolicyProblem::Items { form: LOG_FORM }),
            },
            b"witness" => match items {
                [name, key] => self.add_witness(name.clone(), parse_key(key)?, None),
                [name, key, url] => self.add_witness(name.clone(), parse_key(key)?, Some(url.clone())),
                _ => Err(PolicyProblem::Items { form: WITNESS_FORM }),
            },
            b"group" => match items {
                [name, threshold, members @ ..] if !members.is_empty() => {
                    let threshold = parse_threshold(threshold, members.len())?;
                    self.add_group(name.clone(), threshold, members)
                }
                _ => Err(PolicyProblem::Items { form: GROUP_FORM }),
            },
            b"quorum" => match items {
                _ if *has_quorum => Err(PolicyProblem::SecondQuorum),
                [name] => {
                    *has_quorum = true;
                    self.set_quorum(name)
                }
                _ => Err(PolicyProblem::Items { form: QUORUM_FORM }),
            },
            _ => Err(PolicyProblem::Keyword { word: keyword.clone() }),
        }
    }

    /// The policy as a file: logs, witnesses, groups, quorum, without comments. Reading it gives the same policy.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut line = |items: &[&[u8]]| {
            file.extend(items.join(&b' '));
            file.push(b'\n');
        };
        for log in self.logs() {
            let key = log.key.to_string();
            let url = log.url.iter().map(Word::as_bytes);
            line(&[b"log", key.as_bytes()].into_iter().chain(url).collect::<Vec<_>>());
        }
        for witness in self.witnesses() {
            let key = witness.key.to_string();
            let url = witness.url.iter().map(Word::as_bytes);
            let items: [&[u8]; 3] = [b"witness", witness.name.as_bytes(), key.as_bytes()];
            line(&items.into_iter().chain(url).collect::<Vec<_>>());
        }
        for group in self.groups() {
            let threshold = match group.threshold {
                1 => "any".to_owned(),
                all if all == group.members.len() => "all".to_owned(),
                count => count.to_string(),
            };
            let items: [&[u8]; 3] = [b"group", group.name.as_bytes(), threshold.as_bytes()];
            let members = group.members.iter().map(|&member| self.name(member).as_bytes());
            line(&items.into_iter().chain(members).collect::<Vec<_>>());
        }
        line(&[b"quorum", self.quorum().map_or(b"none", Word::as_bytes)]);
        file
    }
}

fn parse_key(word: &Word) -> Result<VerifierKey, PolicyProblem> {
    let text = std::str::from_utf8(word.as_bytes()).map_err(|_| PolicyProblem::KeyNotUtf8)?;
    Ok(text.parse()?)
}

fn parse_threshold(word: &Word, members: usize) -> Result<Threshold, PolicyProblem> {
    match word.as_bytes() {
        b"any" => Ok(Threshold::Any),
        b"all" => Ok(Threshold::All),
        count => std::str::from_utf8(count)
            .ok()
            .and_then(decimal::parse)
            .map(Threshold::AtLeast)
            .ok_or(PolicyProblem::Threshold { members }),
    }
}
