//! What must hold of every history, whatever happened in it.

use crate::cloud::{Done, Thing};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use sweeper_core::{
    deed::DeedKind,
    plan::{Action, Plan},
};

/// A change that somebody makes so short before the call is in the window that no cloud lets anybody close: after the
/// last reading. A call is on its way for at most so long after the reading.
const WINDOW: Duration = Duration::from_mins(2);

/// What somebody approved: plan, numbers, and at most so many.
#[derive(Clone, Debug)]
pub struct Leave {
    pub plan: Plan,
    pub numbers: BTreeSet<u32>,
    pub count: u32,
    /// Token of each action's deed, and of its copy's.
    pub tokens: BTreeMap<String, u32>,
}

/// Everything wrong with what the sweeper did.
pub fn violations(done: &[Done], leaves: &[Leave], intents: &BTreeSet<(String, String)>, start: i64) -> Vec<String> {
    let mut wrong = Vec::new();
    // By plan: what its owner starts again may be stopped again by a later one.
    let mut times: BTreeMap<(&str, u64, DeedKind), u32> = BTreeMap::new();
    let mut by_plan: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for one in done {
        let about = || format!("{} of {} {} at {:?}", one.deed.name(), one.kind, one.uid, one.at);
        let leave = leaves.iter().find_map(|leave| {
            let no = leave.tokens.get(&one.token)?;
            let action = leave.plan.actions.iter().find(|action| action.no == *no)?;
            Some((leave, action))
        });
        let Some((leave, action)) = leave else {
            wrong.push(format!("{}: no plan has it", about()));
            continue;
        };
        by_plan.entry(&leave.plan.id).or_default().insert(one.uid);
        if !leave.numbers.contains(&action.no) {
            wrong.push(format!("{}: nobody approved it", about()));
        }
        if action.deed_kind() != one.deed {
            wrong.push(format!("{}: a {} was approved", about(), action.deed_kind().name()));
        }
        if !intents.contains(&(leave.plan.id.clone(), action.target.uid.clone())) {
            wrong.push(format!("{}: no intent is in the log", about()));
        }
        match one.read {
            None => wrong.push(format!("{}: it was never read again", about())),
            Some(read) if one.at.saturating_sub(read) > WINDOW => {
                wrong.push(format!("{}: it was read {:?} before", about(), one.at.saturating_sub(read)));
            }
            Some(read) => {
                // Changed before that reading, and not as it was planned: it must have been seen.
                if one.was.changed < read
                    && let Some(what) = differs(action, &one.was)
                {
                    wrong.push(format!("{}: {what}, changed at {:?} and read at {read:?}", about(), one.was.changed));
                }
                if one.was.changed < read && one.was.is_protected() {
                    wrong.push(format!("{}: it was protected", about()));
                }
            }
        }
        if one.at.as_secs() as i64 + start >= leave.plan.expires.0 + 3600 {
            wrong.push(format!("{}: its plan had ended", about()));
        }
        let times = times.entry((leave.plan.id.as_str(), one.uid, one.deed)).or_default();
        *times += 1;
        if *times > sweeper_core::claims::SENDS {
            wrong.push(format!("{}: for the {times}th time", about()));
        }
    }
    for (plan, uids) in by_plan {
        if let Some(leave) = leaves.iter().find(|leave| leave.plan.id == plan)
            && uids.len() as u32 > leave.count
        {
            wrong.push(format!("{} things under an approval of {}", uids.len(), leave.count));
        }
    }
    wrong
}

/// What of a thing is not as its action saw it.
fn differs(action: &Action, now: &Thing) -> Option<String> {
    let is = |key: &str, value: &str| action.expects.get(key).map_or("", String::as_str) == value;
    if !is("uid", &now.uid.to_string()) {
        return Some("it is another".to_owned());
    }
    let tags: BTreeMap<&str, &str> =
        action.expects.iter().filter_map(|(key, value)| Some((key.strip_prefix("tag:")?, value.as_str()))).collect();
    let own: BTreeMap<&str, &str> = now.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if tags != own {
        return Some("its tags are others".to_owned());
    }
    if !is("protected", if now.locked { "deletion protection" } else { "" }) {
        return Some("its protection is another".to_owned());
    }
    if !is("managed_by", if now.managed { "stack web" } else { "" }) {
        return Some("somebody manages it".to_owned());
    }
    let used = match action.deed_kind() {
        DeedKind::Stop => !now.used,
        _ => now.used,
    };
    used.then(|| "its use is another".to_owned())
}
