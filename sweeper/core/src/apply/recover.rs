//! What an earlier run of the plan left open: read from the world, never sent again blindly.

use super::{
    Ended, Stop, identity, item,
    run::{Run, damaged},
    undo,
};
use crate::{
    audit::{self, Event},
    claims::{self, Claim, ClaimError, Seen, State},
    deed::{Deed, Kept, Progress, Sent},
    plan::Action,
};

impl Run<'_, '_> {
    /// Resolves every claim of the plan that is not at an end.
    pub(super) async fn recover(&mut self) -> Result<(), Stop> {
        let approved = self.approved;
        let plan = approved.plan();
        let open = claims::open(self.parts.store, &plan.id).map_err(|error| damaged(&error))?;
        for claim in open {
            let number = claim.item().number;
            let copy = number >= item::COPIES;
            let no = if copy { number - item::COPIES } else { number };
            let Some(action) = plan.actions.iter().find(|action| action.no == no) else {
                return Err(Stop::Damaged(format!("a claim is of action {no}, which the plan does not have")));
            };
            self.gate()?;
            // The dead run's last request may still be under way.
            let now = self.parts.clock().wall();
            let quiet = item::quiet_from(&claim, self.parts.pace.call);
            if now < quiet {
                let wait = quiet.since(now).clamp(0, 600) as u64;
                self.wait(std::time::Duration::from_secs(wait)).await?;
            }
            self.resolve(action, &claim, copy).await?;
        }
        Ok(())
    }

    async fn resolve(&mut self, action: &Action, claim: &Claim, copy: bool) -> Result<(), Stop> {
        let Some(kind) = self.parts.kinds.get(action.target.kind.as_str()).cloned() else { return Ok(()) };
        let deed = match (copy, item::copy_deed(self.approved.plan(), action)) {
            (true, Some(deed)) => deed,
            (true, None) => return Err(Stop::Damaged("a claim is of a copy that the plan does not keep".to_owned())),
            (false, _) => action.deed.clone(),
        };
        // Of a copy that was made.
        let mut kept: Option<Kept> = None;
        let (seen, what) = if claim.state() == State::Intent {
            (Seen::NotDone, "nothing was sent".to_owned())
        } else {
            let Some(permit) = self.permit(action, &kind, &deed, None) else { return Ok(()) };
            match self.found(action, &kind, &permit).await? {
                Found::Done(own) => {
                    kept = own;
                    (Seen::Done, "it is done".to_owned())
                }
                Found::NotDone => (Seen::NotDone, "it was not done".to_owned()),
                Found::Unclear(why) => (Seen::Unclear, why),
            }
        };
        let note = match &kept {
            Some(kept) => serde_json::to_string(kept).map_err(|error| Stop::Damaged(error.to_string()))?,
            _ => what.clone(),
        };
        let event = audit::Recovered::Item {
            action: deed.kind().name().to_owned(),
            resource: identity(&action.target),
            seen: what.clone(),
        };
        let plan = self.approved.plan().id.clone();
        self.record(Event::new(event).of_item(&plan, action.no))?;
        let people: Vec<String> = self
            .approved
            .actions()
            .find(|(own, _)| own.no == action.no)
            .map(|(_, granted)| granted.people.iter().cloned().collect())
            .unwrap_or_default();
        let ended = match seen {
            Seen::Done => Ended::Done { request: String::new(), kept: kept.clone() },
            Seen::NotDone => Ended::Left(what.clone()),
            Seen::Unclear => Ended::Unknown(what.clone()),
        };
        if seen == Seen::Done && !copy {
            let copied = self.copied(action)?;
            let now = self.parts.clock().wall();
            let entry = undo::Entry::of(self.approved.plan(), action, &people, copied, now);
            undo::remember(self.parts.store, &entry, claim.at()).map_err(|error| damaged(&error))?;
        }
        self.outcome(action, &deed, &ended, &people, kept.as_ref())?;
        if let Some(kept) = &kept {
            self.keeps(action, kept)?;
        }
        if !copy && seen != Seen::NotDone {
            self.applied.ended.insert(action.no, ended);
        }
        let now = self.parts.clock().wall();
        match claims::resolve(self.parts.store, claim, seen, &self.writer, now, &note) {
            Ok(after) => {
                let ended = match after.state() {
                    State::Failed => Ended::Failed(format!("sent {} times, and {what}", after.sends())),
                    State::Unknown => Ended::Unknown(what),
                    _ => return Ok(()),
                };
                self.applied
                    .ended
                    .insert(action.no, if copy { Ended::Left("its copy is not known".to_owned()) } else { ended });
                Ok(())
            }
            Err(ClaimError::Store(error)) => Err(damaged(&error)),
            Err(other) => Err(Stop::Locked(other.to_string())),
        }
    }

    /// The copy that an earlier run made for an action, if it did.
    fn copied(&self, action: &Action) -> Result<Option<Kept>, Stop> {
        let claim = self.claim_of(item::COPIES + action.no)?.filter(|claim| claim.state() == State::Confirmed);
        claim.as_ref().map(item::kept_of).transpose()
    }

    /// What became of a request that may have been sent.
    async fn found(
        &mut self,
        action: &Action,
        kind: &std::sync::Arc<dyn crate::kind::Kind>,
        permit: &crate::deed::Permit,
    ) -> Result<Found, Stop> {
        let site = self.parts.calls.site(&action.target.scope());
        let clock = self.parts.clock().clone();
        let until = clock.mono() + self.parts.pace.poll * 16;
        loop {
            let progress = kind.progress(&site, permit, &Sent::default()).await;
            match &progress {
                Ok(Progress::Done(kept)) => {
                    if let Deed::Copy { .. } = permit.deed() {
                        return Ok(if kept.is_some() { Found::Done(kept.clone()) } else { Found::NotDone });
                    }
                    if let Ok(true) = item::is_so(self.parts.calls, kind, &action.target, permit.deed()).await {
                        return Ok(Found::Done(None));
                    }
                }
                Ok(Progress::Failed(_)) => return Ok(Found::NotDone),
                Ok(Progress::Running) | Err(_) => {}
            }
            if clock.mono() >= until {
                break;
            }
            let next = (clock.mono() + self.parts.pace.poll * 4).min(until);
            clock.sleep_until(next).await;
        }
        if let Deed::Copy { .. } = permit.deed() {
            return Ok(Found::Unclear("the copy has not ended".to_owned()));
        }
        Ok(match item::observed(self.parts.calls, kind, &action.target).await {
            Ok(seen) => match seen.resource() {
                None if *permit.deed() == Deed::Delete => Found::Done(None),
                None => Found::Unclear("it is gone".to_owned()),
                Some(resource) => match crate::observe::changed(&action.expects, &crate::observe::fields(resource)) {
                    None => Found::NotDone,
                    Some(change) => Found::Unclear(format!("it is otherwise: {change}")),
                },
            },
            Err(error) => Found::Unclear(error.to_string()),
        })
    }
}

enum Found {
    Done(Option<Kept>),
    NotDone,
    Unclear(String),
}
