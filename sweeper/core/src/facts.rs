//! What is true of a resource of each class, in the same words for all clouds. `None` is "not known".
//!
//! Anything that needs one more call a resource is not here but in [`crate::answers`].

use crate::{
    intern::Sym,
    model::{Class, Timestamp},
};
use serde::{Deserialize, Serialize};

mod symbols;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant),* }

        impl $name {
            /// Its word in conditions and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Every word there is.
            pub const NAMES: &'static [&'static str] = &[$($text),*];
        }
    };
}

states! { DiskState { Available "available", Attached "attached", Reserved "reserved", Other "other" } }
states! {
    /// `Deallocated` costs no compute; `Stopped` in Azure still does.
    VmState { Running "running", Stopped "stopped", Deallocated "deallocated", Other "other" }
}
states! { Tier { Standard "standard", Archive "archive" } }
states! { ImageState { Available "available", Disabled "disabled", Other "other" } }
states! {
    /// An index (manifest list) holds no layers, only children.
    Media { Image "image", Index "index", Other "other" }
}
states! { DatabaseState { Available "available", Stopped "stopped", Other "other" } }
states! { LbKind { Classic "classic", Application "application", Network "network", Gateway "gateway", Other "other" } }
states! { GatewayKind { Nat "nat", Other "other" } }
states! { EndpointKind { Interface "interface", Gateway "gateway", Other "other" } }

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vm {
    pub state: VmState,
    /// Machine type, `t3.micro`.
    pub vm_type: Sym,
    /// Native id of the image it was started from.
    pub image: Sym,
    /// Since when it is in its state.
    pub in_state_since: Option<Timestamp>,
    pub spot: bool,
    /// Stopped, and its compute is billed all the same: its host is still reserved for it.
    pub still_billed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub state: DiskState,
    pub size_gib: u32,
    /// Volume type or SKU: `gp3`.
    pub tier: Sym,
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    pub source_snapshot: Sym,
    pub attachments: u16,
    pub last_attached: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Size of the whole disk: an upper bound of what is billed.
    pub size_gib: u32,
    /// What is really stored and billed, where the cloud says it.
    pub stored_bytes: Option<u64>,
    pub tier: Tier,
    /// Native id of the disk it was taken from; none when the cloud does not say.
    pub source: Sym,
    /// The source id is a stand-in (copied snapshots: `vol-ffffffff`), so its absence says nothing.
    pub source_is_dummy: bool,
    pub complete: bool,
    /// End of the archive tier's minimum, when known.
    pub locked: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub state: ImageState,
    /// Sum of its snapshots' sizes.
    pub size_gib: u32,
    pub deprecated: bool,
    pub public: bool,
    /// The newest usable one of a family or definition by whose name machines are started.
    pub newest: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    pub tagged: bool,
    pub size_bytes: Option<u64>,
    pub pushed: Option<Timestamp>,
    /// Last pull the registry recorded; `None` with `pull_recorded` means never since it records.
    pub last_pulled: Option<Timestamp>,
    /// Whether the registry records pulls at all.
    pub pull_recorded: bool,
    pub media: Media,
    /// The repository, or the layer's name.
    pub container: Sym,
    /// 1 is the newest in its repository or layer.
    pub rank: u32,
    /// A layer version or package rather than a container image.
    pub package: bool,
    /// Whether those who use it can be listed at all.
    pub users_listed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// Number of images; `None` when not counted.
    pub images: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Versioning is or was on.
    pub versioned: Option<bool>,
    /// Any enabled lifecycle rule.
    pub lifecycle: Option<bool>,
    /// An enabled rule ends noncurrent versions.
    pub noncurrent_rule: Option<bool>,
    /// An enabled rule aborts incomplete uploads.
    pub abort_rule: Option<bool>,
    /// Made by a service for its own use, and filled when that needs it (builds, function sources, staging).
    #[serde(default)]
    pub machinery: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    pub initiated: Option<Timestamp>,
    /// The bucket.
    pub container: Sym,
    pub key: Sym,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub runtime: Sym,
    pub last_modified: Option<Timestamp>,
    pub code_bytes: Option<u64>,
    /// Runs at the edge: its metrics are in other regions.
    pub edge: Option<bool>,
    /// Instances that are kept running, and billed, whether or not anybody calls; `None` where it takes a question
    /// ([`crate::answers::Metric::FunctionProvisioned`]) to know.
    #[serde(default)]
    pub kept_warm: Option<u32>,
    /// Part of another function, which is judged in its stead: the service that a function of Google's second
    /// generation runs as.
    #[serde(default)]
    pub machinery: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionVersion {
    pub function: Sym,
    pub version: u64,
    pub last_modified: Option<Timestamp>,
    pub code_bytes: Option<u64>,
    /// 1 is the newest published version.
    pub rank: u32,
    pub edge: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub associated: bool,
    pub ip: Sym,
    /// Owned by a service that manages it.
    pub service_managed: bool,
    /// From the customer's own pool: costs nothing.
    pub own_pool: bool,
    /// Of a private network: costs nothing.
    pub internal: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    pub attached: bool,
    pub state: Sym,
    /// Who created it for us; none when the user did.
    pub requester: Sym,
    /// Part of another resource's machinery (Lambda, EFS, load balancer, NAT).
    pub machinery: bool,
    pub description: Sym,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    pub kind: GatewayKind,
    pub state: Sym,
    /// In the state in which it carries traffic and is billed.
    pub active: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    pub kind: EndpointKind,
    pub service: Sym,
    pub state: Sym,
    pub active: bool,
    /// Zones it is billed in.
    pub zones: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub kind: LbKind,
    pub state: Sym,
    /// Machines registered with the balancer itself (classic); `None` when targets are in groups.
    pub own_targets: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetGroup {
    pub target_type: Sym,
    /// A load balancer names it.
    pub bound: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub state: DatabaseState,
    pub engine: Sym,
    pub db_class: Sym,
    pub storage_gib: u32,
    pub multi_az: bool,
    /// A read replica of another database.
    pub replica: bool,
    /// A cluster rather than an instance: it has no connections of its own, its members have.
    pub is_cluster: bool,
    /// The cluster it belongs to, if any.
    pub cluster: Sym,
    pub storage_type: Sym,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DbSnapshot {
    /// Taken by a person or a pipeline, not by the service's own schedule.
    pub manual: bool,
    /// Backups kept after their database was deleted.
    pub retained: bool,
    /// Native id of the database or cluster.
    pub source: Sym,
    /// The source is a cluster rather than an instance.
    pub of_cluster: bool,
    pub size_gib: u32,
    pub engine: Sym,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// Native id (last segment of the ARN) of what was backed up.
    pub source: Sym,
    /// The provider's word for the sort of source: `EBS`, `RDS`, `EC2`.
    pub source_type: Sym,
    /// The class the source would be listed under, when we list it.
    pub source_class: Option<Class>,
    pub size_bytes: Option<u64>,
    pub vault: Sym,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Days events are kept; `None` is for ever.
    pub retention_days: Option<u32>,
    pub bytes: Option<u64>,
    /// Comes with the account and cannot be deleted.
    #[serde(default)]
    pub machinery: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// SKU: `P1v3`, `GP_Gen5`.
    pub tier: Sym,
    /// Apps or databases in it; `None` when not counted.
    pub holds: Option<u32>,
    /// Instances that are billed.
    pub capacity: u32,
    /// A tier that costs nothing by itself (free, shared, consumption).
    pub free: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Appliance {
    /// `application gateway`, `VPN gateway`, `firewall`, `DDoS protection plan`.
    pub sort: Sym,
    pub tier: Sym,
    pub state: Sym,
    /// In the state in which it is billed.
    pub active: bool,
    /// Backends, connections, circuits or networks it serves; `None` when not counted.
    pub serves: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Comes with the network and cannot be deleted.
    pub default: bool,
    /// Interfaces and subnets it is on; `None` where those name the group ([`crate::model::Relation::Guards`]).
    pub associations: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    pub version: Sym,
    pub state: Sym,
    /// Nodes the service counts; `None` when it does not.
    pub nodes: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Referrer {}

macro_rules! facts {
    ($($variant:ident),* $(,)?) => {
        /// The facts of one resource.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Facts { $($variant($variant)),* }

        /// The facts of one resource, borrowed from its column.
        #[derive(Clone, Copy, Debug)]
        pub enum FactsRef<'a> { $($variant(&'a $variant)),* }

        /// One column of facts: all of one class.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FactColumn { $($variant(Vec<$variant>)),* }

        impl Facts {
            pub const fn class(&self) -> Class {
                match self { $(Self::$variant(_) => Class::$variant),* }
            }
        }

        impl FactColumn {
            pub(crate) fn of(class: Class) -> Self {
                match class { $(Class::$variant => Self::$variant(Vec::new())),* }
            }

            pub(crate) fn push(&mut self, facts: Facts) -> bool {
                match (self, facts) {
                    $((Self::$variant(column), Facts::$variant(facts)) => { column.push(facts); true })*
                    _ => false,
                }
            }

            pub(crate) fn at(&self, row: usize) -> Option<FactsRef<'_>> {
                match self { $(Self::$variant(column) => column.get(row).map(FactsRef::$variant)),* }
            }

            pub(crate) fn shrink(&mut self) {
                match self { $(Self::$variant(column) => column.shrink_to_fit()),* }
            }
        }

        $(impl From<$variant> for Facts {
            fn from(facts: $variant) -> Self { Self::$variant(facts) }
        })*
    };
}

facts! {
    Vm, Disk, Snapshot, Image, Registry, Artifact, Bucket, Upload, Function, FunctionVersion, Address,
    Interface, Gateway, Endpoint, LoadBalancer, TargetGroup, Plan, Appliance, SecurityGroup, Cluster, Database, DbSnapshot, RecoveryPoint, LogGroup,
    Referrer,
}
