//! The same binary as the handler of an AWS Lambda function: an event is one run of a schedule.
//!
//! A run that failed is an error of the function, so that its alarms and destinations see it. One that did not see
//! everything, or reached `fail_on`, is an answer that says so.

use crate::{
    commands::{LookArgs, Settings, job::named},
    config::{self, Config},
    exit::{Exit, Failure},
    log,
    platform::Platform,
    render::inert,
    run::job::{self, Done, Job, Status, To},
    state::Place,
};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::report::Cause;
use sweeper_store::Bucket;

/// What a function may take at most, and so what is left where the platform does not tell:
/// docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const LONGEST: Duration = Duration::from_mins(15);

/// How many causes an answer holds.
const SHOWN: usize = 50;

/// What the runtime's client asks of the environment, which Lambda always sets.
const NEEDED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Whether this process is one: Lambda started it, or it is called as Lambda calls it.
pub fn is_here() -> bool {
    let called = std::env::args_os().next();
    let bootstrap = called.is_some_and(|path| Path::new(&path).file_name().is_some_and(|name| name == "bootstrap"));
    bootstrap || Platform::here() == Some(Platform::Lambda)
}

/// Answers events until Lambda ends the process.
pub async fn serve() -> Result<Exit, Failure> {
    if let Some(missing) = NEEDED.into_iter().find(|name| std::env::var_os(name).is_none()) {
        return Err(Failure::usage(format!("as `bootstrap` this is a Lambda function, and {missing} is not set"))
            .help("outside of Lambda, call the program `sweeper`"));
    }
    lambda_runtime::run(service_fn(handle))
        .await
        .map_err(|error| Failure::new(Exit::Bug, format!("the runtime of Lambda ended: {error}")))?;
    Ok(Exit::Done)
}

/// What a function is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// `{"schedule": "nightly", "token": "2026-11-27T02:00:00Z"}`.
    Run {
        /// The only one, where none is named.
        schedule: Option<String>,
        token: Option<String>,
    },
    /// `{"shard": 3, "of": 8, …}`: a part of a survey.
    Shard,
}

impl Event {
    fn of(event: &Value) -> Result<Self, Failure> {
        const KEYS: &[&str] = &["schedule", "token"];
        let help = "send {\"schedule\": \"nightly\", \"token\": \"<aws.scheduler.scheduled-time>\"}";
        let wrong = |what: String| Failure::usage(format!("this event is not understood: {what}")).help(help);
        let Value::Object(fields) = event else { return Err(wrong("it is no object".to_owned())) };
        if fields.contains_key("shard") {
            return Ok(Self::Shard);
        }
        if let Some(unknown) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let meant = config::meant(unknown, KEYS).map_or_else(String::new, |meant| format!(", {meant}"));
            return Err(wrong(format!("unknown key `{}`{meant}", inert::line(unknown))));
        }
        let text = |key: &str| match fields.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(wrong(format!("`{key}` is a text that is not empty"))),
        };
        Ok(Self::Run { schedule: text("schedule")?, token: text("token")? })
    }
}

/// What a function answers.
#[derive(Debug, Serialize)]
struct Answer {
    status: &'static str,
    exit: u8,
    causes: Vec<Cause>,
    run: String,
    says: String,
}

impl Answer {
    fn of(done: Done) -> Self {
        let mut causes = done.causes.clone();
        if causes.len() > SHOWN {
            let more = causes.len() - SHOWN;
            causes.truncate(SHOWN);
            causes.push(done.exit().cause(format!("and {more} more")));
        }
        Self { status: done.status.name(), exit: done.exit().code(), causes, run: done.run, says: done.says }
    }
}

/// A run that failed, as the platform is told.
#[derive(Debug)]
struct Failed(Failure);

impl From<Failed> for Diagnostic {
    fn from(Failed(failure): Failed) -> Self {
        let help = failure.help.map_or_else(String::new, |help| format!("; {}", inert::line(&help)));
        let mut said: Vec<String> = failure.problems.iter().map(|problem| log::lines(problem)).collect();
        said.push(format!("exit {}: {}{help}", failure.exit.code(), inert::line(&failure.message)));
        Self { error_type: format!("sweeper.{:?}", failure.exit), error_message: said.join("\n") }
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Answer, Failed> {
    let (event, context) = event.into_parts();
    let left = left(context.deadline, jiff::Timestamp::now().as_millisecond());
    match Box::pin(run(&event, left)).await {
        Ok(done) => Ok(Answer::of(done)),
        Err(failure) => {
            log::fail(&failure);
            Err(Failed(failure))
        }
    }
}

/// What is left until the platform ends the run. A deadline that is over, as emulators send, tells nothing.
fn left(deadline: u64, now: i64) -> Duration {
    let left = i64::try_from(deadline).unwrap_or(i64::MAX).saturating_sub(now);
    u64::try_from(left).ok().filter(|left| *left > 0).map_or(LONGEST, Duration::from_millis)
}

/// Config, policies and schedule are read anew for each event: a function that is called again may be an old process.
async fn run(event: &Value, left: Duration) -> Result<Done, Failure> {
    let (schedule, token) = match Event::of(event)? {
        Event::Run { schedule, token } => (schedule, token),
        Event::Shard => return Err(Failure::usage("this release takes no shards by events")),
    };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let beside = set("LAMBDA_TASK_ROOT").unwrap_or_else(|| "/var/task".to_owned());
    let path = set("SWEEPER_CONFIG").map_or_else(|| Path::new(&beside).join(config::NAME), PathBuf::from);
    let config = Config::find(Some(&path))?;
    let entry = named(&config, schedule.as_deref())?;
    let look = LookArgs { config: Some(path), state: set("SWEEPER_STATE"), ..LookArgs::default() };
    let settings = Settings::new(&look, &config)?;
    if !matches!(settings.state, Some(Place::Bucket(_))) {
        return Err(Failure::usage("a function needs its state in a bucket: what it keeps in /tmp is gone with it")
            .help("`state = \"s3://BUCKET/PREFIX\"` in the config, or SWEEPER_STATE"));
    }
    let output = set("SWEEPER_OUTPUT").map(|url| Bucket::parse(&url)).transpose();
    let output = output.map_err(|what| Failure::usage(format!("SWEEPER_OUTPUT: {what}")))?;
    let job = Job {
        entry,
        config: &config,
        settings: &settings,
        look: &look,
        to: output.as_ref().map_or(To::Nowhere, To::Bucket),
    };
    let done = job::run(&job, token.as_deref(), Some(left)).await?;
    log::say(&done.line(&entry.name));
    if done.status == Status::Failed {
        let said: Vec<&str> = done.causes.iter().take(SHOWN).map(|cause| cause.cause.as_str()).collect();
        return Err(Failure::new(done.exit(), format!("{}: {}", done.says, said.join("; "))));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read() {
        let run = |schedule: Option<&str>, token: Option<&str>| Event::Run {
            schedule: schedule.map(str::to_owned),
            token: token.map(str::to_owned),
        };
        assert_eq!(Event::of(&json!({})).unwrap(), run(None, None));
        assert_eq!(Event::of(&json!({"schedule": "a", "token": "b"})).unwrap(), run(Some("a"), Some("b")));
        assert_eq!(Event::of(&json!({"shard": 0, "of": 2})).unwrap(), Event::Shard);
        for (event, says) in [
            (json!(null), "no object"),
            (json!([]), "no object"),
            (json!({"shedule": "a"}), "did you mean `schedule`?"),
            (json!({"schedule": 3}), "`schedule` is a text"),
            (json!({"token": ""}), "`token` is a text"),
        ] {
            let failure = Event::of(&event).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains(says), "{failure:?}");
        }
    }

    #[test]
    fn a_deadline_that_is_over_tells_nothing() {
        let now = 1_800_000_000_000;
        assert_eq!(left(1_800_000_030_000, now), Duration::from_secs(30));
        for deadline in [0, 600_000, 1_800_000_000_000] {
            assert_eq!(left(deadline, now), LONGEST);
        }
        assert!(left(u64::MAX, now) > LONGEST);
    }

    #[test]
    fn a_failure_is_told_with_its_help() {
        let failure = Failure::usage("no\nway").help("try").problems(vec!["here".to_owned()]);
        let told = Diagnostic::from(Failed(failure));
        assert_eq!(told.error_type, "sweeper.Usage");
        assert!(told.error_message.starts_with("here\nexit 2: no"), "{told:?}");
        assert!(told.error_message.ends_with("; try") && told.error_message.lines().count() == 2, "{told:?}");
    }
}
