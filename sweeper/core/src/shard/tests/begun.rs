//! A look that has no time, and the next ones that go on from it.

use super::*;
use crate::{
    begun::{self, FRESH, Same},
    inventory::Status,
};
use std::time::Duration;

const SAME: Same<'static> = Same { schedule: "night: all", tool: "sweeper 1", rules: "digest" };

/// Everything that is known: coverage, and what is there.
fn known(outcome: &Outcome) -> Vec<String> {
    let inventory = &outcome.sealed.survey.inventory;
    let coverage = inventory.coverage();
    let covered = coverage
        .into_iter()
        .map(|(spec, scope, covered)| format!("{} {scope} {:?} {}", spec.id, covered.status, covered.resources));
    let mut known: Vec<String> = covered.chain(inventory.resources().map(crate::inventory::Resource::id)).collect();
    known.sort();
    known
}

struct Round {
    outcome: Outcome,
    calls: u64,
    went_on: Option<usize>,
    kept: Option<usize>,
    is_cut: bool,
}

impl World {
    /// One run of the schedule, of so many seconds.
    fn round(&self, at: Timestamp, seconds: u64) -> Round {
        let store: &dyn Store = self.store.as_ref();
        let limits =
            Limits { rate: 1.0, burst: 1.0, deadline: Some(Duration::from_secs(seconds)), ..Limits::default() };
        let calls = Calls::new(Arc::new(VirtualClock::new(at)), limits);
        let found = begun::load(store, SAME, &[&HERE, &THERE, &ONCE], at).unwrap();
        let (version, begun) = found.map(|found| (found.version(), found.begun)).unzip();
        let begun = begun.flatten();
        let went_on = begun.as_ref().map(|begun| begun.listings);
        let outcome = block(async {
            let universes = survey::universes(self.clouds(), &calls).await;
            engine::run_on(begun, self.inputs(&universes, &calls, None)).await
        });
        let survey = &outcome.sealed.survey;
        let is_cut = begun::is_cut(&survey.inventory, &survey.answers);
        let kept = if is_cut {
            let before = version.map(|version| (version, went_on.unwrap_or(0)));
            begun::keep(store, SAME, before, (survey.started, survey.taken_at), &survey.inventory).unwrap()
        } else {
            if let Some(version) = version {
                begun::forget(store, SAME.schedule, version).unwrap();
            }
            None
        };
        let calls = calls.journal().values().map(|tally| tally.calls).sum();
        Round { outcome, calls, went_on, kept: kept.map(|(listings, _)| listings), is_cut }
    }

    fn begun(&self, same: Same<'_>, now: Timestamp) -> Option<usize> {
        let found = begun::load(self.store.as_ref(), same, &[&HERE, &THERE, &ONCE], now).unwrap();
        found?.begun.map(|begun| begun.listings)
    }
}

#[test]
fn runs_without_time_come_to_what_one_run_sees() {
    let world = World::new(1);
    let whole = world.whole(&InMemory::default());
    let mut at = NOW;
    let mut kept = None;
    let mut further = 0;
    let mut seconds = 2;
    // Each has twice the time of the one before: some of them get no further.
    let last = loop {
        let round = world.round(at, seconds);
        assert_eq!(round.went_on, kept, "each goes on from what the one before left");
        if !round.is_cut {
            break round;
        }
        if round.kept.is_some() {
            assert!(round.kept > kept);
            kept = round.kept;
            further += 1;
        }
        at = at.plus(60);
        seconds *= 2;
        assert!(seconds < 10_000, "it never ends");
    };
    assert!(further > 1 && last.kept.is_none(), "{further}");
    assert_eq!(known(&last.outcome), known(&whole));
    let survey = &last.outcome.sealed.survey;
    assert_eq!(survey.started, NOW);
    assert!(survey.taken_at.since(NOW) <= 3, "of the instant at which the first was ended");
    let anew = World::new(1).round(NOW, 10_000);
    assert!(last.calls < anew.calls, "what was listed is not listed again: {} of {}", last.calls, anew.calls);
    assert_eq!(world.begun(SAME, at), None, "what came to its end leaves nothing");
}

#[test]
fn a_listing_that_did_not_see_everything_is_made_again() {
    let world = World::new(1);
    assert!(world.round(NOW, 4).kept.is_some());
    let next = world.round(NOW.plus(60), 10_000);
    let inventory = &next.outcome.sealed.survey.inventory;
    let scope = crate::model::Scope::new(CloudId::Aws, "3", "r-9");
    let covered = inventory.covered(ONCE.id, &scope).unwrap();
    assert_eq!(covered.status, Status::Blind { why: "denied somewhere".to_owned() });
    let once = inventory.covered(ONCE.id, &crate::model::Scope::new(CloudId::Aws, "3", crate::model::Scope::GLOBAL));
    assert!(once.is_some_and(|covered| covered.status == Status::Complete && covered.calls > 0));
}

#[test]
fn what_is_old_or_of_something_else_is_not_gone_on_from() {
    let world = World::new(1);
    let listings = world.round(NOW, 4).kept.unwrap();
    let soon = NOW.plus(60);
    assert_eq!(world.begun(SAME, soon), Some(listings));
    assert_eq!(world.begun(SAME, NOW.plus(FRESH)), Some(listings));
    assert_eq!(world.begun(SAME, NOW.plus(FRESH + 1)), None, "stale");
    assert_eq!(world.begun(SAME, NOW.plus(-60)), None, "the clock was put back");
    for other in
        [Same { schedule: "weekly", ..SAME }, Same { tool: "sweeper 2", ..SAME }, Same { rules: "of others", ..SAME }]
    {
        assert_eq!(world.begun(other, soon), None, "{other:?}");
    }
    // A run that gets no further leaves what is there, and is not gone on from again and again.
    let key = world.store.list("job/begun/").unwrap().remove(0);
    let (bytes, version) = world.store.get(&key).unwrap().unwrap();
    let round = world.round(soon, 0);
    assert_eq!((round.went_on, round.kept), (Some(listings), None));
    assert_eq!(world.begun(SAME, soon), Some(listings));
    // What cannot be read is not there, and is replaced.
    world.store.put_if(&key, &bytes[..bytes.len() / 2], Some(version)).unwrap();
    assert_eq!(world.begun(SAME, soon), None);
    let again = world.round(soon, 4);
    assert_eq!(again.went_on, None);
    assert!(again.kept.is_some());
}
