//! Notices: who is told what, and how it goes out.
//!
//! A notice says what will become of a resource, from when, and how its owner keeps it. Grace begins when every channel
//! that the policy names has delivered it, and not before.

pub mod deliver;

use crate::{
    config::Channel,
    exit::Failure,
    render::{inert, summary},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};
use sweeper_core::{
    engine::Outcome,
    ledger::{Fingerprint, LedgerKey, LedgerSlice, Told},
    model::{DAY, Timestamp},
    money::Amount,
    policy::{self, Costs as _, IN_GRACE, NOT_TOLD, PolicySet, Verb},
    report::{EvidenceOf, MonthlyCost, Report},
};

/// The format of a notice for programs.
pub const FORMAT: &str = "sweeper.notice/1";
/// For how long a notice proposes to keep something, days.
const PROPOSED: i64 = 60;

/// A notice, to one owner by one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub format: &'static str,
    pub run: String,
    pub channel: String,
    /// Null where nobody is known.
    pub to: Option<String>,
    pub made: String,
    /// US dollars a month of what is new, where it is known.
    pub monthly_usd: Amount,
    /// What the owner is told for the first time, dearest first.
    pub new: Vec<Item>,
    /// What the owner was told before, and is not done yet.
    pub pending: Vec<Item>,
    /// The same for people.
    pub text: String,
}

/// One resource of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub policy: String,
    /// `delete`, `stop`, `tag`, `set-retention`.
    #[serde(rename = "do")]
    pub verb: &'static str,
    /// `<kind>:<account>/<region>/<native id>`.
    pub resource: String,
    pub name: Option<String>,
    pub account_name: Option<String>,
    pub since: Option<String>,
    pub monthly_cost: MonthlyCost,
    pub evidence: Vec<EvidenceOf>,
    /// What happens, when.
    pub happens: String,
    /// A command that keeps it.
    pub keep: String,
}

/// What an owner is to be told.
pub struct Digest {
    pub to: Option<String>,
    /// Dearest first.
    new: Vec<Row>,
    pending: Vec<Row>,
}

/// One row of a digest, with what the ledger remembers of its notice.
struct Row {
    item: Item,
    channels: BTreeSet<String>,
    key: LedgerKey,
    fingerprint: Fingerprint,
}

/// Policies that name a channel that is not there: an error where there are channels, since nobody would be told, and
/// a warning where there are none at all, as on a laptop.
pub fn unknown_channels(set: &PolicySet, channels: &[Channel]) -> Result<Vec<String>, Failure> {
    let mut unknown: BTreeMap<&str, &str> = BTreeMap::new();
    for policy in set.policies.iter().filter(|policy| policy.then != Verb::Report) {
        for name in policy.tell.iter().filter(|name| !channels.iter().any(|channel| channel.name == **name)) {
            unknown.entry(name).or_insert(&policy.name);
        }
    }
    let said = unknown.iter().map(|(name, policy)| format!("policy `{policy}` tells `{name}`, which is no channel"));
    let said: Vec<String> = said.collect();
    if said.is_empty() || channels.is_empty() {
        return Ok(said.into_iter().map(|said| format!("{said}: nobody is told")).collect());
    }
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    Err(Failure::usage(said.join("; ")).help(format!("channels of the config: {}", names.join(", "))))
}

/// What each owner is to be told, whose new findings are dearest first. Only owners with something new are told.
/// A policy that names no channel tells by the first.
pub fn digests(outcome: &Outcome, report: &Report<'_>, channels: &[Channel]) -> Vec<Digest> {
    let mut owners: BTreeMap<Option<String>, Digest> = BTreeMap::new();
    let calendar = &outcome.sealed.house.calendar;
    for glance in report.glances() {
        let policy = glance.policy;
        let is_new = glance.reason == NOT_TOLD;
        if !is_new && glance.reason != IN_GRACE {
            continue;
        }
        let Some(finding) = report.finding(&glance) else { continue };
        let resource = glance.resource;
        let grace = policy::grace(policy, finding.owner.from.starts_with("tag "));
        let happens = if is_new {
            happens(policy.then, calendar.grace_ends(outcome.now, grace, resource.scope()))
        } else {
            format!("{}: {}", policy.then.name(), finding.decision.reason)
        };
        let cost = outcome.sealed.costs.monthly(resource);
        let until = outcome.now.plus(PROPOSED.min(i64::from(outcome.sealed.house.max_keep_days)) * DAY).date();
        let item = Item {
            policy: policy.name.clone(),
            verb: policy.then.name(),
            name: finding.resource.name,
            account_name: report.account_name(resource.cloud(), resource.account()).map(str::to_owned),
            since: finding.since,
            monthly_cost: finding.monthly_cost,
            evidence: finding.evidence,
            happens,
            keep: format!("sweeper keep {} --until {until} --reason '…'", quoted(&finding.resource.id)),
            resource: finding.resource.id,
        };
        let mut by: BTreeSet<String> = policy.tell.iter().cloned().collect();
        if by.is_empty() {
            by.extend(channels.first().map(|channel| channel.name.clone()));
        }
        let to = finding.owner.name;
        let row = Row {
            item,
            channels: by,
            key: LedgerKey::new(&policy.rule, &resource),
            fingerprint: Fingerprint::of(policy, resource, to.as_deref(), &cost),
        };
        let digest = owners.entry(to.clone()).or_insert_with(|| Digest { to, new: Vec::new(), pending: Vec::new() });
        if is_new { digest.new.push(row) } else { digest.pending.push(row) }
    }
    let mut digests: Vec<Digest> = owners.into_values().filter(|digest| !digest.new.is_empty()).collect();
    for digest in &mut digests {
        for rows in [&mut digest.new, &mut digest.pending] {
            rows.sort_by_key(|row| (std::cmp::Reverse(usd(&row.item)), row.item.resource.clone()));
        }
    }
    digests.sort_by_key(|digest| (std::cmp::Reverse(digest.monthly()), digest.to.clone()));
    digests
}

impl Digest {
    fn monthly(&self) -> Amount {
        sum(&self.new.iter().collect::<Vec<_>>())
    }

    /// The channels that something new goes by.
    pub fn channels(&self) -> BTreeSet<&str> {
        self.new.iter().flat_map(|row| &row.channels).map(String::as_str).collect()
    }

    /// What goes out by one channel.
    pub fn notice(&self, channel: &str, run: &str, made: Timestamp) -> Notice {
        let of = |rows: &[Row]| -> Vec<Item> {
            rows.iter().filter(|row| row.channels.contains(channel)).map(|row| row.item.clone()).collect()
        };
        let new: Vec<&Row> = self.new.iter().filter(|row| row.channels.contains(channel)).collect();
        let mut notice = Notice {
            format: FORMAT,
            run: run.to_owned(),
            channel: channel.to_owned(),
            to: self.to.clone(),
            made: made.to_string(),
            monthly_usd: sum(&new),
            new: of(&self.new),
            pending: of(&self.pending),
            text: String::new(),
        };
        notice.text = text(&notice);
        notice
    }

    /// The marks of what is new, where every channel that it goes by has delivered.
    pub fn marks(&self, delivered: &BTreeSet<&str>, at: Timestamp) -> Vec<(LedgerKey, Told)> {
        let told = self.new.iter().filter(|row| row.channels.iter().all(|name| delivered.contains(name.as_str())));
        told.map(|row| {
            let channels: Vec<&str> = row.channels.iter().map(String::as_str).collect();
            let told = Told {
                policy: Arc::from(row.item.policy.as_str()),
                at,
                channel: Arc::from(channels.join(",")),
                to: Arc::from(self.to.as_deref().unwrap_or_default()),
                fingerprint: row.fingerprint.clone(),
            };
            (row.key.clone(), told)
        })
        .collect()
    }
}

/// How many notices a channel has carried in the 24 hours before.
pub fn carried(ledger: &LedgerSlice, channel: &str, now: Timestamp) -> usize {
    let told = ledger.iter().flat_map(|(_, sighting)| sighting.told.iter());
    let lately = told.filter(|told| now.since(told.at) < DAY && told.channel.split(',').any(|own| own == channel));
    lately.map(|told| (Arc::clone(&told.to), told.at)).collect::<BTreeSet<_>>().len()
}

fn happens(verb: Verb, ends: Option<Timestamp>) -> String {
    match ends {
        Some(ends) => format!("{} from {} at the earliest, once a plan is approved", verb.name(), ends.date()),
        None => format!("{} once a plan is approved; the calendar does not say from when", verb.name()),
    }
}

fn usd(item: &Item) -> Option<Amount> {
    item.monthly_cost.amount.filter(|_| item.monthly_cost.currency == "USD")
}

/// Of resources, each once.
fn sum(rows: &[&Row]) -> Amount {
    let mut by_resource: BTreeMap<&str, Amount> = BTreeMap::new();
    for row in rows {
        if let Some(amount) = usd(&row.item) {
            by_resource.insert(&row.item.resource, amount);
        }
    }
    by_resource.into_values().fold(Amount::ZERO, |sum, amount| sum + amount)
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A notice for people. Texts of the cloud are inert in it.
fn text(notice: &Notice) -> String {
    let mut out = String::new();
    let to = notice.to.as_deref().unwrap_or("nobody is known to own these");
    let count = summary::counted(notice.new.len() as u64, "resource");
    let money = summary::dollars(notice.monthly_usd);
    let _ = writeln!(out, "To: {}\nSubject: {count} of yours, {money} a month, found to be waste\n", inert::line(to));
    let _ = writeln!(out, "New: if nobody objects, this is what happens.\n");
    for item in &notice.new {
        said(&mut out, item);
    }
    if !notice.pending.is_empty() {
        let _ = writeln!(out, "Told before, and not done yet:\n");
        for item in &notice.pending {
            said(&mut out, item);
        }
    }
    let _ = writeln!(out, "What is used again, or is kept, is left alone. Nothing is done without an approved plan.");
    let _ = writeln!(out, "Run {}, {}", inert::line(&notice.run), notice.made);
    out
}

fn said(out: &mut String, item: &Item) {
    let title = summary::titled(&item.resource, item.name.as_deref());
    let money = match usd(item) {
        Some(amount) => format!("{} a month", summary::dollars(amount)),
        None => "unpriced".to_owned(),
    };
    let _ = writeln!(out, "- {}  {money}", inert::line(&title));
    if let Some(name) = &item.account_name {
        let _ = writeln!(out, "  account: {}", inert::line(name));
    }
    let since = item.since.as_deref().map_or_else(String::new, |since| format!(" since {since}"));
    let _ = writeln!(out, "  {}{since}", inert::line(&item.policy));
    for one in item.evidence.iter().take(6) {
        let _ = writeln!(out, "    {}: {}", inert::line(&one.fact), inert::line(&one.value));
    }
    let _ = writeln!(out, "  {}", inert::line(&item.happens));
    let _ = writeln!(
        out,
        "  to keep it: {}\n              or tag it sweeper-keep with that date\n",
        inert::line(&item.keep)
    );
}
