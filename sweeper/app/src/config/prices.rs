//! `[prices]`: which book of list prices lies over the one of this build.

use super::{Reader, Table};
use crate::state;
use std::path::PathBuf;

const PRICES: &[&str] = &["book", "live"];

/// `[prices]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The file that `sweeper prices refresh` writes and runs read.
    pub book: Option<PathBuf>,
    /// What a price API said of late is a live price, and not only a dated one of a list.
    pub live: bool,
}

impl Prices {
    /// With the place of a book that is not named: with `live`, beside the state.
    #[must_use]
    pub fn beside(&self, state: Option<&state::Place>) -> Self {
        let book = self.book.clone().or_else(|| if self.live { place(state) } else { None });
        Self { book, live: self.live }
    }
}

/// Where a refreshed book is that has no other place: in the directory of the state, or beside its file.
pub fn place(state: Option<&state::Place>) -> Option<PathBuf> {
    const NAME: &str = "prices.toml";
    match state {
        Some(state::Place::File(path)) if path.is_dir() => Some(path.join(NAME)),
        Some(state::Place::File(path)) => Some(path.with_file_name(NAME)),
        Some(state::Place::Bucket(_) | state::Place::Memory) | None => None,
    }
}

impl Reader<'_> {
    pub(super) fn prices(&mut self, table: &Table<'_>) -> Prices {
        let Some(own) = self.table(table, "prices") else { return Prices::default() };
        self.known(own, PRICES);
        Prices {
            book: self.string(own, "book").map(|path| self.beside.join(path)),
            live: self.truth(own, "live").unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn a_book_is_named_or_lies_beside_the_state() {
        let read = |text: &str| Config::parse("sweeper.toml", text, Path::new("/etc/sweeper")).unwrap().prices;
        let state = state::Place::File("/var/lib/sweeper/state.db".into());
        let named = read("[prices]\nbook = \"prices.toml\"\n");
        assert_eq!(named.beside(Some(&state)).book.unwrap(), Path::new("/etc/sweeper/prices.toml"));
        assert!(!named.live);
        let live = read("[prices]\nlive = true\n");
        assert_eq!(live.beside(Some(&state)).book.unwrap(), Path::new("/var/lib/sweeper/prices.toml"));
        assert_eq!(live.beside(Some(&state::Place::Memory)).book, None);
        assert_eq!(read("").beside(Some(&state)), Prices::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("[prices]\nbok = \"x\"\n", "2:1"),
            ("[prices]\nbok = \"x\"\n", "`book`"),
            ("[prices]\nbook = \"\"\n", "`book` is empty"),
            ("[prices]\nlive = \"yes\"\n", "`live` is true or false"),
            ("prices = 1\n", "`[prices]`"),
        ] {
            let failure = Config::parse("sweeper.toml", text, Path::new("")).unwrap_err();
            assert!(failure.problems.concat().contains(says), "{says}: {failure:?}");
        }
    }
}
