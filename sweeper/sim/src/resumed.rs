//! Runs that die over one disk, and the next one: it reads what became of what was begun, and ends it.

use crate::{
    cloud::Met,
    fuse::{Blow, Fuse},
    history::silence,
    refusals::Stage,
};
use std::{collections::BTreeSet, time::Duration};
use sweeper_core::{
    apply::{Applied, Ended, undo},
    audit::Body,
    deed::DeedKind,
    model::DAY,
};

/// What each change of the disk takes: longer than the next run takes to come, and less than it goes on reading.
const LASTS: Duration = Duration::from_mins(1);
/// When the next run comes: what the dead one sent has arrived, and has not ended.
const NEXT: Duration = Duration::from_secs(45);

/// Kills a run at each of its steps, and gives what each next one came to.
fn killed(ready: impl Fn(&Stage), mut ended: impl FnMut(&Stage, Applied, &str)) {
    silence();
    for after in [false, true] {
        for step in 1.. {
            let mut stage = Stage::one_disk(|sim| sim.lasts(1, LASTS));
            stage.house.alone = true;
            ready(&stage);
            let note = stage.note(|text| text.until = text.from.plus(2 * DAY));
            let blow = if after { Blow::KillAfter(step) } else { Blow::KillBefore(step) };
            let fuse = Fuse::new(Some(blow), &stage.house.clock);
            let whole = stage.struck(std::slice::from_ref(&note), fuse).is_some();
            stage.house.clock.jump(NEXT);
            let looked = stage.house.sim.looked();
            let applied = stage.apply(&[note]);
            let about = format!("{blow:?}: {applied:?}");
            assert_eq!(applied.stopped, None, "{about}");
            // Not in a hurry: a minute is read a few times, the longer the more seldom.
            assert!(stage.house.sim.looked() - looked < 25, "{about}");
            ended(&stage, applied, &about);
            if whole {
                assert!(step > 40, "{step} steps");
                break;
            }
        }
    }
}

#[test]
fn wherever_a_run_dies_the_next_one_ends_what_it_began() {
    let mut ways = BTreeSet::new();
    killed(
        |_| {},
        |stage, applied, about| {
            let ended = &applied.ended[&1];
            let earlier = Ended::Skipped("earlier: done".to_owned());
            assert!(matches!(ended, Ended::Done { .. }) || *ended == earlier, "{about}");
            ways.insert(ended.name());
            assert_eq!(stage.deleted(), 1, "{about}");
            // It can be taken back, from its copy, and it is known by whose word it went.
            let entries = undo::list(&stage.house.store).unwrap();
            assert_eq!(entries.len(), 1, "{about}");
            let kept = entries[0].kept.as_ref().map(|kept| kept.native_id.as_str());
            assert_eq!(
                (kept, entries[0].approved_by.as_slice()),
                (Some("copy-1"), &["alice".to_owned()][..]),
                "{about}"
            );
            let log = stage.log();
            let kept = log.iter().any(|(_, body)| matches!(body, Body::Keep(keep) if keep.copy.native_id == "copy-1"));
            assert!(kept, "the log does not say what was kept: {about}");
            for (_, body) in log {
                if let Body::Outcome(outcome) = body {
                    assert_eq!(outcome.approved_by, ["alice"], "{about}");
                }
            }
        },
    );
    assert_eq!(ways, BTreeSet::from(["done", "skipped"]));
}

#[test]
fn a_copy_that_goes_on_is_left_to_a_later_run() {
    silence();
    let mut steps = 1..;
    let (mut stage, note) = loop {
        let mut stage = Stage::one_disk(|sim| sim.lasts(1, Duration::from_mins(9)));
        stage.house.alone = true;
        let note = stage.note(|text| text.until = text.from.plus(2 * DAY));
        let fuse = Fuse::new(steps.next().map(Blow::KillAfter), &stage.house.clock);
        assert_eq!(stage.struck(std::slice::from_ref(&note), fuse), None);
        if !stage.house.sim.asked(1, DeedKind::Copy).is_empty() {
            break (stage, note);
        }
    };
    stage.house.clock.jump(NEXT);
    let applied = stage.apply(std::slice::from_ref(&note));
    assert!(matches!(&applied.ended[&1], Ended::Left(why) if why.contains("copy is not known")), "{applied:?}");
    assert_eq!((applied.stopped, stage.deleted()), (None, 0));
    stage.house.clock.jump(Duration::from_mins(9));
    let applied = stage.apply(&[note]);
    assert!(matches!(applied.ended[&1], Ended::Done { .. }), "{applied:?}");
    assert_eq!(stage.house.sim.asked(1, DeedKind::Copy).len(), 1);
}

#[test]
fn without_its_copy_nothing_goes_wherever_a_run_dies() {
    let never = |stage: &Stage| stage.house.sim.meets(1, DeedKind::Copy, &[Met::Refused; 9]);
    killed(never, |stage, applied, about| {
        let ended = format!("{:?}", applied.ended[&1]);
        assert!(ended.contains("copy") || ended.contains("earlier: failed"), "{about}");
        assert_eq!(stage.deleted(), 0, "{about}");
        assert_eq!(undo::list(&stage.house.store).unwrap(), [], "{about}");
    });
}
