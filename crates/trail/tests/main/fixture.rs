//! A trail in a temporary folder, producers for it, and the check that every test ends with.

use minutebook_capture::{CaptureError, IntakePublicKey, Producer, ProducerOptions};
use minutebook_record::fields::{Event, ModelRef, Subjects};
use minutebook_record::{ClassName, Field, FieldType, Kind, Path, RecordId, Schema, Value};
use minutebook_trail::{Engine, Environment, FolderSource, InitOptions, Place, Reader, TrailKeys, init};
use minutebook_verify::{Options, Pinned, Report, verify};
use std::path::PathBuf;

/// A trail that goes with the value.
pub struct Fixture {
    pub folder: tempfile::TempDir,
    pub place: Place,
}

impl Fixture {
    /// A new trail.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("trail")).with_keys(folder.path().join("keys"));
        init(&place, &InitOptions { name: Some("trail.test/one".into()) }, &Environment::default())
            .await
            .unwrap();
        Self { folder, place }
    }

    pub async fn engine(&self) -> Engine {
        Engine::open(&self.place, Environment::default()).await.unwrap()
    }

    pub async fn reader(&self) -> Reader {
        Reader::open(&self.place).await.unwrap()
    }

    pub fn producer(&self, name: &str) -> Producer {
        producer(&self.place, name)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder.join(name)
    }

    /// Drains and seals everything.
    pub async fn seal(&self) {
        let mut engine = self.engine().await;
        engine.seal().await.unwrap();
        engine.close().await;
    }

    /// The verifier's report with all keys.
    pub async fn verify(&self) -> Report {
        self.verify_with(None).await
    }

    pub async fn verify_with(&self, pinned: Option<Pinned>) -> Report {
        verify_place(&self.place, pinned).await
    }

    /// Verifies and insists that nothing is wrong.
    pub async fn check(&self) -> Report {
        let report = self.verify().await;
        assert!(report.is_clean(), "{:#?}", report.findings);
        report
    }
}

/// The verifier's report of a trail with all its keys.
pub async fn verify_place(place: &Place, pinned: Option<Pinned>) -> Report {
    let source = FolderSource::new(&place.folder);
    let keys = match Reader::open(place).await {
        Ok(reader) => Some(reader.keys().clone()),
        Err(_) => None,
    };
    let sampling = keys.as_ref().map(TrailKeys::sampling).unwrap_or_default();
    tokio::task::spawn_blocking(move || {
        let keys: &dyn minutebook_verify::keys::Keys = match &keys {
            Some(keys) => keys,
            None => &minutebook_verify::keys::NoKeys,
        };
        let progress = |_, _| {};
        let options = Options {
            keys,
            pinned,
            policy: None,
            sampling: &sampling,
            in_progress: Vec::new(),
            threads: 2,
            progress: &progress,
        };
        verify(&source, &options)
    })
    .await
    .unwrap()
}

pub fn producer(place: &Place, name: &str) -> Producer {
    let file = place.trail_file().unwrap();
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let options =
        ProducerOptions { part_bytes: 1 << 20, ..ProducerOptions::new(place.spool(), file.id, intake, name) };
    Producer::open(options).unwrap()
}

pub fn class(name: &str) -> ClassName {
    ClassName::new(name).unwrap()
}

/// What a test records.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    pub kind: Kind,
    pub class: &'a str,
    pub subjects: Vec<&'a str>,
    pub links: Vec<RecordId>,
    pub text: String,
    pub number: f64,
    pub model: &'a str,
    pub blob: Option<Vec<u8>>,
    /// Of the event; now, when there is none.
    pub time_ns: Option<i64>,
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self {
            kind: Kind::Decision,
            class: "standard",
            subjects: Vec::new(),
            links: Vec::new(),
            text: "car".into(),
            number: 0.25,
            model: "credit",
            blob: None,
            time_ns: None,
        }
    }
}

/// Hands one record over.
pub fn record(producer: &Producer, given: &Given<'_>) -> RecordId {
    try_record(producer, given).unwrap()
}

/// Hands one record over, unless the spool fails.
pub fn try_record(producer: &Producer, given: &Given<'_>) -> Result<RecordId, CaptureError> {
    let pending = producer.begin(&class(given.class))?;
    let (now_ns, clock_error_ns) = pending.started();
    let mut fields: Vec<(Vec<&str>, FieldType, Vec<u8>)> = Vec::new();
    let mut event = Vec::new();
    Event {
        time_ns: given.time_ns.unwrap_or(now_ns),
        clock_error_ns,
        duration_ns: Some(1_000),
        status: "ok".into(),
        trace: None,
        span: None,
        batch: None,
        kept: None,
        links: given.links.clone(),
    }
    .write(&mut event);
    fields.push((vec!["event"], FieldType::Event, event));
    let mut model = Vec::new();
    ModelRef { name: given.model.into(), version: "1".into(), artifact: None }.write(&mut model);
    fields.push((vec!["model"], FieldType::Model, model));
    let text = |path, text: &str| (path, FieldType::Text, encode(&Value::Text(text.into())));
    fields.push(text(vec!["inputs", "purpose"], &given.text));
    fields.push((vec!["inputs", "amount"], FieldType::F64, encode(&Value::Float(given.number))));
    fields.push((vec!["outputs", "approve"], FieldType::Bool, encode(&Value::Bool(true))));
    if !given.subjects.is_empty() {
        let mut subject = Vec::new();
        Subjects(given.subjects.iter().map(|subject| (*subject).to_owned()).collect()).write(&mut subject);
        fields.push((vec!["subject"], FieldType::Subject, subject));
    }
    if let Some(content) = &given.blob {
        let value = producer.blob(content, "text/plain")?;
        fields.push((vec!["inputs", "letter"], FieldType::Blob, encode(&value)));
    }
    let schema = fields.iter().map(|(path, field_type, _)| Field {
        path: Path::new(path.iter().copied()).unwrap(),
        field_type: field_type.clone(),
    });
    let schema = Schema::new(schema.collect()).unwrap();
    let constants = vec![(1, fields[1].2.clone().into_boxed_slice())];
    let shape = minutebook_capture::ShapeDef::from_encoded(schema, constants).unwrap();
    let shape = producer.shape_of(shape)?;
    let mut encoder = pending.record(&shape, given.kind);
    for (place, (_, _, value)) in fields.iter().enumerate() {
        if place != 1 {
            encoder.raw(value);
        }
    }
    encoder.finish()
}

pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}
