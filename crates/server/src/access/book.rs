//! The records of who read what (`docs/formats/record.md`, *access* records), handed over to the spool by a producer of their own.
//! Edge: writes what it is told; when to write is the gate's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minutebook_capture::{Advice, CaptureError, Clock, EventRef, Producer, ProducerOptions, Shape};
use minutebook_record::{ClassName, Field, FieldType, IntegerType, Kind, Path, RecordId, Schema, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::limits::{FULL_SEALS, INTAKE_REST};
use crate::sealer::Asker as Sealing;

/// The name under which these records are numbered.
pub(crate) const PRODUCER: &str = "access";
/// Their retention class.
pub(crate) const CLASS: &str = "access";

/// One read, or one denial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The name of the key or person, or that it is the trail's owner; empty for those that are not known.
    pub(crate) who: String,
    pub(crate) roles: Vec<String>,
    pub(crate) action: String,
    pub(crate) asked: String,
    pub(crate) models: Vec<String>,
    pub(crate) records: Option<u64>,
    /// `clear`, `masked` or `none`.
    pub(crate) fields: &'static str,
    pub(crate) purpose: String,
    pub(crate) is_permitted: bool,
    pub(crate) policies: Vec<String>,
    /// Denials like this one that have no record of their own.
    pub(crate) more: u64,
    pub(crate) ids: Vec<RecordId>,
}

/// Of nobody, who was denied nothing in particular.
impl Default for Entry {
    fn default() -> Self {
        Self {
            who: String::new(),
            roles: Vec::new(),
            action: String::new(),
            asked: String::new(),
            models: Vec::new(),
            records: None,
            fields: "none",
            purpose: String::new(),
            is_permitted: false,
            policies: Vec::new(),
            more: 0,
            ids: Vec::new(),
        }
    }
}

/// Where entries are written.
pub(crate) trait Book: Send + Sync {
    /// Writes an entry: it survives the death of the process on return. Blocks; on a thread of a runtime that may.
    ///
    /// # Errors
    /// Why it is not written, in words.
    fn write(&self, entry: &Entry) -> Result<(), String>;

    /// Lets go of what is not used for a while.
    fn rest(&self) {}

    /// Takes no more. Blocks.
    fn end(&self) {}
}

/// The book of a trail: its spool.
pub(crate) struct SpoolBook {
    options: ProducerOptions,
    sealer: Sealing,
    clock: Arc<dyn Clock>,
    work: Mutex<Work>,
}

struct Work {
    /// None while nobody reads: a run that is open keeps an engine from ending.
    open: Option<Open>,
    used: Instant,
    is_over: bool,
}

/// A run of the producer, and the shapes of entries that say how many records there were, and that do not.
struct Open {
    producer: Producer,
    counted: Shape,
    uncounted: Shape,
}

impl SpoolBook {
    pub(crate) fn new(options: ProducerOptions, sealer: Sealing, clock: Arc<dyn Clock>) -> Self {
        let work = Work { open: None, used: Instant::now(), is_over: false };
        Self { options, sealer, clock, work: Mutex::new(work) }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_write(&self, work: &mut Work, entry: &Entry) -> Result<(), CaptureError> {
        let open = match &mut work.open {
            Some(open) => open,
            none => none.insert(Open::new(self.options.clone())?),
        };
        open.write(entry, &*self.clock)
    }
}

impl Open {
    fn new(options: ProducerOptions) -> Result<Self, CaptureError> {
        let producer = Producer::open(options)?;
        let (counted, uncounted) = (producer.shape(schema(true), &[])?, producer.shape(schema(false), &[])?);
        Ok(Self { producer, counted, uncounted })
    }

    fn write(&self, entry: &Entry, clock: &dyn Clock) -> Result<(), CaptureError> {
        let shape = if entry.records.is_some() { &self.counted } else { &self.uncounted };
        let event = EventRef {
            time_ns: clock.wall_ns(),
            clock_error_ns: clock.error_ns(),
            duration_ns: None,
            status: "ok",
            trace: None,
            span: None,
            batch: None,
            links: &entry.ids,
        };
        // INVARIANT: a name of this module.
        let class: ClassName = CLASS.parse().expect("a class");
        let list = |texts: &[String]| Value::List(texts.iter().cloned().map(Value::Text).collect());
        let mut encoder = self.producer.begin(&class)?.record(shape, Kind::Access);
        encoder.event(&event).text(&entry.who).value(&list(&entry.roles)).text(&entry.action);
        encoder.text(&entry.asked).value(&list(&entry.models));
        if let Some(records) = entry.records {
            encoder.i64(i64::try_from(records).unwrap_or(i64::MAX));
        }
        encoder.text(entry.fields).text(&entry.purpose);
        encoder.text(if entry.is_permitted { "permitted" } else { "denied" });
        encoder.value(&list(&entry.policies)).i64(i64::try_from(entry.more).unwrap_or(i64::MAX));
        encoder.finish().map(drop)
    }
}

/// A read that goes past the server: by a command, on the trail's own machine.
#[derive(Debug, Clone, Copy)]
pub struct LocalRead<'r> {
    /// Who reads, as far as the machine knows.
    pub who: &'r str,
    /// As policies write it.
    pub action: &'r str,
    /// What is asked, without what names a person.
    pub asked: &'r str,
    /// What it is for; empty when that is not said.
    pub purpose: &'r str,
}

/// Writes a read down, into the spool of the trail that `options` are of. It survives the death of the process on return, and is in the log
/// once it is sealed.
///
/// # Errors
/// The spool. What was to be read should not be then.
pub fn record_read(options: ProducerOptions, read: &LocalRead<'_>) -> Result<(), CaptureError> {
    let clock = Arc::clone(&options.clock);
    let open = Open::new(ProducerOptions { name: PRODUCER.into(), ..options })?;
    let entry = Entry {
        who: read.who.to_owned(),
        action: read.action.to_owned(),
        asked: read.asked.to_owned(),
        fields: "clear",
        purpose: read.purpose.to_owned(),
        is_permitted: true,
        ..Entry::default()
    };
    open.write(&entry, &*clock)?;
    open.producer.close()
}

/// The fields of an entry, in the order in which they are written.
fn schema(is_counted: bool) -> Schema {
    use FieldType as T;
    let fields: [(&str, FieldType); 11] = [
        ("who", T::Text),
        ("roles", T::List),
        ("action", T::Text),
        ("asked", T::Text),
        ("models", T::List),
        ("records", T::Integer(IntegerType::I64)),
        ("fields", T::Text),
        ("purpose", T::Text),
        ("outcome", T::Text),
        ("policies", T::List),
        ("more", T::Integer(IntegerType::I64)),
    ];
    // INVARIANT: short, different names of this module.
    let path = |parts: &[&str]| Path::new(parts.iter().copied()).expect("a path");
    let mut all = vec![Field { path: path(&["event"]), field_type: T::Event }];
    let fields = fields.into_iter().filter(|(name, _)| is_counted || *name != "records");
    all.extend(fields.map(|(name, field_type)| Field { path: path(&["access", name]), field_type }));
    Schema::new(all).expect("a schema")
}

impl Book for SpoolBook {
    fn write(&self, entry: &Entry) -> Result<(), String> {
        let mut work = self.work();
        if work.is_over {
            return Err("the engine ends".into());
        }
        let mut seals = 0;
        loop {
            match self.try_write(&mut work, entry) {
                Err(CaptureError::Full { .. }) if seals < FULL_SEALS => {
                    seals += 1;
                    // That it failed is told by the next try.
                    let _ = Handle::current().block_on(self.sealer.seal());
                }
                Err(error) => {
                    if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
                        work.open = None;
                    }
                    return Err(error.to_string());
                }
                Ok(()) => {
                    work.used = Instant::now();
                    return Ok(());
                }
            }
        }
    }

    fn rest(&self) {
        let Ok(mut work) = self.work.try_lock() else { return };
        if work.used.elapsed() >= INTAKE_REST
            && let Some(open) = work.open.take()
        {
            drop(tokio::task::spawn_blocking(move || close(&open.producer)));
        }
    }

    fn end(&self) {
        let mut work = self.work();
        work.is_over = true;
        if let Some(open) = work.open.take() {
            close(&open.producer);
        }
    }
}

fn close(producer: &Producer) {
    if let Err(error) = producer.close() {
        tracing::warn!("the run of the producer `{PRODUCER}` did not end in order: {error}");
    }
}
