//! Subscriptions, locations, resource groups, management groups, locks and the caller's rights.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.resource-group` | id | | the group's name; a group that only resources name is there too |
//! | | `managed_by` | none | the ARM id of what manages it |
//! | | `lock` | none | a lock on the group |
//! | `azure.lock` | id | | the lock's name |
//! | | `level` | `CanNotDelete` | or `ReadOnly` |
//! | | `scope` | the subscription | `subscription`, `group` (that of key `group`) or an ARM id |
//! | | `notes` | none | |
//!
//! Management groups are the `ou` paths of the subscriptions; the root is the `[azure]` table's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::arm::{self, group, group_id, paged, stamp};
use super::{types, unauthorised};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::org::{Account, Vendor};
use crate::rest::{Req, Route};
use crate::services::Kind;

pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.resource-group", keys: &[] },
    Kind { kind: "azure.lock", keys: &["level:text", "scope:text", "notes:text"] },
];

const fn get(
    service: &'static str,
    path: &'static str,
    action: &'static str,
    permission: &'static str,
    handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
) -> Route {
    Route { service, method: "GET", path, action, permission, handle }
}

const RESOURCES: &str = "Microsoft.Resources";
const AUTHORIZATION: &str = "Microsoft.Authorization";
const MANAGEMENT: &str = "Microsoft.Management";

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    get(RESOURCES, "/tenants", "Tenants_List", "", tenants),
    get(RESOURCES, "/subscriptions", "Subscriptions_List", "Microsoft.Resources/subscriptions/read", subscriptions),
    get(RESOURCES, "/subscriptions/{subscription}", "Subscriptions_Get", "Microsoft.Resources/subscriptions/read", subscription),
    get(RESOURCES, "/subscriptions/{subscription}/locations", "Subscriptions_ListLocations", "Microsoft.Resources/subscriptions/locations/read", locations),
    get(RESOURCES, "/subscriptions/{subscription}/resourceGroups", "ResourceGroups_List", "Microsoft.Resources/subscriptions/resourceGroups/read", list_groups),
    get(RESOURCES, "/subscriptions/{subscription}/resourceGroups/{group}", "ResourceGroups_Get", "Microsoft.Resources/subscriptions/resourceGroups/read", get_group),
    get(AUTHORIZATION, "/subscriptions/{subscription}/providers/Microsoft.Authorization/permissions", "Permissions_ListForSubscription", "Microsoft.Authorization/permissions/read", permissions),
    get(AUTHORIZATION, "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Authorization/permissions", "Permissions_ListForResourceGroup", "Microsoft.Authorization/permissions/read", permissions),
    get(AUTHORIZATION, "/subscriptions/{subscription}/providers/Microsoft.Authorization/locks", "ManagementLocks_ListAtSubscriptionLevel", "Microsoft.Authorization/locks/read", locks),
    get(AUTHORIZATION, "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Authorization/locks", "ManagementLocks_ListAtResourceGroupLevel", "Microsoft.Authorization/locks/read", locks),
    get(MANAGEMENT, "/providers/Microsoft.Management/managementGroups", "ManagementGroups_List", "Microsoft.Management/managementGroups/read", management_groups),
    get(MANAGEMENT, "/providers/Microsoft.Management/managementGroups/{mg}", "ManagementGroups_Get", "Microsoft.Management/managementGroups/read", management_group),
    get(MANAGEMENT, "/providers/Microsoft.Management/managementGroups/{mg}/descendants", "ManagementGroups_GetDescendants", "Microsoft.Management/managementGroups/descendants/read", descendants),
];

fn tenants(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    paged(
        cloud,
        req,
        &[&cloud.org().azure.tenant],
        |tenant| json!({ "id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "Emulated", "tenantCategory": "Home" }),
    )
}

fn subscriptions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all = arm::subscriptions(cloud);
    let Reply::Value(mut answer) = paged(cloud, req, &all, |account| show_subscription(cloud, account))? else {
        return Err(unauthorised(req));
    };
    let count = answer.get("value").and_then(Value::as_array).map_or(0, Vec::len);
    answer["count"] = json!({ "type": "Total", "value": count });
    Ok(Reply::Value(answer))
}

fn own(cloud: &Cloud, req: &Req) -> Result<Account, WireError> {
    cloud.account(&req.account).cloned().ok_or_else(|| unauthorised(req))
}

fn subscription(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    Ok(Reply::Value(show_subscription(cloud, &own(cloud, req)?)))
}

fn show_subscription(cloud: &Cloud, account: &Account) -> Value {
    json!({
        "id": format!("/subscriptions/{}", account.id),
        "subscriptionId": account.id,
        "tenantId": cloud.org().azure.tenant,
        "displayName": account.name,
        "state": account.status,
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "tags": account.tags,
    })
}

/// Locations and the names that people know them by.
const NAMES: &[(&str, &str)] = &[
    ("australiaeast", "Australia East"),
    ("brazilsouth", "Brazil South"),
    ("canadacentral", "Canada Central"),
    ("centralus", "Central US"),
    ("eastasia", "East Asia"),
    ("eastus", "East US"),
    ("eastus2", "East US 2"),
    ("francecentral", "France Central"),
    ("germanywestcentral", "Germany West Central"),
    ("japaneast", "Japan East"),
    ("northeurope", "North Europe"),
    ("southcentralus", "South Central US"),
    ("southeastasia", "Southeast Asia"),
    ("swedencentral", "Sweden Central"),
    ("uksouth", "UK South"),
    ("westeurope", "West Europe"),
    ("westus", "West US"),
    ("westus2", "West US 2"),
    ("westus3", "West US 3"),
];

/// The name of a location that people know it by.
pub(super) fn display_name(location: &str) -> &str {
    NAMES.iter().find(|(name, _)| *name == location).map_or(location, |(_, shown)| shown)
}

fn locations(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let account = own(cloud, req)?;
    let mut names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    names.extend(account.regions.iter().map(String::as_str).filter(|name| display_name(name) == *name));
    let shown: Vec<Value> = names
        .into_iter()
        .map(|name| {
            json!({
                "id": format!("/subscriptions/{}/locations/{name}", account.id),
                "subscriptionId": account.id,
                "name": name,
                "type": "Region",
                "displayName": display_name(name),
                "regionalDisplayName": display_name(name),
                "metadata": { "regionType": "Physical", "regionCategory": "Recommended" },
            })
        })
        .collect();
    Ok(Reply::Value(json!({ "value": shown })))
}

/// A resource group.
#[derive(Clone)]
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    /// The file's entry, if it has one.
    pub(super) own: Option<&'a Item>,
}

/// The resource groups of a subscription: those of the file and those that resources name.
pub(super) fn groups<'a>(cloud: &'a Cloud, account: &str) -> Vec<Group<'a>> {
    let mut all: BTreeMap<String, Group<'a>> = BTreeMap::new();
    for item in cloud.list_account(account, "azure.resource-group") {
        all.insert(item.id.to_ascii_lowercase(), Group { name: &item.id, own: Some(item) });
    }
    for known in types() {
        for item in cloud.list_account(account, known.kind) {
            let name = group(item);
            all.entry(name.to_ascii_lowercase()).or_insert(Group { name, own: None });
        }
    }
    all.into_values().collect()
}

/// A resource group as ARM shows it.
pub(super) fn show_group(account: &Account, one: &Group<'_>) -> Value {
    let mut shown = json!({
        "id": group_id(&account.id, one.name),
        "name": one.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": one.own.map(|own| own.region.clone()).or_else(|| account.regions.first().cloned()),
        "properties": { "provisioningState": "Succeeded" },
    });
    if let Some(own) = one.own {
        if !own.tags.is_empty() {
            shown["tags"] = json!(own.tags);
        }
        if let Some(manager) = own.text("managed_by") {
            shown["managedBy"] = json!(manager);
        }
    }
    shown
}

/// The resource groups of a subscription that its caller sees.
pub(super) fn seen_groups<'a>(cloud: &'a Cloud, account: &Account) -> Vec<Group<'a>> {
    let mut all = groups(cloud, &account.id);
    all.retain(|one| arm::sees_group(account, one.name));
    all
}

fn list_groups(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let account = own(cloud, req)?;
    paged(cloud, req, &seen_groups(cloud, &account), |one| show_group(&account, one))
}

fn get_group(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let account = own(cloud, req)?;
    arm::admit(cloud, req)?;
    let all = groups(cloud, &account.id);
    let found = all.iter().find(|one| one.name.eq_ignore_ascii_case(req.label("group")));
    found.map(|one| Reply::Value(show_group(&account, one))).ok_or_else(|| arm::not_found(req))
}

/// The caller's rights at a scope: everything but what standing faults deny.
fn permissions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let account = own(cloud, req)?;
    let asked = req.label("group");
    let granted = if asked.is_empty() { account.rights == "reader" } else { arm::sees_group(&account, asked) };
    if !granted {
        return Ok(Reply::Value(json!({ "value": [] })));
    }
    let denied: Vec<&str> =
        req.denials.iter().filter(|denial| denial.of(&account.id)).map(|denial| denial.permission.as_str()).collect();
    let role = json!({
        "actions": ["*"],
        "notActions": denied,
        "dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"],
        "notDataActions": denied,
    });
    Ok(Reply::Value(json!({ "value": [role] })))
}

fn show_lock(scope: &str, name: &str, level: &str, notes: Option<&str>, at: Option<&Item>) -> Value {
    json!({
        "properties": { "level": level, "notes": notes },
        "id": format!("{scope}/providers/Microsoft.Authorization/locks/{name}"),
        "type": "Microsoft.Authorization/locks",
        "name": name,
        "systemData": at.map(|item| json!({ "createdByType": "User", "createdAt": stamp(item.created) })),
    })
}

/// A lock, whoever sees it.
pub(super) struct Lock<'a> {
    /// What it is on: an ARM id.
    pub(super) scope: String,
    pub(super) level: String,
    name: &'a str,
    notes: Option<&'a str>,
    item: &'a Item,
}

/// Every lock of a subscription: its own, those of its groups and those of its resources.
pub(super) fn planted<'a>(cloud: &'a Cloud, account: &str) -> Vec<Lock<'a>> {
    let mut all = Vec::new();
    for item in cloud.list_account(account, "azure.lock") {
        let scope = match item.text_or("scope", "subscription").as_str() {
            "subscription" => format!("/subscriptions/{account}"),
            "group" => group_id(account, group(item)),
            scope => scope.to_owned(),
        };
        let level = item.text_or("level", "CanNotDelete");
        all.push(Lock { scope, level, name: &item.id, notes: item.text("notes"), item });
    }
    let mut own = |scope: String, item: &'a Item| {
        if let Some(level) = item.text("lock") {
            all.push(Lock { scope, level: level.to_owned(), name: "lock", notes: None, item });
        }
    };
    for item in cloud.list_account(account, "azure.resource-group") {
        own(group_id(account, &item.id), item);
    }
    for known in types() {
        for item in cloud.list_account(account, known.kind) {
            own(arm::id_in(known, item), item);
        }
    }
    all
}

/// The locks of a subscription that the caller sees.
fn locks(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    arm::admit(cloud, req)?;
    let account = own(cloud, req)?;
    let within = req.label("group");
    let seen = |lock: &Lock<'_>| match lock.scope.split('/').nth(4) {
        None => within.is_empty() && account.rights == "reader",
        Some(group) => arm::sees_group(&account, group) && (within.is_empty() || within.eq_ignore_ascii_case(group)),
    };
    let mut all = planted(cloud, &account.id);
    all.retain(seen);
    let all: Vec<Value> =
        all.iter().map(|lock| show_lock(&lock.scope, lock.name, &lock.level, lock.notes, Some(lock.item))).collect();
    paged(cloud, req, &all, Clone::clone)
}

/// The management groups below the root, as paths without a slash at the end, and the root as "".
fn paths(cloud: &Cloud) -> Vec<String> {
    let mut all = std::collections::BTreeSet::from([String::new()]);
    for account in cloud.org().of(Vendor::Azure) {
        let mut path = String::new();
        for part in account.ou.split('/').filter(|part| !part.is_empty()) {
            path = format!("{path}/{part}");
            all.insert(path.clone());
        }
    }
    all.into_iter().collect()
}

/// The name of the management group of a path.
fn name_of(cloud: &Cloud, path: &str) -> String {
    match path.rsplit('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => cloud.org().azure.root.clone(),
    }
}

fn mg_id(name: &str) -> String {
    format!("/providers/Microsoft.Management/managementGroups/{name}")
}

fn show_mg(cloud: &Cloud, path: &str) -> Value {
    let name = name_of(cloud, path);
    json!({
        "id": mg_id(&name),
        "type": "Microsoft.Management/managementGroups",
        "name": name,
        "properties": { "tenantId": cloud.org().azure.tenant, "displayName": name },
    })
}

/// The management groups above a subscription, nearest first.
pub(super) fn ancestors(cloud: &Cloud, account: &Account) -> Vec<Value> {
    let mut path = normal(&account.ou);
    let mut all = Vec::new();
    loop {
        let name = name_of(cloud, &path);
        all.push(json!({ "name": name, "displayName": name }));
        match path.rfind('/') {
            Some(at) => path.truncate(at),
            None => return all,
        }
    }
}

fn management_groups(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    paged(cloud, req, &paths(cloud), |path| show_mg(cloud, path))
}

/// The path of the management group that a call is about.
pub(super) fn asked_mg(cloud: &Cloud, req: &Req) -> Result<String, WireError> {
    let asked = req.label("mg");
    let root = &cloud.org().azure;
    let found = paths(cloud).into_iter().find(|path| {
        name_of(cloud, path).eq_ignore_ascii_case(asked) || path.is_empty() && root.tenant.eq_ignore_ascii_case(asked)
    });
    found.ok_or_else(|| {
        WireError::new(
            403,
            "AuthorizationFailed",
            format!(
                "The client 'sweeper' does not have authorization to perform action '{}' over scope '{}' or the scope is invalid.",
                req.permission,
                mg_id(asked)
            ),
        )
    })
}

fn management_group(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    Ok(Reply::Value(show_mg(cloud, &asked_mg(cloud, req)?)))
}

pub(super) fn normal(ou: &str) -> String {
    let parts: Vec<&str> = ou.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!("/{}", parts.join("/")) }
}

/// What is below a management group, however deep: groups first, then subscriptions.
fn descendants(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let root = asked_mg(cloud, req)?;
    let below = format!("{root}/");
    let mut all = Vec::new();
    for path in paths(cloud).into_iter().filter(|path| path.starts_with(&below)) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let name = name_of(cloud, &path);
        all.push(json!({
            "id": mg_id(&name),
            "type": "Microsoft.Management/managementGroups",
            "name": name,
            "properties": { "displayName": name, "parent": { "id": mg_id(&name_of(cloud, parent)) } },
        }));
    }
    for account in cloud.org().of(Vendor::Azure) {
        let ou = normal(&account.ou);
        if ou == root || ou.starts_with(&below) {
            all.push(json!({
                "id": format!("/subscriptions/{}", account.id),
                "type": "/subscriptions",
                "name": account.id,
                "properties": { "displayName": account.name, "parent": { "id": mg_id(&name_of(cloud, &ou)) } },
            }));
        }
    }
    paged(cloud, req, &all, Clone::clone)
}
