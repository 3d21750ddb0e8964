//! Subscriptions.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::org::{Account, Vendor};
use crate::rest::{Req, Route};

pub(super) const ROUTES: &[Route] = &[Route {
    service: "Microsoft.Resources",
    method: "GET",
    path: "/subscriptions",
    action: "Subscriptions_List",
    permission: "Microsoft.Resources/subscriptions/read",
    handle: list,
}];

fn list(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all: Vec<&Account> = cloud.org().of(Vendor::Azure).filter(|known| known.rights != "none").collect();
    let (shown, next) = cloud.page(&all, None, req.param("$skiptoken"))?;
    let shown: Vec<Value> = shown.into_iter().map(|account| subscription(cloud, account)).collect();
    let count = json!({ "type": "Total", "value": shown.len() });
    Ok(Reply::Value(json!({
        "value": shown,
        "nextLink": next.map(|token| super::next_link(req, &token)),
        "count": count,
    })))
}

fn subscription(cloud: &Cloud, account: &Account) -> Value {
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
