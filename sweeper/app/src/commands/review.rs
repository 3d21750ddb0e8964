//! `sweeper review`: a walk through a plan in the terminal, that ends in what `sweeper approve` and `sweeper keep` make.

use super::{
    approve::{self, Bounds, Hand},
    counted, keep,
};
use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log,
    review::{
        model::{Effect, Review},
        screen,
    },
    signing,
};
use std::{
    collections::BTreeSet,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};
use sweeper_core::{
    approve::{Against, Items},
    clock::{Clock as _, SystemClock},
    model::Timestamp,
    plan::Plan,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The plan to walk through
    #[arg(default_value = "plan.json")]
    plan: PathBuf,
    #[command(flatten)]
    signing: signing::Args,
    /// How many days the approval is good for [default: until the plan ends]
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Where the approval goes [default: beside the plan]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The file of policies that what is kept goes into [default: as `sweeper keep`]
    #[arg(long, value_name = "FILE")]
    keep_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let plan = deployment::read_plan(&args.plan)?;
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("a review needs a terminal, and the input is none").help(format!(
            "`sweeper plan show {0}` shows the plan, `sweeper approve {0} --items 1-3,7` signs for some of it",
            args.plan.display()
        )));
    }
    let config = Config::find(args.config.as_deref())?;
    let now = SystemClock::default().wall();
    let deployment = Deployment::open(args.state.as_deref(), &config, now)?;
    // Found out before anybody walks through it.
    approve::fits(&plan, &deployment, now)?;
    let hand = Hand::of(&args.signing, &config)?;
    if plan.actions.is_empty() {
        log::say("the plan has no actions: there is nothing to approve");
        return Ok(Exit::Done);
    }
    let file = keep::file(args.keep_file.as_deref(), &config);
    let most = config.house.max_keep_days;
    let check = {
        let file = file.clone();
        move |wanted: &keep::Keeping| {
            keep::Added::to(&file, std::slice::from_ref(wanted), most, now).map(drop).map_err(|failure| {
                let problems: Vec<String> = std::iter::once(failure.message).chain(failure.problems).collect();
                problems.join(" ")
            })
        }
    };
    let failed = |error: std::io::Error| Failure::usage(format!("the terminal cannot be used: {error}"));
    let mut review = Review::new(plan, Box::new(check)).map_err(failed)?;
    match walk(&mut review).map_err(failed)? {
        Effect::Sign => {}
        Effect::None | Effect::Quit => {
            log::say("nothing was signed, and nothing was written");
            return Ok(Exit::Done);
        }
    }
    let now = SystemClock::default().wall();
    let items: BTreeSet<u32> = review.approved().map(|action| action.no).collect();
    let all = items.len() == review.plan.actions.len();
    let none = items.is_empty();
    let items = if all { Items::All } else { Items::Some(items) };
    let again = |failure: Failure| match (none, failure.help.clone()) {
        (true, _) => failure,
        (false, help) => {
            let help = help.map(|help| help + "; ").unwrap_or_default();
            let plan = args.plan.display();
            failure.help(format!("{help}the same approvals again: `sweeper approve {plan} --items {items}`"))
        }
    };
    let kept = review.kept();
    if !kept.is_empty() {
        let added = keep::Added::to(&file, &kept, most, now).map_err(again)?;
        added.write(&config, args.state.as_deref()).map_err(again)?;
    }
    if none {
        log::say("nothing is approved: no approval was signed");
        return Ok(Exit::Done);
    }
    let summary = screen::summary(&review);
    let place = args.output.clone().unwrap_or_else(|| approve::beside(&args.plan));
    sign(&review.plan, &items, &deployment, &hand, args.days, &place, now).map_err(again)?;
    for line in summary.lines() {
        log::say(line);
    }
    Ok(Exit::Done)
}

fn sign(
    plan: &Plan,
    items: &Items,
    deployment: &Deployment,
    hand: &Hand,
    days: Option<u32>,
    place: &Path,
    now: Timestamp,
) -> Result<(), Failure> {
    let text = approve::one_time(plan, items.clone(), deployment, &hand.by, Bounds { days, ..Bounds::default() }, now)?;
    let Some(signed) = hand.sign(&text, deployment, place, now)? else { return Ok(()) };
    // Another person may be needed besides.
    let against = Against { trust: &deployment.trust, now };
    let approved = plan.clone().approve(vec![signed], against);
    let missing: Vec<_> = approved.missing().iter().filter(|(no, _)| items.has(**no)).collect();
    if let Some((no, why)) = missing.first() {
        let what = counted(missing.len() as u64, "action");
        log::warn(&format!("{what} not yet to be done with this approval alone, {no} the first: {why}"));
    }
    Ok(())
}

#[cfg(unix)]
fn walk(review: &mut Review) -> std::io::Result<Effect> {
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    crate::review::terminal::run(review, colours)
}

#[cfg(not(unix))]
fn walk(_review: &mut Review) -> std::io::Result<Effect> {
    Err(std::io::Error::other(
        "a review needs a terminal of Unix: `sweeper plan show` and `sweeper approve --items` do without",
    ))
}
