//! `sweeper bill savings`: what was deleted and stopped, by later bills, beside what was promised.

use super::{Form, files, threads, today};
use crate::{
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log, output,
    render::{columns, inert},
};
use std::{collections::BTreeMap, io, path::PathBuf};
use sweeper_bill::{
    expected::Terms,
    savings::{Deed, Savings, Sum, savings},
};
use sweeper_core::{
    apply::undo,
    clock::{Clock as _, SystemClock},
    deed::DeedKind,
    inert::InertJson,
    model::Timestamp,
    money::Amount,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// FOCUS exports [default: those of `[bill]` in the config]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    focus: Vec<PathBuf>,
    /// Whose: a line an owner, or a policy
    #[arg(long, value_enum, default_value_t = By::Owner)]
    by: By,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Write to a file, which is there whole or not at all
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "FILE", env = "SWEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    state: Option<String>,
    /// As if it were this time (RFC 3339)
    #[arg(long, value_name = "RFC3339", value_parser = crate::commands::instant)]
    now: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Owner,
    Policy,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = Config::find(args.config.as_deref())?;
    let focus = super::focus(&args.focus, &config.bill)?;
    let deployment = Deployment::open(args.state.as_deref(), &config, SystemClock::default().wall())?;
    let entries = undo::list(deployment.store.as_ref()).map_err(|error| deployment::failed(&error))?;
    let deeds: Vec<Deed> = entries.iter().filter_map(deed).collect();
    let terms = Terms { today: today(args.now)?, lag_days: config.bill.lag, floor_a_day: config.bill.floor };
    let found = savings(files::find(focus, None)?.at(config.bill.rates.clone()), &deeds, &terms, threads())
        .map_err(|error| Failure::usage(format!("failed to read the bill: {error}")))?;
    if found.until.is_none() && !deeds.is_empty() {
        log::warn("no day of the bill is whole and recent enough to be told of: its export may have stopped");
    }
    output::to(args.output.as_deref(), |out| match args.format {
        Form::Table => table(&found, args.by, out),
        Form::Json => json(&found, out),
        Form::Csv => csv(&found, out),
    })
    .map_err(|error| Failure::usage(format!("failed to write the savings: {error}")))?;
    Ok(Exit::Done)
}

/// What saves money of what was done.
fn deed(entry: &undo::Entry) -> Option<Deed> {
    matches!(entry.deed.kind(), DeedKind::Delete | DeedKind::Stop).then_some(())?;
    Some(Deed {
        id: entry.id.clone(),
        owner: entry.owner.clone(),
        policy: entry.policy.clone(),
        account: entry.target.account.clone(),
        resource: entry.target.native_id.clone(),
        copy: entry.kept.as_ref().filter(|kept| !kept.native_id.is_empty()).map(|kept| kept.native_id.clone()),
        day: entry.at.day()?,
        undone: entry.undone.and_then(Timestamp::day),
        promised: entry.monthly_cost.amount,
    })
}

fn sums(found: &Savings, by: By) -> BTreeMap<&str, Sum> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for saved in &found.saved {
        let name = match by {
            By::Owner => saved.owner.as_deref().unwrap_or("nobody"),
            By::Policy => &saved.policy,
        };
        sums.entry(name).or_default().add(saved);
    }
    sums
}

fn table(found: &Savings, by: By, out: &mut dyn io::Write) -> io::Result<()> {
    if found.saved.is_empty() {
        return writeln!(out, "nothing was deleted or stopped yet");
    }
    let until = found.until.as_deref().unwrap_or("no mature day");
    writeln!(out, "saved until {until}; promised in USD, realised in {}", inert::line(&found.currency))?;
    let mut builder = tabled::builder::Builder::default();
    builder.push_record([
        if by == By::Owner { "OWNER" } else { "POLICY" },
        "DONE",
        "PROMISED",
        "REALISED",
        "NOT ON THE BILL",
    ]);
    let mut total = Sum::default();
    found.saved.iter().for_each(|saved| total.add(saved));
    for (name, sum) in sums(found, by).into_iter().chain([("total", total)]) {
        let unknown = match sum.unknown_deeds {
            0 => "-".to_owned(),
            count => format!("{count} of {}", sum.unknown.cents()),
        };
        builder.push_record([
            inert::cut(name, 48),
            sum.deeds.to_string(),
            sum.promised.cents(),
            sum.realised.cents(),
            unknown,
        ]);
    }
    columns(builder, 0..0, out)
}

fn json(found: &Savings, out: &mut dyn io::Write) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Whole<'a> {
        format: &'static str,
        #[serde(flatten)]
        found: &'a Savings,
        by_owner: BTreeMap<&'a str, Sum>,
    }
    let whole = Whole { format: "sweeper.savings/1", found, by_owner: sums(found, By::Owner) };
    serde::Serialize::serialize(&whole, &mut serde_json::Serializer::with_formatter(&mut *out, InertJson))?;
    writeln!(out)
}

fn csv(found: &Savings, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["id", "owner", "policy", "resource", "days", "promised_usd", "realised", "currency"])?;
    let text = |amount: Option<Amount>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    for saved in &found.saved {
        let cells = [
            saved.id.clone(),
            saved.owner.clone().unwrap_or_default(),
            saved.policy.clone(),
            saved.resource.clone(),
            saved.days.to_string(),
            text(saved.promised),
            text(saved.realised),
            found.currency.clone(),
        ];
        writer.write_record(cells.iter().map(|cell| inert::csv(cell).into_owned()))?;
    }
    writer.flush()
}
