//! `sweeper in-use`: what is used in Kubernetes, in Nomad or by a CMDB, as a file for `[[referrers]]`.
//!
//! Run where that is known, by whoever may read it: only ids and digests leave.

use crate::{
    exit::{Exit, Failure},
    kubernetes::{
        self, Uses,
        api::{Api, SERVICE_ACCOUNT, Unlisted},
    },
    log, output,
    render::summary::counted,
    states::Flaw,
};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    in_use::{InUseFile, KUBERNETES, LARGEST as LARGEST_FILE, LONGEST_NAME},
    inert::is_hostile,
};
use sweeper_store::{Bucket, Upload};

/// Bytes of the largest list that is read.
const LARGEST: u64 = 1 << 30;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Lists, or `-` for the standard input: what `kubectl get pods,persistentvolumes -A -o json` writes, or ids, ARNs and
    /// digests, one a line
    #[arg(value_name = "LIST", required_unless_present = "cluster")]
    pub lists: Vec<String>,
    /// Ask the API of the cluster that this runs in, as its pod's service account
    #[arg(long)]
    pub cluster: bool,
    /// Whose things use them: the cluster's name, ARN, ARM id or self link; a region of Nomad, a CMDB
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What the lists have everything of: `kubernetes`, or a referrer out of sight in the words of `explain` [default:
    /// `kubernetes`, where pods are in them]
    #[arg(long, value_name = "WHAT")]
    pub covers: Vec<String>,
    /// Write to a file, or to s3://BUCKET/KEY, gs://BUCKET/KEY or az://ACCOUNT/CONTAINER/KEY; it is there whole or not at
    /// all
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    pub out: Option<String>,
    /// Write what could be read, and that it is incomplete: of such a file only what it names counts
    #[arg(long)]
    pub keep_going: bool,
    /// Where the API is [default: where Kubernetes tells its pods]
    #[arg(long, value_name = "URL", requires = "cluster")]
    pub api: Option<String>,
    /// The directory with the pod's token and the cluster's certificate
    #[arg(long, value_name = "DIR", requires = "cluster", default_value = SERVICE_ACCOUNT)]
    pub service_account: PathBuf,
    /// Seconds that one request to the API may take
    #[arg(long, value_name = "SECONDS", requires = "cluster", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    check(&args)?;
    let mut uses = Uses::default();
    let mut problems = Vec::new();
    let mut denied = true;
    if args.cluster {
        let timeout = Duration::from_secs(args.timeout);
        let api = Api::here(args.api.as_deref(), &args.service_account, timeout)?;
        for unlisted in api.uses(&mut uses).await {
            denied &= matches!(unlisted, Unlisted::Denied(_));
            problems.push(unlisted.why().to_owned());
        }
    }
    let api_failed = !problems.is_empty();
    for list in &args.lists {
        let was_cut = std::mem::take(&mut uses.cut);
        let outcome = read(list).and_then(|bytes| take(&bytes, &mut uses));
        if let Err(flaw) = &outcome {
            problems.push(problem(list, flaw));
        } else if uses.cut {
            problems
                .push(format!("{}: it was cut off: it says that there is more; help: ask without a limit", said(list)));
        }
        uses.cut |= was_cut;
    }
    let bad = counted(problems.len() as u64, "list");
    if !problems.is_empty() && !args.keep_going {
        let exit = if api_failed && !denied { Exit::Blind } else { Exit::Usage };
        let help = if api_failed && denied {
            "grant its service account get and list, as the ClusterRole of sweeper/deploy/kubernetes/in-use.yaml does"
        } else {
            "mend them, or let --keep-going write a file that says it is incomplete"
        };
        return Err(Failure::new(exit, format!("{bad} cannot be read to the end, so no file was written"))
            .problems(problems)
            .help(help));
    }
    for problem in &problems {
        log::warn(problem);
    }
    written(&args, uses, &problems, &bad)
}

fn written(args: &Args, uses: Uses, problems: &[String], bad: &str) -> Result<Exit, Failure> {
    let mut covers: BTreeSet<String> = args.covers.iter().cloned().collect();
    if covers.is_empty() && uses.kinds.contains("Pod") {
        covers.insert(KUBERNETES.to_owned());
    }
    if !args.cluster && uses.kinds.contains("Pod") && !uses.kinds.contains("PersistentVolume") {
        log::warn(
            "there is no PersistentVolume in the lists: `kubectl get pods,persistentvolumes -A -o json` has them",
        );
    }
    let complete = problems.is_empty();
    let items: Vec<String> = uses.items.into_iter().collect();
    let file = InUseFile::new(SystemClock::default().wall(), args.name.clone(), covers, complete, items);
    let mut bytes = Vec::new();
    file.write(&mut bytes).map_err(|error| unwritten(args, &error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Failure::usage(format!("the file would be larger than {} MiB", LARGEST_FILE >> 20))
            .help("make several, each with some of the lists"));
    }
    put(args.out.as_deref(), &bytes).map_err(|error| unwritten(args, &error))?;
    let (items, foreign) = (file.items().len() as u64, counted(uses.foreign, "volume"));
    log::say(&format!("{} in use; left out: {foreign} of no cloud", counted(items, "id")));
    if complete {
        return Ok(Exit::Done);
    }
    log::warn(&format!("{bad} cannot be read to the end: the file is incomplete, and only what it names counts"));
    Ok(Exit::Blind)
}

/// What is wrong with the arguments, before anything is read.
fn check(args: &Args) -> Result<(), Failure> {
    if args.lists.iter().filter(|list| *list == "-").count() > 1 {
        return Err(Failure::usage("the standard input can be read only once"));
    }
    for (flag, text) in std::iter::once(("--name", &args.name)).chain(args.covers.iter().map(|what| ("--covers", what)))
    {
        if text.is_empty() || text.len() > LONGEST_NAME || text.contains(is_hostile) {
            return Err(Failure::usage(format!("{flag} is empty, too long, or has signs that no name has")));
        }
    }
    let Some(out) = &args.out else { return Ok(()) };
    if Bucket::is_one(out) {
        return match Bucket::parse(out) {
            Ok(bucket) if bucket.is_object() => Ok(()),
            Ok(_) => Err(Failure::usage(format!("{out} names no object"))),
            Err(why) => Err(Failure::usage(format!("--out: {why}"))),
        };
    }
    output::writable(Some(Path::new(out))).map_err(|error| unwritten(args, &error))
}

fn put(out: Option<&str>, bytes: &[u8]) -> io::Result<()> {
    match out {
        Some(url) if Bucket::is_one(url) => tokio::task::block_in_place(|| {
            let mut upload = Upload::named(url).map_err(io::Error::other)?;
            upload.write_all(bytes)?;
            upload.finish().map_err(io::Error::other)
        }),
        path => output::to(path.map(Path::new), |out| out.write_all(bytes)),
    }
}

fn unwritten(args: &Args, error: &io::Error) -> Failure {
    let place = args.out.as_deref().unwrap_or("the file");
    Failure::usage(format!("failed to write {place}: {error}"))
}

/// Reads a list of either form.
fn take(bytes: &[u8], uses: &mut Uses) -> Result<(), Flaw> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        // A CMDB that lists nothing is one that failed.
        None => Err(Flaw { at: None, what: "it is empty", help: Some("a list with nothing in it tells nothing") }),
        Some(b'{') => kubernetes::read(bytes, None, uses).map(drop),
        Some(_) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Flaw {
                at: None,
                what: "it is not UTF-8",
                help: Some("write an id, ARN or digest a line"),
            })?;
            kubernetes::lines(text, &mut uses.items)
        }
    }
}

/// `pods.json:3:7: it is not JSON; help: …`.
fn problem(list: &str, Flaw { at, what, help }: &Flaw) -> String {
    let place = at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
    let help = help.map_or_else(String::new, |help| format!("; help: {help}"));
    format!("{}{place}: {what}{help}", said(list))
}

fn said(list: &str) -> &str {
    if list == "-" { "the standard input" } else { list }
}

fn read(list: &str) -> Result<Vec<u8>, Flaw> {
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
    let input: Box<dyn Read> = if list == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(list).map_err(|error| failed(&error))?)
    };
    let mut bytes = Vec::new();
    input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Flaw { at: None, what: "it is larger than a GiB", help: None });
    }
    Ok(bytes)
}
