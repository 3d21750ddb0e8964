//! What may be done to a resource of Resource Manager, and how far it is.
//!
//! Every deed reads the resource first and compares its immutable id with that of the permit: a name that was given
//! again is another resource. A change that takes a while is watched by the URL that was given for it
//! (`Azure-AsyncOperation`, else `Location`; source: "Track asynchronous Azure operations"), and a deletion has happened
//! when, besides, the resource is not there.

use crate::{
    arm::{self, Auth, Azure},
    entity::{Common, Entity, Pairs, Sort},
    fault,
    transport::{Reply, Request, Service},
};
use reqwest::Method;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use sweeper_core::{
    calls::Site,
    deed::{Deed, Kept, Pen, Permit, Progress, Sent, Target},
    inventory::Listing,
    kind::{CloudError, Fault},
    policy::Keep,
};
use url::Url;

/// The permission that changes tags.
pub(crate) const TAG: &str = "Microsoft.Resources/tags/write";
const TAGS_API: &str = "2021-04-01";

/// Permissions to watch operations of Compute, by what they are on.
pub(crate) const COMPUTE: &[&str] = &["Microsoft.Compute/locations/operations/read"];
pub(crate) const DISKS: &[&str] = &["Microsoft.Compute/locations/diskOperations/read"];
pub(crate) const GALLERIES: &[&str] = &["Microsoft.Compute/locations/capsOperations/read"];
/// The same of Network.
pub(crate) const NETWORK: &[&str] = &["Microsoft.Network/locations/operations/read"];

/// The path of a type's resources, as a [`sweeper_core::deed::Write`] declares it.
macro_rules! arm_path {
    ($of:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/", $of)
    };
}

/// The deeds that put and take away a tag: `tagging!("Microsoft.Compute/disks/{}")`.
macro_rules! tagging {
    (@ $deed:ident, $of:literal, $how:literal) => {
        ::sweeper_core::deed::ActSpec {
            deed: ::sweeper_core::deed::DeedKind::$deed,
            writes: &[::sweeper_core::deed::Write {
                permission: $crate::acts::TAG,
                method: "PATCH",
                action: concat!($crate::acts::arm_path!($of), "/providers/Microsoft.Resources/tags/default"),
            }],
            reads: &[],
            reversal: ::sweeper_core::deed::Reversal::Undo($how),
            keeps: &[],
            takes: &[],
        }
    };
    (tag $of:literal) => { $crate::acts::tagging!(@ Tag, $of, "the tag is taken away again") };
    (untag $of:literal) => { $crate::acts::tagging!(@ Untag, $of, "the tag is put back") };
}

/// A deed of one call: `act!(Delete, "DELETE" "Microsoft.Compute/disks/{}", permission, reads, reversal, keeps)`.
macro_rules! act {
    ($deed:ident, $method:literal $of:literal, $permission:expr, $reads:expr, $reversal:expr, $keeps:expr) => {
        ::sweeper_core::deed::ActSpec {
            deed: ::sweeper_core::deed::DeedKind::$deed,
            writes: &[::sweeper_core::deed::Write {
                permission: $permission,
                method: $method,
                action: $crate::acts::arm_path!($of),
            }],
            reads: $reads,
            reversal: $reversal,
            keeps: $keeps,
            takes: &[],
        }
    };
}

/// The deed that keeps a resource's definition: it is read, and nothing is sent.
macro_rules! defining {
    () => {
        ::sweeper_core::deed::ActSpec {
            deed: ::sweeper_core::deed::DeedKind::Copy,
            writes: &[],
            reads: &[],
            reversal: ::sweeper_core::deed::Reversal::Again("a definition that is kept costs nothing"),
            keeps: &[::sweeper_core::policy::Keep::Definition],
            takes: &[],
        }
    };
}
pub(crate) use {act, arm_path, defining, tagging};

/// The part of a recipe that a whole definition is in.
const DEFINITION: &str = "definition";

/// How a sort of resource is read, and what of one never changes.
pub(crate) struct Act<P> {
    pub(crate) sort: &'static Sort,
    /// What the read asks for besides: `?$expand=instanceView`.
    pub(crate) query: &'static str,
    /// The immutable identity, as the kind's listing gives it; empty where there is none.
    pub(crate) uid: fn(&P) -> &str,
}

fn refused(op: &'static str, why: impl Into<String>) -> CloudError {
    CloudError::new(Fault::Refused, op, why)
}

/// The error for a deed that a kind does not know.
pub(crate) fn unknown(pen: &Pen<'_>) -> CloudError {
    let op = pen.permit().spec().writes.first().map_or("nothing", |write| write.permission);
    refused(op, format!("this kind does not know how to {}", pen.permit().deed().kind().name()))
}

/// The permission of the deed's one call.
pub(crate) fn op_of(permit: &Permit) -> &'static str {
    permit.spec().writes.first().map_or("nothing", |write| write.permission)
}

/// What came back when a change was sent.
pub(crate) fn sent(reply: &Reply) -> Sent {
    let header = |names: &[&str]| names.iter().find_map(|name| reply.header(name)).unwrap_or_default().to_owned();
    Sent {
        request: header(&["x-ms-correlation-request-id", "x-ms-request-id"]),
        handle: if reply.status == 204 { String::new() } else { header(&["azure-asyncoperation", "location"]) },
    }
}

/// Reads something by its ARM id; `None` where Resource Manager says that it is not there.
pub(crate) async fn by_id<P: DeserializeOwned>(
    azure: &Azure,
    site: &Site,
    sort: &Sort,
    id: &str,
    query: &str,
) -> Result<Option<Entity<P>>, CloudError> {
    let own = format!("/subscriptions/{}/", site.scope().account).to_ascii_lowercase();
    if !id.to_ascii_lowercase().starts_with(&own) || id.contains(['?', '#', '%', '\\']) || id.contains("/../") {
        return Err(refused(sort.op, "not an id of a resource of this subscription"));
    }
    match azure.get::<Entity<P>>(site, sort.op, &format!("{id}{query}"), sort.api).await {
        Ok(entity) if entity.id.eq_ignore_ascii_case(id) => Ok(Some(entity)),
        Ok(_) => Err(CloudError::new(Fault::Malformed, sort.op, "another resource than was asked for")),
        Err(error) if fault::is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<P: DeserializeOwned + Send + Sync> Act<P> {
    /// Reads the resource; `None` where it is not there.
    pub(crate) async fn read(
        &self,
        azure: &Azure,
        site: &Site,
        target: &Target,
    ) -> Result<Option<Entity<P>>, CloudError> {
        by_id(azure, site, self.sort, &target.native_id, self.query).await
    }

    /// Reads the resource again, its locks with it, as its listing would push it.
    pub(crate) async fn observe(
        &self,
        azure: &Azure,
        site: &Site,
        target: &Target,
        out: &mut Listing,
        push: impl FnOnce(&Entity<P>, &Common, &mut Listing) + Send,
    ) -> Result<(), CloudError> {
        if let Some(entity) = self.read(azure, site, target).await? {
            let around = azure.around_now(site).await;
            push(&entity, &around.common(&entity), out);
        }
        Ok(())
    }

    /// Whether a resource is known to be the planned one: `Some(false)` for another under its name, `None` where it
    /// should have an immutable id and none is told.
    fn is_it(&self, entity: &Entity<P>, target: &Target) -> Option<bool> {
        if target.uid.eq_ignore_ascii_case(&target.native_id) {
            // A sort without such ids has nothing to compare.
            return Some(true);
        }
        Some((self.uid)(&entity.properties)).filter(|uid| !uid.is_empty()).map(|uid| uid == target.uid)
    }

    /// The resource that the permit names, just before something is done to it; `None` where it is gone.
    pub(crate) async fn now(&self, azure: &Azure, pen: &Pen<'_>) -> Result<Option<Entity<P>>, CloudError> {
        let Some(entity) = self.read(azure, pen.site(), pen.target()).await? else { return Ok(None) };
        match self.is_it(&entity, pen.target()) {
            Some(true) => Ok(Some(entity)),
            Some(false) => Err(refused(op_of(pen.permit()), "it was made again under the same name")),
            None => Err(refused(op_of(pen.permit()), "it does not tell its immutable id")),
        }
    }

    /// As [`Self::now`], where it must be there.
    pub(crate) async fn there(&self, azure: &Azure, pen: &Pen<'_>) -> Result<Entity<P>, CloudError> {
        let missing = || CloudError::new(Fault::NotFound, self.sort.op, "it is not there any more");
        self.now(azure, pen).await?.ok_or_else(missing)
    }

    /// Deletes it. What is already gone is no error, and nothing is sent.
    pub(crate) async fn delete(&self, azure: &Azure, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        if self.now(azure, pen).await?.is_none() {
            return Ok(Sent::default());
        }
        let op = op_of(pen.permit());
        match call(azure, pen, op, Method::DELETE, &pen.target().native_id, self.sort.api, None).await {
            Err(error) if fault::is_gone(&error) => Ok(Sent::default()),
            sent => sent,
        }
    }

    /// Asks for something to be done with it, by the last part of the path: `deallocate`.
    pub(crate) async fn ask(&self, azure: &Azure, pen: &Pen<'_>, verb: &str) -> Result<Sent, CloudError> {
        self.there(azure, pen).await?;
        let path = format!("{}/{verb}", pen.target().native_id);
        call(azure, pen, op_of(pen.permit()), Method::POST, &path, self.sort.api, None).await
    }

    /// Puts or takes away one tag, and no other.
    pub(crate) async fn tag(&self, azure: &Azure, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let (operation, key, value) = match pen.permit().deed() {
            Deed::Tag { key, value } => ("Merge", key, value.as_str()),
            Deed::Untag { key } => ("Delete", key, ""),
            _ => return Err(unknown(pen)),
        };
        let entity = self.there(azure, pen).await?;
        // With a value only a tag that has it is taken away.
        let value = if operation == "Delete" { entity.tag(key).unwrap_or_default() } else { value };
        let body = json!({ "operation": operation, "properties": { "tags": { key: value } } });
        let path = format!("{}/providers/Microsoft.Resources/tags/default", pen.target().native_id);
        call(azure, pen, TAG, Method::PATCH, &path, TAGS_API, Some(&body)).await
    }

    /// Makes it again from the definition that was kept.
    pub(crate) async fn define(&self, azure: &Azure, pen: &Pen<'_>, kept: &Kept) -> Result<Sent, CloudError> {
        let op = op_of(pen.permit());
        if self.read(azure, pen.site(), pen.target()).await?.is_some() {
            return Err(refused(op, "there is one under its name already"));
        }
        let definition = kept.recipe.get(DEFINITION).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let body = definition.as_ref().and_then(written).ok_or_else(|| refused(op, "its definition was not kept"))?;
        call(azure, pen, op, Method::PUT, &pen.target().native_id, self.sort.api, Some(&body)).await
    }

    /// What deeds have in common. Others are the kind's own.
    pub(crate) async fn act(&self, azure: &Azure, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Delete => self.delete(azure, pen).await,
            Deed::Tag { .. } | Deed::Untag { .. } => self.tag(azure, pen).await,
            // It is read when it is asked how far it is.
            Deed::Copy { keep: Keep::Definition, .. } => self.there(azure, pen).await.map(|_| Sent::default()),
            Deed::Restore { kept } => self.define(azure, pen, kept).await,
            _ => Err(unknown(pen)),
        }
    }

    /// How far a deed is that [`Self::act`] did.
    pub(crate) async fn progress(
        &self,
        azure: &Azure,
        site: &Site,
        permit: &Permit,
        sent: &Sent,
    ) -> Result<Progress, CloudError> {
        match operation(azure, site, permit, sent).await? {
            Operation::Running => return Ok(Progress::Running),
            Operation::Failed(why) => return Ok(Progress::Failed(why)),
            Operation::Ended => {}
        }
        let target = permit.target();
        match permit.deed() {
            Deed::Delete => Ok(match self.read(azure, site, target).await? {
                None => Progress::Done(None),
                Some(entity) if self.is_it(&entity, target) == Some(false) => Progress::Done(None),
                Some(_) => Progress::Running,
            }),
            Deed::Tag { key, value } => {
                let entity = self.read(azure, site, target).await?;
                let done = entity.as_ref().and_then(|entity| entity.tag(key)).is_some_and(|now| now == value);
                Ok(if done { Progress::Done(None) } else { Progress::Running })
            }
            Deed::Untag { key } => {
                let entity = self.read(azure, site, target).await?;
                let there = entity.as_ref().is_some_and(|entity| entity.tag(key).is_some());
                Ok(if there { Progress::Running } else { Progress::Done(None) })
            }
            Deed::Copy { keep: Keep::Definition, .. } => definition(azure, site, self.sort, target).await,
            Deed::Restore { .. } => {
                #[derive(Default, Deserialize)]
                #[serde(default, rename_all = "camelCase")]
                struct Made {
                    provisioning_state: Option<String>,
                }
                let made: Option<Entity<Made>> = by_id(azure, site, self.sort, &target.native_id, "").await?;
                Ok(match made {
                    Some(made) => restored(made.properties.provisioning_state.as_deref(), target),
                    None => Progress::Running,
                })
            }
            _ => Err(refused(op_of(permit), "this kind does not know how far it is")),
        }
    }
}

/// How far something is that was made again, by its state.
pub(crate) fn restored(state: Option<&str>, target: &Target) -> Progress {
    match state.unwrap_or("Succeeded") {
        "Succeeded" => Progress::Done(Some(Kept {
            kind: target.kind.clone(),
            native_id: target.native_id.clone(),
            until: None,
            recipe: BTreeMap::new(),
        })),
        "Failed" | "Canceled" => Progress::Failed("it was made again, and is not well: provisioning failed".to_owned()),
        _ => Progress::Running,
    }
}

/// Sends one change to Resource Manager.
pub(crate) async fn call(
    azure: &Azure,
    pen: &Pen<'_>,
    op: &'static str,
    method: Method,
    path: &str,
    api: &str,
    body: Option<&Value>,
) -> Result<Sent, CloudError> {
    let body = body.map(|body| arm::json(op, body)).transpose()?;
    let request = Request::change(Service::Arm, method, azure.url(op, path, api)?, body);
    let reply = azure.change(pen, op, request, Auth::Service).await?;
    Ok(sent(&reply))
}

/// How far an operation is.
#[derive(Debug)]
pub(crate) enum Operation {
    Running,
    /// It came to its end, or nothing is known of it: what there is now says the rest.
    Ended,
    Failed(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    status: Option<String>,
    error: Option<Said>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

/// Looks at the operation of a change.
pub(crate) async fn operation(
    azure: &Azure,
    site: &Site,
    permit: &Permit,
    sent: &Sent,
) -> Result<Operation, CloudError> {
    let op = permit.spec().reads.first().copied().unwrap_or_else(|| op_of(permit));
    if sent.handle.is_empty() {
        return Ok(Operation::Ended);
    }
    let management = Url::parse(&format!("https://{}/", azure.transport.hosts().management));
    let management = management.map_err(|_| refused(op, "no endpoint"))?;
    // A token goes where it may go, whatever a file or an answer says.
    let url = azure
        .transport
        .link(Service::Arm, &management, &sent.handle)
        .map_err(|_| CloudError::new(Fault::Malformed, op, "an operation that is on another host: not followed"))?;
    let request = Request { expect: crate::transport::Expect::Any, ..Request::get(Service::Arm, url) };
    let reply = match azure.send(site, op, request, Auth::Service).await {
        Ok(reply) => reply,
        // Operations are forgotten after a while.
        Err(error) if error.fault == Fault::NotFound => return Ok(Operation::Ended),
        // Where there is only a `Location`, its answer is that of the change.
        Err(error) if error.fault == Fault::Refused => return Ok(Operation::Failed(error.message)),
        Err(error) => return Err(error),
    };
    if reply.status == 202 {
        return Ok(Operation::Running);
    }
    let Ok(told) = serde_json::from_slice::<Status>(&reply.body) else {
        return match (reply.status, reply.body.is_empty()) {
            (204, _) | (_, true) => Ok(Operation::Ended),
            _ => Err(CloudError::new(Fault::Malformed, op, "the state of an operation cannot be read")),
        };
    };
    Ok(match told.status.as_deref() {
        // A `Location` that answers with the resource.
        None | Some("Succeeded") => Operation::Ended,
        Some("Failed" | "Canceled") => {
            let error = told.error.unwrap_or_default();
            let said = format!("{}: {}", error.code.unwrap_or_default(), error.message.unwrap_or_default());
            Operation::Failed(said.chars().filter(|letter| !letter.is_control()).take(400).collect())
        }
        Some(_) => Operation::Running,
    })
}

/// The tags of a recipe.
pub(crate) fn tags_of(recipe: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    recipe.iter().filter_map(|(key, value)| Some((key.strip_prefix("tag:")?, value.as_str()))).collect()
}

/// Tags as parts of a recipe.
pub(crate) fn noted(recipe: &mut BTreeMap<String, String>, tags: &Pairs) {
    recipe.extend(tags.iter().map(|(key, value)| (format!("tag:{key}"), value.to_owned())));
}

/// The definition of a resource, as it is read now.
async fn definition(azure: &Azure, site: &Site, sort: &Sort, target: &Target) -> Result<Progress, CloudError> {
    let known: Option<Entity<IgnoredAny>> = by_id(azure, site, sort, &target.native_id, "").await?;
    let Some(known) = known else { return Ok(Progress::Failed("it is not there any more".to_owned())) };
    let whole: Value = azure.get(site, sort.op, &target.native_id, sort.api).await?;
    let mut recipe = BTreeMap::from([(DEFINITION.to_owned(), whole.to_string())]);
    if let Some(location) = known.location.as_deref() {
        recipe.insert("location".to_owned(), location.to_owned());
    }
    if !known.sku().is_empty() {
        recipe.insert("type".to_owned(), known.sku().to_owned());
    }
    noted(&mut recipe, &known.tags);
    Ok(Progress::Done(Some(Kept { kind: target.kind.clone(), native_id: String::new(), until: None, recipe })))
}

/// What of a definition is only told, wherever it stands.
const TOLD: &[&str] = &[
    "etag",
    "provisioningState",
    "resourceGuid",
    "backendIPConfigurations",
    "networkInterfaceIPConfiguration",
    "virtualMachine",
    "macAddress",
    "hostedWorkloads",
    "tapConfigurations",
    "appliedDnsServers",
];

/// The body that makes a resource of its definition.
fn written(definition: &Value) -> Option<Value> {
    let own = definition.as_object()?;
    own.get("location")?.as_str()?;
    let mut body = Map::new();
    for key in ["location", "tags", "sku", "kind", "zones", "extendedLocation", "properties"] {
        if let Some(value) = own.get(key) {
            body.insert(key.to_owned(), without(value));
        }
    }
    // The networks that send through a gateway name it, not it them.
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("subnets");
    }
    Some(Value::Object(body))
}

fn without(value: &Value) -> Value {
    match value {
        Value::Object(own) => Value::Object(
            own.iter()
                .filter(|(key, _)| !TOLD.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), without(value)))
                .collect(),
        ),
        Value::Array(all) => all.iter().map(without).collect(),
        other => other.clone(),
    }
}

/// The id of something of a type of Compute in the same resource group as another.
pub(crate) fn beside(id: &str, of: &str, name: &str) -> Option<String> {
    let parts: Vec<&str> = id.split('/').collect();
    let group = parts.get(..5)?.join("/");
    Some(format!("{group}/providers/{of}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_told_is_not_written_again() {
        let definition = json!({
            "id": "/x", "name": "n", "type": "t", "etag": "e", "location": "eastus", "tags": { "a": "b" },
            "sku": { "name": "Standard" },
            "properties": { "provisioningState": "Succeeded", "idleTimeoutInMinutes": 4, "subnets": [{ "id": "/s" }],
                "ipConfigurations": [{ "name": "c", "etag": "e", "properties": { "provisioningState": "Succeeded", "primary": true } }] },
        });
        let body = json!({
            "location": "eastus", "tags": { "a": "b" }, "sku": { "name": "Standard" },
            "properties": { "idleTimeoutInMinutes": 4, "ipConfigurations": [{ "name": "c", "properties": { "primary": true } }] },
        });
        assert_eq!(written(&definition), Some(body));
        assert_eq!(written(&json!({ "properties": {} })), None);
    }

    #[test]
    fn copies_lie_beside() {
        let disk = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/disks/d";
        let copy = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/snapshots/c";
        assert_eq!(beside(disk, "Microsoft.Compute/snapshots", "c").as_deref(), Some(copy));
        assert_eq!(beside("/x", "y", "z"), None);
    }
}
