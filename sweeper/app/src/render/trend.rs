//! How waste went, day by day.

use super::{
    bill::sparkline,
    columns, inert,
    since::signed,
    summary::{counted, dollars, grouped},
};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};
use sweeper_core::{
    history::runs::{Listings, Summary, Whose},
    inert::InertJson,
    model::DAY,
    money::Amount,
    report::Sum,
};

/// The format written.
const FORMAT: &str = "sweeper.trend/1";
/// Rows of a table; the rest is one line.
const ROWS: usize = 20;
/// Strokes of a sparkline, at most.
const STROKES: i64 = 45;

/// What a trend is broken down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    Owner,
    Detector,
}

/// Sums by name and day, in days since 1970.
type Lines = BTreeMap<String, BTreeMap<i64, Sum>>;

fn day(run: &Summary) -> i64 {
    run.taken_at.0.div_euclid(DAY)
}

fn add(lines: &mut Lines, name: &str, day: i64, sum: &Sum) {
    let own = lines.entry(name.to_owned()).or_default().entry(day).or_default();
    own.resources += sum.resources;
    own.firm += sum.firm;
    own.up_to += sum.up_to;
    own.unpriced += sum.unpriced;
}

fn waste(days: &[&Summary], by: By) -> Lines {
    let mut lines = Lines::new();
    for run in days {
        for waste in &run.waste {
            let name = match by {
                By::Owner => waste.owner.name(),
                By::Detector => &waste.detector,
            };
            add(&mut lines, name, day(run), &waste.sum);
        }
    }
    lines
}

/// What is found and left alone, by the sort of reason; what rests on waivers; and what could not be judged.
fn held(days: &[&Summary]) -> Lines {
    let mut lines = Lines::new();
    for run in days {
        for (reason, sum) in &run.reasons {
            // What the policy does, or would do, is no hold.
            match reason.as_str() {
                "report" | "tag" | "stop" | "delete" | "set-retention" => {}
                "unknown" => add(&mut lines, "not judged", day(run), sum),
                held => add(&mut lines, held, day(run), sum),
            }
        }
        if run.assuming.resources > 0 {
            add(&mut lines, "judged by a waiver", day(run), &run.assuming);
        }
    }
    lines
}

fn date(day: i64) -> String {
    sweeper_core::model::Timestamp(day * DAY).date()
}

pub fn table(days: &[&Summary], left_out: usize, by: Option<By>, out: &mut dyn Write) -> io::Result<()> {
    let ([first, ..], [.., last]) = (days, days) else {
        return writeln!(out, "no run is remembered: `sweeper report` leaves each in the state");
    };
    let span = (day(first), day(last));
    writeln!(
        out,
        "{} to {}, {} with a run; now {} a month, {} since the first",
        date(span.0),
        date(span.1),
        counted(days.len() as u64, "day"),
        dollars(last.found.most()),
        signed(last.found.most() - first.found.most()),
    )?;
    if by != Some(By::Detector) {
        lines("OWNER", &waste(days, By::Owner), days, out)?;
    }
    if by != Some(By::Owner) {
        lines("DETECTOR", &waste(days, By::Detector), days, out)?;
    }
    let held = held(days);
    if !held.is_empty() {
        lines("HELD", &held, days, out)?;
    }
    let Listings { waived, blind, .. } = last.listings;
    let mut notes = Vec::new();
    if waived + blind > 0 {
        notes.push(format!(
            "not seen: {} waived and {} blind; what is wasted there is not known",
            counted(waived, "listing"),
            grouped(blind)
        ));
    }
    let changes: Vec<i64> =
        days.windows(2).filter(|pair| pair[0].policies != pair[1].policies).map(|pair| day(pair[1])).collect();
    if let Some(last) = changes.last() {
        notes.push(format!("the policies changed {}, last {}", counted(changes.len() as u64, "time"), date(*last)));
    }
    if left_out > 0 {
        notes.push(format!("{} left out: less than half was looked at", counted(left_out as u64, "day")));
    }
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for note in notes {
        writeln!(out, "{note}")?;
    }
    Ok(())
}

fn lines(title: &str, lines: &Lines, days: &[&Summary], out: &mut dyn Write) -> io::Result<()> {
    let ([first, ..], [.., last]) = (days, days) else { return Ok(()) };
    let span = (day(first), day(last));
    let looked: BTreeSet<i64> = days.iter().map(|run| day(run)).collect();
    let none = Sum::default();
    let mut rows: Vec<(&String, &Sum, &BTreeMap<i64, Sum>)> =
        lines.iter().map(|(name, sums)| (name, sums.get(&span.1).unwrap_or(&none), sums)).collect();
    rows.sort_by_key(|(name, now, _)| (Reverse((now.most(), now.resources)), *name));
    let mut builder = tabled::builder::Builder::default();
    builder.push_record([title, "RESOURCES", "FIRM/MONTH", "UP TO/MONTH", "UNPRICED", "CHANGE", "DAYS"]);
    for (name, now, sums) in rows.iter().take(ROWS) {
        let before = sums.get(&span.0).map_or(Amount::ZERO, Sum::most);
        builder.push_record([
            inert::cut(name, 40),
            grouped(now.resources),
            dollars(now.firm),
            dollars(now.up_to),
            grouped(now.unpriced),
            signed(now.most() - before),
            strokes(sums, &looked, span),
        ]);
    }
    writeln!(out)?;
    columns(builder, 1..6, out)?;
    if rows.len() > ROWS {
        writeln!(out, "and {} more (--format json has them)", grouped((rows.len() - ROWS) as u64))?;
    }
    Ok(())
}

/// A stroke for so many days, of their last run; `·` where there was none.
fn strokes(sums: &BTreeMap<i64, Sum>, looked: &BTreeSet<i64>, (first, last): (i64, i64)) -> String {
    let step = usize::try_from((last - first + STROKES) / STROKES).unwrap_or(1).max(1);
    let spans: Vec<Option<Amount>> = (first..=last)
        .step_by(step)
        .map(|from| {
            let run = looked.range(from..from + step as i64).next_back()?;
            Some(sums.get(run).map_or(Amount::ZERO, Sum::most))
        })
        .collect();
    let amounts: Vec<Amount> = spans.iter().map(|amount| amount.unwrap_or(Amount::ZERO)).collect();
    sparkline(&amounts).chars().zip(&spans).map(|(stroke, span)| if span.is_some() { stroke } else { '·' }).collect()
}

/// One run, for machines.
#[derive(Serialize)]
struct Run<'a> {
    taken_at: String,
    policies: &'a str,
    listings: Listings,
    found: &'a Sum,
    waste: Vec<WasteOf<'a>>,
    reasons: &'a BTreeMap<String, Sum>,
    assuming: &'a Sum,
}

#[derive(Serialize)]
struct WasteOf<'a> {
    /// Null where nobody is known; see `whose`.
    owner: Option<&'a str>,
    /// `owner`, `nobody`, `unknown` (tags that could not be read) or `others`.
    whose: &'a str,
    detector: &'a str,
    sum: &'a Sum,
}

#[derive(Serialize)]
struct Trend<'a> {
    format: &'static str,
    /// Days whose runs looked at less than half.
    left_out: usize,
    /// One a day.
    runs: Vec<Run<'a>>,
}

pub fn json(days: &[&Summary], left_out: usize, out: &mut dyn Write) -> io::Result<()> {
    let runs = days.iter().map(|run| Run {
        taken_at: run.taken_at.to_string(),
        policies: &run.policies,
        listings: run.listings,
        found: &run.found,
        waste: run
            .waste
            .iter()
            .map(|waste| {
                let (owner, whose) = match &waste.owner {
                    Whose::Owner(name) => (Some(name.as_str()), "owner"),
                    other => (None, other.name()),
                };
                WasteOf { owner, whose, detector: &waste.detector, sum: &waste.sum }
            })
            .collect(),
        reasons: &run.reasons,
        assuming: &run.assuming,
    });
    let trend = Trend { format: FORMAT, left_out, runs: runs.collect() };
    trend.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, InertJson))?;
    writeln!(out)
}

pub fn csv(days: &[&Summary], by: Option<By>, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(["day", "by", "name", "resources", "firm", "up_to", "unpriced", "currency"])?;
    let mut all = Lines::new();
    for run in days {
        add(&mut all, "", day(run), &run.found);
    }
    let mut groups = vec![("all", all)];
    if by != Some(By::Detector) {
        groups.push(("owner", waste(days, By::Owner)));
    }
    if by != Some(By::Owner) {
        groups.push(("detector", waste(days, By::Detector)));
    }
    groups.push(("held", held(days)));
    for (by, lines) in groups {
        for (name, sums) in lines {
            for (day, sum) in sums {
                writer.write_record([
                    &*date(day),
                    by,
                    &*inert::csv(&name),
                    &sum.resources.to_string(),
                    &sum.firm.to_string(),
                    &sum.up_to.to_string(),
                    &sum.unpriced.to_string(),
                    "USD",
                ])?;
            }
        }
    }
    writer.flush()
}
