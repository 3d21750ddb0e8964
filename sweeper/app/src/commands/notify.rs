//! `sweeper notify`: tells owners what is found of theirs and what will become of it, and whoever watches what is out of
//! the ordinary. Changes nothing in any cloud; grace begins when a notice was delivered.

use super::{Ended, LookArgs, Settings, offline, random_id};
use crate::{
    config::{Channel, Config},
    deployment,
    engine::{self, Outcome},
    exit::{Exit, Failure},
    log,
    measures::{Export, Measures},
    notify::{
        self, Digest,
        tell::{Came, Notified, Seen, Telling},
        wire::{self, Wire},
    },
    output,
    recording::Recorder,
    run::carried::Within,
    state,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_core::{
    audit::{self, Event},
    baseline,
    clock::{Clock as _, SystemClock},
    detect::View,
    ledger::{self, Ledger},
    model::{DAY, Timestamp},
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
    Ok(export.of("notify", tell(settings.as_ref(), &config, &args, Within::default())).await?.exit())
}

/// Looks, reading no longer than that, and tells; without settings, from the survey of the arguments.
pub async fn tell(
    settings: Option<&Settings>,
    config: &Config,
    args: &Args,
    within: Within<'_>,
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
    let id = random_id()?;
    let order = Order { config, state: args.look.state.as_deref(), run: &id, again: args.again };
    let (prepared, measured) = match (&args.survey, settings) {
        (Some(path), _) => {
            let store = state::open(&place).map_err(|error| deployment::failed(&error))?;
            let (outcome, set) = surveyed(&args.look, config, path, &store)?;
            order.prepared(&outcome, &set, None)?
        }
        (None, Some(settings)) => {
            let outcome = settings.run_within(within).await?;
            for warning in &outcome.warnings {
                log::warn(warning);
            }
            let (prepared, measures) = order.prepared(&outcome, &settings.set, Some(settings))?;
            let counted = settings.counted(Ended { measures, ..Ended::default() }, &outcome);
            (prepared, counted.measures)
        }
        (None, None) => return Err(Failure::usage("there is nothing to tell from: neither clouds nor a survey")),
    };
    let ended = if args.preview { order.preview(&prepared)? } else { order.tell(prepared).await? };
    Ok(Ended { measures: measured.and(ended.measures), ..ended })
}

/// One telling: of which deployment, and by which run.
pub struct Order<'a> {
    pub config: &'a Config,
    /// As it was named on the command line.
    pub state: Option<&'a str>,
    pub run: &'a str,
    /// Also what waits after a failure.
    pub again: bool,
}

/// What an outcome is to tell.
pub struct Prepared {
    digests: Vec<Digest>,
    seen: Seen,
    looked: Timestamp,
    /// Whether the clock of the state is in doubt: nothing is over then.
    doubtful: bool,
    causes: Vec<Cause>,
    store: Arc<dyn Store>,
}

impl Order<'_> {
    /// What an outcome is to tell by the channels of the config, and what it measures. Sends nothing; `by` remembers the
    /// run that looked.
    fn prepared(
        &self,
        outcome: &Outcome,
        set: &PolicySet,
        by: Option<&Settings>,
    ) -> Result<(Prepared, Measures), Failure> {
        let place = state::place(self.state, self.config)?.unwrap_or(state::Place::Memory);
        let store = state::open(&place).map_err(|error| deployment::failed(&error))?;
        let baseline = &outcome.sealed.house.baseline;
        if let Some(trouble) = &baseline.trouble {
            // Else everything would page somebody.
            return Err(Failure::new(Exit::Damaged, format!("the baseline is not known: {trouble}")));
        }
        let mut report = engine::report(outcome, set, self.run.to_owned(), None);
        let unremembered = by.and_then(|settings| settings.remember(&report));
        report.run.exit.extend(unremembered);
        let prepared = Prepared {
            digests: notify::digests(outcome, &report, &self.config.channels, baseline),
            seen: Seen::of(&report),
            looked: outcome.sealed.survey.taken_at,
            doubtful: outcome.sealed.ledger.doubt().is_some(),
            causes: report.run.exit.clone(),
            store,
        };
        Ok((prepared, Measures::of(outcome, &report)))
    }

    fn preview(&self, prepared: &Prepared) -> Result<Ended, Failure> {
        let clock = SystemClock::default();
        let ledger = StoreLedger::new(Arc::clone(&prepared.store));
        let wire = Wire::new(wire::TIMEOUT);
        let shown = self.telling(prepared, &ledger, &clock, &wire).preview(&prepared.digests)?;
        output::to(None, |out| shown.iter().try_for_each(|text| write!(out, "{text}")))?;
        let owners = prepared.digests.iter().filter(|digest| !digest.channels().is_empty()).count();
        let says = format!("{} would be told", super::counted(owners as u64, "owner"));
        log::say(&says);
        Ok(Ended { run: self.run.to_owned(), causes: prepared.causes.clone(), says, measures: Measures::default() })
    }

    fn telling<'t>(
        &'t self,
        prepared: &'t Prepared,
        ledger: &'t StoreLedger,
        clock: &'t SystemClock,
        wire: &'t Wire,
    ) -> Telling<'t> {
        Telling {
            channels: &self.config.channels,
            store: prepared.store.as_ref(),
            ledger,
            clock,
            wire,
            deployment: &self.config.deployment,
            run: self.run,
            looked: prepared.looked,
            again: self.again,
        }
    }

    /// Tells. Gives every cause of the exit code, and what became of the notices.
    pub async fn tell(&self, prepared: Prepared) -> Result<Ended, Failure> {
        secrets(&self.config.channels)?;
        // Before the first notice leaves: what the log cannot have is not done.
        let recorder = Recorder::open(self.state, self.config)?;
        if let Some(recorder) = &recorder {
            recorder.record(|| Ok(((), Vec::new())))?;
        }
        let clock = SystemClock::default();
        let ledger = StoreLedger::new(Arc::clone(&prepared.store));
        let wire = Wire::new(wire::TIMEOUT);
        let telling = self.telling(&prepared, &ledger, &clock, &wire);
        let mut measures = Measures::default();
        let mut came = telling
            .tell(&prepared.digests, &mut |notified| {
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
        if !prepared.doubtful {
            telling.settle(&prepared.digests, &known, &prepared.seen, &mut came).await?;
        }
        summary(&came);
        for (channel, count) in &came.waiting {
            measures.noticed(channel, "waiting", *count);
        }
        let mut causes = prepared.causes.clone();
        causes.append(&mut came.causes);
        let says = format!("{} told", super::counted(came.told, "owner"));
        Ok(Ended { run: self.run.to_owned(), causes, says, measures })
    }
}

fn summary(came: &Came) {
    log::say(&format!("{} told", super::counted(came.told, "owner")));
    for (why, count) in &came.waits {
        let wait = if *count == 1 { "waits" } else { "wait" };
        log::say(&format!("{} {wait} {why}", super::counted(*count, "notice")));
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
    outcome.sealed.house.baseline = baseline::load(store.as_ref()).map_err(|error| deployment::failed(&error))?;
    Ok((outcome, set))
}
