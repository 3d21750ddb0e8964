//! Jira Cloud, by REST API 3: an issue for each policy of an owner, found again by its label, and done when all of it is
//! gone. Texts go out in the Atlassian Document Format, in which they are texts and nothing else.

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
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Url;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub const KEYS: &[&str] = &["url", "project", "issue_type", "user", "token_env", "token_file", "labels"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = Some(Target::Plain);

/// A description has at most 32,767 characters, a summary 255.
const SUMMARY: usize = 255;
const LARGEST: usize = 30_000;
const ITEMS: usize = 30;

/// A project of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jira {
    pub site: Url,
    pub project: String,
    pub issue_type: String,
    /// Whose the token is; without, it is a bearer's.
    pub user: Option<String>,
    pub token: Secret,
    pub labels: Vec<String>,
}

impl Jira {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        keys.needed("url");
        let site = keys.url("url");
        let project = keys.needed("project");
        let is_key = |text: &String| {
            text.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if project.as_ref().is_some_and(|project| !is_key(project)) {
            keys.wrong("project", "`project` is the key of a project, as `OPS`");
            return None;
        }
        let labels = if keys.has("labels") { keys.list("labels") } else { Vec::new() };
        if labels.iter().any(|label| label.contains(char::is_whitespace)) {
            keys.wrong("labels", "a label of Jira has no blanks");
        }
        let token = keys.needed_secret("token");
        let issue_type = keys.string("issue_type").unwrap_or_else(|| "Task".to_owned());
        let user = keys.string("user");
        Some(Self { site: site?, project: project?, issue_type, user, token: token?, labels })
    }

    fn label(key: &str) -> String {
        format!("sweeper-{key}")
    }

    /// Below `/rest/api/3`.
    fn at(&self, path: &[&str]) -> Result<Url, Undelivered> {
        let mut url = self.site.clone();
        url.path_segments_mut()
            .map_err(|()| Undelivered::refused("its URL has no path"))?
            .pop_if_empty()
            .extend(["rest", "api", "3"])
            .extend(path);
        Ok(url)
    }

    fn authorization(&self, token: &Opened) -> String {
        match &self.user {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{}", token.reveal()))),
            None => format!("Bearer {}", token.reveal()),
        }
    }

    async fn ask(&self, call: Call<'_>, token: &Opened, wire: &Wire) -> Result<Option<Value>, Undelivered> {
        let answer = wire.send_to(call.authorized(self.authorization(token)), &[token]).await?;
        Ok(answer.map(|answer| answer.json()))
    }

    /// Whether an issue is there and not done.
    async fn is_open(&self, issue: &str, token: &Opened, wire: &Wire) -> Result<bool, Undelivered> {
        let mut url = self.at(&["issue", issue])?;
        url.query_pairs_mut().append_pair("fields", "status");
        let found = self.ask(Call::get(url), token, wire).await?;
        Ok(found.is_some_and(|issue| issue["fields"]["status"]["statusCategory"]["key"] != "done"))
    }

    /// The open issue with a label, and whether it was made by this very notice.
    async fn found(
        &self,
        label: &str,
        notice: &str,
        token: &Opened,
        wire: &Wire,
    ) -> Result<Option<(String, bool)>, Undelivered> {
        // Labels are hexadecimal, and the project's key was checked.
        let jql = format!("project = \"{}\" AND labels = \"{label}\" AND statusCategory != Done", self.project);
        let query = json!({"jql": jql, "fields": ["labels"], "maxResults": 1});
        let found = self.ask(Call::json(self.at(&["search", "jql"])?, &query), token, wire).await?;
        let Some(issue) = found.as_ref().map(|found| &found["issues"][0]) else { return Ok(None) };
        let labels = issue["fields"]["labels"].as_array();
        let has_it = labels.into_iter().flatten().any(|own| own.as_str() == Some(&Self::label(notice)));
        Ok(issue["key"].as_str().map(|key| (key.to_owned(), has_it)))
    }
}

impl Notifier for Jira {
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

impl Jira {
    fn issue(&self, message: &Message<'_>, group: &Group<'_>) -> Result<Value, Undelivered> {
        let own = ["sweeper".to_owned(), Self::label(&group.key), Self::label(&message.notice.id)];
        let labels: Vec<String> = own.into_iter().chain(self.labels.iter().cloned()).collect();
        Ok(json!({
            "fields": {
                "project": {"key": self.project},
                "issuetype": {"name": self.issue_type},
                "summary": short(&words::title(message.notice, group), SUMMARY),
                "labels": labels,
                "description": document(message, group)?,
            },
        }))
    }
}

/// A body in the Atlassian Document Format.
fn document(message: &Message<'_>, group: &Group<'_>) -> Result<Value, Undelivered> {
    if let Some(text) = message.templated()? {
        let parts = text.split("\n\n").map(|part| {
            let lines = part.lines().map(|line| inert::line(line).into_owned()).filter(|line| !line.is_empty());
            lines.collect::<Vec<_>>()
        });
        let parts: Vec<Vec<String>> = parts.filter(|lines| !lines.is_empty()).collect();
        return written(&parts).ok_or_else(|| Undelivered::refused("what the template makes has no room in an issue"));
    }
    let written =
        words::DETAILS.into_iter().find_map(|detail| written(&words::paragraphs(message.notice, group, detail)));
    written.ok_or_else(|| Undelivered::refused("it has no room in an issue"))
}

/// Paragraphs as a document, where there is room for them.
fn written(paragraphs: &[Vec<String>]) -> Option<Value> {
    let content = paragraphs.iter().map(|lines| {
        let mut nodes: Vec<Value> = Vec::new();
        for line in lines {
            if !nodes.is_empty() {
                nodes.push(json!({"type": "hardBreak"}));
            }
            nodes.push(json!({"type": "text", "text": line}));
        }
        json!({"type": "paragraph", "content": nodes})
    });
    let length: usize = paragraphs.iter().flatten().map(|line| line.chars().count() + 1).sum();
    (0 < length && length <= LARGEST)
        .then(|| json!({"type": "doc", "version": 1, "content": content.collect::<Vec<_>>()}))
}

#[async_trait]
impl Threads for Jira {
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
            && let Some((key, has_it)) = self.found(&Self::label(&group.key), &message.notice.id, &token, wire).await?
        {
            if has_it {
                return Ok(key);
            }
            open = Some(key);
        }
        if let Some(issue) = open {
            let comment = json!({"body": document(message, group)?});
            let added = self.ask(Call::json(self.at(&["issue", &issue, "comment"])?, &comment), &token, wire).await?;
            if added.is_some() {
                return Ok(issue);
            }
        }
        let made = self.ask(Call::json(self.at(&["issue"])?, &self.issue(message, group)?), &token, wire).await?;
        let key = made.as_ref().and_then(|made| made["key"].as_str());
        key.map(str::to_owned).ok_or_else(|| Undelivered::refused("it did not say which issue it made"))
    }

    async fn settle(&self, _: &str, thread: &Thread, wire: &Wire) -> Result<(), Undelivered> {
        let token = self.token.open().map_err(Undelivered::later)?;
        if !self.is_open(&thread.remote, &token, wire).await? {
            return Ok(());
        }
        let place = self.at(&["issue", &thread.remote, "transitions"])?;
        let Some(known) = self.ask(Call::get(place.clone()), &token, wire).await? else { return Ok(()) };
        let done = known["transitions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|own| own["to"]["statusCategory"]["key"] == "done");
        let Some(done) = done.and_then(|own| own["id"].as_str()) else {
            return Err(Undelivered::refused("its workflow has no way from here to a status that is done"));
        };
        self.ask(Call::json(place, &json!({"transition": {"id": done}})), &token, wire).await.map(drop)
    }
}
