//! What is to be done, exactly, before anybody approves it.
//!
//! A plan is closed: applying it does what it lists and nothing else, and can only do less. It is total: every row
//! becomes an action or is held with its reason. It is named by the SHA-256 of its bytes, and there is one way to write
//! it, so that who approves a name approves every byte. Each action carries what was seen of its resource, and is
//! skipped when that has changed.

mod draw;
mod lint;
#[cfg(test)]
mod tests;
mod written;

pub(crate) use draw::target;
pub use draw::{Order, Rules, draw};
pub use lint::{Note, check};
pub(crate) use written::sha256;
pub use written::{PlanError, read, write};

use crate::{
    deed::{Deed, DeedKind, Reversal, Target},
    model::Timestamp,
    money::Amount,
    observe::Fields,
    policy::{Approve, Consent, Keep},
    report::{EvidenceOf, MonthlyCost},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format written.
pub const FORMAT: &str = "sweeper.plan/1";

/// A plan. `id` is the digest of everything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format: String,
    /// SHA-256, hexadecimal, of the plan's bytes with this field empty.
    pub id: String,
    /// The deployment whose state decided it: a plan is of no use elsewhere.
    pub deployment: String,
    /// `sweeper 0.1.0`.
    pub tool: String,
    /// Digest of the survey it rests on.
    pub survey: String,
    pub taken_at: Timestamp,
    pub made: Timestamp,
    /// After this it is refused.
    pub expires: Timestamp,
    /// Who asked for it, and so may not approve it alone.
    pub requester: String,
    /// The policies that produced its actions, each with its digest.
    pub policies: BTreeMap<String, String>,
    pub completeness: Completeness,
    pub totals: Totals,
    pub actions: Vec<Action>,
    pub held: Vec<Held>,
}

/// What was seen when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completeness {
    pub complete: u64,
    pub none: u64,
    pub waived: u64,
    pub blind: u64,
    /// Why, with how many listings and unanswered questions.
    pub causes: BTreeMap<String, u64>,
}

/// Sums of the actions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    pub actions: u64,
    pub held: u64,
    /// Gone from the bill a month, US dollars.
    pub firm: Amount,
    /// No more than this besides, US dollars a month.
    pub up_to: Amount,
    pub unpriced: u64,
    /// What the kept copies cost while they are kept, US dollars a month: as long, so much less is saved.
    pub kept: Amount,
}

/// What an action risks, for who may approve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Can be taken back: undone, or made again from the copy that is kept.
    Reversible,
    /// Nothing is lost: free, and made again by whoever wants it.
    Recreatable,
    /// Can be taken out of the cloud's bin, if that is switched on.
    Bin,
    OneWay,
}

impl Risk {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reversible => "reversible",
            Self::Recreatable => "recreatable",
            Self::Bin => "bin",
            Self::OneWay => "one-way",
        }
    }

    /// Class R of the standing approvals: nothing that cannot be had back.
    pub const fn is_r(self) -> bool {
        matches!(self, Self::Reversible | Self::Recreatable)
    }

    /// Of a deed that keeps a copy, or does not.
    pub const fn of(reversal: Reversal, keeps: bool) -> Self {
        match reversal {
            Reversal::Undo(_) => Self::Reversible,
            Reversal::FromCopy(_) if keeps => Self::Reversible,
            Reversal::Again(_) => Self::Recreatable,
            Reversal::FromBin(_) => Self::Bin,
            Reversal::FromCopy(_) | Reversal::OneWay(_) => Self::OneWay,
        }
    }
}

/// One deed, to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// From 1, in the order in which it is done.
    pub no: u32,
    /// SHA-256, hexadecimal, of the action's own bytes with this field empty.
    pub digest: String,
    pub policy: String,
    pub detector: String,
    pub target: Target,
    /// What of the resource must still be so.
    pub expects: Fields,
    pub deed: Deed,
    /// The copy that is made first, and when it goes again.
    pub keep: Option<Copy>,
    pub risk: Risk,
    /// How it is taken back, or that it is not.
    pub reversal: String,
    /// What goes with it.
    pub cascade: Vec<Cascade>,
    /// Numbers of actions that come first: those of whatever uses it.
    pub after: Vec<u32>,
    pub owner: Option<String>,
    pub owner_from: String,
    pub needs: Needs,
    pub monthly_cost: MonthlyCost,
    /// Why: the decision's reason, and what was seen.
    pub reason: String,
    pub because: Vec<EvidenceOf>,
    /// Waived scopes it rests on.
    pub assuming: Vec<String>,
}

impl Action {
    pub fn deed_kind(&self) -> DeedKind {
        self.deed.kind()
    }

    /// What it takes off the bill: the cost where that is known in US dollars.
    pub fn usd(&self) -> Option<Amount> {
        self.monthly_cost.amount.filter(|_| self.monthly_cost.currency == "USD")
    }
}

/// Whose word it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    pub approve: Approve,
    pub consent: Consent,
}

/// A copy that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    pub keep: Keep,
    /// When it is removed again, under this plan.
    pub until: Timestamp,
    /// What it costs meanwhile, at most.
    pub monthly_cost: MonthlyCost,
}

/// Something else that goes when the action is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    /// `<kind>:<account>/<region>/<native id>`.
    pub resource: String,
    pub why: String,
    pub monthly_cost: MonthlyCost,
}

/// A row that becomes no action, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub policy: String,
    pub resource: String,
    pub reason: String,
}

/// What is in one plan and not in another, by policy and resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<(String, String)>,
    pub removed: Vec<(String, String)>,
    /// In both, with what differs.
    pub changed: Vec<(String, String, String)>,
}

/// How `new` differs from `old` in its actions.
pub fn difference(old: &Plan, new: &Plan) -> Difference {
    fn keyed(plan: &Plan) -> BTreeMap<(String, String), &Action> {
        plan.actions.iter().map(|action| ((action.policy.clone(), action.target.id()), action)).collect()
    }
    let (before, now) = (keyed(old), keyed(new));
    let mut difference = Difference::default();
    for (key, action) in &now {
        match before.get(key) {
            None => difference.added.push(key.clone()),
            Some(was) => {
                let mut what = Vec::new();
                if was.deed != action.deed {
                    what.push(format!("{} was {}", action.deed_kind().name(), was.deed_kind().name()));
                }
                if let Some(change) = crate::observe::changed(&was.expects, &action.expects) {
                    what.push(change.to_string());
                }
                if was.needs != action.needs {
                    what.push("it needs another approval".to_owned());
                }
                if !what.is_empty() {
                    difference.changed.push((key.0.clone(), key.1.clone(), what.join("; ")));
                }
            }
        }
    }
    difference.removed.extend(before.into_keys().filter(|key| !now.contains_key(key)));
    difference
}
