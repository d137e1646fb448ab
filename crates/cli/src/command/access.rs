//! `minutebook access`: who may do what over TCP, and which fields they see.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use minutebook_access::{Action, Asker, Circumstances, Proof, Rights};
use minutebook_present::page;
use minutebook_record::fields::ModelRef;
use minutebook_record::{Kind, Path as FieldPath, Schema, masked_places};
use minutebook_trail::{ApiKeys, Content, Filter, KeyFolder, Reader, StoredRecord};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::failure::{Failure, Result};
use crate::inforce;
use crate::moment;
use crate::options::Options;

/// Say who may do what over TCP, and try it.
#[derive(Debug, Subcommand)]
#[command(display_order = 14)]
pub(super) enum Access {
    Check(Check),
    Set(Set),
    Show(Show),
    Test(Test),
}

/// Check settings of access without using them.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The settings.
    file: PathBuf,
}

/// Put settings of access in force; a record says so.
///
/// Also while an engine runs, which takes them up within a second.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// The settings.
    file: PathBuf,
}

/// Show the settings in force.
#[derive(Debug, Args)]
pub(super) struct Show {}

/// Tell whether the holder of an API key, or a person, may do something, which policy decides, and which fields they would see.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The name of the key, or with --person that by which the provider knows somebody.
    name: String,
    /// What: read, record, see-settings, and so on (docs/formats/access.md).
    action: String,
    /// It is a person who signs in.
    #[arg(long)]
    person: bool,
    /// A group of the person; may be given again.
    #[arg(long, value_name = "NAME", requires = "person")]
    group: Vec<String>,
    /// With this model; without one, with the trail as a whole.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What it is for, as the holder would say.
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: String,
    /// By these settings instead of those in force.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

const DOCUMENTED: &str = "docs/formats/access.md says how settings of access are written";

fn read(path: &Path) -> Result<(String, Rights)> {
    let text = inforce::read(path, "settings of access")?;
    let rights = Rights::parse(Some(&text))
        .map_err(|error| Failure::input(format!("`{}`: {error}", path.display()), DOCUMENTED))?;
    Ok((text, rights))
}

impl Access {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Check(check) => check.run(options),
            Self::Set(set) => set.run(options, runtime),
            Self::Show(show) => show.run(options),
            Self::Test(test) => test.run(options, runtime),
        }
    }
}

impl Check {
    fn run(self, options: &Options) -> Result {
        let (_, rights) = read(&self.file)?;
        let (tables, policies) = (rights.settings().tables(), rights.policies());
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "models": tables, "policies": policies }))?;
        } else {
            out.line(&format!("nothing is wrong: policies {policies}, tables of models {tables}"))?;
        }
        out.flush()
    }
}

impl Set {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let (text, _) = read(&self.file)?;
        inforce::set(options, runtime, inforce::Text::Access, &text)
    }
}

/// The text in force.
fn in_force(options: &Options) -> Result<Option<String>> {
    let place = options.place();
    let file = place.trail_file()?;
    Ok(KeyFolder::open(&place.key_folder(&file.id)?, file.id)?.access_file().load()?)
}

impl Show {
    fn run(self, options: &Options) -> Result {
        let none = "nothing was ever said: the default policies hold, and all inputs are personal";
        inforce::show(options, "access", in_force(options)?, none)
    }
}

impl Test {
    fn asker(&self, options: &Options, rights: &Rights) -> Result<Asker> {
        if self.person {
            return Ok(rights.settings().person(&self.name, &self.group));
        }
        let place = options.place();
        let file = place.trail_file()?;
        let keys = ApiKeys::new(place.key_folder(&file.id)?, file.id).load()?;
        let key = keys.into_iter().find(|key| key.name == self.name).ok_or_else(|| {
            let what = format!("there is no API key `{}`", page::printable(&self.name));
            Failure::input(what, "`minutebook api-key list` shows which there are")
        })?;
        Ok(Asker { proof: Proof::Key, name: key.name, roles: key.roles, models: key.models })
    }

    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let action = Action::parse(&self.action).ok_or_else(|| {
            let all = Action::ALL.iter().map(|action| action.name()).collect::<Vec<_>>().join(", ");
            Failure::input(
                format!("`{}` is no action", page::printable(&self.action)),
                format!("one of: {all}"),
            )
        })?;
        let rights = match &self.settings {
            Some(path) => read(path)?.1,
            None => Rights::parse(in_force(options)?.as_deref()).map_err(|error| {
                Failure::input(
                    format!("the settings in force: {error}"),
                    "put others in force: `minutebook access set`",
                )
            })?,
        };
        let asker = self.asker(options, &rights)?;
        let minute = moment::now_ns().div_euclid(60_000_000_000);
        let circumstances = Circumstances { purpose: &self.purpose, minute };
        let model = self.model.as_deref();
        let verdict = rights.decide(&asker, action, model, circumstances);
        let sees = |path: &str| rights.sees(&asker, model, path, circumstances);
        let fields = match model {
            Some(model) => runtime.block_on(fields_of(options, model))?,
            None => None,
        };
        let mut masked: Vec<(String, bool)> = Vec::new();
        if let Some(schema) = &fields {
            let hidden = masked_places(schema, |path| !sees(&dotted(path)), !sees("inputs"));
            masked = schema.fields().iter().map(|field| dotted(&field.path)).zip(hidden).collect();
        }
        let names = |of: bool| {
            masked
                .iter()
                .filter(|(_, masked)| *masked == of)
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({
                "permitted": verdict.is_permitted, "policies": verdict.policies, "masked": names(true), "shown": names(false),
            }))?;
            return out.flush();
        }
        let by = match verdict.policies.as_slice() {
            [] => "no policy permits it".to_owned(),
            policies => format!("by {}", policies.join(", ")),
        };
        out.line(&format!("{}: {by}", if verdict.is_permitted { "permitted" } else { "denied" }))?;
        if !masked.is_empty() {
            let list = |names: Vec<String>| match names.is_empty() {
                true => "nothing".to_owned(),
                false => {
                    names.iter().map(|name| page::printable(name).into_owned()).collect::<Vec<_>>().join(", ")
                }
            };
            out.line(&format!("shown: {}", list(names(false))))?;
            out.line(&format!("masked: {}", list(names(true))))?;
        }
        out.flush()
    }
}

/// A field as it is searched for.
fn dotted(path: &FieldPath) -> String {
    path.parts().collect::<Vec<_>>().join(".")
}

/// The fields of a model's latest decision; none when it has none in the trail.
async fn fields_of(options: &Options, model: &str) -> Result<Option<Arc<Schema>>> {
    let reader = Reader::open(&options.place()).await?;
    let filter = Filter { kinds: vec![Kind::Decision], ..Filter::default() };
    let mut found = None;
    let mut each = |record: StoredRecord| {
        let Content::Readable { values, .. } = &record.content else { return ControlFlow::Continue(()) };
        let own = record.schema.find_parts(&["model"]);
        let own = own.and_then(|place| ModelRef::decode(&values[place]).ok().flatten());
        if own.is_none_or(|own| own.name != model) {
            return ControlFlow::Continue(());
        }
        found = Some(Arc::clone(&record.schema));
        ControlFlow::Break(())
    };
    reader.list(&filter, &mut each).await?;
    Ok(found)
}
