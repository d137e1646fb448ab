//! Spools that are shipped (`docs/formats/shipping.md`): the mirror reads as the spool does, whatever is sent twice, forgotten or made up.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

use minutebook_capture::{
    BatchLimits, EpochReader, IntakePrivateKey, Mirror, MirrorError, MirrorId, Mirrors, Owner, Piece,
    Position, Producer, Shipment, Standing, StandingState, Step, Stop, list_epochs, list_mirrors,
    mirror_name,
};
use minutebook_record::{Epoch, ProducerId, Value};
use proptest::prelude::*;

use crate::support::{NAME, Seen, Spool, TRAIL, class, decide, intake, shape};

const SECRET: [u8; 32] = [9; 32];

/// A trail's spool on another machine.
struct Server {
    folder: tempfile::TempDir,
    mirrors: Mirrors,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(folder.path().to_owned(), TRAIL, intake());
        Self { folder, mirrors }
    }

    fn announce(&self, shipment: &Shipment) -> Result<Option<Mirror>, MirrorError> {
        self.mirrors.announce(&id(shipment), shipment.epoch(), &shipment.file_bytes().unwrap(), "shop")
    }

    fn reader(&self) -> EpochReader {
        let epochs = list_epochs(self.folder.path()).unwrap();
        assert_eq!(epochs.foreign, Vec::<std::path::PathBuf>::new());
        EpochReader::open(&epochs.epochs[0].path, TRAIL, &intake()).unwrap()
    }
}

fn id(shipment: &Shipment) -> MirrorId {
    MirrorId::new(shipment.name(), shipment.producer(), &SECRET)
}

fn shipment(spool: &Spool, n: usize) -> Shipment {
    let listing = Shipment::list(&spool.path).unwrap();
    Shipment::open(&listing.epochs[n].path, NAME).unwrap()
}

fn open(server: &Server, shipment: &mut Shipment) -> Mirror {
    let mirror = server.announce(shipment).unwrap().unwrap();
    shipment.go_to(mirror.standing().unwrap().position).unwrap();
    mirror
}

/// Sends what there is now; the owner, when it has ended.
fn ship(shipment: &mut Shipment, mirror: &Mirror, bytes_max: usize) -> Option<Owner> {
    loop {
        match shipment.next(bytes_max).unwrap() {
            Step::Wait => return None,
            Step::Ended(owner) => return Some(owner),
            Step::Piece(piece) => {
                let standing = mirror.put(&piece).unwrap();
                shipment.go_to(standing.position).unwrap();
            }
        }
    }
}

fn read_all(reader: &mut EpochReader) -> (Seen, Stop) {
    let mut seen = Seen::default();
    let stop = seen.read(reader).stop;
    (seen, stop)
}

#[test]
fn a_mirror_reads_as_the_spool_that_was_shipped() {
    let (spool, server) = (Spool::new(), Server::new());
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    let mut shipped = shipment(&spool, 0);
    let mirror = open(&server, &mut shipped);
    let mut ids = Vec::new();
    for round in 0..40 {
        for n in 0..50 {
            ids.push(decide(&producer, &shape, &class("standard"), round * 50 + n, "some text"));
        }
        assert_eq!(ship(&mut shipped, &mirror, 8 << 10), None);
        let (seen, stop) = read_all(&mut server.reader());
        assert_eq!(
            (seen.records.len() as i64, stop),
            ((round + 1) * 50 + 1, Stop::CaughtUp),
            "the opening mark too"
        );
        assert_eq!(server.reader().owner().unwrap(), Owner::Alive);
    }
    assert!(spool.parts().len() <= 2, "what the server has whole is deleted here");
    let blob = producer.blob(&vec![7; 200_000], "image/png").unwrap();
    drop(blob);
    producer.close().unwrap();
    assert_eq!(ship(&mut shipped, &mirror, 8 << 10), Some(Owner::Closed));
    assert_eq!(server.reader().owner().unwrap(), Owner::Alive, "until its end is told");
    let standing = mirror.end(&shipped.file_bytes().unwrap(), Owner::Closed).unwrap();
    assert_eq!(standing.state, StandingState::Ended);
    shipped.remove().unwrap();
    assert_eq!(spool.names(), ["lock", "producer"]);

    let mut reader = server.reader();
    let (seen, stop) = read_all(&mut reader);
    assert_eq!((reader.owner().unwrap(), stop), (Owner::Closed, Stop::Ended));
    assert_eq!((seen.damage.len(), seen.twice.len(), seen.blobs.len()), (0, 0, 1));
    for (n, (id, seq)) in ids.iter().enumerate() {
        let record = &seen.records[&(class("standard"), *seq)];
        assert_eq!((record.id, record.value(0)), (*id, Value::Integer((n as i64).into())));
    }
    assert_eq!(seen.missing(&reader.drawn().unwrap()), []);
    // The engine is done with it: whoever asks again is told so, and nothing comes back.
    reader.free_to(reader.position()).unwrap();
    reader.remove().unwrap();
    assert!(list_epochs(server.folder.path()).unwrap().epochs.is_empty());
}

#[test]
fn what_an_owner_left_that_was_killed_is_shipped_as_it_is() {
    let (spool, server) = (Spool::new(), Server::new());
    let mut child = spool.process("crash::writes_until_killed").spawn().unwrap();
    let mut said = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        said += usize::from(line.starts_with("seq "));
        if said == 3_000 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    // As if a thread had not come to publish its frame, the fifth of the first part.
    let part = &spool.parts()[0];
    let bytes = std::fs::read(part).unwrap();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let at = (0..5).fold(4096, |at, _| at + (word(at) as u32 as usize).next_multiple_of(16));
    let file = std::fs::OpenOptions::new().write(true).open(part).unwrap();
    file.write_all_at(&(word(at) & 0xffff_ffff | 1 << 32).to_le_bytes(), at as u64).unwrap();
    let mut shipped = shipment(&spool, 0);
    let mirror = open(&server, &mut shipped);
    let (here, _) = read_all(&mut spool.reader(0));
    assert_eq!(ship(&mut shipped, &mirror, 64 << 10), Some(Owner::Dead));
    mirror.end(&shipped.file_bytes().unwrap(), Owner::Dead).unwrap();
    shipped.remove().unwrap();
    let mut reader = server.reader();
    let (there, stop) = read_all(&mut reader);
    assert_eq!((reader.owner().unwrap(), stop), (Owner::Dead, Stop::Ended));
    assert!(there.records.len() + 3 >= said && there.records == here.records);
    assert_eq!((there.damage.len(), &there.damage), (1, &here.damage));
    assert_eq!(there.missing(&reader.drawn().unwrap()), here.missing(&reader.drawn().unwrap()));
    assert!(reader.in_flight().unwrap().len() >= 3, "the decisions in flight are told");
}

/// A hole in the middle of a part, with frames behind it.
#[test]
fn a_hole_is_waited_for_until_the_owner_is_gone() {
    let (spool, server) = (Spool::new(), Server::new());
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    for n in 0..20 {
        decide(&producer, &shape, &class("standard"), n, "some text");
    }
    let mut shipped = shipment(&spool, 0);
    let mirror = open(&server, &mut shipped);
    let part = &spool.parts()[0];
    let mut bytes = std::fs::read(part).unwrap();
    // The word of the fifth frame or so, published once more below.
    let mut at = 4096;
    for _ in 0..6 {
        at += (u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize).next_multiple_of(16);
    }
    let word: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
    let reserved = u64::from_le_bytes(word) & 0xffff_ffff | 1 << 32;
    let put = |word: u64| {
        let file = std::fs::OpenOptions::new().write(true).open(part).unwrap();
        file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
    };
    put(reserved);
    assert_eq!(ship(&mut shipped, &mirror, 64 << 10), None);
    assert_eq!(mirror.standing().unwrap().position, Position { part: 1, offset: at as u64 });
    put(u64::from_le_bytes(word));
    assert_eq!(ship(&mut shipped, &mirror, 64 << 10), None);
    let (seen, _) = read_all(&mut server.reader());
    assert_eq!((seen.records.len(), seen.damage.len()), (21, 0));
    bytes.clear();
    producer.close().unwrap();
}

#[test]
fn only_who_began_a_producer_goes_on_with_it() {
    let (spool, server) = (Spool::new(), Server::new());
    let producer = Producer::open(spool.small()).unwrap();
    let shipped = shipment(&spool, 0);
    let file = shipped.file_bytes().unwrap();
    let good = id(&shipped);
    let announce =
        |id: &MirrorId, epoch, file: &[u8]| server.mirrors.announce(id, epoch, file, "shop").map(|_| ());
    let epoch = shipped.epoch();
    assert!(matches!(server.mirrors.open(&good, epoch), Err(MirrorError::Unknown)));

    let mut other = file.clone();
    other[100] ^= 1;
    assert!(matches!(announce(&good, epoch, &other), Err(MirrorError::Damage(_))), "an altered header");
    assert!(matches!(announce(&good, epoch, &file[1..]), Err(MirrorError::Wrong(_))));
    assert!(matches!(announce(&good, Epoch::new(2).unwrap(), &file), Err(MirrorError::Damage(_))));
    let stranger = MirrorId::new(NAME, ProducerId([1; 16]), &SECRET);
    assert!(matches!(announce(&stranger, epoch, &file), Err(MirrorError::Damage(_))));
    for name in ["", "../x", "A", &"x".repeat(65)] {
        assert!(matches!(
            announce(&MirrorId { name: name.into(), ..good.clone() }, epoch, &file),
            Err(MirrorError::Wrong(_))
        ));
    }
    let mut far = file.clone();
    far[4096 + 64 + 32..][..8].copy_from_slice(&(1u64 << 45).to_le_bytes());
    assert!(matches!(announce(&good, epoch, &far), Err(MirrorError::Wrong(_))), "numbers that nobody draws");
    let foreign = Mirrors::new(server.folder.path().to_owned(), [2; 16], intake());
    assert!(foreign.announce(&good, epoch, &file, "shop").is_err(), "another trail's");
    let other_key = IntakePrivateKey::from_bytes([5; 32]);
    let rekeyed = Mirrors::new(server.folder.path().to_owned(), TRAIL, other_key);
    assert!(rekeyed.announce(&good, epoch, &file, "shop").is_err(), "sealed to another key");
    assert!(list_mirrors(server.folder.path()).unwrap().is_empty(), "nothing was made of all that");

    announce(&good, epoch, &file).unwrap();
    announce(&good, epoch, &file).unwrap();
    let thief = MirrorId::new(NAME, shipped.producer(), &[8; 32]);
    assert!(matches!(announce(&thief, epoch, &file), Err(MirrorError::Secret)));
    assert!(matches!(server.mirrors.open(&thief, epoch), Err(MirrorError::Secret)));
    let found = list_mirrors(server.folder.path()).unwrap();
    assert!(matches!(&found[..], [(key, bytes, 1)] if key == "shop" && *bytes > 0), "{found:?}");
    producer.close().unwrap();
}

#[test]
fn a_server_that_calls_an_epoch_complete_gets_nothing_deleted_that_it_was_not_sent() {
    let spool = Spool::new();
    let producer = Producer::open(spool.small()).unwrap();
    let shape = shape(&producer);
    decide(&producer, &shape, &class("standard"), 1, "x");
    producer.close().unwrap();
    drop(producer);
    let shipped = shipment(&spool, 0);
    assert!(shipped.has_unsent().unwrap());
    assert!(shipped.remove().is_err());
    let (seen, _) = read_all(&mut spool.reader(0));
    assert_eq!(seen.records.len(), 3);
}

#[test]
fn what_was_sent_before_has_to_be_the_same() {
    let (spool, server) = (Spool::new(), Server::new());
    let producer = Producer::open(spool.small()).unwrap();
    let mut shipped = shipment(&spool, 0);
    let mirror = open(&server, &mut shipped);
    let Step::Piece(piece) = shipped.next(1 << 20).unwrap() else { panic!("the opening mark") };
    let standing = mirror.put(&piece).unwrap();
    assert_eq!(mirror.put(&piece).unwrap(), standing);
    let mut other = Piece { torn: true, ..piece.clone() };
    other.bytes[40] ^= 1;
    assert!(matches!(mirror.put(&other), Err(MirrorError::Wrong(_))));
    let gap = Piece { offset: standing.position.offset + 16, ..piece.clone() };
    assert!(matches!(mirror.put(&gap), Err(MirrorError::Position(at)) if at == standing.position));
    let later = Piece { part: 2, ..piece.clone() };
    assert!(matches!(mirror.put(&later), Err(MirrorError::Position(_))));
    let short = Piece { end: true, bytes: Vec::new(), ..piece };
    assert!(matches!(mirror.put(&short), Err(MirrorError::Position(_))), "an end before what is here");
    assert_eq!(mirror.standing().unwrap(), standing);
    producer.close().unwrap();
}

#[test]
fn a_long_name_has_a_folder_of_its_own_for_each_producer() {
    let long = "a".repeat(64);
    let one = mirror_name(&long, ProducerId([1; 16])).unwrap();
    let other = mirror_name(&long, ProducerId([2; 16])).unwrap();
    assert!(one != other && one.len() == 64 && minutebook_capture::is_producer_name(&one), "{one}");
    assert_eq!(mirror_name("shop", ProducerId([0xab; 16])).unwrap(), format!("shop.{}", "ab".repeat(16)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Requests are lost, come twice, and the shipper forgets all that it knew: each record is there once.
    #[test]
    fn no_order_of_failures_loses_or_doubles_anything(
        plan in proptest::collection::vec((0u8..8, 1usize..40), 1..40),
        pieces in 1usize..16,
    ) {
        let (spool, server) = (Spool::new(), Server::new());
        let producer = Producer::open(spool.small()).unwrap();
        let shape = shape(&producer);
        let mut shipped = shipment(&spool, 0);
        let mut mirror = open(&server, &mut shipped);
        let mut decided = 0;
        let drain = |server: &Server, seen: &mut Seen, reader: &mut Option<EpochReader>| {
            let reader = reader.get_or_insert_with(|| server.reader());
            seen.read(reader);
            reader.free_to(reader.position()).unwrap();
        };
        let (mut seen, mut engine) = (Seen::default(), None);
        for (what, count) in plan {
            for _ in 0..count * 4 {
                decide(&producer, &shape, &class("standard"), decided, "text that takes some room in the part");
                decided += 1;
            }
            let step = shipped.next(pieces << 10).unwrap();
            if let Step::Piece(piece) = step {
                match what {
                    // Never arrived.
                    0 => {}
                    // Arrived, and its answer was lost.
                    1 => drop(mirror.put(&piece).unwrap()),
                    // Came twice.
                    2 => {
                        mirror.put(&piece).unwrap();
                        let again = mirror.put(&piece).unwrap();
                        shipped.go_to(again.position).unwrap();
                    }
                    // The shipper was killed behind it.
                    3 => {
                        mirror.put(&piece).unwrap();
                        shipped = shipment(&spool, 0);
                        mirror = open(&server, &mut shipped);
                    }
                    _ => {
                        let standing = mirror.put(&piece).unwrap();
                        shipped.go_to(standing.position).unwrap();
                    }
                }
                let now = mirror.standing().unwrap().position;
                shipped.go_to(now).unwrap();
            }
            if what >= 6 {
                drain(&server, &mut seen, &mut engine);
            }
        }
        producer.close().unwrap();
        prop_assert_eq!(ship(&mut shipped, &mirror, pieces << 10), Some(Owner::Closed));
        for _ in 0..2 {
            mirror.end(&shipped.file_bytes().unwrap(), Owner::Closed).unwrap();
        }
        shipped.remove().unwrap();
        drain(&server, &mut seen, &mut engine);
        let decisions = seen.records.keys().filter(|(name, _)| *name == class("standard")).count();
        prop_assert_eq!(decisions as i64, decided);
        prop_assert_eq!((seen.twice.len(), seen.damage.len()), (0, 0));
    }

    /// Whatever is sent: the position never goes back, and a reader reads on.
    #[test]
    fn a_hostile_client_gets_nowhere(
        pieces in proptest::collection::vec(
            (0u32..4, prop_oneof![Just(4096u64), 0u64..70_000, Just(u64::MAX - 15)],
             prop_oneof![Just(65_536u64), Just(4096), any::<u64>()],
             proptest::collection::vec(prop_oneof![Just(0u8), Just(2), Just(48), any::<u8>()], 0..200),
             any::<bool>(), any::<bool>()),
            1..24),
        table in proptest::collection::vec(any::<u8>(), 64),
    ) {
        let (spool, server) = (Spool::new(), Server::new());
        let producer = Producer::open(spool.small()).unwrap();
        let mut shipped = shipment(&spool, 0);
        let mirror = open(&server, &mut shipped);
        let mut before = mirror.standing().unwrap().position;
        let mut reader = server.reader();
        for (part, offset, capacity, mut bytes, end, torn) in pieces {
            bytes.truncate(bytes.len() / 16 * 16);
            let _ = mirror.put(&Piece { part, offset, capacity, bytes, end, torn });
            let now: Standing = mirror.standing().unwrap();
            prop_assert!(now.position >= before, "{now:?} after {before:?}");
            before = now.position;
            reader.read_batch(&BatchLimits::default(), |_| {}).unwrap();
        }
        let mut file = shipped.file_bytes().unwrap();
        for (n, chunk) in file[8192..].chunks_mut(64).enumerate() {
            if table[n % 64] > 128 {
                let len = chunk.len();
                chunk.copy_from_slice(&table[..len]);
            }
        }
        mirror.end(&file, Owner::Dead).unwrap();
        loop {
            let end = reader.read_batch(&BatchLimits::default(), |_| {}).unwrap();
            if end.stop == Stop::Ended {
                break;
            }
        }
        reader.drawn().unwrap();
        reader.in_flight().unwrap();
        producer.close().unwrap();
    }
}
