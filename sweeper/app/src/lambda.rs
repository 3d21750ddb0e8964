//! The same binary as the handler of an AWS Lambda function: an event is one run of a schedule.
//!
//! A run that failed is an error of the function, so that its alarms and destinations see it. One that did not see
//! everything, or reached `fail_on`, is an answer that says so.

use crate::{
    commands::{Ended, LookArgs, Settings, job::named},
    config::{self, Config},
    exit::{Exit, Failure},
    log,
    platform::Platform,
    render::inert,
    run::{
        carried::Resume,
        job::{self, Done, Job, Status, To},
    },
    shards::{self, Part, Which},
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
    /// `{"shard": {"index": 3, "count": 8, "run": "nightly-2026-11-27"}}`: a part of a survey.
    Shard(Shard),
}

/// One shard of a survey by many functions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shard {
    which: Which,
    /// The same for all of them.
    run: String,
    stage: Part,
}

impl Shard {
    /// Not knowing which it is is an error: else every function would list the same.
    fn of(value: &Value) -> Result<Self, Failure> {
        const KEYS: &[&str] = &["index", "count", "run", "stage"];
        let wrong = |what: String| Failure::usage(format!("this shard is not understood: {what}")).help(SHARD);
        let Value::Object(fields) = value else { return Err(wrong("it is no object".to_owned())) };
        known(fields, KEYS).map_err(wrong)?;
        // Maps hand numbers on as they are, or as texts.
        let number = |key: &str| match fields.get(key) {
            None => Err(wrong(format!("`{key}` is missing"))),
            Some(Value::String(text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(text.clone())
            }
            Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
            Some(_) => Err(wrong(format!("`{key}` is a number"))),
        };
        let which = shards::which(Some(&format!("{}/{}", number("index")?, number("count")?)), &|_| None)?;
        let run = match fields.get("run") {
            Some(Value::String(run)) if !run.is_empty() => run.clone(),
            _ => return Err(wrong("`run` is a text that is not empty, the same for all shards".to_owned())),
        };
        let stage = match fields.get("stage").map(Value::as_str) {
            None | Some(Some("units")) => Part::Units,
            Some(Some("answers")) => Part::Answers,
            Some(_) => return Err(wrong("`stage` is units or answers".to_owned())),
        };
        Ok(Self { which, run, stage })
    }
}

/// What may stand in an event, or what does not.
fn known(fields: &serde_json::Map<String, Value>, keys: &[&'static str]) -> Result<(), String> {
    let Some(unknown) = fields.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    let meant = config::meant(unknown, keys).map_or_else(String::new, |meant| format!(", {meant}"));
    Err(format!("unknown key `{}`{meant}", inert::line(unknown)))
}

const SHARD: &str = "send {\"shard\": {\"index\": 3, \"count\": 8, \"run\": \"<the execution's name>\"}}";

/// Where shards meet. The deployer says so, not whoever sends events.
const MEET: &str = "SWEEPER_SHARDS_TO";

impl Event {
    fn of(event: &Value) -> Result<Self, Failure> {
        const KEYS: &[&str] = &["schedule", "token", "shard"];
        let help = "send {\"schedule\": \"nightly\", \"token\": \"<aws.scheduler.scheduled-time>\"}";
        let wrong = |what: String| Failure::usage(format!("this event is not understood: {what}")).help(help);
        let Value::Object(fields) = event else { return Err(wrong("it is no object".to_owned())) };
        known(fields, KEYS).map_err(wrong)?;
        if let Some(shard) = fields.get("shard") {
            if fields.len() > 1 {
                return Err(wrong(
                    "a shard is of no schedule, and has no token: what is sealed is not sealed again".to_owned(),
                ));
            }
            return Shard::of(shard).map(Self::Shard);
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
    /// From where the next event of the schedule goes on, also with the same token.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Resume>,
}

impl Answer {
    fn of(done: Done) -> Self {
        let mut causes = done.causes.clone();
        if causes.len() > SHOWN {
            let more = causes.len() - SHOWN;
            causes.truncate(SHOWN);
            causes.push(done.exit().cause(format!("and {more} more")));
        }
        let (status, exit) = (done.status.name(), done.exit().code());
        Self { status, exit, causes, run: done.run, says: done.says, resume: done.resume }
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
    let event = Event::of(event)?;
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let beside = set("LAMBDA_TASK_ROOT").unwrap_or_else(|| "/var/task".to_owned());
    let path = set("SWEEPER_CONFIG").map_or_else(|| Path::new(&beside).join(config::NAME), PathBuf::from);
    let config = Config::find(Some(&path))?;
    let look = LookArgs { config: Some(path), state: set("SWEEPER_STATE"), ..LookArgs::default() };
    let settings = Settings::new(&look, &config)?;
    if !matches!(settings.state, Some(Place::Bucket(_))) {
        return Err(Failure::usage("a function needs its state in a bucket: what it keeps in /tmp is gone with it")
            .help("`state = \"s3://BUCKET/PREFIX\"` in the config, or SWEEPER_STATE"));
    }
    let (schedule, token) = match event {
        Event::Run { schedule, token } => (schedule, token),
        Event::Shard(shard) => return listed(settings, shard, set(MEET), left).await,
    };
    let entry = named(&config, schedule.as_deref())?;
    let output = set("SWEEPER_OUTPUT").map(|url| Bucket::parse(&url).map(|bucket| PathBuf::from(bucket.to_string())));
    let output = output.transpose().map_err(|what| Failure::usage(format!("SWEEPER_OUTPUT: {what}")))?;
    let job = Job {
        entry,
        config: &config,
        settings: &settings,
        look: &look,
        to: output.as_deref().map_or(To::Nowhere, To::Folder),
    };
    let done = job::run(&job, token.as_deref(), Some(left)).await?;
    log::say(&done.line(&entry.name));
    if done.status == Status::Failed {
        let said: Vec<&str> = done.causes.iter().take(SHOWN).map(|cause| cause.cause.as_str()).collect();
        return Err(Failure::new(done.exit(), format!("{}: {}", done.says, said.join("; "))));
    }
    Ok(done)
}

/// Lists a shard. It has done its part once it is sealed: what it had no time for is blind, as the merge tells.
async fn listed(mut settings: Settings, shard: Shard, to: Option<String>, left: Duration) -> Result<Done, Failure> {
    let to = to.filter(|to| Bucket::is_one(to)).ok_or_else(|| {
        Failure::usage(format!("{MEET} names no bucket for shards to meet in"))
            .help(format!("set {MEET}=s3://BUCKET/PREFIX, the same for all functions of a survey"))
    })?;
    let within = left.saturating_sub(job::kept(left));
    settings.limits.deadline = settings.limits.deadline.into_iter().chain([within]).min();
    let Shard { which, run, stage } = shard;
    let work = shards::Job { run: run.clone(), to, which, stage };
    let says = Box::pin(shards::survey_with(settings, &work)).await?;
    log::say(&says);
    Ok(Done::of(Ended { run, says, ..Ended::default() }))
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
        let shard = |value: Value| Event::of(&json!({"shard": value}));
        let one = |shard, stage| {
            Event::Shard(Shard { which: Which::One { shard, shards: 8 }, run: "night".to_owned(), stage })
        };
        assert_eq!(shard(json!({"index": 3, "count": 8, "run": "night"})).unwrap(), one(3, Part::Units));
        let texts = json!({"index": "0", "count": "8", "run": "night", "stage": "answers"});
        assert_eq!(shard(texts).unwrap(), one(0, Part::Answers));
        for (value, says) in [
            (json!(3), "no object"),
            (json!({"count": 8, "run": "night"}), "`index` is missing"),
            (json!({"index": 3, "run": "night"}), "`count` is missing"),
            (json!({"index": 3, "count": 8}), "`run` is a text"),
            (json!({"index": 8, "count": 8, "run": "night"}), "there is no shard 8 of 8"),
            (json!({"index": 0, "count": 0, "run": "night"}), "there is no shard 0 of 0"),
            (json!({"index": -1, "count": 8, "run": "night"}), "`index` is a number"),
            (json!({"index": "claim", "count": 8, "run": "night"}), "`index` is a number"),
            (json!({"index": 1.5, "count": 8, "run": "night"}), "`index` is a number"),
            (json!({"index": 0, "count": 20_000, "run": "night"}), "too many"),
            (json!({"index": 0, "count": 8, "run": "night", "stage": "apply"}), "`stage` is units or answers"),
            (json!({"indx": 0, "count": 8, "run": "night"}), "did you mean `index`?"),
        ] {
            let failure = shard(value).unwrap_err();
            assert!(failure.exit == Exit::Usage && failure.message.contains(says), "{failure:?}");
        }
        let both = Event::of(&json!({"shard": {"index": 3, "count": 8, "run": "night"}, "schedule": "nightly"}));
        assert!(both.unwrap_err().message.contains("of no schedule"));
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
