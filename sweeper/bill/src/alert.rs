//! When a change of cost is an alert: large, out of the ordinary, and not of one day only.
//!
//! - Large: |unexplained| above 10 % of the expected cost, and above a floor of money.
//! - Out of the ordinary: a robust z above 3.5 ([`crate::expected`] says of what).
//! - On two mature days, or on one that is more than 50 % away from what was expected of it.

use crate::expected::DayDelta;
use serde::Serialize;
use sweeper_core::money::Amount;

/// Robust z above which a day is out of the ordinary (Iglewicz and Hoaglin 1993).
pub const ODD: f64 = 3.5;
/// Days that must be.
pub const ODD_DAYS: usize = 2;

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No day is whole and recent enough to compare: the export may have stopped.
    NoMatureDays,
    /// Under 14 days of history.
    Learning,
    Quiet,
    /// Costs rose by more than chance and the limits allow: the alert.
    Rise,
    /// Costs fell as much. Money was saved, or rows are missing: look for thin days first.
    Fall,
}

impl Outcome {
    /// As it stands in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoMatureDays => "no-mature-days",
            Self::Learning => "learning",
            Self::Quiet => "quiet",
            Self::Rise => "rise",
            Self::Fall => "fall",
        }
    }
}

/// The test, with what it was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    pub outcome: Outcome,
    /// What the amount must exceed, either way: the larger of 10 % of the expected cost and the floor.
    pub threshold: Amount,
    /// Days that are out of the ordinary, in the direction of the amount.
    pub odd_days: usize,
    /// Whether one of them is more than 50 % away from what was expected of it.
    pub one_day_half: bool,
}

/// The 10 % of `expected`, or the floor if that is more.
pub fn threshold(expected: Amount, floor: Amount) -> Amount {
    expected.scaled(1, 10).max(floor)
}

impl Alert {
    /// Of an amount that evidence does not explain. `floor` is for the whole window.
    pub fn of(unexplained: Amount, expected: Amount, floor: Amount, days: &[DayDelta]) -> Self {
        let threshold = threshold(expected, floor);
        let up = unexplained >= Amount::ZERO;
        let over = |day: &DayDelta| if up { day.actual - day.expected } else { day.expected - day.actual };
        let odd = || days.iter().filter(|day| if up { day.z > ODD } else { day.z < -ODD });
        let odd_days = odd().count();
        let one_day_half = odd().any(|day| over(day) > day.expected.scaled(1, 2));
        let size = if up { unexplained } else { Amount::ZERO - unexplained };
        let outcome = match size > threshold && (odd_days >= ODD_DAYS || one_day_half) {
            false => Outcome::Quiet,
            true if up => Outcome::Rise,
            true => Outcome::Fall,
        };
        Self { outcome, threshold, odd_days, one_day_half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of 100 each; the first ones as given, cost and z.
    fn days(odd: &[(i64, f64)]) -> Vec<DayDelta> {
        let expected = Amount::whole(100);
        let day = |index: i8, actual: i64, z: f64| DayDelta {
            day: jiff::civil::date(2026, 11, 2 + index),
            expected,
            actual: Amount::whole(actual),
            z,
        };
        (0..7)
            .map(|index| odd.get(index).map_or((100, 0.0), |it| *it))
            .zip(0..)
            .map(|(it, at)| day(at, it.0, it.1))
            .collect()
    }

    fn outcome(unexplained: i64, floor: i64, odd: &[(i64, f64)]) -> Outcome {
        Alert::of(Amount::whole(unexplained), Amount::whole(700), Amount::whole(floor), &days(odd)).outcome
    }

    #[test]
    fn it_takes_size_and_two_odd_days_or_one_huge() {
        let two = [(140, 4.0), (140, 4.0)];
        assert_eq!(outcome(71, 50, &two), Outcome::Rise);
        assert_eq!(outcome(70, 50, &two), Outcome::Quiet, "10 % is not above 10 %");
        assert_eq!(outcome(75, 175, &two), Outcome::Quiet, "below the floor");
        assert_eq!(outcome(80, 50, &[(140, 3.5), (140, 4.0)]), Outcome::Quiet, "3.5 is not above 3.5");
        assert_eq!(outcome(80, 50, &[(151, 4.0)]), Outcome::Rise, "one day above 50 %");
        assert_eq!(outcome(80, 50, &[(150, 4.0)]), Outcome::Quiet);
        assert_eq!(outcome(80, 50, &[(160, 3.0)]), Outcome::Quiet, "one huge day that is nothing unusual");
    }

    #[test]
    fn a_fall_is_told_from_a_rise() {
        assert_eq!(outcome(-80, 50, &[(60, -4.0), (60, -4.0)]), Outcome::Fall);
        assert_eq!(outcome(-80, 50, &[(40, -4.0)]), Outcome::Fall);
        // Odd days the other way are no reason.
        assert_eq!(outcome(-80, 50, &[(140, 4.0), (140, 4.0)]), Outcome::Quiet);
    }
}
