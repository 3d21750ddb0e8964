//! What every [`Store`] must do, as tests that each implementation runs.

use super::{DeleteOutcome, Put, PutOutcome, Store, Version};
use std::thread;

/// Runs every check. `place` gives a new empty state each time, as a function that opens a further
/// handle on it.
///
/// # Panics
/// Where the store does not conform.
pub fn all<Open>(place: impl Fn() -> Open)
where
    Open: Fn() -> Box<dyn Store> + Sync,
{
    nothing_is_there_at_first(&*place()());
    a_put_needs_the_version_it_replaces(&*place()());
    a_version_is_never_used_again(&*place()());
    values_are_any_bytes(&*place()());
    lists_are_in_byte_order_by_prefix(&*place()());
    deletion_needs_the_version(&*place()());
    a_batch_has_an_outcome_each(&*place()());
    let open = place();
    handles_see_each_other(&*open(), &*open());
    of_two_writers_one_wins(&place());
    no_increment_is_lost(&place());
}

fn stored(outcome: PutOutcome) -> Version {
    match outcome {
        PutOutcome::Stored(version) => version,
        PutOutcome::Conflict(current) => panic!("a put was refused, the key is at {current:?}"),
    }
}

fn put(store: &dyn Store, key: &str, value: &[u8], expected: Option<Version>) -> PutOutcome {
    store.put_if(key, value, expected).expect("a put works")
}

fn get(store: &dyn Store, key: &str) -> Option<(Vec<u8>, Version)> {
    store.get(key).expect("a get works")
}

fn nothing_is_there_at_first(store: &dyn Store) {
    assert_eq!(get(store, "a"), None);
    assert_eq!(store.list("").expect("a list works"), Vec::<String>::new());
    assert_eq!(store.delete_if("a", Version(1)), Ok(DeleteOutcome::Absent));
    assert_eq!(put(store, "a", b"1", Some(Version(1))), PutOutcome::Conflict(None));
    assert_eq!(get(store, "a"), None);
    assert_eq!(store.put_all_if(&[]), Ok(Vec::new()));
}

fn a_put_needs_the_version_it_replaces(store: &dyn Store) {
    let first = stored(put(store, "a", b"1", None));
    assert_eq!(get(store, "a"), Some((b"1".to_vec(), first)));
    assert_eq!(put(store, "a", b"2", None), PutOutcome::Conflict(Some(first)));
    let second = stored(put(store, "a", b"2", Some(first)));
    assert!(second > first);
    assert_eq!(put(store, "a", b"3", Some(first)), PutOutcome::Conflict(Some(second)));
    assert_eq!(get(store, "a"), Some((b"2".to_vec(), second)));
    // The same bytes again are a new writing.
    assert_ne!(stored(put(store, "a", b"2", Some(second))), second);
}

fn a_version_is_never_used_again(store: &dyn Store) {
    let first = stored(put(store, "a", b"1", None));
    assert_eq!(store.delete_if("a", first), Ok(DeleteOutcome::Deleted));
    let again = stored(put(store, "a", b"1", None));
    assert_ne!(again, first);
    assert_eq!(put(store, "a", b"2", Some(first)), PutOutcome::Conflict(Some(again)));
}

fn values_are_any_bytes(store: &dyn Store) {
    let long = vec![0xA5; 3 << 20];
    for (key, value) in [("empty", &b""[..]), ("nul", b"\0\xff\0"), ("long", &long)] {
        let version = stored(put(store, key, value, None));
        assert!(get(store, key) == Some((value.to_vec(), version)), "{key}");
    }
}

fn lists_are_in_byte_order_by_prefix(store: &dyn Store) {
    for key in ["b/2", "b/10", "a", "b/1", "b", "b.x", "c/1", "B/1", "b/1/x"] {
        stored(put(store, key, b"", None));
    }
    let list = |prefix: &str| store.list(prefix).expect("a list works");
    assert_eq!(list(""), ["B/1", "a", "b", "b.x", "b/1", "b/1/x", "b/10", "b/2", "c/1"]);
    assert_eq!(list("b/"), ["b/1", "b/1/x", "b/10", "b/2"]);
    assert_eq!(list("b/1"), ["b/1", "b/1/x", "b/10"]);
    assert_eq!(list("d"), Vec::<String>::new());
    // Not a pattern.
    assert_eq!(list("%"), Vec::<String>::new());
    assert_eq!(list("b_"), Vec::<String>::new());
}

fn deletion_needs_the_version(store: &dyn Store) {
    let first = stored(put(store, "a", b"1", None));
    let second = stored(put(store, "a", b"2", Some(first)));
    assert_eq!(store.delete_if("a", first), Ok(DeleteOutcome::Conflict(second)));
    assert!(get(store, "a").is_some());
    assert_eq!(store.delete_if("a", second), Ok(DeleteOutcome::Deleted));
    assert_eq!(get(store, "a"), None);
    assert_eq!(store.delete_if("a", second), Ok(DeleteOutcome::Absent));
}

fn a_batch_has_an_outcome_each(store: &dyn Store) {
    let held = stored(put(store, "held", b"1", None));
    let batch = |key: &str, value: &[u8], expected| Put { key: key.to_owned(), value: value.to_vec(), expected };
    let outcomes = store
        .put_all_if(&[
            batch("new", b"2", None),
            batch("held", b"2", None),
            batch("held", b"3", Some(held)),
            batch("new", b"3", None),
        ])
        .expect("a batch works");
    let new = stored(outcomes[0]);
    assert_eq!(outcomes[1], PutOutcome::Conflict(Some(held)));
    let replaced = stored(outcomes[2]);
    assert_eq!(outcomes[3], PutOutcome::Conflict(Some(new)));
    assert_eq!(get(store, "new"), Some((b"2".to_vec(), new)));
    assert_eq!(get(store, "held"), Some((b"3".to_vec(), replaced)));
}

fn handles_see_each_other(one: &dyn Store, other: &dyn Store) {
    let first = stored(put(one, "a", b"1", None));
    assert_eq!(get(other, "a"), Some((b"1".to_vec(), first)));
    assert_eq!(put(other, "a", b"2", None), PutOutcome::Conflict(Some(first)));
    let second = stored(put(other, "a", b"2", Some(first)));
    assert_eq!(one.delete_if("a", first), Ok(DeleteOutcome::Conflict(second)));
    assert_eq!(one.delete_if("a", second), Ok(DeleteOutcome::Deleted));
    assert_eq!(other.list(""), Ok(Vec::new()));
}

fn of_two_writers_one_wins<Open: Fn() -> Box<dyn Store> + Sync>(open: &Open) {
    for round in 0..20 {
        let key = format!("round-{round}");
        let race = |value: &'static [u8]| {
            let key = key.clone();
            move || put(&*open(), &key, value, None)
        };
        let (one, other) = thread::scope(|scope| {
            let (one, other) = (scope.spawn(race(b"one")), scope.spawn(race(b"other")));
            (one.join().expect("no panic"), other.join().expect("no panic"))
        });
        let (value, version) = get(&*open(), &key).expect("one of them is there");
        let expected = match (one, other) {
            (PutOutcome::Stored(at), PutOutcome::Conflict(Some(seen))) if at == seen => (b"one".to_vec(), at),
            (PutOutcome::Conflict(Some(seen)), PutOutcome::Stored(at)) if at == seen => (b"other".to_vec(), at),
            both => panic!("two writers of a new key had {both:?}"),
        };
        assert_eq!((value, version), expected);
    }
}

fn no_increment_is_lost<Open: Fn() -> Box<dyn Store> + Sync>(open: &Open) {
    const WRITERS: u64 = 4;
    const EACH: u64 = 10;
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let store = open();
                for _ in 0..EACH {
                    loop {
                        let (count, version) = match get(&*store, "count") {
                            Some((bytes, version)) => (number(&bytes), Some(version)),
                            None => (0, None),
                        };
                        let next = (count + 1).to_string();
                        if let PutOutcome::Stored(_) = put(&*store, "count", next.as_bytes(), version) {
                            break;
                        }
                    }
                }
            });
        }
    });
    let (bytes, _) = get(&*open(), "count").expect("the count is there");
    assert_eq!(number(&bytes), WRITERS * EACH);
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).expect("a number was stored")
}
