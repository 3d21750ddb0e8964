//! Rows as both readers hand them on: by column, with exact amounts and numbered names.

use crate::{
    azure_cost::Datasets,
    focus::Lane,
    names::{Hasher, Names, Print},
    rates::{Converter, Rates},
    request::{Day, END_DAY, FIRST_DAY, Key, Measure, Request, RequestError, Spread},
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// How many rows left out are described; all are counted.
pub const FLAWS_SHOWED: usize = 50;
/// No cloud's id has as many bytes.
const LONGEST_NAME: usize = 4096;
pub(crate) const DAY_MILLIS: i64 = 86_400_000;
/// A period up to this long is one day's, whatever zone the provider's day is in.
pub(crate) const ONE_DAY_MILLIS: i64 = 25 * 3_600_000;
pub(crate) const MOST_DAYS_A_ROW: i64 = 366;

/// Every `ChargeCategory`, and the lane of a charge that has no class.
pub(crate) const CATEGORIES: [(&str, Lane); 5] = [
    ("Usage", Lane::Usage),
    ("Purchase", Lane::Commitment),
    ("Adjustment", Lane::Correction),
    ("Credit", Lane::Credit),
    ("Tax", Lane::Tax),
];
/// The only `ChargeClass`; whatever its category, it makes a charge a correction.
pub(crate) const CORRECTION: &str = "Correction";
/// The `CommitmentDiscountStatus` that makes usage a commitment that nothing used.
pub(crate) const UNUSED: &str = "Unused";

/// Where in a bill something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub at: At,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// The file as a whole.
    File,
    /// A line of a CSV file, from 1.
    Line(u64),
    /// A row group of a Parquet file, from 0.
    Group(u32),
    /// A row group, from 0, and a row of it, from 0.
    Row(u32, u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        match self.at {
            At::File => Ok(()),
            At::Line(line) => write!(formatter, ", line {line}"),
            At::Group(group) => write!(formatter, ", row group {group}"),
            At::Row(group, row) => write!(formatter, ", row group {group}, row {row}"),
        }
    }
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flaw {
    pub place: Place,
    pub problem: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// The rows that were left out of every sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    pub rows: u64,
    /// The first of them, by file and place.
    pub first: BTreeSet<Flaw>,
}

impl Excluded {
    pub(crate) fn add(&mut self, flaw: Flaw) {
        self.rows += 1;
        self.show(flaw);
    }

    fn show(&mut self, flaw: Flaw) {
        if self.first.len() >= FLAWS_SHOWED && self.first.last().is_some_and(|last| *last < flaw) {
            return;
        }
        self.first.insert(flaw);
        if self.first.len() > FLAWS_SHOWED {
            self.first.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for flaw in other.first {
            self.show(flaw);
        }
    }
}

/// What a scan needs of every row.
#[derive(Debug)]
pub(crate) struct Needs {
    pub(crate) first: Day,
    pub(crate) end: Day,
    pub(crate) spread: Spread,
    /// Columns of names, without the lane.
    pub(crate) keys: Vec<Key>,
    pub(crate) lanes: bool,
    pub(crate) amounts: Vec<Cost>,
    pub(crate) rates: Rates,
}

impl Needs {
    pub(crate) fn of(request: &Request) -> Result<Self, RequestError> {
        let (first, end) = request.days()?;
        let mut keys = request.keys();
        keys.retain(|key| *key != Key::Lane);
        let unknowns = [Measure::Contracted, Measure::List, Measure::ContractedUnknown, Measure::ListUnknown];
        let amounts = Cost::ALL.into_iter().filter(|cost| match cost {
            Cost::Billed => request.measures(&[Measure::Billed]),
            // Tells a cost that is nothing from one that is not known.
            Cost::Effective => request.measures(&[Measure::Effective]) || request.measures(&unknowns),
            Cost::Contracted => request.measures(&[Measure::Contracted, Measure::ContractedUnknown]),
            Cost::List => request.measures(&[Measure::List, Measure::ListUnknown]),
            Cost::Quantity => request.measures(&[Measure::Quantity]),
        });
        let (lanes, rates) = (request.lanes(), request.rates.clone());
        Ok(Self { first, end, spread: request.spread, keys, lanes, amounts: amounts.collect(), rates })
    }

    /// By which charges of a currency are converted, if they are.
    #[inline]
    pub(crate) fn converter(&self, lexicon: &Lexicon, currency: u32) -> Option<Converter<'_>> {
        if self.rates.is_empty() { None } else { self.rates.of(lexicon.said(Word::Currency, currency)) }
    }

    /// Whether the charges of a period can matter, from its ends in milliseconds since 1970.
    #[inline]
    pub(crate) fn wants(&self, start: i64, end: Option<i64>) -> bool {
        let (from, to) = (i64::from(self.first) * DAY_MILLIS, i64::from(self.end) * DAY_MILLIS);
        start < to && (start >= from || end.is_some_and(|end| end > from))
    }
}

/// Over which days a row goes, or what is wrong with its period. `end` is given when charges are spread.
#[inline]
pub(crate) fn period(start: i64, end: Option<i64>) -> Result<(Day, u16), String> {
    let day = start.div_euclid(DAY_MILLIS) as Day;
    if !sensible(start) {
        return Err(out_of_calendar(start));
    }
    let Some(end) = end else { return Ok((day, 1)) };
    if end < start {
        return Err("ChargePeriodEnd is before ChargePeriodStart".to_owned());
    }
    if end - start <= ONE_DAY_MILLIS {
        return Ok((day, 1));
    }
    // The end is exclusive.
    let days = (end - 1).div_euclid(DAY_MILLIS) - i64::from(day) + 1;
    if days > MOST_DAYS_A_ROW {
        return Err(format!("a period of more than {MOST_DAYS_A_ROW} days"));
    }
    Ok((day, days as u16))
}

/// Whether an instant, in milliseconds since 1970, lies in the years that bills have.
#[inline]
pub(crate) fn sensible(start: i64) -> bool {
    (i64::from(FIRST_DAY) * DAY_MILLIS..i64::from(END_DAY) * DAY_MILLIS).contains(&start)
}

#[cold]
fn out_of_calendar(start: i64) -> String {
    match jiff::Timestamp::from_millisecond(start) {
        Ok(at) => format!("ChargePeriodStart is in the year {}", jiff::tz::Offset::UTC.to_datetime(at).year()),
        Err(_) => "ChargePeriodStart is outside every calendar".to_owned(),
    }
}

/// A column of amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    // First, since the others are judged by it.
    Effective,
    Billed,
    Contracted,
    List,
    Quantity,
}

impl Cost {
    pub(crate) const ALL: [Self; 5] = [Self::Effective, Self::Billed, Self::Contracted, Self::List, Self::Quantity];

    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Effective => "EffectiveCost",
            Self::Billed => "BilledCost",
            Self::Contracted => "ContractedCost",
            Self::List => "ListCost",
            Self::Quantity => "PricingQuantity",
        }
    }

    /// Whether it is money.
    pub(crate) const fn is_money(self) -> bool {
        !matches!(self, Self::Quantity)
    }

    /// What stands for null in it; without one, a null is a flaw.
    pub(crate) const fn null(self) -> Option<i128> {
        match self {
            Self::Effective | Self::Billed => None,
            // Zero beside an effective cost is unknown.
            Self::Contracted | Self::List | Self::Quantity => Some(0),
        }
    }
}

/// Rows that may matter, in order. A column that is not needed is empty.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) day: Vec<Day>,
    /// Over how many days each goes; empty where none goes over more than one.
    pub(crate) days: Vec<u16>,
    pub(crate) lane: Vec<Lane>,
    pub(crate) amounts: [Vec<i128>; Cost::ALL.len()],
    /// Numbers of names, by key.
    pub(crate) names: [Vec<u32>; Key::ALL.len()],
}

impl Rows {
    pub(crate) fn clear(&mut self) {
        self.day.clear();
        self.days.clear();
        self.lane.clear();
        self.amounts.iter_mut().for_each(Vec::clear);
        self.names.iter_mut().for_each(Vec::clear);
    }
}

impl Rows {
    /// Does what the lane of a row decides: only usage is spread over days.
    pub(crate) fn finish(&mut self) {
        for (days, lane) in self.days.iter_mut().zip(&self.lane) {
            if *lane != Lane::Usage {
                *days = 1;
            }
        }
        self.names[Key::Lane as usize].extend(self.lane.iter().map(|lane| number_of(*lane)));
    }
}

/// The names met so far: of every key, of what decides the lane, and of currencies.
pub(crate) struct Lexicon {
    pub(crate) hasher: Hasher,
    pub(crate) keys: [Names; Key::ALL.len()],
    words: [Names; 4],
    /// By number of category, of class, and of status: what it says, or that it is unknown.
    category: Vec<Option<Lane>>,
    class: Vec<Option<bool>>,
    unused: Vec<bool>,
    known: [usize; 4],
    pub(crate) currencies: BTreeMap<String, Place>,
    /// Those of them that were converted, under their own names.
    pub(crate) converted: BTreeSet<String>,
    /// Of cost exports of Azure.
    pub(crate) datasets: Datasets,
}

impl Default for Lexicon {
    fn default() -> Self {
        let mut lexicon = Self {
            hasher: Hasher::new(),
            keys: std::array::from_fn(|_| Names::default()),
            words: std::array::from_fn(|_| Names::default()),
            category: Vec::new(),
            class: Vec::new(),
            unused: Vec::new(),
            known: [0; 4],
            currencies: BTreeMap::new(),
            converted: BTreeSet::new(),
            datasets: Datasets::default(),
        };
        lexicon.learn();
        // In this order, so that the number of a lane is known.
        for lane in Lane::ALL {
            let name = lane.name().as_bytes();
            let print = lexicon.hasher.print(name);
            lexicon.keys[Key::Lane as usize].number(print, || name.into());
        }
        lexicon
    }
}

/// The number of a lane's word in every lexicon.
#[inline]
pub(crate) const fn number_of(lane: Lane) -> u32 {
    lane as u32 + 1
}

/// Names of few kinds that decide something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Category,
    Class,
    Status,
    Currency,
}

impl Word {
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Category => "ChargeCategory",
            Self::Class => "ChargeClass",
            Self::Status => "CommitmentDiscountStatus",
            Self::Currency => "BillingCurrency",
        }
    }
}

impl Lexicon {
    /// The number of a word that decides the lane.
    pub(crate) fn word(&mut self, word: Word, text: &[u8]) -> Result<u32, String> {
        let print = self.hasher.print(text);
        let number = if let Some(number) = self.words[word as usize].find(print) {
            number
        } else {
            let text = utf8(word.column(), fit(word.column(), text)?)?;
            self.words[word as usize].number(print, || text.into())
        };
        if number as usize >= self.known[word as usize] {
            self.learn();
        }
        Ok(number)
    }

    /// What new words say.
    #[cold]
    fn learn(&mut self) {
        self.known = std::array::from_fn(|word| self.words[word].len());
        let [categories, classes, statuses, _] = &self.words;
        while self.category.len() < categories.len() {
            let said = categories.name(self.category.len() as u32);
            self.category.push(CATEGORIES.iter().find(|(name, _)| *name == said).map(|(_, lane)| *lane));
        }
        while self.class.len() < classes.len() {
            self.class.push(match classes.name(self.class.len() as u32) {
                "" => Some(false),
                CORRECTION => Some(true),
                _ => None,
            });
        }
        while self.unused.len() < statuses.len() {
            self.unused.push(statuses.name(self.unused.len() as u32) == UNUSED);
        }
    }

    pub(crate) fn said(&self, word: Word, number: u32) -> &str {
        self.words[word as usize].name(number)
    }

    /// The number of a name of a key.
    pub(crate) fn name(&mut self, key: Key, text: &[u8]) -> Result<u32, String> {
        let column = key.columns().first().copied().unwrap_or_default();
        let print = self.print(key, text);
        if let Some(number) = self.keys[key as usize].find(print) {
            return Ok(number);
        }
        let name = utf8(column, fit(column, text)?)?;
        Ok(self.keys[key as usize].number(print, || canonical(key, name)))
    }

    /// The lane of a row, from the numbers of its words.
    #[inline]
    pub(crate) fn lane(&self, category: u32, class: u32, status: u32) -> Result<Lane, String> {
        match (self.class[class as usize], self.category[category as usize]) {
            (Some(true), _) => Ok(Lane::Correction),
            (Some(false), Some(Lane::Usage)) if self.unused[status as usize] => Ok(Lane::Commitment),
            (Some(false), Some(lane)) => Ok(lane),
            (None, _) => Err(format!("unknown ChargeClass `{}`", shortened(self.said(Word::Class, class)))),
            (_, None) => Err(format!("unknown ChargeCategory `{}`", shortened(self.said(Word::Category, category)))),
        }
    }

    /// Takes note of a currency, or of the one that it is converted to, and of the first place it is met at.
    pub(crate) fn currency(&mut self, number: u32, place: Place, rates: &Rates) {
        let mut currency = self.said(Word::Currency, number).to_owned();
        if rates.of(&currency).is_some() {
            self.converted.insert(std::mem::replace(&mut currency, rates.to().to_owned()));
        }
        match self.currencies.get_mut(&currency) {
            Some(first) if *first <= place => {}
            Some(first) => *first = place,
            None => drop(self.currencies.insert(currency, place)),
        }
    }

    /// Fingerprint of a name as it is compared.
    #[inline]
    pub(crate) fn print(&self, key: Key, name: &[u8]) -> Print {
        self.hasher.print(&canonical(key, name))
    }
}

/// What is kept of a name of a key: UTF-8 of a bearable length.
#[inline]
pub(crate) fn fit<'a>(column: &str, name: &'a [u8]) -> Result<&'a [u8], String> {
    if name.len() > LONGEST_NAME {
        return Err(format!("{column} has {} bytes", name.len()));
    }
    Ok(name)
}

/// Whether a name of a key can be kept.
#[inline]
pub(crate) fn check(key: Key, name: &[u8]) -> Result<(), String> {
    let column = key.columns().first().copied().unwrap_or_default();
    utf8(column, fit(column, name)?).map(drop)
}

fn utf8<'a>(column: &str, name: &'a [u8]) -> Result<&'a [u8], String> {
    match std::str::from_utf8(name) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("{column} is not UTF-8")),
    }
}

/// A name as it is compared and shown. Azure writes one id in several cases; its ids start with one slash, Google's
/// with two.
#[inline]
pub(crate) fn canonical(key: Key, name: &[u8]) -> Cow<'_, [u8]> {
    if name.first() == Some(&b'/') && key.is_id() && name.get(1) != Some(&b'/') {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// What is shown of a value that is wrong: it may be anything.
pub(crate) fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

/// The part of one day; the parts of all days are exactly the whole.
pub(crate) fn part_of(units: i128, index: u16, days: u16) -> i128 {
    let (index, days) = (i128::from(index), i128::from(days));
    let rest = units % days;
    units / days + if index < rest.abs() { rest.signum() } else { 0 }
}

/// Whether a text stands for null.
#[inline]
pub(crate) fn is_null(text: &[u8]) -> bool {
    text.is_empty() || text.len() == 4 && text.eq_ignore_ascii_case(b"null")
}

/// A word without blanks around it; empty where it stands for null.
#[inline]
pub(crate) fn cleaned(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    if is_null(text) { b"" } else { text }
}

/// An instant with a zone, in milliseconds since 1970; without one it is UTC, which FOCUS demands.
#[inline]
pub(crate) fn instant(text: &[u8]) -> Option<i64> {
    written(text).or_else(|| carefully(text))
}

/// `2026-09-01`, `2026-09-01T13:00:00Z`, `2026-09-01 13:00:00`: what exports write.
#[inline]
fn written(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?.iter().try_fold(0_i64, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then_some(number * 10 + i64::from(digit))
        })
    };
    let separated = |places: &[(usize, u8)]| places.iter().all(|(place, byte)| text.get(*place) == Some(byte));
    if !separated(&[(4, b'-'), (7, b'-')]) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day) && jiff::civil::Date::new(year as i16, month as i8, day as i8).is_err()
    {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let time = match text.len() {
        10 => 0,
        19.. if separated(&[(13, b':'), (16, b':')]) && matches!(text[10], b'T' | b' ') => {
            let mut rest = &text[19..];
            let mut millis = 0;
            if let [b'.', fraction @ ..] = rest {
                let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if !(1..=9).contains(&digits) {
                    return None;
                }
                // Anything below a millisecond does not matter to a day.
                for place in 0..3 {
                    let digit =
                        if place < digits { fraction.get(place).map_or(0, |digit| i64::from(digit - b'0')) } else { 0 };
                    millis = millis * 10 + digit;
                }
                rest = &fraction[digits..];
            }
            if !matches!(rest, b"" | b"Z" | b" UTC" | b"+00:00") {
                return None;
            }
            let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            (hour * 3600 + minute * 60 + second) * 1000 + millis
        }
        _ => return None,
    };
    Some(days * DAY_MILLIS + time)
}

/// Days of the proleptic Gregorian calendar, counted from March so that leap days come last (H. Hinnant, "chrono-
/// compatible low-level date algorithms", `days_from_civil`).
#[inline]
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cold]
fn carefully(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let plain = text.strip_suffix(" UTC").unwrap_or(text);
    let zoned = || plain.parse::<jiff::Timestamp>().ok();
    let civil = || {
        let civil = plain.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp())
    };
    zoned().or_else(civil).map(jiff::Timestamp::as_millisecond)
}
