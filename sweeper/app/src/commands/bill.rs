//! `sweeper bill`: what the last week cost against what the weeks before let one expect, and why.

pub mod api;

use crate::{
    commands::sealed,
    exit::{Exit, Failure},
    log, output,
    render::{bill as show, summary::grouped},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    num::NonZeroUsize,
    path::PathBuf,
};
use sweeper_bill::{
    delta::{DeltaReport, Terms, compare, compare_months},
    evidence::{Evidence, Happened, InventoryEvent},
    export,
    focus::Bill,
    movement::{self, By, Compared},
    planned::Planned,
    source::Source,
    waterfall::Waterfall,
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    detect::View,
    facts::FactsRef,
    inert::InertJson,
    inventory::Resource,
    model::{CloudId, DAY, Timestamp, last_segment},
    money::Amount,
    owner,
    survey_file::Sealed,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// FOCUS exports: Parquet, CSV or gzip CSV files, or the directory of an export with its manifests
    #[arg(long, value_name = "PATH", required_unless_present = "api", num_args = 1..)]
    pub focus: Vec<PathBuf>,
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
    /// Surveys: what was made and went is evidence, and they say whose a resource is
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub survey: Vec<PathBuf>,
    /// Events that were expected to cost something (TOML), as evidence
    #[arg(long, value_name = "FILE")]
    pub planned: Option<PathBuf>,
    /// Nothing below so much a day is an alert, in the bill's currency
    #[arg(long, value_name = "AMOUNT", default_value = "25", value_parser = amount)]
    pub floor: Amount,
    /// Days until a day's charges are complete: 2 for AWS and Azure, 3 for Google Cloud
    #[arg(long, value_name = "DAYS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=14))]
    pub lag: u32,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Compare as if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = super::instant)]
    pub now: Option<Timestamp>,
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

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let sources = sources(&args.focus)?;
    let terms = terms(args)?;
    let surveys: Vec<Sealed> = args.survey.iter().map(|path| Ok(sealed(path)?.0)).collect::<Result<_, Failure>>()?;
    if args.by == Breakdown::Owner && surveys.is_empty() {
        return Err(Failure::usage("the bill does not say whose a resource is")
            .help("`--survey FILE` with a survey of the same accounts does: `sweeper survey --output FILE`"));
    }
    let compared = args.compared();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let owners = if args.by == Breakdown::Owner { owners(&surveys) } else { BTreeMap::new() };
    let name = |_: &str, id: &str| owners.get(last_segment(id).to_ascii_lowercase().as_str()).cloned();
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("failed to read the bill: {error}"));
    let bill = movement::daily(sources.clone(), (args.by.into(), &name), compared, &terms, threads)
        .map_err(|error| failed(&error))?;
    let report = held(&bill, compared, &terms);
    if report.excluded.rows > 0 {
        log::warn(&format!("{} rows of the bill were left out", grouped(report.excluded.rows)));
        for flaw in report.excluded.first.iter().take(5) {
            log::warn(&flaw.to_string());
        }
    }
    let story = if args.explain {
        let evidence = Evidence { events: events(&surveys), planned: planned(args)?, ..Evidence::default() };
        movement::explained(sources, &bill, compared, &terms, evidence, threads).map_err(|error| failed(&error))?
    } else {
        None
    };
    written(args, &report, &bill, story.as_ref())
}

impl Args {
    fn compared(&self) -> Compared {
        match self.window {
            Window::Week => Compared::Week,
            Window::Month => Compared::Month,
        }
    }
}

fn terms(args: &Args) -> Result<Terms, Failure> {
    let now = args.now.unwrap_or_else(|| SystemClock::default().wall());
    let today = now.date().parse().map_err(|_| Failure::usage(format!("`{now}` is not a day that a bill can have")))?;
    Ok(Terms { today, lag_days: args.lag, floor_a_day: args.floor })
}

fn held(bill: &Bill, compared: Compared, terms: &Terms) -> DeltaReport {
    match compared {
        Compared::Week => compare(bill, terms),
        Compared::Month => compare_months(bill, terms),
    }
}

fn written(args: &Args, report: &DeltaReport, bill: &Bill, story: Option<&Waterfall>) -> Result<Exit, Failure> {
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Json => json(report, story, out),
        Form::Csv => show::csv(report, out),
        Form::Table => table(report, bill, story, args.explain, out),
    })
    .map_err(|error| Failure::usage(format!("failed to write the comparison: {error}")))?;
    Ok(Exit::Done)
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

fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        let found = export::find(path).map_err(|error| Failure::usage(format!("failed to read the bill: {error}")))?;
        for folder in &found.unfinished {
            log::warn(&format!("{} has no manifest yet, and is not read: the run before it is", folder.display()));
        }
        sources.extend(found.sources());
    }
    Ok(sources)
}

fn planned(args: &Args) -> Result<Vec<Planned>, Failure> {
    let Some(path) = &args.planned else { return Ok(Vec::new()) };
    let name = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the planned events {name}: {error}")))?;
    Planned::parse(&name, &text).map_err(|error| Failure::usage(error.to_string()))
}

/// Owners by the last segment of ids, in lower case. A name that several have is nobody's.
fn owners(surveys: &[Sealed]) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<String, Option<String>> = BTreeMap::new();
    for sealed in surveys {
        let survey = &sealed.survey;
        let view = View::new(&survey.inventory, &survey.answers, &sealed.house, survey.taken_at);
        for resource in survey.inventory.resources() {
            let Some(owner) = owner::known(&view, resource).name else { continue };
            let known = owners
                .entry(last_segment(resource.native_id()).to_ascii_lowercase())
                .or_insert_with(|| Some(owner.clone()));
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
fn events(surveys: &[Sealed]) -> Vec<InventoryEvent> {
    let mut surveys: Vec<&Sealed> = surveys.iter().collect();
    surveys.sort_by_key(|sealed| sealed.survey.taken_at);
    let mut events = BTreeMap::new();
    let mut note = |resource: Resource<'_>, what: Happened, at: Timestamp, source: String| {
        let Ok(day) = at.date().parse() else { return };
        let account = (resource.cloud() != CloudId::Gcp).then(|| resource.account().to_owned());
        let event = InventoryEvent { resource: resource.native_id().to_owned(), account, what, day, source };
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
