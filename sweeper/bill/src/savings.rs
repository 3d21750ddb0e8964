//! What deeds saved, by later bills, beside what was promised.
//!
//! Of each: its charges in the week before, day for day, against its charges and its copy's on the mature days since.
//! The day itself counts on neither side. What the bill never spoke of has no realised saving: unknown, not zero.

use crate::{
    cache::Files,
    costs::of_month,
    engine::ScanError,
    expected::{Terms, plus},
    focus::Lane,
    movement,
    request::{Key, Measure, Request, Rollup, Window},
    watch::short,
};
use jiff::civil::Date;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
};
use sweeper_core::money::Amount;

/// Days before a deed that say what it cost.
const BEFORE: i64 = 7;

/// Something that was done to save money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// As `sweeper undo --list` names it.
    pub id: String,
    pub owner: Option<String>,
    pub policy: String,
    pub account: String,
    /// By native id.
    pub resource: String,
    /// The copy that is kept of it, likewise.
    pub copy: Option<String>,
    pub day: Date,
    /// The day it was taken back on, if it was.
    pub undone: Option<Date>,
    /// What was promised, a month; `None` where no price was known.
    pub promised: Option<Amount>,
}

/// What came of one deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    pub id: String,
    pub owner: Option<String>,
    pub policy: String,
    pub resource: String,
    /// Mature days since, on which it was not there.
    pub days: i64,
    /// Over those days, of the amount a month that was promised.
    pub promised: Option<Amount>,
    /// Over those days, by the bill, less the copy's charges. `None` where the bill does not speak of it.
    pub realised: Option<Amount>,
}

/// What came of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub deeds: usize,
    pub promised: Amount,
    pub realised: Amount,
    /// Of the promise, what no bill speaks of, and of how many.
    pub unknown: Amount,
    pub unknown_deeds: usize,
}

impl Sum {
    pub fn add(&mut self, saved: &Saved) {
        self.deeds += 1;
        let promised = saved.promised.unwrap_or_default();
        self.promised += promised;
        if let Some(realised) = saved.realised {
            self.realised += realised;
        } else {
            self.unknown += promised;
            self.unknown_deeds += 1;
        }
    }
}

/// What the bill says of some deeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// Of the realised amounts; empty before the first charge. What is promised is in US dollars.
    pub currency: String,
    /// The last day that counts; `None` where the bill has no whole day of late.
    pub until: Option<String>,
    pub saved: Vec<Saved>,
}

/// Charges of a short id in an account, by window.
type Charges = BTreeMap<(String, String), Vec<(Amount, bool)>>;

/// Reads what deeds saved, in their order.
///
/// # Errors
/// Every file that cannot be summed, by name and place.
pub fn savings(
    files: impl Into<Files>,
    deeds: &[Deed],
    terms: &Terms,
    threads: NonZeroUsize,
) -> Result<Savings, ScanError> {
    let files = files.into();
    let (currency, last) = movement::last_mature(&files, terms, threads)?;
    let Some(last) = last else {
        let saved = deeds.iter().map(|deed| saved(deed, 0, None)).collect();
        return Ok(Savings { saved, ..Savings::default() });
    };
    let end = plus(last, 1);
    // Sums between the days at which something changes are all that is needed, however long ago it was.
    let mut cuts: BTreeSet<Date> = deeds
        .iter()
        .flat_map(|deed| [plus(deed.day, -BEFORE), deed.day, plus(deed.day, 1)].into_iter().chain(deed.undone))
        .filter(|cut| *cut < end)
        .collect();
    cuts.insert(end);
    let cuts: Vec<Date> = cuts.into_iter().collect();
    let windows: Vec<Window> = cuts.windows(2).map(|pair| Window { from: pair[0], to: pair[1] }).collect();
    if windows.is_empty() {
        let saved = deeds.iter().map(|deed| saved(deed, 0, None)).collect();
        return Ok(Savings { currency: currency.unwrap_or_default(), until: Some(last.to_string()), saved });
    }
    let rollup = Rollup {
        keys: vec![Key::Account, Key::Resource],
        attributes: Vec::new(),
        windows: windows.clone(),
        measures: vec![Measure::Effective, Measure::Rows],
        lanes: vec![Lane::Usage],
    };
    let found = files.scan(&Request { rollups: vec![rollup], ..Request::default() }, threads)?;
    let wanted: BTreeSet<(String, String)> = deeds
        .iter()
        .flat_map(|deed| [Some(&deed.resource), deed.copy.as_ref()].into_iter().flatten().map(|id| place(deed, id)))
        .collect();
    let mut charges: Charges = BTreeMap::new();
    for group in found.groups(0) {
        let place = (short(group.key(0)), short(group.key(1)));
        if !wanted.contains(&place) {
            continue;
        }
        let own = charges.entry(place).or_insert_with(|| vec![(Amount::ZERO, false); windows.len()]);
        for (at, (amount, is_there)) in own.iter_mut().enumerate() {
            *amount += group.amount(at, Measure::Effective);
            *is_there |= group.count(at, Measure::Rows) > 0;
        }
    }
    let sum = |place: &(String, String), from: Date, to: Date| -> Option<Amount> {
        let within = charges.get(place)?.iter().zip(&windows).filter(|(_, own)| own.from >= from && own.to <= to);
        let within: Vec<Amount> =
            within.filter(|((_, is_there), _)| *is_there).map(|((amount, _), _)| *amount).collect();
        (!within.is_empty()).then(|| within.into_iter().sum())
    };
    let told = deeds.iter().map(|deed| {
        let from = plus(deed.day, 1);
        let to = deed.undone.unwrap_or(end).min(end);
        let days = if from < to { Window { from, to }.by_day().len() as i64 } else { 0 };
        let own = place(deed, &deed.resource);
        let realised = sum(&own, plus(deed.day, -BEFORE), deed.day).map(|before| {
            let after = sum(&own, from, to).unwrap_or_default();
            let copy = deed.copy.as_ref().and_then(|copy| sum(&place(deed, copy), from, to)).unwrap_or_default();
            before.scaled(i128::from(days), i128::from(BEFORE)) - after - copy
        });
        saved(deed, days, realised)
    });
    Ok(Savings { saved: told.collect(), currency: currency.unwrap_or_default(), until: Some(last.to_string()) })
}

fn place(deed: &Deed, id: &str) -> (String, String) {
    (short(&deed.account), short(id))
}

fn saved(deed: &Deed, days: i64, realised: Option<Amount>) -> Saved {
    Saved {
        id: deed.id.clone(),
        owner: deed.owner.clone(),
        policy: deed.policy.clone(),
        resource: deed.resource.clone(),
        days,
        promised: deed.promised.map(|amount| of_month(amount, days)),
        realised: realised.filter(|_| days > 0),
    }
}
