//! `minutebook retention`: how long records are kept at least, and when they are disposed of.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use minutebook_present::page;
use minutebook_trail::{DisposalCertificate, DisposalPlan, KeptBack, Portion, Reader};
use minutebook_verify::retention::{PRESETS, Settings};
use serde_json::json;
use tokio::runtime::Runtime;

use super::erase::orderer;
use crate::access::Access;
use crate::asking;
use crate::failure::{Failure, Result};
use crate::inforce;
use crate::moment;
use crate::options::Options;
use crate::terminal::Out;

/// Set how long records are kept, and dispose of what is past that.
#[derive(Debug, Subcommand)]
#[command(display_order = 14)]
pub(super) enum Retention {
    Check(Check),
    Set(Set),
    Show(Show),
    Dispose(Dispose),
}

/// Check retention settings without using them.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The settings.
    file: PathBuf,
}

/// Put retention settings in force; a record says so.
///
/// Also while an engine runs. A floor is never shortened for what was recorded under it.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// The settings.
    file: PathBuf,
}

/// Show the settings in force.
#[derive(Debug, Args)]
pub(super) struct Show {}

/// Dispose of what is past its retention: destroy its keys and remove it. Without --yes, show what would go.
///
/// Whole months of a class go, when every record is past what the settings keep, no hold is over any, and no
/// model keeps it longer. It cannot be undone. A `disposal` record and a certificate say what went.
#[derive(Debug, Args)]
pub(super) struct Dispose {
    /// Show what would go and what stays, and why, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it, and do not ask.
    #[arg(long)]
    yes: bool,
    /// Who orders it [default: the user of this process].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Retention {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        match self {
            Self::Check(check) => check.run(options),
            Self::Set(set) => set.run(options, runtime),
            Self::Show(show) => show.run(options, runtime),
            Self::Dispose(dispose) => dispose.run(options, runtime),
        }
    }
}

fn read(path: &Path) -> Result<(String, Settings)> {
    let text = inforce::read(path, "retention settings")?;
    let settings = Settings::parse(&text).map_err(|error| {
        let to_do = "docs/guides/retention.md says how settings are written";
        Failure::input(format!("`{}`: {error}", path.display()), to_do)
    })?;
    Ok((text, settings))
}

/// A line for each class, and for each table of models.
fn table(settings: &Settings) -> Vec<String> {
    let class = |class: &minutebook_verify::retention::ClassRule| {
        let floor = match class.floor.is_empty() {
            true => "no floor".to_owned(),
            false => format!("kept at least {}", class.floor),
        };
        let keep = match class.keep.is_empty() {
            true => "never disposed of".to_owned(),
            false => format!("disposed of after {}", class.keep),
        };
        format!("class {}: {floor}, {keep}", class.name)
    };
    let mut lines: Vec<String> = settings.classes.iter().map(class).collect();
    for model in &settings.models {
        let names: Vec<_> = model.names.iter().map(|name| page::printable(name)).collect();
        lines.push(format!("models {}: as class {} too", names.join(", "), model.class));
    }
    let named =
        PRESETS.iter().filter(|preset| lines.iter().any(|line| line.contains(&format!("({})", preset.name))));
    let named: Vec<String> = named
        .map(|preset| format!("{}: {}, helps you meet {}", preset.name, preset.span, preset.rule))
        .collect();
    lines.extend(named);
    lines
}

impl Check {
    fn run(self, options: &Options) -> Result {
        let (_, settings) = read(&self.file)?;
        let mut out = options.terminal().out();
        if options.json {
            out.json(&json!({ "classes": settings.classes.len(), "models": settings.models.len() }))?;
        } else {
            out.line("nothing is wrong")?;
            table(&settings).iter().try_for_each(|line| out.line(line))?;
        }
        out.flush()
    }
}

impl Set {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let (text, _) = read(&self.file)?;
        inforce::set(options, runtime, inforce::Text::Retention, &text)
    }
}

impl Show {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let text = runtime.block_on(async {
            let reader = Reader::open(&options.place()).await?;
            Ok::<_, Failure>(reader.retention().await?)
        })?;
        inforce::show(
            options,
            "retention",
            text,
            "no retention settings were ever set: everything is kept for ever",
        )
    }
}

impl Dispose {
    fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let by = orderer(self.by.as_deref());
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.yes {
            let plan = runtime.block_on(plan(options))?;
            let mut out = options.terminal().out();
            if options.json {
                out.json(&json!(plan))?;
            } else {
                tell_plan(&mut out, &plan)?;
            }
            out.flush()?;
            if plan.due.is_empty() || self.dry_run || options.json || !is_terminal {
                if !plan.due.is_empty() && !self.dry_run {
                    options.terminal().say("nothing was disposed of: add --yes if it is meant");
                }
                return Ok(());
            }
            confirm()?;
        }
        let certificate = runtime.block_on(async {
            match Access::open(&options.place()).await? {
                Access::Ours(mut engine) => {
                    let certificate = engine.dispose(&by).await?;
                    engine.close().await;
                    asking::follow(&options.place()).await?;
                    Ok::<_, Failure>(certificate)
                }
                Access::Process(engine) => Ok(engine.dispose(&by).await?),
            }
        })?;
        tell(options, &certificate)
    }
}

/// What would go now; a running engine seals what waits first.
async fn plan(options: &Options) -> Result<DisposalPlan> {
    let place = options.place();
    if let Some(engine) = minutebook_server::EngineClient::find(&place.folder).await {
        return Ok(engine.disposal_plan().await?);
    }
    let reader = Reader::open(&place).await?;
    Ok(reader.disposal_plan(moment::now_ns().div_euclid(1_000_000_000)).await?)
}

fn confirm() -> Result {
    let refused =
        || Failure::input("not confirmed: nothing was disposed of", "run the command again to go on");
    let _ =
        write!(anstream::stderr(), "Destroy these records? It cannot be undone. Type `dispose` to go on: ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|_| refused())?;
    if answer.trim() == "dispose" { Ok(()) } else { Err(refused()) }
}

fn portion_line(portion: &Portion) -> String {
    let Portion { class, month, segments, records, .. } = portion;
    let mut line = format!(
        "class {class}, {month}: records {}, segments {}",
        page::count(*records),
        page::count(*segments)
    );
    if portion.bytes > 0 {
        line.push_str(&format!(
            ", large values {}, {}",
            page::count(portion.blobs),
            page::bytes(portion.bytes)
        ));
    }
    if let (Some(earliest), Some(latest)) = (&portion.earliest, &portion.latest) {
        line.push_str(&format!(", {earliest} to {latest}"));
    }
    line
}

fn tell_kept(out: &mut Out, kept: &[KeptBack]) -> Result {
    let (held, others): (Vec<_>, Vec<_>) = kept.iter().partition(|kept| kept.is_past);
    if !held.is_empty() {
        out.line("")?;
        out.line("Past its retention, and kept back:")?;
    }
    for kept in held {
        out.line(&format!("  {}", portion_line(&kept.portion)))?;
        for why in &kept.why {
            out.line(&format!("    {}", page::printable(why)))?;
        }
    }
    let later: Vec<_> = others.iter().filter(|kept| kept.until.is_some()).collect();
    if let Some(next) = later.iter().min_by_key(|kept| &kept.until) {
        let until = next.until.as_deref().unwrap_or_default();
        out.line("")?;
        out.line(&format!("Next: class {}, {}, on {until}.", next.portion.class, next.portion.month))?;
    }
    let mut for_ever: Vec<&str> =
        others.iter().filter(|kept| kept.until.is_none()).map(|kept| kept.portion.class.as_str()).collect();
    for_ever.dedup();
    if !for_ever.is_empty() {
        out.line("")?;
        out.line(&format!(
            "Kept for ever, as no settings dispose of them: classes {}.",
            for_ever.join(", ")
        ))?;
    }
    Ok(())
}

fn tell_plan(out: &mut Out, plan: &DisposalPlan) -> Result {
    if plan.due.is_empty() {
        out.line(&format!("Nothing is due for disposal on {}.", plan.at))?;
    } else {
        out.line(&format!("Due for disposal on {}:", plan.at))?;
        plan.due.iter().try_for_each(|due| out.line(&format!("  {}", portion_line(due))))?;
    }
    tell_kept(out, &plan.kept)
}

/// What a certificate is worth.
const MEANS: &str = "\
The keys of these records were destroyed, and their objects removed. The log still proves that
they were there, and how many. That no copy of a key is left elsewhere, such as in a backup of
the catalog, is a statement of who runs the trail; it cannot be proved.
";

fn tell(options: &Options, certificate: &DisposalCertificate) -> Result {
    let mut out = options.terminal().out();
    if options.json {
        out.json(&json!(certificate))?;
        return out.flush();
    }
    if certificate.disposed.is_empty() {
        out.line("Nothing was due for disposal.")?;
        tell_kept(&mut out, &certificate.kept)?;
        return out.flush();
    }
    out.line("Certificate of disposal")?;
    out.line("")?;
    for (name, value) in [
        ("trail", certificate.trail.clone()),
        ("at", certificate.at.clone()),
        ("by", page::printable(&certificate.by).into_owned()),
        ("recorded", format!("in the log of {} entries", certificate.log_size)),
    ] {
        out.line(&format!("{name:<9} {value}"))?;
    }
    out.line("")?;
    for portion in &certificate.disposed {
        let keep = portion.keep.as_deref().unwrap_or_default();
        out.line(&format!("  {}; kept for {keep}", portion_line(portion)))?;
    }
    tell_kept(&mut out, &certificate.kept)?;
    out.line("")?;
    out.text(MEANS)?;
    out.flush()
}
