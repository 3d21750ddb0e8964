//! Words beside the report: all go to standard error, as plain lines on a terminal and as JSON elsewhere.

use crate::{exit::Failure, platform::Platform, render::inert};
use serde::Serialize;
use std::{
    fmt::{self as words, Write as _},
    io::{self, IsTerminal as _, Write as _},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Whether a person is watching.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether everything said is read by a platform's log, line by line.
fn is_collected() -> bool {
    Platform::here().is_some() && !is_watched()
}

/// Our own words; what the SDK says of its tries is said again, better, by the error they end in.
const DEFAULT: &str =
    "sweeper=info,warn,aws_config=off,aws_credential_types=off,aws_runtime=off,aws_smithy_runtime=off";

/// Libraries that log what they read off the wire, in which there are secrets (environments, user data).
const WIRE: [&str; 4] = ["aws_", "hyper", "h2", "rustls"];

/// Starts the log. `SWEEPER_LOG` says how much: `warn`, `info` (the default), `debug`.
pub fn start() {
    if is_watched() {
        return;
    }
    let mut filter = EnvFilter::try_from_env("SWEEPER_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    // However much is asked for: no log holds what the decoders drop.
    for directive in WIRE.iter().filter_map(|library| format!("{library}=warn").parse().ok()) {
        filter = filter.add_directive(directive);
    }
    // A second start (tests) changes nothing.
    let _ = fmt::fmt().event_format(Lines).with_env_filter(filter).with_writer(io::stderr).try_init();
}

/// A line as machines read it. `severity` is what Google's log goes by, `level` what AWS's does.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    severity: &'a str,
    message: &'a str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(level: Level, message: &'a str, target: &'a str) -> Self {
        // cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
        let severity = match level {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => "DEBUG",
        };
        let timestamp = format!("{:.3}", jiff::Timestamp::now());
        Self { timestamp, level: level.as_str(), severity, message, target, help: None }
    }

    /// A whole line, ended.
    fn json(&self) -> String {
        serde_json::to_string(self).map(|line| line + "\n").unwrap_or_default()
    }
}

/// Writes events as lines.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> words::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let about = event.metadata();
        writer.write_str(&Line::new(*about.level(), &said.0, about.target()).json())
    }
}

/// The message of an event, and after it its other fields.
#[derive(Default)]
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn words::Debug) {
        // A string takes any text.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// Something a person should know.
pub fn say(text: &str) {
    let text = inert::line(text);
    if is_watched() {
        let _ = writeln!(io::stderr(), "{text}");
    } else {
        tracing::info!("{text}");
    }
}

/// Something that may be wrong.
pub fn warn(text: &str) {
    let text = inert::line(text);
    if is_watched() {
        let _ = writeln!(io::stderr(), "warning: {text}");
    } else {
        tracing::warn!("{text}");
    }
}

/// Why a command stopped: the last thing said, to whoever called. Plain, save where lines are only read by machines.
pub fn fail(failure: &Failure) {
    if is_collected() {
        let problems = failure.problems.iter().map(|problem| lines(problem));
        let message: Vec<String> = problems.chain([inert::line(&failure.message).into_owned()]).collect();
        let help = failure.help.as_ref().map(|help| inert::line(help));
        return last(Level::ERROR, &message.join("\n"), help.as_deref());
    }
    let mut out = io::stderr().lock();
    for problem in &failure.problems {
        let _ = writeln!(out, "{}", lines(problem));
    }
    let _ = writeln!(out, "error: {}", inert::line(&failure.message));
    if let Some(help) = &failure.help {
        let _ = writeln!(out, "help: {}", inert::line(help));
    }
}

/// The process ends here, by a signal.
pub fn stopped(code: i32) {
    if !is_collected() {
        let _ = writeln!(io::stderr(), "\nstopped");
        return;
    }
    let signal = if code == 130 { "SIGINT" } else { "SIGTERM" };
    last(Level::WARN, &format!("stopped by {signal}, exit {code}"), None);
}

/// The process ends here, by a defect of ours.
pub fn bug(what: &str) {
    let help = format!("please report it, with the command and {}", crate::TOOL);
    if is_collected() {
        return last(Level::ERROR, &format!("bug: {}", lines(what)), Some(&help));
    }
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "\nerror: bug: {}\nhelp: {help}", lines(what));
}

/// A line that is said whatever the log's filter.
fn last(level: Level, message: &str, help: Option<&str>) {
    let line = Line { help, ..Line::new(level, message, "sweeper") };
    let _ = io::stderr().lock().write_all(line.json().as_bytes());
}

/// A text of several lines, each inert.
pub fn lines(text: &str) -> String {
    text.lines().map(inert::line).collect::<Vec<_>>().join("\n")
}
