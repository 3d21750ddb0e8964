//! Whether a right to read holds for the whole of a subscription.
//!
//! Resource Manager's lists and Resource Graph leave out what the identity may not read, without a word. So a list
//! is only complete where the right holds at the subscription's root.

use crate::arm::Azure;
use serde::Deserialize;
use sweeper_core::{calls::Site, kind::CloudError, model::Tri};

pub(crate) const OP: &str = "Microsoft.Authorization/permissions/read";
const API: &str = "2022-04-01";

/// One of the roles that the identity has at the root.
#[derive(Clone, Debug, Deserialize)]
struct Grant {
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default, rename = "notActions")]
    not_actions: Vec<String>,
    #[serde(default, rename = "dataActions")]
    data_actions: Vec<String>,
    #[serde(default, rename = "notDataActions")]
    not_data_actions: Vec<String>,
}

/// The roles of the identity at the subscription's root, read once a run.
async fn of(azure: &Azure, site: &Site) -> Result<std::sync::Arc<Vec<Grant>>, CloudError> {
    let path = format!("/subscriptions/{}/providers/Microsoft.Authorization/permissions", site.scope().account);
    let list = Box::pin(async move { azure.list::<Grant>(site, OP, &path, API).await });
    azure.once(site, OP, list).await
}

/// Whether an action is held at the root of the site's subscription; else why a list by it is not complete.
pub(crate) async fn held(azure: &Azure, site: &Site, op: &'static str) -> Result<(), String> {
    match of(azure, site).await {
        Ok(grants) if grants.iter().any(|grant| allows(&grant.actions, &grant.not_actions, op)) => Ok(()),
        Ok(_) => Err(format!("denied {op} at the subscription: only what this identity sees")),
        Err(error) => Err(format!("rights not readable: {}", error.cause())),
    }
}

/// Which of some permissions, actions or actions on data, are held at the root of the site's subscription.
pub(crate) async fn which(azure: &Azure, site: &Site, permissions: &[&'static str]) -> Result<Vec<Tri>, CloudError> {
    let grants = of(azure, site).await?;
    let held = |op: &&'static str| {
        grants.iter().any(|grant| {
            allows(&grant.actions, &grant.not_actions, op) || allows(&grant.data_actions, &grant.not_data_actions, op)
        })
    };
    Ok(permissions.iter().map(|op| Some(held(op))).collect())
}

fn allows(actions: &[String], not_actions: &[String], op: &str) -> bool {
    actions.iter().any(|pattern| fits(pattern, op)) && !not_actions.iter().any(|pattern| fits(pattern, op))
}

/// Whether a pattern with `*` for anything fits, without case. Linear in both for each star.
fn fits(pattern: &str, op: &str) -> bool {
    let (pattern, op) = (pattern.to_ascii_lowercase(), op.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = op.strip_prefix(first) else { return false };
    let Some(mut last) = parts.next() else { return rest.is_empty() };
    for next in parts {
        let Some(at) = rest.find(last) else { return false };
        rest = &rest[at + last.len()..];
        last = next;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_fits_anything() {
        let op = "Microsoft.Compute/disks/read";
        for pattern in
            ["*", "*/read", "Microsoft.Compute/*", "microsoft.compute/disks/READ", "Microsoft.*/disks/*", "*/disks/*d"]
        {
            assert!(fits(pattern, op), "{pattern}");
        }
        for pattern in ["", "*/write", "Microsoft.Compute/disks", "Microsoft.Network/*/read", "*/disk/*", "read"] {
            assert!(!fits(pattern, op), "{pattern}");
        }
    }

    #[test]
    fn what_is_taken_away_is_not_held() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let op = "Microsoft.Compute/disks/read";
        assert!(allows(&of(&["*"]), &of(&["Microsoft.Authorization/*/Write"]), op));
        assert!(!allows(&of(&["*"]), &of(&["Microsoft.Compute/*"]), op));
        assert!(!allows(&[], &[], op));
    }
}
