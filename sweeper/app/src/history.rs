//! What runs leave for later ones, in the state of this machine or house: see [`sweeper_core::history`].

use crate::{
    clouds, deployment, engine,
    exit::{Exit, Failure},
    log, output, state,
};
use std::{
    io::{BufReader, Read as _},
    path::Path,
};
use sweeper_core::{
    history::{
        runs::{self, Summary},
        since::{self, Then, ThenError},
    },
    policy::PolicySet,
    report::{Cause, Report},
    store::StoreError,
};

/// What of a run is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What it came to.
    Summary,
    /// Its rows as well: later reports are held against it.
    AsLast,
}

/// Remembers a run. A state that cannot be read or written is said, and ends nothing; one that is damaged is a cause
/// of the exit code.
pub fn remember(place: &state::Place, report: &Report<'_>, kept: Kept) -> Option<Cause> {
    // A look whose time is in doubt has no place among others.
    if *place == state::Place::Memory || report.parts().sealed.ledger.doubt().is_some() {
        return None;
    }
    let written = state::open(place).and_then(|store| {
        runs::remember(store.as_ref(), &Summary::of(report))?;
        match kept {
            Kept::Summary => Ok(()),
            Kept::AsLast => since::remember(store.as_ref(), report),
        }
    });
    let error = written.err()?;
    log::warn(&format!("this run is not remembered for later comparisons: {error}"));
    matches!(error, StoreError::Damaged(_)).then(|| Exit::Damaged.cause(error.to_string()))
}

/// What a report is to be held against, and what that is called: the last report of the state, or an earlier report or
/// survey in a file. `None`, and said, where there was no report yet.
pub fn then(since: &Path, place: Option<&state::Place>, set: &PolicySet) -> Result<Option<(Then, String)>, Failure> {
    if since != Path::new("last") {
        return file(since, set).map(|then| Some((then, since.display().to_string())));
    }
    let place = place.filter(|place| **place != state::Place::Memory).ok_or_else(|| {
        Failure::usage("nothing is remembered here: `--since last` needs a state that lasts")
            .help("--state PATH, or `--since FILE` with an earlier report (JSON) or survey")
    })?;
    let store = state::open(place).map_err(|error| deployment::failed(&error))?;
    let last = since::last(store.as_ref()).map_err(|error| deployment::failed(&error))?;
    if last.is_none() {
        log::warn("there is no earlier report in this state to compare with: all of this one is shown");
    }
    Ok(last.map(|then| (then, "last".to_owned())))
}

/// How the file of a survey begins; see [`sweeper_core::survey_file`].
const SURVEY: &[u8] = b"{\"format\":\"sweeper.survey/";

fn file(path: &Path, set: &PolicySet) -> Result<Then, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("failed to read {}: {error}", path.display()));
    let mut head = Vec::new();
    let open = || output::open(path).map_err(|error| failed(&error));
    open()?.take(SURVEY.len() as u64).read_to_end(&mut head).map_err(|error| failed(&error))?;
    if head == SURVEY {
        let (sealed, digest) = crate::commands::sealed(path)?;
        let outcome = engine::judge(sealed, set, None);
        return Ok(Then::of(&engine::report(&outcome, set, digest, None), usize::MAX));
    }
    Then::read(BufReader::new(open()?), &clouds::specs()).map_err(|error| {
        let failure = failed(&error);
        if matches!(error, ThenError::Newer(_)) { failure.help("use a newer release") } else { failure }
    })
}
