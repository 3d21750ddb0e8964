//! What a cloud's own API says of its bill, where there is no export of it.

use crate::money::Amount;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What sort of charge a row is. Lanes are never added to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// What was used, after discounts and commitments. The only lane that is compared with its past.
    Usage,
    /// Commitments bought, or paid for and unused.
    Commitment,
    /// Corrections of periods that were invoiced already, and other adjustments.
    Correction,
    Credit,
    Tax,
}

impl Lane {
    pub const ALL: [Self; 5] = [Self::Usage, Self::Commitment, Self::Correction, Self::Credit, Self::Tax];

    /// Its word in reports and roll-ups.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Commitment => "commitment",
            Self::Correction => "correction",
            Self::Credit => "credit",
            Self::Tax => "tax",
        }
    }
}

/// What is asked: whole days in UTC, the last exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillAsk {
    pub first: Date,
    pub end: Date,
}

/// What one service in one account cost on one day, in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRow {
    pub day: Date,
    pub account: String,
    /// As the cloud's bill names it; empty where the charge has none.
    pub service: String,
    pub lane: Lane,
    /// ISO 4217.
    pub currency: String,
    /// Amortised, after discounts and commitments.
    pub effective: Amount,
    /// As invoiced.
    pub billed: Amount,
}

/// A bill as an API tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillTold {
    /// Sorted, one a day, account, service, lane and currency.
    pub rows: Vec<BillRow>,
    /// What may still change, as the cloud says: days it calls estimated.
    pub estimated: Vec<Date>,
}
