//! `sweeper approve`: signs that a plan may be applied, or that a policy may act within bounds.

use super::random_id;
use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log,
    output::{self, Whole},
    policies,
};
use std::{collections::BTreeSet, fs, io::Write as _, path::PathBuf};
use sweeper_core::{
    approve::{Items, LONGEST_STANDING, OneTime, Standing, Text},
    caps::Caps,
    clock::{Clock as _, SystemClock},
    deed::DeedKind,
    model::DAY,
    money::Amount,
    note::Signer,
};

#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["plan", "standing", "new_key"])))]
pub struct Args {
    /// The plan to approve
    plan: Option<PathBuf>,
    /// Approve what this policy finds, for a time and within bounds: only what can be had back, and not in production
    #[arg(long, value_name = "POLICY")]
    standing: Option<String>,
    /// Make a key that signs with this name, and print what goes into the config
    #[arg(long, value_name = "NAME")]
    new_key: Option<String>,
    /// The key to sign with, or to make
    #[arg(long, value_name = "FILE", env = "SWEEPER_KEY")]
    key: Option<PathBuf>,
    /// Print the text instead, for `ssh-keygen -Y sign -n sweeper`, as this person's
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    text_by: Option<String>,
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
        let path = args.key.clone().ok_or_else(|| Failure::usage("--key FILE says where the new key goes"))?;
        let signer = deployment::fresh(name)?;
        deployment::write_key(&path, &signer)?;
        output::to(None, |out| {
            writeln!(out, "[[approver]]\nname = {name:?}\nroles = [\"owner\"]\nkey = \"{}\"", signer.verifier())
        })?;
        return Ok(Exit::Done);
    }
    let config = Config::find(args.config.as_deref())?;
    let clock = SystemClock::default();
    let now = clock.wall();
    let deployment = Deployment::open(args.state.as_deref(), &config, now)?;
    let signer = match (&args.text_by, &args.key) {
        (Some(_), _) => None,
        (None, Some(path)) => Some(key(path)?),
        (None, None) => {
            return Err(Failure::usage("--key FILE names the key to sign with")
                .help("`sweeper approve --new-key you@example.com --key FILE` makes one; --text-by is for SSH keys"));
        }
    };
    let by = match (&args.text_by, &signer) {
        (Some(name), _) => name.clone(),
        (None, Some(signer)) => config.person_of(signer.verifier()).ok_or_else(|| {
            Failure::new(Exit::Refused, "no [[approver]] of the config has this key, so that nobody would believe it")
        })?,
        (None, None) => String::new(),
    };
    let nonce = random_id()?;
    let (text, place) = match (&args.plan, &args.standing) {
        (Some(path), _) => {
            let plan = deployment::read_plan(path)?;
            let until = args.days.map_or(plan.expires, |days| now.plus(i64::from(days) * DAY).min(plan.expires));
            let total: Amount = plan.actions.iter().filter_map(sweeper_core::plan::Action::usd).sum();
            let count = plan.actions.iter().filter(|action| args.items.has(action.no)).count() as u32;
            let text = Text::OneTime(OneTime {
                plan: plan.id.clone(),
                deployment: deployment.name.clone(),
                items: args.items.clone(),
                by: by.clone(),
                reviewers: args.reviewer.iter().cloned().collect(),
                count: args.count.unwrap_or(count),
                monthly_usd: args.monthly_usd.unwrap_or(total),
                from: now,
                until,
                nonce,
            });
            (text, path.with_extension("approval"))
        }
        (None, Some(policy)) => {
            (standing(args, &config, &deployment, policy, by, nonce, now)?, format!("{policy}.approval").into())
        }
        (None, None) => return Err(Failure::usage("name a plan, or --standing POLICY")),
    };
    let Some(signer) = signer else {
        output::to(None, |out| write!(out, "{text}"))?;
        return Ok(Exit::Done);
    };
    let note = signer
        .sign(&text.to_string())
        .map_err(|error| Failure::usage(format!("the approval cannot be signed: {error}")))?;
    deployment
        .trust
        .read(note.as_bytes(), &deployment.name, now)
        .map_err(|refusal| Failure::new(Exit::Refused, format!("this approval would be refused: {refusal}")))?;
    let place = args.output.clone().unwrap_or(place);
    let unwritten = |error: std::io::Error| Failure::usage(format!("failed to write {}: {error}", place.display()));
    let mut file = Whole::create(&place).map_err(unwritten)?;
    file.write_all(note.as_bytes()).map_err(unwritten)?;
    file.keep().map_err(unwritten)?;
    log::say(&format!("approval of {} in {}", text.by(), place.display()));
    Ok(Exit::Done)
}

fn key(path: &std::path::Path) -> Result<Signer, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the key {}: {error}", path.display())))?;
    Signer::parse(text.trim())
        .map_err(|error| Failure::usage(format!("the key {} cannot be used: {error}", path.display())))
}

fn standing(
    args: &Args,
    config: &Config,
    deployment: &Deployment,
    name: &str,
    by: String,
    nonce: String,
    now: sweeper_core::model::Timestamp,
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
