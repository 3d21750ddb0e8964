//! What the bill says that single resources cost: their own charges of the last mature days, as a month.
//!
//! Charges that a commitment covers are left out: when the resource goes, the commitment goes on to be paid, and covers
//! something else or nothing. A resource is known by its whole id, or by the last part of it within its account, where
//! neither the bill nor the inventory has two of those.

use crate::{
    cache::Files,
    expected::{Terms, plus},
    focus::Lane,
    movement,
    rates::Rate,
    request::{Key, Measure, Request, Rollup, Window},
    split::resource_id,
    watch::short,
};
use jiff::civil::Date;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    num::NonZeroUsize,
    sync::OnceLock,
};
use sweeper_core::{
    costs::Billed,
    inventory::{Inventory, Resource},
    model::Timestamp,
    money::{Amount, Basis, Cost, HOURS_A_MONTH},
};

/// The days looked at: a week, so that no weekday counts more than another.
const DAYS: i64 = 7;
const HOURS_A_DAY: i64 = 24;

/// What some days cost, as a month of 730 hours.
pub(crate) fn a_month(amount: Amount, days: i64) -> Amount {
    amount.scaled(i128::from(HOURS_A_MONTH), i128::from(days * HOURS_A_DAY))
}

/// What so many days are of what a month of 730 hours costs.
pub(crate) fn of_month(amount: Amount, days: i64) -> Amount {
    amount.scaled(i128::from(days * HOURS_A_DAY), i128::from(HOURS_A_MONTH))
}

/// A short id in an account, in lower case.
type Place = (String, String);

/// The charges of single resources.
pub struct Charged {
    /// By the bill's own id, in lower case: the account, and the sum over the days.
    ids: BTreeMap<String, (String, Amount)>,
    /// By place, where one id of the bill has it.
    places: BTreeMap<Place, Option<Amount>>,
    /// Places that two resources of the inventory have; looked for once.
    doubled: OnceLock<BTreeSet<Place>>,
    window: Window,
    currency: String,
    rates: Vec<Rate>,
}

impl Charged {
    /// Reads the last mature week of a bill. `None` where it has none: an old bill says nothing of today.
    ///
    /// # Errors
    /// Every file that cannot be summed, by name and place.
    pub fn read(
        files: impl Into<Files>,
        terms: &Terms,
        threads: NonZeroUsize,
    ) -> Result<Option<Self>, crate::engine::ScanError> {
        let files = files.into();
        let (_, Some(last)) = movement::last_mature(&files, terms, threads)? else { return Ok(None) };
        let window = Window { from: plus(last, 1 - DAYS), to: plus(last, 1) };
        let rollup = Rollup {
            keys: vec![Key::Resource, Key::Account, Key::Commitment],
            attributes: Vec::new(),
            windows: vec![window],
            measures: vec![Measure::Effective],
            lanes: vec![Lane::Usage],
        };
        let found = files.scan(&Request { rollups: vec![rollup], ..Request::default() }, threads)?;
        let mut ids: BTreeMap<String, (String, Amount)> = BTreeMap::new();
        for group in found.groups(0).into_iter().filter(|group| !group.key(0).is_empty()) {
            let known = ids
                .entry(resource_id(group.key(0)).to_ascii_lowercase())
                .or_insert_with(|| (short(group.key(1)), Amount::ZERO));
            if group.key(2).is_empty() {
                known.1 += group.amount(0, Measure::Effective);
            }
        }
        let mut places: BTreeMap<Place, Option<Amount>> = BTreeMap::new();
        for (id, (account, amount)) in &ids {
            match places.entry((account.clone(), short(id))) {
                Entry::Vacant(vacant) => drop(vacant.insert(Some(*amount))),
                Entry::Occupied(mut known) => drop(known.insert(None)),
            }
        }
        let currency = found.currency().unwrap_or_default().to_owned();
        let rates = found.rates();
        Ok(Some(Self { ids, places, doubled: OnceLock::new(), window, currency, rates }))
    }

    /// The rates that charges in other currencies were converted by.
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// What it was charged over the days.
    fn charge(&self, resource: Resource<'_>) -> Option<Amount> {
        let own = resource.native_id().to_ascii_lowercase();
        let account = resource.account().to_ascii_lowercase();
        if let Some((of, amount)) = self.ids.get(&own)
            && *of == account
        {
            return Some(*amount);
        }
        let place = place(resource);
        if self.doubled.get_or_init(|| doubled(resource.inventory())).contains(&place) {
            None
        } else {
            self.places.get(&place).copied().flatten()
        }
    }

    /// How many of the days it was there for.
    fn days(&self, created: Option<Timestamp>) -> i64 {
        let made = created.and_then(|created| created.date().parse::<Date>().ok());
        // The day it was made on is charged in part.
        let first = made.map_or(self.window.from, |made| plus(made, 1).max(self.window.from));
        (0..DAYS).map(|day| plus(self.window.from, day)).filter(|day| *day >= first && *day < self.window.to).count()
            as i64
    }
}

/// Places that several resources have.
fn doubled(inventory: &Inventory) -> BTreeSet<Place> {
    let mut seen = BTreeSet::new();
    inventory.resources().map(place).filter(|place| !seen.insert(place.clone())).collect()
}

fn place(resource: Resource<'_>) -> Place {
    (resource.account().to_ascii_lowercase(), short(resource.native_id()))
}

impl Billed for Charged {
    fn monthly(&self, resource: Resource<'_>) -> Option<Cost> {
        let charge = self.charge(resource)?;
        let days = self.days(resource.created());
        if days == 0 {
            return None;
        }
        Some(Cost { amount: Some(a_month(charge, days)), currency: self.currency.clone(), basis: Basis::Effective })
    }
}
