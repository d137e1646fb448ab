//! A window as bytes (`docs/formats/window.md`): whole, between the engine's steps, and as the fields of a `window` record, where little is kept
//! of what few decisions say. Edge: no encryption.

use crate::covers::{from_told, told};
use crate::limits::{COUNT_MIN, ITEMS_NAMED_MAX, PART_BYTES};
use crate::numbers::{Moments, Numbers};
use crate::texts::Texts;
use crate::window::{Feature, Judged, Window};
use minutebook_record::cbor::{self, Reader};
use minutebook_record::{Path, limits::PATH_PARTS_MAX};
use minutebook_verify::windows::{read_covers, write_covers};
use std::collections::BTreeMap;

/// How much of a window is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// All that is needed to go on counting.
    Whole,
    /// What is kept for good.
    Sealed,
}

/// The encoded fields of one `window` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedWindow {
    /// `window / decisions`.
    pub decisions: u64,
    /// `window / status`: a map.
    pub status: Vec<u8>,
    /// `window / rules`: a map.
    pub rules: Vec<u8>,
    /// `window / covers`: a list.
    pub covers: Vec<u8>,
    /// `window / features`: a list.
    pub features: Vec<u8>,
}

impl Window {
    /// Everything, to go on counting later.
    pub fn encode(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        cbor::write_array(&mut out, 5);
        cbor::write_unsigned(&mut out, self.decisions);
        write_status(&mut out, &self.status);
        write_rules(&mut out, &self.rules);
        write_covers(&mut out, &told(&self.covers));
        cbor::write_array(&mut out, self.features.len() as u64);
        for (path, feature) in &mut self.features {
            write_feature(&mut out, path, feature, Detail::Whole);
        }
        out
    }

    /// From what [`Window::encode`] wrote; `None` when it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5, "a window of five parts").ok()?;
        let window = Self::read(
            reader.unsigned().ok()?,
            read_status(&mut reader)?,
            read_rules(&mut reader)?,
            &mut reader,
        )?;
        reader.finish().ok()?;
        Some(window)
    }

    fn read(
        decisions: u64,
        status: BTreeMap<Box<str>, u64>,
        rules: BTreeMap<Box<str>, Judged>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let covers = from_told(read_covers(reader)?);
        Some(Self { decisions, status, rules, covers, features: read_features(reader)? })
    }

    /// Forgets what a record would not tell: what few decisions had.
    pub fn reduce(&mut self) {
        let told = self.seal().into_iter().filter_map(|part| part.open());
        self.features = told.flat_map(|part| part.features).collect();
    }

    /// The fields of the records that tell of it: more than one when there are very many features. Counts and numbers stand in the first.
    pub fn seal(&mut self) -> Vec<SealedWindow> {
        let mut parts = vec![SealedWindow {
            decisions: self.decisions,
            status: Vec::new(),
            rules: Vec::new(),
            covers: Vec::new(),
            features: Vec::new(),
        }];
        write_status(&mut parts[0].status, &self.status);
        write_rules(&mut parts[0].rules, &self.rules);
        write_covers(&mut parts[0].covers, &told(&self.covers));
        let mut features = vec![Vec::new()];
        for (path, feature) in &mut self.features {
            let mut one = Vec::new();
            write_feature(&mut one, path, feature, Detail::Sealed);
            let full =
                |part: &Vec<Vec<u8>>| part.iter().map(Vec::len).sum::<usize>() + one.len() > PART_BYTES;
            if features.last().is_some_and(full) {
                features.push(Vec::new());
                parts.push(SealedWindow {
                    decisions: 0,
                    status: vec![0xa0],
                    rules: vec![0xa0],
                    covers: vec![0x80],
                    features: Vec::new(),
                });
            }
            if let Some(part) = features.last_mut() {
                part.push(one);
            }
        }
        for (part, features) in parts.iter_mut().zip(features) {
            cbor::write_array(&mut part.features, features.len() as u64);
            features.iter().for_each(|feature| part.features.extend_from_slice(feature));
        }
        parts
    }
}

impl SealedWindow {
    /// From the encoded fields below `window`, by name; `None` when one is missing.
    pub fn from_fields<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Self> {
        Some(Self {
            decisions: Reader::new(field("decisions")?).unsigned().ok()?,
            status: field("status")?.to_vec(),
            rules: field("rules")?.to_vec(),
            covers: field("covers")?.to_vec(),
            features: field("features")?.to_vec(),
        })
    }

    /// The window that these fields tell of; `None` when they tell of none.
    pub fn open(&self) -> Option<Window> {
        let status = read_status(&mut Reader::new(&self.status))?;
        let rules = read_rules(&mut Reader::new(&self.rules))?;
        let covers = from_told(read_covers(&mut Reader::new(&self.covers))?);
        let features = read_features(&mut Reader::new(&self.features))?;
        Some(Window { decisions: self.decisions, status, rules, covers, features })
    }
}

/// Names in the order of deterministic CBOR: shorter ones first.
fn in_order<T>(map: &BTreeMap<Box<str>, T>) -> Vec<(&str, &T)> {
    let mut sorted: Vec<(&str, &T)> = map.iter().map(|(name, value)| (&**name, value)).collect();
    sorted.sort_by_key(|(name, _)| (name.len(), *name));
    sorted
}

fn write_status(out: &mut Vec<u8>, status: &BTreeMap<Box<str>, u64>) {
    cbor::write_map(out, status.len() as u64);
    for (name, count) in in_order(status) {
        cbor::write_text(out, name);
        cbor::write_unsigned(out, *count);
    }
}

fn read_status(reader: &mut Reader<'_>) -> Option<BTreeMap<Box<str>, u64>> {
    (0..reader.map().ok()?).map(|_| Some((reader.text().ok()?.into(), reader.unsigned().ok()?))).collect()
}

fn write_rules(out: &mut Vec<u8>, rules: &BTreeMap<Box<str>, Judged>) {
    cbor::write_map(out, rules.len() as u64);
    for (name, judged) in in_order(rules) {
        cbor::write_text(out, name);
        cbor::write_array(out, 2);
        cbor::write_unsigned(out, judged.judged);
        cbor::write_unsigned(out, judged.kept);
    }
}

fn read_rules(reader: &mut Reader<'_>) -> Option<BTreeMap<Box<str>, Judged>> {
    let pair = |reader: &mut Reader<'_>| {
        let name = reader.text().ok()?.into();
        reader.array_of(2, "judged and kept").ok()?;
        Some((name, Judged { judged: reader.unsigned().ok()?, kept: reader.unsigned().ok()? }))
    };
    (0..reader.map().ok()?).map(|_| pair(reader)).collect()
}

fn write_feature(out: &mut Vec<u8>, path: &Path, feature: &mut Feature, detail: Detail) {
    let parts = 2 + u64::from(feature.texts.is_some()) + u64::from(feature.numbers.is_some());
    cbor::write_map(out, parts);
    cbor::write_text(out, "path");
    cbor::write_array(out, path.parts().len() as u64);
    path.parts().for_each(|part| cbor::write_text(out, part));
    if let Some(texts) = &mut feature.texts {
        cbor::write_text(out, "texts");
        write_texts(out, texts, detail);
    }
    if let Some(numbers) = &mut feature.numbers {
        cbor::write_text(out, "numbers");
        write_numbers(out, numbers, detail);
    }
    cbor::write_text(out, "present");
    cbor::write_unsigned(out, feature.present);
}

fn read_features(reader: &mut Reader<'_>) -> Option<BTreeMap<Path, Feature>> {
    (0..reader.array().ok()?).map(|_| read_feature(reader)).collect()
}

fn read_feature(reader: &mut Reader<'_>) -> Option<(Path, Feature)> {
    let (mut path, mut feature) = (None, Feature::default());
    for _ in 0..reader.map().ok()? {
        match reader.text().ok()? {
            "path" => {
                let parts = reader.array().ok().filter(|parts| *parts <= PATH_PARTS_MAX)?;
                let parts: Option<Vec<&str>> = (0..parts).map(|_| reader.text().ok()).collect();
                path = Path::new(parts?).ok();
            }
            "texts" => feature.texts = Some(read_texts(reader)?),
            "numbers" => feature.numbers = Some(read_numbers(reader)?),
            "present" => feature.present = reader.unsigned().ok()?,
            _ => return None,
        }
    }
    Some((path?, feature))
}

fn write_numbers(out: &mut Vec<u8>, numbers: &mut Numbers, detail: Detail) {
    let is_told = detail == Detail::Whole || numbers.count() >= COUNT_MIN;
    let told = is_told.then(|| numbers.moments().zip(numbers.kll_bytes())).flatten();
    cbor::write_map(out, if told.is_some() { 7 } else { 2 });
    if let Some((moments, kll)) = told {
        let float = |out: &mut Vec<u8>, name, value| {
            cbor::write_text(out, name);
            cbor::write_float(out, value);
        };
        float(out, "m2", moments.m2);
        cbor::write_text(out, "kll");
        cbor::write_bytes(out, &kll);
        float(out, "max", moments.max);
        float(out, "min", moments.min);
        float(out, "mean", moments.mean);
    }
    cbor::write_text(out, "count");
    cbor::write_unsigned(out, numbers.count());
    cbor::write_text(out, "other");
    cbor::write_unsigned(out, numbers.not_finite());
}

fn read_numbers(reader: &mut Reader<'_>) -> Option<Numbers> {
    let (mut m2, mut kll, mut max, mut min, mut mean) = (None, None, None, None, None);
    let (mut count, mut other) = (None, None);
    for _ in 0..reader.map().ok()? {
        match reader.text().ok()? {
            "m2" => m2 = Some(reader.float64().ok()?),
            "kll" => kll = Some(reader.bytes().ok()?),
            "max" => max = Some(reader.float64().ok()?),
            "min" => min = Some(reader.float64().ok()?),
            "mean" => mean = Some(reader.float64().ok()?),
            "count" => count = Some(reader.unsigned().ok()?),
            "other" => other = Some(reader.unsigned().ok()?),
            _ => return None,
        }
    }
    let (count, other) = (count?, other?);
    let moments = match (m2, max, min, mean, kll) {
        (Some(m2), Some(max), Some(min), Some(mean), Some(_)) => Some(Moments { count, mean, m2, min, max }),
        (None, None, None, None, None) => None,
        _ => return None,
    };
    Numbers::from_parts(count, other, moments, kll)
}

fn write_texts(out: &mut Vec<u8>, texts: &mut Texts, detail: Detail) {
    let (is_id_like, is_told, least, most) = match detail {
        Detail::Whole => (texts.was_id_like(), true, 1, usize::MAX),
        Detail::Sealed => (texts.is_id_like(), texts.count() >= COUNT_MIN, COUNT_MIN, ITEMS_NAMED_MAX),
    };
    let (mut items, distinct) = (texts.items(least), texts.distinct());
    items.truncate(most);
    let names_some = detail == Detail::Whole || (is_told && !is_id_like);
    let hll = if names_some { texts.hll_bytes() } else { None };
    cbor::write_map(out, 1 + u64::from(hll.is_some()) + 3 * u64::from(is_told));
    if let Some(hll) = &hll {
        cbor::write_text(out, "hll");
        cbor::write_bytes(out, hll);
    }
    cbor::write_text(out, "count");
    cbor::write_unsigned(out, texts.count());
    if !is_told {
        return;
    }
    let items = if hll.is_some() { items } else { Vec::new() };
    cbor::write_text(out, "items");
    cbor::write_array(out, items.len() as u64);
    for (item, count) in items {
        cbor::write_array(out, 2);
        cbor::write_text(out, &item);
        cbor::write_unsigned(out, count);
    }
    cbor::write_text(out, "id-like");
    cbor::write_bool(out, is_id_like);
    cbor::write_text(out, "distinct");
    cbor::write_unsigned(out, distinct);
}

fn read_texts(reader: &mut Reader<'_>) -> Option<Texts> {
    let (mut count, mut items, mut distinct, mut hll, mut is_id_like) = (None, Vec::new(), 0, None, false);
    for _ in 0..reader.map().ok()? {
        match reader.text().ok()? {
            "hll" => hll = Some(reader.bytes().ok()?),
            "count" => count = Some(reader.unsigned().ok()?),
            "items" => {
                for _ in 0..reader.array().ok()? {
                    reader.array_of(2, "a text and a count").ok()?;
                    items.push((reader.text().ok()?.into(), reader.unsigned().ok()?));
                }
            }
            "id-like" => is_id_like = reader.bool().ok()?,
            "distinct" => distinct = reader.unsigned().ok()?,
            _ => return None,
        }
    }
    Texts::from_parts(count?, items, distinct, hll, is_id_like)
}
