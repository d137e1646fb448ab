//! LEB128 integers (DWARF 5 §7.6), in the shortest form only. Edge: no other varint form is known here.

/// Appends `value` as ULEB128.
pub fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as SLEB128.
pub fn write_signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = value as u8 & 0x7f;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// How many bytes [`write_unsigned`] appends.
pub fn unsigned_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Takes an ULEB128 integer off the front of `bytes`. `None` when it is cut short, too large or not in the shortest form.
pub fn read_unsigned(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let low = u64::from(byte & 0x7f);
        if at == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return None;
            }
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes an SLEB128 integer off the front of `bytes`; `None` as for [`read_unsigned`].
pub fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0i64;
    let mut previous = 0u8;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let shift = 7 * at as u32;
        if at == 9 && byte != 0 && byte != 0x7f {
            return None;
        }
        value |= i64::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            if shift < 57 && byte & 0x40 != 0 {
                value |= -1i64 << (shift + 7);
            }
            let redundant =
                at > 0 && ((byte == 0 && previous & 0x40 == 0) || (byte == 0x7f && previous & 0x40 != 0));
            if redundant {
                return None;
            }
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
        previous = byte;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_round_trip(value: u64, signed: i64, shift in 0u32..64) {
            for value in [value, value >> shift] {
                let mut bytes = Vec::new();
                write_unsigned(&mut bytes, value);
                prop_assert_eq!(bytes.len(), unsigned_len(value));
                let mut rest = bytes.as_slice();
                prop_assert_eq!(read_unsigned(&mut rest), Some(value));
                prop_assert!(rest.is_empty());
            }
            for value in [signed, signed >> shift] {
                let mut bytes = Vec::new();
                write_signed(&mut bytes, value);
                let mut rest = bytes.as_slice();
                prop_assert_eq!(read_signed(&mut rest), Some(value));
                prop_assert!(rest.is_empty());
            }
        }

        #[test]
        fn what_is_read_is_the_shortest_form(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = bytes.as_slice();
            if let Some(value) = read_unsigned(&mut rest) {
                let mut again = Vec::new();
                write_unsigned(&mut again, value);
                prop_assert_eq!(&again, &bytes[..bytes.len() - rest.len()]);
            }
            let mut rest = bytes.as_slice();
            if let Some(value) = read_signed(&mut rest) {
                let mut again = Vec::new();
                write_signed(&mut again, value);
                prop_assert_eq!(&again, &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
