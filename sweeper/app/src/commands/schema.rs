//! `sweeper schema`: what machines read, described for them.

use crate::{
    exit::{Exit, Failure},
    output,
};
use sweeper_core::audit;

/// What is described.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Of {
    /// A line of the audit log, and its signed heads
    Audit,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    of: Of,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let schema = match args.of {
        Of::Audit => audit::schema(),
    };
    output::to(None, |out| {
        serde_json::to_writer_pretty(&mut *out, &schema)?;
        writeln!(out)
    })?;
    Ok(Exit::Done)
}
