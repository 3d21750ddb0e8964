//! `sweeper audit export`: the log in the words of a SIEM, after it was verified.

use super::{Place, judged};
use crate::{
    exit::{Exit, Failure},
    log, output,
};
use std::{
    io::{self, BufRead as _, Read as _, Write},
    path::PathBuf,
};
use sweeper_core::{
    audit::{self, Log, LogError, MAX_LINE, Origin, Verdict, export, merkle},
    model::Timestamp,
};

/// In whose words.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// Open Cybersecurity Schema Framework
    Ocsf,
    /// Elastic Common Schema
    Ecs,
    /// CloudEvents, structured in JSON
    #[value(name = "cloudevents")]
    CloudEvents,
}

impl From<Format> for export::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Ocsf => Self::Ocsf,
            Format::Ecs => Self::Ecs,
            Format::CloudEvents => Self::CloudEvents,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// In whose words
    #[arg(long, value_enum)]
    format: Format,
    /// Only events of this time or later (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = crate::commands::instant)]
    since: Option<Timestamp>,
    /// Into this file, instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Export a log that is damaged, too: then every record says that it was not verified
    #[arg(long)]
    unverified: bool,
}

/// What was written.
#[derive(Default)]
struct Count {
    /// Lines that are no event, and have no record.
    unreadable: u64,
    /// Whether the lines that were exported are those that were verified.
    changed: bool,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    output::writable(args.output.as_deref())?;
    let (log, origin, verdict) = judged(&args.place, &[])?;
    let sound = verdict.is_sound();
    if !sound && !args.unverified {
        let places: Vec<String> = verdict.problems.iter().map(super::described).collect();
        return Err(Failure::new(Exit::Damaged, "the log is damaged, and is not exported")
            .problems(places)
            .help("`sweeper audit verify` says more; --unverified exports it, and every record says so"));
    }
    for problem in &verdict.problems {
        log::warn(&super::described(problem));
    }
    let mut count = Count::default();
    output::to(args.output.as_deref(), |out| {
        count = written(log.as_ref(), args, &origin, &verdict, out)?;
        // A file is there whole or not at all.
        if count.changed && sound { Err(io::Error::other("the log was changed meanwhile")) } else { Ok(()) }
    })
    .map_err(|error| if count.changed { changed() } else { Failure::from(error) })?;
    if count.unreadable > 0 {
        let said = format!("{} lines are no events and are left out", count.unreadable);
        return Err(Failure::new(Exit::Damaged, said));
    }
    Ok(Exit::Done)
}

fn changed() -> Failure {
    Failure::new(Exit::Damaged, "the log was changed while it was exported: what was written is not what was verified")
}

/// Writes a record for each line, as it is read.
fn written(log: &dyn Log, args: &Args, origin: &Origin, verdict: &Verdict, out: &mut dyn Write) -> io::Result<Count> {
    let other = |error: LogError| io::Error::other(error.to_string());
    let (sound, mut count) = (verdict.is_sound(), Count::default());
    let mut tree = merkle::Frontier::default();
    let mut line = Vec::new();
    'segments: for segment in log.segments(0).map_err(other)? {
        let mut reader = log.read(segment).map_err(other)?;
        loop {
            // What was written after the log was verified is for the next time.
            if sound && tree.size() == verdict.events {
                break 'segments;
            }
            line.clear();
            let length = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                // Not whole, or too long.
                count.unreadable += 1;
                break 'segments;
            }
            tree.push(merkle::leaf(&line));
            if let (Some(since), Some(at)) = (args.since, export::time(&line))
                && at < audit::Millis::from(since)
            {
                continue;
            }
            // What no signed head covers was not verified either.
            let verified = sound && tree.size() <= verdict.signed;
            match export::record(args.format.into(), &line, origin, env!("CARGO_PKG_VERSION"), verified) {
                Ok(record) => {
                    out.write_all(&record)?;
                    out.write_all(b"\n")?;
                }
                Err(_) => count.unreadable += 1,
            }
        }
    }
    count.changed = sound && verdict.root != Some(tree.root());
    Ok(count)
}
