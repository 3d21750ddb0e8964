//! A function gone wild: it runs, or costs, many times what its own past lets one expect. Retries without an end, a
//! trigger that triggers itself.
//!
//! A day is wild when it is above three times its expectation (the median of the same weekday in the four weeks
//! before), out of the ordinary (robust z above 3.5, [`crate::expected`]), and above it by more than a floor, since
//! three times nothing is nothing. Two wild mature days in a row tell, or one that is at least ten times as
//! much.

use crate::{
    alert::ODD,
    expected::{LEARNING, Series, WEEKS, as_text, plus},
    robust::{ratio, reported, units},
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

/// Above so many times the expectation a day is wild; from so many on one day is enough.
const WILD: i64 = 3;
const AT_ONCE: i64 = 10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    Invocations,
    /// Effective cost, in the bill's currency.
    Cost,
}

impl Counted {
    /// The least that a wild day is above its expectation: 10,000 invocations, or 5 of the bill's currency. A million
    /// invocations are 0.20 dollars, without the time they run.
    pub fn floor(self) -> Amount {
        Amount::whole(match self {
            Self::Invocations => 10_000,
            Self::Cost => 5,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunawayOutcome {
    /// Under 14 days of its own past.
    Learning,
    Quiet,
    Runaway,
}

/// One of the last two days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WildDay {
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    pub expected: Amount,
    pub actual: Amount,
    /// `actual` over `expected`, rounded to six decimals; `None` when nothing was expected.
    pub multiple: Option<Amount>,
    pub z: f64,
    pub wild: bool,
}

/// A function against its own past.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Runaway {
    pub counted: Counted,
    pub outcome: RunawayOutcome,
    /// The last two mature days, in order.
    pub days: Vec<WildDay>,
    /// Above the expectation, on the wild ones.
    pub excess: Amount,
}

impl Runaway {
    /// Of daily counts or costs. `first` is the first day of which anything is known, `last` the last mature one; days
    /// between that `series` lacks are zero. `floor` as [`Counted::floor`], unless the policy says another.
    pub fn of(counted: Counted, series: &BTreeMap<Date, Amount>, first: Date, last: Date, floor: Amount) -> Self {
        let judged = [plus(last, -1), last];
        let from = first.max(plus(judged[0], -7 * WEEKS));
        let known: Vec<Date> = crate::expected::Span::whole(from, plus(judged[0], -1)).each().collect();
        let mut found = Self { counted, outcome: RunawayOutcome::Learning, days: Vec::new(), excess: Amount::ZERO };
        if known.len() < LEARNING {
            return found;
        }
        let past = Series { costs: series, first: judged[0], known: &known };
        let noise = past.noise();
        for day in judged {
            let expected = past.usual(day);
            let actual = series.get(&day).copied().unwrap_or(Amount::ZERO);
            let z = reported(noise.z(units(actual - expected)));
            let wild = actual > expected.times(WILD) && actual - expected > floor && z > ODD;
            if wild {
                found.excess += actual - expected;
            }
            found.days.push(WildDay { day, expected, actual, multiple: ratio(actual, expected), z, wild });
        }
        let at_once = found.days.last().is_some_and(|day| day.wild && day.actual >= day.expected.times(AT_ONCE));
        let runaway = at_once || found.days.iter().all(|day| day.wild);
        found.outcome = if runaway { RunawayOutcome::Runaway } else { RunawayOutcome::Quiet };
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    /// 35 days until Sunday 22 November, the last ones as given.
    fn runaway(counted: Counted, usual: impl Fn(Date) -> i64, last: &[i64]) -> Runaway {
        let end = date(2026, 11, 22);
        let first = plus(end, -34);
        let mut series: BTreeMap<Date, Amount> =
            (0..35).map(|index| plus(first, index)).map(|day| (day, Amount::whole(usual(day)))).collect();
        for (back, count) in last.iter().rev().enumerate() {
            series.insert(plus(end, -(back as i64)), Amount::whole(*count));
        }
        Runaway::of(counted, &series, first, end, counted.floor())
    }

    fn outcome(usual: i64, last: &[i64]) -> RunawayOutcome {
        runaway(Counted::Invocations, |_| usual, last).outcome
    }

    #[test]
    fn two_days_above_three_times_or_one_of_ten() {
        assert_eq!(outcome(100_000, &[310_000, 310_000]), RunawayOutcome::Runaway);
        assert_eq!(outcome(100_000, &[300_000, 310_000]), RunawayOutcome::Quiet, "three times is not above");
        assert_eq!(outcome(100_000, &[100_000, 900_000]), RunawayOutcome::Quiet, "one day below ten times");
        assert_eq!(outcome(100_000, &[100_000, 1_000_000]), RunawayOutcome::Runaway);
        assert_eq!(outcome(100_000, &[1_000_000, 100_000]), RunawayOutcome::Quiet, "over already");
        let found = runaway(Counted::Invocations, |_| 100_000, &[310_000, 410_000]);
        assert_eq!((found.excess, found.days[1].multiple), (Amount::whole(520_000), Amount::parse("4.1")));
    }

    #[test]
    fn many_times_little_is_little() {
        assert_eq!(outcome(100, &[5000, 9000]), RunawayOutcome::Quiet);
        assert_eq!(outcome(0, &[10_000, 10_000]), RunawayOutcome::Quiet, "the floor itself");
        assert_eq!(outcome(0, &[0, 10_001]), RunawayOutcome::Runaway, "it never ran before");
        assert_eq!(runaway(Counted::Cost, |_| 1, &[6, 6]).outcome, RunawayOutcome::Quiet);
        assert_eq!(runaway(Counted::Cost, |_| 1, &[7, 7]).outcome, RunawayOutcome::Runaway);
    }

    #[test]
    fn a_function_that_always_jumps_is_not_wild() {
        // Mondays it runs forty times as often, and any other day anything up to five times.
        let monday = |day: Date| day.weekday() == jiff::civil::Weekday::Monday;
        let usual = |day: Date| if monday(day) { 4_000_000 } else { 100_000 };
        let end = date(2026, 11, 23);
        let series: BTreeMap<Date, Amount> =
            (0..36).map(|back| plus(end, -back)).map(|day| (day, Amount::whole(usual(day)))).collect();
        let found = Runaway::of(Counted::Invocations, &series, plus(end, -35), end, Amount::whole(10_000));
        assert_eq!(found.outcome, RunawayOutcome::Quiet);
        let jumps = |day: Date| 100_000 * [1, 5, 2, 4, 1, 3][(day.day() % 6) as usize];
        assert_eq!(runaway(Counted::Invocations, jumps, &[900_000, 900_000]).outcome, RunawayOutcome::Quiet);
    }

    #[test]
    fn a_young_function_has_no_past() {
        let end = date(2026, 11, 22);
        let series = BTreeMap::from([(end, Amount::whole(9_000_000))]);
        let of = |days: i64| Runaway::of(Counted::Cost, &series, plus(end, -days), end, Amount::whole(5)).outcome;
        assert_eq!((of(14), of(15)), (RunawayOutcome::Learning, RunawayOutcome::Runaway));
    }
}
