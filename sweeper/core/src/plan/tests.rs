//! A plan of two actions, and what is wrong with it when one thing of it is not as it should be.

use super::{
    Action, Completeness, Copy, Held, Needs, Plan, PlanError, Risk, Totals, check, difference, read, write, written,
};
use crate::{
    deed::Deed,
    model::{DAY, Timestamp},
    money::{Amount, Basis},
    observe::Fields,
    policy::{Approve, Consent, Keep},
    report::MonthlyCost,
    testing,
};
use std::collections::BTreeMap;

const TAKEN: Timestamp = testing::NOW;
const NOW: Timestamp = TAKEN.plus(3600);

fn cost(amount: Option<i64>) -> MonthlyCost {
    MonthlyCost { amount: amount.map(Amount::whole), currency: "USD".to_owned(), basis: Basis::List }
}

fn action(no: u32, uid: &str) -> Action {
    Action {
        no,
        digest: String::new(),
        policy: "disks".to_owned(),
        detector: "unattached-disk".to_owned(),
        target: testing::volume(uid),
        expects: Fields::from([("uid".to_owned(), uid.to_owned())]),
        deed: Deed::Delete,
        keep: Some(Copy { keep: Keep::Snapshot, until: NOW.plus(30 * DAY), monthly_cost: cost(Some(1)) }),
        risk: Risk::Reversible,
        reversal: "from the copy".to_owned(),
        cascade: Vec::new(),
        after: Vec::new(),
        owner: None,
        owner_from: String::new(),
        needs: Needs { approve: Approve::Admin, consent: Consent::Objection },
        monthly_cost: cost(Some(8)),
        reason: "held for 14d".to_owned(),
        because: Vec::new(),
        assuming: Vec::new(),
    }
}

fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan {
        format: super::FORMAT.to_owned(),
        id: String::new(),
        deployment: "house".to_owned(),
        tool: "sweeper 0.1.0".to_owned(),
        survey: "s".to_owned(),
        taken_at: TAKEN,
        made: TAKEN.plus(60),
        expires: TAKEN.plus(7 * DAY),
        requester: "bob".to_owned(),
        policies: BTreeMap::from([("disks".to_owned(), "digest".to_owned())]),
        completeness: Completeness::default(),
        totals: Totals::default(),
        actions: vec![action(1, "vol-1"), action(2, "vol-2")],
        held: vec![Held { policy: "disks".to_owned(), resource: "r".to_owned(), reason: "protected: tag".to_owned() }],
    };
    change(&mut plan);
    written::sealed(plan).unwrap()
}

/// What the linter says, each with the number of its action.
fn said(plan: &Plan, now: Timestamp, rate: u32) -> Vec<(u32, String)> {
    check(plan, now, rate).into_iter().map(|note| (note.no, note.what)).collect()
}

#[test]
fn a_good_plan_has_no_notes_up_to_its_last_second() {
    let good = plan(|_| {});
    for now in [NOW, good.made, good.made.plus(-60), good.expires.plus(-1)] {
        assert_eq!(said(&good, now, 10), [], "{now}");
    }
    // A clock that is a minute behind is forgiven, one that is more is not.
    assert_eq!(said(&good, good.made.plus(-61), 10).len(), 1);
    assert_eq!(said(&good, good.expires, 10)[0].1, format!("it ended {}", good.expires));
}

#[test]
fn whatever_is_wrong_with_a_plan_is_said_of_its_action() {
    type Change = fn(&mut Plan);
    let wrongs: [(u32, &str, Change); 16] = [
        (0, "longer than 7 days", |plan| plan.expires = TAKEN.plus(7 * DAY + 1)),
        (0, "longer than 3 days", |plan| plan.actions[1].risk = Risk::OneWay),
        (0, "earlier than its survey", |plan| plan.made = TAKEN.plus(-1)),
        (2, "out of its order", |plan| plan.actions[1].no = 3),
        (2, "has two actions", |plan| plan.actions[1].target = plan.actions[0].target.clone()),
        (1, "must come first", |plan| plan.actions[0].after = vec![2]),
        (1, "must come first", |plan| plan.actions[0].after = vec![1]),
        (1, "no identity", |plan| plan.actions[0].target.uid = String::new()),
        (1, "no identity", |plan| plan.actions[0].target.uid = "vol-9".to_owned()),
        (1, "no identity", |plan| drop(plan.actions[0].expects.remove("uid"))),
        (2, "no policy `other`", |plan| plan.actions[1].policy = "other".to_owned()),
        (2, "no price in USD", |plan| plan.actions[1].monthly_cost.amount = None),
        (2, "no price in USD", |plan| plan.actions[1].monthly_cost.currency = "EUR".to_owned()),
        (1, "no policy asks for this deed", |plan| plan.actions[0].deed = Deed::Start),
        (1, "standing approval", |plan| {
            plan.actions[0].needs.approve = Approve::Standing;
            plan.actions[0].assuming = vec!["aws:1".to_owned()];
        }),
        (1, "standing approval", |plan| {
            plan.expires = TAKEN.plus(DAY);
            plan.actions[0].needs = Needs { approve: Approve::Standing, consent: Consent::Explicit };
            plan.actions[0].risk = Risk::Bin;
        }),
    ];
    for (at, (no, says, change)) in wrongs.into_iter().enumerate() {
        let notes = said(&plan(change), NOW, 10);
        let no = if no == 2 && says.contains("order") { 3 } else { no };
        assert!(notes.iter().any(|(own, what)| *own == no && what.contains(says)), "{at}: {says}: {notes:?}");
    }
    // Silence does not agree to what is lost, on top of that.
    let silent = plan(|plan| {
        plan.expires = TAKEN.plus(DAY);
        plan.actions[0].needs.approve = Approve::Standing;
        plan.actions[0].risk = Risk::OneWay;
    });
    assert!(said(&silent, NOW, 10).iter().any(|(no, what)| *no == 1 && what.contains("silence")));
    // Two are none too many: what waits is what comes before, and it is another account's rate that counts.
    let two = plan(|plan| plan.actions[1].after = vec![1]);
    assert_eq!(said(&two, NOW, 10), []);
}

#[test]
fn a_plan_is_no_longer_than_its_rate_allows() {
    let many = plan(|plan| plan.actions = (1..=60).map(|no| action(no, &format!("vol-{no}"))).collect());
    // 60 at one a minute take an hour.
    assert_eq!(said(&many, many.expires.plus(-3600), 1), []);
    assert_eq!(said(&many, many.expires.plus(-3599), 1).len(), 1);
    assert_eq!(said(&many, many.expires.plus(-1800), 2), []);
    let apart = plan(|plan| {
        plan.actions = (1..=60).map(|no| action(no, &format!("vol-{no}"))).collect();
        for action in plan.actions.iter_mut().skip(30) {
            action.target.account = "444455556666".to_owned();
        }
    });
    assert_eq!(said(&apart, apart.expires.plus(-1800), 1), []);
}

#[test]
fn a_plan_reads_as_it_was_written_and_every_digest_is_its_own() {
    let plan = plan(|_| {});
    let bytes = write(&plan).unwrap();
    assert_eq!(read(&bytes), Ok(plan.clone()));
    let digests = [&plan.id, &plan.actions[0].digest, &plan.actions[1].digest];
    for (at, digest) in digests.into_iter().enumerate() {
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        assert!(!digests[..at].contains(&digest));
    }
    // A price that was changed with everything else is said to be its action's.
    let text = String::from_utf8(bytes).unwrap();
    let wrong = text.replacen("\"amount\":\"8\"", "\"amount\":\"9\"", 1);
    assert_ne!(wrong, text);
    assert!(matches!(read(wrong.as_bytes()), Err(PlanError::Changed(why)) if why.contains("action 1")));
}

#[test]
fn plans_differ_by_what_they_do_to_what() {
    let old = plan(|_| {});
    assert_eq!(difference(&old, &old), super::Difference::default());
    let new = plan(|plan| {
        plan.actions[0].deed = Deed::Stop;
        plan.actions[0].needs.approve = Approve::TwoPeople;
        plan.actions[1] = action(2, "vol-3");
    });
    let found = difference(&old, &new);
    let id = |uid: &str| ("disks".to_owned(), format!("aws.ec2-volume:111122223333/eu-west-1/{uid}"));
    assert_eq!((found.added, found.removed), (vec![id("vol-3")], vec![id("vol-2")]));
    assert_eq!(found.changed.len(), 1);
    assert_eq!(found.changed[0].2, "stop was delete; it needs another approval");
    let seen = plan(|plan| drop(plan.actions[0].expects.insert("state".to_owned(), "attached".to_owned())));
    assert_eq!(difference(&old, &seen).changed[0].2, "state was nothing, is attached");
}

#[test]
fn a_plan_has_an_end() {
    // The first byte of each is none of a plan: no more of it is read.
    let largest = 256 << 20;
    assert!(matches!(read(&vec![0; largest]), Err(PlanError::Foreign(_))));
    assert_eq!(read(&vec![0; largest + 1]), Err(PlanError::TooLarge));
    assert_eq!(read(&vec![0; largest + 2]), Err(PlanError::TooLarge));
}

#[test]
fn risks_are_called_what_they_are_written_as() {
    for risk in [Risk::Reversible, Risk::Recreatable, Risk::Bin, Risk::OneWay] {
        assert_eq!(serde_json::to_value(risk).unwrap(), risk.name());
    }
}
