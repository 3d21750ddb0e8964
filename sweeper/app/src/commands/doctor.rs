//! `sweeper doctor`: who looks, at what, with which rights, what is not seen for want of one, and how to mend it.

use super::{LookArgs, Settings, remedy};
use crate::{
    clouds,
    config::Config,
    diagnosis::{AccountRights, CloudHealth, Diagnosis, InUse, Keeping, NotSeen, Right},
    engine::specs_of,
    exit::{Exit, Failure},
    log, output,
    render::doctor,
    state,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use sweeper_core::{
    calls::Calls,
    clock::{Clock, SystemClock},
    inventory::Status,
    kind::{Cloud, CloudError, Fault, Held, Identity, KindSpec, Universe},
    ledger::Ledger as _,
    model::{Class, CloudId, Scope, Tri},
    policy::{self, PolicySet},
    survey::{self, Quiet, Survey, Universes, Wanted},
};

/// The longest that trying out takes; what was not tried by then is said to be so.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a proposed waiver holds, days.
const WAIVED_FOR: i64 = 30;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Propose waivers of what is not seen, in a file that is not there yet; the reasons are left to be filled in
    #[arg(long, value_name = "FILE")]
    pub write_waivers: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// `sweeper.doctor/1`
    Json,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let config = Config::find(args.look.config.as_deref())?;
    let settings = Settings::new(&args.look, &config)?;
    if let Some(path) = args.write_waivers.as_deref().filter(|path| path.exists()) {
        return Err(taken(path));
    }
    let mut limits = settings.limits.clone();
    limits.deadline = Some(limits.deadline.map_or(PATIENCE, |deadline| deadline.min(PATIENCE)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let calls = Calls::new(Arc::clone(&clock), limits);
    let connected = clouds::connect(&settings.choice, &calls).await?;
    let identities = identities(&connected).await;
    let universes = survey::universes(connected, &calls).await;
    let wanted = wanted(&settings, &universes);
    let survey = survey::list(&universes, &wanted, &calls, &Quiet).await;

    let mut diagnosis = Diagnosis { state: keeping(settings.state.as_ref()), ..Diagnosis::default() };
    for ((cloud, universe), identity) in universes.clouds.iter().zip(identities) {
        let mut health = CloudHealth::new(cloud.id());
        match identity {
            Ok(Some(identity)) => {
                health.identity = Some(identity.name);
                health.credentials = Some(identity.source);
            }
            Ok(None) => {}
            Err(error) => health.identity_error = Some(error.to_string()),
        }
        match universe {
            Err(error) => {
                health.left_out = error.fault == Fault::Unauthenticated && settings.choice.untold.contains(&cloud.id());
                health.error = Some(error.to_string());
                let remedy = remedy(cloud.id(), error);
                health.fix = Some(remedy.trim_start_matches("; ").to_owned()).filter(|fix| !fix.is_empty());
            }
            Ok(universe) => {
                health.parent_read =
                    settings.choice.whole().contains(&cloud.id()).then_some(!universe.only_what_this_identity_sees);
                health.accounts = rights_in(cloud, universe, &wanted, &survey, &settings.set).await;
                for account in &mut health.accounts {
                    account.fix = fix(cloud.id(), account, health.identity.as_deref());
                }
            }
        }
        diagnosis.clouds.push(health);
    }
    diagnosis.not_seen = not_seen(&survey, &diagnosis);
    let now = clock.wall();
    diagnosis.in_use = settings.used_elsewhere(now).0.iter().map(|referrer| InUse::of(referrer, now)).collect();
    if let Some(path) = &args.write_waivers {
        let until = clock.wall().plus(WAIVED_FOR * sweeper_core::model::DAY).date();
        let text = waivers(&diagnosis.not_seen, &until);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Ok(()) => log::say(&format!("proposed waivers are in {}: fill in the reasons", path.display())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(path)),
            Err(error) => return Err(Failure::usage(format!("failed to write {}: {error}", path.display()))),
        }
    }
    diagnosis.healthy = diagnosis.is_healthy();
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Table => doctor::write(&diagnosis, out),
        Form::Json => doctor::write_json(&diagnosis, out),
    })?;
    Ok(if diagnosis.healthy { Exit::Done } else { Exit::Blind })
}

fn taken(path: &Path) -> Failure {
    Failure::usage(format!("{} is there already, and waivers are never written over", path.display()))
        .help("name a file that is not there yet, and copy what you accept into sweeper.toml")
}

/// Who each cloud's credentials are, all asked at once.
async fn identities(clouds: &[Arc<dyn Cloud>]) -> Vec<Result<Option<Identity>, CloudError>> {
    let mut asked = Vec::new();
    for cloud in clouds {
        let cloud = Arc::clone(cloud);
        asked.push(tokio::spawn(async move { cloud.identity().await }));
    }
    let mut identities = Vec::new();
    for identity in asked {
        identities.push(identity.await.unwrap_or(Ok(None)));
    }
    identities
}

fn wanted(settings: &Settings, universes: &Universes) -> Wanted {
    let clouds: Vec<Arc<dyn Cloud>> = universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
    Wanted {
        kinds: (!settings.all_kinds).then(|| policy::wanted(&settings.set, &specs_of(&clouds))),
        accounts: settings.choice.accounts.clone(),
        regions: settings.choice.regions.clone(),
    }
}

/// The rights of the identity in each account that is looked at.
async fn rights_in(
    cloud: &Arc<dyn Cloud>,
    universe: &Universe,
    wanted: &Wanted,
    survey: &Survey,
    set: &PolicySet,
) -> Vec<AccountRights> {
    let kinds: Vec<&'static KindSpec> = cloud
        .kinds()
        .iter()
        .map(|kind| kind.spec())
        .filter(|spec| wanted.kinds.as_ref().is_none_or(|kinds| kinds.contains(spec.id)))
        .collect();
    let needed = needed(cloud.id(), &kinds, set);
    let permissions: Vec<&'static str> = needed.keys().copied().collect();
    let mut accounts = Vec::new();
    for looked in survey.accounts.iter().filter(|looked| looked.cloud == cloud.id()) {
        let Some(account) = universe.accounts.iter().find(|account| account.id == looked.id) else { continue };
        let mut rights = AccountRights {
            id: account.id.clone(),
            name: account.name.clone(),
            path: account.path.clone(),
            blind: account.blind.clone(),
            none: account.none.clone(),
            ..AccountRights::default()
        };
        if account.blind.is_none() && account.none.is_none() {
            let told = match cloud.rights(&account.id, &permissions).await {
                Ok(told) if told.len() == permissions.len() => told,
                Ok(_) => vec![None; permissions.len()],
                Err(error) => {
                    rights.note = Some(format!("rights cannot be asked about, and are tried: {error}"));
                    vec![None; permissions.len()]
                }
            };
            let tried = Tried::of(survey, cloud.id(), &account.id);
            for ((permission, (kinds, blinds)), told) in needed.iter().zip(told) {
                let held = tried.outcome(permission).or(told);
                rights.permissions.push(Right {
                    permission: (*permission).to_owned(),
                    held,
                    kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
                    blinds: blinds.iter().map(|detector| (*detector).to_owned()).collect(),
                });
            }
        }
        accounts.push(rights);
    }
    accounts
}

/// By permission: what needs it, and the detectors that are unknown without it.
type Needed = BTreeMap<&'static str, (BTreeSet<&'static str>, BTreeSet<&'static str>)>;

fn needed(cloud: CloudId, kinds: &[&'static KindSpec], set: &PolicySet) -> Needed {
    let mut needed = Needed::new();
    for spec in kinds {
        let (by_listing, by_asking) = detectors(spec, set);
        for (permissions, detectors) in [(spec.reads, by_listing), (spec.asks, by_asking)] {
            for permission in permissions {
                let (kinds, blinds) = needed.entry(permission).or_default();
                kinds.insert(spec.id);
                blinds.extend(&detectors);
            }
        }
    }
    for need in clouds::needs(cloud) {
        match need.held {
            Held::Account => {
                needed.entry(need.permission).or_default().0.insert(need.why);
            }
            // Nobody grants these, or nobody does so in an account.
            Held::Nowhere => {
                needed.remove(need.permission);
            }
            Held::Parent => {}
        }
    }
    needed
}

/// Detectors of the policies that cannot do without a kind's listing, and without its answers.
fn detectors(spec: &KindSpec, set: &PolicySet) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut by_listing, mut by_asking) = (BTreeSet::new(), BTreeSet::new());
    for detector in set.policies.iter().filter_map(|policy| policy.sweep) {
        let own = detector.spec;
        let judges = own.judges(spec.class);
        let searches = spec.refers.iter().any(|(relation, _)| own.relations.contains(relation));
        if judges || searches || (spec.class != Class::Referrer && own.sources.contains(&spec.class)) {
            by_listing.insert(own.id);
        }
        if judges && !own.questions.is_empty() {
            by_asking.insert(own.id);
        }
    }
    (by_listing, by_asking)
}

/// What trying showed in one account.
struct Tried<'s> {
    /// Why something of it is blind or hidden.
    causes: BTreeSet<&'s str>,
    /// Permissions of calls that were answered.
    answered: BTreeSet<&'static str>,
}

impl<'s> Tried<'s> {
    fn of(survey: &'s Survey, cloud: CloudId, account: &str) -> Self {
        let is_there = |scope: &Scope| scope.cloud == cloud && scope.account == account;
        let mut causes = BTreeSet::new();
        for (_, scope, covered) in survey.inventory.coverage() {
            if is_there(scope) {
                causes.extend(covered.hidden.iter().map(String::as_str));
                if let Status::Blind { why } = &covered.status {
                    causes.insert(why.as_str());
                }
            }
        }
        let answered = survey
            .journal
            .iter()
            .filter(|((scope, _), tally)| is_there(scope) && tally.calls > tally.throttled + tally.failed)
            .map(|((_, op), _)| *op)
            .collect();
        Self { causes, answered }
    }

    fn outcome(&self, permission: &str) -> Tri {
        let denied = |cause: &&str| {
            cause.strip_prefix("denied ").is_some_and(|rest| rest.split_whitespace().next() == Some(permission))
        };
        if self.causes.iter().any(denied) {
            return Some(false);
        }
        self.answered.contains(permission).then_some(true)
    }
}

/// What to run or add so that an account is seen.
fn fix(cloud: CloudId, account: &AccountRights, identity: Option<&str>) -> Option<String> {
    let missing: Vec<&str> = account.missing().map(|right| right.permission.as_str()).collect();
    if missing.is_empty() {
        return None;
    }
    let id = &account.id;
    let who = identity.unwrap_or("THE-IDENTITY");
    Some(match cloud {
        CloudId::Aws => {
            let statement = serde_json::json!({ "Effect": "Allow", "Action": missing, "Resource": "*" });
            format!("add to the role's policy: {statement}")
        }
        CloudId::Azure => format!(
            "`sweeper permissions --cloud azure > role.json`, set AssignableScopes to /subscriptions/{id}, then `az role \
             definition create --role-definition role.json` and `az role assignment create --assignee {who} --role \
             sweeper-read --scope /subscriptions/{id}`"
        ),
        CloudId::Gcp => format!(
            "`sweeper permissions --cloud gcp > role.json`, then `gcloud iam roles create sweeperRead --project {id} --file \
             role.json` and `gcloud projects add-iam-policy-binding {id} --member serviceAccount:{who} --role \
             projects/{id}/roles/sweeperRead`"
        ),
    })
}

/// Blind places, a line for each cause in an account.
fn not_seen(survey: &Survey, diagnosis: &Diagnosis) -> Vec<NotSeen> {
    let left_out = |cloud: CloudId| diagnosis.clouds.iter().any(|health| health.cloud == cloud && health.left_out);
    let mut rows: BTreeMap<(CloudId, String, String), NotSeen> = BTreeMap::new();
    for (spec, scope, covered) in survey.inventory.coverage() {
        let Status::Blind { why } = &covered.status else { continue };
        if left_out(scope.cloud) {
            continue;
        }
        let key = (scope.cloud, scope.account.clone(), why.clone());
        let row = rows.entry(key).or_insert_with(|| NotSeen {
            cloud: scope.cloud,
            account: scope.account.clone(),
            why: why.clone(),
            kinds: BTreeSet::new(),
            regions: BTreeSet::new(),
        });
        row.kinds.insert(spec.id.to_owned());
        row.regions.insert(scope.region.clone());
    }
    rows.into_values().collect()
}

/// `[[waiver]]` entries for what is not seen. Their reasons are empty, which the config refuses until a person has
/// filled them in.
fn waivers(rows: &[NotSeen], until: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "# Proposed by `sweeper doctor`: what is not seen. For what you accept not to see, fill in a reason and copy the entry\n\
         # into sweeper.toml; for the rest, grant the right.\n",
    );
    for row in rows.iter().filter(|row| row.account != Scope::NO_ACCOUNT) {
        let list = |items: &BTreeSet<String>| {
            let items: Vec<String> = items.iter().map(|item| toml::Value::String(item.clone()).to_string()).collect();
            format!("[{}]", items.join(", "))
        };
        let account = toml::Value::String(format!("{}:{}", row.cloud.name(), row.account));
        // A comment ends with its line, whatever a cloud wrote.
        let why = crate::render::inert::line(&row.why).into_owned();
        let _ = write!(text, "\n# {why}\n[[waiver]]\naccounts = [{account}]\n");
        if !row.regions.contains(Scope::GLOBAL) {
            let _ = writeln!(text, "regions = {}", list(&row.regions));
        }
        let _ = write!(text, "kinds = {}\nreason = \"\"\nuntil = {until}\n", list(&row.kinds));
    }
    text
}

/// Whether there is a memory between runs.
fn keeping(place: Option<&state::Place>) -> Keeping {
    // Machines of functions and services are thrown away with what is on their disks.
    let passing = ["AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "CONTAINER_APP_NAME"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some());
    match place {
        None => Keeping {
            lasts: false,
            place: None,
            clocks: None,
            note: Some("there is no place for state: --state names one".to_owned()),
        },
        Some(state::Place::Memory) => Keeping {
            lasts: false,
            place: Some("memory:".to_owned()),
            clocks: None,
            note: Some("state ends with the run, so `for` and `grace` never pass".to_owned()),
        },
        Some(place @ state::Place::Bucket(bucket)) => {
            let read = state::ledger(place).map_err(|error| error.to_string()).and_then(|ledger| ledger.load());
            Keeping {
                lasts: read.is_ok(),
                place: Some(bucket.to_string()),
                clocks: read.as_ref().ok().map(|slice| slice.len() as u64),
                note: read.err(),
            }
        }
        Some(place @ state::Place::File(path)) => {
            let file = state::database(path);
            let mut keeping =
                Keeping { lasts: passing.is_none(), place: Some(file.display().to_string()), clocks: None, note: None };
            if file.exists() {
                match state::ledger(place).map_err(|error| error.to_string()).and_then(|ledger| ledger.load()) {
                    Ok(slice) => keeping.clocks = Some(slice.len() as u64),
                    Err(error) => {
                        keeping.lasts = false;
                        keeping.note = Some(error);
                    }
                }
            } else {
                keeping.note = Some("not there yet: the first report makes it".to_owned());
            }
            if let Some(name) = passing {
                keeping.note =
                    Some(format!("this machine's disk does not last ({name} is set), so `for` and `grace` never pass"));
            }
            keeping
        }
    }
}
