//! What makes a part of a change explained: something other than the bill that says the same.
//!
//! | part | explained by |
//! |---|---|
//! | new, removed, resized | an inventory event in time |
//! | quantity | a resource made, gone or resized in the baseline or the window; a driver that moved the same way; the same resource's earlier excursions (two or more in 90 days); the same day of last month |
//! | list, negotiated, commitment | a change of the price list, of the contract, of the commitments, the same way |
//! | currency | itself: the bill states both currencies |
//! | price, unattributed | any change of prices, the same way |
//!
//! A planned event explains quantity, new, removed, resized and unattributed parts in its scope, up to what was
//! expected of it. Nothing is explained twice: causes take from what earlier ones left, in the order of [`Cause`].
//! What is left is unexplained.

use crate::{
    expected::{Span, days_between, plus},
    planned::Planned,
    robust::{Scatter, median, units},
    split::{Line, Part, Parts, portion, resource_id},
};
use jiff::{ToSpan, civil::Date};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};
use sweeper_core::{model::last_segment, money::Amount, policy::glob_anycase};

/// How far back excursions of the same resource count, days.
pub const LOOK_BACK: i64 = 90;
/// So many of them make a habit.
pub const HABIT: usize = 2;
/// An inventory event may be this much earlier than the first charge, days: scans are daily, and charges late.
const EARLY: i64 = 2;
/// Fewer days of history than this say nothing of a resource's habits.
const LEAST_HISTORY: usize = 14;

/// What explains a part, in the order in which causes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Resources were made, removed or resized.
    Inventory,
    /// The price list or the contract changed.
    Price,
    /// A commitment ended or was bought.
    Commitment,
    ExchangeRate,
    /// Somebody had said so before.
    Planned,
    /// Requests, gigabytes or another metric moved the same way.
    Driver,
    /// As on the same day of last month.
    DayOfMonth,
    /// The same resource has done as much before, more than once.
    Habit,
    /// Another number of days, or other weekdays.
    Calendar,
    /// The weeks before had been going that way.
    Trend,
}

/// What a statement is about. An empty list is any; `covers` of nothing but empty lists is true, so whoever reads
/// one from outside refuses that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Account ids, service names, resource ids and SKU prices as the bill has them, with `*` for any text.
    pub accounts: Vec<String>,
    pub services: Vec<String>,
    pub resources: Vec<String>,
    pub skus: Vec<String>,
}

impl Scope {
    pub fn covers(&self, line: &Line) -> bool {
        let any = |own: &[String], text: &str| own.is_empty() || own.iter().any(|own| glob_anycase(own, text));
        let skus = || line.skus_before.iter().chain(&line.skus_after);
        any(&self.accounts, &line.account)
            && any(&self.services, &line.service)
            && any(&self.resources, line.resource.as_deref().unwrap_or_default())
            && (self.skus.is_empty() || skus().any(|sku| any(&self.skus, sku)))
    }

    /// Whether it names things, rather than whole accounts or services.
    fn narrow(&self) -> bool {
        !self.resources.is_empty() || !self.skus.is_empty()
    }
}

/// What happened to a resource, by the inventory's history or an audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    Made,
    Gone,
    Resized,
}

/// One inventory event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEvent {
    /// As the bill has it, or its end from a `/` or `:` on: bills name many resources by a bare id (`i-…`), others in full.
    pub resource: String,
    /// `None` where the id alone says which.
    pub account: Option<String>,
    pub what: Happened,
    pub day: Date,
    /// Where it is known from: `survey of 2026-11-20`, `CloudTrail RunInstances by alice`.
    pub source: String,
}

/// How a price moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceMove {
    ListUp,
    ListDown,
    /// The agreed discount shrank, or ended.
    DiscountDown,
    DiscountUp,
    CommitmentExpired,
    CommitmentBought,
}

impl PriceMove {
    fn cause(self) -> Cause {
        match self {
            Self::CommitmentExpired | Self::CommitmentBought => Cause::Commitment,
            _ => Cause::Price,
        }
    }

    /// Whether costs rise by it.
    fn dearer(self) -> bool {
        matches!(self, Self::ListUp | Self::DiscountDown | Self::CommitmentExpired)
    }

    fn part(self) -> Part {
        match self {
            Self::ListUp | Self::ListDown => Part::List,
            Self::DiscountDown | Self::DiscountUp => Part::Negotiated,
            Self::CommitmentExpired | Self::CommitmentBought => Part::Commitment,
        }
    }
}

/// A change of the price list, of a contract, or of commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceChange {
    pub scope: Scope,
    pub moved: PriceMove,
    pub day: Date,
    /// The most that it explains over the window, if that is known: what an expired commitment took off.
    pub most: Option<Amount>,
    /// `savings plan sp-0a1 (1 year) ended`.
    pub words: String,
}

/// A metric that drives cost: requests, gigabytes, messages. Its cost is taken to move with it in proportion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    pub scope: Scope,
    pub metric: String,
    /// A day, over the baseline and over the window.
    pub before: Amount,
    pub after: Amount,
}

/// All that is known beside the bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub events: Vec<InventoryEvent>,
    pub prices: Vec<PriceChange>,
    pub planned: Vec<Planned>,
    pub drivers: Vec<Driver>,
    /// Daily cost of single resources, the window and as much of the 90 days before as there is; a day that is
    /// missing between the first and the last cost nothing. Only the few that moved most need one.
    pub histories: BTreeMap<Arc<str>, BTreeMap<Date, Amount>>,
}

/// An amount with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index of the line.
    pub line: usize,
    pub part: Part,
    pub cause: Cause,
    pub amount: Amount,
    /// What says so.
    pub words: Arc<str>,
}

/// What evidence makes of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// By cause, then by what says so, then by line. Pieces and what is left of a line are its parts, exactly.
    pub pieces: Vec<Piece>,
    /// What is left unexplained of each line.
    pub left: Vec<Parts>,
}

/// Holds the lines of a split against the evidence.
pub fn judge(lines: &[Line], evidence: &Evidence, baseline: &Span, window: &Span) -> Judged {
    let mut judging =
        Judging { lines, left: lines.iter().map(|line| line.parts).collect(), pieces: Vec::new(), baseline, window };
    judging.inventory(&evidence.events);
    judging.prices(&evidence.prices, Cause::Price);
    judging.prices(&evidence.prices, Cause::Commitment);
    judging.exchange_rate();
    judging.planned(&evidence.planned);
    judging.drivers(&evidence.drivers);
    judging.pasts(&evidence.histories);
    judging.finish()
}

/// Holds lines of commitments that were paid for and not used against the evidence. One that was bought leaves
/// more unused, one that ended less.
pub fn judge_unused(lines: &[Line], evidence: &Evidence, baseline: &Span, window: &Span) -> Judged {
    let left = lines.iter().map(|line| line.parts).collect();
    let mut judging = Judging { lines, left, pieces: Vec::new(), baseline, window };
    let flipped: Vec<PriceChange> = evidence
        .prices
        .iter()
        .filter_map(|change| {
            let moved = match change.moved {
                PriceMove::CommitmentExpired => PriceMove::CommitmentBought,
                PriceMove::CommitmentBought => PriceMove::CommitmentExpired,
                _ => return None,
            };
            Some(PriceChange { moved, ..change.clone() })
        })
        .collect();
    judging.prices(&flipped, Cause::Commitment);
    judging.finish()
}

struct Judging<'a> {
    lines: &'a [Line],
    left: Vec<Parts>,
    pieces: Vec<Piece>,
    baseline: &'a Span,
    window: &'a Span,
}

impl Judging<'_> {
    fn finish(mut self) -> Judged {
        self.pieces.sort_by(|one, other| {
            (one.cause, &one.words, one.line, one.part).cmp(&(other.cause, &other.words, other.line, other.part))
        });
        Judged { pieces: self.pieces, left: self.left }
    }

    /// Explains as much of a part as is left and `most` allows, in the direction of `most`. How much it was.
    fn explain(&mut self, line: usize, part: Part, cause: Cause, most: Amount, words: &Arc<str>) -> Amount {
        let left = self.left[line].of(part);
        if (left > Amount::ZERO) != (most > Amount::ZERO) || left == Amount::ZERO || most == Amount::ZERO {
            return Amount::ZERO;
        }
        let amount = if left > Amount::ZERO { left.min(most) } else { left.max(most) };
        self.left[line].add(part, Amount::ZERO - amount);
        self.pieces.push(Piece { line, part, cause, amount, words: Arc::clone(words) });
        amount
    }

    /// All that is left of a part.
    fn explain_all(&mut self, line: usize, part: Part, cause: Cause, words: &Arc<str>) {
        self.explain(line, part, cause, self.left[line].of(part), words);
    }

    /// Spends `budget` on parts of lines, the largest first. How much of it was.
    fn spend(
        &mut self,
        budget: Amount,
        cause: Cause,
        lines: impl IntoIterator<Item = usize>,
        parts: &[Part],
        words: &Arc<str>,
    ) -> Amount {
        let mut wanted: Vec<(Reverse<u128>, usize, Part)> = Vec::new();
        for index in lines {
            wanted.extend(
                parts.iter().map(|part| (Reverse(self.left[index].of(*part).pico().unsigned_abs()), index, *part)),
            );
        }
        wanted.sort_unstable();
        let mut spent = Amount::ZERO;
        for (_, line, part) in wanted {
            spent += self.explain(line, part, cause, budget - spent, words);
        }
        spent
    }

    /// The lines that a scope covers.
    fn covered(&self, scope: &Scope) -> Vec<usize> {
        (0..self.lines.len()).filter(|index| scope.covers(&self.lines[*index])).collect()
    }

    fn inventory(&mut self, events: &[InventoryEvent]) {
        let mut by_id: BTreeMap<String, Vec<&InventoryEvent>> = BTreeMap::new();
        for event in events {
            by_id.entry(last_segment(&resource_id(&event.resource)).to_owned()).or_default().push(event);
        }
        for of_resource in by_id.values_mut() {
            of_resource
                .sort_by(|one, other| (one.day, one.what, &one.source).cmp(&(other.day, other.what, &other.source)));
        }
        for (index, line) in self.lines.iter().enumerate() {
            let Some(id) = line.resource.as_deref() else { continue };
            let Some(of_id) = by_id.get(last_segment(id)) else { continue };
            for event in of_id.iter().filter(|event| same_resource(event, line, id)) {
                let what = match event.what {
                    Happened::Made => "made",
                    Happened::Gone => "gone",
                    Happened::Resized => "resized",
                };
                let words: Arc<str> = format!("{what} on {} ({})", event.day, event.source).into();
                let charged = event.day <= self.window.last && event.day >= plus(self.window.first, -EARLY);
                let known = event.day <= self.window.last && event.day >= self.baseline.first;
                let rise = line.delta() > Amount::ZERO;
                match event.what {
                    Happened::Made if charged => self.explain_all(index, Part::New, Cause::Inventory, &words),
                    // Gone in the baseline: its last charges were there.
                    Happened::Gone if known => self.explain_all(index, Part::Removed, Cause::Inventory, &words),
                    Happened::Resized if known => self.explain_all(index, Part::Resized, Cause::Inventory, &words),
                    _ => {}
                }
                // It ran for a part of one of the windows only, or has another size under the same price.
                let quantity = match event.what {
                    Happened::Made => rise,
                    Happened::Gone => !rise,
                    Happened::Resized => true,
                };
                if quantity && known {
                    self.explain_all(index, Part::Quantity, Cause::Inventory, &words);
                }
            }
        }
    }

    fn prices(&mut self, changes: &[PriceChange], cause: Cause) {
        let mut changes: Vec<&PriceChange> = changes.iter().filter(|change| change.moved.cause() == cause).collect();
        changes.sort_by(|one, other| (one.day, &one.words).cmp(&(other.day, &other.words)));
        for change in changes {
            if change.day < self.baseline.first || change.day > self.window.last {
                continue;
            }
            let words: Arc<str> = format!("{} on {}", change.words, change.day).into();
            let mut parts = vec![change.moved.part(), Part::PriceUnattributed];
            // Another commitment may come as another SKU price of the same resource.
            if cause == Cause::Commitment && change.scope.narrow() {
                parts.push(Part::Resized);
            }
            let most = change.most.map_or(i128::MAX, |most| most.pico().saturating_abs());
            let budget = Amount::from_pico(if change.moved.dearer() { most } else { -most });
            self.spend(budget, cause, self.covered(&change.scope), &parts, &words);
        }
    }

    fn exchange_rate(&mut self) {
        let words: Arc<str> = "priced in another currency than it is billed in".into();
        for index in 0..self.lines.len() {
            self.explain_all(index, Part::Currency, Cause::ExchangeRate, &words);
        }
    }

    fn planned(&mut self, planned: &[Planned]) {
        const PARTS: [Part; 5] = [Part::Quantity, Part::New, Part::Removed, Part::Resized, Part::PriceUnattributed];
        let mut planned: Vec<&Planned> = planned.iter().collect();
        planned.sort_by(|one, other| (one.from, one.until, &one.reason).cmp(&(other.from, other.until, &other.reason)));
        for event in planned {
            let covered = self.covered(&event.scope);
            let usual: Amount = covered.iter().map(|index| self.lines[*index].before).sum();
            let budget = event.over(self.window, usual);
            let words: Arc<str> = format!("planned, {} to {}: {}", event.from, event.until, event.reason).into();
            self.spend(budget, Cause::Planned, covered, &PARTS, &words);
        }
    }

    fn drivers(&mut self, drivers: &[Driver]) {
        let mut drivers: Vec<&Driver> = drivers.iter().filter(|driver| driver.before > Amount::ZERO).collect();
        drivers.sort_by(|one, other| {
            (&one.metric, one.before, one.after).cmp(&(&other.metric, other.before, other.after))
        });
        let mut done = vec![Amount::ZERO; self.lines.len()];
        for driver in drivers {
            let words: Arc<str> = format!("{}: {} a day, from {}", driver.metric, driver.after, driver.before).into();
            let moved = (driver.after - driver.before).pico();
            for (index, line) in self.lines.iter().enumerate() {
                if driver.scope.covers(line) && line.before > Amount::ZERO {
                    let most = Amount::from_pico(portion(line.before.pico(), moved, driver.before.pico()));
                    // Requests and their gigabytes are one and the same rise: another driver adds only what it rose more.
                    let more = most - done[index];
                    if (more > Amount::ZERO) == (most > Amount::ZERO) {
                        done[index] += self.explain(index, Part::Quantity, Cause::Driver, more, &words);
                    }
                }
            }
        }
    }

    /// What resources did before: on the same day of last month, or again and again.
    fn pasts(&mut self, histories: &BTreeMap<Arc<str>, BTreeMap<Date, Amount>>) {
        let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(resource) = line.resource.as_deref().filter(|resource| histories.contains_key(*resource)) {
                lines.entry(resource).or_default().push(index);
            }
        }
        for (resource, costs) in histories {
            let (Some(lines), Some(history)) = (lines.get(&**resource), History::of(costs, self.window)) else {
                continue;
            };
            // What its lines start from may have such days in it: only what the window has above that is to be explained.
            let start: Amount = lines.iter().map(|index| self.lines[*index].before).sum();
            let contained = (start - history.usual.times(self.window.days as i64)).max(Amount::ZERO);
            let now: Amount = history.window(self.window).map(|(_, over)| over).sum();
            let most = now - contained;
            if most <= Amount::ZERO {
                continue;
            }
            let (monthly, words) = history.day_of_month(self.window);
            let spent =
                self.spend(most.min(monthly), Cause::DayOfMonth, lines.iter().copied(), &[Part::Quantity], &words);
            if let Some((habit, words)) = history.habit(now) {
                let most = (most - spent).min(habit);
                self.spend(most, Cause::Habit, lines.iter().copied(), &[Part::Quantity], &words);
            }
        }
    }
}

/// The days on which a resource cost clearly more than it usually does.
struct History {
    /// What a day costs: the median.
    usual: Amount,
    /// By how much.
    raised: BTreeMap<Date, Amount>,
    /// Before the window.
    before: Span,
}

impl History {
    /// `None` when there is too little of it.
    fn of(costs: &BTreeMap<Date, Amount>, window: &Span) -> Option<Self> {
        let first = (*costs.keys().next()?).max(plus(window.first, -LOOK_BACK));
        let before = Span::whole(first, plus(window.first, -1));
        if before.days < LEAST_HISTORY {
            return None;
        }
        let cost = |day: Date| costs.get(&day).copied().unwrap_or(Amount::ZERO);
        let usual = median(before.each().map(cost).collect());
        let mut values: Vec<f64> = before.each().map(|day| units(cost(day))).collect();
        let scatter = Scatter::of(&mut values, (units(usual) / 100.0).abs());
        let mut raised = BTreeMap::new();
        for day in before.each().chain(window.each()) {
            let over = cost(day) - usual;
            // Half as much again, and out of the ordinary.
            if over > Amount::ZERO && over >= usual.scaled(1, 2) && scatter.z(units(cost(day))) > crate::alert::ODD {
                raised.insert(day, over);
            }
        }
        Some(Self { usual, raised, before })
    }

    fn window(&self, window: &Span) -> impl Iterator<Item = (Date, Amount)> {
        self.raised.range(window.first..=window.last).map(|(day, over)| (*day, *over))
    }

    /// What it cost above the usual on the same days of last month, and which these are.
    fn day_of_month(&self, window: &Span) -> (Amount, Arc<str>) {
        let mut most = Amount::ZERO;
        let mut days = Vec::new();
        for (day, now) in self.window(window) {
            // The 31st is the last day of a shorter month.
            let Ok(then) = day.checked_sub(1.month()) else { continue };
            let Some(over) = self.raised.get(&then) else { continue };
            most += now.min(*over);
            days.push(format!("{then} ({} above)", over.cents()));
        }
        (most, format!("as on {}", days.join(", ")).into())
    }

    /// The largest of its earlier excursions that are at least half of what there is now, if there are enough.
    fn habit(&self, now: Amount) -> Option<(Amount, Arc<str>)> {
        let earlier: Vec<(Date, Amount)> =
            self.excursions().into_iter().filter(|(_, size)| *size >= now.scaled(1, 2)).collect();
        let most = earlier.iter().map(|(_, size)| *size).max().filter(|_| earlier.len() >= HABIT)?;
        let days: Vec<String> =
            earlier.iter().rev().take(3).map(|(day, size)| format!("{day} ({} above)", size.cents())).collect();
        let words = format!("it did as much {} times in {LOOK_BACK} days: {}", earlier.len(), days.join(", "));
        Some((most, words.into()))
    }

    /// Runs of such days before the window: the first day and the sum of each.
    fn excursions(&self) -> Vec<(Date, Amount)> {
        let mut found: Vec<(Date, Amount)> = Vec::new();
        let mut last: Option<Date> = None;
        for (day, over) in self.raised.range(self.before.first..=self.before.last) {
            match found.last_mut() {
                Some((_, size)) if last.is_some_and(|last| days_between(last, *day) == 1) => *size += *over,
                _ => found.push((*day, *over)),
            }
            last = Some(*day);
        }
        found
    }
}

/// Whether an event is about a line's resource: the same id, or, where the event names the account, an id that the other
/// one ends with (`i-0a1` of an ARN, `zones/z/disks/d` of Google's full name); and the same account if the event names
/// one. Azure writes a subscription's account as `/subscriptions/<guid>`.
fn same_resource(event: &InventoryEvent, line: &Line, id: &str) -> bool {
    let own = resource_id(&event.resource);
    let account = event.account.as_deref();
    let same_account = |account: &str| last_segment(&line.account).eq_ignore_ascii_case(last_segment(account));
    (own == id || account.is_some() && (ends_with(id, &own) || ends_with(&own, id))) && account.is_none_or(same_account)
}

/// Whether an id ends with whole segments of another spelling.
fn ends_with(id: &str, end: &str) -> bool {
    !end.is_empty() && id.strip_suffix(end).is_some_and(|before| before.ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        planned::Extent,
        split::{Entry, Key, Measures, split},
    };

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn window() -> Span {
        Span::whole(date("2026-11-16"), date("2026-11-22"))
    }

    fn baseline() -> Span {
        Span::whole(date("2026-10-19"), date("2026-11-15"))
    }

    /// Hours at list, contracted and effective prices, as an entry holds them.
    #[expect(clippy::unnecessary_wraps, reason = "as an entry holds them")]
    fn at(hours: i64, list: &str, contracted: &str, effective: &str) -> Option<Measures> {
        let cost = |price: &str| usd(price).times(hours);
        Some(Measures {
            effective: cost(effective),
            contracted: Some(cost(contracted)),
            list: Some(cost(list)),
            quantity: Amount::whole(hours),
            priced: None,
        })
    }

    fn flat(hours: i64) -> Option<Measures> {
        at(hours, "0.1", "0.1", "0.1")
    }

    fn lines(entries: &[(&str, Option<Measures>, Option<Measures>)]) -> Vec<Line> {
        split(entries.iter().map(|(resource, before, after)| Entry {
            key: Key {
                account: "111".into(),
                service: "Compute".into(),
                resource: Some((*resource).into()),
                sku: "sku".into(),
            },
            before: *before,
            after: *after,
        }))
    }

    /// What is explained, by cause, and what is left of all lines.
    fn judged(lines: &[Line], evidence: &Evidence) -> (Vec<String>, String) {
        let found = judge(lines, evidence, &baseline(), &window());
        let left: Amount = found.left.iter().map(Parts::sum).sum();
        let explained: Amount = found.pieces.iter().map(|piece| piece.amount).sum();
        assert_eq!(explained + left, lines.iter().map(Line::delta).sum());
        let told = |piece: &Piece| format!("{:?} {:?} {}: {}", piece.cause, piece.part, piece.amount, piece.words);
        (found.pieces.iter().map(told).collect(), left.to_string())
    }

    fn event(resource: &str, what: Happened, day: &str) -> Evidence {
        let (resource, day, source) = (resource.to_owned(), date(day), "survey".to_owned());
        let events = vec![InventoryEvent { resource, account: Some("111".to_owned()), what, day, source }];
        Evidence { events, ..Evidence::default() }
    }

    fn none() -> (Vec<String>, String) {
        (Vec::new(), String::new())
    }

    #[test]
    fn an_event_in_time_explains_a_machine() {
        let new = lines(&[("i-1", None, flat(100))]);
        let yes = |day: &str| (vec![format!("Inventory New 10: made on {day} (survey)")], "0".to_owned());
        assert_eq!(judged(&new, &event("i-1", Happened::Made, "2026-11-17")), yes("2026-11-17"));
        assert_eq!(
            judged(&new, &event("arn:aws:ec2:x:111:instance/i-1", Happened::Made, "2026-11-14")),
            yes("2026-11-14")
        );
        for (resource, what, day) in [
            ("i-1", Happened::Made, "2026-11-13"),
            ("i-1", Happened::Made, "2026-11-23"),
            ("i-1", Happened::Gone, "2026-11-17"),
            ("i-2", Happened::Made, "2026-11-17"),
        ] {
            assert_eq!(
                judged(&new, &event(resource, what, day)),
                (none().0, "10".to_owned()),
                "{resource} {what:?} {day}"
            );
        }
        // Two full ids are two things, even where they end alike; a bare one is told by its account.
        let full = lines(&[("arn:aws:ec2:x:111:volume/i-1", None, flat(100))]);
        assert_eq!(judged(&full, &event("arn:aws:ec2:x:111:instance/i-1", Happened::Made, "2026-11-17")).1, "10");
        assert_eq!(judged(&full, &event("i-1", Happened::Made, "2026-11-17")).1, "0");
        let mut unnamed = event("i-1", Happened::Made, "2026-11-17");
        unnamed.events[0].account = None;
        assert_eq!((judged(&full, &unnamed).1, judged(&new, &unnamed).1), ("10".to_owned(), "0".to_owned()));
        let mut other = event("i-1", Happened::Made, "2026-11-17");
        other.events[0].account = Some("222".to_owned());
        assert_eq!(judged(&new, &other).1, "10");

        // Google's names are unique in a zone only, and the kind of a thing is a part of them.
        let google = "//compute.googleapis.com/projects/p/zones/z-b/disks/etl";
        for (name, left) in [
            ("z-b/disks/etl", "0"),
            ("etl", "0"),
            ("z-c/disks/etl", "10"),
            ("z-b/instances/etl", "10"),
            ("b/disks/etl", "10"),
        ] {
            let found = judged(&lines(&[(google, None, flat(100))]), &event(name, Happened::Made, "2026-11-17"));
            assert_eq!(found.1, left, "{name}");
        }
    }

    #[test]
    fn a_subscription_is_one_account_in_both_spellings() {
        let id = "/subscriptions/A2/resourceGroups/erp/providers/Microsoft.Compute/virtualMachines/app-1";
        let entry = Entry {
            key: Key {
                account: "/subscriptions/a2".into(),
                service: "Virtual Machines".into(),
                resource: Some(resource_id(id).into()),
                sku: "sku".into(),
            },
            before: None,
            after: flat(100),
        };
        let line = split([entry]);
        let made = |account: &str| {
            let mut known = event(id, Happened::Made, "2026-11-17");
            known.events[0].account = Some(account.to_owned());
            judged(&line, &known).1
        };
        assert_eq!((made("A2"), made("/subscriptions/A2"), made("b2")), ("0".into(), "0".into(), "10".into()));
    }

    #[test]
    fn a_machine_of_half_the_baseline_uses_more_in_the_window() {
        let grown = lines(&[("i-1", flat(50), flat(168))]);
        let (told, left) = judged(&grown, &event("i-1", Happened::Made, "2026-11-03"));
        assert_eq!((told[0].as_str(), left.as_str()), ("Inventory Quantity 11.8: made on 2026-11-03 (survey)", "0"));
        assert_eq!(judged(&grown, &event("i-1", Happened::Gone, "2026-11-03")).1, "11.8");
        let gone = lines(&[("i-1", flat(168), None)]);
        assert_eq!(judged(&gone, &event("i-1", Happened::Gone, "2026-11-03")).1, "0");
        assert_eq!(judged(&gone, &event("i-1", Happened::Made, "2026-11-03")).1, "-16.8");
        // From the first day of the baseline to the last of the window.
        for (day, left) in [("2026-10-18", "-16.8"), ("2026-10-19", "0"), ("2026-11-22", "0"), ("2026-11-23", "-16.8")]
        {
            assert_eq!(judged(&gone, &event("i-1", Happened::Gone, day)).1, left, "{day}");
        }
        for (day, left) in [("2026-11-13", "10"), ("2026-11-14", "0"), ("2026-11-22", "0"), ("2026-11-23", "10")] {
            let new = lines(&[("i-1", None, flat(100))]);
            assert_eq!(judged(&new, &event("i-1", Happened::Made, day)).1, left, "{day}");
        }
    }

    fn price(moved: PriceMove, scope: Scope, most: Option<Amount>) -> Evidence {
        let change = PriceChange { scope, moved, day: date("2026-11-17"), most, words: "it changed".to_owned() };
        Evidence { prices: vec![change], ..Evidence::default() }
    }

    #[test]
    fn a_price_change_explains_its_own_part_the_same_way() {
        // The plan ended: 720 hours go from 0.06 to 0.096.
        let ended = lines(&[("i-1", at(720, "0.096", "0.096", "0.06"), at(720, "0.096", "0.096", "0.096"))]);
        let any = Scope::default;
        let (told, left) = judged(&ended, &price(PriceMove::CommitmentExpired, any(), None));
        assert_eq!((told[0].as_str(), left.as_str()), ("Commitment Commitment 25.92: it changed on 2026-11-17", "0"));
        for (moved, most, left) in [
            (PriceMove::CommitmentBought, None, "25.92"),
            (PriceMove::ListUp, None, "25.92"),
            (PriceMove::CommitmentExpired, Some(usd("20")), "5.92"),
        ] {
            assert_eq!(judged(&ended, &price(moved, any(), most)).1, left, "{moved:?}");
        }
        for (skus, left) in [(vec!["sku"], "0"), (vec!["other"], "25.92"), (vec!["other", "SK*"], "0")] {
            let scope = Scope { skus: skus.into_iter().map(str::to_owned).collect(), ..any() };
            assert_eq!(judged(&ended, &price(PriceMove::CommitmentExpired, scope, None)).1, left);
        }
        let elsewhere = Scope { services: vec!["Stor*".to_owned()], ..any() };
        assert_eq!(judged(&ended, &price(PriceMove::CommitmentExpired, elsewhere, None)).1, "25.92");
        for (day, left) in [("2026-10-18", "25.92"), ("2026-10-19", "0"), ("2026-11-22", "0"), ("2026-11-23", "25.92")]
        {
            let mut dated = price(PriceMove::CommitmentExpired, any(), None);
            dated.prices[0].day = date(day);
            assert_eq!(judged(&ended, &dated).1, left, "{day}");
        }
        // Prices that cannot be told apart: any that went the same way.
        let unknown = lines(&[("i-1", at(720, "0", "0", "0.06"), at(720, "0", "0", "0.05"))]);
        assert_eq!(judged(&unknown, &price(PriceMove::DiscountUp, any(), None)).1, "0");
        assert_eq!(judged(&unknown, &price(PriceMove::DiscountDown, any(), None)).1, "-7.2");
        // What was bought and lies idle.
        let idle = lines(&[("sp-1", None, flat(10))]);
        let mut idle = idle;
        idle[0].parts = Parts::default();
        idle[0].parts.add(Part::Commitment, usd("1"));
        let found = judge_unused(&idle, &price(PriceMove::CommitmentBought, any(), None), &baseline(), &window());
        assert_eq!((found.pieces.len(), found.left[0]), (1, Parts::default()));
        let found = judge_unused(&idle, &price(PriceMove::CommitmentExpired, any(), None), &baseline(), &window());
        assert_eq!(found.pieces, []);
    }

    #[test]
    fn a_planned_event_explains_up_to_what_was_expected() {
        let more = lines(&[("i-1", flat(100), flat(200)), ("i-2", None, flat(70)), ("i-3", flat(50), flat(40))]);
        let planned = |extent: Extent, resources: &[&str]| {
            let resources = resources.iter().map(|it| (*it).to_owned()).collect();
            let scope = Scope { resources, ..Scope::default() };
            let (from, until) = (date("2026-11-16"), date("2026-11-22"));
            let event = Planned { scope, from, until, reason: "campaign".to_owned(), extent };
            Evidence { planned: vec![event], ..Evidence::default() }
        };
        let (told, left) = judged(&more, &planned(Extent::Amount(usd("12")), &["*"]));
        let words = "planned, 2026-11-16 to 2026-11-22: campaign";
        assert_eq!(told, [format!("Planned Quantity 10: {words}"), format!("Planned New 2: {words}")]);
        assert_eq!(left, "4");
        assert_eq!(judged(&more, &planned(Extent::Amount(usd("100")), &["i-2"])).1, "9");
        assert_eq!(judged(&more, &planned(Extent::Amount(usd("-100")), &["*"])).1, "17");
        // A fifth of the 15 that the scope usually costs.
        assert_eq!(judged(&more, &planned(Extent::Share(usd("0.2")), &["*"])).1, "13");
    }

    #[test]
    fn a_driver_explains_in_proportion() {
        let more = lines(&[("i-1", flat(100), flat(200))]);
        let driver = |before: &str, after: &str| {
            let (before, after) = (usd(before), usd(after));
            let driver = Driver { scope: Scope::default(), metric: "requests".to_owned(), before, after };
            Evidence { drivers: vec![driver], ..Evidence::default() }
        };
        assert_eq!(judged(&more, &driver("1000", "2500")).1, "0");
        let (told, left) = judged(&more, &driver("1000", "1300"));
        assert_eq!((told[0].as_str(), left.as_str()), ("Driver Quantity 3: requests: 1300 a day, from 1000", "7"));
        assert_eq!(judged(&more, &driver("1000", "700")).1, "10");
        assert_eq!(judged(&more, &driver("0", "700")).1, "10");
        let mut elsewhere = driver("1000", "2500");
        elsewhere.drivers[0].scope.services = vec!["Storage".to_owned()];
        assert_eq!(judged(&more, &elsewhere).1, "10");
        // Two metrics that rose are one rise: the larger.
        for (one, other) in [("1300", "1200"), ("1200", "1300"), ("1300", "1300"), ("1300", "500")] {
            let mut both = driver("1000", one);
            both.drivers.extend(driver("1000", other).drivers);
            assert_eq!(judged(&more, &both).1, "7", "{one} and {other}");
        }
    }

    fn history(odd: &[(&str, i64)]) -> Evidence {
        let first = date("2026-08-18");
        let mut costs: BTreeMap<Date, Amount> =
            Span::whole(first, window().last).each().map(|day| (day, Amount::whole(10))).collect();
        for (day, cost) in odd {
            costs.insert(date(day), Amount::whole(*cost));
        }
        Evidence { histories: BTreeMap::from([("i-1".into(), costs)]), ..Evidence::default() }
    }

    #[test]
    fn what_a_resource_does_again_and_again_is_a_habit() {
        // 70 a week, and this week 100 more.
        let batch = lines(&[("i-1", flat(700), flat(1700)), ("i-2", flat(700), flat(1700))]);
        let now = ("2026-11-18", 110);
        let (told, left) = judged(&batch, &history(&[now, ("2026-09-02", 90), ("2026-10-10", 150)]));
        let words = "it did as much 2 times in 90 days: 2026-10-10 (140.00 above), 2026-09-02 (80.00 above)";
        assert_eq!((told, left.as_str()), (vec![format!("Habit Quantity 100: {words}")], "100"));
        // No more than it ever did.
        assert_eq!(judged(&batch, &history(&[now, ("2026-09-02", 90), ("2026-10-10", 95)])).1, "115");
        // A little more than usual is no excursion, however flat the rest.
        let little = history(&[("2026-11-18", 14), ("2026-10-10", 14), ("2026-09-02", 14)]);
        assert_eq!(judged(&batch, &little).1, "200");
        // Half as much again is one.
        let half = history(&[("2026-11-18", 15), ("2026-10-10", 15), ("2026-09-02", 15)]);
        assert_eq!(judged(&batch, &half).1, "195");
        // Nor is what is usual, where costs go up and down, any reason for more: of this week's days four are at 40, 120
        // above the 10 of most days, and 105 of it were there before.
        let mut restless = history(&[]);
        for costs in restless.histories.values_mut() {
            for (day, cost) in costs.iter_mut() {
                *cost = Amount::whole(if day.day() % 2 == 0 { 40 } else { 10 });
            }
        }
        let more = lines(&[("i-1", flat(1750), flat(2750))]);
        assert_eq!(judged(&more, &restless).1, "85");
        // Once is no habit, nor are small ones, nor one that lasts two days, nor those of long ago.
        for odd in [
            vec![now, ("2026-10-10", 150)],
            vec![now, ("2026-10-10", 150), ("2026-09-02", 40)],
            vec![now, ("2026-10-10", 150), ("2026-10-11", 150)],
            vec![("2026-10-10", 150), ("2026-09-02", 150)],
        ] {
            assert_eq!(judged(&batch, &history(&odd)).1, "200", "{odd:?}");
        }
    }

    #[test]
    fn the_same_day_of_last_month() {
        let batch = lines(&[("i-1", flat(700), flat(1700))]);
        let (told, left) = judged(&batch, &history(&[("2026-11-20", 110), ("2026-10-20", 90)]));
        assert_eq!(told, ["DayOfMonth Quantity 80: as on 2026-10-20 (80.00 above)"]);
        assert_eq!(left, "20");
        assert_eq!(judged(&batch, &history(&[("2026-11-20", 110), ("2026-10-21", 90)])).1, "100");
    }

    #[test]
    fn nothing_is_explained_twice() {
        let mut all = event("i-1", Happened::Made, "2026-11-03");
        all.drivers = vec![Driver {
            scope: Scope::default(),
            metric: "requests".to_owned(),
            before: usd("1"),
            after: usd("100"),
        }];
        all.histories = history(&[("2026-11-18", 110), ("2026-09-02", 90), ("2026-10-10", 150)]).histories;
        let (told, left) = judged(&lines(&[("i-1", flat(50), flat(168))]), &all);
        assert_eq!((told.len(), left.as_str()), (1, "0"));
    }
}
