//! Organizations: the tree of accounts, as the `ou` paths of the organisation file draw it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::fault::denied;
use crate::http::{Reply, WireError, time};
use crate::org::{Account, Organization, Vendor};
use crate::request::Request;
use crate::services::invalid_action;

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let known = matches!(
        request.action.as_str(),
        "DescribeOrganization"
            | "ListAccounts"
            | "ListAccountsForParent"
            | "ListRoots"
            | "ListOrganizationalUnitsForParent"
            | "ListParents"
            | "ListTagsForResource"
    );
    if !known {
        return Err(invalid_action(request));
    }
    let Some(organization) = &cloud.org().organization else {
        return Err(WireError::new(
            400,
            "AWSOrganizationsNotInUseException",
            "Your account is not a member of an organization.",
        ));
    };
    if request.action == "DescribeOrganization" {
        return Ok(Reply::Value(describe(cloud, organization)));
    }
    if request.account != organization.management && !organization.delegated.contains(&request.account) {
        return Err(WireError::new(
            400,
            "AccessDeniedException",
            "You don't have permissions to access this resource.",
        ));
    }
    let tree = Tree::new(cloud, organization);
    match request.action.as_str() {
        "ListAccounts" => {
            let accounts: Vec<&Account> = cloud.org().of(Vendor::Aws).collect();
            list(cloud, request, "Accounts", &accounts, |account| tree.account(cloud, account))
        }
        "ListAccountsForParent" => {
            let path = tree.parent_path(request, "ParentId")?;
            let accounts: Vec<&Account> =
                cloud.org().of(Vendor::Aws).filter(|account| normal(&account.ou) == path).collect();
            list(cloud, request, "Accounts", &accounts, |account| tree.account(cloud, account))
        }
        "ListRoots" => list(cloud, request, "Roots", &[()], |()| {
            json!({
                "Id": tree.root,
                "Arn": format!("arn:aws:organizations::{}:root/{}/{}", organization.management, organization.id, tree.root),
                "Name": "Root",
                "PolicyTypes": [],
            })
        }),
        "ListOrganizationalUnitsForParent" => {
            let path = tree.parent_path(request, "ParentId")?;
            let units: Vec<(&String, &String)> = tree.units.iter().filter(|(unit, _)| parent(unit) == path).collect();
            list(cloud, request, "OrganizationalUnits", &units, |(unit, id)| {
                json!({
                    "Id": id,
                    "Arn": format!("arn:aws:organizations::{}:ou/{}/{id}", organization.management, organization.id),
                    "Name": unit.rsplit('/').next().unwrap_or_default(),
                })
            })
        }
        "ListParents" => {
            let child = request.text("ChildId").unwrap_or_default();
            let path = match cloud.account(child) {
                Some(account) => normal(&account.ou),
                None => {
                    tree.units.iter().find(|(_, id)| *id == child).map(|(unit, _)| parent(unit).to_owned()).ok_or_else(
                        || {
                            WireError::new(
                                400,
                                "ChildNotFoundException",
                                "You specified an organizational unit or account that doesn't exist.",
                            )
                        },
                    )?
                }
            };
            let id = tree.id(&path).unwrap_or_default();
            let kind = if path == "/" { "ROOT" } else { "ORGANIZATIONAL_UNIT" };
            list(cloud, request, "Parents", &[()], |()| json!({ "Id": id, "Type": kind }))
        }
        "ListTagsForResource" => {
            let id = request.text("ResourceId").unwrap_or_default();
            let tags: Vec<(String, String)> = match cloud.account(id) {
                Some(account) => account.tags.clone().into_iter().collect(),
                None if tree.root == id || tree.units.values().any(|known| known == id) => Vec::new(),
                None => {
                    return Err(WireError::new(
                        400,
                        "TargetNotFoundException",
                        "You specified a target that doesn't exist.",
                    ));
                }
            };
            list(cloud, request, "Tags", &tags, |(key, value)| json!({ "Key": key, "Value": value }))
        }
        _ => Err(denied(request)),
    }
}

fn list<T: Clone>(
    cloud: &Cloud,
    request: &Request,
    name: &str,
    items: &[T],
    show: impl Fn(T) -> Value,
) -> Result<Reply, WireError> {
    let max = request.max("MaxResults", 1..=20)?.unwrap_or(20);
    let (page, next) = cloud.page(items, Some(max), request.text("NextToken")).map_err(|mut error| {
        "InvalidInputException".clone_into(&mut error.code);
        error
    })?;
    let page: Vec<Value> = page.into_iter().map(show).collect();
    Ok(Reply::Value(json!({ name: page, "NextToken": next })))
}

fn describe(cloud: &Cloud, organization: &Organization) -> Value {
    let management = &organization.management;
    let id = &organization.id;
    json!({ "Organization": {
        "Id": id,
        "Arn": format!("arn:aws:organizations::{management}:organization/{id}"),
        "FeatureSet": "ALL",
        "MasterAccountArn": format!("arn:aws:organizations::{management}:account/{id}/{management}"),
        "MasterAccountId": management,
        "MasterAccountEmail": cloud.account(management).map(email),
        "AvailablePolicyTypes": [],
    }})
}

fn email(account: &Account) -> String {
    account.email.clone().unwrap_or_else(|| {
        let name = if account.name.is_empty() { &account.id } else { &account.name };
        format!("{name}@example.com")
    })
}

/// The organisational units by path, with their ids.
struct Tree<'a> {
    organization: &'a Organization,
    root: String,
    units: BTreeMap<String, String>,
}

impl<'a> Tree<'a> {
    fn new(cloud: &Cloud, organization: &'a Organization) -> Tree<'a> {
        let mut units = BTreeMap::new();
        for account in cloud.org().of(Vendor::Aws) {
            let mut path = normal(&account.ou);
            while path != "/" {
                let above = parent(&path).to_owned();
                let id = format!("ou-demo-{:08x}", hash(&path));
                units.insert(path, id);
                path = above;
            }
        }
        Tree { organization, root: "r-demo".to_owned(), units }
    }

    fn id(&self, path: &str) -> Option<String> {
        if path == "/" { Some(self.root.clone()) } else { self.units.get(path).cloned() }
    }

    fn parent_path(&self, request: &Request, name: &str) -> Result<String, WireError> {
        let id = request.text(name).unwrap_or_default();
        if id == self.root {
            return Ok("/".to_owned());
        }
        self.units
            .iter()
            .find(|(_, known)| *known == id)
            .map(|(path, _)| path.clone())
            .ok_or_else(|| WireError::new(400, "ParentNotFoundException", "You specified parent that doesn't exist."))
    }

    fn account(&self, cloud: &Cloud, account: &Account) -> Value {
        let joined = cloud.now.checked_sub(jiff::SignedDuration::from_hours(24 * 700)).unwrap_or(cloud.now);
        json!({
            "Id": account.id,
            "Arn": format!("arn:aws:organizations::{}:account/{}/{}", self.organization.management, self.organization.id, account.id),
            "Email": email(account),
            "Name": if account.name.is_empty() { &account.id } else { &account.name },
            "Status": account.status,
            "State": account.status,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": time(joined),
        })
    }
}

/// A path without doubled or trailing slashes.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((above, _)) => above,
    }
}

fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
