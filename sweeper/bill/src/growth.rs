//! How fast a number of resources grows, and whether that is growth at all or one step.
//!
//! With y = ln(max(N, 1)) of the day's median N, less the weekday's effect (the median over the weeks of y less the
//! centred median of its seven days, both without the trend of the whole history, which the median of seven days that rise
//! would follow in jumps):
//!
//! - g₁ = exp(Theil–Sen slope of the last six days) − 1
//! - g₂ = exp(median of the last five day-over-day differences) − 1
//!
//! It grows when the smaller of the two is above 5 % a day, and N is at least 50 or has risen by 10. Either alone is
//! wrong at times: the slope sees a fresh step as growth (three days after one of 40 %, 8.8 % a day), and the median of
//! differences is late. A growth that was told ends below 3 % a day.
//!
//! A *level shift* is one day-over-day difference that lies more than five MAD from the others, and stays: the medians
//! of up to seven days before and after are as far apart. Two or
//! more of them in a row are growth; one that goes back is an odd day, and neither. The MAD is at least 1 %, so a
//! step below 5 % is none.

use crate::{
    expected::{LEARNING, as_text, days_between, plus},
    robust::{middle, slope},
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;

/// Days that the rates are of.
pub const POINTS: usize = 6;
/// History that is looked at, days.
const HISTORY: i64 = 56;
/// The days at whose median a level is read, before a step and after it.
const LEVEL: usize = 7;
/// A difference so many MAD from the median of differences is a step.
const STEP: f64 = 5.0;
/// The least MAD of differences.
const LEAST_MAD: f64 = 0.01;
/// Days without a scan, between the six, after which they say nothing of today.
const MOST_GAPS: i64 = 4;

/// From when on growth is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrowthTerms {
    /// A day; 0.05 is 5 %. A rate must be above it, after rounding to hundredths of a percent.
    pub limit: f64,
    /// Growth that was told ends below this.
    pub clear: f64,
    /// Fewer than these, and a smaller rise than that over the six days, are too few to speak of.
    pub least: u64,
    pub least_rise: u64,
}

impl Default for GrowthTerms {
    fn default() -> Self {
        Self { limit: 0.05, clear: 0.03, least: 50, least_rise: 10 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrowthOutcome {
    /// Under 14 days with a scan, or too few lately.
    Learning,
    Quiet,
    Growing,
}

/// A step to another level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LevelShift {
    /// The first day of the new level.
    #[serde(serialize_with = "as_text")]
    pub day: Date,
    /// By how much it rose, without weekday effects; 0.4 is 40 %. Below zero: it fell.
    pub by: f64,
    /// Days that the new level has been seen. After one day nobody knows yet whether it stays.
    pub seen: usize,
}

/// What a number of resources does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    pub outcome: GrowthOutcome,
    /// g₁ and g₂, a day, rounded to six decimals; 0.05 is 5 %.
    pub slope: f64,
    pub steps: f64,
    /// The median number on the last day, and the rise over the six days.
    pub count: f64,
    pub rise: f64,
    /// Within the last 14 days.
    pub shifts: Vec<LevelShift>,
}

impl Growth {
    /// From the numbers that each day's scans found. Days without a scan are left out. `growing`: whether growth was
    /// told last time.
    pub fn of(scans: &BTreeMap<Date, Vec<u64>>, terms: &GrowthTerms, growing: bool) -> Self {
        let counts = scans.iter().filter(|(_, scans)| !scans.is_empty());
        let mut counts: Vec<(Date, f64)> = counts
            .map(|(day, scans)| (*day, middle(&mut scans.iter().map(|count| *count as f64).collect::<Vec<f64>>())))
            .collect();
        if let Some((last, _)) = counts.last().copied() {
            counts.retain(|(day, _)| days_between(*day, last) < HISTORY);
        }
        let mut found = Self {
            outcome: GrowthOutcome::Learning,
            slope: 0.0,
            steps: 0.0,
            count: counts.last().map_or(0.0, |(_, count)| *count),
            rise: 0.0,
            shifts: Vec::new(),
        };
        let Some(recent) = counts.len().checked_sub(POINTS.max(LEARNING)).map(|_| &counts[counts.len() - POINTS..])
        else {
            return found;
        };
        let (first, last) = (recent[0], recent[POINTS - 1]);
        found.rise = last.1 - first.1;
        let days = without_weekdays(&counts);
        found.shifts = shifts(&days, last.0);
        if days_between(first.0, last.0) >= POINTS as i64 + MOST_GAPS {
            return found;
        }
        let recent = &days[days.len() - POINTS..];
        let points: Vec<(f64, f64)> = recent.iter().map(|(day, y)| (days_between(first.0, *day) as f64, *y)).collect();
        found.slope = rate(slope(&points));
        found.steps = rate(middle(&mut differences(recent).map(|(_, difference)| difference).collect::<Vec<f64>>()));
        let rate = found.slope.min(found.steps);
        let enough = found.count >= terms.least as f64 || found.rise >= terms.least_rise as f64;
        let hundredths = |rate: f64| (rate * 10_000.0).round();
        let above = hundredths(rate) > hundredths(terms.limit) || (growing && rate >= terms.clear);
        found.outcome = if enough && above { GrowthOutcome::Growing } else { GrowthOutcome::Quiet };
        found
    }
}

/// A difference of logarithms as a rate, rounded to six decimals.
fn rate(difference: f64) -> f64 {
    (difference.exp_m1() * 1e6).round() / 1e6
}

/// From one day to the next; over days without a scan, the mean difference a day.
fn differences(days: &[(Date, f64)]) -> impl Iterator<Item = (Date, f64)> {
    days.windows(2).map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / days_between(pair[0].0, pair[1].0).max(1) as f64))
}

/// Logarithms, less what their weekday usually adds.
fn without_weekdays(counts: &[(Date, f64)]) -> Vec<(Date, f64)> {
    let logs: Vec<(Date, f64)> = counts.iter().map(|(day, count)| (*day, count.max(1.0).ln())).collect();
    let (Some((first, _)), Some((last, _))) = (logs.first(), logs.last()) else { return logs };
    let back: BTreeMap<Date, f64> = logs.iter().copied().collect();
    let mut weeks: Vec<f64> =
        logs.iter().filter_map(|(day, y)| Some(y - back.get(&plus(*day, -7))?)).map(|week| week / 7.0).collect();
    let trend = middle(&mut weeks);
    let flat: Vec<(Date, f64)> =
        logs.iter().map(|(day, y)| (*day, y - trend * days_between(*first, *day) as f64)).collect();
    let mut effects: [Vec<f64>; 7] = Default::default();
    for (day, y) in &flat {
        if days_between(*first, *day) < 3 || days_between(*day, *last) < 3 {
            continue;
        }
        let around = flat.iter().filter(|(other, _)| days_between(*other, *day).abs() <= 3);
        let mut around: Vec<f64> = around.map(|(_, y)| *y).collect();
        // A gap would move the median towards the weekdays that are there.
        if around.len() == 7 {
            effects[weekday(*day)].push(y - middle(&mut around));
        }
    }
    let effects = effects.map(|mut effects| middle(&mut effects));
    logs.iter().map(|(day, y)| (*day, y - effects[weekday(*day)])).collect()
}

/// The steps of the last 14 days that stayed.
fn shifts(days: &[(Date, f64)], last: Date) -> Vec<LevelShift> {
    let steps: Vec<(Date, f64)> = differences(days).collect();
    let centre = middle(&mut steps.iter().map(|(_, step)| *step).collect::<Vec<f64>>());
    let mad = middle(&mut steps.iter().map(|(_, step)| (step - centre).abs()).collect::<Vec<f64>>()).max(LEAST_MAD);
    let odd = |index: usize| steps.get(index).map_or(0.0, |(_, step)| step - centre).abs() > STEP * mad;
    let alike = |one: usize, other: usize| odd(other) && (steps[one].1 > centre) == (steps[other].1 > centre);
    let mut found = Vec::new();
    for (index, (day, step)) in steps.iter().enumerate() {
        let in_a_row = (index > 0 && alike(index, index - 1)) || (index + 1 < steps.len() && alike(index, index + 1));
        if !odd(index) || in_a_row || *day <= plus(last, -(LEARNING as i64)) {
            continue;
        }
        let (before, after) = days.split_at(index + 1);
        let level =
            |days: &mut dyn Iterator<Item = &(Date, f64)>| middle(&mut days.map(|(_, y)| *y).collect::<Vec<f64>>());
        let moved = level(&mut after.iter().take(LEVEL)) - level(&mut before.iter().rev().take(LEVEL));
        if moved * step > 0.0 && moved.abs() > STEP * mad {
            found.push(LevelShift { day: *day, by: rate(moved), seen: after.len() });
        }
    }
    found
}

fn weekday(day: Date) -> usize {
    usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: i64 = 42;

    fn series(count: impl Fn(i64, Date) -> f64) -> BTreeMap<Date, Vec<u64>> {
        let first = jiff::civil::date(2026, 10, 5);
        (0..DAYS).map(|index| (plus(first, index), vec![count(index, plus(first, index)).round() as u64])).collect()
    }

    fn growth(count: impl Fn(i64, Date) -> f64) -> Growth {
        Growth::of(&series(count), &GrowthTerms::default(), false)
    }

    fn weekly(day: Date) -> f64 {
        if weekday(day) > 4 { 0.4 } else { 1.0 }
    }

    #[test]
    fn weekly_pattern_and_growth_together_in_any_phase() {
        for phase in 0..7 {
            let found = growth(|index, day| 1e6 * weekly(plus(day, phase)) * 1.06_f64.powi(index as i32));
            assert_eq!(found.outcome, GrowthOutcome::Growing, "{phase}: {found:?}");
            assert!((found.steps - 0.06).abs() < 1e-5, "{phase}: {found:?}");
            assert!(found.shifts.is_empty(), "{phase}: {found:?}");
            let flat = growth(|_, day| 1e6 * weekly(plus(day, phase)));
            assert_eq!((flat.outcome, flat.slope, flat.steps), (GrowthOutcome::Quiet, 0.0, 0.0));
        }
    }

    #[test]
    fn few_resources_are_not_spoken_of() {
        // From 20 to 28 in five days: 7 % a day.
        let small = |base: f64| move |index: i64, _: Date| base * 1.07_f64.powi((index - DAYS + 6).max(0) as i32);
        let found = growth(small(20.0));
        assert!(found.slope > 0.05 && found.rise < 10.0, "{found:?}");
        assert_eq!(found.outcome, GrowthOutcome::Quiet);
        assert_eq!(growth(small(30.0)).outcome, GrowthOutcome::Growing);
    }

    #[test]
    fn growth_that_was_told_ends_later() {
        let four = series(|index, _| 1e6 * 1.04_f64.powi(index as i32));
        let two = series(|index, _| 1e6 * 1.02_f64.powi(index as i32));
        let told = |scans, before| Growth::of(scans, &GrowthTerms::default(), before).outcome;
        assert_eq!((told(&four, false), told(&four, true)), (GrowthOutcome::Quiet, GrowthOutcome::Growing));
        assert_eq!(told(&two, true), GrowthOutcome::Quiet);
    }

    #[test]
    fn a_step_is_told_with_its_day_and_a_spike_is_none() {
        let step = |back: i64, by: f64| growth(move |index, _| if index >= DAYS - back { 1000.0 * by } else { 1000.0 });
        for back in [1, 3, 5, 10] {
            let found = step(back, 1.4);
            assert_eq!(found.outcome, GrowthOutcome::Quiet);
            let day = plus(jiff::civil::date(2026, 10, 5), DAYS - back);
            assert_eq!(found.shifts, [LevelShift { day, by: 0.4, seen: back as usize }]);
        }
        assert_eq!(step(5, 0.5).shifts[0].by, -0.5);
        assert_eq!(step(20, 1.4).shifts, [], "of long ago");
        assert_eq!(step(5, 1.04).shifts, [], "below 5 %");
        assert_eq!(growth(|index, _| if index == DAYS - 5 { 3000.0 } else { 1000.0 }).shifts, []);
    }

    #[test]
    fn a_day_is_the_median_of_its_scans_and_days_may_be_missing() {
        let mut scans = series(|index, _| 1e6 * 1.06_f64.powi(index as i32));
        for counts in scans.values_mut() {
            counts.extend([0, counts[0] * 5]);
        }
        let last = *scans.keys().last().unwrap();
        for back in [2, 3, 9, 30] {
            scans.remove(&plus(last, -back));
        }
        let found = Growth::of(&scans, &GrowthTerms::default(), false);
        assert!((found.slope - 0.06).abs() < 1e-4 && (found.steps - 0.06).abs() < 1e-4, "{found:?}");
        // Nothing for a week and more: the last six days are not of now.
        for back in 1..6 {
            scans.remove(&plus(last, -back));
        }
        assert_eq!(Growth::of(&scans, &GrowthTerms::default(), false).outcome, GrowthOutcome::Learning);
        let few: BTreeMap<Date, Vec<u64>> = series(|_, _| 100.0).into_iter().take(13).collect();
        assert_eq!(Growth::of(&few, &GrowthTerms::default(), false).outcome, GrowthOutcome::Learning);
    }
}
