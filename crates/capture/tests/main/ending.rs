//! A part is ended when the reader asks for it, so that what it defines can go.

use minutebook_capture::{Backing, Owner, Producer, ProducerOptions, Stop};

use crate::support::{Seen, Spool, class, decide, shape, wait_for};

fn ends_on_request(backing: Backing) {
    let spool = Spool::new();
    let producer = Producer::open(ProducerOptions { backing, ..spool.options() }).unwrap();
    let shape = shape(&producer);
    let mut n = 0;
    let mut decide = || {
        n += 1;
        decide(&producer, &shape, &class("standard"), n, "text")
    };
    decide();
    let (mut reader, mut seen) = (spool.reader(0), Seen::default());
    assert!(!reader.ask_to_end_part().unwrap(), "nothing was read yet");
    for round in 0..3 {
        assert_eq!(seen.read(&mut reader).stop, Stop::CaughtUp);
        reader.free_to(reader.position()).unwrap();
        let before = spool.parts();
        let defined: Vec<_> = reader.definitions().map(|shape| shape.schema().len()).collect();
        assert!(defined.contains(&3), "the shape of the decisions is defined: {defined:?}");
        assert!(reader.ask_to_end_part().unwrap());
        wait_for("the part to end", || {
            // Others may go on meanwhile.
            if round == 2 {
                decide();
            }
            seen.read(&mut reader);
            reader.free_to(reader.position()).unwrap();
            !spool.parts().contains(&before[0])
        });
        decide();
    }
    reader.withdraw().unwrap();
    reader.withdraw().unwrap();
    producer.close().unwrap();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    assert_eq!(reader.owner().unwrap(), Owner::Closed);
    assert!(!reader.ask_to_end_part().unwrap(), "nobody is there to ask");
    seen.check_complete(&reader.drawn().unwrap());
    assert!(minutebook_capture::list_epochs(&spool.path).unwrap().foreign.is_empty());
}

#[test]
fn a_mapped_part_ends_on_request() {
    ends_on_request(Backing::Mapped);
}

#[test]
fn a_written_part_ends_on_request() {
    ends_on_request(Backing::Written);
}

#[test]
fn a_request_for_another_part_does_nothing() {
    let spool = Spool::new();
    let options = ProducerOptions { heartbeat: std::time::Duration::from_millis(5), ..spool.options() };
    let producer = Producer::open(options).unwrap();
    let shape = shape(&producer);
    let (mut reader, mut seen) = (spool.reader(0), Seen::default());
    let mut n = 0;
    for text in ["1 2\n", "2 1\n", "1 1", "", "1 1\n1 1\n"] {
        std::fs::write(spool.folder().join("end-part"), text).unwrap();
        // The thread that gives signs of life looks for requests each time before.
        let before = seen.of_class("system").count();
        wait_for("two signs of life", || {
            n += 1;
            decide(&producer, &shape, &class("standard"), n, "text");
            seen.read(&mut reader);
            seen.of_class("system").count() > before + 2
        });
    }
    assert_eq!(producer.status().unwrap().parts, 1);
    assert_eq!(spool.parts().len(), 1);
}
