//! From the files of a bill to the story of its last week: one scan for its days, and one for what moved between them.

use crate::{
    cache::Files,
    delta::Terms,
    engine::ScanError,
    evidence::{Evidence, PriceChange, PriceMove, Scope},
    expected::{Expectation, MatureDays, Span, months, plus},
    focus::{Bill, Charges, Lane},
    partial::{Group, Partial},
    request::{Key, Measure, Request, Rollup, Window, written},
    split::{self, Entry, Measures, resource_id, split},
    waterfall::{Change, LaneChange, Waterfall},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// The last seven mature days against the 28 before.
    #[default]
    Week,
    /// The last whole month against the one before.
    Month,
}

/// Whose a resource is, by its account and id as the bill has them.
pub type Names<'a> = dyn Fn(&str, &str) -> Option<String> + 'a;

/// What is asked of a bill. The requests of every scan are made from it before anything is read, so single files can be
/// scanned apart, and what was found be added and read back as if it came from one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The day of the run, UTC.
    #[serde(with = "written")]
    pub today: Date,
    /// Days until a provider's charges of a day are complete.
    pub lag_days: u32,
    pub by: By,
    pub compared: Compared,
}

impl Question {
    pub const fn new(by: By, compared: Compared, terms: &Terms) -> Self {
        Self { today: terms.today, lag_days: terms.lag_days, by, compared }
    }

    /// The terms of its comparison; `floor_a_day` decides about alerts alone, not about what is read.
    pub const fn terms(&self, floor_a_day: Amount) -> Terms {
        Terms { today: self.today, lag_days: self.lag_days, floor_a_day }
    }

    /// The days that are read.
    pub fn range(&self) -> Window {
        let days = if self.compared == Compared::Month { DAYS_OF_MONTHS } else { DAYS };
        Window { from: plus(self.today, -days), to: plus(self.today, 1) }
    }

    /// What the first scan is asked: usage by day and name, and every lane by day.
    pub fn days(&self) -> Request {
        let days = self.range().by_day();
        let keys = match self.by {
            By::Service => vec![Key::Service],
            By::Account => vec![Key::Account],
            By::Region => vec![Key::Region],
            By::Resource => vec![Key::Resource],
            By::Owner => vec![Key::Resource, Key::Account],
        };
        let measures =
            if self.effective_only() { vec![Measure::Effective] } else { vec![Measure::Effective, Measure::Billed] };
        let usage = Rollup { keys, attributes: Vec::new(), windows: days.clone(), measures, lanes: vec![Lane::Usage] };
        let lanes = Rollup {
            keys: vec![Key::Lane],
            attributes: Vec::new(),
            windows: days,
            measures: vec![Measure::Effective, Measure::Billed, Measure::Rows],
            lanes: Vec::new(),
        };
        Request { rollups: vec![usage, lanes], ..Request::default() }
    }

    /// Of single resources only what is compared is read: days of both costs of hundreds of thousands take their room.
    const fn effective_only(&self) -> bool {
        matches!(self.by, By::Resource | By::Owner)
    }

    /// The bill that a scan for [`Question::days`] found.
    pub fn bill(&self, found: &Partial, names: &Names<'_>) -> Bill {
        let days = self.range().by_day();
        let mut bill = Bill {
            currency: found.currency().map(str::to_owned),
            excluded: found.excluded().clone(),
            rates: found.rates(),
            effective_only: self.effective_only(),
            ..Bill::default()
        };
        for group in found.groups(1) {
            let Some(lane) = Lane::parse(group.key(0)) else { continue };
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
        let sides = Sides::of(&days, &self.chosen(&bill.rows));
        let named = |group: &Group<'_>| match self.by {
            By::Owner => names(group.key(1), group.key(0)),
            _ => Some(group.key(0).to_owned()).filter(|name| !name.is_empty()),
        };
        let most = if self.by == By::Owner { 0 } else { MOST };
        let apart = found.top(0, most, |group| Some(sides.moved(group)));
        let apart: BTreeSet<&str> = apart.into_iter().map(|group| group.key(0)).collect();
        for group in found.groups(0) {
            let is_apart = self.by == By::Owner || apart.contains(group.key(0));
            let name = if is_apart { named(&group).unwrap_or_else(|| NONE.to_owned()) } else { REST.to_owned() };
            let own = bill.usage.entry(name).or_default();
            for (at, day) in days.iter().enumerate() {
                let costs = charges(&group, at);
                if costs != Charges::default() {
                    *own.entry(day.from).or_default() += costs;
                }
            }
        }
        bill
    }

    /// The days that are held against one another, by how many rows each has.
    fn chosen(&self, rows: &BTreeMap<Date, u64>) -> MatureDays {
        let terms = self.terms(Amount::ZERO);
        match self.compared {
            Compared::Week => MatureDays::of(rows, &terms),
            Compared::Month => months(rows, &terms).map_or_else(MatureDays::default, |(before, after)| MatureDays {
                window: Some(after),
                baseline: Some(before),
                compared: after.each().collect(),
                known: before.each().collect(),
                thin: Vec::new(),
            }),
        }
    }

    /// What a second look at the same files is for. `None` where no days can be compared.
    pub fn reasons(&self, rows: &BTreeMap<Date, u64>) -> Option<Reasons> {
        let days = self.chosen(rows);
        let (window, baseline) = (days.window?, days.baseline?);
        Some(Reasons { question: *self, days, window, baseline })
    }

    /// The same, as it is when every day of a bill is whole.
    pub fn reasons_of_whole_days(&self) -> Option<Reasons> {
        let day = |window: &Window| (window.from, 1);
        self.reasons(&self.range().by_day().iter().map(day).collect())
    }
}

/// Reads the days of a bill up to today, broken down.
///
/// # Errors
/// Every file that cannot be summed, by name and place; nothing is used then.
pub fn daily(
    files: impl Into<Files>,
    (by, names): (By, &Names<'_>),
    compared: Compared,
    terms: &Terms,
    threads: NonZeroUsize,
) -> Result<Bill, ScanError> {
    let question = Question::new(by, compared, terms);
    Ok(question.bill(&files.into().scan(&question.days(), threads)?, names))
}

fn charges(group: &Group<'_>, at: usize) -> Charges {
    Charges { effective: group.amount(at, Measure::Effective), billed: group.amount(at, Measure::Billed) }
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

/// What says why a bill moved: which days are held against which, and what a second look at its files is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    question: Question,
    days: MatureDays,
    window: Span,
    baseline: Span,
}

impl Reasons {
    fn sides(&self) -> (Vec<Window>, Vec<Window>) {
        let alike: Vec<Date> = self.days.alike().collect();
        (windows(&alike), windows(&self.days.compared))
    }

    /// What moved, by resource and SKU price, and what commitments covered.
    pub fn lines(&self) -> Request {
        let (before, after) = self.sides();
        let lines = Rollup {
            keys: KEYS.to_vec(),
            attributes: Vec::new(),
            windows: before.into_iter().chain(after).collect(),
            measures: Measure::OF_SPLIT.to_vec(),
            lanes: vec![Lane::Usage],
        };
        let commitments = Rollup {
            keys: vec![Key::Commitment, Key::Account, Key::Service],
            attributes: Vec::new(),
            windows: Window { from: self.baseline.first, to: plus(self.window.last, 1) }.by_day(),
            measures: vec![Measure::Rows],
            lanes: vec![Lane::Usage],
        };
        Request { rollups: vec![lines, commitments], ..Request::default() }
    }

    /// The days of single resources under each of their prices, for what was expected of them, habits and days of the
    /// month.
    pub fn histories(&self) -> Request {
        let rollup = Rollup {
            keys: KEYS.to_vec(),
            attributes: Vec::new(),
            windows: Window { from: plus(self.window.first, -HISTORY), to: plus(self.window.last, 1) }.by_day(),
            measures: vec![Measure::Effective],
            lanes: vec![Lane::Usage],
        };
        Request { rollups: vec![rollup], ..Request::default() }
    }

    /// Whether what a scan for [`Reasons::lines`] found is so little that histories are read. If it is too much in one
    /// file, it is in all of them together.
    pub fn few(lines: &Partial) -> bool {
        lines.count(0) <= 2 * MOST_HISTORIES
    }

    /// Why the bill cost more or less than was expected, from what scans for [`Reasons::lines`] and
    /// [`Reasons::histories`] found. Histories in `evidence` go before.
    pub fn story(
        &self,
        bill: &Bill,
        lines: &Partial,
        histories: Option<&Partial>,
        floor_a_day: Amount,
        mut evidence: Evidence,
    ) -> Option<Waterfall> {
        let Self { question, days, window, baseline } = self;
        let costs = bill.usage_by_day();
        let scale = match question.compared {
            Compared::Week => days.scale(),
            Compared::Month => Change::month_scale((*baseline, *window), &costs),
        };
        let (before, after) = self.sides();
        evidence.prices.extend(ended(lines, window, baseline));
        let split_at = before.len();
        let end = split_at + after.len();
        let entries: Vec<Entry> =
            lines.groups(0).into_iter().map(|group| entry(&group, split_at, end, scale)).collect();
        let mut usage = split(entries.clone());
        if let Some(found) = histories.filter(|_| Self::few(lines)) {
            let pasts = self.most_moved(found, &usage);
            if question.compared == Compared::Week && !days.learning() {
                usage = split(entries.into_iter().map(|entry| match pasts.get(&entry.key) {
                    Some(costs) => entry.from_expected(Expectation::of(costs, days).expected),
                    None => entry,
                }));
            }
            if evidence.histories.is_empty() {
                evidence.histories = of_resources(pasts);
            }
        }
        let expected = Expectation::of(&costs, days);
        let lanes: Vec<LaneChange> = Lane::ALL
            .into_iter()
            .filter(|lane| *lane != Lane::Usage)
            .filter_map(|lane| {
                let costs = bill.lanes.get(&lane)?;
                let sum = |days: &mut dyn Iterator<Item = Date>| -> Amount {
                    days.filter_map(|day| costs.get(&day)).map(|charges| charges.effective).sum()
                };
                let before = sum(&mut days.alike()).scaled(scale.0, scale.1);
                let after = sum(&mut days.compared.iter().copied());
                (before != Amount::ZERO || after != Amount::ZERO).then(|| LaneChange::of(lane, before, after))
            })
            .collect();
        let currency = bill.currency.as_deref().unwrap_or_default();
        let change = match question.compared {
            Compared::Week => Change::of_week(currency, days, &expected, &usage, &evidence, floor_a_day),
            Compared::Month => Some(Change::of_month(currency, (*baseline, *window), &costs, &usage, &evidence)),
        };
        change.map(|change| Waterfall::of(&Change { lanes: &lanes, ..change }))
    }

    /// The days of the resources that moved most, under each of their prices.
    fn most_moved(&self, found: &Partial, usage: &[split::Line]) -> Pasts {
        let mut pasts = Pasts::new();
        let resources: BTreeSet<&str> = usage.iter().filter_map(|line| line.resource.as_deref()).collect();
        if resources.len() > MOST_HISTORIES {
            return pasts;
        }
        let mut most: Vec<(u128, &Arc<str>)> = usage
            .iter()
            .filter_map(|line| Some((line.delta().pico().unsigned_abs(), line.resource.as_ref()?)))
            .collect();
        most.sort_unstable_by(|one, other| other.cmp(one));
        let wanted: BTreeSet<&Arc<str>> = most.into_iter().take(HISTORIES).map(|(_, resource)| resource).collect();
        let days = self.histories().rollups.remove(0).windows;
        for group in found.groups(0) {
            let key = key(&group);
            if !key.resource.as_ref().is_some_and(|resource| wanted.contains(resource)) {
                continue;
            }
            let own = pasts.entry(key).or_default();
            for (at, day) in days.iter().enumerate() {
                let cost = group.amount(at, Measure::Effective);
                if cost != Amount::ZERO {
                    *own.entry(day.from).or_default() += cost;
                }
            }
        }
        pasts
    }
}

/// Costs by day, of resources under each of their prices.
type Pasts = BTreeMap<split::Key, BTreeMap<Date, Amount>>;

/// The same of whole resources.
fn of_resources(pasts: Pasts) -> BTreeMap<Arc<str>, BTreeMap<Date, Amount>> {
    let mut histories: BTreeMap<Arc<str>, BTreeMap<Date, Amount>> = BTreeMap::new();
    for (key, costs) in pasts {
        let Some(resource) = key.resource else { continue };
        let own = histories.entry(resource).or_default();
        for (day, cost) in costs {
            *own.entry(day).or_default() += cost;
        }
    }
    histories
}

/// The currency of a bill, and its last mature day: `None` where no day is whole and recent enough to be told of.
///
/// # Errors
/// As [`daily`].
pub(crate) fn last_mature(
    files: &Files,
    terms: &Terms,
    threads: NonZeroUsize,
) -> Result<(Option<String>, Option<Date>), ScanError> {
    let bill = daily(files.clone(), (By::Account, &|_, _| None), Compared::Week, terms, threads)?;
    let last = MatureDays::of(&bill.rows, terms).window.map(|window| window.last);
    Ok((bill.currency, last))
}

/// Tells why the last mature week, or month, of a bill cost more or less than was expected. `bill` is that of [`daily`], of the
/// same files. `None` where no days can be compared.
///
/// # Errors
/// As [`daily`].
pub fn explained(
    files: impl Into<Files>,
    bill: &Bill,
    compared: Compared,
    terms: &Terms,
    evidence: Evidence,
    threads: NonZeroUsize,
) -> Result<Option<Waterfall>, ScanError> {
    let question = Question::new(By::default(), compared, terms);
    let Some(reasons) = question.reasons(&bill.rows) else { return Ok(None) };
    let files = files.into();
    let lines = files.scan(&reasons.lines(), threads)?;
    let histories = if evidence.histories.is_empty() && Reasons::few(&lines) {
        Some(files.scan(&reasons.histories(), threads)?)
    } else {
        None
    };
    Ok(reasons.story(bill, &lines, histories.as_ref(), terms.floor_a_day, evidence))
}

/// The columns of a [`split::Key`].
const KEYS: [Key; 4] = [Key::Account, Key::Service, Key::Resource, Key::SkuPrice];

fn key(group: &Group<'_>) -> split::Key {
    let resource = Some(group.key(2)).filter(|id| !id.is_empty()).map(|id| Arc::from(resource_id(id).as_str()));
    split::Key {
        account: Arc::from(group.key(0)),
        service: Arc::from(group.key(1)),
        resource,
        sku: Arc::from(group.key(3)),
    }
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
    Entry {
        key: key(group),
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
