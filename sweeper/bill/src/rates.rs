//! Dated rates: charges in other currencies as amounts of one.
//!
//! The rate that holds for a charge is the newest at or before the day its period starts. Before the first there is none:
//! such a charge is in no sum, and is counted among the rows that were left out. A currency without any rate stays what it
//! is. Each charge is converted by itself, to 10⁻¹² of a major unit and half away from zero, so that sums do not depend on
//! the order of rows.

use crate::request::{Day, number_of, written};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};
use sweeper_core::money::Amount;

/// Units of 10⁻¹² in one.
const ONE: i128 = 1_000_000_000_000;
/// Rates of one currency that are named one by one.
const NAMED: usize = 3;

/// What one of a currency is from a day on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub from: String,
    #[serde(with = "written")]
    pub on: Date,
    pub rate: Amount,
}

impl Rate {
    /// So many units of 10⁻¹² of its currency.
    fn of(&self, units: i128) -> i128 {
        let rate = self.rate.pico();
        let rest = (units % ONE).saturating_mul(rate);
        let rounded = (rest.saturating_abs() + ONE / 2) / ONE * rest.signum();
        (units / ONE).saturating_mul(rate).saturating_add(rounded)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {} of {}", self.from, self.rate, self.on)
    }
}

/// Rates into one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    to: String,
    /// By currency and day.
    rates: Vec<Rate>,
}

impl Rates {
    /// Of two rates of one currency and day, the first counts: whoever reads them refuses the other.
    pub fn new(to: impl Into<String>, mut rates: Vec<Rate>) -> Self {
        rates.sort_by(|one, other| (&one.from, one.on).cmp(&(&other.from, other.on)));
        rates.dedup_by(|next, own| next.from == own.from && next.on == own.on);
        Self { to: to.into(), rates }
    }

    pub const fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// What everything is converted to.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Those of a currency, by day; none where it stays what it is.
    pub(crate) fn of(&self, currency: &str) -> Option<Converter<'_>> {
        let from = self.rates.partition_point(|rate| rate.from.as_str() < currency);
        let rest = &self.rates[from..];
        let own = &rest[..rest.partition_point(|rate| rate.from == currency)];
        (!own.is_empty()).then_some(Converter { to: &self.to, rates: own })
    }

    /// An amount of a day in the one currency; `None` where its currency stays what it is.
    ///
    /// # Errors
    /// A day before the first rate.
    pub fn convert(&self, currency: &str, day: Date, amount: Amount) -> Result<Option<Amount>, String> {
        let Some(own) = self.of(currency) else { return Ok(None) };
        Ok(Some(Amount::from_pico(own.rate(number_of(day))?.of(amount.pico()))))
    }

    /// Those of some currencies that hold for a day from `first` up to, but not with, `end`.
    pub fn holding(&self, currencies: &BTreeSet<String>, first: Date, end: Date) -> Vec<Rate> {
        let mut found = Vec::new();
        for own in currencies.iter().filter_map(|currency| self.of(currency)) {
            let since = own.rates.partition_point(|rate| rate.on <= first).saturating_sub(1);
            found.extend(own.rates[since..].iter().filter(|rate| rate.on < end).cloned());
        }
        found
    }
}

/// The rates of one currency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter<'a> {
    to: &'a str,
    /// At least one, by day.
    rates: &'a [Rate],
}

impl Converter<'_> {
    fn rate(&self, day: Day) -> Result<&Rate, String> {
        let until = self.rates.partition_point(|rate| number_of(rate.on) <= day);
        let first = self.rates.first();
        let missing = || {
            let (from, on) = first.map_or(("", String::new()), |rate| (&rate.from, rate.on.to_string()));
            format!("no rate of {from} to {} before {on}", self.to)
        };
        until.checked_sub(1).and_then(|at| self.rates.get(at)).ok_or_else(missing)
    }

    /// Amounts of a day's charge, in units of 10⁻¹².
    pub(crate) fn convert<'u>(&self, day: Day, units: impl IntoIterator<Item = &'u mut i128>) -> Result<(), String> {
        let rate = self.rate(day)?;
        for units in units {
            *units = rate.of(*units);
        }
        Ok(())
    }
}

/// `EUR at 1.0842 of 2026-11-01`; of many rates of one currency, the first and the last.
pub fn said(rates: &[Rate]) -> String {
    let mut said = Vec::new();
    for own in rates.chunk_by(|one, other| one.from == other.from) {
        match own {
            [first, .., last] if own.len() > NAMED => {
                let (from, count) = (&first.from, own.len());
                said.push(format!(
                    "{from} at {count} rates, from {} of {} to {} of {}",
                    first.rate, first.on, last.rate, last.on
                ));
            }
            _ => said.extend(own.iter().map(ToString::to_string)),
        }
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn rate(from: &str, rate: &str, on: Date) -> Rate {
        Rate { from: from.to_owned(), on, rate: Amount::parse(rate).unwrap() }
    }

    fn rates() -> Rates {
        let november = rate("EUR", "1.0842", date(2026, 11, 1));
        Rates::new("USD", vec![november, rate("GBP", "1.3", date(2026, 9, 1)), rate("EUR", "1.1", date(2026, 10, 1))])
    }

    #[test]
    fn the_newest_at_or_before_the_day_holds() {
        let converted = |currency: &str, day: Date| {
            let amount = rates().convert(currency, day, Amount::whole(10));
            amount.map(|amount| amount.map(|amount| amount.to_string()))
        };
        assert_eq!(converted("EUR", date(2026, 10, 31)), Ok(Some("11".to_owned())));
        assert_eq!(converted("EUR", date(2026, 11, 1)), Ok(Some("10.842".to_owned())));
        assert_eq!(converted("EUR", date(2027, 2, 1)), Ok(Some("10.842".to_owned())));
        assert_eq!(converted("EUR", date(2026, 9, 30)), Err("no rate of EUR to USD before 2026-10-01".to_owned()));
        assert_eq!(converted("CHF", date(2026, 11, 1)), Ok(None), "nobody says what it is");
        assert_eq!(converted("USD", date(2026, 11, 1)), Ok(None));
        assert_eq!(converted("EU", date(2026, 11, 1)), Ok(None));
    }

    #[test]
    fn amounts_are_exact_to_the_last_unit() {
        let own = rate("EUR", "1.0842", date(2026, 11, 1));
        for (units, converted) in [(0, 0), (1, 1), (-1, -1), (5, 5), (6, 7), (-6, -7), (10_000, 10_842)] {
            assert_eq!(own.of(units), converted, "{units}");
        }
        // As many as a row may have.
        let most = 10_i128.pow(27) + 7;
        assert_eq!(own.of(most), 1_084_200_000_000_000_000_000_000_008);
        assert_eq!(own.of(-most), -1_084_200_000_000_000_000_000_000_008);
        let weak = rate("JPY", "0.006543210987", date(2026, 11, 1));
        assert_eq!(weak.of(1_000_000_000_000), 6_543_210_987);
        assert_eq!(weak.of(76), 0);
        assert_eq!(weak.of(77), 1);
    }

    #[test]
    fn what_was_converted_is_said() {
        let of = |first: Date, end: Date| {
            let all = BTreeSet::from(["CHF".to_owned(), "EUR".to_owned()]);
            said(&rates().holding(&all, first, end))
        };
        assert_eq!(of(date(2026, 11, 3), date(2026, 11, 10)), "EUR at 1.0842 of 2026-11-01");
        let both = "EUR at 1.1 of 2026-10-01, EUR at 1.0842 of 2026-11-01";
        assert_eq!(of(date(2026, 10, 1), date(2026, 11, 2)), both);
        assert_eq!(of(date(2026, 9, 1), date(2026, 11, 2)), both);
        assert_eq!(of(date(2026, 9, 1), date(2026, 11, 1)), "EUR at 1.1 of 2026-10-01");
        assert_eq!(of(date(2026, 8, 1), date(2026, 9, 1)), "");
        let daily = (1..=5).map(|day| rate("EUR", "1.1", date(2026, 11, day))).collect::<Vec<_>>();
        assert_eq!(said(&daily), "EUR at 5 rates, from 1.1 of 2026-11-01 to 1.1 of 2026-11-05");
    }
}
