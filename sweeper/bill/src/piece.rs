//! A comparison found in pieces: files are scanned apart, each by a task of its own on whatever machine, and what the
//! tasks wrote down is merged into what one scan over all files would have found.
//!
//! There are two rounds, since which days are held against which is known only when the days of all files are: the
//! first finds the days, the second, which is needed to explain and is made from the first one's pieces, what moved
//! between them. A piece tells what it was asked and of which files it is, so that pieces of two questions, or one file
//! twice, are refused.
//!
//! Written down it is a line of JSON, and after it the partials of its round, as [`crate::partial`] writes them.

use crate::{
    engine::{ScanError, scan},
    evidence::Evidence,
    focus::Bill,
    movement::{By, Compared, Names, Question, Reasons},
    partial::{Partial, PartialError},
    row::shortened,
    source::Source,
    waterfall::Waterfall,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, Read, Write},
    num::NonZeroUsize,
};
use sweeper_core::money::Amount;
use thiserror::Error;
use twox_hash::XxHash3_128;

const FORMAT: &str = "sweeper.bill-piece/1";
/// A hundred thousand files with long names.
const LONGEST_HEAD: u64 = 64 << 20;
/// A file without a row is its header, or its footer, and no longer than this.
const SMALL: u64 = 64 << 10;

/// Why a piece cannot be made, read, or merged.
#[derive(Debug, Error)]
pub enum PieceError {
    #[error("{file}: {source}")]
    File { file: String, source: io::Error },
    #[error("{0}")]
    Scan(#[from] ScanError),
    #[error("{piece}: {source}")]
    Partial { piece: String, source: PartialError },
    #[error("{piece}: it is no partial of a comparison: {problem}")]
    Damaged { piece: String, problem: String },
    #[error("{piece}: it was asked for another comparison than {first}: {difference}")]
    Question { piece: String, first: String, difference: String },
    #[error("{piece}: {file} is in {first} as well; its charges would be counted twice")]
    Twice { piece: String, file: String, first: String },
    #[error("{0}: it says why a bill moved, not what its days cost")]
    NoDays(String),
    #[error("none of the partials says what the days of a bill cost")]
    Nothing,
    #[error("{0}: it explains other days than those that are compared: it was made from other partials")]
    OtherDays(String),
    #[error("{0}: it is in no partial of the first round, or was changed since")]
    Unknown(String),
    #[error("{0}: no partial says why its charges moved")]
    Unexplained(String),
}

/// A file that a piece is of, as its task saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSeen {
    name: String,
    bytes: u64,
    /// XXH3 with 128 bits of its content, in hexadecimal: by which a file is the same under another name.
    digest: String,
}

impl FileSeen {
    fn of(source: &Source) -> Result<Self, PieceError> {
        let failed = |error| PieceError::File { file: source.name.clone(), source: error };
        let mut input = source.open().map_err(failed)?.read();
        let (mut hasher, mut bytes) = (XxHash3_128::with_seed(0), 0_u64);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.write(&buffer[..count]);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Self { name: source.name.clone(), bytes, digest: format!("{:032x}", hasher.finish_128()) })
    }

    fn all(sources: &[Source]) -> Result<Vec<Self>, PieceError> {
        let mut seen: Vec<Self> = sources.iter().map(Self::of).collect::<Result<_, _>>()?;
        seen.sort();
        Ok(seen)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    question: Question,
    round: Round,
    files: Vec<FileSeen>,
    /// Files without a charge in the days asked for; two of them may be the same.
    #[serde(default)]
    empty: Vec<FileSeen>,
    /// How many partials follow.
    partials: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Round {
    /// One partial: what the days cost.
    Days,
    /// Two partials: what moved, and the days of single resources. The second is left out where there are too many.
    Reasons,
}

/// What some files say to a question, in one of two rounds.
#[derive(Debug)]
pub struct Piece {
    question: Question,
    round: Round,
    files: Vec<FileSeen>,
    empty: Vec<FileSeen>,
    /// At least one.
    found: Vec<Partial>,
}

impl Piece {
    /// The first round: what the days of some files cost.
    ///
    /// # Errors
    /// Files that cannot be summed, and a file that is given twice.
    pub fn of_days(sources: Vec<Source>, question: Question, threads: NonZeroUsize) -> Result<Self, PieceError> {
        let seen = FileSeen::all(&sources)?;
        let days = scan(sources.clone(), &question.days(), threads)?;
        Self::new(question, Round::Days, &sources, seen, vec![days])
    }

    /// The second round: why they moved. `first` are the pieces of the first round, of all files.
    ///
    /// # Errors
    /// As [`Piece::of_days`]; a file that no piece of the first round is of; and days that cannot be compared, which
    /// is `None`.
    pub fn of_reasons(sources: Vec<Source>, first: &Pieces, threads: NonZeroUsize) -> Result<Option<Self>, PieceError> {
        let days = first.days()?;
        let seen = FileSeen::all(&sources)?;
        if let Some(file) = seen.iter().find(|file| !days.has(file)) {
            return Err(PieceError::Unknown(file.name.clone()));
        }
        let bill = first.bill(&|_, _| None)?;
        let Some(reasons) = days.question.reasons(&bill.rows) else { return Ok(None) };
        let mut found = vec![scan(sources.clone(), &reasons.lines(), threads)?];
        if Reasons::few(&found[0]) {
            found.push(scan(sources.clone(), &reasons.histories(), threads)?);
        }
        Self::new(days.question, Round::Reasons, &sources, seen, found).map(Some)
    }

    fn new(
        question: Question,
        round: Round,
        sources: &[Source],
        seen: Vec<FileSeen>,
        found: Vec<Partial>,
    ) -> Result<Self, PieceError> {
        let nothing = |found: &Partial| found.currency().is_none() && found.excluded().rows == 0;
        let mut without: BTreeSet<String> = BTreeSet::new();
        if found.iter().all(nothing) {
            without.extend(seen.iter().map(|file| file.digest.clone()));
        } else if let [_, _, ..] = sources {
            // Which of several files is empty, their sums do not say.
            for file in seen.iter().filter(|file| file.bytes <= SMALL) {
                let source = sources.iter().filter(|source| source.name == file.name).cloned().collect();
                if nothing(&scan(source, &question.days(), NonZeroUsize::MIN)?) {
                    without.insert(file.digest.clone());
                }
            }
        }
        let (empty, files): (Vec<_>, Vec<_>) = seen.into_iter().partition(|file| without.contains(&file.digest));
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for file in &files {
            if let Some(first) = known.insert(&file.digest, &file.name) {
                let (piece, file, first) = (file.name.clone(), "the same charges".to_owned(), first.to_owned());
                return Err(PieceError::Twice { piece, file, first });
            }
        }
        Ok(Self { question, round, files, empty, found })
    }

    fn has(&self, file: &FileSeen) -> bool {
        self.files.iter().chain(&self.empty).any(|seen| seen.digest == file.digest)
    }

    /// What it was asked.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// How many files it is of.
    pub const fn files(&self) -> usize {
        self.files.len() + self.empty.len()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn write(&self, mut output: impl Write) -> io::Result<()> {
        let head = Head {
            format: FORMAT.to_owned(),
            question: self.question,
            round: self.round,
            files: self.files.clone(),
            empty: self.empty.clone(),
            partials: self.found.len(),
        };
        serde_json::to_writer(&mut output, &head)?;
        output.write_all(b"\n")?;
        for partial in &self.found {
            partial.write(&mut output).map_err(|error| match error {
                PartialError::Io(error) => error,
                other => io::Error::other(other.to_string()),
            })?;
        }
        Ok(())
    }

    /// Reads back what was written down, whole or not at all. `name` is what messages call it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(name: &str, mut input: impl BufRead) -> Result<Self, PieceError> {
        let damaged = |problem: &str| PieceError::Damaged { piece: name.to_owned(), problem: problem.to_owned() };
        let failed = |source| PieceError::Partial { piece: name.to_owned(), source };
        let mut text = Vec::new();
        let read = input.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut text);
        read.map_err(|source| PieceError::File { file: name.to_owned(), source })?;
        // Its format first: another one has other fields.
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let format: Format = serde_json::from_slice(&text).map_err(|_| damaged("it does not start as one"))?;
        if format.format != FORMAT {
            return Err(damaged(&format!("its format is `{}`, not `{FORMAT}`", shortened(&format.format))));
        }
        let head: Head = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
        if !(1..=2).contains(&head.partials) {
            return Err(damaged("it has no partial, or more than two"));
        }
        let mut found = Vec::new();
        for _ in 0..head.partials {
            found.push(Partial::read(&mut input).map_err(failed)?);
        }
        let rest = input.fill_buf().map_err(|source| PieceError::File { file: name.to_owned(), source })?;
        if !rest.is_empty() {
            return Err(damaged("something follows its end"));
        }
        if head.round == Round::Days && (found.len() != 1 || *found[0].request() != head.question.days()) {
            return Err(damaged("its sums are not those of its question; make it again with this version"));
        }
        let Head { question, round, files, empty, .. } = head;
        Ok(Self { question, round, files, empty, found })
    }

    /// What another question asks for else.
    fn difference(&self, other: &Question) -> Option<String> {
        let Question { today, lag_days, by, compared } = self.question;
        let by_name = |by: By| match by {
            By::Service => "service",
            By::Account => "account",
            By::Region => "region",
            By::Resource => "resource",
            By::Owner => "owner",
        };
        let window = |compared: Compared| match compared {
            Compared::Week => "week",
            Compared::Month => "month",
        };
        if other.today != today {
            Some(format!("the day of its run is {}, not {today}; `--now` gives all of them one", other.today))
        } else if other.by != by {
            Some(format!("it is by {}, not by {}", by_name(other.by), by_name(by)))
        } else if other.compared != compared {
            Some(format!("it compares a {}, not a {}", window(other.compared), window(compared)))
        } else if other.lag_days != lag_days {
            Some(format!("its lag is {} days, not {lag_days}", other.lag_days))
        } else {
            None
        }
    }
}

/// Pieces merged, in any order: the result is the same bytes.
#[derive(Debug, Default)]
pub struct Pieces {
    days: Option<Piece>,
    reasons: Option<Piece>,
    /// The piece that was added first, and by round and digest of a file the piece it came with.
    first: String,
    from: [BTreeMap<String, String>; 2],
}

impl Pieces {
    /// Adds a piece. `name` is what messages call it.
    ///
    /// # Errors
    /// A piece of another question, of a file that another piece is of, or of another currency. What was
    /// added before is of no use then.
    pub fn add(&mut self, name: &str, piece: Piece) -> Result<(), PieceError> {
        let known = self.days.as_ref().or(self.reasons.as_ref());
        match known.and_then(|known| known.difference(&piece.question)) {
            Some(difference) => {
                return Err(PieceError::Question { piece: name.to_owned(), first: self.first.clone(), difference });
            }
            None if known.is_none() => name.clone_into(&mut self.first),
            None => {}
        }
        let (place, from) = match piece.round {
            Round::Days => (&mut self.days, &mut self.from[0]),
            Round::Reasons => (&mut self.reasons, &mut self.from[1]),
        };
        for file in &piece.files {
            if let Some(first) = from.get(&file.digest) {
                let (piece, file, first) = (name.to_owned(), file.name.clone(), first.clone());
                return Err(PieceError::Twice { piece, file, first });
            }
        }
        from.extend(piece.files.iter().map(|file| (file.digest.clone(), name.to_owned())));
        *place = Some(match place.take() {
            None => piece,
            Some(whole) => {
                let Piece { question, round, mut files, mut empty, found } = whole;
                files.extend(piece.files);
                empty.extend(piece.empty);
                files.sort();
                empty.sort();
                // Where one file alone has too many for histories, all together have: then there is but one partial.
                let found = found.into_iter().zip(piece.found).map(|(one, other)| one.merge(other));
                let found = found.collect::<Result<_, _>>().map_err(|source| match source {
                    PartialError::Requests => PieceError::OtherDays(name.to_owned()),
                    source => PieceError::Partial { piece: name.to_owned(), source },
                })?;
                Piece { question, round, files, empty, found }
            }
        });
        Ok(())
    }

    /// All pieces of the first round as one.
    ///
    /// # Errors
    /// There is none.
    pub fn days(&self) -> Result<&Piece, PieceError> {
        self.days.as_ref().ok_or_else(|| match &self.reasons {
            Some(_) => PieceError::NoDays(self.first.clone()),
            None => PieceError::Nothing,
        })
    }

    /// Whether there is a second round.
    pub const fn are_explained(&self) -> bool {
        self.reasons.is_some()
    }

    /// The bill that one scan over all files would have found.
    ///
    /// # Errors
    /// As [`Pieces::days`].
    pub fn bill(&self, names: &Names<'_>) -> Result<Bill, PieceError> {
        let days = self.days()?;
        Ok(days.question.bill(&days.found[0], names))
    }

    /// Why that `bill` moved: what [`crate::movement::explained`] would have told. `None` where no days can be compared.
    ///
    /// # Errors
    /// Pieces of the second round that are of other days or other files than those of the first.
    pub fn story(&self, bill: &Bill, floor_a_day: Amount, evidence: Evidence) -> Result<Option<Waterfall>, PieceError> {
        let days = self.days()?;
        let Some(reasons) = days.question.reasons(&bill.rows) else { return Ok(None) };
        let seen: BTreeSet<&str> = self
            .reasons
            .iter()
            .flat_map(|piece| piece.files.iter().chain(&piece.empty))
            .map(|file| &*file.digest)
            .collect();
        if let Some(file) = days.files.iter().chain(&days.empty).find(|file| !seen.contains(&*file.digest)) {
            return Err(PieceError::Unexplained(file.name.clone()));
        }
        let Some(Piece { files, empty, found, .. }) = &self.reasons else { return Err(PieceError::Nothing) };
        if let Some(file) = files.iter().chain(empty).find(|file| !days.has(file)) {
            return Err(PieceError::Unknown(file.name.clone()));
        }
        let asked = [reasons.lines(), reasons.histories()];
        if found.iter().zip(&asked).any(|(found, asked)| found.request() != asked) {
            let name = self.from[1].values().next().unwrap_or(&self.first);
            return Err(PieceError::OtherDays(name.clone()));
        }
        Ok(reasons.story(bill, &found[0], found.get(1), floor_a_day, evidence))
    }
}
