//! From the files of a bill to the story of its last week: one scan for its days, and one for what moved between them.

use crate::{
    delta::Terms,
    engine::{ScanError, scan},
    evidence::{Evidence, PriceChange, PriceMove, Scope},
    expected::{Expectation, MatureDays, Span, months, plus},
    focus::{Bill, Charges, Lane},
    partial::{Group, Partial},
    request::{Key, Measure, Request, Rollup, Spread, Window},
    source::Source,
    split::{self, Entry, Measures, resource_id, split},
    waterfall::{Change, LaneChange, Waterfall},
};
use jiff::civil::Date;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};
use sweeper_core::money::Amount;

/// How many days before today are read: window, baseline, lag and late days with room to spare.
const DAYS: i64 = 60;
/// As many when months are compared.
const DAYS_OF_MONTHS: i64 = 100;
/// More names than this are not compared one by one: the rest is one of them.
pub const MOST: usize = 1000;
/// The name of that rest.
pub const REST: &str = "(all others)";
/// The name of charges that have none.
pub const NONE: &str = "(none)";
/// Up to so many resources their days are read, for habits and days of the month.
const MOST_HISTORIES: usize = 20_000;
/// So many of them that moved most get one.
const HISTORIES: usize = 200;
/// Days that a history goes back before the window.
const HISTORY: i64 = crate::evidence::LOOK_BACK;

/// What a bill is broken down by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    #[default]
    Service,
    Account,
    Region,
    Resource,
    /// As [`Names`] says.
    Owner,
}

/// What is held against what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compared {
    /// The last seven mature days against the 28 before.
    #[default]
    Week,
    /// The last whole month against the one before.
    Month,
}

/// Whose a resource is, by its account and id as the bill has them.
pub type Names<'a> = dyn Fn(&str, &str) -> Option<String> + 'a;

/// The days of a bill that a comparison reads, up to and with today.
pub fn range(today: Date, compared: Compared) -> Window {
    let days = if compared == Compared::Month { DAYS_OF_MONTHS } else { DAYS };
    Window { from: plus(today, -days), to: plus(today, 1) }
}

/// Reads the days of a bill up to today, broken down.
///
/// # Errors
/// Every file that cannot be summed, by name and place; nothing is used then.
pub fn daily(
    sources: Vec<Source>,
    (by, names): (By, &Names<'_>),
    compared: Compared,
    terms: &Terms,
    threads: NonZeroUsize,
) -> Result<Bill, ScanError> {
    let days = range(terms.today, compared).by_day();
    let keys = match by {
        By::Service => vec![Key::Service],
        By::Account => vec![Key::Account],
        By::Region => vec![Key::Region],
        By::Resource => vec![Key::Resource],
        By::Owner => vec![Key::Resource, Key::Account],
    };
    // Of single resources only what is compared is read: days of both costs of hundreds of thousands take their room.
    let many = matches!(by, By::Resource | By::Owner);
    let measures = if many { vec![Measure::Effective] } else { vec![Measure::Effective, Measure::Billed] };
    let usage = Rollup { keys, attributes: Vec::new(), windows: days.clone(), measures, lanes: vec![Lane::Usage] };
    let lanes = Rollup {
        keys: vec![Key::Lane],
        attributes: Vec::new(),
        windows: days.clone(),
        measures: vec![Measure::Effective, Measure::Billed, Measure::Rows],
        lanes: Vec::new(),
    };
    let found = scan(sources, &Request { rollups: vec![usage, lanes], spread: Spread::Days }, threads)?;
    let mut bill = Bill {
        currency: found.currency().map(str::to_owned),
        excluded: found.excluded().clone(),
        effective_only: many,
        ..Bill::default()
    };
    for group in found.groups(1) {
        let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.name() == group.key(0)) else { continue };
        for (at, day) in days.iter().enumerate() {
            let rows = group.count(at, Measure::Rows);
            if rows > 0 {
                bill.lanes.entry(lane).or_default().insert(day.from, charges(&group, at));
                if lane == Lane::Usage {
                    *bill.rows.entry(day.from).or_default() += rows;
                }
            }
        }
    }
    let sides = Sides::of(&days, &chosen(&bill.rows, compared, terms));
    let named = |group: &Group<'_>| match by {
        By::Owner => names(group.key(1), group.key(0)),
        _ => Some(group.key(0).to_owned()).filter(|name| !name.is_empty()),
    };
    let most = if by == By::Owner { 0 } else { MOST };
    let apart = found.top(0, most, |group| Some(sides.moved(group)));
    let apart: BTreeSet<&str> = apart.into_iter().map(|group| group.key(0)).collect();
    for group in found.groups(0) {
        let is_apart = by == By::Owner || apart.contains(group.key(0));
        let name = if is_apart { named(&group).unwrap_or_else(|| NONE.to_owned()) } else { REST.to_owned() };
        let own = bill.usage.entry(name).or_default();
        for (at, day) in days.iter().enumerate() {
            let costs = charges(&group, at);
            if costs != Charges::default() {
                *own.entry(day.from).or_default() += costs;
            }
        }
    }
    Ok(bill)
}

fn charges(group: &Group<'_>, at: usize) -> Charges {
    Charges { effective: group.amount(at, Measure::Effective), billed: group.amount(at, Measure::Billed) }
}

/// The days that are held against one another.
fn chosen(rows: &BTreeMap<Date, u64>, compared: Compared, terms: &Terms) -> MatureDays {
    match compared {
        Compared::Week => MatureDays::of(rows, terms),
        Compared::Month => months(rows, terms).map_or_else(MatureDays::default, |(before, after)| MatureDays {
            window: Some(after),
            baseline: Some(before),
            compared: after.each().collect(),
            known: before.each().collect(),
            thin: Vec::new(),
        }),
    }
}

/// Which of some days are held against which, and by what the former are scaled.
struct Sides {
    before: Vec<usize>,
    after: Vec<usize>,
    scale: (i128, i128),
}

impl Sides {
    fn of(days: &[Window], chosen: &MatureDays) -> Self {
        let places =
            |wanted: Vec<Date>| (0..days.len()).filter(|at| wanted.binary_search(&days[*at].from).is_ok()).collect();
        let (before, after) = (places(chosen.alike().collect()), places(chosen.compared.clone()));
        Self { before, after, scale: chosen.scale() }
    }

    /// How far a group moved between them, roughly; for choosing.
    fn moved(&self, group: &Group<'_>) -> u128 {
        let sum =
            |places: &[usize]| -> i128 { places.iter().map(|at| group.amount(*at, Measure::Effective).pico()).sum() };
        let before = sum(&self.before).saturating_mul(self.scale.0) / self.scale.1.max(1);
        sum(&self.after).abs_diff(before)
    }
}

/// Days as as few windows as they make.
fn windows(days: &[Date]) -> Vec<Window> {
    let mut found: Vec<Window> = Vec::new();
    for day in days {
        match found.last_mut() {
            Some(last) if last.to == *day => last.to = plus(*day, 1),
            _ => found.push(Window { from: *day, to: plus(*day, 1) }),
        }
    }
    found
}

/// Tells why the last mature week, or month, of a bill cost more or less than was expected. `bill` is that of [`daily`], of the
/// same files. `None` where no days can be compared.
///
/// # Errors
/// As [`daily`].
pub fn explained(
    sources: Vec<Source>,
    bill: &Bill,
    compared: Compared,
    terms: &Terms,
    mut evidence: Evidence,
    threads: NonZeroUsize,
) -> Result<Option<Waterfall>, ScanError> {
    let days = chosen(&bill.rows, compared, terms);
    let (Some(window), Some(baseline)) = (days.window, days.baseline) else { return Ok(None) };
    let costs = bill.usage_by_day();
    let scale = match compared {
        Compared::Week => days.scale(),
        Compared::Month => Change::month_scale((baseline, window), &costs),
    };
    let alike: Vec<Date> = days.alike().collect();
    let (before, after) = (windows(&alike), windows(&days.compared));
    let both: Vec<Window> = before.iter().chain(&after).copied().collect();
    let every = Window { from: baseline.first, to: plus(window.last, 1) }.by_day();
    let lines = Rollup {
        keys: vec![Key::Account, Key::Service, Key::Resource, Key::SkuPrice],
        attributes: Vec::new(),
        windows: both,
        measures: Measure::OF_SPLIT.to_vec(),
        lanes: vec![Lane::Usage],
    };
    let commitments = Rollup {
        keys: vec![Key::Commitment, Key::Account, Key::Service],
        attributes: Vec::new(),
        windows: every,
        measures: vec![Measure::Rows],
        lanes: vec![Lane::Usage],
    };
    let request = Request { rollups: vec![lines, commitments], spread: Spread::Days };
    let found = scan(sources.clone(), &request, threads)?;
    evidence.prices.extend(ended(&found, &window, &baseline));
    let split_at = before.len();
    let end = split_at + after.len();
    let entries: Vec<Entry> = found.groups(0).into_iter().map(|group| entry(&group, split_at, end, scale)).collect();
    let few = entries.len() <= 2 * MOST_HISTORIES;
    let usage = split(entries);
    if evidence.histories.is_empty() && few {
        evidence.histories = histories(sources, &usage, &window, threads)?;
    }
    let expected = Expectation::of(&costs, &days);
    let lanes: Vec<LaneChange> = Lane::ALL
        .into_iter()
        .filter(|lane| *lane != Lane::Usage)
        .filter_map(|lane| {
            let costs = bill.lanes.get(&lane)?;
            let sum = |days: &[Date]| -> Amount {
                days.iter().filter_map(|day| costs.get(day)).map(|charges| charges.effective).sum()
            };
            let (before, after) = (sum(&alike).scaled(scale.0, scale.1), sum(&days.compared));
            (before != Amount::ZERO || after != Amount::ZERO).then(|| LaneChange::of(lane, before, after))
        })
        .collect();
    let currency = bill.currency.as_deref().unwrap_or_default();
    let change = match compared {
        Compared::Week => Change::of_week(currency, &days, &expected, &usage, &evidence, terms.floor_a_day),
        Compared::Month => Some(Change::of_month(currency, (baseline, window), &costs, &usage, &evidence)),
    };
    Ok(change.map(|change| Waterfall::of(&Change { lanes: &lanes, ..change })))
}

fn entry(group: &Group<'_>, split_at: usize, end: usize, (numerator, denominator): (i128, i128)) -> Entry {
    let side = |windows: std::ops::Range<usize>| {
        let sum = |measure| windows.clone().map(|at| group.amount(at, measure)).sum::<Amount>();
        let unknown = |measure| windows.clone().any(|at| group.count(at, measure) > 0);
        let measures = Measures {
            effective: sum(Measure::Effective),
            contracted: (!unknown(Measure::ContractedUnknown)).then(|| sum(Measure::Contracted)),
            list: (!unknown(Measure::ListUnknown)).then(|| sum(Measure::List)),
            quantity: sum(Measure::Quantity),
            priced: None,
        };
        (measures.effective != Amount::ZERO || measures.quantity != Amount::ZERO).then_some(measures)
    };
    let resource = Some(group.key(2)).filter(|id| !id.is_empty()).map(|id| Arc::from(resource_id(id).as_str()));
    Entry {
        key: split::Key {
            account: Arc::from(group.key(0)),
            service: Arc::from(group.key(1)),
            resource,
            sku: Arc::from(group.key(3)),
        },
        before: side(0..split_at).map(|measures| measures.scaled(numerator, denominator)),
        after: side(split_at..end),
    }
}

/// Commitments that covered something in the baseline and ended by the window: they cover nothing any more. Seen by
/// the bill alone, so what they were is not said.
fn ended(found: &Partial, window: &Span, baseline: &Span) -> Vec<PriceChange> {
    let days: Vec<Date> = Span::whole(baseline.first, window.last).each().collect();
    let mut last: BTreeMap<String, (Date, BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for group in found.groups(1) {
        let mut used = days.iter().enumerate().filter(|(at, _)| group.count(*at, Measure::Rows) > 0);
        let Some((_, day)) = used.next_back().filter(|_| !group.key(0).is_empty()) else { continue };
        let known = last.entry(group.key(0).to_owned()).or_insert((*day, BTreeSet::new(), BTreeSet::new()));
        known.0 = known.0.max(*day);
        known.1.insert(group.key(1).to_owned());
        known.2.insert(group.key(2).to_owned());
    }
    // The newest days may lack late charges: an end is one that has been for two days.
    let ended = last.into_iter().filter(|(_, (day, ..))| *day < plus(window.last, -1));
    let changes = ended.map(|(commitment, (day, accounts, services))| {
        let day = plus(day, 1);
        PriceChange {
            scope: Scope {
                accounts: accounts.into_iter().collect(),
                services: services.into_iter().collect(),
                ..Scope::default()
            },
            moved: PriceMove::CommitmentExpired,
            day,
            most: None,
            words: format!("commitment {commitment} stopped covering anything"),
        }
    });
    changes.collect()
}

/// The days of the resources that moved most.
fn histories(
    sources: Vec<Source>,
    usage: &[split::Line],
    window: &Span,
    threads: NonZeroUsize,
) -> Result<BTreeMap<Arc<str>, BTreeMap<Date, Amount>>, ScanError> {
    let resources: BTreeSet<&str> = usage.iter().filter_map(|line| line.resource.as_deref()).collect();
    if resources.len() > MOST_HISTORIES {
        return Ok(BTreeMap::new());
    }
    let mut most: Vec<(u128, &Arc<str>)> =
        usage.iter().filter_map(|line| Some((line.delta().pico().unsigned_abs(), line.resource.as_ref()?))).collect();
    most.sort_unstable_by(|one, other| other.cmp(one));
    let wanted: BTreeSet<&Arc<str>> = most.into_iter().take(HISTORIES).map(|(_, resource)| resource).collect();
    let days = Window { from: plus(window.first, -HISTORY), to: plus(window.last, 1) }.by_day();
    let rollup = Rollup {
        keys: vec![Key::Resource],
        attributes: Vec::new(),
        windows: days.clone(),
        measures: vec![Measure::Effective],
        lanes: vec![Lane::Usage],
    };
    let found = scan(sources, &Request { rollups: vec![rollup], spread: Spread::Days }, threads)?;
    let mut histories: BTreeMap<Arc<str>, BTreeMap<Date, Amount>> = BTreeMap::new();
    for group in found.groups(0) {
        let id = resource_id(group.key(0));
        let Some(resource) = wanted.get(&Arc::from(id.as_str())) else { continue };
        let own = histories.entry(Arc::clone(resource)).or_default();
        for (at, day) in days.iter().enumerate() {
            let cost = group.amount(at, Measure::Effective);
            if cost != Amount::ZERO {
                *own.entry(day.from).or_default() += cost;
            }
        }
    }
    Ok(histories)
}
