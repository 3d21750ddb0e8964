//! `[bill]`: where the bill's exports are, and how it is told of.

use super::{Reader, Table};
use jiff::civil::Date;
use std::path::PathBuf;
use sweeper_bill::rates::{Rate, Rates};
use sweeper_core::money::Amount;
use toml::de::DeValue;

const BILL: &[&str] = &["focus", "lag", "floor", "planned", "currency", "rate"];
const RATE: &[&str] = &["from", "to", "rate", "on"];
/// What list prices are in.
const USD: &str = "USD";
/// Days until a day's charges are complete: 2 for AWS and Azure, 3 for Google Cloud.
const LAG: u32 = 2;
/// Of a rate: as many as an amount has.
const DECIMALS: usize = 12;
/// No currency is worth a million of another.
const MOST_RATE: Amount = Amount::whole(1_000_000);
/// The longest that a config may wait, days.
pub const MOST_LAG: u32 = 14;

/// `[bill]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Exports: files, directories, or URLs as they were written.
    pub focus: Vec<PathBuf>,
    pub lag: u32,
    /// Nothing below so much a day is an alert of `sweeper bill`; policies have their own.
    pub floor: Amount,
    /// Events that were expected to cost something.
    pub planned: Option<PathBuf>,
    /// By which charges in other currencies become those of `currency`.
    pub rates: Rates,
}

impl Default for Bill {
    fn default() -> Self {
        Self { focus: Vec::new(), lag: LAG, floor: Amount::whole(25), planned: None, rates: Rates::default() }
    }
}

impl Reader<'_> {
    pub(super) fn bill(&mut self, table: &Table<'_>, bill: &mut Bill) {
        self.known(table, BILL);
        let beside = self.beside.to_owned();
        let place = |text: String| if text.contains("://") { PathBuf::from(text) } else { beside.join(text) };
        bill.focus = self.list(table, "focus").into_iter().map(place).collect();
        bill.planned = self.string(table, "planned").map(|path| self.beside.join(path));
        if let (Some(lag), Some(value)) = (self.number::<u32>(table, "lag"), table.get("lag")) {
            if lag > MOST_LAG {
                self.wrong(value, format!("`lag` is a number of days, at most {MOST_LAG}"));
            } else {
                bill.lag = lag;
            }
        }
        if let Some(value) = table.get("floor") {
            match Self::decimal(value).as_deref().and_then(Amount::parse) {
                Some(amount) if amount >= Amount::ZERO => bill.floor = amount,
                _ => self.wrong(value, "`floor` is an amount a day, in the bill's currency"),
            }
        }
        self.rates(table, bill);
    }

    fn rates(&mut self, table: &Table<'_>, bill: &mut Bill) {
        let to = self.currency(table, "currency").unwrap_or_else(|| USD.to_owned());
        let mut rates: Vec<Rate> = Vec::new();
        for (span, own) in self.tables(table, "rate") {
            self.known(own, RATE);
            let before = self.problems.len();
            let (from, into) = (self.currency(own, "from"), self.currency(own, "to"));
            let (rate, on) = (self.rate(own), self.day(own));
            if self.problems.len() > before {
                continue;
            }
            let (Some(from), Some(rate), Some(on)) = (from, rate, on) else {
                self.problem(span, "a rate has `from`, `rate` and `on`", None);
                continue;
            };
            if let (Some(into), Some(value)) = (into.filter(|into| *into != to), own.get("to")) {
                let help = "`[bill] currency` names what everything is reported in";
                self.problem(
                    value.span(),
                    format!("a rate to {into}, and the bill is reported in {to}"),
                    Some(help.to_owned()),
                );
            } else if from == to {
                self.problem(span, format!("{from} is what the bill is reported in, and has no rate"), None);
            } else if let Some(other) = rates.iter().find(|other| other.from == from && other.on == on) {
                let says = if other.rate == rate { "is said twice" } else { "contradicts another" };
                self.problem(span, format!("the rate of {from} of {on} {says}: {} and {rate}", other.rate), None);
            } else {
                rates.push(Rate { from, on, rate });
            }
        }
        bill.rates = Rates::new(to, rates);
    }

    /// Three letters of ISO 4217.
    fn currency(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let name = self.string(table, key)?;
        if name.len() == 3 && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(name);
        }
        if let Some(value) = table.get(key) {
            self.wrong(value, format!("`{key}` is a currency of three letters: `EUR`"));
        }
        None
    }

    /// An exact decimal above zero.
    fn rate(&mut self, table: &Table<'_>) -> Option<Amount> {
        let value = table.get("rate")?;
        let text = Self::decimal(value);
        let is_exact = |text: &&String| {
            text.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= DECIMALS) && !text.contains(['e', 'E'])
        };
        match text.as_ref().filter(is_exact).and_then(|text| Amount::parse(text)) {
            Some(rate) if rate > Amount::ZERO && rate < MOST_RATE => Some(rate),
            _ => {
                self.wrong(value, "`rate` is what one costs: a decimal above zero, at most 12 decimals: \"1.0842\"");
                None
            }
        }
    }

    /// The day from which on a rate holds.
    fn day(&mut self, table: &Table<'_>) -> Option<Date> {
        let value = table.get("on")?;
        let text = match value.get_ref() {
            DeValue::Datetime(day) => day.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
        if day.is_none() {
            self.wrong(value, "`on` is a day: `2026-11-01`");
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::{collections::BTreeSet, path::Path};
    use sweeper_bill::rates::said;

    fn read(text: &str) -> Result<Bill, String> {
        let read = Config::parse("sweeper.toml", text, Path::new(""));
        read.map(|config| config.bill).map_err(|failure| failure.problems.concat())
    }

    const EUR: &str = "[[bill.rate]]\nfrom = \"EUR\"\nto = \"USD\"\nrate = \"1.0842\"\non = 2026-11-01\n";

    #[test]
    fn rates_are_dated_and_exact() {
        let earlier = EUR.replace("11-01", "10-01").replace("\"1.0842\"", "1.1").replace("to = \"USD\"\n", "");
        let bill = read(&format!("[bill]\ncurrency = \"USD\"\n{EUR}{earlier}")).unwrap();
        assert_eq!(bill.rates.to(), "USD");
        let days = ("2026-10-31".parse().unwrap(), "2026-11-02".parse().unwrap());
        let held = bill.rates.holding(&BTreeSet::from(["EUR".to_owned()]), days.0, days.1);
        assert_eq!(said(&held), "EUR at 1.1 of 2026-10-01, EUR at 1.0842 of 2026-11-01");
        assert!(read("[bill]\nlag = 3\n").unwrap().rates.is_empty());
        let francs = read(&format!("[bill]\ncurrency = \"CHF\"\n{}", EUR.replace("USD", "CHF"))).unwrap();
        assert_eq!(francs.rates.to(), "CHF");
    }

    #[test]
    fn rates_that_are_wrong_are_said_with_their_place() {
        let twice = format!("{EUR}{EUR}");
        let other = format!("{EUR}{}", EUR.replace("1.0842", "1.09"));
        let two = ("sweeper.toml:6:1", "the rate of EUR of 2026-11-01");
        for (text, at, says) in [
            (twice.as_str(), two.0, "is said twice: 1.0842 and 1.0842"),
            (&other, two.0, "contradicts another: 1.0842 and 1.09"),
            (&other, two.0, two.1),
            (&EUR.replace("\"USD\"", "\"CHF\""), "sweeper.toml:3:6", "a rate to CHF, and the bill is reported in USD"),
            (&EUR.replace("\"EUR\"", "\"USD\""), "sweeper.toml:1:1", "has no rate"),
            (&EUR.replace("\"EUR\"", "\"euro\""), "sweeper.toml:2:8", "a currency of three letters"),
            (&EUR.replace("1.0842", "0"), "sweeper.toml:4:8", "a decimal above zero"),
            (&EUR.replace("1.0842", "1.0842000000001"), "sweeper.toml:4:8", "at most 12 decimals"),
            (&EUR.replace("1.0842", "1e-3"), "sweeper.toml:4:8", "a decimal above zero"),
            (&EUR.replace("2026-11-01", "2026-11-01T00:00:00Z"), "sweeper.toml:5:6", "`on` is a day"),
            (&EUR.replace("on = 2026-11-01\n", ""), "sweeper.toml:1:1", "`from`, `rate` and `on`"),
            (&EUR.replace("rate = ", "rat = "), "sweeper.toml:4:1", "`rate`"),
            ("[bill]\ncurrency = \"dollar\"\n", "sweeper.toml:2:12", "a currency of three letters"),
        ] {
            let problems = read(text).unwrap_err();
            assert!(problems.contains(at) && problems.contains(says), "{at} {says}: {problems}");
        }
    }
}
