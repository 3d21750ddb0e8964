//! `sweeper policy`: checks and lists policies. Needs no cloud.

use crate::{
    config::Config,
    exit::{Exit, Failure},
    log, output, policies,
    render::{columns, inert, summary::counted},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use sweeper_core::{
    model::{CloudId, DAY},
    policy::{Account, Policy, Watch},
};

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Check policies and show every problem at its place
    Check(PathArgs),
    /// List policies with their scope
    List(PathArgs),
}

#[derive(Clone, Debug, clap::Args)]
pub struct PathArgs {
    /// A policy file or a directory of them [default: the config's, or the shipped policies]
    pub path: Option<PathBuf>,
    /// The config [default: ./sweeper.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    pub config: Option<PathBuf>,
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) => check(args),
        Command::List(args) => list(args),
    }
}

fn sources(args: &PathArgs) -> Result<Vec<sweeper_core::policy::Source>, Failure> {
    let configured = match &args.path {
        Some(_) => None,
        None => Config::find(args.config.as_deref())?.policies,
    };
    policies::sources(args.path.as_deref().or(configured.as_deref()).map(Path::new))
}

fn check(args: &PathArgs) -> Result<Exit, Failure> {
    let sources = sources(args)?;
    let (set, warnings) = policies::checked(&sources)?;
    for warning in &warnings {
        let _ = writeln!(std::io::stderr(), "{}", log::lines(warning));
    }
    output::to(None, |out| {
        let count = set.policies.len() + set.watches.len();
        let policies = if count == 1 { "policy" } else { "policies" };
        writeln!(
            out,
            "{count} {policies} and {} in {}: no errors",
            counted(set.excepts.len() as u64, "exception"),
            counted(sources.len() as u64, "file")
        )
    })?;
    Ok(Exit::Done)
}

fn list(args: &PathArgs) -> Result<Exit, Failure> {
    let (set, _) = policies::checked(&sources(args)?)?;
    let rows: Vec<[String; 6]> = set.policies.iter().map(row).chain(set.watches.iter().map(watching)).collect();
    let header = ["POLICY", "SWEEPS", "THEN", "FOR", "SEVERITY", "SCOPE"].map(str::to_owned);
    let mut builder = tabled::builder::Builder::default();
    for row in std::iter::once(&header).chain(&rows) {
        builder.push_record(row.iter().map(|cell| inert::cut(cell, 60)));
    }
    output::to(None, |out| columns(builder, 0..0, out))?;
    Ok(Exit::Done)
}

fn row(policy: &Policy) -> [String; 6] {
    let sweeps = match (policy.sweep, policy.class) {
        (Some(detector), _) => detector.spec.id.to_owned(),
        (None, Some(class)) => format!("every {}", class.name()),
        (None, None) => "condition".to_owned(),
    };
    let mut scope = places(&policy.clouds, &policy.accounts);
    scope.extend(policy.regions.iter().cloned());
    scope.extend(policy.kinds.iter().map(|kind| kind.id.to_owned()));
    [
        policy.name.clone(),
        sweeps,
        policy.then.name().to_owned(),
        format!("{}d", policy.for_ / DAY),
        policy.severity.name().to_owned(),
        all_of(&scope),
    ]
}

fn watching(watch: &Watch) -> [String; 6] {
    let mut scope = places(&watch.clouds, &watch.accounts);
    scope.extend(watch.owners.iter().cloned());
    scope.extend(watch.by.map(|by| format!("by {}", by.name())));
    let what = watch.what.name().to_owned();
    [watch.name.clone(), what, "report".to_owned(), "-".to_owned(), watch.severity.name().to_owned(), all_of(&scope)]
}

fn places(clouds: &[CloudId], accounts: &[Account]) -> Vec<String> {
    let named = accounts.iter().map(|account| match account.cloud {
        Some(cloud) => format!("{}:{}", cloud.name(), account.id),
        None => account.id.clone(),
    });
    clouds.iter().map(|cloud| cloud.name().to_owned()).chain(named).collect()
}

fn all_of(scope: &[String]) -> String {
    if scope.is_empty() { "everything".to_owned() } else { scope.join(", ") }
}
