//! Config and policies: read, checked, and written to start from.

use super::{Place, text};
use std::{fs, path::Path};

#[test]
fn every_problem_of_the_policies_is_shown_at_its_place() {
    let place = Place::new();
    let path = place.write(
        "rules.toml",
        "[[policy]]\nname = \"a\"\nsweep = \"unatached-disk\"\n\n[[policy]]\nnmae = \"b\"\nsweep = \"idle-vm\"\n",
    );
    let ran = place.run(&["policy", "check", text(&path)]);
    ran.failed(
        2,
        &[
            "rules.toml:3:9",
            "did you mean `unattached-disk`?",
            "rules.toml:6:1",
            "did you mean `name`?",
            "^^^^",
            "error: the policies have",
        ],
    );
}

#[test]
fn shells_are_told_what_there_is() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = place.run(&["completions", shell]);
        let script = ran.ended(0);
        assert!(script.contains("iac-index") && script.contains("fail-on"), "{shell}");
    }
    place.run(&["completions", "csh"]).failed(2, &["csh", "possible values"]);
}

#[test]
fn the_shipped_policies_are_sound_and_listed() {
    let place = Place::new();
    assert!(place.run(&["policy", "check"]).ended(0).contains("no errors"));
    let ran = place.run(&["policy", "list"]);
    assert!(ran.ended(0).contains("unattached-disks"), "{ran:?}");
}

#[test]
fn every_problem_of_the_config_is_shown_at_its_place() {
    let place = Place::new();
    place.write("sweeper.toml", "polcies = \"x\"\n\n[limits]\nrate = \"fast\"\n");
    let ran = place.run(&["report"]);
    ran.failed(2, &["sweeper.toml:1:1", "did you mean `policies`?", "sweeper.toml:4:8", "has 2 problems"]);
}

#[test]
fn init_writes_a_start_and_never_overwrites() {
    let place = Place::new();
    place.write("sweeper.toml", "deployment = \"mine\"\n");
    let ran = place.run(&["init"]);
    assert!(ran.ended(0).contains("kept ./sweeper.toml"), "{ran:?}");
    assert!(ran.out.contains("wrote ./policies/disks.toml"), "{ran:?}");
    assert_eq!(fs::read_to_string(place.path("sweeper.toml")).unwrap(), "deployment = \"mine\"\n");
    assert!(place.run(&["policy", "check", "policies"]).ended(0).contains("no errors"));
    fs::remove_file(place.path("sweeper.toml")).unwrap();
    assert!(place.run(&["init"]).ended(0).contains("wrote ./sweeper.toml"));
    assert!(place.run(&["policy", "check"]).ended(0).contains("no errors"), "the starter's policies are found");
}

#[test]
fn a_daemon_needs_a_schedule() {
    let place = Place::new();
    place.run(&["daemon"]).failed(2, &["no schedule", "[[schedule]]"]);
}

#[test]
fn a_bill_that_is_none_is_refused() {
    let place = Place::new();
    let path = place.write("bill.csv", "a,b\n1,2\n");
    place.run(&["bill", "--focus", text(&path)]).failed(2, &["failed to read the bill", "bill.csv"]);
}

/// The committed copies of the roles are those that this build writes. `SWEEPER_BLESS=1` writes them anew.
#[test]
fn the_roles_in_terraform_are_those_of_the_kinds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terraform/permissions");
    let bless = std::env::var("SWEEPER_BLESS").is_ok_and(|value| value == "1");
    let mut stale = Vec::new();
    for cloud in super::BUILT {
        let roles = [
            ("read", "account", "read"),
            ("read", "parent", "read-all"),
            ("mark", "account", "mark"),
            ("delete", "account", "delete"),
        ];
        for (role, at, name) in roles {
            let place = Place::new();
            let ran = place.run(&["permissions", "--cloud", cloud, "--role", role, "--at", at]);
            let path = folder.join(format!("{cloud}-{name}.json"));
            if bless {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, ran.ended(0)).unwrap();
            }
            let known = fs::read_to_string(&path).unwrap_or_default();
            if known != ran.ended(0) {
                stale.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert!(stale.is_empty(), "{stale:?}: run SWEEPER_BLESS=1 cargo test -p sweeper --test cli roles");
}

#[test]
fn roles_are_written_for_what_is_needed() {
    let place = Place::new();
    for cloud in super::BUILT {
        let all = place.run(&["permissions", "--cloud", cloud, "--format", "table"]);
        place.write("p.toml", "[[policy]]\nname = \"a\"\nsweep = \"unattached-disk\"\n");
        let some = place.run(&["permissions", "--cloud", cloud, "--policies", "p.toml", "--format", "table"]);
        assert!(some.ended(0).lines().count() < all.ended(0).lines().count(), "{some:?}");
        let role = |role: &str| place.run(&["permissions", "--cloud", cloud, "--role", role, "--format", "table"]);
        let (read, mark, delete) = (role("read"), role("mark"), role("delete"));
        let first = |ran: &super::Ran| -> std::collections::BTreeSet<String> {
            ran.ended(0).lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
        };
        // Who looks changes nothing, and who marks deletes nothing.
        assert!(!first(&read).iter().any(|one| one.to_lowercase().ends_with("delete") || one.contains(":Delete")));
        assert!(!first(&mark).iter().any(|one| one.to_lowercase().contains("delete") && !one.contains("DeleteTags")));
        assert!(first(&delete).iter().any(|one| one.to_lowercase().contains("delete")), "{delete:?}");
    }
    place.run(&["permissions"]).failed(2, &["--cloud"]);
    place.run(&["permissions", "--cloud", "azur"]).failed(2, &["did you mean `azure`?"]);
}
