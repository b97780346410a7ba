//! Mutations by chance: flips, numbers at their limits, pieces left out, repeated, moved and taken from elsewhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Changes made to one input, at most.
const CHANGES_MAX: usize = 6;
/// Bytes that one change moves, at most.
const PIECE_BYTES_MAX: usize = 64;
/// What limits are made of.
const BYTES: [u8; 12] = [
    0, 1, 0x7F, 0x80, 0xFF, b'"', b'/', b'.', b'-', b'\n', b'\\', 0x1B,
];
/// Numbers at the limits of what fields hold.
const NUMBERS: [u64; 10] = [
    0,
    1,
    0x7FFF,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    u64::MAX,
];
/// What texts may hold to lead somebody astray.
const WORDS: [&str; 14] = [
    "../",
    "/etc/passwd",
    "null",
    "-1",
    "1e999",
    "NaN",
    "0",
    "18446744073709551616",
    "\u{202e}",
    "\u{fffd}",
    "{",
    "[[",
    "</script>",
    "\r\n",
];

/// A stream of mutations; the same seed makes the same ones.
pub(super) struct Mutator(ChaCha8Rng);

impl Mutator {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The input with some changes, of at most `bytes_max` bytes.
    pub(super) fn mutated(
        &mut self,
        input: &[u8],
        others: &[Vec<u8>],
        bytes_max: usize,
    ) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut bytes, others);
        }
        bytes.truncate(bytes_max);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let piece = at..(at + 1 + self.below(PIECE_BYTES_MAX)).min(bytes.len());
        match self.below(11) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            2 => {
                let limit = BYTES[self.below(BYTES.len())];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = limit;
                }
            }
            3 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                let width = [2, 4, 8][self.below(3)];
                let number = if self.below(2) == 0 {
                    number.to_le_bytes()[..width].to_vec()
                } else {
                    number.to_be_bytes()[8 - width..].to_vec()
                };
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, number);
            }
            4 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(piece, word.bytes());
            }
            6 => drop(bytes.drain(piece)),
            7 => {
                let repeated = bytes[piece].repeat(1 + self.below(8));
                bytes.splice(at..at, repeated);
            }
            8 => {
                let moved: Vec<u8> = bytes.drain(piece).collect();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, moved);
            }
            9 => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len() + 1);
                let to = (from + 1 + self.below(PIECE_BYTES_MAX)).min(other.len());
                bytes.splice(piece, other[from..to].iter().copied());
            }
            // Rarely of use, and what is left is seldom worth more changes.
            _ => {
                if self.below(4) == 0 {
                    bytes.truncate(at);
                } else if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte.wrapping_add(1);
                }
            }
        }
    }

    /// From 0 up to a number that is above 0, each equally likely but for what cannot be told.
    fn below(&mut self, count: usize) -> usize {
        (self.0.next_u64() % count.max(1) as u64) as usize
    }
}
