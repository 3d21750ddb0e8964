//! One run of a schedule: the very function behind `sweeper job`, the daemon, functions and containers.

mod trigger;

use crate::{
    commands::{
        Ended, LookArgs, Settings, notify, plan, random_id,
        report::{Past, ShowArgs, show, unshown},
        survey,
    },
    config::{Config, Entry},
    exit::{Exit, Failure},
    measures::{Export, Measures},
    render::Format,
};
use std::{path::PathBuf, time::Duration};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    report::Cause,
    triggers::Trigger,
};
use sweeper_store::Bucket;

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

/// Where a report goes that has no `output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// The standard output.
    Output,
    /// An object of a bucket.
    Bucket(&'a Bucket),
    /// Nowhere: it is only remembered.
    Nowhere,
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
}

impl Done {
    fn of(ended: Ended) -> Self {
        let status = match ended.exit() {
            Exit::Done => Status::Done,
            // What was reached and what was not seen are told together.
            Exit::FailOn | Exit::Blind if ended.causes.iter().any(|cause| cause.code == Exit::Blind.code()) => {
                Status::Partial
            }
            Exit::FailOn | Exit::Blind => Status::Done,
            _ => Status::Failed,
        };
        Self { status, causes: ended.causes, run: ended.run, says: ended.says, earlier: None, measures: ended.measures }
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
        Self { status: Status::AlreadyDone, causes: Vec::new(), run, says, earlier, measures: Measures::default() }
    }

    /// Of a trigger that another run is at.
    fn elsewhere(trigger: Trigger) -> Self {
        let says = format!("somebody else is at it: run {}, since {}", trigger.run, trigger.began);
        let causes = vec![Exit::Locked.cause(&says)];
        Self { status: Status::Elsewhere, causes, run: trigger.run, says, earlier: None, measures: Measures::default() }
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
fn kept(whole: Duration) -> Duration {
    (whole / 10).min(Duration::from_mins(1))
}

/// Runs a schedule once. For a token that was seen before nothing is done, unless what was done for it failed or died.
/// Ends within `deadline` as far as reading goes: what was not read by then is blind.
pub async fn run(job: &Job<'_>, token: Option<&str>, deadline: Option<Duration>) -> Result<Done, Failure> {
    let clock = SystemClock::default();
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
    let export = Export::new(None, job.config);
    let ended = export.of(job.entry.run.name(), sorted(job, within, &clock)).await.map(Done::of);
    if let Some(trigger) = trigger {
        let (code, called, done) = match &ended {
            Ok(done) => (done.exit().code(), Some(done.run.clone()), done.status != Status::Failed),
            Err(failure) => (failure.exit.code(), None, false),
        };
        tokio::task::block_in_place(|| trigger.end(code, called, done));
    }
    ended
}

async fn sorted(job: &Job<'_>, within: Option<Duration>, clock: &SystemClock) -> Result<Ended, Failure> {
    let output = directory(job.entry)?;
    let needed = || output.clone().ok_or_else(|| Failure::usage("the schedule has no `output`"));
    match job.entry.run {
        Sort::Report => report(job, output, within, clock).await,
        Sort::Survey => survey::take(job.settings, &needed()?, within).await,
        Sort::Notify => {
            let args =
                notify::Args { look: job.look.clone(), survey: None, preview: false, again: false, measures: None };
            notify::tell(Some(job.settings), job.config, &args, within).await
        }
        Sort::Plan => {
            let args = plan::Args::all(job.look.clone(), needed()?.join("plan.json"));
            Ok(plan::draw(job.settings, job.config, &args, within).await?.0)
        }
    }
}

/// The schedule's directory, made where it is not there.
pub fn directory(entry: &Entry) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = &entry.output {
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::usage(format!("failed to make {}: {error}", path.display())))?;
    }
    Ok(entry.output.clone())
}

async fn report(
    job: &Job<'_>,
    output: Option<PathBuf>,
    within: Option<Duration>,
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
    let object = match job.to {
        To::Bucket(bucket) if output.is_none() => Some((bucket.clone(), name.clone())),
        _ => None,
    };
    let output = output.map(|directory| directory.join(&name));
    let args = ShowArgs { format, output, all: false, fail_on: None, object };
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
