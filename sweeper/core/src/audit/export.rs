//! The log in the words of others: OCSF, ECS and CloudEvents, a record for each line.
//!
//! What is exported is a rendering: the log itself, whose exact bytes are hashed, stays the proof. Every record names
//! its line by number and hash, so that it can be found there, and says whether the line was verified.

mod cloudevents;
mod ecs;
mod ocsf;
#[cfg(test)]
mod tests;

use super::{EventError, Identity, Millis, Origin, event::VERSION, line_hash};
use crate::{inert::InertJson, survey_file::hexadecimal};
use serde::{Deserialize, Serialize as _};
use serde_json::{Map, Value};

/// In whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Open Cybersecurity Schema Framework 1.8.0: <https://schema.ocsf.io/1.8.0>.
    Ocsf,
    /// Elastic Common Schema 8.11: <https://www.elastic.co/guide/en/ecs/8.11>.
    Ecs,
    /// CloudEvents 1.0, structured in JSON: <https://github.com/cloudevents/spec>.
    CloudEvents,
}

/// OCSF's class for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// API Activity, 6003: what is sent to a cloud. Its activity is that of the action.
    Api,
    /// Entity Management, 3004: a decision about a thing, with the activity and the sort of thing.
    Entity(u32, &'static str),
    /// Application Lifecycle, 6002: the run itself, with the activity.
    Lifecycle(u32),
    /// Scan Activity, 6007: Completed.
    Scan,
    /// Base Event, 0: OCSF's own place for what no class fits.
    Base,
}

/// How a type of event is said elsewhere.
struct Words {
    name: &'static str,
    class: Class,
    /// OCSF's and syslog's idea of how bad: 1 informational, 2 low, 3 medium, 4 high.
    severity: u32,
    /// ECS `event.category` and `event.type`; an outcome that was confirmed has the type of its action.
    category: &'static str,
    kind: &'static str,
}

const OTHER: u32 = 99;

/// The one table: each type of event.
#[rustfmt::skip]
const TABLE: &[Words] = &[
    Words { name: "intent",       class: Class::Api,                         severity: 1, category: "configuration", kind: "info" },
    Words { name: "sent",         class: Class::Api,                         severity: 1, category: "configuration", kind: "info" },
    Words { name: "outcome",      class: Class::Api,                         severity: 1, category: "configuration", kind: "info" },
    // Nothing was sent, so that it is no call.
    Words { name: "skip",         class: Class::Base,                        severity: 1, category: "configuration", kind: "info" },
    Words { name: "keep",         class: Class::Entity(1, "copy"),           severity: 1, category: "configuration", kind: "creation" },
    Words { name: "undo",         class: Class::Entity(OTHER, "resource"),   severity: 1, category: "configuration", kind: "info" },
    Words { name: "mark",         class: Class::Entity(OTHER, "resource"),   severity: 1, category: "configuration", kind: "info" },
    Words { name: "unmark",       class: Class::Entity(OTHER, "resource"),   severity: 1, category: "configuration", kind: "info" },
    // Email Activity has fields of mail alone; a channel may be anything.
    Words { name: "notice",       class: Class::Base,                        severity: 1, category: "configuration", kind: "info" },
    Words { name: "approve",      class: Class::Entity(1, "approval"),       severity: 2, category: "iam",           kind: "admin" },
    Words { name: "use-approval", class: Class::Entity(OTHER, "approval"),   severity: 1, category: "iam",           kind: "info" },
    Words { name: "halt",         class: Class::Lifecycle(4),                severity: 3, category: "process",       kind: "end" },
    Words { name: "cap-stop",     class: Class::Lifecycle(4),                severity: 3, category: "process",       kind: "end" },
    Words { name: "config",       class: Class::Lifecycle(3),                severity: 1, category: "process",       kind: "start" },
    Words { name: "trust",        class: Class::Entity(3, "trust root"),     severity: 3, category: "iam",           kind: "admin" },
    Words { name: "scan",         class: Class::Scan,                        severity: 1, category: "configuration", kind: "access" },
    Words { name: "heartbeat",    class: Class::Lifecycle(OTHER),            severity: 1, category: "process",       kind: "info" },
    Words { name: "lock",         class: Class::Entity(OTHER, "lock"),       severity: 1, category: "process",       kind: "info" },
    Words { name: "recovered",    class: Class::Lifecycle(5),                severity: 2, category: "process",       kind: "info" },
    Words { name: "floor",        class: Class::Entity(3, "evidence floor"), severity: 2, category: "configuration", kind: "change" },
    Words { name: "ledger",       class: Class::Entity(4, "ledger"),         severity: 2, category: "configuration", kind: "deletion" },
    Words { name: "except",       class: Class::Entity(1, "policy exception"), severity: 1, category: "configuration", kind: "creation" },
    Words { name: "environment",  class: Class::Entity(3, "environment lease"), severity: 1, category: "configuration", kind: "change" },
];

/// A type that a later release writes.
const UNKNOWN: Words = Words { name: "", class: Class::Base, severity: 1, category: "configuration", kind: "info" };

/// What an action does to a resource: OCSF's activity of API Activity, and ECS's `event.type`.
fn verb(action: &str) -> (u32, &'static str) {
    match action {
        "copy" | "restore" => (1, "creation"),
        "tag" | "untag" | "stop" | "start" | "set-retention" => (3, "change"),
        "delete" => (4, "deletion"),
        _ => (OTHER, "change"),
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Success,
    Failure,
    /// Nobody knows.
    Unknown,
    /// Neither: not ended yet, or left alone.
    Other(&'static str),
}

/// A line of the log as an export reads it: also one of a type that this release does not know.
#[derive(Deserialize)]
struct Line {
    v: u32,
    seq: u64,
    prev: String,
    ts: Millis,
    deployment: String,
    epoch: u64,
    run: String,
    plan: Option<String>,
    item: Option<u32>,
    #[serde(rename = "type")]
    name: String,
    /// What is the type's own.
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// A line, with what every format says of it.
struct Record<'a> {
    line: Line,
    words: &'static Words,
    resource: Option<Identity>,
    origin: String,
    hash: String,
    tool: &'a str,
    verified: bool,
}

impl Record<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.line.own.get(key)?.as_str()
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.line.own.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Who did it, where it was a person.
    fn person(&self) -> Option<&str> {
        self.text("by").or_else(|| self.text("holder")).or_else(|| self.texts("by").first().copied())
    }

    /// Everybody who is named in it.
    fn people(&self) -> Vec<&str> {
        let mut people = self.texts("approved_by");
        people.extend(self.texts("by"));
        people.extend(["by", "holder", "to"].iter().filter_map(|key| self.text(key)));
        people.sort_unstable();
        people.dedup();
        people
    }

    fn ended(&self) -> Ended {
        match (self.line.name.as_str(), self.text("result")) {
            ("outcome", Some("confirmed")) => Ended::Success,
            ("outcome", Some("already-gone")) => Ended::Other("already-gone"),
            ("outcome", Some("skipped")) => Ended::Other("skipped"),
            ("outcome", Some("failed")) => Ended::Failure,
            ("outcome", _) => Ended::Unknown,
            ("intent", _) => Ended::Other("intended"),
            ("sent", _) => Ended::Other("sent"),
            ("skip", _) => Ended::Other("skipped"),
            ("halt" | "cap-stop", _) => Ended::Failure,
            ("notice", _) => match self.line.own.get("delivered") {
                Some(Value::Bool(true)) => Ended::Success,
                Some(Value::Bool(false)) => Ended::Failure,
                _ => Ended::Unknown,
            },
            ("keep", _) if self.line.own.get("verified") != Some(&Value::Bool(true)) => Ended::Unknown,
            _ if self.words.name.is_empty() => Ended::Unknown,
            _ => Ended::Success,
        }
    }

    fn severity(&self) -> u32 {
        let lost = self.line.name == "lock" && matches!(self.text("change"), Some("broken" | "lost"));
        let bad = lost || self.line.name == "outcome" && matches!(self.ended(), Ended::Failure | Ended::Unknown);
        if bad { self.words.severity.max(3) } else { self.words.severity }
    }

    /// Why, where it says so.
    fn reason(&self) -> Option<&str> {
        self.text("error").or_else(|| self.text("reason"))
    }

    /// A sentence for people.
    fn message(&self) -> String {
        let what = match self.text("action") {
            Some(action) => format!("{} of {action}", self.line.name),
            None => self.line.name.clone(),
        };
        let of = self.resource.as_ref().map_or_else(String::new, |at| format!(" {} {}", at.kind, at.native_id));
        let result = self.text("result").map_or_else(String::new, |result| format!(": {result}"));
        let doubt = if self.verified { "" } else { " (not verified)" };
        format!("{what}{of}{result}{doubt}")
    }

    /// What has no place of its own in a format: everything, as the log has it.
    fn rest(&self) -> Map<String, Value> {
        let mut rest = self.line.own.clone();
        rest.extend([
            ("seq".to_owned(), self.line.seq.into()),
            ("prev".to_owned(), self.line.prev.clone().into()),
            ("hash".to_owned(), self.hash.clone().into()),
            ("deployment".to_owned(), self.line.deployment.clone().into()),
            ("epoch".to_owned(), self.line.epoch.into()),
            ("run".to_owned(), self.line.run.clone().into()),
            ("plan".to_owned(), self.line.plan.clone().into()),
            ("item".to_owned(), self.line.item.into()),
            ("type".to_owned(), self.line.name.clone().into()),
            ("log_verified".to_owned(), self.verified.into()),
        ]);
        rest
    }
}

/// An object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A line of the log, given without its newline, as one line of JSON without its newline. `tool` is the version of
/// this program; `verified` says whether the line is what a signed head covers, and every record repeats it.
///
/// # Errors
/// When it is no line of the log.
pub fn record(format: Format, line: &[u8], origin: &Origin, tool: &str, verified: bool) -> Result<Vec<u8>, EventError> {
    let form = |error: serde_json::Error| EventError::Form(error.to_string());
    let hash = hexadecimal(&line_hash(line));
    let line: Line = serde_json::from_slice(line).map_err(form)?;
    if line.v != VERSION {
        return Err(EventError::Form(format!("its format is {}, this release knows {VERSION}", line.v)));
    }
    let words = TABLE.iter().find(|words| words.name == line.name).unwrap_or(&UNKNOWN);
    let resource = line.own.get("resource").and_then(|value| Identity::deserialize(value).ok());
    let record = Record { line, words, resource, origin: origin.to_string(), hash, tool, verified };
    let value = match format {
        Format::Ocsf => ocsf::event(&record),
        Format::Ecs => ecs::event(&record),
        Format::CloudEvents => cloudevents::event(&record),
    };
    let mut bytes = Vec::with_capacity(1024);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, InertJson)).map_err(form)?;
    Ok(bytes)
}

/// When a line was written; `None` where it cannot be read.
pub fn time(line: &[u8]) -> Option<Millis> {
    #[derive(Deserialize)]
    struct At {
        ts: Millis,
    }
    serde_json::from_slice::<At>(line).ok().map(|at| at.ts)
}
