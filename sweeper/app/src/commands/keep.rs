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
    let path = file(args, &config);
    let before = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::usage(format!("failed to read {}: {error}", path.display()))),
    };
    let (text, except) = added(before.as_deref(), &path, args)?;
    until(&args.until, config.house.max_keep_days, now)?;
    if let Some(survey) = &args.survey {
        let (sealed, _) = super::sealed(survey)?;
        let count = sealed.survey.inventory.resources().filter(|resource| except.covers(resource)).count();
        if count == 0 {
            return Err(Failure::usage(format!("`{}` is nothing that the survey has seen", args.resource))
                .help("a report has the id of every finding"));
        }
        log::say(&format!("it keeps {}", super::counted(count as u64, "resource")));
    }
    let failed = |error: std::io::Error| Failure::usage(format!("failed to write {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut whole = Whole::create(&path).map_err(failed)?;
    whole.write_all(text.as_bytes()).map_err(failed)?;
    whole.keep().map_err(failed)?;
    log::say(&format!("`{}` is kept until {}: {}", args.resource, args.until, path.display()));
    recorded(&path, args, &config)?;
    if !is_read(&path, config.policies.as_deref()) {
        log::warn(&format!("runs read it only where --policies or the config's `policies` names {}", path.display()));
    }
    Ok(Exit::Done)
}

/// Records it where the deployment keeps a log. Keeping never waits for whoever has the lock.
fn recorded(path: &Path, args: &Args, config: &Config) -> Result<(), Failure> {
    let event = audit::Except {
        resource: args.resource.clone(),
        reason: args.reason.trim().to_owned(),
        until: args.until.clone(),
        file: path.display().to_string(),
        by: person(),
    };
    if let Some(recorder) = Recorder::open(None, config)? {
        recorder.record_if_free(vec![Event::new(event)])?;
    }
    Ok(())
}

fn file(args: &Args, config: &Config) -> PathBuf {
    let beside = || config.policies.as_ref().filter(|path| path.is_dir()).map(|path| path.join("keep.toml"));
    args.file.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("policies/keep.toml"))
}

/// Whether the policies of the config are this file, or a directory that it is in.
fn is_read(path: &Path, policies: Option<&Path>) -> bool {
    let Some(policies) = policies else { return false };
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (path, policies) = (whole(path), whole(policies));
    path == policies || path.parent() == Some(&policies)
}

/// The file with the exception at its end, held against the grammar of policies; and the exception.
fn added(before: Option<&str>, path: &Path, args: &Args) -> Result<(String, Except), Failure> {
    let word = |text: &str| Value::String(text.to_owned()).to_string();
    let mut text = before.unwrap_or(HEAD).to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (resource, reason) = (word(&args.resource), word(args.reason.trim()));
    // In quotes whatever it is: what is no date is then told as such, and closes nothing.
    let until = word(&args.until);
    let block = format!("\n[[except]]\nresource = {resource}\nreason = {reason}\nuntil = {until}\n");
    text.push_str(&block);
    let specs = clouds::specs();
    let source = Source { path: path.display().to_string(), text: text.clone() };
    let loaded = load(&[source], &Known { kinds: &specs });
    let errors: Vec<String> =
        loaded.problems.iter().filter(|problem| problem.level == Level::Error).map(Problem::render).collect();
    match loaded.set.and_then(|mut set| set.excepts.pop()) {
        Some(except) if errors.is_empty() && except.resource == args.resource => Ok((text, except)),
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
