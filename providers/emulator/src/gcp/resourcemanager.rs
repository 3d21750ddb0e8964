//! Resource Manager v3: projects.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::org::Account;
use crate::rest::{Req, Route};

pub(super) const ROUTES: &[Route] = &[Route {
    service: "cloudresourcemanager",
    method: "GET",
    path: "/v3/projects/{project}",
    action: "cloudresourcemanager.projects.get",
    permission: "resourcemanager.projects.get",
    handle: get,
}];

fn get(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    match cloud.account(&req.account) {
        Some(account) => Ok(Reply::Value(project(account))),
        None => Err(super::missing(req)),
    }
}

fn project(account: &Account) -> Value {
    json!({
        "name": format!("projects/{}", account.number),
        "projectId": account.id,
        "state": account.status,
        "displayName": account.name,
        "labels": account.tags,
    })
}
