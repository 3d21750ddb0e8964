//! Questions that cost a call a resource, asked only where a rule needs them, and their answers.

use crate::{inventory::ResourceIx, model::Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A usage measure, cloud-neutral. The provider knows which series it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Highest CPU use of a day, percent.
    VmCpuMax,
    /// Bytes in and out a day.
    VmNetwork,
    /// Calls a day.
    FunctionInvocations,
    /// The most of: active connections, packets in from source, packets in from destination.
    GatewayTraffic,
    /// Bytes a day through an endpoint.
    EndpointBytes,
    /// Requests (or new flows) a day.
    LbRequests,
    /// Most connections of a day.
    DbConnectionsMax,
    /// Objects in a bucket, all storage classes, latest.
    BucketObjects,
    /// Bytes in a bucket, all storage classes, latest.
    BucketBytes,
    /// Provisioned capacity kept warm for a function.
    FunctionProvisioned,
}

impl Metric {
    pub const ALL: [Self; 10] = [
        Self::VmCpuMax,
        Self::VmNetwork,
        Self::FunctionInvocations,
        Self::GatewayTraffic,
        Self::EndpointBytes,
        Self::LbRequests,
        Self::DbConnectionsMax,
        Self::BucketObjects,
        Self::BucketBytes,
        Self::FunctionProvisioned,
    ];

    /// Its word in evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VmCpuMax => "cpu_max",
            Self::VmNetwork => "network_bytes",
            Self::FunctionInvocations => "invocations",
            Self::GatewayTraffic => "gateway_traffic",
            Self::EndpointBytes => "endpoint_bytes",
            Self::LbRequests => "requests",
            Self::DbConnectionsMax => "connections_max",
            Self::BucketObjects => "objects",
            Self::BucketBytes => "bytes",
            Self::FunctionProvisioned => "provisioned",
        }
    }
}

/// One question about one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Its tags, where the listing did not carry them. Answer: `Tags`.
    Tags,
    /// A measure over the last whole `days` days. Answer: `Usage`.
    Usage { metric: Metric, days: u16 },
    /// With which other accounts it is shared. Answer: `Shares`.
    Shares,
    /// When it was last used to start something. Answer: `When`.
    LastUsed,
    /// When it last received data. Answer: `When`.
    LastEvent,
    /// Digests an index lists, and what the artifact is attached to. Answer: `Manifest`.
    Manifest,
    /// Whether anything at all is in it (versions, markers and uploads included). Answer: `Truth`.
    Holds,
    /// How many targets are registered, and how many healthy. Answer: `Targets`.
    Targets,
    /// Whether it answers without targets (redirect, fixed response, function). Answer: `Truth`.
    AnswersItself,
    /// Its size. Answer: `Bytes`.
    Bytes,
    /// Whether it is locked against deletion. Answer: `Truth`.
    Locked,
    /// Whether the provider's own adviser calls it idle too. Answer: `Truth`. Evidence only: no answer blinds nobody.
    Advised,
}

impl Question {
    /// Its word in evidence, coverage and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Usage { metric, .. } => metric.name(),
            Self::Shares => "shares",
            Self::LastUsed => "last_used",
            Self::LastEvent => "last_event",
            Self::Manifest => "manifest",
            Self::Holds => "holds",
            Self::Targets => "targets",
            Self::AnswersItself => "answers_itself",
            Self::Bytes => "bytes",
            Self::Locked => "locked",
            Self::Advised => "advised",
        }
    }
}

/// Why a question has no answer, when the provider has none to it: its cloud keeps no such record.
pub const NOT_ANSWERED: &str = "not answered";

impl Question {
    /// Whether its having no answer, for this cause, means that something could not be seen. An adviser's word only
    /// adds evidence; and where a cloud keeps no such measure or record there is nothing to see: a verdict that
    /// needs it is unknown, and nobody can mend that.
    pub fn blinds(self, cause: &str) -> bool {
        match self {
            Self::Advised => false,
            Self::LastUsed | Self::Usage { .. } => cause != NOT_ANSWERED,
            _ => true,
        }
    }
}

/// A question about a resource of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    pub resource: ResourceIx,
    pub question: Question,
}

/// A measure over a window. Missing data is not zero: `covered` says on how many days there was any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The highest daily value seen.
    pub max: f64,
    /// Sum over the window.
    pub sum: f64,
    /// Days of the window that had a datapoint.
    pub covered: u16,
    /// Days asked for.
    pub days: u16,
    /// The newest day on which the value was above zero.
    pub last_above_zero: Option<Timestamp>,
}

/// What the cloud answered. `Unseen` is a failed, denied or refused question: never an empty answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Tags(Vec<(String, String)>),
    Usage(Usage),
    /// Account ids; `"all"` is everybody.
    Shares(Vec<String>),
    /// `None` is never.
    When(Option<Timestamp>),
    Manifest {
        children: Vec<String>,
        subject: Option<String>,
    },
    Truth(bool),
    Targets {
        targets: u32,
        healthy: u32,
    },
    Bytes(u64),
    /// Why it could not be answered, in the words of a coverage line: `denied cloudwatch:GetMetricData`.
    Unseen(String),
}

/// Answers by ask.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers {
    #[serde(with = "as_list")]
    answers: BTreeMap<Ask, Answer>,
}

impl Answers {
    pub fn insert(&mut self, ask: Ask, answer: Answer) {
        self.answers.insert(ask, answer);
    }

    pub fn get(&self, ask: Ask) -> Option<&Answer> {
        self.answers.get(&ask)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Ask, &Answer)> {
        self.answers.iter()
    }

    pub fn len(&self) -> usize {
        self.answers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

/// JSON has no maps with structured keys.
mod as_list {
    use super::{Answer, Ask, BTreeMap};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(answers: &BTreeMap<Ask, Answer>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(answers.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Ask, Answer>, D::Error> {
        Ok(Vec::<(Ask, Answer)>::deserialize(deserializer)?.into_iter().collect())
    }
}
