//! What the last week cost against what the four weeks before let one expect, by service, account or another name.
//!
//! Only usage is compared; purchases, corrections, credits and tax stand beside it. [`crate::expected`] says
//! which days are compared and what was expected of them, [`crate::alert`] what is an alert.

pub use crate::{
    alert::Outcome,
    expected::{DayDelta, Span, Terms, ThinDay},
};
use crate::{
    alert::{Alert, threshold},
    expected::{Expectation, MatureDays, calendar_effect, months, plus},
    focus::{Bill, Charges, Lane, effective},
    rates::Rate,
    robust::ratio,
    row::Excluded,
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

/// The format written.
const FORMAT: &str = "sweeper.bill-delta/2";

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupDelta {
    /// A service, account, owner: as was asked for.
    pub name: String,
    pub expected: Amount,
    pub actual: Amount,
    /// `actual` − `expected`.
    pub delta: Amount,
    /// `delta` over the *total's* expected cost, rounded to six decimals; `None` when that is not above zero.
    pub share: Option<Amount>,
    /// As invoiced, beside; never compared. `None` where it was not read.
    pub billed: Option<Amount>,
}

/// The whole bill's usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalDelta {
    pub expected: Amount,
    pub actual: Amount,
    pub delta: Amount,
    /// `delta` over `expected`, rounded to six decimals; `None` when that is not above zero.
    pub share: Option<Amount>,
    pub billed: Amount,
    /// What `delta` must exceed to be an alert: the larger of 10 % of `expected` and the floor.
    pub threshold: Amount,
    /// The total's delta less the sum of the groups': a median of sums is not the sum of medians.
    pub between_groups: Amount,
}

/// A lane's sums, over the days from `window.first` and over the 28 before; not scaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneSums {
    pub lane: Lane,
    pub window: Charges,
    pub baseline: Charges,
}

/// The comparison of a bill's last week with the weeks before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeltaReport {
    /// `sweeper.bill-delta/2`.
    pub format: &'static str,
    /// Of every amount; `None` when the bill has no rows.
    pub currency: Option<String>,
    pub outcome: Outcome,
    pub window: Option<Span>,
    pub baseline: Option<Span>,
    /// By the size of the delta, then by name.
    pub groups: Vec<GroupDelta>,
    pub total: Option<TotalDelta>,
    pub days: Vec<DayDelta>,
    pub thin_days: Vec<ThinDay>,
    pub lanes: Vec<LaneSums>,
    /// By which charges in other currencies were converted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
    /// Rows that are in no figure above.
    pub excluded: Excluded,
}

/// Compares the last mature week of a bill with the four weeks before it.
pub fn compare(bill: &Bill, terms: &Terms) -> DeltaReport {
    let mut report = DeltaReport::of(bill);
    let mut days = MatureDays::of(&bill.rows, terms);
    report.thin_days = std::mem::take(&mut days.thin);
    (report.window, report.baseline) = (days.window, days.baseline);
    let (Some(window), Some(baseline)) = (days.window, days.baseline) else { return report };
    report.lanes =
        Lane::ALL.into_iter().map(|lane| lane_sums(bill, lane, baseline.first, window.first, window.last)).collect();
    if days.learning() {
        report.outcome = Outcome::Learning;
        return report;
    }

    let found = Expectation::of(&bill.usage_by_day(), &days);
    let floor = terms.floor_a_day.times(days.compared.len() as i64);
    let alert = Alert::of(found.delta(), found.expected, floor, &found.days);
    report.outcome = alert.outcome;
    report.days = found.days;
    report.fill(bill, alert.threshold, |costs| {
        let found = Expectation::of(&effective(costs), &days);
        (found.expected, found.actual, billed(costs, &days.compared))
    });
    report
}

/// Compares the last whole month of a bill with the month before, had that had the same days: as many Mondays, as many
/// Sundays. There is no alert on months.
pub fn compare_months(bill: &Bill, terms: &Terms) -> DeltaReport {
    let mut report = DeltaReport::of(bill);
    let Some((before, after)) = months(&bill.rows, terms) else { return report };
    (report.window, report.baseline, report.outcome) = (Some(after), Some(before), Outcome::Quiet);
    report.lanes =
        Lane::ALL.into_iter().map(|lane| lane_sums(bill, lane, before.first, after.first, after.last)).collect();
    let days: Vec<Date> = after.each().collect();
    let of = |costs: &BTreeMap<Date, Charges>| {
        let all = effective(costs);
        let sum = |span: Span| all.range(span.first..=span.last).map(|(_, cost)| *cost).sum::<Amount>();
        (sum(before) + calendar_effect(&all, &before, &after), sum(after), billed(costs, &days))
    };
    let (expected, ..) = of(bill.usage_lane());
    report.fill(bill, threshold(expected, terms.floor_a_day.times(after.days as i64)), of);
    report
}

impl DeltaReport {
    /// Of a bill of which nothing is compared yet.
    fn of(bill: &Bill) -> Self {
        Self {
            format: FORMAT,
            currency: bill.currency.clone(),
            outcome: Outcome::NoMatureDays,
            window: None,
            baseline: None,
            groups: Vec::new(),
            total: None,
            days: Vec::new(),
            thin_days: Vec::new(),
            lanes: Vec::new(),
            rates: bill.rates.clone(),
            excluded: bill.excluded.clone(),
        }
    }

    /// Sets the groups and the total. `of` gives what was expected of a series, what it cost and what was billed.
    fn fill(
        &mut self,
        bill: &Bill,
        threshold: Amount,
        of: impl Fn(&BTreeMap<Date, Charges>) -> (Amount, Amount, Amount),
    ) {
        let (expected, actual, billed) = of(bill.usage_lane());
        let delta = actual - expected;
        let mut between_groups = delta;
        for (name, costs) in &bill.usage {
            let (own, actual, billed) = of(costs);
            if own == Amount::ZERO && actual == Amount::ZERO && billed == Amount::ZERO {
                continue;
            }
            let delta = actual - own;
            between_groups = between_groups - delta;
            let share = ratio(delta, expected);
            let billed = (!bill.effective_only).then_some(billed);
            self.groups.push(GroupDelta { name: name.clone(), expected: own, actual, delta, share, billed });
        }
        self.groups.sort_by(|one, other| {
            magnitude(other.delta).cmp(&magnitude(one.delta)).then_with(|| one.name.cmp(&other.name))
        });
        let share = ratio(delta, expected);
        self.total = Some(TotalDelta { expected, actual, delta, share, billed, threshold, between_groups });
    }
}

/// As invoiced, over some days.
fn billed(costs: &BTreeMap<Date, Charges>, days: &[Date]) -> Amount {
    days.iter().filter_map(|day| costs.get(day)).map(|charges| charges.billed).sum()
}

fn lane_sums(bill: &Bill, lane: Lane, baseline: Date, first: Date, last: Date) -> LaneSums {
    let sum = |from: Date, before: Date| {
        let mut sum = Charges::default();
        for (_, charges) in bill.lanes.get(&lane).into_iter().flat_map(|days| days.range(from..before)) {
            sum += *charges;
        }
        sum
    };
    LaneSums { lane, window: sum(first, plus(last, 1)), baseline: sum(baseline, first) }
}

fn magnitude(amount: Amount) -> u128 {
    amount.pico().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        movement::{By, Compared, daily as daily_of},
        robust::units,
        source::Source,
    };
    use proptest::prelude::*;
    use std::{fmt::Write, num::NonZeroUsize};

    const HEADER: &str = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,\
                          ChargePeriodEnd,ServiceName,CommitmentDiscountStatus\n";

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn charge(out: &mut String, day: Date, service: &str, category: &str, effective: &str, billed: &str) {
        let end = plus(day, 1);
        writeln!(out, "{billed},{effective},USD,{category},,{day},{end},{service},").unwrap();
    }

    fn bill(rows: &str) -> Bill {
        let source = Source::memory("bill.csv", (HEADER.to_owned() + rows).into_bytes());
        let last = rows.lines().filter_map(|row| row.split(',').nth(5)?.parse::<Date>().ok()).max();
        let terms = Terms::new(last.map_or(MONDAY.parse().unwrap(), |last| plus(last, 1)));
        daily_of(vec![source], (By::Service, &|_, _| None), Compared::Week, &terms, NonZeroUsize::MIN).unwrap()
    }

    /// A bill of one service in ten equal rows a day. `cost` takes the day's number, from 0.
    fn daily(first: &str, days: i64, cost: impl Fn(i64, Date) -> Amount) -> Bill {
        let mut rows = String::new();
        for index in 0..days {
            let day = plus(date(first), index);
            let tenth = cost(index, day).scaled(1, 10).to_string();
            for _ in 0..10 {
                charge(&mut rows, day, "Compute", "Usage", &tenth, &tenth);
            }
        }
        bill(&rows)
    }

    /// The run two days after the last of `days` days from `first`: all of them are mature.
    fn terms(first: &str, days: i64) -> Terms {
        Terms::new(plus(date(first), days + 1))
    }

    fn weekly(day: Date) -> Amount {
        Amount::whole(if matches!(day.weekday().to_monday_one_offset(), 6 | 7) { 400 } else { 1000 })
    }

    fn total(report: &DeltaReport) -> &TotalDelta {
        report.total.as_ref().unwrap()
    }

    // A Monday, so that the windows below are whole weeks.
    const MONDAY: &str = "2026-08-03";

    #[test]
    fn e1_a_weekly_pattern_expects_itself() {
        let report = compare(&daily(MONDAY, 35, |_, day| weekly(day)), &terms(MONDAY, 35));
        let expected: Vec<String> = report.days.iter().map(|day| day.expected.to_string()).collect();
        assert_eq!(expected, ["1000", "1000", "1000", "1000", "1000", "400", "400"]);
        assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO));
        assert_eq!(total(&report).between_groups, Amount::ZERO);
        let window = report.window.unwrap();
        assert_eq!((window.first, window.last, window.days), (date("2026-08-31"), date("2026-09-06"), 7));
        assert_eq!(report.baseline.unwrap().first, date(MONDAY));
    }

    #[test]
    fn e2_one_day_of_five_times_the_cost_changes_no_expectation() {
        let bill = daily(MONDAY, 35, |index, day| if index == 15 { weekly(day).times(5) } else { weekly(day) });
        let report = compare(&bill, &terms(MONDAY, 35));
        assert_eq!(total(&report).expected, Amount::whole(5800));
        assert_eq!(report.outcome, Outcome::Quiet);
    }

    #[test]
    fn e3_growth_of_one_percent_a_day_is_mostly_expected() {
        let bill = daily(MONDAY, 35, |index, day| {
            let mut cost = weekly(day);
            for _ in 0..index {
                cost = cost.scaled(101, 100);
            }
            cost
        });
        let report = compare(&bill, &terms(MONDAY, 35));
        let total = total(&report);
        assert_eq!(total.expected.cents().split('.').next(), Some("7755"));
        assert!((units(total.expected) - 7755.4).abs() < 0.1, "{}", total.expected);
        assert!((units(total.actual) - 7856.4).abs() < 0.1, "{}", total.actual);
        assert_eq!(report.outcome, Outcome::Quiet);
    }

    #[test]
    fn d6_d7_a_longer_month_is_no_rise() {
        // $10 a day is +10.71 % from February to March, and the weekly pattern +10.34 %: not here, on any day.
        let first = "2026-01-01";
        for last in 50..89 {
            let flat = daily(first, last, |_, _| Amount::whole(10));
            let pattern = daily(first, last, |_, day| weekly(day));
            for bill in [flat, pattern] {
                let report = compare(&bill, &terms(first, last));
                assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO), "{last}");
            }
        }
    }

    #[test]
    fn d8_a_credit_stays_in_its_lane() {
        let mut rows = String::new();
        for index in 0..35 {
            charge(&mut rows, plus(date(MONDAY), index), "Compute", "Usage", "100", "100");
        }
        charge(&mut rows, plus(date(MONDAY), 10), "Compute", "Credit", "-500", "-500");
        let report = compare(&bill(&rows), &terms(MONDAY, 35));
        assert_eq!(total(&report).delta, Amount::ZERO);
        let credit = report.lanes.iter().find(|sums| sums.lane == Lane::Credit).unwrap();
        assert_eq!(credit.baseline.effective, usd("-500"));
        assert_eq!(credit.window, Charges::default());
    }

    #[test]
    fn d9_a_year_paid_upfront_is_no_rise() {
        let mut rows = String::new();
        for index in 0..35 {
            let day = plus(date(MONDAY), index);
            // Covered from the 29th day on: nothing more is billed, the effective cost stays.
            charge(&mut rows, day, "Compute", "Usage", "24.00", if index < 28 { "24.00" } else { "0" });
        }
        charge(&mut rows, plus(date(MONDAY), 28), "Compute", "Purchase", "0", "8760");
        let report = compare(&bill(&rows), &terms(MONDAY, 35));
        assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO));
        assert_eq!((total(&report).actual, total(&report).billed), (usd("168"), Amount::ZERO));
        let bought = report.lanes.iter().find(|sums| sums.lane == Lane::Commitment).unwrap();
        assert_eq!(bought.window, Charges { effective: Amount::ZERO, billed: usd("8760") });
    }

    #[test]
    fn d10_a_day_that_is_not_loaded_yet_is_left_out() {
        let mut rows = String::new();
        for index in 0..36 {
            for _ in 0..if index == 35 { 6 } else { 10 } {
                charge(&mut rows, plus(date(MONDAY), index), "Compute", "Usage", "10", "10");
            }
        }
        let bill = bill(&rows);
        let report = compare(&bill, &terms(MONDAY, 36));
        assert_eq!(report.window.unwrap().last, plus(date(MONDAY), 34));
        assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO));
        let thin = &report.thin_days[0];
        assert_eq!((thin.day, thin.rows, thin.usual_rows, thin.left_out), (plus(date(MONDAY), 35), 6, 10, true));
        // By the lag alone.
        let report = compare(&bill, &terms(MONDAY, 35));
        assert_eq!((report.thin_days.len(), total(&report).delta), (0, Amount::ZERO));
    }

    #[test]
    fn d11_nine_percent_is_quiet_and_thirteen_is_a_rise() {
        for (gigabytes, outcome, share) in
            [(1000, Outcome::Quiet, "0"), (3000, Outcome::Quiet, "0.09"), (4000, Outcome::Rise, "0.135")]
        {
            let mut rows = String::new();
            for index in 0..35 {
                let day = plus(date(MONDAY), index);
                charge(&mut rows, day, "Compute", "Usage", "955", "955");
                let moved = usd("0.045").times(if index < 28 { 1000 } else { gigabytes }).to_string();
                charge(&mut rows, day, "Network", "Usage", &moved, &moved);
            }
            let report = compare(&bill(&rows), &terms(MONDAY, 35));
            assert_eq!((report.outcome, total(&report).share), (outcome, Some(usd(share))), "{gigabytes}");
            assert_eq!(total(&report).threshold, usd("700"));
            if gigabytes > 1000 {
                assert_eq!(report.groups[0].name, "Network");
                assert_eq!(report.groups[0].share, Some(usd(share)));
            }
        }
    }

    #[test]
    fn a_fall_is_no_rise() {
        let report = compare(
            &daily(MONDAY, 35, |index, day| if index < 28 { weekly(day) } else { weekly(day).scaled(1, 2) }),
            &terms(MONDAY, 35),
        );
        assert_eq!((report.outcome, total(&report).share), (Outcome::Fall, Some(usd("-0.5"))));
    }

    #[test]
    fn small_sums_are_below_the_floor() {
        let cost = |index, _| Amount::whole(if index < 28 { 10 } else { 30 });
        let report = compare(&daily(MONDAY, 35, cost), &terms(MONDAY, 35));
        assert_eq!((report.outcome, total(&report).threshold), (Outcome::Quiet, usd("175")));
        let low = Terms { floor_a_day: Amount::whole(1), ..terms(MONDAY, 35) };
        assert_eq!(compare(&daily(MONDAY, 35, cost), &low).outcome, Outcome::Rise);
    }

    #[test]
    fn one_odd_day_is_a_rise_only_above_half() {
        let spike = |percent: i128| {
            let cost = move |index, _| {
                if index == 30 { Amount::whole(1000).scaled(percent, 100) } else { Amount::whole(1000) }
            };
            compare(&daily(MONDAY, 35, cost), &terms(MONDAY, 35)).outcome
        };
        assert_eq!(spike(150), Outcome::Quiet);
        assert_eq!(spike(250), Outcome::Rise);
    }

    #[test]
    fn noise_of_the_size_of_the_rise_is_quiet() {
        let noisy = |extra: i64| {
            let cost = move |index: i64, _| {
                Amount::whole(1000 + (index * 7919 % 13 - 6) * 60 + if index < 28 { 0 } else { extra })
            };
            compare(&daily(MONDAY, 35, cost), &terms(MONDAY, 35)).outcome
        };
        assert_eq!(noisy(200), Outcome::Quiet);
        assert_eq!(noisy(4000), Outcome::Rise);
    }

    #[test]
    fn under_fourteen_days_of_history_it_learns() {
        for (days, outcome) in [(7, Outcome::Learning), (20, Outcome::Learning), (21, Outcome::Quiet)] {
            let report = compare(&daily(MONDAY, days, |_, day| weekly(day)), &terms(MONDAY, days));
            assert_eq!(report.outcome, outcome, "{days}");
            assert_eq!(report.total.is_some(), outcome == Outcome::Quiet);
        }
        // What is before the bill's first day is unknown, not free.
        let report = compare(&daily(MONDAY, 24, |_, day| weekly(day)), &terms(MONDAY, 24));
        assert_eq!(total(&report).delta, Amount::ZERO);
    }

    #[test]
    fn a_bill_that_ended_is_not_a_fall() {
        let bill = daily(MONDAY, 35, |_, day| weekly(day));
        for late in 1..=7 {
            let report = compare(&bill, &Terms::new(plus(date(MONDAY), 36 + late)));
            assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO), "{late}");
        }
        let report = compare(&bill, &Terms::new(plus(date(MONDAY), 36 + 8)));
        assert_eq!(report.outcome, Outcome::NoMatureDays);
        assert_eq!(compare(&Bill::default(), &terms(MONDAY, 35)).outcome, Outcome::NoMatureDays);
    }

    #[test]
    fn a_missing_day_is_unknown_and_not_free() {
        let mut rows = String::new();
        for index in (0..35).filter(|index| ![9, 16, 31].contains(index)) {
            charge(&mut rows, plus(date(MONDAY), index), "Compute", "Usage", "1000", "1000");
        }
        let report = compare(&bill(&rows), &terms(MONDAY, 35));
        assert_eq!((report.outcome, total(&report).delta), (Outcome::Quiet, Amount::ZERO));
        assert_eq!((report.window.unwrap().days, report.baseline.unwrap().days), (6, 26));
        assert_eq!((report.thin_days[0].day, report.thin_days[0].left_out), (plus(date(MONDAY), 31), true));
    }

    #[test]
    fn after_a_clean_up_fewer_rows_are_accepted() {
        let mut rows = String::new();
        for index in 0..35 {
            for _ in 0..if index < 28 { 10 } else { 5 } {
                charge(&mut rows, plus(date(MONDAY), index), "Compute", "Usage", "100", "100");
            }
        }
        let report = compare(&bill(&rows), &terms(MONDAY, 35));
        assert_eq!(report.window.unwrap().last, plus(date(MONDAY), 31));
        assert_eq!(report.outcome, Outcome::Fall);
        assert!(report.thin_days.iter().any(|thin| !thin.left_out));
    }

    #[test]
    fn the_report_is_json_with_decimal_strings() {
        let report = compare(&daily(MONDAY, 35, |_, day| weekly(day)), &terms(MONDAY, 35));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["format"], "sweeper.bill-delta/2");
        assert_eq!(json["outcome"], "quiet");
        assert_eq!(json["total"]["expected"], "5800");
        assert_eq!(json["window"]["first"], "2026-08-31");
        assert_eq!(json["lanes"][0]["lane"], "usage");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        /// The order of rows changes nothing.
        #[test]
        fn rows_may_come_in_any_order(
            rows in prop::collection::vec((0_i64..40, 0_usize..4, -2_000_000_i64..9_000_000, 0_usize..6), 50..300)
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        ) {
            let text = |rows: &[(i64, usize, i64, usize)]| {
                let mut out = String::new();
                for (day, service, cost, category) in rows {
                    let category = ["Usage", "Usage", "Credit", "Tax", "Purchase", "Usage"][*category];
                    let cost = Amount::from_pico(i128::from(*cost) * 123_456_789).to_string();
                    charge(&mut out, plus(date(MONDAY), *day), ["a", "b", "c", "d"][*service], category, &cost, &cost);
                }
                out
            };
            let (one, other) = (text(&rows.0), text(&rows.1));
            prop_assert_eq!(compare(&bill(&one), &terms(MONDAY, 40)), compare(&bill(&other), &terms(MONDAY, 40)));
        }

        /// The services and what is between them are the total, to the last digit.
        #[test]
        fn the_lines_add_up(costs in prop::collection::vec((0_i64..35, 0_usize..4, 0_i64..9_000_000), 100..300)) {
            let mut rows = String::new();
            for (day, service, cost) in costs {
                let cost = Amount::from_pico(i128::from(cost) * 987_654_321).to_string();
                charge(&mut rows, plus(date(MONDAY), day), ["a", "b", "c", "d"][service], "Usage", &cost, &cost);
            }
            let report = compare(&bill(&rows), &terms(MONDAY, 35));
            if let Some(total) = &report.total {
                let lines: Amount = report.groups.iter().map(|line| line.delta).sum();
                prop_assert_eq!(lines + total.between_groups, total.delta);
                prop_assert_eq!(report.groups.iter().map(|line| line.actual).sum::<Amount>(), total.actual);
            }
        }
    }
}
