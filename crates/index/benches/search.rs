//! Searching: `cargo xtask bench search`. Decisions of 20 features (12 floats, 4 integers, 4 short texts), 2 outputs, 3 parameters and 20
//! attributions of 100,000 subjects over 30 days, sealed and indexed as an engine does it; then questions, each after the index was opened
//! (cold but for the system's page cache) and again (warm, the median of five). `MINUTEBOOK_BENCH_RECORDS` says how many decisions, 10,000,000
//! unless set; they are made once and kept in `MINUTEBOOK_BENCH_FOLDER`. The same rows are written as plain Parquet beside, for `search.py`
//! to ask DuckDB the same. Before that, 500 models are opened, and a tenth of the decisions are indexed while they are sealed. Prints a line
//! of JSON for each figure.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use minutebook_capture::{IntakePublicKey, Producer, ProducerOptions, Shape, ShapeDef};
use minutebook_index::{Export, FacetsOf, Form, Index, Mode, Order, Search};
use minutebook_record::fields::{Event, Subjects};
use minutebook_record::{ClassName, Field, FieldType, IntegerType, Kind, Path, Schema, cbor};
use minutebook_trail::{Engine, Environment, InitOptions, Place, Reader, init};
use serde_json::json;

const MODEL: &str = "credit-risk";
const REGIONS: [&str; 8] = ["north", "south", "east", "west", "centre", "coast", "hills", "islands"];
const PURPOSES: [&str; 4] = ["car", "furniture", "education", "repairs"];
const DAY_NS: i64 = 86_400_000_000_000;
const FIRST_NS: i64 = 20_740 * DAY_NS;
const WARM: usize = 5;
/// How many decisions may wait to be sealed: who hands them over is faster.
const AHEAD: u64 = 500_000;
const MODELS: u64 = 500;
/// Names the folder whose models a process is to open, and to do nothing else.
const OPEN: &str = "MINUTEBOOK_BENCH_OPEN";

/// A small generator, so that values are neither constant nor compressible beyond what real ones are.
struct Values(u64);

impl Values {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 11
    }

    fn float(&mut self) -> f64 {
        self.next() as f64 / (1u64 << 53) as f64
    }
}

fn schema() -> Schema {
    let field = |path: &[&str], field_type| Field {
        path: Path::new(path.iter().copied()).expect("a path"),
        field_type,
    };
    let mut fields = Vec::new();
    for n in 0..20 {
        let field_type = match n {
            0..12 => FieldType::F64,
            12..16 => FieldType::Integer(IntegerType::I64),
            _ => FieldType::Text,
        };
        fields.push(field(&["inputs", &format!("f{n}")], field_type));
    }
    fields.push(field(&["outputs", "approve"], FieldType::Bool));
    fields.push(field(&["outputs", "probability"], FieldType::F64));
    fields.push(field(&["model"], FieldType::Model));
    fields.push(field(&["params"], FieldType::Map));
    fields.push(field(&["explanation", "attributions"], FieldType::Attributions));
    fields.push(field(&["event"], FieldType::Event));
    fields.push(field(&["subject"], FieldType::Subject));
    Schema::new(fields).expect("a schema")
}

fn shape(producer: &Producer, name: &str, version: &str) -> Shape {
    let mut model = Vec::new();
    cbor::write_array(&mut model, 3);
    cbor::write_text(&mut model, name);
    cbor::write_text(&mut model, version);
    cbor::write_bytes(&mut model, &[7; 32]);
    let mut params = Vec::new();
    cbor::write_map(&mut params, 3);
    for (name, value) in [("l2", 0.25), ("seed", 7.0), ("threshold", 0.5)] {
        cbor::write_text(&mut params, name);
        cbor::write_float(&mut params, value);
    }
    let constants = vec![(22, model.into()), (23, params.into())];
    producer.shape_of(ShapeDef::from_encoded(schema(), constants).expect("a shape")).expect("declared")
}

fn hand_over(producer: &Producer, shape: &Shape, class: &ClassName, n: u64, of: u64, values: &mut Values) {
    let mut record = producer.begin(class).expect("begun").record(shape, Kind::Decision);
    for _ in 0..12 {
        record.f64(values.float());
    }
    for _ in 0..4 {
        record.i64((values.next() % 5_000) as i64);
    }
    let text = |text: &str| {
        let mut bytes = Vec::new();
        cbor::write_text(&mut bytes, text);
        bytes
    };
    record.raw(&text(REGIONS[(values.next() % 8) as usize]));
    record.raw(&text(PURPOSES[(values.next() % 4) as usize]));
    record.raw(&text(if values.next().is_multiple_of(3) { "own" } else { "rent" }));
    record.raw(&text("none"));
    let probability = values.float();
    record.bool(probability > 0.5);
    record.f64(probability);
    let mut attributions = Vec::new();
    cbor::write_array(&mut attributions, 2);
    cbor::write_null(&mut attributions);
    let data: Vec<u8> = (0..20).flat_map(|_| ((values.float() - 0.5) as f32).to_le_bytes()).collect();
    let tensor =
        minutebook_record::Tensor { element: minutebook_record::Element::F32, shape: vec![20], data };
    minutebook_record::Value::Tensor(tensor).write(&mut attributions);
    record.raw(&attributions);
    let mut event = Event::at(FIRST_NS + (n as i128 * 30 * i128::from(DAY_NS) / i128::from(of)) as i64);
    event.trace = Some((u128::from(n) * 0x9e37_79b9_7f4a_7c15).to_be_bytes());
    event.duration_ns = Some(1_000 + values.next() % 100_000);
    let mut bytes = Vec::new();
    event.write(&mut bytes);
    record.raw(&bytes);
    let mut subject = Vec::new();
    Subjects(vec![format!("applicant-{}", values.next() % 100_000)]).write(&mut subject);
    record.raw(&subject);
    record.finish().expect("handed over");
}

/// Whose decisions are handed over.
enum Of {
    /// One model's two versions, one after the other.
    TwoVersions,
    /// Each of many models' in turns.
    Models,
}

/// Makes a trail and seals so many decisions in it; gives the time that sealing them took.
async fn seal(place: &Place, count: u64, of: Of, mut sealed_some: impl FnMut()) -> Duration {
    let file = init(place, &InitOptions { name: Some("bench.test/search".into()) }, &Environment::default())
        .await
        .expect("a trail");
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    let options = ProducerOptions {
        part_bytes: 64 << 20,
        ..ProducerOptions::new(place.spool(), file.id, intake, "bench")
    };
    let producer = Producer::open(options).expect("a producer");
    let begin = now();
    let sealed = Arc::new(AtomicU64::new(0));
    let behind = sealed.clone();
    let handing = tokio::task::spawn_blocking(move || {
        let class = ClassName::new("standard").expect("a class");
        let shapes: Vec<Shape> = match of {
            Of::TwoVersions => ["1.3.0", "1.4.0"].map(|version| shape(&producer, MODEL, version)).into(),
            Of::Models => (0..MODELS).map(|n| shape(&producer, &format!("model-{n}"), "1.0.0")).collect(),
        };
        let mut values = Values(7);
        for n in 0..count {
            while n > behind.load(Ordering::Relaxed) + AHEAD {
                std::thread::sleep(Duration::from_millis(1));
            }
            let of = match of {
                Of::TwoVersions => usize::from(n * 3 > count),
                Of::Models => (n % MODELS) as usize,
            };
            hand_over(&producer, &shapes[of], &class, n, count, &mut values);
        }
        producer.close().expect("closed");
    });
    let mut engine = Engine::open(place, Environment::default()).await.expect("an engine");
    loop {
        let ended = handing.is_finished();
        let report = engine.seal_round().await.expect("sealed");
        sealed.fetch_add(report.records, Ordering::Relaxed);
        sealed_some();
        if ended && report.records == 0 && !report.drained.more {
            break;
        }
    }
    handing.await.expect("all handed over");
    let took = begin.elapsed();
    engine.seal_windows().await.expect("windows");
    engine.close().await;
    took
}

/// A folder that is empty.
fn cleared(folder: PathBuf) -> PathBuf {
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn place_in(folder: &FilePath) -> Place {
    Place::new(folder.join("trail")).with_keys(folder.join("keys"))
}

/// MiB of this process in memory.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("what the system knows of this process");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    (pages * 4_096.0 / f64::from(1 << 20)).round()
}

/// What it takes to have 500 models of 20 features open, with 40 decisions of each in files: in a process of its own, which has done nothing
/// else.
async fn open_models(folder: PathBuf) {
    let place = place_in(&cleared(folder.clone()));
    seal(&place, MODELS * 40, Of::Models, || {}).await;
    let (index, mut indexer) = open(&place, Mode::Write).await;
    indexer.catch_up().await.expect("indexed");
    indexer.close().expect("closed");
    drop(index);
    let program = std::env::current_exe().expect("this program");
    let ran = std::process::Command::new(program).env(OPEN, folder).status().expect("started");
    assert!(ran.success(), "the models could not be opened");
}

/// Asks each of the models that lie in a folder.
async fn ask_models(folder: PathBuf) {
    let (index, _indexer) = open(&place_in(&folder), Mode::Read).await;
    let before = resident();
    for n in 0..MODELS {
        let search = Search {
            model: Some(format!("model-{n}")),
            condition: Some("inputs.f0 >= 0 AND subject <> 'nobody'".into()),
            limit: 100,
            ..Search::default()
        };
        assert_eq!(index.search(&search).await.expect("an answer").rows.num_rows(), 40);
    }
    figure("500 models open, MiB more", json!(resident() - before));
    figure("500 models open, MiB of the process", json!(resident()));
}

/// Sealing and indexing at once.
async fn side_by_side(folder: PathBuf, count: u64) {
    let place = place_in(&cleared(folder));
    let (tell, mut told) = tokio::sync::mpsc::channel::<()>(1);
    let (of, begin) = (place.clone(), now());
    let indexing = tokio::spawn(async move {
        told.recv().await.expect("something is sealed");
        let (index, mut indexer) = open(&of, Mode::Write).await;
        let work = index.spawn(async move {
            let mut ended = false;
            while !ended {
                ended = told.recv().await.is_none();
                indexer.catch_up().await.expect("indexed");
            }
            indexer.close().expect("closed");
        });
        work.await.expect("all indexed");
    });
    let took = seal(&place, count, Of::TwoVersions, || {
        let _ = tell.try_send(());
    })
    .await;
    drop(tell);
    indexing.await.expect("all indexed");
    figure("sealed a second, indexed beside", json!((count as f64 / took.as_secs_f64()).round()));
    figure("sealed and indexed a second", json!((count as f64 / begin.elapsed().as_secs_f64()).round()));
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn figure(name: &str, value: serde_json::Value) {
    println!("{}", json!({ "figure": name, "value": value }));
}

async fn open(place: &Place, mode: Mode) -> (Index, minutebook_index::Indexer) {
    let reader = Arc::new(Reader::open(place).await.expect("a reader"));
    Index::open(place, reader, mode).expect("an index")
}

fn bytes_of(folder: &FilePath) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").metadata().map_or(0, |about| about.len())).sum()
}

/// What is asked, and the same for DuckDB over `rows` (null: it has nothing that is alike).
fn questions(id: &str, trace: &str) -> Vec<(&'static str, Asked, Option<String>)> {
    let sql = |text: &str| Asked::Sql(text.replace("rows", "\"credit-risk\""));
    let both = |name: &'static str, text: &str| (name, sql(text), Some(text.to_owned()));
    let subject = "SELECT * FROM rows WHERE subject = 'applicant-4711' ORDER BY time DESC";
    let day = "time >= '2026-10-20T00:00:00Z' AND time < '2026-10-21T00:00:00Z'";
    vec![
        ("by id", Asked::Get(id.to_owned()), Some(format!("SELECT * FROM rows WHERE id = '{id}'"))),
        both("by id in the index", &format!("SELECT * FROM rows WHERE id = '{id}'")),
        both("by subject", subject),
        both("by trace", &format!("SELECT * FROM rows WHERE trace = '{trace}'")),
        both(
            "range in a day",
            &format!(
                "SELECT id, time, \"inputs.f0\" FROM rows WHERE {day} AND \"inputs.f0\" BETWEEN 0.2 AND 0.21"
            ),
        ),
        both(
            "range, all time, limit 100",
            "SELECT id, time, \"inputs.f0\" FROM rows WHERE \"inputs.f0\" BETWEEN 0.2 AND 0.21 LIMIT 100",
        ),
        (
            "newest 100 of a range, all columns",
            Asked::Search(Search {
                condition: Some("inputs.f0 BETWEEN 0.2 AND 0.21".into()),
                model: Some(MODEL.into()),
                limit: 100,
                columns: vec!["*".into()],
                ..Search::default()
            }),
            Some(
                "SELECT * FROM rows WHERE \"inputs.f0\" BETWEEN 0.2 AND 0.21 ORDER BY time DESC LIMIT 100"
                    .into(),
            ),
        ),
        both(
            "group by version",
            "SELECT version, count(*), avg(\"outputs.probability\") FROM rows GROUP BY version",
        ),
        both(
            "top 20, three columns",
            "SELECT id, time, \"outputs.probability\" FROM rows ORDER BY \"outputs.probability\" DESC LIMIT 20",
        ),
        (
            "top 20, all columns",
            Asked::Search(Search {
                model: Some(MODEL.into()),
                order: Some(Order { by: "outputs.probability".into(), descending: true }),
                limit: 20,
                columns: vec!["*".into()],
                ..Search::default()
            }),
            Some("SELECT * FROM rows ORDER BY \"outputs.probability\" DESC LIMIT 20".into()),
        ),
        both(
            "two predicates counted",
            "SELECT count(*) FROM rows WHERE \"inputs.f12\" < 1000 AND \"outputs.approve\"",
        ),
        (
            "facets of a day",
            Asked::Facets(FacetsOf {
                search: Search {
                    condition: Some(day.into()),
                    model: Some(MODEL.into()),
                    ..Search::default()
                },
                bars: 24,
                columns: vec!["inputs.f16".into(), "inputs.f12".into()],
                values: 10,
            }),
            None,
        ),
    ]
}

enum Asked {
    Get(String),
    Sql(String),
    Search(Search),
    Facets(FacetsOf),
}

async fn ask(index: &Index, asked: &Asked) -> u64 {
    match asked {
        Asked::Get(id) => {
            index.reader().get(&id.parse().expect("an id")).await.expect("a record");
            1
        }
        Asked::Sql(text) => {
            let rows = index.sql(text).await.expect("an answer").all().await.expect("rows");
            rows.iter().map(|batch| batch.num_rows() as u64).sum()
        }
        Asked::Search(search) => index.search(search).await.expect("an answer").rows.num_rows() as u64,
        Asked::Facets(of) => index.facets(of).await.expect("an answer").count,
    }
}

fn main() {
    let count = std::env::var("MINUTEBOOK_BENCH_RECORDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000_000);
    let folder = std::env::var("MINUTEBOOK_BENCH_FOLDER")
        .map_or_else(|_| std::env::temp_dir().join("minutebook-bench-search"), PathBuf::from);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Ok(folder) = std::env::var(OPEN) {
        return runtime.block_on(ask_models(folder.into()));
    }
    runtime.block_on(async {
        open_models(folder.join("models")).await;
        side_by_side(folder.join("beside"), count / 10).await;
        run(count, &folder.join(count.to_string())).await;
    });
}

async fn run(count: u64, folder: &FilePath) {
    let place = place_in(folder);
    let (made, plain) = (folder.join("made"), folder.join("rows.parquet"));
    if !made.exists() {
        cleared(folder.to_owned());
        let time = seal(&place, count, Of::TwoVersions, || {}).await;
        figure("sealed a second, alone", json!((count as f64 / time.as_secs_f64()).round()));
    }
    let (index, mut indexer) = open(&place, Mode::Write).await;
    if !made.exists() {
        let begin = now();
        indexer.catch_up().await.expect("indexed");
        indexer.flush().expect("flushed");
        figure("indexed a second, alone", json!((count as f64 / begin.elapsed().as_secs_f64()).round()));
        let export = Export {
            search: Search { model: Some(MODEL.into()), columns: vec!["*".into()], ..Search::default() },
            mask: Vec::new(),
            form: Form::Parquet,
        };
        index.export(&export, &plain).await.expect("exported");
        std::fs::write(&made, "").expect("written");
    }
    let position = index.position().await.expect("a position");
    figure("index, bytes a decision", json!((position.bytes_in_files as f64 / count as f64).round()));
    figure(
        "evidence, bytes a decision",
        json!((bytes_of(&place.folder.join("segments")) as f64 / count as f64).round()),
    );
    figure("files", json!(position.files));
    let one = Search {
        model: Some(MODEL.into()),
        columns: vec!["id".into(), "trace".into()],
        limit: 1,
        condition: Some("time < '2026-10-25T12:00:00Z'".into()),
        ..Search::default()
    };
    let one = minutebook_index::rows::json(&index.search(&one).await.expect("an answer").rows).expect("rows");
    let text = |name: &str| one[0][name].as_str().expect("a text").to_owned();
    drop((index, indexer));
    for (name, asked, duckdb) in questions(&text("id"), &text("trace")) {
        let (index, _indexer) = open(&place, Mode::Read).await;
        let begin = now();
        let rows = ask(&index, &asked).await;
        let cold = begin.elapsed();
        let mut warm = Vec::new();
        for _ in 0..WARM {
            let begin = now();
            assert_eq!(ask(&index, &asked).await, rows, "{name}");
            warm.push(begin.elapsed());
        }
        warm.sort_unstable();
        let ms = |time: Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
        println!(
            "{}",
            json!({ "question": name, "rows": rows, "cold_ms": ms(cold), "warm_ms": ms(warm[WARM / 2]), "duckdb": duckdb })
        );
    }
    figure("plain", json!(plain));
}
