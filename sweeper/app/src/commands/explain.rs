//! `sweeper explain`: why a resource is in the report or not, clause by clause; or what a detector means.

use super::{LookArgs, Settings, offline};
use crate::{
    clouds,
    config::{self, Config},
    engine,
    exit::{Exit, Failure},
    output,
    render::explain,
};
use std::path::PathBuf;
use sweeper_core::{detect, inventory::Resource, model::CloudId};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A resource (`aws.ec2-volume:111122223333/us-east-1/vol-…`, or its native id: an ARM id, a name), or a
    /// detector
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

/// Words that name nothing, found out before anything is looked at; and where a resource must be, from its id.
fn narrowed(args: &Args) -> Result<LookArgs, Failure> {
    let mut look = args.look.clone();
    let unknown = |help: String| Err(Failure::usage(format!("nothing is called `{}`", args.id)).help(help));
    if let Some((kind, _)) = args.id.split_once(':')
        && let Some(cloud) = kind.split_once('.').and_then(|(cloud, _)| CloudId::parse(cloud))
    {
        let kinds: Vec<&'static str> = clouds::specs().iter().map(|spec| spec.id).collect();
        if !kinds.contains(&kind) && clouds::BUILT.contains(&cloud) {
            let help = config::meant(kind, &kinds).unwrap_or_else(|| format!("`{kind}` is no kind of this build"));
            return unknown(help);
        }
        if look.cloud.is_empty() {
            look.cloud.push(cloud);
        }
    } else if let Some(rest) = args.id.strip_prefix("/subscriptions/") {
        if look.cloud.is_empty() && look.subscription.is_empty() {
            look.cloud.push(CloudId::Azure);
            // Below a parent, others may use it: there it is looked at as a report looks.
            let id = rest.split('/').next().unwrap_or_default();
            let config = Config::find(look.config.as_deref())?.azure;
            let has_scope =
                look.org || config.org || config.management_group.is_some() || !config.subscriptions.is_empty();
            if !has_scope && config::account_of(CloudId::Azure, id).is_ok() {
                look.subscription.push(id.to_owned());
            }
        }
    } else if args.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        let ids: Vec<&'static str> = detect::DETECTORS.iter().map(|detector| detector.spec.id).collect();
        if let Some(meant) = config::meant(&args.id, &ids) {
            return unknown(format!(
                "{meant} A resource of this name is explained by its full id, `<kind>:<account>/<region>/<name>`"
            ));
        }
    }
    Ok(look)
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let look = narrowed(&args)?;
    let (outcome, set) = if let Some(survey) = &args.survey {
        let (outcome, set, _, _) = offline(&args.look, survey)?;
        (outcome, set)
    } else {
        let config = Config::find(look.config.as_deref())?;
        let settings = Settings::new(&look, &config)?;
        let outcome = settings.run().await?;
        (outcome, settings.set)
    };
    let inventory = &outcome.sealed.survey.inventory;
    let is_it = |resource: &Resource<'_>| {
        let is = |own: &str| {
            if resource.cloud().ignores_case() { own.eq_ignore_ascii_case(&args.id) } else { own == args.id }
        };
        is(resource.native_id()) || is(&resource.id())
    };
    let found: Vec<_> = inventory.resources().filter(is_it).collect();
    if found.is_empty() {
        let ids: Vec<&'static str> = detect::DETECTORS.iter().map(|detector| detector.spec.id).collect();
        let help = config::meant(&args.id, &ids).unwrap_or_else(|| {
            "a full id is `<kind>:<account>/<region>/<native id>`; a kind that no policy needs is listed with \
             --all-kinds"
                .to_owned()
        });
        return Err(Failure::usage(format!("nothing seen is called `{}`", args.id)).help(help));
    }
    let report = engine::report(&outcome, &set, String::new(), None);
    output::to(None, |mut out| {
        for resource in found {
            explain::resource(&report, resource, &mut out)?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
