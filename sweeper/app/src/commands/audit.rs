//! `sweeper audit`: the log of everything that was done, and whether anybody changed it.

mod export;

use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    measures::{Export, Measures},
    output,
};
use std::{fs, io::BufRead as _, path::PathBuf};
use sweeper_core::{
    audit::{self, Checkpoint, Damage, Log, Origin, TrustedKey, Verdict, Verify},
    clock::{Clock as _, SystemClock},
    note::Verifier,
};
use sweeper_store::FileLog;

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Show the events, oldest first
    Show {
        #[command(flatten)]
        place: Place,
        /// Only those of this plan, by the first digits of its id
        #[arg(long, value_name = "ID")]
        plan: Option<String>,
    },
    /// Hold the log against its signed heads: names the sort of damage, and the place
    Verify {
        #[command(flatten)]
        place: Place,
        /// A signed head from elsewhere (a notice, an auditor): only with one can it be known that the end is there
        #[arg(long, value_name = "FILE")]
        known: Vec<PathBuf>,
        /// Write whether it is sound to a file for the textfile collector of Prometheus
        #[arg(long, value_name = "FILE")]
        measures: Option<PathBuf>,
    },
    /// Write the events for a SIEM, a line of JSON each, after the log was verified
    Export(export::Args),
}

#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The directory of a log; without it, this deployment's
    #[arg(long, value_name = "DIR", requires = "public_key")]
    log: Option<PathBuf>,
    /// The public keys that its heads may be signed with
    #[arg(long, value_name = "KEY")]
    public_key: Vec<String>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
}

impl Place {
    /// A deployment's own log.
    #[cfg(feature = "demo")]
    pub fn of(config: PathBuf, state: String) -> Self {
        Self { log: None, public_key: Vec::new(), config: Some(config), state: Some(state) }
    }
}

/// The log, its name, the keys, and heads from elsewhere.
type Opened = (Box<dyn Log>, Option<Origin>, Vec<Verifier>, Vec<Checkpoint>);

/// A log, its name where that is known, and the keys.
fn opened(place: &Place) -> Result<Opened, Failure> {
    let mut keys = Vec::new();
    for text in &place.public_key {
        keys.push(Verifier::parse(text).map_err(|error| Failure::usage(format!("--public-key: {error}")))?);
    }
    if let Some(directory) = &place.log {
        return Ok((Box::new(FileLog::open_to_read(directory)), None, keys, Vec::new()));
    }
    let config = Config::find(place.config.as_deref())?;
    let deployment = Deployment::open(place.state.as_deref(), &config, SystemClock::default().wall())?;
    let log = deployment.log()?;
    if keys.is_empty() {
        keys.push(deployment.signer()?.verifier().clone());
    }
    let known = deployment.remembered()?.into_iter().collect();
    Ok((log, Some(deployment.origin()), keys, known))
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Show { place, plan } => show(place, plan.as_deref()),
        Command::Verify { place, known, measures } => {
            let verified = verify(place, known);
            let is_sound = verified.as_ref().is_ok_and(|exit| *exit == Exit::Done);
            let measured = Measures::verified(is_sound, SystemClock::default().wall());
            Export::file(measures.as_deref()).write(measured);
            verified
        }
        Command::Export(args) => export::run(args),
    }
}

fn show(place: &Place, plan: Option<&str>) -> Result<Exit, Failure> {
    let (log, ..) = opened(place)?;
    let segments = log.segments(0).map_err(|error| deployment::log_failed(&error))?;
    output::to(None, |out| {
        for segment in segments {
            let reader = log.read(segment).map_err(|error| std::io::Error::other(error.to_string()))?;
            for line in reader.split(b'\n') {
                let line = line?;
                let fits = plan.is_none_or(|plan| {
                    audit::AuditEvent::parse(&line)
                        .is_ok_and(|event| event.plan.is_some_and(|own| own.starts_with(plan)))
                });
                if fits {
                    out.write_all(&line)?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// A log, its name, and what is wrong with it, held against heads from elsewhere.
fn judged(place: &Place, known: &[PathBuf]) -> Result<(Box<dyn Log>, Origin, Verdict), Failure> {
    let (log, origin, keys, mut heads) = opened(place)?;
    for path in known {
        let bytes = fs::read(path)
            .map_err(|error| Failure::usage(format!("failed to read the head {}: {error}", path.display())))?;
        let (head, _) = Checkpoint::open(&bytes, &keys).map_err(|error| {
            Failure::new(Exit::Damaged, format!("the head {} is not believed: {error}", path.display()))
        })?;
        heads.push(head);
    }
    let origin = match origin {
        Some(origin) => origin,
        None => named(log.as_ref(), &keys)?,
    };
    let trusted: Vec<TrustedKey> =
        keys.into_iter().map(|verifier| TrustedKey { verifier, from: None, until: None, revoked: None }).collect();
    let asked = Verify { origin: &origin, keys: &trusted, known: &heads, max_silence: None };
    let verdict = audit::verify(log.as_ref(), asked).map_err(|error| deployment::log_failed(&error))?;
    Ok((log, origin, verdict))
}

/// A problem in a line.
fn described(problem: &Damage) -> String {
    let place = problem.place.map_or_else(String::new, |(segment, line)| format!(", segment {segment} line {line}"));
    format!("{}: event {}{place}: {}", problem.kind.name(), problem.seq, problem.what)
}

pub fn verify(place: &Place, known: &[PathBuf]) -> Result<Exit, Failure> {
    let (.., verdict) = judged(place, known)?;
    output::to(None, |out| {
        writeln!(out, "{} events, {} of them under a signed head", verdict.events, verdict.signed)?;
        for problem in &verdict.problems {
            writeln!(out, "{}", described(problem))?;
        }
        if verdict.more_problems > 0 {
            writeln!(out, "and {} more", verdict.more_problems)?;
        }
        for open in &verdict.open {
            writeln!(out, "open: event {} intends a {} whose end is not recorded", open.seq, open.action)?;
        }
        for doubt in &verdict.cannot_rule_out {
            writeln!(out, "note: {doubt}")?;
        }
        writeln!(out, "{}", if verdict.is_sound() { "sound" } else { "DAMAGED" })
    })?;
    Ok(if verdict.is_sound() { Exit::Done } else { Exit::Damaged })
}

/// The name that a foreign log's newest head has.
fn named(log: &dyn Log, keys: &[Verifier]) -> Result<Origin, Failure> {
    let damaged = |what: String| Failure::new(Exit::Damaged, what);
    let newest = log.latest().map_err(|error| deployment::log_failed(&error))?;
    let newest = newest.ok_or_else(|| damaged("the log has no signed head".to_owned()))?;
    let (head, _) = Checkpoint::open(&newest, keys)
        .map_err(|error| damaged(format!("its newest head is not believed: {error}")))?;
    let mut parts = head.origin.splitn(3, '/').skip(1);
    match (parts.next(), parts.next()) {
        (Some(deployment), Some(log)) => Ok(Origin::new(deployment, log)),
        _ => Err(damaged(format!("its newest head is of {}", head.origin))),
    }
}
