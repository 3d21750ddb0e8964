//! One file a command.

pub mod apply;
pub mod approve;
pub mod audit;
pub mod baseline;
pub mod bill;
pub mod check;
pub mod completions;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod iac_index;
pub mod in_use;
pub mod init;
pub mod job;
pub mod keep;
pub mod lease;
pub mod ledger;
pub mod lock;
pub mod notify;
pub mod permissions;
pub mod plan;
pub mod policy;
pub mod prices;
pub mod report;
pub mod review;
pub mod schema;
pub mod survey;
pub mod trend;
pub mod undo;

use crate::{
    clouds::{self, Choice, Fences, Org},
    config::{self, Config},
    engine::{self, Inputs, Outcome},
    exit::{Exit, Failure},
    history::{self, Kept},
    iac, log,
    measures::Measures,
    output, policies, referrers,
    render::{progress::Board, summary::counted},
    run::carried::Within,
    signs, state, watch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_core::{
    answers::Ask,
    begun::Begun,
    calls::{Calls, Limits},
    clock::{Clock, SystemClock},
    costs::Billed,
    detect::Severity,
    engine::Seen,
    environment::Environments,
    house::House,
    in_use::Referrers,
    kind::{Account, Cloud, CloudError, Fault},
    ledger::Ledger,
    model::{CloudId, Timestamp},
    policy::{PolicySet, Watched},
    report::{Cause, Report},
    survey::{Quiet, Survey, Universes},
    survey_file,
    waiver::Waiver,
};
use sweeper_store::StoreLedger;

/// What to look at, and by which rules.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LookArgs {
    /// Only these clouds: aws, azure, gcp [default: those that the environment or the config speak of]
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
    /// Everything below the parent: the organisation of AWS by the role named in the config, the management
    /// group of Azure (by default the tenant's root), the organisation or folder of GCP named in the config
    #[arg(long)]
    pub org: bool,
    /// Only these regions, with their zones; what is in no region is always looked at
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    pub region: Vec<String>,
    /// A policy file or a directory of them [default: the shipped policies]
    #[arg(long, value_name = "PATH")]
    pub policies: Option<PathBuf>,
    /// The config [default: ./sweeper.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where state is kept: a path, sqlite:PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
    /// az://ACCOUNT/CONTAINER/PREFIX or memory: [default: the user's state directory]
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

/// What a look came to, for whoever began it.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The name of the run, as in what it wrote.
    pub run: String,
    /// Of its exit code.
    pub causes: Vec<Cause>,
    /// In a few words.
    pub says: String,
    /// In figures.
    pub measures: Measures,
}

impl Ended {
    pub fn exit(&self) -> Exit {
        Exit::of(&self.causes)
    }
}

/// What is known before a look.
pub enum Before {
    /// What an earlier one listed that had no time, if any.
    Begun(Option<Begun>),
    /// All that other processes listed.
    Seen(Seen),
}

/// Everything a run needs, read once; a daemon runs it again and again.
pub struct Settings {
    pub set: PolicySet,
    pub warnings: Vec<String>,
    pub choice: Choice,
    pub house: House,
    pub waivers: Vec<Waiver>,
    pub iac: config::Iac,
    pub referrers: Vec<config::Referrer>,
    pub bill: config::Bill,
    pub prices: config::Prices,
    pub limits: Limits,
    /// Opened at every run. `None` where there is no place for it.
    pub state: Option<state::Place>,
    /// The directory of the audit log, where the config names one.
    pub log: Option<PathBuf>,
    pub now: Option<Timestamp>,
    pub all_kinds: bool,
}

impl Settings {
    /// From arguments and config.
    pub fn new(args: &LookArgs, config: &Config) -> Result<Self, Failure> {
        let path = args.policies.as_deref().or(config.policies.as_deref());
        let (set, mut warnings) = policies::to_run(&policies::sources(path)?)?;
        warnings.extend(crate::notify::unknown_channels(&set, &config.channels)?);
        let mut limits = config.limits.clone();
        limits.deadline = config.deadline;
        let state = state::place(args.state.as_deref(), config)?;
        Ok(Self {
            set,
            warnings,
            choice: choice(args, config, &signs::of_environment())?,
            house: config.house.clone(),
            waivers: config.waivers.clone(),
            iac: config.iac.clone(),
            referrers: config.referrers.clone(),
            bill: config.bill.clone(),
            prices: config.prices.beside(state.as_ref()),
            limits,
            state,
            log: config.apply.log.clone(),
            now: args.now,
            all_kinds: args.all_kinds,
        })
    }

    /// Asks the clouds for their accounts, and leaves out those that nobody asked for and that have no
    /// credentials. Fails when that leaves none, or when none can be entered.
    pub async fn universes(&self, calls: &Calls) -> Result<Universes, Failure> {
        let clouds = clouds::connect(&self.choice, calls).await?;
        let mut universes = sweeper_core::survey::universes(clouds, calls).await;
        let is_left_out = |cloud: CloudId, error: &CloudError| {
            error.fault == Fault::Unauthenticated && self.choice.untold.contains(&cloud)
        };
        let failed: Vec<(CloudId, CloudError)> = universes
            .clouds
            .iter()
            .filter_map(|(cloud, universe)| Some((cloud.id(), universe.as_ref().err()?.clone())))
            .collect();
        let hopeless = |error: &CloudError| matches!(error.fault, Fault::Unauthenticated | Fault::Refused);
        if failed.len() == universes.clouds.len() && failed.iter().all(|(_, error)| hopeless(error)) {
            return Err(unable(&failed));
        }
        universes.clouds.retain(|(cloud, universe)| !matches!(universe, Err(error) if is_left_out(cloud.id(), error)));
        for (cloud, error) in &failed {
            if is_left_out(*cloud, error) {
                let name = cloud.name();
                log::say(&format!(
                    "{name} is left out: nothing here leads to credentials for it (--cloud {name} tells)"
                ));
            } else {
                log::say(&format!("{} cannot be looked at: {error}", cloud.name()));
            }
        }
        log::say(&named(&universes, &self.choice));
        Ok(universes)
    }

    /// Looks and judges.
    pub async fn run(&self) -> Result<Outcome, Failure> {
        self.run_within(Within::default()).await
    }

    /// As [`Self::run`], reading no longer than that and than the config says.
    /// What had no time to come to its end may be gone on from, and leaves what it listed.
    pub async fn run_within(&self, within: Within<'_>) -> Result<Outcome, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let deadline = self.limits.deadline.into_iter().chain(within.time).min();
        let calls = Calls::new(clock, Limits { deadline, ..self.limits.clone() });
        let Some(carried) = within.carried else { return Ok(self.look(&calls).await?.0) };
        for warning in &self.warnings {
            log::warn(warning);
        }
        let universes = self.universes(&calls).await?;
        let specs: Vec<_> = universes.kinds().values().map(|kind| kind.spec()).collect();
        let now = calls.clock().wall();
        let begun = tokio::task::block_in_place(|| carried.begun(&specs, now));
        let (outcome, _) = self.look_at(&calls, &universes, Before::Begun(begun)).await?;
        tokio::task::block_in_place(|| carried.leave(&outcome));
        Ok(outcome)
    }

    /// As [`Self::run`], through a door that is there: also gives the clouds that were looked at.
    pub async fn look(&self, calls: &Calls) -> Result<(Outcome, Vec<Arc<dyn Cloud>>), Failure> {
        for warning in &self.warnings {
            log::warn(warning);
        }
        let universes = self.universes(calls).await?;
        self.look_at(calls, &universes, Before::Begun(None)).await
    }

    /// The in-use files of this moment. Buckets are asked, and nothing else waits for this thread.
    pub fn used_elsewhere(&self, now: Timestamp) -> Referrers {
        tokio::task::block_in_place(|| referrers::read(&self.referrers, now))
    }

    /// What the rules ask first of what other processes listed. Writes nothing.
    pub fn asks(&self, calls: &Calls, universes: &Universes, survey: &mut Survey) -> Result<BTreeSet<Ask>, Failure> {
        let now = calls.clock().wall();
        let prices = prices::book(&self.prices, now)?;
        let charged =
            tokio::task::block_in_place(|| watch::charged(&self.bill, self.now.unwrap_or(now), &mut Vec::new()));
        let store = self.state.as_ref().and_then(|place| state::open(place).ok());
        let inputs = Inputs {
            universes,
            calls,
            set: &self.set,
            house: House { iac: iac::read(&self.iac, now), referrers: self.used_elsewhere(now), ..self.house.clone() },
            waivers: self.waivers.clone(),
            accounts: self.choice.accounts.clone(),
            regions: self.choice.regions.clone(),
            all_kinds: self.all_kinds,
            whole: self.choice.whole(),
            prices: &prices,
            billed: charged.as_ref().map(|charged| charged as &dyn Billed),
            ledger: None,
            state: store.as_deref(),
            progress: &Quiet,
            now: self.now,
        };
        Ok(sweeper_core::engine::asks(survey, &inputs))
    }

    /// As [`Self::look`], where the accounts are known, and perhaps what is in them.
    pub async fn look_at(
        &self,
        calls: &Calls,
        universes: &Universes,
        before: Before,
    ) -> Result<(Outcome, Vec<Arc<dyn Cloud>>), Failure> {
        let clock = Arc::clone(calls.clock());
        let clouds: Vec<Arc<dyn Cloud>> = universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
        let prices = prices::book(&self.prices, clock.wall())?;
        let mut notes = Vec::new();
        let mut causes = Vec::new();
        let mut unopened = None;
        let lasting = match &self.state {
            None => {
                notes.push("there is no place for state, so nothing is remembered: --state names one".to_owned());
                None
            }
            Some(place) => match state::open(place) {
                Ok(store) => Some((StoreLedger::new(Arc::clone(&store)), store)),
                Err(error) => {
                    if matches!(error, sweeper_core::store::StoreError::Damaged(_)) {
                        causes.push(Exit::Damaged.cause(error.to_string()));
                    }
                    // Leases may be in it, unless it was never made.
                    let is_there = !matches!(place, state::Place::File(path) if !state::database(path).exists());
                    unopened = is_there.then(|| error.to_string());
                    notes.push(format!("everything counts as first seen in this run: {error}"));
                    None
                }
            },
        };
        // Files are read, and nothing else waits for this thread.
        let now = self.now.unwrap_or_else(|| clock.wall());
        notes.extend(watch::unjudged(&self.set.watches, &self.bill));
        let charged = tokio::task::block_in_place(|| watch::charged(&self.bill, now, &mut notes));
        let specs = engine::specs_of(&clouds);
        let wanted = sweeper_core::policy::wanted(&self.set, &specs);
        let listed: Vec<_> = specs.into_iter().filter(|spec| self.all_kinds || wanted.contains(spec.id)).collect();
        let board = Board::new(&listed);
        let inputs = Inputs {
            universes,
            calls,
            set: &self.set,
            house: House {
                iac: iac::read(&self.iac, clock.wall()),
                referrers: self.used_elsewhere(clock.wall()),
                // Leases that may be in it are not known, and are not taken to have ended.
                environments: unopened.map(Environments::unread).unwrap_or_default(),
                ..self.house.clone()
            },
            waivers: self.waivers.clone(),
            accounts: self.choice.accounts.clone(),
            regions: self.choice.regions.clone(),
            all_kinds: self.all_kinds,
            whole: self.choice.whole(),
            prices: &prices,
            billed: charged.as_ref().map(|charged| charged as &dyn Billed),
            ledger: lasting.as_ref().map(|(ledger, _)| ledger as &dyn Ledger),
            state: lasting.as_ref().map(|(_, store)| store.as_ref()),
            progress: &board,
            now: self.now,
        };
        let mut outcome = match before {
            Before::Begun(begun) => engine::run_on(begun, inputs).await,
            Before::Seen(seen) => sweeper_core::engine::judged(seen, inputs).await,
        };
        board.clear();
        let survey = &outcome.sealed.survey;
        let failed: BTreeSet<CloudId> =
            universes.clouds.iter().filter(|(_, known)| known.is_err()).map(|(cloud, _)| cloud.id()).collect();
        if survey.accounts.is_empty() && failed.is_empty() {
            return Err(Failure::usage("none of the accounts asked for can be seen with these credentials")
                .help("use credentials of one of them, or --org for every account of the organisation"));
        }
        for (cloud, error) in universes.clouds.iter().filter_map(|(cloud, known)| Some((cloud, known.as_ref().err()?)))
        {
            let remedy = remedy(cloud.id(), error);
            notes.push(format!("{} cannot be looked at: {error}{remedy}", cloud.id().name()));
            if cloud.kinds().is_empty() {
                // Nothing stands in the coverage for it.
                causes.push(Exit::Blind.cause(format!("{} cannot be looked at: {error}", cloud.id().name())));
            }
        }
        let seen = |cloud: CloudId, id: &str| {
            survey.accounts.iter().any(|account| account.cloud == cloud && account.id.eq_ignore_ascii_case(id))
        };
        for (cloud, ids) in self.choice.accounts.iter().filter(|(cloud, _)| !failed.contains(cloud)) {
            if !universes.clouds.iter().any(|(own, _)| own.id() == *cloud) {
                continue;
            }
            for id in ids.iter().filter(|id| !seen(*cloud, id)) {
                let unseen = format!("the {} {id} cannot be seen with these credentials", clouds::noun(*cloud));
                causes.push(Exit::Blind.cause(&unseen));
                notes.push(unseen);
            }
        }
        let missing = self.missing_regions(universes);
        let asked: BTreeSet<&str> = self.choice.regions.values().flatten().map(String::as_str).collect();
        if !missing.is_empty() && missing.len() == asked.len() {
            let missing: Vec<&str> = missing.into_iter().collect();
            return Err(Failure::usage(format!("no account has the region {} enabled", missing.join(", ")))
                .help("leave --region out to look at every enabled region"));
        }
        notes.extend(missing.iter().map(|region| format!("no account has the region {region} enabled")));
        let store = lasting.as_ref().map(|(_, store)| store.as_ref());
        let told = tokio::task::block_in_place(|| watch::judge(&self.set.watches, &self.bill, &outcome, store));
        outcome.told.extend(told);
        outcome.warnings.splice(0..0, notes);
        outcome.causes.splice(0..0, causes);
        Ok((outcome, clouds))
    }

    /// Remembers what a run came to, for trends. Only real runs are; a state that cannot be written costs no run.
    pub fn remember(&self, report: &Report<'_>) -> Option<Cause> {
        let place = self.state.as_ref().filter(|_| self.now.is_none())?;
        history::remember(place, report, Kept::Summary)
    }

    /// The same, with the figures of the state.
    pub fn counted(&self, mut ended: Ended, outcome: &Outcome) -> Ended {
        let state = Measures::state(self.state.as_ref(), self.log.as_deref(), outcome.sealed.finished);
        ended.measures = ended.measures.and(state);
        ended
    }

    /// Regions asked for that no account of any cloud has, as far as all clouds tell theirs.
    fn missing_regions(&self, universes: &Universes) -> BTreeSet<&str> {
        let mut missing: BTreeSet<&str> = self.choice.regions.values().flatten().map(String::as_str).collect();
        for (cloud, known) in &universes.clouds {
            let Some(asked) = self.choice.regions.get(&cloud.id()) else { continue };
            let accounts = known.as_ref().map_or(&[][..], |known| &known.accounts);
            let untold = |account: &Account| account.regions.is_empty() && account.none.is_none();
            if known.is_err() || accounts.iter().any(untold) {
                missing.retain(|region| !asked.contains(*region));
            }
            // The region of a zone that was asked for, as well.
            missing.retain(|region| {
                !accounts.iter().flat_map(|account| &account.regions).any(|own| {
                    own == region || region.strip_prefix(own.as_str()).is_some_and(|zone| zone.starts_with('-'))
                })
            });
        }
        missing
    }
}

/// What to look at, from arguments, config and the signs of clouds in the environment.
fn choice(args: &LookArgs, config: &Config, signs: &BTreeMap<CloudId, String>) -> Result<Choice, Failure> {
    let given = [
        (CloudId::Aws, "--account", &args.account, &config.aws.accounts, &config.aws.regions),
        (CloudId::Azure, "--subscription", &args.subscription, &config.azure.subscriptions, &config.azure.regions),
        (CloudId::Gcp, "--project", &args.project, &config.gcp.projects, &config.gcp.regions),
    ];
    let mut accounts = BTreeMap::new();
    let mut regions = BTreeMap::new();
    let mut implied = BTreeSet::new();
    for (cloud, flag, named, configured, configured_regions) in given {
        let named = named
            .iter()
            .map(|id| config::account_of(cloud, id).map_err(|error| Failure::usage(format!("{flag}: {error}"))))
            .collect::<Result<BTreeSet<String>, Failure>>()?;
        if !named.is_empty() {
            if !args.cloud.is_empty() && !args.cloud.contains(&cloud) {
                return Err(Failure::usage(format!("{flag} is about {}, which --cloud leaves out", cloud.name())));
            }
            implied.insert(cloud);
        }
        accounts.insert(cloud, if named.is_empty() { configured.clone() } else { named });
        let selected = args.region.iter().cloned().collect::<BTreeSet<String>>();
        regions.insert(cloud, if selected.is_empty() { configured_regions.clone() } else { selected });
    }
    accounts.retain(|_, ids| !ids.is_empty());
    regions.retain(|_, names| !names.is_empty());
    let configured = [
        (CloudId::Aws, config.aws.org || config.aws.role.is_some()),
        (CloudId::Azure, config.azure.org || config.azure.management_group.is_some()),
        (CloudId::Gcp, config.gcp.parent.is_some()),
    ];
    let told = configured.into_iter().filter(|(_, told)| *told).map(|(cloud, _)| cloud);
    let mut told: BTreeSet<CloudId> = told.chain(accounts.keys().copied()).chain(signs.keys().copied()).collect();
    told.retain(|cloud| clouds::BUILT.contains(cloud));
    let (clouds, untold) = if !args.cloud.is_empty() {
        (args.cloud.iter().copied().collect(), BTreeSet::new())
    } else if !implied.is_empty() {
        (implied, BTreeSet::new())
    } else if told.is_empty() {
        (BTreeSet::new(), clouds::BUILT.iter().copied().collect())
    } else {
        (told, BTreeSet::new())
    };
    let is_chosen = |cloud: CloudId| clouds.is_empty() || clouds.contains(&cloud);
    let parent = config.gcp.parent.clone();
    if args.org && parent.is_none() && is_chosen(CloudId::Gcp) && clouds::BUILT.contains(&CloudId::Gcp) {
        let missing = "--org needs `organization` or `folder` under [gcp] in the config: nothing else tells which";
        if clouds.len() == 1 {
            return Err(Failure::usage(missing).help("`gcloud organizations list` shows the number"));
        }
        log::warn(missing);
    }
    Ok(Choice {
        org: (args.org || config.aws.org).then(|| Org {
            role: config.aws.role.clone().unwrap_or_else(|| config::ROLE.to_owned()),
            write_role: config.aws.delete_role.clone(),
            external_id: config.aws.external_id.clone(),
        }),
        // The root group of a tenant is known without being told.
        management_group: config
            .azure
            .management_group
            .clone()
            .or_else(|| (args.org || config.azure.org).then(String::new)),
        parent,
        billing_table: config.gcp.billing_table.clone(),
        billing_bytes: config.gcp.billing_bytes,
        clouds,
        untold,
        accounts,
        regions,
        endpoint: None,
        fences: Fences {
            protect: config.house.protect_keys.clone(),
            condemned: config.apply.rules.fence.then(|| config.apply.rules.tag_key.clone()),
        },
    })
}

/// `aws: shop 111122223333; azure: shop 1111…, and 3 more subscriptions`: whose resources are about to be listed.
fn named(universes: &Universes, choice: &Choice) -> String {
    const SHOWN: usize = 3;
    let mut parts = Vec::new();
    for (cloud, known) in &universes.clouds {
        let cloud = cloud.id();
        let Ok(known) = known else {
            parts.push(format!("{}: nothing can be seen", cloud.name()));
            continue;
        };
        let ids = choice.accounts.get(&cloud);
        let selected: Vec<&Account> = known
            .accounts
            .iter()
            .filter(|account| ids.is_none_or(|ids| ids.is_empty() || ids.contains(&account.id)))
            .collect();
        let mut said: Vec<String> = selected
            .iter()
            .take(SHOWN)
            .map(|account| format!("{} {}", account.name, account.id).trim_start().to_owned())
            .collect();
        if selected.len() > SHOWN {
            said.push(format!("and {} more", counted((selected.len() - SHOWN) as u64, clouds::noun(cloud))));
        }
        if said.is_empty() {
            said.push(format!("no {}", clouds::noun(cloud)));
        }
        parts.push(format!("{}: {}", cloud.name(), said.join(", ")));
    }
    parts.join("; ")
}

/// What lets a cloud that cannot be looked at be looked at.
fn remedy(cloud: CloudId, error: &CloudError) -> String {
    let remedy = match error.fault {
        Fault::Unauthenticated => {
            clouds::remedies().into_iter().find(|(own, _)| *own == cloud).map(|(_, remedy)| remedy)
        }
        _ => None,
    };
    remedy.map_or_else(String::new, |remedy| format!("; {remedy}"))
}

/// Clouds of which none can be looked at at all.
fn unable(failed: &[(CloudId, CloudError)]) -> Failure {
    let said: Vec<String> = match failed {
        [(_, error)] => vec![error.to_string()],
        _ => failed.iter().map(|(cloud, error)| format!("for {}, {error}", cloud.name())).collect(),
    };
    let said = said.join("; ");
    if failed.iter().any(|(_, error)| error.fault == Fault::Refused) {
        return Failure::usage(format!("failed to look: {said}"));
    }
    let remedies: Vec<String> = clouds::remedies()
        .into_iter()
        .filter(|(cloud, _)| failed.iter().any(|(own, _)| own == cloud))
        .map(|(cloud, remedy)| format!("for {}, {remedy}", cloud.name()))
        .collect();
    Failure::usage(format!("there are no usable credentials: {said}")).help(remedies.join("; "))
}

/// A survey taken before, with the digest that names it.
pub fn sealed(path: &Path) -> Result<(survey_file::Sealed, String), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("failed to read the survey {}: {error}", path.display()))
    };
    let file = output::open(path).map_err(|error| failed(&error))?;
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
        // What was found managed or in use when the survey was taken stays so, and what is now is, too.
        let now = SystemClock::default().wall();
        let iac = std::mem::take(&mut sealed.house.iac).and(iac::read(&config.iac, now));
        let referrers = std::mem::take(&mut sealed.house.referrers).and(referrers::read(&config.referrers, now));
        let made_again = std::mem::take(&mut sealed.house.made_again);
        let environments = std::mem::take(&mut sealed.house.environments);
        sealed.house = House { iac, referrers, made_again, environments, ..config.house };
        policies = policies.or(config.policies);
    }
    let (set, mut warnings) = policies::to_run(&policies::sources(policies.as_deref())?)?;
    let waits = || set.watches.iter().filter(|watch| watch.what != Watched::OverQuota);
    let watching: Vec<&str> = waits().map(|watch| watch.name.as_str()).collect();
    if !waits().all(|watch| watch.at.path.starts_with("shipped:")) {
        warnings.push(format!("a survey holds no bill: only a run judges what watches one ({})", watching.join(", ")));
    }
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
