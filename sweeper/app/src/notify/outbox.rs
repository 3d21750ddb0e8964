//! What went out and what did not, by owner and channel: documents in the state, changed by compare-and-swap.
//!
//! Before a notice leaves, that it may leave is written; afterwards what became of it. A process that dies in between
//! leaves a notice that may have gone out: it is sent again, with the same key, so that whoever knows the key drops the
//! second. What one channel has delivered is not sent there again while another of the same finding is down.

use super::wire::Undelivered;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{
    model::{DAY, Timestamp},
    store::{
        Store, StoreError,
        document::{self, Document, Next, part},
    },
};

/// For how long a notice that is leaving is left to whoever sends it, seconds.
const LEAVING: i64 = 180;
/// After a failure, the first and the longest wait before the next try, seconds.
const FIRST_WAIT: i64 = 5 * 60;
const LONGEST_WAIT: i64 = 6 * 3600;
/// Findings of which is kept that one channel delivered them, and threads that are open, by owner and channel.
pub const MOST: usize = 5_000;

/// Of one owner and one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    pub channel: String,
    pub to: Option<String>,
    /// Notices that were delivered: part of the next one's key.
    pub sent: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// What was delivered here, as it was, and waits for another channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delivered: BTreeMap<String, Timestamp>,
    /// Tickets and incidents that are open.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub threads: BTreeMap<String, Thread>,
}

impl Document for Outbox {
    const FORMAT: &'static str = "sweeper.outbox";
}

/// A failure that was not made good yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    pub since: Timestamp,
    pub tries: u32,
    /// Not tried again before.
    pub again: Timestamp,
    pub refused: bool,
    pub why: String,
}

/// A notice that may be on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaving {
    pub key: String,
    pub run: String,
    pub at: Timestamp,
}

/// A ticket or an incident, which is closed when everything that it names is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// What the service calls it.
    pub remote: String,
    pub policy: String,
    /// What a watch speaks of; `None` for findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The findings that it names, as [`super::row_of`] has them.
    pub rows: BTreeSet<String>,
    /// The last notice that went into it.
    pub notice: String,
}

/// Notices that a channel carried lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    recent: Vec<Timestamp>,
}

impl Document for Carried {
    const FORMAT: &'static str = "sweeper.carried";
}

/// Whether a notice may be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    Go,
    /// Not before, after a failure.
    Waits(Trouble),
    /// Another run sends it.
    Taken,
    /// Another run told them since this one looked.
    Told,
}

/// Where the outbox of an owner and a channel is.
fn key(channel: &str, owner: &str) -> String {
    format!("outbox/{}/{}", part(channel), part(owner))
}

fn carried_key(channel: &str) -> String {
    format!("carried/{}", part(channel))
}

/// The outbox of an owner and a channel.
pub fn load(store: &dyn Store, channel: &str, owner: &str) -> Result<Outbox, StoreError> {
    Ok(document::read::<Outbox>(store, &key(channel, owner))?.map(|(outbox, _)| outbox).unwrap_or_default())
}

/// Every outbox of a channel, with the owner's part of its key.
pub fn of_channel(store: &dyn Store, channel: &str) -> Result<Vec<(String, Outbox)>, StoreError> {
    let mut all = Vec::new();
    for key in store.list(&format!("outbox/{}/", part(channel)))? {
        if let Some((outbox, _)) = document::read::<Outbox>(store, &key)? {
            all.push((key, outbox));
        }
    }
    Ok(all)
}

/// Changes the outbox under a key.
pub fn change<R>(store: &dyn Store, key: &str, mut change: impl FnMut(&mut Outbox) -> R) -> Result<R, StoreError> {
    document::update(store, key, |known: Option<Outbox>| {
        let before = known.clone();
        let mut outbox = known.unwrap_or_default();
        let answer = change(&mut outbox);
        bound(&mut outbox);
        Ok(if before.as_ref() == Some(&outbox) { Next::Keep(answer) } else { Next::Write(outbox, answer) })
    })
}

fn bound(outbox: &mut Outbox) {
    while outbox.threads.len() > MOST {
        outbox.threads.pop_first();
    }
    if outbox.delivered.len() > MOST {
        let mut by_age: Vec<(Timestamp, String)> =
            outbox.delivered.iter().map(|(row, at)| (*at, row.clone())).collect();
        by_age.sort();
        for (_, row) in by_age.drain(..outbox.delivered.len() - MOST) {
            outbox.delivered.remove(&row);
        }
    }
}

/// The owner and channel of an outbox, and the run that uses it.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    pub store: &'a dyn Store,
    pub channel: &'a str,
    /// The owner, or another name of whom it is for.
    pub owner: &'a str,
    pub to: Option<&'a str>,
    pub run: &'a str,
}

impl Slot<'_> {
    pub fn key(&self) -> String {
        key(self.channel, self.owner)
    }

    /// Writes that a notice leaves, where it may. `looked` is when the run looked; `again`: whatever failed before.
    pub fn leave(&self, notice: &str, now: Timestamp, looked: Timestamp, again: bool) -> Result<Leave, StoreError> {
        change(self.store, &self.key(), |outbox| {
            if outbox.last.is_some_and(|last| last > looked) {
                return Leave::Told;
            }
            if let Some(leaving) = &outbox.leaving
                && leaving.run != self.run
                && (0..LEAVING).contains(&now.since(leaving.at))
            {
                return Leave::Taken;
            }
            if let Some(trouble) = &outbox.trouble
                && !again
                && now.since(trouble.again) < 0
            {
                return Leave::Waits(trouble.clone());
            }
            self.channel.clone_into(&mut outbox.channel);
            outbox.to = self.to.map(str::to_owned);
            outbox.leaving = Some(Leaving { key: notice.to_owned(), run: self.run.to_owned(), at: now });
            Leave::Go
        })
    }

    /// Writes that a notice was delivered, with what it named.
    pub fn delivered(
        &self,
        now: Timestamp,
        states: &BTreeSet<String>,
        threads: &BTreeMap<String, Thread>,
    ) -> Result<(), StoreError> {
        change(self.store, &self.key(), |outbox| {
            outbox.sent += 1;
            outbox.last = Some(now);
            outbox.trouble = None;
            outbox.leaving = None;
            outbox.delivered.extend(states.iter().map(|state| (state.clone(), now)));
            join(&mut outbox.threads, threads);
        })
    }

    /// Writes that it was not.
    pub fn failed(
        &self,
        now: Timestamp,
        error: &Undelivered,
        threads: &BTreeMap<String, Thread>,
    ) -> Result<Trouble, StoreError> {
        change(self.store, &self.key(), |outbox| {
            let before = outbox.trouble.take();
            let tries = before.as_ref().map_or(0, |trouble| trouble.tries).saturating_add(1);
            let wait = FIRST_WAIT.saturating_mul(1 << (tries - 1).min(10)).min(LONGEST_WAIT);
            let (refused, asked) = match error {
                Undelivered::Refused(_) => (true, 0),
                Undelivered::Later { after, .. } => (false, after.map_or(0, |after| after.as_secs() as i64)),
            };
            let trouble = Trouble {
                since: before.map_or(now, |trouble| trouble.since),
                tries,
                again: now.plus(wait.max(asked)),
                refused,
                why: error.why().to_owned(),
            };
            outbox.trouble = Some(trouble.clone());
            outbox.leaving = None;
            join(&mut outbox.threads, threads);
            trouble
        })
    }
}

fn join(known: &mut BTreeMap<String, Thread>, new: &BTreeMap<String, Thread>) {
    for (key, thread) in new {
        let own = known.entry(key.clone()).or_default();
        let rows = std::mem::take(&mut own.rows);
        *own = thread.clone();
        own.rows.extend(rows);
    }
}

/// How many notices a channel carried in the 24 hours before.
pub fn carried(store: &dyn Store, channel: &str, now: Timestamp) -> Result<usize, StoreError> {
    let known = document::read::<Carried>(store, &carried_key(channel))?;
    Ok(known.map_or(0, |(carried, _)| carried.recent.iter().filter(|at| now.since(**at) < DAY).count()))
}

/// Counts one.
pub fn count(store: &dyn Store, channel: &str, most: u32, now: Timestamp) -> Result<(), StoreError> {
    document::update(store, &carried_key(channel), |known: Option<Carried>| {
        let mut carried = known.unwrap_or_default();
        carried.recent.retain(|at| (0..DAY).contains(&now.since(*at)));
        carried.recent.push(now);
        let over = carried.recent.len().saturating_sub(most as usize);
        carried.recent.drain(..over);
        Ok(Next::Write(carried, ()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sweeper_core::store::MemoryStore;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn slot<'a>(store: &'a MemoryStore, run: &'a str) -> Slot<'a> {
        Slot { store, channel: "hook", owner: "alice", to: Some("alice"), run }
    }

    #[test]
    fn two_runs_send_one_notice() {
        let store = MemoryStore::new();
        let (one, other) = (slot(&store, "r1"), slot(&store, "r2"));
        assert_eq!(one.leave("k", NOW, NOW, false), Ok(Leave::Go));
        assert_eq!(other.leave("k", NOW.plus(1), NOW, false), Ok(Leave::Taken));
        // Whoever sent it never came back: it is sent again.
        assert_eq!(other.leave("k", NOW.plus(LEAVING), NOW, false), Ok(Leave::Go));
        other.delivered(NOW.plus(LEAVING), &BTreeSet::from(["s".to_owned()]), &BTreeMap::new()).unwrap();
        // The first looked before that.
        assert_eq!(one.leave("k", NOW.plus(LEAVING + 1), NOW, false), Ok(Leave::Told));
        let known = load(&store, "hook", "alice").unwrap();
        assert_eq!((known.sent, known.leaving, known.delivered.len()), (1, None, 1));
        assert_eq!(load(&store, "hook", "bob").unwrap(), Outbox::default());
    }

    #[test]
    fn failures_wait_longer_and_a_service_is_believed() {
        let store = MemoryStore::new();
        let slot = slot(&store, "r1");
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(slot.leave("k", now, now, false), Ok(Leave::Go));
            let trouble = slot.failed(now, &Undelivered::later("down"), &BTreeMap::new()).unwrap();
            assert_eq!(trouble.since, NOW);
            waits.push(trouble.again.since(now) / 60);
            assert!(matches!(slot.leave("k", now.plus(1), now, false), Ok(Leave::Waits(_))));
            now = trouble.again;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
        let asked = Undelivered::Later { why: "slow down".to_owned(), after: Some(Duration::from_hours(10)) };
        assert_eq!(slot.failed(now, &asked, &BTreeMap::new()).unwrap().again, now.plus(36_000));
        // Somebody mended it and does not wait.
        assert_eq!(slot.leave("k", now, now, true), Ok(Leave::Go));
        slot.delivered(now, &BTreeSet::new(), &BTreeMap::new()).unwrap();
        assert_eq!(load(&store, "hook", "alice").unwrap().trouble, None);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let store = MemoryStore::new();
        let slot = slot(&store, "r1");
        for n in 0..3_i64 {
            let states = (0..3000).map(|row| format!("{n}-{row}")).collect();
            slot.delivered(NOW.plus(n), &states, &BTreeMap::new()).unwrap();
        }
        let known = load(&store, "hook", "alice").unwrap();
        assert_eq!(known.delivered.len(), MOST);
        assert!(known.delivered.keys().any(|row| row.starts_with("2-")));
        for n in 0..100 {
            count(&store, "hook", 10, NOW.plus(n)).unwrap();
        }
        assert_eq!(carried(&store, "hook", NOW.plus(100)), Ok(10));
        assert_eq!(carried(&store, "hook", NOW.plus(2 * DAY)), Ok(0));
    }

    #[test]
    fn what_is_damaged_is_an_error_and_stays() {
        let store = MemoryStore::new();
        let slot = slot(&store, "r1");
        store.put_if(&slot.key(), b"{", None).unwrap();
        assert!(matches!(slot.leave("k", NOW, NOW, false), Err(StoreError::Damaged(_))));
        assert_eq!(store.get(&slot.key()).unwrap().unwrap().0, b"{");
    }
}
