//! What a resource is, in words that all clouds share.

use jiff::{civil::Date, tz::Offset};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A cloud provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudId {
    Aws,
    Azure,
    Gcp,
}

impl CloudId {
    pub const ALL: [Self; 3] = [Self::Aws, Self::Azure, Self::Gcp];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }

    /// Whether its ids are the same in capital and small letters, as those of Azure Resource Manager are.
    pub const fn ignores_case(self) -> bool {
        matches!(self, Self::Azure)
    }

    /// Whether two spellings are one tag key. Azure keeps the spelling that a key has, whatever spelling it is set or
    /// taken away by ("tag names are case-insensitive for operations", Azure Resource Manager, Use tags); the others
    /// tell spellings apart.
    pub fn is_tag_key(self, own: &str, key: &str) -> bool {
        own == key || (self.ignores_case() && own.eq_ignore_ascii_case(key))
    }
}

/// An instant: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Seconds in a day.
pub const DAY: i64 = 86_400;

impl Timestamp {
    /// Reads RFC 3339 with a zone (`2026-11-20T13:00:00Z`).
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_second()))
    }

    /// Seconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This instant moved by a number of seconds.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The day in UTC; `None` beyond the years of the calendar.
    pub fn day(self) -> Option<Date> {
        Some(Offset::UTC.to_datetime(jiff::Timestamp::from_second(self.0).ok()?).date())
    }

    /// The UTC calendar date, `2026-11-20`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

/// RFC 3339 in UTC, whole seconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(at) => write!(formatter, "{at}"),
            Err(_) => write!(formatter, "epoch{:+}s", self.0),
        }
    }
}

/// Where a resource lives: an account (subscription, project) and a region. The region of things that
/// an account has once, wherever they are, is [`Scope::GLOBAL`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    pub cloud: CloudId,
    pub account: String,
    pub region: String,
}

impl Scope {
    /// The region of what is listed once an account.
    pub const GLOBAL: &'static str = "global";
    /// The account of what is said of a cloud whose accounts could not be read.
    pub const NO_ACCOUNT: &'static str = "-";

    pub fn new(cloud: CloudId, account: impl Into<String>, region: impl Into<String>) -> Self {
        Self { cloud, account: account.into(), region: region.into() }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}/{}", self.cloud.name(), self.account, self.region)
    }
}

macro_rules! classes {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// What rules may speak about: the cloud-neutral sort of a resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Class { $($variant),* }

        impl Class {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in policies and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// By its name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|class| class.name() == name)
            }
        }
    };
}

classes! {
    Vm "vm", Disk "disk", Snapshot "snapshot", Image "image",
    Registry "registry", Artifact "artifact", Bucket "bucket", Upload "upload",
    Function "function", FunctionVersion "function-version",
    Address "address", Interface "interface", Gateway "gateway", Endpoint "endpoint",
    LoadBalancer "load-balancer", TargetGroup "target-group",
    // Capacity that is billed whether or not anything runs on it: App Service plans, database pools.
    Plan "plan",
    // Network machinery billed by the hour: application and VPN gateways, firewalls, protection plans.
    Appliance "appliance",
    SecurityGroup "security-group", Cluster "cluster",
    Database "database", DbSnapshot "db-snapshot", RecoveryPoint "recovery-point", LogGroup "log-group",
    // Listed only because it may use something else: templates, groups, clusters, routes.
    Referrer "referrer",
}

/// How a resource refers to another. Each relation is searched in every kind whose spec declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// A machine has the disk, interface or address attached, or was started from the image.
    UsedByVm,
    /// A template, group, fleet, recipe or parameter names the image or snapshot.
    UsedByTemplate,
    /// An image is made of the snapshot.
    UsedByImage,
    /// A workload runs, or is defined with, the artifact, layer or function version.
    Referenced,
    /// An index lists the artifact as its child, or the artifact is attached to another (signature, SBOM).
    ChildOf,
    /// An alias or an event source sends traffic to the function version.
    Aliased,
    /// A route sends traffic to the gateway or endpoint.
    Routed,
    /// A load balancer's target group.
    Targets,
    /// A load balancer's listener sends to the target group.
    Bound,
    /// The address belongs to the gateway, interface or load balancer.
    Holds,
    /// A machine, interface, template or rule of another group names the security group.
    Guards,
    /// It carries the mark of a Kubernetes cluster that owns it.
    OfCluster,
}

impl Relation {
    pub const ALL: [Self; 12] = [
        Self::UsedByVm,
        Self::UsedByTemplate,
        Self::UsedByImage,
        Self::Referenced,
        Self::ChildOf,
        Self::Aliased,
        Self::Routed,
        Self::Targets,
        Self::Bound,
        Self::Holds,
        Self::Guards,
        Self::OfCluster,
    ];

    /// Reads after "found nothing that …".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::UsedByVm => "is a machine using it",
            Self::UsedByTemplate => "is a template naming it",
            Self::UsedByImage => "is an image made of it",
            Self::Referenced => "refers to it",
            Self::ChildOf => "is an index or subject it belongs to",
            Self::Aliased => "calls it by its number or an alias",
            Self::Routed => "routes to it",
            Self::Targets => "is a target group of it",
            Self::Bound => "is a listener sending to it",
            Self::Holds => "holds it",
            Self::Guards => "is guarded by it",
            Self::OfCluster => "carries its mark",
        }
    }
}

/// How far away a referrer may be. A blind scope makes a verdict unknown only within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The resource's own account and region.
    Region,
    /// Every surveyed region of the resource's account.
    Account,
    /// Every surveyed account and region of the cloud.
    Org,
}

impl Reach {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Account => "account",
            Self::Org => "org",
        }
    }
}

/// Three-valued truth (Kleene): `None` is unknown.
pub type Tri = Option<bool>;

/// What is left of an id after its last `/` or `:`: the same thing is named by an ARN, a path or a bare id.
pub fn last_segment(id: &str) -> &str {
    id.rsplit(['/', ':']).next().unwrap_or(id)
}
