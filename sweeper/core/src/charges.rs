//! What a cloud's own API says of its bill, where there is no export of it.

use crate::{
    kind::{CloudError, Fault},
    money::Amount,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use jiff::civil::Date;

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

    /// Its word in reports and roll-ups.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Commitment => "commitment",
            Self::Correction => "correction",
            Self::Credit => "credit",
            Self::Tax => "tax",
        }
    }

    /// The lane of such a word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }
}

/// What is asked: whole days in UTC, the last exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillAsk {
    pub first: Date,
    pub end: Date,
}

impl BillAsk {
    /// The days that are asked about.
    pub fn days(&self) -> impl Iterator<Item = Date> + use<> {
        let end = self.end;
        std::iter::successors(Some(self.first), |day| day.tomorrow().ok()).take_while(move |day| *day < end)
    }

    /// The day of a text, `2026-10-01` or what begins with it, if it is one of those asked about.
    pub fn day(&self, text: &str) -> Option<Date> {
        text.get(..10)?.parse().ok().filter(|day| (self.first..self.end).contains(day))
    }

    /// Windows of at most so many days that together are this one.
    pub fn windows(&self, most: usize) -> Vec<Self> {
        let days: Vec<Date> = self.days().collect();
        let windows = days
            .chunks(most.max(1))
            .filter_map(|some| Some(Self { first: *some.first()?, end: some.last()?.tomorrow().ok()? }));
        windows.collect()
    }
}

/// What one service in one account cost on one day, in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRow {
    pub day: Date,
    pub account: String,
    /// As the cloud's bill names it; empty where the charge has none.
    pub service: String,
    pub lane: Lane,
    /// ISO 4217.
    pub currency: String,
    /// Amortised, after discounts and commitments.
    pub effective: Amount,
    /// As invoiced.
    pub billed: Amount,
}

/// A bill as an API tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillTold {
    /// Sorted, one a day, account, service, lane and currency.
    pub rows: Vec<BillRow>,
    /// What may still change, as the cloud says: days it calls estimated.
    pub estimated: Vec<Date>,
}

/// Day, account, service, lane and currency.
type Name = (Date, String, String, Lane, String);

/// Rows as they are told, added up.
#[derive(Clone, Debug, Default)]
pub struct BillSums {
    /// What is effective and what is billed.
    sums: BTreeMap<Name, (Amount, Amount)>,
    estimated: BTreeSet<Date>,
}

impl BillSums {
    /// Adds a row to those of its day, account, service, lane and currency. Fails on a currency that is none.
    pub fn add(&mut self, op: &'static str, row: BillRow) -> Result<(), CloudError> {
        let BillRow { day, account, service, lane, currency, effective, billed } = row;
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            if (effective, billed) == (Amount::ZERO, Amount::ZERO) {
                // What costs nothing costs it in any currency: `N/A`.
                return Ok(());
            }
            let message =
                format!("a cost of {day} whose currency is {:?}", currency.chars().take(20).collect::<String>());
            return Err(CloudError::new(Fault::Malformed, op, message));
        }
        let sum = self.sums.entry((day, account, service, lane, currency)).or_default();
        sum.0 += effective;
        sum.1 += billed;
        Ok(())
    }

    /// Notes that the cloud calls a day estimated.
    pub fn estimated(&mut self, day: Date) {
        self.estimated.insert(day);
    }

    /// What was told.
    pub fn told(self) -> BillTold {
        let rows = self.sums.into_iter().map(|((day, account, service, lane, currency), (effective, billed))| {
            BillRow { day, account, service, lane, currency, effective, billed }
        });
        BillTold { rows: rows.collect(), estimated: self.estimated.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(first: &str, end: &str) -> BillAsk {
        BillAsk { first: first.parse().unwrap(), end: end.parse().unwrap() }
    }

    #[test]
    fn windows_are_the_whole() {
        let whole = ask("2026-09-20", "2026-11-26");
        let windows = whole.windows(31);
        let days: Vec<Date> = windows.iter().flat_map(BillAsk::days).collect();
        assert_eq!((windows.len(), days), (3, whole.days().collect()));
        assert!(windows.iter().all(|window| window.days().count() <= 31));
        assert!(ask("2026-11-26", "2026-11-26").windows(31).is_empty());
    }

    #[test]
    fn only_what_was_asked_about_is_a_day() {
        let ask = ask("2026-10-01", "2026-10-03");
        assert_eq!(ask.day("2026-10-02T00:00:00Z"), Some("2026-10-02".parse().unwrap()));
        for text in ["2026-10-03", "2026-09-30", "", "2026-10", "2026-1\u{e9}-01x"] {
            assert_eq!(ask.day(text), None, "{text}");
        }
    }

    #[test]
    fn rows_of_one_name_are_one() {
        let row = |effective: i64, currency: &str| BillRow {
            day: "2026-10-01".parse().unwrap(),
            account: "a".to_owned(),
            service: "s".to_owned(),
            lane: Lane::Usage,
            currency: currency.to_owned(),
            effective: Amount::whole(effective),
            billed: Amount::ZERO,
        };
        let mut sums = BillSums::default();
        sums.add("op", row(2, "USD")).unwrap();
        sums.add("op", row(3, "EUR")).unwrap();
        sums.add("op", row(5, "USD")).unwrap();
        sums.add("op", row(0, "N/A")).unwrap();
        assert_eq!(sums.add("op", row(1, "N/A")).unwrap_err().fault, Fault::Malformed);
        assert_eq!(sums.told().rows, [row(3, "EUR"), row(7, "USD")]);
    }
}
