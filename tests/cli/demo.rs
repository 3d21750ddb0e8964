//! The demo: what its month and its bills show is what happened, and others can check what it leaves.

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

#[test]
fn bills_are_left_to_look_at_and_what_moved_is_told_apart() {
    let place = Place::new();
    let written = place.run(&["demo", "--bills", "the shop"]);
    assert_eq!(written.ended(0), "cd 'the shop' && sweeper bill --explain --survey survey.json\n");
    let config = fs::read_to_string(place.path("the shop/sweeper.toml")).unwrap();
    assert!(
        config.ends_with("[bill]\nfocus = [\"bills/aws\", \"bills/azure\", \"bills/gcp\"]\n"),
        "the config is {config}"
    );
    let told = place.run(&[
        "bill",
        "--focus",
        "the shop/bills/aws",
        "the shop/bills/azure",
        "the shop/bills/gcp",
        "--explain",
        "--survey",
        "the shop/survey.json",
        "--format",
        "json",
    ]);
    let json: serde_json::Value = serde_json::from_str(told.ended(0)).unwrap();
    assert!(told.err.is_empty(), "{told:?}");
    let story = &json["waterfall"];
    let cause = |name: &str| {
        let all = story["explained"].as_array().unwrap();
        all.iter().find(|one| one["cause"] == name).unwrap_or_else(|| panic!("{name} is not in {story:#}"))
    };
    let top = |of: &serde_json::Value| of["top"][0]["resource"].as_str().unwrap().to_owned();
    let evidence = |of: &serde_json::Value| of["top"][0]["evidence"][0].as_str().unwrap().to_owned();
    // New machines, with their disks, in each of the clouds.
    let made = cause("inventory");
    assert!(top(made).starts_with("i-05a1e") && evidence(made).contains("by the survey of"), "{made:#}");
    assert!(made["lines"].as_u64().unwrap() >= 14, "{made:#}");
    // An expired commitment, the calendar, and what nobody knows of.
    assert!(evidence(cause("commitment")).contains("savingsplan/5a5a5a5a"));
    assert_eq!(cause("commitment")["lines"], 40);
    assert!(top(cause("day-of-month")).ends_with(":db:catalogue-writer"));
    let left = &story["unexplained"]["by_resource"][0]["resource"];
    assert!(left.as_str().unwrap().ends_with("natgateway/nat-0faced0000000000a"), "{story:#}");
    assert_eq!(story["alert"]["outcome"], "rise");
    // At once, and in words.
    let shown = place.run(&["demo", "--bill"]);
    for part in ["made, gone or resized", "a commitment ended", "same day of last month", "unexplained"] {
        assert!(shown.ended(0).contains(part), "{part:?} is not in {shown:?}");
    }
    // A place where something is already is left as it is.
    place.run(&["demo", "--bills", "the shop"]).failed(2, &["the shop"]);
}
