//! Plan, approve, apply, prove, undo: the binary over a cloud that is served on this machine.

use super::{Place, Ran};
use std::{fs, process::Command, sync::Arc};
use sweeper_core::{
    ledger::{Advanced, Ledger as _},
    model::{DAY, Timestamp},
    plan,
};
use sweeper_emulator::{Emulator, Options, Org};
use sweeper_store::{SqliteStore, StoreLedger};
use tokio::runtime::Runtime;

const ORG: &str = r#"
[[account]]
cloud = "gcp"
id = "shop-lab"
number = "222222222222"
name = "shop"

[[resource]]
kind = "gcp.compute-disk"
id = "scratch-{n}"
count = 2
region = "us-central1-a"
size = 100
type = "pd-ssd"
created = "-100d"
detached = "-90d"
tags = { owner = "team" }

[[resource]]
kind = "gcp.compute-disk"
id = "kept"
region = "us-central1-a"
size = 100
type = "pd-ssd"
created = "-100d"
detached = "-90d"
tags = { owner = "team", sweeper-protect = "yes" }
"#;

const POLICIES: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
when = "true"
for = "14d"
then = "delete"
keep = "snapshot"
grace = "0h"
consent = "objection"
approve = "admin"
limit = { count = 10, share = "100%", monthly_usd = 500 }
accounts = ["gcp:shop-lab"]
"#;

/// A deployment over a project that is served here.
pub(super) struct Lab {
    pub(super) emulator: Emulator,
    pub(super) place: Place,
    _runtime: Runtime,
}

impl Lab {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let emulator = runtime.block_on(Emulator::start(Org::parse(ORG).unwrap(), Options::default())).unwrap();
        let place = Place::new();
        place.write("policies.toml", POLICIES);
        Self { emulator, place, _runtime: runtime }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command
            .env("SWEEPER_GCP_ENDPOINT", self.emulator.url())
            .env("GOOGLE_CLOUD_PROJECT", "shop-lab")
            .env("SWEEPER_USER", "bob@example.com")
            .env("SWEEPER_STATE", self.place.path("state.db"));
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// A config in which Alice may approve, and whose waves are not waited for.
    pub(super) fn config(&self, more: &str) {
        let key = self.run(&["approve", "--new-key", "alice@example.com", "--key", "alice.key"]);
        let approver = key.ended(0).replace("\"owner\"", "\"admin\"");
        let rules = "soak = \"1s\"\nlimit = { count = 10, share = \"100%\", monthly_usd = 500 }";
        let days = "act_days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]";
        let calendar = format!("[calendar]\nhours = \"00:00-24:00\"\n{days}");
        let class = "[[scope]]\naccounts = [\"gcp:shop-lab\"]\nclass = \"sandbox\"";
        self.place.write("sweeper.toml", &format!("[apply]\n{more}\n{rules}\n\n{calendar}\n\n{class}\n\n{approver}"));
    }

    /// As if the last month had been looked at: the clocks run since then, with two sightings.
    pub(super) fn a_month_later(&self) {
        self.run(&["report", "--cloud", "gcp", "--policies", "policies.toml", "--format", "json"]).ended(0);
        let ledger = StoreLedger::new(Arc::new(SqliteStore::open(&self.place.path("state.db")).unwrap()));
        let clocks = ledger.load().unwrap();
        assert!(!clocks.is_empty());
        let now = clocks.iter().map(|(_, sighting)| sighting.last_seen).max().unwrap();
        let slice = clocks
            .into_iter()
            .map(|(key, mut sighting)| {
                sighting.first_found = Timestamp(now.0 - 30 * DAY);
                sighting.observed = 30 * DAY;
                sighting.complete_sightings = 30;
                (key, sighting)
            })
            .collect();
        ledger.merge(&Advanced { at: Some(now), slice, cleared: Vec::new() }).unwrap();
    }

    pub(super) fn plan(&self) -> plan::Plan {
        self.run(&["plan", "--cloud", "gcp", "--policies", "policies.toml", "-o", "plan.json"]).ended(0);
        plan::read(&fs::read(self.place.path("plan.json")).unwrap()).unwrap()
    }

    /// The command that applies the plan.
    pub(super) fn applying(&self) -> Command {
        let plan = ["apply", "plan.json", "--approval", "plan.approval"];
        self.command(&[&plan[..], &["--cloud", "gcp", "--policies", "policies.toml"]].concat())
    }

    pub(super) fn apply(&self) -> Ran {
        Ran::of(&self.applying().output().unwrap())
    }
}

#[test]
fn what_was_approved_is_done_and_proved_and_taken_back() {
    let lab = Lab::new();
    lab.config("enabled = true\nkill_switch = \"stop\"");
    lab.a_month_later();
    let plan = lab.plan();
    let names: Vec<&str> = plan.actions.iter().map(|action| action.target.native_id.as_str()).collect();
    assert_eq!(names, ["scratch-0001", "scratch-0002"], "{plan:#?}");
    assert!(plan.held.iter().any(|held| held.resource.ends_with("kept") && held.reason.starts_with("protected")));
    // It is one JSON document, named by its content.
    let text = fs::read_to_string(lab.place.path("plan.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["id"], plan.id.as_str());
    // Without an approval nothing is done, and Bob's own word is none.
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    // While somebody holds the switch, nothing is done.
    lab.place.write("stop", "");
    let stopped = lab.apply();
    assert_eq!(stopped.code, Some(6), "{stopped:?}");
    assert!(stopped.err.contains("kill switch"), "{stopped:?}");
    assert_eq!(lab.emulator.count("scratch-0001"), 1);
    fs::remove_file(lab.place.path("stop")).unwrap();
    let done = lab.apply();
    assert!(done.ended(0).contains("2 of 2 done"), "{done:?}");
    assert_eq!(
        (lab.emulator.count("scratch-0001"), lab.emulator.count("scratch-0002"), lab.emulator.count("kept")),
        (0, 0, 1)
    );
    // Every change has an intent, and the log verifies.
    let verified = lab.run(&["audit", "verify"]);
    assert!(verified.ended(0).ends_with("sound\n"), "{verified:?}");
    let shown = lab.run(&["audit", "show", "--plan", &plan.id[..12]]);
    assert_eq!(shown.ended(0).matches("\"type\":\"intent\"").count(), 4, "two copies, two deletions: {shown:?}");
    // The same again changes nothing.
    let again = lab.apply();
    assert!(again.ended(0).contains("earlier: done"), "{again:?}");
    // Taken back, under its name, from the copy.
    let listed = lab.run(&["undo", "--list"]);
    let id = listed.ended(0).split_whitespace().next().unwrap().to_owned();
    lab.run(&["undo", &id, "--cloud", "gcp", "--policies", "policies.toml"]).ended(0);
    assert_eq!(lab.emulator.count("scratch-0001") + lab.emulator.count("scratch-0002"), 1);
    assert!(lab.run(&["audit", "verify"]).ended(0).ends_with("sound\n"));
    // A log that somebody changed is refused, and it says where.
    let segment = lab.place.path("state.audit/seg/000000000000.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("scratch-0001", "scratch-0009", 1)).unwrap();
    let spoiled = lab.run(&["audit", "verify"]);
    assert_eq!(spoiled.code, Some(8), "{spoiled:?}");
    assert!(spoiled.out.contains("segment 0 line"), "{spoiled:?}");
}

#[test]
fn an_apply_without_time_is_gone_on_from_with_the_same_plan() {
    let lab = Lab::new();
    lab.config("enabled = true");
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    let apply = ["apply", "plan.json", "--approval", "plan.approval", "--cloud", "gcp", "--policies", "policies.toml"];
    // No call that changes something fits into a second.
    let late = lab.run(&[&apply[..], &["--deadline", "1"]].concat());
    assert!(late.ended(0).contains("the same plan goes on where it stopped"), "{late:?}");
    assert_eq!(lab.emulator.count("scratch-0001") + lab.emulator.count("scratch-0002"), 2);
    let done = lab.run(&apply);
    assert!(done.ended(0).contains("2 of 2 done"), "{done:?}");
    assert_eq!(lab.emulator.count("scratch-0001") + lab.emulator.count("scratch-0002"), 0);
    assert!(lab.run(&["audit", "verify"]).ended(0).ends_with("sound\n"));
}

#[test]
fn an_installation_as_it_comes_changes_nothing() {
    let lab = Lab::new();
    lab.config("");
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    let refused = lab.apply();
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.err.contains("enabled = true"), "{refused:?}");
    let writes = lab.emulator.journal().into_iter().filter(|call| {
        ["delete", "create", "insert", "setLabels", "stop"].iter().any(|verb| call.permission.ends_with(verb))
    });
    assert_eq!(writes.count(), 0);
}

#[test]
fn a_plan_or_an_approval_that_was_changed_is_refused() {
    let lab = Lab::new();
    lab.config("enabled = true");
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    let plan = fs::read_to_string(lab.place.path("plan.json")).unwrap();
    // Another disk in the place of an approved one.
    lab.place.write("plan.json", &plan.replace("scratch-0002", "kept"));
    lab.apply().failed(6, &["changed since it was made", "action 2"]);
    lab.place.write("plan.json", &plan);
    let approval = fs::read_to_string(lab.place.path("plan.approval")).unwrap();
    lab.place.write("plan.approval", &approval.replace("count: 2", "count: 9"));
    lab.apply().failed(6, &["plan.approval", "does not hold"]);
    // A stranger's key.
    lab.run(&["approve", "--new-key", "mallory@example.com", "--key", "mallory.key"]).ended(0);
    lab.run(&["approve", "plan.json", "--key", "mallory.key", "-o", "plan.approval"]).failed(6, &["[[approver]]"]);
    assert_eq!(lab.emulator.count("scratch-0002"), 1);
}

#[test]
fn behind_the_fence_only_what_is_tagged_is_planned() {
    let lab = Lab::new();
    lab.config("enabled = true\nfence = true\ntag_key = \"condemned\"");
    lab.a_month_later();
    let plan = lab.plan();
    assert!(plan.actions.is_empty(), "{plan:#?}");
    assert_eq!(plan.held.iter().filter(|held| held.reason == "fence: not tagged condemned").count(), 2, "{plan:#?}");
    let tagged = serde_json::json!({ "tags.condemned": "disks" });
    assert_eq!(lab.emulator.set("scratch-0002", tagged.as_object().unwrap()), 1);
    let plan = lab.plan();
    let names: Vec<&str> = plan.actions.iter().map(|action| action.target.native_id.as_str()).collect();
    assert_eq!(names, ["scratch-0002"], "{:#?}", plan.held);
}
