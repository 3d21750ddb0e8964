//! What changes resources of Azure Resource Manager: deletions, tags, and the operations that take a while.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | any | `polls` | 1 | how often a change, or what is changed, is looked at before it has happened; 0 for at once |
//! | | `fails` | none | the code of the error that a change ends with instead of happening |
//!
//! A change that takes a while is answered with 202 and the URL of its operation. It has happened when the operation,
//! or the resource itself, has been looked at so often. Locks are looked at first: `CanNotDelete` stops deletions,
//! `ReadOnly` every change.

use serde_json::{Map, Value, json};

use super::arm::{self, Type, not_found};
use super::resources;
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};

/// The kind of running and ended operations, which no organisation file has.
const OPERATION: &str = "azure.operation";

/// The route that deletes a resource of a type: `removable!(TYPE, namespace, path below it, permission, operations,
/// what must not hold it)`.
macro_rules! removable {
    ($type:ident, $namespace:literal, $path:literal, $permission:literal, $operations:literal, $free:expr) => {
        &[$crate::rest::Route {
            service: $namespace,
            method: "DELETE",
            path: concat!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/",
                $namespace,
                "/",
                $path,
                "/{name}"
            ),
            action: concat!($operations, "_Delete"),
            permission: $permission,
            handle: |cloud, req| $crate::azure::writes::delete(cloud, req, &$type, $free),
        }]
    };
}
pub(super) use removable;

/// The route that asks for something to be done with a resource: `asked_to!(namespace, path below it, permission,
/// operation, handler)`.
macro_rules! asked_to {
    ($method:literal, $namespace:literal, $path:literal, $permission:literal, $operation:literal, $handle:expr) => {
        $crate::rest::Route {
            service: $namespace,
            method: $method,
            path: concat!("/subscriptions/{subscription}/resourceGroups/{group}/providers/", $namespace, "/", $path),
            action: $operation,
            permission: $permission,
            handle: $handle,
        }
    };
}
pub(super) use asked_to;

const fn operation(service: &'static str, path: &'static str, action: &'static str, permission: &'static str) -> Route {
    Route { service, method: "GET", path, action, permission, handle: poll }
}

const TAGS: &str =
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/{rest*}/providers/Microsoft.Resources/tags/default";

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    operation("Microsoft.Compute", "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/operations/{operation}", "Operations_Get", "Microsoft.Compute/locations/operations/read"),
    operation("Microsoft.Compute", "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/DiskOperations/{operation}", "DiskOperations_Get", "Microsoft.Compute/locations/diskOperations/read"),
    operation("Microsoft.Compute", "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/capsOperations/{operation}", "CapsOperations_Get", "Microsoft.Compute/locations/capsOperations/read"),
    operation("Microsoft.Network", "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operations/{operation}", "Operations_Get", "Microsoft.Network/locations/operations/read"),
    operation("Microsoft.DBforPostgreSQL", "/subscriptions/{subscription}/providers/Microsoft.DBforPostgreSQL/locations/{location}/azureAsyncOperation/{operation}", "AzureAsyncOperation_Get", "Microsoft.DBforPostgreSQL/locations/azureAsyncOperation/read"),
    operation("Microsoft.Sql", "/subscriptions/{subscription}/providers/Microsoft.Sql/locations/{location}/databaseAzureAsyncOperation/{operation}", "DatabaseAzureAsyncOperation_Get", "Microsoft.Sql/locations/databaseAzureAsyncOperation/read"),
    operation("Microsoft.Sql", "/subscriptions/{subscription}/providers/Microsoft.Sql/locations/{location}/elasticPoolAzureAsyncOperation/{operation}", "ElasticPoolAzureAsyncOperation_Get", "Microsoft.Sql/locations/elasticPoolAzureAsyncOperation/read"),
    Route { service: "Microsoft.Resources", method: "GET", path: TAGS, action: "Tags_GetAtScope", permission: "Microsoft.Resources/tags/read", handle: tags },
    Route { service: "Microsoft.Resources", method: "PATCH", path: TAGS, action: "Tags_UpdateAtScope", permission: "Microsoft.Resources/tags/write", handle: retag },
];

/// Where operations on a type are.
fn collection(arm_type: &str) -> &'static str {
    let low = arm_type.to_ascii_lowercase();
    match low.as_str() {
        "microsoft.compute/disks" | "microsoft.compute/snapshots" => "DiskOperations",
        "microsoft.sql/servers/databases" => "databaseAzureAsyncOperation",
        "microsoft.sql/servers/elasticpools" => "elasticPoolAzureAsyncOperation",
        _ if low.starts_with("microsoft.compute/galleries") => "capsOperations",
        _ if low.starts_with("microsoft.dbforpostgresql/") => "azureAsyncOperation",
        _ => "operations",
    }
}

/// What a change does once it happens.
pub(super) enum Effect {
    /// The resource goes, and with it others: kinds and ARM ids.
    Remove(Vec<(String, String)>),
    /// Keys of the resource that are set, and taken away where they are null.
    Set(Value),
}

impl Effect {
    fn written(&self) -> Value {
        match self {
            Effect::Remove(along) => json!(along),
            Effect::Set(keys) => keys.clone(),
        }
    }
}

/// Whether an item is the resource with an ARM id, which a name alone does not tell: groups may share it.
fn is(item: &Item, kind: &str, id: &str) -> bool {
    item.kind == kind && arm::id(item).eq_ignore_ascii_case(id)
}

/// Changes one resource.
fn change(cloud: &Cloud, kind: &str, id: &str, keys: Map<String, Value>) {
    let (kind, id) = (kind.to_owned(), id.to_owned());
    cloud.edit(move |items| {
        if let Some(item) = items.iter_mut().find(|item| is(item, &kind, &id)) {
            item.set(&keys);
        }
    });
}

fn apply(cloud: &Cloud, kind: &str, id: &str, effect: &Value) {
    if let Value::Object(keys) = effect {
        let mut keys = keys.clone();
        keys.insert("provisioning".to_owned(), Value::Null);
        return change(cloud, kind, id, keys);
    }
    let mut gone: Vec<(String, String)> = serde_json::from_value(effect.clone()).unwrap_or_default();
    gone.push((kind.to_owned(), id.to_owned()));
    cloud.edit(move |items| items.retain(|item| !gone.iter().any(|(kind, id)| is(item, kind, id))));
}

/// Refuses a change of what a lock is on, above it or, for a deletion, below it.
pub(super) fn unlocked(cloud: &Cloud, account: &str, id: &str, deletes: bool) -> Result<(), WireError> {
    let low = id.to_ascii_lowercase();
    let mut locked = Vec::new();
    for lock in resources::planted(cloud, account) {
        let scope = lock.scope.to_ascii_lowercase();
        let above = low == scope || low.starts_with(&format!("{scope}/"));
        let below = deletes && scope.starts_with(&format!("{low}/"));
        let stops = lock.level.eq_ignore_ascii_case("ReadOnly") || deletes;
        if (above || below) && stops && !locked.contains(&lock.scope) {
            locked.push(lock.scope);
        }
    }
    if locked.is_empty() {
        return Ok(());
    }
    let what = if deletes { "delete" } else { "write" };
    Err(WireError::new(
        409,
        "ScopeLocked",
        format!(
            "The scope '{id}' cannot perform {what} operation because following scope(s) are locked: '{}'. Please remove the lock and try again.",
            locked.join(",")
        ),
    ))
}

/// How often something is looked at until a change of it has happened.
fn polls(item: &Item) -> i64 {
    item.int("polls").unwrap_or(1).max(0)
}

/// Begins a change of a resource, which is locked against no such change and held by nothing. `meanwhile` are keys
/// that it has until the change has happened.
pub(super) fn begin(
    cloud: &Cloud,
    req: &Req,
    known: &'static Type,
    item: &Item,
    effect: &Effect,
    meanwhile: Value,
) -> Option<Accepted> {
    let id = arm::id_in(known, item);
    if polls(item) == 0 && item.text("fails").is_none() {
        apply(cloud, &item.kind, &id, &effect.written());
        return None;
    }
    let number = cloud.list_account(&item.account, OPERATION).len();
    let name = arm::guid(&format!("{id}/{}/{number}", req.action));
    // What a change that comes to nothing is taken back to.
    let mut before = Map::from_iter([("provisioning".to_owned(), json!("Failed"))]);
    for key in meanwhile.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| *key != "provisioning") {
        before.insert(key.clone(), item.keys.get(key).cloned().unwrap_or(Value::Null));
    }
    let mut keys = Map::new();
    for (key, value) in [
        ("kind", json!(item.kind)),
        ("target", json!(id)),
        ("left", json!(polls(item))),
        ("effect", effect.written()),
        ("fails", json!(item.text("fails"))),
        ("before", Value::Object(before)),
    ] {
        keys.insert(key.to_owned(), value);
    }
    cloud.add(Item {
        kind: OPERATION.to_owned(),
        account: item.account.clone(),
        region: item.region.clone(),
        id: name.clone(),
        created: cloud.now,
        tags: std::collections::BTreeMap::new(),
        keys,
    });
    if let Value::Object(meanwhile) = meanwhile {
        change(cloud, &item.kind, &id, meanwhile);
    }
    Some(Accepted::new(req, known, item, &name))
}

/// What is told of a change that takes a while.
pub(super) struct Accepted {
    headers: Vec<(String, String)>,
}

impl Accepted {
    fn new(req: &Req, known: &'static Type, item: &Item, name: &str) -> Accepted {
        let arm = arm::arm_type(known, item);
        let namespace = arm.split('/').next().unwrap_or_default();
        let url = format!(
            "{}/subscriptions/{}/providers/{namespace}/locations/{}/{}/{name}?api-version={}",
            req.origin,
            item.account,
            item.region,
            collection(&arm),
            req.param("api-version").unwrap_or_default()
        );
        let headers = vec![
            ("Azure-AsyncOperation".to_owned(), url.clone()),
            ("Location".to_owned(), format!("{url}&monitor=true")),
            ("Retry-After".to_owned(), "0".to_owned()),
        ];
        Accepted { headers }
    }

    /// An answer of a status, with what there is to say of the resource.
    pub(super) fn reply(self, status: u16, value: Option<Value>) -> Reply {
        match value {
            Some(value) => Reply::With { status, headers: self.headers, value },
            None => Reply::Raw { status, content_type: String::new(), headers: self.headers, body: Vec::new() },
        }
    }
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Reply {
    Reply::Raw { status, content_type: String::new(), headers: Vec::new(), body: Vec::new() }
}

/// Another look at a running operation.
fn look(cloud: &Cloud, operation: &Item) {
    let left = operation.int("left").unwrap_or(0);
    if left <= 0 {
        return;
    }
    let (name, account) = (operation.id.clone(), operation.account.clone());
    cloud.edit(move |items| {
        let found = items.iter_mut().find(|item| item.kind == OPERATION && item.id == name && item.account == account);
        if let Some(item) = found {
            item.keys.insert("left".to_owned(), json!(left - 1));
        }
    });
    if left > 1 {
        return;
    }
    let (kind, target) = (operation.text_or("kind", ""), operation.text_or("target", ""));
    if operation.text("fails").is_some() {
        change(
            cloud,
            &kind,
            &target,
            operation.keys.get("before").and_then(Value::as_object).cloned().unwrap_or_default(),
        );
    } else {
        apply(cloud, &kind, &target, operation.keys.get("effect").unwrap_or(&Value::Null));
    }
}

/// Another look at a resource, and so at what is being done to it.
pub(super) fn looked_at(cloud: &Cloud, item: &Item) {
    let id = arm::id(item);
    for operation in cloud.list_account(&item.account, OPERATION) {
        if operation.text("target").is_some_and(|target| target.eq_ignore_ascii_case(&id)) {
            look(cloud, operation);
        }
    }
}

fn poll(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let operations = cloud.list_account(&req.account, OPERATION);
    let Some(operation) = operations.into_iter().find(|known| known.id.eq_ignore_ascii_case(req.label("operation")))
    else {
        return Err(WireError::new(404, "NotFound", "The operation was not found, or is too long ago."));
    };
    look(cloud, operation);
    let running = operation.int("left").unwrap_or(0) > 0;
    let failed = operation.text("fails").filter(|_| !running);
    let error = |code: &str| WireError::new(409, code, "The change did not come about.");
    if req.param("monitor").is_some() {
        return match failed {
            _ if running => Ok(empty(202)),
            Some(code) => Err(error(code)),
            None => Ok(empty(204)),
        };
    }
    let status = match failed {
        _ if running => "InProgress",
        Some(_) => "Failed",
        None => "Succeeded",
    };
    let mut shown = json!({ "name": operation.id, "status": status, "startTime": arm::stamp(operation.created) });
    if let Some(code) = failed {
        let error = error(code);
        shown["error"] = json!({ "code": error.code, "message": error.message });
    }
    Ok(Reply::Value(shown))
}

/// Deletes a resource that nothing locks or holds.
pub(super) fn delete(
    cloud: &Cloud,
    req: &Req,
    known: &'static Type,
    free: fn(&Cloud, &Item) -> Result<(), WireError>,
) -> Result<Reply, WireError> {
    delete_with(cloud, req, known, free, |_, _| Vec::new())
}

/// As [`delete`], for types whose resources go without an operation.
pub(super) fn delete_at_once(
    cloud: &Cloud,
    req: &Req,
    known: &'static Type,
    free: fn(&Cloud, &Item) -> Result<(), WireError>,
) -> Result<Reply, WireError> {
    let Some(item) = doomed(cloud, req, known, free)? else { return Ok(empty(204)) };
    apply(cloud, &item.kind, &arm::id_in(known, item), &Effect::Remove(Vec::new()).written());
    Ok(empty(200))
}

/// As [`delete`], and with it what `along` names: kinds and ARM ids.
pub(super) fn delete_with(
    cloud: &Cloud,
    req: &Req,
    known: &'static Type,
    free: fn(&Cloud, &Item) -> Result<(), WireError>,
    along: fn(&Cloud, &Item) -> Vec<(String, String)>,
) -> Result<Reply, WireError> {
    let Some(item) = doomed(cloud, req, known, free)? else { return Ok(empty(204)) };
    let meanwhile = json!({ "provisioning": "Deleting" });
    Ok(match begin(cloud, req, known, item, &Effect::Remove(along(cloud, item)), meanwhile) {
        Some(accepted) => accepted.reply(202, None),
        None => empty(200),
    })
}

/// What a call deletes, which nothing locks or holds; `None` where it is already gone.
fn doomed<'a>(
    cloud: &'a Cloud,
    req: &Req,
    known: &'static Type,
    free: fn(&Cloud, &Item) -> Result<(), WireError>,
) -> Result<Option<&'a Item>, WireError> {
    let item = match arm::one(cloud, req, known) {
        Ok(item) => item,
        Err(error) if error.code == "ResourceNotFound" => return Ok(None),
        Err(error) => return Err(error),
    };
    unlocked(cloud, &item.account, &arm::id_in(known, item), true)?;
    free(cloud, item)?;
    Ok(Some(item))
}

/// Held by nothing, whatever it is.
#[expect(clippy::unnecessary_wraps, reason = "one of the functions that say whether something is held")]
pub(super) fn always(_: &Cloud, _: &Item) -> Result<(), WireError> {
    Ok(())
}

/// A resource that a call makes, of what its body says, and that nothing locks. `keys` are those of its kind.
pub(super) fn create(
    cloud: &Cloud,
    req: &Req,
    known: &'static Type,
    region: &str,
    keys: Map<String, Value>,
) -> Result<Reply, WireError> {
    let body = req.json().unwrap_or_default();
    let tags = body.get("tags").and_then(Value::as_object).into_iter().flatten();
    let mut keys = keys;
    keys.insert("group".to_owned(), json!(req.label("group")));
    let number = cloud.list_account(&req.account, OPERATION).len();
    let item = Item {
        kind: known.kind.to_owned(),
        account: req.account.clone(),
        region: region.to_owned(),
        id: req.label("name").to_owned(),
        created: cloud.now,
        tags: tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        keys,
    };
    let id = arm::id_in(known, &item);
    unlocked(cloud, &item.account, &id, false)?;
    let mut made = item.clone();
    // Made again under an old name it is another.
    made.keys.insert("unique_id".to_owned(), json!(arm::guid(&format!("{id}/made/{number}"))));
    cloud.add(made.clone());
    let meanwhile = json!({ "provisioning": "Creating" });
    let accepted = begin(cloud, req, known, &made, &Effect::Set(json!({})), meanwhile);
    let mut shown = arm::show(cloud, known, &made);
    Ok(match accepted {
        Some(accepted) => {
            shown["properties"]["provisioningState"] = json!("Creating");
            // Compute has accepted it, the others have made it.
            accepted.reply(if req.service == "Microsoft.Compute" { 202 } else { 201 }, Some(shown))
        }
        None => Reply::Value(shown),
    })
}

/// The error of a body that lacks something.
pub(super) fn lacking(what: &str) -> WireError {
    WireError::new(400, "InvalidParameter", format!("Required parameter '{what}' is missing (null)."))
}

/// The resource that a call's path names, of whatever type.
fn named<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    arm::admit(cloud, req)?;
    let id = format!("{}/providers/{}", arm::group_id(&req.account, req.label("group")), req.label("rest"));
    let found = arm::every(cloud, &req.account)
        .into_iter()
        .find(|(known, item)| arm::id_in(known, item).eq_ignore_ascii_case(&id));
    found.map(|(_, item)| item).ok_or_else(|| not_found(req))
}

fn show_tags(item: &Item, tags: &std::collections::BTreeMap<String, String>) -> Reply {
    Reply::Value(json!({
        "id": format!("{}/providers/Microsoft.Resources/tags/default", arm::id(item)),
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": { "tags": tags },
    }))
}

fn tags(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req)?;
    Ok(show_tags(item, &item.tags))
}

/// The most tags that a resource has.
const MOST_TAGS: usize = 50;

fn retag(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req)?;
    unlocked(cloud, &item.account, &arm::id(item), false)?;
    let body = req.json().unwrap_or_default();
    let given = body["properties"]["tags"].as_object().ok_or_else(|| lacking("properties.tags"))?;
    let mut tags = item.tags.clone();
    // Keys are the same in capital and small letters, and keep the spelling that they have.
    let spelt = |tags: &std::collections::BTreeMap<String, String>, key: &str| {
        tags.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned()
    };
    let operation = body["operation"].as_str().unwrap_or_default();
    match operation.to_ascii_lowercase().as_str() {
        "replace" => tags.clear(),
        "merge" | "delete" => {}
        _ => return Err(WireError::new(400, "InvalidTagPatchOperation", format!("No such operation: {operation}"))),
    }
    for (key, value) in given {
        let known = spelt(&tags, key);
        let value = value.as_str().unwrap_or_default();
        if operation.eq_ignore_ascii_case("delete") {
            if let Some(known) =
                known.filter(|known| value.is_empty() || tags.get(known).is_some_and(|own| own == value))
            {
                tags.remove(&known);
            }
        } else {
            tags.insert(known.unwrap_or_else(|| key.clone()), value.to_owned());
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(WireError::new(400, "TooManyTags", format!("A resource has at most {MOST_TAGS} tags.")));
    }
    let (kind, id, now) = (item.kind.clone(), arm::id(item), tags.clone());
    cloud.edit(move |items| {
        if let Some(item) = items.iter_mut().find(|item| is(item, &kind, &id)) {
            item.tags = now;
        }
    });
    Ok(show_tags(item, &tags))
}
