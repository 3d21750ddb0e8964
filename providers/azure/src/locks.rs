//! Management locks: on the subscription, a resource group or a resource, each protects all that is below it.

use crate::arm::Azure;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{calls::Site, kind::CloudError};

pub(crate) const OP: &str = "Microsoft.Authorization/locks/read";
const API: &str = "2016-09-01";

/// What protects a resource whose locks cannot be read: whatever is not known to be open is locked.
pub(crate) const UNREADABLE: &str = "locks not readable";

#[derive(Deserialize)]
struct Lock {
    id: String,
    #[serde(default)]
    name: Option<String>,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    level: String,
}

/// The locks of a subscription, by what they are on, lower case.
#[derive(Debug, Default)]
pub(crate) struct Locks(BTreeMap<String, String>);

/// The locks of the site's subscription, read once a run.
pub(crate) async fn of(azure: &Azure, site: &Site) -> Result<Arc<Locks>, CloudError> {
    let list = Box::pin(async move { Ok(Locks::new(list(azure, site).await?)) });
    azure.once(site, OP, list).await
}

async fn list(azure: &Azure, site: &Site) -> Result<Vec<Lock>, CloudError> {
    let path = format!("/subscriptions/{}/providers/Microsoft.Authorization/locks", site.scope().account);
    azure.list(site, OP, &path, API).await
}

/// The locks of the site's subscription, read now.
pub(crate) async fn now(azure: &Azure, site: &Site) -> Result<Arc<Locks>, CloudError> {
    Ok(Arc::new(Locks::new(list(azure, site).await?)))
}

impl Locks {
    fn new(list: Vec<Lock>) -> Self {
        let mut locks = BTreeMap::new();
        for lock in list.into_iter().filter(|lock| !lock.properties.level.eq_ignore_ascii_case("NotSpecified")) {
            let id = lock.id.to_ascii_lowercase();
            let on = id.rfind("/providers/microsoft.authorization/locks/").map_or(id.as_str(), |at| &id[..at]);
            let where_ = match on.split('/').count() {
                0..=3 => "the subscription",
                4..=5 => "the resource group",
                _ => "the resource",
            };
            let name = lock.name.as_deref().unwrap_or_else(|| lock.id.rsplit('/').next().unwrap_or_default());
            let text = format!("lock ‘{name}’ ({}) on {where_}", lock.properties.level);
            locks.entry(on.to_owned()).or_insert(text);
        }
        Self(locks)
    }

    /// The lock on a resource (its id in lower case) or on what it is in; empty for none.
    pub(crate) fn on(&self, id: &str) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let ends = id.match_indices('/').map(|(at, _)| at).chain([id.len()]);
        ends.filter_map(|end| self.0.get(&id[..end])).next_back().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_protects_all_below_it() {
        let lock = |id: &str, level: &str| Lock {
            id: format!("{id}/providers/Microsoft.Authorization/locks/keep"),
            name: Some("keep".to_owned()),
            properties: Properties { level: level.to_owned() },
        };
        let disk = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/disks/d";
        let on = |locks: Vec<Lock>, id: &str| Locks::new(locks).on(&id.to_ascii_lowercase());
        assert_eq!(
            on(vec![lock("/subscriptions/s", "CanNotDelete")], disk),
            "lock ‘keep’ (CanNotDelete) on the subscription"
        );
        assert_eq!(
            on(vec![lock("/subscriptions/S/resourcegroups/rg", "ReadOnly")], disk),
            "lock ‘keep’ (ReadOnly) on the resource group"
        );
        assert_eq!(on(vec![lock(disk, "CanNotDelete")], disk), "lock ‘keep’ (CanNotDelete) on the resource");
        assert_eq!(on(vec![lock("/subscriptions/s/resourceGroups/r", "ReadOnly")], disk), "", "a prefix is no parent");
        assert_eq!(on(vec![lock(disk, "CanNotDelete")], &format!("{disk}2")), "");
    }
}
