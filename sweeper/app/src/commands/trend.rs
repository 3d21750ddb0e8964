//! `sweeper trend`: how waste went, from what each run left in the state, or from stored surveys.

use super::{LookArgs, ledger::Place, offline};
use crate::{
    deployment, engine,
    exit::{Exit, Failure},
    log, output,
    render::trend as show,
};
use std::path::PathBuf;
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    history::runs::{self, Summary, comparable},
    model::DAY,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only by owner, or only by detector
    #[arg(long, value_enum)]
    by: Option<show::By>,
    /// So many days back
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Judge these surveys in place of what the state remembers
    #[arg(long, value_name = "FILE", num_args = 1..)]
    survey: Vec<PathBuf>,
    /// Policies for the surveys [default: the shipped policies]
    #[arg(long, value_name = "PATH", requires = "survey")]
    policies: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// How a trend is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people, with the days in a few strokes
    Table,
    /// `sweeper.trend/1`
    Json,
    /// A row a day and name
    Csv,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let runs = if args.survey.is_empty() {
        let (store, _) = args.place.open()?;
        let from = SystemClock::default().wall().plus(-i64::from(args.days) * DAY);
        runs::runs(store.as_ref(), from).map_err(|error| deployment::failed(&error))?
    } else {
        judged(args)?
    };
    let (days, left_out) = comparable(&runs);
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Table => show::table(&days, left_out, args.by, out),
        Form::Json => show::json(&days, left_out, out),
        Form::Csv => show::csv(&days, args.by, out),
    })
    .map_err(|error| Failure::usage(format!("failed to write the trend: {error}")))?;
    Ok(Exit::Done)
}

/// What stored surveys come to, by the policies of today.
fn judged(args: &Args) -> Result<Vec<Summary>, Failure> {
    let look = LookArgs { policies: args.policies.clone(), config: args.place.config.clone(), ..LookArgs::default() };
    let mut runs = Vec::new();
    for (at, path) in args.survey.iter().enumerate() {
        let (outcome, set, digest, warnings) = offline(&look, path)?;
        for warning in warnings.iter().filter(|_| at == 0) {
            log::warn(warning);
        }
        runs.push(Summary::of(&engine::report(&outcome, &set, digest, None)));
    }
    runs.sort_by_key(|run| run.taken_at);
    let last = runs.last().map(|run| run.taken_at);
    runs.retain(|run| last.is_some_and(|last| last.since(run.taken_at) < i64::from(args.days) * DAY));
    Ok(runs)
}
