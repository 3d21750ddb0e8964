//! Notices: who is told what, and how it goes out.
//!
//! A notice says what will become of a resource, from when, and how its owner keeps it. Grace begins when every channel
//! that the policy names has delivered it, and not before.

pub mod deliver;
pub mod escape;
pub mod notifier;
pub mod outbox;
pub mod quiet;
pub mod secret;
pub mod tell;
pub mod template;
#[cfg(test)]
mod tests;
pub mod wire;
pub mod words;

use crate::{
    config::{Channel, Keys},
    exit::Failure,
};
use notifier::Notifier;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};
use sweeper_core::{
    baseline::Baseline,
    detect::Severity,
    engine::Outcome,
    ledger::{Fingerprint, LedgerKey, Told},
    model::{DAY, Timestamp},
    money::Amount,
    policy::{self, Costs as _, IN_GRACE, NOT_TOLD, PolicySet, Verb, watch},
    report::{EvidenceOf, MonthlyCost, Report, Saving, Verdict},
};

macro_rules! notifiers {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// How a notice goes out.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum By {
            $($name($module::$name)),*
        }

        impl By {
            /// What `by` of a channel may be.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($module)),*];

            /// The keys that one has of its own.
            pub fn keys(by: &str) -> &'static [&'static str] {
                $(if by == stringify!($module) {
                    return $module::KEYS;
                })*
                &[]
            }

            /// Reads one; what is wrong with it is a problem of the config.
            pub fn read(by: &str, keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
                $(if by == stringify!($module) {
                    return $module::$name::read(keys).map(Self::$name);
                })*
                None
            }

            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($module)),*
                }
            }

            pub fn notifier(&self) -> &dyn Notifier {
                match self {
                    $(Self::$name(own) => own),*
                }
            }

            /// What a template for it is escaped for; `None` where it takes none.
            pub fn target(by: &str) -> Option<escape::Target> {
                $(if by == stringify!($module) {
                    return $module::TARGET;
                })*
                None
            }
        }
    };
}

// One file each, and one line here.
notifiers! {
    command::Command,
    file::File,
    github::Github,
    jira::Jira,
    pagerduty::Pagerduty,
    slack::Slack,
    smtp::Smtp,
    teams::Teams,
    webhook::Webhook,
}

/// The format of a notice for programs.
pub const FORMAT: &str = "sweeper.notice/1";
/// For how long a notice proposes to keep something, days.
const PROPOSED: i64 = 60;
/// How many of those that were told before are told again, one by one.
const PENDING: usize = 20;

/// A notice, to one owner by one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub format: &'static str,
    /// The same when it is sent again, because nobody knows whether it arrived: whoever has it drops the second.
    pub id: String,
    pub run: String,
    pub deployment: String,
    pub channel: String,
    /// Null where nobody is known.
    pub to: Option<String>,
    pub made: String,
    /// The highest of what is new.
    pub severity: Severity,
    /// US dollars a month that would be saved of what is new, where it is known: of each resource once.
    pub monthly_usd: Amount,
    /// What the owner is told for the first time: what is new since the baseline first, then dearest first.
    pub new: Vec<Item>,
    /// Of what is new, how many wait for the next notice: this one has no room for them.
    pub more: u64,
    /// What the owner was told before, and is not done yet: the dearest.
    pub pending: Vec<Item>,
    /// How many those are in all.
    pub pending_count: u64,
    /// What policies that watch have found.
    pub alerts: Vec<Alert>,
    /// The same for people.
    pub text: String,
}

/// One resource of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub policy: String,
    pub severity: Severity,
    /// Whether it was there before the baseline.
    pub backlog: bool,
    /// `delete`, `stop`, `tag`, `set-retention`; `report` where nothing is done.
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
    /// What could be saved of it; nothing where it is no waste itself.
    #[serde(skip)]
    pub saving: Saving,
    /// Names its clock in the outbox.
    #[serde(skip)]
    pub row: String,
}

/// What a policy that watches has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    pub policy: String,
    pub severity: Severity,
    /// A service, owner, function, commitment, class; empty for all of the bill.
    pub subject: String,
    pub says: String,
    /// Null where no money is told of.
    pub amount: Option<Amount>,
    pub currency: String,
    #[serde(skip)]
    pub row: String,
}

/// What an owner is to be told, or what watching has come to.
pub struct Digest {
    pub to: Option<String>,
    /// What is new since the baseline first, then dearest first.
    new: Vec<Row>,
    pending: Vec<Row>,
    alerts: Vec<AlertRow>,
}

/// One row of a digest, with what the ledger remembers of its notice.
struct Row {
    item: Item,
    channels: BTreeSet<String>,
    key: LedgerKey,
    fingerprint: Fingerprint,
    /// What of it is told: another once anything of it differs.
    state: String,
}

/// One alert of a digest.
struct AlertRow {
    alert: Alert,
    channels: BTreeSet<String>,
    state: String,
}

/// Texts as one word that no other texts have.
pub fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut out = String::with_capacity(32);
    for byte in &hasher.finalize()[..16] {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A clock of the ledger, as the outbox names it.
pub fn row_of(key: &LedgerKey) -> String {
    let created = key.created().map_or_else(String::new, |created| created.0.to_string());
    hash(&["row", key.rule(), key.kind(), key.account(), key.uid(), &created])
}

/// Policies that name a channel that is not there: an error where there are channels, since nobody would be told, and
/// a warning where there are none at all, as on a laptop.
pub fn unknown_channels(set: &PolicySet, channels: &[Channel]) -> Result<Vec<String>, Failure> {
    let mut unknown: BTreeMap<&str, &str> = BTreeMap::new();
    let telling = set.policies.iter().map(|policy| (&policy.name, &policy.tell));
    for (policy, tell) in telling.chain(set.watches.iter().map(|watch| (&watch.name, &watch.tell))) {
        for name in tell.iter().filter(|name| !channels.iter().any(|channel| channel.name == **name)) {
            unknown.entry(name).or_insert(policy);
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

/// The channels that something of a severity goes by: of those that its policy names, the ones that take it. A policy
/// that acts and names none tells by the first that takes it; one that only reports, by those that want reports.
fn channels_of(tell: &[String], verb: Option<Verb>, severity: Severity, channels: &[Channel]) -> BTreeSet<String> {
    let mut taking = channels.iter().filter(|channel| channel.takes(severity)).map(|channel| &channel.name);
    if verb == Some(Verb::Report) {
        let wants = |channel: &&Channel| {
            channel.takes(severity) && (channel.reports && tell.is_empty() || tell.contains(&channel.name))
        };
        return channels.iter().filter(wants).map(|channel| channel.name.clone()).collect();
    }
    if tell.is_empty() {
        return taking.next().into_iter().cloned().collect();
    }
    taking.filter(|name| tell.contains(name)).cloned().collect()
}

/// What each owner is to be told, whose new findings are dearest first. Only owners with something new are told. What
/// is backlog pages nobody: it is told as a ticket at the most.
pub fn digests(outcome: &Outcome, report: &Report<'_>, channels: &[Channel], baseline: &Baseline) -> Vec<Digest> {
    let mut owners: BTreeMap<Option<String>, Digest> = BTreeMap::new();
    let calendar = &outcome.sealed.house.calendar;
    for glance in report.glances() {
        let policy = glance.policy;
        let resource = glance.resource;
        let sighting = outcome.sealed.ledger.of(&policy.rule, &resource);
        let is_reported = policy.then == Verb::Report && glance.verdict == Verdict::Found && glance.reason == "report";
        // Of what is only reported, without a clock nobody could remember who was told.
        let is_new = glance.reason == NOT_TOLD || is_reported && sighting.is_some();
        if !is_new && glance.reason != IN_GRACE {
            continue;
        }
        let backlog = baseline.is_backlog(&policy.name, sighting.map(|sighting| sighting.first_found));
        let severity = if backlog { policy.severity.min(Severity::Ticket) } else { policy.severity };
        let by = channels_of(&policy.tell, Some(policy.then), severity, channels);
        if is_reported && by.is_empty() {
            continue;
        }
        let Some(finding) = report.finding(&glance) else { continue };
        let grace = policy::grace(policy, finding.owner.from.starts_with("tag "));
        let happens = if is_reported {
            "it is only reported: nothing is done to it".to_owned()
        } else if is_new {
            happens(policy.then, calendar.grace_ends(outcome.now, grace, resource.scope()))
        } else {
            format!("{}: {}", policy.then.name(), finding.decision.reason)
        };
        let cost = outcome.sealed.costs.monthly(resource);
        let until = outcome.now.plus(PROPOSED.min(i64::from(outcome.sealed.house.max_keep_days)) * DAY).date();
        let key = LedgerKey::new(&policy.rule, &resource);
        let item = Item {
            policy: policy.name.clone(),
            severity,
            backlog,
            verb: policy.then.name(),
            name: finding.resource.name,
            account_name: report.account_name(resource.cloud(), resource.account()).map(str::to_owned),
            since: finding.since,
            monthly_cost: finding.monthly_cost,
            evidence: finding.evidence,
            happens,
            keep: format!("sweeper keep {} --until {until} --reason '…'", quoted(&finding.resource.id)),
            resource: finding.resource.id,
            saving: glance.saving,
            row: row_of(&key),
        };
        let to = finding.owner.name;
        let fingerprint = Fingerprint::of(policy, resource, to.as_deref(), &cost);
        let mark = sighting.and_then(|sighting| sighting.told(&policy.name));
        if is_reported && mark.is_some_and(|mark| mark.fingerprint.differs(&fingerprint).is_none()) {
            continue;
        }
        let row =
            Row { channels: by, state: finding_state(&policy.name, &item.row, &fingerprint), item, key, fingerprint };
        let digest = owners.entry(to.clone()).or_insert_with(|| Digest::to(to));
        if is_new { digest.new.push(row) } else { digest.pending.push(row) }
    }
    let mut digests: Vec<Digest> = owners.into_values().filter(|digest| !digest.new.is_empty()).collect();
    for digest in &mut digests {
        for rows in [&mut digest.new, &mut digest.pending] {
            rows.sort_by_key(|row| {
                (
                    row.item.backlog,
                    std::cmp::Reverse(usd(&row.item)),
                    row.item.resource.clone(),
                    row.item.policy.clone(),
                )
            });
        }
    }
    digests.sort_by_key(|digest| (std::cmp::Reverse(digest.monthly()), digest.to.clone()));
    // What watching has come to is of the house, and goes before what is somebody's.
    let alerts = alerts(outcome, report.parts().set, channels);
    if !alerts.is_empty() {
        digests.insert(0, Digest { alerts, ..Digest::to(None) });
    }
    digests
}

/// What policies that watch have found, the gravest first.
fn alerts(outcome: &Outcome, set: &PolicySet, channels: &[Channel]) -> Vec<AlertRow> {
    let found = outcome.told.iter().filter(|told| told.outcome == watch::Outcome::Alert);
    let mut rows: Vec<AlertRow> = found
        .map(|told| {
            let tell = set.watches.iter().find(|watch| watch.name == told.policy).map(|watch| watch.tell.as_slice());
            let whole = told.amount.map(|amount| amount.cents().split('.').next().map_or(0, str::len));
            AlertRow {
                channels: channels_of(tell.unwrap_or_default(), None, told.severity, channels),
                // Told again when it is ten times what it was.
                state: hash(&["alert", &told.policy, &told.subject, told.severity.name(), &format!("{whole:?}")]),
                alert: Alert {
                    policy: told.policy.clone(),
                    severity: told.severity,
                    subject: told.subject.clone(),
                    says: told.says.clone(),
                    amount: told.amount,
                    currency: told.currency.clone(),
                    row: alert_row(&told.policy, &told.subject),
                },
            }
        })
        .collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.alert.severity), row.alert.policy.clone()));
    rows
}

/// What of a finding is told, as the outbox names it: another once anything of it differs.
pub fn finding_state(policy: &str, row: &str, fingerprint: &Fingerprint) -> String {
    hash(&["finding", policy, row, &fingerprint.state()])
}

/// An alert, as the outbox names it.
pub fn alert_row(policy: &str, subject: &str) -> String {
    hash(&["alert", policy, subject])
}

impl Digest {
    fn to(to: Option<String>) -> Self {
        Self { to, new: Vec::new(), pending: Vec::new(), alerts: Vec::new() }
    }

    fn monthly(&self) -> Amount {
        sum(self.new.iter().map(|row| &row.item))
    }

    /// Names its outbox.
    pub fn owner(&self) -> &str {
        match &self.to {
            Some(to) => to,
            None if self.alerts.is_empty() => "-",
            None => "-alerts",
        }
    }

    /// For whom it is, in words.
    pub fn whose(&self) -> &str {
        match &self.to {
            Some(to) => to,
            None if self.alerts.is_empty() => "nobody known",
            None => "those who watch",
        }
    }

    /// The channels that something new goes by.
    pub fn channels(&self) -> BTreeSet<&str> {
        let alerts = self.alerts.iter().flat_map(|row| &row.channels);
        self.new.iter().flat_map(|row| &row.channels).chain(alerts).map(String::as_str).collect()
    }

    /// Policies whose rows no channel takes.
    pub fn untold_policies(&self) -> BTreeSet<&str> {
        let rows = self.new.iter().filter(|row| row.channels.is_empty()).map(|row| row.item.policy.as_str());
        rows.chain(self.alerts.iter().filter(|row| row.channels.is_empty()).map(|row| row.alert.policy.as_str()))
            .collect()
    }

    /// What goes out by one channel, and what of it is told then: only what `wanted` lets through by its state and
    /// severity, and no more than `most`. `None` where there is nothing.
    pub fn notice(
        &self,
        channel: &str,
        most: usize,
        wanted: &dyn Fn(&str, Severity) -> bool,
        about: &About<'_>,
    ) -> Option<(Notice, BTreeSet<String>)> {
        let by = |channels: &BTreeSet<String>| channels.contains(channel);
        let rows = self.new.iter().filter(|row| by(&row.channels) && wanted(&row.state, row.item.severity));
        let rows: Vec<&Row> = rows.collect();
        let alerts = self.alerts.iter().filter(|row| by(&row.channels) && wanted(&row.state, row.alert.severity));
        let alerts: Vec<&AlertRow> = alerts.take(most).collect();
        let named = &rows[..rows.len().min(most)];
        if named.is_empty() && alerts.is_empty() {
            return None;
        }
        let states: BTreeSet<String> =
            named.iter().map(|row| &row.state).chain(alerts.iter().map(|row| &row.state)).cloned().collect();
        let sent = about.sent.to_string();
        let mut parts = vec!["notice", about.deployment, channel, self.owner(), &sent];
        parts.extend(states.iter().map(String::as_str));
        let pending: Vec<&Row> = self.pending.iter().filter(|row| by(&row.channels)).collect();
        let severities = named.iter().map(|row| row.item.severity).chain(alerts.iter().map(|row| row.alert.severity));
        let mut notice = Notice {
            format: FORMAT,
            id: hash(&parts),
            run: about.run.to_owned(),
            deployment: about.deployment.to_owned(),
            channel: channel.to_owned(),
            to: self.to.clone(),
            made: about.made.to_string(),
            severity: severities.max().unwrap_or(Severity::Info),
            monthly_usd: sum(named.iter().map(|row| &row.item)),
            new: named.iter().map(|row| row.item.clone()).collect(),
            more: (rows.len() - named.len()) as u64,
            pending: pending.iter().take(PENDING.min(most)).map(|row| row.item.clone()).collect(),
            pending_count: pending.len() as u64,
            alerts: alerts.iter().map(|row| row.alert.clone()).collect(),
            text: String::new(),
        };
        notice.text = words::text(&notice);
        Some((notice, states))
    }

    /// The marks of what is new, where every channel that it goes by has delivered it; `delivered` tells by channel and
    /// state.
    pub fn marks(&self, delivered: &dyn Fn(&str, &str) -> bool, at: Timestamp) -> Vec<(LedgerKey, Told)> {
        let is_told =
            |row: &&Row| !row.channels.is_empty() && row.channels.iter().all(|channel| delivered(channel, &row.state));
        self.new
            .iter()
            .filter(is_told)
            .map(|row| {
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

    /// The states of all that is to be told.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        let new = self.new.iter().map(|row| row.state.as_str());
        new.chain(self.alerts.iter().map(|row| row.state.as_str()))
    }
}

/// What a notice says of the run that makes it.
pub struct About<'a> {
    pub deployment: &'a str,
    pub run: &'a str,
    pub made: Timestamp,
    /// How many notices this owner had by this channel before.
    pub sent: u64,
}

fn happens(verb: Verb, ends: Option<Timestamp>) -> String {
    match ends {
        Some(ends) => format!("{} from {} at the earliest, once a plan is approved", verb.name(), ends.date()),
        None => format!("{} once a plan is approved; the calendar does not say from when", verb.name()),
    }
}

/// What it costs a month, in US dollars.
pub fn usd(item: &Item) -> Option<Amount> {
    item.monthly_cost.amount.filter(|_| item.monthly_cost.currency == "USD")
}

/// What could be saved of resources, of each at its largest.
pub fn savings<'a>(items: impl Iterator<Item = &'a Item>) -> BTreeMap<&'a str, Saving> {
    let mut by_resource: BTreeMap<&str, Saving> = BTreeMap::new();
    for item in items {
        let most = by_resource.entry(&item.resource).or_insert(item.saving);
        *most = item.saving.max(*most);
    }
    by_resource
}

/// The sum of that, US dollars a month.
pub fn sum<'a>(items: impl Iterator<Item = &'a Item>) -> Amount {
    savings(items).into_values().filter_map(Saving::amount).fold(Amount::ZERO, |sum, amount| sum + amount)
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Notice {
    /// Notices made up, with everything that one may hold: templates are tried with them.
    pub fn samples() -> Vec<Self> {
        let item = Item {
            policy: "unattached-disks".to_owned(),
            severity: Severity::Ticket,
            backlog: false,
            verb: "delete",
            resource: "aws.ec2-volume:111122223333/eu-west-1/vol-0123456789abcdef0".to_owned(),
            name: Some("old data".to_owned()),
            account_name: Some("shop".to_owned()),
            since: Some("2026-01-01T00:00:00Z".to_owned()),
            monthly_cost: sweeper_core::money::Cost::list(Amount::whole(8)).into(),
            evidence: vec![EvidenceOf {
                fact: "state".to_owned(),
                value: "available".to_owned(),
                source: "ec2:DescribeVolumes".to_owned(),
            }],
            happens: "delete from 2026-02-01 at the earliest, once a plan is approved".to_owned(),
            keep: "sweeper keep 'x' --until 2026-03-01 --reason '…'".to_owned(),
            saving: Saving::Firm(Amount::whole(8)),
            row: String::new(),
        };
        let unpriced = Item {
            name: None,
            account_name: None,
            since: None,
            monthly_cost: sweeper_core::money::Cost::unknown().into(),
            evidence: Vec::new(),
            saving: Saving::Unpriced,
            ..item.clone()
        };
        let alert = Alert {
            policy: "budget".to_owned(),
            severity: Severity::Page,
            subject: "team-a".to_owned(),
            says: "it will be spent by the 20th".to_owned(),
            amount: Some(Amount::whole(500)),
            currency: "USD".to_owned(),
            row: String::new(),
        };
        let mut findings = Self {
            format: FORMAT,
            id: "0".repeat(32),
            run: "run".to_owned(),
            deployment: "default".to_owned(),
            channel: "channel".to_owned(),
            to: Some("alice@example.com".to_owned()),
            made: "2026-01-01T00:00:00Z".to_owned(),
            severity: Severity::Ticket,
            monthly_usd: Amount::whole(8),
            new: vec![item.clone(), unpriced],
            more: 1,
            pending: vec![item],
            pending_count: 2,
            alerts: Vec::new(),
            text: String::new(),
        };
        findings.text = words::text(&findings);
        let mut alerts = Self {
            to: None,
            new: Vec::new(),
            more: 0,
            pending: Vec::new(),
            pending_count: 0,
            alerts: vec![alert],
            monthly_usd: Amount::ZERO,
            severity: Severity::Page,
            ..findings.clone()
        };
        alerts.text = words::text(&alerts);
        vec![findings, alerts]
    }
}
