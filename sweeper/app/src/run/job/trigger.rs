//! The trigger of a run: held while it runs, by a thread of its own, and given back however the run ends.

use super::Job;
use crate::{
    deployment,
    exit::{Exit, Failure},
    log,
    state::{self, Place},
};
use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
};
use sweeper_core::{
    clock::{Clock, SystemClock},
    store::Store,
    triggers::{self, BEAT, Claimed, End, Trigger},
};

/// What became of asking.
pub enum Asked {
    Ours(Held),
    /// Nothing lasts here, so that nobody can know.
    Unheeded,
    Done(Trigger),
    Elsewhere(Trigger),
}

/// A trigger that is ours. Dropped without [`Held::end`], it may run again.
pub struct Held {
    end: Option<mpsc::Sender<End>>,
    beating: Option<JoinHandle<()>>,
}

/// Asks for a trigger of the job.
pub async fn claim(job: &Job<'_>, token: &str, run: String, clock: &SystemClock) -> Result<Asked, Failure> {
    let schedule = &job.entry.name;
    fit(schedule, token)?;
    let place = match &job.settings.state {
        None | Some(Place::Memory) => {
            log::warn("the token is not heeded: nothing that lasts is kept here, so that the same trigger runs again");
            return Ok(Asked::Unheeded);
        }
        Some(place) => place,
    };
    let unknown = |error| {
        let failure = deployment::failed(&error);
        let message = format!("whether this trigger was run already is not known: {}", failure.message);
        Failure { message, ..failure }
    };
    let store = tokio::task::block_in_place(|| state::open(place)).map_err(unknown)?;
    Ok(match triggers::claim(store.as_ref(), clock, schedule, token, &run).await.map_err(unknown)? {
        Claimed::Done(trigger) => Asked::Done(trigger),
        Claimed::Elsewhere(trigger) => Asked::Elsewhere(trigger),
        Claimed::Ours => Asked::Ours(held(store, schedule.clone(), token.to_owned(), run)?),
    })
}

/// Whether a token can be one.
fn fit(schedule: &str, token: &str) -> Result<(), Failure> {
    if token.is_empty() {
        return Err(Failure::usage("the token is empty").help("leave it out: then every trigger runs"));
    }
    if token.len().max(schedule.len()) > triggers::LONGEST {
        return Err(Failure::usage(format!("a token has at most {} bytes, as has a name", triggers::LONGEST)));
    }
    // Else every trigger would be the same one, and run once in all.
    if token.starts_with("<aws.") {
        return Err(Failure::usage(format!(
            "`{token}` was not replaced by its value, so that every trigger is the same"
        ))
        .help("only EventBridge Scheduler replaces it; by hand, send no token or one of your own"));
    }
    Ok(())
}

fn held(store: Arc<dyn Store>, schedule: String, token: String, run: String) -> Result<Held, Failure> {
    let (end, ended) = mpsc::channel::<End>();
    let beating = std::thread::Builder::new()
        .name("trigger".to_owned())
        .spawn(move || {
            let clock = SystemClock::default();
            let end = loop {
                match ended.recv_timeout(BEAT) {
                    Ok(end) => break end,
                    // Nobody said how it ended.
                    Err(mpsc::RecvTimeoutError::Disconnected) => {
                        break End { at: clock.wall(), code: None, called: None, done: false };
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        // One that fails is made up for by the next.
                        let _ = triggers::beat(store.as_ref(), clock.wall(), &schedule, &token, &run);
                    }
                }
            };
            match triggers::end(store.as_ref(), &schedule, &token, &run, end) {
                Ok(true) => {}
                Ok(false) => log::warn("another run took this trigger over: this one was silent for too long"),
                Err(error) => log::warn(&format!("it is not remembered how this trigger ended: {error}")),
            }
        })
        .map_err(|error| Failure::new(Exit::Bug, format!("failed to start a thread: {error}")))?;
    Ok(Held { end: Some(end), beating: Some(beating) })
}

impl Held {
    /// Says how the run ended, and whether the trigger is done with. Blocks until that is written.
    pub fn end(mut self, code: u8, called: Option<String>, done: bool) {
        let at = SystemClock::default().wall();
        if let Some(end) = self.end.take() {
            // A thread that is gone has said why.
            let _ = end.send(End { at, code: Some(code), called, done });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end = None;
        if let Some(beating) = self.beating.take() {
            let _ = beating.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_held_against_what_they_can_be() {
        assert!(fit("nightly", "2026-11-27T06:00:00Z").is_ok());
        for (token, says) in [
            ("", "empty"),
            ("<aws.scheduler.scheduled-time>", "was not replaced"),
            (&"x".repeat(triggers::LONGEST + 1), "at most"),
        ] {
            assert!(fit("nightly", token).unwrap_err().message.contains(says), "{token}");
        }
    }
}
