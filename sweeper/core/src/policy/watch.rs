//! What a house watches beside its resources: the bill, budgets, how much there is. Such a policy has nothing to act
//! on; it tells.
//!
//! It is written as any other policy, and `sweep` names what is watched. It is judged over bills, surveys and their
//! history, outside of this crate; what came of it is [`Told`].

use super::{Account, Place};
use crate::{
    detect::Severity,
    model::{Class, CloudId},
    money::Amount,
};
use serde::{Deserialize, Serialize};

words! {
    /// What is watched.
    Watched {
        /// A rise of the bill that nothing explains.
        BillDelta "bill-delta",
        /// What a month may cost, told before it is spent.
        Budget "budget",
        /// A function that runs, or costs, many times what it did.
        RunawayFunction "runaway-function",
        /// More and more resources, day by day.
        Growth "growth",
        /// What is not production and runs through nights and weekends.
        AlwaysOn "always-on",
        /// Commitments that are paid for and cover nothing.
        CommitmentUnused "commitment-unused",
        /// What is charged for versions beyond their standard support.
        ExtendedSupport "extended-support",
        /// More than somebody may have at once.
        OverQuota "over-quota",
    }
}

words! {
    /// What a watched figure is broken down by.
    Breakdown {
        Service "service",
        Account "account",
        Region "region",
        Owner "owner",
        Class "class",
    }
}

words! {
    /// What came of watching.
    Outcome {
        Quiet "quiet",
        /// Too little history.
        Learning "learning",
        Alert "alert",
        /// What it needs could not be read, or is too old: never quiet, and never zero.
        Unknown "unknown",
    }
}

impl Watched {
    /// Whether it cannot be told without a bill.
    pub const fn needs_bill(self) -> bool {
        !matches!(self, Self::Growth | Self::OverQuota)
    }

    /// What it can be broken down by, the default first; empty where it is what it is.
    pub const fn breakdowns(self) -> &'static [Breakdown] {
        match self {
            Self::BillDelta => &[Breakdown::Service, Breakdown::Account, Breakdown::Region, Breakdown::Owner],
            Self::Growth => &[Breakdown::Class, Breakdown::Account, Breakdown::Owner],
            Self::OverQuota => &[Breakdown::Owner, Breakdown::Account, Breakdown::Region, Breakdown::Class],
            _ => &[],
        }
    }

    /// Classes that must be listed, so that their resources are known in the bill.
    pub const fn classes(self) -> &'static [Class] {
        match self {
            Self::RunawayFunction => &[Class::Function],
            Self::AlwaysOn => &[Class::Vm, Class::Database],
            _ => &[],
        }
    }

    /// Its own keys, beside those that every watch has.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::BillDelta => &["by", "floor"],
            Self::Budget => &["monthly", "clouds", "accounts", "owners"],
            Self::RunawayFunction => &["floor", "clouds", "accounts"],
            Self::Growth => &["by", "share", "clouds", "accounts"],
            Self::AlwaysOn => &["floor", "clouds", "accounts"],
            Self::CommitmentUnused | Self::ExtendedSupport => &["floor"],
            Self::OverQuota => &["by", "count", "monthly_usd", "classes", "clouds", "accounts", "owners"],
        }
    }

    /// The default of `floor`, in the bill's currency: a day for what moves, a month for what stands.
    pub const fn floor(self) -> Amount {
        match self {
            Self::BillDelta => Amount::whole(25),
            Self::RunawayFunction => Amount::whole(5),
            _ => Amount::whole(1),
        }
    }
}

/// A policy that watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub name: String,
    pub what: Watched,
    /// Empty: every cloud, account, owner.
    pub clouds: Vec<CloudId>,
    pub accounts: Vec<Account>,
    pub owners: Vec<String>,
    pub by: Option<Breakdown>,
    /// Below it nothing is told: an amount a day for `bill-delta` and `runaway-function`, a month for the others.
    pub floor: Amount,
    /// What a month may cost.
    pub monthly: Option<Amount>,
    /// How many there may be, and what they may cost a month, of a quota.
    pub count: Option<u64>,
    pub monthly_usd: Option<Amount>,
    /// What a quota counts; empty: everything.
    pub classes: Vec<Class>,
    /// Hundredths of a percent: from which growth a day on it is told.
    pub share: Option<u32>,
    pub severity: Severity,
    pub tell: Vec<String>,
    /// Of its name.
    pub at: Place,
}

impl Watch {
    /// Whether it speaks of an account.
    pub fn covers(&self, cloud: Option<CloudId>, account: &str) -> bool {
        (self.clouds.is_empty() || cloud.is_some_and(|cloud| self.clouds.contains(&cloud)))
            && (self.accounts.is_empty()
                || self.accounts.iter().any(|own| {
                    own.id.eq_ignore_ascii_case(account)
                        && (cloud.is_none() || own.cloud.is_none() || own.cloud == cloud)
                }))
    }
}

/// What came of one watch, of one thing that it watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub policy: String,
    pub watch: Watched,
    pub severity: Severity,
    pub outcome: Outcome,
    /// A service, owner, function, commitment, class; empty for all of the bill.
    pub subject: String,
    /// One sentence: what is seen, against what.
    pub says: String,
    /// What is at stake: a month for what stands, over the window for what moved. Null where no money is told of.
    pub amount: Option<Amount>,
    /// Of the amount; empty without one.
    pub currency: String,
}
