//! What a verification found, in words for a person and in parts for a program. Edge: nothing here reads or decides.

use crate::coverage::Account;
use crate::sampling::SamplingReport;
use crate::windows::WindowsReport;
use std::collections::BTreeSet;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Nothing is wrong yet something is missing that would make the proof stronger.
    Warning,
    /// The trail is not what it was.
    Problem,
}

impl Severity {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object it is about: a name below the trail's folder, or an epoch of a producer.
    pub object: String,
    /// What was found.
    pub what: String,
    /// What that means, for somebody who does not know the format.
    pub means: String,
}

/// A whole verification.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// All findings, in the order they were met.
    pub findings: Vec<Finding>,
    /// The trail's id, 32 hex digits.
    pub trail: String,
    /// The log's origin.
    pub origin: String,
    /// The verifier key that the checkpoint was checked with.
    pub log_key: String,
    /// Size and root (base64) of the checkpoint.
    pub checkpoint: Option<(u64, [u8; 32])>,
    /// Signatures on the checkpoint beside the log's own.
    pub other_signatures: usize,
    /// Whether a checkpoint that was seen earlier was proved to be a part of this one.
    pub continues_earlier: bool,
    /// Segments that the log names.
    pub segments: u64,
    /// Segments disposed of.
    pub disposed: u64,
    /// Records in those.
    pub disposed_records: u64,
    /// Segments checked with the audit key, and with the content key too.
    pub audited: u64,
    /// Segments whose contents were checked.
    pub opened: u64,
    /// Records that the log accounts for.
    pub records: u64,
    /// Records whose fields were all committed to again.
    pub readable: u64,
    /// Records whose subject was erased.
    pub erased: u64,
    /// Records whose subject's key was not given.
    pub withheld: u64,
    /// Blobs checked.
    pub blobs: u64,
    /// Bytes of stored evidence read.
    pub bytes: u64,
    /// Completeness, one account for each (producer, epoch, class).
    pub accounts: Vec<Account>,
    /// What could be proved of sampling; `None` when there was nothing to prove, or the policies could not be read.
    pub sampling: Option<SamplingReport>,
    /// What windows counted; `None` when not all of what that rests on could be read.
    pub windows: Option<WindowsReport>,
    /// Subjects erased by a record of their own.
    pub erasures: BTreeSet<u64>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems() == 0
    }

    /// How many problems there are.
    pub fn problems(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Problem).count()
    }

    pub(crate) fn problem(&mut self, object: impl Into<String>, what: impl Into<String>, means: &str) {
        self.add(Severity::Problem, object, what, means);
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        object: impl Into<String>,
        what: impl Into<String>,
        means: &str,
    ) {
        self.findings.push(Finding {
            severity,
            object: object.into(),
            what: what.into(),
            means: means.into(),
        });
    }
}
