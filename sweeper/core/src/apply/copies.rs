//! Removing the copies that were kept, at their end.
//!
//! The plan says until when each copy is kept, so that its approval covers the removal, and none other is asked for.
//! It is a change like every other: under the lock, within the caps, claimed, with a durable intent before and an
//! outcome after. What is removed must carry the marks of its item, read right before, and must not be protected,
//! excepted or managed by now; nobody's word in the state is enough.

use super::{
    Ended, Parts, Stop, causes, changed_field, identity,
    item::{copy_marks, copy_target, is_so, quiet_from},
    millis, run, token,
    undo::{self, Entry},
};
use crate::{
    answers::Answers,
    audit::{self, Event, Trail},
    caps::{self, Charge, Meter, Population, Rate, Reserved},
    claims::{self, Claim, Item, Outcome, State, Writer},
    deed::{Deed, DeedKind, Kept, Pen, Permit, Sent, Target},
    detect::View,
    house::House,
    inventory::{Inventory, InventoryBuilder},
    kind::{self, CloudError, Fault, Kind, Places},
    lease::Lease,
    model::{DAY, Scope, Timestamp},
    plan,
    policy::{self, PolicySet},
    report::Cause,
    store::{Store, StoreError},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// When a removal that failed is tried again, seconds: whoever denied it may have changed his mind, or his lock ended.
const AGAIN: i64 = DAY;

/// What became of the copies whose time was over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The entry, its copy's id, and how that ended; oldest first.
    pub ended: Vec<(String, String, Ended)>,
    pub stopped: Option<Stop>,
    /// Caps that were reached.
    pub capped: Vec<String>,
}

impl Removed {
    /// Every cause of the exit code.
    pub fn causes(&self) -> Vec<Cause> {
        let ended = self.ended.iter().map(|(.., ended)| ended);
        causes(self.stopped.as_ref(), &self.capped, ended, "copies are not known to be removed")
    }
}

/// What was done whose copy's time is over, oldest first.
pub fn due(store: &dyn Store, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
    let mut due = undo::list(store)?;
    due.retain(|entry| entry.is_copy_due(now));
    due.reverse();
    Ok(due)
}

/// Removes them. Never fails: what went wrong is in what it came to.
pub async fn remove(parts: Parts<'_>) -> Removed {
    let mut removed = Removed::default();
    if let Err(stop) = removal(parts, &mut removed).await {
        removed.stopped = Some(stop);
    }
    removed
}

async fn removal(parts: Parts<'_>, removed: &mut Removed) -> Result<(), Stop> {
    parts.trusted()?;
    let due = due(parts.store, parts.clock().wall()).map_err(|error| run::damaged(&error))?;
    if due.is_empty() {
        return Ok(());
    }
    let clock = parts.clock().clone();
    let lease = run::locked(&parts)?;
    let epoch = lease.epoch();
    let trail = (parts.trail)(epoch).map_err(|error| Stop::Damaged(error.to_string()))?;
    let writer = Writer { epoch, run: parts.holder.run.clone() };
    let rate = Rate::new(parts.pace.rate);
    let mut removal = Removal { parts, lease: Some(lease), trail, writer, rate, shelves: BTreeMap::new() };
    let outcome = removal.all(due, removed).await;
    let flushed = removal.trail.flush().map_err(|error| Stop::Damaged(error.to_string()));
    if let Some(lease) = removal.lease.take() {
        // Whoever comes next outlives a lock that could not be given back.
        let _ = lease.release(removal.parts.store, clock.as_ref());
    }
    flushed?;
    outcome
}

struct Removal<'p> {
    parts: Parts<'p>,
    lease: Option<Lease>,
    trail: Trail,
    writer: Writer,
    rate: Rate,
    /// Everything of a copy's sort where it lies.
    shelves: BTreeMap<(&'static str, String), Inventory>,
}

impl Removal<'_> {
    async fn all(&mut self, due: Vec<Entry>, removed: &mut Removed) -> Result<(), Stop> {
        let holder = self.parts.holder.by.clone();
        self.record(Event::new(audit::Lock { change: audit::LockChange::Taken, holder }))?;
        self.gate()?;
        // Exceptions and protections of this moment.
        let look = run::looked(&self.parts).await?;
        for entry in due {
            let Some(kept) = entry.kept.clone() else { continue };
            let house = &look.outcome.sealed.house;
            let ended = self.one(&entry, &kept, (&look.set, house), removed).await?;
            removed.ended.push((entry.id.clone(), kept.native_id, ended));
        }
        Ok(())
    }

    fn gate(&mut self) -> Result<(), Stop> {
        run::gate(&self.parts, &mut self.lease)
    }

    fn record(&self, event: Event) -> Result<(), Stop> {
        let now = millis(self.parts.clock().wall());
        self.trail.record(now, event).map(drop).map_err(|error| run::unwritten(&error))
    }

    /// Tells the log that a copy stays, before anything was claimed.
    fn skip(&self, entry: &Entry, kept: &Kept, reason: &str) -> Result<(), Stop> {
        let skip = audit::Skip {
            action: "remove-copy".to_owned(),
            resource: identity(&copy_target(kept, &entry.target)),
            field: changed_field(reason),
            reason: reason.to_owned(),
        };
        self.record(Event::new(skip).of_item(&entry.plan, entry.no))
    }

    async fn one(
        &mut self,
        entry: &Entry,
        kept: &Kept,
        (set, house): (&PolicySet, &House),
        removed: &mut Removed,
    ) -> Result<Ended, Stop> {
        self.gate()?;
        let Some(kind) = self.parts.kinds.get(kept.kind.as_str()).cloned() else {
            return Ok(Ended::Left(format!("no provider: nothing here knows {}", kept.kind)));
        };
        let target = match self.found(entry, kept, &kind, (set, house)).await {
            Ok(Some(target)) => target,
            Ok(None) => {
                self.keep(entry)?;
                return Ok(Ended::AlreadyGone);
            }
            Err(ended) => {
                if let Ended::Skipped(reason) = &ended {
                    self.skip(entry, kept, reason)?;
                }
                return Ok(ended);
            }
        };
        let now = self.parts.clock().wall();
        if let Some(why) = self.parts.world.closed(&target, now) {
            return Ok(Ended::Left(format!("closed: {why}")));
        }
        run::pace(&self.parts, &mut self.lease, &mut self.rate, &target).await?;
        let charge = Charge {
            id: format!("copy {}", entry.id),
            run: self.writer.run.clone(),
            count: 1,
            monthly: entry.copy.as_ref().and_then(|copy| copy.monthly_cost.amount),
        };
        let meters = [Meter::new("all", self.parts.most(), Population::Elsewhere)];
        match caps::reserve(self.parts.store, &meters, &charge, now).map_err(|error| run::damaged(&error))? {
            Reserved::Yes => {}
            Reserved::Tripped(tripped) => {
                let cap = tripped.to_string();
                if !removed.capped.contains(&cap) {
                    removed.capped.push(cap.clone());
                }
                return Ok(Ended::Left(format!("cap: {cap}")));
            }
        }
        let ended = self.claimed(entry, &kind, &target).await;
        // What may have been done keeps its room.
        let done = match &ended {
            Ok(Ended::Unknown(_)) | Err(_) => None,
            Ok(Ended::Done { .. } | Ended::Failed(_)) => Some(true),
            Ok(_) => Some(false),
        };
        if let Some(done) = done {
            caps::settle(self.parts.store, &["all"], &charge.id, done, now).map_err(|error| run::damaged(&error))?;
        }
        ended
    }

    /// Reads the copy: its target, `None` where it is gone, or why it stays.
    async fn found(
        &mut self,
        entry: &Entry,
        kept: &Kept,
        kind: &Arc<dyn Kind>,
        (set, house): (&PolicySet, &House),
    ) -> Result<Option<Target>, Ended> {
        let unread = |error: CloudError| Ended::Left(format!("unread: {error}"));
        let Some(target) = self.listed(entry, kept, kind).await.map_err(unread)? else { return Ok(None) };
        let site = self.parts.calls.site(&target.scope());
        let seen = kind::observed(kind.as_ref(), &site, &target).await.map_err(unread)?;
        let Some(copy) = seen.resource() else { return Ok(None) };
        let answers = Answers::default();
        let view = View::new(copy.inventory(), &answers, house, self.parts.clock().wall());
        let tags = view.tags(copy);
        let tags = tags.map_err(|unseen| Ended::Left(format!("its tags were not read: {}", unseen.cause)))?;
        let marked = copy_marks(&entry.plan, entry.no)
            .iter()
            .all(|(key, value)| tags.iter().any(|(own, is)| entry.target.cloud.is_tag_key(own, key) && is == value));
        if !marked {
            return Err(Ended::Skipped(format!("it does not carry the marks of {}: it is somebody else's", entry.id)));
        }
        match policy::kept(set, &view, copy) {
            Some(why) => Err(Ended::Skipped(why)),
            None => Ok(Some(plan::target(copy))),
        }
    }

    /// The copy among all of its sort where it lies, of which only the id is known; all are listed once a run.
    async fn listed(&mut self, entry: &Entry, kept: &Kept, kind: &Arc<dyn Kind>) -> Result<Option<Target>, CloudError> {
        let region = match kind.spec().places {
            Places::Regions => entry.target.listed_in.as_str(),
            Places::Account => Scope::GLOBAL,
        };
        let scope = Scope::new(entry.target.cloud, &entry.target.account, region);
        let place = (kind.spec().id, scope.to_string());
        if !self.shelves.contains_key(&place) {
            let site = self.parts.calls.site(&scope);
            let mut builder = InventoryBuilder::new(&[kind.spec()]);
            let mut listing = builder.listing(kind.spec(), &scope);
            kind.enumerate(&site, &mut listing).await?;
            builder.complete(listing, site.made());
            self.shelves.insert(place.clone(), builder.build());
        }
        let folds = entry.target.cloud.ignores_case();
        let is = |own: &str| own == kept.native_id || folds && own.eq_ignore_ascii_case(&kept.native_id);
        let shelf = self.shelves.get(&place);
        Ok(shelf.and_then(|shelf| shelf.resources().find(|copy| is(copy.native_id())).map(plan::target)))
    }

    /// The claim of the removal, unsent; or why it is not ours to send. An end is for ever, so that each try after one
    /// that failed has a claim of its own.
    fn claim(&self, entry: &Entry, target: &Target) -> Result<Result<Claim, Ended>, Stop> {
        let store = self.parts.store;
        let now = self.parts.clock().wall();
        // Beside the claims of the plan's own actions and copies.
        let mut plan = format!("copies of {}", entry.plan);
        for again in 2.. {
            let known = claims::of_item(store, &plan, entry.no).map_err(|error| run::damaged(&error))?;
            match known.filter(|claim| claim.state() == State::Failed) {
                None => break,
                Some(failed) if now.since(failed.at()) < AGAIN => {
                    return Ok(Err(Ended::Failed(format!("it could not be removed before: {}", failed.note()))));
                }
                Some(_) => plan = format!("copies of {}, try {again}", entry.plan),
            }
        }
        let item = Item {
            plan,
            number: entry.no,
            resource: format!("{} {} {} remove", target.kind, target.account, target.uid),
            seen: entry.at,
        };
        match claims::claim(store, &item, &self.writer, now).map_err(|error| run::damaged(&error))? {
            Outcome::Claimed(claim) => Ok(Ok(claim)),
            Outcome::Taken(_) => {
                let open = claims::of_item(store, &item.plan, item.number).map_err(|error| run::damaged(&error))?;
                let Some(open) = open.filter(|claim| claim.state().is_open()) else {
                    return Ok(Err(Ended::Failed("somebody else removes it".to_owned())));
                };
                if now < quiet_from(&open, self.parts.pace.call) {
                    return Ok(Err(Ended::Left("an earlier request may still be under way".to_owned())));
                }
                // It was just seen to be there.
                let resolved = claims::resolve(store, &open, claims::Seen::NotDone, &self.writer, now, "it is there");
                match resolved.map_err(|error| Stop::Locked(error.to_string()))? {
                    claim if claim.state() == State::Intent => Ok(Ok(claim)),
                    _ => Ok(Err(Ended::Failed("it was sent too often".to_owned()))),
                }
            }
        }
    }

    async fn claimed(&mut self, entry: &Entry, kind: &Arc<dyn Kind>, target: &Target) -> Result<Ended, Stop> {
        let Some(spec) = kind.spec().act(DeedKind::Delete) else {
            return Ok(Ended::Failed(format!("a {} cannot be deleted", kind.spec().title)));
        };
        let mut claim = match self.claim(entry, target)? {
            Ok(claim) => claim,
            Err(ended) => return Ok(ended),
        };
        let token = token(&entry.plan, entry.no, "remove-copy");
        let intent = audit::Intent {
            action: "remove-copy".to_owned(),
            resource: identity(target),
            fingerprint: None,
            cascade: Vec::new(),
            approved_by: entry.approved_by.clone(),
            monthly_cost: entry.copy.as_ref().map(|copy| (&copy.monthly_cost).into()),
            token: Some(token.clone()),
        };
        self.record(Event::new(intent).of_item(&entry.plan, entry.no))?;
        let run = format!("sweeper-copy-{}", entry.id);
        let permit = Permit::new(target.clone(), Deed::Delete, *spec, token, run, None);
        let ended = self.sent(kind, &permit, &mut claim).await?;
        let outcome = audit::Outcome {
            action: "remove-copy".to_owned(),
            resource: identity(target),
            result: (&ended).into(),
            request_id: match &ended {
                Ended::Done { request, .. } if !request.is_empty() => Some(request.clone()),
                _ => None,
            },
            approved_by: entry.approved_by.clone(),
            monthly_cost: entry.copy.as_ref().map(|copy| (&copy.monthly_cost).into()),
            kept: None,
        };
        self.record(Event::new(outcome).of_item(&entry.plan, entry.no))?;
        let (to, note) = match &ended {
            Ended::Done { .. } | Ended::AlreadyGone => {
                self.keep(entry)?;
                (State::Confirmed, "")
            }
            Ended::Failed(why) => (State::Failed, why.as_str()),
            Ended::Unknown(why) => (State::Unknown, why.as_str()),
            Ended::Skipped(_) | Ended::Left(_) => return Ok(ended),
        };
        let now = self.parts.clock().wall();
        claims::advance(self.parts.store, &mut claim, to, now, note)
            .map_err(|error| Stop::Locked(error.to_string()))?;
        Ok(ended)
    }

    /// Sends it once, and watches.
    async fn sent(&mut self, kind: &Arc<dyn Kind>, permit: &Permit, claim: &mut Claim) -> Result<Ended, Stop> {
        self.gate()?;
        let clock = self.parts.clock().clone();
        let now = clock.wall();
        claims::advance(self.parts.store, claim, State::Sent, now, "")
            .map_err(|error| Stop::Locked(error.to_string()))?;
        if let Some(lease) = &self.lease {
            lease.check(clock.as_ref(), self.parts.pace.call).map_err(|error| Stop::Locked(error.to_string()))?;
        }
        let site = self.parts.calls.site(&permit.target().scope());
        let (lease, call, mono) = (self.lease.as_ref(), self.parts.pace.call, clock.clone());
        let held = || lease.is_some_and(|lease| lease.check(mono.as_ref(), call).is_ok());
        let sent = match kind.act(&Pen::under(&site, permit, &held)).await {
            Ok(sent) => sent,
            Err(error) => match error.fault {
                Fault::NotFound => return Ok(Ended::AlreadyGone),
                Fault::Transient | Fault::Unreachable | Fault::Malformed => Sent::default(),
                // Nothing was done: a later run sends it again.
                Fault::Throttled | Fault::Cancelled | Fault::OutOfTime | Fault::OutOfBudget => {
                    return Ok(Ended::Left(error.to_string()));
                }
                _ => return Ok(Ended::Failed(error.to_string())),
            },
        };
        let until = clock.mono() + self.parts.pace.watch;
        loop {
            let last = match gone(&self.parts, kind, &site, permit, &sent).await {
                Ok(true) => return Ok(Ended::Done { request: sent.request, kept: None }),
                Ok(false) => "it is still there".to_owned(),
                Err(error) => error.to_string(),
            };
            if clock.mono() >= until || self.parts.calls.stop().is_stopped() {
                return Ok(Ended::Unknown(last));
            }
            clock.sleep_until(clock.mono() + self.parts.pace.poll).await;
            if let Some(lease) = &mut self.lease {
                let _ = lease.guard(self.parts.store, clock.as_ref(), Duration::ZERO);
            }
        }
    }

    /// Keeps that the copy is gone.
    fn keep(&self, entry: &Entry) -> Result<(), Stop> {
        let now = self.parts.clock().wall();
        undo::removed(self.parts.store, entry, now).map_err(|error| run::damaged(&error))
    }
}

async fn gone(
    parts: &Parts<'_>,
    kind: &Arc<dyn Kind>,
    site: &crate::calls::Site,
    permit: &Permit,
    sent: &Sent,
) -> Result<bool, CloudError> {
    match kind.progress(site, permit, sent).await? {
        crate::deed::Progress::Done(_) => is_so(parts.calls, kind, permit.target(), permit.deed()).await,
        crate::deed::Progress::Running => Ok(false),
        crate::deed::Progress::Failed(why) => {
            let op = permit.spec().writes.first().map_or("its deletion", |write| write.permission);
            Err(CloudError::new(Fault::Refused, op, why))
        }
    }
}
