//! `sweeper keep`: an exception with a reason and an end, written into a file of policies. Nothing that stands in the
//! file is touched: it is added at its end.

use crate::{
    clouds,
    config::Config,
    deployment::person,
    exit::{Exit, Failure},
    log,
    output::Whole,
    recording::Recorder,
};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};
use sweeper_core::{
    audit::{self, Event},
    clock::{Clock as _, SystemClock},
    model::{DAY, Timestamp},
    policy::{Except, Known, Level, Problem, Source, load},
    ttl,
};
use toml::Value;

const HEAD: &str = "# What is kept, why, and until when: `sweeper keep` adds to it.\n";

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// `<kind>:<account>/<region>/<native id>`, as a notice or a report has it; `*` is any text
    resource: String,
    /// The last day on which it is kept
    #[arg(long, value_name = "DATE")]
    until: String,
    /// Why, for whoever reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The file of policies it goes into [default: keep.toml beside the config's policies, or policies/keep.toml]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Refuse what is not in this survey
    #[arg(long, value_name = "FILE")]
    survey: Option<PathBuf>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = Config::find(args.config.as_deref())?;
    let now = SystemClock::default().wall();
    let wanted = Keeping { resource: args.resource.clone(), until: args.until.clone(), reason: args.reason.clone() };
    let path = file(args.file.as_deref(), &config);
    let added = Added::to(&path, std::slice::from_ref(&wanted), config.house.max_keep_days, now)?;
    if let Some(survey) = &args.survey {
        let (sealed, _) = super::sealed(survey)?;
        let covers = |resource: &_| added.excepts.iter().any(|except| except.covers(resource));
        let count = sealed.survey.inventory.resources().filter(covers).count();
        if count == 0 {
            return Err(Failure::usage(format!("`{}` is nothing that the survey has seen", args.resource))
                .help("a report has the id of every finding"));
        }
        log::say(&format!("it keeps {}", super::counted(count as u64, "resource")));
    }
    added.write(&config, None)?;
    Ok(Exit::Done)
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// `<kind>:<account>/<region>/<native id>`; `*` is any text.
    pub resource: String,
    /// The last day, as `2027-01-31`.
    pub until: String,
    pub reason: String,
}

/// A file of policies with exceptions at its end, held against their grammar and not yet written.
#[derive(Debug)]
pub struct Added {
    path: PathBuf,
    text: String,
    wanted: Vec<Keeping>,
    excepts: Vec<Except>,
}

impl Added {
    /// Adds to what stands in the file; nothing is written.
    pub fn to(path: &Path, wanted: &[Keeping], most: u32, now: Timestamp) -> Result<Self, Failure> {
        let mut text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEAD.to_owned(),
            Err(error) => return Err(Failure::usage(format!("failed to read {}: {error}", path.display()))),
        };
        let mut excepts = Vec::new();
        for one in wanted {
            let (more, except) = added(text, path, one)?;
            until(&one.until, most, now)?;
            text = more;
            excepts.push(except);
        }
        Ok(Self { path: path.to_owned(), text, wanted: wanted.to_vec(), excepts })
    }

    /// Writes the file, says what is kept, and records it.
    pub fn write(self, config: &Config, state: Option<&str>) -> Result<(), Failure> {
        let Self { path, text, wanted, .. } = self;
        put(&path, &text)?;
        for Keeping { resource, until, .. } in &wanted {
            log::say(&format!("`{resource}` is kept until {until}: {}", path.display()));
        }
        recorded(&path, &wanted, state, config)?;
        if !is_read(&path, config.policies.as_deref()) {
            log::warn(&format!(
                "runs read it only where --policies or the config's `policies` names {}",
                path.display()
            ));
        }
        Ok(())
    }
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("failed to write {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut whole = Whole::create(path).map_err(failed)?;
    whole.write_all(text.as_bytes()).map_err(failed)?;
    whole.keep().map_err(failed)
}

/// Records it where the deployment keeps a log. Keeping never waits for whoever has the lock.
fn recorded(path: &Path, wanted: &[Keeping], state: Option<&str>, config: &Config) -> Result<(), Failure> {
    let event = |kept: &Keeping| {
        Event::new(audit::Except {
            resource: kept.resource.clone(),
            reason: kept.reason.trim().to_owned(),
            until: kept.until.clone(),
            file: path.display().to_string(),
            by: person(),
        })
    };
    if let Some(recorder) = Recorder::open(state, config)? {
        recorder.record_if_free(wanted.iter().map(event).collect())?;
    }
    Ok(())
}

/// The file that exceptions go into.
pub fn file(named: Option<&Path>, config: &Config) -> PathBuf {
    let beside = || config.policies.as_ref().filter(|path| path.is_dir()).map(|path| path.join("keep.toml"));
    named.map(Path::to_owned).or_else(beside).unwrap_or_else(|| PathBuf::from("policies/keep.toml"))
}

/// Whether the policies of the config are this file, or a directory that it is in.
fn is_read(path: &Path, policies: Option<&Path>) -> bool {
    let Some(policies) = policies else { return false };
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (path, policies) = (whole(path), whole(policies));
    path == policies || path.parent() == Some(&policies)
}

/// The file with the exception at its end, held against the grammar of policies; and the exception.
fn added(mut text: String, path: &Path, wanted: &Keeping) -> Result<(String, Except), Failure> {
    let word = |text: &str| Value::String(text.to_owned()).to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (resource, reason) = (word(&wanted.resource), word(wanted.reason.trim()));
    // In quotes whatever it is: what is no date is then told as such, and closes nothing.
    let until = word(&wanted.until);
    let block = format!("\n[[except]]\nresource = {resource}\nreason = {reason}\nuntil = {until}\n");
    text.push_str(&block);
    let specs = clouds::specs();
    let source = Source { path: path.display().to_string(), text: text.clone() };
    let loaded = load(&[source], &Known { kinds: &specs });
    let errors: Vec<String> =
        loaded.problems.iter().filter(|problem| problem.level == Level::Error).map(Problem::render).collect();
    match loaded.set.and_then(|mut set| set.excepts.pop()) {
        Some(except) if errors.is_empty() && except.resource == wanted.resource => Ok((text, except)),
        _ => Err(Failure::usage(format!("{} would not hold", path.display())).problems(errors)),
    }
}

/// How long somebody may keep something.
fn until(text: &str, most: u32, now: Timestamp) -> Result<(), Failure> {
    let Some(ends) = ttl::end_of_date(text) else {
        return Err(Failure::usage(format!("`{text}` is no date")).help("write it as 2027-01-31"));
    };
    if ends <= now {
        return Err(Failure::usage(format!("{text} is over")));
    }
    if ends.since(now) > (i64::from(most) + 2) * DAY {
        return Err(Failure::usage(format!("{text} is more than the {most} days that the house allows"))
            .help("the config's `max_keep_days` says how long; keep it again when it ends"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_date_to_come_and_not_too_far() {
        let now = Timestamp::parse("2026-11-26T12:00:00Z").unwrap();
        for (text, says) in [
            ("2026-11-25", "is over"),
            ("2027-05-28", "more than the 180 days"),
            ("never", "no date"),
            ("01/02/2027", "no date"),
            ("", "no date"),
        ] {
            assert!(until(text, 180, now).unwrap_err().message.contains(says), "{text}");
        }
        until("2026-11-26", 180, now).unwrap();
        until("2027-05-25", 180, now).unwrap();
    }
}
