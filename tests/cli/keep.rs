//! Keeping, telling and what is remembered, from outside.

use super::Place;
#[cfg(feature = "aws")]
use std::fs;

#[cfg(feature = "aws")]
#[test]
fn keep_adds_an_exception_and_touches_nothing_else() {
    let place = Place::new();
    place.write("keep.toml", "# ours\n[[except]]\nresource = \"*:*/vol-1\"\nreason = \"x\"\nuntil = 2026-01-01");
    let before = fs::read_to_string(place.path("keep.toml")).unwrap();
    let keep = |until: &str, reason: &str| {
        place.run(&["keep", "*:*/vol-2", "--until", until, "--reason", reason, "--file", "keep.toml"])
    };
    keep("2020-01-01", "x").failed(2, &["2020-01-01 is over"]);
    keep("2999-01-01", "x").failed(2, &["180 days", "max_keep_days"]);
    keep("soon", "x").failed(2, &[]);
    keep("2999-01-01", "").failed(2, &[]);
    assert_eq!(fs::read_to_string(place.path("keep.toml")).unwrap(), before);
    // So that the longest that is allowed is still to come whenever this runs.
    place.write("sweeper.toml", "[house]\nmax_keep_days = 1000000\n");
    keep("2999-01-01", "ticket \"4711\"").ended(0);
    let after = fs::read_to_string(place.path("keep.toml")).unwrap();
    assert!(after.starts_with(&before) && after.contains("vol-2") && after.contains("4711"), "{after}");
    place.run(&["keep", "no-id", "--until", "2999-01-01", "--reason", "x"]).failed(2, &["not the form of a resource"]);
}

#[test]
fn notices_need_a_channel_and_state_that_lasts() {
    let place = Place::new();
    place.run(&["notify", "--preview"]).failed(2, &["no channel", "[[channel]]"]);
    place.write("sweeper.toml", "[[channel]]\nname = \"mail\"\nfile = \"out\"\n");
    place.run(&["notify", "--state", "memory:"]).failed(2, &["a state that lasts"]);
    place.run(&["ledger", "show", "--state", "none.db"]).failed(2, &["there is no state yet"]);
    assert!(!place.path("none.db").exists(), "looking makes none");
}
