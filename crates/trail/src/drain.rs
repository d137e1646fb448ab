//! The drain: frames of all spools, in order, into batches of one class. Edge: blocking; decides nothing about keys or places, and frees a
//! spool only when it is told that all is published.

mod accounts;
mod counted;
mod fields;
mod horizon;

pub use horizon::Horizon;

use accounts::{drawn, has_last_mark, missing, settle};
use fields::{blob_digest, is_about_decision, remember, subject_lookups, value_at, with_kept};

use crate::batch::{Batch, Incoming, ShapePlan};
use crate::catalog::Drawn;
use crate::error::{Error, Result};
use crate::limits;
use crate::own::{self, Losses, LostRange, OwnRecord};
use crate::sampling::{Judge, Number, Sampling, Verdict};
use crate::shape_users::ShapeUsers;
use crate::subjects::LookupKey;
use minutebook_capture::limits::MIRROR_NUMBER_MAX;
use minutebook_capture::{
    BatchLimits, EpochFile, EpochReader, Frame, IntakePrivateKey, Owner, Position, ShapeDef, Stop,
    list_epochs,
};
use minutebook_record::fields::Event;
use minutebook_record::{ClassName, Kind, RecordId};
use minutebook_sketch::Counted;
use minutebook_verify::Id;
use minutebook_verify::check::blob_id;
use minutebook_verify::coverage::RangeSet;
use minutebook_verify::descriptor::{MarkKind, Range, State};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The class of the records that speak about producers and the trail itself.
pub const SYSTEM: &str = "system";

/// What a round of draining saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Records taken.
    pub records: u64,
    /// Decisions that a policy left out.
    pub sampled_out: u64,
    /// Frames of numbers that were placed before.
    pub seen_before: u64,
    /// Damage, by what it is.
    pub damage: BTreeMap<String, u64>,
    /// Whether there was more than one round takes.
    pub more: bool,
}

struct OpenEpoch {
    reader: EpochReader,
    state: EpochState,
}

struct EpochState {
    producer: Id,
    epoch: u64,
    claimed: HashMap<ClassName, RangeSet>,
    /// Blobs whose record was not read yet: content so far, and where the first frame lies.
    assembling: HashMap<Id, Assembly>,
    /// What its marks say was drawn: at least so much.
    drawn: Drawn,
    /// The key that signs its marks, while no opening mark has told it to the log.
    unopened: Option<[u8; 32]>,
    /// Its closing mark was read: what was drawn is what its marks say, and nothing else.
    closed: bool,
    /// Its account was closed in an earlier run; only its files are left.
    settled: bool,
    /// Its owner is elsewhere, and is not trusted as a process of this machine is.
    is_mirror: bool,
    stop: Stop,
}

/// What became of a number that was read.
enum Taken {
    /// It has a record.
    Kept,
    /// A policy left it out.
    LeftOut,
}

struct Assembly {
    whole: u64,
    content: Vec<u8>,
    from: Position,
}

/// Reads all spools of a trail.
pub struct Drainer {
    spool: PathBuf,
    trail: Id,
    intake_key: IntakePrivateKey,
    epochs: Vec<OpenEpoch>,
    intake: Intake,
    own_producer: Id,
    own_claimed: RangeSet,
    /// Epoch files that could not be opened, so that they are told of once.
    unreadable: BTreeMap<PathBuf, String>,
}

/// Where records gather.
struct Intake {
    lookup: LookupKey,
    open: HashMap<ClassName, Batch>,
    closed: Vec<Batch>,
    system: Vec<SystemRecord>,
    system_ids: HashSet<RecordId>,
    /// Epochs with marks to check and no opening mark to check them by, with their keys.
    unopened: Vec<(Id, u64, [u8; 32])>,
    losses: Losses,
    plans: HashMap<[u8; 32], (Arc<ShapePlan>, ShapeUsers)>,
    judge: Judge,
    recent: HashMap<RecordId, Box<[[u8; 32]]>>,
    ends: Vec<usize>,
    report: DrainReport,
    assembled_bytes: usize,
}

/// A record of the class `system`, held back to the end of the round: what it says of numbers must not be in the log before they are.
struct SystemRecord {
    producer: Id,
    epoch: u64,
    seq: u64,
    id: RecordId,
    record: OwnRecord,
}

impl Drainer {
    /// Over the spools in `spool`; `own` is the engine's own producer with what is placed of its numbers.
    pub fn new(
        spool: PathBuf,
        trail: Id,
        intake_key: IntakePrivateKey,
        lookup: LookupKey,
        own: (Id, RangeSet),
    ) -> Self {
        let intake = Intake {
            lookup,
            open: HashMap::new(),
            closed: Vec::new(),
            system: Vec::new(),
            system_ids: HashSet::new(),
            unopened: Vec::new(),
            losses: Losses::new(),
            plans: HashMap::new(),
            judge: Judge::default(),
            recent: HashMap::new(),
            ends: Vec::new(),
            report: DrainReport::default(),
            assembled_bytes: 0,
        };
        let (own_producer, own_claimed) = own;
        Self {
            spool,
            trail,
            intake_key,
            epochs: Vec::new(),
            intake,
            own_producer,
            own_claimed,
            unreadable: BTreeMap::new(),
        }
    }

    /// Judges decisions by this policy from now on.
    pub fn judge_by(&mut self, sampling: Option<Arc<Sampling>>) {
        self.intake.judge.set(sampling);
    }

    /// Opens epochs that are not open yet.
    pub fn discover(&mut self) -> Result<Vec<EpochReader>> {
        let listing = list_epochs(&self.spool).map_err(|e| Error::io("list the spool", &self.spool, e))?;
        let mut found = Vec::new();
        for EpochFile { path, .. } in listing.epochs {
            let open = self.epochs.iter().any(|epoch| epoch.reader.path() == path);
            if open || self.unreadable.contains_key(&path) {
                continue;
            }
            match EpochReader::open(&path, self.trail, &self.intake_key) {
                Ok(reader) => {
                    // What an engine asked that crashed before it took the request back.
                    reader.withdraw().map_err(|e| Error::io("withdraw a request beside", &path, e))?;
                    found.push(reader);
                }
                Err(minutebook_capture::ReadError::Io(error)) => {
                    return Err(Error::io("read the spool", &path, error));
                }
                Err(error) => {
                    tracing::warn!(file = %path.display(), "an epoch of the spool cannot be read: {error}");
                    self.unreadable.insert(path, error.to_string());
                }
            }
        }
        Ok(found)
    }

    /// Takes up an epoch, with what is placed of it.
    pub fn add(&mut self, reader: EpochReader, placed: Vec<(String, RangeSet)>, settled: bool, drawn: Drawn) {
        let claimed: HashMap<ClassName, RangeSet> = placed
            .into_iter()
            .filter_map(|(class, ranges)| ClassName::new(&class).ok().map(|class| (class, ranges)))
            .collect();
        let first = claimed.iter().find(|(class, _)| class.as_str() == SYSTEM);
        let first = first.and_then(|(_, ranges)| ranges.ranges().first());
        let is_opened = first.is_some_and(|range| range.from == 1 && range.state == State::Kept);
        let state = EpochState {
            producer: reader.producer().0,
            epoch: reader.epoch().get(),
            claimed,
            assembling: HashMap::new(),
            drawn,
            unopened: (!is_opened).then(|| reader.mark_key()),
            closed: false,
            settled,
            is_mirror: reader.is_mirror(),
            stop: Stop::CaughtUp,
        };
        self.epochs.push(OpenEpoch { reader, state });
    }

    /// Reads what there is, up to a round's limit, and gives each batch that is full to `sink`; at the end those that are not, and the class
    /// `system` last, with `own` records among it. Blocks for the disk. `sink` says whether to go on.
    pub fn round(
        &mut self,
        now_ns: i64,
        mut own: Vec<OwnRecord>,
        fresh_id: &mut dyn FnMut() -> Result<RecordId>,
        sink: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<DrainReport> {
        self.intake.report = DrainReport::default();
        // The log says by which policy before it has anything that was judged by it.
        if own.iter().any(|record| record.kind == Kind::Policy) {
            let first = std::mem::take(&mut own);
            self.seal_system(Vec::new(), first, Losses::new(), Vec::new(), fresh_id, sink)?;
        }
        let mut segments = 0;
        let mut busy = true;
        for epoch in &mut self.epochs {
            epoch.state.stop = Stop::Limit;
        }
        while busy
            && segments < limits::ROUND_SEGMENTS
            && self.intake.report.sampled_out < limits::ROUND_LEFT_OUT
        {
            busy = false;
            for OpenEpoch { reader, state } in &mut self.epochs {
                if state.stop != Stop::Limit {
                    continue;
                }
                let intake = &mut self.intake;
                let end = reader
                    .read_batch(&BatchLimits::default(), |frame| intake.take(state, frame))
                    .map_err(|error| Error::Spool(format!("`{}`: {error}", reader.path().display())))?;
                state.stop = end.stop;
                busy |= end.stop == Stop::Limit;
                for batch in std::mem::take(&mut self.intake.closed) {
                    segments += 1;
                    if !sink(batch) {
                        return Ok(std::mem::take(&mut self.intake.report));
                    }
                }
            }
        }
        self.intake.report.more = busy;
        for (_, batch) in self.intake.open.drain() {
            if !batch.is_empty() && !sink(batch.close()) {
                return Ok(std::mem::take(&mut self.intake.report));
            }
        }
        self.finish(now_ns, own, fresh_id, sink)?;
        Ok(std::mem::take(&mut self.intake.report))
    }

    /// The end of a round: accounts of epochs that ended, the engine's own records, the class `system`.
    fn finish(
        &mut self,
        now_ns: i64,
        mut own: Vec<OwnRecord>,
        fresh_id: &mut dyn FnMut() -> Result<RecordId>,
        sink: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<()> {
        let mut ended = Vec::new();
        for OpenEpoch { reader, state } in &mut self.epochs {
            if state.stop != Stop::Ended || state.settled {
                continue;
            }
            let fault = |e| Error::Spool(format!("an epoch's counters: {e}"));
            let counters = if state.closed { Vec::new() } else { reader.drawn().map_err(fault)? };
            let drawn = drawn(state, &counters);
            let in_flight = reader.in_flight().map_err(fault)?;
            settle(state, &drawn, &in_flight, &mut self.intake.losses);
            if let Some(said) =
                reader.given_up().map_err(|e| Error::Spool(format!("an epoch's folder: {e}")))?
            {
                let missing = missing(state);
                own.push(own::given_up(state.producer, state.epoch, &said, missing, now_ns)?);
            }
            // Without the mark at hand: it was sealed before the engine was last opened, or a power loss took it and left the word that says closed.
            let is_closed = |owner| owner == Owner::Closed && has_last_mark(state, &drawn);
            if !state.closed && !is_closed(reader.owner().map_err(fault)?) {
                let counts = drawn.into_iter().map(|(class, last)| (class.to_string(), last)).collect();
                own.push(own::abandoned(state.producer, state.epoch, counts, now_ns)?);
            }
            state.settled = true;
            ended.push((state.producer, state.epoch));
        }
        // An opening mark that the spool lost: the epoch file has the key too, bound to the epoch key. It goes before the marks that it verifies.
        let unopened = std::mem::take(&mut self.intake.unopened);
        let opened =
            unopened.into_iter().map(|(producer, epoch, key)| own::opened(producer, epoch, key, now_ns));
        let opened = opened.collect::<Result<Vec<_>>>()?;
        self.seal_system(Vec::new(), opened, Losses::new(), Vec::new(), fresh_id, sink)?;
        // What is lost has a record, and its ranges stand in the same segment; many make several.
        let losses = std::mem::take(&mut self.intake.losses);
        let mut portions = own::portions(losses);
        let last_portion = portions.pop().unwrap_or_default();
        for portion in portions {
            let records = own::losses(&portion, now_ns)?;
            self.seal_system(Vec::new(), records, portion, Vec::new(), fresh_id, sink)?;
        }
        own.extend(own::losses(&last_portion, now_ns)?);
        let held = std::mem::take(&mut self.intake.system);
        self.intake.system_ids.clear();
        self.seal_system(held, own, last_portion, ended, fresh_id, sink)
    }

    fn seal_system(
        &mut self,
        held: Vec<SystemRecord>,
        own: Vec<OwnRecord>,
        losses: Losses,
        ended: Vec<(Id, u64)>,
        fresh_id: &mut dyn FnMut() -> Result<RecordId>,
        sink: &mut dyn FnMut(Batch) -> bool,
    ) -> Result<()> {
        // INVARIANT: the name is within the rules for classes.
        let class = ClassName::new(SYSTEM).expect("a class name");
        let mut batch = Batch::new(class);
        let mut records = held;
        for record in own {
            let seq = self.own_claimed.ranges().last().map_or(0, |range| range.to) + 1;
            let range = Range { state: State::Kept, from: seq, to: seq };
            self.own_claimed.insert(range).map_err(|number| Error::Overlap {
                producer: self.own_producer,
                epoch: 1,
                class: SYSTEM.into(),
                number,
            })?;
            records.push(SystemRecord {
                producer: self.own_producer,
                epoch: 1,
                seq,
                id: fresh_id()?,
                record,
            });
        }
        let mut ends = Vec::new();
        for SystemRecord { producer, epoch, seq, id, record } in records {
            let event = ShapePlan::new(&record.shape).event;
            if batch.is_full()
                && !record.is_continued
                && !sink(std::mem::replace(&mut batch, Batch::new(class)).close())
            {
                return Ok(());
            }
            let refused = |e: minutebook_record::ValuesError| Error::Spool(e.to_string());
            record.shape.split(&record.values, &mut ends).map_err(refused)?;
            let (values, ends) = batch.hold(&record.values, &ends);
            let producer = batch.producer(producer, epoch);
            batch.gone.extend(record.gone);
            batch.acts.extend(record.act);
            batch.windows.extend(record.window);
            batch.push(Incoming {
                id,
                kind: record.kind,
                producer,
                seq,
                shape: record.shape,
                values,
                ends,
                subjects: Vec::new(),
                about: None,
                mark: record.mark,
                event,
            });
        }
        batch.losses = losses;
        batch.ended = ended;
        if !batch.is_empty() {
            sink(batch.close());
        }
        Ok(())
    }

    /// Gives spool space back: all that was read is published. Blocks for the disk.
    pub fn free(&mut self) -> Result<()> {
        let fault = |path: PathBuf| move |error| Error::Spool(format!("`{}`: {error}", path.display()));
        let mut kept = Vec::new();
        for mut epoch in std::mem::take(&mut self.epochs) {
            let first_open = epoch.state.assembling.values().map(|assembly| assembly.from).min();
            let path = epoch.reader.path().to_owned();
            if epoch.state.stop == Stop::Ended && epoch.state.settled {
                let position = epoch.reader.position();
                epoch.reader.free_to(position).map_err(fault(path.clone()))?;
                epoch.reader.remove().map_err(fault(path))?;
                continue;
            }
            let position = epoch.reader.position();
            epoch
                .reader
                .free_to(first_open.map_or(position, |first| first.min(position)))
                .map_err(fault(path))?;
            kept.push(epoch);
        }
        self.epochs = kept;
        Ok(())
    }

    /// Epochs that are not read to their end.
    pub fn open_epochs(&self) -> usize {
        self.epochs.len()
    }

    /// Asks producers to end those parts, of which all is read, that define a shape whose constants may be this person's. Says how many were asked.
    pub fn ask_to_end_parts(&mut self, lookup: &[u8; 32]) -> Result<usize> {
        let mut asked = 0;
        for OpenEpoch { reader, .. } in &mut self.epochs {
            let theirs = reader.definitions().any(|shape| {
                let users = self.intake.plans.get(&shape.digest()).map(|(_, users)| users);
                !shape.constants().is_empty() && users.is_none_or(|users| users.may_be(lookup))
            });
            let ask = |reader: &mut EpochReader| {
                reader
                    .ask_to_end_part()
                    .map_err(|e| Error::Spool(format!("`{}`: {e}", reader.path().display())))
            };
            asked += usize::from(theirs && ask(reader)?);
        }
        Ok(asked)
    }

    /// Takes all such requests back.
    pub fn withdraw_requests(&self) -> Result<()> {
        let withdraw = |epoch: &OpenEpoch| {
            epoch.reader.withdraw().map_err(|e| Error::io("withdraw a request in", epoch.reader.path(), e))
        };
        self.epochs.iter().try_for_each(withdraw)
    }

    /// Forgets which decision was about whom.
    pub fn forget_recent(&mut self) {
        self.intake.recent.clear();
    }
}

impl Intake {
    fn take(&mut self, state: &mut EpochState, frame: Frame<'_>) {
        let last = match &frame {
            Frame::Record { seq, .. } => seq.get(),
            Frame::Lost { to, .. } => to.get(),
            _ => 0,
        };
        if state.is_mirror && last > MIRROR_NUMBER_MAX {
            *self.report.damage.entry("a number that no epoch reaches".into()).or_default() += 1;
            return;
        }
        match frame {
            Frame::Record { kind, class, seq, id, shape, values, .. } => {
                self.record(state, kind, class, seq.get(), id, shape, values);
            }
            Frame::Blob { id, whole, offset, content, position } => {
                self.blob(state, id, whole, offset, content, position);
            }
            Frame::Lost { class, reason, from, to, .. } => {
                if let Some(reason) = State::from_number(reason as u64) {
                    self.lose(state, class, reason, from.get(), to.get());
                }
            }
            Frame::Damage { damage, .. } => {
                *self.report.damage.entry(damage.to_string()).or_default() += 1;
            }
        }
    }

    fn lose(&mut self, state: &mut EpochState, class: ClassName, reason: State, from: u64, to: u64) {
        if state.claimed.entry(class).or_default().insert(Range { state: reason, from, to }).is_ok() {
            self.losses.entry(reason).or_default().push(LostRange {
                producer: state.producer,
                epoch: state.epoch,
                class: class.to_string(),
                from,
                to,
            });
        } else {
            self.report.seen_before += 1;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one frame")]
    fn record(
        &mut self,
        state: &mut EpochState,
        kind: Kind,
        class: ClassName,
        seq: u64,
        id: RecordId,
        shape: &Arc<ShapeDef>,
        values: &[u8],
    ) {
        let is_claimed = state.claimed.entry(class).or_default().contains(seq);
        self.report.seen_before += u64::from(is_claimed);
        // What has its place is left there, and counts where a rule keeps so many per second; a window has claimed what it counted perhaps not.
        let is_window = kind == Kind::Window && class.as_str() != SYSTEM;
        if is_claimed && !is_window && !(kind == Kind::Decision && self.judge.counts()) {
            return;
        }
        let mut ends = std::mem::take(&mut self.ends);
        if shape.split(values, &mut ends).is_err() {
            self.ends = ends;
            if !is_claimed {
                self.lose(state, class, State::Refused, seq, seq);
            }
            return;
        }
        let rolled_up = if is_window {
            let fields = |place: usize| value_at(shape, place, values, &ends);
            match self.claim_counted(state, class, shape.schema(), fields, is_claimed) {
                Some(window) => Some(window),
                None => {
                    self.ends = ends;
                    if !is_claimed {
                        self.lose(state, class, State::Refused, seq, seq);
                    }
                    return;
                }
            }
        } else {
            None
        };
        if is_claimed && is_window {
            self.ends = ends;
            return;
        }
        if is_claimed {
            let number = Number { producer: state.producer, epoch: state.epoch, class, seq, id };
            self.judge.judge(number, shape, |place| value_at(shape, place, values, &ends));
            self.ends = ends;
            return;
        }
        let plan = self.plan(shape);
        let taken = if class.as_str() == SYSTEM {
            self.take_system(state, kind, seq, id, shape, values, &ends)
        } else {
            self.take_record(state, kind, class, seq, id, shape, &plan, values, &ends)
        };
        self.ends = ends;
        match taken {
            Ok(taken) => {
                if let (Some((key, window)), Some(batch)) = (rolled_up, self.open.get_mut(&class)) {
                    batch.counted.entry(key).or_default().merge(window);
                }
                match taken {
                    Taken::Kept => self.report.records += 1,
                    Taken::LeftOut => self.report.sampled_out += 1,
                }
                // INVARIANT: `contains` was asked above. Left out is claimed too, and remembered like what is kept.
                let range = Range { state: State::Kept, from: seq, to: seq };
                let _ = state.claimed.entry(class).or_default().insert(range);
            }
            Err(reason) => self.lose(state, class, reason, seq, seq),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one frame")]
    fn take_system(
        &mut self,
        state: &mut EpochState,
        kind: Kind,
        seq: u64,
        id: RecordId,
        shape: &Arc<ShapeDef>,
        values: &[u8],
        ends: &[usize],
    ) -> Result<Taken, State> {
        // What is in this class is under no person's key: nothing else belongs there.
        if kind != Kind::Producer || !self.system_ids.insert(id) {
            return Err(State::Refused);
        }
        let mut batch = Batch::new(ClassName::new(SYSTEM).map_err(|_| State::Refused)?);
        let (held, held_ends) = batch.hold(values, ends);
        let record = Incoming {
            id,
            kind,
            producer: 0,
            seq,
            shape: Arc::clone(shape),
            values: held,
            ends: held_ends,
            subjects: Vec::new(),
            about: None,
            mark: None,
            event: None,
        };
        let mut fields = Vec::new();
        batch.fields(&record, &mut fields);
        let mark = own::mark_of(state.producer, state.epoch, shape.schema(), &fields);
        let mark = mark.ok_or(State::Refused)?;
        if state.is_mirror && mark.counts.iter().any(|(_, last)| *last > MIRROR_NUMBER_MAX) {
            return Err(State::Refused);
        }
        for (class, last) in &mark.counts {
            let known = state.drawn.entry(class.clone()).or_default();
            *known = (*last).max(*known);
        }
        match mark.what {
            MarkKind::Opened(_) => state.unopened = None,
            MarkKind::Alive(_) => {}
            MarkKind::Closed(_) => state.closed = true,
            MarkKind::Abandoned => return Err(State::Refused),
        }
        // What a producer says of itself is about nobody, so that no part has to end for it.
        if let Some((_, users)) = self.plans.get_mut(&shape.digest()) {
            users.see(&[]);
        }
        // Told once while the engine runs, and perhaps again by a later one: it says the same each time.
        if let Some(key) = state.unopened.take() {
            self.unopened.push((state.producer, state.epoch, key));
        }
        let record = OwnRecord {
            kind,
            shape: Arc::clone(shape),
            values: values.to_vec(),
            mark: Some(mark),
            gone: Vec::new(),
            act: None,
            window: None,
            is_continued: false,
        };
        let (producer, epoch) = (state.producer, state.epoch);
        self.system.push(SystemRecord { producer, epoch, seq, id, record });
        Ok(Taken::Kept)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one frame")]
    fn take_record(
        &mut self,
        state: &mut EpochState,
        kind: Kind,
        class: ClassName,
        seq: u64,
        id: RecordId,
        shape: &Arc<ShapeDef>,
        plan: &ShapePlan,
        values: &[u8],
        ends: &[usize],
    ) -> Result<Taken, State> {
        let Self { open, closed, lookup, recent, assembled_bytes, plans, judge, .. } = self;
        let batch = open.entry(class).or_insert_with(|| Batch::new(class));
        if batch.is_full() {
            closed.push(std::mem::replace(batch, Batch::new(class)).close());
        }
        // Who ships to a server may record, and no more: what the engine says of a trail it says itself.
        if kind == Kind::Producer || (state.is_mirror && !kind.is_from_outside()) {
            return Err(State::Refused);
        }
        let field = |place: usize| value_at(shape, place, values, ends);
        let verdict = if kind == Kind::Decision {
            let number = Number { producer: state.producer, epoch: state.epoch, class, seq, id };
            judge.judge(number, shape, field)
        } else {
            Verdict::Kept
        };
        let (producer, epoch) = (state.producer, state.epoch);
        let counted = Counted { producer, epoch, seq, rule: verdict.rule(), kept: verdict.keeps() };
        let mut lookups: Vec<[u8; 32]> = Vec::new();
        if let Some(value) = plan.subject.map(field) {
            lookups = subject_lookups(lookup, value);
        }
        let event = plan.event.map(field);
        let mut about = None;
        if lookups.is_empty() && is_about_decision(kind) {
            let link = event
                .and_then(|event| Event::decode(event).ok().flatten())
                .and_then(|event| event.links.first().copied());
            match link.and_then(|link| recent.get(&link)) {
                Some(subjects) => lookups = subjects.to_vec(),
                None => about = link,
            }
        }
        if !shape.constants().is_empty()
            && about.is_none()
            && let Some((_, users)) = plans.get_mut(&shape.digest())
        {
            users.see(&lookups);
        }
        if matches!(verdict, Verdict::LeftOut(_)) {
            // What links to it is about the same persons all the same.
            if !batch.has(&id) {
                remember(recent, id, &lookups);
            }
            for blob in plan.blobs.iter().filter_map(|place| blob_id(field(*place))) {
                if let Some(assembly) = state.assembling.remove(&blob) {
                    *assembled_bytes -= assembly.content.len();
                }
            }
            batch.gathered.add(&plan.counted, counted, field);
            batch.leave_out(state.producer, state.epoch, seq);
            return Ok(Taken::LeftOut);
        }
        let mut blobs = Vec::new();
        for place in &plan.blobs {
            let value = value_at(shape, *place, values, ends);
            let Some(blob) = blob_id(value) else { continue };
            let complete = state.assembling.remove(&blob).filter(|a| a.content.len() as u64 == a.whole);
            let assembly = complete.ok_or(State::Damaged)?;
            *assembled_bytes -= assembly.content.len();
            if blob_digest(value) != Some(minutebook_sha256::digest(&assembly.content)) {
                return Err(State::Refused);
            }
            blobs.push((blob, assembly.content));
        }
        // Of records with one and the same id the first to arrive stays.
        if batch.has(&id) {
            return Err(State::Refused);
        }
        for (blob, content) in blobs {
            batch.push_blob(blob, content);
        }
        if kind == Kind::Decision {
            batch.gathered.add(&plan.counted, counted, field);
            remember(recent, id, &lookups);
        }
        let marked = match (verdict, plan.event) {
            (Verdict::KeptBy(rule, rate), Some(place)) => with_kept(shape, place, values, ends, rule, rate),
            _ => None,
        };
        let (values, held_ends) = match &marked {
            Some((values, ends)) => batch.hold(values, ends),
            None => batch.hold(values, ends),
        };
        let producer = batch.producer(state.producer, state.epoch);
        let subjects = lookups.into_iter().map(|lookup| batch.lookup(lookup)).collect();
        batch.push(Incoming {
            id,
            kind,
            producer,
            seq,
            shape: Arc::clone(shape),
            values,
            ends: held_ends,
            subjects,
            about,
            mark: None,
            event: plan.event,
        });
        Ok(Taken::Kept)
    }

    fn blob(
        &mut self,
        state: &mut EpochState,
        id: Id,
        whole: u64,
        offset: u64,
        content: &[u8],
        from: Position,
    ) {
        let assembly = state.assembling.entry(id).or_insert(Assembly { whole, content: Vec::new(), from });
        // A piece out of order, or too much of all: the blob stays incomplete, and its record is told as lost.
        let room = self.assembled_bytes + content.len() <= limits::BLOBS_IN_ASSEMBLY_BYTES;
        if room && assembly.content.len() as u64 == offset && offset + content.len() as u64 <= assembly.whole
        {
            assembly.content.extend_from_slice(content);
            self.assembled_bytes += content.len();
        }
    }

    fn plan(&mut self, shape: &Arc<ShapeDef>) -> Arc<ShapePlan> {
        let fresh = || (Arc::new(ShapePlan::new(shape)), ShapeUsers::default());
        Arc::clone(&self.plans.entry(shape.digest()).or_insert_with(fresh).0)
    }
}
