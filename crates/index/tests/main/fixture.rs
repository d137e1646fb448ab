//! A trail in a temporary folder that is recorded to as JSON, and its index.

use std::sync::Arc;

use minutebook_capture::{Clock, IntakePublicKey, Producer, ProducerOptions, ShapeDef, SystemClock};
use minutebook_index::{Index, Indexer, Mode, Search, rows};
use minutebook_present::json::{DraftReader, ReadAt};
use minutebook_record::RecordId;
use minutebook_trail::{Engine, Environment, InitOptions, Place, Reader, Whom, init};
use serde_json::{Map, Value};

/// A clock that is seventy days ahead.
struct Later;

impl Clock for Later {
    fn wall_ns(&self) -> i64 {
        SystemClock.wall_ns() + 70 * 86_400_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        SystemClock.monotonic_ns()
    }

    fn error_ns(&self) -> Option<u64> {
        None
    }
}

/// A trail that goes with the value.
pub struct World {
    _folder: tempfile::TempDir,
    pub place: Place,
    producer: Producer,
    drafts: DraftReader,
    /// The next record is a millisecond later.
    now_ns: i64,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("trail")).with_keys(folder.path().join("keys"));
        let options = InitOptions { name: Some("trail.test/index".into()) };
        let file = init(&place, &options, &Environment::default()).await.unwrap();
        let intake = IntakePublicKey::from_bytes(file.intake_key);
        let options = ProducerOptions {
            part_bytes: 4 << 20,
            ..ProducerOptions::new(place.spool(), file.id, intake, "test")
        };
        let producer = Producer::open(options).unwrap();
        Self {
            _folder: folder,
            place,
            producer,
            drafts: DraftReader::new(false),
            now_ns: SystemClock.wall_ns(),
        }
    }

    /// Hands a record over.
    pub fn record(&mut self, record: &Value) -> RecordId {
        self.now_ns += 1_000_000;
        let now_ns = self.now_ns;
        let line = record.to_string();
        let draft =
            self.drafts.read(line.as_bytes(), ReadAt { time_ns: now_ns, clock_error_ns: None }).unwrap();
        let shape =
            ShapeDef::from_encoded(draft.shape.schema().clone(), draft.shape.constants().to_vec()).unwrap();
        let shape = self.producer.shape_of(shape).unwrap();
        let pending = self.producer.begin(&draft.class).unwrap();
        let mut encoder = pending.record(&shape, draft.kind);
        draft.values().for_each(|value| {
            encoder.raw(value);
        });
        encoder.finish().unwrap()
    }

    /// Seals everything.
    pub async fn seal(&self) {
        let mut engine = Engine::open(&self.place, Environment::default()).await.unwrap();
        engine.seal().await.unwrap();
        engine.close().await;
    }

    pub async fn erase(&self, subject: &str) {
        let mut engine = Engine::open(&self.place, Environment::default()).await.unwrap();
        engine.erase(Whom::Subject(subject), "asked to", "test").await.unwrap();
        engine.close().await;
    }

    /// Disposes of everything, seventy days later.
    pub async fn dispose(&self) {
        let environment = Environment { clock: Arc::new(Later), ..Environment::default() };
        let mut engine = Engine::open(&self.place, environment).await.unwrap();
        engine
            .set_retention(
                "format = \"minutebook/retention/1\"\n[[class]]\nname = \"standard\"\nkeep = \"1 month\"\n",
            )
            .await
            .unwrap();
        assert_eq!(engine.dispose("test").await.unwrap().disposed.len(), 1);
        engine.close().await;
    }

    /// The index as it is stored.
    pub async fn open(&self, mode: Mode) -> (Index, Indexer) {
        let reader = Arc::new(Reader::open(&self.place).await.unwrap());
        Index::open(&self.place, reader, mode).unwrap()
    }

    /// The index with everything that is sealed.
    pub async fn index(&self) -> (Index, Indexer) {
        let (index, mut indexer) = self.open(Mode::Write).await;
        indexer.catch_up().await.unwrap();
        (index, indexer)
    }
}

/// A decision of a model.
pub fn decision(model: &str, inputs: Value, outputs: Value) -> Value {
    serde_json::json!({
        "kind": "decision",
        "model": { "name": model, "version": "1" },
        "inputs": inputs,
        "outputs": outputs,
    })
}

/// What a search finds, as objects.
pub async fn find(index: &Index, model: &str, condition: &str) -> Vec<Map<String, Value>> {
    let model = (!model.is_empty()).then(|| model.to_owned());
    let condition = (!condition.is_empty()).then(|| condition.to_owned());
    let search = Search { condition, model, ..Search::default() };
    rows::json(&index.search(&search).await.unwrap().rows).unwrap()
}

/// One column of what a search finds.
pub async fn column(index: &Index, model: &str, condition: &str, column: &str) -> Vec<Value> {
    find(index, model, condition)
        .await
        .into_iter()
        .map(|mut row| row.remove(column).unwrap_or(Value::Null))
        .collect()
}

/// What SQL answers, as lines of cells.
pub async fn sql(index: &Index, query: &str) -> Vec<Vec<String>> {
    let batches = index.sql(query).await.unwrap().all().await.unwrap();
    let mut lines = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            lines.push(batch.columns().iter().map(|column| rows::text(column, row).unwrap()).collect());
        }
    }
    lines
}
