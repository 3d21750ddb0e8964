//! `sweeper undo`: what was done and can be taken back, and taking it back.

use super::{LookArgs, Settings, random_id};
use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log, output,
    render::{inert, plan},
};
use std::{sync::Arc, time::Duration};
use sweeper_core::{
    apply::{Ended, Stop, undo},
    calls::Calls,
    clock::{Clock, SystemClock},
    lease,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to take back, as --list names it
    #[arg(required_unless_present = "list")]
    id: Option<String>,
    /// Show what was done, until when it can be taken back, and what it cost
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    look: LookArgs,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let config = Config::find(args.look.config.as_deref())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let deployment = Deployment::open(args.look.state.as_deref(), &config, clock.wall())?;
    let entries = undo::list(deployment.store.as_ref()).map_err(|error| deployment::failed(&error))?;
    if args.list {
        let now = clock.wall();
        output::to(None, |out| {
            for entry in &entries {
                let cost =
                    entry.monthly_cost.amount.map_or_else(|| "?".to_owned(), |amount| format!("${}", amount.cents()));
                let back = match entry.reverse(now) {
                    Ok(deed) => format!(
                        "{}{}",
                        deed.kind().name(),
                        entry.until.map_or_else(String::new, |until| format!(" until {}", until.date()))
                    ),
                    Err(why) => why,
                };
                let copy = match (&entry.copy, &entry.kept) {
                    (Some(copy), Some(kept)) if entry.removed.is_none() => {
                        let over = if entry.is_copy_due(now) { ", over: `sweeper apply --ended-copies`" } else { "" };
                        format!(
                            ", kept {} for {} a month until {}{over}",
                            kept.native_id,
                            plan::cost(copy.monthly_cost.amount),
                            copy.until.date()
                        )
                    }
                    _ => String::new(),
                };
                writeln!(
                    out,
                    "{}  {}  {} {}  {cost} a month  {}",
                    entry.id,
                    entry.at,
                    entry.deed.kind().name(),
                    inert::line(&entry.target.id()),
                    inert::line(&(back + &copy))
                )?;
            }
            if entries.is_empty() {
                writeln!(out, "nothing was done")?;
            }
            Ok(())
        })?;
        return Ok(Exit::Done);
    }
    let id = args.id.clone().unwrap_or_default();
    let entry = entries.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
        Failure::usage(format!("nothing done is called `{id}`")).help("`sweeper undo --list` shows it")
    })?;
    if !deployment.trust.may_apply {
        return Err(Failure::new(Exit::Refused, "this deployment may not change anything: `[apply] enabled = true`"));
    }
    let settings = Settings::new(&args.look, &config)?;
    let calls = Calls::new(Arc::clone(&clock), settings.limits.clone());
    let mut kinds = settings.universes(&calls).await?.kinds();
    let kind = kinds
        .remove(entry.target.kind.as_str())
        .ok_or_else(|| Failure::usage(format!("nothing here knows {}", entry.target.kind)))?;
    let run = random_id()?;
    let trail = deployment.trail(run.clone(), Arc::clone(&clock))?;
    let parts = undo::Parts {
        store: deployment.store.as_ref(),
        trail: &trail,
        calls: &calls,
        kind,
        holder: deployment::holder(run),
        lease: lease::TTL,
        watch: Duration::from_mins(30),
    };
    match undo::undo(&entry, parts).await {
        Ok(Ended::Done { kept, .. }) => {
            let made = kept.map_or_else(String::new, |kept| format!(": {}", kept.native_id));
            log::say(&format!("undone{made}"));
            Ok(Exit::Done)
        }
        Ok(other) => {
            let (Ended::Skipped(why) | Ended::Failed(why) | Ended::Unknown(why) | Ended::Left(why)) = &other else {
                return Err(Failure::new(Exit::ActionsFailed, other.name()));
            };
            Err(Failure::new(Exit::ActionsFailed, format!("{}: {why}", other.name())))
        }
        Err(Stop::Locked(why)) => Err(Failure::new(Exit::Locked, why)),
        Err(Stop::Damaged(why)) => Err(Failure::new(Exit::Damaged, why)),
        Err(stop) => Err(Failure::new(Exit::Refused, stop.why())),
    }
}
