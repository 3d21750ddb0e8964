//! The screen: three figures first, then where they come from, then what was not seen.

use super::{
    Look, inert,
    summary::{self, Summary, counted, dollars, grouped},
};
use std::io::{self, Write};
use sweeper_core::{
    model::CloudId,
    report::{Report, Seen},
};
use tabled::{
    builder::Builder,
    settings::{Alignment, Padding, Style, object::Columns},
};
use unicode_width::UnicodeWidthStr as _;

/// Rows of the smaller tables.
const TOP: usize = 8;
/// Findings shown without `--all`.
const SHOWN: usize = 40;
/// Findings laid out at once with `--all`.
const CHUNK: usize = 500;
/// A terminal narrower than this is taken to be this wide.
pub(super) const NARROWEST: usize = 40;
const GAP: usize = 2;
/// A column of text is not cut below this while another can give way.
const SMALLEST: usize = 8;

pub fn write(report: &Report<'_>, look: Look<'_>, out: &mut impl Write) -> io::Result<()> {
    let width = look.width.max(NARROWEST);
    let summary = Summary::of(report, look.all);
    let mut page = Page { out, width };
    head(report, &summary, &mut page)?;
    watches(report, &mut page)?;
    objectives(report, &mut page)?;
    clouds(&summary, &mut page)?;
    detectors(&summary, &mut page)?;
    scopes(report, &summary, &mut page)?;
    findings(report, &summary, look.all, &mut page)?;
    unknowns(&summary, &mut page)?;
    coverage(&summary, &mut page)?;
    page.say(0, &summary::cost(report))?;
    warnings(look.warnings, &mut page)
}

/// A screen of a width.
pub(super) struct Page<'w, W> {
    pub(super) out: &'w mut W,
    pub(super) width: usize,
}

impl<W: Write> Page<'_, W> {
    /// A paragraph, wrapped; lines after the first are indented.
    pub(super) fn say(&mut self, indent: usize, text: &str) -> io::Result<()> {
        let text = inert::line(text);
        let mut line = " ".repeat(indent);
        let mut begun = false;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if begun && line.width() + 1 + word.width() > self.width {
                writeln!(self.out, "{}", line.trim_end())?;
                line = " ".repeat(indent + 2);
                begun = false;
            }
            if begun {
                line.push(' ');
            }
            let room = self.width.saturating_sub(line.width());
            line.push_str(&inert::cut(word, room));
            begun = true;
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// A table of cells that are text of any sort. `right` columns hold figures.
    pub(super) fn table(
        &mut self,
        header: &[&str],
        rows: &[Vec<String>],
        right: &[usize],
        widths: &[usize],
    ) -> io::Result<()> {
        let mut builder = Builder::default();
        let cells = |row: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            row.zip(widths).map(|(cell, width)| inert::cut(cell, *width)).collect()
        };
        if !header.is_empty() {
            builder.push_record(cells(&mut header.iter().copied()));
        }
        for row in rows {
            builder.push_record(cells(&mut row.iter().map(String::as_str)));
        }
        let mut table = builder.build();
        table.with(Style::empty()).with(Alignment::left()).with(Padding::new(0, GAP, 0, 0));
        for column in right {
            table.modify(Columns::one(*column), Alignment::right());
        }
        for line in table.to_string().lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }
}

/// The widths of columns whose cells want so much, together within `total`: the widest give way, none below
/// its floor while another is above its own. Figures give way last: a figure cut off is another figure.
pub(super) fn fit(
    header: &[&str],
    rows: &[Vec<String>],
    figures: &[usize],
    floors: &[usize],
    total: usize,
) -> Vec<usize> {
    let columns = header.len();
    let mut cells = vec![0; columns];
    for row in rows {
        for (width, cell) in cells.iter_mut().zip(row) {
            *width = (*width).max(inert::line(cell).width());
        }
    }
    let room = (total + GAP).saturating_sub(GAP * columns).max(columns);
    // A name of a megabyte must not take a million steps.
    let mut widths: Vec<usize> =
        header.iter().zip(&cells).map(|(head, cell)| head.width().max(*cell).min(room)).collect();
    let is_figure = |column: usize| figures.contains(&column);
    let floor = |column: usize| {
        if is_figure(column) { cells[column] } else { floors.get(column).copied().unwrap_or(SMALLEST) }
    };
    let spare: [&dyn Fn(usize) -> usize; 3] =
        [&floor, &|column| if is_figure(column) { cells[column] } else { 1 }, &|_| 1];
    for least in spare {
        while widths.iter().sum::<usize>() > room {
            let above = (0..columns).filter(|column| widths[*column] > least(*column));
            let Some(widest) = above.max_by_key(|column| widths[*column]) else { break };
            widths[widest] -= 1;
        }
    }
    widths
}

fn head<W: Write>(report: &Report<'_>, summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    let totals = report.totals();
    page.say(
        0,
        &format!(
            "{}: {}, {}, {}",
            report.run.tool,
            summary::looked_at(&summary.accounts),
            counted(summary.regions.len() as u64, "region"),
            report.survey().taken_at
        ),
    )?;
    page.blank()?;
    let rows = [
        ("firm", dollars(totals.firm), "a month would be gone from the bill"),
        ("up to", dollars(totals.up_to), "a month more: upper bounds, as of snapshots"),
        ("unpriced", grouped(totals.unpriced), "resources without a known price"),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, figure, what)| vec![format!("  {name}"), figure, what.to_owned()]).collect();
    let widths = fit(&["", "", ""], &rows, &[1], &[0, 0, 1], page.width);
    page.table(&[], &rows, &[1], &widths)?;
    for line in summary::held(report) {
        page.say(2, &line)?;
    }
    Ok(())
}

fn watches<W: Write>(report: &Report<'_>, page: &mut Page<'_, W>) -> io::Result<()> {
    let told = summary::told(report);
    if told.is_empty() {
        return Ok(());
    }
    page.blank()?;
    told.iter().try_for_each(|line| page.say(0, line))
}

fn objectives<W: Write>(report: &Report<'_>, page: &mut Page<'_, W>) -> io::Result<()> {
    let slo = summary::slo(report);
    let Some((first, rest)) = slo.split_first() else { return Ok(()) };
    page.blank()?;
    page.say(0, first)?;
    rest.iter().try_for_each(|line| page.say(2, line))
}

fn sums(sum: &sweeper_core::report::Sum) -> [String; 3] {
    [dollars(sum.firm), dollars(sum.up_to), grouped(sum.unpriced)]
}

/// Where there are several, what is found in each.
fn clouds<W: Write>(summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    if summary.clouds.len() < 2 {
        return Ok(());
    }
    page.blank()?;
    let header = ["CLOUD", "FINDINGS", "FIRM/MONTH", "UP TO/MONTH", "UNPRICED"];
    let rows: Vec<Vec<String>> = summary
        .clouds
        .iter()
        .map(|(cloud, group)| {
            let [firm, up_to, unpriced] = sums(&group.sum);
            vec![cloud.name().to_owned(), grouped(group.findings), firm, up_to, unpriced]
        })
        .collect();
    let widths = fit(&header, &rows, &[1, 2, 3, 4], &[], page.width);
    page.table(&header, &rows, &[1, 2, 3, 4], &widths)
}

fn detectors<W: Write>(summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    if summary.detectors.is_empty() {
        return Ok(());
    }
    page.blank()?;
    let header = ["DETECTOR", "FINDINGS", "FIRM/MONTH", "UP TO/MONTH", "UNPRICED"];
    let rows: Vec<Vec<String>> = summary
        .detectors
        .iter()
        .take(TOP)
        .map(|(name, group)| {
            let [firm, up_to, unpriced] = sums(&group.sum);
            vec![name.clone(), grouped(group.findings), firm, up_to, unpriced]
        })
        .collect();
    let widths = fit(&header, &rows, &[1, 2, 3, 4], &[], page.width);
    page.table(&header, &rows, &[1, 2, 3, 4], &widths)?;
    more(summary.detectors.len(), "detector", page)
}

fn more<W: Write>(all: usize, noun: &str, page: &mut Page<'_, W>) -> io::Result<()> {
    if all > TOP {
        page.say(0, &format!("… and {}", counted((all - TOP) as u64, &format!("more {noun}"))))?;
    }
    Ok(())
}

/// `main (111111111111)`.
fn account(report: &Report<'_>, cloud: CloudId, id: &str) -> String {
    let short = summary::short_account(id);
    report.account_name(cloud, id).map_or_else(|| id.to_owned(), |name| format!("{name} ({short})"))
}

fn scopes<W: Write>(report: &Report<'_>, summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    if summary.scopes.is_empty() {
        return Ok(());
    }
    page.blank()?;
    let header = ["ACCOUNT", "REGION", "FINDINGS", "FIRM/MONTH", "UP TO/MONTH", "UNPRICED"];
    let rows: Vec<Vec<String>> = summary
        .scopes
        .iter()
        .take(TOP)
        .map(|(cloud, id, region, group)| {
            let [firm, up_to, unpriced] = sums(&group.sum);
            vec![account(report, *cloud, id), region.clone(), grouped(group.findings), firm, up_to, unpriced]
        })
        .collect();
    let widths = fit(&header, &rows, &[2, 3, 4, 5], &[], page.width);
    page.table(&header, &rows, &[2, 3, 4, 5], &widths)?;
    more(summary.scopes.len(), "scope", page)
}

fn findings<W: Write>(report: &Report<'_>, summary: &Summary, all: bool, page: &mut Page<'_, W>) -> io::Result<()> {
    page.blank()?;
    if report.is_empty() {
        // An empty list of what nobody saw is no all-clear.
        let blind = summary.coverage.keys().all(|seen| *seen == Seen::Blind);
        return page.say(0, if blind { "Nothing was seen." } else { "Nothing found." });
    }
    let header = ["COST/MONTH", "DETECTOR", "RESOURCE", "ACCOUNT", "REGION", "OWNER", "FOR", "DECISION"];
    // Where all is of one account, the column says nothing.
    let mut columns: Vec<usize> =
        (0..header.len()).filter(|column| *column != ACCOUNT || summary.accounts.len() > 1).collect();
    // On a narrow screen fewer columns are of more use than all of them cut to nothing.
    let mut left_out: Vec<&str> = Vec::new();
    for column in GIVE_WAY {
        let wanted = columns.iter().map(|column| FLOORS[*column] + GAP).sum::<usize>() - GAP;
        if wanted > page.width && columns.contains(&column) {
            columns.retain(|kept| *kept != column);
            left_out.push(header[column]);
        }
    }
    let header: Vec<&str> = columns.iter().map(|column| header[*column]).collect();
    let floors: Vec<usize> = columns.iter().map(|column| FLOORS[*column]).collect();
    let figures: Vec<usize> = (0..columns.len()).filter(|at| FIGURES.contains(&columns[*at])).collect();
    let shown = if all { summary.rows.len() } else { summary.rows.len().min(SHOWN) };
    let mut widths = Vec::new();
    for (chunk, rows) in summary.rows[..shown].chunks(CHUNK).enumerate() {
        let mut cells: Vec<Vec<String>> = rows
            .iter()
            .filter_map(|row| cells(report, *row))
            .map(|mut cells| columns.iter().map(|column| std::mem::take(&mut cells[*column])).collect())
            .collect();
        let first = chunk == 0;
        if first {
            widths = fit(&header, &cells, &figures, &floors, page.width);
        } else if let Some(row) = cells.first_mut() {
            // Later chunks keep the widths of the first: one row is filled up with blanks.
            for (cell, width) in row.iter_mut().zip(&widths) {
                let blanks = width.saturating_sub(inert::line(cell).width());
                cell.push_str(&" ".repeat(blanks));
            }
        }
        page.table(if first { &header } else { &[] }, &cells, &figures, &widths)?;
    }
    if !left_out.is_empty() {
        let left_out = left_out.join(", ").to_lowercase();
        page.say(0, &format!("left out for the width: {left_out}"))?;
    }
    let rest = summary.rows.len() - shown;
    if rest > 0 {
        page.say(0, &format!("… and {}: --all", counted(rest as u64, "more finding")))?;
    }
    for ((policy, cloud, id), count) in &summary.hygiene {
        let account = account(report, *cloud, id);
        page.say(0, &format!("{policy}: {} in {account}", counted(*count, "resource")))?;
    }
    if summary.pennies > 0 {
        page.say(0, &format!("free hygiene: {}, under $1 a month each: --all", grouped(summary.pennies)))?;
    }
    Ok(())
}

/// The place of the account in [`cells`].
const ACCOUNT: usize = 3;
/// Those of [`cells`] that are figures.
const FIGURES: [usize; 2] = [0, 6];
/// What each of [`cells`] needs to be of use; most ids of one account and region fit in theirs.
const FLOORS: [usize; 8] = [10, 12, 22, 7, 9, 8, 4, 8];
/// Which of [`cells`] a narrow screen does without, the first first.
const GIVE_WAY: [usize; 5] = [6, 7, 5, 4, ACCOUNT];

fn cells(report: &Report<'_>, row: u32) -> Option<[String; 8]> {
    let glance = report.glance(row)?;
    let finding = report.finding(&glance)?;
    let resource = finding.resource;
    let what = summary::titled(&resource.native_id, resource.name.as_deref());
    let detector = if finding.detector == "condition" { finding.policy } else { finding.detector };
    let owner = finding.owner.name.unwrap_or_else(|| match finding.owner.from.as_str() {
        "unknown" => "unknown".to_owned(),
        _ => "nobody".to_owned(),
    });
    Some([
        summary::saving(glance.saving),
        detector,
        what,
        report.account_name(resource.cloud, &resource.account).map_or(resource.account, str::to_owned),
        resource.region,
        owner,
        summary::age(finding.since.as_deref(), report.parts().now),
        summary::decision(&finding.decision.act, &finding.decision.reason, glance.reason),
    ])
}

fn unknowns<W: Write>(summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    if summary.unjudged.is_empty() {
        return Ok(());
    }
    page.blank()?;
    for (cause, unjudged) in &summary.unjudged {
        let fix = summary::fix(cause);
        let fix = if fix.is_empty() { String::new() } else { format!("; fix: {fix}") };
        page.say(0, &format!("{} not judged: {cause}{}{fix}", unjudged.subject(), unjudged.stake()))?;
    }
    Ok(())
}

pub(super) fn coverage<W: Write>(summary: &Summary, page: &mut Page<'_, W>) -> io::Result<()> {
    page.blank()?;
    let words = [Seen::Complete, Seen::None, Seen::Waived, Seen::Blind]
        .map(|seen| format!("{} {}", grouped(summary.coverage.get(&seen).copied().unwrap_or(0)), seen.name()));
    page.say(0, &format!("coverage: {}", words.join(", ")))?;
    for (cause, not_seen) in &summary.not_seen {
        let mut parts = Vec::new();
        if not_seen.listings > 0 {
            let rest = not_seen.listings.saturating_sub(not_seen.first.len() as u64);
            let rest = if rest > 0 { format!(" and {} more", grouped(rest)) } else { String::new() };
            parts.push(format!("{}{rest}", not_seen.first.join(", ")));
        }
        if not_seen.questions > 0 {
            parts.push(counted(not_seen.questions, "unanswered question"));
        }
        page.say(2, &format!("blind: {cause}: {}", parts.join("; ")))?;
    }
    Ok(())
}

pub(super) fn warnings<W: Write>(warnings: &[String], page: &mut Page<'_, W>) -> io::Result<()> {
    if warnings.is_empty() {
        return Ok(());
    }
    page.blank()?;
    for warning in warnings {
        page.say(0, &format!("warning: {warning}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn figures_give_way_last() {
        let header = ["DETECTOR", "FINDINGS", "FIRM/MONTH", "UP TO/MONTH", "UNPRICED"];
        let rows = [row(&["targetless-load-balancer", "54", "$1,265.40", "$500.00", "6"])];
        assert_eq!(fit(&header, &rows, &[1, 2, 3, 4], &[], 80), [24, 8, 10, 11, 8]);
        let narrow = fit(&header, &rows, &[1, 2, 3, 4], &[], 40);
        assert_eq!(narrow.iter().sum::<usize>() + 4 * GAP, 40);
        assert!(narrow[2] >= "$1,265.40".len() && narrow[3] >= "$500.00".len(), "{narrow:?}");
    }

    #[test]
    fn an_id_is_whole_on_eighty_columns() {
        let kept: Vec<usize> = (0..FLOORS.len()).filter(|column| ![6, 7].contains(column)).collect();
        let rows = [row(&[
            "$645.00",
            "previous-generation-disk",
            "vol-0123456789abcdef0 a name",
            "product",
            "us-east-1",
            "platform@shop.example",
        ])];
        let header = ["COST/MONTH", "DETECTOR", "RESOURCE", "ACCOUNT", "REGION", "OWNER"];
        let floors: Vec<usize> = kept.iter().map(|column| FLOORS[*column]).collect();
        let widths = fit(&header, &rows, &[0], &floors, 80);
        assert!(widths[2] >= 22, "{widths:?}");
        assert_eq!(widths.iter().sum::<usize>() + 5 * GAP, 80);
    }
}
