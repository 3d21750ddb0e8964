//! `sweeper demo --bill` and `--bills DIR`: the bills of the demo's organisation, told at once or left to look at.

use super::clouds_here;
use crate::{
    TOOL,
    clouds::emulated::{Exported, Served},
    commands::bill::{self, Args},
    exit::{Exit, Failure},
    output::{self, Whole},
    render::inert,
};
use std::{fs, path::Path};
use sweeper_bill::source::Source;
use sweeper_core::survey_file::{self, Sealed};

/// The files of the bills of this build's clouds.
fn files(served: &Served) -> Result<impl Iterator<Item = Exported>, Failure> {
    let here = clouds_here(served)?;
    Ok(served.bills().filter(move |file| here.contains(&file.cloud)))
}

/// What `sweeper bill --explain` says of them.
pub(super) fn explain(served: &Served, sealed: &Sealed) -> Result<Exit, Failure> {
    let tables = files(served)?.filter(|file| file.is_table);
    let sources = tables.map(|file| Source::memory(file.path, file.text.into_bytes())).collect();
    bill::told(&Args::explaining(served.now()), sources, std::slice::from_ref(sealed))
}

/// Writes exports, survey and config into a directory.
pub(super) fn write(place: &Path, served: &Served, sealed: &Sealed) -> Result<Exit, Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::usage(format!("failed to write {}: {error}", path.display()));
    let mut focus: Vec<String> = Vec::new();
    for file in files(served)? {
        let path = place.join("bills").join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        fs::write(&path, file.text).map_err(|error| failed(&path, error))?;
        let export = format!("\"bills/{}\"", file.cloud.name());
        if !focus.contains(&export) {
            focus.push(export);
        }
    }
    let survey = place.join("survey.json");
    let mut out = Whole::create(&survey).map_err(|error| failed(&survey, error))?;
    survey_file::write(sealed, TOOL, &mut out).and_then(|_| out.keep()).map_err(|error| failed(&survey, error))?;
    let config = place.join("sweeper.toml");
    let text = format!(
        "# The bills of the demo's organisation, as its clouds export them. Paths are relative to this file.\n\n[bill]\nfocus = [{}]\n",
        focus.join(", ")
    );
    fs::write(&config, text).map_err(|error| failed(&config, error))?;
    let shown = place.display().to_string();
    let quoted = shlex::try_quote(&shown).unwrap_or_else(|_| shown.as_str().into());
    output::to(None, |out| {
        writeln!(out, "cd {} && sweeper bill --explain --survey survey.json", inert::line(&quoted))
    })?;
    Ok(Exit::Done)
}
