//! `sweeper-emulator`: serves an organisation file until it is killed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sweeper_emulator::{Emulator, Options, Org, Pace, parse_faults};

const USAGE: &str = "usage: sweeper-emulator --org FILE [--port N] [--now RFC3339] [--page N] [--faults FILE] [--latency MS] [--pace RATE/BURST]";

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "sweeper-emulator: {message}");
            ExitCode::from(2)
        }
    }
}

async fn serve() -> Result<(), String> {
    let mut org = None;
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--help" || name == "-h" {
            return writeln!(std::io::stdout(), "{USAGE}").map_err(|error| error.to_string());
        }
        let given = arguments.next().ok_or_else(|| format!("{name} takes a value\n{USAGE}"))?;
        let bad = |what: &str| format!("{name} {given}: {what}");
        match name.as_str() {
            "--org" => org = Some(PathBuf::from(given)),
            "--port" => options.port = given.parse().map_err(|_| bad("no port"))?,
            "--now" => options.now = given.parse().map_err(|_| bad("no RFC 3339 time"))?,
            "--page" => options.page = Some(given.parse().map_err(|_| bad("no number"))?),
            "--latency" => {
                let ms = given.parse().map_err(|_| bad("no number of milliseconds"))?;
                options.latency = Duration::from_millis(ms);
            }
            "--pace" => {
                let (rate, burst) = given.split_once('/').ok_or_else(|| bad("not as 20/100"))?;
                let number = |text: &str| {
                    text.parse::<f64>().ok().filter(|number| *number > 0.0).ok_or_else(|| bad("no number above 0"))
                };
                options.pace = Some(Pace { rate: number(rate)?, burst: number(burst)? });
            }
            "--faults" => {
                let text = std::fs::read_to_string(&given).map_err(|error| bad(&error.to_string()))?;
                options.faults = parse_faults(&text).map_err(|error| bad(&error.to_string()))?;
            }
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    let path = org.ok_or(USAGE)?;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| named(&error))?;
    let org = Org::parse(&text).map_err(|error| named(&error))?;
    let emulator = Emulator::start(org, options).await.map_err(|error| error.to_string())?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", emulator.url()).and_then(|()| stdout.flush()).map_err(|error| error.to_string())?;
    std::future::pending().await
}
