//! `sweeper baseline`: from when on findings count as new.

use super::ledger::Place;
use crate::{
    deployment::{self, person},
    exit::{Exit, Failure},
    log, output, policies, recording,
    render::inert,
};
use std::path::PathBuf;
use sweeper_core::{
    audit::{self, Event},
    baseline::{self, Line},
    clock::{Clock as _, SystemClock},
    ledger::Ledger as _,
    policy::Policy,
};
use sweeper_store::StoreLedger;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Everything that is found by now is backlog: it is still told of, and pages nobody
    Set {
        /// Only of these policies
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        policy: Vec<String>,
        /// A policy file or a directory of them [default: those of the config, or the shipped ones]
        #[arg(long, value_name = "PATH")]
        policies: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Show where the line is
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Take the line away: everything counts as new
    Clear {
        #[command(flatten)]
        place: Place,
    },
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    let (Command::Set { place, .. } | Command::Show { place } | Command::Clear { place }) = command;
    let (store, config) = place.open()?;
    let failed = |error: &sweeper_core::store::StoreError| deployment::failed(error);
    match command {
        Command::Set { policy, policies, .. } => {
            let path = policies.as_deref().or(config.policies.as_deref());
            let (set, _) = policies::to_run(&policies::sources(path)?)?;
            let mut named: Vec<&Policy> = Vec::new();
            for name in policy {
                let own = set.policies.iter().find(|own| own.name == *name);
                named.push(own.ok_or_else(|| {
                    Failure::usage(format!("there is no policy `{name}`")).help("`sweeper policy list` names them")
                })?);
            }
            let mut slice = StoreLedger::new(std::sync::Arc::clone(&store))
                .load()
                .map_err(|error| Failure::new(Exit::Damaged, error))?;
            let now = SystemClock::default().wall();
            slice.check(now);
            if let Some(why) = slice.doubt() {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("the clock cannot be trusted, so no line is drawn: {why}"),
                ));
            }
            let counts = recording::recorded(place.state(), &config, || {
                let counts =
                    baseline::set(store.as_ref(), &slice, &named, now, &person()).map_err(|error| failed(&error))?;
                let entries = counts.iter().sum();
                let event = audit::Ledger { change: "baseline set".to_owned(), entries, by: person() };
                Ok((counts, vec![Event::new(event)]))
            })?;
            if named.is_empty() {
                log::say(&format!("backlog from now on: {}", super::counted(counts[0], "finding")));
            }
            for (policy, count) in named.iter().zip(&counts) {
                let count = super::counted(*count, "finding");
                log::say(&format!("backlog of `{}` from now on: {count}", policy.name));
            }
        }
        Command::Show { .. } => {
            let known = baseline::load(store.as_ref()).map_err(|error| failed(&error))?;
            if known == baseline::Baseline::default() {
                log::say("there is no baseline: everything counts as new");
            }
            let line = |of: &str, line: &Line| {
                let count = super::counted(line.findings, "finding");
                format!("{of}: {}, {count}, by {}", line.at, inert::line(&line.by))
            };
            output::to(None, |out| {
                if let Some(all) = &known.all {
                    writeln!(out, "{}", line("every policy", all))?;
                }
                for (policy, own) in &known.policies {
                    writeln!(out, "{}", line(&inert::line(policy), own))?;
                }
                Ok(())
            })?;
        }
        Command::Clear { .. } => {
            let was = recording::recorded(place.state(), &config, || {
                let was = baseline::clear(store.as_ref()).map_err(|error| failed(&error))?;
                let event = audit::Ledger { change: "baseline clear".to_owned(), entries: 0, by: person() };
                Ok((was, if was { vec![Event::new(event)] } else { Vec::new() }))
            })?;
            log::say(if was { "the baseline is gone: everything counts as new" } else { "there is no baseline" });
        }
    }
    Ok(Exit::Done)
}
