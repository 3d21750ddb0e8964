//! Which shard of how many this process is, by its arguments or by what the engine that started it says, and where the
//! shards of a run meet.

use crate::{exit::Failure, state};
use std::{path::Path, sync::Arc};
use sweeper_core::shard::{InStore, Shelf};
use sweeper_store::{Bucket, Directory};

/// What a process does of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One shard.
    One { shard: u32, shards: u32 },
    /// Whatever shard is free, until none is.
    Claim { shards: u32 },
}

impl Which {
    pub const fn shards(self) -> u32 {
        match self {
            Self::One { shards, .. } | Self::Claim { shards } => shards,
        }
    }
}

/// More shards than any engine starts (Cloud Run, AWS Batch and Step Functions: 10,000).
const MOST: u32 = 10_000;
/// How many there are, where the engine does not say.
const SHARDS: &str = "SWEEPER_SHARDS";
/// An engine's variable of the shard's number, and those of how many there are.
const ENGINES: &[(&str, &[&str])] = &[
    ("CLOUD_RUN_TASK_INDEX", &["CLOUD_RUN_TASK_COUNT"]),
    ("JOB_COMPLETION_INDEX", &[SHARDS]),
    ("AWS_BATCH_JOB_ARRAY_INDEX", &[SHARDS, "AWS_BATCH_JOB_ARRAY_SIZE"]),
];
/// Azure Container Apps start many replicas of a job and number none.
const UNNUMBERED: &str = "CONTAINER_APP_JOB_EXECUTION_NAME";

/// What gives a run its name, where nobody does. An array job of AWS Batch is `<id>:<index>` in each of its children.
const RUNS: &[&str] = &["SWEEPER_RUN", "CLOUD_RUN_EXECUTION", UNNUMBERED, "AWS_BATCH_JOB_ID"];

fn number(name: &str, text: &str) -> Result<u32, Failure> {
    text.trim().parse().map_err(|_| Failure::usage(format!("{name} is `{text}`, which is no number")))
}

fn checked(shard: u32, shards: u32) -> Result<Which, Failure> {
    if shards > MOST {
        return Err(Failure::usage(format!("{shards} shards are too many: up to {MOST}")));
    }
    if shard >= shards {
        let said = format!("there is no shard {shard} of {shards}");
        return Err(Failure::usage(said).help("shards are numbered from 0"));
    }
    Ok(Which::One { shard, shards })
}

/// Which shard this is: as given (`I/N`, `claim/N`), or else by the environment. Not knowing it is an error: else every
/// process would list the same shard.
pub fn which(given: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Which, Failure> {
    if let Some(given) = given {
        let wrong = || Failure::usage(format!("`{given}` is no shard")).help("as `3/8`, counted from 0, or `claim/8`");
        let (shard, shards) = given.split_once('/').ok_or_else(wrong)?;
        let shards: u32 = shards.parse().map_err(|_| wrong())?;
        return match shard {
            "claim" => checked(0, shards).map(|_| Which::Claim { shards }),
            shard => checked(shard.parse().map_err(|_| wrong())?, shards),
        };
    }
    for (index, counts) in ENGINES {
        let Some(shard) = variable(index) else { continue };
        let Some((name, shards)) = counts.iter().find_map(|name| Some((*name, variable(name)?))) else {
            let said = format!("{index} is set, but not how many shards there are");
            return Err(Failure::usage(said).help(format!("set {}", counts.join(" or "))));
        };
        return checked(number(index, &shard)?, number(name, &shards)?);
    }
    let shards = variable(SHARDS).map(|shards| number(SHARDS, &shards)).transpose()?;
    match shards {
        Some(shards) if variable(UNNUMBERED).is_some() => checked(0, shards).map(|_| Which::Claim { shards }),
        Some(1) => checked(0, 1),
        Some(shards) => Err(Failure::usage(format!("there are {shards} shards, and nothing says which this is"))
            .help(format!("--shard I/{shards}, or `--shard claim/{shards}` where nobody numbers them"))),
        None => Err(Failure::usage("nothing says which shard this is")
            .help("--shard I/N, or an engine's environment (Cloud Run, Kubernetes Indexed Jobs, AWS Batch arrays)")),
    }
}

/// The name of a run: as given, or that of the engine's execution.
pub fn run_id(given: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, Failure> {
    let named = RUNS.iter().find_map(|name| variable(name).filter(|name| !name.is_empty()));
    let id = given.map(ToOwned::to_owned).or_else(|| named.map(|name| name.split(':').next().unwrap_or("").to_owned()));
    match id {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(Failure::usage("the run has no name").help("--run ID: one that all its processes are given")),
    }
}

/// Where the shards of a run meet: a bucket, or a directory that all of them see.
pub fn shelf(place: &str) -> Result<Arc<dyn Shelf>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("shards cannot meet at {place}: {error}"));
    if Bucket::is_one(place) {
        let bucket = Bucket::parse(place).map_err(|error| failed(&error))?;
        let store = state::open(&state::Place::Bucket(bucket)).map_err(|error| failed(&error))?;
        return Ok(Arc::new(InStore(store)));
    }
    if let Some((scheme, _)) = place.split_once("://") {
        let known = "a directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://ACCOUNT/CONTAINER/PREFIX";
        return Err(failed(&format!("no shards meet in `{scheme}://`")).help(known));
    }
    Ok(Arc::new(Directory::open(Path::new(place)).map_err(|error| failed(&error))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(given: Option<&str>, pairs: &[(&str, &str)]) -> Result<Which, String> {
        let variable = |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        which(given, &variable).map_err(|failure| {
            assert_eq!(failure.exit, crate::exit::Exit::Usage);
            failure.message
        })
    }

    #[test]
    fn each_engine_says_which_shard_this_is() {
        let one = |shard, shards| Ok(Which::One { shard, shards });
        assert_eq!(asked(Some("3/8"), &[("CLOUD_RUN_TASK_INDEX", "1"), ("CLOUD_RUN_TASK_COUNT", "2")]), one(3, 8));
        assert_eq!(asked(Some("claim/8"), &[]), Ok(Which::Claim { shards: 8 }));
        assert_eq!(asked(None, &[("CLOUD_RUN_TASK_INDEX", "7"), ("CLOUD_RUN_TASK_COUNT", "8")]), one(7, 8));
        assert_eq!(asked(None, &[("JOB_COMPLETION_INDEX", "0"), ("SWEEPER_SHARDS", "8")]), one(0, 8));
        assert_eq!(asked(None, &[("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("SWEEPER_SHARDS", "8")]), one(2, 8));
        assert_eq!(asked(None, &[("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "9")]), one(2, 9));
        let replica = [("CONTAINER_APP_JOB_EXECUTION_NAME", "x"), ("SWEEPER_SHARDS", "8")];
        assert_eq!(asked(None, &replica), Ok(Which::Claim { shards: 8 }));
        assert_eq!(asked(None, &[("SWEEPER_SHARDS", "1")]), one(0, 1));
    }

    #[test]
    fn not_knowing_the_shard_is_an_error_and_never_shard_0() {
        for (given, pairs, says) in [
            (None, &[][..], "nothing says which shard"),
            (None, &[("SWEEPER_SHARDS", "8")], "there are 8 shards, and nothing says which this is"),
            (None, &[("JOB_COMPLETION_INDEX", "0")], "JOB_COMPLETION_INDEX is set, but not how many"),
            (None, &[("CLOUD_RUN_TASK_INDEX", "0"), ("SWEEPER_SHARDS", "8")], "CLOUD_RUN_TASK_INDEX is set"),
            (None, &[("AWS_BATCH_JOB_ARRAY_INDEX", "0")], "AWS_BATCH_JOB_ARRAY_INDEX is set"),
            (None, &[("JOB_COMPLETION_INDEX", ""), ("SWEEPER_SHARDS", "8")], "is no number"),
            (None, &[("JOB_COMPLETION_INDEX", "-1"), ("SWEEPER_SHARDS", "8")], "is no number"),
            (None, &[("JOB_COMPLETION_INDEX", "8"), ("SWEEPER_SHARDS", "8")], "there is no shard 8 of 8"),
            (None, &[("JOB_COMPLETION_INDEX", "0"), ("SWEEPER_SHARDS", "0")], "there is no shard 0 of 0"),
            (Some("8/8"), &[], "there is no shard 8 of 8"),
            (Some("1"), &[], "`1` is no shard"),
            (Some("1/x"), &[], "`1/x` is no shard"),
            (Some("claim/0"), &[], "there is no shard 0 of 0"),
            (Some("0/10001"), &[], "too many"),
        ] {
            let said = asked(given, pairs).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_run_is_named_by_its_engine() {
        let named = |given: Option<&str>, pairs: &[(&str, &str)]| {
            let variable =
                |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
            run_id(given, &variable).ok()
        };
        assert_eq!(named(Some("x"), &[("SWEEPER_RUN", "y")]).as_deref(), Some("x"));
        assert_eq!(named(None, &[("CLOUD_RUN_EXECUTION", "sweep-abc")]).as_deref(), Some("sweep-abc"));
        assert_eq!(named(None, &[("AWS_BATCH_JOB_ID", "1234-5:3")]).as_deref(), Some("1234-5"));
        assert_eq!(named(None, &[]), None);
        assert_eq!(named(Some(""), &[]), None);
    }
}
