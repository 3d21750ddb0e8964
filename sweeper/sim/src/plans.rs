//! What becomes an action of a plan, what is held, and what is said of it: drawn over small fleets in fine weather.

use crate::{
    cloud::{ACCOUNT, MACHINE, NAMED, Sim, VOLUME, Weather},
    history::FINE,
    refusals::{POLICIES, Stage, at_once},
};
use std::collections::BTreeMap;
use sweeper_core::{
    apply::Ended,
    kind::KindSpec,
    model::{DAY, Timestamp},
    money::Amount,
    plan::{Plan, Risk, Rules},
    policy::{Approve, Consent},
    waiver::Waiver,
};

/// Disks that are reported, so that they are listed.
const DISKS: &str = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n";

fn disks(change: (&str, &str)) -> String {
    POLICIES.replace("APPROVE", "admin").replace(change.0, change.1)
}

pub(crate) fn machines(verb: &str, state: &str) -> String {
    at_once(&format!(
        "name = \"machines\"\nclass = \"vm\"\nwhen = 'state == \"{state}\"'\nfor = \"1d\"\nthen = \"{verb}\""
    ))
}

fn drawn(text: &str, rules: &Rules, kind: &'static KindSpec, fleet: (u64, u64), ready: impl FnOnce(&Sim)) -> Plan {
    Stage::under(text, rules, kind, fleet, ready).plan
}

/// The ids of what is acted on, in order, and why what else there is is held.
fn sorted(plan: &Plan) -> (Vec<&str>, Vec<&str>) {
    assert_eq!(plan.totals.actions, plan.actions.len() as u64);
    assert_eq!(plan.totals.held, plan.held.len() as u64);
    (
        plan.actions.iter().map(|action| action.target.native_id.as_str()).collect(),
        plan.held.iter().map(|held| held.reason.as_str()).collect(),
    )
}

fn tag(sim: &Sim, uid: u64, key: &str, value: &str) {
    sim.alter(uid, |thing| drop(thing.tags.insert(key.to_owned(), value.to_owned())));
}

#[test]
fn what_has_its_tag_is_not_tagged_again() {
    let plan = drawn(&machines("tag", "running"), &Rules::default(), &MACHINE, (0, 3), |sim| {
        tag(sim, 1, "sweeper-found", "machines");
        tag(sim, 2, "sweeper-found", "others");
    });
    assert_eq!(sorted(&plan), (vec!["id-2", "id-3"], vec!["already: tagged sweeper-found"]));
}

#[test]
fn behind_a_fence_only_what_is_tagged_is_taken_away() {
    let fence = Rules { fence: true, ..Rules::default() };
    let tagged = |sim: &Sim| tag(sim, 2, "sweeper-found", "whoever");
    let plan = drawn(&machines("stop", "running"), &fence, &MACHINE, (0, 3), tagged);
    assert_eq!(sorted(&plan), (vec!["id-2"], vec!["fence: not tagged sweeper-found"; 2]));
    // To tag them is what the fence is for; without one nothing is asked for; and what has no tags stands before none.
    assert_eq!(drawn(&machines("tag", "running"), &fence, &MACHINE, (0, 3), |_| {}).actions.len(), 3);
    assert_eq!(drawn(&machines("stop", "running"), &Rules::default(), &MACHINE, (0, 3), tagged).actions.len(), 3);
    assert_eq!(drawn(&disks(("", "")), &fence, &VOLUME, (2, 3), |_| {}).actions.len(), 2);
}

#[test]
fn only_a_copy_that_can_be_made_is_kept_and_it_is_paid_for() {
    let plan = drawn(&disks(("", "")), &Rules::default(), &VOLUME, (2, 3), |_| {});
    assert_eq!(sorted(&plan), (vec!["id-1", "id-2"], vec![]));
    // Eight GiB at a nickel, each.
    assert_eq!(plan.totals.kept, Amount::parse("0.8").unwrap());
    assert!(plan.actions.iter().all(|action| action.risk == Risk::Reversible && action.keep.is_some()));
    let definition = disks(("keep = \"snapshot\"", "keep = \"definition\""));
    let plan = drawn(&definition, &Rules::default(), &VOLUME, (2, 3), |_| {});
    assert_eq!(sorted(&plan), (vec![], vec!["keep: no definition can be made of a volume"; 2]));
    let none = disks(("keep = \"snapshot\"", "keep = \"none\""));
    let plan = drawn(&none, &Rules::default(), &VOLUME, (2, 3), |_| {});
    assert!(plan.actions.iter().all(|action| action.risk == Risk::OneWay && action.needs.consent == Consent::Explicit));
    assert_eq!((plan.actions.len(), plan.totals.kept), (2, Amount::ZERO));
}

#[test]
fn a_plan_is_good_for_as_long_as_the_rules_say_and_never_longer() {
    let good = |keep: &str, max_age: i64, fresh: i64| {
        let rules = Rules { max_age, fresh, ..Rules::default() };
        let text = disks(("keep = \"snapshot\"", &format!("keep = \"{keep}\"")));
        let plan = drawn(&text, &rules, &VOLUME, (1, 3), |_| {});
        plan.expires.since(plan.taken_at) / DAY
    };
    assert_eq!((good("snapshot", 7 * DAY, 3 * DAY), good("none", 7 * DAY, 3 * DAY)), (7, 3));
    assert_eq!((good("snapshot", 2 * DAY, DAY), good("none", 2 * DAY, DAY)), (2, 1));
    assert_eq!((good("snapshot", 70 * DAY, 30 * DAY), good("none", 70 * DAY, 30 * DAY)), (7, 3));
}

/// What is stopped is off the bill only while it stays so: no total counts it.
#[test]
fn only_deletions_are_savings() {
    let both = [machines("stop", "running"), disks(("", ""))].concat();
    let plan = drawn(&both, &Rules::default(), &MACHINE, (0, 3), |sim| {
        sim.bring(&VOLUME, |thing| thing.created = Timestamp(0));
    });
    assert_eq!((plan.actions.len(), plan.totals.firm, plan.totals.unpriced), (4, Amount::whole(10), 0));
}

#[test]
fn a_plan_says_how_much_was_seen() {
    let text = machines("stop", "running");
    let seen = |text: &str, ready: &dyn Fn(&Sim), waive: bool| {
        let mut stage = Stage::under(text, &Rules::default(), &MACHINE, (0, 3), ready);
        if waive {
            let all = vec!["*".to_owned()];
            let waiver = Waiver {
                accounts: all.clone(),
                regions: Vec::new(),
                kinds: all,
                reason: "closing".to_owned(),
                until: "2027-01-31".to_owned(),
                ends: Timestamp(i64::MAX),
            };
            stage.house.waivers = vec![waiver];
        }
        stage.draw();
        let seen = stage.plan.completeness;
        (seen.complete, seen.none, seen.waived, seen.blind, seen.causes)
    };
    let denied = |sim: &Sim| sim.weather(Weather { denied_list: 1000, ..FINE });
    let cause = BTreeMap::from([("denied sim:List".to_owned(), 1)]);
    assert_eq!(seen(&text, &|_| {}, false), (1, 0, 0, 0, BTreeMap::new()));
    assert_eq!(seen(&text, &denied, false), (0, 0, 0, 1, cause));
    assert_eq!(seen(&text, &denied, true).2, 1);
    assert_eq!(seen(&text, &|sim| sim.close(&MACHINE), false), (0, 1, 0, 0, BTreeMap::new()));
    // Both sorts of disks, and the machines.
    let two = [DISKS, &text].concat();
    assert_eq!(seen(&two, &|sim| sim.close(&MACHINE), false), (2, 1, 0, 0, BTreeMap::new()));
    let two_closed = |sim: &Sim| {
        sim.close(&VOLUME);
        sim.close(&NAMED);
    };
    assert_eq!(seen(&two, &two_closed, false), (1, 2, 0, 0, BTreeMap::new()));
}

#[test]
fn what_goes_with_a_machine_is_in_the_plan_or_the_machine_stays() {
    let both = [DISKS, &machines("delete", "stopped")].concat();
    // Its own disk, another's, and an address, which stays.
    let with_disk = |sim: &Sim| {
        let own = sim.bring(&VOLUME, |thing| thing.used = true);
        sim.bring(&VOLUME, |thing| thing.used = true);
        sim.alter(1, |thing| thing.uses = vec![format!("id-{own}"), "eipalloc-1".to_owned()]);
    };
    let plan = drawn(&both, &Rules::default(), &MACHINE, (2, 1), with_disk);
    assert_eq!(plan.actions.len(), 2, "{:?}", plan.held);
    let one = plan.actions.iter().find(|action| action.target.native_id == "id-1").unwrap();
    let gone: Vec<(&str, Option<Amount>)> =
        one.cascade.iter().map(|gone| (gone.resource.as_str(), gone.monthly_cost.amount)).collect();
    assert_eq!(gone, [(&*format!("aws.sim-volume:{ACCOUNT}/us-east-1/id-4"), Some(Amount::whole(10)))]);
    assert!(plan.actions.iter().all(|action| action.risk == Risk::OneWay));
    assert_eq!(one.needs.approve, Approve::Admin);
    let other = plan.actions.iter().find(|action| action.target.native_id == "id-2").unwrap();
    assert_eq!(other.cascade, []);
    // Where nobody looked for disks, nobody knows which would go.
    let plan = drawn(&machines("delete", "stopped"), &Rules::default(), &MACHINE, (2, 1), with_disk);
    let unlisted = "cascade: 2 disks or interfaces would go along, and were not listed";
    assert_eq!(sorted(&plan), (vec!["id-2"], vec![unlisted]));
    // What its owner wants left alone does not go along.
    let protected = |sim: &Sim| {
        with_disk(sim);
        tag(sim, 4, "sweeper-protect", "yes");
    };
    let plan = drawn(&both, &Rules::default(), &MACHINE, (2, 1), protected);
    let (acted, held) = sorted(&plan);
    assert_eq!(acted, ["id-2"]);
    let says = |held: &&str| held.starts_with("cascade: ") && held.contains("id-4 would go along, and is protected");
    assert!(held.iter().any(says), "{held:?}");
    // Stopping takes nothing along.
    let stops = [DISKS, &machines("stop", "running")].concat();
    let plan = drawn(&stops, &Rules::default(), &MACHINE, (0, 1), |sim| {
        sim.alter(1, |thing| thing.uses = vec!["id-9".to_owned()]);
    });
    assert_eq!((plan.actions.len(), plan.actions[0].cascade.len()), (1, 0));
}

#[test]
fn what_would_go_along_and_is_protected_by_now_keeps_its_machine() {
    let both = [DISKS, &machines("delete", "stopped")].concat();
    let mut stage = Stage::under(&both, &Rules::default(), &MACHINE, (1, 1), |sim| {
        let own = sim.bring(&VOLUME, |thing| thing.used = true);
        sim.alter(1, |thing| thing.uses = vec![format!("id-{own}")]);
    });
    tag(&stage.house.sim, 3, "sweeper-protect", "yes");
    let notes = stage.two_notes();
    let applied = stage.apply(&notes);
    assert!(matches!(&applied.ended[&1], Ended::Skipped(why) if why.starts_with("cascade: ")), "{applied:?}");
    assert_eq!(stage.deleted(), 0);
}
