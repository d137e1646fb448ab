//! `minutebook access-request`: everything that the trail has about one person, readable and with proofs.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use minutebook_capture::{IntakePublicKey, ProducerOptions};
use minutebook_present::json::Printer;
use minutebook_present::opened::Opened;
use minutebook_present::page::{self, Look};
use minutebook_record::{RecordId, Schema};
use minutebook_server::{LocalRead, record_read};
use minutebook_trail::{Content, Place, Reader, StoredRecord};
use minutebook_verify::check::blob_id;
use minutebook_verify::hex;
use serde_json::json;
use tokio::runtime::Runtime;

use super::erase::read_subject;
use crate::access::Access;
use crate::failure::{Exit, Failure, Result};
use crate::moment;
use crate::options::Options;
use crate::sys;
use crate::terminal::{Out, Terminal};

/// Give everything that the trail has about one person: their decisions, and what is about those.
///
/// Outcomes, reviews, explanations and whatever else links to a decision about the person are among it. What
/// waits in the spool is sealed first. With --output a folder to hand over: the records for people and for
/// programs, with a proof of each. It reads the whole trail.
#[derive(Debug, Args)]
#[command(display_order = 12)]
pub(super) struct AccessRequest {
    /// The subject as it stands in records; `-` reads it from standard input, which keeps it out of the
    /// shell's history.
    subject: String,
    /// A folder to make, with all records, a receipt for each and what is needed to check them.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What it is for, such as the number of the request. It is recorded; name no person.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    purpose: String,
}

/// What is remembered of a record until its receipt is written.
struct Told {
    id: RecordId,
    kind: &'static str,
    time_ns: i64,
    /// How many persons it is about; none when it cannot be read.
    persons: Option<usize>,
    schema: Arc<Schema>,
    blobs: Vec<[u8; 16]>,
}

impl Told {
    fn of(record: &StoredRecord) -> Self {
        let (persons, blobs) = match &record.content {
            Content::Readable { values, subjects, .. } => {
                (Some(subjects.len()), values.iter().filter_map(|value| blob_id(value)).collect())
            }
            Content::Erased | Content::NoKey => (None, Vec::new()),
        };
        Self {
            id: record.header.id,
            kind: record.header.kind.name(),
            time_ns: record.time_ns(),
            persons,
            schema: Arc::clone(&record.schema),
            blobs,
        }
    }
}

impl AccessRequest {
    pub(super) fn run(self, options: &Options, runtime: &Runtime) -> Result {
        let subject = if self.subject == "-" {
            read_subject(&mut std::io::stdin().lock())?
        } else {
            self.subject.clone()
        };
        let (place, terminal) = (options.place(), options.terminal());
        runtime.block_on(async {
            seal_first(&place, &self.purpose, &terminal).await?;
            let reader = Reader::open(&place).await?;
            match &self.output {
                Some(folder) => hand_over(&reader, &subject, folder, options).await,
                None => show(&reader, &subject, options).await,
            }
        })
    }
}

/// Writes down that this is read, and lets an engine seal it with what waits. When there can be none, as in a copy that is for reading, that is told.
async fn seal_first(place: &Place, purpose: &str, terminal: &Terminal) -> Result {
    let engine = Access::open(place).await;
    if engine.is_ok() {
        // Before anything is shown; an engine that seals it later will do.
        on_the_record(place, purpose)?;
    }
    let (sealed, also) = match engine {
        Ok(Access::Ours(mut engine)) => {
            let sealed = engine.seal().await;
            engine.close().await;
            (sealed.map(drop).map_err(Failure::from), "")
        }
        Ok(Access::Process(engine)) => (engine.seal().await.map(drop).map_err(Failure::from), ""),
        Err(failure) => (Err(failure), ", and no record says that it was read"),
    };
    if let Err(failure) = sealed {
        let text = failure.to_string();
        let why = text.trim_start_matches("error: ");
        terminal.complain(&format!("warning: what waits in the spool is not in it{also}: {why}"));
    }
    Ok(())
}

/// Whose records they are is not in the record of the read: it names no person but the one who reads.
fn on_the_record(place: &Place, purpose: &str) -> Result {
    let who = sys::user();
    let read = LocalRead { who: &who, action: "read-person", asked: "minutebook access-request", purpose };
    let file = place.trail_file()?;
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    // Its name is the one of all such records.
    let options = ProducerOptions::new(place.spool(), file.id, intake, "");
    record_read(options, &read).map_err(|error| Failure::Told {
        exit: Exit::Io,
        what: format!("that this is read cannot be recorded: {error}"),
        to_do: None,
    })
}

/// Prints the records one by one.
async fn show(reader: &Reader, subject: &str, options: &Options) -> Result {
    let terminal = options.terminal();
    let (look, mut out) = (terminal.look(), terminal.out());
    let mut failure = None;
    let mut each = |record: StoredRecord| match print(&mut out, &look, options.json, &Opened::from(record)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    reader.of_subject(subject, &mut each).await?;
    failure.map_or(Ok(()), Err)?;
    out.flush()
}

fn print(out: &mut Out, look: &Look, json: bool, record: &Opened) -> Result {
    if json {
        return out.json(&Printer::default().record(record));
    }
    out.text(&page::record(look, record))?;
    out.line("")
}

/// Makes the folder, under another name until it is whole.
async fn hand_over(reader: &Reader, subject: &str, folder: &Path, options: &Options) -> Result {
    let exists = || std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    if folder.symlink_metadata().is_ok() {
        let what = format!("cannot make `{}`: {}", folder.display(), exists());
        return Err(Failure::input(what, "name a folder that is not there yet"));
    }
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let making = folder.with_file_name(format!("{name}.unfinished"));
    if making.is_dir() {
        fs::remove_dir_all(&making).map_err(|error| Failure::file("remove", &making, &error))?;
    }
    let made = fill(reader, subject, &making, options).await;
    let made = match made {
        Ok(made) => {
            let renamed = fs::rename(&making, folder);
            renamed.map(|()| made).map_err(|error| Failure::file("make", folder, &error))
        }
        Err(failure) => Err(failure),
    };
    if made.is_err() {
        // The error that counts is the first one; what is left of the folder is about a person.
        let _ = fs::remove_dir_all(&making);
    }
    let Made { records, blobs, unreadable, others } = made?;
    let terminal = options.terminal();
    let mut out = terminal.out();
    if options.json {
        out.json(&json!({
            "folder": folder, "records": records, "receipts": records, "blobs": blobs, "unreadable": unreadable,
            "about_others_too": others,
        }))?;
    } else {
        let (records, folder) = (page::count(records), folder.display());
        out.line(&format!("{records} records with a receipt each are in `{folder}`: begin with README.txt"))?;
    }
    if others > 0 {
        let others = page::count(others);
        terminal.complain(&format!(
            "warning: {others} of them are about other persons too, who have rights of their own: README.txt says which"
        ));
    }
    out.flush()
}

struct Made {
    records: u64,
    blobs: u64,
    unreadable: u64,
    others: u64,
}

async fn fill(reader: &Reader, subject: &str, folder: &Path, options: &Options) -> Result<Made> {
    let look = Look { width: None, unicode: true, ..options.terminal().look() };
    for below in ["", "receipts"] {
        let path = folder.join(below);
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&path);
        made.map_err(|error| Failure::file("make", &path, &error))?;
    }
    let mut lines = Writer::create(folder.join("records.jsonl"))?;
    let mut pages = Writer::create(folder.join("records.txt"))?;
    let (mut told, mut failure) = (Vec::new(), None);
    let mut each = |record: StoredRecord| {
        told.push(Told::of(&record));
        let record = Opened::from(record);
        let page = page::record(&look, &record);
        let written = lines
            .write(&format!("{}\n", Printer { types: true }.record(&record)))
            .and_then(|()| pages.write(&format!("{}\n", anstream::adapter::strip_str(&page))));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    reader.of_subject(subject, &mut each).await?;
    failure.map_or(Ok(()), Err)?;
    lines.finish()?;
    pages.finish()?;
    let mut made = Made { records: told.len() as u64, blobs: 0, unreadable: 0, others: 0 };
    for one in &told {
        let shown: Vec<_> = match one.persons {
            Some(_) => one.schema.fields().iter().map(|field| field.path.clone()).collect(),
            None => Vec::new(),
        };
        let receipt = reader.receipt(&one.id, &shown).await?;
        Writer::whole(folder.join(receipt_name(&one.id)), receipt.as_bytes())?;
        made.unreadable += u64::from(one.persons.is_none());
        made.others += u64::from(one.persons.is_some_and(|persons| persons > 1));
        if one.blobs.is_empty() {
            continue;
        }
        let below = folder.join("blobs");
        let built = fs::DirBuilder::new().mode(0o700).recursive(true).create(&below);
        built.map_err(|error| Failure::file("make", &below, &error))?;
        let record = reader.get(&one.id).await?;
        for id in &one.blobs {
            Writer::whole(below.join(hex(id)), &reader.blob(&record, id).await?)?;
            made.blobs += 1;
        }
    }
    Writer::whole(folder.join("policy.txt"), reader.policy().as_bytes())?;
    told.sort_by_key(|one| (one.time_ns, one.id));
    Writer::whole(folder.join("README.txt"), readme(&told, &made).as_bytes())?;
    Ok(made)
}

fn receipt_name(id: &RecordId) -> String {
    format!("receipts/{id}.tlog-proof")
}

/// What the folder is, for whoever gets it.
fn readme(told: &[Told], made: &Made) -> String {
    let mut text = String::from("What is recorded about one person\n=================================\n\n");
    let (now, records) = (moment::now_text(), page::count(made.records));
    let _ = writeln!(
        text,
        "As of {now}: {records} records of decisions about this person, and of what became of them.\n"
    );
    text.push_str(
        "records.txt     the records, for people\n\
         records.jsonl   the same, for programs: one JSON object a line\n\
         receipts/       a proof for each record that it stands in the log as it is shown\n\
         policy.txt      the public key of the log, which the proofs are checked with\n",
    );
    if made.blobs > 0 {
        text.push_str("blobs/          large values, by the names that the records give them\n");
    }
    text.push_str(
        "\nTo check a proof, with the program `minutebook` and without the trail:\n\n    \
         minutebook verify receipts/ID.tlog-proof --policy policy.txt\n\n\
         It prints the record that is proved. policy.txt is to be believed as far as you know that the key in it\n\
         is the log's: ask for it in another way.\n\nThe records, by time:\n\n",
    );
    for one in told {
        let about = match one.persons {
            None => "   (cannot be read any more)".to_owned(),
            Some(persons) if persons > 1 => format!("   (about {persons} persons)"),
            Some(_) => String::new(),
        };
        let _ = writeln!(text, "{}  {}  {}{about}", moment::text_of(one.time_ns), one.id, one.kind);
    }
    text
}

/// A file that only its owner reads.
struct Writer(PathBuf, BufWriter<File>);

impl Writer {
    fn create(path: PathBuf) -> Result<Self> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| Failure::file("write", &path, &error))?;
        Ok(Self(path, BufWriter::new(file)))
    }

    fn whole(path: PathBuf, bytes: &[u8]) -> Result {
        let mut writer = Self::create(path)?;
        writer.1.write_all(bytes).map_err(|error| Failure::file("write", &writer.0, &error))?;
        writer.finish()
    }

    fn write(&mut self, text: &str) -> Result {
        self.1.write_all(text.as_bytes()).map_err(|error| Failure::file("write", &self.0, &error))
    }

    fn finish(mut self) -> Result {
        let flushed = self.1.flush().and_then(|()| self.1.get_ref().sync_all());
        flushed.map_err(|error| Failure::file("write", &self.0, &error))
    }
}
