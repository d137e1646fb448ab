//! What serving platforms capture into files: SageMaker, Azure ML, KServe's blobs. Edge: lines in, records out; where files come from, and what
//! becomes of the records, is elsewhere.

mod azureml;
mod kserve;
mod sagemaker;

use std::borrow::Cow;
use std::time::Duration;

use minutebook_present::json::{Members, Problem, Tree};

use crate::exchange::{Call, Exchange, Version, VersionFrom};
use crate::limits::{CAPTURED_BYTES_MAX, CAPTURED_MAX};
use crate::logger::Logged;
use crate::pairing::{Bounds, Came, Matched, Pairs, Taken};
use crate::payload;

/// How a file of captures is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SageMaker's data capture: a call a line.
    Sagemaker,
    /// Azure ML's data collector: half a call a line, which `correlationid` brings together.
    Azureml,
    /// The blobs of KServe's logger: half a call, or an array of such, a line.
    Kserve,
}

/// What is said of all calls of a file, over what the file says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The model's name.
    pub model: Option<String>,
    /// The model's version.
    pub version: Option<String>,
    /// The digest of the model's artifact.
    pub artifact: Option<[u8; 32]>,
    /// The retention class.
    pub class: Option<String>,
}

/// Reads a file of captures. Holds halves until the others come: inputs and outputs may be far from each other.
pub struct Captures {
    form: Form,
    settings: Settings,
    logged: Pairs<Logged>,
    collected: Pairs<azureml::Collected>,
}

impl Captures {
    /// A reader of a file of this form.
    pub fn new(form: Form, settings: Settings) -> Self {
        let bounds = Bounds { wait: Duration::MAX, halves: CAPTURED_MAX, bytes: CAPTURED_BYTES_MAX };
        Self { form, settings, logged: Pairs::bounded(bounds), collected: Pairs::bounded(bounds) }
    }

    /// Reads a line, and gives the records of what is whole with it.
    ///
    /// # Errors
    /// What is wrong with the line, of which nothing is recorded then.
    pub fn read(&mut self, line: &[u8]) -> Result<Vec<Tree<'static>>, Problem> {
        let tree = Tree::parse(line)?;
        match self.form {
            Form::Sagemaker => sagemaker::call(&tree).map(|(call, exchange)| self.records(call, &exchange)),
            Form::Azureml => {
                let half = azureml::half(&tree)?;
                let ready = ready(&mut self.collected, half);
                Ok(self.collected(&ready))
            }
            Form::Kserve => {
                let mut found = Vec::new();
                for half in kserve::halves(&tree)? {
                    let ready = ready(&mut self.logged, half);
                    found.extend(self.logged(&ready));
                }
                Ok(found)
            }
        }
    }

    /// The records of the halves whose others did not come.
    pub fn end(&mut self) -> Vec<Tree<'static>> {
        let (collected, logged) = (self.collected.end(), self.logged.end());
        let mut found = self.collected(&collected);
        found.extend(self.logged(&logged));
        found
    }

    fn collected(&self, ready: &[Matched<azureml::Collected>]) -> Vec<Tree<'static>> {
        let calls = ready.iter().map(azureml::call);
        calls.flat_map(|(call, exchange)| self.records(call, &exchange)).collect()
    }

    fn logged(&self, ready: &[Matched<Logged>]) -> Vec<Tree<'static>> {
        let calls = ready.iter().map(kserve::call);
        calls.flat_map(|(call, exchange)| self.records(call, &exchange)).collect()
    }

    /// With what is said of all calls.
    fn records(&self, mut call: Call, exchange: &Exchange) -> Vec<Tree<'static>> {
        let Settings { model, version, artifact, class } = &self.settings;
        if let Some(model) = model {
            call.model.clone_from(model);
        }
        if let Some(version) = version {
            call.version = Version::known(version, VersionFrom::Settings);
        }
        call.artifact = artifact.or(call.artifact);
        call.class = class.clone().or(call.class);
        if call.is_too_large(exchange) {
            let left_out =
                (Cow::Borrowed("left_out"), Tree::Text("larger than the records of a call may be".into()));
            call.environment.push(left_out);
            return call.records(&payload::too_large(None, None)).collect();
        }
        call.records(exchange).collect()
    }
}

fn ready<T>(pairs: &mut Pairs<T>, half: Came<T>) -> Vec<Matched<T>> {
    match pairs.take(half, Duration::ZERO) {
        Taken::Ready(ready) => ready,
        Taken::Waits | Taken::Repeated => Vec::new(),
    }
}

/// What is known of where a call is from.
fn environment(
    sender: &'static str,
    more: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Members<'static> {
    let mut found: Members<'static> =
        vec![("intake".into(), Tree::Text("file".into())), ("sender".into(), Tree::Text(sender.into()))];
    found.extend(
        more.into_iter().filter_map(|(name, text)| Some((Cow::Borrowed(name), Tree::Text(text?.into())))),
    );
    found
}

/// RFC 3339 as ns since 1970.
fn time_ns(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
}

/// Tells the rows of a call from those of others; the same when the file is read again.
fn call_id(of: &str) -> [u8; 16] {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let part = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, of).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&part(0));
    id[8..].copy_from_slice(&part(1));
    id
}

#[cfg(test)]
mod tests;
