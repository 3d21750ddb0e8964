//! What people and their tools see of a report. Machines read `sweeper.report/1`; everything here is
//! rendered from the same parts, and is the only place beside `main` that writes to the terminal.

pub mod bill;
pub mod check;
pub mod csv;
pub mod doctor;
pub mod explain;
pub mod html;
pub mod inert;
pub mod json;
pub mod markdown;
pub mod plan;
pub mod progress;
pub mod since;
pub mod summary;
pub mod table;
pub mod trend;

use std::{
    io::{self, Write},
    ops::Range,
};
use sweeper_core::report::Report;
use tabled::{
    builder::Builder,
    settings::{Alignment, Padding, Style, object::Columns},
};

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people, fitted to the terminal
    Table,
    /// `sweeper.report/1`
    Json,
    /// A row a finding, all columns
    Csv,
    /// For pull requests and wikis
    Markdown,
    /// One page for a browser
    Html,
}

/// What a rendering is told beside the report.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Everything, also what costs next to nothing.
    pub all: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// What people should know of the run.
    pub warnings: &'a [String],
}

/// Writes columns with a gap between them and no lines. Those of `figures` stand to the right.
pub fn columns(builder: Builder, figures: Range<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0)).modify(Columns::new(figures), Alignment::right());
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes a report in a form.
pub fn write(report: &Report<'_>, format: Format, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    // Machines read all of it, and what changed beside it.
    if let Some(changed) = &report.since
        && format != Format::Json
    {
        return since::write(report, changed, format, look, out);
    }
    match format {
        Format::Table => table::write(report, look, out),
        Format::Json => json::write(report, out),
        Format::Csv => csv::write(report, out),
        Format::Markdown => markdown::write(report, look, out),
        Format::Html => html::write(report, look, out),
    }
}
