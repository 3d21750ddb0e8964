//! One file a command.

pub mod bill;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod explain;
pub mod init;
pub mod policy;
pub mod report;
pub mod survey;

use crate::{
    clouds::{self, Choice, Org},
    config::{self, Config},
    engine::{self, Inputs, Outcome},
    exit::{Exit, Failure},
    log, policies,
    render::progress::Board,
    state,
};
use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_bill::prices::PriceBook;
use sweeper_core::{
    calls::{Calls, Limits},
    clock::{Clock, SystemClock},
    detect::Severity,
    house::House,
    kind::{CloudError, Fault},
    ledger::Ledger,
    model::{CloudId, Timestamp},
    policy::PolicySet,
    survey_file,
    waiver::Waiver,
};

/// What to look at, and by which rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LookArgs {
    /// Only these clouds: aws, azure, gcp
    #[arg(long, value_name = "CLOUD", value_delimiter = ',', value_parser = cloud)]
    pub cloud: Vec<CloudId>,
    /// Only these AWS accounts
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub account: Vec<String>,
    /// Only these Azure subscriptions
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub subscription: Vec<String>,
    /// Only these GCP projects
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub project: Vec<String>,
    /// Every account of the organisation, by the role named in the config
    #[arg(long)]
    pub org: bool,
    /// Only these regions
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    pub region: Vec<String>,
    /// A policy file or a directory of them [default: the shipped policies]
    #[arg(long, value_name = "PATH")]
    pub policies: Option<PathBuf>,
    /// The config [default: ./sweeper.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where state is kept: a path, sqlite:PATH or memory: [default: the user's state directory]
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    pub state: Option<String>,
    /// Judge as if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub now: Option<Timestamp>,
    /// List every kind, also those that no policy needs
    #[arg(long)]
    pub all_kinds: bool,
}

fn cloud(text: &str) -> Result<CloudId, String> {
    CloudId::parse(text).ok_or_else(|| {
        let known = CloudId::ALL.map(CloudId::name);
        config::meant(text, &known).unwrap_or_else(|| format!("one of: {}", known.join(", ")))
    })
}

/// An instant with a zone.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "an instant with a zone, as `2026-11-20T13:00:00Z`".to_owned())
}

/// A severity by its name.
pub fn severity(text: &str) -> Result<Severity, String> {
    [Severity::Info, Severity::Ticket, Severity::Page]
        .into_iter()
        .find(|severity| severity.name() == text)
        .ok_or_else(|| "one of: info, ticket, page".to_owned())
}

/// Everything a run needs, read once; a daemon runs it again and again.
pub struct Settings {
    pub set: PolicySet,
    pub warnings: Vec<String>,
    pub choice: Choice,
    pub house: House,
    pub waivers: Vec<Waiver>,
    pub limits: Limits,
    /// Opened at every run. `None` where there is no place for it.
    pub state: Option<state::Place>,
    pub now: Option<Timestamp>,
    pub all_kinds: bool,
}

impl Settings {
    /// From arguments and config.
    pub fn new(args: &LookArgs, config: &Config) -> Result<Self, Failure> {
        let path = args.policies.as_deref().or(config.policies.as_deref());
        let (set, warnings) = policies::to_run(&policies::sources(path)?)?;
        let named: BTreeSet<String> = [&args.account, &args.subscription, &args.project]
            .into_iter()
            .flatten()
            .map(|id| config::account_id(id).to_owned())
            .collect();
        let or = |named: BTreeSet<String>, configured: &BTreeSet<String>| {
            if named.is_empty() { configured.clone() } else { named }
        };
        let accounts = config.aws.accounts.iter().map(|id| config::account_id(id).to_owned()).collect();
        let org = (args.org || config.aws.org).then(|| Org {
            role: config.aws.role.clone().unwrap_or_else(|| config::ROLE.to_owned()),
            external_id: config.aws.external_id.clone(),
        });
        let mut limits = config.limits.clone();
        limits.deadline = config.deadline;
        Ok(Self {
            set,
            warnings,
            choice: Choice {
                clouds: args.cloud.iter().copied().collect(),
                accounts: or(named, &accounts),
                regions: or(args.region.iter().cloned().collect(), &config.aws.regions),
                org,
                endpoint: None,
            },
            house: config.house.clone(),
            waivers: config.waivers.clone(),
            limits,
            state: state::place(args.state.as_deref(), config)?,
            now: args.now,
            all_kinds: args.all_kinds,
        })
    }

    /// Looks and judges.
    pub async fn run(&self) -> Result<Outcome, Failure> {
        for warning in &self.warnings {
            log::warn(warning);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let calls = Calls::new(clock, self.limits.clone());
        let clouds = clouds::connect(&self.choice, &calls).await?;
        let prices = PriceBook::embedded()
            .map_err(|error| Failure::new(Exit::Bug, format!("the price book cannot be read: {error}")))?;
        let mut notes = Vec::new();
        let mut causes = Vec::new();
        let ledger = match &self.state {
            None => {
                notes.push("there is no place for state, so nothing is remembered: --state names one".to_owned());
                None
            }
            Some(place) => match state::ledger(place) {
                Ok(ledger) => Some(ledger),
                Err(error) => {
                    if matches!(error, sweeper_core::store::StoreError::Damaged(_)) {
                        causes.push(Exit::Damaged.cause(error.to_string()));
                    }
                    notes.push(format!("everything counts as first seen in this run: {error}"));
                    None
                }
            },
        };
        let specs = engine::specs_of(&clouds);
        let wanted = sweeper_core::policy::wanted(&self.set, &specs);
        let listed: Vec<_> = specs.into_iter().filter(|spec| self.all_kinds || wanted.contains(spec.id)).collect();
        let board = Board::new(&listed);
        let outcome = engine::run(Inputs {
            clouds: &clouds,
            calls: &calls,
            set: &self.set,
            house: self.house.clone(),
            waivers: self.waivers.clone(),
            accounts: self.choice.accounts.clone(),
            regions: self.choice.regions.clone(),
            all_kinds: self.all_kinds,
            whole: self.choice.org.is_some() && self.choice.accounts.is_empty(),
            prices: &prices,
            ledger: ledger.as_deref().map(|ledger: &dyn Ledger| ledger),
            progress: &board,
            now: self.now,
        })
        .await;
        board.clear();
        let mut outcome = outcome.map_err(|error| unable(&error))?;
        let survey = &outcome.sealed.survey;
        if survey.accounts.is_empty() {
            return Err(Failure::usage("none of the accounts asked for can be seen with these credentials")
                .help("use credentials of one of them, or --org for every account of the organisation"));
        }
        for id in self.choice.accounts.iter().filter(|id| !survey.accounts.iter().any(|account| account.id == **id)) {
            causes.push(Exit::Blind.cause(format!("the account {id} cannot be seen with these credentials")));
            notes.push(format!("the account {id} cannot be seen with these credentials"));
        }
        let regions: BTreeSet<&str> =
            survey.inventory.coverage().into_iter().map(|(_, scope, _)| scope.region.as_str()).collect();
        let missing: Vec<&str> =
            self.choice.regions.iter().map(String::as_str).filter(|region| !regions.contains(region)).collect();
        if !missing.is_empty() && missing.len() == self.choice.regions.len() {
            return Err(Failure::usage(format!("no account has the region {} enabled", missing.join(", ")))
                .help("leave --region out to look at every enabled region"));
        }
        notes.extend(missing.iter().map(|region| format!("no account has the region {region} enabled")));
        outcome.warnings.splice(0..0, notes);
        outcome.causes.splice(0..0, causes);
        Ok(outcome)
    }
}

/// A cloud that cannot be looked at at all.
fn unable(error: &CloudError) -> Failure {
    match error.fault {
        Fault::Unauthenticated => {
            let remedies: Vec<String> = clouds::remedies()
                .into_iter()
                .map(|(cloud, remedy)| format!("for {}, {remedy}", cloud.name()))
                .collect();
            Failure::usage(format!("there are no usable credentials: {error}")).help(remedies.join("; "))
        }
        Fault::Refused => Failure::usage(format!("failed to look: {error}")),
        _ => Failure::new(Exit::Blind, format!("failed to look at anything: {error}")),
    }
}

/// A survey taken before, with the digest that names it.
pub fn sealed(path: &Path) -> Result<(survey_file::Sealed, String), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("failed to read the survey {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    survey_file::read(file, &clouds::specs()).map_err(|error| {
        let failure = failed(&error);
        match error {
            survey_file::SurveyFileError::Newer(_) => failure.help("use a newer release"),
            survey_file::SurveyFileError::Damaged(_) => {
                failure.help("take the survey again: `sweeper survey --output FILE`")
            }
            _ => failure,
        }
    })
}

/// What a survey taken before is judged by, and the outcome. Reads nothing that was not named.
pub fn offline(args: &LookArgs, path: &Path) -> Result<(Outcome, PolicySet, String, Vec<String>), Failure> {
    let (mut sealed, digest) = sealed(path)?;
    let mut policies = args.policies.clone();
    if let Some(path) = &args.config {
        let config = Config::find(Some(path))?;
        sealed.house = config.house;
        policies = policies.or(config.policies);
    }
    let (set, warnings) = policies::to_run(&policies::sources(policies.as_deref())?)?;
    let outcome = engine::judge(sealed, &set, args.now);
    Ok((outcome, set, digest, warnings))
}

/// A name for a run that nobody else has.
pub fn random_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Bug, format!("the machine gives no random numbers: {error}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Columns of the terminal, or of what stands for one.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse::<usize>().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    columns.filter(|columns| *columns > 0).or_else(terminal).unwrap_or(120)
}
