//! Runs over a project that changes between them: what a report says is new, gone and changed, and the trend.

use super::{Place, Ran};
use std::{fmt::Write as _, fs};
use sweeper_core::{
    history::since::{Moved, Since, Why},
    report::Document,
};
use sweeper_emulator::{Emulator, Fault, FaultKind, Options, Org};
use tokio::runtime::Runtime;

const POLICIES: &str = "[[policy]]\nname = \"unattached-disks\"\nsweep = \"unattached-disk\"\n";
const EXCEPT: &str =
    "\n[[except]]\nresource = \"gcp.compute-disk:*/kept\"\nreason = \"forensics\"\nuntil = 2030-01-01\n";

/// A project with unattached disks of these names and sizes, GB.
fn org(disks: &[(&str, u32)]) -> Org {
    let mut text =
        "[[account]]\ncloud = \"gcp\"\nid = \"shop-prod\"\nnumber = \"222222222222\"\nname = \"shop\"\n".to_owned();
    for (name, size) in disks {
        writeln!(
            text,
            "\n[[resource]]\nkind = \"gcp.compute-disk\"\nid = \"{name}\"\nregion = \"us-central1-a\"\ncreated = \"-100d\"\nsize = {size}\ntype = \"pd-ssd\""
        )
        .unwrap();
    }
    Org::parse(&text).unwrap()
}

struct House {
    place: Place,
    /// One beginning of every emulator: identities are made of when a thing was made.
    options: Options,
    runtime: Runtime,
}

impl House {
    fn new() -> Self {
        let place = Place::new();
        place.write("policies.toml", POLICIES);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { place, options: Options::default(), runtime }
    }

    /// Runs over a project; its disks cannot be listed where that is denied.
    fn run(&self, disks: &[(&str, u32)], denied: bool, arguments: &[&str]) -> Ran {
        let fault = Fault { permission: Some("compute.disks.list".to_owned()), ..Fault::new(FaultKind::Denied) };
        let options = Options { faults: if denied { vec![fault] } else { Vec::new() }, ..self.options.clone() };
        let emulator = self.runtime.block_on(Emulator::start(org(disks), options)).unwrap();
        let mut command = self.place.command(arguments);
        command
            .args(["--policies", "policies.toml"])
            .env("SWEEPER_STATE", self.place.path("state.db"))
            .env("SWEEPER_GCP_ENDPOINT", emulator.url())
            .env("GOOGLE_CLOUD_PROJECT", "shop-prod");
        Ran::of(&command.output().unwrap())
    }

    fn since(&self, disks: &[(&str, u32)], denied: bool, against: &str) -> Since {
        let ran = self.run(disks, denied, &["report", "--format", "json", "--since", against]);
        let document: Document = serde_json::from_str(ran.ended(if denied { 3 } else { 0 })).unwrap();
        document.since.unwrap_or_else(|| panic!("{}", ran.err))
    }
}

fn named(since: &Since) -> [Vec<&str>; 3] {
    [&since.new, &since.gone, &since.changed]
        .map(|changes| changes.iter().map(|change| change.native_id.as_str()).collect())
}

#[test]
fn a_report_since_the_last_shows_what_changed_and_nothing_is_gone_unseen() {
    let house = House::new();
    let (first, later) = ([("kept", 10), ("old", 100)], [("kept", 10), ("new", 200)]);
    // Nothing to compare with: all of it, and a word.
    let ran = house.run(&first, false, &["report", "--since", "last", "--output", "first.txt"]);
    assert!(ran.err.contains("there is no earlier report in this state"), "{ran:?}");
    assert_eq!(ran.code, Some(0));
    house.run(&first, false, &["report", "--format", "json", "--output", "first.json"]).ended(0);
    assert!(house.since(&first, false, "last").is_empty());
    // What cannot be read is unknown, and no later report takes it for new.
    let blind = house.since(&first, true, "last");
    assert_eq!(named(&blind), [vec![], vec!["kept", "old"], vec![]]);
    assert!(blind.gone.iter().all(|change| change.why == Some(Why::NotSeen)), "{blind:?}");
    assert_eq!(blind.sums.net, Moved::default());
    assert!(house.since(&first, false, "last").is_empty());
    // A file is held against without the state.
    let from_file = house.since(&later, false, "first.json");
    assert_eq!(named(&from_file), [vec!["new"], vec!["old"], vec![]]);
    assert_eq!(from_file.gone[0].why, Some(Why::NotThere));
    house.place.write("policies.toml", &format!("{POLICIES}{EXCEPT}"));
    // That report became the last one; now an exception changes one decision.
    let excepted = house.since(&later, false, "last");
    assert_eq!(named(&excepted), [vec![], vec![], vec!["kept"]]);
    assert_eq!(excepted.changed[0].says, "decision: report to excepted");
    assert_eq!(excepted.same_policies, Some(false));
    // For people and sheets.
    for (format, word) in [("table", "Nothing changed."), ("markdown", "Nothing changed."), ("csv", "then_owner")] {
        let ran = house.run(&later, false, &["report", "--since", "last", "--format", format]);
        assert!(ran.ended(0).contains(word), "{format}: {ran:?}");
    }
    let ran = house.run(&first, false, &["report", "--since", "last"]);
    for word in ["NEW", "GONE", "old", "the resource is no longer there", "net"] {
        assert!(ran.ended(0).contains(word), "{word}: {}", ran.out);
    }
}

#[test]
fn surveys_are_held_against_each_other_and_leave_nothing() {
    let house = House::new();
    house.run(&[("old", 100)], false, &["survey", "--output", "a.json"]).ended(0);
    house.run(&[("new", 100)], false, &["survey", "--output", "b.json"]).ended(0);
    let before = fs::read(house.place.path("state.db")).unwrap();
    let offline = ["report", "--survey", "b.json", "--policies", "policies.toml", "--format", "json", "--since"];
    let ran = house.place.run(&[&offline[..], &["a.json"]].concat());
    let document: Document = serde_json::from_str(ran.ended(0)).unwrap();
    let since = document.since.unwrap();
    assert_eq!(named(&since), [vec!["new"], vec!["old"], vec![]]);
    assert_eq!((since.against.as_str(), since.sums.net), ("a.json", Moved::default()));
    house.place.run(&[&offline[..], &["last"]].concat()).failed(2, &["needs a state that lasts", "help:"]);
    house.place.run(&[&offline[..], &["policies.toml"]].concat()).failed(2, &["neither a report", "policies.toml"]);
    house.place.run(&[&offline[..], &["none.json"]].concat()).failed(2, &["failed to read none.json"]);
    assert_eq!(fs::read(house.place.path("state.db")).unwrap(), before);
    let trend = house.place.run(&["trend", "--survey", "a.json", "b.json", "--policies", "policies.toml"]);
    assert!(trend.ended(0).contains("unattached-disk"), "{trend:?}");
}

#[test]
fn a_trend_is_what_real_runs_left() {
    let house = House::new();
    let trend = |arguments: &[&str]| house.place.run(&[&["trend", "--state", "state.db"], arguments].concat());
    trend(&[]).failed(2, &["there is no state yet"]);
    house.place.write("policies.toml", &format!("{POLICIES}{EXCEPT}"));
    house.run(&[("kept", 10), ("old", 100)], false, &["report", "--now", "2026-11-20T12:00:00Z"]).ended(0);
    assert!(trend(&[]).ended(0).contains("no run is remembered"));
    house.run(&[("kept", 10), ("old", 100)], false, &["report"]).ended(0);
    let shown = trend(&[]);
    for word in ["1 day with a run", "OWNER", "nobody", "DETECTOR", "unattached-disk", "HELD", "excepted", "█"] {
        assert!(shown.ended(0).contains(word), "{word}: {}", shown.out);
    }
    assert!(!trend(&["--by", "owner"]).ended(0).contains("DETECTOR"));
    let machines: serde_json::Value = serde_json::from_str(trend(&["--format", "json"]).ended(0)).unwrap();
    assert_eq!(machines["format"], "sweeper.trend/1");
    assert_eq!(machines["runs"][0]["reasons"]["excepted"]["resources"], 1);
    assert!(trend(&["--format", "csv"]).ended(0).contains(",held,excepted,1,"));
}
