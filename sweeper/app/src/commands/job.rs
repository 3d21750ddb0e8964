//! `sweeper job`: one run of a schedule of the config, now. What crontabs, functions and containers call.

use super::{LookArgs, Settings};
use crate::{
    config::{Config, Entry},
    exit::{Exit, Failure},
    log,
    output::folder,
    platform,
    run::job::{self, Job, To},
};
use std::{path::PathBuf, time::Duration};
use tokio::sync::watch;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The schedule's name [default: the only one of the config]
    #[arg(value_name = "NAME", conflicts_with = "schedule")]
    name: Option<String>,
    /// The same
    #[arg(long, value_name = "NAME", env = "SWEEPER_SCHEDULE")]
    schedule: Option<String>,
    /// Names what triggered the run: what was done for it already is not done again [default: the execution, where
    /// Cloud Run, Container Apps, Batch or Kubernetes (JOB_NAME) names one]
    #[arg(long, value_name = "TEXT", env = "SWEEPER_TOKEN")]
    token: Option<String>,
    /// End within so many seconds: reading stops early enough, and what was not seen is said
    #[arg(long, value_name = "SECONDS", env = "SWEEPER_DEADLINE", value_parser = clap::value_parser!(u64).range(1..))]
    deadline: Option<u64>,
    /// Where what a schedule without `output` writes goes: a directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or
    /// az://ACCOUNT/CONTAINER/PREFIX [default: the standard output, for a report]
    #[arg(long, value_name = "URL|DIR", env = "SWEEPER_OUTPUT", value_parser = folder)]
    output: Option<PathBuf>,
    #[command(flatten)]
    look: LookArgs,
}

pub async fn run(args: Args, mut stopped: watch::Receiver<bool>) -> Result<Exit, Failure> {
    if args.look.now.is_some() {
        return Err(Failure::usage("a job runs now: --now is for reports"));
    }
    let config = Config::find(args.look.config.as_deref())?;
    let entry = named(&config, args.name.as_deref().or(args.schedule.as_deref()))?;
    let settings = Settings::new(&args.look, &config)?;
    let job = Job {
        entry,
        config: &config,
        settings: &settings,
        look: &args.look,
        to: args.output.as_deref().map_or(To::Output, To::Folder),
    };
    let deadline = args.deadline.map(Duration::from_secs);
    // A platform that starts an execution again, as it does after exit codes that are no failure, is told the same.
    let execution = if args.token.is_none() { platform::token() } else { None };
    let token = args.token.as_deref().or(execution.as_deref());
    let done = tokio::select! {
        done = job::run(&job, token, deadline) => done?,
        _ = stopped.wait_for(|stopped| *stopped) => return Ok(Exit::Done),
    };
    log::say(&done.line(&entry.name));
    Ok(done.earlier.filter(|_| execution.is_some()).unwrap_or(done.exit()))
}

/// The schedule of a name, or the only one.
pub fn named<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Entry, Failure> {
    let names: Vec<&str> = config.schedules.iter().map(|entry| entry.name.as_str()).collect();
    let mut own = config.schedules.iter().filter(|entry| name.is_none_or(|name| entry.name == name));
    match (own.next(), own.next(), name) {
        (Some(entry), None, _) => Ok(entry),
        (None, ..) if names.is_empty() => Err(Failure::usage("the config has no schedule")
            .help("add `[[schedule]]` with `name` and `cron = \"0 6 * * MON-FRI\"` to sweeper.toml")),
        (None, _, name) => Err(Failure::usage(format!("there is no schedule `{}`", name.unwrap_or_default()))
            .help(format!("schedules of the config: {}", names.join(", ")))),
        (Some(_), Some(_), None) => Err(Failure::usage("the config has several schedules: name one")
            .help(format!("schedules of the config: {}", names.join(", ")))),
        (Some(_), Some(_), Some(name)) => {
            Err(Failure::usage(format!("several schedules are called `{name}`: give each a `name` of its own")))
        }
    }
}
