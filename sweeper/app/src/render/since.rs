//! Only what changed since an earlier report. An unknown is shown as one: what was not seen is not gone.

use super::{
    Format, Look, inert,
    summary::{self, Summary, counted, dollars, grouped},
    table::{self, Page, fit},
};
use std::{
    borrow::Cow,
    cmp::Reverse,
    io::{self, Write},
};
use sweeper_core::{
    history::since::{Change, Moved, Since, Stood, Why},
    money::Amount,
    report::{MonthlyCost, Report, Sum},
};

/// Changes of a sort shown without `--all`.
const SHOWN: usize = 40;

pub fn write(
    report: &Report<'_>,
    since: &Since,
    format: Format,
    look: Look<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Csv => csv(report, since, out),
        Format::Markdown => markdown(report, since, look, out),
        Format::Html => html(report, since, look, out),
        Format::Table | Format::Json => screen(report, since, look, out),
    }
}

/// `+$2.00`, `-$2.00`.
pub fn signed(amount: Amount) -> String {
    let text = dollars(amount);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

/// What the report is held against.
fn against(since: &Since) -> String {
    let earlier = match since.against.as_str() {
        "last" => "the last report",
        file => file,
    };
    let policies = match since.same_policies {
        Some(false) => "; the policies are others",
        _ => "",
    };
    format!("since {earlier}, of {}{policies}", since.taken_at)
}

fn most(sum: &Sum) -> String {
    let mut said = dollars(sum.firm);
    if sum.up_to != Amount::ZERO {
        said = format!("{said}, up to {} more", dollars(sum.up_to));
    }
    if sum.unpriced > 0 {
        said = format!("{said}, {} unpriced", grouped(sum.unpriced));
    }
    said
}

fn moved(moved: &Moved) -> String {
    let up_to = match moved.up_to {
        Amount::ZERO => String::new(),
        amount => format!(", upper bounds {}", signed(amount)),
    };
    format!("{}{up_to}", signed(moved.firm))
}

/// The money, a line a sort: its name, how many findings, how much a month.
fn figures(since: &Since) -> Vec<[String; 3]> {
    let known = |why: Option<Why>| !why.is_some_and(Why::is_unknown);
    let count = |changes: &[Change]| grouped(changes.iter().filter(|change| known(change.why)).count() as u64);
    let unknown = since.new.iter().chain(&since.gone).filter(|change| !known(change.why)).count() as u64;
    let sums = &since.sums;
    let mut figures = vec![
        ["new".to_owned(), count(&since.new), most(&sums.new)],
        ["gone".to_owned(), count(&since.gone), most(&sums.gone)],
        ["changed".to_owned(), grouped(since.changed.len() as u64), moved(&sums.changed)],
        ["net".to_owned(), String::new(), moved(&sums.net)],
    ];
    if unknown > 0 || sums.unknown.resources > 0 {
        let said = format!("{}: of no use above, since one of both did not see all of it", most(&sums.unknown));
        figures.push(["unknown".to_owned(), grouped(unknown), said]);
    }
    figures
}

/// Findings that nobody can call new.
fn not_compared(since: &Since) -> Option<String> {
    (since.not_compared > 0).then(|| {
        format!(
            "{} not compared: too cheap to be among the rows kept of the earlier report",
            counted(since.not_compared, "finding")
        )
    })
}

/// The three lists, each dearest first.
fn lists(since: &Since) -> [(&'static str, Vec<&Change>); 3] {
    [("new", &since.new), ("gone", &since.gone), ("changed", &since.changed)].map(|(name, changes)| {
        let mut changes: Vec<&Change> = changes.iter().collect();
        // The sort keeps the report's order among equals.
        changes.sort_by_key(|change| Reverse(change.most()));
        (name, changes)
    })
}

const HEADER: [&str; 7] = ["COST/MONTH", "POLICY", "RESOURCE", "ACCOUNT", "REGION", "OWNER", "WHY"];

fn cells(report: &Report<'_>, change: &Change) -> [String; 7] {
    let (then, now) = change.savings();
    let stood = change.now.as_ref().or(change.then.as_ref());
    let owner = stood.map(|stood| &stood.owner);
    let owner = owner.map_or("", |owner| match (&owner.name, owner.from.as_str()) {
        (Some(name), _) => name,
        (None, "unknown") => "unknown",
        (None, _) => "nobody",
    });
    [
        now.or(then).map(summary::saving).unwrap_or_default(),
        change.policy.clone(),
        summary::titled(&change.native_id, change.name.as_deref()),
        report.account_name(change.cloud, &change.account).unwrap_or(&change.account).to_owned(),
        change.region.clone(),
        owner.to_owned(),
        change.says.clone(),
    ]
}

fn screen(report: &Report<'_>, since: &Since, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let summary = Summary::of(report, look.all);
    let mut page = Page { out, width: look.width.max(table::NARROWEST) };
    page.say(
        0,
        &format!(
            "{}: {}, {}, {}",
            report.run.tool,
            summary::looked_at(&summary.accounts),
            report.survey().taken_at,
            against(since)
        ),
    )?;
    page.blank()?;
    let rows: Vec<Vec<String>> =
        figures(since).into_iter().map(|[name, count, money]| vec![format!("  {name}"), count, money]).collect();
    let widths = fit(&["", "", ""], &rows, &[0, 1], &[0, 0, 1], page.width);
    page.table(&[], &rows, &[1], &widths)?;
    if let Some(said) = not_compared(since) {
        page.say(2, &said)?;
    }
    if since.is_empty() {
        page.blank()?;
        page.say(0, "Nothing changed.")?;
    }
    for (name, changes) in lists(since).into_iter().filter(|(_, changes)| !changes.is_empty()) {
        page.blank()?;
        page.say(0, &name.to_uppercase())?;
        let shown = if look.all { changes.len() } else { changes.len().min(SHOWN) };
        let rows: Vec<Vec<String>> = changes[..shown].iter().map(|change| cells(report, change).to_vec()).collect();
        let widths = fit(&HEADER, &rows, &[0], &[10, 12, 22, 7, 9, 8, 20], page.width);
        page.table(&HEADER, &rows, &[0], &widths)?;
        if changes.len() > shown {
            page.say(0, &format!("… and {}: --all", counted((changes.len() - shown) as u64, "more")))?;
        }
    }
    table::coverage(&summary, &mut page)?;
    table::warnings(look.warnings, &mut page)
}

/// Headings, rows and lines of text in a form of markup.
fn markdown(report: &Report<'_>, since: &Since, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let text = inert::markdown;
    writeln!(out, "# Waste report: what changed\n\n{}\n", text(&against(since)))?;
    writeln!(out, "| | findings | a month |\n|---|---:|---|")?;
    for [name, count, money] in figures(since) {
        writeln!(out, "| {name} | {count} | {} |", text(&money))?;
    }
    if let Some(said) = not_compared(since) {
        writeln!(out, "\n{}", text(&said))?;
    }
    if since.is_empty() {
        writeln!(out, "\nNothing changed.")?;
    }
    for (name, changes) in lists(since).into_iter().filter(|(_, changes)| !changes.is_empty()) {
        writeln!(out, "\n## {}{}\n", name[..1].to_uppercase(), &name[1..])?;
        writeln!(
            out,
            "| a month | policy | resource | account | region | owner | why |\n|---:|---|---|---|---|---|---|"
        )?;
        let shown = if look.all { changes.len() } else { changes.len().min(SHOWN) };
        for change in &changes[..shown] {
            writeln!(out, "| {} |", cells(report, change).map(|cell| text(&cell)).join(" | "))?;
        }
        if changes.len() > shown {
            writeln!(out, "\n… and {}", counted((changes.len() - shown) as u64, "more"))?;
        }
    }
    for (cause, (listings, questions)) in report.blind() {
        writeln!(out, "\n- {}", text(&format!("blind: {cause}: {}", summary::blind(listings, questions))))?;
    }
    for warning in look.warnings {
        writeln!(out, "\n- {}", text(&format!("warning: {warning}")))?;
    }
    Ok(())
}

fn html(report: &Report<'_>, since: &Since, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let text = inert::html;
    out.write_all(super::html::HEAD.as_bytes())?;
    writeln!(out, "<h1>Waste report: what changed</h1>\n<p>{}</p>", text(&against(since)))?;
    writeln!(out, "<table class=\"figures\">")?;
    for [name, count, money] in figures(since) {
        writeln!(out, "<tr><td>{name}</td><td class=\"n\">{count}</td><td>{}</td></tr>", text(&money))?;
    }
    writeln!(out, "</table>")?;
    if let Some(said) = not_compared(since) {
        writeln!(out, "<p>{}</p>", text(&said))?;
    }
    if since.is_empty() {
        writeln!(out, "<p>Nothing changed.</p>")?;
    }
    for (name, changes) in lists(since).into_iter().filter(|(_, changes)| !changes.is_empty()) {
        writeln!(out, "<h2>{}{}</h2>\n<table><tr>", name[..1].to_uppercase(), &name[1..])?;
        for head in HEADER {
            write!(out, "<th>{}</th>", head.to_lowercase())?;
        }
        writeln!(out, "</tr>")?;
        let shown = if look.all { changes.len() } else { changes.len().min(SHOWN) };
        for change in &changes[..shown] {
            writeln!(
                out,
                "<tr>{}</tr>",
                cells(report, change).map(|cell| format!("<td>{}</td>", text(&cell))).concat()
            )?;
        }
        writeln!(out, "</table>")?;
        if changes.len() > shown {
            writeln!(out, "<p>… and {}</p>", counted((changes.len() - shown) as u64, "more"))?;
        }
    }
    writeln!(out, "<ul>")?;
    for (cause, (listings, questions)) in report.blind() {
        let line = format!("blind: {cause}: {}", summary::blind(listings, questions));
        writeln!(out, "<li class=\"blind\">{}</li>", text(&line))?;
    }
    for warning in look.warnings {
        writeln!(out, "<li>{}</li>", text(warning))?;
    }
    writeln!(out, "</ul>\n</body></html>")
}

const COLUMNS: [&str; 26] = [
    "change",
    "why",
    "says",
    "policy",
    "detector",
    "resource_id",
    "native_id",
    "uid",
    "kind",
    "cloud",
    "account",
    "account_name",
    "region",
    "name",
    "then_verdict",
    "then_monthly_cost",
    "then_currency",
    "then_cost_basis",
    "then_decision",
    "then_owner",
    "now_verdict",
    "now_monthly_cost",
    "now_currency",
    "now_cost_basis",
    "now_decision",
    "now_owner",
];

/// A row a change.
fn csv(report: &Report<'_>, since: &Since, out: &mut impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for (name, changes) in [("new", &since.new), ("gone", &since.gone), ("changed", &since.changed)] {
        for change in changes {
            let what = change.what.iter().map(|what| what.name()).collect::<Vec<_>>().join(" ");
            let mut cells: Vec<&str> = vec![
                name,
                match change.why {
                    Some(why) => why.name(),
                    None => &what,
                },
                &change.says,
                &change.policy,
                &change.detector,
                &change.resource,
                &change.native_id,
                &change.uid,
                &change.kind,
                change.cloud.name(),
                &change.account,
                report.account_name(change.cloud, &change.account).unwrap_or_default(),
                &change.region,
                change.name.as_deref().unwrap_or_default(),
            ];
            let (then, now) = (stood(change.then.as_ref()), stood(change.now.as_ref()));
            cells.extend(then.iter().chain(&now).map(AsRef::as_ref));
            writer.write_record(cells.into_iter().map(|cell| inert::csv(cell).into_owned()))?;
        }
    }
    writer.flush()
}

fn stood(stood: Option<&Stood>) -> [Cow<'_, str>; 6] {
    let Some(Stood { verdict, monthly_cost, owner, decision }) = stood else { return [const { Cow::Borrowed("") }; 6] };
    let MonthlyCost { amount, currency, basis } = monthly_cost;
    [
        verdict.name().into(),
        amount.map(|amount| amount.to_string()).unwrap_or_default().into(),
        currency.into(),
        basis.name().into(),
        decision.act.as_str().into(),
        owner.name.as_deref().unwrap_or_default().into(),
    ]
}
