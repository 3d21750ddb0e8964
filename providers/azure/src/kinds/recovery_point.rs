//! What Recovery Services vaults protect, each with the recovery points that it keeps of it.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort, location},
    graph, locks, rights, shared,
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, de::IgnoredAny};
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::RecoveryPoint,
    inventory::{Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Scope},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.recovery-point",
    cloud: CloudId::Azure,
    class: Class::RecoveryPoint,
    title: "protected item of a Recovery Services vault",
    places: Places::Account,
    reads: &[LIST, VAULTS, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "the policy of its vault removes it",
    acts: &[],
};

const VAULTS: &str = "Microsoft.RecoveryServices/vaults/read";
const LIST: &str = "Microsoft.RecoveryServices/vaults/backupProtectedItems/read";
const API: &str = "2023-06-01";

static SORT: Sort = Sort {
    op: VAULTS,
    table: "resources",
    of: "Microsoft.RecoveryServices/vaults",
    columns: "sku",
    filter: "",
    api: API,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    source_resource_id: Option<String>,
    /// `VM`, `AzureFileShare`, `SQLDataBase`.
    workload_type: Option<String>,
    friendly_name: Option<String>,
    policy_name: Option<String>,
    is_scheduled_for_deferred_delete: Option<bool>,
}

/// Of a vault, nothing but what every resource has is used.
type Vault = Option<IgnoredAny>;

pub(super) struct RecoveryPointKind(pub(super) Arc<Azure>);

/// The class under which a source is listed, by the service's word for its sort.
fn source_class(sort: &str) -> Option<Class> {
    (sort == "VM").then_some(Class::Vm)
}

#[async_trait]
impl Kind for RecoveryPointKind {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let vaults = shared::of_subscription::<Vault>(&self.0, site, &SORT, Some(&mut *out)).await?;
        let around = self.0.around(site, VAULTS, out).await;
        let work: Vec<_> = vaults.iter().map(|vault| items(&self.0, site, &vault.id)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = vaults.iter();
        while let Some(items) = results.next().await {
            let Some(vault) = at.next() else { break };
            let region = location(vault.location.as_deref().unwrap_or(Scope::GLOBAL));
            match items {
                Ok(items) => {
                    for item in &items {
                        push(item, &around.common(item), (vault, &region), out);
                    }
                }
                Err(error) if shared::stops(&error) => return Err(error),
                Err(error) => out.blind_in(&region, error.cause()),
            }
        }
        Ok(())
    }
}

/// The protected items of a vault; none when it is gone by now.
async fn items(azure: &Azure, site: &Site, vault: &str) -> Result<Vec<Entity<Properties>>, CloudError> {
    match azure.list(site, LIST, &format!("{vault}/backupProtectedItems"), API).await {
        Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
        items => items,
    }
}

fn push(entity: &Entity<Properties>, common: &Common, (vault, region): (&Entity<Vault>, &str), out: &mut Listing) {
    let properties = &entity.properties;
    let sort = properties.workload_type.as_deref().unwrap_or_default();
    let facts = RecoveryPoint {
        source: out.sym(&properties.source_resource_id.as_deref().unwrap_or_default().to_ascii_lowercase()),
        source_type: out.sym(sort),
        source_class: source_class(sort),
        size_bytes: None,
        vault: out.sym(vault.name()),
    };
    let policy = properties.policy_name.as_deref().unwrap_or_default();
    let managed_by = format!("Azure Backup policy {policy}");
    let mut draft = common.draft(entity, facts);
    draft.region = Some(region).filter(|region| *region != Scope::GLOBAL);
    draft.name = properties.friendly_name.as_deref().unwrap_or(draft.name);
    draft.managed_by = managed_by.trim_end_matches(" policy ");
    // An owner is named at the vault.
    draft.tags = Tags::Read(vault.tags.iter().collect());
    if properties.is_scheduled_for_deferred_delete == Some(true) {
        draft.protected = "soft delete";
    }
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::{entity, rows};
    use sweeper_core::facts::FactsRef;

    #[test]
    fn an_item_names_its_source_and_vault() {
        let item = r#"{"id":"/v/protectedItems/VM;web","name":"VM;web","properties":{"workloadType":"VM",
            "sourceResourceId":"/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/Web",
            "friendlyName":"web","policyName":"","isScheduledForDeferredDelete":true}}"#;
        let vault = entity::<Vault>(r#"{"id":"/v","name":"vault","properties":null}"#);
        let inventory = rows(&SPEC, item, |entity, common, out| push(entity, common, (&vault, "eastus"), out));
        let item = inventory.resources().next().unwrap();
        assert_eq!((item.name(), item.region(), item.protected()), ("web", "eastus", "soft delete"));
        assert_eq!(item.managed_by(), "Azure Backup");
        let FactsRef::RecoveryPoint(point) = item.facts() else { panic!() };
        assert_eq!(point.source_class, Some(Class::Vm));
        assert!(inventory.text(point.source).ends_with("/virtualmachines/web"));
    }
}
