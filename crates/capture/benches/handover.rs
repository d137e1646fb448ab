//! What handing a record over costs the calling thread, and reading it back: `cargo bench -p minutebook-capture --bench handover`.
//!
//! A decision of 20 features (12 floats, 4 integers, 4 short texts), 2 outputs, event and 20 attributions; model and parameters are
//! constants of the shape. Mapped, one thread. Paced: 2,000 a second, so that caches are cold as in a service; burst: back to back.

use std::hint::black_box;
use std::time::{Duration, Instant};

use minutebook_capture::{
    BatchLimits, EpochReader, Frame, IntakePrivateKey, Level, Producer, ProducerOptions, Shape, ShapeDef,
    Stop, list_epochs,
};
use minutebook_record::{ClassName, Field, FieldType, IntegerType, Kind, Path, Schema, cbor};

const PACED: usize = 10_000;
const BURST: usize = 400_000;

fn shape(producer: &Producer) -> Shape {
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
    fields.push(field(&["event"], FieldType::Event));

    let mut model = Vec::new();
    cbor::write_array(&mut model, 3);
    cbor::write_text(&mut model, "credit-risk");
    cbor::write_text(&mut model, "1.4.0");
    cbor::write_bytes(&mut model, &[7; 32]);
    let mut params = Vec::new();
    cbor::write_map(&mut params, 1);
    cbor::write_text(&mut params, "threshold");
    cbor::write_float(&mut params, 0.5);
    let schema = Schema::new(fields).expect("a schema");
    let def = ShapeDef::from_encoded(schema, vec![(22, model.into()), (23, params.into())]).expect("a shape");
    producer.shape_of(def).expect("declared")
}

fn hand_over(producer: &Producer, shape: &Shape, class: &ClassName, n: usize) {
    const TEXTS: [&str; 4] = ["car", "skilled", "own", "none"];
    let pending = producer.begin(class).expect("begun");
    let mut record = pending.record(shape, Kind::Decision);
    for k in 0..12 {
        record.f64(n as f64 * 0.37 + f64::from(k));
    }
    for k in 0..4 {
        record.i64((n + k) as i64);
    }
    for text in TEXTS {
        record.text(text);
    }
    record.bool(n.is_multiple_of(2)).f64(0.31);
    // `[null, tensor]`: the attributions of the 20 features in their order, as doubles.
    let mut attributions = [0_u8; 172];
    attributions[..12].copy_from_slice(&[0x82, 0xf6, 0xd8, 40, 0x82, 0x81, 20, 0xd8, 86, 0x58, 160, 0]);
    for k in 0..20 {
        attributions[11 + 8 * k..][..8].copy_from_slice(&((n + k) as f64 * 0.01).to_le_bytes());
    }
    record.raw(&attributions[..171]);
    let event = record.pending().event();
    record.event(&event);
    record.finish().expect("handed over");
}

fn report(what: &str, mut ns: Vec<u64>) {
    ns.sort_unstable();
    let at = |share: f64| ns[((ns.len() - 1) as f64 * share) as usize];
    println!(
        "{what:<22} p50 {:>6} ns   p90 {:>6} ns   p99 {:>6} ns   p99.9 {:>8} ns",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999)
    );
}

#[allow(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = folder.path().join("spool");
    let key = IntakePrivateKey::from_bytes([0x77; 32]);
    let options = ProducerOptions::new(&spool, [0x11; 16], key.public(), "bench");
    let producer = Producer::open(options).expect("opened");
    let shape = shape(&producer);
    let class = ClassName::new("standard").expect("a class");
    (0..1000).for_each(|n| hand_over(&producer, &shape, &class, n));

    let mut harness = Vec::new();
    for _ in 0..PACED {
        let start = now();
        harness.push(start.elapsed().as_nanos() as u64);
    }
    report("nothing (harness)", harness);

    let mut paced = Vec::with_capacity(PACED);
    let begin = now();
    for n in 0..PACED {
        let due = Duration::from_micros(500) * n as u32;
        if let Some(wait) = due.checked_sub(begin.elapsed()) {
            std::thread::sleep(wait);
        }
        let start = now();
        hand_over(&producer, &shape, &class, n);
        paced.push(start.elapsed().as_nanos() as u64);
    }
    report("paced, 2,000/s", paced);

    let mut burst = Vec::with_capacity(BURST);
    let before = producer.status().expect("status").bytes;
    let begin = now();
    for n in 0..BURST {
        let start = now();
        hand_over(black_box(&producer), &shape, &class, n);
        burst.push(start.elapsed().as_nanos() as u64);
    }
    let took = begin.elapsed();
    report("back to back", burst);
    let bytes = producer.status().expect("status").bytes - before;
    producer.flush(Level::Disk).expect("flushed");
    println!(
        "{:.0} records/s handed over, {:.0} records/s with the flush; {} bytes a frame",
        BURST as f64 / took.as_secs_f64(),
        BURST as f64 / begin.elapsed().as_secs_f64(),
        bytes / BURST as u64
    );
    drop(producer);

    let epoch = &list_epochs(&spool).expect("listed").epochs[0].path;
    let mut reader = EpochReader::open(epoch, [0x11; 16], &key).expect("opened");
    let (mut records, mut values_bytes) = (0_u64, 0);
    let begin = now();
    loop {
        let end = reader.read_batch(&BatchLimits::default(), |frame| match frame {
            Frame::Record { values, .. } => {
                records += 1;
                values_bytes += black_box(values).len();
            }
            Frame::Damage { damage, .. } => panic!("{damage}"),
            _ => {}
        });
        if end.expect("read").stop == Stop::Ended {
            break;
        }
    }
    let took = begin.elapsed();
    println!(
        "read back: {records} records of {} bytes of values, {:.0} ns each",
        values_bytes as u64 / records,
        took.as_nanos() as f64 / records as f64
    );
}
