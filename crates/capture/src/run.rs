//! One epoch as its owner runs it: numbers, frames, parts. What is called for each decision takes no lock and makes no system call;
//! the lock here is for the change from part to part.

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};

use arc_swap::ArcSwap;
use minutebook_record::{ClassName, Epoch, ProducerId};
use zeroize::Zeroizing;

use crate::clock::{Moment, Timeline};
use crate::epoch_file::EpochHeader;
use crate::error::CaptureError;
use crate::flush::FlushGroup;
use crate::fork::ForkGuard;
use crate::frame::{self, EpochCipher, LostReason, Place};
use crate::identity::{FolderLock, Identity, make_folder};
use crate::intake::{self, SealError, SealedKey};
use crate::limits::{FULL_RETRY, RESERVE_BYTES};
use crate::live_epoch::{LiveEpoch, SYSTEM};
use crate::live_part::{LivePart, Reserved};
use crate::lost::{LostRange, LostRanges};
use crate::mark::{self, MarkShapes};
use crate::part_file::PartHeader;
use crate::producer::{Settings, frame_max};
use crate::reserve::Reserve;
use crate::room::{Room, check_room, full_or, make_part};
use crate::sys::{self, ProcessIdentity};
use crate::writer_shape::{ShapeInner, SharedShapes};

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;
const POISONED: u8 = 3;

pub(crate) struct Run {
    /// Distinguishes the runs that one process and its ancestors had.
    pub(crate) generation: u64,
    pub(crate) settings: Arc<Settings>,
    pub(crate) timeline: Timeline,
    pub(crate) epoch: LiveEpoch,
    folder: PathBuf,
    producer: ProducerId,
    number: Epoch,
    cipher: ManuallyDrop<EpochCipher>,
    phase: AtomicU8,
    /// Bytes that a frame may have in a part.
    frame_max: usize,
    pub(crate) current: ArcSwap<LivePart>,
    rotation: Mutex<Rotation>,
    lost: Mutex<LostRanges>,
    /// Held by who tells what is remembered as lost and may put it back: another who wants to tell all of it would find nothing meanwhile.
    telling: Mutex<()>,
    lost_numbers: AtomicU64,
    pub(crate) flush: FlushGroup,
    pub(crate) marks: MarkShapes,
    pub(crate) shapes: SharedShapes,
    waker: OnceLock<Thread>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a call that closes finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It is to go on.
    Begun,
    /// It was done before.
    Done,
}

/// What changes with the part.
pub(crate) struct Rotation {
    /// Made ahead.
    spare: Option<Arc<LivePart>>,
    /// For closing, when there is no room for a part then.
    reserve: Option<Reserve>,
    /// Number of the next part to make.
    next: u32,
    /// Full parts that a flush has to reach yet.
    pub(crate) unflushed: Vec<Arc<LivePart>>,
    /// Names were made in the folder since the last flush.
    pub(crate) folder_changed: bool,
    /// There was no room; not tried again before this monotonic time.
    full_until_ns: Option<u64>,
    /// Bytes of frames in parts before the current one.
    bytes_before: u64,
}

impl Run {
    /// Opens an epoch: allocates its number, makes its files, hands the opening record over. Blocks for some milliseconds.
    pub(crate) fn open(
        settings: Arc<Settings>,
        guard: &ForkGuard,
        generation: u64,
        marks: MarkShapes,
    ) -> Result<Arc<Self>, CaptureError> {
        let io = CaptureError::io;
        let folder = settings.spool.join(&settings.name);
        make_folder(&folder).map_err(io("making the producer's folder"))?;
        // Before anything is made: who tries again and again leaves no epoch behind each time, to be told of as abandoned.
        check_room(&settings, &folder)?;
        let random = &*settings.random;
        let (mut key, mut seed) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        random.fill(&mut *key)?;
        random.fill(&mut *seed)?;
        let timeline = Timeline::new(&*settings.clock);
        let made_ns = timeline.now(&*settings.clock).wall_ns;

        let lock = FolderLock::take(&folder).map_err(io("locking the producer's folder"))?;
        let (producer, number) = Identity::next(&folder, &lock, random)?;
        let mut header = EpochHeader {
            trail: settings.trail,
            producer,
            epoch: number,
            made_ns,
            process: ProcessIdentity::own(),
            mark_key: mark::public_key(&seed),
            key: SealedKey { encapsulated: [0; 32], ciphertext: [0; 48] },
        };
        header.key =
            intake::seal(&settings.intake, &key, &header.sealed_with(), random).map_err(|e| match e {
                SealError::Random(e) => CaptureError::Random(e),
                _ => CaptureError::Option { option: "intake", why: "must be the trail's intake key" },
            })?;
        let epoch = LiveEpoch::create(&folder, &header, settings.backing, &*settings.storage)
            .map_err(|e| full_or(&settings, e, "making the epoch file"))?;
        Identity { id: producer, epoch: number.get() }
            .replace(&folder, &lock)
            .map_err(io("writing the producer file"))?;
        drop(lock);

        let system = epoch.class(&mark::system_class())?;
        assert_eq!(system, 0, "`{SYSTEM}` is the first class");
        let reserve = Reserve::make(&folder, number, &*settings.storage)
            .map_err(|e| full_or(&settings, e, "making the reserve"))?;
        let part = make_part(&settings, &folder, producer, number, 1).inspect_err(|_| {
            // Best effort: it goes with the epoch otherwise.
            let _ = reserve.delete();
        })?;
        guard.keep_seed(&seed);
        let run = Arc::new(Self {
            generation,
            timeline,
            epoch,
            folder,
            producer,
            number,
            cipher: ManuallyDrop::new(EpochCipher::new(&key)),
            phase: AtomicU8::new(OPEN),
            frame_max: frame_max(&settings),
            current: ArcSwap::from(part),
            rotation: Mutex::new(Rotation {
                spare: None,
                reserve: Some(reserve),
                next: 2,
                unflushed: Vec::new(),
                folder_changed: true,
                full_until_ns: None,
                bytes_before: 0,
            }),
            lost: Mutex::new(LostRanges::default()),
            telling: Mutex::new(()),
            lost_numbers: AtomicU64::new(0),
            flush: FlushGroup::default(),
            marks,
            shapes: SharedShapes::default(),
            waker: OnceLock::new(),
            thread: Mutex::new(None),
            settings,
        });
        run.hand_over_mark(mark::Mark::Opened, &seed)?;
        Ok(run)
    }

    pub(crate) fn producer(&self) -> ProducerId {
        self.producer
    }

    pub(crate) fn number(&self) -> Epoch {
        self.number
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.timeline.now(&*self.settings.clock)
    }

    /// Whether numbers may be drawn.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<(), CaptureError> {
        match self.phase.load(Ordering::Acquire) {
            OPEN => Ok(()),
            POISONED => Err(CaptureError::Poisoned),
            _ => Err(CaptureError::Closed),
        }
    }

    /// Whether frames may be written: also while closing.
    #[inline]
    fn check_writable(&self) -> Result<(), CaptureError> {
        match self.phase.load(Ordering::Acquire) {
            OPEN | CLOSING => Ok(()),
            POISONED => Err(CaptureError::Poisoned),
            _ => Err(CaptureError::Closed),
        }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.phase.load(Ordering::Acquire) == POISONED
    }

    /// Accepts nothing more: a file is not what it should be.
    #[cold]
    pub(crate) fn poison(&self) {
        self.phase.store(POISONED, Ordering::Release);
        self.wake();
    }

    /// Poisons on a failed write. Mapped files never fail here.
    #[inline]
    pub(crate) fn written<T>(&self, result: std::io::Result<T>) -> Result<T, CaptureError> {
        result.map_err(|source| {
            self.poison();
            CaptureError::Io { doing: "writing the spool", source }
        })
    }

    /// Draws a number and marks it in flight. The slot is `None` when none was free close by.
    #[inline]
    pub(crate) fn begin(
        &self,
        class: &ClassName,
        hint: u16,
        start: &Moment,
    ) -> Result<(u8, u64, Option<u16>), CaptureError> {
        self.check_open()?;
        self.current.load().prefetch();
        let class = self.epoch.class(class)?;
        let slot = self.written(self.epoch.take_slot(hint, class, start))?;
        let drawn = self.written(self.epoch.draw(class))?;
        if let Some(slot) = slot {
            self.written(self.epoch.set_slot(slot, drawn.unwrap_or(0)))?;
        }
        Ok((class, drawn.ok_or(CaptureError::Closed)?, slot))
    }

    /// Draws so many numbers that are in flight nowhere, and gives the first.
    pub(crate) fn draw_many(&self, class: &ClassName, count: u64) -> Result<u64, CaptureError> {
        self.check_open()?;
        let class = self.epoch.class(class)?;
        self.written(self.epoch.draw_many(class, count))?.ok_or(CaptureError::Closed)
    }

    /// Marks a number as no longer in flight.
    #[inline]
    pub(crate) fn end(&self, slot: Option<u16>) {
        if let Some(slot) = slot {
            // A failed write poisons and is told to whoever comes next.
            let _ = self.written(self.epoch.set_slot(slot, 0));
        }
    }

    /// Encrypts `clear` in place and publishes it as a frame, after the class and shape that it uses.
    #[inline]
    pub(crate) fn publish(
        &self,
        clear: &mut [u8],
        class: Option<u8>,
        shape: Option<&ShapeInner>,
    ) -> Result<(), CaptureError> {
        self.publish_in(Room::Parts, clear, class, shape)
    }

    /// The same where the frame may also go elsewhere.
    #[inline]
    pub(crate) fn publish_in(
        &self,
        room: Room,
        clear: &mut [u8],
        class: Option<u8>,
        shape: Option<&ShapeInner>,
    ) -> Result<(), CaptureError> {
        let frame = frame::frame_len(clear.len());
        loop {
            self.check_writable()?;
            if frame > self.frame_max {
                let (bytes, max) = (frame as u64, self.frame_max as u64);
                return Err(CaptureError::TooLarge { what: "frame", bytes, max });
            }
            let part = self.current.load();
            if part.is_reserve && room != Room::Reserve {
                return Err(self.full());
            }
            let defined = class.is_none_or(|class| part.has_class(class))
                && shape.is_none_or(|shape| part.has_shape(shape.number));
            let placed =
                if defined || self.define(&part, class, shape)? { self.place(&part, clear)? } else { false };
            if placed {
                return Ok(());
            }
            self.next_part(&part, room)?;
        }
    }

    /// Reserves, encrypts, copies; false when the part is full.
    #[inline]
    fn place(&self, part: &LivePart, clear: &mut [u8]) -> Result<bool, CaptureError> {
        let padded = frame::padded(frame::frame_len(clear.len()));
        let (offset, progress) = match self.written(part.reserve(padded))? {
            Reserved::At(offset, progress) => (offset, progress),
            Reserved::Passed => return Ok(false),
        };
        let place = Place { producer: self.producer, epoch: self.number, part: part.number, offset };
        let Ok(tag) = self.cipher.seal(&place, clear) else {
            // Cannot happen within the bounds checked before; the place stays a hole.
            self.poison();
            return Err(CaptureError::Poisoned);
        };
        self.written(part.publish(offset, clear, &tag, padded))?;
        if progress {
            self.wake();
        }
        Ok(true)
    }

    /// Defines what a frame uses and the part does not have yet; false when the part is full.
    #[cold]
    fn define(
        &self,
        part: &LivePart,
        class: Option<u8>,
        shape: Option<&ShapeInner>,
    ) -> Result<bool, CaptureError> {
        let mut clear = Vec::new();
        if let Some(class) = class
            && !part.has_class(class)
            && let Some(name) = self.epoch.class_name(class)
        {
            frame::encode_class(class, name, &mut clear);
            if !self.place(part, &mut clear)? {
                return Ok(false);
            }
            part.note_class(class);
        }
        if let Some(shape) = shape
            && !part.has_shape(shape.number)
        {
            clear.clear();
            frame::encode_shape(shape.number, shape.def.encoded(), &mut clear);
            if frame::frame_len(clear.len()) > self.frame_max {
                let (bytes, max) = (clear.len() as u64, self.frame_max as u64);
                return Err(CaptureError::TooLarge { what: "shape", bytes, max });
            }
            if !self.place(part, &mut clear)? {
                return Ok(false);
            }
            // After it is published, so that no record stands behind a definition that a crash left unfinished.
            part.note_shape(shape.number);
        }
        Ok(true)
    }

    pub(crate) fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on to the part after `full`, unless another thread has done so. Blocks when the part has to be made here.
    #[cold]
    fn next_part(&self, full: &Arc<LivePart>, room: Room) -> Result<(), CaptureError> {
        let mut rotation = self.rotation();
        self.check_writable()?;
        if !Arc::ptr_eq(&self.current.load(), full) {
            return Ok(());
        }
        let part = match rotation.spare.take() {
            Some(part) => part,
            None => match self.make_next(&mut rotation) {
                Err(CaptureError::Full { .. }) if room == Room::Reserve => self.use_reserve(&mut rotation)?,
                made => made?,
            },
        };
        rotation.bytes_before += full.extent();
        rotation.unflushed.push(Arc::clone(full));
        self.current.store(part);
        drop(rotation);
        self.wake();
        let _one = match self.telling.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(one)) => one.into_inner(),
            // Whoever is telling goes on in the new part; it may be this thread.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.tell_remembered(room)
    }

    #[cold]
    fn full(&self) -> CaptureError {
        CaptureError::Full { spill_bytes: self.settings.spill_bytes }
    }

    fn make_next(&self, rotation: &mut Rotation) -> Result<Arc<LivePart>, CaptureError> {
        let settings = &self.settings;
        let now = settings.clock.monotonic_ns();
        if rotation.full_until_ns.is_some_and(|until| now < until) {
            return Err(self.full());
        }
        let made = make_part(settings, &self.folder, self.producer, self.number, rotation.next);
        match &made {
            Ok(_) => {
                rotation.next += 1;
                rotation.folder_changed = true;
                rotation.full_until_ns = None;
            }
            Err(_) => rotation.full_until_ns = Some(now + FULL_RETRY.as_nanos() as u64),
        }
        made
    }

    /// Makes the next part of the reserve.
    fn use_reserve(&self, rotation: &mut Rotation) -> Result<Arc<LivePart>, CaptureError> {
        assert_ne!(self.phase.load(Ordering::Acquire), OPEN, "the reserve is for closing");
        let reserve = rotation.reserve.take().ok_or_else(|| self.full())?;
        let settings = &self.settings;
        let header = PartHeader {
            trail: settings.trail,
            producer: self.producer,
            epoch: self.number,
            part: rotation.next,
            capacity: RESERVE_BYTES,
        };
        let part = reserve
            .into_part(&self.folder, &header, settings.backing)
            .map_err(|e| full_or(settings, e, "making a part of the reserve"))?;
        rotation.next += 1;
        rotation.folder_changed = true;
        Ok(Arc::new(part))
    }

    /// Makes the next part when the current one is half full. For the maintenance thread.
    pub(crate) fn prepare_next(&self) {
        if self.current.load().tail() < self.settings.part_bytes / 2 {
            return;
        }
        let mut rotation = self.rotation();
        if rotation.spare.is_none() && self.check_open().is_ok() {
            // When there is no room, whoever needs the part is told.
            rotation.spare = self.make_next(&mut rotation).ok();
        }
    }

    /// Tells that a number has no record. Remembered when there is no room.
    #[cold]
    pub(crate) fn lose(&self, class: u8, seq: u64, reason: LostReason) {
        self.lost_numbers.fetch_add(1, Ordering::Relaxed);
        let range = LostRange { class, reason, from: seq, to: seq };
        if self.put_lost(&range, Room::Parts).is_err() {
            self.lost().add(range);
        }
    }

    fn lost(&self) -> MutexGuard<'_, LostRanges> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_lost(&self, range: &LostRange, room: Room) -> Result<(), CaptureError> {
        let mut clear = Vec::with_capacity(32);
        frame::encode_lost(range.class, range.reason, range.from, range.to, &mut clear);
        self.publish_in(room, &mut clear, Some(range.class), None)
    }

    /// Tells what is remembered as lost. Waits for another thread that does so.
    pub(crate) fn tell_lost(&self, room: Room) -> Result<(), CaptureError> {
        let _one = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell_remembered(room)
    }

    /// The same for who holds `telling`.
    fn tell_remembered(&self, room: Room) -> Result<(), CaptureError> {
        if self.lost().is_empty() {
            return Ok(());
        }
        let ranges = self.lost().take();
        for (n, range) in ranges.iter().enumerate() {
            if let Err(e) = self.put_lost(range, room) {
                let mut lost = self.lost();
                ranges[n..].iter().for_each(|&range| lost.add(range));
                return Err(e);
            }
        }
        Ok(())
    }

    pub(crate) fn lost_numbers(&self) -> u64 {
        self.lost_numbers.load(Ordering::Relaxed)
    }

    /// Bytes of frames handed over, and parts begun.
    pub(crate) fn extent(&self) -> (u64, u32) {
        let rotation = self.rotation();
        let current = self.current.load();
        (rotation.bytes_before + current.extent(), current.number)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rotation().full_until_ns.is_some()
    }

    /// Begins closing: no number is drawn any more once the counters are ended.
    pub(crate) fn begin_closing(&self) -> Result<Closing, CaptureError> {
        match self.phase.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Closing::Begun),
            Err(CLOSED) => Ok(Closing::Done),
            Err(POISONED) => Err(CaptureError::Poisoned),
            Err(_) => Err(CaptureError::Closed),
        }
    }

    /// Ends the last part and marks the epoch closed.
    pub(crate) fn finish_closing(&self) -> Result<(), CaptureError> {
        let mut rotation = self.rotation();
        self.phase
            .compare_exchange(CLOSING, CLOSED, Ordering::AcqRel, Ordering::Acquire)
            .map_err(|_| CaptureError::Poisoned)?;
        self.written(self.current.load().end())?;
        if let Some(spare) = rotation.spare.take() {
            // Best effort: a part without frames does no harm.
            let _ = spare.delete();
        }
        if let Some(reserve) = rotation.reserve.take() {
            // Best effort: it goes with the epoch.
            let _ = reserve.delete();
        }
        self.written(self.epoch.set_closed())
    }

    pub(crate) fn set_thread(&self, thread: JoinHandle<()>) {
        let _ = self.waker.set(thread.thread().clone());
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Wakes the maintenance thread.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.waker.get() {
            thread.unpark();
        }
    }

    /// Waits for the maintenance thread, which ends once the run is not open. Not to be called by itself.
    pub(crate) fn join(&self) {
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It does not panic; if it did, there is nothing left to do for it.
            let _ = thread.join();
        }
    }

    /// In a child made by `fork`: gives up what it has of the parent's run, which is never used again. The locks of other threads
    /// may be held for ever, so that nothing waits for one.
    ///
    /// # Safety
    ///
    /// This is the only thread, or the others wait in [`ForkGuard::claim`]; and nobody uses the run afterwards. It is leaked.
    pub(crate) unsafe fn abandon(&self) {
        // SAFETY: never used again, and leaked: not dropped a second time. Dropping wipes the key.
        drop(ManuallyDrop::into_inner(unsafe { std::ptr::read(&self.cipher) }));
        // SAFETY: the files are leaked with the run. The parent's lock on the epoch file is on the open file that both share: closing
        // this descriptor keeps it, and lets it go with the parent.
        unsafe {
            sys::close_leaked(self.epoch.file());
            sys::close_leaked(self.current.load().file());
        }
        if let Ok(rotation) = self.rotation.try_lock() {
            let parts = rotation.spare.iter().chain(&rotation.unflushed).map(|part| part.file());
            for file in parts.chain(rotation.reserve.as_ref().map(Reserve::file)) {
                // SAFETY: as above.
                unsafe { sys::close_leaked(file) };
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.cipher) };
    }
}
