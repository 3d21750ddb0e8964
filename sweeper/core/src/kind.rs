//! What a provider plugin implements: a cloud, and each kind of resource in it.

use crate::{
    answers::{Answer, Ask},
    calls::Site,
    charges::{BillAsk, BillTold},
    deed::{ActSpec, Deed, DeedKind, Pen, Progress, Sent, Target},
    inventory::{Inventory, InventoryBuilder, Listing, Resource},
    model::{Class, CloudId, Reach, Relation, Tri},
    money::Cost,
    observe::Observed,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// What an error of a cloud means, whatever its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Too many calls; worth waiting for.
    Throttled,
    /// The identity may not.
    Denied,
    /// The credentials are missing, wrong or expired.
    Unauthenticated,
    /// The thing asked about is not there.
    NotFound,
    /// The service is not offered or not switched on here: nothing can be there.
    NotOffered,
    /// The cloud's or the network's trouble; worth another try.
    Transient,
    /// The endpoint cannot be reached at all.
    Unreachable,
    /// An answer that cannot be understood, or pages that do not end.
    Malformed,
    /// The cloud refused the request as wrong: ours to fix.
    Refused,
    /// The run's deadline passed.
    OutOfTime,
    /// The run's budget for paid calls is spent.
    OutOfBudget,
    /// Somebody stopped the run.
    Cancelled,
}

impl Fault {
    /// Reads before the operation's name: `denied ec2:DescribeSnapshots`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Unauthenticated => "not authenticated for",
            Self::NotFound => "not found:",
            Self::NotOffered => "not offered:",
            Self::Transient => "failing:",
            Self::Unreachable => "unreachable:",
            Self::Malformed => "malformed answer of",
            Self::Refused => "refused",
            Self::OutOfTime => "out of time before",
            Self::OutOfBudget => "api budget spent before",
            Self::Cancelled => "stopped before",
        }
    }

    /// Whether another try of a read can help.
    pub const fn worth_retrying(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient)
    }
}

/// A failed call of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudError {
    pub fault: Fault,
    /// The permission the call needs: `ec2:DescribeVolumes`.
    pub op: &'static str,
    /// The cloud's own words, without secrets; may be empty.
    pub message: String,
    /// What the cloud asked us to wait, milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl CloudError {
    pub fn new(fault: Fault, op: &'static str, message: impl Into<String>) -> Self {
        Self { fault, op, message: message.into(), retry_after_ms: None }
    }

    /// The line under which resources not seen for this reason are counted.
    pub fn cause(&self) -> String {
        format!("{} {}", self.fault.word(), self.op)
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.fault.word(), self.op)?;
        if !self.message.is_empty() {
            write!(formatter, " ({})", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for CloudError {}

pub use crate::deed::Permit;

/// Where a kind is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// In each region.
    Regions,
    /// Once an account, in [`crate::model::Scope::GLOBAL`].
    Account,
}

/// Everything there is to know about a kind without a call.
#[derive(Debug)]
pub struct KindSpec {
    /// `aws.ec2-volume`: the name in policies, reports, plans and file names.
    pub id: &'static str,
    pub cloud: CloudId,
    pub class: Class,
    /// What one is called, lower case singular: "EBS volume".
    pub title: &'static str,
    pub places: Places,
    /// Permissions that `enumerate` needs.
    pub reads: &'static [&'static str],
    /// Permissions that `answer` needs.
    pub asks: &'static [&'static str],
    /// How resources of this kind may refer to others: where a relation is searched follows from these.
    pub refers: &'static [(Relation, Reach)],
    /// Kinds whose complete listing this one's own relations need (to resolve names), listed along.
    pub needs: &'static [&'static str],
    /// Other kinds that may hold referrers but that nobody can list from here, printed in every finding:
    /// `(relation, "Kubernetes pods that pin the digest")`.
    pub out_of_sight: &'static [(Relation, &'static str)],
    /// The provider's own adviser that answers [`crate::answers::Question::Advised`] about it: `Recommender`;
    /// empty for none. Its word is evidence beside a finding, never the verdict.
    pub advised: &'static str,
    /// Why it is reported and never acted on; empty when it may be.
    pub report_only: &'static str,
    /// What may be done to one. Containers of other things have none.
    pub acts: &'static [ActSpec],
}

impl KindSpec {
    /// A deed it knows.
    pub fn act(&self, deed: DeedKind) -> Option<&'static ActSpec> {
        self.acts.iter().find(|act| act.deed == deed)
    }
}

/// One sort of resource in one cloud.
#[async_trait]
pub trait Kind: Send + Sync {
    fn spec(&self) -> &'static KindSpec;

    /// Pushes every resource of the site's scope, all pages, or fails. A part of a list is worse than none.
    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError>;

    /// Answers questions about resources of this kind in the site's scope, batched as the cloud allows.
    /// Must give one answer an ask; an error speaks for all that were left.
    async fn answer(
        &self,
        _site: &Site,
        _inventory: &Inventory,
        _asks: &[Ask],
    ) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(Vec::new())
    }

    /// Reads one resource again, just before and after something is done to it: pushes it as [`Self::enumerate`]
    /// would, or pushes nothing when the cloud says that it is not there. Anything else is an error. Others may be
    /// pushed along.
    async fn observe(&self, site: &Site, _target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        self.enumerate(site, out).await
    }

    /// Does what the pen's permit says, once, and does not wait for its end. An error whose fault is
    /// [`Fault::Transient`] leaves open whether it happened; after any other it did not.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let op = pen.permit().spec().writes.first().map_or("nothing", |write| write.permission);
        Err(CloudError::new(Fault::Refused, op, "this kind does not know how"))
    }

    /// How far a change is that [`Self::act`] has sent, or that may have been sent when nothing is known of it
    /// (`sent` is then empty). Reads only. Without operations to watch, a deletion is done when the resource is gone.
    async fn progress(&self, site: &Site, permit: &Permit, _sent: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Delete => deleted(self, site, permit.target()).await,
            Deed::Tag { .. } | Deed::Untag { .. } | Deed::SetRetention { .. } => Ok(Progress::Done(None)),
            Deed::Stop | Deed::Start | Deed::Copy { .. } | Deed::Restore { .. } => {
                let op = permit.spec().writes.first().map_or("nothing", |write| write.permission);
                Err(CloudError::new(Fault::Refused, op, "this kind does not know how far it is"))
            }
        }
    }

    /// The list price of a month of this resource. Pure; used only where the bill is silent.
    fn price(&self, _resource: Resource<'_>, _prices: &dyn Prices) -> Cost {
        Cost::unknown()
    }
}

/// Reads one resource again. Where it could not be told whether it is there, that is an error.
pub async fn observed<K: Kind + ?Sized>(kind: &K, site: &Site, target: &Target) -> Result<Observed, CloudError> {
    let mut builder = InventoryBuilder::new(&[kind.spec()]);
    let mut listing = builder.listing(kind.spec(), site.scope());
    kind.observe(site, target, &mut listing).await?;
    builder.complete(listing, site.made());
    Observed::of(builder.build(), kind.spec(), target)
}

/// How far a deletion is that no operation tells of: done when the resource is gone.
pub async fn deleted<K: Kind + ?Sized>(kind: &K, site: &Site, target: &Target) -> Result<Progress, CloudError> {
    let seen = observed(kind, site, target).await?;
    Ok(if seen.is_gone() { Progress::Done(None) } else { Progress::Running })
}

/// Unit prices by region and key, from a dated list.
pub trait Prices: Send + Sync {
    /// US dollars a unit: `("aws", "us-east-1", "ebs.gp3.gb-month")`. `None` where no sourced figure exists.
    fn unit(&self, cloud: CloudId, region: &str, key: &str) -> Option<crate::money::Amount>;

    /// Whether that price is the recent answer of the cloud's own price API, rather than of a dated list.
    fn is_live(&self, _cloud: CloudId, _region: &str, _key: &str) -> bool {
        false
    }
}

/// An account (subscription, project) of the universe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// Where it hangs: `/Sandbox/team-a`. Empty when unknown.
    pub path: String,
    /// Enabled regions; kinds of [`Places::Account`] are listed beside.
    pub regions: Vec<String>,
    /// Why nothing of it can be read, if so; it is then blind, not empty.
    pub blind: Option<String>,
    /// Why nothing can be there (closed), if so.
    pub none: Option<String>,
}

/// All that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Universe {
    pub accounts: Vec<Account>,
    /// Set when the parent could not be read: what is beyond these accounts is unknown.
    pub only_what_this_identity_sees: bool,
}

/// Who the credentials are, in the cloud's own words. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `arn:aws:sts::111122223333:assumed-role/reader/me`, `service principal 1234… in tenant 5678…`,
    /// `sweeper@shop-prod.iam.gserviceaccount.com`.
    pub name: String,
    /// Where its credentials come from: `environment`, `az login`, `metadata server`.
    pub source: String,
}

/// Where a permission must be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// In every account that is looked at.
    Account,
    /// At the parent: the organisation's management account, the management group, the folder or organisation.
    Parent,
    /// Nowhere: everybody may. Named since the journal names it.
    Nowhere,
}

/// A permission that no kind declares: to know the accounts, and to be sure of what may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// As in [`KindSpec::reads`].
    pub permission: &'static str,
    /// What it is for: "to list the subscriptions below a management group".
    pub why: &'static str,
    pub held: Held,
}

/// A cloud provider plugin.
#[async_trait]
pub trait Cloud: Send + Sync {
    fn id(&self) -> CloudId;
    /// Every kind it knows, in a fixed order.
    fn kinds(&self) -> &[Arc<dyn Kind>];
    /// The accounts and regions to look at. An error stops the run for this cloud (no credentials, say).
    async fn universe(&self) -> Result<Universe, CloudError>;

    /// Takes up accounts of a universe that another process has read, to look at these only: makes the calls that
    /// entering them takes, where it can without asking for the whole universe again. Gives those that cannot be
    /// entered, with the reason.
    async fn enter(
        &self,
        _universe: &Universe,
        _accounts: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, CloudError> {
        self.universe().await.map(|_| BTreeMap::new())
    }

    /// The manager whose mark a resource carries, by tags that its listing did not have; empty for none.
    fn manager(&self, _tags: &[(&str, &str)]) -> String {
        String::new()
    }

    /// Who the credentials are, for `sweeper doctor`. Asks as little as it can: Azure reads the claims `oid`, `appid`,
    /// `upn` and `tid` of its own token, Google Cloud the address in the credentials or at the metadata server, AWS
    /// `sts:GetCallerIdentity`. Never gives a token or a key. `None` where it is not told.
    async fn identity(&self) -> Result<Option<Identity>, CloudError> {
        Ok(None)
    }

    /// What the accounts cost by day, from the API of the cloud's bill: every page, or an error; each call
    /// goes through the door with its price. No command asks it yet. [`Fault::NotOffered`] where this cloud has none.
    async fn bill(&self, _ask: &BillAsk) -> Result<BillTold, CloudError> {
        Err(CloudError::new(Fault::NotOffered, "the bill", "this cloud has no API of its bill"))
    }

    /// Which of some permissions are held in the whole of an account, in their order: `None` where the cloud does not
    /// tell without trying. Called after [`Self::universe`], by `sweeper doctor` only. Azure: the permissions API at
    /// the subscription's root (actions and data actions); Google Cloud: `projects.testIamPermissions`, at most 100 a
    /// call, and without those that it does not know; AWS does not tell, and is tried.
    async fn rights(&self, _account: &str, permissions: &[&'static str]) -> Result<Vec<Tri>, CloudError> {
        Ok(vec![None; permissions.len()])
    }
}
