//! What can be done with a trail. Edge: names; which request is which action is the server's.

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Something that somebody may do, or not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As policies write it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

actions! {
    /// Hand records over, of a model.
    Record "record",
    /// Hand records over that say what a model is: of kinds `model` and `deployment`.
    Register "register",
    /// Read and search records, of a model.
    Read "read",
    /// See the content of a field.
    SeeField "see-field",
    /// See how inputs and outputs of a model are distributed.
    ReadStatistics "read-statistics",
    /// Read all about one person, in clear.
    ReadPerson "read-person",
    /// Read what the trail says of itself: who read what, what was erased, held, disposed of, set.
    ReadAccounts "read-accounts",
    /// Have one record verified.
    VerifyRecord "verify-record",
    /// Have the whole trail verified.
    Verify "verify",
    /// Read the log, which has no content.
    ReadLog "read-log",
    /// See which engine it is.
    SeeEngine "see-engine",
    /// See how the trail as a whole goes.
    SeeStatus "see-status",
    /// See sampling policy and retention settings.
    SeeSettings "see-settings",
    /// See which holds there are.
    SeeHolds "see-holds",
    /// See who may do what.
    SeeAccess "see-access",
    /// Have a sampling policy checked.
    CheckSampling "check-sampling",
    /// Put a sampling policy in force, as far as it is about a model.
    SetSampling "set-sampling",
    /// Replace the sampling key.
    RotateSamplingKey "rotate-sampling-key",
    /// Put retention settings in force.
    SetRetention "set-retention",
    /// Dispose of what is past its retention.
    Dispose "dispose",
    /// Place and lift holds.
    Hold "hold",
    /// Erase a person.
    Erase "erase",
    /// Say who may do what.
    SetAccess "set-access",
    /// End the sessions of people.
    EndSessions "end-sessions",
    /// Make and revoke API keys.
    ManageKeys "manage-api-keys",
    /// Copy the trail.
    Backup "backup",
    /// Record that the keys are copied.
    CopyKeys "copy-keys",
    /// Have everything sealed.
    Seal "seal",
    /// Give up what a machine that is gone had still to send.
    GiveUp "give-up",
    /// Make the index anew.
    RebuildIndex "rebuild-index",
    /// End the engine.
    Stop "stop",
}

impl Action {
    /// The action of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }
}
