//! A run: the lock, what an earlier run left, the waves.

use super::{
    Applied, Ended, Look, Parts, SWITCH, Stop, changed_field, identity,
    item::{self, Begun, Step},
    millis,
};
use crate::{
    approve::Approved,
    audit::{self, Event, LogError, Trail},
    caps::{self, Meter, Population, Rate},
    claims::{self, Writer},
    deed::Target,
    exit::Exit,
    lease::{Lease, LeaseError, Lost},
    model::Timestamp,
    plan::{self, Action},
    store::StoreError,
    used,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

pub(super) struct Run<'a, 'p> {
    pub(super) approved: &'a Approved,
    pub(super) parts: Parts<'p>,
    pub(super) lease: Option<Lease>,
    trail: Option<Trail>,
    pub(super) writer: Writer,
    pub(super) look: Option<(Look, Duration)>,
    pub(super) applied: Applied,
    pub(super) rate: Rate,
    started: Timestamp,
}

/// The state cannot be used: nothing more is done.
pub(super) fn damaged(error: &StoreError) -> Stop {
    Stop::Damaged(error.to_string())
}

impl<'a, 'p> Run<'a, 'p> {
    pub(super) fn new(approved: &'a Approved, parts: Parts<'p>) -> Self {
        let rate = Rate::new(parts.pace.rate);
        let started = parts.clock().wall();
        let writer = Writer { epoch: 0, run: parts.holder.run.clone() };
        Self {
            approved,
            parts,
            lease: None,
            trail: None,
            writer,
            look: None,
            applied: Applied::default(),
            rate,
            started,
        }
    }

    pub(super) async fn whole(mut self) -> Applied {
        let outcome = self.run().await;
        if let Err(stop) = outcome {
            let left =
                self.approved.actions().filter(|(action, _)| !self.applied.ended.contains_key(&action.no)).count();
            if self.trail.is_some() && !matches!(stop, Stop::Damaged(_) | Stop::Locked(_)) {
                let halt = audit::Halt { reason: stop.why().to_owned(), left: Some(left as u64) };
                let event = Event::new(halt).of_plan(&self.approved.plan().id);
                if let Err(worse) = self.record(event) {
                    self.applied.stopped = Some(worse);
                }
            }
            self.applied.stopped.get_or_insert(stop);
        }
        for action in &self.approved.plan().actions {
            let why = match (self.approved.missing().get(&action.no), &self.applied.stopped) {
                (Some(missing), _) => format!("not approved: {missing}"),
                (None, Some(stop)) => stop.why().to_owned(),
                (None, None) => "not reached".to_owned(),
            };
            self.applied.ended.entry(action.no).or_insert(Ended::Left(why));
        }
        // A log that cannot be closed is a log that cannot be trusted.
        if !matches!(self.applied.stopped, Some(Stop::Damaged(_) | Stop::Locked(_)))
            && let Some(trail) = &self.trail
            && let Err(error) = trail.flush()
        {
            self.applied.stopped = Some(Stop::Damaged(error.to_string()));
        }
        if let Some(lease) = self.lease.take() {
            let clock = self.parts.clock().clone();
            // Whoever comes next outlives a lock that could not be given back.
            let _ = lease.release(self.parts.store, clock.as_ref());
        }
        self.applied
    }

    async fn run(&mut self) -> Result<(), Stop> {
        self.may_begin()?;
        self.lock()?;
        self.recover().await?;
        self.fit()?;
        self.consume()?;
        // What an earlier run brought to an end is not touched again.
        let claims = claims::of_plan(self.parts.store, &self.approved.plan().id).map_err(|error| damaged(&error))?;
        for claim in claims.iter().filter(|claim| !claim.state().is_open() && claim.item().number < item::COPIES) {
            let before = match (claim.state(), claim.note()) {
                (claims::State::Confirmed, _) => "earlier: done".to_owned(),
                (state, "") => format!("earlier: {}", state.name()),
                (state, note) => format!("earlier: {}, {note}", state.name()),
            };
            self.applied.ended.entry(claim.item().number).or_insert(Ended::Skipped(before));
        }
        let approved = self.approved;
        let mut left: Vec<&Action> = approved
            .actions()
            .map(|(action, _)| action)
            .filter(|action| !self.applied.ended.contains_key(&action.no))
            .collect();
        left.reverse();
        let waves = self.parts.pace.waves.clone();
        let mut sizes = waves.into_iter();
        let mut done: Vec<&Action> = Vec::new();
        while !left.is_empty() {
            let size = sizes.next().unwrap_or(usize::MAX).max(1);
            let before = done.len();
            self.look().await?;
            self.regret(&done)?;
            let mut wave: Vec<&Action> = left.split_off(left.len() - size.min(left.len()));
            wave.reverse();
            self.wave(wave, &mut done).await?;
            if done.len() > before && (!left.is_empty()) {
                self.wait(self.parts.pace.soak).await?;
            }
        }
        // The last wave is looked at as well: what it broke is told, though nothing is left to be held.
        if !done.is_empty() {
            self.wait(self.parts.pace.soak).await?;
            self.look().await?;
            self.regret(&done)?;
        }
        Ok(())
    }

    /// Does a wave. Copies take their time, so that some actions are begun before the first of them is finished; each is
    /// finished in its turn.
    async fn wave(&mut self, wave: Vec<&'a Action>, done: &mut Vec<&'a Action>) -> Result<(), Stop> {
        let mut begun: VecDeque<Begun<'a>> = VecDeque::new();
        let outcome = self.turns(wave, &mut begun, done).await;
        if let Err(stop) = &outcome
            && !matches!(stop, Stop::Damaged(_) | Stop::Locked(_))
        {
            let why = stop.why().to_owned();
            for begun in begun {
                let ended = self.put_back(&begun, &why)?;
                self.applied.ended.insert(begun.action.no, ended);
            }
        }
        outcome
    }

    async fn turns(
        &mut self,
        wave: Vec<&'a Action>,
        begun: &mut VecDeque<Begun<'a>>,
        done: &mut Vec<&'a Action>,
    ) -> Result<(), Stop> {
        for action in wave {
            let most = self.parts.pace.copies.max(1);
            while begun.len() >= most || begun.iter().any(|other| action.after.contains(&other.action.no)) {
                self.turn(begun, done).await?;
            }
            self.fresh(done).await?;
            match self.begin(action).await? {
                Step::Ended(ended) => drop(self.applied.ended.insert(action.no, ended)),
                Step::Begun(one) if one.waits() => begun.push_back(*one),
                // Nothing is gained by letting a thing wait that has no copy to wait for.
                Step::Begun(one) => self.end(*one, done).await?,
            }
        }
        while !begun.is_empty() {
            self.turn(begun, done).await?;
        }
        Ok(())
    }

    /// Finishes the action that was begun first.
    async fn turn(&mut self, begun: &mut VecDeque<Begun<'a>>, done: &mut Vec<&'a Action>) -> Result<(), Stop> {
        self.fresh(done).await?;
        match begun.pop_front() {
            Some(first) => self.end(first, done).await,
            None => Ok(()),
        }
    }

    async fn end(&mut self, begun: Begun<'a>, done: &mut Vec<&'a Action>) -> Result<(), Stop> {
        let action = begun.action;
        let ended = self.finish(begun).await?;
        if matches!(ended, Ended::Done { .. }) {
            done.push(action);
        }
        self.applied.ended.insert(action.no, ended);
        Ok(())
    }

    /// Looks again where the last look is too old.
    async fn fresh(&mut self, done: &[&Action]) -> Result<(), Stop> {
        if self.is_stale() {
            self.look().await?;
            self.regret(done)?;
        }
        Ok(())
    }

    /// What needs neither lock nor call.
    fn may_begin(&self) -> Result<(), Stop> {
        let refused = |why: String| Err(Stop::Refused(why));
        let deployment = &self.parts.deployment;
        let plan = self.approved.plan();
        self.parts.trusted()?;
        if plan.deployment != *deployment {
            return refused(format!("the plan is of deployment {}, and this is {deployment}", plan.deployment));
        }
        let major = |tool: &str| tool.split(['.', '+']).take(2).collect::<Vec<_>>().join(".");
        if major(&plan.tool) != major(&self.parts.tool) {
            return refused(format!("the plan was made by {}, and this is {}", plan.tool, self.parts.tool));
        }
        if self.approved.actions().next().is_none() {
            let why = self.approved.missing().values().next().map_or("it has no actions", String::as_str);
            return refused(format!("nothing of the plan is approved: {why}"));
        }
        Ok(())
    }

    /// Whether the plan is still good: asked after what an earlier run left is cleared up, which a plan that ended
    /// meanwhile must not prevent.
    fn fit(&self) -> Result<(), Stop> {
        let now = self.parts.clock().wall();
        match plan::check(self.approved.plan(), now, self.parts.pace.rate).first() {
            Some(note) if note.no == 0 => Err(Stop::Refused(format!("the plan: {}", note.what))),
            Some(note) => Err(Stop::Refused(format!("action {} of the plan: {}", note.no, note.what))),
            None => Ok(()),
        }
    }

    fn lock(&mut self) -> Result<(), Stop> {
        let lease = locked(&self.parts)?;
        let epoch = lease.epoch();
        self.writer.epoch = epoch;
        self.lease = Some(lease);
        self.trail = Some((self.parts.trail)(epoch).map_err(|error| Stop::Damaged(error.to_string()))?);
        let plan = self.approved.plan();
        let holder = self.parts.holder.by.clone();
        self.record(Event::new(audit::Lock { change: audit::LockChange::Taken, holder }).of_plan(&plan.id))?;
        let config = audit::Config { tool: self.parts.tool.clone(), digest: self.parts.trust.digest(), policies: None };
        self.record(Event::new(config).of_plan(&plan.id))
    }

    /// Draws on each approval once, for this plan and no other.
    fn consume(&mut self) -> Result<(), Stop> {
        let plan = self.approved.plan();
        let now = self.parts.clock().wall();
        for note in self.approved.notes().values() {
            let drawn: u64 =
                self.approved.actions().filter(|(_, granted)| granted.by.contains(&note.digest)).count() as u64;
            if drawn == 0 {
                continue;
            }
            let (_, until) = note.text.period();
            // Standing approvals count their uses by meters, and are used again and again.
            if let crate::approve::Text::OneTime(text) = &note.text {
                let this = used::Use { plan: plan.id.clone(), run: self.writer.run.clone(), at: now, until };
                match used::consume(self.parts.store, &text.nonce, &this).map_err(|error| damaged(&error))? {
                    used::Consumed::Now | used::Consumed::SamePlan(_) => {}
                    used::Consumed::Spent(other) => {
                        return Err(Stop::Refused(format!("an approval was used before, for plan {}", other.plan)));
                    }
                }
            }
            let event = audit::UseApproval {
                note: note.digest.clone(),
                by: note.by.iter().cloned().collect(),
                count: drawn,
                left: None,
            };
            self.record(Event::new(event).of_plan(&plan.id))?;
        }
        Ok(())
    }

    pub(super) fn record(&mut self, event: Event) -> Result<(), Stop> {
        let now = millis(self.parts.clock().wall());
        let Some(trail) = &self.trail else { return Err(Stop::Damaged("the audit log is not open".to_owned())) };
        trail.record(now, event).map(drop).map_err(|error| unwritten(&error))
    }

    /// Whether the run may go on to a call: nobody stopped it, its time is not over, the switches are not pulled and
    /// the lock is held for longer than a call takes.
    pub(super) fn gate(&mut self) -> Result<(), Stop> {
        gate(&self.parts, &mut self.lease)
    }

    /// Whether the lock lasts for a call, by this process's own clock alone.
    pub(super) fn still_locked(&self) -> Result<(), Stop> {
        let clock = self.parts.clock();
        match &self.lease {
            Some(lease) => {
                lease.check(clock.as_ref(), self.parts.pace.call).map_err(|error| Stop::Locked(error.to_string()))
            }
            None => Err(Stop::Locked("the lock was not taken".to_owned())),
        }
    }

    pub(super) async fn wait(&mut self, time: Duration) -> Result<(), Stop> {
        wait(&self.parts, &mut self.lease, time).await
    }

    fn is_stale(&self) -> bool {
        let now = self.parts.clock().mono();
        self.look.as_ref().is_none_or(|(_, at)| now.saturating_sub(*at) > self.parts.pace.look_age)
    }

    async fn look(&mut self) -> Result<(), Stop> {
        self.gate()?;
        let at = self.parts.clock().mono();
        self.look = Some((looked(&self.parts).await?, at));
        Ok(())
    }

    fn regret(&self, done: &[&Action]) -> Result<(), Stop> {
        let regretted = self.look.as_ref().and_then(|(look, _)| look.regretted(done, self.started));
        regretted.map_or(Ok(()), |why| Err(Stop::Refused(why)))
    }

    /// The meters that an action counts on.
    pub(super) fn meters(&self, action: &Action, granted: &crate::approve::Granted) -> Vec<Meter> {
        let ceiling = self.parts.most();
        let mut meters = vec![Meter::new("all", ceiling, Population::Elsewhere)];
        let look = self.look.as_ref().map(|(look, _)| look);
        let limit = look.and_then(|look| {
            look.set.policies.iter().find(|policy| policy.name == action.policy).map(|policy| policy.limit)
        });
        let limit = limit.map_or(caps::Caps::NONE, caps::Caps::from);
        meters.push(Meter::new(format!("policy/{}", action.policy), limit, Population::Elsewhere));
        let population = look.map_or(Population::Incomplete, |look| look.population(&action.target));
        let share = caps::lowest(&[ceiling, limit]);
        let name = format!("{}/{}", action.target.kind, action.target.account);
        meters.push(Meter::new(name, share, population));
        for (digest, run, week) in self.approved.caps(granted) {
            let nonce = self.approved.notes().get(&digest).map_or(digest.as_str(), |note| note.text.nonce());
            meters.push(used::standing(nonce, run, week, Population::Elsewhere));
        }
        meters
    }

    /// Tells the log that an action is left alone, before anything was claimed.
    pub(super) fn skip(&mut self, action: &Action, reason: &str) -> Result<(), Stop> {
        let skip = audit::Skip {
            action: action.deed_kind().name().to_owned(),
            resource: identity(&action.target),
            field: changed_field(reason),
            reason: reason.to_owned(),
        };
        let plan = self.approved.plan().id.clone();
        self.record(Event::new(skip).of_item(&plan, action.no))
    }

    pub(super) fn ended(&self) -> &BTreeMap<u32, Ended> {
        &self.applied.ended
    }
}

/// Takes the lock.
pub(super) fn locked(parts: &Parts<'_>) -> Result<Lease, Stop> {
    let take = if parts.alone { Lease::succeed } else { Lease::acquire };
    take(parts.store, &parts.holder, parts.lease, parts.clock().as_ref()).map_err(|error| lost(&error))
}

/// Looks at the world. Where its state is damaged, nothing is done by it.
pub(super) async fn looked(parts: &Parts<'_>) -> Result<Look, Stop> {
    let look = parts.world.look().await;
    let look = look.map_err(|why| Stop::Refused(format!("the world could not be looked at again: {why}")))?;
    match look.outcome.causes.iter().find(|cause| cause.code == Exit::Damaged.code()) {
        Some(cause) => Err(Stop::Damaged(cause.cause.clone())),
        None => Ok(look),
    }
}

/// Waits, in pieces, so that the lock is kept and a stop is heard.
pub(super) async fn wait(parts: &Parts<'_>, lease: &mut Option<Lease>, time: Duration) -> Result<(), Stop> {
    let clock = parts.clock().clone();
    let until = clock.mono() + time;
    while clock.mono() < until {
        let step = (clock.mono() + Duration::from_secs(5)).min(until);
        clock.sleep_until(step).await;
        if parts.calls.stop().is_stopped() {
            return Err(Stop::Cancelled);
        }
        if let Some(lease) = lease {
            lease.guard(parts.store, clock.as_ref(), Duration::ZERO).map_err(|error| lost(&error))?;
        }
    }
    Ok(())
}

/// Waits until another deed in a target's account fits the rate.
pub(super) async fn pace(
    parts: &Parts<'_>,
    lease: &mut Option<Lease>,
    rate: &mut Rate,
    target: &Target,
) -> Result<(), Stop> {
    let account = format!("{}:{}", target.cloud.name(), target.account);
    loop {
        let now = parts.clock().mono();
        match rate.take(&account, now) {
            Ok(()) => return gate(parts, lease),
            Err(Some(until)) => {
                wait(parts, lease, until.saturating_sub(now).max(Duration::from_millis(1))).await?;
                gate(parts, lease)?;
            }
            Err(None) => return Err(Stop::Refused("the rate allows no deed at all".to_owned())),
        }
    }
}

/// As [`Run::gate`].
pub(super) fn gate(parts: &Parts<'_>, lease: &mut Option<Lease>) -> Result<(), Stop> {
    let clock = parts.clock().clone();
    if parts.calls.stop().is_stopped() {
        return Err(Stop::Cancelled);
    }
    if parts.pace.deadline.is_some_and(|deadline| clock.mono() + parts.pace.call >= deadline) {
        return Err(Stop::OutOfTime);
    }
    if let Some(why) = parts.world.switch() {
        return Err(Stop::Refused(format!("the kill switch is on: {why}")));
    }
    match parts.store.get(SWITCH) {
        Ok(None) => {}
        Ok(Some((why, _))) => {
            let why = String::from_utf8_lossy(&why).chars().take(200).collect::<String>();
            return Err(Stop::Refused(format!("the kill switch is on: {why}")));
        }
        Err(error) => return Err(Stop::Damaged(format!("the kill switch cannot be read, so it is on: {error}"))),
    }
    let Some(lease) = lease else { return Err(Stop::Locked("the lock was not taken".to_owned())) };
    lease.guard(parts.store, clock.as_ref(), parts.pace.call).map_err(|error| lost(&error))
}

/// A record that was not written.
pub(super) fn unwritten(error: &LogError) -> Stop {
    match error {
        // Somebody holds the lock by now.
        LogError::Fenced { .. } => Stop::Locked(error.to_string()),
        _ => Stop::Damaged(error.to_string()),
    }
}

fn lost(error: &LeaseError) -> Stop {
    match error {
        LeaseError::Store(error) => damaged(error),
        LeaseError::Lost(Lost::Gone) => Stop::Damaged(error.to_string()),
        _ => Stop::Locked(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_that_came_after_us_has_the_lock_and_a_lock_that_is_gone_is_damage() {
        assert!(matches!(unwritten(&LogError::Fenced { ours: 3, theirs: 4 }), Stop::Locked(_)));
        assert!(matches!(unwritten(&LogError::Damaged("line 3".to_owned())), Stop::Damaged(_)));
        assert!(matches!(lost(&Lost::Gone.into()), Stop::Damaged(_)));
        assert!(matches!(lost(&Lost::Expired.into()), Stop::Locked(_)));
    }
}
