//! The whole story of a change, from what was expected to what was charged: every part by its cause, with its
//! evidence, and what is left unexplained. It adds up to the last digit.
//!
//! ```text
//! expected                        E
//! + calendar                      the period has other days than the one before
//! + each cause of the evidence    Σ pieces
//! + trend                         below
//! + unexplained
//! = actual                        A
//! ```
//!
//! Lines start from the baseline's mean, but the expectation is made of medians and a trend. What lies between
//! the two (`between_lines`) is not a cost that anybody caused, so it first makes the unexplained part smaller: a rise
//! that the weeks before led one to expect is no news. What then remains of it makes the explained part smaller, as cause
//! `trend`: the new machines of this week were to be expected as well. Only what no line moved the other way for is
//! left unexplained: a trend that did not go on.

use crate::{
    alert::{Alert, Outcome},
    evidence::{Cause, Evidence, Judged, judge, judge_unused},
    expected::{DayDelta, Expectation, MatureDays, Span, calendar_effect},
    focus::Lane,
    robust::ratio,
    split::{Line, Part, Parts},
};
use jiff::civil::Date;
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use sweeper_core::money::Amount;

/// How many contributors are named for each figure.
pub const TOP: usize = 5;
/// One millionth, in units of 10⁻¹².
const DUST: u128 = 1_000_000;

/// A change to be told. All amounts in one currency, and over the same days.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub currency: &'a str,
    pub baseline: Span,
    pub window: Span,
    /// Effective cost of usage without the fees of `monthly`. Week on weeks: [`crate::expected::Expectation`]'s.
    /// Month on month: what the earlier month cost.
    pub expected: Amount,
    pub actual: Amount,
    /// What other days alone make of it: [`crate::expected::calendar_effect`] month on month, whose lines then start
    /// from a month scaled by it; zero week on weeks.
    pub calendar: Amount,
    /// Usage: the lines of [`crate::split::split`], with a baseline scaled to the window.
    pub usage: &'a [Line],
    /// Fees charged by the month (`ChargeFrequency` Recurring): lines of the last month against this one, not scaled.
    pub monthly: &'a [Line],
    /// Commitments paid for and not used, as usage; only their costs are read.
    pub unused: &'a [Line],
    /// The lanes that are never tested.
    pub lanes: &'a [LaneChange],
    /// The days of the window, with their z.
    pub days: &'a [DayDelta],
    /// No alert below this, over the window.
    pub floor: Amount,
    /// Whether there are 14 days of history.
    pub learning: bool,
    pub evidence: &'a Evidence,
}

/// A lane that stands beside: purchases, corrections, credits, tax; or the same usage as billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LaneChange {
    pub lane: Lane,
    /// Scaled to the window's days, or the last month, as the usage is.
    pub before: Amount,
    pub after: Amount,
    /// `after` − `before`.
    pub delta: Amount,
}

impl LaneChange {
    pub fn of(lane: Lane, before: Amount, after: Amount) -> Self {
        Self { lane, before, after, delta: after - before }
    }
}

impl<'a> Change<'a> {
    /// A month, or the mature days of one, against the month before. `costs` are of both, by day; `usage` is a split
    /// whose baseline is the month before, scaled by [`Change::month_scale`]. Nothing of it is an alert, since days have no
    /// z here.
    pub fn of_month(
        currency: &'a str,
        (before, after): (Span, Span),
        costs: &BTreeMap<Date, Amount>,
        usage: &'a [Line],
        evidence: &'a Evidence,
    ) -> Self {
        let cost = |span: &Span| costs.range(span.first..=span.last).map(|(_, cost)| *cost).sum();
        Self {
            currency,
            baseline: before,
            window: after,
            expected: cost(&before),
            actual: cost(&after),
            calendar: calendar_effect(costs, &before, &after),
            usage,
            monthly: &[],
            unused: &[],
            lanes: &[],
            days: &[],
            floor: Amount::ZERO,
            learning: false,
            evidence,
        }
    }

    /// By what other days scale a month's cost: numerator and denominator. One where the month cost nothing.
    pub fn month_scale((before, after): (Span, Span), costs: &BTreeMap<Date, Amount>) -> (i128, i128) {
        let cost: Amount = costs.range(before.first..=before.last).map(|(_, cost)| *cost).sum();
        let scaled = cost + calendar_effect(costs, &before, &after);
        if cost == Amount::ZERO { (1, 1) } else { (scaled.pico(), cost.pico()) }
    }

    /// The last week against the four before. `usage` is a split of the days compared against those of
    /// [`MatureDays::alike`], scaled by [`MatureDays::scale`]. `None` when no day is mature. Fees, unused commitments and lanes are to be set where there
    /// are any.
    pub fn of_week(
        currency: &'a str,
        days: &MatureDays,
        found: &'a Expectation,
        usage: &'a [Line],
        evidence: &'a Evidence,
        floor_a_day: Amount,
    ) -> Option<Self> {
        Some(Self {
            currency,
            baseline: days.baseline?,
            window: days.window?,
            expected: found.expected,
            actual: found.actual,
            calendar: Amount::ZERO,
            usage,
            monthly: &[],
            unused: &[],
            lanes: &[],
            days: &found.days,
            floor: floor_a_day.times(days.compared.len() as i64),
            learning: days.learning(),
            evidence,
        })
    }
}

/// A change as it is told: `sweeper.bill-waterfall/1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waterfall {
    /// `sweeper.bill-waterfall/1`.
    pub format: &'static str,
    pub currency: String,
    pub baseline: Span,
    pub window: Span,
    pub alert: Alert,
    /// Usage, monthly fees and unused commitments.
    pub expected: Amount,
    pub actual: Amount,
    /// `actual` − `expected`: the explained amounts and the unexplained one.
    pub delta: Amount,
    /// `delta` over `expected`, rounded to six decimals; `None` when that is not above zero.
    pub share: Option<Amount>,
    /// What moved, whatever explains it: these, `calendar` and `between_lines` are the delta as well.
    pub parts: Vec<PartSum>,
    pub calendar: Amount,
    pub between_lines: Amount,
    /// By the size of the amount, then by cause.
    pub explained: Vec<Explained>,
    pub unexplained: Unexplained,
    pub lanes: Vec<LaneChange>,
    pub days: Vec<DayDelta>,
}

/// The sum of one part over all lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PartSum {
    pub part: Part,
    pub amount: Amount,
}

/// What one cause explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    pub cause: Cause,
    pub amount: Amount,
    /// How many lines it is of.
    pub lines: usize,
    /// The largest of them.
    pub top: Vec<Contributor>,
}

/// A line's share of an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contributor {
    pub account: String,
    pub service: String,
    /// `None` for a charge of no resource.
    pub resource: Option<String>,
    /// The SKU price charged now, or last.
    pub sku: String,
    pub amount: Amount,
    /// The parts it is of.
    pub parts: Vec<PartSum>,
    /// What says so, in words; empty where nothing does.
    pub evidence: Vec<String>,
}

/// What has no evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unexplained {
    pub amount: Amount,
    /// `amount` over the expected cost, rounded to six decimals.
    pub share: Option<Amount>,
    /// Of resources that cost more, and of those that cost less. These and `trend` are the amount.
    pub up: Amount,
    pub down: Amount,
    /// What the trend and the medians of the weeks before let one expect of it, the other way; or a trend that did not
    /// go on.
    pub trend: Amount,
    /// The largest in the direction of the amount.
    pub by_resource: Vec<Contributor>,
    pub by_sku: Vec<Named>,
    pub by_account: Vec<Named>,
}

/// An amount of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub name: String,
    pub amount: Amount,
}

impl Waterfall {
    /// Tells a change.
    pub fn of(change: &Change<'_>) -> Self {
        let unused: Vec<Line> = change.unused.iter().map(unused).collect();
        let groups = [
            (change.usage, judge(change.usage, change.evidence, &change.baseline, &change.window)),
            (change.monthly, judge(change.monthly, change.evidence, &change.baseline, &change.window)),
            (&unused, judge_unused(&unused, change.evidence, &change.baseline, &change.window)),
        ];
        let beside = |side: fn(&Line) -> Amount| change.monthly.iter().chain(&unused).map(side).sum::<Amount>();
        let expected = change.expected + beside(|line| line.before);
        let actual = change.actual + beside(|line| line.after);
        let delta = actual - expected;

        let mut parts = Parts::default();
        for line in groups.iter().flat_map(|(lines, _)| *lines) {
            parts += line.parts;
        }
        let between_lines = delta - change.calendar - parts.sum();
        let left: Amount = groups.iter().flat_map(|(_, judged)| &judged.left).map(Parts::sum).sum();
        let explained = parts.sum() - left;
        let (trend_of_left, after_left) = against(between_lines, left);
        let (mut trend_of_explained, mut rest) = against(after_left, explained);
        // What rounding leaves of scaled baselines is no trend.
        if size(trend_of_explained) < DUST {
            rest += trend_of_explained;
            trend_of_explained = Amount::ZERO;
        }
        let trend = trend_of_left + rest;

        let unexplained = left + trend;
        let mut causes = explained_by(&groups);
        let mut beyond = |cause: Cause, amount: Amount| {
            if amount != Amount::ZERO {
                causes.push(Explained { cause, amount, lines: 0, top: Vec::new() });
            }
        };
        beyond(Cause::Calendar, change.calendar);
        beyond(Cause::Trend, trend_of_explained);
        causes.sort_by_key(|cause| (Reverse(size(cause.amount)), cause.cause));
        let mut alert = Alert::of(unexplained, expected, change.floor, change.days);
        if change.learning {
            alert.outcome = Outcome::Learning;
        }
        Self {
            format: "sweeper.bill-waterfall/1",
            currency: change.currency.to_owned(),
            baseline: change.baseline,
            window: change.window,
            alert,
            expected,
            actual,
            delta,
            share: ratio(delta, expected),
            parts: sums(&parts),
            calendar: change.calendar,
            between_lines,
            explained: causes,
            unexplained: left_over(&groups, unexplained, trend, expected),
            lanes: change.lanes.to_vec(),
            days: change.days.to_vec(),
        }
    }

    /// What evidence explains of the delta.
    pub fn explained(&self) -> Amount {
        self.explained.iter().map(|cause| cause.amount).sum()
    }
}

/// A commitment's unused cost has one part, whatever its quantities say.
fn unused(line: &Line) -> Line {
    let mut parts = Parts::default();
    parts.add(Part::Commitment, line.delta());
    Line { parts, ..line.clone() }
}

/// How much of `amount` goes against `other`, where that points the other way, and what is left of it.
fn against(amount: Amount, other: Amount) -> (Amount, Amount) {
    let opposite = Amount::ZERO - other;
    let taken = if amount > Amount::ZERO {
        amount.min(opposite.max(Amount::ZERO))
    } else {
        amount.max(opposite.min(Amount::ZERO))
    };
    (taken, amount - taken)
}

type Group<'a> = (&'a [Line], Judged);

/// Account, service and resource.
type Owner<'a> = (&'a str, &'a str, Option<&'a str>);

/// Where a line's amounts are gathered: as [`Owner`], and the SKU price.
type Place<'a> = (&'a str, &'a str, Option<&'a str>, &'a str);

#[derive(Default)]
struct Gathered {
    parts: Parts,
    words: Vec<Arc<str>>,
}

fn explained_by(groups: &[Group<'_>]) -> Vec<Explained> {
    let mut causes: BTreeMap<Cause, BTreeMap<Place<'_>, Gathered>> = BTreeMap::new();
    for (lines, judged) in groups {
        for piece in &judged.pieces {
            let gathered = causes.entry(piece.cause).or_default().entry(place(&lines[piece.line])).or_default();
            gathered.parts.add(piece.part, piece.amount);
            if !gathered.words.contains(&piece.words) {
                gathered.words.push(Arc::clone(&piece.words));
            }
        }
    }
    let told = |(cause, of_lines): (Cause, BTreeMap<Place<'_>, Gathered>)| {
        let amount: Amount = of_lines.values().map(|gathered| gathered.parts.sum()).sum();
        Explained { cause, amount, lines: of_lines.len(), top: top(of_lines, None) }
    };
    causes.into_iter().map(told).collect()
}

fn left_over(groups: &[Group<'_>], amount: Amount, trend: Amount, expected: Amount) -> Unexplained {
    let mut of_lines: Vec<(Owner<'_>, &str, &Parts)> = Vec::new();
    let mut skus: BTreeMap<&str, Amount> = BTreeMap::new();
    let mut accounts: BTreeMap<&str, Amount> = BTreeMap::new();
    for (lines, judged) in groups {
        for (line, left) in lines.iter().zip(&judged.left).filter(|(_, left)| **left != Parts::default()) {
            let (account, service, resource, sku) = place(line);
            of_lines.push(((account, service, resource), sku, left));
            *skus.entry(sku).or_default() += left.sum();
            *accounts.entry(account).or_default() += left.sum();
        }
    }
    // By resource: the groups are in order already.
    of_lines.sort_by_key(|(owner, ..)| *owner);
    let (mut up, mut down) = (Amount::ZERO, Amount::ZERO);
    let mut resources: Vec<(Place<'_>, Gathered)> = Vec::new();
    for of_resource in of_lines.chunk_by(|one, other| one.0 == other.0) {
        let (account, service, resource) = of_resource[0].0;
        let mut gathered = Gathered::default();
        let mut of_skus: BTreeMap<&str, Amount> = BTreeMap::new();
        for (_, sku, left) in of_resource {
            gathered.parts += **left;
            *of_skus.entry(sku).or_default() += left.sum();
        }
        let sum = gathered.parts.sum();
        *(if sum > Amount::ZERO { &mut up } else { &mut down }) += sum;
        // Its SKU price that moved most.
        let sku = of_skus.iter().max_by_key(|(sku, sum)| (size(**sum), Reverse(**sku)));
        resources.push(((account, service, resource, sku.map_or("", |(sku, _)| *sku)), gathered));
    }
    let named = |sums: BTreeMap<&str, Amount>| {
        let sums = sums.into_iter().filter(|(_, sum)| same_way(*sum, amount));
        let mut named: Vec<Named> = sums.map(|(name, amount)| Named { name: name.to_owned(), amount }).collect();
        named.sort_by(|one, other| {
            (Reverse(size(one.amount)), &one.name).cmp(&(Reverse(size(other.amount)), &other.name))
        });
        named.truncate(TOP);
        named
    };
    Unexplained {
        amount,
        share: ratio(amount, expected),
        up,
        down,
        trend,
        by_resource: top(resources, Some(amount)),
        by_sku: named(skus),
        by_account: named(accounts),
    }
}

/// The largest; only those that point as `amount` does, if one is given.
fn top<'a>(all: impl IntoIterator<Item = (Place<'a>, Gathered)>, amount: Option<Amount>) -> Vec<Contributor> {
    let mut all: Vec<(Place<'_>, Gathered)> = all.into_iter().collect();
    all.retain(|(_, gathered)| amount.is_none_or(|amount| same_way(gathered.parts.sum(), amount)));
    all.sort_by_key(|(place, gathered)| (Reverse(size(gathered.parts.sum())), *place));
    all.truncate(TOP);
    let contributor = |((account, service, resource, sku), gathered): (Place<'_>, Gathered)| Contributor {
        account: account.to_owned(),
        service: service.to_owned(),
        resource: resource.map(str::to_owned),
        sku: sku.to_owned(),
        amount: gathered.parts.sum(),
        parts: sums(&gathered.parts),
        evidence: gathered.words.iter().map(ToString::to_string).collect(),
    };
    all.into_iter().map(contributor).collect()
}

fn place(line: &Line) -> Place<'_> {
    (&line.account, &line.service, line.resource.as_deref(), line.sku())
}

fn sums(parts: &Parts) -> Vec<PartSum> {
    parts.each().map(|(part, amount)| PartSum { part, amount }).collect()
}

fn same_way(amount: Amount, other: Amount) -> bool {
    if other >= Amount::ZERO { amount > Amount::ZERO } else { amount < Amount::ZERO }
}

fn size(amount: Amount) -> u128 {
    amount.pico().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{Happened, InventoryEvent, PriceChange, PriceMove, Scope},
        expected::plus,
        split::{Entry, Key, Measures, split},
    };
    use jiff::civil::date;
    use proptest::prelude::*;

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn first() -> Date {
        date(2026, 11, 16)
    }

    /// Seven days of equal expectation and cost; `z` of each.
    fn days(expected: Amount, actual: Amount, z: f64) -> Vec<DayDelta> {
        let seventh = |amount: Amount| amount.scaled(1, 7);
        (0..7)
            .map(|index| DayDelta {
                day: plus(first(), index),
                expected: seventh(expected),
                actual: seventh(actual),
                z,
            })
            .collect()
    }

    /// A cost at 0.10 a unit.
    fn cost(text: &str) -> Option<Measures> {
        let effective = usd(text);
        (effective != Amount::ZERO).then(|| Measures {
            effective,
            contracted: Some(effective),
            list: Some(effective),
            quantity: effective.times(10),
            priced: None,
        })
    }

    /// Account, resource and SKU price, with the costs before and after.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

    fn lines(rows: &[Row<'_>]) -> Vec<Line> {
        split(rows.iter().map(|(account, resource, sku, before, after)| Entry {
            key: Key {
                account: (*account).into(),
                service: "Compute".into(),
                resource: Some((*resource).into()),
                sku: (*sku).into(),
            },
            before: cost(before),
            after: cost(after),
        }))
    }

    fn told(expected: &str, rows: &[Row<'_>], evidence: &Evidence, z: f64) -> Waterfall {
        let actual = rows.iter().map(|row| usd(row.4)).sum();
        let (expected, usage) = (usd(expected), lines(rows));
        let days = days(expected, actual, z);
        Waterfall::of(&Change { days: &days, ..change(expected, actual, &usage, evidence) })
    }

    fn change<'a>(expected: Amount, actual: Amount, usage: &'a [Line], evidence: &'a Evidence) -> Change<'a> {
        Change {
            currency: "USD",
            baseline: Span::whole(plus(first(), -28), plus(first(), -1)),
            window: Span::whole(first(), plus(first(), 6)),
            expected,
            actual,
            calendar: Amount::ZERO,
            usage,
            monthly: &[],
            unused: &[],
            lanes: &[],
            days: &[],
            floor: usd("175"),
            learning: false,
            evidence,
        }
    }

    fn made(resources: &[&str]) -> Evidence {
        let event = |resource: &&str| InventoryEvent {
            resource: (*resource).to_owned(),
            account: None,
            what: Happened::Made,
            day: first(),
            source: "survey of 2026-11-16".to_owned(),
        };
        Evidence { events: resources.iter().map(event).collect(), ..Evidence::default() }
    }

    fn causes(found: &Waterfall) -> Vec<(Cause, String)> {
        assert_eq!(found.explained() + found.unexplained.amount, found.delta);
        assert_eq!(found.unexplained.up + found.unexplained.down + found.unexplained.trend, found.unexplained.amount);
        let parts: Amount = found.parts.iter().map(|sum| sum.amount).sum();
        assert_eq!(parts + found.calendar + found.between_lines, found.delta);
        found.explained.iter().map(|cause| (cause.cause, cause.amount.to_string())).collect()
    }

    #[test]
    fn new_machines_are_explained_and_the_rest_is_an_alert() {
        let usage = [
            ("111", "i-old", "m5", "1000", "1000"),
            ("111", "i-new", "m5", "0", "300"),
            ("111", "i-newer", "m5", "0", "200"),
            ("222", "nat", "traffic", "100", "500"),
            ("222", "nat", "hours", "10", "20"),
            ("333", "db", "io", "100", "60"),
        ];
        let found = told("1210", &usage, &made(&["i-new", "i-newer"]), 5.0);
        assert_eq!(causes(&found), [(Cause::Inventory, "500".to_owned())]);
        let inventory = &found.explained[0];
        assert_eq!((inventory.lines, inventory.top[0].resource.as_deref()), (2, Some("i-new")));
        assert_eq!(inventory.top[0].evidence, ["made on 2026-11-16 (survey of 2026-11-16)"]);
        let left = &found.unexplained;
        assert_eq!((left.amount, left.up, left.down), (usd("370"), usd("410"), usd("-40")));
        assert_eq!((left.share, left.by_resource.len()), (Some(usd("0.305785")), 1));
        assert_eq!((left.by_resource[0].sku.as_str(), left.by_resource[0].amount), ("traffic", usd("410")));
        assert_eq!(left.by_resource[0].evidence, Vec::<String>::new());
        let names =
            |named: &[Named]| named.iter().map(|it| (it.name.clone(), it.amount.to_string())).collect::<Vec<_>>();
        assert_eq!(names(&left.by_sku), [("traffic".into(), "400".into()), ("hours".into(), "10".into())]);
        assert_eq!(names(&left.by_account), [("222".into(), "410".into())]);
        assert_eq!((found.alert.outcome, found.alert.threshold), (Outcome::Rise, usd("175")));
        // Not out of the ordinary, and not enough history.
        assert_eq!(told("1210", &usage, &made(&["i-new", "i-newer"]), 3.0).alert.outcome, Outcome::Quiet);
        let evidence = made(&[]);
        let split = lines(&usage);
        let learning = Change { learning: true, ..change(usd("1210"), usd("2080"), &split, &evidence) };
        assert_eq!(Waterfall::of(&learning).alert.outcome, Outcome::Learning);
        // All explained.
        let usage = [("111", "i-old", "m5", "1000", "1000"), ("111", "i-new", "m5", "0", "300")];
        let found = told("1000", &usage, &made(&["i-new"]), 50.0);
        assert_eq!((found.alert.outcome, found.unexplained.amount), (Outcome::Quiet, Amount::ZERO));
    }

    fn flipped(sign: &str) -> String {
        if sign.is_empty() { "-" } else { "" }.to_owned()
    }

    #[test]
    fn a_rise_that_was_to_be_expected_is_no_news() {
        // The weeks before rose, so 1,200 was expected where their mean was 1,000.
        let grown = [("111", "db", "io", "1000", "1250")];
        let found = told("1200", &grown, &Evidence::default(), 5.0);
        assert_eq!(causes(&found), []);
        assert_eq!((found.unexplained.amount, found.unexplained.trend), (usd("50"), usd("-200")));
        assert_eq!((found.between_lines, found.alert.outcome), (usd("-200"), Outcome::Quiet));
        // New machines every week: those of this week were to be expected as well.
        let new = [("111", "db", "io", "1000", "1000"), ("111", "i-new", "m5", "0", "250")];
        let found = told("1200", &new, &made(&["i-new"]), 5.0);
        assert_eq!(causes(&found), [(Cause::Inventory, "250".to_owned()), (Cause::Trend, "-200".to_owned())]);
        assert_eq!(found.unexplained.amount, Amount::ZERO);
        // A trend goes against the unexplained part first, then against the explained one, and the rest is left.
        for (expected, rows, sign) in [
            ("1200", [("111", "db", "io", "1000", "1050"), ("111", "i-new", "m5", "0", "100")], ""),
            ("950", [("111", "db", "io", "1000", "950"), ("111", "i-new", "m5", "150", "50")], "-"),
        ] {
            let what = if sign.is_empty() { Happened::Made } else { Happened::Gone };
            let mut evidence = made(&["i-new"]);
            evidence.events[0].what = what;
            let found = told(expected, &rows, &evidence, 0.0);
            let amounts = [(Cause::Inventory, format!("{sign}100")), (Cause::Trend, flipped(sign) + "100")];
            assert_eq!(causes(&found), amounts);
            assert_eq!(found.unexplained.amount.to_string(), flipped(sign) + "50");
        }
        // A trend that did not go on.
        let flat = [("111", "db", "io", "1000", "1000")];
        let found = told("1200", &flat, &Evidence::default(), -5.0);
        assert_eq!((found.unexplained.amount, found.alert.outcome), (usd("-200"), Outcome::Fall));
        // One odd day in the baseline: its mean is above the median.
        let odd = [("111", "db", "io", "1400", "1000")];
        let found = told("1000", &odd, &Evidence::default(), 0.0);
        assert_eq!((found.delta, found.unexplained.amount), (Amount::ZERO, Amount::ZERO));
    }

    #[test]
    fn what_rounding_leaves_is_no_trend() {
        // New machines explain all but a hair, which stays unexplained: nothing is lost, and no cause is made up.
        let usage = [("111", "i-old", "m5", "1000", "1000"), ("111", "i-new", "m5", "0", "300")];
        let found = told("1000.0000009", &usage, &made(&["i-new"]), 0.0);
        assert_eq!(causes(&found), [(Cause::Inventory, "300".to_owned())]);
        assert_eq!(found.unexplained.amount, usd("-0.0000009"));
        let found = told("1000.000001", &usage, &made(&["i-new"]), 0.0);
        assert_eq!(causes(&found).len(), 2);
    }

    #[test]
    fn fees_by_the_month_and_unused_commitments_count() {
        let nothing = Evidence::default();
        let usage = lines(&[("111", "db", "io", "1000", "1000")]);
        let fee = |before: &str, after: &str| Entry {
            key: Key { account: "111".into(), service: "Support".into(), resource: None, sku: "support".into() },
            before: cost(before).map(|it| Measures { quantity: Amount::ZERO, ..it }),
            after: cost(after).map(|it| Measures { quantity: Amount::ZERO, ..it }),
        };
        let same = split([fee("100", "100")]);
        let dearer = split([fee("100", "400")]);
        let days = days(usd("1000"), usd("1300"), 9.0);
        let base = Change { days: &days, ..change(usd("1000"), usd("1000"), &usage, &nothing) };
        let found = Waterfall::of(&Change { monthly: &same, ..base });
        assert_eq!((found.delta, found.expected), (Amount::ZERO, usd("1000")));
        let found = Waterfall::of(&Change { monthly: &dearer, ..base });
        assert_eq!((found.expected, found.unexplained.amount), (usd("1100"), usd("300")));
        assert_eq!((found.alert.outcome, found.unexplained.by_sku[0].name.as_str()), (Outcome::Rise, "support"));
        // A commitment that is not used any more is in the test, unless it is new.
        let idle = lines(&[("111", "sp-1", "sp", "10", "400")]);
        let found = Waterfall::of(&Change { unused: &idle, ..base });
        assert_eq!((found.unexplained.amount, found.alert.outcome), (usd("390"), Outcome::Rise));
        assert_eq!(found.parts, [PartSum { part: Part::Commitment, amount: usd("390") }]);
        let bought = PriceChange {
            scope: Scope::default(),
            moved: PriceMove::CommitmentBought,
            day: first(),
            most: None,
            words: "savings plan sp-1 bought".to_owned(),
        };
        let evidence = Evidence { prices: vec![bought], ..Evidence::default() };
        let found = Waterfall::of(&Change { unused: &idle, evidence: &evidence, ..base });
        assert_eq!(causes(&found), [(Cause::Commitment, "390".to_owned())]);
    }

    #[test]
    fn the_form_is_json_with_decimal_strings() {
        let usage = [("111", "i-new", "m5", "0", "300"), ("111", "db", "io", "100", "150.25")];
        let found = told("100", &usage, &made(&["i-new"]), 5.0);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["format"], "sweeper.bill-waterfall/1");
        assert_eq!((&json["expected"], &json["delta"]), (&"100".into(), &"350.25".into()));
        assert_eq!(json["window"]["first"], "2026-11-16");
        assert_eq!(json["alert"]["outcome"], "quiet");
        assert_eq!(json["explained"][0]["cause"], "inventory");
        assert_eq!(json["explained"][0]["top"][0]["parts"][0]["part"], "new");
        assert_eq!(json["unexplained"]["by_resource"][0]["amount"], "50.25");
    }

    /// Random rows: account, resource, SKU price, costs before and after.
    fn rows() -> impl Strategy<Value = Vec<(u8, u8, u8, i64, i64)>> {
        let money = || prop_oneof![Just(0_i64), 1_i64..9_000_000];
        prop::collection::vec((0_u8..3, 0_u8..8, 0_u8..3, money(), money()), 0..50)
    }

    /// The bill, its evidence (every other resource was made) and an expectation.
    fn random(rows: &[(u8, u8, u8, i64, i64)], factor: i64, expected: i64, calendar: i64) -> Waterfall {
        let money = |value: i64| Amount::from_pico(i128::from(value) * 1_234_567_891).times(factor);
        let entries = rows.iter().map(|(account, resource, sku, before, after)| {
            let measures = |value: i64| {
                (value != 0).then(|| Measures {
                    effective: money(value),
                    contracted: Some(money(value + i64::from(*sku))),
                    list: (value % 5 != 0).then(|| money(value * 2)),
                    quantity: Amount::from_pico(i128::from(value % 1000) * 1_000_003),
                    priced: (value % 7 == 0).then(|| money(value / 2)),
                })
            };
            let key = Key {
                account: account.to_string().into(),
                service: "Compute".into(),
                resource: (*resource != 0).then(|| resource.to_string().into()),
                sku: sku.to_string().into(),
            };
            Entry { key, before: measures(*before), after: measures(*after) }
        });
        let usage = split(entries);
        let mut evidence = made(&["1", "3", "5"]);
        evidence.prices.push(PriceChange {
            scope: Scope { accounts: vec!["1".to_owned()], ..Scope::default() },
            moved: PriceMove::ListUp,
            day: first(),
            most: Some(money(1_000_000)),
            words: "the price list of November".to_owned(),
        });
        let actual = usage.iter().map(|line| line.after).sum();
        let days = days(money(expected), actual, 5.0);
        let change =
            Change { days: &days, calendar: money(calendar), ..change(money(expected), actual, &usage, &evidence) };
        Waterfall::of(&Change { floor: Amount::whole(175).times(factor), ..change })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn it_adds_up(rows in rows(), expected in 0_i64..90_000_000, calendar in -100_000_i64..100_000) {
            causes(&random(&rows, 1, expected, calendar));
        }

        #[test]
        fn the_order_of_keys_changes_nothing(
            both in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
            expected in 0_i64..90_000_000,
        ) {
            prop_assert_eq!(random(&both.0, 1, expected, 0), random(&both.1, 1, expected, 0));
        }

        /// A bill in tenths has every amount tenfold, but for rounding: 10⁻⁹ at most a line.
        #[test]
        fn it_scales(rows in rows(), expected in 0_i64..90_000_000) {
            let (one, ten) = (random(&rows, 1, expected, 0), random(&rows, 10, expected, 0));
            let near = |one: Amount, ten: Amount| (one.times(10) - ten).pico().abs() <= 1000 * 50;
            prop_assert_eq!(one.delta.times(10), ten.delta);
            prop_assert!(near(one.unexplained.amount, ten.unexplained.amount), "{:?}", (one, ten));
            for cause in &one.explained {
                let other = ten.explained.iter().find(|other| other.cause == cause.cause);
                let other = other.map_or(Amount::ZERO, |other| other.amount);
                prop_assert!(near(cause.amount, other), "{:?}", cause);
            }
            for sum in &one.parts {
                let other = ten.parts.iter().find(|other| other.part == sum.part).map_or(Amount::ZERO, |it| it.amount);
                prop_assert!(near(sum.amount, other), "{:?}", sum);
            }
        }
    }
}
