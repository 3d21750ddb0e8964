//! What a notifier is: one service that notices go out by.

use super::{
    Alert, Item, Notice,
    outbox::Thread,
    secret::Secret,
    template::Template,
    wire::{Undelivered, Wire},
};
use crate::config::Channel;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{detect::Severity, money::Amount};

/// A notice on its way.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub notice: &'a Notice,
    /// The address of whom it is for, where the channel knows one.
    pub address: Option<&'a str>,
    /// Whether the address is the owner's name itself, which comes from the cloud.
    pub is_own: bool,
    pub template: Option<&'a Template>,
}

impl<'a> Message<'a> {
    /// A notice by a channel.
    pub fn of(notice: &'a Notice, channel: &'a Channel) -> Self {
        let (address, is_own) = channel.address(notice.to.as_deref()).unzip();
        Self { notice, address, is_own: is_own.unwrap_or(false), template: channel.template.as_ref() }
    }

    /// The text that the channel's template makes of it.
    pub fn templated(&self) -> Result<Option<String>, Undelivered> {
        self.template.map(|template| template.render(self.notice)).transpose().map_err(Undelivered::Refused)
    }
}

/// One service.
pub trait Notifier: Send + Sync {
    /// Everything secret that it needs.
    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    /// Most resources that one message names: the rest waits for the next.
    fn most(&self) -> usize;

    /// What would be sent, without secrets.
    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered>;

    fn way(&self) -> Way<'_>;
}

/// How a service takes notices.
pub enum Way<'a> {
    Whole(&'a dyn Whole),
    Threads(&'a dyn Threads),
}

/// Takes a notice as one message.
#[async_trait]
pub trait Whole: Send + Sync {
    /// Sends it; gives what the service calls it, where it says.
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered>;
}

/// Keeps a ticket or an incident for each group of a notice, until everything in it is gone.
#[async_trait]
pub trait Threads: Send + Sync {
    /// Opens one, or adds to the one that is open; gives what the service calls it.
    async fn raise(
        &self,
        message: &Message<'_>,
        group: &Group<'_>,
        known: Option<&Thread>,
        wire: &Wire,
    ) -> Result<String, Undelivered>;

    /// Closes one.
    async fn settle(&self, key: &str, thread: &Thread, wire: &Wire) -> Result<(), Undelivered>;
}

/// What of a notice belongs into one ticket: the findings of a policy, or one alert.
pub struct Group<'a> {
    /// The same for the same owner and policy, from run to run.
    pub key: String,
    pub policy: &'a str,
    pub severity: Severity,
    pub items: Vec<&'a Item>,
    pub alert: Option<&'a Alert>,
    pub rows: BTreeSet<String>,
    pub monthly: Amount,
}

impl Group<'_> {
    /// As it is remembered, once the service has it.
    pub fn thread(&self, remote: String, notice: &str) -> Thread {
        Thread {
            remote,
            policy: self.policy.to_owned(),
            subject: self.alert.map(|alert| alert.subject.clone()),
            rows: self.rows.clone(),
            notice: notice.to_owned(),
        }
    }
}

/// The groups of a notice, in the order of their policies.
pub fn groups(notice: &Notice) -> Vec<Group<'_>> {
    let to = notice.to.as_deref().unwrap_or_default();
    let key = |parts: [&str; 2]| super::hash(&["thread", &notice.deployment, &notice.channel, to, parts[0], parts[1]]);
    let mut by_policy: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in &notice.new {
        by_policy.entry(&item.policy).or_default().push(item);
    }
    let mut all: Vec<Group<'_>> = by_policy
        .into_iter()
        .map(|(policy, items)| Group {
            key: key([policy, ""]),
            policy,
            severity: items.iter().map(|item| item.severity).max().unwrap_or(Severity::Info),
            alert: None,
            rows: items.iter().map(|item| item.row.clone()).collect(),
            monthly: super::sum(items.iter().copied()),
            items,
        })
        .collect();
    all.extend(notice.alerts.iter().map(|alert| Group {
        key: key([&alert.policy, &alert.subject]),
        policy: &alert.policy,
        severity: alert.severity,
        items: Vec::new(),
        alert: Some(alert),
        rows: BTreeSet::from([alert.row.clone()]),
        monthly: Amount::ZERO,
    }));
    all
}
