//! How counts and bytes are written, wherever they are.

use std::fmt::Write;

/// A count with its noun: "1 agent", "2 agents".
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!((counted(1, "peer"), counted(0, "peer")), ("1 peer".into(), "0 peers".into()));
    }

    #[test]
    fn every_byte_takes_two_digits() {
        assert_eq!(hex(&[0, 0x0f, 0xff]), "000fff");
    }
}
