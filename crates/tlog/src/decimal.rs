//! Decimal numbers as every format of this crate writes them: no sign, no leading zeros.

/// The number that this text spells, if it is the one way to spell it.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) { None } else { text.parse().ok() }
}
