//! People: how they sign in, what they may do by their names and groups, and what takes two of them (`docs/formats/access.md`). Edge: reads settings
//! and answers from them; signing in is the server's.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::{Host, Url};

use crate::action::Action;
use crate::asker::{Asker, Proof};
use crate::limits::TABLES_MAX;
use crate::role::Role;
use crate::settings::{Names, Settings};

/// How people sign in: as a client of a provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The provider, whose `/.well-known/openid-configuration` says the rest.
    pub issuer: String,
    /// As the provider knows this server.
    pub client_id: String,
    /// A file that has the client's secret; none for a client that has no secret.
    pub secret_file: Option<String>,
    /// A file with the certificates that the provider's is held against; the system's when left out.
    pub ca_file: Option<String>,
    /// Where browsers find this trail, without a slash at the end.
    pub public_url: Url,
    /// What is asked of the provider besides `openid`.
    pub scopes: Vec<String>,
    /// The claim by which a person is known.
    pub name: String,
    /// The claim that has the groups of a person.
    pub groups: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SignInTable {
    issuer: String,
    client_id: String,
    secret_file: Option<String>,
    ca_file: Option<String>,
    public_url: String,
    #[serde(default)]
    scopes: Vec<String>,
    name: Option<String>,
    groups: Option<String>,
}

impl SignIn {
    pub(crate) fn read(table: SignInTable) -> Result<Self, String> {
        web_url("issuer", &table.issuer)?;
        let mut public_url = web_url("public-url", &table.public_url)?;
        let path = public_url.path().trim_end_matches('/').to_owned();
        public_url.set_path(&path);
        if table.client_id.is_empty() {
            return Err("`client-id` is how the provider knows this server".into());
        }
        for (what, file) in [("secret-file", &table.secret_file), ("ca-file", &table.ca_file)] {
            if file.as_ref().is_some_and(|file| !file.starts_with('/')) {
                return Err(format!("`{what}` is the path of a file, from the root on"));
            }
        }
        let is_scope = |scope: &&String| {
            !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
        };
        if let Some(wrong) = table.scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(format!("`{wrong}` is no scope (RFC 6749, section 3.3)"));
        }
        Ok(Self {
            issuer: table.issuer,
            client_id: table.client_id,
            secret_file: table.secret_file,
            ca_file: table.ca_file,
            public_url,
            scopes: table.scopes,
            name: table.name.unwrap_or_else(|| "sub".into()),
            groups: table.groups.unwrap_or_else(|| "groups".into()),
        })
    }

    /// Whether browsers speak TLS to this server.
    pub fn is_secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

/// A URL of the web: with TLS, unless it is of this machine.
fn web_url(what: &str, text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("`{what}` is an `https://` URL: {why}");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        _ => return Err(wrong("`http://` is for loopback")),
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(wrong("nothing but host, port and path stands in it"));
    }
    Ok(url)
}

/// What people of some names or groups may do.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    names: Vec<String>,
    groups: Vec<String>,
    roles: Vec<String>,
    models: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeopleTable {
    name: Option<Names>,
    group: Option<Names>,
    roles: Vec<String>,
    models: Option<Vec<String>>,
}

impl Grant {
    pub(crate) fn read(table: PeopleTable) -> Result<Self, String> {
        let list = |names: Option<Names>| names.map(Names::list).unwrap_or_default();
        let (names, groups) = (list(table.name), list(table.group));
        if names.is_empty() == groups.is_empty() || names.iter().chain(&groups).any(String::is_empty) {
            return Err("`[[people]]` is of a `name` or of a `group`, one or a list".into());
        }
        if let Some(wrong) = table.roles.iter().find(|role| Role::parse(role).is_none()) {
            let roles: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
            return Err(format!("`{wrong}` is no role: they are {}", roles.join(", ")));
        }
        let models = table.models.unwrap_or_else(|| vec!["*".into()]);
        if table.roles.is_empty() || models.iter().any(String::is_empty) || models.is_empty() {
            return Err(
                "`roles` has one role at least, `models` one pattern of models' names at least".into()
            );
        }
        Ok(Self { names, groups, roles: table.roles, models })
    }

    fn is_of(&self, name: &str, groups: &[String]) -> bool {
        self.names.iter().any(|own| own == name) || self.groups.iter().any(|own| groups.contains(own))
    }
}

/// Which actions take two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Approvals(BTreeSet<Action>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalTable {
    actions: Vec<String>,
}

/// Actions that are no request of their own, or without which nobody could be the second one.
const ALONE: [Action; 8] = [
    Action::SeeField,
    Action::Record,
    Action::Read,
    Action::ReadAccounts,
    Action::ReadLog,
    Action::SeeEngine,
    Action::ReadStatistics,
    Action::VerifyRecord,
];

impl Approvals {
    pub(crate) fn read(table: ApprovalTable) -> Result<Self, String> {
        if table.actions.is_empty() || table.actions.len() > TABLES_MAX {
            return Err("`actions` has one action at least".into());
        }
        let read = |name: &String| match Action::parse(name) {
            Some(action) if !ALONE.contains(&action) => Ok(action),
            Some(_) => Err(format!("`{name}` is not approved by a second person: restrict it by a policy")),
            None => Err(format!("`{name}` is no action: docs/formats/access.md lists them")),
        };
        table.actions.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Settings {
    /// How people sign in; none where nobody does.
    pub fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// Whether an action takes the approval of a second one.
    pub fn takes_two(&self, action: Action) -> bool {
        self.approvals.0.contains(&action)
    }

    /// Somebody who signed in: the first table that is of their name or of one of their groups counts. Without one they have no role.
    pub fn person(&self, name: &str, groups: &[String]) -> Asker {
        let grant = self.people.iter().find(|grant| grant.is_of(name, groups));
        let (roles, models) =
            grant.map(|grant| (grant.roles.clone(), grant.models.clone())).unwrap_or_default();
        Asker { proof: Proof::SignIn, name: name.to_owned(), roles, models }
    }
}
