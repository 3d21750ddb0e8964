//! Intents and their ends.

use super::{Header, Kind, OpenIntent};
use crate::{audit::event::Millis, model::DAY};
use std::collections::BTreeMap;

/// How long a plan is remembered of which nothing is open: much longer than a plan is valid.
const REMEMBERED: i64 = 60 * DAY * 1000;
/// At least so many plans are remembered.
const AT_LEAST: usize = 1000;

/// How many actions are told apart: many more than there are verbs.
const ACTIONS: usize = 256;

/// What is known of one action on one item of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Intended at this number, without an end.
    Open(u64),
    /// Intended at this number, and nobody knows how it ended.
    Unknown(u64),
    /// Done: never to be intended again.
    Done,
    /// Ended without being done, so that it may be tried again.
    Ended,
}

#[derive(Default)]
struct Plan {
    /// By item and action.
    items: BTreeMap<(Option<u32>, u32), State>,
    open: usize,
    last: i64,
}

#[derive(Default)]
pub(super) struct Pairs {
    /// By digest; empty for what belongs to no plan.
    plans: BTreeMap<String, Plan>,
    actions: Vec<String>,
    /// The number of plans at which those of long ago are forgotten.
    full: usize,
}

impl Pairs {
    /// Takes an event, and says what is wrong with it.
    pub(super) fn event(&mut self, header: &Header<'_>, at: Option<Millis>) -> Option<(Kind, String)> {
        if !matches!(header.kind, "intent" | "sent" | "outcome" | "recovered") {
            return None;
        }
        if header.kind == "recovered" && header.item.is_none() {
            return None;
        }
        let action = header.action.unwrap_or_default();
        let key = (header.item, self.action(action));
        let at = at.map_or(0, |at| at.0);
        let plan = self.plan(header.plan.unwrap_or_default(), at);
        let state = plan.items.get(&key).copied();
        let was_open = matches!(state, Some(State::Open(_) | State::Unknown(_)));
        let seq = header.seq;
        let name = || match header.item {
            Some(item) => format!("{action} of item {item}"),
            None => action.to_owned(),
        };
        let (next, trouble) = match (header.kind, state) {
            ("intent", Some(State::Open(first) | State::Unknown(first))) => {
                let what = format!("event {seq} intends the {} that event {first} intended, without an end", name());
                (State::Open(first), Some((Kind::DuplicateIntent, what)))
            }
            ("intent", Some(State::Done)) => {
                let what = format!("event {seq} intends the {}, which was done", name());
                (State::Done, Some((Kind::DuplicateIntent, what)))
            }
            ("intent", _) => (State::Open(seq), None),
            // A later run found it begun, and says next how it ended, whether or not the one before still could.
            ("recovered", _) => (State::Open(seq), None),
            ("sent", Some(state @ (State::Open(_) | State::Unknown(_)))) => (state, None),
            ("outcome", Some(State::Open(first) | State::Unknown(first))) => match header.result {
                Some("confirmed" | "already-gone") => (State::Done, None),
                Some("failed" | "skipped") => (State::Ended, None),
                _ => (State::Unknown(first), None),
            },
            (kind, state) => {
                let what = format!("event {seq} is the {kind} of the {}, which nobody intended", name());
                (state.unwrap_or(State::Ended), Some((Kind::OutcomeWithoutIntent, what)))
            }
        };
        let is_open = matches!(next, State::Open(_) | State::Unknown(_));
        plan.items.insert(key, next);
        plan.open = plan.open + usize::from(is_open) - usize::from(was_open);
        trouble
    }

    fn action(&mut self, name: &str) -> u32 {
        let known = self.actions.iter().position(|known| known == name);
        if known.is_none() && self.actions.len() < ACTIONS {
            self.actions.push(name.to_owned());
        }
        known.unwrap_or(self.actions.len() - 1) as u32
    }

    fn plan(&mut self, digest: &str, at: i64) -> &mut Plan {
        if !self.plans.contains_key(digest) {
            if self.plans.len() >= self.full.max(AT_LEAST) {
                self.plans.retain(|_, plan| plan.open > 0 || plan.last > at.saturating_sub(REMEMBERED));
                self.full = self.plans.len() * 2;
            }
            self.plans.insert(digest.to_owned(), Plan::default());
        }
        let plan = self.plans.entry(digest.to_owned()).or_default();
        plan.last = plan.last.max(at);
        plan
    }

    /// What has no end, by number, at most so many; and how many more there are.
    pub(super) fn open(self, most: usize) -> (Vec<OpenIntent>, u64) {
        let mut open = Vec::new();
        for (digest, plan) in self.plans {
            for ((item, action), state) in plan.items {
                let (State::Open(seq) | State::Unknown(seq)) = state else { continue };
                let plan = Some(digest.clone()).filter(|digest| !digest.is_empty());
                open.push(OpenIntent { seq, plan, item, action: self.actions[action as usize].clone() });
            }
        }
        open.sort_by_key(|intent| intent.seq);
        let more = open.len().saturating_sub(most) as u64;
        open.truncate(most);
        (open, more)
    }
}
