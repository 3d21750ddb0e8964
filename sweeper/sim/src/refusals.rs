//! What is refused: plans, approvals and moments that are not what somebody agreed to. Each alone, in fine weather, so
//! that nothing else can be the reason.

use crate::{
    clock::SimClock,
    cloud::{ADDRESS, Event, MACHINE, Met, NAMED, Sim, VOLUME},
    fuse::{Blow, Fuse},
    history::{self, DEPLOYMENT, FlatPrices, House_, START, calls, policies, run, survey},
    rng::Rng,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use sweeper_core::{
    apply::{Applied, Ended, SWITCH, Stop, token, undo},
    approve::{Items, OneTime, Refusal, Standing, Text},
    audit::{AuditEvent, Body, Halt},
    clock::Clock as _,
    deed::{Deed, DeedKind},
    in_use::{DEFAULT_MAX_AGE, InUseFile, Outcome, Referrer, Referrers},
    kind::KindSpec,
    model::{DAY, Timestamp},
    money::Amount,
    note::Signer,
    plan::{self, Order, Plan, Rules},
    store::Store as _,
};

pub(crate) const POLICIES: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
when = "true"
for = "2d"
then = "delete"
keep = "snapshot"
grace = "0h"
consent = "objection"
approve = "APPROVE"
limit = { count = 50, share = "100%", monthly_usd = 2000 }
accounts = ["aws:111111111111"]
"#;

const UNUSED: u64 = 6;

/// A deployment after some days, with a plan of six disks.
pub(crate) struct Stage {
    pub(crate) house: House_,
    alice: Signer,
    mallory: Signer,
    pub(crate) plan: Plan,
}

impl Stage {
    fn new(approve: &str, order: impl FnOnce(&mut Order)) -> Self {
        Self::of(&VOLUME, UNUSED, approve, order)
    }

    fn of(kind: &'static KindSpec, unused: u64, approve: &str, order: impl FnOnce(&mut Order)) -> Self {
        let text = POLICIES.replace("APPROVE", approve);
        Self::made(&text, kind, (unused, 200), |_| {}, |house| drawn(house, order))
    }

    /// As [`Self::usual`], under other policies and rules, over another fleet that is made ready first.
    pub(crate) fn under(
        text: &str,
        rules: &Rules,
        kind: &'static KindSpec,
        fleet: (u64, u64),
        ready: impl FnOnce(&Sim),
    ) -> Self {
        Self::made(text, kind, fleet, ready, |house| drawn_by(house, rules, |_| {}))
    }

    fn made(
        text: &str,
        kind: &'static KindSpec,
        fleet: (u64, u64),
        ready: impl FnOnce(&Sim),
        draw: impl FnOnce(&House_) -> Plan,
    ) -> Self {
        let clock = SimClock::new(START);
        let sim = Sim::fleet(kind, Rng::new(7), Arc::clone(&clock), START, fleet);
        ready(&sim);
        let (house, alice, mallory) = House_::new(sim, policies(text).unwrap(), &clock).unwrap();
        let plan = draw(&house);
        Self { house, alice, mallory, plan }
    }

    /// One disk, and some that are in use.
    pub(crate) fn one_disk(ready: impl FnOnce(&Sim)) -> Self {
        Self::under(&POLICIES.replace("APPROVE", "admin"), &Rules::default(), &VOLUME, (1, 3), ready)
    }

    pub(crate) fn usual() -> Self {
        Self::new("admin", |_| {})
    }

    /// Draws it again, of what is so days later.
    pub(crate) fn draw(&mut self) {
        self.plan = drawn(&self.house, |_| {});
    }

    fn now(&self) -> Timestamp {
        self.house.clock.wall()
    }

    fn text(&self) -> OneTime {
        OneTime {
            plan: self.plan.id.clone(),
            deployment: DEPLOYMENT.to_owned(),
            items: Items::All,
            by: "alice".to_owned(),
            reviewers: BTreeSet::new(),
            count: 50,
            monthly_usd: Amount::whole(500),
            from: self.now(),
            until: self.now().plus(DAY),
            nonce: "a".repeat(32),
        }
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut OneTime)) -> Vec<u8> {
        let mut text = self.text();
        change(&mut text);
        self.alice.sign(&Text::OneTime(text).to_string()).unwrap().into_bytes()
    }

    /// The word of two admins, for what cannot be had back.
    pub(crate) fn two_notes(&mut self) -> [Vec<u8>; 2] {
        let carol = Signer::generate("carol", &[10; 32]).unwrap();
        history::trust(&mut self.house.trust, "carol", &carol);
        let hers = OneTime { by: "carol".to_owned(), nonce: "c".repeat(32), ..self.text() };
        [self.note(|_| {}), carol.sign(&Text::OneTime(hers).to_string()).unwrap().into_bytes()]
    }

    fn read(&self, note: &[u8]) -> Result<(), Refusal> {
        self.house.trust.read(note, DEPLOYMENT, self.now()).map(drop)
    }

    pub(crate) fn apply(&mut self, notes: &[Vec<u8>]) -> Applied {
        let fuse = Fuse::new(None, &self.house.clock);
        self.struck(notes, fuse).unwrap()
    }

    /// A run that may die.
    pub(crate) fn struck(&mut self, notes: &[Vec<u8>], fuse: Fuse) -> Option<Applied> {
        let holder = self.house.holder();
        let (house, plan) = (&self.house, &self.plan);
        house.clock.run(run(house, holder, plan, notes, fuse, None))
    }

    /// What the log has of items: the number of each, and what happened.
    pub(crate) fn log(&self) -> Vec<(u32, Body)> {
        let mut log = Vec::new();
        self.house.log.with(|contents| {
            for line in contents.segments.values().flat_map(|bytes| bytes.split(|byte| *byte == b'\n')) {
                if let Ok(event) = AuditEvent::parse(line) {
                    log.push((event.item.unwrap_or_default(), event.body));
                }
            }
        });
        log
    }

    /// Deletions that the cloud did.
    pub(crate) fn deleted(&self) -> usize {
        self.house.sim.done().iter().filter(|done| done.deed == DeedKind::Delete).count()
    }

    /// Nothing was done, and somebody who reads it knows why.
    fn refuses(&mut self, notes: &[Vec<u8>], says: &str) {
        let applied = self.apply(notes);
        let said = format!("{:?} {:?}", applied.stopped, applied.ended);
        assert!(said.contains(says), "{says:?} is not in {said}");
        assert_eq!(self.house.sim.done().len(), 0, "{says}: {said}");
    }
}

fn drawn(house: &House_, order: impl FnOnce(&mut Order)) -> Plan {
    drawn_by(house, &Rules::default(), order)
}

fn drawn_by(house: &House_, rules: &Rules, order: impl FnOnce(&mut Order)) -> Plan {
    let mut outcome = None;
    let begin = house.clock.mono().as_secs() / DAY as u64;
    for day in begin..begin + 4 {
        house.clock.until(Duration::from_secs(day * DAY as u64 + 3600));
        outcome = Some(house.clock.run(survey(house, &house.sim, &calls(&house.clock, day))));
    }
    let mut words = history::order("bob", "s".to_owned(), house.clock.wall());
    order(&mut words);
    plan::draw(outcome.unwrap().parts(&house.set), &words, rules, &FlatPrices).unwrap()
}

#[test]
fn what_is_in_order_is_done() {
    let mut stage = Stage::usual();
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(applied.stopped, None);
    assert_eq!((applied.done(), stage.deleted()), (UNUSED as usize, UNUSED as usize), "{:?}", applied.ended);
}

#[test]
fn a_plan_is_of_the_policies_that_were_asked_for_and_adds_up() {
    let stage = Stage::new("admin", |order| order.only = BTreeSet::from(["disks".to_owned()]));
    let totals = &stage.plan.totals;
    assert_eq!((totals.actions, totals.firm, totals.up_to), (UNUSED, Amount::whole(60), Amount::ZERO));
    let other = Stage::new("admin", |order| order.only = BTreeSet::from(["other".to_owned()]));
    assert!(other.plan.actions.is_empty() && other.plan.held.is_empty(), "{:?}", other.plan);
}

#[test]
fn what_was_done_can_be_taken_back_while_its_copy_is_there() {
    let mut stage = Stage::usual();
    let note = stage.note(|_| {});
    assert_eq!(stage.apply(&[note]).causes(), Vec::new());
    let entries = undo::list(&stage.house.store).unwrap();
    assert_eq!(entries.len(), UNUSED as usize);
    for entry in entries {
        let until = entry.until.unwrap();
        assert!(matches!(entry.reverse(until.plus(-1)), Ok(Deed::Restore { .. })), "{entry:?}");
        assert!(entry.reverse(until).unwrap_err().contains("ended"));
    }
}

#[test]
fn waves_are_left_alone_for_a_while() {
    let mut stage = Stage::usual();
    stage.house.soak = Some(Duration::from_hours(1));
    let note = stage.note(|text| text.until = text.from.plus(2 * DAY));
    let applied = stage.apply(&[note]);
    assert_eq!(applied.done(), UNUSED as usize, "{:?}", applied.ended);
    let times: Vec<Duration> =
        stage.house.sim.done().iter().filter(|done| done.deed == DeedKind::Delete).map(|done| done.at).collect();
    assert!(times[1] >= times[0] + Duration::from_hours(1), "{times:?}");
}

#[test]
fn deeds_are_as_far_apart_as_the_rate_says() {
    let mut stage = Stage::usual();
    stage.house.soak = Some(Duration::ZERO);
    stage.house.rate = Some(2);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(applied.done(), UNUSED as usize, "{:?}", applied.ended);
    let done = stage.house.sim.done();
    let times: Vec<Duration> = done.iter().filter(|done| done.deed == DeedKind::Delete).map(|done| done.at).collect();
    // Of any three the first and the last are a minute apart, but for the way of the calls.
    for three in times.windows(3) {
        assert!(three[2] >= three[0] + Duration::from_secs(50), "{times:?}");
    }
}

#[test]
fn the_log_says_which_copy_was_kept() {
    let mut stage = Stage::usual();
    let note = stage.note(|_| {});
    stage.apply(&[note]);
    let kept: Vec<_> = stage
        .log()
        .into_iter()
        .filter_map(|(_, body)| match body {
            Body::Keep(keep) => {
                Some((keep.resource.native_id, keep.copy.kind, keep.copy.native_id, keep.monthly_cost.is_some()))
            }
            _ => None,
        })
        .collect();
    let named = stage.log().into_iter().filter_map(|(_, body)| match body {
        Body::Outcome(outcome) => Some(outcome.request_id.is_some_and(|id| id.starts_with("req-"))),
        _ => None,
    });
    assert_eq!(named.collect::<Vec<_>>(), [true; 2 * UNUSED as usize]);
    assert_eq!(kept.len(), UNUSED as usize);
    for (of, kind, copy, priced) in kept {
        assert_eq!((kind.as_str(), priced), ("aws.sim-snapshot", true));
        assert_eq!(copy, of.replace("id-", "copy-"));
    }
}

#[test]
fn a_cap_that_held_something_back_is_told() {
    let mut stage = Stage::usual();
    stage.house.caps.count = 2;
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!((applied.done(), applied.causes().len()), (2, 1), "{:?}", applied.causes());
    assert_eq!(applied.causes()[0].code, 6);
}

#[test]
fn no_bit_of_a_plan_can_be_flipped() {
    // One action is enough: every field is there.
    let stage = Stage::of(&VOLUME, 1, "admin", |_| {});
    let bytes = plan::write(&stage.plan).unwrap();
    assert_eq!(plan::read(&bytes).unwrap(), stage.plan);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(plan::read(&changed).is_err(), "byte {at}, bit {bit}");
        }
        let mut shorter = bytes.clone();
        shorter.remove(at);
        assert!(plan::read(&shorter).is_err(), "without byte {at}");
    }
}

#[test]
fn no_bit_of_an_approval_can_be_flipped() {
    let stage = Stage::usual();
    let note = stage.note(|_| {});
    stage.read(&note).unwrap();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut changed = note.clone();
            changed[at] ^= 1 << bit;
            assert!(stage.read(&changed).is_err(), "byte {at}, bit {bit}: {}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn an_approval_is_of_a_person_a_plan_a_deployment_and_a_time() {
    let mut stage = Stage::usual();
    let now = stage.now();
    let is = |refusal: Result<(), Refusal>, expected: &str| {
        let said = refusal.unwrap_err().to_string();
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    };
    is(stage.read(&stage.note(|text| text.until = now)), "it ended");
    is(stage.read(&stage.note(|text| text.from = now.plus(1))), "it begins");
    is(stage.read(&stage.note(|text| text.deployment = "other".to_owned())), "of deployment other");
    is(stage.read(&stage.note(|text| text.by = "bob".to_owned())), "signed it");
    // A name that only looks the same is another: its first letter is Cyrillic.
    is(stage.read(&stage.note(|text| text.by = "\u{430}lice".to_owned())), "");
    let text = Text::OneTime(stage.text()).to_string();
    is(stage.read(stage.mallory.sign(&text).unwrap().as_bytes()), "no key of the trust roots");
    is(stage.read(text.as_bytes()), "");
    is(stage.read(b""), "");
    // Of another plan: nothing of this one is approved by it.
    let other = stage.note(|text| text.plan = "0".repeat(64));
    stage.refuses(&[other], "not approved");
    stage.refuses(&[], "not approved");
    // Who was given back the key, and whose time is over.
    let good = stage.note(|_| {});
    stage.house.trust.keys[0].until = now;
    is(stage.read(&good), "is good from");
    stage.house.trust.keys[0].until = Timestamp(i64::MAX);
    stage.house.trust.keys[0].revoked = true;
    is(stage.read(&good), "was revoked");
}

#[test]
fn who_asked_does_not_approve_and_one_person_is_not_two() {
    let mut own = Stage::new("admin", |order| order.requester = "alice".to_owned());
    let note = own.note(|_| {});
    own.refuses(&[note], "who asked for the plan does not count");
    // The same person by two keys, and by one key twice.
    let mut two = Stage::new("two-people", |_| {});
    let second = Signer::generate("alice", &[9; 32]).unwrap();
    history::trust(&mut two.house.trust, "alice", &second);
    let mut text = two.text();
    let first = two.note(|_| {});
    text.nonce = "b".repeat(32);
    let again = second.sign(&Text::OneTime(text.clone()).to_string()).unwrap().into_bytes();
    two.refuses(&[first.clone(), first.clone(), again], "two people");
    // With somebody else it is enough.
    let carol = Signer::generate("carol", &[10; 32]).unwrap();
    history::trust(&mut two.house.trust, "carol", &carol);
    text.by = "carol".to_owned();
    text.nonce = "c".repeat(32);
    let hers = carol.sign(&Text::OneTime(text).to_string()).unwrap().into_bytes();
    assert_eq!(two.apply(&[first, hers]).done(), UNUSED as usize);
}

#[test]
fn only_what_was_named_is_done_and_no_more_than_was_said() {
    let mut stage = Stage::usual();
    let note = stage.note(|text| text.items = Items::parse("2,4").unwrap());
    let applied = stage.apply(&[note]);
    let done: Vec<u32> =
        applied.ended.iter().filter(|(_, ended)| matches!(ended, Ended::Done { .. })).map(|one| *one.0).collect();
    assert_eq!(done, [2, 4]);
    let mut stage = Stage::usual();
    let note = stage.note(|text| text.count = 3);
    assert_eq!(stage.apply(&[note]).done(), 3);
    assert_eq!(stage.deleted(), 3);
    let mut stage = Stage::usual();
    let note = stage.note(|text| text.monthly_usd = Amount::whole(25));
    assert_eq!(stage.apply(&[note]).done(), 2, "ten dollars each");
}

#[test]
fn an_approval_is_used_for_one_plan() {
    let mut stage = Stage::usual();
    let note = stage.note(|text| text.items = Items::parse("1").unwrap());
    assert_eq!(stage.apply(&[note]).done(), 1);
    let done = stage.house.sim.done().len();
    // Another plan of the same things, and a note of it under the same nonce.
    stage.plan = drawn(&stage.house, |order| order.survey = "t".to_owned());
    let replayed = stage.note(|_| {});
    let applied = stage.apply(&[replayed]);
    assert!(
        matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("used before")),
        "{:?}",
        applied.stopped
    );
    assert_eq!(stage.house.sim.done().len(), done);
}

#[test]
fn a_standing_approval_is_of_one_policy_as_it_was() {
    let mut stage = Stage::new("standing", |_| {});
    let standing = |rule: String, scope: &str, deed: &str, days: i64| {
        Text::Standing(Standing {
            policy: "disks".to_owned(),
            rule,
            deployment: DEPLOYMENT.to_owned(),
            scopes: BTreeSet::from([scope.to_owned()]),
            deed: deed.to_owned(),
            by: "alice".to_owned(),
            count_run: 10,
            count_week: 30,
            usd_run: Amount::whole(1000),
            usd_week: Amount::whole(1000),
            usd_item: Amount::whole(10),
            from: stage.now(),
            until: stage.now().plus(days * DAY),
            nonce: "d".repeat(32),
        })
    };
    let rule = stage.house.set.policies[0].digest();
    let signed = |text: Text| stage.alice.sign(&text.to_string()).unwrap().into_bytes();
    let good = signed(standing(rule.clone(), "aws:111111111111", "delete", 30));
    let edited = signed(standing("0".repeat(64), "aws:111111111111", "delete", 30));
    let elsewhere = signed(standing(rule.clone(), "aws:222222222222", "delete", 30));
    let stop = signed(standing(rule.clone(), "aws:111111111111", "stop", 30));
    let long = signed(standing(rule, "aws:111111111111", "delete", 91));
    assert!(matches!(stage.read(&long), Err(Refusal::TooLong)));
    for note in [edited, elsewhere, stop] {
        stage.refuses(&[note], "not approved");
    }
    assert_eq!(stage.apply(&[good]).done(), UNUSED as usize);
}

#[test]
fn a_plan_is_of_a_deployment_a_release_and_a_week() {
    let mut other = Stage::new("admin", |order| order.deployment = "other".to_owned());
    let note = other.note(|_| {});
    other.refuses(&[note], "the plan is of deployment other");
    let mut newer = Stage::new("admin", |order| order.tool = "sweeper 9.0.0".to_owned());
    let note = newer.note(|_| {});
    newer.refuses(&[note], "the plan was made by sweeper 9.0.0");
    let mut old = Stage::usual();
    let note = old.note(|text| text.until = text.from.plus(60 * DAY));
    old.house.clock.jump(Duration::from_secs(8 * DAY as u64));
    old.refuses(&[note], "the plan:");
    let mut off = Stage::usual();
    off.house.trust.may_apply = false;
    let note = off.note(|_| {});
    off.refuses(&[note], "enabled = true");
    let mut cooling = Stage::usual();
    cooling.house.trust.changed = Some(cooling.now());
    let note = cooling.note(|_| {});
    cooling.refuses(&[note], "the trust roots changed");
    let mut edited = Stage::usual();
    let text = POLICIES.replace("APPROVE", "admin").replace("when = \"true\"", "when = \"size_gib > 1\"");
    edited.house.set = Arc::new(policies(&text).unwrap());
    let note = edited.note(|_| {});
    edited.refuses(&[note], "policy");
}

#[test]
fn an_error_that_nobody_expected_stops_before_the_next() {
    let mut stage = Stage::usual();
    let second = &stage.plan.actions[1].target;
    stage.house.sim.deny(second.uid.parse().unwrap());
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert!(matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("action 2")), "{:?}", applied.stopped);
    assert_eq!(stage.deleted(), 1, "only the first: {:?}", applied.ended);
    for no in 3..=UNUSED as u32 {
        assert!(matches!(applied.ended[&no], Ended::Left(_)), "{:?}", applied.ended[&no]);
    }
}

#[test]
fn the_kill_switch_stops_before_the_next_call() {
    let mut stage = Stage::usual();
    let at = stage.house.clock.mono() + Duration::from_mins(12);
    stage.house.pulled = Some(at);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert!(
        matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("kill switch")),
        "{:?}",
        applied.stopped
    );
    let late = stage.house.sim.done().iter().filter(|done| done.at > at + Duration::from_secs(2)).count();
    assert_eq!(late, 0);
    assert!(stage.deleted() < UNUSED as usize);
    let said = |halt: &Halt| halt.reason.contains("kill switch") && halt.left > Some(0);
    let halted = |body: &Body| matches!(body, Body::Halt(halt) if said(halt));
    assert!(stage.log().iter().any(|(_, body)| halted(body)), "the log does not say that it was stopped");
    // The key of the state, whatever it says.
    let mut stage = Stage::usual();
    stage.house.store.put_if(SWITCH, b"", None).unwrap();
    let note = stage.note(|_| {});
    stage.refuses(&[note], "kill switch");
}

#[test]
fn what_is_protected_between_waves_stays() {
    let mut stage = Stage::usual();
    for action in stage.plan.actions.iter().skip(1) {
        stage.house.sim.soon(Event::Protect(action.target.uid.parse().unwrap()), Duration::from_secs(1));
    }
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(stage.deleted(), 1, "{:?}", applied.ended);
}

#[test]
fn what_an_in_use_file_names_since_the_plan_stays() {
    let run = |age: i64, complete: bool, outcome: Option<&str>| {
        let mut stage = Stage::usual();
        let named = stage.plan.actions.iter().skip(1).map(|action| action.target.native_id.clone()).collect();
        let written = stage.house.clock.wall().plus(-age);
        let file = InUseFile::new(written, "prod".to_owned(), BTreeSet::new(), complete, named);
        stage.house.referrers = Referrers(vec![Referrer {
            name: "in-use.json".to_owned(),
            clouds: BTreeSet::new(),
            accounts: Vec::new(),
            clusters: Vec::new(),
            max_age: DEFAULT_MAX_AGE,
            outcome: outcome.map_or(Outcome::File(file), |why| Outcome::Unreadable(why.to_owned())),
        }]);
        let note = stage.note(|_| {});
        let applied = stage.apply(&[note]);
        (stage.deleted(), applied.ended.into_values().collect::<Vec<Ended>>())
    };
    let (deleted, ended) = run(60, true, None);
    let skipped =
        ended.iter().filter(|ended| matches!(ended, Ended::Skipped(why) if why.contains("no longer finds it")));
    assert_eq!((deleted, skipped.count()), (1, UNUSED as usize - 1), "{ended:?}");
    // One that cannot be relied on leaves everything: what it names is in use, and of the rest nobody knows.
    for (age, complete, outcome) in [(3 * DAY, true, None), (60, false, None), (60, true, Some("it is not there"))] {
        let (deleted, ended) = run(age, complete, outcome);
        assert_eq!(deleted, 0, "{ended:?}");
        let unknown = |ended: &&Ended| matches!(ended, Ended::Left(why) if why.contains("the in-use file in-use.json"));
        assert_eq!(
            ended.iter().filter(unknown).count(),
            if outcome.is_some() { UNUSED as usize } else { 1 },
            "{ended:?}"
        );
    }
}

#[test]
fn a_thing_that_is_made_again_stops_the_run() {
    let mut stage = Stage::of(&NAMED, UNUSED, "admin", |_| {});
    stage.house.sim.make_again(stage.plan.actions[0].target.uid.parse().unwrap());
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert!(matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("recreated")), "{:?}", applied.stopped);
    assert_eq!(stage.deleted(), 1, "{:?}", applied.ended);
}

#[test]
fn what_is_made_again_after_every_deletion_is_left_to_its_maker() {
    let mut stage = Stage::of(&NAMED, 1, "admin", |_| {});
    let mut held = Vec::new();
    for cycle in 0..10_u32 {
        let restless = stage.house.sim.things().values().find(|thing| !thing.used).map(|thing| thing.uid).unwrap();
        stage.house.sim.make_again(restless);
        if let Some(held_now) = stage.plan.held.iter().find(|held| held.reason.starts_with("managed elsewhere")) {
            held.push(held_now.reason.clone());
        } else {
            let note = stage.note(|text| text.nonce = format!("{cycle:032}"));
            stage.apply(&[note]);
        }
        stage.plan = drawn(&stage.house, |_| {});
    }
    // 50 days: after the second deletion it is left alone for 30, after the third for 60.
    assert!((2..=3).contains(&stage.deleted()), "{} {held:?}", stage.deleted());
    assert!(held.len() >= 7 && held[0].contains("deleted 2 times and made again each time"), "{held:?}");
}

#[test]
fn what_was_done_is_not_done_again() {
    let mut stage = Stage::usual();
    let note = stage.note(|_| {});
    stage.apply(std::slice::from_ref(&note));
    let done = stage.house.sim.done().len();
    let again = stage.apply(&[note]);
    assert_eq!((again.causes(), stage.house.sim.done().len()), (Vec::new(), done));
    for no in 1..=UNUSED as u32 {
        assert_eq!(again.ended[&no], Ended::Skipped("earlier: done".to_owned()));
    }
}

#[test]
fn over_a_state_that_is_read_only_nothing_is_asked_for() {
    let mut stage = Stage::one_disk(|_| {});
    let note = stage.note(|_| {});
    let fuse = Fuse::new(Some(Blow::ReadOnly), &stage.house.clock);
    let applied = stage.struck(&[note], fuse).unwrap();
    assert!(matches!(&applied.stopped, Some(Stop::Damaged(why)) if why.contains("readonly")), "{applied:?}");
    assert_eq!(applied.causes().iter().map(|cause| cause.code).collect::<Vec<_>>(), [8]);
    assert!(matches!(applied.ended[&1], Ended::Left(_)), "{applied:?}");
    for deed in [DeedKind::Copy, DeedKind::Delete] {
        assert!(stage.house.sim.asked(1, deed).is_empty());
    }
}

/// What was begun and left alone after all gives back its room: under a cap of one, another takes it.
#[test]
fn what_was_not_done_gives_its_room_back() {
    let text = POLICIES.replace("APPROVE", "admin");
    let mut stage = Stage::under(&text, &Rules::default(), &VOLUME, (2, 200), |sim| {
        sim.lasts(1, Duration::from_mins(8));
        sim.lasts(2, Duration::from_mins(8));
    });
    stage.house.caps.count = 1;
    let first = stage.plan.actions[0].target.uid.parse().unwrap();
    // While its copy is made.
    stage.house.sim.soon(Event::Protect(first), Duration::from_mins(3));
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert!(matches!(&applied.ended[&1], Ended::Skipped(why) if why.contains("sweeper-protect")), "{applied:?}");
    assert!(matches!(applied.ended[&2], Ended::Done { .. }), "{applied:?}");
    assert_eq!(applied.capped, Vec::<String>::new());
}

/// Whoever uses an address goes first; it may have gone in an earlier run, or by somebody else.
#[test]
fn what_comes_first_may_have_gone_before() {
    let machines =
        at_once("name = \"machines\"\nclass = \"vm\"\nwhen = 'state == \"stopped\"'\nfor = \"1d\"\nthen = \"delete\"");
    let disks = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n";
    let made = || {
        Stage::under(&[disks, &machines, &addresses()].concat(), &Rules::default(), &MACHINE, (1, 200), |sim| {
            for _ in 0..200 {
                sim.bring(&ADDRESS, |thing| thing.used = true);
            }
            let address = sim.bring(&ADDRESS, |thing| thing.created = START.plus(-100 * DAY));
            sim.alter(1, |thing| thing.uses = vec![format!("id-{address}")]);
        })
    };
    let mut stage = made();
    assert_eq!((stage.plan.actions.len(), stage.plan.actions[1].after.as_slice()), (2, &[1][..]));
    let notes = stage.two_notes();
    // Alone it has to wait.
    stage.house.sim.meets(1, DeedKind::Delete, &[Met::Refused]);
    let applied = stage.apply(&notes);
    assert!(matches!(&applied.ended[&2], Ended::Left(why) if why.starts_with("order: ")), "{applied:?}");
    // Somebody else deleted it.
    let mut stage = made();
    stage.house.sim.meets(1, DeedKind::Delete, &[Met::Gone]);
    let notes = stage.two_notes();
    let applied = stage.apply(&notes);
    assert_eq!(applied.ended[&1], Ended::AlreadyGone);
    assert!(matches!(applied.ended[&2], Ended::Done { .. }), "{applied:?}");
    // It went in a run that was stopped before the next.
    let mut stage = made();
    stage.house.soak = Some(Duration::from_hours(1));
    stage.house.pulled = Some(stage.house.clock.mono() + Duration::from_mins(20));
    let notes = stage.two_notes();
    let applied = stage.apply(&notes);
    assert_eq!((applied.done(), applied.stopped.is_some()), (1, true), "{applied:?}");
    stage.house.pulled = None;
    let applied = stage.apply(&notes);
    assert!(matches!(applied.ended[&2], Ended::Done { .. }), "{applied:?}");
}

#[test]
fn an_exception_that_was_written_since_holds() {
    let mut stage = Stage::usual();
    let except = "[[except]]\nresource = \"aws.sim-volume:*/id-4\"\nreason = \"forensics\"\nuntil = 2027-01-31\n";
    let text = [&POLICIES.replace("APPROVE", "admin"), except].concat();
    stage.house.set = Arc::new(policies(&text).unwrap());
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    for action in &stage.plan.actions {
        let ended = &applied.ended[&action.no];
        if action.target.native_id == "id-4" {
            assert!(matches!(ended, Ended::Skipped(why) if why.starts_with("decision: excepted")), "{ended:?}");
        } else {
            assert!(matches!(ended, Ended::Done { .. }), "{ended:?}");
        }
    }
    assert!(stage.house.sim.things().contains_key(&4));
}

#[test]
fn the_log_says_what_changed() {
    let mut stage = Stage::usual();
    let last = stage.plan.actions.last().unwrap().target.uid.parse().unwrap();
    stage.house.sim.soon(Event::Protect(last), Duration::from_secs(1));
    let note = stage.note(|_| {});
    stage.apply(&[note]);
    let skipped: Vec<_> = stage
        .log()
        .into_iter()
        .filter_map(|(no, body)| if let Body::Skip(skip) = body { Some((no, skip.field)) } else { None })
        .collect();
    assert_eq!(skipped, [(UNUSED as u32, Some("tag:sweeper-protect".to_owned()))]);
}

#[test]
fn no_more_than_a_share_of_what_is_there_goes() {
    let mut stage = Stage::of(&VOLUME, 20, "admin", |_| {});
    for _ in 0..400 {
        stage.house.sim.bring(&NAMED, |thing| thing.used = true);
    }
    let note = stage.note(|_| {});
    // 5 % of the volumes that are left, 210 of 220 by then, and of nothing else.
    assert_eq!(stage.apply(&[note]).done(), 10);
}

/// A policy that waits for nobody and keeps nothing, whose head this is.
pub(crate) fn at_once(head: &str) -> String {
    format!(
        "\n[[policy]]\n{head}\nkeep = \"none\"\ngrace = \"0h\"\nconsent = \"objection\"\napprove = \"admin\"\n\
         limit = {{ count = 50, share = \"100%\", monthly_usd = 2000 }}\naccounts = [\"aws:111111111111\"]\n"
    )
}

fn addresses() -> String {
    at_once("name = \"addresses\"\nsweep = \"unassociated-address\"\nwhen = \"true\"\nfor = \"1d\"\nthen = \"delete\"")
}

/// What waits for a copy lets others begin meanwhile; what waits for none goes as soon as it was read.
#[test]
fn only_copies_are_under_way_together() {
    let order = |stage: &mut Stage| -> Vec<(u32, &'static str)> {
        let notes = stage.two_notes();
        let applied = stage.apply(&notes);
        assert_eq!(applied.done(), UNUSED as usize, "{:?}", applied.ended);
        stage
            .log()
            .into_iter()
            .filter_map(|(no, body)| match body {
                Body::Intent(intent) if intent.action == "delete" => Some((no, "intent")),
                Body::Outcome(outcome) if outcome.action == "delete" => Some((no, "outcome")),
                _ => None,
            })
            .collect()
    };
    let mut alone = Stage::under(&addresses(), &Rules::default(), &ADDRESS, (UNUSED, 200), |_| {});
    let turns: Vec<_> = (1..=UNUSED as u32).flat_map(|no| [(no, "intent"), (no, "outcome")]).collect();
    assert_eq!(order(&mut alone), turns);
    let together = order(&mut Stage::usual());
    assert_eq!(together[..4], [(1, "intent"), (1, "outcome"), (2, "intent"), (3, "intent")]);
}

#[test]
fn the_last_wave_is_looked_at_as_well() {
    let mut stage = Stage::of(&NAMED, 1, "admin", |_| {});
    stage.house.sim.make_again(1);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(applied.done(), 1);
    assert!(matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("recreated")), "{:?}", applied.stopped);
}

/// Machines are listed along.
fn with_machines() -> String {
    let machines = "[[policy]]\nname = \"machines\"\nclass = \"vm\"\nwhen = 'state == \"running\"'\n";
    [&POLICIES.replace("APPROVE", "admin"), machines].concat()
}

#[test]
fn what_comes_back_under_another_id_and_its_name_stops_the_run() {
    let named = |sim: &Sim, uid: u64| {
        sim.alter(uid, |thing| drop(thing.tags.insert("Name".to_owned(), "web".to_owned())));
    };
    let mut stage = Stage::under(&with_machines(), &Rules::default(), &VOLUME, (UNUSED, 200), |sim| named(sim, 1));
    stage.house.sim.make_again(1);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    let says = |why: &str| why.contains("id-207 came in the place of") && why.contains("id-1");
    assert!(matches!(&applied.stopped, Some(Stop::Refused(why)) if says(why)), "{:?}", applied.stopped);
    assert_eq!(stage.deleted(), 1, "{:?}", applied.ended);
    // What has had that name all along, what is new and has another, and a machine of the name, are no such thing.
    let mut stage = Stage::under(&with_machines(), &Rules::default(), &VOLUME, (UNUSED, 200), |sim| {
        named(sim, 1);
        named(sim, 10);
    });
    let note = stage.note(|_| {});
    stage.house.sim.soon(Event::New(VOLUME.id), Duration::from_secs(20));
    let machine = stage.house.sim.bring(&MACHINE, |_| {});
    named(&stage.house.sim, machine);
    let applied = stage.apply(&[note]);
    assert_eq!((applied.stopped, applied.ended.len(), stage.deleted()), (None, UNUSED as usize, UNUSED as usize));
    assert!(stage.house.sim.things().values().any(|thing| thing.kind == VOLUME.id && thing.uid > machine));
}

#[test]
fn what_has_the_same_id_in_another_kind_is_another_thing() {
    let mut stage = Stage::under(&with_machines(), &Rules::default(), &VOLUME, (UNUSED, 200), |_| {});
    stage.house.sim.bring(&MACHINE, |thing| (thing.used, thing.id) = (true, "id-4".to_owned()));
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!((applied.stopped, stage.deleted()), (None, UNUSED as usize), "{:?}", applied.ended);
}

#[test]
fn what_somebody_turns_out_to_use_stops_the_run() {
    for (names, stopped) in [("id-1", true), ("id-1000", false)] {
        let mut stage = Stage::under(&with_machines(), &Rules::default(), &VOLUME, (UNUSED, 200), |_| {});
        stage.house.sim.bring(&MACHINE, |thing| (thing.used, thing.uses) = (true, vec![names.to_owned()]));
        let note = stage.note(|_| {});
        let applied = stage.apply(&[note]);
        let said = matches!(&applied.stopped, Some(Stop::Refused(why)) if why.contains("used after all"));
        assert_eq!(said, stopped, "{:?}", applied.stopped);
        assert_eq!(stage.deleted(), if stopped { 1 } else { UNUSED as usize }, "{:?}", applied.ended);
    }
}

#[test]
fn a_token_is_a_uuid_of_plan_item_and_deed() {
    let tokens: BTreeSet<String> = (1..=64).map(|no| token("plan", no, "delete")).collect();
    assert_eq!(tokens.len(), 64);
    let mut variants = BTreeSet::new();
    for token in &tokens {
        let parts: Vec<usize> = token.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{token}");
        assert!(token.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit()), "{token}");
        assert_eq!(&token[14..15], "8", "{token}");
        variants.insert(token[19..20].to_owned());
    }
    assert_eq!(variants.into_iter().collect::<String>(), "89ab");
    let first = token("plan", 1, "delete");
    assert_eq!(first, token("plan", 1, "delete"));
    assert!(![token("plan", 1, "copy"), token("plam", 1, "delete"), token("plan", 11, "delete")].contains(&first));
}
