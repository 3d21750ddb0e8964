//! Who agreed to what: signed notes over a plan's name, or over a policy once for many plans.
//!
//! An approval is a text of fixed lines in a signed note ([`crate::note`]), or the same text with an SSH signature.
//! Who may sign stands in the deployer's trust roots, never in the policies: whoever may change a policy cannot
//! thereby approve what comes of it. [`Plan::approve`] is the only way to an [`Approved`], and only of that anything
//! is ever applied.

pub mod ssh;
mod text;
mod trust;

pub use text::{Items, OneTime, Standing, Text, TextError};
pub use trust::{Key, KeyKind, Person, Role, Trust};

use crate::{
    caps::Caps,
    model::{DAY, Timestamp},
    money::Amount,
    plan::{Action, Plan, Risk},
    policy::{Approve, Consent, glob},
};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A standing approval ends at the latest so long after it began, seconds.
pub const LONGEST_STANDING: i64 = 90 * DAY;
/// A change of the trust roots holds everything for so long, seconds.
pub const COOLING: i64 = DAY;

/// A note whose signatures hold, with the keys that made them.
#[derive(Clone, Debug)]
pub struct Signed {
    pub text: Text,
    /// The people whose keys signed it, each once.
    pub by: BTreeSet<String>,
    /// SHA-256 of the note's text, hexadecimal: what it is called in the log.
    pub digest: String,
}

/// Why an approval is worth nothing. Each reads after "the approval …:".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("no key of the trust roots signed it")]
    Unsigned,
    #[error("the signature of {0} does not hold: the text was changed, or is not what was signed")]
    Forged(String),
    #[error("the key of {0} was revoked")]
    Revoked(String),
    #[error("the key of {who} is good from {from} until {until}, and it is {now}")]
    OutOfPeriod { who: String, from: Timestamp, until: Timestamp, now: Timestamp },
    #[error("it is of plan {0}, and this is another")]
    OtherPlan(String),
    #[error("it is of deployment {0}, and this is another")]
    OtherDeployment(String),
    #[error("it says that {said} approves, and {signed} signed it")]
    OtherName { said: String, signed: String },
    #[error("it begins {0}")]
    Early(Timestamp),
    #[error("it ended {0}")]
    Ended(Timestamp),
    #[error("it would hold for longer than {} days", LONGEST_STANDING / DAY)]
    TooLong,
    #[error("{0} may not sign standing approvals: the trust roots give no role for it")]
    NotAdmin(String),
    #[error("its nonce was used for {0}")]
    Used(String),
    #[error("action {0} is not in the plan")]
    NoSuchItem(u32),
}

/// An approval that was handed in, with why it was or was not taken.
#[derive(Clone, Debug)]
pub struct Considered {
    /// As the caller names it: a file.
    pub name: String,
    pub outcome: Result<Signed, Refusal>,
}

/// Caps that approvals set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The texts' digests.
    pub by: BTreeSet<String>,
    /// The people.
    pub people: BTreeSet<String>,
}

/// A plan with the actions that somebody who may has agreed to. Made by [`Plan::approve`] only.
#[derive(Debug)]
pub struct Approved {
    plan: Plan,
    granted: BTreeMap<u32, Granted>,
    notes: BTreeMap<String, Signed>,
    missing: BTreeMap<u32, String>,
}

impl Approved {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Actions that are approved, in the plan's order.
    pub fn actions(&self) -> impl Iterator<Item = (&Action, &Granted)> {
        self.plan.actions.iter().filter_map(|action| Some((action, self.granted.get(&action.no)?)))
    }

    /// Why the others are not.
    pub fn missing(&self) -> &BTreeMap<u32, String> {
        &self.missing
    }

    /// The notes it rests on, by digest.
    pub fn notes(&self) -> &BTreeMap<String, Signed> {
        &self.notes
    }

    /// What the notes of an action allow in one run and in seven days: each note's own caps, and all of them hold.
    pub fn caps(&self, granted: &Granted) -> Vec<(String, Caps, Caps)> {
        granted
            .by
            .iter()
            .filter_map(|digest| {
                let (run, week) = match &self.notes.get(digest)?.text {
                    Text::OneTime(text) => (text.caps(), text.caps()),
                    Text::Standing(text) => (text.run(), text.week()),
                };
                Some((digest.clone(), run, week))
            })
            .collect()
    }
}

/// What approvals are held against.
#[derive(Clone, Copy, Debug)]
pub struct Against<'a> {
    pub trust: &'a Trust,
    pub now: Timestamp,
}

impl Plan {
    /// Considers notes that were read, and says which actions they approve together. Nothing here consumes a note.
    pub fn approve(self, notes: Vec<Signed>, against: Against<'_>) -> Approved {
        let mut granted = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for action in &self.actions {
            match agreed(&self, action, &notes, against.trust) {
                Ok(one) => drop(granted.insert(action.no, one)),
                Err(why) => drop(missing.insert(action.no, why)),
            }
        }
        let notes = notes.into_iter().map(|note| (note.digest.clone(), note)).collect();
        Approved { plan: self, granted, notes, missing }
    }
}

/// Whether one note speaks of an action at all.
fn covers(note: &Signed, plan: &Plan, action: &Action, trust: &Trust) -> bool {
    match &note.text {
        Text::OneTime(text) => text.plan == plan.id && text.items.has(action.no),
        Text::Standing(text) => {
            let scope = format!("{}:{}", action.target.cloud.name(), action.target.account);
            let within = |usd: Option<Amount>| usd.is_some_and(|usd| usd <= text.usd_item);
            text.policy == action.policy
                && plan.policies.get(&action.policy) == Some(&text.rule)
                && text.deed == action.deed_kind().name()
                && text.scopes.iter().any(|pattern| glob(pattern, &scope))
                && action.risk.is_r()
                && action.assuming.is_empty()
                && action.needs.approve == Approve::Standing
                && within(action.usd())
                && note.by.iter().any(|person| trust.has(person, Role::Admin))
        }
    }
}

/// Whether the notes together are enough for an action, or what is missing.
fn agreed(plan: &Plan, action: &Action, notes: &[Signed], trust: &Trust) -> Result<Granted, String> {
    let mut granted = Granted::default();
    for note in notes.iter().filter(|note| covers(note, plan, action, trust)) {
        granted.by.insert(note.digest.clone());
        granted.people.extend(note.by.iter().cloned());
    }
    if trust.protects(&action.target.id()) {
        return Err("the deployer's trust roots protect it".to_owned());
    }
    let standing = notes.iter().any(|note| granted.by.contains(&note.digest) && matches!(note.text, Text::Standing(_)));
    // Who asked does not approve alone; where one person is all there is, only what can be had back.
    let solo = trust.solo && action.risk.is_r() && action.assuming.is_empty();
    let mut people: BTreeSet<&str> = BTreeSet::new();
    for note in notes.iter().filter(|note| granted.by.contains(&note.digest)) {
        if let Text::OneTime(_) = note.text {
            people.extend(note.by.iter().map(String::as_str).filter(|person| solo || *person != plan.requester));
        }
    }
    let admins = people.iter().filter(|person| trust.has(person, Role::Admin)).count();
    let is_owner = |person: &&&str| {
        trust.has(person, Role::Owner) && action.owner.as_deref().is_some_and(|owner| trust.is_same(owner, person))
    };
    let owner = people.iter().any(|person| is_owner(&person));
    let enough = match action.needs.approve {
        Approve::Standing => standing || owner || admins > 0,
        Approve::Owner => owner || admins > 0,
        Approve::Admin => admins > 0,
        // Two people, of whom one may be the owner; what one person can do alone is none.
        Approve::TwoPeople => people.len() > 1 && admins > 0 && admins + usize::from(owner) > 1 || (solo && admins > 0),
    };
    if !enough {
        let who = match action.needs.approve {
            Approve::Standing => "a standing approval of its policy, or an approval of its owner or an admin",
            Approve::Owner => "an approval of its owner or an admin",
            Approve::Admin => "an approval of an admin",
            Approve::TwoPeople => "approvals of two people, one of them an admin",
        };
        let own = notes.iter().any(|note| note.by.contains(&plan.requester));
        let hint = if own && !solo { "; who asked for the plan does not count" } else { "" };
        return Err(format!("it needs {who}{hint}"));
    }
    // Consent by silence was given before it came into the plan: told, and no veto within the grace.
    if action.needs.consent == Consent::Explicit && !owner && !standing {
        let ownerless = !action.owner_from.starts_with("tag ");
        let needed = if action.risk == Risk::OneWay && !ownerless { 2 } else { 1 };
        if admins < needed {
            return Err("it needs the word of its owner, or of two admins in the owner's place".to_owned());
        }
    }
    Ok(granted)
}
