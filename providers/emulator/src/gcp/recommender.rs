//! Recommender v1: the recommendations of the resources that say `recommended = true`, one list a location and
//! recommender.

use serde_json::{Value, json};

use super::shape::{Place, hash, lean, utc};
use super::{page, project_number, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};

/// A recommender: its id, whom it advises on, and what it calls them.
struct Recommender {
    id: &'static str,
    kind: &'static str,
    api: &'static str,
    collection: &'static str,
    resource: &'static str,
    subtype: &'static str,
}

#[rustfmt::skip]
const RECOMMENDERS: &[Recommender] = &[
    Recommender { id: "google.cloudsql.instance.IdleRecommender", kind: "gcp.sql-instance", api: "sqladmin", collection: "instances", resource: "sqladmin.googleapis.com/Instance", subtype: "STOP_INSTANCE" },
    Recommender { id: "google.compute.address.IdleResourceRecommender", kind: "gcp.compute-address", api: "compute", collection: "addresses", resource: "compute.googleapis.com/Address", subtype: "DELETE_ADDRESS" },
    Recommender { id: "google.compute.disk.IdleResourceRecommender", kind: "gcp.compute-disk", api: "compute", collection: "disks", resource: "compute.googleapis.com/Disk", subtype: "SNAPSHOT_AND_DELETE_DISK" },
    Recommender { id: "google.compute.image.IdleResourceRecommender", kind: "gcp.compute-image", api: "compute", collection: "images", resource: "compute.googleapis.com/Image", subtype: "DELETE_IMAGE" },
    Recommender { id: "google.compute.instance.IdleResourceRecommender", kind: "gcp.compute-instance", api: "compute", collection: "instances", resource: "compute.googleapis.com/Instance", subtype: "STOP_VM" },
    Recommender { id: "google.run.service.CostRecommender", kind: "gcp.run-service", api: "run", collection: "services", resource: "run.googleapis.com/Service", subtype: "CHANGE_TO_INSTANCE_BASED_BILLING" },
];

macro_rules! routes {
    ($( $id:literal $permission:literal, )*) => {
        pub(super) const ROUTES: &[Route] = &[$( Route {
            service: "recommender",
            method: "GET",
            path: concat!("/v1/projects/{project}/locations/{location}/recommenders/", $id, "/recommendations"),
            // One operation, and a permission for each recommender.
            action: concat!("recommender.projects.locations.recommenders.recommendations.list ", $id),
            permission: concat!("recommender.", $permission, ".list"),
            handle: list,
        }, )*];
    };
}

routes! {
    "google.cloudsql.instance.IdleRecommender" "cloudsqlIdleInstanceRecommendations",
    "google.compute.address.IdleResourceRecommender" "computeAddressIdleResourceRecommendations",
    "google.compute.disk.IdleResourceRecommender" "computeDiskIdleResourceRecommendations",
    "google.compute.image.IdleResourceRecommender" "computeImageIdleResourceRecommendations",
    "google.compute.instance.IdleResourceRecommender" "computeInstanceIdleResourceRecommendations",
    "google.run.service.CostRecommender" "runServiceCostRecommendations",
}

fn list(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if req.param("filter").is_some_and(|filter| !filter.is_empty()) {
        return Err(WireError::new(400, "INVALID_ARGUMENT", "The emulator evaluates no filters."));
    }
    let location = req.label("location");
    if req.is_lost(location) {
        return Err(unreachable(location));
    }
    let known = RECOMMENDERS.iter().find(|known| req.action.ends_with(known.id));
    let known = known.ok_or_else(|| super::missing(req))?;
    let all: Vec<Value> = cloud
        .list_account(&req.account, known.kind)
        .into_iter()
        .filter(|item| item.flag("recommended") == Some(true))
        .filter(|item| item.region == location || (location == "global" && Place::of(&item.region) == Place::Global))
        .map(|item| recommendation(cloud, item, known))
        .collect();
    let (part, next) = page(cloud, req, &all, "pageSize", 1000)?;
    Ok(Reply::Value(lean(json!({ "recommendations": part, "nextPageToken": next }))))
}

fn recommendation(cloud: &Cloud, item: &Item, known: &Recommender) -> Value {
    let path = match known.api {
        "compute" => format!("{}/{}/{}", Place::of(&item.region).path(), known.collection, item.id),
        "run" => format!("locations/{}/{}/{}", item.region, known.collection, item.id),
        _ => format!("{}/{}", known.collection, item.id),
    };
    // Google names projects by their numbers in places like this one.
    let full = format!("//{}.googleapis.com/projects/{}/{path}", known.api, item.account);
    let number = project_number(cloud, &item.account);
    lean(json!({
        "name": format!(
            "projects/{number}/locations/{}/recommenders/{}/recommendations/{:016x}",
            item.region, known.id, hash(&[&full])
        ),
        "description": format!("Save cost by acting on idle resource '{}'.", item.id),
        "recommenderSubtype": known.subtype,
        "lastRefreshTime": utc(cloud.now),
        "priority": "P4",
        "etag": "\"3d5e4f7a8b9c0d1e\"",
        "stateInfo": { "state": item.text("recommendation_state").unwrap_or("ACTIVE") },
        "targetResources": [format!("//{}.googleapis.com/projects/{number}/{path}", known.api)],
        "primaryImpact": {
            "category": "COST",
            "costProjection": { "cost": { "currencyCode": "USD", "units": "-4", "nanos": -200_000_000 }, "duration": "2592000s" },
        },
        "content": {
            "operationGroups": [{
                "operations": [
                    { "action": "test", "resource": full, "resourceType": known.resource, "path": "/status", "value": "READY" },
                    { "action": "remove", "resource": full, "resourceType": known.resource, "path": "/" },
                ],
            }],
        },
    }))
}
