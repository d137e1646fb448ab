//! Conversions between half, single and double floats (IEEE 754-2019 §3.6) for the shortest encoding.

/// The shortest width that holds a float exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// 16 bits.
    Half,
    /// 32 bits.
    Single,
    /// 64 bits.
    Double,
}

/// The shortest width for `value`. Every NaN is a half.
#[inline]
pub(crate) fn width(value: f64) -> Width {
    let single = value as f32;
    if f64::from(single) == value {
        if half_bits(single).is_some() { Width::Half } else { Width::Single }
    } else if value.is_nan() {
        Width::Half
    } else {
        Width::Double
    }
}

/// The half that equals `value`, if there is one. Not for NaN.
#[inline]
pub(crate) fn half_bits(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = (bits >> 23 & 0xff) as i32 - 127;
    let mantissa = bits & 0x7f_ffff;
    match exponent {
        -14..=15 if mantissa & 0x1fff == 0 => {
            Some(sign | ((exponent + 15) as u16) << 10 | (mantissa >> 13) as u16)
        }
        // A subnormal half: 2^-24 × integer. The implicit bit becomes explicit.
        -24..=-15 => {
            let full = mantissa | 0x80_0000;
            let shift = (-1 - exponent) as u32;
            (full.trailing_zeros() >= shift).then(|| sign | (full >> shift) as u16)
        }
        -127 if mantissa == 0 => Some(sign),
        128 if mantissa == 0 => Some(sign | 0x7c00),
        _ => None,
    }
}

/// The value of a half.
#[inline]
pub(crate) fn half_value(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let mantissa = u32::from(bits & 0x3ff);
    match exponent {
        0 => {
            let magnitude = mantissa as f32 / 16_777_216.0;
            f32::from_bits(sign | magnitude.to_bits())
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | mantissa << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back() {
        for bits in 0..=u16::MAX {
            let value = half_value(bits);
            if value.is_nan() {
                assert_eq!(bits & 0x7c00, 0x7c00);
                assert_eq!(width(f64::from(value)), Width::Half);
            } else {
                assert_eq!(half_bits(value), Some(bits), "{bits:04x}");
                assert_eq!(width(f64::from(value)), Width::Half);
            }
        }
    }

    #[test]
    fn neighbours_of_halves_are_singles() {
        for bits in (0..0x7c00u16).chain(0x8000..0xfc00) {
            let next = f32::from_bits(half_value(bits).to_bits() + 1);
            assert_eq!(half_bits(next), None, "{bits:04x}");
            assert_eq!(width(f64::from(next)), Width::Single);
            let beyond = f64::from_bits(f64::from(next).to_bits() + 1);
            assert_eq!(width(beyond), Width::Double);
        }
    }
}
