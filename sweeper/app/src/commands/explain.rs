//! `sweeper explain`: why a resource is in the report or not, clause by clause; or what a detector means.

use super::{LookArgs, Settings, offline};
use crate::{
    clouds,
    config::Config,
    exit::{Exit, Failure},
    output,
    render::explain,
};
use std::path::PathBuf;
use sweeper_core::detect;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A resource (`aws.ec2-volume:111122223333/us-east-1/vol-…`, or its native id), or a detector
    pub id: String,
    #[command(flatten)]
    pub look: LookArgs,
    /// Explain by a survey taken before
    #[arg(long, value_name = "FILE")]
    pub survey: Option<PathBuf>,
}

/// What a detector means, when it is one.
pub fn run_detector(args: &Args) -> Option<Result<Exit, Failure>> {
    let detector = detect::detector(&args.id)?;
    let specs = clouds::specs();
    let written = output::to(None, |mut out| explain::detector(detector.spec, &specs, &mut out));
    Some(written.map(|()| Exit::Done).map_err(Failure::from))
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let (outcome, set) = if let Some(survey) = &args.survey {
        let (outcome, set, _, _) = offline(&args.look, survey)?;
        (outcome, set)
    } else {
        let config = Config::find(args.look.config.as_deref())?;
        let settings = Settings::new(&args.look, &config)?;
        let outcome = settings.run().await?;
        (outcome, settings.set)
    };
    let inventory = &outcome.sealed.survey.inventory;
    let found: Vec<_> =
        inventory.resources().filter(|resource| resource.native_id() == args.id || resource.id() == args.id).collect();
    if found.is_empty() {
        let ids: Vec<&'static str> = detect::DETECTORS.iter().map(|detector| detector.spec.id).collect();
        let help = crate::config::meant(&args.id, &ids).unwrap_or_else(|| {
            "a full id is `<kind>:<account>/<region>/<native id>`; a kind that no policy needs is listed with \
             --all-kinds"
                .to_owned()
        });
        return Err(Failure::usage(format!("nothing seen is called `{}`", args.id)).help(help));
    }
    let report = outcome.report(&set, String::new(), None);
    output::to(None, |mut out| {
        for resource in found {
            explain::resource(&report, resource, &mut out)?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
