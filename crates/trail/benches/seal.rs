//! Sealing end to end: `cargo bench -p minutebook-trail --bench seal`, or `cargo xtask bench seal`; with a part of a case's name behind `--`, that
//! case alone. `MINUTEBOOK_BENCH_RECORDS` says how many decisions, 400,000 unless set.
//!
//! Decisions of 20 features (12 floats, 4 integers, 4 short texts), 2 outputs, 3 parameters, 20 attributions, with event, model and the
//! explanation's description: handed over by one thread while the engine drains, encrypts, flushes, reads back and signs on the same
//! machine. Durability of every figure: `sealed`, in a published checkpoint on a folder, each file flushed. The baseline is the same
//! records as JSON, and as one zstd stream of that JSON.

use minutebook_capture::{IntakePublicKey, Producer, ProducerOptions, Shape, ShapeDef};
use minutebook_record::{ClassName, Field, FieldType, IntegerType, Kind, Path, Schema, cbor};
use minutebook_trail::{Engine, Environment, FolderSource, InitOptions, Place, Reader, StageTimes, init};
use minutebook_verify::{Options, verify};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TEXTS: [[&str; 4]; 4] = [
    ["car", "skilled", "own", "none"],
    ["furniture", "unskilled", "rent", "guarantor"],
    ["education", "management", "for free", "co-applicant"],
    ["repairs", "unemployed", "own", "none"],
];

#[derive(Clone, Copy, PartialEq)]
enum Subjects {
    None,
    Thousand,
    New,
}

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

fn schema(subjects: Subjects) -> Schema {
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
        fields.push(field(&["inputs", &format!("feature_{n}")], field_type));
    }
    fields.push(field(&["outputs", "approve"], FieldType::Bool));
    fields.push(field(&["outputs", "probability"], FieldType::F64));
    fields.push(field(&["model"], FieldType::Model));
    fields.push(field(&["params"], FieldType::Map));
    fields.push(field(&["explanation", "attributions"], FieldType::Attributions));
    fields.push(field(&["explanation", "meta"], FieldType::Explanation));
    fields.push(field(&["event"], FieldType::Event));
    if subjects != Subjects::None {
        fields.push(field(&["subject"], FieldType::Subject));
    }
    Schema::new(fields).expect("a schema")
}

fn shape(producer: &Producer, subjects: Subjects) -> Shape {
    let mut model = Vec::new();
    cbor::write_array(&mut model, 3);
    cbor::write_text(&mut model, "credit-risk");
    cbor::write_text(&mut model, "1.4.0");
    cbor::write_bytes(&mut model, &[7; 32]);
    let mut params = Vec::new();
    cbor::write_map(&mut params, 3);
    for (name, value) in [("l2", 0.25), ("seed", 7.0), ("threshold", 0.5)] {
        cbor::write_text(&mut params, name);
        cbor::write_float(&mut params, value);
    }
    let mut meta = Vec::new();
    cbor::write_array(&mut meta, 11);
    cbor::write_text(&mut meta, "shap.TreeExplainer");
    cbor::write_text(&mut meta, "shap 0.50.0");
    cbor::write_map(&mut meta, 0);
    cbor::write_null(&mut meta);
    cbor::write_null(&mut meta);
    cbor::write_text(&mut meta, "probability");
    cbor::write_bool(&mut meta, true);
    cbor::write_float(&mut meta, 0.7);
    cbor::write_float(&mut meta, 0.0);
    cbor::write_text(&mut meta, "inline");
    cbor::write_null(&mut meta);
    let constants = vec![(22, model.into()), (23, params.into()), (25, meta.into())];
    producer
        .shape_of(ShapeDef::from_encoded(schema(subjects), constants).expect("a shape"))
        .expect("declared")
}

fn hand_over(
    producer: &Producer,
    shape: &Shape,
    class: &ClassName,
    n: u64,
    subjects: Subjects,
    values: &mut Values,
) {
    let pending = producer.begin(class).expect("begun");
    let mut record = pending.record(shape, Kind::Decision);
    for _ in 0..12 {
        record.f64(values.float());
    }
    for _ in 0..4 {
        record.i64((values.next() % 5_000) as i64);
    }
    for text in TEXTS[(n % 4) as usize] {
        record.text(text);
    }
    record.bool(n.is_multiple_of(3)).f64(values.float());
    // `[null, tensor]`: the attributions of the 20 features in their order, as doubles.
    let mut attributions = [0_u8; 171];
    attributions[..11].copy_from_slice(&[0x82, 0xf6, 0xd8, 40, 0x82, 0x81, 20, 0xd8, 86, 0x58, 160]);
    for chunk in attributions[11..].chunks_exact_mut(8) {
        chunk.copy_from_slice(&(values.float() - 0.5).to_le_bytes());
    }
    record.raw(&attributions);
    let event = record.pending().event();
    record.event(&event);
    match subjects {
        Subjects::None => {}
        Subjects::Thousand => push_subject(&mut record, n % 1_000),
        Subjects::New => push_subject(&mut record, n),
    }
    record.finish().expect("handed over");
}

fn push_subject(record: &mut minutebook_capture::Encoder<'_, &Producer>, number: u64) {
    let name = format!("applicant-{number:07}");
    let mut value = Vec::with_capacity(24);
    cbor::write_array(&mut value, 1);
    cbor::write_text(&mut value, &name);
    record.raw(&value);
}

/// The same record as a line of JSON, with the names that JSON repeats.
fn as_json(n: u64, subjects: Subjects, values: &mut Values) -> String {
    let mut line = String::from(r#"{"model":{"name":"credit-risk","version":"1.4.0","artifact":"sha256:"#);
    line.push_str(&"07".repeat(32));
    line.push_str(r#""},"params":{"l2":0.25,"seed":7.0,"threshold":0.5},"inputs":{"#);
    for k in 0..12 {
        let _ = write!(line, r#""feature_{k}":{},"#, values.float());
    }
    for k in 12..16 {
        let _ = write!(line, r#""feature_{k}":{},"#, values.next() % 5_000);
    }
    for (k, text) in (16..).zip(TEXTS[(n % 4) as usize]) {
        let _ = write!(line, r#""feature_{k}":"{text}"{}"#, if k == 19 { "}" } else { "," });
    }
    let _ =
        write!(line, r#","outputs":{{"approve":{},"probability":{}}}"#, n.is_multiple_of(3), values.float());
    line.push_str(
        r#","explanation":{"method":"shap.TreeExplainer","library":"shap 0.50.0","space":"probability","#,
    );
    line.push_str(r#""class":true,"base":0.7,"residual":0.0,"attributions":{"#);
    for k in 0..20 {
        let _ = write!(line, r#""feature_{k}":{}{}"#, values.float() - 0.5, if k == 19 { "}}" } else { "," });
    }
    if subjects != Subjects::None {
        let _ = write!(line, r#","subject":"applicant-{n:07}""#);
    }
    line.push_str(r#","id":"01936f2e-8c4b-7d1e-9f00-8a5b3c2d1e0f","time":"2026-11-21T09:30:00.123456789Z","duration_ns":81000,"status":"ok"}"#);
    line.push('\n');
    line
}

fn json_bytes(subjects: Subjects) -> (f64, f64) {
    let mut values = Values(1);
    let lines: String = (0..20_000).map(|n| as_json(n, subjects, &mut values)).collect();
    let packed = zstd::bulk::compress(lines.as_bytes(), 1).expect("compressed").len();
    (lines.len() as f64 / 20_000.0, packed as f64 / 20_000.0)
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn percentile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Hand-over while nothing else runs: back to back, or paced at 2,000 a second so that caches are cold as in a service.
fn hand_over_times(place: &Place, paced: bool) -> (u64, u64) {
    let producer = producer(place, if paced { "paced" } else { "burst" });
    let shape = shape(&producer, Subjects::None);
    let class = ClassName::new("standard").expect("a class");
    let mut values = Values(3);
    let count = if paced { 4_000 } else { 100_000 };
    let mut ns = Vec::with_capacity(count);
    let begin = now();
    for n in 0..count {
        if paced && let Some(wait) = (Duration::from_micros(500) * n as u32).checked_sub(begin.elapsed()) {
            std::thread::sleep(wait);
        }
        let start = now();
        hand_over(&producer, &shape, &class, n as u64, Subjects::None, &mut values);
        ns.push(start.elapsed().as_nanos() as u64);
    }
    ns.sort_unstable();
    (percentile(&ns, 0.5), percentile(&ns, 0.99))
}

fn producer(place: &Place, name: &str) -> Producer {
    let file = place.trail_file().expect("a trail");
    let intake = IntakePublicKey::from_bytes(file.intake_key);
    Producer::open(ProducerOptions::new(place.spool(), file.id, intake, name)).expect("opened")
}

struct Run {
    seconds: f64,
    records: u64,
    bytes: u64,
    stages: StageTimes,
    process_cpu_ns: u64,
    hand_over_cpu_ns: u64,
}

/// CPU time of the calling thread, or of the whole process, in ns.
fn cpu_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock and a live timespec.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

async fn sealed(place: &Place, subjects: Subjects, count: u64) -> Run {
    let mut engine = Engine::open(place, Environment::default()).await.expect("an engine");
    let producer = producer(place, "bench");
    let shape = shape(&producer, subjects);
    let class = ClassName::new("standard").expect("a class");
    let done = Arc::new(AtomicBool::new(false));
    let cpu = cpu_ns(libc::CLOCK_PROCESS_CPUTIME_ID);
    let begin = now();
    let finished = Arc::clone(&done);
    let handing_over = tokio::task::spawn_blocking(move || {
        let start = cpu_ns(libc::CLOCK_THREAD_CPUTIME_ID);
        let mut values = Values(2);
        for n in 0..count {
            hand_over(&producer, &shape, &class, n, subjects, &mut values);
        }
        finished.store(true, Ordering::Release);
        (producer, cpu_ns(libc::CLOCK_THREAD_CPUTIME_ID) - start)
    });
    let mut run = Run {
        seconds: 0.0,
        records: 0,
        bytes: 0,
        stages: StageTimes::default(),
        process_cpu_ns: 0,
        hand_over_cpu_ns: 0,
    };
    loop {
        let all_handed_over = done.load(Ordering::Acquire);
        let report = engine.seal_round().await.expect("sealed");
        run.records += report.records;
        run.bytes += report.bytes;
        run.stages += report.stages;
        if all_handed_over && !report.drained.more {
            break;
        }
    }
    run.seconds = begin.elapsed().as_secs_f64();
    run.process_cpu_ns = cpu_ns(libc::CLOCK_PROCESS_CPUTIME_ID) - cpu;
    let (producer, hand_over_cpu_ns) = handing_over.await.expect("handed over");
    run.hand_over_cpu_ns = hand_over_cpu_ns;
    producer.close().expect("closed");
    drop(producer);
    engine.seal().await.expect("sealed");
    engine.close().await;
    run
}

async fn verified(place: &Place) -> (f64, u64) {
    let reader = Reader::open(place).await.expect("a reader");
    let keys = reader.keys().clone();
    let source = FolderSource::new(&place.folder);
    tokio::task::spawn_blocking(move || {
        let begin = now();
        let progress = |_, _| {};
        let options = Options {
            keys: &keys,
            pinned: None,
            policy: None,
            sampling: &[],
            in_progress: Vec::new(),
            threads: 2,
            progress: &progress,
        };
        let report = verify(&source, &options);
        assert!(report.is_clean(), "{:#?}", report.findings);
        assert_eq!(report.readable, report.records);
        (begin.elapsed().as_secs_f64(), report.readable)
    })
    .await
    .expect("verified")
}

/// Whether what follows `--` chooses this case.
fn is_wanted(what: &str) -> bool {
    !std::env::args().skip(1).any(|wanted| !wanted.starts_with('-') && !what.contains(&wanted))
}

async fn new_trail() -> (tempfile::TempDir, Place) {
    let folder =
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/../../target").expect("a folder");
    let place = Place::new(folder.path().join("trail")).with_keys(folder.path().join("keys"));
    init(&place, &InitOptions::default(), &Environment::default()).await.expect("a trail");
    (folder, place)
}

/// Three rules, of which the last decides, with a draw that keeps as good as all: what is behind the drain has the same to do.
const THREE_RULES: &str = r#"
format = "minutebook/policy/1"
[[model]]
name = "credit-*"
rule = [
    { name = "refused", when = "outputs.approve == false && inputs.feature_0 > 2", keep = "all" },
    { name = "close", when = "abs(outputs.probability - 0.5) < 0.0", keep = "all" },
    { name = "others", rate = 0.9999999 },
]
"#;

/// Pairs of runs without a policy and with one.
const PAIRS: usize = 5;

/// What a policy costs: runs without one and with one in turn, and the medians of their ratios.
async fn policy_cost(what: &str, count: u64) {
    if !is_wanted(what) {
        return;
    }
    let (mut drains, mut alls, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let mut ns = [(0, 0); 2];
        for turn in 0..2 {
            let with = (turn + pair) % 2;
            let (_folder, place) = new_trail().await;
            if with == 1 {
                let mut engine = Engine::open(&place, Environment::default()).await.expect("an engine");
                engine.set_policy(THREE_RULES).await.expect("a policy");
                engine.close().await;
            }
            let run = sealed(&place, Subjects::None, count / 4).await;
            ns[with] = (run.stages.drain_ns / run.records, run.process_cpu_ns / run.records);
        }
        let [without, with] = ns;
        drains.push((without.0, with.0));
        alls.push(with.1 as f64 / without.1 as f64);
        ratios.push(with.0 as f64 / without.0 as f64);
    }
    drains.sort_unstable_by_key(|(without, with)| with.saturating_sub(*without));
    ratios.sort_unstable_by(f64::total_cmp);
    alls.sort_unstable_by(f64::total_cmp);
    let (without, with) = drains[PAIRS / 2];
    println!(
        "\n{what}, {PAIRS} pairs of {} decisions: drain {without} ns without, {with} ns with it\n  ratio of drains        {:.2} ({:.2}–{:.2})\n  \
         ratio of all CPU       {:.3} ({:.3}–{:.3})",
        count / 4,
        ratios[PAIRS / 2],
        ratios[0],
        ratios[PAIRS - 1],
        alls[PAIRS / 2],
        alls[0],
        alls[PAIRS - 1]
    );
}

async fn measure(what: &str, subjects: Subjects, count: u64) {
    if !is_wanted(what) {
        return;
    }
    let (_folder, place) = new_trail().await;
    let run = sealed(&place, subjects, count).await;
    let (verify_seconds, verified) = verified(&place).await;
    let (json, packed) = json_bytes(subjects);
    let per = |ns: u64| ns / run.records;
    let bytes = run.bytes as f64 / run.records as f64;
    println!("\n{what}: {} decisions", run.records);
    println!(
        "  sealed end to end      {:>9.0} /s   (durability: sealed, flushed, read back, signed)",
        run.records as f64 / run.seconds
    );
    println!("  verified with all keys {:>9.0} /s", verified as f64 / verify_seconds);
    println!(
        "  stored                 {bytes:>9.0} bytes a decision: {:.2} of JSON ({json:.0}), {:.2} of zstd JSON ({packed:.0})",
        bytes / json,
        bytes / packed
    );
    let StageTimes { drain_ns, build_ns, read_back_ns } = run.stages;
    let rest = run.process_cpu_ns.saturating_sub(drain_ns + build_ns + read_back_ns + run.hand_over_cpu_ns);
    println!(
        "  CPU ns a decision      hand-over {} | drain {} (budget 1,300) | salts, hashes, zstd, AES {} (budget 2,850–4,300)\n  \
                               read back {} (budget 2,500–3,000) | rest (subjects, catalog, files) {} | all {}",
        per(run.hand_over_cpu_ns),
        per(drain_ns),
        per(build_ns),
        per(read_back_ns),
        per(rest),
        per(run.process_cpu_ns)
    );
}

fn main() {
    let count =
        std::env::var("MINUTEBOOK_BENCH_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (_folder, place) = new_trail().await;
        let (p50, p99) = hand_over_times(&place, true);
        println!("hand-over, paced 2,000/s: p50 {p50} ns, p99 {p99} ns   (durability: process)");
        let (p50, p99) = hand_over_times(&place, false);
        println!("hand-over, back to back:  p50 {p50} ns, p99 {p99} ns   (durability: process)");
        measure("no subject", Subjects::None, count).await;
        measure("1,000 subjects", Subjects::Thousand, count).await;
        measure("a new subject each", Subjects::New, count).await;
        policy_cost("a policy of three rules", count).await;
    });
}
