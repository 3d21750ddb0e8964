//! `sweeper survey`: looks once, and seals what was seen in a file.

use super::{Ended, LookArgs, Settings};
use crate::{
    TOOL,
    config::Config,
    engine,
    exit::{Exit, Failure},
    log,
    measures::{Export, Measures},
    output::Whole,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::survey_file;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
    /// The file to write, or a directory in which it is named by its content
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE")]
    pub measures: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let config = Config::find(args.look.config.as_deref())?;
    let export = Export::new(args.measures.as_deref(), &config);
    let settings = Settings::new(&args.look, &config)?;
    Ok(export.of("survey", take(&settings, &args.output, None)).await?.exit())
}

/// Looks, reading no longer than that, and writes the survey.
pub async fn take(settings: &Settings, output: &Path, within: Option<Duration>) -> Result<Ended, Failure> {
    let outcome = settings.run_within(within).await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let failed =
        |error: std::io::Error| Failure::usage(format!("failed to write the survey {}: {error}", output.display()));
    let named = output.is_dir();
    let path = if named { output.join("survey") } else { output.to_owned() };
    let mut file = Whole::create(&path).map_err(failed)?;
    let digest = survey_file::write(&outcome.sealed, TOOL, &mut file).map_err(failed)?;
    let path = if named { output.join(format!("{digest}.json")) } else { path };
    file.keep_as(&path).map_err(failed)?;
    let says = format!("survey {digest} in {}", path.display());
    log::say(&says);
    let mut report = engine::report(&outcome, &settings.set, digest, None);
    let unremembered = settings.remember(&report);
    report.run.exit.extend(unremembered);
    let measures = Measures::of(&outcome, &report);
    Ok(settings.counted(Ended { says, measures, causes: report.run.exit, run: report.run.id }, &outcome))
}
