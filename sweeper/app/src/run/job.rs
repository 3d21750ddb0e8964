//! One run of a schedule: the very function behind `sweeper job`, the daemon, functions and containers.

mod trigger;

use super::carried::{Carried, Resume, Within};
use crate::{
    commands::{
        Ended, LookArgs, Settings, notify,
        plan::{self, Leave},
        random_id,
        report::{Past, ShowArgs, show, unshown},
        survey,
    },
    config::{Config, Entry},
    exit::{Exit, Failure},
    measures::{Export, Measures},
    output::url,
    render::Format,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    report::Cause,
    triggers::Trigger,
};

/// What a schedule runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Report,
    Survey,
    Notify,
    /// Writes it for somebody to approve. Nothing ever applies by itself.
    Plan,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Report, Self::Survey, Self::Notify, Self::Plan];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Survey => "survey",
            Self::Notify => "notify",
            Self::Plan => "plan",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }

    /// Whether it is there for what it writes, so that it needs a place for it.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Survey | Self::Plan)
    }
}

/// A schedule, with what its run needs.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub entry: &'a Entry,
    pub config: &'a Config,
    /// Of the same config; a daemon keeps them from run to run.
    pub settings: &'a Settings,
    /// What the settings were made of.
    pub look: &'a LookArgs,
    pub to: To<'a>,
}

/// Where what a schedule writes goes that has no `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// The standard output.
    Output,
    /// A file or an object in a folder.
    Folder(&'a Path),
    /// Nowhere: it is only remembered.
    Nowhere,
}

impl Job<'_> {
    /// Where it leaves what it writes; the schedule's own place first.
    fn folder(&self) -> Option<PathBuf> {
        let otherwise = match self.to {
            To::Folder(path) => Some(path.to_owned()),
            To::Output | To::Nowhere => None,
        };
        self.entry.output.clone().or(otherwise)
    }
}

/// How a run went, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    /// Something was not seen.
    Partial,
    /// Nothing was done, since it was before.
    AlreadyDone,
    /// Nothing was done, since somebody else is at it.
    Elsewhere,
    Failed,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::AlreadyDone => "already-done",
            Self::Elsewhere => "elsewhere",
            Self::Failed => "failed",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Done {
    pub status: Status,
    pub causes: Vec<Cause>,
    /// The name of the run that was made; of the earlier or other one, where none was.
    pub run: String,
    /// In a few words.
    pub says: String,
    /// The exit code of the earlier run, where that is what was asked for.
    pub earlier: Option<Exit>,
    /// In figures.
    pub measures: Measures,
    /// What the next run goes on from, where this one had no time.
    pub resume: Option<Resume>,
}

impl Done {
    /// Whether its trigger is: what failed runs again, and what had no time goes on.
    fn is_done_with(&self) -> bool {
        self.status != Status::Failed && self.resume.is_none()
    }

    pub fn of(ended: Ended) -> Self {
        let status = match ended.exit() {
            Exit::Done => Status::Done,
            // What was reached and what was not seen are told together.
            Exit::FailOn | Exit::Blind if ended.causes.iter().any(|cause| cause.code == Exit::Blind.code()) => {
                Status::Partial
            }
            Exit::FailOn | Exit::Blind => Status::Done,
            _ => Status::Failed,
        };
        let Ended { run, causes, says, measures } = ended;
        Self { status, causes, run, says, earlier: None, measures, resume: None }
    }

    /// Of a trigger that was done before.
    fn already(trigger: Trigger) -> Self {
        let (run, code, at) = match trigger.end {
            Some(end) => (end.called.unwrap_or(trigger.run), end.code, end.at),
            None => (trigger.run, None, trigger.began),
        };
        let earlier = Exit::ORDER.into_iter().find(|exit| Some(exit.code()) == code);
        let ended = earlier.map_or_else(String::new, |exit| format!(", which ended with {}", exit.code()));
        let says = format!("already done by run {run} at {at}{ended}");
        let (causes, measures) = (Vec::new(), Measures::default());
        Self { status: Status::AlreadyDone, causes, run, says, earlier, measures, resume: None }
    }

    /// Of a trigger that another run is at.
    fn elsewhere(trigger: Trigger) -> Self {
        let says = format!("somebody else is at it: run {}, since {}", trigger.run, trigger.began);
        let causes = vec![Exit::Locked.cause(&says)];
        let (status, measures) = (Status::Elsewhere, Measures::default());
        Self { status, causes, run: trigger.run, says, earlier: None, measures, resume: None }
    }

    pub fn exit(&self) -> Exit {
        Exit::of(&self.causes)
    }

    /// For a log.
    pub fn line(&self, schedule: &str) -> String {
        format!("{schedule}: {}, exit {}: {}", self.status.name(), self.exit().code(), self.says)
    }
}

/// Of a run's time, what is kept for judging, writing and telling: a minute, or a tenth where that is less.
pub fn kept(whole: Duration) -> Duration {
    (whole / 10).min(Duration::from_mins(1))
}

/// Runs a schedule once. For a token that was seen before nothing is done, unless what was done for it failed, died, or had no
/// time and left what it listed.
/// Ends within `deadline` as far as reading goes: what was not read by then is blind.
pub async fn run(job: &Job<'_>, token: Option<&str>, deadline: Option<Duration>) -> Result<Done, Failure> {
    let clock = SystemClock::default();
    fit(job)?;
    let trigger = match token {
        None => None,
        Some(token) => match trigger::claim(job, token, random_id()?, &clock).await? {
            trigger::Asked::Ours(own) => Some(own),
            trigger::Asked::Unheeded => None,
            trigger::Asked::Done(before) => return Ok(Done::already(before)),
            trigger::Asked::Elsewhere(other) => return Ok(Done::elsewhere(other)),
        },
    };
    // What waiting took is gone.
    let within = deadline.map(|whole| whole.saturating_sub(kept(whole)).saturating_sub(clock.mono()));
    // What has no time today is gone on from.
    let is_timed = within.is_some() || job.settings.limits.deadline.is_some();
    let carried = is_timed.then(|| Carried::of(job.settings, &job.entry.name)).flatten();
    let export = Export::new(None, job.config);
    let within = Within { time: within, carried: carried.as_ref() };
    let mut ended = export.of(job.entry.run.name(), sorted(job, within, &clock)).await.map(Done::of);
    if let (Ok(done), Some(resume)) = (&mut ended, carried.as_ref().and_then(Carried::resume)) {
        done.says = format!("{}; {}", done.says, resume.says());
        done.resume = Some(resume);
    }
    if let Some(trigger) = trigger {
        let (code, called, done) = match &ended {
            Ok(done) => (done.exit().code(), Some(done.run.clone()), done.is_done_with()),
            Err(failure) => (failure.exit.code(), None, false),
        };
        tokio::task::block_in_place(|| trigger.end(code, called, done));
    }
    ended
}

/// Whether there is a place for what a job is there to write.
fn fit(job: &Job<'_>) -> Result<(), Failure> {
    if job.entry.run.writes() && job.folder().is_none() {
        return Err(unplaced(job.entry));
    }
    Ok(())
}

/// What is there for what it writes, and has no place for it.
pub fn unplaced(entry: &Entry) -> Failure {
    Failure::usage(format!("schedule {}: what runs a {} needs `output`", entry.name, entry.run.name())).help(
        "write `output = \"DIRECTORY\"` or `output = \"s3://BUCKET/PREFIX\"` in the schedule; a job also takes --output, \
         and a function SWEEPER_OUTPUT",
    )
}

async fn sorted(job: &Job<'_>, within: Within<'_>, clock: &SystemClock) -> Result<Ended, Failure> {
    let output = job.folder();
    made(output.as_deref())?;
    let needed = || output.clone().ok_or_else(|| unplaced(job.entry));
    match job.entry.run {
        Sort::Report => report(job, output, within, clock).await,
        Sort::Survey => survey::take(job.settings, &needed()?, within, true).await,
        Sort::Notify => {
            let args =
                notify::Args { look: job.look.clone(), survey: None, preview: false, again: false, measures: None };
            notify::tell(Some(job.settings), job.config, &args, within).await
        }
        Sort::Plan => {
            let args = plan::Args::all(job.look.clone(), needed()?);
            Ok(plan::draw(job.settings, job.config, &args, within, Leave::In).await?.0)
        }
    }
}

/// Makes a directory where it is not there. A bucket has to be.
pub fn made(folder: Option<&Path>) -> Result<(), Failure> {
    match folder.filter(|path| url(path).is_none()) {
        Some(path) => std::fs::create_dir_all(path)
            .map_err(|error| Failure::usage(format!("failed to make {}: {error}", path.display()))),
        None => Ok(()),
    }
}

async fn report(
    job: &Job<'_>,
    output: Option<PathBuf>,
    within: Within<'_>,
    clock: &SystemClock,
) -> Result<Ended, Failure> {
    let (format, ending) = match job.entry.format.as_str() {
        "table" => (Format::Table, "txt"),
        "csv" => (Format::Csv, "csv"),
        "markdown" => (Format::Markdown, "md"),
        "html" => (Format::Html, "html"),
        _ => (Format::Json, "json"),
    };
    let stamp = clock.wall().to_string().replace(':', "");
    let outcome = job.settings.run_within(within).await?;
    let past = Past { then: None, state: job.settings.state.as_ref() };
    if output.is_none() && job.to == To::Nowhere {
        return Ok(job.settings.counted(unshown(&outcome, &job.settings.set, random_id()?, past), &outcome));
    }
    let name = format!("report-{stamp}.{ending}");
    let output = output.map(|folder| folder.join(&name));
    let args = ShowArgs { format, output, all: false, fail_on: None };
    Ok(job.settings.counted(show(&outcome, &job.settings.set, random_id()?, &args, past)?, &outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_or_a_minute_is_kept() {
        assert_eq!(kept(Duration::from_mins(15)), Duration::from_mins(1));
        assert_eq!(kept(Duration::from_secs(20)), Duration::from_secs(2));
        assert_eq!(kept(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn statuses_follow_from_causes() {
        let of = |exits: &[Exit]| {
            let causes = exits.iter().map(|exit| exit.cause("x")).collect();
            let done = Done::of(Ended { causes, ..Ended::default() });
            (done.status, done.exit().code())
        };
        assert_eq!(of(&[]), (Status::Done, 0));
        assert_eq!(of(&[Exit::FailOn]), (Status::Done, 4));
        assert_eq!(of(&[Exit::Blind]), (Status::Partial, 3));
        assert_eq!(of(&[Exit::Blind, Exit::FailOn]), (Status::Partial, 4));
        assert_eq!(of(&[Exit::Blind, Exit::ActionsFailed]), (Status::Failed, 5));
        assert_eq!(of(&[Exit::Damaged]), (Status::Failed, 8));
    }

    #[test]
    fn sorts_have_names() {
        for sort in Sort::ALL {
            assert_eq!(Sort::named(sort.name()), Some(sort));
        }
        assert_eq!(Sort::named("apply"), None);
    }
}
