//! What a bill in the FOCUS format (focus.finops.org, versions 1.0 to 1.4) says, by day.

use crate::{rates::Rate, row::Excluded};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;
use sweeper_core::money::Amount;

pub use sweeper_core::charges::Lane;

/// The same charges counted in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Charges {
    /// `EffectiveCost`: amortised, after discounts and commitments.
    pub effective: Amount,
    /// `BilledCost`: as invoiced.
    pub billed: Amount,
}

impl std::ops::AddAssign for Charges {
    fn add_assign(&mut self, other: Self) {
        self.effective += other.effective;
        self.billed += other.billed;
    }
}

/// What a bill says, by day. Days are UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Of every amount; `None` before the first row.
    pub currency: Option<String>,
    /// Usage by day and by what was asked for: service, account, owner.
    pub usage: BTreeMap<String, BTreeMap<Date, Charges>>,
    /// Every lane by day.
    pub lanes: BTreeMap<Lane, BTreeMap<Date, Charges>>,
    /// How many rows of usage each day has: whether it is whole yet.
    pub rows: BTreeMap<Date, u64>,
    pub excluded: Excluded,
    /// By which charges in other currencies were converted.
    pub rates: Vec<Rate>,
    /// The names of `usage` are told by effective cost alone: what was invoiced for each was not read.
    pub effective_only: bool,
}

impl Bill {
    /// Usage by day.
    pub fn usage_lane(&self) -> &BTreeMap<Date, Charges> {
        static NOTHING: BTreeMap<Date, Charges> = BTreeMap::new();
        self.lanes.get(&Lane::Usage).unwrap_or(&NOTHING)
    }

    /// What usage cost by day.
    pub fn usage_by_day(&self) -> BTreeMap<Date, Amount> {
        effective(self.usage_lane())
    }
}

/// Charges without what was invoiced for them.
pub(crate) fn effective(costs: &BTreeMap<Date, Charges>) -> BTreeMap<Date, Amount> {
    costs.iter().map(|(day, charges)| (*day, charges.effective)).collect()
}
