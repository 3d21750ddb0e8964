//! App Service: plans, web apps, function apps and their slots.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.app-service-plan` | `sku` | `P1v3` | its name says the tier: `Y1`, `B1`, `S1`, `EP1`, `FC1`, … |
//! | | `workers` | 1 | |
//! | | `linux` | true | `reserved` |
//! | | `sites` | by the apps' `plan` | `numberOfSites` |
//! | `azure.web-app`, `azure.function-app` | `plan` | | its plan |
//! | | `sort` | by the stack | ARM's `kind`: `app,linux`, `functionapp,linux` |
//! | | `stack` | none | `linuxFxVersion`: `DOCKER\|shop.azurecr.io/web:1`, `NODE\|20-lts`, `sitecontainers` |
//! | | `sidecars` | none | the images of its site containers |
//! | | `state` | `Running` | or `Stopped` |
//! | | `modified` | `created` | `lastModifiedTimeUtc` |
//! | | `hidden_stack` | false | lists do not tell the stack, only its configuration does |
//! | `azure.web-slot` | `site`, and as of apps | | a deployment slot |

use serde_json::{Map, Value, json};

use super::arm::{self, Type, children, listed, not_found, paged, referrers, target};
use super::resources::display_name;
use super::writes::{self, asked_to, lacking};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

const SITE_KEYS: &[&str] = &[
    "plan:text",
    "sort:text",
    "stack:text",
    "sidecars:list",
    "state:text",
    "modified:time",
    "hidden_stack:bool",
    "site:text",
];

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.app-service-plan", keys: &["sku:text", "workers:int", "linux:bool", "sites:int"] },
    Kind { kind: "azure.web-app", keys: SITE_KEYS },
    Kind { kind: "azure.function-app", keys: SITE_KEYS },
    Kind { kind: "azure.web-slot", keys: SITE_KEYS },
];

pub(super) const LINKS: &[(&str, &str)] =
    &[("azure.web-app", "plan"), ("azure.function-app", "plan"), ("azure.web-slot", "plan")];

static PLAN: Type = Type::top("azure.app-service-plan", "Microsoft.Web/serverfarms", plan);
static APP: Type = Type::top("azure.web-app", "Microsoft.Web/sites", site);
static FUNCTION: Type = Type::top("azure.function-app", "Microsoft.Web/sites", site);
static SLOT: Type = Type {
    kind: "azure.web-slot",
    arm: "Microsoft.Web/sites/slots",
    parents: &["site"],
    parent: None,
    table: "resources",
    show: site,
};

pub(super) static TYPES: &[&Type] = &[&PLAN, &APP, &FUNCTION, &SLOT];

const fn web(
    path: &'static str,
    action: &'static str,
    permission: &'static str,
    handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
) -> Route {
    Route { service: "Microsoft.Web", method: "GET", path, action, permission, handle }
}

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(PLAN, "Microsoft.Web", "serverfarms", "AppServicePlans", "List", "ListByResourceGroup"),
    children!(SLOT, "Microsoft.Web", "sites/{site}/slots", "Microsoft.Web/sites/slots/read", "WebApps_Slots", "List"),
    &[
        web("/subscriptions/{subscription}/providers/Microsoft.Web/sites", "WebApps_List", "Microsoft.Web/sites/read", sites),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites", "WebApps_ListByResourceGroup", "Microsoft.Web/sites/read", sites),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}", "WebApps_Get", "Microsoft.Web/sites/read", one_site),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}/config/web", "WebApps_GetConfiguration", "Microsoft.Web/sites/config/read", config),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}/sitecontainers", "WebApps_ListSiteContainers", "Microsoft.Web/sites/sitecontainers/read", sidecars),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}/slots/{slot}/config/web", "WebApps_GetConfigurationSlot", "Microsoft.Web/sites/slots/config/read", config),
        web("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}/slots/{slot}/sitecontainers", "WebApps_ListSiteContainersSlot", "Microsoft.Web/sites/slots/sitecontainers/read", sidecars),
        asked_to!("DELETE", "Microsoft.Web", "serverfarms/{name}", "Microsoft.Web/serverfarms/delete", "AppServicePlans_Delete", delete_plan),
        asked_to!("PUT", "Microsoft.Web", "serverfarms/{name}", "Microsoft.Web/serverfarms/write", "AppServicePlans_CreateOrUpdate", put_plan),
    ],
];

/// Whether a plan may be deleted: it holds no apps.
fn plan_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    match arm::show(cloud, &PLAN, item)["properties"]["numberOfSites"].as_i64() {
        Some(0) => Ok(()),
        sites => Err(WireError::new(
            409,
            "Conflict",
            format!(
                "Server farm '{}' cannot be deleted because it has {} web app(s) assigned to it.",
                item.id,
                sites.unwrap_or(0)
            ),
        )),
    }
}

/// Plans go at once.
fn delete_plan(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    writes::delete_at_once(cloud, req, &PLAN, plan_free)
}

fn put_plan(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    match arm::one(cloud, req, &PLAN) {
        Ok(item) => {
            writes::unlocked(cloud, &item.account, &arm::id(item), false)?;
            return Ok(Reply::Value(arm::show(cloud, &PLAN, item)));
        }
        Err(error) if error.code == "ResourceNotFound" => {}
        Err(error) => return Err(error),
    }
    let body = req.json().unwrap_or_default();
    let region = body["location"].as_str().ok_or_else(|| lacking("location"))?.to_ascii_lowercase().replace(' ', "");
    let mut keys = Map::new();
    keys.insert("polls".to_owned(), json!(0));
    for (key, value) in [
        ("sku", &body["sku"]["name"]),
        ("workers", &body["sku"]["capacity"]),
        ("linux", &body["properties"]["reserved"]),
    ] {
        if !value.is_null() {
            keys.insert(key.to_owned(), value.clone());
        }
    }
    writes::create(cloud, req, &PLAN, &region, keys)
}

/// The tier of a plan's SKU.
fn tier(sku: &str) -> &'static str {
    let low = sku.to_ascii_lowercase();
    match low.as_bytes() {
        [b'f', b'c', ..] => "FlexConsumption",
        [b'f', ..] => "Free",
        [b'd', ..] => "Shared",
        [b'b', ..] => "Basic",
        [b's', ..] => "Standard",
        [b'y', ..] => "Dynamic",
        [b'e', ..] => "ElasticPremium",
        [b'w', ..] => "WorkflowStandard",
        [b'i', ..] => "IsolatedV2",
        _ if low.ends_with("v2") => "PremiumV2",
        _ if low.ends_with("v4") => "PremiumV4",
        _ => "PremiumV3",
    }
}

fn plan(cloud: &Cloud, item: &Item) -> Value {
    let sku = item.text_or("sku", "P1v3");
    let linux = item.flag("linux").unwrap_or(true);
    let sites = item.int("sites").unwrap_or_else(|| {
        let kinds = ["azure.web-app", "azure.function-app", "azure.web-slot"];
        kinds.iter().map(|kind| referrers(cloud, item, kind, "plan").len() as i64).sum()
    });
    let workers = item.int("workers").unwrap_or(1);
    let family: String = sku.chars().filter(char::is_ascii_alphabetic).collect();
    json!({
        "kind": match tier(&sku) {
            "Dynamic" | "FlexConsumption" => "functionapp",
            "ElasticPremium" => "elastic",
            _ if linux => "linux",
            _ => "app",
        },
        // App Service tells locations by the names that people know them by.
        "location": display_name(&item.region),
        "sku": { "name": sku, "tier": tier(&sku), "size": sku, "family": family, "capacity": workers },
        "properties": {
            "numberOfSites": sites,
            "numberOfWorkers": workers,
            "maximumNumberOfWorkers": 30,
            "reserved": linux,
            "status": "Ready",
            "geoRegion": display_name(&item.region),
            "resourceGroup": arm::group(item),
            "subscription": item.account,
            "computeMode": "Dedicated",
            "perSiteScaling": false,
            "zoneRedundant": false,
            "provisioningState": "Succeeded",
        },
    })
}

fn sort(item: &Item) -> String {
    let function = item.kind == "azure.function-app";
    item.text("sort").map_or_else(
        || {
            let base = if function { "functionapp" } else { "app" };
            match item.text("stack") {
                Some(stack) if stack.starts_with("DOCKER|") || stack.starts_with("COMPOSE|") => {
                    format!("{base},linux,container")
                }
                Some(_) => format!("{base},linux"),
                None => base.to_owned(),
            }
        },
        str::to_owned,
    )
}

fn site(cloud: &Cloud, item: &Item) -> Value {
    let stack = item.text("stack").filter(|_| item.flag("hidden_stack") != Some(true));
    let plan = item.text("plan").map(|named| target(cloud, item, "azure.app-service-plan", named));
    let sku = item
        .text("plan")
        .and_then(|named| arm::find(cloud, item, "azure.app-service-plan", named))
        .map_or("PremiumV3", |plan| tier(plan.text("sku").unwrap_or("P1v3")));
    let host = format!("{}.azurewebsites.net", item.id);
    let modified = item.time("modified", cloud.now).unwrap_or(item.created);
    let pairs: Vec<Value> =
        stack.map(|stack| json!({ "name": "LinuxFxVersion", "value": stack })).into_iter().collect();
    let mut shown = json!({
        "kind": sort(item),
        "location": display_name(&item.region),
        "properties": {
            "state": item.text_or("state", "Running"),
            "hostNames": [host],
            "enabledHostNames": [host],
            "defaultHostName": host,
            "usageState": "Normal",
            "availabilityState": "Normal",
            "enabled": true,
            "serverFarmId": plan,
            "reserved": item.text("stack").is_some(),
            // It writes times without a zone.
            "lastModifiedTimeUtc": modified.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            "siteProperties": { "metadata": null, "properties": pairs, "appSettings": null },
            "siteConfig": { "numberOfWorkers": 1, "linuxFxVersion": stack.unwrap_or_default(), "alwaysOn": false },
            "clientCertEnabled": false,
            "httpsOnly": true,
            "sku": sku,
            "resourceGroup": arm::group(item),
        },
    });
    if item.kind == "azure.web-slot" {
        shown["name"] = json!(format!("{}/{}", item.text_or("site", ""), item.id));
    }
    shown
}

/// The sites of a call, whichever kind they are.
fn asked<'a>(cloud: &'a Cloud, req: &Req) -> Result<Vec<&'a Item>, WireError> {
    let mut all = arm::asked(cloud, req, &APP)?;
    all.extend(arm::asked(cloud, req, &FUNCTION)?);
    Ok(all)
}

fn sites(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    paged(cloud, req, &asked(cloud, req)?, |item| arm::show(cloud, &APP, item))
}

/// The site or slot of a call.
fn one<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    let slot = req.label("slot");
    let (all, name) =
        if slot.is_empty() { (asked(cloud, req)?, req.label("site")) } else { (arm::asked(cloud, req, &SLOT)?, slot) };
    all.into_iter().find(|item| item.id.eq_ignore_ascii_case(name)).ok_or_else(|| not_found(req))
}

fn one_site(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    Ok(Reply::Value(arm::show(cloud, &APP, one(cloud, req)?)))
}

fn config(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req)?;
    Ok(Reply::Value(json!({
        "id": format!("{}/config/web", arm::id(item)),
        "name": "web",
        "type": "Microsoft.Web/sites/config",
        "location": display_name(&item.region),
        "properties": {
            "numberOfWorkers": 1,
            "linuxFxVersion": item.text("stack").unwrap_or_default(),
            "windowsFxVersion": null,
            "alwaysOn": false,
            "ftpsState": "FtpsOnly",
        },
    })))
}

fn sidecars(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req)?;
    let images: Vec<(usize, String)> = item.list("sidecars").into_iter().enumerate().collect();
    paged(cloud, req, &images, |(at, image)| {
        let name = if *at == 0 { "main".to_owned() } else { format!("sidecar{at}") };
        json!({
            "id": format!("{}/sitecontainers/{name}", arm::id(item)),
            "name": name,
            "type": "Microsoft.Web/sites/sitecontainers",
            "properties": { "image": image, "isMain": *at == 0, "authType": "Anonymous" },
        })
    })
}
