//! A bill's last week, for people.

use super::{columns, inert, summary::grouped};
use std::io::{self, Write};
use sweeper_bill::{
    delta::DeltaReport,
    evidence::Cause,
    expected::plus,
    focus::Bill,
    rates,
    split::Part,
    waterfall::{Contributor, Waterfall},
};
use sweeper_core::money::Amount;

/// Rows of a table; the rest is one line.
const ROWS: usize = 30;
/// Days of a sparkline.
const DAYS: i64 = 35;

/// The comparison, a row a name, with the days in a few strokes.
pub fn table(report: &DeltaReport, bill: &Bill, out: &mut dyn Write) -> io::Result<()> {
    let currency = report.currency.as_deref().unwrap_or("");
    let days = report
        .window
        .map_or_else(|| "no days to compare".to_owned(), |window| format!("{} to {}", window.first, window.last));
    writeln!(out, "{}: {days}, {}", report.outcome.name(), inert::line(currency))?;
    if !report.rates.is_empty() {
        writeln!(out, "converted: {}", rates::said(&report.rates))?;
    }
    let (Some(total), Some(window)) = (&report.total, &report.window) else { return Ok(()) };
    let strokes = |name: &str| {
        let costs = bill.usage.get(name);
        let day = |back: i64| costs.and_then(|costs| costs.get(&plus(window.last, back - DAYS + 1)));
        let costs: Vec<Amount> =
            (0..DAYS).map(|back| day(back).map_or(Amount::ZERO, |charges| charges.effective)).collect();
        sparkline(&costs)
    };
    let mut builder = tabled::builder::Builder::default();
    builder.push_record(["NAME", "EXPECTED", "ACTUAL", "DELTA", "BILLED", "35 DAYS"]);
    for group in report.groups.iter().take(ROWS) {
        builder.push_record([
            inert::cut(&group.name, 48),
            group.expected.cents(),
            group.actual.cents(),
            group.delta.signed_cents(),
            group.billed.map_or_else(|| "-".to_owned(), Amount::cents),
            strokes(&group.name),
        ]);
    }
    builder.push_record([
        "total".to_owned(),
        total.expected.cents(),
        total.actual.cents(),
        total.delta.signed_cents(),
        total.billed.cents(),
        String::new(),
    ]);
    writeln!(out)?;
    columns(builder, 1..5, out)?;
    if report.groups.len() > ROWS {
        writeln!(
            out,
            "and {} more, which moved less (--format json has them)",
            grouped((report.groups.len() - ROWS) as u64)
        )?;
    }
    writeln!(out, "\nan alert needs a delta above {}", total.threshold.cents())?;
    for day in &report.thin_days {
        let left_out = if day.left_out { "; left out" } else { "" };
        writeln!(
            out,
            "thin day {}: {} rows, usually {}{left_out}",
            day.day,
            grouped(day.rows),
            grouped(day.usual_rows)
        )?;
    }
    Ok(())
}

/// Eight heights over the costs' own range from zero; a day without cost is a blank.
pub(super) fn sparkline(costs: &[Amount]) -> String {
    const STROKES: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = costs.iter().map(|cost| cost.pico()).max().unwrap_or(0).max(1);
    let stroke = |cost: &Amount| match cost.pico() {
        ..=0 => ' ',
        pico => STROKES[usize::try_from((pico.saturating_mul(8) - 1).max(0) / most).unwrap_or(0).min(7)],
    };
    costs.iter().map(stroke).collect()
}

/// The comparison, a row a name, for a sheet.
pub fn csv(report: &DeltaReport, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    let failed = |error: ::csv::Error| io::Error::other(error);
    writer.write_record(["name", "expected", "actual", "delta", "billed", "currency"]).map_err(failed)?;
    let currency = inert::csv(report.currency.as_deref().unwrap_or_default());
    for group in &report.groups {
        writer
            .write_record([
                &*inert::csv(&group.name),
                &group.expected.to_string(),
                &group.actual.to_string(),
                &group.delta.to_string(),
                &group.billed.map_or_else(String::new, |billed| billed.to_string()),
                &*currency,
            ])
            .map_err(failed)?;
    }
    writer.flush()
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Inventory => "resources made, gone or resized",
        Cause::Price => "prices or discounts changed",
        Cause::Commitment => "a commitment ended or was bought",
        Cause::ExchangeRate => "the exchange rate moved",
        Cause::Planned => "planned",
        Cause::Driver => "more or less was used, and a metric says so",
        Cause::Habit => "the same resource does so now and then",
        Cause::DayOfMonth => "as on the same day of last month",
        Cause::Calendar => "other days",
        Cause::Trend => "the weeks before went that way",
    }
}

const fn moved(part: Part) -> &'static str {
    match part {
        Part::Quantity => "quantity",
        Part::List => "list price",
        Part::Negotiated => "discount",
        Part::Commitment => "commitments",
        Part::Currency => "exchange rate",
        Part::PriceUnattributed => "price",
        Part::New => "new",
        Part::Removed => "removed",
        Part::Resized => "resized",
    }
}

/// The whole way from what was expected to what was charged.
pub fn waterfall(story: &Waterfall, out: &mut dyn Write) -> io::Result<()> {
    let line = |out: &mut dyn Write, amount: String, what: &str| writeln!(out, "{amount:>16}  {what}");
    writeln!(out, "\nwhy, {} to {}, {}:\n", story.window.first, story.window.last, inert::line(&story.currency))?;
    line(out, story.expected.cents(), "expected")?;
    for explained in &story.explained {
        line(out, explained.amount.signed_cents(), because(explained.cause))?;
        contributors(&explained.top, explained.lines, out)?;
    }
    let share = story
        .unexplained
        .share
        .map_or_else(String::new, |share| format!(", {} % of the expected", share.times(100).cents()));
    line(out, story.unexplained.amount.signed_cents(), &format!("unexplained{share}"))?;
    contributors(&story.unexplained.by_resource, 0, out)?;
    line(out, story.actual.cents(), "actual")?;
    if !story.parts.is_empty() {
        let parts: Vec<String> =
            story.parts.iter().map(|part| format!("{} {}", moved(part.part), part.amount.signed_cents())).collect();
        writeln!(out, "\nwhat moved: {}", parts.join(", "))?;
    }
    let beside: Vec<String> = story
        .lanes
        .iter()
        .map(|lane| format!("{} {} (was {})", lane.lane.name(), lane.after.cents(), lane.before.cents()))
        .collect();
    if !beside.is_empty() {
        writeln!(out, "beside it, and in no figure above: {}", beside.join(", "))?;
    }
    writeln!(
        out,
        "{}: an alert needs more than {} unexplained, on days out of the ordinary ({} were)",
        story.alert.outcome.name(),
        story.alert.threshold.cents(),
        story.alert.odd_days
    )
}

fn contributors(of: &[Contributor], lines: usize, out: &mut dyn Write) -> io::Result<()> {
    for one in of {
        let what = one.resource.as_deref().filter(|resource| !resource.is_empty()).unwrap_or("(no resource)");
        let parts: Vec<&str> = one.parts.iter().map(|part| moved(part.part)).collect();
        writeln!(
            out,
            "{:>18}{}  {} {}, {}: {}",
            "",
            one.amount.signed_cents(),
            inert::line(&one.account),
            inert::line(&one.service),
            inert::line(what),
            parts.join(", ")
        )?;
        for words in &one.evidence {
            writeln!(out, "{:>20}{}", "", inert::line(words))?;
        }
    }
    if lines > of.len() && !of.is_empty() {
        writeln!(out, "{:>18}and {} more", "", grouped((lines - of.len()) as u64))?;
    }
    Ok(())
}
