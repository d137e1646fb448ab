//! Marks: the records by which a producer says, signed with its epoch's key, how far its numbers go (`docs/formats/segment.md`, the
//! descriptor).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use minutebook_record::{
    ClassName, Epoch, Field, FieldType, IntegerType, Kind, Map, Path, ProducerId, Schema, Value, cbor,
};
use zeroize::Zeroizing;

use crate::clock::Moment;
use crate::epoch_file::field;
use crate::error::CaptureError;
use crate::event::EventRef;
use crate::frame::RecordHead;
use crate::live_epoch::SYSTEM;
use crate::room::Room;
use crate::run::Run;
use crate::scratch;
use crate::shape::ShapeDef;
use crate::writer_shape::Shape;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The epoch begins; names its key.
    Opened,
    /// All numbers up to the counts exist.
    Alive,
    /// So does the number of the mark itself, and no further ones.
    Closed,
}

impl Mark {
    /// The text in `producer / mark`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Alive => "alive",
            Self::Closed => "closed",
        }
    }
}

/// What the signature of a mark is over. `counts` ascend by class; `time` is in seconds since 1970.
#[must_use]
pub fn signed_bytes(
    trail: &[u8; 16],
    producer: ProducerId,
    epoch: Epoch,
    mark: Mark,
    time: i64,
    counts: &[(ClassName, u64)],
) -> Vec<u8> {
    let mut bytes = b"minutebook/mark/1\n".to_vec();
    cbor::write_array(&mut bytes, 6);
    cbor::write_bytes(&mut bytes, trail);
    cbor::write_bytes(&mut bytes, &producer.0);
    cbor::write_unsigned(&mut bytes, epoch.get());
    cbor::write_text(&mut bytes, mark.name());
    cbor::write_signed(&mut bytes, time);
    cbor::write_array(&mut bytes, counts.len() as u64);
    for (class, last) in counts {
        cbor::write_array(&mut bytes, 2);
        cbor::write_text(&mut bytes, class.as_str());
        cbor::write_unsigned(&mut bytes, *last);
    }
    bytes
}

/// Checks the signature of a mark with the key that the opening mark named.
#[must_use]
pub fn is_signed(key: &[u8; 32], bytes: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok()
}

pub(crate) fn system_class() -> ClassName {
    match ClassName::new(SYSTEM) {
        Ok(class) => class,
        Err(_) => unreachable!("`{SYSTEM}` is a class"),
    }
}

fn key_pair(seed: &Zeroizing<[u8; 32]>) -> Ed25519KeyPair {
    match Ed25519KeyPair::from_seed_unchecked(&**seed) {
        Ok(pair) => pair,
        Err(_) => unreachable!("any 32 bytes are a seed"),
    }
}

pub(crate) fn public_key(seed: &Zeroizing<[u8; 32]>) -> [u8; 32] {
    field(key_pair(seed).public_key().as_ref(), 0)
}

pub(crate) fn sign(seed: &Zeroizing<[u8; 32]>, bytes: &[u8]) -> [u8; 64] {
    field(key_pair(seed).sign(bytes).as_ref(), 0)
}

/// The shapes of marks, with the producer's name as their constant.
pub(crate) struct MarkShapes {
    opened: Shape,
    signed: Shape,
}

/// Places in the schema of a mark.
const NAME: usize = 4;

impl MarkShapes {
    pub(crate) fn new(name: &str, declare: impl Fn(ShapeDef) -> Shape) -> Result<Self, CaptureError> {
        let shape = |proof: &str| {
            let integer = FieldType::Integer(IntegerType::I64);
            let fields = [
                (vec!["event"], FieldType::Event),
                (vec!["producer", "mark"], FieldType::Text),
                (vec!["producer", "time"], integer),
                (vec!["producer", "counts"], FieldType::Map),
                (vec!["producer", "name"], FieldType::Text),
                (vec!["producer", proof], FieldType::Bytes),
            ];
            let fields = fields.into_iter().map(|(path, field_type)| match Path::new(path) {
                Ok(path) => Field { path, field_type },
                Err(_) => unreachable!("the paths of marks are paths"),
            });
            let schema = Schema::new(fields.collect())?;
            let def = ShapeDef::new(schema, &[(NAME, Value::Text(name.to_owned()))])?;
            Ok::<_, CaptureError>(declare(def))
        };
        Ok(Self { opened: shape("key")?, signed: shape("signature")? })
    }
}

impl Run {
    /// Hands a mark over, with the counts before its own number.
    pub(crate) fn hand_over_mark(&self, mark: Mark, seed: &Zeroizing<[u8; 32]>) -> Result<(), CaptureError> {
        let system = system_class();
        let start = self.now();
        let (counts, class, seq, slot) = if mark == Mark::Closed {
            let (counts, seq) = self.written(self.epoch.end_drawing())?;
            (counts, 0, seq, None)
        } else {
            let mut counts = self.epoch.drawn();
            counts.sort();
            let (class, seq, slot) = self.begin(&system, scratch::slot_hint(), &start)?;
            (counts, class, seq, slot)
        };
        let done = self.put_mark(mark, seed, &counts, (class, seq), &start);
        if done.is_err() && !self.is_poisoned() {
            self.lose(class, seq, crate::frame::LostReason::SpoolFull);
        }
        self.end(slot);
        done
    }

    fn put_mark(
        &self,
        mark: Mark,
        seed: &Zeroizing<[u8; 32]>,
        counts: &[(ClassName, u64)],
        (class, seq): (u8, u64),
        start: &Moment,
    ) -> Result<(), CaptureError> {
        let id = scratch::mint_id(start.wall_ns, self.generation, &*self.settings.random)?;
        let time = start.wall_ns.div_euclid(1_000_000_000);
        let shape = if mark == Mark::Opened { &self.marks.opened } else { &self.marks.signed };
        let head = RecordHead { kind: Kind::Producer, class, shape: shape.0.number, seq, id };
        let mut clear = head.encode().to_vec();
        let event = EventRef {
            time_ns: start.wall_ns,
            clock_error_ns: start.error_ns,
            duration_ns: None,
            status: "ok",
            trace: None,
            span: None,
            batch: None,
            links: &[],
        };
        event.write(&mut clear);
        cbor::write_text(&mut clear, mark.name());
        cbor::write_signed(&mut clear, time);
        let map =
            counts.iter().map(|(class, last)| (class.as_str().to_owned(), Value::Integer((*last).into())));
        match Map::new(map) {
            Ok(map) => Value::Map(map).write(&mut clear),
            Err(_) => unreachable!("a class is counted once"),
        }
        if mark == Mark::Opened {
            cbor::write_bytes(&mut clear, &public_key(seed));
        } else {
            let bytes =
                signed_bytes(&self.settings.trail, self.producer(), self.number(), mark, time, counts);
            cbor::write_bytes(&mut clear, &sign(seed, &bytes));
        }
        let room = if mark == Mark::Closed { Room::Reserve } else { Room::Parts };
        self.publish_in(room, &mut clear, Some(class), Some(&shape.0))
    }
}
