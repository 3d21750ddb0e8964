//! JSON documents in a [`Store`]: each says what it is and which schema it has, and is changed only by
//! compare-and-swap, a bounded number of times.
//!
//! That bytes written again are another writing (no ABA) is the store's promise: see [`Version`].

use super::{PutOutcome, Store, StoreError, Version};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// How often a change is tried again because somebody else wrote in between. Each time somebody got on,
/// so that only a crowd of this size can exhaust it.
const TRIES: usize = 50;

/// What is kept as JSON.
pub trait Document: Serialize + DeserializeOwned {
    /// What it is: `sweeper.lease`. Written with the schema, `sweeper.lease/1`.
    const FORMAT: &'static str;
    /// The schema written, and the newest understood.
    const SCHEMA: u64 = 1;
}

#[derive(Deserialize)]
struct Head {
    format: String,
}

#[derive(Deserialize)]
struct Body<T> {
    body: T,
}

#[derive(Serialize)]
struct Written<'a, T> {
    format: String,
    body: &'a T,
}

fn damaged(key: &str, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("`{key}`: {what}"))
}

/// The document that some bytes are; the key is for messages.
pub(crate) fn parse<T: Document>(key: &str, bytes: &[u8]) -> Result<T, StoreError> {
    let head: Head = serde_json::from_slice(bytes).map_err(|error| damaged(key, &error))?;
    let schema = head.format.strip_prefix(T::FORMAT).and_then(|rest| rest.strip_prefix('/'));
    match schema.and_then(|number| number.parse::<u64>().ok()) {
        Some(schema) if schema == T::SCHEMA => {}
        Some(found) if found > T::SCHEMA => return Err(StoreError::Newer { found, known: T::SCHEMA }),
        _ => return Err(damaged(key, &format!("it is no {}/{}", T::FORMAT, T::SCHEMA))),
    }
    let body: Body<T> = serde_json::from_slice(bytes).map_err(|error| damaged(key, &error))?;
    Ok(body.body)
}

/// The document under a key, and its version. What cannot be understood is an error, never `None`.
pub fn read<T: Document>(store: &dyn Store, key: &str) -> Result<Option<(T, Version)>, StoreError> {
    let Some((bytes, version)) = store.get(key)? else { return Ok(None) };
    Ok(Some((parse(key, &bytes)?, version)))
}

/// Stores a document if the key is at the expected version.
pub fn put<T: Document>(
    store: &dyn Store,
    key: &str,
    document: &T,
    expected: Option<Version>,
) -> Result<PutOutcome, StoreError> {
    store.put_if(key, &written(key, document)?, expected)
}

/// A document as bytes; the key is for messages.
pub(crate) fn written<T: Document>(key: &str, document: &T) -> Result<Vec<u8>, StoreError> {
    let written = Written { format: format!("{}/{}", T::FORMAT, T::SCHEMA), body: document };
    serde_json::to_vec(&written).map_err(|error| StoreError::Failed(format!("`{key}`: {error}")))
}

/// What a change comes to.
pub enum Next<T, R> {
    /// Store this, and answer that once it is stored.
    Write(T, R),
    /// Leave what is there.
    Keep(R),
}

/// Reads, lets `decide`, and writes where nobody wrote in between; otherwise asks `decide` again, a bounded
/// number of times. An error of the store is an error here: whether something was then written is not known.
pub fn update<T: Document, R>(
    store: &dyn Store,
    key: &str,
    mut decide: impl FnMut(Option<T>) -> Result<Next<T, R>, StoreError>,
) -> Result<R, StoreError> {
    for _ in 0..TRIES {
        let (current, version) = read(store, key)?.unzip();
        let (next, answer) = match decide(current)? {
            Next::Write(next, answer) => (next, answer),
            Next::Keep(answer) => return Ok(answer),
        };
        if let PutOutcome::Stored(_) = put(store, key, &next, version)? {
            return Ok(answer);
        }
    }
    Err(StoreError::Busy(format!("others keep writing `{key}`")))
}

/// A text as part of a key: itself where it is short and of the letters of keys, else its digest, so that
/// no two texts share a key and none can reach into another's.
pub fn part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // A dot at the front would be `.`, `..`, or the mark of a digest.
    if !text.is_empty() && text.len() <= 100 && !text.starts_with('.') && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from(".");
    for byte in Sha256::digest(text) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Count(u64);

    impl Document for Count {
        const FORMAT: &'static str = "sweeper.count";
    }

    fn increment(store: &dyn Store) -> Result<u64, StoreError> {
        update(store, "count", |count: Option<Count>| {
            let next = count.map_or(0, |count| count.0) + 1;
            Ok(Next::Write(Count(next), next))
        })
    }

    #[test]
    fn documents_are_changed_and_read_back() {
        let store = MemoryStore::new();
        assert_eq!(read::<Count>(&store, "count"), Ok(None));
        assert_eq!((increment(&store), increment(&store)), (Ok(1), Ok(2)));
        assert_eq!(read::<Count>(&store, "count").unwrap().unwrap().0, Count(2));
        assert_eq!(store.get("count").unwrap().unwrap().0, br#"{"format":"sweeper.count/1","body":2}"#);
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_stays() {
        for (bytes, newer) in [
            (&br#"{"format":"sweeper.count/2","body":[]}"#[..], true),
            (br#"{"format":"sweeper.count/0","body":1}"#, false),
            (br#"{"format":"sweeper.lease/1","body":1}"#, false),
            (br#"{"format":"sweeper.count/1","body":"1"}"#, false),
            (br#"{"format":"sweeper.count/1","body":1"#, false),
            (br#"{"format":"sweeper.count/1","body":1}}"#, false),
            (b"", false),
            (b"\xff", false),
        ] {
            let store = MemoryStore::new();
            store.put_if("count", bytes, None).unwrap();
            let error = increment(&store).unwrap_err();
            assert_eq!(matches!(error, StoreError::Newer { found: 2, known: 1 }), newer, "{error}");
            assert_eq!(matches!(&error, StoreError::Damaged(what) if what.contains("`count`")), !newer, "{error}");
            assert_eq!(store.get("count").unwrap().unwrap().0, bytes);
        }
    }

    #[test]
    fn a_change_gives_up_when_others_never_stop() {
        let store = MemoryStore::new();
        let mut tries = 0;
        let outcome = update(&store, "count", |count: Option<Count>| {
            tries += 1;
            let version = store.get("count").unwrap().map(|(_, version)| version);
            put(&store, "count", &Count(tries), version).unwrap();
            Ok(Next::Write(count.unwrap_or(Count(0)), ()))
        });
        assert!(matches!(outcome, Err(StoreError::Busy(_))), "{outcome:?}");
        assert_eq!(tries, TRIES as u64);
    }

    #[test]
    fn parts_of_keys_are_apart() {
        assert_eq!(part("vol-0a.B_1"), "vol-0a.B_1");
        let strange = ["", ".", "..", "a/b", "a b", "é", ".a", &"a".repeat(101)];
        let mut parts: Vec<String> = strange.into_iter().map(part).collect();
        assert!(parts.iter().all(|part| part.starts_with('.') && part.len() == 65), "{parts:?}");
        parts.sort();
        parts.dedup();
        assert_eq!(parts.len(), strange.len());
    }
}
