//! PagerDuty, by Events API v2: an alert for each policy of an owner, resolved when all of it is gone.

use super::{
    escape::{Target, short},
    notifier::{Group, Message, Notifier, Threads, Way, groups},
    outbox::Thread,
    secret::{Opened, Secret},
    wire::{Call, Undelivered, Wire},
    words,
};
use crate::config::Keys;
use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Value, json};
use std::fmt::Write as _;
use sweeper_core::detect::Severity;

pub const KEYS: &[&str] = &["url", "key_env", "key_file"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = None;

/// developer.pagerduty.com/docs/events-api-v2-overview; accounts in the EU have a host of their own.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// An event has at most 512 KB, a summary 1,024 characters.
const SUMMARY: usize = 1024;
const ITEMS: usize = 50;

/// An integration of Events API v2. Its routing key is the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pagerduty {
    pub url: Url,
    pub key: Secret,
}

impl Pagerduty {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        let url = if keys.has("url") { keys.url("url") } else { Url::parse(URL).ok() };
        let key = keys.needed_secret("key");
        Some(Self { url: url?, key: key? })
    }

    async fn enqueue(&self, mut event: Value, wire: &Wire) -> Result<(), Undelivered> {
        let key: Opened = self.key.open().map_err(Undelivered::later)?;
        event["routing_key"] = key.reveal().into();
        wire.send(Call::json(self.url.clone(), &event), &[&key]).await.map(drop)
    }
}

impl Notifier for Pagerduty {
    fn secrets(&self) -> Vec<&Secret> {
        vec![&self.key]
    }

    fn most(&self) -> usize {
        ITEMS
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        let mut out = String::new();
        for group in groups(message.notice) {
            let _ = writeln!(out, "{:#}", trigger(message, &group));
        }
        Ok(out)
    }

    fn way(&self) -> Way<'_> {
        Way::Threads(self)
    }
}

#[async_trait]
impl Threads for Pagerduty {
    async fn raise(
        &self,
        message: &Message<'_>,
        group: &Group<'_>,
        _: Option<&Thread>,
        wire: &Wire,
    ) -> Result<String, Undelivered> {
        self.enqueue(trigger(message, group), wire).await?;
        Ok(group.key.clone())
    }

    async fn settle(&self, key: &str, _: &Thread, wire: &Wire) -> Result<(), Undelivered> {
        self.enqueue(json!({"event_action": "resolve", "dedup_key": key}), wire).await
    }
}

fn trigger(message: &Message<'_>, group: &Group<'_>) -> Value {
    let notice = message.notice;
    let line = |text: &str| short(&crate::render::inert::line(text), 400);
    let items = group.items.iter().map(|item| {
        json!({
            "resource": line(&item.resource),
            "name": item.name.as_deref().map(line),
            "money": words::money(item),
            "found": line(&words::found(item)),
            "happens": line(&item.happens),
            "keep": line(&item.keep),
        })
    });
    json!({
        "event_action": "trigger",
        "dedup_key": group.key,
        "client": "sweeper",
        "payload": {
            "summary": short(&words::title(notice, group), SUMMARY),
            "source": line(&format!("sweeper {}", notice.deployment)),
            "severity": match group.severity {
                Severity::Info => "info",
                Severity::Ticket => "warning",
                Severity::Page => "critical",
            },
            "timestamp": notice.made,
            "class": line(group.policy),
            "group": line(notice.to.as_deref().unwrap_or_default()),
            "custom_details": {
                "notice": notice.id,
                "run": line(&notice.run),
                "owner": notice.to.as_deref().map(line),
                "monthly_usd": group.monthly.to_string(),
                "says": group.alert.map(|alert| line(&alert.says)),
                "resources": items.collect::<Vec<_>>(),
            },
        },
    })
}
