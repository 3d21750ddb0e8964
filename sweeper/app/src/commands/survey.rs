//! `sweeper survey`: looks once, and seals what was seen in a file; or lists one shard of many, and merges them.

use super::{Ended, LookArgs, Settings};
use crate::{
    TOOL,
    config::Config,
    engine,
    exit::{Exit, Failure},
    log,
    measures::{Export, Measures},
    output::{Target, Whole, url},
    run::carried::Within,
    shards::{self, Job, Merge, Part},
};
use std::path::{Path, PathBuf};
use sweeper_core::survey_file::{self, Sealed};

#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    pub then: Option<Then>,
    #[command(flatten)]
    pub look: LookArgs,
    /// The file or object (s3://, gs://, az://) to write, or a directory in which it is named by its content
    #[arg(long, value_name = "FILE|URL", required_unless_present = "to", conflicts_with = "to")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE")]
    pub measures: Option<PathBuf>,
}

/// One shard of many.
#[derive(Clone, Debug, clap::Args)]
pub struct ShardArgs {
    /// List one shard of many, seal it there, and leave the rest to `survey merge`: a directory that all processes
    /// see, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://ACCOUNT/CONTAINER/PREFIX
    #[arg(long, value_name = "URL|DIR")]
    pub to: Option<String>,
    /// Which shard, counted from 0 (`3/8`), or `claim/8` for whatever is free [default: what Cloud Run, a Kubernetes
    /// Indexed Job (with SWEEPER_SHARDS) or an array job of AWS Batch says]
    #[arg(long, value_name = "I/N", requires = "to", conflicts_with = "output")]
    pub shard: Option<String>,
    /// The run's name, the same for all its shards [default: SWEEPER_RUN, or the engine's execution]
    #[arg(long, value_name = "ID", requires = "to", conflicts_with = "output")]
    pub run: Option<String>,
    /// What the shard does
    #[arg(long, value_enum, default_value_t, requires = "to", conflicts_with = "output")]
    pub stage: Part,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Then {
    /// Put the shards of a run together to one survey; what never came is blind
    Merge(Box<MergeArgs>),
}

#[derive(Clone, Debug, clap::Args)]
pub struct MergeArgs {
    #[command(flatten)]
    pub look: LookArgs,
    /// Where the shards were sealed
    #[arg(long, value_name = "URL|DIR")]
    pub from: String,
    /// The run's name [default: SWEEPER_RUN, or the engine's execution]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// The survey: a file, a directory in which it is named by its content, or an object (s3://, gs://, az://)
    #[arg(long, value_name = "FILE|URL", required_unless_present = "asks")]
    pub output: Option<String>,
    /// Only write what the rules still ask, for `survey --stage answers` to ask it in shards
    #[arg(long, conflicts_with = "output")]
    pub asks: bool,
    /// Write what the merge measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", conflicts_with = "asks")]
    pub measures: Option<PathBuf>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if let Some(Then::Merge(args)) = args.then {
        let config = Config::find(args.look.config.as_deref())?;
        let run = shards::run_id(args.run.as_deref(), &variable)?;
        let merge = Merge { run, from: args.from, output: args.output };
        let export = Export::new(args.measures.as_deref(), &config);
        let merged = shards::merge(Settings::new(&args.look, &config)?, &merge);
        // Questions are no end of a run, and measure nothing.
        let ended = if args.asks { merged.await? } else { Box::pin(export.of("survey", merged)).await? };
        return Ok(ended.exit());
    }
    if let Some(to) = args.shard.to {
        let which = shards::which(args.shard.shard.as_deref(), &variable)?;
        let run = shards::run_id(args.shard.run.as_deref(), &variable)?;
        let job = Job { run, to, which, stage: args.shard.stage };
        return shards::survey_shard(&args.look, &job).await;
    }
    let Some(output) = args.output else { return Err(Failure::usage("--output names no file")) };
    let config = Config::find(args.look.config.as_deref())?;
    let export = Export::new(args.measures.as_deref(), &config);
    let settings = Settings::new(&args.look, &config)?;
    Ok(export.of("survey", take(&settings, &output, Within::default(), false)).await?.exit())
}

/// Writes a survey, to a file or an object, or in a folder, by the name of its content; gives its digest and where it is.
/// A directory is a folder, whoever calls it so.
pub fn write(sealed: &Sealed, output: &Path, in_folder: bool) -> Result<(String, PathBuf), Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("failed to write the survey {}: {error}", output.display()));
    if url(output).is_some() {
        let named = |digest: &str| if in_folder { output.join(format!("{digest}.json")) } else { output.to_owned() };
        // What an object is called is told before its first byte.
        let digest = if in_folder { survey_file::write(sealed, TOOL, std::io::sink())? } else { String::new() };
        let path = named(&digest);
        let mut object = Target::create(&path).map_err(failed)?;
        let digest = survey_file::write(sealed, TOOL, &mut object).map_err(failed)?;
        object.keep().map_err(failed)?;
        return Ok((digest, path));
    }
    let named = in_folder || output.is_dir();
    let path = if named { output.join("survey") } else { output.to_owned() };
    let mut file = Whole::create(&path).map_err(failed)?;
    let digest = survey_file::write(sealed, TOOL, &mut file).map_err(failed)?;
    let path = if named { output.join(format!("{digest}.json")) } else { path };
    file.keep_as(&path).map_err(failed)?;
    Ok((digest, path))
}

/// Looks, reading no longer than that, and writes the survey.
pub async fn take(settings: &Settings, output: &Path, within: Within<'_>, in_folder: bool) -> Result<Ended, Failure> {
    let outcome = settings.run_within(within).await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let (digest, path) = write(&outcome.sealed, output, in_folder)?;
    let says = format!("survey {digest} in {}", path.display());
    log::say(&says);
    let mut report = engine::report(&outcome, &settings.set, digest, None);
    let unremembered = settings.remember(&report);
    report.run.exit.extend(unremembered);
    let measures = Measures::of(&outcome, &report);
    Ok(settings.counted(Ended { says, measures, causes: report.run.exit, run: report.run.id }, &outcome))
}
