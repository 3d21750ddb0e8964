//! The binary from outside: arguments, exit codes, files, and what it prints. Few, since most is tested
//! below it; always in a scrubbed environment and a directory of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(all(feature = "gcp", feature = "demo"))]
mod apply;
mod bill;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp", feature = "demo"))]
mod bill_api;
mod check;
mod clouds;
#[cfg(unix)]
mod daemon;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp", feature = "demo"))]
mod demo;
mod files;
mod iac;
mod in_use;
mod job;
mod keep;
mod lease;
mod look;
#[cfg(feature = "aws")]
mod offline;
mod prices;
#[cfg(all(unix, feature = "gcp", feature = "demo"))]
mod review;
mod shards;
#[cfg(all(feature = "gcp", feature = "demo"))]
mod since;
#[cfg(all(unix, feature = "gcp", feature = "demo"))]
mod struck;

#[cfg(all(feature = "azure", feature = "gcp", feature = "demo"))]
mod served;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

/// Clouds of this build.
const BUILT: &[&str] = &[
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "azure")]
    "azure",
    #[cfg(feature = "gcp")]
    "gcp",
];

/// A directory of a test's own, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sweeper-cli-{}-{unique}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary in this directory, knowing nothing of the machine.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweeper"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", &self.0)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Names of everything here.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Ended with this code, and said all of this on standard error and nothing on standard output.
    #[track_caller]
    fn failed(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        for text in said {
            assert!(self.err.contains(text), "`{text}` is not in:\n{}", self.err);
        }
    }

    #[track_caller]
    fn ended(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        &self.out
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
