//! Who acts on an item of a plan: a claim, changed only by compare-and-swap, so that no two writers ever send
//! the same item, whatever became of the lease.
//!
//! An item's claim goes from *intent* to *sent* before the call, and from there to an end: *confirmed*,
//! *failed*, *skipped*; or to *unknown*, which is not one. An end is for ever. Beside it, a second key for the
//! resource and the verb points at the item that acts on it, so that two plans cannot act on one resource at
//! once. Whether a resource is taken is read from the item that the pointer names, so that the two keys cannot
//! disagree.
//!
//! A claim that a dead run left open is taken over by [`resolve`] only, by a later epoch, with what was seen
//! in the world. Nothing else frees it: not time, and not an error of the store.

use crate::{
    model::Timestamp,
    store::{
        PutOutcome, Store, StoreError, Version,
        document::{self, Document, Next, part},
    },
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where claims of items are kept.
pub(crate) const ITEMS: &str = "claim/item/";
/// Where it is kept which item acts on a resource.
pub(crate) const RESOURCES: &str = "claim/resource/";

/// How often one item is sent: at first, and after a reading has shown that nothing was done.
pub const SENDS: u32 = 3;

/// How far an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Claimed; nothing has been sent.
    Intent,
    /// The call may have been sent. Written before it is.
    Sent,
    /// Sent, and what became of it could not be seen.
    Unknown,
    /// Seen to be done.
    Confirmed,
    /// Not done.
    Failed,
    /// Deliberately not done.
    Skipped,
}

impl State {
    /// Whether something is left to find out or to do.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Intent | Self::Sent | Self::Unknown)
    }

    /// Its word in messages and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    const fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Intent => matches!(next, Self::Sent | Self::Failed | Self::Skipped),
            Self::Sent => matches!(next, Self::Unknown | Self::Confirmed | Self::Failed | Self::Skipped),
            Self::Unknown => matches!(next, Self::Confirmed | Self::Failed | Self::Skipped),
            Self::Confirmed | Self::Failed | Self::Skipped => false,
        }
    }
}

/// Which item of which plan, and what it acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The plan's id.
    pub plan: String,
    /// The item's number in it.
    pub number: u32,
    /// The resource's identity that is never reused, and the verb.
    pub resource: String,
    /// When the evidence of the plan was taken: what was done to the resource since then is news to it.
    pub seen: Timestamp,
}

impl Item {
    fn key(&self) -> String {
        item_key(&self.plan, self.number)
    }
}

fn items_of(plan: &str) -> String {
    format!("{ITEMS}{}/", part(plan))
}

fn item_key(plan: &str, number: u32) -> String {
    format!("{}{number:010}", items_of(plan))
}

fn resource_key(resource: &str) -> String {
    format!("{RESOURCES}{}", part(resource))
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The lease's.
    pub epoch: u64,
    /// The run. Never the same for two runs.
    pub run: String,
}

/// An item's claim as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    item: Item,
    writer: Writer,
    pub(crate) state: State,
    /// How often it went to *sent*.
    sends: u32,
    /// Of the last change, by its writer's time of day.
    pub(crate) at: Timestamp,
    note: String,
}

impl Document for Written {
    const FORMAT: &'static str = "sweeper.claim";
}

/// Which item acts on a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    plan: String,
    number: u32,
    /// When an earlier item last did what it was to do, as far as it is remembered.
    done: Option<Timestamp>,
}

impl Document for Pointer {
    const FORMAT: &'static str = "sweeper.claimed-resource";
}

impl Pointer {
    fn item(&self, store: &dyn Store) -> Result<Option<Written>, StoreError> {
        Ok(document::read(store, &item_key(&self.plan, self.number))?.map(|(written, _)| written))
    }

    fn names(&self, item: &Item) -> bool {
        self.plan == item.plan && self.number == item.number
    }

    /// Whether the item it names is at its end since a time that counts as old.
    pub(crate) fn is_at_its_end(
        &self,
        store: &dyn Store,
        is_old: impl Fn(Timestamp) -> bool,
    ) -> Result<bool, StoreError> {
        Ok(self.item(store)?.is_some_and(|item| !item.state.is_open() && is_old(item.at)))
    }
}

impl Written {
    /// Whether the pointer of its resource names it.
    pub(crate) fn is_pointed_at(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let pointer = document::read::<Pointer>(store, &resource_key(&self.item.resource))?;
        Ok(pointer.is_some_and(|(pointer, _)| pointer.names(&self.item)))
    }
}

/// A claim as it was last seen or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    written: Written,
    version: Version,
}

impl Claim {
    pub fn item(&self) -> &Item {
        &self.written.item
    }

    pub fn state(&self) -> State {
        self.written.state
    }

    pub fn writer(&self) -> &Writer {
        &self.written.writer
    }

    /// When it last changed, by its writer's time of day.
    pub fn at(&self) -> Timestamp {
        self.written.at
    }

    /// How often it may have been sent so far.
    pub fn sends(&self) -> u32 {
        self.written.sends
    }

    /// What was noted with the last change.
    pub fn note(&self) -> &str {
        &self.written.note
    }
}

/// Why an item is not ours to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The item that has it: the one asked for, or another on the same resource.
    pub plan: String,
    pub number: u32,
    pub by: Writer,
    pub state: State,
    pub at: Timestamp,
}

impl Taken {
    fn of(written: &Written) -> Self {
        let Written { item, writer, state, at, .. } = written;
        Self { plan: item.plan.clone(), number: item.number, by: writer.clone(), state: *state, at: *at }
    }
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is ours, as *intent*.
    Claimed(Claim),
    /// It is not, and must not be sent.
    Taken(Taken),
}

/// Why a claim could not be moved on. Whatever it is, nothing may be sent on it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Somebody else has changed it.
    #[error("the item was changed by run {} of epoch {} and is {}", .0.by.run, .0.by.epoch, .0.state.name())]
    Lost(Taken),
    /// It is gone.
    #[error("the claim is gone from the state")]
    Gone,
    /// It never goes from one state to the other.
    #[error("an item that is {} does not become {}", from.name(), to.name())]
    Order { from: State, to: State },
    /// Only a later epoch may take over what a run left open.
    #[error("the item is in the hands of run {run} of epoch {epoch}")]
    Living { run: String, epoch: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Claims an item, if nobody has it and nobody acts on its resource or did so since the plan's evidence was
/// taken. An error means that it is not known, and nothing may be sent.
pub fn claim(store: &dyn Store, item: &Item, writer: &Writer, now: Timestamp) -> Result<Outcome, StoreError> {
    let (item, writer, note) = (item.clone(), writer.clone(), String::new());
    let written = Written { item, writer, state: State::Intent, sends: 0, at: now, note };
    let key = written.item.key();
    // The item first: a pointer without its item is never seen.
    let version = match document::put(store, &key, &written, None)? {
        PutOutcome::Stored(version) => version,
        PutOutcome::Conflict(_) => {
            let Some((other, _)) = document::read::<Written>(store, &key)? else {
                return Err(StoreError::Busy(format!("`{key}` comes and goes")));
            };
            return Ok(Outcome::Taken(Taken::of(&other)));
        }
    };
    let mut claim = Claim { written, version };
    match hold_resource(store, claim.item())? {
        None => Ok(Outcome::Claimed(claim)),
        Some(other) => {
            let note = format!("item {} of plan {} acts on the resource", other.number, other.plan);
            // Lost to somebody who resolves it: it is as much not ours.
            match advance(store, &mut claim, State::Skipped, now, &note) {
                Err(ClaimError::Store(error)) => Err(error),
                _ => Ok(Outcome::Taken(other)),
            }
        }
    }
}

/// Points the resource at the item, unless it is at another that is open, or that did its work after the
/// item's evidence was taken.
fn hold_resource(store: &dyn Store, item: &Item) -> Result<Option<Taken>, StoreError> {
    let key = resource_key(&item.resource);
    document::update(store, &key, |pointer: Option<Pointer>| {
        let ours = |done| Pointer { plan: item.plan.clone(), number: item.number, done };
        let Some(theirs) = pointer else { return Ok(Next::Write(ours(None), None)) };
        if theirs.names(item) {
            return Ok(Next::Keep(None));
        }
        let Some(other) = theirs.item(store)? else {
            return Err(StoreError::Damaged(format!("`{key}` names an item that is not there")));
        };
        let done = theirs.done.max((other.state == State::Confirmed).then_some(other.at));
        let busy = other.state.is_open() || done.is_some_and(|at| at >= item.seen);
        Ok(if busy { Next::Keep(Some(Taken::of(&other))) } else { Next::Write(ours(done), None) })
    })
}

fn replace(store: &dyn Store, claim: &mut Claim, next: Written) -> Result<(), ClaimError> {
    let key = next.item.key();
    match document::put(store, &key, &next, Some(claim.version))? {
        PutOutcome::Stored(version) => {
            *claim = Claim { written: next, version };
            Ok(())
        }
        PutOutcome::Conflict(_) => Err(match document::read::<Written>(store, &key)? {
            Some((other, _)) => ClaimError::Lost(Taken::of(&other)),
            None => ClaimError::Gone,
        }),
    }
}

/// Moves a claim of ours on. Only after this has given `Ok` for *sent* may the call be sent, once. The note
/// is what people and the next run read: why it failed, which operation to look for.
pub fn advance(store: &dyn Store, claim: &mut Claim, to: State, now: Timestamp, note: &str) -> Result<(), ClaimError> {
    let from = claim.state();
    if !from.leads_to(to) {
        return Err(ClaimError::Order { from, to });
    }
    let sends = claim.sends() + u32::from(to == State::Sent);
    let next = Written { state: to, sends, at: now, note: note.to_owned(), ..claim.written.clone() };
    replace(store, claim, next)
}

/// What a reading of the world has shown of an item that was left open. The reading comes after the claim was
/// listed, and after the time that a request of its last writer may have been under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the item wants is so.
    Done,
    /// It is not so.
    NotDone,
    /// It could not be seen.
    Unclear,
}

/// Takes over an open claim for a later epoch, by what was seen in the world:
///
/// - done: *confirmed* if it may have been sent, *skipped* if it cannot have been;
/// - not done: *intent* again, to be judged and sent anew, or *failed* after [`SENDS`] times;
/// - unclear: what was *sent* stays open, as *unknown*; what was not stays *intent*.
///
/// From then on its earlier writer can do nothing with it.
pub fn resolve(
    store: &dyn Store,
    open: &Claim,
    seen: Seen,
    writer: &Writer,
    now: Timestamp,
    note: &str,
) -> Result<Claim, ClaimError> {
    let from = open.state();
    let earlier = open.writer();
    // Our own is resolved only where we sent it and did not see what became of it.
    let own = earlier == writer && from == State::Unknown;
    if writer.epoch <= earlier.epoch && !own {
        return Err(ClaimError::Living { run: earlier.run.clone(), epoch: earlier.epoch });
    }
    let sent = from != State::Intent;
    let to = match seen {
        _ if !from.is_open() => return Err(ClaimError::Order { from, to: State::Intent }),
        Seen::Done if sent => State::Confirmed,
        Seen::Done => State::Skipped,
        Seen::NotDone if open.sends() >= SENDS => State::Failed,
        Seen::NotDone => State::Intent,
        Seen::Unclear if sent => State::Unknown,
        Seen::Unclear => State::Intent,
    };
    let next = Written { state: to, writer: writer.clone(), at: now, note: note.to_owned(), ..open.written.clone() };
    let mut claim = open.clone();
    replace(store, &mut claim, next)?;
    // A run that died between its two writes may not hold the resource.
    if to == State::Intent
        && let Some(other) = hold_resource(store, claim.item())?
    {
        let note = format!("item {} of plan {} acts on the resource", other.number, other.plan);
        advance(store, &mut claim, State::Skipped, now, &note)?;
    }
    Ok(claim)
}

/// The claim of one item of a plan, if there is one.
pub fn of_item(store: &dyn Store, plan: &str, number: u32) -> Result<Option<Claim>, StoreError> {
    Ok(document::read(store, &item_key(plan, number))?.map(|(written, version)| Claim { written, version }))
}

/// Every claim of a plan, in the order of its items.
pub fn of_plan(store: &dyn Store, plan: &str) -> Result<Vec<Claim>, StoreError> {
    listed(store, &items_of(plan))
}

/// The claims of a plan that are not at an end.
pub fn open(store: &dyn Store, plan: &str) -> Result<Vec<Claim>, StoreError> {
    Ok(of_plan(store, plan)?.into_iter().filter(|claim| claim.state().is_open()).collect())
}

/// The claims of all plans that are not at an end.
pub fn all_open(store: &dyn Store) -> Result<Vec<Claim>, StoreError> {
    Ok(listed(store, ITEMS)?.into_iter().filter(|claim| claim.state().is_open()).collect())
}

fn listed(store: &dyn Store, prefix: &str) -> Result<Vec<Claim>, StoreError> {
    let keys = store.list(prefix)?;
    let read = keys.iter().map(|key| document::read(store, key));
    // One that is gone by now was at its end, and old.
    read.filter_map(Result::transpose).map(|one| one.map(|(written, version)| Claim { written, version })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, weather::Weather};
    use proptest::prelude::*;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn item(plan: &str, number: u32, resource: &str) -> Item {
        Item { plan: plan.to_owned(), number, resource: resource.to_owned(), seen: NOW.plus(-3600) }
    }

    fn writer(epoch: u64) -> Writer {
        Writer { epoch, run: format!("run-{epoch}") }
    }

    fn ours(store: &dyn Store, item: &Item, epoch: u64) -> Claim {
        match claim(store, item, &writer(epoch), NOW).unwrap() {
            Outcome::Claimed(claim) => claim,
            Outcome::Taken(taken) => panic!("{taken:?}"),
        }
    }

    fn taken(store: &dyn Store, item: &Item, epoch: u64) -> Taken {
        match claim(store, item, &writer(epoch), NOW).unwrap() {
            Outcome::Claimed(claim) => panic!("{claim:?}"),
            Outcome::Taken(taken) => taken,
        }
    }

    fn states(store: &dyn Store, plan: &str) -> Vec<State> {
        of_plan(store, plan).unwrap().iter().map(Claim::state).collect()
    }

    #[test]
    fn an_item_is_claimed_once_and_goes_to_its_end() {
        let store = MemoryStore::new();
        let mut claim = ours(&store, &item("p", 1, "vol-1 delete"), 1);
        let other = taken(&store, &item("p", 1, "vol-1 delete"), 2);
        assert_eq!((other.by, other.state), (writer(1), State::Intent));
        let mut stale = claim.clone();
        advance(&store, &mut claim, State::Sent, NOW, "op-7").unwrap();
        // The same call again is not leave to send again.
        let lost = advance(&store, &mut stale, State::Sent, NOW, "").unwrap_err();
        assert!(matches!(lost, ClaimError::Lost(Taken { state: State::Sent, .. })), "{lost}");
        assert_eq!(open(&store, "p").unwrap(), [claim.clone()]);
        advance(&store, &mut claim, State::Confirmed, NOW, "").unwrap();
        assert_eq!(open(&store, "p").unwrap(), []);
        assert_eq!(taken(&store, &item("p", 1, "vol-1 delete"), 3).state, State::Confirmed);
    }

    #[test]
    fn states_have_an_order() {
        use State::{Confirmed, Failed, Intent, Sent, Skipped, Unknown};
        let all = [Intent, Sent, Unknown, Confirmed, Failed, Skipped];
        let allowed = [
            (Intent, Sent),
            (Intent, Failed),
            (Intent, Skipped),
            (Sent, Unknown),
            (Sent, Confirmed),
            (Sent, Failed),
            (Sent, Skipped),
            (Unknown, Confirmed),
            (Unknown, Failed),
            (Unknown, Skipped),
        ];
        for from in all {
            for to in all {
                let store = MemoryStore::new();
                let mut claim = ours(&store, &item("p", 1, "r"), 1);
                let steps = match from {
                    Intent => vec![],
                    Unknown | Confirmed => vec![Sent, from],
                    _ => vec![from],
                };
                for step in steps {
                    advance(&store, &mut claim, step, NOW, "").unwrap();
                }
                let outcome = advance(&store, &mut claim, to, NOW, "");
                assert_eq!(outcome.is_ok(), allowed.contains(&(from, to)), "{from:?} {to:?}");
                assert_eq!(states(&store, "p"), [if outcome.is_ok() { to } else { from }]);
            }
        }
    }

    #[test]
    fn two_plans_do_not_act_on_one_resource() {
        let store = MemoryStore::new();
        let mut first = ours(&store, &item("p", 1, "vol-1 delete"), 1);
        let other = taken(&store, &item("q", 9, "vol-1 delete"), 1);
        assert_eq!((other.plan.as_str(), other.number, other.state), ("p", 1, State::Intent));
        assert_eq!(states(&store, "q"), [State::Skipped]);
        // Another verb, another resource: free.
        let _ = ours(&store, &item("q", 2, "vol-1 tag"), 1);
        // Not done: free for the next plan.
        advance(&store, &mut first, State::Failed, NOW, "denied").unwrap();
        let _ = ours(&store, &item("r", 1, "vol-1 delete"), 2);
    }

    #[test]
    fn what_was_done_since_the_evidence_was_taken_is_not_done_again() {
        let store = MemoryStore::new();
        let mut first = ours(&store, &item("p", 1, "vm-1 stop"), 1);
        advance(&store, &mut first, State::Sent, NOW, "").unwrap();
        advance(&store, &mut first, State::Confirmed, NOW, "").unwrap();
        assert_eq!(taken(&store, &item("q", 1, "vm-1 stop"), 2).state, State::Confirmed);
        let later = Item { seen: NOW.plus(1), ..item("r", 1, "vm-1 stop") };
        let mut later = ours(&store, &later, 2);
        advance(&store, &mut later, State::Failed, NOW, "").unwrap();
        // What failed since does not make the older evidence good again.
        let _ = taken(&store, &item("s", 1, "vm-1 stop"), 2);
    }

    #[test]
    fn only_a_later_epoch_takes_over_and_the_earlier_can_do_nothing() {
        let store = MemoryStore::new();
        let mut old = ours(&store, &item("p", 1, "r"), 5);
        for epoch in [4, 5] {
            let by = Writer { epoch, run: "other".to_owned() };
            let living = resolve(&store, &old, Seen::NotDone, &by, NOW, "");
            assert_eq!(living, Err(ClaimError::Living { run: "run-5".to_owned(), epoch: 5 }));
        }
        let mut new = resolve(&store, &old, Seen::NotDone, &writer(6), NOW, "").unwrap();
        assert_eq!((new.state(), new.writer()), (State::Intent, &writer(6)));
        assert!(matches!(advance(&store, &mut old, State::Sent, NOW, ""), Err(ClaimError::Lost(_))));
        advance(&store, &mut new, State::Sent, NOW, "").unwrap();
    }

    #[test]
    fn what_was_left_open_is_resolved_by_what_is_seen() {
        use State::{Confirmed, Intent, Sent, Skipped, Unknown};
        for (left, seen, becomes) in [
            (&[][..], Seen::Done, Skipped),
            (&[], Seen::NotDone, Intent),
            (&[], Seen::Unclear, Intent),
            (&[Sent], Seen::Done, Confirmed),
            (&[Sent], Seen::NotDone, Intent),
            (&[Sent], Seen::Unclear, Unknown),
            (&[Sent, Unknown], Seen::Done, Confirmed),
            (&[Sent, Unknown], Seen::NotDone, Intent),
            (&[Sent, Unknown], Seen::Unclear, Unknown),
        ] {
            let store = MemoryStore::new();
            let mut old = ours(&store, &item("p", 1, "r"), 1);
            for step in left {
                advance(&store, &mut old, *step, NOW, "").unwrap();
            }
            let new = resolve(&store, &old, seen, &writer(2), NOW, "read").unwrap();
            assert_eq!(new.state(), becomes, "{left:?} {seen:?}");
            assert_eq!(states(&store, "p"), [becomes]);
        }
    }

    #[test]
    fn an_end_is_for_ever_and_sends_are_counted() {
        let store = MemoryStore::new();
        let mut claim = ours(&store, &item("p", 1, "r"), 1);
        for epoch in 2..=u64::from(SENDS) + 1 {
            advance(&store, &mut claim, State::Sent, NOW, "").unwrap();
            claim = resolve(&store, &claim, Seen::NotDone, &writer(epoch), NOW, "").unwrap();
        }
        assert_eq!((claim.state(), claim.sends()), (State::Failed, SENDS));
        assert!(matches!(
            resolve(&store, &claim, Seen::NotDone, &writer(99), NOW, ""),
            Err(ClaimError::Order { from: State::Failed, .. })
        ));
    }

    #[test]
    fn a_run_resolves_its_own_where_it_does_not_know() {
        let store = MemoryStore::new();
        let mut claim = ours(&store, &item("p", 1, "r"), 1);
        advance(&store, &mut claim, State::Sent, NOW, "").unwrap();
        assert!(matches!(resolve(&store, &claim, Seen::NotDone, &writer(1), NOW, ""), Err(ClaimError::Living { .. })));
        advance(&store, &mut claim, State::Unknown, NOW, "timeout").unwrap();
        let claim = resolve(&store, &claim, Seen::Done, &writer(1), NOW, "").unwrap();
        assert_eq!(claim.state(), State::Confirmed);
    }

    #[test]
    fn a_run_that_dies_between_its_writes_does_not_keep_another_plan_out() {
        let store = Weather::new(MemoryStore::new());
        store.fail_after(1);
        assert!(claim(&store, &item("p", 1, "r"), &writer(1), NOW).is_err());
        store.fail(false);
        let mut other = ours(&store, &item("q", 1, "r"), 2);
        // And its item is not sent as long as the other is at it.
        let left = &open(&store, "p").unwrap()[0];
        let left = resolve(&store, left, Seen::NotDone, &writer(2), NOW, "").unwrap();
        assert_eq!(left.state(), State::Skipped);
        advance(&store, &mut other, State::Sent, NOW, "").unwrap();
    }

    #[test]
    fn an_error_of_the_store_is_never_leave() {
        let store = Weather::new(MemoryStore::new());
        let mut claim = ours(&store, &item("p", 1, "r"), 1);
        store.lose_answers(1);
        assert!(matches!(advance(&store, &mut claim, State::Sent, NOW, ""), Err(ClaimError::Store(_))));
        // It is written as sent, and so only a reading can free it.
        assert_eq!(states(&store, "p"), [State::Sent]);
        assert!(matches!(advance(&store, &mut claim, State::Sent, NOW, ""), Err(ClaimError::Lost(_))));
        store.fail(true);
        assert!(super::claim(&store, &item("p", 2, "s"), &writer(1), NOW).is_err());
        assert!(open(&store, "p").is_err() && all_open(&store).is_err());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for key in [item("p", 1, "r").key(), resource_key("r")] {
            for bytes in [&b"{}"[..], b"", br#"{"format":"sweeper.claim/2","body":1}"#] {
                let store = MemoryStore::new();
                store.put_if(&key, bytes, None).unwrap();
                assert!(claim(&store, &item("p", 1, "r"), &writer(1), NOW).is_err());
            }
        }
        // A resource in the hands of nobody.
        let store = MemoryStore::new();
        let _ = ours(&store, &item("p", 1, "r"), 1);
        let key = item("p", 1, "r").key();
        store.delete_if(&key, store.get(&key).unwrap().unwrap().1).unwrap();
        assert!(matches!(claim(&store, &item("q", 1, "r"), &writer(1), NOW), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn plans_do_not_see_each_others_items() {
        let store = MemoryStore::new();
        for plan in ["p", "p/0", "p1", "sha256:00"] {
            let _ = ours(&store, &item(plan, 1, plan), 1);
        }
        for plan in ["p", "p/0", "p1", "sha256:00"] {
            let claims = of_plan(&store, plan).unwrap();
            assert_eq!(claims.iter().map(|claim| claim.item().plan.as_str()).collect::<Vec<_>>(), [plan]);
        }
        assert_eq!(all_open(&store).unwrap().len(), 4);
    }

    /// Eight writers with no lease between them, each with an epoch as `epochs` has it, who also resolve
    /// what others leave: how often each resource was sent.
    fn sent(epochs: &[u64], plans: &[&str], items: u32) -> Vec<u32> {
        let store = MemoryStore::new();
        let sent: Vec<AtomicU32> = (0..items).map(|_| AtomicU32::new(0)).collect();
        thread::scope(|scope| {
            for (at, epoch) in epochs.iter().enumerate() {
                let (store, sent, plan) = (store.clone(), &sent, plans[at % plans.len()]);
                scope.spawn(move || {
                    let writer = Writer { epoch: *epoch, run: format!("run-{at}") };
                    for number in 0..items {
                        let item = item(plan, number, &format!("vol-{number}"));
                        let Outcome::Claimed(mut claim) = claim(&store, &item, &writer, NOW).unwrap() else { continue };
                        if advance(&store, &mut claim, State::Sent, NOW, "").is_ok() {
                            sent[number as usize].fetch_add(1, Ordering::Relaxed);
                            advance(&store, &mut claim, State::Confirmed, NOW, "").unwrap();
                        }
                    }
                });
            }
        });
        sent.into_iter().map(AtomicU32::into_inner).collect()
    }

    #[test]
    fn eight_writers_without_a_lease_send_each_item_once() {
        for plans in [&["p"][..], &["p", "q"], &["p", "q", "r", "s"]] {
            assert_eq!(sent(&[1; 8], plans, 60), [1; 60], "{plans:?}");
            assert_eq!(sent(&[1, 2, 3, 4, 5, 6, 7, 8], plans, 60), [1; 60], "{plans:?}");
        }
    }

    proptest! {
        // Whatever several writers do and in whatever order, their writes interleaved at will: a resource is
        // sent again only after a reading has said that nothing was done.
        #[test]
        fn it_is_sent_again_only_after_a_reading(steps in prop::collection::vec((0_usize..4, 0_u8..8), 1..80)) {
            let store = MemoryStore::new();
            let mut held: Vec<Option<Claim>> = vec![None; 4];
            let (mut sends, mut readings) = (0, 0);
            for (who, what) in steps {
                let by = Writer { epoch: who as u64 / 2, run: format!("run-{who}") };
                let plan = ["p", "q"][who % 2];
                let mut move_on = |to| held[who].as_mut().map(|claim| advance(&store, claim, to, NOW, ""));
                match what {
                    0 => if let Outcome::Claimed(claim) = claim(&store, &item(plan, 1, "r"), &by, NOW).unwrap() {
                        held[who] = Some(claim);
                    },
                    1 => if let Some(Ok(())) = move_on(State::Sent) { sends += 1 },
                    2 => { move_on(State::Unknown); },
                    3 => { move_on(State::Failed); },
                    4 => { move_on(State::Confirmed); },
                    5 | 6 => for left in all_open(&store).unwrap() {
                        let seen = if what == 5 { Seen::NotDone } else { Seen::Unclear };
                        let was_sent = left.state() != State::Intent;
                        if let Ok(new) = resolve(&store, &left, seen, &by, NOW, "") {
                            readings += u32::from(was_sent && what == 5);
                            if left.item().plan == plan && new.state() == State::Intent {
                                held[who] = Some(new);
                            }
                        }
                    },
                    _ => held[who] = None,
                }
                let claims: Vec<Claim> = ["p", "q"].iter().flat_map(|plan| of_plan(&store, plan).unwrap()).collect();
                let ended = claims.iter().filter(|claim| claim.sends() > 0 && claim.state() == State::Failed).count();
                // Plans whose item failed make way for the other; nothing else lets a second call out.
                prop_assert!(sends <= 1 + readings + ended as u32, "{sends} sends, {readings} readings");
                let at_it = claims.iter().filter(|claim| matches!(claim.state(), State::Sent | State::Unknown));
                prop_assert!(at_it.count() <= 1);
                let confirmed = claims.iter().filter(|claim| claim.state() == State::Confirmed).count();
                prop_assert!(confirmed <= 1);
            }
        }
    }
}
