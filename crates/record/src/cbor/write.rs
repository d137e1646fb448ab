//! Appending items to a buffer. Nothing is allocated but the buffer's own growth.

use super::float::{self, Width, width};
use crate::value::Integer;

#[inline]
fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if argument <= 0xff {
        out.extend_from_slice(&[major | 24, argument as u8]);
    } else {
        long_head(out, major, argument);
    }
}

fn long_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    if let Ok(short) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(short) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

/// Bytes of a head with this argument: of an unsigned integer, a length or a tag.
#[inline]
pub const fn head_len(argument: u64) -> usize {
    match argument {
        0..24 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Bytes of an encoded integer.
#[inline]
pub fn integer_len(value: impl Into<Integer>) -> usize {
    let value = value.into().get();
    head_len(if value < 0 { (-1 - value) as u64 } else { value as u64 })
}

/// Bytes of an encoded float: 3, 5 or 9.
#[inline]
pub fn float_len(value: f64) -> usize {
    match width(value) {
        Width::Half => 3,
        Width::Single => 5,
        Width::Double => 9,
    }
}

/// Appends an unsigned integer.
#[inline]
pub fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    head(out, 0, value);
}

/// Appends a signed integer.
#[inline]
pub fn write_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 { head(out, 1, !value as u64) } else { head(out, 0, value as u64) }
}

/// Appends an integer of the whole range −2^63 … 2^64−1.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, value: impl Into<Integer>) {
    let value = value.into().get();
    if value < 0 { head(out, 1, (-1 - value) as u64) } else { head(out, 0, value as u64) }
}

/// Appends a float in its shortest form; a NaN as `f97e00`.
#[inline]
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    let single = value as f32;
    if f64::from(single) == value {
        write_float32(out, single);
    } else if value.is_nan() {
        out.extend_from_slice(&[0xf9, 0x7e, 0x00]);
    } else {
        let mut item = [0xfb; 9];
        item[1..].copy_from_slice(&value.to_be_bytes());
        out.extend_from_slice(&item);
    }
}

/// Appends a single float in its shortest form: the same bytes as [`write_float`] of it, found faster.
#[inline]
pub fn write_float32(out: &mut Vec<u8>, value: f32) {
    if let Some(half) = float::half_bits(value) {
        let [high, low] = half.to_be_bytes();
        out.extend_from_slice(&[0xf9, high, low]);
    } else if value.is_nan() {
        out.extend_from_slice(&[0xf9, 0x7e, 0x00]);
    } else {
        let mut item = [0xfa; 5];
        item[1..].copy_from_slice(&value.to_be_bytes());
        out.extend_from_slice(&item);
    }
}

/// Appends a byte string.
#[inline]
pub fn write_bytes(out: &mut Vec<u8>, value: &[u8]) {
    head(out, 2, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a text.
#[inline]
pub fn write_text(out: &mut Vec<u8>, value: &str) {
    head(out, 3, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// Appends the head of an array of `length` items, which the caller appends next.
#[inline]
pub fn write_array(out: &mut Vec<u8>, length: u64) {
    head(out, 4, length);
}

/// Appends the head of a map of `length` pairs, which the caller appends next, keys ascending bytewise in their encodings and none twice.
#[inline]
pub fn write_map(out: &mut Vec<u8>, length: u64) {
    head(out, 5, length);
}

/// Appends a tag; the caller appends its content next.
#[inline]
pub fn write_tag(out: &mut Vec<u8>, tag: u64) {
    head(out, 6, tag);
}

/// Appends false or true.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xf4 | u8::from(value));
}

/// Appends null.
#[inline]
pub fn write_null(out: &mut Vec<u8>) {
    out.push(0xf6);
}
