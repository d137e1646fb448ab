//! A spool in a temporary folder, and a reader that keeps all that it sees and re-derives whether every number is accounted for once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minutebook_capture::{
    BatchEnd, BatchLimits, CaptureError, Damage, EpochReader, Frame, IntakePrivateKey, LostReason, Position,
    Producer, ProducerOptions, Shape, ShapeDef, Stop, Storage, SystemStorage, list_epochs,
};
use minutebook_record::{ClassName, Field, FieldType, IntegerType, Kind, Path, RecordId, Schema, Value};

pub(crate) const TRAIL: [u8; 16] = [0x11; 16];
pub(crate) const NAME: &str = "scoring";
/// Where a process started by a test finds its spool.
pub(crate) const SPOOL: &str = "MINUTEBOOK_TEST_SPOOL";

pub(crate) fn intake() -> IntakePrivateKey {
    IntakePrivateKey::from_bytes([0x77; 32])
}

pub(crate) struct Spool {
    folder: Option<tempfile::TempDir>,
    pub(crate) path: PathBuf,
}

impl Spool {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        Self { folder: Some(folder), path }
    }

    /// The spool of the test that started this process.
    pub(crate) fn of_parent() -> Self {
        Self { folder: None, path: std::env::var_os(SPOOL).unwrap().into() }
    }

    pub(crate) fn options(&self) -> ProducerOptions {
        ProducerOptions::new(&self.path, TRAIL, intake().public(), NAME)
    }

    /// With parts of 64 KiB.
    pub(crate) fn small(&self) -> ProducerOptions {
        ProducerOptions { part_bytes: 64 << 10, ..self.options() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.path.join(NAME)
    }

    pub(crate) fn epochs(&self) -> Vec<PathBuf> {
        list_epochs(&self.path).unwrap().epochs.into_iter().map(|file| file.path).collect()
    }

    pub(crate) fn reader(&self, n: usize) -> EpochReader {
        EpochReader::open(&self.epochs()[n], TRAIL, &intake()).unwrap()
    }

    /// Paths of the parts there, in order.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let mut parts: Vec<_> = std::fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "spool"))
            .collect();
        parts.sort();
        parts
    }

    /// Names of the files there, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs a test of this binary that is ignored otherwise, in a process of its own that finds this spool.
    pub(crate) fn process(&self, test: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", test, "--nocapture", "--test-threads=1"])
            .env(SPOOL, &self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take()
            && std::thread::panicking()
        {
            eprintln!("spool kept in {}", folder.keep().display());
        }
    }
}

pub(crate) fn class(name: &str) -> ClassName {
    ClassName::new(name).unwrap()
}

pub(crate) fn field(path: &[&str], field_type: FieldType) -> Field {
    Field { path: Path::new(path.iter().copied()).unwrap(), field_type }
}

pub(crate) const I64: FieldType = FieldType::Integer(IntegerType::I64);

/// `inputs / n` and `outputs / text` open, `params` constant.
pub(crate) fn schema() -> Schema {
    Schema::new(vec![
        field(&["inputs", "n"], I64),
        field(&["params"], FieldType::Map),
        field(&["outputs", "text"], FieldType::Text),
    ])
    .unwrap()
}

pub(crate) fn shape(producer: &Producer) -> Shape {
    producer.shape(schema(), &[(1, Value::Map(Default::default()))]).unwrap()
}

/// Hands one decision over and gives id and number.
pub(crate) fn decide(
    producer: &Producer,
    shape: &Shape,
    class: &ClassName,
    n: i64,
    text: &str,
) -> (RecordId, u64) {
    let pending = producer.begin(class).unwrap();
    let seq = pending.seq().get();
    let mut record = pending.record(shape, Kind::Decision);
    record.i64(n).text(text);
    (record.finish().unwrap(), seq)
}

/// A disk that fails when told to.
#[derive(Default)]
pub(crate) struct Failing {
    pub(crate) full: AtomicBool,
    /// Flushes fail and do nothing, or do their work and report a failure.
    pub(crate) flush_fails: AtomicBool,
    pub(crate) flush_lies: AtomicBool,
}

impl Storage for Failing {
    fn reserve(&self, file: &File, bytes: u64) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        SystemStorage.reserve(file, bytes)
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        let error = || io::Error::from_raw_os_error(libc::EIO);
        if self.flush_fails.load(Ordering::Relaxed) {
            return Err(error());
        }
        SystemStorage.flush(file)?;
        if self.flush_lies.load(Ordering::Relaxed) { Err(error()) } else { Ok(()) }
    }
}

/// Hands a decision over, unless the spool fails, and gives its number.
pub(crate) fn try_decide(producer: &Producer, shape: &Shape) -> Result<u64, CaptureError> {
    let pending = producer.begin(&class("standard"))?;
    let seq = pending.seq().get();
    let mut record = pending.record(shape, Kind::Decision);
    record.i64(0).text("some text to fill the part with");
    record.finish().map(|_| seq)
}

/// Decides until there is no room, and gives how many there was room for.
pub(crate) fn fill(producer: &Producer, shape: &Shape) -> usize {
    for n in 0..100_000 {
        match try_decide(producer, shape) {
            Ok(_) => {}
            Err(CaptureError::Full { .. }) => return n,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there is always room")
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenRecord {
    pub(crate) kind: Kind,
    pub(crate) id: RecordId,
    pub(crate) values: Vec<u8>,
    pub(crate) shape: Arc<ShapeDef>,
    pub(crate) position: Position,
}

impl SeenRecord {
    /// The value of an open place.
    pub(crate) fn value(&self, n: usize) -> Value {
        let mut ends = Vec::new();
        self.shape.split(&self.values, &mut ends).unwrap();
        let from = if n == 0 { 0 } else { ends[n - 1] };
        Value::decode(self.shape.open_type(n).unwrap(), &self.values[from..ends[n]]).unwrap()
    }
}

/// All that a reader saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) records: BTreeMap<(ClassName, u64), SeenRecord>,
    pub(crate) lost: BTreeMap<(ClassName, u64), LostReason>,
    pub(crate) blobs: BTreeMap<[u8; 16], Vec<u8>>,
    pub(crate) damage: Vec<(Damage, Position, Position)>,
    /// Numbers seen twice.
    pub(crate) twice: Vec<(ClassName, u64)>,
}

impl Seen {
    pub(crate) fn take(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Record { kind, class, seq, id, shape, values, position } => {
                let record =
                    SeenRecord { kind, id, values: values.to_vec(), shape: Arc::clone(shape), position };
                let key = (class, seq.get());
                if self.records.insert(key, record).is_some() || self.lost.contains_key(&key) {
                    self.twice.push(key);
                }
            }
            Frame::Blob { id, whole, offset, content, .. } => {
                let blob = self.blobs.entry(id).or_default();
                assert_eq!(blob.len() as u64, offset);
                blob.extend_from_slice(content);
                assert!(blob.len() as u64 <= whole);
            }
            Frame::Lost { class, reason, from, to, .. } => {
                for seq in from.get()..=to.get() {
                    let key = (class, seq);
                    if self.lost.insert(key, reason).is_some() || self.records.contains_key(&key) {
                        self.twice.push(key);
                    }
                }
            }
            Frame::Damage { damage, from, to } => self.damage.push((damage, from, to)),
        }
    }

    /// Reads until there is nothing more for now.
    pub(crate) fn read(&mut self, reader: &mut EpochReader) -> BatchEnd {
        self.read_by(reader, BatchLimits::default())
    }

    pub(crate) fn read_by(&mut self, reader: &mut EpochReader, limits: BatchLimits) -> BatchEnd {
        loop {
            let end = reader.read_batch(&limits, |frame| self.take(frame)).unwrap();
            if end.stop != Stop::Limit {
                return end;
            }
        }
    }

    /// Numbers of a class that were drawn and have neither a record nor a range that tells them lost.
    pub(crate) fn missing(&self, drawn: &[(ClassName, u64)]) -> Vec<(ClassName, u64)> {
        let numbers = drawn.iter().flat_map(|&(class, last)| (1..=last).map(move |seq| (class, seq)));
        numbers.filter(|key| !self.records.contains_key(key) && !self.lost.contains_key(key)).collect()
    }

    /// Every number that was drawn is accounted for once, and no other; nothing is damaged.
    pub(crate) fn check_complete(&self, drawn: &[(ClassName, u64)]) {
        assert_eq!(self.twice, []);
        assert_eq!(self.damage, []);
        assert_eq!(self.missing(drawn), []);
        let last: BTreeMap<_, _> = drawn.iter().copied().collect();
        for (class, seq) in self.records.keys().chain(self.lost.keys()) {
            assert!(*seq <= last[class], "{class:?} {seq} was not drawn");
        }
    }

    pub(crate) fn of_class(&self, name: &str) -> impl Iterator<Item = (u64, &SeenRecord)> {
        let class = class(name);
        self.records.iter().filter(move |((other, _), _)| *other == class).map(|((_, seq), r)| (*seq, r))
    }
}

/// Reads a whole epoch that has ended, and checks that it is complete.
pub(crate) fn read_ended(spool: &Spool, n: usize) -> Seen {
    let mut reader = spool.reader(n);
    let mut seen = Seen::default();
    assert_eq!(seen.read(&mut reader).stop, Stop::Ended);
    seen.check_complete(&reader.drawn().unwrap());
    seen
}

/// Waits for a condition, for at most 20 seconds.
pub(crate) fn wait_for(what: &str, mut met: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if met() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    panic!("waited in vain: {what}");
}
