//! Prints ns per record and stage: `cargo bench -p minutebook-record`. A record of 20 features (12 f64, 4 i64, 4 short texts), 2 outputs,
//! event, model, 3 parameters, 20 attributions, their meta data and a subject: 28 fields.

use std::hint::black_box;

use minutebook_record::fields::{
    Attributions, Event, ExplanationMeta, Floats, ModelRef, Space, Subjects, When,
};
use minutebook_record::{
    ClassName, Commitment, Committer, Element, Epoch, Field, FieldType, Header, Kind, Map, Path, Preimage,
    ProducerId, RecordId, Schema, Seed, Seq, Tensor, Value, cbor, check, commit,
};

const RECORDS: usize = 512;

// A benchmark reads the clock.
#[allow(clippy::disallowed_methods)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Prints the least of several runs in ns per `count`.
fn measure(what: &str, count: usize, mut run: impl FnMut()) {
    let mut least = f64::INFINITY;
    for _ in 0..60 {
        let start = now();
        run();
        least = least.min(start.elapsed().as_secs_f64() * 1e9 / count as f64);
    }
    println!("{what:<52} {least:>8.1}");
}

struct Fields {
    schema: Vec<Field>,
    values: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    fn add(&mut self, parts: &[&str], field_type: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let path = Path::new(parts.iter().copied()).expect("path");
        self.schema.push(Field { path, field_type: field_type.parse().expect("type") });
        write(&mut self.values);
        self.ends.push(self.values.len());
    }
}

fn fields(row: u64) -> Fields {
    let mut fields = Fields { schema: Vec::new(), values: Vec::new(), ends: Vec::new() };
    let number = |i: u64| (row * 31 + i * 17) as f64 / 7.0;
    for i in 0..12 {
        fields.add(&["inputs", &format!("f{i}")], "f64", |out| cbor::write_float(out, number(i)));
    }
    for i in 0..4 {
        fields.add(&["inputs", &format!("n{i}")], "i64", |out| {
            cbor::write_signed(out, (row * 1_000 + i) as i64)
        });
    }
    for i in 0..4 {
        fields.add(&["inputs", &format!("t{i}")], "category", |out| {
            cbor::write_text(out, &format!("A{}", row % 97 + i))
        });
    }
    fields.add(&["outputs", "approve"], "bool", |out| cbor::write_bool(out, row.is_multiple_of(2)));
    fields.add(&["outputs", "probability"], "f64", |out| cbor::write_float(out, 1.0 / (row + 3) as f64));
    fields.add(&["event"], "event", |out| {
        Event {
            time_ns: 1_795_253_400_123_456_789 + row as i64,
            clock_error_ns: Some(5_000),
            duration_ns: Some(81_000 + row),
            status: "ok".into(),
            trace: Some([7; 16]),
            span: Some([8; 8]),
            batch: None,
            kept: None,
            links: Vec::new(),
        }
        .write(out);
    });
    fields.add(&["model"], "model", |out| {
        ModelRef { name: "credit-risk".into(), version: "1.4.0".into(), artifact: Some([9; 32]) }.write(out);
    });
    fields.add(&["params"], "map", |out| {
        let pairs = ["threshold", "cutoff", "limit"].map(|key| (key.to_owned(), Value::Float(0.3)));
        Map::new(pairs).expect("keys").write(out);
    });
    fields.add(&["explanation", "attributions"], "attributions", |out| {
        let data = (0..20).flat_map(|i| number(i).to_le_bytes()).collect();
        Attributions { features: None, tensor: Tensor { element: Element::F64, shape: vec![20], data } }
            .write(out);
    });
    fields.add(&["explanation", "meta"], "explanation", |out| {
        ExplanationMeta {
            method: "coefficients".into(),
            library: "scikit-learn 1.7.2".into(),
            parameters: Map::default(),
            seed: None,
            background: Some([3; 32]),
            space: Some(Space::LogOdds),
            class: Value::Bool(true),
            base: Some(Floats::One(0.12)),
            residual: Some(Floats::One(1e-16)),
            when: When::Inline,
            duration_ns: Some(900),
        }
        .write(out);
    });
    fields.add(&["subject"], "subject", |out| Subjects(vec![format!("applicant-{row}")]).write(out));
    fields
}

fn main() {
    let rows: Vec<Fields> = (0..RECORDS as u64).map(fields).collect();
    let schema = Schema::new(rows[0].schema.clone()).expect("schema");
    let values = |row: usize| {
        let fields = &rows[row];
        let starts = std::iter::once(0).chain(fields.ends.iter().copied());
        starts.zip(&fields.ends).map(|(start, end)| &fields.values[start..*end])
    };
    let header = |row: usize| Header {
        id: RecordId::from_parts(1_795_253_400_000 + row as u64, [5; 10]),
        kind: Kind::Decision,
        producer: ProducerId([1; 16]),
        epoch: Epoch::new(12).expect("epoch"),
        seq: Seq::new(row as u64 + 1_000).expect("seq"),
        class: ClassName::new("standard").expect("class"),
    };
    let seed = |row: usize| Seed([row as u8; 32]);
    let headers: Vec<_> = (0..RECORDS).map(header).collect();
    let salts: Vec<_> = (0..RECORDS).map(|row| commit::salts(&seed(row), schema.len())).collect();
    println!("{} fields, {} bytes of values, {} records", schema.len(), rows[0].values.len(), RECORDS);
    println!("{:<52} {:>8}", "ns per record", "");

    let mut ends = Vec::new();
    measure("check the values against the schema", RECORDS, || {
        for row in &rows {
            black_box(schema.split(black_box(&row.values), &mut ends).is_ok());
        }
    });
    measure("salts", RECORDS, || {
        for row in 0..RECORDS {
            black_box(commit::salts(black_box(&seed(row)), schema.len()));
        }
    });
    let mut salted = Vec::new();
    let mut salted_ends = Vec::new();
    measure("gather salt and value", RECORDS, || {
        salted.clear();
        salted_ends.clear();
        for (row, salts) in salts.iter().enumerate() {
            for (salt, value) in salts.iter().zip(values(row)) {
                salted.extend_from_slice(salt);
                salted.extend_from_slice(value);
                salted_ends.push(salted.len());
            }
        }
    });
    let mut digests = Vec::new();
    measure("digests of the fields", RECORDS, || {
        digests.clear();
        minutebook_sha256::digest_many(&salted, &salted_ends, &mut digests);
    });
    let mut lists = Vec::new();
    let mut list_ends = Vec::new();
    let mut commitments = Vec::new();
    measure("commitments", RECORDS, || {
        lists.clear();
        list_ends.clear();
        commitments.clear();
        for digests in digests.chunks(schema.len()) {
            cbor::write_array(&mut lists, digests.len() as u64);
            digests.iter().for_each(|digest| cbor::write_bytes(&mut lists, digest));
            list_ends.push(lists.len());
        }
        minutebook_sha256::digest_many(&lists, &list_ends, &mut commitments);
    });
    measure("leaves", RECORDS, || {
        lists.clear();
        list_ends.clear();
        digests.clear();
        for (header, commitment) in headers.iter().zip(&commitments) {
            lists.push(0);
            let commitment = Commitment(*commitment);
            Preimage { header: *header, schema: schema.digest(), commitment }.write(&mut lists);
            list_ends.push(lists.len());
        }
        minutebook_sha256::digest_many(&lists, &list_ends, &mut digests);
    });
    let mut committer = Committer::new();
    measure("all but the check, many records together", RECORDS, || {
        for (row, header) in headers.iter().enumerate() {
            committer.push(header, &schema, values(row), &seed(row)).expect("one value a field");
        }
        black_box(committer.finish());
    });
    measure("all but the check, one record at a time", RECORDS, || {
        for (row, header) in headers.iter().enumerate() {
            committer.push(header, &schema, values(row), &seed(row)).expect("one value a field");
            black_box(committer.finish());
        }
    });

    println!("{:<52} {:>8}", "ns per value", "");
    for (name, field_type, value) in [
        ("check a float", "f64", Value::Float(0.1)),
        ("check an integer", "i64", Value::Integer(123_456.into())),
        ("check a short text", "text", Value::Text("category-7".into())),
    ] {
        let field_type: FieldType = field_type.parse().expect("type");
        let mut encoded = Vec::new();
        value.encode(&field_type, &mut encoded).expect("value");
        measure(name, 1_000, || {
            for _ in 0..1_000 {
                black_box(check(black_box(&field_type), black_box(&encoded))).ok();
            }
        });
    }
}
