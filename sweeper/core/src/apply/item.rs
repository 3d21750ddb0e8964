//! One action, from "still so?" to its outcome.

use super::{
    Ended, Stop, identity,
    run::{Run, damaged, pace},
    token, undo,
};
use crate::{
    audit::{self, Event},
    caps::{self, Charge, Reserved},
    claims::{self, Claim, ClaimError, Item, Outcome, State},
    deed::{Deed, DeedKind, Kept, Pen, Permit, Progress, Sent, Target},
    kind::{CloudError, Fault, Kind},
    model::Timestamp,
    observe::{self, Observed},
    plan::Action,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Numbers of claims of copies begin here: a copy is a change of its own.
pub(super) const COPIES: u32 = 1 << 31;

/// How often a change is sent when a reading has shown that it was not done, or the cloud said to wait.
const TRIES: u32 = claims::SENDS;

/// What a claim is for.
pub(super) fn item(plan: &crate::plan::Plan, action: &Action, deed: &Deed) -> Item {
    let number = if deed.kind() == DeedKind::Copy { COPIES + action.no } else { action.no };
    Item {
        plan: plan.id.clone(),
        number,
        resource: format!(
            "{} {} {} {}",
            action.target.kind,
            action.target.account,
            action.target.uid,
            deed.kind().name()
        ),
        seen: plan.taken_at,
    }
}

/// The copy that an action keeps. Its tags say whose it is: by them, and by nothing else, it is found again after a
/// crash and removed at its end.
pub(super) fn copy_deed(plan: &crate::plan::Plan, action: &Action) -> Option<Deed> {
    let copy = action.keep.as_ref()?;
    let mut tags = copy_marks(&plan.id, action.no);
    tags.insert("sweeper-until".to_owned(), copy.until.date());
    Some(Deed::Copy { keep: copy.keep, tags })
}

/// The tags of a copy that say for which item of which plan it was made.
pub(super) fn copy_marks(plan: &str, no: u32) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("sweeper-plan".to_owned(), plan.get(..32).unwrap_or(plan).to_owned()),
        ("sweeper-item".to_owned(), no.to_string()),
    ])
}

/// A copy of something as the log names it, by the id that is all that is known of it.
pub(super) fn copy_target(kept: &Kept, of: &Target) -> Target {
    Target { kind: kept.kind.clone(), native_id: kept.native_id.clone(), uid: kept.native_id.clone(), ..of.clone() }
}

fn lost(error: &ClaimError) -> Stop {
    match error {
        ClaimError::Store(error) => damaged(error),
        // Somebody else writes where only the holder of the lock does.
        other => Stop::Locked(other.to_string()),
    }
}

/// What a reading right before the call says.
enum Ready {
    Yes,
    Gone,
    Changed(observe::Change),
    Unread(CloudError),
}

/// What sending came to.
enum Shot {
    Done(Sent, Option<Kept>),
    /// The cloud took it; how it ends is seen later.
    Sent(Sent),
    Gone,
    /// Not sent again: it is not as it was any more.
    Changed(String),
    Failed(String),
    Unknown(String),
    /// Not sent, or certainly not done: a later run may try.
    Left(String),
    /// As [`Self::Failed`], and nothing more is to be tried: an error of a sort that nobody expected.
    Halt(String),
}

/// An action that is claimed and has room under every cap. Nothing was done to its resource yet; a copy may be under
/// way.
pub(super) struct Begun<'a> {
    pub(super) action: &'a Action,
    kind: Arc<dyn Kind>,
    people: Vec<String>,
    claim: Claim,
    copy: Copying,
    /// What it is charged as, and on which meters.
    charge: String,
    meters: Vec<String>,
}

impl Begun<'_> {
    /// Whether there is a copy to wait for.
    pub(super) const fn waits(&self) -> bool {
        matches!(self.copy, Copying::Going(_))
    }
}

/// How far a copy is.
enum Copying {
    NotWanted,
    Made(Kept),
    Going(Box<Going>),
}

/// A copy that was asked for, and is watched later.
struct Going {
    claim: Claim,
    deed: Deed,
    permit: Permit,
    sent: Sent,
}

/// How far an action came at once.
pub(super) enum Step<'a> {
    Ended(Ended),
    Begun(Box<Begun<'a>>),
}

/// Whether a change is watched to its end at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    Now,
    Later,
}

impl Run<'_, '_> {
    /// Begins one action: everything up to the request for its copy, which takes its time, so that other actions are
    /// begun meanwhile.
    pub(super) async fn begin<'x>(&mut self, action: &'x Action) -> Result<Step<'x>, Stop> {
        let ended = |ended| Ok(Step::Ended(ended));
        self.gate()?;
        let plan = self.approved.plan();
        if let Some(before) = action.after.iter().find(|no| {
            !matches!(self.ended().get(no), Some(Ended::Done { .. } | Ended::AlreadyGone)) && !self.is_confirmed(**no)
        }) {
            return ended(Ended::Left(format!("order: action {before} comes first, and is not done")));
        }
        if let Some(against) = self.against(action) {
            if let Ended::Skipped(reason) = &against {
                self.skip(action, &reason.clone())?;
            }
            return ended(against);
        }
        let Some(kind) = self.parts.kinds.get(action.target.kind.as_str()).cloned() else {
            return ended(Ended::Left(format!("no provider: nothing here knows {}", action.target.kind)));
        };
        pace(&self.parts, &mut self.lease, &mut self.rate, &action.target).await?;
        let charge =
            Charge { id: format!("{}/{}", plan.id, action.no), run: plan.id.clone(), count: 1, monthly: action.usd() };
        let granted = self.approved.actions().find(|(own, _)| own.no == action.no).map(|(_, granted)| granted.clone());
        let Some(granted) = granted else { return ended(Ended::Left("not approved".to_owned())) };
        let meters = self.meters(action, &granted);
        let now = self.parts.clock().wall();
        match caps::reserve(self.parts.store, &meters, &charge, now).map_err(|error| damaged(&error))? {
            Reserved::Yes => {}
            Reserved::Tripped(tripped) => {
                let cap = tripped.to_string();
                if !self.applied.capped.contains(&cap) {
                    let event = audit::CapStop {
                        cap: tripped.meter.clone(),
                        limit: tripped.limit.to_string(),
                        would_be: format!("{} and {} more", tripped.used, tripped.adding),
                    };
                    self.record(Event::new(event).of_item(&plan.id, action.no))?;
                    self.applied.capped.push(cap.clone());
                }
                return ended(Ended::Left(format!("cap: {cap}")));
            }
        }
        let people: Vec<String> = granted.people.iter().cloned().collect();
        let meters: Vec<String> = meters.into_iter().map(|meter| meter.name).collect();
        match self.claimed(action, &kind, &people).await {
            Ok(Ok((claim, copy))) => {
                Ok(Step::Begun(Box::new(Begun { action, kind, people, claim, copy, charge: charge.id, meters })))
            }
            Ok(Err(early)) => ended(self.settle(action, &meters, &charge.id, Ok(early))?),
            Err(stop) => ended(self.settle(action, &meters, &charge.id, Err(stop))?),
        }
    }

    /// Brings an action that was begun to its end.
    pub(super) async fn finish(&mut self, mut begun: Begun<'_>) -> Result<Ended, Stop> {
        let ended = self.finished(&mut begun).await;
        self.settle(begun.action, &begun.meters, &begun.charge, ended)
    }

    /// Leaves an action that was begun to a later run, as one whose turn does not come any more.
    pub(super) fn put_back(&mut self, begun: &Begun<'_>, why: &str) -> Result<Ended, Stop> {
        let left = self.leave(begun.action, why.to_owned(), &begun.people);
        self.settle(begun.action, &begun.meters, &begun.charge, left)
    }

    /// What the hour and the last look say against an action.
    fn against(&self, action: &Action) -> Option<Ended> {
        let now = self.parts.clock().wall();
        if let Some(why) = self.parts.world.closed(&action.target, now) {
            return Some(Ended::Left(format!("closed: {why}")));
        }
        let policy = self.approved.plan().policies.get(&action.policy);
        self.look.as_ref().and_then(|(look, _)| look.still(action, policy).err())
    }

    /// Gives back the room that an action was given, unless it may have been done.
    fn settle(
        &mut self,
        action: &Action,
        meters: &[String],
        charge: &str,
        ended: Result<Ended, Stop>,
    ) -> Result<Ended, Stop> {
        let names: Vec<&str> = meters.iter().map(String::as_str).collect();
        let now = self.parts.clock().wall();
        // What may have been done keeps its room: also what was found gone after somebody had sent it, whose doing it
        // may have been. What a later run takes up again keeps the room it has, and is not counted twice.
        let sent = self.may_have_been_sent(action.no)?;
        let done = match &ended {
            Err(Stop::Damaged(_)) | Ok(Ended::Unknown(_)) => None,
            Err(_) | Ok(Ended::Left(_)) => (!sent).then_some(false),
            Ok(Ended::Done { .. } | Ended::Failed(_)) => Some(true),
            Ok(Ended::AlreadyGone | Ended::Skipped(_)) => Some(sent),
        };
        if let Some(done) = done {
            caps::settle(self.parts.store, &names, charge, done, now).map_err(|error| damaged(&error))?;
        }
        ended
    }

    /// Whether an earlier run of this plan did an action.
    fn is_confirmed(&self, no: u32) -> bool {
        self.claim_of(no).is_ok_and(|claim| claim.is_some_and(|claim| claim.state() == State::Confirmed))
    }

    /// The claim of an item of the plan, or of a copy.
    pub(super) fn claim_of(&self, number: u32) -> Result<Option<Claim>, Stop> {
        claims::of_item(self.parts.store, &self.approved.plan().id, number).map_err(|error| damaged(&error))
    }

    /// Whether an action was ever sent, by whichever run.
    fn may_have_been_sent(&self, no: u32) -> Result<bool, Stop> {
        Ok(self.claim_of(no)?.is_some_and(|claim| claim.sends() > 0))
    }

    async fn claimed(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        people: &[String],
    ) -> Result<Result<(Claim, Copying), Ended>, Stop> {
        let plan = self.approved.plan();
        let now = self.parts.clock().wall();
        let wanted = item(plan, action, &action.deed);
        let mut claim =
            match claims::claim(self.parts.store, &wanted, &self.writer, now).map_err(|error| damaged(&error))? {
                Outcome::Claimed(claim) => claim,
                Outcome::Taken(taken) => {
                    // What this run resolved is in its own hands, unsent.
                    let own = self
                        .claim_of(wanted.number)?
                        .filter(|claim| claim.item() == &wanted && claim.writer() == &self.writer);
                    match own {
                        Some(claim) if claim.state() == State::Intent => claim,
                        _ => {
                            let reason = format!(
                                "taken: action {} of plan {} acts on it, and is {}",
                                taken.number,
                                &taken.plan.get(..12).unwrap_or(&taken.plan),
                                taken.state.name()
                            );
                            self.skip(action, &reason)?;
                            return Ok(Err(Ended::Skipped(reason)));
                        }
                    }
                }
            };
        self.intend(action, &action.deed, people)?;
        if let Some(ended) = self.unready(action, kind, &mut claim, people, None).await? {
            return Ok(Err(ended));
        }
        match self.copy(action, kind, people).await? {
            Ok(copy) => Ok(Ok((claim, copy))),
            Err(ended) => self.uncopied(action, &mut claim, ended, people).map(Err),
        }
    }

    /// There is no copy: nothing is done.
    fn uncopied(&mut self, action: &Action, claim: &mut Claim, ended: Ended, people: &[String]) -> Result<Ended, Stop> {
        if let Ended::Left(why) = ended {
            return self.leave(action, why, people);
        }
        self.close(action, claim, ended, people, None)
    }

    async fn finished(&mut self, begun: &mut Begun<'_>) -> Result<Ended, Stop> {
        let Begun { action, kind, people, claim, copy, .. } = begun;
        let (action, kind, people): (&Action, &Arc<dyn Kind>, &[String]) = (*action, &*kind, &*people);
        let kept = match std::mem::replace(copy, Copying::NotWanted) {
            Copying::NotWanted => None,
            Copying::Made(kept) => Some(kept),
            Copying::Going(going) => match self.copy_ended(action, kind, people, *going).await? {
                Ok(kept) => Some(kept),
                Err(ended) => return self.uncopied(action, claim, ended, people),
            },
        };
        if kept.is_some() {
            // A copy takes its time.
            self.gate()?;
            match self.against(action) {
                None => {}
                Some(Ended::Left(why)) => return self.leave(action, why, people),
                Some(ended) => return self.close(action, claim, ended, people, kept.as_ref()),
            }
            if let Some(ended) = self.unready(action, kind, claim, people, kept.as_ref()).await? {
                return Ok(ended);
            }
        }
        let Some(permit) = self.permit(action, kind, &action.deed, kept.clone()) else {
            let ended = Ended::Failed(format!("{} is nothing that can be done to it", action.deed_kind().name()));
            return self.close(action, claim, ended, people, kept.as_ref());
        };
        let shot = self.shoot(action, kind, &permit, claim, Watch::Now).await?;
        let (ended, halt) = match shot {
            Shot::Done(sent, own) => (Ended::Done { request: sent.request, kept: with_bin(kept.clone(), own) }, None),
            Shot::Sent(_) => (Ended::Unknown("it was not watched".to_owned()), None),
            Shot::Gone => (Ended::AlreadyGone, None),
            Shot::Changed(why) => (Ended::Skipped(why), None),
            Shot::Failed(why) => (Ended::Failed(why), None),
            Shot::Unknown(why) => (Ended::Unknown(why), None),
            Shot::Halt(why) => (Ended::Failed(why.clone()), Some(why)),
            Shot::Left(why) => return self.leave(action, why, people),
        };
        let kept = match &ended {
            Ended::Done { kept, .. } => kept.clone(),
            _ => kept,
        };
        let ended = self.close(action, claim, ended, people, kept.as_ref())?;
        match halt {
            None => Ok(ended),
            Some(why) => {
                self.applied.ended.insert(action.no, ended);
                Err(Stop::Refused(format!("action {} met what nobody expected: {why}", action.no)))
            }
        }
    }

    /// Reads the resource right before something is done to it. `None`: it may be done. Otherwise how the action ended.
    async fn unready(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        claim: &mut Claim,
        people: &[String],
        kept: Option<&Kept>,
    ) -> Result<Option<Ended>, Stop> {
        let ended = match self.ready(action, kind).await {
            Ready::Yes => return Ok(None),
            Ready::Gone => Ended::AlreadyGone,
            Ready::Changed(change) => Ended::Skipped(format!("changed: {change}")),
            Ready::Unread(error) => {
                // Not sent, and nothing known against it: the claim stays open for a later run.
                return self.leave(action, format!("unread: {error}"), people).map(Some);
            }
        };
        self.close(action, claim, ended, people, kept).map(Some)
    }

    /// Writes that an action is left to a later run. Its claim stays as it is.
    fn leave(&mut self, action: &Action, why: String, people: &[String]) -> Result<Ended, Stop> {
        let ended = Ended::Left(why);
        self.outcome(action, &action.deed, &ended, people, None)?;
        Ok(ended)
    }

    /// Writes that something is about to be done. Nothing is sent before this is durable.
    pub(super) fn intend(&mut self, action: &Action, deed: &Deed, people: &[String]) -> Result<(), Stop> {
        let plan = self.approved.plan().id.clone();
        let intent = audit::Intent {
            action: deed.kind().name().to_owned(),
            resource: identity(&action.target),
            fingerprint: Some(action.digest.clone()),
            cascade: action.cascade.iter().map(|gone| gone.resource.clone()).collect(),
            approved_by: people.to_vec(),
            monthly_cost: Some((&action.monthly_cost).into()),
            token: Some(token(&plan, action.no, deed.kind().name())),
        };
        self.record(Event::new(intent).of_item(&plan, action.no))
    }

    /// Leave for one deed of an action.
    pub(super) fn permit(
        &self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        deed: &Deed,
        kept: Option<Kept>,
    ) -> Option<Permit> {
        let spec = kind.spec().act(deed.kind())?;
        let plan = &self.approved.plan().id;
        let run = format!("sweeper-{}-{}", plan.get(..16).unwrap_or(plan), action.no);
        let token = token(plan, action.no, deed.kind().name());
        Some(Permit::new(action.target.clone(), deed.clone(), *spec, token, run, kept))
    }

    /// Reads the resource once more and compares.
    async fn ready(&self, action: &Action, kind: &Arc<dyn Kind>) -> Ready {
        match observed(self.parts.calls, kind, &action.target).await {
            Err(error) => Ready::Unread(error),
            Ok(seen) => match seen.resource() {
                None => Ready::Gone,
                Some(resource) => match observe::changed(&action.expects, &observe::fields(resource)) {
                    None => Ready::Yes,
                    Some(change) => Ready::Changed(change),
                },
            },
        }
    }

    /// Asks for the copy that the plan keeps, or finds the one that an earlier run made. A change of its own: with its
    /// own claim, intent and outcome.
    async fn copy(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        people: &[String],
    ) -> Result<Result<Copying, Ended>, Stop> {
        let plan = self.approved.plan();
        let Some(deed) = copy_deed(plan, action) else { return Ok(Ok(Copying::NotWanted)) };
        let wanted = item(plan, action, &deed);
        let now = self.parts.clock().wall();
        let mut claim =
            match claims::claim(self.parts.store, &wanted, &self.writer, now).map_err(|error| damaged(&error))? {
                Outcome::Claimed(claim) => claim,
                Outcome::Taken(_) => match self.claim_of(wanted.number)?.filter(|claim| claim.item() == &wanted) {
                    Some(claim) if claim.state() == State::Confirmed => {
                        return kept_of(&claim).map(|kept| Ok(Copying::Made(kept)));
                    }
                    Some(claim) if claim.state() == State::Intent && claim.writer() == &self.writer => claim,
                    _ => return Ok(Err(Ended::Failed("the copy could not be made before".to_owned()))),
                },
            };
        let Some(permit) = self.permit(action, kind, &deed, None) else {
            return Ok(Err(Ended::Failed("no copy can be made of it".to_owned())));
        };
        self.intend(action, &deed, people)?;
        match self.shoot(action, kind, &permit, &mut claim, Watch::Later).await? {
            Shot::Sent(sent) => Ok(Ok(Copying::Going(Box::new(Going { claim, deed, permit, sent })))),
            shot => {
                let made = self.made(action, people, &deed, &mut claim, shot)?;
                Ok(made.map(Copying::Made))
            }
        }
    }

    /// Watches a copy that was asked for to its end.
    async fn copy_ended(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        people: &[String],
        going: Going,
    ) -> Result<Result<Kept, Ended>, Stop> {
        let Going { mut claim, deed, permit, sent } = going;
        let shot = self.watch(action, kind, &permit, &sent).await?;
        self.made(action, people, &deed, &mut claim, shot)
    }

    /// What came of a copy.
    fn made(
        &mut self,
        action: &Action,
        people: &[String],
        deed: &Deed,
        claim: &mut Claim,
        shot: Shot,
    ) -> Result<Result<Kept, Ended>, Stop> {
        match shot {
            Shot::Done(sent, Some(kept)) => {
                let note = serde_json::to_string(&kept).map_err(|error| Stop::Damaged(error.to_string()))?;
                let made = Ended::Done { request: sent.request, kept: Some(kept.clone()) };
                self.outcome(action, deed, &made, people, Some(&kept))?;
                self.keeps(action, &kept)?;
                self.advance(claim, State::Confirmed, &note)?;
                Ok(Ok(kept))
            }
            Shot::Done(_, None) | Shot::Sent(_) => {
                self.no_copy(action, deed, claim, people, "the copy was not read back").map(Err)
            }
            Shot::Gone => {
                self.outcome(action, deed, &Ended::AlreadyGone, people, None)?;
                self.advance(claim, State::Failed, "gone")?;
                Ok(Err(Ended::AlreadyGone))
            }
            Shot::Changed(why) | Shot::Failed(why) | Shot::Halt(why) => {
                self.no_copy(action, deed, claim, people, &why).map(Err)
            }
            Shot::Unknown(why) => {
                self.outcome(action, deed, &Ended::Unknown(why.clone()), people, None)?;
                // The claim of the copy stays open: the next run looks for it.
                Ok(Err(Ended::Left(format!("the copy: {why}"))))
            }
            Shot::Left(why) => {
                self.outcome(action, deed, &Ended::Left(why.clone()), people, None)?;
                Ok(Err(Ended::Left(format!("the copy: {why}"))))
            }
        }
    }

    /// Writes which copy is kept. Before its claim ends: it may be written twice, and never be missing.
    pub(super) fn keeps(&mut self, action: &Action, kept: &Kept) -> Result<(), Stop> {
        let event = audit::Keep {
            resource: identity(&action.target),
            copy: identity(&copy_target(kept, &action.target)),
            verified: true,
            until: action.keep.as_ref().map(|copy| copy.until),
            monthly_cost: action.keep.as_ref().map(|copy| (&copy.monthly_cost).into()),
        };
        let plan = self.approved.plan().id.clone();
        self.record(Event::new(event).of_item(&plan, action.no))
    }

    fn no_copy(
        &mut self,
        action: &Action,
        deed: &Deed,
        claim: &mut Claim,
        people: &[String],
        why: &str,
    ) -> Result<Ended, Stop> {
        let ended = Ended::Failed(format!("no copy, so nothing is done: {why}"));
        self.outcome(action, deed, &ended, people, None)?;
        self.advance(claim, State::Failed, why)?;
        Ok(ended)
    }

    pub(super) fn advance(&mut self, claim: &mut Claim, to: State, note: &str) -> Result<(), Stop> {
        let now = self.parts.clock().wall();
        claims::advance(self.parts.store, claim, to, now, note).map_err(|error| lost(&error))
    }

    /// Sends a change and watches it to its end, or leaves the watching to later where the cloud has taken it. Every
    /// sending is claimed as sent first.
    async fn shoot(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        permit: &Permit,
        claim: &mut Claim,
        when: Watch,
    ) -> Result<Shot, Stop> {
        let site = self.parts.calls.site(&action.target.scope());
        let mut tries = 0;
        let mut waited = false;
        loop {
            tries += 1;
            self.gate()?;
            if std::mem::take(&mut waited) {
                // Time has passed since it was last read, and nothing was done by then.
                match self.ready(action, kind).await {
                    Ready::Yes => {}
                    Ready::Gone if *permit.deed() == Deed::Delete => return Ok(Shot::Gone),
                    Ready::Gone => return Ok(Shot::Failed("it is gone".to_owned())),
                    Ready::Changed(change) => return Ok(Shot::Changed(format!("changed: {change}"))),
                    Ready::Unread(error) => return Ok(Shot::Left(format!("unread: {error}"))),
                }
                self.gate()?;
            }
            self.advance(claim, State::Sent, "")?;
            // The process may have been stopped since the lock was asked: nothing lies between this and the call.
            if let Err(error) = self.still_locked() {
                self.again(claim, "the lock ran out before it was sent")?;
                return Err(error);
            }
            let clock = self.parts.clock().clone();
            let (lease, call) = (self.lease.as_ref(), self.parts.pace.call);
            let held = || lease.is_some_and(|lease| lease.check(clock.as_ref(), call).is_ok());
            let acted = kind.act(&Pen::under(&site, permit, &held)).await;
            if acted.as_ref().is_err_and(|error| error.fault == Fault::OutOfTime)
                && let Err(error) = self.still_locked()
            {
                self.again(claim, "the lock ran out before it was sent")?;
                return Err(error);
            }
            let error = match acted {
                Ok(sent) if when == Watch::Later => return Ok(Shot::Sent(sent)),
                Ok(sent) => return self.watch(action, kind, permit, &sent).await,
                Err(error) => error,
            };
            match error.fault {
                // The cloud says that it did nothing.
                Fault::NotFound => {
                    return Ok(match observed(self.parts.calls, kind, &action.target).await {
                        Ok(seen) if seen.is_gone() => Shot::Gone,
                        _ => Shot::Failed(error.to_string()),
                    });
                }
                Fault::Refused | Fault::NotOffered => return Ok(Shot::Failed(error.to_string())),
                Fault::Denied | Fault::Unauthenticated => return Ok(Shot::Halt(error.to_string())),
                Fault::Cancelled | Fault::OutOfTime | Fault::OutOfBudget => {
                    return self.unsent(claim, error.to_string());
                }
                Fault::Throttled if tries < TRIES => {
                    let asked = Duration::from_millis(error.retry_after_ms.unwrap_or(0)).min(Duration::from_mins(2));
                    let backoff = self.parts.pace.poll * (1 << tries.min(6));
                    self.again(claim, &error.to_string())?;
                    self.wait(asked.max(backoff)).await?;
                    waited = true;
                    continue;
                }
                Fault::Throttled => return self.unsent(claim, error.to_string()),
                // It may have happened: only reading tells.
                Fault::Transient | Fault::Unreachable | Fault::Malformed => {}
            }
            match self.watch(action, kind, permit, &Sent::default()).await? {
                Shot::Unknown(why) | Shot::Left(why) if tries >= TRIES => {
                    return Ok(Shot::Unknown(format!("{error}; then {why}")));
                }
                Shot::Unknown(_) | Shot::Left(_) => {}
                other => return Ok(other),
            }
            // Only what is seen to be as it was goes out again, and then with the same token. Anything else may be
            // the doing of what was sent.
            match self.ready(action, kind).await {
                Ready::Yes => {}
                Ready::Gone if *permit.deed() == Deed::Delete => return Ok(Shot::Done(Sent::default(), None)),
                Ready::Gone => return Ok(Shot::Unknown(format!("{error}; then it was gone"))),
                Ready::Changed(change) => return Ok(Shot::Unknown(format!("{error}; then {change}"))),
                Ready::Unread(read) => return Ok(Shot::Unknown(format!("{error}; then {read}"))),
            }
            self.again(claim, &error.to_string())?;
        }
    }

    /// A claim that was sent, and seen not to have been done, is ready to be sent again.
    fn again(&mut self, claim: &mut Claim, why: &str) -> Result<(), Stop> {
        self.advance(claim, State::Unknown, why)?;
        let now = self.parts.clock().wall();
        *claim = claims::resolve(self.parts.store, claim, claims::Seen::NotDone, &self.writer, now, why)
            .map_err(|error| lost(&error))?;
        Ok(())
    }

    fn unsent(&mut self, claim: &mut Claim, why: String) -> Result<Shot, Stop> {
        self.again(claim, &why)?;
        Ok(if claim.state() == State::Intent { Shot::Left(why) } else { Shot::Failed(why) })
    }

    /// Watches a change to its end, which is not "accepted": seen to be done.
    async fn watch(
        &mut self,
        action: &Action,
        kind: &Arc<dyn Kind>,
        permit: &Permit,
        sent: &Sent,
    ) -> Result<Shot, Stop> {
        let clock = self.parts.clock().clone();
        let unsure = *sent == Sent::default();
        let pace = self.parts.pace.clone();
        let longest = match permit.deed() {
            Deed::Copy { .. } => pace.watch_copy,
            // Whether an unanswered request did anything shows soon or by what it left.
            _ if unsure => pace.poll * 16,
            _ => pace.watch,
        };
        let until = clock.mono() + longest;
        let site = self.parts.calls.site(&action.target.scope());
        let mut pause = pace.poll;
        let mut last;
        loop {
            last = match kind.progress(&site, permit, sent).await {
                Ok(Progress::Done(kept)) => match self.is_done(action, kind, permit.deed()).await {
                    Ok(true) => return Ok(Shot::Done(sent.clone(), kept)),
                    Ok(false) => "it is not as it should be yet".to_owned(),
                    Err(error) => error.to_string(),
                },
                Ok(Progress::Failed(why)) => return Ok(Shot::Failed(why)),
                Ok(Progress::Running) => "it has not ended".to_owned(),
                Err(error) => error.to_string(),
            };
            if clock.mono() >= until {
                return Ok(Shot::Unknown(last));
            }
            // A stopped run waits a little for what is under way, and then leaves it to the next.
            if self.parts.calls.stop().is_stopped() {
                return Ok(Shot::Unknown(format!("stopped while it was watched: {last}")));
            }
            let next = (clock.mono() + pause).min(until);
            clock.sleep_until(next).await;
            pause = (pause * 2).min(pace.poll * 8);
            if let Some(lease) = &mut self.lease {
                // The change is sent; only what follows needs the lock.
                let _ = lease.guard(self.parts.store, clock.as_ref(), Duration::ZERO);
            }
        }
    }

    /// Whether what a deed wants is so, by what is read.
    async fn is_done(&self, action: &Action, kind: &Arc<dyn Kind>, deed: &Deed) -> Result<bool, CloudError> {
        if matches!(deed, Deed::Copy { .. } | Deed::Restore { .. }) {
            return Ok(true);
        }
        is_so(self.parts.calls, kind, &action.target, deed).await
    }

    /// Writes how it ended, then ends the claim. In this order: an outcome may be written twice, and never be missing.
    fn close(
        &mut self,
        action: &Action,
        claim: &mut Claim,
        ended: Ended,
        people: &[String],
        kept: Option<&Kept>,
    ) -> Result<Ended, Stop> {
        if let Ended::Done { kept: own, .. } = &ended {
            let now = self.parts.clock().wall();
            let entry = undo::Entry::of(self.approved.plan(), action, people, own.clone(), now);
            undo::remember(self.parts.store, &entry, claim.at()).map_err(|error| damaged(&error))?;
        }
        self.outcome(action, &action.deed, &ended, people, kept)?;
        let (to, note) = match &ended {
            Ended::Done { .. } => (State::Confirmed, String::new()),
            // A claim that was sent and found gone was done, by whomever.
            Ended::AlreadyGone => (State::Skipped, "already gone".to_owned()),
            Ended::Skipped(why) => (State::Skipped, why.clone()),
            Ended::Failed(why) => (State::Failed, why.clone()),
            Ended::Unknown(why) => (State::Unknown, why.clone()),
            Ended::Left(_) => return Ok(ended),
        };
        if claim.state() != to {
            self.advance(claim, to, &note)?;
        }
        Ok(ended)
    }

    /// Writes how a deed ended.
    pub(super) fn outcome(
        &mut self,
        action: &Action,
        deed: &Deed,
        ended: &Ended,
        people: &[String],
        kept: Option<&Kept>,
    ) -> Result<(), Stop> {
        let request_id = match ended {
            Ended::Done { request, .. } if !request.is_empty() => Some(request.clone()),
            _ => None,
        };
        let plan = self.approved.plan().id.clone();
        let outcome = audit::Outcome {
            action: deed.kind().name().to_owned(),
            resource: identity(&action.target),
            result: ended.into(),
            request_id,
            approved_by: people.to_vec(),
            monthly_cost: Some((&action.monthly_cost).into()),
            kept: kept.map(|kept| kept.native_id.clone()),
        };
        self.record(Event::new(outcome).of_item(&plan, action.no))
    }
}

/// What is kept of a thing that is gone: the copy, for as long as the cloud's own bin has what it leads to, or else what
/// is in the bin.
fn with_bin(copy: Option<Kept>, bin: Option<Kept>) -> Option<Kept> {
    match (copy, bin) {
        (Some(copy), Some(bin)) => Some(Kept { until: copy.until.into_iter().chain(bin.until).min(), ..copy }),
        (copy, bin) => copy.or(bin),
    }
}

/// What the claim of a copy that was made says of it.
pub(super) fn kept_of(claim: &Claim) -> Result<Kept, Stop> {
    serde_json::from_str(claim.note()).map_err(|error| Stop::Damaged(format!("what was kept cannot be read: {error}")))
}

/// Reads one resource.
pub(super) async fn observed(
    calls: &crate::calls::Calls,
    kind: &Arc<dyn Kind>,
    target: &Target,
) -> Result<Observed, CloudError> {
    crate::kind::observed(kind.as_ref(), &calls.site(&target.scope()), target).await
}

/// Whether what a deed wants is so.
pub(super) async fn is_so(
    calls: &crate::calls::Calls,
    kind: &Arc<dyn Kind>,
    target: &Target,
    deed: &Deed,
) -> Result<bool, CloudError> {
    let seen = observed(calls, kind, target).await?;
    let Some(resource) = seen.resource() else { return Ok(*deed == Deed::Delete) };
    if resource.uid() != target.uid {
        // Another under its name: ours is gone.
        return Ok(*deed == Deed::Delete);
    }
    let fields = observe::fields(resource);
    let is = |key: &str, value: &str| fields.get(key).is_some_and(|own| own == value);
    let tag = |key: &str| {
        fields.iter().find(|(field, _)| field.strip_prefix("tag:").is_some_and(|own| target.cloud.is_tag_key(own, key)))
    };
    Ok(match deed {
        Deed::Delete => false,
        Deed::Tag { key, value } => tag(key).is_some_and(|(_, own)| own == value) || is("tags", "not listed"),
        Deed::Untag { key } => tag(key).is_none(),
        Deed::Stop => ["stopped", "deallocated"].iter().any(|state| is("state", state)),
        Deed::Start => ["running", "available"].iter().any(|state| is("state", state)),
        Deed::SetRetention { days } => {
            is("retention_days", &days.map_or_else(|| "not known".to_owned(), |days| days.to_string()))
        }
        Deed::Copy { .. } | Deed::Restore { .. } => true,
    })
}

/// The time after which a request that somebody sent can no longer arrive.
pub(super) fn quiet_from(claim: &Claim, call: Duration) -> Timestamp {
    claim.at().plus(call.as_secs() as i64 + 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calls::{Calls, Limits, Site},
        claims::Writer,
        clock::VirtualClock,
        facts::{LogGroup, Referrer, Vm, VmState},
        inventory::{Draft, Listing, Tags},
        kind::KindSpec,
        store::MemoryStore,
        testing,
    };

    /// A kind with one thing, as it is read.
    struct One(Box<dyn Fn(&mut Listing) + Send + Sync>, &'static KindSpec);

    #[async_trait::async_trait]
    impl Kind for One {
        fn spec(&self) -> &'static KindSpec {
            self.1
        }

        async fn enumerate(&self, _: &Site, out: &mut Listing) -> Result<(), CloudError> {
            (self.0)(out);
            Ok(())
        }
    }

    /// Whether a deed's end is so, of a thing that is read like this.
    fn so(deed: &Deed, spec: &'static KindSpec, push: impl Fn(&mut Listing) + Send + Sync + 'static) -> bool {
        let calls = Calls::new(Arc::new(VirtualClock::new(testing::NOW)), Limits::default());
        let mut target = testing::volume("one");
        target.kind = spec.id.to_owned();
        let kind: Arc<dyn Kind> = Arc::new(One(Box::new(push), spec));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(is_so(&calls, &kind, &target, deed)).unwrap()
    }

    fn server(state: VmState, uid: &'static str) -> impl Fn(&mut Listing) + Send + Sync + 'static {
        move |out| {
            let (vm_type, image) = (out.sym("t3"), out.sym(""));
            let vm = Vm { state, vm_type, image, in_state_since: None, spot: false, still_billed: false };
            out.push(Draft { uid, tags: Tags::Read(vec![("Env", "dev")]), ..Draft::new("one", vm) });
        }
    }

    #[test]
    fn an_end_is_so_when_it_is_read_and_not_when_it_is_accepted() {
        let is = |deed: &Deed, state: VmState| so(deed, &testing::VM, server(state, "one"));
        for (state, stopped, running) in [
            (VmState::Running, false, true),
            (VmState::Stopped, true, false),
            (VmState::Deallocated, true, false),
            (VmState::Other, false, false),
        ] {
            assert_eq!((is(&Deed::Stop, state), is(&Deed::Start, state)), (stopped, running), "{state:?}");
            assert!(!is(&Deed::Delete, state));
        }
        // Gone, and another under its name: ours is deleted, and nothing else is so of it.
        for deed in [Deed::Delete, Deed::Stop, Deed::Start] {
            assert_eq!(so(&deed, &testing::VM, |_| {}), deed == Deed::Delete);
            assert_eq!(so(&deed, &testing::VM, server(VmState::Stopped, "two")), deed == Deed::Delete);
        }
        let tag = |key: &str, value: &str| Deed::Tag { key: key.to_owned(), value: value.to_owned() };
        assert!(is(&tag("Env", "dev"), VmState::Running));
        for other in [tag("Env", "prod"), tag("Owner", "dev")] {
            assert!(!is(&other, VmState::Running), "{other:?}");
        }
        let untag = |key: &str| Deed::Untag { key: key.to_owned() };
        assert!(is(&untag("Owner"), VmState::Running) && !is(&untag("Env"), VmState::Running));
        // A listing without tags cannot say that one is missing.
        let unread = |out: &mut Listing| out.push(Draft { uid: "one", ..Draft::new("one", Referrer {}) });
        assert!(so(&tag("Env", "dev"), &testing::TEMPLATE, unread));
        let group = |days: Option<u32>| {
            move |out: &mut Listing| {
                let group = LogGroup { retention_days: days, bytes: None, machinery: false };
                out.push(Draft { uid: "one", ..Draft::new("one", group) });
            }
        };
        for (wanted, is, so_) in [(Some(30), Some(30), true), (Some(30), Some(3), false), (Some(30), None, false)] {
            assert_eq!(so(&Deed::SetRetention { days: wanted }, &testing::LOG_GROUP, group(is)), so_, "{is:?}");
        }
        assert!(so(&Deed::SetRetention { days: None }, &testing::LOG_GROUP, group(None)));
    }

    #[test]
    fn a_request_may_still_arrive_as_long_as_a_call_takes_and_some_seconds() {
        let (store, at) = (MemoryStore::new(), testing::NOW);
        let item = Item { plan: "p".to_owned(), number: 1, resource: "r".to_owned(), seen: at };
        let writer = Writer { epoch: 1, run: "run".to_owned() };
        let Ok(Outcome::Claimed(claim)) = claims::claim(&store, &item, &writer, at) else { panic!("it is free") };
        assert_eq!(quiet_from(&claim, Duration::from_secs(35)), at.plus(40));
    }

    #[test]
    fn what_the_bin_keeps_is_known_and_ends_what_rests_on_it() {
        let kept = |id: &str, until: Option<i64>| Kept {
            kind: "azure.acr-manifest".to_owned(),
            native_id: id.to_owned(),
            until: until.map(Timestamp),
            recipe: BTreeMap::new(),
        };
        assert_eq!(with_bin(None, None), None);
        assert_eq!(with_bin(None, Some(kept("bin", Some(7)))), Some(kept("bin", Some(7))));
        assert_eq!(with_bin(Some(kept("copy", None)), None), Some(kept("copy", None)));
        assert_eq!(with_bin(Some(kept("copy", None)), Some(kept("bin", Some(7)))), Some(kept("copy", Some(7))));
        assert_eq!(with_bin(Some(kept("copy", Some(3))), Some(kept("bin", Some(7)))), Some(kept("copy", Some(3))));
    }
}
