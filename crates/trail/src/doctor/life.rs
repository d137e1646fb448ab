//! What was disposed of and which holds there are, as the catalog has it, against the log.

use super::catalog::{Tables, hex_of};
use super::evidence::Evidence;
use super::{CATALOG_DIFFERS, Findings};
use crate::catalog::DISPOSALS;
use crate::hold;
use crate::keyfolder::KeyFolder;
use crate::wrap::Purpose;
use minutebook_verify::trailfile::TrailFile;
use minutebook_verify::{Id, hex};
use std::collections::{BTreeMap, BTreeSet};

/// The tables of disposals.
pub(super) fn check_disposals(tables: &Tables, evidence: &Evidence, findings: &mut Findings) {
    let mut left = evidence.disposed.clone();
    for row in &tables.disposed_segment {
        let name = hex_of(row.cell("log_index"));
        let known = row.number("log_index").zip(row.fixed::<16>("id")).zip(row.fixed::<16>("class_epoch"));
        if known.and_then(|((index, id), epoch)| left.remove(&index).map(|is| is == (id, epoch)))
            != Some(true)
        {
            findings.row(
                "disposed_segment",
                &name,
                "the log has no such segment as disposed of",
                CATALOG_DIFFERS,
            );
        }
    }
    for (index, (id, _)) in left {
        let what = format!("it is missing, and segment {} was disposed of", hex(&id));
        findings.row("disposed_segment", &index.to_string(), what, CATALOG_DIFFERS);
    }
    let classes: BTreeMap<Id, &str> =
        evidence.disposed_classes.iter().map(|(id, class)| (*id, class.as_str())).collect();
    let mut seen: BTreeSet<Id> = BTreeSet::new();
    for row in &tables.disposed {
        let id = row.fixed::<16>("class_epoch");
        let class = id.and_then(|id| classes.get(&id));
        if class.is_none_or(|class| row.text("class") != Some(class)) {
            let name = hex_of(row.cell("class_epoch"));
            findings.row(
                "disposed",
                &name,
                "the log has no such class-epoch as disposed of",
                CATALOG_DIFFERS,
            );
        }
        seen.extend(id);
    }
    for id in classes.keys().filter(|id| !seen.contains(*id)) {
        let means =
            "what was in it is not told as disposed of, but as never there: restore the newest catalog";
        findings.row("disposed", &hex(id), "it is missing", means);
    }
    for row in &tables.class_epoch {
        if row.fixed::<16>("id").is_some_and(|id| classes.contains_key(&id)) {
            let means = "the disposal was not done, or the row was put back: with a copy of the segments from before they can be read";
            let what = "its disposal is recorded, and its key is still there";
            findings.row("class_epoch", &hex_of(row.cell("id")), what, means);
        }
    }
    let counted =
        tables.meta(DISPOSALS).map_or(Some(0), |bytes| bytes.try_into().ok().map(u64::from_be_bytes));
    if counted != Some(classes.len() as u64) {
        let what = format!("it is not {}, as many as were recorded", classes.len());
        findings.row("meta", DISPOSALS, what, CATALOG_DIFFERS);
    }
}

/// Whether every hold opens.
pub(super) fn check_holds(
    tables: &Tables,
    keys: Option<&KeyFolder>,
    file: &TrailFile,
    findings: &mut Findings,
) {
    // Without the key nobody can tell; that it is missing is told elsewhere.
    let wrapped = tables.meta("lookup_key");
    let key = keys.and_then(|keys| wrapped.and_then(|wrapped| keys.unwrap(Purpose::Lookup, wrapped)));
    let Some(key) = key else { return };
    for row in &tables.hold {
        let opens = row.fixed::<16>("id").zip(row.bytes("body"));
        if !opens.is_some_and(|(id, body)| hold::opens(&file.id, &key, id, body)) {
            let means = "nothing is erased or disposed of as long as nobody knows what it is over: restore the newest catalog";
            findings.row("hold", &hex_of(row.cell("id")), "it does not open", means);
        }
    }
}
