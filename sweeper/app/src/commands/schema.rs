//! `sweeper schema`: what machines read, described.

use crate::{
    exit::{Exit, Failure},
    measures, output,
};
use sweeper_core::audit;

/// What is described.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Of {
    /// A line of the audit log, and its signed heads
    Audit,
    /// What runs and daemons measure, as a page of Markdown
    Measures,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    of: Of,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    output::to(None, |out| match args.of {
        Of::Audit => {
            serde_json::to_writer_pretty(&mut *out, &audit::schema())?;
            writeln!(out)
        }
        Of::Measures => out.write_all(measures::document().as_bytes()),
    })?;
    Ok(Exit::Done)
}
