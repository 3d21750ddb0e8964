//! What every [`Store`] must do, as tests that each implementation runs.

use super::{DeleteOutcome, Put, PutOutcome, Store, Version};
use crate::{
    caps::{self, Caps, Charge, Meter, Population, Reserved},
    claims::{self, Item, Outcome, State, Writer},
    clock::VirtualClock,
    lease::{Holder, Lease, LeaseError, TTL},
    model::Timestamp,
    money::Amount,
};
use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

/// Opens a further handle on one state.
pub type Open<'a> = dyn Fn() -> Box<dyn Store> + Sync + 'a;

/// One check of a store that [`Open`] opens.
pub type Check = fn(&Open<'_>);

/// Every check, by name. Each needs an empty state, and panics where the store does not conform.
pub const CHECKS: &[(&str, Check)] = &[
    ("nothing is there at first", |open| nothing_is_there_at_first(&*open())),
    ("a put needs the version it replaces", |open| a_put_needs_the_version_it_replaces(&*open())),
    ("a version is never used again", |open| a_version_is_never_used_again(&*open())),
    ("values are any bytes", |open| values_are_any_bytes(&*open())),
    ("lists are in byte order by prefix", |open| lists_are_in_byte_order_by_prefix(&*open())),
    ("deletion needs the version", |open| deletion_needs_the_version(&*open())),
    ("a batch has an outcome each", |open| a_batch_has_an_outcome_each(&*open())),
    ("handles see each other", |open| handles_see_each_other(&*open(), &*open())),
    ("of two writers one wins", of_two_writers_one_wins),
    ("no increment is lost", no_increment_is_lost),
    ("of many one has the lease", of_many_one_has_the_lease),
    ("an item is sent once without a lease", an_item_is_sent_once_without_a_lease),
    ("runs at once share one cap", runs_at_once_share_one_cap),
];

/// Runs every check. `place` gives a new empty state each time, as a function that opens a further
/// handle on it.
///
/// # Panics
/// Where the store does not conform.
pub fn all<Place>(place: impl Fn() -> Place)
where
    Place: Fn() -> Box<dyn Store> + Sync,
{
    for (_, check) in CHECKS {
        check(&place());
    }
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

fn of_two_writers_one_wins(open: &Open<'_>) {
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

fn no_increment_is_lost(open: &Open<'_>) {
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

fn of_many_one_has_the_lease(open: &Open<'_>) {
    let clock = VirtualClock::new(Timestamp(1_800_000_000));
    let won = AtomicU32::new(0);
    thread::scope(|scope| {
        for run in 0..4 {
            let (clock, won) = (&clock, &won);
            scope.spawn(move || {
                let holder = Holder { by: "somebody".to_owned(), run: run.to_string() };
                match Lease::acquire(&*open(), &holder, TTL, clock) {
                    Ok(lease) => won.fetch_add(u32::try_from(lease.epoch()).expect("a small epoch"), Relaxed),
                    Err(LeaseError::Held { epoch: 1, .. }) => 0,
                    Err(error) => panic!("{error}"),
                };
            });
        }
    });
    assert_eq!(won.into_inner(), 1);
}

fn an_item_is_sent_once_without_a_lease(open: &Open<'_>) {
    const ITEMS: u32 = 5;
    let sent: Vec<AtomicU32> = (0..ITEMS).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for run in 0..8 {
            let sent = &sent;
            scope.spawn(move || {
                let store = open();
                let writer = Writer { epoch: 1, run: format!("run-{run}") };
                let now = Timestamp(1_800_000_000);
                for number in 0..ITEMS {
                    let (plan, resource) = (format!("plan-{}", run % 2), format!("vol-{number}"));
                    let item = Item { plan, number, resource, seen: now };
                    let outcome = claims::claim(&*store, &item, &writer, now).expect("a claim works");
                    let Outcome::Claimed(mut claim) = outcome else { continue };
                    if claims::advance(&*store, &mut claim, State::Sent, now, "").is_ok() {
                        sent[number as usize].fetch_add(1, Relaxed);
                        claims::advance(&*store, &mut claim, State::Confirmed, now, "").expect("it is ours");
                    }
                }
            });
        }
    });
    assert_eq!(sent.into_iter().map(AtomicU32::into_inner).collect::<Vec<_>>(), [1; ITEMS as usize]);
}

fn runs_at_once_share_one_cap(open: &Open<'_>) {
    let caps = Caps { count: 2, share: 0, monthly: Amount::whole(1000) };
    let meters = [Meter::new("all", caps, Population::Elsewhere), Meter::new("a/b", caps, Population::Elsewhere)];
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for run in 0..4 {
            let (meters, done) = (&meters, &done);
            scope.spawn(move || {
                let store = open();
                for number in 0..3 {
                    let (id, run) = (format!("{run}/{number}"), run.to_string());
                    let charge = Charge { id, run, count: 1, monthly: Some(Amount::whole(1)) };
                    let now = Timestamp(1_800_000_000);
                    if caps::reserve(&*store, meters, &charge, now).expect("a reservation works") == Reserved::Yes {
                        done.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 6);
}
