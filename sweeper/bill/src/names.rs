//! Every name once: from the bytes of a name to a small number.
//!
//! A name is found by its fingerprint, XXH3 with 128 bits and a seed drawn anew in every process, in a flat table. Two
//! names are taken as one when they agree in the 96 bits that a slot holds and fall into the same run of slots: for ten
//! million names the odds are below 10⁻¹⁴, and nobody can aim for it without knowing the seed.

use std::{
    hash::{BuildHasher, RandomState},
    sync::OnceLock,
};
use twox_hash::XxHash3_128;

/// How many names are looked up together, so that the memory is asked for all of them before any is waited for.
const TOGETHER: usize = 16;
const FIRST_SLOTS: usize = 1 << 10;
/// Names are kept in pieces of this size: one long vector would be copied, and held twice, each time it grows.
const PIECE: usize = 1 << 18;

pub(crate) type Print = u128;

/// One seed for all tables of a process, so that they can be merged by fingerprint.
fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one("sweeper-bill"))
}

/// Hands out fingerprints; holds the seed, so that it is not fetched for every name.
#[derive(Clone, Copy)]
pub(crate) struct Hasher {
    seed: u64,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self { seed: seed() }
    }

    #[inline]
    pub(crate) fn print(self, name: &[u8]) -> Print {
        XxHash3_128::oneshot_with_seed(self.seed, name)
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    low: u64,
    tag: u32,
    /// One more than the number of the name; 0 is an empty slot.
    number: u32,
}

impl Slot {
    #[inline]
    fn of(print: Print) -> (u64, u32) {
        (print as u64, (print >> 96) as u32)
    }

    #[inline]
    fn is(self, print: Print) -> bool {
        let (low, tag) = Self::of(print);
        self.low == low && self.tag == tag && self.number != 0
    }
}

/// The names of one column. Number 0 is the empty name, which also stands for null.
pub(crate) struct Names {
    slots: Vec<Slot>,
    prints: Vec<Print>,
    /// Where each name ends: piece and offset.
    places: Vec<(u32, u32, u32)>,
    pieces: Vec<Vec<u8>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { slots: Vec::new(), prints: Vec::new(), places: Vec::new(), pieces: Vec::new() };
        names.number(Hasher::new().print(b""), || b"".into());
        names
    }
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn bytes(&self, number: u32) -> &[u8] {
        let (piece, start, length) = self.places[number as usize];
        &self.pieces[piece as usize][start as usize..(start + length) as usize]
    }

    /// The name; only UTF-8 is ever put in.
    pub(crate) fn name(&self, number: u32) -> &str {
        std::str::from_utf8(self.bytes(number)).unwrap_or_default()
    }

    pub(crate) fn print(&self, number: u32) -> Print {
        self.prints[number as usize]
    }

    /// Whether a name is known, and its number.
    #[inline]
    pub(crate) fn find(&self, print: Print) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = self.place(print);
        loop {
            let slot = self.slots.get(at)?;
            if slot.number == 0 {
                return None;
            }
            if slot.is(print) {
                return Some(slot.number - 1);
            }
            at = (at + 1) & mask;
        }
    }

    /// The number of a name; `name` is asked only when it is new.
    #[inline]
    pub(crate) fn number<'a>(&mut self, print: Print, name: impl FnOnce() -> std::borrow::Cow<'a, [u8]>) -> u32 {
        match self.find(print) {
            Some(number) => number,
            None => self.insert(print, &name()),
        }
    }

    /// The numbers of many names at once. `name` is asked for the index of a new one.
    pub(crate) fn numbers<'a>(
        &mut self,
        prints: &[Print],
        numbers: &mut Vec<u32>,
        name: impl Fn(usize) -> std::borrow::Cow<'a, [u8]>,
    ) {
        for (block, prints) in prints.chunks(TOGETHER).enumerate() {
            let mut first = [Slot::default(); TOGETHER];
            for (slot, print) in first.iter_mut().zip(prints) {
                *slot = self.slots.get(self.place(*print)).copied().unwrap_or_default();
            }
            for (index, (slot, print)) in first.iter().zip(prints).enumerate() {
                let number = if slot.is(*print) {
                    slot.number - 1
                } else {
                    self.number(*print, || name(block * TOGETHER + index))
                };
                numbers.push(number);
            }
        }
    }

    #[inline]
    fn place(&self, print: Print) -> usize {
        (print >> 64) as usize & self.slots.len().wrapping_sub(1)
    }

    #[cold]
    fn insert(&mut self, print: Print, name: &[u8]) -> u32 {
        if (self.places.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let number = self.places.len() as u32;
        if self.pieces.last().is_none_or(|piece| piece.capacity() - piece.len() < name.len()) {
            self.pieces.push(Vec::with_capacity(PIECE.max(name.len())));
        }
        let piece = self.pieces.len() - 1;
        let bytes = &mut self.pieces[piece];
        self.places.push((piece as u32, bytes.len() as u32, name.len() as u32));
        bytes.extend_from_slice(name);
        self.prints.push(print);
        self.fill(print, number);
        number
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(FIRST_SLOTS);
        self.slots = Vec::new();
        self.slots.resize(count, Slot::default());
        for number in 0..self.prints.len() {
            self.fill(self.prints[number], number as u32);
        }
    }

    fn fill(&mut self, print: Print, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = self.place(print);
        while self.slots[at].number != 0 {
            at = (at + 1) & mask;
        }
        let (low, tag) = Slot::of(print);
        self.slots[at] = Slot { low, tag, number: number + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let (hasher, mut names) = (Hasher::new(), Names::default());
        let text = |count: usize| format!("arn:aws:ec2:eu-west-1:1:volume/vol-{count:08}");
        for round in 0..2 {
            let prints: Vec<Print> = (0..50_000).map(|count| hasher.print(text(count).as_bytes())).collect();
            let mut numbers = Vec::new();
            names.numbers(&prints, &mut numbers, |count| text(count).into_bytes().into());
            assert_eq!(numbers, (1..=50_000).collect::<Vec<u32>>(), "{round}");
        }
        assert_eq!(names.len(), 50_001);
        assert_eq!(names.name(50_000), text(49_999));
        assert_eq!(names.name(0), "");
        assert_eq!(names.find(hasher.print(b"")), Some(0));
        assert_eq!(names.find(hasher.print(b"other")), None);
    }
}
