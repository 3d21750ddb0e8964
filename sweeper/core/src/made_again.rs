//! What is made again after every deletion is somebody's: it is left to whoever makes it.
//!
//! Of each thing that was deleted it is remembered under which name, when, and how often it had been made again before.
//! One that was deleted twice, and is there a third time, is held: 30 days after the last deletion, and twice as long
//! after each more. A thing is the same where its kind, account, region and name are; one without a name is known by
//! its id, which says as much where ids are names (Azure, Google Cloud) and nothing where they are drawn (AWS).

use crate::{
    deed::Target,
    inventory::{Inventory, Resource},
    model::{DAY, Timestamp},
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Deletions after which it is held.
pub const TIMES: u32 = 2;
/// How long it is held after the second deletion, seconds; doubles with each more.
pub const WAIT: i64 = 30 * DAY;
/// Nothing is remembered longer than this, seconds.
const MEMORY: i64 = 730 * DAY;
const PLACES: &str = "made-again/";

/// What is remembered of deletions, by the name of the thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MadeAgain(BTreeMap<String, Past>);

/// The deletions of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Past {
    /// How often it was deleted, each time but the first after it had been made again.
    times: u32,
    /// When the last deletion was sent.
    at: Timestamp,
    /// What was deleted last.
    native_id: String,
    uid: String,
}

impl Document for MadeAgain {
    const FORMAT: &'static str = "sweeper.made-again";
}

fn key(kind: &str, account: &str, region: &str, name: &str, native_id: &str) -> String {
    let name = if name.is_empty() { native_id } else { name };
    format!("{kind} {account} {region} {name}")
}

/// Where the memory of a thing is kept: one of 16 documents, so that none grows large.
fn place(key: &str) -> String {
    let digest = crate::plan::sha256(key.as_bytes());
    format!("{PLACES}{}", digest.get(..1).unwrap_or("0"))
}

impl Past {
    /// Whether a thing came after the last deletion.
    fn is_before(&self, native_id: &str, uid: &str, created: Option<Timestamp>) -> bool {
        uid != self.uid && created.map_or(native_id == self.native_id, |created| created >= self.at)
    }

    /// Until when one that was made again is left alone.
    fn until(&self) -> Option<Timestamp> {
        let more = self.times.checked_sub(TIMES)?;
        Some(self.at.plus(WAIT.saturating_mul(1 << more.min(20))))
    }
}

impl MadeAgain {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a deletion. The same again changes nothing, and of several things of one name that were there together
    /// none was made again.
    fn note(&mut self, target: &Target, at: Timestamp) {
        self.0.retain(|_, past| at.since(past.at) < MEMORY);
        let key = key(&target.kind, &target.account, &target.region, &target.name, &target.native_id);
        let times = match self.0.get(&key) {
            None => 1,
            Some(past) if past.uid == target.uid => return,
            Some(past) => past.times + u32::from(past.is_before(&target.native_id, &target.uid, target.created)),
        };
        let past = Past { times, at, native_id: target.native_id.clone(), uid: target.uid.clone() };
        self.0.insert(key, past);
    }

    /// Why a thing is left alone: it was deleted, and made again, too often.
    pub fn hold(&self, resource: Resource<'_>, now: Timestamp) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let native_id = resource.native_id();
        let key = key(resource.kind().id, resource.account(), resource.region(), resource.name(), native_id);
        let past = self.0.get(&key)?;
        let until = past.until().filter(|until| now < *until)?;
        past.is_before(native_id, resource.uid(), resource.created()).then(|| {
            format!(
                "managed elsewhere: deleted {} times and made again each time, last deleted {}; left alone until {}",
                past.times,
                past.at.date(),
                until.date()
            )
        })
    }

    /// Leaves only what speaks of an inventory's resources, so that a survey does not carry all that was ever deleted.
    pub fn keep_only(&mut self, inventory: &Inventory) {
        if self.0.is_empty() {
            return;
        }
        let mut kept = BTreeMap::new();
        for resource in inventory.resources() {
            let (account, region) = (resource.account(), resource.region());
            let key = key(resource.kind().id, account, region, resource.name(), resource.native_id());
            if let Some(past) = self.0.remove(&key) {
                kept.insert(key, past);
            }
        }
        self.0 = kept;
    }
}

/// Remembers a deletion.
pub(crate) fn remember(store: &dyn Store, target: &Target, at: Timestamp) -> Result<(), StoreError> {
    let key = key(&target.kind, &target.account, &target.region, &target.name, &target.native_id);
    document::update(store, &place(&key), |known: Option<MadeAgain>| {
        let before = known.unwrap_or_default();
        let mut after = before.clone();
        after.note(target, at);
        Ok(if after == before { Next::Keep(()) } else { Next::Write(after, ()) })
    })
}

/// All that is remembered.
pub fn load(store: &dyn Store) -> Result<MadeAgain, StoreError> {
    let mut all = MadeAgain::default();
    for key in store.list(PLACES)? {
        if let Some((MadeAgain(part), _)) = document::read::<MadeAgain>(store, &key)? {
            all.0.extend(part);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::MemoryStore, testing};

    const START: Timestamp = Timestamp(1_800_000_000);

    fn target(name: &str, uid: &str, created: Option<Timestamp>) -> Target {
        Target { name: name.to_owned(), created, ..testing::volume(uid) }
    }

    fn times(store: &MemoryStore) -> Vec<u32> {
        load(store).unwrap().0.values().map(|past| past.times).collect()
    }

    #[test]
    fn only_what_came_after_the_last_deletion_was_made_again() {
        let store = MemoryStore::new();
        let day = |day: i64| START.plus(day * DAY);
        // Three of one name that were there together.
        for uid in ["vol-1", "vol-2", "vol-3"] {
            remember(&store, &target("data", uid, Some(day(-9))), day(0)).unwrap();
        }
        assert_eq!(times(&store), [1]);
        remember(&store, &target("data", "vol-4", Some(day(1))), day(2)).unwrap();
        assert_eq!(times(&store), [2]);
        // A run that is taken up again says it once more.
        remember(&store, &target("data", "vol-4", Some(day(1))), day(3)).unwrap();
        assert_eq!(times(&store), [2]);
        // Another name, and what has neither name nor creation under another id.
        remember(&store, &target("logs", "vol-5", Some(day(3))), day(4)).unwrap();
        remember(&store, &target("", "vol-6", None), day(4)).unwrap();
        remember(&store, &target("", "vol-7", None), day(5)).unwrap();
        assert_eq!(times(&store), [2, 1, 1, 1]);
    }

    #[test]
    fn the_wait_doubles_and_the_memory_ends() {
        let past = |times| Past { times, at: START, native_id: String::new(), uid: String::new() };
        assert_eq!(past(1).until(), None);
        assert_eq!(past(2).until(), Some(START.plus(30 * DAY)));
        assert_eq!(past(4).until(), Some(START.plus(120 * DAY)));
        assert!(past(u32::MAX).until().is_some());
        let mut memory = MadeAgain::default();
        memory.note(&target("old", "vol-1", Some(START)), START);
        memory.note(&target("new", "vol-2", Some(START)), START.plus(MEMORY));
        assert_eq!(memory.0.len(), 1);
    }
}
