//! One scan over the files of a bill, on several threads.
//!
//! A file is a piece of work, and so is each row group of a Parquet file. Every thread sums for itself; the sums are
//! exact and are added at the end, so neither the number of threads nor the order of files changes a byte.

use crate::{
    csv, parquet,
    partial::Partial,
    request::{Request, RequestError},
    row::{At, Needs, Place},
    source::Source,
};
use std::{
    collections::VecDeque,
    fmt, io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
};
use thiserror::Error;

/// A file that cannot be summed, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    pub place: Place,
    pub problem: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// Why a scan has no result.
#[derive(Debug, Error)]
pub enum ScanError {
    #[error("{0}")]
    Request(#[from] RequestError),
    /// Every file that was refused, sorted. Nothing of any file is used then.
    #[error("{}", listed(.0))]
    Refused(Vec<Refusal>),
    #[error("{0}")]
    TwoCurrencies(Box<TwoCurrencies>),
    #[error("{0}")]
    TwoDatasets(Box<TwoDatasets>),
}

/// Actual and amortised cost of Azure are the same charges told twice.
#[derive(Debug)]
pub struct TwoDatasets {
    pub actual: Place,
    pub amortized: Place,
}

impl fmt::Display for TwoDatasets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (actual, amortized) = (&self.actual, &self.amortized);
        write!(
            formatter,
            "{actual} is actual cost and {amortized} amortised cost of Azure: the same charges told twice; leave one out"
        )
    }
}

/// Amounts of two currencies have no sum.
#[derive(Debug)]
pub struct TwoCurrencies {
    pub first: (String, Place),
    pub other: (String, Place),
}

impl fmt::Display for TwoCurrencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((first, at), (other, place)) = (&self.first, &self.other);
        let (first, other) = (crate::row::shortened(first), crate::row::shortened(other));
        write!(
            formatter,
            "{place}: a charge in {other}, and one in {first} at {at}; amounts of two currencies have no sum"
        )
    }
}

fn listed(refusals: &[Refusal]) -> String {
    const SHOWN: usize = 10;
    let mut text: Vec<String> = refusals.iter().take(SHOWN).map(ToString::to_string).collect();
    if refusals.len() > SHOWN {
        text.push(format!("and {} more", refusals.len() - SHOWN));
    }
    text.join("\n")
}

enum Work {
    File(Arc<Source>),
    Group(Arc<parquet::File>, usize),
}

struct Queue {
    waiting: VecDeque<Work>,
    /// Threads at work, each of which may find more.
    busy: usize,
}

struct Board {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Board {
    /// The next piece of work; none when there will be no more.
    fn take(&self) -> Option<Work> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                queue.busy += 1;
                return Some(work);
            }
            if queue.busy == 0 {
                self.changed.notify_all();
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives up what waits.
    fn stop(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.clear();
    }

    /// Says that a piece is done and what else it found. That comes first, so that few files are open at a time.
    fn done(&self, found: Vec<Work>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.busy -= 1;
        for work in found.into_iter().rev() {
            queue.waiting.push_front(work);
        }
        self.changed.notify_all();
    }
}

/// Sums the charges of files. Either all of them are summed, or none.
pub fn scan(sources: Vec<Source>, request: &Request, threads: NonZeroUsize) -> Result<Partial, ScanError> {
    scan_within(sources, request, threads, usize::MAX).map_err(|(error, _)| error)
}

/// The same with room for so many sums in each roll-up. An error says whether it is that more would be needed; it comes
/// as soon as that is seen.
pub(crate) fn scan_within(
    sources: Vec<Source>,
    request: &Request,
    threads: NonZeroUsize,
    sums: usize,
) -> Result<Partial, (ScanError, bool)> {
    let mut full = false;
    scanned(sources, request, threads, sums, &mut full).map_err(|error| (error, full))
}

fn scanned(
    sources: Vec<Source>,
    request: &Request,
    threads: NonZeroUsize,
    sums: usize,
    full: &mut bool,
) -> Result<Partial, ScanError> {
    let needs = Needs::of(request)?;
    let waiting: VecDeque<Work> = sources.into_iter().map(|source| Work::File(Arc::new(source))).collect();
    let board = Board { queue: Mutex::new(Queue { waiting, busy: 0 }), changed: Condvar::new() };
    let mut refusals = Vec::new();
    let mut parts = Vec::new();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(|| work(&board, &needs, request, sums))).collect();
        parts.push(work(&board, &needs, request, sums));
        for thread in others {
            if let Ok(part) = thread.join() {
                parts.push(part);
            }
        }
    });
    // What the first thread found takes in the rest: nothing is held three times.
    let mut parts = parts.into_iter();
    let mut whole = match parts.next() {
        Some(first) => {
            let (partial, refused) = first?;
            *full |= partial.is_full();
            refusals.extend(refused);
            partial
        }
        None => Partial::new(request.clone())?,
    };
    for part in parts {
        let (partial, refused) = part?;
        *full |= partial.is_full();
        refusals.extend(refused);
        if let Err(problem) = whole.join(partial) {
            *full |= whole.is_full();
            refusals.push(Refusal { place: Place { file: "all files".to_owned(), at: At::File }, problem });
        }
    }
    if !refusals.is_empty() {
        refusals.sort();
        refusals.dedup();
        return Err(ScanError::Refused(refusals));
    }
    let mut currencies: Vec<(&Place, &str)> = whole.currencies().map(|(currency, place)| (place, currency)).collect();
    currencies.sort_unstable();
    if let [(at, first), (place, other), ..] = currencies.as_slice() {
        return Err(ScanError::TwoCurrencies(Box::new(TwoCurrencies {
            first: ((*first).to_owned(), (*at).clone()),
            other: ((*other).to_owned(), (*place).clone()),
        })));
    }
    let mut datasets = whole.lexicon.datasets.found().into_values();
    if let (Some(actual), Some(amortized)) = (datasets.next(), datasets.next()) {
        return Err(ScanError::TwoDatasets(Box::new(TwoDatasets { actual, amortized })));
    }
    Ok(whole)
}

fn work(board: &Board, needs: &Needs, request: &Request, sums: usize) -> Result<(Partial, Vec<Refusal>), RequestError> {
    let mut partial = Partial::within(request.clone(), sums)?;
    let mut refusals = Vec::new();
    while let Some(work) = board.take() {
        let (file, at) = match &work {
            Work::File(source) => (source.name.clone(), At::File),
            Work::Group(file, group) => (file.name().to_owned(), At::Group(*group as u32)),
        };
        // A decoder that meets what its authors did not think of must not take the run with it.
        let done = catch_unwind(AssertUnwindSafe(|| one(work, needs, &mut partial)));
        let found = match done {
            Ok(Ok(found)) => found,
            Ok(Err((finer, problem))) => {
                refusals.push(Refusal { place: Place { file, at: finer.unwrap_or(at) }, problem });
                Vec::new()
            }
            Err(_) => {
                let problem = "its decoder failed: the file is broken".to_owned();
                refusals.push(Refusal { place: Place { file, at }, problem });
                Vec::new()
            }
        };
        board.done(found);
        if partial.is_full() && sums != usize::MAX {
            board.stop();
        }
    }
    Ok((partial, refusals))
}

/// Does one piece of work, and returns what more it found, or why the file is refused and where in it.
fn one(work: Work, needs: &Needs, partial: &mut Partial) -> Result<Vec<Work>, (Option<At>, String)> {
    match work {
        Work::Group(file, group) => {
            file.read(group, needs, partial).map_err(|problem| (None, problem))?;
            Ok(Vec::new())
        }
        Work::File(source) => {
            let told = |error: io::Error| (None, error.to_string());
            let mut opened = source.open().map_err(told)?;
            if opened.magic().map_err(told)? == b"PAR1" {
                opened.footer().map_err(told)?;
                let file = parquet::File::open(source, &opened, needs).map_err(|problem| (None, problem))?;
                let file = Arc::new(file);
                return Ok(file.groups(needs).into_iter().map(|group| Work::Group(Arc::clone(&file), group)).collect());
            }
            csv::read(&source.name, opened, needs, partial)?;
            Ok(Vec::new())
        }
    }
}
