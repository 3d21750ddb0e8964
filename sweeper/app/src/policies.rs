//! The policies of a run: those named, those of the config, or the shipped pack.

use crate::{clouds, exit::Failure};
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};
use sweeper_core::policy::{Known, Level, Loaded, PolicySet, Problem, Source, load};

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// The shipped pack: file names and texts.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../policies/", $name)))),*];
    };
}

shipped! {
    "artifacts.toml",
    "bills.toml",
    "clusters.toml",
    "databases.toml",
    "disks.toml",
    "functions.toml",
    "logs.toml",
    "machines.toml",
    "network.toml",
    "ownership.toml",
    "plans.toml",
    "snapshots-and-images.toml",
}

/// The texts of the shipped pack.
pub fn shipped() -> Vec<Source> {
    SHIPPED.iter().map(|(name, text)| Source { path: format!("shipped:{name}"), text: (*text).to_owned() }).collect()
}

/// The texts of a file, or of every `*.toml` of a directory in the order of their names; the shipped pack
/// when nothing is named.
pub fn sources(path: Option<&Path>) -> Result<Vec<Source>, Failure> {
    let Some(path) = path else { return Ok(shipped()) };
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::usage(format!("failed to read policies from {}: {error}", path.display()))
    };
    let files = if path.is_dir() {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| failed(path, &error))? {
            let file: PathBuf = entry.map_err(|error| failed(path, &error))?.path();
            if file.extension().is_some_and(|extension| extension == "toml") && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        files
    } else {
        vec![path.to_owned()]
    };
    if files.is_empty() {
        return Err(Failure::usage(format!("there are no policies in {}", path.display()))
            .help("policies are `*.toml` files; without --policies the shipped ones are used"));
    }
    files
        .into_iter()
        .map(|file| {
            let text = read(&file).map_err(|error| failed(&file, &error))?;
            Ok(Source { path: file.display().to_string(), text })
        })
        .collect()
}

/// A policy file larger than this is something else, or never ends.
const LARGEST: u64 = 4 << 20;

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(text)
}

/// Checked policies to run with, of which there is at least one: nothing to look for is not nothing found.
pub fn to_run(sources: &[Source]) -> Result<(PolicySet, Vec<String>), Failure> {
    let (set, warnings) = checked(sources)?;
    if set.policies.is_empty() && set.watches.is_empty() {
        let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
        return Err(Failure::usage(format!("there is no policy in {}", paths.join(", ")))
            .help("add a `[[policy]]`; without --policies the shipped ones are used"));
    }
    Ok((set, warnings))
}

/// Checked policies, and the warnings there are about them.
pub fn checked(sources: &[Source]) -> Result<(PolicySet, Vec<String>), Failure> {
    let specs = clouds::specs();
    let Loaded { set, problems } = load(sources, &Known { kinds: &specs });
    let rendered = |level: Level| -> Vec<String> {
        problems.iter().filter(|problem| problem.level == level).map(Problem::render).collect()
    };
    if let Some(set) = set {
        Ok((set, rendered(Level::Warning)))
    } else {
        let errors = rendered(Level::Error).len();
        let noun = if errors == 1 { "error" } else { "errors" };
        Err(Failure::usage(format!("the policies have {errors} {noun}"))
            .problems(problems.iter().map(Problem::render).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_pack_is_the_directory() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn no_policies_are_no_all_clear() {
        let source = |text: &str| vec![Source { path: "own.toml".to_owned(), text: text.to_owned() }];
        let failure = to_run(&source("")).err().unwrap();
        assert_eq!(failure.message, "there is no policy in own.toml");
        assert!(to_run(&shipped()).is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_not_read_to_it() {
        let failure = sources(Some(Path::new("/dev/zero"))).err().unwrap();
        assert!(failure.message.ends_with("it is larger than 4 MiB"), "{}", failure.message);
    }

    #[test]
    fn the_shipped_pack_is_sound() {
        if let Err(failure) = checked(&shipped()) {
            panic!("{}", failure.problems.concat());
        }
    }
}
