//! `sweeper prices`: the book of list prices in use, and a newer one from the clouds' price APIs.

use crate::{
    commands::{cloud, counted},
    config::{Config, Prices, price_place},
    exit::{Exit, Failure},
    log,
    output::{self, Whole},
    price_lists::Apis,
    render::{columns, inert},
    state,
};
use jiff::civil::Date;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use sweeper_bill::{
    price_lists::{Answers, could_have},
    prices::{Price, PriceBook},
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    inert::InertJson,
    kind::Prices as _,
    model::{CloudId, Timestamp},
    money::Amount,
    policy::glob_anycase,
};

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Show the list prices in use, each with its day and source
    Show(Show),
    /// Ask the clouds' price APIs for every price that is used, and write the book anew: AWS's and Azure's without
    /// credentials, Google Cloud's with the key in GOOGLE_API_KEY
    Refresh(Refresh),
}

#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    /// Only of these clouds: aws, azure, gcp
    #[arg(long, value_name = "CLOUD", value_delimiter = ',', value_parser = cloud)]
    cloud: Vec<CloudId>,
    /// Only of these regions
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    region: Vec<String>,
    /// Only these keys, `ebs.gp3.*`; `*` is any text
    #[arg(long, value_name = "KEY", default_value = "*")]
    key: String,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Refresh {
    /// Only these clouds: aws, azure, gcp [default: all]
    #[arg(long, value_name = "CLOUD", value_delimiter = ',', value_parser = cloud)]
    cloud: Vec<CloudId>,
    /// Only these regions [default: those of the config, or those that the book has]. A region of AWS is a download of
    /// some hundred megabytes
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    region: Vec<String>,
    /// Write to this file [default: `book` of [prices] in the config, or prices.toml beside the state]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Debug, clap::Args)]
struct Place {
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

/// The book that runs price by: that of this build, with the config's over it.
pub fn book(prices: &Prices, now: Timestamp) -> Result<PriceBook, Failure> {
    let own = match &prices.book {
        Some(path) if path.exists() => Some(read(path)?),
        Some(path) => {
            log::warn(&format!(
                "the price book {} is not there yet, so the prices of this build are used: `sweeper prices refresh` writes it",
                path.display()
            ));
            None
        }
        None => None,
    };
    let book = over_embedded(own.as_ref())?;
    Ok(if prices.live { book.live_on(day(now)?) } else { book })
}

fn over_embedded(own: Option<&PriceBook>) -> Result<PriceBook, Failure> {
    let embedded = PriceBook::embedded()
        .map_err(|error| Failure::new(Exit::Bug, format!("the price book cannot be read: {error}")))?;
    Ok(embedded.under(own.into_iter().flat_map(|own| own.iter().cloned())))
}

fn read(path: &Path) -> Result<PriceBook, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("failed to read the price book {}: {error}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    PriceBook::parse(&text).map_err(|error| failed(&error))
}

fn day(now: Timestamp) -> Result<Date, Failure> {
    now.day().ok_or_else(|| Failure::usage(format!("`{now}` is not a day that a price can have")))
}

pub fn show(args: &Show) -> Result<Exit, Failure> {
    let config = Config::find(args.place.config.as_deref())?;
    let state = state::place(args.place.state.as_deref(), &config)?;
    let book = book(&config.prices.beside(state.as_ref()), SystemClock::default().wall())?;
    let is_asked = |price: &&Price| {
        (args.cloud.is_empty() || args.cloud.contains(&price.cloud))
            && (args.region.is_empty() || args.region.contains(&price.region))
            && glob_anycase(&args.key, &price.key)
    };
    let prices: Vec<&Price> = book.iter().filter(is_asked).collect();
    output::to(None, |out| match args.format {
        Form::Table => table(&book, &prices, out),
        Form::Json => json(&book, &prices, out),
    })?;
    Ok(Exit::Done)
}

fn basis(book: &PriceBook, price: &Price) -> &'static str {
    if book.is_live(price.cloud, &price.region, &price.key) { "live" } else { "list" }
}

fn table(book: &PriceBook, prices: &[&Price], out: &mut dyn Write) -> io::Result<()> {
    let mut builder = tabled::builder::Builder::default();
    builder.push_record(["CLOUD", "REGION", "KEY", "USD", "PER", "ABOVE", "SINCE", "BASIS", "SOURCE"]);
    for price in prices {
        let above = if price.tier_from == Amount::ZERO { String::new() } else { price.tier_from.to_string() };
        builder.push_record([
            price.cloud.name().to_owned(),
            inert::line(&price.region).into_owned(),
            inert::line(&price.key).into_owned(),
            price.usd.to_string(),
            inert::line(&price.unit).into_owned(),
            above,
            price.effective_date.to_string(),
            basis(book, price).to_owned(),
            inert::cut(&price.source, 80),
        ]);
    }
    columns(builder, 0..0, out)
}

fn json(book: &PriceBook, prices: &[&Price], out: &mut dyn Write) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        provider: &'static str,
        region: &'a str,
        key: &'a str,
        unit: &'a str,
        usd: Amount,
        tier_from: Amount,
        effective_date: String,
        basis: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refreshed: Option<String>,
        source: &'a str,
    }
    let rows: Vec<Row<'_>> = prices
        .iter()
        .map(|price| Row {
            provider: price.cloud.name(),
            region: &price.region,
            key: &price.key,
            unit: &price.unit,
            usd: price.usd,
            tier_from: price.tier_from,
            effective_date: price.effective_date.to_string(),
            basis: basis(book, price),
            refreshed: price.refreshed.map(|day| day.to_string()),
            source: &price.source,
        })
        .collect();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, InertJson);
    serde::Serialize::serialize(&serde_json::json!({ "prices": rows }), &mut serializer)?;
    writeln!(out)
}

pub async fn refresh(args: Refresh) -> Result<Exit, Failure> {
    let config = Config::find(args.place.config.as_deref())?;
    let state = state::place(args.place.state.as_deref(), &config)?;
    let path = args.output.clone().or_else(|| config.prices.book.clone()).or_else(|| price_place(state.as_ref()));
    let path = path.ok_or_else(|| {
        Failure::usage("the price book has no place in a state that is no file of this machine")
            .help("--output FILE, or `book = \"prices.toml\"` under [prices] in the config, names one")
    })?;
    let unwritten =
        |error: io::Error| Failure::usage(format!("failed to write the price book {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(unwritten)?;
    }
    output::writable(Some(&path)).map_err(unwritten)?;
    // What a cloud does not answer for stays as it is.
    let kept = if path.exists() { read(&path)? } else { PriceBook::default() };
    let before = over_embedded(Some(&kept))?;
    let asked = asked(&args, &config, &before)?;
    let today = day(SystemClock::default().wall())?;
    let apis = Apis::open()?;
    let (mut book, mut whole, mut rows) = (kept, true, 0);
    for (cloud, regions) in asked {
        let name = cloud.name();
        log::say(&format!("asking for the prices of {name}: {}", regions.join(", ")));
        let refreshed = match apis.ask(&regions, Answers::of(cloud, today), cloud).await {
            Ok(refreshed) => refreshed,
            Err(why) => {
                whole = false;
                log::warn(&format!("{name} is not refreshed, and keeps the prices it had: {why}"));
                continue;
            }
        };
        for doubt in &refreshed.doubts {
            whole = false;
            log::warn(&format!("{name}: {} in {} keeps the price it had: {}", doubt.key, doubt.region, doubt.what));
        }
        for region in &regions {
            let none = refreshed.missing.iter().filter(|(own, _)| own == region).map(|(_, key)| key.as_str());
            let none: Vec<&str> = none.collect();
            if !none.is_empty() {
                log::say(&format!("{name}: not offered in {region}: {}", none.join(", ")));
            }
        }
        rows += refreshed.prices.len();
        book = book.under(refreshed.prices);
    }
    if rows == 0 {
        return Err(Failure::new(Exit::Blind, "no price was refreshed: nothing was written"));
    }
    for (was, is) in over_embedded(Some(&book))?.moved(&before) {
        log::warn(&format!(
            "{}: {} in {} was {} and is {} a {}: {}",
            is.cloud.name(),
            is.key,
            is.region,
            was.usd,
            is.usd,
            is.unit,
            is.source
        ));
    }
    let mut file = Whole::create(&path).map_err(unwritten)?;
    write!(file, "{book}").map_err(unwritten)?;
    file.keep().map_err(unwritten)?;
    log::say(&format!("{} in {}", counted(rows as u64, "refreshed price"), path.display()));
    if args.output.is_none() && config.prices.book.is_none() && !config.prices.live {
        log::say("runs use it once the config says so: `live = true` under [prices]");
    }
    Ok(if whole { Exit::Done } else { Exit::Blind })
}

/// The clouds that are asked, with their regions.
fn asked(args: &Refresh, config: &Config, book: &PriceBook) -> Result<Vec<(CloudId, Vec<String>)>, Failure> {
    let clouds: Vec<CloudId> =
        CloudId::ALL.into_iter().filter(|cloud| args.cloud.is_empty() || args.cloud.contains(cloud)).collect();
    let nowhere = |region: &&String| !clouds.iter().any(|cloud| could_have(*cloud, region));
    if let Some(region) = args.region.iter().find(nowhere) {
        return Err(Failure::usage(format!("`{region}` is no region that {} could have", names(&clouds))));
    }
    let mut asked = Vec::new();
    for cloud in clouds {
        let configured = match cloud {
            CloudId::Aws => &config.aws.regions,
            CloudId::Azure => &config.azure.regions,
            CloudId::Gcp => &config.gcp.regions,
        };
        let known = || book.iter().filter(|price| price.cloud == cloud).map(|price| price.region.clone()).collect();
        let regions: BTreeSet<String> = if args.region.is_empty() {
            if configured.is_empty() { known() } else { configured.clone() }
        } else {
            args.region.iter().cloned().collect()
        };
        let regions: Vec<String> = regions.into_iter().filter(|region| could_have(cloud, region)).collect();
        if !regions.is_empty() {
            asked.push((cloud, regions));
        }
    }
    Ok(asked)
}

fn names(clouds: &[CloudId]) -> String {
    clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join(" or ")
}
