//! `sweeper lease`: what an ephemeral environment is made of is held while its lease is live, and expired afterwards.

use super::{counted, ledger::Place};
use crate::{
    config::{Config, Leases},
    deployment::{self, person},
    exit::{Exit, Failure},
    log,
    output::{self, Whole},
    recording::Recorder,
    render::inert,
    state,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_core::{
    audit::{self, Event},
    clock::{Clock as _, SystemClock},
    environment::{self, By, Environment, EnvironmentError, Proof, Standing, TAG},
    inert::InertJson,
    model::Timestamp,
    store::Store,
    ttl::{self, Until},
};

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Grant a lease, and show its token once
    Grant(Grant),
    /// Let a lease run longer, or give it another token
    Renew {
        id: String,
        #[command(flatten)]
        end: End,
        /// Show another token; the one before is none any more
        #[arg(long)]
        new_token: bool,
        /// Write the token into a file that only its owner reads, in place of showing it
        #[arg(long, value_name = "FILE", requires = "new_token")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// End a lease now: what it covers is expired
    Release {
        id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show the leases that hold
    List {
        /// Also those that ended
        #[arg(long)]
        all: bool,
        #[arg(long, value_enum, default_value_t = Form::Text)]
        format: Form,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct Grant {
    /// Small letters, digits and `-`; the environment's resources may carry it in the tag `sweeper-lease`
    /// [default: one that nobody has]
    id: Option<String>,
    /// Whose environment it is
    #[arg(long)]
    owner: String,
    #[command(flatten)]
    end: End,
    /// A tag of what it covers, `env=pr-1234`; of several, all must be there
    #[arg(long = "select", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Only in these accounts: `aws:111122223333`, `gcp:shop-*`
    #[arg(long = "account", value_name = "ACCOUNT", value_delimiter = ',')]
    accounts: Vec<String>,
    /// Only in these regions, with their zones
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',')]
    regions: Vec<String>,
    /// How long it may run from now, whoever renews it [default: the config's `max_length`, or 14d]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    max: Option<i64>,
    /// How often a heartbeat is to come [default: the config's, or none is waited for]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    heartbeat: Option<i64>,
    /// How many heartbeats in a row may be missing [default: the config's, or 3]
    #[arg(long, value_name = "N")]
    missed: Option<u32>,
    /// How far clocks may be apart [default: the config's, or 5m]
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    skew: Option<i64>,
    /// Write the token into a file that only its owner reads, in place of showing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    #[command(flatten)]
    place: Place,
}

/// Until when.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct End {
    /// From now: `8h`, `2d`
    #[arg(long = "for", value_name = "LENGTH", value_parser = length)]
    length: Option<i64>,
    /// A date, which counts to its end, or an instant with its zone
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<Timestamp>,
}

impl End {
    fn at(&self, now: Timestamp) -> Timestamp {
        self.until.or_else(|| self.length.map(|length| now.plus(length))).unwrap_or(now)
    }
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// `sweeper.leases/1`
    Json,
}

fn length(text: &str) -> Result<i64, String> {
    let seconds = text.strip_suffix('s').map_or_else(|| ttl::span(text), |number| number.parse().ok());
    seconds.filter(|seconds| *seconds > 0).ok_or_else(|| "a length of time: `30s`, `20m`, `8h`, `2d`".to_owned())
}

fn end(text: &str) -> Result<Timestamp, String> {
    match ttl::until(text, None) {
        Until::At(at) => Ok(at),
        _ => Err("a date, `2027-01-31`, or an instant, `2027-01-31T18:00:00Z`".to_owned()),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, value)| !key.trim().is_empty() && !value.trim().is_empty());
    let (key, value) = pair.ok_or("a tag, `key=value`: neither may be empty")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub fn run(command: &Command) -> Result<Exit, Failure> {
    let now = SystemClock::default().wall();
    match command {
        Command::Grant(args) => grant(args, now),
        Command::Renew { id, end, new_token, token_file, place } => {
            let (store, config) = place.open()?;
            let lease =
                environment::renew(store.as_ref(), id, end.at(now), now).map_err(|error| refused(&error, id))?;
            record(place, &config, &lease, "renewed", now)?;
            log::say(&format!("lease {id} holds until {}", lease.until));
            if *new_token {
                let token = token()?;
                environment::rotate(store.as_ref(), id, Proof::of(&token), now).map_err(|error| refused(&error, id))?;
                record(place, &config, &lease, "token", now)?;
                show(&token, token_file.as_deref(), |out, token| {
                    if token.is_empty() { Ok(()) } else { writeln!(out, "token {token}") }
                })?;
            }
            Ok(Exit::Done)
        }
        Command::Release { id, place } => {
            let (store, config) = place.open()?;
            let before = environment::load(store.as_ref()).leases().iter().find(|lease| lease.id == *id).cloned();
            let lease =
                environment::release(store.as_ref(), id, By::House, now).map_err(|error| refused(&error, id))?;
            if before.is_none_or(|before| before.released.is_none()) {
                record(place, &config, &lease, "released", now)?;
            }
            log::say(&format!("lease {id} was released {}", lease.released.unwrap_or(now)));
            Ok(Exit::Done)
        }
        Command::List { all, format, place } => list(*all, *format, place, now),
    }
}

fn grant(args: &Grant, now: Timestamp) -> Result<Exit, Failure> {
    let config = Config::find(args.place.config.as_deref())?;
    let lease = asked(args, &config.leases, now)?;
    let store = lasting(args.place.state.as_deref(), &config)?;
    let token = token()?;
    environment::grant(store.as_ref(), &lease, Proof::of(&token), now).map_err(|error| refused(&error, &lease.id))?;
    record(&args.place, &config, &lease, "granted", now)?;
    show(&token, args.token_file.as_deref(), |out, token| match args.format {
        Form::Text => {
            writeln!(out, "lease {}", lease.id)?;
            writeln!(out, "tag   {TAG}={}", lease.id)?;
            writeln!(out, "until {}, at most {}", lease.until, lease.latest())?;
            if token.is_empty() { Ok(()) } else { writeln!(out, "token {token}") }
        }
        Form::Json => {
            let mut value = shown(&lease, now);
            if !token.is_empty() {
                value["token"] = token.into();
            }
            written(&json!({ "format": "sweeper.leases/1", "leases": [value] }), out)
        }
    })?;
    Ok(Exit::Done)
}

/// The lease that is asked for, by the house's terms where nothing else is said.
fn asked(args: &Grant, terms: &Leases, now: Timestamp) -> Result<Environment, Failure> {
    let max_length = args.max.unwrap_or(terms.max_length);
    if max_length > terms.max_length {
        let most = ttl::spoken(terms.max_length);
        return Err(Failure::usage(format!("no lease may run longer than {most}"))
            .help("the config's `max_length` under [leases] says how long"));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in &args.tags {
        if tags.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("the tag `{}` is selected twice", inert::line(key))));
        }
    }
    let id = match &args.id {
        Some(id) => id.clone(),
        None => format!("env-{}", super::random_id()?.get(..12).unwrap_or_default()),
    };
    Ok(Environment {
        id,
        owner: args.owner.trim().to_owned(),
        tags,
        accounts: args.accounts.clone(),
        regions: args.regions.clone(),
        granted: now,
        until: args.end.at(now),
        max_length,
        heartbeat: args.heartbeat.or(terms.heartbeat),
        missed: args.missed.unwrap_or(terms.missed),
        skew: args.skew.unwrap_or(terms.skew),
        beat: None,
        released: None,
    })
}

/// The state that outlasts this command, made where there is none yet.
fn lasting(named: Option<&str>, config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let place = state::place(named, config)?.filter(|place| *place != state::Place::Memory).ok_or_else(|| {
        Failure::usage("there is no place for state, so a lease would be forgotten at once")
            .help("--state PATH, or `state = \"…\"` in the config, names one")
    })?;
    state::open(&place).map_err(|error| deployment::failed(&error))
}

/// 256 random bits.
fn token() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Bug, format!("the machine gives no random numbers: {error}")))?;
    let mut token = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// Shows something with the token, which is empty where it goes into a file.
fn show(
    token: &str,
    file: Option<&Path>,
    with: impl FnOnce(&mut dyn Write, &str) -> io::Result<()>,
) -> Result<(), Failure> {
    if let Some(path) = file {
        let write = || {
            let mut whole = Whole::create(path)?;
            writeln!(whole, "{token}")?;
            whole.keep()
        };
        write().map_err(|error| {
            Failure::usage(format!("failed to write the token to {}: {error}", path.display()))
                .help("`sweeper lease renew --new-token` gives another")
        })?;
    }
    let token = if file.is_some() { "" } else { token };
    output::to(None, |out| with(out, token)).map_err(|error| Failure::usage(format!("failed to write: {error}")))
}

/// Records it where the deployment keeps a log. A lease never waits for whoever has the lock.
fn record(place: &Place, config: &Config, lease: &Environment, done: &str, now: Timestamp) -> Result<(), Failure> {
    if let Some(recorder) = Recorder::open(place.state.as_deref(), config)? {
        recorder.record_if_free(vec![event(lease, done, person(), now)])?;
    }
    Ok(())
}

/// What the log has of it.
pub fn event(lease: &Environment, done: &str, by: String, now: Timestamp) -> Event {
    let (Standing::Live(until) | Standing::Ended(until, _)) = lease.standing(now);
    Event::new(audit::Environment {
        lease: lease.id.clone(),
        change: done.to_owned(),
        owner: lease.owner.clone(),
        selector: lease.selector(),
        until: Some(until),
        by,
    })
}

fn refused(error: &EnvironmentError, id: &str) -> Failure {
    let id = inert::line(id);
    match error {
        EnvironmentError::Store(error) => deployment::failed(error),
        EnvironmentError::NotThere => Failure::usage(format!("there is no lease `{id}`"))
            .help("`sweeper lease list --all` shows those that there are"),
        error @ EnvironmentError::Exists(..) => {
            Failure::usage(error.to_string()).help(format!("`sweeper lease renew {id} --for 8h` lets it run longer"))
        }
        EnvironmentError::Over(at, why) => Failure::usage(format!("the lease `{id}` ended {at}: {why}"))
            .help(format!("`sweeper lease grant {id} …` grants it anew")),
        EnvironmentError::TooLong(..) => Failure::usage(format!("the lease `{id}` is not to be had: {error}"))
            .help("`--max`, or the config's `max_length` under [leases], says how long"),
        error => Failure::usage(format!("the lease `{id}` is not to be had: {error}")),
    }
}

fn list(all: bool, format: Form, place: &Place, now: Timestamp) -> Result<Exit, Failure> {
    let (store, _) = place.open()?;
    let known = environment::load(store.as_ref());
    let shown_ones: Vec<&Environment> =
        known.leases().iter().filter(|lease| all || matches!(lease.standing(now), Standing::Live(_))).collect();
    output::to(None, |out| match format {
        Form::Text => text(&shown_ones, now, out),
        Form::Json => {
            let leases: Vec<Value> = shown_ones.iter().map(|lease| shown(lease, now)).collect();
            written(&json!({ "format": "sweeper.leases/1", "leases": leases }), out)
        }
    })
    .map_err(|error| Failure::usage(format!("failed to write: {error}")))?;
    if let Some(why) = known.trouble() {
        return Err(Failure::new(Exit::Damaged, format!("not all leases can be read: {why}"))
            .help("what they may cover is held"));
    }
    Ok(Exit::Done)
}

fn text(leases: &[&Environment], now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    for lease in leases {
        let standing = match lease.standing(now) {
            Standing::Live(end) => format!("holds until {end}"),
            Standing::Ended(at, why) => format!("ended {at}: {}", why.name()),
        };
        writeln!(out, "{}  {standing}  owner {}", inert::line(&lease.id), inert::line(&lease.owner))?;
        writeln!(out, "  covers {}", inert::line(&lease.selector().join(", ")))?;
        if let Some(every) = lease.heartbeat {
            let last = lease.beat.map_or_else(|| "none yet".to_owned(), |at| format!("the last {at}"));
            let (every, skew) = (spoken(every), spoken(lease.skew));
            writeln!(
                out,
                "  a heartbeat every {every}, {} may be missing, clocks apart by {skew}; {last}",
                lease.missed
            )?;
        }
    }
    if leases.is_empty() {
        writeln!(out, "no lease holds")
    } else {
        writeln!(out, "{}", counted(leases.len() as u64, "lease"))
    }
}

fn spoken(seconds: i64) -> String {
    if seconds % 60 == 0 { ttl::spoken(seconds) } else { format!("{seconds} seconds") }
}

fn shown(lease: &Environment, now: Timestamp) -> Value {
    let (state, end, why) = match lease.standing(now) {
        Standing::Live(end) => ("live", end, None),
        Standing::Ended(at, why) => ("ended", at, Some(why.name())),
    };
    json!({
        "id": lease.id,
        "owner": lease.owner,
        "state": state,
        "ends": end.to_string(),
        "why": why,
        "granted": lease.granted.to_string(),
        "until": lease.until.to_string(),
        "latest": lease.latest().to_string(),
        "tags": lease.tags,
        "accounts": lease.accounts,
        "regions": lease.regions,
        "heartbeat_seconds": lease.heartbeat,
        "missed": lease.missed,
        "skew_seconds": lease.skew,
        "last_heartbeat": lease.beat.map(|at| at.to_string()),
        "released": lease.released.map(|at| at.to_string()),
    })
}

fn written(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut *out, InertJson))?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_ends_and_tags_are_read() {
        assert_eq!((length("90s"), length("5m"), length("8h")), (Ok(90), Ok(300), Ok(28_800)));
        for bad in ["", "0h", "-1h", "8", "s", "1y"] {
            assert!(length(bad).is_err(), "{bad}");
        }
        assert!(end("2027-01-31").is_ok() && end("2027-01-31T08:00:00+01:00").is_ok());
        for bad in ["soon", "01/02/2027", "never", "14d"] {
            assert!(end(bad).is_err(), "{bad}");
        }
        assert_eq!(tag("env=a=b"), Ok(("env".to_owned(), "a=b".to_owned())));
        for bad in ["env", "=x", "env=", " =x", ""] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_256_bits_and_never_the_same() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()) && one != other);
    }
}
