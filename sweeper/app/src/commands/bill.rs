//! `sweeper bill`: what the last week cost against what the weeks before let one expect, and why.

pub mod api;
pub mod files;
mod merge;
mod partial;
mod savings;
mod sql;

use crate::{
    commands::sealed,
    config::{self, Config},
    exit::{Exit, Failure},
    log, output,
    render::{bill as show, summary::grouped},
};
use jiff::civil::Date;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};
use sweeper_bill::{
    cache::Files,
    delta::{DeltaReport, Terms, compare, compare_months},
    evidence::{Evidence, Happened, InventoryEvent},
    focus::Bill,
    movement::{self, By, Compared},
    planned::Planned,
    watch::short,
    waterfall::Waterfall,
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    detect::View,
    facts::FactsRef,
    inert::InertJson,
    inventory::Resource,
    model::{DAY, Timestamp},
    money::Amount,
    owner,
    survey_file::Sealed,
};

#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub apart: Option<Apart>,
    /// FOCUS exports: Parquet, CSV or gzip CSV files, the directory of an export with its manifests, or where it lies in
    /// a bucket: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://ACCOUNT/CONTAINER/PREFIX` [default: those of `[bill]`
    /// in the config]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub focus: Vec<PathBuf>,
    #[command(flatten)]
    pub cache: files::Cache,
    #[command(flatten)]
    pub api: api::ApiArgs,
    /// What the comparison is broken down by; `owner` takes them from --survey
    #[arg(long, value_enum, default_value_t = Breakdown::Service)]
    pub by: Breakdown,
    /// The last week against the four before, or the last whole month against the one before
    #[arg(long, value_enum, default_value_t = Window::Week)]
    pub window: Window,
    /// Say why: the whole way from what was expected to what was charged, with the evidence of each part
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub known: Known,
    /// Nothing below so much a day is an alert, in the bill's currency
    ///   [default: the config's, or 25]
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub floor: Option<Amount>,
    /// Days until a day's charges are complete: 2 for AWS and Azure, 3 for Google Cloud [default: the config's, or 2]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=i64::from(config::MOST_LAG)))]
    pub lag: Option<u32>,
    /// The config [default: ./sweeper.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    pub config: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Compare as if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = super::instant)]
    pub now: Option<Timestamp>,
    #[command(flatten)]
    pub sql: sql::Query,
}

/// What is known beside the bill.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Known {
    /// Surveys: what was made and went is evidence, and they say whose a resource is
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub survey: Vec<PathBuf>,
    /// Events that were expected to cost something (TOML), as evidence
    #[arg(long, value_name = "FILE")]
    pub planned: Option<PathBuf>,
}

/// The same on many machines, a task for each file or a few and one for what they found; and what came of it.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Apart {
    /// Sum some files of a bill, for `merge` to compare with the rest
    Partial(partial::Args),
    /// Compare a bill from the partials of its files, as if it were read at once
    Merge(merge::Args),
    /// Hold what was deleted and stopped against later bills: what was promised, and what was saved
    Savings(savings::Args),
}

fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text)
        .filter(|amount| *amount >= Amount::ZERO)
        .ok_or_else(|| "an amount is a decimal, `25`".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    Table,
    Json,
    Csv,
}

/// [`Compared`] as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Window {
    Week,
    Month,
}

/// [`By`] as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Breakdown {
    Service,
    Account,
    Region,
    Resource,
    Owner,
}

impl From<Breakdown> for By {
    fn from(asked: Breakdown) -> Self {
        match asked {
            Breakdown::Service => Self::Service,
            Breakdown::Account => Self::Account,
            Breakdown::Region => Self::Region,
            Breakdown::Resource => Self::Resource,
            Breakdown::Owner => Self::Owner,
        }
    }
}

impl From<Window> for Compared {
    fn from(asked: Window) -> Self {
        match asked {
            Window::Week => Self::Week,
            Window::Month => Self::Month,
        }
    }
}

impl Args {
    /// Why a bill that is at hand moved, as of some time, as a table.
    #[cfg(feature = "demo")]
    pub fn explaining(now: Timestamp) -> Self {
        Self {
            apart: None,
            focus: Vec::new(),
            cache: files::Cache::default(),
            api: api::ApiArgs::default(),
            by: Breakdown::Service,
            window: Window::Week,
            explain: true,
            known: Known::default(),
            floor: None,
            lag: None,
            config: None,
            format: Form::Table,
            output: None,
            now: Some(now),
            sql: sql::Query::default(),
        }
    }
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.apart {
        Some(Apart::Partial(args)) => return partial::run(args),
        Some(Apart::Merge(args)) => return merge::run(args),
        Some(Apart::Savings(args)) => return savings::run(args),
        None if args.sql.print_sql.is_some() => return sql::run(args),
        None => {}
    }
    let own = Config::find(args.config.as_deref())?.bill;
    let cache = args.cache.open();
    let files = files::find(focus(&args.focus, &own)?, cache.clone())?.at(own.rates.clone());
    let surveys = surveys(&args.known.survey)?;
    let surveys: Vec<&Sealed> = surveys.iter().collect();
    let ended = told(args, &own, files, &surveys)?;
    if let Some(trouble) = cache.and_then(|cache| cache.trouble()) {
        log::warn(&format!("what was found in the bill could not be kept for the next run: {trouble}"));
    }
    Ok(ended)
}

/// What a bill says, as it is asked for; `args` say nothing here of where it and the surveys are.
pub fn told(args: &Args, own: &config::Bill, files: Files, surveys: &[&Sealed]) -> Result<Exit, Failure> {
    let terms = terms(args, own)?;
    let owners = owners_by(args.by.into(), surveys)?;
    let (compared, threads) = (args.window.into(), threads());
    let name = |_: &str, id: &str| owners.get(&short(id)).cloned();
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("failed to read the bill: {error}"));
    let bill = movement::daily(files.clone(), (args.by.into(), &name), compared, &terms, threads)
        .map_err(|error| failed(&error))?;
    let report = comparison(compared, &bill, &terms);
    let story = if args.explain {
        let named = args.known.planned.as_deref().or(own.planned.as_deref());
        let evidence = Evidence { events: events(surveys), planned: planned(named)?, ..Evidence::default() };
        movement::explained(files, &bill, compared, &terms, evidence, threads).map_err(|error| failed(&error))?
    } else {
        None
    };
    let told = Told { report: &report, bill: &bill, story: story.as_ref(), explain: args.explain };
    told.write(args.format, args.output.as_deref())
}

/// By which days are compared, as asked for or else as the config has it.
fn terms(args: &Args, own: &config::Bill) -> Result<Terms, Failure> {
    let (lag_days, floor_a_day) = (args.lag.unwrap_or(own.lag), args.floor.unwrap_or(own.floor));
    Ok(Terms { today: today(args.now)?, lag_days, floor_a_day })
}

/// What is named, or else what the config names.
fn focus<'a>(named: &'a [PathBuf], own: &'a config::Bill) -> Result<&'a [PathBuf], Failure> {
    let focus = if named.is_empty() { &own.focus } else { named };
    if focus.is_empty() {
        return Err(Failure::usage("there is no bill to read").help(
            "`--focus PATH` names its FOCUS export, and `[bill] focus = [\"PATH\"]` in sweeper.toml does for good",
        ));
    }
    Ok(focus)
}

/// The day that is compared up to.
fn today(now: Option<Timestamp>) -> Result<Date, Failure> {
    let now = now.unwrap_or_else(|| SystemClock::default().wall());
    now.day().ok_or_else(|| Failure::usage(format!("`{now}` is not a day that a bill can have")))
}

/// As many threads as the machine runs at once.
pub(crate) fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn surveys(paths: &[PathBuf]) -> Result<Vec<Sealed>, Failure> {
    paths.iter().map(|path| Ok(sealed(path)?.0)).collect()
}

/// Owners by the last segment of ids, where a bill is broken down by them.
fn owners_by(by: By, surveys: &[&Sealed]) -> Result<BTreeMap<String, String>, Failure> {
    if by != By::Owner {
        return Ok(BTreeMap::new());
    }
    if surveys.is_empty() {
        return Err(Failure::usage("the bill does not say whose a resource is")
            .help("`--survey FILE` with a survey of the same accounts does: `sweeper survey --output FILE`"));
    }
    Ok(owners(surveys))
}

/// What a comparison found, warned about where rows are missing from it.
fn comparison(compared: Compared, bill: &Bill, terms: &Terms) -> DeltaReport {
    let report = match compared {
        Compared::Week => compare(bill, terms),
        Compared::Month => compare_months(bill, terms),
    };
    if report.excluded.rows > 0 {
        log::warn(&format!("{} rows of the bill were left out", grouped(report.excluded.rows)));
        for flaw in report.excluded.first.iter().take(5) {
            log::warn(&flaw.to_string());
        }
    }
    report
}

/// A comparison that is to be shown.
struct Told<'a> {
    report: &'a DeltaReport,
    bill: &'a Bill,
    story: Option<&'a Waterfall>,
    explain: bool,
}

impl Told<'_> {
    fn write(&self, form: Form, path: Option<&Path>) -> Result<Exit, Failure> {
        let Self { report, bill, story, explain } = *self;
        output::to(path, |out| match form {
            Form::Json => json(report, story, out),
            Form::Csv => show::csv(report, out),
            Form::Table => table(report, bill, story, explain, out),
        })
        .map_err(|error| Failure::usage(format!("failed to write the comparison: {error}")))?;
        Ok(Exit::Done)
    }
}

fn table(
    report: &DeltaReport,
    bill: &Bill,
    story: Option<&Waterfall>,
    explain: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    show::table(report, bill, out)?;
    match story {
        Some(story) => show::waterfall(story, out),
        None if explain => writeln!(out, "\nnothing to explain: the bill has too few whole days"),
        None => Ok(()),
    }
}

fn json(report: &DeltaReport, story: Option<&Waterfall>, out: &mut dyn io::Write) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        report: &'a DeltaReport,
        #[serde(skip_serializing_if = "Option::is_none")]
        waterfall: Option<&'a Waterfall>,
    }
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, InertJson);
    serde::Serialize::serialize(&Whole { report, waterfall: story }, &mut serializer)?;
    writeln!(out)
}

/// Reads a file of planned events.
pub(crate) fn planned(path: Option<&Path>) -> Result<Vec<Planned>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the planned events {name}: {error}")))?;
    Planned::parse(&name, &text).map_err(|error| Failure::usage(error.to_string()))
}

/// Owners by the last segment of ids, in lower case. A name that several have is nobody's.
pub(crate) fn owners(surveys: &[&Sealed]) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<String, Option<String>> = BTreeMap::new();
    for sealed in surveys {
        let survey = &sealed.survey;
        let view = View::new(&survey.inventory, &survey.answers, &sealed.house, survey.taken_at);
        for resource in survey.inventory.resources() {
            let Some(owner) = owner::known(&view, resource).name else { continue };
            let known = owners.entry(short(resource.native_id())).or_insert_with(|| Some(owner.clone()));
            if known.as_ref() != Some(&owner) {
                *known = None;
            }
        }
    }
    owners.into_iter().filter_map(|(id, owner)| Some((id, owner?))).collect()
}

/// Kind, account, region and id: by which a resource of two surveys is the same.
type Place = (&'static str, String, String, String);

fn place(resource: Resource<'_>) -> Place {
    let text = str::to_owned;
    (resource.kind().id, text(resource.account()), text(resource.region()), text(resource.native_id()))
}

/// A resource's id as bills have it, or its end. Names of Google Cloud are those of one thing only with its sort, and
/// mostly its place.
fn in_bill(resource: Resource<'_>) -> String {
    let (region, id) = (resource.region(), resource.native_id());
    match resource.kind().id {
        "gcp.sql-instance" => format!("instances/{id}"),
        "gcp.run-service" => format!("{region}/services/{id}"),
        kind => match kind.strip_prefix("gcp.compute-") {
            Some("address") => format!("{region}/addresses/{id}"),
            Some(sort) => format!("{region}/{sort}s/{id}"),
            None => id.to_owned(),
        },
    }
}

/// What counts for its cost, beside how long it is there.
fn size(resource: Resource<'_>) -> String {
    match resource.facts() {
        FactsRef::Disk(disk) => format!("{} GiB {}", disk.size_gib, resource.inventory().text(disk.tier)),
        FactsRef::Vm(vm) => resource.inventory().text(vm.vm_type).to_owned(),
        FactsRef::Database(database) => resource.inventory().text(database.db_class).to_owned(),
        _ => String::new(),
    }
}

/// What was made longer before its survey is no news, seconds.
const RECENT: i64 = 60 * DAY;

/// What surveys say was made, went or changed its size.
pub(crate) fn events(surveys: &[&Sealed]) -> Vec<InventoryEvent> {
    let mut surveys = surveys.to_vec();
    surveys.sort_by_key(|sealed| sealed.survey.taken_at);
    let mut events = BTreeMap::new();
    let mut note = |resource: Resource<'_>, what: Happened, at: Timestamp, source: String| {
        let Some(day) = at.day() else { return };
        let account = Some(resource.account().to_owned());
        let event = InventoryEvent { resource: in_bill(resource), account, what, day, source };
        events.entry((place(resource), what, day)).or_insert(event);
    };
    for sealed in &surveys {
        let survey = &sealed.survey;
        for resource in survey.inventory.resources() {
            if let Some(created) = resource.created().filter(|created| survey.taken_at.since(*created) < RECENT) {
                note(
                    resource,
                    Happened::Made,
                    created,
                    format!("created {created}, by the survey of {}", survey.taken_at.date()),
                );
            }
        }
    }
    for pair in surveys.windows(2) {
        let [before, after] = pair else { continue };
        let (was, is) = (&before.survey, &after.survey);
        let now: BTreeMap<Place, Resource<'_>> =
            is.inventory.resources().map(|resource| (place(resource), resource)).collect();
        let source = format!("surveys of {} and {}", was.taken_at.date(), is.taken_at.date());
        // What was not listed completely is not known to be gone.
        let whole: BTreeSet<(&str, String)> = is
            .inventory
            .coverage()
            .into_iter()
            .filter(|(.., covered)| matches!(covered.status, sweeper_core::inventory::Status::Complete))
            .map(|(kind, scope, _)| (kind.id, scope.to_string()))
            .collect();
        for resource in was.inventory.resources() {
            match now.get(&place(resource)) {
                None if whole.contains(&(resource.kind().id, resource.scope().to_string())) => {
                    note(resource, Happened::Gone, is.taken_at, format!("gone between the {source}"));
                }
                Some(other) if size(resource) != size(*other) => {
                    let words = format!("{} to {} between the {source}", size(resource), size(*other));
                    note(*other, Happened::Resized, is.taken_at, words);
                }
                _ => {}
            }
        }
    }
    events.into_values().collect()
}
