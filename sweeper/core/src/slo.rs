//! How many new orphans an owner may make, and what is left of that: an objective over a window, and its error budget.
//!
//! What counts is what began within the window and still stands: what was removed, or kept for a reason, gives its
//! share of the budget back. Only what is known counts. Something began when the cloud says so, or when it was first
//! found by a rule that had looked at its kind and account before; the first look finds a backlog of which nobody knows
//! the age, and so does a new policy. Of what was made within the window that is known all the same.

use crate::{
    model::{DAY, Timestamp},
    money::Amount,
    report::{Glance, OwnerOf, Report, Saving, Verdict},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BTreeMap};

/// The window, where the house does not say, and what it may say, days.
pub const WINDOW: u32 = 28;
pub const WINDOWS: std::ops::RangeInclusive<u32> = 7..=90;
/// How fast a budget burns is told over these, days, and over the window.
const BURNS: [u32; 3] = [1, 3, 7];
/// Budgets that are told of, the most spent.
const MOST: usize = 1000;

/// `[slo]`: the objective of each owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub window_days: u32,
    /// Of every owner that has none of its own.
    pub all: Limits,
    /// Owners with limits of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<String, Limits>,
}

/// What one owner may make within the window. None is no objective.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// New orphans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
    /// What they may cost, US dollars a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_usd: Option<Amount>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// A number of orphans.
    NewOrphans,
    /// US dollars a month.
    NewWaste,
}

impl Objective {
    pub const ALL: [Self; 2] = [Self::NewOrphans, Self::NewWaste];

    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewOrphans => "new-orphans",
            Self::NewWaste => "new-waste",
        }
    }
}

impl Limits {
    /// What is allowed.
    pub fn of(&self, objective: Objective) -> Option<Amount> {
        match objective {
            Objective::NewOrphans => self.new.map(|new| Amount::whole(i64::try_from(new).unwrap_or(i64::MAX))),
            Objective::NewWaste => self.monthly_usd,
        }
    }
}

impl Terms {
    fn limit(&self, owner: &str, objective: Objective) -> Option<Amount> {
        let own = self.owners.get(owner).and_then(|own| own.of(objective));
        own.or_else(|| self.all.of(objective)).filter(|limit| *limit > Amount::ZERO)
    }
}

/// How fast a budget burned over the last days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burn {
    pub days: u32,
    pub spent: Amount,
    /// 1 spends the budget exactly in the window; rounded down to four decimals.
    pub rate: Amount,
}

/// What one owner has spent of one objective. Counts and US dollars a month alike are decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The owner, `nobody`, or `unknown`.
    pub owner: String,
    pub objective: Objective,
    pub limit: Amount,
    pub spent: Amount,
    /// Below zero: the objective is missed.
    pub remaining: Amount,
    /// From the shortest to the window.
    pub burn: Vec<Burn>,
}

impl Budget {
    /// What is left, as a share of the limit, rounded down to four decimals.
    pub fn share(&self) -> Amount {
        share(self.remaining, self.limit)
    }
}

/// How the owners stand to their objectives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slo {
    pub window_days: u32,
    /// What all owners may make that have no limits of their own.
    pub limits: Limits,
    /// Whether all was seen: what is not seen is in no budget.
    pub complete: bool,
    /// Orphans of which nobody knows when they began, in no budget.
    pub unaged: u64,
    /// Orphans of a baseline, in no budget.
    pub backlog: u64,
    /// Owners that spent something, the most spent first.
    pub budgets: Vec<Budget>,
    /// Budgets that are too many to be told of.
    pub more: u64,
}

/// A share of a whole, rounded down to four decimals.
fn share(part: Amount, of: Amount) -> Amount {
    const PLACES: i128 = 10_000;
    let units = part.pico().saturating_mul(PLACES) / of.pico().max(1);
    Amount::from_pico(units.saturating_mul(1_000_000_000_000 / PLACES))
}

fn owner(owner: &OwnerOf) -> &str {
    match &owner.name {
        Some(name) => name,
        None if owner.from == "unknown" => "unknown",
        None => "nobody",
    }
}

/// What one orphan takes of a budget.
fn weight(objective: Objective, saving: Saving) -> Amount {
    match objective {
        Objective::NewOrphans => Amount::whole(1),
        Objective::NewWaste => saving.amount().unwrap_or_default(),
    }
}

/// What an owner made, and when.
type Made = Vec<(Timestamp, Saving)>;

impl Slo {
    /// Holds a report against the objectives. `is_backlog` says of what is found whether it is of a baseline, and so
    /// nobody's new orphan.
    pub fn of(report: &Report<'_>, terms: &Terms, is_backlog: &dyn Fn(&Glance<'_>) -> bool) -> Self {
        let now = report.parts().now;
        let mut owners: BTreeMap<&str, Made> = BTreeMap::new();
        let (mut unaged, mut backlog) = (0, 0);
        let starts = report.starts();
        for glance in report.glances() {
            if !glance.counted || glance.verdict != Verdict::Found || glance.saving == Saving::Nothing {
                continue;
            }
            // What somebody keeps for a reason is no orphan of theirs.
            if matches!(glance.reason, "excepted" | "protected") {
                continue;
            }
            if is_backlog(&glance) {
                backlog += 1;
                continue;
            }
            let window = now.plus(-i64::from(terms.window_days) * DAY);
            match report.began(&glance, &starts, window) {
                Some(at) if at > window => owners.entry(owner(glance.owner)).or_default().push((at, glance.saving)),
                Some(_) => {}
                None => unaged += 1,
            }
        }
        let mut budgets: Vec<Budget> = owners
            .iter()
            .flat_map(|(owner, made)| Objective::ALL.into_iter().filter_map(|of| budget(terms, owner, of, made, now)))
            .collect();
        budgets.sort_by_cached_key(|budget| {
            (Reverse(share(budget.spent, budget.limit)), budget.owner.clone(), budget.objective)
        });
        let more = budgets.len().saturating_sub(MOST) as u64;
        budgets.truncate(MOST);
        Self {
            window_days: terms.window_days,
            limits: terms.all.clone(),
            complete: report.blind().is_empty(),
            unaged,
            backlog,
            budgets,
            more,
        }
    }
}

/// `None` where nothing is limited, or nothing spent.
fn budget(terms: &Terms, owner: &str, objective: Objective, made: &Made, now: Timestamp) -> Option<Budget> {
    let limit = terms.limit(owner, objective)?;
    let spent_in = |days: u32| -> Amount {
        let from = now.plus(-i64::from(days) * DAY);
        made.iter().filter(|(at, _)| *at > from).map(|(_, saving)| weight(objective, *saving)).sum()
    };
    let spent = spent_in(terms.window_days);
    if spent == Amount::ZERO {
        return None;
    }
    let windows = BURNS.into_iter().filter(|days| *days < terms.window_days).chain([terms.window_days]);
    let burn = windows.map(|days| {
        let spent = spent_in(days);
        let allowed = limit.scaled(i128::from(days), i128::from(terms.window_days));
        Burn { days, spent, rate: share(spent, allowed) }
    });
    Some(Budget { owner: owner.to_owned(), objective, limit, spent, remaining: limit - spent, burn: burn.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, ago};

    fn terms(new: u64, usd: i64) -> Terms {
        let all = Limits { new: Some(new), monthly_usd: Some(Amount::whole(usd)) };
        Terms { window_days: 28, all, owners: BTreeMap::new() }
    }

    fn text(amount: Amount) -> String {
        amount.to_string()
    }

    #[test]
    fn a_budget_is_spent_and_burns() {
        let firm = Saving::Firm(Amount::whole(10));
        let made = vec![(NOW.plus(-3600), firm), (ago(2), firm), (ago(20), Saving::Unpriced)];
        let own = budget(&terms(4, 100), "alice", Objective::NewOrphans, &made, NOW).unwrap();
        assert_eq!((text(own.spent), text(own.remaining), text(own.share())), ("3".into(), "1".into(), "0.25".into()));
        let rates: Vec<(u32, String)> = own.burn.iter().map(|burn| (burn.days, text(burn.rate))).collect();
        // One of four in a day of 28: seven times too fast.
        let expected = [(1, "7"), (3, "4.6666"), (7, "2"), (28, "0.75")];
        assert_eq!(rates, expected.map(|(days, rate)| (days, rate.to_owned())));
        let own = budget(&terms(4, 15), "alice", Objective::NewWaste, &made, NOW).unwrap();
        assert_eq!((text(own.spent), text(own.remaining)), ("20".into(), "-5".into()));
        assert_eq!(text(own.share()), "-0.3333");
        assert!(budget(&terms(4, 15), "alice", Objective::NewWaste, &vec![(NOW, Saving::Unpriced)], NOW).is_none());
    }

    #[test]
    fn owners_may_have_limits_of_their_own() {
        let mut terms = terms(4, 100);
        terms.owners.insert("bob".to_owned(), Limits { new: Some(8), monthly_usd: None });
        assert_eq!(terms.limit("bob", Objective::NewOrphans), Some(Amount::whole(8)));
        assert_eq!(terms.limit("bob", Objective::NewWaste), Some(Amount::whole(100)));
        assert_eq!(terms.limit("alice", Objective::NewOrphans), Some(Amount::whole(4)));
    }
}
