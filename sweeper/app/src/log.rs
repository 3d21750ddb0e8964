//! Words beside the report: all go to standard error, as plain lines on a terminal and as JSON elsewhere.

use crate::{exit::Failure, render::inert};
use std::io::{self, IsTerminal as _, Write as _};
use tracing_subscriber::{EnvFilter, fmt};

/// Whether a person is watching.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
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
    let _ = fmt().json().flatten_event(true).with_env_filter(filter).with_writer(io::stderr).try_init();
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

/// Why a command stopped. Always plain: it is the last thing said, to whoever called.
pub fn fail(failure: &Failure) {
    let mut out = io::stderr().lock();
    for problem in &failure.problems {
        let _ = writeln!(out, "{}", lines(problem));
    }
    let _ = writeln!(out, "error: {}", inert::line(&failure.message));
    if let Some(help) = &failure.help {
        let _ = writeln!(out, "help: {}", inert::line(help));
    }
}

/// A text of several lines, each inert.
pub fn lines(text: &str) -> String {
    text.lines().map(inert::line).collect::<Vec<_>>().join("\n")
}
