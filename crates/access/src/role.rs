//! The seven roles. Edge: names; what they may do is in `default.cedar`.

use std::fmt;

/// What somebody is to a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Writes records of its models; reads nothing.
    Recorder,
    /// Searches and reads its models, personal fields masked.
    Analyst,
    /// The same in clear, with a stated purpose.
    Investigator,
    /// Verifies everything, and sees masked records and who read what.
    Auditor,
    /// Finds a person, erases, holds, sets retention, exports for the person.
    PrivacyOfficer,
    /// Registers and deploys its models, and sets how they are sampled.
    ModelOwner,
    /// Keys and settings; reads no content.
    Administrator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Recorder,
        Self::Analyst,
        Self::Investigator,
        Self::Auditor,
        Self::PrivacyOfficer,
        Self::ModelOwner,
        Self::Administrator,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Analyst => "analyst",
            Self::Investigator => "investigator",
            Self::Auditor => "auditor",
            Self::PrivacyOfficer => "privacy-officer",
            Self::ModelOwner => "model-owner",
            Self::Administrator => "administrator",
        }
    }

    /// What it may do, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Recorder => "writes records of its models, and reads nothing",
            Self::Analyst => "searches and reads its models, personal fields masked",
            Self::Investigator => "the same in clear, with a stated purpose",
            Self::Auditor => "verifies, and sees masked records and who read what",
            Self::PrivacyOfficer => "finds a person, erases, holds, sets retention, exports for the person",
            Self::ModelOwner => "registers its models, sets how they are sampled, sees their statistics",
            Self::Administrator => "keys, settings, backups; reads no content",
        }
    }

    /// The role of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
