//! What a scan of some files found, which adds up with what scans of other files found.
//!
//! Written down it is lines of JSON: a head, one line a group, and a last line that counts them. Groups are sorted by
//! their keys and sums are whole units of 10⁻¹² (or rows, for counts), so the same charges give the same bytes however
//! they were cut into files, rows or partials.

use crate::{
    azure_cost::Dataset,
    names::Names,
    rates::{Rate, Rates},
    request::{Key, Measure, Request, RequestError},
    rollup::Table,
    row::{Excluded, Lexicon, Place, Rows, Word, canonical, fit},
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::BTreeSet,
    io::{self, BufRead, Read, Write},
};
use sweeper_core::money::Amount;
use thiserror::Error;

const FORMAT: &str = "sweeper.bill-partial/1";
/// Four names of the greatest length and 3660 sums of five measures fit.
const LONGEST_LINE: u64 = 16 << 20;

/// Why partials do not add up, or one cannot be read back.
#[derive(Debug, Error)]
pub enum PartialError {
    #[error("reading or writing a partial: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} of a partial: {problem}")]
    Damaged { line: u64, problem: String },
    #[error("a partial of another format: {0}")]
    Format(String),
    #[error("partials of different requests")]
    Requests,
    #[error("a partial in {first} and one in {other}; amounts of two currencies have no sum")]
    Currencies { first: String, other: String },
    #[error("a partial of actual cost and one of amortised cost of Azure: they are the same charges told twice")]
    Datasets,
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("{0}")]
    Many(String),
}

/// The sums of a request over some files.
pub struct Partial {
    request: Request,
    pub(crate) lexicon: Lexicon,
    tables: Vec<Table>,
    pub(crate) excluded: Excluded,
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Partial").field("request", &self.request).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    request: Request,
    currency: Option<String>,
    /// Which cost exports of Azure are in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    azure: Vec<Dataset>,
    /// Currencies that were converted to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    converted: BTreeSet<String>,
    excluded: Excluded,
}

/// A group: which roll-up, the names of its keys and attributes, and its sums that are not zero by window and measure.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    rollup: usize,
    #[serde(borrow)]
    keys: Vec<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    attributes: Vec<std::borrow::Cow<'a, str>>,
    sums: Vec<(usize, usize, std::borrow::Cow<'a, str>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    groups: u64,
}

impl Partial {
    /// Of no files.
    pub fn new(request: Request) -> Result<Self, RequestError> {
        request.days()?;
        let tables = request.rollups.iter().map(Table::new).collect();
        Ok(Self { request, lexicon: Lexicon::default(), tables, excluded: Excluded::default() })
    }

    pub(crate) fn add(&mut self, rows: &Rows) -> Result<(), String> {
        for table in &mut self.tables {
            table.add(rows, &self.lexicon.keys)?;
        }
        Ok(())
    }

    /// Of no files, and with room for so many sums in each roll-up.
    pub(crate) fn within(request: Request, sums: usize) -> Result<Self, RequestError> {
        let mut partial = Self::new(request)?;
        for table in &mut partial.tables {
            table.limit(sums);
        }
        Ok(partial)
    }

    /// Whether something had no room.
    pub(crate) fn is_full(&self) -> bool {
        self.tables.iter().any(Table::is_full)
    }

    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Of every amount; `None` where there is none.
    pub fn currency(&self) -> Option<&str> {
        // Rows beside the days that are asked are met, too.
        let summed = self.tables.iter().any(|table| table.groups().next().is_some());
        self.lexicon.currencies.keys().next().filter(|_| summed).map(String::as_str)
    }

    /// The rates that its amounts were converted by, of the days that were asked.
    pub fn rates(&self) -> Vec<Rate> {
        let windows = || self.request.rollups.iter().flat_map(|rollup| &rollup.windows);
        let (first, end) = (windows().map(|window| window.from).min(), windows().map(|window| window.to).max());
        first
            .zip(end)
            .map_or_else(Vec::new, |(first, end)| self.request.rates.holding(&self.lexicon.converted, first, end))
    }

    /// The rows that are in no sum.
    pub const fn excluded(&self) -> &Excluded {
        &self.excluded
    }

    /// Currencies, each with the first place it is met at.
    pub(crate) fn currencies(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.lexicon.currencies.iter().map(|(currency, place)| (currency.as_str(), place))
    }

    /// Adds what was found in other files. Neither may hold a charge that the other holds.
    pub fn merge(mut self, other: Self) -> Result<Self, PartialError> {
        if self.request != other.request {
            return Err(PartialError::Requests);
        }
        if let (Some(first), Some(other)) = (self.currency(), other.currency())
            && first != other
        {
            return Err(PartialError::Currencies { first: first.to_owned(), other: other.to_owned() });
        }
        self.join(other).map_err(PartialError::Many)?;
        if self.lexicon.datasets.found().len() > 1 {
            return Err(PartialError::Datasets);
        }
        Ok(self)
    }

    /// The same without a look at currencies.
    pub(crate) fn join(&mut self, other: Self) -> Result<(), String> {
        let mut ours = renumbered(&other.lexicon);
        for (table, from) in self.tables.iter_mut().zip(&other.tables) {
            table.merge(from, &mut self.lexicon.keys, &mut ours)?;
        }
        drop(ours);
        for (currency, place) in other.lexicon.currencies {
            match self.lexicon.currencies.get_mut(&currency) {
                Some(first) if *first <= place => {}
                Some(first) => *first = place,
                None => drop(self.lexicon.currencies.insert(currency, place)),
            }
        }
        self.lexicon.converted.extend(other.lexicon.converted);
        self.lexicon.datasets.merge(other.lexicon.datasets);
        self.excluded.merge(other.excluded);
        Ok(())
    }

    /// Adds what another found, of a request for the same in other windows. `windows` tells by roll-up and window of
    /// theirs which of ours it lies in. Each measure of ours is theirs of the same place, and `Rows` is the last of
    /// theirs or one of these.
    pub(crate) fn cut(&mut self, other: &Self, windows: &[Vec<Option<usize>>]) -> Result<(), String> {
        let mut any = false;
        let mut ours = renumbered(&other.lexicon);
        for ((table, from), windows) in self.tables.iter_mut().zip(&other.tables).zip(windows) {
            any |= table.cut(from, windows, &mut self.lexicon.keys, &mut ours)?;
        }
        if any {
            for currency in other.lexicon.currencies.keys() {
                let place = Place { file: String::new(), at: crate::row::At::File };
                self.lexicon.currencies.entry(currency.clone()).or_insert(place);
            }
            self.lexicon.converted.extend(other.lexicon.converted.iter().cloned());
        }
        Ok(())
    }

    /// How many groups a roll-up has.
    pub fn count(&self, rollup: usize) -> usize {
        self.tables.get(rollup).map_or(0, |table| table.groups().count())
    }

    /// The groups of a roll-up, sorted by their keys.
    pub fn groups(&self, rollup: usize) -> Vec<Group<'_>> {
        let Some(table) = self.tables.get(rollup) else { return Vec::new() };
        let mut groups: Vec<Group<'_>> =
            table.groups().map(|number| Group { partial: self, table, rollup, number }).collect();
        groups.sort_unstable_by(Group::compare);
        groups
    }

    /// The `count` groups with the largest score, largest first; equal ones by their keys. A group without a score is
    /// none of them.
    pub fn top<S: Ord>(&self, rollup: usize, count: usize, score: impl Fn(&Group<'_>) -> Option<S>) -> Vec<Group<'_>> {
        let Some(table) = self.tables.get(rollup) else { return Vec::new() };
        let mut scored: Vec<(Reverse<S>, Group<'_>)> = table
            .groups()
            .map(|number| Group { partial: self, table, rollup, number })
            .filter_map(|group| score(&group).map(|score| (Reverse(score), group)))
            .collect();
        let order = |left: &(Reverse<S>, Group<'_>), right: &(Reverse<S>, Group<'_>)| {
            left.0.cmp(&right.0).then_with(|| left.1.compare(&right.1))
        };
        if count < scored.len() {
            scored.select_nth_unstable_by(count, order);
            scored.truncate(count);
        }
        scored.sort_unstable_by(order);
        scored.into_iter().map(|(_, group)| group).collect()
    }

    /// Writes it down.
    pub fn write(&self, mut output: impl Write) -> Result<(), PartialError> {
        let head = Head {
            format: FORMAT.to_owned(),
            request: self.request.clone(),
            currency: self.currency().map(str::to_owned),
            azure: self.lexicon.datasets.found().into_keys().collect(),
            converted: self.lexicon.converted.clone(),
            excluded: self.excluded.clone(),
        };
        let json = |error: serde_json::Error| PartialError::Io(error.into());
        serde_json::to_writer(&mut output, &head).map_err(json)?;
        output.write_all(b"\n")?;
        let mut count = 0;
        for (rollup, table) in self.tables.iter().enumerate() {
            let measures = self.request.rollups[rollup].measures.len();
            for group in self.groups(rollup) {
                let sums = (0..table.width())
                    .map(|cell| (cell, table.sum(group.number, cell)))
                    .filter(|(_, sum)| *sum != 0)
                    .map(|(cell, sum)| (cell / measures, cell % measures, sum.to_string().into()));
                let line = Line {
                    rollup,
                    keys: group.keys().map(Into::into).collect(),
                    attributes: group.attributes().map(Into::into).collect(),
                    sums: sums.collect(),
                };
                serde_json::to_writer(&mut output, &line).map_err(json)?;
                output.write_all(b"\n")?;
                count += 1;
            }
        }
        serde_json::to_writer(&mut output, &Last { groups: count }).map_err(json)?;
        output.write_all(b"\n")?;
        output.flush()?;
        Ok(())
    }

    /// Reads back what was written down, whole or not at all.
    pub fn read(mut input: impl BufRead) -> Result<Self, PartialError> {
        let (mut text, mut line) = (Vec::new(), 0);
        let mut next = |text: &mut Vec<u8>| -> Result<u64, PartialError> {
            line += 1;
            text.clear();
            input.by_ref().take(LONGEST_LINE).read_until(b'\n', text)?;
            if text.pop() != Some(b'\n') {
                return Err(PartialError::Damaged { line, problem: "it is cut off, or longer than 16 MiB".to_owned() });
            }
            Ok(line)
        };
        let damaged = |line: u64, problem: &dyn ToString| PartialError::Damaged { line, problem: problem.to_string() };
        let line = next(&mut text)?;
        let head: Head = serde_json::from_slice(&text).map_err(|error| damaged(line, &error))?;
        if head.format != FORMAT {
            return Err(PartialError::Format(crate::row::shortened(&head.format)));
        }
        let mut partial = Self::new(head.request)?;
        partial.excluded = head.excluded;
        partial.lexicon.datasets.tell(head.azure);
        if let Some(currency) = head.currency {
            let place = Place { file: String::new(), at: crate::row::At::File };
            let number = partial.lexicon.word(Word::Currency, currency.as_bytes());
            partial.lexicon.currency(number.map_err(|problem| damaged(line, &problem))?, place, &Rates::default());
        }
        partial.lexicon.converted = head.converted;
        let mut count = 0;
        loop {
            let line = next(&mut text)?;
            if text.starts_with(b"{\"groups\"") {
                let last: Last = serde_json::from_slice(&text).map_err(|error| damaged(line, &error))?;
                if last.groups != count {
                    return Err(damaged(line, &format!("{count} groups, not {}", last.groups)));
                }
                return Ok(partial);
            }
            let group: Line<'_> = serde_json::from_slice(&text).map_err(|error| damaged(line, &error))?;
            partial.restore(&group).map_err(|problem| damaged(line, &problem))?;
            count += 1;
        }
    }

    fn restore(&mut self, line: &Line<'_>) -> Result<(), String> {
        let rollup = self.request.rollups.get(line.rollup).ok_or("no such roll-up")?;
        if line.keys.len() != rollup.keys.len() || line.attributes.len() != rollup.attributes.len() {
            return Err("it has not the keys of its roll-up".to_owned());
        }
        let lexicon = &mut self.lexicon;
        let mut number = |key: Key, name: &str| -> Result<u32, String> {
            let name = fit("a key", name.as_bytes())?;
            let print = lexicon.print(key, name);
            Ok(lexicon.keys[key as usize].number(print, || canonical(key, name)))
        };
        let mut members = Vec::new();
        for (key, name) in rollup.keys.iter().zip(&line.keys) {
            members.push(number(*key, name)?);
        }
        let mut told = Vec::new();
        for (key, name) in rollup.attributes.iter().zip(&line.attributes) {
            told.push(number(*key, name)?);
        }
        let mut cells = Vec::new();
        for (window, measure, sum) in &line.sums {
            if *window >= rollup.windows.len() || *measure >= rollup.measures.len() {
                return Err("it has a sum of no window or measure".to_owned());
            }
            let sum: i128 = sum.parse().map_err(|_| "a sum is no whole number".to_owned())?;
            cells.push((window * rollup.measures.len() + measure, sum));
        }
        self.tables[line.rollup].restore(&members, &told, &cells, &lexicon.keys)
    }

    pub(crate) fn names(&self, key: Key) -> &Names {
        &self.lexicon.keys[key as usize]
    }
}

/// Gives our numbers of their names, each looked for when it is first needed.
fn renumbered(theirs: &Lexicon) -> impl FnMut(&mut [Names], Key, u32) -> u32 {
    let mut numbers: Vec<Vec<u32>> = theirs.keys.iter().map(|names| vec![u32::MAX; names.len()]).collect();
    move |names, key, number| {
        let known = &mut numbers[key as usize][number as usize];
        if *known == u32::MAX {
            let theirs = &theirs.keys[key as usize];
            *known = names[key as usize].number(theirs.print(number), || theirs.bytes(number).into());
        }
        *known
    }
}

/// One combination of keys, and its sums.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    partial: &'a Partial,
    table: &'a Table,
    rollup: usize,
    number: u32,
}

impl<'a> Group<'a> {
    /// The name of its `index`th key; empty where it is null.
    pub fn key(&self, index: usize) -> &'a str {
        match self.partial.request.rollups[self.rollup].keys.get(index) {
            Some(key) => self.partial.names(*key).name(self.table.member(self.number, index)),
            None => "",
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        let group = *self;
        (0..self.partial.request.rollups[self.rollup].keys.len()).map(move |index| group.key(index))
    }

    /// Its `index`th attribute; empty where no row has one.
    pub fn attribute(&self, index: usize) -> &'a str {
        match self.partial.request.rollups[self.rollup].attributes.get(index) {
            Some(key) => self.partial.names(*key).name(self.table.told(self.number, index)),
            None => "",
        }
    }

    pub fn attributes(&self) -> impl Iterator<Item = &'a str> {
        let group = *self;
        (0..self.partial.request.rollups[self.rollup].attributes.len()).map(move |index| group.attribute(index))
    }

    fn sum(&self, window: usize, measure: Measure) -> i128 {
        let rollup = &self.partial.request.rollups[self.rollup];
        let index = rollup.measures.iter().position(|asked| *asked == measure);
        match index {
            Some(index) if window < rollup.windows.len() => {
                self.table.sum(self.number, window * rollup.measures.len() + index)
            }
            _ => 0,
        }
    }

    /// The sum of a measure over a window, both as in the request; zero where that was not asked for.
    pub fn amount(&self, window: usize, measure: Measure) -> Amount {
        if measure.is_count() { Amount::ZERO } else { Amount::from_pico(self.sum(window, measure)) }
    }

    /// How many rows a measure counted in a window.
    pub fn count(&self, window: usize, measure: Measure) -> u64 {
        if measure.is_count() { u64::try_from(self.sum(window, measure)).unwrap_or(0) } else { 0 }
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.keys().cmp(other.keys())
    }
}
