//! What is made again after every deletion is somebody's: it is left to whoever makes it.
//!
//! Of each thing that was deleted it is remembered under which name, when, and how often it had been made again before.
//! One that was deleted twice, and is there a third time, is held: 30 days after the last deletion, and twice as long
//! after each more, up to a year. A thing is the same where its kind, account, region and name are; one without a name is known by
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
/// The longest that it is held, seconds: who makes it may be gone by then.
pub const LONGEST_WAIT: i64 = 360 * DAY;
/// Nothing is remembered longer than this, seconds.
const MEMORY: i64 = 730 * DAY;
/// Things remembered in one document; of more, those deleted longest ago are forgotten, the ones never made again first.
const MOST_EACH: usize = 4000;
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
        Some(self.at.plus(WAIT.saturating_mul(1 << more.min(20)).min(LONGEST_WAIT)))
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
        while self.0.len() > MOST_EACH {
            let least =
                self.0.iter().min_by_key(|(_, past)| (past.times >= TIMES, past.at)).map(|(key, _)| key.clone());
            if least.and_then(|key| self.0.remove(&key)).is_none() {
                break;
            }
        }
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
        let waits = [3, 4, 5, 6, 7, u32::MAX].map(|times| past(times).until().unwrap().since(START) / DAY);
        assert_eq!(waits, [60, 120, 240, 360, 360, 360], "a year at most, and remembered for longer than that");
        const { assert!(LONGEST_WAIT < MEMORY) }
        let mut memory = MadeAgain::default();
        memory.note(&target("old", "vol-1", Some(START)), START);
        memory.note(&target("new", "vol-2", Some(START)), START.plus(MEMORY));
        assert_eq!(memory.0.len(), 1);
    }

    #[test]
    fn what_was_made_again_is_remembered_when_there_is_too_much() {
        let mut memory = MadeAgain::default();
        let note = |memory: &mut MadeAgain, name: &str, uid: &str, at: Timestamp| {
            memory.note(&target(name, uid, Some(at.plus(-DAY / 2))), at);
        };
        note(&mut memory, "again", "vol-a", START);
        note(&mut memory, "again", "vol-b", START.plus(DAY));
        note(&mut memory, "once", "vol-c", START);
        for at in 0..MOST_EACH {
            note(&mut memory, &format!("name-{at}"), &format!("vol-{at}"), START.plus(2 * DAY));
        }
        let names: Vec<&str> = memory.0.keys().filter_map(|key| key.rsplit(' ').next()).collect();
        assert_eq!(names.len(), MOST_EACH);
        assert!(names.contains(&"again") && !names.contains(&"once"), "who was made again is the last to be forgotten");
    }

    /// What is said of a disk named `data`, after so many deletions, the last a day ago.
    fn held(times: u32, created: Timestamp) -> Option<String> {
        use crate::{detect::tests::disk, inventory::Draft};
        let draft = Draft { name: "data", created: Some(created), ..Draft::new("vol-9", disk()) };
        let sealed = testing::World::new().draft(&testing::DISK, draft).seal();
        let it = sealed.resource("vol-9");
        let key = key(it.kind().id, it.account(), it.region(), it.name(), it.native_id());
        let at = testing::ago(1);
        let past = Past { times, at, native_id: "vol-8".to_owned(), uid: "vol-8".to_owned() };
        MadeAgain(BTreeMap::from([(key, past)])).hold(it, testing::NOW)
    }

    #[test]
    fn it_is_said_to_be_managed_elsewhere_with_how_often_and_until_when() {
        let after = testing::NOW.plus(-3600);
        assert_eq!(held(1, after), None, "once may be somebody who wanted it back");
        let (last, until) = (testing::ago(1).date(), testing::ago(1).plus(30 * DAY).date());
        let says = format!(
            "managed elsewhere: deleted 2 times and made again each time, last deleted {last}; left alone until {until}"
        );
        assert_eq!(held(2, after), Some(says));
        let until = testing::ago(1).plus(60 * DAY).date();
        assert!(held(3, after).unwrap().ends_with(&format!(
            "deleted 3 times and made again each time, last deleted {last}; left alone until {until}"
        )));
        assert_eq!(held(3, testing::ago(9)), None, "one that was there before was not made again");
    }
}
