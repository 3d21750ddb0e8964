//! `sweeper notify`: tells owners what is found of theirs and what will become of it, and whoever watches what is out of
//! the ordinary. Changes nothing in any cloud; grace begins when a notice was delivered.

use super::{Ended, LookArgs, Settings, offline, random_id};
use crate::{
    config::{Channel, Config},
    engine::{self, Outcome},
    exit::{Exit, Failure},
    log,
    measures::{Export, Measures},
    notify::{
        self,
        tell::{Came, Notified, Seen, Telling},
        wire::{self, Wire},
    },
    output,
    recording::Recorder,
    state,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use sweeper_core::{
    audit::{self, Event},
    baseline,
    clock::{Clock as _, SystemClock},
    detect::View,
    ledger::{self, Ledger},
    model::DAY,
    policy::PolicySet,
    report::Cause,
    store::Store,
};
use sweeper_store::StoreLedger;

/// How old a survey may be that owners are told from, seconds.
const FRESH: i64 = DAY;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
    /// Tell from a survey that was taken in the last 24 hours, and look at no cloud: for a machine that may not
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cloud", "account", "subscription", "project", "org", "region", "all_kinds"])]
    pub survey: Option<PathBuf>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub preview: bool,
    /// Try also what waits after a failure
    #[arg(long)]
    pub again: bool,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE")]
    pub measures: Option<PathBuf>,
}

/// An event for each channel.
fn events(notified: &Notified<'_>) -> Vec<Event> {
    let event = |(channel, sent): (&&str, &notify::tell::Sent)| {
        Event::new(audit::Notice {
            channel: (*channel).to_owned(),
            to: notified.to.to_owned(),
            delivered: sent.delivered,
            receipt: sent.receipt.clone(),
            resources: sent.resources,
            digest: Some(sent.digest.clone()),
        })
    };
    notified.sent.iter().map(event).collect()
}

fn say(notified: &Notified<'_>) {
    let channels = notified.sent.iter().filter(|(_, sent)| sent.delivered);
    let channels: Vec<&str> = channels.map(|(channel, _)| *channel).collect();
    if !notified.marks.is_empty() {
        let count = super::counted(notified.marks.len() as u64, "finding");
        let by = if channels.is_empty() { String::new() } else { format!(" by {}", channels.join(", ")) };
        log::say(&format!("{} was told of {count}{by} at {}", notified.to, notified.at));
    } else if !channels.is_empty() {
        log::say(&format!("{} was told by {} at {}", notified.to, channels.join(", "), notified.at));
    }
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if args.look.now.is_some() {
        return Err(Failure::usage("notices are sent now: --now is for reports"));
    }
    let config = Config::find(args.look.config.as_deref())?;
    let export = Export::new(args.measures.as_deref(), &config);
    let settings = args.survey.is_none().then(|| Settings::new(&args.look, &config)).transpose()?;
    Ok(export.of("notify", tell(settings.as_ref(), &config, &args, None)).await?.exit())
}

/// Looks, reading no longer than that, and tells; without settings, from the survey of the arguments.
pub async fn tell(
    settings: Option<&Settings>,
    config: &Config,
    args: &Args,
    within: Option<Duration>,
) -> Result<Ended, Failure> {
    let channels = &config.channels;
    if channels.is_empty() {
        return Err(Failure::usage("there is no channel to tell anybody by")
            .help(format!("write a `[[channel]]` with `name` and `by` in the config: {}", config_names())));
    }
    let place = match state::place(args.look.state.as_deref(), config)? {
        Some(state::Place::Memory) | None => {
            return Err(Failure::usage("notices need a state that lasts: who was told would not be remembered")
                .help("--state PATH, or `state = \"…\"` in the config"));
        }
        Some(place) => place,
    };
    if !args.preview {
        // Before minutes of looking.
        secrets(channels)?;
    }
    let failed = |error: &sweeper_core::store::StoreError| crate::deployment::failed(error);
    let read;
    let (outcome, set, mut causes) = match (&args.survey, settings) {
        (Some(path), _) => {
            let store = state::open(&place).map_err(|error| failed(&error))?;
            let (outcome, set) = surveyed(&args.look, config, path, &store)?;
            read = set;
            (outcome, &read, Vec::new())
        }
        (None, Some(settings)) => {
            let outcome = settings.run_within(within).await?;
            for warning in &outcome.warnings {
                log::warn(warning);
            }
            let report = engine::report(&outcome, &settings.set, String::new(), None);
            let causes: Vec<Cause> = settings.remember(&report).into_iter().collect();
            drop(report);
            (outcome, &settings.set, causes)
        }
        (None, None) => return Err(Failure::usage("there is nothing to tell from: neither clouds nor a survey")),
    };
    let id = random_id()?;
    let store = state::open(&place).map_err(|error| failed(&error))?;
    let baseline = baseline::load(store.as_ref()).map_err(|error| failed(&error))?;
    let (digests, seen, mut measures) = {
        let report = engine::report(&outcome, set, id.clone(), None);
        causes.extend(report.run.exit.iter().cloned());
        let digests = notify::digests(&outcome, &report, channels, &baseline);
        (digests, Seen::of(&report), Measures::of(&outcome, &report))
    };
    let clock = SystemClock::default();
    let ledger = StoreLedger::new(Arc::clone(&store));
    let wire = Wire::new(wire::TIMEOUT).map_err(Failure::usage)?;
    let telling = Telling {
        channels,
        store: store.as_ref(),
        ledger: &ledger,
        clock: &clock,
        wire: &wire,
        deployment: &config.deployment,
        run: &id,
        looked: outcome.sealed.survey.taken_at,
        again: args.again,
    };
    if args.preview {
        let shown = telling.preview(&digests)?;
        output::to(None, |out| shown.iter().try_for_each(|text| write!(out, "{text}")))?;
        let owners = digests.iter().filter(|digest| !digest.channels().is_empty()).count();
        let says = format!("{} would be told", super::counted(owners as u64, "owner"));
        log::say(&says);
        return Ok(Ended { run: id, causes, says, measures });
    }
    // Before the first notice leaves: what the log cannot have is not done.
    let recorder = Recorder::open(args.look.state.as_deref(), config)?;
    if let Some(recorder) = &recorder {
        recorder.record(|| Ok(((), Vec::new())))?;
    }
    let mut came = telling
        .tell(&digests, &mut |notified| {
            say(notified);
            for (channel, sent) in &notified.sent {
                measures.noticed(channel, if sent.delivered { "delivered" } else { "undelivered" }, 1);
            }
            let Some(recorder) = &recorder else { return Ok(None) };
            let is_recorded = recorder.record_if_free(events(notified))?;
            let unrecorded =
                || Exit::Locked.cause("a notice went out that the log does not have: somebody else has the lock");
            Ok((!is_recorded).then(unrecorded))
        })
        .await?;
    let known = ledger.load().map_err(|error| Failure::new(Exit::Damaged, error))?;
    if outcome.sealed.ledger.doubt().is_none() {
        telling.settle(&digests, &known, &seen, &mut came).await?;
    }
    summary(&came);
    causes.append(&mut came.causes);
    for (channel, count) in &came.waiting {
        measures.noticed(channel, "waiting", *count);
    }
    let says = format!("{} told", super::counted(came.told, "owner"));
    let ended = Ended { run: id, causes, says, measures };
    Ok(match settings {
        Some(settings) => settings.counted(ended, &outcome),
        None => ended,
    })
}

fn summary(came: &Came) {
    log::say(&format!("{} told", super::counted(came.told, "owner")));
    for (why, count) in &came.waits {
        log::say(&format!("{} waits {why}", super::counted(*count, "notice")));
    }
    if came.closed > 0 {
        log::say(&format!("{} closed: all of it is gone", super::counted(came.closed, "ticket")));
    }
}

fn config_names() -> String {
    crate::config::By::NAMES.join(", ")
}

/// Every secret is there, or nothing is begun.
fn secrets(channels: &[Channel]) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for channel in channels {
        for secret in channel.by.notifier().secrets() {
            if let Err(error) = secret.open() {
                missing.push(format!("the channel `{}`: {error}", channel.name));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(missing.join("; ")).help("secrets are named by `…_env` or `…_file` in the config"))
}

/// What a survey comes to, with the clocks and marks of the state: those of the survey may be older.
fn surveyed(
    look: &LookArgs,
    config: &Config,
    path: &Path,
    store: &Arc<dyn Store>,
) -> Result<(Outcome, PolicySet), Failure> {
    let look =
        LookArgs { config: look.config.clone().or_else(|| Some(PathBuf::from(crate::config::NAME))), ..look.clone() };
    let (mut outcome, set, _, warnings) = offline(&look, path)?;
    for warning in warnings.into_iter().chain(notify::unknown_channels(&set, &config.channels)?) {
        log::warn(&warning);
    }
    let now = SystemClock::default().wall();
    let taken = outcome.sealed.survey.taken_at;
    if !(-ledger::MAX_SKEW..=FRESH).contains(&now.since(taken)) {
        return Err(Failure::usage(format!(
            "the survey was taken {taken}: what owners are told is of the last 24 hours"
        ))
        .help("take it again: `sweeper survey --output FILE`"));
    }
    let ledger = StoreLedger::new(Arc::clone(store));
    let damaged = |error: String| Failure::new(Exit::Damaged, error);
    let mut known = ledger.load().map_err(damaged)?;
    known.check(now);
    let view =
        View::new(&outcome.sealed.survey.inventory, &outcome.sealed.survey.answers, &outcome.sealed.house, outcome.now);
    let advanced = ledger::advance(known, &set, &view, &outcome.sealed.costs, &outcome.evaluation, ledger::MAX_GAP);
    drop(view);
    if let Some(why) = advanced.slice.doubt() {
        log::warn(&format!("the clock cannot be trusted, so no clock moves: {why}"));
    } else {
        ledger.merge(&advanced).map_err(damaged)?;
    }
    outcome.sealed.ledger = advanced.slice;
    Ok((outcome, set))
}
