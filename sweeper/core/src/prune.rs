//! What the state forgets: claims at their end, used approvals, triggers and meters, 90 days after they last
//! mattered. A claim that is open is never forgotten, and neither is the lease.

use crate::{
    caps::{self, Rolling},
    claims::{self, Pointer, Written},
    model::{DAY, Timestamp},
    store::{
        DeleteOutcome, Store, StoreError,
        document::{self, Document, Next},
    },
    used::{self, Trigger, Use},
};
use serde::{Deserialize, Serialize};

/// How long things are kept, seconds.
pub const KEPT: i64 = 90 * DAY;

/// How often the state is looked through, seconds.
const EVERY: i64 = DAY;

/// How many keys are looked at each time: what a run may spend on it where each is a request.
const AT_ONCE: usize = 300;

const KEY: &str = "prune";

/// What is looked through, in this order: pointers before the items they name, so that none names an item
/// that is gone.
const PREFIXES: [&str; 5] = [claims::RESOURCES, claims::ITEMS, used::APPROVALS, used::TRIGGERS, caps::METERS];

fn order(key: &str) -> (Option<usize>, &str) {
    (PREFIXES.iter().position(|prefix| key.starts_with(prefix)), key)
}

/// How far it came last time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    at: Option<Timestamp>,
    /// The last key that was looked at.
    after: String,
}

impl Document for Progress {
    const FORMAT: &'static str = "sweeper.prune";
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub looked_at: usize,
    pub forgotten: usize,
}

/// Looks through a part of the state, once a day, and forgets what is old; the next time it goes on from
/// there. Every run that holds the lease calls it, before its first action. Nothing depends on its having
/// been called; an error is the store's, and as grave as any.
pub fn prune(store: &dyn Store, now: Timestamp) -> Result<Pruned, StoreError> {
    let current = document::read::<Progress>(store, KEY)?.map(|(progress, _)| progress).unwrap_or_default();
    let not_yet = |progress: &Progress| progress.at.is_some_and(|at| (0..EVERY).contains(&now.since(at)));
    if not_yet(&current) {
        return Ok(Pruned::default());
    }
    let mut keys = Vec::new();
    for prefix in PREFIXES {
        keys.extend(store.list(prefix)?);
    }
    let after = order(&current.after);
    let start = keys.partition_point(|key| order(key) <= after);
    let start = if start == keys.len() { 0 } else { start };
    let part = &keys[start..keys.len().min(start + AT_ONCE)];
    let mut pruned = Pruned { looked_at: part.len(), forgotten: 0 };
    for key in part {
        pruned.forgotten += usize::from(forget(store, key, now)?);
    }
    let after = part.last().cloned().unwrap_or_default();
    document::update(store, KEY, |_: Option<Progress>| {
        Ok(Next::Write(Progress { at: Some(now), after: after.clone() }, ()))
    })?;
    Ok(pruned)
}

/// Deletes what is under a key if it is old, at its end, and as it was read.
fn forget(store: &dyn Store, key: &str, now: Timestamp) -> Result<bool, StoreError> {
    let is_old = |at: Timestamp| now.since(at) > KEPT;
    let version = match order(key).0.map(|at| PREFIXES[at]) {
        Some(claims::RESOURCES) => match document::read::<Pointer>(store, key)? {
            Some((pointer, version)) => pointer.is_at_its_end(store, is_old)?.then_some(version),
            None => None,
        },
        Some(claims::ITEMS) => match document::read::<Written>(store, key)? {
            Some((written, version)) if !written.state.is_open() && is_old(written.at) => {
                (!written.is_pointed_at(store)?).then_some(version)
            }
            _ => None,
        },
        Some(used::APPROVALS) => document::read::<Use>(store, key)?
            .filter(|(used, _)| is_old(used.at) && is_old(used.until))
            .map(|(_, version)| version),
        Some(used::TRIGGERS) => {
            document::read::<Trigger>(store, key)?.filter(|(seen, _)| is_old(seen.at)).map(|(_, version)| version)
        }
        Some(caps::METERS) => document::read::<Rolling>(store, key)?
            .filter(|(rolling, _)| rolling.is_spent(now))
            .map(|(_, version)| version),
        _ => None,
    };
    match version {
        Some(version) => Ok(store.delete_if(key, version)? == DeleteOutcome::Deleted),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caps::{Caps, Charge, Meter, Population, reserve, settle},
        claims::{Item, Outcome, Seen, State, Writer, advance, all_open, claim, resolve},
        clock::VirtualClock,
        lease::{Holder, Lease, TTL},
        money::Amount,
        store::MemoryStore,
        used::{consume, seen_once},
    };

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn writer(epoch: u64) -> Writer {
        Writer { epoch, run: format!("run-{epoch}") }
    }

    fn item(plan: &str, number: u32) -> Item {
        Item { plan: plan.to_owned(), number, resource: format!("vol-{number}"), seen: NOW }
    }

    /// An item that goes through these states at a time.
    fn goes(store: &dyn Store, item: &Item, states: &[State], at: Timestamp) {
        let Outcome::Claimed(mut claim) = claim(store, item, &writer(1), at).unwrap() else { panic!() };
        for state in states {
            advance(store, &mut claim, *state, at, "").unwrap();
        }
    }

    /// Prunes day by day, as runs do.
    fn days(store: &dyn Store, from: Timestamp, count: i64) -> usize {
        (0..count).map(|day| prune(store, from.plus(day * DAY)).unwrap().forgotten).sum()
    }

    #[test]
    fn what_is_old_goes_and_what_is_open_stays() {
        let store = MemoryStore::new();
        let clock = VirtualClock::new(NOW);
        Lease::acquire(&store, &Holder { by: "a".into(), run: "a".into() }, TTL, &clock).unwrap();
        goes(&store, &item("p", 1), &[State::Sent, State::Confirmed], NOW);
        goes(&store, &item("p", 2), &[State::Skipped], NOW);
        goes(&store, &item("p", 3), &[State::Sent], NOW);
        goes(&store, &item("p", 4), &[], NOW);
        let meter = [Meter::new("all", Caps { share: 0, ..Caps::default() }, Population::Elsewhere)];
        let charge = Charge { id: "p/1".into(), run: "p".into(), count: 1, monthly: Some(Amount::ZERO) };
        let _ = reserve(&store, &meter, &charge, NOW).unwrap();
        settle(&store, &["all"], "p/1", true, NOW).unwrap();
        let short = Use { plan: "p".into(), run: "r".into(), at: NOW, until: NOW.plus(DAY) };
        let _ = consume(&store, "short", &short).unwrap();
        let _ = consume(&store, "long", &Use { until: NOW.plus(60 * DAY), ..short }).unwrap();
        let _ = seen_once(&store, "t", NOW).unwrap();
        let before = store.list("").unwrap();
        assert_eq!(days(&store, NOW, 13), 0);
        assert_eq!(store.list("").unwrap().len(), before.len() + 1);
        // The meter first; then the rest.
        assert_eq!(days(&store, NOW.plus(14 * DAY), 77), 1);
        assert_eq!(days(&store, NOW.plus(92 * DAY), 2), 6);
        let left = store.list("").unwrap();
        let starts = |prefix: &str| left.iter().filter(|key| key.starts_with(prefix)).count();
        assert_eq!((starts("claim/item/"), starts("claim/resource/")), (2, 2), "{left:?}");
        assert_eq!((starts("used/"), starts("caps/"), starts("lock/")), (1, 0, 1), "{left:?}");
        assert_eq!(all_open(&store).unwrap().len(), 2);
        assert_eq!(days(&store, NOW.plus(152 * DAY), 2), 1);
        // Resolved, it goes too, and the resource is free.
        for open in all_open(&store).unwrap() {
            let end = resolve(&store, &open, Seen::Done, &writer(2), NOW.plus(200 * DAY), "").unwrap();
            assert!(!end.state().is_open());
        }
        assert_eq!(days(&store, NOW.plus(291 * DAY), 2), 4);
        assert_eq!(store.list("").unwrap(), ["lock/lease", "prune"]);
        goes(&store, &item("p", 1), &[], NOW);
    }

    #[test]
    fn an_item_goes_after_the_pointer_that_names_it() {
        let store = MemoryStore::new();
        goes(&store, &item("p", 1), &[State::Failed], NOW);
        // Another plan has taken the resource since.
        goes(&store, &Item { plan: "q".into(), ..item("p", 1) }, &[], NOW.plus(80 * DAY));
        assert_eq!(days(&store, NOW.plus(95 * DAY), 2), 1);
        assert_eq!(store.list("claim/").unwrap().len(), 2);
        assert_eq!(all_open(&store).unwrap()[0].item().plan, "q");
    }

    #[test]
    fn it_looks_at_a_part_a_day_and_gets_through() {
        let store = MemoryStore::new();
        for number in 0..500 {
            goes(&store, &item("p", number), &[State::Skipped], NOW.plus(i64::from(number) * 3600));
        }
        let later = NOW.plus(200 * DAY);
        assert_eq!(prune(&store, later).unwrap(), Pruned { looked_at: 300, forgotten: 300 });
        assert_eq!(prune(&store, later.plus(60)).unwrap(), Pruned::default());
        assert_eq!(days(&store, later.plus(DAY), 3), 700);
        assert_eq!(store.list("").unwrap(), ["prune"]);
    }

    #[test]
    fn nothing_that_is_not_understood_is_forgotten() {
        let store = MemoryStore::new();
        store.put_if("claim/item/p/0000000001", b"{}", None).unwrap();
        assert!(prune(&store, NOW).is_err());
        assert!(store.get("claim/item/p/0000000001").unwrap().is_some());
    }
}
