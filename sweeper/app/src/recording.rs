//! Recording in the audit log what is decided outside of plans: notices, exceptions, floors, clocks.
//!
//! The log has one writer at a time, so that each record takes the lock of the deployment for a moment.

use crate::{
    commands::random_id,
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log,
    state::{self, Place},
};
use std::sync::Arc;
use sweeper_core::{
    audit::{Event, Millis},
    clock::{Clock, SystemClock},
    lease::{self, Lease, LeaseError},
};

/// A deployment that keeps a log.
pub struct Recorder {
    deployment: Deployment,
    clock: Arc<dyn Clock>,
}

impl Recorder {
    /// `None` where the deployment keeps no log: none is configured, nothing may be applied, and there is none yet.
    pub fn open(state: Option<&str>, config: &Config) -> Result<Option<Self>, Failure> {
        let there = match state::place(state, config)? {
            None | Some(Place::Memory) => return Ok(None),
            Some(Place::File(path)) => state::database(&path).with_extension("audit").exists(),
            // Its heads are signed with a key that the config names.
            Some(Place::Bucket(_)) => config.apply.key.is_some() || config.apply.signer.is_some(),
        };
        if !there && config.apply.log.is_none() && !config.trust.may_apply {
            return Ok(None);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let deployment = Deployment::open(state, config, clock.wall())?;
        Ok(Some(Self { deployment, clock }))
    }

    /// Does something and records it, with the log open before it begins: where that cannot be, nothing is done.
    ///
    /// # Errors
    /// [`Exit::Locked`] while somebody else may change something; [`Exit::Damaged`] where the log cannot be written.
    pub fn record<T>(&self, work: impl FnOnce() -> Result<(T, Vec<Event>), Failure>) -> Result<T, Failure> {
        let store = self.deployment.store.as_ref();
        let alone = self.deployment.alone()?;
        let run = random_id()?;
        let open = self.deployment.trail(run.clone(), Arc::clone(&self.clock))?;
        // Whoever has the lock of the state's file knows that no other holder is alive.
        let take = if alone.is_some() { Lease::succeed } else { Lease::acquire };
        let lease = take(store, &deployment::holder(run), lease::TTL, self.clock.as_ref()).map_err(|error| {
            let exit = if matches!(error, LeaseError::Store(_)) { Exit::Damaged } else { Exit::Locked };
            Failure::new(exit, error.to_string())
        })?;
        let done = open(lease.epoch()).map_err(|error| deployment::log_failed(&error)).and_then(|trail| {
            let (done, events) = work()?;
            let now = Millis(self.clock.wall().0.saturating_mul(1000));
            let recorded = if events.is_empty() { Ok(()) } else { trail.record_all(now, &events).map(drop) };
            recorded.and_then(|()| trail.flush()).map_err(|error| deployment::log_failed(&error))?;
            Ok(done)
        });
        // One that is not given back runs out.
        if let Err(error) = lease.release(store, self.clock.as_ref()) {
            log::warn(&format!("the lock is not given back: {error}"));
        }
        done
    }

    /// Records what has happened already and hurts nobody: while somebody else has the lock, it is only said that the
    /// log does not have it. Whether it has.
    pub fn record_if_free(&self, events: Vec<Event>) -> Result<bool, Failure> {
        match self.record(|| Ok(((), events))) {
            Ok(()) => Ok(true),
            Err(failure) if failure.exit == Exit::Locked => {
                log::warn(&format!("the log does not have it: {}", failure.message));
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Does something, and records it where the deployment keeps a log.
pub fn recorded<T>(
    state: Option<&str>,
    config: &Config,
    work: impl FnOnce() -> Result<(T, Vec<Event>), Failure>,
) -> Result<T, Failure> {
    match Recorder::open(state, config)? {
        Some(recorder) => recorder.record(work),
        None => work().map(|(done, _)| done),
    }
}
