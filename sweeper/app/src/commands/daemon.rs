//! `sweeper daemon`: the same report, by the config's schedules.

use super::{LookArgs, Settings};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    log,
    run::job::{self, Job, To},
};
use std::time::Duration;
use sweeper_core::{
    clock::{Clock, SystemClock},
    model::Timestamp,
};

/// The longest sleep: a clock that is put right is noticed within it.
const NAP: i64 = 30;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let config = Config::find(args.look.config.as_deref())?;
    if config.schedules.is_empty() {
        return Err(Failure::usage("the config has no schedule")
            .help("add `[[schedule]]` with `cron = \"0 6 * * MON-FRI\"` to sweeper.toml"));
    }
    if args.look.now.is_some() {
        return Err(Failure::usage("--now and a daemon do not go together"));
    }
    // Everything wrong with the settings is found at the start, not at six in the morning.
    let settings = Settings::new(&args.look, &config)?;
    for entry in &config.schedules {
        job::directory(entry)?;
    }
    let clock = SystemClock::default();
    let mut last: Vec<Timestamp> = vec![clock.wall(); config.schedules.len()];
    loop {
        let now = clock.wall();
        let due = config.schedules.iter().zip(&last).position(|(entry, last)| entry.when.missed(*last, now));
        let Some(due) = due else {
            let next = config
                .schedules
                .iter()
                .zip(&last)
                .filter_map(|(entry, last)| entry.when.next_after(*last).map(|at| (at, &entry.name)))
                .min();
            let Some((at, name)) = next else {
                return Err(Failure::usage("no schedule ever comes again"));
            };
            log::say(&format!("next: {name} at {at}"));
            wait(&clock, at).await;
            continue;
        };
        // However many times have passed meanwhile, one run makes up for them.
        last[due] = now;
        let entry = &config.schedules[due];
        let job = Job { entry, config: &config, settings: &settings, look: &args.look, to: To::Output };
        match job::run(&job, None, None).await {
            Ok(done) => log::say(&done.line(&entry.name)),
            Err(failure) => log::fail(&failure),
        }
    }
}

async fn wait(clock: &SystemClock, until: Timestamp) {
    loop {
        let left = until.since(clock.wall());
        if left <= 0 {
            return;
        }
        let nap = Duration::from_secs(left.min(NAP).unsigned_abs());
        clock.sleep_until(clock.mono() + nap).await;
    }
}
