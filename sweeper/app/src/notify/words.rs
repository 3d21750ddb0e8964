//! What a notice says to people, in lines: every form is made of these.

use super::{Alert, Item, Notice, escape::short, notifier::Group, savings, usd};
use crate::render::{
    inert,
    summary::{self, counted, dollars},
};
use std::fmt::Write as _;
use sweeper_core::report::Saving;

/// How many lines of evidence are shown of a resource.
pub const EVIDENCE: usize = 6;

/// The subject: what, how much.
pub fn headline(notice: &Notice) -> String {
    if let [alert] = &notice.alerts[..] {
        return alert_title(alert);
    }
    if !notice.alerts.is_empty() {
        return format!("{} of the bill and of growth", counted(notice.alerts.len() as u64, "alert"));
    }
    let savings = savings(notice.new.iter());
    let count = counted(savings.len() as u64, "resource");
    let unpriced = savings.values().filter(|saving| **saving == Saving::Unpriced).count() as u64;
    let unpriced = if unpriced == 0 { String::new() } else { format!(", {} unpriced", summary::grouped(unpriced)) };
    format!("{count} of yours, {} a month to save{unpriced}", dollars(notice.monthly_usd))
}

/// One line for a ticket.
pub fn title(notice: &Notice, group: &Group<'_>) -> String {
    if let Some(alert) = group.alert {
        return alert_title(alert);
    }
    let whose = notice.to.as_deref().unwrap_or("nobody known");
    let count = counted(savings(group.items.iter().copied()).len() as u64, "resource");
    inert::line(&format!("{}: {count} of {whose}, {} a month", group.policy, dollars(group.monthly))).into_owned()
}

/// What an alert is about.
pub fn alert_title(alert: &Alert) -> String {
    let of = if alert.subject.is_empty() { String::new() } else { format!(" of {}", alert.subject) };
    let stake = alert.amount.map_or_else(String::new, |amount| format!(", {} {}", amount.cents(), alert.currency));
    inert::line(&format!("{}{of}{stake}", alert.policy)).into_owned()
}

/// The name of a resource, for people.
pub fn name(item: &Item) -> String {
    inert::line(&summary::titled(&item.resource, item.name.as_deref())).into_owned()
}

/// What it costs.
pub fn money(item: &Item) -> String {
    match usd(item) {
        Some(amount) => format!("{} a month", dollars(amount)),
        None => "unpriced".to_owned(),
    }
}

/// Which policy found it, where, since when.
pub fn found(item: &Item) -> String {
    let account = item.account_name.as_deref().filter(|name| !name.is_empty());
    let account = account.map_or_else(String::new, |name| format!(" in {name}"));
    let since = item.since.as_deref().map_or_else(String::new, |since| format!(" since {since}"));
    let backlog = if item.backlog { ", before the baseline" } else { "" };
    inert::line(&format!("{}{account}{since}{backlog}", item.policy)).into_owned()
}

/// What stands above the list.
pub fn opening(notice: &Notice) -> String {
    if !notice.alerts.is_empty() {
        return "Watched, and out of the ordinary:".to_owned();
    }
    let backlog = notice.new.iter().filter(|item| item.backlog).count() as u64;
    let told = if backlog == 0 {
        String::new()
    } else {
        format!(" ({} of them from before the baseline)", summary::grouped(backlog))
    };
    format!("New{told}: if nobody objects, this is what happens.")
}

/// What stands below it.
pub fn closing(notice: &Notice) -> Vec<String> {
    let mut lines = Vec::new();
    if notice.more > 0 {
        lines.push(format!("{} more wait for the next notice.", summary::grouped(notice.more)));
    }
    if notice.alerts.is_empty() {
        lines.push(
            "What is used again, or is kept, is left alone. Nothing is done without an approved plan.".to_owned(),
        );
    }
    lines.push(format!("Run {}, {}, notice {}", inert::line(&notice.run), notice.made, notice.id));
    lines
}

/// `3 tries`.
pub fn tries(count: u32) -> String {
    if count == 1 { "1 try".to_owned() } else { format!("{count} tries") }
}

/// The other way to keep something.
pub const TAG: &str = "or tag it sweeper-keep with that date";

/// A notice for people, as plain text. Texts of the cloud are inert in it.
pub fn text(notice: &Notice) -> String {
    let mut out = String::new();
    let to = notice.to.as_deref().unwrap_or(if notice.alerts.is_empty() {
        "nobody is known to own these"
    } else {
        "those who watch"
    });
    let _ = writeln!(out, "To: {}\nSubject: {}\n", inert::line(to), headline(notice));
    let _ = writeln!(out, "{}\n", opening(notice));
    for alert in &notice.alerts {
        let _ = writeln!(out, "- {}: {}\n  {}\n", alert.severity.name(), alert_title(alert), inert::line(&alert.says));
    }
    for item in &notice.new {
        said(&mut out, item);
    }
    if !notice.pending.is_empty() {
        let count = summary::grouped(notice.pending_count);
        let _ = writeln!(out, "Told before, and not done yet, {count} in all:\n");
        for item in &notice.pending {
            said(&mut out, item);
        }
    }
    for line in closing(notice) {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn said(out: &mut String, item: &Item) {
    let _ = writeln!(out, "- {}  {}", name(item), money(item));
    let _ = writeln!(out, "  {}", found(item));
    for one in item.evidence.iter().take(EVIDENCE) {
        let _ = writeln!(out, "    {}: {}", inert::line(&one.fact), inert::line(&one.value));
    }
    let _ = writeln!(out, "  {}", inert::line(&item.happens));
    let _ = writeln!(out, "  to keep it: {}\n              {TAG}\n", inert::line(&item.keep));
}

/// How much is said of each resource: the longest line, characters, and how many lines of evidence. Every resource is
/// named in any case, since what was told of one starts its grace; so a form that has not the room for much says less.
pub const DETAILS: [(usize, usize); 4] = [(1000, EVIDENCE), (300, 2), (120, 0), (40, 0)];

/// A ticket's body as paragraphs of lines.
pub fn paragraphs(notice: &Notice, group: &Group<'_>, (width, evidence): (usize, usize)) -> Vec<Vec<String>> {
    let line = |text: &str| short(&inert::line(text), width);
    let mut all = Vec::new();
    if let Some(alert) = group.alert {
        all.push(vec![line(&alert.says)]);
    } else {
        all.push(vec![opening(notice)]);
    }
    for item in &group.items {
        let mut lines = vec![format!("{}, {}", line(&name(item)), money(item)), line(&found(item))];
        let evidence = item.evidence.iter().take(evidence);
        lines.extend(evidence.map(|one| line(&format!("{}: {}", one.fact, one.value))));
        lines.push(line(&item.happens));
        lines.push(format!("to keep it: {}, {TAG}", line(&item.keep)));
        all.push(lines);
    }
    let run = short(&inert::line(&notice.run), 100);
    all.push(vec![format!("This closes itself when all of it is gone. Run {run}, {}", notice.made)]);
    for lines in &mut all {
        lines.retain(|line| !line.is_empty());
    }
    all.retain(|lines| !lines.is_empty());
    all
}
