//! What all resources of Azure Resource Manager have in common: ids, lists, links, who sees what.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | any | `group` | `rg` | the resource group |
//! | | `region` | the account's first | the location, `westeurope` |
//! | | `lock` | none | a lock on the resource: `CanNotDelete` or `ReadOnly` |
//! | | `managed_by` | none | `managedBy`: an ARM id, or for a disk the name of a virtual machine |
//! | | `zones` | none | the zones |
//! | | `properties` | none | table, laid over the properties that the keys make; a value is replaced, a table merged |
//! | `azure.resource` | `type` | | any other ARM type, `Microsoft.Network/privateEndpoints`, in Resource Graph and the list of all resources alone |
//!
//! The `id` of the organisation file is the resource's name; the ARM id is made of subscription, group, type and
//! parents. A key that names another resource takes its name, or an ARM id where it is elsewhere.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{next_link, types, unauthorised};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::org::{Account, Vendor, hash};
use crate::rest::{Req, Route};
use crate::services::Kind;

/// A resource type.
pub(crate) struct Type {
    /// The kind of the organisation file.
    pub(super) kind: &'static str,
    /// The type's name, "Microsoft.Sql/servers/databases".
    pub(super) arm: &'static str,
    /// The keys that name the parents, outermost first: "server"; "container=default" with what it is where the
    /// key is not given, "=default" where there is only one.
    pub(super) parents: &'static [&'static str],
    /// The kind of the parent.
    pub(super) parent: Option<&'static str>,
    /// The table of Resource Graph that it is in; none if it is in none.
    pub(super) table: &'static str,
    /// What a resource looks like but for what all have: "properties", and "sku" and the like where there are any.
    pub(super) show: fn(&Cloud, &Item) -> Value,
}

impl Type {
    /// A type whose resources are in a resource group.
    pub(super) const fn top(kind: &'static str, arm: &'static str, show: fn(&Cloud, &Item) -> Value) -> Type {
        Type { kind, arm, parents: &[], parent: None, table: "resources", show }
    }
}

/// The routes of a type: `listed!(TYPE, namespace, type, operations, name of the list, name of the group's list)`.
macro_rules! listed {
    ($type:ident, $namespace:literal, $name:literal, $operations:literal, $all:literal, $group:literal) => {
        &[
            $crate::rest::Route {
                service: $namespace,
                method: "GET",
                path: concat!("/subscriptions/{subscription}/providers/", $namespace, "/", $name),
                action: concat!($operations, "_", $all),
                permission: concat!($namespace, "/", $name, "/read"),
                handle: |cloud, req| $crate::azure::arm::list(cloud, req, &$type),
            },
            $crate::rest::Route {
                service: $namespace,
                method: "GET",
                path: concat!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/",
                    $namespace,
                    "/",
                    $name
                ),
                action: concat!($operations, "_", $group),
                permission: concat!($namespace, "/", $name, "/read"),
                handle: |cloud, req| $crate::azure::arm::list(cloud, req, &$type),
            },
            $crate::rest::Route {
                service: $namespace,
                method: "GET",
                path: concat!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/",
                    $namespace,
                    "/",
                    $name,
                    "/{name}"
                ),
                action: concat!($operations, "_Get"),
                permission: concat!($namespace, "/", $name, "/read"),
                handle: |cloud, req| $crate::azure::arm::get(cloud, req, &$type),
            },
        ]
    };
}
pub(super) use listed;

/// The routes of a type below another: `children!(TYPE, namespace, "servers/{server}/databases", permission,
/// operations, name of the list)`.
macro_rules! children {
    ($type:ident, $namespace:literal, $path:literal, $permission:literal, $operations:literal, $list:literal) => {
        &[
            $crate::rest::Route {
                service: $namespace,
                method: "GET",
                path: concat!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/",
                    $namespace,
                    "/",
                    $path
                ),
                action: concat!($operations, "_", $list),
                permission: $permission,
                handle: |cloud, req| $crate::azure::arm::list(cloud, req, &$type),
            },
            $crate::rest::Route {
                service: $namespace,
                method: "GET",
                path: concat!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/",
                    $namespace,
                    "/",
                    $path,
                    "/{name}"
                ),
                action: concat!($operations, "_Get"),
                permission: $permission,
                handle: |cloud, req| $crate::azure::arm::get(cloud, req, &$type),
            },
        ]
    };
}
pub(super) use children;

pub(super) const KINDS: &[Kind] =
    &[Kind { kind: "azure.resource", keys: &["type:text", "sku:text", "azure_kind:text"] }];

static ANY: Type = Type {
    kind: "azure.resource",
    arm: "",
    parents: &[],
    parent: None,
    table: "resources",
    show: |_, item| {
        let mut shown = json!({ "properties": {} });
        if let Some(sku) = item.text("sku") {
            shown["sku"] = json!({ "name": sku });
        }
        if let Some(kind) = item.text("azure_kind") {
            shown["kind"] = json!(kind);
        }
        shown
    },
};

pub(super) static TYPES: &[&Type] = &[&ANY];

pub(super) const ROUTES: &[Route] = &[Route {
    service: "Microsoft.Resources",
    method: "GET",
    path: "/subscriptions/{subscription}/resources",
    action: "Resources_List",
    permission: "Microsoft.Resources/subscriptions/resources/read",
    handle: resources,
}];

/// The resource group of a resource.
pub(super) fn group(item: &Item) -> &str {
    item.text("group").unwrap_or("rg")
}

/// An id of a resource group.
pub(super) fn group_id(account: &str, group: &str) -> String {
    format!("/subscriptions/{account}/resourceGroups/{group}")
}

/// The type of a kind.
pub(super) fn type_of(kind: &str) -> Option<&'static Type> {
    types().find(|known| known.kind == kind)
}

/// The ARM type of a resource.
pub(super) fn arm_type(known: &'static Type, item: &Item) -> String {
    if known.arm.is_empty() { item.text_or("type", "Microsoft.Unknown/things") } else { known.arm.to_owned() }
}

/// The ARM id of a resource.
pub(super) fn id(item: &Item) -> String {
    id_of(&item.kind, &item.account, &item.id, |key| item.text(key).map(str::to_owned))
}

/// The ARM id of a resource of a type.
pub(super) fn id_in(known: &Type, item: &Item) -> String {
    id_under(known, &item.account, &item.id, |key| item.text(key).map(str::to_owned))
}

/// The ARM id of a resource of a kind.
pub(crate) fn id_of(kind: &str, account: &str, name: &str, text: impl Fn(&str) -> Option<String>) -> String {
    match type_of(kind) {
        Some(known) => id_under(known, account, name, text),
        // A group's own entry, for one.
        None => group_id(account, name),
    }
}

fn id_under(known: &Type, account: &str, name: &str, text: impl Fn(&str) -> Option<String>) -> String {
    let group = text("group").unwrap_or_else(|| "rg".to_owned());
    let mut id = group_id(account, &group);
    let arm = if known.arm.is_empty() { text("type").unwrap_or_default() } else { known.arm.to_owned() };
    let mut parts = arm.split('/');
    id.push_str("/providers/");
    id.push_str(parts.next().unwrap_or_default());
    let mut parents = known.parents.iter();
    let types: Vec<&str> = parts.collect();
    for (at, part) in types.iter().enumerate() {
        let value = if at + 1 == types.len() {
            name.to_owned()
        } else {
            parents.next().map(|spec| parent(spec, &text)).unwrap_or_default()
        };
        id.push('/');
        id.push_str(part);
        id.push('/');
        id.push_str(&value);
    }
    id
}

/// The name of a parent.
fn parent(spec: &str, text: impl Fn(&str) -> Option<String>) -> String {
    let (key, default) = spec.split_once('=').unwrap_or((spec, ""));
    text(key).filter(|_| !key.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// The ARM id of what a resource names: an ARM id as it is, or the name of a resource of a kind.
pub(super) fn target(cloud: &Cloud, item: &Item, kind: &str, named: &str) -> String {
    if named.starts_with('/') {
        return named.to_owned();
    }
    match find(cloud, item, kind, named) {
        Some(found) => id(found),
        None => id_of(kind, &item.account, named, |key| (key == "group").then(|| group(item).to_owned())),
    }
}

/// The resource that a resource names, in its own subscription; of several with the name the one in its group.
pub(super) fn find<'a>(cloud: &'a Cloud, item: &Item, kind: &'a str, named: &str) -> Option<&'a Item> {
    let mut all = cloud.with_id(kind, named).filter(|found| found.account == item.account);
    let first = all.next()?;
    if group(first).eq_ignore_ascii_case(group(item)) {
        return Some(first);
    }
    all.find(|found| group(found).eq_ignore_ascii_case(group(item))).or(Some(first))
}

/// The resources of a kind that name a resource by a key, in its own subscription.
pub(super) fn referrers<'a>(cloud: &'a Cloud, item: &'a Item, kind: &'static str, key: &'static str) -> Vec<&'a Item> {
    let mut found = cloud.referring(kind, key, &item.id);
    found.extend(cloud.referring(kind, key, &id(item)));
    found.retain(|referrer| {
        referrer.account == item.account
            && (referrer.list(key).iter().any(|named| named.starts_with('/'))
                || find(cloud, referrer, &item.kind, &item.id).is_some_and(|target| group(target) == group(item)))
    });
    found
}

/// `{"id": …}`
pub(super) fn reference(id: impl Into<String>) -> Value {
    json!({ "id": id.into() })
}

/// A GUID that depends on nothing but the text.
pub(super) fn guid(seed: &str) -> String {
    let (high, low) = (hash(seed), hash(&format!("{seed}/low")));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 52) & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// A time as Compute writes it: seven digits, an offset.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f0+00:00").to_string()
}

/// A time as most others write it.
pub(super) fn zulu(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f0Z").to_string()
}

/// Lays a value over another: a table is merged, everything else replaced.
fn lay(under: &mut Value, over: &Value, depth: usize) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) if depth < 8 => {
            for (key, value) in over {
                lay(under.entry(key.clone()).or_insert(Value::Null), value, depth + 1);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// A resource as ARM shows it.
pub(super) fn show(cloud: &Cloud, known: &'static Type, item: &Item) -> Value {
    let mut shown = (known.show)(cloud, item);
    if let Some(over) = item.keys.get("properties") {
        lay(&mut shown["properties"], over, 0);
    }
    let Value::Object(object) = &mut shown else { return shown };
    object.insert("id".to_owned(), json!(id(item)));
    object.entry("name").or_insert_with(|| json!(item.id));
    object.insert("type".to_owned(), json!(arm_type(known, item)));
    // What is below something else has no place, tags or zones of its own.
    if known.parents.is_empty() || object.contains_key("location") {
        object.entry("location").or_insert_with(|| json!(item.region));
        if !item.tags.is_empty() {
            object.insert("tags".to_owned(), json!(item.tags));
        }
        let zones = item.list("zones");
        if !zones.is_empty() {
            object.insert("zones".to_owned(), json!(zones));
        }
    }
    if let Some(manager) = item.text("managed_by")
        && !object.contains_key("managedBy")
    {
        object.insert("managedBy".to_owned(), json!(manager));
    }
    object.retain(|_, value| !value.is_null());
    // A change is under way, or came to nothing.
    if let Some(state) = item.text("provisioning") {
        shown["properties"]["provisioningState"] = json!(state);
    }
    shown
}

/// Whether the caller sees a resource group.
pub(super) fn sees_group(account: &Account, group: &str) -> bool {
    match account.rights.strip_prefix("group:") {
        Some(only) => only.eq_ignore_ascii_case(group),
        None => account.rights == "reader",
    }
}

/// Whether the caller sees a resource.
pub(super) fn sees(cloud: &Cloud, item: &Item) -> bool {
    cloud.account(&item.account).is_some_and(|account| sees_group(account, group(item)))
}

/// Refuses a call about a resource group that the caller does not see or that there is not.
pub(super) fn admit(cloud: &Cloud, req: &Req) -> Result<(), WireError> {
    let asked = req.label("group");
    if asked.is_empty() {
        return Ok(());
    }
    let seen = cloud.account(&req.account).is_some_and(|account| sees_group(account, asked));
    if !seen {
        return Err(unauthorised(req));
    }
    if super::resources::groups(cloud, &req.account).iter().any(|known| known.name.eq_ignore_ascii_case(asked)) {
        return Ok(());
    }
    Err(WireError::new(404, "ResourceGroupNotFound", format!("Resource group '{asked}' could not be found.")))
}

/// The resources of a type that a call is about and that its caller sees.
pub(super) fn asked<'a>(cloud: &'a Cloud, req: &Req, known: &'static Type) -> Result<Vec<&'a Item>, WireError> {
    admit(cloud, req)?;
    let within = req.label("group");
    let mut items = cloud.list_account(&req.account, known.kind);
    items.retain(|item| {
        sees(cloud, item)
            && (within.is_empty() || group(item).eq_ignore_ascii_case(within))
            && known.parents.iter().all(|spec| {
                let asked = req.label(spec.split('=').next().unwrap_or_default());
                let own = parent(spec, |key| item.text(key).map(str::to_owned));
                asked.is_empty() || own.eq_ignore_ascii_case(asked)
            })
    });
    if items.is_empty()
        && let (Some(parent), Some(key)) = (known.parent, known.parents.iter().rfind(|key| !key.contains('=')))
        && !req.label(key).is_empty()
    {
        let parents = cloud.list_account(&req.account, parent);
        let mut same = parents.iter().filter(|item| item.id.eq_ignore_ascii_case(req.label(key)));
        if !same.any(|item| group(item).eq_ignore_ascii_case(within)) {
            return Err(not_found(req));
        }
    }
    Ok(items)
}

/// The answer to a call for what there is not.
pub(super) fn not_found(req: &Req) -> WireError {
    WireError::new(
        404,
        "ResourceNotFound",
        format!(
            "The Resource '{}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            req.path,
            req.label("group")
        ),
    )
}

/// The most resources that a page has.
const MOST: usize = 1000;

/// A page of a list: `{"value": […], "nextLink": …}`.
pub(super) fn paged<T: Clone>(
    cloud: &Cloud,
    req: &Req,
    items: &[T],
    show: impl Fn(&T) -> Value,
) -> Result<Reply, WireError> {
    let (shown, next) = cloud.page(items, Some(MOST), req.param("$skiptoken"))?;
    let mut answer = Map::new();
    answer.insert("value".to_owned(), shown.iter().map(show).collect());
    // Some say that there is no next page, the others say nothing.
    let says = matches!(req.service, "Microsoft.Web" | "Microsoft.Management");
    if next.is_some() || says {
        answer.insert("nextLink".to_owned(), json!(next.map(|token| next_link(req, &token))));
    }
    Ok(Reply::Value(Value::Object(answer)))
}

/// The list of a type's resources: those of a subscription, of a resource group or below a parent.
pub(super) fn list(cloud: &Cloud, req: &Req, known: &'static Type) -> Result<Reply, WireError> {
    let items = asked(cloud, req, known)?;
    paged(cloud, req, &items, |item| show(cloud, known, item))
}

/// One resource that a call is about.
pub(super) fn one<'a>(cloud: &'a Cloud, req: &Req, known: &'static Type) -> Result<&'a Item, WireError> {
    let items = asked(cloud, req, known)?;
    let found = items.into_iter().find(|item| item.id.eq_ignore_ascii_case(req.label("name")));
    found.ok_or_else(|| not_found(req))
}

pub(super) fn get(cloud: &Cloud, req: &Req, known: &'static Type) -> Result<Reply, WireError> {
    let item = one(cloud, req, known)?;
    super::writes::looked_at(cloud, item);
    Ok(Reply::Value(show(cloud, known, item)))
}

/// Every resource of a subscription that its caller sees, by type and then in the file's order.
pub(super) fn every<'a>(cloud: &'a Cloud, account: &str) -> Vec<(&'static Type, &'a Item)> {
    let mut all = Vec::new();
    for known in types() {
        let items = cloud.list_account(account, known.kind);
        all.extend(items.into_iter().filter(|item| sees(cloud, item)).map(|item| (known, item)));
    }
    all
}

fn resources(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let mut all = every(cloud, &req.account);
    // Of the filters the one that clients need is known: `resourceType eq '…'`.
    let filter = req.param("$filter").unwrap_or_default();
    let only = filter.split_once("resourceType eq ").map(|(_, rest)| rest.trim().trim_matches('\''));
    if !filter.is_empty() && only.is_none() {
        return Err(WireError::new(
            400,
            "InvalidFilterInQueryString",
            format!("Invalid $filter '{filter}' specified."),
        ));
    }
    all.retain(|(known, item)| {
        let fits = only.is_none_or(|only| only.eq_ignore_ascii_case(&arm_type(known, item)));
        if !fits {
            return false;
        }
        let read = format!("{}/read", arm_type(known, item));
        // Tracked resources alone: what is below them is in none of ARM's generic lists.
        known.parents.is_empty() && !req.denied(&item.account, &read)
    });
    paged(cloud, req, &all, |(known, item)| {
        let mut shown = show(cloud, known, item);
        if let Some(object) = shown.as_object_mut() {
            object.remove("properties");
        }
        shown
    })
}

/// The subscriptions that the caller sees anything of.
pub(super) fn subscriptions(cloud: &Cloud) -> Vec<&Account> {
    cloud.org().of(Vendor::Azure).filter(|known| known.rights != "none" && known.status != "Deleted").collect()
}
