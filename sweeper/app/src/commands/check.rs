//! `sweeper check terraform`: whose planned resources will be, and until when, before they are there.
//!
//! The policies that ask for owners and for ends (`missing-owner`, `expired`) are held against the tags and labels that a
//! plan will give to what it creates or changes, and quotas (`over-quota`) against what it adds. What is only known after
//! apply is said, and fails nothing.

mod quotas;
mod rules;
mod terraform;

pub use rules::{Finding, RULES, Verdict};
pub use terraform::Plan;

use crate::{
    commands::prices,
    config::Config,
    exit::{Exit, Failure},
    log, output, policies,
    render::check as show,
};
use std::path::PathBuf;
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    detect::{Severity, View},
    model::Timestamp,
    policy::{
        Watch,
        quota::{self, Standing},
    },
};

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Hold a plan of Terraform or OpenTofu against the policies of ownership and of ends, and against quotas
    Terraform(Args),
}

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What `terraform show -json PLANFILE` writes; `-` is the standard input
    plan: PathBuf,
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Exit with 4 when something of this severity is found: info, ticket, page
    #[arg(long, value_name = "SEVERITY", value_parser = super::severity)]
    fail_on: Option<Severity>,
    /// Tags that every planned resource must have, beside an owner
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    require_tag: Vec<String>,
    /// Every planned resource must say until when it is needed
    #[arg(long)]
    require_expiry: bool,
    /// What there is already (`sweeper survey --output FILE`), to be counted with what is planned: for quotas
    #[arg(long, value_name = "FILE")]
    survey: Option<PathBuf>,
    /// A policy file or a directory of them [default: the shipped policies]
    #[arg(long, value_name = "PATH")]
    policies: Option<PathBuf>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    /// Judge as if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = super::instant)]
    now: Option<Timestamp>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// `sweeper.check/1`
    Json,
    /// SARIF 2.1.0, as code scanning reads it
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// What came of a check.
pub struct Checked {
    /// The file, as it was named.
    pub path: String,
    pub findings: Vec<Finding>,
    /// Planned resources that were judged, and those of kinds that nobody judges.
    pub judged: usize,
    pub others: usize,
    /// What people should know, lower-case fragments.
    pub notes: Vec<String>,
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    let Command::Terraform(args) = command;
    let config = Config::find(args.config.as_deref())?;
    let path = args.policies.as_deref().or(config.policies.as_deref());
    let (set, warnings) = policies::to_run(&policies::sources(path)?)?;
    for warning in &warnings {
        log::warn(warning);
    }
    let plan = Plan::read(&args.plan)?;
    let asked = rules::Asked {
        set: &set,
        house: &config.house,
        now: args.now.unwrap_or_else(|| SystemClock::default().wall()),
        tags: &args.require_tag,
        expiry: args.require_expiry,
    };
    let mut findings: Vec<Finding> =
        plan.resources.iter().flat_map(|resource| rules::judge(&asked, resource)).collect();
    let survey = args.survey.as_deref().map(super::sealed).transpose()?.map(|(sealed, _)| sealed);
    let house = &config.house;
    let standing = survey.as_ref().map(|sealed| {
        move |watch: &Watch| {
            let taken_at = sealed.survey.taken_at;
            // Owners are those of the config, as of what is planned.
            let view = View::new(&sealed.survey.inventory, &sealed.survey.answers, house, taken_at);
            quota::standing(watch, &view, &sealed.costs)
        }
    });
    findings.extend(quotas::judge(
        &quotas::Asked {
            watches: &set.watches,
            house,
            prices: &prices::book(&config.prices, asked.now)?,
            standing: standing.as_ref().map(|standing| standing as &dyn Fn(&Watch) -> Standing),
        },
        &plan,
    ));
    findings.sort_by(|one, other| {
        (one.verdict, &one.address, one.rule.id).cmp(&(other.verdict, &other.address, other.rule.id))
    });
    let mut notes = plan.notes;
    if !rules::asks(&set) && args.require_tag.is_empty() && !args.require_expiry {
        notes.push(
            "no policy sweeps `missing-owner`, `expired` or `over-quota`, so only spelling is checked".to_owned(),
        );
    }
    let (judged, others) = (plan.resources.len(), plan.others);
    let checked = Checked { path: args.plan.display().to_string(), findings, judged, others, notes };
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Text => show::text(&checked, out),
        Form::Json => show::json(&checked, out),
        Form::Sarif => show::sarif(&checked, out),
        Form::Github => show::github(&checked, out),
    })
    .map_err(|error| Failure::usage(format!("failed to write the check: {error}")))?;
    if args.format != Form::Text {
        for note in &checked.notes {
            log::warn(note);
        }
    }
    let reached = |finding: &&Finding| {
        finding.verdict == Verdict::Found && args.fail_on.is_some_and(|least| finding.severity >= least)
    };
    Ok(if checked.findings.iter().any(|finding| reached(&finding)) { Exit::FailOn } else { Exit::Done })
}
