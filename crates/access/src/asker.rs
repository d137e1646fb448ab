//! Who asks. Edge: a name, roles and patterns of models; how somebody proves to be it is the server's.

/// What stands before the name of a person in records; no name of a key has a colon.
const PERSON: &str = "person:";

/// How somebody shows who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Proof {
    /// With an API key.
    #[default]
    Key,
    /// By having signed in.
    SignIn,
}

/// Somebody who asks something of a trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Asker {
    /// What stands behind the name.
    pub proof: Proof,
    /// The name of the key, or that by which a person is known.
    pub name: String,
    /// Names of roles; a name that is none grants nothing.
    pub roles: Vec<String>,
    /// Patterns of the names of models that it is for; `*` stands for any text.
    pub models: Vec<String>,
}

impl Asker {
    /// The name as records have it: a person's is told from a key's.
    pub fn label(&self) -> String {
        match self.proof {
            Proof::Key => self.name.clone(),
            Proof::SignIn => format!("{PERSON}{}", self.name),
        }
    }

    /// Whether it is for this model; `None`: for what is of no single model, which takes all of them.
    pub fn is_for(&self, model: Option<&str>) -> bool {
        match model {
            Some(model) => self.models.iter().any(|pattern| fits(pattern, model)),
            None => self.models.iter().any(|pattern| pattern == "*"),
        }
    }
}

/// Whether a text fits a pattern; `*` stands for any text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').map_or((None, rest), |(middle, last)| (Some(middle), last));
    for part in middle.into_iter().flat_map(|middle| middle.split('*')) {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}
