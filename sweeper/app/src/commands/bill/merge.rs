//! `sweeper bill merge`: the comparison of a bill whose files were summed apart.

use super::{Form, Known, Told, amount, comparison, events, owners_by, planned, surveys};
use crate::{
    exit::{Exit, Failure},
    output,
};
use std::{fs::File, io::BufReader, path::PathBuf};
use sweeper_bill::{
    evidence::Evidence,
    piece::{Piece, PieceError, Pieces},
    watch::short,
};
use sweeper_core::money::Amount;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Partials of the first round, and with --explain of the second, in any order. They say what is compared
    #[arg(value_name = "PARTIAL", required = true)]
    pub partials: Vec<PathBuf>,
    /// How many files they must be of together: a task that did not run is not noticed otherwise
    #[arg(long, value_name = "COUNT")]
    pub files: Option<usize>,
    /// Say why, from partials of `partial --explain` of all files
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub known: Known,
    /// Nothing below so much a day is an alert, in the bill's currency
    #[arg(long, value_name = "AMOUNT", default_value = "25", value_parser = amount)]
    pub floor: Amount,
    /// `partial` is all partials of the first round as one, to be merged or explained further
    #[arg(long, value_enum, default_value_t = MergedForm::Table)]
    pub format: MergedForm,
    /// Write to a file, which is there whole or not at all
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// [`Form`], or what is still a partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MergedForm {
    Table,
    Json,
    Csv,
    Partial,
}

/// Reads partials and merges them.
pub fn read(paths: &[PathBuf]) -> Result<Pieces, Failure> {
    let mut pieces = Pieces::default();
    for path in paths {
        let name = path.display().to_string();
        let read = File::open(path).map_err(|source| PieceError::File { file: name.clone(), source });
        let piece = read.and_then(|file| Piece::read(&name, BufReader::with_capacity(1 << 18, file)));
        piece.and_then(|piece| pieces.add(&name, piece)).map_err(|error| failed(&error))?;
    }
    Ok(pieces)
}

fn failed(error: &PieceError) -> Failure {
    let failure = Failure::usage(format!("failed to merge the partials: {error}"));
    match error {
        PieceError::Unexplained(_) | PieceError::OtherDays(_) | PieceError::Unknown(_) => failure.help(
            "once the partials of all files are there, `sweeper bill partial FILE --explain PARTIAL… -o …` for each file",
        ),
        _ => failure,
    }
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let pieces = read(&args.partials)?;
    let days = pieces.days().map_err(|error| failed(&error))?;
    if let Some(files) = args.files.filter(|files| *files != days.files()) {
        return Err(Failure::usage(format!("the partials are of {} files, not {files}", days.files()))
            .help("a task failed, or has not ended yet"));
    }
    let form = match args.format {
        MergedForm::Table => Form::Table,
        MergedForm::Json => Form::Json,
        MergedForm::Csv => Form::Csv,
        MergedForm::Partial => {
            output::to(args.output.as_deref(), |out| days.write(out))
                .map_err(|error| Failure::usage(format!("failed to write the partial: {error}")))?;
            return Ok(Exit::Done);
        }
    };
    let question = days.question();
    let surveys = surveys(&args.known.survey)?;
    let surveys: Vec<_> = surveys.iter().collect();
    let owners = owners_by(question.by, &surveys)?;
    let name = |_: &str, id: &str| owners.get(&short(id)).cloned();
    let bill = pieces.bill(&name).map_err(|error| failed(&error))?;
    let report = comparison(question.compared, &bill, &question.terms(args.floor));
    let story = if args.explain {
        let planned = planned(args.known.planned.as_deref())?;
        let evidence = Evidence { events: events(&surveys), planned, ..Evidence::default() };
        pieces.story(&bill, args.floor, evidence).map_err(|error| failed(&error))?
    } else {
        None
    };
    let told = Told { report: &report, bill: &bill, story: story.as_ref(), explain: args.explain };
    told.write(form, args.output.as_deref())
}
