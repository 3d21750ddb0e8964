//! GitHub: an issue for each policy of an owner, found again by a mark in its text, and closed when all of it is gone.

use super::{
    escape::{Target, short},
    notifier::{Group, Message, Notifier, Threads, Way, groups},
    outbox::Thread,
    secret::{Opened, Secret},
    wire::{Call, Undelivered, Wire},
    words,
};
use crate::{config::Keys, render::inert};
use async_trait::async_trait;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub const KEYS: &[&str] = &["url", "repository", "token_env", "token_file", "labels"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = Some(Target::Markdown);

const URL: &str = "https://api.github.com";
/// An issue has at most 65,536 characters.
const LARGEST: usize = 60_000;
const ITEMS: usize = 50;
/// Among the open issues with our label, how far back the mark is looked for.
const PAGES: u32 = 10;
/// What every issue of ours has.
const LABEL: &str = "sweeper";

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Github {
    pub api: Url,
    pub owner: String,
    pub name: String,
    pub token: Secret,
    pub labels: Vec<String>,
}

impl Github {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        let api = if keys.has("url") { keys.url("url") } else { Url::parse(URL).ok() };
        let repository = keys.needed("repository");
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let parts = repository.as_deref().and_then(|text| text.split_once('/'));
        let parts = parts.filter(|(owner, name)| plain(owner) && plain(name));
        if repository.is_some() && parts.is_none() {
            keys.wrong("repository", "`repository` is `owner/name`");
        }
        let labels = if keys.has("labels") { keys.list("labels") } else { Vec::new() };
        let token = keys.needed_secret("token");
        let (owner, name) = parts?;
        Some(Self { api: api?, owner: owner.to_owned(), name: name.to_owned(), token: token?, labels })
    }

    fn at(&self, path: &[&str]) -> Result<Url, Undelivered> {
        let mut url = self.api.clone();
        url.path_segments_mut()
            .map_err(|()| Undelivered::refused("its URL has no path"))?
            .pop_if_empty()
            .extend(["repos", &self.owner, &self.name, "issues"])
            .extend(path);
        Ok(url)
    }

    async fn ask(&self, mut call: Call<'_>, token: &Opened, wire: &Wire) -> Result<Option<Value>, Undelivered> {
        call.headers.push(("Accept", "application/vnd.github+json".to_owned()));
        call.headers.push(("X-GitHub-Api-Version", "2022-11-28".to_owned()));
        let answer = wire.send_to(call.authorized(format!("Bearer {}", token.reveal())), &[token]).await?;
        Ok(answer.map(|answer| answer.json()))
    }

    async fn is_open(&self, issue: &str, token: &Opened, wire: &Wire) -> Result<bool, Undelivered> {
        let found = self.ask(Call::get(self.at(&[issue])?), token, wire).await?;
        Ok(found.is_some_and(|issue| issue["state"] == "open"))
    }

    /// The open issue with a mark, and whether it has this very notice already.
    async fn found(
        &self,
        group: &str,
        notice: &str,
        token: &Opened,
        wire: &Wire,
    ) -> Result<Option<(String, bool)>, Undelivered> {
        for page in 1..=PAGES {
            let mut url = self.at(&[])?;
            url.query_pairs_mut()
                .append_pair("state", "open")
                .append_pair("labels", LABEL)
                .append_pair("per_page", "100")
                .append_pair("page", &page.to_string());
            let found = self.ask(Call::get(url), token, wire).await?;
            let Some(issues) = found.as_ref().and_then(Value::as_array) else {
                return Err(Undelivered::refused(format!(
                    "there is no repository {}/{} for this token",
                    self.owner, self.name
                )));
            };
            for issue in issues {
                let body = issue["body"].as_str().unwrap_or_default();
                if let Some(number) = issue["number"].as_u64()
                    && body.contains(&mark(group))
                {
                    return Ok(Some((number.to_string(), body.contains(&mark(notice)))));
                }
            }
            if issues.len() < 100 {
                break;
            }
        }
        Ok(None)
    }

    fn issue(&self, message: &Message<'_>, group: &Group<'_>) -> Result<Value, Undelivered> {
        let labels: Vec<&str> = [LABEL].into_iter().chain(self.labels.iter().map(String::as_str)).collect();
        Ok(json!({
            "title": short(&words::title(message.notice, group), 250),
            "labels": labels,
            "body": body(message, group)?,
        }))
    }
}

/// Seen by nobody, found by us.
fn mark(key: &str) -> String {
    format!("<!-- sweeper:{key} -->")
}

impl Notifier for Github {
    fn secrets(&self) -> Vec<&Secret> {
        vec![&self.token]
    }

    fn most(&self) -> usize {
        ITEMS
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        let mut out = String::new();
        for group in groups(message.notice) {
            let _ = writeln!(out, "{:#}", self.issue(message, &group)?);
        }
        Ok(out)
    }

    fn way(&self) -> Way<'_> {
        Way::Threads(self)
    }
}

fn body(message: &Message<'_>, group: &Group<'_>) -> Result<String, Undelivered> {
    let mut out = format!("{}\n{}\n\n", mark(&group.key), mark(&message.notice.id));
    if let Some(text) = message.templated()? {
        out.push_str(&text);
        let fits = out.chars().count() <= LARGEST;
        return fits
            .then_some(out)
            .ok_or_else(|| Undelivered::refused("what the template makes has no room in an issue"));
    }
    for detail in words::DETAILS {
        let mut body = out.clone();
        for lines in words::paragraphs(message.notice, group, detail) {
            let lines: Vec<String> = lines.iter().map(|line| inert::markdown(line)).collect();
            body.push_str(&lines.join("  \n"));
            body.push_str("\n\n");
        }
        if body.chars().count() <= LARGEST {
            return Ok(body);
        }
    }
    Err(Undelivered::refused("it has no room in an issue"))
}

#[async_trait]
impl Threads for Github {
    async fn raise(
        &self,
        message: &Message<'_>,
        group: &Group<'_>,
        known: Option<&Thread>,
        wire: &Wire,
    ) -> Result<String, Undelivered> {
        let token = self.token.open().map_err(Undelivered::later)?;
        let mut open = None;
        if let Some(thread) = known
            && self.is_open(&thread.remote, &token, wire).await?
        {
            open = Some(thread.remote.clone());
        }
        if open.is_none()
            && let Some((number, has_it)) = self.found(&group.key, &message.notice.id, &token, wire).await?
        {
            if has_it {
                return Ok(number);
            }
            open = Some(number);
        }
        if let Some(issue) = open {
            let comment = json!({"body": body(message, group)?});
            if self.ask(Call::json(self.at(&[&issue, "comments"])?, &comment), &token, wire).await?.is_some() {
                return Ok(issue);
            }
        }
        let made = self.ask(Call::json(self.at(&[])?, &self.issue(message, group)?), &token, wire).await?;
        let number = made.as_ref().and_then(|made| made["number"].as_u64());
        number
            .map(|number| number.to_string())
            .ok_or_else(|| Undelivered::refused("it did not say which issue it made"))
    }

    async fn settle(&self, _: &str, thread: &Thread, wire: &Wire) -> Result<(), Undelivered> {
        let token = self.token.open().map_err(Undelivered::later)?;
        let mut call =
            Call::json(self.at(&[&thread.remote])?, &json!({"state": "closed", "state_reason": "completed"}));
        call.method = Method::PATCH;
        self.ask(call, &token, wire).await.map(drop)
    }
}
