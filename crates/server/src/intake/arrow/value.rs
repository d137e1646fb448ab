//! One value of a column, encoded as a record has it (`docs/formats/record.md`). Edge: a value, or what is wrong with it; never what it is.

use std::rc::Rc;

use minutebook_present::json::{Problem as Wrong, Tree};
use minutebook_record::limits::{LINKS_MAX, VALUES_BYTES_MAX};
use minutebook_record::{Integer, Seconds, Value, cbor};
use minutebook_verify::hex;

use super::batch::{Array, bit};
use super::column::{Column, Extent, Labels, Sort};

const DAY_MS: i64 = 86_400_000;

fn lies() -> Wrong {
    Wrong::new("its place lies beyond the values")
}

pub(super) fn too_large() -> Wrong {
    Wrong::new(format!("the values of a record take at most {VALUES_BYTES_MAX} bytes"))
        .remedy("store large content elsewhere, and its digest here")
}

/// So many bytes of a row.
fn bytes_of<const N: usize>(array: &Array<'_>, row: usize) -> Result<[u8; N], Wrong> {
    let start = row.checked_mul(N).ok_or_else(lies)?;
    array.fixed.get(start..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(lies)
}

/// An integer of so many bytes.
fn int(array: &Array<'_>, row: usize, width: usize, signed: bool) -> Result<i128, Wrong> {
    Ok(match (width, signed) {
        (1, true) => i8::from_le_bytes(bytes_of(array, row)?).into(),
        (2, true) => i16::from_le_bytes(bytes_of(array, row)?).into(),
        (4, true) => i32::from_le_bytes(bytes_of(array, row)?).into(),
        (8, true) => i64::from_le_bytes(bytes_of(array, row)?).into(),
        (1, false) => u8::from_le_bytes(bytes_of(array, row)?).into(),
        (2, false) => u16::from_le_bytes(bytes_of(array, row)?).into(),
        (4, false) => u32::from_le_bytes(bytes_of(array, row)?).into(),
        _ => u64::from_le_bytes(bytes_of(array, row)?).into(),
    })
}

fn long(array: &Array<'_>, row: usize) -> Result<i64, Wrong> {
    bytes_of(array, row).map(i64::from_le_bytes)
}

/// From where to where something of a row goes in what it points into.
fn range(array: &Array<'_>, row: usize, extent: Extent) -> Result<std::ops::Range<usize>, Wrong> {
    let (start, end) = match extent {
        Extent::Large => (long(array, row)?, long(array, row + 1)?),
        _ => {
            let at = |row| bytes_of(array, row).map(i32::from_le_bytes);
            (at(row)?.into(), at(row + 1)?.into())
        }
    };
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end => Ok(start..end),
        _ => Err(lies()),
    }
}

/// The bytes of a row of texts or bytes.
fn content<'a>(array: &'a Array<'_>, row: usize, extent: Extent) -> Result<&'a [u8], Wrong> {
    if extent != Extent::View {
        return array
            .data
            .first()
            .and_then(|data| data.get(range(array, row, extent).ok()?))
            .ok_or_else(lies);
    }
    // Its length, then up to 12 bytes; of longer ones the first 4, the number of a buffer, and the place in that.
    let start = row.checked_mul(16).ok_or_else(lies)?;
    let view: &[u8; 16] = array.fixed.get(start..).and_then(|rest| rest.first_chunk()).ok_or_else(lies)?;
    let part = |at: usize| {
        let bytes = view.get(at..).and_then(|rest| rest.first_chunk()).copied();
        bytes.and_then(|bytes| usize::try_from(i32::from_le_bytes(bytes)).ok()).ok_or_else(lies)
    };
    let length = part(0)?;
    if length <= 12 {
        return view.get(4..4 + length).ok_or_else(lies);
    }
    let (buffer, from) = (part(8)?, part(12)?);
    array.data.get(buffer).and_then(|data| data.get(from..from.checked_add(length)?)).ok_or_else(lies)
}

/// The array and the place in it that a row of a dictionary stands for; nothing for a missing value.
fn label<'a, 'b>(
    array: &'a Array<'b>,
    row: usize,
    labels: Labels,
) -> Result<Option<(&'a Rc<Array<'b>>, usize)>, Wrong> {
    if array.is_null(row) {
        return Ok(None);
    }
    let place = int(array, row, labels.width, labels.signed)?;
    let mut place = usize::try_from(place).map_err(|_| lies())?;
    for part in array.labels.iter().flat_map(|parts| parts.iter()) {
        if place < part.len {
            return Ok((!part.is_null(place)).then_some((part, place)));
        }
        place -= part.len;
    }
    Err(Wrong::new("its place lies beyond the dictionary"))
}

fn utf8(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| Wrong::new("the text is not UTF-8"))
}

/// Where the value of a row is: there, or in the dictionary; nothing for a missing value.
fn plain<'a, 'b>(
    column: &Column,
    array: &'a Array<'b>,
    row: usize,
) -> Result<Option<(&'a Array<'b>, usize)>, Wrong> {
    if row >= array.len {
        return Err(lies());
    }
    match column.labels {
        Some(labels) => Ok(label(array, row, labels)?.map(|(array, row)| (&**array, row))),
        None => Ok((!array.is_null(row)).then_some((array, row))),
    }
}

/// The text of a row, where the column is of texts; nothing for a missing value.
///
/// # Errors
/// A column of another type, or a value that is none.
fn text<'a>(column: &Column, array: &'a Array<'_>, row: usize) -> Result<Option<&'a str>, Wrong> {
    let Sort::Text(extent) = column.sort else { return Err(Wrong::new("a column of texts is asked for")) };
    let Some((array, row)) = plain(column, array, row)? else { return Ok(None) };
    utf8(content(array, row, extent)?).map(Some)
}

/// The value of a row as JSON would have it, where a member of a record is meant and no field: times and durations in ns, bytes as hex digits.
///
/// # Errors
/// A column of a type that no such member has, or a value that is none.
pub(super) fn tree<'a>(column: &Column, array: &'a Array<'_>, row: usize) -> Result<Tree<'a>, Wrong> {
    let Some((array, row)) = plain(column, array, row)? else { return Ok(Tree::Null) };
    let ns = |units: i64| {
        let ns = i128::from(long(array, row)?) * i128::from(1_000_000_000 / units);
        let beyond = |_| Wrong::new("a time is in the years 1677 to 2262");
        Ok(Tree::Integer(i64::try_from(ns).map_err(beyond)?.into()))
    };
    let integer = |value: i128| Integer::new(value).map(Tree::Integer).map_err(|_| lies());
    match &column.sort {
        Sort::Null => Ok(Tree::Null),
        Sort::Bool => Ok(Tree::Bool(bit(&array.fixed, row))),
        Sort::Int(width, signed) => integer(int(array, row, *width, *signed)?),
        Sort::Float(4) => Ok(Tree::Float(f32::from_le_bytes(bytes_of(array, row)?).into())),
        Sort::Float(8) => Ok(Tree::Float(f64::from_le_bytes(bytes_of(array, row)?))),
        Sort::Text(extent) => Ok(Tree::Text(utf8(content(array, row, *extent)?)?.into())),
        Sort::Bytes(extent) => Ok(Tree::Text(hex(content(array, row, *extent)?).into())),
        Sort::FixedBytes(width) => Ok(Tree::Text(hex(fixed_bytes(array, row, *width)?).into())),
        Sort::Timestamp(units, _) | Sort::Duration(units) => ns(*units),
        Sort::List(extent) => {
            let items = range(array, row, *extent)?;
            let (column, array) = column.children.first().zip(array.children.first()).ok_or_else(lies)?;
            if items.len() > LINKS_MAX {
                return Err(Wrong::new(format!("more than {LINKS_MAX}")));
            }
            items.map(|item| tree(column, array, item)).collect::<Result<_, _>>().map(Tree::Array)
        }
        _ => Err(Wrong::new("a column of this type stands for no member of a record")),
    }
}

fn fixed_bytes<'a>(array: &'a Array<'_>, row: usize, width: usize) -> Result<&'a [u8], Wrong> {
    let start = row.checked_mul(width).ok_or_else(lies)?;
    array.fixed.get(start..).and_then(|rest| rest.get(..width)).ok_or_else(lies)
}

/// Appends the value of a row.
///
/// # Errors
/// A value that is none, or that no record holds. `out` may then hold a part of it.
pub(super) fn write(column: &Column, array: &Array<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
    if out.len() > VALUES_BYTES_MAX {
        return Err(too_large());
    }
    let Some((array, row)) = plain(column, array, row)? else {
        cbor::write_null(out);
        return Ok(());
    };
    match &column.sort {
        Sort::Null => cbor::write_null(out),
        Sort::Bool => cbor::write_bool(out, bit(&array.fixed, row)),
        Sort::Int(width, signed) => {
            let value = Integer::new(int(array, row, *width, *signed)?);
            cbor::write_integer(out, value.map_err(|_| lies())?);
        }
        Sort::Float(2) => write_half(out, u16::from_le_bytes(bytes_of(array, row)?)),
        Sort::Float(4) => cbor::write_float32(out, f32::from_le_bytes(bytes_of(array, row)?)),
        Sort::Float(_) => cbor::write_float(out, f64::from_le_bytes(bytes_of(array, row)?)),
        Sort::Text(extent) => cbor::write_text(out, utf8(content(array, row, *extent)?)?),
        Sort::Bytes(extent) => cbor::write_bytes(out, content(array, row, *extent)?),
        Sort::FixedBytes(width) => cbor::write_bytes(out, fixed_bytes(array, row, *width)?),
        Sort::Days => Value::Date(i32::from_le_bytes(bytes_of(array, row)?)).write(out),
        Sort::DayMilliseconds => {
            let ms = long(array, row)?;
            let days = i32::try_from(ms.div_euclid(DAY_MS)).ok().filter(|_| ms.rem_euclid(DAY_MS) == 0);
            Value::Date(days.ok_or_else(|| Wrong::new("the date is no whole day"))?).write(out);
        }
        Sort::Timestamp(units, _) => seconds(long(array, row)?, *units).write_timestamp(out),
        Sort::Duration(units) => seconds(long(array, row)?, *units).write_duration(out),
        Sort::Decimal(width, scale) => decimal(array, row, *width, *scale)?.write(out),
        Sort::List(extent) => write_list(column, array, range(array, row, *extent)?, out)?,
        Sort::FixedList(size) => {
            let start = row.checked_mul(*size).ok_or_else(lies)?;
            let end = start.checked_add(*size).ok_or_else(lies)?;
            write_list(column, array, start..end, out)?;
        }
        Sort::Struct => {
            cbor::write_map(out, column.order.len() as u64);
            for place in &column.order {
                let child = column.children.get(*place).zip(array.children.get(*place));
                let (column, array) = child.ok_or_else(lies)?;
                cbor::write_text(out, &column.name);
                write(column, array, row, out).map_err(|wrong| wrong.within(&column.name))?;
            }
        }
        Sort::Map => write_map(column, array, range(array, row, Extent::Small)?, out)?,
    }
    Ok(())
}

fn write_list(
    column: &Column,
    array: &Array<'_>,
    items: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let (column, array) = column.children.first().zip(array.children.first()).ok_or_else(lies)?;
    cbor::write_array(out, items.len() as u64);
    let start = items.start;
    for item in items {
        write(column, array, item, out).map_err(|wrong| wrong.within_item(item - start))?;
    }
    Ok(())
}

fn write_map(
    column: &Column,
    array: &Array<'_>,
    entries: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let (entry, pairs) = column.children.first().zip(array.children.first()).ok_or_else(lies)?;
    let ([name, item], [names, items]) = (entry.children.as_slice(), pairs.children.as_slice()) else {
        return Err(lies());
    };
    // Each entry takes two bytes at least.
    if entries.len() > VALUES_BYTES_MAX / 2 {
        return Err(too_large());
    }
    let mut order = Vec::with_capacity(entries.len());
    for at in entries {
        if at >= names.len || pairs.is_null(at) {
            return Err(lies());
        }
        let name = text(name, names, at)?.ok_or_else(|| Wrong::new("a name of the map is missing"))?;
        order.push((name.len(), name, at));
    }
    order.sort_unstable();
    if let Some(two) = order.windows(2).find(|two| two[0].1 == two[1].1) {
        return Err(Wrong::new("is there twice").within(two[0].1));
    }
    cbor::write_map(out, order.len() as u64);
    for (_, name, at) in order {
        cbor::write_text(out, name);
        write(item, items, at, out).map_err(|wrong| wrong.within(name))?;
    }
    Ok(())
}

/// A half float is its own shortest form; every NaN is one.
fn write_half(out: &mut Vec<u8>, bits: u16) {
    let is_nan = bits & 0x7c00 == 0x7c00 && bits & 0x03ff != 0;
    let [high, low] = if is_nan { [0x7e, 0x00] } else { bits.to_be_bytes() };
    out.extend_from_slice(&[0xf9, high, low]);
}

/// A count of units, exactly.
fn seconds(count: i64, units: i64) -> Seconds {
    let nanoseconds = count.rem_euclid(units) * (1_000_000_000 / units);
    // INVARIANT: less than a second.
    Seconds::new(count.div_euclid(units), nanoseconds as u32).unwrap_or(Seconds::from_nanoseconds(0))
}

fn decimal(array: &Array<'_>, row: usize, width: usize, scale: i32) -> Result<Value, Wrong> {
    let mantissa = match width {
        4 => Some(i32::from_le_bytes(bytes_of(array, row)?).into()),
        8 => Some(long(array, row)?.into()),
        16 => Some(i128::from_le_bytes(bytes_of(array, row)?)),
        _ => {
            let bytes: [u8; 32] = bytes_of(array, row)?;
            let low = bytes.first_chunk().copied().map(i128::from_le_bytes);
            let high = bytes.last_chunk().copied().map(i128::from_le_bytes);
            // What is above repeats the sign.
            low.filter(|low| high == Some(if *low < 0 { -1 } else { 0 }))
        }
    };
    let mantissa = mantissa.and_then(|mantissa| Integer::new(mantissa).ok());
    let exponent = scale.checked_neg();
    match mantissa.zip(exponent) {
        Some((mantissa, exponent)) => Ok(Value::Decimal { exponent, mantissa }),
        None => Err(Wrong::new("a decimal has at most 64 bits, without its point")),
    }
}
