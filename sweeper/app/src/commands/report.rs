//! `sweeper report`: what is wasted. Changes nothing in any cloud.

use super::{Ended, LookArgs, Settings, counted, offline, random_id, width};
use crate::{
    config::Config,
    engine::{self, Outcome},
    exit::{Exit, Failure},
    history::{self, Kept},
    log,
    measures::{Export, Measures},
    output,
    render::{self, Format, Look},
    state,
};
use std::{io, path::PathBuf};
use sweeper_core::{
    detect::Severity,
    history::since::{Since, Then},
    policy::PolicySet,
    report::Report,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
    /// Judge a survey taken before; reads nothing else, writes nothing, and needs no state
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cloud", "account", "subscription", "project", "org", "region", "all_kinds"])]
    pub survey: Option<PathBuf>,
    /// Show only what changed since the `last` report of this state, or since an earlier report (JSON) or survey in
    /// a file
    #[arg(long, value_name = "last|FILE")]
    pub since: Option<PathBuf>,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE")]
    pub measures: Option<PathBuf>,
    #[command(flatten)]
    pub show: ShowArgs,
}

/// How a report is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write to a file or an object (s3://, gs://, az://), which is there whole or not at all
    #[arg(long, value_name = "FILE|URL")]
    pub output: Option<PathBuf>,
    /// Show everything, also what costs next to nothing
    #[arg(long)]
    pub all: bool,
    /// Exit with 4 when something of this severity is found: info, ticket, page
    #[arg(long, value_name = "SEVERITY", value_parser = super::severity)]
    pub fail_on: Option<Severity>,
}

/// What a report has to do with earlier and later ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past<'a> {
    /// What it is held against, and what that is called.
    pub then: Option<(&'a Then, &'a str)>,
    /// Where it is remembered; `None`: nowhere.
    pub state: Option<&'a state::Place>,
}

pub fn run_offline(args: &Args, survey: &std::path::Path) -> Result<Exit, Failure> {
    let (outcome, set, digest, warnings) = offline(&args.look, survey)?;
    for warning in &warnings {
        log::warn(warning);
    }
    let then = args.since.as_deref().map(|since| history::then(since, None, &set)).transpose()?.flatten();
    let past = Past { then: then.as_ref().map(|(then, name)| (then, name.as_str())), state: None };
    let ended = show(&outcome, &set, digest, &args.show, past)?;
    let exit = ended.exit();
    // A survey is judged here, and nobody is told elsewhere.
    Export::file(args.measures.as_deref()).write(ended.measures);
    Ok(exit)
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let config = Config::find(args.look.config.as_deref())?;
    let export = Export::new(args.measures.as_deref(), &config);
    Ok(Box::pin(export.of("report", measured(args, &config))).await?.exit())
}

async fn measured(args: Args, config: &Config) -> Result<Ended, Failure> {
    let settings = Settings::new(&args.look, config)?;
    output::writable(args.show.output.as_deref()).map_err(|error| unwritten(&args.show, &error))?;
    let place = settings.state.as_ref();
    let then = args.since.as_deref().map(|since| history::then(since, place, &settings.set)).transpose()?.flatten();
    let outcome = settings.run().await?;
    let past = Past {
        then: then.as_ref().map(|(then, name)| (then, name.as_str())),
        state: place.filter(|_| settings.now.is_none()),
    };
    Ok(settings.counted(show(&outcome, &settings.set, random_id()?, &args.show, past)?, &outcome))
}

/// Writes the report of an outcome, and remembers it.
pub fn show(outcome: &Outcome, set: &PolicySet, id: String, args: &ShowArgs, past: Past<'_>) -> Result<Ended, Failure> {
    let mut report = engine::report(outcome, set, id, args.fail_on);
    report.since = past.then.map(|(then, name)| Since::of(&report, then, name));
    // A screen shows them at its end; the other forms have no place for them.
    let is_shown = args.output.is_none();
    if args.format != Format::Table || !is_shown {
        for warning in &outcome.warnings {
            log::warn(warning);
        }
    }
    if args.format == Format::Csv {
        // A row a finding, and these are none.
        for line in render::summary::told(&report) {
            log::warn(&line);
        }
    }
    let columns = if is_shown { width() } else { 120 };
    let look = Look { all: args.all, width: columns, warnings: &outcome.warnings };
    let write = |mut out: &mut dyn io::Write| render::write(&report, args.format, look, &mut out);
    output::to(args.output.as_deref(), write).map_err(|error| unwritten(args, &error))?;
    Ok(remembered(outcome, report, past))
}

/// Remembers a report that goes nowhere.
pub fn unshown(outcome: &Outcome, set: &PolicySet, id: String, past: Past<'_>) -> Ended {
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    remembered(outcome, engine::report(outcome, set, id, None), past)
}

/// Only once it is written: what nobody could read is not the last report.
fn remembered(outcome: &Outcome, mut report: Report<'_>, past: Past<'_>) -> Ended {
    let unremembered = past.state.and_then(|place| history::remember(place, &report, Kept::AsLast));
    report.run.exit.extend(unremembered);
    let (totals, findings) = (report.totals(), counted(report.len() as u64, "finding"));
    let (firm, up_to) = (render::summary::dollars(totals.firm), render::summary::dollars(totals.up_to));
    let says = format!("{findings}, {firm} a month, up to {up_to} more, {} unpriced", totals.unpriced);
    let measures = Measures::of(outcome, &report);
    Ended { says, measures, causes: report.run.exit, run: report.run.id }
}

fn unwritten(args: &ShowArgs, error: &std::io::Error) -> Failure {
    let place = args.output.as_ref().map_or_else(|| "the report".to_owned(), |path| path.display().to_string());
    Failure::usage(format!("failed to write {place}: {error}"))
}
