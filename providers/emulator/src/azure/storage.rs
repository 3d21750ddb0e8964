//! Storage: accounts, containers, and what is in them.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.storage-account` | `sku`, `sort` | `Standard_LRS`, `StorageV2` | `sort` is ARM's `kind` |
//! | | `hierarchical` | false | `isHnsEnabled` |
//! | | `versioning` | false | of blobs |
//! | | `soft_delete` | none | days that deleted blobs and containers are kept |
//! | | `rules` | no policy | tables: `name`, `enabled`, `expire_days`, `version_days`, `snapshot_days`, `cool_days`, `prefix` |
//! | | `shares`, `queues`, `tables` | none | names |
//! | `azure.storage-container` | `storage` | | the account's name |
//! | | `blobs` | 0 | how many |
//! | | `versions`, `deleted_blobs` | 0 | noncurrent versions, deleted blobs that are kept |
//! | | `deleted` | false | the container was deleted and is kept |
//! | | `lease`, `legal_hold`, `immutable` | false | |
//!
//! The blobs of an account are at `<account>.blob.core.windows.net` or below `/_blob/<account>`.

use serde_json::{Value, json};

use super::arm::{self, Type, listed, not_found, paged, zulu};
use super::missing;
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.storage-account", keys: &[
        "sku:text", "sort:text", "hierarchical:bool", "versioning:bool", "soft_delete:int", "rules:tables",
        "shares:list", "queues:list", "tables:list",
    ] },
    Kind { kind: "azure.storage-container", keys: &[
        "storage:text", "blobs:int", "versions:int", "deleted_blobs:int", "deleted:bool", "lease:bool",
        "legal_hold:bool", "immutable:bool",
    ] },
];

pub(super) const LINKS: &[(&str, &str)] = &[("azure.storage-container", "storage")];

static ACCOUNT: Type = Type::top("azure.storage-account", "Microsoft.Storage/storageAccounts", account);
static CONTAINER: Type = Type {
    kind: "azure.storage-container",
    arm: "Microsoft.Storage/storageAccounts/blobServices/containers",
    parents: &["storage", "=default"],
    parent: Some("azure.storage-account"),
    table: "",
    show: container,
};

pub(super) static TYPES: &[&Type] = &[&ACCOUNT, &CONTAINER];

const fn below(
    path: &'static str,
    action: &'static str,
    permission: &'static str,
    handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
) -> Route {
    Route { service: "Microsoft.Storage", method: "GET", path, action, permission, handle }
}

const fn blob(
    path: &'static str,
    action: &'static str,
    permission: &'static str,
    handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
) -> Route {
    Route { service: "blob", method: "GET", path, action, permission, handle }
}

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(ACCOUNT, "Microsoft.Storage", "storageAccounts", "StorageAccounts", "List", "ListByResourceGroup"),
    &[
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/blobServices/default", "BlobServices_GetServiceProperties", "Microsoft.Storage/storageAccounts/blobServices/read", blob_service),
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/blobServices/default/containers", "BlobContainers_List", "Microsoft.Storage/storageAccounts/blobServices/containers/read", containers),
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/managementPolicies/default", "ManagementPolicies_Get", "Microsoft.Storage/storageAccounts/managementPolicies/read", policy),
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/fileServices/default/shares", "FileShares_List", "Microsoft.Storage/storageAccounts/fileServices/shares/read", |cloud, req| named(cloud, req, "shares")),
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/queueServices/default/queues", "Queue_List", "Microsoft.Storage/storageAccounts/queueServices/queues/read", |cloud, req| named(cloud, req, "queues")),
        below("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage}/tableServices/default/tables", "Table_List", "Microsoft.Storage/storageAccounts/tableServices/tables/read", |cloud, req| named(cloud, req, "tables")),
        blob("/_blob/{storage}", "ListContainers", "Microsoft.Storage/storageAccounts/blobServices/containers/read", list_containers),
        blob("/_blob/{storage}/{container}", "ListBlobs", "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read", list_blobs),
    ],
];

/// The host of an account's blobs.
fn endpoint(account: &str, service: &str) -> String {
    format!("https://{account}.{service}.core.windows.net/")
}

fn sort(item: &Item) -> String {
    item.text_or("sort", "StorageV2")
}

fn account(_: &Cloud, item: &Item) -> Value {
    let sku = item.text_or("sku", "Standard_LRS");
    let files_only = sort(item) == "FileStorage";
    let services: &[&str] = if files_only { &["file"] } else { &["blob", "file", "queue", "table", "dfs", "web"] };
    let endpoints: serde_json::Map<String, Value> =
        services.iter().map(|service| ((*service).to_owned(), json!(endpoint(&item.id, service)))).collect();
    let mut own = json!({
        "creationTime": zulu(item.created),
        "primaryEndpoints": endpoints,
        "primaryLocation": item.region,
        "statusOfPrimary": "available",
        "provisioningState": "Succeeded",
        "supportsHttpsTrafficOnly": true,
        "allowBlobPublicAccess": false,
        "minimumTlsVersion": "TLS1_2",
        "accessTier": "Hot",
        "networkAcls": { "bypass": "AzureServices", "defaultAction": "Allow", "virtualNetworkRules": [], "ipRules": [] },
        "encryption": { "keySource": "Microsoft.Storage" },
        "privateEndpointConnections": [],
    });
    if let Some(flag) = item.flag("hierarchical") {
        own["isHnsEnabled"] = json!(flag);
    }
    json!({
        "sku": { "name": sku, "tier": sku.split('_').next().unwrap_or_default() },
        "kind": sort(item),
        "properties": own,
    })
}

/// The account that a call of ARM is about.
fn asked<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    let accounts = arm::asked(cloud, req, &ACCOUNT)?;
    accounts.into_iter().find(|item| item.id.eq_ignore_ascii_case(req.label("storage"))).ok_or_else(|| not_found(req))
}

/// Refuses what an account for files alone does not have.
fn has_blobs(item: &Item, req: &Req) -> Result<(), WireError> {
    if sort(item) != "FileStorage" || req.action == "FileShares_List" {
        return Ok(());
    }
    Err(WireError::new(
        400,
        "FeatureNotSupportedForAccount",
        "The requested feature is not supported for this account.",
    ))
}

fn blob_service(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = asked(cloud, req)?;
    has_blobs(item, req)?;
    let kept = match item.int("soft_delete") {
        Some(days) => json!({ "enabled": true, "days": days }),
        None => json!({ "enabled": false }),
    };
    let mut own = json!({
        "cors": { "corsRules": [] },
        "deleteRetentionPolicy": kept,
        "containerDeleteRetentionPolicy": kept,
    });
    // An account on which versioning was never set does not say so.
    if let Some(flag) = item.flag("versioning") {
        own["isVersioningEnabled"] = json!(flag);
    }
    Ok(Reply::Value(json!({
        "id": format!("{}/blobServices/default", arm::id(item)),
        "name": "default",
        "type": "Microsoft.Storage/storageAccounts/blobServices",
        "sku": { "name": item.text_or("sku", "Standard_LRS") },
        "properties": own,
    })))
}

fn policy(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = asked(cloud, req)?;
    has_blobs(item, req)?;
    if !item.keys.contains_key("rules") {
        return Err(WireError::new(
            404,
            "ManagementPolicyNotFound",
            format!("No ManagementPolicy found for account {}", item.id),
        ));
    }
    let rules: Vec<Value> = item
        .tables("rules")
        .into_iter()
        .enumerate()
        .map(|(at, table)| {
            let after = |key: &str, name: &str| table.get(key).map(|days| json!({ name: days }));
            let mut base = json!({});
            let mut actions = json!({});
            if let Some(days) = after("expire_days", "daysAfterModificationGreaterThan") {
                base["delete"] = days;
            }
            if let Some(days) = after("cool_days", "daysAfterModificationGreaterThan") {
                base["tierToCool"] = days;
            }
            if base != json!({}) {
                actions["baseBlob"] = base;
            }
            for (key, name) in [("version_days", "version"), ("snapshot_days", "snapshot")] {
                if let Some(days) = after(key, "daysAfterCreationGreaterThan") {
                    actions[name] = json!({ "delete": days });
                }
            }
            let prefixes: Vec<&Value> = table.get("prefix").into_iter().collect();
            json!({
                "enabled": table.get("enabled").cloned().unwrap_or(Value::Bool(true)),
                "name": table.get("name").cloned().unwrap_or_else(|| json!(format!("rule{at}"))),
                "type": "Lifecycle",
                "definition": {
                    "actions": actions,
                    "filters": { "blobTypes": ["blockBlob"], "prefixMatch": prefixes },
                },
            })
        })
        .collect();
    Ok(Reply::Value(json!({
        "id": format!("{}/managementPolicies/default", arm::id(item)),
        "name": "DefaultManagementPolicy",
        "type": "Microsoft.Storage/storageAccounts/managementPolicies",
        "properties": { "lastModifiedTime": zulu(item.created), "policy": { "rules": rules } },
    })))
}

fn container(_: &Cloud, item: &Item) -> Value {
    let is = |key: &str| item.flag(key).unwrap_or(false);
    json!({
        "etag": "\"0x8D0000000000000\"",
        "properties": {
            "deleted": is("deleted"),
            "remainingRetentionDays": if is("deleted") { 3 } else { 0 },
            "defaultEncryptionScope": "$account-encryption-key",
            "denyEncryptionScopeOverride": false,
            "publicAccess": "None",
            "leaseStatus": if is("lease") { "Locked" } else { "Unlocked" },
            "leaseState": if is("lease") { "Leased" } else { "Available" },
            "lastModifiedTime": zulu(item.created),
            "hasImmutabilityPolicy": is("immutable"),
            "hasLegalHold": is("legal_hold"),
        },
    })
}

fn containers(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    has_blobs(asked(cloud, req)?, req)?;
    let mut items = arm::asked(cloud, req, &CONTAINER)?;
    if !req.param("$include").is_some_and(|include| include.contains("deleted")) {
        items.retain(|item| item.flag("deleted") != Some(true));
    }
    paged(cloud, req, &items, |item| arm::show(cloud, &CONTAINER, item))
}

/// The shares, queues or tables of an account, which are nothing but names.
fn named(cloud: &Cloud, req: &Req, key: &'static str) -> Result<Reply, WireError> {
    let item = asked(cloud, req)?;
    has_blobs(item, req)?;
    let service = match key {
        "shares" => "fileServices",
        "queues" => "queueServices",
        _ => "tableServices",
    };
    let names = item.list(key);
    paged(cloud, req, &names, |name| {
        json!({
            "id": format!("{}/{service}/default/{key}/{name}", arm::id(item)),
            "name": name,
            "type": format!("Microsoft.Storage/storageAccounts/{service}/{key}"),
            "properties": {},
        })
    })
}

/// The account of a call of the blob service.
pub(super) fn find<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    let name = req.label("storage").to_ascii_lowercase();
    cloud.with_id("azure.storage-account", &name).next().ok_or_else(|| missing(req))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn xml(body: &str) -> Reply {
    Reply::Raw {
        status: 200,
        content_type: "application/xml".to_owned(),
        headers: vec![("x-ms-version".to_owned(), "2021-12-02".to_owned())],
        // The service begins its answers with a byte order mark.
        body: format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>{body}").into_bytes(),
    }
}

/// A page of names, as the inside of a list.
fn listing(cloud: &Cloud, req: &Req, names: &[(String, String)], list: &str, one: &str) -> Result<String, WireError> {
    let most = match req.param("maxresults") {
        None => 5000,
        Some(given) => given.parse::<usize>().ok().filter(|most| *most > 0).ok_or_else(|| {
            WireError::new(400, "OutOfRangeQueryParameterValue", "One of the query parameters is outside its range.")
        })?,
    };
    let (shown, next) = cloud.page(names, Some(most.min(5000)), req.param("marker"))?;
    let inner: String = shown
        .iter()
        .map(|(name, rest)| format!("<{one}><Name>{}</Name>{rest}</{one}>", escaped(name)))
        .collect::<Vec<_>>()
        .concat();
    let asked = req.param("maxresults").map(|most| format!("<MaxResults>{}</MaxResults>", escaped(most)));
    let marker = next.map_or_else(|| "<NextMarker />".to_owned(), |token| format!("<NextMarker>{token}</NextMarker>"));
    let list = if inner.is_empty() { format!("<{list} />") } else { format!("<{list}>{inner}</{list}>") };
    Ok(format!("{}{list}{marker}", asked.unwrap_or_default()))
}

fn list_containers(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = find(cloud, req)?;
    let with_deleted = req.param("include").is_some_and(|include| include.contains("deleted"));
    let modified = item.created.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let names: Vec<(String, String)> = containers_of(cloud, item)
        .into_iter()
        .filter(|one| with_deleted || one.flag("deleted") != Some(true))
        .map(|one| {
            let rest =
                format!("<Properties><Last-Modified>{modified}</Last-Modified><Etag>\"0x8D\"</Etag></Properties>");
            (one.id.clone(), rest)
        })
        .collect();
    let inner = listing(cloud, req, &names, "Containers", "Container")?;
    let at = endpoint(&item.id, "blob");
    Ok(xml(&format!("<EnumerationResults ServiceEndpoint=\"{at}\">{inner}</EnumerationResults>")))
}

fn containers_of<'a>(cloud: &'a Cloud, item: &Item) -> Vec<&'a Item> {
    let mut all = cloud.referring("azure.storage-container", "storage", &item.id);
    all.retain(|one| one.account == item.account);
    all
}

fn list_blobs(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = find(cloud, req)?;
    let container = containers_of(cloud, item)
        .into_iter()
        .find(|one| one.id == req.label("container") && one.flag("deleted") != Some(true))
        .ok_or_else(|| WireError::new(404, "ContainerNotFound", "The specified container does not exist."))?;
    if req.param("restype") != Some("container") || req.param("comp") != Some("list") {
        return Err(missing(req));
    }
    let include = req.param("include").unwrap_or_default();
    let count = |key: &str| container.int(key).unwrap_or(0);
    let modified = container.created.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let properties = format!(
        "<Properties><Last-Modified>{modified}</Last-Modified><Etag>0x8D</Etag><Content-Length>1024</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
    );
    let mut names: Vec<(String, String)> =
        (1..=count("blobs")).map(|n| (format!("blob-{n:04}"), properties.clone())).collect();
    if include.contains("versions") {
        names.extend((1..=count("versions")).map(|n| {
            (format!("blob-{n:04}"), format!("<VersionId>2026-01-01T00:00:00.{n:07}Z</VersionId>{properties}"))
        }));
    }
    if include.contains("deleted") {
        names.extend(
            (1..=count("deleted_blobs"))
                .map(|n| (format!("gone-{n:04}"), format!("<Deleted>true</Deleted>{properties}"))),
        );
    }
    let inner = listing(cloud, req, &names, "Blobs", "Blob")?;
    let at = endpoint(&item.id, "blob");
    let name = escaped(&container.id);
    Ok(xml(&format!(
        "<EnumerationResults ServiceEndpoint=\"{at}\" ContainerName=\"{name}\">{inner}</EnumerationResults>"
    )))
}

/// An error of the blob service.
pub(super) fn error(error: &WireError) -> (String, Vec<u8>) {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
        escaped(&error.code),
        escaped(&error.message)
    );
    ("application/xml".to_owned(), body.into_bytes())
}
