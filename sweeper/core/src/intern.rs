//! Strings kept once, so that a resource is a handful of numbers.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher as _, BuildHasherDefault};

/// A string of an [`Interner`]. `Sym::NONE` is the empty string and stands for "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sym(u32);

impl Sym {
    /// The empty string.
    pub const NONE: Self = Self(0);

    /// Whether this is the empty string.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// By its number, as it is written.
    pub(crate) const fn at(number: u32) -> Self {
        Self(number)
    }

    /// Its number, as it is written.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Whether it is one of the first `count` symbols, for files read back.
    pub(crate) const fn is_within(self, count: u32) -> bool {
        self.0 < count
    }
}

/// An append-only set of strings: one arena, one offset and one hash slot a string.
#[derive(Clone)]
pub struct Interner {
    arena: String,
    ends: Vec<usize>,
    slots: HashTable<u32>,
}

impl Default for Interner {
    fn default() -> Self {
        Self { arena: String::new(), ends: vec![0], slots: HashTable::new() }
    }
}

fn hash(text: &str) -> u64 {
    // Deterministic on purpose: nothing here is iterated, and the strings are not an attack surface
    // that a collision could slow down beyond the listing they came from.
    BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one(text)
}

impl Interner {
    /// The symbol of `text`, adding it when new.
    pub fn intern(&mut self, text: &str) -> Sym {
        if text.is_empty() {
            return Sym::NONE;
        }
        let code = hash(text);
        if let Some(found) = self.slots.find(code, |at| self.at(*at) == text) {
            return Sym(*found);
        }
        self.arena.push_str(text);
        self.ends.push(self.arena.len());
        let new = (self.ends.len() - 1) as u32;
        let Self { arena, ends, slots } = self;
        slots.insert_unique(code, new, |at| {
            let at = *at as usize;
            hash(&arena[ends[at - 1]..ends[at]])
        });
        Sym(new)
    }

    /// The symbol of `text`, if it was ever seen.
    pub fn find(&self, text: &str) -> Option<Sym> {
        if text.is_empty() {
            return Some(Sym::NONE);
        }
        self.slots.find(hash(text), |at| self.at(*at) == text).map(|at| Sym(*at))
    }

    /// The text of a symbol of this interner.
    pub fn text(&self, sym: Sym) -> &str {
        self.at(sym.0)
    }

    /// How many strings are kept.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether only the empty string is kept.
    pub fn is_empty(&self) -> bool {
        self.ends.len() == 1
    }

    fn at(&self, index: u32) -> &str {
        let index = index as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        // A symbol of another interner (a damaged file) reads as nothing rather than as a panic.
        self.ends.get(index).and_then(|end| self.arena.get(start..*end)).unwrap_or_default()
    }
}

impl Serialize for Interner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((1..self.ends.len()).map(|index| self.at(index as u32)))
    }
}

impl<'de> Deserialize<'de> for Interner {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // One text at a time: there may be millions.
        struct Texts;
        impl<'de> serde::de::Visitor<'de> for Texts {
            type Value = Interner;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of strings")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut texts: A) -> Result<Interner, A::Error> {
                let mut interner = Interner::default();
                while let Some(text) = texts.next_element::<String>()? {
                    interner.intern(&text);
                }
                Ok(interner)
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_symbol() {
        let mut interner = Interner::default();
        let symbols: Vec<Sym> = (0..1000).map(|n| interner.intern(&format!("vol-{n}"))).collect();
        for (n, sym) in symbols.iter().enumerate() {
            assert_eq!(interner.text(*sym), format!("vol-{n}"));
            assert_eq!(interner.intern(&format!("vol-{n}")), *sym);
        }
        assert_eq!(interner.intern(""), Sym::NONE);
        assert_eq!(interner.find("vol-1000"), None);
    }
}
