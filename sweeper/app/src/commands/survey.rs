//! `sweeper survey`: looks once, and seals what was seen in a file.

use super::{LookArgs, Settings};
use crate::{
    TOOL,
    config::Config,
    engine,
    exit::{Exit, Failure},
    log,
    measures::{Export, Measured},
    output::Whole,
};
use std::path::PathBuf;
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
    export.of("survey", measured(args, &config)).await
}

async fn measured(args: Args, config: &Config) -> Result<Measured, Failure> {
    let settings = Settings::new(&args.look, config)?;
    let outcome = settings.run().await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let failed = |error: std::io::Error| {
        Failure::usage(format!("failed to write the survey {}: {error}", args.output.display()))
    };
    let named = args.output.is_dir();
    let path = if named { args.output.join("survey") } else { args.output.clone() };
    let mut file = Whole::create(&path).map_err(failed)?;
    let digest = survey_file::write(&outcome.sealed, TOOL, &mut file).map_err(failed)?;
    let path = if named { args.output.join(format!("{digest}.json")) } else { path };
    file.keep_as(&path).map_err(failed)?;
    log::say(&format!("survey {digest} in {}", path.display()));
    let mut report = engine::report(&outcome, &settings.set, digest, None);
    let unremembered = settings.remember(&report);
    report.run.exit.extend(unremembered);
    Ok(settings.measured(&outcome, &report))
}
