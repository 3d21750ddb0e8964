//! The ledger of [`sweeper_core::ledger`] over any [`Store`].
//!
//! Clocks lie in at most 256 chunks, by a hash of the resource they belong to, so that a run changes few
//! large values instead of a million small ones. A chunk is one compare-and-swap: of two runs that merge at
//! once, the one that comes second merges again into what the first left.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    ledger::{Advanced, Entry, Ledger, LedgerKey, LedgerSlice, Told, mark, merge},
    store::{DeleteOutcome, Put, PutOutcome, Store, StoreError, Version},
};

const PREFIX: &str = "ledger/";
const FORMAT: &str = "sweeper.ledger/1";
/// Bytes written at once: what is held in memory beside the clocks, against waits for the disk.
const BATCH: usize = 8 << 20;
/// How often a chunk is merged again because somebody else wrote it.
const TRIES: usize = 50;
/// How often a store that is busy is asked, each time for as long as it waits itself.
const PATIENCE: usize = 6;

/// A [`Ledger`] that lasts as its store does.
pub struct StoreLedger {
    store: Arc<dyn Store>,
}

#[derive(Serialize, Deserialize)]
struct Chunk {
    format: String,
    entries: LedgerSlice,
}

/// Which chunk a clock is in: all of one resource are together. FNV-1a, which no release may change.
fn chunk_of(key: &LedgerKey) -> u8 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [key.kind(), key.account(), key.uid()] {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // The last bytes of an identity differ most, and FNV spreads them least.
    ((hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8
}

fn place(chunk: u8) -> String {
    format!("{PREFIX}{chunk:02x}")
}

/// Asks again while the store is busy: its wait is for one writer, and on a slow disk several may come before.
fn patiently<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..PATIENCE {
        match call() {
            Err(StoreError::Busy(_)) => {}
            done => return done,
        }
    }
    call()
}

fn failed(error: StoreError) -> String {
    error.to_string()
}

impl StoreLedger {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    fn read(&self, key: &str) -> Result<Option<(LedgerSlice, Vec<u8>, Version)>, String> {
        let Some((bytes, version)) = patiently(|| self.store.get(key)).map_err(failed)? else { return Ok(None) };
        let chunk: Chunk = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::Damaged(format!("`{key}`: {error}")).to_string())?;
        if chunk.format != FORMAT {
            return Err(format!("`{key}` is written as {}, this release knows {FORMAT}", chunk.format));
        }
        Ok(Some((chunk.entries, bytes, version)))
    }

    /// Changes one chunk: what is to be written, if anything. False when somebody else wrote in between.
    fn change_chunk(&self, chunk: u8, change: impl FnOnce(&mut LedgerSlice)) -> Result<(bool, Option<Put>), String> {
        let key = place(chunk);
        let (mut slice, before, version) = match self.read(&key)? {
            Some((slice, bytes, version)) => (slice, bytes, Some(version)),
            None => (LedgerSlice::default(), Vec::new(), None),
        };
        change(&mut slice);
        if slice.is_empty() {
            let Some(version) = version else { return Ok((true, None)) };
            let outcome = patiently(|| self.store.delete_if(&key, version)).map_err(failed)?;
            return Ok((!matches!(outcome, DeleteOutcome::Conflict(_)), None));
        }
        let value = serde_json::to_vec(&Chunk { format: FORMAT.to_owned(), entries: slice })
            .map_err(|error| format!("the ledger cannot be written: {error}"))?;
        Ok((true, (value != before).then_some(Put { key, value, expected: version })))
    }

    /// Changes chunks, each by its part, and again where somebody else wrote in between.
    fn change<P>(
        &self,
        mut parts: BTreeMap<u8, P>,
        mut change: impl FnMut(&mut LedgerSlice, u8, &P),
    ) -> Result<(), String> {
        for _ in 0..TRIES {
            let mut left = BTreeSet::new();
            let mut batch = Batch::default();
            for (chunk, part) in &parts {
                let (changed, put) = self.change_chunk(*chunk, |slice| change(slice, *chunk, part))?;
                if !changed {
                    left.insert(*chunk);
                }
                let Some(put) = put else { continue };
                batch.bytes += put.value.len();
                batch.puts.push(put);
                batch.chunks.push(*chunk);
                if batch.bytes >= BATCH {
                    left.extend(self.write(&mut batch)?);
                }
            }
            left.extend(self.write(&mut batch)?);
            parts.retain(|chunk, _| left.contains(chunk));
            if parts.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::Busy("others keep writing the ledger".to_owned()).to_string())
    }

    /// Writes chunks; gives back those that somebody else wrote in between.
    fn write(&self, batch: &mut Batch) -> Result<Vec<u8>, String> {
        let Batch { puts, chunks, .. } = std::mem::take(batch);
        let outcomes = patiently(|| self.store.put_all_if(&puts)).map_err(failed)?;
        let conflicts = chunks.into_iter().zip(outcomes).filter(|(_, one)| matches!(one, PutOutcome::Conflict(_)));
        Ok(conflicts.map(|(chunk, _)| chunk).collect())
    }
}

/// What of a merge concerns one chunk.
#[derive(Default)]
struct Part<'a> {
    moved: Vec<&'a Entry>,
    cleared: Vec<&'a LedgerKey>,
}

/// Chunks to be written at once.
#[derive(Default)]
struct Batch {
    puts: Vec<Put>,
    chunks: Vec<u8>,
    bytes: usize,
}

impl Ledger for StoreLedger {
    fn load(&self) -> Result<LedgerSlice, String> {
        let places = self.store.list(PREFIX).map_err(failed)?;
        // A chunk that is gone by now holds nothing.
        LedgerSlice::join(places.iter().map(|key| Ok(self.read(key)?.map(|(slice, ..)| slice).unwrap_or_default())))
    }

    fn merge(&self, advanced: &Advanced) -> Result<(), String> {
        let mut parts: BTreeMap<u8, Part<'_>> = BTreeMap::new();
        for entry in &advanced.slice {
            parts.entry(chunk_of(&entry.0)).or_default().moved.push(entry);
        }
        for key in &advanced.cleared {
            parts.entry(chunk_of(key)).or_default().cleared.push(key);
        }
        self.change(parts, |slice, _, part| {
            merge(slice, advanced.at, part.moved.iter().copied(), part.cleared.iter().copied());
        })
    }

    fn mark(&self, marks: &[(LedgerKey, Told)]) -> Result<usize, String> {
        let mut parts: BTreeMap<u8, Vec<&(LedgerKey, Told)>> = BTreeMap::new();
        for one in marks {
            parts.entry(chunk_of(&one.0)).or_default().push(one);
        }
        // A chunk that is tried again is counted anew.
        let mut marked: BTreeMap<u8, usize> = BTreeMap::new();
        self.change(parts, |slice, chunk, part| {
            marked.insert(chunk, mark(slice, part.iter().copied()));
        })?;
        Ok(marked.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use std::thread;
    use sweeper_core::model::Timestamp;
    use sweeper_core::{
        ledger::{Fingerprint, InMemory, Sighting, State},
        model::DAY,
        store::MemoryStore,
    };

    fn key(count: u32) -> LedgerKey {
        let uid = format!("vol-{count:08x}");
        LedgerKey::of("unattached-disk", "aws.ec2-volume", "111111111111", &uid, Some(Timestamp(i64::from(count))))
    }

    fn sighting(first: i64, last: i64) -> Sighting {
        Sighting {
            first_found: Timestamp(first),
            observed: last - first,
            last_seen: Timestamp(last),
            last_state: State::Found,
            complete_sightings: 1,
            counted_at: Timestamp(first),
            region: "us-east-1".into(),
            told: Box::default(),
        }
    }

    fn advanced(at: i64, counts: impl IntoIterator<Item = u32>, cleared: impl IntoIterator<Item = u32>) -> Advanced {
        Advanced {
            at: Some(Timestamp(at)),
            slice: counts.into_iter().map(|count| (key(count), sighting(0, at))).collect(),
            cleared: cleared.into_iter().map(key).collect(),
        }
    }

    #[test]
    fn it_remembers_what_a_ledger_in_memory_does() {
        let (lasting, plain) = (StoreLedger::new(Arc::new(MemoryStore::new())), InMemory::default());
        assert_eq!(lasting.load().unwrap(), LedgerSlice::default());
        for step in [
            advanced(DAY, 0..300, []),
            advanced(2 * DAY, 100..400, 0..50),
            // An older run that ends late changes nothing that is known since.
            advanced(DAY, 0..10, 100..120),
            advanced(3 * DAY, [], 0..400),
            advanced(4 * DAY, 7..9, []),
        ] {
            lasting.merge(&step).unwrap();
            plain.merge(&step).unwrap();
            assert_eq!(lasting.load().unwrap(), plain.load().unwrap());
        }
    }

    #[test]
    fn marks_last() {
        let store = MemoryStore::new();
        let ledger = StoreLedger::new(Arc::new(store.clone()));
        ledger.merge(&advanced(DAY, 0..50, [])).unwrap();
        let told = Told {
            policy: "p".into(),
            at: Timestamp(DAY + 5),
            channel: "mail".into(),
            to: "alice".into(),
            fingerprint: Fingerprint::default(),
        };
        let marks: Vec<_> = (40..60).map(|count| (key(count), told.clone())).collect();
        assert_eq!(ledger.mark(&marks), Ok(10));
        // Somebody else's run, which began before.
        ledger.merge(&advanced(DAY, 0..50, [])).unwrap();
        let again = StoreLedger::new(Arc::new(store)).load().unwrap();
        assert_eq!(again.iter().filter(|(_, sighting)| sighting.told("p") == Some(&told)).count(), 10);
    }

    #[test]
    fn what_does_not_change_is_not_written() {
        let store = MemoryStore::new();
        let ledger = StoreLedger::new(Arc::new(store.clone()));
        ledger.merge(&advanced(DAY, 0..50, [])).unwrap();
        let versions =
            || -> Vec<_> { store.list(PREFIX).unwrap().iter().map(|key| store.get(key).unwrap().unwrap().1).collect() };
        let before = versions();
        ledger.merge(&advanced(DAY, 0..50, [])).unwrap();
        ledger.merge(&advanced(DAY, [], 1000..2000)).unwrap();
        assert_eq!(versions(), before);
        // Nothing is left of a ledger that was cleared.
        ledger.merge(&advanced(2 * DAY, [], 0..50)).unwrap();
        assert_eq!(store.list("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn runs_that_merge_at_once_lose_nothing() {
        let path = std::env::temp_dir().join(format!("sweeper-ledger-{}.db", std::process::id()));
        let open = || StoreLedger::new(Arc::new(SqliteStore::open(&path).unwrap()));
        thread::scope(|scope| {
            for run in 0..4 {
                let ledger = open();
                scope.spawn(move || ledger.merge(&advanced(DAY, run * 500..run * 500 + 700, [])).unwrap());
            }
        });
        assert_eq!(open().load().unwrap().len(), 2200);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_store_that_is_busy_is_asked_again_and_not_for_ever() {
        let asked = |busy: usize| {
            let mut calls = 0;
            let done = patiently(|| {
                calls += 1;
                if calls > busy { Ok(calls) } else { Err(StoreError::Busy("locked".to_owned())) }
            });
            (done.is_ok(), calls)
        };
        assert_eq!(asked(0), (true, 1));
        assert_eq!(asked(PATIENCE - 1), (true, PATIENCE));
        assert_eq!(asked(PATIENCE), (false, PATIENCE));
        let mut calls = 0;
        let full = patiently(|| -> Result<(), StoreError> {
            calls += 1;
            Err(StoreError::Failed("disk full".to_owned()))
        });
        assert!(full.is_err() && calls == 1, "nothing else is tried again");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_stays() {
        for (value, says) in [
            (&b"{\"format\":\"sweeper.ledger/1\",\"entries\":[[{\"rule\":"[..], "damaged"),
            (b"\xff\xfe", "damaged"),
            (b"{\"format\":\"sweeper.ledger/2\",\"entries\":[]}", "sweeper.ledger/2"),
        ] {
            let store = MemoryStore::new();
            let place = place(chunk_of(&key(1)));
            store.put_if(&place, value, None).unwrap();
            let ledger = StoreLedger::new(Arc::new(store.clone()));
            for error in [ledger.load().unwrap_err(), ledger.merge(&advanced(DAY, [1], [])).unwrap_err()] {
                assert!(error.contains(says) && error.contains(&place), "{error}");
            }
            assert_eq!(store.get(&place).unwrap().unwrap().0, value);
        }
    }

    #[test]
    fn clocks_stay_in_their_chunks() {
        // Written ledgers are found by these.
        assert_eq!([key(0), key(1), key(2)].map(|key| chunk_of(&key)), [204, 111, 12]);
        let chunks: BTreeSet<u8> = (0..10_000).map(|count| chunk_of(&key(count))).collect();
        assert_eq!(chunks.len(), 256);
    }
}
