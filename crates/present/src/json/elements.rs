//! Elements of tensors: numbers of a type, and their bytes. Edge: one element; shapes are for those who have the tensor.

use minutebook_record::{Element, Integer, Tensor};
use serde_json::Value as Json;

use super::print::{float, float32, integer};

/// An element of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(Integer),
    /// Of 32 bits.
    Single(f32),
    /// Of 64 bits, or of 16, which these hold.
    Double(f64),
}

impl Number {
    pub(super) fn is_finite(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Integer(_) => true,
            Self::Single(value) => value.is_finite(),
            Self::Double(value) => value.is_finite(),
        }
    }

    pub(crate) fn as_float(self) -> Option<f64> {
        match self {
            Self::Bool(_) => None,
            Self::Integer(value) => Some(value.get() as f64),
            Self::Single(value) => Some(f64::from(value)),
            Self::Double(value) => Some(value),
        }
    }

    pub(crate) fn json(self) -> Json {
        match self {
            Self::Bool(value) => value.into(),
            Self::Integer(value) => integer(value),
            Self::Single(value) => float32(value),
            Self::Double(value) => float(value),
        }
    }
}

/// The elements of a tensor, row by row.
pub(crate) fn elements(tensor: &Tensor) -> impl Iterator<Item = Number> + '_ {
    tensor.data.chunks_exact(tensor.element.size()).map(|bytes| number(tensor.element, bytes))
}

/// One element from its bytes, little-endian.
///
/// # Panics
/// When there are more than eight: no element takes so many.
pub fn number(element: Element, bytes: &[u8]) -> Number {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(wide);
    match element {
        Element::Bool => Number::Bool(bits != 0),
        Element::U8 | Element::U16 | Element::U32 | Element::U64 => Number::Integer(bits.into()),
        Element::I8 => Number::Integer((bits as u8 as i8).into()),
        Element::I16 => Number::Integer((bits as u16 as i16).into()),
        Element::I32 => Number::Integer((bits as u32 as i32).into()),
        Element::I64 => Number::Integer((bits as i64).into()),
        Element::F16 => Number::Double(half(bits as u16)),
        Element::F32 => Number::Single(f32::from_bits(bits as u32)),
        Element::F64 => Number::Double(f64::from_bits(bits)),
    }
}

/// A half float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// Appends a whole number as an element of this type has it; nothing when it does not fit, or the type is none of whole numbers.
pub fn write_whole(element: Element, value: i128, bytes: &mut Vec<u8>) -> Option<()> {
    macro_rules! of {
        ($type:ty) => {
            bytes.extend_from_slice(&<$type>::try_from(value).ok()?.to_le_bytes())
        };
    }
    match element {
        Element::Bool => bytes.push(u8::try_from(value).ok().filter(|value| *value <= 1)?),
        Element::U8 => of!(u8),
        Element::U16 => of!(u16),
        Element::U32 => of!(u32),
        Element::U64 => of!(u64),
        Element::I8 => of!(i8),
        Element::I16 => of!(i16),
        Element::I32 => of!(i32),
        Element::I64 => of!(i64),
        Element::F16 | Element::F32 | Element::F64 => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_they_were_written_and_not_beyond_their_type() {
        for (element, least, most) in [
            (Element::U8, 0, i128::from(u8::MAX)),
            (Element::U16, 0, i128::from(u16::MAX)),
            (Element::U32, 0, i128::from(u32::MAX)),
            (Element::U64, 0, i128::from(u64::MAX)),
            (Element::I8, i128::from(i8::MIN), i128::from(i8::MAX)),
            (Element::I16, i128::from(i16::MIN), i128::from(i16::MAX)),
            (Element::I32, i128::from(i32::MIN), i128::from(i32::MAX)),
            (Element::I64, i128::from(i64::MIN), i128::from(i64::MAX)),
        ] {
            for value in [least, least + 1, 7, most] {
                let mut bytes = Vec::new();
                write_whole(element, value, &mut bytes).unwrap();
                assert_eq!(bytes.len(), element.size());
                assert_eq!(number(element, &bytes), Number::Integer(Integer::try_from(value).unwrap()));
            }
            for value in [least - 1, most + 1] {
                let mut bytes = Vec::new();
                assert_eq!((write_whole(element, value, &mut bytes), bytes.len()), (None, 0), "{element:?}");
            }
        }
        let mut bytes = Vec::new();
        write_whole(Element::Bool, 1, &mut bytes).unwrap();
        assert_eq!(number(Element::Bool, &bytes), Number::Bool(true));
        assert_eq!(write_whole(Element::Bool, 2, &mut bytes), None);
        assert_eq!(write_whole(Element::F64, 1, &mut bytes), None);
    }
}
