//! What may be used once: approvals of a plan, and triggers that are delivered at least once. A standing
//! approval may be used often; its uses are counted on a meter of its own.

use crate::{
    caps::{Caps, Meter, Population},
    model::Timestamp,
    store::{
        Store, StoreError,
        document::{self, Document, Next, part},
    },
};
use serde::{Deserialize, Serialize};

/// Where used approvals are kept.
pub(crate) const APPROVALS: &str = "used/approval/";
/// Where triggers that came are kept.
pub(crate) const TRIGGERS: &str = "used/trigger/";

/// The use of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// For what: the plan's id.
    pub plan: String,
    /// By which run.
    pub run: String,
    pub at: Timestamp,
    /// When the approval ends, and with it the danger of its being used again.
    pub until: Timestamp,
}

impl Document for Use {
    const FORMAT: &'static str = "sweeper.used-approval";
}

/// What became of using an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Consumed {
    /// It was unused, and is used now.
    Now,
    /// It was used for the same plan: a run that goes on where another stopped, not a second use.
    SamePlan(Use),
    /// It was used for something else, and gives no leave.
    Spent(Use),
}

/// Uses an approval by its nonce, for one plan and for ever.
pub fn consume(store: &dyn Store, nonce: &str, this: &Use) -> Result<Consumed, StoreError> {
    document::update(store, &format!("{APPROVALS}{}", part(nonce)), |used: Option<Use>| {
        Ok(match used {
            None => Next::Write(this.clone(), Consumed::Now),
            Some(used) if used.plan == this.plan => Next::Keep(Consumed::SamePlan(used)),
            Some(used) => Next::Keep(Consumed::Spent(used)),
        })
    })
}

/// The meter on which the uses of a standing approval count: what it allows each run, and what in seven days.
pub fn standing(nonce: &str, run: Caps, window: Caps, population: Population) -> Meter {
    Meter { name: format!("standing/{nonce}"), run, window, population }
}

/// A trigger that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) at: Timestamp,
}

impl Document for Trigger {
    const FORMAT: &'static str = "sweeper.trigger";
}

/// Whether a trigger comes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Seen {
    First,
    /// It came before, at that time: nothing is to be done.
    Again(Timestamp),
}

/// Notes a trigger by its token, the time it was scheduled for: schedulers and functions deliver an event once
/// or oftener. Where a run dies after this, the event is lost and the next one does its work.
pub fn seen_once(store: &dyn Store, token: &str, now: Timestamp) -> Result<Seen, StoreError> {
    document::update(store, &format!("{TRIGGERS}{}", part(token)), |seen: Option<Trigger>| {
        Ok(match seen {
            None => Next::Write(Trigger { at: now }, Seen::First),
            Some(seen) => Next::Keep(Seen::Again(seen.at)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caps::{Charge, Reserved, Rolling, WINDOW, reserve, settle},
        model::DAY,
        money::Amount,
        store::{MemoryStore, weather::Weather},
    };
    use std::thread;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn plan(plan: &str, run: &str) -> Use {
        Use { plan: plan.to_owned(), run: run.to_owned(), at: NOW, until: NOW.plus(7 * DAY) }
    }

    #[test]
    fn an_approval_is_for_one_plan() {
        let store = MemoryStore::new();
        assert_eq!(consume(&store, "n", &plan("p", "1")), Ok(Consumed::Now));
        assert_eq!(consume(&store, "n", &plan("p", "2")), Ok(Consumed::SamePlan(plan("p", "1"))));
        assert_eq!(consume(&store, "n", &plan("q", "3")), Ok(Consumed::Spent(plan("p", "1"))));
        assert_eq!(consume(&store, "m", &plan("q", "3")), Ok(Consumed::Now));
    }

    #[test]
    fn of_many_plans_at_once_one_uses_it() {
        for _ in 0..20 {
            let store = MemoryStore::new();
            let used: usize = thread::scope(|scope| {
                let runs: Vec<_> = (0..8)
                    .map(|run| {
                        let store = store.clone();
                        let this = plan(&format!("plan-{run}"), "r");
                        scope.spawn(move || usize::from(consume(&store, "n", &this) == Ok(Consumed::Now)))
                    })
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).sum()
            });
            assert_eq!(used, 1);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_unused() {
        let store = MemoryStore::new();
        store.put_if("used/approval/n", b"{", None).unwrap();
        store.put_if("used/trigger/t", b"{", None).unwrap();
        assert!(consume(&store, "n", &plan("p", "1")).is_err());
        assert!(seen_once(&store, "t", NOW).is_err());
        let store = Weather::new(MemoryStore::new());
        store.lose_answers(1);
        assert!(consume(&store, "n", &plan("p", "1")).is_err());
        assert!(matches!(consume(&store, "n", &plan("q", "1")), Ok(Consumed::Spent(_))));
    }

    #[test]
    fn a_trigger_that_comes_three_times_comes_once() {
        let store = MemoryStore::new();
        let token = "arn:aws:scheduler:::schedule/x 2026-11-20T13:00:00Z";
        assert_eq!(seen_once(&store, token, NOW), Ok(Seen::First));
        for later in [1, 3600] {
            assert_eq!(seen_once(&store, token, NOW.plus(later)), Ok(Seen::Again(NOW)));
        }
        assert_eq!(seen_once(&store, "2026-11-20T14:00:00Z", NOW), Ok(Seen::First));
    }

    #[test]
    fn one_signature_clears_what_its_caps_allow_in_a_week_and_no_more() {
        let store = MemoryStore::new();
        let caps = |count| Caps { count, share: 0, monthly: Amount::whole(10_000) };
        let meter = [standing("n", caps(80), caps(500), Population::Elsewhere)];
        let mut done = 0;
        for day in 0..7 {
            for id in 0..100 {
                let (now, run) = (NOW.plus(day * DAY), format!("plan-{day}"));
                let charge = Charge { id: format!("{run}/{id}"), run, count: 1, monthly: Some(Amount::whole(1)) };
                if reserve(&store, &meter, &charge, now) == Ok(Reserved::Yes) {
                    settle(&store, &["standing/n"], &charge.id, true, now).unwrap();
                    done += 1;
                }
            }
        }
        assert_eq!(done, 500);
        let used = Rolling::load(&store, "standing/n").unwrap().within(NOW.plus(7 * DAY - 1), WINDOW);
        assert_eq!(used.count, 500);
    }
}
