//! `sweeper ledger` and `sweeper floor`: what is remembered between runs, and forgetting it.

use crate::{
    config::Config,
    deployment::{self, person},
    exit::{Exit, Failure},
    log, output, recording,
    render::inert,
    state,
};
use std::{path::PathBuf, sync::Arc};
use sweeper_core::{
    audit::{self, Event},
    clock::{Clock as _, SystemClock},
    floor,
    ledger::{Advanced, Ledger as _, LedgerSlice, State},
    policy::glob_anycase,
    store::Store,
    ttl,
};
use sweeper_store::StoreLedger;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Show since when rules have held, and who was told
    Show {
        /// Only of resources whose `<kind>:<account>/<uid>` this is; `*` is any text
        resource: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Forget every clock and mark: everything is first found by the next run, and told anew
    Restart {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum FloorCommand {
    /// Show how long each listing was when it was last complete
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Accept that listings fell, after a big clean-up that was meant: their next size is the floor
    Reset {
        /// Only of this kind; `*` is any text
        #[arg(long, default_value = "*")]
        kind: String,
        /// Only of this scope, `aws:111122223333/eu-west-1`; `*` is any text
        #[arg(long, default_value = "*")]
        scope: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    pub config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    pub state: Option<String>,
}

impl Place {
    /// The state that was named.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The state that is there: looking makes none.
    pub fn open(&self) -> Result<(Arc<dyn Store>, Config), Failure> {
        let config = Config::find(self.config.as_deref())?;
        let missing = || {
            Failure::usage("there is no state yet: nothing is remembered")
                .help("--state PATH, or `state = \"…\"` in the config, names where it is")
        };
        let place = state::place(self.state.as_deref(), &config)?.ok_or_else(missing)?;
        match &place {
            state::Place::Memory => return Err(missing()),
            state::Place::File(path) if !state::database(path).exists() => return Err(missing()),
            state::Place::File(_) | state::Place::Bucket(_) => {}
        }
        let store = state::open(&place).map_err(|error| deployment::failed(&error))?;
        Ok((store, config))
    }
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    let (Command::Show { place, .. } | Command::Restart { place }) = command;
    let (store, config) = place.open()?;
    let ledger = StoreLedger::new(store);
    let failed = |error: String| Failure::new(Exit::Damaged, error);
    let mut slice = ledger.load().map_err(failed)?;
    slice.check(SystemClock::default().wall());
    match command {
        Command::Show { resource, .. } => {
            if let Some(why) = slice.doubt() {
                log::warn(&format!("the clock cannot be trusted, so nothing is done: {why}"));
            }
            output::to(None, |out| write(&slice, resource.as_deref(), out))?;
        }
        Command::Restart { .. } => {
            let cleared: Vec<_> = slice.iter().map(|(key, _)| key.clone()).collect();
            let at = slice.iter().map(|(_, sighting)| sighting.last_seen).max();
            let count = cleared.len() as u64;
            recording::recorded(place.state.as_deref(), &config, || {
                ledger.merge(&Advanced { at, slice: LedgerSlice::default(), cleared }).map_err(failed)?;
                let event = audit::Ledger { change: "restart".to_owned(), entries: count, by: person() };
                Ok(((), vec![Event::new(event)]))
            })?;
            log::say(&format!("{} forgotten: all begin anew", super::counted(count, "clock")));
        }
    }
    Ok(Exit::Done)
}

fn write(slice: &LedgerSlice, only: Option<&str>, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut shown = 0_u64;
    for (key, sighting) in slice {
        let id = format!("{}:{}/{}", key.kind(), key.account(), key.uid());
        if only.is_some_and(|only| !glob_anycase(only, &id) && only != key.uid()) {
            continue;
        }
        shown += 1;
        let state = match sighting.last_state {
            State::Found => "found",
            State::Unknown => "unknown",
        };
        writeln!(out, "{}  {}", inert::line(&id), inert::line(key.rule()))?;
        writeln!(
            out,
            "  first found {}, held for {}, {} complete, last {state} {}",
            sighting.first_found,
            ttl::spoken(sighting.observed / 3600 * 3600),
            super::counted(u64::from(sighting.complete_sightings), "sighting"),
            sighting.last_seen
        )?;
        for told in &sighting.told {
            writeln!(
                out,
                "  told {}: {} by {} under {}",
                told.at,
                inert::line(if told.to.is_empty() { "nobody known" } else { &told.to }),
                inert::line(&told.channel),
                inert::line(&told.policy)
            )?;
        }
    }
    if shown == 0 {
        writeln!(out, "nothing is remembered{}", if only.is_some() { " of it" } else { "" })?;
    }
    Ok(())
}

pub fn run_floor(command: &FloorCommand) -> Result<Exit, Failure> {
    let (FloorCommand::Show { place } | FloorCommand::Reset { place, .. }) = command;
    let (store, config) = place.open()?;
    match command {
        FloorCommand::Show { .. } => {
            let floor = floor::load(store.as_ref()).map_err(|error| deployment::failed(&error))?;
            output::to(None, |out| {
                for (kind, scopes) in &floor.sizes {
                    for (scope, size) in scopes {
                        writeln!(out, "{kind}  {}  {size}", inert::line(scope))?;
                    }
                }
                Ok(())
            })?;
        }
        FloorCommand::Reset { kind, scope, .. } => {
            let gone = recording::recorded(place.state.as_deref(), &config, || {
                let gone = floor::reset(store.as_ref(), kind, scope).map_err(|error| deployment::failed(&error))?;
                let events = gone.iter().map(|(kind, scope, size)| {
                    let (kind, scope) = (kind.clone(), scope.clone());
                    Event::new(audit::Floor { scope, kind, old: Some(*size), new: None, by: person() })
                });
                let events = events.collect();
                Ok((gone, events))
            })?;
            for (kind, scope, size) in &gone {
                log::say(&format!("{kind} in {scope} was {size}"));
            }
            log::say(&format!("{} accepted as the next run finds them", super::counted(gone.len() as u64, "listing")));
        }
    }
    Ok(Exit::Done)
}
