//! What was disposed of (`docs/formats/retention.md`): which segments the log says are gone with their key, and whether that is so, was recorded, and
//! kept the floors that were in force. Edge: that a key was destroyed cannot be seen from here, only that it is not at hand.

use crate::Source;
use crate::descriptor::{Descriptor, Gone, Id};
use crate::hex;
use crate::keys::Keys;
use crate::report::{Report, Severity};
use crate::retention::{RETENTION, Settings};
use crate::verify::{blob_name, segment_name};
use minutebook_record::Schema;
use minutebook_record::cbor::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// What a `disposal` record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidDisposal {
    /// The class-epoch key that was destroyed.
    pub class_epoch: Id,
    /// Segments under it.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// When, in Unix seconds.
    pub at: i64,
}

/// What readable records of the class `system` say of retention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaidRetention {
    /// What was disposed of.
    pub disposals: Vec<SaidDisposal>,
    /// Settings that were put in force.
    pub settings: Vec<String>,
}

impl SaidRetention {
    /// Takes in a `disposal` record. Says whether it could be understood.
    pub(crate) fn take_disposal(&mut self, schema: &Schema, fields: &[&[u8]]) -> bool {
        let field =
            |name: &str| schema.find_parts(&["disposal", name]).map(|place| Reader::new(fields[place]));
        let read = || {
            Some(SaidDisposal {
                class_epoch: field("class-epoch")?.bytes_of().ok()?,
                segments: field("segments")?.unsigned().ok()?,
                records: field("records")?.unsigned().ok()?,
                at: field("at")?.signed().ok()?,
            })
        };
        let said = read();
        let understood = said.is_some();
        self.disposals.extend(said);
        understood
    }

    /// Takes in a `policy` record, when it is about retention.
    pub(crate) fn take_policy(&mut self, schema: &Schema, fields: &[&[u8]]) {
        let text = |name: &str| {
            let place = schema.find_parts(&["policy", name])?;
            Reader::new(fields[place]).text().ok().map(str::to_owned)
        };
        if text("what").as_deref() == Some(RETENTION) {
            self.settings.extend(text("new"));
        }
    }
}

/// Whether the log says that a segment, which has its place there, is gone.
pub(crate) fn is_gone(gone: &BTreeMap<Gone, u64>, index: u64, descriptor: &Descriptor) -> bool {
    gone.contains_key(&Gone::Segment(descriptor.segment))
        || (descriptor.class != "system"
            && gone.get(&Gone::ClassEpoch(descriptor.class_epoch)).is_some_and(|said| *said > index))
}

/// Looks at what the log alone shows of disposals; `names` gets those of objects that are told of here.
pub(crate) fn check_gone(
    source: &dyn Source,
    descriptors: &[(u64, Descriptor)],
    gone: &BTreeMap<Gone, u64>,
    keys: &dyn Keys,
    report: &mut Report,
    names: &mut BTreeSet<String>,
) {
    let mut epochs: BTreeMap<Id, (bool, &str)> = BTreeMap::new();
    for (index, descriptor) in descriptors {
        let Some(said) = gone.get(&Gone::ClassEpoch(descriptor.class_epoch)) else { continue };
        let entry = epochs.entry(descriptor.class_epoch).or_insert((true, &descriptor.class));
        if descriptor.class == "system" {
            entry.0 = false;
            continue;
        }
        if said <= index {
            let means = "whoever wrote the log made a false statement: a key that is destroyed seals nothing";
            let what = format!("it is sealed under a key that entry {said} of the log says was destroyed");
            report.problem(segment_name(&descriptor.segment), what, means);
            continue;
        }
        let blobs = descriptor.blobs.iter().map(|blob| blob_name(&blob.id));
        for name in blobs.chain([segment_name(&descriptor.segment)]) {
            if let Ok(Some(_)) = source.read(&name) {
                let means = "the log says that this was disposed of, and it was not, or a copy was put back";
                report.problem(name.clone(), "it is still there", means);
            }
            names.insert(name);
        }
    }
    for (what, index) in gone {
        let Gone::ClassEpoch(id) = what else { continue };
        match epochs.get(id) {
            Some((true, class)) if keys.audit(id).is_some() => report.add(
                Severity::Warning,
                format!("class-epoch {}", hex(id)),
                format!("it was disposed of, and the keys given here still have its key, of class {class}"),
                "keys that were exported before, or an older copy of the catalog: with a copy of the segments they open what was disposed of",
            ),
            Some((true, _)) => {}
            Some((false, _)) => report.problem(
                format!("log entry {index}"),
                "it says that a part of the trail's own account was disposed of",
                "that account is kept for ever: whoever wrote the log tried to hide erasures, policies or disposals",
            ),
            None => report.problem(
                format!("log entry {index}"),
                format!("it disposes of the class-epoch {}, under which nothing was sealed", hex(id)),
                "whoever wrote the log made a false statement",
            ),
        }
    }
}

/// What stands in the log of one class-epoch.
struct Logged<'a> {
    class: &'a str,
    first: u64,
    segments: u64,
    records: u64,
    latest: i64,
}

/// Holds what the records say, each with its entry in the log, against the log and against the floors of the settings.
pub(crate) fn check_said(
    descriptors: &[(u64, Descriptor)],
    gone: &BTreeMap<Gone, u64>,
    said: &[(u64, SaidRetention)],
    report: &mut Report,
) {
    let mut logged: BTreeMap<Id, Logged<'_>> = BTreeMap::new();
    for (index, descriptor) in
        descriptors.iter().filter(|(index, descriptor)| is_gone(gone, *index, descriptor))
    {
        let none =
            Logged { class: &descriptor.class, first: *index, segments: 0, records: 0, latest: i64::MIN };
        let logged = logged.entry(descriptor.class_epoch).or_insert(none);
        logged.segments += 1;
        logged.records += descriptor.records;
        if descriptor.records > 0 {
            logged.latest = logged.latest.max(descriptor.latest);
        }
    }
    let settings: Vec<(u64, Option<Settings>)> = said
        .iter()
        .flat_map(|(index, said)| said.settings.iter().map(|text| (*index, Settings::parse(text).ok())))
        .collect();
    if settings.iter().any(|(_, settings)| settings.is_none()) {
        let means = "whether disposals kept the floors cannot be told of all of them";
        let what = "retention settings that this program does not understand were in force";
        report.add(Severity::Warning, "log", what, means);
    }
    for (index, disposal) in
        said.iter().flat_map(|(index, said)| said.disposals.iter().map(move |said| (*index, said)))
    {
        let name = format!("class-epoch {}", hex(&disposal.class_epoch));
        let Some(logged) = logged.get(&disposal.class_epoch) else {
            let means = "whoever wrote the record made a false statement, or the log was edited";
            report.problem(name, "a record says that it was disposed of, and the log does not", means);
            continue;
        };
        if (logged.segments, logged.records) != (disposal.segments, disposal.records) {
            let what = format!(
                "its disposal is recorded with {} records in {} segments, and the log has {} in {}",
                disposal.records, disposal.segments, logged.records, logged.segments
            );
            report.problem(name.clone(), what, "whoever disposed of it did not say how much it was");
        }
        // Those in force at any time between its first segment and its end: a floor is not shortened for what was recorded under it.
        for (at, (from, in_force)) in settings.iter().enumerate() {
            let until = settings.get(at + 1).map(|(next, _)| *next);
            let overlaps = *from <= index && until.is_none_or(|until| until > logged.first);
            let floor =
                in_force.as_ref().filter(|_| overlaps).and_then(|settings| settings.class(logged.class));
            let Some(floor) = floor.map(|class| &class.floor) else { continue };
            if logged.records > 0 && floor.end(logged.latest).is_some_and(|end| end > disposal.at) {
                let what = format!(
                    "it was disposed of inside the floor of class {}, {floor}, that entry {from} of the log put in force",
                    logged.class
                );
                report.problem(name.clone(), what, "records were destroyed that had to be kept");
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn segment(class_epoch: u8, latest: i64) -> Descriptor {
        Descriptor {
            segment: [class_epoch; 16],
            records: 3,
            root: [0; 32],
            earliest: latest,
            latest,
            object_digest: [0; 32],
            object_len: 1,
            class: "credit".into(),
            class_epoch: [class_epoch; 16],
            ranges: Vec::new(),
            marks: Vec::new(),
            blobs: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn floor(days: u32) -> SaidRetention {
        let text = format!(
            "format = \"minutebook/retention/1\"\n[[class]]\nname = \"credit\"\nfloor = \"{days} days\""
        );
        SaidRetention { settings: vec![text], ..SaidRetention::default() }
    }

    fn disposal(segments: u64, records: u64, at: i64) -> SaidRetention {
        let said = SaidDisposal { class_epoch: [1; 16], segments, records, at };
        SaidRetention { disposals: vec![said], ..SaidRetention::default() }
    }

    /// What is found of a log with a segment of day 0 at entry 5, gone by entry 9, and what the records say.
    fn found(said: &[(u64, SaidRetention)]) -> Vec<String> {
        let descriptors = [(5, segment(1, 0))];
        let gone = BTreeMap::from([(Gone::ClassEpoch([1; 16]), 9)]);
        let mut report = Report::default();
        check_said(&descriptors, &gone, said, &mut report);
        report.findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_disposal_inside_a_floor_that_was_in_force_is_found() {
        let at_day = |day: i64| (9, disposal(1, 3, day * DAY));
        assert_eq!(found(&[at_day(0)]), [""; 0], "without settings");
        assert_eq!(found(&[(3, floor(30)), at_day(30)]), [""; 0]);
        let wrong = |said: &[(u64, SaidRetention)]| {
            let found = found(said);
            assert!(
                found.len() == 1 && found[0].contains("inside the floor of class credit, 30 days"),
                "{found:?}"
            );
        };
        wrong(&[(3, floor(30)), at_day(29)]);
        // Put in force later, or shortened since.
        wrong(&[(8, floor(30)), at_day(29)]);
        wrong(&[(3, floor(30)), (8, floor(10)), at_day(29)]);
        // Replaced before there was a record, or put in force afterwards.
        assert_eq!(found(&[(3, floor(30)), (4, floor(10)), at_day(29)]), [""; 0]);
        assert_eq!(found(&[(3, floor(10)), at_day(29), (10, floor(30))]), [""; 0]);
    }

    #[test]
    fn a_disposal_of_another_size_or_of_nothing_is_found() {
        for (segments, records) in [(2, 3), (1, 2)] {
            let found = found(&[(9, disposal(segments, records, 0))]);
            assert!(found.len() == 1 && found[0].contains("the log has 3 in 1"), "{found:?}");
        }
        let mut other = disposal(1, 3, 0);
        other.disposals[0].class_epoch = [2; 16];
        assert_eq!(found(&[(9, other)]), ["a record says that it was disposed of, and the log does not"]);
    }
}
