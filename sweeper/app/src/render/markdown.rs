//! A page for pull requests and wikis. Foreign text is escaped, cell by cell.

use super::{
    Look, inert,
    summary::{self, Summary, counted, dollars, grouped},
};
use std::io::{self, Write};
use sweeper_core::report::{Report, Seen};

/// Findings shown without `--all`.
const SHOWN: usize = 100;

pub fn write(report: &Report<'_>, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let summary = Summary::of(report, look.all);
    let totals = report.totals();
    let text = inert::markdown;
    writeln!(out, "# Waste report\n")?;
    writeln!(
        out,
        "{}, {}, {}, {}\n",
        text(&report.run.tool),
        counted(summary.accounts.len() as u64, "account"),
        counted(summary.regions.len() as u64, "region"),
        report.survey().taken_at
    )?;
    writeln!(out, "| figure | a month |\n|---|---:|")?;
    writeln!(out, "| firm | {} |", dollars(totals.firm))?;
    writeln!(out, "| up to | {} |", dollars(totals.up_to))?;
    writeln!(out, "| unpriced | {} |", counted(totals.unpriced, "resource"))?;
    for line in summary::held(report) {
        writeln!(out, "\n{}", text(&line))?;
    }
    let told = summary::told(report);
    if !told.is_empty() {
        writeln!(out, "\n## Watched\n")?;
        told.iter().try_for_each(|line| writeln!(out, "- {}", text(line)))?;
    }
    let slo = summary::slo(report);
    if !slo.is_empty() {
        writeln!(out, "\n## Objectives\n")?;
        slo.iter().try_for_each(|line| writeln!(out, "- {}", text(line)))?;
    }
    if !summary.detectors.is_empty() {
        writeln!(
            out,
            "\n## Detectors\n\n| detector | findings | firm | up to | unpriced |\n|---|---:|---:|---:|---:|"
        )?;
        for (name, group) in &summary.detectors {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                text(name),
                grouped(group.findings),
                dollars(group.sum.firm),
                dollars(group.sum.up_to),
                grouped(group.sum.unpriced)
            )?;
        }
    }
    writeln!(out, "\n## Findings\n")?;
    if report.is_empty() {
        writeln!(out, "Nothing found.")?;
    } else {
        rows(report, &summary, look.all, out)?;
    }
    if !summary.unjudged.is_empty() {
        writeln!(out, "\n## Not judged\n")?;
        for (cause, unjudged) in &summary.unjudged {
            let fix = summary::fix(cause);
            let fix = if fix.is_empty() { String::new() } else { format!("; fix: {fix}") };
            let line = format!("{} not judged: {cause}{}{fix}", unjudged.subject(), unjudged.stake());
            writeln!(out, "- {}", text(&line))?;
        }
    }
    writeln!(out, "\n## Coverage\n")?;
    let words = [Seen::Complete, Seen::None, Seen::Waived, Seen::Blind]
        .map(|seen| format!("{} {}", grouped(summary.coverage.get(&seen).copied().unwrap_or(0)), seen.name()));
    writeln!(out, "{}", words.join(", "))?;
    for (cause, not_seen) in &summary.not_seen {
        let line = format!("blind: {cause}: {}", summary::blind(not_seen.listings, not_seen.questions));
        writeln!(out, "\n- {}", text(&line))?;
    }
    writeln!(out, "\n{}", text(&summary::cost(report)))?;
    if !look.warnings.is_empty() {
        writeln!(out, "\n## Warnings\n")?;
        for warning in look.warnings {
            writeln!(out, "- {}", text(warning))?;
        }
    }
    Ok(())
}

fn rows(report: &Report<'_>, summary: &Summary, all: bool, out: &mut impl Write) -> io::Result<()> {
    let text = inert::markdown;
    let shown = if all { summary.rows.len() } else { summary.rows.len().min(SHOWN) };
    if shown > 0 {
        writeln!(out, "| a month | policy | resource | account | region | owner | since | decision |")?;
        writeln!(out, "|---:|---|---|---|---|---|---|---|")?;
    }
    for row in &summary.rows[..shown] {
        let Some(glance) = report.glance(*row) else { continue };
        let Some(finding) = report.finding(&glance) else { continue };
        let resource = finding.resource;
        let what = summary::titled(&resource.native_id, resource.name.as_deref());
        let account = report.account_name(resource.cloud, &resource.account).unwrap_or(&resource.account);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            summary::saving(glance.saving),
            text(&finding.policy),
            text(&what),
            text(account),
            text(&resource.region),
            text(finding.owner.name.as_deref().unwrap_or("nobody")),
            summary::day(finding.since.as_deref()),
            text(&summary::decision(&finding.decision.act, &finding.decision.reason, glance.reason)),
        )?;
    }
    if summary.rows.len() > shown {
        writeln!(out, "\n… and {}", counted((summary.rows.len() - shown) as u64, "more finding"))?;
    }
    for ((policy, _, account), count) in &summary.hygiene {
        writeln!(out, "\n- {}: {} in {}", text(policy), counted(*count, "resource"), text(account))?;
    }
    if summary.pennies > 0 {
        writeln!(out, "\nFree hygiene: {}, under $1 a month each.", grouped(summary.pennies))?;
    }
    Ok(())
}
