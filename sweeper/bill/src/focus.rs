//! Reads bills in the FOCUS format (focus.finops.org, versions 1.0 to 1.4) as CSV, plain or gzip.
//!
//! Columns are found by name, never by position. What comes out is small whatever goes in: totals by
//! service and day, and by lane and day. A row that cannot be understood is left out and named with its
//! file and line; a file that is not whole, or that mixes currencies, is refused.

use flate2::read::MultiGzDecoder;
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};
use sweeper_core::money::Amount;
use thiserror::Error;

/// How many rows left out are described; all are counted.
const FLAWS_SHOWED: usize = 50;
/// No cloud has a tenth of this many services.
const MOST_SERVICES: usize = 10_000;
const LONGEST_NAME: usize = 256;
/// A row of a real bill is some kilobytes, most of them tags.
const LONGEST_ROW: u64 = 16 << 20;
/// A period up to this long is one day's, whatever zone the provider's day is in.
const ONE_DAY_SECONDS: i64 = 25 * 3600;
const MOST_DAYS_A_ROW: i64 = 366;

/// Why a bill cannot be read. Nothing of it is used then.
#[derive(Debug, Error)]
pub enum FocusError {
    #[error("{file}: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file}: it has no column {column}, which FOCUS requires")]
    NoColumn { file: String, column: &'static str },
    #[error("{file}: it has two columns {column}")]
    TwoColumns { file: String, column: &'static str },
    /// Cut off, or broken in a way that could move amounts into other columns.
    #[error("{file}, line {line}: {problem}")]
    Damaged { file: String, line: u64, problem: String },
    #[error("{file}, line {line}: a charge in {other} after charges in {first}; amounts of two currencies have no sum")]
    TwoCurrencies { file: String, line: u64, first: String, other: String },
}

/// What sort of charge a row is. Lanes are never added to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// What was used, after discounts and commitments. The only lane that is compared with its past.
    Usage,
    /// Commitments bought, or paid for and unused.
    Commitment,
    /// Corrections of periods that were invoiced already, and other adjustments.
    Correction,
    Credit,
    Tax,
}

impl Lane {
    pub const ALL: [Self; 5] = [Self::Usage, Self::Commitment, Self::Correction, Self::Credit, Self::Tax];
}

/// The same charges counted in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Charges {
    /// `EffectiveCost`: amortised, after discounts and commitments.
    pub effective: Amount,
    /// `BilledCost`: as invoiced.
    pub billed: Amount,
}

impl std::ops::AddAssign for Charges {
    fn add_assign(&mut self, other: Self) {
        self.effective += other.effective;
        self.billed += other.billed;
    }
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    pub file: String,
    pub line: u64,
    pub problem: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, line {}: {}", self.file, self.line, self.problem)
    }
}

/// The rows that were left out of every total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Excluded {
    pub rows: u64,
    /// The first of them.
    pub first: Vec<Flaw>,
}

/// What a bill says, by day. Days are UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Of every amount; `None` before the first row.
    pub currency: Option<String>,
    /// Usage by service and day.
    pub usage: BTreeMap<String, BTreeMap<Date, Charges>>,
    /// Every lane by day.
    pub lanes: BTreeMap<Lane, BTreeMap<Date, Charges>>,
    /// How many rows of usage each day has: whether it is whole yet.
    pub rows: BTreeMap<Date, u64>,
    pub excluded: Excluded,
}

impl Bill {
    /// Adds a file, gzip or plain. `file` is its name in messages. The files of one bill must not overlap:
    /// an export that repeats the month so far replaces the file before it and is not read beside it.
    pub fn read(mut self, file: &str, input: impl Read) -> Result<Self, FocusError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                FocusError::Damaged { file: file.to_owned(), line: 0, problem: "the compressed file is cut off".into() }
            }
            _ => FocusError::Read { file: file.to_owned(), source },
        };
        let mut input = BufReader::new(input);
        let gzip = input.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        if gzip {
            self.rows_of(file, MultiGzDecoder::new(input), failed)?;
        } else {
            self.rows_of(file, input, failed)?;
        }
        Ok(self)
    }

    fn rows_of(
        &mut self,
        file: &str,
        input: impl Read,
        failed: impl Fn(io::Error) -> FocusError,
    ) -> Result<(), FocusError> {
        let progress = Rc::new(Progress::default());
        let bounded = Bounded { inner: input, progress: Rc::clone(&progress) };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bounded);
        let failed = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(source) => failed(source),
            other => failed(io::Error::other(format!("{other:?}"))),
        };
        let mut record = csv::ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(&failed)?;
        let columns = Columns::find(file, &record)?;
        let width = record.len();
        let mut line = 1;
        while reader.read_byte_record(&mut record).map_err(&failed)? {
            line = record.position().map_or(line, csv::Position::line);
            progress.done.set(reader.position().byte());
            if record.len() != width {
                let problem =
                    format!("it has {} fields, the header {width}: the file is cut off or broken", record.len());
                return Err(FocusError::Damaged { file: file.to_owned(), line, problem });
            }
            match self.row(&columns, &record) {
                Ok(()) => {}
                Err(Problem::Flaw(problem)) => {
                    self.excluded.rows += 1;
                    if self.excluded.first.len() < FLAWS_SHOWED {
                        self.excluded.first.push(Flaw { file: file.to_owned(), line, problem });
                    }
                }
                Err(Problem::TwoCurrencies { first, other }) => {
                    return Err(FocusError::TwoCurrencies { file: file.to_owned(), line, first, other });
                }
                Err(Problem::Refused(problem)) => {
                    return Err(FocusError::Damaged { file: file.to_owned(), line, problem });
                }
            }
        }
        // A file cut inside its last field has the right number of fields.
        if progress.last.get() != b'\n' && line > 1 && columns.read_last(width) {
            let problem = "the last line does not end: the file may be cut off inside an amount".to_owned();
            return Err(FocusError::Damaged { file: file.to_owned(), line, problem });
        }
        Ok(())
    }

    fn row(&mut self, columns: &Columns, record: &csv::ByteRecord) -> Result<(), Problem> {
        let text = |column: Column| columns.text(record, column);
        let currency = text(Column::BillingCurrency)?;
        if currency.is_empty() {
            return Err(Problem::Flaw("no BillingCurrency".to_owned()));
        }
        match &self.currency {
            None => self.currency = Some(shortened(currency)),
            Some(first) if first != currency => {
                return Err(Problem::TwoCurrencies { first: first.clone(), other: shortened(currency) });
            }
            Some(_) => {}
        }
        let lane =
            lane(text(Column::ChargeCategory)?, text(Column::ChargeClass)?, text(Column::CommitmentDiscountStatus)?)?;
        let charges = Charges {
            effective: amount("EffectiveCost", text(Column::EffectiveCost)?)?,
            billed: amount("BilledCost", text(Column::BilledCost)?)?,
        };
        let start = instant("ChargePeriodStart", text(Column::ChargePeriodStart)?)?;
        let end = instant("ChargePeriodEnd", text(Column::ChargePeriodEnd)?)?;
        if end < start {
            return Err(Problem::Flaw("ChargePeriodEnd is before ChargePeriodStart".to_owned()));
        }
        let first = day(start);
        if !(2000..=2100).contains(&first.year()) {
            return Err(Problem::Flaw(format!("ChargePeriodStart is in the year {}", first.year())));
        }
        if lane != Lane::Usage {
            *self.lanes.entry(lane).or_default().entry(first).or_default() += charges;
            return Ok(());
        }
        let service = match text(Column::ServiceName)? {
            "" => "(no service)",
            name if name.len() > LONGEST_NAME => {
                return Err(Problem::Flaw(format!("ServiceName has {} bytes", name.len())));
            }
            name => name,
        };
        let days = days_of(first, start, end)?;
        if !self.usage.contains_key(service) {
            if self.usage.len() >= MOST_SERVICES {
                return Err(Problem::Refused(format!(
                    "more than {MOST_SERVICES} services: ServiceName is something else"
                )));
            }
            self.usage.insert(service.to_owned(), BTreeMap::new());
        }
        let Some(by_day) = self.usage.get_mut(service) else { return Ok(()) };
        let all = self.lanes.entry(lane).or_default();
        let mut date = first;
        for index in 0..days {
            let part = Charges {
                effective: part_of(charges.effective, index, days),
                billed: part_of(charges.billed, index, days),
            };
            *by_day.entry(date).or_default() += part;
            *all.entry(date).or_default() += part;
            *self.rows.entry(date).or_default() += 1;
            date = date.tomorrow().map_err(|_| Problem::Flaw("the period ends with the calendar".to_owned()))?;
        }
        Ok(())
    }
}

/// Why a row is not counted.
enum Problem {
    /// The row is left out.
    Flaw(String),
    TwoCurrencies {
        first: String,
        other: String,
    },
    /// The file is refused.
    Refused(String),
}

macro_rules! columns {
    ($($name:ident $mandatory:literal),* $(,)?) => {
        /// A column that is read, by its FOCUS name.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Column { $($name),* }

        impl Column {
            const ALL: &'static [(Self, &'static str, bool)] = &[$((Self::$name, stringify!($name), $mandatory)),*];
        }
    };
}

// CommitmentDiscountStatus is conditional in FOCUS: without commitments there is none. ChargeClass is not:
// without it corrections would count as usage.
columns! {
    BilledCost true, EffectiveCost true, BillingCurrency true, ChargeCategory true, ChargeClass true,
    ChargePeriodStart true, ChargePeriodEnd true, ServiceName true, CommitmentDiscountStatus false,
}

/// Where each column stands in this file.
struct Columns([Option<usize>; Column::ALL.len()]);

impl Columns {
    fn find(file: &str, header: &csv::ByteRecord) -> Result<Self, FocusError> {
        let mut places = [None; Column::ALL.len()];
        for (index, field) in header.iter().enumerate() {
            let field = if index == 0 { field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field) } else { field };
            let field = field.trim_ascii();
            // Query engines lower-case the names.
            for (column, name, _) in Column::ALL {
                if field.eq_ignore_ascii_case(name.as_bytes()) && places[*column as usize].replace(index).is_some() {
                    return Err(FocusError::TwoColumns { file: file.to_owned(), column: name });
                }
            }
        }
        for (column, name, mandatory) in Column::ALL {
            if *mandatory && places[*column as usize].is_none() {
                return Err(FocusError::NoColumn { file: file.to_owned(), column: name });
            }
        }
        Ok(Self(places))
    }

    /// The field, without blanks around it; empty where it is null or there is no such column.
    fn text<'a>(&self, record: &'a csv::ByteRecord, column: Column) -> Result<&'a str, Problem> {
        let field = self.0[column as usize].and_then(|index| record.get(index)).unwrap_or_default();
        let text = std::str::from_utf8(field).map_err(|_| {
            let (_, name, _) = Column::ALL[column as usize];
            Problem::Flaw(format!("{name} is not UTF-8"))
        })?;
        let text = text.trim();
        Ok(if text.eq_ignore_ascii_case("null") { "" } else { text })
    }

    /// Whether the last field of a row is one that is read.
    fn read_last(&self, width: usize) -> bool {
        self.0.iter().flatten().any(|index| index + 1 == width)
    }
}

fn lane(category: &str, class: &str, commitment: &str) -> Result<Lane, Problem> {
    match class {
        "" => {}
        "Correction" => return Ok(Lane::Correction),
        other => return Err(Problem::Flaw(format!("unknown ChargeClass `{}`", shortened(other)))),
    }
    match category {
        "Usage" if commitment == "Unused" => Ok(Lane::Commitment),
        "Usage" => Ok(Lane::Usage),
        "Purchase" => Ok(Lane::Commitment),
        "Adjustment" => Ok(Lane::Correction),
        "Credit" => Ok(Lane::Credit),
        "Tax" => Ok(Lane::Tax),
        other => Err(Problem::Flaw(format!("unknown ChargeCategory `{}`", shortened(other)))),
    }
}

fn amount(column: &str, text: &str) -> Result<Amount, Problem> {
    // Far above any bill, far below where sums of many rows would overflow.
    const MOST: Amount = Amount::whole(1_000_000_000_000_000);
    match Amount::parse(text) {
        Some(amount) if amount <= MOST && Amount::ZERO - amount <= MOST => Ok(amount),
        _ => Err(Problem::Flaw(format!("{column} is not an amount: `{}`", shortened(text)))),
    }
}

/// An instant with a zone; without one it is UTC, which FOCUS demands.
fn instant(column: &str, text: &str) -> Result<Timestamp, Problem> {
    let plain = text.strip_suffix(" UTC").unwrap_or(text);
    let zoned = || plain.parse::<Timestamp>().ok();
    let civil = || plain.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    zoned().or_else(civil).ok_or_else(|| Problem::Flaw(format!("{column} is not a time: `{}`", shortened(text))))
}

fn day(at: Timestamp) -> Date {
    Offset::UTC.to_datetime(at).date()
}

/// Over how many days, from `first`, the charge of a period is spread.
fn days_of(first: Date, start: Timestamp, end: Timestamp) -> Result<i64, Problem> {
    let seconds = end.as_second() - start.as_second();
    if seconds <= ONE_DAY_SECONDS {
        return Ok(1);
    }
    // The end is exclusive.
    let last = day(Timestamp::from_second(end.as_second() - 1).unwrap_or(end));
    let days = last.since(first).map_or(i64::MAX, |span| i64::from(span.get_days()) + 1);
    if days > MOST_DAYS_A_ROW {
        return Err(Problem::Flaw(format!("a period of more than {MOST_DAYS_A_ROW} days")));
    }
    Ok(days)
}

/// The part of one day; the parts of all days are exactly the whole.
fn part_of(whole: Amount, index: i64, days: i64) -> Amount {
    let (units, days) = (whole.pico(), i128::from(days));
    let rest = units % days;
    let extra = if i128::from(index) < rest.abs() { rest.signum() } else { 0 };
    Amount::from_pico(units / days + extra)
}

/// What is shown of a value that is wrong: it may be anything.
fn shortened(text: &str) -> String {
    let mut out: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

/// What the CSV reader has taken, and where its last whole row ended.
#[derive(Default)]
struct Progress {
    taken: Cell<u64>,
    done: Cell<u64>,
    last: Cell<u8>,
}

/// Ends a file whose rows do not end, before it fills the memory.
struct Bounded<R> {
    inner: R,
    progress: Rc<Progress>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(last) = buffer[..count].last() {
            self.progress.last.set(*last);
        }
        let taken = self.progress.taken.get() + count as u64;
        self.progress.taken.set(taken);
        if taken.saturating_sub(self.progress.done.get()) > LONGEST_ROW {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a row that is longer than 16 MiB"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const HEADER: &str = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,\
                          ChargePeriodStart,ChargePeriodEnd,ServiceName,CommitmentDiscountStatus,Tags\n";

    fn row(billed: &str, effective: &str, category: &str, class: &str, start: &str, end: &str) -> String {
        format!("{billed},{effective},USD,{category},{class},{start},{end},Compute,,\"{{}}\"\n")
    }

    fn usage(amount: &str) -> String {
        row(amount, amount, "Usage", "", "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z")
    }

    fn read(text: &str) -> Result<Bill, FocusError> {
        Bill::default().read("bill.csv", text.as_bytes())
    }

    fn total(bill: &Bill, lane: Lane) -> Charges {
        let mut total = Charges::default();
        for charges in bill.lanes.get(&lane).into_iter().flat_map(BTreeMap::values) {
            total += *charges;
        }
        total
    }

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn sums_are_exact() {
        let bill = read(&(HEADER.to_owned() + &usage("0.1").repeat(1000) + &usage("-1e-12"))).unwrap();
        assert_eq!(total(&bill, Lane::Usage).effective, usd("99.999999999999"));
        assert_eq!(bill.rows.values().sum::<u64>(), 1001);
        assert_eq!(bill.currency.as_deref(), Some("USD"));
    }

    #[test]
    fn columns_are_found_by_name() {
        let moved = "\u{feff}x_Extra,servicename, BillingCurrency ,chargecategory,ChargeClass,ChargePeriodEnd,\
                     ChargePeriodStart,EffectiveCost,BilledCost,x_Last\r\n\
                     1,Storage,EUR,Usage,NULL,2026-09-02,2026-09-01,2.5,3.5,\r\n";
        let bill = read(moved).unwrap();
        assert_eq!(bill.currency.as_deref(), Some("EUR"));
        let (day, charges) = bill.usage["Storage"].first_key_value().unwrap();
        assert_eq!(
            (day.to_string().as_str(), *charges),
            ("2026-09-01", Charges { effective: usd("2.5"), billed: usd("3.5") })
        );
    }

    #[test]
    fn a_missing_or_doubled_column_is_named() {
        for (_, column, mandatory) in Column::ALL {
            let header = HEADER.replacen(column, "Other", 1);
            match read(&header) {
                Ok(_) => assert!(!mandatory, "{column}"),
                Err(error) => {
                    assert!(*mandatory, "{column}");
                    assert!(error.to_string().contains(&format!("no column {column},")), "{error}");
                }
            }
        }
        let error = read(&HEADER.replace("Tags", "EffectiveCost")).unwrap_err().to_string();
        assert_eq!(error, "bill.csv: it has two columns EffectiveCost");
        assert!(read("").unwrap_err().to_string().contains("no column BilledCost"));
    }

    #[test]
    fn lanes_are_never_mixed() {
        let at = ("2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z");
        let mut text = HEADER.to_owned();
        for (amount, category, class) in [
            ("1", "Usage", ""),
            ("2", "Purchase", ""),
            ("4", "Usage", "Correction"),
            ("8", "Adjustment", ""),
            ("-16", "Credit", ""),
            ("32", "Tax", ""),
            ("64", "Tax", "Correction"),
        ] {
            text += &row(amount, amount, category, class, at.0, at.1);
        }
        text += "128,128,USD,Usage,,2026-09-01,2026-09-02,Compute,Unused,\n";
        text += "256,256,USD,Usage,,2026-09-01,2026-09-02,Compute,Used,\n";
        let bill = read(&text).unwrap();
        let sums: Vec<String> = Lane::ALL.map(|lane| total(&bill, lane).effective.to_string()).to_vec();
        assert_eq!(sums, ["257", "130", "76", "-16", "32"]);
        assert_eq!(bill.rows.values().sum::<u64>(), 2);
    }

    #[test]
    fn times_are_understood_or_named() {
        for (start, end, day) in [
            ("2026-09-01T00:00:00Z", "2026-09-02T00:30:00Z", "2026-09-01"),
            ("2026-09-01T23:59:59.999Z", "2026-09-02T00:30:00Z", "2026-09-01"),
            ("2026-09-01 13:00:00", "2026-09-02 00:30:00", "2026-09-01"),
            ("2026-09-01 13:00:00 UTC", "2026-09-02 00:30:00 UTC", "2026-09-01"),
            ("2026-09-01", "2026-09-02", "2026-09-01"),
            ("2026-09-01T23:00:00-05:00", "2026-09-02T05:00:00Z", "2026-09-02"),
        ] {
            let bill = read(&(HEADER.to_owned() + &row("1", "1", "Usage", "", start, end))).unwrap();
            assert_eq!(bill.rows.keys().map(ToString::to_string).collect::<Vec<_>>(), [day], "{start}");
        }
        for start in ["", "09/01/2026", "2026-02-30", "yesterday", "2026-09-05", "1969-01-01"] {
            let bill = read(&(HEADER.to_owned() + &row("1", "1", "Usage", "", start, "2026-09-02"))).unwrap();
            assert_eq!(bill.excluded.rows, 1, "{start}");
            assert_eq!((bill.excluded.first[0].line, bill.rows.len()), (2, 0), "{start}");
            assert!(bill.excluded.first[0].problem.contains("ChargePeriod"), "{start}");
        }
    }

    #[test]
    fn a_month_is_spread_exactly_over_its_days() {
        let bill = read(&(HEADER.to_owned() + &row("100", "-100", "Usage", "", "2026-09-01", "2026-10-01"))).unwrap();
        assert_eq!(bill.rows.len(), 30);
        assert_eq!(bill.rows.last_key_value().unwrap().0.to_string(), "2026-09-30");
        assert_eq!(total(&bill, Lane::Usage), Charges { effective: usd("-100"), billed: usd("100") });
        // What is not usage stays on the day it was charged.
        let bought =
            read(&(HEADER.to_owned() + &row("8760", "0", "Purchase", "", "2026-09-01", "2027-09-01"))).unwrap();
        assert_eq!(bought.lanes[&Lane::Commitment].len(), 1);
    }

    #[test]
    fn what_is_no_amount_is_left_out_and_named() {
        for bad in ["NaN", "inf", "-Infinity", "", "1,5", "$1", "0x10", "1e40", "\u{feff}1"] {
            let quoted = format!("\"{bad}\"");
            let text = HEADER.to_owned() + &usage("1") + &usage(&quoted) + &usage("2");
            let bill = read(&text).unwrap();
            assert_eq!(total(&bill, Lane::Usage).effective, usd("3"), "{bad}");
            assert_eq!(bill.excluded.rows, 1, "{bad}");
            let flaw = bill.excluded.first[0].to_string();
            assert!(flaw.starts_with("bill.csv, line 3: EffectiveCost is not an amount"), "{flaw}");
        }
        let bill = read(&(HEADER.to_owned() + &row("1", "1", "Gift", "", "2026-09-01", "2026-09-02"))).unwrap();
        assert_eq!(bill.excluded.first[0].problem, "unknown ChargeCategory `Gift`");
        let many = read(&(HEADER.to_owned() + &usage("x").repeat(60))).unwrap();
        assert_eq!((many.excluded.rows, many.excluded.first.len()), (60, FLAWS_SHOWED));
    }

    #[test]
    fn hostile_text_is_inert_in_messages() {
        let bill = read(&(HEADER.to_owned() + &usage("\"\u{1b}[2J\n=cmd()\""))).unwrap();
        assert!(!bill.excluded.first[0].problem.contains(['\u{1b}', '\n']));
    }

    #[test]
    fn two_currencies_are_refused() {
        let text = HEADER.to_owned() + &usage("1") + &usage("1").replace("USD", "EUR");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.starts_with("bill.csv, line 3: a charge in EUR after charges in USD"), "{error}");
        // Also over files.
        let first = read(&(HEADER.to_owned() + &usage("1"))).unwrap();
        let other = HEADER.to_owned() + &usage("1").replace("USD", "EUR");
        assert!(matches!(first.read("b.csv", other.as_bytes()), Err(FocusError::TwoCurrencies { .. })));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_or_ends_with_a_whole_row() {
        // The amounts are last, where a cut is hardest to see.
        let text = "BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,ChargePeriodEnd,ServiceName,\
                    BilledCost,EffectiveCost\n"
            .to_owned()
            + &"USD,Usage,,2026-09-01,2026-09-02,Compute,12.34,12.34\n".repeat(3);
        let header = text.find('\n').unwrap() + 1;
        for cut in 0..text.len() {
            if let Ok(bill) = read(&text[..cut]) {
                let whole = text[..cut].matches("12.34\n").count() as i64;
                assert!(cut + 1 >= header && (cut + 1 == header || text[..cut].ends_with('\n')), "cut at {cut}");
                assert_eq!(total(&bill, Lane::Usage).effective, usd("12.34").times(whole), "cut at {cut}");
            }
        }
    }

    #[test]
    fn gzip_is_read_and_a_cut_one_refused() {
        let text = HEADER.to_owned() + &(0..500).map(|count| usage(&count.to_string())).collect::<String>();
        let squeeze = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let whole = squeeze(&text);
        let plain = read(&text).unwrap();
        assert_eq!(Bill::default().read("bill.csv", &whole[..]).unwrap(), plain);
        // Exports are written in parts, one after another.
        let (head, tail) = text.split_at(text.len() / 2);
        let parts = [squeeze(head), squeeze(tail)].concat();
        assert_eq!(Bill::default().read("bill.csv", &parts[..]).unwrap(), plain);
        for cut in [3, whole.len() / 2, whole.len() - 1] {
            let error = Bill::default().read("bill.csv", &whole[..cut]).unwrap_err().to_string();
            assert!(error.contains("cut off"), "{error}");
        }
    }

    #[test]
    fn a_row_without_end_is_stopped() {
        let endless = HEADER.as_bytes().chain(io::repeat(b'x'));
        let error = Bill::default().read("bill.csv", endless).unwrap_err().to_string();
        assert_eq!(error, "bill.csv: a row that is longer than 16 MiB");
        let quoted = HEADER.as_bytes().chain(&b"\""[..]).chain(io::repeat(b'\n'));
        assert!(Bill::default().read("bill.csv", quoted).is_err());
    }

    #[test]
    fn services_are_bounded() {
        let mut text = HEADER.to_owned();
        for count in 0..=MOST_SERVICES {
            text += &usage("1").replace("Compute", &format!("s{count}"));
        }
        assert!(read(&text).unwrap_err().to_string().contains("more than 10000 services"));
    }
}
