//! The numbers that `window` records say they counted (`docs/formats/window.md`). Edge: the ranges only; what was counted of them is not looked at.

pub(crate) mod adding_up;

pub use adding_up::WindowsReport;

use crate::descriptor::Id;
use minutebook_record::ClassName;
use minutebook_record::cbor::{self, Reader};

/// Numbers of one run of a producer from one to another, both included, of which so many are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Whose numbers.
    pub producer: Id,
    /// Of which run.
    pub epoch: u64,
    /// In which class.
    pub class: String,
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// How many of them.
    pub count: u64,
}

/// Appends `window / covers`.
pub fn write_covers(out: &mut Vec<u8>, covers: &[Covered]) {
    cbor::write_array(out, covers.len() as u64);
    for covered in covers {
        cbor::write_array(out, 6);
        cbor::write_bytes(out, &covered.producer);
        cbor::write_unsigned(out, covered.epoch);
        cbor::write_text(out, &covered.class);
        cbor::write_unsigned(out, covered.from);
        cbor::write_unsigned(out, covered.to);
        cbor::write_unsigned(out, covered.count);
    }
}

/// Reads `window / covers`; `None` when it is none.
pub fn read_covers(reader: &mut Reader<'_>) -> Option<Vec<Covered>> {
    let mut covers = Vec::new();
    for _ in 0..reader.array().ok()? {
        reader.array_of(6, "a range of six parts").ok()?;
        let covered = Covered {
            producer: reader.bytes_of().ok()?,
            epoch: reader.unsigned().ok()?,
            class: ClassName::new(reader.text().ok()?).ok()?.to_string(),
            from: reader.unsigned().ok()?,
            to: reader.unsigned().ok()?,
            count: reader.unsigned().ok()?,
        };
        let is_sound = 1 <= covered.from
            && covered.from <= covered.to
            && covered.to <= minutebook_record::limits::NUMBER_MAX
            && (1..=covered.to - covered.from + 1).contains(&covered.count);
        is_sound.then_some(())?;
        covers.push(covered);
    }
    Some(covers)
}
