//! What was found in the files of a billing period, kept for as long as these stay the same: a run scans the open month,
//! and of closed ones adds up what an earlier run found.
//!
//! **What is kept.** The days that are asked move on daily, a period's files do not. So of a period each roll-up is kept by
//! day, over its own days and those before that corrections and late charges fall on; any windows are sums of days. That
//! has room where groups are few: by service, account, region, lane, and by resource up to some tens of thousands. What
//! would need more than [`MOST_SUMS`] is scanned each time, which is noted, so that it is tried once. Where the windows
//! that are asked do not divide the period (two months compared, or days it has nothing of), one sum for all of it is
//! enough, and that is kept.
//!
//! **When it counts.** Each entry says the state of the files it is of (manifest, run, sizes, tags) and the question in
//! whole; with another state it is another's, and is replaced. Each has a calendar: how many rows fall on every day. When
//! one falls on a day that is asked and that the entry has not, the entry is not used. Nothing is kept of files with rows
//! that are left out: which of them are counted as left out goes by the days that are asked. Roll-ups with attributes are
//! not kept, since an attribute is told of all days together.
//!
//! The sums are those of a scan, to the byte. A scan may have more to complain of: a column that a month lacks which has no
//! charge of the days that are asked, or another currency of a row beside them.

use crate::{
    engine::{ScanError, scan, scan_within},
    export::Export,
    partial::Partial,
    rates::Rates,
    request::{Measure, Request, Rollup, Window},
    source::Source,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::{
    Span,
    civil::{Date, date},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    num::NonZeroUsize,
    sync::Arc,
};
use twox_hash::XxHash3_128;

/// Changes when rows are counted in another way, or entries are written in another.
const FORMAT: &str = "sweeper.bill-cache/1";
/// Sums of one roll-up, for each thread that scans: 16 MiB. Beyond that reading an entry takes as long as a scan of the
/// columns would.
const MOST_SUMS: usize = 1 << 21;
/// Bytes of an entry as it is written before compression.
const LARGEST: u64 = 512 << 20;
/// The first line of an entry: a state of some thousand files.
const LONGEST_HEAD: u64 = 16 << 20;
/// Days before the first of a period that are kept with it: corrections of the month before.
const BEFORE: i64 = 31;
/// Days after the last: of zones behind UTC.
const AFTER: i64 = 1;
/// Days of the calendar before and after a period; what is further away is two numbers.
const CALENDAR: (i64, i64) = (731, 366);
/// Days of the longest period.
const LONGEST: i32 = 400;

/// Where entries are kept, each under a name of letters and digits.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// The entry as it was put; none where there is none, or it is not what was put.
    fn get(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps an entry in the place of the one of the same name. That it could not be kept changes no result.
    fn put(&self, name: &str, entry: &[u8]);
}

/// The files of one billing period.
#[derive(Clone, Debug)]
pub struct Set {
    /// The period, whatever its state.
    pub slot: String,
    /// What it is now: the same only while no byte of any file changes.
    pub state: String,
    pub days: Window,
    pub sources: Vec<Source>,
}

/// The files of a bill: by period where it is known when a period changes, and the others.
#[derive(Clone, Debug, Default)]
pub struct Files {
    sets: Vec<Set>,
    loose: Vec<Source>,
    shelf: Option<Arc<dyn Shelf>>,
    rates: Rates,
}

impl From<Vec<Source>> for Files {
    fn from(loose: Vec<Source>) -> Self {
        Self { loose, ..Self::default() }
    }
}

/// The first line of an entry.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    slot: String,
    question: Request,
    /// Of the files; none when it does not matter.
    state: Option<String>,
    kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    /// A partial comes after the line.
    Sums,
    /// Too many groups.
    TooMany,
    /// Rows were left out.
    Flawed,
}

/// A question to a period, in days that stay the same.
struct Question {
    request: Request,
    /// The days that each of its roll-ups but the calendar knows everything of.
    known: Vec<Window>,
}

impl Files {
    /// Of exports.
    pub fn of<'a>(exports: impl IntoIterator<Item = &'a Export>) -> Self {
        let mut files = Self::default();
        for export in exports {
            let (sets, loose) = export.sets();
            files.sets.extend(sets);
            files.loose.extend(loose);
        }
        files
    }

    /// With a place for what was found in each period.
    #[must_use]
    pub fn kept_on(self, shelf: Option<Arc<dyn Shelf>>) -> Self {
        Self { shelf, ..self }
    }

    /// With rates by which what is in other currencies is converted.
    #[must_use]
    pub fn at(self, rates: Rates) -> Self {
        Self { rates, ..self }
    }

    /// What everything that they say is of.
    pub const fn rates(&self) -> &Rates {
        &self.rates
    }

    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.loose.is_empty()
    }

    fn all(&self) -> Vec<Source> {
        self.sets.iter().flat_map(|set| &set.sources).chain(&self.loose).cloned().collect()
    }

    /// As [`scan`] of all files, at their rates.
    pub fn scan(&self, request: &Request, threads: NonZeroUsize) -> Result<Partial, ScanError> {
        let request = &Request { rates: self.rates.clone(), ..request.clone() };
        let Some(shelf) = self.shelf.as_deref().filter(|_| is_divisible(request)) else {
            return scan(self.all(), request, threads);
        };
        let mut whole = Partial::new(request.clone())?;
        let mut rest = self.loose.clone();
        for set in &self.sets {
            match set.add(shelf, request, threads, &mut whole) {
                Ok(true) => {}
                Ok(false) => rest.extend(set.sources.iter().cloned()),
                // More groups than there may be. A scan says where.
                Err(_) => return scan(self.all(), request, threads),
            }
        }
        let scanned = scan(rest, request, threads)?;
        let currencies = whole.currencies().chain(scanned.currencies()).map(|(currency, _)| currency);
        let currencies: std::collections::BTreeSet<&str> = currencies.collect();
        if currencies.len() > 1 {
            return scan(self.all(), request, threads);
        }
        scanned.merge(whole).or_else(|_| scan(self.all(), request, threads))
    }
}

/// Whether its answer is the sum of answers for single days.
fn is_divisible(request: &Request) -> bool {
    request.rollups.iter().all(|rollup| rollup.attributes.is_empty())
}

fn intersects(one: Window, other: Window) -> bool {
    one.from < other.to && other.from < one.to
}

fn is_within(inner: Window, outer: Window) -> bool {
    outer.from <= inner.from && inner.to <= outer.to
}

/// So many days before the first and after the last, within the years of bills.
fn widened(days: Window, before: i64, after: i64) -> Option<Window> {
    let from = days.from.checked_sub(Span::new().try_days(before).ok()?).ok()?.max(FIRST);
    let to = days.to.checked_add(Span::new().try_days(after).ok()?).ok()?.min(END);
    (from < to).then_some(Window { from, to })
}

/// All years that a charge may be of.
const FIRST: Date = date(2000, 1, 1);
const END: Date = date(2101, 1, 1);

/// How many rows fall on each day, and on all days far away.
fn calendar(days: Window) -> Option<Rollup> {
    let near = widened(days, CALENDAR.0, CALENDAR.1)?;
    let mut windows = near.by_day();
    windows.extend([Window { from: FIRST, to: near.from }, Window { from: near.to, to: END }]);
    windows.retain(|window| window.from < window.to);
    Some(Rollup { keys: Vec::new(), attributes: Vec::new(), windows, measures: vec![Measure::Rows], lanes: Vec::new() })
}

impl Set {
    /// Adds what is asked of this period, from what is kept, or will be from now on; whether there is such.
    fn add(
        &self,
        shelf: &dyn Shelf,
        request: &Request,
        threads: NonZeroUsize,
        whole: &mut Partial,
    ) -> Result<bool, String> {
        let Some(question) = self.question(request) else { return Ok(false) };
        let Some(kept) = self.kept(shelf, &question, threads) else { return Ok(false) };
        if !question.answers(request, &kept) {
            return Ok(false);
        }
        let windows: Vec<Vec<Option<usize>>> = question
            .request
            .rollups
            .iter()
            .zip(&request.rollups)
            .map(|(kept, asked)| {
                let place = |day: &Window| asked.windows.iter().position(|window| is_within(*day, *window));
                kept.windows.iter().map(place).collect()
            })
            .collect();
        whole.cut(&kept, &windows)?;
        Ok(true)
    }

    /// What to ask so that the answer holds on other days, too.
    fn question(&self, request: &Request) -> Option<Question> {
        if self.days.from >= self.days.to || (self.days.to - self.days.from).get_days() > LONGEST {
            return None;
        }
        let mut question =
            Question { request: Request { rates: request.rates.clone(), ..Request::default() }, known: Vec::new() };
        let asked = |rollup: &Rollup| rollup.windows.iter().any(|window| intersects(*window, self.days));
        // Where nothing is asked of its days the calendar is enough, which tells every day that a row is of.
        if request.rollups.iter().any(asked) {
            question.request.spread = request.spread;
            for rollup in &request.rollups {
                let is_one = |window: &Window| !intersects(*window, self.days) || is_within(self.days, *window);
                let (known, windows) = if rollup.windows.iter().all(is_one) {
                    (self.days, vec![self.days])
                } else {
                    let known = widened(self.days, BEFORE, AFTER)?;
                    (known, known.by_day())
                };
                let mut measures = rollup.measures.clone();
                // Tells a day with charges that add up to nothing from one without.
                if !measures.contains(&Measure::Rows) {
                    measures.push(Measure::Rows);
                }
                question.request.rollups.push(Rollup { windows, measures, ..rollup.clone() });
                question.known.push(known);
            }
        }
        question.request.rollups.push(calendar(self.days)?);
        Some(question)
    }

    /// The answer that is kept for the files as they are, or else a new one.
    fn kept(&self, shelf: &dyn Shelf, question: &Question, threads: NonZeroUsize) -> Option<Partial> {
        let asked = serde_json::to_string(&question.request).ok()?;
        let name = format!("{:032x}", XxHash3_128::oneshot(format!("{FORMAT}\n{}\n{asked}", self.slot).as_bytes()));
        if let Some((kept, partial)) = shelf.get(&name).and_then(|entry| self.read(&entry, &question.request)) {
            return partial.filter(|_| kept == Kept::Sums);
        }
        let (kept, partial) = match scan_within(self.sources.clone(), &question.request, threads, MOST_SUMS) {
            Ok(partial) if partial.excluded().rows == 0 => (Kept::Sums, Some(partial)),
            Ok(_) => (Kept::Flawed, None),
            Err((_, true)) => (Kept::TooMany, None),
            // It may be another's to say, of other days.
            Err((_, false)) => return None,
        };
        let head = Head {
            format: FORMAT.to_owned(),
            slot: self.slot.clone(),
            question: question.request.clone(),
            state: (kept != Kept::TooMany).then(|| self.state.clone()),
            kept,
        };
        if let Some(entry) = written(&head, partial.as_ref()) {
            shelf.put(&name, &entry);
        }
        partial
    }

    /// What an entry says of the files as they are; none when it is of others.
    fn read(&self, entry: &[u8], question: &Request) -> Option<(Kept, Option<Partial>)> {
        let mut input = BufReader::new(GzDecoder::new(entry).take(LARGEST));
        let mut line = Vec::new();
        input.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut line).ok()?;
        let head: Head = serde_json::from_slice(&line).ok()?;
        let is_ours = head.format == FORMAT
            && head.slot == self.slot
            && head.question == *question
            && (head.state.as_ref() == Some(&self.state) || head.kept == Kept::TooMany);
        if !is_ours {
            return None;
        }
        if head.kept != Kept::Sums {
            return Some((head.kept, None));
        }
        let partial = Partial::read(input).ok()?;
        (partial.request() == question && partial.excluded().rows == 0).then_some((head.kept, Some(partial)))
    }
}

fn written(head: &Head, partial: Option<&Partial>) -> Option<Vec<u8>> {
    // It is read back as often as written, and mostly from a disk.
    let mut output = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut output, head).ok()?;
    output.write_all(b"\n").ok()?;
    if let Some(partial) = partial {
        partial.write(&mut output).ok()?;
    }
    output.finish().ok()
}

impl Question {
    /// Whether what is kept is all that a request asks of the period: no row is of a day that is asked and not known.
    fn answers(&self, request: &Request, kept: &Partial) -> bool {
        let Some((calendar, last)) = self.request.rollups.last().zip(self.request.rollups.len().checked_sub(1)) else {
            return false;
        };
        let groups = kept.groups(last);
        let Some(rows) = groups.first() else { return true };
        let days = calendar.windows.iter().enumerate().filter(|(at, _)| rows.count(*at, Measure::Rows) > 0);
        days.map(|(_, day)| day).all(|day| {
            request.rollups.iter().enumerate().all(|(at, rollup)| {
                self.known.get(at).is_some_and(|known| is_within(*day, *known))
                    || !rollup.windows.iter().any(|window| intersects(*window, *day))
            })
        })
    }
}
