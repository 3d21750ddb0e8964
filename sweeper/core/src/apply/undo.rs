//! What can be taken back, and taking it back.

use super::{
    Ended, OpenTrail, Stop, identity,
    item::{is_so, observed},
    millis,
    run::damaged,
    token,
};
use crate::{
    audit::{self, Event},
    calls::Calls,
    clock::Clock,
    deed::{Deed, Kept, Pen, Permit, Progress, Sent, Target},
    kind::Kind,
    lease::{Holder, Lease},
    made_again,
    model::Timestamp,
    observe::Fields,
    plan::{Action, Copy, Plan, Risk},
    policy::Keep,
    report::MonthlyCost,
    store::{PutOutcome, Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// Where it is kept what was done.
const ENTRIES: &str = "undo/";
const FORMAT: &str = "sweeper.undo/1";

/// What was done, with what it takes to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub format: String,
    /// `<first 12 digits of the plan>-<number>`: what people call it.
    pub id: String,
    pub plan: String,
    pub no: u32,
    pub policy: String,
    pub target: Target,
    pub deed: Deed,
    /// What it looked like.
    pub was: Fields,
    pub risk: Risk,
    pub reversal: String,
    pub owner: Option<String>,
    pub monthly_cost: MonthlyCost,
    pub kept: Option<Kept>,
    /// The copy that the plan keeps, with its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copy>,
    /// Whose word it was done by, and its copy is removed by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    /// When the copy was removed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
    /// Until when it can be taken back, as far as is known: the end of the copy.
    pub until: Option<Timestamp>,
    pub at: Timestamp,
    /// When it was taken back, if it was.
    pub undone: Option<Timestamp>,
}

impl Entry {
    pub(super) fn of(plan: &Plan, action: &Action, people: &[String], kept: Option<Kept>, at: Timestamp) -> Self {
        Self {
            format: FORMAT.to_owned(),
            id: format!("{}-{}", plan.id.get(..12).unwrap_or(&plan.id), action.no),
            plan: plan.id.clone(),
            no: action.no,
            policy: action.policy.clone(),
            target: action.target.clone(),
            deed: action.deed.clone(),
            was: action.expects.clone(),
            risk: action.risk,
            reversal: action.reversal.clone(),
            owner: action.owner.clone(),
            monthly_cost: action.monthly_cost.clone(),
            until: kept
                .as_ref()
                .and_then(|kept| kept.until)
                .into_iter()
                .chain(action.keep.as_ref().map(|copy| copy.until))
                .min(),
            kept,
            copy: action.keep.clone(),
            approved_by: people.to_vec(),
            removed: None,
            at,
            undone: None,
        }
    }

    /// Whether a copy is to be removed by now. What is only written down (a definition) or lies in a cloud's own bin is
    /// none.
    pub fn is_copy_due(&self, now: Timestamp) -> bool {
        let apart = self
            .kept
            .as_ref()
            .is_some_and(|kept| !kept.kind.is_empty() && !kept.native_id.is_empty() && kept.kind != self.target.kind);
        apart
            && self.removed.is_none()
            && self.copy.as_ref().is_some_and(|copy| copy.keep == Keep::Snapshot && copy.until <= now)
    }

    fn key(&self) -> String {
        format!("{ENTRIES}{}", self.id)
    }

    /// The deed that takes it back, or why nothing does.
    pub fn reverse(&self, now: Timestamp) -> Result<Deed, String> {
        if let Some(at) = self.undone {
            return Err(format!("it was undone {at}"));
        }
        if let Some(at) = self.removed {
            return Err(format!("its copy was removed {at}"));
        }
        if let Some(until) = self.until.filter(|until| *until <= now) {
            return Err(format!("what was kept of it ended {until}"));
        }
        match &self.deed {
            Deed::Stop => Ok(Deed::Start),
            Deed::Tag { key, .. } => match self.was.get(&format!("tag:{key}")) {
                Some(before) => Ok(Deed::Tag { key: key.clone(), value: before.clone() }),
                None => Ok(Deed::Untag { key: key.clone() }),
            },
            Deed::SetRetention { .. } => {
                Ok(Deed::SetRetention { days: self.was.get("retention_days").and_then(|days| days.parse().ok()) })
            }
            Deed::Delete => match (&self.kept, self.risk) {
                (Some(kept), _) => Ok(Deed::Restore { kept: kept.clone() }),
                // It lies in the cloud's own bin under its own id, if that is switched on.
                (None, Risk::Bin) => Ok(Deed::Restore {
                    kept: Kept {
                        kind: String::new(),
                        native_id: self.target.native_id.clone(),
                        until: None,
                        recipe: self.was.clone(),
                    },
                }),
                (None, _) => Err(format!("it cannot be taken back: {}", self.reversal)),
            },
            other => Err(format!("nothing undoes a {}", other.kind().name())),
        }
    }
}

/// Keeps what was done. The same again changes nothing. `sent` is when its request was: whoever makes a thing again may
/// be quicker than our watching.
pub(super) fn remember(store: &dyn Store, entry: &Entry, sent: Timestamp) -> Result<(), StoreError> {
    put(store, entry, |known| known.is_none())?;
    match entry.deed {
        Deed::Delete => made_again::remember(store, &entry.target, sent),
        _ => Ok(()),
    }
}

/// Keeps that a copy was removed.
pub(super) fn removed(store: &dyn Store, entry: &Entry, at: Timestamp) -> Result<(), StoreError> {
    put(store, &Entry { removed: Some(at), ..entry.clone() }, |_| true)
}

fn put(store: &dyn Store, entry: &Entry, over: impl Fn(Option<&Entry>) -> bool) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(entry).map_err(|error| StoreError::Failed(error.to_string()))?;
    for _ in 0..10 {
        let known = read(store, &entry.key())?;
        if !over(known.as_ref().map(|(entry, _)| entry)) {
            return Ok(());
        }
        let version = known.map(|(_, version)| version);
        if let PutOutcome::Stored(_) = store.put_if(&entry.key(), &bytes, version)? {
            return Ok(());
        }
    }
    Err(StoreError::Busy(format!("others keep writing `{}`", entry.key())))
}

fn read(store: &dyn Store, key: &str) -> Result<Option<(Entry, crate::store::Version)>, StoreError> {
    let Some((bytes, version)) = store.get(key)? else { return Ok(None) };
    let entry: Entry =
        serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged(format!("`{key}`: {error}")))?;
    if entry.format != FORMAT {
        return Err(StoreError::Damaged(format!("`{key}` has format `{}`", entry.format)));
    }
    Ok(Some((entry, version)))
}

/// Everything that was done, newest first.
pub fn list(store: &dyn Store) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    for key in store.list(ENTRIES)? {
        if let Some((entry, _)) = read(store, &key)? {
            entries.push(entry);
        }
    }
    entries.sort_by(|a, b| (b.at, &a.id).cmp(&(a.at, &b.id)));
    Ok(entries)
}

/// What undoing works with.
pub struct Parts<'a> {
    pub store: &'a dyn Store,
    pub trail: &'a OpenTrail,
    pub calls: &'a Calls,
    pub kind: Arc<dyn Kind>,
    pub holder: Holder,
    pub lease: Duration,
    /// How long it is watched.
    pub watch: Duration,
}

/// Takes one deed back. Under the lock, with an intent before and an outcome after, like every change.
pub async fn undo(entry: &Entry, parts: Parts<'_>) -> Result<Ended, Stop> {
    let Parts { store, trail, calls, kind, holder, lease, watch } = parts;
    let clock = Arc::clone(calls.clock());
    let deed = entry.reverse(clock.wall()).map_err(Stop::Refused)?;
    let Some(spec) = kind.spec().act(deed.kind()) else {
        return Ok(Ended::Failed(format!("{} is nothing that can be done to it", deed.kind().name())));
    };
    let mut lock =
        Lease::acquire(store, &holder, lease, clock.as_ref()).map_err(|error| Stop::Locked(error.to_string()))?;
    let trail = trail(lock.epoch()).map_err(|error| Stop::Damaged(error.to_string()))?;
    let outcome = async {
        let record = |event: Event| {
            let event = event.of_item(&entry.plan, entry.no);
            trail.record(millis(clock.wall()), event).map_err(|error| Stop::Damaged(error.to_string()))
        };
        let name = format!("undo-{}", deed.kind().name());
        let token = token(&entry.plan, entry.no, &name);
        record(Event::new(audit::Intent {
            action: name.clone(),
            resource: identity(&entry.target),
            fingerprint: None,
            cascade: Vec::new(),
            approved_by: vec![holder.by.clone()],
            monthly_cost: Some((&entry.monthly_cost).into()),
            token: Some(token.clone()),
        }))?;
        let run = format!("sweeper-undo-{}", entry.id);
        let permit = Permit::new(entry.target.clone(), deed.clone(), *spec, token, run, entry.kept.clone());
        let ended = change(entry, calls, &kind, &permit, &mut lock, store, clock.as_ref(), watch).await;
        let made = match &ended {
            Ended::Done { kept, .. } => kept.as_ref().map(|kept| kept.native_id.clone()),
            _ => None,
        };
        record(Event::new(audit::Outcome {
            action: name,
            resource: identity(&entry.target),
            result: (&ended).into(),
            request_id: None,
            approved_by: vec![holder.by.clone()],
            monthly_cost: Some((&entry.monthly_cost).into()),
            kept: made,
        }))?;
        if let Ended::Done { .. } = &ended {
            let undone = Entry { undone: Some(clock.wall()), ..entry.clone() };
            put(store, &undone, |_| true).map_err(|error| damaged(&error))?;
        }
        Ok(ended)
    }
    .await;
    let flushed = trail.flush().map_err(|error| Stop::Damaged(error.to_string()));
    let _ = lock.release(store, clock.as_ref());
    flushed?;
    outcome
}

#[expect(clippy::too_many_arguments, reason = "one step of `undo`, which has all of it at hand")]
async fn change(
    entry: &Entry,
    calls: &Calls,
    kind: &Arc<dyn Kind>,
    permit: &Permit,
    lock: &mut Lease,
    store: &dyn Store,
    clock: &dyn Clock,
    watch: Duration,
) -> Ended {
    let restores = matches!(permit.deed(), Deed::Restore { .. });
    // What is there is not made again; what is gone cannot be started.
    match observed(calls, kind, &entry.target).await {
        Ok(seen) if seen.is_gone() && !restores => return Ended::AlreadyGone,
        Ok(seen) if !seen.is_gone() && restores => {
            return Ended::Skipped("it is there: nothing is to be restored".to_owned());
        }
        Ok(_) => {}
        Err(error) => return Ended::Left(format!("unread: {error}")),
    }
    if let Err(error) = lock.guard(store, clock, Duration::from_secs(35)) {
        return Ended::Left(error.to_string());
    }
    let site = calls.site(&entry.target.scope());
    let sent = match kind.act(&Pen::new(&site, permit)).await {
        Ok(sent) => sent,
        Err(error) if matches!(error.fault, crate::kind::Fault::Transient) => Sent::default(),
        Err(error) => return Ended::Failed(error.to_string()),
    };
    let until = clock.mono() + watch;
    loop {
        let last = match kind.progress(&site, permit, &sent).await {
            Ok(Progress::Done(made)) => match is_so(calls, kind, &entry.target, permit.deed()).await {
                Ok(so) if so || restores => return Ended::Done { request: sent.request, kept: made },
                Ok(_) => "it is not as it should be yet".to_owned(),
                Err(_) if restores => return Ended::Done { request: sent.request, kept: made },
                Err(error) => error.to_string(),
            },
            Ok(Progress::Failed(why)) => return Ended::Failed(why),
            Ok(Progress::Running) => "it has not ended".to_owned(),
            Err(error) => error.to_string(),
        };
        if clock.mono() >= until {
            return Ended::Unknown(last);
        }
        clock.sleep_until(clock.mono() + Duration::from_secs(2)).await;
        let _ = lock.guard(store, clock, Duration::ZERO);
    }
}
