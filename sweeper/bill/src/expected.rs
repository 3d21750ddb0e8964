//! Which days of a bill can be relied on, and what each was to be expected to cost.
//!
//! Whole, mature days only, and each against the same weekday: a month of 31 days is no rise over one of
//! 28, and a Sunday none over a Monday. Sums and expectations are exact; floats appear in the robust z alone.
//!
//! - Expected cost of a day: the median of the same weekday in the four weeks before, moved along the
//!   trend of those weeks (Theil–Sen slope of the weekly totals over their median, at most 10 % a week)
//!   by the 2.5 weeks from their centre to the window. One odd week makes no trend.
//! - Robust z: 0.6745 · (x − median) / MAD of the weekday-adjusted days (Iglewicz and Hoaglin 1993), with
//!   the MAD at least 1 % of the median day, since a flat series has a MAD of 0.

use crate::robust::{Scatter, median, reported, units};
use jiff::{ToSpan, civil::Date};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

/// Days compared.
pub const WINDOW: i64 = 7;
/// Weeks before them that say what was to be expected.
pub const WEEKS: i64 = 4;
/// Fewer days of history than this make no expectation.
pub const LEARNING: usize = 14;
/// Weeks that make a trend.
const TREND_WEEKS: usize = 3;
/// A late day is waited for this long; then its row count is what it is.
const LATE: i64 = 3;
/// How far back the last mature day may lie.
const STALE: i64 = 7;
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

impl Span {
    /// Every day from `first` to `last`; none when `last` is before `first`.
    pub fn whole(first: Date, last: Date) -> Self {
        Self { first, last, days: usize::try_from(days_between(first, last) + 1).unwrap_or(0) }
    }

    pub fn holds(&self, day: Date) -> bool {
        self.first <= day && day <= self.last
    }

    /// Each day from `first` to `last`.
    pub fn each(&self) -> impl Iterator<Item = Date> + use<> {
        let first = self.first;
        (0..=days_between(first, self.last)).map(move |index| plus(first, index))
    }
}

/// One day of the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DayDelta {
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    pub expected: Amount,
    pub actual: Amount,
    /// How far out of the ordinary `actual` is; two decimals.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
pub(crate) fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

/// The days of a bill that are compared with one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatureDays {
    /// The last seven days that are old enough; `days` of them are whole. `None` when none is.
    pub window: Option<Span>,
    /// The four weeks before; `days` of them are in the bill.
    pub baseline: Option<Span>,
    /// The days of the window that are compared, in order.
    pub compared: Vec<Date>,
    /// The days of the baseline that the bill has, in order.
    pub known: Vec<Date>,
    pub thin: Vec<ThinDay>,
}

impl MatureDays {
    /// From the number of rows that each day has.
    pub fn of(rows: &BTreeMap<Date, u64>, terms: &Terms) -> Self {
        let mut found = Self::default();
        let calendar = Calendar { rows };
        let horizon = plus(terms.today, -i64::from(terms.lag_days));
        let recent = (0..=STALE).map(|back| plus(horizon, -back));
        for day in recent.clone().take_while(|day| !calendar.mature(*day, horizon)) {
            found.thin.extend(calendar.thin(day, true));
        }
        let Some(last) = recent.clone().find(|day| calendar.mature(*day, horizon)) else { return found };
        let first = plus(last, 1 - WINDOW);
        for day in (0..WINDOW).map(|index| plus(first, index)) {
            let mature = calendar.mature(day, horizon);
            found.thin.extend(calendar.thin(day, !mature));
            if mature {
                found.compared.push(day);
            }
        }
        found.thin.sort_by_key(|thin| thin.day);
        let baseline = plus(first, -7 * WEEKS);
        found.known = (0..7 * WEEKS).map(|index| plus(baseline, index)).filter(|day| calendar.present(*day)).collect();
        found.window = Some(Span { first, last, days: found.compared.len() });
        found.baseline = Some(Span { first: baseline, last: plus(first, -1), days: found.known.len() });
        found
    }

    /// The days of the baseline that are like the days compared: all it has, unless a day of the window is left out.
    pub fn alike(&self) -> impl Iterator<Item = Date> {
        let compared = |day: &Date| self.compared.iter().any(|compared| compared.weekday() == day.weekday());
        self.known.iter().copied().filter(compared)
    }

    /// By what a sum over the days of [`MatureDays::alike`] is scaled to the days compared: numerator and denominator.
    pub fn scale(&self) -> (i128, i128) {
        (self.compared.len() as i128, self.alike().count() as i128)
    }

    /// Whether there is too little history to expect anything.
    pub fn learning(&self) -> bool {
        self.known.len() < LEARNING
    }
}

/// What a series of daily costs was to be expected to be over the window, and what it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    pub days: Vec<DayDelta>,
    pub expected: Amount,
    /// As much of `expected` is there because the weeks before rose; below zero when they fell.
    pub trend: Amount,
    pub actual: Amount,
}

impl Expectation {
    /// Of one service, scope or bill. Days that `costs` lacks cost nothing.
    pub fn of(costs: &BTreeMap<Date, Amount>, days: &MatureDays) -> Self {
        let mut found = Self::default();
        let Some(window) = days.window else { return found };
        let series = Series { costs, first: window.first, known: &days.known };
        let trend = series.trend();
        let noise = series.noise();
        for day in &days.compared {
            let (usual, actual) = (series.usual(*day), series.cost(*day));
            let moved = trend.moved(usual);
            let expected = usual + moved;
            found.expected += expected;
            found.trend += moved;
            found.actual += actual;
            let z = reported(noise.z(units(actual - expected)));
            found.days.push(DayDelta { day: *day, expected, actual, z });
        }
        found
    }

    /// `actual` − `expected`.
    pub fn delta(&self) -> Amount {
        self.actual - self.expected
    }
}

/// The last calendar month that is mature, and the one before it, where the bill has every day of both.
pub fn months(rows: &BTreeMap<Date, u64>, terms: &Terms) -> Option<(Span, Span)> {
    let horizon = plus(terms.today, -i64::from(terms.lag_days));
    let last = if horizon == horizon.last_of_month() { horizon } else { plus(horizon.first_of_month(), -1) };
    let after = Span::whole(last.first_of_month(), last);
    let last = plus(after.first, -1);
    let before = Span::whole(last.first_of_month(), last);
    before.each().chain(after.each()).all(|day| rows.contains_key(&day)).then_some((before, after))
}

/// What a change of the calendar alone makes of a period's cost: what `after` would have cost at the mean cost of
/// each weekday of `before`, less what `before` did cost. A weekday that `before` lacks costs the mean of all days.
pub fn calendar_effect(costs: &BTreeMap<Date, Amount>, before: &Span, after: &Span) -> Amount {
    let cost = |day: Date| costs.get(&day).copied().unwrap_or(Amount::ZERO);
    let mut sums = [(Amount::ZERO, 0_i128); 7];
    for day in before.each() {
        let of_weekday = &mut sums[weekday(day)];
        of_weekday.0 += cost(day);
        of_weekday.1 += 1;
    }
    let mut counts = [0_i128; 7];
    for day in after.each() {
        counts[weekday(day)] += 1;
    }
    let all: Amount = sums.iter().map(|(sum, _)| *sum).sum();
    let days: i128 = sums.iter().map(|(_, days)| *days).sum();
    let would: Amount = sums
        .iter()
        .zip(counts)
        .map(|((sum, had), has)| if *had == 0 { all.scaled(has, days) } else { sum.scaled(has, *had) })
        .sum();
    would - all
}

fn weekday(day: Date) -> usize {
    usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0)
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
pub(crate) struct Series<'a> {
    pub(crate) costs: &'a BTreeMap<Date, Amount>,
    /// Of the window.
    pub(crate) first: Date,
    /// The days before it that the bill has, in order.
    pub(crate) known: &'a [Date],
}

/// How the weekly totals move.
pub(crate) struct Trend {
    /// A week, in parts in a billion, between ±10 %.
    slope: i128,
    /// From the centre of the weeks to the window: numerator and denominator, weeks.
    distance: (i128, i128),
}

impl Trend {
    /// By how much an amount of the baseline's centre has moved until the window.
    fn moved(&self, usual: Amount) -> Amount {
        let (weeks, over) = self.distance;
        usual.scaled(self.slope * weeks, BILLION * over)
    }
}

impl Series<'_> {
    fn cost(&self, day: Date) -> Amount {
        self.costs.get(&day).copied().unwrap_or(Amount::ZERO)
    }

    fn has(&self, day: Date) -> bool {
        self.known.binary_search(&day).is_ok()
    }

    /// The median of the baseline's other days of the same weekday; of all its other days where it has none.
    pub(crate) fn usual(&self, day: Date) -> Amount {
        let others = |like: bool| -> Vec<Amount> {
            let others = self.known.iter().filter(|other| **other != day);
            others.filter(|other| !like || other.weekday() == day.weekday()).map(|day| self.cost(*day)).collect()
        };
        let like = others(true);
        median(if like.is_empty() { others(false) } else { like })
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
        let slope = (cautious(slopes).pico() / level.pico().max(1)).clamp(-limit, limit);
        Trend { slope, distance: (totals.iter().map(|(week, _)| week).sum(), totals.len() as i128) }
    }

    /// How far days usually are from what their weekday's other days let one expect: as a day of the
    /// window, a day here has no part in its own expectation.
    pub(crate) fn noise(&self) -> Scatter {
        let mut away: Vec<f64> = self.known.iter().map(|day| units(self.cost(*day) - self.usual(*day))).collect();
        let level = units(median(self.known.iter().map(|day| self.cost(*day)).collect())).abs();
        Scatter::of(&mut away, level / 100.0)
    }
}

/// The median of slopes; but where the middle two are of different minds (one is more than twice the other, or of the
/// other sign) the one nearer to zero. Of four weeks, an odd one at either end makes half of the slopes.
fn cautious(mut slopes: Vec<Amount>) -> Amount {
    slopes.sort_unstable();
    let Some(last) = slopes.len().checked_sub(1) else { return Amount::ZERO };
    let (low, high) = (slopes[last / 2], slopes[slopes.len() / 2]);
    let size = |slope: Amount| slope.pico().unsigned_abs();
    let (near, far) = if size(low) <= size(high) { (low, high) } else { (high, low) };
    let agree = (near > Amount::ZERO) == (far > Amount::ZERO) && size(far) / 2 <= size(near);
    if agree { median(slopes) } else { near }
}

/// A day moved by days; stays at the calendar's ends.
pub fn plus(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}

/// From `first` to `last`; below zero when `last` is before.
pub(crate) fn days_between(first: Date, last: Date) -> i64 {
    first.duration_until(last).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        Span::whole(first.parse().unwrap(), last.parse().unwrap())
    }

    fn series(span: &Span, cost: impl Fn(Date) -> i64) -> BTreeMap<Date, Amount> {
        span.each().map(|day| (day, Amount::whole(cost(day)))).collect()
    }

    fn weekly(day: Date) -> i64 {
        if matches!(day.weekday().to_monday_one_offset(), 6 | 7) { 400 } else { 1000 }
    }

    #[test]
    fn a_month_has_other_days_than_the_next() {
        let (february, march, april) =
            (span("2026-02-01", "2026-02-28"), span("2026-03-01", "2026-03-31"), span("2026-04-01", "2026-04-30"));
        assert_eq!((february.days, march.days, april.days), (28, 31, 30));
        // D6 and D7 of the known answers: 280 to 310, and 23,200 to 25,600.
        assert_eq!(calendar_effect(&series(&february, |_| 10), &february, &march), Amount::whole(30));
        assert_eq!(calendar_effect(&series(&february, weekly), &february, &march), Amount::whole(2400));
        // March has 22 working days and 9 others, April 22 and 8.
        assert_eq!(calendar_effect(&series(&march, weekly), &march, &april), Amount::whole(-400));
        assert_eq!(calendar_effect(&series(&march, weekly), &march, &march), Amount::ZERO);
    }

    #[test]
    fn a_weekday_that_was_never_seen_costs_as_any_day() {
        let (three, seven) = (span("2026-03-02", "2026-03-04"), span("2026-03-02", "2026-03-08"));
        assert_eq!(calendar_effect(&series(&three, |_| 10), &three, &seven), Amount::whole(40));
        let none = span("2026-03-02", "2026-03-01");
        assert_eq!((none.days, none.each().count()), (0, 0));
        let held = |day: &str| three.holds(day.parse().unwrap());
        assert_eq!(["2026-03-01", "2026-03-02", "2026-03-04", "2026-03-05"].map(held), [false, true, true, false]);
    }

    #[test]
    fn a_day_that_is_left_out_is_left_out_of_the_baseline_too() {
        let all = span("2026-08-03", "2026-09-06");
        let mut rows: BTreeMap<Date, u64> = all.each().map(|day| (day, 10)).collect();
        rows.remove(&"2026-08-11".parse().unwrap());
        let days = MatureDays::of(&rows, &Terms::new(plus(all.last, 2)));
        assert_eq!(days.scale(), (7, 27));
        // The Saturday of the window is not loaded.
        rows.insert(plus(all.last, -1), 5);
        let days = MatureDays::of(&rows, &Terms::new(plus(all.last, 2)));
        assert_eq!(days.scale(), (6, 23));
        let costs = series(&all, weekly);
        let mean = days.alike().map(|day| costs[&day]).sum::<Amount>().scaled(6, 23);
        let found = Expectation::of(&costs, &days);
        assert_eq!((found.expected, found.actual), (Amount::whole(5400), Amount::whole(5400)));
        assert!((units(mean) - 5400.0).abs() < 50.0, "{mean}");
    }

    #[test]
    fn the_trend_is_told_from_the_level() {
        let all = span("2026-08-03", "2026-09-06");
        let first = all.first;
        let costs = series(&all, |day| 1000 + 7 * days_between(first, day));
        let days = MatureDays::of(&all.each().map(|day| (day, 10)).collect(), &Terms::new(plus(all.last, 2)));
        let found = Expectation::of(&costs, &days);
        assert!(found.trend > Amount::ZERO && found.expected - found.trend < found.actual);
        assert!((units(found.delta())).abs() < 15.0, "{}", found.delta());
        assert_eq!((days.learning(), days.known.len()), (false, 28));
    }
}
