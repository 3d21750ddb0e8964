//! One page for a browser: no script, nothing fetched, foreign text escaped.

use super::{
    Look, inert,
    summary::{self, Summary, counted, dollars, grouped},
};
use std::io::{self, Write};
use sweeper_core::report::{Report, Seen};

/// Findings shown without `--all`.
const SHOWN: usize = 500;

/// The policy forbids everything but the page's own style, whatever a name might smuggle in.
pub(super) const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Waste report</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1c2430 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dde3ea }
td { overflow-wrap: anywhere } .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.figures td { font-size: 1.1rem } .blind { color: #9a3412 }
@media (prefers-color-scheme: dark) { body { background: #12161c; color: #d7dee8 } th, td { border-color: #2b3440 } .blind { color: #fdba74 } }
</style></head><body>
"#;

pub fn write(report: &Report<'_>, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let summary = Summary::of(report, look.all);
    let totals = report.totals();
    let text = inert::html;
    out.write_all(HEAD.as_bytes())?;
    writeln!(out, "<h1>Waste report</h1>")?;
    writeln!(
        out,
        "<p>{}, {}, {}, {}</p>",
        text(&report.run.tool),
        counted(summary.accounts.len() as u64, "account"),
        counted(summary.regions.len() as u64, "region"),
        report.survey().taken_at
    )?;
    writeln!(out, "<table class=\"figures\">")?;
    for (name, figure, what) in [
        ("firm", dollars(totals.firm), "a month would be gone from the bill"),
        ("up to", dollars(totals.up_to), "a month more: upper bounds, as of snapshots"),
        ("unpriced", grouped(totals.unpriced), "resources without a known price"),
    ] {
        writeln!(out, "<tr><td>{name}</td><td class=\"n\">{figure}</td><td>{what}</td></tr>")?;
    }
    writeln!(out, "</table>")?;
    for line in summary::held(report) {
        writeln!(out, "<p>{}</p>", text(&line))?;
    }
    let told = summary::told(report);
    if !told.is_empty() {
        writeln!(out, "<h2>Watched</h2>\n<ul>")?;
        told.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", text(line)))?;
        writeln!(out, "</ul>")?;
    }
    let slo = summary::slo(report);
    if !slo.is_empty() {
        writeln!(out, "<h2>Objectives</h2>\n<ul>")?;
        slo.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", text(line)))?;
        writeln!(out, "</ul>")?;
    }
    if !summary.detectors.is_empty() {
        writeln!(
            out,
            "<h2>Detectors</h2>\n<table><tr><th>detector</th><th class=\"n\">findings</th><th class=\"n\">firm</th><th class=\"n\">up to</th><th class=\"n\">unpriced</th></tr>"
        )?;
        for (name, group) in &summary.detectors {
            writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                text(name),
                grouped(group.findings),
                dollars(group.sum.firm),
                dollars(group.sum.up_to),
                grouped(group.sum.unpriced)
            )?;
        }
        writeln!(out, "</table>")?;
    }
    writeln!(out, "<h2>Findings</h2>")?;
    if report.is_empty() {
        writeln!(out, "<p>Nothing found.</p>")?;
    } else {
        rows(report, &summary, look.all, out)?;
    }
    if !summary.unjudged.is_empty() {
        writeln!(out, "<h2>Not judged</h2>\n<ul>")?;
        for (cause, unjudged) in &summary.unjudged {
            let fix = summary::fix(cause);
            let fix = if fix.is_empty() { String::new() } else { format!("; fix: {fix}") };
            let line = format!("{} not judged: {cause}{}{fix}", unjudged.subject(), unjudged.stake());
            writeln!(out, "<li>{}</li>", text(&line))?;
        }
        writeln!(out, "</ul>")?;
    }
    let words = [Seen::Complete, Seen::None, Seen::Waived, Seen::Blind]
        .map(|seen| format!("{} {}", grouped(summary.coverage.get(&seen).copied().unwrap_or(0)), seen.name()));
    writeln!(out, "<h2>Coverage</h2>\n<p>{}</p>\n<ul>", words.join(", "))?;
    for (cause, not_seen) in &summary.not_seen {
        let line = format!("blind: {cause}: {}", summary::blind(not_seen.listings, not_seen.questions));
        writeln!(out, "<li class=\"blind\">{}</li>", text(&line))?;
    }
    for warning in look.warnings {
        writeln!(out, "<li>{}</li>", text(warning))?;
    }
    writeln!(out, "</ul>\n<p>{}</p>\n</body></html>", text(&summary::cost(report)))
}

fn rows(report: &Report<'_>, summary: &Summary, all: bool, out: &mut impl Write) -> io::Result<()> {
    let text = inert::html;
    let shown = if all { summary.rows.len() } else { summary.rows.len().min(SHOWN) };
    if shown > 0 {
        writeln!(
            out,
            "<table><tr><th class=\"n\">a month</th><th>policy</th><th>resource</th><th>account</th><th>region</th><th>owner</th><th>since</th><th>decision</th></tr>"
        )?;
    }
    for row in &summary.rows[..shown] {
        let Some(glance) = report.glance(*row) else { continue };
        let Some(finding) = report.finding(&glance) else { continue };
        let resource = finding.resource;
        let what = summary::titled(&resource.native_id, resource.name.as_deref());
        let account = report.account_name(resource.cloud, &resource.account).unwrap_or(&resource.account);
        write!(out, "<tr><td class=\"n\">{}</td>", text(&summary::saving(glance.saving)))?;
        for cell in [
            &*finding.policy,
            &what,
            account,
            &resource.region,
            finding.owner.name.as_deref().unwrap_or("nobody"),
            &summary::day(finding.since.as_deref()),
            &summary::decision(&finding.decision.act, &finding.decision.reason, glance.reason),
        ] {
            write!(out, "<td>{}</td>", text(cell))?;
        }
        writeln!(out, "</tr>")?;
    }
    if shown > 0 {
        writeln!(out, "</table>")?;
    }
    if summary.rows.len() > shown {
        writeln!(out, "<p>… and {}</p>", counted((summary.rows.len() - shown) as u64, "more finding"))?;
    }
    for ((policy, _, account), count) in &summary.hygiene {
        writeln!(out, "<p>{}: {} in {}</p>", text(policy), counted(*count, "resource"), text(account))?;
    }
    if summary.pennies > 0 {
        writeln!(out, "<p>Free hygiene: {}, under $1 a month each.</p>", grouped(summary.pennies))?;
    }
    Ok(())
}
