//! `sweeper iac-index`: what Terraform, OpenTofu, Pulumi and CloudFormation manage, as an index for `[iac]`.
//!
//! Run where the state is, by whoever may read it: only ids and addresses leave.

use crate::{
    exit::{Exit, Failure},
    log, output,
    render::summary::counted,
    states::{self, Flaw, Managed},
};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    iac::IacIndex,
};

/// Bytes of the largest state that is read.
const LARGEST: u64 = 1 << 30;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// State files, or `-` for the standard input: state of Terraform or OpenTofu, `show -json`, `pulumi stack export`,
    /// `aws cloudformation list-stack-resources`. `NAME=FILE` gives the state a name [default: of its path]
    #[arg(value_name = "STATE", required = true)]
    pub states: Vec<String>,
    /// Write to a file, which is there whole or not at all
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write what could be read, and that it is incomplete: such an index holds everything that it does not have
    #[arg(long)]
    pub keep_going: bool,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    if args.states.iter().filter(|state| named(state).1 == "-").count() > 1 {
        return Err(Failure::usage("the standard input can be read only once"));
    }
    output::writable(args.out.as_deref()).map_err(|error| unwritten(args, &error))?;
    let mut all = Managed::default();
    let mut problems = Vec::new();
    for state in &args.states {
        let (name, path) = named(state);
        match read(path).and_then(|bytes| states::managed(&bytes, name.as_deref())) {
            Ok(managed) => {
                all.entries.extend(managed.entries);
                all.nameless += managed.nameless;
                all.elsewhere += managed.elsewhere;
                all.nested.extend(managed.nested);
            }
            Err(flaw) => problems.push(problem(path, &flaw)),
        }
    }
    let bad = counted(problems.len() as u64, "state");
    if !problems.is_empty() && !args.keep_going {
        return Err(Failure::usage(format!("{bad} cannot be read, so no index was written"))
            .problems(problems)
            .help("mend them, or let --keep-going write an index that says it is incomplete"));
    }
    for problem in &problems {
        log::warn(problem);
    }
    for stack in &all.nested {
        log::warn(&format!("the nested stack {stack} has resources of its own: list it as well"));
    }
    let incomplete = !problems.is_empty();
    let index = IacIndex::new(SystemClock::default().wall(), crate::TOOL.to_owned(), incomplete, all.entries);
    output::to(args.out.as_deref(), |out| index.write(out)).map_err(|error| unwritten(args, &error))?;
    log::say(&format!(
        "{} in the index; left out: {} whose id no inventory has, {} of other providers",
        counted(index.entries().len() as u64, "id"),
        counted(all.nameless, "resource"),
        all.elsewhere
    ));
    if incomplete {
        log::warn(&format!(
            "{bad} cannot be read: the index is incomplete, and holds everything that it does not have"
        ));
        return Ok(Exit::Blind);
    }
    Ok(Exit::Done)
}

fn unwritten(args: &Args, error: &io::Error) -> Failure {
    let place = args.out.as_ref().map_or_else(|| "the index".to_owned(), |path| path.display().to_string());
    Failure::usage(format!("failed to write {place}: {error}"))
}

/// `prod.tfstate:3:7: it is not JSON; help: …`.
fn problem(path: &str, Flaw { at, what, help }: &Flaw) -> String {
    let place = at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
    let path = if path == "-" { "the standard input" } else { path };
    let help = help.map_or_else(String::new, |help| format!("; help: {help}"));
    format!("{path}{place}: {what}{help}")
}

fn read(path: &str) -> Result<Vec<u8>, Flaw> {
    let failed = |error: &io::Error| Flaw {
        at: None,
        what: match error.kind() {
            io::ErrorKind::NotFound => "it is not there",
            io::ErrorKind::PermissionDenied => "it may not be read",
            io::ErrorKind::IsADirectory => "it is a directory",
            _ => "it cannot be read",
        },
        help: None,
    };
    let input: Box<dyn Read> = if path == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|error| failed(&error))?)
    };
    let mut bytes = Vec::new();
    input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Flaw { at: None, what: "it is larger than a GiB", help: None });
    }
    Ok(bytes)
}

/// The name of a state and where it is, of an argument. Of a path without a name: its last two directories, or the name
/// of a file that is not called as all are. The standard input has none.
fn named(state: &str) -> (Option<String>, &str) {
    if let Some((name, path)) = state.split_once('=')
        && !path.is_empty()
        && !Path::new(state).exists()
    {
        return (
            Some(name).filter(|name| !name.is_empty()).map_or_else(|| of_path(path), |name| Some(name.to_owned())),
            path,
        );
    }
    (of_path(state), state)
}

fn of_path(path: &str) -> Option<String> {
    if path == "-" {
        return None;
    }
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let (file, directories) = parts.split_last()?;
    let file = [".json", ".tfstate"].iter().fold(*file, |file, end| file.strip_suffix(end).unwrap_or(file));
    // Workspaces of the local backend have directories of their own below this one.
    let directories: Vec<&str> =
        directories.iter().copied().filter(|part| !matches!(*part, "terraform.tfstate.d" | ".terraform")).collect();
    let common = matches!(file, "terraform" | "tofu" | "state" | "default" | "");
    let mut name: Vec<&str> = directories[directories.len().saturating_sub(2)..].to_vec();
    if !common || name.is_empty() {
        name.push(file);
    }
    Some(name.join("/")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_called_by_where_it_is() {
        for (state, name, path) in [
            ("prod/network/terraform.tfstate", Some("prod/network"), "prod/network/terraform.tfstate"),
            (
                "/home/ci/prod/network/terraform.tfstate",
                Some("prod/network"),
                "/home/ci/prod/network/terraform.tfstate",
            ),
            ("./net/terraform.tfstate.d/prod/terraform.tfstate", Some("net/prod"), ""),
            ("network.tfstate", Some("network"), "network.tfstate"),
            ("prod/network.tfstate.json", Some("prod/network"), "prod/network.tfstate.json"),
            ("terraform.tfstate", Some("terraform"), "terraform.tfstate"),
            ("prod/network=x.tfstate", Some("prod/network"), "x.tfstate"),
            ("prod/network=-", Some("prod/network"), "-"),
            ("=a/b.tfstate", Some("a/b"), "a/b.tfstate"),
            ("-", None, "-"),
        ] {
            let found = named(state);
            assert_eq!(found.0.as_deref(), name, "{state}");
            assert!(path.is_empty() || found.1 == path, "{state}: {}", found.1);
        }
    }
}
