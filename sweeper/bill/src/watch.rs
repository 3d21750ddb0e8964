//! Judges the policies that watch: the bill, budgets, functions, growth, what is always on, commitments, old versions.
//!
//! What cannot be read, or is too old to be told of, is *unknown*: never quiet, and never zero.

use crate::{
    always_on::{AlwaysOn, Office, Seen},
    budget::{Budget, BudgetOutcome, BudgetReport},
    cache::Files,
    costs::a_month,
    delta::{self, compare},
    engine::ScanError,
    evidence::Evidence,
    expected::{MatureDays, Span, Terms, plus},
    focus::{Bill, Lane, effective},
    growth::{Growth, GrowthOutcome, GrowthTerms},
    movement::{self, By, Compared, Names},
    request::{Key, Measure, Request, Rollup, Window},
    runaway::{Counted, Runaway, RunawayOutcome},
};
use jiff::civil::Date;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
};
use sweeper_core::{
    model::{Timestamp, last_segment},
    money::Amount,
    policy::{
        Told, Watch, Watched,
        watch::{Breakdown, Outcome},
    },
};

/// Subjects told of one by one, of one policy; the rest is one of them.
const MOST: usize = 20;
/// Days over which what stands is summed, and made a month of.
const STANDING: i64 = 14;

/// Counts of resources by name and day, as scans found them.
pub type Counts<'a> = dyn Fn(Breakdown, &Watch) -> Result<BTreeMap<String, BTreeMap<Date, Vec<u64>>>, String> + 'a;

/// What there is to judge by.
pub struct AtHand<'a> {
    /// Files of the bill, none where no bill is configured; or why they could not be found.
    pub files: Result<Files, String>,
    pub today: Date,
    pub lag_days: u32,
    pub threads: NonZeroUsize,
    pub owners: &'a Names<'a>,
    pub evidence: &'a dyn Fn() -> Evidence,
    /// Functions and machines outside production, by [`short`] id, with the account each is in.
    pub functions: &'a BTreeMap<String, String>,
    pub machines: &'a BTreeMap<String, String>,
    /// When people work in an account.
    pub office: &'a dyn Fn(&str) -> Office,
    pub counts: &'a Counts<'a>,
}

/// By which a resource of the bill and one of the inventory are the same within their account: bills have ARNs, bare
/// ids, and Azure's ids in any case.
pub fn short(id: &str) -> String {
    last_segment(id).to_ascii_lowercase()
}

/// Judges every policy that watches, in their order.
pub fn judge(watches: &[Watch], at_hand: &AtHand<'_>) -> Vec<Told> {
    let files = match &at_hand.files {
        Ok(files) if files.is_empty() => {
            Err("there is no bill: `[bill] focus = [\"…\"]` in sweeper.toml names its export".to_owned())
        }
        found => found.as_ref().map_err(Clone::clone),
    };
    let mut reader = files.map(|files| Reader { files, at_hand, bills: BTreeMap::new() });
    let mut told = Vec::new();
    for watch in watches {
        let found = match (watch.what, &mut reader) {
            (Watched::Growth, _) => growth(watch, at_hand),
            // Judged over a survey alone, by the core.
            (Watched::OverQuota, _) => continue,
            (_, Err(why)) => Err(why.clone()),
            (Watched::BillDelta, Ok(reader)) => reader.bill_delta(watch),
            (Watched::Budget, Ok(reader)) => reader.budget(watch),
            (Watched::RunawayFunction, Ok(reader)) => reader.runaway(watch),
            (Watched::AlwaysOn, Ok(reader)) => reader.always_on(watch),
            (Watched::CommitmentUnused, Ok(reader)) => reader.commitments(watch),
            (Watched::ExtendedSupport, Ok(reader)) => reader.extended_support(watch),
        };
        match found {
            Ok(found) if found.is_empty() => told.push(said(watch, Outcome::Quiet, String::new(), String::new(), None)),
            Ok(found) => told.extend(found),
            Err(why) => told.push(unknown(watch, why)),
        }
    }
    told
}

fn said(watch: &Watch, outcome: Outcome, subject: String, says: String, money: Option<(Amount, &str)>) -> Told {
    Told {
        policy: watch.name.clone(),
        watch: watch.what,
        severity: watch.severity,
        outcome,
        subject,
        says,
        amount: money.map(|(amount, _)| amount),
        currency: money.map(|(_, currency)| currency.to_owned()).unwrap_or_default(),
    }
}

fn unknown(watch: &Watch, why: impl Into<String>) -> Told {
    said(watch, Outcome::Unknown, String::new(), why.into(), None)
}

/// Alerts, the dearest first; those beyond [`MOST`] as one.
fn dearest(watch: &Watch, mut alerts: Vec<(Amount, String, String)>, currency: &str) -> Vec<Told> {
    alerts.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let rest = alerts.split_off(alerts.len().min(MOST));
    let mut told: Vec<Told> = alerts
        .into_iter()
        .map(|(amount, subject, says)| said(watch, Outcome::Alert, subject, says, Some((amount, currency))))
        .collect();
    if !rest.is_empty() {
        let sum = rest.iter().map(|(amount, ..)| *amount).sum();
        told.push(said(watch, Outcome::Alert, format!("{} more", rest.len()), String::new(), Some((sum, currency))));
    }
    told
}

fn stale(days: &MatureDays) -> Result<Span, String> {
    days.window.ok_or_else(|| {
        "no day of the bill is whole and recent enough to be told of: its export may have stopped".to_owned()
    })
}

struct Reader<'a> {
    files: &'a Files,
    at_hand: &'a AtHand<'a>,
    /// Bills by day that were read already.
    bills: BTreeMap<By, Bill>,
}

impl Reader<'_> {
    fn terms(&self, floor_a_day: Amount) -> Terms {
        Terms { today: self.at_hand.today, lag_days: self.at_hand.lag_days, floor_a_day }
    }

    /// The bill by day, broken down; read once.
    fn bill(&mut self, by: By) -> Result<&Bill, String> {
        if !self.bills.contains_key(&by) {
            let at_hand = self.at_hand;
            let terms = self.terms(Amount::ZERO);
            let read =
                movement::daily(self.files.clone(), (by, at_hand.owners), Compared::Week, &terms, at_hand.threads);
            self.bills.insert(by, read.map_err(unread)?);
        }
        self.bills.get(&by).ok_or_else(String::new)
    }

    fn bill_delta(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        let by = match watch.by {
            Some(Breakdown::Account) => By::Account,
            Some(Breakdown::Region) => By::Region,
            Some(Breakdown::Owner) => By::Owner,
            _ => By::Service,
        };
        let terms = self.terms(watch.floor);
        let (files, at_hand) = (self.files, self.at_hand);
        let bill = self.bill(by)?;
        let currency = bill.currency.clone().unwrap_or_default();
        let report = compare(bill, &terms);
        stale(&MatureDays::of(&bill.rows, &terms))?;
        if report.outcome == delta::Outcome::Learning {
            let says = "the bill has under 14 days of history to be held against".to_owned();
            return Ok(vec![said(watch, Outcome::Learning, String::new(), says, None)]);
        }
        // What is quiet without evidence is quiet with it, unless evidence explains more than there is to explain: a
        // rise hidden behind a fall. So it is asked for always.
        let evidence = (at_hand.evidence)();
        let story = movement::explained(files.clone(), bill, Compared::Week, &terms, evidence, at_hand.threads);
        let Some(story) = story.map_err(unread)? else { return Ok(Vec::new()) };
        if !matches!(story.alert.outcome, delta::Outcome::Rise | delta::Outcome::Fall) {
            return Ok(Vec::new());
        }
        let left = story.unexplained.amount;
        let first = story.unexplained.by_resource.first();
        let most = report.groups.iter().find(|group| (group.delta > Amount::ZERO) == (left > Amount::ZERO));
        let mut says = vec![format!(
            "{} {currency} is not explained, where {} was expected, over {} days until {}",
            left.signed_cents(),
            story.expected.cents(),
            story.window.days,
            story.window.last
        )];
        says.extend(most.map(|most| format!("{} moved most, by {}", named(&most.name), most.delta.signed_cents())));
        says.extend(first.map(|first| {
            let what = first.resource.as_deref().unwrap_or("charges of no resource");
            format!("above all {what} of {} in {}", first.service, first.account)
        }));
        let subject = most.map(|group| group.name.clone()).unwrap_or_default();
        Ok(vec![said(watch, Outcome::Alert, subject, says.join("; "), Some((left, &currency)))])
    }

    fn budget(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        let monthly = watch.monthly.ok_or("it has no amount")?;
        let terms = self.terms(watch.floor);
        let (by, of) = if watch.owners.is_empty() { (By::Account, watch.accounts.len()) } else { (By::Owner, 0) };
        let today = self.at_hand.today;
        let bill = self.bill(by)?;
        let window = stale(&MatureDays::of(&bill.rows, &terms))?;
        let is_in = |name: &str| match by {
            By::Owner => watch.owners.iter().any(|owner| owner == name),
            // Azure writes a subscription's account as `/subscriptions/<guid>`.
            _ => watch.covers(None, last_segment(name)),
        };
        let mut costs: BTreeMap<Date, Amount> = BTreeMap::new();
        if by == By::Account && of == 0 && watch.clouds.is_empty() {
            costs = bill.usage_by_day();
        } else {
            for days in bill.usage.iter().filter(|(name, _)| is_in(name)).map(|(_, days)| days) {
                for (day, cost) in effective(days) {
                    *costs.entry(day).or_default() += cost;
                }
            }
        }
        let first = bill.rows.keys().next().copied().unwrap_or(window.first);
        let currency = bill.currency.clone().unwrap_or_default();
        let budget = Budget { name: watch.name.clone(), monthly };
        let found = BudgetReport::of(&budget, &costs, first, window.last, today);
        let outcome = match found.outcome {
            BudgetOutcome::Learning => Outcome::Learning,
            BudgetOutcome::Within if !found.fire => return Ok(Vec::new()),
            _ => Outcome::Alert,
        };
        let amount = monthly.cents();
        let mut says = vec![match (found.outcome, found.exceeded_on) {
            (BudgetOutcome::Learning, _) => "under 14 days of the bill are known".to_owned(),
            (BudgetOutcome::Exceeded, Some(day)) => format!("the month's {amount} were spent on {day}"),
            (_, Some(day)) => format!("the month's {amount} will be spent on {day}"),
            _ => format!("the last two days cost at least twice what is usual, under a budget of {amount}"),
        }];
        if outcome == Outcome::Alert {
            let (spent, until) = (found.spent.cents(), found.mature_until);
            says.push(format!("{spent} until {until}, {} by the month's end", found.forecast.cents()));
            says.extend(found.burn_week.map(|burn| format!("burning {} times as fast as it lasts", burn.cents())));
        }
        let subject = if watch.owners.is_empty() {
            watch.accounts.iter().map(|account| account.id.as_str()).collect::<Vec<_>>().join(", ")
        } else {
            watch.owners.join(", ")
        };
        let over = found.forecast - monthly;
        Ok(vec![said(watch, outcome, subject, says.join("; "), Some((over, &currency)))])
    }

    fn runaway(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        let terms = self.terms(watch.floor);
        let functions = self.at_hand.functions;
        let bill = self.bill(By::Resource)?;
        let window = stale(&MatureDays::of(&bill.rows, &terms))?;
        let first = bill.rows.keys().next().copied().unwrap_or(window.first);
        let currency = bill.currency.clone().unwrap_or_default();
        let mut alerts = Vec::new();
        for (resource, days) in &bill.usage {
            let Some(account) = functions.get(&short(resource)) else { continue };
            if !watch.covers(None, account) {
                continue;
            }
            let found = Runaway::of(Counted::Cost, &effective(days), first, window.last, watch.floor);
            if found.outcome == RunawayOutcome::Runaway {
                let day = found.days.iter().rev().find(|day| day.wild).or(found.days.last());
                let says = day.map_or_else(String::new, |day| {
                    format!("cost {} on {}, where {} is usual", day.actual.cents(), day.day, day.expected.cents())
                });
                alerts.push((found.excess, resource.clone(), says));
            }
        }
        Ok(dearest(watch, alerts, &currency))
    }

    /// The days over which what stands is summed.
    fn standing(&mut self) -> Result<(Window, String), String> {
        let terms = self.terms(Amount::ZERO);
        let bill = self.bill(By::Account)?;
        let last = stale(&MatureDays::of(&bill.rows, &terms))?.last;
        let first = bill.rows.keys().next().copied().unwrap_or(last).max(plus(last, 1 - STANDING));
        Ok((Window { from: first, to: plus(last, 1) }, bill.currency.clone().unwrap_or_default()))
    }

    fn rollup(&self, rollup: Rollup) -> Result<crate::partial::Partial, String> {
        let request = Request { rollups: vec![rollup], ..Request::default() };
        self.files.scan(&request, self.at_hand.threads).map_err(unread)
    }

    fn always_on(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        let (window, currency) = self.standing()?;
        let days = window.by_day();
        let found = self.rollup(Rollup {
            keys: vec![Key::Resource, Key::PricingUnit],
            attributes: Vec::new(),
            windows: days.clone(),
            measures: vec![Measure::Effective, Measure::Quantity],
            lanes: vec![Lane::Usage],
        })?;
        let mut alerts = Vec::new();
        for group in found.groups(0) {
            let Some(account) = self.at_hand.machines.get(&short(group.key(0))) else { continue };
            if !watch.covers(None, account) || !is_hours(group.key(1)) {
                continue;
            }
            let hours = |at: usize| group.amount(at, Measure::Quantity);
            let cost: Amount = (0..days.len()).map(|at| group.amount(at, Measure::Effective)).sum();
            let ran: Amount = (0..days.len()).map(hours).sum();
            if ran <= Amount::ZERO {
                continue;
            }
            // A bill says how long a machine ran on a day, and not when: only whole days are known to hold the night.
            let whole = days.iter().enumerate().filter(|(at, _)| hours(*at) >= Amount::whole(24));
            let running: Vec<_> = whole.filter_map(|(_, day)| Some((midnight(day.from)?, midnight(day.to)?))).collect();
            let observed = midnight(window.from).zip(midnight(window.to)).ok_or("the days are beyond the calendar")?;
            let hourly = cost.scaled(Amount::whole(1).pico(), ran.pico());
            let seen = Seen { observed, running: &running, busy: &[], hourly };
            let Some(found) = AlwaysOn::of(&seen, &(self.at_hand.office)(account)) else { continue };
            if found.always && found.monthly_cost >= watch.floor {
                let idle = (found.idle_nights + found.idle_days_off) / 3600;
                let says = format!(
                    "ran through all {idle} hours of nights and weekends in {} days; whether it worked then is not known",
                    days.len()
                );
                alerts.push((found.monthly_cost, group.key(0).to_owned(), says));
            }
        }
        Ok(dearest(watch, alerts, &currency))
    }

    fn commitments(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        self.charged(
            watch,
            (Key::Commitment, Key::Service, Lane::Commitment),
            |_| true,
            |amount, days, services| format!("{} of it covered nothing in {days} days: {services}", amount.cents()),
        )
    }

    fn extended_support(&mut self, watch: &Watch) -> Result<Vec<Told>, String> {
        self.charged(watch, (Key::Resource, Key::SkuMeter, Lane::Usage), is_extended, |_, _, meters| {
            format!("charged for a version beyond its support: {meters}")
        })
    }

    /// What is charged month after month: a sum for each name of the first key, of the names of the second that are
    /// wanted, with what is to be said of both.
    fn charged(
        &mut self,
        watch: &Watch,
        (key, of, lane): (Key, Key, Lane),
        is_wanted: impl Fn(&str) -> bool,
        says: impl Fn(Amount, i64, &str) -> String,
    ) -> Result<Vec<Told>, String> {
        let (window, currency) = self.standing()?;
        let found = self.rollup(Rollup {
            keys: vec![key, of],
            attributes: Vec::new(),
            windows: vec![window],
            measures: vec![Measure::Effective],
            lanes: vec![lane],
        })?;
        let days = window.by_day().len() as i64;
        let mut sums: BTreeMap<String, (Amount, BTreeSet<String>)> = BTreeMap::new();
        for group in found.groups(0).into_iter().filter(|group| is_wanted(group.key(1))) {
            let known = sums.entry(group.key(0).to_owned()).or_default();
            known.0 += group.amount(0, Measure::Effective);
            known.1.insert(group.key(1).to_owned());
        }
        let alerts = sums.into_iter().filter_map(|(name, (amount, of))| {
            let month = a_month(amount, days);
            let of = of.into_iter().collect::<Vec<_>>().join(", ");
            let is_told = month >= watch.floor && month > Amount::ZERO;
            is_told.then(|| (month, named(&name).to_owned(), says(amount, days, &of)))
        });
        Ok(dearest(watch, alerts.collect(), &currency))
    }
}

fn growth(watch: &Watch, at_hand: &AtHand<'_>) -> Result<Vec<Told>, String> {
    let by = watch.by.unwrap_or(Breakdown::Class);
    let terms = GrowthTerms {
        limit: watch.share.map_or(GrowthTerms::default().limit, |share| f64::from(share) / 10_000.0),
        ..GrowthTerms::default()
    };
    let counts = (at_hand.counts)(by, watch)?;
    let mut learning = 0;
    let mut told = Vec::new();
    for (name, scans) in &counts {
        let found = Growth::of(scans, &terms, false);
        match found.outcome {
            GrowthOutcome::Learning => learning += 1,
            GrowthOutcome::Growing => {
                let says = format!(
                    "{:.0} of them, {:.1} % more every day for six days: {:.0} more",
                    found.count,
                    found.slope.min(found.steps) * 100.0,
                    found.rise
                );
                told.push(said(watch, Outcome::Alert, name.clone(), says, None));
            }
            GrowthOutcome::Quiet => {}
        }
    }
    if told.is_empty() && learning == counts.len() {
        let says = "under 14 days have a complete survey".to_owned();
        return Ok(vec![said(watch, Outcome::Learning, String::new(), says, None)]);
    }
    told.truncate(MOST);
    Ok(told)
}

fn unread(error: ScanError) -> String {
    format!("the bill cannot be read: {error}")
}

/// A name in a sentence.
fn named(name: &str) -> &str {
    if name.is_empty() { movement::NONE } else { name }
}

fn midnight(day: Date) -> Option<Timestamp> {
    Timestamp::parse(&format!("{day}T00:00:00Z"))
}

/// Whether a pricing unit counts hours: `Hours`, `Hrs`, `1 Hour`, `h`.
fn is_hours(unit: &str) -> bool {
    let unit = unit.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ').to_ascii_lowercase();
    matches!(unit.as_str(), "hours" | "hour" | "hrs" | "hr" | "h")
}

/// Whether a meter is one of extended support: `USE1-ExtendedSupport:Yr1-Yr2:PostgreSQL13` of RDS,
/// `AmazonEKS-Hours:extendedSupport` of EKS, "Extended Security Updates" of Azure.
fn is_extended(meter: &str) -> bool {
    let plain: String = meter.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    plain.contains("extendedsupport") || plain.contains("extendedsecurityupdate")
}
