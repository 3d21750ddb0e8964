//! `sweeper bill partial`: sums some files of a bill, for `sweeper bill merge`.

use super::{Breakdown, Window, files, merge, threads, today};
use crate::{
    exit::{Exit, Failure},
    output,
};
use std::path::PathBuf;
use sweeper_bill::{export::Export, movement::Question, piece::Piece};
use sweeper_core::model::Timestamp;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// FOCUS exports: Parquet, CSV or gzip CSV files, or directories; of a file no other partial may be
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where the partial is written, whole or not at all
    #[arg(long, short, value_name = "PARTIAL")]
    pub output: PathBuf,
    /// What the comparison will be broken down by; `owner` takes them from the surveys of `merge`
    #[arg(long, value_enum, default_value_t = Breakdown::Service)]
    pub by: Breakdown,
    /// The last week against the four before, or the last whole month against the one before
    #[arg(long, value_enum, default_value_t = Window::Week)]
    pub window: Window,
    /// Days until a day's charges are complete: 2 for AWS and Azure, 3 for Google Cloud
    #[arg(long, value_name = "DAYS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=14))]
    pub lag: u32,
    /// Compare as if it were this time (RFC 3339); give all tasks the same, so that midnight does not part them
    #[arg(long, value_name = "RFC3339", value_parser = crate::commands::instant)]
    pub now: Option<Timestamp>,
    /// The second round, for `merge --explain`: what moved in these files between the days that the partials of all
    /// files, or these merged by `merge --format partial`, compare
    #[arg(long, value_name = "PARTIAL", num_args = 1.., conflicts_with_all = ["by", "window", "lag", "now"])]
    pub explain: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let unwritten = |error: std::io::Error| {
        Failure::usage(format!("failed to write the partial {}: {error}", args.output.display()))
    };
    output::writable(Some(&args.output)).map_err(unwritten)?;
    let sources = files::exports(&args.files)?.iter().flat_map(Export::sources).collect();
    let failed = |error: sweeper_bill::piece::PieceError| Failure::usage(format!("failed to sum the bill: {error}"));
    let piece = if args.explain.is_empty() {
        let question =
            Question { today: today(args.now)?, lag_days: args.lag, by: args.by.into(), compared: args.window.into() };
        Piece::of_days(sources, question, threads()).map_err(failed)?
    } else {
        let first = merge::read(&args.explain)?;
        let piece = Piece::of_reasons(sources, &first, threads()).map_err(failed)?;
        piece.ok_or_else(|| {
            Failure::usage("nothing to explain: the bill has too few whole days")
                .help("`sweeper bill merge` shows which days it has")
        })?
    };
    output::to(Some(&args.output), |out| piece.write(out)).map_err(unwritten)?;
    Ok(Exit::Done)
}
