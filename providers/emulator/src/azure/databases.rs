//! SQL servers, databases and elastic pools; PostgreSQL flexible servers.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.sql-server` | | | |
//! | `azure.sql-database` | `server` | | its server, which takes an entry of its own to be listed |
//! | | `sku`, `tier`, `capacity` | `GP_Gen5`, `GeneralPurpose`, 2 | what was asked for |
//! | | `objective` | of the SKU | what runs now: `GP_Gen5_2`, `ElasticPool` |
//! | | `pool` | none | the elastic pool it is in |
//! | | `state` | `Online` | or `Paused`, … |
//! | | `max_size` | 34359738368 | bytes |
//! | | `auto_pause` | none | minutes, -1 for never |
//! | | `secondary` | none | `Geo`, `Named`, `Standby`: a copy of another |
//! | `azure.sql-elastic-pool` | `server`, `sku`, `tier`, `capacity` | | |
//! | `azure.postgres-flexible-server` | `sku`, `tier` | `Standard_D2ds_v5`, `GeneralPurpose` | |
//! | | `state` | `Ready` | or `Stopped`, … |
//! | | `version`, `size` | `16`, 128 | size in GiB |
//! | | `ha` | `Disabled` | or `ZoneRedundant`, `SameZone` |
//! | | `role` | `Primary` | or `AsyncReplica` |

use serde_json::{Value, json};

use super::arm::{self, Type, children, guid, id, listed, target, zulu};
use super::writes::{self, Effect, asked_to, removable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.sql-server", keys: &[] },
    Kind { kind: "azure.sql-database", keys: &[
        "server:text", "sku:text", "tier:text", "capacity:int", "objective:text", "pool:text", "state:text",
        "max_size:int", "auto_pause:int", "secondary:text",
    ] },
    Kind { kind: "azure.sql-elastic-pool", keys: &["server:text", "sku:text", "tier:text", "capacity:int"] },
    Kind { kind: "azure.postgres-flexible-server", keys: &[
        "sku:text", "tier:text", "state:text", "version:text", "size:int", "ha:text", "role:text",
    ] },
];

static SERVER: Type = Type::top("azure.sql-server", "Microsoft.Sql/servers", server);
static DATABASE: Type = Type {
    kind: "azure.sql-database",
    arm: "Microsoft.Sql/servers/databases",
    parents: &["server"],
    parent: Some("azure.sql-server"),
    table: "resources",
    show: database,
};
static POOL: Type = Type {
    kind: "azure.sql-elastic-pool",
    arm: "Microsoft.Sql/servers/elasticPools",
    parents: &["server"],
    parent: Some("azure.sql-server"),
    table: "resources",
    show: pool,
};
static POSTGRES: Type =
    Type::top("azure.postgres-flexible-server", "Microsoft.DBforPostgreSQL/flexibleServers", postgres);

pub(super) static TYPES: &[&Type] = &[&SERVER, &DATABASE, &POOL, &POSTGRES];

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(SERVER, "Microsoft.Sql", "servers", "Servers", "List", "ListByResourceGroup"),
    children!(DATABASE, "Microsoft.Sql", "servers/{server}/databases", "Microsoft.Sql/servers/databases/read", "Databases", "ListByServer"),
    children!(POOL, "Microsoft.Sql", "servers/{server}/elasticPools", "Microsoft.Sql/servers/elasticPools/read", "ElasticPools", "ListByServer"),
    listed!(POSTGRES, "Microsoft.DBforPostgreSQL", "flexibleServers", "Servers", "List", "ListByResourceGroup"),
    removable!(POOL, "Microsoft.Sql", "servers/{server}/elasticPools", "Microsoft.Sql/servers/elasticPools/delete", "ElasticPools", pool_free),
    &[
        asked_to!("POST", "Microsoft.DBforPostgreSQL", "flexibleServers/{name}/stop", "Microsoft.DBforPostgreSQL/flexibleServers/stop/action", "Servers_Stop", |cloud, req| switch(cloud, req, "Stopping", "Stopped")),
        asked_to!("POST", "Microsoft.DBforPostgreSQL", "flexibleServers/{name}/start", "Microsoft.DBforPostgreSQL/flexibleServers/start/action", "Servers_Start", |cloud, req| switch(cloud, req, "Starting", "Ready")),
    ],
];

/// Brings a server into a state, through another.
fn switch(cloud: &Cloud, req: &Req, through: &str, to: &str) -> Result<Reply, WireError> {
    let item = arm::one(cloud, req, &POSTGRES)?;
    writes::unlocked(cloud, &item.account, &id(item), false)?;
    let from = item.text_or("state", "Ready");
    let fits = matches!((from.as_str(), to), ("Ready", "Stopped") | ("Stopped", "Ready"));
    if !fits {
        let message = format!("The server is in the state {from}, in which it cannot be asked for this.");
        return Err(WireError::new(409, "ServerIsNotReady", message));
    }
    let effect = Effect::Set(json!({ "state": to }));
    Ok(match writes::begin(cloud, req, &POSTGRES, item, &effect, json!({ "state": through })) {
        Some(accepted) => accepted.reply(202, None),
        None => writes::empty(200),
    })
}

/// Whether a pool may be deleted: no database is in it.
fn pool_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    let own = id(item);
    let databases = cloud.list_account(&item.account, "azure.sql-database");
    let inside = databases.iter().any(|one| {
        arm::show(cloud, &DATABASE, one)["properties"]["elasticPoolId"]
            .as_str()
            .is_some_and(|pool| pool.eq_ignore_ascii_case(&own))
    });
    if inside {
        let message = format!("The elastic pool '{}' is not empty.", item.id);
        return Err(WireError::new(400, "ElasticPoolNotEmpty", message));
    }
    Ok(())
}

fn server(_: &Cloud, item: &Item) -> Value {
    json!({
        "kind": "v12.0",
        "properties": {
            "administratorLogin": "admins",
            "version": "12.0",
            "state": "Ready",
            "fullyQualifiedDomainName": format!("{}.database.windows.net", item.id),
            "privateEndpointConnections": [],
            "publicNetworkAccess": "Disabled",
        },
    })
}

fn sku(item: &Item) -> Value {
    let name = item.text_or("sku", "GP_Gen5");
    let mut sku = json!({
        "name": name,
        "tier": item.text_or("tier", "GeneralPurpose"),
        "capacity": item.int("capacity").unwrap_or(2),
    });
    if let Some((_, family)) = name.rsplit_once('_') {
        sku["family"] = json!(family);
    }
    sku
}

fn database(cloud: &Cloud, item: &Item) -> Value {
    let name = item.text_or("sku", if item.text("pool").is_some() { "ElasticPool" } else { "GP_Gen5" });
    let objective = item.text("objective").map_or_else(
        || if name == "ElasticPool" { name.clone() } else { format!("{name}_{}", item.int("capacity").unwrap_or(2)) },
        str::to_owned,
    );
    let mut own = json!({
        "collation": "SQL_Latin1_General_CP1_CI_AS",
        "maxSizeBytes": item.int("max_size").unwrap_or(34_359_738_368),
        "status": item.text_or("state", "Online"),
        "databaseId": guid(&id(item)),
        "creationDate": zulu(item.created),
        "currentServiceObjectiveName": objective,
        "requestedServiceObjectiveName": objective,
        "catalogCollation": "SQL_Latin1_General_CP1_CI_AS",
        "zoneRedundant": false,
        "readScale": "Disabled",
        "requestedBackupStorageRedundancy": "Geo",
    });
    if let Some(named) = item.text("pool") {
        let pool = if named.starts_with('/') {
            named.to_owned()
        } else {
            let server = target(cloud, item, "azure.sql-server", &item.text_or("server", ""));
            format!("{server}/elasticPools/{named}")
        };
        own["elasticPoolId"] = json!(pool);
    }
    if let Some(minutes) = item.int("auto_pause") {
        own["autoPauseDelay"] = json!(minutes);
    }
    if let Some(kind) = item.text("secondary") {
        own["secondaryType"] = json!(kind);
    }
    let kind = if item.id == "master" { "v12.0,system" } else { "v12.0,user,vcore" };
    json!({ "kind": kind, "location": item.region, "sku": sku(item), "properties": own })
}

fn pool(_: &Cloud, item: &Item) -> Value {
    json!({
        "kind": "vcore,pool",
        "location": item.region,
        "sku": sku(item),
        "properties": {
            "state": "Ready",
            "creationDate": zulu(item.created),
            "maxSizeBytes": 34_359_738_368_i64,
            "perDatabaseSettings": { "minCapacity": 0.0, "maxCapacity": 2.0 },
            "zoneRedundant": false,
        },
    })
}

fn postgres(_: &Cloud, item: &Item) -> Value {
    json!({
        "sku": { "name": item.text_or("sku", "Standard_D2ds_v5"), "tier": item.text_or("tier", "GeneralPurpose") },
        "properties": {
            "state": item.text_or("state", "Ready"),
            "version": item.text_or("version", "16"),
            "administratorLogin": "admins",
            "fullyQualifiedDomainName": format!("{}.postgres.database.azure.com", item.id),
            "storage": { "storageSizeGB": item.int("size").unwrap_or(128), "autoGrow": "Disabled", "tier": "P10", "iops": 500 },
            "highAvailability": { "mode": item.text_or("ha", "Disabled"), "state": "NotEnabled" },
            "replicationRole": item.text_or("role", "Primary"),
            "replicaCapacity": 5,
            "backup": { "backupRetentionDays": 7, "geoRedundantBackup": "Disabled" },
            "availabilityZone": "1",
        },
    })
}
