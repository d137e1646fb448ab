//! Counting decisions as they come: what a shape's records have to count, found once for each shape, and the windows that they fall into. Edge:
//! values are encoded and were checked; nothing here can fail.

use crate::covers::{Covers, Ranges};
use crate::limits::{FEATURES_MAX, WINDOWS_MAX, WINDOWS_OF_BATCH};
use crate::window::{Feature, Judged, Key, Length, Sort, Window, named};
use minutebook_record::cbor::Reader;
use minutebook_record::fields::ModelRef;
use minutebook_record::{FieldType, Path, Schema};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What to count in records of one schema.
#[derive(Debug)]
pub struct Plan {
    event: Option<usize>,
    model: Option<usize>,
    features: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    path: Path,
    place: usize,
    sort: Sort,
}

impl Plan {
    /// The plan for a schema. Whom a decision is about, on whose behalf, tags, parameters and surroundings are not counted.
    pub fn new(schema: &Schema) -> Self {
        let of = |wanted: &FieldType| schema.fields().iter().position(|field| field.field_type == *wanted);
        let counted = |path: &Path| matches!(path.first(), "inputs" | "outputs");
        let fields = schema.fields().iter().enumerate().filter(|(_, field)| counted(&field.path));
        let planned = |(place, field): (usize, &minutebook_record::Field)| {
            let sort = Sort::of(field.path.first(), &field.field_type);
            Planned { path: field.path.clone(), place, sort }
        };
        Self {
            event: of(&FieldType::Event),
            model: of(&FieldType::Model),
            features: fields.take(FEATURES_MAX).map(planned).collect(),
        }
    }
}

/// The path under which a decision's duration is counted, in ns.
pub fn duration_path() -> Path {
    // INVARIANT: two short texts.
    Path::new(["event", "duration"]).expect("a path")
}

/// Whose number a decision has, and what the sampling policy made of it.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// Who drew the number.
    pub producer: [u8; 16],
    /// In which run.
    pub epoch: u64,
    /// The number.
    pub seq: u64,
    /// The rule that decided, if one did.
    pub rule: Option<&'a str>,
    /// Whether it has a record.
    pub kept: bool,
}

/// The windows of some decisions of one class.
#[derive(Debug, Default)]
pub struct Gathered {
    open: Vec<Open>,
    /// By plan and start: places in `open`.
    index: HashMap<(usize, i64), Vec<usize>>,
    last: usize,
}

/// A window of the records of one shape.
#[derive(Debug)]
struct Open {
    plan: Arc<Plan>,
    key: Key,
    window: Window,
    ranges: Vec<(([u8; 16], u64), Ranges)>,
    duration: Feature,
    features: Vec<Feature>,
}

/// What a window takes from an event.
struct Seen<'a> {
    seconds: i64,
    duration_ns: Option<u64>,
    status: &'a str,
}

impl<'a> Seen<'a> {
    /// Of an encoded event; null says nothing.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.array().ok()?;
        let seconds = reader.signed().ok()?.div_euclid(1_000_000_000);
        if !reader.take_null() {
            reader.unsigned().ok()?;
        }
        let duration_ns = if reader.take_null() { None } else { Some(reader.unsigned().ok()?) };
        Some(Self { seconds, duration_ns, status: reader.text().ok()? })
    }
}

impl Gathered {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Counts a decision; `field` gives the encoded value at a place of the plan's schema.
    pub fn add<'a>(&mut self, plan: &Arc<Plan>, counted: Counted<'_>, field: impl Fn(usize) -> &'a [u8]) {
        let seen = plan.event.and_then(|place| Seen::read(field(place)));
        let seen = seen.unwrap_or(Seen { seconds: 0, duration_ns: None, status: "" });
        let model = plan.model.map_or(&[0xf6][..], &field);
        let at = self.window_of(plan, seen.seconds, model);
        let open = &mut self.open[at];
        open.window.decisions += 1;
        count(&mut open.window.status, seen.status);
        if let Some(rule) = counted.rule {
            let judged = named::<Judged>(&mut open.window.rules, rule);
            judged.judged += 1;
            judged.kept += u64::from(counted.kept);
        }
        open.cover((counted.producer, counted.epoch), counted.seq);
        if let Some(ns) = seen.duration_ns {
            open.duration.present += 1;
            open.duration.numbers.get_or_insert_default().add(ns as f64);
        }
        for (feature, planned) in open.features.iter_mut().zip(&plan.features) {
            feature.add_encoded(planned.sort, field(planned.place));
        }
    }

    fn window_of(&mut self, plan: &Arc<Plan>, seconds: i64, model: &[u8]) -> usize {
        let length = match self.open.len() {
            0..WINDOWS_OF_BATCH => Length::Minute,
            WINDOWS_OF_BATCH..WINDOWS_MAX => Length::Hour,
            _ => Length::Day,
        };
        let is_it = |open: &Open, model: &[u8]| {
            let (start, end) = (open.key.start, open.key.start + open.key.length.seconds() as i64);
            Arc::ptr_eq(&open.plan, plan) && (start..end).contains(&seconds) && *open.key.model == *model
        };
        if self.open.get(self.last).is_some_and(|open| is_it(open, model)) {
            return self.last;
        }
        let plan_at = Arc::as_ptr(plan) as usize;
        let find = |gathered: &Self, model: &[u8]| {
            let starts = [Length::Minute, Length::Hour, Length::Day].map(|length| length.start_of(seconds));
            let places = starts.iter().filter_map(|start| gathered.index.get(&(plan_at, *start))).flatten();
            places.copied().find(|at| is_it(&gathered.open[*at], model))
        };
        let others = ModelRef { name: crate::limits::OTHERS.into(), version: String::new(), artifact: None };
        let mut others_bytes = Vec::new();
        let mut model = model;
        if let Some(at) = find(self, model) {
            self.last = at;
            return at;
        }
        if self.open.len() >= 2 * WINDOWS_MAX {
            others.write(&mut others_bytes);
            model = &others_bytes;
            if let Some(at) = find(self, model) {
                self.last = at;
                return at;
            }
        }
        let key = Key { length, start: length.start_of(seconds), model: model.into() };
        self.last = self.open.len();
        self.index.entry((plan_at, key.start)).or_default().push(self.last);
        self.open.push(Open {
            plan: Arc::clone(plan),
            key,
            window: Window::default(),
            ranges: Vec::new(),
            duration: Feature::default(),
            features: plan.features.iter().map(|_| Feature::default()).collect(),
        });
        self.last
    }

    /// The windows, each once.
    pub fn finish(self, class: &str) -> BTreeMap<Key, Window> {
        let mut windows: BTreeMap<Key, Window> = BTreeMap::new();
        for open in self.open {
            let Open { plan, key, mut window, ranges, duration, features } = open;
            let mut covers = Covers::new();
            for ((producer, epoch), ranges) in ranges {
                covers.insert((producer, epoch, class.to_owned()), ranges);
            }
            window.covers = covers;
            let named = plan.features.iter().map(|planned| planned.path.clone()).zip(features);
            window.features = named.collect();
            if duration.present > 0 {
                window.features.insert(duration_path(), duration);
            }
            windows.entry(key).or_default().merge(window);
        }
        windows
    }
}

impl Open {
    #[inline]
    fn cover(&mut self, run: ([u8; 16], u64), seq: u64) {
        let at = match self.ranges.iter().position(|(known, _)| *known == run) {
            Some(at) => at,
            None => {
                self.ranges.push((run, Ranges::default()));
                self.ranges.len() - 1
            }
        };
        // What was used last is found first.
        if at > 0 {
            self.ranges.swap(0, at);
        }
        self.ranges[0].1.add(seq, seq);
    }
}

fn count(map: &mut BTreeMap<Box<str>, u64>, name: &str) {
    match map.get_mut(name) {
        Some(count) => *count += 1,
        None => *named(map, name) += 1,
    }
}
