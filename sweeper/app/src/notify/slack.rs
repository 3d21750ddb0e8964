//! Slack, by an incoming webhook: blocks, and a text for where blocks are not shown.

use super::{
    Item, Notice,
    escape::{Target, short, slack, slack_code},
    notifier::{Message, Notifier, Way, Whole},
    secret::Secret,
    wire::{self, Call, Undelivered, Wire},
    words,
};
use crate::config::Keys;
use async_trait::async_trait;
use serde_json::{Value, json};

pub const KEYS: &[&str] = &["url_env", "url_file"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = Some(Target::Slack);

/// A message has at most 50 blocks, a text of a block 3,000 characters and a header 150
/// (docs.slack.dev/reference/block-kit/blocks).
const BLOCK: usize = 2900;
const HEADER: usize = 150;
const ITEMS: usize = 38;
const PIECES: usize = 45;
const NAME: usize = 250;
const VALUE: usize = 120;

/// An incoming webhook. Its URL is the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    pub url: Secret,
}

impl Slack {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        keys.needed_secret("url").map(|url| Self { url })
    }
}

impl Notifier for Slack {
    fn secrets(&self) -> Vec<&Secret> {
        vec![&self.url]
    }

    fn most(&self) -> usize {
        ITEMS
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        Ok(format!("{:#}\n", payload(message)?))
    }

    fn way(&self) -> Way<'_> {
        Way::Whole(self)
    }
}

#[async_trait]
impl Whole for Slack {
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered> {
        let secret = self.url.open().map_err(Undelivered::later)?;
        let url = wire::place(secret.reveal()).map_err(|why| Undelivered::refused(format!("its URL: {why}")))?;
        wire.send(Call::json(url, &payload(message)?), &[&secret]).await?;
        Ok(None)
    }
}

fn payload(message: &Message<'_>) -> Result<Value, Undelivered> {
    let notice = message.notice;
    let headline = words::headline(notice);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": short(&headline, HEADER), "emoji": false},
    })];
    match message.templated()? {
        Some(text) => {
            let pieces = pieces(&text);
            if pieces.len() > PIECES {
                return Err(Undelivered::refused("what the template makes has no room in a message of Slack"));
            }
            blocks.extend(pieces.iter().map(|piece| section(piece)));
        }
        None => blocks.extend(listed(notice)),
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{"type": "mrkdwn", "verbatim": true, "text": short(&slack(&words::closing(notice).join(" ")), BLOCK)}],
    }));
    let to = notice.to.as_deref().map_or_else(String::new, |to| format!("{to}: "));
    Ok(json!({
        "text": slack(&short(&format!("{to}{headline}"), BLOCK / 5)),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    }))
}

fn listed(notice: &Notice) -> Vec<Value> {
    let to = notice.to.as_deref().map_or_else(String::new, |to| format!("For {}. ", slack_code(to, NAME)));
    let mut blocks = vec![section(&format!("{to}{}", slack(&words::opening(notice))))];
    for alert in &notice.alerts {
        let says = if alert.says.is_empty() { String::new() } else { format!("\n{}", slack_code(&alert.says, 400)) };
        blocks.push(section(&format!(
            "*{}*  {}{says}",
            alert.severity.name(),
            slack_code(&words::alert_title(alert), NAME)
        )));
    }
    blocks.extend(notice.new.iter().map(|item| section(&said(item))));
    if !notice.pending.is_empty() {
        let mut text = format!("Told before, and not done yet, {} in all:", notice.pending_count);
        for item in &notice.pending {
            let line = format!("\n• {}  {}", slack_code(&words::name(item), 100), slack(&words::money(item)));
            if text.chars().count() + line.chars().count() > BLOCK {
                break;
            }
            text.push_str(&line);
        }
        blocks.push(section(&text));
    }
    blocks
}

/// One resource. What matters most comes first, and what has no room is left out.
fn said(item: &Item) -> String {
    let mut text = format!("{}  *{}*", slack_code(&words::name(item), NAME), slack(&words::money(item)));
    let mut lines = vec![slack_code(&words::found(item), NAME), slack(&item.happens)];
    let keep = slack_code(&item.keep, 1000);
    lines.push(format!("To keep it: {keep} {}", words::TAG));
    lines.extend(
        item.evidence
            .iter()
            .take(words::EVIDENCE)
            .map(|one| format!("• {}: {}", slack_code(&one.fact, 60), slack_code(&one.value, VALUE))),
    );
    for line in lines {
        if text.chars().count() + line.chars().count() < BLOCK {
            text.push('\n');
            text.push_str(&line);
        }
    }
    text
}

fn section(text: &str) -> Value {
    // Without `verbatim` Slack makes links and mentions of what looks like them.
    json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}})
}

/// A text in pieces that fit into blocks, cut at ends of lines where there are any.
fn pieces(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut piece = String::new();
    for line in text.lines() {
        for part in line.chars().collect::<Vec<_>>().chunks(BLOCK - 1) {
            if piece.chars().count() + part.len() + 1 > BLOCK {
                all.push(std::mem::take(&mut piece));
            }
            piece.extend(part);
        }
        piece.push('\n');
    }
    if !piece.trim().is_empty() {
        all.push(piece);
    }
    all.retain(|piece| !piece.trim().is_empty());
    all
}
