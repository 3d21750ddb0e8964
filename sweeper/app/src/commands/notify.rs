//! `sweeper notify`: tells owners what is found of theirs and what will become of it. Changes nothing in any cloud;
//! grace begins when a notice was delivered.

use super::{LookArgs, Settings, random_id};
use crate::{
    config::{Channel, Config},
    engine,
    exit::{Exit, Failure},
    log,
    measures::{Export, Measured},
    notify::{self, Digest, deliver},
    output,
    recording::Recorder,
    state,
};
use std::{collections::BTreeMap, path::PathBuf};
use sweeper_core::{
    audit::{self, Event},
    clock::{Clock as _, SystemClock},
    ledger::{Ledger as _, LedgerKey, Told},
    model::Timestamp,
    report::Cause,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    preview: bool,
    /// Write what the run measured to a file for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE")]
    measures: Option<PathBuf>,
}

/// What became of the notice to one owner, once the ledger has it.
struct Notified<'a> {
    to: Option<&'a str>,
    /// By channel.
    sent: &'a BTreeMap<&'a str, Sent>,
    at: Timestamp,
    /// What its owner is told by it: what every channel of its policies delivered.
    marks: &'a [(LedgerKey, Told)],
}

/// A notice that was handed to a channel.
struct Sent {
    delivered: bool,
    resources: u64,
    /// The SHA-256 of its text.
    digest: String,
}

impl Notified<'_> {
    /// An event for each channel.
    fn events(&self) -> Vec<Event> {
        let event = |(channel, sent): (&&str, &Sent)| {
            Event::new(audit::Notice {
                channel: (*channel).to_owned(),
                to: self.to.unwrap_or("nobody known").to_owned(),
                delivered: sent.delivered,
                receipt: None,
                resources: sent.resources,
                digest: Some(sent.digest.clone()),
            })
        };
        self.sent.iter().map(event).collect()
    }

    fn say(&self) {
        if self.marks.is_empty() {
            return;
        }
        let channels: Vec<&str> =
            self.sent.iter().filter(|(_, sent)| sent.delivered).map(|(channel, _)| *channel).collect();
        let count = super::counted(self.marks.len() as u64, "finding");
        let to = self.to.unwrap_or("nobody known");
        log::say(&format!("{to} was told of {count} by {} at {}", channels.join(", "), self.at));
    }
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if args.look.now.is_some() {
        return Err(Failure::usage("notices are sent now: --now is for reports"));
    }
    let config = Config::find(args.look.config.as_deref())?;
    let export = Export::new(args.measures.as_deref(), &config);
    export.of("notify", told(args, &config)).await
}

async fn told(args: Args, config: &Config) -> Result<Measured, Failure> {
    let settings = Settings::new(&args.look, config)?;
    let channels = &config.channels;
    if channels.is_empty() {
        return Err(Failure::usage("there is no channel to tell anybody by")
            .help("write a `[[channel]]` with `name` and `file` or `command` in the config"));
    }
    let place = match &settings.state {
        Some(state::Place::Memory) | None => {
            return Err(Failure::usage("notices need a state that lasts: who was told would not be remembered")
                .help("--state PATH, or `state = \"…\"` in the config"));
        }
        Some(place) => place,
    };
    let outcome = settings.run().await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let id = random_id()?;
    let report = engine::report(&outcome, &settings.set, id.clone(), None);
    let mut causes = report.run.exit.clone();
    causes.extend(settings.remember(&report));
    let mut measured = settings.measured(&outcome, &report);
    let digests = notify::digests(&outcome, &report, channels);
    if args.preview {
        output::to(None, |out| {
            for digest in &digests {
                for channel in digest.channels() {
                    write!(out, "Channel: {channel}\n{}\n", digest.notice(channel, &id, outcome.now).text)?;
                }
            }
            Ok(())
        })?;
        log::say(&format!("{} would be told", super::counted(digests.len() as u64, "owner")));
        return Ok(Measured { exit: Exit::of(&causes), ..measured });
    }
    // Before the first notice leaves: what the log cannot have is not done.
    let recorder = Recorder::open(args.look.state.as_deref(), config)?;
    if let Some(recorder) = &recorder {
        recorder.record(|| Ok(((), Vec::new())))?;
    }
    let ledger = state::ledger(place).map_err(|error| crate::deployment::failed(&error))?;
    let known = ledger.load().map_err(|error| Failure::new(Exit::Damaged, error))?;
    let clock = SystemClock::default();
    let mut room: BTreeMap<&str, usize> = channels
        .iter()
        .map(|channel| {
            let carried = notify::carried(&known, &channel.name, clock.wall());
            (channel.name.as_str(), (channel.per_day as usize).saturating_sub(carried))
        })
        .collect();
    let (mut told, mut later) = (0, 0);
    for digest in &digests {
        let names = digest.channels();
        // All or none: half a notice starts no grace.
        if names.iter().any(|name| room.get(name).is_none_or(|room| *room == 0)) {
            later += 1;
            measured.measures.noticed(names.iter().map(|name| (*name, "waiting")));
            continue;
        }
        for name in &names {
            if let Some(room) = room.get_mut(name) {
                *room -= 1;
            }
        }
        let sent = send(digest, channels, &id, clock.wall(), &mut causes);
        let word = |sent: &Sent| if sent.delivered { "delivered" } else { "undelivered" };
        measured.measures.noticed(sent.iter().map(|(channel, sent)| (*channel, word(sent))));
        let at = clock.wall();
        let delivered = sent.iter().filter(|(_, sent)| sent.delivered).map(|(channel, _)| *channel).collect();
        let marks = digest.marks(&delivered, at);
        if !marks.is_empty() {
            ledger.mark(&marks).map_err(|error| {
                Failure::new(Exit::Damaged, format!("a notice went out and could not be remembered: {error}"))
            })?;
            told += 1;
        }
        let notified = Notified { to: digest.to.as_deref(), sent: &sent, at, marks: &marks };
        notified.say();
        if let Some(recorder) = &recorder
            && !recorder.record_if_free(notified.events())?
        {
            causes.push(Exit::Locked.cause("a notice went out that the log does not have: somebody else has the lock"));
        }
    }
    log::say(&format!("{} told", super::counted(told, "owner")));
    if later > 0 {
        log::say(&format!("{} wait for tomorrow: `notices_per_day`", super::counted(later, "owner")));
    }
    Ok(Measured { exit: Exit::of(&causes), ..measured })
}

/// Sends a digest by each of its channels.
fn send<'d>(
    digest: &'d Digest,
    channels: &[Channel],
    run: &str,
    made: Timestamp,
    causes: &mut Vec<Cause>,
) -> BTreeMap<&'d str, Sent> {
    let mut all = BTreeMap::new();
    for name in digest.channels() {
        let Some(channel) = channels.iter().find(|channel| channel.name == name) else { continue };
        let notice = digest.notice(name, run, made);
        let mut sent =
            Sent { delivered: true, resources: notice.new.len() as u64, digest: audit::digest(&notice.text) };
        match deliver::deliver(channel, &notice, deliver::TIMEOUT) {
            Ok(()) => {}
            Err(error) => {
                sent.delivered = false;
                let to = digest.to.as_deref().unwrap_or("nobody known");
                let said = format!("the notice to {to} by `{name}` was not delivered, and no grace begins: {error}");
                log::warn(&said);
                causes.push(Exit::ActionsFailed.cause(said));
            }
        }
        all.insert(name, sent);
    }
    all
}
