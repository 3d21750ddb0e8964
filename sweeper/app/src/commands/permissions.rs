//! `sweeper permissions`: the roles that a sweeper needs, made of what its kinds declare. Needs no cloud.

use super::cloud;
use crate::{
    clouds::{self, Fences},
    exit::{Exit, Failure},
    output, policies,
    roles::{At, For, Role},
};
use std::path::PathBuf;
use sweeper_core::{house::House, model::CloudId, policy};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The cloud: aws, azure, gcp
    #[arg(long, value_name = "CLOUD", value_parser = cloud)]
    pub cloud: CloudId,
    /// What the role is for
    #[arg(long, value_enum, default_value_t = For::Read)]
    pub role: For,
    /// Where the role is given
    #[arg(long, value_enum, default_value_t = At::Account)]
    pub at: At,
    /// Only what these policies need: a policy file or a directory of them [default: every kind]
    #[arg(long, value_name = "PATH")]
    pub policies: Option<PathBuf>,
    /// With --role delete in AWS: nothing that can have tags is stopped or deleted without this one
    #[arg(long, value_name = "TAG-KEY")]
    pub fence: Option<String>,
    /// With --role delete in AWS: nothing with one of these tags is stopped or deleted [default:
    /// sweeper-protect]
    #[arg(long, value_name = "TAG-KEY", value_delimiter = ',')]
    pub protect: Vec<String>,
    /// With --role read: also what `sweeper bill --api` needs
    #[arg(long)]
    pub bill: bool,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    pub format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// What the cloud's own tools take: an IAM policy, an Azure custom role, a custom role of Google Cloud
    Json,
    /// A line a permission, with what needs it
    Table,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    if !clouds::BUILT.contains(&args.cloud) {
        return Err(Failure::usage(format!("this build cannot look at {}", args.cloud.name())));
    }
    let mut specs = clouds::specs();
    if let Some(path) = &args.policies {
        let (set, _) = policies::to_run(&policies::sources(Some(path))?)?;
        let wanted = policy::wanted(&set, &specs);
        specs.retain(|spec| wanted.contains(spec.id));
        if !specs.iter().any(|spec| spec.cloud == args.cloud) {
            return Err(Failure::usage(format!("these policies judge nothing in {}", args.cloud.name())));
        }
    }
    if args.bill && args.role != For::Read {
        return Err(Failure::usage("--bill is about looking, and changes nothing: it goes with --role read"));
    }
    let mut role = match args.role {
        For::Read => Role::read(args.cloud, args.at, &specs),
        what => {
            let protect = if args.protect.is_empty() { House::default().protect_keys } else { args.protect.clone() };
            let fences = Fences { protect, condemned: args.fence.clone() };
            Role::write(what, args.cloud, args.at, &specs, &fences)
        }
    };
    if args.bill {
        for need in clouds::bill_needs(args.cloud) {
            role.permissions.entry(need.permission).or_default().insert(need.why);
        }
    }
    if role.permissions.is_empty() {
        return Err(Failure::usage("nothing of these kinds is ever changed, so there is no role for it"));
    }
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Json => role.write_json(out),
        Form::Table => role.write_table(out),
    })?;
    Ok(Exit::Done)
}
