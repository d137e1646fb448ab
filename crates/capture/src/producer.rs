//! The writing side: hands records over to the engine through the spool.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use minutebook_record::{Blob, ClassName, Epoch, Kind, ProducerId, Schema, Value};

use crate::clock::{Clock, SystemClock};
use crate::decision::Decision;
use crate::error::CaptureError;
use crate::flush::Level;
use crate::fork::{Claim, ForkGuard};
use crate::frame::{self, BLOB_HEAD};
use crate::identity::is_producer_name;
use crate::intake::IntakePublicKey;
use crate::limits::{
    BLOB_BYTES_MAX, BLOB_CHUNK_BYTES, CLOSE_WAIT, HEARTBEAT_DEFAULT, MEDIA_TYPE_BYTES_MAX,
    PART_BYTES_DEFAULT, PART_BYTES_MAX, PART_BYTES_MIN, SPILL_BYTES_DEFAULT,
};
use crate::maintenance;
use crate::mark::{Mark, MarkShapes};
use crate::part_file::FRAMES_AT;
use crate::pending::Pending;
use crate::random::{Random, SystemRandom};
use crate::region::Backing;
use crate::room::Room;
use crate::run::{Closing, Run};
use crate::scratch;
use crate::shape::ShapeDef;
use crate::storage::{Storage, SystemStorage};
use crate::sys;
use crate::writer_shape::{Shape, ShapeInner};

/// How a producer is opened.
#[derive(Clone)]
pub struct ProducerOptions {
    /// The trail's spool folder.
    pub spool: PathBuf,
    /// The trail.
    pub trail: [u8; 16],
    /// The trail's intake key.
    pub intake: IntakePublicKey,
    /// Name of the producer: `[a-z0-9][a-z0-9._-]{0,63}`, a service and never a person.
    pub name: String,
    /// Bytes of a part, a multiple of 4,096. 16 MiB by default.
    pub part_bytes: u64,
    /// Bytes that the producer's parts may take on disk. 1 GiB by default. A file of [`RESERVE_BYTES`](crate::limits::RESERVE_BYTES), kept
    /// for closing, comes on top.
    pub spill_bytes: u64,
    /// How files are reached.
    pub backing: Backing,
    /// Between two signed marks. 30 s by default.
    pub heartbeat: Duration,
    /// Where times come from.
    pub clock: Arc<dyn Clock>,
    /// Where keys and ids come from.
    pub random: Arc<dyn Random>,
    /// What flushes and reserves space.
    pub storage: Arc<dyn Storage>,
}

impl ProducerOptions {
    /// Options with the defaults, and the system's clock, randomness and disk.
    #[must_use]
    pub fn new(spool: impl Into<PathBuf>, trail: [u8; 16], intake: IntakePublicKey, name: &str) -> Self {
        Self {
            spool: spool.into(),
            trail,
            intake,
            name: name.to_owned(),
            part_bytes: PART_BYTES_DEFAULT,
            spill_bytes: SPILL_BYTES_DEFAULT,
            backing: Backing::default(),
            heartbeat: HEARTBEAT_DEFAULT,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            storage: Arc::new(SystemStorage),
        }
    }

    fn check(&self) -> Result<(), CaptureError> {
        let wrong = |option, why| Err(CaptureError::Option { option, why });
        if !is_producer_name(&self.name) {
            return wrong("name", "must be `[a-z0-9][a-z0-9._-]{0,63}`");
        }
        if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&self.part_bytes)
            || !self.part_bytes.is_multiple_of(sys::PAGE)
        {
            return wrong("part_bytes", "must be a multiple of 4,096 from 64 KiB to 1 GiB");
        }
        if self.spill_bytes < self.part_bytes {
            return wrong("spill_bytes", "must hold a part");
        }
        Ok(())
    }
}

/// Options that were checked.
pub(crate) type Settings = ProducerOptions;

/// What a producer did so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Who draws the numbers.
    pub producer: ProducerId,
    /// The epoch: another one in a child after a fork.
    pub epoch: Epoch,
    /// Last number drawn of each class that drew any, the producer's own records in `system`.
    pub drawn: Vec<(ClassName, u64)>,
    /// Numbers of this process that were told as lost, or will be once there is room.
    pub lost: u64,
    /// Decisions in flight that have a slot.
    pub in_flight: usize,
    /// Bytes of frames handed over.
    pub bytes: u64,
    /// Parts begun.
    pub parts: u32,
    /// The last try to make a part found no room.
    pub full: bool,
    /// Nothing more is accepted: see [`CaptureError::Poisoned`].
    pub poisoned: bool,
    /// Files are mapped, not written.
    pub mapped: bool,
}

/// One run of a service that decides. For all its threads: share it by reference or in an `Arc`. A child made by `fork` may go on using
/// it and gets an epoch of its own.
pub struct Producer {
    settings: Arc<Settings>,
    guard: Arc<ForkGuard>,
    /// From `Arc::into_raw`; changed once per process, while the guard is claimed.
    run: AtomicPtr<Run>,
    tag: u64,
    shapes: AtomicU32,
}

/// Tells producers apart, and the runs of a process and its ancestors.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Producer {
    /// Opens a producer: allocates an epoch and hands its opening record over. Blocks for some milliseconds; the epoch is on disk on
    /// return.
    ///
    /// # Errors
    ///
    /// An option, the folder, or no room.
    pub fn open(options: ProducerOptions) -> Result<Self, CaptureError> {
        options.check()?;
        let guard = ForkGuard::new().map_err(CaptureError::io("making a private page"))?;
        let producer = Self {
            settings: Arc::new(options),
            guard: Arc::new(guard),
            run: AtomicPtr::new(std::ptr::null_mut()),
            tag: NEXT.fetch_add(1, Ordering::Relaxed),
            shapes: AtomicU32::new(0),
        };
        producer.set_up()?;
        Ok(producer)
    }

    /// The run of this process.
    #[inline]
    fn run(&self) -> Result<&Run, CaptureError> {
        if !self.guard.is_ours() {
            self.set_up()?;
        }
        // SAFETY: set by `set_up` before the guard said so, and valid as long as `self`: runs of parents are leaked, that of this
        // process is released by `drop`.
        Ok(unsafe { &*self.run.load(Ordering::Acquire) })
    }

    /// The run with this generation, if it is that of this process.
    #[inline]
    pub(crate) fn run_of(&self, generation: u64) -> Option<&Run> {
        if !self.guard.is_ours() {
            return None;
        }
        self.run().ok().filter(|run| run.generation == generation)
    }

    #[cold]
    fn set_up(&self) -> Result<(), CaptureError> {
        if let Claim::Done = self.guard.claim() {
            return Ok(());
        }
        let parents = self.run.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !parents.is_null() {
            // SAFETY: this is a child, or there would be no claim; its other threads wait for it, and the run is leaked.
            unsafe { (*parents).abandon() };
        }
        let marks = MarkShapes::new(&self.settings.name, |def| self.declare(def));
        let generation = NEXT.fetch_add(1, Ordering::Relaxed);
        let opened =
            marks.and_then(|marks| Run::open(Arc::clone(&self.settings), &self.guard, generation, marks));
        match opened {
            Ok(run) => {
                self.run.store(Arc::as_ptr(&run).cast_mut(), Ordering::Release);
                self.guard.settle(true);
                maintenance::start(&run, &self.guard);
                // Released by `drop`.
                let _ = Arc::into_raw(run);
                Ok(())
            }
            Err(error) => {
                self.guard.settle(false);
                Err(error)
            }
        }
    }

    fn declare(&self, def: ShapeDef) -> Shape {
        let number = self.shapes.fetch_add(1, Ordering::Relaxed);
        Shape(Arc::new(ShapeInner::new(number, self.tag, def)))
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.settings.clock
    }

    /// Declares a shape: a schema with constants, given with their places. To be done once per model version, not per decision.
    ///
    /// # Errors
    ///
    /// A constant that does not fit, or a shape that does not fit a frame.
    pub fn shape(&self, schema: Schema, constants: &[(usize, Value)]) -> Result<Shape, CaptureError> {
        self.shape_of(ShapeDef::new(schema, constants)?)
    }

    /// The same with constants that are encoded already, such as a model.
    ///
    /// # Errors
    ///
    /// As [`Producer::shape`].
    pub fn shape_of(&self, def: ShapeDef) -> Result<Shape, CaptureError> {
        let max = frame_max(&self.settings) - frame::frame_len(5);
        if def.encoded().len() > max {
            let (bytes, max) = (def.encoded().len() as u64, max as u64);
            return Err(CaptureError::TooLarge { what: "shape", bytes, max });
        }
        Ok(self.run()?.shapes.get_or(def, |def| self.declare(def)))
    }

    /// Begins a decision: draws its number, marks it in flight, mints its id, notes the time. To be called before the model is asked.
    /// Takes no lock and makes no system call.
    ///
    /// # Errors
    ///
    /// A poisoned or closed producer, or a class too many.
    #[inline]
    pub fn begin(&self, class: &ClassName) -> Result<Pending<&Self>, CaptureError> {
        Self::begin_with(self, class)
    }

    /// The same for whoever holds the producer in another way, such as an `Arc` that has to outlive the caller.
    ///
    /// # Errors
    ///
    /// As [`Producer::begin`].
    #[inline]
    pub fn begin_with<P: Deref<Target = Self>>(
        producer: P,
        class: &ClassName,
    ) -> Result<Pending<P>, CaptureError> {
        let run = producer.run()?;
        let start = run.now();
        let id = scratch::mint_id(start.wall_ns, run.generation, &*run.settings.random)?;
        let hint = scratch::slot_hint();
        let (class, seq, slot) = run.begin(class, hint, &start)?;
        if let Some(slot) = slot
            && slot != hint
        {
            scratch::note_slot(slot);
        }
        let generation = run.generation;
        Ok(Pending::new(producer, (generation, class, seq, slot), id, start))
    }

    /// Draws so many numbers, one behind the other, of decisions that will have no records: a `window` record of this run has to say that it
    /// counted them (`docs/formats/window.md`). Those of which none says so are told as lost when the run ends.
    ///
    /// # Errors
    ///
    /// When the producer is closed, has failed, or takes no further class.
    pub fn draw_many(&self, class: &ClassName, count: u64) -> Result<DrawnRange, CaptureError> {
        let run = self.run()?;
        let from = run.draw_many(class, count.max(1))?;
        Ok(DrawnRange { producer: run.producer(), epoch: run.number(), from, to: from + count.max(1) - 1 })
    }

    /// Now, in ns since 1970, as events have it.
    ///
    /// # Errors
    ///
    /// As [`Producer::begin`].
    pub fn now_ns(&self) -> Result<i64, CaptureError> {
        Ok(self.run()?.now().wall_ns)
    }

    /// Begins a decision whose record is of this shape, behind a guard that records failures too.
    ///
    /// # Errors
    ///
    /// As [`Producer::begin`].
    pub fn decision<'s>(
        &self,
        class: &ClassName,
        shape: &'s Shape,
    ) -> Result<Decision<'s, &Self>, CaptureError> {
        Ok(Decision::new(self.begin(class)?.record(shape, Kind::Decision)))
    }

    /// Hands large content over, in frames of its own, and gives the value that refers to it, for the record that names it next.
    ///
    /// # Errors
    ///
    /// Content or media type too large, no room, a poisoned or closed producer. What was written of it before is dropped by the engine.
    pub fn blob(&self, content: &[u8], media_type: &str) -> Result<Value, CaptureError> {
        let too_large =
            |what, bytes: usize, max: u64| CaptureError::TooLarge { what, bytes: bytes as u64, max };
        if content.len() as u64 > BLOB_BYTES_MAX {
            return Err(too_large("blob", content.len(), BLOB_BYTES_MAX));
        }
        if media_type.len() > MEDIA_TYPE_BYTES_MAX {
            return Err(too_large("media type", media_type.len(), MEDIA_TYPE_BYTES_MAX as u64));
        }
        let run = self.run()?;
        run.check_open()?;
        let mut id = [0; 16];
        self.settings.random.fill(&mut id)?;
        let length = content.len() as u64;
        let chunk = (frame_max(&self.settings) - frame::frame_len(BLOB_HEAD)).min(BLOB_CHUNK_BYTES);
        let mut clear = Vec::with_capacity(BLOB_HEAD + chunk.min(content.len()));
        let mut offset = 0;
        loop {
            let piece = &content[offset..(offset + chunk).min(content.len())];
            clear.clear();
            frame::encode_blob(&id, length, offset as u64, piece, &mut clear);
            run.publish(&mut clear, None, None)?;
            offset += piece.len();
            if offset == content.len() {
                break;
            }
        }
        let digest = crate::epoch_file::sha256(content);
        Ok(Value::Blob(Blob { media_type: media_type.to_owned(), length, id, digest }))
    }

    /// Blocks until everything handed over before the call has reached a level. [`Level::Process`] is reached at once; for
    /// [`Level::Disk`] one flush serves all threads that wait.
    ///
    /// # Errors
    ///
    /// A flush that failed: the producer is poisoned then.
    pub fn flush(&self, level: Level) -> Result<(), CaptureError> {
        let run = self.run()?;
        match level {
            Level::Process if run.is_poisoned() => Err(CaptureError::Poisoned),
            Level::Process => Ok(()),
            Level::Disk => {
                // Without room for it the rest is flushed all the same.
                let _ = run.tell_lost(Room::Parts);
                run.flush_all()
            }
        }
    }

    /// Hands a signed mark over: all numbers up to now exist. The maintenance thread does so by itself.
    ///
    /// # Errors
    ///
    /// No room, or a poisoned or closed producer.
    pub fn heartbeat(&self) -> Result<(), CaptureError> {
        self.run()?.hand_over_mark(Mark::Alive, &self.guard.seed())
    }

    /// Closes the epoch: waits up to a second for decisions in flight, hands the closing mark over and flushes. What is still in flight
    /// then cannot be handed over any more, and its numbers are found missing by the engine. Where there is no room, the mark and the numbers
    /// that were refused for want of it go to a reserve that was made at the opening. Closing twice does nothing. Durable on return.
    ///
    /// # Errors
    ///
    /// A failed write, flush or change in the folder: when it kept the closing mark out of the spool, the engine tells the epoch as abandoned
    /// once the process is gone. [`CaptureError::Closed`] while another call closes, and after one that failed.
    pub fn close(&self) -> Result<(), CaptureError> {
        if !self.guard.is_ours() {
            return Ok(());
        }
        self.close_run(self.run()?)
    }

    fn close_run(&self, run: &Run) -> Result<(), CaptureError> {
        if run.begin_closing()? == Closing::Done {
            return Ok(());
        }
        let clock = &*self.settings.clock;
        let until = clock.monotonic_ns() + CLOSE_WAIT.as_nanos() as u64;
        // The slots are words in a file that threads change without a lock: nobody can wake a waiter.
        while run.epoch.in_flight() > 0 && clock.monotonic_ns() < until {
            std::thread::park_timeout(Duration::from_micros(200));
        }
        run.join();
        run.tell_lost(Room::Reserve)?;
        run.hand_over_mark(Mark::Closed, &self.guard.seed())?;
        run.finish_closing()?;
        run.flush_all()
    }

    /// What was done so far. Reads the slots: not for each decision.
    ///
    /// # Errors
    ///
    /// In a child after a fork, when its epoch cannot be opened.
    pub fn status(&self) -> Result<Status, CaptureError> {
        let run = self.run()?;
        let (bytes, parts) = run.extent();
        Ok(Status {
            producer: run.producer(),
            epoch: run.number(),
            drawn: run.epoch.drawn(),
            lost: run.lost_numbers(),
            in_flight: run.epoch.in_flight(),
            bytes,
            parts,
            full: run.is_full(),
            poisoned: run.is_poisoned(),
            mapped: run.current.load().is_mapped(),
        })
    }
}

/// Numbers that were drawn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnRange {
    /// Who drew them.
    pub producer: ProducerId,
    /// In which epoch.
    pub epoch: Epoch,
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// Bytes that a frame may have in a part of these settings.
pub(crate) fn frame_max(settings: &Settings) -> usize {
    ((settings.part_bytes - FRAMES_AT) as usize).min(crate::limits::FRAME_BYTES_MAX)
}

impl Drop for Producer {
    fn drop(&mut self) {
        let run = self.run.load(Ordering::Acquire);
        // In a child that never used it the run is the parent's, which closes it; the child leaks it.
        if run.is_null() || !self.guard.is_ours() {
            return;
        }
        // SAFETY: set by `set_up` from `Arc::into_raw` and not released before.
        let run = unsafe { Arc::from_raw(run) };
        // Best effort: an epoch that cannot be closed is told as abandoned.
        let _ = self.close_run(&run);
        run.join();
    }
}
