//! Resource Manager v3: projects, folders, the organisation, and which permissions the caller has.
//!
//! Folders are the directories of the projects' `ou`. Searches leave out what the caller may not see; lists
//! of one parent do not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shape::{hash, lean};
use super::{denied, page};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::org::{Account, Vendor};
use crate::rest::{Req, Route};

const SERVICE: &str = "cloudresourcemanager";

/// The pages' largest size.
const PAGE: usize = 300;

/// How many permissions can be asked for at once.
const MOST: usize = 100;

const CREATED: &str = "2020-01-01T00:00:00.000Z";

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: SERVICE, method: "GET", path: "/v3/projects:search", action: "cloudresourcemanager.projects.search", permission: "resourcemanager.projects.get", handle: search_projects },
    Route { service: SERVICE, method: "GET", path: "/v3/projects", action: "cloudresourcemanager.projects.list", permission: "resourcemanager.projects.list", handle: list_projects },
    Route { service: SERVICE, method: "POST", path: "/v3/projects/{project}:testIamPermissions", action: "cloudresourcemanager.projects.testIamPermissions", permission: "", handle: test },
    Route { service: SERVICE, method: "GET", path: "/v3/projects/{project}", action: "cloudresourcemanager.projects.get", permission: "resourcemanager.projects.get", handle: get_project },
    Route { service: SERVICE, method: "GET", path: "/v3/folders:search", action: "cloudresourcemanager.folders.search", permission: "resourcemanager.folders.get", handle: search_folders },
    Route { service: SERVICE, method: "GET", path: "/v3/folders", action: "cloudresourcemanager.folders.list", permission: "resourcemanager.folders.list", handle: list_folders },
    Route { service: SERVICE, method: "POST", path: "/v3/folders/{folder}:testIamPermissions", action: "cloudresourcemanager.folders.testIamPermissions", permission: "", handle: test },
    Route { service: SERVICE, method: "GET", path: "/v3/folders/{folder}", action: "cloudresourcemanager.folders.get", permission: "resourcemanager.folders.get", handle: get_folder },
    Route { service: SERVICE, method: "GET", path: "/v3/organizations:search", action: "cloudresourcemanager.organizations.search", permission: "resourcemanager.organizations.get", handle: search_organizations },
    Route { service: SERVICE, method: "POST", path: "/v3/organizations/{organization}:testIamPermissions", action: "cloudresourcemanager.organizations.testIamPermissions", permission: "", handle: test },
    Route { service: SERVICE, method: "GET", path: "/v3/organizations/{organization}", action: "cloudresourcemanager.organizations.get", permission: "resourcemanager.organizations.get", handle: get_organization },
];

fn projects(cloud: &Cloud) -> impl Iterator<Item = &Account> {
    cloud.org().of(Vendor::Gcp)
}

/// Every folder's path: "/shop", "/shop/test".
fn folders(cloud: &Cloud) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for account in projects(cloud) {
        let mut path = String::new();
        for name in account.ou.split('/').filter(|name| !name.is_empty()) {
            path = format!("{path}/{name}");
            all.insert(path.clone());
        }
    }
    all
}

fn folder_number(path: &str) -> String {
    (100_000_000_000 + hash(&["folder", path]) % 900_000_000_000).to_string()
}

/// The name of the folder with a path; that of the organisation for the root.
fn container(cloud: &Cloud, path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return cloud.org().gcp.organization.as_ref().map(|number| format!("organizations/{number}"));
    }
    Some(format!("folders/{}", folder_number(path)))
}

fn project(cloud: &Cloud, account: &Account) -> Value {
    let gone = account.status == "DELETE_REQUESTED";
    lean(json!({
        "name": format!("projects/{}", account.number),
        "parent": container(cloud, &account.ou),
        "projectId": account.id,
        "state": account.status,
        "displayName": if account.name.is_empty() { &account.id } else { &account.name },
        "createTime": CREATED,
        "updateTime": CREATED,
        "deleteTime": gone.then_some(CREATED),
        "etag": "W/\"8a7f5b3c\"",
        "labels": account.tags,
    }))
}

fn folder(cloud: &Cloud, path: &str) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    lean(json!({
        "name": format!("folders/{}", folder_number(path)),
        "parent": container(cloud, parent),
        "displayName": name,
        "state": "ACTIVE",
        "createTime": CREATED,
        "updateTime": CREATED,
        "etag": "W/\"8a7f5b3c\"",
    }))
}

fn organization(number: &str) -> Value {
    json!({
        "name": format!("organizations/{number}"),
        "displayName": "example.com",
        "directoryCustomerId": "C012ba234",
        "state": "ACTIVE",
        "createTime": CREATED,
        "updateTime": CREATED,
        "etag": "W/\"8a7f5b3c\"",
    })
}

fn answer(name: &str, items: &[Value], next: Option<String>) -> Reply {
    Reply::Value(lean(json!({ name: items, "nextPageToken": next })))
}

/// Whether the caller may see a project.
fn seen(req: &Req, account: &Account) -> bool {
    account.rights != "none" && !req.denied(&account.id, "resourcemanager.projects.get")
}

fn search_projects(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let query = req.param("query").unwrap_or_default();
    let mut all = Vec::new();
    for account in projects(cloud).filter(|account| seen(req, account)) {
        let value = project(cloud, account);
        if fits(&value, query)? {
            all.push(value);
        }
    }
    let (part, next) = page(cloud, req, &all, "pageSize", PAGE)?;
    Ok(answer("projects", &part, next))
}

/// Whether every term of a query, "state:ACTIVE parent:folders/1", is true of a resource.
fn fits(value: &Value, query: &str) -> Result<bool, WireError> {
    let mut all = true;
    for term in query.split_whitespace().filter(|term| !term.eq_ignore_ascii_case("AND")) {
        let bad = || WireError::new(400, "INVALID_ARGUMENT", format!("Invalid query term {term:?}."));
        let (field, wanted) = term.split_once([':', '=']).ok_or_else(bad)?;
        let wanted = wanted.trim_matches('"');
        let field = match field {
            "id" => "projectId",
            "name" => "displayName",
            "parent" | "state" | "projectId" | "displayName" => field,
            _ => return Err(bad()),
        };
        let own = value[field].as_str().unwrap_or_default();
        all &= match wanted.strip_suffix('*') {
            Some(start) => own.starts_with(start),
            None => own == wanted,
        };
    }
    Ok(all)
}

/// The parent that a list is of.
fn parent<'a>(cloud: &Cloud, req: &'a Req) -> Result<&'a str, WireError> {
    let parent = req.param("parent").unwrap_or_default();
    let known = cloud.org().gcp.organization.as_ref().is_some_and(|number| parent == format!("organizations/{number}"))
        || folders(cloud).iter().any(|path| parent == format!("folders/{}", folder_number(path)));
    if parent.is_empty() {
        return Err(WireError::new(400, "INVALID_ARGUMENT", "The parent is required."));
    }
    if known { Ok(parent) } else { Err(denied(req, parent)) }
}

fn list_projects(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let parent = parent(cloud, req)?;
    let deleted = req.yes("showDeleted");
    let all: Vec<Value> = projects(cloud)
        .filter(|account| container(cloud, &account.ou).as_deref() == Some(parent))
        .filter(|account| deleted || account.status == "ACTIVE")
        .map(|account| project(cloud, account))
        .collect();
    let (part, next) = page(cloud, req, &all, "pageSize", PAGE)?;
    Ok(answer("projects", &part, next))
}

fn get_project(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    cloud
        .account(&req.account)
        .filter(|account| seen(req, account))
        .map(|account| Reply::Value(project(cloud, account)))
        .ok_or_else(|| denied(req, &format!("projects/{}", req.account)))
}

fn list_folders(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let parent = parent(cloud, req)?;
    let all: Vec<Value> =
        folders(cloud).iter().map(|path| folder(cloud, path)).filter(|folder| folder["parent"] == parent).collect();
    let (part, next) = page(cloud, req, &all, "pageSize", PAGE)?;
    Ok(answer("folders", &part, next))
}

fn search_folders(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let query = req.param("query").unwrap_or_default();
    let mut all = Vec::new();
    for path in folders(cloud) {
        let value = folder(cloud, &path);
        if fits(&value, query)? {
            all.push(value);
        }
    }
    let (part, next) = page(cloud, req, &all, "pageSize", PAGE)?;
    Ok(answer("folders", &part, next))
}

fn get_folder(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let number = req.label("folder");
    folders(cloud)
        .iter()
        .find(|path| folder_number(path) == number)
        .map(|path| Reply::Value(folder(cloud, path)))
        .ok_or_else(|| denied(req, &format!("folders/{number}")))
}

fn search_organizations(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all: Vec<Value> = cloud.org().gcp.organization.iter().map(|number| organization(number)).collect();
    let (part, next) = page(cloud, req, &all, "pageSize", PAGE)?;
    Ok(answer("organizations", &part, next))
}

fn get_organization(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let number = req.label("organization");
    match &cloud.org().gcp.organization {
        Some(own) if own == number => Ok(Reply::Value(organization(own))),
        _ => Err(denied(req, &format!("organizations/{number}"))),
    }
}

/// Those of the permissions asked for that the caller has: all but those that standing faults deny.
fn test(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let bad = |what: String| WireError::new(400, "INVALID_ARGUMENT", what);
    let asked = crate::cloud::texts(req.json().unwrap_or_default().get("permissions"));
    if asked.len() > MOST {
        return Err(bad(format!("The number of permissions must not exceed {MOST}.")));
    }
    let formed = |permission: &str| permission.split('.').count() >= 3 && !permission.contains('*');
    if let Some(wrong) = asked.iter().find(|permission| !formed(permission)) {
        return Err(bad(format!("Permission {wrong} is not valid for this resource.")));
    }
    let none = cloud.account(&req.account).is_some_and(|account| account.rights == "none");
    let had: Vec<String> =
        asked.into_iter().filter(|permission| !none && !req.denied(&req.account, permission)).collect();
    Ok(Reply::Value(lean(json!({ "permissions": had }))))
}
