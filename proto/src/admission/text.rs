//! Bytes as text that people copy: base32 with a checksum that finds every single mistake.
//!
//! A wrong character changes at most 5 bits in a row, two swapped neighbours at most 10, and a CRC-32 finds every change that lies within 32 bits in a row, in the checksum too. That
//! holds because the checksum runs over the bits in the order in which the text shows them.

use alloc::string::String;
use alloc::vec::Vec;

/// Without 0, 1, 8, 9 and capital letters: none of these passes for another (RFC 4648 in small letters).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Bits that one character carries.
const CHARACTER_BITS: u32 = 5;
/// CRC-32 with the highest bit first, as in BZIP2: polynomial, and start and end with all ones.
const CRC_POLYNOMIAL: u32 = 0x04c1_1db7;
const CRC_BYTES: usize = 4;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextError {
    /// The character at this place, counted from 0, is none of the alphabet.
    Character(usize),
    /// The checksum does not fit.
    Checksum,
}

/// Bytes and their checksum as text.
pub(super) fn encode(bytes: &[u8]) -> String {
    let checksum = crc(bytes).to_be_bytes();
    let mut text = String::new();
    let (mut pool, mut filled) = (0u32, 0);
    for byte in bytes.iter().chain(&checksum) {
        pool = pool << 8 | u32::from(*byte);
        filled += 8;
        while filled >= CHARACTER_BITS {
            filled -= CHARACTER_BITS;
            text.push(character(pool >> filled));
        }
    }
    if filled > 0 {
        text.push(character(pool << (CHARACTER_BITS - filled)));
    }
    text
}

/// The bytes of a text whose checksum fits.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, TextError> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut pool, mut filled) = (0u32, 0);
    for (place, found) in text.chars().enumerate() {
        let value = ALPHABET.iter().position(|letter| char::from(*letter) == found);
        let value = value.and_then(|value| u32::try_from(value).ok());
        pool = pool << CHARACTER_BITS | value.ok_or(TextError::Character(place))?;
        filled += CHARACTER_BITS;
        if filled >= 8 {
            filled -= 8;
            bytes.push((pool >> filled & 0xff) as u8);
        }
    }
    // What does not fill a byte is padding: less than a character, and zero.
    let padding = pool & ((1 << filled) - 1);
    let content = bytes.len().checked_sub(CRC_BYTES).and_then(|end| bytes.split_at_checked(end));
    let (content, checksum) = content.ok_or(TextError::Checksum)?;
    if filled >= CHARACTER_BITS || padding != 0 || crc(content).to_be_bytes() != *checksum {
        return Err(TextError::Checksum);
    }
    Ok(content.to_vec())
}

fn character(value: u32) -> char {
    let letter = ALPHABET.get((value & 31) as usize).copied();
    // Five bits are always within the alphabet.
    char::from(letter.unwrap_or_default())
}

fn crc(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            let carry = register & 1 << 31 != 0;
            register = register << 1 ^ if carry { CRC_POLYNOMIAL } else { 0 };
        }
    }
    !register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_others_compute() {
        // The check value of CRC-32/BZIP2.
        assert_eq!(crc(b"123456789"), 0xfc89_1918);
    }

    #[test]
    fn bytes_of_any_number_survive_their_text() {
        for length in 0..40u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
    }
}
