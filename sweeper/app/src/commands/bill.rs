//! `sweeper bill`: what the last week cost against what the weeks before let one expect.

use crate::{
    exit::{Exit, Failure},
    log, output,
    render::{inert, summary::grouped},
};
use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};
use sweeper_bill::{
    delta::{DeltaReport, Terms, compare},
    focus::Bill,
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    inert::InertJson,
    model::Timestamp,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// FOCUS exports (CSV, plain or gzip); files of one bill must not overlap
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub focus: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Compare as if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = super::instant)]
    pub now: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    Table,
    Json,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut bill = Bill::default();
    for path in &args.focus {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|error| Failure::usage(format!("failed to read the bill {name}: {error}")))?;
        bill = bill.read(&name, file).map_err(|error| Failure::usage(format!("failed to read the bill: {error}")))?;
    }
    let now = args.now.unwrap_or_else(|| SystemClock::default().wall());
    let today = now.date().parse().map_err(|_| Failure::usage(format!("`{now}` is not a day that a bill can have")))?;
    let report = compare(&bill, &Terms::new(today));
    if report.excluded.rows > 0 {
        log::warn(&format!("{} rows of the bill were left out", grouped(report.excluded.rows)));
        for flaw in report.excluded.first.iter().take(5) {
            log::warn(&flaw.to_string());
        }
    }
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Json => json(&report, out),
        Form::Table => table(&report, out),
    })
    .map_err(|error| Failure::usage(format!("failed to write the comparison: {error}")))?;
    Ok(Exit::Done)
}

fn json(report: &DeltaReport, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, InertJson);
    serde::Serialize::serialize(report, &mut serializer)?;
    writeln!(out)
}

fn table(report: &DeltaReport, out: &mut dyn Write) -> io::Result<()> {
    let currency = report.currency.as_deref().unwrap_or("");
    let outcome = serde_json::to_value(report.outcome).ok();
    let outcome = outcome.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    let days = report
        .window
        .map_or_else(|| "no days to compare".to_owned(), |window| format!("{} to {}", window.first, window.last));
    writeln!(out, "{outcome}: {days}, {}", inert::line(currency))?;
    let Some(total) = &report.total else { return Ok(()) };
    let mut builder = tabled::builder::Builder::default();
    builder.push_record(["SERVICE", "EXPECTED", "ACTUAL", "DELTA", "BILLED"]);
    for service in &report.by_service {
        builder.push_record([
            inert::cut(&service.service, 48),
            service.expected.cents(),
            service.actual.cents(),
            service.delta.cents(),
            service.billed.cents(),
        ]);
    }
    builder.push_record([
        "total".to_owned(),
        total.expected.cents(),
        total.actual.cents(),
        total.delta.cents(),
        total.billed.cents(),
    ]);
    let mut table = builder.build();
    table
        .with(tabled::settings::Style::empty())
        .with(tabled::settings::Padding::new(0, 2, 0, 0))
        .modify(tabled::settings::object::Columns::new(1..), tabled::settings::Alignment::right());
    writeln!(out)?;
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "\nan alert needs a delta above {}", total.threshold.cents())?;
    for day in &report.thin_days {
        let left_out = if day.left_out { "; left out" } else { "" };
        writeln!(
            out,
            "thin day {}: {} rows, usually {}{left_out}",
            day.day,
            grouped(day.rows),
            grouped(day.usual_rows)
        )?;
    }
    Ok(())
}
