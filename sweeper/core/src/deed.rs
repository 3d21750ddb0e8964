//! What may be done to a resource, and the leave to do it.
//!
//! A kind declares each deed with every call it may send ([`ActSpec`]). Only applying or undoing an approved plan
//! makes a [`Permit`], which names one resource and one deed; a provider sends a change only through a [`Pen`], which
//! lets through what the permit's deed declares and nothing else, once, without retrying.

use crate::{
    calls::Site,
    kind::{CloudError, Fault},
    model::{Class, CloudId, Scope, Timestamp},
    policy::{Keep, Verb},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, future::Future};

/// The sorts of [`Deed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeedKind {
    Tag,
    Untag,
    /// Stop or deallocate: in every cloud, into the state that bills no compute.
    Stop,
    /// The undo of a stop.
    Start,
    Delete,
    SetRetention,
    /// Makes the copy that is kept before a deletion.
    Copy,
    /// Makes the thing again, from its kept copy or out of the cloud's bin.
    Restore,
}

impl DeedKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Delete => "delete",
            Self::SetRetention => "set-retention",
            Self::Copy => "copy",
            Self::Restore => "restore",
        }
    }

    /// Whether something is lost or ended by it: what fences and second thoughts are for.
    pub const fn takes_away(self) -> bool {
        matches!(self, Self::Stop | Self::Delete | Self::SetRetention)
    }

    /// What a policy's verb asks for; `None` for one that changes nothing.
    pub const fn of(verb: Verb) -> Option<Self> {
        match verb {
            Verb::Report => None,
            Verb::Tag => Some(Self::Tag),
            Verb::Stop => Some(Self::Stop),
            Verb::Delete => Some(Self::Delete),
            Verb::SetRetention => Some(Self::SetRetention),
        }
    }
}

/// One thing to do to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    Tag {
        key: String,
        value: String,
    },
    Untag {
        key: String,
    },
    Stop,
    Start,
    Delete,
    /// Days that events are kept; `None` is for ever, which only an undo asks for.
    SetRetention {
        days: Option<u32>,
    },
    /// The copy carries these tags, by which it is found again and goes when its time is over.
    Copy {
        keep: Keep,
        tags: BTreeMap<String, String>,
    },
    Restore {
        kept: Kept,
    },
}

impl Deed {
    pub const fn kind(&self) -> DeedKind {
        match self {
            Self::Tag { .. } => DeedKind::Tag,
            Self::Untag { .. } => DeedKind::Untag,
            Self::Stop => DeedKind::Stop,
            Self::Start => DeedKind::Start,
            Self::Delete => DeedKind::Delete,
            Self::SetRetention { .. } => DeedKind::SetRetention,
            Self::Copy { .. } => DeedKind::Copy,
            Self::Restore { .. } => DeedKind::Restore,
        }
    }
}

/// A call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The permission it needs, and the name under which it is counted: `ec2:DeleteVolume`.
    pub permission: &'static str,
    /// `POST`, `DELETE`, as it goes over the wire.
    pub method: &'static str,
    /// What the transport below holds the request against: AWS the operation of the service's model
    /// (`DeleteVolume`), elsewhere the path with `{}` for each segment that names something
    /// (`/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/disks/{}`).
    pub action: &'static str,
}

/// How a deed is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// At once, and all of it: what was stopped is started.
    Undo(&'static str),
    /// Made again from the copy that was kept. Without a copy it is [`Self::OneWay`].
    FromCopy(&'static str),
    /// Taken out of the cloud's own bin, where that is switched on for it, until it ends. Where it is not, the
    /// deed is [`Self::OneWay`].
    FromBin(&'static str),
    /// Nothing is lost: it costs nothing and is made again by whoever wants it (an aborted upload is sent again).
    Again(&'static str),
    /// Not at all. What is lost.
    OneWay(&'static str),
}

impl Reversal {
    /// The words after the sort.
    pub const fn how(self) -> &'static str {
        match self {
            Self::Undo(how) | Self::FromCopy(how) | Self::FromBin(how) | Self::Again(how) | Self::OneWay(how) => how,
        }
    }
}

/// A deed that a kind knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActSpec {
    pub deed: DeedKind,
    /// Every call it may send.
    pub writes: &'static [Write],
    /// Permissions to read that only this deed needs: to watch the operation it starts.
    pub reads: &'static [&'static str],
    pub reversal: Reversal,
    /// Copies that can be kept of it first; empty where none can.
    pub keeps: &'static [Keep],
    /// Classes of what the cloud takes along with it, of what it is known to use; empty where everything else stays.
    pub takes: &'static [Class],
}

/// Which resource a deed is for, as it was seen when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `aws.ec2-volume`.
    pub kind: String,
    pub cloud: CloudId,
    pub account: String,
    /// Where it is: a region or zone.
    pub region: String,
    /// The region of the scope it is listed in: [`Scope::GLOBAL`] for what an account lists once.
    pub listed_in: String,
    /// What the cloud's delete call takes.
    pub native_id: String,
    /// The immutable identity.
    pub uid: String,
    /// For people; may be empty.
    pub name: String,
    pub created: Option<Timestamp>,
}

impl Target {
    /// `<kind>:<account>/<region>/<native id>`.
    pub fn id(&self) -> String {
        format!("{}:{}/{}/{}", self.kind, self.account, self.region, self.native_id)
    }

    /// The scope it is listed in.
    pub fn scope(&self) -> Scope {
        Scope::new(self.cloud, &self.account, &self.listed_in)
    }
}

/// A copy that was kept, with what it takes to make the thing again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The kind of the copy: `aws.ec2-snapshot`; empty when it lies in the cloud's own bin.
    pub kind: String,
    /// The copy; empty when the thing itself lies in a bin under its own id.
    pub native_id: String,
    /// When the cloud lets it go by itself, if it does.
    pub until: Option<Timestamp>,
    /// What is needed to make the thing again and is not in the copy: zone, type, IOPS, tags.
    pub recipe: BTreeMap<String, String>,
}

/// Leave to do one deed to one resource. Only applying or undoing makes one, of an approved plan.
///
/// ```compile_fail,E0451
/// let permit = sweeper_core::kind::Permit { target: todo!(), deed: todo!(), spec: todo!(), token: String::new(), run: String::new(), kept: None };
/// ```
///
/// ```compile_fail,E0599
/// let permit = sweeper_core::kind::Permit::default();
/// ```
///
/// ```compile_fail,E0624
/// let permit = sweeper_core::kind::Permit::new(todo!(), todo!(), todo!(), String::new(), String::new(), None);
/// ```
#[derive(Debug)]
pub struct Permit {
    target: Target,
    deed: Deed,
    spec: ActSpec,
    token: String,
    run: String,
    kept: Option<Kept>,
}

impl Permit {
    pub(crate) fn new(
        target: Target,
        deed: Deed,
        spec: ActSpec,
        token: String,
        run: String,
        kept: Option<Kept>,
    ) -> Self {
        Self { target, deed, spec, token, run, kept }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn deed(&self) -> &Deed {
        &self.deed
    }

    /// What the deed declares.
    pub fn spec(&self) -> &ActSpec {
        &self.spec
    }

    /// The same for every try of this deed under this plan, a UUID: the idempotency token where the cloud takes one.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The plan in short, for session names and tags: letters, digits and dashes, at most 32.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The copy that was made first, for a deletion that keeps one.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// The declared call with this permission, if it is one.
    pub fn write(&self, permission: &str) -> Option<&'static Write> {
        self.spec.writes.iter().find(|write| write.permission == permission)
    }

    /// Whether a request is one that the deed declares. Held against by each provider's transport, below whatever
    /// made the request. A `{}` of a declared path stands for one segment, which is not empty.
    pub fn allows(&self, method: &str, action: &str) -> bool {
        self.spec.writes.iter().any(|write| write.method == method && fits(write.action, action))
    }
}

fn fits(declared: &str, action: &str) -> bool {
    let mut wanted = declared.split('/');
    let mut given = action.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if !segment.is_empty() && segment != "." && segment != ".." => {}
            // Resource providers' names are the same in capital and small letters.
            (Some(wanted), Some(given)) if wanted.eq_ignore_ascii_case(given) => {}
            _ => return false,
        }
    }
}

/// What sends changes: a permit, at a place. A change goes out once; whether it happened although no answer came is
/// found out by reading.
pub struct Pen<'a> {
    site: &'a Site,
    permit: &'a Permit,
    /// Whether the lock still lasts for a call: asked last, right before a change leaves.
    held: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl<'a> Pen<'a> {
    /// `site` must be of the account of the permit's resource.
    pub fn new(site: &'a Site, permit: &'a Permit) -> Self {
        Self { site, permit, held: None }
    }

    /// One that sends nothing once a lock does not last any more, however long the way to the call took.
    pub(crate) fn under(site: &'a Site, permit: &'a Permit, held: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { site, permit, held: Some(held) }
    }

    pub fn permit(&self) -> &'a Permit {
        self.permit
    }

    pub fn target(&self) -> &'a Target {
        &self.permit.target
    }

    /// For reads beside the change.
    pub fn site(&self) -> &'a Site {
        self.site
    }

    /// Sends a change. `op` is the permission of one of the declared calls.
    pub async fn send<T, Answer>(&self, op: &'static str, change: Answer) -> Result<T, CloudError>
    where
        Answer: Future<Output = Result<T, CloudError>> + Send,
        T: Send,
    {
        let refused = |why: &str| Err(CloudError::new(Fault::Refused, op, why));
        if self.permit.write(op).is_none() {
            return refused("it is none of the calls that the deed declares");
        }
        if self.site.scope().account != self.permit.target.account
            || self.site.scope().cloud != self.permit.target.cloud
        {
            return refused("it would go to another account than the permit's");
        }
        let held = self.held;
        // Requests of SDKs are large, and would be held twice.
        let change = Box::pin(change);
        let sent = async move {
            if held.is_some_and(|held| !held()) {
                return Err(CloudError::new(Fault::OutOfTime, op, "the lock ran out before it was sent"));
            }
            change.await
        };
        self.site.once(op, sent).await
    }
}

/// What came back when a change was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The cloud's own id of the request, to find it in the cloud's log; empty where none came.
    pub request: String,
    /// What [`crate::kind::Kind::progress`] needs to watch it: an operation's name or URL, the id of a copy.
    pub handle: String,
}

/// How far a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    /// It has happened. With the copy, for [`Deed::Copy`]; with the id of the new thing, for [`Deed::Restore`]
    /// ([`Kept::native_id`]).
    Done(Option<Kept>),
    /// It will not happen, in the cloud's words.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_paths_are_held_segment_by_segment() {
        let disk = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/disks/{}";
        assert!(fits(disk, "/subscriptions/s/resourceGroups/g/providers/microsoft.compute/disks/d"));
        for wrong in [
            "/subscriptions/s/resourceGroups/g",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d/x",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/..",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/snapshots/d",
        ] {
            assert!(!fits(disk, wrong), "{wrong}");
        }
        assert!(fits("DeleteVolume", "DeleteVolume") && !fits("DeleteVolume", "DeleteVpc"));
    }
}
