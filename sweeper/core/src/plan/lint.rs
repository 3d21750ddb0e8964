//! The plan's own linter: a bad plan is refused before anybody sees it.

use super::{Plan, Risk};
use crate::{
    deed::DeedKind,
    model::{DAY, Timestamp},
    policy::{Approve, Consent},
};
use std::collections::{BTreeMap, BTreeSet};

/// The longest that a plan may be good for, seconds; for one with one-way actions [`FRESH`].
pub(super) const MAX_AGE: i64 = 7 * DAY;
/// The longest that a plan with one-way actions may be good for, seconds.
pub(super) const FRESH: i64 = 3 * DAY;

/// Something wrong with a plan. Every note refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The action it is about; 0 for the plan.
    pub no: u32,
    pub what: String,
    pub help: &'static str,
}

/// Everything that makes a plan unfit to be approved or applied. `rate` is deletions a minute and account.
pub fn check(plan: &Plan, now: Timestamp, rate: u32) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |no: u32, what: String, help: &'static str| notes.push(Note { no, what, help });
    let one_way = plan.actions.iter().any(|action| !action.risk.is_r());
    let longest = if one_way { FRESH } else { MAX_AGE };
    if plan.expires.since(plan.taken_at) > longest {
        note(0, format!("it is good for longer than {} days", longest / DAY), "plan again");
    }
    if now >= plan.expires {
        note(0, format!("it ended {}", plan.expires), "plan again");
    }
    if plan.made < plan.taken_at || now < plan.made.plus(-60) {
        note(
            0,
            format!("it was made {}, which is later than now or earlier than its survey", plan.made),
            "set the clock",
        );
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut accounts: BTreeMap<&str, u64> = BTreeMap::new();
    for (at, action) in plan.actions.iter().enumerate() {
        let no = action.no;
        if no as usize != at + 1 {
            note(no, "it is out of its order".to_owned(), "plan again");
        }
        if !seen.insert(action.target.id()) {
            note(no, format!("{} has two actions", action.target.id()), "plan again");
        }
        if action.after.iter().any(|before| *before >= no) {
            note(no, "it would come before what must come first".to_owned(), "plan again");
        }
        if action.target.uid.is_empty() || action.expects.get("uid") != Some(&action.target.uid) {
            note(no, "its resource has no identity to be held against".to_owned(), "plan again");
        }
        if !plan.policies.contains_key(&action.policy) {
            note(no, format!("no policy `{}` is in the plan", action.policy), "plan again");
        }
        if action.deed_kind().takes_away() && action.usd().is_none() {
            note(
                no,
                "it has no price in USD, and limits of money hold".to_owned(),
                "leave it out: give it a price, or an exception",
            );
        }
        if matches!(action.deed_kind(), DeedKind::Copy | DeedKind::Restore | DeedKind::Start | DeedKind::Untag) {
            note(no, "no policy asks for this deed".to_owned(), "plan again");
        }
        if action.needs.approve == Approve::Standing && (!action.risk.is_r() || !action.assuming.is_empty()) {
            note(no, "it may not stand on a standing approval".to_owned(), "plan again");
        }
        if action.needs.consent == Consent::Objection
            && matches!(action.risk, Risk::OneWay | Risk::Bin)
            && action.needs.approve == Approve::Standing
        {
            note(no, "silence does not agree to what cannot be taken back".to_owned(), "plan again");
        }
        *accounts.entry(action.target.account.as_str()).or_default() += 1;
    }
    let minutes = accounts.values().max().copied().unwrap_or(0) / u64::from(rate.max(1));
    let left = plan.expires.since(now).max(0) as u64 / 60;
    if minutes > left {
        note(
            0,
            format!("at {rate} a minute and account it takes {minutes} minutes, and is good for {left}"),
            "plan less at once: `limit` in the policies, or --policy",
        );
    }
    notes
}
