//! `sweeper`: what is wasted in the cloud, whose it is, what it costs, and how we know.

#![expect(unreachable_pub, reason = "a binary has no outside: `pub` says that other modules use it")]

mod clouds;
mod commands;
mod config;
mod deployment;
#[cfg(all(test, feature = "aws", feature = "azure", feature = "gcp"))]
mod detectors;
mod diagnosis;
mod engine;
mod exit;
mod history;
mod iac;
mod kubernetes;
mod lambda;
mod log;
mod measures;
mod notify;
mod output;
mod platform;
mod policies;
mod price_lists;
mod program;
mod recording;
mod referrers;
mod render;
mod review;
mod roles;
mod shards;
mod signing;
mod signs;
mod state;
mod states;
mod watch;

/// When and what a daemon runs.
mod run {
    pub mod agenda;
    pub mod apart;
    pub mod beating;
    pub mod carried;
    pub mod checkout;
    pub mod heartbeat;
    pub mod http;
    pub mod job;
    pub mod remembered;
    pub mod rules;
    pub mod schedule;
    pub mod vitals;
    pub mod window;
}

use clap::{CommandFactory as _, Parser as _};
use exit::{Exit, Failure};
use std::{
    future::Future,
    process::{self, ExitCode},
};

/// What reports and surveys say made them.
pub const TOOL: &str = concat!("sweeper ", env!("CARGO_PKG_VERSION"));

/// Finds cloud resources that cost money and serve nobody
#[derive(Debug, clap::Parser)]
#[command(name = "sweeper", version, max_term_width = 100, after_help = EXITS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "\
Exit codes, the first that applies: 70 a defect of sweeper · 8 state damaged · 7 lock held · \
6 refused for safety · 2 usage or config · 5 some actions failed · 4 --fail-on reached · \
3 something was not seen and is not waived · 0. Stopped: 130 by Ctrl-C, 143 by SIGTERM.";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Report what is wasted; changes nothing in any cloud
    Report(commands::report::Args),
    /// Look once and seal what was seen in a file
    Survey(commands::survey::Args),
    /// Explain a resource or a detector, clause by clause
    Explain(commands::explain::Args),
    /// Plan what would be done, exactly, for somebody to approve; changes nothing in any cloud
    Plan(commands::plan::Args),
    /// Sign that a plan may be applied, or that a policy may act within bounds
    Approve(commands::approve::Args),
    /// Walk through a plan in the terminal: see the evidence, approve or keep, and sign
    Review(commands::review::Args),
    /// Do what a plan lists and somebody approved, and never more
    Apply(commands::apply::Args),
    /// Take back what was done
    Undo(commands::undo::Args),
    /// Tell owners what is found of theirs, what will become of it, and how to keep it
    Notify(commands::notify::Args),
    /// Draw the line between backlog and what is new: alerts and objectives count only what is new
    #[command(subcommand)]
    Baseline(commands::baseline::Command),
    /// Keep a resource until a date: writes an exception with its reason into a file of policies
    Keep(commands::keep::Args),
    /// Lease what an ephemeral environment is made of: held while the lease is live, expired afterwards
    #[command(subcommand)]
    Lease(commands::lease::Command),
    /// Show what is remembered between runs, or forget it
    #[command(subcommand)]
    Ledger(commands::ledger::Command),
    /// Show how long listings were, or accept that they fell
    #[command(subcommand)]
    Floor(commands::ledger::FloorCommand),
    /// Show how waste went, by owner and detector, and what exceptions, holds and waivers cost
    Trend(commands::trend::Args),
    /// Show the log of everything that was done, and hold it against its signatures
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Describe what machines read: the audit log as JSON Schema, the measures as a table
    Schema(commands::schema::Args),
    /// Show or break the lock under which changes are made
    #[command(subcommand)]
    Lock(commands::lock::Command),
    /// Check and list policies
    #[command(subcommand)]
    Policy(commands::policy::Command),
    /// Hold what is planned against the policies of ownership and of ends
    #[command(subcommand)]
    Check(commands::check::Command),
    /// Compare the last week of a bill with the weeks before
    Bill(commands::bill::Args),
    /// Show the list prices in use, or have them anew from the clouds' price APIs
    #[command(subcommand)]
    Prices(commands::prices::Command),
    /// Say who looks, at what, with which rights, what is not seen, and how to mend it
    Doctor(commands::doctor::Args),
    /// Write the roles that looking needs, made of what the kinds declare
    Permissions(commands::permissions::Args),
    /// Write a starter config and the shipped policies; overwrites nothing
    Init(commands::init::Args),
    /// Write which resources Terraform, OpenTofu, Pulumi and CloudFormation manage: ids and addresses, no values
    IacIndex(commands::iac_index::Args),
    /// Write what a shell needs to complete commands and options
    Completions(commands::completions::Args),
    /// Write what Kubernetes, Nomad or a CMDB use of the clouds: ids and digests, no values
    InUse(commands::in_use::Args),
    /// Run one of the config's schedules once, now
    Job(commands::job::Args),
    /// Run the config's schedules until stopped
    Daemon(commands::daemon::Args),
    /// Sweep an organisation that is served on this machine: no account needed
    #[cfg(feature = "demo")]
    Demo(commands::demo::Args),
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        review::leave();
        output::abandon();
        log::bug(&panic.to_string());
        process::exit(i32::from(Exit::Bug.code()));
    }));
    let outcome = if lambda::is_here() { stoppable(lambda::serve()) } else { dispatch(Cli::parse().command) };
    ExitCode::from(match outcome {
        Ok(exit) => exit.code(),
        Err(failure) => {
            log::fail(&failure);
            failure.exit.code()
        }
    })
}

/// Commands that only read files need no runtime, and start at once.
fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Policy(command) => commands::policy::run(&command),
        Command::Check(command) => {
            log::start();
            commands::check::run(&command)
        }
        Command::Init(args) => commands::init::run(&args),
        Command::Schema(args) => commands::schema::run(&args),
        Command::Completions(args) => commands::completions::run(&args, Cli::command()),
        Command::Permissions(args) => commands::permissions::run(&args),
        Command::IacIndex(args) => {
            log::start();
            stoppable(async move { commands::iac_index::run(&args) })
        }
        Command::InUse(args) => stoppable(commands::in_use::run(args)),
        Command::Bill(args) if args.api.api => stoppable(commands::bill::api::run(args)),
        Command::Bill(args) => {
            log::start();
            stoppable(async move { commands::bill::run(&args) })
        }
        Command::Prices(commands::prices::Command::Show(args)) => {
            log::start();
            commands::prices::show(&args)
        }
        Command::Prices(commands::prices::Command::Refresh(args)) => stoppable(commands::prices::refresh(args)),
        Command::Explain(args) => match commands::explain::run_detector(&args) {
            Some(explained) => explained,
            None => stoppable(commands::explain::run(args)),
        },
        Command::Report(args) => match args.survey.clone() {
            Some(survey) => stoppable(async move { commands::report::run_offline(&args, &survey) }),
            None => stoppable(commands::report::run(args)),
        },
        Command::Plan(args) => stoppable(commands::plan::run(args)),
        Command::Approve(args) => stoppable(async move { commands::approve::run(&args) }),
        Command::Review(args) => stoppable(async move { commands::review::run(&args) }),
        Command::Apply(args) => gently(|stopped| commands::apply::run(args, stopped)),
        Command::Undo(args) => stoppable(commands::undo::run(args)),
        Command::Audit(command) => stoppable(async move { commands::audit::run(&command) }),
        Command::Lock(command) => stoppable(async move { commands::lock::run(&command) }),
        Command::Notify(args) => stoppable(commands::notify::run(args)),
        Command::Baseline(command) => stoppable(async move { commands::baseline::run(&command) }),
        Command::Keep(args) => stoppable(async move { commands::keep::run(&args) }),
        Command::Lease(command) => stoppable(async move { commands::lease::run(&command) }),
        Command::Ledger(command) => stoppable(async move { commands::ledger::run(&command) }),
        Command::Floor(command) => stoppable(async move { commands::ledger::run_floor(&command) }),
        Command::Trend(args) => stoppable(async move { commands::trend::run(&args) }),
        Command::Survey(args) => stoppable(commands::survey::run(args)),
        Command::Doctor(args) => stoppable(commands::doctor::run(args)),
        Command::Job(args) => gently(|stopped| commands::job::run(args, stopped)),
        Command::Daemon(args) => gently(|stopped| commands::daemon::run(args, stopped)),
        #[cfg(feature = "demo")]
        Command::Demo(args) => stoppable(commands::demo::run(args)),
    }
}

/// How long a command that changes something may take to end after it was stopped: its last call is waited for.
const GRACE: std::time::Duration = std::time::Duration::from_secs(8);

/// Runs a command that changes something: it is told that somebody stopped it, starts no further call, and has a little
/// time to hear and record how its last one ended.
fn gently<F>(command: impl FnOnce(tokio::sync::watch::Receiver<bool>) -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>> + Send + 'static,
{
    let (stop, stopped) = tokio::sync::watch::channel(false);
    run_until(command(stopped), Some(stop))
}

/// Runs a command until it ends or somebody stops it.
fn stoppable(command: impl Future<Output = Result<Exit, Failure>> + Send + 'static) -> Result<Exit, Failure> {
    run_until(command, None)
}

/// The command has a thread of its own, so that one that computes for a while can be stopped as well.
fn run_until(
    command: impl Future<Output = Result<Exit, Failure>> + Send + 'static,
    stop: Option<tokio::sync::watch::Sender<bool>>,
) -> Result<Exit, Failure> {
    log::start();
    let failed = |error: std::io::Error| Failure::new(Exit::Bug, format!("failed to start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let (ended, wait) = tokio::sync::oneshot::channel();
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("command".to_owned())
        .spawn(move || {
            // Nobody waits any more only when the process ends.
            let _ = ended.send(handle.block_on(command));
        })
        .map_err(failed)?;
    let mut wait = wait;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = &mut wait => outcome.unwrap_or_else(|_| Err(Failure::new(Exit::Bug, "the command ended without an outcome"))),
            signal = stopped() => {
                if let Some(stop) = &stop {
                    stop.send_replace(true);
                    let _ = tokio::time::timeout(GRACE, &mut wait).await;
                }
                review::leave();
                output::abandon();
                log::stopped(signal);
                process::exit(signal);
            }
        }
    });
    runtime.shutdown_background();
    outcome
}

/// The exit code of the signal that stops the process.
#[cfg(unix)]
async fn stopped() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}

#[cfg(not(unix))]
async fn stopped() -> i32 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => 130,
        Err(_) => std::future::pending().await,
    }
}
