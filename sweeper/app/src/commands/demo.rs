//! `sweeper demo`: the same sweep, of an organisation that is served on this machine.

mod bills;
mod play;

use super::{
    LookArgs, Settings, random_id,
    report::{Past, ShowArgs, show},
};
use crate::{
    clouds::{
        self,
        emulated::{self, Planted, Served},
    },
    config::Config,
    engine::{self, Outcome},
    exit::{Exit, Failure},
    measures::Export,
    output,
    render::{Format, inert},
    state,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use sweeper_core::{model::CloudId, policy::PolicySet};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", conflicts_with_all = ["truth", "bill", "bills", "play"])]
    pub measures: Option<PathBuf>,
    /// Show everything, also what costs next to nothing
    #[arg(long)]
    pub all: bool,
    /// Show what was planted and whether it was found, instead of the report
    #[arg(long)]
    pub truth: bool,
    /// Show what the demo's bills of last week say, and why, as `sweeper bill --explain` does
    #[arg(long, conflicts_with_all = ["format", "output", "all", "truth"])]
    pub bill: bool,
    /// Write the bills of three months, a survey and a config that names them into this new directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["format", "output", "all", "truth", "bill"])]
    pub bills: Option<PathBuf>,
    /// Play a month instead: find, tell, plan, approve, apply, prove, and take one deletion back
    #[arg(long, conflicts_with_all = ["format", "output", "all", "truth", "bill", "bills"])]
    pub play: bool,
    /// Leave the play's config, policies, state, log, plan and approval in this new directory
    #[arg(long, value_name = "DIR", requires = "play")]
    pub keep: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if args.play {
        return Box::pin(played(args.keep)).await;
    }
    if let Some(place) = &args.bills {
        make(place)?;
    }
    let config = Config::parse("demo-config.toml", emulated::config(), Path::new(""))?;
    let served = Served::start().await?;
    let mut settings = Settings::new(&LookArgs { state: Some("memory:".to_owned()), ..LookArgs::default() }, &config)?;
    settings.choice.endpoint = Some(served.url());
    settings.choice.untold.clear();
    settings.choice.clouds = clouds_here(&served)?;
    settings.state = Some(state::Place::Memory);
    let outcome = settings.run().await?;
    if let Some(place) = &args.bills {
        return bills::write(place, &served, &outcome.sealed);
    }
    if args.bill {
        return bills::explain(&served, &outcome.sealed);
    }
    if args.truth {
        return truth(&outcome, &settings.set, &served.planted());
    }
    let show_args = ShowArgs { format: args.format, output: args.output, all: args.all, fail_on: None };
    let ended = settings.counted(show(&outcome, &settings.set, random_id()?, &show_args, Past::default())?, &outcome);
    let exit = ended.exit();
    Export::file(args.measures.as_deref()).write(ended.measures);
    Ok(exit)
}

/// The demo's clouds that this build has.
fn clouds_here(served: &Served) -> Result<BTreeSet<CloudId>, Failure> {
    let here: BTreeSet<CloudId> = served.clouds().into_iter().filter(|cloud| clouds::BUILT.contains(cloud)).collect();
    if here.is_empty() {
        return Err(Failure::usage("the demo has nothing in any cloud of this build"));
    }
    Ok(here)
}

/// Makes a new directory.
fn make(place: &Path) -> Result<(), Failure> {
    std::fs::create_dir(place)
        .map_err(|error| Failure::usage(format!("failed to make the directory {}: {error}", place.display())))
}

/// Plays in a directory that is kept, or in one that is gone afterwards.
async fn played(keep: Option<PathBuf>) -> Result<Exit, Failure> {
    let place = match &keep {
        Some(place) => place.clone(),
        None => std::env::temp_dir().join(format!("sweeper-play-{}", random_id()?)),
    };
    make(&place)?;
    let ended = Box::pin(play::play(&place)).await;
    if keep.is_none() {
        let _ = std::fs::remove_dir_all(&place);
    }
    ended
}

/// Compares what was planted with what was found. Only detectors that something was planted for are held
/// to it; for them, a finding that nobody planted is wrong, too.
fn truth(outcome: &Outcome, set: &PolicySet, planted: &[Planted]) -> Result<Exit, Failure> {
    let report = engine::report(outcome, set, String::new(), None);
    let kinds: BTreeSet<&str> = clouds::specs().iter().map(|spec| spec.id).collect();
    // A build that lacks a cloud is not held to what is in it.
    let here = |each: &&Planted| each.resource.split(':').next().is_some_and(|kind| kinds.contains(kind));
    let planted: BTreeSet<Planted> = planted.iter().filter(here).cloned().collect();
    let detectors: BTreeSet<&str> = planted.iter().map(|each| each.detector.as_str()).collect();
    let found: BTreeSet<Planted> = report
        .glances()
        .filter(|glance| detectors.contains(glance.policy.detector()))
        .map(|glance| Planted {
            resource: glance.resource.id(),
            detector: glance.policy.detector().to_owned(),
            verdict: glance.verdict.name().to_owned(),
        })
        .collect();
    output::to(None, |out| {
        for each in planted.union(&found) {
            let mark = match (planted.contains(each), found.contains(each)) {
                (true, true) => "ok     ",
                (true, false) => "MISSED ",
                _ => "WRONG  ",
            };
            writeln!(out, "{mark} {} {} {}", each.verdict, each.detector, inert::line(&each.resource))?;
        }
        let (missed, wrong) = (planted.difference(&found).count(), found.difference(&planted).count());
        writeln!(out, "{} planted, {missed} missed, {wrong} wrong", planted.len())
    })?;
    Ok(if planted == found { Exit::Done } else { Exit::Bug })
}
