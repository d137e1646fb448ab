//! Trust policies (tlog-policy): which logs are believed, and which witnesses have to have cosigned. The auditor's file.
//! Edge: a policy judges one checkpoint; consistency with earlier ones is for whoever remembers those.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::key::{KeyKind, VerifierKey};
use crate::limits::{POLICY_GROUPS_MAX, POLICY_LOGS_MAX, POLICY_WITNESSES_MAX};
use crate::note::{NoteError, SignedNote};
use crate::policy_text::{PolicyProblem, Word};

/// Logs, witnesses, groups and the quorum. The default knows no log and asks for no witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// Nothing for the quorum `none`.
    quorum: Option<Member>,
}

/// A log that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the name is the origin of its checkpoints.
    pub key: VerifierKey,
    /// Where it can be reached, if the policy says.
    pub url: Option<Word>,
}

/// A witness that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// What groups and quorum call it; means nothing elsewhere.
    pub name: Word,
    /// Its key.
    pub key: VerifierKey,
    /// Where it can be reached, if the policy says.
    pub url: Option<Word>,
}

/// Witnesses and groups of which some number have to have cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: Word,
    /// 1 to the number of members.
    pub(crate) threshold: usize,
    pub(crate) members: Vec<Member>,
}

/// INVARIANT: points into the policy's lists; in a group, only to groups before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Witness(usize),
    Group(usize),
}

/// How many members of a group have to have cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// One.
    Any,
    /// Every one.
    All,
    /// So many, 1 to the number of members.
    AtLeast(u64),
}

/// A checkpoint that a policy accepts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'p> {
    /// What the log states.
    pub checkpoint: Checkpoint,
    /// The log that signed it.
    pub log: &'p PolicyLog,
    /// The policy's witnesses that cosigned it, whether or not the quorum needs them, in the policy's order.
    pub witnesses: Vec<Witnessed<'p>>,
}

/// A witness's verified cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed<'p> {
    /// Whose.
    pub witness: &'p PolicyWitness,
    /// When it says that it signed, in seconds since 1970; the latest time where it signed more than once.
    pub unix_seconds: u64,
}

/// Why a policy does not accept a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The note's text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log is not in the policy.
    #[error("policy does not list the log `{origin}`")]
    LogUnknown {
        /// The checkpoint's origin.
        origin: String,
    },
    /// A key of the policy has signed wrongly.
    #[error(transparent)]
    Note(NoteError),
    /// No key of the log has signed.
    #[error("checkpoint is not signed by the log `{origin}`")]
    LogSignatureMissing {
        /// The checkpoint's origin.
        origin: String,
    },
    /// Too few witnesses, or not the right ones.
    #[error("quorum `{quorum}` is not met: {cosigned} of the policy's witnesses have cosigned")]
    Quorum {
        /// The name of the quorum.
        quorum: Word,
        /// How many witnesses of the policy have cosigned.
        cosigned: usize,
    },
}

impl Policy {
    /// Adds a log.
    ///
    /// # Errors
    /// [`PolicyProblem`]: a key of another type than 0x01, one that is listed already, too many logs.
    pub fn add_log(&mut self, key: VerifierKey, url: Option<Word>) -> Result<(), PolicyProblem> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(PolicyProblem::LogKeyKind);
        }
        Word::new(key.to_string())?;
        if self.logs.iter().any(|log| log.key.public_key() == key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        if self.logs.len() == POLICY_LOGS_MAX {
            return Err(PolicyProblem::TooManyLogs);
        }
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    /// Adds a witness.
    ///
    /// # Errors
    /// [`PolicyProblem`]: a key of another type than 0x04, one that is listed already, a name that is taken, too many
    /// witnesses.
    pub fn add_witness(
        &mut self,
        name: Word,
        key: VerifierKey,
        url: Option<Word>,
    ) -> Result<(), PolicyProblem> {
        if key.kind() != KeyKind::Cosignature {
            return Err(PolicyProblem::WitnessKeyKind);
        }
        Word::new(key.to_string())?;
        self.check_new_name(&name)?;
        if self.witnesses.iter().any(|witness| witness.key.public_key() == key.public_key()) {
            return Err(PolicyProblem::DuplicateKey);
        }
        if self.witnesses.len() == POLICY_WITNESSES_MAX {
            return Err(PolicyProblem::TooManyWitnesses);
        }
        self.witnesses.push(PolicyWitness { name, key, url });
        Ok(())
    }

    /// Adds a group of witnesses and groups that were added before. Each can be in one group only.
    ///
    /// # Errors
    /// [`PolicyProblem`]: a name that is taken, an unknown or second-time member, none, a threshold outside 1 to their
    /// number, too many groups.
    pub fn add_group(
        &mut self,
        name: Word,
        threshold: Threshold,
        members: &[Word],
    ) -> Result<(), PolicyProblem> {
        self.check_new_name(&name)?;
        let threshold = match threshold {
            Threshold::Any => 1,
            Threshold::All => members.len(),
            Threshold::AtLeast(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        if !(1..=members.len()).contains(&threshold) {
            return Err(PolicyProblem::Threshold { members: members.len() });
        }
        if self.groups.len() == POLICY_GROUPS_MAX {
            return Err(PolicyProblem::TooManyGroups);
        }
        let mut found = Vec::with_capacity(members.len());
        for name in members {
            let member = self.member(name)?;
            let listed = self.groups.iter().any(|group| group.members.contains(&member));
            if listed || found.contains(&member) {
                return Err(PolicyProblem::MemberTwice { name: name.clone() });
            }
            found.push(member);
        }
        self.groups.push(Group { name, threshold, members: found });
        Ok(())
    }

    /// Sets which witness or group has to have cosigned, or with `none` that nobody has to.
    ///
    /// # Errors
    /// [`PolicyProblem::UnknownName`].
    pub fn set_quorum(&mut self, name: &Word) -> Result<(), PolicyProblem> {
        self.quorum = if name.is_none() { None } else { Some(self.member(name)?) };
        Ok(())
    }

    /// The logs, in the order in which they were added.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in the order in which they were added.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// The groups, in the order in which they were added.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether any witness has to have cosigned. Where none has to, the holder of the log's key is believed alone.
    pub fn needs_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// The name of the witness or group that has to have cosigned; nothing for `none`.
    pub fn quorum(&self) -> Option<&Word> {
        self.quorum.map(|member| self.name(member))
    }

    /// Judges a note: whether it is the checkpoint of a listed log, signed by that log, and cosigned as the quorum asks.
    ///
    /// # Errors
    /// [`PolicyRefusal`] says what is missing. A wrong signature of any key of the policy refuses the note.
    pub fn check(&self, note: &SignedNote) -> Result<Accepted<'_>, PolicyRefusal> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let origin = checkpoint.origin();
        if !self.logs.iter().any(|log| log.key.name().as_str() == origin) {
            return Err(PolicyRefusal::LogUnknown { origin: origin.to_owned() });
        }
        let logs = self.logs.iter().map(|log| &log.key);
        let verified = match note.verify(logs.chain(self.witnesses.iter().map(|witness| &witness.key))) {
            Ok(verified) => verified,
            Err(NoteError::NoKnownSignature) => Vec::new(),
            Err(error) => return Err(PolicyRefusal::Note(error)),
        };
        let signed =
            |log: &&PolicyLog| verified.iter().any(|signature| std::ptr::eq(signature.key, &log.key));
        let mut of_origin = self.logs.iter().filter(|log| log.key.name().as_str() == origin);
        let Some(log) = of_origin.find(signed) else {
            return Err(PolicyRefusal::LogSignatureMissing { origin: origin.to_owned() });
        };
        let witnessed = |witness: &PolicyWitness| {
            let by_witness = verified.iter().filter(|signature| std::ptr::eq(signature.key, &witness.key));
            by_witness.filter_map(|signature| signature.unix_seconds).max()
        };
        let times: Vec<_> = self.witnesses.iter().map(witnessed).collect();
        let cosigned: Vec<bool> = times.iter().map(Option::is_some).collect();
        if let Some(quorum) = self.quorum
            && !self.is_met(quorum, &cosigned)
        {
            let cosigned = cosigned.iter().filter(|&&cosigned| cosigned).count();
            return Err(PolicyRefusal::Quorum { quorum: self.name(quorum).clone(), cosigned });
        }
        let witnesses = self.witnesses.iter().zip(times);
        let witnesses =
            witnesses.filter_map(|(witness, time)| Some(Witnessed { witness, unix_seconds: time? }));
        Ok(Accepted { log, witnesses: witnesses.collect(), checkpoint })
    }

    /// Whether a member counts as having cosigned, given which witnesses have.
    fn is_met(&self, member: Member, cosigned: &[bool]) -> bool {
        // Groups refer to groups before them only: one pass settles all, and nesting takes no stack.
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let met = |member: &Member, groups: &[bool]| match *member {
            Member::Witness(place) => cosigned[place],
            Member::Group(place) => groups[place],
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|member| met(member, &groups)).count();
            groups.push(count >= group.threshold);
        }
        met(&member, &groups)
    }

    fn check_new_name(&self, name: &Word) -> Result<(), PolicyProblem> {
        match self.member(name) {
            _ if name.is_none() => Err(PolicyProblem::NameNone),
            Ok(_) => Err(PolicyProblem::DuplicateName { name: name.clone() }),
            Err(_) => Ok(()),
        }
    }

    fn member(&self, name: &Word) -> Result<Member, PolicyProblem> {
        let witness = self.witnesses.iter().position(|witness| witness.name == *name).map(Member::Witness);
        let group = || self.groups.iter().position(|group| group.name == *name).map(Member::Group);
        witness.or_else(group).ok_or_else(|| PolicyProblem::UnknownName { name: name.clone() })
    }

    pub(crate) fn name(&self, member: Member) -> &Word {
        match member {
            Member::Witness(place) => &self.witnesses[place].name,
            Member::Group(place) => &self.groups[place].name,
        }
    }
}
