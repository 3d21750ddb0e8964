//! `sweeper init`: a config and policies to start from. Never overwrites anything.

use crate::{
    config,
    exit::{Exit, Failure},
    output, policies,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

const STARTER: &str = include_str!("starter.toml");

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to write
    #[arg(default_value = ".")]
    pub directory: PathBuf,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let failed = |path: &Path, error: io::Error| Failure::usage(format!("failed to write {}: {error}", path.display()));
    let rules = args.directory.join("policies");
    fs::create_dir_all(&rules).map_err(|error| failed(&rules, error))?;
    let mut files = vec![(args.directory.join(config::NAME), STARTER)];
    files.extend(policies::SHIPPED.iter().map(|(name, text)| (rules.join(name), *text)));
    let mut said = Vec::new();
    for (path, text) in files {
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Ok(()) => said.push(format!("wrote {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                said.push(format!("kept {}, which is there already", path.display()));
            }
            Err(error) => return Err(failed(&path, error)),
        }
    }
    output::to(None, |out| {
        for line in &said {
            writeln!(out, "{}", crate::render::inert::line(line))?;
        }
        writeln!(out, "next: `sweeper policy check`, then `sweeper report`")
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_a_sound_config() {
        let parsed = config::Config::parse("sweeper.toml", STARTER, Path::new(""));
        assert!(parsed.is_ok(), "{:?}", parsed.err());
        // What it shows in comments is sound too, all of it at once.
        let shown: String =
            STARTER.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let parsed = config::Config::parse("sweeper.toml", &shown, Path::new(""));
        assert!(parsed.is_ok(), "{}", parsed.err().map(|failure| failure.problems.concat()).unwrap_or_default());
    }
}
