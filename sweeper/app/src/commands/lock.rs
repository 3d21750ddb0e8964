//! `sweeper lock`: who may change something at the moment, and taking that away from a run that hangs.

use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log, output,
};
use std::{path::PathBuf, sync::Arc};
use sweeper_core::{
    audit::{Event, Lock, LockChange, Millis},
    clock::{Clock, SystemClock},
    lease::{self, BreakError},
};

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Show who holds the lock
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Take the lock from whoever holds it: their next call will not leave
    Break {
        /// The epoch that `lock show` told, so that nobody breaks what he has not seen
        #[arg(long)]
        epoch: u64,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    let (Command::Show { place } | Command::Break { place, .. }) = command;
    let config = Config::find(place.config.as_deref())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let deployment = Deployment::open(place.state.as_deref(), &config, clock.wall())?;
    let store = deployment.store.as_ref();
    match command {
        Command::Show { .. } => {
            let shown = lease::show(store).map_err(|error| deployment::failed(&error))?;
            output::to(None, |out| match shown {
                None => writeln!(out, "free: nobody ever held it"),
                Some(shown) => match shown.holder {
                    None => writeln!(out, "free since {} (epoch {})", shown.since, shown.epoch),
                    Some(holder) => writeln!(
                        out,
                        "held by {} since {}, until {} unless renewed (epoch {})",
                        holder.by, shown.since, shown.until, shown.epoch
                    ),
                },
            })?;
            Ok(Exit::Done)
        }
        Command::Break { epoch, .. } => {
            let next = lease::break_(store, *epoch, clock.as_ref()).map_err(|error| match error {
                BreakError::Store(error) => deployment::failed(&error),
                other => Failure::new(Exit::Locked, other.to_string()),
            })?;
            let holder = deployment::person();
            let run = super::random_id()?;
            // The process that hangs may still have the log open; then the breaking stands in the state alone.
            match deployment.trail(run, Arc::clone(&clock)) {
                Ok(open) => {
                    let trail = open(next).map_err(|error| deployment::log_failed(&error))?;
                    let now = Millis(clock.wall().0.saturating_mul(1000));
                    trail
                        .record(now, Event::new(Lock { change: LockChange::Broken, holder }))
                        .and_then(|_| trail.flush())
                        .map_err(|error| deployment::log_failed(&error))?;
                }
                Err(failure) => log::warn(&format!("the log does not have it: {}", failure.message)),
            }
            log::say(&format!("the lock is at epoch {next}"));
            Ok(Exit::Done)
        }
    }
}
