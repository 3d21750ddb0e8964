//! One event of the log, a line of JSON: format `sweeper.audit/1` (`tests/audit/audit.schema.json`).

use super::{
    merkle::Hash,
    schema::{Described, Object},
};
use crate::{
    inert::{InertJson, is_hostile},
    model::{CloudId, Timestamp},
    money::Cost,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use thiserror::Error;

/// The newest format that is written and understood.
pub(super) const VERSION: u32 = 1;
/// The longest line, bytes, with its newline: what log shippers take.
pub const MAX_LINE: usize = 32 * 1024;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl Millis {
    /// Reads exactly what is written: `2026-11-20T13:00:00.000Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let exact = text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
        let at = exact.then(|| text.parse::<jiff::Timestamp>().ok())??;
        Some(Self(at.as_millisecond()))
    }
}

impl From<Timestamp> for Millis {
    fn from(at: Timestamp) -> Self {
        Self(at.0.saturating_mul(1000))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(formatter, "{at:.3}"),
            Err(_) => write!(formatter, "epoch{:+}ms", self.0),
        }
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a time in UTC with milliseconds"))
    }
}

/// Instants of whole seconds, as RFC 3339 in place of the number that they are elsewhere.
mod instant {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};
    use serde::de::Error as _;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not a time")))
            .transpose()
    }
}

/// Payloads, with their JSON Schema made of the very fields and their documentation.
macro_rules! payloads {
    ($($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $field_doc:literal])* $(#[serde($($serde:tt)*)])? $field:ident: $type:ty,)*
    })*) => {
        $($(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[doc = $field_doc])* $(#[serde($($serde)*)])? pub $field: $type,)* }

        impl Described for $name {
            fn schema() -> serde_json::Value {
                #[allow(unused_mut, clippy::allow_attributes, reason = "one payload has no fields")]
                let mut object = Object::new(concat!($($doc),*));
                $(object.field::<$type>(stringify!($field), concat!($($field_doc),*));)*
                object.into_schema()
            }
        })*
    };
}

payloads! {
    /// Which resource: as the plan names it, and so that nothing else can be meant.
    Identity {
        kind: String,
        cloud: CloudId,
        account: String,
        region: String,
        /// What the cloud's calls take.
        native_id: String,
        /// What no other resource ever has, not even one created under the same name.
        uid: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "instant")]
        created: Option<Timestamp>,
    }

    /// An action is about to be taken. Durable before anything of it is sent.
    Intent {
        /// The verb of the plan: `delete`, `stop`, `restore`, …
        action: String,
        resource: Identity,
        /// The digest of what the plan saw of the resource.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// What else goes with it, by native id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cascade: Vec<String>,
        /// Who approved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approved_by: Vec<String>,
        /// What it costs while it is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monthly_cost: Option<Cost>,
        /// The token with which sending it again is the same request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    }

    /// The request has left.
    Sent {
        action: String,
        /// Counts from 1.
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    }

    /// How it ended.
    Outcome {
        action: String,
        resource: Identity,
        #[serde(flatten)]
        result: OutcomeResult,
        /// The provider's id of the request, as its own log has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approved_by: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monthly_cost: Option<Cost>,
        /// The copy that was kept, by native id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    }

    /// An item of the plan was left alone before anything was intended.
    Skip {
        action: String,
        resource: Identity,
        /// What had changed, where that was the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        reason: String,
    }

    /// A copy was made before the resource goes.
    Keep {
        resource: Identity,
        copy: Identity,
        /// Whether it was read back and found whole.
        verified: bool,
        /// When it may go.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "instant")]
        until: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monthly_cost: Option<Cost>,
    }

    /// Somebody asked for a resource back.
    Undo {
        resource: Identity,
        /// The number of the outcome that is undone.
        of: u64,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copy: Option<Identity>,
    }

    /// A resource was condemned; its grace runs.
    Mark {
        resource: Identity,
        policy: String,
        action: String,
        /// When the grace ends.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "instant")]
        eligible: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monthly_cost: Option<Cost>,
    }

    /// It no longer is.
    Unmark {
        resource: Identity,
        policy: String,
        reason: String,
    }

    /// Somebody was told, or could not be.
    Notice {
        channel: String,
        to: String,
        delivered: bool,
        /// What the channel answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
        /// How many resources it speaks of.
        resources: u64,
        /// The SHA-256 of its text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    }

    /// An approval was accepted.
    Approve {
        /// The digest of the plan, or of the policy of a standing approval.
        digest: String,
        /// Who signed.
        by: Vec<String>,
        /// The policy, where the approval is a standing one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<String>,
        /// How many items at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
        /// What they may cost a month at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monthly_cost: Option<Cost>,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "instant")]
        until: Option<Timestamp>,
        /// The SHA-256 of the signed note.
        note: String,
    }

    /// An approval was drawn on.
    UseApproval {
        /// The SHA-256 of its signed note.
        note: String,
        by: Vec<String>,
        count: u64,
        /// How many items it is still good for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<u64>,
    }

    /// The run stopped before its end.
    Halt {
        reason: String,
        /// Items of the plan that were not begun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<u64>,
    }

    /// A cap stopped it.
    CapStop {
        cap: String,
        limit: String,
        would_be: String,
    }

    /// With what the run works.
    Config {
        /// The release.
        tool: String,
        /// The digest of the configuration.
        digest: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policies: Option<String>,
    }

    /// Whom the deployment trusts was changed.
    Trust {
        change: String,
        /// A public key, as `note::Verifier` shows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    }

    /// What was looked at.
    Scan {
        /// The digest of the survey.
        survey: String,
        resources: u64,
        /// Listings that were complete.
        complete: u64,
        /// Listings that could not be read.
        blind: u64,
    }

    /// Nothing happened, which is worth knowing too.
    Heartbeat {}

    /// The lease of the deployment.
    Lock {
        change: LockChange,
        holder: String,
    }

    /// What is expected to be there was set anew.
    Floor {
        scope: String,
        kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<u64>,
        by: String,
    }

    /// What is remembered of findings between runs was forgotten: their clocks and marks begin anew.
    Ledger {
        /// What was done: `restart`.
        change: String,
        /// How many clocks were forgotten.
        entries: u64,
        by: String,
    }

    /// An exception was written into a file of policies: what it names is kept.
    Except {
        /// Which resources, as the policy has it; `*` is any text.
        resource: String,
        reason: String,
        /// The last day on which they are kept.
        until: String,
        /// The file of policies.
        file: String,
        by: String,
    }

    /// The lease of an ephemeral environment was changed: what it covers is held while it is live.
    Environment {
        /// The lease's id.
        lease: String,
        /// What was done: `granted`, `renewed`, `released`, or `token` where it was given another.
        change: String,
        owner: String,
        /// What it covers: tags, accounts, regions.
        selector: Vec<String>,
        /// When it ends, or ended.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "instant")]
        until: Option<Timestamp>,
        by: String,
    }
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum OutcomeResult {
    /// Seen to be done, by us.
    Confirmed,
    /// It was not there any more; not our doing.
    AlreadyGone,
    /// The cloud refused.
    Failed { error: String },
    /// Nobody knows yet.
    Unknown { reason: String },
    /// Not done after all.
    Skipped {
        /// What had changed, where that was the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        reason: String,
    },
}

impl OutcomeResult {
    /// Its word in the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::AlreadyGone => "already-gone",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Skipped { .. } => "skipped",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockChange {
    Taken,
    Released,
    Broken,
    Lost,
}

/// What was put right after a run that did not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Recovered {
    /// The log ended within a line, which was never acknowledged, and was cut off.
    TornLine { bytes: u64, sha256: String },
    /// Events were in the log that no checkpoint covered.
    UnsignedTail { from: u64, to: u64 },
    /// An item was begun and its end not recorded; this was seen.
    Item { action: String, resource: Identity, seen: String },
}

macro_rules! bodies {
    ($($variant:ident($payload:ty) $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum Body { $(#[serde(rename = $name)] $variant($payload),)* }

        impl Body {
            /// Every type, by its word in the log.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Its word in the log.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            /// Every type, with the JSON Schema of what is its own.
            pub(super) fn schemas() -> Vec<(&'static str, serde_json::Value)> {
                vec![$(($name, <$payload>::schema())),*]
            }
        }

        $(impl From<$payload> for Body {
            fn from(payload: $payload) -> Self { Self::$variant(payload) }
        })*
    };
}

bodies! {
    Intent(Intent) "intent",
    Sent(Sent) "sent",
    Outcome(Outcome) "outcome",
    Skip(Skip) "skip",
    Keep(Keep) "keep",
    Undo(Undo) "undo",
    Mark(Mark) "mark",
    Unmark(Unmark) "unmark",
    Notice(Notice) "notice",
    Approve(Approve) "approve",
    UseApproval(UseApproval) "use-approval",
    Halt(Halt) "halt",
    CapStop(CapStop) "cap-stop",
    Config(Config) "config",
    Trust(Trust) "trust",
    Scan(Scan) "scan",
    Heartbeat(Heartbeat) "heartbeat",
    Lock(Lock) "lock",
    Recovered(Recovered) "recovered",
    Floor(Floor) "floor",
    Ledger(Ledger) "ledger",
    Except(Except) "except",
    Environment(Environment) "environment",
}

impl Body {
    /// The resource it is about.
    pub const fn resource(&self) -> Option<&Identity> {
        match self {
            Self::Intent(Intent { resource, .. })
            | Self::Outcome(Outcome { resource, .. })
            | Self::Skip(Skip { resource, .. })
            | Self::Keep(Keep { resource, .. })
            | Self::Undo(Undo { resource, .. })
            | Self::Mark(Mark { resource, .. })
            | Self::Unmark(Unmark { resource, .. })
            | Self::Recovered(Recovered::Item { resource, .. }) => Some(resource),
            _ => None,
        }
    }

    /// The verb it is about.
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::Intent(Intent { action, .. })
            | Self::Sent(Sent { action, .. })
            | Self::Outcome(Outcome { action, .. })
            | Self::Skip(Skip { action, .. })
            | Self::Mark(Mark { action, .. })
            | Self::Recovered(Recovered::Item { action, .. }) => Some(action),
            _ => None,
        }
    }
}

/// What is to be recorded: what happened, and the item of a plan that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The digest of the plan.
    pub plan: Option<String>,
    /// The number of the item in it.
    pub item: Option<u32>,
    pub body: Body,
}

impl Event {
    /// Of no plan.
    pub fn new(body: impl Into<Body>) -> Self {
        Self { plan: None, item: None, body: body.into() }
    }

    /// Of a plan as a whole.
    #[must_use]
    pub fn of_plan(self, plan: &str) -> Self {
        Self { plan: Some(plan.to_owned()), ..self }
    }

    /// Of an item of a plan.
    #[must_use]
    pub fn of_item(self, plan: &str, item: u32) -> Self {
        Self { plan: Some(plan.to_owned()), item: Some(item), ..self }
    }
}

/// Why an event cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// What names the resource does not fit into a line, and is never cut.
    #[error("the event is longer than a line may be")]
    TooLong,
    /// A name that identifies must be plain: see [`is_plain`].
    #[error("{0:?} is not a plain name")]
    NotPlain(String),
    #[error("it is not an event: {0}")]
    Form(String),
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The format: 1.
    pub v: u32,
    /// Its number, from 0, without gaps.
    pub seq: u64,
    /// The SHA-256 of the line before, hexadecimal.
    #[serde(with = "hexadecimal_hash")]
    pub prev: Hash,
    pub ts: Millis,
    pub deployment: String,
    /// The lease's epoch: what it was when the run took the lease. Never goes back.
    pub epoch: u64,
    pub run: String,
    pub plan: Option<String>,
    pub item: Option<u32>,
    #[serde(flatten)]
    pub body: Body,
}

mod hexadecimal_hash {
    use super::{Deserialize, Deserializer, Hash, Serializer, parse_hash};
    use crate::survey_file::hexadecimal;
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hexadecimal(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        parse_hash(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a SHA-256"))
    }
}

/// A SHA-256 in 64 small hexadecimal digits.
pub(super) fn parse_hash(text: &str) -> Option<Hash> {
    const fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// Whether a name of a deployment, run, plan or action is fit for the log: letters, digits and `. _ : / @ -`,
/// at most 200 of them, so that it is the same text in JSON, in a path and in a checkpoint.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte))
}

impl AuditEvent {
    /// Reads a line, without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, EventError> {
        let event: Self = serde_json::from_slice(line).map_err(|error| EventError::Form(error.to_string()))?;
        if event.v != VERSION {
            return Err(EventError::Form(format!("its format is {}, this release knows {VERSION}", event.v)));
        }
        Ok(event)
    }

    /// The line, without its newline, shorter than [`MAX_LINE`]. Long texts and lists are cut, with a mark;
    /// what names the resource never is.
    pub fn line(&self) -> Result<Vec<u8>, EventError> {
        let names = [Some(self.deployment.as_str()), Some(&self.run), self.plan.as_deref(), self.body.action()];
        if let Some(name) = names.into_iter().flatten().find(|name| !is_plain(name)) {
            return Err(EventError::NotPlain(name.chars().filter(|letter| !is_hostile(*letter)).take(60).collect()));
        }
        let whole = inert(self)?;
        if whole.len() < MAX_LINE {
            return Ok(whole);
        }
        let value = serde_json::to_value(self).map_err(|error| EventError::Form(error.to_string()))?;
        for limit in [4096, 1024, 256, 64] {
            let mut value = value.clone();
            for (name, part) in value.as_object_mut().into_iter().flatten() {
                if !matches!(name.as_str(), "resource" | "copy" | "prev") {
                    cut(part, limit);
                }
            }
            let line = inert(&value)?;
            if line.len() < MAX_LINE {
                return Ok(line);
            }
        }
        Err(EventError::TooLong)
    }
}

fn inert(value: &impl Serialize) -> Result<Vec<u8>, EventError> {
    let mut line = Vec::with_capacity(512);
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut line, InertJson))
        .map_err(|error| EventError::Form(error.to_string()))?;
    Ok(line)
}

/// Cuts every text to `limit` bytes and every list to a quarter of it, saying how much is missing.
fn cut(value: &mut serde_json::Value, limit: usize) {
    match value {
        serde_json::Value::String(text) if text.len() > limit => {
            let keep = text.floor_char_boundary(limit);
            let lost = text.len() - keep;
            text.truncate(keep);
            text.push_str(&[" [cut: ", &lost.to_string(), " more bytes]"].concat());
        }
        serde_json::Value::Array(list) => {
            if let Some(lost) = list.len().checked_sub(limit / 4).filter(|lost| *lost > 0) {
                list.truncate(limit / 4);
                list.push(format!("[cut: {lost} more]").into());
            }
            for each in list {
                cut(each, limit);
            }
        }
        serde_json::Value::Object(fields) => {
            for each in fields.values_mut() {
                cut(each, limit);
            }
        }
        _ => {}
    }
}
