//! What is handed over is read back: records, failures, blobs, marks.

use minutebook_capture::{
    Advice, Backing, BatchLimits, CaptureError, Level, LostReason, Mark, Owner, Producer, ShapeDef, Stop,
    is_signed, signed_bytes,
};
use minutebook_record::fields::Event;
use minutebook_record::{FieldType, Kind, Schema, Value};

use crate::support::{I64, Seen, Spool, class, decide, field, read_ended, schema, shape};

fn check_round_trip(backing: Backing) {
    let spool = Spool::new();
    let producer =
        Producer::open(minutebook_capture::ProducerOptions { backing, ..spool.options() }).unwrap();
    assert_eq!(producer.status().unwrap().mapped, backing != Backing::Written);
    let shape = shape(&producer);
    let standard = class("standard");
    let ids: Vec<_> = (0..100).map(|n| decide(&producer, &shape, &standard, n, "text")).collect();

    // While the producer lives.
    let mut reader = spool.reader(0);
    assert_eq!(reader.owner().unwrap(), Owner::Alive);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::CaughtUp);
    assert_eq!(reader.drawn().unwrap(), [(class("system"), 1), (standard, 100)]);
    for (n, (id, seq)) in ids.iter().enumerate() {
        let record = &seen.records[&(standard, *seq)];
        assert_eq!((record.id, record.kind), (*id, Kind::Decision));
        assert_eq!(record.value(0), Value::Integer((n as i64).into()));
        assert_eq!(record.value(1), Value::Text("text".into()));
        assert_eq!(*record.shape.schema(), schema());
    }
    decide(&producer, &shape, &standard, 7, "later");
    seen.read(&mut reader);
    assert_eq!(seen.of_class("standard").count(), 101);

    producer.flush(Level::Disk).unwrap();
    drop(producer);
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert_eq!(reader.owner().unwrap(), Owner::Closed);
    assert_eq!(reader.in_flight().unwrap(), []);
    seen.check_complete(&reader.drawn().unwrap());
    assert_eq!(read_ended(&spool, 0).records, seen.records);
}

#[test]
fn records_are_read_while_the_producer_lives_and_after() {
    check_round_trip(Backing::Mapped);
}

#[test]
fn the_same_without_a_mapping() {
    check_round_trip(Backing::Written);
}

#[test]
fn marks_are_signed_over_the_counts_before_them() {
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let shape = shape(&producer);
    decide(&producer, &shape, &class("long"), 0, "");
    for n in 0..3 {
        decide(&producer, &shape, &class("standard"), n, "");
    }
    producer.heartbeat().unwrap();
    decide(&producer, &shape, &class("standard"), 0, "");
    producer.close().unwrap();
    producer.close().unwrap();

    let seen = read_ended(&spool, 0);
    let reader = spool.reader(0);
    let marks: Vec<_> = seen.of_class("system").collect();
    let names: Vec<_> = marks.iter().map(|(_, mark)| mark.value(1)).collect();
    assert_eq!(names, ["opened", "alive", "closed"].map(|name| Value::Text(name.into())));
    assert_eq!(marks[0].1.value(4), Value::Bytes(reader.mark_key().to_vec()));
    assert_eq!(marks[0].1.value(3), Value::Map(Default::default()));

    let (system, standard, long) = (class("system"), class("standard"), class("long"));
    let counts = [
        (Mark::Alive, vec![(long, 1), (standard, 3), (system, 1)]),
        (Mark::Closed, vec![(long, 1), (standard, 4), (system, 2)]),
    ];
    for ((_, record), (mark, counts)) in marks[1..].iter().zip(counts) {
        let Value::Integer(time) = record.value(2) else { panic!("time is an integer") };
        let time = i64::try_from(time.get()).unwrap();
        let bytes =
            signed_bytes(&crate::support::TRAIL, reader.producer(), reader.epoch(), mark, time, &counts);
        let Value::Bytes(signature) = record.value(4) else { panic!("signature is bytes") };
        assert!(is_signed(&reader.mark_key(), &bytes, &signature), "{mark:?}");
        let Value::Map(told) = record.value(3) else { panic!("counts are a map") };
        for (class, last) in counts {
            assert_eq!(told.get(class.as_str()), Some(&Value::Integer(last.into())));
        }
    }
}

#[test]
fn a_blob_comes_in_pieces_before_the_record_that_names_it() {
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let value = producer.blob(&content, "application/octet-stream").unwrap();
    let empty = producer.blob(&[], "text/plain").unwrap();
    let schema = Schema::new(vec![field(&["inputs", "file"], FieldType::Blob)]).unwrap();
    let shape = producer.shape(schema, &[]).unwrap();
    for value in [&value, &empty] {
        let mut record = producer.begin(&class("standard")).unwrap().record(&shape, Kind::Decision);
        record.value(value);
        record.finish().unwrap();
    }
    drop(producer);
    let seen = read_ended(&spool, 0);
    let Value::Blob(blob) = value else { panic!("a blob gives a blob") };
    let Value::Blob(empty) = empty else { panic!("a blob gives a blob") };
    assert_eq!(seen.blobs[&blob.id], content);
    assert_eq!(seen.blobs[&empty.id], []);
    assert_eq!(seen.of_class("standard").next().unwrap().1.value(0), Value::Blob(blob));
}

#[test]
fn what_does_not_fit_is_refused_and_its_number_told_as_lost() {
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let shape = shape(&producer);
    let standard = class("standard");
    let record = || producer.begin(&standard).unwrap().record(&shape, Kind::Decision);

    let mut wrong = record();
    wrong.text("1").text("");
    let error = wrong.finish().unwrap_err();
    assert!(matches!(error, CaptureError::Value { place: 0 }), "{error}");
    assert_eq!(error.advice(), Advice::Fix);

    let mut short = record();
    short.i64(1);
    assert!(matches!(short.finish(), Err(CaptureError::Count { given: 1, takes: 2 })));

    let mut long = record();
    long.i64(1).text("").null();
    assert!(matches!(long.finish(), Err(CaptureError::Count { given: 3, takes: 2 })));

    let mut large = record();
    large.i64(1).text(&"x".repeat(1 << 20));
    assert!(matches!(large.finish(), Err(CaptureError::TooLarge { what: "record", .. })));

    drop(producer.begin(&standard).unwrap());
    producer.begin(&standard).unwrap().lose(LostReason::Died);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _pending = producer.begin(&standard).unwrap();
        std::panic::resume_unwind(Box::new("the model failed"));
    }));
    assert!(panicked.is_err());

    let other = Spool::new();
    let foreign = crate::support::shape(&Producer::open(other.options()).unwrap());
    let mut foreign = producer.begin(&standard).unwrap().record(&foreign, Kind::Decision);
    foreign.i64(1).text("");
    assert!(matches!(foreign.finish(), Err(CaptureError::ForeignShape)));

    assert_eq!(producer.status().unwrap().in_flight, 0);
    drop(producer);
    let seen = read_ended(&spool, 0);
    let reasons: Vec<_> = (1..=8).map(|seq| seen.lost[&(standard, seq)]).collect();
    use LostReason::{Died, Dropped, TooLarge};
    assert_eq!(reasons, [Dropped, Dropped, Dropped, TooLarge, Dropped, Died, Died, Dropped]);
}

fn event_of(record: &crate::support::SeenRecord, place: usize) -> Event {
    let mut ends = Vec::new();
    record.shape.split(&record.values, &mut ends).unwrap();
    let from = if place == 0 { 0 } else { ends[place - 1] };
    Event::decode(&record.values[from..ends[place]]).unwrap().unwrap()
}

#[test]
fn a_guarded_decision_is_recorded_when_it_succeeds_fails_and_panics() {
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let standard = class("standard");
    // The event first, in the middle and last: the guard puts it where it belongs.
    for place in 0..3 {
        let mut fields = vec![field(&["inputs", "n"], I64), field(&["outputs", "p"], FieldType::F64)];
        fields.insert(place, field(&["event"], FieldType::Event));
        let shape = producer.shape(Schema::new(fields).unwrap(), &[]).unwrap();
        let mut ok = producer.decision(&standard, &shape).unwrap();
        ok.trace([1; 16], [2; 8]).values().i64(5).f64(0.25);
        ok.finish().unwrap();

        let mut failed = producer.decision(&standard, &shape).unwrap();
        failed.values().i64(6);
        failed.fail("ValueError").unwrap();

        let mut left = producer.decision(&standard, &shape).unwrap();
        left.values().i64(7);
        drop(left);

        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut decision = producer.decision(&standard, &shape).unwrap();
            decision.values().i64(8);
            std::panic::resume_unwind(Box::new("the model failed"));
        }));
        assert!(panicked.is_err());
        drop(producer.decision(&standard, &shape).unwrap());
    }
    drop(producer);

    let seen = read_ended(&spool, 0);
    for place in 0..3 {
        let of = |n: u64| &seen.records[&(standard, 5 * place as u64 + n)];
        let (input, output) = (usize::from(place == 0), if place == 2 { 1 } else { 2 });
        let told = |n: u64| (of(n).value(input), of(n).value(output), event_of(of(n), place).status);
        let integer = |n: i64| Value::Integer(n.into());
        assert_eq!(told(1), (integer(5), Value::Float(0.25), "ok".into()));
        assert_eq!(told(2), (integer(6), Value::Null, "ValueError".into()));
        assert_eq!(told(3), (integer(7), Value::Null, "error".into()));
        assert_eq!(told(4), (integer(8), Value::Null, "panic".into()));
        assert_eq!(seen.lost[&(standard, 5 * place as u64 + 5)], LostReason::Dropped);
        let event = event_of(of(1), place);
        assert_eq!((event.trace, event.span), (Some([1; 16]), Some([2; 8])));
        assert!(event.duration_ns.is_some());
    }
}

#[test]
fn typed_pushes_take_what_the_field_holds_exactly() {
    use minutebook_record::IntegerType;
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let check = |field_type: FieldType,
                 push: &dyn Fn(&mut minutebook_capture::Encoder<'_, &Producer>),
                 fits: bool| {
        let schema = Schema::new(vec![field(&["inputs", "x"], field_type.clone())]).unwrap();
        let shape = producer.shape(schema, &[]).unwrap();
        let mut record = producer.begin(&class("standard")).unwrap().record(&shape, Kind::Decision);
        push(&mut record);
        assert_eq!(record.finish().is_ok(), fits, "{field_type:?}");
    };
    let integer = FieldType::Integer;
    for (value, fits) in [(0, true), (255, true), (256, false), (-1, false)] {
        check(
            integer(IntegerType::U8),
            &|e| {
                e.i64(value);
            },
            fits,
        );
    }
    check(
        integer(IntegerType::I64),
        &|e| {
            e.u64(u64::MAX);
        },
        false,
    );
    check(
        integer(IntegerType::U64),
        &|e| {
            e.u64(u64::MAX);
        },
        true,
    );
    check(
        integer(IntegerType::I64),
        &|e| {
            e.f64(1.0);
        },
        false,
    );
    for (value, f32_fits, f16_fits) in
        [(0.5, true, true), (0.1, false, false), (f64::NAN, true, true), (65_505.0, true, false)]
    {
        check(
            FieldType::F64,
            &|e| {
                e.f64(value);
            },
            true,
        );
        check(
            FieldType::F32,
            &|e| {
                e.f64(value);
            },
            f32_fits,
        );
        check(
            FieldType::F16,
            &|e| {
                e.f64(value);
            },
            f16_fits,
        );
    }
    check(
        FieldType::Category,
        &|e| {
            e.text("a");
        },
        true,
    );
    check(
        FieldType::Bytes,
        &|e| {
            e.text("a");
        },
        false,
    );
    check(
        FieldType::Bool,
        &|e| {
            e.bool(true);
        },
        true,
    );
    check(
        FieldType::Bool,
        &|e| {
            e.i64(1);
        },
        false,
    );
    check(
        FieldType::Bytes,
        &|e| {
            e.null();
        },
        true,
    );
    check(
        FieldType::List,
        &|e| {
            e.value(&Value::List(vec![Value::Null]));
        },
        true,
    );
    check(
        FieldType::List,
        &|e| {
            e.value(&Value::Bool(true));
        },
        false,
    );
    drop(producer);
    read_ended(&spool, 0);
}

#[test]
fn a_shape_is_one_however_often_it_is_declared() {
    let spool = Spool::new();
    let producer = Producer::open(spool.options()).unwrap();
    let (a, b) = (shape(&producer), shape(&producer));
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    let wrong = producer.shape(schema(), &[(1, Value::Bool(true))]).unwrap_err();
    assert_eq!(wrong.advice(), Advice::Fix);
    assert!(producer.shape(schema(), &[(3, Value::Null)]).is_err());
    assert!(producer.shape(schema(), &[(1, Value::Null), (1, Value::Null)]).is_err());
    assert_eq!(ShapeDef::decode(a.def().encoded()).unwrap(), *a.def());
}

#[test]
fn batches_of_any_size_give_the_same_frames() {
    let spool = Spool::new();
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    let standard = class("standard");
    for n in 0..2000 {
        decide(&producer, &shape, &standard, n, "some text to fill the parts with");
    }
    drop(producer);
    let whole = read_ended(&spool, 0);
    assert!(spool.parts().len() > 2);
    for limits in [
        BatchLimits { frames: 1, bytes: u64::MAX },
        BatchLimits { frames: usize::MAX, bytes: 1 },
        BatchLimits { frames: 77, bytes: 5000 },
    ] {
        let mut seen = Seen::default();
        assert_eq!(seen.read_by(&mut spool.reader(0), limits).stop, Stop::Ended);
        assert_eq!(seen.records, whole.records);
    }
}
