//! `sweeper approve`: signs that a plan may be applied, or that a policy may act within bounds.

use super::random_id;
use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log,
    output::{self, Target},
    policies, signing,
};
use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
};
use sweeper_core::{
    approve::{Items, LONGEST_STANDING, OneTime, Signed, Standing, Text},
    caps::Caps,
    clock::{Clock as _, SystemClock},
    deed::DeedKind,
    model::{DAY, Timestamp},
    money::Amount,
    note::Signer,
    plan::{Action, Plan},
};

#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["plan", "standing", "new_key", "show_key"])))]
pub struct Args {
    /// The plan to approve
    plan: Option<PathBuf>,
    /// Approve what this policy finds, for a time and within bounds: only what can be had back, and not in production
    #[arg(long, value_name = "POLICY")]
    standing: Option<String>,
    /// Make a key that signs with this name, and print what goes into the config
    #[arg(long, value_name = "NAME")]
    new_key: Option<String>,
    /// Print what goes into the config for a key that a key service keeps, and that signs with this name
    #[arg(long, value_name = "NAME", requires = "public_pem")]
    show_key: Option<String>,
    /// The public key of that key, as the service shows it: PEM, or the base64 within
    #[arg(long, value_name = "FILE", requires = "show_key")]
    public_pem: Option<PathBuf>,
    #[command(flatten)]
    signing: signing::Args,
    /// Only these actions: `1-3,7`
    #[arg(long, value_name = "NUMBERS", default_value = "all", value_parser = Items::parse)]
    items: Items,
    /// At most so many actions, for a standing approval in one run [default: all of the plan's; 50]
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// At most so many in seven days, for a standing approval [default: three runs]
    #[arg(long, value_name = "N")]
    count_week: Option<u32>,
    /// At most so much a month, US dollars
    #[arg(long, value_name = "USD", value_parser = usd)]
    monthly_usd: Option<Amount>,
    /// Where a standing approval holds: `aws:111122223333`, `gcp:team-*`
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
    /// How many days it is good for [default: until the plan ends; 30]
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Who reviewed, as a signing machine records it
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    reviewer: Vec<String>,
    /// Where the approval goes [default: beside the plan]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A policy file or a directory of them, for a standing approval
    #[arg(long, value_name = "PATH")]
    policies: Option<PathBuf>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
}

fn usd(text: &str) -> Result<Amount, String> {
    Amount::parse(text).filter(|amount| *amount >= Amount::ZERO).ok_or_else(|| "an amount of US dollars".to_owned())
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(name) = &args.new_key {
        let path = args.signing.key.clone().ok_or_else(|| Failure::usage("--key FILE says where the new key goes"))?;
        let signer = deployment::fresh(name)?;
        deployment::write_key(&path, &signer)?;
        return entry(name, signer.verifier());
    }
    if let (Some(name), Some(path)) = (&args.show_key, &args.public_pem) {
        return entry(name, &signing::public_key(name, path)?);
    }
    let config = Config::find(args.config.as_deref())?;
    let now = SystemClock::default().wall();
    let deployment = Deployment::open(args.state.as_deref(), &config, now)?;
    let hand = Hand::of(&args.signing, &config)?;
    let (text, place) = match (&args.plan, &args.standing) {
        (Some(path), _) => {
            let plan = deployment::read_plan(path)?;
            let bounds = Bounds {
                count: args.count,
                monthly_usd: args.monthly_usd,
                days: args.days,
                reviewers: args.reviewer.iter().cloned().collect(),
            };
            (one_time(&plan, args.items.clone(), &deployment, &hand.by, bounds, now)?, beside(path))
        }
        (None, Some(policy)) => {
            let (by, nonce) = (hand.by.clone(), random_id()?);
            (standing(args, &config, &deployment, policy, by, nonce, now)?, format!("{policy}.approval").into())
        }
        (None, None) => return Err(Failure::usage("name a plan, or --standing POLICY")),
    };
    hand.sign(&text, &deployment, args.output.as_deref().unwrap_or(&place), now)?;
    Ok(Exit::Done)
}

/// What goes into the config for a key.
fn entry(name: &str, key: &sweeper_core::note::Verifier) -> Result<Exit, Failure> {
    output::to(None, |out| writeln!(out, "[[approver]]\nname = {name:?}\nroles = [\"owner\"]\nkey = \"{key}\""))?;
    Ok(Exit::Done)
}

/// Where the approval of a plan goes.
pub fn beside(plan: &Path) -> PathBuf {
    plan.with_extension("approval")
}

/// Who signs, and with what.
pub struct Hand {
    pub by: String,
    /// `None` where the text is printed, for somebody else to sign.
    signer: Option<Signer>,
}

impl Hand {
    /// Fails where there is no key, or nobody whose key it is.
    pub fn of(args: &signing::Args, config: &Config) -> Result<Self, Failure> {
        let signer = args.signer()?;
        let by = match (&args.text_by, &signer) {
            (Some(name), _) => name.clone(),
            (None, Some(signer)) => config.person_of(signer.verifier()).ok_or_else(|| {
                Failure::new(
                    Exit::Refused,
                    "no [[approver]] of the config has this key, so that nobody would believe it",
                )
            })?,
            (None, None) => String::new(),
        };
        Ok(Self { by, signer })
    }

    /// Signs a text, holds it against the trust roots and writes it, or prints it for somebody else to sign.
    /// Gives what was signed here.
    pub fn sign(
        &self,
        text: &Text,
        deployment: &Deployment,
        place: &Path,
        now: Timestamp,
    ) -> Result<Option<Signed>, Failure> {
        let Some(signer) = &self.signer else {
            output::to(None, |out| write!(out, "{text}"))?;
            return Ok(None);
        };
        let note = signer.sign(&text.to_string()).map_err(|error| signing::failed("the approval", &error))?;
        let signed = deployment
            .trust
            .read(note.as_bytes(), &deployment.name, now)
            .map_err(|refusal| Failure::new(Exit::Refused, format!("this approval would be refused: {refusal}")))?;
        let unwritten = |error: std::io::Error| Failure::usage(format!("failed to write {}: {error}", place.display()));
        let mut file = Target::create(place).map_err(unwritten)?;
        file.write_all(note.as_bytes()).map_err(unwritten)?;
        file.keep().map_err(unwritten)?;
        log::say(&format!("approval of {} in {}", text.by(), place.display()));
        Ok(Some(signed))
    }
}

/// Bounds of an approval that its signer may set.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// At most so many actions; by default those that it names.
    pub count: Option<u32>,
    /// At most so much a month, US dollars; by default what those come to.
    pub monthly_usd: Option<Amount>,
    /// How many days it is good for; by default until the plan ends.
    pub days: Option<u32>,
    /// Who agreed besides, where a machine signs.
    pub reviewers: BTreeSet<String>,
}

/// The approval of some actions of a plan.
///
/// # Errors
/// Where it would be of no use: the plan is over, or of another deployment, or has none of the actions.
pub fn one_time(
    plan: &Plan,
    items: Items,
    deployment: &Deployment,
    by: &str,
    bounds: Bounds,
    now: Timestamp,
) -> Result<Text, Failure> {
    fits(plan, deployment, now)?;
    let covered: Vec<&Action> = plan.actions.iter().filter(|action| items.has(action.no)).collect();
    if let Items::Some(numbers) = &items
        && let Some(unknown) = numbers.iter().find(|no| !plan.actions.iter().any(|action| action.no == **no))
    {
        return Err(Failure::usage(format!("the plan has no action {unknown}")));
    }
    let until = bounds.days.map_or(plan.expires, |days| now.plus(i64::from(days) * DAY).min(plan.expires));
    Ok(Text::OneTime(OneTime {
        plan: plan.id.clone(),
        deployment: deployment.name.clone(),
        by: by.to_owned(),
        reviewers: bounds.reviewers,
        count: bounds.count.unwrap_or(covered.len() as u32),
        monthly_usd: bounds.monthly_usd.unwrap_or_else(|| covered.iter().filter_map(|action| action.usd()).sum()),
        items,
        from: now,
        until,
        nonce: random_id()?,
    }))
}

/// Whether an approval of a plan could be of use here and now.
pub fn fits(plan: &Plan, deployment: &Deployment, now: Timestamp) -> Result<(), Failure> {
    let refused = |what: String| Err(Failure::new(Exit::Refused, what).help("plan again, here and now"));
    if plan.deployment != deployment.name {
        return refused(format!("the plan is of deployment {}, and this is another", plan.deployment));
    }
    if plan.expires <= now {
        return refused(format!("the plan ended {}", plan.expires));
    }
    Ok(())
}

fn standing(
    args: &Args,
    config: &Config,
    deployment: &Deployment,
    name: &str,
    by: String,
    nonce: String,
    now: Timestamp,
) -> Result<Text, Failure> {
    let path = args.policies.as_deref().or(config.policies.as_deref());
    let (set, _) = policies::to_run(&policies::sources(path)?)?;
    let policy = set.policies.iter().find(|policy| policy.name == name).ok_or_else(|| {
        Failure::usage(format!("there is no policy `{name}`")).help("`sweeper policy list` shows them")
    })?;
    let deed = DeedKind::of(policy.then).ok_or_else(|| Failure::usage(format!("policy `{name}` only reports")))?;
    if args.scope.is_empty() {
        return Err(Failure::usage("--scope says where it holds: a standing approval of everything is none"));
    }
    let days = i64::from(args.days.unwrap_or(30));
    if days * DAY > LONGEST_STANDING {
        return Err(Failure::usage(format!("a standing approval ends within {} days", LONGEST_STANDING / DAY)));
    }
    let caps = Caps::default();
    let count = args.count.unwrap_or(caps.count);
    let money = args.monthly_usd.unwrap_or(caps.monthly);
    let run = Caps { count, monthly: money, ..caps };
    Ok(Text::Standing(Standing {
        policy: name.to_owned(),
        rule: policy.digest(),
        deployment: deployment.name.clone(),
        scopes: args.scope.iter().cloned().collect::<BTreeSet<String>>(),
        deed: deed.name().to_owned(),
        by,
        count_run: count,
        count_week: args.count_week.unwrap_or(run.window().count),
        usd_run: money,
        usd_week: run.window().monthly,
        usd_item: money,
        from: now,
        until: now.plus(days * DAY),
        nonce,
    }))
}
