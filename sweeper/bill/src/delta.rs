//! What the last week cost against what the four weeks before let one expect.
//!
//! Whole, mature days only, and each against the same weekday: a month of 31 days is no rise over one of
//! 28, and a Sunday none over a Monday. Only usage is compared; purchases, corrections, credits and tax
//! stand beside it. Sums and expectations are exact; floats appear in the robust z alone.
//!
//! - Expected cost of a day: the median of the same weekday in the four weeks before, moved along the
//!   trend of those weeks (Theil–Sen slope of the weekly totals over their median, at most 10 % a week)
//!   by the 2.5 weeks from their centre to the window.
//! - Robust z: 0.6745 · (x − median) / MAD of the weekday-adjusted days (Iglewicz and Hoaglin 1993), with
//!   the MAD at least 1 % of the median day, since a flat series has a MAD of 0.

use crate::focus::{Bill, Charges, Excluded, Lane};
use jiff::{ToSpan, civil::Date};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

/// Days compared.
const WINDOW: i64 = 7;
/// Weeks before them that say what was to be expected.
const WEEKS: i64 = 4;
/// Fewer days of history than this make no expectation.
const LEARNING: usize = 14;
/// Weeks that make a trend.
const TREND_WEEKS: usize = 3;
/// A late day is waited for this long; then its row count is what it is.
const LATE: i64 = 3;
/// How far back the last mature day may lie.
const STALE: i64 = 7;
/// Robust z above which a day is out of the ordinary.
const ODD: f64 = 3.5;
/// z as reported; beyond it a figure says nothing.
const MOST_Z: f64 = 999.0;
/// One part in a billion, the resolution of the trend.
const BILLION: i128 = 1_000_000_000;

/// What the comparison is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The day of the run, UTC.
    pub today: Date,
    /// Days until a provider's charges of a day are complete: AWS 2, Azure 2, GCP 3.
    pub lag_days: u32,
    /// No alert below this much a day, in the bill's currency.
    pub floor_a_day: Amount,
}

impl Terms {
    /// A lag of two days and a floor of 25 a day.
    pub fn new(today: Date) -> Self {
        Self { today, lag_days: 2, floor_a_day: Amount::whole(25) }
    }
}

/// What came of the comparison.
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
    /// Costs fell as much. Money was saved, or rows are missing: see `thin_days`.
    Fall,
}

/// Days from `first` to `last`, both in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    #[serde(serialize_with = "as_text")]
    pub first: Date,
    #[serde(serialize_with = "as_text")]
    pub last: Date,
    /// How many of them are compared, or expected from.
    pub days: usize,
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceDelta {
    pub service: String,
    pub expected: Amount,
    pub actual: Amount,
    /// `actual` − `expected`.
    pub delta: Amount,
    /// `delta` over the *total's* expected cost, rounded to six decimals; `None` when that is not above zero.
    pub share: Option<Amount>,
    /// As invoiced, beside; never compared.
    pub billed: Amount,
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
    /// The total's delta less the sum of the services': a median of sums is not the sum of medians.
    pub between_services: Amount,
}

/// One day of the window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DayDelta {
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    pub expected: Amount,
    pub actual: Amount,
    pub z: f64,
}

/// A day with fewer rows than days like it have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThinDay {
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    pub rows: u64,
    /// The median of the same weekdays before.
    pub usual_rows: u64,
    /// Whether its costs are left out of the comparison.
    pub left_out: bool,
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
    /// `sweeper.bill-delta/1`.
    pub format: &'static str,
    /// Of every amount; `None` when the bill has no rows.
    pub currency: Option<String>,
    pub outcome: Outcome,
    pub window: Option<Span>,
    pub baseline: Option<Span>,
    /// By the size of the delta, then by name.
    pub by_service: Vec<ServiceDelta>,
    pub total: Option<TotalDelta>,
    pub days: Vec<DayDelta>,
    pub thin_days: Vec<ThinDay>,
    pub lanes: Vec<LaneSums>,
    /// Rows that are in no figure above.
    pub excluded: Excluded,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// Compares the last mature week of a bill with the four weeks before it.
pub fn compare(bill: &Bill, terms: &Terms) -> DeltaReport {
    let mut report = DeltaReport {
        format: "sweeper.bill-delta/1",
        currency: bill.currency.clone(),
        outcome: Outcome::NoMatureDays,
        window: None,
        baseline: None,
        by_service: Vec::new(),
        total: None,
        days: Vec::new(),
        thin_days: Vec::new(),
        lanes: Vec::new(),
        excluded: bill.excluded.clone(),
    };
    let calendar = Calendar { rows: &bill.rows };
    let horizon = plus(terms.today, -i64::from(terms.lag_days));
    let recent = (0..=STALE).map(|back| plus(horizon, -back));
    for day in recent.clone().take_while(|day| !calendar.mature(*day, horizon)) {
        report.thin_days.extend(calendar.thin(day, true));
    }
    let Some(last) = recent.clone().find(|day| calendar.mature(*day, horizon)) else { return report };

    let first = plus(last, 1 - WINDOW);
    let compared: Vec<Date> = (0..WINDOW)
        .map(|index| plus(first, index))
        .filter(|day| {
            let mature = calendar.mature(*day, horizon);
            report.thin_days.extend(calendar.thin(*day, !mature));
            mature
        })
        .collect();
    report.thin_days.sort_by_key(|thin| thin.day);
    let baseline_first = plus(first, -7 * WEEKS);
    let baseline: Vec<Date> =
        (0..7 * WEEKS).map(|index| plus(baseline_first, index)).filter(|day| calendar.present(*day)).collect();
    report.window = Some(Span { first, last, days: compared.len() });
    report.baseline = Some(Span { first: baseline_first, last: plus(first, -1), days: baseline.len() });
    report.lanes = Lane::ALL.into_iter().map(|lane| lane_sums(bill, lane, baseline_first, first, last)).collect();
    if baseline.len() < LEARNING {
        report.outcome = Outcome::Learning;
        return report;
    }

    let nothing = BTreeMap::new();
    let series = Series { costs: bill.lanes.get(&Lane::Usage).unwrap_or(&nothing), first, baseline: &baseline };
    let trend = series.trend();
    let noise = series.noise();
    let mut total = Sums::default();
    let mut odd = (0_u32, 0_u32, false, false);
    for day in &compared {
        let (actual, expected) = (series.cost(*day), series.expected(*day, &trend));
        total.add(actual, series.billed(*day), expected);
        let over = actual - expected;
        let z = noise.z(over);
        odd.0 += u32::from(z > ODD);
        odd.1 += u32::from(z < -ODD);
        let half = expected.scaled(1, 2);
        odd.2 |= z > ODD && over > half;
        odd.3 |= z < -ODD && Amount::ZERO - over > half;
        let z = (z.clamp(-MOST_Z, MOST_Z) * 100.0).round() / 100.0;
        report.days.push(DayDelta { day: *day, expected, actual, z });
    }
    let expected = total.expected;
    let mut between_services = total.delta();
    for (service, costs) in &bill.usage {
        let series = Series { costs, first, baseline: &baseline };
        let trend = series.trend();
        let mut sums = Sums::default();
        for day in &compared {
            sums.add(series.cost(*day), series.billed(*day), series.expected(*day, &trend));
        }
        if sums == Sums::default() {
            continue;
        }
        between_services = between_services - sums.delta();
        report.by_service.push(ServiceDelta {
            service: service.clone(),
            expected: sums.expected,
            actual: sums.actual,
            delta: sums.delta(),
            share: ratio(sums.delta(), expected),
            billed: sums.billed,
        });
    }
    report.by_service.sort_by(|one, other| {
        magnitude(other.delta).cmp(&magnitude(one.delta)).then_with(|| one.service.cmp(&other.service))
    });
    let threshold = expected.scaled(1, 10).max(terms.floor_a_day.times(compared.len() as i64));
    let delta = total.delta();
    report.outcome = if delta > threshold && (odd.0 >= 2 || odd.2) {
        Outcome::Rise
    } else if Amount::ZERO - delta > threshold && (odd.1 >= 2 || odd.3) {
        Outcome::Fall
    } else {
        Outcome::Quiet
    };
    report.total = Some(TotalDelta {
        expected,
        actual: total.actual,
        delta,
        share: ratio(delta, expected),
        billed: total.billed,
        threshold,
        between_services,
    });
    report
}

/// Which days can be relied on, by their rows.
struct Calendar<'a> {
    rows: &'a BTreeMap<Date, u64>,
}

impl Calendar<'_> {
    fn count(&self, day: Date) -> u64 {
        self.rows.get(&day).copied().unwrap_or(0)
    }

    /// Whether the bill has the day at all. A day without a single row is not a day without costs.
    fn present(&self, day: Date) -> bool {
        self.count(day) > 0
    }

    /// The median row count of the same weekday in the four weeks before, over the days that are there.
    fn usual(&self, day: Date) -> Option<u64> {
        let mut counts: Vec<u64> =
            (1..=WEEKS).map(|week| self.count(plus(day, -7 * week))).filter(|count| *count > 0).collect();
        counts.sort_unstable();
        let middle = counts.len().checked_sub(1)? / 2;
        Some(counts[middle].midpoint(counts[counts.len() / 2]))
    }

    /// At least 90 % of the usual rows.
    fn full(&self, day: Date) -> bool {
        let enough = |usual| u128::from(self.count(day)) * 10 >= u128::from(usual) * 9;
        self.present(day) && self.usual(day).is_none_or(enough)
    }

    /// Whether a day can be compared: it is old enough, and whole. One that has been thin for some days
    /// is not late any more: there are fewer rows, as after a clean-up.
    fn mature(&self, day: Date, horizon: Date) -> bool {
        day <= horizon && (self.full(day) || (self.present(day) && day <= plus(horizon, -LATE)))
    }

    fn thin(&self, day: Date, left_out: bool) -> Option<ThinDay> {
        let usual_rows = self.usual(day).unwrap_or(0);
        let thin = ThinDay { day, rows: self.count(day), usual_rows, left_out };
        (!self.full(day)).then_some(thin)
    }
}

/// Daily costs of one service, or of all.
struct Series<'a> {
    costs: &'a BTreeMap<Date, Charges>,
    /// Of the window.
    first: Date,
    /// The days before it that the bill has.
    baseline: &'a [Date],
}

/// How the weekly totals move.
struct Trend {
    /// A week, in parts in a billion, between ±10 %.
    slope: i128,
    /// From the centre of the weeks to the window: numerator and denominator, weeks.
    distance: (i128, i128),
}

impl Series<'_> {
    fn cost(&self, day: Date) -> Amount {
        self.costs.get(&day).map_or(Amount::ZERO, |charges| charges.effective)
    }

    fn billed(&self, day: Date) -> Amount {
        self.costs.get(&day).map_or(Amount::ZERO, |charges| charges.billed)
    }

    fn has(&self, day: Date) -> bool {
        self.baseline.binary_search(&day).is_ok()
    }

    /// The median of the baseline's other days of the same weekday; of all its other days where it has none.
    fn usual(&self, day: Date) -> Amount {
        let others = |like: bool| -> Vec<Amount> {
            let others = self.baseline.iter().filter(|other| **other != day);
            others.filter(|other| !like || other.weekday() == day.weekday()).map(|day| self.cost(*day)).collect()
        };
        let like = others(true);
        median(if like.is_empty() { others(false) } else { like })
    }

    fn expected(&self, day: Date, trend: &Trend) -> Amount {
        let (weeks, over) = trend.distance;
        let usual = self.usual(day);
        usual + usual.scaled(trend.slope * weeks, BILLION * over)
    }

    /// The Theil–Sen slope of the weekly totals over their median. None below three weeks or a median
    /// that is not above zero.
    fn trend(&self) -> Trend {
        let mut totals: Vec<(i128, Amount)> = Vec::new();
        for week in 1..=WEEKS {
            let start = plus(self.first, -7 * week);
            let days: Vec<Date> = (0..7).map(|index| plus(start, index)).filter(|day| self.has(*day)).collect();
            // A week with holes counts at the rate of the days it has.
            if days.len() >= 4 {
                let sum: Amount = days.iter().map(|day| self.cost(*day)).sum();
                totals.push((i128::from(week), sum.scaled(7, days.len() as i128)));
            }
        }
        let level = median(totals.iter().map(|(_, total)| *total).collect());
        if totals.len() < TREND_WEEKS || level <= Amount::ZERO {
            return Trend { slope: 0, distance: (0, 1) };
        }
        let mut slopes = Vec::new();
        for (index, (later, late)) in totals.iter().enumerate() {
            for (earlier, early) in &totals[index + 1..] {
                slopes.push((*late - *early).scaled(BILLION, earlier - later));
            }
        }
        let limit = BILLION / 10;
        let slope = (median(slopes).pico() / level.pico().max(1)).clamp(-limit, limit);
        Trend { slope, distance: (totals.iter().map(|(week, _)| week).sum(), totals.len() as i128) }
    }

    /// How far days usually are from what their weekday's other days let one expect: as a day of the
    /// window, a day here has no part in its own expectation.
    fn noise(&self) -> Noise {
        let mut away: Vec<f64> = self.baseline.iter().map(|day| units(self.cost(*day) - self.usual(*day))).collect();
        let centre = middle(&mut away);
        let mut spread: Vec<f64> = away.iter().map(|value| (value - centre).abs()).collect();
        let level = units(median(self.baseline.iter().map(|day| self.cost(*day)).collect())).abs();
        Noise { centre, mad: middle(&mut spread).max(level / 100.0) }
    }
}

struct Noise {
    centre: f64,
    mad: f64,
}

impl Noise {
    fn z(&self, over: Amount) -> f64 {
        let over = units(over) - self.centre;
        // No spread at all, around nothing: any cost is out of the ordinary.
        if self.mad == 0.0 { over.signum() * if over == 0.0 { 0.0 } else { MOST_Z } } else { 0.6745 * over / self.mad }
    }
}

#[derive(Default, PartialEq, Eq)]
struct Sums {
    actual: Amount,
    billed: Amount,
    expected: Amount,
}

impl Sums {
    fn add(&mut self, actual: Amount, billed: Amount, expected: Amount) {
        self.actual += actual;
        self.billed += billed;
        self.expected += expected;
    }

    fn delta(&self) -> Amount {
        self.actual - self.expected
    }
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

/// A day moved by days; stays at the calendar's ends.
fn plus(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}

fn magnitude(amount: Amount) -> u128 {
    amount.pico().unsigned_abs()
}

/// Zero of nothing; between the middle two when there are two.
fn median(mut amounts: Vec<Amount>) -> Amount {
    amounts.sort_unstable();
    match amounts.len() {
        0 => Amount::ZERO,
        count => (amounts[(count - 1) / 2] + amounts[count / 2]).scaled(1, 2),
    }
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

fn units(amount: Amount) -> f64 {
    amount.pico() as f64 / 1e12
}

/// `part` over `whole`, rounded to six decimals, half away from zero.
fn ratio(part: Amount, whole: Amount) -> Option<Amount> {
    if whole <= Amount::ZERO {
        return None;
    }
    let (part, whole) = (part.pico(), whole.pico());
    let millionths = part.checked_mul(1_000_000)?;
    let half = whole / 2 * millionths.signum();
    Some(Amount::from_pico((millionths.checked_add(half)? / whole).checked_mul(1_000_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

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
        Bill::default().read("bill.csv", (HEADER.to_owned() + rows).as_bytes()).unwrap()
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
        assert_eq!(total(&report).between_services, Amount::ZERO);
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
                assert_eq!(report.by_service[0].service, "Network");
                assert_eq!(report.by_service[0].share, Some(usd(share)));
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
        assert_eq!(json["format"], "sweeper.bill-delta/1");
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
                let lines: Amount = report.by_service.iter().map(|line| line.delta).sum();
                prop_assert_eq!(lines + total.between_services, total.delta);
                prop_assert_eq!(report.by_service.iter().map(|line| line.actual).sum::<Amount>(), total.actual);
            }
        }
    }
}
