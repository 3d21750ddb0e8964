//! Microsoft Teams, by the webhook of a Workflow ("When a Teams webhook request is received"): an Adaptive Card.
//!
//! Foreign text goes into runs of a `RichTextBlock`, which knows no markup (adaptivecards.io/explorer/TextRun.html).

use super::{
    Item, Notice,
    escape::{Target, short},
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
pub const TARGET: Option<Target> = Some(Target::Card);

/// A message has at most 28 KB (learn.microsoft.com/microsoftteams/limits-specifications-teams).
const LARGEST: usize = 27_000;
const ITEMS: usize = 20;
const VALUE: usize = 160;

/// The webhook of a Workflow. Its URL is the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Teams {
    pub url: Secret,
}

impl Teams {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        keys.needed_secret("url").map(|url| Self { url })
    }
}

impl Notifier for Teams {
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
impl Whole for Teams {
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered> {
        let secret = self.url.open().map_err(Undelivered::later)?;
        let url = wire::place(secret.reveal()).map_err(|why| Undelivered::refused(format!("its URL: {why}")))?;
        wire.send(Call::json(url, &payload(message)?), &[&secret]).await?;
        Ok(None)
    }
}

fn payload(message: &Message<'_>) -> Result<Value, Undelivered> {
    let notice = message.notice;
    let title = rich(vec![run(&short(&words::headline(notice), 200), true, false)]);
    let templated = message.templated()?;
    for detail in words::DETAILS {
        let mut body = vec![title.clone()];
        match &templated {
            Some(text) => body.push(json!({"type": "TextBlock", "wrap": true, "text": text})),
            None => body.extend(listed(notice, detail)),
        }
        body.extend(words::closing(notice).iter().map(|line| rich(vec![run(line, false, false)])));
        let card = card(body);
        if card.to_string().len() <= LARGEST {
            return Ok(card);
        }
    }
    Err(Undelivered::refused("it has no room in a message of Teams"))
}

fn card(body: Vec<Value>) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": body,
            },
        }],
    })
}

fn listed(notice: &Notice, detail: (usize, usize)) -> Vec<Value> {
    let (width, evidence) = detail;
    let line = |text: &str| short(text, width.min(250));
    let to = notice.to.as_deref().map_or_else(String::new, |to| format!("For {}. ", line(to)));
    let mut body = vec![rich(vec![run(&format!("{to}{}", words::opening(notice)), false, false)])];
    for alert in &notice.alerts {
        let title = format!("{}: {}", alert.severity.name(), words::alert_title(alert));
        body.push(rich(vec![run(&line(&title), true, false), run(&line(&format!(" {}", alert.says)), false, false)]));
    }
    for item in &notice.new {
        body.extend(said(item, detail));
    }
    if !notice.pending.is_empty() {
        let text = format!("Told before, and not done yet: {}", notice.pending_count);
        body.push(rich(vec![run(&text, true, false)]));
        if evidence > 0 {
            body.extend(notice.pending.iter().take(10).map(|item| {
                rich(vec![run(&format!("{}, {}", line(&words::name(item)), words::money(item)), false, false)])
            }));
        }
    }
    body
}

fn said(item: &Item, (width, evidence): (usize, usize)) -> Vec<Value> {
    let line = |text: &str| short(text, width.min(VALUE));
    let mut blocks =
        vec![rich(vec![run(&format!("{}, {}", line(&words::name(item)), words::money(item)), true, false)])];
    let mut plain = |text: String| blocks.push(rich(vec![run(&text, false, false)]));
    if evidence > 0 {
        plain(line(&words::found(item)));
    }
    for one in item.evidence.iter().take(evidence) {
        plain(format!("{}: {}", short(&one.fact, 60), line(&one.value)));
    }
    plain(line(&item.happens));
    blocks.push(rich(vec![
        run("To keep it: ", false, false),
        run(&short(&item.keep, width.min(500)), false, true),
        run(&format!(" {}", words::TAG), false, false),
    ]));
    blocks
}

fn rich(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str, bold: bool, code: bool) -> Value {
    let text = crate::render::inert::line(text);
    let mut run = json!({"type": "TextRun", "text": text});
    if bold {
        run["weight"] = "Bolder".into();
    }
    if code {
        run["fontType"] = "Monospace".into();
    }
    run
}
