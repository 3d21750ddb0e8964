//! Whether a month's budget will last, told before it is spent.
//!
//! Only mature days count as spent. Each other day of the month is expected to cost the median of its weekday over the
//! last 28 mature days, times the *level*: the median, over the last seven, of what they cost against that median
//! (between 0.25 and 4). Where each of the last two days cost at least twice its usual, the smaller of the two
//! multiples counts instead, since the median of seven would see a fire only after four days. A single dear day (an
//! upfront payment) is spent, and not expected again.
//!
//! The *burn rate* is a multiple: 1 spends the budget exactly in a month of usual weekdays. It is what days cost,
//! over the share of the budget that falls on them.

use crate::{
    expected::{LEARNING, Series, Span, as_text, plus},
    robust::{median, ratio},
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

/// Mature days that say what is usual.
const USUAL: i64 = 28;
/// Of these, the last that say at which level costs are now.
const RECENT: i64 = 7;
/// Days that must each be twice the usual for a fire.
const FIRE: usize = 2;

/// A month's budget of an owner or a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `team-search`, `aws:111122223333`: as reports name it.
    pub name: String,
    /// For a calendar month, in the bill's currency.
    pub monthly: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetOutcome {
    /// Under 14 mature days: nothing is expected of the rest of the month.
    Learning,
    Within,
    /// It will be exceeded before the month ends.
    Ahead,
    /// It is.
    Exceeded,
}

/// How a budget fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetReport {
    pub name: String,
    pub outcome: BudgetOutcome,
    pub month: Span,
    /// The last day that counts as spent.
    #[serde(serialize_with = "as_text")]
    pub mature_until: Date,
    pub budget: Amount,
    /// On the mature days of the month.
    pub spent: Amount,
    /// `spent` over the budget, rounded to six decimals; `None` for a budget of zero.
    pub spent_share: Option<Amount>,
    /// Of the month's other days.
    pub expected_rest: Amount,
    /// Both together.
    pub forecast: Amount,
    /// The day on which the budget is, or will be, exceeded.
    #[serde(serialize_with = "day_or_none")]
    pub exceeded_on: Option<Date>,
    /// Over the last seven mature days and over the last two, rounded to six decimals. `None` without a budget or a
    /// usual cost.
    pub burn_week: Option<Amount>,
    pub burn_two_days: Option<Amount>,
    /// Whether each of the last two days cost at least twice its usual.
    pub fire: bool,
    /// What usual days are multiplied with; 1 is as ever.
    pub level: Amount,
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn day_or_none<S: serde::Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

impl BudgetReport {
    /// Of daily effective costs, in the month of `today`. `mature_until` is the last mature day; `first` the first of
    /// which there is a bill. Days between that `costs` lacks cost nothing.
    pub fn of(budget: &Budget, costs: &BTreeMap<Date, Amount>, first: Date, mature_until: Date, today: Date) -> Self {
        let cost = |day: Date| costs.get(&day).copied().unwrap_or(Amount::ZERO);
        let month = Span::whole(today.first_of_month(), today.last_of_month());
        let known: Vec<Date> = Span::whole(first.max(plus(mature_until, 1 - USUAL)), mature_until).each().collect();
        let series = Series { costs, first: plus(mature_until, 1), known: &known };
        let usual = |day: Date| series.usual(day);
        let (level, fire) = level(&known, &cost, &usual);

        let spent_days = Span::whole(month.first, mature_until.min(month.last));
        let spent: Amount = spent_days.each().map(cost).sum();
        let learning = known.len() < LEARNING;
        let mut total = Amount::ZERO;
        let mut exceeded_on = None;
        let mut expected_rest = Amount::ZERO;
        for day in month.each() {
            if day <= mature_until {
                total += cost(day);
            } else if !learning {
                let expected = times(usual(day), level);
                expected_rest += expected;
                total += expected;
            }
            if total > budget.monthly && exceeded_on.is_none() {
                exceeded_on = Some(day);
            }
        }
        let outcome = match exceeded_on {
            // Refunds later in the month do not take it back.
            Some(day) if day <= mature_until => BudgetOutcome::Exceeded,
            _ if learning => BudgetOutcome::Learning,
            Some(_) => BudgetOutcome::Ahead,
            None => BudgetOutcome::Within,
        };
        let of_month: Amount = month.each().map(usual).sum();
        let burn = |days: i64| {
            let days = Span::whole(plus(mature_until, 1 - days), mature_until);
            let part: Amount = days.each().map(usual).sum();
            let share = Amount::from_pico(crate::split::portion(budget.monthly.pico(), part.pico(), of_month.pico()));
            (!learning).then(|| ratio(days.each().map(cost).sum(), share)).flatten()
        };
        Self {
            name: budget.name.clone(),
            outcome,
            month,
            mature_until,
            budget: budget.monthly,
            spent,
            spent_share: ratio(spent, budget.monthly),
            expected_rest,
            forecast: spent + expected_rest,
            exceeded_on,
            burn_week: burn(RECENT),
            burn_two_days: burn(2),
            fire,
            level,
        }
    }
}

/// At which multiple of the usual costs are now, and whether that is a fire.
fn level(known: &[Date], cost: &impl Fn(Date) -> Amount, usual: &impl Fn(Date) -> Amount) -> (Amount, bool) {
    let one = Amount::whole(1);
    let recent = known.iter().rev().take(RECENT as usize);
    let multiples: Vec<Amount> = recent.filter_map(|day| ratio(cost(*day), usual(*day))).collect();
    let lately: Vec<Amount> = known.iter().rev().take(FIRE).filter_map(|day| ratio(cost(*day), usual(*day))).collect();
    let least = lately.iter().copied().min().unwrap_or(one);
    let fire = lately.len() == FIRE && least >= one.times(2);
    let level = if multiples.is_empty() { one } else { median(multiples) };
    let level = level.clamp(one.scaled(1, 4), one.times(4));
    if fire { (level.max(least.min(one.times(10))), true) } else { (level, false) }
}

/// An amount times a multiple of six decimals.
fn times(amount: Amount, multiple: Amount) -> Amount {
    amount.scaled(multiple.pico() / 1_000_000, 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    /// Daily costs from 1 October on.
    fn costs(until: Date, cost: impl Fn(Date) -> i64) -> BTreeMap<Date, Amount> {
        Span::whole(date(2026, 10, 1), until).each().map(|day| (day, Amount::whole(cost(day)))).collect()
    }

    fn weekly(day: Date) -> i64 {
        if day.weekday().to_monday_one_offset() > 5 { 400 } else { 1000 }
    }

    fn report(monthly: i64, mature_until: Date, cost: impl Fn(Date) -> i64) -> BudgetReport {
        let budget = Budget { name: "team".to_owned(), monthly: Amount::whole(monthly) };
        BudgetReport::of(&budget, &costs(mature_until, cost), date(2026, 10, 1), mature_until, plus(mature_until, 2))
    }

    #[test]
    fn weekdays_make_the_month() {
        // November 2026 has 21 working days and 9 others: 24,600. Until Sunday 15th: 10 and 5.
        let found = report(24_600, date(2026, 11, 15), weekly);
        assert_eq!((found.spent, found.expected_rest), (Amount::whole(12_000), Amount::whole(12_600)));
        assert_eq!((found.outcome, found.exceeded_on), (BudgetOutcome::Within, None));
        assert_eq!((found.burn_week, found.burn_two_days, found.level), (Some(usd("1")), Some(usd("1")), usd("1")));
        assert_eq!(found.spent_share, Some(usd("0.487805")));
        // One dollar short: on the last day.
        let found = report(24_599, date(2026, 11, 15), weekly);
        assert_eq!((found.outcome, found.exceeded_on), (BudgetOutcome::Ahead, Some(date(2026, 11, 30))));
        // A fifth too little: on Tuesday 24th it is 19,800, a day later 20,800.
        let found = report(20_500, date(2026, 11, 15), weekly);
        assert_eq!(found.exceeded_on, Some(date(2026, 11, 25)));
        assert_eq!(found.burn_week, Some(usd("1.2")));
    }

    #[test]
    fn a_new_level_is_told_weeks_before_the_budget_is_spent() {
        // Half as much again since Monday 9th.
        let rise = |day: Date| if day >= date(2026, 11, 9) { weekly(day) * 3 / 2 } else { weekly(day) };
        let found = report(30_000, date(2026, 11, 11), rise);
        assert_eq!(found.outcome, BudgetOutcome::Within, "three days of seven");
        let found = report(30_000, date(2026, 11, 12), rise);
        assert_eq!((found.outcome, found.level), (BudgetOutcome::Ahead, usd("1.5")));
        assert_eq!(found.exceeded_on, Some(date(2026, 11, 27)));
        assert!(found.spent < Amount::whole(13_000));
    }

    #[test]
    fn a_fire_is_told_after_two_days_and_one_dear_day_is_none() {
        let fire = |day: Date| if day >= date(2026, 11, 10) { weekly(day) * 3 } else { weekly(day) };
        let found = report(40_000, date(2026, 11, 11), fire);
        assert_eq!((found.outcome, found.fire, found.level), (BudgetOutcome::Ahead, true, usd("3")));
        assert!(found.burn_two_days.unwrap() > usd("1.8"));
        let twice = |day: Date| if day >= date(2026, 11, 10) { weekly(day) * 2 } else { weekly(day) };
        assert_eq!(
            (report(40_000, date(2026, 11, 11), twice).fire, report(40_000, date(2026, 11, 10), twice).fire),
            (true, false)
        );
        let upfront = |day: Date| if day == date(2026, 11, 11) { 8760 } else { weekly(day) };
        let found = report(40_000, date(2026, 11, 11), upfront);
        assert_eq!((found.outcome, found.fire, found.level), (BudgetOutcome::Within, false, usd("1")));
        // Spent, not extrapolated.
        assert_eq!(found.forecast, Amount::whole(24_600 - 1000 + 8760));
    }

    #[test]
    fn an_exceeded_budget_says_when_it_was() {
        let found = report(5000, date(2026, 11, 15), weekly);
        // Sunday 1st 400, then 1,000 a day: 5,400 on Friday.
        assert_eq!((found.outcome, found.exceeded_on), (BudgetOutcome::Exceeded, Some(date(2026, 11, 6))));
        let today = report(5000, date(2026, 11, 6), weekly);
        assert_eq!((today.outcome, today.exceeded_on), (BudgetOutcome::Exceeded, Some(date(2026, 11, 6))));
        assert_eq!(report(5000, date(2026, 11, 5), weekly).outcome, BudgetOutcome::Ahead);
        let none = report(0, date(2026, 11, 15), weekly);
        assert_eq!((none.outcome, none.exceeded_on), (BudgetOutcome::Exceeded, Some(date(2026, 11, 1))));
        assert_eq!((none.burn_week, none.spent_share), (None, None));
        assert_eq!(report(0, date(2026, 11, 15), |_| 0).outcome, BudgetOutcome::Within);
    }

    #[test]
    fn a_young_bill_expects_nothing() {
        let found = report(1_000_000, date(2026, 10, 13), weekly);
        assert_eq!((found.outcome, found.expected_rest), (BudgetOutcome::Learning, Amount::ZERO));
        assert_eq!(report(1000, date(2026, 10, 13), weekly).outcome, BudgetOutcome::Exceeded);
        assert_eq!(report(1_000_000, date(2026, 10, 14), weekly).outcome, BudgetOutcome::Within);
    }

    #[test]
    fn on_the_first_of_a_month_nothing_is_spent_yet() {
        let budget = Budget { name: "team".to_owned(), monthly: Amount::whole(20_000) };
        let until = date(2026, 10, 30);
        let found = BudgetReport::of(&budget, &costs(until, weekly), date(2026, 10, 1), until, date(2026, 11, 1));
        assert_eq!((found.spent, found.expected_rest), (Amount::ZERO, Amount::whole(24_600)));
        assert_eq!((found.outcome, found.month.first), (BudgetOutcome::Ahead, date(2026, 11, 1)));
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!((&json["outcome"], &json["exceeded_on"]), (&"ahead".into(), &"2026-11-25".into()));
    }
}
