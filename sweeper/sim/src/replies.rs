//! What the cloud answers to a request to delete one disk, and when it is asked again.

use crate::{
    cloud::{Event, MACHINE, Met},
    plans::machines,
    refusals::Stage,
};
use std::time::Duration;
use sweeper_core::{apply::Ended, claims, clock::Clock as _, deed::DeedKind, plan::Rules};

const SECOND: Duration = Duration::from_secs(1);

/// How one deletion ends that meets something, and what lies between its requests.
fn meets(met: &[Met]) -> (Ended, Vec<Duration>) {
    let mut stage = Stage::one_disk(|sim| sim.lasts(1, SECOND));
    stage.house.sim.meets(1, DeedKind::Delete, met);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(applied.stopped, None, "{applied:?}");
    let unknown = matches!(applied.ended[&1], Ended::Unknown(_));
    assert_eq!(claims::open(&stage.house.store, &stage.plan.id).unwrap().len(), usize::from(unknown));
    assert_eq!(stage.deleted(), usize::from(applied.done() == 1));
    let asked = stage.house.sim.asked(1, DeedKind::Delete);
    (applied.ended[&1].clone(), asked.windows(2).map(|two| two[1].saturating_sub(two[0])).collect())
}

#[test]
fn a_cloud_that_is_busy_is_asked_again_ever_later_and_not_for_ever() {
    let now = Met::Busy(Duration::ZERO);
    let (ended, waited) = meets(&[now; 2]);
    assert!(matches!(ended, Ended::Done { .. }), "{ended:?}");
    // From twice the pause between readings, doubling.
    assert!(waited.len() == 2 && (4 * SECOND..7 * SECOND).contains(&waited[0]), "{waited:?}");
    assert!((8 * SECOND..11 * SECOND).contains(&waited[1]), "{waited:?}");
    // As long as it says, within reason.
    let (_, waited) = meets(&[Met::Busy(90 * SECOND), Met::Busy(Duration::from_hours(9))]);
    assert!((90 * SECOND..93 * SECOND).contains(&waited[0]), "{waited:?}");
    assert!((120 * SECOND..123 * SECOND).contains(&waited[1]), "{waited:?}");
    let (ended, waited) = meets(&[now; 9]);
    assert!(matches!(&ended, Ended::Failed(why) if why.contains("slow down")), "{ended:?}");
    assert_eq!(waited.len() + 1, claims::SENDS as usize);
}

#[test]
fn what_nobody_answered_is_watched_for_a_while_before_it_goes_out_again() {
    let (ended, waited) = meets(&[Met::Lost; 2]);
    assert!(matches!(ended, Ended::Done { .. }), "{ended:?}");
    assert_eq!(waited.len(), 2);
    assert!(waited.iter().all(|time| (32 * SECOND..45 * SECOND).contains(time)), "{waited:?}");
    let (ended, waited) = meets(&[Met::Lost; 9]);
    assert!(matches!(&ended, Ended::Unknown(why) if why.contains("connection reset")), "{ended:?}");
    assert_eq!(waited.len() + 1, claims::SENDS as usize);
}

#[test]
fn what_was_refused_is_not_asked_again() {
    let (ended, waited) = meets(&[Met::Refused]);
    assert!(matches!(&ended, Ended::Failed(why) if why.contains("not like this")), "{ended:?}");
    assert!(waited.is_empty());
}

#[test]
fn what_somebody_else_deleted_first_is_not_our_doing() {
    assert_eq!(meets(&[Met::Gone]), (Ended::AlreadyGone, vec![]));
    // While the cloud was busy.
    let mut stage = Stage::one_disk(|sim| sim.lasts(1, SECOND));
    stage.house.sim.meets(1, DeedKind::Delete, &[Met::Busy(60 * SECOND), Met::Gone]);
    stage.house.sim.soon(Event::Delete(1), 40 * SECOND);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!((&applied.ended[&1], stage.deleted()), (&Ended::AlreadyGone, 0));
    assert_eq!(stage.house.sim.asked(1, DeedKind::Delete).len(), 1);
}

/// A disk that is deleted, or a machine that is stopped, and what becomes of it when somebody else deletes it meanwhile:
/// how it ends, and how long after the first request the last one was made.
fn vanishes(deed: DeedKind, met: &[Met], gone: Option<Duration>) -> (Ended, Duration) {
    let mut stage = match deed {
        DeedKind::Delete => Stage::one_disk(|sim| sim.lasts(1, SECOND)),
        _ => Stage::under(&machines("stop", "running"), &Rules::default(), &MACHINE, (0, 1), |_| {}),
    };
    stage.house.sim.meets(1, deed, met);
    let before = stage.house.sim.clock.mono();
    if let Some(gone) = gone {
        stage.house.sim.soon(Event::Delete(1), gone);
    }
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    let last = stage.house.sim.asked(1, deed).last().copied().unwrap_or_default();
    (applied.ended[&1].clone(), last.saturating_sub(before))
}

#[test]
fn what_goes_while_a_stop_waits_was_not_stopped() {
    let (ended, _) = vanishes(DeedKind::Stop, &[Met::Busy(60 * SECOND)], Some(40 * SECOND));
    assert_eq!(ended, Ended::Failed("it is gone".to_owned()));
}

/// Whatever the moment at which it goes after a request that nobody answered: a deletion has what it wanted, and a stop
/// does not know what it did.
#[test]
fn what_goes_after_a_request_that_nobody_answered_is_deleted_but_not_stopped() {
    for deed in [DeedKind::Delete, DeedKind::Stop] {
        let (ended, again) = vanishes(deed, &[Met::Lost], None);
        assert!(matches!(ended, Ended::Done { .. }), "{ended:?}");
        for early in (0..2_000).step_by(20) {
            let (ended, _) = vanishes(deed, &[Met::Lost], Some(again.saturating_sub(Duration::from_millis(early))));
            let right = match deed {
                DeedKind::Delete => matches!(ended, Ended::Done { .. } | Ended::AlreadyGone),
                _ => matches!(ended, Ended::Unknown(_) | Ended::Failed(_) | Ended::AlreadyGone),
            };
            assert!(right, "{deed:?}, {early} ms before the second request: {ended:?}");
        }
    }
}

/// The connection breaks long after the lock ran out: what was sent is looked for all the same, and nothing follows.
#[test]
fn an_answer_that_comes_after_the_lock_is_no_sign_that_nothing_was_done() {
    let mut stage = Stage::one_disk(|sim| sim.lasts(1, SECOND));
    stage.house.sim.meets(1, DeedKind::Delete, &[Met::Hangs(300 * SECOND)]);
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert!(matches!(applied.ended[&1], Ended::Done { .. }), "{applied:?}");
    assert_eq!((stage.deleted(), stage.house.sim.asked(1, DeedKind::Delete).len()), (1, 1));
}

#[test]
fn what_takes_long_is_read_ever_more_seldom() {
    let mut stage = Stage::one_disk(|sim| sim.lasts(1, 500 * SECOND));
    let note = stage.note(|_| {});
    let applied = stage.apply(&[note]);
    assert_eq!(applied.done(), 1, "{applied:?}");
    // Twice 500 seconds, of its copy and of itself: after 2, 4, 8, and then every 16 seconds.
    assert!((50..80).contains(&stage.house.sim.looked()), "{}", stage.house.sim.looked());
}
