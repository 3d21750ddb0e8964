//! AKS clusters: whatever runs in them names its images and volumes where nobody outside can look.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Cluster,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.aks-cluster",
    cloud: CloudId::Azure,
    class: Class::Cluster,
    title: "AKS cluster",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    // Nothing is pushed: its pods cannot be seen from here. Declared all the same, so that clusters are looked for
    // wherever an image's users are, and a finding says that there may be users out of sight.
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[(Relation::Referenced, "pods of Kubernetes clusters, which pin images by digest")],
    advised: "",
    report_only: "a cluster contains other things",
    acts: &[],
};

const LIST: &str = "Microsoft.ContainerService/managedClusters/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.ContainerService/managedClusters",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    /// The name of the resource group in which its machines, disks and addresses are.
    node_resource_group: Option<String>,
    kubernetes_version: Option<String>,
    current_kubernetes_version: Option<String>,
    provisioning_state: Option<String>,
    power_state: Option<PowerState>,
    agent_pool_profiles: Option<Vec<Pool>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PowerState {
    code: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pool {
    count: Option<u32>,
}

/// The id of the group of a cluster's nodes, lower case: the mark that its disks and addresses carry.
fn node_group(id: &str, name: &str) -> Option<String> {
    let mut parts = id.split('/').skip(1);
    let (word, subscription) = (parts.next()?, parts.next()?);
    (word.eq_ignore_ascii_case("subscriptions") && !name.is_empty())
        .then(|| format!("/subscriptions/{subscription}/resourcegroups/{name}").to_ascii_lowercase())
}

pub(super) struct AksCluster(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for AksCluster {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let version = properties.current_kubernetes_version.as_deref().or(properties.kubernetes_version.as_deref());
    let power = properties.power_state.as_ref().and_then(|power| power.code.as_deref());
    let counts = properties.agent_pool_profiles.as_ref().map(|pools| pools.iter().map(|pool| pool.count));
    let facts = Cluster {
        version: out.sym(version.unwrap_or_default()),
        state: out.sym(power.or(properties.provisioning_state.as_deref()).unwrap_or_default()),
        nodes: counts.and_then(|mut counts| counts.try_fold(0_u32, |sum, count| Some(sum.saturating_add(count?)))),
    };
    let group =
        properties.node_resource_group.as_deref().and_then(|name| node_group(&entity.id, name)).unwrap_or_default();
    let mut draft = common.draft(entity, facts);
    draft.also.extend([group.as_str(), entity.name()].into_iter().filter(|name| !name.is_empty()));
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;
    use sweeper_core::facts::FactsRef;

    #[test]
    fn a_cluster_is_known_by_the_group_of_its_nodes() {
        let row = r#"{"id":"/subscriptions/S1/resourceGroups/Rg/providers/Microsoft.ContainerService/managedClusters/Blue",
            "name":"Blue","location":"eastus","properties":{"nodeResourceGroup":"MC_Rg_Blue_eastus","kubernetesVersion":"1.31",
            "powerState":{"code":"Running"},"agentPoolProfiles":[{"count":2},{"count":3}]}}"#;
        let inventory = rows(&SPEC, row, push);
        for name in ["Blue", "/subscriptions/s1/resourcegroups/mc_rg_blue_eastus"] {
            assert!(inventory.find(name).is_some(), "{name}");
        }
        let FactsRef::Cluster(cluster) = inventory.resources().next().unwrap().facts() else { panic!() };
        assert_eq!(cluster.nodes, Some(5));
        assert_eq!(node_group("no id", "x"), None);
        assert_eq!(node_group("/subscriptions/s", ""), None);
    }
}
