//! The demo's month: what it shows is what happened, and others can check what it leaves.

use super::Place;
use std::{fs, process::Command};

#[test]
fn a_month_ends_with_a_log_that_verifies_and_a_disk_that_is_back() {
    let place = Place::new();
    let played = place.run(&["demo", "--play", "--keep", "month"]);
    let text = played.ended(0);
    for part in [
        "sweeper plan -o plan.json",
        "of 6 done",
        "kept ",
        "left ",
        "sound",
        "is back as",
        "sweeper apply --ended-copies",
        "  snap-",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // By the binary, on what was left.
    let verified = place.run(&["audit", "verify", "--config", "month/sweeper.toml", "--state", "month/state.db"]);
    assert!(verified.ended(0).ends_with("sound\n"), "{verified:?}");
    let listed = place.run(&["undo", "--list", "--config", "month/sweeper.toml", "--state", "month/state.db"]);
    assert_eq!(listed.ended(0).matches("it was undone 2026-10-14").count(), 1, "{listed:?}");
    assert_eq!(listed.ended(0).matches("its copy was removed 2026-11-16").count(), 2, "{listed:?}");
    // By a program that shares no line with it.
    let key = fs::read_to_string(place.path("month/log.pub")).unwrap();
    let verifier = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/audit/verify.py");
    let log = place.path("month/state.audit");
    let checked = Command::new("python3").arg(verifier).arg(log).arg(key.trim()).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // A place where something is already is left as it is.
    place.run(&["demo", "--play", "--keep", "month"]).failed(2, &["month"]);
}
